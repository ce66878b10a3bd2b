#include "client/pool.h"

#include <pthread.h>
#include <stdatomic.h>

#include "base/memory.h"

#define CALL_ARENA_CAP ((size_t)4 << 30) // max_body bounds what is in it
// A page with what malloc adds: all that a call has while it waits. So those who wait by the thousand touch one page each.
#define FIRST_CHUNK ((size_t)4096 - 16)
enum { KEPT_CAP = 256, KEPT_BYTES = 64 << 10 };

struct dx_pool {
    pthread_mutex_t lock;
    atomic_size_t holders;
    size_t count;
    dx_arena *kept[KEPT_CAP];
};

dx_pool *dx_pool_create(void) {
    dx_pool *pool = dx_memory_zalloc(1, sizeof *pool);
    if (!pool) return NULL;
    (void)pthread_mutex_init(&pool->lock, NULL);
    atomic_init(&pool->holders, 1);
    return pool;
}

void dx_pool_release(dx_pool *pool) {
    if (!pool || atomic_fetch_sub_explicit(&pool->holders, 1, memory_order_acq_rel) != 1) return;
    for (size_t i = 0; i < pool->count; i++) dx_arena_destroy(pool->kept[i]);
    (void)pthread_mutex_destroy(&pool->lock);
    dx_memory_free(pool);
}

dx_arena *dx_pool_take(dx_pool *pool) {
    pthread_mutex_lock(&pool->lock);
    dx_arena *arena = pool->count ? pool->kept[--pool->count] : NULL;
    pthread_mutex_unlock(&pool->lock);
    if (!arena) arena = dx_arena_create_small(FIRST_CHUNK, CALL_ARENA_CAP);
    if (arena) (void)atomic_fetch_add_explicit(&pool->holders, 1, memory_order_relaxed);
    return arena;
}

void dx_pool_give(dx_pool *pool, dx_arena *arena) {
    bool keep = dx_arena_footprint(arena) <= KEPT_BYTES;
    if (keep) {
        dx_arena_reset(arena);
        pthread_mutex_lock(&pool->lock);
        keep = pool->count < KEPT_CAP;
        if (keep) pool->kept[pool->count++] = arena;
        pthread_mutex_unlock(&pool->lock);
    }
    if (!keep) dx_arena_destroy(arena);
    dx_pool_release(pool);
}
