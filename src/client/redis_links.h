// Connections to Redis: one for each loop and URL, made when first asked for. They belong to their loop and go with its engine.
#ifndef DX_CLIENT_REDIS_LINKS_H
#define DX_CLIENT_REDIS_LINKS_H

#include <pthread.h>

#include "redis/redis.h"

typedef struct dx_redis_link dx_redis_link;
typedef struct dx_redis_links {
    pthread_mutex_t lock;
    dx_redis_link *first;
} dx_redis_links;

// A Redis by its URL, for whoever asks for connections; kept under a client's upstreams.
typedef struct dx_redis_place {
    dx_redis_links *links;
    dx_arena *arena;
    dx_redis_settings settings;
} dx_redis_place;

void dx_redis_links_init(dx_redis_links *links);
void dx_redis_links_deinit(dx_redis_links *links);
// DX_INVALID with a finding; DX_NO_MEMORY.
dx_status dx_redis_place_create(dx_redis_place **out, dx_redis_links *links, dx_slice url, dx_diags *diags) DX_MUST_USE;
void dx_redis_place_destroy(dx_redis_place *place); // no engine uses it any more; takes NULL
// The connection of `loop`, on its thread; NULL: none could be made. The form that policy/cache_redis.h asks for (ctx: a place).
dx_redis *dx_redis_place_connection(void *place, dx_loop *loop);
// The loop ends: on its thread, or when it does not run any more.
void dx_redis_links_leave(dx_redis_links *links, dx_loop *loop);

#endif
