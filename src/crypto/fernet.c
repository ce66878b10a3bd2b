// Fernet: see fernet.h. A token is base64url of
//     version (0x80) | time, 8 bytes big-endian | IV, 16 bytes | AES-128-CBC with PKCS #7 padding | HMAC-SHA256 of all before it
// AES goes through EVP, which has its own memory but picks the processor's AES instructions, whose time does not depend on the key; the
// block functions underneath fall back to tables.
#include "crypto/fernet.h"

#include <openssl/evp.h>

#include "base/memory.h"
#include "base/random.h"
#include "codec/text.h"
#include "crypto/digest.h"

enum { VERSION = 0x80, TIME_SIZE = 8, BLOCK = 16, HEAD_SIZE = 1 + TIME_SIZE + DX_FERNET_IV_SIZE, MAC_SIZE = DX_SHA256_SIZE };
#define TOKEN_TEXT_CAP ((size_t)DX_FERNET_PLAIN_CAP / 3 * 4 + 256)

static dx_slice bytes(const void *data, size_t size) {
    return dx_slice_of((const char *)data, size);
}

// Padded base64url, which the codec knows without padding only.
static bool decode(uint8_t *out, size_t *size, dx_slice text) {
    if (text.size % 4) return false;
    for (int i = 0; i < 2 && text.size && text.data[text.size - 1] == '='; i++) text.size--;
    return dx_base64_decode(out, size, text, true);
}

// --- keys -------------------------------------------------------------------------------------------------------------------

void dx_fernet_ring_init(dx_fernet_ring *ring) {
    *ring = (dx_fernet_ring){.count = 0};
}

void dx_fernet_ring_deinit(dx_fernet_ring *ring) {
    dx_secret_wipe(ring, sizeof *ring);
}

dx_status dx_fernet_ring_add(dx_fernet_ring *ring, dx_slice key_text) {
    uint8_t raw[DX_FERNET_KEY_TEXT_SIZE / 4 * 3 + 3];
    size_t size = 0;
    dx_status status = DX_MALFORMED;
    if (key_text.size == DX_FERNET_KEY_TEXT_SIZE && decode(raw, &size, key_text) && size == sizeof(dx_fernet_key))
        status = ring->count < DX_FERNET_KEYS_CAP ? DX_OK : DX_TOO_LARGE;
    if (status == DX_OK) memcpy(&ring->keys[ring->count++], raw, sizeof(dx_fernet_key));
    dx_secret_wipe(raw, sizeof raw);
    return status;
}

void dx_fernet_key_make(char out[DX_FERNET_KEY_TEXT_SIZE]) {
    uint8_t raw[sizeof(dx_fernet_key)];
    dx_random_bytes(raw, sizeof raw);
    out[dx_base64_encode(out, raw, sizeof raw, true)] = '=';
    dx_secret_wipe(raw, sizeof raw);
}

// --- sealing ----------------------------------------------------------------------------------------------------------------

// `out` has room for a whole block more than `size`. False without memory: nothing else in it can fail.
static bool encrypt(uint8_t *out, const dx_fernet_key *key, const uint8_t *iv, dx_slice plaintext) {
    int body = 0, last = 0;
    const uint8_t *data = (const uint8_t *)(plaintext.size ? plaintext.data : "");
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    bool good = ctx && EVP_EncryptInit_ex(ctx, EVP_aes_128_cbc(), NULL, key->encryption, iv) == 1 &&
                EVP_EncryptUpdate(ctx, out, &body, data, (int)plaintext.size) == 1 && EVP_EncryptFinal_ex(ctx, out + body, &last) == 1;
    EVP_CIPHER_CTX_free(ctx);
    return good;
}

static dx_status append_text(dx_buffer *out, const uint8_t *raw, size_t size) {
    size_t text_size = (size + 2) / 3 * 4;
    char *to = dx_buffer_reserve(out, text_size);
    if (!to) return dx_buffer_status(out);
    for (size_t at = dx_base64_encode(to, raw, size, true); at < text_size; at++) to[at] = '=';
    out->size += text_size;
    return DX_OK;
}

dx_status dx_fernet_seal(dx_buffer *out, const dx_fernet_ring *ring, dx_slice plaintext, uint64_t time_s, const uint8_t *iv) {
    if (!ring->count) return DX_INVALID;
    if (plaintext.size > DX_FERNET_PLAIN_CAP) return DX_TOO_LARGE;
    size_t body = (plaintext.size / BLOCK + 1) * BLOCK;
    uint8_t *raw = dx_memory_alloc(HEAD_SIZE + body + MAC_SIZE), *raw_iv;
    if (!raw) return DX_NO_MEMORY;
    raw[0] = VERSION;
    for (int i = 0; i < TIME_SIZE; i++) raw[1 + i] = (uint8_t)(time_s >> (8 * (TIME_SIZE - 1 - i)));
    raw_iv = raw + 1 + TIME_SIZE;
    if (iv)
        memcpy(raw_iv, iv, DX_FERNET_IV_SIZE);
    else
        dx_random_bytes(raw_iv, DX_FERNET_IV_SIZE);
    dx_status status = encrypt(raw + HEAD_SIZE, &ring->keys[0], raw_iv, plaintext) ? DX_OK : DX_NO_MEMORY;
    if (status == DX_OK) {
        dx_hmac_sha256(raw + HEAD_SIZE + body, bytes(ring->keys[0].signing, BLOCK), bytes(raw, HEAD_SIZE + body));
        status = append_text(out, raw, HEAD_SIZE + body + MAC_SIZE);
    }
    dx_memory_free(raw);
    return status;
}

// --- opening ----------------------------------------------------------------------------------------------------------------

// The key whose MAC this is, or NULL. All keys are tried, whichever it is.
static const dx_fernet_key *find_key(const dx_fernet_ring *ring, const uint8_t *raw, size_t size, dx_fernet_about *about) {
    const dx_fernet_key *found = NULL;
    uint8_t mac[MAC_SIZE];
    for (size_t i = 0; i < ring->count; i++) {
        dx_hmac_sha256(mac, bytes(ring->keys[i].signing, BLOCK), bytes(raw, size - MAC_SIZE));
        bool same = dx_secret_equal(bytes(mac, MAC_SIZE), bytes(raw + size - MAC_SIZE, MAC_SIZE));
        if (!same || found) continue;
        found = &ring->keys[i];
        about->key = i;
    }
    dx_secret_wipe(mac, sizeof mac); // for a token that was forged, this is what would have made it good
    return found;
}

static bool in_time(const dx_fernet_age *age, uint64_t time_s) {
    if (!age) return true;
    if (time_s > age->now_s) return time_s - age->now_s <= age->max_skew_s;
    return age->now_s - time_s <= age->max_age_s;
}

// Behind the MAC, a padding that is wrong can only come from who has the key.
static dx_status decrypt(dx_buffer *out, const dx_fernet_key *key, const uint8_t *iv, dx_slice body) {
    int have = 0, last = 0;
    uint8_t *to = (uint8_t *)dx_buffer_reserve(out, body.size + BLOCK);
    if (!to) return dx_buffer_status(out);
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    dx_status status = DX_NO_MEMORY;
    if (ctx && EVP_DecryptInit_ex(ctx, EVP_aes_128_cbc(), NULL, key->encryption, iv) == 1 &&
        EVP_DecryptUpdate(ctx, to, &have, (const uint8_t *)body.data, (int)body.size) == 1)
        status = EVP_DecryptFinal_ex(ctx, to + have, &last) == 1 ? DX_OK : DX_BAD_TOKEN;
    EVP_CIPHER_CTX_free(ctx);
    size_t size = status == DX_OK ? (size_t)(have + last) : 0;
    dx_secret_wipe(to + size, body.size + BLOCK - size); // the padding, or all of it
    out->size += size;
    return status;
}

static dx_status open_raw(dx_buffer *out, const dx_fernet_ring *ring, const uint8_t *raw, size_t size, const dx_fernet_age *age,
                          dx_fernet_about *about) {
    if (size < HEAD_SIZE + BLOCK + MAC_SIZE || (size - HEAD_SIZE - MAC_SIZE) % BLOCK || raw[0] != VERSION) return DX_MALFORMED;
    const dx_fernet_key *key = find_key(ring, raw, size, about);
    if (!key) return DX_BAD_TOKEN;
    about->time_s = 0;
    for (int i = 0; i < TIME_SIZE; i++) about->time_s = about->time_s << 8 | raw[1 + i];
    if (!in_time(age, about->time_s)) return DX_EXPIRED_TOKEN;
    return decrypt(out, key, raw + 1 + TIME_SIZE, bytes(raw + HEAD_SIZE, size - HEAD_SIZE - MAC_SIZE));
}

dx_status dx_fernet_open(dx_buffer *out, const dx_fernet_ring *ring, dx_slice token, const dx_fernet_age *age, dx_fernet_about *about) {
    dx_fernet_about unasked;
    size_t size = 0;
    if (token.size > TOKEN_TEXT_CAP) return DX_TOO_LARGE;
    uint8_t *raw = dx_memory_alloc(token.size / 4 * 3 + 3);
    if (!raw) return DX_NO_MEMORY;
    dx_status status = decode(raw, &size, token) ? open_raw(out, ring, raw, size, age, about ? about : &unasked) : DX_MALFORMED;
    dx_memory_free(raw);
    return status;
}
