// The circuit breaker under a clock of the test's own.
#include "policy/breaker.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/memory.h"

enum { THREADS = 4, CALLS = 300 };

static const dx_nanos T0 = 1000 * DX_SECOND;
static const dx_nanos MS = DX_MILLISECOND;

static char changes[64]; // "CO": from closed to open
static size_t change_count;
static uint64_t last_number;

static void note(dx_breaker_state from, dx_breaker_state to, uint64_t number, dx_nanos now, void *ctx) {
    (void)now;
    (void)ctx;
    assert_true(number > last_number);
    last_number = number;
    changes[change_count++] = "COH"[from];
    changes[change_count++] = "COH"[to];
    changes[change_count] = 0;
}

static dx_breaker_options options(void) {
    dx_breaker_options options = DX_BREAKER_OPTIONS_INIT;
    options.changed = note;
    changes[0] = 0;
    change_count = 0;
    last_number = 0;
    return options;
}

static dx_breaker *made(const dx_breaker_options *options) {
    dx_breaker *breaker;
    assert_int_equal(dx_breaker_create(&breaker, options), DX_OK);
    return breaker;
}

// Sends `count` calls, all with this outcome; how many were allowed.
static int calls(dx_breaker *breaker, int count, dx_breaker_outcome outcome, dx_nanos now) {
    dx_breaker_ticket ticket;
    dx_nanos wait;
    int allowed = 0;
    for (int i = 0; i < count; i++) {
        if (dx_breaker_allow(breaker, &ticket, now, &wait) != DX_OK) continue;
        allowed++;
        dx_breaker_report(breaker, ticket, outcome, MS, now);
    }
    return allowed;
}

static dx_breaker_state state_of(dx_breaker *breaker, dx_nanos now) {
    dx_breaker_stats stats;
    dx_breaker_stats_read(breaker, &stats, now);
    return stats.state;
}

static dx_nanos refused_for(dx_breaker *breaker, dx_nanos now) {
    dx_breaker_ticket ticket;
    dx_nanos wait;
    assert_int_equal(dx_breaker_allow(breaker, &ticket, now, &wait), DX_UNAVAILABLE);
    return wait;
}

static void it_opens_when_the_share_of_failures_is_reached(void **state) {
    (void)state;
    dx_breaker_options with = options();
    dx_breaker *breaker = made(&with);
    assert_int_equal(calls(breaker, 11, DX_BREAKER_WELL, T0), 11);
    assert_int_equal(calls(breaker, 10, DX_BREAKER_FAILED, T0), 10); // 10 of 21
    assert_int_equal(state_of(breaker, T0), DX_BREAKER_CLOSED);
    assert_int_equal(calls(breaker, 10, DX_BREAKER_FAILED, T0), 1); // 11 of 22
    assert_int_equal(state_of(breaker, T0), DX_BREAKER_OPEN);
    assert_int_equal(refused_for(breaker, T0 + DX_SECOND), 4 * DX_SECOND);
    dx_breaker_stats stats;
    dx_breaker_stats_read(breaker, &stats, T0);
    assert_int_equal(stats.opened, 1);
    assert_int_equal(stats.rejected, 10);
    assert_int_equal(stats.open_until, T0 + 5 * DX_SECOND);
    assert_string_equal(changes, "CO");
    dx_breaker_destroy(breaker);
}

static void few_calls_say_nothing(void **state) {
    (void)state;
    dx_breaker_options with = options();
    dx_breaker *breaker = made(&with);
    assert_int_equal(calls(breaker, 5, DX_BREAKER_CANCELLED, T0), 5); // these least of all
    assert_int_equal(calls(breaker, 19, DX_BREAKER_FAILED, T0), 19);
    assert_int_equal(state_of(breaker, T0), DX_BREAKER_CLOSED);
    assert_int_equal(calls(breaker, 2, DX_BREAKER_FAILED, T0), 1);
    dx_breaker_destroy(breaker);
}

static void what_is_older_than_the_window_is_forgotten(void **state) {
    (void)state;
    dx_breaker_options with = options();
    dx_breaker *breaker = made(&with);
    dx_breaker_stats stats;
    assert_int_equal(calls(breaker, 19, DX_BREAKER_FAILED, T0), 19);
    dx_breaker_stats_read(breaker, &stats, T0 + 9 * DX_SECOND);
    assert_int_equal(stats.failures, 19);
    dx_breaker_stats_read(breaker, &stats, T0 + 10 * DX_SECOND);
    assert_int_equal(stats.failures, 0);
    assert_int_equal(calls(breaker, 19, DX_BREAKER_FAILED, T0 + 10 * DX_SECOND), 19);
    assert_int_equal(calls(breaker, 1, DX_BREAKER_FAILED, T0 + 30 * DX_SECOND), 1);
    assert_int_equal(calls(breaker, 18, DX_BREAKER_FAILED, T0 + 20 * DX_SECOND), 18); // a clock that is behind counts as now
    assert_int_equal(calls(breaker, 2, DX_BREAKER_FAILED, T0 + 31 * DX_SECOND), 1);
    dx_breaker_destroy(breaker);
}

static void a_few_probes_decide(void **state) {
    (void)state;
    dx_breaker_options with = options();
    dx_breaker *breaker = made(&with);
    dx_breaker_ticket tickets[3], more;
    dx_nanos wait, now = T0 + 5 * DX_SECOND;
    assert_int_equal(calls(breaker, 99, DX_BREAKER_FAILED, T0), 20);
    assert_int_equal(refused_for(breaker, now - 1), 1);
    for (int i = 0; i < 3; i++) assert_int_equal(dx_breaker_allow(breaker, &tickets[i], now, &wait), DX_OK);
    assert_int_equal(refused_for(breaker, now + DX_SECOND), 4 * DX_SECOND);
    dx_breaker_report(breaker, tickets[0], DX_BREAKER_WELL, MS, now);
    assert_int_equal(refused_for(breaker, now), 5 * DX_SECOND); // three in all, not three at a time
    dx_breaker_report(breaker, tickets[1], DX_BREAKER_CANCELLED, MS, now);
    assert_int_equal(dx_breaker_allow(breaker, &more, now, &wait), DX_OK); // its place is given back
    dx_breaker_report(breaker, tickets[2], DX_BREAKER_WELL, MS, now);
    assert_int_equal(state_of(breaker, now), DX_BREAKER_HALF_OPEN);
    dx_breaker_report(breaker, more, DX_BREAKER_WELL, MS, now);
    assert_int_equal(state_of(breaker, now), DX_BREAKER_CLOSED);
    assert_int_equal(calls(breaker, 19, DX_BREAKER_FAILED, now), 19); // counted from nothing
    assert_string_equal(changes, "COOHHC");
    dx_breaker_destroy(breaker);
}

static void each_opening_that_follows_lasts_longer_up_to_the_cap(void **state) {
    (void)state;
    static const int seconds[] = {5, 10, 20, 40, 60, 60};
    dx_breaker_options with = options();
    with.changed = NULL;
    dx_breaker *breaker = made(&with);
    dx_nanos now = T0;
    assert_int_equal(calls(breaker, 99, DX_BREAKER_FAILED, now), 20);
    for (size_t i = 0; i < DX_COUNT_OF(seconds); i++) {
        assert_int_equal(refused_for(breaker, now), seconds[i] * DX_SECOND);
        now += seconds[i] * DX_SECOND;
        assert_int_equal(calls(breaker, 9, DX_BREAKER_FAILED, now), 1); // the first probe
    }
    now += 60 * DX_SECOND;
    assert_int_equal(calls(breaker, 3, DX_BREAKER_WELL, now), 3);
    assert_int_equal(calls(breaker, 99, DX_BREAKER_FAILED, now + 9 * DX_SECOND), 20); // soon again
    assert_int_equal(refused_for(breaker, now + 9 * DX_SECOND), 60 * DX_SECOND);
    now += 69 * DX_SECOND;
    assert_int_equal(calls(breaker, 3, DX_BREAKER_WELL, now), 3);
    assert_int_equal(calls(breaker, 99, DX_BREAKER_FAILED, now + 10 * DX_SECOND), 20); // after a good while
    assert_int_equal(refused_for(breaker, now + 10 * DX_SECOND), 5 * DX_SECOND);
    dx_breaker_destroy(breaker);
}

static void reports_from_before_change_nothing(void **state) {
    (void)state;
    dx_breaker_options with = options();
    dx_breaker *breaker = made(&with);
    dx_breaker_ticket before, probe;
    dx_nanos wait, now = T0 + 5 * DX_SECOND;
    assert_int_equal(dx_breaker_allow(breaker, &before, T0, &wait), DX_OK);
    assert_int_equal(calls(breaker, 99, DX_BREAKER_FAILED, T0), 20);
    assert_int_equal(dx_breaker_allow(breaker, &probe, now, &wait), DX_OK);
    dx_breaker_report(breaker, before, DX_BREAKER_FAILED, MS, now); // its failure is the old trouble
    assert_int_equal(state_of(breaker, now), DX_BREAKER_HALF_OPEN);
    dx_breaker_report(breaker, probe, DX_BREAKER_FAILED, MS, now);
    assert_int_equal(state_of(breaker, now), DX_BREAKER_OPEN);
    dx_breaker_report(breaker, probe, DX_BREAKER_WELL, MS, now);
    dx_breaker_report(breaker, before, DX_BREAKER_WELL, MS, now);
    assert_int_equal(state_of(breaker, now), DX_BREAKER_OPEN);
    dx_breaker_destroy(breaker);
}

static void lost_probes_do_not_keep_it_half_open(void **state) {
    (void)state;
    dx_breaker_options with = options();
    dx_breaker *breaker = made(&with);
    dx_breaker_ticket lost = 0;
    dx_nanos wait, now = T0 + 5 * DX_SECOND;
    assert_int_equal(calls(breaker, 99, DX_BREAKER_FAILED, T0), 20);
    for (int i = 0; i < 3; i++) assert_int_equal(dx_breaker_allow(breaker, &lost, now, &wait), DX_OK);
    assert_int_equal(refused_for(breaker, now + 5 * DX_SECOND - 1), 1);
    assert_int_equal(calls(breaker, 2, DX_BREAKER_WELL, now + 5 * DX_SECOND), 2);
    dx_breaker_report(breaker, lost, DX_BREAKER_FAILED, MS, now + 5 * DX_SECOND); // found again, too late
    assert_int_equal(calls(breaker, 1, DX_BREAKER_WELL, now + 5 * DX_SECOND), 1);
    assert_int_equal(state_of(breaker, now + 5 * DX_SECOND), DX_BREAKER_CLOSED);
    assert_string_equal(changes, "COOHHC");
    dx_breaker_destroy(breaker);
}

static void slow_answers_count_when_asked_for(void **state) {
    (void)state;
    dx_breaker_options with = options();
    with.slow_from = 100 * MS;
    with.slow_thousandths = 900;
    dx_breaker *breaker = made(&with);
    dx_breaker_ticket ticket;
    dx_nanos wait;
    for (int i = 0; i < 20; i++) {
        assert_int_equal(dx_breaker_allow(breaker, &ticket, T0, &wait), DX_OK);
        dx_breaker_report(breaker, ticket, DX_BREAKER_WELL, i < 2 ? 100 * MS - 1 : 100 * MS, T0);
    }
    assert_int_equal(state_of(breaker, T0), DX_BREAKER_OPEN);
    assert_int_equal(dx_breaker_allow(breaker, &ticket, T0 + 5 * DX_SECOND, &wait), DX_OK);
    dx_breaker_report(breaker, ticket, DX_BREAKER_WELL, DX_SECOND, T0 + 5 * DX_SECOND); // a slow probe has not done well
    assert_int_equal(state_of(breaker, T0 + 5 * DX_SECOND), DX_BREAKER_OPEN);
    dx_breaker_destroy(breaker);
}

static void a_reset_closes_it(void **state) {
    (void)state;
    dx_breaker_options with = options();
    dx_breaker *breaker = made(&with);
    assert_int_equal(calls(breaker, 99, DX_BREAKER_FAILED, T0), 20);
    dx_breaker_reset(breaker, T0);
    assert_int_equal(calls(breaker, 19, DX_BREAKER_FAILED, T0), 19);
    dx_breaker_reset(breaker, T0);
    assert_int_equal(calls(breaker, 99, DX_BREAKER_FAILED, T0), 20);
    assert_int_equal(refused_for(breaker, T0), 5 * DX_SECOND); // as the first time
    assert_string_equal(changes, "COOCCO");
    dx_breaker_destroy(breaker);
    dx_breaker_destroy(NULL);
}

static void options_out_of_range_are_refused(void **state) {
    (void)state;
    static const dx_breaker_options good = DX_BREAKER_OPTIONS_INIT;
    dx_breaker_options rows[11];
    for (size_t i = 0; i < DX_COUNT_OF(rows); i++) rows[i] = good;
    rows[0].window = 9;
    rows[1].window = DX_BREAKER_TIME_CAP + 1;
    rows[2].min_calls = 0;
    rows[3].failure_thousandths = 0;
    rows[4].failure_thousandths = 1001;
    rows[5].slow_from = 1;
    rows[6].slow_from = -1;
    rows[7].open_for = 0;
    rows[8].open_max = rows[8].open_for - 1;
    rows[9].probes = 0;
    rows[10].open_max = DX_BREAKER_TIME_CAP + 1;
    dx_breaker *breaker;
    for (size_t i = 0; i < DX_COUNT_OF(rows); i++) {
        if (dx_breaker_create(&breaker, &rows[i]) != DX_INVALID) fail_msg("row %zu was taken", i);
    }
    dx_memory_fail_at(1, false);
    assert_int_equal(dx_breaker_create(&breaker, &good), DX_NO_MEMORY);
    assert_true(dx_memory_fail_stop());
}

static _Atomic(dx_nanos) now_shared;
static atomic_int arrived, allowed_count;

static void arrive(int of) {
    (void)atomic_fetch_add(&arrived, 1);
    while (atomic_load(&arrived) < of) (void)sched_yield();
}

static void run(dx_breaker *breaker, void *(*body)(void *)) {
    pthread_t threads[THREADS];
    atomic_store(&arrived, 0);
    for (int i = 0; i < THREADS; i++) assert_int_equal(pthread_create(&threads[i], NULL, body, breaker), 0);
    for (int i = 0; i < THREADS; i++) (void)pthread_join(threads[i], NULL);
}

// All at the same moment; what is allowed is reported when all have asked.
static void *ask_for_a_probe(void *ctx) {
    dx_breaker_ticket tickets[CALLS], ticket;
    dx_nanos wait, now = atomic_load(&now_shared);
    int mine = 0;
    arrive(THREADS);
    for (int i = 0; i < 100; i++) {
        if (dx_breaker_allow(ctx, &ticket, now, &wait) == DX_OK && mine < CALLS) tickets[mine++] = ticket;
    }
    (void)atomic_fetch_add(&allowed_count, mine);
    arrive(THREADS * 2);
    while (mine) dx_breaker_report(ctx, tickets[--mine], DX_BREAKER_WELL, MS, now);
    return NULL;
}

static void threads_together_get_no_more_probes_than_allowed(void **state) {
    (void)state;
    dx_breaker_options with = options();
    with.changed = NULL;
    dx_breaker *breaker = made(&with);
    for (int round = 0; round < 50; round++) {
        dx_nanos now = T0 + round * 1000 * DX_SECOND;
        assert_int_equal(calls(breaker, 99, DX_BREAKER_FAILED, now), 20);
        atomic_store(&allowed_count, 0);
        atomic_store(&now_shared, now + 5 * DX_SECOND);
        run(breaker, ask_for_a_probe);
        assert_int_equal(atomic_load(&allowed_count), 3);
        assert_int_equal(state_of(breaker, now + 5 * DX_SECOND), DX_BREAKER_CLOSED);
    }
    dx_breaker_destroy(breaker);
}

static void *call_a_bad_one(void *ctx) {
    dx_breaker_ticket ticket;
    dx_nanos wait;
    arrive(THREADS);
    for (int i = 0; i < CALLS * 100; i++) {
        dx_nanos now = atomic_fetch_add(&now_shared, MS);
        if (dx_breaker_allow(ctx, &ticket, now, &wait) == DX_OK) dx_breaker_report(ctx, ticket, (dx_breaker_outcome)(i % 3), MS, now);
    }
    return NULL;
}

static void threads_share_all_of_its_states(void **state) {
    (void)state;
    dx_breaker_options with = options();
    with.changed = NULL;
    with.failure_thousandths = 100;
    with.open_for = with.open_max = 50 * MS;
    with.window = 100 * MS;
    with.probes = 1;
    dx_breaker *breaker = made(&with);
    dx_breaker_stats stats;
    atomic_store(&now_shared, T0);
    run(breaker, call_a_bad_one);
    dx_breaker_stats_read(breaker, &stats, atomic_load(&now_shared));
    assert_true(stats.opened > 10 && stats.rejected > 100);
    dx_breaker_destroy(breaker);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_opens_when_the_share_of_failures_is_reached),
        cmocka_unit_test(few_calls_say_nothing),
        cmocka_unit_test(what_is_older_than_the_window_is_forgotten),
        cmocka_unit_test(a_few_probes_decide),
        cmocka_unit_test(each_opening_that_follows_lasts_longer_up_to_the_cap),
        cmocka_unit_test(reports_from_before_change_nothing),
        cmocka_unit_test(lost_probes_do_not_keep_it_half_open),
        cmocka_unit_test(slow_answers_count_when_asked_for),
        cmocka_unit_test(a_reset_closes_it),
        cmocka_unit_test(options_out_of_range_are_refused),
        cmocka_unit_test(threads_together_get_no_more_probes_than_allowed),
        cmocka_unit_test(threads_share_all_of_its_states),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
