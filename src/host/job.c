// A job: one change of what is served, or a question about it, on a thread of its own, so that neither a worker nor the main thread waits
// for files and tables. There is one at a time; who asks meanwhile waits in the control socket's queue, and signals keep their flag.
#include <unistd.h>

#include "base/memory.h"
#include "host/parts.h"

#define JOB_ARENA_CAP (64u << 20)
#define LOGGED_CAP    20 // findings that the log is told of; the rest are counted

// --- telling
// ----------------------------------------------------------------------------------------------------------------------------------

static void log_outcome(const dx_report *report, const char *done, const char *refused, dx_nanos began) {
    dx_log_record record;
    size_t told = 0;
    for (const dx_diag *diag = report->findings.first; diag && told < LOGGED_CAP; diag = diag->next, told++) {
        dx_log_begin(&record, DX_LOG_ERROR, "finding");
        dx_log_text(&record, "message", dx_diag_text(diag, report->arena));
        dx_log_end(&record);
    }
    dx_log_begin(&record, report->status == DX_OK ? DX_LOG_INFO : DX_LOG_ERROR, report->status == DX_OK ? done : refused);
    if (report->status != DX_OK) {
        dx_log_text(&record, "error", dx_slice_str(dx_status_code(report->status)));
        dx_log_int(&record, "findings", (int64_t)report->findings.count);
    }
    dx_log_micros(&record, "duration_us", dx_clock_monotonic() - began);
    dx_log_end(&record);
}

// --- doing
// ------------------------------------------------------------------------------------------------------------------------------------

static void reload(dx_host *host, dx_report *report) {
    dx_nanos began = dx_clock_monotonic();
    dx_systemd_reloading();
    dx_host_reload(host, report);
    dx_systemd_tell(report->status == DX_OK ? "READY=1\nSTATUS=serving" : "READY=1\nSTATUS=serving; the last reload was refused");
    log_outcome(report, "reloaded", "reload_refused", began);
}

static void upgrade(dx_host *host, dx_report *report) {
    dx_nanos began = dx_clock_monotonic();
    dx_host_upgrade(host, report);
    log_outcome(report, "handed_over", "upgrade_refused", began);
}

// Reads the file as a reload would, offline: nothing of this process or of its store is touched.
static void plan(dx_host *host, dx_report *report) {
    dx_app *next = NULL;
    dx_app_options options = host->options->app;
    options.offline = true;
    report->status = dx_app_create(&next, &options, &report->findings);
    if (report->status == DX_OK) report->status = dx_app_plan(host->app, next, report->arena, report->doc, report->root);
    dx_app_destroy(next);
}

static const struct {
    dx_slice name;
    void (*run)(dx_host *host, dx_report *report);
} requests[] = {{DX_SLICE_INIT("reload"), reload}, {DX_SLICE_INIT("upgrade"), upgrade}, {DX_SLICE_INIT("plan"), plan}};

static void answer_request(dx_job *job, dx_report *report) {
    yyjson_val *request;
    report->status = dx_control_read(job->connection, report->arena, &request);
    if (report->status != DX_OK) return;
    dx_slice wanted = dx_json_member_slice(request, "do");
    for (size_t i = 0; i < DX_COUNT_OF(requests); i++) {
        if (!dx_slice_equal(wanted, requests[i].name)) continue;
        requests[i].run(job->host, report);
        return;
    }
    report->status = DX_NOT_IMPLEMENTED;
    dx_diags_add(&report->findings, DX_NOT_IMPLEMENTED, (dx_slice){NULL, 0},
                 "this server (duplex " DX_VERSION ") does not know the request \"%.*s\"", DX_SLICE_ARG(wanted));
}

static bool make_report(dx_report *report) {
    *report = (dx_report){.arena = dx_arena_create(JOB_ARENA_CAP)};
    report->doc = report->arena ? dx_json_mut_doc(report->arena) : NULL;
    report->root = report->doc ? yyjson_mut_obj(report->doc) : NULL;
    if (report->root) dx_diags_init(&report->findings, report->arena);
    return report->root != NULL;
}

static void work(dx_job *job) {
    dx_report report;
    if (!make_report(&report)) {
        dx_log(DX_LOG_ERROR, "reload_refused", "there is not enough memory to look at it");
    } else if (job->kind == DX_JOB_REQUEST) {
        answer_request(job, &report);
        dx_control_answer(job->connection, &report);
    } else if (job->kind == DX_JOB_UPGRADE) {
        upgrade(job->host, &report);
    } else {
        reload(job->host, &report);
    }
    dx_arena_destroy(report.arena);
}

static void *run(void *arg) {
    dx_job *job = arg;
    work(job);
    if (job->connection >= 0) close(job->connection);
    atomic_store(&job->done, true);
    dx_host_wake(job->host->wake);
    return NULL;
}

void dx_job_start(dx_host *host, dx_job_kind kind, int connection) {
    dx_job *job = &host->job;
    job->host = host;
    job->kind = kind;
    job->connection = connection;
    atomic_store(&job->done, false);
    job->running = pthread_create(&job->thread, NULL, run, job) == 0;
    if (job->running) return;
    dx_log(DX_LOG_ERROR, "reload_refused", "no thread can be had for it");
    if (connection >= 0) close(connection);
}

bool dx_job_over(dx_job *job) {
    return job->running && atomic_load(&job->done);
}

void dx_job_join(dx_job *job) {
    if (job->running) pthread_join(job->thread, NULL);
    job->running = false;
}
