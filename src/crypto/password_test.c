// Password hashes made by others verify, ours cost what they should, and memory goes back.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <sys/resource.h>

#include "crypto/password.h"

static const dx_password_cost cheap = {64, 1, 1};

static void a_hash_verifies_and_another_password_does_not(void **state) {
    (void)state;
    char hash[DX_PASSWORD_HASH_CAP], again[DX_PASSWORD_HASH_CAP];
    bool upgrade = true;
    assert_int_equal(dx_password_hash(hash, DX_SLICE("correct horse battery"), &cheap), DX_OK);
    assert_int_equal(dx_password_hash(again, DX_SLICE("correct horse battery"), &cheap), DX_OK);
    assert_string_not_equal(hash, again); // salted
    assert_true(dx_slice_starts(dx_slice_str(hash), DX_SLICE("$argon2id$v=19$m=64,t=1,p=1$")));
    assert_int_equal(dx_password_verify(dx_slice_str(hash), DX_SLICE("correct horse battery"), &cheap, &upgrade), DX_OK);
    assert_false(upgrade);
    assert_int_equal(dx_password_verify(dx_slice_str(hash), DX_SLICE("correct horse batterz"), &cheap, NULL), DX_BAD_CREDENTIALS);
    assert_int_equal(dx_password_verify(dx_slice_str(hash), DX_SLICE(""), &cheap, NULL), DX_BAD_CREDENTIALS);
}

static void a_hash_of_another_cost_asks_for_an_upgrade(void **state) {
    (void)state;
    char hash[DX_PASSWORD_HASH_CAP];
    bool upgrade = false;
    dx_password_cost dearer = {128, 2, 1};
    assert_int_equal(dx_password_hash(hash, DX_SLICE("pw"), &cheap), DX_OK);
    assert_int_equal(dx_password_verify(dx_slice_str(hash), DX_SLICE("pw"), &dearer, &upgrade), DX_OK);
    assert_true(upgrade);
}

// Made by the reference implementation's command line: echo -n password | argon2 somesalt -id -t 2 -m 16 -p 1 -l 24 (its test suite).
static void a_reference_argon2id_hash_verifies(void **state) {
    (void)state;
    dx_slice hash = DX_SLICE("$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc");
    bool upgrade = false;
    assert_int_equal(dx_password_verify(hash, DX_SLICE("password"), &cheap, &upgrade), DX_OK);
    assert_true(upgrade);
}

// From the tests of crypt_blowfish and other public bcrypt implementations.
static void bcrypt_hashes_made_elsewhere_verify_and_ask_for_an_upgrade(void **state) {
    (void)state;
    static const struct {
        const char *hash, *password;
    } cases[] = {
        {"$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW", "U*U"},
        {"$2b$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW", "U*U"},
        {"$2y$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW", "U*U"},
        {"$2a$05$CCCCCCCCCCCCCCCCCCCCC.7uG0VCzI2bS7j6ymqJi9CdcdxiRTWNy", ""},
    };
    for (size_t i = 0; i < DX_COUNT_OF(cases); i++) {
        bool upgrade = false;
        dx_slice hash = dx_slice_str(cases[i].hash);
        assert_int_equal(dx_password_verify(hash, dx_slice_str(cases[i].password), &cheap, &upgrade), DX_OK);
        assert_true(upgrade);
        assert_int_equal(dx_password_verify(hash, DX_SLICE("U*V"), &cheap, &upgrade), DX_BAD_CREDENTIALS);
        assert_false(upgrade);
        assert_int_equal(dx_password_verify(hash, dx_slice_of("U*U\0x", 5), &cheap, NULL), DX_BAD_CREDENTIALS);
    }
}

static void what_is_no_hash_never_matches(void **state) {
    (void)state;
    static const char *const cases[] = {
        "",
        "!",
        "password",
        "$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHQ",
        "$argon2id$v=19$m=4294967295,t=1,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
        "$argon2id$v=19$m=64,t=1,p=1,x=2$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
        "$argon2id$v=19$m=64,t=0,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
        "$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHQ$CTFh=dXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
        "$2a$31$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
        "$1$salt$qJH7.N4xYta3aEG/dfqo/0",
    };
    for (size_t i = 0; i < DX_COUNT_OF(cases); i++) {
        assert_int_equal(dx_password_verify(dx_slice_str(cases[i]), DX_SLICE("password"), &cheap, NULL), DX_BAD_CREDENTIALS);
        assert_int_equal(dx_password_verify(dx_slice_str(cases[i]), DX_SLICE(""), &cheap, NULL), DX_BAD_CREDENTIALS);
    }
}

static void a_password_over_the_cap_is_refused(void **state) {
    (void)state;
    static char big[DX_PASSWORD_BYTES_CAP + 1];
    char hash[DX_PASSWORD_HASH_CAP];
    memset(big, 'x', sizeof big);
    assert_int_equal(dx_password_hash(hash, dx_slice_of(big, sizeof big), &cheap), DX_TOO_LARGE);
    assert_int_equal(dx_password_hash(hash, dx_slice_of(big, sizeof big - 1), &cheap), DX_OK);
    assert_int_equal(dx_password_verify(dx_slice_str(hash), dx_slice_of(big, sizeof big), &cheap, NULL), DX_BAD_CREDENTIALS);
    assert_int_equal(dx_password_verify(dx_slice_str(hash), dx_slice_of(big, sizeof big - 1), &cheap, NULL), DX_OK);
}

static size_t resident_pages(void) {
    size_t size = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%zu %zu", &size, &resident), 2);
    fclose(file);
    return resident;
}

static void hashing_gives_its_memory_back(void **state) {
    (void)state;
    char hash[DX_PASSWORD_HASH_CAP];
    dx_password_cost cost = {19456, 1, 1};
    size_t before = resident_pages();
    for (int i = 0; i < 3; i++) assert_int_equal(dx_password_hash(hash, DX_SLICE("pw"), &cost), DX_OK);
    assert_true(resident_pages() < before + 1024); // 4 MiB, where one hash takes 19
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) // their shadow memory does not live under a limit
static void a_hash_without_memory_fails_and_the_next_works(void **state) {
    (void)state;
    char hash[DX_PASSWORD_HASH_CAP];
    dx_password_cost cost = {1u << 20, 1, 1};
    struct rlimit old, low;
    assert_int_equal(getrlimit(RLIMIT_AS, &old), 0);
    low = old;
    low.rlim_cur = 512u << 20;
    assert_int_equal(setrlimit(RLIMIT_AS, &low), 0);
    dx_status hashed = dx_password_hash(hash, DX_SLICE("pw"), &cost);
    dx_status verified = dx_password_verify(DX_SLICE(""), DX_SLICE("pw"), &cost, NULL);
    assert_int_equal(setrlimit(RLIMIT_AS, &old), 0);
    assert_int_equal(hashed, DX_NO_MEMORY);
    assert_int_equal(verified, DX_NO_MEMORY);
    assert_int_equal(dx_password_hash(hash, DX_SLICE("pw"), &cheap), DX_OK);
}
#endif

static void common_passwords_are_known_in_their_disguises(void **state) {
    (void)state;
    static const char *const weak[] = {
        "password1234",
        "Password1234!",
        "PASSWORD!!!!!",
        "p@ssw0rd2024",
        "P4$$w0rd12345",
        "password password",
        "adminadminadmin",
        "qwertyuiop123",
        "asdfghjkl;'",
        "123456789012",
        "987654321098",
        "aaaaaaaaaaaa",
        "abcabcabcabc",
        "abcdefghijkl",
        "1qaz2wsx3edc",
        "!QAZ2wsx#EDC",
        "Summer2024!!",
        "september2025",
        "iloveyou1234",
        "i love you 123",
        "LetMeIn12345",
        "changeme1234",
        "welcome12345!",
        "x9x9x9x9x9x9",
        "1122112211221122",
        "trustno1trustno1",
        "12345qwert!@#",
        "!!!monkey!!!!!",
        "",
    };
    for (size_t i = 0; i < DX_COUNT_OF(weak); i++) {
        if (!dx_password_is_common(dx_slice_str(weak[i]))) fail_msg("\"%s\" passed", weak[i]);
    }
}

static void passphrases_and_random_passwords_are_allowed(void **state) {
    (void)state;
    static const char *const good[] = {
        "correct horse battery", "correct horse battery 7",
        "tr0ub4dor and three",   "purple monkey dishwasher",
        "4Gt7!k92Lm0z",          "kX8vR2mQ9wLz",
        "837465019283",          "grüße aus dem schwarzwald",
        "my cat ate 3 socks",    "dragon eats password",
        "andrew83749264821",
    };
    for (size_t i = 0; i < DX_COUNT_OF(good); i++) {
        if (dx_password_is_common(dx_slice_str(good[i]))) fail_msg("\"%s\" was refused", good[i]);
    }
    static char big[DX_PASSWORD_BYTES_CAP + 1];
    memset(big, 'x', sizeof big);
    assert_true(dx_password_is_common(dx_slice_of(big, sizeof big - 1)));
    assert_false(dx_password_is_common(dx_slice_of(big, sizeof big))); // refused elsewhere, for its length
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_hash_verifies_and_another_password_does_not),
        cmocka_unit_test(a_hash_of_another_cost_asks_for_an_upgrade),
        cmocka_unit_test(a_reference_argon2id_hash_verifies),
        cmocka_unit_test(bcrypt_hashes_made_elsewhere_verify_and_ask_for_an_upgrade),
        cmocka_unit_test(what_is_no_hash_never_matches),
        cmocka_unit_test(a_password_over_the_cap_is_refused),
        cmocka_unit_test(hashing_gives_its_memory_back),
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
        cmocka_unit_test(a_hash_without_memory_fails_and_the_next_works),
#endif
        cmocka_unit_test(common_passwords_are_known_in_their_disguises),
        cmocka_unit_test(passphrases_and_random_passwords_are_allowed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
