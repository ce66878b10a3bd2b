// HTTP/2 as owners of streams and clients see it: requests, responses, bodies both ways, and how connections end.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/memory.h"
#include "net/http2.h"
#include "net/listener.h"
#include "net/test_http2_client.h"

static stage s;
static client c;
static char big[1 << 22];

static void open_with(const dx_http_limits *limits) {
    stage_open(&s, limits);
    s.consume = true;
    client_start(&c, &s);
}

static void open_stage(void) {
    open_with(NULL);
}

static void close_stage(void) {
    client_stop(&c);
    stage_close(&s);
}

static void fill_big(void) {
    for (size_t i = 0; i < sizeof big; i++) big[i] = (char)('!' + i % 89);
}

static void respond_with(actor *a, int status, dx_slice body) {
    dx_response_head *head = DX_ARENA_NEW(dx_stream_arena(a->stream), dx_response_head);
    head->status = status;
    dx_stream_respond(a->stream, head, body);
}

static void respond_at_once(actor *a) {
    actor_respond(a, "hello");
}

// --- requests and responses ------------------------------------------------------------------------------------------------

static void a_request_is_answered(void **state) {
    (void)state;
    open_stage();
    s.on_end = respond_at_once;
    answer *a = client_ask(&c, ":method: GET\n:path: /p/a?q=1\n:scheme: http\n:authority: example.org\naccept: */*\n", true);
    client_await(&c, &c.closed, 1);
    assert_int_equal(a->status, 200);
    assert_int_equal(a->body.size, 5);
    assert_non_null(strstr(a->fields, "date: "));
    assert_non_null(strstr(a->fields, "content-length: 5\n"));
    const dx_request_head *head = &s.actors[0].head;
    assert_int_equal(head->method, DX_GET);
    assert_int_equal(head->version, 20);
    assert_int_equal(head->content_length, 0);
    assert_string_equal(s.actors[0].path, "/p/a");
    assert_string_equal(s.actors[0].peer, "127.0.0.1:4711");
    client_settle(&c);
    assert_int_equal(s.actors[0].closes, 1);
    assert_true(s.actors[0].sent);
    assert_true(s.actors[0].bytes > 5);
    close_stage();
}

static void look_at_fields(actor *a) {
    assert_true(dx_slice_equal(dx_fields_get(&a->head.fields, DX_FIELD_HOST), DX_SLICE("example.org")));
    assert_true(dx_slice_equal(dx_fields_get(&a->head.fields, DX_FIELD_COOKIE), DX_SLICE("a=1; b=2; c=3")));
    assert_true(dx_slice_equal(dx_fields_find(&a->head.fields, DX_SLICE("x-last")), DX_SLICE("end")));
    assert_true(dx_slice_equal(a->head.query, DX_SLICE("q=1")));
    actor_respond(a, "");
}

static void authority_reads_as_host_and_cookies_are_joined(void **state) {
    (void)state;
    open_stage();
    s.on_begin = look_at_fields;
    answer *a = client_ask(&c,
                           ":method: GET\n:path: /?q=1\n:scheme: http\n:authority: example.org\ncookie: a=1\ncookie: b=2\nx-mid: "
                           "1\ncookie: c=3\nx-last: end\n",
                           true);
    client_await(&c, &c.closed, 1);
    assert_int_equal(a->status, 200);
    close_stage();
}

static void a_hundred_streams_are_answered_in_one_send(void **state) {
    (void)state;
    open_stage();
    client_settle(&c);
    for (int i = 0; i < 60; i++) client_get(&c, "/");
    client_settle(&c);
    assert_int_equal(s.begun, 60);
    for (size_t i = 0; i < 60; i++) actor_respond(&s.actors[59 - i], "x");
    assert_int_equal(dx_loopback_received(s.client)->size, 0); // at the turn's end, all together
    client_await(&c, &c.closed, 60);
    for (size_t i = 0; i < 60; i++) assert_int_equal(c.answers[i].status, 200);
    close_stage();
}

static void responses_without_content_have_none(void **state) {
    (void)state;
    open_stage();
    answer *head = client_ask(&c, ":method: HEAD\n:path: /\n:scheme: http\n:authority: a\n", true);
    answer *none = client_get(&c, "/");
    answer *same = client_get(&c, "/");
    client_settle(&c);
    actor_respond(&s.actors[0], "hello");
    respond_with(&s.actors[1], 204, dx_slice_of(NULL, 0));
    dx_response_head not_modified = {.status = 304, .no_body_length = true, .content_length = 77};
    dx_stream_respond(s.actors[2].stream, &not_modified, dx_slice_of(NULL, 0));
    client_await(&c, &c.closed, 3);
    assert_int_equal(head->body.size + none->body.size + same->body.size, 0);
    assert_non_null(strstr(head->fields, "content-length: 5\n"));
    assert_null(strstr(none->fields, "content-length"));
    assert_non_null(strstr(same->fields, "content-length: 77\n"));
    assert_int_equal(c.frames[NGHTTP2_DATA], 0);
    close_stage();
}

static void fields_of_a_connection_and_capitals_do_not_go_out(void **state) {
    (void)state;
    open_stage();
    answer *a = client_get(&c, "/");
    client_settle(&c);
    dx_field items[] = {{DX_SLICE("Connection"), DX_SLICE("close"), DX_FIELD_CONNECTION},
                        {DX_SLICE("Keep-Alive"), DX_SLICE("1"), DX_FIELD_OTHER},
                        {DX_SLICE("X-Capital"), DX_SLICE("Yes"), DX_FIELD_OTHER}};
    dx_fields fields = {items, 3, 3};
    dx_response_head head = {.status = 200, .fields = &fields};
    dx_stream_respond(s.actors[0].stream, &head, DX_SLICE("x"));
    client_await(&c, &c.closed, 1);
    assert_null(strstr(a->fields, "onnection"));
    assert_null(strstr(a->fields, "keep-alive"));
    assert_non_null(strstr(a->fields, "x-capital: Yes\n"));
    close_stage();
}

static void a_large_response_comes_whole_through_a_narrow_socket(void **state) {
    (void)state;
    fill_big();
    open_stage();
    dx_loopback_window(s.client, 3000);
    answer *a = client_get(&c, "/");
    client_await(&c, &s.begun, 1);
    respond_with(&s.actors[0], 200, dx_slice_of(big, sizeof big));
    client_await(&c, &c.closed, 1);
    assert_int_equal(a->body.size, sizeof big);
    assert_memory_equal(a->body.data, big, sizeof big);
    close_stage();
}

static void a_large_head_goes_out(void **state) {
    (void)state;
    fill_big();
    open_stage();
    answer *a = client_get(&c, "/");
    client_settle(&c);
    dx_field item = {DX_SLICE("x-large"), dx_slice_of(big, 40000), DX_FIELD_OTHER};
    dx_fields fields = {&item, 1, 1};
    dx_response_head head = {.status = 200, .fields = &fields};
    dx_stream_respond(s.actors[0].stream, &head, DX_SLICE("x"));
    client_await(&c, &c.closed, 1);
    assert_int_equal(a->status, 200);
    assert_int_equal(a->body.size, 1);
    close_stage();
}

static void a_file_is_sent(void **state) {
    (void)state;
    fill_big();
    open_stage();
    FILE *file = tmpfile();
    assert_int_equal(fwrite(big, 1, sizeof big, file), sizeof big);
    assert_int_equal(fflush(file), 0);
    int fd = dup(fileno(file));
    answer *a = client_get(&c, "/");
    client_settle(&c);
    dx_response_head head = {.status = 200};
    dx_stream_respond_file(s.actors[0].stream, &head, fd, 10, 1 << 20);
    client_await(&c, &c.closed, 1);
    assert_int_equal(a->body.size, 1 << 20);
    assert_memory_equal(a->body.data, big + 10, 1 << 20);
    answer *cut = client_get(&c, "/");
    client_settle(&c);
    dx_stream_respond_file(s.actors[1].stream, &head, dup(fileno(file)), sizeof big - 10, 1000); // has 10 alone
    client_await(&c, &c.closed, 2);
    assert_int_not_equal(cut->error, 0);
    (void)fclose(file);
    close_stage();
}

// --- bodies in pieces ------------------------------------------------------------------------------------------------------

static void a_response_in_pieces_has_trailers(void **state) {
    (void)state;
    open_stage();
    answer *a = client_get(&c, "/");
    client_settle(&c);
    dx_response_head head = {.status = 200};
    dx_stream_begin(s.actors[0].stream, &head);
    client_settle(&c);
    assert_int_equal(a->status, 200); // the head does not wait for the first piece
    assert_true(dx_stream_write(s.actors[0].stream, DX_SLICE("one ")));
    client_settle(&c);
    assert_int_equal(a->body.size, 4);
    assert_true(dx_stream_write(s.actors[0].stream, DX_SLICE("two")));
    static dx_field items[] = {{DX_SLICE_INIT("Content-Length"), DX_SLICE_INIT("9"), DX_FIELD_CONTENT_LENGTH},
                               {DX_SLICE_INIT("X-Sum"), DX_SLICE_INIT("7"), DX_FIELD_OTHER}};
    static const dx_fields trailers = {items, 2, 2};
    dx_stream_trailers(s.actors[0].stream, &trailers);
    dx_stream_finish(s.actors[0].stream);
    client_await(&c, &c.closed, 1);
    assert_int_equal(a->body.size, 7);
    assert_string_equal(a->trailers, "x-sum: 7\n");
    close_stage();
}

// They take more than one frame, and nghttp2 tells of a head when its last one is out.
static void large_trailers_go_out(void **state) {
    (void)state;
    fill_big();
    open_stage();
    dx_field item = {DX_SLICE_INIT("x-large"), dx_slice_of(big, 20000), DX_FIELD_OTHER};
    const dx_fields trailers = {&item, 1, 1};
    for (size_t i = 0; i < 2; i++) {
        answer *a = client_get(&c, "/");
        client_settle(&c);
        dx_stream_begin(s.actors[i].stream, &(dx_response_head){.status = 200});
        dx_stream_trailers(s.actors[i].stream, &trailers);
        dx_stream_finish(s.actors[i].stream);
        client_await(&c, &c.closed, i + 1);
        assert_int_equal(a->status, 200);
        assert_non_null(strstr(a->trailers, "x-large: "));
        client_settle(&c);
        assert_int_equal(s.actors[i].closes, 1);
        assert_null(dx_http2_of(s.listener->idle.first)->head_out);
    }
    close_stage();
}

static void write_more(actor *a) {
    while (a->done < sizeof big) {
        if (!dx_stream_write(a->stream, dx_slice_of(big + a->done, 32768))) return;
        a->done += 32768;
    }
    dx_stream_finish(a->stream);
}

static void a_writer_waits_for_the_peers_window(void **state) {
    (void)state;
    fill_big();
    open_stage();
    c.keep = true;
    answer *a = client_get(&c, "/");
    client_settle(&c);
    s.on_writable = write_more;
    dx_response_head head = {.status = 200};
    dx_stream_begin(s.actors[0].stream, &head);
    write_more(&s.actors[0]);
    client_settle(&c);
    assert_int_equal(a->body.size, 65535);
    assert_true(s.actors[0].done <= 65535 + 32768 + (64 << 10) + 32768);
    answer *other = client_get(&c, "/other"); // the connection's window is shut, too: heads pass all the same
    client_settle(&c);
    respond_with(&s.actors[1], 204, dx_slice_of(NULL, 0));
    client_settle(&c);
    assert_int_equal(other->status, 204);
    c.keep = false;
    assert_int_equal(nghttp2_session_consume(c.session, a->id, 65535), 0);
    client_await(&c, &c.closed, 2);
    assert_int_equal(a->body.size, sizeof big);
    assert_memory_equal(a->body.data, big, sizeof big);
    assert_true(s.actors[0].writables > 0);
    close_stage();
}

static void a_body_waits_for_its_owner_and_holds_nobody_else(void **state) {
    (void)state;
    fill_big();
    open_stage();
    s.consume = false;
    answer *stuck = client_post(&c, "/stuck");
    client_upload(&c, stuck, dx_slice_of(big, sizeof big), true);
    client_settle(&c);
    assert_int_equal(s.actors[0].body.size, DX_BODY_WINDOW);
    s.consume = true;
    answer *other = client_post(&c, "/other");
    client_upload(&c, other, dx_slice_of(big, sizeof big), true);
    s.on_end = respond_at_once;
    client_await(&c, &c.closed, 1);
    assert_int_equal(other->status, 200);
    assert_int_equal(s.actors[1].body.size, sizeof big);
    assert_int_equal(s.actors[0].body.size, DX_BODY_WINDOW);
    dx_stream_consume(s.actors[0].stream, DX_BODY_WINDOW);
    client_await(&c, &c.closed, 2);
    assert_int_equal(s.actors[0].body.size, sizeof big);
    assert_memory_equal(s.actors[0].body.data, big, sizeof big);
    close_stage();
}

static void trailers_of_a_request_come_before_its_end(void **state) {
    (void)state;
    open_stage();
    answer *a = client_post(&c, "/");
    client_upload(&c, a, DX_SLICE("body"), false);
    client_settle(&c);
    nghttp2_nv nv = {(uint8_t *)"x-sum", (uint8_t *)"7", 5, 1, 0};
    const dx_arena *arena = dx_stream_arena(s.actors[0].stream);
    const char *at = arena->at, *end = arena->end;
    assert_int_equal(nghttp2_submit_headers(c.session, NGHTTP2_FLAG_END_STREAM, a->id, NULL, &nv, 1, NULL), 0);
    client_settle(&c);
    assert_ptr_equal(arena->at, at); // the owner may wait for another thread that has it
    assert_ptr_equal(arena->end, end);
    respond_at_once(&s.actors[0]);
    client_await(&c, &c.closed, 1);
    assert_int_equal(s.actors[0].trailers.size, strlen("x-sum: 7\n"));
    assert_int_equal(a->status, 200);
    close_stage();
}

static void trailers_that_must_not_be_any_are_dropped(void **state) {
    (void)state;
    open_stage();
    s.on_end = respond_at_once;
    answer *a = client_post(&c, "/");
    client_settle(&c);
    client_headers(&c, a->id, "authorization: Bearer x\nx-sum: 7\nhost: b\n", NGHTTP2_FLAG_END_HEADERS | NGHTTP2_FLAG_END_STREAM);
    client_settle(&c);
    assert_int_equal(a->status, 200);
    dx_buffer_byte(&s.actors[0].trailers, 0);
    assert_string_equal(s.actors[0].trailers.data, "x-sum: 7\n");
    c.raw = true;
    close_stage();
}

static void continue_is_said_when_the_body_is_wanted(void **state) {
    (void)state;
    open_stage();
    s.on_end = respond_at_once;
    answer *a = client_ask(&c, ":method: POST\n:path: /\n:scheme: http\n:authority: a\nexpect: 100-continue\n", false);
    client_settle(&c);
    assert_int_equal(a->continues, 0);
    dx_stream_continue(s.actors[0].stream);
    client_settle(&c);
    assert_int_equal(a->continues, 1);
    client_upload(&c, a, DX_SLICE("body"), true);
    client_await(&c, &c.closed, 1);
    assert_int_equal(a->status, 200);
    close_stage();
}

static void an_answer_right_behind_continue_has_its_fields(void **state) {
    (void)state;
    open_stage();
    answer *a = client_ask(&c, ":method: POST\n:path: /\n:scheme: http\n:authority: a\nexpect: 100-continue\n", false);
    client_settle(&c);
    dx_stream_continue(s.actors[0].stream);
    respond_at_once(&s.actors[0]);
    client_settle(&c);
    assert_int_equal(a->continues, 1);
    assert_int_equal(a->status, 200);
    assert_non_null(strstr(a->fields, "content-length: 5\n"));
    close_stage();
}

static void an_early_answer_asks_the_sender_to_stop(void **state) {
    (void)state;
    open_stage();
    s.on_begin = respond_at_once;
    answer *a = client_post(&c, "/");
    client_settle(&c);
    assert_int_equal(a->status, 200);
    assert_int_equal(s.actors[0].closes, 1); // whether the rest of the request comes or not
    client_upload(&c, a, dx_slice_of(big, sizeof big), true);
    client_await(&c, &c.closed, 1);
    assert_int_equal(c.last_reset, NGHTTP2_NO_ERROR);
    assert_true(a->upload.size > 0);
    assert_int_equal(s.actors[0].body.size, 0);
    close_stage();
}

static void a_little_more_behind_an_early_answer_is_let_pass(void **state) {
    (void)state;
    open_stage();
    s.on_begin = respond_at_once;
    answer *a = client_post(&c, "/");
    client_settle(&c);
    client_upload(&c, a, dx_slice_of(big, 1 << 20), true);
    client_await(&c, &c.closed, 1);
    assert_int_equal(c.resets, 0);
    assert_int_equal(a->status, 200);
    close_stage();
}

// An owner that answers with bytes in its hands will not say that it is done with them.
static void an_answer_gives_back_what_its_owner_held(void **state) {
    (void)state;
    open_stage();
    s.consume = false;
    for (size_t how = 0; how < 2; how++) {
        answer *a = client_post(&c, "/");
        client_upload(&c, a, dx_slice_of(big, DX_BODY_WINDOW + 1000), true);
        client_settle(&c);
        actor *held = &s.actors[how];
        assert_int_equal(held->body.size, DX_BODY_WINDOW);
        if (how) {
            dx_response_head head = {.status = 200};
            dx_stream_begin(held->stream, &head);
            dx_stream_finish(held->stream);
        } else {
            actor_respond(held, "early");
        }
        client_await(&c, &c.closed, how + 1);
        assert_int_equal(a->status, 200);
        assert_int_equal(a->upload.size, 0);
        assert_int_equal(c.resets, 0);
    }
    close_stage();
}

static void a_tunnel_hears_its_peer_until_both_have_ended(void **state) {
    (void)state;
    dx_http_limits limits = DX_HTTP_LIMITS_INIT;
    limits.body_stall = 50 * DX_MILLISECOND;
    open_with(&limits);
    answer *a = client_ask(&c, ":method: CONNECT\n:protocol: websocket\n:path: /chat\n:scheme: http\n:authority: a\n", false);
    client_settle(&c);
    dx_response_head head = {.status = 101};
    dx_stream_tunnel(s.actors[0].stream, &head);
    for (int i = 0; i < 40; i++) client_settle(&c); // open and silent
    assert_int_equal(s.actors[0].aborts, 0);
    dx_stream_finish(s.actors[0].stream);
    client_upload(&c, a, DX_SLICE("late"), false);
    client_settle(&c);
    assert_int_equal(s.actors[0].body.size, 4);
    client_await(&c, &s.closed, 1); // but not for ever
    assert_true(s.actors[0].sent);
    close_stage();
}

static void a_tunnel_carries_bytes_both_ways(void **state) {
    (void)state;
    open_stage();
    answer *a = client_ask(&c, ":method: CONNECT\n:protocol: websocket\n:path: /chat\n:scheme: http\n:authority: a\n", false);
    client_settle(&c);
    assert_int_equal(s.actors[0].head.method, DX_GET);
    assert_string_equal(s.actors[0].protocol, "websocket");
    dx_response_head head = {.status = 101};
    dx_stream_tunnel(s.actors[0].stream, &head);
    assert_true(dx_stream_write(s.actors[0].stream, DX_SLICE("hi")));
    client_upload(&c, a, DX_SLICE("ho"), false);
    client_settle(&c);
    assert_int_equal(a->status, 200);
    assert_int_equal(a->body.size, 2);
    assert_int_equal(s.actors[0].body.size, 2);
    client_upload(&c, a, dx_slice_of(NULL, 0), true);
    client_settle(&c);
    assert_int_equal(s.actors[0].ends, 1);
    dx_stream_finish(s.actors[0].stream);
    client_await(&c, &c.closed, 1);
    assert_int_equal(a->error, 0);
    close_stage();
}

// --- requests that are refused ---------------------------------------------------------------------------------------------

typedef struct refusal {
    const char *fields;
    bool end;
    int status;
} refusal;

static void improper_requests_are_answered_on_their_streams(void **state) {
    (void)state;
    static const refusal refusals[] = {
        {":method: BREW\n:path: /\n:scheme: http\n:authority: a\n", true, 501},
        {":method: CONNECT\n:authority: a:443\n", false, 501},
        {":method: GET\n:path: /#x\n:scheme: http\n:authority: a\n", true, 400},
        {":method: GET\n:path: /\n:scheme: http\n:authority: a\nhost: b\n", true, 400},
        {":method: GET\n:path: /\n:scheme: http\n:authority: me@a\n", true, 400},
        {":method: POST\n:path: /\n:scheme: http\n:authority: a\nexpect: tea\n", false, 417},
        {":method: POST\n:path: /\n:scheme: http\n:authority: a\ncontent-length: 1073741825\n", false, 413},
    };
    for (size_t i = 0; i < DX_COUNT_OF(refusals); i++) {
        open_stage();
        answer *a = client_ask(&c, refusals[i].fields, refusals[i].end);
        client_settle(&c);
        if (a->status != refusals[i].status) fail_msg("%s: %d", refusals[i].fields, a->status);
        assert_int_equal(s.begun, 0);
        assert_int_equal(s.rejected, 1);
        s.on_end = respond_at_once;
        answer *next = client_get(&c, "/");
        client_settle(&c);
        assert_int_equal(next->status, 200);
        close_stage();
    }
}

static void malformed_requests_are_reset(void **state) {
    (void)state;
    static const char *const malformed[] = {
        ":method: GET\n:path: /\n:scheme: http\n:authority: a\nX-Upper: 1\n",
        ":method: GET\n:path: /\n:scheme: http\n:authority: a\nconnection: close\n",
        ":method: GET\n:path: /\n:scheme: http\n:authority: a\ntransfer-encoding: chunked\n",
        ":method: GET\n:path: /\n:scheme: http\n:authority: a\nte: gzip\n",
        ":method: GET\n:path: /\n:path: /2\n:scheme: http\n:authority: a\n",
        ":method: GET\n:path: /\n:scheme: http\n:authority: a\n:status: 200\n",
        ":method: GET\n:path: /\n:scheme: http\nx: 1\n:authority: a\n",
        ":method: GET\n:scheme: http\n:authority: a\n",
        ":method: GET\n:path: *\n:scheme: http\n:authority: a\n",
        ":method: GET\n:path: /\n:scheme: http\n:authority: a\nb\xc3\xa4\x64: 1\n",
        ":method: GET\n:path: /\n:scheme: http\n:authority: a\nx: a\rb\n",
        ":method: GET\n:path: /\n:scheme: http\n:authority: a\ncontent-length: 5\n",
        ":method: GET\n:path: /\n:scheme: http\n:authority: a\ncontent-length: x\n",
    };
    for (size_t i = 0; i < DX_COUNT_OF(malformed); i++) {
        open_stage();
        c.raw = true;
        client_headers(&c, 1, malformed[i], NGHTTP2_FLAG_END_HEADERS | NGHTTP2_FLAG_END_STREAM);
        client_await(&c, &c.resets, 1);
        if (c.last_reset != NGHTTP2_PROTOCOL_ERROR) fail_msg("%s: %u", malformed[i], c.last_reset);
        assert_int_equal(s.begun, 0);
        assert_int_equal(c.frames[NGHTTP2_GOAWAY], 0);
        close_stage();
    }
}

// --- ends ------------------------------------------------------------------------------------------------------------------

static void a_reset_aborts_at_once(void **state) {
    (void)state;
    open_stage();
    answer *a = client_get(&c, "/");
    client_settle(&c);
    assert_int_equal(nghttp2_submit_rst_stream(c.session, 0, a->id, NGHTTP2_CANCEL), 0);
    client_settle(&c);
    assert_int_equal(s.actors[0].aborts, 1);
    assert_int_equal(s.actors[0].why, DX_CANCELLED);
    assert_int_equal(s.actors[0].closes, 1); // the stage's owner drops it then
    assert_false(s.actors[0].sent);
    close_stage();
}

static void a_reset_ends_a_response_under_way(void **state) {
    (void)state;
    open_stage();
    c.keep = true;
    answer *a = client_get(&c, "/");
    client_settle(&c);
    respond_with(&s.actors[0], 200, dx_slice_of(big, sizeof big));
    client_settle(&c);
    assert_int_equal(s.actors[0].closes, 0);
    assert_int_equal(nghttp2_submit_rst_stream(c.session, 0, a->id, NGHTTP2_CANCEL), 0);
    client_settle(&c);
    assert_int_equal(s.actors[0].closes, 1);
    assert_false(s.actors[0].sent);
    assert_int_equal(s.actors[0].aborts, 0);
    close_stage();
}

static void a_dropped_stream_is_reset(void **state) {
    (void)state;
    open_stage();
    answer *a = client_get(&c, "/");
    client_settle(&c);
    dx_stream_drop(s.actors[0].stream);
    client_await(&c, &c.closed, 1);
    assert_int_equal(a->error, NGHTTP2_INTERNAL_ERROR);
    assert_int_equal(s.actors[0].closes, 1);
    s.on_end = respond_at_once;
    assert_int_equal(client_get(&c, "/")->status, 0);
    client_await(&c, &c.closed, 2);
    close_stage();
}

static void streams_outlive_their_connection(void **state) {
    (void)state;
    open_stage();
    client_get(&c, "/");
    client_post(&c, "/");
    client_settle(&c);
    stage_connect(&s); // the first client is destroyed
    stage_settle(&s);
    assert_int_equal(s.actors[0].aborts + s.actors[1].aborts, 2);
    assert_int_equal(s.closed, 2);
    close_stage();
}

static void note_drained(void *flag) {
    *(bool *)flag = true;
}

static void a_drain_lets_streams_finish(void **state) {
    (void)state;
    open_stage();
    answer *a = client_get(&c, "/");
    client_settle(&c);
    dx_listener_drain(s.listener, DX_DRAIN_POLITE, 20 * DX_SECOND, note_drained, &s.drained);
    client_settle(&c);
    assert_int_equal(c.frames[NGHTTP2_GOAWAY], 2); // the notice, and behind the round trip the end
    assert_int_equal(c.goaway_last, a->id);
    assert_int_equal(dx_listener_connections(s.listener), 1);
    actor_respond(&s.actors[0], "late");
    client_await_goaway(&c, NGHTTP2_NO_ERROR);
    assert_int_equal(a->status, 200);
    assert_int_equal(a->body.size, 4);
    client_stop(&c);
    stage_close(&s);
}

static void a_drain_does_not_wait_for_a_client_that_ignores_pings(void **state) {
    (void)state;
    open_stage();
    client_get(&c, "/");
    client_settle(&c);
    c.raw = true;
    dx_listener_drain(s.listener, DX_DRAIN_POLITE, 20 * DX_SECOND, note_drained, &s.drained);
    client_await(&c, &c.frames[NGHTTP2_GOAWAY], 2);
    client_headers(&c, 3, ":method: GET\n:path: /\n:scheme: http\n:authority: a\n", NGHTTP2_FLAG_END_HEADERS | NGHTTP2_FLAG_END_STREAM);
    client_settle(&c);
    assert_int_equal(s.begun, 1); // what comes behind the last word is not begun
    actor_respond(&s.actors[0], "late");
    client_await_goaway(&c, NGHTTP2_NO_ERROR);
    client_stop(&c);
    stage_close(&s);
}

static void an_idle_connection_is_said_goodbye(void **state) {
    (void)state;
    dx_http_limits limits = DX_HTTP_LIMITS_INIT;
    limits.idle_time = 50 * DX_MILLISECOND;
    open_with(&limits);
    s.on_end = respond_at_once;
    client_get(&c, "/");
    client_await_goaway(&c, NGHTTP2_NO_ERROR);
    assert_int_equal(c.goaway_last, 1);
    close_stage();
}

static void waiting_for_the_owner_is_not_idle(void **state) {
    (void)state;
    dx_http_limits limits = DX_HTTP_LIMITS_INIT;
    limits.idle_time = limits.head_time = limits.body_stall = limits.write_stall = 1; // ns
    open_with(&limits);
    client_get(&c, "/");
    for (int i = 0; i < 60; i++) client_settle(&c); // in which the timeouts strike, if they do
    assert_int_equal(c.frames[NGHTTP2_GOAWAY], 0);
    actor_respond(&s.actors[0], "x");
    client_await(&c, &c.closed, 1);
    assert_int_equal(c.answers[0].status, 200);
    close_stage();
}

static void the_last_request_a_connection_may_have_is_answered(void **state) {
    (void)state;
    dx_http_limits limits = DX_HTTP_LIMITS_INIT;
    limits.requests_a_connection = 3;
    open_with(&limits);
    s.on_end = respond_at_once;
    for (int i = 0; i < 3; i++) {
        client_get(&c, "/");
        client_settle(&c);
        assert_int_equal(c.frames[NGHTTP2_GOAWAY] > 0, i == 2);
    }
    client_await_goaway(&c, NGHTTP2_NO_ERROR);
    for (int i = 0; i < 3; i++) assert_int_equal(c.answers[i].status, 200);
    close_stage();
}

static void an_answer_may_ask_for_the_end_but_not_for_a_bodys_sake(void **state) {
    (void)state;
    open_stage();
    static const dx_response_head head = {.status = 413, .close = true};
    client_post(&c, "/");
    client_settle(&c);
    dx_stream_respond(s.actors[0].stream, &head, DX_SLICE("too large"));
    client_settle(&c);
    assert_int_equal(c.frames[NGHTTP2_GOAWAY], 0);
    client_get(&c, "/");
    client_settle(&c);
    dx_stream_respond(s.actors[1].stream, &head, DX_SLICE("go"));
    client_await_goaway(&c, NGHTTP2_NO_ERROR);
    assert_int_equal(c.answers[1].status, 413);
    close_stage();
}

static void a_client_that_ends_its_side_gets_what_it_asked_for(void **state) {
    (void)state;
    open_stage();
    answer *a = client_get(&c, "/");
    client_post(&c, "/");
    client_settle(&c);
    dx_loopback_end(s.client);
    client_settle(&c);
    assert_int_equal(s.actors[1].aborts, 1);
    actor_respond(&s.actors[0], "x");
    client_settle(&c);
    assert_int_equal(a->status, 200);
    assert_true(dx_loopback_closed(s.client));
    close_stage();
}

static void a_client_that_ends_its_side_behind_our_last_word_is_told_of(void **state) {
    (void)state;
    dx_http_limits limits = DX_HTTP_LIMITS_INIT;
    limits.requests_a_connection = 2;
    open_with(&limits);
    client_post(&c, "/");
    client_get(&c, "/");
    client_settle(&c);
    assert_int_equal(c.frames[NGHTTP2_GOAWAY], 2);
    dx_loopback_end(s.client);
    client_settle(&c);
    assert_int_equal(s.actors[0].aborts, 1);
    actor_respond(&s.actors[1], "x");
    client_settle(&c);
    assert_int_equal(c.answers[1].status, 200);
    assert_true(dx_loopback_closed(s.client));
    close_stage();
}

// --- memory ----------------------------------------------------------------------------------------------------------------

static void run_exchange(uint64_t fail_at) {
    open_stage();
    s.on_end = respond_at_once;
    if (fail_at) dx_memory_fail_at(fail_at, false);
    answer *a = client_post(&c, "/");
    client_upload(&c, a, dx_slice_of(big, 300000), true);
    client_get(&c, "/");
    client_settle(&c);
}

static void every_allocation_may_fail(void **state) {
    (void)state;
    for (uint64_t n = 1;; n++) {
        run_exchange(n);
        bool failed = dx_memory_fail_stop();
        client_settle(&c);
        if (!failed) assert_int_equal(c.answers[1].status, 200);
        close_stage(); // checks that every stream ends and nothing is left open
        if (!failed) break;
        assert_true(n < 2000);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_is_answered),
        cmocka_unit_test(authority_reads_as_host_and_cookies_are_joined),
        cmocka_unit_test(a_hundred_streams_are_answered_in_one_send),
        cmocka_unit_test(responses_without_content_have_none),
        cmocka_unit_test(fields_of_a_connection_and_capitals_do_not_go_out),
        cmocka_unit_test(a_large_response_comes_whole_through_a_narrow_socket),
        cmocka_unit_test(a_large_head_goes_out),
        cmocka_unit_test(a_file_is_sent),
        cmocka_unit_test(a_response_in_pieces_has_trailers),
        cmocka_unit_test(large_trailers_go_out),
        cmocka_unit_test(a_writer_waits_for_the_peers_window),
        cmocka_unit_test(a_body_waits_for_its_owner_and_holds_nobody_else),
        cmocka_unit_test(trailers_of_a_request_come_before_its_end),
        cmocka_unit_test(trailers_that_must_not_be_any_are_dropped),
        cmocka_unit_test(continue_is_said_when_the_body_is_wanted),
        cmocka_unit_test(an_answer_right_behind_continue_has_its_fields),
        cmocka_unit_test(a_little_more_behind_an_early_answer_is_let_pass),
        cmocka_unit_test(an_early_answer_asks_the_sender_to_stop),
        cmocka_unit_test(an_answer_gives_back_what_its_owner_held),
        cmocka_unit_test(a_tunnel_hears_its_peer_until_both_have_ended),
        cmocka_unit_test(a_tunnel_carries_bytes_both_ways),
        cmocka_unit_test(improper_requests_are_answered_on_their_streams),
        cmocka_unit_test(malformed_requests_are_reset),
        cmocka_unit_test(a_reset_aborts_at_once),
        cmocka_unit_test(a_reset_ends_a_response_under_way),
        cmocka_unit_test(a_dropped_stream_is_reset),
        cmocka_unit_test(streams_outlive_their_connection),
        cmocka_unit_test(a_drain_lets_streams_finish),
        cmocka_unit_test(a_drain_does_not_wait_for_a_client_that_ignores_pings),
        cmocka_unit_test(an_idle_connection_is_said_goodbye),
        cmocka_unit_test(waiting_for_the_owner_is_not_idle),
        cmocka_unit_test(the_last_request_a_connection_may_have_is_answered),
        cmocka_unit_test(an_answer_may_ask_for_the_end_but_not_for_a_bodys_sake),
        cmocka_unit_test(a_client_that_ends_its_side_gets_what_it_asked_for),
        cmocka_unit_test(a_client_that_ends_its_side_behind_our_last_word_is_told_of),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
