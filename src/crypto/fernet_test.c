// Fernet against the vectors that its specification publishes (generate, verify, invalid), and what they do not say: rings of keys,
// spellings, every changed byte, memory that runs out.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/memory.h"
#include "codec/text.h"
#include "crypto/fernet.h"

#define SECRET "cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4="
#define OTHER  "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
#define HELLO  "gAAAAAAdwJ6wAAECAwQFBgcICQoLDA0ODy021cpGVWKZ_eEwCGM4BLLF_5CV9dOPmrhuVUPgJobwOz7JcbmrR64jVmpU4IwqDA=="
#define BORN   499162800u // 1985-10-26T01:20:00-07:00

static dx_fernet_ring ring;
static dx_buffer out;

static int set_up(void **state) {
    (void)state;
    dx_fernet_ring_init(&ring);
    dx_buffer_init(&out, NULL, 1u << 20);
    return dx_fernet_ring_add(&ring, DX_SLICE(SECRET)) == DX_OK ? 0 : 1;
}

static int tear_down(void **state) {
    (void)state;
    dx_fernet_ring_deinit(&ring);
    dx_buffer_deinit(&out);
    return 0;
}

static void use_keys(const char *first, const char *second) {
    dx_fernet_ring_init(&ring);
    assert_int_equal(dx_fernet_ring_add(&ring, dx_slice_str(first)), DX_OK);
    if (second) assert_int_equal(dx_fernet_ring_add(&ring, dx_slice_str(second)), DX_OK);
}

static void assert_out(const char *wanted) {
    assert_int_equal(out.size, strlen(wanted));
    assert_memory_equal(out.data, wanted, out.size);
}

static void sealing_matches_the_published_vector(void **state) {
    (void)state;
    static const uint8_t iv[DX_FERNET_IV_SIZE] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    assert_int_equal(dx_fernet_seal(&out, &ring, DX_SLICE("hello"), BORN, iv), DX_OK);
    assert_out(HELLO);
}

static void the_published_token_opens(void **state) {
    (void)state;
    const dx_fernet_age age = {BORN + 1, 60, 60};
    dx_fernet_about about;
    assert_int_equal(dx_fernet_open(&out, &ring, DX_SLICE(HELLO), &age, &about), DX_OK);
    assert_out("hello");
    assert_int_equal(about.time_s, BORN);
    assert_int_equal(about.key, 0);
}

static void the_published_invalid_tokens_are_refused(void **state) {
    (void)state;
    static const struct {
        const char *what, *token;
        unsigned later_s;
        dx_status wanted;
    } vectors[] = {
        {"incorrect mac", "gAAAAAAdwJ6xAAECAwQFBgcICQoLDA0OD3HkMATM5lFqGaerZ-fWPAl1-szkFVzXTuGb4hR8AKtwcaX1YdykQUFBQUFBQUFBQQ==", 1,
         DX_BAD_TOKEN},
        {"too short", "gAAAAAAdwJ6xAAECAwQFBgcICQoLDA0OD3HkMATM5lFqGaerZ-fWPA==", 1, DX_MALFORMED},
        {"invalid base64", "%%%%%%%%%%%%%AECAwQFBgcICQoLDA0OD3HkMATM5lFqGaerZ-fWPAl1-szkFVzXTuGb4hR8AKtwcaX1YdykRtfsH-p1YsUD2Q==", 1,
         DX_MALFORMED},
        {"payload size not multiple of block size",
         "gAAAAAAdwJ6xAAECAwQFBgcICQoLDA0OD3HkMATM5lFqGaerZ-fWPOm73QeoCk9uGib28Xe5vz6oxq5nmxbx_v7mrfyudzUm", 1, DX_MALFORMED},
        {"payload padding error", "gAAAAAAdwJ6xAAECAwQFBgcICQoLDA0ODz4LEpdELGQAad7aNEHbf-JkLPIpuiYRLQ3RtXatOYREu2FWke6CnJNYIbkuKNqOhw==", 1,
         DX_BAD_TOKEN},
        {"far-future TS", "gAAAAAAdwStRAAECAwQFBgcICQoLDA0OD3HkMATM5lFqGaerZ-fWPAnja1xKYyhd-Y6mSkTOyTGJmw2Xc2a6kBd-iX9b_qXQcw==", 1,
         DX_EXPIRED_TOKEN},
        {"expired TTL", "gAAAAAAdwJ6xAAECAwQFBgcICQoLDA0OD3HkMATM5lFqGaerZ-fWPAl1-szkFVzXTuGb4hR8AKtwcaX1YdykRtfsH-p1YsUD2Q==", 91,
         DX_EXPIRED_TOKEN},
        {"incorrect IV", "gAAAAAAdwJ6xBQECAwQFBgcICQoLDA0OD3HkMATM5lFqGaerZ-fWPAkLhFLHpGtDBRLRTZeUfWgHSv49TF2AUEZ1TIvcZjK1zQ==", 1,
         DX_BAD_TOKEN},
    };
    for (size_t i = 0; i < DX_COUNT_OF(vectors); i++) {
        const dx_fernet_age age = {BORN + vectors[i].later_s, 60, 60};
        dx_status status = dx_fernet_open(&out, &ring, dx_slice_str(vectors[i].token), &age, NULL);
        if (status != vectors[i].wanted) fail_msg("%s: %s", vectors[i].what, dx_status_name(status));
        assert_int_equal(out.size, 0);
    }
}

static void age_and_skew_are_bounds_that_are_still_good(void **state) {
    (void)state;
    static const struct {
        uint64_t now, age, skew;
        dx_status wanted;
    } cases[] = {{BORN + 60, 60, 0, DX_OK}, {BORN + 61, 60, 0, DX_EXPIRED_TOKEN},
                 {BORN - 60, 0, 60, DX_OK}, {BORN - 61, 0, 60, DX_EXPIRED_TOKEN},
                 {0, 0, UINT64_MAX, DX_OK}, {UINT64_MAX, UINT64_MAX, 0, DX_OK}};
    for (size_t i = 0; i < DX_COUNT_OF(cases); i++) {
        const dx_fernet_age age = {cases[i].now, cases[i].age, cases[i].skew};
        assert_int_equal(dx_fernet_open(&out, &ring, DX_SLICE(HELLO), &age, NULL), cases[i].wanted);
    }
}

static void every_length_opens_again_and_no_two_tokens_are_alike(void **state) {
    (void)state;
    char plain[70];
    dx_buffer again;
    for (size_t size = 0; size < sizeof plain; size++) {
        memset(plain, (int)size, sizeof plain);
        dx_buffer_clear(&out);
        dx_buffer_init(&again, NULL, 1u << 20);
        assert_int_equal(dx_fernet_seal(&out, &ring, dx_slice_of(plain, size), UINT64_MAX, NULL), DX_OK);
        assert_int_equal(dx_fernet_seal(&again, &ring, dx_slice_of(plain, size), UINT64_MAX, NULL), DX_OK);
        assert_int_equal(out.size % 4, 0);
        assert_false(dx_slice_equal(dx_buffer_slice(&out), dx_buffer_slice(&again)));
        dx_buffer_clear(&again);
        assert_int_equal(dx_fernet_open(&again, &ring, dx_buffer_slice(&out), NULL, NULL), DX_OK);
        assert_int_equal(again.size, size);
        assert_memory_equal(again.data, plain, size);
        dx_buffer_deinit(&again);
    }
}

static void the_first_key_seals_and_all_open(void **state) {
    (void)state;
    dx_fernet_about about;
    use_keys(OTHER, SECRET);
    assert_int_equal(dx_fernet_open(&out, &ring, DX_SLICE(HELLO), NULL, &about), DX_OK);
    assert_int_equal(about.key, 1);
    dx_buffer_clear(&out);
    assert_int_equal(dx_fernet_seal(&out, &ring, DX_SLICE("new"), 1, NULL), DX_OK);
    dx_buffer opened;
    dx_buffer_init(&opened, NULL, 64);
    use_keys(SECRET, NULL);
    assert_int_equal(dx_fernet_open(&opened, &ring, dx_buffer_slice(&out), NULL, NULL), DX_BAD_TOKEN);
    use_keys(SECRET, OTHER);
    assert_int_equal(dx_fernet_open(&opened, &ring, dx_buffer_slice(&out), NULL, &about), DX_OK);
    assert_int_equal(about.key, 1);
    dx_buffer_deinit(&opened);
}

static void a_changed_character_anywhere_does_not_open(void **state) {
    (void)state;
    char token[] = HELLO;
    for (size_t i = 0; i < sizeof token - 1; i++) {
        token[i] ^= 1; // '=' becomes '<', '-' ',', '_' '^': no digits
        dx_status status = dx_fernet_open(&out, &ring, dx_slice_str(token), NULL, NULL);
        assert_true(status == DX_MALFORMED || status == DX_BAD_TOKEN);
        token[i] ^= 1;
    }
    assert_int_equal(out.size, 0);
}

static void only_one_spelling_of_a_token_is_taken(void **state) {
    (void)state;
    static const char *const bad[] = {
        "",
        "=",
        "====",
        "gAAA",
        "=" HELLO,
        HELLO "\n",
        " " HELLO,
        HELLO HELLO,
        "gAAAAAAdwJ6wAAECAwQFBgcICQoLDA0ODy021cpGVWKZ_eEwCGM4BLLF_5CV9dOPmrhuVUPgJobwOz7JcbmrR64jVmpU4IwqDA",
        "gAAAAAAdwJ6wAAECAwQFBgcICQoLDA0ODy021cpGVWKZ_eEwCGM4BLLF_5CV9dOPmrhuVUPgJobwOz7JcbmrR64jVmpU4IwqDB==",
        "gAAAAAAdwJ6wAAECAwQFBgcICQoLDA0ODy021cpGVWKZ/eEwCGM4BLLF/5CV9dOPmrhuVUPgJobwOz7JcbmrR64jVmpU4IwqDA==",
        "gAAAAAAdwJ6wAAECAwQFBgcICQoLDA0ODy021cpGVWKZ_eEwCGM4BLLF_5CV9dOPmrhuVUPgJobwOz7JcbmrR64jVmpU4IwqDAAA",
        "gQAAAAAdwJ6wAAECAwQFBgcICQoLDA0ODy021cpGVWKZ_eEwCGM4BLLF_5CV9dOPmrhuVUPgJobwOz7JcbmrR64jVmpU4IwqDA=="};
    for (size_t i = 0; i < DX_COUNT_OF(bad); i++)
        assert_int_equal(dx_fernet_open(&out, &ring, dx_slice_str(bad[i]), NULL, NULL), DX_MALFORMED);
    assert_int_equal(dx_fernet_open(&out, &ring, (dx_slice){NULL, 0}, NULL, NULL), DX_MALFORMED);
}

static void what_is_no_key_is_refused_and_rings_are_capped(void **state) {
    (void)state;
    static const char *const bad[] = {"",
                                      "cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4",
                                      "cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4==",
                                      "cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e5=",
                                      "cw/0x689RpI+jtRR7oE8h/eQsKImvJapLeSbXpwF4e4=",
                                      "cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e==",
                                      "cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4A"};
    for (size_t i = 0; i < DX_COUNT_OF(bad); i++) assert_int_equal(dx_fernet_ring_add(&ring, dx_slice_str(bad[i])), DX_MALFORMED);
    for (size_t i = 1; i < DX_FERNET_KEYS_CAP; i++) assert_int_equal(dx_fernet_ring_add(&ring, DX_SLICE(OTHER)), DX_OK);
    assert_int_equal(dx_fernet_ring_add(&ring, DX_SLICE(OTHER)), DX_TOO_LARGE);
    assert_int_equal(ring.count, DX_FERNET_KEYS_CAP);
}

static void keys_that_are_made_work_and_differ(void **state) {
    (void)state;
    char one[DX_FERNET_KEY_TEXT_SIZE], two[DX_FERNET_KEY_TEXT_SIZE];
    dx_fernet_key_make(one);
    dx_fernet_key_make(two);
    assert_memory_not_equal(one, two, sizeof one);
    assert_int_equal(dx_fernet_ring_add(&ring, dx_slice_of(one, sizeof one)), DX_OK);
}

static void an_empty_ring_neither_seals_nor_opens(void **state) {
    (void)state;
    dx_fernet_ring_init(&ring);
    assert_int_equal(dx_fernet_seal(&out, &ring, DX_SLICE("x"), 0, NULL), DX_INVALID);
    assert_int_equal(dx_fernet_open(&out, &ring, DX_SLICE(HELLO), NULL, NULL), DX_BAD_TOKEN);
}

static void a_ring_is_wiped_at_the_end(void **state) {
    (void)state;
    static const dx_fernet_ring zero;
    dx_fernet_ring_deinit(&ring);
    assert_memory_equal(&ring, &zero, sizeof ring);
}

static void what_does_not_fit_is_told(void **state) {
    (void)state;
    dx_buffer small;
    dx_buffer_init(&small, NULL, 16);
    assert_int_equal(dx_fernet_seal(&small, &ring, DX_SLICE("x"), 0, NULL), DX_TOO_LARGE);
    dx_buffer_deinit(&small);
    static char large[DX_FERNET_PLAIN_CAP + 1];
    assert_int_equal(dx_fernet_seal(&out, &ring, dx_slice_of(large, sizeof large), 0, NULL), DX_TOO_LARGE);
    assert_int_equal(out.size, 0);
}

static void every_failing_allocation_is_told(void **state) {
    (void)state;
    for (uint64_t n = 1;; n++) {
        dx_buffer sealed, opened;
        dx_buffer_init(&sealed, NULL, 1024);
        dx_buffer_init(&opened, NULL, 1024);
        dx_memory_fail_at(n, false);
        dx_status status = dx_fernet_seal(&sealed, &ring, DX_SLICE("a secret"), 7, NULL);
        if (status == DX_OK) status = dx_fernet_open(&opened, &ring, dx_buffer_slice(&sealed), NULL, NULL);
        bool failed = dx_memory_fail_stop();
        assert_true(status == DX_OK || (failed && status == DX_NO_MEMORY)); // a buffer that can't have much asks for less
        dx_buffer_deinit(&sealed);
        dx_buffer_deinit(&opened);
        if (!failed) break;
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(sealing_matches_the_published_vector, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_published_token_opens, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_published_invalid_tokens_are_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(age_and_skew_are_bounds_that_are_still_good, set_up, tear_down),
        cmocka_unit_test_setup_teardown(every_length_opens_again_and_no_two_tokens_are_alike, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_first_key_seals_and_all_open, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_changed_character_anywhere_does_not_open, set_up, tear_down),
        cmocka_unit_test_setup_teardown(only_one_spelling_of_a_token_is_taken, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_no_key_is_refused_and_rings_are_capped, set_up, tear_down),
        cmocka_unit_test_setup_teardown(keys_that_are_made_work_and_differ, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_empty_ring_neither_seals_nor_opens, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_ring_is_wiped_at_the_end, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_does_not_fit_is_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(every_failing_allocation_is_told, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
