// A WebSocket that runs: messages both ways, control frames, closing, time, and a peer that does not read.
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/memory.h"
#include "exchange/websocket_parts.h"
#include "exchange/wire_fixture.h"

static wire_fixture w;
static dx_websocket *ws;
static dx_buffer log_; // what the handler was told
static bool echoes, pauses, holds;

static void on_opened(void *ctx, dx_websocket *socket) {
    (void)ctx;
    ws = socket;
    DX_BUFFER_LIT(&log_, "opened ");
}

static void on_message(void *ctx, dx_websocket *socket, dx_slice message, bool text) {
    (void)ctx;
    dx_buffer_byte(&log_, text ? '"' : '\'');
    if (message.size < 100)
        dx_buffer_add(&log_, message);
    else
        dx_buffer_printf(&log_, "%zu", message.size);
    DX_BUFFER_LIT(&log_, " ");
    if (echoes && !dx_websocket_send(socket, message, text)) DX_BUFFER_LIT(&log_, "full ");
    if (pauses) dx_websocket_pause(socket);
}

static void on_writable(void *ctx, dx_websocket *socket) {
    (void)ctx;
    DX_BUFFER_LIT(&log_, "writable ");
    if (!holds) dx_websocket_resume(socket);
}

static void on_closed(void *ctx, dx_websocket *socket, uint16_t code, dx_slice reason) {
    (void)ctx;
    (void)socket;
    dx_buffer_printf(&log_, "closed %u %.*s", code, DX_SLICE_ARG(reason));
}

static const dx_websocket_ops ops = {on_opened, on_message, on_writable, on_closed};
static const dx_websocket_options usual = DX_WEBSOCKET_OPTIONS_INIT;

static int set_up(void **state) {
    (void)state;
    wire_open(&w);
    ws = NULL;
    echoes = pauses = holds = false;
    dx_buffer_init(&log_, NULL, 1u << 20);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    wire_close(&w, DX_CANCELLED);
    dx_buffer_deinit(&log_);
    return 0;
}

static void assert_log(const char *expected) {
    dx_buffer_byte(&log_, '\0');
    assert_string_equal(log_.data, expected);
    dx_buffer_clear(&log_);
}

static void assert_sent(dx_slice expected) {
    assert_int_equal((long)w.out.size, (long)expected.size);
    if (expected.size) assert_memory_equal(w.out.data, expected.data, expected.size);
    dx_buffer_clear(&w.out);
}

static void start(const dx_websocket_options *options) {
    w.x.request.method = DX_GET;
    w.x.request.protocol = DX_SLICE("websocket");
    wire_ask(&w, DX_SLICE("Sec-WebSocket-Version"), DX_SLICE("13"));
    wire_ask(&w, DX_SLICE("Sec-WebSocket-Key"), DX_SLICE("dGhlIHNhbXBsZSBub25jZQ=="));
    if (options->deflate) wire_ask(&w, DX_SLICE("Sec-WebSocket-Extensions"), DX_SLICE("permessage-deflate"));
    assert_int_equal(dx_websocket_accept(&w.x, options, &ops, NULL), DX_ANSWER);
    assert_true(w.x.response.tunnel);
    wire_begin(&w);
    assert_true(w.reading);
    assert_log("opened ");
}

// A client's frame, masked with 1 2 3 4.
static void add_frame(dx_buffer *out, unsigned first, dx_slice payload) {
    char head[10];
    size_t size = dx_ws_header(head, DX_WS_TEXT, true, false, payload.size);
    head[0] = (char)first;
    head[1] = (char)((uint8_t)head[1] | 0x80);
    dx_buffer_append(out, head, size);
    dx_buffer_append(out, "\1\2\3\4", 4);
    for (size_t i = 0; i < payload.size; i++) dx_buffer_byte(out, (char)((uint8_t)payload.data[i] ^ "\1\2\3\4"[i & 3]));
}

static void get(unsigned first, dx_slice payload) {
    dx_buffer in;
    dx_buffer_init(&in, NULL, 8u << 20);
    add_frame(&in, first, payload);
    wire_feed(&w, dx_buffer_slice(&in));
    dx_buffer_deinit(&in);
}

static void end_with(dx_status why, const char *expected) {
    dx_exchange_closed(&w.x, why);
    assert_log(expected);
}

// --- messages ----------------------------------------------------------------------------------------------------------------

static void messages_go_both_ways(void **state) {
    (void)state;
    start(&usual);
    echoes = true;
    get(0x81, DX_SLICE("Hello"));
    get(0x82, DX_SLICE("\x00\xff"));
    assert_sent(DX_SLICE("\x81\x05Hello\x82\x02\x00\xff"));
    assert_int_equal((long)w.consumed, 6 + 5 + 6 + 2);
    dx_buffer_clear(&log_);
}

static void however_a_message_is_cut_it_is_the_same(void **state) {
    dx_buffer in;
    dx_buffer_init(&in, NULL, 1u << 20);
    add_frame(&in, 0x01, DX_SLICE("gr\xc3"));
    add_frame(&in, 0x89, DX_SLICE("?"));
    add_frame(&in, 0x00, DX_SLICE(""));
    add_frame(&in, 0x80, DX_SLICE("\xbc\xc3\x9f"));
    add_frame(&in, 0x81, DX_SLICE(""));
    add_frame(&in, 0x82, DX_SLICE("end"));
    for (size_t step = 1; step <= in.size; step++) {
        start(&usual);
        for (size_t at = 0; at < in.size; at += step) wire_feed(&w, dx_slice_of(in.data + at, in.size - at < step ? in.size - at : step));
        assert_log("\"gr\xc3\xbc\xc3\x9f \" 'end ");
        assert_sent(DX_SLICE("\x8a\x01?"));
        assert_int_equal((long)w.consumed, (long)in.size);
        (void)tear_down(state);
        (void)set_up(state);
    }
    dx_buffer_deinit(&in);
}

static void a_large_message_goes_out_whole(void **state) {
    (void)state;
    char *large = calloc(1, 100000);
    start(&usual);
    assert_true(dx_websocket_send(ws, dx_slice_of(large, 100000), false));
    assert_int_equal((long)w.out.size, 100010);
    assert_memory_equal(w.out.data, "\x82\x7f\0\0\0\0\0\x01\x86\xa0", 10);
    free(large);
}

static void text_that_is_not_utf8_is_refused_at_the_byte(void **state) {
    (void)state;
    start(&usual);
    get(0x01, DX_SLICE("good \xf4")); // not the last frame
    assert_sent(DX_SLICE(""));
    get(0x00, DX_SLICE("\x90"));
    assert_memory_equal(w.out.data + 2, "\x03\xef", 2); // 1007
    assert_true(w.finished);
    end_with(DX_OK, "closed 1007 the text is not UTF-8");
}

static void text_that_ends_within_a_character_is_refused(void **state) {
    (void)state;
    start(&usual);
    get(0x81, DX_SLICE("abc\xc3"));
    end_with(DX_OK, "closed 1007 the text ends within a character");
}

static void the_cap_of_a_message_holds_to_the_byte(void **state) {
    dx_websocket_options options = usual;
    options.message_cap = 300;
    char bytes[301] = {0};
    start(&options);
    get(0x82, dx_slice_of(bytes, 300));
    get(0x02, dx_slice_of(bytes, 200));
    get(0x80, dx_slice_of(bytes, 100));
    assert_log("'300 '300 ");
    get(0x02, dx_slice_of(bytes, 200));
    get(0x80, dx_slice_of(bytes, 101));
    end_with(DX_OK, "closed 1009 the message is too large");
    (void)tear_down(state);
    (void)set_up(state);
    start(&options);
    wire_feed(&w, DX_SLICE("\x82\xfe\x01\x2d\1\2\3\4")); // refused by its header
    assert_true(w.finished);
    end_with(DX_OK, "closed 1009 the message is too large");
}

static void a_broken_rule_closes_and_nothing_behind_is_read(void **state) {
    (void)state;
    start(&usual);
    dx_buffer in;
    dx_buffer_init(&in, NULL, 1000);
    add_frame(&in, 0x83, DX_SLICE(""));
    add_frame(&in, 0x81, DX_SLICE("late"));
    wire_feed(&w, dx_buffer_slice(&in));
    assert_int_equal((long)w.consumed, (long)in.size);
    get(0x81, DX_SLICE("later"));
    assert_memory_equal(w.out.data + 2, "\x03\xea", 2);
    assert_true(w.finished);
    dx_buffer_deinit(&in);
    end_with(DX_OK, "closed 1002 an opcode that means nothing");
}

// --- compression ---------------------------------------------------------------------------------------------------------------

static void compressed_messages_are_read_and_sent(void **state) {
    (void)state;
    dx_websocket_options options = usual;
    options.deflate = true;
    start(&options);
    get(0xc1, DX_SLICE("\xf2\x48\xcd\xc9\xc9\x07\x00"));
    get(0x41, DX_SLICE("\xf2\x48\xcd")); // in fragments
    get(0x80, DX_SLICE("\xc9\xc9\x07\x00"));
    get(0x81, DX_SLICE("plain")); // needs not be compressed
    assert_log("\"Hello \"Hello \"plain ");
    char text[200];
    memset(text, 'x', sizeof text);
    assert_true(dx_websocket_send(ws, dx_slice_of(text, sizeof text), true));
    assert_true((uint8_t)w.out.data[0] == 0xc1 && w.out.size < 20);
    dx_buffer plain;
    dx_inflater *inflater;
    dx_buffer_init(&plain, NULL, 200);
    assert_int_equal(dx_inflater_create(&inflater), DX_OK);
    assert_int_equal(dx_inflater_run(inflater, dx_slice_of(w.out.data + 2, w.out.size - 2), &plain), DX_OK);
    assert_int_equal(dx_inflater_end(inflater, &plain), DX_OK);
    assert_memory_equal(plain.data, text, sizeof text);
    dx_inflater_destroy(inflater);
    dx_buffer_deinit(&plain);
    dx_buffer_clear(&w.out);
    assert_true(dx_websocket_send(ws, DX_SLICE("short"), true)); // gains nothing
    assert_sent(DX_SLICE("\x81\x05short"));
}

static void a_bomb_is_closed_as_too_large(void **state) {
    (void)state;
    dx_websocket_options options = usual;
    options.deflate = true;
    char *zeros = calloc(1, (1u << 20) + 1);
    dx_buffer packed;
    dx_buffer_init(&packed, NULL, 1u << 20);
    assert_int_equal(dx_deflate_message(&packed, dx_slice_of(zeros, 1u << 20), 15), DX_OK);
    start(&options);
    get(0xc2, dx_buffer_slice(&packed));
    assert_log("'1048576 ");
    dx_buffer_clear(&packed);
    assert_int_equal(dx_deflate_message(&packed, dx_slice_of(zeros, (1u << 20) + 1), 15), DX_OK);
    get(0xc2, dx_buffer_slice(&packed));
    end_with(DX_OK, "closed 1009 the message is too large");
    dx_buffer_deinit(&packed);
    free(zeros);
}

static void what_is_not_deflate_is_refused(void **state) {
    (void)state;
    dx_websocket_options options = usual;
    options.deflate = true;
    start(&options);
    get(0xc1, DX_SLICE("\xff\xff\xff"));
    end_with(DX_OK, "closed 1007 the message is not DEFLATE");
}

static void compressed_text_must_be_utf8_too(void **state) {
    (void)state;
    dx_websocket_options options = usual;
    options.deflate = true;
    dx_buffer packed;
    dx_buffer_init(&packed, NULL, 1000);
    assert_int_equal(dx_deflate_message(&packed, DX_SLICE("abc\xc3("), 15), DX_OK);
    start(&options);
    get(0xc1, dx_buffer_slice(&packed));
    end_with(DX_OK, "closed 1007 the text is not UTF-8");
    dx_buffer_deinit(&packed);
}

// --- control frames ------------------------------------------------------------------------------------------------------------

static void a_ping_is_answered_and_a_pong_is_not(void **state) {
    (void)state;
    start(&usual);
    get(0x89, DX_SLICE("are you there?"));
    get(0x8a, DX_SLICE("unasked"));
    assert_sent(DX_SLICE("\x8a\x0e"
                         "are you there?"));
}

static void of_pings_that_find_no_room_the_last_is_answered(void **state) {
    (void)state;
    start(&usual);
    w.full = true;
    get(0x89, DX_SLICE("one"));
    get(0x89, DX_SLICE("two"));
    get(0x89, DX_SLICE("three"));
    wire_drain(&w);
    assert_true(w.out.size > 0);
    dx_slice sent = dx_buffer_slice(&w.out);
    assert_true(sent.size <= 12 && dx_slice_equal(dx_slice_from(sent, sent.size - 7), DX_SLICE("\x8a\x05three")));
}

// --- closing -------------------------------------------------------------------------------------------------------------------

static void the_peers_close_is_answered_with_its_code(void **state) {
    (void)state;
    start(&usual);
    get(0x88, DX_SLICE("\x03\xe8"
                       "bye"));
    assert_sent(DX_SLICE("\x88\x02\x03\xe8"));
    assert_true(w.finished);
    get(0x81, DX_SLICE("late"));
    end_with(DX_OK, "closed 1000 bye");
}

static void a_close_without_a_code_is_1005(void **state) {
    (void)state;
    start(&usual);
    get(0x88, DX_SLICE(""));
    assert_sent(DX_SLICE("\x88\x00"));
    end_with(DX_OK, "closed 1005 ");
}

static void our_close_waits_for_the_peers(void **state) {
    (void)state;
    start(&usual);
    dx_websocket_close(ws, 4000, DX_SLICE("enough"));
    dx_websocket_close(ws, 1000, DX_SLICE("twice"));
    assert_sent(DX_SLICE("\x88\x08\x0f\xa0"
                         "enough"));
    assert_false(w.finished);
    assert_false(dx_websocket_send(ws, DX_SLICE("late"), true));
    get(0x81, DX_SLICE("crossing"));
    assert_log("");
    get(0x88, DX_SLICE("\x0f\xa0"));
    assert_true(w.finished);
    end_with(DX_OK, "closed 4000 enough");
}

static void a_peer_that_never_closes_is_cut(void **state) {
    (void)state;
    dx_websocket_options options = usual;
    options.close_time = DX_MILLISECOND;
    start(&options);
    dx_websocket_close(ws, 1000, (dx_slice){NULL, 0});
    wire_until(&w);
    assert_true(w.was_cut);
    end_with(DX_OK, "closed 1006 ");
}

static void a_peer_that_keeps_its_end_open_behind_the_close_is_cut(void **state) {
    (void)state;
    dx_websocket_options options = usual;
    options.close_time = DX_MILLISECOND;
    start(&options);
    get(0x88, DX_SLICE("\x03\xe8"));
    assert_true(w.finished && !w.was_cut);
    wire_until(&w);
    assert_true(w.was_cut);
    end_with(DX_CANCELLED, "closed 1000 ");
}

static void a_peer_that_goes_without_a_word_is_1006(void **state) {
    (void)state;
    start(&usual);
    dx_exchange_ended(&w.x, DX_OK);
    assert_true(w.finished);
    end_with(DX_OK, "closed 1006 ");
}

static void a_connection_that_breaks_is_1006(void **state) {
    (void)state;
    start(&usual);
    end_with(DX_CANCELLED, "closed 1006 ");
}

static void draining_says_going_away(void **state) {
    (void)state;
    start(&usual);
    dx_flows_drain(&w.flows);
    wire_turn(&w);
    assert_memory_equal(w.out.data + 2, "\x03\xe9", 2);
    get(0x88, DX_SLICE("\x03\xe9"));
    assert_true(w.finished);
    end_with(DX_OK, "closed 1001 the server goes away");
}

static void a_long_reason_is_cut_between_characters(void **state) {
    (void)state;
    char reason[200];
    for (size_t i = 0; i < 200; i += 2) memcpy(reason + i, "\xc3\xa9", 2);
    start(&usual);
    dx_websocket_close(ws, 1000, dx_slice_of(reason, 200));
    assert_int_equal((long)w.out.size, 2 + 2 + 122);
    dx_websocket_close(ws, 1005, (dx_slice){NULL, 0});
}

static void a_code_that_may_not_be_sent_is_not(void **state) {
    (void)state;
    start(&usual);
    dx_websocket_close(ws, 1006, (dx_slice){NULL, 0});
    assert_sent(DX_SLICE("\x88\x02\x03\xf3"));
}

// --- time ------------------------------------------------------------------------------------------------------------------------

static void a_silent_peer_is_pinged_and_then_closed(void **state) {
    (void)state;
    dx_websocket_options options = usual;
    options.heartbeat = options.patience = DX_MILLISECOND;
    start(&options);
    wire_until(&w);
    assert_sent(DX_SLICE("\x89\x00"));
    wire_until(&w);
    assert_memory_equal(w.out.data + 2, "\x03\xf3", 2);
    assert_true(w.finished);
    end_with(DX_OK, "closed 1011 the ping has no answer");
}

static void a_peer_that_answers_stays(void **state) {
    (void)state;
    dx_websocket_options options = usual;
    options.heartbeat = DX_MILLISECOND;
    start(&options);
    for (int i = 0; i < 3; i++) {
        wire_until(&w);
        assert_sent(DX_SLICE("\x89\x00"));
        get(0x8a, DX_SLICE(""));
    }
    assert_false(w.finished);
}

// --- a peer that does not read -----------------------------------------------------------------------------------------------------

static void what_found_no_room_is_sent_whole_and_nothing_more_is_taken(void **state) {
    (void)state;
    char large[5000];
    memset(large, 'x', sizeof large);
    start(&usual);
    w.full = true;
    assert_true(dx_websocket_send(ws, dx_slice_of(large, sizeof large), true)); // found out by trying
    assert_false(dx_websocket_send(ws, DX_SLICE("next"), true));
    assert_sent(DX_SLICE(""));
    wire_drain(&w);
    assert_log("writable ");
    assert_int_equal((long)w.out.size, 5004);
    assert_true(dx_websocket_send(ws, DX_SLICE("next"), true));
    assert_int_equal((long)w.out.size, 5004 + 6);
}

static void a_close_waits_behind_what_waits(void **state) {
    (void)state;
    start(&usual);
    w.full = true;
    assert_true(dx_websocket_send(ws, DX_SLICE("last words"), true));
    get(0x88, DX_SLICE("\x03\xe8"));
    assert_false(w.finished);
    wire_drain(&w);
    assert_sent(DX_SLICE("\x81\x0alast words\x88\x02\x03\xe8"));
    assert_true(w.finished);
    end_with(DX_OK, "closed 1000 ");
}

static void a_close_that_never_finds_room_is_given_up(void **state) {
    (void)state;
    dx_websocket_options options = usual;
    options.close_time = DX_MILLISECOND;
    start(&options);
    w.full = true;
    get(0x83, DX_SLICE(""));
    while (!w.was_cut) wire_until(&w);
    end_with(DX_OK, "closed 1006 ");
}

static void a_pause_holds_messages_and_the_window(void **state) {
    (void)state;
    start(&usual);
    pauses = true;
    dx_buffer in;
    dx_buffer_init(&in, NULL, 1000);
    add_frame(&in, 0x81, DX_SLICE("one"));
    size_t first = in.size;
    add_frame(&in, 0x81, DX_SLICE("two"));
    add_frame(&in, 0x81, DX_SLICE("three"));
    wire_feed(&w, dx_buffer_slice(&in));
    get(0x81, DX_SLICE("four"));
    assert_log("\"one ");
    assert_int_equal((long)w.consumed, (long)first);
    dx_websocket_resume(ws);
    assert_log("\"two ");
    pauses = false;
    dx_websocket_resume(ws);
    assert_log("\"three \"four ");
    assert_int_equal((long)w.consumed, (long)in.size + 10);
    dx_buffer_deinit(&in);
}

static void what_came_before_the_peers_end_is_delivered_after_a_pause(void **state) {
    static const char *const lasts[] = {"closed 1000 ", "closed 1006 "};
    for (int i = 0; i < 2; i++) {
        start(&usual);
        pauses = true;
        get(0x81, DX_SLICE("one"));
        get(0x81, DX_SLICE("two"));
        if (i == 0) get(0x88, DX_SLICE("\x03\xe8"));
        dx_exchange_ended(&w.x, DX_OK);
        assert_false(w.finished);
        pauses = false;
        dx_websocket_resume(ws);
        assert_log("\"one \"two ");
        assert_true(w.finished);
        end_with(DX_OK, lasts[i]);
        (void)tear_down(state);
        (void)set_up(state);
    }
}

static void a_paused_socket_still_closes(void **state) {
    (void)state;
    start(&usual);
    pauses = true;
    get(0x81, DX_SLICE("one"));
    get(0x81, DX_SLICE("two"));
    get(0x88, DX_SLICE("\x03\xe8"));
    assert_log("\"one ");
    dx_websocket_close(ws, 1000, (dx_slice){NULL, 0});
    assert_true(w.finished);
    end_with(DX_OK, "closed 1000 ");
}

static void an_echo_that_finds_no_room_can_hold_its_peer_back(void **state) {
    (void)state;
    start(&usual);
    echoes = pauses = true;
    w.full = true;
    get(0x81, DX_SLICE("one"));
    get(0x81, DX_SLICE("two"));
    assert_log("\"one ");
    assert_int_equal((long)w.consumed, 9);
    assert_false(dx_websocket_has_room(ws)); // `writable` will come
    wire_drain(&w);
    assert_log("writable \"two ");
    assert_sent(DX_SLICE("\x81\x03one\x81\x03two"));
}

// --- without memory ------------------------------------------------------------------------------------------------------------------

static void without_memory_the_socket_ends_and_says_so(void **state) {
    dx_websocket_options options = usual;
    options.deflate = true;
    char text[3000];
    memset(text, 'x', sizeof text);
    bool failed = true;
    for (uint64_t n = 1; failed; n++) {
        start(&options);
        dx_buffer_clear(&log_);
        (void)dx_buffer_reserve(&log_, 10000); // the test's own memory does not count
        (void)dx_buffer_reserve(&w.out, 20000);
        dx_buffer in;
        dx_buffer_init(&in, NULL, 1u << 20);
        add_frame(&in, 0x01, dx_slice_of(text, 3000));
        add_frame(&in, 0x80, DX_SLICE("."));
        add_frame(&in, 0xc1, DX_SLICE("\xf2\x48\xcd\xc9\xc9\x07\x00"));
        echoes = true;
        dx_memory_fail_at(n, false);
        dx_exchange_piece(&w.x, dx_buffer_slice(&in));
        w.full = true;
        if (ws->state == DX_WS_OPEN && !dx_websocket_send(ws, dx_slice_of(text, 3000), false)) assert_true(w.was_cut);
        failed = dx_memory_fail_stop();
        assert_true(ws->state == DX_WS_OPEN || w.finished || w.was_cut);
        dx_buffer_deinit(&in);
        (void)tear_down(state);
        (void)set_up(state);
    }
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(messages_go_both_ways),
        TEST(however_a_message_is_cut_it_is_the_same),
        TEST(a_large_message_goes_out_whole),
        TEST(text_that_is_not_utf8_is_refused_at_the_byte),
        TEST(text_that_ends_within_a_character_is_refused),
        TEST(the_cap_of_a_message_holds_to_the_byte),
        TEST(a_broken_rule_closes_and_nothing_behind_is_read),
        TEST(compressed_messages_are_read_and_sent),
        TEST(a_bomb_is_closed_as_too_large),
        TEST(what_is_not_deflate_is_refused),
        TEST(compressed_text_must_be_utf8_too),
        TEST(a_ping_is_answered_and_a_pong_is_not),
        TEST(of_pings_that_find_no_room_the_last_is_answered),
        TEST(the_peers_close_is_answered_with_its_code),
        TEST(a_close_without_a_code_is_1005),
        TEST(our_close_waits_for_the_peers),
        TEST(a_peer_that_never_closes_is_cut),
        TEST(a_peer_that_keeps_its_end_open_behind_the_close_is_cut),
        TEST(a_peer_that_goes_without_a_word_is_1006),
        TEST(a_connection_that_breaks_is_1006),
        TEST(draining_says_going_away),
        TEST(a_long_reason_is_cut_between_characters),
        TEST(a_code_that_may_not_be_sent_is_not),
        TEST(a_silent_peer_is_pinged_and_then_closed),
        TEST(a_peer_that_answers_stays),
        TEST(what_found_no_room_is_sent_whole_and_nothing_more_is_taken),
        TEST(a_close_waits_behind_what_waits),
        TEST(a_close_that_never_finds_room_is_given_up),
        TEST(a_pause_holds_messages_and_the_window),
        TEST(what_came_before_the_peers_end_is_delivered_after_a_pause),
        TEST(a_paused_socket_still_closes),
        TEST(an_echo_that_finds_no_room_can_hold_its_peer_back),
        TEST(without_memory_the_socket_ends_and_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
