// What a server says of its limits, as a limit of our own: pauses, and a slower bucket until its window begins anew.
#include "policy/limit.h"
#include "policy/limit_parts.h"

// Under the lock. A pause only grows.
static void pause(dx_limit *limit, dx_ticks until, dx_ticks now) {
    dx_ticks most = now + limit->pause_max * DX_LIMIT_TICKS;
    if (until > most) until = most;
    if (until > now && until > limit->paused_until) limit->paused_until = until;
}

void dx_limit_pause_until(dx_limit *limit, dx_nanos until, dx_nanos now) {
    dx_ticks at = dx_limit_ticks(now);
    dx_limit_lock(limit);
    dx_limit_settle(limit, at);
    pause(limit, dx_limit_ticks(until), at);
    dx_limit_unlock(limit);
    dx_limit_changed(limit, now); // who can't wait so long is told at once
}

// `usable` requests over the time until `reset`: a part of them as the bucket, so that what comes now and then is not held up, and the
// others in even steps. A bucket of b and steps of s let through b + time / s, of which the last one falls on the reset itself and is the
// next window's.
static void spread(dx_limit *limit, uint64_t usable, dx_ticks reset, dx_ticks now) {
    dx_ticks own = limit->own_interval, left = reset - now;
    uint64_t burst = atomic_load_explicit(&limit->burst, memory_order_relaxed);
    if (usable >= burst + (uint64_t)(left / own) + 1) { // as much as we would ever send
        if (atomic_load_explicit(&limit->until, memory_order_relaxed) == DX_LIMIT_FOREVER) return;
        dx_limit_apply(limit, own, limit->own_tolerance, DX_LIMIT_FOREVER, now);
        return;
    }
    uint64_t at_once = usable / DX_LIMIT_ADAPT_BURST;
    if (at_once > burst) at_once = burst;
    if (at_once == 0) at_once = 1;
    uint64_t steps = usable - at_once + 1;
    dx_ticks interval = (dx_ticks)((uint64_t)left / steps + ((uint64_t)left % steps > 0));
    if (interval < own) interval = own;
    dx_ticks tolerance;
    if (__builtin_mul_overflow(at_once, interval, &tolerance) || tolerance > DX_LIMIT_FULL_CAP) tolerance = DX_LIMIT_FULL_CAP;
    dx_limit_apply(limit, interval, tolerance, reset, now);
}

void dx_limit_observe(dx_limit *limit, uint64_t allowed, uint64_t remaining, dx_nanos reset_at, dx_nanos now) {
    dx_ticks at = dx_limit_ticks(now), reset = dx_limit_ticks(reset_at);
    if (reset <= at || reset - at > DX_LIMIT_FULL_CAP) return;
    if (allowed && remaining > allowed) remaining = allowed;
    uint64_t reserve = (uint64_t)((unsigned __int128)allowed * limit->reserve_thousandths / 1000);
    uint64_t usable = remaining > reserve ? remaining - reserve : 0;
    dx_limit_lock(limit);
    dx_limit_settle(limit, at);
    if (usable == 0) pause(limit, reset, at);
    spread(limit, usable ? usable : 1, reset, at); // after a pause that was cut short: one, to see
    dx_limit_unlock(limit);
    dx_limit_changed(limit, now);
}
