// The host: the process that serves. It has the workers (a thread, a loop and a listener each), the sockets, the signals and the store, and
// outlives the definition that it began with. SIGTERM and SIGINT drain: nothing new is accepted, what is being answered is finished; a
// second one stops at once. SIGHUP takes the definition anew; SIGUSR2 hands over to a new process of the program.
#ifndef DX_HOST_HOST_H
#define DX_HOST_HOST_H

#include "server/app.h"

typedef struct dx_host_options {
    dx_app_options app;
    // Told the address once connections are accepted. NULL: nobody is.
    void (*listening)(void *ctx, const char *url);
    void *ctx;
    // How the program was started, for handing over to a new process of it: where it lies, or its name to be looked for, and its words, the
    // first one too, NULL at the end. NULL: it can't hand over.
    const char *program;
    const char *const *words;
} dx_host_options;

// Builds the app and serves it until it is told to stop. Blocks; one at a time in a process, for the signals are the process's. What is
// wrong with the definition is in `diags`.
dx_status dx_host_serve(const dx_host_options *options, dx_diags *diags) DX_MUST_USE;

#endif
