// The carrying side of a connection: reading, sending, waiting, closing. How bytes travel is its transport's business (net/transport.h);
// what they mean is its protocol's (http1.c, http2.c), which it knows as a `dx_protocol` alone. A protocol's own struct begins with a
// dx_connection and is one piece of memory with it: a connection is made with room for the largest, so that it can change its language
// (dx_connection_speak) while streams, lists and libuv hold pointers to it.
//
// A life. dx_connection_create → what the endpoint asks for is set (transport, TLS, tag) → dx_connection_begin → *opening*: transport->open
// is called until it is done; a transport may put another one in its place as it is (a PROXY header, then TLS), which then opens →
// speaking: HTTP/2 when ALPN chose it, else HTTP/1.1, which changes to HTTP/2 when its preface comes.
//
// Output. Small writes gather in the worker's one output buffer, which belongs to one connection at a time, and go out in one system call
// when the connection is left (or another one wants the buffer). What the kernel does not take is copied to the connection's own queue.
// One large piece may be lent: it goes out from where it lies, behind everything else.
//
// Entering and leaving. Whatever happens to a connection happens between dx_connection_enter and dx_connection_leave. Leaving sends, ends
// streams whose responses are through, lets the protocol go on, decides what to wait for, and alone destroys. Calls by a stream's owner
// from elsewhere send at once and leave the rest to the end of the turn (dx_connection_touch), so an owner never loses a stream
// under its feet.
#ifndef DX_NET_CONNECTION_H
#define DX_NET_CONNECTION_H

#include <uv.h>

#include "net/address.h"
#include "net/file_body.h"
#include "net/http_server.h"
#include "net/transport.h"

// A language that a connection speaks. A new one: a struct that begins with a dx_connection, this table, a place in
// dx_connection_create's `room` and in whoever chooses it; its streams get a dx_stream_wire (net/stream.h). All of it is called between
// dx_connection_enter and dx_connection_leave, but for `cut`.
typedef struct dx_protocol {
    size_t size; // of its struct
    // The struct behind the dx_connection is zeroed. Cannot fail: what needs memory is made when the first bytes come.
    void (*init)(dx_connection *connection);
    // Bytes from the peer; they live only during the call. Called only while `reading`, and right after `init` for bytes that came before
    // the protocol was chosen. Must take all of them (keep what it cannot use yet).
    void (*input)(dx_connection *connection, dx_slice bytes);
    // Everything written is with the kernel (unless `duplex`): go on with what waited for that. False when there was nothing to go on with.
    // The peer's end of sending is to be looked for in `eof`.
    bool (*advance)(dx_connection *connection);
    // The connection is left: sets `reading`, `idle` and `deadline`. Not called while output waits for the peer, unless `duplex`: then
    // nothing is read, and the deadline is write_stall's, as it is in any case when that comes first.
    void (*rest)(dx_connection *connection);
    void (*timeout)(dx_connection *connection); // the deadline that `rest` set has passed
    // The connection is gone: aborts what is under way and frees memory. Must not send.
    void (*cut)(dx_connection *connection);
} dx_protocol;

typedef enum dx_finish {
    DX_FINISH_NOT,
    DX_FINISH_CLOSE, // once all is sent; the peer expects it
    DX_FINISH_LINGER // likewise, but the peer may be sending still: read on for a while, so that a reset does not destroy the answer
} dx_finish;

#define DX_NEVER         INT64_MAX
#define DX_BURST_CAP     (1u << 20) // bytes that a piecewise response may send in a turn, however fast the peer is
#define DX_LINGER_TIME   (2 * DX_SECOND)
#define DX_LINGER_BYTES  (4u << 20)
#define DX_QUEUE_CAP     (64u << 20) // bytes a connection may have queued; far above what any caller lets gather
#define DX_PEER_TEXT_CAP 56          // "[IPv6]:port"

struct dx_connection {
    uv_poll_t poll; // in use when `fd` is not -1
    dx_timer timer;
    dx_nanos deadline; // DX_NEVER: none; the timer may fire earlier and looks here
    dx_nanos progress; // when the peer last took bytes
    dx_nanos waiting;  // since when output waits for it
    uint64_t taken;    // bytes it took since then
    dx_listener *listener;
    const dx_protocol *protocol; // NULL while opening
    const dx_transport *transport;
    void *tls;                        // the TLS transport's own
    struct dx_loopback *loopback;     // the loopback transport's own
    dx_connection *prev, *next;       // in the listener's list of idle or of busy ones
    dx_connection *next_touched;      // in the listener's list
    dx_stream *answered, **last_link; // streams whose responses may not be with the kernel yet, oldest first
    char *queue;                      // copied output that the kernel did not take
    uint32_t queue_at, queue_size, queue_capacity;
    uint32_t lingered;  // bytes read and thrown away
    dx_slice lent;      // output by reference, behind the queue
    dx_file_body *file; // likewise a file, behind that; its stream's
    dx_nanos fetch_since;
    uint32_t burst;   // bytes written piecewise since the connection had its turn
    int fd;           // -1: none (loopback)
    uint16_t tag;     // the endpoint's, for request heads
    uint8_t interest; // what is waited for
    uint8_t finish;   // a dx_finish
    uint8_t opening;  // a dx_opening; DX_OPENING_DONE: it speaks
    uint8_t peer_size;
    bool entered : 1, touched : 1, closed : 1, dead : 1;
    bool idle : 1, listed_idle : 1;
    bool reading : 1;    // the protocol takes input
    bool unwanted : 1;   // input came while nobody was reading
    bool eof : 1;        // the peer has ended its side, and all it sent was read
    bool hung : 1;       // the peer has ended its side
    bool broken : 1;     // to be destroyed on leaving
    bool unsendable : 1; // output was lost
    bool gated : 1;      // counted by the listener's gate, by `address`
    bool newcomer : 1;   // accepted when the listener was closing already, or still opening when it began to
    bool lingering : 1;  // our side is ended; input is thrown away
    bool duplex : 1;     // the protocol's: input comes, and `advance` is called, while output waits for the peer, too
    bool fetching : 1;   // output waits for the file's bytes since `fetch_since`
    bool by_copy : 1;    // the file cannot be sent by the transport
    bool room : 1;       // the transport, opening, waits for room to send
    dx_address address;  // of the peer
    char peer[DX_PEER_TEXT_CAP];
};

// A connection over the plain transport, alive but not begun. Takes over `fd` (closes it on failure); -1: none, for a transport that has a
// `wait` of its own, which the caller sets. Then dx_connection_begin, or dx_connection_cut.
dx_status dx_connection_create(dx_connection **out, dx_listener *listener, int fd, const dx_address *peer) DX_MUST_USE;
void dx_connection_begin(dx_connection *connection); // opens it; may destroy it
// Another peer than the socket's, as a PROXY header has it. While opening.
void dx_connection_set_peer(dx_connection *connection, const dx_address *peer);
// Changes the protocol: `protocol` begins afresh and takes `first_bytes`, which may lie in the old one's memory no more. The old one has
// freed what it holds and must not touch its state afterwards. While entered.
void dx_connection_speak(dx_connection *connection, const dx_protocol *protocol, dx_slice first_bytes);
// For transports without a descriptor: what they were asked to wait for (UV_READABLE …) has come. May destroy the connection.
void dx_connection_event(dx_connection *connection, int events);
void dx_connection_enter(dx_connection *connection);
void dx_connection_leave(dx_connection *connection);
// Has the connection entered and left at the end of the turn, unless that is about to happen anyway.
void dx_connection_touch(dx_connection *connection);
// Goes on with a touched connection, or frees it when it has died.
void dx_connection_resume(dx_connection *connection);
// Destroys a connection that is not entered.
void dx_connection_cut(dx_connection *connection);

static inline bool dx_connection_pending(const dx_connection *connection) {
    return connection->queue_size != connection->queue_at || connection->lent.size > 0 || connection->file;
}
// Room for `size` bytes in the output buffer, or NULL when that is more than it ever has. Then dx_connection_commit.
char *dx_connection_reserve(dx_connection *connection, size_t size);
void dx_connection_commit(dx_connection *connection, size_t size);
// Copies.
void dx_connection_put(dx_connection *connection, dx_slice bytes);
// By reference, until sent; nothing may be written behind it before. Flushes.
void dx_connection_lend(dx_connection *connection, dx_slice bytes);
// Sends the file's bytes, likewise behind everything else, when they are in memory and the peer takes them, DX_FILE_CHUNK a turn; too short
// a file breaks the connection off. The file is its stream's, which must not end before. After its `ready`: dx_connection_file_ready.
void dx_connection_send_file(dx_connection *connection, dx_file_body *file);
void dx_connection_file_ready(dx_connection *connection);
// Something of the output is lost: the connection is of no more use.
void dx_connection_lose(dx_connection *connection);
// Forgets what was to be sent.
void dx_connection_drop_output(dx_connection *connection);
// Sends what it can.
void dx_connection_flush(dx_connection *connection);
// Bytes not yet with the kernel.
size_t dx_connection_unsent(const dx_connection *connection);
// The stream's response is written: it ends when everything written so far is with the kernel.
void dx_connection_answered(dx_connection *connection, dx_stream *stream);

#endif
