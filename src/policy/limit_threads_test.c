// The limit shared by threads: never more than its promise, each waiter told once, blocked threads woken.
#include "policy/limit.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/compiler.h"

enum { THREADS = 4, TRIES = 40000, WAITERS = 8, ROUNDS = 4000, BUCKET = 3000000 };

static const dx_nanos T0 = 1000 * DX_SECOND;

static dx_limit *made(uint32_t max_requests, dx_nanos window, uint32_t burst) {
    dx_limit_options options = DX_LIMIT_OPTIONS_INIT;
    options.max_requests = max_requests;
    options.window = window;
    options.burst = burst;
    dx_limit *limit;
    assert_int_equal(dx_limit_create(&limit, &options), DX_OK);
    return limit;
}

typedef struct shared {
    dx_limit *limit;
    _Atomic(dx_nanos) now; // the threads' own clock
    atomic_int arrived, ended;
    atomic_ullong taken;
} shared;

static void arrive(shared *all) {
    atomic_fetch_add(&all->arrived, 1);
    while (atomic_load(&all->arrived) < THREADS) (void)sched_yield();
}

static void run(shared *all, void *(*body)(void *)) {
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) assert_int_equal(pthread_create(&threads[i], NULL, body, all), 0);
    for (int i = 0; i < THREADS; i++) (void)pthread_join(threads[i], NULL);
}

static void *try_often(void *ctx) {
    shared *all = ctx;
    unsigned long long taken = 0;
    arrive(all);
    for (int i = 0; i < TRIES; i++) {
        dx_nanos now = atomic_fetch_add(&all->now, 100);
        uint32_t n = 1 + (uint32_t)i % 3;
        if (dx_limit_try(all->limit, n, now, NULL) == DX_OK) taken += n;
    }
    atomic_fetch_add(&all->taken, taken);
    return NULL;
}

static void threads_together_get_the_rate_and_no_more(void **state) {
    (void)state;
    shared all = {.limit = made(1000000, DX_SECOND, 50)};
    atomic_init(&all.now, T0);
    run(&all, try_often);
    uint64_t passed = THREADS * TRIES * 100 / 1000; // tokens in that time
    assert_in_range(atomic_load(&all.taken), passed, passed + 50);
    dx_limit_release(all.limit);
}

static void *take_all(void *ctx) {
    shared *all = ctx;
    unsigned long long taken = 0;
    arrive(all);
    while (dx_limit_try(all->limit, 1, T0, NULL) == DX_OK) taken++;
    atomic_fetch_add(&all->taken, taken);
    return NULL;
}

// At one moment, so that every step is a race for the same word and a lost one shows.
static void a_full_bucket_is_shared_out_to_the_token(void **state) {
    (void)state;
    shared all = {.limit = made(BUCKET, DX_SECOND, BUCKET)};
    run(&all, take_all);
    assert_int_equal(atomic_load(&all.taken), BUCKET);
    dx_limit_release(all.limit);
}

static void *change_often(void *ctx) {
    shared *all = ctx;
    unsigned long long taken = 0;
    unsigned me = (unsigned)atomic_load(&all->arrived);
    arrive(all);
    for (int i = 0; i < TRIES; i++) {
        dx_nanos now = atomic_fetch_add(&all->now, 100);
        if (i % 64 == (int)me) {
            // Two shapes of at most the same rate and burst.
            assert_int_equal(dx_limit_update(all->limit, i % 128 < 64 ? 500000 : 1000000, DX_SECOND, 50, now), DX_OK);
        } else if (i % 64 == (int)me + 16) {
            dx_limit_observe(all->limit, 0, 20, now + 50 * DX_MICROSECOND, now);
        } else if (i % 64 == (int)me + 32) {
            dx_limit_pause_until(all->limit, now + 3000, now);
        } else if (dx_limit_try(all->limit, 1, now, NULL) == DX_OK) {
            taken++;
        }
    }
    atomic_fetch_add(&all->taken, taken);
    return NULL;
}

static void changes_under_way_let_nobody_through(void **state) {
    (void)state;
    shared all = {.limit = made(1000000, DX_SECOND, 50)};
    atomic_init(&all.now, T0);
    run(&all, change_often);
    uint64_t passed = THREADS * TRIES * 100 / 1000;
    assert_true(atomic_load(&all.taken) > 0);
    assert_true(atomic_load(&all.taken) <= passed + 50);
    dx_limit_release(all.limit);
}

typedef struct waiting {
    dx_limit_waiter waiter;
    shared *all;
    atomic_int told; // 0: waits, 1: granted, 2: dismissed
} waiting;

static void told(dx_limit_waiter *waiter, dx_status status) {
    waiting *self = DX_CONTAINER_OF(waiter, waiting, waiter);
    if (status == DX_OK) atomic_fetch_add(&self->all->taken, waiter->n);
    if (atomic_exchange(&self->told, status == DX_OK ? 1 : 2) != 0) abort(); // told twice
}

static void *enter_and_leave(void *ctx) {
    shared *all = ctx;
    waiting waiters[WAITERS];
    arrive(all);
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < WAITERS; i++) {
            dx_nanos now = atomic_fetch_add(&all->now, 1000), wait;
            waiting *self = &waiters[i];
            self->waiter = (dx_limit_waiter){.granted = told};
            self->all = all;
            atomic_init(&self->told, 0);
            dx_nanos deadline = i % 2 ? DX_LIMIT_NEVER : now + 20 * DX_MICROSECOND;
            dx_status status = dx_limit_enter(&wait, all->limit, &self->waiter, 1 + (uint32_t)i % 2, deadline, now);
            if (status == DX_OK && wait == 0) atomic_fetch_add(&all->taken, self->waiter.n);
            if (status != DX_OK || wait == 0) atomic_store(&self->told, 3);
        }
        (void)dx_limit_grant(all->limit, atomic_fetch_add(&all->now, 1000));
        for (int i = 0; i < WAITERS; i++) {
            if (atomic_load(&waiters[i].told) == 3 || dx_limit_leave(all->limit, &waiters[i].waiter)) continue;
            while (atomic_load(&waiters[i].told) == 0) (void)sched_yield();
        }
    }
    return NULL;
}

static void each_waiter_leaves_or_is_told_once(void **state) {
    (void)state;
    shared all = {.limit = made(1000000, DX_SECOND, 10)};
    dx_limit_stats stats;
    atomic_init(&all.now, T0);
    run(&all, enter_and_leave);
    dx_limit_stats_read(all.limit, &stats);
    assert_int_equal(stats.waiting, 0);
    uint64_t passed = (uint64_t)(atomic_load(&all.now) - T0) / 1000;
    assert_true(stats.granted > 0 && atomic_load(&all.taken) <= passed + 10);
    dx_limit_release(all.limit);
}

static uint32_t waiting_now(dx_limit *limit) {
    dx_limit_stats stats;
    dx_limit_stats_read(limit, &stats);
    return stats.waiting;
}

// Each enters under a lock of the test's, which makes the order known; one thread grants, and so is told in order.
static pthread_mutex_t entering = PTHREAD_MUTEX_INITIALIZER;
static uint64_t last_entered, last_granted;

typedef struct numbered {
    waiting base;
    uint64_t number;
} numbered;

static void told_in_order(dx_limit_waiter *waiter, dx_status status) {
    numbered *self = DX_CONTAINER_OF(waiter, numbered, base.waiter);
    if (status != DX_OK || self->number <= last_granted) abort();
    last_granted = self->number;
    told(waiter, status);
}

static void *enter_in_order(void *ctx) {
    shared *all = ctx;
    numbered waiters[WAITERS];
    for (int round = 0; round < ROUNDS / 8; round++) {
        for (int i = 0; i < WAITERS; i++) {
            numbered *self = &waiters[i];
            dx_nanos wait;
            *self = (numbered){.base = {.waiter = {.granted = told_in_order}, .all = all}};
            (void)pthread_mutex_lock(&entering);
            self->number = ++last_entered;
            dx_nanos now = atomic_load(&all->now);
            dx_status status = dx_limit_enter(&wait, all->limit, &self->base.waiter, 1 + (uint32_t)i % 3, DX_LIMIT_NEVER, now);
            if (status != DX_OK || (wait == 0 && waiting_now(all->limit) > 0)) abort(); // past those who wait
            (void)pthread_mutex_unlock(&entering);
            if (wait == 0) atomic_store(&self->base.told, 3);
        }
        (void)!dx_limit_try(all->limit, 1, atomic_load(&all->now), NULL); // it may be in the way, and never passes
        for (int i = 0; i < WAITERS; i++) {
            if (i % 4 == 3 && atomic_load(&waiters[i].base.told) != 3 && dx_limit_leave(all->limit, &waiters[i].base.waiter)) continue;
            while (atomic_load(&waiters[i].base.told) == 0) (void)sched_yield();
        }
    }
    atomic_fetch_add(&all->ended, 1);
    return NULL;
}

static void who_came_first_is_granted_first_whichever_thread_it_is(void **state) {
    (void)state;
    shared all = {.limit = made(1000000, DX_SECOND, 4)};
    pthread_t threads[THREADS];
    atomic_init(&all.now, T0);
    for (int i = 0; i < THREADS; i++) assert_int_equal(pthread_create(&threads[i], NULL, enter_in_order, &all), 0);
    while (atomic_load(&all.ended) < THREADS) (void)dx_limit_grant(all.limit, atomic_fetch_add(&all.now, 500));
    for (int i = 0; i < THREADS; i++) (void)pthread_join(threads[i], NULL);
    dx_limit_stats stats;
    dx_limit_stats_read(all.limit, &stats);
    assert_int_equal(stats.waiting, 0);
    assert_true(stats.waited > 500);
    dx_limit_release(all.limit);
}

static void *block(void *ctx) {
    shared *all = ctx;
    for (int i = 0; i < 50; i++) {
        if (dx_limit_acquire(all->limit, 1, -1) != DX_OK) abort();
        atomic_fetch_add(&all->taken, 1);
    }
    return NULL;
}

static void blocked_threads_all_get_theirs_at_the_rate(void **state) {
    (void)state;
    shared all = {.limit = made(2000, DX_SECOND, 1)};
    dx_nanos begun = dx_clock_monotonic();
    run(&all, block);
    uint64_t most = 1 + (uint64_t)(dx_clock_monotonic() - begun) * 2000 / DX_SECOND;
    assert_int_equal(atomic_load(&all.taken), THREADS * 50);
    assert_true(most >= THREADS * 50);
    dx_limit_release(all.limit);
}

static void *block_once(void *ctx) {
    shared *all = ctx;
    dx_status status = dx_limit_acquire(all->limit, 1, 7200 * DX_SECOND);
    atomic_store(&all->ended, status == DX_OK ? 1 : 2);
    return NULL;
}

static shared *sleepers;

static void check_behind(dx_limit_waiter *waiter, dx_status status) {
    told(waiter, status);
    assert_int_equal(waiting_now(sleepers->limit), 0); // whoever blocks was first
}

// The rate is one an hour: only a change can let them in before the test's time is over.
static void a_blocked_thread_is_woken_by_a_change_before_those_behind_it(void **state) {
    (void)state;
    shared all = {.limit = made(1, 3600 * DX_SECOND, 1)};
    waiting behind = {.waiter = {.granted = check_behind}, .all = &all};
    pthread_t thread;
    dx_nanos wait, now = dx_clock_monotonic();
    sleepers = &all;
    assert_int_equal(dx_limit_try(all.limit, 1, now, NULL), DX_OK);
    assert_int_equal(dx_limit_acquire(all.limit, 1, DX_SECOND), DX_RATE_LIMITED); // at once
    assert_int_equal(pthread_create(&thread, NULL, block_once, &all), 0);
    while (waiting_now(all.limit) == 0) (void)sched_yield();
    assert_int_equal(dx_limit_enter(&wait, all.limit, &behind.waiter, 1, DX_LIMIT_NEVER, now), DX_OK);
    dx_limit_reset(all.limit, dx_clock_monotonic());
    (void)pthread_join(thread, NULL);
    assert_int_equal(atomic_load(&all.ended), 1);
    assert_int_equal(atomic_load(&behind.told), 0);
    dx_limit_reset(all.limit, dx_clock_monotonic());
    assert_int_equal(atomic_load(&behind.told), 1);
    dx_limit_release(all.limit);
}

static void a_thread_that_has_become_first_sleeps_no_longer_than_it_must(void **state) {
    (void)state;
    shared all = {.limit = made(1, 3600 * DX_SECOND, 1)};
    waiting before = {.waiter = {.granted = told}, .all = &all};
    pthread_t thread;
    dx_nanos wait, now = dx_clock_monotonic();
    assert_int_equal(dx_limit_try(all.limit, 1, now, NULL), DX_OK);
    assert_int_equal(dx_limit_enter(&wait, all.limit, &before.waiter, 1, DX_LIMIT_NEVER, now), DX_OK);
    assert_int_equal(pthread_create(&thread, NULL, block_once, &all), 0);
    while (waiting_now(all.limit) < 2) (void)sched_yield();
    assert_int_equal(dx_limit_update(all.limit, 1000, DX_SECOND, 1, dx_clock_monotonic()), DX_OK);
    (void)dx_limit_leave(all.limit, &before.waiter); // or it was granted just now
    (void)pthread_join(thread, NULL);
    assert_int_equal(atomic_load(&all.ended), 1);
    dx_limit_release(all.limit);
}

static void *block_for_two(void *ctx) {
    shared *all = ctx;
    atomic_store(&all->ended, (int)dx_limit_acquire(all->limit, 2, 24 * 3600 * DX_SECOND));
    return NULL;
}

static void a_blocked_thread_is_told_what_it_can_never_get(void **state) {
    (void)state;
    shared all = {.limit = made(1, 3600 * DX_SECOND, 2)};
    pthread_t thread;
    assert_int_equal(dx_limit_try(all.limit, 2, dx_clock_monotonic(), NULL), DX_OK);
    assert_int_equal(pthread_create(&thread, NULL, block_for_two, &all), 0);
    while (waiting_now(all.limit) == 0) (void)sched_yield();
    assert_int_equal(dx_limit_update(all.limit, 1, 3600 * DX_SECOND, 1, dx_clock_monotonic()), DX_OK);
    (void)pthread_join(thread, NULL);
    assert_int_equal(atomic_load(&all.ended), DX_INVALID);
    dx_limit_release(all.limit);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_together_get_the_rate_and_no_more),
        cmocka_unit_test(a_full_bucket_is_shared_out_to_the_token),
        cmocka_unit_test(changes_under_way_let_nobody_through),
        cmocka_unit_test(each_waiter_leaves_or_is_told_once),
        cmocka_unit_test(who_came_first_is_granted_first_whichever_thread_it_is),
        cmocka_unit_test(blocked_threads_all_get_theirs_at_the_rate),
        cmocka_unit_test(a_blocked_thread_is_woken_by_a_change_before_those_behind_it),
        cmocka_unit_test(a_thread_that_has_become_first_sleeps_no_longer_than_it_must),
        cmocka_unit_test(a_blocked_thread_is_told_what_it_can_never_get),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
