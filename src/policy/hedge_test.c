// When a second copy is due, and how many there may be.
#include "policy/hedge.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

enum { THREADS = 4, CALLS = 20000 };

static const dx_nanos MS = DX_MILLISECOND;

static dx_hedge_options by_histogram(dx_histogram *histogram) {
    dx_hedge_options options = DX_HEDGE_OPTIONS_INIT;
    options.latency = dx_hedge_percentile;
    options.latency_ctx = histogram;
    return options;
}

static void a_fixed_delay_is_the_delay(void **state) {
    (void)state;
    dx_hedge_options options = DX_HEDGE_OPTIONS_INIT;
    options.delay = 20 * MS;
    dx_hedge hedge;
    assert_int_equal(dx_hedge_init(&hedge, &options), DX_OK);
    for (int i = 0; i < 1000; i++) assert_int_equal(dx_hedge_begin(&hedge), 20 * MS);
}

static void the_delay_follows_the_percentile_within_its_bounds(void **state) {
    (void)state;
    dx_histogram histogram = {0};
    dx_hedge_options options = by_histogram(&histogram);
    dx_hedge hedge;
    assert_int_equal(dx_hedge_init(&hedge, &options), DX_OK);
    for (int i = 0; i < 99; i++) dx_histogram_record(&histogram, 100 * MS);
    for (unsigned i = 0; i < DX_HEDGE_RENEWAL; i++) assert_int_equal(dx_hedge_begin(&hedge), DX_HEDGE_NEVER); // too little is known
    dx_histogram_record(&histogram, 100 * MS);
    assert_int_equal(dx_hedge_begin(&hedge), 100 * MS);
    dx_histogram_reset(&histogram, NULL);
    for (int i = 0; i < 1000; i++) dx_histogram_record(&histogram, 300 * MS);
    for (unsigned i = 1; i < DX_HEDGE_RENEWAL; i++) assert_int_equal(dx_hedge_begin(&hedge), 100 * MS); // not looked at each time
    assert_int_equal(dx_hedge_begin(&hedge), 300 * MS);
    options.min_delay = 400 * MS;
    assert_int_equal(dx_hedge_init(&hedge, &options), DX_OK);
    assert_int_equal(dx_hedge_begin(&hedge), 400 * MS);
    options.min_delay = 0;
    options.max_delay = 200 * MS;
    assert_int_equal(dx_hedge_init(&hedge, &options), DX_OK);
    assert_int_equal(dx_hedge_begin(&hedge), 200 * MS);
    dx_hedge_stats stats;
    dx_hedge_stats_read(&hedge, &stats);
    assert_int_equal(stats.delay, 200 * MS);
}

static void second_copies_are_a_small_share_of_the_calls(void **state) {
    (void)state;
    dx_hedge_options options = DX_HEDGE_OPTIONS_INIT;
    options.delay = MS;
    dx_hedge hedge;
    assert_int_equal(dx_hedge_init(&hedge, &options), DX_OK);
    assert_false(dx_hedge_send(&hedge)); // nothing before the first calls
    int sent = 0;
    for (int i = 0; i < 1000; i++) {
        (void)dx_hedge_begin(&hedge);
        sent += dx_hedge_send(&hedge);
    }
    assert_int_equal(sent, 50);
    for (int i = 0; i < 100000; i++) (void)dx_hedge_begin(&hedge);
    for (sent = 0; dx_hedge_send(&hedge);) sent++;
    assert_int_equal(sent, 10); // quiet times save up no more
    dx_hedge_won(&hedge);
    dx_hedge_stats stats;
    dx_hedge_stats_read(&hedge, &stats);
    assert_int_equal(stats.calls, 101000);
    assert_int_equal(stats.sent, 60);
    assert_int_equal(stats.refused, 1 + 950 + 1);
    assert_int_equal(stats.won, 1);
}

static void options_out_of_range_are_refused(void **state) {
    (void)state;
    dx_histogram histogram = {0};
    dx_hedge_options rows[9];
    for (size_t i = 0; i < DX_COUNT_OF(rows); i++) rows[i] = by_histogram(&histogram);
    rows[0].latency = NULL;
    rows[1].delay = -1;
    rows[2].percent = 0;
    rows[3].percent = 100;
    rows[4].share_thousandths = 0;
    rows[5].share_thousandths = 51;
    rows[6].saved = 0;
    rows[7].max_delay = rows[7].min_delay - 1;
    rows[8].min_delay = -1;
    dx_hedge hedge;
    for (size_t i = 0; i < DX_COUNT_OF(rows); i++) {
        if (dx_hedge_init(&hedge, &rows[i]) != DX_INVALID) fail_msg("row %zu was taken", i);
    }
}

static void *call_often(void *ctx) {
    for (int i = 0; i < CALLS; i++) {
        if (dx_hedge_begin(ctx) != 100 * MS) abort();
        (void)!dx_hedge_send(ctx);
    }
    return NULL;
}

static void threads_share_the_share(void **state) {
    (void)state;
    dx_histogram histogram = {0};
    dx_hedge_options options = by_histogram(&histogram);
    dx_hedge hedge;
    dx_hedge_stats stats;
    pthread_t threads[THREADS];
    for (int i = 0; i < 100; i++) dx_histogram_record(&histogram, 100 * MS);
    assert_int_equal(dx_hedge_init(&hedge, &options), DX_OK);
    assert_int_equal(dx_hedge_begin(&hedge), 100 * MS);
    for (int i = 0; i < THREADS; i++) assert_int_equal(pthread_create(&threads[i], NULL, call_often, &hedge), 0);
    for (int i = 0; i < THREADS; i++) (void)pthread_join(threads[i], NULL);
    dx_hedge_stats_read(&hedge, &stats);
    assert_in_range(stats.sent, 1, (THREADS * CALLS + 1) / 20);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_fixed_delay_is_the_delay),
        cmocka_unit_test(the_delay_follows_the_percentile_within_its_bounds),
        cmocka_unit_test(second_copies_are_a_small_share_of_the_calls),
        cmocka_unit_test(options_out_of_range_are_refused),
        cmocka_unit_test(threads_share_the_share),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
