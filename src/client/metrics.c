// Reading what meters count: by struct, for one API or endpoint. An API's numbers are the sums of its endpoints', made when they are asked
// for.
#include "base/memory.h"
#include "client/fail.h"
#include "client/metrics_parts.h"

const char *const dx_metrics_cached_words[DX_METRICS_CACHED] = {"unused", "miss", "hit", "stale", "revalidated", "shared"};
const char *const dx_metrics_class_words[DX_METRICS_CLASSES] = {"none", "1xx", "2xx", "3xx", "4xx", "5xx"};
const char *const dx_metrics_breaker_words[4] = {"none", "closed", "open", "half_open"};

// --- what an API's calls share -----------------------------------------------------------------------------------------------------------

dx_metrics_shared dx_metrics_shared_of(const dx_settings *settings) {
    dx_metrics_shared shared = {0};
    for (uint16_t i = 0; i < settings->chain.filter_count; i++) {
        const dx_filter *filter = &settings->chain.filters[i];
        if (filter->ops == &dx_breaker_filter) shared.breaker = (dx_breaker *)(uintptr_t)filter->conf;
        if (filter->ops == &dx_limit_filter) shared.limit = ((const dx_limit_conf *)filter->conf)->limit;
        if (filter->ops == &dx_retry_filter) shared.budget = ((const dx_retry_conf *)filter->conf)->budget;
    }
    return shared;
}

static void fill_shared(dx_metrics *out, const dx_settings *settings) {
    dx_metrics_shared shared = dx_metrics_shared_of(settings);
    dx_nanos now = dx_clock_monotonic();
    out->retry_budget = -1;
    if (shared.breaker) {
        dx_breaker_stats stats;
        dx_breaker_stats_read(shared.breaker, &stats, now);
        out->breaker = (dx_breaker_is)(stats.state + 1);
        out->breaker_opened = stats.opened;
        out->breaker_rejected = stats.rejected;
    }
    if (shared.budget) {
        dx_retry_budget_stats stats;
        dx_retry_budget_stats_read(shared.budget, &stats, now);
        out->retry_budget = stats.thousandths / 1000.0;
    }
    if (shared.limit) {
        dx_limit_stats stats;
        dx_limit_stats_read(shared.limit, &stats);
        out->limit_granted = stats.granted;
        out->limit_denied = stats.denied;
        out->limit_waited = stats.waited;
        out->limit_waiting = stats.waiting;
    }
}

void dx_metrics_connections(dx_client *client, uint64_t *under_way, uint64_t *waiting) {
    *under_way = *waiting = 0;
    pthread_mutex_lock(&client->lock);
    for (const dx_engine *engine = client->all; engine; engine = engine->made_before) {
        *under_way += atomic_load_explicit(&engine->admission.under_way, memory_order_relaxed);
        *waiting += atomic_load_explicit(&engine->admission.waiting, memory_order_relaxed);
    }
    pthread_mutex_unlock(&client->lock);
}

// --- sums
// ----------------------------------------------------------------------------------------------------------------------------------

const dx_endpoint *dx_metrics_next(const dx_api *api, size_t *at) {
    if (*at > api->endpoint_count) return NULL;
    size_t index = (*at)++;
    return index == api->endpoint_count ? &api->plain : api->endpoints[index];
}

void dx_metrics_each(const dx_apis *apis, void (*visit)(void *ctx, const dx_api *api, const dx_endpoint *endpoint, const dx_meter *meter),
                     void *ctx) {
    dx_map_entry *entry;
    for (size_t i = 0; (entry = dx_map_next(&apis->apis, &i));) {
        const dx_endpoint *endpoint;
        for (size_t j = 0; (endpoint = dx_metrics_next(entry->value, &j));) {
            const dx_meter *meter = dx_meter_of(endpoint, false);
            if (meter) visit(ctx, entry->value, endpoint, meter);
        }
    }
}

static void fill_times(dx_metrics *out, const dx_histogram *took) {
    uint64_t count = dx_histogram_count(took);
    out->mean_ns = count ? (int64_t)(dx_histogram_sum(took) / count) : 0;
    out->min_ns = dx_histogram_min(took);
    out->max_ns = dx_histogram_max(took);
    out->p50_ns = dx_histogram_percentile(took, 50);
    out->p95_ns = dx_histogram_percentile(took, 95);
    out->p99_ns = dx_histogram_percentile(took, 99);
}

void dx_metrics_fill(dx_metrics *out, const dx_meter_sum *sum, const dx_settings *settings) {
    const uint64_t *words = sum->words;
    *out = (dx_metrics)DX_METRICS_INIT;
    out->calls = words[DX_METER_OVER];
    out->failures = words[DX_METER_FAILURES];
    out->attempts = words[DX_METER_ATTEMPTS];
    out->retries = words[DX_METER_RETRIES];
    out->in_flight = words[DX_METER_STARTED] > out->calls ? words[DX_METER_STARTED] - out->calls : 0;
    out->success_rate = out->calls ? 1 - (double)(out->failures < out->calls ? out->failures : out->calls) / (double)out->calls : 1;
    out->bytes_sent = words[DX_METER_SENT];
    out->bytes_received = words[DX_METER_RECEIVED];
    out->queue_waits = words[DX_METER_QUEUE_WAITS];
    out->limit_waits = words[DX_METER_LIMIT_WAITS];
    out->unknown_values = words[DX_METER_UNKNOWN_VALUES];
    out->unknown_fields = words[DX_METER_UNKNOWN_FIELDS];
    for (size_t i = 0; i < DX_METER_CODES; i++) out->errors[dx_error_category(dx_meter_code(i))] += words[DX_METER_ERRORS + i];
    memcpy(out->classes, words + DX_METER_CLASSES, sizeof out->classes);
    memcpy(out->cached, words + DX_METER_CACHED, sizeof out->cached);
    for (size_t i = 0; i < DX_PHASE_COUNT; i++) out->phase_ns[i] = (int64_t)words[DX_METER_PHASES + i];
    fill_times(out, &sum->took);
    fill_shared(out, settings);
}

static void sum_api(dx_meter_sum *sum, const dx_api *api) {
    const dx_endpoint *endpoint;
    for (size_t i = 0; (endpoint = dx_metrics_next(api, &i));) {
        const dx_meter *meter = dx_meter_of(endpoint, false);
        if (meter) dx_meter_add_to(sum, meter);
    }
}

// --- asking
// --------------------------------------------------------------------------------------------------------------------------------

static const dx_endpoint *endpoint_of(const dx_apis *apis, const dx_api *api, const char *name) {
    dx_buffer text;
    if (strcmp(name, "request") == 0) return &api->plain;
    dx_buffer_init(&text, NULL, 1024);
    dx_buffer_printf(&text, "%.*s.%s", DX_SLICE_ARG(api->name), name);
    const dx_endpoint *found = dx_buffer_status(&text) == DX_OK ? dx_apis_find(apis, dx_buffer_slice(&text), NULL) : NULL;
    dx_buffer_deinit(&text);
    return found;
}

dx_error_code dx_client_no_api(dx_error *error, const dx_apis *apis, const char *name) {
    dx_slice near;
    (void)dx_apis_api(apis, dx_slice_str(name), &near);
    return dx_fail(error, DX_ERROR_UNKNOWN_NAME, "there is no API \"%s\"%s%.*s%s", name ? name : "", near.size ? "; did you mean \"" : "",
                   DX_SLICE_ARG(near), near.size ? "\"?" : "");
}

static dx_error_code get(const dx_apis *apis, const char *name, const char *endpoint_name, dx_metrics *out, dx_error *error) {
    const dx_api *api = dx_apis_api(apis, dx_slice_str(name), NULL);
    if (!api) return dx_client_no_api(error, apis, name);
    const dx_endpoint *endpoint = endpoint_name ? endpoint_of(apis, api, endpoint_name) : NULL;
    if (endpoint_name && !endpoint) return dx_fail(error, DX_ERROR_UNKNOWN_NAME, "%s has no endpoint \"%s\"", name, endpoint_name);
    dx_meter_sum *sum = dx_memory_zalloc(1, sizeof *sum);
    if (!sum) return dx_fail(error, DX_ERROR_NO_MEMORY, "there is no memory to add metrics up");
    const dx_meter *meter = endpoint ? dx_meter_of(endpoint, false) : NULL;
    if (meter) dx_meter_add_to(sum, meter);
    if (!endpoint) sum_api(sum, api);
    dx_metrics_fill(out, sum, endpoint ? endpoint->settings : api->settings);
    dx_memory_free(sum);
    return DX_ERROR_NONE;
}

dx_error_code dx_metrics_get(dx_client *client, const char *name, const char *endpoint, dx_metrics *out, dx_error *error) {
    dx_metrics all;
    uint32_t size = out->size && out->size < sizeof all ? out->size : sizeof all;
    if (error) *error = (dx_error)DX_ERROR_INIT;
    dx_apis *apis = dx_client_apis(client);
    dx_error_code code = get(apis, name, endpoint, &all, error);
    dx_apis_release(apis);
    if (code) return code;
    memcpy(out, &all, size);
    out->size = size;
    return DX_ERROR_NONE;
}

typedef struct code_count {
    dx_slice api;
    dx_error_code code;
    uint64_t count;
} code_count;

static void count_code(void *ctx, const dx_api *api, const dx_endpoint *endpoint, const dx_meter *meter) {
    code_count *count = ctx;
    (void)endpoint;
    for (size_t i = 0; i < DX_METER_CODES; i++)
        if (dx_meter_code(i) == count->code && dx_slice_equal(api->name, count->api))
            count->count += atomic_load_explicit(&meter->words[DX_METER_ERRORS + i], memory_order_relaxed);
}

uint64_t dx_metrics_errors(dx_client *client, const char *api, dx_error_code code) {
    code_count count = {dx_slice_str(api), code, 0};
    dx_apis *apis = dx_client_apis(client);
    dx_metrics_each(apis, count_code, &count);
    dx_apis_release(apis);
    return count.count;
}

static void reset_one(void *ctx, const dx_api *api, const dx_endpoint *endpoint, const dx_meter *meter) {
    const char *name = ctx;
    (void)endpoint;
    if (!name || dx_slice_equal(api->name, dx_slice_str(name))) dx_meter_reset((dx_meter *)(uintptr_t)meter);
}

dx_error_code dx_metrics_reset(dx_client *client, const char *name, dx_error *error) {
    if (error) *error = (dx_error)DX_ERROR_INIT;
    dx_apis *apis = dx_client_apis(client);
    bool known = !name || dx_apis_api(apis, dx_slice_str(name), NULL);
    dx_error_code code = known ? DX_ERROR_NONE : dx_client_no_api(error, apis, name);
    if (known) dx_metrics_each(apis, reset_one, (void *)(uintptr_t)name);
    dx_apis_release(apis);
    return code;
}

dx_error_code dx_metrics_give(dx_buffer *buffer, char **text, size_t *size) {
    *text = NULL;
    dx_buffer_byte(buffer, '\0');
    if (dx_buffer_status(buffer) == DX_OK) {
        *text = buffer->data;
        if (size) *size = buffer->size - 1;
        return DX_ERROR_NONE;
    }
    dx_buffer_deinit(buffer);
    return DX_ERROR_NO_MEMORY;
}
