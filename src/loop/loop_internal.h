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

struct dx_descriptor;

struct dx_loop {
    uv_loop_t *uv; // `own`, or somebody's
    uv_async_t wake;
    uv_prepare_t turn;
    uv_timer_t limit; // of dx_loop_wait
    dx_wheel wheel;
    _Atomic(dx_task *) posted; // newest first; not NULL: the loop will come by before it sleeps
    atomic_bool stopping;
    atomic_bool running;
    _Atomic pthread_t thread; // whose loop this is, while it runs
    dx_micros_utc utc;        // 0: not read in this turn
    dx_nanos asked, idle;     // dx_loop_busy
    bool measured;            // the same: libuv keeps count of the waits
    bool turned;              // a turn has passed since the run began
    bool borrowed;            // `uv` is somebody's
    unsigned hooks;
    struct {
        void (*fn)(void *ctx);
        void *ctx;
    } hook[DX_LOOP_HOOKS_CAP];
    dx_deferred *deferred, **deferred_end; // first come, first run
    struct dx_descriptor *stale;           // those whose wants the kernel has not heard of
    uint64_t told;                         // how often it was told, ever: for tests
    // dx_loop_wait, while it runs.
    bool one_turn;     // it ends behind whatever happens
    bool stirred;      // something of ours was run in this turn
    bool over;         // its time is
    const bool *until; // set: nothing is waited for any more
    // Closing.
    size_t holds;   // of a borrowed loop
    size_t handles; // ours that libuv still knows
    void (*closed)(void *ctx);
    void *closed_ctx;
    uv_loop_t own;
};

// Our handles on `uv`, counted in loop->handles. Fails before anything is registered. Closing ends with dx_loop_handle_closed for each.
dx_status dx_loop_open_handles(dx_loop *loop, uv_loop_t *uv) DX_MUST_USE;
void dx_loop_close_handles(dx_loop *loop);
// The close callback's part: frees the loop, and says so, when it was the last handle and the loop is being left.
void dx_loop_handle_gone(dx_loop *loop);

// For running on this thread: SIGPIPE is blocked, posts from here wake nobody. False: nothing was done.
bool dx_loop_enter(dx_loop *loop, sigset_t *before) DX_MUST_USE;
void dx_loop_exit(dx_loop *loop, const sigset_t *before);
// Something waits for the end of a turn.
static inline bool dx_loop_has_left(dx_loop *loop) {
    return atomic_load_explicit(&loop->posted, memory_order_acquire) || loop->deferred || loop->stale;
}

// Something is to be done at the turn's end: a borrowed loop, on which nothing of ours may be active, must not end before.
static inline void dx_loop_expect_end(dx_loop *loop) {
    if (loop->borrowed) uv_ref((uv_handle_t *)&loop->wake);
}

// How many of libuv's milliseconds from its present time on `after` is over, never early.
uint64_t dx_loop_millis_until(const dx_loop *loop, dx_nanos after);

void dx_descriptors_tell(dx_loop *loop); // the stale ones, to the kernel

void dx_wheel_init(dx_loop *loop); // after uv_loop_init; cannot fail

#endif
