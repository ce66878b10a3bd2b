// Between the listener and the chain: a stream becomes an exchange, in one allocation of the stream's arena; the exchange's answer becomes
// the stream's. The body is gathered while filters run, but the client is asked for it (100 Continue), and an oversized one refused, only
// when every filter has let the request pass: the body filter stands right before the handler.
#include "server/parts.h"

#define FIELDS_CAP       16          // room for response fields that need no allocation
#define BODY_FIRST       (64u << 10) // taken for a body at once, whatever Content-Length promises
#define TAKES_BODY(call) ((call)->x.operation && (call)->x.operation->body == DX_BODY_WHOLE)

typedef struct call {
    dx_exchange x;
    dx_stream *stream;
    dx_worker *worker;
    dx_app *app; // whose snapshot the exchange runs on, to its end
    int64_t content_length;
    dx_buffer body;
    bool arrived; // the whole body
    bool wanted;  // the body filter waits
    bool answered;
    dx_nanos duration;
    dx_field fields[FIELDS_CAP];
} call;

// --- the body
// -----------------------------------------------------------------------------------------------------------------------------------

static uint64_t cap_of(const call *c) {
    return c->x.operation->body_cap ? c->x.operation->body_cap : c->app->settings.body_cap;
}

// What is wrong with the body so far, or with all of it once it has arrived.
static dx_verdict judge_body(call *c) {
    dx_status status = dx_buffer_status(&c->body);
    if (status == DX_OK) {
        c->x.request.body = dx_buffer_slice(&c->body);
        return DX_NEXT;
    }
    c->x.response.close = true; // the rest of it is not worth reading
    if (status != DX_TOO_LARGE) return dx_exchange_fail(&c->x, status, NULL);
    return dx_exchange_fail(&c->x, DX_TOO_LARGE, "the body may have %llu bytes", (unsigned long long)cap_of(c));
}

static dx_verdict body_in(const void *conf, dx_exchange *x) {
    (void)conf;
    call *c = x->owner;
    if (!x->request.body_expected) return DX_NEXT;
    if (c->content_length > 0 && (uint64_t)c->content_length > cap_of(c)) c->body.status = DX_TOO_LARGE;
    if (c->arrived || dx_buffer_status(&c->body) != DX_OK) return judge_body(c);
    c->wanted = true;
    dx_stream_continue(c->stream);
    return DX_WAIT;
}

const dx_filter_ops dx_body_filter = {"body", body_in, NULL};

static void resume_with_body(call *c) {
    if (!c->wanted) return;
    c->wanted = false;
    dx_exchange_resume(&c->x, c->x.aborted ? DX_NEXT : judge_body(c));
}

static void on_body(void *owner, dx_slice piece) {
    call *c = owner;
    dx_stream_consume(c->stream, piece.size);
    if (c->answered || !TAKES_BODY(c) || dx_buffer_status(&c->body) != DX_OK) return;
    if (c->body.cap == 0) {
        c->body.cap = (size_t)cap_of(c);
        size_t first = c->content_length > 0 && c->content_length < BODY_FIRST ? (size_t)c->content_length : piece.size;
        if (first <= c->body.cap) (void)dx_buffer_reserve(&c->body, first);
    }
    dx_buffer_add(&c->body, piece);
    if (dx_buffer_status(&c->body) != DX_OK) resume_with_body(c);
}

static void on_end(void *owner) {
    call *c = owner;
    c->arrived = true;
    resume_with_body(c);
}

static void on_abort(void *owner, dx_status why) {
    call *c = owner;
    c->x.aborted = true;
    if (why == DX_REQUEST_TIMEOUT && c->x.error == DX_OK) c->x.error = why;
    resume_with_body(c);
}

// --- the answer
// ---------------------------------------------------------------------------------------------------------------------------------

static void on_finished(dx_exchange *x) {
    call *c = x->owner;
    dx_slice body = x->response.body;
    int status = x->response.status;
    dx_response_head head = {.status = status, .fields = &x->response.fields, .close = x->response.close};
    if (x->request.method == DX_HEAD || status == 304 || status == 204) {
        head.no_body_length = true;
        head.content_length = x->request.method == DX_HEAD && status != 304 && status != 204 ? (int64_t)body.size : -1;
        body = (dx_slice){NULL, 0};
    }
    c->answered = true;
    if (!(x->operation && x->operation->unlogged)) c->duration = dx_clock_monotonic() - x->started;
    dx_stream_respond(c->stream, &head, body);
}

static void on_closed(void *owner, bool sent, uint64_t bytes) {
    call *c = owner;
    dx_worker *worker = c->worker;
    bool quiet = c->x.operation && c->x.operation->unlogged && c->x.response.status < 500;
    if (!quiet) dx_request_log_add(&worker->logger, &c->x, &(struct dx_request_facts){sent, bytes, c->duration});
    worker->live--;
    dx_app_release(c->app, worker->index);
    dx_worker_rest(worker);
}

// --- the beginning
// ------------------------------------------------------------------------------------------------------------------------------

static void take_request(dx_request *request, const dx_request_head *head) {
    request->method = head->method;
    request->target = head->target;
    request->path = head->path;
    request->query = head->query;
    request->fields = head->fields;
    request->peer = head->peer;
    request->secure = head->secure;
    request->body_expected = head->content_length != 0;
}

static void *on_begin(void *ctx, dx_stream *stream, const dx_request_head *head) {
    dx_worker *worker = ctx;
    dx_app *app = worker->app;
    dx_arena *arena = dx_stream_arena(stream);
    call *c = dx_arena_alloc(arena, sizeof *c);
    if (!c) return NULL;
    dx_exchange_init(&c->x, arena, worker->loop, worker->index);
    c->stream = stream;
    c->worker = worker;
    c->app = app;
    c->content_length = head->content_length;
    dx_buffer_init(&c->body, arena, 0); // its cap is set with its first piece
    c->arrived = c->wanted = c->answered = false;
    c->duration = 0;
    dx_exchange *x = &c->x;
    x->owner = c;
    x->finished = on_finished;
    x->response.fields = (dx_fields){c->fields, 0, FIELDS_CAP};
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

const dx_stream_ops dx_serve_ops = {
    .begin = on_begin, .body = on_body, .end = on_end, .abort = on_abort, .closed = on_closed, .reject = on_reject};
