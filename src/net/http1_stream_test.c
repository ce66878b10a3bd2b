// HTTP/1.1 as the owners of streams see it, on a loopback: bodies by credits, trailers, tunnels, and a share of each turn for everybody.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/memory.h"
#include "net/http1_parser.h"
#include "net/listener.h"
#include "net/test_stage.h"

#define H       "Host: a\r\n"
#define GET     "GET / HTTP/1.1\r\n" H "\r\n"
#define CHUNKED "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n"
#define UPGRADE "GET /chat HTTP/1.1\r\n" H "Connection: keep-alive, Upgrade\r\nUpgrade: h2c, WebSocket\r\n\r\n"
#define WINDOW  DX_BODY_WINDOW

static stage s;
static char big[2 << 20];

static int setup(void **state) {
    (void)state;
    if (!big[0]) {
        for (size_t i = 0; i < sizeof big; i++) big[i] = (char)('a' + i % 23);
    }
    stage_open(&s, NULL);
    return 0;
}

static int setup_hasty(void **state) {
    (void)state;
    dx_http_limits limits = DX_HTTP_LIMITS_INIT;
    limits.head_time = limits.idle_time = limits.body_stall = limits.write_stall = 100 * DX_MILLISECOND;
    stage_open(&s, &limits);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    stage_close(&s);
    return 0;
}

static void send_sized(size_t announced, size_t sent) {
    char head[200];
    int size = snprintf(head, sizeof head, "POST / HTTP/1.1\r\n" H "Content-Length: %zu\r\n\r\n", announced);
    dx_loopback_send(s.client, dx_slice_of(head, (size_t)size));
    dx_loopback_send(s.client, dx_slice_of(big, sent));
}

static void answer_ok(actor *a) {
    actor_respond(a, "ok");
}

static void has(const char *expected) {
    if (!strstr(stage_received(&s), expected)) fail_msg("expected %s in: %.400s", expected, stage_received(&s));
}

static void lacks(const char *unexpected) {
    if (strstr(stage_received(&s), unexpected)) fail_msg("unexpected %s in: %.400s", unexpected, stage_received(&s));
}

static bool never(void *ctx) {
    (void)ctx;
    return false;
}

// Gives timeouts the time to strike.
static bool quiet_for(dx_nanos time) {
    return dx_loopback_run(s.client, never, NULL, time);
}

// --- credits ---------------------------------------------------------------------------------------------------------------

static void no_more_of_a_body_comes_than_its_owner_takes(void **state) {
    (void)state;
    actor *a = &s.actors[0];
    send_sized(1 << 20, 1 << 20);
    stage_settle(&s);
    assert_int_equal(a->body.size, WINDOW);
    dx_stream_consume(a->stream, 1000);
    stage_settle(&s);
    assert_int_equal(a->body.size, WINDOW + 1000);
    while (a->body.size < 1 << 20) {
        size_t before = a->body.size;
        dx_stream_consume(a->stream, 100000);
        stage_settle(&s);
        assert_true(a->body.size <= before + 100000 && a->body.size > before);
    }
    assert_int_equal(a->ends, 1);
    assert_memory_equal(a->body.data, big, 1 << 20);
    answer_ok(a);
    stage_await_text(&s, "\r\n\r\nok");
}

static void chunked_body_is_held_likewise(void **state) {
    (void)state;
    actor *a = &s.actors[0];
    stage_send(&s, CHUNKED);
    for (size_t i = 0; i < 40; i++) {
        stage_send(&s, "4000\r\n");
        dx_loopback_send(s.client, dx_slice_of(big, 0x4000));
        stage_send(&s, "\r\n");
    }
    stage_send(&s, "0\r\n\r\n");
    stage_settle(&s);
    assert_int_equal(a->body.size, WINDOW);
    dx_stream_consume(a->stream, 1);
    stage_settle(&s);
    assert_int_equal(a->body.size, WINDOW + 1);
    s.consume = true;
    dx_stream_consume(a->stream, WINDOW);
    stage_settle(&s);
    assert_int_equal(a->body.size, 40 * 0x4000);
    assert_int_equal(a->ends, 1);
    answer_ok(a);
    stage_await(&s, &s.closed, 1);
}

static void body_of_just_the_window_needs_no_consuming_to_end(void **state) {
    (void)state;
    s.on_end = answer_ok;
    send_sized(WINDOW, WINDOW);
    stage_await(&s, &s.closed, 1);
    assert_int_equal(s.actors[0].body.size, WINDOW);
}

static void body_that_its_owner_holds_does_not_time_out(void **state) {
    (void)state;
    actor *a = &s.actors[0];
    send_sized(WINDOW + 10, WINDOW + 5);
    quiet_for(400 * DX_MILLISECOND);
    assert_int_equal(a->aborts, 0);
    dx_stream_consume(a->stream, WINDOW); // now the peer owes the rest
    stage_await(&s, &s.closed, 1);
    assert_int_equal(a->why, DX_REQUEST_TIMEOUT);
    has("HTTP/1.1 408 ");
}

static void pipeline_behind_a_held_body_waits_and_is_served(void **state) {
    (void)state;
    enum { MORE = 50 };
    s.on_end = answer_ok;
    send_sized(WINDOW + 100, WINDOW + 100);
    for (int i = 0; i < MORE; i++) stage_send(&s, GET);
    for (int i = 0; i < 4; i++) dx_loopback_send(s.client, dx_slice_of(big, sizeof big)); // no request at all
    stage_settle(&s);
    assert_int_equal(s.begun, 1);
    dx_stream_consume(s.actors[0].stream, WINDOW);
    stage_await(&s, &s.closed, 1 + MORE);
    stage_await_text(&s, "HTTP/1.1 501 "); // and what came behind is refused in its turn
}

static void answer_ends_the_holding(void **state) {
    (void)state;
    send_sized(WINDOW + 100, WINDOW + 100);
    stage_send(&s, GET);
    stage_settle(&s);
    answer_ok(&s.actors[0]);
    stage_await(&s, &s.begun, 2); // the rest is thrown away
    assert_int_equal(s.actors[0].body.size, WINDOW);
    answer_ok(&s.actors[1]);
    stage_await(&s, &s.closed, 2);
}

static void reset_while_a_body_is_held_is_told(void **state) {
    (void)state;
    send_sized(1 << 20, 1 << 20);
    stage_settle(&s);
    stage_connect(&s);
    stage_await(&s, &s.closed, 1);
    assert_int_equal(s.actors[0].why, DX_CANCELLED);
}

static void consuming_more_than_came_is_no_credit(void **state) {
    (void)state;
    send_sized(1 << 20, 10);
    stage_await(&s, &s.begun, 1);
    stage_settle(&s);
    dx_stream_consume(s.actors[0].stream, SIZE_MAX);
    dx_loopback_send(s.client, dx_slice_of(big, (1 << 20) - 10));
    stage_settle(&s);
    assert_int_equal(s.actors[0].body.size, 10 + WINDOW);
}

// --- trailers --------------------------------------------------------------------------------------------------------------

static void trailers_reach_the_owner_before_the_end(void **state) {
    (void)state;
    s.on_end = answer_ok;
    stage_send(&s, CHUNKED "3\r\nabc\r\n0\r\nDigest: x\r\nAuthorization: me\r\nB:\r\n\r\n" GET);
    stage_await(&s, &s.closed, 2);
    assert_true(dx_slice_equal(dx_buffer_slice(&s.actors[0].trailers), DX_SLICE("Digest: x\nB: \n")));
    assert_int_equal(s.actors[1].trailers.size, 0);
}

static void trailers_of_an_answered_request_are_dropped(void **state) {
    (void)state;
    s.on_begin = answer_ok;
    stage_send(&s, CHUNKED "3\r\nabc\r\n0\r\nDigest: x\r\n\r\n" GET);
    stage_await(&s, &s.closed, 2);
    assert_int_equal(s.actors[0].trailers.size, 0);
}

static void trailers_over_the_cap_refuse_the_request(void **state) {
    (void)state;
    stage_send(&s, CHUNKED "3\r\nabc\r\n0\r\n");
    for (int i = 0; i < 101; i++) stage_send(&s, "A: b\r\n");
    stage_await(&s, &s.closed, 1);
    stage_await_text(&s, "HTTP/1.1 431 ");
    assert_int_equal(s.actors[0].ends, 0);
    assert_int_equal(s.actors[0].why, DX_BAD_REQUEST);
}

static void cap_lowered_while_trailers_come_holds(void **state) {
    (void)state;
    dx_http_limits lower = DX_HTTP_LIMITS_INIT;
    lower.head_bytes = 100;
    stage_send(&s, CHUNKED "0\r\nx-sum: ");
    dx_loopback_send(s.client, dx_slice_of(big, 200));
    stage_settle(&s);
    dx_listener_limit(s.listener, &lower, 16 << 20);
    dx_loopback_send(s.client, dx_slice_of(big, 200));
    stage_await_text(&s, "HTTP/1.1 431 ");
}

static void begin_without_content(actor *a) {
    dx_stream_begin(a->stream, &(dx_response_head){.status = 204});
    dx_stream_finish(a->stream);
}

static void no_content_in_pieces_has_no_framing(void **state) {
    (void)state;
    s.on_end = begin_without_content;
    stage_send(&s, GET "HEAD / HTTP/1.1\r\n" H "\r\n");
    stage_await(&s, &s.closed, 2);
    has("HTTP/1.1 204 No Content\r\n");
    lacks("chunked");
    lacks("Content-Length");
}

static dx_field sent_items[] = {{.name = DX_SLICE_INIT("grpc-status"), .value = DX_SLICE_INIT("0")},
                                {.name = DX_SLICE_INIT("Content-Length"), .value = DX_SLICE_INIT("7")},
                                {.name = DX_SLICE_INIT("x-sum"), .value = DX_SLICE_INIT("")}};
static dx_fields sent_trailers = {sent_items, 3, 3};

static void stream_with_trailers(actor *a) {
    dx_stream_trailers(a->stream, &sent_trailers);
    dx_stream_begin(a->stream, &(dx_response_head){.status = 200});
    assert_true(dx_stream_write(a->stream, DX_SLICE("hi")));
    dx_stream_finish(a->stream);
}

static void stream_with_late_trailers(actor *a) {
    dx_stream_begin(a->stream, &(dx_response_head){.status = 200});
    dx_stream_trailers(a->stream, &sent_trailers);
    dx_stream_finish(a->stream);
}

static void trailers_are_announced_and_sent_behind_the_body(void **state) {
    (void)state;
    s.on_end = stream_with_trailers;
    stage_send(&s, GET);
    stage_await_text(&s, "0\r\ngrpc-status: 0\r\nx-sum: \r\n\r\n");
    has("\r\nTrailer: grpc-status, x-sum\r\n");
    has("\r\n\r\n2\r\nhi\r\n0\r\n");
    stage_await(&s, &s.closed, 1);
    assert_int_equal(s.actors[0].bytes, dx_loopback_received(s.client)->size);
    stage_take(&s);
    s.on_end = stream_with_late_trailers;
    stage_send(&s, GET);
    stage_await_text(&s, "0\r\ngrpc-status: 0\r\nx-sum: \r\n\r\n");
    lacks("Trailer:");
}

static void trailers_are_not_sent_where_there_are_no_chunks(void **state) {
    (void)state;
    s.on_end = stream_with_trailers;
    stage_send(&s, "HEAD / HTTP/1.1\r\n" H "\r\nGET / HTTP/1.0\r\n\r\n");
    stage_await_closed(&s);
    lacks("grpc-status");
    has("\r\n\r\nhi");
}

// --- tunnels ---------------------------------------------------------------------------------------------------------------

static void agree(actor *a) {
    static dx_field accept = {.name = DX_SLICE_INIT("Sec-WebSocket-Accept"), .value = DX_SLICE_INIT("x")};
    static dx_fields fields = {&accept, 1, 1};
    dx_stream_tunnel(a->stream, &(dx_response_head){.status = 200, .fields = &fields});
}

static actor *open_tunnel(void) {
    s.on_begin = agree;
    stage_send(&s, UPGRADE);
    stage_await_text(&s, "\r\n\r\n");
    stage_take(&s);
    return &s.actors[s.begun - 1];
}

static void tunnel_is_agreed_to_and_carries_bytes_both_ways(void **state) {
    (void)state;
    s.on_begin = agree;
    s.consume = true;
    stage_send(&s, UPGRADE "early\r\n\r\n");
    stage_await_text(&s, "HTTP/1.1 101 Switching Protocols\r\nDate: ");
    has("\r\nSec-WebSocket-Accept: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    lacks("Content-Length");
    lacks("chunked");
    actor *a = &s.actors[0];
    assert_string_equal(a->protocol, "websocket");
    stage_settle(&s);
    assert_int_equal(a->ends, 0);
    stage_take(&s);
    assert_true(dx_stream_write(a->stream, DX_SLICE("GET \0 1")));
    stage_await_bytes(&s, 7);
    assert_memory_equal(stage_received(&s), "GET \0 1", 7);
    stage_send(&s, "more");
    stage_settle(&s);
    assert_true(dx_slice_equal(dx_buffer_slice(&a->body), DX_SLICE("early\r\n\r\nmore")));
}

static void tunnel_may_be_agreed_to_later(void **state) {
    (void)state;
    stage_send(&s, UPGRADE "early");
    stage_settle(&s);
    assert_int_equal(s.actors[0].body.size + s.actors[0].ends, 0);
    agree(&s.actors[0]);
    stage_await_text(&s, "HTTP/1.1 101 ");
    stage_settle(&s);
    assert_int_equal(s.actors[0].body.size, 5);
}

static void refused_tunnel_leaves_http(void **state) {
    (void)state;
    s.on_begin = answer_ok;
    stage_send(&s, UPGRADE GET);
    stage_await(&s, &s.closed, 2);
    has("HTTP/1.1 200 OK");
    lacks("Upgrade");
}

static void only_a_plain_get_of_http_1_1_asks_for_a_tunnel(void **state) {
    (void)state;
    static const char *others[] = {
        "POST / HTTP/1.1\r\n" H "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
        "GET / HTTP/1.1\r\n" H "Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 1\r\n\r\nx",
        "GET / HTTP/1.1\r\n" H "Connection: Upgrade\r\nUpgrade: websocket\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "GET / HTTP/1.1\r\n" H "Upgrade: websocket\r\n\r\n",
        "GET / HTTP/1.1\r\n" H "Connection: Upgrade\r\n\r\n",
        "GET / HTTP/1.1\r\n" H "Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
        "GET / HTTP/1.0\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
    };
    for (size_t i = 0; i < DX_COUNT_OF(others); i++) {
        stage_send(&s, others[i]);
        stage_await(&s, &s.begun, i + 1);
        stage_settle(&s);
        actor *a = &s.actors[i];
        assert_string_equal(a->protocol, "");
        dx_stream_tunnel(a->stream, &(dx_response_head){.status = 200}); // not to be had
        assert_int_equal(a->ends, 1);
        answer_ok(a);
        stage_await(&s, &s.closed, i + 1);
    }
    lacks("101");
}

static void each_side_of_a_tunnel_ends_by_itself(void **state) {
    (void)state;
    for (int server_first = 0; server_first < 2; server_first++) {
        actor *a = open_tunnel();
        if (server_first) {
            assert_true(dx_stream_write(a->stream, DX_SLICE("bye")));
            dx_stream_finish(a->stream);
            stage_await_bytes(&s, 3);
            stage_settle(&s);
            assert_true(dx_loopback_ended(s.client));
            assert_int_equal(a->closes, 0);
            stage_send(&s, "still here");
            stage_settle(&s);
            assert_int_equal(a->body.size, 10);
            dx_loopback_end(s.client);
        } else {
            stage_send(&s, "x");
            dx_loopback_end(s.client);
            stage_settle(&s);
            assert_int_equal(a->ends, 1);
            assert_false(dx_loopback_ended(s.client));
            assert_true(dx_stream_write(a->stream, DX_SLICE("still here")));
            stage_await_text(&s, "still here");
            dx_stream_finish(a->stream);
        }
        stage_await(&s, &s.closed, (size_t)server_first + 1);
        stage_await_closed(&s);
        assert_int_equal(a->ends, 1);
        assert_int_equal(a->aborts, 0);
        assert_true(a->sent);
        stage_connect(&s);
    }
}

static void tunnel_holds_the_peer_and_is_held_by_it(void **state) {
    (void)state;
    actor *a = open_tunnel();
    dx_loopback_window(s.client, 1000);
    size_t written = 0;
    while (dx_stream_write(a->stream, dx_slice_of(big, 10000))) written += 10000; // the peer does not read
    assert_true(written > WINDOW / 2 && written < 2 * WINDOW + 20000);
    dx_loopback_send(s.client, dx_slice_of(big, sizeof big)); // and yet what it says is heard
    stage_settle(&s);
    assert_int_equal(a->body.size, WINDOW);
    dx_stream_consume(a->stream, 5);
    stage_settle(&s);
    assert_int_equal(a->body.size, WINDOW + 5);
    assert_int_equal(a->writables, 0);
    dx_loopback_window(s.client, 64 << 20);
    stage_settle(&s);
    assert_int_equal(a->writables, 1);
    assert_int_equal(dx_loopback_received(s.client)->size, written);
}

static void tunnel_may_be_silent_but_not_when_its_owner_has_finished(void **state) {
    (void)state;
    actor *a = open_tunnel();
    quiet_for(400 * DX_MILLISECOND);
    assert_int_equal(a->aborts + a->closes, 0);
    dx_stream_finish(a->stream);
    stage_await(&s, &s.closed, 1);
    stage_await_closed(&s);
    assert_true(a->sent);
    assert_int_equal(a->aborts, 0);
}

static void tunnel_whose_peer_does_not_read_is_cut(void **state) {
    (void)state;
    for (size_t finished = 0; finished < 2; finished++) {
        actor *a = open_tunnel();
        dx_loopback_window(s.client, 10);
        assert_true(dx_stream_write(a->stream, DX_SLICE("more than ten bytes")));
        if (finished) dx_stream_finish(a->stream);
        stage_await(&s, &s.closed, finished + 1);
        stage_await_closed(&s);
        assert_int_equal(a->aborts, finished ? 0 : 1);
        assert_false(a->sent);
        stage_connect(&s);
    }
}

static void tunnel_may_be_dropped_at_any_time(void **state) {
    (void)state;
    for (size_t finished = 0; finished < 2; finished++) {
        actor *a = open_tunnel();
        if (finished) dx_stream_finish(a->stream);
        dx_stream_drop(a->stream);
        stage_await(&s, &s.closed, finished + 1);
        stage_await_closed(&s);
        stage_connect(&s);
    }
}

static void reset_tunnel_is_aborted(void **state) {
    (void)state;
    for (size_t finished = 0; finished < 2; finished++) {
        actor *a = open_tunnel();
        if (finished) dx_stream_finish(a->stream);
        stage_settle(&s);
        stage_connect(&s);
        stage_await(&s, &s.closed, finished + 1);
        assert_int_equal(a->aborts, finished ? 0 : 1);
    }
}

// --- breaking off at every byte --------------------------------------------------------------------------------------------

static void answer_or_agree(actor *a) {
    if (a->head.protocol.size) agree(a);
}

static void answer_by_path(actor *a) {
    if (a->protocol[0])
        dx_stream_finish(a->stream);
    else if (strcmp(a->path, "/s") == 0)
        stream_with_trailers(a);
    else
        actor_respond(a, "ok");
}

// The client breaks off behind each byte of an exchange, by a reset or by its end, having read much or little; at last it does not.
static void connection_broken_off_anywhere_leaves_nothing(void **state) {
    (void)state;
    static const char *exchanges[] = {
        GET GET,
        "POST / HTTP/1.1\r\n" H "Content-Length: 5\r\nExpect: 100-continue\r\n\r\nhello" GET,
        "POST /s HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\nDigest: x\r\n\r\n" GET,
        UPGRADE "bytes in the tunnel",
        DX_HTTP2_PREFACE,
    };
    s.on_begin = answer_or_agree;
    s.on_end = answer_by_path;
    for (size_t i = 0; i < DX_COUNT_OF(exchanges); i++) {
        size_t size = strlen(exchanges[i]);
        for (size_t cut = 0; cut <= size; cut++) {
            for (int how = 0; how < 4; how++) {
                stage_forget(&s);
                stage_connect(&s);
                if (how & 1) dx_loopback_window(s.client, 60);
                dx_loopback_send(s.client, dx_slice_of(exchanges[i], cut));
                (void)dx_loopback_run(s.client, never, NULL, 0);
                (void)dx_loopback_run(s.client, never, NULL, 0);
                if (how & 2) {
                    dx_loopback_end(s.client);
                    (void)dx_loopback_run(s.client, never, NULL, 0);
                    dx_loopback_window(s.client, 1000);
                    stage_await_closed(&s);
                } else {
                    stage_connect(&s);
                    stage_await(&s, &s.closed, s.begun);
                }
                assert_int_equal(s.begun, s.closed);
            }
        }
    }
}

static void answer_first(actor *a) {
    if (a == &s.actors[0]) actor_respond(a, "first");
}

static void answer_second(actor *a) {
    if (a == &s.actors[0]) actor_respond(&s.actors[1], "second");
}

// The end of one stream may be what another one's owner waited for, on a connection that is just being cut.
static void answer_from_inside_a_cut_goes_nowhere(void **state) {
    (void)state;
    s.on_end = answer_first;
    s.on_closed = answer_second;
    dx_loopback_window(s.client, 20);
    stage_send(&s, GET GET);
    stage_await(&s, &s.begun, 2);
    stage_connect(&s); // which cuts the first
    stage_await(&s, &s.closed, 2);
    assert_null(s.listener->output_owner);
    s.on_end = answer_ok;
    stage_send(&s, GET);
    stage_await_text(&s, "ok");
}

// --- fairness --------------------------------------------------------------------------------------------------------------

static bool enough;

static void pour(actor *a) {
    if (!a->done++) dx_stream_begin(a->stream, &(dx_response_head){.status = 200});
    for (size_t i = 0; !enough; i++) {
        assert_true(i < 1000); // else it would be at it for ever
        if (!dx_stream_write(a->stream, dx_slice_of(big, 10000))) return;
    }
    dx_stream_finish(a->stream);
}

static void pour_or_answer(actor *a) {
    if (strcmp(a->path, "/pour") == 0)
        pour(a);
    else
        actor_respond(a, "ok");
}

static void stream_to_a_fast_peer_leaves_others_their_turn(void **state) {
    (void)state;
    dx_loopback *other;
    s.on_end = pour_or_answer;
    s.on_writable = pour;
    enough = false;
    assert_int_equal(dx_loopback_connect(&other, s.listener, "unix"), DX_OK);
    dx_loopback_window(s.client, 1 << 30);
    stage_send(&s, "GET /pour HTTP/1.1\r\n" H "\r\n");
    stage_await(&s, &s.begun, 1);
    dx_loopback_send(other, DX_SLICE(GET));
    stage_await(&s, &s.closed, 1);
    assert_string_equal(s.actors[1].path, "/");
    enough = true;
    stage_await(&s, &s.closed, 2);
    dx_loopback_destroy(other);
}

static void finish_it(actor *a) {
    dx_stream_finish(a->stream);
}

// --- memory ----------------------------------------------------------------------------------------------------------------

static void every_failed_allocation_costs_no_more_than_its_connection(void **state) {
    (void)state;
    static const struct {
        const char *request;
        void (*on_begin)(actor *a), (*on_end)(actor *a);
    } cases[] = {
        {CHUNKED "3\r\nabc\r\n0\r\nDigest: x\r\n\r\n", NULL, stream_with_trailers},
        {UPGRADE "early", agree, finish_it},
    };
    for (size_t i = 0; i < DX_COUNT_OF(cases); i++) {
        s.on_begin = cases[i].on_begin;
        s.on_end = cases[i].on_end;
        for (uint64_t n = 1;; n++) {
            stage_forget(&s);
            stage_connect(&s);
            dx_loopback_window(s.client, 20);
            stage_send(&s, cases[i].request);
            dx_loopback_end(s.client);
            dx_memory_fail_at(n, false);
            stage_settle(&s);
            dx_loopback_window(s.client, 1 << 20);
            stage_settle(&s);
            bool failed = dx_memory_fail_stop();
            stage_await_closed(&s);
            assert_int_equal(s.begun, s.closed);
            if (!failed) break;
        }
        assert_true(s.actors[0].sent);
    }
}

// --- another protocol ------------------------------------------------------------------------------------------------------

typedef struct toy {
    dx_connection connection; // first
    size_t seen;
    char bytes[100], zeroed[1000];
} toy;

static void toy_init(dx_connection *c) {
    for (size_t i = 0; i < sizeof((toy *)c)->zeroed; i++) assert_int_equal(((toy *)c)->zeroed[i], 0);
}

static void toy_input(dx_connection *c, dx_slice bytes) {
    toy *t = (toy *)c;
    assert_true(t->seen + bytes.size < sizeof t->bytes);
    memcpy(t->bytes + t->seen, bytes.data, bytes.size);
    t->seen += bytes.size;
    memset(t->zeroed, 1, sizeof t->zeroed);
    if (bytes.data[bytes.size - 1] == '!') dx_connection_put(c, dx_slice_of(t->bytes, t->seen));
}

static bool toy_advance(dx_connection *c) {
    if (c->eof) c->finish = DX_FINISH_CLOSE;
    return false;
}

static void toy_rest(dx_connection *c) {
    c->reading = !c->eof;
    c->deadline = DX_NEVER;
}

static void toy_nothing(dx_connection *c) {
    (void)c;
}

static const dx_protocol toy_protocol = {sizeof(toy), toy_init, toy_input, toy_advance, toy_rest, toy_nothing, toy_nothing};

static void preface_of_http2_changes_the_protocol(void **state) {
    (void)state;
    static const char greeting[] = DX_HTTP2_PREFACE "frames!";
    for (size_t cut = 0; cut < sizeof greeting; cut++) {
        s.listener->http2 = &toy_protocol;
        stage_connect(&s);
        dx_loopback_send(s.client, dx_slice_of(greeting, cut));
        stage_settle(&s);
        dx_loopback_send(s.client, dx_slice_of(greeting + cut, sizeof greeting - 1 - cut));
        stage_await_bytes(&s, sizeof greeting - 1);
        assert_memory_equal(stage_received(&s), greeting, sizeof greeting - 1);
        dx_loopback_end(s.client);
        stage_await_closed(&s);
    }
    assert_int_equal(s.rejected, 0);
}

static void preface_is_refused_where_it_is_out_of_place(void **state) {
    (void)state;
    s.on_end = answer_ok;
    s.listener->http2 = NULL; // nobody here speaks it
    stage_connect(&s);
    stage_send(&s, DX_HTTP2_PREFACE);
    stage_await_text(&s, "HTTP/1.1 505 ");
    s.listener->http2 = &toy_protocol;
    stage_connect(&s);
    stage_send(&s, GET DX_HTTP2_PREFACE);
    stage_await_text(&s, "HTTP/1.1 505 ");
    stage_connect(&s);
    stage_send(&s, "\r\n" DX_HTTP2_PREFACE);
    stage_await_text(&s, "HTTP/1.1 505 ");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(no_more_of_a_body_comes_than_its_owner_takes, setup, teardown),
        cmocka_unit_test_setup_teardown(chunked_body_is_held_likewise, setup, teardown),
        cmocka_unit_test_setup_teardown(body_of_just_the_window_needs_no_consuming_to_end, setup, teardown),
        cmocka_unit_test_setup_teardown(body_that_its_owner_holds_does_not_time_out, setup_hasty, teardown),
        cmocka_unit_test_setup_teardown(pipeline_behind_a_held_body_waits_and_is_served, setup, teardown),
        cmocka_unit_test_setup_teardown(answer_ends_the_holding, setup, teardown),
        cmocka_unit_test_setup_teardown(reset_while_a_body_is_held_is_told, setup, teardown),
        cmocka_unit_test_setup_teardown(consuming_more_than_came_is_no_credit, setup, teardown),
        cmocka_unit_test_setup_teardown(trailers_reach_the_owner_before_the_end, setup, teardown),
        cmocka_unit_test_setup_teardown(trailers_of_an_answered_request_are_dropped, setup, teardown),
        cmocka_unit_test_setup_teardown(trailers_over_the_cap_refuse_the_request, setup, teardown),
        cmocka_unit_test_setup_teardown(cap_lowered_while_trailers_come_holds, setup, teardown),
        cmocka_unit_test_setup_teardown(no_content_in_pieces_has_no_framing, setup, teardown),
        cmocka_unit_test_setup_teardown(trailers_are_announced_and_sent_behind_the_body, setup, teardown),
        cmocka_unit_test_setup_teardown(trailers_are_not_sent_where_there_are_no_chunks, setup, teardown),
        cmocka_unit_test_setup_teardown(tunnel_is_agreed_to_and_carries_bytes_both_ways, setup, teardown),
        cmocka_unit_test_setup_teardown(tunnel_may_be_agreed_to_later, setup, teardown),
        cmocka_unit_test_setup_teardown(refused_tunnel_leaves_http, setup, teardown),
        cmocka_unit_test_setup_teardown(only_a_plain_get_of_http_1_1_asks_for_a_tunnel, setup, teardown),
        cmocka_unit_test_setup_teardown(each_side_of_a_tunnel_ends_by_itself, setup, teardown),
        cmocka_unit_test_setup_teardown(tunnel_holds_the_peer_and_is_held_by_it, setup, teardown),
        cmocka_unit_test_setup_teardown(tunnel_may_be_silent_but_not_when_its_owner_has_finished, setup_hasty, teardown),
        cmocka_unit_test_setup_teardown(tunnel_whose_peer_does_not_read_is_cut, setup_hasty, teardown),
        cmocka_unit_test_setup_teardown(tunnel_may_be_dropped_at_any_time, setup, teardown),
        cmocka_unit_test_setup_teardown(reset_tunnel_is_aborted, setup, teardown),
        cmocka_unit_test_setup_teardown(connection_broken_off_anywhere_leaves_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(answer_from_inside_a_cut_goes_nowhere, setup, teardown),
        cmocka_unit_test_setup_teardown(stream_to_a_fast_peer_leaves_others_their_turn, setup, teardown),
        cmocka_unit_test_setup_teardown(every_failed_allocation_costs_no_more_than_its_connection, setup, teardown),
        cmocka_unit_test_setup_teardown(preface_of_http2_changes_the_protocol, setup, teardown),
        cmocka_unit_test_setup_teardown(preface_is_refused_where_it_is_out_of_place, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
