// Reading APIs from a definition. What a schema can check it has checked; here is what it can't: paths whose parameters exist, names that
// are unique, models that are there.
#include "client/apis.h"

#include "base/memory.h"
#include "client/pages_settings.h"
#include "client/path.h"
#include "client/value.h"

extern const char dx_apis_schema[]; // apis.schema.json, embedded by the build
const dx_section dx_apis_section = {"apis", dx_apis_schema, false, "base_url"};

typedef struct reading {
    dx_apis *apis;
    dx_arena *scratch; // for the reading only
    dx_diags *diags;
    dx_map texts; // kept already: names and paths come again and again
    bool refused, keep, no_memory;
} reading;

DX_PRINTF(3, 4) static void refuse(reading *r, dx_slice at, const char *format, ...) {
    va_list args;
    va_start(args, format);
    dx_slice message = dx_arena_vprintf(r->scratch, format, args);
    va_end(args);
    r->refused = true;
    (void)dx_definition_complain(r->apis->definition, r->diags, at, "%.*s", DX_SLICE_ARG(message));
}

static dx_slice below(reading *r, dx_slice base, dx_slice name) {
    return dx_json_pointer_join(r->scratch, base, name);
}

// A text of the definition, for as long as the snapshot lives.
static dx_slice keep_text(reading *r, dx_slice text) {
    if (r->keep || !text.size) return text;
    const dx_slice *kept = dx_map_get(&r->texts, text);
    if (kept) return *kept;
    dx_slice *copy = DX_ARENA_NEW(r->scratch, dx_slice);
    if (copy) *copy = dx_arena_copy(r->apis->arena, text);
    if (copy && copy->data && dx_map_put(&r->texts, *copy, copy) == DX_OK) return *copy;
    r->no_memory = true;
    return (dx_slice){"", 0};
}

// Likewise a value; NULL stays NULL.
static yyjson_val *keep_value(reading *r, yyjson_val *value) {
    if (r->keep || !value) return value;
    yyjson_mut_doc *doc = dx_json_mut_doc(r->scratch);
    yyjson_mut_val *copy = doc ? yyjson_val_mut_copy(doc, value) : NULL;
    yyjson_alc alc = dx_json_alc(r->apis->arena);
    yyjson_doc *kept = copy ? yyjson_mut_val_imut_copy(copy, &alc) : NULL;
    if (!kept) r->no_memory = true;
    return yyjson_doc_get_root(kept);
}

// Findings of others, that have no place in a file yet.
static void tell(reading *r, const dx_diags *found) {
    for (const dx_diag *diag = found->first; diag; diag = diag->next) refuse(r, diag->pointer, "%.*s", DX_SLICE_ARG(diag->message));
}

static dx_status make_settings(reading *r, const dx_settings **out, const dx_settings *below_it, yyjson_val *above, dx_slice at) {
    dx_diags found;
    dx_diags_init(&found, r->scratch);
    dx_status status = dx_settings_make(out, r->apis->maker, r->apis->arena, below_it, above, at, &found);
    tell(r, &found);
    return status == DX_INVALID ? DX_OK : status;
}

// Settings of its own even for a layer that says nothing: its chain and what is kept of it hang on them.
static dx_status make_own_settings(reading *r, const dx_settings **out, const dx_settings *defaults, yyjson_val *above, dx_slice at) {
    dx_status status = make_settings(r, out, defaults, above, at);
    if (status != DX_OK || *out != defaults) return status;
    dx_settings *own = DX_ARENA_NEW(r->apis->arena, dx_settings);
    if (!own) return DX_NO_MEMORY;
    *own = *defaults;
    *out = own;
    return DX_OK;
}

// --- schemas ---------------------------------------------------------------------------------------------------------------------

// The members of `from` on the way to a parameter's schema, copied to `to`; true when there was one.
static bool copy_schemas(yyjson_mut_doc *doc, yyjson_mut_val *to, yyjson_val *from, int depth) {
    static const int PARAM = 6; // apis/NAME/endpoints/VERSION/NAME/params/NAME
    size_t at, count;
    yyjson_val *key, *value;
    bool any = false;
    yyjson_obj_foreach(from, at, count, key, value) {
        dx_slice name = dx_json_slice(key);
        bool wanted = depth == 1   ? dx_slice_equal(name, DX_SLICE("endpoints"))
                      : depth == 4 ? dx_slice_equal(name, DX_SLICE("params"))
                                   : true;
        if (depth == PARAM) wanted = dx_slice_equal(name, DX_SLICE("schema"));
        if (!wanted || (!yyjson_is_obj(value) && depth != PARAM)) continue;
        yyjson_mut_val *copy = depth == PARAM ? yyjson_val_mut_copy(doc, value) : yyjson_mut_obj(doc);
        if (!copy || (depth != PARAM && !copy_schemas(doc, copy, value, depth + 1))) continue;
        any = yyjson_mut_obj_add(to, yyjson_mut_strncpy(doc, name.data, name.size), copy) || any;
    }
    return any;
}

// What schemas may refer to: the models, and the parameters' schemas where they stand.
static yyjson_val *schemas_of(reading *r) {
    yyjson_val *root = dx_definition_root(r->apis->definition), *models = yyjson_obj_get(root, "models");
    if (r->keep) return root;
    yyjson_mut_doc *doc = dx_json_mut_doc(r->scratch);
    yyjson_mut_val *copy = doc ? yyjson_mut_obj(doc) : NULL, *apis = copy ? yyjson_mut_obj_add_obj(doc, copy, "apis") : NULL;
    if (!apis || (models && !yyjson_mut_obj_add_val(doc, copy, "models", yyjson_val_mut_copy(doc, models)))) return NULL;
    (void)copy_schemas(doc, apis, yyjson_obj_get(root, "apis"), 0);
    yyjson_alc alc = dx_json_alc(r->apis->arena);
    return yyjson_doc_get_root(yyjson_mut_val_imut_copy(copy, &alc));
}

static dx_status build_models(reading *r, yyjson_val *root) {
    dx_apis *apis = r->apis;
    dx_diags found;
    dx_diags_init(&found, r->scratch);
    apis->models = dx_models_create(apis->arena, true);
    if (!apis->models) return DX_NO_MEMORY;
    dx_status status = dx_models_add_definition(apis->models, root);
    if (status == DX_OK) status = dx_models_build(apis->models, &found);
    tell(r, &found);
    return status == DX_INVALID ? DX_OK : status; // it was told
}

static dx_status add_models(reading *r) {
    dx_apis *apis = r->apis;
    apis->schemas = dx_schema_set_create(apis->arena, true);
    // References of parameters' schemas count from the whole definition: "#/models/Name".
    yyjson_val *root = schemas_of(r);
    dx_status status = apis->schemas && root ? dx_schema_set_add(apis->schemas, (dx_slice){"", 0}, root) : DX_NO_MEMORY;
    if (status != DX_OK) return status;
    if (!apis->base) return build_models(r, root);
    apis->models = apis->base->models;
    return DX_OK;
}

static dx_status compile_param(reading *r, dx_param *param, yyjson_val *settings, dx_slice at) {
    yyjson_val *schema = yyjson_obj_get(settings, "schema");
    if (!schema) return DX_OK;
    dx_diags found;
    dx_diags_init(&found, r->scratch);
    dx_slice uri = dx_arena_printf(r->scratch, "#%.*s/schema", DX_SLICE_ARG(at));
    if (!uri.data) return DX_NO_MEMORY;
    dx_status status = dx_schema_compile(&param->schema, r->apis->schemas, uri, &found);
    tell(r, &found);
    return status == DX_NO_MEMORY ? status : DX_OK;
}

// --- parameters ------------------------------------------------------------------------------------------------------------------

static const char *const places[] = {"path", "query", "header", "cookie", "body"};
static const char *const types[] = {"any", "int", "float", "str", "bool", "list", "dict", "file"};
static const char *const styles[] = {"form", "space", "pipe", "deep"};

// The place of a word in its list; 0 for one that is not there, as the schema has seen to it that it is.
static unsigned word(yyjson_val *object, const char *name, const char *const *words, size_t count) {
    dx_slice text = dx_json_member_slice(object, name);
    for (unsigned i = 0; i < count; i++)
        if (dx_slice_equal(text, dx_slice_str(words[i]))) return i;
    return 0;
}

static dx_param_in default_place(const dx_endpoint *endpoint, dx_slice name) {
    if (dx_path_names(endpoint->path, name)) return DX_IN_PATH;
    dx_method method = (dx_method)endpoint->method;
    return method == DX_POST || method == DX_PUT || method == DX_PATCH ? DX_IN_BODY : DX_IN_QUERY;
}

static const dx_given *read_default(reading *r, yyjson_val *value) {
    if (!value) return NULL;
    dx_given *given = DX_ARENA_NEW(r->apis->arena, dx_given);
    if (!given) {
        r->no_memory = true;
        return NULL;
    }
    *given = dx_given_json(value);
    if (given->kind == DX_GIVEN_STR) given->as.text = keep_text(r, given->as.text);
    if (given->kind == DX_GIVEN_TREE) given->as.tree = keep_value(r, given->as.tree);
    return given;
}

static dx_status read_param(reading *r, dx_endpoint *endpoint, dx_param *param, dx_slice name, yyjson_val *settings, dx_slice at) {
    yyjson_val *explode = yyjson_obj_get(settings, "explode"), *in = yyjson_obj_get(settings, "in");
    dx_slice wire = dx_json_member_slice(settings, "name");
    name = keep_text(r, name);
    *param = (dx_param){.name = name,
                        .wire = wire.size ? keep_text(r, wire) : name,
                        .in = (dx_param_in)((in ? word(settings, "in", places, DX_COUNT_OF(places)) : default_place(endpoint, name)) & 7),
                        .type = (dx_param_type)(word(settings, "type", types, DX_COUNT_OF(types)) & 15),
                        .style = (dx_param_style)(word(settings, "style", styles, DX_COUNT_OF(styles)) & 7),
                        .required = yyjson_get_bool(yyjson_obj_get(settings, "required")),
                        .secret = yyjson_get_bool(yyjson_obj_get(settings, "secret")),
                        .explode = !explode || yyjson_get_bool(explode),
                        .otherwise = read_default(r, yyjson_obj_get(settings, "default")),
                        .description = keep_text(r, dx_json_member_slice(settings, "description"))};
    if (param->in == DX_IN_PATH) {
        param->required = !param->otherwise;
        if (!dx_path_names(endpoint->path, name))
            refuse(r, at, "the path %.*s has no {%.*s}", DX_SLICE_ARG(endpoint->path), DX_SLICE_ARG(name));
    }
    if (param->type == DX_TYPE_FILE && endpoint->body_form != DX_BODY_FORM_MULTIPART)
        refuse(r, at, "a file needs \"body\": {\"content_type\": \"multipart/form-data\"}");
    return compile_param(r, param, settings, at);
}

// Parameters that only the path names are text that must be given.
static dx_status add_path_params(reading *r, dx_param *params, size_t *count, dx_slice path, dx_slice at) {
    dx_slice name, rest = path;
    while (dx_path_next(&rest, NULL, &name)) {
        bool known = false;
        for (size_t i = 0; i < *count; i++) known = known || dx_slice_equal(params[i].name, name);
        if (known) continue;
        if (*count == DX_PARAM_COUNT_CAP) {
            refuse(r, at, "more than %d parameters", DX_PARAM_COUNT_CAP);
            return DX_OK;
        }
        params[(*count)++] =
            (dx_param){.name = name, .wire = name, .in = DX_IN_PATH, .type = DX_TYPE_ANY, .required = true, .explode = true};
    }
    return DX_OK;
}

static size_t count_path_params(dx_slice path) {
    size_t count = 0;
    dx_slice name;
    while (dx_path_next(&path, NULL, &name)) count++;
    return count;
}

static dx_status read_params(reading *r, dx_endpoint *endpoint, yyjson_val *settings, dx_slice at) {
    yyjson_val *list = yyjson_obj_get(settings, "params"), *key, *value;
    dx_slice place = below(r, at, DX_SLICE("params"));
    size_t index, size, count = 0, room = yyjson_obj_size(list) + count_path_params(endpoint->path);
    dx_param *params = room ? DX_ARENA_ARRAY(r->apis->arena, dx_param, room) : NULL;
    if (room && !params) return DX_NO_MEMORY;
    if (yyjson_obj_size(list) > DX_PARAM_COUNT_CAP) {
        refuse(r, place, "more than %d parameters", DX_PARAM_COUNT_CAP);
        return DX_OK;
    }
    yyjson_obj_foreach(list, index, size, key, value) {
        dx_status status = read_param(r, endpoint, &params[count++], dx_json_slice(key), value, below(r, place, dx_json_slice(key)));
        if (status != DX_OK) return status;
    }
    dx_status status = add_path_params(r, params, &count, endpoint->path, at);
    endpoint->params = params;
    endpoint->param_count = (uint16_t)count;
    return status;
}

// --- endpoints -------------------------------------------------------------------------------------------------------------------

static bool is_idempotent(dx_method method) {
    return method != DX_POST && method != DX_PATCH;
}

static dx_status read_body(reading *r, dx_endpoint *endpoint, yyjson_val *settings) {
    dx_slice type = dx_json_member_slice(yyjson_obj_get(settings, "body"), "content_type");
    endpoint->content_type = type.size ? keep_text(r, type) : DX_SLICE("application/json");
    endpoint->body_form =
        dx_http_media_is(endpoint->content_type, "application/x-www-form-urlencoded") ? DX_BODY_FORM_URLENCODED
        : dx_http_media_is(endpoint->content_type, "multipart/form-data")             ? DX_BODY_FORM_MULTIPART
        : dx_http_media_is(endpoint->content_type, "application/json") ||
                (endpoint->content_type.size > 5 &&
                 dx_slice_equal_nocase(dx_slice_from(endpoint->content_type, endpoint->content_type.size - 5), DX_SLICE("+json")))
            ? DX_BODY_FORM_JSON
            : DX_BODY_FORM_BYTES;
    return DX_OK;
}

static void find_wrap(reading *r, dx_endpoint *endpoint, yyjson_val *settings, dx_slice at) {
    dx_slice wrap = dx_json_member_slice(yyjson_obj_get(settings, "body"), "wrap");
    if (!wrap.size) return;
    for (size_t i = 0; i < endpoint->param_count; i++)
        if (dx_slice_equal(endpoint->params[i].name, wrap)) endpoint->wrap = &endpoint->params[i];
    if (!endpoint->wrap || endpoint->wrap->in != DX_IN_BODY)
        refuse(r, below(r, below(r, at, DX_SLICE("body")), DX_SLICE("wrap")), "there is no parameter \"%.*s\" in the body",
               DX_SLICE_ARG(wrap));
}

static void read_models(reading *r, dx_endpoint *endpoint, yyjson_val *settings, dx_slice at) {
    static const char *const names[] = {"request_model", "response_model"};
    for (int i = 0; i < 2; i++) {
        dx_slice name = dx_json_member_slice(settings, names[i]);
        if (i && name.size > 2 && dx_slice_equal(dx_slice_from(name, name.size - 2), DX_SLICE("[]"))) {
            endpoint->response_list = true;
            name.size -= 2;
        }
        if (name.size && !dx_models_has(r->apis->models, name)) {
            dx_slice near = dx_models_nearest(r->apis->models, name);
            refuse(r, below(r, at, dx_slice_str(names[i])), "there is no model \"%.*s\"%s%.*s%s", DX_SLICE_ARG(name),
                   near.size ? "; did you mean \"" : "", DX_SLICE_ARG(near), near.size ? "\"?" : "");
        }
        *(i ? &endpoint->response_model : &endpoint->request_model) = keep_text(r, name);
    }
}

static void check_pages(reading *r, const dx_endpoint *endpoint, dx_slice at) {
    dx_paginate paginate;
    dx_error problem;
    if (endpoint->paginate && dx_paginate_read(&paginate, r->apis->arena, endpoint, NULL, &problem))
        refuse(r, below(r, at, DX_SLICE("paginate")), "%s", problem.message);
}

static dx_status read_endpoint(reading *r, dx_endpoint *endpoint, const dx_api *api, dx_slice version, dx_slice name, yyjson_val *settings,
                               dx_slice at) {
    dx_slice method = dx_json_member_slice(settings, "method");
    yyjson_val *auth = yyjson_obj_get(settings, "auth_required"), *idempotent = yyjson_obj_get(settings, "idempotent");
    endpoint->api = api;
    endpoint->full = dx_arena_printf(r->apis->arena, "%.*s.%.*s.%.*s", DX_SLICE_ARG(api->name), DX_SLICE_ARG(version), DX_SLICE_ARG(name));
    if (!endpoint->full.data) return DX_NO_MEMORY;
    endpoint->version = dx_slice_of(endpoint->full.data + api->name.size + 1, version.size);
    endpoint->name = dx_slice_from(endpoint->full, api->name.size + version.size + 2);
    endpoint->summary = keep_text(r, dx_json_member_slice(settings, "summary"));
    endpoint->path = keep_text(r, dx_json_member_slice(settings, "path"));
    endpoint->method = method.size ? (uint8_t)dx_method_parse(method) : DX_GET;
    endpoint->auth_required = !auth || yyjson_get_bool(auth);
    endpoint->idempotent = idempotent ? yyjson_get_bool(idempotent) : is_idempotent((dx_method)endpoint->method);
    endpoint->paginate = keep_value(r, yyjson_obj_get(settings, "paginate"));
    // A bucket for each endpoint hangs on a chain for each.
    bool apart = dx_slice_equal(dx_json_member_slice(api->settings->rate_limit, "per"), DX_SLICE("endpoint"));
    dx_status status = (apart ? make_own_settings : make_settings)(r, &endpoint->settings, api->settings, settings, at);
    if (status == DX_OK) status = read_body(r, endpoint, settings);
    if (status == DX_OK) status = read_params(r, endpoint, settings, at);
    if (status != DX_OK) return status;
    find_wrap(r, endpoint, settings, at);
    read_models(r, endpoint, settings, at);
    check_pages(r, endpoint, at);
    dx_slice problem = {0};
    status = dx_path_compile(&endpoint->pieces, &endpoint->piece_count, r->apis->arena, endpoint->path, endpoint->params,
                             endpoint->param_count, &problem);
    if (problem.size) refuse(r, below(r, at, DX_SLICE("path")), "%.*s", DX_SLICE_ARG(problem));
    return status;
}

static dx_status add_name(dx_apis *apis, const dx_endpoint *endpoint, bool in_default_version) {
    dx_status status = dx_map_put(&apis->names, endpoint->full, (void *)(uintptr_t)endpoint);
    if (status != DX_OK || !in_default_version) return status;
    dx_slice name = dx_arena_printf(apis->arena, "%.*s.%.*s", DX_SLICE_ARG(endpoint->api->name), DX_SLICE_ARG(endpoint->name));
    return name.data ? dx_map_put(&apis->names, name, (void *)(uintptr_t)endpoint) : DX_NO_MEMORY;
}

static dx_status read_endpoints(reading *r, dx_api *api, yyjson_val *settings) {
    yyjson_val *versions = yyjson_obj_get(settings, "endpoints"), *version, *endpoints, *name, *value;
    dx_slice standard = dx_json_member_slice(settings, "default_version"), place = below(r, api->pointer, DX_SLICE("endpoints"));
    size_t i, n, j, m, total = 0;
    yyjson_obj_foreach(versions, i, n, version, endpoints) total += yyjson_obj_size(endpoints);
    api->endpoints = total ? DX_ARENA_ARRAY(r->apis->arena, const dx_endpoint *, total) : NULL;
    dx_endpoint *made = total ? DX_ARENA_ARRAY(r->apis->arena, dx_endpoint, total) : NULL;
    if (total && (!api->endpoints || !made)) return DX_NO_MEMORY;
    if (standard.size && !yyjson_obj_getn(versions, standard.data, standard.size))
        refuse(r, below(r, api->pointer, DX_SLICE("default_version")), "there is no version \"%.*s\" under endpoints",
               DX_SLICE_ARG(standard));
    yyjson_obj_foreach(versions, i, n, version, endpoints) {
        if (!standard.size) standard = dx_json_slice(version);
        dx_slice at = below(r, place, dx_json_slice(version));
        yyjson_obj_foreach(endpoints, j, m, name, value) {
            dx_status status =
                read_endpoint(r, made, api, dx_json_slice(version), dx_json_slice(name), value, below(r, at, dx_json_slice(name)));
            if (status == DX_OK) status = add_name(r->apis, made, dx_slice_equal(dx_json_slice(version), standard));
            if (status != DX_OK) return status;
            api->endpoints[api->endpoint_count++] = made++;
        }
    }
    return DX_OK;
}

// --- health ----------------------------------------------------------------------------------------------------------------------

static double number(yyjson_val *object, const char *name, double otherwise) {
    yyjson_val *value = yyjson_obj_get(object, name);
    return yyjson_is_num(value) ? yyjson_get_num(value) : otherwise;
}

// "status" or "v1.status", of this API.
static const dx_endpoint *find_endpoint(const dx_api *api, dx_slice name) {
    const dx_endpoint *found = NULL;
    for (size_t i = 0; i < api->endpoint_count && !found; i++) {
        const dx_endpoint *endpoint = api->endpoints[i];
        dx_slice full = dx_slice_from(endpoint->full, api->name.size + 1);
        if (dx_slice_equal(full, name) || dx_slice_equal(endpoint->name, name)) found = endpoint;
    }
    return found;
}

static void read_health(reading *r, dx_api *api, yyjson_val *settings) {
    yyjson_val *health = yyjson_obj_get(settings, "health");
    dx_slice name = dx_json_member_slice(health, "endpoint"), at = below(r, api->pointer, DX_SLICE("health"));
    dx_health_settings *out = &api->health_settings;
    *out = (dx_health_settings){.interval = (dx_nanos)(number(health, "interval", 60) * (double)DX_SECOND),
                                .window = (dx_nanos)(number(health, "window", 300) * (double)DX_SECOND),
                                .slow = (dx_nanos)(number(health, "slow", 5) * (double)DX_SECOND),
                                .degraded_below = number(health, "degraded_below", 0.95),
                                .unhealthy_below = number(health, "unhealthy_below", 0.90),
                                .min_calls = (uint64_t)number(health, "min_calls", 1)};
    if (out->unhealthy_below > out->degraded_below) refuse(r, at, "unhealthy_below is over degraded_below");
    if (!name.size) return;
    out->endpoint = find_endpoint(api, name);
    dx_slice place = below(r, at, DX_SLICE("endpoint"));
    if (!out->endpoint) {
        refuse(r, place, "there is no endpoint \"%.*s\" of this API", DX_SLICE_ARG(name));
        return;
    }
    for (size_t i = 0; i < out->endpoint->param_count; i++)
        if (out->endpoint->params[i].required && !out->endpoint->params[i].otherwise)
            refuse(r, place, "the endpoint needs the parameter \"%.*s\"", DX_SLICE_ARG(out->endpoint->params[i].name));
}

// --- APIs ------------------------------------------------------------------------------------------------------------------------

static dx_status read_url(reading *r, dx_api *api, dx_slice url) {
    api->secure = dx_slice_starts(url, DX_SLICE("https://"));
    dx_slice rest = dx_slice_from(url, api->secure ? 8 : 7);
    size_t slash = dx_slice_find(rest, '/');
    api->authority = slash == SIZE_MAX ? rest : dx_slice_of(rest.data, slash);
    api->base_path = slash == SIZE_MAX ? (dx_slice){"", 0} : dx_slice_from(rest, slash);
    while (api->base_path.size && api->base_path.data[api->base_path.size - 1] == '/') api->base_path.size--;
    api->origin = dx_arena_printf(r->apis->arena, "%s://%.*s", api->secure ? "https" : "http", DX_SLICE_ARG(api->authority));
    return api->origin.data ? DX_OK : DX_NO_MEMORY;
}

static dx_status read_api(reading *r, dx_slice name, const dx_settings *defaults, yyjson_val *settings) {
    dx_api *api = DX_ARENA_NEW(r->apis->arena, dx_api);
    if (!api) return DX_NO_MEMORY;
    api->apis = r->apis;
    api->name = keep_text(r, name);
    api->title = keep_text(r, dx_json_member_slice(settings, "title"));
    api->registered = r->apis->base != NULL;
    api->since = dx_clock_utc() / 1000;
    api->pointer = dx_json_pointer_join(r->apis->arena, DX_SLICE("/apis"), name);
    dx_status status = read_url(r, api, keep_text(r, dx_json_member_slice(settings, "base_url")));
    if (status == DX_OK) status = make_own_settings(r, &api->settings, defaults, settings, api->pointer);
    if (status == DX_OK) status = read_endpoints(r, api, settings);
    if (status != DX_OK) return status;
    read_health(r, api, settings);
    api->plain = (dx_endpoint){.api = api,
                               .settings = api->settings,
                               .name = DX_SLICE("request"),
                               .full = dx_arena_printf(r->apis->arena, "%.*s.request", DX_SLICE_ARG(name)),
                               .auth_required = true,
                               .open = true,
                               .content_type = DX_SLICE("application/json")};
    return api->plain.full.data && !r->no_memory ? dx_map_put(&r->apis->apis, api->name, api) : DX_NO_MEMORY;
}

static dx_status read_all(reading *r) {
    yyjson_val *section = dx_definition_section(r->apis->definition, "apis"), *key, *value;
    const dx_settings *farther = r->apis->base ? r->apis->base->defaults : NULL, **defaults = &r->apis->defaults;
    size_t at, count;
    dx_status status = dx_settings_maker_create(&r->apis->maker, r->apis->arena);
    if (status == DX_OK) dx_settings_maker_scratch(r->apis->maker, r->scratch);
    if (status == DX_OK) status = add_models(r);
    if (status == DX_OK) status = make_settings(r, defaults, farther, yyjson_obj_get(section, "defaults"), DX_SLICE("/apis/defaults"));
    if (status != DX_OK) return status;
    yyjson_obj_foreach(section, at, count, key, value) {
        if (dx_slice_equal(dx_json_slice(key), DX_SLICE("defaults"))) continue;
        status = read_api(r, dx_json_slice(key), *defaults, value);
        if (status != DX_OK) return status;
    }
    return r->refused ? DX_INVALID : DX_OK;
}

static dx_apis *make_apis(dx_apis *base) {
    dx_arena *arena = dx_arena_create(DX_APIS_ARENA_CAP);
    dx_apis *apis = arena ? DX_ARENA_NEW(arena, dx_apis) : NULL;
    if (!apis) {
        dx_arena_destroy(arena);
        return NULL;
    }
    apis->arena = arena;
    apis->base = base ? dx_apis_hold(base) : NULL;
    atomic_init(&apis->holders, 1);
    dx_map_init(&apis->names, NULL);
    dx_map_init(&apis->apis, arena);
    return apis;
}

static dx_status read_apis(dx_apis **out, const dx_definition *definition, bool keep, dx_apis *base, dx_diags *diags) {
    *out = NULL;
    dx_arena *scratch = dx_arena_create(DX_APIS_ARENA_CAP);
    dx_apis *apis = scratch ? make_apis(base) : NULL;
    if (!apis) {
        dx_arena_destroy(scratch);
        return DX_NO_MEMORY;
    }
    apis->definition = definition;
    reading r = {.apis = apis, .scratch = scratch, .keep = keep, .diags = diags};
    dx_map_init(&r.texts, scratch);
    dx_status status = read_all(&r);
    if (apis->maker) dx_settings_maker_scratch(apis->maker, NULL);
    dx_arena_destroy(scratch);
    if (status != DX_OK) {
        dx_apis_release(apis);
        return status;
    }
    *out = apis;
    return DX_OK;
}

dx_status dx_apis_read(dx_apis **out, const dx_definition *definition, dx_diags *diags) {
    return read_apis(out, definition, true, NULL, diags);
}

static dx_status create_over(dx_apis **out, dx_definition *definition, bool keep, dx_apis *base, dx_diags *diags) {
    dx_status status = read_apis(out, definition, keep, base, diags);
    if (status == DX_OK)
        (*out)->owned = definition;
    else
        dx_definition_destroy(definition);
    return status;
}

dx_status dx_apis_create(dx_apis **out, dx_definition *definition, bool keep, dx_diags *diags) {
    return create_over(out, definition, keep, NULL, diags);
}

dx_status dx_apis_load(dx_apis **out, const char *path, dx_slice text, const dx_definition_options *options, bool keep, dx_diags *diags) {
    return dx_apis_load_over(out, path, text, options, keep, NULL, diags);
}

dx_status dx_apis_load_over(dx_apis **out, const char *path, dx_slice text, const dx_definition_options *options, bool keep, dx_apis *base,
                            dx_diags *diags) {
    static const char *const others[] = {"resources", "identity", "management", "routes", "server", "files", NULL};
    const dx_section *const sections[] = {&dx_apis_section, &dx_models_section};
    dx_definition *definition;
    dx_definition_options own = options ? *options : (dx_definition_options){0};
    own.others = others;
    own.bare = "apis";
    own.text = text;
    *out = NULL;
    dx_status status = dx_definition_load(&definition, path, sections, DX_COUNT_OF(sections), &own, diags);
    return status == DX_OK ? create_over(out, definition, keep, base, diags) : status;
}

void dx_apis_forget_definition(dx_apis *apis) {
    if (apis->owned) dx_definition_destroy(apis->owned);
    apis->owned = NULL;
    apis->definition = NULL;
}

dx_apis *dx_apis_hold(dx_apis *apis) {
    (void)atomic_fetch_add_explicit(&apis->holders, 1, memory_order_relaxed);
    return apis;
}

void dx_apis_release(dx_apis *apis) {
    if (!apis || atomic_fetch_sub_explicit(&apis->holders, 1, memory_order_acq_rel) != 1) return;
    if (apis->gone) apis->gone(apis->gone_ctx, apis);
    dx_definition *definition = apis->owned;
    dx_apis *base = apis->base;
    dx_map_deinit(&apis->names);
    dx_arena_destroy(apis->arena); // the struct lies in it
    if (definition) dx_definition_destroy(definition);
    dx_apis_release(base);
}

// --- composing -------------------------------------------------------------------------------------------------------------------

typedef struct composing {
    dx_apis *made;
    dx_apis **held; // whom the APIs belong to
    size_t held_count;
} composing;

static void let_go(void *ctx) {
    dx_apis_release(ctx);
}

static dx_status hold_owner(composing *c, dx_apis *owner) {
    for (size_t i = c->held_count; i-- > 0;)
        if (c->held[i] == owner) return DX_OK;
    c->held[c->held_count++] = owner;
    return dx_arena_defer(c->made->arena, let_go, dx_apis_hold(owner));
}

static dx_status take_api(composing *c, const dx_api *api) {
    dx_status status = hold_owner(c, api->apis);
    if (status == DX_OK) status = dx_map_put(&c->made->apis, api->name, (void *)(uintptr_t)api);
    return status;
}

// Names of endpoints of APIs that were taken from this snapshot.
static dx_status take_names(composing *c, const dx_apis *from) {
    dx_map_entry *entry;
    for (size_t i = 0; (entry = dx_map_next(&from->names, &i));) {
        const dx_endpoint *endpoint = entry->value;
        if (dx_map_get(&c->made->apis, endpoint->api->name) != endpoint->api) continue;
        dx_status status = dx_map_put(&c->made->names, entry->key, entry->value);
        if (status != DX_OK) return status;
    }
    return DX_OK;
}

static dx_status take_all(composing *c, const dx_apis *from, dx_slice without) {
    dx_map_entry *entry;
    dx_status status = DX_OK;
    for (size_t i = 0; status == DX_OK && (entry = dx_map_next(&from->apis, &i));)
        if (!without.size || !dx_slice_equal(entry->key, without)) status = take_api(c, entry->value);
    return status;
}

dx_status dx_apis_compose(dx_apis **out, dx_apis *from, dx_slice without, dx_apis *with, dx_apis *base) {
    composing c = {.made = make_apis(base)};
    *out = NULL;
    if (!c.made) return DX_NO_MEMORY;
    c.made->maker = base->maker;
    c.made->models = base->models;
    c.made->defaults = base->defaults;
    c.held = DX_ARENA_ARRAY(c.made->arena, dx_apis *, from->apis.count + (with ? with->apis.count : 0) + 1);
    dx_status status = c.held ? take_all(&c, from, without) : DX_NO_MEMORY;
    if (status == DX_OK && with) status = take_all(&c, with, (dx_slice){0});
    if (status == DX_OK) status = take_names(&c, from);
    if (status == DX_OK && with) status = take_names(&c, with);
    if (status != DX_OK) {
        dx_apis_release(c.made);
        return status;
    }
    *out = c.made;
    return DX_OK;
}

const dx_endpoint *dx_apis_find(const dx_apis *apis, dx_slice name, dx_slice *nearest) {
    const dx_endpoint *found = dx_map_get(&apis->names, name);
    if (nearest) *nearest = found ? (dx_slice){0} : dx_map_nearest(&apis->names, name);
    return found;
}

const dx_api *dx_apis_api(const dx_apis *apis, dx_slice name, dx_slice *nearest) {
    const dx_api *found = dx_map_get(&apis->apis, name);
    if (nearest) *nearest = found ? (dx_slice){0} : dx_map_nearest(&apis->apis, name);
    return found;
}

dx_slice dx_endpoint_pointer(const dx_endpoint *endpoint, dx_arena *arena) {
    dx_slice at = endpoint->api->pointer;
    if (endpoint->open) return at;
    at = dx_json_pointer_join(arena, at, DX_SLICE("endpoints"));
    return dx_json_pointer_join(arena, dx_json_pointer_join(arena, at, endpoint->version), endpoint->name);
}
