// A token as it is kept: what a server gave, and until when it is good. On the heap in one piece, which is wiped; written as JSON for
// stores.
#ifndef DX_CLIENT_TOKEN_RECORD_H
#define DX_CLIENT_TOKEN_RECORD_H

#include "base/clock.h"
#include "codec/json.h"
#include "crypto/fernet.h"

#define DX_TOKEN_TEXT_CAP   ((size_t)64 << 10)  // bytes of an access or a refresh token
#define DX_TOKEN_RECORD_CAP ((size_t)512 << 10) // bytes of a record, sealed or not

typedef struct dx_token {
    dx_slice access, refresh, scope; // NUL-terminated; refresh and scope may be empty
    dx_micros_utc obtained, expires; // expires 0: it is not known to end
    int64_t lifetime_s;              // as it was given last; 0: never
} dx_token;

// A copy of `from`. DX_TOO_LARGE over a cap, DX_NO_MEMORY.
dx_status dx_token_create(dx_token **out, const dx_token *from) DX_MUST_USE;
void dx_token_destroy(dx_token *token); // wipes; takes NULL

// As JSON, with `key`, which says whom it belongs to; sealed with the ring, if there is one (may be NULL).
dx_status dx_token_write(dx_buffer *out, const dx_token *token, dx_slice key, const dx_fernet_ring *ring) DX_MUST_USE;
// Reads what dx_token_write wrote. DX_MALFORMED: it is none; DX_CONFLICT: another key's; DX_BAD_TOKEN: sealed, and no key of the ring opens
// it (or there is none); DX_NO_MEMORY.
dx_status dx_token_read(dx_token **out, dx_slice text, dx_slice key, const dx_fernet_ring *ring) DX_MUST_USE;

// When a token ends, by what a server says of it: a number of seconds (`seconds`, a number or a text of one), else a moment (`moment`: Unix
// time in seconds or milliseconds, as number or text, or RFC 3339), else the claim "exp" of a token that is a JWT. 0: none says it. Values
// may be NULL.
dx_micros_utc dx_token_expiry(yyjson_val *seconds, yyjson_val *moment, dx_slice access, dx_micros_utc now, dx_arena *arena);

#endif
