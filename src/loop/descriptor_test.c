// Descriptors of others: what their owner wants reaches the kernel late and seldom, and what comes reaches the owner.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/memory.h"
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

typedef struct end {
    dx_loop *loop;
    dx_descriptor *descriptor;
    int fd, calls, rounds;
    unsigned came, then; // what is wanted from inside `ready`
    bool reads, answers, destroys, done;
} end;

static void on_ready(void *ctx, int fd, unsigned events) {
    end *e = ctx;
    char byte;
    assert_int_equal(fd, e->fd);
    e->calls++;
    e->came |= events;
    e->done = true;
    if (e->reads && (events & DX_READABLE)) assert_int_equal(read(fd, &byte, 1), 1);
    if (e->answers) {
        dx_descriptor_want(e->descriptor, 0);
        assert_int_equal(write(fd, "x", 1), 1);
        e->rounds++;
    }
    dx_descriptor_want(e->descriptor, e->then);
    if (e->destroys) {
        dx_descriptor_destroy(e->descriptor);
        e->descriptor = NULL;
    }
}

static void watch(end *e, dx_loop *loop, int fd) {
    *e = (end){.loop = loop, .fd = fd, .then = DX_READABLE};
    assert_int_equal(dx_descriptor_create(&e->descriptor, loop, fd, on_ready, e), DX_OK);
}

static void pair(end ends[2], dx_loop *loop) {
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    watch(&ends[0], loop, fds[0]);
    watch(&ends[1], loop, fds[1]);
}

static void drop(end *e) {
    dx_descriptor_destroy(e->descriptor);
    close(e->fd);
}

static void want_that_comes_and_goes_each_round_tells_the_kernel_nothing(void **state) {
    dx_loop *loop = *state;
    end ends[2];
    pair(ends, loop);
    for (int i = 0; i < 2; i++) {
        ends[i].reads = ends[i].answers = true;
        dx_descriptor_want(ends[i].descriptor, DX_READABLE);
    }
    assert_int_equal(write(ends[0].fd, "x", 1), 1);
    dx_loop_wait(loop, -1);
    uint64_t told = loop->told;
    assert_int_equal(told, 2);
    while (ends[1].rounds < 1000) dx_loop_wait(loop, -1);
    assert_int_equal(loop->told, told);
    // At rest between two turns, as a kept connection is.
    ends[0].answers = ends[1].answers = false;
    int calls = ends[0].calls + ends[1].calls;
    while (ends[0].calls + ends[1].calls == calls) dx_loop_wait(loop, -1); // the byte under way
    for (int i = 0; i < 100; i++) {
        dx_descriptor_want(ends[0].descriptor, 0);
        dx_loop_turn(loop);
        dx_descriptor_want(ends[0].descriptor, DX_READABLE);
        ends[0].done = false;
        assert_int_equal(write(ends[1].fd, "x", 1), 1);
        assert_true(dx_loop_wait_for(loop, &ends[0].done, -1));
    }
    assert_int_equal(loop->told, told);
    drop(&ends[0]);
    drop(&ends[1]);
}

static void changes_of_one_turn_are_told_at_its_end_and_once(void **state) {
    dx_loop *loop = *state;
    end ends[2];
    pair(ends, loop);
    for (int i = 0; i < 100; i++) {
        dx_descriptor_want(ends[0].descriptor, DX_READABLE);
        dx_descriptor_want(ends[0].descriptor, DX_READABLE | DX_WRITABLE);
        dx_descriptor_want(ends[0].descriptor, 0);
        dx_descriptor_want(ends[0].descriptor, DX_READABLE);
        dx_descriptor_want(ends[1].descriptor, DX_WRITABLE);
        dx_descriptor_want(ends[1].descriptor, 0);
    }
    assert_int_equal(loop->told, 0);
    dx_loop_turn(loop);
    assert_int_equal(loop->told, 1);
    assert_int_equal(ends[0].calls + ends[1].calls, 0);
    drop(&ends[0]);
    drop(&ends[1]);
}

static void readable_that_comes_unwanted_is_stopped_and_comes_again_once_wanted(void **state) {
    dx_loop *loop = *state;
    end ends[2];
    pair(ends, loop);
    dx_descriptor_want(ends[0].descriptor, DX_READABLE);
    dx_loop_turn(loop);
    dx_descriptor_want(ends[0].descriptor, 0);
    dx_loop_turn(loop);
    assert_int_equal(loop->told, 1);
    assert_int_equal(write(ends[1].fd, "x", 1), 1);
    dx_loop_turn(loop);
    assert_int_equal(ends[0].calls, 0);
    assert_int_equal(loop->told, 2); // really stopped
    dx_loop_turn(loop);
    assert_int_equal(loop->told, 2);
    ends[0].reads = true;
    dx_descriptor_want(ends[0].descriptor, DX_READABLE);
    assert_true(dx_loop_wait_for(loop, &ends[0].done, -1));
    assert_int_equal(ends[0].came, DX_READABLE);
    drop(&ends[0]);
    drop(&ends[1]);
}

static void writable_no_longer_wanted_does_not_come(void **state) {
    dx_loop *loop = *state;
    end ends[2];
    pair(ends, loop);
    dx_descriptor_want(ends[0].descriptor, DX_READABLE | DX_WRITABLE);
    assert_true(dx_loop_wait_for(loop, &ends[0].done, -1)); // and then READABLE alone
    assert_int_equal(ends[0].came, DX_WRITABLE);
    loop->stirred = false;
    for (int i = 0; i < 3; i++) dx_loop_turn(loop);
    assert_false(loop->stirred); // not even to be told that nobody wants it
    assert_int_equal(ends[0].calls, 1);
    assert_int_equal(loop->told, 2);
    drop(&ends[0]);
    drop(&ends[1]);
}

static void hangup_comes_as_what_is_wanted(void **state) {
    dx_loop *loop = *state;
    end ends[2];
    pair(ends, loop);
    dx_descriptor_want(ends[0].descriptor, DX_READABLE);
    drop(&ends[1]);
    assert_true(dx_loop_wait_for(loop, &ends[0].done, -1));
    assert_int_equal(ends[0].came, DX_READABLE);
    drop(&ends[0]);
}

static void error_comes_as_what_is_wanted_until_it_is_no_more(void **state) {
    dx_loop *loop = *state;
    int fds[2];
    end e;
    assert_int_equal(pipe(fds), 0);
    close(fds[0]); // writing now fails, which poll(2) tells as POLLERR
    watch(&e, loop, fds[1]);
    e.then = DX_WRITABLE;
    dx_descriptor_want(e.descriptor, DX_WRITABLE);
    for (int i = 1; i <= 3; i++) {
        e.done = false;
        assert_true(dx_loop_wait_for(loop, &e.done, -1));
        assert_int_equal(e.came, DX_WRITABLE);
    }
    dx_descriptor_want(e.descriptor, 0);
    int calls = e.calls;
    dx_loop_turn(loop);
    dx_loop_turn(loop);
    assert_int_equal(e.calls, calls);
    drop(&e);
}

static void descriptor_may_be_destroyed_while_it_is_ready(void **state) {
    dx_loop *loop = *state;
    end ends[2];
    pair(ends, loop);
    ends[0].destroys = true;
    dx_descriptor_want(ends[0].descriptor, DX_READABLE | DX_WRITABLE);
    assert_true(dx_loop_wait_for(loop, &ends[0].done, -1));
    close(ends[0].fd);
    int again = dup(ends[1].fd); // most likely the same number
    end next;
    watch(&next, loop, again);
    dx_descriptor_want(next.descriptor, DX_READABLE); // the peer's end is gone
    assert_true(dx_loop_wait_for(loop, &next.done, -1));
    assert_int_equal(ends[0].calls, 1);
    drop(&next);
    drop(&ends[1]);
    dx_descriptor_destroy(NULL);
}

static void one_at_rest_does_not_hold_the_loop(void **state) {
    end ends[2];
    pair(ends, *state);
    dx_descriptor_want(ends[0].descriptor, DX_READABLE);
    dx_loop_turn(*state);
    dx_descriptor_want(ends[0].descriptor, 0);
    dx_loop_stop(*state);
    assert_int_equal(dx_loop_run(*state), DX_OK);
    dx_descriptor_want(ends[0].descriptor, DX_READABLE);
    dx_descriptor_holds(ends[0].descriptor, false);
    dx_loop_stop(*state);
    assert_int_equal(dx_loop_run(*state), DX_OK);
    dx_descriptor_holds(ends[0].descriptor, true);
    assert_true(uv_loop_alive(dx_loop_uv(*state)));
    drop(&ends[0]);
    drop(&ends[1]);
}

static void what_cannot_be_watched_is_refused(void **state) {
    end ends[2];
    dx_descriptor *none = NULL;
    pair(ends, *state);
    dx_descriptor_want(ends[0].descriptor, DX_READABLE);
    dx_loop_turn(*state);
    assert_int_equal(dx_descriptor_create(&none, *state, ends[0].fd, on_ready, NULL), DX_CONFLICT);
    char path[] = "/tmp/dx-descriptor-XXXXXX";
    int file = mkstemp(path);
    assert_int_equal(dx_descriptor_create(&none, *state, file, on_ready, NULL), DX_INVALID);
    close(file);
    unlink(path);
    assert_int_equal(dx_descriptor_create(&none, *state, file, on_ready, NULL), DX_INVALID);
    dx_memory_fail_at(1, false);
    assert_int_equal(dx_descriptor_create(&none, *state, ends[1].fd, on_ready, NULL), DX_NO_MEMORY);
    assert_true(dx_memory_fail_stop());
    assert_null(none);
    drop(&ends[0]);
    drop(&ends[1]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(want_that_comes_and_goes_each_round_tells_the_kernel_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(changes_of_one_turn_are_told_at_its_end_and_once, setup, teardown),
        cmocka_unit_test_setup_teardown(readable_that_comes_unwanted_is_stopped_and_comes_again_once_wanted, setup, teardown),
        cmocka_unit_test_setup_teardown(writable_no_longer_wanted_does_not_come, setup, teardown),
        cmocka_unit_test_setup_teardown(hangup_comes_as_what_is_wanted, setup, teardown),
        cmocka_unit_test_setup_teardown(error_comes_as_what_is_wanted_until_it_is_no_more, setup, teardown),
        cmocka_unit_test_setup_teardown(descriptor_may_be_destroyed_while_it_is_ready, setup, teardown),
        cmocka_unit_test_setup_teardown(one_at_rest_does_not_hold_the_loop, setup, teardown),
        cmocka_unit_test_setup_teardown(what_cannot_be_watched_is_refused, setup, teardown),
    };
    return cmocka_run_group_tests_name("descriptor", tests, NULL, NULL);
}
