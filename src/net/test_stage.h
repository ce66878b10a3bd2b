// For tests: a listener without a socket, a client on a loopback, and an owner that does nothing by itself: the test is on the loop's
// thread, so it calls dx_stream_… when it likes, between turns or from the hooks. What happens to streams is counted and kept.
#ifndef DX_NET_TEST_STAGE_H
#define DX_NET_TEST_STAGE_H

#include "base/buffer.h"
#include "net/loopback.h"

#define STAGE_ACTORS 64

typedef struct stage stage;

// One stream as its owner sees it. It outlives the stream, for the test to look at.
typedef struct actor {
    stage *stage;
    dx_stream *stream; // NULL: closed
    dx_request_head head;
    char path[200], protocol[32], peer[64];
    dx_buffer body;
    dx_buffer trailers; // "name: value\n" each
    unsigned ends, aborts, writables, closes;
    dx_status why;
    bool sent;
    uint64_t bytes;
    size_t done; // of whatever the test does in pieces
} actor;

struct stage {
    dx_loop *loop;
    dx_listener *listener;
    dx_loopback *client;
    actor actors[STAGE_ACTORS];
    size_t begun, closed, rejected;
    bool consume; // every piece at once
    // What the owner does; NULL: nothing.
    void (*on_begin)(actor *a);
    void (*on_body)(actor *a, dx_slice piece);
    void (*on_end)(actor *a);
    void (*on_writable)(actor *a);
    void (*on_closed)(actor *a);
    bool drained;
    int descriptors;
};

void stage_open(stage *s, const dx_http_limits *limits); // NULL: the defaults, but for short timeouts
// Ends the client, drains, checks that every stream that began was closed and no descriptor is left.
void stage_close(stage *s);
void stage_connect(stage *s); // another client; the one before is destroyed
void stage_send(stage *s, const char *text);
// Runs it until `until` says true; fails the test when it does not.
void stage_run(stage *s, bool (*until)(void *ctx), void *ctx);
// Runs the loop until all is quiet: nothing has happened for a moment.
void stage_settle(stage *s);
// Runs it until `*counter` is at least `least`; fails the test when that does not come.
void stage_await(stage *s, const size_t *counter, size_t least);
void stage_await_closed(stage *s); // the client sees the connection closed
// Runs it until the client has received this text (behind what was taken before); fails the test when it does not come.
void stage_await_text(stage *s, const char *text);
// Runs it until that many bytes are received.
void stage_await_bytes(stage *s, size_t bytes);
const char *stage_received(stage *s); // NUL-terminated; for text
void stage_take(stage *s);            // all that is received
void stage_forget(stage *s);          // the actors so far, whose streams are closed
void actor_respond(actor *a, const char *body);

#endif
