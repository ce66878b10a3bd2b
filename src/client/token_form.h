// Requests to token endpoints and what they answer: named values, written as a form, as JSON or as a query, and read from JSON or a form.
#ifndef DX_CLIENT_TOKEN_FORM_H
#define DX_CLIENT_TOKEN_FORM_H

#include "client/token.h"

typedef enum dx_token_format { DX_TOKEN_FORM, DX_TOKEN_JSON, DX_TOKEN_QUERY } dx_token_format;
extern const char *const dx_token_format_names[]; // "form" "json" "query", NULL

#define DX_TOKEN_PAIRS_CAP 64
typedef struct dx_token_form {
    dx_arena *arena;
    struct {
        dx_slice name, value;
        yyjson_val *json; // instead of `value`; for a JSON body
    } pairs[DX_TOKEN_PAIRS_CAP];
    size_t count;
    bool full;
} dx_token_form;

// Replaces what has the name. An empty value is left out.
void dx_token_form_set(dx_token_form *form, const char *name, dx_slice value);
void dx_token_form_set_all(dx_token_form *form, yyjson_val *object); // null takes a name away; NULL: nothing
// Into `ask`: body and Content-Type, or the URL's query.
dx_status dx_token_form_write(dx_token_form *form, dx_token_format format, dx_token_ask *ask) DX_MUST_USE;
// Adds `header: value` for each member; texts must be there for as long as the ask.
dx_status dx_token_add_headers(dx_token_ask *ask, dx_arena *arena, yyjson_val *headers) DX_MUST_USE;

// The answer as JSON, whether it is that or a form. NULL: it is neither.
yyjson_val *dx_token_answer_read(dx_arena *arena, const dx_exchange_response *response);
// The text (or number, as text) at a pointer; empty when there is none.
dx_slice dx_token_answer_text(yyjson_val *root, dx_slice pointer, dx_arena *arena);
// Whether a status may be another one soon: 408, 425, 429, 5xx.
bool dx_token_is_busy(int status);
// "the token endpoint answered 400: invalid_client (no such client)"; what came is cut, and cleaned of `secrets`.
dx_slice dx_token_say(dx_arena *arena, const char *who, const dx_exchange_response *response, yyjson_val *root, const dx_slice *secrets,
                      size_t secret_count);

#endif
