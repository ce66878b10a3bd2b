// Recording: passes everything on to another transport, and writes what was asked and answered to a file before the answer is told on.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"
#include "client/fail.h"
#include "client/recording.h"

#define RECORDING_FILE_CAP (4 * DX_RECORDING_BODY_CAP)

typedef struct record_transport {
    dx_transport base;
    dx_transport_use inner;
    int folder;
    atomic_uint last; // number of a file
    dx_recording_secrets secrets;
} record_transport;

typedef struct record_loop {
    record_transport *transport;
    void *inner;
} record_loop;

typedef struct record_transfer {
    record_loop *self;
    dx_transfer *outer, inner;
    dx_upload upload; // of an upload: what was read of it
    dx_recording_request request;
    dx_buffer pieces; // of a stream
    int status;
    dx_fields fields;
} record_transfer;

static const char record_kind;

// --- the file --------------------------------------------------------------------------------------------------------------------------

static bool write_all(int file, dx_slice text) {
    while (text.size) {
        ssize_t wrote = write(file, text.data, text.size);
        if (wrote < 0 && errno == EINTR) continue;
        if (wrote <= 0) return false;
        text = dx_slice_from(text, (size_t)wrote);
    }
    return true;
}

// A new file with the next free number; -1: it can't be made.
static int make_file(record_transport *transport, const dx_recording_request *request, char name[static 320]) {
    char method[16] = "";
    for (size_t i = 0; i < request->method.size && i + 1 < sizeof method; i++) method[i] = (char)(request->method.data[i] | 0x20);
    for (;;) {
        unsigned number = atomic_fetch_add(&transport->last, 1) + 1;
        if (number > 999999) return -1;
        (void)snprintf(name, 320, "%06u-%s-%.200s.json", number, method, request->endpoint.size ? request->endpoint.data : "request");
        int file = openat(transport->folder, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        if (file >= 0 || errno != EEXIST) return file;
    }
}

static const char too_large[] = "the exchange is too large to be recorded";

static bool write_file(record_transfer *t, dx_slice body) {
    dx_exchange *x = t->outer->x;
    record_transport *transport = t->self->transport;
    char name[320];
    dx_buffer text;
    dx_buffer_init(&text, x->arena, RECORDING_FILE_CAP);
    dx_recording_write(&text, x->arena, &t->request, t->status, &t->fields, body);
    if (dx_buffer_status(&text) != DX_OK) {
        bool no_memory = dx_buffer_status(&text) == DX_NO_MEMORY;
        (void)dx_exchange_fail_out(x, no_memory ? DX_ERROR_NO_MEMORY : DX_ERROR_FILE, no_memory ? NULL : "%s", too_large);
        return false;
    }
    int file = make_file(transport, &t->request, name);
    bool written = file >= 0 && write_all(file, dx_buffer_slice(&text));
    int why = errno;
    if (file >= 0 && close(file) != 0) written = false;
    if (!written && file >= 0) (void)unlinkat(transport->folder, name, 0);
    if (!written) (void)dx_exchange_fail_out(x, DX_ERROR_FILE, "the recording could not be written: %s", strerror(why));
    return written;
}

// --- below -----------------------------------------------------------------------------------------------------------------------------

static void take_head(record_transfer *t) {
    t->status = t->outer->x->response.status;
    t->fields = t->outer->x->response.fields;
}

static void inner_head(dx_transfer *inner) {
    record_transfer *t = DX_CONTAINER_OF(inner, record_transfer, inner);
    take_head(t);
    t->outer->ops->head(t->outer);
}

static bool inner_piece(dx_transfer *inner, dx_slice piece) {
    record_transfer *t = DX_CONTAINER_OF(inner, record_transfer, inner);
    dx_buffer_add(&t->pieces, piece);
    return t->outer->ops->piece(t->outer, piece);
}

static void inner_done(dx_transfer *inner) {
    record_transfer *t = DX_CONTAINER_OF(inner, record_transfer, inner);
    dx_transfer *outer = t->outer;
    if (outer->x->failure == DX_ERROR_NONE) {
        if (!outer->stream) take_head(t);
        if (dx_buffer_status(&t->pieces) != DX_OK)
            (void)dx_exchange_fail_out(outer->x, DX_ERROR_FILE, "%s", too_large);
        else
            (void)write_file(t, outer->stream ? dx_buffer_slice(&t->pieces) : outer->x->response.body);
    }
    outer->state = NULL;
    outer->ops->done(outer);
}

static const dx_transfer_ops inner_ops = {.head = inner_head, .piece = inner_piece, .done = inner_done};

// --- above -----------------------------------------------------------------------------------------------------------------------------

static void fail_now(dx_transfer *transfer) {
    transfer->state = NULL;
    if (transfer->x->failure == DX_ERROR_NONE) (void)dx_exchange_fail_out(transfer->x, DX_ERROR_NO_MEMORY, NULL);
    transfer->ops->done(transfer);
}

static bool prepare(record_transfer *t, dx_transfer *transfer) {
    dx_exchange *x = transfer->x;
    dx_sent sent;
    if (!dx_sent_make(&sent, x->arena, transfer)) return false;
    dx_slice body = dx_slice_of(sent.body, sent.body_size);
    dx_status status = dx_recording_request_make(&t->request, x->arena, &t->self->transport->secrets, transfer, body);
    if (status == DX_NO_MEMORY) return false;
    if (status != DX_OK) { // better not sent than written with a secret in it
        (void)dx_exchange_fail_out(x, DX_ERROR_FILE, "the request can't be recorded without its secrets");
        return false;
    }
    dx_buffer_init(&t->pieces, x->arena, DX_RECORDING_BODY_CAP);
    t->inner = (dx_transfer){
        .x = x, .ops = &inner_ops, .wire = transfer->wire, .url = transfer->url, .stream = transfer->stream, .flushed = transfer->flushed};
    if (!transfer->upload) return true;
    dx_upload_init(&t->upload, x->arena); // it can be read only once, perhaps
    t->inner.upload = &t->upload;
    return dx_upload_add_text(&t->upload, body) == DX_OK;
}

static void send_one(void *ctx, dx_transfer *transfer) {
    record_loop *self = ctx;
    record_transfer *t = DX_ARENA_NEW(transfer->x->arena, record_transfer);
    if (!t) return fail_now(transfer);
    t->self = self;
    t->outer = transfer;
    if (!prepare(t, transfer)) return fail_now(transfer);
    transfer->state = t;
    self->transport->inner.ops->send(self->inner, &t->inner);
}

static void flush(void *ctx) {
    record_loop *self = ctx;
    if (self->transport->inner.ops->flush) self->transport->inner.ops->flush(self->inner);
}

static void cancel(void *ctx, dx_transfer *transfer) {
    record_loop *self = ctx;
    record_transfer *t = transfer->state;
    if (!t) return;
    transfer->state = NULL;
    self->transport->inner.ops->cancel(self->inner, &t->inner);
}

static void resume(void *ctx, dx_transfer *transfer) {
    record_loop *self = ctx;
    record_transfer *t = transfer->state;
    if (t) self->transport->inner.ops->resume(self->inner, &t->inner);
}

static void close_loop(void *ctx) {
    record_loop *self = ctx;
    if (!self) return;
    self->transport->inner.ops->close(self->inner);
    dx_memory_free(self);
}

static dx_status open_loop(void **out, const void *conf, dx_loop *loop) {
    record_loop *self = dx_memory_zalloc(1, sizeof *self);
    if (!self) return DX_NO_MEMORY;
    self->transport = (record_transport *)(uintptr_t)conf;
    dx_status status = self->transport->inner.ops->open(&self->inner, self->transport->inner.conf, loop);
    if (status == DX_OK)
        *out = self;
    else
        dx_memory_free(self);
    return status;
}

static const dx_transport_ops record_ops = {
    .name = "record", .open = open_loop, .send = send_one, .flush = flush, .cancel = cancel, .resume = resume, .close = close_loop};

// --- setting up --------------------------------------------------------------------------------------------------------------------------

static void destroy(dx_transport *base) {
    record_transport *transport = DX_CONTAINER_OF(base, record_transport, base);
    dx_recording_secrets_deinit(&transport->secrets);
    if (transport->folder >= 0) (void)close(transport->folder);
    dx_memory_free(transport);
}

dx_recording_secrets *dx_record_secrets(dx_transport *base) {
    return base->kind == &record_kind ? &DX_CONTAINER_OF(base, record_transport, base)->secrets : NULL;
}

dx_error_code dx_transport_record_create(dx_transport **out, const char *folder, dx_transport *inner, dx_error *error) {
    record_transport *transport = dx_memory_zalloc(1, sizeof *transport);
    *out = NULL;
    if (error) *error = (dx_error)DX_ERROR_INIT;
    if (!transport) return dx_fail(error, DX_ERROR_NO_MEMORY, "there is no memory for a recording");
    transport->base = (dx_transport){.use = {&record_ops, transport}, .kind = &record_kind, .destroy = destroy};
    transport->inner = dx_transport_use_of(inner);
    transport->folder = -1;
    if (dx_recording_secrets_init(&transport->secrets) != DX_OK) {
        destroy(&transport->base);
        return dx_fail(error, DX_ERROR_NO_MEMORY, "there is no memory for a recording");
    }
    if (mkdir(folder, 0700) == 0 || errno == EEXIST) transport->folder = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (transport->folder < 0) {
        dx_error_code code = dx_fail(error, DX_ERROR_FILE, "%s can't be recorded to: %s", folder, strerror(errno));
        destroy(&transport->base);
        return code;
    }
    *out = &transport->base;
    return DX_ERROR_NONE;
}

// --- secrets of both ---------------------------------------------------------------------------------------------------------------------

static dx_error_code add_secret(dx_transport *transport, const char *text, bool is_name) {
    dx_recording_secrets *secrets = dx_record_secrets(transport);
    if (!secrets) secrets = dx_replay_secrets(transport);
    if (!secrets || !text) return DX_ERROR_ARGUMENT;
    return dx_code_of(dx_recording_secrets_add(secrets, dx_slice_str(text), is_name));
}

dx_error_code dx_transport_secret_value(dx_transport *transport, const char *value) {
    return add_secret(transport, value, false);
}

dx_error_code dx_transport_secret_name(dx_transport *transport, const char *name) {
    return add_secret(transport, name, true);
}
