// HMAC (RFC 2104) over SHA-2 with the key's two first blocks hashed beforehand: a plain struct, made once a key and then only copied,
// so any thread may use it at once, nothing is allocated and nothing can fail. For src/crypto alone.
#ifndef DX_CRYPTO_HMAC_H
#define DX_CRYPTO_HMAC_H

#include <openssl/sha.h>

#include "base/slice.h"

typedef enum dx_hmac_digest { DX_HMAC_SHA256, DX_HMAC_SHA384, DX_HMAC_SHA512 } dx_hmac_digest;
#define DX_HMAC_SIZE_CAP 64

typedef union dx_hmac_state {
    SHA256_CTX narrow;
    SHA512_CTX wide; // SHA-384 too
} dx_hmac_state;

typedef struct dx_hmac {
    dx_hmac_digest digest;
    dx_hmac_state inner, outer; // after the padded key
} dx_hmac;

size_t dx_hmac_size(dx_hmac_digest digest); // bytes of the result
void dx_hmac_init(dx_hmac *hmac, dx_hmac_digest digest, dx_slice key);
void dx_hmac_of(const dx_hmac *hmac, uint8_t *out, dx_slice data); // `out` has room for dx_hmac_size bytes

#endif
