// Building the chains: for every operation one flat array of filters, and those for requests that no operation takes.
#include "server/parts.h"

typedef struct chain_list {
    dx_filter *items;
    size_t count;
} chain_list;

static void add(chain_list *list, const dx_filter_ops *ops, const void *conf) {
    list->items[list->count++] = (dx_filter){ops, conf};
}

static void add_stage(chain_list *list, const dx_app *app, dx_stage stage) {
    const dx_filter *filters = app->filters[stage].items;
    for (size_t i = 0; i < app->filters[stage].count; i++) list->items[list->count++] = filters[i];
}

static bool redirects(const dx_settings *settings) {
    for (size_t i = 0; i < settings->listen_count; i++) {
        if (settings->listens[i].redirect) return true;
    }
    return false;
}

// `short_answers`: all of them are below any size worth compressing.
static void add_edge(chain_list *list, const dx_app *app, const dx_edge *edge, bool short_answers) {
    if (app->settings.compression.codings && !short_answers) add(list, &dx_compress_filter, &app->settings.compression);
    if (edge->count || edge->request_id || edge->hsts.size) add(list, &dx_edge_filter, edge);
    if (app->settings.gate.proxies) add(list, &dx_forwarded_filter, &app->settings);
    if (redirects(&app->settings)) add(list, &dx_redirect_filter, &app->settings);
    if (app->settings.cors.origin_count) add(list, &dx_cors_filter, &app->settings.cors);
    add_stage(list, app, DX_STAGE_EDGE);
}

static chain_list new_list(dx_app *app) {
    size_t most = 12;
    for (int stage = 0; stage < DX_STAGES; stage++) most += app->filters[stage].count;
    return (chain_list){DX_ARENA_ARRAY(app->arena, dx_filter, most), 0};
}

static bool answers_json(const dx_operation *operation) {
    return operation->describe && !operation->any_type && operation->method != DX_DELETE;
}

// What the edge adds to an operation's answers: the server's, or with a policy of its own.
static const dx_edge *edge_of(dx_app *app, const dx_operation *operation) {
    if (!operation->content_policy.data) return &app->edge;
    dx_edge *edge = DX_ARENA_NEW(app->arena, dx_edge);
    if (edge) dx_edge_init(edge, &app->settings, operation->content_policy);
    return edge;
}

static dx_status build(dx_app *app, dx_operation *operation) {
    chain_list list = new_list(app);
    if (!list.items) return DX_NO_MEMORY;
    const dx_edge *edge = edge_of(app, operation);
    if (!edge) return DX_NO_MEMORY;
    add_edge(&list, app, edge, dx_health_is_bare(operation));
    if (!dx_overload_spares(app, operation)) add(&list, &dx_overload_filter, app);
    if (!dx_health_is_bare(operation)) {
        add_stage(&list, app, DX_STAGE_IDENTIFY);
        if (app->settings.tls.client != DX_TLS_CLIENT_NONE) add(&list, &dx_certificate_filter, &app->settings);
        if (!operation->access.is_public) add(&list, &dx_access_filter, &operation->access);
        add_stage(&list, app, DX_STAGE_ADMIT);
        if (answers_json(operation)) add(&list, &dx_accept_filter, NULL);
        add_stage(&list, app, DX_STAGE_INNER);
    }
    if (operation->body != DX_BODY_NONE) add(&list, &dx_body_filter, app);
    // The listener refuses what is over every operation's cap.
    if (operation->body_cap > app->settings.limits.body_bytes) app->settings.limits.body_bytes = operation->body_cap;
    operation->chain = (dx_chain){list.items, (uint16_t)list.count, operation->handler, operation->conf};
    return DX_OK;
}

// --- requests that no operation takes
// ---------------------------------------------------------------------------------------------------------

static dx_verdict answer_unmatched(const void *conf, dx_exchange *x) {
    (void)conf;
    bool whole_server = dx_slice_equal(x->request.path, DX_SLICE("*"));
    if (x->error != DX_OK) return dx_exchange_fail(x, x->error, NULL); // it could not be looked for
    if (x->request.method == DX_OPTIONS && (x->allow.size || whole_server)) {
        dx_exchange_field(x, DX_SLICE("allow"), whole_server ? DX_SLICE("DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT") : x->allow);
        return dx_exchange_empty(x, 204);
    }
    if (x->allow.size) return dx_exchange_fail(x, DX_METHOD_NOT_ALLOWED, NULL);
    return dx_exchange_fail(x, DX_NOT_FOUND, NULL);
}

static dx_verdict answer_misread(const void *conf, dx_exchange *x) {
    (void)conf;
    return dx_exchange_fail(x, DX_BAD_REQUEST, "the path has a broken escape, or is not UTF-8");
}

static dx_status build_outer(dx_app *app) {
    chain_list list = new_list(app);
    if (!list.items) return DX_NO_MEMORY;
    add_edge(&list, app, &app->edge, false);
    app->unmatched = (dx_chain){list.items, (uint16_t)list.count, answer_unmatched, NULL};
    app->misread = (dx_chain){list.items, (uint16_t)list.count, answer_misread, NULL};
    return DX_OK;
}

dx_status dx_chains_build(dx_app *app, dx_diags *diags) {
    dx_operation **operations = app->operations.items;
    dx_status status = build_outer(app);
    for (size_t i = 0; i < app->operations.count && status == DX_OK; i++) status = build(app, operations[i]);
    if (status != DX_OK) return status;
    return dx_router_create(&app->router, app->arena, (const dx_operation *const *)operations, app->operations.count, diags);
}
