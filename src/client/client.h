// A client: the APIs of a definition as they are now, and the engines that call them. See duplex/client.h for what its users see.
#ifndef DX_CLIENT_CLIENT_H
#define DX_CLIENT_CLIENT_H

#include "client/call.h"
#include "client/pool.h"
#include "client/token.h"
#include "client/upstream.h"
#include "duplex/loop.h"

#define DX_CLIENT_THREADS_CAP 64

struct dx_client {
    pthread_mutex_t lock; // of everything here that changes
    dx_apis *apis;        // as they are now
    dx_upstreams upstreams;
    dx_transport_use use;
    dx_client_options options;
    dx_engine *engines[DX_CLIENT_THREADS_CAP]; // with threads, or the one on the caller's loop
    unsigned engine_count;
    atomic_uint next_engine;
    dx_engine *resting;     // engines for synchronous calls that nobody uses now
    size_t lent;            // engines that are in use so
    pthread_cond_t changed; // a call is over, an engine was given back
    size_t waiting;         // threads in dx_call_wait and dx_client_close
    atomic_bool closing;
    dx_pool *pool;
    dx_token_set *tokens;      // of all its auth objects
    struct dx_custom_auth *custom; // registered by name; under the lock
    dx_loop_driver driver; // with options.loop
    dx_loop *driven;
};

// --- what calls need of it, any thread
// The present APIs, held.
dx_apis *dx_client_apis(dx_client *client);
// Whether `layer` is an object of settings as the schema has them.
dx_status dx_client_check_layer(dx_client *client, dx_arena *arena, yyjson_val *layer, dx_diags *diags) DX_MUST_USE;

// --- chain.c: the filters of settings, in the order that docs/client/overview.md tells.
dx_status dx_client_build_chain(dx_client *client, const dx_api *api, dx_settings *settings, dx_arena *arena, dx_diags *diags) DX_MUST_USE;
dx_status dx_client_build_chains(dx_client *client, dx_apis *apis, dx_diags *diags) DX_MUST_USE; // of all endpoints

// --- judge.c: what an answer means, once it is here
void dx_client_judge_answer(dx_call *call); // held against its model: error and code
void dx_client_judge_retry(dx_call *call);  // error.retryable, error.retry_after_ms
// --- count.c
void dx_client_count(dx_call *call);
// --- auth_custom.c
void dx_custom_auths_deinit(dx_client *client);
// --- client.c
void dx_client_tell_over(dx_client *client, dx_call *call);
// --- response.c
void dx_response_forget(dx_response *response); // what it parsed

#endif
