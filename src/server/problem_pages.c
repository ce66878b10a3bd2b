// /problems/{code}: what a problem's `type` says, for people and programs that follow it.
#include "server/parts.h"

static bool find(dx_slice code, dx_status *out) {
    for (int i = DX_OK + 1; i < DX_STATUS_COUNT; i++)
        if (dx_slice_equal(dx_slice_str(dx_status_code((dx_status)i)), code)) {
            *out = (dx_status)i;
            return true;
        }
    return false;
}

static dx_verdict answer(const void *conf, dx_exchange *x) {
    (void)conf;
    dx_status status;
    if (!find(x->params[0], &status)) return dx_exchange_fail(x, DX_NOT_FOUND, "there is no such kind of problem");
    const char *code = dx_status_code(status), *title = dx_status_title(status);
    dx_slice accept = dx_fields_get(&x->request.fields, DX_FIELD_ACCEPT), body;
    bool page = accept.data && dx_http_accept_quality(accept, "text/html") > dx_http_accept_quality(accept, "application/json");
    if (page)
        body = dx_arena_printf(x->arena,
                               "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" "
                               "content=\"width=device-width\"><title>%s</title><h1>%s</h1><p>HTTP status %d, "
                               "<code>error_code</code> <code>%s</code>.</p></html>\n",
                               title, title, dx_status_http(status), code);
    else
        body = dx_arena_printf(x->arena, "{\"type\":\"/problems/%s\",\"title\":\"%s\",\"status\":%d,\"error_code\":\"%s\"}", code, title,
                               dx_status_http(status), code);
    if (!body.data) return dx_exchange_fail(x, DX_NO_MEMORY, NULL);
    dx_exchange_field(x, DX_SLICE("vary"), DX_SLICE("accept"));
    dx_exchange_field(x, DX_SLICE("cache-control"), DX_SLICE("public, max-age=86400"));
    return dx_exchange_body(x, 200, page ? DX_SLICE("text/html; charset=utf-8") : DX_SLICE("application/json"), body);
}

dx_status dx_problem_pages_add(dx_app *app) {
    dx_operation *operation = DX_ARENA_NEW(app->arena, dx_operation);
    if (!operation) return DX_NO_MEMORY;
    *operation = (dx_operation){.id = DX_SLICE("problems.read"),
                                .method = DX_GET,
                                .path = DX_SLICE("/problems/{code}"),
                                .handler = answer,
                                .access = {.is_public = true}};
    return dx_app_add_operation(app, operation);
}
