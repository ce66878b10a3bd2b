// Server-sent events (WHATWG HTML, section 9.2) as a handler kind: a stream of events with heartbeats, a cap on what may wait for a slow
// reader, and an orderly end when the server drains. All on the exchange's loop.
#ifndef DX_EXCHANGE_SSE_H
#define DX_EXCHANGE_SSE_H

#include "exchange/exchange.h"

typedef struct dx_sse dx_sse;

typedef struct dx_sse_event {
    dx_slice id;    // empty: none. With a line break or NUL in it, it is left out
    dx_slice event; // the type; empty: "message". Likewise
    dx_slice data;  // any UTF-8 text; a line break of any kind arrives as LF. Empty: browsers tell nobody of the event
} dx_sse_event;

typedef struct dx_sse_ops {
    void (*opened)(void *ctx, dx_sse *stream);   // may send
    void (*writable)(void *ctx, dx_sse *stream); // room again after dx_sse_send said false. NULL: the source of events just drops or ends
    void (*closed)(void *ctx, dx_sse *stream);   // the last call, exactly once, also when `opened` never came
} dx_sse_ops;

typedef struct dx_sse_options {
    dx_nanos heartbeat; // a comment line after that long without an event, so that proxies keep the connection; 15 s
    dx_nanos retry;     // told to the client: how long to wait before it comes again; 2 s, with jitter per client
    dx_nanos slow;      // a client that takes nothing for that long while something waits is ended (event `end`, "slow"); 10 s
    bool compress;      // the stream may be compressed: no event holds a secret beside what the caller sent
} dx_sse_options;
#define DX_SSE_EVENT_CAP (1u << 20) // bytes an event takes on the wire
#define DX_SSE_OPTIONS_INIT                                                                                                                \
    { .heartbeat = 15 * DX_SECOND, .retry = 2 * DX_SECOND, .slow = 10 * DX_SECOND }

// Answers 200 text/event-stream (with Cache-Control: no-store). When the server drains, an event `end` with data {"reason":"draining"} is
// sent and the stream finished; the client comes back by itself with Last-Event-ID.
// What it returns the handler returns. `options` is copied; `ctx` must live until `closed`. Without memory the exchange is answered so,
// response.source stays NULL, and nothing of `ops` is called.
dx_verdict dx_sse_open(dx_exchange *x, const dx_sse_options *options, const dx_sse_ops *ops, void *ctx);
// False: nothing was taken; `writable` will come. Or the stream has ended: `closed` will.
bool dx_sse_send(dx_sse *stream, const dx_sse_event *event) DX_MUST_USE;
// Sends one last event of type `end` (data: JSON {"reason": …}), behind whatever waits, and finishes. `reason` is a plain word ("slow").
void dx_sse_end(dx_sse *stream, const char *reason);
dx_slice dx_sse_last_event_id(const dx_exchange *x); // the client's Last-Event-ID; empty: none
dx_exchange *dx_sse_exchange(dx_sse *stream);

#endif
