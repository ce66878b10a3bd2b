// The loop itself: running, stopping, tasks from other threads and the end of a turn. A turn of libuv is timers, then a wait for
// descriptors, then what they bring; our end of turn is uv_prepare, right before the wait, where all of that lies behind.
//
// Posted tasks form a lock-free stack that its one reader takes whole and turns round. An empty stack is the sign that nobody has woken the
// loop yet: only who pushes onto an empty one does (eventfd write), and the loop's own thread not even then, as the turn's end looks.
#include "loop/loop_internal.h"

#include "base/memory.h"

static void run_tasks(dx_loop *loop) {
    dx_task *task = atomic_exchange_explicit(&loop->posted, NULL, memory_order_acquire);
    dx_task *oldest = NULL;
    while (task) {
        dx_task *next = task->next;
        task->next = oldest;
        oldest = task;
        task = next;
    }
    while (oldest) {
        task = oldest;
        oldest = task->next; // before `run`, which may free or post it again
        task->run(task);
    }
}

static void on_wake(uv_async_t *wake) {
    dx_loop *loop = DX_CONTAINER_OF(wake, dx_loop, wake);
    if (atomic_load_explicit(&loop->stopping, memory_order_acquire)) uv_unref((uv_handle_t *)wake);
    run_tasks(loop);
}

static void on_turn_end(uv_prepare_t *turn) {
    dx_loop *loop = DX_CONTAINER_OF(turn, dx_loop, turn);
    if (atomic_load_explicit(&loop->posted, memory_order_relaxed)) run_tasks(loop);
    if (loop->turned) {
        for (unsigned i = 0; i < loop->hooks; i++) loop->hook[i].fn(loop->hook[i].ctx);
    }
    loop->turned = true;
    loop->utc = 0;
    // What the tasks and hooks posted waits a turn, so that descriptors get theirs.
    if (atomic_load_explicit(&loop->posted, memory_order_relaxed)) (void)uv_async_send(&loop->wake);
}

dx_status dx_loop_create(dx_loop **out) {
    dx_loop *loop = dx_memory_zalloc(1, sizeof *loop);
    if (!loop) return DX_NO_MEMORY;
    if (uv_loop_init(&loop->uv) != 0) {
        dx_memory_free(loop);
        return DX_NO_MEMORY;
    }
    (void)uv_loop_configure(&loop->uv, UV_METRICS_IDLE_TIME); // two looks at the clock a wait; cannot fail here
    loop->asked = dx_clock_monotonic();
    dx_wheel_init(loop);
    (void)uv_prepare_init(&loop->uv, &loop->turn); // cannot fail, nor can starting it
    (void)uv_prepare_start(&loop->turn, on_turn_end);
    uv_unref((uv_handle_t *)&loop->turn);
    if (uv_async_init(&loop->uv, &loop->wake, on_wake) != 0) { // needs a descriptor
        loop->wake.loop = NULL;
        dx_loop_destroy(loop);
        return DX_NO_MEMORY;
    }
    *out = loop;
    return DX_OK;
}

void dx_loop_destroy(dx_loop *loop) {
    if (!loop) return;
    dx_wheel_deinit(loop);
    uv_close((uv_handle_t *)&loop->turn, NULL);
    if (loop->wake.loop) uv_close((uv_handle_t *)&loop->wake, NULL);
    (void)uv_run(&loop->uv, UV_RUN_DEFAULT);
    (void)uv_loop_close(&loop->uv);
    dx_memory_free(loop);
}

dx_status dx_loop_run(dx_loop *loop) {
    // Writing to a socket that the peer has closed must be an error, not the end of the process. Blocked for this thread alone: the program
    // around us keeps its own way with signals.
    sigset_t pipe_signal, before;
    sigemptyset(&pipe_signal);
    sigaddset(&pipe_signal, SIGPIPE);
    if (pthread_sigmask(SIG_BLOCK, &pipe_signal, &before) != 0) return DX_INTERNAL;
    atomic_store_explicit(&loop->thread, pthread_self(), memory_order_relaxed);
    atomic_store_explicit(&loop->running, true, memory_order_release);
    uv_ref((uv_handle_t *)&loop->wake);
    if (atomic_load_explicit(&loop->stopping, memory_order_acquire)) uv_unref((uv_handle_t *)&loop->wake); // stopped before it ran
    do {
        uv_update_time(&loop->uv);
        (void)uv_run(&loop->uv, UV_RUN_DEFAULT);
        run_tasks(loop); // posted in the last turn; they may have started handles
    } while (uv_loop_alive(&loop->uv) || atomic_load_explicit(&loop->posted, memory_order_acquire));
    atomic_store_explicit(&loop->running, false, memory_order_release);
    atomic_store_explicit(&loop->stopping, false, memory_order_release);
    loop->turned = false;
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return DX_OK;
}

void dx_loop_stop(dx_loop *loop) {
    atomic_store_explicit(&loop->stopping, true, memory_order_release);
    (void)uv_async_send(&loop->wake);
}

uv_loop_t *dx_loop_uv(dx_loop *loop) {
    return &loop->uv;
}

dx_nanos dx_loop_now(const dx_loop *loop) {
    return (dx_nanos)uv_now(&loop->uv) * DX_MILLISECOND;
}

static dx_nanos idle_time(const dx_loop *loop) {
    return (dx_nanos)uv_metrics_idle_time((uv_loop_t *)(uintptr_t)&loop->uv); // takes a lock in there
}

dx_nanos dx_loop_busy_so_far(const dx_loop *loop, dx_nanos now) {
    dx_nanos busy = now - loop->asked - (idle_time(loop) - loop->idle);
    return busy > 0 ? busy : 0;
}

dx_nanos dx_loop_busy(dx_loop *loop) {
    dx_nanos now = dx_clock_monotonic(), busy = dx_loop_busy_so_far(loop, now);
    loop->asked = now;
    loop->idle = idle_time(loop);
    return busy;
}

dx_micros_utc dx_loop_utc(dx_loop *loop) {
    if (loop->utc == 0) loop->utc = dx_clock_utc();
    return loop->utc;
}

static bool on_own_thread(dx_loop *loop) {
    return atomic_load_explicit(&loop->running, memory_order_acquire) &&
           pthread_equal(atomic_load_explicit(&loop->thread, memory_order_relaxed), pthread_self());
}

void dx_loop_post(dx_loop *loop, dx_task *task) {
    dx_task *head = atomic_load_explicit(&loop->posted, memory_order_relaxed);
    do {
        task->next = head;
    } while (!atomic_compare_exchange_weak_explicit(&loop->posted, &head, task, memory_order_release, memory_order_relaxed));
    if (head == NULL && !on_own_thread(loop)) (void)uv_async_send(&loop->wake);
}

dx_status dx_loop_on_turn_end(dx_loop *loop, void (*fn)(void *ctx), void *ctx) {
    if (loop->hooks == DX_LOOP_HOOKS_CAP) return DX_OVERLOADED;
    loop->hook[loop->hooks].fn = fn;
    loop->hook[loop->hooks].ctx = ctx;
    loop->hooks++;
    return DX_OK;
}
