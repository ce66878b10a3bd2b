// Reading forms: the parser's parts become a list; each piece of the body is consumed at once, unless a file's bytes wait for the disk:
// then its credit waits with them, and so the client does.
#include "exchange/form.h"

#include "codec/multipart.h"

typedef struct reading {
    dx_form form;
    dx_form_options options;
    dx_exchange *x;
    dx_form_done done;
    void *ctx;
    dx_multipart *multipart;
    dx_form_part **link, *part;
    dx_buffer value;     // of the field being read
    size_t fields_bytes; // of those read
    size_t held;         // bytes of the body not consumed yet
    dx_status status;
    const char *reason;
    bool ended; // the body
    bool over;  // `done` was called
} reading;

static dx_status refuse(reading *r, dx_status status, const char *reason) {
    r->reason = reason;
    return status;
}

// --- the parser's events -------------------------------------------------------------------------------------------------------

static void on_written(void *ctx);

static dx_status begin_part(void *ctx, const dx_multipart_part *from) {
    reading *r = ctx;
    dx_form_part *part = DX_ARENA_NEW(r->x->arena, dx_form_part);
    if (!part) return DX_NO_MEMORY;
    part->name = dx_arena_copy(r->x->arena, from->name);
    part->content_type = dx_arena_copy(r->x->arena, from->content_type);
    if (from->file_name.data) part->file_name = dx_arena_copy(r->x->arena, from->file_name);
    if (!part->name.data || !part->content_type.data || (from->file_name.data && !part->file_name.data)) return DX_NO_MEMORY;
    if (from->file_name.data) {
        dx_spool_options options = {r->options.folder, r->options.file_memory, r->options.file_bytes, on_written, r};
        dx_status status = dx_spool_create(&part->file, r->x->loop, &options);
        if (status != DX_OK) return status;
    } else {
        dx_buffer_init(&r->value, r->x->arena, r->options.field_bytes);
    }
    *r->link = r->part = part;
    r->link = &part->next;
    r->form.count++;
    return DX_OK;
}

static dx_status take_piece(void *ctx, dx_slice piece) {
    reading *r = ctx;
    if (r->part->file) {
        dx_status status = dx_spool_write(r->part->file, piece);
        return status == DX_TOO_LARGE ? refuse(r, status, "a file is too large") : status;
    }
    r->fields_bytes += piece.size;
    if (r->fields_bytes > r->options.fields_bytes) return refuse(r, DX_TOO_LARGE, "the fields are too large");
    dx_buffer_add(&r->value, piece);
    dx_status status = dx_buffer_status(&r->value);
    return status == DX_TOO_LARGE ? refuse(r, status, "a field is too large") : status;
}

static dx_status end_part(void *ctx) {
    reading *r = ctx;
    if (!r->part->file) r->part->value = r->value.size ? dx_buffer_slice(&r->value) : DX_SLICE("");
    return DX_OK;
}
static const dx_multipart_ops events = {begin_part, take_piece, end_part};

// --- the body ------------------------------------------------------------------------------------------------------------------

// Bytes that wait for the disk; a file that could not be written ends it all.
static size_t look_at_files(reading *r) {
    size_t waiting = 0;
    for (const dx_form_part *part = r->form.first; part && r->status == DX_OK; part = part->next) {
        if (!part->file) continue;
        waiting += dx_spool_waiting(part->file);
        r->status = dx_spool_status(part->file);
    }
    return waiting;
}

static void go_on(reading *r) {
    if (r->over || !r->x->reader) return; // or it was answered without the form
    size_t waiting = r->status == DX_OK ? look_at_files(r) : 0;
    if (r->held && (r->status != DX_OK || waiting < DX_SPOOL_WINDOW)) {
        size_t held = r->held;
        r->held = 0;
        if (!r->ended) dx_exchange_consume(r->x, held);
    }
    if (r->status == DX_OK && (!r->ended || waiting > 0)) return;
    r->over = true;
    const char *reason = r->reason ? r->reason : r->multipart ? dx_multipart_reason(r->multipart) : "";
    r->done(r->ctx, r->x, r->status == DX_OK ? &r->form : NULL, r->status, reason);
}

static void on_written(void *ctx) {
    go_on(ctx);
}

static void on_piece(void *ctx, dx_exchange *x, dx_slice piece) {
    reading *r = ctx;
    if (r->over) {
        dx_exchange_consume(x, piece.size);
        return;
    }
    r->status = dx_multipart_feed(r->multipart, piece);
    r->held += piece.size;
    go_on(r);
}

static void on_end(void *ctx, dx_exchange *x, dx_status why) {
    reading *r = ctx;
    (void)x;
    r->ended = true;
    if (r->status == DX_OK) r->status = why == DX_OK ? dx_multipart_end(r->multipart) : why;
    go_on(r);
}
static const dx_reader_ops reader = {on_piece, on_end};

// --- the form ------------------------------------------------------------------------------------------------------------------

static void let_go(void *ctx) {
    reading *r = ctx;
    r->over = true;
    for (dx_form_part *part = r->form.first; part; part = part->next) dx_spool_destroy(part->file);
}

dx_status dx_form_read(dx_exchange *x, const dx_form_options *options, dx_form_done done, void *ctx) {
    reading *r = DX_ARENA_NEW(x->arena, reading);
    if (!r) return DX_NO_MEMORY;
    *r = (reading){.options = *options, .x = x, .done = done, .ctx = ctx};
    r->link = &r->form.first;
    dx_slice type = dx_fields_get(&x->request.fields, DX_FIELD_CONTENT_TYPE);
    dx_status status = dx_multipart_create(&r->multipart, x->arena, type, options->parts, &events, r);
    if (status == DX_OK) status = dx_arena_defer(x->arena, let_go, r);
    if (status == DX_OK) dx_exchange_read(x, &reader, r);
    return status;
}

const dx_form_part *dx_form_find(const dx_form *form, dx_slice name) {
    for (const dx_form_part *part = form->first; part; part = part->next)
        if (dx_slice_equal(part->name, name)) return part;
    return NULL;
}
