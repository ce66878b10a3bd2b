// What is counted of the look-ups and answers of one API's cache; outlives snapshots.
#ifndef DX_CLIENT_CACHE_STATS_H
#define DX_CLIENT_CACHE_STATS_H

#include "base/histogram.h"
#include "client/policies.h"
#include "duplex/cache.h"

// A cache with what belongs to it; shared by all whose settings store alike.
typedef struct dx_cache_set {
    dx_cache *cache;   // all levels
    dx_cache *private; // of this process alone, for what is somebody's and may not leave it; NULL: `cache` has it
    dx_flight *flight;
    dx_redis_place *place;
    const char *outside; // what its outer level is called; NULL: there is none
    bool tiered;
} dx_cache_set;

// How a look-up ended. One of these is counted for each, and the levels' numbers follow.
typedef enum dx_cache_event {
    DX_LOOKED_MEMORY_HIT,  // in memory, whatever lies behind
    DX_LOOKED_MEMORY_MISS, // in memory alone
    DX_LOOKED_OUTSIDE_HIT, // outside alone
    DX_LOOKED_OUTSIDE_MISS,
    DX_LOOKED_BEHIND_HIT, // outside, behind memory that did not have it
    DX_LOOKED_BEHIND_MISS,
    DX_LOOKED_COUNT
} dx_cache_event;

typedef struct dx_cache_meter {
    _Atomic uint64_t answers[6]; // by dx_cache_state
    _Atomic uint64_t events[DX_LOOKED_COUNT];
    _Atomic uint64_t warmed, warming_failed;
    dx_histogram took[2]; // memory, outside
} dx_cache_meter;

// The conf of a chain's cache filter, and what it is made of.
typedef struct dx_cache_use {
    dx_cache_conf conf;
    const dx_cache_set *set;
    dx_cache_meter *meter;
} dx_cache_use;
// Of settings; NULL: they have no cache.
dx_cache_use *dx_cache_use_of(const dx_settings *settings);

// The hooks of dx_cache_conf; `use` is its watcher.
void dx_cache_meter_looked_up(void *use, const dx_cache *cache, const dx_cache_call *found, dx_nanos took);
void dx_cache_meter_answered(void *use, uint8_t state);

// Adds to a report; rates and percentiles come with dx_cache_report_finish.
typedef struct dx_cache_sum {
    dx_cache_report report;
    dx_histogram took[2];
} dx_cache_sum;
void dx_cache_sum_meter(dx_cache_sum *sum, const dx_cache_meter *meter);
void dx_cache_sum_set(dx_cache_sum *sum, const dx_cache_set *set);
void dx_cache_sum_finish(dx_cache_sum *sum);

#endif
