// The histogram against sorted lists of what was counted, and counted in by many threads.
#include "base/histogram.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/compiler.h"

enum { VALUES = 20000, THREADS = 4, EACH = 1000000 };

static const dx_nanos HOUR = 3600 * DX_SECOND;
static const double PERCENTS[] = {0, 0.1, 1, 25, 50, 75, 90, 95, 99, 99.9, 99.99, 100};

static uint64_t seed = 88172645463325252u;

static uint64_t draw(void) { // xorshift: the same on every run
    seed ^= seed << 13;
    seed ^= seed >> 7;
    return seed ^= seed << 17;
}

static int by_value(const void *a, const void *b) {
    dx_nanos x = *(const dx_nanos *)a, y = *(const dx_nanos *)b;
    return (x > y) - (x < y);
}

static void near(dx_nanos value, dx_nanos exact) {
    dx_nanos off = value > exact ? value - exact : exact - value;
    if (off > exact / 32 + 1) fail_msg("%lld instead of %lld", (long long)value, (long long)exact);
}

static dx_nanos uniform(void) {
    return DX_MICROSECOND + (dx_nanos)(draw() % (uint64_t)(2 * DX_SECOND));
}
static dx_nanos over_all_magnitudes(void) {
    return DX_MICROSECOND + (dx_nanos)(draw() % ((uint64_t)DX_MICROSECOND << draw() % 32)) % (HOUR - DX_MICROSECOND);
}
static dx_nanos mostly_fast(void) {
    return draw() % 100 ? 200 * DX_MICROSECOND + (dx_nanos)(draw() % 1000) : 3 * DX_SECOND;
}

static void percentiles_are_the_exact_ones_within_a_32nd(void **state) {
    (void)state;
    static dx_nanos values[VALUES];
    dx_nanos (*const shapes[])(void) = {uniform, over_all_magnitudes, mostly_fast};
    for (size_t shape = 0; shape < DX_COUNT_OF(shapes); shape++) {
        dx_histogram histogram = {0};
        uint64_t sum = 0;
        for (size_t i = 0; i < VALUES; i++) {
            values[i] = shapes[shape]();
            sum += (uint64_t)values[i];
            dx_histogram_record(&histogram, values[i]);
        }
        qsort(values, VALUES, sizeof *values, by_value);
        for (size_t i = 0; i < DX_COUNT_OF(PERCENTS); i++) {
            size_t rank = (size_t)(PERCENTS[i] * 10000 + 0.5) * VALUES; // in millionths
            rank = (rank + 999999) / 1000000;
            near(dx_histogram_percentile(&histogram, PERCENTS[i]), values[rank ? rank - 1 : 0]);
        }
        assert_int_equal(dx_histogram_count(&histogram), VALUES);
        assert_int_equal(dx_histogram_sum(&histogram), sum);
        assert_int_equal(dx_histogram_min(&histogram), values[0]);
        assert_int_equal(dx_histogram_max(&histogram), values[VALUES - 1]);
    }
}

// Each value by itself, beside two that keep the ends from helping.
static void every_value_from_a_microsecond_to_an_hour_is_told_within_a_32nd(void **state) {
    (void)state;
    for (dx_nanos value = DX_MICROSECOND; value <= HOUR; value += value / 57 + 1) {
        dx_histogram histogram = {0};
        dx_histogram_record(&histogram, 0);
        dx_histogram_record(&histogram, value);
        dx_histogram_record(&histogram, 2 * HOUR);
        near(dx_histogram_percentile(&histogram, 50), value);
    }
    dx_histogram histogram = {0};
    dx_histogram_record(&histogram, 0);
    dx_histogram_record(&histogram, HOUR);
    dx_histogram_record(&histogram, 2 * HOUR);
    near(dx_histogram_percentile(&histogram, 50), HOUR);
}

static void ranks_are_the_nearest(void **state) {
    (void)state;
    dx_histogram histogram = {0};
    assert_int_equal(dx_histogram_percentile(&histogram, 50), 0);
    assert_int_equal(dx_histogram_min(&histogram), 0);
    for (int i = 0; i < 95; i++) dx_histogram_record(&histogram, DX_MILLISECOND);
    for (int i = 0; i < 5; i++) dx_histogram_record(&histogram, DX_SECOND);
    near(dx_histogram_percentile(&histogram, 95), DX_MILLISECOND);
    near(dx_histogram_percentile(&histogram, 95.01), DX_SECOND);
    assert_int_equal(dx_histogram_percentile(&histogram, -1), dx_histogram_percentile(&histogram, 0));
    near(dx_histogram_percentile(&histogram, 1000), DX_SECOND);
}

static void what_is_out_of_range_is_counted_at_the_ends(void **state) {
    (void)state;
    dx_histogram histogram = {0};
    dx_histogram_record(&histogram, -5);
    dx_histogram_record(&histogram, INT64_MAX);
    assert_int_equal(dx_histogram_count(&histogram), 2);
    assert_int_equal(dx_histogram_min(&histogram), 0);
    assert_int_equal(dx_histogram_max(&histogram), INT64_MAX - 1);
    near(dx_histogram_percentile(&histogram, 100), HOUR);
}

static void cumulated_counts_grow_to_the_whole(void **state) {
    (void)state;
    static const dx_nanos BOUNDS[] = {500, 5 * DX_MILLISECOND, 50 * DX_MILLISECOND, DX_SECOND, 100 * HOUR};
    dx_histogram histogram = {0};
    uint64_t counts[DX_COUNT_OF(BOUNDS)];
    for (int i = 1; i <= 1000; i++) dx_histogram_record(&histogram, i * DX_MILLISECOND / 10); // 0.1 to 100 ms
    dx_histogram_cumulate(&histogram, BOUNDS, DX_COUNT_OF(BOUNDS), counts);
    assert_int_equal(counts[0], 0);
    assert_in_range(counts[1], 48, 52);
    assert_in_range(counts[2], 484, 516);
    assert_int_equal(counts[3], 1000);
    assert_int_equal(counts[4], 1000);
}

static void merging_and_resetting_lose_nothing(void **state) {
    (void)state;
    dx_histogram a = {0}, b = {0}, sum = {0}, copy;
    dx_histogram_record(&a, DX_MILLISECOND);
    dx_histogram_record(&b, DX_MICROSECOND);
    dx_histogram_record(&b, DX_SECOND);
    dx_histogram_merge(&sum, &a);
    dx_histogram_merge(&sum, &b);
    dx_histogram_snapshot(&copy, &sum);
    assert_int_equal(dx_histogram_count(&copy), 3);
    assert_int_equal(dx_histogram_min(&copy), DX_MICROSECOND);
    assert_int_equal(dx_histogram_max(&copy), DX_SECOND);
    assert_int_equal(dx_histogram_sum(&copy), DX_MICROSECOND + DX_MILLISECOND + DX_SECOND);
    dx_histogram_reset(&sum, &a);
    assert_int_equal(dx_histogram_count(&sum), 0);
    assert_int_equal(dx_histogram_max(&sum), 0);
    assert_int_equal(dx_histogram_count(&a), 4);
    assert_int_equal(dx_histogram_min(&a), DX_MICROSECOND);
    dx_histogram_reset(&a, NULL);
    assert_int_equal(dx_histogram_count(&a), 0);
    dx_histogram_merge(&a, &sum); // an empty one adds no least
    assert_int_equal(dx_histogram_min(&a), 0);
    dx_histogram_record(&a, 7);
    dx_histogram_merge(&a, &sum);
    assert_int_equal(dx_histogram_min(&a), 7);
}

static atomic_int arrived; // so that the threads run together

static void *record_many(void *ctx) {
    atomic_fetch_add(&arrived, 1);
    while (atomic_load(&arrived) < THREADS) (void)sched_yield();
    for (int i = 1; i <= EACH; i++) dx_histogram_record(ctx, i * DX_MICROSECOND);
    return NULL;
}

static void nothing_is_lost_between_threads(void **state) {
    (void)state;
    dx_histogram histogram = {0}, drained = {0};
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) assert_int_equal(pthread_create(&threads[i], NULL, record_many, &histogram), 0);
    for (int i = 0; i < 100; i++) dx_histogram_reset(&histogram, &drained);
    for (int i = 0; i < THREADS; i++) (void)pthread_join(threads[i], NULL);
    dx_histogram_reset(&histogram, &drained);
    assert_int_equal(dx_histogram_count(&drained), THREADS * EACH);
    assert_int_equal(dx_histogram_sum(&drained), (uint64_t)THREADS * EACH * (EACH + 1) / 2 * 1000);
    assert_int_equal(dx_histogram_max(&drained), EACH * DX_MICROSECOND);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(percentiles_are_the_exact_ones_within_a_32nd),
        cmocka_unit_test(every_value_from_a_microsecond_to_an_hour_is_told_within_a_32nd),
        cmocka_unit_test(ranks_are_the_nearest),
        cmocka_unit_test(what_is_out_of_range_is_counted_at_the_ends),
        cmocka_unit_test(cumulated_counts_grow_to_the_whole),
        cmocka_unit_test(merging_and_resetting_lose_nothing),
        cmocka_unit_test(nothing_is_lost_between_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
