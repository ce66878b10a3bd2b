// Redaction: what may not reach a log, an error, a cassette or a screen, taken out of text on its way there. Three rules, all at once:
//   known values   secrets by where they came from (an auth handler, a sealed value, a secret parameter), whatever text they stand in: as
//   they
//                  are, percent-encoded, escaped as in JSON, or in base64, alone or in the midst of something ("user:secret")
//   names          what stands under a name that is a secret's: header fields, query and form parameters, JSON members, "name=value" in
//   text patterns       what looks like a secret: JWTs, credentials behind "Bearer" and "Basic", in URLs, private keys in PEM, keys by the
//   prefixes of
//                  known services, and card numbers (Luhn) when asked for
// What is taken out becomes DX_REDACTED. One pass of an Aho-Corasick automaton over each reading of the text: the time is linear, and of
// two secrets that overlap nothing stays. It fails closed: when a function can't do its work, it writes DX_REDACTED alone.
//
// What it can't do: know a secret that nobody told it of and that looks like nothing; find one that is encrypted, compressed, hashed, in
// hex, cut in two by the caller, or encoded twice. See docs/redaction.md.
#ifndef DX_POLICY_REDACT_H
#define DX_POLICY_REDACT_H

#include "base/buffer.h"

#define DX_REDACTED "[redacted]"

#define DX_REDACT_VALUE_MIN  4                  // bytes; shorter values are not looked for: they are in every text
#define DX_REDACT_VALUE_CAP  ((size_t)16 << 10) // bytes of one value
#define DX_REDACT_VALUES_CAP 4096               // values
#define DX_REDACT_BYTES_CAP  ((size_t)1 << 20)  // bytes of all values
#define DX_REDACT_NAMES_CAP  1024               // names besides the built-in ones
#define DX_REDACT_TEXT_CAP   ((size_t)64 << 20) // bytes of one text; a longer one is redacted as a whole
#define DX_REDACT_DEPTH_CAP  128                // levels of JSON; what lies deeper is redacted as a whole

typedef struct dx_redact_options {
    bool no_patterns; // known values and names alone
    bool cards;       // card numbers too: 13 to 19 digits with a right check digit, which some other numbers have by chance
} dx_redact_options;

// Every function may be called by any thread at any time; a value or name holds for whatever is redacted after the call that added it.
typedef struct dx_redactor dx_redactor;
dx_redactor *dx_redactor_create(const dx_redact_options *options); // options may be NULL; NULL without memory
void dx_redactor_destroy(dx_redactor *redactor);                   // wipes; takes NULL

// Copies a secret (into memory that is locked and kept out of core dumps where the system lets us, and wiped). Added twice it counts twice.
// DX_OK also for a value that is too short to be looked for; DX_TOO_LARGE over a cap: then the caller must not use the secret;
// DX_NO_MEMORY.
dx_status dx_redactor_add_value(dx_redactor *redactor, dx_slice secret) DX_MUST_USE;
// One time less; nothing when it is not there.
void dx_redactor_remove_value(dx_redactor *redactor, dx_slice secret);
// A name whose values are secrets, in any case and with any of "-", "_", ".", " " or nothing between its words. DX_TOO_LARGE, DX_NO_MEMORY.
dx_status dx_redactor_add_name(dx_redactor *redactor, dx_slice name) DX_MUST_USE;
bool dx_redactor_is_secret_name(dx_redactor *redactor, dx_slice name);

// Each appends to `out`, whose cap must have room: redaction may make a text longer. Errors: DX_TOO_LARGE, DX_NO_MEMORY; then `out` has
// grown by DX_REDACTED, or by nothing.
dx_status dx_redact_text(dx_redactor *redactor, dx_buffer *out, dx_slice text) DX_MUST_USE;
// A URL or a request target: also its userinfo, and parameters of secret names in query and fragment.
dx_status dx_redact_url(dx_redactor *redactor, dx_buffer *out, dx_slice url) DX_MUST_USE;
// A header field's value. Of credentials the scheme stays ("Bearer [redacted]"), of cookies their names.
dx_status dx_redact_field(dx_redactor *redactor, dx_buffer *out, dx_slice name, dx_slice value) DX_MUST_USE;
// application/x-www-form-urlencoded, or a query without its "?".
dx_status dx_redact_form(dx_redactor *redactor, dx_buffer *out, dx_slice body) DX_MUST_USE;
// JSON: stays JSON of the same structure, written compactly, numbers as they stood; a value under a secret name becomes a string, unless it
// is null, true or false. What is no JSON is redacted as text.
dx_status dx_redact_json(dx_redactor *redactor, dx_buffer *out, dx_slice body) DX_MUST_USE;

#endif
