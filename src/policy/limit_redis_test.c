// The limit that processes share, beside a real Redis: what is granted, who waits in which order, several processes at once, and what
// happens without it.
#include "policy/limit_redis.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/memory.h"
#include "loop/embed.h"
#include "redis/test_server.h"

enum { ASKS = 6, PROCESSES = 4 };

static test_server server;

typedef struct answer {
    struct world *world;
    dx_limit_ask *ask;
    dx_status status;
    dx_nanos wait;
    int order; // of those that were told; 0: not yet
    bool over;
} answer;

typedef struct world {
    dx_loop *loop;
    dx_arena *arena;
    dx_redis *redis;
    dx_limit_redis *shared;
    answer answers[ASKS];
    int told;
    bool up;
} world;

static void on_change(void *ctx, bool up, dx_slice why) {
    (void)why;
    ((world *)ctx)->up = up;
}

static dx_redis *connection_of(void *ctx, dx_loop *loop) {
    (void)loop;
    return ((world *)ctx)->redis;
}

static void on_told(void *ctx, dx_status status, dx_nanos wait) {
    answer *a = ctx;
    a->status = status;
    a->wait = wait;
    a->ask = NULL;
    a->over = true;
    a->order = ++a->world->told;
}

static answer *ask_until(world *w, int i, const char *key, dx_nanos within) {
    answer *a = &w->answers[i];
    *a = (answer){.world = w};
    a->status = dx_limit_redis_ask(&a->ask, w->shared, w->loop, dx_slice_str(key), dx_clock_monotonic() + within, on_told, a, &a->wait);
    a->over = !a->ask;
    return a;
}

static answer *ask(world *w, int i) {
    return ask_until(w, i, "", 60 * DX_SECOND);
}

static dx_status wait_for(world *w, answer *a) {
    while (!a->over) assert_true(dx_loop_wait_for(w->loop, &a->over, 60 * DX_SECOND));
    return a->status;
}

static dx_limit_redis_stats stats_of(world *w) {
    dx_limit_redis_stats stats;
    dx_limit_redis_stats_read(w->shared, &stats);
    return stats;
}

static void who_is_over_the_burst_waits_and_comes_in_order(void **state) {
    world *w = *state;
    for (int i = 0; i < ASKS; i++) (void)ask(w, i);
    for (int i = 0; i < ASKS; i++) assert_int_equal(wait_for(w, &w->answers[i]), DX_OK);
    for (int i = 0; i < ASKS; i++) assert_int_equal(w->answers[i].order, i + 1);
    assert_int_equal(stats_of(w).granted, ASKS);
    assert_true(stats_of(w).waited <= ASKS - 2);
    assert_int_equal(stats_of(w).waiting, 0);
}

static void a_wait_that_would_be_too_long_is_refused(void **state) {
    world *w = *state;
    assert_int_equal(dx_limit_redis_update(w->shared, 1, 3600 * DX_SECOND, 2), DX_OK);
    for (int i = 0; i < 2; i++) assert_int_equal(wait_for(w, ask(w, i)), DX_OK);
    answer *late = ask(w, 2);
    assert_int_equal(wait_for(w, late), DX_RATE_LIMITED);
    assert_in_range(late->wait, 3000 * DX_SECOND, 3600 * DX_SECOND);
    (void)ask_until(w, 3, "", 7200 * DX_SECOND);
    while (stats_of(w).waiting == 0) dx_loop_wait(w->loop, -1);
    (void)ask_until(w, 4, "", 7200 * DX_SECOND);
    assert_int_equal(stats_of(w).waiting, 2);
    assert_int_equal(wait_for(w, ask(w, 5)), DX_RATE_LIMITED); // behind those two, without asking
}

static void keys_have_buckets_of_their_own(void **state) {
    world *w = *state;
    assert_int_equal(dx_limit_redis_update(w->shared, 1, 3600 * DX_SECOND, 2), DX_OK);
    for (int i = 0; i < ASKS; i++) (void)ask_until(w, i, i % 2 ? "a" : "b", 0);
    for (int i = 0; i < 4; i++) assert_int_equal(wait_for(w, &w->answers[i]), DX_OK);
    for (int i = 4; i < 6; i++) assert_int_equal(wait_for(w, &w->answers[i]), DX_RATE_LIMITED);
}

static void who_goes_away_gives_its_place_to_the_next(void **state) {
    world *w = *state;
    for (int i = 0; i < 2; i++) assert_int_equal(wait_for(w, ask(w, i)), DX_OK);
    for (int i = 2; i < 5; i++) (void)ask(w, i);
    dx_loop_wait(w->loop, -1);
    dx_limit_redis_cancel(w->answers[2].ask);
    dx_limit_redis_cancel(w->answers[3].ask);
    assert_int_equal(wait_for(w, &w->answers[4]), DX_OK);
    assert_false(w->answers[2].over || w->answers[3].over);
    w->answers[2].over = w->answers[3].over = true;
}

static void without_redis_it_says_so_at_once_or_when_it_is_lost(void **state) {
    world *w = *state;
    for (int i = 0; i < 2; i++) assert_int_equal(wait_for(w, ask(w, i)), DX_OK);
    assert_int_equal(dx_limit_redis_update(w->shared, 1, 3600 * DX_SECOND, 2), DX_OK);
    for (int i = 2; i < 5; i++) (void)ask_until(w, i, "", 7200 * DX_SECOND);
    dx_loop_wait(w->loop, -1);
    test_server_stop(&server);
    while (w->up) dx_loop_wait(w->loop, -1);
    assert_int_equal(wait_for(w, ask_until(w, 5, "elsewhere", 0)), DX_UNAVAILABLE);
    for (int i = 2; i < 5; i++) {
        if (w->answers[i].ask) dx_limit_redis_cancel(w->answers[i].ask);
        w->answers[i].over = true;
    }
    assert_true(stats_of(w).unavailable >= 1);
    test_server_start(&server);
}

static void another_rate_counts_from_the_next_question_on(void **state) {
    world *w = *state;
    assert_int_equal(dx_limit_redis_update(w->shared, 1, 3600 * DX_SECOND, 5), DX_OK);
    for (int i = 0; i < 5; i++) assert_int_equal(wait_for(w, ask_until(w, i, "", 0)), DX_OK);
    assert_int_equal(wait_for(w, ask_until(w, 5, "", 0)), DX_RATE_LIMITED);
    assert_int_equal(dx_limit_redis_update(w->shared, 0, DX_SECOND, 5), DX_INVALID);
}

static void what_redis_can_not_do_is_refused(void **state) {
    world *w = *state;
    dx_limit_redis *shared;
    dx_limit_redis_options options = {.prefix = DX_SLICE("x"), .max_requests = 10000000, .window = DX_SECOND, .connection = connection_of};
    (void)w;
    assert_int_equal(dx_limit_redis_create(&shared, &options), DX_INVALID);
    options.max_requests = 10;
    options.prefix = (dx_slice){"", 0};
    assert_int_equal(dx_limit_redis_create(&shared, &options), DX_INVALID);
    assert_null(shared);
}

static void any_allocation_may_fail(void **state) {
    world *w = *state;
    uint64_t n = 0;
    for (bool reached = true; reached && n < 200;) {
        dx_memory_fail_at(++n, false);
        for (int i = 0; i < 3; i++) (void)ask(w, i);
        for (int i = 0; i < 3; i++) {
            dx_status status = wait_for(w, &w->answers[i]);
            assert_true(status == DX_OK || status == DX_UNAVAILABLE);
        }
        reached = dx_memory_fail_stop();
        while (!w->up) dx_loop_wait(w->loop, -1);
    }
    assert_in_range(n, 3, 199);
}

// --- processes -------------------------------------------------------------------------------------------------------------------------

static bool open_world(world *w) {
    dx_redis_settings settings = DX_REDIS_SETTINGS_INIT;
    const dx_limit_redis_options options = {.prefix = DX_SLICE("test:"),
                                            .max_requests = 100,
                                            .window = DX_SECOND,
                                            .burst = 2,
                                            .queue = 100,
                                            .connection = connection_of,
                                            .ctx = w};
    w->arena = dx_arena_create(1u << 20);
    if (!w->arena || dx_loop_create(&w->loop) != DX_OK) return false;
    settings.changed = on_change;
    settings.ctx = w;
    settings.backoff_least = settings.backoff_most = 10 * DX_MILLISECOND;
    if (dx_redis_settings_read(&settings, dx_slice_str(server.url), w->arena, NULL) != DX_OK) return false;
    if (dx_redis_create(&w->redis, w->loop, &settings) != DX_OK || dx_limit_redis_create(&w->shared, &options) != DX_OK) return false;
    while (!w->up) dx_loop_wait(w->loop, -1);
    return true;
}

static void close_world(world *w) {
    for (int i = 0; i < ASKS; i++)
        if (w->answers[i].ask && !w->answers[i].over) dx_limit_redis_cancel(w->answers[i].ask);
    dx_loop_settle(w->loop);
    dx_redis_destroy(w->redis);
    dx_limit_redis_destroy(w->shared);
    dx_loop_destroy(w->loop);
    dx_arena_destroy(w->arena);
    dx_memory_free(w);
}

// Asks for as long as it may, and writes down when each token came.
static void take_tokens(int out, dx_nanos until) {
    world *w = dx_memory_zalloc(1, sizeof *w);
    if (!w || !open_world(w)) _exit(1);
    for (;;) {
        for (int i = 0; i < ASKS; i++) {
            answer *a = &w->answers[i];
            if (a->ask) continue;
            if (a->over && a->status == DX_OK) {
                dx_nanos at = dx_clock_monotonic();
                if (write(out, &at, sizeof at) != sizeof at) _exit(1);
            }
            if (a->over && a->status != DX_OK) {
                int result = a->status == DX_RATE_LIMITED ? 0 : 1;
                close_world(w);
                _exit(result);
            }
            (void)ask_until(w, i, "all", until - dx_clock_monotonic());
        }
        dx_loop_wait(w->loop, DX_SECOND);
    }
}

static int by_time(const void *a, const void *b) {
    dx_nanos left = *(const dx_nanos *)a, right = *(const dx_nanos *)b;
    return (left > right) - (left < right);
}

static void processes_together_never_get_more_than_the_bucket_gives(void **state) {
    (void)state;
    dx_nanos begun = dx_clock_monotonic(), until = begun + 600 * DX_MILLISECOND, times[4096];
    int ends[2], failed = 0, status;
    size_t count = 0;
    assert_int_equal(pipe(ends), 0);
    for (int i = 0; i < PROCESSES; i++) {
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) take_tokens(ends[1], until);
    }
    (void)close(ends[1]);
    while (count < DX_COUNT_OF(times) && read(ends[0], &times[count], sizeof *times) == sizeof *times) count++;
    (void)close(ends[0]);
    for (int i = 0; i < PROCESSES; i++) failed |= wait(&status) < 0 || status != 0;
    assert_false(failed);
    assert_true(count > 2);
    qsort(times, count, sizeof *times, by_time);
    // What had been granted at each moment, by Redis's clock a little earlier than it was heard of.
    for (size_t i = 0; i < count; i++) assert_true((double)(i + 1) <= 2 + (double)(times[i] - begun) / DX_SECOND * 100 + 0.01);
}

// --- the stage -------------------------------------------------------------------------------------------------------------------------

static void on_flushed(dx_redis_call *call, dx_status status, const dx_redis_reply *reply) {
    (void)reply;
    assert_int_equal(status, DX_OK);
    call->tail_parts = 1;
}

static int set_up(void **state) {
    world *w = *state = dx_memory_zalloc(1, sizeof *w);
    if (!w || !open_world(w)) return -1;
    dx_redis_call call = {.done = on_flushed};
    const dx_slice args[] = {DX_SLICE_INIT("FLUSHALL")};
    if (dx_redis_send(w->redis, &call, args, 1, 0) != DX_OK) return -1;
    while (!call.tail_parts) dx_loop_wait(w->loop, -1);
    return 0;
}

static int tear_down(void **state) {
    close_world(*state);
    return 0;
}

static int start(void **state) {
    (void)state;
    test_server_start(&server);
    return 0;
}

static int end(void **state) {
    (void)state;
    test_server_remove(&server);
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(who_is_over_the_burst_waits_and_comes_in_order),
        TEST(a_wait_that_would_be_too_long_is_refused),
        TEST(keys_have_buckets_of_their_own),
        TEST(who_goes_away_gives_its_place_to_the_next),
        TEST(without_redis_it_says_so_at_once_or_when_it_is_lost),
        TEST(another_rate_counts_from_the_next_question_on),
        TEST(what_redis_can_not_do_is_refused),
        TEST(any_allocation_may_fail),
        cmocka_unit_test(processes_together_never_get_more_than_the_bucket_gives),
    };
    if (!test_server_installed()) return 77;
    return cmocka_run_group_tests(tests, start, end);
}
