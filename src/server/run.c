// Running the app: a thread a worker, each with a loop and a listener of its own on the same port, until a signal. The first SIGTERM or
// SIGINT drains: nothing new is accepted, what is being answered is finished. A second one stops at once. The calling thread only waits.
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "codec/text.h"
#include "server/parts.h"

// The main thread and the workers: who is up, and who is done.
typedef struct runner {
    dx_app *app;
    int wake; // eventfd
    atomic_uint running;
    pthread_mutex_t lock;
    pthread_cond_t started;
    bool is_started;
} runner;

// --- signals
// ------------------------------------------------------------------------------------------------------------------------------------

static atomic_int signals_seen;
static atomic_int signal_wake = -1;

static void wake(int descriptor) {
    uint64_t one = 1;
    ssize_t written = write(descriptor, &one, sizeof one); // an eventfd: fails only when it is full, and then it is awake
    (void)written;
}

// From the handler, for everything else may be waiting, even for somebody to read the log: only what a handler may do. What is not
// acknowledged was not promised, and the store is whole whenever the process ends.
static void stop_at_once(void) {
    static const char words[] =
        "\",\"level\":\"warn\",\"event\":\"stopped\",\"message\":\"a second signal came before every request was answered\"}\n";
    char line[256] = "{\"time\":\"";
    _Static_assert(sizeof words + DX_TIME_TEXT_CAP + 16 < sizeof line, "the line fits");
    struct pollfd log = {.fd = STDERR_FILENO, .events = POLLOUT};
    if (dx_log_enabled(DX_LOG_WARN) && poll(&log, 1, 0) == 1 && (log.revents & POLLOUT)) {
        size_t size = strlen(line);
        size += dx_time_write(line + size, dx_clock_utc());
        memcpy(line + size, words, sizeof words - 1);
        ssize_t written = write(STDERR_FILENO, line, size + sizeof words - 1);
        (void)written;
    }
    _exit(0);
}

static void on_signal(int number) {
    int saved = errno;
    (void)number;
    if (atomic_fetch_add(&signals_seen, 1) > 0) stop_at_once();
    int descriptor = atomic_load(&signal_wake);
    if (descriptor >= 0) wake(descriptor);
    errno = saved;
}

static const int handled[] = {SIGTERM, SIGINT, SIGPIPE};

// Returns whom signals woke before.
static int install_handlers(struct sigaction old[DX_COUNT_OF(handled)], int descriptor) {
    atomic_store(&signals_seen, 0);
    int before = atomic_exchange(&signal_wake, descriptor);
    for (size_t i = 0; i < DX_COUNT_OF(handled); i++) {
        struct sigaction action = {.sa_handler = handled[i] == SIGPIPE ? SIG_IGN : on_signal, .sa_flags = SA_RESTART};
        sigemptyset(&action.sa_mask);
        sigaction(handled[i], &action, &old[i]);
    }
    return before;
}

static void restore_handlers(const struct sigaction old[DX_COUNT_OF(handled)], int descriptor) {
    for (size_t i = 0; i < DX_COUNT_OF(handled); i++) sigaction(handled[i], &old[i], NULL);
    atomic_store(&signal_wake, descriptor);
}

// --- a worker
// -----------------------------------------------------------------------------------------------------------------------------------

void dx_worker_rest(dx_worker *worker) {
    if (DX_UNLIKELY(worker->drained && worker->live == 0)) dx_loop_stop(worker->loop);
}

static void on_drained(void *ctx) {
    dx_worker *worker = ctx;
    worker->drained = true;
    dx_worker_rest(worker);
}

static void drain(dx_task *task) {
    dx_worker *worker = DX_CONTAINER_OF(task, dx_worker, drain);
    dx_listener_drain(worker->listener, worker->app->settings.drain, on_drained, worker);
}

static dx_status start_features(dx_worker *worker) {
    for (size_t i = 0; dx_features[i]; i++) {
        if (!dx_features[i]->start) continue;
        dx_status status = dx_features[i]->start(worker->app->states[i], worker->app, worker->index, worker->loop);
        if (status != DX_OK) return status;
    }
    return DX_OK;
}

static dx_status start_listener(dx_worker *worker) {
    const dx_settings *settings = &worker->app->settings;
    dx_listener_options options = {.host = settings->host,
                                   .port = worker->port,
                                   .reuse_port = worker->reuse_port,
                                   .probe = worker->index == 0,
                                   .limits = settings->limits,
                                   .arena_cap = (size_t)settings->arena_cap,
                                   .ops = &dx_serve_ops,
                                   .ctx = worker};
    return dx_listener_start(&worker->listener, worker->loop, &options, worker->diags);
}

static dx_status start_worker(dx_worker *worker) {
    dx_app *app = worker->app;
    dx_status status = dx_loop_create(&worker->loop);
    if (status != DX_OK) return status;
    dx_request_logger_init(&worker->logger, app->log, worker->loop);
    worker->session = dx_store_session(app->store, worker->index, worker->loop);
    if (!worker->session) return DX_NO_MEMORY;
    status = start_features(worker);
    return status == DX_OK ? start_listener(worker) : status;
}

typedef struct worker_run {
    runner *run;
    dx_worker *worker;
} worker_run;

static void *work(void *arg) {
    worker_run *w = arg;
    runner *run = w->run;
    dx_worker *worker = w->worker;
    dx_status status = start_worker(worker);
    pthread_mutex_lock(&run->lock);
    worker->status = status;
    run->is_started = true;
    pthread_cond_signal(&run->started);
    pthread_mutex_unlock(&run->lock);
    if (status == DX_OK && (status = dx_loop_run(worker->loop)) != DX_OK) worker->status = status;
    dx_listener_destroy(worker->listener);
    worker->listener = NULL;
    dx_request_logger_deinit(&worker->logger);
    atomic_fetch_sub(&run->running, 1);
    wake(run->wake);
    return NULL;
}

// --- the main thread
// ------------------------------------------------------------------------------------------------------------------------------

// Starts one worker and waits until it listens. One after another, so that all get the port that the first one was given.
static dx_status launch(runner *run, worker_run *w, unsigned *launched) {
    run->is_started = false;
    atomic_fetch_add(&run->running, 1);
    if (pthread_create(&w->worker->thread, NULL, work, w) != 0) {
        atomic_fetch_sub(&run->running, 1);
        return DX_UNAVAILABLE;
    }
    ++*launched;
    pthread_mutex_lock(&run->lock);
    while (!run->is_started) pthread_cond_wait(&run->started, &run->lock);
    dx_status status = w->worker->status;
    pthread_mutex_unlock(&run->lock);
    w->worker->is_up = status == DX_OK;
    return status;
}

static dx_status launch_all(runner *run, worker_run *runs, unsigned *launched, dx_diags *diags) {
    dx_app *app = run->app;
    uint16_t port = app->settings.port;
    for (unsigned i = 0; i < app->worker_count; i++) {
        dx_worker *worker = &app->workers[i];
        worker->port = port;
        worker->reuse_port = app->worker_count > 1;
        worker->diags = diags;
        worker->drain.run = drain;
        runs[i] = (worker_run){run, worker};
        dx_status status = launch(run, &runs[i], launched);
        if (status != DX_OK) return status;
        port = dx_listener_port(worker->listener);
    }
    return DX_OK;
}

static void announce(const dx_app *app, void (*listening)(void *ctx, const char *url), void *ctx) {
    char url[320];
    const char *host = app->settings.host;
    bool six = strchr(host, ':') != NULL;
    dx_log_record record;
    snprintf(url, sizeof url, six ? "http://[%s]:%u" : "http://%s:%u", host, (unsigned)dx_listener_port(app->workers[0].listener));
    if (dx_log_enabled(DX_LOG_INFO)) {
        dx_log_begin(&record, DX_LOG_INFO, "listening");
        dx_log_text(&record, "url", dx_slice_str(url));
        dx_log_int(&record, "workers", app->worker_count);
        dx_log_end(&record);
    }
    if (listening) listening(ctx, url);
}

static void drain_all(dx_app *app, unsigned launched) {
    atomic_store_explicit(&app->draining, true, memory_order_relaxed);
    for (unsigned i = 0; i < launched; i++)
        if (app->workers[i].is_up) dx_loop_post(app->workers[i].loop, &app->workers[i].drain);
    dx_log(DX_LOG_INFO, "draining", "no new requests are taken; those under way are answered");
}

// Until every worker is done. With `stop`, they are told so at once.
static void wait_for_workers(runner *run, unsigned launched, bool stop) {
    bool draining = false;
    for (;;) {
        if (!draining && (stop || atomic_load(&signals_seen) > 0)) {
            draining = true;
            drain_all(run->app, launched);
        }
        if (atomic_load(&run->running) == 0) return;
        struct pollfd one = {.fd = run->wake, .events = POLLIN};
        uint64_t count;
        if (poll(&one, 1, -1) > 0 && read(run->wake, &count, sizeof count) < 0 && errno != EAGAIN && errno != EINTR) return;
    }
}

static dx_status serve(runner *run, void (*listening)(void *ctx, const char *url), void *ctx, dx_diags *diags) {
    dx_app *app = run->app;
    unsigned launched = 0;
    worker_run *runs = DX_ARENA_ARRAY(app->arena, worker_run, app->worker_count);
    if (!runs) return DX_NO_MEMORY;
    dx_status status = DX_OK;
    if (app->settings.log_requests && dx_log_enabled(DX_LOG_INFO)) status = dx_request_log_start(&app->log, STDERR_FILENO);
    if (status == DX_OK) status = launch_all(run, runs, &launched, diags);
    if (status == DX_OK) announce(app, listening, ctx);
    wait_for_workers(run, launched, status != DX_OK);
    for (unsigned i = 0; i < launched; i++) pthread_join(app->workers[i].thread, NULL);
    dx_request_log_stop(app->log);
    app->log = NULL;
    for (unsigned i = 0; i < launched && status == DX_OK; i++) status = app->workers[i].status;
    if (status == DX_OK) dx_log(DX_LOG_INFO, "stopped", "every request was answered");
    return status;
}

dx_status dx_app_serve(dx_app *app, void (*listening)(void *ctx, const char *url), void *ctx, dx_diags *diags) {
    struct sigaction old[DX_COUNT_OF(handled)];
    runner run = {.app = app, .wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
    if (run.wake < 0) return DX_UNAVAILABLE;
    pthread_mutex_init(&run.lock, NULL);
    pthread_cond_init(&run.started, NULL);
    int before = install_handlers(old, run.wake);
    dx_status status = serve(&run, listening, ctx, diags);
    restore_handlers(old, before);
    pthread_cond_destroy(&run.started);
    pthread_mutex_destroy(&run.lock);
    close(run.wake);
    return status;
}
