// HTTP/1.1 over real sockets: what a client sees, and what the owner of the streams is told.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "net/test_server.h"

#define H   "Host: a\r\n"
#define END "\r\n"

static server s;
static char out[SERVER_BIG + 65536];
static bool reset;

static int setup(void **state) {
    (void)state;
    server_start(&s, NULL);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    server_stop(&s, 10 * DX_SECOND);
    return 0;
}

static void starts(const char *expected) {
    if (strncmp(out, expected, strlen(expected)) != 0) fail_msg("expected %s, got: %.300s", expected, out);
}

static void has(const char *expected) {
    if (!strstr(out, expected)) fail_msg("expected %s in: %.300s", expected, out);
}

static void lacks(const char *unexpected) {
    if (strstr(out, unexpected)) fail_msg("unexpected %s in: %.300s", unexpected, out);
}

static void response_has_date_and_length(void **state) {
    (void)state;
    client_ask(&s, "GET /fixed HTTP/1.1\r\n" H END, out, sizeof out);
    starts("HTTP/1.1 200 OK\r\nDate: ");
    has(" GMT\r\n");
    has("Content-Length: 5\r\n");
    has("\r\n\r\nfixed");
    lacks("Connection:");
}

static void connection_serves_many_requests(void **state) {
    (void)state;
    int fd = client_open(&s);
    for (int i = 0; i < 50; i++) {
        client_send(fd, "POST /echo HTTP/1.1\r\n" H "Content-Length: 5\r\n\r\nhello");
        client_read(fd, out, sizeof out);
        has("\r\n\r\nhello");
    }
    close(fd);
    server_await(&s, CLOSED_SENT, 50);
}

static void bytes_one_at_a_time_make_the_same_request(void **state) {
    (void)state;
    const char *request = "POST /echo HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n";
    int fd = client_open(&s);
    for (int i = 0; i < 3; i++) {
        for (const char *byte = request; *byte; byte++) client_send_bytes(fd, byte, 1);
        client_read(fd, out, sizeof out);
        has("\r\n\r\nhello world");
    }
    close(fd);
}

static void pipelined_requests_are_answered_in_order(void **state) {
    (void)state;
    char request[200];
    int fd = client_open(&s);
    enum { COUNT = 500 };
    for (int i = 0; i < COUNT; i++) {
        int size = snprintf(request, sizeof request, "POST /echo HTTP/1.1\r\n" H "Content-Length: 4\r\n\r\n%04d", i);
        client_send_bytes(fd, request, (size_t)size);
    }
    for (int i = 0; i < COUNT; i++) {
        (void)snprintf(request, sizeof request, "\r\n\r\n%04d", i);
        client_read(fd, out, sizeof out);
        has(request);
    }
    close(fd);
    server_await(&s, CLOSED_SENT, COUNT);
}

static void late_answer_holds_back_the_ones_behind_it(void **state) {
    (void)state;
    int fd = client_open(&s);
    client_send(fd, "GET /wait HTTP/1.1\r\n" H END "GET /fixed HTTP/1.1\r\n" H END "GET /wait HTTP/1.1\r\n" H END);
    server_await(&s, WAITING, 1);
    client_send(fd, "GET /early HTTP/1.1\r\n" H END);
    assert_int_equal(server_counted(&s, BEGUN), 1);
    server_release(&s, 0);
    client_read(fd, out, sizeof out);
    has("\r\n\r\nwaited");
    client_read(fd, out, sizeof out);
    has("\r\n\r\nfixed");
    server_await(&s, WAITING, 2);
    assert_int_equal(server_counted(&s, BEGUN), 3);
    server_release(&s, 1);
    client_read(fd, out, sizeof out);
    has("\r\n\r\nwaited");
    client_read(fd, out, sizeof out);
    has("\r\n\r\nearly");
    close(fd);
}

static void pipeline_far_longer_than_a_turn_is_served_whole(void **state) {
    (void)state;
    enum { COUNT = 4000 };
    static const char one[] = "GET /fixed HTTP/1.1\r\n" H END;
    static char all[COUNT * sizeof one];
    size_t size = 0;
    for (int i = 0; i < COUNT; i++, size += sizeof one - 1) memcpy(all + size, one, sizeof one - 1);
    memcpy(all + size - sizeof one + 1, "GET /close", 10);
    int fd = client_open(&s);
    client_send_bytes(fd, all, size);
    client_read_all(fd, out, sizeof out, &reset);
    assert_false(reset);
    int answers = 0;
    for (const char *at = out; (at = strstr(at, "HTTP/1.1 200 OK")); at++) answers++;
    assert_int_equal(answers, COUNT);
    has("\r\n\r\nlast");
    close(fd);
}

static void requests_of_one_read_are_answered_with_one_write(void **state) {
    (void)state;
    char request[10 * 40] = "";
    size_t size = 0;
    for (int i = 0; i < 10; i++) size += (size_t)snprintf(request + size, sizeof request - size, "GET /fixed HTTP/1.1\r\n" H END);
    int fd = client_open(&s);
    client_send_bytes(fd, request, size);
    ssize_t got = recv(fd, out, sizeof out - 1, 0); // blocks until the first write arrives
    assert_true(got > 0);
    out[got] = 0;
    int answers = 0;
    for (const char *at = out; (at = strstr(at, "\r\n\r\nfixed")); at++) answers++;
    assert_int_equal(answers, 10);
    close(fd);
}

static void client_that_asks_for_the_end_gets_it(void **state) {
    (void)state;
    static const char *const requests[] = {
        "GET /fixed HTTP/1.1\r\nConnection: close\r\n" H END,
        "GET /fixed HTTP/1.0\r\n\r\n",
        "GET /close HTTP/1.1\r\n" H END,
    };
    for (size_t i = 0; i < DX_COUNT_OF(requests); i++) {
        int fd = client_open(&s);
        client_send(fd, requests[i]);
        client_read_all(fd, out, sizeof out, &reset);
        starts("HTTP/1.1 200 OK\r\n");
        has("Connection: close\r\n");
        assert_false(reset);
        close(fd);
    }
}

static void http10_is_kept_alive_when_it_asks(void **state) {
    (void)state;
    int fd = client_open(&s);
    for (int i = 0; i < 2; i++) {
        client_send(fd, "GET /fixed HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
        client_read(fd, out, sizeof out);
        has("Connection: keep-alive\r\n");
    }
    close(fd);
}

static void head_and_bodiless_statuses_send_no_body(void **state) {
    (void)state;
    int fd = client_open(&s);
    client_send(fd, "HEAD /fixed HTTP/1.1\r\n" H END "GET /empty HTTP/1.1\r\n" H END "GET /none HTTP/1.1\r\n" H END
                    "GET /close HTTP/1.1\r\n" H END);
    client_read_all(fd, out, sizeof out, &reset);
    starts("HTTP/1.1 200 OK\r\n");
    has("Content-Length: 5\r\n\r\nHTTP/1.1 204 No Content\r\n");
    has("HTTP/1.1 304 Not Modified\r\n");
    has("Content-Length: 77\r\n\r\nHTTP/1.1 200 OK\r\n");
    lacks("Content-Length: 0");
    close(fd);
}

static void large_body_arrives_whole(void **state) {
    (void)state;
    int fd = client_open(&s);
    for (int i = 0; i < 2; i++) {
        client_send(fd, "GET /big HTTP/1.1\r\n" H END);
        client_read(fd, out, sizeof out);
        const char *body = strstr(out, "\r\n\r\n") + 4;
        assert_int_equal(strlen(body), SERVER_BIG);
        for (size_t at = 0; at < SERVER_BIG; at++) {
            if (body[at] != (char)('!' + at % 89)) fail_msg("byte %zu is wrong", at);
        }
    }
    close(fd);
    server_await(&s, CLOSED_SENT, 2);
    assert_true(s.last_bytes > SERVER_BIG);
}

static void head_larger_than_any_buffer_arrives_whole(void **state) {
    (void)state;
    client_ask(&s, "GET /fields HTTP/1.1\r\n" H END, out, sizeof out);
    has("\r\n\r\nfields");
    assert_true(strlen(out) > 100000);
}

static void check_pieces(const char *body) {
    assert_int_equal(strlen(body), SERVER_PIECE * SERVER_PIECES);
    for (size_t piece = 0; piece < SERVER_PIECES; piece++) {
        for (size_t at = 0; at < SERVER_PIECE; at++) {
            if (body[piece * SERVER_PIECE + at] != (char)('!' + (piece + at) % 89)) fail_msg("piece %zu is wrong at %zu", piece, at);
        }
    }
}

static void response_of_unknown_length_is_chunked(void **state) {
    (void)state;
    int fd = client_open(&s);
    for (int i = 0; i < 2; i++) {
        client_send(fd, "GET /stream HTTP/1.1\r\n" H END);
        client_read(fd, out, sizeof out);
        has("Transfer-Encoding: chunked\r\n");
        lacks("Content-Length");
        check_pieces(strstr(out, "\r\n\r\n") + 4);
    }
    client_send(fd, "HEAD /stream HTTP/1.1\r\n" H END "GET /close HTTP/1.1\r\n" H END);
    client_read_all(fd, out, sizeof out, &reset);
    has("chunked\r\n\r\nHTTP/1.1 200 OK\r\n");
    close(fd);
}

static void response_of_unknown_length_ends_http10s_connection(void **state) {
    (void)state;
    int fd = client_open(&s);
    client_send(fd, "GET /stream HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    client_read_all(fd, out, sizeof out, &reset);
    lacks("chunked");
    has("Connection: close\r\n");
    check_pieces(strstr(out, "\r\n\r\n") + 4);
    close(fd);
}

static void expectation_is_met_when_the_owner_wants_the_body(void **state) {
    (void)state;
    int fd = client_open(&s);
    for (int i = 0; i < 2; i++) {
        client_send(fd, "POST /continue HTTP/1.1\r\n" H "Expect: 100-continue\r\nContent-Length: 5\r\n\r\n");
        client_read(fd, out, sizeof out);
        assert_string_equal(out, "HTTP/1.1 100 Continue\r\n\r\n");
        client_send(fd, "hello");
        client_read(fd, out, sizeof out);
        has("\r\n\r\nhello");
    }
    client_send(fd, "POST /continue HTTP/1.1\r\n" H "Content-Length: 5\r\n\r\nhello"); // who does not wait is not told
    client_read(fd, out, sizeof out);
    starts("HTTP/1.1 200 OK");
    close(fd);
}

static void final_answer_to_an_expectation_ends_the_connection(void **state) {
    (void)state;
    int fd = client_open(&s);
    client_send(fd, "POST /early HTTP/1.1\r\n" H "Expect: 100-continue\r\nContent-Length: 5\r\n\r\n");
    client_read_all(fd, out, sizeof out, &reset);
    starts("HTTP/1.1 200 OK");
    has("Connection: close\r\n");
    close(fd);
}

static void small_body_behind_an_early_answer_is_read_away(void **state) {
    (void)state;
    int fd = client_open(&s);
    for (int i = 0; i < 3; i++) {
        client_send(fd, "POST /early HTTP/1.1\r\n" H "Content-Length: 50000\r\n\r\n");
        client_read(fd, out, sizeof out);
        has("\r\n\r\nearly");
        static char body[50000];
        client_send_bytes(fd, body, sizeof body);
    }
    client_send(fd, "GET /fixed HTTP/1.1\r\n" H END);
    client_read(fd, out, sizeof out);
    has("\r\n\r\nfixed");
    close(fd);
    assert_int_equal(server_counted(&s, BODY_BYTES), 0);
}

static void client_reads_an_early_answer_though_it_sends_a_large_body(void **state) {
    (void)state;
    static char body[2 << 20];
    int fd = client_open(&s);
    client_send(fd, "POST /early HTTP/1.1\r\n" H "Content-Length: 2097152\r\n\r\n");
    client_send_bytes(fd, body, sizeof body);
    client_read_all(fd, out, sizeof out, &reset);
    starts("HTTP/1.1 200 OK");
    has("Connection: close\r\n");
    has("\r\n\r\nearly");
    assert_false(reset);
    close(fd);
}

static void client_that_ends_its_side_still_gets_its_answers(void **state) {
    (void)state;
    int fd = client_open(&s);
    client_send(fd, "GET /wait HTTP/1.1\r\n" H END "GET /big HTTP/1.1\r\n" H END "GET /fixed HTTP/1.1\r\n" H END);
    shutdown(fd, SHUT_WR);
    server_await(&s, WAITING, 1);
    server_release(&s, 0);
    client_read(fd, out, sizeof out);
    has("\r\n\r\nwaited");
    client_read(fd, out, sizeof out);
    assert_true(strlen(out) > SERVER_BIG);
    client_read_all(fd, out, sizeof out, &reset);
    has("\r\n\r\nfixed");
    assert_false(reset);
    close(fd);
    assert_int_equal(server_counted(&s, ABORTED), 0);
}

static void refused_request_is_answered_and_the_connection_ended(void **state) {
    (void)state;
    static const struct {
        const char *request, *status;
    } cases[] = {
        {"GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 400 "},
        {"BREW / HTTP/1.1\r\n" H END, "HTTP/1.1 501 "},
        {"GET / HTTP/3.0\r\n" H END, "HTTP/1.1 505 "},
        {"POST / HTTP/1.1\r\n" H "Content-Length: 99999999999\r\n\r\n", "HTTP/1.1 413 "},
        {"POST / HTTP/1.1\r\n" H "Expect: x\r\n\r\n", "HTTP/1.1 417 "},
        {"GET /refuse HTTP/1.1\r\n" H END, "HTTP/1.1 503 "},
        {"GET /fixed HTTP/1.1\r\n" H END "x", "HTTP/1.1 200 "},
    };
    for (size_t i = 0; i < DX_COUNT_OF(cases); i++) {
        int fd = client_open(&s);
        client_send(fd, cases[i].request);
        client_send(fd, "GET /fixed HTTP/1.1\r\n" H END);
        client_read_all(fd, out, sizeof out, &reset);
        starts(cases[i].status);
        has("Connection: close\r\n");
        assert_false(reset);
        close(fd);
    }
    assert_int_equal(server_counted(&s, REJECTED), DX_COUNT_OF(cases));
}

static void bad_chunk_aborts_the_request_and_is_answered(void **state) {
    (void)state;
    int fd = client_open(&s);
    client_send(fd, "POST /echo HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
    server_await(&s, BODY_BYTES, 5);
    client_send(fd, "zz\r\n");
    client_read_all(fd, out, sizeof out, &reset);
    starts("HTTP/1.1 400 ");
    close(fd);
    server_await(&s, CLOSED, 1);
    assert_int_equal(s.abort_why, DX_BAD_REQUEST);
    assert_int_equal(server_counted(&s, CLOSED_SENT), 0);
}

static void reset_client(int fd) {
    struct linger hard = {.l_onoff = 1, .l_linger = 0};
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard), 0);
    close(fd);
}

static void client_gone_in_the_middle_of_a_body_aborts(void **state) {
    (void)state;
    for (int hard = 0; hard < 2; hard++) {
        int fd = client_open(&s);
        client_send(fd, "POST /echo HTTP/1.1\r\n" H "Content-Length: 10\r\n\r\nhello");
        server_await(&s, BODY_BYTES, 5 * (size_t)(hard + 1));
        if (hard)
            reset_client(fd);
        else
            close(fd);
        server_await(&s, CLOSED, (size_t)hard + 1);
        assert_int_equal(s.abort_why, DX_CANCELLED);
    }
}

static void client_reset_while_it_waits_aborts_at_once(void **state) {
    (void)state;
    int fd = client_open(&s);
    client_send(fd, "GET /wait HTTP/1.1\r\n" H END);
    server_await(&s, WAITING, 1);
    reset_client(fd);
    server_await(&s, ABORTED, 1);
    assert_int_equal(server_counted(&s, CLOSED), 0);
    server_release(&s, 0);
    server_await(&s, CLOSED, 1);
    assert_int_equal(server_counted(&s, CLOSED_SENT), 0);
}

static void client_reset_with_requests_piled_up_aborts_at_once(void **state) {
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        int fd = client_open(&s);
        client_send(fd, "GET /wait HTTP/1.1\r\n" H END);
        if (i == 0) client_send(fd, "GET /wait HTTP/1.1\r\n" H END);
        server_await(&s, WAITING, i + 1);
        client_send(fd, "GET /wait HTTP/1.1\r\n" H END);
        if (i == 1) shutdown(fd, SHUT_WR);
        reset_client(fd);
        server_await(&s, ABORTED, i + 1);
        server_release(&s, i);
    }
    server_await(&s, CLOSED, 2);
}

static void urgent_data_is_no_part_of_http(void **state) {
    (void)state;
    int fd = client_open(&s);
    client_send(fd, "GET /wait HTTP/1.1\r\n" H END);
    server_await(&s, WAITING, 1);
    assert_int_equal(send(fd, "!", 1, MSG_OOB | MSG_NOSIGNAL), 1);
    shutdown(fd, SHUT_WR);
    server_await(&s, ABORTED, 1);
    server_release(&s, 0);
    close(fd);
}

static void client_gone_while_it_should_read_closes_unsent(void **state) {
    (void)state;
    static const char *const paths[] = {"/big", "/stream"};
    for (size_t i = 0; i < 2; i++) {
        char request[100];
        (void)snprintf(request, sizeof request, "GET %s HTTP/1.1\r\n" H END, paths[i]);
        int fd = client_open_small(&s);
        client_send(fd, request);
        assert_int_equal(recv(fd, out, 1000, MSG_WAITALL), 1000);
        reset_client(fd);
        server_await(&s, CLOSED, i + 1);
    }
    assert_int_equal(server_counted(&s, CLOSED_SENT), 0);
}

static void dropped_stream_cuts_the_connection(void **state) {
    (void)state;
    int fd = client_open(&s);
    client_send(fd, "GET /fixed HTTP/1.1\r\n" H END "GET /drop HTTP/1.1\r\n" H END "GET /fixed HTTP/1.1\r\n" H END);
    client_read_all(fd, out, sizeof out, &reset);
    starts("HTTP/1.1 200 OK");
    assert_null(strstr(out + 1, "HTTP/1.1"));
    close(fd);
    server_await(&s, CLOSED, 2);
    assert_int_equal(server_counted(&s, CLOSED_SENT), 1);
    assert_int_equal(server_counted(&s, ABORTED), 0);
}

static void clients_that_say_nothing_or_half_leave_no_trace(void **state) {
    (void)state;
    static const char *const halves[] = {"", "\r", "G", "GET /fixed HTTP/1.1\r\nHo"};
    for (size_t i = 0; i < DX_COUNT_OF(halves); i++) {
        int fd = client_open(&s);
        client_send(fd, halves[i]);
        shutdown(fd, SHUT_WR);
        assert_int_equal(client_read_all(fd, out, sizeof out, &reset), 0);
        close(fd);
    }
    assert_int_equal(server_counted(&s, BEGUN) + server_counted(&s, REJECTED), 0);
}

#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        T(response_has_date_and_length),
        T(connection_serves_many_requests),
        T(bytes_one_at_a_time_make_the_same_request),
        T(pipelined_requests_are_answered_in_order),
        T(late_answer_holds_back_the_ones_behind_it),
        T(pipeline_far_longer_than_a_turn_is_served_whole),
        T(requests_of_one_read_are_answered_with_one_write),
        T(client_that_asks_for_the_end_gets_it),
        T(http10_is_kept_alive_when_it_asks),
        T(head_and_bodiless_statuses_send_no_body),
        T(large_body_arrives_whole),
        T(head_larger_than_any_buffer_arrives_whole),
        T(response_of_unknown_length_is_chunked),
        T(response_of_unknown_length_ends_http10s_connection),
        T(expectation_is_met_when_the_owner_wants_the_body),
        T(final_answer_to_an_expectation_ends_the_connection),
        T(small_body_behind_an_early_answer_is_read_away),
        T(client_reads_an_early_answer_though_it_sends_a_large_body),
        T(client_that_ends_its_side_still_gets_its_answers),
        T(refused_request_is_answered_and_the_connection_ended),
        T(bad_chunk_aborts_the_request_and_is_answered),
        T(client_gone_in_the_middle_of_a_body_aborts),
        T(client_reset_while_it_waits_aborts_at_once),
        T(client_reset_with_requests_piled_up_aborts_at_once),
        T(urgent_data_is_no_part_of_http),
        T(client_gone_while_it_should_read_closes_unsent),
        T(dropped_stream_cuts_the_connection),
        T(clients_that_say_nothing_or_half_leave_no_trace),
    };
    return cmocka_run_group_tests_name("http1", tests, NULL, NULL);
}
