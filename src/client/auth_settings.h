// Reading an auth object: its members are checked here, not by the definition's schema, as each type has its own. What is wrong is told all
// at once, each finding at its member.
#ifndef DX_CLIENT_AUTH_SETTINGS_H
#define DX_CLIENT_AUTH_SETTINGS_H

#include "client/auth.h"

typedef struct dx_auth_reader {
    yyjson_val *settings;
    dx_slice at;
    dx_diags *diags;
    dx_arena *arena;  // what is read is copied there
    dx_status status; // DX_OK until something is wrong
} dx_auth_reader;

dx_auth_reader dx_auth_reader_of(const dx_auth_plan *plan, dx_arena *arena);
// The same for an object within: `name` must be one, or absent (then `settings` is NULL and every member reads as absent).
dx_auth_reader dx_auth_reader_within(dx_auth_reader *reader, const char *name);
void dx_auth_reader_join(dx_auth_reader *reader, const dx_auth_reader *within); // its status counts for the whole

// A finding at a member; DX_INVALID from now on.
void dx_auth_refuse(dx_auth_reader *reader, const char *name, const char *format, ...) DX_PRINTF(3, 4);
// Members that are none of `names` (NULL-terminated; "type" is always known) are refused, with the nearest name.
void dx_auth_know(dx_auth_reader *reader, const char *const *names);
dx_slice dx_auth_text(dx_auth_reader *reader, const char *name);   // NUL-terminated; empty when absent
dx_slice dx_auth_needed(dx_auth_reader *reader, const char *name); // refused when absent or empty: a variable that was forgotten
bool dx_auth_flag(dx_auth_reader *reader, const char *name, bool otherwise);
double dx_auth_number(dx_auth_reader *reader, const char *name, double otherwise, double least, double most);
// The place of a member's word in a NULL-terminated list.
unsigned dx_auth_word(dx_auth_reader *reader, const char *name, const char *const *words, unsigned otherwise);
yyjson_val *dx_auth_object(dx_auth_reader *reader, const char *name); // NULL when absent
// A list of texts, or one text, joined by `separator`.
dx_slice dx_auth_joined(dx_auth_reader *reader, const char *name, dx_slice separator);
// A JSON pointer; `otherwise` when absent.
dx_slice dx_auth_pointer(dx_auth_reader *reader, const char *name, const char *otherwise);
// An absolute URL that secrets may be sent to: https, or http to this machine, or `allow_http`.
dx_slice dx_auth_url(dx_auth_reader *reader, const char *name, bool needed, bool allow_http);
void dx_auth_check_url(dx_auth_reader *reader, const char *name, dx_slice url, bool allow_http);

// --- where a credential goes in a request ("in", "name", "prefix")
typedef enum dx_auth_in { DX_AUTH_HEADER, DX_AUTH_QUERY, DX_AUTH_COOKIE, DX_AUTH_BODY } dx_auth_in;
typedef struct dx_auth_place {
    dx_auth_in in;
    dx_slice name, prefix; // the prefix stands before the credential, with a space behind it
} dx_auth_place;
void dx_auth_place_read(dx_auth_place *out, dx_auth_reader *reader, const char *header, const char *prefix);
// Puts it there. DX_NEXT, or DX_ANSWER: failed out.
dx_verdict dx_auth_place_put(const dx_auth_place *place, dx_exchange *x, dx_slice credential);

#endif
