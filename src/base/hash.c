// SipHash-1-3. The process key is drawn when it is first needed: nothing happens in a program that only links libduplex. From then on its
// check is one predictable branch.
#include "base/hash.h"

#include <endian.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/compiler.h"
#include "base/random.h"

typedef struct sip {
    uint64_t v0, v1, v2, v3;
} sip;

static uint64_t process_key[2];
static atomic_bool has_key;

static void draw_key(void) {
    dx_random_bytes(process_key, sizeof process_key);
    atomic_store_explicit(&has_key, true, memory_order_release);
}

static DX_COLD void need_key(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, draw_key);
}

static inline uint64_t rotate(uint64_t x, int bits) {
    return (x << bits) | (x >> (64 - bits));
}

static inline sip sip_round(sip s) {
    s.v0 += s.v1, s.v2 += s.v3;
    s.v1 = rotate(s.v1, 13) ^ s.v0, s.v3 = rotate(s.v3, 16) ^ s.v2;
    s.v0 = rotate(s.v0, 32);
    s.v2 += s.v1, s.v0 += s.v3;
    s.v1 = rotate(s.v1, 17) ^ s.v2, s.v3 = rotate(s.v3, 21) ^ s.v0;
    s.v2 = rotate(s.v2, 32);
    return s;
}

static inline sip absorb(sip s, uint64_t word) {
    s.v3 ^= word;
    s = sip_round(s);
    s.v0 ^= word;
    return s;
}

// The last word: the bytes left over, little endian, and the length's low byte on top.
static inline uint64_t tail_word(const unsigned char *tail, size_t size) {
    uint64_t word = (uint64_t)(size & 0xff) << 56;
    for (size_t i = 0; i < (size & 7); i++) word |= (uint64_t)tail[i] << (8 * i);
    return word;
}

static inline uint64_t siphash13(uint64_t k0, uint64_t k1, dx_slice bytes) {
    sip s = {k0 ^ 0x736f6d6570736575u, k1 ^ 0x646f72616e646f6du, k0 ^ 0x6c7967656e657261u, k1 ^ 0x7465646279746573u};
    const unsigned char *at = (const unsigned char *)bytes.data;
    for (size_t left = bytes.size; left >= 8; left -= 8, at += 8) {
        uint64_t word;
        memcpy(&word, at, sizeof word);
        s = absorb(s, le64toh(word));
    }
    s = absorb(s, tail_word(at, bytes.size));
    s.v2 ^= 0xff;
    s = sip_round(sip_round(sip_round(s)));
    return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}

uint64_t dx_hash(dx_slice bytes) {
    if (DX_UNLIKELY(!atomic_load_explicit(&has_key, memory_order_acquire))) need_key();
    return siphash13(process_key[0], process_key[1], bytes);
}

uint64_t dx_hash_fixed(dx_slice bytes) {
    return siphash13(0x0706050403020100u, 0x0f0e0d0c0b0a0908u, bytes);
}
