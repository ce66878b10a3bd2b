// What the files of this room share: the settings, the feature's state, and the parts it is made of.
#ifndef DX_IDENTITY_PARTS_H
#define DX_IDENTITY_PARTS_H

#include <stdatomic.h>

#include "crypto/jwt.h"
#include "crypto/password.h"
#include "identity/accounts.h"
#include "identity/identity.h"
#include "identity/lockout.h"

// --- settings: the section `identity`, read ------------------------------------------------------------------------------------

typedef struct dx_identity_settings {
    int64_t access_ttl_s, refresh_ttl_s;
    dx_nanos refresh_grace;
    dx_slice secret; // empty: the key is derived from the app's root secret
    dx_jws_algorithm algorithm;
    dx_slice key_pem; // of asymmetric algorithms
    dx_slice issuer, audience;
    dx_password_rule password;
    dx_password_cost cost;
    bool registration_open;
    dx_slice default_roles; // JSON array
    dx_lockout_options lockout;
} dx_identity_settings;
dx_status dx_identity_settings_read(dx_identity_settings *out, dx_app *app, dx_diags *diags) DX_MUST_USE;

// --- the feature's state: immutable once built, but for what says otherwise ------------------------------------------------------

// How time is read, so that tests can move it.
typedef struct dx_identity_clock {
    dx_micros_utc (*utc)(dx_loop *loop);
    dx_nanos (*monotonic)(const dx_loop *loop);
} dx_identity_clock;
#define DX_IDENTITY_CLOCK_INIT                                                                                                             \
    { dx_loop_utc, dx_loop_now }

// What a reload must not forget, shared by the states of one definition and the next: no brake is let go, and a session that is shut off
// under one is shut off under both.
typedef struct dx_identity_memory {
    atomic_uint holders;
    dx_lockout *lockout;    // of its own lock
    _Atomic uint64_t epoch; // moved whenever a session or an account is shut off in this process
} dx_identity_memory;

typedef struct dx_identity {
    dx_app *app;
    dx_identity_settings settings;
    dx_identity_clock clock;
    dx_accounts statements;
    dx_key *key;          // signs access tokens
    dx_key *refresh_key;  // refresh tokens, which none but this server reads
    uint8_t rotation[32]; // makes each refresh token follow from the one before
    dx_slice jwks;        // the public keys as JSON; empty: a shared secret
    dx_identity_memory *memory;
    struct dx_sweeper *sweeper; // worker 0's
    int slot;                   // of dx_exchange.slots: the dx_caller
    unsigned workers;
    struct dx_token_cache **caches;   // one a worker, touched by that worker alone
    struct dx_failure_log **failures; // likewise
    dx_session *(*session)(const dx_app *app, unsigned worker);
} dx_identity;

// Keys, tables of names and caches, once the settings are read; `root` is the app's root secret.
dx_status dx_identity_init(dx_identity *self, dx_arena *arena, dx_slice root, unsigned workers, dx_diags *diags) DX_MUST_USE;
void dx_identity_deinit(dx_identity *self);
// Takes over what `old` remembers.
void dx_identity_inherit(dx_identity *self, const dx_identity *old);

// Something goes on without an exchange: see dx_app_hold. (Tests have no app.)
static inline void dx_identity_hold(const dx_identity *self, unsigned worker) {
    if (self->app) dx_app_hold(self->app, worker);
}
static inline void dx_identity_release(const dx_identity *self, unsigned worker) {
    if (self->app) dx_app_release(self->app, worker);
}

static inline dx_session *dx_identity_session(const dx_identity *self, const dx_exchange *x) {
    return self->session(self->app, x->worker);
}
static inline dx_micros_utc dx_identity_now(const dx_identity *self, const dx_exchange *x) {
    return self->clock.utc(x->loop);
}
// After a session or an account was shut off, once that is committed: no cached token is believed without looking again.
static inline void dx_identity_move_epoch(dx_identity *self) {
    atomic_fetch_add_explicit(&self->memory->epoch, 1, memory_order_acq_rel);
}

// --- tokens.c -----------------------------------------------------------------------------------------------------------------

#define DX_SESSION_ID_SIZE 36  // a UUID
#define DX_SESSIONS_CAP    100 // of an account at once; the one used longest ago makes room
// What `roles` is: a JSON array of strings, into slices of the arena.
dx_status dx_roles_read(const dx_slice **out, size_t *count, dx_arena *arena, dx_slice json) DX_MUST_USE;
dx_status dx_access_token(dx_slice *out, dx_arena *arena, const dx_identity *self, const dx_account *account, dx_slice session,
                          int64_t now_s) DX_MUST_USE;
// The refresh token that follows `parent` (32 bytes: the digest of the one before, or random for the first). The same arguments make the
// same token, byte for byte: a client that lost the answer gets it again.
dx_status dx_refresh_token(dx_slice *out, dx_arena *arena, const dx_identity *self, int64_t account, dx_slice session,
                           const uint8_t parent[32], int64_t now_s) DX_MUST_USE;
typedef struct dx_refresh_claims {
    int64_t account;
    dx_slice session;
} dx_refresh_claims;
dx_status dx_refresh_verify(dx_refresh_claims *out, dx_arena *arena, const dx_identity *self, dx_slice token, int64_t now_s) DX_MUST_USE;
// Answers 200 with both tokens.
dx_verdict dx_tokens_answer(const dx_identity *self, dx_exchange *x, const dx_account *account, dx_slice session, dx_slice refresh);

// --- bearer.c: the filter -------------------------------------------------------------------------------------------------------

typedef struct dx_caller {
    dx_principal principal;
    dx_slice session;
} dx_caller;
extern const dx_filter_ops dx_bearer_filter; // conf: dx_identity
// Who calls, by a token of ours; NULL: nobody.
static inline const dx_caller *dx_caller_of(const dx_identity *self, const dx_exchange *x) {
    return x->slots[self->slot];
}
// 401 with a WWW-Authenticate that says why (RFC 6750 section 3).
dx_verdict dx_bearer_refuse(dx_exchange *x, dx_status status, const char *detail);
struct dx_token_cache *dx_token_cache_create(void);
void dx_token_cache_destroy(struct dx_token_cache *cache); // takes NULL
size_t dx_token_cache_bytes(const struct dx_token_cache *cache);
#define DX_TOKEN_CACHE_BYTES   (248u << 10)    // a worker
#define DX_TOKEN_CACHE_ENTRIES 512             // likewise
#define DX_TOKEN_FRESH         (1 * DX_SECOND) // an account's or session's state is believed for so long

// --- body.c: what came in -------------------------------------------------------------------------------------------------------

typedef struct dx_body_field {
    const char *name;
    dx_slice *value; // data NULL: absent
    bool required;
    bool *flag; // a boolean instead of a text
} dx_body_field;
// Reads a JSON object or a form into `fields`. On anything wrong answers by itself (400, 415, 422 with every finding) and returns false.
// `strict`: a name that is not among the fields is refused; otherwise (OAuth 2) it is ignored. An empty body is an empty object.
bool dx_body_read(dx_exchange *x, const dx_body_field *fields, size_t count, bool strict);
dx_verdict dx_body_fault(dx_exchange *x, dx_status status, const char *pointer, const char *message);

// --- the operations -------------------------------------------------------------------------------------------------------------

dx_verdict dx_register_handle(const void *conf, dx_exchange *x);
dx_verdict dx_login_handle(const void *conf, dx_exchange *x);
dx_verdict dx_refresh_handle(const void *conf, dx_exchange *x);
dx_verdict dx_logout_handle(const void *conf, dx_exchange *x);
dx_verdict dx_me_handle(const void *conf, dx_exchange *x);
dx_verdict dx_me_change_handle(const void *conf, dx_exchange *x);
dx_verdict dx_password_handle(const void *conf, dx_exchange *x);
dx_verdict dx_jwks_handle(const void *conf, dx_exchange *x);
// The account as its owner sees it, as JSON; data NULL without memory.
dx_slice dx_account_public(dx_arena *arena, const dx_account *account);
// login.c: 429 with Retry-After.
dx_verdict dx_lockout_answer(dx_exchange *x, int64_t wait_us);
// Likewise: what is needed to write failures down behind the answer; a fixed number at a time. NULL without memory.
struct dx_failure_log *dx_failure_log_create(dx_arena *arena);

// describe.c: what the OpenAPI document says
void dx_identity_describe(const void *conf, const dx_operation *operation, yyjson_mut_doc *doc, yyjson_mut_val *object);
dx_status dx_identity_describe_components(dx_app *app) DX_MUST_USE;
// sweep.c: deletes sessions and failures whose time is over, a bounded number at a time. One, on worker 0. NULL without memory.
typedef struct dx_sweeper dx_sweeper;
dx_sweeper *dx_sweeper_create(dx_identity *self, dx_arena *arena, dx_loop *loop);
void dx_sweeper_start(dx_sweeper *sweeper);                                      // looks now and then from now on
void dx_sweeper_end(dx_sweeper *sweeper);                                        // a look under way is the last one
void dx_sweeper_look(dx_sweeper *sweeper, void (*looked)(void *ctx), void *ctx); // looks at once; not while it is looking
#define DX_SWEEP_ROWS  64
#define DX_SWEEP_EVERY (600 * DX_SECOND)

#endif
