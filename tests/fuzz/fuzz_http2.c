// Whatever bytes a client sends into an HTTP/2 connection, the server neither breaks nor loses a stream: every one that began is closed.
// The input goes in behind the client's preface, in pieces, over a connection in memory, to an owner that does one of several things.
#include <string.h>

#include "fuzz.h"
#include "net/listener.h"
#include "net/loopback.h"

typedef struct scene {
    dx_loop *loop;
    dx_listener *listener;
    size_t begun, closed;
    uint8_t how;
    bool drained;
} scene;

typedef struct part {
    scene *scene;
    dx_stream *stream;
    bool answered;
} part;

static const dx_response_head head = {.status = 200};
static char body[20000];

static void *on_begin(void *ctx, dx_stream *stream, const dx_request_head *request) {
    scene *s = ctx;
    FUZZ_CHECK(request->version == 20 && request->path.size > 0);
    for (uint32_t i = 0; i < request->fields.count; i++) {
        dx_slice value = request->fields.items[i].value;
        FUZZ_CHECK(value.size == 0 || !memchr(value.data, '\n', value.size));
    }
    part *p = DX_ARENA_NEW(dx_stream_arena(stream), part);
    FUZZ_CHECK(p != NULL);
    *p = (part){.scene = s, .stream = stream};
    s->begun++;
    dx_stream_continue(stream);
    if (s->how % 4 == 1) {
        p->answered = true;
        dx_stream_respond(stream, &head, dx_slice_of(body, sizeof body));
    } else if (s->how % 4 == 2) {
        dx_stream_begin(stream, &head);
    }
    return p;
}

static void on_body(void *owner, dx_slice piece) {
    part *p = owner;
    FUZZ_CHECK(!p->answered);
    if (p->scene->how & 4) dx_stream_consume(p->stream, piece.size);
    if (p->scene->how % 4 == 2) (void)!dx_stream_write(p->stream, piece);
}

static void on_trailers(void *owner, const dx_fields *fields) {
    (void)owner;
    FUZZ_CHECK(fields->count > 0);
}

static void on_end(void *owner) {
    part *p = owner;
    p->answered = true;
    if (p->scene->how % 4 == 2)
        dx_stream_finish(p->stream);
    else if (p->scene->how % 4 == 3)
        dx_stream_drop(p->stream);
    else
        dx_stream_respond(p->stream, &head, dx_slice_of(body, sizeof body));
}

static void on_abort(void *owner, dx_status why) {
    (void)why;
    dx_stream_drop(((part *)owner)->stream);
}

static void on_closed(void *owner, bool sent, uint64_t bytes) {
    (void)sent, (void)bytes;
    ((part *)owner)->scene->closed++;
}

static void on_reject(void *ctx, dx_arena *arena, dx_slice peer, dx_status why, const char *reason, dx_response_head *out, dx_slice *text) {
    (void)ctx, (void)arena, (void)peer;
    out->status = dx_status_http(why);
    *text = dx_slice_str(reason);
}

static const dx_stream_ops ops = {.begin = on_begin,
                                  .body = on_body,
                                  .trailers = on_trailers,
                                  .end = on_end,
                                  .abort = on_abort,
                                  .closed = on_closed,
                                  .reject = on_reject};

static void on_drained(void *ctx) {
    ((scene *)ctx)->drained = true;
}

static bool is_true(void *flag) {
    return *(bool *)flag;
}

static bool never(void *ctx) {
    (void)ctx;
    return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 2 || size > 64 * 1024) return 0;
    scene s = {.how = data[0]};
    size_t step = data[1] ? data[1] * 7u : size;
    dx_listener_options options = {.limits = DX_HTTP_LIMITS_INIT, .arena_cap = 1 << 20, .ops = &ops, .ctx = &s};
    options.limits.head_bytes = 2000;
    dx_loopback *client;
    FUZZ_CHECK(dx_loop_create(&s.loop) == DX_OK && dx_listener_start(&s.listener, s.loop, &options, NULL) == DX_OK);
    FUZZ_CHECK(dx_loopback_connect(&client, s.listener, "127.0.0.1:4711") == DX_OK);
    dx_loopback_send(client, DX_SLICE("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0"));
    for (size_t at = 2; at < size && !dx_loopback_closed(client); at += step) {
        dx_loopback_send(client, dx_slice_of((const char *)data + at, size - at < step ? size - at : step));
        (void)dx_loopback_run(client, never, NULL, DX_MICROSECOND);
        dx_loopback_take(client, dx_loopback_received(client)->size);
    }
    dx_loopback_end(client);
    (void)dx_loopback_run(client, never, NULL, DX_MICROSECOND);
    dx_listener_drain(s.listener, DX_DRAIN_NOW, 0, on_drained, &s);
    FUZZ_CHECK(dx_loopback_run(client, is_true, &s.drained, 10 * DX_SECOND));
    FUZZ_CHECK(s.begun == s.closed);
    dx_loopback_destroy(client);
    dx_listener_destroy(s.listener);
    dx_loop_destroy(s.loop);
    return 0;
}
