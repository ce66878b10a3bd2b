// The breaker's states. A generation counts the changes; a ticket names the generation that it was given in, and whether it is a probe's.
#include "policy/breaker.h"

#include <pthread.h>
#include <stdatomic.h>

#include "base/memory.h"

typedef struct bucket {
    int64_t number; // of the time it stands for
    uint32_t calls, failures, slow;
} bucket;

struct dx_breaker {
    dx_breaker_options options;
    _Atomic(uint64_t) word; // generation * 4 + state; written under the lock
    _Atomic(uint64_t) rejected;
    pthread_mutex_t lock;
    bucket buckets[DX_BREAKER_BUCKETS];
    int64_t newest;    // bucket's number
    dx_nanos open_for; // this opening, or the last one; 0: none that counts
    dx_nanos since;    // when the state began
    dx_nanos open_until;
    uint64_t opened;
    uint32_t in_flight, well; // probes
};

// A change to be told when the lock is off.
typedef struct change {
    bool made;
    dx_breaker_state from, to;
    uint64_t number;
} change;

static bool in_cap(dx_nanos time) {
    return time <= DX_BREAKER_TIME_CAP;
}

static bool valid(const dx_breaker_options *options) {
    bool window = options->window >= DX_BREAKER_BUCKETS && in_cap(options->window) && options->min_calls > 0;
    bool failures = options->failure_thousandths >= 1 && options->failure_thousandths <= 1000;
    bool slow = options->slow_from == 0 || (options->slow_from > 0 && options->slow_thousandths >= 1 && options->slow_thousandths <= 1000);
    bool open = options->open_for > 0 && options->open_max >= options->open_for && in_cap(options->open_max);
    return window && failures && slow && open && options->probes > 0 && options->probes <= DX_BREAKER_PROBES_CAP;
}

dx_status dx_breaker_create(dx_breaker **out, const dx_breaker_options *options) {
    *out = NULL;
    if (!valid(options)) return DX_INVALID;
    dx_breaker *breaker = dx_memory_zalloc(1, sizeof *breaker);
    if (!breaker) return DX_NO_MEMORY;
    breaker->options = *options;
    breaker->newest = -1;
    for (size_t i = 0; i < DX_BREAKER_BUCKETS; i++) breaker->buckets[i].number = -1;
    (void)pthread_mutex_init(&breaker->lock, NULL);
    *out = breaker;
    return DX_OK;
}

void dx_breaker_destroy(dx_breaker *breaker) {
    if (!breaker) return;
    (void)pthread_mutex_destroy(&breaker->lock);
    dx_memory_free(breaker);
}

static dx_breaker_state state_in(uint64_t word) {
    return (dx_breaker_state)(word & 3);
}
static dx_breaker_ticket ticket_of(uint64_t word, bool probe) {
    return (word >> 2) * 2 + probe;
}

static void forget_window(dx_breaker *breaker) {
    for (size_t i = 0; i < DX_BREAKER_BUCKETS; i++) breaker->buckets[i] = (bucket){.number = -1};
    breaker->newest = -1;
}

static change enter(dx_breaker *breaker, dx_breaker_state to, dx_nanos now) {
    uint64_t word = atomic_load_explicit(&breaker->word, memory_order_relaxed), generation = (word >> 2) + 1;
    breaker->since = now;
    breaker->in_flight = breaker->well = 0;
    forget_window(breaker);
    atomic_store_explicit(&breaker->word, generation << 2 | to, memory_order_release);
    return (change){.made = state_in(word) != to, .from = state_in(word), .to = to, .number = generation};
}

static void tell(const dx_breaker *breaker, change made, dx_nanos now) {
    if (made.made && breaker->options.changed) {
        breaker->options.changed(made.from, made.to, made.number, now, breaker->options.changed_ctx);
    }
}

// Twice as long as the last time, unless it has been closed for a whole window since.
static change open_up(dx_breaker *breaker, dx_breaker_state from, dx_nanos now) {
    const dx_breaker_options *options = &breaker->options;
    bool again = breaker->open_for && (from == DX_BREAKER_HALF_OPEN || now - breaker->since < options->window);
    breaker->open_for = again ? breaker->open_for * 2 : options->open_for;
    if (breaker->open_for > options->open_max) breaker->open_for = options->open_max;
    breaker->open_until = now + breaker->open_for;
    breaker->opened++;
    return enter(breaker, DX_BREAKER_OPEN, now);
}

// The bucket of now; one that has stood for an earlier time begins anew. A clock that is behind counts into the newest.
static bucket *bucket_of(dx_breaker *breaker, dx_nanos now) {
    int64_t number = now / (breaker->options.window / DX_BREAKER_BUCKETS);
    if (number < breaker->newest) number = breaker->newest;
    breaker->newest = number;
    bucket *at = &breaker->buckets[number % DX_BREAKER_BUCKETS];
    if (at->number != number) *at = (bucket){.number = number};
    return at;
}

static bucket sum_of(const dx_breaker *breaker, int64_t newest) {
    bucket sum = {0};
    for (size_t i = 0; i < DX_BREAKER_BUCKETS; i++) {
        const bucket *at = &breaker->buckets[i];
        if (at->number < 0 || at->number <= newest - DX_BREAKER_BUCKETS) continue;
        sum.calls += at->calls;
        sum.failures += at->failures;
        sum.slow += at->slow;
    }
    return sum;
}

static bool share_reached(uint32_t part, uint32_t whole, uint32_t thousandths) {
    return (uint64_t)part * 1000 >= (uint64_t)whole * thousandths;
}

static bool must_open(const dx_breaker *breaker) {
    const dx_breaker_options *options = &breaker->options;
    bucket sum = sum_of(breaker, breaker->newest);
    if (sum.calls < options->min_calls) return false;
    if (share_reached(sum.failures, sum.calls, options->failure_thousandths)) return true;
    return options->slow_from && share_reached(sum.slow, sum.calls, options->slow_thousandths);
}

static change count_closed(dx_breaker *breaker, bool failed, bool slow, dx_nanos now) {
    bucket *at = bucket_of(breaker, now);
    at->calls++;
    at->failures += failed;
    at->slow += slow;
    return (failed || slow) && must_open(breaker) ? open_up(breaker, DX_BREAKER_CLOSED, now) : (change){0};
}

static change count_probe(dx_breaker *breaker, dx_breaker_outcome outcome, bool slow, dx_nanos now) {
    if (breaker->in_flight) breaker->in_flight--;
    if (outcome == DX_BREAKER_CANCELLED) return (change){0};
    if (outcome == DX_BREAKER_FAILED || slow) return open_up(breaker, DX_BREAKER_HALF_OPEN, now);
    return ++breaker->well < breaker->options.probes ? (change){0} : enter(breaker, DX_BREAKER_CLOSED, now);
}

// Under the lock, not closed: whether one more may go.
static bool probe_may_go(dx_breaker *breaker, change *changed, dx_nanos now) {
    if (state_in(atomic_load_explicit(&breaker->word, memory_order_relaxed)) == DX_BREAKER_OPEN) {
        if (now < breaker->open_until) return false;
        *changed = enter(breaker, DX_BREAKER_HALF_OPEN, now);
    }
    if (breaker->in_flight + breaker->well >= breaker->options.probes) {
        if (now - breaker->since < breaker->open_for) return false;
        (void)enter(breaker, DX_BREAKER_HALF_OPEN, now); // those that were sent are lost
    }
    breaker->in_flight++;
    return true;
}

dx_status dx_breaker_allow(dx_breaker *breaker, dx_breaker_ticket *ticket, dx_nanos now, dx_nanos *retry_after) {
    uint64_t word = atomic_load_explicit(&breaker->word, memory_order_acquire);
    change changed = {0};
    *ticket = ticket_of(word, false);
    *retry_after = 0;
    if (state_in(word) == DX_BREAKER_CLOSED) return DX_OK;
    (void)pthread_mutex_lock(&breaker->lock);
    word = atomic_load_explicit(&breaker->word, memory_order_relaxed);
    bool probe = state_in(word) != DX_BREAKER_CLOSED; // it may have closed just now
    bool allowed = !probe || probe_may_go(breaker, &changed, now);
    *ticket = ticket_of(atomic_load_explicit(&breaker->word, memory_order_relaxed), probe);
    if (!allowed) {
        dx_nanos until = state_in(word) == DX_BREAKER_OPEN ? breaker->open_until : breaker->since + breaker->open_for;
        *retry_after = until > now ? until - now : 1;
    }
    (void)pthread_mutex_unlock(&breaker->lock);
    tell(breaker, changed, now);
    if (allowed) return DX_OK;
    (void)atomic_fetch_add_explicit(&breaker->rejected, 1, memory_order_relaxed);
    return DX_UNAVAILABLE;
}

void dx_breaker_report(dx_breaker *breaker, dx_breaker_ticket ticket, dx_breaker_outcome outcome, dx_nanos duration, dx_nanos now) {
    bool probe = ticket & 1, slow = breaker->options.slow_from && duration >= breaker->options.slow_from;
    change changed = {0};
    if (outcome == DX_BREAKER_CANCELLED && !probe) return;
    (void)pthread_mutex_lock(&breaker->lock);
    uint64_t word = atomic_load_explicit(&breaker->word, memory_order_relaxed);
    if (ticket_of(word, probe) == ticket) { // else of a state that is over
        changed = probe ? count_probe(breaker, outcome, slow, now) : count_closed(breaker, outcome == DX_BREAKER_FAILED, slow, now);
    }
    (void)pthread_mutex_unlock(&breaker->lock);
    tell(breaker, changed, now);
}

void dx_breaker_reset(dx_breaker *breaker, dx_nanos now) {
    (void)pthread_mutex_lock(&breaker->lock);
    breaker->open_for = 0;
    change changed = enter(breaker, DX_BREAKER_CLOSED, now);
    (void)pthread_mutex_unlock(&breaker->lock);
    tell(breaker, changed, now);
}

void dx_breaker_stats_read(dx_breaker *breaker, dx_breaker_stats *out, dx_nanos now) {
    (void)pthread_mutex_lock(&breaker->lock);
    int64_t newest = now / (breaker->options.window / DX_BREAKER_BUCKETS);
    bucket sum = sum_of(breaker, newest > breaker->newest ? newest : breaker->newest);
    *out = (dx_breaker_stats){.state = state_in(atomic_load_explicit(&breaker->word, memory_order_relaxed)),
                              .opened = breaker->opened,
                              .rejected = atomic_load_explicit(&breaker->rejected, memory_order_relaxed),
                              .calls = sum.calls,
                              .failures = sum.failures,
                              .slow = sum.slow,
                              .open_until = breaker->open_until};
    (void)pthread_mutex_unlock(&breaker->lock);
}
