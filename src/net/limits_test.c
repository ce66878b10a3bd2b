// Every timeout and cap of dx_http_limits, with small values, over real sockets.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "net/test_server.h"

#define H   "Host: a\r\n"
#define END "\r\n"

static server s;
static char out[SERVER_BIG + 65536];
static bool reset;

// The timeouts are far apart, so that a test can tell by the time which one struck.
#define SHORT (50 * DX_MILLISECOND)
#define LONG  (20 * DX_SECOND)

static dx_http_limits with(void) {
    dx_http_limits limits = DX_HTTP_LIMITS_INIT;
    limits.head_time = limits.idle_time = limits.body_stall = limits.write_stall = LONG;
    return limits;
}

// Runs until the server ends the connection, which must be for the short timeout.
static void ends_soon(int fd, const char *starts) {
    dx_nanos began = dx_clock_monotonic();
    client_read_all(fd, out, sizeof out, &reset);
    if (strncmp(out, starts, strlen(starts)) != 0) fail_msg("expected %s, got: %.200s", starts, out);
    if (!*starts) assert_int_equal(strlen(out), 0);
    assert_true(dx_clock_monotonic() - began < LONG / 2);
    close(fd);
}

static void ask(int fd) {
    client_send(fd, "GET /fixed HTTP/1.1\r\n" H END);
    client_read(fd, out, sizeof out);
    assert_non_null(strstr(out, "fixed"));
}

static void slow_head_is_answered_408(void **state) {
    (void)state;
    dx_http_limits limits = with();
    limits.head_time = SHORT;
    server_start(&s, &limits);
    int fd = client_open(&s);
    client_send(fd, "GET /fixed HTTP/1.1\r\n");
    ends_soon(fd, "HTTP/1.1 408 ");
    server_stop(&s, LONG);
}

static void bytes_of_a_head_do_not_extend_its_time(void **state) {
    (void)state;
    dx_http_limits limits = with();
    limits.head_time = SHORT;
    limits.head_bytes = 16 << 20;
    server_start(&s, &limits);
    int fd = client_open(&s);
    dx_nanos began = dx_clock_monotonic();
    client_send(fd, "GET /fixed HTTP/1.1\r\nA: ");
    for (ssize_t got = -1; got < 0 && dx_clock_monotonic() - began < LONG / 2;) {
        if (send(fd, "x", 1, MSG_NOSIGNAL) != 1) break;
        got = recv(fd, out, 1, MSG_PEEK | MSG_DONTWAIT);
    }
    ends_soon(fd, "HTTP/1.1 408 ");
    assert_true(dx_clock_monotonic() - began < LONG / 2);
    server_stop(&s, LONG);
}

static void client_that_never_speaks_is_let_go(void **state) {
    (void)state;
    dx_http_limits limits = with();
    limits.head_time = SHORT;
    server_start(&s, &limits);
    ends_soon(client_open(&s), "");
    server_stop(&s, LONG);
}

static void idle_connection_is_let_go(void **state) {
    (void)state;
    dx_http_limits limits = with();
    limits.idle_time = SHORT;
    server_start(&s, &limits);
    int fd = client_open(&s);
    client_send(fd, "GET /fixed HTTP/1.1\r\n" H END);
    client_read(fd, out, sizeof out);
    ends_soon(fd, "");
    server_stop(&s, LONG);
}

// The idle time is over long before the answer is; it runs from the answer's last byte.
static void taking_a_large_answer_slowly_is_not_idle(void **state) {
    (void)state;
    dx_http_limits limits = with();
    limits.head_time = SHORT;
    limits.idle_time = 2 * DX_SECOND;
    server_start(&s, &limits);
    int fd = client_open_small(&s);
    client_send(fd, "GET /big HTTP/1.1\r\n" H END);
    server_await(&s, ENDED, 1);
    dx_nanos began = dx_clock_monotonic();
    while (dx_clock_monotonic() - began < limits.idle_time) ends_soon(client_open(&s), ""); // time passes on the server
    client_read(fd, out, sizeof out);
    assert_true(strlen(out) > SERVER_BIG);
    for (int i = 0; i < 3; i++) ends_soon(client_open(&s), "");
    ask(fd);
    ends_soon(fd, "");
    server_stop(&s, LONG);
}

static void waiting_for_the_owner_is_not_idle(void **state) {
    (void)state;
    dx_http_limits limits = with();
    limits.idle_time = limits.head_time = limits.body_stall = limits.write_stall = 1; // ns
    server_start(&s, &limits);
    int waiting = client_open(&s);
    client_send(waiting, "GET /wait HTTP/1.1\r\n" H END);
    server_await(&s, WAITING, 1);
    ends_soon(client_open(&s), ""); // meanwhile, the timeouts strike
    ends_soon(client_open(&s), "");
    server_release(&s, 0);
    client_read(waiting, out, sizeof out);
    assert_non_null(strstr(out, "waited"));
    close(waiting);
    assert_int_equal(server_counted(&s, ABORTED), 0);
    server_stop(&s, LONG);
}

static void stalled_body_is_aborted_and_answered_408(void **state) {
    (void)state;
    dx_http_limits limits = with();
    limits.body_stall = SHORT;
    server_start(&s, &limits);
    int fd = client_open(&s);
    client_send(fd, "POST /echo HTTP/1.1\r\n" H "Content-Length: 10\r\n\r\nhello");
    ends_soon(fd, "HTTP/1.1 408 ");
    server_await(&s, CLOSED, 1);
    assert_int_equal(s.abort_why, DX_REQUEST_TIMEOUT);
    server_stop(&s, LONG);
}

static void slow_body_is_aborted_though_it_never_stalls(void **state) {
    (void)state;
    dx_http_limits limits = with();
    limits.body_stall = 200 * DX_MILLISECOND;
    limits.body_rate = 1u << 31;
    server_start(&s, &limits);
    int fd = client_open(&s);
    dx_nanos began = dx_clock_monotonic();
    client_send(fd, "POST /echo HTTP/1.1\r\n" H "Content-Length: 1000000000\r\n\r\nhello");
    for (ssize_t got = -1; got < 0 && dx_clock_monotonic() - began < LONG;) {
        if (send(fd, "x", 1, MSG_NOSIGNAL) != 1) break;
        got = recv(fd, out, 1, MSG_PEEK | MSG_DONTWAIT);
    }
    assert_true(dx_clock_monotonic() - began >= limits.body_stall);
    assert_true(dx_clock_monotonic() - began < LONG / 2);
    server_await(&s, CLOSED, 1);
    assert_int_equal(s.abort_why, DX_REQUEST_TIMEOUT);
    client_read_all(fd, out, sizeof out, &reset);
    assert_int_equal(strncmp(out, "HTTP/1.1 408 ", 13), 0);
    close(fd);
    server_stop(&s, LONG);
}

static void stalled_body_behind_an_early_answer_ends_the_connection(void **state) {
    (void)state;
    dx_http_limits limits = with();
    limits.body_stall = SHORT;
    server_start(&s, &limits);
    int fd = client_open(&s);
    client_send(fd, "POST /early HTTP/1.1\r\n" H "Content-Length: 10\r\n\r\nhello");
    ends_soon(fd, "HTTP/1.1 200 ");
    assert_null(strstr(out, "408"));
    server_stop(&s, LONG);
}

static void peer_that_does_not_read_is_cut(void **state) {
    (void)state;
    static const char *const paths[] = {"big", "stream"};
    for (size_t i = 0; i < 2; i++) {
        dx_http_limits limits = with();
        limits.write_stall = SHORT;
        server_start(&s, &limits);
        int fd = client_open_small(&s);
        char request[64];
        (void)snprintf(request, sizeof request, "GET /%s HTTP/1.1\r\n" H END, paths[i]);
        client_send(fd, request);
        server_await(&s, CLOSED, 1);
        assert_int_equal(server_counted(&s, CLOSED_SENT), 0);
        close(fd);
        server_stop(&s, LONG);
    }
}

static void peer_that_takes_an_answer_too_slowly_is_cut(void **state) {
    (void)state;
    static char piece[1 << 20];
    dx_http_limits limits = with();
    limits.head_time = SHORT;
    limits.write_stall = 10 * SHORT;
    limits.body_rate = 1u << 30;
    server_start(&s, &limits);
    int fd = client_open_small(&s);
    client_send(fd, "GET /big HTTP/1.1\r\n" H END);
    while (recv(fd, piece, sizeof piece, MSG_WAITALL) > 0) {
        ends_soon(client_open(&s), ""); // time passes on the server, less than the stall
    }
    server_await(&s, CLOSED, 1);
    assert_int_equal(server_counted(&s, CLOSED_SENT), 0);
    close(fd);
    server_stop(&s, LONG);
}

static void last_request_of_a_connection_says_so(void **state) {
    (void)state;
    dx_http_limits limits = with();
    limits.requests_a_connection = 3;
    server_start(&s, &limits);
    int fd = client_open(&s);
    for (int i = 1; i <= 3; i++) {
        client_send(fd, "GET /fixed HTTP/1.1\r\n" H END);
        client_read(fd, out, sizeof out);
        assert_int_equal(strstr(out, "Connection: close\r\n") != NULL, i == 3);
    }
    ends_soon(fd, "");
    server_stop(&s, LONG);
}

static void over_the_cap_the_longest_idle_connection_goes(void **state) {
    (void)state;
    dx_http_limits limits = with();
    limits.connections = 3;
    server_start(&s, &limits);
    int fds[4];
    for (int i = 0; i < 3; i++) ask(fds[i] = client_open(&s));
    ask(fds[0]); // now the second is the longest idle
    ask(fds[3] = client_open(&s));
    ends_soon(fds[1], "");
    ask(fds[0]);
    ask(fds[2]);
    ask(fds[3]);
    close(fds[0]);
    close(fds[2]);
    close(fds[3]);
    server_stop(&s, LONG);
}

static void over_the_cap_with_none_idle_the_newcomer_goes(void **state) {
    (void)state;
    dx_http_limits limits = with();
    limits.connections = 2;
    server_start(&s, &limits);
    int fds[2];
    for (size_t i = 0; i < 2; i++) {
        fds[i] = client_open(&s);
        client_send(fds[i], "GET /wait HTTP/1.1\r\n" H END);
        server_await(&s, WAITING, i + 1);
    }
    ends_soon(client_open(&s), "");
    for (size_t i = 0; i < 2; i++) {
        server_release(&s, i);
        client_read(fds[i], out, sizeof out);
        assert_non_null(strstr(out, "waited"));
        close(fds[i]);
    }
    server_stop(&s, LONG);
}

static void chunked_body_over_the_cap_is_refused(void **state) {
    (void)state;
    dx_http_limits limits = with();
    limits.body_bytes = 10;
    server_start(&s, &limits);
    client_ask(&s, "POST /echo HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\na\r\n0123456789\r\n0\r\n\r\n", out, sizeof out);
    assert_non_null(strstr(out, "\r\n\r\n0123456789"));
    client_ask(&s, "POST /echo HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\nb\r\n0123456789a\r\n0\r\n\r\n", out, sizeof out);
    assert_int_equal(strncmp(out, "HTTP/1.1 413 ", 13), 0);
    server_await(&s, CLOSED, 2);
    assert_int_equal(s.abort_why, DX_TOO_LARGE);
    server_stop(&s, LONG);
}

static void long_heads_targets_and_field_lists_are_refused(void **state) {
    (void)state;
    server_start(&s, NULL);
    static char request[40000];
    (void)snprintf(request, sizeof request, "GET /%020000d HTTP/1.1\r\n" H END, 0);
    client_ask(&s, request, out, sizeof out);
    assert_int_equal(strncmp(out, "HTTP/1.1 414 ", 13), 0);
    (void)snprintf(request, sizeof request, "GET / HTTP/1.1\r\n" H "A: %020000d\r\n" END, 0);
    client_ask(&s, request, out, sizeof out);
    assert_int_equal(strncmp(out, "HTTP/1.1 431 ", 13), 0);
    size_t size = (size_t)snprintf(request, sizeof request, "GET / HTTP/1.1\r\n" H);
    for (int i = 0; i < 100; i++) size += (size_t)snprintf(request + size, sizeof request - size, "A: b\r\n");
    (void)snprintf(request + size, sizeof request - size, END);
    client_ask(&s, request, out, sizeof out);
    assert_int_equal(strncmp(out, "HTTP/1.1 431 ", 13), 0);
    server_stop(&s, LONG);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slow_head_is_answered_408),
        cmocka_unit_test(bytes_of_a_head_do_not_extend_its_time),
        cmocka_unit_test(client_that_never_speaks_is_let_go),
        cmocka_unit_test(idle_connection_is_let_go),
        cmocka_unit_test(taking_a_large_answer_slowly_is_not_idle),
        cmocka_unit_test(waiting_for_the_owner_is_not_idle),
        cmocka_unit_test(stalled_body_is_aborted_and_answered_408),
        cmocka_unit_test(slow_body_is_aborted_though_it_never_stalls),
        cmocka_unit_test(stalled_body_behind_an_early_answer_ends_the_connection),
        cmocka_unit_test(peer_that_does_not_read_is_cut),
        cmocka_unit_test(peer_that_takes_an_answer_too_slowly_is_cut),
        cmocka_unit_test(last_request_of_a_connection_says_so),
        cmocka_unit_test(over_the_cap_the_longest_idle_connection_goes),
        cmocka_unit_test(over_the_cap_with_none_idle_the_newcomer_goes),
        cmocka_unit_test(chunked_body_over_the_cap_is_refused),
        cmocka_unit_test(long_heads_targets_and_field_lists_are_refused),
    };
    return cmocka_run_group_tests_name("limits", tests, NULL, NULL);
}
