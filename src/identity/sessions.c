// POST /auth/refresh and /auth/logout. A session is a family of refresh tokens of which one is good at a time: each exchange makes the next
// and spends the last. Whoever presents a spent one either stole it or was stolen from, so the whole session ends; but for a moment after
// an exchange the spent token gets the very same answer again, for a client that never received the first.
#include "base/log.h"
#include "codec/text.h"
#include "crypto/digest.h"
#include "identity/parts.h"

typedef enum refresh_step { LOAD_SESSION, LOAD_ACCOUNT, WRITE, FINISHED } refresh_step;
typedef enum refresh_kind { ROTATED, REPEATED, REUSED } refresh_kind;

typedef struct refreshing {
    dx_tx tx;
    dx_exchange *x;
    dx_identity *self;
    dx_refresh_claims claims;
    dx_slice token, next_token;
    uint8_t digest[DX_SHA256_SIZE], next_digest[DX_SHA256_SIZE];
    dx_micros_utc now;
    dx_stored_session session;
    dx_account account;
    refresh_step step;
    refresh_kind kind;
    dx_value values[6];
} refreshing;

static bool is_digest(const uint8_t *a, const uint8_t *b) {
    return dx_secret_equal(dx_slice_of((const char *)a, DX_SHA256_SIZE), dx_slice_of((const char *)b, DX_SHA256_SIZE));
}

// What the presented token, of this digest, is to the session as it is stored. It verified, so it was good once.
static dx_status judge(refresh_kind *out, const dx_identity *self, const dx_stored_session *session, int64_t account, const uint8_t *digest,
                       dx_micros_utc now) {
    if (!session->found || session->account != account || session->revoked_at || session->expires_at <= now) return DX_BAD_TOKEN;
    dx_nanos since = (now - session->rotated_at) * DX_MICROSECOND;
    if (is_digest(session->refresh, digest))
        *out = ROTATED;
    else if (session->has_previous && is_digest(session->previous, digest) && since <= self->settings.refresh_grace)
        *out = REPEATED;
    else
        *out = REUSED;
    return DX_OK;
}

static dx_tx_step run(refreshing *r, const dx_statement *statement, size_t params, refresh_step then) {
    r->tx.statement = statement;
    r->tx.params = r->values;
    r->tx.param_count = params;
    r->step = then;
    return DX_TX_RUN;
}

static dx_tx_step fail(refreshing *r, dx_status status) {
    r->tx.status = status;
    return DX_TX_ROLLBACK;
}

static dx_tx_step write_rotation(refreshing *r) {
    r->values[0] = DX_BLOB_VALUE(dx_slice_of((char *)r->next_digest, DX_SHA256_SIZE));
    r->values[1] = DX_BLOB_VALUE(dx_slice_of((char *)r->digest, DX_SHA256_SIZE));
    r->values[2] = r->values[4] = DX_INT_VALUE(r->now);
    r->values[3] = DX_INT_VALUE(r->now + r->self->settings.refresh_ttl_s * 1000000);
    r->values[5] = DX_TEXT_VALUE(r->claims.session);
    return run(r, r->self->statements.session_rotate, 6, FINISHED);
}

// On the writer's thread: nobody else rotates this session between what is read here and what is written.
static dx_tx_step refresh_next(dx_tx *tx) {
    refreshing *r = DX_CONTAINER_OF(tx, refreshing, tx);
    if (tx->status != DX_OK) return DX_TX_ROLLBACK;
    switch (r->step) {
    case LOAD_SESSION:
        if (tx->statement) break; // its row is here
        r->values[0] = DX_TEXT_VALUE(r->claims.session);
        return run(r, r->self->statements.session_by_id, 1, LOAD_SESSION);
    case LOAD_ACCOUNT:
        if (!r->account.id || r->account.disabled) return fail(r, DX_BAD_TOKEN);
        r->step = WRITE;
        return r->kind == ROTATED ? write_rotation(r) : DX_TX_COMMIT;
    case WRITE:
    case FINISHED:
        return DX_TX_COMMIT;
    }
    dx_status status = judge(&r->kind, r->self, &r->session, r->claims.account, r->digest, r->now);
    if (status != DX_OK) return fail(r, status);
    if (r->kind == REUSED) {
        r->values[0] = DX_INT_VALUE(r->now);
        r->values[1] = DX_TEXT_VALUE(r->claims.session);
        return run(r, r->self->statements.session_revoke, 2, FINISHED);
    }
    r->values[0] = DX_INT_VALUE(r->claims.account);
    return run(r, r->self->statements.by_id, 1, LOAD_ACCOUNT);
}

static dx_status refresh_row(dx_tx *tx, const dx_row *row) {
    refreshing *r = DX_CONTAINER_OF(tx, refreshing, tx);
    if (r->step == LOAD_ACCOUNT) return dx_account_read(&r->account, r->x->arena, row);
    if (r->step == LOAD_SESSION) dx_session_read(&r->session, row);
    return DX_OK;
}

static void report_reuse(const dx_exchange *x, const dx_refresh_claims *claims) {
    dx_log_record record;
    dx_log_begin(&record, DX_LOG_WARN, "refresh_reused");
    dx_log_int(&record, "account", claims->account);
    dx_log_text(&record, "session", claims->session);
    dx_log_text(&record, "peer", x->request.peer);
    dx_log_end(&record);
}

static dx_verdict refuse_refresh(dx_exchange *x, dx_status status) {
    return dx_bearer_refuse(x, status,
                            status == DX_EXPIRED_TOKEN ? "the session has ended: log in" : "the refresh token is not good: log in");
}

static void refresh_done(dx_tx *tx, dx_status status) {
    refreshing *r = DX_CONTAINER_OF(tx, refreshing, tx);
    if (status == DX_OK && r->kind == REPEATED) // the answer that was lost, once more
        status = dx_refresh_token(&r->next_token, r->x->arena, r->self, r->claims.account, r->claims.session, r->digest,
                                  r->session.rotated_at / 1000000);
    if (status == DX_OK && r->kind == REUSED) {
        dx_identity_move_epoch(r->self);
        report_reuse(r->x, &r->claims);
        status = DX_BAD_TOKEN;
    }
    if (status == DX_OK)
        (void)dx_tokens_answer(r->self, r->x, &r->account, r->claims.session, r->next_token);
    else if (status == DX_BAD_TOKEN)
        (void)refuse_refresh(r->x, status);
    else
        (void)dx_exchange_fail(r->x, status, "the session could not be read or stored");
    dx_exchange_resume(r->x, DX_ANSWER);
}

dx_verdict dx_refresh_handle(const void *conf, dx_exchange *x) {
    dx_slice grant = {NULL, 0};
    refreshing *r = DX_ARENA_NEW(x->arena, refreshing);
    if (!r) return dx_exchange_fail(x, DX_NO_MEMORY, NULL);
    const dx_body_field fields[] = {{"refresh_token", &r->token, true, NULL}, {"grant_type", &grant, false, NULL}};
    if (!dx_body_read(x, fields, DX_COUNT_OF(fields), false)) return DX_ANSWER;
    if (grant.data && !dx_slice_equal(grant, DX_SLICE("refresh_token")))
        return dx_body_fault(x, DX_INVALID, "/grant_type", "expected \"refresh_token\"");
    r->x = x;
    r->self = (dx_identity *)(uintptr_t)conf;
    r->now = dx_identity_now(r->self, x);
    dx_status status = dx_refresh_verify(&r->claims, x->arena, r->self, r->token, r->now / 1000000);
    if (status == DX_OK) {
        dx_sha256(r->digest, r->token);
        status = dx_refresh_token(&r->next_token, x->arena, r->self, r->claims.account, r->claims.session, r->digest, r->now / 1000000);
    }
    if (status == DX_BAD_TOKEN || status == DX_EXPIRED_TOKEN) return refuse_refresh(x, status);
    if (status != DX_OK) return dx_exchange_fail(x, status, NULL);
    dx_sha256(r->next_digest, r->next_token);
    r->tx = (dx_tx){.mode = DX_TX_WRITE, .next = refresh_next, .row = refresh_row, .done = refresh_done};
    dx_store_submit(dx_identity_session(r->self, x), &r->tx);
    return DX_WAIT;
}

// --- logout -----------------------------------------------------------------------------------------------------------------

typedef struct leaving {
    dx_exchange *x;
    dx_identity *self;
    dx_refresh_claims claims;
    uint8_t digest[DX_SHA256_SIZE];
    dx_micros_utc now;
    dx_status verdict; // of the refresh token, where that is what the caller has
    refresh_kind kind;
    dx_script script;
    dx_step steps[3];
    dx_value values[4];
} leaving;

// On the writer's thread. A refresh token ends its own session whatever it is by now; the account's others only while it is good: else
// whoever found an old one could log its owner out for days.
static dx_status weigh(void *ctx, const dx_row *row) {
    leaving *l = ctx;
    dx_stored_session session = {0};
    dx_session_read(&session, row);
    l->verdict = judge(&l->kind, l->self, &session, l->claims.account, l->digest, l->now);
    if (l->verdict == DX_OK && l->kind == REUSED) l->verdict = DX_BAD_TOKEN;
    if (l->verdict == DX_OK) l->values[3] = DX_INT_VALUE(l->claims.account);
    return DX_OK;
}

static void left(dx_script *script, dx_status status) {
    leaving *l = DX_CONTAINER_OF(script, leaving, script);
    if (status == DX_OK) {
        dx_identity_move_epoch(l->self);
        if (l->kind == REUSED) report_reuse(l->x, &l->claims);
        (void)(l->verdict == DX_OK ? dx_exchange_empty(l->x, 204) : refuse_refresh(l->x, l->verdict));
    } else {
        (void)dx_exchange_fail(l->x, status, "the session could not be ended");
    }
    dx_exchange_resume(l->x, DX_ANSWER);
}

static void leave(leaving *l, bool all, bool by_token) {
    const dx_accounts *statements = &l->self->statements;
    size_t count = 0;
    dx_value *v = l->values;
    v[0] = v[2] = DX_INT_VALUE(l->now);
    v[1] = DX_TEXT_VALUE(l->claims.session);
    v[3] = DX_INT_VALUE(by_token ? 0 : l->claims.account); // 0: nobody
    if (all && by_token) {
        l->verdict = DX_BAD_TOKEN; // unless the session is there
        l->steps[count++] = (dx_step){statements->session_by_id, v + 1, 1, weigh, false};
    }
    l->steps[count++] = (dx_step){statements->session_revoke, v, 2, NULL, false};
    if (all) l->steps[count++] = (dx_step){statements->sessions_revoke, v + 2, 2, NULL, false};
    dx_script_init(&l->script, DX_TX_WRITE, l->steps, count, l);
    l->script.done = left;
    dx_store_submit(dx_identity_session(l->self, l->x), &l->script.tx);
}

dx_verdict dx_logout_handle(const void *conf, dx_exchange *x) {
    dx_identity *self = (dx_identity *)(uintptr_t)conf;
    dx_slice token = {NULL, 0};
    bool all = false;
    dx_refresh_claims claims = {0};
    const dx_body_field fields[] = {{"refresh_token", &token, false, NULL}, {"all", NULL, false, &all}};
    if (!dx_body_read(x, fields, DX_COUNT_OF(fields), true)) return DX_ANSWER;
    const dx_caller *caller = dx_caller_of(self, x);
    if (caller) {
        claims = (dx_refresh_claims){caller->principal.number, caller->session};
    } else {
        // The access token may have ended long ago: the refresh token says as well whose session this is.
        if (!token.data) return dx_bearer_refuse(x, DX_BAD_TOKEN, "send the access token, or the refresh token in the body");
        dx_status status = dx_refresh_verify(&claims, x->arena, self, token, dx_identity_now(self, x) / 1000000);
        if (status == DX_BAD_TOKEN || status == DX_EXPIRED_TOKEN) return refuse_refresh(x, status);
        if (status != DX_OK) return dx_exchange_fail(x, status, NULL);
    }
    leaving *l = DX_ARENA_NEW(x->arena, leaving);
    if (!l) return dx_exchange_fail(x, DX_NO_MEMORY, NULL);
    l->x = x;
    l->self = self;
    l->claims = claims;
    l->now = dx_identity_now(self, x);
    if (!caller) dx_sha256(l->digest, token);
    leave(l, all, !caller);
    return DX_WAIT;
}
