// A stream, as its connection sees it. Streams come from the listener's pool, each with its arena, and outlive their connection when the
// owner has not answered yet: an orphan, whose answer goes nowhere.
#ifndef DX_NET_STREAM_H
#define DX_NET_STREAM_H

#include "net/connection.h"
#include "net/file_body.h"

// What a protocol does for a stream whose connection lives. Each is called in the right state only: stream.c sees to it. `answered` and
// `begun` are set already. None may call the owner back from inside.
typedef struct dx_stream_wire {
    // The whole response. Its stream ends (dx_stream_end) once the response is with the kernel.
    void (*respond)(dx_stream *stream, const dx_response_head *head, dx_slice body);
    // Likewise, the body being stream->file, which the stream destroys when it ends.
    void (*respond_file)(dx_stream *stream, const dx_response_head *head);
    void (*file_ready)(dx_stream *stream); // after DX_FILE_WAIT: look again. Not while the connection is entered
    // The head of a piecewise response, or of a tunnel (stream->tunnel).
    void (*begin)(dx_stream *stream, const dx_response_head *head);
    // A piece of it, not empty; false: nothing was taken, and `blocked` is set: the owner's `writable` is due when there is room.
    bool (*write)(dx_stream *stream, dx_slice piece);
    void (*finish)(dx_stream *stream); // with stream->trailers, if any
    void (*drop)(dx_stream *stream);
    void (*want_body)(dx_stream *stream); // 100 Continue, if it is waited for
    void (*consume)(dx_stream *stream);   // stream->unconsumed has become less
} dx_stream_wire;

struct dx_stream {
    dx_listener *listener;
    dx_connection *connection; // NULL: gone
    const dx_stream_wire *wire;
    dx_arena *arena;
    dx_arena *late; // see dx_stream_late_arena; NULL: not needed so far
    void *owner;
    dx_stream *next;
    uint64_t bytes;            // of the response, written so far
    uint32_t unconsumed;       // bytes of the body that the owner has been given and not said dx_stream_consume for
    dx_file_body *file;        // the response's body, answered with dx_stream_respond_file; NULL: none
    void *protocol_state;      // the protocol's own, if it needs any
    const dx_fields *trailers; // to be sent; NULL: none
    bool began;                // the owner knows of it, so `closed` is due
    bool begun;                // dx_stream_begin was called
    bool answered;             // the owner has said its last word
    bool blocked;              // `writable` is due
    bool bodiless;             // the response being written has no body on the wire
    bool tunnel;               // agreed to
    dx_request_head head;
};

dx_stream *dx_stream_take(dx_listener *listener, dx_connection *connection, const dx_stream_wire *wire); // NULL without memory
// Fills in of the head what the connection knows: secure, tag, peer and tls, copied as the stream may outlive the connection.
dx_status dx_stream_know(dx_stream *stream) DX_MUST_USE;
// For what comes behind the head: the stream's own arena may be with another thread, for which the owner waits. NULL without memory.
dx_arena *dx_stream_late_arena(dx_stream *stream);
// Gives the owner a piece of the body and counts it against its window.
void dx_stream_deliver(dx_stream *stream, dx_slice piece);
static inline bool dx_stream_window_open(const dx_stream *stream) {
    return stream->unconsumed < DX_BODY_WINDOW;
}
// Whether a field may come in trailers (RFC 9110 section 6.5.1): one that frames, routes, modifies or authenticates a request must not.
bool dx_stream_trailer_allowed(dx_slice name);
// Calls `closed` when it is due and gives the stream back.
void dx_stream_end(dx_stream *stream, bool sent);
// The connection or the request is no more: calls `abort`; the owner's answer will end the stream.
void dx_stream_abort(dx_stream *stream, dx_status why);
void dx_stream_free(dx_stream *stream);

#endif
