// Requests that came by an address which only redirects: sent to the same host and path over TLS. Health checks are answered as they are,
// for those who ask have no certificates to look at.
#include "server/parts.h"

static bool is_host_char(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '_';
}

// The Host field's name without its port. Only what can stand in a URL as it is: false for anything else.
static bool read_host(dx_slice field, dx_slice *host) {
    size_t size = 0;
    if (field.size && field.data[0] == '[') {
        size = dx_slice_find(field, ']');
        if (size == SIZE_MAX || size < 3) return false;
        for (size_t i = 1; i < size; i++) {
            if (!is_host_char(field.data[i]) && field.data[i] != ':') return false;
        }
        size++;
    } else {
        while (size < field.size && is_host_char(field.data[size])) size++;
    }
    *host = dx_slice_of(field.data, size);
    dx_slice port = dx_slice_from(field, size);
    uint64_t number;
    return size > 0 && (port.size == 0 || (port.data[0] == ':' && (port.size == 1 || dx_slice_to_u64(dx_slice_from(port, 1), &number))));
}

static dx_verdict redirect_in(const void *conf, dx_exchange *x) {
    const dx_settings *settings = conf;
    const dx_exchange_request *request = &x->request;
    dx_slice host, location;
    if (DX_LIKELY(!(request->tag & DX_TAG_REDIRECT)) || request->secure) return DX_NEXT;
    if (x->operation && dx_health_has(x->operation)) return DX_NEXT;
    if (!read_host(dx_fields_get(&request->fields, DX_FIELD_HOST), &host))
        return dx_exchange_fail(x, DX_BAD_REQUEST, "this address sends its clients to TLS, and the Host field does not say where");
    dx_slice path = request->path.size && request->path.data[0] == '/' ? request->path : DX_SLICE("/");
    const char *mark = request->query.data ? "?" : "";
    if (settings->redirect_port == 443)
        location =
            dx_arena_printf(x->arena, "https://%.*s%.*s%s%.*s", DX_SLICE_ARG(host), DX_SLICE_ARG(path), mark, DX_SLICE_ARG(request->query));
    else
        location = dx_arena_printf(x->arena, "https://%.*s:%u%.*s%s%.*s", DX_SLICE_ARG(host), (unsigned)settings->redirect_port,
                                   DX_SLICE_ARG(path), mark, DX_SLICE_ARG(request->query));
    if (!location.data) return dx_exchange_fail(x, DX_NO_MEMORY, NULL);
    dx_exchange_field(x, DX_SLICE("location"), location);
    return dx_exchange_empty(x, 308);
}

const dx_filter_ops dx_redirect_filter = {.name = "redirect", .in = redirect_in};
