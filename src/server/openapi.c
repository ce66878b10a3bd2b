// The OpenAPI 3.1 document: what the operations say of themselves, put together, with what holds for all of them: path parameters, who may
// call, and the problems that may be answered.
#include "base/map.h"
#include "codec/json.h"
#include "server/parts.h"

#define DOCUMENT_ARENA_CAP ((size_t)1 << 30)

typedef struct writer {
    const dx_app *app;
    dx_arena *arena;
    yyjson_mut_doc *doc;
    yyjson_mut_val *root, *paths, *tags;
    dx_map known_paths, known_tags;
    dx_status status;
} writer;

static yyjson_mut_val *text_of(writer *w, dx_slice text) {
    return yyjson_mut_strncpy(w->doc, text.size ? text.data : "", text.size);
}

static void add_slice(writer *w, yyjson_mut_val *object, const char *name, dx_slice text) {
    yyjson_mut_obj_add(object, yyjson_mut_str(w->doc, name), text_of(w, text));
}

static yyjson_mut_val *object_in(writer *w, yyjson_mut_val *object, const char *name) {
    yyjson_mut_val *found = yyjson_mut_obj_get(object, name);
    return found ? found : yyjson_mut_obj_add_obj(w->doc, object, name);
}

// --- the kinds of problems
// ------------------------------------------------------------------------------------------------------------------------

typedef struct problem_kind {
    const char *status, *description;
} problem_kind;
enum { P400, P401, P403, P404, P406, P413, P415, P503, PROBLEM_KINDS };
static const problem_kind problem_kinds[PROBLEM_KINDS] = {
    {"400", "The request could not be understood."},
    {"401", "Authentication is required, or the token is not valid."},
    {"403", "The caller may not do this."},
    {"404", "There is nothing here, or nothing that the caller may see."},
    {"406", "The Accept field refuses the representation that exists."},
    {"413", "The body is too large."},
    {"415", "The body's media type is not supported."},
    {"503", "The server can't answer at present; Retry-After says when to ask again."},
};

static yyjson_mut_val *problem_response(writer *w, const char *description, bool retry) {
    yyjson_mut_val *response = yyjson_mut_obj(w->doc);
    yyjson_mut_obj_add_str(w->doc, response, "description", description);
    if (retry) {
        yyjson_mut_val *headers = yyjson_mut_obj_add_obj(w->doc, response, "headers");
        yyjson_mut_val *header = yyjson_mut_obj_add_obj(w->doc, headers, "Retry-After");
        yyjson_mut_obj_add_str(w->doc, header, "description", "Seconds to wait");
        yyjson_mut_obj_add_str(w->doc, yyjson_mut_obj_add_obj(w->doc, header, "schema"), "type", "integer");
    }
    yyjson_mut_val *content = yyjson_mut_obj_add_obj(w->doc, response, "content");
    yyjson_mut_val *schema = yyjson_mut_obj_add_obj(w->doc, yyjson_mut_obj_add_obj(w->doc, content, "application/problem+json"), "schema");
    yyjson_mut_obj_add_str(w->doc, schema, "$ref", "#/components/schemas/Problem");
    return response;
}

// Refers to the shared response, under the name "Problem404".
static void may_answer(writer *w, yyjson_mut_val *responses, int kind) {
    const char *status = problem_kinds[kind].status;
    if (yyjson_mut_obj_get(responses, status)) return;
    dx_slice reference = dx_arena_printf(w->arena, "#/components/responses/Problem%s", status);
    add_slice(w, yyjson_mut_obj_add_obj(w->doc, responses, status), "$ref", reference);
}

static const char problem_schema[] =
    "{\"type\":\"object\",\"description\":\"A problem document (RFC 9457).\",\"required\":[\"type\",\"title\",\"status\",\"error_code\"],"
    "\"properties\":{\"type\":{\"type\":\"string\",\"format\":\"uri-reference\",\"description\":\"What kind of problem it is.\"},"
    "\"title\":{\"type\":\"string\"},\"status\":{\"type\":\"integer\",\"description\":\"The HTTP status.\"},"
    "\"detail\":{\"type\":\"string\",\"description\":\"What is wrong here.\"},"
    "\"instance\":{\"type\":\"string\",\"format\":\"uri-reference\"},\"path\":{\"type\":\"string\"},"
    "\"error_code\":{\"type\":\"string\",\"description\":\"A stable name of the kind, for programs.\"},"
    "\"timestamp\":{\"type\":\"string\",\"format\":\"date-time\"},"
    "\"trace_id\":{\"type\":\"string\",\"description\":\"Finds the request in the server's log.\"},"
    "\"errors\":{\"type\":\"array\",\"items\":{\"type\":\"object\",\"required\":[\"detail\"],\"properties\":{"
    "\"pointer\":{\"type\":\"string\",\"format\":\"json-pointer\",\"description\":\"Where in the body.\"},"
    "\"parameter\":{\"type\":\"string\",\"description\":\"Which query parameter.\"},"
    "\"detail\":{\"type\":\"string\"},\"suggestion\":{\"type\":\"string\"}}}}}}";

// --- an operation
// ---------------------------------------------------------------------------------------------------------------------------------

static bool describes_parameter(yyjson_mut_val *parameters, dx_slice name) {
    size_t at, count;
    yyjson_mut_val *parameter;
    yyjson_mut_arr_foreach(parameters, at, count, parameter) {
        yyjson_mut_val *found = yyjson_mut_obj_get(parameter, "name"), *place = yyjson_mut_obj_get(parameter, "in");
        if (yyjson_mut_equals_strn(found, name.data, name.size) && yyjson_mut_equals_str(place, "path")) return true;
    }
    return false;
}

static void add_parameter(writer *w, yyjson_mut_val *object, dx_slice name) {
    yyjson_mut_val *parameters = yyjson_mut_obj_get(object, "parameters");
    if (describes_parameter(parameters, name)) return;
    if (!parameters) parameters = yyjson_mut_obj_add_arr(w->doc, object, "parameters");
    yyjson_mut_val *parameter = yyjson_mut_arr_add_obj(w->doc, parameters);
    add_slice(w, parameter, "name", name);
    yyjson_mut_obj_add_str(w->doc, parameter, "in", "path");
    yyjson_mut_obj_add_true(w->doc, parameter, "required");
    yyjson_mut_obj_add_str(w->doc, yyjson_mut_obj_add_obj(w->doc, parameter, "schema"), "type", "string");
}

// "/files/{path*}" is "/files/{path}" there. Tells each parameter on the way; returns how many there are.
static size_t describe_path(writer *w, const dx_operation *operation, yyjson_mut_val *object) {
    size_t count = 0;
    for (dx_slice rest = operation->path; rest.data;) {
        dx_slice segment = dx_slice_cut(&rest, '/');
        if (segment.size < 3 || segment.data[0] != '{') continue;
        dx_slice name = dx_slice_of(segment.data + 1, segment.size - 2);
        if (name.data[name.size - 1] == '*') name.size--;
        add_parameter(w, object, name);
        count++;
    }
    return count;
}

static dx_slice openapi_path(writer *w, dx_slice path) {
    if (path.size < 3 || memcmp(path.data + path.size - 2, "*}", 2) != 0) return path;
    return dx_arena_printf(w->arena, "%.*s}", (int)path.size - 2, path.data);
}

static void describe_security(writer *w, const dx_operation *operation, yyjson_mut_val *object) {
    const dx_named_schema *schemes = w->app->schemes.items;
    if (operation->access.is_public || !w->app->schemes.count || yyjson_mut_obj_get(object, "security")) return;
    yyjson_mut_val *security = yyjson_mut_obj_add_arr(w->doc, object, "security");
    for (size_t i = 0; i < w->app->schemes.count; i++) {
        yyjson_mut_val *one = yyjson_mut_arr_add_obj(w->doc, security);
        yyjson_mut_obj_add(one, text_of(w, schemes[i].name), yyjson_mut_arr(w->doc));
    }
}

static void describe_problems(writer *w, const dx_operation *operation, yyjson_mut_val *object, bool has_parameters) {
    yyjson_mut_val *responses = object_in(w, object, "responses");
    bool body = operation->body != DX_BODY_NONE;
    if (body || has_parameters || yyjson_mut_obj_get(object, "parameters")) may_answer(w, responses, P400);
    if (!operation->access.is_public) may_answer(w, responses, P401);
    if (operation->access.role_count) may_answer(w, responses, P403);
    if (has_parameters) may_answer(w, responses, P404);
    if (operation->method != DX_DELETE) may_answer(w, responses, P406);
    if (body) may_answer(w, responses, P413);
    if (body) may_answer(w, responses, P415);
    may_answer(w, responses, P503);
    if (!yyjson_mut_obj_get(responses, "default"))
        yyjson_mut_obj_add_val(w->doc, responses, "default", problem_response(w, "Any other problem.", false));
}

static void gather_tags(writer *w, yyjson_mut_val *object) {
    size_t at, count;
    yyjson_mut_val *tag;
    yyjson_mut_arr_foreach(yyjson_mut_obj_get(object, "tags"), at, count, tag) {
        dx_slice name = dx_slice_of(yyjson_mut_get_str(tag), yyjson_mut_get_len(tag));
        if (dx_map_get(&w->known_tags, name)) continue;
        if (dx_map_put(&w->known_tags, name, tag) != DX_OK) w->status = DX_NO_MEMORY;
        add_slice(w, yyjson_mut_arr_add_obj(w->doc, w->tags), "name", name);
    }
}

static yyjson_mut_val *path_item(writer *w, dx_slice path) {
    yyjson_mut_val *item = dx_map_get(&w->known_paths, path);
    if (item) return item;
    item = yyjson_mut_obj(w->doc);
    if (!item || !yyjson_mut_obj_add(w->paths, text_of(w, path), item) || dx_map_put(&w->known_paths, path, item) != DX_OK)
        w->status = DX_NO_MEMORY;
    return item;
}

static void describe_operation(writer *w, const dx_operation *operation) {
    static const char *const names[DX_METHOD_COUNT] = {
        [DX_GET] = "get",     [DX_HEAD] = "head",     [DX_POST] = "post",   [DX_PUT] = "put",
        [DX_PATCH] = "patch", [DX_DELETE] = "delete", [DX_TRACE] = "trace", [DX_OPTIONS] = "options"};
    if (!operation->describe || operation->alias_of.size || !names[operation->method]) return;
    yyjson_mut_val *item = path_item(w, openapi_path(w, operation->path));
    if (!item) return;
    yyjson_mut_val *object = yyjson_mut_obj_add_obj(w->doc, item, names[operation->method]);
    add_slice(w, object, "operationId", operation->id);
    operation->describe(operation->conf, operation, w->doc, object);
    size_t parameters = describe_path(w, operation, object);
    describe_security(w, operation, object);
    describe_problems(w, operation, object, parameters > 0);
    gather_tags(w, object);
}

// --- the whole
// --------------------------------------------------------------------------------------------------------------------------------------

static void describe_info(writer *w) {
    const dx_settings *settings = &w->app->settings;
    yyjson_mut_obj_add_str(w->doc, w->root, "openapi", "3.1.0");
    yyjson_mut_val *info = yyjson_mut_obj_add_obj(w->doc, w->root, "info");
    add_slice(w, info, "title", settings->title);
    add_slice(w, info, "version", settings->version);
    if (settings->description.size) add_slice(w, info, "description", settings->description);
    yyjson_mut_val *servers = yyjson_mut_obj_add_arr(w->doc, w->root, "servers");
    yyjson_mut_obj_add_str(w->doc, yyjson_mut_arr_add_obj(w->doc, servers), "url", "/");
}

static void describe_named(writer *w, yyjson_mut_val *into, const dx_list *list) {
    const dx_named_schema *schemas = list->items;
    for (size_t i = 0; i < list->count; i++) {
        yyjson_mut_val *schema = schemas[i].describe(schemas[i].conf, w->doc);
        if (!schema || !yyjson_mut_obj_add(into, text_of(w, schemas[i].name), schema)) w->status = DX_NO_MEMORY;
    }
}

static void describe_components(writer *w) {
    yyjson_mut_val *components = yyjson_mut_obj_add_obj(w->doc, w->root, "components");
    yyjson_mut_val *schemas = yyjson_mut_obj_add_obj(w->doc, components, "schemas");
    yyjson_doc *problem = NULL;
    describe_named(w, schemas, &w->app->schemas);
    if (dx_json_read(&problem, w->arena, dx_slice_of(problem_schema, sizeof problem_schema - 1), NULL, NULL) != DX_OK)
        w->status = DX_NO_MEMORY;
    if (problem) yyjson_mut_obj_add_val(w->doc, schemas, "Problem", yyjson_val_mut_copy(w->doc, yyjson_doc_get_root(problem)));
    yyjson_mut_val *responses = yyjson_mut_obj_add_obj(w->doc, components, "responses");
    for (int i = 0; i < PROBLEM_KINDS; i++) {
        dx_slice name = dx_arena_printf(w->arena, "Problem%s", problem_kinds[i].status);
        yyjson_mut_obj_add(responses, text_of(w, name), problem_response(w, problem_kinds[i].description, i == P503));
    }
    if (!w->app->schemes.count) return;
    describe_named(w, yyjson_mut_obj_add_obj(w->doc, components, "securitySchemes"), &w->app->schemes);
}

static void describe_all(writer *w) {
    const dx_operation *const *operations = w->app->operations.items;
    w->root = yyjson_mut_obj(w->doc);
    w->tags = yyjson_mut_arr(w->doc);
    w->paths = yyjson_mut_obj(w->doc);
    describe_info(w);
    for (size_t i = 0; i < w->app->operations.count; i++) describe_operation(w, operations[i]);
    yyjson_mut_obj_add_val(w->doc, w->root, "tags", w->tags);
    yyjson_mut_obj_add_val(w->doc, w->root, "paths", w->paths);
    describe_components(w);
}

dx_status dx_openapi_write(const dx_app *app, dx_buffer *out, bool pretty) {
    writer w = {.app = app, .arena = dx_arena_create(DOCUMENT_ARENA_CAP)};
    if (w.arena) w.doc = dx_json_mut_doc(w.arena);
    dx_status status = DX_NO_MEMORY;
    if (w.doc) {
        dx_map_init(&w.known_paths, w.arena);
        dx_map_init(&w.known_tags, w.arena);
        describe_all(&w);
        if (w.root && w.status == DX_OK) dx_json_write_mut(out, w.root, pretty);
        status = !w.root ? DX_NO_MEMORY : w.status != DX_OK ? w.status : dx_buffer_status(out);
    }
    dx_arena_destroy(w.arena);
    return status;
}

static dx_status make(const void *conf, dx_buffer *out) {
    return dx_openapi_write(conf, out, false);
}

dx_status dx_openapi_add(dx_app *app) {
    dx_operation *operation = DX_ARENA_NEW(app->arena, dx_operation);
    if (!operation) return DX_NO_MEMORY;
    dx_document_init(&app->openapi, DX_SLICE("application/json"), DX_SLICE("no-cache"), (dx_slice){NULL, 0});
    app->openapi.make = make;
    app->openapi.conf = app;
    *operation = (dx_operation){.id = DX_SLICE("openapi.read"),
                                .method = DX_GET,
                                .path = DX_SLICE("/openapi.json"),
                                .handler = dx_document_answer,
                                .conf = &app->openapi,
                                .access = {.is_public = true}};
    return dx_app_add_operation(app, operation);
}
