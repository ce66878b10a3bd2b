// Rate limiters as programs see them: by themselves, on a client's threads, and those of a definition.
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/memory.h"
#include "client/test_origin.h"
#include "duplex/limit.h"
#include "redis/test_server.h"

enum { TURNS = 6, THREADS = 4 };

typedef struct told {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int order[TURNS], count;
    dx_error_code codes[TURNS];
    dx_limiter *limiter;
} told;

typedef struct one {
    told *all;
    int number;
} one;

static void on_turn(void *ctx, dx_error_code code) {
    one *o = ctx;
    (void)pthread_mutex_lock(&o->all->lock);
    o->all->codes[o->number] = code;
    o->all->order[o->all->count++] = o->number;
    (void)pthread_cond_broadcast(&o->all->changed);
    (void)pthread_mutex_unlock(&o->all->lock);
}

static void wait_for(told *t, int count) {
    (void)pthread_mutex_lock(&t->lock);
    while (t->count < count) (void)pthread_cond_wait(&t->changed, &t->lock);
    (void)pthread_mutex_unlock(&t->lock);
}

static dx_limiter *limiter_of(uint32_t max_requests, int64_t window_ms, uint32_t burst) {
    dx_limiter *limiter;
    dx_error error = DX_ERROR_INIT;
    dx_limiter_options options = DX_LIMITER_OPTIONS_INIT;
    options.max_requests = max_requests;
    options.time_window_ms = window_ms;
    options.burst = burst;
    if (dx_limiter_create(&limiter, &options, &error)) fail_msg("%s", error.message);
    return limiter;
}

static dx_client *any_client(void) {
    static const char text[] = "{\"apis\": {\"a\": {\"base_url\": \"http://127.0.0.1:1\"}}}";
    dx_client *client;
    assert_int_equal(dx_client_open_text(&client, text, sizeof text - 1, NULL, NULL), DX_ERROR_NONE);
    return client;
}

static void a_bucket_gives_what_it_holds_and_tells_the_wait(void **state) {
    (void)state;
    dx_limiter *limiter = limiter_of(1, 3600000, 3);
    int64_t wait_ms = -1;
    assert_int_equal(dx_limiter_available(limiter), 3);
    assert_int_equal(dx_limiter_try(limiter, 2, &wait_ms), DX_ERROR_NONE);
    assert_int_equal(wait_ms, 0);
    assert_int_equal(dx_limiter_acquire(limiter, 1, 0), DX_ERROR_NONE);
    assert_int_equal(dx_limiter_try(limiter, 1, &wait_ms), DX_ERROR_LIMITED);
    assert_in_range(wait_ms, 3590000, 3600000);
    assert_int_equal(dx_limiter_acquire(limiter, 1, 1000), DX_ERROR_LIMITED);
    assert_int_equal(dx_limiter_acquire(limiter, 4, -1), DX_ERROR_ARGUMENT);
    assert_int_equal(dx_limiter_try(limiter, 0, NULL), DX_ERROR_ARGUMENT);
    dx_limiter_refund(limiter, 1);
    assert_int_equal(dx_limiter_available(limiter), 1);
    dx_limiter_reset(limiter);
    assert_int_equal(dx_limiter_available(limiter), 3);
    assert_int_equal(dx_limiter_update(limiter, 10, 1000, 5), DX_ERROR_NONE);
    assert_int_equal(dx_limiter_update(limiter, 0, 1000, 5), DX_ERROR_ARGUMENT);
    dx_limiter_stats stats = DX_LIMITER_STATS_INIT;
    dx_limiter_read(limiter, &stats);
    assert_int_equal(stats.max_requests, 10);
    assert_int_equal(stats.burst, 5);
    assert_int_equal(stats.time_window_ms, 1000);
    assert_int_equal(stats.granted, 2);
    assert_int_equal(stats.denied, 2);
    dx_limiter_release(limiter);
}

static void options_out_of_range_are_refused(void **state) {
    (void)state;
    dx_limiter *limiter;
    dx_error error;
    dx_limiter_options options = DX_LIMITER_OPTIONS_INIT;
    options.max_requests = 0;
    assert_int_equal(dx_limiter_create(&limiter, &options, &error), DX_ERROR_ARGUMENT);
    assert_null(limiter);
    options = (dx_limiter_options)DX_LIMITER_OPTIONS_INIT;
    options.reserve = 2;
    assert_int_equal(dx_limiter_create(&limiter, &options, &error), DX_ERROR_ARGUMENT);
    options = (dx_limiter_options)DX_LIMITER_OPTIONS_INIT;
    options.time_window_ms = INT64_MAX;
    assert_int_equal(dx_limiter_create(&limiter, &options, &error), DX_ERROR_ARGUMENT);
    dx_memory_fail_at(1, false);
    assert_int_equal(dx_limiter_create(&limiter, NULL, &error), DX_ERROR_NO_MEMORY);
    (void)dx_memory_fail_stop();
}

static void what_a_server_says_slows_it(void **state) {
    (void)state;
    dx_limiter *limiter = limiter_of(1000, 1000, 100);
    const dx_header later[] = {{"retry-after", "120"}, {NULL, NULL}};
    int64_t wait_ms;
    dx_limiter_observe(limiter, 200, later);
    assert_int_equal(dx_limiter_available(limiter), 100);
    dx_limiter_observe(limiter, 429, later);
    assert_int_equal(dx_limiter_try(limiter, 1, &wait_ms), DX_ERROR_LIMITED);
    assert_in_range(wait_ms, 110000, 121000);
    dx_limiter_reset(limiter);
    const dx_header nothing_left[] = {{"X-RateLimit-Remaining", "0"}, {"X-RateLimit-Reset", "60"}, {NULL, NULL}};
    dx_limiter_observe(limiter, 200, nothing_left);
    assert_int_equal(dx_limiter_available(limiter), 0);
    dx_limiter_release(limiter);
}

// --- turns -----------------------------------------------------------------------------------------------------------------------------

static void init_told(told *t, dx_limiter *limiter) {
    *t = (told){.limiter = limiter};
    (void)pthread_mutex_init(&t->lock, NULL);
    (void)pthread_cond_init(&t->changed, NULL);
}

static void turns_are_granted_by_who_asks_when_there_is_no_client(void **state) {
    (void)state;
    dx_limiter *limiter = limiter_of(1, 3600000, 1);
    told t;
    one ones[3] = {{&t, 0}, {&t, 1}, {&t, 2}};
    dx_limiter_turn *last;
    init_told(&t, limiter);
    for (int i = 0; i < 2; i++) assert_int_equal(dx_limiter_take_turn(NULL, limiter, 1, -1, NULL, on_turn, &ones[i]), DX_ERROR_NONE);
    assert_int_equal(dx_limiter_take_turn(&last, limiter, 1, -1, NULL, on_turn, &ones[2]), DX_ERROR_NONE);
    assert_int_equal(t.count, 1); // before it returned
    assert_in_range(dx_limiter_due_ms(limiter), 3000000, 3600000);
    dx_limiter_cancel(last);
    dx_limiter_cancel(last);
    assert_int_equal(t.codes[2], DX_ERROR_CANCELLED);
    assert_int_equal(dx_limiter_update(limiter, 100, 1000, 1), DX_ERROR_NONE);
    while (t.count < 3) (void)dx_limiter_grant(limiter);
    assert_int_equal(t.codes[1], DX_ERROR_NONE);
    assert_int_equal(dx_limiter_due_ms(limiter), -1);
    dx_limiter_turn_release(last);
    dx_limiter_release(limiter);
}

static void turns_on_a_clients_threads_come_in_order(void **state) {
    (void)state;
    dx_client *client = any_client();
    dx_limiter *limiter = limiter_of(200, 1000, 1);
    told t;
    one ones[TURNS];
    init_told(&t, limiter);
    for (int i = 0; i < TURNS; i++) {
        ones[i] = (one){&t, i};
        assert_int_equal(dx_limiter_take_turn(NULL, limiter, 1, -1, client, on_turn, &ones[i]), DX_ERROR_NONE);
    }
    wait_for(&t, TURNS);
    for (int i = 0; i < TURNS; i++) assert_int_equal(t.order[i], i);
    dx_limiter_release(limiter);
    dx_client_close(client);
}

static void a_faster_rate_ends_long_waits_and_closing_ends_all(void **state) {
    (void)state;
    dx_client *client = any_client();
    dx_limiter *limiter = limiter_of(1, 3600000, 1);
    told t;
    one ones[4];
    dx_limiter_turn *cancelled;
    init_told(&t, limiter);
    for (int i = 0; i < 4; i++) ones[i] = (one){&t, i};
    for (int i = 0; i < 2; i++) assert_int_equal(dx_limiter_take_turn(NULL, limiter, 1, -1, client, on_turn, &ones[i]), DX_ERROR_NONE);
    assert_int_equal(dx_limiter_take_turn(NULL, limiter, 1, 1000, client, on_turn, &ones[2]), DX_ERROR_LIMITED);
    wait_for(&t, 1);
    assert_int_equal(dx_limiter_update(limiter, 1000, 1000, 1), DX_ERROR_NONE);
    wait_for(&t, 2);
    assert_int_equal(t.codes[1], DX_ERROR_NONE);
    assert_int_equal(dx_limiter_update(limiter, 1, 3600000, 1), DX_ERROR_NONE);
    assert_int_equal(dx_limiter_take_turn(&cancelled, limiter, 1, -1, client, on_turn, &ones[2]), DX_ERROR_NONE);
    assert_int_equal(dx_limiter_take_turn(NULL, limiter, 1, -1, client, on_turn, &ones[3]), DX_ERROR_NONE);
    dx_limiter_cancel(cancelled);
    wait_for(&t, 3);
    dx_client_close(client);
    assert_int_equal(t.count, 4);
    assert_int_equal(t.codes[2], DX_ERROR_CANCELLED);
    assert_int_equal(t.codes[3], DX_ERROR_CLOSED);
    dx_limiter_cancel(cancelled); // it is over
    dx_limiter_turn_release(cancelled);
    dx_limiter_release(limiter);
}

static void *take_some(void *ctx) {
    told *t = ctx;
    for (int i = 0; i < 50; i++) {
        if (i % 5 == 0) dx_limiter_reset(t->limiter);
        if (dx_limiter_acquire(t->limiter, 1, -1)) abort();
    }
    return NULL;
}

static void count_turn(void *ctx, dx_error_code code) {
    (void)code;
    (void)atomic_fetch_add((atomic_int *)ctx, 1);
}

static void threads_that_block_and_turns_that_come_and_go_get_on_together(void **state) {
    (void)state;
    dx_client *client = any_client();
    dx_limiter *limiter = limiter_of(2000, 1000, 2);
    pthread_t threads[THREADS];
    told t;
    atomic_int ended = 0;
    init_told(&t, limiter);
    for (int i = 0; i < THREADS; i++) assert_int_equal(pthread_create(&threads[i], NULL, take_some, &t), 0);
    int begun = 0;
    for (int i = 0; i < 200; i++) {
        dx_limiter_turn *turn;
        if (dx_limiter_take_turn(&turn, limiter, 1, -1, client, count_turn, &ended)) continue;
        begun++;
        if (i % 3 == 0) dx_limiter_cancel(turn);
        dx_limiter_turn_release(turn);
    }
    for (int i = 0; i < THREADS; i++) (void)pthread_join(threads[i], NULL);
    dx_client_close(client);
    assert_int_equal(atomic_load(&ended), begun);
    dx_limiter_release(limiter);
}

// --- a definition's ----------------------------------------------------------------------------------------------------------------------

static void answer(void *ctx, const char *head, char *out, size_t room) {
    (void)ctx;
    (void)head;
    test_origin_ok(out, room, "", "{}");
}

static dx_client *client_of(test_origin *origin, const char *limit) {
    dx_client *client;
    dx_error error = DX_ERROR_INIT;
    char text[2048];
    *origin = (test_origin){.answer = answer};
    test_origin_start(origin);
    int size = snprintf(text, sizeof text,
                        "{\"apis\": {\"a\": {\"base_url\": \"%s\", \"rate_limit\": %s, \"endpoints\": {\"v1\": {"
                        "\"x\": {\"path\": \"/x\"}, \"y\": {\"path\": \"/y\"}, "
                        "\"own\": {\"path\": \"/own\", \"rate_limit\": {\"max_requests\": 1, \"time_window\": 3600, \"max_wait\": 1}}, "
                        "\"free\": {\"path\": \"/free\", \"rate_limit\": null}}}}}}",
                        origin->url, limit);
    if (dx_client_open_text(&client, text, (size_t)size, NULL, &error)) fail_msg("%s", error.message);
    return client;
}

static dx_error_code call_with(dx_client *client, const char *name, const dx_call_options *options) {
    dx_response *response;
    dx_error_code code = dx_client_call(&response, client, name, NULL, options, NULL);
    dx_response_release(response);
    return code;
}

static dx_error_code call(dx_client *client, const char *name) {
    return call_with(client, name, NULL);
}

static void check_limits(dx_client *client) {
    dx_limiter_stats stats = DX_LIMITER_STATS_INIT;
    dx_error error;
    assert_int_equal(call(client, "a.x"), DX_ERROR_NONE);
    assert_int_equal(call(client, "a.x"), DX_ERROR_NONE);
    assert_int_equal(call(client, "a.x"), DX_ERROR_LIMITED);
    assert_int_equal(call(client, "a.free"), DX_ERROR_NONE);
    assert_int_equal(dx_client_limit_stats(client, "a", &stats, &error), DX_ERROR_NONE);
    assert_int_equal(stats.max_requests, 1);
    assert_int_equal(stats.burst, 2);
    assert_true(stats.denied >= 1);
    assert_int_equal(dx_client_limit_stats(client, "a.free", &stats, &error), DX_ERROR_UNKNOWN_NAME);
    assert_int_equal(dx_client_limit_stats(client, "b", &stats, &error), DX_ERROR_UNKNOWN_NAME);
    assert_int_equal(dx_client_limit_reset(client, "a.x", &error), DX_ERROR_NONE);
    assert_int_equal(call(client, "a.x"), DX_ERROR_NONE);
    assert_int_equal(dx_client_limit_update(client, "a", 1000, 1000, 500, &error), DX_ERROR_NONE);
    assert_int_equal(dx_client_limit_reset(client, "a", &error), DX_ERROR_NONE);
    for (int i = 0; i < 10; i++) assert_int_equal(call(client, "a.x"), DX_ERROR_NONE);
    assert_int_equal(dx_client_limit_update(client, "a", 0, 1000, 0, &error), DX_ERROR_ARGUMENT);
}

static void a_limit_for_each_endpoint_is_a_bucket_for_each(void **state) {
    test_origin origin;
    dx_call_options later = DX_CALL_OPTIONS_INIT;
    (void)state;
    dx_client *client = client_of(&origin, "{\"max_requests\": 1, \"time_window\": 3600, \"max_wait\": 1, \"per\": \"endpoint\"}");
    assert_int_equal(call(client, "a.x"), DX_ERROR_NONE);
    assert_int_equal(call(client, "a.x"), DX_ERROR_LIMITED);
    assert_int_equal(call(client, "a.y"), DX_ERROR_NONE);
    assert_int_equal(call(client, "a.y"), DX_ERROR_LIMITED);
    later.settings = "{\"timeout\": 7}"; // no other limit than the endpoint's
    assert_int_equal(call_with(client, "a.y", &later), DX_ERROR_LIMITED);
    dx_client_close(client);
    test_origin_stop(&origin);
    client = client_of(&origin, "null");
    assert_int_equal(call(client, "a.own"), DX_ERROR_NONE);
    assert_int_equal(call_with(client, "a.own", &later), DX_ERROR_LIMITED);
    dx_client_close(client);
    test_origin_stop(&origin);
}

static void a_definitions_limit_is_told_reset_and_changed(void **state) {
    test_origin origin;
    static const char *const limits[] = {
        "{\"max_requests\": 1, \"time_window\": 3600, \"burst\": 2, \"max_wait\": 1}",
        "{\"max_requests\": 1, \"time_window\": 3600, \"burst\": 2, \"max_wait\": 1, \"per\": \"credential\"}"};
    (void)state;
    for (int i = 0; i < 2; i++) {
        dx_client *client = client_of(&origin, limits[i]);
        check_limits(client);
        dx_client_close(client);
        test_origin_stop(&origin);
    }
}

static void a_limit_in_redis_is_one_for_all_clients_and_nothing_without_it(void **state) {
    static test_server redis;
    test_origin origin, another;
    char limit[256];
    dx_limiter_stats stats = DX_LIMITER_STATS_INIT;
    dx_error error;
    (void)state;
    if (!test_server_installed()) skip();
    test_server_start(&redis);
    (void)snprintf(limit, sizeof limit, "{\"max_requests\": 1, \"time_window\": 3600, \"burst\": 2, \"max_wait\": 1, \"redis\": \"%s\"}",
                   redis.url);
    dx_client *client = client_of(&origin, limit), *second = client_of(&another, limit);
    assert_int_equal(call(client, "a.x"), DX_ERROR_NONE);
    assert_int_equal(call(second, "a.x"), DX_ERROR_NONE);
    assert_int_equal(call(second, "a.x"), DX_ERROR_LIMITED); // though it has asked but once
    assert_int_equal(call(client, "a.x"), DX_ERROR_LIMITED);
    assert_int_equal(dx_client_limit_stats(second, "a", &stats, &error), DX_ERROR_NONE);
    assert_int_equal(stats.shared, 1);
    assert_int_equal(dx_client_limit_reset(client, "a", &error), DX_ERROR_NONE);
    assert_int_equal(call(client, "a.x"), DX_ERROR_NONE);
    test_server_stop(&redis);
    assert_int_equal(dx_client_limit_reset(client, "a", &error), DX_ERROR_CONNECT);
    assert_int_equal(call(client, "a.x"), DX_ERROR_NONE); // the process's own bucket counts
    assert_int_equal(dx_client_limit_stats(client, "a", &stats, &error), DX_ERROR_NONE);
    assert_true(stats.unshared >= 1);
    dx_client_close(client);
    dx_client_close(second);
    test_origin_stop(&origin);
    test_origin_stop(&another);
    test_server_remove(&redis);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_bucket_gives_what_it_holds_and_tells_the_wait),
        cmocka_unit_test(options_out_of_range_are_refused),
        cmocka_unit_test(what_a_server_says_slows_it),
        cmocka_unit_test(turns_are_granted_by_who_asks_when_there_is_no_client),
        cmocka_unit_test(turns_on_a_clients_threads_come_in_order),
        cmocka_unit_test(a_faster_rate_ends_long_waits_and_closing_ends_all),
        cmocka_unit_test(threads_that_block_and_turns_that_come_and_go_get_on_together),
        cmocka_unit_test(a_limit_for_each_endpoint_is_a_bucket_for_each),
        cmocka_unit_test(a_definitions_limit_is_told_reset_and_changed),
        cmocka_unit_test(a_limit_in_redis_is_one_for_all_clients_and_nothing_without_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
