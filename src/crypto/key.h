// What a key is inside. For src/crypto alone: key.c makes it from a secret or PEM, jwk.c from a JWK, jws.c uses it.
#ifndef DX_CRYPTO_KEY_H
#define DX_CRYPTO_KEY_H

#include <openssl/evp.h>

#include "crypto/hmac.h"
#include "crypto/jwt.h"

typedef enum dx_key_kind { DX_KEY_OCT, DX_KEY_RSA, DX_KEY_EC, DX_KEY_OKP } dx_key_kind;

// One row for each dx_jws_algorithm.
typedef struct dx_algorithm {
    const char *name;
    dx_key_kind kind;
    dx_hmac_digest digest; // HS*
    const char *md;        // EVP's name of the digest; NULL: the algorithm has its own
    bool pss;
    const char *curve;      // JWK's "crv"; NULL: see jwk.c for EdDSA
    const char *group;      // EVP's name of it
    size_t coordinate_size; // bytes of x, y, r and s
} dx_algorithm;
extern const dx_algorithm dx_algorithms[DX_JWS_ALGORITHM_COUNT];

#define DX_KEY_ID_SIZE    43  // base64url of SHA-256
#define DX_KEY_HEADER_CAP 128 // base64url of {"alg":…,"kid":…,"typ":"JWT"}
#define DX_RSA_BITS_MIN   2048
#define DX_RSA_BITS_CAP   8192
#define DX_SIGNATURE_CAP  (DX_RSA_BITS_CAP / 8)
#define DX_EC_POINT_CAP   (1 + 2 * 66)
#define DX_COORDINATE_CAP 66

struct dx_key {
    dx_jws_algorithm algorithm;
    bool can_sign, can_verify;
    EVP_PKEY *pkey;        // NULL for HS*
    EVP_MD *md;            // fetched once; NULL where the algorithm has its own
    dx_hmac hmac;          // HS*
    size_t signature_size; // exact, bytes
    char id[DX_KEY_ID_SIZE];
    char header[DX_KEY_HEADER_CAP]; // of the tokens this key signs with typ "JWT": such a header needs no parsing
    size_t header_size;
};

// A key around `pkey`, which it takes over even on failure. DX_INVALID when its type, curve or size does not fit the algorithm.
dx_status dx_key_wrap(dx_key **out, dx_jws_algorithm algorithm, EVP_PKEY *pkey, bool is_private, dx_diags *diags) DX_MUST_USE;
// The members of the public JWK in the order of RFC 7638: {"crv":…,"kty":…,"x":…}.
dx_status dx_key_required_members(const dx_key *key, dx_buffer *out) DX_MUST_USE;
// {"alg":…,"kid":…,"typ":…} as JSON.
void dx_key_write_header(const dx_key *key, dx_buffer *out, dx_slice typ);
// As dx_jws_sign, under a header that the caller has written as JSON; that its "alg" is the key's is the caller's to see to.
dx_status dx_jws_sign_under(dx_slice *out, dx_arena *arena, const dx_key *key, dx_slice header, dx_slice payload) DX_MUST_USE;

#endif
