// Metrics in Prometheus's text format 0.0.4: each family with HELP and TYPE, then its samples, of all APIs. Labels are names of the
// definition and words of fixed lists, so there are never more series than endpoints times those.
#include "base/memory.h"
#include "client/health.h"
#include "client/metrics_parts.h"

#define TEXT_CAP ((size_t)256 << 20)

typedef struct writer {
    dx_buffer out;
    dx_client *client;
    const dx_apis *apis;
    const struct family *family;
} writer;

typedef struct family {
    const char *name, *type, *help;
    void (*sample)(writer *w, const dx_api *api, const dx_endpoint *endpoint, const dx_meter *meter); // for each endpoint that was called
    void (*api)(writer *w, const dx_api *api);                                                        // for each API
    size_t word;                                                                                      // of the meter
} family;

// --- samples
// -------------------------------------------------------------------------------------------------------------------------------

static void label(writer *w, bool first, const char *name, dx_slice value) {
    dx_buffer_printf(&w->out, "%s%s=\"", first ? "" : ",", name);
    for (size_t i = 0; i < value.size; i++) {
        char c = value.data[i];
        if (c == '\\' || c == '"') dx_buffer_byte(&w->out, '\\');
        if (c == '\n')
            DX_BUFFER_LIT(&w->out, "\\n");
        else
            dx_buffer_byte(&w->out, c);
    }
    dx_buffer_byte(&w->out, '"');
}

static void begin(writer *w, const char *suffix, const dx_api *api, const dx_meter *meter) {
    dx_buffer_printf(&w->out, "%s%s{", w->family->name, suffix);
    label(w, true, "api", api->name);
    if (meter) label(w, false, "endpoint", meter->name);
}

static void end_number(writer *w, uint64_t value) {
    DX_BUFFER_LIT(&w->out, "} ");
    dx_buffer_u64(&w->out, value);
    dx_buffer_byte(&w->out, '\n');
}

static void end_real(writer *w, double value) {
    DX_BUFFER_LIT(&w->out, "} ");
    dx_json_write_number(&w->out, value);
    dx_buffer_byte(&w->out, '\n');
}

static uint64_t load(const dx_meter *meter, size_t word) {
    return atomic_load_explicit(&meter->words[word], memory_order_relaxed);
}

static void one_word(writer *w, const dx_api *api, const dx_endpoint *endpoint, const dx_meter *meter) {
    (void)endpoint;
    begin(w, "", api, meter);
    end_number(w, load(meter, w->family->word));
}

static void in_flight(writer *w, const dx_api *api, const dx_endpoint *endpoint, const dx_meter *meter) {
    uint64_t over = load(meter, DX_METER_OVER), started = load(meter, DX_METER_STARTED);
    (void)endpoint;
    begin(w, "", api, meter);
    end_number(w, started > over ? started - over : 0);
}

static void labelled(writer *w, const dx_api *api, const dx_meter *meter, const char *name, const char *const *words, size_t count) {
    for (size_t i = 0; i < count; i++) {
        uint64_t value = load(meter, w->family->word + i);
        if (!value) continue;
        begin(w, "", api, meter);
        label(w, false, name, dx_slice_str(words[i]));
        end_number(w, value);
    }
}

static void classes(writer *w, const dx_api *api, const dx_endpoint *endpoint, const dx_meter *meter) {
    (void)endpoint;
    labelled(w, api, meter, "class", dx_metrics_class_words, DX_METRICS_CLASSES);
}

static void cached(writer *w, const dx_api *api, const dx_endpoint *endpoint, const dx_meter *meter) {
    (void)endpoint;
    labelled(w, api, meter, "state", dx_metrics_cached_words, DX_METRICS_CACHED);
}

static void errors(writer *w, const dx_api *api, const dx_endpoint *endpoint, const dx_meter *meter) {
    (void)endpoint;
    for (size_t i = 0; i < DX_METER_CODES; i++) {
        uint64_t value = load(meter, DX_METER_ERRORS + i);
        if (!value) continue;
        dx_error_code code = dx_meter_code(i);
        begin(w, "", api, meter);
        label(w, false, "code", dx_slice_str(dx_error_name(code)));
        label(w, false, "category", dx_slice_str(dx_category_name(dx_error_category(code))));
        end_number(w, value);
    }
}

static void phases(writer *w, const dx_api *api, const dx_endpoint *endpoint, const dx_meter *meter) {
    (void)endpoint;
    for (size_t i = 0; i < DX_PHASE_COUNT; i++) {
        uint64_t value = load(meter, DX_METER_PHASES + i);
        if (!value) continue;
        begin(w, "", api, meter);
        label(w, false, "phase", dx_slice_str(dx_phase_name((dx_phase)i)));
        end_real(w, (double)value / (double)DX_SECOND);
    }
}

static void durations(writer *w, const dx_api *api, const dx_endpoint *endpoint, const dx_meter *meter) {
    static const dx_nanos bounds[] = {5 * DX_MILLISECOND,    10 * DX_MILLISECOND,  25 * DX_MILLISECOND,  50 * DX_MILLISECOND,
                                      100 * DX_MILLISECOND,  250 * DX_MILLISECOND, 500 * DX_MILLISECOND, DX_SECOND,
                                      2500 * DX_MILLISECOND, 5 * DX_SECOND,        10 * DX_SECOND};
    static const char *const texts[] = {"0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1.0", "2.5", "5.0", "10.0"};
    uint64_t counts[DX_COUNT_OF(bounds)], count;
    dx_histogram copy;
    (void)endpoint;
    dx_histogram_snapshot(&copy, &meter->took); // one reading, so that buckets and count agree
    dx_histogram_cumulate(&copy, bounds, DX_COUNT_OF(bounds), counts);
    count = dx_histogram_count(&copy);
    for (size_t i = 0; i < DX_COUNT_OF(bounds); i++) {
        begin(w, "_bucket", api, meter);
        label(w, false, "le", dx_slice_str(texts[i]));
        end_number(w, counts[i]);
    }
    begin(w, "_bucket", api, meter);
    label(w, false, "le", DX_SLICE("+Inf"));
    end_number(w, count);
    begin(w, "_sum", api, meter);
    end_real(w, (double)dx_histogram_sum(&copy) / (double)DX_SECOND);
    begin(w, "_count", api, meter);
    end_number(w, count);
}

// --- of APIs
// -------------------------------------------------------------------------------------------------------------------------------

static void breaker_state(writer *w, const dx_api *api) {
    dx_breaker_stats stats;
    dx_metrics_shared shared = dx_metrics_shared_of(api->settings);
    if (!shared.breaker) return;
    dx_breaker_stats_read(shared.breaker, &stats, dx_clock_monotonic());
    begin(w, "", api, NULL);
    end_number(w, stats.state);
}

static void breaker_opened(writer *w, const dx_api *api) {
    dx_breaker_stats stats;
    dx_metrics_shared shared = dx_metrics_shared_of(api->settings);
    if (!shared.breaker) return;
    dx_breaker_stats_read(shared.breaker, &stats, dx_clock_monotonic());
    begin(w, "", api, NULL);
    end_number(w, stats.opened);
}

static void budget(writer *w, const dx_api *api) {
    dx_retry_budget_stats stats;
    dx_metrics_shared shared = dx_metrics_shared_of(api->settings);
    if (!shared.budget) return;
    dx_retry_budget_stats_read(shared.budget, &stats, dx_clock_monotonic());
    begin(w, "", api, NULL);
    end_real(w, stats.thousandths / 1000.0);
}

static void limit_word(writer *w, const dx_api *api, uint64_t (*of)(const dx_limit_stats *stats)) {
    dx_limit_stats stats;
    dx_metrics_shared shared = dx_metrics_shared_of(api->settings);
    if (!shared.limit) return;
    dx_limit_stats_read(shared.limit, &stats);
    begin(w, "", api, NULL);
    end_number(w, of(&stats));
}

static uint64_t granted(const dx_limit_stats *stats) {
    return stats->granted;
}
static uint64_t denied(const dx_limit_stats *stats) {
    return stats->denied;
}
static uint64_t waiting(const dx_limit_stats *stats) {
    return stats->waiting;
}
static void limit_granted(writer *w, const dx_api *api) {
    limit_word(w, api, granted);
}
static void limit_denied(writer *w, const dx_api *api) {
    limit_word(w, api, denied);
}
static void limit_waiting(writer *w, const dx_api *api) {
    limit_word(w, api, waiting);
}

static void health(writer *w, const dx_api *api) {
    dx_health_report report = DX_HEALTH_REPORT_INIT;
    dx_health_judge(&report, api);
    begin(w, "", api, NULL);
    end_number(w, report.health);
}

// --- families
// ------------------------------------------------------------------------------------------------------------------------------

#define NAME(name) "duplex_client_" name
static const family families[] = {
    {NAME("calls_total"), "counter", "Calls that are over.", one_word, NULL, DX_METER_OVER},
    {NAME("failures_total"), "counter", "Calls that failed, or were answered by a status of 400 or more.", one_word, NULL,
     DX_METER_FAILURES},
    {NAME("errors_total"), "counter", "Calls that failed, by the error's code and category.", errors, NULL, 0},
    {NAME("responses_total"), "counter", "Calls by the class of their last status.", classes, NULL, DX_METER_CLASSES},
    {NAME("attempts_total"), "counter", "Requests that were sent.", one_word, NULL, DX_METER_ATTEMPTS},
    {NAME("retries_total"), "counter", "Requests that were sent beyond a call's first.", one_word, NULL, DX_METER_RETRIES},
    {NAME("in_flight"), "gauge", "Calls under way.", in_flight, NULL, 0},
    {NAME("duration_seconds"), "histogram", "How long calls took, all of it.", durations, NULL, 0},
    {NAME("phase_seconds_total"), "counter", "What the time of calls was spent on.", phases, NULL, 0},
    {NAME("cache_total"), "counter", "Calls by what a cache had to do with their answer.", cached, NULL, DX_METER_CACHED},
    {NAME("sent_bytes_total"), "counter", "Bytes of request bodies.", one_word, NULL, DX_METER_SENT},
    {NAME("received_bytes_total"), "counter", "Bytes of answers, decoded.", one_word, NULL, DX_METER_RECEIVED},
    {NAME("queue_waits_total"), "counter", "Calls that waited for a connection.", one_word, NULL, DX_METER_QUEUE_WAITS},
    {NAME("limit_waits_total"), "counter", "Calls that waited for the rate limiter.", one_word, NULL, DX_METER_LIMIT_WAITS},
    {NAME("unknown_values_total"), "counter", "Values of answers that their model's enums do not have.", one_word, NULL,
     DX_METER_UNKNOWN_VALUES},
    {NAME("unknown_fields_total"), "counter", "Fields of answers that their model does not have.", one_word, NULL, DX_METER_UNKNOWN_FIELDS},
    {NAME("breaker_state"), "gauge", "The circuit breaker: 0 closed, 1 open, 2 half open.", NULL, breaker_state, 0},
    {NAME("breaker_opened_total"), "counter", "How often the circuit breaker opened.", NULL, breaker_opened, 0},
    {NAME("retry_budget"), "gauge", "Retries that could be sent now.", NULL, budget, 0},
    {NAME("limit_granted_total"), "counter", "What the rate limiter let go.", NULL, limit_granted, 0},
    {NAME("limit_denied_total"), "counter", "What the rate limiter refused.", NULL, limit_denied, 0},
    {NAME("limit_waiting"), "gauge", "What waits at the rate limiter.", NULL, limit_waiting, 0},
    {NAME("health"), "gauge", "Health: 0 unknown, 1 healthy, 2 degraded, 3 unhealthy.", NULL, health, 0},
};

static void head(dx_buffer *out, const char *name, const char *type, const char *help) {
    dx_buffer_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void visit(void *ctx, const dx_api *api, const dx_endpoint *endpoint, const dx_meter *meter) {
    writer *w = ctx;
    w->family->sample(w, api, endpoint, meter);
}

static void write_family(writer *w, const family *f) {
    dx_map_entry *entry;
    w->family = f;
    head(&w->out, f->name, f->type, f->help);
    if (f->sample) dx_metrics_each(w->apis, visit, w);
    for (size_t i = 0; f->api && (entry = dx_map_next(&w->apis->apis, &i));) f->api(w, entry->value);
}

static void write_own(writer *w) {
    uint64_t under_way, queued;
    dx_metrics_connections(w->client, &under_way, &queued);
    head(&w->out, NAME("sending"), "gauge", "Requests on connections.");
    dx_buffer_printf(&w->out, NAME("sending") " %llu\n", (unsigned long long)under_way);
    head(&w->out, NAME("queued"), "gauge", "Requests that wait for a connection.");
    dx_buffer_printf(&w->out, NAME("queued") " %llu\n", (unsigned long long)queued);
}

dx_error_code dx_metrics_prometheus(dx_client *client, char **text, size_t *size) {
    writer w = {.client = client};
    dx_apis *apis = dx_client_apis(client);
    w.apis = apis;
    dx_buffer_init(&w.out, NULL, TEXT_CAP);
    for (size_t i = 0; i < DX_COUNT_OF(families); i++) write_family(&w, &families[i]);
    write_own(&w);
    dx_apis_release(apis);
    return dx_metrics_give(&w.out, text, size);
}
