// What the files of this room share, and nobody else sees: the host and its workers.
#ifndef DX_HOST_PARTS_H
#define DX_HOST_PARTS_H

#include <pthread.h>
#include <signal.h>

#include "host/host.h"
#include "server/parts.h"

typedef struct dx_host dx_host;

// What the host knows of a worker; the worker itself (server/worker.h) is the process's.
typedef struct dx_seat {
    dx_host *host;
    dx_worker *worker;
    pthread_t thread;
    dx_task drain;
    dx_status status;
    bool is_up;      // the main thread's
    dx_diags *diags; // for starting
    uint16_t port;
    bool reuse_port;
} dx_seat;

struct dx_host {
    dx_app *app; // what is served now
    dx_process *process;
    int wake;            // eventfd of the main thread
    dx_seat *seats;      // one a worker
    unsigned launched;   // of them
    atomic_uint running; // of these
    pthread_mutex_t lock;
    pthread_cond_t started;
    bool is_started;
};

void dx_host_wake(int descriptor);

// --- workers.c
// Starts every worker, one after another. What was started is to be waited for, whatever this says.
dx_status dx_workers_launch(dx_host *host, dx_diags *diags) DX_MUST_USE;
void dx_workers_drain(dx_host *host);
void dx_workers_join(dx_host *host); // DX_OK, or what ended the first that did not end well
dx_status dx_workers_outcome(const dx_host *host);

// --- signals.c
#define DX_SIGNALS_HANDLED 3
typedef struct dx_signals {
    struct sigaction old[DX_SIGNALS_HANDLED];
    int before;
} dx_signals;
// From now on signals wake `descriptor`, an eventfd; and back to what was before.
void dx_signals_take(dx_signals *signals, int descriptor);
void dx_signals_give_back(const dx_signals *signals);
bool dx_signals_stop_asked(void);

#endif
