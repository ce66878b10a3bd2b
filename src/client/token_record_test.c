// Tokens as they are kept: when they end, how they are written and read; and the URLs that secrets may be sent to.
#include "client/token_record.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/memory.h"
#include "client/subcall.h"

#define NOW ((dx_micros_utc)1700000000 * 1000000)

static dx_arena *arena;
static int setup(void **state) {
    (void)state;
    arena = dx_arena_create((size_t)4 << 20);
    return 0;
}
static int teardown(void **state) {
    (void)state;
    dx_arena_destroy(arena);
    return 0;
}

static yyjson_val *json(const char *text) {
    yyjson_doc *document;
    assert_int_equal(dx_json_read(&document, arena, dx_slice_str(text), NULL, NULL), DX_OK);
    return yyjson_doc_get_root(document);
}

static int64_t end_of(const char *seconds, const char *moment, const char *access) {
    return dx_token_expiry(seconds ? json(seconds) : NULL, moment ? json(moment) : NULL, dx_slice_str(access), NOW, arena) / 1000000 -
           (moment || !seconds ? 0 : NOW / 1000000);
}

static void test_the_end_of_a_token_is_read_in_every_form_it_comes_in(void **state) {
    (void)state;
    assert_int_equal(end_of("3600", NULL, "a"), 3600);
    assert_int_equal(end_of("\"3600\"", NULL, "a"), 3600);
    assert_int_equal(end_of("\"3599.9\"", NULL, "a"), 3599);
    assert_int_equal(end_of(NULL, "1700003600", "a"), 1700003600);
    assert_int_equal(end_of(NULL, "1700003600000", "a"), 1700003600);
    assert_int_equal(end_of(NULL, "\"1700003600\"", "a"), 1700003600);
    assert_int_equal(end_of(NULL, "\"2023-11-14T23:13:20Z\"", "a"), 1700003600);
    assert_int_equal(end_of(NULL, NULL, "e30.eyJleHAiOjE3MDAwMDM2MDB9.c2ln"), 1700003600); // {"exp":1700003600}
}

static void test_seconds_go_before_a_moment_and_that_before_the_tokens_own_claim(void **state) {
    (void)state;
    const char *jwt = "e30.eyJleHAiOjE3MDAwMDM2MDB9.c2ln";
    assert_int_equal(dx_token_expiry(json("60"), json("1700009999"), dx_slice_str(jwt), NOW, arena), NOW + 60000000);
    assert_int_equal(end_of("0", "1700009999", jwt), 1700009999); // a lifetime of nothing says nothing
    assert_int_equal(end_of("\"soon\"", "null", jwt), 1700003600);
}

static void test_what_says_nothing_of_an_end_gives_none(void **state) {
    (void)state;
    static const char *const odd[] = {"null", "\"\"", "-1", "[]", "\"never\"", "1e300"};
    for (size_t i = 0; i < DX_COUNT_OF(odd); i++)
        assert_int_equal(dx_token_expiry(json(odd[i]), json(odd[i]), DX_SLICE("opaque"), NOW, arena), 0);
    static const char *const tokens[] = {"", ".", "..", "a.b.c", "e30.e30.e30", "e30.W10.x", "e30.eyJleHAiOiJ4In0.x"};
    for (size_t i = 0; i < DX_COUNT_OF(tokens); i++) assert_int_equal(dx_token_expiry(NULL, NULL, dx_slice_str(tokens[i]), NOW, arena), 0);
}

static const dx_token sample = {.access = DX_SLICE_INIT("acc\"ess"),
                                .refresh = DX_SLICE_INIT("refresh"),
                                .scope = DX_SLICE_INIT("a b"),
                                .obtained = NOW,
                                .expires = NOW + 3600000000,
                                .lifetime_s = 3600};

static dx_slice written(const dx_fernet_ring *ring, const char *key) {
    dx_buffer out;
    dx_buffer_init(&out, arena, DX_TOKEN_RECORD_CAP);
    assert_int_equal(dx_token_write(&out, &sample, dx_slice_str(key), ring), DX_OK);
    return dx_buffer_slice(&out);
}

static void test_a_record_reads_back_as_it_was_plain_and_sealed(void **state) {
    (void)state;
    dx_fernet_ring ring;
    char text[DX_FERNET_KEY_TEXT_SIZE];
    dx_fernet_ring_init(&ring);
    dx_fernet_key_make(text);
    assert_int_equal(dx_fernet_ring_add(&ring, dx_slice_of(text, sizeof text)), DX_OK);
    for (int sealed = 0; sealed < 2; sealed++) {
        dx_token *token;
        dx_slice record = written(sealed ? &ring : NULL, "k");
        assert_int_equal(memmem(record.data, record.size, "refresh", 7) == NULL, sealed);
        assert_int_equal(dx_token_read(&token, record, DX_SLICE("k"), &ring), DX_OK);
        assert_true(dx_slice_equal(token->access, sample.access) && dx_slice_equal(token->refresh, sample.refresh));
        assert_true(token->expires == sample.expires && token->obtained == sample.obtained && token->lifetime_s == 3600);
        dx_token_destroy(token);
    }
    dx_token *token;
    assert_int_equal(dx_token_read(&token, written(&ring, "k"), DX_SLICE("k"), NULL), DX_BAD_TOKEN);
    dx_fernet_ring_deinit(&ring);
}

static void test_records_of_others_and_what_is_none_are_refused(void **state) {
    (void)state;
    dx_token *token;
    assert_int_equal(dx_token_read(&token, written(NULL, "k"), DX_SLICE("other"), NULL), DX_CONFLICT);
    static const char *const bad[] = {"",
                                      "{",
                                      "[]",
                                      "{}",
                                      "{\"version\":2,\"for\":\"k\",\"access_token\":\"a\"}",
                                      "{\"version\":1,\"for\":\"k\"}",
                                      "{\"version\":1,\"for\":\"k\",\"access_token\":\"a\",\"expires_at\":\"x\"}"};
    for (size_t i = 0; i < DX_COUNT_OF(bad); i++)
        assert_int_equal(dx_token_read(&token, dx_slice_str(bad[i]), DX_SLICE("k"), NULL), DX_MALFORMED);
}

static void test_every_failing_allocation_of_reading_is_told(void **state) {
    (void)state;
    dx_slice record = written(NULL, "k");
    for (uint64_t n = 1;; n++) {
        dx_token *token;
        dx_memory_fail_at(n, false);
        dx_status status = dx_token_read(&token, record, DX_SLICE("k"), NULL);
        if (!dx_memory_fail_stop()) {
            assert_int_equal(status, DX_OK);
            dx_token_destroy(token);
            return;
        }
        assert_int_equal(status, DX_NO_MEMORY);
        assert_null(token);
    }
}

static void test_urls_for_secrets_are_taken_apart_strictly(void **state) {
    (void)state;
    dx_subcall_place place;
    assert_true(dx_subcall_place_read(&place, DX_SLICE("https://a.example:8443/t?x=1")));
    assert_true(place.secure && dx_slice_equal(place.host, DX_SLICE("a.example")) && dx_slice_equal(place.target, DX_SLICE("/t?x=1")));
    assert_true(dx_subcall_place_read(&place, DX_SLICE("HTTP://[::1]:80")));
    assert_true(!place.secure && dx_slice_equal(place.host, DX_SLICE("::1")) && dx_slice_equal(place.target, DX_SLICE("/")));
    static const char *const bad[] = {"",
                                      "https://",
                                      "ftp://a/",
                                      "//a/",
                                      "https://u@a/",
                                      "https://a/#f",
                                      "https://a b/",
                                      "https://a?x=1",
                                      "https://[::1/",
                                      "https://a\\b/"};
    for (size_t i = 0; i < DX_COUNT_OF(bad); i++) assert_false(dx_subcall_place_read(&place, dx_slice_str(bad[i])));
}

static void test_only_this_machine_is_loopback(void **state) {
    (void)state;
    assert_true(dx_subcall_is_loopback(DX_SLICE("localhost")) && dx_subcall_is_loopback(DX_SLICE("127.9.0.1")) &&
                dx_subcall_is_loopback(DX_SLICE("::1")));
    assert_false(dx_subcall_is_loopback(DX_SLICE("127.0.0.1.example.com")) || dx_subcall_is_loopback(DX_SLICE("127.1")) ||
                 dx_subcall_is_loopback(DX_SLICE("localhost.example.com")) || dx_subcall_is_loopback(DX_SLICE("128.0.0.1")));
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(test_the_end_of_a_token_is_read_in_every_form_it_comes_in),
        CASE(test_seconds_go_before_a_moment_and_that_before_the_tokens_own_claim),
        CASE(test_what_says_nothing_of_an_end_gives_none),
        CASE(test_a_record_reads_back_as_it_was_plain_and_sealed),
        CASE(test_records_of_others_and_what_is_none_are_refused),
        CASE(test_every_failing_allocation_of_reading_is_told),
        CASE(test_urls_for_secrets_are_taken_apart_strictly),
        CASE(test_only_this_machine_is_loopback),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
