// Between the listener and the chain: a stream becomes an exchange, in one allocation of the stream's arena; the exchange's answer becomes
// the stream's, whole, as a file, or piece by piece.
#include "server/call.h"

static void on_body(void *owner, dx_slice piece) {
    dx_intake_take(owner, piece);
}

static void on_trailers(void *owner, const dx_fields *fields) {
    dx_call *c = owner;
    c->trailers = *fields; // not in the arena: another thread may have it
    c->x.request.trailers = &c->trailers;
}

static void on_end(void *owner) {
    dx_intake_end(owner);
}

static void on_abort(void *owner, dx_status why) {
    dx_call *c = owner;
    c->x.aborted = true;
    if (why == DX_REQUEST_TIMEOUT && c->x.error == DX_OK) c->x.error = why;
    dx_intake_abort(c, why);
    if (!dx_exchange_has_begun(&c->x)) return; // the answer that is still to come ends it
    dx_exchange_closed(&c->x, why);
    dx_stream_drop(c->stream);
}

// --- answers in pieces
// ---------------------------------------------------------------------------------------------------------------------------------

static bool wire_write(dx_exchange *x, dx_slice piece) {
    return dx_stream_write(((dx_call *)x->owner)->stream, piece);
}

static void wire_finish(dx_exchange *x, const dx_fields *trailers) {
    dx_call *c = x->owner;
    c->answered = !x->response.tunnel; // a tunnel's other direction has an end of its own
    if (trailers) dx_stream_trailers(c->stream, trailers);
    dx_stream_finish(c->stream);
}

static void wire_cut(dx_exchange *x) {
    dx_call *c = x->owner;
    c->answered = true;
    dx_stream_drop(c->stream);
}

static void wire_read(dx_exchange *x) {
    dx_intake_read(x->owner);
}

static void wire_consume(dx_exchange *x, size_t bytes) {
    dx_intake_consume(x->owner, bytes);
}

static const dx_exchange_wire wire = {wire_write, wire_finish, wire_cut, wire_read, wire_consume};

static void on_writable(void *owner) {
    dx_exchange_writable(&((dx_call *)owner)->x);
}

void dx_serve_drain(dx_worker *worker) {
    dx_flows_drain(&worker->flows);
}

static bool runs_on(const dx_exchange *x, const void *app) {
    return ((const dx_call *)x->owner)->app == app;
}

void dx_serve_retire(dx_worker *worker, const dx_app *app) {
    dx_flows_drain_some(&worker->flows, runs_on, app);
}

// --- the answer
// ---------------------------------------------------------------------------------------------------------------------------------

static void answer_in_pieces(dx_call *c, dx_response_head *head, bool bodiless) {
    head->no_body_length = bodiless;
    head->content_length = -1;
    if (c->x.response.tunnel)
        dx_stream_tunnel(c->stream, head);
    else
        dx_stream_begin(c->stream, head);
    dx_exchange_begun(&c->x, bodiless);
}

static void answer_with_file(dx_call *c, dx_response_head *head, bool bodiless) {
    dx_exchange_response *response = &c->x.response;
    c->answered = true;
    if (bodiless) { // the descriptor is closed with the exchange
        head->no_body_length = true;
        head->content_length = c->x.request.method == DX_HEAD && head->status != 304 && head->status != 204 ? response->file_size : -1;
        dx_stream_respond(c->stream, head, (dx_slice){NULL, 0});
        return;
    }
    response->file_open = false;
    dx_stream_respond_file(c->stream, head, response->file, response->file_offset, response->file_size);
}

static void on_finished(dx_exchange *x) {
    dx_call *c = x->owner;
    dx_slice body = x->response.body;
    int status = x->response.status;
    bool bodiless = x->request.method == DX_HEAD || status == 304 || status == 204;
    dx_response_head head = {.status = status, .fields = &x->response.fields, .close = x->response.close};
    if (DX_UNLIKELY(x->response.source)) {
        answer_in_pieces(c, &head, bodiless);
        return;
    }
    if (DX_UNLIKELY(c->intake.parked)) dx_park_leave(c);
    x->reader = NULL; // an answer without a source ends the reading
    if (DX_UNLIKELY(x->response.file_open)) {
        answer_with_file(c, &head, bodiless);
        return;
    }
    if (bodiless) {
        head.no_body_length = true;
        head.content_length = x->request.method == DX_HEAD && status != 304 && status != 204 ? (int64_t)body.size : -1;
        body = (dx_slice){NULL, 0};
    }
    c->answered = true;
    if (!(x->operation && x->operation->unlogged)) c->duration = dx_clock_monotonic() - x->started;
    dx_stream_respond(c->stream, &head, body);
}

static void on_closed(void *owner, bool sent, uint64_t bytes) {
    dx_call *c = owner;
    dx_worker *worker = c->worker;
    if (DX_UNLIKELY(dx_exchange_flowed(&c->x))) dx_exchange_closed(&c->x, sent ? DX_OK : DX_CANCELLED);
    if (DX_UNLIKELY(c->intake.parked)) dx_park_leave(c);
    dx_intake_deinit(&c->intake);
    bool quiet = c->x.operation && c->x.operation->unlogged && c->x.response.status < 500;
    // Of what goes out in pieces, the time to the last byte is told.
    if (DX_UNLIKELY(c->duration == 0) && !quiet) c->duration = dx_clock_monotonic() - c->x.started;
    quiet |= c->x.unlogged;
    if (!quiet) dx_request_log_add(&worker->logger, &c->x, &(struct dx_request_facts){sent, bytes, c->duration});
    worker->live--;
    dx_app_release(c->app, worker->index);
    dx_worker_rest(worker);
}

// --- the beginning
// ------------------------------------------------------------------------------------------------------------------------------

static void take_request(dx_exchange_request *request, const dx_request_head *head) {
    request->method = head->method;
    request->target = head->target;
    request->path = head->path;
    request->query = head->query;
    request->fields = head->fields;
    request->peer = head->peer;
    request->secure = head->secure;
    request->version = head->version;
    request->tag = head->tag;
    request->body_expected = head->content_length != 0;
    request->content_length = head->content_length;
    request->protocol = head->protocol;
    if (head->tls) {
        request->certificate_subject = head->tls->client_subject;
        request->certificate_fingerprint = head->tls->client_fingerprint;
    }
}

static void *on_begin(void *ctx, dx_stream *stream, const dx_request_head *head) {
    dx_worker *worker = ctx;
    dx_app *app = worker->app;
    dx_arena *arena = dx_stream_arena(stream);
    dx_call *c = dx_arena_alloc(arena, sizeof *c);
    if (!c) return NULL;
    dx_exchange_init(&c->x, arena, worker->loop, worker->index);
    c->stream = stream;
    c->worker = worker;
    c->app = app;
    dx_intake_init(&c->intake, arena);
    c->answered = false;
    c->duration = 0;
    dx_exchange *x = &c->x;
    x->owner = c;
    x->wire = &wire;
    x->flows = &worker->flows;
    x->finished = on_finished;
    x->response.fields = (dx_fields){c->fields, 0, DX_CALL_FIELDS_CAP};
    x->started = dx_loop_now(worker->loop);
    take_request(&x->request, head);
    dx_trace_take(x, worker);
    worker->live++;
    dx_app_hold(app, worker->index);

    dx_match match;
    dx_status status = dx_router_match(app->router, head->method, head->path, arena, &match);
    x->allow = match.allow;
    x->operation = status == DX_OK ? match.operation : NULL;
    if (DX_UNLIKELY(!x->operation)) {
        if (status == DX_NO_MEMORY) x->error = status;
        dx_chain_run_with(x, status == DX_BAD_REQUEST ? &app->misread : &app->unmatched);
        return c;
    }
    x->param_count = match.param_count;
    memcpy(x->params, match.params, match.param_count * sizeof *match.params);
    dx_chain_run(x);
    return c;
}

// --- what is not proper HTTP
// ----------------------------------------------------------------------------------------------------------------

static void on_reject(void *ctx, dx_arena *arena, dx_slice peer, dx_status why, const char *reason, dx_response_head *head,
                      dx_slice *body) {
    dx_worker *worker = ctx;
    static const dx_slice plain = DX_SLICE_INIT("The request is refused.\n");
    dx_fields *fields = DX_ARENA_NEW(arena, dx_fields);
    dx_exchange *x = DX_ARENA_NEW(arena, dx_exchange);
    *head = (dx_response_head){.status = dx_status_http(why), .fields = fields, .close = true};
    *body = plain;
    if (!fields || !x) return;
    dx_exchange_init(x, arena, worker->loop, worker->index);
    x->request.method = DX_METHOD_UNKNOWN;
    x->request.peer = peer;
    dx_trace_take(x, worker);
    (void)dx_exchange_fail(x, why, "%s", reason ? reason : "");
    if (dx_edge_filter.out) dx_edge_filter.out(&worker->app->edge, x);
    *fields = x->response.fields;
    head->status = x->response.status;
    *body = x->response.body;
    dx_request_log_add(&worker->logger, x, &(struct dx_request_facts){true, body->size, 0});
}

const dx_stream_ops dx_serve_ops = {.begin = on_begin,
                                    .body = on_body,
                                    .trailers = on_trailers,
                                    .end = on_end,
                                    .abort = on_abort,
                                    .closed = on_closed,
                                    .reject = on_reject,
                                    .writable = on_writable};
