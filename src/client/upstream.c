#include "client/upstream.h"

#include "base/hash.h"
#include "base/memory.h"

static dx_kept **place_of(dx_upstreams *all, dx_slice key, uint64_t hash) {
    dx_kept **at = &all->table[hash % DX_COUNT_OF(all->table)];
    while (*at && ((*at)->hash != hash || !dx_slice_equal((*at)->key, key))) at = &(*at)->next;
    return at;
}

void *dx_upstream_keep(dx_upstreams *all, dx_slice key, void *(*make)(void *ctx), void *ctx, void (*destroy)(void *object),
                       dx_kept **held) {
    uint64_t hash = dx_hash(key);
    dx_kept **at = place_of(all, key, hash), *kept = *at;
    if (kept) {
        kept->holders++;
        *held = kept;
        return kept->object;
    }
    kept = dx_memory_zalloc(1, sizeof *kept + key.size);
    void *object = kept ? make(ctx) : NULL;
    if (!object) {
        dx_memory_free(kept);
        return NULL;
    }
    if (key.size) memcpy(kept + 1, key.data, key.size);
    *kept = (dx_kept){.hash = hash, .holders = 1, .object = object, .destroy = destroy, .key = {(const char *)(kept + 1), key.size}};
    *at = *held = kept;
    return object;
}

void dx_upstream_release(dx_upstreams *all, dx_kept *held) {
    if (--held->holders) return;
    dx_kept **at = place_of(all, held->key, held->hash);
    *at = held->next;
    held->destroy(held->object);
    dx_memory_free(held);
}

void dx_upstreams_deinit(dx_upstreams *all) {
    for (size_t i = 0; i < DX_COUNT_OF(all->table); i++)
        while (all->table[i]) {
            all->table[i]->holders = 1;
            dx_upstream_release(all, all->table[i]);
        }
}
