// Running the process: builds the app, starts the workers, and waits for what the main thread is told. The calling thread never serves.
#include "host/host.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "host/parts.h"

static void announce(const dx_host *host, const dx_host_options *options) {
    char url[320];
    const char *address = host->app->settings.host;
    bool six = strchr(address, ':') != NULL;
    unsigned port = host->seats[0].port;
    dx_log_record record;
    snprintf(url, sizeof url, six ? "http://[%s]:%u" : "http://%s:%u", address, port);
    if (dx_log_enabled(DX_LOG_INFO)) {
        dx_log_begin(&record, DX_LOG_INFO, "listening");
        dx_log_text(&record, "url", dx_slice_str(url));
        dx_log_int(&record, "workers", host->process->worker_count);
        dx_log_end(&record);
    }
    if (options->listening) options->listening(options->ctx, url);
}

// Until every worker is done. With `stop`, they are told so at once.
static void wait_for_workers(dx_host *host, bool stop) {
    bool draining = false;
    for (;;) {
        if (!draining && (stop || dx_signals_stop_asked())) {
            draining = true;
            dx_workers_drain(host);
        }
        if (atomic_load(&host->running) == 0) return;
        struct pollfd one = {.fd = host->wake, .events = POLLIN};
        uint64_t count;
        if (poll(&one, 1, -1) > 0 && read(host->wake, &count, sizeof count) < 0 && errno != EAGAIN && errno != EINTR) return;
    }
}

static dx_status serve(dx_host *host, const dx_host_options *options, dx_diags *diags) {
    dx_process *process = host->process;
    dx_status status = DX_OK;
    if (host->app->settings.log_requests && dx_log_enabled(DX_LOG_INFO)) status = dx_request_log_start(&process->log, STDERR_FILENO);
    if (status == DX_OK) status = dx_workers_launch(host, diags);
    if (status == DX_OK) announce(host, options);
    wait_for_workers(host, status != DX_OK);
    dx_workers_join(host);
    dx_request_log_stop(process->log);
    process->log = NULL;
    if (status == DX_OK) status = dx_workers_outcome(host);
    if (status == DX_OK) dx_log(DX_LOG_INFO, "stopped", "every request was answered");
    return status;
}

// The store ends before any app does: what a write still has in hand is the apps'.
static void end(dx_host *host) {
    dx_process_finish(host->process);
    dx_app_destroy(host->app);
    dx_process_release(host->process);
}

dx_status dx_host_serve(const dx_host_options *options, dx_diags *diags) {
    dx_signals signals;
    dx_host host = {.wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
    if (host.wake < 0) return DX_UNAVAILABLE;
    dx_status status = dx_app_create(&host.app, &options->app, diags);
    if (status == DX_OK) {
        host.process = dx_process_hold(host.app->process);
        host.process->host = &host;
        pthread_mutex_init(&host.lock, NULL);
        pthread_cond_init(&host.started, NULL);
        dx_signals_take(&signals, host.wake);
        status = serve(&host, options, diags);
        dx_signals_give_back(&signals);
        end(&host);
        pthread_cond_destroy(&host.started);
        pthread_mutex_destroy(&host.lock);
    }
    close(host.wake);
    return status;
}
