// The request's body. The body filter stands right before the handler: only when every other filter has let the request pass is the client
// asked for its body (100 Continue) and is an oversized one refused. Until then at most a window of it is held, as it came.
//
// From there it flows, through the decoder if there is one, to the whole body's buffer, to a spool (the operation's; or the server's, where
// it is parked: park.c), or to the handler's reader. Whoever takes it may have enough: then what comes is held undecoded, its credit is
// held back, and so the peer is held. Decoding goes in small steps, so that a body that unpacks to much cannot outrun that.
#include "server/call.h"

#define BODY_FIRST  (64u << 10) // taken for a body at once, whatever Content-Length promises
#define DECODE_STEP (4u << 10)  // bytes, before who takes them is looked at again

void dx_intake_init(dx_intake *in, dx_arena *arena) {
    memset(in, 0, sizeof *in);
    dx_buffer_init(&in->held, arena, 2 * DX_BODY_WINDOW);
}

void dx_intake_deinit(dx_intake *in) {
    dx_buffer_deinit(&in->held);
    dx_decompressor_destroy(in->decoder);
    dx_spool_destroy(in->spool);
}

static bool is_streamed(const dx_call *c) {
    return c->x.response.tunnel || (c->x.operation && c->x.operation->body == DX_BODY_STREAM);
}

static bool is_taken(const dx_call *c) {
    return !c->answered && c->intake.status == DX_OK && !c->intake.over &&
           (c->x.response.tunnel || (c->x.operation && c->x.operation->body != DX_BODY_NONE));
}

// --- the end of it -------------------------------------------------------------------------------------------------------------

static dx_verdict judge(dx_call *c) {
    dx_intake *in = &c->intake;
    dx_exchange_request *request = &c->x.request;
    if (in->status != DX_OK) return dx_decode_refuse(c, in->status);
    if (!in->spool)
        request->body = dx_buffer_slice(&in->whole);
    else if (dx_spool_file(in->spool) >= 0)
        request->spilled = in->spool;
    else
        request->body = dx_spool_bytes(in->spool);
    return DX_NEXT;
}

void dx_intake_resume(dx_call *c) {
    if (!c->intake.wanted) return;
    c->intake.wanted = false;
    dx_exchange_resume(&c->x, c->x.aborted ? DX_NEXT : judge(c));
}

// Tells who takes the body that this was all, once it was.
static void conclude(dx_call *c) {
    dx_intake *in = &c->intake;
    if (in->over || !in->flows) return;
    if (in->status == DX_OK) {
        if (!in->arrived || in->at < in->held.size) return;
        if (in->spool && dx_spool_waiting(in->spool) > 0) return; // `written` comes
        if (in->decoder) in->status = dx_decompressor_end(in->decoder);
    }
    in->over = true;
    if (!is_streamed(c)) {
        if (in->parked && in->status == DX_OK && in->wanted)
            dx_park_fetch(c);
        else
            dx_intake_resume(c);
        return;
    }
    if (in->status != DX_OK) c->x.response.close = true;
    dx_exchange_ended(&c->x, in->status);
}

// --- its way ---------------------------------------------------------------------------------------------------------------------

static dx_status deliver(void *ctx, dx_slice piece) {
    dx_call *c = ctx;
    dx_intake *in = &c->intake;
    in->size += piece.size;
    if (in->size > in->cap) return DX_TOO_LARGE;
    if (is_streamed(c)) {
        if (in->decoder) in->given += piece.size;
        dx_exchange_piece(&c->x, piece);
        return DX_OK;
    }
    if (in->size > in->park && !in->parked) {
        dx_status status = dx_park_begin(c);
        if (status != DX_OK) return status;
    }
    if (in->spool) return dx_spool_write(in->spool, piece);
    dx_buffer_add(&in->whole, piece);
    return dx_buffer_status(&in->whole);
}

static bool has_enough(const dx_intake *in) {
    return in->given >= DX_BODY_WINDOW || (in->spool && dx_spool_waiting(in->spool) >= DX_SPOOL_WINDOW);
}

// Hands on as much as is taken; how much that was.
static size_t feed(dx_call *c, dx_slice raw) {
    dx_intake *in = &c->intake;
    size_t taken = 0;
    in->running = true;
    while (taken < raw.size && in->status == DX_OK && !has_enough(in)) {
        dx_slice step = dx_slice_from(raw, taken);
        if (in->decoder && step.size > DECODE_STEP) step.size = DECODE_STEP;
        in->status = in->decoder ? dx_decompressor_run(in->decoder, step, deliver, c) : deliver(c, step);
        taken += step.size;
    }
    in->running = false;
    // What goes to a reader as it came, the reader itself consumes.
    if (in->decoder || !is_streamed(c)) dx_stream_consume(c->stream, taken);
    return taken;
}

static void hold(dx_intake *in, dx_slice piece) {
    if (in->at > 0) {
        memmove(in->held.data, in->held.data + in->at, in->held.size - in->at);
        in->held.size -= in->at;
        in->at = 0;
    }
    dx_buffer_add(&in->held, piece);
    if (dx_buffer_status(&in->held) != DX_OK) in->status = dx_buffer_status(&in->held);
}

// Goes on with what was held.
static void pump(dx_call *c) {
    dx_intake *in = &c->intake;
    if (in->running) return;
    if (in->at < in->held.size) in->at += feed(c, dx_slice_of(in->held.data + in->at, in->held.size - in->at));
    if (in->at == in->held.size) {
        in->at = 0;
        dx_buffer_clear(&in->held);
    }
    conclude(c);
}

void dx_intake_take(dx_call *c, dx_slice piece) {
    dx_intake *in = &c->intake;
    if (!is_taken(c)) {
        dx_stream_consume(c->stream, piece.size);
        return;
    }
    if (!in->held.data && is_streamed(c)) dx_buffer_init(&in->held, NULL, in->held.cap); // the handler may be on a thread, with the arena
    if (!in->flows && in->held.size == 0) {
        int64_t length = c->x.request.content_length;
        (void)dx_buffer_reserve(&in->held, length > 0 && length < BODY_FIRST ? (size_t)length : piece.size);
    }
    size_t taken = in->flows && in->at == in->held.size ? feed(c, piece) : 0;
    if (taken < piece.size && in->status == DX_OK) hold(in, dx_slice_from(piece, taken));
    if (in->status != DX_OK) conclude(c);
}

void dx_intake_end(dx_call *c) {
    c->intake.arrived = true;
    conclude(c);
}

void dx_intake_abort(dx_call *c, dx_status why) {
    if (is_streamed(c))
        dx_exchange_ended(&c->x, why);
    else if (!c->intake.fetching) // else a thread writes to the arena, and what comes of that resumes
        dx_intake_resume(c);
}

void dx_intake_read(dx_call *c) {
    dx_intake *in = &c->intake;
    if (c->answered) return;
    if (c->x.response.tunnel) in->cap = UINT64_MAX;
    if (!c->x.request.body_expected && !c->x.response.tunnel) in->arrived = true;
    if (!is_streamed(c)) { // its operation did not declare that it reads
        dx_exchange_ended(&c->x, DX_INTERNAL);
        return;
    }
    if (!in->flows && !in->arrived) dx_stream_continue(c->stream);
    in->flows = true;
    pump(c);
}

void dx_intake_consume(dx_call *c, size_t bytes) {
    dx_intake *in = &c->intake;
    if (!in->decoder) {
        dx_stream_consume(c->stream, bytes);
        return;
    }
    in->given -= bytes < in->given ? bytes : in->given;
    if (in->at < in->held.size && !in->running && !has_enough(in)) dx_exchange_read_on(&c->x);
}

// --- the filter ------------------------------------------------------------------------------------------------------------------

void dx_intake_spooled(void *ctx) {
    dx_call *c = ctx;
    if (c->intake.status == DX_OK) c->intake.status = dx_spool_status(c->intake.spool);
    pump(c);
}

// Handlers meet the body as if it had been sent as it is.
static void forget_coding(dx_exchange_request *request) {
    uint32_t kept = 0;
    for (uint32_t i = 0; i < request->fields.count; i++)
        if (request->fields.items[i].id != DX_FIELD_CONTENT_ENCODING) request->fields.items[kept++] = request->fields.items[i];
    request->fields.count = kept;
    request->content_length = -1;
}

// What must be right before a byte of it is asked for.
static dx_status begin(dx_call *c) {
    dx_intake *in = &c->intake;
    const dx_operation *operation = c->x.operation;
    in->cap = operation->body_cap ? operation->body_cap : c->app->settings.body_cap;
    in->park = operation->spool || in->arrived ? UINT64_MAX : c->app->settings.spool; // who has sent all of it holds nobody up
    uint64_t length = c->x.request.content_length > 0 ? (uint64_t)c->x.request.content_length : 0;
    if (length > in->cap) return DX_TOO_LARGE;
    if (operation->body == DX_BODY_WHOLE && !operation->spool && length > c->x.arena->cap) return DX_NO_MEMORY; // at the end
    dx_status status = dx_decode_coding(&c->x, &in->coding);
    if (status == DX_OK && in->coding != DX_CODING_IDENTITY) {
        status = dx_decompressor_create(&in->decoder, in->coding, UINT64_MAX, c->app->settings.inflate_ratio);
        forget_coding(&c->x.request);
    }
    if (status != DX_OK || operation->body != DX_BODY_WHOLE || !operation->spool) return status;
    dx_spool_options options = {c->app->settings.spool_folder, operation->spool, in->cap, dx_intake_spooled, c};
    return dx_spool_create(&in->spool, c->x.loop, &options);
}

static dx_verdict body_in(const void *conf, dx_exchange *x) {
    (void)conf;
    dx_call *c = x->owner;
    dx_intake *in = &c->intake;
    if (!x->request.body_expected) return DX_NEXT;
    if (in->status == DX_OK) in->status = begin(c);
    if (in->status != DX_OK) return dx_decode_refuse(c, in->status);
    if (x->operation->body == DX_BODY_STREAM) return DX_NEXT;
    dx_buffer_init(&in->whole, x->arena, (size_t)in->cap);
    in->flows = true;
    if (!in->decoder && !in->spool) { // what is held is the body's beginning, where it lies
        in->whole = in->held;
        in->whole.cap = (size_t)in->cap;
        in->size = in->whole.size;
        dx_buffer_init(&in->held, x->arena, 2 * DX_BODY_WINDOW);
        if (in->size > in->cap) in->status = DX_TOO_LARGE;
        if (in->status == DX_OK && in->size > in->park) in->status = dx_park_begin(c);
        dx_stream_consume(c->stream, in->whole.size);
    }
    pump(c);
    if (in->over) return judge(c);
    in->wanted = true;
    if (!in->arrived) dx_stream_continue(c->stream);
    return DX_WAIT;
}

const dx_filter_ops dx_body_filter = {.name = "body", .in = body_in};
