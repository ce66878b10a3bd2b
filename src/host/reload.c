// Reloading: the definition's file becomes a new app beside the one that is served, on a thread that serves nobody. Only when it stands
// whole do the workers go over to it, one after another, each between two turns of its loop; what is under way goes on under the app that
// it began with. So a definition that is wrong changes nothing, and one that is right loses nothing.
//
// An app that is served no more is taken down when the last worker has left it and the last exchange of it is over. Streams that would go
// on for ever are asked to end when the drain time has passed: their clients come back, to the new definition.
#include <errno.h>
#include <unistd.h>

#include "host/parts.h"

// --- apps that are served no more
// -------------------------------------------------------------------------------------------------------------

static void unlink_app(dx_app **list, const dx_app *app) {
    while (*list && *list != app) list = &(*list)->next;
    if (*list) *list = (*list)->next;
}

static void push(dx_app **list, dx_app *app) {
    app->next = *list;
    *list = app;
}

void dx_host_vacated(dx_process *process, dx_app *app) {
    dx_host *host = process->host;
    pthread_mutex_lock(&host->lock);
    unlink_app(&host->retired, app);
    push(&host->vacated, app);
    pthread_mutex_unlock(&host->lock);
    dx_host_wake(host->wake);
}

static dx_app *take_vacated(dx_host *host) {
    pthread_mutex_lock(&host->lock);
    dx_app *app = host->vacated;
    if (app) host->vacated = app->next;
    pthread_mutex_unlock(&host->lock);
    return app;
}

static dx_app *take_overdue(dx_host *host, dx_nanos now) {
    pthread_mutex_lock(&host->lock);
    dx_app *app = host->retired;
    while (app && (app->drain_asked || app->drain_at > now)) app = app->next;
    if (app) app->drain_asked = true;
    pthread_mutex_unlock(&host->lock);
    return app;
}

static dx_status ask_to_end(dx_seat *seat, void *ctx) {
    dx_serve_retire(seat->worker, ctx);
    return DX_OK;
}

void dx_host_bury(dx_host *host) {
    for (dx_app *app; !host->job.running && !host->draining && (app = take_overdue(host, dx_clock_monotonic()));) {
        // It stands while this thread does not destroy it, though its last use may end meanwhile.
        (void)!dx_workers_visit(host, ask_to_end, app);
    }
    for (dx_app *app; (app = take_vacated(host));) dx_app_destroy(app);
}

void dx_host_bury_all(dx_host *host) {
    dx_app **lists[] = {&host->retired, &host->vacated};
    for (size_t i = 0; i < DX_COUNT_OF(lists); i++) {
        for (dx_app *app; (app = *lists[i]);) {
            *lists[i] = app->next;
            dx_app_destroy(app);
        }
    }
}

int dx_host_patience(dx_host *host) {
    dx_nanos now = dx_clock_monotonic(), wait = INT64_MAX;
    if (host->job.running) return -1; // its end wakes
    pthread_mutex_lock(&host->lock);
    for (const dx_app *app = host->retired; app; app = app->next)
        if (!app->drain_asked && app->drain_at - now < wait) wait = app->drain_at - now;
    pthread_mutex_unlock(&host->lock);
    if (wait == INT64_MAX) return -1;
    return wait <= 0 ? 0 : (int)(wait / DX_MILLISECOND) + 1;
}

// --- what a running process can't change
// -----------------------------------------------------------------------------------------------------

static dx_status refuse(const dx_app *app, dx_diags *diags, const char *pointer, const char *what) {
    dx_diag *diag = dx_definition_complain(app->definition, diags, dx_slice_str(pointer), "a running server can't change %s", what);
    if (diag) diag->suggestion = DX_SLICE("`duplex upgrade` starts a new process with it and loses no request; or restart the server");
    return DX_INVALID;
}

static bool same_text(const char *a, const char *b) {
    return a == b || (a && b && strcmp(a, b) == 0);
}

static dx_status check_fixed(const dx_app *now, const dx_app *next, dx_diags *diags) {
    const dx_settings *a = &now->settings, *b = &next->settings;
    dx_status status = DX_OK;
    if (a->workers != b->workers) status = refuse(next, diags, "/server/workers", "how many workers it has");
    if (!dx_slice_equal(a->store, b->store)) status = refuse(next, diags, "/server/store", "its store");
    if (!same_text(a->user, b->user)) status = refuse(next, diags, "/server/user", "its user");
    if (!same_text(a->group, b->group)) status = refuse(next, diags, "/server/group", "its group");
    if (a->statement_time != b->statement_time) status = refuse(next, diags, "/server/timeouts/statement", "what it has told its store");
    if (a->request_time != b->request_time) status = refuse(next, diags, "/server/timeouts/request", "what it has told its store");
    return status;
}

static dx_status settled(void *ctx, dx_app *next, dx_diags *diags) {
    dx_host *host = ctx;
    dx_status status = check_fixed(host->app, next, diags);
    return status == DX_OK ? dx_sockets_open(&host->sockets, next, host->process->worker_count, diags) : status;
}

// --- going over
// -------------------------------------------------------------------------------------------------------------------------------

static dx_status start_on(dx_seat *seat, void *next) {
    return dx_worker_start_features(seat->worker, next);
}

static dx_status leave_on(dx_seat *seat, void *app) {
    dx_app_leave(app, seat->worker);
    return DX_OK;
}

static void adopt_log(dx_worker *worker, const dx_app *next) {
    dx_request_log *log = dx_app_logs_requests(next) ? worker->process->log : NULL;
    if (worker->logger.log == log) return;
    dx_request_logger_deinit(&worker->logger);
    dx_request_logger_init(&worker->logger, log, worker->loop);
}

static dx_status adopt_on(dx_seat *seat, void *ctx) {
    dx_worker *worker = seat->worker;
    dx_app *next = ctx, *old = worker->app;
    dx_status status = dx_sockets_adopt(&seat->host->sockets, worker, next);
    if (status != DX_OK && !seat->host->process->draining)
        dx_log(DX_LOG_ERROR, "listening", "a worker could not take an address: %s", dx_status_title(status));
    dx_listener_limit(worker->listener, &next->settings.limits, (size_t)next->settings.arena_cap);
    worker->overload.bound = next->settings.overload_turn;
    adopt_log(worker, next);
    worker->app = next;
    dx_app_leave(old, worker);
    return DX_OK;
}

static void retire(dx_host *host, dx_app *old) {
    old->drain_at = dx_clock_monotonic() + old->settings.drain;
    pthread_mutex_lock(&host->lock);
    push(&host->retired, old);
    pthread_mutex_unlock(&host->lock);
}

static dx_status begin(dx_host *host, dx_app *next) {
    for (size_t i = 0; dx_features[i]; i++)
        if (dx_features[i]->inherit) dx_features[i]->inherit(next->states[i], host->app->states[i]);
    if (dx_app_logs_requests(next) && !host->process->log) {
        dx_status status = dx_request_log_start(&host->process->log, STDERR_FILENO);
        if (status != DX_OK) return status;
    }
    return dx_workers_visit(host, start_on, next);
}

static dx_status go_over(dx_host *host, dx_app *next) {
    dx_app *old = host->app;
    dx_status status = begin(host, next);
    if (status != DX_OK) {
        retire(host, next); // what was started on it ends; then it goes as any other
        (void)!dx_workers_visit(host, leave_on, next);
        return status;
    }
    dx_app_activate(next);
    retire(host, old);
    dx_sockets_let_go(&host->sockets, next);
    pthread_mutex_lock(&host->lock);
    host->app = next;
    pthread_mutex_unlock(&host->lock);
    // Ends early only when the process stops, which then takes everything down.
    (void)!dx_workers_visit(host, adopt_on, next);
    dx_sockets_settle(&host->sockets, next);
    return DX_OK;
}

void dx_host_reload(dx_host *host, dx_report *report) {
    dx_app *next = NULL;
    dx_app_options options = host->options->app;
    options.process = host->process;
    options.beside = true;
    options.settled = settled;
    options.ctx = host;
    report->status = dx_app_create(&next, &options, &report->findings);
    if (report->status == DX_OK) report->status = go_over(host, next);
    if (report->status != DX_OK) dx_sockets_abandon(&host->sockets);
}
