// How long a queue makes what is put into it wait. Kept by three words beside the queue, exact enough to decide by and free of locks: how
// many wait, how long the one that was begun last had waited, and when that was. (The idea of judging a queue by the time spent in it and
// not by its length: Nichols and Jacobson, "Controlling Queue Delay", 2012.)
#ifndef DX_BASE_LAG_H
#define DX_BASE_LAG_H

#include <stdatomic.h>
#include <stddef.h>

#include "base/clock.h"

typedef struct dx_lag {
    atomic_size_t waiting;
    _Atomic(dx_nanos) waited; // of the last one begun
    _Atomic(dx_nanos) since;  // when that was, or when the queue ceased to be empty
} dx_lag;

// One more waits; how many waited before. Any thread. Whoever sees the count sees a `since` that belongs to it: the word is written before
// the count leaves 0, and whoever finds the queue not empty and empties it meanwhile has written it anew.
static inline size_t dx_lag_enter(dx_lag *lag, dx_nanos now) {
    if (atomic_load_explicit(&lag->waiting, memory_order_relaxed) == 0) {
        atomic_store_explicit(&lag->waited, 0, memory_order_relaxed);
        atomic_store_explicit(&lag->since, now, memory_order_relaxed);
    }
    return atomic_fetch_add_explicit(&lag->waiting, 1, memory_order_acq_rel);
}

// One is begun that was put in at `entered`.
static inline void dx_lag_begin(dx_lag *lag, dx_nanos entered, dx_nanos now) {
    atomic_store_explicit(&lag->waited, now - entered, memory_order_relaxed);
    atomic_store_explicit(&lag->since, now, memory_order_relaxed);
    (void)atomic_fetch_sub_explicit(&lag->waiting, 1, memory_order_acq_rel);
}

// One is taken back that was just put in.
static inline void dx_lag_withdraw(dx_lag *lag) {
    (void)atomic_fetch_sub_explicit(&lag->waiting, 1, memory_order_relaxed);
}

// What the next one has to reckon with: 0 when nobody waits. A queue of which nothing is begun any more grows older by itself.
static inline dx_nanos dx_lag_of(dx_lag *lag, dx_nanos now) {
    if (atomic_load_explicit(&lag->waiting, memory_order_acquire) == 0) return 0;
    dx_nanos waited = atomic_load_explicit(&lag->waited, memory_order_relaxed);
    dx_nanos stuck = now - atomic_load_explicit(&lag->since, memory_order_relaxed);
    return waited > stuck ? waited : stuck;
}

#endif
