// The workers: a thread each, with a loop and a listener of its own. They begin with the host's app, go over to others between two turns of
// their loops, and end when they have been drained.
#include "host/parts.h"

// --- a worker's thread
// ------------------------------------------------------------------------------------------------------------------------

static void on_rested(dx_worker *worker) {
    dx_loop_stop(worker->loop);
}

static void on_drained(void *ctx) {
    dx_worker *worker = ctx;
    worker->drained = true;
    dx_worker_rest(worker);
}

static void drain_now(dx_task *task) {
    dx_worker *worker = DX_CONTAINER_OF(task, dx_seat, drain)->worker;
    dx_serve_drain(worker);
    dx_listener_drain(worker->listener, DX_DRAIN_NOW, worker->app->settings.drain, on_drained, worker);
}

static void drain_politely(dx_task *task) {
    dx_worker *worker = DX_CONTAINER_OF(task, dx_seat, drain)->worker;
    dx_serve_drain(worker);
    dx_listener_drain(worker->listener, DX_DRAIN_POLITE, worker->app->settings.drain, on_drained, worker);
}

dx_status dx_worker_start_features(dx_worker *worker, dx_app *app) {
    size_t i = 0;
    dx_status status = DX_OK;
    for (; dx_features[i] && status == DX_OK; i++)
        if (dx_features[i]->start) status = dx_features[i]->start(app->states[i], app, worker->index, worker->loop);
    return status;
}

static dx_status start_listener(dx_seat *seat) {
    dx_worker *worker = seat->worker;
    const dx_settings *settings = &worker->app->settings;
    dx_listener_options options = {.limits = settings->limits,
                                   .arena_cap = (size_t)settings->arena_cap,
                                   .ops = &dx_serve_ops,
                                   .ctx = worker,
                                   .gate = worker->process->gate};
    return dx_listener_start(&worker->listener, worker->loop, &options, seat->diags);
}

static dx_status start_worker(dx_seat *seat) {
    dx_worker *worker = seat->worker;
    dx_process *process = seat->host->process;
    worker->app = seat->host->app;
    dx_status status = dx_loop_create(&worker->loop);
    if (status != DX_OK) return status;
    dx_request_logger_init(&worker->logger, dx_app_logs_requests(worker->app) ? process->log : NULL, worker->loop);
    dx_status watched = dx_overload_start(&worker->overload, worker->loop, worker->app->settings.overload_turn);
    if (watched != DX_OK) return watched;
    worker->session = dx_store_session(process->store, worker->index, worker->loop);
    if (!worker->session) return DX_NO_MEMORY;
    status = dx_worker_start_features(worker, worker->app);
    return status == DX_OK ? start_listener(seat) : status;
}

static void *work(void *arg) {
    dx_seat *seat = arg;
    dx_host *host = seat->host;
    dx_worker *worker = seat->worker;
    dx_status status = start_worker(seat);
    pthread_mutex_lock(&host->lock);
    seat->status = status;
    host->is_started = true;
    pthread_cond_broadcast(&host->changed);
    pthread_mutex_unlock(&host->lock);
    if (status == DX_OK && (status = dx_loop_run(worker->loop)) != DX_OK) seat->status = status;
    dx_listener_destroy(worker->listener);
    worker->listener = NULL;
    dx_request_logger_deinit(&worker->logger);
    pthread_mutex_lock(&host->lock);
    seat->ended = true;
    pthread_cond_broadcast(&host->changed);
    pthread_mutex_unlock(&host->lock);
    atomic_fetch_sub(&host->running, 1);
    dx_host_wake(host->wake);
    return NULL;
}

static void beat(dx_task *task) {
    atomic_store(&DX_CONTAINER_OF(task, dx_seat, beat)->beats, true);
}

// --- the main thread
// ------------------------------------------------------------------------------------------------------------------------------

// Starts one worker and waits until it stands ready.
static dx_status launch(dx_host *host, dx_seat *seat) {
    host->is_started = false;
    atomic_fetch_add(&host->running, 1);
    if (pthread_create(&seat->thread, NULL, work, seat) != 0) {
        atomic_fetch_sub(&host->running, 1);
        return DX_UNAVAILABLE;
    }
    host->launched++;
    pthread_mutex_lock(&host->lock);
    while (!host->is_started) pthread_cond_wait(&host->changed, &host->lock);
    dx_status status = seat->status;
    pthread_mutex_unlock(&host->lock);
    seat->is_up = status == DX_OK;
    return status;
}

dx_status dx_workers_launch(dx_host *host, dx_diags *diags) {
    dx_process *process = host->process;
    host->seats = DX_ARENA_ARRAY(process->arena, dx_seat, process->worker_count);
    if (!host->seats) return DX_NO_MEMORY;
    process->rested = on_rested;
    for (unsigned i = 0; i < process->worker_count; i++) {
        dx_seat *seat = &host->seats[i];
        *seat = (dx_seat){.host = host, .worker = &process->workers[i], .diags = diags, .beat = {.run = beat}, .beats = true};
        dx_status status = launch(host, seat);
        if (status != DX_OK) return status;
    }
    return DX_OK;
}

void dx_workers_drain(dx_host *host, bool polite) {
    atomic_store_explicit(&host->process->draining, true, memory_order_relaxed);
    for (unsigned i = 0; i < host->launched; i++) {
        dx_seat *seat = &host->seats[i];
        seat->drain.run = polite ? drain_politely : drain_now;
        if (seat->is_up) dx_loop_post(seat->worker->loop, &seat->drain);
    }
    dx_log(DX_LOG_INFO, "draining", "%s",
           polite ? "another process takes the new connections; what is under way here is answered"
                  : "no new requests are taken; those under way are answered");
}

bool dx_workers_beat(dx_host *host) {
    bool all = true;
    for (unsigned i = 0; i < host->launched; i++) {
        dx_seat *seat = &host->seats[i];
        if (atomic_exchange(&seat->beats, false))
            dx_loop_post(seat->worker->loop, &seat->beat);
        else
            all = false; // the task is still on its way
    }
    return all;
}

void dx_workers_join(dx_host *host) {
    for (unsigned i = 0; i < host->launched; i++) pthread_join(host->seats[i].thread, NULL);
}

dx_status dx_workers_outcome(const dx_host *host) {
    for (unsigned i = 0; i < host->launched; i++)
        if (host->seats[i].status != DX_OK) return host->seats[i].status;
    return DX_OK;
}

// --- visits
// ---------------------------------------------------------------------------------------------------------------------------------------

static void on_visit(dx_task *task) {
    dx_visit *visit = DX_CONTAINER_OF(task, dx_visit, task);
    dx_host *host = visit->seat->host;
    dx_status status = visit->fn(visit->seat, visit->ctx);
    pthread_mutex_lock(&host->lock);
    visit->status = status;
    visit->done = true;
    pthread_cond_broadcast(&host->changed);
    pthread_mutex_unlock(&host->lock);
}

static dx_status visit_one(dx_host *host, dx_seat *seat, dx_status (*fn)(dx_seat *seat, void *ctx), void *ctx) {
    dx_visit *visit = &seat->visit;
    *visit = (dx_visit){.task = {.run = on_visit}, .seat = seat, .fn = fn, .ctx = ctx, .status = DX_CANCELLED};
    dx_loop_post(seat->worker->loop, &visit->task);
    pthread_mutex_lock(&host->lock);
    while (!visit->done && !seat->ended) pthread_cond_wait(&host->changed, &host->lock);
    dx_status status = visit->done ? visit->status : DX_CANCELLED;
    pthread_mutex_unlock(&host->lock);
    return status;
}

dx_status dx_workers_visit(dx_host *host, dx_status (*fn)(dx_seat *seat, void *ctx), void *ctx) {
    dx_status status = DX_OK;
    for (unsigned i = 0; i < host->launched && status == DX_OK; i++) status = visit_one(host, &host->seats[i], fn, ctx);
    return status;
}
