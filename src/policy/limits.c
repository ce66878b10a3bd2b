// The table: shards of chained hash tables, each entry also in its shard's list by time of use. An entry that nobody but the table holds
// may go. To find one that is idle the oldest few are looked at, no more: what was used longest ago is the likeliest to be.
#include "policy/limits.h"

#include <pthread.h>

#include "base/hash.h"
#include "base/memory.h"
#include "policy/limit_parts.h"

enum { SHARDS = 16, LOOKED_AT = 8 };

typedef struct entry entry;
struct entry {
    entry *chained;       // in its slot
    entry *newer, *older; // in the shard, by use
    dx_limit *limit;
    uint64_t hash;
    size_t key_size;
    char key[];
};

typedef struct shard {
    pthread_mutex_t lock;
    entry **slots;
    size_t mask, count, cap;
    entry *newest, *oldest;
    uint64_t made, evicted, forgotten;
    uint32_t max_requests, burst; // of those to come; 0: as they are asked for
    dx_nanos window;
} shard;

struct dx_limits {
    size_t shard_count;
    shard shards[SHARDS];
};

static size_t slots_for(size_t cap) {
    size_t slots = 4;
    while (slots < cap) slots *= 2;
    return slots;
}

dx_status dx_limits_create(dx_limits **out, size_t cap) {
    *out = NULL;
    if (cap == 0 || cap > DX_LIMITS_CAP) return DX_INVALID;
    dx_limits *limits = dx_memory_zalloc(1, sizeof *limits);
    if (!limits) return DX_NO_MEMORY;
    limits->shard_count = cap < SHARDS * LOOKED_AT ? 1 : SHARDS; // a small table is not worth sharing out
    for (size_t i = 0; i < limits->shard_count; i++) {
        shard *at = &limits->shards[i];
        at->cap = cap / limits->shard_count;
        at->mask = slots_for(at->cap) - 1;
        at->slots = dx_memory_zalloc(at->mask + 1, sizeof *at->slots);
        (void)pthread_mutex_init(&at->lock, NULL);
        if (!at->slots) {
            limits->shard_count = i + 1;
            dx_limits_destroy(limits);
            return DX_NO_MEMORY;
        }
    }
    *out = limits;
    return DX_OK;
}

static void use(shard *at, entry *item) {
    item->newer = NULL;
    item->older = at->newest;
    *(at->newest ? &at->newest->newer : &at->oldest) = item;
    at->newest = item;
}

static void unuse(shard *at, entry *item) {
    *(item->newer ? &item->newer->older : &at->newest) = item->older;
    *(item->older ? &item->older->newer : &at->oldest) = item->newer;
}

static void drop(shard *at, entry *item) {
    entry **link = &at->slots[item->hash & at->mask];
    while (*link != item) link = &(*link)->chained;
    *link = item->chained;
    unuse(at, item);
    at->count--;
    dx_limit_release(item->limit);
    dx_memory_free(item);
}

void dx_limits_destroy(dx_limits *limits) {
    if (!limits) return;
    for (size_t i = 0; i < limits->shard_count; i++) {
        shard *at = &limits->shards[i];
        while (at->oldest) drop(at, at->oldest);
        dx_memory_free(at->slots);
        (void)pthread_mutex_destroy(&at->lock);
    }
    dx_memory_free(limits);
}

static bool make_room(shard *at, dx_nanos now) {
    entry *victim = NULL;
    if (at->count < at->cap) return true;
    size_t looked_at = 0;
    for (entry *item = at->oldest; item && (looked_at < LOOKED_AT || !victim); item = item->newer, looked_at++) {
        // Under the lock nobody gets hold of it through the table, and who holds it alone can't give it on.
        if (atomic_load_explicit(&item->limit->holders, memory_order_acquire) > 1) continue;
        if (dx_limit_idle(item->limit, now)) {
            at->evicted++;
            drop(at, item);
            return true;
        }
        if (!victim) victim = item;
    }
    if (!victim) return false;
    at->forgotten++;
    drop(at, victim);
    return true;
}

static entry *find(const shard *at, dx_slice key, uint64_t hash) {
    entry *item = at->slots[hash & at->mask];
    while (item && !(item->hash == hash && dx_slice_equal(dx_slice_of(item->key, item->key_size), key))) item = item->chained;
    return item;
}

static dx_status make(entry **out, shard *at, dx_slice key, uint64_t hash, const dx_limit_options *options) {
    entry *item = dx_memory_alloc(sizeof *item + key.size);
    if (!item) return DX_NO_MEMORY;
    dx_limit_options own = *options;
    if (at->max_requests) {
        own.max_requests = at->max_requests;
        own.window = at->window;
        own.burst = at->burst;
    }
    dx_status status = dx_limit_create(&item->limit, &own);
    if (status != DX_OK) {
        dx_memory_free(item);
        return status;
    }
    if (key.size) memcpy(item->key, key.data, key.size);
    item->key_size = key.size;
    item->hash = hash;
    item->chained = at->slots[hash & at->mask];
    at->slots[hash & at->mask] = item;
    at->count++;
    at->made++;
    use(at, item);
    *out = item;
    return DX_OK;
}

dx_status dx_limits_get(dx_limit **out, dx_limits *limits, dx_slice key, const dx_limit_options *options, dx_nanos now) {
    uint64_t hash = dx_hash(key);
    shard *at = &limits->shards[(hash >> 32) % limits->shard_count];
    dx_status status = DX_OK;
    *out = NULL;
    if (key.size > DX_LIMITS_KEY_CAP) return DX_INVALID;
    (void)pthread_mutex_lock(&at->lock);
    entry *item = find(at, key, hash);
    if (item) {
        unuse(at, item);
        use(at, item);
    } else {
        status = make_room(at, now) ? make(&item, at, key, hash, options) : DX_OVERLOADED;
    }
    if (status == DX_OK) *out = dx_limit_hold(item->limit);
    (void)pthread_mutex_unlock(&at->lock);
    return status;
}

void dx_limits_stats_read(dx_limits *limits, dx_limits_stats *out) {
    *out = (dx_limits_stats){0};
    for (size_t i = 0; i < limits->shard_count; i++) {
        shard *at = &limits->shards[i];
        (void)pthread_mutex_lock(&at->lock);
        out->count += at->count;
        out->made += at->made;
        out->evicted += at->evicted;
        out->forgotten += at->forgotten;
        (void)pthread_mutex_unlock(&at->lock);
    }
}

void dx_limits_each(dx_limits *limits, void (*visit)(dx_slice key, dx_limit *limit, void *ctx), void *ctx) {
    for (size_t i = 0; i < limits->shard_count; i++) {
        shard *at = &limits->shards[i];
        (void)pthread_mutex_lock(&at->lock);
        for (entry *item = at->newest; item; item = item->older) visit(dx_slice_of(item->key, item->key_size), item->limit, ctx);
        (void)pthread_mutex_unlock(&at->lock);
    }
}

dx_status dx_limits_update(dx_limits *limits, uint32_t max_requests, dx_nanos window, uint32_t burst, dx_nanos now) {
    if (dx_limit_check(max_requests, window, burst) != DX_OK) return DX_INVALID;
    for (size_t i = 0; i < limits->shard_count; i++) {
        shard *at = &limits->shards[i];
        (void)pthread_mutex_lock(&at->lock);
        at->max_requests = max_requests;
        at->window = window;
        at->burst = burst;
        for (entry *item = at->newest; item; item = item->older) (void)!dx_limit_update(item->limit, max_requests, window, burst, now);
        (void)pthread_mutex_unlock(&at->lock);
    }
    return DX_OK;
}
