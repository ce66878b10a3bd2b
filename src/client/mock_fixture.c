#include "client/mock_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

typedef struct sent {
    dx_task task;
    mock *mock_of;
    dx_transfer *transfer; // NULL: it was cancelled
} sent;

typedef struct mock_loop {
    mock *mock_of;
    dx_loop *loop;
} mock_loop;

static dx_status open_mock(void **out, const void *conf, dx_loop *loop) {
    mock_loop *self = calloc(1, sizeof *self);
    *self = (mock_loop){(mock *)(uintptr_t)conf, loop};
    *out = self;
    return DX_OK;
}

static void serve(dx_task *task) {
    sent *s = DX_CONTAINER_OF(task, sent, task);
    dx_transfer *transfer = s->transfer;
    mock *server = s->mock_of;
    free(s);
    if (!transfer) return;
    dx_exchange *x = transfer->x;
    transfer->state = NULL;
    mock_request request = {.x = x,
                            .method = dx_method_name(x->request.method),
                            .url = transfer->url.data,
                            .body = dx_arena_copy(x->arena, x->request.body).data,
                            .call = dx_call_of(x)};
    (void)atomic_fetch_add(&server->sent, 1);
    dx_exchange_enter(x, DX_PHASE_WAIT, dx_clock_monotonic());
    server->serve(server, &request);
    dx_exchange_enter(x, DX_PHASE_TRANSFER, dx_clock_monotonic());
    transfer->ops->done(transfer);
}

static void send_mock(void *ctx, dx_transfer *transfer) {
    mock_loop *self = ctx;
    sent *s = calloc(1, sizeof *s);
    *s = (sent){{.run = serve}, self->mock_of, transfer};
    transfer->state = s;
    dx_loop_post(self->loop, &s->task);
}

static void cancel_mock(void *ctx, dx_transfer *transfer) {
    (void)ctx;
    if (transfer->state) ((sent *)transfer->state)->transfer = NULL;
    transfer->state = NULL;
}

static void resume_mock(void *ctx, dx_transfer *transfer) {
    (void)ctx;
    (void)transfer;
}

static void close_mock(void *ctx) {
    free(ctx);
}

const dx_transport_ops mock_transport = {
    .name = "mock", .open = open_mock, .send = send_mock, .cancel = cancel_mock, .resume = resume_mock, .close = close_mock};

void mock_header(const mock_request *request, const char *name, const char *value) {
    dx_arena *arena = request->x->arena;
    assert_int_equal(dx_fields_add(&request->x->response.fields, arena, dx_arena_copy(arena, dx_slice_str(name)),
                                   dx_arena_copy(arena, dx_slice_str(value))),
                     DX_OK);
}

void mock_answer(const mock_request *request, int status, const char *type, const char *body) {
    dx_exchange *x = request->x;
    x->response.status = status;
    if (type) mock_header(request, "Content-Type", type);
    x->response.body = dx_arena_copy(x->arena, dx_slice_str(body));
}

const char *mock_field(const mock_request *request, const char *name) {
    dx_slice value = dx_fields_find(&request->x->request.fields, dx_slice_str(name));
    return value.data ? dx_arena_copy(request->x->arena, value).data : "";
}

char *mock_json(const char *text) {
    char *copy = strdup(text);
    for (char *at = copy; *at; at++)
        if (*at == '\'') *at = '"';
    return copy;
}

dx_client *mock_open(mock *server, const char *definition, const dx_client_options *options) {
    dx_client *client;
    dx_error error;
    char *json = mock_json(definition);
    if (dx_client_open_text(&client, json, strlen(json), options, &error)) fail_msg("%s", error.message);
    free(json);
    client->use = (dx_transport_use){&mock_transport, server};
    return client;
}
