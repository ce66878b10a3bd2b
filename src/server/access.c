// Who may run an operation, and whether its answer can be read: the filters behind authentication.
#include "server/parts.h"

static dx_verdict access_in(const void *conf, dx_exchange *x) {
    const dx_access *access = conf;
    if (DX_UNLIKELY(!x->principal)) {
        dx_exchange_field(x, DX_SLICE("www-authenticate"), DX_SLICE("Bearer"));
        return dx_exchange_fail(x, DX_UNAUTHENTICATED, "send a token in the Authorization field");
    }
    if (access->role_count == 0) return DX_NEXT;
    for (size_t i = 0; i < access->role_count; i++)
        if (dx_principal_has_role(x->principal, access->roles[i])) return DX_NEXT;
    return dx_exchange_fail(x, DX_FORBIDDEN, "the caller has none of the roles that this needs");
}

static bool takes_json(dx_slice accept) {
    if (DX_LIKELY(dx_slice_equal(accept, DX_SLICE("*/*")) || dx_slice_equal(accept, DX_SLICE("application/json")))) return true;
    return dx_http_accept_quality(accept, "application/json") > 0 || dx_http_accept_quality(accept, "application/problem+json") > 0;
}

// Answers are JSON. A client is refused only when its Accept leaves no room at all for it.
static dx_verdict accept_in(const void *conf, dx_exchange *x) {
    (void)conf;
    bool any = false;
    for (uint32_t i = 0; i < x->request.fields.count; i++) { // a list may come in several fields (RFC 9110 section 5.3)
        const dx_field *field = &x->request.fields.items[i];
        if (field->id != DX_FIELD_ACCEPT) continue;
        if (takes_json(field->value)) return DX_NEXT;
        any = true;
    }
    if (!any) return DX_NEXT;
    return dx_exchange_fail(x, DX_NOT_ACCEPTABLE, "answers are application/json, which the Accept field refuses");
}

const dx_filter_ops dx_access_filter = {.name = "access", .in = access_in};
const dx_filter_ops dx_accept_filter = {.name = "accept", .in = accept_in};
