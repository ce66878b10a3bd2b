// One call of the command line, from its words to its end: what the files of `duplex call` share.
#ifndef DX_CLI_CLI_CALL_H
#define DX_CLI_CLI_CALL_H

#include "cli/command.h"
#include "cli/output.h"
#include "client/client.h"
#include "config/definition.h"

#define DX_CLI_ITEMS_CAP  512
#define DX_CLI_REPEAT_CAP 64                  // how often --set and --header may be given
#define DX_CLI_BODY_CAP   ((size_t)256 << 20) // bytes of a body or a value that is read into memory
#define DX_CLI_ARENA_CAP  ((size_t)2 << 30)
#define DX_CLI_TEXT_CAP   ((size_t)512 << 20) // bytes that are printed

// An item behind the name: NAME=VALUE, NAME:=JSON, NAME=@FILE, HEADER:VALUE, @FILE or -.
typedef enum dx_item_kind { DX_ITEM_TEXT, DX_ITEM_JSON, DX_ITEM_FILE, DX_ITEM_HEADER, DX_ITEM_BODY } dx_item_kind;
typedef struct dx_item {
    dx_item_kind kind;
    const char *name;  // NULL for BODY
    const char *value; // of FILE and BODY: the path; "-" is standard input
} dx_item;

// --- call_watch.c: waiting for calls, and for somebody who interrupts them
typedef struct dx_cli_watch {
    int signals, wakes; // descriptors
} dx_cli_watch;
// From now on SIGINT and SIGTERM come here; before the client has threads. False: there are no descriptors.
bool dx_cli_watch_start(dx_cli_watch *watch);
void dx_cli_watch_stop(dx_cli_watch *watch);
void dx_cli_watch_wake(dx_cli_watch *watch); // any thread
// Blocks until somebody woke it (false) or interrupted (true; the second time the process ends at once).
bool dx_cli_watch_wait(dx_cli_watch *watch);

typedef struct dx_cli_call {
    // as given
    const char *file;                // the definition
    const char *endpoint;            // "api.endpoint"; NULL: a plain request
    const char *method, *api, *path; // of a plain request
    const char *timeout, *format, *query, *color, *output, *repeat, *concurrency, *record, *replay;
    const char *sets[DX_CLI_REPEAT_CAP], *more_headers[DX_CLI_REPEAT_CAP];
    size_t set_count, more_header_count;
    int dry_run, curl, explain, include, verbose, all_pages;
    dx_item items[DX_CLI_ITEMS_CAP];
    size_t item_count;
    // as understood
    dx_arena *arena;
    dx_transport *transport; // of --record or --replay; outlives the client
    dx_client *client;
    dx_apis *apis;             // held
    const dx_endpoint *target; // in `apis`; of a plain request the API's own
    dx_arg *args;
    dx_header *headers;
    dx_call_options options;
    const char *body_path; // of the item that is the whole body; NULL: there is none
    dx_output_options out;
    bool format_given;
    uint64_t times, at_once; // --repeat, --concurrency
    dx_cli_watch watch;      // started for calls that are made; outlives the client
} dx_cli_call;

// --- call_items.c: all return a dx_exit, and have told what is wrong
int dx_cli_items_read(dx_cli_call *call, char **words, size_t count);
// Makes arguments, headers, body and settings of the items and options; `target` is known.
int dx_cli_items_resolve(dx_cli_call *call);
// Reads a whole file, or standard input for "-"; NUL-terminated in the arena.
int dx_cli_read_file(dx_slice *out, dx_arena *arena, const char *path);

// --- call_settings.c
// "retry.attempts=5", or a JSON pointer for the name, laid into one object, which becomes options.settings.
int dx_cli_settings_read(dx_cli_call *call);
// "2.5", in seconds, as milliseconds. False for what is none.
bool dx_cli_seconds_read(const char *text, int64_t *milliseconds);

// --- call_error.c
// What went wrong and what to do next, on standard error; the exit status that says which kind it is.
int dx_cli_tell_error(const dx_cli_call *call, const dx_error *error);
int dx_cli_exit_of(const dx_error *error);

// --- call_run.c
int dx_cli_run(dx_cli_call *call);
// --- call_pages.c
int dx_cli_pages(dx_cli_call *call);
// --- call_repeat.c
int dx_cli_repeat(dx_cli_call *call);

// --- call_file.c: an answer that goes to a file
typedef struct dx_cli_file dx_cli_file;
int dx_cli_file_open(dx_cli_file **out, const dx_cli_call *call);
const dx_sink *dx_cli_file_sink(dx_cli_file *file);
// The call is over: the file takes its name, or is gone again when the call failed. `*text` is the body of an answer that was an error.
int dx_cli_file_close(dx_cli_file *file, bool keep, dx_slice *text);

// --- call_origin.c: why a setting is what it is
typedef struct dx_cli_origin {
    const char *layer; // "command line", "endpoint", "api", "defaults" (of all APIs), "schema"
    dx_slice pointer;  // in the definition; empty for the command line and the schema
    bool placed;       // `place` is filled
    dx_value_origin place;
} dx_cli_origin;
// Of a setting by its pointer in the settings: "/retry/attempts".
void dx_cli_setting_origin(dx_cli_origin *out, const dx_cli_call *call, dx_slice setting);
// Of any value in the definition.
void dx_cli_value_origin(dx_cli_origin *out, const dx_cli_call *call, dx_slice pointer, const char *layer);
// "github.json:7, environment variable GITHUB_API (api)"
dx_slice dx_cli_origin_text(const dx_cli_origin *origin, dx_arena *arena);

// --- call_secrets.c: what may not be shown
typedef struct dx_cli_secret {
    dx_slice value, variable; // the variable that is all of it; empty: none is
} dx_cli_secret;
#define DX_CLI_SECRETS_CAP 256
typedef struct dx_cli_secrets {
    struct dx_redactor *redactor;
    dx_cli_secret items[DX_CLI_SECRETS_CAP];
    size_t count;
} dx_cli_secrets;
// Everything that the settings of a call and its secret parameters hold. NULL: no memory, which has been told.
dx_cli_secrets *dx_cli_secrets_create(const dx_cli_call *call, const dx_settings *settings);
void dx_cli_secrets_destroy(dx_cli_secrets *secrets); // takes NULL
// Whether the text of a setting ("/auth/token") is one.
bool dx_cli_setting_is_secret(const dx_cli_secrets *secrets, const dx_cli_call *call, dx_slice setting);
// The first secret in a text, and where; NULL: there is none.
const dx_cli_secret *dx_cli_secret_in(const dx_cli_secrets *secrets, dx_slice text, size_t *at);
dx_slice dx_cli_mask_field(const dx_cli_secrets *secrets, dx_arena *arena, dx_slice name, dx_slice value);
dx_slice dx_cli_mask_url(const dx_cli_secrets *secrets, dx_arena *arena, dx_slice url);
dx_slice dx_cli_mask_body(const dx_cli_secrets *secrets, dx_arena *arena, dx_slice type, dx_slice body);

// --- call_request.c, call_curl.c, call_explain.c: what would be sent; nothing is
typedef struct dx_would_send {
    dx_call *call;      // made and not begun; dx_call_release
    const char *auth;   // the type of what signs it; NULL: nobody does
    bool token_missing; // it would have to get a token first, which was not done
    dx_fields before;   // without what auth adds
    dx_slice target_before;
} dx_would_send;
// With the credential where none has to be fetched for it.
int dx_cli_would_send(dx_would_send *out, const dx_cli_call *call);
bool dx_would_send_added(const dx_would_send *would, dx_slice field); // by auth
// "the token of oauth2", where one is missing.
dx_slice dx_would_send_token(const dx_would_send *would, dx_arena *arena);
int dx_cli_print_request(const dx_cli_call *call);
int dx_cli_print_curl(const dx_cli_call *call);
int dx_cli_print_explanation(const dx_cli_call *call);

#endif
