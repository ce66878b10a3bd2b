// POST /auth/register: a new account, when registration is open. The password is hashed off the loop; that name and address are free is
// for the store to say, in the transaction that takes them.
#include "codec/text.h"
#include "identity/parts.h"

typedef struct registration {
    dx_work work;
    dx_exchange *x;
    dx_identity *self;
    dx_slice password;
    dx_account account;
    dx_account_keys keys;
    char hash[DX_PASSWORD_HASH_CAP];
    dx_status hashed;
    dx_script script;
    dx_step step;
    dx_value values[DX_ACCOUNT_INSERT_VALUES];
} registration;

static void add_time(dx_buffer *out, const char *name, dx_micros_utc time) {
    char text[DX_TIME_TEXT_CAP];
    dx_buffer_printf(out, ",\"%s\":", name);
    if (time == 0)
        DX_BUFFER_LIT(out, "null");
    else
        dx_json_write_string(out, dx_slice_of(text, dx_time_write(text, time)));
}

dx_slice dx_account_public(dx_arena *arena, const dx_account *account) {
    dx_buffer out;
    dx_buffer_init(&out, arena, 16384);
    DX_BUFFER_LIT(&out, "{\"id\":");
    dx_buffer_i64(&out, account->id);
    DX_BUFFER_LIT(&out, ",\"username\":");
    dx_json_write_string(&out, account->username);
    DX_BUFFER_LIT(&out, ",\"email\":");
    if (account->email.data)
        dx_json_write_string(&out, account->email);
    else
        DX_BUFFER_LIT(&out, "null");
    DX_BUFFER_LIT(&out, ",\"roles\":");
    dx_buffer_add(&out, account->roles);
    add_time(&out, "created_at", account->created_at);
    add_time(&out, "updated_at", account->updated_at);
    add_time(&out, "last_login_at", account->last_login_at);
    dx_buffer_byte(&out, '}');
    return dx_buffer_status(&out) == DX_OK ? dx_buffer_slice(&out) : (dx_slice){NULL, 0};
}

static dx_status take_account(void *ctx, const dx_row *row) {
    registration *r = ctx;
    return dx_account_read(&r->account, r->x->arena, row);
}

static void answer_taken(registration *r) {
    bool email = strstr(r->script.conflict, "email") != NULL;
    (void)dx_body_fault(r->x, DX_ALREADY_EXISTS, email ? "/email" : "/username",
                        email ? "an account with this e-mail address exists" : "an account with this username exists");
}

static void written(dx_script *script, dx_status status) {
    registration *r = DX_CONTAINER_OF(script, registration, script);
    if (status == DX_OK) {
        dx_exchange_field(r->x, DX_SLICE("location"), DX_SLICE("/auth/me"));
        (void)dx_exchange_json(r->x, 201, dx_account_public(r->x->arena, &r->account));
    } else if (status == DX_ALREADY_EXISTS) {
        answer_taken(r);
    } else {
        (void)dx_exchange_fail(r->x, status, "the account could not be stored");
    }
    dx_exchange_resume(r->x, DX_ANSWER);
}

// On a pool thread.
static void hash_password(dx_work *work) {
    registration *r = DX_CONTAINER_OF(work, registration, work);
    r->hashed = dx_password_hash(r->hash, r->password, &r->self->settings.cost);
}

static void hashed(dx_work *work) {
    registration *r = DX_CONTAINER_OF(work, registration, work);
    if (r->hashed != DX_OK) {
        (void)dx_exchange_fail(r->x, r->hashed, "the password could not be hashed");
        dx_exchange_resume(r->x, DX_ANSWER);
        return;
    }
    r->account.password = dx_slice_str(r->hash);
    r->account.roles = r->self->settings.default_roles;
    r->account.created_at = r->account.updated_at = dx_identity_now(r->self, r->x);
    dx_account_insert_values(r->values, &r->keys, &r->account);
    r->step = (dx_step){r->self->statements.insert, r->values, DX_COUNT_OF(r->values), take_account, true};
    dx_script_init(&r->script, DX_TX_WRITE, &r->step, 1, r);
    r->script.done = written;
    dx_store_submit(dx_identity_session(r->self, r->x), &r->script.tx);
}

static bool is_acceptable(registration *r) {
    dx_diags findings;
    const char *faults[] = {
        dx_username_fault(r->account.username),
        dx_email_fault(r->account.email),
        dx_password_fault(r->password, r->account.username, r->account.email, &r->self->settings.password),
    };
    static const char *const pointers[] = {"/username", "/email", "/password"};
    dx_diags_init(&findings, r->x->arena);
    for (size_t i = 0; i < DX_COUNT_OF(faults); i++) {
        if (faults[i]) dx_diags_add(&findings, DX_INVALID, dx_slice_str(pointers[i]), "%s", faults[i]);
    }
    if (findings.count == 0) return true;
    (void)dx_exchange_fail_with(r->x, DX_INVALID, &findings, NULL);
    return false;
}

dx_verdict dx_register_handle(const void *conf, dx_exchange *x) {
    registration *r = DX_ARENA_NEW(x->arena, registration);
    if (!r) return dx_exchange_fail(x, DX_NO_MEMORY, NULL);
    r->x = x;
    r->self = (dx_identity *)(uintptr_t)conf;
    const dx_body_field fields[] = {
        {"username", &r->account.username, true, NULL},
        {"email", &r->account.email, true, NULL},
        {"password", &r->password, true, NULL},
    };
    if (!dx_body_read(x, fields, DX_COUNT_OF(fields), true) || !is_acceptable(r)) return DX_ANSWER;
    r->work.work = hash_password;
    r->work.done = hashed;
    dx_status status = dx_loop_work(x->loop, &r->work);
    return status == DX_OK ? DX_WAIT : dx_exchange_fail(x, status, "too many passwords are being hashed");
}
