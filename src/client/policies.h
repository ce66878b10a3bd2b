// What the policies of an API are made of: limits, budgets, breakers, auth handlers. They outlive a snapshot of the definition (a reload
// must not fill a bucket again), and are shared by all settings that come out the same.
#ifndef DX_CLIENT_POLICIES_H
#define DX_CLIENT_POLICIES_H

#include "client/client.h"
#include "policy/breaker_filter.h"
#include "policy/cache_filter.h"
#include "policy/limit_filter.h"

// The kept thing of this kind, name and settings, held for as long as the arena lives; made by `make(ctx)` under the client's lock.
dx_status dx_policy_keep(void **out, dx_client *client, dx_arena *arena, const char *kind, dx_slice name, yyjson_val *settings,
                         void *(*make)(void *ctx), void *ctx, void (*destroy)(void *object)) DX_MUST_USE;

// Each finds or makes the thing that the settings ask for and holds it for as long as the arena lives; NULL with DX_OK: they ask for none.
// `name`: what it is kept under, an API's or an endpoint's. Findings go to `diags`.
dx_status dx_policy_budget(dx_retry_budget **out, dx_client *client, const dx_settings *settings, dx_slice name,
                           dx_arena *arena) DX_MUST_USE;
dx_status dx_policy_breaker(dx_breaker **out, dx_client *client, const dx_settings *settings, dx_slice name, dx_arena *arena,
                            dx_diags *diags) DX_MUST_USE;
dx_status dx_policy_hedge(struct dx_hedge_kept **out, dx_client *client, const dx_settings *settings, dx_slice name,
                          dx_arena *arena) DX_MUST_USE;
dx_status dx_policy_limit(const dx_limit_conf **out, dx_client *client, const dx_settings *settings, dx_slice name, dx_arena *arena,
                          dx_diags *diags) DX_MUST_USE;
dx_status dx_policy_cache(dx_cache_conf **out, dx_client *client, const dx_settings *settings, const dx_api *api, dx_slice at,
                          dx_arena *arena, dx_diags *diags) DX_MUST_USE;

// What is counted of an API: kept by its name alone.
dx_status dx_policy_meters(struct dx_meters **out, dx_client *client, dx_slice name, dx_arena *arena) DX_MUST_USE;
// What is kept of a limit (client/policy_limit.c), by the conf that was made of it. As long as the settings that the conf is of.
typedef struct dx_limit_kept {
    dx_limit *limit; // or
    dx_limits *by_credential;
    dx_limit_redis *shared; // NULL: none
    dx_redis_place *place;
    pthread_mutex_t lock; // of the rest: as it is now
    uint32_t max_requests, burst;
    dx_nanos window;
} dx_limit_kept;
dx_limit_kept *dx_limit_kept_of(const dx_limit_conf *conf);

#endif
