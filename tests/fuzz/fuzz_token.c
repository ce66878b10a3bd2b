// JSON Web Tokens: nothing is taken that our key has not signed. The input is a token as it came; and, when it has a line break, a header
// and claims that we sign ourselves, so that what is behind the signature is read, too.
#include <string.h>

#include "codec/text.h"
#include "crypto/hmac.h"
#include "crypto/jwt.h"
#include "fuzz.h"

static const dx_slice secret = DX_SLICE_INIT("0123456789abcdef0123456789abcdef");

static size_t add(char *token, size_t at, const void *bytes, size_t size) {
    return at + dx_base64_encode(token + at, bytes, size, true);
}

static dx_slice sign(dx_arena *arena, dx_slice header, dx_slice claims) {
    dx_hmac hmac;
    uint8_t signature[64];
    char *token = dx_arena_bytes(arena, 2 * (header.size + claims.size) + 128);
    size_t size = add(token, 0, header.data, header.size);
    token[size++] = '.';
    size = add(token, size, claims.data, claims.size);
    dx_hmac_init(&hmac, DX_HMAC_SHA256, secret);
    dx_hmac_of(&hmac, signature, dx_slice_of(token, size));
    token[size++] = '.';
    return dx_slice_of(token, add(token, size, signature, dx_hmac_size(DX_HMAC_SHA256)));
}

static void check_signed(dx_arena *arena, const dx_key *key, dx_slice text) {
    dx_slice claims = text, payload;
    dx_slice header = dx_slice_cut(&claims, '\n');
    dx_slice token = sign(arena, header, claims);
    yyjson_doc *doc;
    const dx_jwt_expect expect = {DX_SLICE("me"), DX_SLICE("you"), DX_SLICE("access"), 1000000, 30};
    dx_status status = dx_jws_verify(&payload, arena, key, token);
    FUZZ_CHECK(status == DX_OK ? dx_slice_equal(payload, claims) : status == DX_BAD_TOKEN);
    dx_status read = dx_jwt_verify(&doc, arena, key, token, &expect);
    FUZZ_CHECK(read == DX_OK || read == DX_BAD_TOKEN || read == DX_EXPIRED_TOKEN);
    FUZZ_CHECK(read == DX_BAD_TOKEN || status == DX_OK);
    char *forged = (char *)(uintptr_t)token.data; // its last character has spare bits, the first of the signature has none
    forged[dx_slice_find(dx_slice_from(token, dx_slice_find(token, '.') + 1), '.') + dx_slice_find(token, '.') + 2] ^= 1;
    FUZZ_CHECK(dx_jws_verify(&payload, arena, key, token) == DX_BAD_TOKEN);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size > 8192) return 0;
    dx_slice text = dx_slice_of((const char *)data, size), payload;
    dx_arena *arena = dx_arena_create(4 << 20);
    dx_key *key = NULL;
    FUZZ_CHECK(dx_key_from_secret(&key, DX_JWS_HS256, secret) == DX_OK);
    FUZZ_CHECK(dx_jws_verify(&payload, arena, key, text) == DX_BAD_TOKEN);
    if (memchr(data, '\n', size)) check_signed(arena, key, text);
    dx_key_destroy(key);
    dx_arena_destroy(arena);
    return 0;
}
