// Digests, keyed digests and key derivation over OpenSSL, and what every secret needs: comparing and wiping. Thread-safe.
#ifndef DX_CRYPTO_DIGEST_H
#define DX_CRYPTO_DIGEST_H

#include "base/slice.h"
#include "base/status.h"

// For RFC 6455's handshake, which asks for it; nothing else is to rest on it.
#define DX_SHA1_SIZE 20
void dx_sha1(uint8_t out[DX_SHA1_SIZE], dx_slice data);
#define DX_SHA256_SIZE 32
void dx_sha256(uint8_t out[DX_SHA256_SIZE], dx_slice data);
void dx_hmac_sha256(uint8_t out[DX_SHA256_SIZE], dx_slice key, dx_slice data);
#define DX_SHA512_SIZE 64
void dx_sha512(uint8_t out[DX_SHA512_SIZE], dx_slice data);
void dx_hmac_sha512(uint8_t out[DX_SHA512_SIZE], dx_slice key, dx_slice data);
// HKDF-SHA256 (RFC 5869) without salt: a key for one purpose from a root secret.
void dx_derive_key(uint8_t *out, size_t size, dx_slice root, dx_slice purpose);
// In time that does not depend on the bytes; lengths may differ (then false).
bool dx_secret_equal(dx_slice a, dx_slice b);
void dx_secret_wipe(void *data, size_t size);

#endif
