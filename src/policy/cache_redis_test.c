// The cache in Redis, beside a real one: what comes back, who shares, what taking away takes, and what happens without it.
#include "policy/cache_redis.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/hash.h"
#include "base/memory.h"
#include "loop/embed.h"
#include "policy/cache_fixture.h"
#include "policy/cache_tiered.h"
#include "redis/test_server.h"

static test_server server;

typedef struct world {
    dx_loop *loop;
    dx_redis *redis;
    dx_arena *arena;
    dx_cache *cache;
    dx_fields none;
    bool up, told;
} world;

static void on_change(void *ctx, bool up, dx_slice why) {
    world *w = ctx;
    (void)why;
    w->up = up;
}

static dx_redis *connection_of(void *ctx, dx_loop *loop) {
    world *w = ctx;
    assert_ptr_equal(loop, w->loop);
    return w->redis;
}

static void on_done(dx_cache_call *call) {
    world *w = *(world **)(void *)&call->backend[7]; // the backend uses two of them
    w->told = true;
}

static dx_cache_call call_of(world *w, const dx_cache_key *key) {
    dx_cache_call call = {.done = on_done, .loop = w->loop, .key = key, .fields = &w->none, .now = FIXTURE_NOW};
    call.backend[7] = w;
    return call;
}

static void wait_unless(world *w, bool ended) {
    assert_true(ended || dx_loop_wait_for(w->loop, &w->told, 60 * DX_SECOND));
    w->told = false;
}

// Releases nothing: the caller does.
static dx_cache_entry *get_as(world *w, dx_cache *cache, const dx_cache_key *key, const char *request) {
    dx_cache_call call = call_of(w, key);
    dx_fields fields = fixture_fields(w->arena, request);
    call.fields = &fields;
    wait_unless(w, dx_cache_get(cache, &call));
    assert_int_equal(call.status, call.entry ? DX_OK : DX_NOT_FOUND);
    return call.entry;
}

static bool has(world *w, const dx_cache_key *key) {
    dx_cache_entry *entry = get_as(w, w->cache, key, "");
    dx_cache_entry_release(entry);
    return entry != NULL;
}

static void put_as(world *w, const dx_cache_key *key, const char *response, const char *request, const char *body, const char *tag) {
    dx_cache_call call = call_of(w, key);
    call.entry = fixture_entry(w->arena, key, response, request, dx_slice_str(body), 3600, tag);
    dx_cache_put(w->cache, &call);
    assert_int_equal(call.status, DX_OK);
    dx_cache_entry_release(call.entry);
}

static uint64_t take_away(world *w, dx_cache_what what, const char *space, const char *text) {
    dx_cache_call call = call_of(w, NULL);
    call.what = what;
    call.space = dx_slice_str(space);
    call.text = dx_slice_str(text);
    wait_unless(w, dx_cache_invalidate(w->cache, &call));
    assert_int_equal(call.status, DX_OK);
    return call.removed;
}

static void command_done(dx_redis_call *call, dx_status status, const dx_redis_reply *reply) {
    world *w = *(world **)(void *)(call + 1);
    w->told = true;
    assert_int_equal(status, DX_OK);
    assert_int_not_equal(reply->kind, DX_REDIS_ERROR);
}

static void command(world *w, const dx_slice *args, size_t count) {
    struct {
        dx_redis_call call;
        world *w;
    } asked = {.call = {.done = command_done}, .w = w};
    assert_int_equal(dx_redis_send(w->redis, &asked.call, args, count, 0), DX_OK);
    wait_unless(w, false);
}

static void what_was_put_comes_back_whole(void **state) {
    world *w = *state;
    dx_cache_key key = fixture_key(w->arena, "api", "me", "https://a.example/x");
    assert_false(has(w, &key));
    put_as(w, &key, "Content-Type: a/b", "", "the body", "t");
    dx_cache_entry *entry = get_as(w, w->cache, &key, "");
    assert_true(entry && dx_slice_equal(entry->body, DX_SLICE("the body")) && dx_slice_equal(entry->key, key.text));
    assert_true(dx_slice_equal(dx_fields_get(&entry->fields, DX_FIELD_CONTENT_TYPE), DX_SLICE("a/b")) &&
                dx_cache_entry_has_tag(entry, DX_SLICE("t")));
    dx_cache_entry_release(entry);
    dx_cache_key yours = fixture_key(w->arena, "api", "you", "https://a.example/x"),
                 other = fixture_key(w->arena, "b", "me", "https://a.example/x");
    assert_false(has(w, &yours) || has(w, &other));
    dx_cache_stats stats;
    dx_cache_stats_read(w->cache, &stats);
    assert_true(stats.hits == 1 && stats.misses == 3 && stats.stores == 1 && stats.errors == 0 && stats.get_count == 4);
}

static void variants_lie_beside_each_other_and_go_together(void **state) {
    world *w = *state;
    dx_cache_key key = fixture_key(w->arena, "api", "", "https://a.example/x");
    put_as(w, &key, "Vary: Accept", "Accept: a", "for a", NULL);
    put_as(w, &key, "Vary: Accept", "Accept: b", "for b", NULL);
    const char *requests[] = {"Accept: a", "Accept: b"}, *bodies[] = {"for a", "for b"};
    for (size_t i = 0; i < 2; i++) {
        dx_cache_entry *entry = get_as(w, w->cache, &key, requests[i]);
        assert_true(entry && dx_slice_equal(entry->body, dx_slice_str(bodies[i])));
        dx_cache_entry_release(entry);
    }
    assert_null(get_as(w, w->cache, &key, "Accept: c"));
    dx_cache_call call = call_of(w, &key);
    wait_unless(w, dx_cache_remove(w->cache, &call));
    assert_int_equal(call.status, DX_OK);
    put_as(w, &key, "Vary: Accept", "Accept: b", "new", NULL);
    assert_null(get_as(w, w->cache, &key, "Accept: a")); // not the old one again
    dx_cache_entry *entry = get_as(w, w->cache, &key, "Accept: b");
    assert_true(entry && dx_slice_equal(entry->body, DX_SLICE("new")));
    dx_cache_entry_release(entry);
}

static void what_is_taken_away_right_after_it_was_put_does_not_come_back(void **state) {
    world *w = *state;
    const dx_slice flush[] = {DX_SLICE("SCRIPT"), DX_SLICE("FLUSH")}; // Redis knows no script, as after it was started
    dx_cache_key key = fixture_key(w->arena, "api", "", "https://a.example/x");
    command(w, flush, 2);
    put_as(w, &key, "", "", "x", NULL);
    dx_cache_call call = call_of(w, &key);
    wait_unless(w, dx_cache_remove(w->cache, &call));
    assert_int_equal(call.removed, 1);
    assert_false(has(w, &key));
}

static void fill(world *w, dx_cache_key *keys, int count) {
    char url[64];
    for (int i = 0; i < count; i++) {
        (void)snprintf(url, sizeof url, "https://a.example/%s/%d", i % 2 ? "odd" : "even", i);
        keys[i] = fixture_key(w->arena, i % 3 ? "api" : "b*", i % 5 ? "me" : "you", url);
        put_as(w, &keys[i], "", "", "x", i % 2 ? "odd" : "ev*n");
    }
}

static int still_there(world *w, const dx_cache_key *keys, int count) {
    int there = 0;
    for (int i = 0; i < count; i++) there += has(w, &keys[i]);
    return there;
}

static void a_tag_takes_away_what_has_it(void **state) {
    world *w = *state;
    dx_cache_key keys[30];
    fill(w, keys, 30);
    assert_int_equal(take_away(w, DX_CACHE_TAG, "api", "odd"), 10);
    assert_int_equal(still_there(w, keys, 30), 20);
    assert_int_equal(take_away(w, DX_CACHE_TAG, "", "ev*n"), 15); // of every space
    assert_int_equal(still_there(w, keys, 30), 5);
}

static void a_tag_with_more_than_one_batch_goes_whole(void **state) {
    world *w = *state;
    static dx_cache_key keys[1100];
    char url[64];
    for (int i = 0; i < 1100; i++) {
        (void)snprintf(url, sizeof url, "https://a.example/%d", i);
        keys[i] = fixture_key(w->arena, "api", "", url);
        put_as(w, &keys[i], "", "", "x", "t");
    }
    assert_int_equal(take_away(w, DX_CACHE_TAG, "api", "t"), 1100);
    assert_int_equal(still_there(w, keys, 1100), 0);
}

static void a_url_and_a_pattern_take_away_whoever_has_them(void **state) {
    world *w = *state;
    dx_cache_key mine = fixture_key(w->arena, "api", "me", "https://a.example/x?[a]*"),
                 yours = fixture_key(w->arena, "api", "you", "https://a.example/x?[a]*");
    dx_cache_key other = fixture_key(w->arena, "api", "me", "https://a.example/y"),
                 space = fixture_key(w->arena, "b", "me", "https://a.example/y");
    const dx_cache_key *all[] = {&mine, &yours, &other, &space};
    for (size_t i = 0; i < 4; i++) put_as(w, all[i], "", "", "x", NULL);
    assert_int_equal(take_away(w, DX_CACHE_URL, "api", "https://a.example/x?[a]*"), 2);
    assert_true(has(w, &other) && has(w, &space) && !has(w, &mine) && !has(w, &yours));
    assert_int_equal(take_away(w, DX_CACHE_PATTERN, "api", "*/y"), 1);
    assert_int_equal(take_away(w, DX_CACHE_PATTERN, "", "*/z"), 0);
    assert_int_equal(take_away(w, DX_CACHE_URL, "", "https://a.example/y"), 1);
    assert_false(has(w, &space));
}

static void clear_takes_away_its_space_or_all_under_the_prefix(void **state) {
    world *w = *state;
    dx_cache_key keys[30];
    const dx_slice set[] = {DX_SLICE("SET"), DX_SLICE("other:key"), DX_SLICE("1")}, unlink[] = {DX_SLICE("UNLINK"), DX_SLICE("other:key")};
    fill(w, keys, 30);
    command(w, set, DX_COUNT_OF(set));
    dx_cache_call call = call_of(w, NULL);
    call.space = DX_SLICE("b*");
    wait_unless(w, dx_cache_clear(w->cache, &call));
    assert_int_equal(call.removed, 10);
    assert_int_equal(still_there(w, keys, 30), 20);
    call = call_of(w, NULL);
    wait_unless(w, dx_cache_clear(w->cache, &call));
    assert_int_equal(call.status, DX_OK);
    assert_int_equal(still_there(w, keys, 30), 0);
    command(w, unlink, DX_COUNT_OF(unlink)); // it is another's, and was still there
}

static void bytes_that_are_no_entry_are_a_miss(void **state) {
    world *w = *state;
    dx_cache_key key = fixture_key(w->arena, "api", "", "https://a.example/x"),
                 other = fixture_key(w->arena, "api", "", "https://a.example/y");
    dx_cache_entry *entry = fixture_entry(w->arena, &other, "", "", DX_SLICE("of y"), 3600, NULL);
    char digest[DX_CACHE_DIGEST_SIZE];
    dx_cache_key_digest(digest, key.text);
    dx_slice name = dx_arena_printf(w->arena, "test*:e:%016llx:%.32s", (unsigned long long)dx_hash_fixed(DX_SLICE("api")), digest);
    dx_buffer bytes;
    dx_buffer_init(&bytes, w->arena, 65536);
    dx_cache_entry_write(&bytes, entry);
    const dx_slice values[] = {
        DX_SLICE("rubbish"),    DX_SLICE(""), DX_SLICE("DXV1"), DX_SLICE("DXV10123456789abcdef*"), DX_SLICE("DXV10123456789abcdefaccept"),
        dx_buffer_slice(&bytes)}; // the last is whole, but another key's
    for (size_t i = 0; i < DX_COUNT_OF(values); i++) {
        const dx_slice set[] = {DX_SLICE("SET"), name, values[i]};
        command(w, set, DX_COUNT_OF(set));
        assert_false(has(w, &key));
    }
    const dx_slice list[] = {DX_SLICE("UNLINK"), name}, push[] = {DX_SLICE("LPUSH"), name, DX_SLICE("a")};
    command(w, list, 2);
    command(w, push, 3);
    assert_false(has(w, &key)); // nor is a key of another type
    put_as(w, &key, "", "", "x", NULL);
    assert_true(has(w, &key)); // and is written over
    dx_cache_entry_release(entry);
}

static void without_redis_reads_miss_writes_are_forgotten_and_invalidations_say_so(void **state) {
    world *w = *state;
    dx_cache_key key = fixture_key(w->arena, "api", "", "https://a.example/x");
    dx_redis_destroy(w->redis);
    w->redis = NULL;
    assert_false(has(w, &key));
    put_as(w, &key, "", "", "x", NULL);
    dx_cache_call call = call_of(w, &key);
    assert_true(dx_cache_remove(w->cache, &call));
    assert_int_equal(call.status, DX_UNAVAILABLE);
    call = call_of(w, NULL);
    assert_true(dx_cache_clear(w->cache, &call));
    assert_int_equal(call.status, DX_UNAVAILABLE);
    dx_cache_stats stats;
    dx_cache_stats_read(w->cache, &stats);
    assert_int_equal(stats.errors, 4);
}

static void a_connection_that_is_lost_ends_what_was_under_way(void **state) {
    world *w = *state;
    dx_cache_key key = fixture_key(w->arena, "api", "", "https://a.example/x");
    put_as(w, &key, "", "", "x", NULL);
    assert_true(has(w, &key));
    dx_cache_call read = call_of(w, &key), removal = call_of(w, &key);
    assert_false(dx_cache_get(w->cache, &read));
    assert_false(dx_cache_remove(w->cache, &removal));
    put_as(w, &key, "", "", "y", NULL);
    dx_redis *lost = w->redis;
    w->redis = NULL;
    dx_redis_destroy(lost);
    assert_true(w->told);
    assert_int_equal(read.status, DX_NOT_FOUND);
    assert_int_equal(removal.status, DX_UNAVAILABLE);
}

static void what_is_cancelled_tells_nothing(void **state) {
    world *w = *state;
    dx_cache_key key = fixture_key(w->arena, "api", "", "https://a.example/x");
    dx_cache_call read = call_of(w, &key), sweep = call_of(w, NULL);
    assert_false(dx_cache_get(w->cache, &read));
    assert_false(dx_cache_clear(w->cache, &sweep));
    dx_cache_cancel(w->cache, &read);
    dx_cache_cancel(w->cache, &sweep);
    dx_cache_cancel(w->cache, &read); // once more does nothing
    assert_false(has(w, &key));       // and all that was sent before is answered by then
}

static void an_entry_over_the_cap_is_not_stored(void **state) {
    world *w = *state;
    dx_cache_key key = fixture_key(w->arena, "api", "", "https://a.example/x");
    char *body = dx_arena_zalloc(w->arena, 1, 70000);
    memset(body, 'a', 69999);
    put_as(w, &key, "", "", body, NULL);
    assert_false(has(w, &key));
    dx_cache_stats stats;
    dx_cache_stats_read(w->cache, &stats);
    assert_int_equal(stats.refused, 1);
}

static void behind_memory_it_fills_it(void **state) {
    world *w = *state;
    dx_cache_key key = fixture_key(w->arena, "api", "", "https://a.example/x");
    const dx_cache_tiered_options options = {.budget_bytes = 1 << 20};
    dx_cache *tiered;
    put_as(w, &key, "", "", "x", NULL);
    assert_int_equal(dx_cache_tiered_create(&tiered, w->cache, &options), DX_OK);
    w->cache = tiered;
    for (int i = 0; i < 2; i++) assert_true(has(w, &key));
    dx_cache_tiered_stats levels;
    dx_cache_tiered_stats_read(tiered, &levels);
    assert_true(levels.levels[0].hits == 1 && levels.levels[1].hits == 1);
    dx_cache_call call = call_of(w, &key);
    call.backend[7] = w;
    wait_unless(w, dx_cache_remove(tiered, &call));
    assert_int_equal(call.status, DX_OK);
    assert_false(has(w, &key));
}

static void every_allocation_that_fails_is_a_miss_or_told(void **state) {
    world *w = *state;
    dx_cache_key key = fixture_key(w->arena, "api", "", "https://a.example/x");
    dx_cache_entry *entry = fixture_entry(w->arena, &key, "Vary: accept", "", DX_SLICE("x"), 3600, "t");
    for (uint64_t n = 1; n < 60; n++) {
        dx_cache_call put = call_of(w, &key), get = call_of(w, &key), removal = call_of(w, &key);
        put.entry = entry;
        dx_memory_fail_at(n, false);
        dx_cache_put(w->cache, &put);
        wait_unless(w, dx_cache_get(w->cache, &get));
        wait_unless(w, dx_cache_remove(w->cache, &removal));
        (void)dx_memory_fail_stop();
        assert_true(get.status == DX_OK || (get.status == DX_NOT_FOUND && !get.entry));
        assert_true(removal.status == DX_OK || removal.status == DX_UNAVAILABLE);
        dx_cache_entry_release(get.entry);
        while (!w->up) dx_loop_wait(w->loop, DX_SECOND);
    }
    dx_cache_entry_release(entry);
}

static void a_prefix_that_is_none_is_refused(void **state) {
    (void)state;
    dx_cache *cache;
    dx_cache_redis_options options = DX_CACHE_REDIS_OPTIONS_INIT;
    options.prefix = DX_SLICE("a\nb");
    assert_int_equal(dx_cache_redis_create(&cache, &options), DX_INVALID);
    assert_null(cache);
}

static int set_up(void **state) {
    static world w;
    w = (world){.arena = dx_arena_create(64 << 20)};
    if (dx_loop_create(&w.loop) != DX_OK) return -1;
    dx_redis_settings settings = DX_REDIS_SETTINGS_INIT;
    settings.path = dx_slice_str(server.path);
    settings.command_timeout = settings.connect_timeout = 20 * DX_SECOND; // this machine may be busy
    settings.backoff_least = settings.backoff_most = DX_MILLISECOND;
    settings.changed = on_change;
    settings.ctx = &w;
    dx_cache_redis_options options = DX_CACHE_REDIS_OPTIONS_INIT;
    options.prefix = DX_SLICE("test*:"); // with a character that SCAN would read as a pattern
    options.entry_cap = 65536;
    options.connection = connection_of;
    options.ctx = &w;
    if (dx_redis_create(&w.redis, w.loop, &settings) != DX_OK || dx_cache_redis_create(&w.cache, &options) != DX_OK) return -1;
    while (!w.up) dx_loop_wait(w.loop, DX_SECOND);
    const dx_slice flush[] = {DX_SLICE("FLUSHALL")};
    command(&w, flush, 1);
    *state = &w;
    return 0;
}

static int tear_down(void **state) {
    world *w = *state;
    dx_redis_destroy(w->redis);
    dx_cache_destroy(w->cache);
    dx_loop_destroy(w->loop);
    dx_arena_destroy(w->arena);
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(what_was_put_comes_back_whole),
        TEST(variants_lie_beside_each_other_and_go_together),
        TEST(what_is_taken_away_right_after_it_was_put_does_not_come_back),
        TEST(a_tag_takes_away_what_has_it),
        TEST(a_tag_with_more_than_one_batch_goes_whole),
        TEST(a_url_and_a_pattern_take_away_whoever_has_them),
        TEST(clear_takes_away_its_space_or_all_under_the_prefix),
        TEST(bytes_that_are_no_entry_are_a_miss),
        TEST(without_redis_reads_miss_writes_are_forgotten_and_invalidations_say_so),
        TEST(a_connection_that_is_lost_ends_what_was_under_way),
        TEST(what_is_cancelled_tells_nothing),
        TEST(an_entry_over_the_cap_is_not_stored),
        TEST(behind_memory_it_fills_it),
        TEST(every_allocation_that_fails_is_a_miss_or_told),
        TEST(a_prefix_that_is_none_is_refused),
    };
    if (!test_server_installed()) {
        puts("skipped: redis-server is not installed (tools/install-packages test)");
        return 77; // meson counts it as skipped
    }
    test_server_start(&server);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    test_server_remove(&server);
    return failed;
}
