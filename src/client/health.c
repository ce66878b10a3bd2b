#include "client/health.h"

#include <stdio.h>

#include "base/memory.h"
#include "client/fail.h"
#include "client/log.h"
#include "client/metrics_parts.h"

enum { CHECKS_THAT_COUNT = 3 }; // intervals that a check's word holds

const char *dx_health_name(dx_health health) {
    static const char *const names[] = {"unknown", "healthy", "degraded", "unhealthy"};
    return (unsigned)health < DX_COUNT_OF(names) ? names[health] : names[0];
}

// --- judging -----------------------------------------------------------------------------------------------------------------------------

static void say(dx_health_report *out, dx_health health, const char *format, ...) DX_PRINTF(3, 4);
static void say(dx_health_report *out, dx_health health, const char *format, ...) {
    va_list args;
    out->health = health;
    va_start(args, format);
    (void)vsnprintf(out->reason, sizeof out->reason, format, args);
    va_end(args);
}

static bool breaker_is_open(const dx_api *api, dx_nanos now) {
    dx_breaker_stats stats;
    dx_metrics_shared shared = dx_metrics_shared_of(api->settings);
    if (!shared.breaker) return false;
    dx_breaker_stats_read(shared.breaker, &stats, now);
    return stats.state == DX_BREAKER_OPEN;
}

static void judge_calls(dx_health_report *out, const dx_health_settings *settings) {
    double percent = 100 * out->success_rate;
    if (out->success_rate < settings->unhealthy_below)
        say(out, DX_HEALTH_UNHEALTHY, "%.1f %% of the last calls went well, fewer than %.1f %%", percent, 100 * settings->unhealthy_below);
    else if (out->success_rate < settings->degraded_below)
        say(out, DX_HEALTH_DEGRADED, "%.1f %% of the last calls went well, fewer than %.1f %%", percent, 100 * settings->degraded_below);
    else if (out->mean_ns > settings->slow)
        say(out, DX_HEALTH_DEGRADED, "the last calls took %.2f s in the mean", (double)out->mean_ns / (double)DX_SECOND);
    else
        say(out, DX_HEALTH_HEALTHY, "%.1f %% of the last calls went well", percent);
}

static bool check_counts(const dx_api *api, dx_nanos now) {
    const dx_health_settings *settings = &api->health_settings;
    dx_nanos holds = settings->endpoint ? CHECKS_THAT_COUNT * settings->interval : settings->window;
    return now - atomic_load(&api->meters->check_monotonic) <= holds;
}

static void read_check(dx_health_report *out, const dx_meters *meters) {
    out->checked_at = atomic_load(&meters->checked_at);
    out->checked = out->checked_at != 0;
    out->check_passed = out->checked && atomic_load(&meters->check_passed);
    out->check_ns = out->checked ? atomic_load(&meters->check_took) : 0;
}

void dx_health_judge(dx_health_report *out, const dx_api *api) {
    dx_nanos now = dx_clock_monotonic();
    uint64_t took;
    *out = (dx_health_report)DX_HEALTH_REPORT_INIT;
    out->success_rate = 1;
    if (!api->meters) return say(out, DX_HEALTH_UNKNOWN, "nothing is counted of it");
    dx_window_read(api->meters, api->health_settings.window, now, &out->calls, &out->failures, &took);
    if (out->failures > out->calls) out->failures = out->calls;
    if (out->calls) {
        out->success_rate = (double)(out->calls - out->failures) / (double)out->calls;
        out->mean_ns = (int64_t)(took / out->calls);
    }
    read_check(out, api->meters);
    bool checked = out->checked && check_counts(api, now), heard = out->calls && out->calls >= api->health_settings.min_calls;
    if (breaker_is_open(api, now)) return say(out, DX_HEALTH_UNHEALTHY, "its circuit breaker is open");
    if (checked && !out->check_passed) return say(out, DX_HEALTH_UNHEALTHY, "its last check failed");
    if (heard) return judge_calls(out, &api->health_settings);
    if (checked) return say(out, DX_HEALTH_HEALTHY, "its last check went well");
    say(out, DX_HEALTH_UNKNOWN, "too few calls of late, and no check");
}

void dx_health_tell(dx_client *client, const dx_api *api, dx_health_report *out) {
    dx_log_line line;
    dx_health_judge(out, api);
    if (!api->meters) return;
    int told = atomic_exchange(&api->meters->told, (int)out->health);
    if (told == (int)out->health) return;
    dx_level level = out->health > DX_HEALTH_HEALTHY ? DX_LEVEL_WARN : DX_LEVEL_INFO;
    if (!dx_log_start_api(&line, client, api, level, "health")) return;
    dx_log_add_text(&line, "health", dx_slice_str(dx_health_name(out->health)));
    dx_log_add_text(&line, "before", dx_slice_str(dx_health_name((dx_health)told)));
    dx_log_add_text(&line, "reason", dx_slice_str(out->reason));
    dx_log_send(&line);
}

// --- asking ------------------------------------------------------------------------------------------------------------------------------

static void give(dx_health_report *out, const dx_health_report *report) {
    uint32_t size = out->size && out->size < sizeof *report ? out->size : sizeof *report;
    memcpy(out, report, size);
    out->size = size;
}

dx_error_code dx_client_health(dx_client *client, const char *name, dx_health_report *out, dx_error *error) {
    dx_health_report report;
    if (error) *error = (dx_error)DX_ERROR_INIT;
    dx_apis *apis = dx_client_apis(client);
    const dx_api *api = dx_apis_api(apis, dx_slice_str(name), NULL);
    dx_error_code code = api ? DX_ERROR_NONE : dx_client_no_api(error, apis, name);
    if (api) dx_health_tell(client, api, &report);
    dx_apis_release(apis);
    if (!code) give(out, &report);
    return code;
}

// --- checks by the program's own function
// --------------------------------------------------------------------------------------------------

static struct dx_own_check *find_own(dx_client *client, dx_slice name) {
    struct dx_own_check *own = client->own_checks;
    while (own && !dx_slice_equal(own->name, name)) own = own->next;
    return own;
}

dx_error_code dx_client_set_health_check(dx_client *client, const char *name, dx_health_check check, void *context, dx_error *error) {
    dx_slice text = dx_slice_str(name);
    if (error) *error = (dx_error)DX_ERROR_INIT;
    if (text.size == 0) return dx_fail(error, DX_ERROR_ARGUMENT, "a health check needs an API's name");
    pthread_mutex_lock(&client->lock);
    struct dx_own_check *own = find_own(client, text);
    if (!own) {
        own = dx_memory_zalloc(1, sizeof *own + text.size);
        if (own) {
            memcpy(own + 1, text.data, text.size);
            own->name = dx_slice_of((const char *)(own + 1), text.size);
            own->next = client->own_checks;
            client->own_checks = own;
        }
    }
    if (own) {
        own->check = check;
        own->context = context;
    }
    pthread_mutex_unlock(&client->lock);
    return own ? DX_ERROR_NONE : dx_fail(error, DX_ERROR_NO_MEMORY, "there is no memory for a health check");
}

static void record(const dx_api *api, bool passed, dx_nanos took) {
    dx_meters *meters = api->meters;
    atomic_store(&meters->check_passed, passed);
    atomic_store(&meters->check_took, took);
    atomic_store(&meters->check_monotonic, dx_clock_monotonic());
    atomic_store(&meters->checked_at, dx_clock_utc() / 1000);
}

static bool run_own(dx_client *client, const dx_api *api, const char *name, char *reason, size_t room) {
    pthread_mutex_lock(&client->lock);
    const struct dx_own_check *own = find_own(client, api->name);
    dx_health_check check = own ? own->check : NULL;
    void *context = own ? own->context : NULL;
    pthread_mutex_unlock(&client->lock);
    if (!check) return false;
    dx_nanos since = dx_clock_monotonic();
    bool passed = check(context, client, name, reason, room);
    record(api, passed, dx_clock_monotonic() - since);
    return true;
}

// --- checks by a call
// ------------------------------------------------------------------------------------------------------------------------

static dx_error_code make_call(dx_call **out, dx_client *client, dx_apis *apis, const dx_api *api, dx_error *error) {
    dx_call_options options = DX_CALL_OPTIONS_INIT;
    options.raise_on_error = DX_RAISE_NEVER;
    options.fresh = true;
    dx_asked asked = {.endpoint = api->health_settings.endpoint, .options = &options};
    dx_error_code code = dx_call_create(out, client, &asked, dx_apis_hold(apis), error);
    if (!code) (*out)->internal = true;
    return code;
}

static bool passed_by(dx_error_code code, const dx_response *response) {
    return code == DX_ERROR_NONE && response && dx_response_status(response) < 400;
}

static void check_by_call(dx_client *client, dx_apis *apis, const dx_api *api, char *reason, size_t room) {
    dx_call *call;
    dx_response *response = NULL;
    dx_error error = DX_ERROR_INIT;
    dx_nanos since = dx_clock_monotonic();
    dx_error_code code = make_call(&call, client, apis, api, &error);
    if (!code) code = dx_client_run_call(&response, client, call, &error);
    if (code)
        (void)snprintf(reason, room, "%s", error.message);
    else if (!passed_by(code, response))
        (void)snprintf(reason, room, "its health endpoint answered %d", dx_response_status(response));
    record(api, passed_by(code, response), dx_clock_monotonic() - since);
    dx_response_release(response);
}

dx_error_code dx_client_check_health(dx_client *client, const char *name, dx_health_report *out, dx_error *error) {
    dx_health_report report;
    char reason[sizeof report.reason] = "";
    if (error) *error = (dx_error)DX_ERROR_INIT;
    dx_apis *apis = dx_client_apis(client);
    const dx_api *api = dx_apis_api(apis, dx_slice_str(name), NULL);
    dx_error_code code = api ? DX_ERROR_NONE : dx_client_no_api(error, apis, name);
    if (api && api->meters && !run_own(client, api, name, reason, sizeof reason) && api->health_settings.endpoint)
        check_by_call(client, apis, api, reason, sizeof reason);
    if (api) dx_health_tell(client, api, &report);
    reason[sizeof reason - 1] = '\0';
    if (api && reason[0] && report.checked && !report.check_passed) memcpy(report.reason, reason, sizeof reason);
    dx_apis_release(apis);
    if (!code) give(out, &report);
    return code;
}

// --- checks by themselves
// --------------------------------------------------------------------------------------------------------------------

typedef struct check {
    dx_client *client;
    dx_apis *apis; // held
    const dx_api *api;
} check;

static void on_checked(void *ctx, dx_call *call) {
    check *c = ctx;
    dx_health_report report;
    bool given_up = call->error->code == DX_ERROR_CLOSED || call->error->code == DX_ERROR_CANCELLED; // tells nothing of the API
    if (!given_up) record(c->api, passed_by(call->error->code, dx_call_response(call)), call->response.took);
    atomic_store(&c->api->meters->checking, false);
    if (!given_up) dx_health_tell(c->client, c->api, &report);
    dx_apis_release(c->apis);
    dx_call_release(call);
}

static void start_check(dx_client *client, dx_apis *apis, const dx_api *api) {
    dx_call *call;
    if (atomic_exchange(&api->meters->checking, true)) return;
    if (make_call(&call, client, apis, api, NULL) != DX_ERROR_NONE) {
        atomic_store(&api->meters->checking, false);
        return record(api, false, 0);
    }
    check *c = DX_ARENA_NEW(call->arena, check);
    if (!c) {
        atomic_store(&api->meters->checking, false);
        return dx_call_release(call);
    }
    *c = (check){client, dx_apis_hold(apis), api};
    call->engine = client->engines[0];
    call->done = on_checked;
    call->done_ctx = c;
    dx_call_hold(call);
    dx_call_begin(call);
}

// Begins what is due, and returns how long until the next one is; 0: there is none.
static dx_nanos check_all(dx_client *client, dx_apis *apis) {
    dx_map_entry *entry;
    dx_nanos now = dx_clock_monotonic(), next = 0;
    for (size_t i = 0; (entry = dx_map_next(&apis->apis, &i));) {
        const dx_api *api = entry->value;
        dx_nanos interval = api->health_settings.interval;
        if (!api->health_settings.endpoint || !api->meters) continue;
        dx_nanos due = api->meters->check_due;
        if (due <= now) {
            api->meters->check_due = due = now + interval;
            start_check(client, apis, api);
        }
        if (!next || due - now < next) next = due - now;
    }
    return next;
}

static void turn(dx_client *client) {
    if (atomic_load(&client->closing)) return;
    dx_apis *apis = dx_client_apis(client);
    dx_nanos next = check_all(client, apis);
    dx_apis_release(apis);
    if (next) dx_timer_start(client->engines[0]->loop, &client->watch.timer, next);
}

static void on_timer(dx_timer *timer) {
    turn(DX_CONTAINER_OF(timer, dx_client, watch.timer));
}

static void on_task(dx_task *task) {
    dx_client *client = DX_CONTAINER_OF(task, dx_client, watch.task);
    atomic_store(&client->watch.posted, false);
    turn(client);
}

static bool any_to_check(const dx_apis *apis) {
    dx_map_entry *entry;
    for (size_t i = 0; (entry = dx_map_next(&apis->apis, &i));)
        if (((const dx_api *)entry->value)->health_settings.endpoint) return true;
    return false;
}

void dx_health_watch(dx_client *client) {
    dx_apis *apis = dx_client_apis(client);
    bool any = any_to_check(apis);
    dx_apis_release(apis);
    dx_engine *engine = any ? dx_client_first_engine(client) : NULL;
    if (!engine || atomic_exchange(&client->watch.posted, true)) return;
    client->watch.timer.fire = on_timer;
    client->watch.task.run = on_task;
    dx_loop_post(engine->loop, &client->watch.task);
}

void dx_health_unwatch(dx_client *client) {
    if (client->engines[0] && !client->engines[0]->threaded) dx_timer_stop(client->engines[0]->loop, &client->watch.timer);
}
