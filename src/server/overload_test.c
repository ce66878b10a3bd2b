// Overload: when it begins and ends, what is refused and what is answered all the same, and that a queue is judged by its waits.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "server/loopback_fixture.h"

static dx_nanos clock_now;

static dx_nanos read_clock(void) {
    return clock_now;
}

static dx_overload begin(void) {
    clock_now = 1000 * DX_SECOND;
    return (dx_overload){.bound = 100 * DX_MILLISECOND, .now = read_clock};
}

static void turn(dx_overload *overload, dx_nanos took) {
    clock_now += took;
    dx_overload_turn(overload, took);
}

static void a_long_turn_counts_only_when_it_fills_the_interval(void **state) {
    (void)state;
    dx_overload overload = begin();
    turn(&overload, 101 * DX_MILLISECOND);
    assert_true(overload.on); // it lasted the interval by itself
    overload = begin();
    overload.bound = 20 * DX_MILLISECOND;
    turn(&overload, 50 * DX_MILLISECOND);
    assert_false(overload.on);
    turn(&overload, 1 * DX_MILLISECOND);
    turn(&overload, 99 * DX_MILLISECOND);
    assert_false(overload.on);
}

static void overload_is_long_turns_for_an_interval_and_ends_with_a_short_one(void **state) {
    (void)state;
    dx_overload overload = begin();
    overload.bound = 20 * DX_MILLISECOND;
    for (int i = 0; i < 3; i++) turn(&overload, 30 * DX_MILLISECOND);
    assert_false(overload.on);
    turn(&overload, 30 * DX_MILLISECOND);
    assert_true(overload.on);
    turn(&overload, 20 * DX_MILLISECOND);
    assert_false(overload.on);
}

static char told[64];

static void note(void *ctx, const char *line, size_t size) {
    static const char *const events[] = {"\"overloaded\"", "\"overload_over\""};
    (void)ctx;
    const char *refused = memmem(line, size, "\"refused\":", 10);
    for (size_t i = 0; refused && i < DX_COUNT_OF(events); i++) {
        size_t at = strlen(told);
        if (memmem(line, size, events[i], strlen(events[i])))
            snprintf(told + at, sizeof told - at, "%c%d", "+-"[i], (int)strtol(refused + 10, NULL, 10));
    }
}

static void every_end_that_the_log_is_told_had_a_beginning(void **state) {
    (void)state;
    dx_overload overload = begin();
    dx_log_setup(DX_LOG_INFO, note, NULL);
    for (uint64_t i = 1; i <= 3; i++) { // the second begins too soon after the first to be told
        overload.refused += i;
        turn(&overload, 200 * DX_MILLISECOND);
        assert_true(overload.on);
        turn(&overload, 1 * DX_MILLISECOND);
        assert_false(overload.on);
        if (i == 2) clock_now += 20 * DX_SECOND;
    }
    dx_log_setup(DX_LOG_OFF, NULL, NULL);
    assert_string_equal(told, "+1-1+5-5");
}

static dx_verdict answer_yes(const void *conf, dx_exchange *x) {
    (void)conf;
    return dx_exchange_json(x, 200, DX_SLICE("{}"));
}

static const dx_slice admin[] = {DX_SLICE_INIT("admin")}, others[] = {DX_SLICE_INIT("admin"), DX_SLICE_INIT("staff")};
static dx_operation operations[] = {
    {.id = DX_SLICE_INIT("plain"), .path = DX_SLICE_INIT("/plain"), .handler = answer_yes, .access = {.is_public = true}},
    {.id = DX_SLICE_INIT("staff"), .path = DX_SLICE_INIT("/staff"), .handler = answer_yes, .access = {.roles = others, .role_count = 2}},
    {.id = DX_SLICE_INIT("admin"), .path = DX_SLICE_INIT("/admin"), .handler = answer_yes, .access = {.roles = admin, .role_count = 1}}};

static dx_status build(void *state, dx_app *app, dx_diags *diags) {
    (void)state, (void)diags;
    for (size_t i = 0; i < DX_COUNT_OF(operations); i++) assert_int_equal(dx_app_add_operation(app, &operations[i]), DX_OK);
    return DX_OK;
}

static const dx_feature feature = {.name = "test", .build = build};
const dx_feature *const dx_features[] = {&feature, NULL};

static dx_nanos late(void) { // the turn has used all it may
    return dx_clock_monotonic() + 10 * DX_SECOND;
}

static int ask(loopback_fixture *f, const char *request) {
    f->worker->overload.on = true; // each turn is short here, and would end it
    return loopback_ask(f, request)->status;
}

static void what_an_overloaded_turn_has_no_time_for_is_refused(void **state) {
    (void)state;
    loopback_fixture f;
    loopback_open(&f, "{\"server\": {}}");
    assert_int_equal(ask(&f, "GET /plain HTTP/1.1\r\nHost: t\r\n\r\n"), 200); // it begins early in its turn
    f.worker->overload.now = late;
    assert_int_equal(ask(&f, "GET /plain HTTP/1.1\r\nHost: t\r\n\r\n"), 503);
    assert_true(strlen(loopback_field(&f, "retry-after")) == 1);
    assert_non_null(strstr(f.answer.body.data, "\"error_code\":\"overloaded\""));
    assert_int_equal(ask(&f, "GET /staff HTTP/1.1\r\nHost: t\r\n\r\n"), 503);
    loopback_close(&f);
}

static void a_turn_that_runs_on_refuses_from_within(void **state) {
    (void)state;
    loopback_fixture f;
    unsigned answered = 0;
    loopback_open(&f, "{\"server\": {}}");
    f.worker->overload.now = late;
    while (loopback_ask(&f, "GET /plain HTTP/1.1\r\nHost: t\r\n\r\n")->status == 200) answered++;
    assert_int_equal(f.answer.status, 503);
    assert_int_equal(answered, DX_OVERLOAD_LOOK - 1);
    loopback_close(&f);
}

static void health_checks_and_administrators_are_answered_all_the_same(void **state) {
    (void)state;
    loopback_fixture f;
    loopback_open(&f, "{\"server\": {}}");
    f.worker->overload.now = late;
    assert_int_equal(ask(&f, "GET /livez HTTP/1.1\r\nHost: t\r\n\r\n"), 200);
    assert_int_equal(ask(&f, "GET /readyz HTTP/1.1\r\nHost: t\r\n\r\n"), 200);
    assert_int_equal(ask(&f, "GET /health HTTP/1.1\r\nHost: t\r\n\r\n"), 200);
    assert_int_equal(ask(&f, "GET /admin HTTP/1.1\r\nHost: t\r\n\r\n"), 401); // it comes as far as being asked who is there
    loopback_close(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_long_turn_counts_only_when_it_fills_the_interval),
        cmocka_unit_test(overload_is_long_turns_for_an_interval_and_ends_with_a_short_one),
        cmocka_unit_test(every_end_that_the_log_is_told_had_a_beginning),
        cmocka_unit_test(what_an_overloaded_turn_has_no_time_for_is_refused),
        cmocka_unit_test(a_turn_that_runs_on_refuses_from_within),
        cmocka_unit_test(health_checks_and_administrators_are_answered_all_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
