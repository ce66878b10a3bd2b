// A rate limit: a token bucket of `burst` tokens that refills by `max_requests` in each `window`. Kept as one atomic word by the generic
// cell rate algorithm (GCRA; ITU-T I.371): the time at which the bucket will be full again. Taking tokens moves that time on, if it then
// lies no further ahead than a whole bucket; a refusal writes nothing. In any span of t no more than burst + t * max_requests / window is
// granted, whatever the number of threads. It is usable by itself: it knows no exchange and no loop.
//
// Whoever must not wait calls dx_limit_try. Whoever may wait enters a first-in, first-out queue (dx_limit_enter), or blocks in it
// (dx_limit_acquire); while somebody waits, nobody is let past. What a server says of its own limits slows the bucket and never speeds it:
// dx_limit_pause_until for Retry-After, dx_limit_observe for RateLimit and its likes.
//
// Time is an argument, CLOCK_MONOTONIC in nanoseconds as dx_clock_monotonic gives it, below DX_LIMIT_TIME_CAP. A `now` that lies before
// another thread's does no harm. All calls are for any thread.
#ifndef DX_POLICY_LIMIT_H
#define DX_POLICY_LIMIT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/slice.h"
#include "base/status.h"

#define DX_LIMIT_NEVER       INT64_MAX                               // no time: nothing waits
#define DX_LIMIT_TIME_CAP    ((dx_nanos)1 << 58)                     // of `now`: 9 years; later times count as this one
#define DX_LIMIT_RATE_CAP    ((uint64_t)100000000)                   // requests in a second
#define DX_LIMIT_FILL_CAP    ((dx_nanos)366 * 24 * 3600 * DX_SECOND) // what an empty bucket may need to be full
#define DX_LIMIT_QUEUE_CAP   65536u                                  // of options.queue
#define DX_LIMIT_PAUSE_CAP   ((dx_nanos)24 * 3600 * DX_SECOND)       // of options.pause_max
#define DX_LIMIT_ADAPT_BURST 4 // of what a server still allows, one in so many may go at once; the rest is spread

typedef struct dx_limit dx_limit;

typedef struct dx_limit_options {
    uint32_t max_requests;        // in each window; from 1
    dx_nanos window;              // from 1
    uint32_t burst;               // tokens that a full bucket holds; 0: max_requests
    uint32_t queue;               // how many may wait; 0: nobody
    uint32_t reserve_thousandths; // of the server's limit, which dx_limit_observe leaves to others
    dx_nanos pause_max;           // the longest pause that a server may impose
} dx_limit_options;
#define DX_LIMIT_OPTIONS_INIT                                                                                                              \
    { .max_requests = 100, .window = 60 * DX_SECOND, .queue = 4096, .reserve_thousandths = 100, .pause_max = 3600 * DX_SECOND }

// Begins with a full bucket, held once. DX_INVALID: an option out of its range; DX_NO_MEMORY.
dx_status dx_limit_create(dx_limit **out, const dx_limit_options *options) DX_MUST_USE;
dx_limit *dx_limit_hold(dx_limit *limit);
void dx_limit_release(dx_limit *limit); // takes NULL. Nobody may wait when the last one lets go

// Takes `n` tokens (from 1) if they are there and nobody waits. DX_OK; DX_RATE_LIMITED: `*wait` (unless NULL) is how long until they would
// be, with those who wait before; DX_INVALID: `n` is 0 or more than the bucket ever holds.
dx_status dx_limit_try(dx_limit *limit, uint32_t n, dx_nanos now, dx_nanos *wait) DX_MUST_USE;
// Gives back what was granted and not used, to the bucket of now. Not more than was taken.
void dx_limit_refund(dx_limit *limit, uint32_t n, dx_nanos now);
// Whole tokens that a try would get now; 0 while somebody waits or while it is paused.
uint32_t dx_limit_available(dx_limit *limit, dx_nanos now);

// One who waits: the caller's memory, zeroed but for the first three, and untouched from dx_limit_enter until it was granted or left.
typedef struct dx_limit_waiter dx_limit_waiter;
struct dx_limit_waiter {
    // Called once, by dx_limit_grant or a call that changes the limit, on that thread, outside of any lock; it may call the limit, and the
    // waiter is the caller's again. DX_OK: it has its tokens. DX_RATE_LIMITED: its deadline can't be kept any more (a pause, a slower rate,
    // a late timer). DX_INVALID: the bucket has become too small for it.
    void (*granted)(dx_limit_waiter *waiter, dx_status status);
    void *ctx;
    // Its time has come nearer than it was told, and it is first (another rate, a reset, somebody who left): whoever keeps its time asks
    // dx_limit_due again. Under the limit's lock, on any thread: post to a loop and return. NULL: nobody need know.
    void (*nudge)(dx_limit_waiter *waiter);
    // the limit's
    dx_limit_waiter *next, *previous;
    struct dx_limit_sleeper *sleeper;
    dx_nanos deadline, entered, told;
    uint32_t n;
    bool queued;
};

// Takes `n` tokens or a place in the queue. DX_OK: `*wait` is 0 and the tokens are taken (`granted` will not be called), or it is how long
// the wait is going to be. Refused at once, `*wait` telling the same: DX_RATE_LIMITED, the wait would pass `deadline`
// (DX_LIMIT_NEVER: none); DX_OVERLOADED, the queue is full. DX_INVALID as in dx_limit_try.
dx_status dx_limit_enter(dx_nanos *wait, dx_limit *limit, dx_limit_waiter *waiter, uint32_t n, dx_nanos deadline, dx_nanos now) DX_MUST_USE;
// Takes a waiter out of the queue. False: it is not there (any more), so `granted` was called, or another thread is about to and the
// waiter's memory must stay until it has been. May be called again.
bool dx_limit_leave(dx_limit *limit, dx_limit_waiter *waiter);
// When dx_limit_grant will next have something to do; DX_LIMIT_NEVER when nobody waits. It may lie in the past.
dx_nanos dx_limit_due(dx_limit *limit, dx_nanos now);
// Grants all who can be, first come first, and dismisses those who can't be in time. Returns the next dx_limit_due.
dx_nanos dx_limit_grant(dx_limit *limit, dx_nanos now);
// `moved` is called, outside of any lock, by whichever call may have made what is due earlier than was told before (an update, a reset, a
// new word of the server, somebody who left): the owner of a timer asks dx_limit_due again. One watcher; set it before others know the
// limit.
void dx_limit_watch(dx_limit *limit, void (*moved)(void *ctx), void *ctx);
// Waits for `n` tokens for up to `timeout`, in the same queue, asleep; keeps the time by itself. `timeout` 0: does not wait; negative: for
// as long as it takes. DX_OK, DX_RATE_LIMITED (at once, when it would take longer), DX_OVERLOADED, DX_INVALID. While it waits it may call
// other waiters' `granted`. Not on a loop's thread.
dx_status dx_limit_acquire(dx_limit *limit, uint32_t n, dx_nanos timeout) DX_MUST_USE;

// A full bucket at once; a pause and a server's word are forgotten. Whoever waits is granted what can be.
void dx_limit_reset(dx_limit *limit, dx_nanos now);
// Changes rate and burst (0: max_requests) at once; the tokens that are missing from the bucket stay missing. DX_INVALID: out of range,
// nothing is changed.
dx_status dx_limit_update(dx_limit *limit, uint32_t max_requests, dx_nanos window, uint32_t burst, dx_nanos now) DX_MUST_USE;

// Nothing is granted before `until` (Retry-After), nor longer than options.pause_max from now; an earlier, longer pause stands.
void dx_limit_pause_until(dx_limit *limit, dx_nanos until, dx_nanos now);
// The server allows `remaining` more until `reset_at`, of `allowed` in all (0: not told). What remains, less the reserve, is spread over
// the time until then, a part of it at once (DX_LIMIT_ADAPT_BURST); with nothing left it pauses, for at most options.pause_max. Never
// faster than configured. From `reset_at` on all is as configured. Each call replaces what was said before; one with `reset_at` past says
// nothing.
void dx_limit_observe(dx_limit *limit, uint64_t allowed, uint64_t remaining, dx_nanos reset_at, dx_nanos now);

// Whether a limit can be so: DX_OK or DX_INVALID.
dx_status dx_limit_check(uint32_t max_requests, dx_nanos window, uint32_t burst) DX_MUST_USE;

typedef struct dx_limit_stats {
    uint64_t granted, denied; // requests for tokens, not tokens
    uint64_t waited;          // of those granted, how many had to wait
    uint64_t wait_total;      // how long they did, nanoseconds
    uint32_t waiting;         // now
} dx_limit_stats;
void dx_limit_stats_read(dx_limit *limit, dx_limit_stats *out);

// True when forgetting the limit loses nothing: its bucket is full, nobody waits, and no server's word is in force.
bool dx_limit_idle(dx_limit *limit, dx_nanos now);

#endif
