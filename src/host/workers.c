// The workers: a thread each, with a loop and a listener of its own on the same port. They begin with the host's app, and end when they
// have been drained.
#include <stdio.h>
#include <unistd.h>

#include "host/parts.h"
#include "net/address.h"

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

static void drain(dx_task *task) {
    dx_worker *worker = DX_CONTAINER_OF(task, dx_seat, drain)->worker;
    dx_serve_drain(worker);
    dx_listener_drain(worker->listener, DX_DRAIN_NOW, worker->app->settings.drain, on_drained, worker);
}

static dx_status start_features(dx_worker *worker) {
    for (size_t i = 0; dx_features[i]; i++) {
        if (!dx_features[i]->start) continue;
        dx_status status = dx_features[i]->start(worker->app->states[i], worker->app, worker->index, worker->loop);
        if (status != DX_OK) return status;
    }
    return DX_OK;
}

static dx_status start_listener(dx_seat *seat) {
    dx_worker *worker = seat->worker;
    const dx_settings *settings = &worker->app->settings;
    dx_listener_options options = {
        .limits = settings->limits, .arena_cap = (size_t)settings->arena_cap, .ops = &dx_serve_ops, .ctx = worker};
    dx_status status = dx_listener_start(&worker->listener, worker->loop, &options, seat->diags);
    if (status != DX_OK) return status;
    char address[320];
    dx_endpoint endpoint = {0};
    const char *host = settings->host;
    snprintf(address, sizeof address, strchr(host, ':') ? "[%s]:%u" : "%s:%u", host, (unsigned)seat->port);
    dx_socket_options socket = {.reuse_port = seat->reuse_port, .probe = worker->index == 0};
    status = dx_socket_listen(&endpoint.fd, address, &socket, seat->diags);
    if (status != DX_OK) return status;
    seat->port = dx_socket_port(endpoint.fd);
    status = dx_listener_add(worker->listener, &endpoint);
    if (status != DX_OK) (void)close(endpoint.fd);
    return status;
}

static dx_status start_worker(dx_seat *seat) {
    dx_worker *worker = seat->worker;
    dx_process *process = seat->host->process;
    worker->app = seat->host->app;
    dx_status status = dx_loop_create(&worker->loop);
    if (status != DX_OK) return status;
    dx_request_logger_init(&worker->logger, worker->app->settings.log_requests ? process->log : NULL, worker->loop);
    worker->session = dx_store_session(process->store, worker->index, worker->loop);
    if (!worker->session) return DX_NO_MEMORY;
    status = start_features(worker);
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
    pthread_cond_signal(&host->started);
    pthread_mutex_unlock(&host->lock);
    if (status == DX_OK && (status = dx_loop_run(worker->loop)) != DX_OK) seat->status = status;
    dx_listener_destroy(worker->listener);
    worker->listener = NULL;
    dx_request_logger_deinit(&worker->logger);
    atomic_fetch_sub(&host->running, 1);
    dx_host_wake(host->wake);
    return NULL;
}

// --- the main thread
// ------------------------------------------------------------------------------------------------------------------------------

// Starts one worker and waits until it listens. One after another, so that all get the port that the first one was given.
static dx_status launch(dx_host *host, dx_seat *seat) {
    host->is_started = false;
    atomic_fetch_add(&host->running, 1);
    if (pthread_create(&seat->thread, NULL, work, seat) != 0) {
        atomic_fetch_sub(&host->running, 1);
        return DX_UNAVAILABLE;
    }
    host->launched++;
    pthread_mutex_lock(&host->lock);
    while (!host->is_started) pthread_cond_wait(&host->started, &host->lock);
    dx_status status = seat->status;
    pthread_mutex_unlock(&host->lock);
    seat->is_up = status == DX_OK;
    return status;
}

dx_status dx_workers_launch(dx_host *host, dx_diags *diags) {
    dx_process *process = host->process;
    uint16_t port = host->app->settings.port;
    host->seats = DX_ARENA_ARRAY(process->arena, dx_seat, process->worker_count);
    if (!host->seats) return DX_NO_MEMORY;
    process->rested = on_rested;
    for (unsigned i = 0; i < process->worker_count; i++) {
        dx_seat *seat = &host->seats[i];
        *seat = (dx_seat){.host = host,
                          .worker = &process->workers[i],
                          .port = port,
                          .reuse_port = process->worker_count > 1,
                          .diags = diags,
                          .drain = {.run = drain}};
        dx_status status = launch(host, seat);
        if (status != DX_OK) return status;
        port = seat->port;
    }
    return DX_OK;
}

void dx_workers_drain(dx_host *host) {
    atomic_store_explicit(&host->process->draining, true, memory_order_relaxed);
    for (unsigned i = 0; i < host->launched; i++)
        if (host->seats[i].is_up) dx_loop_post(host->seats[i].worker->loop, &host->seats[i].drain);
    dx_log(DX_LOG_INFO, "draining", "no new requests are taken; those under way are answered");
}

void dx_workers_join(dx_host *host) {
    for (unsigned i = 0; i < host->launched; i++) pthread_join(host->seats[i].thread, NULL);
}

dx_status dx_workers_outcome(const dx_host *host) {
    for (unsigned i = 0; i < host->launched; i++)
        if (host->seats[i].status != DX_OK) return host->seats[i].status;
    return DX_OK;
}
