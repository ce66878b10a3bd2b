// HTTP/2's side of a connection: bytes go into nghttp2 and come out of it, and what nghttp2 does not do by itself happens here: time, the
// end of a connection, and the order of things. See the header for what may be called when.
#include "net/http2.h"

#include "base/memory.h"

static dx_http2_connection *of(dx_connection *c) {
    return DX_CONTAINER_OF(c, dx_http2_connection, connection);
}

static const dx_http_limits *limits_of(const dx_http2 *h) {
    return &h->connection->listener->options.limits;
}

static void init(dx_connection *c) {
    of(c)->since = dx_loop_now(c->listener->loop);
    c->duplex = true;
}

static void destroy(dx_http2 *h) {
    nghttp2_session_del(h->session);
    dx_hpack_deinit(&h->hpack);
    dx_memory_free(h);
}

static dx_http2 *create(dx_connection *c) {
    dx_http2 *h = dx_memory_zalloc(1, sizeof *h);
    if (!h) return NULL;
    h->connection = c;
    h->since = of(c)->since;
    h->last_lost = &h->lost;
    dx_http2_link_init(&h->streams);
    dx_http2_link_init(&h->uploads);
    dx_http2_link_init(&h->sending);
    dx_http2_guard_init(h);
    dx_hpack_init(&h->hpack);
    if (dx_http2_session_create(h) != DX_OK) {
        destroy(h);
        return NULL;
    }
    of(c)->h = h;
    return h;
}

// --- the end ---------------------------------------------------------------------------------------------------------------

// What nghttp2 has to say last goes out, then the connection ends.
static void terminate(dx_http2 *h, uint32_t error) {
    h->over = true;
    if (nghttp2_session_terminate_session(h->session, error) != 0) h->connection->broken = true;
}

void dx_http2_end_begin(dx_http2 *h) {
    if (h->end != DX_HTTP2_END_NOT || h->over) return;
    h->end = DX_HTTP2_END_NOTICE;
    h->end_since = dx_http2_now(h);
    if (nghttp2_submit_shutdown_notice(h->session) != 0 || nghttp2_submit_ping(h->session, NGHTTP2_FLAG_NONE, NULL) != 0) {
        h->connection->broken = true;
    }
    dx_connection_touch(h->connection);
}

void dx_http2_end_last(dx_http2 *h) {
    if (h->end == DX_HTTP2_END_LAST || h->over) return;
    h->end = DX_HTTP2_END_LAST;
    int32_t last = nghttp2_session_get_last_proc_stream_id(h->session);
    if (nghttp2_submit_goaway(h->session, NGHTTP2_FLAG_NONE, last, NGHTTP2_NO_ERROR, NULL, 0) != 0) h->connection->broken = true;
    dx_connection_touch(h->connection);
}

// Every stream is lost; their owners are told.
static void lose_all(dx_http2 *h) {
    while (!dx_http2_link_empty(&h->streams)) {
        dx_http2_stream_lose(DX_CONTAINER_OF(h->streams.next, dx_http2_stream, all));
    }
    for (dx_http2_stream *st = h->lost; st; st = st->next_lost) st->stream->connection = NULL;
    (void)dx_http2_settle(h);
}

static void fail(dx_http2 *h, int problem) {
    uint32_t error = h->error;
    h->error = 0;
    switch (error ? 0 : problem) {
    case 0:
        break;
    case NGHTTP2_ERR_NOMEM:
        h->connection->broken = true;
        return;
    case NGHTTP2_ERR_FLOODED:
    case NGHTTP2_ERR_TOO_MANY_SETTINGS:
    case NGHTTP2_ERR_TOO_MANY_CONTINUATIONS:
        error = NGHTTP2_ENHANCE_YOUR_CALM;
        break;
    case NGHTTP2_ERR_BAD_CLIENT_MAGIC:
        error = NGHTTP2_PROTOCOL_ERROR;
        break;
    default:
        error = NGHTTP2_INTERNAL_ERROR;
        break;
    }
    terminate(h, error);
}

// --- in and out ------------------------------------------------------------------------------------------------------------

// Has nghttp2 write what it may. False when that was nothing.
static bool pump(dx_http2 *h) {
    dx_connection *c = h->connection;
    uint32_t before = h->turn_bytes;
    while (!dx_connection_pending(c) && !c->broken) {
        const uint8_t *frame;
        ssize_t size = nghttp2_session_mem_send(h->session, &frame);
        if (size < 0) c->broken = true;
        if (size <= 0) break;
        h->turn_bytes += (uint32_t)size;
        dx_slice bytes = dx_slice_of((const char *)frame, (size_t)size);
        if (frame[3] == NGHTTP2_HEADERS) { // one whole frame, as heads of nghttp2's are short
            dx_http2_head_put(h, bytes);
        } else {
            h->head_out = NULL; // told of behind the last frame of long trailers
            dx_connection_put(c, bytes);
        }
    }
    if (DX_UNLIKELY(h->error && !h->over && !c->broken)) {
        fail(h, 0);
        return true;
    }
    return h->turn_bytes != before;
}

static void input(dx_connection *c, dx_slice bytes) {
    dx_http2 *h = dx_http2_of(c);
    if (DX_UNLIKELY(!h)) h = create(c);
    if (DX_UNLIKELY(!h)) {
        c->broken = true;
        return;
    }
    if (DX_UNLIKELY(h->over)) return;
    ssize_t taken = nghttp2_session_mem_recv(h->session, (const uint8_t *)bytes.data, bytes.size);
    if (DX_UNLIKELY(taken < 0)) fail(h, (int)taken);
    (void)dx_http2_settle(h);
    (void)pump(h);
}

static bool tell_writable(dx_http2 *h) {
    if (DX_LIKELY(!h->wakes)) return false;
    h->wakes = false;
    const dx_stream_ops *ops = h->connection->listener->options.ops;
    for (dx_http2_link *at = h->streams.next; at != &h->streams; at = at->next) { // calls of owners leave the list alone
        dx_http2_stream *st = DX_CONTAINER_OF(at, dx_http2_stream, all);
        if (!st->wake) continue;
        st->wake = false;
        if (!st->stream->blocked || st->stream->answered) continue;
        st->stream->blocked = false;
        if (ops->writable) ops->writable(st->stream->owner);
    }
    return true;
}

// The peer sends no more: what it asked for whole is answered, the rest can't be.
static void advance_eof(dx_http2 *h) {
    for (dx_http2_link *at = h->streams.next; at != &h->streams; at = at->next) {
        dx_http2_stream *st = DX_CONTAINER_OF(at, dx_http2_stream, all);
        if (!st->heard) dx_http2_reset(st, NGHTTP2_CANCEL);
    }
    dx_http2_end_last(h);
}

// Streams of which only the rest of a request is missing do not count.
static bool is_over(const dx_http2 *h) {
    return (h->end == DX_HTTP2_END_LAST && h->count == 0) || !nghttp2_session_want_read(h->session);
}

static bool advance(dx_connection *c) {
    dx_http2 *h = dx_http2_of(c);
    if (DX_UNLIKELY(!h)) {
        if (c->eof) c->broken = true;
        return false;
    }
    const dx_listener *listener = c->listener;
    if (DX_UNLIKELY(listener->draining && h->end == DX_HTTP2_END_NOT)) {
        if (listener->how == DX_DRAIN_NOW && h->count == 0 && h->requests > 0)
            dx_http2_end_last(h);
        else
            dx_http2_end_begin(h);
    }
    if (DX_UNLIKELY(c->eof)) advance_eof(h);
    bool went_on = dx_http2_settle(h);
    if (tell_writable(h)) went_on = true;
    if (nghttp2_session_want_write(h->session)) {
        if (!h->yielded && pump(h)) went_on = true;
    } else if (DX_UNLIKELY(is_over(h)) && !went_on) {
        lose_all(h);
        c->finish = c->eof ? DX_FINISH_CLOSE : DX_FINISH_LINGER;
    }
    return went_on;
}

// --- time ------------------------------------------------------------------------------------------------------------------

static dx_http2_stream *first_upload(const dx_http2 *h) {
    return dx_http2_link_empty(&h->uploads) ? NULL : DX_CONTAINER_OF(h->uploads.next, dx_http2_stream, upload);
}

static dx_http2_stream *first_sending(const dx_http2 *h) {
    return dx_http2_link_empty(&h->sending) ? NULL : DX_CONTAINER_OF(h->sending.next, dx_http2_stream, sending);
}

static dx_nanos later(dx_nanos a, dx_nanos b) {
    return a > b ? a : b;
}

static dx_nanos sooner(dx_nanos a, dx_nanos b) {
    return a < b ? a : b;
}

static dx_nanos idle_until(const dx_http2 *h) {
    if (!h->greeted) return h->since + limits_of(h)->head_time;
    if (h->in_head) return h->since + limits_of(h)->head_time;
    if (h->count == 0) return later(h->since, h->connection->progress) + limits_of(h)->idle_time;
    return DX_NEVER;
}

static dx_nanos deadline(const dx_http2 *h) {
    if (h->over) return DX_NEVER; // the peer has to take what is written, which has a limit of its own
    dx_nanos at = idle_until(h);
    const dx_http2_stream *upload = first_upload(h), *sending = first_sending(h);
    if (upload) at = sooner(at, upload->since + limits_of(h)->body_stall);
    if (sending) at = sooner(at, sending->send_since + limits_of(h)->write_stall);
    if (h->end == DX_HTTP2_END_NOTICE) at = sooner(at, h->end_since + DX_HTTP2_NOTICE_TIME);
    return at;
}

static void rest(dx_connection *c) {
    dx_http2 *h = dx_http2_of(c);
    if (DX_UNLIKELY(!h)) {
        c->reading = c->idle = true;
        c->deadline = of(c)->since + c->listener->options.limits.head_time;
        return;
    }
    c->reading = !c->eof && !h->over && !c->finish && nghttp2_session_get_outbound_queue_size(h->session) < DX_HTTP2_OUTBOUND_CAP;
    c->idle = h->count == 0 && !h->in_head;
    c->deadline = deadline(h);
    h->turn_bytes = 0;
    if (DX_UNLIKELY(h->yielded)) {
        h->yielded = false;
        dx_connection_touch(c);
    }
}

// Streams whose peers owe bytes of a request, or room for a response, for too long.
static void time_out_streams(dx_http2 *h, dx_nanos now) {
    for (dx_http2_stream *st; (st = first_upload(h)) && st->since + limits_of(h)->body_stall <= now;) {
        dx_http2_unlink(&st->upload);
        dx_http2_stream_fail(st, DX_REQUEST_TIMEOUT, DX_REQUEST_TIMEOUT, "the body did not come");
    }
    for (dx_http2_stream *st; (st = first_sending(h)) && st->send_since + limits_of(h)->write_stall <= now;) {
        if (dx_http2_stalled(st, now)) {
            dx_http2_unlink(&st->sending);
            dx_http2_reset(st, NGHTTP2_CANCEL);
        } else { // it waits for its turn, not for the peer
            st->send_since = st->send_from = now;
            st->sent = 0;
            dx_http2_link_last(&h->sending, &st->sending);
        }
    }
}

static void timeout(dx_connection *c) {
    dx_http2 *h = dx_http2_of(c);
    if (!h) {
        c->broken = true;
        return;
    }
    dx_nanos now = dx_http2_now(h);
    time_out_streams(h, now);
    if (h->end == DX_HTTP2_END_NOTICE && h->end_since + DX_HTTP2_NOTICE_TIME <= now) dx_http2_end_last(h);
    if (idle_until(h) > now) return;
    if (h->greeted && !h->in_head)
        dx_http2_end_last(h);
    else
        terminate(h, NGHTTP2_ENHANCE_YOUR_CALM);
}

static void cut(dx_connection *c) {
    dx_http2 *h = dx_http2_of(c);
    if (!h) return;
    of(c)->h = NULL;
    lose_all(h);
    destroy(h);
}

const dx_protocol dx_http2_protocol = {
    .size = sizeof(dx_http2_connection),
    .init = init,
    .input = input,
    .advance = advance,
    .rest = rest,
    .timeout = timeout,
    .cut = cut,
};
