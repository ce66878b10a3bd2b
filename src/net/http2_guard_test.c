// What an HTTP/2 peer may cost: each cap at its number and one over, with the error it brings. The stage checks at each end that every
// stream was closed and nothing is left open; a second client is served after each attack.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "net/listener.h"
#include "net/test_http2_client.h"

#define SHORT (50 * DX_MILLISECOND)
#define LONG  (20 * DX_SECOND)
#define GET   ":method: GET\n:path: /\n:scheme: http\n:authority: a\n"
#define POST  ":method: POST\n:path: /\n:scheme: http\n:authority: a\n"
#define WHOLE (NGHTTP2_FLAG_END_HEADERS | NGHTTP2_FLAG_END_STREAM)

static stage s;
static client c;
static char big[1 << 20];

static dx_http_limits with(void) {
    dx_http_limits limits = DX_HTTP_LIMITS_INIT;
    limits.head_time = limits.idle_time = limits.body_stall = limits.write_stall = LONG;
    limits.controls = 20;
    limits.resets = 10;
    return limits;
}

static void open_with(const dx_http_limits *limits) {
    stage_open(&s, limits);
    s.consume = true;
    client_start(&c, &s);
    client_settle(&c);
}

// Others are served as before.
static void close_stage(void) {
    client_stop(&c);
    stage_connect(&s);
    client_start(&c, &s);
    s.on_end = NULL;
    size_t before = s.begun;
    client_get(&c, "/");
    client_await(&c, &s.begun, before + 1);
    actor_respond(&s.actors[before], "x");
    client_await(&c, &c.closed, 1);
    assert_int_equal(c.answers[0].status, 200);
    client_stop(&c);
    stage_close(&s);
}

static void answer_at_once(actor *a) {
    actor_respond(a, "x");
}

// --- frames that only cost -------------------------------------------------------------------------------------------------

typedef struct frame {
    uint8_t type, flags;
    int32_t id;
    const char *payload;
    size_t size;
} frame;

static void frames_that_bring_nothing_have_an_allowance(void **state) {
    (void)state;
    static const frame frames[] = {
        {NGHTTP2_PING, 0, 0, "12345678", 8},
        {NGHTTP2_PING, NGHTTP2_FLAG_ACK, 0, "12345678", 8},
        {NGHTTP2_SETTINGS, 0, 0, "", 0},
        {NGHTTP2_WINDOW_UPDATE, 0, 0, "\0\0\0\1", 4},
        {NGHTTP2_PRIORITY, 0, 7, "\0\0\0\0\1", 5},
        {NGHTTP2_DATA, 0, 1, "", 0},
        {NGHTTP2_DATA, NGHTTP2_FLAG_PADDED, 1, "\2\0\0", 3},
        {0xbb, 0, 0, "x", 1},
        {NGHTTP2_ALTSVC, 0, 0, "\0\0", 2},
    };
    dx_http_limits limits = with();
    for (size_t i = 0; i < DX_COUNT_OF(frames); i++) {
        open_with(&limits); // whose SETTINGS and acknowledgement cost 2 already; the request gives as much back
        c.raw = true;
        client_headers(&c, 1, POST, NGHTTP2_FLAG_END_HEADERS);
        for (uint32_t n = 0; n < limits.controls; n++) {
            client_frame(&c, frames[i].type, frames[i].flags, frames[i].id, frames[i].payload, frames[i].size);
        }
        client_settle(&c);
        assert_int_equal(c.frames[NGHTTP2_GOAWAY], 0);
        client_frame(&c, frames[i].type, frames[i].flags, frames[i].id, frames[i].payload, frames[i].size);
        client_await_goaway(&c, NGHTTP2_ENHANCE_YOUR_CALM);
        client_settle(&c);
        assert_int_equal(s.actors[0].aborts, 1);
        close_stage();
    }
}

static void heads_on_streams_passed_by_have_an_allowance(void **state) {
    (void)state;
    dx_http_limits limits = with();
    open_with(&limits);
    c.raw = true;
    client_headers(&c, 5, POST, NGHTTP2_FLAG_END_HEADERS);
    for (uint32_t n = 0; n < limits.controls + 5; n++) client_headers(&c, 3, POST, NGHTTP2_FLAG_END_HEADERS);
    client_await_goaway(&c, NGHTTP2_ENHANCE_YOUR_CALM);
    assert_int_equal(s.begun, 1);
    close_stage();
}

static void padded_content_is_content(void **state) {
    (void)state;
    dx_http_limits limits = with();
    open_with(&limits);
    c.raw = true;
    client_headers(&c, 1, POST, NGHTTP2_FLAG_END_HEADERS);
    for (uint32_t n = 0; n < 3 * limits.controls; n++) client_frame(&c, NGHTTP2_DATA, NGHTTP2_FLAG_PADDED, 1, "\1x\0", 3);
    client_settle(&c);
    assert_int_equal(c.frames[NGHTTP2_GOAWAY], 0);
    close_stage();
}

static void honest_traffic_refills_the_allowance(void **state) {
    (void)state;
    dx_http_limits limits = with();
    open_with(&limits);
    s.on_end = answer_at_once;
    for (uint32_t i = 0; i < 50; i++) {
        client_get(&c, "/");
        assert_int_equal(nghttp2_submit_ping(c.session, 0, NULL), 0);
        assert_int_equal(nghttp2_submit_ping(c.session, 0, NULL), 0);
        client_await(&c, &c.closed, i + 1);
    }
    assert_int_equal(c.frames[NGHTTP2_GOAWAY], 0);
    close_stage();
}

static void acknowledgements_do_not_pile_up(void **state) {
    (void)state;
    dx_http_limits limits = with();
    limits.controls = 100000;
    open_with(&limits);
    dx_loopback_window(s.client, 1); // the server can't send
    c.raw = true;
    for (int i = 0; i < 3000; i++) client_frame(&c, NGHTTP2_PING, 0, 0, "12345678", 8);
    for (int i = 0; i < 3; i++) stage_settle(&s); // nothing is taken
    dx_loopback_window(s.client, 1 << 20);
    client_await_goaway(&c, NGHTTP2_ENHANCE_YOUR_CALM);
    assert_true(c.frames[NGHTTP2_PING] <= 2 * 256 + 2);
    close_stage();
}

// --- streams for nothing ---------------------------------------------------------------------------------------------------

static void resets_by_the_peer_have_an_allowance(void **state) {
    (void)state;
    dx_http_limits limits = with();
    open_with(&limits);
    c.raw = true;
    int32_t id = 1;
    for (uint32_t n = 0; n < limits.resets; n++, id += 2) {
        client_headers(&c, id, GET, WHOLE);
        client_frame(&c, NGHTTP2_RST_STREAM, 0, id, "\0\0\0\10", 4);
    }
    client_settle(&c);
    assert_int_equal(c.frames[NGHTTP2_GOAWAY], 0);
    assert_int_equal(s.closed, limits.resets);
    client_headers(&c, id, GET, WHOLE);
    client_frame(&c, NGHTTP2_RST_STREAM, 0, id, "\0\0\0\10", 4);
    client_await_goaway(&c, NGHTTP2_ENHANCE_YOUR_CALM);
    close_stage();
}

static void resets_that_the_peer_provokes_count_too(void **state) {
    (void)state;
    dx_http_limits limits = with();
    open_with(&limits);
    c.raw = true;
    int32_t id = 1;
    for (uint32_t n = 0; n < limits.resets; n++, id += 2) {
        client_headers(&c, id, GET, WHOLE & ~NGHTTP2_FLAG_END_STREAM);
        client_frame(&c, NGHTTP2_WINDOW_UPDATE, 0, id, "\x7f\xff\xff\xff", 4); // too wide: a stream error
    }
    client_settle(&c);
    assert_int_equal(c.resets, limits.resets);
    assert_int_equal(c.frames[NGHTTP2_GOAWAY], 0);
    client_headers(&c, id, "x: 1\n", WHOLE); // malformed
    client_await_goaway(&c, NGHTTP2_ENHANCE_YOUR_CALM);
    close_stage();
}

static void answered_streams_earn_resets(void **state) {
    (void)state;
    dx_http_limits limits = with();
    open_with(&limits);
    s.on_end = answer_at_once;
    for (uint32_t i = 0; i < 25; i++) {
        client_get(&c, "/");
        client_await(&c, &c.closed, 2 * i + 1);
        answer *a = client_post(&c, "/");
        assert_int_equal(nghttp2_submit_rst_stream(c.session, 0, a->id, NGHTTP2_CANCEL), 0);
        client_await(&c, &c.closed, 2 * i + 2);
    }
    client_settle(&c);
    assert_int_equal(c.frames[NGHTTP2_GOAWAY], 0);
    close_stage();
}

static void streams_at_once_are_bounded(void **state) {
    (void)state;
    dx_http_limits limits = with();
    limits.streams = 5;
    open_with(&limits);
    c.raw = true;
    for (int32_t i = 0; i < 5; i++) client_headers(&c, 1 + 2 * i, GET, WHOLE);
    client_settle(&c);
    assert_int_equal(s.begun, 5);
    assert_int_equal(c.frames[NGHTTP2_GOAWAY] + c.resets, 0);
    client_headers(&c, 11, GET, WHOLE);
    client_await_goaway(&c, NGHTTP2_PROTOCOL_ERROR); // it has acknowledged the number
    assert_int_equal(s.begun, 5);
    close_stage();
}

// --- heads -----------------------------------------------------------------------------------------------------------------

static void add_fields(char *fields, size_t capacity, size_t count, size_t size) {
    (void)snprintf(fields, capacity, "%s", GET);
    for (size_t i = 0; i < count; i++) {
        size_t used = strlen(fields);
        (void)snprintf(fields + used, capacity - used, "x: %0*d\n", (int)size, 1);
    }
}

static int status_with(const dx_http_limits *limits, size_t count, size_t size) {
    static char fields[200000];
    open_with(limits);
    s.on_end = answer_at_once;
    add_fields(fields, sizeof fields, count, size);
    answer *a = client_ask(&c, fields, true);
    client_settle(&c);
    int status = a->status;
    assert_int_equal(c.frames[NGHTTP2_GOAWAY], 0);
    close_stage();
    return status;
}

static void heads_over_a_cap_are_refused(void **state) {
    (void)state;
    dx_http_limits limits = with();
    limits.fields = 10; // with Host, which is added behind the check
    assert_int_equal(status_with(&limits, 10, 1), 200);
    assert_int_equal(status_with(&limits, 11, 1), 431);
    limits.head_bytes = 4096;
    size_t others = (7 + 3 + 32) + (5 + 1 + 32) + (7 + 4 + 32) + (10 + 1 + 32);
    assert_int_equal(status_with(&limits, 1, 4096 - others - 33), 200);
    assert_int_equal(status_with(&limits, 1, 4096 - others - 32), 431);
}

static void a_target_over_the_cap_is_refused(void **state) {
    (void)state;
    dx_http_limits limits = with();
    limits.target_bytes = 3;
    open_with(&limits);
    s.on_end = answer_at_once;
    answer *fits = client_get(&c, "/ab"), *over = client_get(&c, "/abc");
    client_settle(&c);
    assert_int_equal(fits->status, 200);
    assert_int_equal(over->status, 414);
    close_stage();
}

// One field in the dynamic table, and then a byte for each of its repetitions.
static void a_header_bomb_ends_the_connection(void **state) {
    (void)state;
    dx_http_limits limits = with();
    limits.head_bytes = 8192;
    open_with(&limits);
    c.raw = true;
    static char block[5000];
    size_t at = 0;
    block[at++] = 0x40; // literal, indexed
    block[at++] = 1;
    block[at++] = 'x';
    block[at++] = 127; // a value of 3000
    block[at++] = (char)((3000 - 127) % 128 + 128);
    block[at++] = (char)((3000 - 127) / 128);
    memset(block + at, 'y', 3000);
    at += 3000;
    memset(block + at, (char)0xbe, 100); // entry 62
    client_frame(&c, NGHTTP2_HEADERS, WHOLE, 1, block, at + 100);
    client_await_goaway(&c, NGHTTP2_ENHANCE_YOUR_CALM);
    assert_int_equal(s.begun, 0);
    close_stage();
}

static void continuations_are_bounded(void **state) {
    (void)state;
    dx_http_limits limits = with();
    for (int count = 8; count <= 9; count++) {
        open_with(&limits);
        c.raw = true;
        client_frame(&c, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_STREAM, 1, "\x82\x84\x86\x41\x01\x61", 6);
        for (int i = 1; i <= count; i++) {
            client_frame(&c, NGHTTP2_CONTINUATION, i == count ? NGHTTP2_FLAG_END_HEADERS : 0, 1, "", 0);
        }
        client_settle(&c);
        assert_int_equal(s.begun, count == 8);
        if (count == 9) client_await_goaway(&c, NGHTTP2_ENHANCE_YOUR_CALM);
        close_stage();
    }
}

static void settings_entries_are_bounded(void **state) {
    (void)state;
    dx_http_limits limits = with();
    open_with(&limits);
    c.raw = true;
    char entries[33 * 6];
    for (size_t i = 0; i < 33; i++) memcpy(entries + i * 6, "\0\x7f\0\0\0\1", 6);
    client_frame(&c, NGHTTP2_SETTINGS, 0, 0, entries, 32 * 6);
    client_settle(&c);
    assert_int_equal(c.frames[NGHTTP2_GOAWAY], 0);
    client_frame(&c, NGHTTP2_SETTINGS, 0, 0, entries, 33 * 6);
    client_await_goaway(&c, NGHTTP2_ENHANCE_YOUR_CALM);
    close_stage();
}

// --- time ------------------------------------------------------------------------------------------------------------------

static void a_preface_has_its_time(void **state) {
    (void)state;
    dx_http_limits limits = with();
    limits.head_time = SHORT;
    stage_open(&s, &limits);
    client_start(&c, &s);
    client_stop(&c);
    stage_connect(&s);
    stage_send(&s, NGHTTP2_CLIENT_MAGIC); // and no SETTINGS
    memset(&c.frames, 0, sizeof c.frames);
    stage_await_closed(&s);
    client_start(&c, &s);
    close_stage();
}

static void a_header_block_has_its_time(void **state) {
    (void)state;
    dx_http_limits limits = with();
    limits.head_time = SHORT;
    open_with(&limits);
    c.raw = true;
    client_frame(&c, NGHTTP2_HEADERS, 0, 1, "\x82\x84", 2); // and no CONTINUATION
    client_await_goaway(&c, NGHTTP2_ENHANCE_YOUR_CALM);
    close_stage();
}

// Header blocks that are not taken end all the same: what waits for its owner meanwhile is left alone.
static void a_header_block_that_is_ignored_holds_no_deadline(void **state) {
    (void)state;
    dx_http_limits limits = with();
    limits.head_time = SHORT;
    for (int how = 0; how < 3; how++) {
        open_with(&limits);
        client_get(&c, "/");
        client_settle(&c);
        c.raw = true;
        if (how == 0) { // trailers of a stream that is over
            client_headers(&c, 3, POST, NGHTTP2_FLAG_END_HEADERS);
            client_settle(&c);
            dx_stream_drop(s.actors[1].stream);
            client_settle(&c);
            client_headers(&c, 3, "x-sum: 1\n", WHOLE);
        } else if (how == 1) {
            client_headers(&c, 3, GET "bad name: 1\n", WHOLE);
        } else { // behind our last word
            s.listener->options.limits.requests_a_connection = 1;
            client_headers(&c, 3, GET, WHOLE);
            client_await(&c, &c.frames[NGHTTP2_GOAWAY], 2);
            client_headers(&c, 5, GET, WHOLE);
        }
        size_t goaways = how == 2 ? 2 : 0;
        for (int i = 0; i < 60; i++) client_settle(&c); // in which the timeout strikes, if it does
        assert_int_equal(c.frames[NGHTTP2_GOAWAY], goaways);
        assert_int_equal(s.actors[0].aborts, 0);
        while (s.closed < s.begun) {
            for (size_t i = 0; i < s.begun; i++)
                if (s.actors[i].stream) actor_respond(&s.actors[i], "x");
            client_settle(&c);
        }
        assert_true(s.actors[0].sent);
        close_stage();
    }
}

static void a_body_that_stalls_is_answered_408(void **state) {
    (void)state;
    dx_http_limits limits = with();
    limits.body_stall = SHORT;
    open_with(&limits);
    answer *a = client_post(&c, "/");
    client_upload(&c, a, DX_SLICE("a"), false);
    client_await(&c, &s.rejected, 1);
    client_settle(&c);
    assert_int_equal(a->status, 408);
    assert_int_equal(s.actors[0].why, DX_REQUEST_TIMEOUT);
    assert_int_equal(c.frames[NGHTTP2_GOAWAY], 0);
    close_stage();
}

static void a_body_that_trickles_is_answered_408(void **state) {
    (void)state;
    dx_http_limits limits = with();
    limits.body_stall = SHORT;
    limits.body_rate = 1 << 30;
    open_with(&limits);
    answer *a = client_post(&c, "/");
    for (int i = 0; i < 2000 && !s.rejected; i++) {
        client_upload(&c, a, DX_SLICE("a"), false);
        client_settle(&c);
    }
    client_settle(&c);
    assert_int_equal(a->status, 408);
    close_stage();
}

static void a_body_that_its_owner_holds_back_does_not_stall(void **state) {
    (void)state;
    dx_http_limits limits = with();
    limits.body_stall = SHORT;
    open_with(&limits);
    s.consume = false;
    answer *a = client_post(&c, "/");
    client_upload(&c, a, dx_slice_of(big, sizeof big), true);
    for (int i = 0; i < 40; i++) client_settle(&c);
    assert_int_equal(s.rejected, 0);
    assert_int_equal(s.actors[0].body.size, DX_BODY_WINDOW);
    actor_respond(&s.actors[0], "enough");
    client_settle(&c);
    assert_int_equal(a->status, 200);
    close_stage();
}

static void a_body_over_the_cap_is_answered_413(void **state) {
    (void)state;
    dx_http_limits limits = with();
    limits.body_bytes = 1000;
    open_with(&limits);
    s.on_end = answer_at_once;
    answer *fits = client_post(&c, "/");
    client_upload(&c, fits, dx_slice_of(big, 1000), true);
    client_settle(&c);
    assert_int_equal(fits->status, 200);
    answer *over = client_post(&c, "/");
    client_upload(&c, over, dx_slice_of(big, 1001), true);
    client_settle(&c);
    assert_int_equal(over->status, 413);
    assert_int_equal(s.actors[1].why, DX_TOO_LARGE);
    close_stage();
}

static void respond_large(actor *a) {
    static const dx_response_head head = {.status = 200};
    dx_stream_respond(a->stream, &head, dx_slice_of(big, sizeof big));
}

static void streams_whose_windows_stay_shut_are_lost(void **state) {
    (void)state;
    dx_http_limits limits = with();
    limits.write_stall = SHORT;
    open_with(&limits);
    s.on_end = respond_large;
    c.keep = true;
    for (int i = 0; i < 20; i++) client_get(&c, "/");
    client_await(&c, &s.closed, 20);
    for (size_t i = 0; i < 20; i++) assert_false(s.actors[i].sent);
    assert_int_equal(c.last_reset, NGHTTP2_CANCEL);
    assert_int_equal(c.frames[NGHTTP2_GOAWAY], 0);
    close_stage();
}

static void open_window_by(int32_t bytes) {
    dx_http_limits limits = with();
    limits.write_stall = 300 * DX_MILLISECOND;
    limits.body_rate = 1 << 30;
    limits.controls = 100000;
    open_with(&limits);
    s.on_end = respond_large;
    c.keep = true;
    answer *a = client_get(&c, "/");
    for (int i = 0; i < 2000 && !s.closed; i++) {
        assert_int_equal(nghttp2_submit_window_update(c.session, 0, a->id, bytes), 0);
        assert_int_equal(nghttp2_submit_window_update(c.session, 0, 0, bytes), 0);
        client_settle(&c);
    }
    assert_int_equal(s.closed, 1);
    assert_false(s.actors[0].sent);
    close_stage();
}

static void a_window_opened_by_little_at_a_time_is_too_slow(void **state) {
    (void)state;
    open_window_by(1);
    open_window_by(5000);
}

static void a_client_that_takes_nothing_is_cut(void **state) {
    (void)state;
    dx_http_limits limits = with();
    limits.write_stall = SHORT;
    open_with(&limits);
    dx_loopback_window(s.client, 1000);
    s.on_end = respond_large;
    c.raw = true;
    client_headers(&c, 1, GET, WHOLE);
    stage_await(&s, &s.closed, 1); // nothing is taken meanwhile
    assert_false(s.actors[0].sent);
    close_stage();
}

// While output waits, input is read: a reset is seen at once.
static void a_reset_is_seen_while_output_waits(void **state) {
    (void)state;
    dx_http_limits limits = with();
    open_with(&limits);
    dx_loopback_window(s.client, 1000);
    s.on_end = respond_large;
    client_headers(&c, 1, GET, WHOLE);
    stage_await(&s, &s.begun, 1);
    stage_settle(&s);
    client_frame(&c, NGHTTP2_RST_STREAM, 0, 1, "\0\0\0\10", 4);
    stage_await(&s, &s.closed, 1);
    c.raw = true;
    close_stage();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_that_bring_nothing_have_an_allowance),
        cmocka_unit_test(heads_on_streams_passed_by_have_an_allowance),
        cmocka_unit_test(padded_content_is_content),
        cmocka_unit_test(honest_traffic_refills_the_allowance),
        cmocka_unit_test(acknowledgements_do_not_pile_up),
        cmocka_unit_test(resets_by_the_peer_have_an_allowance),
        cmocka_unit_test(resets_that_the_peer_provokes_count_too),
        cmocka_unit_test(answered_streams_earn_resets),
        cmocka_unit_test(streams_at_once_are_bounded),
        cmocka_unit_test(heads_over_a_cap_are_refused),
        cmocka_unit_test(a_target_over_the_cap_is_refused),
        cmocka_unit_test(a_header_bomb_ends_the_connection),
        cmocka_unit_test(continuations_are_bounded),
        cmocka_unit_test(settings_entries_are_bounded),
        cmocka_unit_test(a_preface_has_its_time),
        cmocka_unit_test(a_header_block_has_its_time),
        cmocka_unit_test(a_header_block_that_is_ignored_holds_no_deadline),
        cmocka_unit_test(a_body_that_stalls_is_answered_408),
        cmocka_unit_test(a_body_that_trickles_is_answered_408),
        cmocka_unit_test(a_body_that_its_owner_holds_back_does_not_stall),
        cmocka_unit_test(a_body_over_the_cap_is_answered_413),
        cmocka_unit_test(streams_whose_windows_stay_shut_are_lost),
        cmocka_unit_test(a_window_opened_by_little_at_a_time_is_too_slow),
        cmocka_unit_test(a_client_that_takes_nothing_is_cut),
        cmocka_unit_test(a_reset_is_seen_while_output_waits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
