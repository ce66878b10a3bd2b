// The table of limits: by key, capped, and what is given up when it is full.
#include "policy/limits.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/memory.h"

enum { THREADS = 4, ROUNDS = 20000 };

static const dx_nanos T0 = 1000 * DX_SECOND;
static const dx_limit_options OPTIONS = {.max_requests = 10, .window = DX_SECOND, .burst = 2};

static dx_limit *got(dx_limits *limits, const char *key, dx_nanos now) {
    dx_limit *limit;
    assert_int_equal(dx_limits_get(&limit, limits, dx_slice_str(key), &OPTIONS, now), DX_OK);
    return limit;
}

static void use_up(dx_limits *limits, const char *key, dx_nanos now) {
    dx_limit *limit = got(limits, key, now);
    while (dx_limit_try(limit, 1, now, NULL) == DX_OK) {
    }
    dx_limit_release(limit);
}

static uint32_t available(dx_limits *limits, const char *key, dx_nanos now) {
    dx_limit *limit = got(limits, key, now);
    uint32_t tokens = dx_limit_available(limit, now);
    dx_limit_release(limit);
    return tokens;
}

static void each_key_has_its_own_limit(void **state) {
    (void)state;
    dx_limits *limits;
    assert_int_equal(dx_limits_create(&limits, 1000), DX_OK);
    use_up(limits, "a", T0);
    assert_int_equal(available(limits, "a", T0), 0);
    assert_int_equal(available(limits, "b", T0), 2);
    assert_int_equal(available(limits, "", T0), 2);
    dx_limits_stats stats;
    dx_limits_stats_read(limits, &stats);
    assert_int_equal(stats.count, 3);
    dx_limit *held = got(limits, "a", T0);
    dx_limits_destroy(limits);
    assert_int_equal(dx_limit_available(held, T0), 0); // it lives on
    dx_limit_release(held);
}

static void idle_ones_go_first_then_the_oldest_never_a_held_one(void **state) {
    (void)state;
    dx_limits *limits;
    dx_limits_stats stats;
    assert_int_equal(dx_limits_create(&limits, 3), DX_OK);
    use_up(limits, "oldest", T0);
    dx_limit *idle = got(limits, "idle", T0);
    dx_limit_release(idle);
    use_up(limits, "third", T0);
    use_up(limits, "fourth", T0); // "idle" goes, though "oldest" is older
    dx_limits_stats_read(limits, &stats);
    assert_int_equal(stats.evicted, 1);
    assert_int_equal(available(limits, "oldest", T0), 0); // and is now the newest
    use_up(limits, "fifth", T0);                          // "third" is forgotten
    dx_limits_stats_read(limits, &stats);
    assert_int_equal(stats.forgotten, 1);
    assert_int_equal(available(limits, "oldest", T0), 0);
    assert_int_equal(available(limits, "fourth", T0), 0);
    dx_limit *held[] = {got(limits, "oldest", T0), got(limits, "fourth", T0), got(limits, "fifth", T0)}, *none;
    assert_int_equal(dx_limits_get(&none, limits, DX_SLICE("sixth"), &OPTIONS, T0), DX_OVERLOADED);
    assert_null(none);
    dx_limit_release(held[1]);
    assert_int_equal(available(limits, "sixth", T0), 2);
    dx_limits_stats_read(limits, &stats);
    assert_int_equal(stats.count, 3);
    assert_int_equal(stats.made, 6);
    dx_limit_release(held[0]);
    dx_limit_release(held[2]);
    dx_limits_destroy(limits);
}

static void what_cannot_be_made_is_refused(void **state) {
    (void)state;
    static char long_key[DX_LIMITS_KEY_CAP + 1];
    static const dx_limit_options wrong = {0};
    dx_limits *limits;
    dx_limit *limit = NULL;
    assert_int_equal(dx_limits_create(&limits, 0), DX_INVALID);
    assert_int_equal(dx_limits_create(&limits, DX_LIMITS_CAP + 1), DX_INVALID);
    for (uint64_t n = 1;; n++) {
        dx_memory_fail_at(n, false);
        dx_status status = dx_limits_create(&limits, 1000);
        if (status == DX_OK) status = dx_limits_get(&limit, limits, DX_SLICE("key"), &OPTIONS, T0);
        if (!dx_memory_fail_stop()) break;
        assert_int_equal(status, DX_NO_MEMORY);
        dx_limits_destroy(limits);
    }
    dx_limit_release(limit);
    assert_int_equal(dx_limits_get(&limit, limits, DX_SLICE("wrong"), &wrong, T0), DX_INVALID);
    assert_int_equal(dx_limits_get(&limit, limits, dx_slice_of(long_key, DX_LIMITS_KEY_CAP + 1), &OPTIONS, T0), DX_INVALID);
    assert_int_equal(dx_limits_get(&limit, limits, dx_slice_of(long_key, DX_LIMITS_KEY_CAP), &OPTIONS, T0), DX_OK);
    dx_limit_release(limit);
    dx_limits_destroy(limits);
}

static void count_one(dx_slice key, dx_limit *limit, void *ctx) {
    size_t *count = ctx;
    assert_true(key.size > 0 && limit);
    (*count)++;
}

static void *ask(void *ctx) {
    char key[32];
    for (int i = 0; i < ROUNDS; i++) {
        (void)snprintf(key, sizeof key, "key %d", i * 7 % 300);
        dx_limit *limit;
        if (dx_limits_get(&limit, ctx, dx_slice_str(key), &OPTIONS, T0 + i) != DX_OK) continue;
        (void)!dx_limit_try(limit, 1, T0 + i, NULL);
        dx_limit_release(limit);
    }
    return NULL;
}

static void threads_share_a_table_that_never_grows_past_its_cap(void **state) {
    (void)state;
    dx_limits *limits;
    dx_limits_stats stats;
    pthread_t threads[THREADS];
    size_t count = 0;
    assert_int_equal(dx_limits_create(&limits, 160), DX_OK);
    for (int i = 0; i < THREADS; i++) assert_int_equal(pthread_create(&threads[i], NULL, ask, limits), 0);
    for (int i = 0; i < THREADS; i++) (void)pthread_join(threads[i], NULL);
    dx_limits_stats_read(limits, &stats);
    assert_in_range(stats.count, 100, 160);
    assert_int_equal(stats.made, stats.count + stats.evicted + stats.forgotten);
    dx_limits_each(limits, count_one, &count);
    assert_int_equal(count, stats.count);
    dx_limits_destroy(limits);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_key_has_its_own_limit),
        cmocka_unit_test(idle_ones_go_first_then_the_oldest_never_a_held_one),
        cmocka_unit_test(what_cannot_be_made_is_refused),
        cmocka_unit_test(threads_share_a_table_that_never_grows_past_its_cap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
