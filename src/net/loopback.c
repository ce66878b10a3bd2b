// The loopback transport: two buffers where a socket would be, with a socket's manners. What epoll would say, level-triggered, a task says
// at the end of the turn, so that nothing the test does runs the server's code under its feet.
//
// The struct is shared by both ends and goes with the last: the client's by dx_loopback_destroy, the server's when its connection closes.
#include "net/loopback.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <uv.h>

#include "base/memory.h"
#include "net/connection.h"
#include "net/listener.h"

#define WINDOW_FIRST (1u << 20)
#define PIPE_CAP     (1u << 30)

struct dx_loopback {
    dx_connection *connection; // NULL: the server has closed
    dx_loop *loop;
    dx_buffer to_server, to_client;
    size_t read; // of to_server
    size_t window;
    int interest;
    bool ended;        // the client sends no more
    bool gone;         // the client's end is destroyed
    bool server_ended; // the server sends no more
    bool posted;
    dx_task task;
};

static void free_if_last(dx_loopback *l) {
    if (l->connection || !l->gone || l->posted) return;
    dx_buffer_deinit(&l->to_server);
    dx_buffer_deinit(&l->to_client);
    dx_memory_free(l);
}

// --- readiness -------------------------------------------------------------------------------------------------------------

static size_t room_of(const dx_loopback *l) {
    return l->window > l->to_client.size ? l->window - l->to_client.size : 0;
}

static int ready_for(const dx_loopback *l) {
    int ready = 0;
    if (l->to_server.size > l->read || l->ended || l->gone) ready |= UV_READABLE;
    if (room_of(l) > 0 || l->gone) ready |= UV_WRITABLE;
    if (l->ended || l->gone) ready |= UV_DISCONNECT;
    if (l->gone) ready |= UV_PRIORITIZED; // how uv_poll tells of a reset
    return ready & l->interest;
}

static void tell(dx_loopback *l) {
    if (l->posted || !l->connection || !ready_for(l)) return;
    l->posted = true;
    dx_loop_post(l->loop, &l->task);
}

static void run_task(dx_task *task) {
    dx_loopback *l = DX_CONTAINER_OF(task, dx_loopback, task);
    int ready = ready_for(l);
    if (l->connection && ready) dx_connection_event(l->connection, ready); // may come back to `loopback_close`; `posted` keeps `l`
    l->posted = false;
    tell(l);
    free_if_last(l);
}

// --- the server's end ------------------------------------------------------------------------------------------------------

static ssize_t fail_with(int error) {
    errno = error;
    return -1;
}

// As recv(2) has it when there are no bytes.
static ssize_t without_input(const dx_loopback *l) {
    if (l->gone) return fail_with(ECONNRESET);
    return l->ended ? 0 : fail_with(EAGAIN);
}

static ssize_t loopback_receive(dx_connection *c, char *to, size_t size) {
    dx_loopback *l = c->loopback;
    size_t there = l->to_server.size - l->read;
    if (l->gone || there == 0) return without_input(l);
    if (size > there) size = there;
    memcpy(to, l->to_server.data + l->read, size);
    l->read += size;
    if (l->read == l->to_server.size) {
        dx_buffer_clear(&l->to_server);
        l->read = 0;
    }
    return (ssize_t)size;
}

static ssize_t loopback_peek(dx_connection *c) {
    const dx_loopback *l = c->loopback;
    return !l->gone && l->to_server.size > l->read ? 1 : without_input(l);
}

static ssize_t loopback_send(dx_connection *c, const dx_slice *pieces, unsigned count) {
    dx_loopback *l = c->loopback;
    size_t sent = 0;
    if (l->gone || l->server_ended) return fail_with(EPIPE);
    for (unsigned i = 0; i < count; i++) {
        size_t room = room_of(l), size = pieces[i].size < room ? pieces[i].size : room;
        dx_buffer_append(&l->to_client, pieces[i].data, size);
        if (dx_buffer_status(&l->to_client) != DX_OK) return fail_with(ENOBUFS);
        sent += size;
    }
    return sent ? (ssize_t)sent : fail_with(EAGAIN);
}

static int loopback_end(dx_connection *c) {
    c->loopback->server_ended = true;
    return 0;
}

static void loopback_close(dx_connection *c) {
    dx_loopback *l = c->loopback;
    l->connection = NULL;
    l->server_ended = true;
    free_if_last(l);
}

static int loopback_wait(dx_connection *c, int interest) {
    c->loopback->interest = interest;
    tell(c->loopback);
    return 0;
}

static const dx_transport loopback_transport = {
    .receive = loopback_receive,
    .send = loopback_send,
    .peek = loopback_peek,
    .end = loopback_end,
    .close = loopback_close,
    .wait = loopback_wait,
};

// --- the client's end ------------------------------------------------------------------------------------------------------

dx_status dx_loopback_connect(dx_loopback **out, dx_listener *listener, const char *peer) {
    dx_address address = {.any.sa_family = AF_UNIX};
    if (strcmp(peer, "unix") != 0 && !dx_address_parse(&address, dx_slice_str(peer))) return DX_INVALID;
    dx_loopback *l = dx_memory_zalloc(1, sizeof *l);
    if (!l) return DX_NO_MEMORY;
    dx_connection *c;
    dx_status status = dx_connection_create(&c, listener, -1, &address);
    if (status != DX_OK) {
        dx_memory_free(l);
        return status;
    }
    l->connection = c;
    l->loop = listener->loop;
    l->window = WINDOW_FIRST;
    l->task.run = run_task;
    dx_buffer_init(&l->to_server, NULL, PIPE_CAP);
    dx_buffer_init(&l->to_client, NULL, PIPE_CAP);
    c->transport = &loopback_transport;
    c->loopback = l;
    dx_connection_begin(c);
    *out = l;
    return DX_OK;
}

void dx_loopback_destroy(dx_loopback *l) {
    if (!l) return;
    l->gone = true;
    tell(l);
    free_if_last(l);
}

void dx_loopback_send(dx_loopback *l, dx_slice bytes) {
    dx_buffer_add(&l->to_server, bytes);
    tell(l);
}

void dx_loopback_end(dx_loopback *l) {
    l->ended = true;
    tell(l);
}

void dx_loopback_window(dx_loopback *l, size_t bytes) {
    l->window = bytes;
    tell(l);
}

const dx_buffer *dx_loopback_received(const dx_loopback *l) {
    return &l->to_client;
}

void dx_loopback_take(dx_loopback *l, size_t bytes) {
    if (bytes > l->to_client.size) bytes = l->to_client.size;
    if (bytes) memmove(l->to_client.data, l->to_client.data + bytes, l->to_client.size - bytes);
    l->to_client.size -= bytes;
    tell(l);
}

bool dx_loopback_ended(const dx_loopback *l) {
    return l->server_ended;
}

bool dx_loopback_closed(const dx_loopback *l) {
    return l->connection == NULL;
}

// Whether something has come for the loop within `most`; the time that a timer of its own wants is not exceeded.
static bool await_something(uv_loop_t *uv, dx_nanos most) {
    int own = uv_backend_timeout(uv);
    int timeout = (int)(most / DX_MILLISECOND) + 1;
    if (own >= 0 && own < timeout) timeout = own;
    struct pollfd waiting = {.fd = uv_backend_fd(uv), .events = POLLIN};
    return poll(&waiting, 1, timeout) > 0;
}

bool dx_loopback_run(dx_loopback *l, bool (*until)(void *ctx), void *ctx, dx_nanos patience) {
    uv_loop_t *uv = dx_loop_uv(l->loop);
    dx_nanos since = dx_clock_monotonic();
    for (;;) {
        (void)uv_run(uv, UV_RUN_NOWAIT); // also has the descriptors registered that wait to be
        if (until(ctx)) return true;
        dx_nanos now = dx_clock_monotonic();
        if (patience <= 0) return false;
        if (now - since >= patience && !await_something(uv, 0)) return false; // a turn that took long is not silence
        if (now - since >= patience) since = now;
        // What is posted outside of dx_loop_run wakes the loop by its descriptor, so this sees tasks, too.
        if (await_something(uv, patience - (now - since))) since = dx_clock_monotonic();
    }
}
