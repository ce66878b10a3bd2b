// A client: the APIs of a definition as they are now, and the engines that call them. See duplex/client.h for what its users see.
#ifndef DX_CLIENT_CLIENT_H
#define DX_CLIENT_CLIENT_H

#include "client/call.h"
#include "client/middleware.h"
#include "client/pool.h"
#include "client/redis_links.h"
#include "client/token.h"
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
typedef struct dx_checker {
    dx_timer timer;
    dx_task task;
    atomic_bool posted;
} dx_checker;

struct dx_client {
    pthread_mutex_t lock;  // of everything here that changes
    dx_apis *apis;         // as they are now
    uint16_t serial;       // of the last one
    bool keeps_definition; // for those who show where things come from
    dx_upstreams upstreams;
    dx_transport_use use;
    dx_client_options options;
    dx_engine *engines[DX_CLIENT_THREADS_CAP]; // with threads, or the one on the caller's loop
    unsigned engine_count;
    atomic_uint next_engine;
    dx_engine *resting;     // engines for synchronous calls that nobody uses now
    dx_engine *lent;        // engines that are in use so
    atomic_size_t starting; // calls that are on their way to an engine
    pthread_cond_t changed; // a call is over, an engine was given back
    size_t waiting;         // threads in dx_call_wait and dx_client_close
    atomic_bool closing;
    dx_pool *pool;
    dx_redis_links redis;
    dx_token_set *tokens;          // of all its auth objects
    struct dx_custom_auth *custom; // auth handlers of the program's own, by name; under the lock
    struct dx_customs *customs;    // caches of the program's own
    struct dx_warming *warming;    // of the present APIs; NULL: nothing is kept warm
    dx_loop_driver driver;         // with options.loop
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
    dx_checker watch;
    // the manager's
    pthread_mutex_t changing;         // one change at a time; taken before `lock`
    char *path;                       // of the definition, for reading it again
    dx_apis *base;                    // the definition's own APIs; held
    struct dx_registered *registered; // those that came at run time
};

// --- what calls need of it, any thread
// The present APIs, held.
dx_apis *dx_client_apis(dx_client *client);
// Whether `layer` is an object of settings as the schema has them.
dx_status dx_client_check_layer(dx_client *client, dx_arena *arena, yyjson_val *layer, dx_diags *diags) DX_MUST_USE;

// An engine for an asynchronous call, or to post to; NULL: none could be made. Lives until the client is closed.
dx_engine *dx_client_engine(dx_client *client);

// What is called: an endpoint by name, or a path of an API by a method.
typedef struct dx_question {
    dx_slice name;   // of an endpoint; empty: a plain request
    dx_slice target; // with a name: path and query as they are, instead of the endpoint's (dx_asked.target)
    dx_slice api, method, path;
} dx_question;
// Calling in two steps, for those that look at the call between them. A made call is held once, for the caller. To run it takes the hold;
// to start it sets `*out` to it before anything can be told, and lets go of it on failure.
dx_error_code dx_client_make_call(dx_call **out, dx_client *client, const dx_question *q, const dx_arg *args, const dx_call_options *given,
                                  dx_error *error) DX_MUST_USE;
dx_error_code dx_client_run_call(dx_response **out, dx_client *client, dx_call *call, dx_error *error) DX_MUST_USE;
dx_error_code dx_client_start_call(dx_call **out, dx_client *client, dx_call *call, dx_call_done done, void *context,
                                   dx_error *error) DX_MUST_USE;
// As dx_client_open, and the snapshot keeps its definition: for those who show where things come from.
dx_error_code dx_client_open_keeping(dx_client **out, const char *path, const dx_client_options *options, dx_error *error) DX_MUST_USE;
// Says what is wrong with the section `apis` of a definition that somebody else loaded, with it and with `models`: all that opening a
// client would find. Nothing is connected to.
dx_status dx_client_check(const dx_definition *definition, dx_diags *diags) DX_MUST_USE;

// --- chain.c: the filters of settings, in the order that docs/client/overview.md tells.
dx_status dx_client_build_chain(dx_client *client, const dx_endpoint *endpoint, dx_settings *settings, dx_arena *arena,
                                dx_diags *diags) DX_MUST_USE;
dx_status dx_client_build_chains(dx_client *client, dx_apis *apis, dx_diags *diags) DX_MUST_USE; // of all endpoints

// --- refetch.c: sends what a stale answer was given for once more, behind the caller's back (dx_cache_conf.revalidate).
void dx_client_fetch_again(void *ctx, dx_exchange *x);
// --- client.c: starts a call of the client's own that is made, on an engine with a thread; lets go of the caller's hold. `done` may be
// NULL; it is not called when this fails.
dx_error_code dx_client_start_own(dx_client *client, dx_call *call, dx_call_done done, void *ctx);
// The engine of the next asynchronous work, with a thread or on the caller's loop; NULL: none could be made. Any thread.
dx_engine *dx_client_engine(dx_client *client);
// An engine for this thread to wait on, as synchronous calls do; NULL: there is no memory. To be given back.
dx_engine *dx_client_lend(dx_client *client);
void dx_client_give_back(dx_client *client, dx_engine *engine);

// --- public_limit.c: on the engine's thread, when the client closes
void dx_limiter_end_turns(dx_engine *engine);

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
// --- auth_custom.c
void dx_custom_auths_deinit(dx_client *client);
// --- client.c
void dx_client_tell_over(dx_client *client, dx_call *call);
dx_engine *dx_client_first_engine(dx_client *client);             // started when it must be; NULL: it can't be
void dx_client_made_engine(dx_client *client, dx_engine *engine); // it is among all of them from now on
// --- response.c
void dx_response_forget(dx_response *response); // what it parsed
// The body as JSON, parsed once; NULL: it is none, or there is no memory. Lives as long as the response. Any thread.
yyjson_val *dx_response_root(const dx_response *response);
extern const yyjson_alc dx_response_heap; // for yyjson's own functions: base/memory.h

#endif
