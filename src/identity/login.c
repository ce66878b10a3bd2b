// POST /auth/login. The name is looked up, the brakes are asked, the password is checked off the loop, and a session is written down before
// any token is given out. An unknown name takes the same steps as a known one with a wrong password: one look-up, one hash, one answer.
// What is written about a failure is written behind the answer, so that it can't be told from the time either.
#include "base/random.h"
#include "codec/text.h"
#include "crypto/digest.h"
#include "identity/parts.h"

enum { AGENT_CAP = 200, PEER_CAP = 64, FAILURE_RECORDS = 16, STEPS_CAP = 8, ROOM_VALUES = 14, VALUES_CAP = 17 };

// --- failures, written behind the answer -----------------------------------------------------------------------------------

typedef struct failure_record {
    dx_script script;
    dx_step steps[2];
    dx_value values[DX_FAILURE_COLUMNS + 4];
    char name[DX_NAME_KEY_CAP];
    const dx_identity *self;
    unsigned worker;
    bool busy;
} failure_record;

struct dx_failure_log {
    failure_record records[FAILURE_RECORDS];
};

struct dx_failure_log *dx_failure_log_create(dx_arena *arena) {
    return DX_ARENA_NEW(arena, struct dx_failure_log);
}

static void failure_written(dx_script *script, dx_status status) {
    (void)status; // not written: the table in memory still counts
    failure_record *record = DX_CONTAINER_OF(script, failure_record, script);
    record->busy = false;
    dx_identity_release(record->self, record->worker);
}

static failure_record *failure_prepare(dx_identity *self, unsigned worker, dx_slice name, const dx_lockout_state *state) {
    failure_record *record = NULL;
    for (size_t i = 0; i < FAILURE_RECORDS && !record; i++) {
        if (!self->failures[worker]->records[i].busy) record = &self->failures[worker]->records[i];
    }
    if (!record || state->failures == 0) return NULL;
    memcpy(record->name, name.data, name.size);
    dx_value own_name = DX_TEXT_VALUE(dx_slice_of(record->name, name.size));
    dx_value until = state->locked_until ? DX_INT_VALUE(state->locked_until) : DX_NULL_VALUE;
    dx_value *v = record->values;
    v[0] = v[7] = own_name;
    v[1] = v[4] = DX_INT_VALUE(state->failures);
    v[2] = v[5] = DX_INT_VALUE(state->failed_at);
    v[3] = v[6] = until;
    record->steps[0] = (dx_step){self->statements.failure_insert, v, 4, NULL, false};
    record->steps[1] = (dx_step){self->statements.failure_update, v + 4, 4, NULL, false};
    dx_script_init(&record->script, DX_TX_WRITE, record->steps, 2, NULL);
    record->script.done = failure_written;
    record->self = self;
    record->worker = worker;
    record->busy = true;
    dx_identity_hold(self, worker);
    return record;
}

// --- the login --------------------------------------------------------------------------------------------------------------

typedef struct login {
    dx_work work;
    dx_exchange *x;
    dx_identity *self;
    dx_slice name, password; // the name folded
    dx_account account;      // id 0: unknown
    dx_lockout_state stored;
    dx_status verdict;
    bool upgrade;
    char name_key[DX_NAME_KEY_CAP], new_hash[DX_PASSWORD_HASH_CAP], session[DX_SESSION_ID_SIZE];
    dx_slice refresh;
    uint8_t refresh_digest[DX_SHA256_SIZE];
    char ended[DX_SESSION_ID_SIZE]; // the session that makes room for this one, if it must
    size_t live;
    dx_script script;
    dx_step steps[STEPS_CAP];
    dx_value values[VALUES_CAP];
} login;

static dx_status take_account(void *ctx, const dx_row *row) {
    login *self = ctx;
    return dx_account_read(&self->account, self->x->arena, row);
}

static int64_t integer_at(const dx_row *row, size_t column) {
    dx_value value = dx_row_value(row, column);
    return value.type == DX_VALUE_NULL ? 0 : value.integer;
}

static dx_status take_failures(void *ctx, const dx_row *row) {
    login *self = ctx;
    self->stored = (dx_lockout_state){integer_at(row, DX_FAILURE_COUNT), integer_at(row, DX_FAILURE_AT), integer_at(row, DX_FAILURE_UNTIL)};
    return DX_OK;
}

static dx_status look_up(login *l) {
    const dx_accounts *statements = &l->self->statements;
    dx_value name = DX_TEXT_VALUE(l->name);
    dx_step steps[] = {
        {dx_name_is_email(l->name) ? statements->by_email : statements->by_username, &name, 1, take_account, false},
        {statements->failure_by_name, &name, 1, take_failures, false},
    };
    dx_script_init(&l->script, DX_TX_BRIEF, steps, DX_COUNT_OF(steps), l);
    dx_store_submit(dx_identity_session(l->self, l->x), &l->script.tx); // brief: done when this returns
    return l->script.outcome;
}

dx_verdict dx_lockout_answer(dx_exchange *x, int64_t wait_us) {
    dx_slice seconds = dx_arena_printf(x->arena, "%lld", (long long)((wait_us + 999999) / 1000000));
    if (seconds.data) dx_exchange_field(x, DX_SLICE("retry-after"), seconds);
    return dx_exchange_fail(x, DX_RATE_LIMITED, "too many wrong passwords with this name: wait as long as Retry-After says");
}

// On a pool thread.
static void check_password(dx_work *work) {
    login *l = DX_CONTAINER_OF(work, login, work);
    const dx_password_cost *cost = &l->self->settings.cost;
    l->verdict = dx_password_verify(l->account.password, l->password, cost, &l->upgrade);
    if (l->verdict == DX_OK && l->upgrade) l->upgrade = dx_password_hash(l->new_hash, l->password, cost) == DX_OK;
}

static void answer_wrong(dx_exchange *x) {
    dx_exchange_field(x, DX_SLICE("www-authenticate"), DX_SLICE("Bearer"));
    (void)dx_exchange_fail(x, DX_BAD_CREDENTIALS, "the username or the password is wrong");
}

static void answer_disabled(dx_exchange *x) {
    (void)dx_exchange_fail(x, DX_ACCOUNT_DISABLED, "ask whoever runs this server");
}

static void session_written(dx_script *script, dx_status status) {
    login *l = DX_CONTAINER_OF(script, login, script);
    if (status == DX_OK && l->live > DX_SESSIONS_CAP) dx_identity_move_epoch(l->self);
    if (status == DX_OK)
        (void)dx_tokens_answer(l->self, l->x, &l->account, dx_slice_of(l->session, sizeof l->session), l->refresh);
    else if (status == DX_BAD_CREDENTIALS || status == DX_NOT_FOUND)
        answer_wrong(l->x);
    else if (status == DX_ACCOUNT_DISABLED)
        answer_disabled(l->x);
    else
        (void)dx_exchange_fail(l->x, status, "the session could not be stored");
    dx_exchange_resume(l->x, DX_ANSWER);
}

static dx_value short_text(dx_slice text, size_t cap) {
    if (text.size > cap) text.size = cap;
    return text.size && dx_utf8_valid(text) ? DX_TEXT_VALUE(text) : DX_NULL_VALUE;
}

// On the writer's thread.
static dx_status recheck(void *ctx, const dx_row *row) {
    return dx_account_recheck(&((const login *)ctx)->account, row);
}

// Likewise. Of one session more than there may be, the last is the one to end; while there are no more, its id stays empty.
static dx_status count_live(void *ctx, const dx_row *row) {
    login *l = ctx;
    dx_slice id = dx_row_value(row, 0).text;
    if (++l->live <= DX_SESSIONS_CAP || id.size != sizeof l->ended) return DX_OK;
    memcpy(l->ended, id.data, sizeof l->ended);
    l->values[ROOM_VALUES + 2] = DX_TEXT_VALUE(dx_slice_of(l->ended, sizeof l->ended));
    return DX_OK;
}

// The steps that keep the account's sessions from piling up. Returns how many steps there are now.
static size_t add_room(login *l, size_t count) {
    const dx_accounts *statements = &l->self->statements;
    dx_value *v = l->values + ROOM_VALUES;
    v[0] = DX_INT_VALUE(l->account.id);
    v[1] = DX_INT_VALUE(DX_SESSIONS_CAP + 1);
    v[2] = DX_TEXT_VALUE(DX_SLICE(""));
    l->steps[count++] = (dx_step){statements->sessions_forget, v, 1, NULL, false};
    l->steps[count++] = (dx_step){statements->sessions_live, v, 2, count_live, false};
    l->steps[count++] = (dx_step){statements->session_delete, v + 2, 1, NULL, false};
    return count;
}

// The session, the time of the login, and what else follows from it, in one transaction, provided that the account still is what the
// password was checked against: its password may have been changed, and every session ended, while this one waited for its hash.
static dx_status write_session(login *l, bool forget_failures) {
    const dx_accounts *statements = &l->self->statements;
    uint8_t seed[32];
    dx_micros_utc now = dx_identity_now(l->self, l->x);
    dx_slice session = dx_slice_of(l->session, sizeof l->session);
    dx_random_bytes(seed, sizeof seed);
    dx_uuid_v7(l->session, now);
    dx_status status = dx_refresh_token(&l->refresh, l->x->arena, l->self, l->account.id, session, seed, now / 1000000);
    if (status != DX_OK) return status;
    dx_sha256(l->refresh_digest, l->refresh);
    dx_value *v = l->values;
    size_t count = 0;
    v[0] = DX_TEXT_VALUE(session);
    v[1] = DX_INT_VALUE(l->account.id);
    v[2] = DX_BLOB_VALUE(dx_slice_of((char *)l->refresh_digest, sizeof l->refresh_digest));
    v[3] = DX_INT_VALUE(now + l->self->settings.refresh_ttl_s * 1000000);
    v[4] = v[5] = DX_INT_VALUE(now);
    v[6] = short_text(dx_fields_get(&l->x->request.fields, DX_FIELD_USER_AGENT), AGENT_CAP);
    v[7] = short_text(l->x->request.peer, PEER_CAP);
    v[8] = DX_INT_VALUE(now);
    v[9] = DX_INT_VALUE(l->account.id);
    l->steps[count++] = (dx_step){statements->by_id, v + 9, 1, recheck, false};
    l->steps[count++] = (dx_step){statements->logged_in, v + 8, 2, NULL, true};
    l->steps[count++] = (dx_step){statements->session_insert, v, 8, NULL, true};
    count = add_room(l, count);
    if (l->upgrade) { // unless somebody changed the password meanwhile
        v[10] = DX_TEXT_VALUE(dx_slice_str(l->new_hash));
        v[11] = DX_INT_VALUE(l->account.id);
        v[12] = DX_TEXT_VALUE(l->account.password);
        l->steps[count++] = (dx_step){statements->upgrade_password, v + 10, 3, NULL, false};
    }
    v[13] = DX_TEXT_VALUE(l->name);
    if (forget_failures) l->steps[count++] = (dx_step){statements->failure_delete, v + 13, 1, NULL, false};
    dx_script_init(&l->script, DX_TX_WRITE, l->steps, count, l);
    l->script.done = session_written;
    dx_store_submit(dx_identity_session(l->self, l->x), &l->script.tx);
    return DX_OK;
}

static void answer_failed(login *l) {
    dx_identity *self = l->self;
    unsigned worker = l->x->worker;
    dx_session *session = dx_identity_session(self, l->x);
    dx_lockout_state state = dx_lockout_leave(self->memory->lockout, l->name, DX_LOCKOUT_FAILED, dx_identity_now(self, l->x));
    failure_record *record = l->account.id ? failure_prepare(self, worker, l->name, &state) : NULL;
    answer_wrong(l->x);
    dx_exchange_resume(l->x, DX_ANSWER); // `l` is gone after this
    if (record) dx_store_submit(session, &record->script.tx);
}

static void checked(dx_work *work) {
    login *l = DX_CONTAINER_OF(work, login, work);
    if (l->verdict == DX_BAD_CREDENTIALS) {
        answer_failed(l);
        return;
    }
    dx_lockout_outcome outcome = l->verdict == DX_OK ? DX_LOCKOUT_PASSED : DX_LOCKOUT_VOID;
    dx_lockout_state before = dx_lockout_leave(l->self->memory->lockout, l->name, outcome, dx_identity_now(l->self, l->x));
    dx_status status = l->verdict;
    if (status == DX_OK && l->account.disabled) status = DX_ACCOUNT_DISABLED;
    if (status == DX_OK) status = write_session(l, before.failures > 0 || l->stored.failures > 0);
    if (status == DX_OK) return; // session_written goes on
    if (status == DX_ACCOUNT_DISABLED)
        answer_disabled(l->x);
    else
        (void)dx_exchange_fail(l->x, status, "the password could not be checked");
    dx_exchange_resume(l->x, DX_ANSWER);
}

static bool read_request(login *l) {
    dx_slice email = {NULL, 0}, grant = {NULL, 0}, username = {NULL, 0};
    const dx_body_field fields[] = {
        {"username", &username, false, NULL},
        {"email", &email, false, NULL},
        {"password", &l->password, true, NULL},
        {"grant_type", &grant, false, NULL},
    };
    if (!dx_body_read(l->x, fields, DX_COUNT_OF(fields), false)) return false;
    if (!username.data) username = email;
    l->name = dx_slice_of(l->name_key, username.size);
    const char *pointer = NULL, *message = NULL;
    if (grant.data && !dx_slice_equal(grant, DX_SLICE("password"))) {
        pointer = "/grant_type";
        message = "expected \"password\"";
    } else if (!dx_name_fold(l->name_key, username)) {
        pointer = "/username";
        message = username.data ? "expected a username or an e-mail address" : "expected this field: it is missing";
    }
    if (!pointer) return true;
    (void)dx_body_fault(l->x, DX_INVALID, pointer, message);
    return false;
}

dx_verdict dx_login_handle(const void *conf, dx_exchange *x) {
    dx_identity *self = (dx_identity *)(uintptr_t)conf;
    login *l = DX_ARENA_NEW(x->arena, login);
    if (!l) return dx_exchange_fail(x, DX_NO_MEMORY, NULL);
    l->x = x;
    l->self = self;
    if (!read_request(l)) return DX_ANSWER;
    dx_status status = look_up(l);
    if (status != DX_OK) return dx_exchange_fail(x, status, "the account could not be read");
    dx_micros_utc now = dx_identity_now(self, x);
    int64_t wait = dx_lockout_enter(self->memory->lockout, l->name, &l->stored, l->account.unlocked_at, now);
    if (wait > 0) return dx_lockout_answer(x, wait);
    l->work.work = check_password;
    l->work.done = checked;
    status = dx_loop_work(x->loop, &l->work);
    if (status == DX_OK) return DX_WAIT;
    (void)dx_lockout_leave(self->memory->lockout, l->name, DX_LOCKOUT_VOID, now);
    return dx_exchange_fail(x, status, "too many passwords are being checked");
}
