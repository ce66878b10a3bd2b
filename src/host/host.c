// Running the process: builds the app, starts the workers, and then does what the main thread is told to: stop, reload, hand over. The
// calling thread never serves, and what may take long runs on a thread of its own (job.c).
#include "host/host.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "host/parts.h"
#include "net/address.h"

#define CONTROL_PAUSE (100 * DX_MILLISECOND)

static void announce_one(dx_host *host, size_t at) {
    char url[DX_SOCKET_TEXT_CAP + 16], address[DX_SOCKET_TEXT_CAP];
    const dx_host_options *options = host->options;
    dx_log_record record;
    dx_endpoint endpoint;
    dx_app_endpoint(host->app, at, &endpoint);
    dx_sockets_describe(&host->sockets, host->app, at, address);
    bool path = strncmp(address, "unix:", 5) == 0;
    snprintf(url, sizeof url, "%s%s", path ? "" : endpoint.tls ? "https://" : "http://", address);
    if (dx_log_enabled(DX_LOG_INFO)) {
        dx_log_begin(&record, DX_LOG_INFO, "listening");
        dx_log_text(&record, "url", dx_slice_str(url));
        dx_log_int(&record, "workers", host->process->worker_count);
        dx_log_end(&record);
    }
    if (options->listening) options->listening(options->ctx, url);
}

static void announce(dx_host *host) {
    for (size_t i = 0; i < host->app->settings.listen_count; i++) announce_one(host, i);
}

// --- the main thread's loop
// -------------------------------------------------------------------------------------------------------------------

// Not while they are still those of the process that started this one.
static bool owns_sockets(const dx_host *host) {
    return !host->succeeds || host->took_over;
}

static bool is_handed_over(dx_host *host) {
    pthread_mutex_lock(&host->lock);
    bool handed_over = host->handed_over;
    pthread_mutex_unlock(&host->lock);
    return handed_over;
}

static void close_control(dx_host *host) {
    if (host->control >= 0) close(host->control);
    host->control = -1;
}

static void begin_drain(dx_host *host) {
    // Under the lock, so that it is either this process that drains politely or the other one that never begins.
    pthread_mutex_lock(&host->lock);
    bool handed_over = host->handed_over;
    atomic_store(&host->process->draining, true);
    pthread_mutex_unlock(&host->lock);
    host->draining = true;
    if (!handed_over) dx_systemd_tell("STOPPING=1\nSTATUS=draining");
    if (!handed_over || !host->job.running) close_control(host); // else when the new one has its own: there is always one to be found
    dx_sockets_close(&host->sockets, !handed_over && owns_sockets(host));
    dx_workers_drain(host, handed_over);
    dx_host_wake(host->stopping);
}

static void begin_job(dx_host *host) {
    if (host->job.running || host->draining) return;
    if (dx_signals_take_reload())
        dx_job_start(host, DX_JOB_RELOAD, -1);
    else if (dx_signals_take_upgrade())
        dx_job_start(host, DX_JOB_UPGRADE, -1);
}

// systemd hears of us when every worker's loop has gone round since the last time.
static int beat(dx_host *host) {
    dx_nanos now = dx_clock_monotonic();
    if (host->beat_every == 0 || is_handed_over(host)) return -1;
    if (now >= host->beat_at) {
        host->beat_at = now + host->beat_every;
        if (dx_workers_beat(host)) dx_systemd_tell("WATCHDOG=1");
    }
    return (int)((host->beat_at - now) / DX_MILLISECOND) + 1;
}

static int sooner(int a, int b) {
    return a < 0 || (b >= 0 && b < a) ? b : a;
}

// Without a descriptor for whoever asks, the question stays where it is and would wake us for ever.
static void answer_control(dx_host *host) {
    int connection = dx_control_accept(host->control);
    if (connection >= 0)
        dx_job_start(host, DX_JOB_REQUEST, connection);
    else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
        host->control_at = dx_clock_monotonic() + CONTROL_PAUSE;
}

static void wait_for_news(dx_host *host) {
    dx_nanos pause = host->control_at ? host->control_at - dx_clock_monotonic() : 0;
    bool listens = host->control >= 0 && !host->job.running && pause <= 0;
    int wait = sooner(dx_host_patience(host), beat(host));
    struct pollfd watched[] = {{.fd = host->wake, .events = POLLIN}, {.fd = listens ? host->control : -1, .events = POLLIN}};
    uint64_t count;
    if (pause > 0) wait = sooner(wait, (int)(pause / DX_MILLISECOND) + 1);
    if (poll(watched, DX_COUNT_OF(watched), wait) <= 0) return;
    if (watched[0].revents && read(host->wake, &count, sizeof count) < 0 && errno != EAGAIN && errno != EINTR) return;
    if (watched[1].revents) answer_control(host);
}

// Until every worker is done. With `stop`, they are told so at once.
static void run(dx_host *host, bool stop) {
    for (;;) {
        if (dx_job_over(&host->job)) dx_job_join(&host->job);
        if (host->draining && !host->job.running) close_control(host);
        if (!host->draining && (stop || dx_signals_stop_asked() || is_handed_over(host))) begin_drain(host);
        dx_host_bury(host);
        if (atomic_load(&host->running) == 0) break;
        begin_job(host);
        wait_for_news(host);
    }
    dx_job_join(&host->job);
}

static dx_status take_sockets(dx_seat *seat, void *app) {
    return dx_sockets_adopt(&seat->host->sockets, seat->worker, app);
}

// The workers stand ready before anything is accepted: a process that takes over says so, and waits for its turn.
static dx_status begin(dx_host *host, dx_diags *diags) {
    dx_status status = DX_OK;
    if (dx_app_logs_requests(host->app)) status = dx_request_log_start(&host->process->log, STDERR_FILENO);
    if (status == DX_OK) status = dx_workers_launch(host, diags);
    if (status == DX_OK) status = dx_handover_ready(host);
    if (status == DX_OK) status = dx_workers_visit(host, take_sockets, host->app);
    if (status != DX_OK) return status;
    dx_sockets_settle(&host->sockets, host->app);
    host->control = dx_control_open(host->options->app.path);
    dx_handover_end(host);
    announce(host);
    host->beat_every = dx_systemd_watchdog(host->took_over);
    dx_systemd_tell("READY=1\nSTATUS=serving");
    return DX_OK;
}

static dx_status serve(dx_host *host, dx_diags *diags) {
    dx_process *process = host->process;
    dx_status status = begin(host, diags);
    if (status != DX_OK) {
        dx_sockets_abandon(&host->sockets); // now: the process that would hand over ends this one when it hears of it
        dx_handover_fail(host, status, diags);
    }
    run(host, status != DX_OK);
    close_control(host);
    dx_workers_join(host);
    dx_request_log_stop(process->log);
    process->log = NULL;
    if (status == DX_OK) status = dx_workers_outcome(host);
    if (status == DX_OK) dx_log(DX_LOG_INFO, "stopped", "every request was answered");
    return status;
}

// --- beginning and end
// ------------------------------------------------------------------------------------------------------------------------

static dx_status settled(void *ctx, dx_app *app, dx_diags *diags) {
    dx_host *host = ctx;
    dx_status status = dx_sockets_open(&host->sockets, app, app->process->worker_count, diags);
    return status == DX_OK ? dx_privileges_drop(app, diags) : status;
}

// The store ends before any app does: what a write still has in hand is the apps'.
static void end(dx_host *host) {
    dx_process_finish(host->process);
    dx_app_destroy(host->app);
    dx_host_bury_all(host);
    dx_process_release(host->process);
}

static dx_status build_and_serve(dx_host *host, dx_diags *diags) {
    dx_app_options options = host->options->app;
    options.settled = settled;
    options.ctx = host;
    dx_status status = dx_handover_begin(host, diags);
    if (status == DX_OK) status = dx_systemd_take(host);
    options.beside = host->succeeds;
    if (status == DX_OK) status = dx_app_create(&host->app, &options, diags);
    if (status != DX_OK) {
        dx_sockets_abandon(&host->sockets);
        dx_sockets_close(&host->sockets, owns_sockets(host));
        dx_handover_fail(host, status, diags);
        return status;
    }
    host->process = dx_process_hold(host->app->process);
    host->process->host = host;
    host->process->vacated = dx_host_vacated;
    status = serve(host, diags);
    end(host);
    return status;
}

dx_status dx_host_serve(const dx_host_options *options, dx_diags *diags) {
    dx_signals signals;
    dx_host host = {.options = options,
                    .wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
                    .stopping = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
                    .control = -1,
                    .predecessor = -1};
    if (host.wake < 0 || host.stopping < 0) return DX_UNAVAILABLE; // the process is ending: nothing leaks for long
    pthread_mutex_init(&host.lock, NULL);
    pthread_cond_init(&host.changed, NULL);
    dx_sockets_init(&host.sockets);
    dx_signals_take(&signals, host.wake);
    dx_status status = build_and_serve(&host, diags);
    dx_signals_give_back(&signals);
    dx_sockets_deinit(&host.sockets);
    pthread_cond_destroy(&host.changed);
    pthread_mutex_destroy(&host.lock);
    close(host.stopping);
    close(host.wake);
    return status;
}
