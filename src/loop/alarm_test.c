// Alarms: never early, and safe to start, end and free from inside.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/memory.h"
#include "loop/alarm.h"
#include "loop/embed.h"
#include "loop/loop_internal.h"

static int setup(void **state) {
    return dx_loop_create((dx_loop **)state) == DX_OK ? 0 : -1;
}

static int teardown(void **state) {
    dx_loop_destroy(*state);
    return 0;
}

typedef struct probe {
    dx_alarm alarm;
    dx_nanos due;
    int fired, again;
    bool early, ends, done;
} probe;

static void on_fire(dx_alarm *alarm) {
    probe *p = DX_CONTAINER_OF(alarm, probe, alarm);
    p->fired++;
    p->early |= dx_clock_monotonic() < p->due;
    if (p->again > 0) {
        p->again--;
        dx_alarm_start(alarm, 0);
        return;
    }
    p->done = true;
    if (p->ends) {
        dx_alarm_deinit(alarm);
        free(p);
    }
}

static void start(probe *p, dx_nanos after) {
    p->due = dx_clock_monotonic() + after;
    dx_alarm_start(&p->alarm, after);
}

static void no_alarm_fires_early_and_each_fires_once(void **state) {
    enum { COUNT = 40 };
    static probe p[COUNT];
    for (int i = 0; i < COUNT; i++) {
        p[i] = (probe){0};
        assert_int_equal(dx_alarm_init(&p[i].alarm, *state, on_fire), DX_OK);
        start(&p[i], i * DX_MILLISECOND / 3 + 1);
        assert_true(dx_alarm_running(&p[i].alarm));
    }
    for (int i = 0; i < COUNT; i++) {
        assert_true(dx_loop_wait_for(*state, &p[i].done, -1));
        assert_false(p[i].early);
    }
    for (int i = 0; i < COUNT; i++) {
        assert_int_equal(p[i].fired, 1);
        assert_false(dx_alarm_running(&p[i].alarm));
        dx_alarm_deinit(&p[i].alarm);
    }
}

static void alarm_may_be_started_again_while_it_fires(void **state) {
    probe p = {.again = 3};
    assert_int_equal(dx_alarm_init(&p.alarm, *state, on_fire), DX_OK);
    start(&p, 0);
    assert_true(dx_loop_wait_for(*state, &p.done, -1));
    assert_int_equal(p.fired, 4);
    dx_alarm_deinit(&p.alarm);
}

static void what_holds_an_alarm_may_be_freed_while_it_fires(void **state) {
    probe *p = calloc(1, sizeof *p), last = {0};
    p->ends = true;
    assert_int_equal(dx_alarm_init(&p->alarm, *state, on_fire), DX_OK);
    assert_int_equal(dx_alarm_init(&last.alarm, *state, on_fire), DX_OK);
    start(p, 0);
    start(&last, DX_MILLISECOND);
    assert_true(dx_loop_wait_for(*state, &last.done, -1));
    dx_alarm_deinit(&last.alarm);
}

static void ended_alarm_does_not_fire_nor_touch_its_memory(void **state) {
    probe *p = calloc(1, sizeof *p), stopped = {0}, moved = {0};
    assert_int_equal(dx_alarm_init(&p->alarm, *state, on_fire), DX_OK);
    assert_int_equal(dx_alarm_init(&stopped.alarm, *state, on_fire), DX_OK);
    assert_int_equal(dx_alarm_init(&moved.alarm, *state, on_fire), DX_OK);
    start(p, 0);
    start(&stopped, 0);
    start(&moved, 0);
    dx_alarm_deinit(&p->alarm);
    dx_alarm_deinit(&p->alarm);
    dx_alarm_stop(&p->alarm);
    free(p);
    dx_alarm_stop(&stopped.alarm);
    start(&moved, 2 * DX_MILLISECOND);
    assert_true(dx_loop_wait_for(*state, &moved.done, -1));
    assert_false(moved.early);
    assert_int_equal(stopped.fired, 0);
    dx_alarm_deinit(&stopped.alarm);
    dx_alarm_deinit(&moved.alarm);
}

static void farthest_alarm_neither_fires_nor_holds_the_loop(void **state) {
    probe far = {0};
    assert_int_equal(dx_alarm_init(&far.alarm, *state, on_fire), DX_OK);
    dx_alarm_start(&far.alarm, INT64_MAX);
    dx_loop_stop(*state);
    assert_int_equal(dx_loop_run(*state), DX_OK);
    assert_int_equal(far.fired, 0);
    dx_alarm_deinit(&far.alarm);
}

static void alarm_without_memory_is_not_made(void **state) {
    dx_alarm alarm;
    dx_memory_fail_at(1, false);
    assert_int_equal(dx_alarm_init(&alarm, *state, on_fire), DX_NO_MEMORY);
    assert_true(dx_memory_fail_stop());
    assert_false(dx_alarm_running(&alarm));
    dx_alarm_stop(&alarm);
    dx_alarm_deinit(&alarm);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(no_alarm_fires_early_and_each_fires_once, setup, teardown),
        cmocka_unit_test_setup_teardown(alarm_may_be_started_again_while_it_fires, setup, teardown),
        cmocka_unit_test_setup_teardown(what_holds_an_alarm_may_be_freed_while_it_fires, setup, teardown),
        cmocka_unit_test_setup_teardown(ended_alarm_does_not_fire_nor_touch_its_memory, setup, teardown),
        cmocka_unit_test_setup_teardown(farthest_alarm_neither_fires_nor_holds_the_loop, setup, teardown),
        cmocka_unit_test_setup_teardown(alarm_without_memory_is_not_made, setup, teardown),
    };
    return cmocka_run_group_tests_name("alarm", tests, NULL, NULL);
}
