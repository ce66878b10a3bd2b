// One look-up costs one count, and few that end in memory are timed: a clock costs more than they do.
#include "client/cache_stats.h"

#include "client/cache_custom.h"

static void count(_Atomic uint64_t *what) {
    (void)atomic_fetch_add_explicit(what, 1, memory_order_relaxed);
}

static uint64_t read_count(const _Atomic uint64_t *what) {
    return atomic_load_explicit(what, memory_order_relaxed);
}

dx_cache_use *dx_cache_use_of(const dx_settings *settings) {
    for (uint16_t i = 0; i < settings->chain.filter_count; i++) {
        const dx_filter *filter = &settings->chain.filters[i];
        if (filter->ops == &dx_cache_filter) return DX_CONTAINER_OF((dx_cache_conf *)(uintptr_t)filter->conf, dx_cache_use, conf);
    }
    return NULL;
}

static dx_cache_event event_of(const dx_cache_set *set, const dx_cache *cache, const dx_cache_call *found) {
    bool hit = found->entry != NULL;
    if (cache == set->private || !set->outside) return hit ? DX_LOOKED_MEMORY_HIT : DX_LOOKED_MEMORY_MISS;
    if (!set->tiered) return hit ? DX_LOOKED_OUTSIDE_HIT : DX_LOOKED_OUTSIDE_MISS;
    if (hit && found->level && strcmp(found->level, "memory") == 0) return DX_LOOKED_MEMORY_HIT;
    return hit ? DX_LOOKED_BEHIND_HIT : DX_LOOKED_BEHIND_MISS;
}

void dx_cache_meter_looked_up(void *ctx, const dx_cache *cache, const dx_cache_call *found, dx_nanos took) {
    const dx_cache_use *use = ctx;
    dx_cache_event event = event_of(use->set, cache, found);
    count(&use->meter->events[event]);
    if (took > 0) dx_histogram_record(&use->meter->took[event > DX_LOOKED_MEMORY_MISS], took);
}

void dx_cache_meter_answered(void *ctx, uint8_t state) {
    count(&((const dx_cache_use *)ctx)->meter->answers[state]);
}

void dx_cache_sum_meter(dx_cache_sum *sum, const dx_cache_meter *meter) {
    dx_cache_report *report = &sum->report;
    uint64_t events[DX_LOOKED_COUNT];
    for (size_t i = 0; i < DX_LOOKED_COUNT; i++) events[i] = read_count(&meter->events[i]);
    uint64_t behind = events[DX_LOOKED_BEHIND_HIT] + events[DX_LOOKED_BEHIND_MISS];
    report->levels[0].hits += events[DX_LOOKED_MEMORY_HIT];
    report->levels[0].gets += events[DX_LOOKED_MEMORY_HIT] + events[DX_LOOKED_MEMORY_MISS] + behind;
    report->levels[1].hits += events[DX_LOOKED_OUTSIDE_HIT] + events[DX_LOOKED_BEHIND_HIT];
    report->levels[1].gets += events[DX_LOOKED_OUTSIDE_HIT] + events[DX_LOOKED_OUTSIDE_MISS] + behind;
    report->hits += read_count(&meter->answers[DX_CACHED_HIT]);
    report->stale += read_count(&meter->answers[DX_CACHED_STALE]);
    report->revalidated += read_count(&meter->answers[DX_CACHED_REVALIDATED]);
    report->shared += read_count(&meter->answers[DX_CACHED_SHARED]);
    report->misses += read_count(&meter->answers[DX_CACHED_MISS]);
    report->warmed += read_count(&meter->warmed);
    report->warming_failed += read_count(&meter->warming_failed);
    for (size_t i = 0; i < DX_COUNT_OF(sum->took); i++) dx_histogram_merge(&sum->took[i], &meter->took[i]);
}

static void add_cache(dx_cache_report *report, dx_cache *cache) {
    dx_cache_stats stats;
    if (!cache) return;
    dx_cache_stats_read(cache, &stats);
    report->stores += stats.stores;
    report->refused += stats.refused;
    report->evictions += stats.evictions;
    report->expired += stats.expired;
    report->invalidated += stats.invalidated;
    report->errors += stats.errors;
    report->entries += stats.entries;
    report->bytes += stats.bytes;
    report->budget += stats.budget;
    report->unregistered += dx_cache_custom_unregistered(cache);
}

void dx_cache_sum_set(dx_cache_sum *sum, const dx_cache_set *set) {
    add_cache(&sum->report, set->cache);
    add_cache(&sum->report, set->private);
    if (set->tiered || set->private || !set->outside) sum->report.levels[0].name = "memory";
    if (set->outside) sum->report.levels[1].name = set->outside;
}

static double part(uint64_t of, uint64_t all) {
    return all ? (double)of / (double)all : 0;
}

void dx_cache_sum_finish(dx_cache_sum *sum) {
    dx_cache_report *report = &sum->report;
    uint64_t kept = report->hits + report->stale + report->revalidated + report->shared;
    report->hit_rate = part(kept, kept + report->misses);
    for (size_t i = 0; i < DX_COUNT_OF(report->levels); i++) {
        dx_cache_level_report *level = &report->levels[i];
        const dx_histogram *took = &sum->took[i];
        uint64_t timed = dx_histogram_count(took);
        level->hit_rate = part(level->hits, level->gets);
        level->mean_ns = timed ? (int64_t)(dx_histogram_sum(took) / timed) : 0;
        level->max_ns = dx_histogram_max(took);
        level->p50_ns = dx_histogram_percentile(took, 50);
        level->p95_ns = dx_histogram_percentile(took, 95);
        level->p99_ns = dx_histogram_percentile(took, 99);
    }
}
