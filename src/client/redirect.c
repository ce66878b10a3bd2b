// Redirects (RFC 9110 section 15.4). Where one leads to another origin, everything that made the request somebody's stays behind: what the
// auth handler added, cookies, secret parameters in headers, and the definition's own headers, which may hold keys.
#include "client/redirect.h"

#include "client/auth.h"
#include "client/call.h"
#include "client/guard.h"

static bool is_redirect(int status) {
    return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

// An absolute URL taken apart; false: it is none that can be called.
typedef struct place {
    bool secure;
    dx_slice authority, target;
} place;

static bool take_apart(dx_slice url, place *out) {
    out->secure = url.size > 8 && dx_slice_equal_nocase(dx_slice_of(url.data, 8), DX_SLICE("https://"));
    bool plain = !out->secure && url.size > 7 && dx_slice_equal_nocase(dx_slice_of(url.data, 7), DX_SLICE("http://"));
    if (!out->secure && !plain) return false;
    dx_slice rest = dx_slice_from(url, out->secure ? 8 : 7);
    size_t end = 0;
    while (end < rest.size && !strchr("/?#", rest.data[end])) end++;
    out->authority = dx_slice_of(rest.data, end);
    out->target = dx_slice_from(rest, end);
    size_t fragment = dx_slice_find(out->target, '#');
    if (fragment != SIZE_MAX) out->target.size = fragment;
    return out->authority.size && dx_slice_find(out->authority, '@') == SIZE_MAX;
}

static dx_slice folder_of(dx_slice path) {
    size_t end = path.size;
    while (end && path.data[end - 1] != '/') end--;
    return dx_slice_of(path.data, end);
}

// A reference against the request that it answers (RFC 3986 section 5.2, but for dot segments, which servers resolve).
static bool resolve(dx_exchange *x, dx_slice location, place *out) {
    size_t fragment = dx_slice_find(location, '#'), question = dx_slice_find(x->request.target, '?');
    if (fragment != SIZE_MAX) location.size = fragment;
    for (size_t i = 0; i < location.size; i++)
        if ((unsigned char)location.data[i] <= ' ' || location.data[i] == 127) return false;
    if (take_apart(location, out)) {
        if (!out->target.size) out->target = DX_SLICE("/");
        if (out->target.data[0] != '/') out->target = dx_arena_printf(x->arena, "/%.*s", DX_SLICE_ARG(out->target));
        return out->target.data != NULL;
    }
    size_t colon = dx_slice_find(location, ':'), slash = dx_slice_find(location, '/');
    if (colon != SIZE_MAX && (slash == SIZE_MAX || colon < slash)) return false; // another scheme
    if (dx_slice_starts(location, DX_SLICE("//"))) {
        dx_slice whole = dx_arena_printf(x->arena, "%s:%.*s", x->request.secure ? "https" : "http", DX_SLICE_ARG(location));
        return whole.data && take_apart(whole, out);
    }
    dx_slice path = question == SIZE_MAX ? x->request.target : dx_slice_of(x->request.target.data, question);
    *out = (place){x->request.secure, x->request.authority, location};
    if (location.size && location.data[0] == '/') return true;
    dx_slice base = location.size && location.data[0] == '?' ? path : folder_of(path);
    out->target = dx_arena_printf(x->arena, "%.*s%.*s", DX_SLICE_ARG(base), DX_SLICE_ARG(location));
    return out->target.data != NULL;
}

static dx_verdict refuse(dx_exchange *x, const char *why, dx_slice location) {
    dx_slice where = dx_arena_copy(x->arena, location.size > 200 ? dx_slice_of(location.data, 200) : location);
    size_t question = dx_slice_find(where, '?'); // what stands behind it may be a secret
    if (question != SIZE_MAX) where.size = question;
    return dx_exchange_fail_out(x, DX_ERROR_REDIRECT, "%s: %.*s", why, DX_SLICE_ARG(where));
}

static bool is_safe(dx_method method) {
    return method == DX_GET || method == DX_HEAD;
}

// Fields that another origin may see: what the library itself set.
static bool is_harmless(dx_slice name) {
    static const dx_slice names[] = {DX_SLICE_INIT("accept"), DX_SLICE_INIT("accept-language"), DX_SLICE_INIT("user-agent"),
                                     DX_SLICE_INIT("content-type")};
    for (size_t i = 0; i < DX_COUNT_OF(names); i++)
        if (dx_slice_equal_nocase(names[i], name)) return true;
    return false;
}

// Into a list of its own: another attempt starts with all of them.
static bool drop_fields(dx_exchange *x, bool (*keep)(dx_slice name)) {
    dx_fields kept = {0}, *fields = &x->request.fields;
    for (uint32_t i = 0; i < fields->count; i++)
        if (keep(fields->items[i].name) && dx_fields_add(&kept, x->arena, fields->items[i].name, fields->items[i].value) != DX_OK)
            return false;
    *fields = kept;
    return true;
}

static bool is_not_of_body(dx_slice name) {
    return !(name.size >= 8 && dx_slice_equal_nocase(dx_slice_of(name.data, 8), DX_SLICE("content-")));
}

// 303, and by old habit 301 and 302 to a POST, have the answer fetched by GET.
static bool change_method(dx_call *call) {
    dx_exchange *x = &call->x;
    int status = x->response.status;
    bool to_get = (status == 303 && x->request.method != DX_HEAD) || ((status == 301 || status == 302) && x->request.method == DX_POST);
    if (!to_get) return true;
    x->request.method = DX_GET;
    x->request.body = (dx_slice){0};
    call->upload = NULL;
    return drop_fields(x, is_not_of_body);
}

static bool remember(dx_call *call) {
    if (call->redirects) return true;
    if (!call->unredirected) call->unredirected = DX_ARENA_NEW(call->arena, dx_exchange_request);
    if (!call->unredirected) return false;
    *call->unredirected = call->x.request;
    return true;
}

static dx_slice host_of(dx_slice authority) {
    size_t bracket = dx_slice_find(authority, ']'),
           colon = dx_slice_find(bracket == SIZE_MAX ? authority : dx_slice_from(authority, bracket), ':');
    if (bracket != SIZE_MAX && colon != SIZE_MAX) colon += bracket;
    return colon == SIZE_MAX ? authority : dx_slice_of(authority.data, colon);
}

static dx_verdict follow(dx_call *call, dx_slice location) {
    dx_exchange *x = &call->x;
    const dx_redirect_settings *settings = &call->settings->redirect;
    place to;
    if (call->redirects >= settings->max) return refuse(x, "more redirects than redirect.max, the last", location);
    if (!resolve(x, location, &to)) return refuse(x, "the redirect leads to what can't be called", location);
    bool same = to.secure == x->request.secure && dx_slice_equal_nocase(to.authority, x->request.authority);
    if (!same && !settings->cross_origin) return refuse(x, "the redirect leads to another origin (redirect.cross_origin)", location);
    if (x->request.secure && !to.secure) return refuse(x, "the redirect leads from https to http", location);
    if (!dx_guard_allows_host(&call->settings->wire, host_of(to.authority)))
        return refuse(x, "the guard refuses the redirect's host", location);
    if (!remember(call) || !change_method(call)) return dx_exchange_fail_out(x, DX_ERROR_NO_MEMORY, NULL);
    if (!same && !is_safe(x->request.method)) return refuse(x, "a request with a body is not sent to another origin", location);
    if (x->request.once && call->upload) return refuse(x, "the request's body can't be read again", location);
    if (!same && !drop_fields(x, is_harmless)) return dx_exchange_fail_out(x, DX_ERROR_NO_MEMORY, NULL);
    x->request.secure = to.secure;
    x->request.authority = to.authority;
    x->request.target = to.target;
    call->redirects++;
    call->left_origin = call->left_origin || !same;
    dx_exchange_forget(x);
    return call->left_origin ? DX_NEXT : dx_auth_follow(x);
}

static dx_verdict redirect_again(const void *conf, dx_exchange *x) {
    (void)conf;
    dx_call *call = dx_call_of(x);
    if (x->failure != DX_ERROR_NONE || !is_redirect(x->response.status) || !call->settings->redirect.follow) return DX_ANSWER;
    dx_slice location = dx_fields_find(&x->response.fields, DX_SLICE("location"));
    return location.size ? follow(call, location) : DX_ANSWER;
}

static dx_verdict redirect_in(const void *conf, dx_exchange *x) {
    (void)conf;
    dx_call *call = dx_call_of(x);
    call->redirects = 0;
    call->left_origin = false;
    call->upload = call->bound.upload;
    if (!dx_guard_allows_host(&call->settings->wire, host_of(x->request.authority)))
        return dx_exchange_fail_out(x, DX_ERROR_BLOCKED, "the guard's allow_hosts has no %.*s", DX_SLICE_ARG(x->request.authority));
    return DX_NEXT;
}

// Another attempt starts at the API again, with the request as it came by here.
static void redirect_out(const void *conf, dx_exchange *x) {
    (void)conf;
    dx_call *call = dx_call_of(x);
    if (!call->redirects) return;
    x->request = *call->unredirected;
}

const dx_filter_ops dx_redirect_follow_filter = {.name = "redirect", .in = redirect_in, .again = redirect_again, .out = redirect_out};
