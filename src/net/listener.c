// A worker's listener: its endpoints, accepting, the lists of connections, and draining.
#include "net/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include "base/memory.h"
#include "net/address.h"
#include "net/gate.h"
#include "net/http1.h"
#include "net/http2.h"
#include "net/proxy_header.h"
#include "net/tls.h"

#define ACCEPTS_A_TURN  64
#define HEAD_BYTES_MOST (16u << 20)
#define ACCEPT_PAUSE    (100 * DX_MILLISECOND) // when the system has nothing left to accept with
#define BACKLOG_MOST    8192                   // accepted at an endpoint that closes; more than can wait there
#define NEWCOMER_TIME   DX_SECOND              // for the first request of a connection that was accepted then

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

static int open_reserve(void) {
    return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void start_accepting(dx_doorway *door) {
    if (uv_poll_start(&door->poll, UV_READABLE, on_connection) == 0) return;
    dx_timer_start(door->listener->loop, &door->again, ACCEPT_PAUSE);
}

static void on_accept_again(dx_timer *timer) {
    dx_doorway *door = DX_CONTAINER_OF(timer, dx_doorway, again);
    if (door->listener->reserve < 0) door->listener->reserve = open_reserve();
    start_accepting(door);
}

static void pause_accepting(dx_doorway *door) {
    (void)uv_poll_stop(&door->poll);
    dx_timer_start(door->listener->loop, &door->again, ACCEPT_PAUSE);
}

static bool close_oldest_idle(dx_listener *listener) {
    dx_connection *c = listener->idle.first;
    while (c && c->entered) c = c->next;
    if (!c) return false;
    dx_connection_cut(c);
    return true;
}

// accept(2) says EMFILE before it looks whether there is anybody to accept.
static bool somebody_waits(const dx_doorway *door) {
    struct pollfd waiting = {.fd = door->endpoint.fd, .events = POLLIN};
    return poll(&waiting, 1, 0) == 1;
}

// No descriptor is left. One is made free: the oldest idle connection's, or else ours in reserve, with which the newcomer is taken and
// closed, for left in the queue it would wake us for ever. False when nothing helps.
static bool make_room(dx_doorway *door) {
    dx_listener *listener = door->listener;
    if (close_oldest_idle(listener)) return true;
    if (listener->reserve < 0) return false;
    (void)close(listener->reserve);
    int fd = accept4(door->endpoint.fd, NULL, NULL, SOCK_CLOEXEC);
    if (fd >= 0) (void)close(fd);
    listener->reserve = open_reserve(); // another thread may have been quicker
    return fd >= 0;
}

// Over a cap the oldest idle connection makes room, and if there is none, the newcomer is closed without a word, which is cheap.
static bool may_enter(dx_doorway *door, const dx_address *address) {
    dx_listener *listener = door->listener;
    const dx_endpoint *endpoint = &door->endpoint;
    dx_gate *gate = listener->options.gate;
    if (endpoint->proxy_protocol && endpoint->proxies && !dx_ranges_have(endpoint->proxies, address)) {
        if (gate) dx_gate_refused(gate, DX_ENTRY_DENIED);
        return false;
    }
    if (listener->connections >= listener->options.limits.connections && !close_oldest_idle(listener)) return false;
    if (!gate) return true;
    dx_entry (*enter)(dx_gate *, const dx_address *) = endpoint->proxy_protocol ? dx_gate_enter_proxy : dx_gate_enter;
    dx_entry entry = enter(gate, address);
    if (entry == DX_ENTRY_FULL && close_oldest_idle(listener)) entry = enter(gate, address);
    if (entry != DX_ENTRY_OPEN) dx_gate_refused(gate, entry);
    return entry == DX_ENTRY_OPEN;
}

static void take_connection(dx_doorway *door, int fd, const dx_address *address) {
    dx_listener *listener = door->listener;
    dx_connection *c;
    if (!may_enter(door, address)) {
        (void)close(fd);
        return;
    }
    if (dx_connection_create(&c, listener, fd, address) != DX_OK) { // without memory it is closed
        if (listener->options.gate) dx_gate_leave(listener->options.gate, address);
        return;
    }
    c->gated = listener->options.gate != NULL;
    c->tag = door->endpoint.tag;
    if (door->endpoint.tls) {
        if (dx_tls_attach(c, door->endpoint.tls) != DX_OK) {
            dx_connection_cut(c);
            return;
        }
        c->transport = &dx_tls_transport;
    }
    if (door->endpoint.proxy_protocol) dx_proxy_header_expect(c, c->transport);
    dx_connection_begin(c);
}

typedef enum accepted { ACCEPTED, NOBODY, NOT_NOW } accepted;

static accepted accept_one(dx_doorway *door) {
    dx_address address = {.size = sizeof address.v6};
    int fd = accept4(door->endpoint.fd, &address.any, &address.size, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
        take_connection(door, fd, &address);
        return ACCEPTED;
    }
    if (errno == EMFILE || errno == ENFILE) {
        if (!somebody_waits(door)) return NOBODY;
        return make_room(door) ? ACCEPTED : NOT_NOW;
    }
    if (errno == ENOBUFS || errno == ENOMEM || errno == EINVAL) return NOT_NOW; // the last: somebody has shut the socket down
    return errno == EAGAIN || errno == EWOULDBLOCK ? NOBODY : ACCEPTED; // any other is about one connection that is no more (accept(2))
}

static void on_connection(uv_poll_t *poll, int status, int events) {
    dx_doorway *door = DX_CONTAINER_OF(poll, dx_doorway, poll);
    (void)events;
    accepted last = status < 0 ? NOT_NOW : ACCEPTED;
    for (int i = 0; i < ACCEPTS_A_TURN && last == ACCEPTED; i++) last = accept_one(door);
    if (last == NOT_NOW) pause_accepting(door);
}

// --- endpoints -------------------------------------------------------------------------------------------------------------

static bool listens(int fd) {
    int value = 0;
    return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &value, &(socklen_t){sizeof value}) == 0 && value;
}

// A socket that others have opened may block and wait to send. What is accepted inherits TCP_NODELAY: a response never waits for the
// acknowledgement of the one before.
static bool prepare(int fd) {
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || (!(flags & O_NONBLOCK) && fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0)) return false;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int)); // unix sockets have none
    return true;
}

static dx_doorway **find_doorway(dx_listener *listener, int fd) {
    dx_doorway **link = &listener->doorways;
    while (*link && (*link)->endpoint.fd != fd) link = &(*link)->next;
    return link;
}

dx_status dx_listener_add(dx_listener *listener, const dx_endpoint *endpoint) {
    size_t count = 0;
    for (const dx_doorway *door = listener->doorways; door; door = door->next) count++;
    if (listener->draining || count >= DX_ENDPOINT_CAP) return DX_UNAVAILABLE;
    if (!listens(endpoint->fd) || !prepare(endpoint->fd)) return DX_INVALID;
    dx_doorway *door = dx_memory_zalloc(1, sizeof *door);
    if (!door) return DX_NO_MEMORY;
    door->listener = listener;
    door->endpoint = *endpoint;
    door->again.fire = on_accept_again;
    if (uv_poll_init(dx_loop_uv(listener->loop), &door->poll, endpoint->fd) != 0) {
        dx_memory_free(door);
        return DX_UNAVAILABLE;
    }
    door->next = listener->doorways;
    listener->doorways = door;
    start_accepting(door);
    return DX_OK;
}

dx_status dx_listener_change(dx_listener *listener, int fd, const dx_endpoint *endpoint) {
    dx_doorway *door = *find_doorway(listener, fd);
    if (fd < 0 || !door) return DX_NOT_FOUND;
    door->endpoint = *endpoint;
    door->endpoint.fd = fd;
    return DX_OK;
}

static void on_doorway_closed(uv_handle_t *handle) {
    dx_doorway *door = DX_CONTAINER_OF(handle, dx_doorway, poll);
    dx_listener *listener = door->listener;
    dx_doorway **link = &listener->doorways;
    while (*link != door) link = &(*link)->next;
    *link = door->next;
    dx_memory_free(door);
    dx_listener_check_drained(listener);
}

static void close_doorway(dx_doorway *door, bool accept_first) {
    if (door->endpoint.fd < 0) return;
    for (int i = 0; accept_first && i < BACKLOG_MOST && accept_one(door) == ACCEPTED; i++) {
    }
    dx_timer_stop(door->listener->loop, &door->again);
    uv_close((uv_handle_t *)&door->poll, on_doorway_closed);
    (void)close(door->endpoint.fd);
    door->endpoint.fd = -1;
}

void dx_listener_remove(dx_listener *listener, int fd) {
    dx_doorway *door = *find_doorway(listener, fd);
    if (door) close_doorway(door, true);
}

// --- starting and ending ---------------------------------------------------------------------------------------------------

static void free_listener(dx_listener *listener) {
    while (listener->pool) {
        dx_stream *stream = listener->pool;
        listener->pool = stream->next;
        dx_stream_free(stream);
    }
    if (listener->reserve >= 0) (void)close(listener->reserve);
    dx_memory_free(listener->tls_desk);
    dx_http2_shared_destroy(listener->http2_shared);
    dx_memory_free(listener->input);
    dx_memory_free(listener->output);
    dx_memory_free(listener);
}

static dx_status refuse(dx_diags *diags, const char *what, const char *advice) {
    dx_diag *diag = dx_diags_add(diags, DX_INVALID, DX_SLICE("/server/listen"), "%s", what);
    if (diag) diag->suggestion = dx_slice_str(advice);
    return DX_INVALID;
}

dx_status dx_listener_start(dx_listener **out, dx_loop *loop, const dx_listener_options *options, dx_diags *diags) {
    if (options->limits.head_bytes > HEAD_BYTES_MOST) return refuse(diags, "heads of more than 16 MiB are not taken", "lower head_bytes");
    dx_listener *listener = dx_memory_zalloc(1, sizeof *listener);
    if (!listener) return DX_NO_MEMORY;
    listener->loop = loop;
    listener->options = *options;
    listener->http2 = &dx_http2_protocol;
    listener->reserve = open_reserve();
    listener->task.run = run_task;
    listener->input = dx_memory_alloc(DX_INPUT_SIZE);
    listener->output = dx_memory_alloc(DX_OUTPUT_SIZE);
    if (!listener->input || !listener->output) {
        free_listener(listener);
        return DX_NO_MEMORY;
    }
    *out = listener;
    return DX_OK;
}

size_t dx_listener_connections(const dx_listener *listener) {
    return listener->connections;
}

void dx_listener_check_drained(dx_listener *listener) {
    if (!listener->draining || listener->doorways || listener->done_called || listener->in_task) return;
    if (listener->connections || listener->closing || listener->streams || listener->task_posted) return;
    listener->done_called = true;
    dx_timer_stop(listener->loop, &listener->grace);
    dx_timer_stop(listener->loop, &listener->newcomers);
    listener->done(listener->done_ctx);
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

static void on_newcomers_over(dx_timer *timer) {
    cut_all(&DX_CONTAINER_OF(timer, dx_listener, newcomers)->idle);
}

// Everybody is left anew, for which see dx_connection_leave: protocols say that they end, and idle connections do.
static void touch_all(const dx_connections *list) {
    for (dx_connection *c = list->first; c; c = c->next) dx_connection_touch(c);
}

void dx_listener_drain(dx_listener *listener, dx_drain how, dx_nanos grace, void (*done)(void *ctx), void *ctx) {
    if (listener->draining) return;
    listener->draining = true;
    listener->how = how;
    listener->done = done;
    listener->done_ctx = ctx;
    for (dx_doorway *door = listener->doorways; door; door = door->next) close_doorway(door, how == DX_DRAIN_NOW);
    for (dx_connection *c = listener->busy.first; c; c = c->next) c->newcomer |= c->opening != DX_OPENING_DONE;
    touch_all(&listener->idle);
    touch_all(&listener->busy);
    listener->grace.fire = on_grace_over;
    dx_timer_start(listener->loop, &listener->grace, grace);
    listener->newcomers.fire = on_newcomers_over;
    if (how == DX_DRAIN_NOW) dx_timer_start(listener->loop, &listener->newcomers, grace < NEWCOMER_TIME ? grace : NEWCOMER_TIME);
    dx_listener_post(listener); // which also sees that there is nothing to wait for
}

void dx_listener_limit(dx_listener *listener, const dx_http_limits *limits, size_t arena_cap) {
    listener->options.limits = *limits;
    listener->options.arena_cap = arena_cap;
}

void dx_listener_destroy(dx_listener *listener) {
    if (listener) free_listener(listener);
}
