// What the two halves of the cache in Redis share: reading and writing (cache_redis.c), taking away (cache_redis_drop.c).
#ifndef DX_POLICY_CACHE_REDIS_PARTS_H
#define DX_POLICY_CACHE_REDIS_PARTS_H

#include <stdatomic.h>

#include "policy/cache_redis.h"

enum { DX_CACHE_REDIS_SPACE = 16, DX_CACHE_REDIS_NUMBER = 16 }; // hex digits

typedef struct dx_cache_redis {
    dx_cache cache;
    _Atomic uint32_t holders; // the owner, and each operation that is under way
    dx_cache_redis_options options;
    char prefix[DX_CACHE_REDIS_PREFIX_CAP];
    dx_redis_script drop;
    _Atomic uint64_t hits, misses, stores, refused, invalidated, errors, get_count, get_nanos;
} dx_cache_redis;

static inline dx_cache_redis *dx_cache_redis_of(dx_cache *cache) {
    return DX_CONTAINER_OF(cache, dx_cache_redis, cache);
}
static inline void dx_cache_redis_add(_Atomic uint64_t *counter, uint64_t much) {
    atomic_fetch_add_explicit(counter, much, memory_order_relaxed);
}

void dx_cache_redis_hold(dx_cache_redis *redis);
void dx_cache_redis_release(dx_cache_redis *redis);
// The connection of a call's loop, or NULL.
dx_redis *dx_cache_redis_connection(const dx_cache_redis *redis, const dx_cache_call *call);
// Appends "<prefix><kind>:<space>:" with the space's digest.
void dx_cache_redis_write_name(dx_buffer *out, const dx_cache_redis *redis, char kind, dx_slice space);
void dx_cache_redis_write_key(dx_buffer *out, const dx_cache_redis *redis, dx_slice space, dx_slice key_text);

// cache_redis_drop.c
extern const char DX_CACHE_REDIS_DROP[];
bool dx_cache_redis_remove(dx_cache *cache, dx_cache_call *call);
bool dx_cache_redis_invalidate(dx_cache *cache, dx_cache_call *call);
bool dx_cache_redis_clear(dx_cache *cache, dx_cache_call *call);
void dx_cache_redis_drop_cancel(dx_cache_call *call);

#endif
