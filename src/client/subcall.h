// A request of the library's own: to a token endpoint, a login. It has an exchange and an arena of its own, goes through the engine's queue
// and transport like any other, and through no chain: no auth, no retries, no redirects, which a credential must never follow. All on the
// engine's thread.
#ifndef DX_CLIENT_SUBCALL_H
#define DX_CLIENT_SUBCALL_H

#include "client/engine.h"

#define DX_SUBCALL_BODY_CAP ((uint64_t)1 << 20) // bytes of an answer

typedef struct dx_subcall dx_subcall;
// Called once, never from inside dx_subcall_start; the subcall and all of its answer are gone when this returns.
typedef void (*dx_subcall_done)(void *ctx, dx_subcall *subcall);

typedef struct dx_subcall_request {
    dx_slice url; // absolute, http or https
    dx_method method;
    const dx_fields *fields;      // may be NULL
    dx_slice body;                // empty: none
    const dx_wire_settings *wire; // outlives the subcall; see dx_subcall_wire
    dx_nanos timeout;             // for all of it; 0: none
} dx_subcall_request;

// A copy of `from` for subcalls, in the arena: with their cap, and a queue and connections of their own. DX_NO_MEMORY.
dx_status dx_subcall_wire(dx_wire_settings *out, dx_arena *arena, const dx_wire_settings *from) DX_MUST_USE;

// Copies url, fields and body. DX_INVALID: the URL can't be called. DX_NO_MEMORY. Whatever goes wrong later is told by `done`.
dx_status dx_subcall_start(dx_subcall **out, dx_engine *engine, const dx_subcall_request *request, dx_subcall_done done,
                           void *ctx) DX_MUST_USE;
void dx_subcall_cancel(dx_subcall *subcall); // `done` is not called; takes NULL

// --- from `done`
// DX_ERROR_NONE: the server answered, whatever the status.
dx_error_code dx_subcall_failure(const dx_subcall *subcall, dx_slice *detail);
const dx_exchange_response *dx_subcall_response(const dx_subcall *subcall);
dx_arena *dx_subcall_arena(dx_subcall *subcall);

// --- URLs
typedef struct dx_subcall_place {
    bool secure;
    dx_slice authority, host, target; // the target with its query; "/" where the URL has none
} dx_subcall_place;
// Takes an absolute URL apart; false: it is none, it has a user or a fragment, or bytes that no URL has.
bool dx_subcall_place_read(dx_subcall_place *out, dx_slice url);
bool dx_subcall_is_loopback(dx_slice host); // localhost, 127.0.0.0/8, ::1: what is sent there stays on the machine

#endif
