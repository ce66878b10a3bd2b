// The shards together: who has which key, the bytes of all, and the operations of policy/cache.h over them.
#include "policy/cache_memory.h"

#include <stdatomic.h>

#include "base/memory.h"
#include "policy/cache_shard.h"

// An entry over this share of the budget would drive out too much of the rest.
enum { ENTRY_SHARE = 8, GHOSTS_MIN = 64, GHOSTS_MAX = 65536, BYTES_A_GHOST = 4096 };

typedef struct memory {
    dx_cache cache;
    size_t budget;
    int64_t ttl_cap_us;
    _Atomic size_t bytes;                  // of all, tables too
    _Atomic size_t loads[DX_CACHE_SHARDS]; // of each shard's entries
    dx_shard shards[DX_CACHE_SHARDS];
} memory;

static memory *of(dx_cache *cache) {
    return DX_CONTAINER_OF(cache, memory, cache);
}

static size_t index_of(uint64_t url_hash) {
    return url_hash % DX_CACHE_SHARDS;
}

// Under the shard's lock, as whatever changes its load.
static void give_back(memory *m, size_t index, size_t bytes) {
    if (!bytes) return;
    atomic_fetch_sub_explicit(&m->loads[index], bytes, memory_order_relaxed);
    atomic_fetch_sub_explicit(&m->bytes, bytes, memory_order_relaxed);
}

// The shard with the most bytes gives, so that none is emptied by chance. False when there is nothing to give.
static bool evict_one(memory *m) {
    size_t fullest = 0, most = 0;
    for (size_t i = 0; i < DX_CACHE_SHARDS; i++) {
        size_t load = atomic_load_explicit(&m->loads[i], memory_order_relaxed);
        if (load <= most) continue;
        most = load;
        fullest = i;
    }
    if (!most) return false;
    pthread_mutex_lock(&m->shards[fullest].lock);
    size_t freed = dx_shard_evict(&m->shards[fullest]);
    give_back(m, fullest, freed);
    pthread_mutex_unlock(&m->shards[fullest].lock);
    return true; // when there was nothing any more, another thread has freed it meanwhile
}

// Charges `bytes` and makes room for them; false when there is not as much.
static bool charge(memory *m, size_t bytes) {
    atomic_fetch_add_explicit(&m->bytes, bytes, memory_order_relaxed);
    while (atomic_load_explicit(&m->bytes, memory_order_relaxed) > m->budget) {
        if (!evict_one(m)) return false;
    }
    return true;
}

// The same, but without room they are not charged: others want it all at the same moment.
static bool reserve(memory *m, size_t bytes) {
    if (charge(m, bytes)) return true;
    atomic_fetch_sub_explicit(&m->bytes, bytes, memory_order_relaxed);
    return false;
}

static bool memory_get(dx_cache *cache, dx_cache_call *call) {
    memory *m = of(cache);
    size_t index = index_of(call->key->url_hash);
    dx_shard *shard = &m->shards[index];
    size_t freed = 0;
    pthread_mutex_lock(&shard->lock);
    call->entry = dx_shard_get(shard, call->key, call->fields, call->now, &freed);
    give_back(m, index, freed);
    pthread_mutex_unlock(&shard->lock);
    call->level = cache->ops->name;
    call->status = call->entry ? DX_OK : DX_NOT_FOUND;
    return true;
}

// NULL: too large, of no use by now, or no memory.
static dx_shard_node *make_node(const memory *m, const dx_cache_call *call) {
    size_t cost = call->entry->size + sizeof(dx_shard_node) + DX_CACHE_ENTRY_SLOPPY;
    dx_micros_utc until = call->entry->freshness.keep_until;
    if (m->ttl_cap_us && until > call->now + m->ttl_cap_us) until = call->now + m->ttl_cap_us;
    if (cost > m->budget / ENTRY_SHARE || until <= call->now) return NULL;
    dx_shard_node *node = dx_memory_zalloc(1, sizeof *node);
    if (!node) return NULL;
    node->entry = call->entry;
    node->hash = call->key->hash;
    node->url_hash = call->key->url_hash;
    node->until = until;
    node->cost = (uint32_t)cost;
    return node;
}

// What can't be kept is no error, but what stood there for the same key is old by now, and goes.
static void refuse(memory *m, const dx_cache_call *call, dx_shard_node *node) {
    size_t index = index_of(call->key->url_hash);
    dx_shard *shard = &m->shards[index];
    size_t freed = 0;
    dx_memory_free(node);
    pthread_mutex_lock(&shard->lock);
    (void)dx_shard_remove(shard, call->key, &freed);
    shard->refused++;
    give_back(m, index, freed);
    pthread_mutex_unlock(&shard->lock);
}

static void memory_put(dx_cache *cache, dx_cache_call *call) {
    memory *m = of(cache);
    size_t index = index_of(call->key->url_hash);
    dx_shard *shard = &m->shards[index];
    size_t freed = 0;
    call->status = DX_OK;
    dx_shard_node *node = make_node(m, call);
    if (!node || !reserve(m, node->cost)) {
        refuse(m, call, node);
        return;
    }
    dx_cache_entry_hold(call->entry);
    pthread_mutex_lock(&shard->lock);
    atomic_fetch_add_explicit(&m->loads[index], node->cost, memory_order_relaxed);
    dx_shard_put(shard, node, &freed);
    size_t grown = dx_shard_grow(shard);
    give_back(m, index, freed);
    pthread_mutex_unlock(&shard->lock);
    if (grown) (void)charge(m, grown);
}

static bool memory_remove(dx_cache *cache, dx_cache_call *call) {
    memory *m = of(cache);
    size_t index = index_of(call->key->url_hash);
    dx_shard *shard = &m->shards[index];
    size_t freed = 0;
    pthread_mutex_lock(&shard->lock);
    call->removed = dx_shard_remove(shard, call->key, &freed);
    give_back(m, index, freed);
    pthread_mutex_unlock(&shard->lock);
    call->status = DX_OK;
    return true;
}

// --- invalidation ----------------------------------------------------------------------------------------------------------

typedef struct wanted {
    dx_cache_what what;
    dx_slice space, text;
    uint64_t tag_bit;
} wanted;

static bool in_space(const wanted *w, dx_slice key, dx_slice *url) {
    dx_slice space;
    if (!dx_cache_key_split(key, &space, url)) return false;
    return !w->space.size || dx_slice_equal(space, w->space);
}

static bool hits(const dx_cache_entry *entry, const void *ctx) {
    const wanted *w = ctx;
    dx_slice url;
    if (w->what == DX_CACHE_TAG && !(entry->tag_bits & w->tag_bit)) return false;
    if (!in_space(w, entry->key, &url)) return false;
    switch (w->what) {
    case DX_CACHE_TAG:
        return dx_cache_entry_has_tag(entry, w->text);
    case DX_CACHE_PATTERN:
        return dx_cache_pattern_matches(w->text, url);
    case DX_CACHE_URL:
    default:
        return dx_slice_equal(w->text, url);
    }
}

static bool any_in_space(const dx_cache_entry *entry, const void *ctx) {
    dx_slice url;
    return in_space(ctx, entry->key, &url);
}

static uint64_t sweep(memory *m, bool (*hit)(const dx_cache_entry *entry, const void *ctx), const wanted *w) {
    uint64_t removed = 0;
    for (size_t i = 0; i < DX_CACHE_SHARDS; i++) {
        size_t freed = 0;
        pthread_mutex_lock(&m->shards[i].lock);
        removed += dx_shard_sweep(&m->shards[i], hit, w, &freed);
        give_back(m, i, freed);
        pthread_mutex_unlock(&m->shards[i].lock);
    }
    return removed;
}

static uint64_t remove_url(memory *m, const dx_cache_call *call) {
    uint64_t url_hash = dx_cache_url_hash(call->space, call->text);
    size_t index = index_of(url_hash);
    dx_shard *shard = &m->shards[index];
    size_t freed = 0;
    pthread_mutex_lock(&shard->lock);
    uint64_t removed = dx_shard_remove_url(shard, call->space, call->text, url_hash, &freed);
    give_back(m, index, freed);
    pthread_mutex_unlock(&shard->lock);
    return removed;
}

static bool memory_invalidate(dx_cache *cache, dx_cache_call *call) {
    memory *m = of(cache);
    bool fits = call->text.size && (call->what != DX_CACHE_PATTERN || call->text.size <= DX_CACHE_PATTERN_CAP);
    call->status = fits ? DX_OK : DX_BAD_REQUEST;
    if (!fits) return true;
    if (call->what == DX_CACHE_URL && call->space.size) {
        call->removed = remove_url(m, call);
        return true;
    }
    const wanted w = {call->what, call->space, call->text, dx_cache_tag_bit(call->text)};
    call->removed = sweep(m, hits, &w);
    return true;
}

static bool memory_clear(dx_cache *cache, dx_cache_call *call) {
    const wanted w = {.space = call->space};
    call->removed = sweep(of(cache), any_in_space, &w);
    call->status = DX_OK;
    return true;
}

// --- the rest --------------------------------------------------------------------------------------------------------------

static void memory_stats(dx_cache *cache, dx_cache_stats *out) {
    memory *m = of(cache);
    for (size_t i = 0; i < DX_CACHE_SHARDS; i++) {
        dx_shard *shard = &m->shards[i];
        pthread_mutex_lock(&shard->lock);
        out->hits += shard->hits;
        out->misses += shard->misses;
        out->stores += shard->stores;
        out->refused += shard->refused;
        out->evictions += shard->evictions;
        out->expired += shard->expired;
        out->invalidated += shard->invalidated;
        out->entries += shard->entries;
        pthread_mutex_unlock(&shard->lock);
    }
    out->bytes = atomic_load_explicit(&m->bytes, memory_order_relaxed);
    out->budget = m->budget;
}

static void memory_destroy(dx_cache *cache) {
    memory *m = of(cache);
    for (size_t i = 0; i < DX_CACHE_SHARDS; i++) dx_shard_deinit(&m->shards[i]);
    dx_memory_free(m);
}

static const dx_cache_ops OPS = {.name = "memory",
                                 .get = memory_get,
                                 .put = memory_put,
                                 .remove = memory_remove,
                                 .invalidate = memory_invalidate,
                                 .clear = memory_clear,
                                 .stats = memory_stats,
                                 .destroy = memory_destroy};

static size_t ghosts_a_shard(size_t budget) {
    size_t aim = budget / DX_CACHE_SHARDS / BYTES_A_GHOST, count = GHOSTS_MIN;
    while (count < aim && count < GHOSTS_MAX) count *= 2;
    return count;
}

dx_status dx_cache_memory_create(dx_cache **out, const dx_cache_memory_options *options) {
    *out = NULL;
    if (options->budget_bytes < DX_CACHE_MEMORY_BUDGET_MIN || options->ttl_cap_us < 0) return DX_INVALID;
    memory *m = dx_memory_zalloc(1, sizeof *m);
    if (!m) return DX_NO_MEMORY;
    m->cache.ops = &OPS;
    m->budget = options->budget_bytes;
    m->ttl_cap_us = options->ttl_cap_us;
    size_t bytes = sizeof *m;
    for (size_t i = 0; i < DX_CACHE_SHARDS; i++) {
        dx_status status = dx_shard_init(&m->shards[i], ghosts_a_shard(m->budget));
        if (status != DX_OK) {
            while (i-- > 0) dx_shard_deinit(&m->shards[i]);
            dx_memory_free(m);
            return status;
        }
        bytes += dx_shard_overhead(&m->shards[i]);
    }
    atomic_init(&m->bytes, bytes);
    *out = &m->cache;
    return DX_OK;
}
