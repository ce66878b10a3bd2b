// A connection in memory: a test drives a whole server exchange, of either protocol, without a socket or a thread. The listener it
// connects to may have no endpoints at all. Everything on the loop's thread; the test runs the loop until it has what it waits for.
#ifndef DX_NET_LOOPBACK_H
#define DX_NET_LOOPBACK_H

#include "base/buffer.h"
#include "net/http_server.h"

typedef struct dx_loopback dx_loopback;

// The client's end. `peer` is what the server takes for its address: "127.0.0.1:4711", "[::1]:4711" or "unix". The loop must live on
// until the listener is drained.
dx_status dx_loopback_connect(dx_loopback **out, dx_listener *listener, const char *peer) DX_MUST_USE;
void dx_loopback_destroy(dx_loopback *loopback);              // closes as a reset would, if it is still open
void dx_loopback_send(dx_loopback *loopback, dx_slice bytes); // copies; the server reads them in the next turns
void dx_loopback_end(dx_loopback *loopback);                  // the client's end of sending (FIN)
// How much the server may have sent without being read; default 1 MiB. Below it the server sees a full socket: backpressure.
void dx_loopback_window(dx_loopback *loopback, size_t bytes);
const dx_buffer *dx_loopback_received(const dx_loopback *loopback); // what has come and was not taken yet
void dx_loopback_take(dx_loopback *loopback, size_t bytes);         // takes it off the front; makes room
bool dx_loopback_ended(const dx_loopback *loopback);                // the server sends no more (FIN)
bool dx_loopback_closed(const dx_loopback *loopback);               // the server has closed
// Runs the loop's turns until `until` says true (true), or until nothing but timers has happened for `patience` (false); 0: runs one turn.
// Not while the loop runs elsewhere.
bool dx_loopback_run(dx_loopback *loopback, bool (*until)(void *ctx), void *ctx, dx_nanos patience);

#endif
