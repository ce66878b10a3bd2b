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
