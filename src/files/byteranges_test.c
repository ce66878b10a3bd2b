// Several ranges in one answer: what is written, and that a pool thread which has the file outlives the exchange without touching it.
#include <fcntl.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "codec/range.h"
#include "exchange/wire_fixture.h"
#include "files/parts.h"

#define POOL 64 // more threads than the pool has

typedef struct held_up {
    dx_work work;
    sem_t *gate;
} held_up;

static void wait_at_gate(dx_work *work) {
    held_up *h = DX_CONTAINER_OF(work, held_up, work);
    while (sem_wait(h->gate) != 0) continue;
}

static void passed(dx_work *work) {
    (void)work;
}

typedef struct ending {
    dx_task task;
    wire_fixture w;
    sem_t gate;
    held_up all[POOL];
} ending;

// The exchange ends and its memory is given back, while the thread has not begun.
static void end_it(dx_task *task) {
    ending *e = DX_CONTAINER_OF(task, ending, task);
    assert_true(e->w.writes > 0); // the part's head: its bytes wait for a thread
    dx_exchange_closed(&e->w.x, DX_CANCELLED);
    dx_arena_reset(e->w.arena);
    for (size_t i = 0; i < POOL; i++) assert_int_equal(sem_post(&e->gate), 0);
}

// Under the address sanitizer this tells of any byte that is not the thread's own.
static void the_thread_that_reads_outlives_the_exchange(void **state) {
    const dx_byte_range ranges[2] = {{0, 3}, {5, 2}};
    static ending e;
    (void)state;
    int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC); // of such a file the kernel never says what it has in memory
    assert_true(fd >= 0);
    wire_open(&e.w);
    e.task.run = end_it;
    assert_int_equal(sem_init(&e.gate, 0, 0), 0);
    for (size_t i = 0; i < POOL; i++) {
        e.all[i] = (held_up){.work = {.work = wait_at_gate, .done = passed, .loop = e.w.loop}, .gate = &e.gate};
        assert_int_equal(dx_loop_work(e.w.loop, &e.all[i].work), DX_OK);
    }
    assert_int_equal(dx_files_send_parts(&e.w.x, fd, ranges, 2, DX_SLICE("text/plain"), 100), DX_ANSWER);
    assert_int_equal(e.w.x.response.status, 206);
    dx_exchange_begun(&e.w.x, false);
    dx_loop_post(e.w.loop, &e.task);
    wire_turn(&e.w);
    assert_int_equal(fcntl(fd, F_GETFD), -1); // closed, once
    wire_close(&e.w, DX_CANCELLED);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_thread_that_reads_outlives_the_exchange),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
