// JSON Web Signature (RFC 7515, compact form), JSON Web Key (RFC 7517, 7518, 8037) and JSON Web Token (RFC 7519), strict after RFC 8725:
// the algorithm is fixed by the key, never by the token; `none` does not exist; unknown `crit` is refused; base64url must be canonical.
#ifndef DX_CRYPTO_JWT_H
#define DX_CRYPTO_JWT_H

#include "codec/json.h"

typedef enum dx_jws_algorithm {
    DX_JWS_HS256,
    DX_JWS_HS384,
    DX_JWS_HS512,
    DX_JWS_RS256,
    DX_JWS_RS384,
    DX_JWS_RS512,
    DX_JWS_PS256,
    DX_JWS_PS384,
    DX_JWS_PS512,
    DX_JWS_ES256,
    DX_JWS_ES384,
    DX_JWS_ES512,
    DX_JWS_EDDSA,
    DX_JWS_ALGORITHM_COUNT
} dx_jws_algorithm;
const char *dx_jws_algorithm_name(dx_jws_algorithm algorithm);
bool dx_jws_algorithm_parse(dx_slice name, dx_jws_algorithm *out);

// A key with the one algorithm it may be used with. Immutable after making; any thread may use it.
typedef struct dx_key dx_key;
// A shared secret for HS*: at least as many bytes as the digest (RFC 7518 section 3.2), else DX_INVALID. Copied.
dx_status dx_key_from_secret(dx_key **out, dx_jws_algorithm algorithm, dx_slice secret) DX_MUST_USE;
// PEM (PKCS#8 private, or SubjectPublicKeyInfo to verify only). DX_INVALID when its type or size does not fit the algorithm (RSA < 2048
// bits is refused).
dx_status dx_key_from_pem(dx_key **out, dx_jws_algorithm algorithm, dx_slice pem, dx_diags *diags) DX_MUST_USE;
// A JWK; its "alg", "use" and "key_ops", where present, must agree. `algorithm` may be DX_JWS_ALGORITHM_COUNT to take the JWK's own.
dx_status dx_key_from_jwk(dx_key **out, dx_jws_algorithm algorithm, yyjson_val *jwk, dx_diags *diags) DX_MUST_USE;
void dx_key_destroy(dx_key *key); // wipes; takes NULL
dx_jws_algorithm dx_key_algorithm(const dx_key *key);
bool dx_key_can_sign(const dx_key *key);
// RFC 7638 thumbprint, base64url, in the arena: what `kid` is made of. Of a secret: a keyed digest, which tells nothing of it.
dx_slice dx_key_id(const dx_key *key, dx_arena *arena);
// The public JWK as JSON; DX_INVALID for a shared secret.
dx_status dx_key_public_jwk(const dx_key *key, dx_buffer *out) DX_MUST_USE;

// `header.payload.signature`. The header is {"alg":…,"kid":…,"typ":typ}; `typ` may be empty.
dx_status dx_jws_sign(dx_slice *out, dx_arena *arena, const dx_key *key, dx_slice typ, dx_slice payload) DX_MUST_USE;
// Checks the signature and gives the decoded payload. DX_BAD_TOKEN for anything at all that is wrong.
#define DX_JWS_BYTES_CAP 16384
dx_status dx_jws_verify(dx_slice *payload, dx_arena *arena, const dx_key *key, dx_slice token) DX_MUST_USE;

// Verifies, reads the claims and checks `exp` and `nbf` (seconds, with `leeway_s`), `iss` and `aud` where given. DX_EXPIRED_TOKEN or
// DX_BAD_TOKEN.
typedef struct dx_jwt_expect {
    dx_slice issuer, audience, type; // `type`: the claim "type"; empty: not checked
    int64_t now_s, leeway_s;
} dx_jwt_expect;
// A NumericDate (RFC 7519 section 2) in seconds; a fraction is dropped. False when it is no number or out of range.
bool dx_jwt_date(yyjson_val *value, int64_t *out);
dx_status dx_jwt_verify(yyjson_doc **claims, dx_arena *arena, const dx_key *key, dx_slice token, const dx_jwt_expect *expect) DX_MUST_USE;

#endif
