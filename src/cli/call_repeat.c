// The same call many times: `--repeat N --concurrency N`. What is printed is a summary, not the answers. Calls that end are counted on the
// client's thread, and others started here, on the main one.
#include <stdio.h>
#include <unistd.h>

#include "base/histogram.h"
#include "cli/cli_call.h"
#include "cli/progress.h"

#define CODES_CAP    128 // of dx_error_code
#define STATUSES_CAP 600

typedef struct repeat {
    dx_cli_call *call;
    atomic_uint_fast64_t done, failed;
    atomic_uint_fast64_t codes[CODES_CAP], statuses[STATUSES_CAP];
    atomic_bool stopped;
    atomic_int exit; // of the first that failed
    uint64_t started;
    dx_histogram times;
    dx_nanos began, ended;
} repeat;

// --- counting --------------------------------------------------------------------------------------------------------------------------

static void on_done(void *context, dx_call *call) {
    repeat *r = context;
    const dx_error *error = dx_call_error(call);
    const dx_response *response = dx_call_response(call);
    int status = response ? dx_response_status(response) : 0, none = DX_EXIT_OK;
    if (response) dx_histogram_record(&r->times, dx_response_time_ns(response));
    if (status > 0 && status < STATUSES_CAP) atomic_fetch_add(&r->statuses[status], 1);
    if (error->code) {
        atomic_fetch_add(&r->failed, 1);
        if ((unsigned)error->code < CODES_CAP) atomic_fetch_add(&r->codes[error->code], 1);
        (void)atomic_compare_exchange_strong(&r->exit, &none, dx_cli_exit_of(error));
    }
    atomic_fetch_add(&r->done, 1);
    dx_cli_watch_wake(&r->call->watch);
    dx_call_release(call);
}

static dx_error_code start_one(repeat *r, dx_error *error) {
    dx_cli_call *call = r->call;
    dx_call *made;
    if (call->endpoint) return dx_call_start(&made, call->client, call->endpoint, call->args, &call->options, on_done, r, error);
    return dx_call_start_request(&made, call->client, call->api, call->method, call->path, call->args, &call->options, on_done, r, error);
}

// As many as may be under way.
static int start_more(repeat *r) {
    dx_error error = DX_ERROR_INIT;
    while (!r->stopped && r->started < r->call->times && r->started - atomic_load(&r->done) < r->call->at_once) {
        if (start_one(r, &error)) {
            r->stopped = true;
            return dx_cli_tell_error(r->call, &error);
        }
        r->started++;
    }
    return DX_EXIT_OK;
}

static int run_all(repeat *r) {
    dx_progress progress;
    dx_progress_start(&progress, STDERR_FILENO, "calls", r->call->times, r->began);
    int result = start_more(r);
    while (atomic_load(&r->done) < r->started) {
        if (dx_cli_watch_wait(&r->call->watch)) r->stopped = true; // those under way end by themselves; asked again, the process does
        if (result == DX_EXIT_OK) result = start_more(r);
        dx_progress_set(&progress, atomic_load(&r->done), atomic_load(&r->failed), dx_clock_monotonic());
    }
    r->ended = dx_clock_monotonic();
    dx_progress_stop(&progress, r->ended);
    return result;
}

// --- the summary -----------------------------------------------------------------------------------------------------------------------

static double rounded(double value) {
    return (double)(int64_t)(value * 1000 + 0.5) / 1000;
}

static void add_times(yyjson_mut_doc *doc, yyjson_mut_val *root, const dx_histogram *times) {
    static const struct {
        const char *name;
        double percent;
    } shares[] = {{"p50", 50}, {"p95", 95}, {"p99", 99}};
    uint64_t count = dx_histogram_count(times);
    yyjson_mut_val *object = yyjson_mut_obj_add_obj(doc, root, "milliseconds");
    if (!count) return;
    yyjson_mut_obj_add_real(doc, object, "min", rounded((double)dx_histogram_min(times) / 1e6));
    yyjson_mut_obj_add_real(doc, object, "mean", rounded((double)dx_histogram_sum(times) / 1e6 / (double)count));
    for (size_t i = 0; i < DX_COUNT_OF(shares); i++)
        yyjson_mut_obj_add_real(doc, object, shares[i].name, rounded((double)dx_histogram_percentile(times, shares[i].percent) / 1e6));
    yyjson_mut_obj_add_real(doc, object, "max", rounded((double)dx_histogram_max(times) / 1e6));
}

static void add_counts(yyjson_mut_doc *doc, yyjson_mut_val *root, const repeat *r) {
    yyjson_mut_val *statuses = yyjson_mut_obj_add_obj(doc, root, "statuses"), *failures = yyjson_mut_obj_add_obj(doc, root, "failures");
    char name[16];
    for (int i = 0; i < STATUSES_CAP; i++) {
        if (!atomic_load(&r->statuses[i])) continue;
        (void)snprintf(name, sizeof name, "%d", i);
        yyjson_mut_obj_add_val(doc, statuses, yyjson_mut_get_str(yyjson_mut_strcpy(doc, name)), yyjson_mut_uint(doc, r->statuses[i]));
    }
    for (int i = 0; i < CODES_CAP; i++)
        if (atomic_load(&r->codes[i])) yyjson_mut_obj_add_uint(doc, failures, dx_error_name((dx_error_code)i), r->codes[i]);
}

static int summarise(const repeat *r) {
    const dx_cli_call *call = r->call;
    dx_output_options options = call->out;
    dx_buffer text;
    yyjson_alc alc = dx_json_alc(call->arena);
    yyjson_mut_doc *doc = dx_json_mut_doc(call->arena);
    yyjson_mut_val *root = doc ? yyjson_mut_obj(doc) : NULL;
    double seconds = (double)(r->ended - r->began) / (double)DX_SECOND;
    if (!root) return DX_EXIT_FAILED;
    yyjson_mut_obj_add_uint(doc, root, "calls", r->done);
    yyjson_mut_obj_add_uint(doc, root, "ok", r->done - r->failed);
    yyjson_mut_obj_add_uint(doc, root, "failed", r->failed);
    yyjson_mut_obj_add_real(doc, root, "seconds", rounded(seconds));
    yyjson_mut_obj_add_real(doc, root, "per_second", rounded(seconds > 0 ? (double)r->done / seconds : 0));
    add_times(doc, root, &r->times);
    add_counts(doc, root, r);
    yyjson_doc *fixed = yyjson_mut_val_imut_copy(root, &alc);
    if (!call->format_given) options.format = DX_OUTPUT_YAML;
    options.query = (dx_slice){0};
    dx_buffer_init(&text, call->arena, DX_CLI_TEXT_CAP);
    if (!fixed || dx_output_value(&text, call->arena, yyjson_doc_get_root(fixed), &options) != DX_OK) return DX_EXIT_FAILED;
    return dx_print_output(dx_buffer_slice(&text));
}

int dx_cli_repeat(dx_cli_call *call) {
    repeat *r = DX_ARENA_NEW(call->arena, repeat);
    if (!r) return DX_EXIT_FAILED;
    r->call = call;
    r->began = dx_clock_monotonic();
    int result = run_all(r);
    if (r->started) {
        int printed = summarise(r);
        if (result == DX_EXIT_OK) result = printed == DX_EXIT_OK ? (int)r->exit : printed;
    }
    if (r->stopped && result == DX_EXIT_OK) result = DX_EXIT_INTERRUPTED;
    return result;
}
