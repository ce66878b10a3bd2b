// An engine: a loop with its transport, its queues and its calls. A client has one for each of its threads, and lends one to each thread
// that calls synchronously. All of it belongs to the engine's thread; only dx_engine_post is for others.
#ifndef DX_CLIENT_ENGINE_H
#define DX_CLIENT_ENGINE_H

#include <pthread.h>

#include "client/admission.h"
#include "client/transfer.h"

typedef struct dx_engine dx_engine;
struct dx_engine {
    dx_loop *loop;
    dx_transport_use use;
    void *transport;
    dx_admission admission;
    struct dx_call *calls;         // under way
    struct dx_limiter_turn *turns; // of the program's own limiters (client/public_limit.c)
    struct dx_client *client;
    dx_engine *next;        // among those at rest
    dx_engine *made_before; // of the client's, none of which goes before the client
    pthread_t thread;       // of an engine with a thread of its own
    bool threaded, borrowed_loop;
    pthread_t owner;                   // of a borrowed loop: its thread
    size_t keep_alive;                 // calls that such a loop has to run on for
    dx_engine *lent_next, **lent_link; // among those that threads call on
    dx_task ending;                    // ends its calls
};

// With a loop of its own, or on the one given (then not owned).
dx_status dx_engine_create(dx_engine **out, struct dx_client *client, dx_transport_use use, dx_loop *loop) DX_MUST_USE;
// Nothing is under way.
void dx_engine_destroy(dx_engine *engine); // takes NULL

#endif
