#include "policy/cache_shard.h"

#include "base/memory.h"
#include "policy/cache_memory.h"
#include "policy/vary.h"

enum { CHAINS_FIRST = 16, ASKED_CAP = 3, SMALL_SHARE = 10 };

// --- chains and queues -----------------------------------------------------------------------------------------------------

static void push_chain(dx_shard_node **head, dx_shard_node *node) {
    node->next = *head;
    node->link = head;
    if (node->next) node->next->link = &node->next;
    *head = node;
}

static void push_url_chain(dx_shard_node **head, dx_shard_node *node) {
    node->url_next = *head;
    node->url_link = head;
    if (node->url_next) node->url_next->url_link = &node->url_next;
    *head = node;
}

static void leave_chains(dx_shard_node *node) {
    *node->link = node->next;
    if (node->next) node->next->link = node->link;
    *node->url_link = node->url_next;
    if (node->url_next) node->url_next->url_link = node->url_link;
}

static dx_shard_node **chain_of(const dx_shard *shard, uint64_t hash) {
    return &shard->chains[hash & (shard->chain_count - 1)];
}

static dx_shard_node **url_chain_of(const dx_shard *shard, uint64_t url_hash) {
    // The low bits chose the shard.
    return &shard->url_chains[(url_hash >> 32) & (shard->chain_count - 1)];
}

static void enqueue(dx_shard *shard, dx_shard_node *node, dx_shard_queue_name name) {
    dx_shard_queue *queue = &shard->queues[name];
    node->queue = (uint8_t)name;
    node->newer = NULL;
    node->older = queue->newest;
    if (queue->newest) queue->newest->newer = node;
    queue->newest = node;
    if (!queue->oldest) queue->oldest = node;
    queue->bytes += node->cost;
}

static void dequeue(dx_shard *shard, dx_shard_node *node) {
    dx_shard_queue *queue = &shard->queues[node->queue];
    if (node->newer) {
        node->newer->older = node->older;
    } else {
        queue->newest = node->older;
    }
    if (node->older) {
        node->older->newer = node->newer;
    } else {
        queue->oldest = node->newer;
    }
    queue->bytes -= node->cost;
}

static size_t drop(dx_shard *shard, dx_shard_node *node) {
    size_t cost = node->cost;
    leave_chains(node);
    dequeue(shard, node);
    shard->entries--;
    dx_cache_entry_release(node->entry);
    dx_memory_free(node);
    return cost;
}

// --- making and growing ----------------------------------------------------------------------------------------------------

dx_status dx_shard_init(dx_shard *shard, size_t ghost_count) {
    *shard = (dx_shard){.chain_count = CHAINS_FIRST, .ghost_count = ghost_count};
    pthread_mutex_init(&shard->lock, NULL);
    shard->chains = dx_memory_zalloc(CHAINS_FIRST, sizeof(dx_shard_node *));
    shard->url_chains = dx_memory_zalloc(CHAINS_FIRST, sizeof(dx_shard_node *));
    shard->ghosts = dx_memory_zalloc(ghost_count, sizeof *shard->ghosts);
    shard->fallen = (uint32_t)ghost_count; // so that an empty place is an old one
    if (shard->chains && shard->url_chains && shard->ghosts) return DX_OK;
    dx_shard_deinit(shard);
    return DX_NO_MEMORY;
}

void dx_shard_deinit(dx_shard *shard) {
    for (size_t i = 0; i < DX_COUNT_OF(shard->queues); i++) {
        while (shard->queues[i].oldest) (void)drop(shard, shard->queues[i].oldest);
    }
    dx_memory_free(shard->chains);
    dx_memory_free(shard->url_chains);
    dx_memory_free(shard->ghosts);
    pthread_mutex_destroy(&shard->lock);
}

size_t dx_shard_overhead(const dx_shard *shard) {
    return 2 * shard->chain_count * sizeof(dx_shard_node *) + shard->ghost_count * sizeof *shard->ghosts;
}

// From the oldest in each chain on, so that the newest comes to stand first again.
static void move_chain(const dx_shard *shard, dx_shard_node *head) {
    dx_shard_node *reversed = NULL;
    for (dx_shard_node *next; head; head = next) {
        next = head->next;
        head->next = reversed;
        reversed = head;
    }
    for (dx_shard_node *next; reversed; reversed = next) {
        next = reversed->next;
        push_chain(chain_of(shard, reversed->hash), reversed);
    }
}

size_t dx_shard_grow(dx_shard *shard) {
    size_t old_count = shard->chain_count, count = old_count * 2;
    if (shard->entries <= old_count) return 0;
    dx_shard_node **chains = dx_memory_zalloc(count, sizeof(dx_shard_node *));
    dx_shard_node **url_chains = dx_memory_zalloc(count, sizeof(dx_shard_node *));
    if (!chains || !url_chains) {
        dx_memory_free(chains);
        dx_memory_free(url_chains);
        return 0;
    }
    dx_shard_node **old_chains = shard->chains, **old_url_chains = shard->url_chains;
    shard->chains = chains;
    shard->url_chains = url_chains;
    shard->chain_count = count;
    for (size_t i = 0; i < old_count; i++) {
        move_chain(shard, old_chains[i]);
        for (dx_shard_node *node = old_url_chains[i], *next; node; node = next) {
            next = node->url_next;
            push_url_chain(url_chain_of(shard, node->url_hash), node);
        }
    }
    dx_memory_free(old_chains);
    dx_memory_free(old_url_chains);
    return 2 * (count - old_count) * sizeof(dx_shard_node *);
}

// --- ghosts ----------------------------------------------------------------------------------------------------------------

static uint64_t *ghost_place(const dx_shard *shard, uint64_t hash) {
    return &shard->ghosts[hash & (shard->ghost_count - 1)];
}

static void remember(dx_shard *shard, uint64_t hash) {
    *ghost_place(shard, hash) = (hash & ~(uint64_t)UINT32_MAX) | shard->fallen++;
}

static bool fell_lately(const dx_shard *shard, uint64_t hash) {
    uint64_t ghost = *ghost_place(shard, hash);
    return ghost >> 32 == hash >> 32 && shard->fallen - (uint32_t)ghost <= shard->ghost_count;
}

// --- operations ------------------------------------------------------------------------------------------------------------

static bool has_key(const dx_shard_node *node, const dx_cache_key *key) {
    return node->hash == key->hash && dx_slice_equal(node->entry->key, key->text);
}

dx_cache_entry *dx_shard_get(dx_shard *shard, const dx_cache_key *key, const dx_fields *request, dx_micros_utc now, size_t *freed) {
    for (dx_shard_node *node = *chain_of(shard, key->hash), *next; node; node = next) {
        next = node->next;
        if (!has_key(node, key)) continue;
        if (node->until <= now) {
            *freed += drop(shard, node);
            shard->expired++;
        } else if (!node->entry->vary.size || dx_vary_matches(node->entry->vary, request)) {
            if (node->asked < ASKED_CAP) node->asked++;
            shard->hits++;
            return dx_cache_entry_hold(node->entry);
        }
    }
    shard->misses++;
    return NULL;
}

// Those that the new one stands for go. The queue that the new one belongs in: that of the one it replaces, or the main queue when it fell
// out of the small one lately.
static dx_shard_queue_name make_way(dx_shard *shard, const dx_shard_node *node, const dx_cache_key *key, size_t *freed) {
    dx_shard_queue_name queue = fell_lately(shard, node->hash) ? DX_SHARD_MAIN : DX_SHARD_SMALL;
    size_t variants = 0;
    for (dx_shard_node *other = *chain_of(shard, node->hash), *next; other; other = next) {
        next = other->next;
        if (!has_key(other, key)) continue;
        bool same = dx_slice_equal(other->entry->vary, node->entry->vary);
        if (same && other->queue == DX_SHARD_MAIN) queue = DX_SHARD_MAIN;
        if (same || ++variants == DX_CACHE_VARIANTS_CAP) *freed += drop(shard, other);
    }
    return queue;
}

void dx_shard_put(dx_shard *shard, dx_shard_node *node, size_t *freed) {
    const dx_cache_key key = {.text = node->entry->key, .hash = node->hash};
    dx_shard_queue_name queue = make_way(shard, node, &key, freed);
    push_chain(chain_of(shard, node->hash), node);
    push_url_chain(url_chain_of(shard, node->url_hash), node);
    enqueue(shard, node, queue);
    shard->entries++;
    shard->stores++;
}

static size_t evict_small(dx_shard *shard) {
    dx_shard_node *node = shard->queues[DX_SHARD_SMALL].oldest;
    if (node->asked) {
        dequeue(shard, node);
        node->asked = 0;
        enqueue(shard, node, DX_SHARD_MAIN);
        return 0;
    }
    remember(shard, node->hash);
    return drop(shard, node);
}

static size_t evict_main(dx_shard *shard) {
    dx_shard_node *node = shard->queues[DX_SHARD_MAIN].oldest;
    if (!node->asked) return drop(shard, node);
    dequeue(shard, node);
    node->asked--;
    enqueue(shard, node, DX_SHARD_MAIN);
    return 0;
}

size_t dx_shard_evict(dx_shard *shard) {
    const dx_shard_queue *small = &shard->queues[DX_SHARD_SMALL], *large = &shard->queues[DX_SHARD_MAIN];
    size_t freed = 0;
    while (!freed && shard->entries) { // each round takes an entry, or some of what it was asked for
        bool from_small = small->oldest && (!large->oldest || small->bytes >= (small->bytes + large->bytes) / SMALL_SHARE);
        freed = from_small ? evict_small(shard) : evict_main(shard);
    }
    if (freed) shard->evictions++;
    return freed;
}

uint64_t dx_shard_remove(dx_shard *shard, const dx_cache_key *key, size_t *freed) {
    uint64_t removed = 0;
    for (dx_shard_node *node = *chain_of(shard, key->hash), *next; node; node = next) {
        next = node->next;
        if (!has_key(node, key)) continue;
        *freed += drop(shard, node);
        removed++;
    }
    shard->invalidated += removed;
    return removed;
}

uint64_t dx_shard_remove_url(dx_shard *shard, dx_slice space, dx_slice url, uint64_t url_hash, size_t *freed) {
    uint64_t removed = 0;
    for (dx_shard_node *node = *url_chain_of(shard, url_hash), *next; node; node = next) {
        dx_slice its_space, its_url;
        next = node->url_next;
        if (node->url_hash != url_hash || !dx_cache_key_split(node->entry->key, &its_space, &its_url)) continue;
        if (!dx_slice_equal(its_space, space) || !dx_slice_equal(its_url, url)) continue;
        *freed += drop(shard, node);
        removed++;
    }
    shard->invalidated += removed;
    return removed;
}

uint64_t dx_shard_sweep(dx_shard *shard, bool (*hit)(const dx_cache_entry *entry, const void *ctx), const void *ctx, size_t *freed) {
    uint64_t removed = 0;
    for (size_t i = 0; i < DX_COUNT_OF(shard->queues); i++) {
        for (dx_shard_node *node = shard->queues[i].oldest, *next; node; node = next) {
            next = node->newer;
            if (!hit(node->entry, ctx)) continue;
            *freed += drop(shard, node);
            removed++;
        }
    }
    shard->invalidated += removed;
    return removed;
}
