// Accounts and sessions as they are stored, and the statements that read and change them. No HTTP here: the server's handlers and the
// command line (`duplex users`) both stand on this.
#ifndef DX_IDENTITY_ACCOUNTS_H
#define DX_IDENTITY_ACCOUNTS_H

#include "base/arena.h"
#include "identity/script.h"

#define DX_USERNAME_CAP 64
#define DX_EMAIL_CAP    254 // RFC 5321's path, without the brackets
#define DX_ROLES_CAP    16
#define DX_ROLE_CAP     64
#define DX_NAME_KEY_CAP DX_EMAIL_CAP

extern const dx_table dx_account_table, dx_session_table, dx_failure_table;
extern const dx_table *const dx_identity_tables[];
#define DX_IDENTITY_TABLE_COUNT 3

typedef enum dx_account_column {
    DX_ACCOUNT_ID,
    DX_ACCOUNT_USERNAME,
    DX_ACCOUNT_USERNAME_KEY, // folded: what is unique and looked up
    DX_ACCOUNT_EMAIL,
    DX_ACCOUNT_EMAIL_KEY,
    DX_ACCOUNT_PASSWORD, // a hash (crypto/password.h)
    DX_ACCOUNT_ROLES,    // JSON array of strings
    DX_ACCOUNT_IS_DISABLED,
    DX_ACCOUNT_CREATED_AT,
    DX_ACCOUNT_UPDATED_AT, // moved by every change but a login
    DX_ACCOUNT_LAST_LOGIN_AT,
    DX_ACCOUNT_UNLOCKED_AT, // failed logins before this are forgiven
    DX_ACCOUNT_COLUMNS
} dx_account_column;

typedef enum dx_session_column {
    DX_SESSION_ID, // a UUID, the `sid` of its tokens
    DX_SESSION_ACCOUNT,
    DX_SESSION_REFRESH,  // SHA-256 of the refresh token that is good now
    DX_SESSION_PREVIOUS, // of the one before it
    DX_SESSION_ROTATED_AT,
    DX_SESSION_EXPIRES_AT,
    DX_SESSION_REVOKED_AT,
    DX_SESSION_CREATED_AT,
    DX_SESSION_LAST_USED_AT,
    DX_SESSION_AGENT,
    DX_SESSION_PEER,
    DX_SESSION_COLUMNS
} dx_session_column;

typedef enum dx_failure_column { DX_FAILURE_NAME, DX_FAILURE_COUNT, DX_FAILURE_AT, DX_FAILURE_UNTIL, DX_FAILURE_COLUMNS } dx_failure_column;

typedef struct dx_account {
    int64_t id; // 0: none
    dx_slice username, email, password, roles;
    bool disabled;
    dx_micros_utc created_at, updated_at, last_login_at, unlocked_at; // the last two: 0: never
} dx_account;

typedef struct dx_stored_session {
    bool found;
    int64_t account;
    uint8_t refresh[32], previous[32];
    bool has_previous;
    dx_micros_utc rotated_at, expires_at, revoked_at; // 0: not
} dx_stored_session;

// The kept statements. Parameters in the order told.
typedef struct dx_accounts {
    const dx_statement *by_id;                  // id → every column
    const dx_statement *by_username;            // username_key → likewise
    const dx_statement *by_email;               // email_key → likewise
    const dx_statement *page;                   // id, limit → accounts above id, by id
    const dx_statement *insert;                 // see dx_account_insert_values; gives the new row back
    const dx_statement *set_password;           // password, updated_at, unlocked_at, id
    const dx_statement *unlock;                 // unlocked_at, id
    const dx_statement *upgrade_password;       // password, id, the hash it replaces
    const dx_statement *set_email;              // email, email_key, updated_at, id; gives the row back
    const dx_statement *set_disabled;           // disabled, updated_at, id
    const dx_statement *set_roles;              // roles, updated_at, id
    const dx_statement *logged_in;              // last_login_at, id
    const dx_statement *session_by_id;          // id → every column
    const dx_statement *session_insert;         // id, account, refresh, expires_at, created_at, last_used_at, agent, peer
    const dx_statement *session_rotate;         // refresh, previous, rotated_at, expires_at, last_used_at, id
    const dx_statement *session_used;           // last_used_at, id; changes none that has ended
    const dx_statement *session_revoke;         // revoked_at, id
    const dx_statement *sessions_revoke;        // revoked_at, account: every one of the account that still lives
    const dx_statement *sessions_revoke_others; // revoked_at, account, id of the one that stays
    const dx_statement *sessions_live;          // account, limit → id, those used last first
    const dx_statement *sessions_forget;        // account: deletes what was revoked of it
    const dx_statement *sessions_expired;       // time, limit → id
    const dx_statement *session_delete;         // id
    const dx_statement *failure_by_name;        // name → every column
    const dx_statement *failure_insert;         // name, count, at, until; an existing one stays
    const dx_statement *failure_update;         // count, at, until, name
    const dx_statement *failure_delete;         // name
    const dx_statement *failures_old;           // time, limit → name
} dx_accounts;

dx_status dx_accounts_init(dx_accounts *out, dx_keep *kept) DX_MUST_USE;

// Rows into structs; text is copied into the arena. For a step's `row`.
dx_status dx_account_read(dx_account *out, dx_arena *arena, const dx_row *row) DX_MUST_USE;
// For a row of `by_id` in a transaction that follows from an older look at the account: whether what was found then still stands. Between
// the two lies a password hash, which may have waited for seconds. DX_OK, DX_ACCOUNT_DISABLED, or DX_BAD_CREDENTIALS: another password.
dx_status dx_account_recheck(const dx_account *seen, const dx_row *row);
void dx_session_read(dx_stored_session *out, const dx_row *row);

// What a login may name an account by, folded so that case does not matter. False when it can be the name of no account.
bool dx_name_fold(char out[DX_NAME_KEY_CAP], dx_slice name);
bool dx_name_is_email(dx_slice name); // usernames have no "@", so a name is one or the other

// Why it can't be one, as a phrase ("expected …"), or NULL when it can.
const char *dx_username_fault(dx_slice username);
const char *dx_email_fault(dx_slice email);
const char *dx_role_fault(dx_slice role);
typedef struct dx_password_rule {
    size_t min_length, max_length; // code points; max_length also caps bytes
} dx_password_rule;
#define DX_PASSWORD_RULE_INIT                                                                                                              \
    { 12, 1024 }
const char *dx_password_fault(dx_slice password, dx_slice username, dx_slice email, const dx_password_rule *rule);

// The parameters of `insert`: username, username_key, email, email_key, password, roles, disabled, created_at, updated_at. The two keys are
// written into `keys`, which lives as long as the values.
#define DX_ACCOUNT_INSERT_VALUES 9
typedef struct dx_account_keys {
    char username[DX_NAME_KEY_CAP], email[DX_NAME_KEY_CAP];
} dx_account_keys;
void dx_account_insert_values(dx_value out[DX_ACCOUNT_INSERT_VALUES], dx_account_keys *keys, const dx_account *account);

#endif
