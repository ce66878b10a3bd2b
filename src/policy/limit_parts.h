// What the files of the limit share: limit.c (the word), limit_queue.c (who waits), limit_server.c (what servers say).
//
// The word holds the bucket's time of being full, in ticks of 1/8 ns from 0 on, shifted by one; its lowest bit (SLOW) sends everybody to
// the lock. Without SLOW a bucket is taken from by compare-and-swap alone. With it, and under the lock, the word is only the holder's:
// nothing else writes it. Rate and burst change only so, and a change never leaves the word's value as it was, so whoever has read the old
// ones fails to swap and reads anew. SLOW stays set while somebody waits or a pause lasts.
#ifndef DX_POLICY_LIMIT_PARTS_H
#define DX_POLICY_LIMIT_PARTS_H

#include <pthread.h>
#include <stdatomic.h>

#include "policy/limit.h"

typedef int64_t dx_ticks; // 1/8 ns: fine enough that rounding up a token's price slows a million a second by 1 in 8000

#define DX_LIMIT_TICKS    8                                    // in a nanosecond
#define DX_LIMIT_FULL_CAP (DX_LIMIT_FILL_CAP * DX_LIMIT_TICKS) // the highest price of any number of tokens
#define DX_LIMIT_FOREVER  INT64_MAX

struct dx_limit {
    // What the fast way reads and writes.
    _Atomic(int64_t) word;
    _Atomic(dx_ticks) interval;  // a token's price
    _Atomic(dx_ticks) tolerance; // of a full bucket
    _Atomic(dx_ticks) until;     // from then on it is as configured; DX_LIMIT_FOREVER: it is so now
    atomic_uint burst;           // configured: more than this is never granted at once
    atomic_uint holders;
    char apart[64]; // in lines of the cache of their own
    _Atomic(uint64_t) granted;
    _Atomic(uint64_t) denied, waited, wait_total;
    char apart_too[64];
    // Under the lock.
    pthread_mutex_t lock;
    dx_ticks own_interval, own_tolerance; // as configured
    dx_ticks paused_until;                // 0: not
    uint32_t reserve_thousandths, queue_cap;
    dx_nanos pause_max;
    dx_limit_waiter *first, *last;
    uint32_t waiting;
    uint64_t tokens_waiting;
    dx_nanos earliest; // no waiter's deadline is before this
    bool shrunk;       // a waiter may want more than the bucket now holds
    void (*moved)(void *ctx);
    void *moved_ctx;
};

// A thread that is blocked, woken under the limit's lock.
struct dx_limit_sleeper {
    pthread_cond_t wake;
    dx_status status;
    bool done;
};

dx_ticks dx_limit_ticks(dx_nanos time);  // clamped to what the word can hold
dx_nanos dx_limit_nanos(dx_ticks ticks); // rounded up

// Lock and SLOW, and both off again.
void dx_limit_lock(dx_limit *limit);
void dx_limit_unlock(dx_limit *limit);

// All these under the lock.
// Ends what is over by now: a pause, a server's word.
void dx_limit_settle(dx_limit *limit, dx_ticks now);
// From when on `n` tokens can be had, after `ahead` others; not before `now`.
dx_ticks dx_limit_when(dx_limit *limit, uint64_t ahead, uint32_t n, dx_ticks now);
bool dx_limit_take(dx_limit *limit, uint32_t n, dx_ticks now); // regardless of who waits
// Another price and bucket, in force until then; the missing tokens stay missing.
void dx_limit_apply(dx_limit *limit, dx_ticks interval, dx_ticks tolerance, dx_ticks until, dx_ticks now);

typedef enum dx_limit_quick { DX_LIMIT_TAKEN, DX_LIMIT_SHORT, DX_LIMIT_ASK } dx_limit_quick;
// The way without the lock. DX_LIMIT_ASK: take the lock.
dx_limit_quick dx_limit_take_quick(dx_limit *limit, uint32_t n, dx_ticks now, dx_ticks *when);
// After a change that may let somebody through sooner; without the lock.
void dx_limit_changed(dx_limit *limit, dx_nanos now);

#endif
