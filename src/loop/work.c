// Work off the loop, on libuv's thread pool. What is ours is the bound: the pool's queue has none, and a flood of slow work (password
// hashes) must be refused while it is small rather than found out by everybody's timeouts.
#include "base/lag.h"
#include "loop/loop_internal.h"

static dx_lag lag; // the process's: submitted, not begun

static_assert(sizeof(uv_work_t) <= sizeof(((dx_work *)NULL)->impl), "dx_work.impl holds a uv_work_t");

static void on_work(uv_work_t *request) {
    dx_work *work = request->data;
    dx_lag_begin(&lag, work->entered, dx_clock_monotonic());
    work->work(work);
}

static void on_done(uv_work_t *request, int status) {
    (void)status; // nothing here cancels work
    dx_work *work = request->data;
    work->loop->stirred = true;
    work->done(work);
}

dx_status dx_loop_work(dx_loop *loop, dx_work *work) {
    dx_nanos now = dx_clock_monotonic(), wait = dx_lag_of(&lag, now);
    if (dx_lag_enter(&lag, now) >= DX_WORK_QUEUE_CAP || wait > DX_WORK_WAIT_CAP) {
        dx_lag_withdraw(&lag);
        return DX_OVERLOADED;
    }
    uv_work_t *request = (uv_work_t *)(void *)work->impl;
    work->loop = loop;
    work->entered = now;
    request->data = work;
    (void)uv_queue_work(loop->uv, request, on_work, on_done); // fails for a NULL callback alone
    return DX_OK;
}
