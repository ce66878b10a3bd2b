// A transfer: one attempt of a request on its way to a server and back, and the transports that carry it. A transport is a const ops
// struct: libcurl by default (transport_curl.c), a mock, a recording, faults put before another one. It sees the exchange and what it is
// told here, and nothing of calls.
#ifndef DX_CLIENT_TRANSFER_H
#define DX_CLIENT_TRANSFER_H

#include "client/settings.h"
#include "client/upload.h"
#include "exchange/exchange.h"

typedef struct dx_transfer dx_transfer;
typedef struct dx_transport_ops dx_transport_ops;

// What the transfer's owner is told, on the loop's thread, never from inside a function of the transport that the owner called.
typedef struct dx_transfer_ops {
    // Of a transfer with `stream`: the head is in x->response, no piece was given yet. dx_transport_ops.resume has them come.
    void (*head)(dx_transfer *transfer);
    // The next piece of the body, decoded. False: no more before `resume`.
    bool (*piece)(dx_transfer *transfer, dx_slice piece);
    // The last call: x->response is whole (of a stream: all pieces were given), or x->failure says why not. x->spent is up to date. Not
    // after `cancel`.
    void (*done)(dx_transfer *transfer);
} dx_transfer_ops;

struct dx_transfer {
    // the owner's
    dx_exchange *x; // request and deadline; the answer goes into its response, in its arena; its owner is the dx_call
    const dx_transfer_ops *ops;
    const dx_wire_settings *wire;
    dx_slice url;      // absolute, NUL-terminated
    dx_upload *upload; // instead of x->request.body; rewound
    bool stream;
    bool flushed; // the owner calls `flush` soon: nobody need be woken for it
    // the transport's
    void *state;
    dx_transfer *next;
    // of the queue before it (admission.h)
    struct dx_origin *origin;
    dx_transfer *queue_next, *queue_before;
    dx_nanos queued;
    dx_timer patience; // how long it may wait there
    struct dx_admission *admission;
};

// One object of it for each loop; all calls on that loop's thread.
struct dx_transport_ops {
    const char *name;
    dx_status (*open)(void **out, const void *conf, dx_loop *loop); // `conf`: shared by all loops, immutable or thread-safe
    void (*send)(void *self, dx_transfer *transfer);                // ends in `done`, later or before it returns never
    void (*flush)(void *self); // what was sent and not begun begins now; not from inside what is told. NULL: nothing to do
    void (*cancel)(void *self, dx_transfer *transfer); // sent and not done: forgets it; nothing more is told of it
    void (*resume)(void *self, dx_transfer *transfer); // pieces may come (again)
    void (*close)(void *self);                         // nothing is under way; takes what `open` gave
};

typedef struct dx_transport_use {
    const dx_transport_ops *ops;
    const void *conf;
} dx_transport_use;

extern const dx_transport_ops dx_curl_transport; // conf: NULL

#endif
