// The cache in memory: bounded in bytes, sharded, shared by every thread of the process.
//
// What stays is chosen by S3-FIFO (Yang, Zhang, Qiu, Yue, Vinayak: "FIFO queues are all you need for cache eviction", SOSP 2023): what is
// new waits in a small queue, a tenth of the bytes; only what was asked for again there moves to the main queue, so that a scan over a
// million URLs passes through the small queue and leaves the main one alone. A hit only counts up to 3 and moves nothing. Keys that fell
// out of the small queue are remembered (a *ghost*, 8 bytes) and go straight to the main queue when they come back.
//
// A shard has a lock of its own and all entries of one URL; bytes are counted over all shards together. An entry that is dropped while
// somebody reads it lives until that one lets go, uncounted.
#ifndef DX_POLICY_CACHE_MEMORY_H
#define DX_POLICY_CACHE_MEMORY_H

#include "policy/cache.h"

#define DX_CACHE_MEMORY_BUDGET_MIN ((size_t)64 << 10)
#define DX_CACHE_VARIANTS_CAP      16 // under one key; the oldest goes
#define DX_CACHE_SHARDS            16

typedef struct dx_cache_memory_options {
    size_t budget_bytes; // of everything: entries, keys, tables; at least DX_CACHE_MEMORY_BUDGET_MIN. One entry is at most an eighth of it.
    int64_t ttl_cap_us;  // nothing stays longer than this; 0: as long as it is of use
} dx_cache_memory_options;

// Never pends. Costs: get, put, remove and DX_CACHE_URL look at one chain; DX_CACHE_TAG, DX_CACHE_PATTERN and clear walk every entry (some
// 10 to 50 ns each, and a pattern's own cost), one shard locked at a time. NULL: DX_INVALID (the budget), DX_NO_MEMORY.
dx_status dx_cache_memory_create(dx_cache **out, const dx_cache_memory_options *options) DX_MUST_USE;

#endif
