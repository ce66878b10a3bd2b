// The secondary key: who is like whom, and what is never written down.
#include "policy/vary.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "policy/cache_fixture.h"

static dx_slice block_of(dx_arena *arena, const char *response, const char *request) {
    dx_buffer out;
    dx_fields said = fixture_fields(arena, response), asked = fixture_fields(arena, request);
    dx_buffer_init(&out, arena, 2 * DX_VARY_BLOCK_CAP);
    assert_true(dx_vary_write(&out, &said, &asked));
    assert_int_equal(dx_buffer_status(&out), DX_OK);
    return dx_buffer_slice(&out);
}

static void requests_are_alike_when_the_named_fields_are(void **state) {
    static const struct {
        const char *vary, *first, *second;
        bool alike;
    } rows[] = {
        {"", "Accept: a", "Accept: b", true}, // no Vary at all
        {"Vary: accept", "Accept: a", "Accept: a", true},
        {"Vary: accept", "Accept: a", "Accept: b", false},
        {"Vary: Accept", "ACCEPT: a", "accept: a\nX: y", true},
        {"Vary: accept", "", "", true},
        {"Vary: accept", "", "Accept: a", false},
        {"Vary: accept", "Accept: a", "", false},
        {"Vary: accept", "Accept:", "", false}, // empty is not absent
        {"Vary: accept", "Accept: a, b", "Accept: a\nAccept: b", true},
        {"Vary: accept", "Accept: a,b", "Accept:  a  ,\tb ", true},
        {"Vary: accept", "Accept: a, b", "Accept: b, a", false},
        {"Vary: accept-encoding", "Accept-Encoding: GZIP", "Accept-Encoding: gzip", true},
        {"Vary: accept", "Accept: a;q=\"X , y\"", "Accept: a;q=\"x , y\"", false}, // a quoted string means itself
        {"Vary: accept", "Accept: a;q=\"x , y\"", "Accept: a;q=\"x ,y\"", false},
        {"Vary: accept-profile", "Accept-Profile: A", "Accept-Profile: a", false},
        {"Vary: x-tenant", "X-Tenant: A", "X-Tenant: a", false}, // what isn't known to ignore case does not
        {"Vary: x-tenant", "X-Tenant: a", "X-Tenant: a", true},
        {"Vary: cookie", "Cookie: a=1", "Cookie: a=2", false},
        {"Vary: authorization", "Authorization: Bearer a", "Authorization: Bearer a", true},
        {"Vary: authorization", "Authorization: Bearer a", "", false},
        {"Vary: accept, origin", "Accept: a\nOrigin: o", "Accept: a", false},
        {"Vary: accept\nVary: origin", "Accept: a\nOrigin: o", "Origin: o\nAccept: a", true},
        {"Vary: accept\nVary: origin", "Accept: a\nOrigin: o", "Origin: p\nAccept: a", false},
    };
    for (size_t i = 0; i < DX_COUNT_OF(rows); i++) {
        dx_fields second = fixture_fields(*state, rows[i].second);
        print_message("%s | %s | %s\n", rows[i].vary, rows[i].first, rows[i].second);
        assert_int_equal(dx_vary_matches(block_of(*state, rows[i].vary, rows[i].first), &second), rows[i].alike);
    }
}

static void the_order_and_case_of_names_do_not_count(void **state) {
    const char *request = "Accept: a\nOrigin: b";
    dx_slice one = block_of(*state, "Vary: Origin, accept,, accept", request),
             other = block_of(*state, "Vary: ACCEPT\nVary: origin", request);
    assert_true(one.size > 0 && dx_slice_equal(one, other));
}

static void secrets_are_not_written_down(void **state) {
    dx_slice block = block_of(*state, "Vary: authorization, x-key, accept", "Authorization: hunter2\nX-Key: hunter2\nAccept: plainly");
    assert_null(memmem(block.data, block.size, "hunter2", 7));
    assert_non_null(memmem(block.data, block.size, "plainly", 7));
}

static void a_star_and_what_is_past_the_caps_is_like_nobody(void **state) {
    char many[1024] = "Vary: a0", wide[DX_VARY_VALUE_CAP + 32] = "Accept: ";
    size_t size = strlen(many);
    for (int i = 1; i < DX_VARY_NAMES_CAP; i++) size += (size_t)snprintf(many + size, sizeof many - size, ",a%d", i);
    dx_fields none = {0}, sixteen = fixture_fields(*state, many);
    assert_false(dx_vary_is_any(&sixteen));
    (void)snprintf(many + size, sizeof many - size, ",b");
    dx_fields seventeen = fixture_fields(*state, many), star = fixture_fields(*state, "Vary: accept, *");
    assert_true(dx_vary_is_any(&seventeen) && dx_vary_is_any(&star));
    assert_false(dx_vary_is_any(&none));
    memset(wide + 8, 'a', DX_VARY_VALUE_CAP + 1);
    dx_buffer out;
    dx_buffer_init(&out, *state, DX_VARY_BLOCK_CAP);
    dx_fields said = fixture_fields(*state, "Vary: accept"), asked = fixture_fields(*state, wide);
    assert_false(dx_vary_write(&out, &said, &asked));
    assert_false(dx_vary_write(&out, &star, &none));
    assert_false(dx_vary_matches(block_of(*state, "Vary: accept", "Accept: a"), &asked));
}

static void a_block_cut_short_is_like_nobody(void **state) {
    dx_slice whole = block_of(*state, "Vary: accept", "Accept: a");
    dx_fields asked = fixture_fields(*state, "Accept: a");
    assert_true(dx_vary_matches(whole, &asked));
    for (size_t size = 1; size < whole.size; size++) assert_false(dx_vary_matches(dx_slice_of(whole.data, size), &asked));
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
        TEST(requests_are_alike_when_the_named_fields_are),
        TEST(the_order_and_case_of_names_do_not_count),
        TEST(secrets_are_not_written_down),
        TEST(a_star_and_what_is_past_the_caps_is_like_nobody),
        TEST(a_block_cut_short_is_like_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
