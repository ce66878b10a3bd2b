// The tables of accounts, sessions and failed logins, and their statements.
#include "identity/accounts.h"

#include "codec/text.h"

// clang-format off
static const dx_column account_columns[DX_ACCOUNT_COLUMNS] = {
    [DX_ACCOUNT_ID] = {.name = DX_SLICE_INIT("id"), .type = DX_COLUMN_INTEGER, .required = true},
    [DX_ACCOUNT_USERNAME] = {.name = DX_SLICE_INIT("username"), .type = DX_COLUMN_TEXT, .required = true},
    [DX_ACCOUNT_USERNAME_KEY] = {.name = DX_SLICE_INIT("username_key"), .type = DX_COLUMN_TEXT, .required = true, .unique = true},
    [DX_ACCOUNT_EMAIL] = {.name = DX_SLICE_INIT("email"), .type = DX_COLUMN_TEXT},
    [DX_ACCOUNT_EMAIL_KEY] = {.name = DX_SLICE_INIT("email_key"), .type = DX_COLUMN_TEXT, .unique = true},
    [DX_ACCOUNT_PASSWORD] = {.name = DX_SLICE_INIT("password"), .type = DX_COLUMN_TEXT, .required = true},
    [DX_ACCOUNT_ROLES] = {.name = DX_SLICE_INIT("roles"), .type = DX_COLUMN_JSON, .required = true},
    [DX_ACCOUNT_IS_DISABLED] = {.name = DX_SLICE_INIT("disabled"), .type = DX_COLUMN_BOOLEAN, .required = true},
    [DX_ACCOUNT_CREATED_AT] = {.name = DX_SLICE_INIT("created_at"), .type = DX_COLUMN_TIMESTAMP, .required = true},
    [DX_ACCOUNT_UPDATED_AT] = {.name = DX_SLICE_INIT("updated_at"), .type = DX_COLUMN_TIMESTAMP, .required = true},
    [DX_ACCOUNT_LAST_LOGIN_AT] = {.name = DX_SLICE_INIT("last_login_at"), .type = DX_COLUMN_TIMESTAMP},
    [DX_ACCOUNT_UNLOCKED_AT] = {.name = DX_SLICE_INIT("unlocked_at"), .type = DX_COLUMN_TIMESTAMP},
};
const dx_table dx_account_table = {
    .name = DX_SLICE_INIT("duplex_accounts"), .columns = account_columns, .column_count = DX_ACCOUNT_COLUMNS};

static const dx_column session_columns[DX_SESSION_COLUMNS] = {
    [DX_SESSION_ID] = {.name = DX_SLICE_INIT("id"), .type = DX_COLUMN_TEXT, .required = true},
    [DX_SESSION_ACCOUNT] = {.name = DX_SLICE_INIT("account"), .type = DX_COLUMN_INTEGER, .required = true, .indexed = true,
                            .references = &dx_account_table},
    [DX_SESSION_REFRESH] = {.name = DX_SLICE_INIT("refresh"), .type = DX_COLUMN_BLOB, .required = true},
    [DX_SESSION_PREVIOUS] = {.name = DX_SLICE_INIT("previous"), .type = DX_COLUMN_BLOB},
    [DX_SESSION_ROTATED_AT] = {.name = DX_SLICE_INIT("rotated_at"), .type = DX_COLUMN_TIMESTAMP},
    [DX_SESSION_EXPIRES_AT] = {.name = DX_SLICE_INIT("expires_at"), .type = DX_COLUMN_TIMESTAMP, .required = true, .indexed = true},
    [DX_SESSION_REVOKED_AT] = {.name = DX_SLICE_INIT("revoked_at"), .type = DX_COLUMN_TIMESTAMP},
    [DX_SESSION_CREATED_AT] = {.name = DX_SLICE_INIT("created_at"), .type = DX_COLUMN_TIMESTAMP, .required = true},
    [DX_SESSION_LAST_USED_AT] = {.name = DX_SLICE_INIT("last_used_at"), .type = DX_COLUMN_TIMESTAMP, .required = true},
    [DX_SESSION_AGENT] = {.name = DX_SLICE_INIT("agent"), .type = DX_COLUMN_TEXT},
    [DX_SESSION_PEER] = {.name = DX_SLICE_INIT("peer"), .type = DX_COLUMN_TEXT},
};
const dx_table dx_session_table = {
    .name = DX_SLICE_INIT("duplex_sessions"), .columns = session_columns, .column_count = DX_SESSION_COLUMNS};

// By the name that was presented (folded), and only for names that some account has: see lockout.h.
static const dx_column failure_columns[DX_FAILURE_COLUMNS] = {
    [DX_FAILURE_NAME] = {.name = DX_SLICE_INIT("id"), .type = DX_COLUMN_TEXT, .required = true},
    [DX_FAILURE_COUNT] = {.name = DX_SLICE_INIT("failures"), .type = DX_COLUMN_INTEGER, .required = true},
    [DX_FAILURE_AT] = {.name = DX_SLICE_INIT("failed_at"), .type = DX_COLUMN_TIMESTAMP, .required = true, .indexed = true},
    [DX_FAILURE_UNTIL] = {.name = DX_SLICE_INIT("locked_until"), .type = DX_COLUMN_TIMESTAMP},
};
const dx_table dx_failure_table = {
    .name = DX_SLICE_INIT("duplex_login_failures"), .columns = failure_columns, .column_count = DX_FAILURE_COLUMNS};

const dx_table *const dx_identity_tables[] = {&dx_account_table, &dx_session_table, &dx_failure_table};
// clang-format on

// --- statements -------------------------------------------------------------------------------------------------------------

#define COLUMNS(...) (const uint16_t[]){__VA_ARGS__}, DX_COUNT_OF(((const uint16_t[]){__VA_ARGS__}))
#define NOTHING      NULL, 0

static const uint16_t every_column[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};

enum {
    LIMITED = 1,   // the last parameter is the limit
    ORDERED = 2,   // by id
    RETURNING = 4, // every column
    SKIPPING = 8,  // what exists stays
    RECENT = 16,   // sessions, those used last first
};

// One statement: `columns` selected or set, `where` a conjunction whose parameters follow those of `columns`.
// NOLINTNEXTLINE(clang-analyzer-optin.performance.Padding): in the order in which the table reads
typedef struct plan {
    size_t at; // of the pointer in dx_accounts
    dx_query_kind kind;
    const dx_table *table;
    unsigned flags;
    const uint16_t *columns;
    uint16_t column_count;
    const dx_expr *where;
    uint16_t where_count;
} plan;

#define WHERE(...) (const dx_expr[]){__VA_ARGS__}, DX_COUNT_OF(((const dx_expr[]){__VA_ARGS__}))
#define IS(column_, param_)                                                                                                                \
    { .kind = DX_EXPR_COMPARE, .column = (column_), .compare = DX_EQUAL, .param = (param_), .param_count = 1 }
#define COMPARES(column_, compare_, param_)                                                                                                \
    { .kind = DX_EXPR_COMPARE, .column = (column_), .compare = (compare_), .param = (param_), .param_count = 1 }
#define ABSENT(column_)                                                                                                                    \
    { .kind = DX_EXPR_COMPARE, .column = (column_), .compare = DX_IS_NULL }
#define PRESENT(column_)                                                                                                                   \
    { .kind = DX_EXPR_COMPARE, .column = (column_), .compare = DX_NOT_NULL }
#define AT(member) offsetof(dx_accounts, member)

// clang-format off
static const plan plans[] = {
    {AT(by_id), DX_QUERY_SELECT, &dx_account_table, 0, every_column, DX_ACCOUNT_COLUMNS, WHERE(IS(DX_ACCOUNT_ID, 0))},
    {AT(by_username), DX_QUERY_SELECT, &dx_account_table, 0, every_column, DX_ACCOUNT_COLUMNS, WHERE(IS(DX_ACCOUNT_USERNAME_KEY, 0))},
    {AT(by_email), DX_QUERY_SELECT, &dx_account_table, 0, every_column, DX_ACCOUNT_COLUMNS, WHERE(IS(DX_ACCOUNT_EMAIL_KEY, 0))},
    {AT(page), DX_QUERY_SELECT, &dx_account_table, LIMITED | ORDERED, every_column, DX_ACCOUNT_COLUMNS, WHERE(COMPARES(DX_ACCOUNT_ID, DX_GREATER, 0))},
    {AT(insert), DX_QUERY_INSERT, &dx_account_table, RETURNING, COLUMNS(DX_ACCOUNT_USERNAME, DX_ACCOUNT_USERNAME_KEY, DX_ACCOUNT_EMAIL,
        DX_ACCOUNT_EMAIL_KEY, DX_ACCOUNT_PASSWORD, DX_ACCOUNT_ROLES, DX_ACCOUNT_IS_DISABLED, DX_ACCOUNT_CREATED_AT, DX_ACCOUNT_UPDATED_AT),
     NOTHING},
    {AT(set_password), DX_QUERY_UPDATE, &dx_account_table, 0, COLUMNS(DX_ACCOUNT_PASSWORD, DX_ACCOUNT_UPDATED_AT, DX_ACCOUNT_UNLOCKED_AT),
     WHERE(IS(DX_ACCOUNT_ID, 3))},
    {AT(unlock), DX_QUERY_UPDATE, &dx_account_table, 0, COLUMNS(DX_ACCOUNT_UNLOCKED_AT), WHERE(IS(DX_ACCOUNT_ID, 1))},
    {AT(upgrade_password), DX_QUERY_UPDATE, &dx_account_table, 0, COLUMNS(DX_ACCOUNT_PASSWORD),
     WHERE(IS(DX_ACCOUNT_ID, 1), IS(DX_ACCOUNT_PASSWORD, 2))},
    {AT(set_email), DX_QUERY_UPDATE, &dx_account_table, RETURNING, COLUMNS(DX_ACCOUNT_EMAIL, DX_ACCOUNT_EMAIL_KEY, DX_ACCOUNT_UPDATED_AT),
     WHERE(IS(DX_ACCOUNT_ID, 3))},
    {AT(set_disabled), DX_QUERY_UPDATE, &dx_account_table, 0, COLUMNS(DX_ACCOUNT_IS_DISABLED, DX_ACCOUNT_UPDATED_AT), WHERE(IS(DX_ACCOUNT_ID, 2))},
    {AT(set_roles), DX_QUERY_UPDATE, &dx_account_table, 0, COLUMNS(DX_ACCOUNT_ROLES, DX_ACCOUNT_UPDATED_AT), WHERE(IS(DX_ACCOUNT_ID, 2))},
    {AT(logged_in), DX_QUERY_UPDATE, &dx_account_table, 0, COLUMNS(DX_ACCOUNT_LAST_LOGIN_AT), WHERE(IS(DX_ACCOUNT_ID, 1))},
    {AT(session_by_id), DX_QUERY_SELECT, &dx_session_table, 0, every_column, DX_SESSION_COLUMNS, WHERE(IS(DX_SESSION_ID, 0))},
    {AT(session_insert), DX_QUERY_INSERT, &dx_session_table, 0, COLUMNS(DX_SESSION_ID, DX_SESSION_ACCOUNT, DX_SESSION_REFRESH,
        DX_SESSION_EXPIRES_AT, DX_SESSION_CREATED_AT, DX_SESSION_LAST_USED_AT, DX_SESSION_AGENT, DX_SESSION_PEER), NOTHING},
    {AT(session_rotate), DX_QUERY_UPDATE, &dx_session_table, 0, COLUMNS(DX_SESSION_REFRESH, DX_SESSION_PREVIOUS, DX_SESSION_ROTATED_AT,
        DX_SESSION_EXPIRES_AT, DX_SESSION_LAST_USED_AT), WHERE(IS(DX_SESSION_ID, 5))},
    {AT(session_used), DX_QUERY_UPDATE, &dx_session_table, 0, COLUMNS(DX_SESSION_LAST_USED_AT),
     WHERE(IS(DX_SESSION_ID, 1), ABSENT(DX_SESSION_REVOKED_AT))},
    {AT(session_revoke), DX_QUERY_UPDATE, &dx_session_table, 0, COLUMNS(DX_SESSION_REVOKED_AT),
     WHERE(IS(DX_SESSION_ID, 1), ABSENT(DX_SESSION_REVOKED_AT))},
    {AT(sessions_revoke), DX_QUERY_UPDATE, &dx_session_table, 0, COLUMNS(DX_SESSION_REVOKED_AT),
     WHERE(IS(DX_SESSION_ACCOUNT, 1), ABSENT(DX_SESSION_REVOKED_AT))},
    {AT(sessions_revoke_others), DX_QUERY_UPDATE, &dx_session_table, 0, COLUMNS(DX_SESSION_REVOKED_AT),
     WHERE(IS(DX_SESSION_ACCOUNT, 1), COMPARES(DX_SESSION_ID, DX_NOT_EQUAL, 2), ABSENT(DX_SESSION_REVOKED_AT))},
    {AT(sessions_live), DX_QUERY_SELECT, &dx_session_table, LIMITED | RECENT, COLUMNS(DX_SESSION_ID),
     WHERE(IS(DX_SESSION_ACCOUNT, 0), ABSENT(DX_SESSION_REVOKED_AT))},
    {AT(sessions_forget), DX_QUERY_DELETE, &dx_session_table, 0, NOTHING, WHERE(IS(DX_SESSION_ACCOUNT, 0), PRESENT(DX_SESSION_REVOKED_AT))},
    {AT(sessions_expired), DX_QUERY_SELECT, &dx_session_table, LIMITED, COLUMNS(DX_SESSION_ID),
     WHERE(COMPARES(DX_SESSION_EXPIRES_AT, DX_LESS, 0))},
    {AT(session_delete), DX_QUERY_DELETE, &dx_session_table, 0, NOTHING, WHERE(IS(DX_SESSION_ID, 0))},
    {AT(failure_by_name), DX_QUERY_SELECT, &dx_failure_table, 0, every_column, DX_FAILURE_COLUMNS, WHERE(IS(DX_FAILURE_NAME, 0))},
    {AT(failure_insert), DX_QUERY_INSERT, &dx_failure_table, SKIPPING, every_column, DX_FAILURE_COLUMNS, NOTHING},
    {AT(failure_update), DX_QUERY_UPDATE, &dx_failure_table, 0, COLUMNS(DX_FAILURE_COUNT, DX_FAILURE_AT, DX_FAILURE_UNTIL),
     WHERE(IS(DX_FAILURE_NAME, 3))},
    {AT(failure_delete), DX_QUERY_DELETE, &dx_failure_table, 0, NOTHING, WHERE(IS(DX_FAILURE_NAME, 0))},
    {AT(failures_old), DX_QUERY_SELECT, &dx_failure_table, LIMITED, COLUMNS(DX_FAILURE_NAME),
     WHERE(COMPARES(DX_FAILURE_AT, DX_LESS, 0))},
};
// clang-format on

enum { WHERE_CAP = 4 };

static dx_status keep(const dx_statement **out, dx_keep *kept, const plan *from) {
    static const dx_order by_id = {.column = 0};
    static const dx_order by_use[] = {{.column = DX_SESSION_LAST_USED_AT, .descending = true},
                                      {.column = DX_SESSION_ID, .descending = true}};
    const dx_expr *items[WHERE_CAP];
    dx_expr all = {.kind = DX_EXPR_AND, .items = items, .item_count = from->where_count};
    dx_query query = DX_QUERY_INIT(from->kind, from->table);
    uint16_t params = from->kind == DX_QUERY_SELECT ? 0 : from->column_count;
    for (uint16_t i = 0; i < from->where_count; i++) {
        items[i] = &from->where[i];
        params = (uint16_t)(params + from->where[i].param_count);
    }
    query.columns = from->columns;
    query.column_count = from->column_count;
    if (from->where_count) query.where = from->where_count == 1 ? from->where : &all;
    if (from->flags & LIMITED) query.limit_param = params;
    if (from->flags & ORDERED) {
        query.order = &by_id;
        query.order_count = 1;
    }
    if (from->flags & RECENT) {
        query.order = by_use;
        query.order_count = DX_COUNT_OF(by_use);
    }
    if (from->flags & RETURNING) {
        query.returning = every_column;
        query.returning_count = from->table->column_count;
    }
    query.skip_existing = from->flags & SKIPPING;
    return dx_statement_keep(out, kept, &query);
}

dx_status dx_accounts_init(dx_accounts *out, dx_keep *kept) {
    for (size_t i = 0; i < DX_COUNT_OF(plans); i++) {
        const dx_statement *statement = NULL;
        dx_status status = keep(&statement, kept, &plans[i]);
        if (status != DX_OK) return status;
        *(const dx_statement **)(void *)((char *)out + plans[i].at) = statement;
    }
    return DX_OK;
}

// --- rows -------------------------------------------------------------------------------------------------------------------

static dx_slice text_of(const dx_row *row, size_t column) {
    dx_value value = dx_row_value(row, column);
    return value.type == DX_VALUE_NULL ? (dx_slice){NULL, 0} : value.text;
}

static int64_t integer_of(const dx_row *row, size_t column) {
    dx_value value = dx_row_value(row, column);
    return value.type == DX_VALUE_NULL ? 0 : value.integer;
}

static bool copy_text(dx_slice *out, dx_arena *arena, dx_slice text) {
    *out = text.data ? dx_arena_copy(arena, text) : text;
    return !text.data || out->data;
}

dx_status dx_account_read(dx_account *out, dx_arena *arena, const dx_row *row) {
    *out = (dx_account){
        .disabled = integer_of(row, DX_ACCOUNT_IS_DISABLED) != 0,
        .created_at = integer_of(row, DX_ACCOUNT_CREATED_AT),
        .updated_at = integer_of(row, DX_ACCOUNT_UPDATED_AT),
        .last_login_at = integer_of(row, DX_ACCOUNT_LAST_LOGIN_AT),
        .unlocked_at = integer_of(row, DX_ACCOUNT_UNLOCKED_AT),
    };
    if (!copy_text(&out->username, arena, text_of(row, DX_ACCOUNT_USERNAME)) ||
        !copy_text(&out->email, arena, text_of(row, DX_ACCOUNT_EMAIL)) ||
        !copy_text(&out->password, arena, text_of(row, DX_ACCOUNT_PASSWORD)) ||
        !copy_text(&out->roles, arena, text_of(row, DX_ACCOUNT_ROLES)))
        return DX_NO_MEMORY;
    out->id = integer_of(row, DX_ACCOUNT_ID); // last: an id of 0 means that there is none
    return DX_OK;
}

dx_status dx_account_recheck(const dx_account *seen, const dx_row *row) {
    if (integer_of(row, DX_ACCOUNT_IS_DISABLED)) return DX_ACCOUNT_DISABLED;
    // The same password may have another hash since: a login beside this one renewed it, which does not count as a change.
    bool same =
        integer_of(row, DX_ACCOUNT_UPDATED_AT) == seen->updated_at || dx_slice_equal(text_of(row, DX_ACCOUNT_PASSWORD), seen->password);
    return same ? DX_OK : DX_BAD_CREDENTIALS;
}

static bool read_digest(uint8_t out[32], dx_slice blob) {
    if (blob.size != 32) return false;
    memcpy(out, blob.data, 32);
    return true;
}

void dx_session_read(dx_stored_session *out, const dx_row *row) {
    out->account = integer_of(row, DX_SESSION_ACCOUNT);
    out->rotated_at = integer_of(row, DX_SESSION_ROTATED_AT);
    out->expires_at = integer_of(row, DX_SESSION_EXPIRES_AT);
    out->revoked_at = integer_of(row, DX_SESSION_REVOKED_AT);
    out->found = read_digest(out->refresh, text_of(row, DX_SESSION_REFRESH));
    out->has_previous = read_digest(out->previous, text_of(row, DX_SESSION_PREVIOUS));
}

void dx_account_insert_values(dx_value out[DX_ACCOUNT_INSERT_VALUES], dx_account_keys *keys, const dx_account *account) {
    bool has_email = account->email.size != 0;
    (void)dx_name_fold(keys->username, account->username);
    if (has_email) (void)dx_name_fold(keys->email, account->email);
    out[0] = DX_TEXT_VALUE(account->username);
    out[1] = DX_TEXT_VALUE(dx_slice_of(keys->username, account->username.size));
    out[2] = has_email ? DX_TEXT_VALUE(account->email) : DX_NULL_VALUE;
    out[3] = has_email ? DX_TEXT_VALUE(dx_slice_of(keys->email, account->email.size)) : DX_NULL_VALUE;
    out[4] = DX_TEXT_VALUE(account->password);
    out[5] = DX_TEXT_VALUE(account->roles);
    out[6] = DX_BOOL_VALUE(account->disabled);
    out[7] = DX_INT_VALUE(account->created_at);
    out[8] = DX_INT_VALUE(account->updated_at);
}
