// A stream, as its connection sees it. Streams come from the listener's pool, each with its arena, and outlive their connection when the
// owner has not answered yet: an orphan, whose answer goes nowhere.
#ifndef DX_NET_STREAM_H
#define DX_NET_STREAM_H

#include "net/connection.h"

// What a protocol does for a stream whose connection lives. Each is called in the right state only: stream.c sees to it.
typedef struct dx_stream_wire {
    void (*respond)(dx_stream *stream, const dx_response_head *head, dx_slice body);
    void (*begin)(dx_stream *stream, const dx_response_head *head);
    bool (*write)(dx_stream *stream, dx_slice piece);
    void (*finish)(dx_stream *stream);
    void (*drop)(dx_stream *stream);
    void (*want_body)(dx_stream *stream);
} dx_stream_wire;

struct dx_stream {
    dx_listener *listener;
    dx_connection *connection; // NULL: gone
    const dx_stream_wire *wire;
    dx_arena *arena;
    void *owner;
    dx_stream *next;
    uint64_t bytes; // of the response, written so far
    bool began;     // the owner knows of it, so `closed` is due
    bool begun;     // dx_stream_begin was called
    bool answered;  // the owner has said its last word
    bool blocked;   // `writable` is due
    bool bodiless;  // the response being written has no body on the wire
    dx_request_head head;
};

dx_stream *dx_stream_take(dx_listener *listener, dx_connection *connection, const dx_stream_wire *wire); // NULL without memory
// Calls `closed` when it is due and gives the stream back.
void dx_stream_end(dx_stream *stream, bool sent);
// The connection or the request is no more: calls `abort`; the owner's answer will end the stream.
void dx_stream_abort(dx_stream *stream, dx_status why);
void dx_stream_free(dx_stream *stream);

#endif
