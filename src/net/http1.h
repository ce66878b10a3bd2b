// HTTP/1.1 on a connection (RFC 9112): requests one after another, each a stream.
#ifndef DX_NET_HTTP1_H
#define DX_NET_HTTP1_H

#include "net/connection.h"
#include "net/http1_parser.h"
#include "net/stream.h"

extern const dx_protocol dx_http1_protocol;

// Bytes of an answered request's body that are read and thrown away for the connection's sake; over it, the connection is closed.
#define DX_HTTP1_DISCARD_CAP (256u << 10)
// Bytes of a piecewise response that may wait for the peer before dx_stream_write says no.
#define DX_HTTP1_WAITING_CAP (256u << 10)
// Bodies up to this size are copied behind their head; larger ones are sent from where they lie.
#define DX_HTTP1_COPY_CAP 8192u
// Files up to this size are read into memory when the page cache has them; larger ones go by sendfile.
#define DX_HTTP1_SMALL_FILE (32 << 10)

typedef struct dx_http1 {
    dx_connection connection; // first
    dx_http1_parser parser;
    dx_stream *stream; // the request that is not answered yet
    char *saved;       // input that came while a request was being answered
    uint32_t saved_at, saved_size;
    uint32_t requests;
    uint32_t turn;      // requests since the others had theirs
    bool held;          // parsing stopped before the input's end
    bool reading_body;  // from a head to its request's end
    bool continued;     // 100 Continue is sent
    bool close;         // the response being answered is the last
    bool chunked;       // it is written in chunks
    bool tunnel;        // no longer HTTP: bytes as they are, both ways (http1_tunnel.c)
    bool peer_ended;    // in the tunnel: its owner knows that the peer sends no more
    bool finished;      // likewise: its owner sends no more
    bool ended;         // and the peer was told
    dx_nanos since;     // of the state that has a timeout: head, body, idle
    dx_nanos body_from; // when the body began to be owed
    dx_nanos paused;    // since when the body is held because its owner has enough of it; 0: it is not
    uint64_t discarded;
} dx_http1;

// Input kept while nobody had room for it; and forgotten again.
static inline dx_slice dx_http1_saved(const dx_http1 *h) {
    return h->saved ? dx_slice_of(h->saved + h->saved_at, h->saved_size - h->saved_at) : dx_slice_of("", 0);
}
void dx_http1_keep_saved(dx_http1 *h, dx_slice rest); // what is left of dx_http1_saved

static inline dx_http1 *dx_http1_of(dx_connection *connection) {
    return DX_CONTAINER_OF(connection, dx_http1, connection);
}

extern const dx_stream_wire dx_http1_wire;
// Writes the response to a request that was refused, and ends the connection behind it. `stream` is the refused request's, which never
// began, or NULL.
void dx_http1_reject(dx_http1 *h, dx_stream *stream, dx_status why, const char *reason);
// The request for a tunnel was agreed to and is read whole: from now on bytes go as they are.
void dx_http1_tunnel_begin(dx_http1 *h);
// Gives the tunnel's owner what it has room for, off the front of `input`.
void dx_http1_tunnel_input(dx_http1 *h, dx_slice *input);
// dx_protocol's `advance`, `rest` and `timeout`, in a tunnel.
bool dx_http1_tunnel_advance(dx_http1 *h);
void dx_http1_tunnel_rest(dx_http1 *h);
void dx_http1_tunnel_timeout(dx_http1 *h);
// The current request has its whole response written.
void dx_http1_answered(dx_http1 *h, dx_stream *stream);

#endif
