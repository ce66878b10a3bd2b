// The table of names that failed: see lockout.h. Open addressing within short runs, one lock: a login costs milliseconds of hashing, so
// the lock is never what it waits for. Names are known by a keyed hash of 64 bits, not kept.
#include "identity/lockout.h"

#include <pthread.h>

#include "base/hash.h"
#include "base/memory.h"

enum { WAYS = 8 };

typedef struct entry {
    uint64_t name; // 0: free
    dx_lockout_state state;
    uint32_t in_flight;
    dx_micros_utc touched;
} entry;

struct dx_lockout {
    pthread_mutex_t lock;
    dx_lockout_options options;
    entry entries[DX_LOCKOUT_NAMES];
};

dx_lockout *dx_lockout_create(const dx_lockout_options *options) {
    dx_lockout *lockout = dx_memory_zalloc(1, sizeof *lockout);
    if (!lockout) return NULL;
    lockout->options = *options;
    pthread_mutex_init(&lockout->lock, NULL);
    return lockout;
}

void dx_lockout_destroy(dx_lockout *lockout) {
    if (!lockout) return;
    pthread_mutex_destroy(&lockout->lock);
    dx_memory_free(lockout);
}

void dx_lockout_change(dx_lockout *lockout, const dx_lockout_options *options) {
    pthread_mutex_lock(&lockout->lock);
    lockout->options = *options;
    pthread_mutex_unlock(&lockout->lock);
}

static uint64_t hash_of(dx_slice name) {
    uint64_t hash = dx_hash(name);
    return hash ? hash : 1;
}

// Which of two entries is the better one to give up.
static entry *staler(entry *a, entry *b) {
    if (!a) return b;
    if ((a->in_flight == 0) != (b->in_flight == 0)) return a->in_flight == 0 ? a : b;
    if (a->state.locked_until != b->state.locked_until) return a->state.locked_until < b->state.locked_until ? a : b;
    return a->touched <= b->touched ? a : b;
}

// The name's entry, or with `make` a free or given-up one that is now its.
static entry *find(dx_lockout *lockout, uint64_t name, bool make, bool *made) {
    entry *victim = NULL, *set = &lockout->entries[name % (DX_LOCKOUT_NAMES / WAYS) * WAYS];
    if (made) *made = false;
    for (size_t i = 0; i < WAYS; i++) {
        if (set[i].name == name) return &set[i];
        if (!victim || victim->name) victim = set[i].name ? staler(victim, &set[i]) : &set[i];
    }
    if (!make) return NULL;
    *victim = (entry){.name = name};
    *made = true;
    return victim;
}

static void forget_old(const dx_lockout *lockout, entry *at, dx_micros_utc cleared_at, dx_micros_utc now) {
    bool old = at->state.failed_at + lockout->options.forget_us < now;
    if (at->state.failures && (old || at->state.failed_at < cleared_at)) at->state = (dx_lockout_state){0};
}

// Few at once while the name has failures, so that a burst cannot try more passwords than a sequence could.
static uint32_t flight_cap(const dx_lockout *lockout, const entry *at) {
    int64_t left = lockout->options.after - at->state.failures;
    if (at->state.failures == 0) return DX_LOCKOUT_FLIGHT_CAP;
    return left > 1 ? (uint32_t)(left < DX_LOCKOUT_FLIGHT_CAP ? left : DX_LOCKOUT_FLIGHT_CAP) : 1;
}

static int64_t enter(dx_lockout *lockout, dx_slice name, const dx_lockout_state *stored, dx_micros_utc cleared_at, dx_micros_utc now) {
    int64_t wait = 0;
    bool made;
    if (lockout->options.after == 0) return 0;
    entry *at = find(lockout, hash_of(name), true, &made);
    if (made || at->state.failures < stored->failures) at->state = *stored;
    forget_old(lockout, at, cleared_at, now);
    at->touched = now;
    if (at->state.locked_until > now)
        wait = at->state.locked_until - now;
    else if (at->in_flight >= flight_cap(lockout, at))
        wait = 1000000;
    else
        at->in_flight++;
    return wait;
}

int64_t dx_lockout_enter(dx_lockout *lockout, dx_slice name, const dx_lockout_state *stored, dx_micros_utc cleared_at, dx_micros_utc now) {
    pthread_mutex_lock(&lockout->lock);
    int64_t wait = enter(lockout, name, stored, cleared_at, now);
    pthread_mutex_unlock(&lockout->lock);
    return wait;
}

static int64_t delay_of(const dx_lockout_options *options, int64_t failures) {
    if (failures < options->after) return 0;
    int64_t delay = options->base_us;
    for (int64_t i = options->after; i < failures && delay < options->max_us; i++) delay *= 2;
    return delay < options->max_us ? delay : options->max_us;
}

static dx_lockout_state leave(dx_lockout *lockout, dx_slice name, dx_lockout_outcome outcome, dx_micros_utc now) {
    dx_lockout_state state = {0};
    bool made;
    if (lockout->options.after == 0) return state;
    entry *at = find(lockout, hash_of(name), outcome == DX_LOCKOUT_FAILED, &made);
    if (at) {
        if (at->in_flight) at->in_flight--;
        state = at->state;
        if (outcome == DX_LOCKOUT_FAILED) {
            int64_t delay = delay_of(&lockout->options, ++at->state.failures);
            at->state.failed_at = now;
            at->state.locked_until = delay ? now + delay : 0;
            state = at->state;
        } else if (outcome == DX_LOCKOUT_PASSED) {
            at->state = (dx_lockout_state){0};
        }
        if (at->state.failures == 0 && at->in_flight == 0) at->name = 0;
    }
    return state;
}

dx_lockout_state dx_lockout_leave(dx_lockout *lockout, dx_slice name, dx_lockout_outcome outcome, dx_micros_utc now) {
    pthread_mutex_lock(&lockout->lock);
    dx_lockout_state state = leave(lockout, name, outcome, now);
    pthread_mutex_unlock(&lockout->lock);
    return state;
}
