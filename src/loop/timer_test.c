// The timer wheel: order, bounds, moving, and timers that act on each other while they fire.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "loop/loop_internal.h"

typedef struct probe {
    dx_timer timer;
    dx_loop *loop;
    dx_nanos started, after, fired_at;
    int fired;
    struct probe *stops; // timer to stop when this one fires
    dx_nanos again;      // start again after this, `repeats` times
    int repeats;
    int *left; // the loop stops when it reaches 0
} probe;

static void on_fire(dx_timer *timer) {
    probe *p = DX_CONTAINER_OF(timer, probe, timer);
    p->fired++;
    p->fired_at = dx_clock_monotonic();
    if (p->stops) dx_timer_stop(p->loop, &p->stops->timer);
    if (p->repeats > 0) {
        p->repeats--;
        dx_timer_start(p->loop, &p->timer, p->again);
        return;
    }
    if (p->left && --*p->left == 0) dx_loop_stop(p->loop);
}

static void start(probe *p, dx_loop *loop, dx_nanos after, int *left) {
    p->loop = loop;
    p->left = left;
    p->after = after;
    p->started = dx_clock_monotonic();
    p->timer.fire = on_fire;
    dx_timer_start(loop, &p->timer, after);
}

static int setup(void **state) {
    return dx_loop_create((dx_loop **)state) == DX_OK ? 0 : -1;
}

static int teardown(void **state) {
    dx_loop_destroy(*state);
    return 0;
}

static void no_timer_fires_early_and_each_fires_once(void **state) {
    dx_loop *loop = *state;
    enum { COUNT = 200 };
    static probe probes[COUNT];
    memset(probes, 0, sizeof probes);
    int left = COUNT;
    for (int i = 0; i < COUNT; i++) start(&probes[i], loop, (i % 40) * 10 * DX_MILLISECOND, &left);
    assert_int_equal(dx_loop_run(loop), DX_OK);
    for (int i = 0; i < COUNT; i++) {
        assert_int_equal(probes[i].fired, 1);
        assert_true(probes[i].fired_at - probes[i].started >= probes[i].after);
        assert_null(probes[i].timer.link);
    }
}

static void stopped_timer_does_not_fire(void **state) {
    dx_loop *loop = *state;
    probe first = {0}, second = {0}, last = {0};
    int left = 1;
    start(&first, loop, DX_MILLISECOND, NULL);
    start(&second, loop, DX_MILLISECOND, NULL);
    dx_timer_stop(loop, &first.timer);
    dx_timer_stop(loop, &first.timer); // twice is allowed
    start(&last, loop, 200 * DX_MILLISECOND, &left);
    assert_int_equal(dx_loop_run(loop), DX_OK);
    assert_int_equal(first.fired, 0);
    assert_int_equal(second.fired, 1);
}

static void timer_stopped_by_another_of_the_same_tick_does_not_fire(void **state) {
    dx_loop *loop = *state;
    probe a = {0}, b = {0}, last = {0};
    int left = 1;
    a.stops = &b;
    b.stops = &a;
    start(&a, loop, 0, NULL);
    start(&b, loop, 0, NULL);
    start(&last, loop, 200 * DX_MILLISECOND, &left);
    assert_int_equal(dx_loop_run(loop), DX_OK);
    assert_int_equal(a.fired + b.fired, 1);
}

static void starting_a_running_timer_moves_it(void **state) {
    dx_loop *loop = *state;
    probe p = {0}, last = {0};
    int left = 2;
    start(&p, loop, 3600 * DX_SECOND, &left);
    start(&p, loop, 70 * DX_MILLISECOND, &left);
    start(&last, loop, 10 * DX_MILLISECOND, &left);
    assert_int_equal(dx_loop_run(loop), DX_OK);
    assert_int_equal(p.fired, 1);
    assert_true(p.fired_at - p.started < 3600 * DX_SECOND);
}

static void timer_started_while_it_fires_runs_in_a_later_tick(void **state) {
    dx_loop *loop = *state;
    probe p = {0};
    int left = 1;
    p.repeats = 3;
    start(&p, loop, 0, &left);
    assert_int_equal(dx_loop_run(loop), DX_OK);
    assert_int_equal(p.fired, 4);
}

static void farthest_timers_neither_fire_nor_overflow(void **state) {
    dx_loop *loop = *state;
    const dx_nanos days = 86400 * DX_SECOND;
    probe far[6] = {0}, last = {0};
    const dx_nanos after[6] = {5 * DX_SECOND, 300 * DX_SECOND, 5 * 3600 * DX_SECOND, 13 * days, 36500 * days, INT64_MAX};
    int left = 1;
    for (int i = 0; i < 6; i++) start(&far[i], loop, after[i], NULL);
    start(&last, loop, 100 * DX_MILLISECOND, &left);
    assert_int_equal(dx_loop_run(loop), DX_OK);
    for (int i = 0; i < 6; i++) {
        assert_int_equal(far[i].fired, 0);
        assert_non_null(far[i].timer.link);
        dx_timer_stop(loop, &far[i].timer);
    }
    assert_int_equal(loop->wheel.running, 0);
}

// Turns the wheel by hand through four days, in uneven steps, and compares with a plain list.
static void wheel_agrees_with_a_plain_list_over_days(void **state) {
    dx_loop *loop = *state;
    enum { COUNT = 3000 };
    static probe probes[COUNT];
    memset(probes, 0, sizeof probes);
    uint32_t seed = 1;
    dx_nanos base = dx_clock_monotonic();
    for (int i = 0; i < COUNT; i++) {
        seed = seed * 1664525u + 1013904223u;
        dx_nanos span = (dx_nanos)1 << (26 + (seed >> 8) % 22); // 67 ms to 3 days
        start(&probes[i], loop, span + (dx_nanos)(seed % 1000) * DX_MILLISECOND, NULL);
    }
    dx_nanos at = base;
    for (int step = 0; step < 4000; step++) {
        seed = seed * 1664525u + 1013904223u;
        at += (dx_nanos)1 << (27 + (seed >> 8) % 20);
        loop->uv->time = (uint64_t)(at / DX_MILLISECOND);
        // What the ticker would do; it is armed for this tick or an earlier one whenever a timer is due.
        if (loop->wheel.armed != INT64_MAX && loop->wheel.armed <= at / DX_TIMER_TICK) loop->wheel.ticker.timer_cb(&loop->wheel.ticker);
        dx_nanos shown = (dx_nanos)loop->uv->time * DX_MILLISECOND;
        for (int i = 0; i < COUNT; i++) {
            if (probes[i].timer.due > shown) assert_int_equal(probes[i].fired, 0);
            if (probes[i].timer.due + 2 * DX_TIMER_TICK <= shown) assert_int_equal(probes[i].fired, 1);
        }
        if (loop->wheel.running == 0) break;
    }
    assert_int_equal(loop->wheel.running, 0);
    uv_update_time(loop->uv);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(no_timer_fires_early_and_each_fires_once, setup, teardown),
        cmocka_unit_test_setup_teardown(stopped_timer_does_not_fire, setup, teardown),
        cmocka_unit_test_setup_teardown(timer_stopped_by_another_of_the_same_tick_does_not_fire, setup, teardown),
        cmocka_unit_test_setup_teardown(starting_a_running_timer_moves_it, setup, teardown),
        cmocka_unit_test_setup_teardown(timer_started_while_it_fires_runs_in_a_later_tick, setup, teardown),
        cmocka_unit_test_setup_teardown(farthest_timers_neither_fire_nor_overflow, setup, teardown),
        cmocka_unit_test_setup_teardown(wheel_agrees_with_a_plain_list_over_days, setup, teardown),
    };
    return cmocka_run_group_tests_name("timer", tests, NULL, NULL);
}
