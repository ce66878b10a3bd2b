// Workers and the process: what outlives a snapshot of the definition. An app (dx_app) is built from one definition and never changed; the
// *process* has the workers, the store and the log, and lets its workers go from one app to the next. A worker has one app that new
// exchanges start on, and may still have exchanges of older ones under way: each app counts, worker by worker, who uses it, and is taken
// down when every worker has left it and nothing of it is under way. The room `host` runs all this; here is what serving must know of it.
#ifndef DX_SERVER_WORKER_H
#define DX_SERVER_WORKER_H

#include <stdatomic.h>

#include "exchange/flow.h"
#include "loop/loop.h"
#include "net/http_server.h"
#include "server/feature.h"
#include "server/overload.h"

typedef struct dx_request_log dx_request_log; // one a process
typedef struct dx_log_page dx_log_page;
typedef struct dx_request_logger { // one a worker
    dx_request_log *log;           // NULL: off
    dx_log_page *page;
    dx_timer timer;
    dx_loop *loop;
    uint64_t dropped;
} dx_request_logger;

typedef struct dx_parks { // park.c's, one a worker: whose bodies wait in files for their turn to be in memory
    struct dx_call *first, **end;
    unsigned seated; // those whose turn it is
    dx_deferred turns;
} dx_parks;

typedef struct dx_process dx_process;
typedef struct dx_worker {
    dx_app *app; // what new exchanges start on; changes between two turns of the loop alone
    dx_process *process;
    unsigned index;
    dx_loop *loop;
    dx_session *session;
    dx_listener *listener;
    dx_request_logger logger;
    dx_flows flows; // exchanges whose bodies stream
    dx_overload overload;
    dx_parks parks;
    uint64_t random[2];
    size_t live;  // streams under way, of whatever app
    bool drained; // the listener has said so: the worker ends with its last stream
} dx_worker;

// A worker's time with one app. Its own, so that counting costs no shared cache line.
typedef struct dx_tenure {
    size_t uses;   // exchanges under way, and what features hold (dx_app_hold)
    bool left;     // the worker starts nothing on it any more
    bool vacating; // the task is on its way
    dx_app *app;
    dx_task vacate;
    char apart[128 - sizeof(size_t) - 2 * sizeof(bool) - sizeof(void *) - sizeof(dx_task)];
} dx_tenure;

struct dx_process {
    dx_arena *arena;
    atomic_uint holders; // the apps, and whoever runs it
    dx_worker *workers;
    unsigned worker_count;
    dx_store *store;
    dx_slice store_url;
    dx_request_log *log;
    struct dx_tls_tickets *tickets; // NULL: no TLS yet
    struct dx_gate *gate;           // whom connections of all workers pass
    dx_nanos up_since;
    atomic_bool draining;
    // Set by the host. `vacated`: the last use of an app by its last worker is over; on that worker's thread. `rested`: a drained worker
    // has no stream left.
    void (*vacated)(dx_process *process, dx_app *app);
    void (*rested)(dx_worker *worker);
    void *host;
};

dx_status dx_process_create(dx_process **out, unsigned workers) DX_MUST_USE;
dx_process *dx_process_hold(dx_process *process);
// When every loop has stopped: closes the store, which finishes what it has in hand. Before the apps are destroyed, for some of that may be
// theirs.
void dx_process_finish(dx_process *process);
// The last one finishes it and destroys the loops. Takes NULL.
void dx_process_release(dx_process *process);

// On the worker's thread: it starts nothing on `app` any more.
void dx_app_leave(dx_app *app, dx_worker *worker);
// What an app says of the log, of errors and of who may connect holds from now on: called when workers begin to use it.
void dx_app_activate(const dx_app *app);

// serve.c, on the worker's thread: tells streams under way to end soon, in order: all of them, because the listener drains; or those that
// run on an app that the worker has left.
void dx_serve_drain(dx_worker *worker);
void dx_serve_retire(dx_worker *worker, const dx_app *app);

// A stream has ended: called by serve.c after it has counted it off.
static inline void dx_worker_rest(dx_worker *worker) {
    if (DX_UNLIKELY(worker->drained) && worker->live == 0) worker->process->rested(worker);
}

#endif
