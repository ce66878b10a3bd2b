// A server for the tests of WebSocket and server-sent events: the real host with a feature of a few toy operations. Started as duplex is:
// ws_echo serve FILE --listen HOST:PORT.
#include <stdio.h>
#include <string.h>

#include "codec/json.h"
#include "exchange/sse.h"
#include "exchange/websocket.h"
#include "host/host.h"

#define MESSAGE_CAP (4u << 20)

// --- sockets -----------------------------------------------------------------------------------------------------------------

static void echo(void *ctx, dx_websocket *socket, dx_slice message, bool text) {
    (void)ctx;
    if (!dx_websocket_send(socket, message, text)) dx_websocket_close(socket, 1011, DX_SLICE("told of room where there is none"));
    if (!dx_websocket_has_room(socket)) dx_websocket_pause(socket); // the peer does not read: it shall not write either
}

// A peer that says "close CODE REASON" is closed so.
static void obey(void *ctx, dx_websocket *socket, dx_slice message, bool text) {
    static const dx_slice word = DX_SLICE_INIT("close ");
    uint64_t code;
    if (!dx_slice_starts(message, word)) {
        echo(ctx, socket, message, text);
        return;
    }
    dx_slice reason = dx_slice_from(message, word.size), number = dx_slice_cut(&reason, ' ');
    dx_websocket_close(socket, dx_slice_to_u64(number, &code) ? (uint16_t)code : 1011, reason);
}

static void go_on(void *ctx, dx_websocket *socket) {
    (void)ctx;
    dx_websocket_resume(socket);
}

static void note_close(void *ctx, dx_websocket *socket, uint16_t code, dx_slice reason) {
    (void)ctx;
    (void)socket;
    fprintf(stderr, "{\"event\":\"test.closed\",\"code\":%u,\"reason\":\"%.*s\"}\n", code, DX_SLICE_ARG(reason));
}

static const dx_websocket_ops echoing = {.message = obey, .writable = go_on, .closed = note_close};

static dx_verdict accept_socket(const void *conf, dx_exchange *x) {
    return dx_websocket_accept(x, conf, &echoing, NULL);
}

static const dx_slice protocols[] = {DX_SLICE_INIT("v2.echo"), DX_SLICE_INIT("v1.echo")};
#define TIMES .heartbeat = 30 * DX_SECOND, .patience = 20 * DX_SECOND, .close_time = 5 * DX_SECOND
static const dx_websocket_options deflating = {
    .message_cap = MESSAGE_CAP, .deflate = true, .protocols = protocols, .protocol_count = 2, TIMES};
static const dx_websocket_options plain = {.message_cap = MESSAGE_CAP, TIMES};
static const dx_websocket_options small = {.message_cap = 1000, .deflate = true, TIMES};
static const dx_websocket_options hasty = {
    .message_cap = 1000, .heartbeat = 50 * DX_MILLISECOND, .patience = 200 * DX_MILLISECOND, .close_time = 100 * DX_MILLISECOND};

// --- events ------------------------------------------------------------------------------------------------------------------
// Numbers from behind Last-Event-ID on, to 1000; then the stream ends. With ?endless=1 they never do.

typedef struct counting {
    uint64_t last;
    bool endless;
} counting;

static void send_events(void *ctx, dx_sse *stream) {
    counting *c = ctx;
    static char filler[2000];
    memset(filler, 'x', sizeof filler);
    while (c->last < 1000 || c->endless) {
        dx_slice id = dx_arena_printf(dx_sse_exchange(stream)->arena, "%llu", (unsigned long long)c->last + 1);
        dx_slice data = c->endless ? dx_slice_of(filler, sizeof filler) : DX_SLICE("line one\nline two");
        if (!dx_sse_send(stream, &(dx_sse_event){.id = id, .event = DX_SLICE("number"), .data = data})) return;
        c->last++;
    }
    dx_sse_end(stream, "done");
}

static const dx_sse_ops counting_ops = {.opened = send_events, .writable = send_events};
static const dx_sse_ops silent_ops = {0};

static dx_verdict open_events(const void *conf, dx_exchange *x) {
    dx_sse_options options = DX_SSE_OPTIONS_INIT;
    counting *c = DX_ARENA_NEW(x->arena, counting);
    (void)conf;
    if (!c) return dx_exchange_fail(x, DX_NO_MEMORY, NULL);
    (void)dx_slice_to_u64(dx_sse_last_event_id(x), &c->last);
    c->endless = dx_slice_equal(x->request.query, DX_SLICE("endless=1"));
    options.compress = true;
    options.slow = 500 * DX_MILLISECOND;
    return dx_sse_open(x, &options, &counting_ops, c);
}

static dx_verdict open_silence(const void *conf, dx_exchange *x) {
    dx_sse_options options = DX_SSE_OPTIONS_INIT;
    (void)conf;
    options.heartbeat = 50 * DX_MILLISECOND;
    return dx_sse_open(x, &options, &silent_ops, NULL);
}

// --- the program -------------------------------------------------------------------------------------------------------------

#define OPERATION(name, at, with, options)                                                                                                 \
    {                                                                                                                                      \
        .id = DX_SLICE_INIT(name), .method = DX_GET, .path = DX_SLICE_INIT(at), .handler = with, .conf = options, .access = {              \
            .is_public = true                                                                                                              \
        }                                                                                                                                  \
    }

static dx_status build(void *state, dx_app *app, dx_diags *diags) {
    static dx_operation operations[] = {
        OPERATION("test.echo", "/echo", accept_socket, &deflating), OPERATION("test.plain", "/plain", accept_socket, &plain),
        OPERATION("test.small", "/small", accept_socket, &small),   OPERATION("test.hasty", "/hasty", accept_socket, &hasty),
        OPERATION("test.events", "/events", open_events, NULL),     OPERATION("test.silence", "/silence", open_silence, NULL),
    };
    dx_status status = DX_OK;
    (void)state;
    (void)diags;
    for (size_t i = 0; i < DX_COUNT_OF(operations) && status == DX_OK; i++) status = dx_app_add_operation(app, &operations[i]);
    return status;
}

static const dx_feature feature = {.name = "test", .build = build};
const dx_feature *const dx_features[] = {&feature, NULL};

static void announce(void *ctx, const char *url) {
    (void)ctx;
    printf("listening on %s\n", url);
    fflush(stdout);
}

int main(int argc, char **argv) {
    dx_host_options options = {.listening = announce};
    dx_diags diags;
    if (argc < 5 || strcmp(argv[1], "serve") != 0 || strcmp(argv[3], "--listen") != 0) return 2;
    options.app.path = argv[2];
    options.app.listen = argv[4];
    options.app.workers = 1;
    dx_arena *arena = dx_arena_create(1u << 20);
    if (!arena) return 1;
    dx_diags_init(&diags, arena);
    dx_status status = dx_host_serve(&options, &diags);
    for (const dx_diag *diag = diags.first; diag; diag = diag->next) fprintf(stderr, "%s\n", dx_diag_text(diag, arena).data);
    dx_arena_destroy(arena);
    return status == DX_OK ? 0 : 1;
}
