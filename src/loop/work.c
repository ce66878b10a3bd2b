// Work off the loop, on libuv's thread pool. What is ours is the bound: the pool's queue has none, and a flood of slow work (password
// hashes) must be refused while it is small rather than found out by everybody's timeouts.
#include "loop/loop_internal.h"

static atomic_uint waiting; // in the process: submitted, not begun

static_assert(sizeof(uv_work_t) <= sizeof(((dx_work *)NULL)->impl), "dx_work.impl holds a uv_work_t");

static void on_work(uv_work_t *request) {
    dx_work *work = request->data;
    atomic_fetch_sub_explicit(&waiting, 1, memory_order_relaxed);
    work->work(work);
}

static void on_done(uv_work_t *request, int status) {
    (void)status; // nothing here cancels work
    dx_work *work = request->data;
    work->done(work);
}

dx_status dx_loop_work(dx_loop *loop, dx_work *work) {
    if (atomic_fetch_add_explicit(&waiting, 1, memory_order_relaxed) >= DX_WORK_QUEUE_CAP) {
        atomic_fetch_sub_explicit(&waiting, 1, memory_order_relaxed);
        return DX_OVERLOADED;
    }
    uv_work_t *request = (uv_work_t *)(void *)work->impl;
    work->loop = loop;
    request->data = work;
    (void)uv_queue_work(&loop->uv, request, on_work, on_done); // fails for a NULL callback alone
    return DX_OK;
}
