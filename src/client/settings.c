// Layers are merged as trees, so that whatever a setting is made of, the nearest counts field by field; then the tree is read once. Objects
// are merged, all else is replaced; an auth with a type replaces the one below whole, for its other members mean something else there.
#include "client/settings.h"

#include <stdatomic.h>

#include "base/log.h"
#include "client/apis.h"
#include "config/definition.h"

struct dx_settings_maker {
    yyjson_val *known; // the schema's $defs/settings/properties
    yyjson_val *innermost;
    dx_settings *defaults;
    dx_arena *scratch; // for what is thrown away; NULL: the arena of what is made
};

// --- the schema's defaults -------------------------------------------------------------------------------------------------------

static yyjson_mut_val *defaults_of(yyjson_mut_doc *doc, yyjson_val *properties) {
    yyjson_mut_val *object = yyjson_mut_obj(doc);
    size_t at, count;
    yyjson_val *key, *schema;
    yyjson_obj_foreach(properties, at, count, key, schema) {
        yyjson_val *value = yyjson_obj_get(schema, "x-default"), *inner = yyjson_obj_get(schema, "properties");
        bool optional = yyjson_is_arr(yyjson_obj_get(schema, "type")) || yyjson_obj_get(schema, "required"); // absent means none
        yyjson_mut_val *made = value ? yyjson_val_mut_copy(doc, value) : inner && !optional ? defaults_of(doc, inner) : NULL;
        if (made && !yyjson_mut_obj_add(object, yyjson_val_mut_copy(doc, key), made)) return NULL;
    }
    return object;
}

// --- merging ---------------------------------------------------------------------------------------------------------------------

static yyjson_mut_val *merge(yyjson_mut_doc *doc, yyjson_val *below, yyjson_val *above) {
    if (!yyjson_is_obj(above) || !yyjson_is_obj(below)) return yyjson_val_mut_copy(doc, above);
    yyjson_mut_val *object = yyjson_mut_obj(doc);
    size_t at, count;
    yyjson_val *key, *value;
    yyjson_obj_foreach(below, at, count, key, value) {
        dx_slice name = dx_json_slice(key);
        yyjson_val *over = yyjson_obj_getn(above, name.data, name.size);
        yyjson_mut_val *made = over ? merge(doc, value, over) : yyjson_val_mut_copy(doc, value);
        if (!made || !yyjson_mut_obj_add(object, yyjson_val_mut_copy(doc, key), made)) return NULL;
    }
    yyjson_obj_foreach(above, at, count, key, value) {
        dx_slice name = dx_json_slice(key);
        if (yyjson_obj_getn(below, name.data, name.size)) continue;
        if (!yyjson_mut_obj_add(object, yyjson_val_mut_copy(doc, key), yyjson_val_mut_copy(doc, value))) return NULL;
    }
    return object;
}

// An optional setting that a layer gives anew gets the schema's defaults of its members beneath.
static yyjson_val *defaults_below(const dx_settings_maker *maker, yyjson_mut_doc *doc, dx_arena *arena, dx_slice name) {
    yyjson_val *schema = yyjson_obj_getn(maker->known, name.data, name.size), *inner = yyjson_obj_get(schema, "properties");
    if (!inner) return NULL;
    yyjson_mut_val *made = defaults_of(doc, inner);
    yyjson_alc alc = dx_json_alc(maker->scratch ? maker->scratch : arena);
    yyjson_doc *fixed = made ? yyjson_mut_val_imut_copy(made, &alc) : NULL;
    return yyjson_doc_get_root(fixed);
}

static bool replaces_whole(dx_slice name, yyjson_val *value) {
    return dx_slice_equal(name, DX_SLICE("auth")) && yyjson_obj_get(value, "type");
}

static bool add_merged(yyjson_mut_doc *doc, yyjson_mut_val *object, dx_slice name, yyjson_val *below, yyjson_val *above) {
    yyjson_mut_val *made = below && !replaces_whole(name, above) ? merge(doc, below, above) : yyjson_val_mut_copy(doc, above);
    yyjson_mut_val *key = yyjson_mut_strn(doc, name.data, name.size);
    return made && key && yyjson_mut_obj_put(object, key, made);
}

// The settings of `above`, and nothing else of it, over `below`.
static yyjson_val *lay_over(const dx_settings_maker *maker, dx_arena *arena, yyjson_val *below, yyjson_val *above) {
    yyjson_mut_doc *doc = dx_json_mut_doc(maker->scratch ? maker->scratch : arena);
    yyjson_mut_val *object = doc ? yyjson_val_mut_copy(doc, below) : NULL;
    size_t at, count;
    yyjson_val *key, *value;
    if (!object) return NULL;
    yyjson_obj_foreach(above, at, count, key, value) {
        dx_slice name = dx_json_slice(key);
        if (!dx_settings_has(maker, name)) continue;
        yyjson_val *base = yyjson_obj_getn(below, name.data, name.size);
        if (!yyjson_is_obj(base)) base = yyjson_is_obj(value) ? defaults_below(maker, doc, arena, name) : NULL;
        if (!add_merged(doc, object, name, base, value)) return NULL;
    }
    yyjson_alc alc = dx_json_alc(arena);
    return yyjson_doc_get_root(yyjson_mut_val_imut_copy(object, &alc));
}

void dx_settings_maker_scratch(dx_settings_maker *maker, dx_arena *scratch) {
    maker->scratch = scratch;
}

bool dx_settings_has(const dx_settings_maker *maker, dx_slice name) {
    return yyjson_obj_getn(maker->known, name.data, name.size) != NULL;
}

// --- reading ---------------------------------------------------------------------------------------------------------------------

static dx_nanos seconds(yyjson_val *object, const char *name) {
    return (dx_nanos)(yyjson_get_num(yyjson_obj_get(object, name)) * (double)DX_SECOND);
}

static bool flag(yyjson_val *object, const char *name) {
    return yyjson_get_bool(yyjson_obj_get(object, name));
}

static size_t number(yyjson_val *object, const char *name) {
    return (size_t)yyjson_get_uint(yyjson_obj_get(object, name));
}

static yyjson_val *part(yyjson_val *tree, const char *name) {
    yyjson_val *value = yyjson_obj_get(tree, name);
    return yyjson_is_null(value) ? NULL : value;
}

static const char *text(yyjson_val *object, const char *name) {
    return yyjson_get_str(yyjson_obj_get(object, name)); // NUL-terminated: it lies in a document
}

static dx_status read_list(const dx_slice **out, size_t *count, dx_arena *arena, yyjson_val *list) {
    size_t at, size;
    yyjson_val *item;
    *count = yyjson_arr_size(list);
    dx_slice *items = *count ? DX_ARENA_ARRAY(arena, dx_slice, *count) : NULL;
    if (*count && !items) return DX_NO_MEMORY;
    yyjson_arr_foreach(list, at, size, item) items[at] = dx_json_slice(item);
    *out = items;
    return DX_OK;
}

uint64_t dx_wire_serial(void) {
    static atomic_uint_least64_t last; // only has to differ: no state that anybody could see
    return atomic_fetch_add_explicit(&last, 1, memory_order_relaxed) + 1;
}

static bool same_text(const char *a, const char *b) {
    return a == b || (a && b && strcmp(a, b) == 0);
}

static bool same_list(const dx_slice *a, size_t a_count, const dx_slice *b, size_t b_count) {
    if (a_count != b_count) return false;
    for (size_t i = 0; i < a_count; i++)
        if (!dx_slice_equal(a[i], b[i])) return false;
    return true;
}

// Settings that come out the same share their connections, and their number of them, however many layers say so.
static bool same_wire(const dx_wire_settings *a, const dx_wire_settings *b) {
    return a->connect_timeout == b->connect_timeout && a->idle_timeout == b->idle_timeout && a->max_idle == b->max_idle &&
           a->max_lifetime == b->max_lifetime && a->verify_tls == b->verify_tls && a->http2 == b->http2 && a->http1_only == b->http1_only &&
           a->max_body == b->max_body && a->max_connections == b->max_connections && a->max_queue == b->max_queue &&
           a->queue_timeout == b->queue_timeout && a->guard == b->guard && same_text(a->ca_file, b->ca_file) &&
           same_text(a->certificate, b->certificate) && same_text(a->key, b->key) && same_text(a->key_password, b->key_password) &&
           same_text(a->proxy, b->proxy) && same_list(a->guard_hosts, a->guard_host_count, b->guard_hosts, b->guard_host_count) &&
           same_list(a->guard_ranges, a->guard_range_count, b->guard_ranges, b->guard_range_count);
}

static dx_status read_wire(dx_wire_settings *wire, dx_arena *arena, yyjson_val *tree) {
    yyjson_val *pool = yyjson_obj_get(tree, "pool"), *guard = yyjson_obj_get(tree, "guard"), *own = part(tree, "client_certificate");
    dx_slice version = dx_json_member_slice(tree, "http_version");
    *wire = (dx_wire_settings){.serial = dx_wire_serial(),
                               .connect_timeout = seconds(tree, "connect_timeout"),
                               .idle_timeout = seconds(tree, "idle_timeout"),
                               .max_idle = seconds(pool, "max_idle"),
                               .max_lifetime = seconds(pool, "max_lifetime"),
                               .verify_tls = flag(tree, "verify_tls"),
                               .http2 = dx_slice_equal(version, DX_SLICE("2")),
                               .http1_only = dx_slice_equal(version, DX_SLICE("1.1")),
                               .ca_file = text(tree, "ca_file"),
                               .certificate = text(own, "certificate"),
                               .key = text(own, "key"),
                               .key_password = text(own, "password"),
                               .proxy = text(tree, "proxy"),
                               .guard = flag(guard, "enabled"),
                               .max_connections = number(pool, "max_connections"),
                               .max_queue = number(pool, "max_queue"),
                               .queue_timeout = seconds(pool, "queue_timeout")};
    (void)dx_size_read(dx_json_member_slice(tree, "max_body"), &wire->max_body); // the schema has its pattern
    dx_status status = read_list(&wire->guard_hosts, &wire->guard_host_count, arena, yyjson_obj_get(guard, "allow_hosts"));
    if (status == DX_OK) status = read_list(&wire->guard_ranges, &wire->guard_range_count, arena, yyjson_obj_get(guard, "allow"));
    return status;
}

static void read_retry(dx_retry_settings *retry, yyjson_val *tree) {
    yyjson_val *from = yyjson_obj_get(tree, "retry"), *budget = yyjson_obj_get(from, "budget"),
               *key = yyjson_obj_get(from, "idempotency_key"), *item;
    size_t at, count;
    *retry = (dx_retry_settings){.conf = {.attempts = (unsigned)number(from, "attempts"),
                                          .backoff = {.delay = seconds(from, "delay"),
                                                      .max_delay = seconds(from, "max_delay"),
                                                      .factor = yyjson_get_num(yyjson_obj_get(from, "backoff_factor")),
                                                      .jitter = flag(from, "jitter")},
                                          .retry_after_cap = seconds(from, "retry_after_cap"),
                                          .on_network = flag(from, "on_network"),
                                          .on_timeout = flag(from, "on_timeout")},
                                 .key_header = yyjson_is_str(key)     ? dx_json_slice(key)
                                               : yyjson_get_bool(key) ? DX_SLICE("Idempotency-Key")
                                                                      : (dx_slice){0},
                                 .budget_ratio = yyjson_get_num(yyjson_obj_get(budget, "ratio")),
                                 .budget_reserve = (unsigned)number(budget, "reserve")};
    yyjson_arr_foreach(yyjson_obj_get(from, "on_status"), at, count, item) dx_retry_add_status(&retry->conf, (int)yyjson_get_uint(item));
}

static void remove_header(dx_fields *fields, dx_slice name) {
    uint32_t kept = 0;
    for (uint32_t i = 0; i < fields->count; i++)
        if (!dx_slice_equal_nocase(fields->items[i].name, name)) fields->items[kept++] = fields->items[i];
    fields->count = kept;
}

bool dx_field_frames(dx_slice name) {
    dx_field_id id = dx_field_lookup(name);
    return id == DX_FIELD_CONTENT_LENGTH || id == DX_FIELD_TRANSFER_ENCODING || id == DX_FIELD_CONNECTION || id == DX_FIELD_UPGRADE;
}

// Some servers refuse who has no name.
static const dx_field usual_headers[] = {
    {DX_SLICE_INIT("User-Agent"), DX_SLICE_INIT("libduplex/" DX_VERSION), DX_FIELD_USER_AGENT},
    {DX_SLICE_INIT("Accept"), DX_SLICE_INIT("application/json, */*;q=0.8"), DX_FIELD_ACCEPT},
};

static dx_status add_usual_headers(dx_settings *s, dx_arena *arena) {
    dx_status status = DX_OK;
    s->own_accept = true;
    if (!s->headers.count) {
        s->headers = (dx_fields){(dx_field *)(uintptr_t)usual_headers, DX_COUNT_OF(usual_headers), DX_COUNT_OF(usual_headers)};
        return status;
    }
    for (size_t i = 0; i < DX_COUNT_OF(usual_headers) && status == DX_OK; i++) {
        const dx_field *usual = &usual_headers[i];
        if (!dx_fields_find(&s->headers, usual->name).data)
            status = dx_fields_add(&s->headers, arena, usual->name, usual->value);
        else if (usual->id == DX_FIELD_ACCEPT)
            s->own_accept = false;
    }
    return status;
}

static dx_status read_headers(dx_settings *s, dx_arena *arena, dx_slice at, dx_diags *diags) {
    size_t index, count;
    yyjson_val *key, *value;
    dx_status result = DX_OK;
    yyjson_obj_foreach(yyjson_obj_get(s->tree, "default_headers"), index, count, key, value) {
        remove_header(&s->headers, dx_json_slice(key)); // a farther layer's, which may write the name in another case
        if (yyjson_is_null(value)) continue;
        if (dx_field_frames(dx_json_slice(key))) {
            (void)dx_diags_add(diags, DX_INVALID, dx_json_pointer_join(arena, at, DX_SLICE("default_headers")),
                               "%s is set by the library alone", yyjson_get_str(key));
            result = DX_INVALID;
            continue;
        }
        dx_status status = dx_fields_add(&s->headers, arena, dx_json_slice(key), dx_json_slice(value));
        if (status == DX_NO_MEMORY) return status;
        if (status == DX_OK) continue;
        dx_slice pointer = dx_json_pointer_join(arena, dx_json_pointer_join(arena, at, DX_SLICE("default_headers")), dx_json_slice(key));
        (void)dx_diags_add(diags, DX_INVALID, pointer, "a header's value can't have line breaks or NUL in it");
        result = DX_INVALID;
    }
    return result == DX_OK ? add_usual_headers(s, arena) : result;
}

static dx_status read_tree(dx_settings *s, dx_arena *arena, dx_slice at, dx_diags *diags) {
    yyjson_val *tree = s->tree, *validate = yyjson_obj_get(tree, "validate"), *redirect = yyjson_obj_get(tree, "redirect"),
               *log = yyjson_obj_get(tree, "log");
    dx_log_level level = DX_LOG_DEBUG;
    (void)dx_log_level_parse(dx_json_member_slice(log, "level"), &level);
    s->timeout = seconds(tree, "timeout");
    s->raise = flag(tree, "raise_on_error");
    s->validate_request = flag(validate, "request");
    s->validate_response = flag(validate, "response");
    s->strict = flag(validate, "strict");
    s->trace = flag(tree, "trace");
    dx_slice naming = dx_json_member_slice(tree, "case"); // what the API has; callers see the other
    s->naming = dx_slice_equal(naming, DX_SLICE("camel"))   ? DX_CASE_SNAKE
                : dx_slice_equal(naming, DX_SLICE("snake")) ? DX_CASE_CAMEL
                                                            : DX_CASE_AS_IS;
    s->redirect = (dx_redirect_settings){flag(redirect, "follow"), flag(redirect, "cross_origin"), (unsigned)number(redirect, "max")};
    s->log = (dx_log_settings){(int)level, flag(log, "bodies"), number(log, "body_cap"), yyjson_obj_get(log, "redact")};
    s->auth = part(tree, "auth");
    s->breaker = flag(part(tree, "breaker"), "enabled") ? part(tree, "breaker") : NULL;
    s->hedge = flag(part(tree, "hedge"), "enabled") ? part(tree, "hedge") : NULL;
    s->rate_limit = part(tree, "rate_limit");
    s->cache = flag(part(tree, "cache"), "enabled") ? part(tree, "cache") : NULL;
    s->sanitize = part(tree, "sanitize");
    s->filter_output = part(tree, "filter_output");
    s->middleware = part(tree, "middleware");
    read_retry(&s->retry, tree);
    dx_status status = read_wire(&s->wire, arena, tree);
    if (s->wire.guard && s->wire.proxy && *s->wire.proxy) {
        (void)dx_diags_add(diags, DX_INVALID, dx_json_pointer_join(arena, at, DX_SLICE("proxy")),
                           "a proxy resolves names itself, so that the guard could judge no address: only one of the two can be");
        return DX_INVALID;
    }
    return status == DX_OK ? read_headers(s, arena, at, diags) : status;
}

static bool says_anything(const dx_settings_maker *maker, yyjson_val *above) {
    size_t at, count;
    yyjson_val *key, *value;
    yyjson_obj_foreach(above, at, count, key, value) if (dx_settings_has(maker, dx_json_slice(key))) return true;
    return false;
}

dx_status dx_settings_make(const dx_settings **out, const dx_settings_maker *maker, dx_arena *arena, const dx_settings *below,
                           yyjson_val *above, dx_slice at, dx_diags *diags) {
    if (!below) below = maker->defaults;
    *out = below;
    if (below && !says_anything(maker, above)) return DX_OK;
    dx_settings *made = DX_ARENA_NEW(arena, dx_settings);
    if (!made) return DX_NO_MEMORY;
    made->tree = lay_over(maker, arena, below ? below->tree : maker->innermost, above);
    made->chain = (dx_chain){0};
    made->own_limit = yyjson_is_obj(yyjson_obj_get(above, "rate_limit"));
    if (!made->tree) return DX_NO_MEMORY;
    *out = made;
    dx_status status = read_tree(made, arena, at, diags);
    if (below && same_wire(&made->wire, &below->wire)) made->wire.serial = below->wire.serial;
    return status;
}

dx_status dx_settings_maker_create(dx_settings_maker **out, dx_arena *arena) {
    dx_settings_maker *maker = DX_ARENA_NEW(arena, dx_settings_maker);
    yyjson_doc *schema = NULL;
    yyjson_mut_doc *doc = dx_json_mut_doc(arena);
    if (!maker || !doc) return DX_NO_MEMORY;
    dx_status status = dx_json_read(&schema, arena, dx_slice_str(dx_apis_section.schema), NULL, NULL);
    if (status != DX_OK) return status;
    maker->known = yyjson_obj_get(yyjson_obj_get(yyjson_obj_get(yyjson_doc_get_root(schema), "$defs"), "settings"), "properties");
    yyjson_alc alc = dx_json_alc(arena);
    yyjson_mut_val *innermost = defaults_of(doc, maker->known);
    maker->innermost = innermost ? yyjson_doc_get_root(yyjson_mut_val_imut_copy(innermost, &alc)) : NULL;
    const dx_settings *defaults = NULL;
    status = maker->innermost ? dx_settings_make(&defaults, maker, arena, NULL, NULL, (dx_slice){"", 0}, NULL) : DX_NO_MEMORY;
    maker->defaults = (dx_settings *)defaults;
    *out = maker;
    return status;
}
