// Caches of the program's own (duplex/cache.h) behind policy/cache.h. They are found by name when first used, so that a definition may name
// one that the program adds later. Questions that are under way belong to a table that outlives the client: an answer may come when it is
// gone.
#ifndef DX_CLIENT_CACHE_CUSTOM_H
#define DX_CLIENT_CACHE_CUSTOM_H

#include "duplex/cache.h"
#include "policy/cache.h"

typedef struct dx_customs dx_customs;

dx_customs *dx_customs_create(void); // NULL without memory
// The backends are destroyed; no question will be answered any more. Takes NULL.
void dx_customs_close(dx_customs *customs);
// DX_CONFLICT: there is one of that name; DX_NO_MEMORY.
dx_status dx_customs_add(dx_customs *customs, dx_slice name, const dx_cache_backend *backend, void *ctx) DX_MUST_USE;
// The loop ends, on its thread: what pends on it ends with DX_UNAVAILABLE.
void dx_customs_leave(dx_customs *customs, dx_loop *loop);
// A cache that asks the backend of that name. DX_NO_MEMORY. To be destroyed before the table is closed.
dx_status dx_cache_custom_create(dx_cache **out, dx_customs *customs, dx_slice name) DX_MUST_USE;
// Look-ups of a dx_cache_custom that found no backend.
uint64_t dx_cache_custom_unregistered(const dx_cache *cache);
bool dx_cache_is_custom(const dx_cache *cache);

#endif
