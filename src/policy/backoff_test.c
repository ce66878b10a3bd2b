// Waits between retries, with a random number of the test's own.
#include "policy/backoff.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static const dx_nanos MS = DX_MILLISECOND;

static uint64_t drawn(void *ctx) {
    return *(uint64_t *)ctx;
}

static void without_jitter_it_grows_by_the_factor_up_to_the_cap(void **state) {
    (void)state;
    static const dx_nanos expected[] = {200, 400, 800, 1600, 3200, 6400, 12800, 20000, 20000};
    dx_backoff backoff = DX_BACKOFF_INIT;
    backoff.jitter = false;
    for (uint32_t i = 0; i < DX_COUNT_OF(expected); i++) assert_int_equal(dx_backoff_wait(&backoff, i + 1, 0), expected[i] * MS);
    assert_int_equal(dx_backoff_wait(&backoff, 0, 0), 200 * MS);
    assert_int_equal(dx_backoff_wait(&backoff, UINT32_MAX, 0), 20000 * MS);
    backoff.factor = 1.5;
    assert_int_equal(dx_backoff_wait(&backoff, 4, 0), 675 * MS);
    backoff.factor = 1;
    assert_int_equal(dx_backoff_wait(&backoff, UINT32_MAX, 0), 200 * MS);
    backoff.delay = 0;
    backoff.factor = 100;
    assert_int_equal(dx_backoff_wait(&backoff, UINT32_MAX, 0), 0);
}

static void jitter_is_over_the_whole_range(void **state) {
    (void)state;
    uint64_t random = 0;
    dx_backoff backoff = DX_BACKOFF_INIT;
    backoff.random = drawn;
    backoff.random_ctx = &random;
    assert_int_equal(dx_backoff_wait(&backoff, 3, 0), 0);
    random = UINT64_MAX;
    assert_int_equal(dx_backoff_wait(&backoff, 3, 0), 800 * MS);
    random = UINT64_MAX / 2 + 1;
    assert_int_equal(dx_backoff_wait(&backoff, 3, 0), 400 * MS);
    backoff.random = NULL;
    dx_nanos least = DX_SECOND, greatest = 0;
    for (int i = 0; i < 1000; i++) { // one in 10^45 that a fair draw fails here
        dx_nanos wait = dx_backoff_wait(&backoff, 3, 0);
        assert_in_range(wait, 0, 800 * MS);
        if (wait < least) least = wait;
        if (wait > greatest) greatest = wait;
    }
    assert_true(least < 80 * MS && greatest > 720 * MS);
}

static void what_a_server_asks_for_is_a_floor(void **state) {
    (void)state;
    uint64_t random = 0;
    dx_backoff backoff = DX_BACKOFF_INIT;
    backoff.random = drawn;
    backoff.random_ctx = &random;
    assert_int_equal(dx_backoff_wait(&backoff, 1, 30 * DX_SECOND), 30 * DX_SECOND);
    random = UINT64_MAX; // not all in the same moment
    assert_int_equal(dx_backoff_wait(&backoff, 1, 30 * DX_SECOND), 30 * DX_SECOND + 200 * MS);
    assert_int_equal(dx_backoff_wait(&backoff, 3, 100 * MS), 800 * MS);
    assert_int_equal(dx_backoff_wait(&backoff, 3, INT64_MAX), INT64_MAX);
    backoff.jitter = false;
    assert_int_equal(dx_backoff_wait(&backoff, 1, 30 * DX_SECOND), 30 * DX_SECOND);
}

static void fields_out_of_range_are_told(void **state) {
    (void)state;
    static const dx_backoff rows[] = {
        {.delay = -1, .max_delay = 1, .factor = 1},    {.delay = 2, .max_delay = 1, .factor = 1},
        {.delay = 1, .max_delay = 1, .factor = 0.5},   {.delay = 1, .max_delay = 1, .factor = (double)NAN},
        {.delay = 1, .max_delay = 1, .factor = 100.5}, {.delay = 1, .max_delay = DX_BACKOFF_DELAY_CAP + 1, .factor = 1},
    };
    for (size_t i = 0; i < DX_COUNT_OF(rows); i++) assert_int_equal(dx_backoff_check(&rows[i]), DX_INVALID);
    dx_backoff backoff = DX_BACKOFF_INIT;
    assert_int_equal(dx_backoff_check(&backoff), DX_OK);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_jitter_it_grows_by_the_factor_up_to_the_cap),
        cmocka_unit_test(jitter_is_over_the_whole_range),
        cmocka_unit_test(what_a_server_asks_for_is_a_floor),
        cmocka_unit_test(fields_out_of_range_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
