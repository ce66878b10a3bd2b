// Keepers of tokens. A keeper holds the token of one API and one auth object for all threads of a client: it is got and renewed once,
// however many calls wait for it, and calls go on with an old one as long as it is good. What it takes to get one (a grant of OAuth, a
// login) is its source's business; where it is kept, its store's.
//
// All renewing of a client is done on one thread of its own, which begins with the first token: a call that gives up, or a thread that only
// called once, takes nothing along that others wait for, and a refresh token that was spent is never lost with the answer.
#ifndef DX_CLIENT_TOKEN_H
#define DX_CLIENT_TOKEN_H

#include "client/auth_settings.h"
#include "client/token_record.h"
#include "client/token_store.h"

// --- sources -------------------------------------------------------------------------------------------------------------------------

typedef struct dx_token_ask {
    dx_slice url;
    dx_method method;
    dx_fields fields;
    dx_slice body;
} dx_token_ask;

typedef enum dx_token_outcome {
    DX_TOKEN_GOT,
    DX_TOKEN_REFUSED, // what we have to show (a refresh token, a code) is not good any more: invalid_grant
    DX_TOKEN_FAILED,  // it will not get better by itself soon
    DX_TOKEN_BUSY     // it may: no connection, 5xx, 429
} dx_token_outcome;

// All on the thread that renews.
typedef struct dx_token_source_ops {
    // How to renew `old`, or (NULL) to get one anew. Texts in the arena. DX_UNAUTHENTICATED: only a person can get one; `*why` says how.
    // DX_INVALID with `*why`, DX_NO_MEMORY.
    dx_status (*ask)(void *source, dx_arena *arena, const dx_token *old, dx_token_ask *out, dx_slice *why);
    // What came of it. `out`: access, refresh (empty: the old one stays), scope, expires (0: not said). `*why` is for people: no secrets.
    // `old` as for `ask`.
    dx_token_outcome (*take)(void *source, dx_arena *arena, const dx_exchange_response *response, const dx_token *old, dx_token *out,
                             dx_slice *why);
    void (*destroy)(void *source);
} dx_token_source_ops;

typedef struct dx_token_settings {
    dx_nanos leeway;   // renewed so long before the end; negative: a tenth of the lifetime, a minute at most
    dx_nanos cooldown; // after a failure
    dx_nanos timeout;  // of one exchange
    int64_t default_lifetime_s;
} dx_token_settings;

void dx_token_settings_read(dx_token_settings *out, dx_auth_reader *reader);
#define DX_TOKEN_SETTINGS_NAMES "leeway", "cooldown", "token_timeout", "default_expires_in", "store", "allow_http"

// --- keepers -------------------------------------------------------------------------------------------------------------------------

typedef struct dx_tokens dx_tokens;
typedef struct dx_token_set dx_token_set;

typedef struct dx_tokens_plan {
    dx_slice settings; // all that it depends on, as text: equal text, one keeper
    dx_slice key;      // hex, without anything that rotates: what its record is found by
    dx_slice upstream;
    dx_token_settings times;
    const dx_wire_settings *wire;
    const dx_token_source_ops *ops;
    void *source;          // becomes the keeper's, also when there is one already or this fails
    dx_token_store *store; // likewise
} dx_tokens_plan;

// The keeper for a plan; held once more. Any thread. DX_NO_MEMORY.
dx_status dx_tokens_get(dx_tokens **out, dx_token_set *set, const dx_tokens_plan *plan) DX_MUST_USE;
dx_tokens *dx_tokens_hold(dx_tokens *tokens);
void dx_tokens_release(dx_tokens *tokens); // takes NULL
const void *dx_tokens_source(const dx_tokens *tokens);

// Puts the token into x->request, at once or when there is one: as dx_auth_ops.apply. On x's loop. `place` lives as long as the keeper is
// held.
dx_verdict dx_tokens_apply(dx_tokens *tokens, const dx_auth_place *place, dx_exchange *x);
// The server refused what was applied to x: that very token is used no more. Whether another try makes sense.
bool dx_tokens_refused(dx_tokens *tokens, dx_exchange *x);
void dx_tokens_accepted(dx_tokens *tokens, dx_exchange *x); // it took it

// --- for people: all block; not on a loop's thread -----------------------------------------------------------------------------------
typedef struct dx_tokens_status {
    bool there, renewable, sealed; // a token, with a refresh token
    dx_micros_utc obtained, expires;
    char scope[256], place[256]; // cut where they are longer; `place` is where it is kept: "memory", a path
    char why[512];               // what went wrong last; empty: nothing
} dx_tokens_status;
// Reads the store. DX_OK, or `out->why` says why not.
dx_status dx_tokens_look(dx_tokens *tokens, dx_tokens_status *out) DX_MUST_USE;
dx_status dx_tokens_put(dx_tokens *tokens, const dx_token *token, dx_tokens_status *out) DX_MUST_USE; // kept and used from now on
dx_status dx_tokens_drop(dx_tokens *tokens, dx_tokens_status *out) DX_MUST_USE;                       // forgotten, also by the store
// The token as it is, in the arena; access empty: none. After dx_tokens_look.
dx_status dx_tokens_copy(dx_tokens *tokens, dx_arena *arena, dx_token *out) DX_MUST_USE;
// A request of ours through the same wire, whatever the answer. In the arena.
typedef struct dx_tokens_answer {
    dx_error_code failure;
    dx_slice detail;
    dx_exchange_response response; // status, fields and body
} dx_tokens_answer;
dx_status dx_tokens_send(dx_tokens *tokens, const dx_token_ask *ask, dx_arena *arena, dx_tokens_answer *out) DX_MUST_USE;

// --- the set of a client -------------------------------------------------------------------------------------------------------------
struct dx_client;
dx_token_set *dx_token_set_create(struct dx_client *client); // NULL without memory
// Ends the thread: an exchange that is under way is waited for, a few seconds at most, so that what it brings is stored. No call waits.
void dx_token_set_close(dx_token_set *set);
void dx_token_set_release(dx_token_set *set); // takes NULL; keepers that are held still stay, and serve nobody

#endif
