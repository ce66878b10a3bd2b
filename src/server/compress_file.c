// A file on its way through an encoder: read as net/file_body.h says, so that no turn waits for the disk, and a piece a turn, since
// compressing takes its time. The state is on the heap: the task that was posted for the next piece may come when the exchange has gone.
#include "base/memory.h"
#include "exchange/flow.h"
#include "net/file_body.h"
#include "server/compress.h"

typedef struct reading {
    dx_task task;
    dx_exchange *x; // NULL: gone
    dx_file_body *file;
    size_t filled; // of `piece`: read, not taken yet
    bool posted;
    char piece[DX_COMPRESS_AT_ONCE];
} reading;

// False: wait, or it had to be cut.
static bool fill(reading *r) {
    if (r->filled) return true;
    ssize_t got = dx_file_body_read(r->file, r->piece, sizeof r->piece);
    if (got == DX_FILE_FAILED) dx_exchange_cut(r->x); // it has become shorter: nobody must take this for whole
    if (got > 0) r->filled = (size_t)got;
    return got > 0;
}

static void next_piece(reading *r) {
    if (!fill(r) || !dx_exchange_write(r->x, dx_slice_of(r->piece, r->filled))) return;
    r->filled = 0;
    if (dx_file_body_left(r->file) == 0) {
        dx_exchange_finish(r->x, NULL);
    } else if (!r->posted) {
        r->posted = true;
        dx_loop_post(r->x->loop, &r->task);
    }
}

static void on_task(dx_task *task) {
    reading *r = DX_CONTAINER_OF(task, reading, task);
    r->posted = false;
    if (r->x)
        next_piece(r);
    else
        dx_memory_free(r);
}

static void on_file_ready(void *ctx) {
    reading *r = ctx;
    if (!r->posted) next_piece(r);
}

static void on_ready(void *ctx, dx_exchange *x) {
    (void)x;
    on_file_ready(ctx);
}

static void on_closed(void *ctx, dx_exchange *x, dx_status why) {
    reading *r = ctx;
    (void)x, (void)why;
    dx_file_body_destroy(r->file);
    r->x = NULL;
    if (!r->posted) dx_memory_free(r);
}

static const dx_source_ops source = {on_ready, NULL, on_closed};

bool dx_compress_file(dx_exchange *x, dx_slice content_type) {
    dx_exchange_response *response = &x->response;
    reading *r = dx_memory_alloc(sizeof *r);
    if (!r) return false;
    r->task.run = on_task;
    r->x = x;
    r->filled = 0;
    r->posted = false;
    response->file_open = false; // it is closed with the reading, or without memory at once
    r->file = dx_file_body_create(x->loop, response->file, response->file_offset, response->file_size, on_file_ready, r);
    if (r->file) {
        (void)dx_exchange_stream(x, response->status, content_type, &source, r); // the type is there: can't fail
    } else {
        dx_memory_free(r);
        (void)dx_exchange_fail(x, DX_NO_MEMORY, NULL);
    }
    return true;
}
