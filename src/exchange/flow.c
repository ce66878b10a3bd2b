// Streamed bodies. The state of an answer with a source goes one way: unsent → open → ending (the source has said its last word, encoded
// bytes wait) → over → closed. What the encoder made and the wire did not take is held here, and nothing more is taken from the source
// until it has gone: at most one piece and its flush wait.
#include "exchange/flow.h"

#include <unistd.h>

#define HELD_CAP (64u << 20) // far above what any encoder makes of one piece

enum { UNSENT, CUT_EARLY, OPEN, ENDING, OVER, CLOSED };

bool dx_exchange_has_begun(const dx_exchange *x) {
    return x->flow.state >= OPEN;
}

// --- the worker's lists ------------------------------------------------------------------------------------------------------

static void unlink_due(dx_exchange *x) {
    dx_flow *f = &x->flow;
    if (!f->due_link) return;
    if ((*f->due_link = f->next_due)) f->next_due->flow.due_link = f->due_link;
    f->due_link = NULL;
}

static void unlink_live(dx_exchange *x) {
    dx_flow *f = &x->flow;
    if (!f->live_link) return;
    if ((*f->live_link = f->next_live)) f->next_live->flow.live_link = f->live_link;
    f->live_link = NULL;
}

static void link_live(dx_exchange *x) {
    dx_flow *f = &x->flow;
    if (!x->flows) return;
    f->live_link = &x->flows->live;
    if ((f->next_live = x->flows->live)) f->next_live->flow.live_link = &f->next_live;
    x->flows->live = x;
}

static void tell_left(dx_exchange *x) {
    dx_flow *f = &x->flow;
    const dx_source_ops *left = f->left;
    f->left = NULL;
    f->left_due = false;
    if (left) left->closed(f->left_ctx, x, x->error != DX_OK ? x->error : DX_CANCELLED);
}

// Everything that is due to one exchange. It cannot end meanwhile: the wire ends it in a turn of its own.
static void tell(dx_exchange *x) {
    dx_flow *f = &x->flow;
    if (f->left_due) tell_left(x);
    if (f->read_due) {
        f->read_due = false;
        if (x->aborted)
            dx_exchange_ended(x, x->error != DX_OK ? x->error : DX_CANCELLED);
        else if (x->reader)
            x->wire->read(x);
    }
    if (f->ready_due) {
        f->ready_due = false;
        if (f->state == OPEN) x->response.source->ready(x->response.source_ctx, x);
    }
    if (f->drain_due) {
        f->drain_due = false;
        if (f->state == OPEN && x->response.source->drain) x->response.source->drain(x->response.source_ctx, x);
    }
}

static void tell_all(dx_task *task) {
    dx_flows *flows = DX_CONTAINER_OF(task, dx_flows, task);
    flows->posted = false;
    dx_exchange *now = flows->due; // those that come due meanwhile are told in the next turn
    flows->due = NULL;
    if (now) now->flow.due_link = &now;
    while (now) {
        dx_exchange *x = now;
        unlink_due(x);
        tell(x);
    }
}

static void put_off(dx_exchange *x) {
    dx_flow *f = &x->flow;
    dx_flows *flows = x->flows;
    if (!flows || f->due_link) return;
    f->due_link = &flows->due;
    if ((f->next_due = flows->due)) f->next_due->flow.due_link = &f->next_due;
    flows->due = x;
    if (flows->posted) return;
    flows->posted = true;
    flows->task.run = tell_all;
    dx_loop_post(x->loop, &flows->task);
}

void dx_flows_drain_some(dx_flows *flows, bool (*applies)(const dx_exchange *x, const void *ctx), const void *ctx) {
    for (dx_exchange *x = flows->live; x; x = x->flow.next_live) {
        if (applies && !applies(x, ctx)) continue;
        x->flow.drain_due = true;
        put_off(x);
    }
}

void dx_flows_drain(dx_flows *flows) {
    flows->draining = true;
    dx_flows_drain_some(flows, NULL, NULL);
}

// --- answers that stream -----------------------------------------------------------------------------------------------------

static void drop_encoder(dx_exchange *x) {
    dx_encoder *encoder = x->response.encoder;
    x->response.encoder = NULL;
    if (encoder) encoder->destroy(encoder);
}

static void drop_file(dx_exchange *x) {
    if (x->response.file_open) (void)close(x->response.file);
    x->response.file_open = false;
}

void dx_exchange_retract(dx_exchange *x) {
    dx_flow *f = &x->flow;
    drop_encoder(x);
    drop_file(x);
    if (x->response.tunnel) x->reader = NULL;
    x->response.tunnel = false;
    if (x->response.source) {
        tell_left(x); // of an answer before that one
        f->left = x->response.source;
        f->left_ctx = x->response.source_ctx;
        f->left_due = true;
        put_off(x);
    }
    x->response.source = NULL;
    f->state = UNSENT;
}

static dx_verdict answer(dx_exchange *x, int status, dx_slice content_type) {
    return content_type.size ? dx_exchange_body(x, status, content_type, DX_SLICE("")) : dx_exchange_empty(x, status);
}

dx_verdict dx_exchange_stream(dx_exchange *x, int status, dx_slice content_type, const dx_source_ops *source, void *ctx) {
    dx_verdict verdict = answer(x, status, content_type);
    x->response.source = source;
    x->response.source_ctx = ctx;
    if (DX_UNLIKELY(x->response.status != status)) dx_exchange_retract(x); // no memory for the type: the 503 stands
    return verdict;
}

dx_verdict dx_exchange_file(dx_exchange *x, int status, dx_slice content_type, int file, int64_t offset, int64_t size) {
    dx_verdict verdict = answer(x, status, content_type);
    x->response.file = file;
    x->response.file_open = true;
    x->response.file_offset = offset;
    x->response.file_size = size;
    if (DX_UNLIKELY(x->response.status != status)) dx_exchange_retract(x);
    return verdict;
}

dx_verdict dx_exchange_tunnel(dx_exchange *x, const dx_source_ops *source, const dx_reader_ops *reader, void *ctx) {
    dx_verdict verdict = dx_exchange_empty(x, x->request.version >= 20 ? 200 : 101);
    x->response.source = source;
    x->response.source_ctx = ctx;
    if (DX_LIKELY(x->request.protocol.size > 0)) {
        x->response.tunnel = true;
        x->reader = reader;
        x->reader_ctx = ctx;
        return verdict;
    }
    return dx_exchange_fail(x, DX_UPGRADE_REQUIRED, NULL);
}

static void cut(dx_exchange *x, dx_status why) {
    dx_flow *f = &x->flow;
    if (f->state == UNSENT && x->response.source) f->state = CUT_EARLY;
    if (f->state == OVER && x->response.tunnel) x->wire->cut(x); // finished, but the peer's side stands open
    if (f->state != OPEN && f->state != ENDING) return;
    f->state = OVER;
    f->why = why;
    x->wire->cut(x);
}

void dx_exchange_cut(dx_exchange *x) {
    cut(x, x->error != DX_OK ? x->error : DX_CANCELLED);
}

void dx_exchange_begun(dx_exchange *x, bool bodiless) {
    dx_flow *f = &x->flow;
    bool cut_early = f->state == CUT_EARLY;
    f->state = OPEN;
    if (cut_early || x->aborted) {
        dx_exchange_cut(x);
    } else if (bodiless && !x->response.tunnel) {
        f->state = OVER;
        x->wire->finish(x, NULL);
    } else {
        link_live(x);
        f->ready_due = true;
        f->read_due = f->read_due || x->response.tunnel;
        f->drain_due = x->flows && x->flows->draining;
        put_off(x);
    }
}

// Hands on what is held, as far as the wire takes it; then the last word, when it has been said.
static void push(dx_exchange *x) {
    dx_flow *f = &x->flow;
    if (f->held.size > 0) {
        if (!x->wire->write(x, dx_buffer_slice(&f->held))) return;
        dx_buffer_clear(&f->held);
    }
    if (f->state != ENDING) return;
    f->state = OVER;
    x->wire->finish(x, f->trailers);
}

// False: the response had to be cut.
static bool encode(dx_exchange *x, dx_slice piece, dx_encode how) {
    dx_flow *f = &x->flow;
    if (f->held.cap == 0) dx_buffer_init(&f->held, NULL, HELD_CAP);
    dx_status status = x->response.encoder->encode(x->response.encoder, piece, how, &f->held);
    if (status == DX_OK) status = dx_buffer_status(&f->held);
    f->unflushed = how == DX_ENCODE_MORE;
    if (DX_LIKELY(status == DX_OK)) return true;
    x->error = status;
    cut(x, status);
    return false;
}

bool dx_exchange_write(dx_exchange *x, dx_slice piece) {
    dx_flow *f = &x->flow;
    if (DX_UNLIKELY(f->state != OPEN)) return false;
    if (!x->response.encoder) {
        bool taken = x->wire->write(x, piece);
        f->wants = !taken;
        return taken;
    }
    if (f->held.size > 0) {
        f->wants = true;
        return false;
    }
    if (!encode(x, piece, DX_ENCODE_MORE)) return false;
    push(x);
    return true;
}

void dx_exchange_write_last(dx_exchange *x, dx_slice piece) {
    dx_flow *f = &x->flow;
    if (f->state != OPEN) return;
    bool waits = f->held.size > 0;
    if (x->response.encoder) {
        if (!encode(x, piece, DX_ENCODE_MORE)) return;
    } else {
        if (f->held.cap == 0) dx_buffer_init(&f->held, NULL, HELD_CAP);
        dx_buffer_add(&f->held, piece);
        if (dx_buffer_status(&f->held) != DX_OK) {
            x->error = dx_buffer_status(&f->held);
            cut(x, x->error);
            return;
        }
    }
    if (!waits) push(x);
}

void dx_exchange_flush(dx_exchange *x) {
    dx_flow *f = &x->flow;
    if (f->state != OPEN || !x->response.encoder || !f->unflushed) return;
    bool waits = f->held.size > 0;
    if (encode(x, dx_slice_of(NULL, 0), DX_ENCODE_FLUSH) && !waits) push(x);
}

void dx_exchange_finish(dx_exchange *x, const dx_fields *trailers) {
    dx_flow *f = &x->flow;
    if (f->state != OPEN) return;
    bool waits = f->held.size > 0;
    if (x->response.encoder && !encode(x, dx_slice_of(NULL, 0), DX_ENCODE_END)) return;
    f->state = ENDING;
    f->trailers = trailers;
    if (!waits) push(x);
}

void dx_exchange_writable(dx_exchange *x) {
    dx_flow *f = &x->flow;
    if (f->held.size > 0 || f->state == ENDING) push(x);
    if (f->state != OPEN || f->held.size > 0 || !f->wants) return;
    f->wants = false;
    x->response.source->ready(x->response.source_ctx, x);
}

// --- bodies that stream ------------------------------------------------------------------------------------------------------

void dx_exchange_read_on(dx_exchange *x) {
    x->flow.read_due = true;
    put_off(x);
}

void dx_exchange_read(dx_exchange *x, const dx_reader_ops *reader, void *ctx) {
    if (x->reader) return;
    x->reader = reader;
    x->reader_ctx = ctx;
    dx_exchange_read_on(x);
}

void dx_exchange_consume(dx_exchange *x, size_t bytes) {
    if (bytes > 0) x->wire->consume(x, bytes);
}

void dx_exchange_piece(dx_exchange *x, dx_slice piece) {
    if (x->reader && !x->flow.ended) x->reader->piece(x->reader_ctx, x, piece);
}

void dx_exchange_ended(dx_exchange *x, dx_status why) {
    if (!x->reader || x->flow.ended) return;
    x->flow.ended = true;
    x->reader->end(x->reader_ctx, x, why);
}

// --- the end -----------------------------------------------------------------------------------------------------------------

void dx_exchange_closed(dx_exchange *x, dx_status why) {
    dx_flow *f = &x->flow;
    unlink_due(x);
    unlink_live(x);
    if (f->state == CLOSED) return;
    if (f->why != DX_OK) why = f->why;
    if (why != DX_OK && f->state != UNSENT) dx_exchange_ended(x, why);
    f->state = CLOSED;
    tell_left(x);
    if (x->response.source) x->response.source->closed(x->response.source_ctx, x, why);
    x->reader = NULL;
    drop_encoder(x);
    drop_file(x);
    dx_buffer_deinit(&f->held);
}
