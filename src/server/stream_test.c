// Bodies as streams through a whole server on a loopback: handlers that read and write in pieces, caps, and peers that go away or stop
// reading. What becomes of bodies on their way (codings, spools) is in body_test.c.
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/memory.h"
#include "server/stream_fixture.h"

static size_t one = 1;

static void an_answer_comes_in_pieces_as_the_peer_takes_them(void **state) {
    (void)state;
    loopback_send(&f, "GET /ticks HTTP/1.1\r\n" HOST "\r\n");
    loopback_settle(&f);
    assert_true(seen.written > 0 && seen.written < 400); // the client reads nothing: the source is held
    assert_int_equal(seen.closed, 0);
    size_t total = 0;
    while (!seen.closed) {
        size_t here = dx_loopback_received(f.client)->size;
        total += here;
        dx_loopback_take(f.client, here);
        loopback_settle(&f);
    }
    total += dx_loopback_received(f.client)->size;
    assert_int_equal(seen.written, TICKS);
    assert_int_equal(seen.closed_why, DX_OK);
    assert_true(total > (size_t)TICKS * TICK);
    assert_true(seen.ready > 10);
}

static void a_streamed_answer_leaves_the_connection_usable(void **state) {
    (void)state;
    loopback_ask(&f, "GET /farewell HTTP/1.1\r\n" HOST "TE: trailers\r\n\r\n");
    assert_answer(200, "hello");
    assert_non_null(strstr(f.answer.trailers.data, "42"));
    loopback_ask(&f, "GET /livez HTTP/1.1\r\n" HOST "\r\n");
    assert_int_equal(f.answer.status, 200);
}

static void a_head_request_never_asks_the_source(void **state) {
    (void)state;
    loopback_ask(&f, "HEAD /ticks HTTP/1.1\r\n" HOST "\r\n");
    assert_int_equal(f.answer.status, 200);
    loopback_await(&f, stream_is_closed, &one);
    assert_int_equal(seen.ready, 0);
    assert_int_equal(seen.closed_why, DX_OK);
    loopback_ask(&f, "GET /livez HTTP/1.1\r\n" HOST "\r\n");
    assert_int_equal(f.answer.status, 200);
}

static void trouble_behind_the_head_breaks_the_answer_off(void **state) {
    (void)state;
    loopback_ask(&f, "GET /trouble HTTP/1.1\r\n" HOST "\r\n");
    assert_int_equal(f.answer.status, 200);
    assert_true(f.answer.broken);
    assert_int_equal(seen.closed, 1);
    assert_int_equal(seen.closed_why, DX_STORE_TIMEOUT);
}

static void a_peer_that_goes_closes_the_source(void **state) {
    (void)state;
    loopback_send(&f, "GET /ticks HTTP/1.1\r\n" HOST "\r\n");
    loopback_settle(&f);
    loopback_connect(&f);
    loopback_await(&f, stream_is_closed, &one);
    assert_int_equal(seen.closed_why, DX_CANCELLED);
}

static void a_drain_is_told_to_open_sources(void **state) {
    (void)state;
    loopback_send(&f, "GET /quiet HTTP/1.1\r\n" HOST "\r\n");
    loopback_settle(&f);
    assert_int_equal(seen.ready, 1);
    dx_serve_drain(f.worker);
    loopback_read(&f, false);
    assert_answer(200, "hello");
    assert_int_equal(seen.drains, 1);
}

static void an_app_that_was_left_has_its_sources_drained(void **state) {
    (void)state;
    loopback_send(&f, "GET /quiet HTTP/1.1\r\n" HOST "\r\n");
    loopback_settle(&f);
    dx_serve_retire(f.worker, NULL); // another's
    loopback_settle(&f);
    assert_int_equal(seen.drains, 0);
    dx_serve_retire(f.worker, f.app);
    loopback_read(&f, false);
    assert_int_equal(seen.drains, 1);
}

static void a_file_is_sent_and_a_head_tells_its_length(void **state) {
    (void)state;
    loopback_ask(&f, "GET /file HTTP/1.1\r\n" HOST "\r\n");
    assert_int_equal(f.answer.status, 206);
    assert_int_equal(f.answer.body.size, 52000);
    for (size_t i = 0; i < 52000; i++) assert_int_equal(f.answer.body.data[i], (char)('a' + i % 26));
    loopback_ask(&f, "HEAD /file HTTP/1.1\r\n" HOST "\r\n");
    assert_string_equal(loopback_field(&f, "content-length"), "52000");
    loopback_ask(&f, "GET /livez HTTP/1.1\r\n" HOST "\r\n");
    assert_int_equal(f.answer.status, 200);
}

// --- bodies

static void a_body_is_read_in_pieces(void **state) {
    (void)state;
    loopback_send(&f, "POST /count HTTP/1.1\r\n" CHUNKED "5\r\nhello\r\n");
    loopback_settle(&f);
    assert_true(seen.handled);
    assert_int_equal(seen.read, 5);
    assert_int_equal(seen.ended, 0);
    loopback_send(&f, "6\r\n world\r\n0\r\nX-Sum: 11\r\n\r\n");
    loopback_read(&f, false);
    assert_answer(200, "11");
    assert_string_equal(seen.trailer, "11");
    assert_int_equal(seen.ended, 1);
}

// What comes of a request while its handler waits takes nothing from the arena, which may be with another thread.
static void a_body_and_trailers_leave_the_arena_to_who_has_it(void **state) {
    static const char *const methods[] = {"GET", "POST"};
    (void)state;
    for (size_t i = 0; i < DX_COUNT_OF(methods); i++) {
        char head[128];
        snprintf(head, sizeof head, "%s /away HTTP/1.1\r\n" CHUNKED, methods[i]);
        loopback_send(&f, head);
        loopback_settle(&f);
        dx_exchange *x = seen.x;
        assert_non_null(x);
        const char *at = x->arena->at, *end = x->arena->end;
        loopback_send(&f, "5\r\nhello\r\n");
        loopback_settle(&f);
        loopback_send(&f, "5\r\nworld\r\n0\r\nx-sum: 11\r\n\r\n");
        loopback_settle(&f);
        assert_ptr_equal(x->arena->at, at);
        assert_ptr_equal(x->arena->end, end);
        assert_int_equal(x->request.trailers->count, 1);
        assert_true(dx_slice_equal(x->request.trailers->items[0].value, DX_SLICE("11")));
        dx_exchange_resume(x, dx_exchange_empty(x, 204));
        loopback_settle(&f);
    }
}

static void a_request_without_a_body_ends_the_reader_at_once(void **state) {
    (void)state;
    loopback_ask(&f, "POST /count HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n");
    assert_answer(200, "0");
}

static void a_reader_asks_for_the_body(void **state) {
    (void)state;
    loopback_send(&f, "POST /count HTTP/1.1\r\n" HOST "Content-Length: 5\r\nExpect: 100-continue\r\n\r\n");
    loopback_settle(&f);
    assert_non_null(memmem(dx_loopback_received(f.client)->data, dx_loopback_received(f.client)->size, " 100 ", 5));
    loopback_send(&f, "hello");
    loopback_read(&f, false);
    assert_answer(200, "5");
    assert_int_equal(f.answer.interim, 1);
}

static void a_handler_may_answer_without_reading(void **state) {
    (void)state;
    loopback_ask(&f, "POST /early HTTP/1.1\r\n" HOST "Content-Length: 5\r\nExpect: 100-continue\r\n\r\n");
    assert_answer(200, "early");
    assert_int_equal(f.answer.interim, 0);
}

static void a_long_body_is_refused_by_its_length_unread(void **state) {
    (void)state;
    loopback_ask(&f, "POST /count HTTP/1.1\r\n" HOST "Content-Length: 100001\r\nExpect: 100-continue\r\n\r\n");
    assert_int_equal(f.answer.status, 413);
    assert_int_equal(f.answer.interim, 0);
    assert_false(seen.handled);
}

static void the_cap_itself_is_taken(void **state) {
    (void)state;
    loopback_send(&f, "POST /count HTTP/1.1\r\n" HOST "Content-Length: 100000\r\n\r\n");
    send_zeros(CAP);
    loopback_read(&f, false);
    assert_answer(200, "100000");
}

static void an_operation_may_take_more_than_listeners_do_by_themselves(void **state) {
    (void)state;
    loopback_send(&f, "POST /huge HTTP/1.1\r\n" HOST "Content-Length: 5000000000\r\nExpect: 100-continue\r\n\r\n");
    loopback_settle(&f);
    assert_true(seen.handled);
    assert_non_null(memmem(dx_loopback_received(f.client)->data, dx_loopback_received(f.client)->size, " 100 ", 5));
    loopback_connect(&f);
    loopback_await(&f, stream_is_ended, &one);
}

static void a_body_that_grows_over_the_cap_ends_the_reader_once(void **state) {
    (void)state;
    loopback_send(&f, "POST /count HTTP/1.1\r\n" CHUNKED "186a1\r\n"); // one over
    send_zeros(CAP + 1);
    loopback_send(&f, "\r\n");
    loopback_read(&f, false);
    assert_int_equal(f.answer.status, 413);
    assert_int_equal(seen.ended, 1);
    assert_int_equal(seen.end_why, DX_TOO_LARGE);
    assert_true(seen.read <= CAP);
}

static void a_reader_that_does_not_consume_holds_the_peer(void **state) {
    (void)state;
    consumes = false;
    size_t size = 8u << 20;
    char head[128];
    snprintf(head, sizeof head, "POST /pour HTTP/1.1\r\n" HOST "Content-Length: %zu\r\n\r\n", size);
    loopback_send(&f, head);
    send_zeros(size);
    loopback_settle(&f);
    assert_true(seen.read > 0 && seen.read <= DX_BODY_WINDOW);
    assert_true(dx_arena_footprint(seen.x->arena) < (2u << 20));
    consumes = true;
    dx_exchange_consume(seen.x, seen.read);
    loopback_read(&f, false);
    char text[32];
    snprintf(text, sizeof text, "%zu", size);
    assert_answer(200, text);
}

static void a_peer_that_goes_ends_the_reader(void **state) {
    (void)state;
    loopback_send(&f, "POST /count HTTP/1.1\r\n" CHUNKED "5\r\nhello\r\n");
    loopback_settle(&f);
    loopback_connect(&f);
    loopback_await(&f, stream_is_ended, &one);
    assert_int_equal(seen.end_why, DX_CANCELLED);
}

static void an_echo_holds_a_peer_that_does_not_read(void **state) {
    (void)state;
    size_t size = 16u << 20, got = 0;
    char head[128];
    snprintf(head, sizeof head, "POST /echo HTTP/1.1\r\n" HOST "Content-Length: %zu\r\n\r\n", size);
    loopback_send(&f, head);
    send_zeros(size);
    loopback_settle(&f);
    assert_true(seen.read < 4u << 20);
    while (!seen.closed) {
        size_t here = dx_loopback_received(f.client)->size;
        got += here;
        dx_loopback_take(f.client, here);
        loopback_settle(&f);
    }
    got += dx_loopback_received(f.client)->size;
    assert_int_equal(seen.closed_why, DX_OK);
    assert_int_equal(seen.read, size);
    assert_true(got > size);
}

static void a_tunnel_carries_bytes_as_they_are(void **state) {
    (void)state;
    loopback_send(&f, "GET /tunnel HTTP/1.1\r\n" HOST "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\nearly ");
    loopback_settle(&f);
    loopback_send(&f, "bird");
    loopback_settle(&f);
    dx_slice got = dx_buffer_slice(dx_loopback_received(f.client));
    assert_true(dx_slice_starts(got, DX_SLICE("HTTP/1.1 101 ")));
    assert_true(got.size > 10 && memcmp(got.data + got.size - 10, "early bird", 10) == 0);
    dx_loopback_end(f.client);
    loopback_await(&f, stream_is_closed, &one);
    assert_int_equal(seen.end_why, DX_OK);
    assert_int_equal(seen.closed_why, DX_OK);
}

static void a_tunnel_that_was_not_asked_for_is_refused(void **state) {
    (void)state;
    loopback_ask(&f, "GET /tunnel HTTP/1.1\r\n" HOST "\r\n");
    assert_int_equal(f.answer.status, 426);
}

// --- memory

static void every_allocation_of_a_streamed_exchange_may_fail(void **state) {
    (void)state;
    static const char *const requests[] = {
        "GET /farewell HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n",
        "POST /echo HTTP/1.1\r\n" HOST "Connection: close\r\nContent-Length: 5\r\n\r\nhello",
        "POST /spool HTTP/1.1\r\n" HOST "Connection: close\r\nContent-Length: 5\r\n\r\nhello",
    };
    for (size_t i = 0; i < DX_COUNT_OF(requests); i++) {
        for (uint64_t n = 1; n < 200; n++) {
            loopback_connect(&f);
            loopback_send(&f, requests[i]);
            dx_memory_fail_at(n, false);
            loopback_settle(&f);
            bool failed = dx_memory_fail_stop();
            loopback_read(&f, false); // whole or broken, it ends
            if (!failed) assert_false(f.answer.broken);
            if (!failed) assert_int_equal(f.answer.status, 200);
            if (!failed) break;
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(an_answer_comes_in_pieces_as_the_peer_takes_them),
        TEST(a_streamed_answer_leaves_the_connection_usable),
        TEST(a_head_request_never_asks_the_source),
        TEST(trouble_behind_the_head_breaks_the_answer_off),
        TEST(a_peer_that_goes_closes_the_source),
        TEST(a_drain_is_told_to_open_sources),
        TEST(an_app_that_was_left_has_its_sources_drained),
        TEST(a_file_is_sent_and_a_head_tells_its_length),
        TEST(a_body_is_read_in_pieces),
        TEST(a_body_and_trailers_leave_the_arena_to_who_has_it),
        TEST(a_request_without_a_body_ends_the_reader_at_once),
        TEST(a_reader_asks_for_the_body),
        TEST(a_handler_may_answer_without_reading),
        TEST(a_long_body_is_refused_by_its_length_unread),
        TEST(the_cap_itself_is_taken),
        TEST(an_operation_may_take_more_than_listeners_do_by_themselves),
        TEST(a_body_that_grows_over_the_cap_ends_the_reader_once),
        TEST(a_reader_that_does_not_consume_holds_the_peer),
        TEST(a_peer_that_goes_ends_the_reader),
        TEST(an_echo_holds_a_peer_that_does_not_read),
        TEST(a_tunnel_carries_bytes_as_they_are),
        TEST(a_tunnel_that_was_not_asked_for_is_refused),
        TEST(every_allocation_of_a_streamed_exchange_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
