// A tunnel on an HTTP/1.1 connection (RFC 9110 section 7.8): after 101 the connection is its owner's, bytes both ways as they are, until
// both sides have ended. Each side ends by itself (FIN), as the owner's `end` and dx_stream_finish say. No timeout of ours ends it while it
// is open: its owner knows what silence means there. Only when the owner has said its last word must the peer come to its end, too.
#include "net/http1.h"
#include "net/listener.h"

static dx_nanos now_of(const dx_http1 *h) {
    return dx_loop_now(h->connection.listener->loop);
}

void dx_http1_tunnel_begin(dx_http1 *h) {
    h->tunnel = true;
    h->connection.duplex = true; // neither way waits for the other
    h->since = now_of(h);
}

void dx_http1_tunnel_input(dx_http1 *h, dx_slice *input) {
    dx_stream *stream = h->stream;
    const dx_connection *c = &h->connection;
    while (input->size && !c->broken && !c->finish && dx_stream_window_open(stream)) {
        size_t room = DX_BODY_WINDOW - stream->unconsumed;
        dx_slice piece = dx_slice_of(input->data, input->size < room ? input->size : room);
        *input = dx_slice_from(*input, piece.size);
        h->since = now_of(h);
        dx_stream_deliver(stream, piece);
    }
    h->held = input->size > 0;
}

// Both sides have ended, or ours has and the peer's time for that is over.
static void close_tunnel(dx_http1 *h) {
    dx_connection_answered(&h->connection, h->stream);
    h->stream = NULL;
    h->connection.finish = DX_FINISH_CLOSE;
}

bool dx_http1_tunnel_advance(dx_http1 *h) {
    dx_connection *c = &h->connection;
    dx_stream *stream = h->stream;
    const dx_stream_ops *ops = c->listener->options.ops;
    if (stream->blocked && c->burst < DX_BURST_CAP && dx_connection_unsent(c) <= DX_HTTP1_WAITING_CAP) {
        stream->blocked = false;
        if (ops->writable) ops->writable(stream->owner);
        return true;
    }
    if (h->held && dx_stream_window_open(stream)) {
        dx_slice rest = dx_http1_saved(h);
        dx_http1_tunnel_input(h, &rest);
        dx_http1_keep_saved(h, rest);
        return true;
    }
    if (c->eof && !h->held && !h->peer_ended) {
        h->peer_ended = true;
        ops->end(stream->owner);
        return true;
    }
    if (!h->finished || dx_connection_pending(c)) return false;
    if (!h->ended && !h->peer_ended && c->transport->end(c) != 0) c->broken = true;
    h->ended = true;
    if (!h->peer_ended) return false;
    close_tunnel(h);
    return true;
}

void dx_http1_tunnel_rest(dx_http1 *h) {
    dx_connection *c = &h->connection;
    c->reading = !h->held && !c->eof && dx_stream_window_open(h->stream);
    c->idle = false;
    dx_nanos since = h->since > c->progress ? h->since : c->progress;
    c->deadline = h->finished && !dx_connection_pending(c) ? since + c->listener->options.limits.body_stall : DX_NEVER;
    if (h->stream->blocked && c->burst >= DX_BURST_CAP) dx_connection_touch(c); // the others have had their turn by then
}

void dx_http1_tunnel_timeout(dx_http1 *h) {
    close_tunnel(h);
}
