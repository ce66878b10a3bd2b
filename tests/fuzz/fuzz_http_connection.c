// Whatever a client sends, in whatever pieces, and however it reads or breaks off: a whole HTTP/1.1 connection on a loopback keeps the
// promises of net/http_server.h to its streams' owners. The first bytes choose how the client and the owners behave; the rest is sent.
#include <string.h>

#include "base/memory.h"
#include "fuzz.h"
#include "net/listener.h"
#include "net/loopback.h"

#define STREAMS_CAP 4096u

static dx_loop *loop;
static dx_listener *listener;
static uint8_t manners; // of the owners
static size_t live;

typedef struct owner {
    dx_stream *stream;
    size_t unconsumed, written;
    bool ended, aborted, answered, tunnel;
} owner;

static const dx_response_head plain = {.status = 200};

static void answer(owner *o) {
    static dx_field item = {.name = DX_SLICE_INIT("x-sum"), .value = DX_SLICE_INIT("1")};
    static dx_fields trailers = {&item, 1, 1};
    if (o->answered) return;
    o->answered = true;
    if (o->tunnel) {
        dx_stream_finish(o->stream);
    } else if (manners & 1) {
        dx_stream_begin(o->stream, &plain);
        (void)!dx_stream_write(o->stream, DX_SLICE("piece"));
        dx_stream_trailers(o->stream, &trailers);
        dx_stream_finish(o->stream);
    } else {
        dx_stream_respond(o->stream, &plain, DX_SLICE("whole"));
    }
}

static void *on_begin(void *ctx, dx_stream *stream, const dx_request_head *head) {
    (void)ctx;
    FUZZ_CHECK(head->path.size > 0 && head->peer.size > 0 && !head->secure && (head->version == 10 || head->version == 11));
    FUZZ_CHECK(!head->protocol.size || (head->method == DX_GET && head->content_length == 0 && head->version == 11));
    if (manners & 2 && head->path.size > 5) return NULL;
    owner *o = DX_ARENA_NEW(dx_stream_arena(stream), owner);
    FUZZ_CHECK(o != NULL);
    o->stream = stream;
    live++;
    if (head->protocol.size && !(manners & 4)) {
        o->tunnel = true;
        dx_stream_tunnel(stream, &plain);
    } else if (head->protocol.size || manners & 8) {
        answer(o);
    } else {
        dx_stream_continue(stream);
    }
    return o;
}

static void on_body(void *ctx, dx_slice piece) {
    owner *o = ctx;
    FUZZ_CHECK(!o->ended && !o->aborted && (!o->answered || o->tunnel) && piece.size > 0);
    o->unconsumed += piece.size;
    FUZZ_CHECK(o->unconsumed <= DX_BODY_WINDOW);
    if (o->tunnel && !o->answered) (void)!dx_stream_write(o->stream, piece);
    if (manners & 16) return; // until the end
    dx_stream_consume(o->stream, o->unconsumed);
    o->unconsumed = 0;
}

static void on_trailers(void *ctx, const dx_fields *fields) {
    const owner *o = ctx;
    FUZZ_CHECK(!o->ended && !o->aborted && !o->answered && !o->tunnel);
    for (uint32_t i = 0; i < fields->count; i++) FUZZ_CHECK(fields->items[i].id != DX_FIELD_HOST && fields->items[i].name.size > 0);
}

static void on_end(void *ctx) {
    owner *o = ctx;
    FUZZ_CHECK(!o->ended && !o->aborted);
    o->ended = true;
    answer(o);
}

static void on_abort(void *ctx, dx_status why) {
    owner *o = ctx;
    FUZZ_CHECK(!o->aborted && !o->answered && why != DX_OK);
    o->aborted = o->answered = true;
    dx_stream_drop(o->stream);
}

static void on_closed(void *ctx, bool sent, uint64_t bytes) {
    const owner *o = ctx;
    FUZZ_CHECK(o->answered && !(o->aborted && sent) && (!sent || bytes > 0));
    live--;
}

static void on_reject(void *ctx, dx_arena *arena, dx_slice peer, dx_status why, const char *reason, dx_response_head *head,
                      dx_slice *body) {
    (void)ctx;
    (void)peer;
    FUZZ_CHECK(why != DX_OK && reason);
    head->status = dx_status_http(why);
    *body = dx_arena_copy(arena, dx_slice_str(reason));
}

static const dx_stream_ops ops = {on_begin, on_body, on_trailers, on_end, on_abort, on_closed, on_reject, NULL};

static void start(void) {
    dx_listener_options options = {.limits = DX_HTTP_LIMITS_INIT, .arena_cap = 1 << 20, .ops = &ops};
    options.limits.head_bytes = 4096;
    options.limits.fields = 20;
    options.limits.requests_a_connection = STREAMS_CAP;
    FUZZ_CHECK(dx_loop_create(&loop) == DX_OK && dx_listener_start(&listener, loop, &options, NULL) == DX_OK);
    listener->http2 = NULL; // has a target of its own
}

static bool never(void *ctx) {
    (void)ctx;
    return false;
}

static void turn(dx_loopback *client) {
    (void)dx_loopback_run(client, never, NULL, 0);
}

static bool is_true(void *flag) {
    return *(bool *)flag;
}

static void on_drained(void *flag) {
    *(bool *)flag = true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 4 || size > 64 * 1024) return 0;
    start();
    manners = data[0];
    size_t step = data[1] ? data[1] * 8u : size, window = data[2] * 16u;
    bool resets = data[3] & 1;
    dx_slice rest = dx_slice_of((const char *)data + 4, size - 4);
    dx_loopback *client, *runner; // which only runs the loop to the end
    FUZZ_CHECK(dx_loopback_connect(&client, listener, "unix") == DX_OK);
    if (window) dx_loopback_window(client, window);
    while (rest.size) {
        dx_loopback_send(client, dx_slice_of(rest.data, rest.size < step ? rest.size : step));
        rest = dx_slice_from(rest, step);
        turn(client);
        if (data[3] & 2) dx_loopback_take(client, window);
    }
    if (!resets) dx_loopback_end(client);
    turn(client);
    if (data[3] & 4) dx_loopback_window(client, 1 << 20);
    turn(client);
    bool drained = false;
    FUZZ_CHECK(dx_loopback_connect(&runner, listener, "unix") == DX_OK);
    dx_loopback_destroy(client);
    turn(runner);
    dx_listener_drain(listener, DX_DRAIN_NOW, 0, on_drained, &drained);
    FUZZ_CHECK(dx_loopback_run(runner, is_true, &drained, 5 * DX_SECOND));
    dx_loopback_destroy(runner);
    FUZZ_CHECK(live == 0 && dx_listener_connections(listener) == 0);
    dx_listener_destroy(listener);
    dx_loop_destroy(loop);
    return 0;
}
