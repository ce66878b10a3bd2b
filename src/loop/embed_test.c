// Loops in other hands: on somebody's uv_loop_t, inside poll(2), and turned until an answer is there.
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/memory.h"
#include "loop/alarm.h"
#include "loop/descriptor.h"
#include "loop/embed.h"
#include "loop/loop_internal.h"

static int setup(void **state) {
    return dx_loop_create((dx_loop **)state) == DX_OK ? 0 : -1;
}

static int teardown(void **state) {
    dx_loop_destroy(*state);
    return 0;
}

static bool backend_readable(dx_loop *loop, int timeout_ms) {
    struct pollfd backend = {dx_loop_backend_fd(loop), POLLIN, 0};
    return poll(&backend, 1, timeout_ms) == 1;
}

// What a foreign loop does, until `done`.
static void drive(dx_loop *loop, const bool *done) {
    while (!*done) {
        dx_nanos wait = dx_loop_backend_timeout(loop);
        (void)backend_readable(loop, wait < 0 ? -1 : (int)((wait + DX_MILLISECOND - 1) / DX_MILLISECOND));
        dx_loop_turn(loop);
    }
}

typedef struct reader {
    dx_loop *loop;
    dx_descriptor *descriptor, *wakes; // the other's, wanted from inside
    dx_task *posts;
    int fd;
    bool done, rests;
} reader;

static void on_ready(void *ctx, int fd, unsigned events) {
    reader *r = ctx;
    char byte;
    (void)events;
    assert_int_equal(read(fd, &byte, 1), 1);
    r->done = true;
    if (r->rests) dx_descriptor_want(r->descriptor, 0);
    if (r->wakes) dx_descriptor_want(r->wakes, DX_READABLE);
    if (r->posts) dx_loop_post(r->loop, r->posts);
}

static int open_reader(reader *r, dx_loop *loop) { // the other end
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    *r = (reader){.loop = loop, .fd = fds[0]};
    assert_int_equal(dx_descriptor_create(&r->descriptor, loop, fds[0], on_ready, r), DX_OK);
    return fds[1];
}

static void close_reader(reader *r, int other) {
    dx_descriptor_destroy(r->descriptor);
    close(r->fd);
    close(other);
}

typedef struct flag {
    dx_task task;
    dx_alarm alarm;
    dx_deferred deferred;
    bool set;
} flag;

static void set_by_task(dx_task *task) {
    DX_CONTAINER_OF(task, flag, task)->set = true;
}

static void set_by_alarm(dx_alarm *alarm) {
    DX_CONTAINER_OF(alarm, flag, alarm)->set = true;
}

static void set_by_deferred(dx_deferred *deferred) {
    DX_CONTAINER_OF(deferred, flag, deferred)->set = true;
}

static void after_a_turn_the_backend_tells_of_every_descriptor(void **state) {
    reader a, b;
    int to_a = open_reader(&a, *state), to_b = open_reader(&b, *state);
    a.wakes = b.descriptor;
    dx_descriptor_want(a.descriptor, DX_READABLE);
    assert_int_equal(dx_loop_backend_timeout(*state), 0);
    dx_loop_turn(*state);
    assert_int_equal(dx_loop_backend_timeout(*state), -1);
    assert_false(backend_readable(*state, 0));
    assert_int_equal(write(to_a, "x", 1), 1);
    assert_true(backend_readable(*state, -1));
    dx_loop_turn(*state); // in which b begins to be watched
    assert_true(a.done);
    assert_int_equal(dx_loop_backend_timeout(*state), -1);
    assert_int_equal(write(to_b, "x", 1), 1);
    assert_true(backend_readable(*state, -1));
    dx_loop_turn(*state);
    assert_true(b.done);
    close_reader(&a, to_a);
    close_reader(&b, to_b);
}

static void what_a_turn_posts_and_defers_is_done_in_it_or_told(void **state) {
    reader a;
    int to_a = open_reader(&a, *state);
    flag posted = {.task = {NULL, set_by_task}};
    a.posts = &posted.task;
    dx_descriptor_want(a.descriptor, DX_READABLE);
    assert_int_equal(write(to_a, "x", 1), 1);
    dx_loop_turn(*state);
    assert_true(a.done && posted.set);
    close_reader(&a, to_a);
}

static void *post_it(void *ctx) {
    void **args = ctx;
    dx_loop_post(args[0], args[1]);
    return NULL;
}

static void task_of_another_thread_makes_the_backend_readable(void **state) {
    flag posted = {.task = {NULL, set_by_task}};
    void *args[] = {*state, &posted.task};
    pthread_t thread;
    dx_loop_turn(*state);
    assert_int_equal(pthread_create(&thread, NULL, post_it, args), 0);
    assert_true(backend_readable(*state, -1));
    drive(*state, &posted.set);
    pthread_join(thread, NULL);
}

static void foreign_loop_drives_alarms_timers_and_work(void **state) {
    flag alarm = {0}, deferred = {.deferred = {NULL, NULL, set_by_deferred}};
    assert_int_equal(dx_loop_backend_timeout(*state), 0); // libuv has handles that the kernel has not heard of
    dx_loop_turn(*state);
    assert_int_equal(dx_loop_backend_timeout(*state), -1);
    assert_int_equal(dx_alarm_init(&alarm.alarm, *state, set_by_alarm), DX_OK);
    dx_alarm_start(&alarm.alarm, 5 * DX_MILLISECOND);
    assert_in_range(dx_loop_backend_timeout(*state), 0, 6 * DX_MILLISECOND);
    drive(*state, &alarm.set);
    dx_loop_defer(*state, &deferred.deferred);
    assert_int_equal(dx_loop_backend_timeout(*state), 0);
    drive(*state, &deferred.set);
    dx_alarm_deinit(&alarm.alarm);
}

static void between_turns_now_is_the_clocks(void **state) {
    dx_loop_turn(*state);
    dx_nanos clock = dx_clock_monotonic();
    dx_micros_utc utc = dx_clock_utc();
    assert_true(dx_loop_now(*state) >= clock);
    assert_true(dx_loop_utc(*state) >= utc);
    while (dx_clock_utc() <= utc) {
    }
    utc = dx_clock_utc();
    assert_true(dx_loop_utc(*state) >= utc);
}

static void waiting_does_not_go_on_when_the_turn_has_done_something(void **state) {
    flag f = {.task = {NULL, set_by_task}, .deferred = {NULL, NULL, set_by_deferred}};
    assert_int_equal(dx_alarm_init(&f.alarm, *state, set_by_alarm), DX_OK);
    dx_loop_wait(*state, 0);
    dx_alarm_start(&f.alarm, 0); // in the timers of the next turn, before its wait
    dx_loop_wait(*state, -1);
    assert_true(f.set);
    f.set = false;
    dx_loop_defer(*state, &f.deferred);
    dx_loop_wait(*state, -1);
    assert_true(f.set);
    f.set = false;
    dx_alarm_start(&f.alarm, 0);
    assert_true(dx_loop_wait_for(*state, &f.set, -1));
    f.set = false;
    dx_loop_post(*state, &f.task);
    assert_true(dx_loop_wait_for(*state, &f.set, -1));
    assert_true(dx_loop_wait_for(*state, &f.set, -1));
    dx_alarm_deinit(&f.alarm);
}

static void waiting_ends_with_its_time(void **state) {
    bool never = false;
    dx_nanos begun = dx_clock_monotonic();
    assert_false(dx_loop_wait_for(*state, &never, 3 * DX_MILLISECOND + 1));
    assert_true(dx_clock_monotonic() - begun > 3 * DX_MILLISECOND);
    assert_false(dx_loop_wait_for(*state, &never, 0));
    dx_loop_wait(*state, DX_MILLISECOND);
    assert_false(uv_is_active((uv_handle_t *)&((dx_loop *)*state)->limit));
}

static void task_posted_by_what_a_wait_brought_is_waited_for(void **state) {
    reader a;
    int to_a = open_reader(&a, *state);
    flag posted = {.task = {NULL, set_by_task}};
    a.posts = &posted.task;
    dx_descriptor_want(a.descriptor, DX_READABLE);
    assert_int_equal(write(to_a, "x", 1), 1);
    assert_true(dx_loop_wait_for(*state, &posted.set, -1));
    close_reader(&a, to_a);
}

static bool pipe_signal_blocked(void) {
    sigset_t now;
    pthread_sigmask(SIG_SETMASK, NULL, &now);
    return sigismember(&now, SIGPIPE) == 1;
}

static bool blocked_inside;

static void look_at_signals(dx_task *task) {
    (void)task;
    blocked_inside = pipe_signal_blocked();
}

static void broken_pipes_are_no_signal_inside_a_turn_and_are_again_behind_it(void **state) {
    dx_task task = {NULL, look_at_signals};
    assert_false(pipe_signal_blocked());
    for (int i = 0; i < 2; i++) {
        blocked_inside = false;
        dx_loop_post(*state, &task);
        if (i == 0)
            dx_loop_turn(*state);
        else
            dx_loop_wait(*state, -1);
        assert_true(blocked_inside);
        assert_false(pipe_signal_blocked());
    }
}

static void set_closed(void *ctx) {
    *(bool *)ctx = true;
}

static void their_loop_runs_ours_and_outlives_it(void **state) {
    (void)state;
    uv_loop_t theirs;
    dx_loop *loop = NULL;
    reader a;
    flag alarm = {0}, posted = {.task = {NULL, set_by_task}}, deferred = {.deferred = {NULL, NULL, set_by_deferred}};
    bool closed = false;
    assert_int_equal(uv_loop_init(&theirs), 0);
    assert_int_equal(dx_loop_create_on(&loop, &theirs), DX_OK);
    assert_int_equal(uv_run(&theirs, UV_RUN_DEFAULT), 0); // nothing of ours holds it
    int to_a = open_reader(&a, loop);
    assert_int_equal(dx_alarm_init(&alarm.alarm, loop, set_by_alarm), DX_OK);
    dx_descriptor_want(a.descriptor, DX_READABLE);
    assert_int_equal(write(to_a, "x", 1), 1);
    dx_alarm_start(&alarm.alarm, DX_MILLISECOND);
    dx_loop_post(loop, &posted.task);
    dx_loop_defer(loop, &deferred.deferred);
    while (!a.done) assert_true(uv_run(&theirs, UV_RUN_ONCE));
    dx_descriptor_want(a.descriptor, 0);
    assert_int_equal(uv_run(&theirs, UV_RUN_DEFAULT), 0); // the alarm held it until it was over
    assert_true(alarm.set && posted.set && deferred.set);
    assert_int_equal(dx_loop_run(loop), DX_CONFLICT);
    dx_nanos clock = dx_clock_monotonic();
    assert_true(dx_loop_now(loop) >= clock);
    dx_alarm_deinit(&alarm.alarm);
    close_reader(&a, to_a);
    dx_loop_leave(loop, set_closed, &closed);
    assert_false(closed);
    assert_int_equal(uv_run(&theirs, UV_RUN_DEFAULT), 0);
    assert_true(closed);
    assert_int_equal(uv_loop_close(&theirs), 0);
}

static void their_loop_goes_on_for_what_is_to_be_done_and_ends_behind_it(void **state) {
    (void)state;
    uv_loop_t theirs;
    dx_loop *loop = NULL;
    reader a;
    flag deferred = {.deferred = {NULL, NULL, set_by_deferred}};
    assert_int_equal(uv_loop_init(&theirs), 0);
    assert_int_equal(dx_loop_create_on(&loop, &theirs), DX_OK);
    dx_loop_defer(loop, &deferred.deferred);
    assert_int_equal(uv_run(&theirs, UV_RUN_DEFAULT), 0);
    assert_true(deferred.set);
    int to_a = open_reader(&a, loop);
    a.rests = true;
    dx_descriptor_want(a.descriptor, DX_READABLE); // libuv does not know of it yet
    assert_int_equal(write(to_a, "x", 1), 1);
    assert_int_equal(uv_run(&theirs, UV_RUN_DEFAULT), 0);
    assert_true(a.done);
    dx_loop_hold(loop);
    dx_loop_hold(loop);
    dx_loop_let_go(loop);
    assert_int_not_equal(uv_run(&theirs, UV_RUN_NOWAIT), 0);
    dx_loop_let_go(loop);
    assert_false(uv_loop_alive(&theirs));
    close_reader(&a, to_a);
    dx_loop_leave(loop, NULL, NULL);
    assert_int_equal(uv_run(&theirs, UV_RUN_DEFAULT), 0);
    assert_int_equal(uv_loop_close(&theirs), 0);
}

static void leaving_a_loop_of_our_own_ends_it_at_once(void **state) {
    (void)state;
    dx_loop *loop = NULL;
    bool closed = false;
    assert_int_equal(dx_loop_create(&loop), DX_OK);
    dx_loop_leave(loop, set_closed, &closed);
    assert_true(closed);
    dx_loop_leave(NULL, NULL, NULL);
}

static void without_memory_nothing_is_put_on_their_loop(void **state) {
    (void)state;
    uv_loop_t theirs;
    dx_loop *loop = NULL;
    assert_int_equal(uv_loop_init(&theirs), 0);
    dx_memory_fail_at(1, false);
    assert_int_equal(dx_loop_create_on(&loop, &theirs), DX_NO_MEMORY);
    assert_true(dx_memory_fail_stop());
    assert_null(loop);
    assert_int_equal(uv_loop_close(&theirs), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(after_a_turn_the_backend_tells_of_every_descriptor, setup, teardown),
        cmocka_unit_test_setup_teardown(what_a_turn_posts_and_defers_is_done_in_it_or_told, setup, teardown),
        cmocka_unit_test_setup_teardown(task_of_another_thread_makes_the_backend_readable, setup, teardown),
        cmocka_unit_test_setup_teardown(foreign_loop_drives_alarms_timers_and_work, setup, teardown),
        cmocka_unit_test_setup_teardown(between_turns_now_is_the_clocks, setup, teardown),
        cmocka_unit_test_setup_teardown(waiting_does_not_go_on_when_the_turn_has_done_something, setup, teardown),
        cmocka_unit_test_setup_teardown(waiting_ends_with_its_time, setup, teardown),
        cmocka_unit_test_setup_teardown(task_posted_by_what_a_wait_brought_is_waited_for, setup, teardown),
        cmocka_unit_test_setup_teardown(broken_pipes_are_no_signal_inside_a_turn_and_are_again_behind_it, setup, teardown),
        cmocka_unit_test(their_loop_runs_ours_and_outlives_it),
        cmocka_unit_test(their_loop_goes_on_for_what_is_to_be_done_and_ends_behind_it),
        cmocka_unit_test(leaving_a_loop_of_our_own_ends_it_at_once),
        cmocka_unit_test(without_memory_nothing_is_put_on_their_loop),
    };
    return cmocka_run_group_tests_name("embed", tests, NULL, NULL);
}
