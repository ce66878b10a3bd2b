// Serving HTTP on sockets. A *connection* carries *streams*; a stream is one request and its response. HTTP/1.1 runs streams one
// after another, HTTP/2 side by side: whoever answers streams cannot tell. A listener belongs to one worker's loop; everything here is
// called on that loop's thread. A listener accepts at any number of endpoints; each worker has its own listener, and its own socket at each
// TCP address (SO_REUSEPORT).
//
// The stream's life: `begin` (the head is complete) → any number of `body` → perhaps `trailers` → `end` (the request is complete) → the
// owner calls dx_stream_respond exactly once, at any time from `begin` on → `closed`, exactly once, whatever happened. A peer that goes
// away leads to `abort` at once; a response is then ignored, and `closed` follows when the owner has called dx_stream_respond or
// dx_stream_drop. A request that is not proper HTTP never begins: it is answered by `reject` and the connection is closed.
#ifndef DX_NET_HTTP_SERVER_H
#define DX_NET_HTTP_SERVER_H

#include "base/arena.h"
#include "base/diag.h"
#include "codec/http.h"
#include "loop/loop.h"

typedef struct dx_listener dx_listener;
typedef struct dx_stream dx_stream;

typedef struct dx_request_head {
    dx_method method;
    dx_slice method_text;
    dx_slice target;        // as sent
    dx_slice path;          // up to "?", not decoded; starts with "/" (or is "*" for OPTIONS)
    dx_slice query;         // behind "?", not decoded; NULL data when there is no "?"
    dx_fields fields;       // requests' field values have no CR, LF or NUL; repeated fields stay apart
    int64_t content_length; // bytes; -1: chunked, not known; 0: no body
    dx_slice peer;          // "127.0.0.1:4711", "unix"; of a PROXY header where there is one; lives as long as the stream
    bool secure;            // came over TLS
    uint8_t version;        // 10, 11 or 20
    uint16_t tag;           // the endpoint's
    // "websocket": the client asks for a tunnel, by HTTP/1.1's Upgrade (RFC 9110 section 7.8) or HTTP/2's extended CONNECT (RFC 8441; the
    // method then reads GET, as RFC 6455 has it). Else empty.
    dx_slice protocol;
    const struct dx_tls_facts *tls; // copied for the stream; NULL: in the clear
} dx_request_head;

typedef struct dx_response_head {
    int status;
    const dx_fields *fields; // without Date, Content-Length, Transfer-Encoding, Connection: the protocol adds these
    bool close;              // ask for the connection to be closed afterwards
    bool no_body_length;     // HEAD and 304: `body` is empty but Content-Length (when >= 0 below) is what GET would have
    int64_t content_length;  // only with no_body_length; -1: leave it out
} dx_response_head;

typedef struct dx_stream_ops {
    // The head is complete. `head` lives in the stream's arena. What is returned becomes dx_stream_owner; NULL refuses with a 503.
    // The owner may respond from inside.
    void *(*begin)(void *ctx, dx_stream *stream, const dx_request_head *head);
    // A piece of the body, decoded from chunks; it lives only during the call. Over the owner's cap: respond and ignore the rest. Every
    // byte counts against the stream's window (DX_BODY_WINDOW) until dx_stream_consume: no more than that comes unconsumed.
    void (*body)(void *owner, dx_slice piece);
    // Fields behind the body (RFC 9110 section 6.5), before `end`. NULL: dropped.
    void (*trailers)(void *owner, const dx_fields *fields);
    // The body is complete (called at once for a request without one). A request with `protocol` has none and comes to its `end` in the
    // tunnel, if there is one: it is to be answered without waiting for that.
    void (*end)(void *owner);
    // The peer went away or broke the protocol mid-body, or a timeout struck (`why` says which: DX_CANCELLED, DX_REQUEST_TIMEOUT,
    // DX_BAD_REQUEST). The protocol answers for itself where that is still possible.
    void (*abort)(void *owner, dx_status why);
    // The stream ends; its arena is taken back right after. `sent` says whether a whole response was handed to the kernel.
    void (*closed)(void *owner, bool sent, uint64_t bytes_sent);
    // A response for a request that never began: fills `head` (its fields and body from `arena`) for the status and the reason. `peer` is
    // as in a request's head.
    void (*reject)(void *ctx, dx_arena *arena, dx_slice peer, dx_status why, const char *reason, dx_response_head *head, dx_slice *body);
    // After dx_stream_write has said false: there is room again. NULL for owners that never write piecewise.
    void (*writable)(void *owner);
} dx_stream_ops;

// Caps and timeouts, each with its default. 0 is not "no limit": every one is a real bound.
typedef struct dx_http_limits {
    uint32_t head_bytes;            // 16384: request line and fields together
    uint32_t fields;                // 100
    uint32_t target_bytes;          // 8192
    uint32_t requests_a_connection; // 1000000
    uint32_t connections;           // 20000 a worker; over it, the oldest idle one is closed, or else the new one
    uint32_t pipelined;             // 64 requests answered from one connection before others get their turn
    dx_nanos head_time;             // 10 s from the first byte (or accept) to the end of the head
    dx_nanos idle_time;             // 75 s between requests
    dx_nanos body_stall;            // 30 s without a byte of a body that is owed
    uint32_t body_rate;             // 500 bytes a second on average, once body_stall has passed; of an answer, once write_stall has
    dx_nanos write_stall;           // 30 s without the peer taking a byte
    uint64_t body_bytes;            // 1 GiB: no Content-Length over it is taken; owners set smaller caps themselves
    // HTTP/2 alone:
    uint32_t streams; // 128 of a connection at once
    uint32_t controls; // 1000 frames that bring nothing (PING, SETTINGS, empty DATA …) beyond what honest traffic has; a tenth comes back a
                       // second
    uint32_t resets; // 200 streams that end without an answer, beyond as many that have one; likewise
} dx_http_limits;
#define DX_HTTP_LIMITS_INIT                                                                                                                \
    {                                                                                                                                      \
        16384, 100, 8192, 1000000, 20000, 64, 10 * DX_SECOND, 75 * DX_SECOND, 30 * DX_SECOND, 500, 30 * DX_SECOND, 1ULL << 30, 128, 1000,  \
            200                                                                                                                            \
    }

typedef struct dx_listener_options {
    dx_http_limits limits;
    size_t arena_cap; // bytes a stream's arena may take; 16 MiB
    const dx_stream_ops *ops;
    void *ctx;
    struct dx_gate *gate; // whom connections pass when they are accepted; NULL: all may come
} dx_listener_options;

// A socket that listens, and what is spoken there.
typedef struct dx_endpoint {
    int fd;              // dx_socket_listen's, or anybody's stream socket that listens
    struct dx_tls *tls;  // NULL: in the clear. Not held: it must live until the endpoint is changed or removed
    bool proxy_protocol; // every connection begins with a PROXY header
    // Who alone may send one; NULL: anybody. Not held, as `tls`.
    const struct dx_ranges *proxies;
    uint16_t tag; // requests carry it
} dx_endpoint;

#define DX_ENDPOINT_CAP 64 // of one listener

// Without endpoints yet.
dx_status dx_listener_start(dx_listener **out, dx_loop *loop, const dx_listener_options *options, dx_diags *diags) DX_MUST_USE;
// From now on connections are accepted there. The descriptor is the listener's, which closes it in the end; on failure it stays the
// caller's.
dx_status dx_listener_add(dx_listener *listener, const dx_endpoint *endpoint) DX_MUST_USE;
// For connections from now on. `endpoint->fd` is not looked at. DX_NOT_FOUND: no endpoint has the descriptor.
dx_status dx_listener_change(dx_listener *listener, int fd, const dx_endpoint *endpoint) DX_MUST_USE;
// Accepts who waits there already, and closes it. Connections that came by it go on. Does nothing when no endpoint has the descriptor.
void dx_listener_remove(dx_listener *listener, int fd);

// For what begins from now on.
void dx_listener_limit(dx_listener *listener, const dx_http_limits *limits, size_t arena_cap);

typedef enum dx_drain {
    DX_DRAIN_NOW,   // a stop: who waits to be accepted is, and idle connections are closed at once
    DX_DRAIN_POLITE // a hand-over: another process accepts at the same sockets, and idle connections may still send one request
} dx_drain;
// Closes the endpoints, lets streams under way finish (their responses say `Connection: close` or GOAWAY), cuts what is left after `grace`;
// then calls `done`.
void dx_listener_drain(dx_listener *listener, dx_drain how, dx_nanos grace, void (*done)(void *ctx), void *ctx);
void dx_listener_destroy(dx_listener *listener); // after `done`
size_t dx_listener_connections(const dx_listener *listener);

// Bytes of a request's body that a stream gives its owner ahead of dx_stream_consume.
#define DX_BODY_WINDOW (256u << 10)

dx_arena *dx_stream_arena(dx_stream *stream); // from a pool; everything of the request lives in it
void *dx_stream_owner(dx_stream *stream);
// Sends a whole response. `head`'s fields and `body` must live until `closed` (arena or static memory). The request's body need not have
// been read: HTTP/1.1 then reads on up to a small bound or closes; no more of it reaches the owner. Exactly once a stream. `closed` never
// comes from inside this or the calls below.
void dx_stream_respond(dx_stream *stream, const dx_response_head *head, dx_slice body);
// Instead: a response whose length is not known before, in pieces (HTTP/1.1: chunked; HTTP/1.0: ended by closing). `head`'s fields need
// not live on. To a HEAD request the pieces are not sent.
void dx_stream_begin(dx_stream *stream, const dx_response_head *head);
// Takes the piece whole (it is copied where it must wait) and says true, or takes nothing of it and says false: then too much is waiting
// for the peer already, and `writable` will come. When the peer has gone, pieces are taken and dropped.
bool dx_stream_write(dx_stream *stream, dx_slice piece) DX_MUST_USE;
void dx_stream_finish(dx_stream *stream); // the last word, as dx_stream_respond is
// Instead of a response, or of finishing one: cuts the connection (HTTP/2: resets the stream).
void dx_stream_drop(dx_stream *stream);
// Sends a response whose body is `length` bytes of an open regular file from `offset` on: the descriptor is the stream's from now on and is
// closed with it. The kernel's page cache goes to the socket where it can (sendfile); a read that would wait for the disk is done by a
// pool thread. A file that turns out shorter cuts the connection (HTTP/2: the stream). The last word, as dx_stream_respond is.
void dx_stream_respond_file(dx_stream *stream, const dx_response_head *head, int file, int64_t offset, int64_t length);
// Instead of dx_stream_begin, for a head with `protocol`: agrees to the tunnel (HTTP/1.1: 101, HTTP/2: 200; `head->status` is not looked
// at). From then on `body` brings the peer's bytes as they are, `end` says that it sends no more, dx_stream_write sends bytes as they are
// and dx_stream_finish ends our side; `closed` comes when both sides have ended. Idle timeouts do not apply; but once our side has ended, a
// peer that says nothing for `body_stall` is cut, and dx_stream_drop may still be called.
void dx_stream_tunnel(dx_stream *stream, const dx_response_head *head);
// Fields to send behind a piecewise response's body; before dx_stream_finish. Before dx_stream_begin, HTTP/1.1 announces their names
// (Trailer). They must live until `closed`. HTTP/1.0 drops them.
void dx_stream_trailers(dx_stream *stream, const dx_fields *fields);
// That many bytes of what `body` brought are done with: as many more may come. Owners that take every piece in at once call it at once.
void dx_stream_consume(dx_stream *stream, size_t bytes);
// Says that the body is wanted: sends `100 Continue` when the client waits for it. Without it the client's `Expect` gets the final status.
void dx_stream_continue(dx_stream *stream);

#endif
