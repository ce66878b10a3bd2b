// A call: one request of a program's, from its parameters to its answer. It lies in an arena of its own with all that belongs to it:
// exchange, request, answer. Whoever holds it (the caller's handle, the engine while it is under way, responses that are kept) holds the
// arena.
#ifndef DX_CLIENT_CALL_H
#define DX_CLIENT_CALL_H

#include "client/auth.h"
#include "client/bind.h"
#include "client/engine.h"
#include "duplex/middleware.h"
#include "loop/alarm.h"

struct dx_response {
    int status;
    dx_fields fields;
    dx_slice body;
    dx_cache_state cache;
    unsigned attempts;
    dx_nanos took;
    dx_nanos spent[DX_PHASE_COUNT];
    _Atomic(struct dx_parsed *) parsed; // the body as JSON, once it was asked for
};

typedef enum dx_call_state { DX_CALL_UNDER_WAY, DX_CALL_OVER } dx_call_state;

struct dx_call {
    dx_exchange x;
    dx_transfer transfer;
    dx_response response;
    dx_arena *arena;
    atomic_size_t holders;
    atomic_int state; // dx_call_state
    atomic_bool cancel_asked, posted_resume, told;
    atomic_uint posters;  // threads that post something of it now
    struct dx_pool *pool; // of its arena
    struct dx_client *client;
    dx_engine *engine;
    dx_apis *apis; // held
    const dx_endpoint *endpoint;
    const dx_settings *settings;
    dx_bound bound;
    dx_sink sink;
    bool has_sink, has_response, answered, streaming, head_told, fresh, only_cached, raise;
    bool synchronous; // `over` ends a wait on this thread
    bool over;
    bool *ended;      // set when it ends while it begins; NULL: it does not begin just now
    bool keeps_alive; // a borrowed loop
    bool internal;    // of the client's own (tokens, warming, health): not counted, no callback of the user's
    dx_call_done done;
    void *done_ctx;
    dx_error *error;       // once it is over
    dx_call *next, **link; // among the engine's
    dx_timer deadline;     // coarse, for long ones
    dx_alarm alarm;        // for short ones
    dx_task start, stop, go_on;
    dx_slice correlation_id;
    const char *endpoint_name; // NUL-terminated, outlives the snapshot
    unsigned redirects;
    bool left_origin;                  // one of them led to another origin
    struct dx_meter *meter;            // NULL: not counted
    uint64_t received;                 // bytes, of a stream
    struct dx_call_secret *secrets;    // of this call alone (log_secret.c)
    struct dx_redactor *own_redactor;  // of those, once it is needed
    struct dx_call_log *log;           // what was logged of its attempts
    dx_middleware_view *middleware;    // NULL: none runs
    dx_exchange_request *unredirected; // as it was before the first of them
    dx_upload *upload;                 // of the request as it is sent now; a redirect may take it away
    struct dx_hedging *hedging;        // of the attempt; NULL: none
};

// From name or method and path to a call that is ready to start; held once, by the caller. `engine` may be set later. Takes over the
// caller's hold of `apis`, whatever comes of it.
dx_error_code dx_call_create(dx_call **out, struct dx_client *client, const dx_asked *asked, dx_apis *apis, dx_error *error) DX_MUST_USE;
// A call of the same endpoint and settings whose request `fill` writes, into the new call's arena.
dx_error_code dx_call_clone(dx_call **out, const struct dx_call *from,
                            bool (*fill)(dx_bound *to, dx_arena *arena, const struct dx_call *from)) DX_MUST_USE;
// On the engine's thread, where its loop is borrowed: it runs on until the call is over.
void dx_call_keep_alive(dx_call *call);
// On the engine's thread: begins it; `call->engine` is set. The engine holds it until it is over.
void dx_call_begin(dx_call *call);
// On the engine's thread: ends it early.
void dx_call_stop(dx_call *call, dx_error_code why, const char *detail);
void dx_call_hold(dx_call *call);
// From now on nothing is posted to its engine, which may go when its calls are over.
void dx_call_set_over(dx_call *call);

// The handler of every chain: sends the request, through the queue.
dx_verdict dx_call_send(const void *conf, dx_exchange *x);
static inline dx_call *dx_call_of(dx_exchange *x) {
    return DX_CONTAINER_OF(x, dx_call, x);
}
// Puts the request's URL together from secure, authority and target; false without memory.
bool dx_call_write_url(dx_call *call);

#endif
