#include "client/pages_fixture.h"

#include <stdio.h>
#include <stdlib.h>

static const char definition[] =
    "{\"api\": {\"base_url\": \"https://api.example.com/v\", \"timeout\": 30, \"retry\": {\"attempts\": 1},"
    "\"pool\": {\"max_connections\": 10000}, \"auth\": {\"type\": \"api_key\", \"in\": \"query\", \"name\": \"k\", \"value\": \"hidden\"},"
    "\"endpoints\": {\"v1\": {"
    "\"item\": {\"path\": \"/item/{id}\", \"params\": {\"id\": {\"type\": \"int\", \"required\": true}}},"
    "\"pages\": {\"path\": \"/list\", \"params\": {\"page\": {\"in\": \"query\", \"type\": \"int\"}, \"size\": {\"in\": \"query\", "
    "\"type\": \"int\"},"
    " \"q\": {\"in\": \"query\"}, \"pin\": {\"in\": \"query\", \"secret\": true}},"
    " \"paginate\": {\"type\": \"page\", \"items\": \"/items\", \"size_param\": \"size\", \"size\": 10, \"total\": \"/total\", "
    "\"has_more\": "
    "\"/more\"}},"
    "\"offset\": {\"path\": \"/list\", \"params\": {\"offset\": {\"in\": \"query\", \"type\": \"int\"}, \"limit\": {\"in\": \"query\", "
    "\"type\": "
    "\"int\"}},"
    " \"paginate\": {\"type\": \"offset\", \"items\": \"/items\", \"size_param\": \"limit\", \"size\": 10, \"total\": \"/total\"}},"
    "\"cursor\": {\"path\": \"/list\", \"params\": {\"cursor\": {\"in\": \"query\"}},"
    " \"paginate\": {\"type\": \"cursor\", \"items\": \"/items\", \"cursor\": \"/next\", \"has_more\": \"/more\", \"total\": \"/total\"}},"
    "\"link\": {\"path\": \"/list\", \"params\": {\"q\": {\"in\": \"query\"}, \"pin\": {\"in\": \"query\", \"secret\": true}},"
    " \"paginate\": {\"type\": \"link\", \"items\": \"/items\"}},"
    "\"next\": {\"path\": \"/list\", \"paginate\": {\"type\": \"next_url\", \"items\": \"/items\", \"next_url\": \"/next\"}}"
    "}}}}";

// --- the transport: plain malloc, so that only the client's own allocations are made to fail

typedef struct fake_loop {
    dx_fake *fake;
    dx_loop *loop;
} fake_loop;

typedef struct pending {
    dx_task task;
    fake_loop *at;
    dx_transfer *transfer; // NULL: cancelled
    bool never;
} pending;

static dx_status fake_open(void **out, const void *conf, dx_loop *loop) {
    fake_loop *at = malloc(sizeof *at);
    if (!at) return DX_NO_MEMORY;
    *at = (fake_loop){(dx_fake *)(uintptr_t)conf, loop};
    *out = at;
    return DX_OK;
}

static bool fill(dx_exchange *x, int status, dx_slice body, dx_slice link) {
    dx_slice own = dx_arena_copy(x->arena, body), own_link = dx_arena_copy(x->arena, link);
    if (!own.data || !own_link.data) return false;
    x->response.status = status;
    x->response.body = own;
    return !link.size || dx_fields_add(&x->response.fields, x->arena, DX_SLICE("Link"), own_link) == DX_OK;
}

static void answer(dx_task *task) {
    pending *p = DX_CONTAINER_OF(task, pending, task);
    dx_transfer *transfer = p->transfer;
    dx_fake *fake = p->at->fake;
    free(p);
    if (!transfer) return;
    char room[16000];
    dx_exchange *x = transfer->x;
    dx_buffer body = {.data = room, .capacity = 12000, .cap = 12000 - 1}, link = {.data = room + 12000, .capacity = 4000, .cap = 4000 - 1};
    size_t path = dx_slice_find(dx_slice_from(transfer->url, 8), '/');
    int status = fake->serve(fake, dx_slice_from(transfer->url, 8 + path), &body, &link);
    (void)atomic_fetch_sub(&fake->under_way, 1);
    transfer->state = NULL;
    if (!fill(x, status, dx_buffer_slice(&body), dx_buffer_slice(&link))) (void)dx_exchange_fail_out(x, DX_ERROR_NO_MEMORY, NULL);
    transfer->ops->done(transfer);
}

static void fake_send(void *self, dx_transfer *transfer) {
    fake_loop *at = self;
    pending *p = calloc(1, sizeof *p);
    if (!p) abort();
    unsigned now = atomic_fetch_add(&at->fake->under_way, 1) + 1, most = atomic_load(&at->fake->most);
    while (now > most && !atomic_compare_exchange_weak(&at->fake->most, &most, now)) continue;
    (void)atomic_fetch_add(&at->fake->sent, 1);
    *p = (pending){.task.run = answer, .at = at, .transfer = transfer};
    transfer->state = p;
    size_t path = dx_slice_find(dx_slice_from(transfer->url, 8), '/');
    p->never = dx_slice_find(dx_slice_from(transfer->url, 8 + path), '!') != SIZE_MAX; // a target with a "!" is never answered
    if (!p->never) dx_loop_post(at->loop, &p->task);
}

static void fake_cancel(void *self, dx_transfer *transfer) {
    fake_loop *at = self;
    pending *p = transfer->state;
    transfer->state = NULL;
    if (!p) return;
    (void)atomic_fetch_sub(&at->fake->under_way, 1);
    p->transfer = NULL;
    if (p->never) free(p);
}

static void fake_resume(void *self, dx_transfer *transfer) {
    (void)self;
    (void)transfer;
}

static const dx_transport_ops fake_ops = {
    .name = "fake", .open = fake_open, .send = fake_send, .cancel = fake_cancel, .resume = fake_resume, .close = free};

dx_client *dx_fake_client(dx_fake *fake, unsigned threads) {
    dx_client_options options = DX_CLIENT_OPTIONS_INIT;
    dx_client *client;
    dx_error error;
    options.threads = threads;
    if (dx_client_open_text(&client, definition, sizeof definition - 1, &options, &error)) {
        fprintf(stderr, "%s\n", error.message);
        abort();
    }
    client->use = (dx_transport_use){&fake_ops, fake}; // before any engine is made
    return client;
}

long dx_fake_number(dx_slice target, const char *name, long otherwise) {
    char pattern[64], text[4096];
    (void)snprintf(text, sizeof text, "%.*s", DX_SLICE_ARG(target));
    for (int i = 0; i < 2; i++) {
        (void)snprintf(pattern, sizeof pattern, "%c%s=", "?&"[i], name);
        const char *found = strstr(text, pattern);
        if (found) return strtol(found + strlen(pattern), NULL, 10);
    }
    return otherwise;
}

void dx_fake_items(dx_buffer *body, long from, long to) {
    DX_BUFFER_LIT(body, "\"items\": [");
    for (long i = from; i < to; i++) dx_buffer_printf(body, "%s%ld", i > from ? "," : "", i);
    dx_buffer_byte(body, ']');
}
