// Making JSON Web Tokens (RFC 7519) for others to judge: signed per request or for a while, and as client assertions at a token endpoint
// (RFC 7523). The judging is in crypto/jwt.h. Pure functions: what they make lies in the arena. Any thread.
#ifndef DX_CRYPTO_JWT_MAKE_H
#define DX_CRYPTO_JWT_MAKE_H

#include "crypto/jwt.h"

#define DX_JWT_AUDIENCES_CAP  16
#define DX_JWT_LIFETIME_S_CAP ((int64_t)366 * 86400)

typedef struct dx_jwt_claims {
    dx_slice issuer, subject;  // empty: left out
    const dx_slice *audiences; // none: left out; one: a string; more: an array
    size_t audience_count;
    yyjson_val *extra; // an object of more claims, or NULL. Those that are set here by name are refused in it
    // "iat" is now, dated back by `backdate_s` for clocks that are behind; "exp" is "iat" + `lifetime_s`, since it is that span that
    // judges bound. 0 <= backdate_s < lifetime_s <= DX_JWT_LIFETIME_S_CAP.
    int64_t now_s, lifetime_s, backdate_s;
    bool not_before; // "nbf", the same as "iat"
    bool with_id;    // "jti": 128 random bits
} dx_jwt_claims;

typedef struct dx_jwt_header {
    dx_slice type;     // "typ"; data NULL: "JWT"; empty: left out
    dx_slice kid;      // data NULL: the key's own (dx_key_id); empty: left out
    yyjson_val *extra; // an object of more members, or NULL. "alg", "typ", "kid", "crit" and "b64" are refused in it
} dx_jwt_header;

typedef struct dx_jwt_made {
    dx_slice token;
    int64_t expires_s; // what "exp" says, for whoever keeps the token
} dx_jwt_made;

// `header` may be NULL. DX_INVALID: the key can't sign, a lifetime out of range, a name twice, `extra` that is no object;
// DX_TOO_LARGE: over DX_JWS_BYTES_CAP; DX_NO_MEMORY.
dx_status dx_jwt_make(dx_jwt_made *out, dx_arena *arena, const dx_key *key, const dx_jwt_claims *claims,
                      const dx_jwt_header *header) DX_MUST_USE;

// What a token endpoint wants beside the assertion (RFC 7523 sections 2.1 and 2.2).
#define DX_JWT_BEARER_GRANT_TYPE     "urn:ietf:params:oauth:grant-type:jwt-bearer"
#define DX_JWT_BEARER_ASSERTION_TYPE "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
#define DX_JWT_ASSERTION_LIFETIME_S  300

// A client's assertion of itself (RFC 7523 section 3): issuer and subject are the client, the audience is the token endpoint (or what its
// server wants instead), good for DX_JWT_ASSERTION_LIFETIME_S, with a "jti", dated back by 10 seconds. Errors as above; DX_INVALID too when
// client or audience is empty.
dx_status dx_jwt_client_assertion(dx_jwt_made *out, dx_arena *arena, const dx_key *key, dx_slice client_id, dx_slice audience,
                                  int64_t now_s, const dx_jwt_header *header) DX_MUST_USE;

#endif
