// Listeners: addresses, sharing a port, draining, and going on when descriptors or memory run out.
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/memory.h"
#include "net/address.h"
#include "net/http1.h"
#include "net/test_server.h"

#define H   "Host: a\r\n"
#define END "\r\n"

static server s;
static char out[SERVER_BIG + 65536];
static bool reset;

static void addresses_are_read_and_written(void **state) {
    (void)state;
    static const struct {
        const char *host, *text; // text NULL: refused
    } cases[] = {
        {"127.0.0.1", "127.0.0.1:80"},
        {"localhost", "127.0.0.1:80"},
        {"0.0.0.0", "0.0.0.0:80"},
        {"::1", "[::1]:80"},
        {"[::1]", "[::1]:80"},
        {"2001:db8::7", "[2001:db8::7]:80"},
        {"", NULL},
        {"example.com", NULL},
        {"127.0.0", NULL},
        {"256.0.0.1", NULL},
        {"[::1", NULL},
        {"[]", NULL},
        {"[127.0.0.1]", NULL},
        {"[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]", NULL},
    };
    for (size_t i = 0; i < DX_COUNT_OF(cases); i++) {
        dx_address address;
        char text[DX_ADDRESS_TEXT_CAP];
        assert_int_equal(dx_address_read(&address, cases[i].host, 80), cases[i].text != NULL);
        if (!cases[i].text) continue;
        dx_address_text(&address, text);
        assert_string_equal(text, cases[i].text);
    }
}

// Tries to start a listener; the finding's text is in `out`.
static dx_status try_start(dx_loop *loop, dx_listener **listener, const char *host, uint16_t port, bool reuse_port, bool probe) {
    dx_arena *arena = dx_arena_create(65536);
    dx_diags diags;
    dx_diags_init(&diags, arena);
    dx_listener_options options = s.options;
    options.host = host;
    options.port = port;
    options.reuse_port = reuse_port;
    options.probe = probe;
    dx_status status = dx_listener_start(listener, loop, &options, &diags);
    out[0] = 0;
    if (diags.first) {
        (void)snprintf(out, sizeof out, "%.*s (%.*s)", DX_SLICE_ARG(diags.first->message), DX_SLICE_ARG(diags.first->suggestion));
        assert_true(dx_slice_equal(diags.first->pointer, DX_SLICE("/server/listen")));
    }
    dx_arena_destroy(arena);
    return status;
}

static void stop_loop(void *ctx) {
    dx_loop_stop(ctx);
}

static void address_that_cannot_be_had_is_explained(void **state) {
    (void)state;
    server_start(&s, NULL);
    dx_loop *loop;
    dx_listener *listener = NULL;
    assert_int_equal(dx_loop_create(&loop), DX_OK);
    assert_int_equal(try_start(loop, &listener, "127.0.0.1", s.port, false, false), DX_UNAVAILABLE);
    assert_non_null(strstr(out, "another program is listening there"));
    assert_int_equal(try_start(loop, &listener, "192.0.2.1", 0, false, false), DX_UNAVAILABLE);
    assert_non_null(strstr(out, "no interface of this machine"));
    assert_int_equal(try_start(loop, &listener, "example.com", 0, false, false), DX_INVALID);
    assert_non_null(strstr(out, "not an address"));
    assert_null(listener);
    dx_loop_destroy(loop);
    server_stop(&s, DX_SECOND);
}

static void ipv6_is_listened_on(void **state) {
    (void)state;
    server_start(&s, NULL);
    dx_loop *loop;
    dx_listener *listener = NULL;
    assert_int_equal(dx_loop_create(&loop), DX_OK);
    if (try_start(loop, &listener, "[::1]", 0, false, false) == DX_OK) {
        assert_true(dx_listener_port(listener) > 0);
        dx_listener_drain(listener, DX_SECOND, stop_loop, loop);
        assert_int_equal(dx_loop_run(loop), DX_OK);
        dx_listener_destroy(listener);
    } else {
        assert_non_null(strstr(out, "[::1]:0")); // a machine without IPv6 says so
    }
    dx_loop_destroy(loop);
    server_stop(&s, DX_SECOND);
}

static void workers_share_a_port_that_a_probe_finds_taken(void **state) {
    (void)state;
    server_start(&s, NULL); // for its options
    dx_loop *loop;
    dx_listener *first = NULL, *second = NULL, *third = NULL;
    assert_int_equal(dx_loop_create(&loop), DX_OK);
    assert_int_equal(try_start(loop, &first, "127.0.0.1", 0, true, true), DX_OK);
    uint16_t port = dx_listener_port(first);
    assert_int_equal(try_start(loop, &second, "127.0.0.1", port, true, false), DX_OK);
    assert_int_equal(try_start(loop, &third, "127.0.0.1", port, true, true), DX_UNAVAILABLE);
    assert_non_null(strstr(out, "another program is listening there"));
    dx_listener_drain(first, DX_SECOND, stop_loop, loop); // a stopped loop runs on until the other is through, too
    dx_listener_drain(second, DX_SECOND, stop_loop, loop);
    assert_int_equal(dx_loop_run(loop), DX_OK);
    dx_listener_destroy(first);
    dx_listener_destroy(second);
    dx_loop_destroy(loop);
    server_stop(&s, DX_SECOND);
}

static void drain_finishes_what_is_being_answered(void **state) {
    (void)state;
    server_start(&s, NULL);
    int idle = client_open(&s), waiting = client_open(&s), half = client_open(&s);
    client_send(idle, "GET /fixed HTTP/1.1\r\n" H END);
    client_read(idle, out, sizeof out);
    client_send(waiting, "GET /wait HTTP/1.1\r\n" H END);
    client_send(half, "POST /echo HTTP/1.1\r\n" H "Content-Length: 10\r\n\r\nhello");
    server_await(&s, WAITING, 1);
    server_await(&s, BODY_BYTES, 5);
    server_drain(&s, 25 * DX_SECOND);
    assert_int_equal(client_read_all(idle, out, sizeof out, &reset), 0);
    client_send(half, "world");
    client_read_all(half, out, sizeof out, &reset);
    assert_non_null(strstr(out, "Connection: close\r\n"));
    assert_non_null(strstr(out, "\r\n\r\nhelloworld"));
    assert_int_equal(server_counted(&s, DRAINED), 0);
    server_release(&s, 0);
    client_read_all(waiting, out, sizeof out, &reset);
    assert_non_null(strstr(out, "Connection: close\r\n"));
    assert_non_null(strstr(out, "\r\n\r\nwaited"));
    close(idle);
    close(waiting);
    close(half);
    server_stop(&s, 0);
}

static void drain_takes_no_more_connections(void **state) {
    (void)state;
    server_start(&s, NULL);
    int waiting = client_open(&s);
    client_send(waiting, "GET /wait HTTP/1.1\r\n" H END);
    server_await(&s, WAITING, 1);
    server_drain(&s, 25 * DX_SECOND);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(s.port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), -1);
    assert_int_equal(errno, ECONNREFUSED);
    close(fd);
    server_release(&s, 0);
    close(waiting);
    server_stop(&s, 0);
}

static void drain_cuts_what_is_left_after_the_grace(void **state) {
    (void)state;
    server_start(&s, NULL);
    int waiting = client_open(&s), half = client_open(&s), deaf = client_open_small(&s);
    client_send(waiting, "GET /wait HTTP/1.1\r\n" H END);
    client_send(half, "GET /fixed HT");
    client_send(deaf, "GET /big HTTP/1.1\r\n" H END);
    server_await(&s, WAITING, 1);
    server_await(&s, ENDED, 2);
    server_drain(&s, 10 * DX_MILLISECOND);
    server_await(&s, ABORTED, 1);
    assert_int_equal(s.abort_why, DX_CANCELLED);
    assert_int_equal(client_read_all(waiting, out, sizeof out, &reset), 0);
    assert_int_equal(client_read_all(half, out, sizeof out, &reset), 0);
    server_await(&s, CLOSED, 1);
    assert_int_equal(server_counted(&s, DRAINED), 0); // the owner has not let go of its stream yet
    server_release(&s, 0);
    close(waiting);
    close(half);
    close(deaf);
    server_stop(&s, 0);
}

// Lowers the limit so that no descriptor can be opened; returns what it was.
static struct rlimit no_descriptors(void) {
    struct rlimit before, none;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    int lowest = dup(0);
    assert_true(lowest >= 0);
    close(lowest);
    none = (struct rlimit){(rlim_t)lowest, before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    return before;
}

static int connect_to(int fd) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(s.port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct timeval limit = {.tv_sec = 30};
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit), 0);
    return connect(fd, (struct sockaddr *)&address, sizeof address);
}

static void without_descriptors_newcomers_are_closed_and_service_goes_on(void **state) {
    (void)state;
    server_start(&s, NULL);
    int busy = client_open(&s), late[3];
    client_send(busy, "GET /wait HTTP/1.1\r\n" H END);
    server_await(&s, WAITING, 1);
    for (int i = 0; i < 3; i++) late[i] = socket(AF_INET, SOCK_STREAM, 0);
    struct rlimit before = no_descriptors();
    for (int i = 0; i < 3; i++) assert_int_equal(connect_to(late[i]), 0);
    for (int i = 0; i < 3; i++) assert_int_equal(client_read_all(late[i], out, sizeof out, &reset), 0);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    server_release(&s, 0);
    client_read(busy, out, sizeof out);
    assert_non_null(strstr(out, "waited"));
    client_ask(&s, "GET /fixed HTTP/1.1\r\n" H END, out, sizeof out);
    for (int i = 0; i < 3; i++) close(late[i]);
    close(busy);
    server_stop(&s, DX_SECOND);
}

static void without_descriptors_an_idle_connection_makes_room(void **state) {
    (void)state;
    server_start(&s, NULL);
    int idle = client_open(&s), late = socket(AF_INET, SOCK_STREAM, 0);
    client_send(idle, "GET /fixed HTTP/1.1\r\n" H END);
    client_read(idle, out, sizeof out);
    struct rlimit before = no_descriptors();
    assert_int_equal(connect_to(late), 0);
    client_send(late, "GET /fixed HTTP/1.1\r\n" H END);
    client_read(late, out, sizeof out);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_non_null(strstr(out, "fixed"));
    assert_int_equal(client_read_all(idle, out, sizeof out, &reset), 0);
    close(idle);
    close(late);
    server_stop(&s, DX_SECOND);
}

// What a client can do in one connection that needs memory: a head in pieces, requests piled up, a body, a slow reader.
static void exercise(void) {
    int fd = client_open_small(&s);
    (void)!send(fd, "GET /fixed HTT", 14, MSG_NOSIGNAL);
    (void)!send(fd, "P/1.1\r\n" H END, 18, MSG_NOSIGNAL);
    static const char piled[] = "POST /echo HTTP/1.1\r\n" H "Content-Length: 5\r\n\r\nhelloGET /big HTTP/1.1\r\n" H END
                                "GET /stream HTTP/1.1\r\n" H END "GET /fields HTTP/1.1\r\n" H END "GET /close HTTP/1.1\r\n" H END;
    (void)!send(fd, piled, sizeof piled - 1, MSG_NOSIGNAL);
    while (recv(fd, out, sizeof out, 0) > 0) {
    }
    close(fd);
}

static void every_failed_allocation_costs_no_more_than_its_connection(void **state) {
    (void)state;
    server_start(&s, NULL);
    bool failed = true;
    for (uint64_t n = 1; failed; n++) {
        dx_memory_fail_at(n, false);
        exercise();
        failed = dx_memory_fail_stop();
        client_ask(&s, "GET /fixed HTTP/1.1\r\n" H END, out, sizeof out);
        assert_non_null(strstr(out, "\r\n\r\nfixed"));
        assert_true(n < 1000);
    }
    server_stop(&s, DX_SECOND);
}

static void listener_without_memory_does_not_start(void **state) {
    (void)state;
    server_start(&s, NULL);
    dx_loop *loop;
    dx_listener *listener = NULL;
    assert_int_equal(dx_loop_create(&loop), DX_OK);
    for (uint64_t n = 1;; n++) {
        dx_memory_fail_at(n, false);
        dx_listener_options options = s.options;
        options.port = 0;
        dx_status status = dx_listener_start(&listener, loop, &options, NULL);
        if (!dx_memory_fail_stop()) break;
        assert_int_equal(status, DX_NO_MEMORY);
    }
    dx_listener_drain(listener, 0, stop_loop, loop);
    assert_int_equal(dx_loop_run(loop), DX_OK);
    dx_listener_destroy(listener);
    dx_loop_destroy(loop);
    server_stop(&s, DX_SECOND);
}

static void idle_connection_costs_less_than_800_bytes(void **state) {
    (void)state;
    assert_true(dx_http1_protocol.size + 16 <= 800);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_are_read_and_written),
        cmocka_unit_test(address_that_cannot_be_had_is_explained),
        cmocka_unit_test(ipv6_is_listened_on),
        cmocka_unit_test(workers_share_a_port_that_a_probe_finds_taken),
        cmocka_unit_test(drain_finishes_what_is_being_answered),
        cmocka_unit_test(drain_takes_no_more_connections),
        cmocka_unit_test(drain_cuts_what_is_left_after_the_grace),
        cmocka_unit_test(without_descriptors_newcomers_are_closed_and_service_goes_on),
        cmocka_unit_test(without_descriptors_an_idle_connection_makes_room),
        cmocka_unit_test(every_failed_allocation_costs_no_more_than_its_connection),
        cmocka_unit_test(listener_without_memory_does_not_start),
        cmocka_unit_test(idle_connection_costs_less_than_800_bytes),
    };
    return cmocka_run_group_tests_name("listener", tests, NULL, NULL);
}
