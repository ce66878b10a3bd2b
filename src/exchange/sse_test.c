// Server-sent events: what an event looks like on the wire, who is told when, and how streams end.
#include "exchange/sse.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/memory.h"
#include "exchange/wire_fixture.h"

static wire_fixture w;
static dx_sse *stream;
static int opened, writables, closes;

static void on_opened(void *ctx, dx_sse *s) {
    assert_ptr_equal(ctx, &w);
    stream = s;
    opened++;
}
static void on_writable(void *ctx, dx_sse *s) {
    (void)ctx;
    (void)s;
    writables++;
}
static void on_closed(void *ctx, dx_sse *s) {
    assert_ptr_equal(ctx, &w);
    (void)s;
    closes++;
}
static const dx_sse_ops ops = {on_opened, on_writable, on_closed};

static void start(const dx_sse_options *options) {
    assert_int_equal(dx_sse_open(&w.x, options, &ops, &w), DX_ANSWER);
    assert_int_equal(opened, 0); // not from inside
    wire_begin(&w);
    assert_int_equal(opened, 1);
    dx_buffer_byte(&w.out, '\0');
    unsigned retry = 0;
    assert_int_equal(sscanf(w.out.data, "retry: %u\n\n", &retry), 1);
    assert_true(retry >= (unsigned)(options->retry / DX_MILLISECOND * 3 / 4) &&
                retry <= (unsigned)(options->retry / DX_MILLISECOND * 5 / 4));
    dx_buffer_clear(&w.out);
}

static int set_up(void **state) {
    (void)state;
    wire_open(&w);
    stream = NULL;
    opened = writables = closes = 0;
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    wire_close(&w, DX_CANCELLED);
    return 0;
}

static void assert_out(const char *expected) {
    assert_int_equal((long)w.out.size, (long)strlen(expected));
    assert_memory_equal(w.out.data, expected, w.out.size);
    dx_buffer_clear(&w.out);
}

static const dx_sse_options usual = DX_SSE_OPTIONS_INIT;

static void an_event_is_its_fields_and_an_empty_line(void **state) {
    (void)state;
    start(&usual);
    assert_true(dx_slice_equal(wire_field(&w, "content-type"), DX_SLICE("text/event-stream")));
    assert_true(dx_slice_equal(wire_field(&w, "cache-control"), DX_SLICE("no-store")));
    assert_true(dx_sse_send(stream, &(dx_sse_event){.id = DX_SLICE("7"), .event = DX_SLICE("change"), .data = DX_SLICE("{\"a\":1}")}));
    assert_out("id: 7\nevent: change\ndata: {\"a\":1}\n\n");
    assert_true(dx_sse_send(stream, &(dx_sse_event){.data = DX_SLICE("x")}));
    assert_out("data: x\n\n");
    assert_true(dx_sse_send(stream, &(dx_sse_event){.id = DX_SLICE("8")}));
    assert_out("id: 8\n\n");
}

static void line_breaks_in_data_make_lines_of_data(void **state) {
    (void)state;
    start(&usual);
    assert_true(dx_sse_send(stream, &(dx_sse_event){.data = DX_SLICE("a\nb\r\nc\rd\n\ne")}));
    assert_out("data: a\ndata: b\ndata: c\ndata: d\ndata: \ndata: e\n\n");
    assert_true(dx_sse_send(stream, &(dx_sse_event){.data = DX_SLICE("\n")}));
    assert_out("data: \ndata: \n\n");
    assert_true(dx_sse_send(stream, &(dx_sse_event){.data = DX_SLICE("end\r\n")}));
    assert_out("data: end\ndata: \n\n");
    assert_true(dx_sse_send(stream, &(dx_sse_event){.data = DX_SLICE("a\n\rb")})); // two line breaks
    assert_out("data: a\ndata: \ndata: b\n\n");
}

static void nothing_can_be_smuggled_in_by_an_id_or_a_type(void **state) {
    (void)state;
    start(&usual);
    assert_true(dx_sse_send(stream, &(dx_sse_event){.id = DX_SLICE("1\ndata: evil"), .event = DX_SLICE("x\r"), .data = DX_SLICE("d")}));
    assert_out("data: d\n\n");
    assert_true(dx_sse_send(stream, &(dx_sse_event){.id = dx_slice_of("1\0", 2), .data = DX_SLICE("d")}));
    assert_out("data: d\n\n");
}

static void a_full_wire_takes_nothing_and_tells_when_there_is_room(void **state) {
    (void)state;
    start(&usual);
    w.full = true;
    assert_false(dx_sse_send(stream, &(dx_sse_event){.data = DX_SLICE("one")}));
    assert_int_equal(writables, 0);
    wire_drain(&w);
    assert_int_equal(writables, 1);
    assert_out("");
    assert_true(dx_sse_send(stream, &(dx_sse_event){.data = DX_SLICE("one")}));
    assert_out("data: one\n\n");
    dx_exchange_writable(&w.x);
    assert_int_equal(writables, 1);
}

static void silence_is_broken_by_a_comment(void **state) {
    (void)state;
    dx_sse_options options = usual;
    options.heartbeat = DX_MILLISECOND;
    start(&options);
    wire_until(&w);
    assert_out(":\n\n");
    wire_until(&w);
    assert_out(":\n\n");
}

static void a_reader_that_takes_nothing_is_told_so_when_it_reads_on(void **state) {
    (void)state;
    dx_sse_options options = usual;
    options.slow = DX_MILLISECOND;
    start(&options);
    w.full = true;
    assert_false(dx_sse_send(stream, &(dx_sse_event){.data = DX_SLICE("one")}));
    wire_until(&w);
    assert_false(dx_sse_send(stream, &(dx_sse_event){.data = DX_SLICE("two")}));
    assert_false(w.was_cut || w.finished);
    assert_int_equal(w.x.error, DX_REQUEST_TIMEOUT);
    wire_drain(&w);
    assert_out("event: end\ndata: {\"reason\":\"slow\"}\n\n");
    assert_true(w.finished);
    assert_int_equal(closes, 0);
    dx_exchange_closed(&w.x, DX_OK);
    assert_int_equal(closes, 1);
}

static void a_heartbeat_finds_the_slow_reader_too(void **state) {
    (void)state;
    dx_sse_options options = usual;
    options.heartbeat = options.slow = DX_MILLISECOND;
    start(&options);
    w.full = true;
    wire_until(&w); // the heartbeat is refused
    assert_int_equal(w.x.error, DX_OK);
    wire_until(&w);
    assert_int_equal(w.x.error, DX_REQUEST_TIMEOUT);
    wire_drain(&w);
    assert_out("event: end\ndata: {\"reason\":\"slow\"}\n\n");
}

static void a_reader_that_reads_again_in_time_stays(void **state) {
    (void)state;
    dx_sse_options options = usual;
    options.heartbeat = DX_MILLISECOND;
    start(&options);
    w.full = true;
    wire_until(&w); // the heartbeat is refused
    wire_drain(&w);
    assert_int_equal(writables, 0); // nobody but the heartbeat was
    wire_until(&w);
    assert_out(":\n\n");
    assert_false(w.was_cut);
}

static void draining_ends_the_stream_with_an_event(void **state) {
    (void)state;
    start(&usual);
    dx_flows_drain(&w.flows);
    wire_turn(&w);
    assert_out("event: end\ndata: {\"reason\":\"draining\"}\n\n");
    assert_true(w.finished);
    assert_false(dx_sse_send(stream, &(dx_sse_event){.data = DX_SLICE("late")}));
    dx_exchange_closed(&w.x, DX_OK);
    assert_int_equal(closes, 1);
}

static void a_stream_can_be_ended_for_a_reason_even_when_it_is_full(void **state) {
    (void)state;
    start(&usual);
    w.full = true;
    dx_sse_end(stream, "slow");
    dx_sse_end(stream, "again");
    assert_false(w.finished);
    wire_drain(&w);
    assert_out("event: end\ndata: {\"reason\":\"slow\"}\n\n");
    assert_true(w.finished);
}

static void an_event_over_the_cap_is_not_lost_in_silence(void **state) {
    (void)state;
    char *large = malloc(DX_SSE_EVENT_CAP);
    memset(large, 'x', DX_SSE_EVENT_CAP);
    start(&usual);
    assert_true(dx_sse_send(stream, &(dx_sse_event){.data = dx_slice_of(large, DX_SSE_EVENT_CAP - 8)})); // "data: ", two LF
    assert_int_equal((long)w.out.size, DX_SSE_EVENT_CAP);
    assert_false(dx_sse_send(stream, &(dx_sse_event){.data = dx_slice_of(large, DX_SSE_EVENT_CAP - 7)}));
    assert_true(w.was_cut);
    assert_int_equal(w.x.error, DX_TOO_LARGE);
    free(large);
}

static void the_last_event_id_is_the_clients(void **state) {
    (void)state;
    assert_null(dx_sse_last_event_id(&w.x).data);
    wire_ask(&w, DX_SLICE("Last-Event-ID"), DX_SLICE("41"));
    assert_true(dx_slice_equal(dx_sse_last_event_id(&w.x), DX_SLICE("41")));
}

static void compression_is_the_handlers_to_allow(void **state) {
    (void)state;
    dx_sse_options options = usual;
    options.compress = true;
    start(&options);
    assert_true(w.x.response.compress);
}

static void without_memory_the_answer_says_so(void **state) {
    (void)state;
    for (uint64_t n = 1;; n++) {
        wire_close(&w, DX_OK);
        wire_open(&w);
        opened = closes = 0;
        dx_memory_fail_at(n, false);
        dx_arena *small = dx_arena_create(1u << 16);
        bool failed_early = !small, answered = false, open = false;
        if (small) {
            dx_arena *whole = w.x.arena;
            w.x.arena = small;
            answered = dx_sse_open(&w.x, &usual, &ops, &w) == DX_ANSWER;
            open = w.x.response.source;
            if (open) {
                dx_exchange_begun(&w.x, false);
                wire_turn(&w);
                if (stream && !dx_sse_send(stream, &(dx_sse_event){.data = DX_SLICE("x")})) assert_true(w.was_cut);
            }
            dx_exchange_closed(&w.x, DX_CANCELLED);
            w.x.arena = whole;
        }
        bool failed = dx_memory_fail_stop();
        assert_true(failed_early || answered);
        assert_int_equal(closes, open);
        dx_arena_destroy(small);
        stream = NULL;
        if (!failed) break;
    }
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(an_event_is_its_fields_and_an_empty_line),
        TEST(line_breaks_in_data_make_lines_of_data),
        TEST(nothing_can_be_smuggled_in_by_an_id_or_a_type),
        TEST(a_full_wire_takes_nothing_and_tells_when_there_is_room),
        TEST(silence_is_broken_by_a_comment),
        TEST(a_reader_that_takes_nothing_is_told_so_when_it_reads_on),
        TEST(a_heartbeat_finds_the_slow_reader_too),
        TEST(a_reader_that_reads_again_in_time_stays),
        TEST(draining_ends_the_stream_with_an_event),
        TEST(a_stream_can_be_ended_for_a_reason_even_when_it_is_full),
        TEST(an_event_over_the_cap_is_not_lost_in_silence),
        TEST(the_last_event_id_is_the_clients),
        TEST(compression_is_the_handlers_to_allow),
        TEST(without_memory_the_answer_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
