// The loop: running and stopping, posted tasks, work off the loop, hooks at a turn's end.
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/memory.h"
#include "loop/loop_internal.h"

static int setup(void **state) {
    return dx_loop_create((dx_loop **)state) == DX_OK ? 0 : -1;
}

static int teardown(void **state) {
    dx_loop_destroy(*state);
    return 0;
}

typedef struct job {
    dx_task task;
    dx_loop *loop;
    int number, *expected;
    bool last;
} job;

static void run_job(dx_task *task) {
    job *j = DX_CONTAINER_OF(task, job, task);
    assert_int_equal(j->number, *j->expected);
    ++*j->expected;
    if (j->last) dx_loop_stop(j->loop);
}

static void tasks_of_one_thread_run_in_order(void **state) {
    dx_loop *loop = *state;
    enum { COUNT = 100 };
    job jobs[COUNT];
    int expected = 0;
    for (int i = 0; i < COUNT; i++) {
        jobs[i] = (job){{NULL, run_job}, loop, i, &expected, i == COUNT - 1};
        dx_loop_post(loop, &jobs[i].task);
    }
    assert_int_equal(dx_loop_run(loop), DX_OK);
    assert_int_equal(expected, COUNT);
}

enum { THREADS = 4, POSTS = 20000 };
typedef struct poster {
    dx_loop *loop;
    job *jobs;
    int expected;
} poster;
static int posters_left; // the loop's thread alone touches it

static void run_posted(dx_task *task) {
    job *j = DX_CONTAINER_OF(task, job, task);
    assert_int_equal(j->number, *j->expected);
    ++*j->expected;
    if (j->last && --posters_left == 0) dx_loop_stop(j->loop);
}

static void *post_many(void *arg) {
    poster *p = arg;
    for (int i = 0; i < POSTS; i++) {
        p->jobs[i] = (job){{NULL, run_posted}, p->loop, i, &p->expected, i == POSTS - 1};
        dx_loop_post(p->loop, &p->jobs[i].task);
    }
    return NULL;
}

static void tasks_of_many_threads_all_run_each_threads_in_order(void **state) {
    dx_loop *loop = *state;
    poster posters[THREADS];
    pthread_t threads[THREADS];
    posters_left = THREADS;
    for (int i = 0; i < THREADS; i++) {
        posters[i] = (poster){loop, calloc(POSTS, sizeof(job)), 0};
        assert_int_equal(pthread_create(&threads[i], NULL, post_many, &posters[i]), 0);
    }
    assert_int_equal(dx_loop_run(loop), DX_OK);
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(posters[i].expected, POSTS);
        free(posters[i].jobs);
    }
}

typedef struct relay {
    dx_task task;
    dx_loop *loop;
    int left;
} relay;

static void run_relay(dx_task *task) {
    relay *r = DX_CONTAINER_OF(task, relay, task);
    if (--r->left > 0)
        dx_loop_post(r->loop, task);
    else
        dx_loop_stop(r->loop);
}

static void task_may_post_itself_again(void **state) {
    relay r = {{NULL, run_relay}, *state, 1000};
    dx_loop_post(r.loop, &r.task);
    assert_int_equal(dx_loop_run(r.loop), DX_OK);
    assert_int_equal(r.left, 0);
}

static void task_posted_when_the_loop_has_stopped_still_runs(void **state) {
    dx_loop *loop = *state;
    relay r = {{NULL, run_relay}, loop, 10};
    dx_loop_stop(loop);
    dx_loop_post(loop, &r.task);
    assert_int_equal(dx_loop_run(loop), DX_OK);
    assert_int_equal(r.left, 0);
}

static void *stop_it(void *loop) {
    dx_loop_stop(loop);
    return NULL;
}

static void another_thread_stops_the_loop_and_it_may_run_again(void **state) {
    for (int i = 0; i < 3; i++) {
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, stop_it, *state), 0);
        assert_int_equal(dx_loop_run(*state), DX_OK);
        pthread_join(thread, NULL);
    }
}

typedef struct slow {
    dx_work work;
    pthread_t worked_on, done_on;
    int *left;
    dx_loop *stop;
} slow;

static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;

static void work_slowly(dx_work *work) {
    slow *s = DX_CONTAINER_OF(work, slow, work);
    s->worked_on = pthread_self();
    pthread_mutex_lock(&gate);
    pthread_mutex_unlock(&gate);
}

static void work_done(dx_work *work) {
    slow *s = DX_CONTAINER_OF(work, slow, work);
    s->done_on = pthread_self();
    if (--*s->left == 0) dx_loop_stop(work->loop);
}

static void work_runs_elsewhere_and_is_done_on_the_loop(void **state) {
    int left = 1;
    slow s = {.work = {.work = work_slowly, .done = work_done}, .left = &left};
    assert_int_equal(dx_loop_work(*state, &s.work), DX_OK);
    assert_int_equal(dx_loop_run(*state), DX_OK);
    assert_false(pthread_equal(s.worked_on, pthread_self()));
    assert_true(pthread_equal(s.done_on, pthread_self()));
}

static void work_over_the_queue_cap_is_refused(void **state) {
    enum { MOST = DX_WORK_QUEUE_CAP + 64 };
    slow *all = calloc(MOST, sizeof *all);
    int left = 0, taken = 0;
    dx_status status = DX_OK;
    pthread_mutex_lock(&gate);
    for (; taken < MOST; taken++) {
        all[taken] = (slow){.work = {.work = work_slowly, .done = work_done}, .left = &left};
        status = dx_loop_work(*state, &all[taken].work);
        if (status != DX_OK) break;
        left++;
    }
    pthread_mutex_unlock(&gate);
    assert_int_equal(status, DX_OVERLOADED);
    assert_in_range(taken, DX_WORK_QUEUE_CAP, MOST - 1);
    assert_int_equal(dx_loop_run(*state), DX_OK);
    assert_int_equal(left, 0);
    left = 1; // and once the queue has room, work is taken again
    assert_int_equal(dx_loop_work(*state, &all[0].work), DX_OK);
    assert_int_equal(dx_loop_run(*state), DX_OK);
    free(all);
}

typedef struct turn_log {
    char text[64];
    size_t size;
    dx_loop *loop;
    int hooks;
} turn_log;

static void note(turn_log *log, char what) {
    if (log->size + 1 < sizeof log->text) log->text[log->size++] = what;
}

typedef struct noting {
    dx_task task;
    turn_log *log;
} noting;

static void run_noting(dx_task *task) {
    note(DX_CONTAINER_OF(task, noting, task)->log, 't');
}

static noting from_io;

static void on_readable(uv_poll_t *handle, int status, int events) {
    (void)status, (void)events;
    turn_log *log = handle->data;
    char byte;
    assert_int_equal(read(handle->io_watcher.fd, &byte, 1), 1);
    note(log, 'r');
    dx_loop_post(log->loop, &from_io.task);
    uv_close((uv_handle_t *)handle, NULL);
}

static void on_hook(void *ctx) {
    turn_log *log = ctx;
    note(log, 'h');
    log->hooks++;
    if (memchr(log->text, 'r', log->size)) dx_loop_stop(log->loop);
}

static void hooks_run_behind_the_io_and_the_tasks_of_a_turn(void **state) {
    dx_loop *loop = *state;
    turn_log log = {.loop = loop};
    int ends[2];
    uv_poll_t readable;
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(write(ends[1], "x", 1), 1);
    readable.data = &log;
    from_io = (noting){{NULL, run_noting}, &log};
    assert_int_equal(uv_poll_init(dx_loop_uv(loop), &readable, ends[0]), 0);
    assert_int_equal(uv_poll_start(&readable, UV_READABLE, on_readable), 0);
    assert_int_equal(dx_loop_on_turn_end(loop, on_hook, &log), DX_OK);
    assert_int_equal(dx_loop_run(loop), DX_OK);
    log.text[log.size] = 0;
    assert_non_null(strstr(log.text, "rth"));
    close(ends[0]);
    close(ends[1]);
}

static void ninth_hook_is_refused(void **state) {
    turn_log log = {.loop = *state};
    for (int i = 0; i < DX_LOOP_HOOKS_CAP; i++) assert_int_equal(dx_loop_on_turn_end(*state, on_hook, &log), DX_OK);
    assert_int_equal(dx_loop_on_turn_end(*state, on_hook, &log), DX_OVERLOADED);
}

typedef struct later {
    dx_deferred deferred;
    turn_log *log;
    int more; // how often it defers itself again
    bool stops;
} later;

static void run_later(dx_deferred *deferred) {
    later *l = DX_CONTAINER_OF(deferred, later, deferred);
    note(l->log, 'd');
    if (l->more > 0) {
        l->more--;
        dx_loop_defer(l->log->loop, deferred);
    } else if (l->stops) {
        dx_loop_stop(l->log->loop);
    }
}

static later late;

static void defer_twice(dx_task *task) {
    note(late.log, 't');
    dx_loop_defer(late.log->loop, &late.deferred);
    dx_loop_defer(late.log->loop, &late.deferred);
    (void)task;
}

static void note_hook(void *ctx) {
    note(ctx, 'h');
}

static void deferred_runs_once_behind_tasks_and_hooks(void **state) {
    turn_log log = {.loop = *state};
    late = (later){{NULL, NULL, run_later}, &log, 0, true};
    dx_task task = {NULL, defer_twice};
    assert_int_equal(dx_loop_on_turn_end(*state, note_hook, &log), DX_OK);
    log.loop->turned = true;
    dx_loop_post(*state, &task);
    assert_int_equal(dx_loop_run(*state), DX_OK);
    assert_memory_equal(log.text, "thd", 3);
    assert_null(memchr(log.text + 3, 'd', log.size - 3));
}

static void what_is_deferred_meanwhile_runs_in_the_same_turn_up_to_a_cap(void **state) {
    dx_loop *loop = *state;
    turn_log log = {.loop = loop};
    later l = {{NULL, NULL, run_later}, &log, 2 * DX_DEFERRED_CAP + 10, true};
    dx_loop_defer(loop, &l.deferred);
    (void)uv_run(loop->uv, UV_RUN_NOWAIT);
    assert_int_equal(l.more, DX_DEFERRED_CAP + 10);
    assert_non_null(l.deferred.link);
    assert_int_equal(dx_loop_run(loop), DX_OK); // and was woken for the rest
    assert_int_equal(l.more, 0);
}

static void deferred_in_order_but_for_those_taken_back(void **state) {
    dx_loop *loop = *state;
    turn_log log[3] = {{.loop = loop}, {.loop = loop}, {.loop = loop}};
    later l[3];
    for (int i = 0; i < 3; i++) {
        l[i] = (later){{NULL, NULL, run_later}, &log[i], 0, i == 1};
        dx_loop_defer(loop, &l[i].deferred);
    }
    dx_loop_undefer(loop, &l[2].deferred); // the last, then one in front
    dx_loop_undefer(loop, &l[0].deferred);
    dx_loop_undefer(loop, &l[0].deferred);
    dx_loop_defer(loop, &l[0].deferred);
    assert_ptr_equal(loop->deferred, &l[1].deferred);
    assert_ptr_equal(l[1].deferred.next, &l[0].deferred);
    assert_int_equal(dx_loop_run(loop), DX_OK);
    assert_int_equal(log[0].size + log[1].size, 2);
    assert_int_equal(log[2].size, 0);
}

static void loop_is_measured_from_the_first_time_asked(void **state) {
    assert_int_equal(dx_loop_busy_so_far(*state, dx_clock_monotonic()), 0);
    assert_int_equal(dx_loop_busy(*state), 0);
    dx_nanos later_on = dx_clock_monotonic() + DX_SECOND;
    assert_in_range(dx_loop_busy_so_far(*state, later_on), DX_SECOND / 2, 10 * DX_SECOND);
}

static void loop_without_memory_is_not_made(void **state) {
    (void)state;
    dx_loop *loop = NULL;
    dx_memory_fail_at(1, false);
    assert_int_equal(dx_loop_create(&loop), DX_NO_MEMORY);
    assert_true(dx_memory_fail_stop());
    dx_loop_destroy(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(tasks_of_one_thread_run_in_order, setup, teardown),
        cmocka_unit_test_setup_teardown(tasks_of_many_threads_all_run_each_threads_in_order, setup, teardown),
        cmocka_unit_test_setup_teardown(task_may_post_itself_again, setup, teardown),
        cmocka_unit_test_setup_teardown(task_posted_when_the_loop_has_stopped_still_runs, setup, teardown),
        cmocka_unit_test_setup_teardown(another_thread_stops_the_loop_and_it_may_run_again, setup, teardown),
        cmocka_unit_test_setup_teardown(work_runs_elsewhere_and_is_done_on_the_loop, setup, teardown),
        cmocka_unit_test_setup_teardown(work_over_the_queue_cap_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(hooks_run_behind_the_io_and_the_tasks_of_a_turn, setup, teardown),
        cmocka_unit_test_setup_teardown(ninth_hook_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(deferred_runs_once_behind_tasks_and_hooks, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_deferred_meanwhile_runs_in_the_same_turn_up_to_a_cap, setup, teardown),
        cmocka_unit_test_setup_teardown(deferred_in_order_but_for_those_taken_back, setup, teardown),
        cmocka_unit_test_setup_teardown(loop_is_measured_from_the_first_time_asked, setup, teardown),
        cmocka_unit_test(loop_without_memory_is_not_made),
    };
    return cmocka_run_group_tests_name("loop", tests, NULL, NULL);
}
