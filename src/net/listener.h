// A listener's insides, which are also what its connections share: endpoints, buffers, pools, lists, the date. One thread.
#ifndef DX_NET_LISTENER_H
#define DX_NET_LISTENER_H

#include "net/connection.h"
#include "net/stream.h"

#define DX_INPUT_SIZE  65536u
#define DX_OUTPUT_SIZE 65536u
#define DX_STREAM_POOL 128u // streams kept for reuse, with their arenas
#define DX_DATE_LINE   37   // "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"

typedef struct dx_connections {
    dx_connection *first, *last;
} dx_connections;

// An endpoint at work. It lives until libuv has let go of its handle.
typedef struct dx_doorway {
    dx_listener *listener;
    struct dx_doorway *next;
    dx_endpoint endpoint; // fd -1: closed
    uv_poll_t poll;
    dx_timer again; // accepts again after a pause
} dx_doorway;

struct dx_listener {
    dx_loop *loop;
    dx_listener_options options;
    const dx_protocol *http2;             // NULL: HTTP/2 is refused
    struct dx_http2_shared *http2_shared; // what its connections share; NULL until there was one
    dx_doorway *doorways;
    int reserve;         // a descriptor to give up when there are no more, so that a connection can be taken and closed
    size_t connections;  // alive
    size_t closing;      // connections whose handles libuv still has
    dx_connections idle; // longest idle first
    dx_connections busy;
    size_t streams; // in use
    dx_stream *pool;
    unsigned pooled;
    dx_connection *touched;
    dx_stream *orphans; // answered after their connections had gone
    dx_task task;       // goes on with these two
    bool task_posted, in_task;
    bool draining, done_called;
    dx_drain how;
    dx_timer grace, newcomers; // until everybody is cut; until those are that came last and said nothing
    void (*done)(void *ctx);
    void *done_ctx;
    dx_nanos date_until; // the loop's time at which `date` is out of date
    char date[DX_DATE_LINE];
    dx_connection *output_owner;
    size_t output_size;
    char *input, *output;
    void *tls_desk; // what TLS connections share (tls.c), made by the first one
};

// Has the task run at the end of this turn.
void dx_listener_post(dx_listener *listener);
// Calls `done` when draining and nothing is left.
void dx_listener_check_drained(dx_listener *listener);
void dx_listener_link(dx_listener *listener, dx_connection *connection, bool idle);
void dx_listener_unlink(dx_listener *listener, dx_connection *connection);
// The Date field's line, cached for the second.
const char *dx_listener_date(dx_listener *listener);

#endif
