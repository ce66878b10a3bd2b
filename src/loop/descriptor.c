// Descriptors of others on uv_poll, told late. uv_poll_start stops first, which makes two calls of epoll_ctl out of each change; so changes
// are gathered in a list of stale descriptors, which the end of the turn works off. READABLE is left in place when it is no longer
// wanted: most often it will be wanted again before anything comes (a kept connection between two requests), and where something does
// come (the peer closes it), one event for nothing is what it costs. WRITABLE is not: a socket is writable nearly always.
#include "loop/descriptor.h"

#include "base/memory.h"
#include "loop/loop_internal.h"

static_assert(DX_READABLE == UV_READABLE && DX_WRITABLE == UV_WRITABLE, "events are libuv's");

struct dx_descriptor {
    uv_poll_t poll;
    dx_loop *loop;
    void (*ready)(void *ctx, int fd, unsigned events);
    void *ctx;
    int fd;
    unsigned wanted;
    unsigned told;               // what libuv watches
    bool weak;                   // does not hold the loop
    bool drop;                   // READABLE came unwanted: do not leave it in place
    dx_descriptor *next, **link; // the loop's stale ones; NULL link: none of them
};

static void mark(dx_descriptor *d) {
    if (d->link) return;
    d->next = d->loop->stale;
    d->link = &d->loop->stale;
    if (d->next) d->next->link = &d->next;
    d->loop->stale = d;
    dx_loop_expect_end(d->loop);
}

static void unmark(dx_descriptor *d) {
    if (!d->link) return;
    *d->link = d->next;
    if (d->next) d->next->link = d->link;
    d->link = NULL;
}

static void on_event(uv_poll_t *poll, int status, int events) {
    dx_descriptor *d = poll->data;
    unsigned came = (unsigned)events & (DX_READABLE | DX_WRITABLE);
    d->loop->stirred = true;
    if (status < 0) { // libuv has stopped watching
        d->told = 0;
        came = d->wanted;
        if (d->wanted) mark(d);
    } else if (came & ~d->wanted) {
        d->drop = true; // WRITABLE goes anyway
        mark(d);
    }
    if (came & d->wanted) d->ready(d->ctx, d->fd, came & d->wanted); // may destroy it: the memory stays until libuv lets go
}

static void tell(dx_descriptor *d) {
    unsigned events = d->wanted | (d->drop ? 0 : d->told & DX_READABLE);
    d->drop = false;
    if (events == d->told) return;
    // Fails only where another handle watches the number: its owner has closed it without a word, and nothing more will come.
    (void)uv_poll_start(&d->poll, (int)events, on_event);
    d->told = events;
    d->loop->told++;
}

void dx_descriptors_tell(dx_loop *loop) {
    while (loop->stale) {
        dx_descriptor *d = loop->stale;
        unmark(d);
        tell(d);
    }
}

dx_status dx_descriptor_create(dx_descriptor **out, dx_loop *loop, int fd, void (*ready)(void *ctx, int fd, unsigned events), void *ctx) {
    dx_descriptor *d = dx_memory_zalloc(1, sizeof *d);
    if (!d) return DX_NO_MEMORY;
    int failed = uv_poll_init(loop->uv, &d->poll, fd);
    if (failed) {
        dx_memory_free(d);
        return failed == UV_EEXIST ? DX_CONFLICT : failed == UV_ENOMEM || failed == UV_ENOSPC ? DX_NO_MEMORY : DX_INVALID;
    }
    d->poll.data = d;
    uv_unref((uv_handle_t *)&d->poll);
    d->loop = loop;
    loop->handles++;
    d->ready = ready;
    d->ctx = ctx;
    d->fd = fd;
    *out = d;
    return DX_OK;
}

static void hold(dx_descriptor *d) {
    if (d->wanted && !d->weak)
        uv_ref((uv_handle_t *)&d->poll);
    else
        uv_unref((uv_handle_t *)&d->poll);
}

void dx_descriptor_holds(dx_descriptor *d, bool holds) {
    d->weak = !holds;
    hold(d);
}

void dx_descriptor_want(dx_descriptor *d, unsigned events) {
    if (events == d->wanted) return;
    d->wanted = events;
    hold(d);
    if ((events & ~d->told) || (d->told & DX_WRITABLE & ~events)) mark(d);
}

static void on_gone(uv_handle_t *handle) {
    dx_descriptor *d = handle->data;
    dx_loop_handle_gone(d->loop);
    dx_memory_free(d);
}

void dx_descriptor_destroy(dx_descriptor *d) {
    if (!d) return;
    unmark(d);
    d->wanted = 0;
    uv_close((uv_handle_t *)&d->poll, on_gone);
}
