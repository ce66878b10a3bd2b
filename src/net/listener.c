// A worker's listener: accepting, the lists of connections, and draining.
#include "net/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include "base/memory.h"
#include "net/address.h"
#include "net/http1.h"

#define ACCEPTS_A_TURN  64
#define HEAD_BYTES_MOST (16u << 20)
#define ACCEPT_PAUSE    (100 * DX_MILLISECOND) // when the system has nothing left to accept with

// --- lists, buffers, the date ----------------------------------------------------------------------------------------------

void dx_listener_link(dx_listener *listener, dx_connection *c, bool idle) {
    dx_connections *list = idle ? &listener->idle : &listener->busy;
    c->listed_idle = idle;
    c->next = NULL;
    c->prev = list->last;
    if (list->last)
        list->last->next = c;
    else
        list->first = c;
    list->last = c;
}

void dx_listener_unlink(dx_listener *listener, dx_connection *c) {
    dx_connections *list = c->listed_idle ? &listener->idle : &listener->busy;
    if (c->prev)
        c->prev->next = c->next;
    else
        list->first = c->next;
    if (c->next)
        c->next->prev = c->prev;
    else
        list->last = c->prev;
}

static DX_COLD void write_date(dx_listener *listener, dx_nanos now) {
    dx_micros_utc utc = dx_loop_utc(listener->loop);
    memcpy(listener->date, "Date: ", 6);
    dx_http_date_write(listener->date + 6, utc);
    memcpy(listener->date + 6 + DX_HTTP_DATE_SIZE, "\r\n", 2);
    listener->date_until = now + DX_SECOND - utc % 1000000 * DX_MICROSECOND;
}

const char *dx_listener_date(dx_listener *listener) {
    dx_nanos now = dx_loop_now(listener->loop);
    if (now >= listener->date_until) write_date(listener, now);
    return listener->date;
}

static void run_task(dx_task *task) {
    dx_listener *listener = DX_CONTAINER_OF(task, dx_listener, task);
    listener->task_posted = false;
    listener->in_task = true;
    dx_connection *touched = listener->touched;
    dx_stream *orphans = listener->orphans;
    listener->touched = NULL;
    listener->orphans = NULL;
    while (touched) {
        dx_connection *c = touched;
        touched = c->next_touched;
        dx_connection_resume(c);
    }
    while (orphans) {
        dx_stream *stream = orphans;
        orphans = stream->next;
        dx_stream_end(stream, false);
    }
    listener->in_task = false;
    dx_listener_check_drained(listener);
}

void dx_listener_post(dx_listener *listener) {
    if (listener->task_posted) return;
    listener->task_posted = true;
    dx_loop_post(listener->loop, &listener->task);
}

// --- accepting -------------------------------------------------------------------------------------------------------------

static void on_connection(uv_poll_t *poll, int status, int events);

static void start_accepting(dx_listener *listener) {
    if (uv_poll_start(&listener->poll, UV_READABLE, on_connection) == 0) return;
    dx_timer_start(listener->loop, &listener->accept_again, ACCEPT_PAUSE);
}

static void on_accept_again(dx_timer *timer) {
    start_accepting(DX_CONTAINER_OF(timer, dx_listener, accept_again));
}

static void pause_accepting(dx_listener *listener) {
    (void)uv_poll_stop(&listener->poll);
    dx_timer_start(listener->loop, &listener->accept_again, ACCEPT_PAUSE);
}

static bool close_oldest_idle(dx_listener *listener) {
    dx_connection *c = listener->idle.first;
    while (c && c->entered) c = c->next;
    if (!c) return false;
    dx_connection_cut(c);
    return true;
}

// accept(2) says EMFILE before it looks whether there is anybody to accept.
static bool somebody_waits(const dx_listener *listener) {
    struct pollfd waiting = {.fd = listener->fd, .events = POLLIN};
    return poll(&waiting, 1, 0) == 1;
}

// No descriptor is left. One is made free: the oldest idle connection's, or else ours in reserve, with which the newcomer is taken and
// closed, for left in the queue it would wake us for ever. False when nothing helps.
static bool make_room(dx_listener *listener) {
    if (close_oldest_idle(listener)) return true;
    if (listener->reserve < 0) return false;
    (void)close(listener->reserve);
    int fd = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC);
    if (fd >= 0) (void)close(fd);
    listener->reserve = open("/dev/null", O_RDONLY | O_CLOEXEC);
    return fd >= 0;
}

static void take_connection(dx_listener *listener, int fd, const dx_address *address) {
    if (listener->connections >= listener->options.limits.connections && !close_oldest_idle(listener)) {
        (void)close(fd);
        return;
    }
    char peer[DX_ADDRESS_TEXT_CAP];
    dx_address_text(address, peer);
    (void)!dx_connection_create(listener, &dx_http1_protocol, fd, peer); // without memory it is closed
}

static void on_connection(uv_poll_t *poll, int status, int events) {
    dx_listener *listener = DX_CONTAINER_OF(poll, dx_listener, poll);
    (void)events;
    if (status < 0) {
        pause_accepting(listener);
        return;
    }
    for (int i = 0; i < ACCEPTS_A_TURN; i++) {
        dx_address address = {.size = sizeof address.v6};
        int fd = accept4(listener->fd, &address.any, &address.size, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            take_connection(listener, fd, &address);
        } else if (errno == EMFILE || errno == ENFILE) {
            if (!somebody_waits(listener)) return;
            if (make_room(listener)) continue;
            pause_accepting(listener);
            return;
        } else if (errno == ENOBUFS || errno == ENOMEM) {
            pause_accepting(listener);
            return;
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            return;
        } // anything else is about one connection that is no more (accept(2))
    }
}

// --- starting and ending ---------------------------------------------------------------------------------------------------

static void free_listener(dx_listener *listener) {
    while (listener->pool) {
        dx_stream *stream = listener->pool;
        listener->pool = stream->next;
        dx_stream_free(stream);
    }
    if (listener->reserve >= 0) (void)close(listener->reserve);
    if (listener->fd >= 0) (void)close(listener->fd);
    dx_memory_free(listener->input);
    dx_memory_free(listener->output);
    dx_memory_free(listener);
}

static dx_status refuse(dx_diags *diags, const char *what, const char *advice) {
    dx_diag *diag = dx_diags_add(diags, DX_INVALID, DX_SLICE("/server/listen"), "%s", what);
    if (diag) diag->suggestion = dx_slice_str(advice);
    return DX_INVALID;
}

static dx_status open_listener(dx_listener *listener, dx_diags *diags) {
    const dx_listener_options *options = &listener->options;
    dx_address address;
    if (!dx_address_read(&address, options->host, options->port)) {
        return refuse(diags, "the host to listen on is not an address", "give an IPv4 or IPv6 address, or localhost");
    }
    if (options->limits.head_bytes > HEAD_BYTES_MOST) return refuse(diags, "heads of more than 16 MiB are not taken", "lower head_bytes");
    dx_status status = dx_address_listen(&listener->fd, &address, options->reuse_port, options->probe, diags);
    if (status != DX_OK) return status;
    listener->port = dx_address_bound_port(listener->fd);
    listener->reserve = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (uv_poll_init(dx_loop_uv(listener->loop), &listener->poll, listener->fd) != 0) return DX_UNAVAILABLE;
    start_accepting(listener);
    return DX_OK;
}

dx_status dx_listener_start(dx_listener **out, dx_loop *loop, const dx_listener_options *options, dx_diags *diags) {
    dx_listener *listener = dx_memory_zalloc(1, sizeof *listener);
    if (!listener) return DX_NO_MEMORY;
    listener->loop = loop;
    listener->options = *options;
    listener->fd = listener->reserve = -1;
    listener->task.run = run_task;
    listener->accept_again.fire = on_accept_again;
    listener->input = dx_memory_alloc(DX_INPUT_SIZE);
    listener->output = dx_memory_alloc(DX_OUTPUT_SIZE);
    dx_status status = listener->input && listener->output ? open_listener(listener, diags) : DX_NO_MEMORY;
    if (status != DX_OK) {
        free_listener(listener);
        return status;
    }
    *out = listener;
    return DX_OK;
}

uint16_t dx_listener_port(const dx_listener *listener) {
    return listener->port;
}

size_t dx_listener_connections(const dx_listener *listener) {
    return listener->connections;
}

void dx_listener_check_drained(dx_listener *listener) {
    if (!listener->draining || !listener->handle_closed || listener->done_called || listener->in_task) return;
    if (listener->connections || listener->closing || listener->streams || listener->task_posted) return;
    listener->done_called = true;
    dx_timer_stop(listener->loop, &listener->grace);
    listener->done(listener->done_ctx);
}

static void on_handle_closed(uv_handle_t *handle) {
    dx_listener *listener = DX_CONTAINER_OF(handle, dx_listener, poll);
    listener->handle_closed = true;
    dx_listener_check_drained(listener);
}

// Cuts every connection of the list that is not being worked on; those end themselves when they are left.
static void cut_all(dx_connections *list) {
    for (dx_connection *c = list->first, *next; c; c = next) {
        next = c->next;
        if (c->entered)
            c->broken = true;
        else
            dx_connection_cut(c);
    }
}

static void on_grace_over(dx_timer *timer) {
    dx_listener *listener = DX_CONTAINER_OF(timer, dx_listener, grace);
    cut_all(&listener->idle);
    cut_all(&listener->busy);
}

void dx_listener_drain(dx_listener *listener, dx_nanos grace, void (*done)(void *ctx), void *ctx) {
    if (listener->draining) return;
    listener->draining = true;
    listener->done = done;
    listener->done_ctx = ctx;
    dx_timer_stop(listener->loop, &listener->accept_again);
    uv_close((uv_handle_t *)&listener->poll, on_handle_closed);
    (void)close(listener->fd);
    listener->fd = -1;
    for (dx_connection *c = listener->idle.first, *next; c; c = next) {
        next = c->next;
        if (!c->entered) dx_connection_cut(c);
    }
    listener->grace.fire = on_grace_over;
    dx_timer_start(listener->loop, &listener->grace, grace);
}

void dx_listener_destroy(dx_listener *listener) {
    if (listener) free_listener(listener);
}
