// Fernet tokens (version 0x80 of the specification): a text sealed with a shared key, AES-128-CBC under HMAC-SHA256, as other
// implementations of Fernet make and open them. A ring holds several keys, so that keys can be replaced without a day on which nothing
// opens: the first seals, any may open. Reading is strict: padded base64url in its one spelling, and nothing else.
// Thread-safe, as long as nobody changes the ring meanwhile.
#ifndef DX_CRYPTO_FERNET_H
#define DX_CRYPTO_FERNET_H

#include "base/buffer.h"

#define DX_FERNET_KEY_TEXT_SIZE 44 // base64url of 32 bytes, padded
#define DX_FERNET_KEYS_CAP      32
#define DX_FERNET_IV_SIZE       16
#define DX_FERNET_PLAIN_CAP     (16u << 20) // bytes sealed in one token

typedef struct dx_fernet_key {
    uint8_t signing[16], encryption[16];
} dx_fernet_key;

// In the caller's memory. Never printed, and wiped by deinit.
typedef struct dx_fernet_ring {
    dx_fernet_key keys[DX_FERNET_KEYS_CAP];
    size_t count;
} dx_fernet_ring;

void dx_fernet_ring_init(dx_fernet_ring *ring);
void dx_fernet_ring_deinit(dx_fernet_ring *ring);
// Puts a key behind those that are there; the first one is the one that seals. DX_MALFORMED: no key. DX_TOO_LARGE: the ring is full.
dx_status dx_fernet_ring_add(dx_fernet_ring *ring, dx_slice key_text) DX_MUST_USE;
// A new random key, without a NUL. Wiping is the caller's.
void dx_fernet_key_make(char out[DX_FERNET_KEY_TEXT_SIZE]);

// Appends the token of `plaintext` to `out`, sealed with the ring's first key. `time_s` (Unix time) stands in it, for everybody to read.
// `iv` is NULL for a random one; only a test vector gives its own. DX_INVALID: the ring is empty. DX_TOO_LARGE: over DX_FERNET_PLAIN_CAP or
// the buffer's cap. DX_NO_MEMORY.
dx_status dx_fernet_seal(dx_buffer *out, const dx_fernet_ring *ring, dx_slice plaintext, uint64_t time_s, const uint8_t *iv) DX_MUST_USE;

// How old a token may be, in seconds of Unix time.
typedef struct dx_fernet_age {
    uint64_t now_s;
    uint64_t max_age_s;
    uint64_t max_skew_s; // how far ahead the clock that made it may be; the specification says 60
} dx_fernet_age;

// What is known of a token once it has been opened.
typedef struct dx_fernet_about {
    size_t key; // which of the ring opens it
    uint64_t time_s;
} dx_fernet_about;

// Appends what `token` seals to `out`, whose memory grows at most once; wiping it is the caller's. Nothing in a token is believed before
// its MAC is found right, in constant time for each key. `age` and `about` may be NULL: of any age. DX_MALFORMED: no Fernet token.
// DX_BAD_TOKEN: no key of the ring made it, or it was changed. DX_EXPIRED_TOKEN: too old, or from the future. DX_TOO_LARGE, DX_NO_MEMORY.
// On an error `out` is as it was.
dx_status dx_fernet_open(dx_buffer *out, const dx_fernet_ring *ring, dx_slice token, const dx_fernet_age *age,
                         dx_fernet_about *about) DX_MUST_USE;

#endif
