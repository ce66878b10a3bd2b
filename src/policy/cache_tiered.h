// A cache of two levels: memory in front (L1), any other backend behind (L2). What L2 has is put into L1 when it is found, for five minutes
// at most: so long another process may go on with what was invalidated here, for nobody tells it.
//
// L2 may fail: then reads and writes go on with L1 alone. Invalidations take L2 first and L1 after it, and say when L2 did not do it. A
// read that was on its way to L2 while something was invalidated does not fill L1.
#ifndef DX_POLICY_CACHE_TIERED_H
#define DX_POLICY_CACHE_TIERED_H

#include "policy/cache.h"

#define DX_CACHE_L1_TTL_CAP_US ((int64_t)300 * 1000000)

typedef struct dx_cache_tiered_options {
    size_t budget_bytes; // of L1, as in policy/cache_memory.h
    int64_t l1_ttl_us;   // 0, or more than the cap: DX_CACHE_L1_TTL_CAP_US
    // Told of every look-up, on the thread that ended it: for histograms. NULL: nobody. `level` is 1 or 2.
    void (*observe)(void *ctx, int level, bool hit, dx_nanos took);
    void *ctx;
} dx_cache_tiered_options;

// The new cache owns `l2` and destroys it; when this fails, `l2` is still the caller's. DX_INVALID (the budget), DX_NO_MEMORY.
dx_status dx_cache_tiered_create(dx_cache **out, dx_cache *l2, const dx_cache_tiered_options *options) DX_MUST_USE;

typedef struct dx_cache_level_stats {
    uint64_t gets, hits, nanos, errors; // nanos: of all its gets together
} dx_cache_level_stats;
typedef struct dx_cache_tiered_stats {
    dx_cache_level_stats levels[2];
} dx_cache_tiered_stats;
// `cache` is of dx_cache_tiered_create.
void dx_cache_tiered_stats_read(dx_cache *cache, dx_cache_tiered_stats *out);

#endif
