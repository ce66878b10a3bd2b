// A loop: one thread's timers, wake-ups and work off the thread, over libuv. Filters and stores see a loop only through this header, so
// that the same code runs on a server's worker, in the library's own thread, or on a loop that a C program brings.
#ifndef DX_LOOP_LOOP_H
#define DX_LOOP_LOOP_H

#include "base/clock.h"
#include "base/status.h"

typedef struct dx_loop dx_loop;
struct uv_loop_s;

dx_status dx_loop_create(dx_loop **out) DX_MUST_USE;
// Closes every handle of the loop's own; whoever has descriptors, alarms or work on it has ended them. Not while running. Takes NULL. (A
// borrowed loop, loop/embed.h: as dx_loop_leave without a `closed`.)
void dx_loop_destroy(dx_loop *loop);
// Runs until dx_loop_stop, and then until no handle is active and no task waits; timers that still run do not hold it. SIGPIPE is blocked
// on the running thread. May be run again.
dx_status dx_loop_run(dx_loop *loop) DX_MUST_USE;
void dx_loop_stop(dx_loop *loop);            // any thread
struct uv_loop_s *dx_loop_uv(dx_loop *loop); // for src/net and src/loop alone
dx_nanos dx_loop_now(const dx_loop *loop);   // in a turn: its time, cached; between turns, and on a borrowed loop: the clock's
dx_micros_utc dx_loop_utc(dx_loop *loop);    // likewise, the calendar's

// Timers: intrusive, O(1) to start and stop, with a resolution of DX_TIMER_TICK: for timeouts, of which there may be one a connection.
#define DX_TIMER_TICK (64 * DX_MILLISECOND)
typedef struct dx_timer dx_timer;
struct dx_timer {
    dx_timer *next, **link; // the wheel's; NULL link: not running
    dx_nanos due;
    void (*fire)(dx_timer *timer); // on the loop's thread; may start the timer again or free what holds it
};
// Never fires early; at most two ticks late on an idle loop. Starting a running timer moves it. Zero the struct first.
void dx_timer_start(dx_loop *loop, dx_timer *timer, dx_nanos after);
void dx_timer_stop(dx_loop *loop, dx_timer *timer);

// A task posted from any thread runs once on the loop's thread, in order of posting by one thread. The struct is the poster's and is free
// to be reused from the moment `run` is called. Posting is lock-free and wakes the loop at most once a turn.
typedef struct dx_task dx_task;
struct dx_task {
    dx_task *next;
    void (*run)(dx_task *task);
};
void dx_loop_post(dx_loop *loop, dx_task *task);

// What is to be done once behind all that a turn brings, right before the loop waits: where what was gathered is sent with one call. On the
// loop's thread alone; it costs no wake-up. Deferring what is deferred already does nothing. What is deferred from `run` still runs in
// the same turn, up to DX_DEFERRED_CAP a turn. Zero the struct first.
#define DX_DEFERRED_CAP 1024
typedef struct dx_deferred dx_deferred;
struct dx_deferred {
    dx_deferred *next, **link;          // the loop's; NULL link: not deferred
    void (*run)(dx_deferred *deferred); // may free what holds it
};
void dx_loop_defer(dx_loop *loop, dx_deferred *deferred);
void dx_loop_undefer(dx_loop *loop, dx_deferred *deferred); // also one that is not deferred

// Work off the loop: `work` on a pool thread (may block), then `done` on the loop. Submitting fails with DX_OVERLOADED when more
// than DX_WORK_QUEUE_CAP pieces wait in the process, or when they wait for longer than DX_WORK_WAIT_CAP.
#define DX_WORK_QUEUE_CAP 256
#define DX_WORK_WAIT_CAP  (2 * DX_SECOND)
typedef struct dx_work dx_work;
struct dx_work {
    void (*work)(dx_work *work);
    void (*done)(dx_work *work);
    dx_loop *loop;
    dx_nanos entered; // the loop's own, as is the rest
    void *impl[16];
};
dx_status dx_loop_work(dx_loop *loop, dx_work *work) DX_MUST_USE;

// How long the loop has been busy since this was asked last: the time gone by, less what it waited for descriptors. On its thread. It is
// measured from the first time on, which gives 0: it costs a system call a wait. Not on a borrowed loop.
dx_nanos dx_loop_busy(dx_loop *loop);
dx_nanos dx_loop_busy_so_far(const dx_loop *loop, dx_nanos now); // the same at `now`, and the next dx_loop_busy counts it still

// Called at the end of every loop turn in which something happened, before the loop waits again: where a turn's read snapshot is let go and
// buffered output is sent. Added at start, never removed. At most 8.
dx_status dx_loop_on_turn_end(dx_loop *loop, void (*fn)(void *ctx), void *ctx) DX_MUST_USE;

#endif
