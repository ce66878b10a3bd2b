// The test server and client: a listener on a thread, an owner that does what the path says, a client that blocks. See the header.
#include "net/test_server.h"

#include <dirent.h>
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buffer.h"
#include "net/address.h"
#include "net/tls.h"

#define PATIENCE 30 // seconds

typedef struct answer {
    server *server;
    dx_stream *stream;
    dx_slice path, peer;
    uint16_t tag;
    const dx_tls_facts *tls;
    dx_buffer body;
    dx_response_head head;
    dx_fields fields;
    unsigned pieces;
    bool done, begun;
} answer;

static char big[SERVER_BIG];

static void add(server *s, server_count count, size_t amount) {
    pthread_mutex_lock(&s->mutex);
    s->counts[count] += amount;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->mutex);
}

static void respond(answer *a, dx_slice body) {
    a->done = true;
    if (!a->head.status) a->head.status = 200;
    dx_stream_respond(a->stream, &a->head, body);
}

static bool at(const answer *a, const char *path) {
    return dx_slice_equal(a->path, dx_slice_str(path));
}

static void write_pieces(answer *a) {
    while (a->pieces < SERVER_PIECES) {
        if (!dx_stream_write(a->stream, dx_slice_of(big + a->pieces, SERVER_PIECE))) return;
        a->pieces++;
    }
    a->done = true;
    dx_stream_finish(a->stream);
}

static void *on_begin(void *ctx, dx_stream *stream, const dx_request_head *head) {
    server *s = ctx;
    if (dx_slice_equal(head->path, DX_SLICE("/refuse"))) return NULL;
    answer *a = DX_ARENA_NEW(dx_stream_arena(stream), answer);
    if (!a) return NULL;
    a->server = s;
    a->stream = stream;
    a->path = head->path;
    a->peer = head->peer;
    a->tag = head->tag;
    a->tls = head->tls;
    dx_buffer_init(&a->body, dx_stream_arena(stream), 4 << 20);
    add(s, BEGUN, 1);
    if (at(a, "/early")) respond(a, DX_SLICE("early"));
    if (at(a, "/drop")) {
        a->done = true;
        dx_stream_drop(stream);
    }
    if (at(a, "/continue")) dx_stream_continue(stream);
    return a;
}

static void on_body(void *owner, dx_slice piece) {
    answer *a = owner;
    assert_false(a->done);
    add(a->server, BODY_BYTES, piece.size);
    dx_buffer_add(&a->body, piece);
    dx_stream_consume(a->stream, piece.size);
}

static void add_large_field(answer *a) {
    a->fields.items = NULL;
    dx_slice value = dx_slice_of(big, 100000);
    assert_int_equal(dx_fields_add(&a->fields, dx_stream_arena(a->stream), DX_SLICE("x-large"), value), DX_OK);
    a->head.fields = &a->fields;
}

static void on_end(void *owner) {
    answer *a = owner;
    server *s = a->server;
    assert_false(a->done);
    add(s, ENDED, 1);
    if (at(a, "/echo") || at(a, "/continue"))
        respond(a, dx_buffer_slice(&a->body));
    else if (at(a, "/peer"))
        respond(a, dx_arena_printf(dx_stream_arena(a->stream), "%.*s %u", DX_SLICE_ARG(a->peer), a->tag));
    else if (at(a, "/tls") && a->tls)
        respond(a, dx_arena_printf(dx_stream_arena(a->stream), "%s|%.*s|%d|%d|%.*s|%.*s", a->tls->version,
                                   DX_SLICE_ARG(a->tls->server_name), a->tls->http2, a->tls->resumed, DX_SLICE_ARG(a->tls->client_subject),
                                   DX_SLICE_ARG(a->tls->client_fingerprint)));
    else if (at(a, "/big"))
        respond(a, dx_slice_of(big, sizeof big));
    else if (at(a, "/empty"))
        respond((a->head.status = 204, a), dx_slice_of(NULL, 0));
    else if (at(a, "/none")) {
        a->head = (dx_response_head){.status = 304, .no_body_length = true, .content_length = 77};
        respond(a, dx_slice_of(NULL, 0));
    } else if (at(a, "/close")) {
        a->head.close = true;
        respond(a, DX_SLICE("last"));
    } else if (at(a, "/fields")) {
        add_large_field(a);
        respond(a, DX_SLICE("fields"));
    } else if (at(a, "/stream")) {
        a->begun = true;
        a->head.status = 200;
        dx_stream_begin(a->stream, &a->head);
        write_pieces(a);
    } else if (at(a, "/wait")) {
        pthread_mutex_lock(&s->mutex);
        assert_true(s->counts[WAITING] < DX_COUNT_OF(s->waiting));
        s->waiting[s->counts[WAITING]] = a->stream;
        pthread_mutex_unlock(&s->mutex);
        add(s, WAITING, 1);
    } else {
        respond(a, DX_SLICE("fixed"));
    }
}

static void on_writable(void *owner) {
    write_pieces(owner);
}

static void on_abort(void *owner, dx_status why) {
    answer *a = owner;
    assert_false(a->done);
    a->server->abort_why = why;
    add(a->server, ABORTED, 1);
    if (at(a, "/wait")) return; // answered later, into the void
    a->done = true;
    dx_stream_drop(a->stream);
}

static void on_close(void *owner, bool sent, uint64_t bytes_sent) {
    answer *a = owner;
    assert_true(a->done);
    server *s = a->server;
    pthread_mutex_lock(&s->mutex);
    s->last_bytes = bytes_sent;
    pthread_mutex_unlock(&s->mutex);
    if (sent) add(s, CLOSED_SENT, 1);
    add(s, CLOSED, 1);
}

static void on_reject(void *ctx, dx_arena *arena, dx_slice peer, dx_status why, const char *reason, dx_response_head *head,
                      dx_slice *body) {
    assert_true(dx_slice_starts(peer, DX_SLICE("127.0.0.1:")));
    add(ctx, REJECTED, 1);
    head->status = dx_status_http(why);
    *body = dx_arena_copy(arena, dx_slice_str(reason));
}

static const dx_stream_ops ops = {
    .begin = on_begin,
    .body = on_body,
    .end = on_end,
    .abort = on_abort,
    .closed = on_close,
    .reject = on_reject,
    .writable = on_writable,
};

// --- the server's thread ---------------------------------------------------------------------------------------------------

int count_descriptors(void) {
    DIR *dir = opendir("/proc/self/fd");
    assert_non_null(dir);
    int count = -1; // the directory's own
    for (struct dirent *entry; (entry = readdir(dir));) count += entry->d_name[0] != '.';
    closedir(dir);
    return count;
}

static void *run(void *arg) {
    server *s = arg;
    assert_int_equal(dx_loop_run(s->loop), DX_OK);
    return NULL;
}

struct dx_gate *server_gate;

void server_start(server *s, const dx_http_limits *limits) {
    server_start_at(s, limits, "localhost:0", &(dx_endpoint){0});
}

void server_start_at(server *s, const dx_http_limits *limits, const char *address, const dx_endpoint *endpoint) {
    memset(s, 0, sizeof *s);
    if (!big[0]) {
        for (size_t i = 0; i < sizeof big; i++) big[i] = (char)('!' + i % 89);
    }
    assert_int_equal(dx_loop_create(&s->loop), DX_OK); // the first loop of a process opens descriptors that stay
    dx_loop_destroy(s->loop);
    s->descriptors = count_descriptors();
    pthread_mutex_init(&s->mutex, NULL);
    pthread_cond_init(&s->changed, NULL);
    s->options = (dx_listener_options){.limits = DX_HTTP_LIMITS_INIT, .arena_cap = 16 << 20, .ops = &ops, .ctx = s, .gate = server_gate};
    if (limits) s->options.limits = *limits;
    assert_int_equal(dx_loop_create(&s->loop), DX_OK);
    assert_int_equal(dx_listener_start(&s->listener, s->loop, &s->options, NULL), DX_OK);
    dx_endpoint there = *endpoint;
    assert_int_equal(dx_socket_listen(&s->fd, address, NULL, NULL), DX_OK);
    there.fd = s->fd;
    assert_int_equal(dx_listener_add(s->listener, &there), DX_OK);
    s->port = dx_socket_port(s->fd);
    assert_int_equal(pthread_create(&s->thread, NULL, run, s), 0);
}

typedef struct errand {
    dx_task task;
    server *server;
    void (*fn)(server *s);
    bool ran;
} errand;

static void run_errand(dx_task *task) {
    errand *e = DX_CONTAINER_OF(task, errand, task);
    server *s = e->server;
    e->fn(s);
    pthread_mutex_lock(&s->mutex);
    e->ran = true;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->mutex);
}

static struct timespec patience(void) {
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += PATIENCE;
    return until;
}

void server_run(server *s, void (*fn)(server *s)) {
    errand e = {.task.run = run_errand, .server = s, .fn = fn};
    dx_loop_post(s->loop, &e.task);
    struct timespec until = patience();
    pthread_mutex_lock(&s->mutex);
    while (!e.ran && pthread_cond_timedwait(&s->changed, &s->mutex, &until) == 0) {
    }
    pthread_mutex_unlock(&s->mutex);
    if (!e.ran) abort(); // it would run into our stack later
}

void server_await(server *s, server_count count, size_t at_least) {
    struct timespec until = patience();
    pthread_mutex_lock(&s->mutex);
    while (s->counts[count] < at_least && pthread_cond_timedwait(&s->changed, &s->mutex, &until) == 0) {
    }
    size_t got = s->counts[count];
    pthread_mutex_unlock(&s->mutex);
    if (got < at_least) fail_msg("count %d is %zu after %d seconds, not %zu", (int)count, got, PATIENCE, at_least);
}

size_t server_counted(server *s, server_count count) {
    pthread_mutex_lock(&s->mutex);
    size_t got = s->counts[count];
    pthread_mutex_unlock(&s->mutex);
    return got;
}

static size_t to_release;

static void release(server *s) {
    dx_stream *stream = s->waiting[to_release];
    respond(dx_stream_owner(stream), DX_SLICE("waited"));
}

void server_release(server *s, size_t waiting) {
    to_release = waiting;
    server_run(s, release);
}

static dx_nanos grace_given;
static dx_drain how_given;

void server_drained(void *ctx) {
    server *s = ctx;
    dx_loop_stop(s->loop);
    add(s, DRAINED, 1);
}

static void drain(server *s) {
    dx_listener_drain(s->listener, how_given, grace_given, server_drained, s);
}

void server_drain(server *s, dx_nanos grace) {
    grace_given = grace;
    how_given = DX_DRAIN_NOW;
    server_run(s, drain);
}

void server_drain_politely(server *s, dx_nanos grace) {
    grace_given = grace;
    how_given = DX_DRAIN_POLITE;
    server_run(s, drain);
}

void server_stop(server *s, dx_nanos grace) {
    if (server_counted(s, DRAINED) == 0) server_drain(s, grace);
    server_await(s, DRAINED, 1);
    pthread_join(s->thread, NULL);
    assert_int_equal(dx_listener_connections(s->listener), 0);
    dx_listener_destroy(s->listener);
    dx_loop_destroy(s->loop);
    assert_int_equal(s->counts[BEGUN], s->counts[CLOSED]);
    assert_int_equal(count_descriptors(), s->descriptors);
    pthread_cond_destroy(&s->changed);
    pthread_mutex_destroy(&s->mutex);
}

// --- the client ------------------------------------------------------------------------------------------------------------

static int open_with(const server *s, int receive_bytes) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(s->port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct timeval limit = {.tv_sec = PATIENCE};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit), 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit), 0);
    if (receive_bytes) assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_bytes, sizeof receive_bytes), 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

int client_open(const server *s) {
    return open_with(s, 0);
}

int client_open_small(const server *s) {
    return open_with(s, 4096);
}

void client_send_bytes(int fd, const char *data, size_t size) {
    while (size) {
        ssize_t sent = send(fd, data, size, MSG_NOSIGNAL);
        assert_true(sent > 0);
        data += sent;
        size -= (size_t)sent;
    }
}

void client_send(int fd, const char *text) {
    client_send_bytes(fd, text, strlen(text));
}

static size_t read_some(int fd, char *out, size_t size) {
    ssize_t got = recv(fd, out, size, 0);
    if (got <= 0) fail_msg("the response is cut short: %s", got == 0 ? "end" : strerror(errno));
    return (size_t)got;
}

static void read_exactly(int fd, char **out, const char *limit, size_t size) {
    assert_true(size < (size_t)(limit - *out));
    for (size_t done = 0; done < size;) done += read_some(fd, *out + done, size - done);
    *out += size;
    **out = 0;
}

// Up to and with `end`, byte by byte.
static void read_until(int fd, char **out, char *limit, const char *end) {
    char *start = *out;
    size_t size = strlen(end);
    do read_exactly(fd, out, limit, 1);
    while ((size_t)(*out - start) < size || memcmp(*out - size, end, size) != 0);
}

void client_read(int fd, char *out, size_t capacity) {
    char *start = out, *limit = out + capacity;
    read_until(fd, &out, limit, "\r\n\r\n");
    const char *length = strstr(start, "Content-Length: ");
    bool bodiless = strstr(start, "HTTP/1.1 304") == start || strstr(start, "HTTP/1.1 1") == start;
    if (length && !bodiless) read_exactly(fd, &out, limit, (size_t)strtoul(length + 16, NULL, 10));
    if (!strstr(start, "Transfer-Encoding: chunked\r\n")) return;
    for (size_t size = 1; size;) { // the framing is taken out
        char *line = out;
        read_until(fd, &out, limit, "\r\n");
        size = (size_t)strtoul(line, NULL, 16);
        out = line;
        read_exactly(fd, &out, limit, size + 2);
        assert_memory_equal(out - 2, "\r\n", 2);
        out -= 2;
        *out = 0;
    }
}

size_t client_read_all(int fd, char *out, size_t capacity, bool *reset) {
    size_t size = 0;
    *reset = false;
    for (;;) {
        assert_true(size + 1 < capacity);
        ssize_t got = recv(fd, out + size, capacity - size - 1, 0);
        if (got < 0) {
            assert_int_equal(errno, ECONNRESET);
            *reset = true;
        }
        if (got <= 0) break;
        size += (size_t)got;
    }
    out[size] = 0;
    return size;
}

void client_ask(const server *s, const char *request, char *out, size_t capacity) {
    int fd = client_open(s);
    client_send(fd, request);
    client_read(fd, out, capacity);
    close(fd);
}
