// Streamed bodies over a wire that only writes down what it is told: who is called, when, how often, and what no call may come from inside
// of.
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/memory.h"
#include "exchange/chain.h"
#include "exchange/flow.h"

typedef struct fixture {
    dx_arena *arena;
    dx_loop *loop;
    dx_flows flows;
    dx_exchange x;
    char log[512];
    // the wire
    bool full;
    bool finished, was_cut;
    const dx_fields *trailers;
    size_t consumed;
    // the handler
    int inside; // depth of calls from which nothing may be told
    int pieces; // that the source writes
    bool closes;
    dx_status closed_why, ended_why;
    // the encoder
    dx_encoder encoder;
    dx_status encodes;
    bool destroyed;
} fixture;

static fixture *f;

static void note(const char *text) {
    assert_int_equal(f->inside, 0);
    size_t at = strlen(f->log);
    snprintf(f->log + at, sizeof f->log - at, "%s ", text);
}

// --- the wire ------------------------------------------------------------------------------------------------------------------

static void wire_note(dx_slice text) {
    size_t at = strlen(f->log);
    snprintf(f->log + at, sizeof f->log - at, "<%.*s> ", DX_SLICE_ARG(text));
}

static bool wire_write(dx_exchange *x, dx_slice piece) {
    (void)x;
    assert_false(f->finished || f->was_cut);
    if (f->full) return false;
    wire_note(piece);
    return true;
}

static void wire_finish(dx_exchange *x, const dx_fields *trailers) {
    (void)x;
    assert_false(f->finished || f->was_cut);
    f->finished = true;
    f->trailers = trailers;
    wire_note(DX_SLICE("finish"));
}

static void wire_cut(dx_exchange *x) {
    (void)x;
    assert_false(f->finished || f->was_cut);
    f->was_cut = true;
    wire_note(DX_SLICE("cut"));
}

static void wire_read(dx_exchange *x) {
    assert_int_equal(f->inside, 0);
    dx_exchange_piece(x, DX_SLICE("early"));
}

static void wire_consume(dx_exchange *x, size_t bytes) {
    (void)x;
    f->consumed += bytes;
}

static const dx_exchange_wire wire = {wire_write, wire_finish, wire_cut, wire_read, wire_consume};

// --- handlers --------------------------------------------------------------------------------------------------------------------

static void ready(void *ctx, dx_exchange *x) {
    (void)ctx;
    note("ready");
    while (f->pieces > 0) {
        f->inside++;
        bool taken = dx_exchange_write(x, DX_SLICE("piece"));
        f->inside--;
        if (!taken) return;
        f->pieces--;
    }
    f->inside++;
    if (f->closes) dx_exchange_finish(x, NULL);
    f->inside--;
}

static void drain(void *ctx, dx_exchange *x) {
    (void)ctx;
    (void)x;
    note("drain");
}

static void closed(void *ctx, dx_exchange *x, dx_status why) {
    (void)ctx;
    (void)x;
    note("closed");
    f->closed_why = why;
}
static const dx_source_ops source = {ready, drain, closed}, without_drain = {ready, NULL, closed};

static void take(void *ctx, dx_exchange *x, dx_slice piece) {
    (void)ctx;
    note("piece");
    dx_exchange_consume(x, piece.size);
}

static void end(void *ctx, dx_exchange *x, dx_status why) {
    (void)ctx;
    (void)x;
    note("end");
    f->ended_why = why;
}
static const dx_reader_ops reader = {take, end};

// An encoder that shouts: letters wait in it until a flush or the end, in brackets.
static size_t waiting_size;
static char waiting[64];

static dx_status shout(dx_encoder *encoder, dx_slice in, dx_encode how, dx_buffer *out) {
    (void)encoder;
    if (f->encodes != DX_OK) return f->encodes;
    for (size_t i = 0; i < in.size && waiting_size < sizeof waiting; i++) waiting[waiting_size++] = (char)(in.data[i] - 32);
    if (how == DX_ENCODE_MORE) return DX_OK;
    dx_buffer_append(out, waiting, waiting_size);
    waiting_size = 0;
    dx_buffer_byte(out, how == DX_ENCODE_END ? '.' : ',');
    return DX_OK;
}

static void drop_shout(dx_encoder *encoder) {
    (void)encoder;
    assert_false(f->destroyed);
    f->destroyed = true;
}

// --- the fixture -------------------------------------------------------------------------------------------------------------------

static int set_up(void **state) {
    f = calloc(1, sizeof *f);
    f->arena = dx_arena_create(1u << 20);
    assert_int_equal(dx_loop_create(&f->loop), DX_OK);
    dx_exchange_init(&f->x, f->arena, f->loop, 0);
    f->x.wire = &wire;
    f->x.flows = &f->flows;
    f->encoder = (dx_encoder){shout, drop_shout};
    waiting_size = 0;
    *state = f;
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    dx_exchange_closed(&f->x, DX_CANCELLED);
    dx_arena_destroy(f->arena);
    dx_loop_destroy(f->loop);
    free(f);
    return 0;
}

static void turn(void) {
    dx_loop_stop(f->loop);
    assert_int_equal(dx_loop_run(f->loop), DX_OK);
}

static void start(void) {
    f->inside++;
    assert_int_equal(dx_exchange_stream(&f->x, 200, DX_SLICE("text/plain"), &source, NULL), DX_ANSWER);
    dx_exchange_begun(&f->x, false);
    f->inside--;
}

static void assert_log(const char *expected) {
    assert_string_equal(f->log, expected);
    f->log[0] = '\0';
}

// --- sources -------------------------------------------------------------------------------------------------------------------------

static void a_source_writes_finishes_and_is_closed(void **state) {
    (void)state;
    f->pieces = 2;
    f->closes = true;
    start();
    assert_log("");
    turn();
    assert_log("ready <piece> <piece> <finish> ");
    dx_exchange_closed(&f->x, DX_OK);
    assert_log("closed ");
    assert_int_equal(f->closed_why, DX_OK);
    dx_exchange_closed(&f->x, DX_CANCELLED);
    assert_log("");
}

static void a_full_wire_takes_nothing_and_ready_comes_again(void **state) {
    (void)state;
    f->pieces = 1;
    f->full = f->closes = true;
    start();
    turn();
    assert_log("ready ");
    f->full = false;
    dx_exchange_writable(&f->x);
    assert_log("ready <piece> <finish> ");
    dx_exchange_writable(&f->x);
    assert_log("");
}

static void nobody_who_was_not_refused_is_told_of_room(void **state) {
    (void)state;
    start();
    turn();
    assert_log("ready ");
    dx_exchange_writable(&f->x);
    assert_log("");
}

static void a_peer_that_goes_closes_the_source_before_it_was_ready(void **state) {
    (void)state;
    start();
    dx_exchange_closed(&f->x, DX_CANCELLED);
    assert_log("closed ");
    assert_int_equal(f->closed_why, DX_CANCELLED);
    turn(); // what was due is no more
    assert_log("");
    assert_false(dx_exchange_write(&f->x, DX_SLICE("late")));
}

static void a_peer_that_went_before_the_head_leads_to_a_cut(void **state) {
    (void)state;
    f->x.aborted = true;
    start();
    assert_log("<cut> ");
    dx_exchange_closed(&f->x, DX_OK);
    assert_log("closed ");
    assert_int_equal(f->closed_why, DX_CANCELLED);
}

static void a_head_alone_never_asks_the_source(void **state) {
    (void)state;
    (void)dx_exchange_stream(&f->x, 200, DX_SLICE("text/plain"), &source, NULL);
    f->x.response.encoder = &f->encoder;
    dx_exchange_begun(&f->x, true);
    assert_log("<finish> ");
    turn();
    dx_exchange_closed(&f->x, DX_OK);
    assert_log("closed ");
    assert_true(f->destroyed);
}

static void a_cut_is_told_to_the_source_with_its_reason(void **state) {
    (void)state;
    start();
    turn();
    assert_log("ready ");
    f->inside++;
    (void)dx_exchange_fail(&f->x, DX_STORE_TIMEOUT, "row %d", 7);
    f->inside--;
    assert_log("<cut> ");
    assert_false(dx_exchange_write(&f->x, DX_SLICE("late")));
    dx_exchange_finish(&f->x, NULL);
    dx_exchange_cut(&f->x);
    dx_exchange_closed(&f->x, DX_CANCELLED);
    assert_log("closed ");
    assert_int_equal(f->closed_why, DX_STORE_TIMEOUT);
    assert_int_equal(f->x.error, DX_STORE_TIMEOUT);
    assert_int_equal(f->x.response.status, 200); // what was sent
}

static void a_cut_before_the_head_holds(void **state) {
    (void)state;
    (void)dx_exchange_stream(&f->x, 200, DX_SLICE("text/plain"), &source, NULL);
    dx_exchange_cut(&f->x);
    assert_log("");
    dx_exchange_begun(&f->x, false);
    assert_log("<cut> ");
}

static void an_answer_that_is_replaced_closes_its_source_later(void **state) {
    (void)state;
    f->inside++;
    (void)dx_exchange_stream(&f->x, 200, DX_SLICE("text/plain"), &source, NULL);
    f->x.response.encoder = &f->encoder;
    (void)dx_exchange_fail(&f->x, DX_CONFLICT, NULL);
    f->inside--;
    assert_true(f->destroyed);
    assert_null(f->x.response.source);
    assert_int_equal(f->x.response.status, 409);
    assert_log("");
    turn();
    assert_log("closed ");
    assert_int_equal(f->closed_why, DX_CONFLICT);
    dx_exchange_closed(&f->x, DX_OK);
    assert_log("");
}

static void an_exchange_that_ends_at_once_closes_a_replaced_source_too(void **state) {
    (void)state;
    (void)dx_exchange_stream(&f->x, 200, DX_SLICE("text/plain"), &source, NULL);
    (void)dx_exchange_empty(&f->x, 204);
    assert_true(dx_exchange_flowed(&f->x));
    dx_exchange_closed(&f->x, DX_OK);
    assert_log("closed ");
    turn();
    assert_log("");
}

static void a_source_behind_another_is_the_one_that_is_asked(void **state) {
    (void)state;
    (void)dx_exchange_stream(&f->x, 200, DX_SLICE("text/plain"), &without_drain, NULL);
    start();
    turn();
    assert_log("closed ready ");
}

static void a_file_is_closed_when_its_answer_is_replaced(void **state) {
    (void)state;
    int file = open("/dev/null", O_RDONLY | O_CLOEXEC);
    (void)dx_exchange_file(&f->x, 200, DX_SLICE("text/plain"), file, 0, 10);
    assert_true(f->x.response.file_open);
    (void)dx_exchange_empty(&f->x, 304);
    assert_false(f->x.response.file_open);
    assert_int_equal(fcntl(file, F_GETFD), -1);
}

static void a_file_that_was_not_sent_is_closed_with_the_exchange(void **state) {
    (void)state;
    int file = open("/dev/null", O_RDONLY | O_CLOEXEC);
    (void)dx_exchange_file(&f->x, 206, DX_SLICE(""), file, 0, 10);
    dx_exchange_closed(&f->x, DX_CANCELLED);
    assert_int_equal(fcntl(file, F_GETFD), -1);
}

static void a_drain_is_told_to_each_open_source_once(void **state) {
    (void)state;
    start();
    turn();
    assert_log("ready ");
    dx_flows_drain(&f->flows);
    assert_log("");
    turn();
    assert_log("drain ");
    turn();
    assert_log("");
    assert_true(dx_exchange_write(&f->x, DX_SLICE("last")));
    dx_exchange_finish(&f->x, NULL);
    assert_log("<last> <finish> ");
}

static void a_source_that_begins_while_draining_is_told(void **state) {
    (void)state;
    dx_flows_drain(&f->flows);
    start();
    turn();
    assert_log("ready drain ");
}

static void sources_without_a_drain_are_left_alone(void **state) {
    (void)state;
    (void)dx_exchange_stream(&f->x, 200, DX_SLICE(""), &without_drain, NULL);
    dx_exchange_begun(&f->x, false);
    dx_flows_drain(&f->flows);
    turn();
    assert_log("ready ");
}

static void many_exchanges_come_and_go_in_any_order(void **state) {
    (void)state;
    dx_exchange many[5];
    for (size_t i = 0; i < 5; i++) {
        dx_exchange_init(&many[i], f->arena, f->loop, 0);
        many[i].wire = &wire;
        many[i].flows = &f->flows;
        (void)dx_exchange_stream(&many[i], 200, DX_SLICE(""), &source, NULL);
        dx_exchange_begun(&many[i], false);
    }
    dx_exchange_closed(&many[2], DX_CANCELLED);
    dx_exchange_closed(&many[4], DX_CANCELLED);
    assert_log("closed closed ");
    turn();
    assert_log("ready ready ready ");
    dx_exchange_closed(&many[0], DX_CANCELLED);
    dx_flows_drain(&f->flows);
    dx_exchange_closed(&many[3], DX_CANCELLED);
    turn();
    assert_log("closed closed drain ");
    dx_exchange_closed(&many[1], DX_OK);
    assert_null(f->flows.live);
    assert_null(f->flows.due);
}

// --- encoders ------------------------------------------------------------------------------------------------------------------------

static void pieces_pass_through_the_encoder(void **state) {
    (void)state;
    start();
    f->x.response.encoder = &f->encoder;
    turn();
    assert_true(dx_exchange_write(&f->x, DX_SLICE("ab")));
    assert_true(dx_exchange_write(&f->x, DX_SLICE("c")));
    assert_log("ready ");
    dx_exchange_flush(&f->x);
    dx_exchange_flush(&f->x); // nothing new to let go of
    assert_log("<ABC,> ");
    assert_true(dx_exchange_write(&f->x, DX_SLICE("d")));
    dx_exchange_finish(&f->x, NULL);
    assert_log("<D.> <finish> ");
    dx_exchange_closed(&f->x, DX_OK);
    assert_true(f->destroyed);
}

static void what_the_wire_does_not_take_is_held_and_refuses_more(void **state) {
    (void)state;
    const dx_fields trailers = {0};
    start();
    f->x.response.encoder = &f->encoder;
    turn();
    f->full = true;
    assert_true(dx_exchange_write(&f->x, DX_SLICE("a")));
    dx_exchange_flush(&f->x);
    assert_false(dx_exchange_write(&f->x, DX_SLICE("b")));
    dx_exchange_writable(&f->x); // not really
    assert_log("ready ");
    f->full = false;
    dx_exchange_writable(&f->x);
    assert_log("<A,> ready ");
    f->full = true;
    assert_true(dx_exchange_write(&f->x, DX_SLICE("b")));
    dx_exchange_flush(&f->x);
    dx_exchange_finish(&f->x, &trailers);
    assert_false(f->finished);
    f->full = false;
    dx_exchange_writable(&f->x);
    assert_log("<B,.> <finish> ");
    assert_ptr_equal(f->trailers, &trailers);
}

static void an_encoder_that_fails_cuts_the_response(void **state) {
    (void)state;
    start();
    f->x.response.encoder = &f->encoder;
    turn();
    f->encodes = DX_NO_MEMORY;
    assert_false(dx_exchange_write(&f->x, DX_SLICE("a")));
    assert_log("ready <cut> ");
    dx_exchange_closed(&f->x, DX_OK);
    assert_int_equal(f->closed_why, DX_NO_MEMORY);
    assert_true(f->destroyed);
}

// --- readers -------------------------------------------------------------------------------------------------------------------------

static void a_reader_is_told_in_a_later_turn(void **state) {
    (void)state;
    f->inside++;
    dx_exchange_read(&f->x, &reader, NULL);
    f->inside--;
    assert_log("");
    turn();
    assert_log("piece ");
    assert_int_equal(f->consumed, 5);
    dx_exchange_piece(&f->x, DX_SLICE("more"));
    dx_exchange_ended(&f->x, DX_OK);
    dx_exchange_ended(&f->x, DX_CANCELLED);
    dx_exchange_piece(&f->x, DX_SLICE("late"));
    assert_log("piece end ");
    assert_int_equal(f->ended_why, DX_OK);
}

static void a_reader_is_told_that_the_peer_had_gone(void **state) {
    (void)state;
    f->x.aborted = true;
    dx_exchange_read(&f->x, &reader, NULL);
    turn();
    assert_log("end ");
    assert_int_equal(f->ended_why, DX_CANCELLED);
}

static void a_second_reader_is_not_taken(void **state) {
    (void)state;
    dx_exchange_read(&f->x, &reader, NULL);
    dx_exchange_read(&f->x, &reader, f);
    assert_null(f->x.reader_ctx);
}

static void a_peer_that_goes_ends_the_reader_then_the_source(void **state) {
    (void)state;
    dx_exchange_read(&f->x, &reader, NULL);
    start();
    turn();
    assert_log("piece ready ");
    dx_exchange_closed(&f->x, DX_REQUEST_TIMEOUT);
    assert_log("end closed ");
    assert_int_equal(f->ended_why, DX_REQUEST_TIMEOUT);
    assert_int_equal(f->closed_why, DX_REQUEST_TIMEOUT);
}

static void an_exchange_that_ends_before_reading_began_tells_nobody(void **state) {
    (void)state;
    dx_exchange_read(&f->x, &reader, NULL);
    (void)dx_exchange_empty(&f->x, 204);
    dx_exchange_closed(&f->x, DX_OK);
    turn();
    assert_log("");
}

// --- tunnels -------------------------------------------------------------------------------------------------------------------------

static void a_tunnel_reads_and_writes(void **state) {
    (void)state;
    f->x.request.protocol = DX_SLICE("websocket");
    f->x.request.version = 11;
    assert_int_equal(dx_exchange_tunnel(&f->x, &source, &reader, NULL), DX_ANSWER);
    assert_int_equal(f->x.response.status, 101);
    dx_exchange_begun(&f->x, false);
    turn();
    assert_log("piece ready ");
    dx_exchange_ended(&f->x, DX_OK);
    assert_true(dx_exchange_write(&f->x, DX_SLICE("bye")));
    dx_exchange_finish(&f->x, NULL);
    dx_exchange_closed(&f->x, DX_OK);
    assert_log("end <bye> <finish> closed ");
}

static void a_tunnel_nobody_asked_for_is_refused(void **state) {
    (void)state;
    (void)dx_exchange_tunnel(&f->x, &source, &reader, NULL);
    assert_int_equal(f->x.response.status, 426);
    assert_false(f->x.response.tunnel);
    assert_null(f->x.reader);
    turn();
    assert_log("closed ");
}

// --- memory --------------------------------------------------------------------------------------------------------------------------

static void without_memory_a_stream_becomes_a_503_and_its_source_is_closed(void **state) {
    (void)state;
    while (dx_arena_alloc(f->arena, 1)) {
    }
    f->inside++;
    (void)dx_exchange_stream(&f->x, 200, DX_SLICE("text/plain"), &source, NULL);
    f->inside--;
    assert_int_equal(f->x.response.status, 503);
    assert_null(f->x.response.source);
    turn();
    assert_log("closed ");
}

static void every_allocation_of_a_stream_may_fail(void **state) {
    (void)state;
    for (uint64_t n = 1;; n++) {
        dx_exchange x;
        dx_arena *arena = dx_arena_create(1u << 20);
        dx_exchange_init(&x, arena, f->loop, 0);
        x.wire = &wire;
        x.flows = &f->flows;
        f->finished = f->was_cut = f->destroyed = f->closes = false;
        f->pieces = 0;
        f->closed_why = DX_STATUS_COUNT;
        f->log[0] = '\0';
        dx_memory_fail_at(n, false);
        (void)dx_exchange_stream(&x, 200, DX_SLICE("text/plain"), &source, NULL);
        if (x.response.source) x.response.encoder = &f->encoder;
        if (x.response.source) dx_exchange_begun(&x, false);
        turn();
        if (dx_exchange_write(&x, DX_SLICE("abc"))) dx_exchange_flush(&x);
        dx_exchange_finish(&x, NULL);
        bool failed = dx_memory_fail_stop();
        dx_exchange_closed(&x, f->finished ? DX_OK : DX_CANCELLED);
        assert_int_not_equal(f->closed_why, DX_STATUS_COUNT);
        assert_int_equal(f->finished, f->closed_why == DX_OK);
        assert_int_equal(x.error == DX_NO_MEMORY, !f->finished);
        dx_arena_destroy(arena);
        if (!failed) break;
    }
    assert_true(f->finished);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_source_writes_finishes_and_is_closed),
        TEST(a_full_wire_takes_nothing_and_ready_comes_again),
        TEST(nobody_who_was_not_refused_is_told_of_room),
        TEST(a_peer_that_goes_closes_the_source_before_it_was_ready),
        TEST(a_peer_that_went_before_the_head_leads_to_a_cut),
        TEST(a_head_alone_never_asks_the_source),
        TEST(a_cut_is_told_to_the_source_with_its_reason),
        TEST(a_cut_before_the_head_holds),
        TEST(an_answer_that_is_replaced_closes_its_source_later),
        TEST(an_exchange_that_ends_at_once_closes_a_replaced_source_too),
        TEST(a_source_behind_another_is_the_one_that_is_asked),
        TEST(a_file_is_closed_when_its_answer_is_replaced),
        TEST(a_file_that_was_not_sent_is_closed_with_the_exchange),
        TEST(a_drain_is_told_to_each_open_source_once),
        TEST(a_source_that_begins_while_draining_is_told),
        TEST(sources_without_a_drain_are_left_alone),
        TEST(many_exchanges_come_and_go_in_any_order),
        TEST(pieces_pass_through_the_encoder),
        TEST(what_the_wire_does_not_take_is_held_and_refuses_more),
        TEST(an_encoder_that_fails_cuts_the_response),
        TEST(a_reader_is_told_in_a_later_turn),
        TEST(a_reader_is_told_that_the_peer_had_gone),
        TEST(a_second_reader_is_not_taken),
        TEST(a_peer_that_goes_ends_the_reader_then_the_source),
        TEST(an_exchange_that_ends_before_reading_began_tells_nobody),
        TEST(a_tunnel_reads_and_writes),
        TEST(a_tunnel_nobody_asked_for_is_refused),
        TEST(without_memory_a_stream_becomes_a_503_and_its_source_is_closed),
        TEST(every_allocation_of_a_stream_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
