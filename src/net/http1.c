// HTTP/1.1's side of a connection: events of the parser become calls of the streams' owner, one request at a time. While a request is
// complete but not answered, parsing stops, what was read already is kept, and the rest stays in the kernel: a client that pipelines is
// held by its own window.
#include "net/http1.h"

#include "base/memory.h"
#include "net/listener.h"

static dx_nanos now_of(const dx_http1 *h) {
    return dx_loop_now(h->connection.listener->loop);
}

static void init(dx_connection *c) {
    dx_http1 *h = dx_http1_of(c);
    dx_http1_parser_init(&h->parser, &c->listener->options.limits);
    h->since = now_of(h);
}

static void drop_saved(dx_http1 *h) {
    dx_memory_free(h->saved);
    h->saved = NULL;
    h->saved_at = h->saved_size = 0;
}

// --- a request's end -------------------------------------------------------------------------------------------------------

// Answered and read whole, in either order.
static void request_done(dx_http1 *h) {
    h->since = now_of(h);
    h->continued = false;
    if (!h->close) return;
    // A client that did not ask for the end may be sending its next request this moment.
    h->connection.finish = h->parser.keep_alive ? DX_FINISH_LINGER : DX_FINISH_CLOSE;
}

void dx_http1_answered(dx_http1 *h, dx_stream *stream) {
    dx_connection *c = &h->connection;
    dx_connection_answered(c, stream);
    h->stream = NULL;
    h->discarded = 0;
    if (c->finish) return;                                                        // refused
    bool whole = !h->reading_body || (!h->parser.chunked && h->parser.left == 0); // or the parser has only to say so
    if (!h->reading_body || (whole && h->close))
        request_done(h);
    else if (h->close)
        c->finish = DX_FINISH_LINGER;
}

// The request cannot be completed. Its owner is told, and the client where a response is still possible.
static void fail_request(dx_http1 *h, dx_status why, dx_status shown, const char *reason) {
    dx_connection *c = &h->connection;
    dx_stream *stream = h->stream;
    bool begun = stream && stream->begun;
    h->stream = NULL;
    if (stream) dx_stream_abort(stream, why);
    if (begun)
        c->broken = true;
    else
        dx_http1_reject(h, NULL, shown, reason);
}

// --- a request's way in ----------------------------------------------------------------------------------------------------

static void on_head(dx_http1 *h) {
    dx_connection *c = &h->connection;
    dx_listener *listener = c->listener;
    dx_stream *stream = dx_stream_take(listener, c, &dx_http1_wire);
    if (!stream) {
        dx_http1_reject(h, NULL, DX_NO_MEMORY, "no memory for the request");
        return;
    }
    dx_status status = dx_http1_head(&h->parser, stream->arena, &stream->head);
    if (status != DX_OK) {
        dx_http1_reject(h, stream, status, h->parser.reason);
        return;
    }
    stream->head.version = h->parser.http10 ? 10 : 11;
    if (dx_stream_know(stream) != DX_OK) {
        dx_http1_reject(h, stream, DX_NO_MEMORY, "no memory for the request");
        return;
    }
    h->stream = stream;
    h->requests++;
    h->reading_body = true;
    h->close = h->continued = false;
    h->since = h->body_from = now_of(h);
    void *owner = listener->options.ops->begin(listener->options.ctx, stream, &stream->head);
    stream->owner = owner;
    stream->began = owner || stream->answered || stream->begun;
    if (!stream->began) {
        h->stream = NULL;
        dx_http1_reject(h, stream, DX_OVERLOADED, "the server has too much to do");
    }
}

// Owed since `body_from`: a second more for each `body_rate` bytes that came, after a first while in which anything goes.
static bool too_slow(const dx_http1 *h) {
    const dx_http_limits *limits = &h->connection.listener->options.limits;
    dx_nanos elapsed = now_of(h) - h->body_from;
    if (elapsed <= limits->body_stall) return false;
    return (double)h->parser.body < (double)limits->body_rate * ((double)elapsed / (double)DX_SECOND);
}

static void time_out_body(dx_http1 *h, const char *reason) {
    if (h->stream && !h->stream->answered)
        fail_request(h, DX_REQUEST_TIMEOUT, DX_REQUEST_TIMEOUT, reason);
    else if (!h->connection.finish)
        h->connection.finish = DX_FINISH_CLOSE; // answered long ago, or dropped
}

static void on_body(dx_http1 *h) {
    dx_connection *c = &h->connection;
    if (h->parser.body == h->parser.piece.size && h->parser.expects && !h->continued) h->body_from = now_of(h); // came without 100
    h->since = now_of(h);
    if (h->stream) {
        if (h->parser.body > c->listener->options.limits.body_bytes) {
            fail_request(h, DX_TOO_LARGE, DX_TOO_LARGE, "the body is too large");
            return;
        }
        dx_stream_deliver(h->stream, h->parser.piece);
    } else if ((h->discarded += h->parser.piece.size) > DX_HTTP1_DISCARD_CAP) {
        c->finish = DX_FINISH_LINGER;
    }
    if (DX_UNLIKELY(too_slow(h))) time_out_body(h, "the body came too slowly");
}

// The fields behind the body, for an owner that wants them. False: the request has failed.
static bool take_trailers(dx_http1 *h) {
    const dx_stream_ops *ops = h->connection.listener->options.ops;
    bool wanted = h->stream && ops->trailers;
    dx_arena *arena = wanted ? dx_stream_late_arena(h->stream) : NULL;
    dx_fields fields = {NULL, 0, 0};
    if ((wanted && !arena) || dx_http1_trailers(&h->parser, arena, &fields) != DX_OK) {
        fail_request(h, DX_NO_MEMORY, DX_NO_MEMORY, "no memory for the trailers");
        return false;
    }
    if (wanted) ops->trailers(h->stream->owner, &fields);
    return true;
}

static void on_end(dx_http1 *h) {
    if (DX_UNLIKELY(h->parser.trailers > 0) && !take_trailers(h)) return;
    h->reading_body = false;
    h->turn++;
    if (h->stream && h->stream->tunnel)
        dx_http1_tunnel_begin(h);
    else if (h->stream && h->stream->head.protocol.size)
        return; // the owner is to say whether there will be a tunnel: its `end` is the tunnel's
    else if (h->stream)
        h->connection.listener->options.ops->end(h->stream->owner);
    else
        request_done(h);
}

// Prior knowledge of HTTP/2 (RFC 9113 section 3.3), which is for connections in the clear. True: `h` is no more.
static bool change_to_http2(dx_http1 *h, dx_slice rest) {
    dx_connection *c = &h->connection;
    const dx_protocol *http2 = c->listener->http2;
    if (!h->parser.preface || !http2 || h->requests > 0 || c->transport->facts) return false;
    dx_http1_parser_deinit(&h->parser); // nothing is saved before the first request
    dx_connection_speak(c, http2, DX_SLICE(DX_HTTP2_PREFACE));
    if (rest.size && !c->broken && !c->finish) http2->input(c, rest);
    return true;
}

// Whether the owner has as much of the body as it may have unconsumed. A body that is there whole may end all the same.
static bool is_full(const dx_http1 *h) {
    return h->reading_body && h->stream && !dx_stream_window_open(h->stream) && (h->parser.chunked || h->parser.left > 0);
}

static bool may_parse(const dx_http1 *h) {
    const dx_connection *c = &h->connection;
    if (h->stream && !h->reading_body) return false;
    if (is_full(h)) return false;
    return !c->broken && !c->finish && !dx_connection_pending(c) && h->turn < c->listener->options.limits.pipelined;
}

// The next event; of a body's bytes the parser is shown no more than the owner has room for.
static dx_http1_event next_event(dx_http1 *h, dx_slice *input) {
    size_t room = h->reading_body && h->stream ? DX_BODY_WINDOW - h->stream->unconsumed : SIZE_MAX;
    if (DX_LIKELY(input->size <= room)) return dx_http1_next(&h->parser, input);
    dx_slice part = dx_slice_of(input->data, room);
    dx_http1_event event = dx_http1_next(&h->parser, &part);
    *input = dx_slice_from(*input, room - part.size);
    return event;
}

// Another client than it was taken for has its connection changed, and then `h` is no more: false.
static bool consume(dx_http1 *h, dx_slice *input) {
    h->held = false;
    while (may_parse(h)) {
        bool fresh = dx_http1_parser_idle(&h->parser);
        switch (next_event(h, input)) {
        case DX_HTTP1_MORE:
            if (input->size) break;                                               // the owner had no room for all of it
            if (fresh && !dx_http1_parser_idle(&h->parser)) h->since = now_of(h); // the head's time runs from its first byte
            return true;
        case DX_HTTP1_HEAD:
            on_head(h);
            break;
        case DX_HTTP1_BODY:
            on_body(h);
            break;
        case DX_HTTP1_END:
            on_end(h);
            break;
        case DX_HTTP1_ERROR:
            if (change_to_http2(h, *input)) return false;
            if (h->reading_body && !h->stream)
                h->connection.finish = DX_FINISH_LINGER; // answered already
            else
                fail_request(h, DX_BAD_REQUEST, h->parser.status, h->parser.reason);
            return true;
        }
    }
    h->held = true;
    if (is_full(h)) h->paused = now_of(h);
    return true;
}

void dx_http1_keep_saved(dx_http1 *h, dx_slice rest) {
    h->saved_at = h->saved_size - (uint32_t)rest.size;
    if (rest.size == 0) drop_saved(h);
}

static void input(dx_connection *c, dx_slice bytes) {
    dx_http1 *h = dx_http1_of(c);
    if (h->tunnel)
        dx_http1_tunnel_input(h, &bytes);
    else if (!consume(h, &bytes))
        return;
    if (DX_LIKELY(bytes.size == 0) || c->finish || c->broken) return;
    h->saved = dx_memory_alloc(bytes.size);
    if (!h->saved) {
        c->broken = true;
        return;
    }
    memcpy(h->saved, bytes.data, bytes.size);
    h->saved_at = 0;
    h->saved_size = (uint32_t)bytes.size;
}

// The wait was for us: it does not count against the peer.
static void end_pause(dx_http1 *h) {
    h->since = now_of(h);
    h->body_from += h->since - h->paused;
    h->paused = 0;
}

// Goes on where parsing was held, with what was read already; that may be nothing, and yet a request's end be due.
static bool advance_held(dx_http1 *h) {
    if (!h->held || !may_parse(h)) return false;
    if (h->paused) end_pause(h);
    dx_slice rest = dx_http1_saved(h);
    if (consume(h, &rest)) dx_http1_keep_saved(h, rest);
    return true;
}

// The peer has ended its side: what it asked for whole is answered, what it broke off is not.
static void advance_eof(dx_http1 *h) {
    dx_connection *c = &h->connection;
    dx_stream *stream = h->stream;
    if (h->held || (stream && !h->reading_body)) return;
    h->stream = NULL;
    if (stream) dx_stream_abort(stream, DX_CANCELLED);
    if (stream)
        c->broken = true;
    else
        c->finish = DX_FINISH_CLOSE;
}

static bool advance(dx_connection *c) {
    dx_http1 *h = dx_http1_of(c);
    dx_stream *stream = h->stream;
    if (DX_UNLIKELY(h->tunnel)) return dx_http1_tunnel_advance(h);
    if (stream && stream->blocked && c->burst < DX_BURST_CAP) {
        stream->blocked = false;
        const dx_stream_ops *ops = c->listener->options.ops;
        if (ops->writable) ops->writable(stream->owner);
        return true;
    }
    if (advance_held(h)) return true;
    if (DX_UNLIKELY(c->eof)) advance_eof(h);
    return false;
}

static dx_nanos deadline(const dx_http1 *h) {
    const dx_http_limits *limits = &h->connection.listener->options.limits;
    // While the peer was still taking our answer, it was neither idle nor stalling.
    dx_nanos since = h->since > h->connection.progress ? h->since : h->connection.progress;
    if (h->paused) return DX_NEVER;
    if (h->reading_body) {
        bool told_to_wait = h->stream && h->parser.expects && !h->continued && h->parser.body == 0;
        return told_to_wait ? DX_NEVER : since + limits->body_stall;
    }
    if (h->stream || h->held) return DX_NEVER; // the wait is for us
    if (h->requests == 0 || dx_http1_parser_in_head(&h->parser)) return h->since + limits->head_time;
    return since + limits->idle_time;
}

static void rest(dx_connection *c) {
    dx_http1 *h = dx_http1_of(c);
    if (DX_UNLIKELY(h->tunnel)) {
        dx_http1_tunnel_rest(h);
        return;
    }
    bool waiting = h->held || (h->stream && !h->reading_body);
    c->reading = !waiting && !c->eof;
    c->idle = !waiting && !h->stream && !h->reading_body && dx_http1_parser_idle(&h->parser);
    c->deadline = deadline(h);
    h->turn = 0;
    // It has had its turn; others go first.
    if ((h->held && may_parse(h)) || (h->stream && h->stream->blocked)) dx_connection_touch(c);
}

static void timeout(dx_connection *c) {
    dx_http1 *h = dx_http1_of(c);
    if (h->tunnel)
        dx_http1_tunnel_timeout(h);
    else if (h->reading_body)
        time_out_body(h, "the body did not come");
    else if (dx_http1_parser_in_head(&h->parser))
        dx_http1_reject(h, NULL, DX_REQUEST_TIMEOUT, "the head did not come");
    else
        c->broken = true; // idle
}

static void cut(dx_connection *c) {
    dx_http1 *h = dx_http1_of(c);
    dx_stream *stream = h->stream;
    h->stream = NULL;
    drop_saved(h);
    dx_http1_parser_deinit(&h->parser);
    if (!stream) return;
    if (stream->answered)
        dx_stream_end(stream, h->ended); // dropped, or the tunnel's peer had no last word
    else
        dx_stream_abort(stream, DX_CANCELLED);
}

const dx_protocol dx_http1_protocol = {
    .size = sizeof(dx_http1),
    .init = init,
    .input = input,
    .advance = advance,
    .rest = rest,
    .timeout = timeout,
    .cut = cut,
};
