// The cache in Redis, shared by processes and machines. Everything is under one prefix; what has had its time goes by Redis's own clock.
//
//   <prefix>e:<space>:<key>               an entry; or, for one with Vary, what is varied by, and a number
//   <prefix>e:<space>:<key>:<number><request>   the entry for requests like that one
//   <prefix>u:<space>:<url>               the set of entries of one URL, whoever's
//   <prefix>t:<space>:<tag>               the set of entries with a tag
//
// <space>, <key>, <number> and <request> are hex digits (digests); the entry says its whole key, which is compared. Sets live as long as
// what is in them. Taking the entry of a key away takes all its variants away: the number is drawn anew.
//
// A cache goes on without its Redis: a get that gets no answer is a miss, a put is forgotten, an invalidation says DX_UNAVAILABLE. Not for
// a Redis Cluster: the scripts touch keys of several slots. Who can write to the Redis can answer for any server: give it a password, and
// don't share it with those whom you would not trust with your responses.
#ifndef DX_POLICY_CACHE_REDIS_H
#define DX_POLICY_CACHE_REDIS_H

#include "policy/cache.h"
#include "redis/redis.h"

#define DX_CACHE_REDIS_PREFIX_CAP 64

typedef struct dx_cache_redis_options {
    dx_slice prefix;  // copied; at most DX_CACHE_REDIS_PREFIX_CAP bytes, none of them a control character
    size_t entry_cap; // bytes of one entry; larger ones are not stored
    dx_nanos timeout; // of a get; 0: the connection's
    // The connection of a loop, asked for on its thread at each operation. NULL: there is none, as when Redis is out of order.
    dx_redis *(*connection)(void *ctx, dx_loop *loop);
    void *ctx;
} dx_cache_redis_options;
#define DX_CACHE_REDIS_OPTIONS_INIT                                                                                                        \
    { .prefix = DX_SLICE_INIT("duplex:"), .entry_cap = (size_t)8 << 20 }

// Operations begin on the thread of call->loop, which is needed. get, remove, invalidate and clear pend; a pattern, a tag or URL of every
// space, and clear go through all URLs that are cached (SCAN, 512 at a time): the time that takes grows with the cache, but Redis serves
// others between. DX_INVALID: the prefix; DX_NO_MEMORY. Connections may be destroyed before or after the cache.
dx_status dx_cache_redis_create(dx_cache **out, const dx_cache_redis_options *options) DX_MUST_USE;

#endif
