// `duplex users`: the operator's way to accounts. It works on the store itself, beside a running server: what it changes is believed by the
// server within a second (docs/identity.md).
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"
#include "cli/command.h"
#include "cli/password_line.h"
#include "codec/text.h"
#include "crypto/digest.h"
#include "crypto/password.h"
#include "identity/accounts.h"
#include "server/app.h"

#define ARENA_CAP  ((size_t)64 << 20)
#define PAGE_ROWS  200
#define STEPS_CAP  6
#define VALUES_CAP 12

typedef struct users {
    const char *username, *email, *role, *store_url, *definition_path;
    int password_stdin;
    dx_arena *arena;
    dx_diags findings;
    dx_slice url, roles; // roles: JSON
    dx_password_rule rule;
    dx_password_cost cost;
    char password[DX_PASSWORD_BYTES_CAP + 2], hash[DX_PASSWORD_HASH_CAP];
    size_t password_size;
    dx_store *store;
    dx_accounts statements;
    dx_account account;
    dx_micros_utc now;
    size_t listed;
    dx_step steps[STEPS_CAP];
    dx_value values[VALUES_CAP];
    size_t step_count, value_count;
} users;

// Which options an action takes, and which of these it can't do without.
enum { USERNAME = 1, EMAIL = 2, ROLE = 4, PASSWORD = 8 };

typedef struct user_action {
    const char *name;
    int (*run)(users *u);
    unsigned takes, needs;
    bool makes_store; // else the store must be there already
} user_action;

static int failed(const char *format, ...) DX_PRINTF(1, 2);
static int failed(const char *format, ...) {
    va_list args;
    va_start(args, format);
    fputs("duplex users: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    return DX_EXIT_FAILED;
}

static int refused(const char *option, const char *fault) {
    fprintf(stderr, "duplex users: %s: %s\n", option, fault);
    return DX_EXIT_REFUSED;
}

// --- where the accounts are -------------------------------------------------------------------------------------------------

static void take_rules(users *u, const dx_definition *definition) {
    yyjson_val *identity = dx_definition_section(definition, "identity"), *password = yyjson_obj_get(identity, "password");
    yyjson_val *cost = yyjson_obj_get(password, "cost"), *roles = yyjson_obj_get(identity, "default_roles");
    dx_buffer text;
    if (password) u->rule.min_length = (size_t)yyjson_get_uint(yyjson_obj_get(password, "min_length"));
    if (cost)
        u->cost = (dx_password_cost){(uint32_t)yyjson_get_uint(yyjson_obj_get(cost, "memory_kib")),
                                     (uint32_t)yyjson_get_uint(yyjson_obj_get(cost, "passes")),
                                     (uint32_t)yyjson_get_uint(yyjson_obj_get(cost, "lanes"))};
    if (!roles) return;
    dx_buffer_init(&text, u->arena, 16384);
    dx_json_write_value(&text, roles);
    if (dx_buffer_status(&text) == DX_OK) u->roles = dx_buffer_slice(&text);
}

// A relative file of the definition lies beside the definition, as when it is served.
static dx_slice beside(users *u, dx_slice url) {
    static const dx_slice scheme = DX_SLICE_INIT("sqlite:");
    dx_slice file = dx_slice_from(url, scheme.size);
    const char *slash = strrchr(u->definition_path, '/');
    if (!slash || !dx_slice_starts(url, scheme) || file.size == 0 || file.data[0] == '/' || file.data[0] == ':') return url;
    return dx_arena_printf(u->arena, "sqlite:%.*s%.*s", (int)(slash - u->definition_path) + 1, u->definition_path, DX_SLICE_ARG(file));
}

static int read_definition(users *u) {
    size_t count;
    dx_definition *definition;
    const dx_section *const *sections = dx_app_sections(&count);
    if (dx_definition_load(&definition, u->definition_path, sections, count, NULL, &u->findings) != DX_OK) {
        dx_print_findings(&u->findings);
        return DX_EXIT_REFUSED;
    }
    take_rules(u, definition);
    if (!u->url.size) {
        dx_slice url = dx_json_member_slice(dx_definition_section(definition, "server"), "store");
        u->url = dx_arena_copy(u->arena, beside(u, url));
    }
    dx_definition_destroy(definition);
    return u->url.data ? DX_EXIT_OK : failed("out of memory");
}

static int find_store(users *u) {
    const char *variable = getenv("DUPLEX_STORE");
    u->url = dx_slice_str(u->store_url ? u->store_url : variable);
    if (u->definition_path) return read_definition(u);
    if (u->url.size) return DX_EXIT_OK;
    return dx_usage_error(&dx_cmd_users, "which store? Give --store URL, --definition FILE, or set DUPLEX_STORE");
}

static int open_store(users *u, const user_action *action) {
    dx_store_options options = DX_STORE_OPTIONS_INIT;
    dx_migration_report report;
    if (!action->makes_store && dx_slice_starts(u->url, DX_SLICE("sqlite:")) && access(u->url.data + 7, F_OK) != 0)
        return failed("%s: %s", u->url.data, strerror(errno));
    dx_status status = dx_store_open(&u->store, u->url, &options, &u->findings);
    if (status == DX_OK) status = dx_store_migrate(u->store, dx_identity_tables, DX_IDENTITY_TABLE_COUNT, &report, &u->findings);
    dx_keep *kept = status == DX_OK ? dx_keep_create(u->store) : NULL; // goes with the store
    if (status == DX_OK) status = kept ? dx_accounts_init(&u->statements, kept) : DX_NO_MEMORY;
    if (status == DX_OK) return DX_EXIT_OK;
    if (!u->findings.count) return failed("%s: %s", u->url.data, dx_status_title(status));
    dx_print_findings(&u->findings);
    return DX_EXIT_FAILED;
}

// --- what the options say ---------------------------------------------------------------------------------------------------

// "admin,editor" as JSON.
static int read_roles(users *u) {
    dx_buffer out;
    dx_slice rest = dx_slice_str(u->role);
    if (!u->role) return DX_EXIT_OK;
    dx_buffer_init(&out, u->arena, 16384);
    dx_buffer_byte(&out, '[');
    for (size_t count = 0; rest.data; count++) {
        dx_slice role = dx_slice_trim(dx_slice_cut(&rest, ','));
        const char *fault = count < DX_ROLES_CAP ? dx_role_fault(role) : "expected at most 16 roles";
        if (fault) return refused("--role", fault);
        if (count) dx_buffer_byte(&out, ',');
        dx_json_write_string(&out, role);
    }
    dx_buffer_byte(&out, ']');
    u->roles = dx_buffer_slice(&out);
    return dx_buffer_status(&out) == DX_OK ? DX_EXIT_OK : failed("out of memory");
}

static int read_password(users *u) {
    if (!u->password_stdin) return DX_EXIT_OK;
    const char *fault = dx_password_line_read("password", u->password, sizeof u->password, &u->password_size);
    return fault ? refused("--password-stdin", fault) : DX_EXIT_OK;
}

static int hash_password(users *u, dx_slice username, dx_slice email) {
    dx_slice password = dx_slice_of(u->password, u->password_size);
    const char *fault = dx_password_fault(password, username, email, &u->rule);
    if (fault) {
        int result = refused("--password-stdin", fault);
        fprintf(stderr, "A password has at least %zu characters, is not a common one, and not the username or e-mail address.\n",
                u->rule.min_length);
        return result;
    }
    dx_status status = dx_password_hash(u->hash, password, &u->cost);
    return status == DX_OK ? DX_EXIT_OK : failed("the password could not be hashed: %s", dx_status_title(status));
}

static int check_options(const users *u, const user_action *action) {
    static const struct {
        unsigned bit;
        const char *name;
    } names[] = {{USERNAME, "--username"}, {EMAIL, "--email"}, {ROLE, "--role"}, {PASSWORD, "--password-stdin"}};
    unsigned given = (u->username ? USERNAME : 0u) | (u->email ? EMAIL : 0u) | (u->role ? ROLE : 0u) | (u->password_stdin ? PASSWORD : 0u);
    for (size_t i = 0; i < DX_COUNT_OF(names); i++) {
        if (action->needs & ~given & names[i].bit) return dx_usage_error(&dx_cmd_users, "%s needs %s", action->name, names[i].name);
        if (given & ~action->takes & names[i].bit) return dx_usage_error(&dx_cmd_users, "%s takes no %s", action->name, names[i].name);
    }
    return DX_EXIT_OK;
}

// --- statements -------------------------------------------------------------------------------------------------------------

static void add_step(users *u, const dx_statement *statement, const dx_value *values, size_t count,
                     dx_status (*row)(void *ctx, const dx_row *row), bool must_change) {
    dx_value *own = u->values + u->value_count;
    memcpy(own, values, count * sizeof *values);
    u->value_count += count;
    u->steps[u->step_count++] = (dx_step){statement, own, count, row, must_change};
}

static dx_status run_steps(users *u, dx_tx_mode mode, char conflict[80]) {
    dx_script script;
    dx_script_init(&script, mode, u->steps, u->step_count, u);
    dx_store_run(u->store, &script.tx);
    u->step_count = u->value_count = 0;
    if (conflict) memcpy(conflict, script.conflict, sizeof script.conflict);
    return script.outcome;
}

static dx_status take_account(void *ctx, const dx_row *row) {
    users *u = ctx;
    return dx_account_read(&u->account, u->arena, row);
}

static int find_account(users *u) {
    char key[DX_NAME_KEY_CAP];
    dx_slice name = dx_slice_str(u->username);
    if (!dx_name_fold(key, name)) return failed("no account is named \"%s\"", u->username);
    dx_value value = DX_TEXT_VALUE(dx_slice_of(key, name.size));
    add_step(u, dx_name_is_email(name) ? u->statements.by_email : u->statements.by_username, &value, 1, take_account, false);
    dx_status status = run_steps(u, DX_TX_READ, NULL);
    if (status != DX_OK) return failed("%s", dx_status_title(status));
    return u->account.id ? DX_EXIT_OK : failed("no account is named \"%s\"", u->username);
}

// What is written down of failed logins goes; what a running server has in memory it forgets by the time written here.
static void unlock(users *u, char keys[2][DX_NAME_KEY_CAP]) {
    const dx_value values[] = {DX_INT_VALUE(u->now), DX_INT_VALUE(u->account.id)};
    add_step(u, u->statements.unlock, values, 2, NULL, false);
    dx_slice names[] = {u->account.username, u->account.email};
    for (size_t i = 0; i < 2; i++) {
        if (!dx_name_fold(keys[i], names[i])) continue;
        dx_value name = DX_TEXT_VALUE(dx_slice_of(keys[i], names[i].size));
        add_step(u, u->statements.failure_delete, &name, 1, NULL, false);
    }
}

static void end_sessions(users *u) {
    const dx_value values[] = {DX_INT_VALUE(u->now), DX_INT_VALUE(u->account.id)};
    add_step(u, u->statements.sessions_revoke, values, 2, NULL, false);
}

static int finish(users *u, const char *what) {
    dx_status status = run_steps(u, DX_TX_WRITE, NULL);
    if (status != DX_OK) return failed("%s", dx_status_title(status));
    printf("%.*s: %s\n", DX_SLICE_ARG(u->account.username), what);
    return DX_EXIT_OK;
}

// --- actions ----------------------------------------------------------------------------------------------------------------

// The JSON array of role names, without what only JSON needs.
static dx_slice plain_roles(dx_arena *arena, dx_slice json) {
    size_t size = 0;
    char *text = dx_arena_bytes(arena, json.size + 1);
    if (!text) return json;
    for (size_t i = 0; i < json.size; i++) {
        if (!strchr("[]\"", json.data[i])) text[size++] = json.data[i];
    }
    return dx_slice_of(text, size);
}

static int create(users *u) {
    dx_slice username = dx_slice_str(u->username), email = dx_slice_str(u->email);
    if (dx_username_fault(username)) return refused("--username", dx_username_fault(username));
    if (dx_email_fault(email)) return refused("--email", dx_email_fault(email));
    int result = hash_password(u, username, email);
    if (result != DX_EXIT_OK) return result;
    dx_account_keys keys;
    dx_value values[DX_ACCOUNT_INSERT_VALUES];
    char conflict[80];
    dx_account made = {.username = username,
                       .email = email,
                       .password = dx_slice_str(u->hash),
                       .roles = u->roles,
                       .created_at = u->now,
                       .updated_at = u->now};
    dx_account_insert_values(values, &keys, &made);
    add_step(u, u->statements.insert, values, DX_COUNT_OF(values), take_account, true);
    dx_status status = run_steps(u, DX_TX_WRITE, conflict);
    if (status == DX_ALREADY_EXISTS)
        return failed("an account with the %s exists", strstr(conflict, "email") ? "e-mail address" : "username");
    if (status != DX_OK) return failed("%s", dx_status_title(status));
    dx_slice roles = plain_roles(u->arena, u->account.roles);
    printf("%.*s: created as account %lld, roles: %.*s\n", DX_SLICE_ARG(u->account.username), (long long)u->account.id,
           DX_SLICE_ARG(roles));
    return DX_EXIT_OK;
}

static int time_width(char out[DX_TIME_TEXT_CAP], dx_micros_utc time) {
    if (time) return (int)dx_time_write(out, time - time % 1000000);
    return snprintf(out, DX_TIME_TEXT_CAP, "never");
}

static dx_status print_account(void *ctx, const dx_row *row) {
    users *u = ctx;
    char created[DX_TIME_TEXT_CAP], seen[DX_TIME_TEXT_CAP];
    dx_status status = dx_account_read(&u->account, u->arena, row);
    if (status != DX_OK) return status;
    dx_slice roles = plain_roles(u->arena, u->account.roles);
    int created_width = time_width(created, u->account.created_at), seen_width = time_width(seen, u->account.last_login_at);
    printf("%-6lld %-20.*s %-32.*s %-8s %-20.*s %-20.*s %.*s\n", (long long)u->account.id, DX_SLICE_ARG(u->account.username),
           DX_SLICE_ARG(u->account.email), u->account.disabled ? "disabled" : "active", created_width, created, seen_width, seen,
           DX_SLICE_ARG(roles));
    u->listed++;
    return DX_OK;
}

static int list(users *u) {
    size_t before;
    int64_t after = 0;
    printf("%-6s %-20s %-32s %-8s %-20s %-20s %s\n", "ID", "USERNAME", "E-MAIL", "STATE", "CREATED", "LAST LOGIN", "ROLES");
    do {
        const dx_value values[] = {DX_INT_VALUE(after), DX_INT_VALUE(PAGE_ROWS)};
        before = u->listed;
        dx_arena_reset(u->arena);
        add_step(u, u->statements.page, values, 2, print_account, false);
        dx_status status = run_steps(u, DX_TX_READ, NULL);
        if (status != DX_OK) return failed("%s", dx_status_title(status));
        after = u->account.id;
    } while (u->listed - before == PAGE_ROWS);
    return fflush(stdout) == 0 ? DX_EXIT_OK : failed("the list could not be written: %s", strerror(errno));
}

static int set_disabled(users *u, bool disabled) {
    char keys[2][DX_NAME_KEY_CAP];
    int result = find_account(u);
    if (result != DX_EXIT_OK) return result;
    const dx_value values[] = {DX_BOOL_VALUE(disabled), DX_INT_VALUE(u->now), DX_INT_VALUE(u->account.id)};
    add_step(u, u->statements.set_disabled, values, 3, NULL, true);
    if (disabled)
        end_sessions(u);
    else
        unlock(u, keys);
    return finish(u, disabled ? "disabled, and logged out everywhere" : "enabled");
}

static int disable(users *u) {
    return set_disabled(u, true);
}

static int enable(users *u) {
    return set_disabled(u, false);
}

static int change_password(users *u) {
    char keys[2][DX_NAME_KEY_CAP];
    int result = find_account(u);
    if (result == DX_EXIT_OK) result = hash_password(u, u->account.username, u->account.email);
    if (result != DX_EXIT_OK) return result;
    const dx_value values[] = {DX_TEXT_VALUE(dx_slice_str(u->hash)), DX_INT_VALUE(u->now), DX_INT_VALUE(u->now),
                               DX_INT_VALUE(u->account.id)};
    add_step(u, u->statements.set_password, values, 4, NULL, true);
    end_sessions(u);
    unlock(u, keys);
    return finish(u, "the password is changed, and every session has ended");
}

static int change_roles(users *u) {
    int result = find_account(u);
    if (result != DX_EXIT_OK) return result;
    const dx_value values[] = {DX_TEXT_VALUE(u->roles), DX_INT_VALUE(u->now), DX_INT_VALUE(u->account.id)};
    add_step(u, u->statements.set_roles, values, 3, NULL, true);
    return finish(u, "the roles are changed");
}

// --- the command ------------------------------------------------------------------------------------------------------------

static const user_action actions[] = {
    {"create", create, USERNAME | EMAIL | ROLE | PASSWORD, USERNAME | EMAIL | PASSWORD, true},
    {"list", list, 0, 0, false},
    {"disable", disable, USERNAME, USERNAME, false},
    {"enable", enable, USERNAME, USERNAME, false},
    {"passwd", change_password, USERNAME | PASSWORD, USERNAME | PASSWORD, false},
    {"roles", change_roles, USERNAME | ROLE, USERNAME | ROLE, false},
};

static const user_action *find_action(const char *name) {
    for (size_t i = 0; i < DX_COUNT_OF(actions); i++) {
        if (strcmp(name, actions[i].name) == 0) return &actions[i];
    }
    return NULL;
}

static int unknown_action(const char *name) {
    dx_slice names[DX_COUNT_OF(actions)];
    dx_hint hint;
    for (size_t i = 0; i < DX_COUNT_OF(actions); i++) names[i] = dx_slice_str(actions[i].name);
    return dx_usage_error(&dx_cmd_users, "there is no action \"%s\"%s", name, dx_hint_write(&hint, name, names, DX_COUNT_OF(names)));
}

static int perform(users *u, const user_action *action) {
    int result = check_options(u, action);
    if (result == DX_EXIT_OK) result = find_store(u);
    if (result == DX_EXIT_OK) result = read_roles(u);
    if (result == DX_EXIT_OK) result = read_password(u);
    if (result == DX_EXIT_OK) result = open_store(u, action);
    u->now = dx_clock_utc(); // not before the password was typed
    return result == DX_EXIT_OK ? action->run(u) : result;
}

static int run(int argc, char **argv) {
    users *u = dx_memory_zalloc(1, sizeof *u);
    int operands, result = DX_EXIT_USAGE;
    if (!u || !(u->arena = dx_arena_create(ARENA_CAP))) {
        dx_memory_free(u);
        return failed("out of memory");
    }
    const dx_option options[] = {
        {"--username", &u->username, NULL}, {"--email", &u->email, NULL},
        {"--role", &u->role, NULL},         {"--password-stdin", NULL, &u->password_stdin},
        {"--store", &u->store_url, NULL},   {"--definition", &u->definition_path, NULL},
    };
    dx_diags_init(&u->findings, u->arena);
    u->rule = (dx_password_rule)DX_PASSWORD_RULE_INIT;
    u->cost = (dx_password_cost)DX_PASSWORD_COST_INIT;
    u->roles = DX_SLICE("[\"user\"]");
    if (!dx_options_read(&dx_cmd_users, argc, argv, options, DX_COUNT_OF(options), &operands)) goto out;
    const user_action *action = operands == 1 ? find_action(argv[1]) : NULL;
    if (action)
        result = perform(u, action);
    else if (operands == 1)
        result = unknown_action(argv[1]);
    else
        result = dx_usage_error(&dx_cmd_users, "expected one action: create, list, disable, enable, passwd or roles");
out:
    dx_store_close(u->store);
    dx_arena_destroy(u->arena);
    dx_secret_wipe(u, sizeof *u);
    dx_memory_free(u);
    return result;
}

const dx_command dx_cmd_users = {
    "users",
    "make and manage accounts",
    "Usage: duplex users create --username NAME --email MAIL [--role ROLE,…] --password-stdin [--store URL]\n"
    "       duplex users list [--store URL]\n"
    "       duplex users disable --username NAME [--store URL]\n"
    "       duplex users enable --username NAME [--store URL]\n"
    "       duplex users passwd --username NAME --password-stdin [--store URL]\n"
    "       duplex users roles --username NAME --role ROLE,… [--store URL]\n\n"
    "Works on the store of a server, which may be running: a change is in force there within a second. disable and passwd end\n"
    "every session of the account; enable and passwd also lift a lock that failed logins have set.\n\n"
    "  --username NAME    the account: its username or, but for create, its e-mail address\n"
    "  --email MAIL       its e-mail address\n"
    "  --role ROLE,…      its roles (default for create: the definition's identity.default_roles, or user)\n"
    "  --password-stdin   read the password from standard input: one line; at a terminal it is asked for twice and not shown\n"
    "  --store URL        where the accounts lie, as sqlite:FILE (default: DUPLEX_STORE, or the definition's server.store)\n"
    "  --definition FILE  take the store, and the rules for passwords, from this definition\n\n"
    "Exit status: 0 done, 1 it did not work (no such account, the name is taken), 2 wrong usage, 3 the password, the name or the\n"
    "definition is not acceptable.\n\n"
    "Examples:\n"
    "  duplex users create --username root --email root@example.com --role admin --password-stdin --store sqlite:shop.db <secret.txt\n"
    "  duplex users list --definition examples/shop.json\n"
    "  duplex users disable --username john --store sqlite:shop.db\n",
    run,
};
