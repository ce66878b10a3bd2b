// What comes after asking again: conditions, the fields of a 304, HEAD, and what a change makes invalid.
#include "policy/freshness.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/memory.h"
#include "policy/cache_fixture.h"

static void conditions_are_what_the_response_has(void **state) {
    dx_slice etag, modified;
    dx_fields both = fixture_fields(*state, "ETag: W/\"a\"\nLast-Modified: {-10}"),
              none = fixture_fields(*state, "ETag:\nLast-Modified: once");
    dx_freshness_conditions(&both, &etag, &modified);
    assert_true(dx_slice_equal(etag, DX_SLICE("W/\"a\"")));
    assert_int_equal(modified.size, DX_HTTP_DATE_SIZE);
    dx_freshness_conditions(&none, &etag, &modified);
    assert_null(etag.data);
    assert_null(modified.data);
}

static void a_304_confirms_what_it_speaks_of(void **state) {
    static const struct {
        const char *stored, *not_modified;
        bool confirms;
    } rows[] = {
        {"ETag: \"a\"", "ETag: \"a\"", true},
        {"ETag: W/\"a\"", "ETag: \"a\"", true}, // weakly the same
        {"ETag: \"a\"", "ETag: \"b\"", false},
        {"Last-Modified: {-5}", "ETag: \"b\"", false},
        {"ETag: \"a\"", "", true},
        {"ETag: \"a\"\nLast-Modified: {-5}", "Last-Modified: {-1}", true},
        {"Last-Modified: {-5}", "Last-Modified: {-5}", true},
        {"Last-Modified: {-5}", "Last-Modified: {-1}", false},
        {"Last-Modified: {-5}", "", true},
    };
    for (size_t i = 0; i < DX_COUNT_OF(rows); i++) {
        dx_fields stored = fixture_fields(*state, rows[i].stored), other = fixture_fields(*state, rows[i].not_modified);
        assert_int_equal(dx_freshness_confirms(&stored, &other), rows[i].confirms);
    }
}

static bool has(const dx_fields *fields, const char *name, const char *value) {
    return dx_slice_equal(dx_fields_find(fields, dx_slice_str(name)), dx_slice_str(value));
}

static void a_304_replaces_fields_but_those_of_the_bytes(void **state) {
    dx_fields out,
        stored = fixture_fields(*state, "Content-Type: a/b\nX-Old: 1\nX-Both: 1\nX-Both: 2\nContent-Length: 5\nContent-Encoding: x\n"
                                        "Age: 100\nDate: {-200}\nCache-Control: max-age=1");
    dx_fields fresh =
        fixture_fields(*state, "X-Both: 3\nX-Both: 4\nX-New: 5\nContent-Length: 0\nContent-Encoding: gzip\nContent-Range: bytes 0-1/2\n"
                               "Connection: x-hop\nX-Hop: 1\nCache-Control: max-age=60\nKeep-Alive: 5");
    assert_int_equal(dx_freshness_update(&out, *state, &stored, &fresh), DX_OK);
    assert_true(has(&out, "content-type", "a/b") && has(&out, "x-old", "1") && has(&out, "x-both", "3") && has(&out, "x-new", "5"));
    assert_true(has(&out, "content-length", "5") && has(&out, "content-encoding", "x") && has(&out, "cache-control", "max-age=60"));
    static const char *const GONE[] = {"content-range", "connection", "x-hop", "keep-alive", "age", "date"};
    for (size_t i = 0; i < DX_COUNT_OF(GONE); i++) assert_null(dx_fields_find(&out, dx_slice_str(GONE[i])).data);
    assert_int_equal(out.count, 8); // both lines of X-Both, and no line twice
}

static void a_304_begins_a_new_lifetime(void **state) {
    dx_fields out, none = {0}, stored = fixture_fields(*state, "Cache-Control: max-age=60\nAge: 59\nDate: {-500}\nETag: \"a\"");
    dx_fields fresh = fixture_fields(*state, "ETag: \"a\"");
    assert_int_equal(dx_freshness_update(&out, *state, &stored, &fresh), DX_OK);
    const dx_freshness_options options = DX_FRESHNESS_OPTIONS_INIT;
    const dx_freshness_input in = {DX_GET, 200, &none, &out, FIXTURE_NOW, FIXTURE_NOW};
    dx_freshness freshness;
    assert_true(dx_freshness_judge(&freshness, &in, &options));
    assert_int_equal(dx_freshness_decide(&freshness, DX_GET, &none, FIXTURE_NOW + 59 * FIXTURE_S).verdict, DX_CACHE_FRESH);
}

static void fields_of_one_hop_are_not_stored(void **state) {
    dx_fields response = fixture_fields(*state, "Connection: close, X-Hop\nCache-Control: no-cache=\"x-secret\", max-age=5");
    static const char *const OUT[] = {
        "connection",         "keep-alive",          "proxy-connection",          "TE",    "trailer", "transfer-encoding", "upgrade",
        "proxy-authenticate", "proxy-authorization", "Proxy-Authentication-Info", "x-hop", "X-Secret"};
    for (size_t i = 0; i < DX_COUNT_OF(OUT); i++) assert_false(dx_freshness_keeps(&response, dx_slice_str(OUT[i])));
    assert_true(dx_freshness_keeps(&response, DX_SLICE("x-other")));
    assert_true(dx_freshness_keeps(&response, DX_SLICE("www-authenticate")));
}

static void a_head_agrees_or_it_is_another_response(void **state) {
    static const struct {
        const char *stored, *head;
        bool agrees;
    } rows[] = {
        {"ETag: \"a\"\nContent-Length: 5", "ETag: \"a\"\nContent-Length: 5", true},
        {"ETag: \"a\"", "ETag: \"b\"", false},
        {"", "ETag: \"b\"", false},
        {"Content-Length: 5", "Content-Length: 6", false},
        {"Last-Modified: {-5}", "Last-Modified: {-4}", false},
        {"Last-Modified: {-5}\nContent-Length: 5", "", true},
    };
    for (size_t i = 0; i < DX_COUNT_OF(rows); i++) {
        dx_fields stored = fixture_fields(*state, rows[i].stored), head = fixture_fields(*state, rows[i].head);
        assert_int_equal(dx_freshness_head_agrees(&stored, &head), rows[i].agrees);
    }
}

static void only_a_change_that_worked_invalidates(void **state) {
    (void)state;
    assert_true(dx_freshness_invalidates(DX_POST, 200) && dx_freshness_invalidates(DX_PUT, 204) &&
                dx_freshness_invalidates(DX_DELETE, 301) && dx_freshness_invalidates(DX_PATCH, 200) &&
                dx_freshness_invalidates(DX_METHOD_UNKNOWN, 200));
    assert_false(dx_freshness_invalidates(DX_GET, 200) || dx_freshness_invalidates(DX_HEAD, 200) ||
                 dx_freshness_invalidates(DX_OPTIONS, 200) || dx_freshness_invalidates(DX_TRACE, 200));
    assert_false(dx_freshness_invalidates(DX_POST, 400) || dx_freshness_invalidates(DX_POST, 500) ||
                 dx_freshness_invalidates(DX_POST, 100));
}

static void a_change_invalidates_its_target_and_what_it_names(void **state) {
    static const struct {
        const char *response, *second, *third;
    } rows[] = {
        {"", NULL, NULL},
        {"Location: /users/5", "https://a.example/users/5", NULL},
        {"Location: 5\nContent-Location: ?a=b", "https://a.example/5", "https://a.example/users?a=b"},
        {"Location: https://A.example:443/x#y", "https://a.example/x", NULL},
        {"Location: https://b.example/x", NULL, NULL},          // another host
        {"Location: http://a.example/x", NULL, NULL},           // another scheme
        {"Location: https://a.example:8443/x", NULL, NULL},     // another port
        {"Location: //b.example/x", NULL, NULL},                //
        {"Location: https://a.example@b.example/", NULL, NULL}, // user information is no host
        {"Location: ftp://a.example/x", NULL, NULL},
        {"Location: /%zz", NULL, NULL},
        {"Location: /users", NULL, NULL}, // the target itself
        {"Location: /x\nContent-Location: /x", "https://a.example/x", NULL},
    };
    for (size_t i = 0; i < DX_COUNT_OF(rows); i++) {
        dx_slice urls[DX_INVALIDATED_CAP];
        size_t count, wanted = rows[i].third ? 3 : rows[i].second ? 2 : 1;
        dx_fields response = fixture_fields(*state, rows[i].response);
        assert_int_equal(dx_freshness_invalidated(urls, &count, *state, DX_SLICE("HTTPS://a.example/users"), &response), DX_OK);
        assert_int_equal(count, wanted);
        assert_true(dx_slice_equal(urls[0], DX_SLICE("https://a.example/users")));
        if (wanted > 1) assert_true(dx_slice_equal(urls[1], dx_slice_str(rows[i].second)));
        if (wanted > 2) assert_true(dx_slice_equal(urls[2], dx_slice_str(rows[i].third)));
    }
}

static void without_memory_an_update_says_so(void **state) {
    dx_fields out, stored = fixture_fields(*state, "A: 1"), fresh = fixture_fields(*state, "B: 1");
    dx_arena *small = dx_arena_create(1 << 16);
    while (dx_arena_alloc(small, 64)) {
    }
    assert_int_equal(dx_freshness_update(&out, small, &stored, &fresh), DX_NO_MEMORY);
    dx_slice urls[DX_INVALIDATED_CAP];
    size_t count;
    assert_int_equal(
        dx_freshness_invalidated(urls, &count, small, DX_SLICE("HTTPS://a.example/users/and/a/name/that/is/long/enough"), &fresh),
        DX_NO_MEMORY);
    dx_arena_destroy(small);
}

static int set_up(void **state) {
    *state = dx_arena_create(1 << 20);
    return *state ? 0 : -1;
}

static int tear_down(void **state) {
    dx_arena_destroy(*state);
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(conditions_are_what_the_response_has),
        TEST(a_304_confirms_what_it_speaks_of),
        TEST(a_304_replaces_fields_but_those_of_the_bytes),
        TEST(a_304_begins_a_new_lifetime),
        TEST(fields_of_one_hop_are_not_stored),
        TEST(a_head_agrees_or_it_is_another_response),
        TEST(only_a_change_that_worked_invalidates),
        TEST(a_change_invalidates_its_target_and_what_it_names),
        TEST(without_memory_an_update_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
