// The retry budget: a share of the calls, a reserve that fills slowly, and threads that share it.
#include "policy/retry_budget.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

enum { THREADS = 4, CALLS = 500000 };

static const dx_nanos T0 = 1000 * DX_SECOND;

static void made(dx_retry_budget *budget) {
    static const dx_retry_budget_options options = DX_RETRY_BUDGET_INIT;
    assert_int_equal(dx_retry_budget_init(budget, &options, T0), DX_OK);
}

static int withdrawals(dx_retry_budget *budget, dx_nanos now) {
    int count = 0;
    while (dx_retry_budget_withdraw(budget, now)) count++;
    return count;
}

static void retries_are_a_share_of_the_calls_and_the_reserve(void **state) {
    (void)state;
    dx_retry_budget budget;
    made(&budget);
    assert_int_equal(withdrawals(&budget, T0), 10);
    for (int i = 0; i < 100; i++) dx_retry_budget_deposit(&budget);
    assert_int_equal(withdrawals(&budget, T0), 20);
    for (int i = 0; i < 4; i++) dx_retry_budget_deposit(&budget);
    assert_int_equal(withdrawals(&budget, T0), 0);
    dx_retry_budget_deposit(&budget);
    assert_int_equal(withdrawals(&budget, T0), 1);
    dx_retry_budget_refund(&budget);
    assert_int_equal(withdrawals(&budget, T0), 1);
    dx_retry_budget_stats stats;
    dx_retry_budget_stats_read(&budget, &stats, T0);
    assert_int_equal(stats.calls, 105);
    assert_int_equal(stats.retries, 32);
    assert_int_equal(stats.refused, 5);
    assert_int_equal(stats.thousandths, 0);
}

static void good_times_save_up_no_more_than_its_capacity(void **state) {
    (void)state;
    dx_retry_budget budget;
    made(&budget);
    for (int i = 0; i < 100000; i++) dx_retry_budget_deposit(&budget);
    assert_true(dx_retry_budget_withdraw(&budget, T0));
    for (int i = 0; i < 4; i++) dx_retry_budget_deposit(&budget); // 99.8
    dx_retry_budget_refund(&budget);
    dx_retry_budget_stats stats;
    dx_retry_budget_stats_read(&budget, &stats, T0);
    assert_int_equal(stats.thousandths, 100000);
    assert_int_equal(withdrawals(&budget, T0), 100);
}

static void the_reserve_fills_slowly_and_only_itself(void **state) {
    (void)state;
    dx_retry_budget budget;
    made(&budget);
    assert_int_equal(withdrawals(&budget, T0 + 3600 * DX_SECOND), 10); // no more, however long it was full
    dx_nanos now = T0 + 3600 * DX_SECOND;
    assert_int_equal(withdrawals(&budget, now + 5 * DX_SECOND - DX_MILLISECOND), 0);
    assert_int_equal(withdrawals(&budget, now + 5 * DX_SECOND), 1);
    assert_int_equal(withdrawals(&budget, now + 15 * DX_SECOND), 2);
    assert_int_equal(withdrawals(&budget, now), 0); // a clock that is behind
    assert_int_equal(withdrawals(&budget, now + 7200 * DX_SECOND), 10);
}

static void looking_often_does_not_slow_the_filling(void **state) {
    (void)state;
    dx_retry_budget budget;
    made(&budget);
    assert_int_equal(withdrawals(&budget, T0), 10);
    for (int i = 0; i < 3; i++) dx_retry_budget_deposit(&budget); // 600
    int count = 0;
    for (dx_nanos now = T0; now <= T0 + 20 * DX_SECOND; now += DX_MILLISECOND) count += dx_retry_budget_withdraw(&budget, now);
    assert_int_equal(count, 4); // 4.6
}

static void options_out_of_range_are_refused(void **state) {
    (void)state;
    static const dx_retry_budget_options rows[] = {
        {.deposit = 1001, .capacity = 1},   {.capacity = 0}, {.reserve = 2, .capacity = 1}, {.capacity = DX_RETRY_BUDGET_TOKENS_CAP + 1},
        {.refill = 1000001, .capacity = 1},
    };
    dx_retry_budget budget;
    for (size_t i = 0; i < DX_COUNT_OF(rows); i++) assert_int_equal(dx_retry_budget_init(&budget, &rows[i], T0), DX_INVALID);
}

static void *call_and_retry(void *ctx) {
    dx_retry_budget *budget = ctx;
    for (int i = 0; i < CALLS; i++) {
        dx_retry_budget_deposit(budget);
        (void)!dx_retry_budget_withdraw(budget, T0);
    }
    return NULL;
}

static void threads_together_stay_within_it(void **state) {
    (void)state;
    dx_retry_budget budget;
    dx_retry_budget_stats stats;
    pthread_t threads[THREADS];
    made(&budget);
    for (int i = 0; i < THREADS; i++) assert_int_equal(pthread_create(&threads[i], NULL, call_and_retry, &budget), 0);
    for (int i = 0; i < THREADS; i++) (void)pthread_join(threads[i], NULL);
    dx_retry_budget_stats_read(&budget, &stats, T0);
    assert_int_equal(stats.retries * 1000 + stats.thousandths, 10 * 1000 + (uint64_t)THREADS * CALLS * 200);
    assert_int_equal(stats.retries + stats.refused, THREADS * CALLS);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(retries_are_a_share_of_the_calls_and_the_reserve),
        cmocka_unit_test(good_times_save_up_no_more_than_its_capacity),
        cmocka_unit_test(the_reserve_fills_slowly_and_only_itself),
        cmocka_unit_test(looking_often_does_not_slow_the_filling),
        cmocka_unit_test(options_out_of_range_are_refused),
        cmocka_unit_test(threads_together_stay_within_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
