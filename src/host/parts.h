// What the files of this room share, and nobody else sees: the host, its workers, its sockets, and the jobs that change what is served.
#ifndef DX_HOST_PARTS_H
#define DX_HOST_PARTS_H

#include <pthread.h>
#include <signal.h>

#include "host/host.h"
#include "net/address.h"
#include "server/parts.h"

typedef struct dx_host dx_host;
typedef struct dx_seat dx_seat;

// A call on a worker's thread that another thread waits for.
typedef struct dx_visit {
    dx_task task;
    dx_seat *seat;
    dx_status (*fn)(dx_seat *seat, void *ctx);
    void *ctx;
    dx_status status;
    bool done;
} dx_visit;

// What the host knows of a worker; the worker itself (server/worker.h) is the process's.
struct dx_seat {
    dx_host *host;
    dx_worker *worker;
    pthread_t thread;
    dx_task drain;
    dx_visit visit;
    dx_status status;
    dx_task beat;
    atomic_bool beats; // it has done so since it was last asked
    bool is_up;        // the main thread's
    bool ended;        // its loop runs no more; under the host's lock
    dx_diags *diags;
};

// A socket that listens, of one worker. The host has a descriptor of its own for each, which is what a new process is given.
typedef struct dx_host_socket {
    char *address; // as the settings say it
    int fd;        // the host's; -1: closed
    int taken;     // the listener's descriptor of the same socket; -1: not given to it yet
    int spare;     // for the listener, so that going over needs no more descriptors than there were before; -1: none
    unsigned nth;  // of those with the same address
    unsigned worker;
    unsigned place; // among those that systemd passed, from 1; 0: not of these
    bool fresh;     // opened for a definition that is not served yet
    bool foreign;   // somebody else's: of systemd, whose file is not ours to take away
} dx_host_socket;

typedef struct dx_sockets {
    pthread_mutex_t lock;
    dx_host_socket *rows;
    size_t count, capacity;
} dx_sockets;

// One change of what is served at a time, on a thread of its own.
typedef enum dx_job_kind {
    DX_JOB_RELOAD,
    DX_JOB_UPGRADE,
    DX_JOB_REQUEST // whatever the peer at the control socket asks for
} dx_job_kind;
typedef struct dx_job {
    dx_host *host;
    dx_job_kind kind;
    int connection; // of DX_JOB_REQUEST
    pthread_t thread;
    bool running; // the main thread's
    atomic_bool done;
} dx_job;

struct dx_host {
    const dx_host_options *options;
    dx_app *app; // what is served now; changed by the job alone, read by others under `lock`
    dx_process *process;
    int wake;            // eventfd of the main thread
    dx_seat *seats;      // one a worker
    unsigned launched;   // of them
    atomic_uint running; // of these
    dx_sockets sockets;
    dx_job job;
    int control;                  // listening; -1: none
    dx_nanos control_at;          // not looked at before
    dx_app *retired;              // under `lock`: apps that are served no more but still used, newest first
    dx_app *vacated;              // under `lock`: apps that nobody uses any more
    int stopping;                 // eventfd, readable once the process drains: jobs that wait for others give up
    int predecessor;              // the channel to the process that hands over to this one, until it has; else -1
    bool succeeds;                // was started by one
    bool took_over;               // and has its sockets for good
    dx_nanos beat_every, beat_at; // of systemd's watchdog; 0: none
    bool draining;                // the main thread's
    bool handed_over;             // under `lock`: another process has the sockets
    pthread_mutex_t lock;
    pthread_cond_t changed; // a worker is up, a visit is over, a worker has ended
    bool is_started;
};

// What a job has to say: to whoever asked, and to the log.
typedef struct dx_report {
    dx_status status;
    dx_diags findings;
    dx_arena *arena;
    yyjson_mut_doc *doc; // more for whoever asked
    yyjson_mut_val *root;
} dx_report;

void dx_host_wake(int descriptor);

// --- workers.c
// Starts every worker, one after another. What was started is to be waited for, whatever this says.
dx_status dx_workers_launch(dx_host *host, dx_diags *diags) DX_MUST_USE;
void dx_workers_drain(dx_host *host, bool polite);
void dx_workers_join(dx_host *host);
dx_status dx_workers_outcome(const dx_host *host); // DX_OK, or what ended the first that did not end well
// Calls `fn` on every worker's thread, between two turns of its loop, one worker after another; from no worker's thread. The first that
// fails ends it. DX_CANCELLED: a worker has ended.
dx_status dx_workers_visit(dx_host *host, dx_status (*fn)(dx_seat *seat, void *ctx), void *ctx) DX_MUST_USE;
// Asks every worker to show that its loop goes round; whether all have since they were last asked.
bool dx_workers_beat(dx_host *host);
dx_status dx_worker_start_features(dx_worker *worker, dx_app *app) DX_MUST_USE;

// --- sockets.c
void dx_sockets_init(dx_sockets *sockets);
void dx_sockets_deinit(dx_sockets *sockets);
bool dx_socket_listens(int fd); // it is a socket of connections, and listens
// A socket that was opened elsewhere; the descriptor is the table's from now on, also when this fails.
dx_status dx_sockets_take(dx_sockets *sockets, int fd, dx_slice address, unsigned nth, bool foreign) DX_MUST_USE;
// Gives every worker a socket at each address of the app that it has none at.
dx_status dx_sockets_open(dx_sockets *sockets, const dx_app *app, unsigned workers, dx_diags *diags) DX_MUST_USE;
void dx_sockets_abandon(dx_sockets *sockets); // closes those that were opened for a definition that is not to be served
// On the worker's thread: its listener goes over to the app's endpoints.
dx_status dx_sockets_adopt(dx_sockets *sockets, dx_worker *worker, const dx_app *app) DX_MUST_USE;
// Before workers adopt the app: the host lets go of sockets that the app does not listen at. And after: forgets them.
void dx_sockets_let_go(dx_sockets *sockets, const dx_app *app);
void dx_sockets_settle(dx_sockets *sockets, const dx_app *app);
// The host's descriptors, so that a listener's is the last one. `remove`: the files of unix sockets too.
void dx_sockets_close(dx_sockets *sockets, bool remove);
// What is spoken at the app's n-th address; without a descriptor. The app must outlive its use.
void dx_app_endpoint(const dx_app *app, size_t listen, dx_endpoint *out);
void dx_sockets_describe(dx_sockets *sockets, const dx_app *app, size_t listen, char out[DX_SOCKET_TEXT_CAP]);

// --- reload.c
// Takes the definition's file as it is now. On anything but DX_OK nothing has changed.
void dx_host_reload(dx_host *host, dx_report *report);
// The main thread's part: takes down what nobody uses any more.
void dx_host_bury(dx_host *host);
void dx_host_bury_all(dx_host *host); // when no loop runs any more
int dx_host_patience(dx_host *host);  // milliseconds until there is something to bury; -1: until it is woken
void dx_host_vacated(dx_process *process, dx_app *app);
static inline bool dx_app_logs_requests(const dx_app *app) {
    return app->settings.log_requests && app->settings.log_level <= DX_LOG_INFO;
}

// --- handover.c
// Starts the program anew, gives it the sockets, and lets it go on. On anything but DX_OK this process goes on as it was.
void dx_host_upgrade(dx_host *host, dx_report *report);
// In the new process: takes the sockets, when it was started by an old one; says that it stands ready, and waits until it may accept; ends
// the channel when it can be asked in turn; or says why it can't.
dx_status dx_handover_begin(dx_host *host, dx_diags *diags) DX_MUST_USE;
dx_status dx_handover_ready(dx_host *host) DX_MUST_USE;
void dx_handover_end(dx_host *host);
void dx_handover_fail(dx_host *host, dx_status status, const dx_diags *diags);

// --- systemd.c
void dx_systemd_tell(const char *text); // to the service manager, if there is one
void dx_systemd_reloading(void);
dx_status dx_systemd_take(dx_host *host) DX_MUST_USE; // the sockets that it passed, as "systemd:NAME"
dx_nanos dx_systemd_watchdog(bool took_over);         // how often it wants to hear of us; 0: never

// --- privileges.c
// Becomes server.user, for good. Before threads.
dx_status dx_privileges_drop(const dx_app *app, dx_diags *diags) DX_MUST_USE;

// --- job.c
// Starts it on a thread; `connection` is closed by it.
void dx_job_start(dx_host *host, dx_job_kind kind, int connection);
// Whether it is over; then its thread is joined.
bool dx_job_over(dx_job *job);
void dx_job_join(dx_job *job); // waits, if there is one

// --- control.c
// The control socket of this process, for the definition at `path`. -1: none can be had, which is logged.
int dx_control_open(const char *path);
// Who connected, when it is one of our own; -1: nobody, and errno says why.
int dx_control_accept(int control);
dx_status dx_control_read(int connection, dx_arena *arena, yyjson_val **request) DX_MUST_USE;
void dx_control_answer(int connection, dx_report *report);

// --- signals.c
#define DX_SIGNALS_HANDLED 5
typedef struct dx_signals {
    struct sigaction old[DX_SIGNALS_HANDLED];
    int before;
} dx_signals;
// From now on signals wake `descriptor`, an eventfd; and back to what was before.
void dx_signals_take(dx_signals *signals, int descriptor);
void dx_signals_give_back(const dx_signals *signals);
bool dx_signals_stop_asked(void);
bool dx_signals_take_reload(void); // whether SIGHUP came since the last time
bool dx_signals_take_upgrade(void);

#endif
