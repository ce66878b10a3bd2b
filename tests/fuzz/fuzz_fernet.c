// Fernet tokens: nothing opens that our key has not sealed. The input is a token as it came, a key as it came, and a text that is sealed,
// opened again, and then changed in one bit.
#include <string.h>

#include "codec/text.h"
#include "crypto/digest.h"
#include "crypto/fernet.h"
#include "fuzz.h"

static const dx_slice secret = DX_SLICE_INIT("cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4=");
static const uint8_t iv[DX_FERNET_IV_SIZE] = {1};

// Behind the signature, too: what holds no more than a right MAC either opens or has a wrong padding.
static void check_signed(dx_arena *arena, const dx_fernet_ring *ring, dx_slice text) {
    dx_buffer token, opened;
    uint8_t *raw = (uint8_t *)dx_arena_bytes(arena, text.size + 1 + DX_SHA256_SIZE);
    raw[0] = 0x80;
    if (text.size) memcpy(raw + 1, text.data, text.size);
    dx_hmac_sha256(raw + 1 + text.size, dx_slice_of((const char *)ring->keys[0].signing, 16),
                   dx_slice_of((const char *)raw, 1 + text.size));
    size_t size = text.size + 1 + DX_SHA256_SIZE;
    dx_buffer_init(&token, arena, 1u << 20);
    dx_buffer_init(&opened, arena, 1u << 20);
    char *to = dx_buffer_reserve(&token, (size + 2) / 3 * 4);
    token.size = dx_base64_encode(to, raw, size, true);
    while (token.size % 4) dx_buffer_byte(&token, '=');
    dx_status status = dx_fernet_open(&opened, ring, dx_buffer_slice(&token), NULL, NULL);
    bool whole = text.size >= 8 + 16 + 16 && (text.size - 8 - 16) % 16 == 0;
    FUZZ_CHECK(whole ? status == DX_OK || status == DX_BAD_TOKEN : status == DX_MALFORMED);
    FUZZ_CHECK(opened.size < text.size + 1 && (status == DX_OK || opened.size == 0));
}

static void check_sealed(dx_arena *arena, const dx_fernet_ring *ring, dx_slice text) {
    dx_buffer token, opened;
    dx_fernet_about about;
    dx_buffer_init(&token, arena, 1u << 20);
    dx_buffer_init(&opened, arena, 1u << 20);
    FUZZ_CHECK(dx_fernet_seal(&token, ring, text, text.size, iv) == DX_OK);
    FUZZ_CHECK(dx_fernet_open(&opened, ring, dx_buffer_slice(&token), NULL, &about) == DX_OK);
    FUZZ_CHECK(dx_slice_equal(dx_buffer_slice(&opened), text) && about.time_s == text.size && about.key == 0);
    size_t at = text.size ? (size_t)(unsigned char)text.data[0] % token.size : 0;
    token.data[at] ^= 1;
    dx_status status = dx_fernet_open(&opened, ring, dx_buffer_slice(&token), NULL, NULL);
    FUZZ_CHECK(status == DX_BAD_TOKEN || status == DX_MALFORMED);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size > 8192) return 0;
    dx_slice text = dx_slice_of((const char *)data, size);
    dx_arena *arena = dx_arena_create(4 << 20);
    dx_fernet_ring ring;
    dx_buffer opened;
    dx_buffer_init(&opened, arena, 1u << 20);
    dx_fernet_ring_init(&ring);
    dx_status status = dx_fernet_ring_add(&ring, text);
    FUZZ_CHECK(status == DX_MALFORMED || (status == DX_OK && size == DX_FERNET_KEY_TEXT_SIZE));
    dx_fernet_ring_init(&ring);
    FUZZ_CHECK(dx_fernet_ring_add(&ring, secret) == DX_OK);
    status = dx_fernet_open(&opened, &ring, text, NULL, NULL);
    FUZZ_CHECK(status == DX_MALFORMED || status == DX_BAD_TOKEN);
    check_signed(arena, &ring, text);
    check_sealed(arena, &ring, text);
    dx_fernet_ring_deinit(&ring);
    dx_arena_destroy(arena);
    return 0;
}
