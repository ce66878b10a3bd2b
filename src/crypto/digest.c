// SHA-256, HMAC and HKDF. OpenSSL's block functions are called through its low-level interface, not through EVP: an EVP context is heap
// memory and each use of it may fail, while these work on plain structs on the stack. So the functions here cannot fail, and a keyed
// digest of a token costs its compression rounds and nothing else. (OpenSSL 3 marks the interface as deprecated in favour of EVP; it is
// the same code underneath, with the same hardware paths.)
#define OPENSSL_SUPPRESS_DEPRECATED

#include "crypto/digest.h"

#include <openssl/crypto.h>

#include "crypto/hmac.h"

void dx_sha1(uint8_t out[DX_SHA1_SIZE], dx_slice data) {
    SHA_CTX state;
    SHA1_Init(&state);
    SHA1_Update(&state, data.data, data.size);
    SHA1_Final(out, &state);
}

void dx_sha256(uint8_t out[DX_SHA256_SIZE], dx_slice data) {
    SHA256_CTX state;
    SHA256_Init(&state);
    SHA256_Update(&state, data.data, data.size);
    SHA256_Final(out, &state);
}

void dx_sha512(uint8_t out[DX_SHA512_SIZE], dx_slice data) {
    SHA512_CTX state;
    SHA512_Init(&state);
    SHA512_Update(&state, data.data, data.size);
    SHA512_Final(out, &state);
}

size_t dx_hmac_size(dx_hmac_digest digest) {
    return digest == DX_HMAC_SHA256 ? 32 : digest == DX_HMAC_SHA384 ? 48 : 64;
}

static void state_start(dx_hmac_digest digest, dx_hmac_state *state) {
    if (digest == DX_HMAC_SHA256)
        SHA256_Init(&state->narrow);
    else if (digest == DX_HMAC_SHA384)
        SHA384_Init(&state->wide);
    else
        SHA512_Init(&state->wide);
}

static void state_add(dx_hmac_digest digest, dx_hmac_state *state, const void *data, size_t size) {
    if (digest == DX_HMAC_SHA256)
        SHA256_Update(&state->narrow, data, size);
    else if (digest == DX_HMAC_SHA384)
        SHA384_Update(&state->wide, data, size);
    else
        SHA512_Update(&state->wide, data, size);
}

static void state_finish(dx_hmac_digest digest, dx_hmac_state *state, uint8_t *out) {
    if (digest == DX_HMAC_SHA256)
        SHA256_Final(out, &state->narrow);
    else if (digest == DX_HMAC_SHA384)
        SHA384_Final(out, &state->wide);
    else
        SHA512_Final(out, &state->wide);
}

void dx_hmac_init(dx_hmac *hmac, dx_hmac_digest digest, dx_slice key) {
    size_t block = digest == DX_HMAC_SHA256 ? SHA256_CBLOCK : SHA512_CBLOCK;
    uint8_t padded[SHA512_CBLOCK] = {0};
    hmac->digest = digest;
    if (key.size > block) {
        dx_hmac_state state;
        state_start(digest, &state);
        state_add(digest, &state, key.data, key.size);
        state_finish(digest, &state, padded);
        OPENSSL_cleanse(&state, sizeof state);
    } else if (key.size) {
        memcpy(padded, key.data, key.size);
    }
    for (size_t i = 0; i < block; i++) padded[i] ^= 0x36;
    state_start(digest, &hmac->inner);
    state_add(digest, &hmac->inner, padded, block);
    for (size_t i = 0; i < block; i++) padded[i] ^= 0x36 ^ 0x5c;
    state_start(digest, &hmac->outer);
    state_add(digest, &hmac->outer, padded, block);
    OPENSSL_cleanse(padded, sizeof padded);
}

void dx_hmac_of(const dx_hmac *hmac, uint8_t *out, dx_slice data) {
    dx_hmac_state state = hmac->inner;
    uint8_t inner[DX_HMAC_SIZE_CAP];
    state_add(hmac->digest, &state, data.data, data.size);
    state_finish(hmac->digest, &state, inner);
    state = hmac->outer;
    state_add(hmac->digest, &state, inner, dx_hmac_size(hmac->digest));
    state_finish(hmac->digest, &state, out);
}

void dx_hmac_sha256(uint8_t out[DX_SHA256_SIZE], dx_slice key, dx_slice data) {
    dx_hmac hmac;
    dx_hmac_init(&hmac, DX_HMAC_SHA256, key);
    dx_hmac_of(&hmac, out, data);
    OPENSSL_cleanse(&hmac, sizeof hmac);
}

void dx_hmac_sha512(uint8_t out[DX_SHA512_SIZE], dx_slice key, dx_slice data) {
    dx_hmac hmac;
    dx_hmac_init(&hmac, DX_HMAC_SHA512, key);
    dx_hmac_of(&hmac, out, data);
    OPENSSL_cleanse(&hmac, sizeof hmac);
}

// T(i) = HMAC(PRK, T(i-1) || info || i): RFC 5869 section 2.3. Three pieces, so not dx_hmac_of.
static void expand_block(const dx_hmac *hmac, uint8_t block[DX_SHA256_SIZE], size_t have, dx_slice info, uint8_t number) {
    dx_hmac_state state = hmac->inner;
    uint8_t inner[DX_SHA256_SIZE];
    state_add(DX_HMAC_SHA256, &state, block, have);
    state_add(DX_HMAC_SHA256, &state, info.data, info.size);
    state_add(DX_HMAC_SHA256, &state, &number, 1);
    state_finish(DX_HMAC_SHA256, &state, inner);
    state = hmac->outer;
    state_add(DX_HMAC_SHA256, &state, inner, sizeof inner);
    state_finish(DX_HMAC_SHA256, &state, block);
    OPENSSL_cleanse(inner, sizeof inner);
    OPENSSL_cleanse(&state, sizeof state);
}

void dx_derive_key(uint8_t *out, size_t size, dx_slice root, dx_slice purpose) {
    static const char no_salt[DX_SHA256_SIZE];
    uint8_t pseudorandom[DX_SHA256_SIZE], block[DX_SHA256_SIZE];
    dx_hmac hmac;
    dx_hmac_sha256(pseudorandom, dx_slice_of(no_salt, sizeof no_salt), root);
    dx_hmac_init(&hmac, DX_HMAC_SHA256, dx_slice_of((const char *)pseudorandom, sizeof pseudorandom));
    size_t have = 0;
    for (uint8_t number = 1; size; number++) {
        expand_block(&hmac, block, have, purpose, number);
        have = sizeof block;
        size_t take = size < have ? size : have;
        memcpy(out, block, take);
        out += take;
        size -= take;
    }
    OPENSSL_cleanse(pseudorandom, sizeof pseudorandom);
    OPENSSL_cleanse(block, sizeof block);
    OPENSSL_cleanse(&hmac, sizeof hmac);
}

bool dx_secret_equal(dx_slice a, dx_slice b) {
    return a.size == b.size && (a.size == 0 || CRYPTO_memcmp(a.data, b.data, a.size) == 0);
}

void dx_secret_wipe(void *data, size_t size) {
    if (size) OPENSSL_cleanse(data, size);
}
