// One fetch however many wait: who leads, who follows, and what becomes of those who are left.
#include "policy/flight.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/memory.h"
#include "policy/cache_fixture.h"

enum { WAITERS = 6 };

typedef struct fixture {
    dx_arena *arena;
    dx_flight *flight;
    dx_cache_key key, other;
    dx_cache_entry *entry;
    dx_flight_waiter waiters[WAITERS];
} fixture;

static void count_told(dx_flight_waiter *waiter) {
    ++*(int *)waiter->ctx;
}

static int told[WAITERS];

static bool join(fixture *f, int i, const dx_cache_key *key) {
    f->waiters[i] = (dx_flight_waiter){.told = count_told, .ctx = &told[i], .key = key->text, .hash = key->hash};
    return dx_flight_join(f->flight, &f->waiters[i]);
}

static void join_all(fixture *f) {
    for (int i = 0; i < WAITERS; i++) assert_int_equal(join(f, i, &f->key), i == 0);
}

static void assert_counts(fixture *f, uint64_t leaders, uint64_t followers) {
    uint64_t found[2];
    dx_flight_count(f->flight, &found[0], &found[1]);
    assert_int_equal(found[0], leaders);
    assert_int_equal(found[1], followers);
}

static void assert_news(fixture *f, int i, dx_flight_news news, int times) {
    assert_int_equal(f->waiters[i].news, news);
    assert_int_equal(told[i], times);
}

static void the_first_leads_and_the_others_get_its_entry(void **state) {
    fixture *f = *state;
    join_all(f);
    assert_counts(f, 1, WAITERS - 1);
    assert_false(dx_flight_land(f->flight, &f->waiters[0], f->entry));
    assert_news(f, 0, DX_FLIGHT_NONE, 0);
    for (int i = 1; i < WAITERS; i++) {
        assert_news(f, i, DX_FLIGHT_ENTRY, 1);
        assert_ptr_equal(f->waiters[i].entry, f->entry);
        dx_cache_entry_release(f->waiters[i].entry);
    }
    assert_counts(f, 0, 0);
}

static void different_keys_do_not_wait_for_each_other(void **state) {
    fixture *f = *state;
    dx_cache_key same_hash = f->other;
    same_hash.hash = f->key.hash;
    assert_true(join(f, 0, &f->key) && join(f, 1, &f->other) && join(f, 2, &same_hash));
    assert_counts(f, 3, 0);
    for (int i = 0; i < 3; i++) assert_false(dx_flight_land(f->flight, &f->waiters[i], NULL));
}

static void what_cannot_be_shared_lets_all_go_at_once(void **state) {
    fixture *f = *state;
    join_all(f);
    assert_false(dx_flight_land(f->flight, &f->waiters[0], NULL));
    for (int i = 1; i < WAITERS; i++) assert_news(f, i, DX_FLIGHT_GO, 1);
}

static void a_leader_that_leaves_makes_the_next_one_lead(void **state) {
    fixture *f = *state;
    join_all(f);
    assert_true(dx_flight_leave(f->flight, &f->waiters[0]));
    assert_news(f, 1, DX_FLIGHT_LEAD, 1);
    assert_news(f, 2, DX_FLIGHT_NONE, 0);
    assert_counts(f, 1, WAITERS - 2);
    assert_false(join(f, 0, &f->key)); // who comes again stands at the end
    assert_false(dx_flight_land(f->flight, &f->waiters[1], f->entry));
    for (int i = 0; i < WAITERS; i++) {
        if (i != 1) assert_news(f, i, DX_FLIGHT_ENTRY, 1);
        dx_cache_entry_release(f->waiters[i].entry);
    }
}

static void after_so_many_leaders_the_rest_go_alone(void **state) {
    fixture *f = *state;
    join_all(f);
    for (int i = 0; i < DX_FLIGHT_LEADERS; i++) (void)dx_flight_leave(f->flight, &f->waiters[i]);
    for (int i = 1; i < DX_FLIGHT_LEADERS; i++) assert_news(f, i, DX_FLIGHT_LEAD, 1);
    for (int i = DX_FLIGHT_LEADERS; i < WAITERS; i++) assert_news(f, i, DX_FLIGHT_GO, 1);
    assert_counts(f, 0, 0);
    assert_true(join(f, 0, &f->key));
    assert_true(dx_flight_leave(f->flight, &f->waiters[0]));
}

static void a_follower_that_leaves_is_told_nothing(void **state) {
    fixture *f = *state;
    join_all(f);
    assert_true(dx_flight_leave(f->flight, &f->waiters[2]));           // from the middle
    assert_true(dx_flight_leave(f->flight, &f->waiters[WAITERS - 1])); // from the end
    assert_true(dx_flight_leave(f->flight, &f->waiters[1]));           // from the front
    assert_false(join(f, 2, &f->key));                                 // the end is still where it should be
    assert_false(dx_flight_land(f->flight, &f->waiters[0], f->entry));
    for (int i = 1; i < WAITERS; i++) {
        bool stayed = i != 1 && i != WAITERS - 1;
        assert_news(f, i, stayed ? DX_FLIGHT_ENTRY : DX_FLIGHT_NONE, stayed);
        dx_cache_entry_release(f->waiters[i].entry);
    }
}

static void who_leaves_after_it_was_told_hears_so(void **state) {
    fixture *f = *state;
    join_all(f);
    (void)dx_flight_leave(f->flight, &f->waiters[0]);
    assert_false(dx_flight_leave(f->flight, &f->waiters[1])); // told to lead, and leaves: the next one leads
    assert_news(f, 2, DX_FLIGHT_LEAD, 1);
    assert_false(dx_flight_land(f->flight, &f->waiters[2], f->entry));
    for (int i = 3; i < WAITERS; i++) {
        assert_false(dx_flight_leave(f->flight, &f->waiters[i])); // its entry is its own to release
        dx_cache_entry_release(f->waiters[i].entry);
    }
}

static void a_fetch_that_began_before_an_invalidation_hears_so_and_is_not_joined(void **state) {
    fixture *f = *state;
    assert_true(join(f, 0, &f->key) && join(f, 1, &f->other));
    dx_flight_spoil(f->flight, &f->key.hash);
    assert_true(join(f, 2, &f->key)); // what comes after begins anew
    assert_false(join(f, 3, &f->other));
    assert_true(dx_flight_land(f->flight, &f->waiters[0], f->entry));
    assert_false(dx_flight_land(f->flight, &f->waiters[2], f->entry));
    dx_flight_spoil(f->flight, NULL);
    assert_true(dx_flight_land(f->flight, &f->waiters[1], f->entry));
    assert_news(f, 3, DX_FLIGHT_ENTRY, 1); // it had asked before
    dx_cache_entry_release(f->waiters[3].entry);
}

static void who_leads_in_place_of_a_spoiled_one_begins_clean(void **state) {
    fixture *f = *state;
    assert_true(join(f, 0, &f->key) && !join(f, 1, &f->key));
    dx_flight_spoil(f->flight, NULL);
    assert_true(dx_flight_leave(f->flight, &f->waiters[0]));
    assert_news(f, 1, DX_FLIGHT_LEAD, 1);
    assert_true(join(f, 2, &f->key));
    dx_flight_spoil(f->flight, &f->other.hash);
    assert_false(dx_flight_land(f->flight, &f->waiters[1], f->entry));
    dx_flight_spoil(f->flight, &f->key.hash);
    assert_true(dx_flight_land(f->flight, &f->waiters[2], f->entry));
}

static void without_memory_there_is_no_table(void **state) {
    (void)state;
    dx_flight *flight;
    dx_memory_fail_at(1, false);
    dx_status status = dx_flight_create(&flight);
    assert_true(dx_memory_fail_stop());
    assert_int_equal(status, DX_NO_MEMORY);
    assert_null(flight);
    dx_flight_destroy(NULL);
}

// --- threads ---------------------------------------------------------------------------------------------------------------

enum { THREADS = 8, ROUNDS = 2000 };

typedef struct gate {
    pthread_mutex_t lock;
    pthread_cond_t told;
    int times;
} gate;

typedef struct worker {
    pthread_t thread;
    fixture *f;
    int number;
    int fetched, shared, went, left, spoiled;
    gate gate;
} worker;

static void open_gate(dx_flight_waiter *waiter) {
    gate *g = waiter->ctx;
    pthread_mutex_lock(&g->lock);
    g->times++;
    pthread_cond_signal(&g->told);
    pthread_mutex_unlock(&g->lock);
}

static void wait_at(gate *g) {
    pthread_mutex_lock(&g->lock);
    while (!g->times) pthread_cond_wait(&g->told, &g->lock);
    g->times--;
    pthread_mutex_unlock(&g->lock);
}

static void lead(worker *w, dx_flight_waiter *waiter, int round) {
    w->fetched++;
    if (round % 5 == 0) {
        (void)dx_flight_leave(w->f->flight, waiter);
    } else {
        w->spoiled += dx_flight_land(w->f->flight, waiter, round % 7 == 0 ? NULL : w->f->entry);
    }
}

// A follower that is told to lead does; every third round one goes away before it is told, if it is quick enough.
static void follow(worker *w, dx_flight_waiter *waiter, int round) {
    if (round % 3 == 0 && dx_flight_leave(w->f->flight, waiter)) {
        w->left++;
        return;
    }
    wait_at(&w->gate);
    if (round % 3 == 0) { // it left too late: whatever it was told stands, and leading has been passed on
        w->left++;
    } else if (waiter->news == DX_FLIGHT_LEAD) {
        lead(w, waiter, round);
    } else if (waiter->news == DX_FLIGHT_ENTRY) {
        w->shared++;
    } else {
        w->went++;
    }
    dx_cache_entry_release(waiter->entry);
}

static void *work(void *ctx) {
    worker *w = ctx;
    for (int round = 0; round < ROUNDS; round++) {
        const dx_cache_key *key = round % 2 ? &w->f->key : &w->f->other;
        dx_flight_waiter waiter = {.told = open_gate, .ctx = &w->gate, .key = key->text, .hash = key->hash};
        if (dx_flight_join(w->f->flight, &waiter)) {
            lead(w, &waiter, round + w->number);
        } else {
            follow(w, &waiter, round + w->number);
        }
        if (round % 50 == 0) dx_flight_spoil(w->f->flight, round % 100 ? &key->hash : NULL);
    }
    return NULL;
}

static void threads_are_each_told_once_and_nobody_is_left(void **state) {
    fixture *f = *state;
    worker workers[THREADS];
    for (int i = 0; i < THREADS; i++) {
        workers[i] = (worker){.f = f, .number = i, .gate = {.times = 0}};
        pthread_mutex_init(&workers[i].gate.lock, NULL);
        pthread_cond_init(&workers[i].gate.told, NULL);
        assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        worker *w = &workers[i];
        assert_int_equal(pthread_join(w->thread, NULL), 0);
        assert_int_equal(w->fetched + w->shared + w->went + w->left, ROUNDS);
        assert_int_equal(w->gate.times, 0);
        pthread_cond_destroy(&w->gate.told);
        pthread_mutex_destroy(&w->gate.lock);
    }
    assert_counts(f, 0, 0);
}

static int set_up(void **state) {
    fixture *f = *state = dx_memory_zalloc(1, sizeof *f);
    memset(told, 0, sizeof told);
    f->arena = dx_arena_create(1 << 20);
    f->key = fixture_key(f->arena, "api", "", "https://a.example/x");
    f->other = fixture_key(f->arena, "api", "", "https://a.example/y");
    f->entry = fixture_entry(f->arena, &f->key, "", "", DX_SLICE("body"), 60, NULL);
    return dx_flight_create(&f->flight) == DX_OK ? 0 : -1;
}

static int tear_down(void **state) {
    fixture *f = *state;
    dx_flight_destroy(f->flight);
    dx_cache_entry_release(f->entry);
    dx_arena_destroy(f->arena);
    dx_memory_free(f);
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(the_first_leads_and_the_others_get_its_entry),
        TEST(different_keys_do_not_wait_for_each_other),
        TEST(what_cannot_be_shared_lets_all_go_at_once),
        TEST(a_leader_that_leaves_makes_the_next_one_lead),
        TEST(after_so_many_leaders_the_rest_go_alone),
        TEST(a_follower_that_leaves_is_told_nothing),
        TEST(who_leaves_after_it_was_told_hears_so),
        TEST(a_fetch_that_began_before_an_invalidation_hears_so_and_is_not_joined),
        TEST(who_leads_in_place_of_a_spoiled_one_begins_clean),
        TEST(without_memory_there_is_no_table),
        TEST(threads_are_each_told_once_and_nobody_is_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
