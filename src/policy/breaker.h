// A circuit breaker, one an upstream: when too many calls fail, no more are sent for a while, and then a few probes decide whether it is
// well again. (Nygard, "Release It!", 2007.) Failures are counted over a rolling window of DX_BREAKER_BUCKETS buckets and judged as a share
// of the calls, once there are enough of these. Slow answers can count as well. Each opening that follows soon on a closing, or on failed
// probes, lasts twice as long as the one before, up to a cap.
//
//   closed --(share of failures reached)--> open --(time is over)--> half-open --(all probes well)--> closed
//                                            ^------(a probe fails)------'
//
// What a failure is, the caller says. A call that was allowed is reported once, with its ticket: what belongs to a state that is over (a
// call sent before it opened) changes nothing. Its lock is held for a few additions only; while closed, dx_breaker_allow takes none. All
// calls are for any thread; time is an argument (dx_clock_monotonic).
#ifndef DX_POLICY_BREAKER_H
#define DX_POLICY_BREAKER_H

#include "base/clock.h"
#include "base/compiler.h"
#include "base/status.h"

#include <stdbool.h>
#include <stdint.h>

#define DX_BREAKER_BUCKETS    10
#define DX_BREAKER_TIME_CAP   ((dx_nanos)24 * 3600 * DX_SECOND) // of each of the times below
#define DX_BREAKER_PROBES_CAP 1000u

typedef struct dx_breaker dx_breaker;
typedef enum dx_breaker_state { DX_BREAKER_CLOSED, DX_BREAKER_OPEN, DX_BREAKER_HALF_OPEN } dx_breaker_state;

typedef struct dx_breaker_options {
    dx_nanos window;              // over which calls count; from DX_BREAKER_BUCKETS
    uint32_t min_calls;           // in the window, before it may open; from 1
    uint32_t failure_thousandths; // share of failed calls at which it opens; 1 to 1000
    dx_nanos slow_from;           // an answer that takes so long is slow; 0: none is
    uint32_t slow_thousandths;    // share of slow calls at which it opens; 1 to 1000 when slow_from is set
    dx_nanos open_for, open_max;  // how long it opens at first, and at most
    uint32_t probes;              // calls let through when that is over, which must all do well; from 1
    // Told of each change, outside of the lock, by the thread whose call made it: so two that follow at once may be told in any order, and
    // `number` counts them. May be NULL.
    void (*changed)(dx_breaker_state from, dx_breaker_state to, uint64_t number, dx_nanos now, void *ctx);
    void *changed_ctx;
} dx_breaker_options;
#define DX_BREAKER_OPTIONS_INIT                                                                                                            \
    {                                                                                                                                      \
        .window = 10 * DX_SECOND, .min_calls = 20, .failure_thousandths = 500, .open_for = 5 * DX_SECOND, .open_max = 60 * DX_SECOND,      \
        .probes = 3                                                                                                                        \
    }

// DX_INVALID, DX_NO_MEMORY.
dx_status dx_breaker_create(dx_breaker **out, const dx_breaker_options *options) DX_MUST_USE;
void dx_breaker_destroy(dx_breaker *breaker); // takes NULL

typedef uint64_t dx_breaker_ticket;
// Whether a call may go. DX_OK: `*ticket` is to be reported. DX_UNAVAILABLE: `*retry_after` is when asking again makes sense, at least 1.
dx_status dx_breaker_allow(dx_breaker *breaker, dx_breaker_ticket *ticket, dx_nanos now, dx_nanos *retry_after) DX_MUST_USE;

typedef enum dx_breaker_outcome {
    DX_BREAKER_WELL,
    DX_BREAKER_FAILED,
    DX_BREAKER_CANCELLED // nothing is known of the upstream: not counted, and a probe's place is free again
} dx_breaker_outcome;
// What became of an allowed call, which took `duration`. Probes that are not reported within the time it was open are given up for others,
// so that a lost report doesn't keep it half-open for ever.
void dx_breaker_report(dx_breaker *breaker, dx_breaker_ticket ticket, dx_breaker_outcome outcome, dx_nanos duration, dx_nanos now);

// Closed, nothing counted, and the next opening is a first one.
void dx_breaker_reset(dx_breaker *breaker, dx_nanos now);

typedef struct dx_breaker_stats {
    dx_breaker_state state;
    uint64_t opened, rejected;      // since creation
    uint32_t calls, failures, slow; // in the window; 0 unless closed
    dx_nanos open_until;            // when it is or was open last; 0: never
} dx_breaker_stats;
void dx_breaker_stats_read(dx_breaker *breaker, dx_breaker_stats *out, dx_nanos now);

#endif
