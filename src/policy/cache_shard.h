// One shard of the cache in memory: its table, its queues, its ghosts. All of it under the shard's lock, which the caller takes.
#ifndef DX_POLICY_CACHE_SHARD_H
#define DX_POLICY_CACHE_SHARD_H

#include <pthread.h>

#include "policy/cache.h"

typedef struct dx_shard_node dx_shard_node;

typedef enum dx_shard_queue_name { DX_SHARD_SMALL, DX_SHARD_MAIN } dx_shard_queue_name;

// One entry's place.
struct dx_shard_node {
    dx_shard_node *next, **link;         // in the chain of its key, newest first
    dx_shard_node *url_next, **url_link; // in that of its URL
    dx_shard_node *newer, *older;        // in its queue
    dx_cache_entry *entry;
    uint64_t hash, url_hash;
    dx_micros_utc until;
    uint32_t cost; // bytes that it is charged with
    uint8_t asked; // hits since it came to its place, up to 3
    uint8_t queue;
};

typedef struct dx_shard_queue {
    dx_shard_node *newest, *oldest;
    size_t bytes;
} dx_shard_queue;

typedef struct dx_shard {
    pthread_mutex_t lock;
    dx_shard_node **chains, **url_chains; // of the same size, a power of two
    size_t chain_count, entries;
    dx_shard_queue queues[2];
    uint64_t *ghosts; // by hash: 32 bits of it, and 32 of when it fell out
    size_t ghost_count;
    uint32_t fallen; // how many ever fell out of the small queue
    uint64_t hits, misses, stores, refused, evictions, expired, invalidated;
} dx_shard;

dx_status dx_shard_init(dx_shard *shard, size_t ghost_count) DX_MUST_USE;
void dx_shard_deinit(dx_shard *shard);
// Bytes of the shard's own tables.
size_t dx_shard_overhead(const dx_shard *shard);

// The newest entry under the key that suits the request and is still of use, held for the caller; NULL: none. Counts. What is
// past its time goes, and increases `*freed`.
dx_cache_entry *dx_shard_get(dx_shard *shard, const dx_cache_key *key, const dx_fields *request, dx_micros_utc now, size_t *freed);
// Puts a node in that is filled in but for its links; those with the same Vary give way, and the oldest past DX_CACHE_VARIANTS_CAP.
// `*freed` is increased by the bytes that went.
void dx_shard_put(dx_shard *shard, dx_shard_node *node, size_t *freed);
// Twice the chains, when they are few for the entries: the bytes that it cost (0: not needed, or no memory: then chains get longer).
size_t dx_shard_grow(dx_shard *shard);
// Drops one entry by S3-FIFO: its bytes; 0: there is none.
size_t dx_shard_evict(dx_shard *shard);
// Drops every variant of a key; `*freed` is increased.
uint64_t dx_shard_remove(dx_shard *shard, const dx_cache_key *key, size_t *freed);
uint64_t dx_shard_remove_url(dx_shard *shard, dx_slice space, dx_slice url, uint64_t url_hash, size_t *freed);
// Drops every entry that `hit` says yes to.
uint64_t dx_shard_sweep(dx_shard *shard, bool (*hit)(const dx_cache_entry *entry, const void *ctx), const void *ctx, size_t *freed);

#endif
