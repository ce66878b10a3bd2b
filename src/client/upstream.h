// What is kept of an API from one snapshot of the definition to the next: limits, breakers, retry budgets, tokens, counts. Each is kept as
// long as the settings it was made of stay the same.
#ifndef DX_CLIENT_UPSTREAM_H
#define DX_CLIENT_UPSTREAM_H

#include "base/map.h"

// A kept thing: found by a key that says all that it depends on.
typedef struct dx_kept {
    struct dx_kept *next;
    uint64_t hash;
    size_t holders; // under the table's lock
    void *object;
    void (*destroy)(void *object);
    dx_slice key;
} dx_kept;

typedef struct dx_upstreams {
    dx_kept *table[256];
} dx_upstreams;

// The object under `key`, made by `make(ctx)` when there is none; held until dx_upstream_release. NULL: it could not be made. Under the
// client's lock.
void *dx_upstream_keep(dx_upstreams *all, dx_slice key, void *(*make)(void *ctx), void *ctx, void (*destroy)(void *object), dx_kept **held);
void dx_upstream_release(dx_upstreams *all, dx_kept *held);
void dx_upstreams_deinit(dx_upstreams *all);

#endif
