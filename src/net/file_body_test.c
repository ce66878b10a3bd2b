// Files as bodies: read or sent, cached or cold, whole or by a range, shrinking under way; by the file API itself, over a loopback (which
// copies) and over a socket (sendfile).
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/memory.h"
#include "net/connection.h"
#include "net/file_body.h"
#include "net/test_stage.h"

#define H    "Host: a\r\n"
#define GET  "GET / HTTP/1.1\r\n" H "\r\n"
#define SIZE (3u << 20)

static stage s;
static char content[SIZE], got[SIZE + 1000];
static int model; // the file; what is sent is another descriptor of it
static char path[64];

static int make_in(const char *folder) {
    if (!content[0]) {
        for (size_t i = 0; i < SIZE; i++) content[i] = (char)('a' + (i * 7 + i / 1000) % 26);
    }
    (void)snprintf(path, sizeof path, "%s/dx-file-XXXXXX", folder);
    model = mkstemp(path);
    assert_true(model >= 0);
    assert_int_equal(pwrite(model, content, SIZE, 0), SIZE);
    stage_open(&s, NULL);
    return 0;
}

static int setup(void **state) {
    (void)state;
    return make_in("/tmp");
}

static int setup_in_memory(void **state) {
    (void)state;
    return make_in("/dev/shm");
}

static int teardown(void **state) {
    (void)state;
    stage_close(&s);
    close(model);
    unlink(path);
    return 0;
}

static int open_copy(void) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    return fd;
}

// Out of the page cache, as far as the file system of the test has it so.
static void make_cold(void) {
    assert_int_equal(fsync(model), 0);
    (void)posix_fadvise(model, 0, 0, POSIX_FADV_DONTNEED);
}

// --- the file itself -------------------------------------------------------------------------------------------------------

static size_t ready;

static void on_ready(void *ctx) {
    (void)ctx;
    ready++;
}

static bool is_ready(void *ctx) {
    (void)ctx;
    return ready > 0;
}

static void await_ready(void) {
    stage_run(&s, is_ready, NULL);
    ready = 0;
}

// Reads it all in pieces of `size`; the number of bytes, or -1 when it failed. Counts the waits.
static ssize_t read_all(dx_file_body *file, size_t size, size_t *waits) {
    size_t at = 0;
    *waits = 0;
    while (dx_file_body_left(file) > 0) {
        ssize_t n = dx_file_body_read(file, got + at, size);
        if (n == DX_FILE_FAILED) return -1;
        if (n == DX_FILE_WAIT) {
            ++*waits;
            await_ready();
        }
        at += (size_t)n;
    }
    return (ssize_t)at;
}

static void file_is_read_whole_or_in_part(void **state) {
    (void)state;
    static const struct {
        int64_t offset, length;
        size_t piece;
    } cases[] = {{0, SIZE, 65536}, {0, SIZE, SIZE}, {0, 1, 10}, {SIZE - 1, 1, 10}, {12345, 700001, 16384}};
    for (int cold = 0; cold < 2; cold++) {
        for (size_t i = 0; i < DX_COUNT_OF(cases); i++) {
            size_t waits;
            if (cold) make_cold();
            dx_file_body *file = dx_file_body_create(s.loop, open_copy(), cases[i].offset, cases[i].length, on_ready, NULL);
            assert_int_equal(read_all(file, cases[i].piece, &waits), cases[i].length);
            assert_memory_equal(got, content + cases[i].offset, (size_t)cases[i].length);
            dx_file_body_destroy(file);
        }
    }
}

static void what_memory_has_is_told_and_skipped(void **state) {
    (void)state;
    for (int cold = 0; cold < 2; cold++) {
        if (cold) make_cold();
        dx_file_body *file = dx_file_body_create(s.loop, open_copy(), 100, SIZE - 100, on_ready, NULL);
        while (dx_file_body_left(file) > 0) {
            ssize_t there = dx_file_body_resident(file, 300000);
            assert_true(there >= 0 && there <= 300000);
            if (there == DX_FILE_WAIT) {
                assert_int_equal(dx_file_body_resident(file, 300000), DX_FILE_WAIT); // it has been asked for
                await_ready();
            }
            dx_file_body_skip(file, (size_t)there);
            assert_int_equal(dx_file_body_offset(file) + dx_file_body_left(file), SIZE);
        }
        dx_file_body_destroy(file);
    }
}

static void file_that_is_shorter_than_said_fails(void **state) {
    (void)state;
    for (int cold = 0; cold < 2; cold++) {
        size_t waits;
        if (cold) make_cold();
        dx_file_body *file = dx_file_body_create(s.loop, open_copy(), SIZE - 10, 11, on_ready, NULL);
        assert_int_equal(read_all(file, 100, &waits), -1);
        assert_int_equal(dx_file_body_resident(file, 100), DX_FILE_FAILED);
        dx_file_body_destroy(file);
        file = dx_file_body_create(s.loop, open_copy(), SIZE + 10, 1, on_ready, NULL);
        ssize_t there = dx_file_body_resident(file, 1);
        if (there == DX_FILE_WAIT) {
            await_ready();
            there = dx_file_body_resident(file, 1);
        }
        bool in_memory = strncmp(path, "/dev/shm", 8) == 0; // nothing was asked: sendfile will find out
        assert_int_equal(there, in_memory ? 1 : DX_FILE_FAILED);
        dx_file_body_destroy(file);
    }
}

static void descriptor_that_cannot_be_read_fails(void **state) {
    (void)state;
    size_t waits;
    dx_file_body *file = dx_file_body_create(s.loop, open("/tmp", O_RDONLY | O_CLOEXEC), 0, 5, on_ready, NULL);
    assert_int_equal(read_all(file, 100, &waits), -1);
    dx_file_body_destroy(file);
}

static void file_destroyed_while_it_is_fetched_calls_nobody(void **state) {
    (void)state;
    ready = 0;
    make_cold();
    dx_file_body *file = dx_file_body_create(s.loop, open_copy(), 0, SIZE, on_ready, NULL);
    (void)dx_file_body_read(file, got, 100);
    dx_file_body_destroy(file);
    dx_file_body_destroy(NULL);
    stage_settle(&s); // the teardown counts descriptors
    assert_int_equal(ready, 0);
}

// --- a pool without room ---------------------------------------------------------------------------------------------------

static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
static size_t through;

static void wait_at_gate(dx_work *work) {
    (void)work;
    pthread_mutex_lock(&gate);
    pthread_mutex_unlock(&gate);
}

static void count_through(dx_work *work) {
    (void)work;
    through++;
}

static void full_pool_delays_a_file_and_breaks_nothing(void **state) {
    (void)state;
    static dx_work works[1000];
    size_t submitted = 0, waits;
    pthread_mutex_lock(&gate);
    through = 0;
    for (bool full = false; !full;) {
        assert_true(submitted < DX_COUNT_OF(works));
        works[submitted] = (dx_work){.work = wait_at_gate, .done = count_through};
        full = dx_loop_work(s.loop, &works[submitted]) != DX_OK;
        if (!full) submitted++;
    }
    make_cold();
    dx_file_body *file = dx_file_body_create(s.loop, open_copy(), 0, SIZE, on_ready, NULL);
    dx_file_body *given_up = dx_file_body_create(s.loop, open_copy(), 0, SIZE, on_ready, NULL);
    ssize_t first = dx_file_body_read(file, got, 1);
    (void)dx_file_body_read(given_up, got, 1);
    dx_file_body_destroy(given_up);
    pthread_mutex_unlock(&gate);
    if (first == DX_FILE_WAIT) await_ready();
    assert_int_equal(read_all(file, 100000, &waits), SIZE - (first > 0 ? first : 0));
    dx_file_body_destroy(file);
    stage_await(&s, &through, submitted);
}

// --- over HTTP/1.1 ---------------------------------------------------------------------------------------------------------

static int64_t offset, length;

static void answer_file(actor *a) {
    static dx_field type = {.name = DX_SLICE_INIT("Content-Type"), .value = DX_SLICE_INIT("text/plain")};
    static dx_fields fields = {&type, 1, 1};
    dx_stream_respond_file(a->stream, &(dx_response_head){.status = 200, .fields = &fields}, open_copy(), offset, length);
}

static const int64_t lengths[] = {1, 5000, 32 << 10, (32 << 10) + 1, 512 << 10, 700001, SIZE - 77};

static void expect_body(const char *text, size_t size, int64_t of) {
    const char *body = strstr(text, "\r\n\r\n");
    assert_non_null(body);
    body += 4;
    assert_int_equal(text + size - body, of);
    assert_memory_equal(body, content + offset, (size_t)of);
}

static void file_goes_out_over_a_loopback(void **state) {
    (void)state;
    char field[64];
    s.on_end = answer_file;
    offset = 77;
    dx_loopback_window(s.client, SIZE + 1000);
    for (size_t i = 0; i < 2 * DX_COUNT_OF(lengths); i++) {
        length = lengths[i / 2];
        if (i % 2) make_cold();
        stage_send(&s, GET);
        stage_await(&s, &s.closed, i + 1);
        (void)snprintf(field, sizeof field, "\r\nContent-Length: %lld\r\n", (long long)length);
        const char *all = stage_received(&s);
        assert_non_null(strstr(all, field));
        size_t size = dx_loopback_received(s.client)->size;
        expect_body(all, size, length);
        assert_true(s.actors[i].sent);
        assert_int_equal(s.actors[i].bytes, size);
        stage_take(&s);
    }
}

static void head_and_empty_files_send_no_body(void **state) {
    (void)state;
    s.on_end = answer_file;
    length = 5000;
    stage_send(&s, "HEAD / HTTP/1.1\r\n" H "\r\n");
    stage_await(&s, &s.closed, 1);
    assert_non_null(strstr(stage_received(&s), "\r\nContent-Length: 5000\r\n\r\n"));
    assert_string_equal(strstr(stage_received(&s), "\r\n\r\n"), "\r\n\r\n");
    stage_take(&s);
    length = 0;
    stage_send(&s, GET);
    stage_await(&s, &s.closed, 2);
    assert_non_null(strstr(stage_received(&s), "\r\nContent-Length: 0\r\n\r\n"));
}

static void slow_peer_gets_the_file_bit_by_bit(void **state) {
    (void)state;
    s.on_end = answer_file;
    offset = 0;
    length = SIZE;
    dx_loopback_window(s.client, 50000);
    stage_send(&s, GET);
    stage_await_bytes(&s, 50000);
    size_t size = 0;
    while (s.closed == 0 || dx_loopback_received(s.client)->size) {
        size_t more = dx_loopback_received(s.client)->size;
        memcpy(got + size, stage_received(&s), more);
        size += more;
        stage_take(&s);
        (void)dx_loopback_run(s.client, is_ready, NULL, 0);
    }
    got[size] = 0;
    expect_body(got, size, SIZE);
}

static void peer_that_stops_reading_a_file_is_cut(void **state) {
    (void)state;
    stage_close(&s);
    dx_http_limits limits = DX_HTTP_LIMITS_INIT;
    limits.write_stall = 100 * DX_MILLISECOND;
    stage_open(&s, &limits);
    s.on_end = answer_file;
    length = SIZE;
    dx_loopback_window(s.client, 50000);
    stage_send(&s, GET);
    stage_await(&s, &s.closed, 1);
    assert_false(s.actors[0].sent);
    assert_int_equal(s.actors[0].bytes, 50000);
}

static void file_that_shrinks_while_it_is_sent_cuts_the_connection(void **state) {
    (void)state;
    s.on_end = answer_file;
    offset = 0;
    length = SIZE;
    dx_loopback_window(s.client, 100000);
    stage_send(&s, GET GET);
    stage_await_bytes(&s, 100000);
    assert_int_equal(ftruncate(model, 200000), 0);
    dx_loopback_window(s.client, SIZE + 1000);
    stage_await_closed(&s);
    assert_int_equal(s.closed, 1);
    assert_false(s.actors[0].sent);
    assert_true(dx_loopback_received(s.client)->size >= 200000 && dx_loopback_received(s.client)->size < 800000);
}

static void gone_peer_takes_the_file_with_it(void **state) {
    (void)state;
    s.on_end = answer_file;
    offset = 0;
    length = SIZE;
    for (size_t i = 0; i < 4; i++) {
        if (i >= 2) make_cold();
        dx_loopback_window(s.client, 1000);
        stage_send(&s, GET);
        stage_await(&s, &s.begun, i + 1);
        if (i % 2) stage_settle(&s);
        stage_connect(&s);
        stage_await(&s, &s.closed, i + 1);
        assert_false(s.actors[i].sent);
    }
}

static void file_for_nobody_is_closed(void **state) {
    (void)state;
    stage_send(&s, GET GET);
    stage_await(&s, &s.begun, 1);
    actor *a = &s.actors[0];
    dx_stream_begin(a->stream, &(dx_response_head){.status = 200});
    dx_stream_respond_file(a->stream, &(dx_response_head){.status = 200}, open_copy(), 0, 10); // begun already: not heeded
    dx_stream_finish(a->stream);
    dx_stream_respond_file(a->stream, &(dx_response_head){.status = 200}, open_copy(), 0, 10); // a second answer
    stage_await(&s, &s.begun, 2);
}

static void every_failed_allocation_costs_no_more_than_its_connection(void **state) {
    (void)state;
    s.on_end = answer_file;
    offset = 0;
    static const int64_t sizes[] = {5000, 100000};
    for (size_t i = 0; i < 2; i++) {
        length = sizes[i];
        for (uint64_t n = 1;; n++) {
            stage_forget(&s);
            stage_connect(&s);
            make_cold();
            dx_loopback_window(s.client, 1000);
            stage_send(&s, GET);
            dx_loopback_end(s.client);
            dx_memory_fail_at(n, false);
            stage_settle(&s);
            dx_loopback_window(s.client, SIZE);
            stage_await_closed(&s);
            assert_int_equal(s.begun, s.closed);
            if (!dx_memory_fail_stop()) break;
        }
        assert_true(s.actors[0].sent);
    }
}

// --- over a socket ---------------------------------------------------------------------------------------------------------

typedef struct socket_client {
    int fd;
    size_t size, want;
    bool ended;
} socket_client;

static void open_socket(socket_client *client) {
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
    *client = (socket_client){.fd = pair[0]};
    dx_connection *c;
    assert_int_equal(dx_connection_create(&c, s.listener, pair[1], &(dx_address){.any.sa_family = AF_UNIX}), DX_OK);
    dx_connection_begin(c);
}

static bool socket_has_enough(void *ctx) {
    socket_client *client = ctx;
    for (;;) {
        size_t room = sizeof got - 1 - client->size;
        ssize_t n = recv(client->fd, got + client->size, room < 30000 ? room : 30000, 0);
        if (n < 0) break;
        if (n == 0) {
            client->ended = true;
            break;
        }
        client->size += (size_t)n;
    }
    got[client->size] = 0;
    return client->ended || client->size >= client->want;
}

static void file_goes_out_over_a_socket(void **state) {
    (void)state;
    socket_client client;
    s.on_end = answer_file;
    offset = 77;
    open_socket(&client);
    for (size_t i = 0; i < 2 * DX_COUNT_OF(lengths); i++) {
        length = lengths[i / 2];
        if (i % 2) make_cold();
        assert_int_equal(send(client.fd, GET, sizeof GET - 1, 0), sizeof GET - 1);
        client.size = 0;
        client.want = (size_t)length + 1;
        stage_run(&s, socket_has_enough, &client);
        stage_await(&s, &s.closed, i + 1);
        client.want = s.actors[i].bytes;
        stage_run(&s, socket_has_enough, &client);
        expect_body(got, client.size, length);
        assert_true(s.actors[i].sent);
    }
    close(client.fd);
}

static void file_that_shrinks_cuts_the_socket(void **state) {
    (void)state;
    socket_client client;
    s.on_end = answer_file;
    offset = 0;
    length = SIZE;
    open_socket(&client);
    assert_int_equal(send(client.fd, GET, sizeof GET - 1, 0), sizeof GET - 1);
    client.want = 1;
    stage_run(&s, socket_has_enough, &client);
    assert_int_equal(ftruncate(model, 100), 0);
    client.want = SIZE;
    stage_run(&s, socket_has_enough, &client);
    assert_true(client.ended && client.size < SIZE);
    stage_await(&s, &s.closed, 1);
    assert_false(s.actors[0].sent);
    close(client.fd);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(file_is_read_whole_or_in_part, setup, teardown),
        cmocka_unit_test_setup_teardown(what_memory_has_is_told_and_skipped, setup, teardown),
        cmocka_unit_test_setup_teardown(file_that_is_shorter_than_said_fails, setup, teardown),
        cmocka_unit_test_setup_teardown(descriptor_that_cannot_be_read_fails, setup, teardown),
        cmocka_unit_test_setup_teardown(file_destroyed_while_it_is_fetched_calls_nobody, setup, teardown),
        cmocka_unit_test_setup_teardown(full_pool_delays_a_file_and_breaks_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(file_goes_out_over_a_loopback, setup, teardown),
        cmocka_unit_test_setup_teardown(head_and_empty_files_send_no_body, setup, teardown),
        cmocka_unit_test_setup_teardown(slow_peer_gets_the_file_bit_by_bit, setup, teardown),
        cmocka_unit_test_setup_teardown(peer_that_stops_reading_a_file_is_cut, setup, teardown),
        cmocka_unit_test_setup_teardown(file_that_shrinks_while_it_is_sent_cuts_the_connection, setup, teardown),
        cmocka_unit_test_setup_teardown(gone_peer_takes_the_file_with_it, setup, teardown),
        cmocka_unit_test_setup_teardown(file_for_nobody_is_closed, setup, teardown),
        cmocka_unit_test_setup_teardown(every_failed_allocation_costs_no_more_than_its_connection, setup, teardown),
        cmocka_unit_test_setup_teardown(file_goes_out_over_a_socket, setup, teardown),
        cmocka_unit_test_setup_teardown(file_that_shrinks_cuts_the_socket, setup, teardown),
        // the same where the kernel cannot say what is in memory
        cmocka_unit_test_setup_teardown(file_is_read_whole_or_in_part, setup_in_memory, teardown),
        cmocka_unit_test_setup_teardown(what_memory_has_is_told_and_skipped, setup_in_memory, teardown),
        cmocka_unit_test_setup_teardown(file_that_is_shorter_than_said_fails, setup_in_memory, teardown),
        cmocka_unit_test_setup_teardown(file_goes_out_over_a_socket, setup_in_memory, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
