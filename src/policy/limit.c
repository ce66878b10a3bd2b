// The bucket: its word, its price, and taking from it. See limit_parts.h for how the word and the lock go together.
#include "policy/limit.h"

#include "base/memory.h"
#include "policy/limit_parts.h"

static const int64_t SLOW = 1;

dx_ticks dx_limit_ticks(dx_nanos time) {
    if (time < 0) return 0;
    return (time < DX_LIMIT_TIME_CAP ? time : DX_LIMIT_TIME_CAP) * DX_LIMIT_TICKS;
}

dx_nanos dx_limit_nanos(dx_ticks ticks) {
    return ticks / DX_LIMIT_TICKS + (ticks % DX_LIMIT_TICKS > 0);
}

static dx_ticks later(dx_ticks a, dx_ticks b) {
    return a > b ? a : b;
}

static dx_ticks price(uint64_t tokens, dx_ticks interval) {
    dx_ticks cost;
    if (__builtin_mul_overflow(tokens, interval, &cost) || cost > DX_LIMIT_FULL_CAP) return DX_LIMIT_FULL_CAP;
    return cost;
}

// A token's price and a bucket's, rounded up so that the rate is never passed; false when out of range.
static bool price_of(uint32_t max_requests, dx_nanos window, uint32_t burst, dx_ticks *interval, dx_ticks *tolerance) {
    if (max_requests == 0 || window < 1 || window > DX_LIMIT_FILL_CAP) return false;
    if ((unsigned __int128)max_requests * DX_SECOND > (unsigned __int128)DX_LIMIT_RATE_CAP * (uint64_t)window) return false;
    *interval = (window * DX_LIMIT_TICKS + max_requests - 1) / max_requests;
    *tolerance = price(burst, *interval);
    return *tolerance < DX_LIMIT_FULL_CAP;
}

dx_status dx_limit_create(dx_limit **out, const dx_limit_options *options) {
    dx_ticks interval, tolerance;
    uint32_t burst = options->burst ? options->burst : options->max_requests;
    *out = NULL;
    if (!price_of(options->max_requests, options->window, burst, &interval, &tolerance)) return DX_INVALID;
    if (options->queue > DX_LIMIT_QUEUE_CAP || options->reserve_thousandths > 1000) return DX_INVALID;
    if (options->pause_max < 0 || options->pause_max > DX_LIMIT_PAUSE_CAP) return DX_INVALID;
    dx_limit *limit = dx_memory_zalloc(1, sizeof *limit);
    if (!limit) return DX_NO_MEMORY;
    atomic_init(&limit->interval, interval);
    atomic_init(&limit->tolerance, tolerance);
    atomic_init(&limit->until, DX_LIMIT_FOREVER);
    atomic_init(&limit->burst, burst);
    atomic_init(&limit->holders, 1);
    limit->own_interval = interval;
    limit->own_tolerance = tolerance;
    limit->reserve_thousandths = options->reserve_thousandths;
    limit->queue_cap = options->queue;
    limit->pause_max = options->pause_max;
    limit->earliest = DX_LIMIT_NEVER;
    (void)pthread_mutex_init(&limit->lock, NULL);
    *out = limit;
    return DX_OK;
}

dx_limit *dx_limit_hold(dx_limit *limit) {
    (void)atomic_fetch_add_explicit(&limit->holders, 1, memory_order_relaxed);
    return limit;
}

void dx_limit_release(dx_limit *limit) {
    if (!limit || atomic_fetch_sub_explicit(&limit->holders, 1, memory_order_acq_rel) > 1) return;
    (void)pthread_mutex_destroy(&limit->lock);
    dx_memory_free(limit);
}

void dx_limit_lock(dx_limit *limit) {
    (void)pthread_mutex_lock(&limit->lock);
    (void)atomic_fetch_or_explicit(&limit->word, SLOW, memory_order_acq_rel);
}

void dx_limit_unlock(dx_limit *limit) {
    if (!limit->first && !limit->paused_until) (void)atomic_fetch_and_explicit(&limit->word, ~SLOW, memory_order_release);
    (void)pthread_mutex_unlock(&limit->lock);
}

// The word under the lock: the time at which the bucket is full.
static dx_ticks full_at(const dx_limit *limit) {
    return atomic_load_explicit(&limit->word, memory_order_relaxed) >> 1;
}
static void set_full_at(dx_limit *limit, dx_ticks time) {
    atomic_store_explicit(&limit->word, time * 2 | SLOW, memory_order_release);
}

void dx_limit_apply(dx_limit *limit, dx_ticks interval, dx_ticks tolerance, dx_ticks until, dx_ticks now) {
    dx_ticks before = full_at(limit), old = atomic_load_explicit(&limit->interval, memory_order_relaxed);
    bool same = interval == old && tolerance == atomic_load_explicit(&limit->tolerance, memory_order_relaxed);
    atomic_store_explicit(&limit->until, until, memory_order_release);
    if (same) return;
    dx_ticks missing = later(before - now, 0);
    __int128 scaled = (__int128)missing * interval / old;
    missing = scaled < tolerance ? (dx_ticks)scaled : tolerance; // not more than the bucket holds
    // Released: whoever sees one of them sees the word's SLOW, or what came after it, and so fails to swap.
    atomic_store_explicit(&limit->interval, interval, memory_order_release);
    atomic_store_explicit(&limit->tolerance, tolerance, memory_order_release);
    dx_ticks after = now + missing;
    if (after == before) after += missing ? 1 : -1; // a full bucket stays a full one
    set_full_at(limit, after);
}

void dx_limit_settle(dx_limit *limit, dx_ticks now) {
    if (limit->paused_until && now >= limit->paused_until) limit->paused_until = 0;
    if (now >= atomic_load_explicit(&limit->until, memory_order_relaxed)) {
        dx_limit_apply(limit, limit->own_interval, limit->own_tolerance, DX_LIMIT_FOREVER, now);
    }
}

// When `n` tokens can be had of a bucket that is full at `full`: GCRA's test. A bucket that holds less than `n` (a server's word has made
// it smaller than configured) gives them when it is full, and owes.
static dx_ticks ready_at(dx_ticks full, uint64_t ahead, uint32_t n, dx_ticks interval, dx_ticks tolerance) {
    return full + price(ahead + n, interval) - later(tolerance, price(n, interval));
}

dx_ticks dx_limit_when(dx_limit *limit, uint64_t ahead, uint32_t n, dx_ticks now) {
    dx_ticks interval = atomic_load_explicit(&limit->interval, memory_order_relaxed);
    dx_ticks tolerance = atomic_load_explicit(&limit->tolerance, memory_order_relaxed);
    dx_ticks until = atomic_load_explicit(&limit->until, memory_order_relaxed);
    dx_ticks from = later(now, limit->paused_until);
    dx_ticks when = later(from, ready_at(later(full_at(limit), from), ahead, n, interval, tolerance));
    // What a server's word doesn't reach goes at the configured rate.
    if (when > until) when = until + (dx_ticks)((__int128)(when - until) * limit->own_interval / interval);
    return later(from, when);
}

bool dx_limit_take(dx_limit *limit, uint32_t n, dx_ticks now) {
    if (dx_limit_when(limit, 0, n, now) > now) return false;
    dx_ticks interval = atomic_load_explicit(&limit->interval, memory_order_relaxed);
    set_full_at(limit, later(full_at(limit), now) + price(n, interval));
    return true;
}

dx_limit_quick dx_limit_take_quick(dx_limit *limit, uint32_t n, dx_ticks now, dx_ticks *when) {
    for (;;) {
        int64_t word = atomic_load_explicit(&limit->word, memory_order_acquire);
        dx_ticks interval = atomic_load_explicit(&limit->interval, memory_order_acquire);
        dx_ticks tolerance = atomic_load_explicit(&limit->tolerance, memory_order_acquire);
        if (word & SLOW || now >= atomic_load_explicit(&limit->until, memory_order_acquire)) return DX_LIMIT_ASK;
        dx_ticks full = later(word >> 1, now);
        *when = ready_at(full, 0, n, interval, tolerance);
        if (*when > now) {
            if (atomic_load_explicit(&limit->word, memory_order_acquire) == word) return DX_LIMIT_SHORT;
        } else if (atomic_compare_exchange_weak_explicit(&limit->word, &word, (full + price(n, interval)) * 2, memory_order_acq_rel,
                                                         memory_order_relaxed)) {
            return DX_LIMIT_TAKEN;
        }
    }
}

static void count(_Atomic(uint64_t) *counter) {
    (void)atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

dx_status dx_limit_try(dx_limit *limit, uint32_t n, dx_nanos now, dx_nanos *wait) {
    dx_ticks at = dx_limit_ticks(now), when = 0;
    if (wait) *wait = 0;
    if (n == 0 || n > atomic_load_explicit(&limit->burst, memory_order_relaxed)) return DX_INVALID;
    dx_limit_quick found = dx_limit_take_quick(limit, n, at, &when);
    if (found == DX_LIMIT_ASK) {
        dx_limit_lock(limit);
        dx_limit_settle(limit, at);
        found = !limit->first && dx_limit_take(limit, n, at) ? DX_LIMIT_TAKEN : DX_LIMIT_SHORT;
        if (found == DX_LIMIT_SHORT) when = dx_limit_when(limit, limit->tokens_waiting, n, at);
        dx_limit_unlock(limit);
    }
    if (found == DX_LIMIT_TAKEN) {
        count(&limit->granted);
        return DX_OK;
    }
    count(&limit->denied);
    if (wait) *wait = when > at ? dx_limit_nanos(when - at) : 1; // those before are due but not yet granted
    return DX_RATE_LIMITED;
}

uint32_t dx_limit_available(dx_limit *limit, dx_nanos now) {
    dx_ticks at = dx_limit_ticks(now), tokens = 0;
    dx_limit_lock(limit);
    dx_limit_settle(limit, at);
    if (!limit->first && !limit->paused_until) {
        dx_ticks missing = later(full_at(limit) - at, 0), tolerance = atomic_load_explicit(&limit->tolerance, memory_order_relaxed);
        tokens = later(tolerance - missing, 0) / atomic_load_explicit(&limit->interval, memory_order_relaxed);
    }
    dx_limit_unlock(limit);
    return tokens < UINT32_MAX ? (uint32_t)tokens : UINT32_MAX;
}

void dx_limit_refund(dx_limit *limit, uint32_t n, dx_nanos now) {
    dx_ticks at = dx_limit_ticks(now);
    dx_limit_lock(limit);
    dx_limit_settle(limit, at);
    dx_ticks full = full_at(limit) - price(n, atomic_load_explicit(&limit->interval, memory_order_relaxed));
    set_full_at(limit, later(full, 0));
    dx_limit_unlock(limit);
    dx_limit_changed(limit, now);
}

void dx_limit_reset(dx_limit *limit, dx_nanos now) {
    dx_ticks at = dx_limit_ticks(now);
    dx_limit_lock(limit);
    limit->paused_until = 0;
    set_full_at(limit, 0);
    dx_limit_apply(limit, limit->own_interval, limit->own_tolerance, DX_LIMIT_FOREVER, at);
    dx_limit_unlock(limit);
    dx_limit_changed(limit, now);
}

dx_status dx_limit_check(uint32_t max_requests, dx_nanos window, uint32_t burst) {
    dx_ticks interval, tolerance;
    return price_of(max_requests, window, burst ? burst : max_requests, &interval, &tolerance) ? DX_OK : DX_INVALID;
}

dx_status dx_limit_update(dx_limit *limit, uint32_t max_requests, dx_nanos window, uint32_t burst, dx_nanos now) {
    dx_ticks interval, tolerance, at = dx_limit_ticks(now);
    if (burst == 0) burst = max_requests;
    if (!price_of(max_requests, window, burst, &interval, &tolerance)) return DX_INVALID;
    dx_limit_lock(limit);
    dx_limit_settle(limit, at);
    limit->own_interval = interval;
    limit->own_tolerance = tolerance;
    limit->shrunk = limit->first != NULL;
    atomic_store_explicit(&limit->burst, burst, memory_order_relaxed);
    dx_ticks until = atomic_load_explicit(&limit->until, memory_order_relaxed);
    if (until != DX_LIMIT_FOREVER) { // a server's word stands where it is the stricter one
        interval = later(interval, atomic_load_explicit(&limit->interval, memory_order_relaxed));
        dx_ticks kept = atomic_load_explicit(&limit->tolerance, memory_order_relaxed);
        tolerance = later(kept < tolerance ? kept : tolerance, interval);
    }
    dx_limit_apply(limit, interval, tolerance, until, at);
    dx_limit_unlock(limit);
    dx_limit_changed(limit, now);
    return DX_OK;
}

void dx_limit_stats_read(dx_limit *limit, dx_limit_stats *out) {
    (void)pthread_mutex_lock(&limit->lock);
    out->waiting = limit->waiting;
    (void)pthread_mutex_unlock(&limit->lock);
    out->granted = atomic_load_explicit(&limit->granted, memory_order_relaxed);
    out->denied = atomic_load_explicit(&limit->denied, memory_order_relaxed);
    out->waited = atomic_load_explicit(&limit->waited, memory_order_relaxed);
    out->wait_total = atomic_load_explicit(&limit->wait_total, memory_order_relaxed);
}

bool dx_limit_idle(dx_limit *limit, dx_nanos now) {
    dx_ticks at = dx_limit_ticks(now);
    int64_t word = atomic_load_explicit(&limit->word, memory_order_acquire);
    dx_ticks until = atomic_load_explicit(&limit->until, memory_order_acquire);
    return !(word & SLOW) && word >> 1 <= at && (until == DX_LIMIT_FOREVER || until <= at);
}
