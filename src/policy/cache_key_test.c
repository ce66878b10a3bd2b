// Keys: one form of URLs, who shares with whom, patterns.
#include "policy/cache_key.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "policy/cache_fixture.h"
#include "policy/cache_url.h"

static void urls_come_to_one_form(void **state) {
    static const struct {
        const char *from, *to;
    } rows[] = {
        {"http://a.example", "http://a.example/"},
        {"HTTP://A.Example:80/", "http://a.example/"},
        {"https://a.example:443/x", "https://a.example/x"},
        {"https://a.example:80/x", "https://a.example:80/x"},
        {"https://a.example:/x", "https://a.example/x"},
        {"https://a.example/x#frag?no", "https://a.example/x"},
        {"https://a.example?q=1", "https://a.example/?q=1"},
        {"https://a.example/?", "https://a.example/?"}, // an empty query is not none
        {"https://a.example/a/./b/../c", "https://a.example/a/c"},
        {"https://a.example/../../x", "https://a.example/x"},
        {"https://a.example/a/..", "https://a.example/"},
        {"https://a.example/a/b/.", "https://a.example/a/b/"},
        {"https://a.example/a//b", "https://a.example/a//b"},
        {"https://a.example/%7euser/%41%2f%3a", "https://a.example/~user/A%2F%3A"},
        {"https://a.example/%2e%2e/x", "https://a.example/x"},
        {"https://a.example/x?b=2&a=1&a=%c3%A4&u=%7E", "https://a.example/x?b=2&a=1&a=%C3%A4&u=~"},
        {"https://a.example/x?u=/../y", "https://a.example/x?u=/../y"},
        {"http://[2001:DB8::1]:80/", "http://[2001:db8::1]/"},
        {"http://[::1]:8080", "http://[::1]:8080/"},
        {"http://User:Pass@A.example/", "http://User:Pass@a.example/"},
    };
    for (size_t i = 0; i < DX_COUNT_OF(rows); i++) {
        dx_slice once, twice;
        print_message("%s\n", rows[i].from);
        assert_int_equal(dx_cache_url_normalise(&once, *state, dx_slice_str(rows[i].from)), DX_OK);
        assert_true(dx_slice_equal(once, dx_slice_str(rows[i].to)));
        assert_int_equal(dx_cache_url_normalise(&twice, *state, once), DX_OK);
        assert_true(dx_slice_equal(once, twice));
    }
}

static void what_is_no_http_url_is_refused(void **state) {
    static const char *const ROWS[] = {"",
                                       "/x",
                                       "a.example/x",
                                       "ftp://a.example/",
                                       "http:/x",
                                       "http:///x",
                                       "http://:80/",
                                       "http://a b/",
                                       "http://a/\n",
                                       "http://a/%4",
                                       "http://a/%",
                                       "http://a/%zz",
                                       "http://a/?%1",
                                       "http://::1/",
                                       "http://[::/",
                                       "http://[]]/",
                                       "http://a[/",
                                       "://a/"};
    dx_slice out;
    for (size_t i = 0; i < DX_COUNT_OF(ROWS); i++)
        assert_int_equal(dx_cache_url_normalise(&out, *state, dx_slice_str(ROWS[i])), DX_BAD_REQUEST);
    char *text = dx_arena_bytes(*state, DX_CACHE_URL_CAP + 1);
    memset(text, 'a', DX_CACHE_URL_CAP + 1);
    memcpy(text, "http://a/", 9);
    assert_int_equal(dx_cache_url_normalise(&out, *state, dx_slice_of(text, DX_CACHE_URL_CAP)), DX_OK);
    assert_int_equal(dx_cache_url_normalise(&out, *state, dx_slice_of(text, DX_CACHE_URL_CAP + 1)), DX_BAD_REQUEST);
}

// RFC 3986 section 5.4.
static void references_are_resolved_as_the_rfc_has_it(void **state) {
    static const struct {
        const char *reference, *to;
    } rows[] = {
        {"g", "http://a/b/c/g"},      {"./g", "http://a/b/c/g"},
        {"g/", "http://a/b/c/g/"},    {"/g", "http://a/g"},
        {"//g", "http://g/"},         {"?y", "http://a/b/c/d;p?y"},
        {"g?y", "http://a/b/c/g?y"},  {"#s", "http://a/b/c/d;p?q"},
        {"g#s", "http://a/b/c/g"},    {";x", "http://a/b/c/;x"},
        {"", "http://a/b/c/d;p?q"},   {".", "http://a/b/c/"},
        {"./", "http://a/b/c/"},      {"..", "http://a/b/"},
        {"../g", "http://a/b/g"},     {"../..", "http://a/"},
        {"../../g", "http://a/g"},    {"../../../g", "http://a/g"},
        {"/./g", "http://a/g"},       {"/../g", "http://a/g"},
        {"g.", "http://a/b/c/g."},    {"..g", "http://a/b/c/..g"},
        {"./../g", "http://a/b/g"},   {"g/./h", "http://a/b/c/g/h"},
        {"g/../h", "http://a/b/c/h"}, {"g;x=1/./y", "http://a/b/c/g;x=1/y"},
        {"http://h/x", "http://h/x"},
    };
    for (size_t i = 0; i < DX_COUNT_OF(rows); i++) {
        dx_slice out;
        print_message("%s\n", rows[i].reference);
        assert_int_equal(dx_cache_url_resolve(&out, *state, DX_SLICE("http://a/b/c/d;p?q"), dx_slice_str(rows[i].reference)), DX_OK);
        assert_true(dx_slice_equal(out, dx_slice_str(rows[i].to)));
    }
}

static void spellings_of_one_resource_share_a_key(void **state) {
    dx_cache_key a = fixture_key(*state, "api", "", "https://a.example/x?q=1"),
                 b = fixture_key(*state, "api", "", "HTTPS://A.example:443/./x?q=1#f");
    assert_true(dx_slice_equal(a.text, b.text));
    assert_true(a.hash == b.hash && a.url_hash == b.url_hash);
    const dx_cache_key_parts head = {DX_SLICE("api"), {NULL, 0}, DX_HEAD, DX_SLICE("https://a.example/x?q=1")};
    assert_int_equal(dx_cache_key_make(&b, *state, &head), DX_OK);
    assert_true(dx_slice_equal(a.text, b.text));
}

static void whoever_differs_in_any_part_shares_nothing(void **state) {
    char mine[DX_CACHE_CREDENTIAL_SIZE + 1] = "", yours[DX_CACHE_CREDENTIAL_SIZE + 1] = "", kind[DX_CACHE_CREDENTIAL_SIZE + 1] = "";
    dx_cache_credential(mine, DX_SLICE("bearer"), DX_SLICE("a"));
    dx_cache_credential(yours, DX_SLICE("bearer"), DX_SLICE("b"));
    dx_cache_credential(kind, DX_SLICE("bearera"), DX_SLICE(""));
    const dx_cache_key keys[] = {
        fixture_key(*state, "api", mine, "https://a.example/x"),  fixture_key(*state, "api", yours, "https://a.example/x"),
        fixture_key(*state, "api", kind, "https://a.example/x"),  fixture_key(*state, "api", "", "https://a.example/x"),
        fixture_key(*state, "api2", mine, "https://a.example/x"), fixture_key(*state, "api", mine, "https://a.example/x?"),
        fixture_key(*state, "api", mine, "http://a.example/x"),
    };
    for (size_t i = 0; i < DX_COUNT_OF(keys); i++) {
        char digest[DX_CACHE_DIGEST_SIZE], other[DX_CACHE_DIGEST_SIZE];
        dx_cache_key_digest(digest, keys[i].text);
        for (size_t j = 0; j < i; j++) {
            dx_cache_key_digest(other, keys[j].text);
            assert_false(dx_slice_equal(keys[i].text, keys[j].text) || keys[i].hash == keys[j].hash);
            assert_memory_not_equal(digest, other, sizeof digest);
        }
    }
    assert_true(keys[0].url_hash == keys[1].url_hash && keys[0].url_hash != keys[4].url_hash);
}

static void what_the_caller_itself_sends_tells_callers_apart(void **state) {
    static const char *const CALLS[] = {
        "X-Other: 1",     "Authorization: Bearer a", "Authorization: Bearer b", "Cookie: a=1",
        "X-Api-Key: a=1", "X-Tenant-Key: a=1",       "Proxy-Authorization: a",  "Cookie: a=1\nAuthorization: Bearer a"};
    const dx_slice own = DX_SLICE("x-tenant-key"), identities[] = {{NULL, 0}, DX_SLICE("0123456789abcdef0123456789abcdef")};
    char found[2 * DX_COUNT_OF(CALLS)][DX_CACHE_CREDENTIAL_SIZE], again[DX_CACHE_CREDENTIAL_SIZE];
    dx_slice slices[2 * DX_COUNT_OF(CALLS)];
    for (size_t i = 0; i < DX_COUNT_OF(slices); i++) {
        dx_fields fields = fixture_fields(*state, CALLS[i / 2]);
        slices[i] = dx_cache_credential_of_call(found[i], identities[i % 2], &fields, &own, 1);
        assert_true(dx_slice_equal(slices[i], dx_cache_credential_of_call(again, identities[i % 2], &fields, &own, 1)));
        for (size_t j = 0; j < i; j++) assert_false(dx_slice_equal(slices[i], slices[j]));
    }
    assert_int_equal(slices[0].size, 0); // nothing of a credential: everybody's
    assert_true(dx_slice_equal(slices[1], identities[1]));
}

static void a_part_cannot_reach_into_the_next(void **state) {
    dx_cache_key key;
    dx_cache_key_parts parts = {DX_SLICE("a\nb"), {NULL, 0}, DX_GET, DX_SLICE("http://a/")};
    assert_int_equal(dx_cache_key_make(&key, *state, &parts), DX_BAD_REQUEST);
    parts = (dx_cache_key_parts){DX_SLICE("a"), DX_SLICE("b\nGET"), DX_GET, DX_SLICE("http://a/")};
    assert_int_equal(dx_cache_key_make(&key, *state, &parts), DX_BAD_REQUEST);
    parts = (dx_cache_key_parts){DX_SLICE("a"), DX_SLICE("0123456789abcdef0123456789abcdef0"), DX_GET, DX_SLICE("http://a/")};
    assert_int_equal(dx_cache_key_make(&key, *state, &parts), DX_BAD_REQUEST);
}

static void a_key_says_its_space_and_url(void **state) {
    dx_cache_key key = fixture_key(*state, "api/v2", "c", "http://a.example/x?y");
    dx_slice space, url;
    assert_true(dx_cache_key_split(key.text, &space, &url));
    assert_true(dx_slice_equal(space, DX_SLICE("api/v2")) && dx_slice_equal(url, DX_SLICE("http://a.example/x?y")));
    assert_true(dx_slice_equal(space, key.space) && dx_slice_equal(url, key.url));
    assert_false(dx_cache_key_split(DX_SLICE("api\nc\nGET"), &space, &url));
    assert_false(dx_cache_key_split(DX_SLICE(""), &space, &url));
}

static void patterns_match_all_of_the_text(void **state) {
    (void)state;
    static const struct {
        const char *pattern, *text;
        bool matches;
    } rows[] = {
        {"*", "", true},
        {"*", "a/b", true},
        {"", "", true},
        {"", "a", false},
        {"a", "a", true},
        {"a", "ab", false},
        {"a*", "abc", true},
        {"*c", "abc", true},
        {"a*c", "abbc", true},
        {"a*c", "abcd", false},
        {"a?c", "abc", true},
        {"a?c", "ac", false},
        {"?", "", false},
        {"*a*b*", "xxaxxbxx", true},
        {"*a*b*", "xxbxxaxx", false},
        {"a\\*", "a*", true},
        {"a\\*", "ab", false},
        {"a\\\\", "a\\", true},
        {"a\\", "a\\", true},
        {"***a", "bba", true},
        {"*/users/*", "https://a/users/5?x", true},
        {"https://a/users/?", "https://a/users/5", true},
    };
    for (size_t i = 0; i < DX_COUNT_OF(rows); i++) {
        print_message("%s %s\n", rows[i].pattern, rows[i].text);
        assert_int_equal(dx_cache_pattern_matches(dx_slice_str(rows[i].pattern), dx_slice_str(rows[i].text)), rows[i].matches);
    }
}

static void without_memory_there_is_no_key(void **state) {
    dx_cache_key key;
    dx_arena *small = dx_arena_create(1 << 16);
    const dx_cache_key_parts parts = {
        DX_SLICE("api"), {NULL, 0}, DX_GET, DX_SLICE("http://a.example/and/a/name/that/is/long/enough/for/this")};
    (void)state;
    while (dx_arena_alloc(small, 64)) {
    }
    assert_int_equal(dx_cache_key_make(&key, small, &parts), DX_NO_MEMORY);
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
        TEST(urls_come_to_one_form),
        TEST(what_is_no_http_url_is_refused),
        TEST(references_are_resolved_as_the_rfc_has_it),
        TEST(spellings_of_one_resource_share_a_key),
        TEST(whoever_differs_in_any_part_shares_nothing),
        TEST(what_the_caller_itself_sends_tells_callers_apart),
        TEST(a_part_cannot_reach_into_the_next),
        TEST(a_key_says_its_space_and_url),
        TEST(patterns_match_all_of_the_text),
        TEST(without_memory_there_is_no_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
