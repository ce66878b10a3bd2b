// The filters of policies around a handler that answers by a script: what is sent again and when, who waits, who is not let through.
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "loop/alarm.h"
#include "loop/embed.h"
#include "policy/breaker_filter.h"
#include "policy/limit_filter.h"
#include "policy/retry.h"

typedef struct step {
    int status;
    dx_error_code failure;
    const char *retry_after;
} step;

typedef struct script {
    const step *steps;
    size_t count, asked;
    bool hangs;
} script;

static dx_verdict play(const void *conf, dx_exchange *x) {
    script *s = (script *)(uintptr_t)conf;
    const step *now = &s->steps[s->asked < s->count ? s->asked : s->count - 1];
    s->asked++;
    x->attempt++;
    if (s->hangs) return DX_WAIT;
    if (now->failure) return dx_exchange_fail_out(x, now->failure, NULL);
    x->response.status = now->status;
    if (now->retry_after)
        assert_int_equal(dx_fields_add(&x->response.fields, x->arena, DX_SLICE("Retry-After"), dx_slice_str(now->retry_after)), DX_OK);
    return DX_ANSWER;
}

typedef struct run {
    dx_exchange x;
    bool over;
} run;

static void finished(dx_exchange *x) {
    DX_CONTAINER_OF(x, run, x)->over = true;
}

typedef struct stage {
    dx_loop *loop;
    dx_arena *arena;
    dx_filter filter;
    dx_chain chain;
    script script;
} stage;

static void set_stage(stage *s, const dx_filter_ops *ops, const void *conf, const step *steps, size_t count) {
    *s = (stage){.arena = dx_arena_create(1 << 20), .filter = {ops, conf}, .script = {.steps = steps, .count = count}};
    assert_int_equal(dx_loop_create(&s->loop), DX_OK);
    s->chain = (dx_chain){&s->filter, 1, play, &s->script};
}

static void strike(stage *s) {
    dx_loop_drain(s->loop);
    dx_arena_destroy(s->arena);
    dx_loop_destroy(s->loop);
}

static void begin(stage *s, run *r, dx_method method) {
    memset(r, 0, sizeof *r);
    dx_exchange_init(&r->x, s->arena, s->loop, 0);
    r->x.finished = finished;
    r->x.request.method = method;
    r->x.request.repeatable = method != DX_POST;
    r->x.phase_since = r->x.started = dx_clock_monotonic();
    dx_chain_run_with(&r->x, &s->chain);
}

static void go(stage *s, run *r, dx_method method) {
    begin(s, r, method);
    assert_true(dx_loop_wait_for(s->loop, &r->over, 60 * DX_SECOND));
}

static dx_retry_conf usual(void) {
    dx_retry_conf conf = {.attempts = 3,
                          .backoff = {.delay = DX_MICROSECOND, .max_delay = DX_SECOND, .factor = 2},
                          .retry_after_cap = 60 * DX_SECOND,
                          .on_network = true,
                          .on_timeout = true};
    dx_retry_add_status(&conf, 503);
    dx_retry_add_status(&conf, 429);
    return conf;
}

// --- retry -----------------------------------------------------------------------------------------------------------------------------

static void what_may_pass_is_sent_again_and_nothing_else(void **state) {
    (void)state;
    static const struct {
        step first;
        dx_method method;
        size_t asked;
    } rows[] = {{{503, 0, NULL}, DX_GET, 2},
                {{500, 0, NULL}, DX_GET, 1},
                {{404, 0, NULL}, DX_GET, 1},
                {{503, 0, NULL}, DX_POST, 1},
                {{0, DX_ERROR_RESET, NULL}, DX_GET, 2},
                {{0, DX_ERROR_RESET, NULL}, DX_POST, 1},
                {{0, DX_ERROR_CONNECT, NULL}, DX_POST, 2},
                {{0, DX_ERROR_RESOLVE, NULL}, DX_POST, 2},
                {{0, DX_ERROR_TLS, NULL}, DX_GET, 1},
                {{0, DX_ERROR_PROTOCOL, NULL}, DX_GET, 1},
                {{0, DX_ERROR_TIMEOUT, NULL}, DX_GET, 2},
                {{0, DX_ERROR_TIMEOUT, NULL}, DX_POST, 1},
                {{0, DX_ERROR_LIMITED, NULL}, DX_GET, 1},
                {{0, DX_ERROR_CIRCUIT_OPEN, NULL}, DX_GET, 1},
                {{0, DX_ERROR_TOO_LARGE, NULL}, DX_GET, 1},
                {{0, DX_ERROR_AUTH, NULL}, DX_GET, 1},
                {{0, DX_ERROR_BLOCKED, NULL}, DX_GET, 1},
                {{503, 0, "61"}, DX_GET, 1},
                {{503, 0, "0"}, DX_GET, 2},
                {{429, 0, "garbage"}, DX_GET, 2}};
    dx_retry_conf conf = usual();
    for (size_t i = 0; i < DX_COUNT_OF(rows); i++) {
        step steps[] = {rows[i].first, {200, 0, NULL}};
        stage s;
        run r;
        set_stage(&s, &dx_retry_filter, &conf, steps, 2);
        go(&s, &r, rows[i].method);
        if (s.script.asked != rows[i].asked) fail_msg("row %d: sent %d times", (int)i, (int)s.script.asked);
        assert_int_equal(r.x.response.status == 200, rows[i].asked == 2);
        strike(&s);
    }
}

static void attempts_deadline_and_budget_are_ends(void **state) {
    (void)state;
    static const step busy[] = {{503, 0, NULL}}, later[] = {{503, 0, "30"}, {200, 0, NULL}};
    dx_retry_conf conf = usual();
    stage s;
    run r;
    set_stage(&s, &dx_retry_filter, &conf, busy, 1);
    go(&s, &r, DX_GET);
    assert_int_equal(s.script.asked, 3);
    assert_int_equal(r.x.response.status, 503);
    strike(&s);
    set_stage(&s, &dx_retry_filter, &conf, later, 2);
    memset(&r, 0, sizeof r);
    dx_exchange_init(&r.x, s.arena, s.loop, 0);
    r.x.finished = finished;
    r.x.request.repeatable = true;
    r.x.deadline = dx_clock_monotonic() + 10 * DX_SECOND;
    dx_chain_run_with(&r.x, &s.chain);
    assert_true(r.over); // 30 seconds do not fit into ten
    assert_int_equal(s.script.asked, 1);
    assert_true(r.x.retry_after == 30 * DX_SECOND);
    strike(&s);
    dx_retry_budget_options options = DX_RETRY_BUDGET_INIT;
    options.reserve = 1;
    options.deposit = 0;
    dx_retry_budget budget;
    assert_int_equal(dx_retry_budget_init(&budget, &options, dx_clock_monotonic()), DX_OK);
    conf.budget = &budget;
    set_stage(&s, &dx_retry_filter, &conf, busy, 1);
    go(&s, &r, DX_GET);
    go(&s, &r, DX_GET);
    assert_in_range(s.script.asked, 2, 5);
    strike(&s);
}

static void a_wait_before_a_retry_can_be_ended(void **state) {
    (void)state;
    static const step busy[] = {{503, 0, "20"}};
    dx_retry_conf conf = usual();
    stage s;
    run r;
    set_stage(&s, &dx_retry_filter, &conf, busy, 1);
    begin(&s, &r, DX_GET);
    assert_false(r.over);
    assert_int_equal(r.x.phase, DX_PHASE_BACKOFF);
    r.x.aborted = true;
    r.x.stop(&r.x);
    (void)dx_exchange_fail_out(&r.x, DX_ERROR_CANCELLED, NULL);
    dx_exchange_resume(&r.x, DX_ANSWER);
    assert_true(r.over);
    assert_int_equal(r.x.failure, DX_ERROR_CANCELLED);
    strike(&s);
}

// --- limit -----------------------------------------------------------------------------------------------------------------------------

static dx_limit *make_limit(uint32_t requests, dx_nanos window, uint32_t queue) {
    dx_limit *limit;
    dx_limit_options options = DX_LIMIT_OPTIONS_INIT;
    options.max_requests = requests;
    options.window = window;
    options.queue = queue;
    assert_int_equal(dx_limit_create(&limit, &options), DX_OK);
    return limit;
}

static void who_finds_no_token_waits_its_turn_or_is_told_how_long_it_would_be(void **state) {
    (void)state;
    static const step well[] = {{200, 0, NULL}};
    dx_limit_conf conf = {.limit = make_limit(2, 40 * DX_MILLISECOND, 2), .max_wait = DX_SECOND};
    stage s;
    run r[5];
    set_stage(&s, &dx_limit_filter, &conf, well, 1);
    for (int i = 0; i < 5; i++) begin(&s, &r[i], DX_GET);
    assert_true(r[0].over && r[1].over && !r[2].over && !r[3].over && r[4].over);
    assert_int_equal(r[2].x.phase, DX_PHASE_LIMIT);
    assert_int_equal(r[4].x.failure, DX_ERROR_LIMITED); // the queue is full
    assert_true(dx_loop_wait_for(s.loop, &r[3].over, 60 * DX_SECOND));
    assert_true(r[2].over && r[2].x.response.status == 200 && r[3].x.response.status == 200);
    strike(&s);
    dx_limit_release(conf.limit);
    conf = (dx_limit_conf){.limit = make_limit(1, 3600 * DX_SECOND, 10), .max_wait = DX_SECOND};
    set_stage(&s, &dx_limit_filter, &conf, well, 1);
    go(&s, &r[0], DX_GET);
    go(&s, &r[1], DX_GET);
    assert_int_equal(r[1].x.failure, DX_ERROR_LIMITED);
    assert_true(r[1].x.retry_after > 3000 * DX_SECOND);
    strike(&s);
    dx_limit_release(conf.limit);
}

static void who_gives_up_while_it_is_granted_gives_its_token_back_and_is_left_alone(void **state) {
    (void)state;
    static const step well[] = {{200, 0, NULL}};
    dx_limit_conf conf = {.limit = make_limit(1, 3600 * DX_SECOND, 10), .max_wait = 7200 * DX_SECOND};
    stage s;
    run first, waits, gives_up;
    set_stage(&s, &dx_limit_filter, &conf, well, 1);
    go(&s, &first, DX_GET);
    begin(&s, &gives_up, DX_GET);
    begin(&s, &waits, DX_GET);
    assert_false(gives_up.over);
    dx_limit_reset(conf.limit, dx_clock_monotonic()); // grants it: its task is on its way
    gives_up.x.aborted = true;
    void (*stop)(dx_exchange *) = gives_up.x.stop;
    gives_up.x.stop = NULL;
    stop(&gives_up.x);
    (void)dx_exchange_fail_out(&gives_up.x, DX_ERROR_CANCELLED, NULL);
    dx_exchange_resume(&gives_up.x, DX_ANSWER);
    assert_true(gives_up.over);
    memset(&gives_up, 0xa5, sizeof gives_up); // as another call would have it by now
    dx_loop_drain(s.loop);
    waits.x.stop(&waits.x); // was granted by that
    dx_loop_drain(s.loop);
    dx_limit_stats stats;
    dx_limit_stats_read(conf.limit, &stats);
    assert_int_equal(stats.waiting, 0);
    assert_int_equal(s.script.asked, 1);
    assert_int_equal(dx_limit_available(conf.limit, dx_clock_monotonic()), 1);
    strike(&s);
    dx_limit_release(conf.limit);
}

static void what_a_server_says_of_its_limit_slows_the_next_ones(void **state) {
    (void)state;
    static const step busy[] = {{429, 0, "600"}, {200, 0, NULL}};
    dx_limit_conf conf = {.limit = make_limit(100, DX_SECOND, 10), .max_wait = DX_SECOND, .adaptive = true};
    stage s;
    run r;
    set_stage(&s, &dx_limit_filter, &conf, busy, 2);
    go(&s, &r, DX_GET);
    go(&s, &r, DX_GET);
    assert_int_equal(r.x.failure, DX_ERROR_LIMITED);
    assert_true(r.x.retry_after > 500 * DX_SECOND);
    assert_int_equal(s.script.asked, 1);
    strike(&s);
    dx_limit_release(conf.limit);
}

// --- breaker ---------------------------------------------------------------------------------------------------------------------------

static size_t asked_after(const step *kind, int calls) {
    dx_breaker_options options = DX_BREAKER_OPTIONS_INIT;
    dx_breaker *breaker;
    stage s;
    run r;
    options.min_calls = 4;
    options.failure_thousandths = 500;
    options.window = 30 * DX_SECOND;
    options.open_for = 30 * DX_SECOND;
    options.open_max = 60 * DX_SECOND;
    assert_int_equal(dx_breaker_create(&breaker, &options), DX_OK);
    set_stage(&s, &dx_breaker_filter, breaker, kind, 1);
    for (int i = 0; i < calls; i++) go(&s, &r, DX_GET);
    if (s.script.asked < (size_t)calls) {
        assert_int_equal(r.x.failure, DX_ERROR_CIRCUIT_OPEN);
        assert_true(r.x.retry_after > 0);
    }
    size_t asked = s.script.asked;
    strike(&s);
    dx_breaker_destroy(breaker);
    return asked;
}

static void failures_open_the_breaker_and_what_says_nothing_of_the_server_does_not(void **state) {
    (void)state;
    static const step opens[] = {
        {500, 0, NULL}, {503, 0, NULL}, {0, DX_ERROR_RESET, NULL}, {0, DX_ERROR_TIMEOUT, NULL}, {0, DX_ERROR_CONNECT, NULL}};
    static const step stays[] = {{200, 0, NULL},
                                 {404, 0, NULL},
                                 {429, 0, NULL},
                                 {0, DX_ERROR_CANCELLED, NULL},
                                 {0, DX_ERROR_LIMITED, NULL},
                                 {0, DX_ERROR_AUTH, NULL},
                                 {0, DX_ERROR_QUEUE_FULL, NULL},
                                 {0, DX_ERROR_BLOCKED, NULL},
                                 {0, DX_ERROR_FILE, NULL}};
    for (size_t i = 0; i < DX_COUNT_OF(opens); i++) assert_int_equal(asked_after(&opens[i], 10), 4);
    for (size_t i = 0; i < DX_COUNT_OF(stays); i++) assert_int_equal(asked_after(&stays[i], 10), 10);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_may_pass_is_sent_again_and_nothing_else),
        cmocka_unit_test(attempts_deadline_and_budget_are_ends),
        cmocka_unit_test(a_wait_before_a_retry_can_be_ended),
        cmocka_unit_test(who_finds_no_token_waits_its_turn_or_is_told_how_long_it_would_be),
        cmocka_unit_test(who_gives_up_while_it_is_granted_gives_its_token_back_and_is_left_alone),
        cmocka_unit_test(what_a_server_says_of_its_limit_slows_the_next_ones),
        cmocka_unit_test(failures_open_the_breaker_and_what_says_nothing_of_the_server_does_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
