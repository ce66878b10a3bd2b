// The owner's side of streamed bodies: whoever runs exchanges (the server; a test) tells here what happened on the wire, and flow.c tells
// the handler's source and reader. What must not be said from inside a handler's own call is put off to the next turn of the loop, by one
// task a worker, so that an exchange may end at any time and leaves nothing behind. Everything on the exchange's loop.
#ifndef DX_EXCHANGE_FLOW_H
#define DX_EXCHANGE_FLOW_H

#include "exchange/exchange.h"

// One a worker; zeroed is ready. It must outlive the worker's exchanges and the loop's last turn.
typedef struct dx_flows {
    dx_exchange *due;  // to be told something
    dx_exchange *live; // with an open source
    dx_task task;
    bool posted, draining;
} dx_flows;
// The server wants to stop: every open source is told (in the next turn), and every later one as soon as it has begun.
void dx_flows_drain(dx_flows *flows);
// Tells those open sources alone for which `applies` says so.
void dx_flows_drain_some(dx_flows *flows, bool (*applies)(const dx_exchange *x, const void *ctx), const void *ctx);

// From `finished`, for an answer with a source, once the owner has sent the head: the source's `ready` will come, or, when the head stands
// alone (`bodiless`: HEAD, 204, 304) or the peer has gone, the wire's `finish` or `cut` from inside.
void dx_exchange_begun(dx_exchange *x, bool bodiless);
void dx_exchange_writable(dx_exchange *x);              // there is room after wire->write said false
void dx_exchange_piece(dx_exchange *x, dx_slice piece); // after wire->read; not from inside dx_exchange_read
void dx_exchange_read_on(dx_exchange *x);               // wire->read is to be called in the next turn
void dx_exchange_ended(dx_exchange *x, dx_status why);  // the reader's last call; does nothing the second time
// The wire is gone or has sent everything: the source's last call, and a file, an encoder and what they hold are let go. To be called for
// every exchange that streamed before its arena is; does nothing the second time.
void dx_exchange_closed(dx_exchange *x, dx_status why);
// The answer that is set goes nowhere: its source will be told, its file and its encoder are let go. For what sets another one.
void dx_exchange_retract(dx_exchange *x);

bool dx_exchange_has_begun(const dx_exchange *x); // the head of an answer with a source has gone

static inline bool dx_exchange_streams(const dx_exchange *x) {
    return x->response.source || x->response.file_open || x->response.encoder;
}
// Whether dx_exchange_closed has anything to do.
static inline bool dx_exchange_flowed(const dx_exchange *x) {
    return dx_exchange_streams(x) || x->reader || x->flow.left;
}

#endif
