// What an account's owner may see and change of it: GET and PATCH /auth/me, POST /auth/password.
#include "crypto/digest.h"
#include "identity/parts.h"

typedef struct mine {
    dx_work work;
    dx_exchange *x;
    dx_identity *self;
    dx_account account;
    dx_slice current, wanted; // passwords
    char name[DX_NAME_KEY_CAP], email_key[DX_NAME_KEY_CAP], hash[DX_PASSWORD_HASH_CAP];
    size_t name_size;
    dx_status verdict;
    dx_script script;
    dx_step steps[4];
    dx_value values[12];
} mine;

static dx_status take_account(void *ctx, const dx_row *row) {
    mine *m = ctx;
    return dx_account_read(&m->account, m->x->arena, row);
}

// A struct for the caller's account, or NULL when the exchange is answered already.
static mine *begin(const void *conf, dx_exchange *x) {
    dx_identity *self = (dx_identity *)(uintptr_t)conf;
    const dx_caller *caller = dx_caller_of(self, x);
    if (!caller) {
        (void)dx_bearer_refuse(x, DX_BAD_TOKEN, "send an access token of this server");
        return NULL;
    }
    mine *m = DX_ARENA_NEW(x->arena, mine);
    if (!m) {
        (void)dx_exchange_fail(x, DX_NO_MEMORY, NULL);
        return NULL;
    }
    m->x = x;
    m->self = self;
    m->account.id = caller->principal.number;
    return m;
}

static bool load(mine *m) {
    dx_value id = DX_INT_VALUE(m->account.id);
    m->account.id = 0;
    m->steps[0] = (dx_step){m->self->statements.by_id, &id, 1, take_account, false};
    dx_script_init(&m->script, DX_TX_BRIEF, m->steps, 1, m);
    dx_store_submit(dx_identity_session(m->self, m->x), &m->script.tx); // brief: done when this returns
    if (m->script.outcome == DX_OK && m->account.id) return true;
    (void)dx_exchange_fail(m->x, m->script.outcome == DX_OK ? DX_NOT_FOUND : m->script.outcome, "the account could not be read");
    return false;
}

static dx_verdict answer_account(mine *m) {
    dx_exchange_field(m->x, DX_SLICE("cache-control"), DX_SLICE("no-store"));
    return dx_exchange_json(m->x, 200, dx_account_public(m->x->arena, &m->account));
}

dx_verdict dx_me_handle(const void *conf, dx_exchange *x) {
    mine *m = begin(conf, x);
    return m && load(m) ? answer_account(m) : DX_ANSWER;
}

// The first step of every change: the session that asks for it has not ended meanwhile (DX_NOT_FOUND). Two values.
static dx_step in_session(mine *m, dx_value *values) {
    values[0] = DX_INT_VALUE(dx_identity_now(m->self, m->x));
    values[1] = DX_TEXT_VALUE(dx_caller_of(m->self, m->x)->session);
    return (dx_step){m->self->statements.session_used, values, 2, NULL, true};
}

static void answer_ended(dx_exchange *x) {
    (void)dx_bearer_refuse(x, DX_BAD_TOKEN, "log in to get a new one");
}

// --- the e-mail address -----------------------------------------------------------------------------------------------------

static void changed(dx_script *script, dx_status status) {
    mine *m = DX_CONTAINER_OF(script, mine, script);
    if (status == DX_OK)
        (void)answer_account(m);
    else if (status == DX_ALREADY_EXISTS)
        (void)dx_body_fault(m->x, status, "/email", "an account with this e-mail address exists");
    else if (status == DX_NOT_FOUND)
        answer_ended(m->x);
    else
        (void)dx_exchange_fail(m->x, status, "the account could not be stored");
    dx_exchange_resume(m->x, DX_ANSWER);
}

dx_verdict dx_me_change_handle(const void *conf, dx_exchange *x) {
    mine *m = begin(conf, x);
    dx_slice email = {NULL, 0};
    const dx_body_field fields[] = {{"email", &email, true, NULL}};
    if (!m || !dx_body_read(x, fields, DX_COUNT_OF(fields), true)) return DX_ANSWER;
    const char *fault = dx_email_fault(email);
    if (fault || !dx_name_fold(m->email_key, email)) return dx_body_fault(x, DX_INVALID, "/email", fault ? fault : "expected an address");
    m->values[0] = DX_TEXT_VALUE(email);
    m->values[1] = DX_TEXT_VALUE(dx_slice_of(m->email_key, email.size));
    m->values[2] = DX_INT_VALUE(dx_identity_now(m->self, x));
    m->values[3] = DX_INT_VALUE(m->account.id);
    m->steps[0] = in_session(m, m->values + 4);
    m->steps[1] = (dx_step){m->self->statements.set_email, m->values, 4, take_account, true};
    dx_script_init(&m->script, DX_TX_WRITE, m->steps, 2, m);
    m->script.done = changed;
    dx_store_submit(dx_identity_session(m->self, x), &m->script.tx);
    return DX_WAIT;
}

// --- the password -----------------------------------------------------------------------------------------------------------

static dx_slice name_of(const mine *m) {
    return dx_slice_of(m->name, m->name_size);
}

// On a pool thread.
static void check_and_hash(dx_work *work) {
    mine *m = DX_CONTAINER_OF(work, mine, work);
    const dx_password_cost *cost = &m->self->settings.cost;
    m->verdict = dx_password_verify(m->account.password, m->current, cost, NULL);
    if (m->verdict != DX_OK) return;
    dx_status status = dx_password_hash(m->hash, m->wanted, cost);
    if (status != DX_OK) m->verdict = status;
}

static void answer_wrong(dx_exchange *x) {
    // Not a 401: the caller is who the token says, and clients take a 401 for a sign to renew it.
    (void)dx_body_fault(x, DX_INVALID, "/current_password", "expected the password as it is now");
}

static void password_written(dx_script *script, dx_status status) {
    mine *m = DX_CONTAINER_OF(script, mine, script);
    if (status == DX_OK) {
        dx_identity_move_epoch(m->self);
        (void)dx_exchange_empty(m->x, 204);
    } else if (status == DX_BAD_CREDENTIALS) {
        answer_wrong(m->x);
    } else if (status == DX_NOT_FOUND || status == DX_ACCOUNT_DISABLED) {
        answer_ended(m->x);
    } else {
        (void)dx_exchange_fail(m->x, status, "the password could not be stored");
    }
    dx_exchange_resume(m->x, DX_ANSWER);
}

// On the writer's thread.
static dx_status recheck(void *ctx, const dx_row *row) {
    return dx_account_recheck(&((const mine *)ctx)->account, row);
}

// The new hash, and the end of every other session of the account: whoever knew the old password is out. Whoever changed it while this
// one waited for its hashes is not overruled.
static void write_password(mine *m) {
    const dx_caller *caller = dx_caller_of(m->self, m->x);
    dx_value *v = m->values;
    v[0] = DX_TEXT_VALUE(dx_slice_str(m->hash));
    v[1] = v[2] = v[4] = DX_INT_VALUE(dx_identity_now(m->self, m->x));
    v[3] = v[5] = DX_INT_VALUE(m->account.id);
    v[6] = DX_TEXT_VALUE(caller->session);
    m->steps[0] = in_session(m, v + 7);
    m->steps[1] = (dx_step){m->self->statements.by_id, v + 3, 1, recheck, false};
    m->steps[2] = (dx_step){m->self->statements.set_password, v, 4, NULL, true};
    m->steps[3] = (dx_step){m->self->statements.sessions_revoke_others, v + 4, 3, NULL, false};
    dx_script_init(&m->script, DX_TX_WRITE, m->steps, 4, m);
    m->script.done = password_written;
    dx_store_submit(dx_identity_session(m->self, m->x), &m->script.tx);
}

static void password_checked(dx_work *work) {
    mine *m = DX_CONTAINER_OF(work, mine, work);
    dx_lockout_outcome outcome = m->verdict == DX_OK                ? DX_LOCKOUT_PASSED
                                 : m->verdict == DX_BAD_CREDENTIALS ? DX_LOCKOUT_FAILED
                                                                    : DX_LOCKOUT_VOID;
    (void)dx_lockout_leave(m->self->memory->lockout, name_of(m), outcome, dx_identity_now(m->self, m->x));
    if (m->verdict == DX_OK) {
        write_password(m);
        return;
    }
    if (m->verdict == DX_BAD_CREDENTIALS)
        answer_wrong(m->x);
    else
        (void)dx_exchange_fail(m->x, m->verdict, "the password could not be checked");
    dx_exchange_resume(m->x, DX_ANSWER);
}

dx_verdict dx_password_handle(const void *conf, dx_exchange *x) {
    static const dx_lockout_state nothing_stored;
    mine *m = begin(conf, x);
    if (!m) return DX_ANSWER;
    const dx_body_field fields[] = {{"current_password", &m->current, true, NULL}, {"new_password", &m->wanted, true, NULL}};
    if (!dx_body_read(x, fields, DX_COUNT_OF(fields), true) || !load(m)) return DX_ANSWER;
    const char *fault = dx_password_fault(m->wanted, m->account.username, m->account.email, &m->self->settings.password);
    if (!fault && dx_secret_equal(m->current, m->wanted)) fault = "expected another password than the present one";
    if (fault) return dx_body_fault(x, DX_INVALID, "/new_password", fault);
    dx_micros_utc now = dx_identity_now(m->self, x);
    (void)dx_name_fold(m->name, m->account.username);
    m->name_size = m->account.username.size;
    // A stolen access token must not open a second way to guess: tries count with those of the login.
    int64_t wait = dx_lockout_enter(m->self->memory->lockout, name_of(m), &nothing_stored, m->account.unlocked_at, now);
    if (wait > 0) return dx_lockout_answer(x, wait);
    m->work.work = check_and_hash;
    m->work.done = password_checked;
    dx_status status = dx_loop_work(x->loop, &m->work);
    if (status == DX_OK) return DX_WAIT;
    (void)dx_lockout_leave(m->self->memory->lockout, name_of(m), DX_LOCKOUT_VOID, now);
    return dx_exchange_fail(x, status, "too many passwords are being checked");
}
