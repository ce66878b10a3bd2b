// What middleware reads and changes of a call. Texts are copied into the call's arena, so that they end with a NUL and live as long.
#include "client/client.h"
#include "client/middleware.h"

static dx_exchange *x_of(const dx_middleware_view *view) {
    return &view->call->x;
}

static const char *text(const dx_middleware_view *view, dx_slice from) {
    return dx_arena_copy(view->call->arena, from).data;
}

static const char *find(const dx_middleware_view *view, const dx_fields *fields, const char *name) {
    dx_slice value = dx_fields_find(fields, dx_slice_str(name));
    return value.data ? text(view, value) : NULL;
}

// Takes a name's fields out and puts one in; a NULL value puts none.
static bool set(const dx_middleware_view *view, dx_fields *fields, const char *name, const char *value) {
    dx_arena *arena = view->call->arena;
    dx_slice wanted = dx_slice_str(name);
    dx_fields made = {0};
    if (!dx_field_name_valid(wanted)) return false;
    for (uint32_t i = 0; i < fields->count; i++) {
        const dx_field *field = &fields->items[i];
        if (!dx_slice_equal_nocase(field->name, wanted) && dx_fields_add(&made, arena, field->name, field->value) != DX_OK) return false;
    }
    if (value) {
        dx_slice own = dx_arena_copy(arena, wanted), copy = dx_arena_copy(arena, dx_slice_str(value));
        if (!own.data || !copy.data || dx_fields_add(&made, arena, own, copy) != DX_OK) return false;
    }
    *fields = made;
    return true;
}

// --- the request -----------------------------------------------------------------------------------------------------------------------

const char *dx_middleware_endpoint(const dx_middleware_view *view) {
    return view->call->endpoint_name;
}

const char *dx_middleware_method(const dx_middleware_view *view) {
    return dx_method_name(view->call->bound.method);
}

const char *dx_middleware_path(dx_middleware_view *view) {
    dx_slice query = view->call->bound.target;
    return text(view, dx_slice_cut(&query, '?'));
}

const char *dx_middleware_query(dx_middleware_view *view) {
    dx_slice query = view->call->bound.target;
    (void)dx_slice_cut(&query, '?');
    return query.data ? text(view, query) : "";
}

const char *dx_middleware_header(const dx_middleware_view *view, const char *name) {
    return find(view, &view->call->bound.fields, name);
}

const char *dx_middleware_body(const dx_middleware_view *view, size_t *size) {
    const dx_bound *bound = &view->call->bound;
    if (size) *size = bound->upload ? 0 : bound->body.size;
    return bound->upload ? NULL : text(view, bound->body);
}

bool dx_middleware_set_header(dx_middleware_view *view, const char *name, const char *value) {
    dx_call *call = view->call;
    if (!set(view, &call->bound.fields, name, value)) return false;
    call->x.request.fields = call->bound.fields;
    return true;
}

static bool can_stand_in_query(dx_slice query) {
    for (size_t i = 0; i < query.size; i++)
        if (query.data[i] <= ' ' || query.data[i] >= 127 || query.data[i] == '#') return false;
    return true;
}

bool dx_middleware_set_query(dx_middleware_view *view, const char *query) {
    dx_call *call = view->call;
    dx_slice given = dx_slice_str(query), rest = call->bound.target, path = dx_slice_cut(&rest, '?');
    if (!can_stand_in_query(given)) return false;
    dx_slice target = dx_arena_printf(call->arena, "%.*s%s%.*s", DX_SLICE_ARG(path), given.size ? "?" : "", DX_SLICE_ARG(given));
    if (!target.data) return false;
    call->bound.target = call->x.request.target = target;
    return true;
}

bool dx_middleware_set_body(dx_middleware_view *view, const char *body, size_t size) {
    dx_call *call = view->call;
    dx_slice copy = dx_arena_copy(call->arena, dx_slice_of(body, size));
    if (!copy.data) return false;
    call->bound.body = call->x.request.body = copy;
    call->bound.upload = call->upload = NULL;
    call->x.request.once = false;
    return true;
}

// --- the answer ------------------------------------------------------------------------------------------------------------------------

bool dx_middleware_answer(dx_middleware_view *view, int status, const char *content_type, const char *body, size_t size) {
    dx_exchange *x = x_of(view);
    dx_slice copy = dx_arena_copy(x->arena, dx_slice_of(body, body ? size : 0));
    dx_exchange_forget(x);
    bool made = copy.data && (!content_type || set(view, &x->response.fields, "Content-Type", content_type));
    if (!made) {
        (void)dx_exchange_fail_out(x, DX_ERROR_NO_MEMORY, NULL);
        return false;
    }
    x->response.status = status < 100 || status > 599 ? 500 : status;
    x->response.body = copy;
    return true;
}

void dx_middleware_fail(dx_middleware_view *view, dx_error_code code, const char *message) {
    if (code == DX_ERROR_NONE) code = DX_ERROR_INTERNAL;
    (void)dx_exchange_fail_out(x_of(view), code, message ? "%s" : NULL, message);
}

dx_error_code dx_middleware_error(const dx_middleware_view *view) {
    return x_of(view)->failure;
}

int dx_middleware_status(const dx_middleware_view *view) {
    return x_of(view)->failure == DX_ERROR_NONE ? x_of(view)->response.status : 0;
}

const char *dx_middleware_response_header(const dx_middleware_view *view, const char *name) {
    return find(view, &x_of(view)->response.fields, name);
}

const char *dx_middleware_response_body(const dx_middleware_view *view, size_t *size) {
    dx_slice body = view->call->has_sink ? (dx_slice){"", 0} : x_of(view)->response.body;
    if (size) *size = body.size;
    return text(view, body);
}

bool dx_middleware_set_response_header(dx_middleware_view *view, const char *name, const char *value) {
    return set(view, &x_of(view)->response.fields, name, value);
}

bool dx_middleware_set_response_body(dx_middleware_view *view, const char *body, size_t size) {
    dx_slice copy = dx_arena_copy(view->call->arena, dx_slice_of(body, size));
    if (!copy.data || view->call->has_sink) return false;
    x_of(view)->response.body = copy;
    return true;
}
