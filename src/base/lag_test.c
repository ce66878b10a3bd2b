// How long a queue makes wait: by one thread, and while two look and enter at once.
#include "base/lag.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

enum { ROUNDS = 200000 };

static const dx_nanos now = 1000 * DX_SECOND;

static void a_queue_is_as_slow_as_its_last_wait_or_as_it_is_stuck(void **state) {
    (void)state;
    dx_lag lag = {0};
    assert_int_equal(dx_lag_of(&lag, 50), 0);
    assert_int_equal(dx_lag_enter(&lag, 100), 0);
    assert_int_equal(dx_lag_of(&lag, 130), 30); // nothing was begun since
    assert_int_equal(dx_lag_enter(&lag, 110), 1);
    dx_lag_begin(&lag, 100, 200);
    assert_int_equal(dx_lag_of(&lag, 201), 100);
    assert_int_equal(dx_lag_of(&lag, 500), 300);
    dx_lag_begin(&lag, 110, 500);
    assert_int_equal(dx_lag_of(&lag, 900), 0); // nobody waits
    assert_int_equal(dx_lag_enter(&lag, 1000), 0);
    assert_int_equal(dx_lag_of(&lag, 1001), 1); // what was is forgotten
}

typedef struct racing {
    dx_lag lags[ROUNDS];
    atomic_int round;
} racing;

static void *enter_each(void *ctx) {
    racing *race = ctx;
    for (int i = 0; i < ROUNDS; i++) {
        atomic_store(&race->round, i);
        (void)dx_lag_enter(&race->lags[i], now);
    }
    return NULL;
}

// A queue that was empty for long is not taken for a slow one by whoever looks while its first one enters.
static void nobody_sees_a_first_one_that_waits_since_long_ago(void **state) {
    (void)state;
    racing *race = calloc(1, sizeof *race);
    assert_non_null(race);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, enter_each, race), 0);
    dx_nanos worst = 0;
    for (int i = 0; i < ROUNDS; i = atomic_load(&race->round)) {
        dx_nanos lag = dx_lag_of(&race->lags[i], now);
        if (lag > worst) worst = lag;
        if (i == ROUNDS - 1) break;
    }
    (void)pthread_join(thread, NULL);
    free(race);
    assert_int_equal(worst, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_queue_is_as_slow_as_its_last_wait_or_as_it_is_stuck),
        cmocka_unit_test(nobody_sees_a_first_one_that_waits_since_long_ago),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
