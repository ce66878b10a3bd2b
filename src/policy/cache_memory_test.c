// The cache in memory: what it keeps, what it drops, and that threads don't disturb each other.
#include "policy/cache_memory.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/memory.h"
#include "policy/cache_fixture.h"

typedef struct fixture {
    dx_arena *arena;
    dx_cache *cache;
} fixture;

static dx_cache *make_cache(size_t budget, int64_t ttl_cap_us) {
    dx_cache *cache;
    const dx_cache_memory_options options = {.budget_bytes = budget, .ttl_cap_us = ttl_cap_us};
    assert_int_equal(dx_cache_memory_create(&cache, &options), DX_OK);
    return cache;
}

static void put_entry(dx_cache *cache, const dx_cache_key *key, dx_cache_entry *entry, dx_micros_utc now) {
    dx_cache_call call = {.key = key, .entry = entry, .now = now};
    dx_cache_put(cache, &call);
    assert_int_equal(call.status, DX_OK);
}

static void put_one(dx_cache *cache, dx_arena *arena, const dx_cache_key *key, dx_slice body, const char *tag) {
    dx_cache_entry *entry = fixture_entry(arena, key, "", "", body, 60, tag);
    put_entry(cache, key, entry, FIXTURE_NOW);
    dx_cache_entry_release(entry);
}

static dx_cache_entry *get_at(dx_cache *cache, dx_arena *arena, const dx_cache_key *key, const char *request, dx_micros_utc now) {
    dx_fields fields = fixture_fields(arena, request);
    dx_cache_call call = {.key = key, .fields = &fields, .now = now};
    assert_true(dx_cache_get(cache, &call));
    assert_int_equal(call.status, call.entry ? DX_OK : DX_NOT_FOUND);
    return call.entry;
}

// Whether it is there; counts as a hit.
static bool has(dx_cache *cache, dx_arena *arena, const dx_cache_key *key) {
    dx_cache_entry *entry = get_at(cache, arena, key, "", FIXTURE_NOW);
    dx_cache_entry_release(entry);
    return entry != NULL;
}

static dx_cache_key key_of(dx_arena *arena, int number) {
    char url[64];
    (void)snprintf(url, sizeof url, "https://a.example/%d", number);
    return fixture_key(arena, "api", "", url);
}

static uint64_t invalidate(dx_cache *cache, dx_cache_what what, const char *space, const char *text) {
    dx_cache_call call = {.what = what, .space = dx_slice_str(space), .text = dx_slice_str(text)};
    assert_true(dx_cache_invalidate(cache, &call));
    assert_int_equal(call.status, DX_OK);
    return call.removed;
}

static dx_cache_stats stats_of(dx_cache *cache) {
    dx_cache_stats stats;
    dx_cache_stats_read(cache, &stats);
    return stats;
}

static void what_was_put_is_found_without_a_copy(void **state) {
    fixture *f = *state;
    dx_cache_key key = key_of(f->arena, 1), other = key_of(f->arena, 2);
    dx_cache_entry *entry = fixture_entry(f->arena, &key, "", "", DX_SLICE("body"), 60, NULL);
    put_entry(f->cache, &key, entry, FIXTURE_NOW);
    dx_cache_entry *found = get_at(f->cache, f->arena, &key, "", FIXTURE_NOW);
    assert_ptr_equal(found, entry);
    assert_false(has(f->cache, f->arena, &other));
    dx_cache_entry_release(found);
    dx_cache_entry_release(entry);
    dx_cache_stats stats = stats_of(f->cache);
    assert_true(stats.hits == 1 && stats.misses == 1 && stats.stores == 1 && stats.entries == 1);
}

static void what_is_held_outlives_the_cache(void **state) {
    fixture *f = *state;
    dx_cache_key key = key_of(f->arena, 1);
    put_one(f->cache, f->arena, &key, DX_SLICE("body"), NULL);
    dx_cache_entry *found = get_at(f->cache, f->arena, &key, "", FIXTURE_NOW);
    dx_cache_destroy(f->cache);
    f->cache = NULL;
    assert_true(dx_slice_equal(found->body, DX_SLICE("body")));
    dx_cache_entry_release(found);
}

static void one_under_the_same_key_takes_the_others_place(void **state) {
    fixture *f = *state;
    dx_cache_key key = key_of(f->arena, 1);
    put_one(f->cache, f->arena, &key, DX_SLICE("old"), NULL);
    size_t bytes = stats_of(f->cache).bytes;
    put_one(f->cache, f->arena, &key, DX_SLICE("new"), NULL);
    dx_cache_entry *found = get_at(f->cache, f->arena, &key, "", FIXTURE_NOW);
    assert_true(dx_slice_equal(found->body, DX_SLICE("new")));
    dx_cache_entry_release(found);
    assert_int_equal(stats_of(f->cache).bytes, bytes);
    assert_int_equal(stats_of(f->cache).entries, 1);
}

static void different_credentials_and_spaces_share_nothing(void **state) {
    fixture *f = *state;
    dx_cache_key mine = fixture_key(f->arena, "api", "me", "https://a.example/x"),
                 yours = fixture_key(f->arena, "api", "you", "https://a.example/x");
    dx_cache_key none = fixture_key(f->arena, "api", "", "https://a.example/x"),
                 other = fixture_key(f->arena, "b", "me", "https://a.example/x");
    put_one(f->cache, f->arena, &mine, DX_SLICE("mine"), NULL);
    assert_false(has(f->cache, f->arena, &yours) || has(f->cache, f->arena, &none) || has(f->cache, f->arena, &other));
    assert_true(has(f->cache, f->arena, &mine));
}

static void a_key_whose_hash_meets_anothers_is_not_it(void **state) {
    fixture *f = *state;
    dx_cache_key key = key_of(f->arena, 1), other = key_of(f->arena, 2);
    other.hash = key.hash;
    other.url_hash = key.url_hash;
    put_one(f->cache, f->arena, &key, DX_SLICE("a"), NULL);
    assert_false(has(f->cache, f->arena, &other));
    put_one(f->cache, f->arena, &other, DX_SLICE("b"), NULL);
    assert_true(has(f->cache, f->arena, &key) && has(f->cache, f->arena, &other));
    assert_int_equal(invalidate(f->cache, DX_CACHE_URL, "api", "https://a.example/1"), 1);
    assert_true(!has(f->cache, f->arena, &key) && has(f->cache, f->arena, &other));
}

static void variants_lie_under_one_key(void **state) {
    fixture *f = *state;
    dx_cache_key key = key_of(f->arena, 1);
    const char *requests[] = {"Accept: a", "Accept: b"};
    for (size_t i = 0; i < 2; i++) {
        dx_cache_entry *entry = fixture_entry(f->arena, &key, "Vary: accept", requests[i], dx_slice_str(requests[i]), 60, NULL);
        put_entry(f->cache, &key, entry, FIXTURE_NOW);
        dx_cache_entry_release(entry);
    }
    for (size_t i = 0; i < 2; i++) {
        dx_cache_entry *found = get_at(f->cache, f->arena, &key, requests[i], FIXTURE_NOW);
        assert_true(found && dx_slice_equal(found->body, dx_slice_str(requests[i])));
        dx_cache_entry_release(found);
    }
    assert_null(get_at(f->cache, f->arena, &key, "Accept: c", FIXTURE_NOW));
    dx_cache_call call = {.key = &key};
    assert_true(dx_cache_remove(f->cache, &call));
    assert_int_equal(call.removed, 2);
}

static void the_oldest_variant_past_the_cap_goes(void **state) {
    fixture *f = *state;
    dx_cache_key key = key_of(f->arena, 1);
    char request[32];
    for (int i = 0; i <= DX_CACHE_VARIANTS_CAP; i++) {
        (void)snprintf(request, sizeof request, "Accept: %d", i);
        dx_cache_entry *entry = fixture_entry(f->arena, &key, "Vary: accept", request, DX_SLICE("x"), 60, NULL);
        put_entry(f->cache, &key, entry, FIXTURE_NOW);
        dx_cache_entry_release(entry);
    }
    assert_int_equal(stats_of(f->cache).entries, DX_CACHE_VARIANTS_CAP);
    assert_null(get_at(f->cache, f->arena, &key, "Accept: 0", FIXTURE_NOW));
    dx_cache_entry *second = get_at(f->cache, f->arena, &key, "Accept: 1", FIXTURE_NOW);
    assert_non_null(second);
    dx_cache_entry_release(second);
}

static void what_is_past_its_time_goes(void **state) {
    fixture *f = *state;
    dx_cache_key key = key_of(f->arena, 1);
    size_t empty = stats_of(f->cache).bytes;
    put_one(f->cache, f->arena, &key, DX_SLICE("a"), NULL);
    dx_cache_entry *found = get_at(f->cache, f->arena, &key, "", FIXTURE_NOW + 60 * FIXTURE_S - 1);
    assert_non_null(found);
    dx_cache_entry_release(found);
    assert_null(get_at(f->cache, f->arena, &key, "", FIXTURE_NOW + 60 * FIXTURE_S));
    assert_int_equal(stats_of(f->cache).bytes, empty);
    assert_int_equal(stats_of(f->cache).expired, 1);
}

static void nothing_stays_past_the_cap_on_time(void **state) {
    fixture *f = *state;
    dx_cache *cache = make_cache(1 << 20, 10 * FIXTURE_S);
    dx_cache_key key = key_of(f->arena, 1);
    put_one(cache, f->arena, &key, DX_SLICE("a"), NULL);
    assert_null(get_at(cache, f->arena, &key, "", FIXTURE_NOW + 10 * FIXTURE_S));
    dx_cache_destroy(cache);
}

static void bytes_never_pass_the_budget(void **state) {
    fixture *f = *state;
    dx_slice body = dx_slice_of(dx_arena_zalloc(f->arena, 1, 3000), 3000);
    for (int i = 0; i < 2000; i++) {
        dx_cache_key key = key_of(f->arena, i);
        put_one(f->cache, f->arena, &key, body, NULL);
        dx_cache_stats stats = stats_of(f->cache);
        assert_true(stats.bytes <= stats.budget);
    }
    dx_cache_stats stats = stats_of(f->cache);
    assert_true(stats.evictions > 0 && stats.entries > 100);
    assert_true(stats.bytes > stats.budget - stats.budget / 4); // and it is used
}

static void one_over_an_eighth_of_the_budget_is_not_stored(void **state) {
    fixture *f = *state;
    dx_cache_key key = key_of(f->arena, 1), small = key_of(f->arena, 2);
    put_one(f->cache, f->arena, &key, DX_SLICE("old"), NULL);
    put_one(f->cache, f->arena, &small, DX_SLICE("a"), NULL);
    dx_slice body = dx_slice_of(dx_arena_zalloc(f->arena, 1, 1 << 17), 1 << 17);
    put_one(f->cache, f->arena, &key, body, NULL);
    assert_false(has(f->cache, f->arena, &key)); // nor is the old one still there
    assert_true(has(f->cache, f->arena, &small));
    assert_int_equal(stats_of(f->cache).refused, 1);
}

static void scan(fixture *f, int from, int count) {
    dx_slice body = dx_slice_of(dx_arena_zalloc(f->arena, 1, 2000), 2000);
    for (int i = from; i < from + count; i++) {
        dx_cache_key key = key_of(f->arena, i);
        put_one(f->cache, f->arena, &key, body, NULL);
    }
}

static void a_scan_leaves_what_is_asked_for_alone(void **state) {
    fixture *f = *state;
    dx_slice body = dx_slice_of(dx_arena_zalloc(f->arena, 1, 2000), 2000);
    int kept = 0;
    for (int i = 0; i < 100; i++) {
        dx_cache_key key = key_of(f->arena, i);
        put_one(f->cache, f->arena, &key, body, NULL);
        assert_true(has(f->cache, f->arena, &key));
    }
    scan(f, 1000, 5000);
    for (int i = 0; i < 100; i++) {
        dx_cache_key key = key_of(f->arena, i);
        kept += has(f->cache, f->arena, &key);
    }
    assert_true(kept >= 95); // by LRU it would be none
}

// Which of them are remembered is by hash, so not each and every one.
static void what_comes_back_soon_after_it_fell_out_stays(void **state) {
    fixture *f = *state;
    int kept = 0;
    scan(f, 0, 40);
    scan(f, 1000, 1000);
    for (int i = 0; i < 40; i++) {
        dx_cache_key key = key_of(f->arena, i);
        assert_false(has(f->cache, f->arena, &key));
    }
    scan(f, 0, 40);
    scan(f, 2000, 600);
    for (int i = 0; i < 40; i++) {
        dx_cache_key key = key_of(f->arena, i);
        kept += has(f->cache, f->arena, &key);
    }
    assert_true(kept >= 15); // without the memory of what fell out it is none
}

static void a_url_is_invalidated_for_every_credential(void **state) {
    fixture *f = *state;
    dx_cache_key mine = fixture_key(f->arena, "api", "me", "https://a.example/x"),
                 yours = fixture_key(f->arena, "api", "you", "https://a.example/x");
    dx_cache_key other = fixture_key(f->arena, "api", "me", "https://a.example/y"),
                 space = fixture_key(f->arena, "b", "me", "https://a.example/x");
    const dx_cache_key *all[] = {&mine, &yours, &other, &space};
    for (size_t i = 0; i < 4; i++) put_one(f->cache, f->arena, all[i], DX_SLICE("a"), NULL);
    assert_int_equal(invalidate(f->cache, DX_CACHE_URL, "api", "https://a.example/x"), 2);
    assert_true(has(f->cache, f->arena, &other) && has(f->cache, f->arena, &space));
    assert_int_equal(invalidate(f->cache, DX_CACHE_URL, "", "https://a.example/x"), 1); // every space
    assert_int_equal(stats_of(f->cache).entries, 1);
}

static void tags_and_patterns_invalidate_within_their_space(void **state) {
    fixture *f = *state;
    for (int i = 0; i < 50; i++) {
        dx_cache_key key = key_of(f->arena, i);
        put_one(f->cache, f->arena, &key, DX_SLICE("a"), i % 2 ? "odd" : "even");
    }
    assert_int_equal(invalidate(f->cache, DX_CACHE_TAG, "b", "odd"), 0);
    assert_int_equal(invalidate(f->cache, DX_CACHE_TAG, "api", "odd"), 25);
    assert_int_equal(invalidate(f->cache, DX_CACHE_PATTERN, "b", "*"), 0);
    assert_int_equal(invalidate(f->cache, DX_CACHE_PATTERN, "", "*.example/1?"), 5);
    dx_cache_call call = {.space = DX_SLICE("b")};
    assert_true(dx_cache_clear(f->cache, &call));
    assert_int_equal(call.removed, 0);
    call.space = (dx_slice){NULL, 0};
    assert_true(dx_cache_clear(f->cache, &call));
    assert_int_equal(call.removed, 20);
}

static void a_text_that_is_none_is_refused(void **state) {
    fixture *f = *state;
    char pattern[DX_CACHE_PATTERN_CAP + 1];
    memset(pattern, '*', sizeof pattern);
    dx_cache_call call = {.what = DX_CACHE_TAG};
    assert_true(dx_cache_invalidate(f->cache, &call));
    assert_int_equal(call.status, DX_BAD_REQUEST);
    call = (dx_cache_call){.what = DX_CACHE_PATTERN, .text = dx_slice_of(pattern, sizeof pattern)};
    assert_true(dx_cache_invalidate(f->cache, &call));
    assert_int_equal(call.status, DX_BAD_REQUEST);
    call.text.size--;
    assert_true(dx_cache_invalidate(f->cache, &call));
    assert_int_equal(call.status, DX_OK);
}

static void a_budget_that_holds_nothing_is_refused(void **state) {
    (void)state;
    dx_cache *cache;
    const dx_cache_memory_options options = {.budget_bytes = DX_CACHE_MEMORY_BUDGET_MIN - 1};
    assert_int_equal(dx_cache_memory_create(&cache, &options), DX_INVALID);
    cache = make_cache(DX_CACHE_MEMORY_BUDGET_MIN, 0);
    dx_cache_stats stats = stats_of(cache);
    assert_true(stats.bytes < stats.budget / 2);
    dx_cache_destroy(cache);
}

static void every_allocation_that_fails_leaves_a_cache_that_works(void **state) {
    fixture *f = *state;
    const dx_cache_memory_options options = {.budget_bytes = 1 << 20};
    dx_cache *cache;
    for (uint64_t n = 1;; n++) {
        dx_memory_fail_at(n, false);
        dx_status status = dx_cache_memory_create(&cache, &options);
        if (!dx_memory_fail_stop()) break;
        assert_int_equal(status, DX_NO_MEMORY);
        assert_null(cache);
    }
    dx_cache_key keys[300];
    dx_cache_entry *entries[300];
    for (int i = 0; i < 300; i++) {
        keys[i] = key_of(f->arena, i);
        entries[i] = fixture_entry(f->arena, &keys[i], "", "", DX_SLICE("a"), 60, NULL);
    }
    for (uint64_t n = 1;; n += 7) { // nodes and growing tables, in turn
        dx_memory_fail_at(n, true);
        for (int i = 0; i < 300; i++) put_entry(cache, &keys[i], entries[i], FIXTURE_NOW);
        if (!dx_memory_fail_stop()) break;
        for (int i = 0; i < 300; i++) (void)has(cache, f->arena, &keys[i]);
        dx_cache_call call = {0};
        assert_true(dx_cache_clear(cache, &call));
    }
    for (int i = 0; i < 300; i++) {
        assert_true(has(cache, f->arena, &keys[i]));
        dx_cache_entry_release(entries[i]);
    }
    dx_cache_destroy(cache);
}

// --- threads ---------------------------------------------------------------------------------------------------------------

enum { THREADS = 8, ROUNDS = 3000, KEYS = 64 };

typedef struct worker {
    pthread_t thread;
    dx_cache *cache;
    dx_arena *arena;
    int number;
    uint64_t wrong;
} worker;

static void one_round(worker *w, dx_cache_key *keys, dx_cache_entry *const *entries, int round) {
    int at = (round * 7 + w->number * 13) % KEYS;
    dx_fields none = {0};
    dx_cache_call call = {.key = &keys[at], .fields = &none, .now = FIXTURE_NOW};
    if (round % 3 == 0) {
        call.entry = entries[at];
        dx_cache_put(w->cache, &call);
    } else if (round % 61 == 0) {
        call = (dx_cache_call){.what = DX_CACHE_TAG, .text = DX_SLICE("t")};
        (void)dx_cache_invalidate(w->cache, &call);
    } else if (round % 97 == 0) {
        (void)dx_cache_remove(w->cache, &call);
    } else {
        (void)dx_cache_get(w->cache, &call);
        if (call.entry && !dx_slice_equal(call.entry->key, keys[at].text)) w->wrong++;
        dx_cache_entry_release(call.entry);
    }
}

static void *work(void *ctx) {
    worker *w = ctx;
    dx_cache_key keys[KEYS];
    dx_cache_entry *entries[KEYS];
    dx_slice body = dx_slice_of(dx_arena_zalloc(w->arena, 1, 1500), 1500);
    for (int i = 0; i < KEYS; i++) {
        keys[i] = key_of(w->arena, i);
        entries[i] = fixture_entry(w->arena, &keys[i], "", "", body, 60, i % 2 ? "t" : NULL);
    }
    for (int round = 0; round < ROUNDS; round++) one_round(w, keys, entries, round);
    for (int i = 0; i < KEYS; i++) dx_cache_entry_release(entries[i]);
    return NULL;
}

static void threads_find_only_what_was_put_under_their_key(void **state) {
    (void)state;
    worker workers[THREADS];
    dx_cache *cache = make_cache(DX_CACHE_MEMORY_BUDGET_MIN, 0); // so small that all evict from each other
    for (int i = 0; i < THREADS; i++) {
        workers[i] = (worker){.cache = cache, .arena = dx_arena_create(1 << 20), .number = i};
        assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(workers[i].thread, NULL), 0);
        assert_int_equal(workers[i].wrong, 0);
        dx_arena_destroy(workers[i].arena);
    }
    dx_cache_stats stats = stats_of(cache);
    assert_true(stats.bytes <= stats.budget && stats.evictions > 0 && stats.hits > 0);
    size_t empty = stats_of(cache).bytes;
    dx_cache_call call = {0};
    assert_true(dx_cache_clear(cache, &call));
    assert_true(stats_of(cache).entries == 0 && stats_of(cache).bytes <= empty);
    dx_cache_destroy(cache);
}

static int set_up(void **state) {
    fixture *f = dx_memory_zalloc(1, sizeof *f);
    f->arena = dx_arena_create(64 << 20);
    f->cache = make_cache(1 << 20, 0);
    *state = f;
    return 0;
}

static int tear_down(void **state) {
    fixture *f = *state;
    dx_cache_destroy(f->cache);
    dx_arena_destroy(f->arena);
    dx_memory_free(f);
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(what_was_put_is_found_without_a_copy),
        TEST(what_is_held_outlives_the_cache),
        TEST(one_under_the_same_key_takes_the_others_place),
        TEST(different_credentials_and_spaces_share_nothing),
        TEST(a_key_whose_hash_meets_anothers_is_not_it),
        TEST(variants_lie_under_one_key),
        TEST(the_oldest_variant_past_the_cap_goes),
        TEST(what_is_past_its_time_goes),
        TEST(nothing_stays_past_the_cap_on_time),
        TEST(bytes_never_pass_the_budget),
        TEST(one_over_an_eighth_of_the_budget_is_not_stored),
        TEST(a_scan_leaves_what_is_asked_for_alone),
        TEST(what_comes_back_soon_after_it_fell_out_stays),
        TEST(a_url_is_invalidated_for_every_credential),
        TEST(tags_and_patterns_invalidate_within_their_space),
        TEST(a_text_that_is_none_is_refused),
        TEST(a_budget_that_holds_nothing_is_refused),
        TEST(every_allocation_that_fails_leaves_a_cache_that_works),
        TEST(threads_find_only_what_was_put_under_their_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
