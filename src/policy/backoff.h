// How long to wait before trying again: exponential backoff with full jitter, that is a random time between nothing and
// delay * factor^(retry - 1), capped. (Brooker, "Exponential Backoff and Jitter", AWS Architecture Blog, 2015: of the kinds of jitter the
// one that costs least work in all.) A server's Retry-After is a floor. Pure but for the random number, which a test may bring. Whether to
// try again at all is not decided here: see retry_budget.h and breaker.h.
#ifndef DX_POLICY_BACKOFF_H
#define DX_POLICY_BACKOFF_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/compiler.h"
#include "base/status.h"

#define DX_BACKOFF_DELAY_CAP  ((dx_nanos)24 * 3600 * DX_SECOND) // of max_delay
#define DX_BACKOFF_FACTOR_CAP 100.0

typedef struct dx_backoff {
    dx_nanos delay;                // before the first retry, at most; 0: none
    dx_nanos max_delay;            // what it grows to
    double factor;                 // from 1
    bool jitter;                   // false: always the most
    uint64_t (*random)(void *ctx); // NULL: dx_random_u64
    void *random_ctx;
} dx_backoff;
#define DX_BACKOFF_INIT                                                                                                                    \
    { .delay = 200 * DX_MILLISECOND, .max_delay = 20 * DX_SECOND, .factor = 2, .jitter = true }

// DX_INVALID when a field is out of its range. The next function takes any, and stays within max_delay.
dx_status dx_backoff_check(const dx_backoff *backoff) DX_MUST_USE;
// The wait before retry number `retry` (1: the first), never less than `floor` (Retry-After; 0: none). A floor over the wait gets up to
// `delay` added by chance, so that all who were told the same time do not come back in the same moment.
dx_nanos dx_backoff_wait(const dx_backoff *backoff, uint32_t retry, dx_nanos floor);

#endif
