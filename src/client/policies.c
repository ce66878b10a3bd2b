#include "client/policies.h"

#include <math.h>

#include "base/memory.h"
#include "client/hedging.h"
#include "client/log.h"
#include "client/meter.h"

// --- keeping -----------------------------------------------------------------------------------------------------------------------

typedef struct hold {
    dx_client *client;
    dx_kept *kept;
} hold;

static void let_go(void *ctx) {
    hold *held = ctx;
    pthread_mutex_lock(&held->client->lock);
    dx_upstream_release(&held->client->upstreams, held->kept);
    pthread_mutex_unlock(&held->client->lock);
}

// The kept thing of this kind, name and settings.
dx_status dx_policy_keep(void **out, dx_client *client, dx_arena *arena, const char *kind, dx_slice name, yyjson_val *settings,
                         void *(*make)(void *ctx), void *ctx, void (*destroy)(void *object)) {
    dx_buffer key;
    hold *held = DX_ARENA_NEW(arena, hold);
    dx_buffer_init(&key, arena, (size_t)1 << 20);
    dx_buffer_printf(&key, "%s\n%.*s\n", kind, DX_SLICE_ARG(name));
    if (settings) dx_json_write_value(&key, settings);
    *out = NULL;
    if (!held || dx_buffer_status(&key) != DX_OK) return DX_NO_MEMORY;
    held->client = client;
    pthread_mutex_lock(&client->lock);
    *out = dx_upstream_keep(&client->upstreams, dx_buffer_slice(&key), make, ctx, destroy, &held->kept);
    pthread_mutex_unlock(&client->lock);
    return *out ? dx_arena_defer(arena, let_go, held) : DX_NO_MEMORY;
}

// --- retry budgets -----------------------------------------------------------------------------------------------------------------

static void *make_budget(void *ctx) {
    const dx_settings *settings = ctx;
    dx_retry_budget_options options = DX_RETRY_BUDGET_INIT;
    options.reserve =
        settings->retry.budget_reserve < DX_RETRY_BUDGET_TOKENS_CAP ? settings->retry.budget_reserve : DX_RETRY_BUDGET_TOKENS_CAP;
    options.deposit = (uint32_t)fmin(1000, settings->retry.budget_ratio * 1000);
    options.capacity = options.reserve > 100 ? options.reserve : 100;
    dx_retry_budget *budget = dx_memory_zalloc(1, sizeof *budget);
    if (budget && dx_retry_budget_init(budget, &options, dx_clock_monotonic()) == DX_OK) return budget;
    dx_memory_free(budget);
    return NULL;
}

dx_status dx_policy_budget(dx_retry_budget **out, dx_client *client, const dx_settings *settings, dx_slice name, dx_arena *arena) {
    yyjson_val *budget = yyjson_obj_get(yyjson_obj_get(settings->tree, "retry"), "budget");
    return dx_policy_keep((void **)out, client, arena, "budget", name, budget, make_budget, (void *)(uintptr_t)settings, dx_memory_free);
}

// --- breakers ----------------------------------------------------------------------------------------------------------------------

static dx_nanos seconds(yyjson_val *object, const char *name) {
    return (dx_nanos)(yyjson_get_num(yyjson_obj_get(object, name)) * (double)DX_SECOND);
}

static uint32_t count(yyjson_val *object, const char *name) {
    return (uint32_t)yyjson_get_uint(yyjson_obj_get(object, name));
}

typedef struct breaker_ask {
    dx_client *client;
    dx_slice name;
    yyjson_val *settings;
} breaker_ask;

// A breaker, and whom it tells of its changes.
typedef struct kept_breaker {
    dx_breaker *breaker;
    dx_client *client;
    dx_slice name;
} kept_breaker;

static void breaker_changed(dx_breaker_state from, dx_breaker_state to, uint64_t number, dx_nanos now, void *ctx) {
    static const char *const events[] = {"breaker_closed", "breaker_opened", "breaker_half_open"};
    const kept_breaker *kept = ctx;
    dx_log_line line;
    (void)from;
    (void)now;
    if (!dx_log_start(&line, kept->client, NULL, to == DX_BREAKER_OPEN ? DX_LEVEL_WARN : DX_LEVEL_INFO, events[to])) return;
    dx_log_add_text(&line, "api", kept->name);
    dx_log_add_int(&line, "change", (int64_t)number);
    dx_log_send(&line);
}

static void *make_breaker(void *ctx) {
    const breaker_ask *ask = ctx;
    yyjson_val *settings = ask->settings;
    dx_breaker_options options = DX_BREAKER_OPTIONS_INIT;
    kept_breaker *kept = dx_memory_zalloc(1, sizeof *kept + ask->name.size);
    if (!kept) return NULL;
    memcpy(kept + 1, ask->name.data, ask->name.size);
    kept->client = ask->client;
    kept->name = dx_slice_of((const char *)(kept + 1), ask->name.size);
    options.changed = breaker_changed;
    options.changed_ctx = kept;
    options.window = seconds(settings, "window");
    options.min_calls = count(settings, "min_calls");
    options.failure_thousandths = (uint32_t)fmax(1, yyjson_get_num(yyjson_obj_get(settings, "failure_ratio")) * 1000);
    options.open_for = seconds(settings, "open_time");
    options.open_max = options.open_for > 60 * DX_SECOND ? options.open_for : 60 * DX_SECOND;
    options.probes = count(settings, "probes");
    if (dx_breaker_create(&kept->breaker, &options) == DX_OK) return kept;
    dx_memory_free(kept);
    return NULL;
}

static void destroy_breaker(void *ctx) {
    kept_breaker *kept = ctx;
    dx_breaker_destroy(kept->breaker);
    dx_memory_free(kept);
}

dx_status dx_policy_breaker(dx_breaker **out, dx_client *client, const dx_settings *settings, dx_slice name, dx_arena *arena,
                            dx_diags *diags) {
    *out = NULL;
    if (!settings->breaker) return DX_OK;
    if (seconds(settings->breaker, "window") <= 0 || seconds(settings->breaker, "open_time") <= 0) {
        (void)dx_diags_add(diags, DX_INVALID, (dx_slice){"", 0}, "breaker: window and open_time must be over 0 seconds");
        return DX_INVALID;
    }
    kept_breaker *kept;
    breaker_ask ask = {client, name, settings->breaker};
    dx_status status =
        dx_policy_keep((void **)&kept, client, arena, "breaker", name, settings->breaker, make_breaker, &ask, destroy_breaker);
    if (status == DX_OK) *out = kept->breaker;
    return status;
}

// --- hedging -----------------------------------------------------------------------------------------------------------------------

static void *make_hedge(void *ctx) {
    return dx_hedge_kept_create(ctx);
}

dx_status dx_policy_hedge(dx_hedge_kept **out, dx_client *client, const dx_settings *settings, dx_slice name, dx_arena *arena) {
    *out = NULL;
    if (!settings->hedge) return DX_OK;
    return dx_policy_keep((void **)out, client, arena, "hedge", name, settings->hedge, make_hedge, settings->hedge, dx_hedge_kept_destroy);
}

// --- limits ------------------------------------------------------------------------------------------------------------------------

// max_requests may be a fraction ("0.5 in a second"): the window is stretched then, until it has whole ones.
static bool read_limit(yyjson_val *settings, dx_limit_options *options) {
    double requests = yyjson_get_num(yyjson_obj_get(settings, "max_requests")),
           window = yyjson_get_num(yyjson_obj_get(settings, "time_window")), burst = yyjson_get_num(yyjson_obj_get(settings, "burst")),
           whole = floor(requests);
    *options = (dx_limit_options)DX_LIMIT_OPTIONS_INIT;
    if (requests < 1) whole = 1;
    options->max_requests = (uint32_t)whole;
    options->window = (dx_nanos)(window * (whole / requests) * (double)DX_SECOND);
    options->burst = burst >= 1 ? (uint32_t)burst : 0;
    options->queue = count(settings, "max_waiting") < DX_LIMIT_QUEUE_CAP ? count(settings, "max_waiting") : DX_LIMIT_QUEUE_CAP;
    options->reserve_thousandths = (uint32_t)(yyjson_get_num(yyjson_obj_get(settings, "reserve")) * 1000);
    return requests > 0 && options->window > 0;
}

static void *make_limit(void *ctx) {
    dx_limit *limit;
    return dx_limit_create(&limit, ctx) == DX_OK ? limit : NULL;
}

static void release_limit(void *limit) {
    dx_limit_release(limit);
}

static void *make_limits(void *ctx) {
    dx_limits *limits;
    (void)ctx;
    return dx_limits_create(&limits, 65536) == DX_OK ? limits : NULL;
}

static void destroy_limits(void *limits) {
    dx_limits_destroy(limits);
}

dx_status dx_policy_limit(dx_limit_conf **out, dx_client *client, const dx_settings *settings, dx_slice name, dx_arena *arena,
                          dx_diags *diags) {
    yyjson_val *from = settings->rate_limit;
    *out = NULL;
    if (!from || !yyjson_obj_get(from, "max_requests")) return DX_OK;
    dx_limit_conf *conf = DX_ARENA_NEW(arena, dx_limit_conf);
    if (!conf) return DX_NO_MEMORY;
    dx_limit *trial;
    if (!read_limit(from, &conf->options) || dx_limit_create(&trial, &conf->options) == DX_INVALID) {
        (void)dx_diags_add(diags, DX_INVALID, (dx_slice){"", 0}, "rate_limit: max_requests, time_window and burst do not go together");
        return DX_INVALID;
    }
    dx_limit_release(trial);
    conf->max_wait = seconds(from, "max_wait");
    conf->adaptive = yyjson_get_bool(yyjson_obj_get(from, "adaptive"));
    *out = conf;
    if (dx_slice_equal(dx_json_member_slice(from, "per"), DX_SLICE("credential")))
        return dx_policy_keep((void **)&conf->by_credential, client, arena, "limits", name, from, make_limits, NULL, destroy_limits);
    return dx_policy_keep((void **)&conf->limit, client, arena, "limit", name, from, make_limit, &conf->options, release_limit);
}

// --- auth --------------------------------------------------------------------------------------------------------------------------

typedef struct auth_ask {
    yyjson_val *settings;
    dx_slice name, at;
    dx_diags *diags;
    dx_status status;
} auth_ask;

static void *make_auth(void *ctx) {
    auth_ask *ask = ctx;
    dx_auth *auth;
    ask->status = dx_auth_create(&auth, ask->settings, ask->name, ask->at, ask->diags);
    return ask->status == DX_OK ? auth : NULL;
}

static void release_auth(void *auth) {
    dx_auth_release(auth);
}

dx_status dx_policy_auth(dx_auth **out, dx_client *client, const dx_settings *settings, dx_slice name, dx_slice at, dx_arena *arena,
                         dx_diags *diags) {
    auth_ask ask = {settings->auth, name, at, diags, DX_OK};
    *out = NULL;
    if (!settings->auth) return DX_OK;
    dx_status status = dx_policy_keep((void **)out, client, arena, "auth", name, settings->auth, make_auth, &ask, release_auth);
    return ask.status != DX_OK ? ask.status : status;
}

// --- meters ------------------------------------------------------------------------------------------------------------------------

static void *make_meters(void *ctx) {
    (void)ctx;
    return dx_meters_create();
}

static void destroy_meters(void *meters) {
    dx_meters_destroy(meters);
}

dx_status dx_policy_meters(struct dx_meters **out, dx_client *client, dx_slice name, dx_arena *arena) {
    return dx_policy_keep((void **)out, client, arena, "meters", name, NULL, make_meters, NULL, destroy_meters);
}
