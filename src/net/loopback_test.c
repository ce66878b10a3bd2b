// The loopback has a socket's manners: whole exchanges, a full window, half-close and reset, without a descriptor.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/memory.h"
#include "net/test_stage.h"

#define H   "Host: a\r\n"
#define GET "GET / HTTP/1.1\r\n" H "\r\n"

static stage s;
static char big[3 << 20];

static int setup(void **state) {
    (void)state;
    stage_open(&s, NULL);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    stage_close(&s);
    return 0;
}

static void answer_hello(actor *a) {
    actor_respond(a, "hello");
}

static void answer_big(actor *a) {
    dx_response_head head = {.status = 200};
    dx_stream_respond(a->stream, &head, dx_slice_of(big, sizeof big));
}

static void exchange_runs_without_a_socket(void **state) {
    (void)state;
    s.on_end = answer_hello;
    for (size_t i = 1; i <= 3; i++) {
        stage_send(&s, GET);
        stage_await_text(&s, "\r\n\r\nhello");
        stage_await(&s, &s.closed, i);
        stage_take(&s);
    }
    assert_string_equal(s.actors[0].peer, "127.0.0.1:4711");
    assert_int_equal(s.actors[0].head.version, 11);
    assert_false(s.actors[0].head.secure);
    assert_true(s.actors[2].sent);
}

static void bytes_one_at_a_time_make_the_same_request(void **state) {
    (void)state;
    s.on_end = answer_hello;
    s.consume = true;
    const char *request = "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
    for (const char *at = request; *at; at++) {
        dx_loopback_send(s.client, dx_slice_of(at, 1));
        stage_settle(&s);
    }
    stage_await(&s, &s.closed, 1);
    assert_true(dx_slice_equal(dx_buffer_slice(&s.actors[0].body), DX_SLICE("hello")));
}

static void peer_that_does_not_read_holds_the_answer_back(void **state) {
    (void)state;
    s.on_end = answer_big;
    dx_loopback_window(s.client, 100000);
    stage_send(&s, GET GET);
    stage_settle(&s);
    assert_int_equal(dx_loopback_received(s.client)->size, 100000);
    assert_int_equal(s.closed, 0);
    size_t got = 0;
    while (s.closed < 2 || dx_loopback_received(s.client)->size) {
        got += dx_loopback_received(s.client)->size;
        stage_take(&s);
        stage_settle(&s);
    }
    assert_true(got > 2 * sizeof big && got < 2 * sizeof big + 400);
    assert_int_equal(s.actors[0].bytes + s.actors[1].bytes, got);
}

static void half_closed_client_gets_what_it_asked_for(void **state) {
    (void)state;
    stage_send(&s, GET);
    dx_loopback_end(s.client);
    stage_await(&s, &s.begun, 1);
    stage_settle(&s);
    assert_false(dx_loopback_closed(s.client));
    answer_hello(&s.actors[0]);
    stage_await_closed(&s);
    assert_non_null(strstr(stage_received(&s), "\r\n\r\nhello"));
    assert_true(s.actors[0].sent);
}

static void silent_client_that_ends_is_closed(void **state) {
    (void)state;
    stage_settle(&s);
    dx_loopback_end(s.client);
    stage_await_closed(&s);
    assert_int_equal(s.begun, 0);
}

static void reset_aborts_what_is_under_way(void **state) {
    (void)state;
    stage_send(&s, GET);
    stage_await(&s, &s.begun, 1);
    stage_settle(&s);
    dx_loopback_destroy(s.client);
    s.client = NULL;
    stage_connect(&s);
    stage_await(&s, &s.closed, 1);
    assert_int_equal(s.actors[0].aborts, 1);
    assert_int_equal(s.actors[0].why, DX_CANCELLED);
    assert_false(s.actors[0].sent);
}

static void server_that_closes_is_seen_and_its_words_still_read(void **state) {
    (void)state;
    s.on_end = answer_hello;
    stage_send(&s, "GET / HTTP/1.1\r\n" H "Connection: close\r\n\r\n");
    stage_await_closed(&s);
    assert_true(dx_loopback_ended(s.client));
    assert_non_null(strstr(stage_received(&s), "\r\n\r\nhello"));
    stage_send(&s, GET); // into the void
    stage_settle(&s);
    assert_int_equal(s.begun, 1);
}

static void peer_is_what_was_said(void **state) {
    (void)state;
    static const char *peers[] = {"[::1]:80", "unix"};
    s.on_end = answer_hello;
    for (size_t i = 0; i < 2; i++) {
        dx_loopback *client;
        assert_int_equal(dx_loopback_connect(&client, s.listener, peers[i]), DX_OK);
        dx_loopback_send(client, DX_SLICE(GET));
        stage_await(&s, &s.closed, i + 1);
        assert_string_equal(s.actors[i].peer, peers[i]);
        dx_loopback_destroy(client);
    }
    dx_loopback *client;
    assert_int_equal(dx_loopback_connect(&client, s.listener, "nobody"), DX_INVALID);
}

static void every_failed_allocation_costs_no_more_than_its_connection(void **state) {
    (void)state;
    s.on_end = answer_hello;
    for (uint64_t n = 1;; n++) {
        dx_loopback *client = NULL;
        stage_forget(&s);
        dx_memory_fail_at(n, false);
        dx_status status = dx_loopback_connect(&client, s.listener, "unix");
        if (status == DX_OK) {
            dx_loopback_send(client, DX_SLICE(GET));
            stage_settle(&s);
        }
        if (!dx_memory_fail_stop()) {
            assert_int_equal(s.closed, 1);
            dx_loopback_destroy(client);
            break;
        }
        assert_int_equal(s.begun, s.closed);
        dx_loopback_destroy(client);
        stage_settle(&s);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(exchange_runs_without_a_socket, setup, teardown),
        cmocka_unit_test_setup_teardown(bytes_one_at_a_time_make_the_same_request, setup, teardown),
        cmocka_unit_test_setup_teardown(peer_that_does_not_read_holds_the_answer_back, setup, teardown),
        cmocka_unit_test_setup_teardown(half_closed_client_gets_what_it_asked_for, setup, teardown),
        cmocka_unit_test_setup_teardown(silent_client_that_ends_is_closed, setup, teardown),
        cmocka_unit_test_setup_teardown(reset_aborts_what_is_under_way, setup, teardown),
        cmocka_unit_test_setup_teardown(server_that_closes_is_seen_and_its_words_still_read, setup, teardown),
        cmocka_unit_test_setup_teardown(peer_is_what_was_said, setup, teardown),
        cmocka_unit_test_setup_teardown(every_failed_allocation_costs_no_more_than_its_connection, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
