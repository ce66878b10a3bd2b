// Hedging: when a call has not been answered for longer than nearly all others take, a second copy is sent and the first answer counts
// (Dean and Barroso, "The Tail at Scale", 2013). This says when that time has come, a fixed delay or a percentile of recent latencies, and
// keeps the second copies a small share of the calls, so that an upstream that is slow for all does not get twice the load. Which calls may
// be sent twice (those without side effects, or with an idempotency key), sending and cancelling are the caller's. All calls are for any
// thread.
#ifndef DX_POLICY_HEDGE_H
#define DX_POLICY_HEDGE_H

#include "base/histogram.h"
#include "policy/retry_budget.h"

#define DX_HEDGE_NEVER     ((dx_nanos)-1)
#define DX_HEDGE_SHARE_CAP 50u  // thousandths
#define DX_HEDGE_RENEWAL   128u // calls from one look at the percentile to the next
#define DX_HEDGE_MIN_COUNT 100u // latencies that dx_hedge_percentile wants to see

typedef struct dx_hedge_options {
    dx_nanos delay; // a fixed one; 0: by percentile
    // The percentile of recent latencies, or DX_HEDGE_NEVER while too little is known. Called now and then, by whichever thread.
    dx_nanos (*latency)(void *ctx, double percent);
    void *latency_ctx;
    double percent;                // over 0 and below 100
    dx_nanos min_delay, max_delay; // bounds of a percentile's delay
    uint32_t share_thousandths;    // second copies to calls; 1 to DX_HEDGE_SHARE_CAP
    uint32_t saved;                // how many of them may be saved up in quiet times; from 1
} dx_hedge_options;
#define DX_HEDGE_OPTIONS_INIT                                                                                                              \
    { .percent = 95, .min_delay = DX_MILLISECOND, .max_delay = 10 * DX_SECOND, .share_thousandths = 50, .saved = 10 }

typedef struct dx_hedge {
    dx_hedge_options options; // not changed after init
    dx_retry_budget budget;
    _Atomic(dx_nanos) delay; // the percentile's, as it was looked at last
    atomic_uint until_renewal;
    _Atomic(uint64_t) won;
} dx_hedge;

// DX_INVALID: an option out of its range, or neither a delay nor a percentile.
dx_status dx_hedge_init(dx_hedge *hedge, const dx_hedge_options *options) DX_MUST_USE;
// A call begins. After how long, still without an answer, dx_hedge_send is to be asked; DX_HEDGE_NEVER: not this one.
dx_nanos dx_hedge_begin(dx_hedge *hedge);
// That time has come: whether the second copy may be sent. False: the share is used up.
bool dx_hedge_send(dx_hedge *hedge) DX_MUST_USE;
// The second copy was answered first.
void dx_hedge_won(dx_hedge *hedge);

typedef struct dx_hedge_stats {
    uint64_t calls, sent, refused, won;
    dx_nanos delay; // now; DX_HEDGE_NEVER: not known yet
} dx_hedge_stats;
void dx_hedge_stats_read(dx_hedge *hedge, dx_hedge_stats *out);

// For options.latency, with a dx_histogram as its ctx. Whoever records in it empties it now and then: else it is of all time, not recent.
dx_nanos dx_hedge_percentile(void *histogram, double percent);

#endif
