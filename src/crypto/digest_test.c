// Digests against the vectors of FIPS 180-4, RFC 4231 and RFC 5869.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "codec/text.h"
#include "crypto/digest.h"
#include "crypto/hmac.h"

static void assert_hex(const uint8_t *bytes, size_t size, const char *hex) {
    char text[256];
    assert_true(size * 2 < sizeof text);
    dx_hex_encode(text, bytes, size);
    text[size * 2] = 0;
    assert_string_equal(text, hex);
}

static dx_slice filled(char *buffer, int byte, size_t size) {
    memset(buffer, byte, size);
    return dx_slice_of(buffer, size);
}

static void sha1_matches_fips_180(void **state) {
    (void)state;
    uint8_t out[DX_SHA1_SIZE];
    dx_sha1(out, DX_SLICE("abc"));
    assert_memory_equal(out, "\xa9\x99\x3e\x36\x47\x06\x81\x6a\xba\x3e\x25\x71\x78\x50\xc2\x6c\x9c\xd0\xd8\x9d", sizeof out);
}

static void sha256_matches_fips_180(void **state) {
    (void)state;
    uint8_t out[DX_SHA256_SIZE];
    dx_sha256(out, DX_SLICE("abc"));
    assert_hex(out, sizeof out, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    dx_sha256(out, (dx_slice){NULL, 0});
    assert_hex(out, sizeof out, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

static void sha512_matches_fips_180_and_its_hmac_rfc_4231(void **state) {
    (void)state;
    uint8_t out[DX_SHA512_SIZE];
    dx_sha512(out, DX_SLICE("abc"));
    assert_hex(
        out, sizeof out,
        "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f");
    dx_hmac_sha512(out, DX_SLICE("Jefe"), DX_SLICE("what do ya want for nothing?"));
    assert_hex(
        out, sizeof out,
        "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea2505549758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737");
}

static void hmac_matches_rfc_4231(void **state) {
    (void)state;
    char key[160];
    uint8_t out[DX_HMAC_SIZE_CAP];
    dx_hmac_sha256(out, filled(key, 0x0b, 20), DX_SLICE("Hi There"));
    assert_hex(out, 32, "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
    dx_hmac_sha256(out, DX_SLICE("Jefe"), DX_SLICE("what do ya want for nothing?"));
    assert_hex(out, 32, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    dx_slice text = DX_SLICE("Test Using Larger Than Block-Size Key - Hash Key First");
    dx_hmac_sha256(out, filled(key, 0xaa, 131), text);
    assert_hex(out, 32, "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
    dx_hmac hmac;
    dx_hmac_init(&hmac, DX_HMAC_SHA384, DX_SLICE("Jefe"));
    dx_hmac_of(&hmac, out, DX_SLICE("what do ya want for nothing?"));
    assert_hex(out, 48, "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e8e2240ca5e69e2c78b3239ecfab21649");
    dx_hmac_init(&hmac, DX_HMAC_SHA512, DX_SLICE("Jefe"));
    for (int i = 0; i < 2; i++) { // a key is used again and again
        dx_hmac_of(&hmac, out, DX_SLICE("what do ya want for nothing?"));
        assert_hex(
            out, 64,
            "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea2505549758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a3"
            "8bce737");
    }
}

static void derived_keys_match_rfc_5869_without_salt(void **state) {
    (void)state;
    char key[22];
    uint8_t out[42];
    dx_derive_key(out, sizeof out, filled(key, 0x0b, 22), DX_SLICE(""));
    assert_hex(out, sizeof out, "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8");
    uint8_t other[42];
    dx_derive_key(other, sizeof other, dx_slice_of(key, 22), DX_SLICE("cursor"));
    assert_memory_not_equal(out, other, sizeof out);
}

static void secrets_compare_by_length_and_bytes(void **state) {
    (void)state;
    assert_true(dx_secret_equal(DX_SLICE("abc"), DX_SLICE("abc")));
    assert_false(dx_secret_equal(DX_SLICE("abc"), DX_SLICE("abd")));
    assert_false(dx_secret_equal(DX_SLICE("abc"), DX_SLICE("abcd")));
    assert_true(dx_secret_equal((dx_slice){NULL, 0}, DX_SLICE("")));
    char secret[4] = "key";
    dx_secret_wipe(secret, sizeof secret);
    assert_memory_equal(secret, "\0\0\0\0", 4);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sha1_matches_fips_180),
        cmocka_unit_test(sha256_matches_fips_180),
        cmocka_unit_test(sha512_matches_fips_180_and_its_hmac_rfc_4231),
        cmocka_unit_test(hmac_matches_rfc_4231),
        cmocka_unit_test(derived_keys_match_rfc_5869_without_salt),
        cmocka_unit_test(secrets_compare_by_length_and_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
