// The limit filter: who is let through, who waits and in which order, who is refused, and what is left when one goes away.
#include "policy/limit_filter.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/memory.h"
#include "loop/embed.h"

enum { CALLS = 5 };

typedef struct asked {
    dx_exchange x;
    dx_arena *arena;
    dx_principal principal;
    int sent; // its place in the order of sending; 0: not sent
    bool over;
} asked;

typedef struct fixture {
    dx_loop *loop;
    dx_limit *limit;
    dx_limits *limits;
    dx_limit_conf conf;
    dx_filter filter;
    dx_chain chain;
    asked calls[CALLS];
    int sent, status;
    const char *says; // Retry-After
} fixture;

static fixture *now;

static dx_verdict handle(const void *conf, dx_exchange *x) {
    (void)conf;
    DX_CONTAINER_OF(x, asked, x)->sent = ++now->sent;
    x->response.status = now->status;
    if (now->says && dx_fields_add(&x->response.fields, x->arena, DX_SLICE("Retry-After"), dx_slice_str(now->says)) != DX_OK)
        return dx_exchange_fail_out(x, DX_ERROR_NO_MEMORY, NULL);
    return DX_ANSWER;
}

static void finish(dx_exchange *x) {
    DX_CONTAINER_OF(x, asked, x)->over = true;
}

static dx_exchange *begin(fixture *f, int i, const char *who) {
    asked *a = &f->calls[i];
    if (a->arena) dx_arena_destroy(a->arena);
    *a = (asked){.arena = dx_arena_create(1u << 20)};
    if (!a->arena) a->arena = dx_arena_create(1u << 20); // the one allocation that fails
    dx_exchange_init(&a->x, a->arena, f->loop, 0);
    a->x.finished = finish;
    a->principal.id = dx_slice_str(who);
    if (who) a->x.principal = &a->principal;
    dx_chain_run_with(&a->x, &f->chain);
    return &a->x;
}

static void stop(fixture *f, int i) {
    dx_exchange *x = &f->calls[i].x;
    void (*end)(dx_exchange *) = x->stop;
    x->aborted = true;
    x->stop = NULL;
    if (end) end(x);
    (void)dx_exchange_fail_out(x, DX_ERROR_CANCELLED, NULL);
    dx_exchange_resume(x, DX_ANSWER);
    assert_true(f->calls[i].over);
    dx_arena_destroy(f->calls[i].arena);
    f->calls[i].arena = NULL;
}

static void wait_for(fixture *f, int i) {
    assert_true(dx_loop_wait_for(f->loop, &f->calls[i].over, 60 * DX_SECOND));
}

static void begin_all(fixture *f) {
    for (int i = 0; i < CALLS; i++) (void)begin(f, i, NULL);
}

// Until then nothing moves, however slow the machine is.
static void speed_up(fixture *f) {
    assert_int_equal(dx_limit_update(f->limit, 100, DX_SECOND, 2, dx_clock_monotonic()), DX_OK);
}

static void those_over_the_burst_wait_and_go_in_the_order_they_came(void **state) {
    fixture *f = *state;
    begin_all(f);
    assert_int_equal(f->sent, 2);
    assert_int_equal(f->calls[2].x.phase, DX_PHASE_LIMIT);
    speed_up(f);
    wait_for(f, CALLS - 1);
    for (int i = 0; i < CALLS; i++) assert_int_equal(f->calls[i].sent, i + 1);
}

static void a_wait_that_would_be_too_long_is_refused_at_once(void **state) {
    fixture *f = *state;
    f->conf.max_wait = 5400 * DX_SECOND;
    begin_all(f);
    assert_true(f->calls[4].over);
    assert_int_equal(f->calls[4].x.failure, DX_ERROR_LIMITED);
    assert_in_range(f->calls[4].x.retry_after, 5400 * DX_SECOND, 7200 * DX_SECOND);
    assert_int_equal(f->calls[4].sent, 0);
    assert_false(f->calls[2].over);
}

static void nobody_waits_past_its_deadline(void **state) {
    fixture *f = *state;
    (void)begin(f, 0, NULL);
    (void)begin(f, 1, NULL);
    asked *a = &f->calls[2];
    *a = (asked){.arena = dx_arena_create(1u << 20)};
    dx_exchange_init(&a->x, a->arena, f->loop, 0);
    a->x.finished = finish;
    a->x.deadline = dx_clock_monotonic() + 60 * DX_SECOND;
    dx_chain_run_with(&a->x, &f->chain);
    assert_true(a->over);
    assert_int_equal(a->x.failure, DX_ERROR_LIMITED);
}

static void who_goes_away_gives_its_place_to_the_next(void **state) {
    fixture *f = *state;
    begin_all(f);
    stop(f, 2);
    speed_up(f);
    wait_for(f, CALLS - 1);
    assert_int_equal(f->calls[3].sent, 3);
    assert_int_equal(f->calls[4].sent, 4);
}

static void who_goes_away_with_the_token_on_its_way_gives_it_back(void **state) {
    fixture *f = *state;
    begin_all(f);
    dx_limit_reset(f->limit, dx_clock_monotonic()); // two are granted, and not told yet
    stop(f, 2);
    stop(f, 3);
    stop(f, 4);
    dx_loop_turn(f->loop);
    assert_int_equal(dx_limit_available(f->limit, dx_clock_monotonic()), 2);
}

static void a_faster_rate_is_heard_by_those_who_wait(void **state) {
    fixture *f = *state;
    for (int i = 0; i < 3; i++) (void)begin(f, i, NULL);
    assert_false(f->calls[2].over);
    speed_up(f);
    wait_for(f, 2);
    assert_int_equal(f->calls[2].sent, 3);
}

static void a_pause_that_is_too_long_for_who_waits_is_told(void **state) {
    fixture *f = *state;
    f->conf.max_wait = 5400 * DX_SECOND;
    begin_all(f);
    dx_limit_pause_until(f->limit, dx_clock_monotonic() + 36000 * DX_SECOND, dx_clock_monotonic());
    wait_for(f, 2); // its wait has become longer than it may
    assert_int_equal(f->calls[2].x.failure, DX_ERROR_LIMITED);
}

static void what_a_server_says_holds_up_the_next(void **state) {
    fixture *f = *state;
    f->conf.max_wait = 0;
    f->status = 429;
    f->says = "3600";
    (void)begin(f, 0, NULL);
    f->status = 200;
    assert_int_equal(begin(f, 1, NULL)->failure, DX_ERROR_LIMITED);
    assert_true(f->calls[1].x.retry_after > 3000 * DX_SECOND);
    dx_limit_reset(f->limit, dx_clock_monotonic());
    f->conf.adaptive = false;
    (void)begin(f, 0, NULL);
    assert_int_equal(begin(f, 1, NULL)->failure, DX_ERROR_NONE);
}

static void each_credential_has_a_bucket_of_its_own(void **state) {
    fixture *f = *state;
    f->conf.limit = NULL;
    f->conf.by_credential = f->limits;
    f->conf.max_wait = 0;
    (void)begin(f, 0, "somebody");
    (void)begin(f, 1, "somebody");
    assert_int_equal(begin(f, 2, "somebody")->failure, DX_ERROR_LIMITED);
    assert_int_equal(begin(f, 3, "another")->failure, DX_ERROR_NONE);
    assert_int_equal(begin(f, 4, NULL)->failure, DX_ERROR_NONE);
    assert_int_equal(dx_limits_update(f->limits, 1, DX_SECOND, 1, dx_clock_monotonic()), DX_OK);
    (void)begin(f, 0, "a third"); // made with the new rate
    assert_int_equal(begin(f, 1, "a third")->failure, DX_ERROR_LIMITED);
}

static void any_allocation_may_fail(void **state) {
    fixture *f = *state;
    uint64_t n = 0;
    speed_up(f);
    for (bool reached = true; reached && n < 1000;) {
        dx_limit_reset(f->limit, dx_clock_monotonic());
        dx_memory_fail_at(++n, false);
        begin_all(f);
        for (int i = 0; i < CALLS; i++) wait_for(f, i);
        reached = dx_memory_fail_stop();
        for (int i = 0; i < CALLS; i++) assert_true(f->calls[i].x.failure == DX_ERROR_NONE || f->calls[i].x.failure == DX_ERROR_NO_MEMORY);
    }
    assert_in_range(n, 5, 999);
}

static int set_up(void **state) {
    fixture *f = *state = now = dx_memory_zalloc(1, sizeof *f);
    dx_limit_options options = DX_LIMIT_OPTIONS_INIT;
    options.max_requests = 1;
    options.window = 3600 * DX_SECOND;
    options.burst = 2;
    options.pause_max = 24 * 3600 * DX_SECOND;
    if (!f || dx_loop_create(&f->loop) != DX_OK || dx_limit_create(&f->limit, &options) != DX_OK ||
        dx_limits_create(&f->limits, 100) != DX_OK)
        return -1;
    f->conf = (dx_limit_conf){.limit = f->limit, .options = options, .max_wait = 36000 * DX_SECOND, .adaptive = true};
    f->filter = (dx_filter){&dx_limit_filter, &f->conf};
    f->chain = (dx_chain){&f->filter, 1, handle, NULL};
    f->status = 200;
    return 0;
}

static int tear_down(void **state) {
    fixture *f = *state;
    for (int i = 0; i < CALLS; i++) {
        if (f->calls[i].arena && !f->calls[i].over) stop(f, i);
        dx_arena_destroy(f->calls[i].arena);
    }
    dx_loop_settle(f->loop);
    dx_limit_release(f->limit);
    dx_limits_destroy(f->limits);
    dx_loop_destroy(f->loop);
    dx_memory_free(f);
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(those_over_the_burst_wait_and_go_in_the_order_they_came),
        TEST(a_wait_that_would_be_too_long_is_refused_at_once),
        TEST(nobody_waits_past_its_deadline),
        TEST(who_goes_away_gives_its_place_to_the_next),
        TEST(who_goes_away_with_the_token_on_its_way_gives_it_back),
        TEST(a_faster_rate_is_heard_by_those_who_wait),
        TEST(a_pause_that_is_too_long_for_who_waits_is_told),
        TEST(what_a_server_says_holds_up_the_next),
        TEST(each_credential_has_a_bucket_of_its_own),
        TEST(any_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
