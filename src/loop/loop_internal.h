// What the files of this room share: the loop's insides. Nobody outside src/loop includes this.
#ifndef DX_LOOP_LOOP_INTERNAL_H
#define DX_LOOP_LOOP_INTERNAL_H

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <uv.h>

#include "loop/loop.h"

#define DX_LOOP_HOOKS_CAP 8

// Four wheels of 64 slots: the first turns a slot a tick, each further one a slot a full turn of the one before (about 4 s, 4 min, 5 h and
// 12 days in all). A timer lies in the coarsest wheel that still tells it apart and moves down as its time comes near.
#define DX_WHEEL_LEVELS 4
#define DX_WHEEL_BITS   6
#define DX_WHEEL_SLOTS  (1u << DX_WHEEL_BITS)

typedef struct dx_wheel {
    uv_timer_t ticker; // never keeps the loop alive
    int64_t tick;      // the next tick to be worked off
    int64_t armed;     // the tick that the ticker waits for; INT64_MAX: it does not run
    size_t running;    // timers in the slots
    dx_timer *firing;  // timers of the tick being worked off
    uint64_t used;     // bit n: slot n of the first wheel may hold timers
    dx_timer *slots[DX_WHEEL_LEVELS][DX_WHEEL_SLOTS];
} dx_wheel;

struct dx_loop {
    uv_loop_t uv;
    uv_async_t wake;
    uv_prepare_t turn;
    dx_wheel wheel;
    _Atomic(dx_task *) posted; // newest first; not NULL: the loop will come by before it sleeps
    atomic_bool stopping;
    atomic_bool running;
    _Atomic pthread_t thread; // whose loop this is, while it runs
    dx_micros_utc utc;        // 0: not read in this turn
    dx_nanos asked, idle;     // dx_loop_busy
    bool turned;              // a turn has passed since the run began
    unsigned hooks;
    struct {
        void (*fn)(void *ctx);
        void *ctx;
    } hook[DX_LOOP_HOOKS_CAP];
};

void dx_wheel_init(dx_loop *loop); // after uv_loop_init; cannot fail
void dx_wheel_deinit(dx_loop *loop);

#endif
