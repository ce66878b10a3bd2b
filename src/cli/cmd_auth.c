// `duplex auth`: logging in to APIs that want a person, and seeing and ending what one is logged in as. Tokens are never printed.
#include <stdio.h>

#include "cli/auth_login.h"
#include "cli/command.h"
#include "client/client.h"
#include "codec/text.h"

#define ARENA_CAP ((size_t)64 << 20)
enum { LOGIN_TIMEOUT_S = 300 };

typedef struct auth_command {
    dx_client *client;
    dx_apis *apis; // held
    dx_arena *arena;
    const char *path, *name;
    int64_t timeout_ms;
} auth_command;

DX_PRINTF(2, 3) static int tell(int result, const char *format, ...) {
    va_list args;
    va_start(args, format);
    fputs("duplex auth: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    return result;
}

static int find_api(const auth_command *a, const dx_api **out) {
    dx_slice near;
    *out = dx_apis_api(a->apis, dx_slice_str(a->name), &near);
    if (*out) return DX_EXIT_OK;
    return tell(DX_EXIT_REFUSED, "%s has no API \"%s\"%s%.*s%s", a->path, a->name, near.size ? "; did you mean \"" : "", DX_SLICE_ARG(near),
                near.size ? "\"?" : "");
}

// The API, its handler and its keeper of tokens.
static int find_tokens(const auth_command *a, dx_login *login) {
    const dx_api *api;
    int result = find_api(a, &api);
    if (result != DX_EXIT_OK) return result;
    dx_auth *auth = dx_auth_of_chain(&api->settings->chain);
    login->arena = a->arena;
    login->timeout_ms = a->timeout_ms;
    login->tokens = auth ? dx_auth_tokens(auth) : NULL;
    login->oauth2 = auth ? dx_auth_oauth2_of(auth) : NULL;
    if (login->tokens) return DX_EXIT_OK;
    return tell(DX_EXIT_REFUSED, "the API %s has no tokens: its auth is %s", a->name, auth ? auth->ops->type : "none");
}

// --- login ---------------------------------------------------------------------------------------------------------------------------
static void print_end(const dx_tokens_status *status) {
    char text[DX_TIME_TEXT_CAP];
    if (status->expires) printf(", good until %.*s", (int)dx_time_write(text, status->expires / 1000000 * 1000000), text);
    if (status->renewable) fputs(", renewed by itself", stdout);
    if (status->scope[0]) printf(", scopes: %s", status->scope);
}

static int keep(const auth_command *a, dx_login *login, dx_token *token) {
    dx_tokens_status status;
    if (!token->expires) { // as a keeper has it
        token->lifetime_s = 3600;
        token->expires = token->obtained + token->lifetime_s * 1000000;
    }
    if (dx_tokens_put(login->tokens, token, &status) != DX_OK) return tell(DX_EXIT_FAILED, "%s: %s", a->name, status.why);
    printf("%s: logged in", a->name);
    print_end(&status);
    printf("; kept in %s%s\n", status.place, status.sealed ? " (sealed)" : "");
    return DX_EXIT_OK;
}

static int login(const auth_command *a) {
    dx_login l = {0};
    dx_token token = {0};
    int result = find_tokens(a, &l);
    if (result != DX_EXIT_OK) return result;
    if (!l.oauth2 || l.oauth2->grant < DX_GRANT_AUTHORIZATION_CODE)
        return tell(DX_EXIT_REFUSED, "the API %s gets its tokens by itself: nobody has to log in", a->name);
    bool got = l.oauth2->grant == DX_GRANT_DEVICE_CODE ? dx_login_by_device(&l, &token) : dx_login_by_code(&l, &token);
    return got ? keep(a, &l, &token) : tell(DX_EXIT_FAILED, "%s: %.*s", a->name, DX_SLICE_ARG(l.why));
}

// --- logout --------------------------------------------------------------------------------------------------------------------------
static int logout(const auth_command *a) {
    dx_login l = {0};
    dx_tokens_status status;
    dx_token token;
    int result = find_tokens(a, &l);
    if (result != DX_EXIT_OK) return result;
    if (dx_tokens_look(l.tokens, &status) != DX_OK)
        (void)tell(DX_EXIT_FAILED, "%s: %s", a->name, status.why); // what can't be read goes too
    if (dx_tokens_copy(l.tokens, a->arena, &token) != DX_OK) return tell(DX_EXIT_FAILED, "out of memory");
    bool told = token.access.size && l.oauth2 && l.oauth2->revoke_url.size;
    if (told && !dx_login_revoke(&l, &token)) {
        (void)tell(DX_EXIT_FAILED, "%s: not revoked: %.*s", a->name, DX_SLICE_ARG(l.why));
        result = DX_EXIT_FAILED;
    }
    if (dx_tokens_drop(l.tokens, &status) != DX_OK) return tell(DX_EXIT_FAILED, "%s: %s", a->name, status.why);
    if (!token.access.size)
        printf("%s: was not logged in\n", a->name);
    else
        printf("%s: logged out%s\n", a->name,
               !told                  ? "; the server was not told (no revoke_url): its tokens are good until they end"
               : result == DX_EXIT_OK ? "; the server was told"
                                      : "; here alone");
    return result;
}

// --- status --------------------------------------------------------------------------------------------------------------------------
static int show_tokens(const dx_api *api, const dx_auth *auth, dx_tokens *tokens) {
    dx_tokens_status status;
    dx_status read = dx_tokens_look(tokens, &status);
    printf("%.*s: %s, ", DX_SLICE_ARG(api->name), auth->ops->type);
    if (read != DX_OK)
        printf("not readable: %s", status.why);
    else if (!status.there)
        fputs("no token", stdout);
    else
        fputs(status.expires && status.expires <= dx_clock_utc() ? "a token that has ended" : "a token", stdout);
    if (read == DX_OK && status.there) print_end(&status);
    printf("; kept in %s%s\n", status.place, status.sealed ? " (sealed)" : "");
    return read == DX_OK && status.there ? DX_EXIT_OK : DX_EXIT_FAILED;
}

static int show(const dx_api *api) {
    dx_auth *auth = dx_auth_of_chain(&api->settings->chain);
    dx_tokens *tokens = auth ? dx_auth_tokens(auth) : NULL;
    if (tokens) return show_tokens(api, auth, tokens);
    printf("%.*s: %s\n", DX_SLICE_ARG(api->name), auth ? auth->ops->type : "no auth");
    return DX_EXIT_OK;
}

static int status(const auth_command *a) {
    const dx_api *api;
    dx_map_entry *entry;
    if (a->name) {
        int result = find_api(a, &api);
        return result == DX_EXIT_OK ? show(api) : result;
    }
    for (size_t i = 0; (entry = dx_map_next(&a->apis->apis, &i));) (void)show(entry->value);
    return DX_EXIT_OK;
}

// --- the command ---------------------------------------------------------------------------------------------------------------------
static const struct {
    const char *name;
    int (*run)(const auth_command *a);
    int words_min, words_cap; // behind the action
} actions[] = {{"login", login, 2, 2}, {"status", status, 1, 2}, {"logout", logout, 2, 2}};

static int act(auth_command *a, size_t action) {
    dx_error error = DX_ERROR_INIT;
    a->arena = dx_arena_create(ARENA_CAP);
    if (!a->arena) return tell(DX_EXIT_FAILED, "out of memory");
    int result;
    if (dx_client_open(&a->client, a->path, NULL, &error) != DX_ERROR_NONE) {
        result = tell(error.code == DX_ERROR_CONFIG ? DX_EXIT_REFUSED : DX_EXIT_FAILED, "%s", error.message);
    } else {
        a->apis = dx_client_apis(a->client);
        result = actions[action].run(a);
        dx_apis_release(a->apis);
        dx_client_close(a->client);
    }
    dx_arena_destroy(a->arena);
    return result;
}

static int unknown_action(const char *name) {
    dx_slice names[DX_COUNT_OF(actions)];
    dx_hint hint;
    for (size_t i = 0; i < DX_COUNT_OF(actions); i++) names[i] = dx_slice_str(actions[i].name);
    return dx_usage_error(&dx_cmd_auth, "there is no action \"%s\"%s", name, dx_hint_write(&hint, name, names, DX_COUNT_OF(names)));
}

static int run(int argc, char **argv) {
    auth_command a = {0};
    const char *timeout = NULL;
    int operands;
    uint64_t seconds = LOGIN_TIMEOUT_S;
    const dx_option options[] = {{"--timeout", &timeout, NULL}};
    if (!dx_options_read(&dx_cmd_auth, argc, argv, options, DX_COUNT_OF(options), &operands)) return DX_EXIT_USAGE;
    if (timeout && (!dx_slice_to_u64(dx_slice_str(timeout), &seconds) || seconds < 1 || seconds > 86400))
        return dx_usage_error(&dx_cmd_auth, "--timeout: expected seconds from 1 to 86400, found \"%s\"", timeout);
    if (operands == 0) return dx_usage_error(&dx_cmd_auth, "expected an action: login, status or logout");
    size_t action = 0;
    while (action < DX_COUNT_OF(actions) && strcmp(argv[1], actions[action].name) != 0) action++;
    if (action == DX_COUNT_OF(actions)) return unknown_action(argv[1]);
    if (operands - 1 < actions[action].words_min || operands - 1 > actions[action].words_cap)
        return dx_usage_error(&dx_cmd_auth, "%s: expected a definition%s", argv[1],
                              actions[action].words_min == 2 ? " and an API" : ", and an API if you like");
    a.path = argv[2];
    a.name = operands > 2 ? argv[3] : NULL;
    a.timeout_ms = (int64_t)seconds * 1000;
    return act(&a, action);
}

const dx_command dx_cmd_auth = {
    "auth",
    "log in to APIs, see and end logins",
    "Usage: duplex auth login [--timeout SECONDS] FILE API\n"
    "       duplex auth status FILE [API]\n"
    "       duplex auth logout FILE API\n\n"
    "For APIs of FILE whose auth is of the type oauth2.\n\n"
    "login gets a token for an API whose grant is authorization_code (it prints an address to open in a browser on this machine, and "
    "waits\n"
    "for the answer on a port of 127.0.0.1) or device_code (it prints an address to open anywhere, and a code to type there). The token "
    "is\n"
    "kept where the API's auth.store says, by default in a file under $XDG_STATE_HOME/duplex or ~/.local/state/duplex that only you can\n"
    "read, and is used and renewed by whatever calls the API with the same definition.\n"
    "status says of one API, or of all, whether there is a token, until when it is good, and where it is kept; never the token itself.\n"
    "logout has the server revoke the token (where auth.revoke_url is known) and deletes it.\n\n"
    "  --timeout SECONDS  how long login waits for you; 300\n\n"
    "Exit status: 0 done (status of one API: there is a token), 1 it did not work (there is none), 2 wrong usage, 3 the definition was\n"
    "refused, or the API has no such auth.\n\n"
    "Examples:\n"
    "  duplex auth login apis.json google\n"
    "  duplex auth status apis.json\n"
    "  duplex auth logout apis.json google\n",
    run,
};
