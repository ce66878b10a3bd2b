// Connections are few, calls may be many: transfers to one origin wait here in order until one of those under way is done. libcurl could
// queue, too, and would look at all that wait for each that ends; here one more that waits costs nothing.
#ifndef DX_CLIENT_ADMISSION_H
#define DX_CLIENT_ADMISSION_H

#include <stdatomic.h>

#include "base/map.h"
#include "client/transfer.h"

typedef struct dx_origin {
    dx_slice name; // "https://api.example.com"
    uint64_t serial;
    size_t under_way, waiting;
    dx_transfer *first, *last;
    struct dx_origin *next;
} dx_origin;

typedef struct dx_admission dx_admission;
struct dx_admission {
    const dx_transport_ops *ops;
    void *transport;
    dx_loop *loop;
    dx_origin *origins[64];
    size_t origin_count;
    atomic_size_t under_way, waiting; // of all; others read them
};

// Sends it, now or when it is its turn. False: too many wait (DX_ERROR_QUEUE_FULL) or there is no memory; x has failed out.
bool dx_admission_enter(dx_admission *admission, dx_transfer *transfer, dx_slice origin) DX_MUST_USE;
// It is done: the next one is sent.
void dx_admission_done(dx_admission *admission, dx_transfer *transfer);
// It is to be forgotten, waiting or sent.
void dx_admission_cancel(dx_admission *admission, dx_transfer *transfer);
bool dx_admission_waits(const dx_transfer *transfer);
void dx_admission_deinit(dx_admission *admission);

#endif
