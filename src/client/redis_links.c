#include "client/redis_links.h"

#include "base/memory.h"

struct dx_redis_link {
    dx_redis_link *next;
    const dx_redis_place *place;
    dx_loop *loop;
    dx_redis *redis;
};

void dx_redis_links_init(dx_redis_links *links) {
    *links = (dx_redis_links){0};
    (void)pthread_mutex_init(&links->lock, NULL);
}

void dx_redis_links_deinit(dx_redis_links *links) {
    (void)pthread_mutex_destroy(&links->lock);
}

dx_status dx_redis_place_create(dx_redis_place **out, dx_redis_links *links, dx_slice url, dx_diags *diags) {
    *out = NULL;
    dx_arena *arena = dx_arena_create((size_t)1 << 20);
    dx_redis_place *place = arena ? DX_ARENA_NEW(arena, dx_redis_place) : NULL;
    dx_slice copy = place ? dx_arena_copy(arena, url) : (dx_slice){0};
    if (!copy.data) {
        dx_arena_destroy(arena);
        return DX_NO_MEMORY;
    }
    place->arena = arena;
    place->links = links;
    place->settings = (dx_redis_settings)DX_REDIS_SETTINGS_INIT;
    dx_status status = dx_redis_settings_read(&place->settings, copy, arena, diags);
    if (status == DX_OK)
        *out = place;
    else
        dx_arena_destroy(arena);
    return status;
}

void dx_redis_place_destroy(dx_redis_place *place) {
    if (place) dx_arena_destroy(place->arena);
}

static dx_redis_link *link_of(const dx_redis_place *place, const dx_loop *loop) {
    dx_redis_link *link = place->links->first;
    while (link && (link->place != place || link->loop != loop)) link = link->next;
    return link;
}

dx_redis *dx_redis_place_connection(void *ctx, dx_loop *loop) {
    dx_redis_place *place = ctx;
    pthread_mutex_lock(&place->links->lock);
    dx_redis_link *link = link_of(place, loop);
    pthread_mutex_unlock(&place->links->lock);
    if (link) return link->redis; // only this loop's thread takes it away
    link = dx_memory_zalloc(1, sizeof *link);
    if (!link || dx_redis_create(&link->redis, loop, &place->settings) != DX_OK) {
        dx_memory_free(link);
        return NULL;
    }
    link->place = place;
    link->loop = loop;
    pthread_mutex_lock(&place->links->lock);
    link->next = place->links->first;
    place->links->first = link;
    pthread_mutex_unlock(&place->links->lock);
    return link->redis;
}

void dx_redis_links_leave(dx_redis_links *links, dx_loop *loop) {
    dx_redis_link *mine = NULL;
    pthread_mutex_lock(&links->lock);
    for (dx_redis_link **at = &links->first; *at;) {
        dx_redis_link *link = *at;
        if (link->loop != loop) {
            at = &link->next;
            continue;
        }
        *at = link->next;
        link->next = mine;
        mine = link;
    }
    pthread_mutex_unlock(&links->lock);
    while (mine) {
        dx_redis_link *next = mine->next;
        dx_redis_destroy(mine->redis);
        dx_memory_free(mine);
        mine = next;
    }
}
