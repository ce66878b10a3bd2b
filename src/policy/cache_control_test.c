// Reading Cache-Control: what counts, and what is taken at its strictest.
#include "policy/cache_control.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "policy/cache_fixture.h"

static dx_cache_control read_lines(dx_arena *arena, const char *lines) {
    dx_cache_control control;
    dx_fields fields = fixture_fields(arena, lines);
    dx_cache_control_read(&control, &fields);
    return control;
}

static void every_line_and_directive_counts(void **state) {
    dx_cache_control c = read_lines(*state, "Cache-Control: no-store, MUST-REVALIDATE\nX: y\ncache-control: public,immutable\n"
                                            "CACHE-CONTROL: max-age=1, min-fresh=2, max-stale=3, only-if-cached, must-understand, private");
    assert_true(c.present && c.no_store && c.must_revalidate && c.is_public && c.immutable && c.only_if_cached && c.must_understand &&
                c.is_private);
    assert_false(c.no_cache || c.max_stale_any);
    assert_int_equal(c.max_age.seconds, 1);
    assert_int_equal(c.min_fresh.seconds, 2);
    assert_int_equal(c.max_stale.seconds, 3);
    assert_int_equal(c.stale_if_error.given, DX_SECONDS_NONE);
}

static void without_the_field_nothing_is_said(void **state) {
    dx_cache_control c = read_lines(*state, "X-Cache-Control: no-store\nCache: no-store");
    assert_false(c.present || c.no_store);
    assert_int_equal(c.max_age.given, DX_SECONDS_NONE);
}

static void a_quotation_hides_what_stands_in_it(void **state) {
    dx_cache_control c = read_lines(*state, "Cache-Control: a=\"no-store, max-age=9\", b=\"\\\"\", max-age=5");
    assert_false(c.no_store || c.no_cache);
    assert_int_equal(c.max_age.seconds, 5);
}

static void a_quotation_left_open_spoils_its_line_alone(void **state) {
    dx_cache_control c = read_lines(*state, "Cache-Control: a=\"b, public\nCache-Control: max-age=5");
    assert_true(c.no_cache && !c.is_public);
    assert_int_equal(c.max_age.seconds, 5);
    assert_true(read_lines(*state, "Cache-Control: max-age=5, a=\"b\\").no_cache);
}

static void leave_needs_the_exact_word(void **state) {
    dx_cache_control c = read_lines(*state, "Cache-Control: public x, immutable;, private-ish, must-understand \"");
    assert_false(c.is_public || c.immutable || c.is_private || c.must_understand);
}

static void no_cache_with_names_is_for_those(void **state) {
    dx_cache_control c = read_lines(*state, "Cache-Control: no-cache=\"Set-Cookie, x-a\", no-cache=x-b");
    assert_false(c.no_cache);
    assert_true(dx_cache_control_bars(&c, DX_SLICE("set-cookie")));
    assert_true(dx_cache_control_bars(&c, DX_SLICE("X-A")));
    assert_true(dx_cache_control_bars(&c, DX_SLICE("x-b")));
    assert_false(dx_cache_control_bars(&c, DX_SLICE("x-c")));
    assert_true(read_lines(*state, "Cache-Control: no-cache=\"\"").no_cache);
    assert_true(read_lines(*state, "Cache-Control: no-cache=x-b, no-cache").no_cache);
}

static void one_list_of_names_more_than_the_cap_is_for_all(void **state) {
    assert_false(read_lines(*state, "Cache-Control: no-cache=a, no-cache=b, no-cache=c, no-cache=d").no_cache);
    assert_true(read_lines(*state, "Cache-Control: no-cache=a, no-cache=b, no-cache=c, no-cache=d, no-cache=e").no_cache);
}

static void seconds_that_differ_or_are_none_are_broken(void **state) {
    assert_int_equal(read_lines(*state, "Cache-Control: max-age=1, max-age=2").max_age.given, DX_SECONDS_BROKEN);
    assert_int_equal(read_lines(*state, "Cache-Control: max-age=x, max-age=2").max_age.given, DX_SECONDS_BROKEN);
    assert_int_equal(read_lines(*state, "Cache-Control: max-age=2, max-age=2").max_age.given, DX_SECONDS_GIVEN);
    assert_int_equal(read_lines(*state, "Cache-Control: max-age=\"2\"3").max_age.given, DX_SECONDS_BROKEN);
    assert_int_equal(read_lines(*state, "Cache-Control: max-stale").max_stale.given, DX_SECONDS_NONE);
    assert_true(read_lines(*state, "Cache-Control: max-stale").max_stale_any);
}

static void seconds_are_digits_up_to_the_cap(void **state) {
    (void)state;
    int64_t out = 7;
    assert_false(dx_delta_seconds_read(DX_SLICE(""), &out));
    assert_false(dx_delta_seconds_read(DX_SLICE("+1"), &out));
    assert_false(dx_delta_seconds_read(DX_SLICE("1 "), &out));
    assert_int_equal(out, 7);
    assert_true(dx_delta_seconds_read(DX_SLICE("2147483647"), &out));
    assert_int_equal(out, 2147483647);
    assert_true(dx_delta_seconds_read(DX_SLICE("18446744073709551617"), &out));
    assert_int_equal(out, DX_DELTA_SECONDS_CAP);
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
        TEST(every_line_and_directive_counts),
        TEST(without_the_field_nothing_is_said),
        TEST(a_quotation_hides_what_stands_in_it),
        TEST(a_quotation_left_open_spoils_its_line_alone),
        TEST(leave_needs_the_exact_word),
        TEST(no_cache_with_names_is_for_those),
        TEST(one_list_of_names_more_than_the_cap_is_for_all),
        TEST(seconds_that_differ_or_are_none_are_broken),
        TEST(seconds_are_digits_up_to_the_cap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
