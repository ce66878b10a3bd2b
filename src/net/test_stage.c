// The stage: see the header.
#include "net/test_stage.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define PATIENCE (20 * DX_SECOND)
#define QUIET    (5 * DX_MILLISECOND)

static void keep(char *to, size_t capacity, dx_slice text) {
    size_t size = text.size < capacity - 1 ? text.size : capacity - 1;
    if (size) memcpy(to, text.data, size);
    to[size] = 0;
}

static void *on_begin(void *ctx, dx_stream *stream, const dx_request_head *head) {
    stage *s = ctx;
    assert_true(s->begun < STAGE_ACTORS);
    actor *a = &s->actors[s->begun++];
    *a = (actor){.stage = s, .stream = stream, .head = *head};
    keep(a->path, sizeof a->path, head->path);
    keep(a->protocol, sizeof a->protocol, head->protocol);
    keep(a->peer, sizeof a->peer, head->peer);
    dx_buffer_init(&a->body, NULL, 1 << 28);
    dx_buffer_init(&a->trailers, NULL, 1 << 20);
    if (s->on_begin) s->on_begin(a);
    return a;
}

static void on_body(void *owner, dx_slice piece) {
    actor *a = owner;
    assert_int_equal(a->aborts + a->closes, 0);
    dx_buffer_add(&a->body, piece);
    if (a->stage->consume) dx_stream_consume(a->stream, piece.size);
    if (a->stage->on_body) a->stage->on_body(a, piece);
}

static void on_trailers(void *owner, const dx_fields *fields) {
    actor *a = owner;
    assert_int_equal(a->ends, 0);
    for (uint32_t i = 0; i < fields->count; i++) {
        dx_buffer_printf(&a->trailers, "%.*s: %.*s\n", DX_SLICE_ARG(fields->items[i].name), DX_SLICE_ARG(fields->items[i].value));
    }
}

static void on_end(void *owner) {
    actor *a = owner;
    assert_int_equal(a->aborts + a->closes + a->ends, 0);
    a->ends++;
    if (a->stage->on_end) a->stage->on_end(a);
}

static void on_abort(void *owner, dx_status why) {
    actor *a = owner;
    assert_int_equal(a->aborts + a->closes, 0);
    a->aborts++;
    a->why = why;
    dx_stream_drop(a->stream);
}

static void on_closed(void *owner, bool sent, uint64_t bytes) {
    actor *a = owner;
    assert_int_equal(a->closes, 0);
    a->closes++;
    a->sent = sent;
    a->bytes = bytes;
    a->stream = NULL;
    a->stage->closed++;
    if (a->stage->on_closed) a->stage->on_closed(a);
}

static void on_reject(void *ctx, dx_arena *arena, dx_slice peer, dx_status why, const char *reason, dx_response_head *head,
                      dx_slice *body) {
    stage *s = ctx;
    (void)peer;
    s->rejected++;
    head->status = dx_status_http(why);
    *body = dx_arena_copy(arena, dx_slice_str(reason));
}

static void on_writable(void *owner) {
    actor *a = owner;
    a->writables++;
    if (a->stage->on_writable) a->stage->on_writable(a);
}

static const dx_stream_ops ops = {
    .begin = on_begin,
    .body = on_body,
    .trailers = on_trailers,
    .end = on_end,
    .abort = on_abort,
    .closed = on_closed,
    .reject = on_reject,
    .writable = on_writable,
};

static int count_open(void) {
    DIR *dir = opendir("/proc/self/fd");
    assert_non_null(dir);
    int count = -1; // the directory's own
    for (struct dirent *entry; (entry = readdir(dir));) count += entry->d_name[0] != '.';
    closedir(dir);
    return count;
}

void stage_open(stage *s, const dx_http_limits *limits) {
    memset(s, 0, sizeof *s);
    assert_int_equal(dx_loop_create(&s->loop), DX_OK); // the first loop of a process opens descriptors that stay
    dx_loop_destroy(s->loop);
    s->descriptors = count_open();
    dx_listener_options options = {.limits = DX_HTTP_LIMITS_INIT, .arena_cap = 16 << 20, .ops = &ops, .ctx = s};
    if (limits) options.limits = *limits;
    assert_int_equal(dx_loop_create(&s->loop), DX_OK);
    assert_int_equal(dx_listener_start(&s->listener, s->loop, &options, NULL), DX_OK);
    stage_connect(s);
}

void stage_connect(stage *s) {
    dx_loopback_destroy(s->client);
    assert_int_equal(dx_loopback_connect(&s->client, s->listener, "127.0.0.1:4711"), DX_OK);
}

static void on_drained(void *ctx) {
    ((stage *)ctx)->drained = true;
}

static bool is_true(void *flag) {
    return *(bool *)flag;
}

void stage_close(stage *s) {
    dx_listener_drain(s->listener, DX_DRAIN_NOW, 0, on_drained, s);
    assert_true(dx_loopback_run(s->client, is_true, &s->drained, PATIENCE));
    dx_loopback_destroy(s->client);
    assert_int_equal(dx_listener_connections(s->listener), 0);
    dx_listener_destroy(s->listener);
    dx_loop_destroy(s->loop);
    assert_int_equal(s->begun, s->closed);
    assert_int_equal(count_open(), s->descriptors);
    stage_forget(s);
}

void stage_forget(stage *s) {
    assert_int_equal(s->begun, s->closed);
    for (size_t i = 0; i < s->begun; i++) {
        dx_buffer_deinit(&s->actors[i].body);
        dx_buffer_deinit(&s->actors[i].trailers);
    }
    s->begun = s->closed = 0;
}

void stage_send(stage *s, const char *text) {
    dx_loopback_send(s->client, dx_slice_str(text));
}

static bool never(void *ctx) {
    (void)ctx;
    return false;
}

void stage_settle(stage *s) {
    (void)dx_loopback_run(s->client, never, NULL, QUIET);
}

void stage_run(stage *s, bool (*until)(void *ctx), void *ctx) {
    assert_true(dx_loopback_run(s->client, until, ctx, PATIENCE));
}

typedef struct goal {
    stage *stage;
    const size_t *counter;
    size_t least;
    const char *text;
} goal;

static bool counter_reached(void *ctx) {
    const goal *g = ctx;
    return *g->counter >= g->least;
}

void stage_await(stage *s, const size_t *counter, size_t least) {
    goal g = {.counter = counter, .least = least};
    if (!dx_loopback_run(s->client, counter_reached, &g, PATIENCE)) fail_msg("it is %zu, not %zu", *counter, least);
}

static bool client_closed(void *ctx) {
    return dx_loopback_closed(ctx);
}

void stage_await_closed(stage *s) {
    assert_true(dx_loopback_run(s->client, client_closed, s->client, PATIENCE));
}

const char *stage_received(stage *s) {
    dx_buffer *received = (dx_buffer *)(uintptr_t)dx_loopback_received(s->client);
    char *end = dx_buffer_reserve(received, 1);
    assert_non_null(end);
    *end = 0;
    return received->data;
}

static bool text_came(void *ctx) {
    const goal *g = ctx;
    return strstr(stage_received(g->stage), g->text) != NULL;
}

void stage_await_text(stage *s, const char *text) {
    goal g = {.stage = s, .text = text};
    if (!dx_loopback_run(s->client, text_came, &g, PATIENCE)) fail_msg("expected %s in: %.300s", text, stage_received(s));
}

void stage_await_bytes(stage *s, size_t bytes) {
    stage_await(s, &dx_loopback_received(s->client)->size, bytes);
}

void stage_take(stage *s) {
    dx_loopback_take(s->client, dx_loopback_received(s->client)->size);
}

void actor_respond(actor *a, const char *body) {
    dx_response_head head = {.status = 200};
    dx_stream_respond(a->stream, &head, dx_slice_str(body));
}
