#include "server/stream_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "exchange/spool.h"

loopback_fixture f;
stream_seen seen;
bool consumes;
dx_exchange *stream_held[HELD_CAP];
size_t stream_held_count;

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

// Away: as if a thread had the exchange and its arena, and no reader were set.
static dx_verdict away(const void *conf, dx_exchange *x) {
    (void)conf;
    seen.x = x;
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

static dx_verdict hold(const void *conf, dx_exchange *x) {
    (void)conf;
    assert_true(stream_held_count < HELD_CAP);
    stream_held[stream_held_count++] = x;
    return DX_WAIT;
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
        {"GET", "/away", DX_BODY_NONE, 0, 0, away},
        {"POST", "/away", DX_BODY_STREAM, CAP, 0, away},
        {"POST", "/echo", DX_BODY_STREAM, 1u << 30, 0, echo},
        {"POST", "/count", DX_BODY_STREAM, CAP, 0, count},
        {"POST", "/early", DX_BODY_STREAM, CAP, 0, early},
        {"POST", "/whole", DX_BODY_WHOLE, CAP, 0, whole},
        {"POST", "/spool", DX_BODY_WHOLE, 4u << 20, 1000, whole},
        {"POST", "/parked", DX_BODY_WHOLE, 64u << 20, 0, whole},
        {"POST", "/hold", DX_BODY_WHOLE, 64u << 20, 0, hold},
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

int stream_set_up(void **state) {
    (void)state;
    memset(&seen, 0, sizeof seen);
    consumes = true;
    stream_held_count = 0;
    loopback_open(&f, "{\"server\": {\"log\": {\"level\": \"off\"}}}");
    return 0;
}

int stream_tear_down(void **state) {
    (void)state;
    loopback_close(&f);
    return 0;
}

bool stream_is_closed(void *ctx) {
    return seen.closed >= *(size_t *)ctx;
}

bool stream_is_ended(void *ctx) {
    return seen.ended >= *(size_t *)ctx;
}

void assert_answer(int status, const char *body) {
    if (f.answer.status != status || strcmp(f.answer.body.data, body) != 0)
        fail_msg("expected %d %s, got %d %.300s", status, body, f.answer.status, f.answer.body.data);
}

void send_zeros(size_t size) {
    static char zeros[65536];
    for (size_t n; size > 0; size -= n) {
        n = size < sizeof zeros ? size : sizeof zeros;
        loopback_send_bytes(&f, zeros, n);
    }
}
