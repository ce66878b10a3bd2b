// Loops in other hands. Three things must hold that uv_run alone does not give: behind a turn nothing waits that the backend's descriptor
// does not tell of (watchers that are queued but unknown to the kernel, tasks that this thread posted without a wake-up); a turn that has
// done something in its timers does not go on to sleep (on_turn_end in loop.c); and a loop on which nothing is active still turns.
#include "loop/embed.h"

#include "base/memory.h"
#include "loop/loop_internal.h"

#define SPINS 4 // rounds of one dx_loop_turn: one, one that registers what it began, and two for what these bring

dx_status dx_loop_create_on(dx_loop **out, uv_loop_t *uv) {
    dx_loop *loop = dx_memory_zalloc(1, sizeof *loop);
    if (!loop) return DX_NO_MEMORY;
    if (dx_loop_open_handles(loop, uv) != DX_OK) {
        dx_memory_free(loop);
        return DX_NO_MEMORY;
    }
    loop->borrowed = true;
    uv_unref((uv_handle_t *)&loop->wake);
    *out = loop;
    return DX_OK;
}

void dx_loop_keep_alive(dx_loop *loop, bool on) {
    if (!loop->borrowed) return;
    if (on)
        uv_ref((uv_handle_t *)&loop->wake);
    else
        uv_unref((uv_handle_t *)&loop->wake);
}

void dx_loop_leave(dx_loop *loop, void (*closed)(void *ctx), void *ctx) {
    bool borrowed = loop && loop->borrowed;
    if (borrowed) {
        loop->closed = closed;
        loop->closed_ctx = ctx;
    }
    dx_loop_destroy(loop);
    if (!borrowed && closed) closed(ctx);
}

void dx_loop_hold(dx_loop *loop) {
    loop->holds++;
    if (loop->borrowed) uv_ref((uv_handle_t *)&loop->wake);
}

void dx_loop_let_go(dx_loop *loop) {
    if (--loop->holds == 0 && loop->borrowed && !dx_loop_has_left(loop)) uv_unref((uv_handle_t *)&loop->wake);
}

int dx_loop_backend_fd(dx_loop *loop) {
    return uv_backend_fd(loop->uv);
}

dx_nanos dx_loop_backend_timeout(dx_loop *loop) {
    if (dx_loop_has_left(loop)) return 0;
    uv_update_time(loop->uv);           // it may be as old as the last turn
    uv_ref((uv_handle_t *)&loop->wake); // libuv says 0 while nothing is active
    int timeout_ms = uv_backend_timeout(loop->uv);
    return timeout_ms < 0 ? -1 : timeout_ms * DX_MILLISECOND;
}

void dx_loop_turn(dx_loop *loop) {
    sigset_t before;
    if (loop->borrowed || !dx_loop_enter(loop, &before)) return;
    unsigned spins = 0;
    do {
        (void)uv_run(loop->uv, UV_RUN_NOWAIT);
    } while (++spins < SPINS && (dx_loop_has_left(loop) || uv_backend_timeout(loop->uv) == 0));
    if (dx_loop_has_left(loop)) (void)uv_async_send(&loop->wake);
    dx_loop_exit(loop, &before);
}

static void on_limit(uv_timer_t *limit) {
    dx_loop *loop = limit->data;
    loop->over = true;
    loop->stirred = true;
}

static void limit(dx_loop *loop, dx_nanos at_most) {
    loop->over = false;
    if (at_most >= 0) (void)uv_timer_start(&loop->limit, on_limit, dx_loop_millis_until(loop, at_most), 0);
}

void dx_loop_wait(dx_loop *loop, dx_nanos at_most) {
    sigset_t before;
    if (loop->borrowed || !dx_loop_enter(loop, &before)) return;
    loop->one_turn = true;
    loop->stirred = false;
    limit(loop, at_most);
    (void)uv_run(loop->uv, UV_RUN_ONCE);
    (void)uv_timer_stop(&loop->limit);
    loop->one_turn = false;
    dx_loop_exit(loop, &before);
}

bool dx_loop_wait_for(dx_loop *loop, const bool *done, dx_nanos at_most) {
    sigset_t before;
    if (*done || loop->borrowed || !dx_loop_enter(loop, &before)) return *done;
    loop->until = done;
    limit(loop, at_most);
    while (!*done && !loop->over) (void)uv_run(loop->uv, UV_RUN_ONCE);
    (void)uv_timer_stop(&loop->limit);
    loop->until = NULL;
    dx_loop_exit(loop, &before);
    return *done;
}
