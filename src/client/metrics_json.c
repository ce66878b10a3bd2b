// Metrics as one JSON object: the client's own numbers, then APIs by name, each with its endpoints.
#include "base/memory.h"
#include "client/metrics_parts.h"

#define TEXT_CAP ((size_t)256 << 20)

static void name(dx_buffer *out, bool first, const char *text) {
    if (!first) dx_buffer_byte(out, ',');
    dx_json_write_string(out, dx_slice_str(text));
    dx_buffer_byte(out, ':');
}

static void number(dx_buffer *out, bool first, const char *text, uint64_t value) {
    name(out, first, text);
    dx_buffer_u64(out, value);
}

static void real(dx_buffer *out, bool first, const char *text, double value) {
    name(out, first, text);
    dx_json_write_number(out, value);
}

static void micros(dx_buffer *out, bool first, const char *text, int64_t nanos) {
    name(out, first, text);
    dx_buffer_i64(out, nanos / DX_MICROSECOND);
}

static void words(dx_buffer *out, const char *text, const char *const *labels, const uint64_t *values, size_t count) {
    bool first = true;
    name(out, false, text);
    dx_buffer_byte(out, '{');
    for (size_t i = 0; i < count; i++) {
        if (!values[i]) continue;
        number(out, first, labels[i], values[i]);
        first = false;
    }
    dx_buffer_byte(out, '}');
}

static void errors(dx_buffer *out, const dx_meter_sum *sum) {
    bool first = true;
    name(out, false, "errors");
    dx_buffer_byte(out, '{');
    for (size_t i = 0; i < DX_METER_CODES; i++) {
        if (!sum->words[DX_METER_ERRORS + i]) continue;
        number(out, first, dx_error_name(dx_meter_code(i)), sum->words[DX_METER_ERRORS + i]);
        first = false;
    }
    dx_buffer_byte(out, '}');
}

static void times(dx_buffer *out, const dx_metrics *m) {
    bool first = true;
    name(out, false, "duration_us");
    dx_buffer_byte(out, '{');
    micros(out, true, "mean", m->mean_ns);
    micros(out, false, "min", m->min_ns);
    micros(out, false, "max", m->max_ns);
    micros(out, false, "p50", m->p50_ns);
    micros(out, false, "p95", m->p95_ns);
    micros(out, false, "p99", m->p99_ns);
    dx_buffer_byte(out, '}');
    name(out, false, "phases_us");
    dx_buffer_byte(out, '{');
    for (size_t i = 0; i < DX_PHASE_COUNT; i++) {
        if (!m->phase_ns[i]) continue;
        micros(out, first, dx_phase_name((dx_phase)i), m->phase_ns[i]);
        first = false;
    }
    dx_buffer_byte(out, '}');
}

static void shared(dx_buffer *out, const dx_metrics *m) {
    if (m->breaker) {
        name(out, false, "breaker");
        dx_buffer_printf(out, "{\"state\":\"%s\",\"opened\":%llu,\"rejected\":%llu}", dx_metrics_breaker_words[m->breaker],
                         (unsigned long long)m->breaker_opened, (unsigned long long)m->breaker_rejected);
    }
    if (m->retry_budget >= 0) real(out, false, "retry_budget", m->retry_budget);
    if (!m->limit_granted && !m->limit_denied && !m->limit_waiting) return;
    name(out, false, "limit");
    dx_buffer_printf(out, "{\"granted\":%llu,\"denied\":%llu,\"waited\":%llu,\"waiting\":%u}", (unsigned long long)m->limit_granted,
                     (unsigned long long)m->limit_denied, (unsigned long long)m->limit_waited, m->limit_waiting);
}

// The members of a counted thing, without its braces.
static void members(dx_buffer *out, const dx_meter_sum *sum, const dx_settings *settings) {
    dx_metrics m;
    dx_metrics_fill(&m, sum, settings);
    number(out, true, "calls", m.calls);
    number(out, false, "failures", m.failures);
    number(out, false, "attempts", m.attempts);
    number(out, false, "retries", m.retries);
    number(out, false, "in_flight", m.in_flight);
    real(out, false, "success_rate", m.success_rate);
    number(out, false, "bytes_sent", m.bytes_sent);
    number(out, false, "bytes_received", m.bytes_received);
    number(out, false, "queue_waits", m.queue_waits);
    number(out, false, "limit_waits", m.limit_waits);
    number(out, false, "unknown_values", m.unknown_values);
    number(out, false, "unknown_fields", m.unknown_fields);
    words(out, "statuses", dx_metrics_class_words, m.classes, DX_METRICS_CLASSES);
    words(out, "cache", dx_metrics_cached_words, m.cached, DX_METRICS_CACHED);
    errors(out, sum);
    times(out, &m);
    shared(out, &m);
}

static void write_endpoints(dx_buffer *out, const dx_api *api, dx_meter_sum *all, dx_meter_sum *one) {
    const dx_endpoint *endpoint;
    bool first = true;
    for (size_t i = 0; (endpoint = dx_metrics_next(api, &i));) {
        const dx_meter *meter = dx_meter_of(endpoint, false);
        if (!meter) continue;
        memset(one, 0, sizeof *one);
        dx_meter_add_to(one, meter);
        dx_meter_add_to(all, meter);
        if (!first) dx_buffer_byte(out, ',');
        first = false;
        dx_json_write_string(out, meter->name);
        DX_BUFFER_LIT(out, ":{");
        members(out, one, endpoint->settings);
        dx_buffer_byte(out, '}');
    }
}

static void write_api(dx_buffer *out, const dx_api *api, dx_meter_sum *sums) {
    memset(&sums[0], 0, sizeof sums[0]);
    dx_json_write_string(out, api->name);
    DX_BUFFER_LIT(out, ":{\"endpoints\":{");
    write_endpoints(out, api, &sums[0], &sums[1]);
    DX_BUFFER_LIT(out, "},");
    members(out, &sums[0], api->settings);
    dx_buffer_byte(out, '}');
}

dx_error_code dx_metrics_json(dx_client *client, char **text, size_t *size) {
    dx_buffer out;
    dx_map_entry *entry;
    uint64_t under_way, waiting;
    *text = NULL;
    dx_meter_sum *sums = dx_memory_zalloc(2, sizeof *sums);
    if (!sums) return DX_ERROR_NO_MEMORY;
    dx_metrics_connections(client, &under_way, &waiting);
    dx_apis *apis = dx_client_apis(client);
    dx_buffer_init(&out, NULL, TEXT_CAP);
    DX_BUFFER_LIT(&out, "{\"client\":{");
    number(&out, true, "sending", under_way);
    number(&out, false, "queued", waiting);
    DX_BUFFER_LIT(&out, "},\"apis\":{");
    bool first = true;
    for (size_t i = 0; (entry = dx_map_next(&apis->apis, &i));) {
        if (!first) dx_buffer_byte(&out, ',');
        first = false;
        write_api(&out, entry->value, sums);
    }
    DX_BUFFER_LIT(&out, "}}");
    dx_apis_release(apis);
    dx_memory_free(sums);
    return dx_metrics_give(&out, text, size);
}
