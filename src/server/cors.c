// Cross-origin requests (Fetch standard, section 3.2): answers preflights, and tells browsers which origins may read an answer. An origin
// that is not allowed gets no CORS fields at all, and its browser refuses; the request itself is answered as any other.
#include "server/parts.h"

static bool is_allowed(const dx_cors *cors, dx_slice origin) {
    if (cors->any_origin) return true;
    for (size_t i = 0; i < cors->origin_count; i++)
        if (dx_slice_equal_nocase(cors->origins[i], origin)) return true;
    return false;
}

static void allow_origin(const dx_cors *cors, dx_exchange *x, dx_slice origin) {
    dx_exchange_field(x, DX_SLICE("access-control-allow-origin"), cors->any_origin ? DX_SLICE("*") : origin);
    if (cors->credentials) dx_exchange_field(x, DX_SLICE("access-control-allow-credentials"), DX_SLICE("true"));
}

static dx_verdict cors_in(const void *conf, dx_exchange *x) {
    const dx_cors *cors = conf;
    if (DX_LIKELY(x->request.method != DX_OPTIONS)) return DX_NEXT;
    dx_slice origin = dx_fields_get(&x->request.fields, DX_FIELD_ORIGIN);
    dx_slice method = dx_fields_get(&x->request.fields, DX_FIELD_REQUEST_METHOD);
    if (!origin.data || !method.data) return DX_NEXT; // an ordinary OPTIONS
    dx_exchange_field(x, DX_SLICE("vary"), DX_SLICE("origin, access-control-request-method, access-control-request-headers"));
    if (x->allow.size) dx_exchange_field(x, DX_SLICE("allow"), x->allow);
    if (is_allowed(cors, origin)) {
        allow_origin(cors, x, origin);
        dx_exchange_field(x, DX_SLICE("access-control-allow-methods"), cors->methods);
        if (cors->headers.size) dx_exchange_field(x, DX_SLICE("access-control-allow-headers"), cors->headers);
        dx_exchange_field(x, DX_SLICE("access-control-max-age"), cors->max_age);
    }
    return dx_exchange_empty(x, 204);
}

static void cors_out(const void *conf, dx_exchange *x) {
    const dx_cors *cors = conf;
    if (!cors->any_origin) dx_exchange_field(x, DX_SLICE("vary"), DX_SLICE("origin"));
    dx_slice origin = dx_fields_get(&x->request.fields, DX_FIELD_ORIGIN);
    if (!origin.data || !is_allowed(cors, origin)) return;
    allow_origin(cors, x, origin);
    if (cors->expose.size) dx_exchange_field(x, DX_SLICE("access-control-expose-headers"), cors->expose);
}

const dx_filter_ops dx_cors_filter = {.name = "cors", .in = cors_in, .out = cors_out};
