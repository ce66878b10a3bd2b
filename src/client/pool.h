// Arenas at rest, of all calls of a client. It outlives the client for as long as somebody keeps a response.
#ifndef DX_CLIENT_POOL_H
#define DX_CLIENT_POOL_H

#include "base/arena.h"

typedef struct dx_pool dx_pool;
dx_pool *dx_pool_create(void); // held once; NULL without memory
void dx_pool_release(dx_pool *pool);
// An arena, with a hold on the pool that dx_pool_give lets go; NULL without memory. Any thread.
dx_arena *dx_pool_take(dx_pool *pool);
void dx_pool_give(dx_pool *pool, dx_arena *arena);

#endif
