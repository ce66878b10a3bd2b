// Exponential backoff, full jitter.
#include "policy/backoff.h"

#include "base/random.h"

dx_status dx_backoff_check(const dx_backoff *backoff) {
    bool times = backoff->delay >= 0 && backoff->max_delay >= backoff->delay && backoff->max_delay <= DX_BACKOFF_DELAY_CAP;
    bool factor = backoff->factor >= 1 && backoff->factor <= DX_BACKOFF_FACTOR_CAP; // false for what is no number
    return times && factor ? DX_OK : DX_INVALID;
}

static dx_nanos most(const dx_backoff *backoff, uint32_t retry) {
    double delay = (double)backoff->delay, cap = (double)backoff->max_delay;
    // By squaring, so that a late retry costs no more than an early one.
    double power = backoff->factor;
    for (uint32_t left = retry ? retry - 1 : 0; left && delay < cap && delay > 0; left /= 2) {
        if (left % 2) delay *= power;
        if (power < cap) power *= power;
    }
    return delay < cap ? (dx_nanos)delay : backoff->max_delay;
}

// From 0 to `most`, both included.
static dx_nanos up_to(const dx_backoff *backoff, dx_nanos most) {
    uint64_t drawn = backoff->random ? backoff->random(backoff->random_ctx) : dx_random_u64();
    return (dx_nanos)(((unsigned __int128)drawn * ((uint64_t)most + 1)) >> 64);
}

dx_nanos dx_backoff_wait(const dx_backoff *backoff, uint32_t retry, dx_nanos floor) {
    dx_nanos wait = most(backoff, retry);
    if (backoff->jitter) wait = up_to(backoff, wait);
    if (wait >= floor) return wait;
    dx_nanos added = backoff->jitter ? up_to(backoff, backoff->delay) : 0;
    return floor > INT64_MAX - added ? INT64_MAX : floor + added;
}
