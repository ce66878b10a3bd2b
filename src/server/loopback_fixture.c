// The server without sockets: what host/workers.c does on a thread of its own is done here on the test's, and answers are read by a small
// parser of their own, so that ours is not judged by itself.
#include "server/loopback_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#define PATIENCE (20 * DX_SECOND)
#define QUIET    (20 * DX_MILLISECOND)

// --- the server --------------------------------------------------------------------------------------------------------------

static void start_worker(loopback_fixture *f) {
    dx_worker *worker = f->worker = &f->process->workers[0];
    const dx_settings *settings = &f->app->settings;
    worker->app = f->app;
    assert_int_equal(dx_loop_create(&worker->loop), DX_OK);
    dx_request_logger_init(&worker->logger, NULL, worker->loop);
    assert_int_equal(dx_overload_start(&worker->overload, worker->loop, settings->overload_turn), DX_OK);
    worker->session = dx_store_session(f->process->store, 0, worker->loop);
    assert_non_null(worker->session);
    for (size_t i = 0; dx_features[i]; i++)
        if (dx_features[i]->start) assert_int_equal(dx_features[i]->start(f->app->states[i], f->app, 0, worker->loop), DX_OK);
    dx_listener_options options = {
        .limits = settings->limits, .arena_cap = (size_t)settings->arena_cap, .ops = &dx_serve_ops, .ctx = worker};
    assert_int_equal(dx_listener_start(&worker->listener, worker->loop, &options, NULL), DX_OK);
}

void loopback_open(loopback_fixture *f, const char *definition) {
    memset(f, 0, sizeof *f);
    f->arena = dx_arena_create(16u << 20);
    f->answers = dx_arena_create((size_t)1 << 30);
    assert_true(f->arena && f->answers);
    dx_diags_init(&f->diags, f->arena);
    snprintf(f->path, sizeof f->path, "/tmp/dx-loopback-XXXXXX");
    int file = mkstemp(f->path);
    assert_true(file >= 0);
    assert_int_equal(write(file, definition, strlen(definition)), (ssize_t)strlen(definition));
    assert_int_equal(close(file), 0);
    dx_app_options options = {.path = f->path, .offline = true};
    dx_status status = dx_app_create(&f->app, &options, &f->diags);
    if (status != DX_OK) fail_msg("%s", f->diags.first ? dx_diag_text(f->diags.first, f->arena).data : dx_status_name(status));
    f->process = dx_process_hold(f->app->process);
    dx_app_activate(f->app);
    start_worker(f);
    loopback_connect(f);
}

static void on_drained(void *ctx) {
    ((loopback_fixture *)ctx)->drained = true;
}

static bool is_true(void *flag) {
    return *(bool *)flag;
}

void loopback_close(loopback_fixture *f) {
    dx_serve_drain(f->worker);
    dx_listener_drain(f->worker->listener, DX_DRAIN_NOW, 0, on_drained, f);
    assert_true(dx_loopback_run(f->client, is_true, &f->drained, PATIENCE));
    loopback_settle(f); // exchanges that wait for a pool thread
    assert_int_equal(f->worker->live, 0);
    dx_loopback_destroy(f->client);
    dx_listener_destroy(f->worker->listener);
    f->worker->listener = NULL;
    dx_request_logger_deinit(&f->worker->logger);
    dx_process_finish(f->process);
    dx_app_destroy(f->app);
    dx_process_release(f->process);
    dx_arena_destroy(f->arena);
    dx_arena_destroy(f->answers);
    assert_int_equal(unlink(f->path), 0);
}

// --- the client --------------------------------------------------------------------------------------------------------------

void loopback_connect(loopback_fixture *f) {
    dx_loopback_destroy(f->client);
    assert_int_equal(dx_loopback_connect(&f->client, f->worker->listener, "127.0.0.1:4711"), DX_OK);
}

void loopback_send_bytes(loopback_fixture *f, const void *data, size_t size) {
    dx_loopback_send(f->client, dx_slice_of(data, size));
}

void loopback_send(loopback_fixture *f, const char *text) {
    loopback_send_bytes(f, text, strlen(text));
}

static bool never(void *ctx) {
    (void)ctx;
    return false;
}

void loopback_settle(loopback_fixture *f) {
    (void)dx_loopback_run(f->client, never, NULL, QUIET);
}

void loopback_await(loopback_fixture *f, bool (*until)(void *ctx), void *ctx) {
    assert_true(dx_loopback_run(f->client, until, ctx, PATIENCE));
}

// --- answers -----------------------------------------------------------------------------------------------------------------

typedef struct reading {
    loopback_fixture *f;
    bool to_head;
    size_t size; // of the answer in what was received; 0: not whole yet
} reading;

static dx_slice field_of(dx_slice head, const char *name) {
    for (dx_slice rest = head; rest.data;) {
        dx_slice line = dx_slice_cut(&rest, '\n'), key = dx_slice_cut(&line, ':');
        if (line.data && dx_slice_equal_nocase(key, dx_slice_str(name))) {
            if (line.size && line.data[line.size - 1] == '\r') line.size--;
            return dx_slice_trim(line);
        }
    }
    return (dx_slice){NULL, 0};
}

static dx_slice copy(loopback_fixture *f, const dx_buffer *text) {
    dx_slice copied = dx_arena_copy(f->answers, dx_buffer_slice(text));
    assert_non_null(copied.data);
    return copied;
}

// The size of a chunked body with its end, or 0 when it is not whole; what it carries goes to `out`.
static size_t read_chunks(dx_slice text, dx_buffer *out, dx_buffer *trailers) {
    size_t at = 0;
    for (;;) {
        const char *line = memmem(text.data + at, text.size - at, "\r\n", 2);
        if (!line) return 0;
        size_t size = strtoul(text.data + at, NULL, 16), from = (size_t)(line - text.data) + 2;
        if (size == 0) {
            const char *end = memmem(line, text.size - (size_t)(line - text.data), "\r\n\r\n", 4);
            if (end) dx_buffer_append(trailers, line + 2, (size_t)(end - line));
            return end ? (size_t)(end - text.data) + 4 : 0;
        }
        if (text.size - from < size + 2) return 0;
        dx_buffer_append(out, text.data + from, size);
        at = from + size + 2;
    }
}

// Whether one answer is whole (or cut short by the connection's end), which is then taken apart.
static bool answer_came(void *ctx) {
    reading *r = ctx;
    loopback_fixture *f = r->f;
    loopback_answer *answer = &f->answer;
    dx_slice text = dx_buffer_slice(dx_loopback_received(f->client));
    bool over = dx_loopback_ended(f->client) || dx_loopback_closed(f->client);
    const char *end = text.size ? memmem(text.data, text.size, "\r\n\r\n", 4) : NULL;
    if (!end) {
        answer->broken = over;
        return over;
    }
    dx_buffer head, body, trailers;
    dx_buffer_init(&head, NULL, 1u << 20);
    dx_buffer_init(&body, NULL, (size_t)1 << 30);
    dx_buffer_init(&trailers, NULL, 1u << 20);
    size_t head_size = (size_t)(end - text.data) + 4;
    dx_buffer_append(&head, text.data, head_size);
    answer->status = (int)strtol(text.data + strlen("HTTP/1.1 "), NULL, 10);
    dx_slice whole = dx_buffer_slice(&head), length = field_of(whole, "content-length"), rest = dx_slice_from(text, head_size);
    int64_t size = 0;
    bool bodiless = r->to_head || answer->status < 200 || answer->status == 204 || answer->status == 304;
    if (bodiless) {
        r->size = head_size;
    } else if (field_of(whole, "transfer-encoding").size) {
        size_t chunks = rest.size ? read_chunks(rest, &body, &trailers) : 0;
        r->size = chunks ? head_size + chunks : 0;
    } else if (dx_slice_to_i64(length, &size)) {
        if (rest.size >= (size_t)size) r->size = head_size + (size_t)size;
        dx_buffer_append(&body, rest.data, rest.size < (size_t)size ? rest.size : (size_t)size);
    } else if (over) { // ended by the connection's end
        dx_buffer_append(&body, rest.data, rest.size);
        r->size = text.size;
    }
    answer->broken = over && r->size == 0;
    if (r->size || answer->broken) {
        answer->head = copy(f, &head);
        answer->body = copy(f, &body);
        answer->trailers = copy(f, &trailers);
    }
    dx_buffer_deinit(&head);
    dx_buffer_deinit(&body);
    dx_buffer_deinit(&trailers);
    return r->size > 0 || answer->broken;
}

const loopback_answer *loopback_read(loopback_fixture *f, bool to_head) {
    unsigned interim = 0;
    dx_arena_reset(f->answers);
    memset(&f->answer, 0, sizeof f->answer);
    for (;;) {
        reading r = {.f = f, .to_head = to_head};
        if (!dx_loopback_run(f->client, answer_came, &r, PATIENCE))
            fail_msg("no answer in: %.200s", dx_loopback_received(f->client)->size
                                                 ? dx_arena_copy(f->arena, dx_buffer_slice(dx_loopback_received(f->client))).data
                                                 : "");
        dx_loopback_take(f->client, r.size ? r.size : dx_loopback_received(f->client)->size);
        if (f->answer.status >= 200 || f->answer.status == 101 || f->answer.broken) break;
        interim++;
    }
    f->answer.interim = interim;
    return &f->answer;
}

const loopback_answer *loopback_ask(loopback_fixture *f, const char *request) {
    loopback_send(f, request);
    return loopback_read(f, strncmp(request, "HEAD ", 5) == 0);
}

const char *loopback_field(loopback_fixture *f, const char *name) {
    dx_slice value = field_of(f->answer.head, name);
    return value.data ? dx_arena_copy(f->answers, value).data : "";
}
