// Opening and closing a client, and getting calls onto engines. A synchronous call runs on the thread that asks for it, on an engine lent
// to it: no other thread is woken, and what it costs beside the transport is a few look-ups. An asynchronous one is posted to an engine
// with a thread of its own, or to the caller's loop.
#include "client/client.h"

#include "base/memory.h"
#include "client/cache_custom.h"
#include "client/driver.h"
#include "client/fail.h"
#include "client/health.h"
#include "client/warming.h"
#include "loop/embed.h"

// --- snapshots ---------------------------------------------------------------------------------------------------------------------

dx_apis *dx_client_apis(dx_client *client) {
    pthread_mutex_lock(&client->lock);
    dx_apis *apis = dx_apis_hold(client->apis);
    pthread_mutex_unlock(&client->lock);
    return apis;
}

// --- engines with threads ------------------------------------------------------------------------------------------------------------

void dx_client_made_engine(dx_client *client, dx_engine *engine) {
    engine->made_before = client->all;
    client->all = engine;
}

static void *run_engine(void *ctx) {
    dx_engine *engine = ctx;
    (void)!dx_loop_run(engine->loop);
    return NULL;
}

static dx_status start_engine(dx_client *client, unsigned index) {
    dx_engine *engine;
    dx_status status = dx_engine_create(&engine, client, client->use, NULL);
    if (status != DX_OK) return status;
    if (pthread_create(&engine->thread, NULL, run_engine, engine) != 0) {
        dx_engine_destroy(engine);
        return DX_NO_MEMORY;
    }
    engine->threaded = true;
    client->engines[index] = engine;
    dx_client_made_engine(client, engine);
    return DX_OK;
}

// The engine of the next asynchronous call; threads begin with the first. NULL: none could be made.
dx_engine *dx_client_engine(dx_client *client) {
    if (client->options.loop) return client->engines[0];
    unsigned index = atomic_fetch_add_explicit(&client->next_engine, 1, memory_order_relaxed) % client->engine_count;
    pthread_mutex_lock(&client->lock);
    if (!client->engines[index]) (void)!start_engine(client, index);
    dx_engine *engine = client->engines[index];
    pthread_mutex_unlock(&client->lock);
    return engine;
}

dx_engine *dx_client_first_engine(dx_client *client) {
    pthread_mutex_lock(&client->lock);
    if (!client->engines[0] && !client->options.loop) (void)!start_engine(client, 0);
    dx_engine *engine = client->engines[0];
    pthread_mutex_unlock(&client->lock);
    return engine;
}

// --- engines for threads that call -----------------------------------------------------------------------------------------------------

static void note_lent(dx_client *client, dx_engine *engine) {
    engine->lent_next = client->lent;
    engine->lent_link = &client->lent;
    if (engine->lent_next) engine->lent_next->lent_link = &engine->lent_next;
    client->lent = engine;
}

dx_engine *dx_client_lend(dx_client *client) {
    pthread_mutex_lock(&client->lock);
    dx_engine *engine = client->resting;
    if (engine) {
        client->resting = engine->next;
        note_lent(client, engine);
    }
    pthread_mutex_unlock(&client->lock);
    if (engine || dx_engine_create(&engine, client, client->use, NULL) != DX_OK) return engine;
    pthread_mutex_lock(&client->lock);
    dx_client_made_engine(client, engine);
    note_lent(client, engine);
    pthread_mutex_unlock(&client->lock);
    return engine;
}

void dx_client_give_back(dx_client *client, dx_engine *engine) {
    pthread_mutex_lock(&client->lock);
    engine->next = client->resting;
    client->resting = engine;
    *engine->lent_link = engine->lent_next;
    if (engine->lent_next) engine->lent_next->lent_link = engine->lent_link;
    if (client->waiting) pthread_cond_broadcast(&client->changed);
    pthread_mutex_unlock(&client->lock);
}

// --- telling -------------------------------------------------------------------------------------------------------------------------

void dx_client_tell_over(dx_client *client, dx_call *call) {
    if (call->synchronous) {
        dx_call_set_over(call);
        call->over = true;
        return;
    }
    dx_call_hold(call); // `done` may release it
    // Over before the callback, so that it may ask; whoever waits is woken behind it.
    dx_call_set_over(call);
    if (call->done) call->done(call->done_ctx, call);
    pthread_mutex_lock(&client->lock);
    atomic_store(&call->told, true);
    if (client->waiting) pthread_cond_broadcast(&client->changed);
    pthread_mutex_unlock(&client->lock);
    dx_call_release(call);
}

// Until `*condition` (under the lock) or the time is over.
static bool wait_until(dx_client *client, const atomic_bool *condition, int64_t timeout_ms) {
    struct timespec until;
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += (time_t)(timeout_ms / 1000);
    until.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    client->waiting++;
    int failed = 0;
    while (!atomic_load(condition) && !failed)
        failed = timeout_ms < 0 ? pthread_cond_wait(&client->changed, &client->lock)
                                : pthread_cond_timedwait(&client->changed, &client->lock, &until);
    client->waiting--;
    return atomic_load(condition);
}

dx_error_code dx_call_wait(dx_call *call, int64_t timeout_ms) {
    if (atomic_load(&call->told)) return DX_ERROR_NONE; // the client may have gone since
    dx_client *client = call->client;
    pthread_mutex_lock(&client->lock);
    bool over = wait_until(client, &call->told, timeout_ms);
    pthread_mutex_unlock(&client->lock);
    return over ? DX_ERROR_NONE : DX_ERROR_TIMEOUT;
}

// --- calling -------------------------------------------------------------------------------------------------------------------------

static dx_error_code refuse_name(dx_error *error, const char *what, dx_slice name, dx_slice near) {
    return dx_fail(error, DX_ERROR_UNKNOWN_NAME, "there is no %s \"%.*s\"%s%.*s%s", what, DX_SLICE_ARG(name),
                   near.size ? "; did you mean \"" : "", DX_SLICE_ARG(near), near.size ? "\"?" : "");
}

static const dx_call_options no_options = DX_CALL_OPTIONS_INIT;

// The caller's options; those of an older, shorter struct are filled up.
static dx_call_options whole_options(const dx_call_options *given) {
    dx_call_options options = no_options;
    if (given) memcpy(&options, given, given->size < sizeof options ? given->size : sizeof options);
    options.size = sizeof options;
    return options;
}

// Until leave_client the client is not destroyed; false: it is being closed.
static bool enter_client(dx_client *client) {
    (void)atomic_fetch_add(&client->starting, 1);
    return !atomic_load(&client->closing);
}

static void leave_client(dx_client *client) {
    bool awaited = atomic_load(&client->closing);
    if (awaited) pthread_mutex_lock(&client->lock);
    (void)atomic_fetch_sub(&client->starting, 1); // the client may be gone from now on, but for the lock
    if (!awaited) return;
    pthread_cond_broadcast(&client->changed);
    pthread_mutex_unlock(&client->lock);
}

static dx_error_code refuse_closed(dx_error *error) {
    (void)dx_fail(error, DX_ERROR_CLOSED, "the client is being closed");
    return DX_ERROR_CLOSED;
}

dx_error_code dx_client_make_call(dx_call **out, dx_client *client, const dx_question *q, const dx_arg *args, const dx_call_options *given,
                                  dx_error *error) {
    dx_call_options options = whole_options(given);
    dx_asked asked = {.args = args, .options = &options, .method = q->method, .path = q->path, .target = q->target};
    dx_slice near;
    *out = NULL;
    if (error) dx_error_begin(error);
    if (atomic_load_explicit(&client->closing, memory_order_relaxed)) return refuse_closed(error);
    dx_apis *apis = dx_client_apis(client);
    dx_error_code code = DX_ERROR_NONE;
    if (q->name.size) {
        asked.endpoint = dx_apis_find(apis, q->name, &near);
        if (!asked.endpoint) code = refuse_name(error, "endpoint", q->name, near);
    } else {
        const dx_api *api = dx_apis_api(apis, q->api, &near);
        if (api) asked.endpoint = &api->plain;
        if (!api) code = refuse_name(error, "API", q->api, near);
    }
    if (!code) return dx_call_create(out, client, &asked, apis, error);
    dx_apis_release(apis);
    return code;
}

dx_error_code dx_client_run_call(dx_response **out, dx_client *client, dx_call *call, dx_error *error) {
    dx_engine *engine = dx_client_lend(client);
    *out = NULL;
    if (!engine) {
        dx_call_release(call);
        return dx_fail(error, DX_ERROR_NO_MEMORY, "there is no memory, or no descriptor, for another connection");
    }
    call->synchronous = true;
    call->engine = engine;
    dx_call_hold(call);
    call->transfer.flushed = true;
    dx_call_begin(call);
    call->transfer.flushed = false;
    if (engine->use.ops->flush) engine->use.ops->flush(engine->transport);
    while (!dx_loop_wait_for(engine->loop, &call->over, -1)) continue;
    dx_loop_settle(engine->loop); // what goes to a cache outside is sent
    dx_client_give_back(client, engine);
    dx_error_code code = call->error->code;
    if (error) dx_error_copy(error, call->error);
    if (call->has_response)
        *out = &call->response; // the caller's hold becomes the response's
    else
        dx_call_release(call);
    return code;
}

static dx_error_code make_and_run(dx_response **out, dx_client *client, const dx_question *q, const dx_arg *args,
                                  const dx_call_options *options, dx_error *error) {
    dx_call *call;
    *out = NULL;
    dx_error_code code = enter_client(client) ? dx_client_make_call(&call, client, q, args, options, error) : refuse_closed(error);
    if (!code) code = dx_client_run_call(out, client, call, error);
    leave_client(client);
    return code;
}

dx_error_code dx_client_call(dx_response **out, dx_client *client, const char *name, const dx_arg *args, const dx_call_options *options,
                             dx_error *error) {
    dx_question q = {.name = dx_slice_str(name)};
    return make_and_run(out, client, &q, args, options, error);
}

dx_error_code dx_client_request(dx_response **out, dx_client *client, const char *api, const char *method, const char *path,
                                const dx_arg *args, const dx_call_options *options, dx_error *error) {
    dx_question q = {.api = dx_slice_str(api), .method = dx_slice_str(method), .path = dx_slice_str(path)};
    return make_and_run(out, client, &q, args, options, error);
}

static void begin_task(dx_task *task) {
    dx_call *call = DX_CONTAINER_OF(task, dx_call, start);
    dx_call_begin(call);
}

dx_error_code dx_client_start_call(dx_call **out, dx_client *client, dx_call *call, dx_call_done done, void *context, dx_error *error) {
    dx_engine *engine = dx_client_engine(client);
    *out = NULL;
    if (!engine) {
        dx_call_release(call);
        return dx_fail(error, DX_ERROR_NO_MEMORY, "there is no memory, no descriptor or no thread for calls");
    }
    call->engine = engine;
    call->done = done;
    call->done_ctx = context;
    call->start.run = begin_task;
    dx_call_hold(call);
    *out = call;
    if (engine->borrowed_loop && pthread_equal(engine->owner, pthread_self())) dx_call_keep_alive(call);
    dx_loop_post(engine->loop, &call->start);
    return DX_ERROR_NONE;
}

dx_error_code dx_client_start_own(dx_client *client, dx_call *call, dx_call_done done, void *ctx) {
    dx_call *started;
    call->internal = true;
    dx_error_code code = DX_ERROR_CLOSED;
    if (!enter_client(client))
        dx_call_release(call);
    else
        code = dx_client_start_call(&started, client, call, done, ctx, NULL);
    if (code == DX_ERROR_NONE) dx_call_release(started);
    leave_client(client);
    return code;
}

static dx_error_code make_and_start(dx_call **out, dx_client *client, const dx_question *q, const dx_arg *args,
                                    const dx_call_options *options, dx_call_done done, void *context, dx_error *error) {
    dx_call *call;
    *out = NULL;
    dx_error_code code = enter_client(client) ? dx_client_make_call(&call, client, q, args, options, error) : refuse_closed(error);
    if (!code) code = dx_client_start_call(out, client, call, done, context, error);
    leave_client(client);
    return code;
}

dx_error_code dx_call_start(dx_call **out, dx_client *client, const char *name, const dx_arg *args, const dx_call_options *options,
                            dx_call_done done, void *context, dx_error *error) {
    dx_question q = {.name = dx_slice_str(name)};
    return make_and_start(out, client, &q, args, options, done, context, error);
}

dx_error_code dx_call_start_request(dx_call **out, dx_client *client, const char *api, const char *method, const char *path,
                                    const dx_arg *args, const dx_call_options *options, dx_call_done done, void *context, dx_error *error) {
    dx_question q = {.api = dx_slice_str(api), .method = dx_slice_str(method), .path = dx_slice_str(path)};
    return make_and_start(out, client, &q, args, options, done, context, error);
}

// --- closing -------------------------------------------------------------------------------------------------------------------------

typedef struct closing {
    dx_task task;
    dx_engine *engine;
} closing;

static void end_calls(dx_engine *engine) {
    while (engine->calls) dx_call_stop(engine->calls, DX_ERROR_CLOSED, NULL);
    dx_limiter_end_turns(engine);
}

static void close_engine(dx_task *task) {
    closing *c = DX_CONTAINER_OF(task, closing, task);
    end_calls(c->engine);
    dx_loop_stop(c->engine->loop);
}

static void free_added(dx_client *client) {
    while (client->own_checks) {
        struct dx_own_check *first = client->own_checks;
        client->own_checks = first->next;
        dx_memory_free(first);
    }
    for (size_t i = 0; i < client->used_count; i++) dx_memory_free((void *)(uintptr_t)client->used[i].name.data);
    for (size_t i = 0; i < client->hook_count; i++) dx_memory_free((void *)(uintptr_t)client->hooks[i].model.data);
    dx_memory_free(client->path);
    dx_redactor_destroy(client->redactor);
}

static void unhold(dx_client *client) {
    (void)pthread_mutex_destroy(&client->changing);
    dx_pool_release(client->pool);
    dx_redis_links_deinit(&client->redis);
    (void)pthread_mutex_destroy(&client->lock);
    (void)pthread_cond_destroy(&client->changed);
    dx_memory_free(client);
}

// A signal may have been missed by one who left just when closing began.
static void wait_a_moment(dx_client *client) {
    struct timespec until;
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += 10000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    (void)pthread_cond_timedwait(&client->changed, &client->lock, &until);
}

static void end_lent(dx_task *task) {
    end_calls(DX_CONTAINER_OF(task, dx_engine, ending));
}

// Calls that threads make now are ended there, and those that are being started arrive at their engines.
static void end_starting(dx_client *client) {
    pthread_mutex_lock(&client->lock);
    for (dx_engine *engine = client->lent; engine; engine = engine->lent_next) {
        engine->ending.run = end_lent;
        dx_loop_post(engine->loop, &engine->ending);
    }
    client->waiting++;
    while (atomic_load(&client->starting)) wait_a_moment(client);
    client->waiting--;
    pthread_mutex_unlock(&client->lock);
}

static void end_engine(dx_engine *engine) {
    closing task = {.task = {.run = close_engine}, .engine = engine};
    if (engine->threaded) {
        dx_loop_post(engine->loop, &task.task);
        (void)pthread_join(engine->thread, NULL);
    } else {
        dx_loop_drain(engine->loop); // calls that were started and did not begin
        end_calls(engine);
    }
}

static void destroy_engine(dx_engine *engine) {
    dx_loop_drain(engine->loop); // what holds calls that are over
    dx_engine_destroy(engine);
}

void dx_client_close(dx_client *client) {
    if (!client) return;
    atomic_store(&client->closing, true);
    dx_health_unwatch(client);
    dx_warming_stop(client);
    end_starting(client);
    for (unsigned i = 0; i < client->engine_count; i++)
        if (client->engines[i]) end_engine(client->engines[i]);
    dx_token_set_close(client->tokens);
    for (unsigned i = 0; i < client->engine_count; i++) // all of them have ended: none has anything for another any more
        if (client->engines[i]) destroy_engine(client->engines[i]);
    while (client->resting) {
        dx_engine *engine = client->resting;
        client->resting = engine->next;
        destroy_engine(engine);
    }
    dx_driver_leave(client);
    dx_apis_release(client->apis);
    dx_manager_deinit(client);
    dx_upstreams_deinit(&client->upstreams);
    dx_customs_close(client->customs);
    dx_token_set_release(client->tokens);
    dx_custom_auths_deinit(client);
    free_added(client);
    unhold(client);
}
