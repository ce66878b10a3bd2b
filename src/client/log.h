// What a client logs, and the one redactor through which everything goes that people may see: records, headers, bodies, messages of errors.
// Secrets are told to it where they come from: the definition's auth objects, sealed values and variables when it is read (log_secret.c),
// tokens by the handlers that get them, secret parameters by the call that has them. Without options.log nothing is made of any of it but
// the messages of calls that failed.
#ifndef DX_CLIENT_LOG_H
#define DX_CLIENT_LOG_H

#include "client/call.h"
#include "policy/redact.h"

struct dx_client;

// --- secrets: any thread
// Has the client's redactor look for `secret` from now on. For auth handlers: every token, key and password, when it is got; false: over a
// cap, or no memory, and it is found by its name and its look alone. Empty ones are nothing.
bool dx_client_secret(struct dx_client *client, dx_slice secret) DX_MUST_USE;
// It is of no use any more; as often as it was told.
void dx_client_secret_gone(struct dx_client *client, dx_slice secret);
// Tells all secrets of a snapshot, for as long as its arena lives. DX_NO_MEMORY, DX_TOO_LARGE.
dx_status dx_log_learn(struct dx_client *client, dx_apis *apis) DX_MUST_USE;
// Whether a string of an API's definition is (or may be) a secret: `name` is its member's, `at` its pointer.
bool dx_log_is_secret_value(const struct dx_client *client, const dx_definition *definition, dx_slice at, dx_slice name, bool in_auth);
// Copies what of a call is secret (parameters, headers by their names), for as long as it lives. False: no memory.
bool dx_log_keep_secrets(dx_call *call, const dx_asked *asked) DX_MUST_USE;
// A text without secrets, of the client and of `call` (may be NULL); in the arena, or static. `name`: of a field.
typedef enum dx_clean_form { DX_CLEAN_TEXT, DX_CLEAN_URL, DX_CLEAN_FIELD, DX_CLEAN_FORM, DX_CLEAN_JSON } dx_clean_form;
dx_slice dx_log_clean(struct dx_client *client, dx_call *call, dx_arena *arena, dx_clean_form form, dx_slice name, dx_slice text);
// An error's message, in place.
void dx_log_clean_error(dx_call *call);
void dx_log_clean_message(struct dx_client *client, dx_call *call, dx_error *error); // either may be NULL but the client

// --- records
typedef struct dx_log_line {
    struct dx_client *client;
    dx_call *call; // NULL: of none
    dx_level level;
    dx_arena *arena; // of what is passing
    dx_buffer text;
} dx_log_line;

// Whether a record of this level would be logged for settings (NULL: of the client itself).
bool dx_log_wants(const struct dx_client *client, const dx_settings *settings, dx_level level);
// Begins a record; false: it is not wanted, or there is no memory. With a call: its names and ids stand in it.
bool dx_log_start(dx_log_line *line, struct dx_client *client, dx_call *call, dx_level level, const char *event) DX_MUST_USE;
// For auth handlers and others without a call: of an API.
bool dx_log_start_api(dx_log_line *line, struct dx_client *client, const dx_api *api, dx_level level, const char *event) DX_MUST_USE;
void dx_log_add_text(dx_log_line *line, const char *name, dx_slice value); // redacted
void dx_log_add_int(dx_log_line *line, const char *name, int64_t value);
void dx_log_add_bool(dx_log_line *line, const char *name, bool value);
void dx_log_add_url(dx_log_line *line, const char *name, dx_slice url);
void dx_log_add_fields(dx_log_line *line, const char *name, const dx_fields *fields); // [["name", "value"], …]
void dx_log_add_body(dx_log_line *line, const char *name, dx_slice body, dx_slice type, size_t cap);
void dx_log_send(dx_log_line *line); // and ends it

// An event of an auth handler: "token_fetched", "token_refreshed", "token_refused"; `why` may be empty and must hold no token.
void dx_log_auth(struct dx_client *client, dx_slice api, dx_level level, const char *event, dx_slice why);

// --- of calls
void dx_log_call_start(dx_call *call);
void dx_log_call_end(dx_call *call);
extern const dx_filter_ops dx_log_filter; // one attempt; stands inside of retries

#endif
