// The limits of a client's own, as programs see them: numbers, a fresh start, another rate.
#include "base/memory.h"
#include "client/client.h"
#include "client/fail.h"
#include "client/policies.h"
#include "duplex/limit.h"
#include "loop/embed.h"

enum { KEYS_A_COMMAND = 512 };

// --- finding ---------------------------------------------------------------------------------------------------------------------------

static const dx_limit_conf *conf_of(const dx_settings *settings) {
    for (uint16_t i = 0; i < settings->chain.filter_count; i++)
        if (settings->chain.filters[i].ops == &dx_limit_filter) return settings->chain.filters[i].conf;
    return NULL;
}

// The limit of an API or endpoint; the snapshot that keeps it is held.
static dx_error_code find(const dx_limit_conf **out, dx_apis **apis, dx_client *client, const char *name, dx_error *error) {
    dx_slice near, text = dx_slice_str(name);
    *out = NULL;
    if (error) *error = (dx_error)DX_ERROR_INIT;
    *apis = dx_client_apis(client);
    const dx_api *api = dx_apis_api(*apis, text, &near);
    const dx_endpoint *endpoint = api ? NULL : dx_apis_find(*apis, text, &near);
    const dx_settings *settings = api ? api->settings : endpoint ? endpoint->settings : NULL;
    if (settings) *out = conf_of(settings);
    if (*out) return DX_ERROR_NONE;
    dx_error_code code = settings ? dx_fail(error, DX_ERROR_UNKNOWN_NAME, "%s has no rate_limit", name)
                                  : dx_fail(error, DX_ERROR_UNKNOWN_NAME, "there is no API or endpoint \"%s\"", name);
    dx_apis_release(*apis);
    *apis = NULL;
    return code;
}

// --- numbers ---------------------------------------------------------------------------------------------------------------------------

static void add(dx_slice key, dx_limit *limit, void *ctx) {
    dx_limiter_stats *all = ctx;
    dx_limit_stats one;
    (void)key;
    dx_limit_stats_read(limit, &one);
    all->limits++;
    all->available += dx_limit_available(limit, dx_clock_monotonic());
    all->waiting += one.waiting;
    all->granted += one.granted;
    all->denied += one.denied;
    all->waited += one.waited;
    all->wait_total_ns += (int64_t)one.wait_total;
}

dx_error_code dx_client_limit_stats(dx_client *client, const char *name, dx_limiter_stats *out, dx_error *error) {
    dx_limiter_stats all = DX_LIMITER_STATS_INIT;
    const dx_limit_conf *conf;
    dx_apis *apis;
    dx_error_code code = find(&conf, &apis, client, name, error);
    if (code) return code;
    dx_limit_kept *kept = dx_limit_kept_of(conf);
    pthread_mutex_lock(&kept->lock);
    all.max_requests = kept->max_requests;
    all.burst = kept->burst;
    all.time_window_ms = kept->window / DX_MILLISECOND;
    pthread_mutex_unlock(&kept->lock);
    if (kept->limit) add((dx_slice){"", 0}, kept->limit, &all);
    if (kept->by_credential) dx_limits_each(kept->by_credential, add, &all);
    if (kept->shared) {
        dx_limit_redis_stats shared;
        dx_limit_redis_stats_read(kept->shared, &shared);
        all.shared = shared.granted;
        all.unshared = shared.unavailable;
        all.waiting += shared.waiting;
        all.denied += shared.denied;
    }
    all.size = out->size;
    memcpy(out, &all, out->size < sizeof all ? out->size : sizeof all);
    dx_apis_release(apis);
    return DX_ERROR_NONE;
}

// --- a fresh start ---------------------------------------------------------------------------------------------------------------------

typedef struct key_list {
    dx_arena *arena;
    const dx_limit_redis *shared;
    dx_slice *keys;
    size_t count, room;
    bool short_of_memory;
} key_list;

static void add_key(key_list *list, dx_slice key) {
    dx_buffer text;
    dx_buffer_init(&text, list->arena, 1024);
    if (list->count == list->room) {
        size_t room = list->room ? 2 * list->room : 16;
        dx_slice *grown = dx_arena_realloc(list->arena, list->keys, list->room * sizeof *grown, room * sizeof *grown);
        if (!grown) {
            list->short_of_memory = true;
            return;
        }
        list->keys = grown;
        list->room = room;
    }
    if (dx_limit_redis_key(&text, list->shared, key)) list->keys[list->count++] = dx_buffer_slice(&text);
}

static void reset_one(dx_slice key, dx_limit *limit, void *ctx) {
    key_list *list = ctx;
    dx_limit_reset(limit, dx_clock_monotonic());
    if (list->shared) add_key(list, key);
}

typedef struct deletion {
    dx_redis_call call;
    bool over, done;
} deletion;

static void on_deleted(dx_redis_call *call, dx_status status, const dx_redis_reply *reply) {
    deletion *d = DX_CONTAINER_OF(call, deletion, call);
    d->over = true;
    d->done = status == DX_OK && reply->kind == DX_REDIS_INTEGER;
}

// A bucket that is not there is full.
static bool delete_keys(dx_client *client, dx_limit_kept *kept, const key_list *list) {
    dx_engine *engine = dx_client_lend(client);
    bool done = engine != NULL;
    for (size_t i = 0; i < list->count && done; i += KEYS_A_COMMAND) {
        dx_slice args[KEYS_A_COMMAND + 1] = {DX_SLICE_INIT("DEL")};
        size_t count = list->count - i < KEYS_A_COMMAND ? list->count - i : KEYS_A_COMMAND;
        memcpy(args + 1, list->keys + i, count * sizeof *args);
        deletion d = {.call = {.done = on_deleted}};
        dx_redis *redis = dx_redis_place_connection(kept->place, engine->loop);
        done = redis && dx_redis_send(redis, &d.call, args, count + 1, 0) == DX_OK;
        while (done && !dx_loop_wait_for(engine->loop, &d.over, -1)) continue;
        done = done && d.done;
    }
    if (engine) dx_client_give_back(client, engine);
    return done;
}

dx_error_code dx_client_limit_reset(dx_client *client, const char *name, dx_error *error) {
    const dx_limit_conf *conf;
    dx_apis *apis;
    dx_error_code code = find(&conf, &apis, client, name, error);
    if (code) return code;
    dx_limit_kept *kept = dx_limit_kept_of(conf);
    key_list list = {.arena = dx_arena_create((size_t)64 << 20), .shared = kept->shared};
    if (!list.arena) code = dx_fail(error, DX_ERROR_NO_MEMORY, "there is no memory to reset a rate limit");
    if (!code && kept->limit) reset_one((dx_slice){"", 0}, kept->limit, &list);
    if (!code && kept->by_credential) dx_limits_each(kept->by_credential, reset_one, &list);
    if (!code && kept->shared && (list.short_of_memory || !delete_keys(client, kept, &list)))
        code = dx_fail(error, DX_ERROR_CONNECT, "the rate limit of %s was reset in this process, but its Redis did not answer", name);
    dx_arena_destroy(list.arena);
    dx_apis_release(apis);
    return code;
}

// --- another rate ----------------------------------------------------------------------------------------------------------------------

dx_error_code dx_client_limit_update(dx_client *client, const char *name, uint32_t max_requests, int64_t time_window_ms, uint32_t burst,
                                     dx_error *error) {
    const dx_limit_conf *conf;
    dx_apis *apis;
    dx_error_code code = find(&conf, &apis, client, name, error);
    if (code) return code;
    dx_limit_kept *kept = dx_limit_kept_of(conf);
    dx_nanos now = dx_clock_monotonic();
    bool fits = time_window_ms > 0 && time_window_ms <= DX_LIMIT_FILL_CAP / DX_MILLISECOND;
    dx_nanos window = fits ? time_window_ms * DX_MILLISECOND : 0;
    pthread_mutex_lock(&kept->lock);
    dx_status status = fits ? dx_limit_check(max_requests, window, burst) : DX_INVALID;
    if (status == DX_OK && kept->shared) status = dx_limit_redis_update(kept->shared, max_requests, window, burst);
    if (status == DX_OK && kept->limit) status = dx_limit_update(kept->limit, max_requests, window, burst, now);
    if (status == DX_OK && kept->by_credential) status = dx_limits_update(kept->by_credential, max_requests, window, burst, now);
    if (status == DX_OK) {
        kept->max_requests = max_requests;
        kept->burst = burst ? burst : max_requests;
        kept->window = window;
    }
    pthread_mutex_unlock(&kept->lock);
    dx_apis_release(apis);
    if (status == DX_OK) return DX_ERROR_NONE;
    return dx_fail(error, DX_ERROR_ARGUMENT, "max_requests, time_window and burst do not go together");
}
