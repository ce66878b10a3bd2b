// What transports other than libcurl's are made of (duplex/transport.h): a request as they see it, an answer that is there already and is
// delivered as if it came over a network, and the object that programs hold.
#ifndef DX_CLIENT_TRANSPORT_H
#define DX_CLIENT_TRANSPORT_H

#include "client/transfer.h"
#include "duplex/transport.h"
#include "loop/alarm.h"

struct dx_transport {
    dx_transport_use use;
    const void *kind; // says what the object around it is
    void (*destroy)(dx_transport *transport);
};

// NULL: the network.
dx_transport_use dx_transport_use_of(const dx_transport *transport);

// --- requests
#define DX_SENT_BODY_CAP ((size_t)256 << 20) // of an upload that is read into memory
// All of it copied into the arena; an upload is rewound and read whole. False: no memory, or x has failed out.
bool dx_sent_make(dx_sent *out, dx_arena *arena, dx_transfer *transfer) DX_MUST_USE;
// Whether a request is one of those that a rule's method (NULL: any) and pattern mean.
bool dx_sent_fits(const dx_sent *sent, const char *method, const char *pattern);
bool dx_glob_fits(dx_slice pattern, dx_slice text); // "*" stands for any text

// --- answers. Lies in the exchange's arena; zero it and fill it first.
typedef struct dx_delivery {
    int status;
    dx_fields fields; // these and the body live as long as the arena
    dx_slice body;    // NUL behind its end
    dx_error_code failure;
    const char *detail; // of a failure; NULL: none
    size_t fails_after; // bytes of the body; DX_DELIVERY_NO_HEAD: the failure comes instead of the head
    size_t piece;       // the body comes in pieces of this size, 0: as it is
    dx_nanos gap;       // between two
    // its own
    dx_transfer *transfer;
    dx_alarm alarm;
    size_t at;
    bool headed, flowing;
} dx_delivery;
#define DX_DELIVERY_NO_HEAD SIZE_MAX

// Ends in the transfer's `done`, later; at once without memory.
void dx_delivery_start(dx_delivery *delivery, dx_transfer *transfer, dx_loop *loop, dx_nanos delay);
void dx_delivery_resume(dx_delivery *delivery);
void dx_delivery_cancel(dx_delivery *delivery); // also one that was not started

// --- replies
// The transfer that a reply is for; only inside of `send`, on its thread.
dx_transfer *dx_reply_transfer(dx_reply *reply);
// For a `send` that wants to know, after it had somebody fill it, whether it was ended: between these two it stays.
void dx_reply_keep(dx_reply *reply);
void dx_reply_let_go(dx_reply *reply);
bool dx_reply_is_ended(dx_reply *reply);
// The context of a custom transport that has this `send`; NULL: it is another one.
void *dx_transport_context(const dx_transport *transport, void (*send)(void *context, const dx_sent *request, dx_reply *reply));

#endif
