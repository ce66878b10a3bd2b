// What nghttp2 tells of the peer's frames, as calls of the streams' owners. Frames it finds wrong it answers itself, with RST_STREAM or
// GOAWAY; such a stream is told of as closed, or never began.
#include "base/memory.h"
#include "net/http2.h"

static dx_http2_stream *find(dx_http2 *h, int32_t id) {
    return nghttp2_session_get_stream_user_data(h->session, id);
}

static const dx_stream_ops *ops_of(const dx_http2_stream *st) {
    return st->stream->listener->options.ops;
}

// Whether there is an owner who hears of the request; a tunnel's does so when it has said its last word, too.
static bool listens(const dx_http2_stream *st) {
    return st->stream->began && !st->lost && (!st->stream->answered || (st->stream->tunnel && !st->dropped));
}

// --- a stream's state ------------------------------------------------------------------------------------------------------

dx_http2_stream *dx_http2_stream_create(dx_http2 *h, int32_t id) {
    dx_stream *stream = dx_stream_take(h->connection->listener, h->connection, &dx_http2_wire);
    if (!stream) return NULL;
    dx_http2_stream *st = DX_ARENA_NEW(stream->arena, dx_http2_stream);
    if (!st) {
        dx_stream_end(stream, false);
        return NULL;
    }
    stream->head = (dx_request_head){.method = DX_GET};
    stream->protocol_state = st;
    st->h = h;
    st->stream = stream;
    st->id = id;
    st->why = DX_CANCELLED;
    return st;
}

static void enlist(dx_http2_stream *st) {
    dx_http2_link_last(&st->h->streams, &st->all);
    st->h->count++;
}

// Out of all lists; its buffer is let go.
static void delist(dx_http2_stream *st) {
    dx_http2_unlink(&st->all);
    dx_http2_unlink(&st->upload);
    dx_http2_unlink(&st->sending);
    dx_memory_free(st->buffer);
    st->buffer = NULL;
    st->buffer_at = st->buffer_size = st->buffer_capacity = 0;
    if (--st->h->count == 0) st->h->since = dx_http2_now(st->h);
}

void dx_http2_stream_lose(dx_http2_stream *st) {
    dx_http2 *h = st->h;
    if (h->heading == st) h->heading = NULL;
    delist(st);
    st->lost = true;
    st->next_lost = NULL;
    *h->last_lost = st;
    h->last_lost = &st->next_lost;
}

void dx_http2_stream_close(dx_http2_stream *st) {
    if (DX_LIKELY(st->whole)) {
        delist(st);
        dx_connection_answered(st->h->connection, st->stream);
    } else {
        dx_http2_stream_lose(st);
    }
}

void dx_http2_stream_leave(dx_http2_stream *st) {
    (void)nghttp2_session_set_stream_user_data(st->h->session, st->id, NULL);
    dx_http2_stream_close(st);
}

static void end_lost(dx_http2_stream *st) {
    dx_stream *stream = st->stream;
    if (!stream->began || stream->answered)
        dx_stream_end(stream, false);
    else
        dx_stream_abort(stream, st->why);
}

bool dx_http2_settle(dx_http2 *h) {
    if (DX_LIKELY(!h->lost)) return false;
    while (h->lost) {
        dx_http2_stream *st = h->lost;
        h->lost = st->next_lost;
        if (!h->lost) h->last_lost = &h->lost;
        end_lost(st);
    }
    return true;
}

void dx_http2_stream_watch(dx_http2_stream *st) {
    dx_http2 *h = st->h;
    bool told_to_wait = st->expects && !st->continued && st->body == 0;
    bool open_end = st->stream->tunnel && !st->whole; // an open tunnel may be silent; when we have ended, the peer has to
    bool owed = !st->heard && !st->trailing && listens(st) && !told_to_wait && !open_end && st->counted < DX_BODY_WINDOW / 2;
    dx_nanos now = dx_http2_now(h);
    if (!owed) {
        if (st->upload.next) st->since = now;
        dx_http2_unlink(&st->upload);
        return;
    }
    if (!st->upload.next) st->body_from += now - st->since; // the time in which nothing was owed does not count
    st->since = now;
    dx_http2_link_last(&h->uploads, &st->upload);
}

void dx_http2_stream_fail(dx_http2_stream *st, dx_status why, dx_status shown, const char *reason) {
    dx_http2 *h = st->h;
    dx_stream *stream = st->stream;
    st->why = why;
    dx_http2_unlink(&st->upload);
    if (st->whole) { // a tunnel that we have ended
        if (nghttp2_submit_rst_stream(h->session, NGHTTP2_FLAG_NONE, st->id, NGHTTP2_NO_ERROR) != 0) h->connection->broken = true;
        dx_http2_stream_leave(st);
        return;
    }
    if (!listens(st) || stream->begun) {
        dx_http2_reset(st, NGHTTP2_CANCEL);
        return;
    }
    // The owner keeps its stream, an orphan now; the answer has one of its own.
    dx_http2_stream *answer = dx_http2_stream_create(h, st->id);
    if (!answer) {
        dx_http2_reset(st, NGHTTP2_INTERNAL_ERROR);
        return;
    }
    answer->heard = st->heard;
    answer->informs = st->informs;
    answer->counted = st->counted;
    answer->stream->head.method = stream->head.method;
    (void)nghttp2_session_set_stream_user_data(h->session, st->id, answer);
    enlist(answer);
    delist(st);
    st->lost = true;
    dx_stream_abort(stream, why);
    dx_http2_reject(answer, shown, reason);
}

// --- a request's way in ----------------------------------------------------------------------------------------------------

static void begin_request(dx_http2_stream *st, bool ended) {
    dx_http2 *h = st->h;
    dx_stream *stream = st->stream;
    dx_listener *listener = stream->listener;
    h->requests++;
    h->discarded = 0;
    dx_http2_guard_request(h);
    st->heard = ended;
    dx_status status = dx_http2_head_finish(st, ended);
    if (status != DX_OK) {
        dx_http2_reject(st, status, st->reason);
        return;
    }
    st->since = st->body_from = dx_http2_now(h);
    void *owner = listener->options.ops->begin(listener->options.ctx, stream, &stream->head);
    stream->owner = owner;
    stream->began = owner || stream->answered || stream->begun;
    if (!stream->began) {
        dx_http2_reject(st, DX_OVERLOADED, "the server has too much to do");
        return;
    }
    if (DX_UNLIKELY(!ended)) dx_http2_stream_watch(st);
    if (DX_UNLIKELY(h->requests >= listener->options.limits.requests_a_connection)) dx_http2_end_begin(h);
}

static void end_request(dx_http2_stream *st) {
    st->heard = true;
    dx_http2_unlink(&st->upload);
    if (!listens(st)) return;
    const dx_stream_ops *ops = ops_of(st);
    if (DX_UNLIKELY(st->trailing && st->refusal == DX_OK && st->fields.count && ops->trailers)) {
        ops->trailers(st->stream->owner, &st->fields);
        if (!listens(st)) return;
    }
    ops->end(st->stream->owner);
}

// Owed since `body_from`: a second more for each `body_rate` bytes that came, after a first while in which anything goes.
static bool comes_too_slowly(const dx_http2_stream *st) {
    const dx_http_limits *limits = &st->stream->listener->options.limits;
    dx_nanos elapsed = dx_http2_now(st->h) - st->body_from;
    if (elapsed <= limits->body_stall || st->stream->tunnel) return false;
    return (double)st->body < (double)limits->body_rate * ((double)elapsed / (double)DX_SECOND);
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data, size_t size, void *context) {
    (void)flags;
    dx_http2 *h = context;
    dx_http2_stream *st = find(h, id);
    if (nghttp2_session_consume_connection(session, size) != 0) return NGHTTP2_ERR_CALLBACK_FAILURE;
    if (DX_UNLIKELY(!st && (h->discarded += size) > DX_HTTP2_DISCARD_CAP)) {
        return nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, id, NGHTTP2_NO_ERROR) == 0 ? 0 : NGHTTP2_ERR_CALLBACK_FAILURE;
    }
    if (!st || !listens(st)) {
        return nghttp2_session_consume_stream(session, id, size) == 0 ? 0 : NGHTTP2_ERR_CALLBACK_FAILURE;
    }
    dx_stream *stream = st->stream;
    if (st->body == 0 && st->expects && !st->continued) st->body_from = st->since = dx_http2_now(h); // came without 100
    st->body += size;
    if (st->body > stream->listener->options.limits.body_bytes && !stream->tunnel) {
        dx_http2_stream_fail(st, DX_TOO_LARGE, DX_TOO_LARGE, "the body is too large");
        return 0;
    }
    st->counted += (uint32_t)size;
    dx_stream_deliver(stream, dx_slice_of((const char *)data, size));
    dx_http2_stream_watch(st);
    if (DX_UNLIKELY(listens(st) && comes_too_slowly(st))) {
        dx_http2_stream_fail(st, DX_REQUEST_TIMEOUT, DX_REQUEST_TIMEOUT, "the body came too slowly");
    }
    return 0;
}

// --- header blocks ---------------------------------------------------------------------------------------------------------

static int on_begin_frame(nghttp2_session *session, const nghttp2_frame_hd *frame, void *context) {
    (void)session;
    dx_http2 *h = context;
    if (frame->type != NGHTTP2_CONTINUATION) h->in_head = false;
    if (DX_LIKELY(dx_http2_guard_frame(h, frame))) return 0;
    h->error = NGHTTP2_ENHANCE_YOUR_CALM;
    return NGHTTP2_ERR_CALLBACK_FAILURE;
}

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *context) {
    dx_http2 *h = context;
    h->heading = NULL;
    h->in_head = true; // of blocks that nghttp2 ignores nothing is told, their end neither
    h->since = dx_http2_now(h);
    if (frame->headers.cat != NGHTTP2_HCAT_REQUEST) {
        dx_http2_stream *st = find(h, frame->hd.stream_id);
        if (!st || !listens(st)) return 0;
        st->trailing = true;
        st->fields = (dx_fields){0};
        st->head_bytes = 0;
        h->heading = st;
        return 0;
    }
    dx_http2_stream *st = dx_http2_stream_create(h, frame->hd.stream_id);
    if (!st) {
        h->in_head = false;
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    }
    enlist(st);
    h->heading = st;
    return nghttp2_session_set_stream_user_data(session, st->id, st);
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, nghttp2_rcbuf *name, nghttp2_rcbuf *value, uint8_t flags,
                     void *context) {
    (void)session, (void)flags;
    dx_http2 *h = context;
    if (!h->heading || h->heading->id != frame->hd.stream_id) return 0;
    if (DX_LIKELY(dx_http2_head_add(h->heading, name, value))) return 0;
    h->error = NGHTTP2_ENHANCE_YOUR_CALM;
    return NGHTTP2_ERR_CALLBACK_FAILURE;
}

// A field that HTTP does not know as one: nghttp2 would leave it out, we reset the stream (RFC 9113 section 8.2.1).
static int on_invalid_header(nghttp2_session *session, const nghttp2_frame *frame, nghttp2_rcbuf *name, nghttp2_rcbuf *value, uint8_t flags,
                             void *context) {
    (void)session, (void)frame, (void)name, (void)value, (void)flags;
    dx_http2 *h = context;
    h->in_head = false; // its end is not told of
    return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

static void on_headers(dx_http2 *h, const nghttp2_frame *frame) {
    dx_http2_stream *st = h->heading;
    bool ended = frame->hd.flags & NGHTTP2_FLAG_END_STREAM;
    h->in_head = false;
    h->heading = NULL;
    if (!st) st = find(h, frame->hd.stream_id);
    if (!st) return;
    if (frame->headers.cat == NGHTTP2_HCAT_REQUEST) begin_request(st, ended);
    st = find(h, frame->hd.stream_id);
    if (st && ended) end_request(st);
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *context) {
    (void)session;
    dx_http2 *h = context;
    dx_http2_stream *st;
    switch (frame->hd.type) {
    case NGHTTP2_HEADERS:
        on_headers(h, frame);
        break;
    case NGHTTP2_DATA:
        if (frame->hd.flags & NGHTTP2_FLAG_PADDED) dx_http2_guard_padded(h, &frame->data);
        if (!(frame->hd.flags & NGHTTP2_FLAG_END_STREAM)) break;
        st = find(h, frame->hd.stream_id);
        if (st) end_request(st);
        break;
    case NGHTTP2_SETTINGS:
        if (h->greeted) break;
        h->greeted = true;
        h->since = dx_http2_now(h);
        break;
    case NGHTTP2_PING:
        if ((frame->hd.flags & NGHTTP2_FLAG_ACK) && h->end == DX_HTTP2_END_NOTICE) dx_http2_end_last(h);
        break;
    default:
        break;
    }
    return 0;
}

// A frame of a kind that we do not know, ALTSVC and the like among them: the guard has counted it, and nothing becomes of it.
static int skip_extension(nghttp2_session *session, void **payload, const nghttp2_frame_hd *frame, void *context) {
    (void)session, (void)payload, (void)frame, (void)context;
    return NGHTTP2_ERR_CANCEL;
}

static int on_invalid_frame(nghttp2_session *session, const nghttp2_frame *frame, int error, void *context) {
    (void)session, (void)frame, (void)error;
    dx_http2 *h = context;
    h->in_head = false;
    return 0;
}

static int on_stream_close(nghttp2_session *session, int32_t id, uint32_t error, void *context) {
    (void)session, (void)error;
    dx_http2 *h = context;
    dx_http2_stream *st = find(h, id);
    if (!st) return 0;
    dx_http2_stream_close(st);
    return 0;
}

void dx_http2_set_callbacks(nghttp2_session_callbacks *callbacks) {
    nghttp2_session_callbacks_set_on_begin_frame_callback(callbacks, on_begin_frame);
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback2(callbacks, on_header);
    nghttp2_session_callbacks_set_on_invalid_header_callback2(callbacks, on_invalid_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    nghttp2_session_callbacks_set_unpack_extension_callback(callbacks, skip_extension);
    nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(callbacks, on_invalid_frame);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
}
