// Bodies as streams through a whole server on a loopback: handlers that read and write in pieces, caps, codings, spools, and peers that go
// away or stop reading.
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/memory.h"
#include "codec/compress.h"
#include "exchange/spool.h"
#include "server/loopback_fixture.h"

#define HOST    "Host: test\r\n"
#define CHUNKED HOST "Transfer-Encoding: chunked\r\n\r\n"
#define TICKS   2000u
#define TICK    10000u
#define CAP     100000u // of the streamed bodies

static loopback_fixture f;

// --- handlers ------------------------------------------------------------------------------------------------------------------

// What the handlers below have been told; of the last exchange.
static struct {
    dx_exchange *x;
    size_t read, pieces, written, ready, drains, closed, ended;
    dx_status closed_why, end_why;
    dx_slice trailers;
    char trailer[64];
    bool handled;
} seen;

static void note_end(dx_exchange *x, dx_status why) {
    seen.ended++;
    seen.end_why = why;
    if (x->request.trailers && x->request.trailers->count)
        snprintf(seen.trailer, sizeof seen.trailer, "%.*s", DX_SLICE_ARG(x->request.trailers->items[0].value));
}

static void on_source_closed(void *ctx, dx_exchange *x, dx_status why) {
    (void)ctx;
    (void)x;
    seen.closed++;
    seen.closed_why = why;
}

static void on_drain(void *ctx, dx_exchange *x) {
    (void)ctx;
    seen.drains++;
    dx_exchange_finish(x, NULL);
}

// Ticks: as many pieces as are taken.
static void ticks_ready(void *ctx, dx_exchange *x) {
    static char tick[TICK];
    (void)ctx;
    seen.ready++;
    memset(tick, 't', sizeof tick);
    while (seen.written < TICKS && dx_exchange_write(x, dx_slice_of(tick, sizeof tick))) seen.written++;
    if (seen.written == TICKS) dx_exchange_finish(x, NULL);
}
static const dx_source_ops ticks_source = {ticks_ready, on_drain, on_source_closed};

static dx_verdict ticks(const void *conf, dx_exchange *x) {
    (void)conf;
    seen.x = x;
    return dx_exchange_stream(x, 200, DX_SLICE("text/plain"), &ticks_source, NULL);
}

// Quiet: says one thing, then nothing until it is told to end.
static void quiet_ready(void *ctx, dx_exchange *x) {
    (void)ctx;
    seen.ready++;
    assert_true(dx_exchange_write(x, DX_SLICE("hello")));
}
static const dx_source_ops quiet_source = {quiet_ready, on_drain, on_source_closed};

static dx_verdict quiet(const void *conf, dx_exchange *x) {
    (void)conf;
    seen.x = x;
    return dx_exchange_stream(x, 200, DX_SLICE("text/plain"), &quiet_source, NULL);
}

// Trouble: breaks behind its first piece.
static void trouble_ready(void *ctx, dx_exchange *x) {
    (void)ctx;
    assert_true(dx_exchange_write(x, DX_SLICE("hello")));
    (void)dx_exchange_fail(x, DX_STORE_TIMEOUT, "half way");
}
static const dx_source_ops trouble_source = {trouble_ready, NULL, on_source_closed};

static dx_verdict trouble(const void *conf, dx_exchange *x) {
    (void)conf;
    return dx_exchange_stream(x, 200, DX_SLICE("text/plain"), &trouble_source, NULL);
}

// Farewell: trailers.
static void farewell_ready(void *ctx, dx_exchange *x) {
    dx_fields *fields = DX_ARENA_NEW(x->arena, dx_fields);
    (void)ctx;
    assert_int_equal(dx_fields_add(fields, x->arena, DX_SLICE("x-sum"), DX_SLICE("42")), DX_OK);
    assert_true(dx_exchange_write(x, DX_SLICE("hello")));
    dx_exchange_finish(x, fields);
}
static const dx_source_ops farewell_source = {farewell_ready, NULL, on_source_closed};

static dx_verdict farewell(const void *conf, dx_exchange *x) {
    (void)conf;
    return dx_exchange_stream(x, 200, DX_SLICE("text/plain"), &farewell_source, NULL);
}

// Echo: what is read is written; what is not taken waits here and holds the reader.
typedef struct echoing {
    dx_buffer waiting;
    bool ended, ready;
} echoing;

static void echo_on(echoing *e, dx_exchange *x) {
    if (!e->ready) return;
    if (e->waiting.size && !dx_exchange_write(x, dx_buffer_slice(&e->waiting))) return;
    dx_exchange_consume(x, e->waiting.size);
    dx_buffer_clear(&e->waiting);
    if (e->ended) dx_exchange_finish(x, NULL);
}

static void echo_ready(void *ctx, dx_exchange *x) {
    echoing *e = ctx;
    e->ready = true;
    echo_on(e, x);
}

static void echo_piece(void *ctx, dx_exchange *x, dx_slice piece) {
    echoing *e = ctx;
    seen.pieces++;
    seen.read += piece.size;
    dx_buffer_add(&e->waiting, piece);
    assert_true(e->waiting.size <= DX_BODY_WINDOW + 65536); // what the reader has not consumed is bounded
    echo_on(e, x);
}

static void echo_end(void *ctx, dx_exchange *x, dx_status why) {
    echoing *e = ctx;
    note_end(x, why);
    e->ended = true;
    if (why == DX_OK)
        echo_on(e, x);
    else
        (void)dx_exchange_fail(x, why, NULL);
}

static void echo_closed(void *ctx, dx_exchange *x, dx_status why) {
    dx_buffer_deinit(&((echoing *)ctx)->waiting);
    on_source_closed(ctx, x, why);
}
static const dx_source_ops echo_source = {echo_ready, NULL, echo_closed};
static const dx_reader_ops echo_reader = {echo_piece, echo_end};

static dx_verdict echo(const void *conf, dx_exchange *x) {
    (void)conf;
    echoing *e = DX_ARENA_NEW(x->arena, echoing);
    if (!e) return dx_exchange_fail(x, DX_NO_MEMORY, NULL);
    dx_buffer_init(&e->waiting, NULL, 1u << 20);
    dx_exchange_read(x, &echo_reader, e);
    return dx_exchange_stream(x, 200, DX_SLICE("text/plain"), &echo_source, e);
}

static dx_verdict tunnel(const void *conf, dx_exchange *x) {
    (void)conf;
    echoing *e = DX_ARENA_NEW(x->arena, echoing);
    dx_buffer_init(&e->waiting, NULL, 1u << 20);
    return dx_exchange_tunnel(x, &echo_source, &echo_reader, e);
}

// Count: reads all of it, then answers how much that was.
static bool consumes;

static void count_piece(void *ctx, dx_exchange *x, dx_slice piece) {
    (void)ctx;
    seen.pieces++;
    seen.read += piece.size;
    if (consumes) dx_exchange_consume(x, piece.size);
}

static void count_end(void *ctx, dx_exchange *x, dx_status why) {
    (void)ctx;
    note_end(x, why);
    if (why == DX_OK)
        (void)dx_exchange_body(x, 200, DX_SLICE("text/plain"), dx_arena_printf(x->arena, "%zu", seen.read));
    else
        (void)dx_exchange_fail(x, why, NULL);
    dx_exchange_resume(x, DX_ANSWER);
}
static const dx_reader_ops count_reader = {count_piece, count_end};

static dx_verdict count(const void *conf, dx_exchange *x) {
    (void)conf;
    seen.x = x;
    seen.handled = true;
    dx_exchange_read(x, &count_reader, NULL);
    return DX_WAIT;
}

static dx_verdict early(const void *conf, dx_exchange *x) {
    (void)conf;
    seen.handled = true;
    return dx_exchange_body(x, 200, DX_SLICE("text/plain"), DX_SLICE("early"));
}

static dx_verdict whole(const void *conf, dx_exchange *x) {
    (void)conf;
    seen.handled = true;
    char first = '-';
    if (x->request.spilled) {
        assert_int_equal(x->request.body.size, 0);
        assert_int_equal(pread(dx_spool_file(x->request.spilled), &first, 1, 0), 1);
        return dx_exchange_body(x, 200, DX_SLICE("text/plain"),
                                dx_arena_printf(x->arena, "file %llu %c", (unsigned long long)dx_spool_size(x->request.spilled), first));
    }
    if (x->request.body.size) first = x->request.body.data[0];
    return dx_exchange_body(x, 200, DX_SLICE("text/plain"), dx_arena_printf(x->arena, "memory %zu %c", x->request.body.size, first));
}

static dx_verdict file(const void *conf, dx_exchange *x) {
    (void)conf;
    FILE *made = tmpfile();
    assert_non_null(made);
    for (size_t i = 0; i < 100000; i++) assert_int_equal(putc((int)('a' + i % 26), made) != EOF, 1);
    assert_int_equal(fflush(made), 0);
    int descriptor = dup(fileno(made));
    fclose(made);
    return dx_exchange_file(x, 206, DX_SLICE("text/plain"), descriptor, 26, 52000);
}

static dx_status build(void *state, dx_app *app, dx_diags *diags) {
    static const struct {
        const char *method, *path;
        dx_body_mode body;
        uint64_t cap, spool;
        dx_handler handler;
    } rows[] = {
        {"GET", "/ticks", DX_BODY_NONE, 0, 0, ticks},
        {"GET", "/quiet", DX_BODY_NONE, 0, 0, quiet},
        {"GET", "/trouble", DX_BODY_NONE, 0, 0, trouble},
        {"GET", "/farewell", DX_BODY_NONE, 0, 0, farewell},
        {"GET", "/tunnel", DX_BODY_NONE, 0, 0, tunnel},
        {"GET", "/file", DX_BODY_NONE, 0, 0, file},
        {"POST", "/echo", DX_BODY_STREAM, 1u << 30, 0, echo},
        {"POST", "/count", DX_BODY_STREAM, CAP, 0, count},
        {"POST", "/early", DX_BODY_STREAM, CAP, 0, early},
        {"POST", "/whole", DX_BODY_WHOLE, CAP, 0, whole},
        {"POST", "/spool", DX_BODY_WHOLE, 4u << 20, 1000, whole},
        {"POST", "/pour", DX_BODY_STREAM, 64u << 20, 0, count},
        {"POST", "/huge", DX_BODY_STREAM, 1ull << 40, 0, count},
    };
    (void)state;
    (void)diags;
    for (size_t i = 0; i < DX_COUNT_OF(rows); i++) {
        dx_operation *operation = DX_ARENA_NEW(dx_app_arena(app), dx_operation);
        *operation = (dx_operation){.id = dx_slice_str(rows[i].path),
                                    .method = dx_method_parse(dx_slice_str(rows[i].method)),
                                    .path = dx_slice_str(rows[i].path),
                                    .body = rows[i].body,
                                    .body_cap = rows[i].cap,
                                    .spool = rows[i].spool,
                                    .handler = rows[i].handler,
                                    .access = {.is_public = true}};
        dx_status status = dx_app_add_operation(app, operation);
        if (status != DX_OK) return status;
    }
    return DX_OK;
}

static const dx_feature streams = {.name = "streams", .build = build};
const dx_feature *const dx_features[] = {&streams, NULL};

// --- the tests -------------------------------------------------------------------------------------------------------------------

static int set_up(void **state) {
    (void)state;
    memset(&seen, 0, sizeof seen);
    consumes = true;
    loopback_open(&f, "{\"server\": {\"log\": {\"level\": \"off\"}}}");
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    loopback_close(&f);
    return 0;
}

static bool is_closed(void *ctx) {
    return seen.closed >= *(size_t *)ctx;
}

static bool is_ended(void *ctx) {
    return seen.ended >= *(size_t *)ctx;
}

static size_t one = 1;

static void assert_answer(int status, const char *body) {
    if (f.answer.status != status || strcmp(f.answer.body.data, body) != 0)
        fail_msg("expected %d %s, got %d %.300s", status, body, f.answer.status, f.answer.body.data);
}

static void send_zeros(size_t size) {
    static char zeros[65536];
    for (size_t n; size > 0; size -= n) {
        n = size < sizeof zeros ? size : sizeof zeros;
        loopback_send_bytes(&f, zeros, n);
    }
}

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
    loopback_await(&f, is_closed, &one);
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
    loopback_await(&f, is_closed, &one);
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
    loopback_await(&f, is_ended, &one);
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
    loopback_await(&f, is_ended, &one);
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
    loopback_await(&f, is_closed, &one);
    assert_int_equal(seen.end_why, DX_OK);
    assert_int_equal(seen.closed_why, DX_OK);
}

static void a_tunnel_that_was_not_asked_for_is_refused(void **state) {
    (void)state;
    loopback_ask(&f, "GET /tunnel HTTP/1.1\r\n" HOST "\r\n");
    assert_int_equal(f.answer.status, 426);
}

// --- whole bodies and spools

static void whole_bodies_are_gathered(void **state) {
    (void)state;
    loopback_send(&f, "POST /whole HTTP/1.1\r\n" CHUNKED "3\r\nabc\r\n");
    loopback_settle(&f);
    assert_false(seen.handled);
    loopback_send(&f, "2\r\nde\r\n0\r\n\r\n");
    loopback_read(&f, false);
    assert_answer(200, "memory 5 a");
    loopback_ask(&f, "POST /whole HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nxyz");
    assert_answer(200, "memory 3 x");
}

static void whole_bodies_have_a_cap(void **state) {
    (void)state;
    loopback_send(&f, "POST /whole HTTP/1.1\r\n" CHUNKED "186a1\r\n");
    send_zeros(CAP + 1);
    loopback_read(&f, false);
    assert_int_equal(f.answer.status, 413);
    assert_false(seen.handled);
}

static void a_body_over_the_declared_memory_is_spilled(void **state) {
    (void)state;
    char body[1001], head[128];
    memset(body, 's', sizeof body);
    snprintf(head, sizeof head, "POST /spool HTTP/1.1\r\n" HOST "Content-Length: 1000\r\n\r\n");
    loopback_send(&f, head);
    loopback_send_bytes(&f, body, 1000);
    loopback_read(&f, false);
    assert_answer(200, "memory 1000 s");
    snprintf(head, sizeof head, "POST /spool HTTP/1.1\r\n" HOST "Content-Length: 1001\r\n\r\n");
    loopback_send(&f, head);
    loopback_send_bytes(&f, body, 1001);
    loopback_read(&f, false);
    assert_answer(200, "file 1001 s");
}

static void a_large_body_is_spilled_in_bounded_memory(void **state) {
    (void)state;
    loopback_send(&f, "POST /spool HTTP/1.1\r\n" HOST "Content-Length: 4194304\r\n\r\n");
    send_zeros(4u << 20);
    loopback_read(&f, false);
    assert_int_equal(f.answer.status, 200);
    assert_true(dx_slice_starts(f.answer.body, DX_SLICE("file 4194304 ")));
    loopback_ask(&f, "POST /spool HTTP/1.1\r\n" HOST "Content-Length: 4194305\r\n\r\n");
    assert_int_equal(f.answer.status, 413);
}

static void a_peer_that_goes_while_its_body_is_spilled_leaves_nothing(void **state) {
    (void)state;
    loopback_send(&f, "POST /spool HTTP/1.1\r\n" HOST "Content-Length: 4000000\r\n\r\n");
    send_zeros(1u << 20);
    loopback_settle(&f);
    loopback_connect(&f);
    loopback_settle(&f);
    assert_int_equal(f.worker->live, 0);
    assert_false(seen.handled);
}

// --- codings

static void compress(dx_buffer *out, dx_coding coding, const char *data, size_t size) {
    dx_compressor *compressor;
    dx_buffer_init(out, NULL, 64u << 20);
    assert_int_equal(dx_compressor_create(&compressor, coding, 5, -1), DX_OK);
    assert_int_equal(dx_compressor_run(compressor, dx_slice_of(data, size), DX_COMPRESS_END, out), DX_OK);
    dx_compressor_destroy(compressor);
}

static void post(const char *path, const char *coding, const void *body, size_t size) {
    char head[256];
    snprintf(head, sizeof head, "POST %s HTTP/1.1\r\n" HOST "Content-Encoding: %s\r\nContent-Length: %zu\r\n\r\n", path, coding, size);
    memset(&seen, 0, sizeof seen);
    loopback_connect(&f);
    loopback_send(&f, head);
    loopback_send_bytes(&f, body, size);
    loopback_read(&f, false);
}

// Text that does not shrink below a tenth.
static char *text_of(size_t size) {
    char *text = malloc(size);
    uint32_t seed = 7;
    for (size_t i = 0; i < size; i++) {
        seed = seed * 1103515245u + 12345u;
        text[i] = "0123456789abcdef"[seed >> 28];
    }
    return text;
}

static void encoded_bodies_reach_handlers_decoded(void **state) {
    (void)state;
    char *text = text_of(CAP);
    for (int coding = DX_CODING_GZIP; coding < DX_CODING_COUNT; coding++) {
        const char *name = dx_coding_name((dx_coding)coding).data;
        dx_buffer packed;
        compress(&packed, (dx_coding)coding, text, CAP);
        post("/count", name, packed.data, packed.size);
        assert_answer(200, "100000");
        post("/whole", name, packed.data, packed.size);
        assert_int_equal(f.answer.status, 200);
        assert_true(dx_slice_starts(f.answer.body, DX_SLICE("memory 100000")));
        post("/spool", name, packed.data, packed.size);
        assert_true(dx_slice_starts(f.answer.body, DX_SLICE("file 100000")));
        post("/whole", name, packed.data, packed.size - 5);
        assert_int_equal(f.answer.status, 400);
        post("/count", name, "garbage!", 8);
        assert_int_equal(f.answer.status, 400);
        assert_int_equal(seen.end_why, DX_MALFORMED);
        dx_buffer_deinit(&packed);
    }
    post("/whole", "identity", text, 10);
    assert_int_equal(f.answer.status, 200);
    free(text);
}

static void what_unpacks_to_one_over_the_cap_is_refused(void **state) {
    (void)state;
    char *text = text_of(CAP + 1);
    dx_buffer packed;
    compress(&packed, DX_CODING_GZIP, text, CAP + 1);
    post("/whole", "gzip", packed.data, packed.size);
    assert_int_equal(f.answer.status, 413);
    assert_non_null(strstr(f.answer.body.data, "unpacked"));
    assert_false(seen.handled);
    post("/count", "gzip", packed.data, packed.size);
    assert_int_equal(f.answer.status, 413);
    assert_int_equal(seen.ended, 1);
    dx_buffer_deinit(&packed);
    free(text);
}

static void a_bomb_is_refused(void **state) {
    (void)state;
    size_t size = 3u << 20;
    char *zeros = calloc(1, size);
    for (int coding = DX_CODING_GZIP; coding < DX_CODING_COUNT; coding++) {
        dx_buffer packed;
        compress(&packed, (dx_coding)coding, zeros, size);
        post("/spool", dx_coding_name((dx_coding)coding).data, packed.data, packed.size);
        assert_int_equal(f.answer.status, 413);
        assert_non_null(strstr(f.answer.body.data, "100 times"));
        dx_buffer_deinit(&packed);
    }
    free(zeros);
}

static void several_codings_and_unknown_ones_are_refused(void **state) {
    static const char *const wrong[] = {"gzip, br", "deflate", "compress", "gzip, gzip", "rot13"};
    (void)state;
    for (size_t i = 0; i < DX_COUNT_OF(wrong); i++) {
        post(i % 2 ? "/count" : "/whole", wrong[i], "abc", 3);
        assert_int_equal(f.answer.status, 415);
        assert_string_equal(loopback_field(&f, "accept-encoding"), "gzip, br, zstd");
        assert_false(seen.handled);
    }
}

static void a_reader_that_does_not_consume_holds_the_decoder(void **state) {
    (void)state;
    size_t size = 16u << 20;
    char *text = text_of(1u << 20), head[256];
    dx_buffer packed, all;
    consumes = false;
    dx_buffer_init(&all, NULL, 64u << 20);
    for (size_t i = 0; i < size; i += 1u << 20) dx_buffer_append(&all, text, 1u << 20);
    compress(&packed, DX_CODING_GZIP, all.data, all.size);
    snprintf(head, sizeof head, "POST /pour HTTP/1.1\r\n" HOST "Content-Encoding: gzip\r\nContent-Length: %zu\r\n\r\n", packed.size);
    loopback_send(&f, head);
    loopback_send_bytes(&f, packed.data, packed.size);
    loopback_settle(&f);
    assert_true(seen.read >= DX_BODY_WINDOW && seen.read < 2 * DX_BODY_WINDOW);
    assert_true(dx_arena_footprint(seen.x->arena) < (3u << 20));
    consumes = true;
    dx_exchange_consume(seen.x, seen.read);
    loopback_read(&f, false);
    assert_answer(200, "16777216");
    free(text);
    dx_buffer_deinit(&packed);
    dx_buffer_deinit(&all);
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

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

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
        TEST(whole_bodies_are_gathered),
        TEST(whole_bodies_have_a_cap),
        TEST(a_body_over_the_declared_memory_is_spilled),
        TEST(a_large_body_is_spilled_in_bounded_memory),
        TEST(a_peer_that_goes_while_its_body_is_spilled_leaves_nothing),
        TEST(encoded_bodies_reach_handlers_decoded),
        TEST(what_unpacks_to_one_over_the_cap_is_refused),
        TEST(a_bomb_is_refused),
        TEST(several_codings_and_unknown_ones_are_refused),
        TEST(a_reader_that_does_not_consume_holds_the_decoder),
        TEST(every_allocation_of_a_streamed_exchange_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
