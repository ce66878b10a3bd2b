// The schema has checked the endpoint's setting but for what it can't know: whether the parameters are there. What a program gives for its
// own pages no schema has seen, so types are looked at here.
#include "client/pages_settings.h"

#include "client/fail.h"
#include "client/value.h"
#include "codec/json.h"

static const dx_slice type_names[] = {DX_SLICE_INIT("page"), DX_SLICE_INIT("offset"), DX_SLICE_INIT("cursor"), DX_SLICE_INIT("link"),
                                      DX_SLICE_INIT("next_url")};

typedef struct reading {
    dx_paginate *out;
    dx_arena *arena;
    const dx_endpoint *endpoint;
    yyjson_val *defined, *own;
    dx_error *error;
    dx_error_code code;
} reading;

DX_PRINTF(2, 3) static void refuse(reading *r, const char *format, ...) {
    va_list args;
    if (r->code) return;
    va_start(args, format);
    dx_slice why = dx_arena_vprintf(r->arena, format, args);
    va_end(args);
    r->code = dx_fail(r->error, r->own ? DX_ERROR_ARGUMENT : DX_ERROR_CONFIG, "%.*s: paginate%.*s", DX_SLICE_ARG(r->endpoint->full),
                      DX_SLICE_ARG(why));
}

static yyjson_val *member(const reading *r, const char *name) {
    yyjson_val *found = yyjson_obj_get(r->own, name);
    return found ? found : yyjson_obj_get(r->defined, name);
}

static dx_slice text(reading *r, const char *name) {
    yyjson_val *value = member(r, name);
    if (value && !yyjson_is_str(value)) refuse(r, ".%s must be a string", name);
    dx_slice given = dx_json_slice(value);
    if (!given.size) return (dx_slice){"", 0};
    dx_slice copy = dx_arena_copy(r->arena, given);
    if (!copy.data && !r->code) r->code = dx_fail(r->error, DX_ERROR_NO_MEMORY, "there is no memory for the pages");
    return copy;
}

static dx_slice pointer(reading *r, const char *name) {
    dx_slice found = text(r, name);
    if (found.size && found.data[0] != '/') refuse(r, ".%s must be a JSON pointer, which begins with a slash", name);
    return found;
}

static uint64_t number(reading *r, const char *name, uint64_t least, uint64_t most, uint64_t otherwise) {
    yyjson_val *value = member(r, name);
    if (!value) return otherwise;
    if (yyjson_is_uint(value) && yyjson_get_uint(value) >= least && yyjson_get_uint(value) <= most) return yyjson_get_uint(value);
    refuse(r, ".%s must be an integer from %llu to %llu", name, (unsigned long long)least, (unsigned long long)most);
    return otherwise;
}

static void read_type(reading *r) {
    dx_slice name = dx_json_slice(member(r, "type"));
    for (size_t i = 0; i < DX_COUNT_OF(type_names); i++) {
        if (!dx_slice_equal(name, type_names[i])) continue;
        r->out->type = (dx_paging)i;
        return;
    }
    refuse(r, ".type must be page, offset, cursor, link or next_url");
}

static void know_only(reading *r) {
    static const char *const names[] = {"type",          "items",    "param",    "size_param", "size",      "start",   "cursor",
                                        "cursor_header", "next_url", "has_more", "total",      "max_pages", "prefetch"};
    size_t at, count;
    yyjson_val *key, *value;
    yyjson_obj_foreach(r->own, at, count, key, value) {
        bool known = false;
        for (size_t i = 0; i < DX_COUNT_OF(names); i++) known = known || dx_slice_equal(dx_json_slice(key), dx_slice_str(names[i]));
        if (!known) refuse(r, " has no \"%.*s\"", DX_SLICE_ARG(dx_json_slice(key)));
    }
}

const dx_param *dx_paginate_param(const dx_endpoint *endpoint, dx_slice name) {
    for (size_t i = 0; i < endpoint->param_count; i++)
        if (dx_slice_equal(endpoint->params[i].name, name)) return &endpoint->params[i];
    return NULL;
}

static uint64_t default_of(const reading *r, dx_slice name, uint64_t otherwise) {
    const dx_param *param = name.size ? dx_paginate_param(r->endpoint, name) : NULL;
    return param && param->otherwise && param->otherwise->kind == DX_GIVEN_UINT ? param->otherwise->as.u64 : otherwise;
}

static void need_param(reading *r, const char *setting, dx_slice name) {
    if (name.size && !dx_paginate_param(r->endpoint, name))
        refuse(r, ".%s is \"%.*s\", which is none of the endpoint's params", setting, DX_SLICE_ARG(name));
}

static void read_members(reading *r) {
    dx_paginate *out = r->out;
    read_type(r);
    bool counts = out->type == DX_PAGING_PAGE || out->type == DX_PAGING_OFFSET;
    out->items = pointer(r, "items");
    out->param = text(r, "param");
    out->size_param = text(r, "size_param");
    out->cursor = pointer(r, "cursor");
    out->cursor_header = text(r, "cursor_header");
    out->next_url = pointer(r, "next_url");
    out->has_more = pointer(r, "has_more");
    out->total = pointer(r, "total");
    if (out->type > DX_PAGING_CURSOR) out->param = (dx_slice){"", 0};
    if (!out->param.size && out->type <= DX_PAGING_CURSOR) out->param = type_names[out->type];
    need_param(r, "param", out->param);
    need_param(r, "size_param", out->size_param);
    out->size = number(r, "size", 1, 100000, default_of(r, out->size_param, 0));
    out->start = number(r, "start", 0, INT64_MAX, default_of(r, counts ? out->param : (dx_slice){0}, out->type == DX_PAGING_PAGE));
    out->max_pages = number(r, "max_pages", 1, INT64_MAX, 10000);
    out->prefetch = (unsigned)number(r, "prefetch", 0, DX_PAGES_PREFETCH_CAP, 0);
    if (out->type == DX_PAGING_CURSOR && !out->cursor.size && !out->cursor_header.size)
        refuse(r, " of the type cursor needs cursor or cursor_header");
    if (out->type == DX_PAGING_NEXT_URL && !out->next_url.size) refuse(r, " of the type next_url needs next_url");
}

dx_error_code dx_paginate_read(dx_paginate *out, dx_arena *arena, const dx_endpoint *endpoint, const char *own, dx_error *error) {
    reading r = {.out = out, .arena = arena, .endpoint = endpoint, .defined = endpoint->paginate, .error = error};
    yyjson_doc *document;
    memset(out, 0, sizeof *out);
    if (own) {
        dx_status status = dx_json_read(&document, arena, dx_slice_str(own), NULL, NULL);
        if (status == DX_NO_MEMORY) return dx_fail(error, DX_ERROR_NO_MEMORY, "there is no memory for the pages");
        r.own = status == DX_OK ? yyjson_doc_get_root(document) : NULL;
        if (!yyjson_is_obj(r.own))
            return dx_fail(error, DX_ERROR_ARGUMENT, "%.*s: paginate of the options is no JSON object", DX_SLICE_ARG(endpoint->full));
        know_only(&r);
    } else if (!endpoint->paginate) {
        return dx_fail(error, DX_ERROR_CONFIG, "%.*s has no pages: say in the definition how they follow each other (\"paginate\")",
                       DX_SLICE_ARG(endpoint->full));
    }
    read_members(&r);
    return r.code;
}
