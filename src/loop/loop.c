// The loop itself: running, stopping, tasks from other threads and the end of a turn. A turn of libuv is timers, then a wait for
// descriptors, then what they bring; our end of turn is uv_prepare, right before the wait, where all of that lies behind.
//
// Posted tasks form a lock-free stack that its one reader takes whole and turns round. An empty stack is the sign that nobody has woken the
// loop yet: only who pushes onto an empty one does (eventfd write), and the loop's own thread not even then, as the turn's end looks.
#include "loop/loop_internal.h"

#include "base/memory.h"
#include "loop/embed.h"

static void run_tasks(dx_loop *loop) {
    dx_task *task = atomic_exchange_explicit(&loop->posted, NULL, memory_order_acquire);
    dx_task *oldest = NULL;
    while (task) {
        dx_task *next = task->next;
        task->next = oldest;
        oldest = task;
        task = next;
    }
    loop->stirred |= oldest != NULL;
    while (oldest) {
        task = oldest;
        oldest = task->next; // before `run`, which may free or post it again
        task->run(task);
    }
}

void dx_loop_drain(dx_loop *loop) {
    run_tasks(loop);
}

static void run_deferred(dx_loop *loop) {
    for (unsigned i = 0; i < DX_DEFERRED_CAP && loop->deferred; i++) {
        dx_deferred *first = loop->deferred;
        loop->stirred = true;
        dx_loop_undefer(loop, first);
        first->run(first);
    }
}

void dx_loop_settle(dx_loop *loop) {
    enum { ROUNDS = 16 };
    for (int i = 0; i < ROUNDS && dx_loop_has_left(loop); i++) {
        run_tasks(loop);
        run_deferred(loop);
        if (loop->stale) dx_descriptors_tell(loop);
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
    if (loop->deferred) run_deferred(loop);
    if (loop->stale) dx_descriptors_tell(loop);
    // What the tasks, hooks and deferred ones posted waits a turn, so that descriptors get theirs.
    if (atomic_load_explicit(&loop->posted, memory_order_relaxed) || loop->deferred) (void)uv_async_send(&loop->wake);
    if (loop->borrowed && loop->holds == 0 && !dx_loop_has_left(loop)) uv_unref((uv_handle_t *)&loop->wake);
    // libuv's timers run before this and its wait comes next, whatever they have done.
    if ((loop->one_turn && loop->stirred) || (loop->until && *loop->until)) uv_stop(loop->uv);
}

dx_status dx_loop_open_handles(dx_loop *loop, uv_loop_t *uv) {
    if (uv_async_init(uv, &loop->wake, on_wake) != 0) return DX_NO_MEMORY; // needs a descriptor; nothing behind it can fail
    loop->uv = uv;
    loop->deferred_end = &loop->deferred;
    dx_wheel_init(loop);
    (void)uv_timer_init(uv, &loop->limit);
    uv_unref((uv_handle_t *)&loop->limit);
    (void)uv_prepare_init(uv, &loop->turn);
    (void)uv_prepare_start(&loop->turn, on_turn_end);
    uv_unref((uv_handle_t *)&loop->turn);
    loop->wheel.ticker.data = loop->limit.data = loop->turn.data = loop->wake.data = loop;
    loop->handles = 4;
    return DX_OK;
}

void dx_loop_handle_gone(dx_loop *loop) {
    if (--loop->handles > 0 || !loop->borrowed) return;
    void (*closed)(void *ctx) = loop->closed;
    void *ctx = loop->closed_ctx;
    dx_memory_free(loop);
    if (closed) closed(ctx);
}

static void on_own_gone(uv_handle_t *handle) {
    dx_loop_handle_gone(handle->data);
}

void dx_loop_close_handles(dx_loop *loop) {
    uv_close((uv_handle_t *)&loop->wheel.ticker, on_own_gone);
    uv_close((uv_handle_t *)&loop->limit, on_own_gone);
    uv_close((uv_handle_t *)&loop->turn, on_own_gone);
    uv_close((uv_handle_t *)&loop->wake, on_own_gone);
}

dx_status dx_loop_create(dx_loop **out) {
    dx_loop *loop = dx_memory_zalloc(1, sizeof *loop);
    if (!loop) return DX_NO_MEMORY;
    if (uv_loop_init(&loop->own) != 0) {
        dx_memory_free(loop);
        return DX_NO_MEMORY;
    }
    if (dx_loop_open_handles(loop, &loop->own) != DX_OK) {
        (void)uv_loop_close(&loop->own);
        dx_memory_free(loop);
        return DX_NO_MEMORY;
    }
    *out = loop;
    return DX_OK;
}

void dx_loop_destroy(dx_loop *loop) {
    if (!loop) return;
    dx_loop_close_handles(loop);
    if (loop->borrowed) return; // their loop comes by, and then it is freed
    (void)uv_run(loop->uv, UV_RUN_DEFAULT);
    (void)uv_loop_close(loop->uv);
    dx_memory_free(loop);
}

bool dx_loop_enter(dx_loop *loop, sigset_t *before) {
    // Writing to a socket that the peer has closed must be an error, not the end of the process. Blocked for this thread alone: the program
    // around us keeps its own way with signals.
    sigset_t pipe_signal;
    sigemptyset(&pipe_signal);
    sigaddset(&pipe_signal, SIGPIPE);
    if (pthread_sigmask(SIG_BLOCK, &pipe_signal, before) != 0) return false;
    atomic_store_explicit(&loop->thread, pthread_self(), memory_order_relaxed);
    atomic_store_explicit(&loop->running, true, memory_order_release);
    uv_ref((uv_handle_t *)&loop->wake);
    return true;
}

void dx_loop_exit(dx_loop *loop, const sigset_t *before) {
    atomic_store_explicit(&loop->running, false, memory_order_release);
    loop->utc = 0;
    (void)pthread_sigmask(SIG_SETMASK, before, NULL);
}

dx_status dx_loop_run(dx_loop *loop) {
    if (loop->borrowed) return DX_CONFLICT;
    sigset_t before;
    if (!dx_loop_enter(loop, &before)) return DX_INTERNAL;
    if (atomic_load_explicit(&loop->stopping, memory_order_acquire)) uv_unref((uv_handle_t *)&loop->wake); // stopped before it ran
    do {
        uv_update_time(loop->uv);
        (void)uv_run(loop->uv, UV_RUN_DEFAULT);
        run_tasks(loop); // posted in the last turn; they may have started handles
        run_deferred(loop);
        dx_descriptors_tell(loop);
    } while (uv_loop_alive(loop->uv) || dx_loop_has_left(loop));
    atomic_store_explicit(&loop->stopping, false, memory_order_release);
    loop->turned = false;
    dx_loop_exit(loop, &before);
    return DX_OK;
}

void dx_loop_stop(dx_loop *loop) {
    atomic_store_explicit(&loop->stopping, true, memory_order_release);
    (void)uv_async_send(&loop->wake);
}

uv_loop_t *dx_loop_uv(dx_loop *loop) {
    return loop->uv;
}

// Between turns libuv's time stands still, and of a borrowed loop nobody tells us whether it is in one.
static bool in_turn(const dx_loop *loop) {
    return !loop->borrowed && atomic_load_explicit(&loop->running, memory_order_relaxed);
}

dx_nanos dx_loop_now(const dx_loop *loop) {
    return in_turn(loop) ? (dx_nanos)uv_now(loop->uv) * DX_MILLISECOND : dx_clock_monotonic();
}

uint64_t dx_loop_millis_until(const dx_loop *loop, dx_nanos after) {
    const dx_nanos farthest = (dx_nanos)1 << 61; // some 70 years: more would overflow
    if (after < 0) after = 0;
    // The clock and not libuv's time, which may be old by now and lacks what is under a millisecond.
    dx_nanos due = dx_clock_monotonic() + (after < farthest ? after : farthest);
    uint64_t due_ms = (uint64_t)(due / DX_MILLISECOND) + (due % DX_MILLISECOND != 0), now_ms = uv_now(loop->uv);
    return due_ms > now_ms ? due_ms - now_ms : 0;
}

static dx_nanos idle_time(const dx_loop *loop) {
    return (dx_nanos)uv_metrics_idle_time(loop->uv); // takes a lock in there
}

dx_nanos dx_loop_busy_so_far(const dx_loop *loop, dx_nanos now) {
    if (!loop->measured) return 0;
    dx_nanos busy = now - loop->asked - (idle_time(loop) - loop->idle);
    return busy > 0 ? busy : 0;
}

dx_nanos dx_loop_busy(dx_loop *loop) {
    if (loop->borrowed) return 0;
    dx_nanos now = dx_clock_monotonic(), busy = dx_loop_busy_so_far(loop, now);
    if (!loop->measured) loop->measured = uv_loop_configure(loop->uv, UV_METRICS_IDLE_TIME) == 0;
    loop->asked = now;
    loop->idle = idle_time(loop);
    return busy;
}

dx_micros_utc dx_loop_utc(dx_loop *loop) {
    if (!in_turn(loop)) return dx_clock_utc();
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

void dx_loop_defer(dx_loop *loop, dx_deferred *deferred) {
    if (deferred->link) return;
    deferred->next = NULL;
    deferred->link = loop->deferred_end;
    *deferred->link = deferred;
    loop->deferred_end = &deferred->next;
    dx_loop_expect_end(loop);
}

void dx_loop_undefer(dx_loop *loop, dx_deferred *deferred) {
    if (!deferred->link) return;
    *deferred->link = deferred->next;
    if (deferred->next)
        deferred->next->link = deferred->link;
    else
        loop->deferred_end = deferred->link;
    deferred->link = NULL;
}
