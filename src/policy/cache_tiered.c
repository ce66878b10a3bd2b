#include "policy/cache_tiered.h"

#include <stdatomic.h>

#include "base/memory.h"
#include "policy/cache_memory.h"

typedef struct counts {
    _Atomic uint64_t gets, hits, nanos, errors;
} counts;

typedef struct tiered {
    dx_cache cache, *l1, *l2;
    dx_cache_tiered_options options;
    _Atomic uint64_t epoch; // how many invalidations there were
    counts levels[2];
} tiered;

// One operation that waits for L2.
typedef struct step {
    dx_cache_call inner;
    dx_cache_call *outer;
    tiered *t;
    dx_nanos since;
    uint64_t epoch;
} step;

typedef bool (*operation)(dx_cache *cache, dx_cache_call *call);

static tiered *of(dx_cache *cache) {
    return DX_CONTAINER_OF(cache, tiered, cache);
}

static void observe(tiered *t, int level, bool hit, dx_nanos took) {
    counts *c = &t->levels[level - 1];
    atomic_fetch_add_explicit(&c->gets, 1, memory_order_relaxed);
    if (hit) atomic_fetch_add_explicit(&c->hits, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&c->nanos, (uint64_t)took, memory_order_relaxed);
    if (t->options.observe) t->options.observe(t->options.ctx, level, hit, took);
}

static void count_error(tiered *t) {
    atomic_fetch_add_explicit(&t->levels[1].errors, 1, memory_order_relaxed);
}

// What the caller's and the inner call have in common.
static dx_cache_call copy_of(const dx_cache_call *call) {
    return (dx_cache_call){.loop = call->loop,
                           .key = call->key,
                           .fields = call->fields,
                           .now = call->now,
                           .entry = call->entry,
                           .what = call->what,
                           .space = call->space,
                           .text = call->text};
}

static step *make_step(tiered *t, dx_cache_call *outer, void (*done)(dx_cache_call *call)) {
    step *s = dx_memory_alloc(sizeof *s);
    if (!s) return NULL;
    *s = (step){.inner = copy_of(outer), .outer = outer, .t = t, .epoch = atomic_load(&t->epoch)};
    s->inner.entry = NULL;
    s->inner.done = done;
    outer->backend[0] = s;
    return s;
}

// --- get -------------------------------------------------------------------------------------------------------------------

static void fill_l1(const step *s) {
    if (atomic_load(&s->t->epoch) != s->epoch) return;
    dx_cache_call put = copy_of(&s->inner);
    dx_cache_put(s->t->l1, &put);
    if (atomic_load(&s->t->epoch) != s->epoch) (void)dx_cache_remove(s->t->l1, &put); // something went between the two
}

// L2 has answered; the step ends.
static void take_answer(step *s) {
    dx_cache_call *outer = s->outer;
    bool hit = s->inner.status == DX_OK && s->inner.entry;
    if (s->inner.status != DX_OK && s->inner.status != DX_NOT_FOUND) count_error(s->t);
    observe(s->t, 2, hit, dx_clock_monotonic() - s->since);
    if (hit) fill_l1(s);
    outer->entry = hit ? s->inner.entry : NULL;
    outer->level = s->inner.level ? s->inner.level : s->t->l2->ops->name;
    outer->status = hit ? DX_OK : DX_NOT_FOUND;
    outer->backend[0] = NULL;
    dx_memory_free(s);
}

static void got(dx_cache_call *inner) {
    step *s = DX_CONTAINER_OF(inner, step, inner);
    dx_cache_call *outer = s->outer;
    take_answer(s);
    outer->done(outer);
}

static bool tiered_get(dx_cache *cache, dx_cache_call *call) {
    tiered *t = of(cache);
    dx_nanos since = dx_clock_monotonic();
    (void)dx_cache_get(t->l1, call);
    dx_nanos now = dx_clock_monotonic();
    observe(t, 1, call->entry != NULL, now - since);
    if (call->entry) return true;
    step *s = make_step(t, call, got);
    if (!s) return true; // a miss, then
    s->since = now;
    if (!dx_cache_get(t->l2, &s->inner)) return false;
    take_answer(s);
    return true;
}

static void tiered_put(dx_cache *cache, dx_cache_call *call) {
    tiered *t = of(cache);
    dx_cache_call second = copy_of(call);
    dx_cache_put(t->l1, call);
    dx_cache_put(t->l2, &second);
    if (second.status != DX_OK) count_error(t);
    call->status = DX_OK;
}

// --- what takes away -------------------------------------------------------------------------------------------------------

// L1 once more, and only then: a read that found the old in L2 may have filled L1 meanwhile; one that has it still in hand sees the epoch.
static void finish(tiered *t, operation do_it, dx_cache_call *outer, const dx_cache_call *inner) {
    dx_cache_call again = copy_of(outer);
    atomic_fetch_add(&t->epoch, 1);
    (void)do_it(t->l1, &again);
    if (inner->removed > outer->removed) outer->removed = inner->removed;
    outer->status = inner->status;
    outer->backend[0] = NULL;
    if (inner->status != DX_OK && inner->status != DX_BAD_REQUEST) count_error(t);
}

static void finish_step(dx_cache_call *inner, operation do_it) {
    step *s = DX_CONTAINER_OF(inner, step, inner);
    dx_cache_call *outer = s->outer;
    finish(s->t, do_it, outer, inner);
    dx_memory_free(s);
    outer->done(outer);
}

static void removed(dx_cache_call *inner) {
    finish_step(inner, dx_cache_remove);
}

static void invalidated(dx_cache_call *inner) {
    finish_step(inner, dx_cache_invalidate);
}

static void cleared(dx_cache_call *inner) {
    finish_step(inner, dx_cache_clear);
}

static bool take_away(dx_cache *cache, dx_cache_call *call, operation do_it, void (*done)(dx_cache_call *call)) {
    tiered *t = of(cache);
    (void)do_it(t->l1, call);
    if (call->status != DX_OK) return true; // it makes no sense
    step *s = make_step(t, call, done);
    if (!s) {
        call->status = DX_UNAVAILABLE;
        return true;
    }
    if (!do_it(t->l2, &s->inner)) return false;
    finish(t, do_it, call, &s->inner);
    dx_memory_free(s);
    return true;
}

static bool tiered_remove(dx_cache *cache, dx_cache_call *call) {
    return take_away(cache, call, dx_cache_remove, removed);
}

static bool tiered_invalidate(dx_cache *cache, dx_cache_call *call) {
    return take_away(cache, call, dx_cache_invalidate, invalidated);
}

static bool tiered_clear(dx_cache *cache, dx_cache_call *call) {
    return take_away(cache, call, dx_cache_clear, cleared);
}

static void tiered_cancel(dx_cache *cache, dx_cache_call *call) {
    step *s = call->backend[0];
    if (!s) return;
    dx_cache_cancel(of(cache)->l2, &s->inner);
    atomic_fetch_add(&of(cache)->epoch, 1); // what it took away may be gone; what was read before it must not come in
    call->backend[0] = NULL;
    dx_memory_free(s);
}

// --- the rest --------------------------------------------------------------------------------------------------------------

void dx_cache_tiered_stats_read(dx_cache *cache, dx_cache_tiered_stats *out) {
    tiered *t = of(cache);
    for (size_t i = 0; i < DX_COUNT_OF(t->levels); i++) {
        out->levels[i] = (dx_cache_level_stats){atomic_load_explicit(&t->levels[i].gets, memory_order_relaxed),
                                                atomic_load_explicit(&t->levels[i].hits, memory_order_relaxed),
                                                atomic_load_explicit(&t->levels[i].nanos, memory_order_relaxed),
                                                atomic_load_explicit(&t->levels[i].errors, memory_order_relaxed)};
    }
}

// L1's numbers, with hits and misses of both together.
static void tiered_stats(dx_cache *cache, dx_cache_stats *out) {
    tiered *t = of(cache);
    dx_cache_tiered_stats levels;
    dx_cache_stats_read(t->l1, out);
    dx_cache_tiered_stats_read(cache, &levels);
    out->hits = levels.levels[0].hits + levels.levels[1].hits;
    out->misses = levels.levels[0].gets > out->hits ? levels.levels[0].gets - out->hits : 0;
    out->errors = levels.levels[1].errors;
    out->get_count = levels.levels[1].gets;
    out->get_nanos = levels.levels[1].nanos;
}

static void tiered_destroy(dx_cache *cache) {
    tiered *t = of(cache);
    dx_cache_destroy(t->l1);
    dx_cache_destroy(t->l2);
    dx_memory_free(t);
}

static const dx_cache_ops OPS = {.name = "tiered",
                                 .get = tiered_get,
                                 .put = tiered_put,
                                 .remove = tiered_remove,
                                 .invalidate = tiered_invalidate,
                                 .clear = tiered_clear,
                                 .cancel = tiered_cancel,
                                 .stats = tiered_stats,
                                 .destroy = tiered_destroy};

dx_status dx_cache_tiered_create(dx_cache **out, dx_cache *l2, const dx_cache_tiered_options *options) {
    int64_t ttl_us = options->l1_ttl_us;
    *out = NULL;
    if (ttl_us <= 0 || ttl_us > DX_CACHE_L1_TTL_CAP_US) ttl_us = DX_CACHE_L1_TTL_CAP_US;
    tiered *t = dx_memory_zalloc(1, sizeof *t);
    if (!t) return DX_NO_MEMORY;
    const dx_cache_memory_options l1 = {.budget_bytes = options->budget_bytes, .ttl_cap_us = ttl_us};
    dx_status status = dx_cache_memory_create(&t->l1, &l1);
    if (status != DX_OK) {
        dx_memory_free(t);
        return status;
    }
    t->cache.ops = &OPS;
    t->l2 = l2;
    t->options = *options;
    *out = &t->cache;
    return DX_OK;
}
