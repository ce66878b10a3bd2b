// Two levels: what fills which, and what happens while the second is slow or out of order. The second level here is a stage that the test
// directs: it answers at once, later, or never.
#include "policy/cache_tiered.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/memory.h"
#include "policy/cache_fixture.h"

typedef struct stage {
    dx_cache cache;
    bool pends, fails;
    dx_cache_entry *entry;  // what it has
    dx_cache_call *waiting; // the one pending operation
    int gets, puts, removals, cancels;
} stage;

static stage *stage_of(dx_cache *cache) {
    return DX_CONTAINER_OF(cache, stage, cache);
}

static void answer_get(stage *s, dx_cache_call *call) {
    call->entry = s->entry && !s->fails ? dx_cache_entry_hold(s->entry) : NULL;
    call->status = s->fails ? DX_UNAVAILABLE : call->entry ? DX_OK : DX_NOT_FOUND;
}

static bool stage_get(dx_cache *cache, dx_cache_call *call) {
    stage *s = stage_of(cache);
    s->gets++;
    answer_get(s, call); // what it has now, however late it says so
    if (s->pends) s->waiting = call;
    return !s->pends;
}

static void stage_put(dx_cache *cache, dx_cache_call *call) {
    stage_of(cache)->puts++;
    call->status = stage_of(cache)->fails ? DX_UNAVAILABLE : DX_OK;
}

static bool stage_take_away(dx_cache *cache, dx_cache_call *call) {
    stage *s = stage_of(cache);
    s->removals++;
    call->removed = 7;
    call->status = s->fails ? DX_UNAVAILABLE : DX_OK;
    if (!s->fails) s->entry = NULL;
    if (s->pends) s->waiting = call;
    return !s->pends;
}

static void stage_cancel(dx_cache *cache, dx_cache_call *call) {
    stage *s = stage_of(cache);
    assert_ptr_equal(s->waiting, call);
    if (call->entry) dx_cache_entry_release(call->entry);
    s->waiting = NULL;
    s->cancels++;
}

static void stage_stats(dx_cache *cache, dx_cache_stats *out) {
    out->stores = (uint64_t)stage_of(cache)->puts;
}

static void stage_destroy(dx_cache *cache) {
    (void)cache;
}

static const dx_cache_ops STAGE = {.name = "stage",
                                   .get = stage_get,
                                   .put = stage_put,
                                   .remove = stage_take_away,
                                   .invalidate = stage_take_away,
                                   .clear = stage_take_away,
                                   .cancel = stage_cancel,
                                   .stats = stage_stats,
                                   .destroy = stage_destroy};

typedef struct fixture {
    dx_arena *arena;
    stage stage;
    dx_cache *cache;
    dx_cache_key key;
    dx_cache_entry *entry;
    dx_fields none;
    int told;
    int observed[2][2]; // level, hit
} fixture;

static fixture *current; // cmocka's state, for callbacks

static void count_told(dx_cache_call *call) {
    (void)call;
    current->told++;
}

static void count_observed(void *ctx, int level, bool hit, dx_nanos took) {
    fixture *f = ctx;
    assert_true(took >= 0);
    f->observed[level - 1][hit]++;
}

static dx_cache_call call_of(fixture *f) {
    return (dx_cache_call){.done = count_told, .key = &f->key, .fields = &f->none, .now = FIXTURE_NOW};
}

static void say_it_now(stage *s) {
    dx_cache_call *call = s->waiting;
    s->waiting = NULL;
    call->done(call);
}

static void what_l2_has_fills_l1(void **state) {
    fixture *f = *state;
    f->stage.entry = f->entry;
    for (int i = 0; i < 3; i++) {
        dx_cache_call call = call_of(f);
        assert_true(dx_cache_get(f->cache, &call));
        assert_ptr_equal(call.entry, f->entry);
        assert_string_equal(call.level, i == 0 ? "stage" : "memory");
        dx_cache_entry_release(call.entry);
    }
    assert_int_equal(f->stage.gets, 1);
    assert_int_equal(f->observed[0][1], 2);
    assert_int_equal(f->observed[0][0], 1);
    assert_int_equal(f->observed[1][1], 1);
    dx_cache_tiered_stats levels;
    dx_cache_tiered_stats_read(f->cache, &levels);
    assert_true(levels.levels[0].gets == 3 && levels.levels[0].hits == 2 && levels.levels[1].gets == 1 && levels.levels[1].hits == 1);
    dx_cache_stats stats;
    dx_cache_stats_read(f->cache, &stats);
    assert_true(stats.hits == 3 && stats.misses == 0 && stats.get_count == 1);
}

static void l1_forgets_after_five_minutes(void **state) {
    fixture *f = *state;
    dx_cache_call call = call_of(f);
    call.entry = f->entry;
    dx_cache_put(f->cache, &call);
    assert_int_equal(f->stage.puts, 1);
    call = call_of(f);
    call.now += DX_CACHE_L1_TTL_CAP_US - 1;
    assert_true(dx_cache_get(f->cache, &call) && call.status == DX_OK);
    dx_cache_entry_release(call.entry);
    call = call_of(f);
    call.now += DX_CACHE_L1_TTL_CAP_US;
    assert_true(dx_cache_get(f->cache, &call) && call.status == DX_NOT_FOUND);
}

static void a_slow_l2_tells_later_and_fills_l1(void **state) {
    fixture *f = *state;
    f->stage.pends = true;
    f->stage.entry = f->entry;
    dx_cache_call call = call_of(f);
    assert_false(dx_cache_get(f->cache, &call));
    assert_int_equal(f->told, 0);
    say_it_now(&f->stage);
    assert_int_equal(f->told, 1);
    assert_ptr_equal(call.entry, f->entry);
    dx_cache_entry_release(call.entry);
    call = call_of(f);
    assert_true(dx_cache_get(f->cache, &call));
    dx_cache_entry_release(call.entry);
}

static void an_l2_out_of_order_is_a_miss_and_l1_goes_on(void **state) {
    fixture *f = *state;
    f->stage.fails = true;
    dx_cache_call call = call_of(f);
    assert_true(dx_cache_get(f->cache, &call));
    assert_int_equal(call.status, DX_NOT_FOUND);
    call = call_of(f);
    call.entry = f->entry;
    dx_cache_put(f->cache, &call);
    assert_int_equal(call.status, DX_OK);
    call = call_of(f);
    assert_true(dx_cache_get(f->cache, &call) && call.status == DX_OK);
    dx_cache_entry_release(call.entry);
    dx_cache_tiered_stats levels;
    dx_cache_tiered_stats_read(f->cache, &levels);
    assert_int_equal(levels.levels[1].errors, 2);
}

static void an_invalidation_that_l2_fails_is_told_and_l1_has_done_it(void **state) {
    fixture *f = *state;
    dx_cache_call call = call_of(f);
    call.entry = f->entry;
    dx_cache_put(f->cache, &call);
    f->stage.fails = true;
    for (int pends = 0; pends < 2; pends++) {
        f->stage.pends = pends;
        call = (dx_cache_call){.done = count_told, .what = DX_CACHE_PATTERN, .text = DX_SLICE("*")};
        assert_int_equal(dx_cache_invalidate(f->cache, &call), !pends);
        if (pends) say_it_now(&f->stage);
        assert_int_equal(call.status, DX_UNAVAILABLE);
    }
    f->stage.pends = false;
    call = call_of(f);
    assert_true(dx_cache_get(f->cache, &call));
    assert_int_equal(call.status, DX_NOT_FOUND);
}

static void a_read_on_its_way_while_something_is_invalidated_does_not_fill_l1(void **state) {
    fixture *f = *state;
    f->stage.pends = true;
    f->stage.entry = f->entry;
    dx_cache_call read = call_of(f), removal = call_of(f);
    assert_false(dx_cache_get(f->cache, &read));
    dx_cache_call *on_its_way = f->stage.waiting; // it has the old one in hand
    assert_false(dx_cache_remove(f->cache, &removal));
    say_it_now(&f->stage);
    assert_int_equal(removal.status, DX_OK);
    assert_int_equal(removal.removed, 7);
    on_its_way->done(on_its_way);
    assert_int_equal(f->told, 2);
    assert_non_null(read.entry); // who asked before may have it
    dx_cache_entry_release(read.entry);
    f->stage.pends = false;
    read = call_of(f);
    assert_true(dx_cache_get(f->cache, &read));
    assert_int_equal(read.status, DX_NOT_FOUND); // nobody after
}

static void a_cancelled_read_tells_nothing(void **state) {
    fixture *f = *state;
    f->stage.pends = true;
    dx_cache_call call = call_of(f);
    assert_false(dx_cache_get(f->cache, &call));
    dx_cache_cancel(f->cache, &call);
    assert_true(f->stage.cancels == 1 && f->told == 0);
    dx_cache_cancel(f->cache, &call); // once more does nothing
    assert_int_equal(f->stage.cancels, 1);
}

static void what_makes_no_sense_does_not_reach_l2(void **state) {
    fixture *f = *state;
    dx_cache_call call = {.what = DX_CACHE_TAG};
    assert_true(dx_cache_invalidate(f->cache, &call));
    assert_int_equal(call.status, DX_BAD_REQUEST);
    assert_int_equal(f->stage.removals, 0);
    call = (dx_cache_call){0};
    assert_true(dx_cache_clear(f->cache, &call));
    assert_int_equal(f->stage.removals, 1);
}

static void without_memory_a_read_misses_and_an_invalidation_says_so(void **state) {
    fixture *f = *state;
    f->stage.entry = f->entry;
    dx_cache_call read = call_of(f), removal = call_of(f);
    dx_memory_fail_at(1, true);
    bool done = dx_cache_get(f->cache, &read), removed = dx_cache_remove(f->cache, &removal);
    assert_true(dx_memory_fail_stop());
    assert_true(done && removed);
    assert_int_equal(read.status, DX_NOT_FOUND);
    assert_int_equal(removal.status, DX_UNAVAILABLE);
    dx_cache *cache;
    const dx_cache_tiered_options options = {.budget_bytes = 1 << 20};
    for (uint64_t n = 1;; n++) {
        dx_memory_fail_at(n, false);
        dx_status status = dx_cache_tiered_create(&cache, &f->stage.cache, &options);
        if (!dx_memory_fail_stop()) break;
        assert_int_equal(status, DX_NO_MEMORY);
        assert_null(cache);
    }
    dx_cache_destroy(cache);
}

static int set_up(void **state) {
    fixture *f = *state = current = dx_memory_zalloc(1, sizeof *f);
    const dx_cache_tiered_options options = {.budget_bytes = 1 << 20, .observe = count_observed, .ctx = f};
    f->arena = dx_arena_create(1 << 20);
    f->stage.cache.ops = &STAGE;
    f->key = fixture_key(f->arena, "api", "", "https://a.example/x");
    f->entry = fixture_entry(f->arena, &f->key, "", "", DX_SLICE("body"), 3600, NULL);
    return dx_cache_tiered_create(&f->cache, &f->stage.cache, &options) == DX_OK ? 0 : -1;
}

static int tear_down(void **state) {
    fixture *f = *state;
    dx_cache_destroy(f->cache);
    dx_cache_entry_release(f->entry);
    dx_arena_destroy(f->arena);
    dx_memory_free(f);
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(what_l2_has_fills_l1),
        TEST(l1_forgets_after_five_minutes),
        TEST(a_slow_l2_tells_later_and_fills_l1),
        TEST(an_l2_out_of_order_is_a_miss_and_l1_goes_on),
        TEST(an_invalidation_that_l2_fails_is_told_and_l1_has_done_it),
        TEST(a_read_on_its_way_while_something_is_invalidated_does_not_fill_l1),
        TEST(a_cancelled_read_tells_nothing),
        TEST(what_makes_no_sense_does_not_reach_l2),
        TEST(without_memory_a_read_misses_and_an_invalidation_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
