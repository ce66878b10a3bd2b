// Auth handlers: what makes a request somebody's. A handler is a const ops struct over an object that is made once for settings and shared
// by all loops; it adds fields (or query parameters, or cookies) to the request, at once or after it has got a token, and can be asked for
// a new one when the server refused the old (401).
#ifndef DX_CLIENT_AUTH_H
#define DX_CLIENT_AUTH_H

#include "base/map.h"
#include "client/apis.h"
#include "exchange/chain.h"

struct dx_engine;
struct dx_client;

// What a handler is made of.
typedef struct dx_auth_plan {
    yyjson_val *settings; // the auth object; lives during `create` only
    dx_slice upstream;    // who it is for ("github"), for stores and messages
    dx_slice at;          // where it stands: findings have pointers below it
    dx_diags *diags;
    struct dx_client *client;
    const dx_wire_settings *wire; // the API's, for requests of the handler's own
    bool secure;                  // of the API, as the next two: "https", "api.example.com", "/v3"
    dx_slice authority, base_path;
} dx_auth_plan;

typedef struct dx_auth dx_auth;
typedef struct dx_auth_ops {
    const char *type; // "bearer"
    dx_status (*create)(dx_auth **out, const dx_auth_plan *plan);
    // Adds the credential to x->request. DX_NEXT: done. DX_WAIT: dx_exchange_resume comes, with DX_NEXT or (failed out, DX_ERROR_AUTH)
    // DX_ANSWER; x->stop is set meanwhile. DX_ANSWER: failed out.
    dx_verdict (*apply)(dx_auth *auth, struct dx_engine *engine, dx_exchange *x);
    // The server answered 401 to what was applied (or 403, with `refused_by_403`): whether another try may help, since the credential was,
    // or will be, made anew by the next `apply`. NULL: never. Must not block.
    bool (*refused)(dx_auth *auth, dx_exchange *x);
    // It answered otherwise: what was applied is good. For every answer, so brief. NULL: nothing to do.
    void (*accepted)(dx_auth *auth, dx_exchange *x);
    // The identity behind it, for cache keys and limits: the same credential, the same text; no secret in it. NULL: the hash of the
    // settings.
    dx_slice (*identity)(dx_auth *auth, dx_arena *arena);
    void (*destroy)(dx_auth *auth);
    bool refused_by_403;
    bool signs; // what is applied holds for one method and target alone; `apply` never waits
} dx_auth_ops;

struct dx_auth {
    const dx_auth_ops *ops;
    atomic_size_t holders;
    char identity[33]; // hex, NUL: what it is as a key
};

extern const dx_auth_ops *const dx_auth_handlers[]; // NULL-terminated: the table of types

// The handler for an auth object of the definition. DX_INVALID with findings.
dx_status dx_auth_create(dx_auth **out, const dx_auth_plan *plan) DX_MUST_USE;
dx_auth *dx_auth_hold(dx_auth *auth);
void dx_auth_release(dx_auth *auth); // takes NULL

// --- for handlers: adding to a request; all copy nothing, and return false without memory (or, as HTTP has it, for a value with a line
// break)
bool dx_auth_add_field(dx_exchange *x, dx_slice name, dx_slice value);
bool dx_auth_add_query(dx_exchange *x, dx_slice name, dx_slice value); // percent-encoded
bool dx_auth_add_cookie(dx_exchange *x, dx_slice name, dx_slice value);
void dx_auth_set_body(dx_exchange *x, dx_slice body); // until the next attempt

// What the filter keeps of a call: the request as it was before the handler, and what the handler knows it by.
typedef struct dx_auth_applied {
    dx_slice target, body;
    dx_slice query; // the pair that the handler added to the target; empty: none
    dx_fields fields;
    bool replayed;
    uint64_t serial; // the handler's: which of its credentials was applied
    void *waiting;   // likewise: what it waits by
} dx_auth_applied;
static inline dx_auth_applied *dx_auth_applied_of(dx_exchange *x) {
    return x->slots[DX_SLOT_AUTH];
}

// A redirect within the API's own origin leads the request elsewhere: it is signed anew, and what is to stand in the query stands there.
// DX_NEXT, or DX_ANSWER when it has failed out.
dx_verdict dx_auth_follow(dx_exchange *x);

// The filter: applies the call's auth before each attempt, takes it off again, and has a 401 lead to one new credential and one replay.
extern const dx_filter_ops dx_auth_filter;        // conf: dx_auth
dx_auth *dx_auth_of_chain(const dx_chain *chain); // NULL: there is none

#endif
