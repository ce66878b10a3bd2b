// A client: the APIs of a definition as they are now, and the engines that call them. See duplex/client.h for what its users see.
#ifndef DX_CLIENT_CLIENT_H
#define DX_CLIENT_CLIENT_H

#include "client/call.h"
#include "client/middleware.h"
#include "client/pool.h"
#include "client/upstream.h"
#include "duplex/loop.h"
#include "duplex/manager.h"
#include "policy/redact.h"

#define DX_CLIENT_THREADS_CAP 64

struct dx_own_check { // of an API's health, by the program
    struct dx_own_check *next;
    dx_slice name;
    dx_health_check check;
    void *context;
};

// What runs checks of health by itself, on the first engine.
typedef struct dx_watch {
    dx_timer timer;
    dx_task task;
    atomic_bool posted;
} dx_watch;

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
    dx_loop_driver driver; // with options.loop
    dx_loop *driven;
    dx_engine *all;        // every one that was made
    dx_redactor *redactor; // of everything that people may see
    uint64_t id_seed[2];   // of correlation ids
    atomic_uint_least64_t id_next;
    dx_used used[DX_MIDDLEWARE_CAP]; // only ever added to
    atomic_size_t used_count;
    dx_model_hooked hooks[DX_HOOKS_CAP]; // likewise
    atomic_size_t hook_count;
    struct dx_own_check *own_checks;
    dx_watch watch;
    // the manager's
    pthread_mutex_t changing;         // one change at a time; taken before `lock`
    dx_apis *base;                    // the definition's own APIs; held
    struct dx_registered *registered; // those that came at run time
};

// --- what calls need of it, any thread
// The present APIs, held.
dx_apis *dx_client_apis(dx_client *client);
// Whether `layer` is an object of settings as the schema has them.
dx_status dx_client_check_layer(dx_client *client, dx_arena *arena, yyjson_val *layer, dx_diags *diags) DX_MUST_USE;

// --- chain.c: the filters of settings, in the order that docs/client/overview.md tells.
dx_status dx_client_build_chain(dx_client *client, const dx_endpoint *endpoint, dx_settings *settings, dx_arena *arena,
                                dx_diags *diags) DX_MUST_USE;
dx_status dx_client_build_chains(dx_client *client, dx_apis *apis, dx_diags *diags) DX_MUST_USE; // of all endpoints

// --- judge.c: what an answer means, once it is here
void dx_client_judge_answer(dx_call *call); // held against its model: error and code
void dx_client_judge_retry(dx_call *call);  // error.retryable, error.retry_after_ms
// --- meter.c
void dx_client_count_start(dx_call *call);
void dx_client_count(dx_call *call);
// --- metrics.c
dx_error_code dx_client_no_api(dx_error *error, const dx_apis *apis, const char *name); // "there is no API …"
// --- manager.c
void dx_manager_deinit(dx_client *client);
// --- open.c
// Reads APIs from `path`, or from `text` when it is not empty, over the defaults and models of `base` (NULL: a whole definition), and
// builds their chains. Findings go to `found`.
dx_status dx_client_load(dx_apis **out, dx_client *client, const char *path, dx_slice text, dx_apis *base, dx_diags *found) DX_MUST_USE;
// --- client.c
void dx_client_tell_over(dx_client *client, dx_call *call);
// Runs a call on this thread; takes the caller's hold on it over.
dx_error_code dx_client_run_call(dx_response **out, dx_client *client, dx_call *call, dx_error *error);
dx_engine *dx_client_first_engine(dx_client *client);             // started when it must be; NULL: it can't be
void dx_client_made_engine(dx_client *client, dx_engine *engine); // it is among all of them from now on
// --- response.c
void dx_response_forget(dx_response *response); // what it parsed

#endif
