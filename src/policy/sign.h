// What is signed of a request, and the forms in which its pieces enter a signature: the same for both ends and for every scheme here
// (policy/sign_hmac.h, policy/sign_aws.h). Pure functions over slices; what they make lies in the arena. Any thread.
#ifndef DX_POLICY_SIGN_H
#define DX_POLICY_SIGN_H

#include "base/buffer.h"
#include "codec/http.h"

#define DX_SIGN_PAIRS_CAP 1000              // pairs of a query; more are DX_TOO_LARGE
#define DX_SIGN_INPUT_CAP ((size_t)1 << 20) // bytes of a canonical request, the body itself not counted

typedef struct dx_sign_request {
    dx_slice method;         // "GET"
    dx_slice path;           // as on the wire: percent-encoded, without the query; empty counts as "/"
    dx_slice query;          // as on the wire, without the "?"
    dx_slice host;           // what Host will say; used where `fields` has none
    const dx_fields *fields; // may be NULL
    dx_slice body;
} dx_sign_request;

// Each pair percent-decoded and encoded again (RFC 3986 unreserved stays; "+" is a plus), sorted by name, then value: "a=1&b=". A name
// alone gets its "=". DX_BAD_REQUEST on a broken escape, DX_TOO_LARGE, DX_NO_MEMORY.
dx_status dx_sign_query(dx_buffer *out, dx_arena *arena, dx_slice query) DX_MUST_USE;
// The path with each segment decoded and encoded again: "%7e" and "~" are one, "%2F" stays apart from "/". Errors as above.
dx_status dx_sign_path(dx_buffer *out, dx_arena *arena, dx_slice path) DX_MUST_USE;
// All values of a field, trimmed, inner white space as one space, joined by ","; data NULL: there is none. `name` in any case. DX_INVALID
// for a value with CR, LF or NUL, DX_NO_MEMORY.
dx_status dx_sign_field(dx_slice *out, dx_arena *arena, const dx_sign_request *request, dx_slice name) DX_MUST_USE;
// In lower case, in the arena; data NULL without memory.
dx_slice dx_sign_lower(dx_arena *arena, dx_slice name) DX_MUST_USE;

#endif
