// HTTP/2 on a connection (RFC 9113): streams side by side, framed and compressed by nghttp2. What the files share.
//
//   http2.c        the protocol: bytes in, frames out, rest, time, end
//   http2_events.c what nghttp2 tells of frames that came, as calls of the streams' owners
//   http2_head.c   fields → request head
//   http2_write.c  responses
//   http2_block.c  the heads of responses: header blocks, which are our own (net/hpack.h)
//   http2_guard.c  what a peer may cost us
//   http2_memory.c nghttp2's memory, kept for reuse
//
// nghttp2 must not be asked to receive or send from inside one of its callbacks, and owners must not lose a stream while they work on one.
// So nothing is sent by an owner's call: it is *submitted*, and goes out at the end of the input or of the loop's turn, in one send for all
// streams. And a stream that nghttp2 has closed is *lost*: its owner hears of it when the connection goes on (dx_http2_settle).
#ifndef DX_NET_HTTP2_H
#define DX_NET_HTTP2_H

#include <nghttp2/nghttp2.h>

#include "net/connection.h"
#include "net/hpack.h"
#include "net/listener.h"
#include "net/stream.h"

extern const dx_protocol dx_http2_protocol;
extern const dx_stream_wire dx_http2_wire;

// Bytes of a piecewise response that may wait for the peer before dx_stream_write says no.
#define DX_HTTP2_WAITING_CAP (64u << 10)
// What the peer may have on its way to us in all. It is credited at once, so that a stream whose owner does not read holds only itself.
#define DX_HTTP2_CONNECTION_WINDOW (1 << 20)
// Frames that may wait to be sent before input is left in the kernel.
#define DX_HTTP2_OUTBOUND_CAP 1024u
// Acknowledgements of the peer's SETTINGS and PING that may wait; over it, the connection is ended.
#define DX_HTTP2_ACKS_CAP 256u
// CONTINUATION frames of one header block.
#define DX_HTTP2_CONTINUATIONS_CAP 8u
// A header list over the cap is refused with 431; over that many times the cap, or of that many times the fields, it is an attack.
#define DX_HTTP2_HEAD_EXCESS 4u
// Bytes of output after which other connections get their turn.
#define DX_HTTP2_TURN_BYTES (1u << 20)
// From the announcement of the end to the end of new streams, when the peer does not answer our PING.
#define DX_HTTP2_NOTICE_TIME DX_SECOND
// Bytes of answered requests' bodies that are read and thrown away, from one request to the next, for clients that look for an answer only
// when they have sent everything; over it, the peer is asked to stop (RFC 9113 section 8.1).
#define DX_HTTP2_DISCARD_CAP (1u << 20)
// Content of one frame that we send; less where the peer wants less.
#define DX_HTTP2_FRAME_MOST 16384u
// A head that we send.
#define DX_HTTP2_RESPONSE_HEAD_CAP (1u << 20)

typedef struct dx_http2 dx_http2;
typedef struct dx_http2_stream dx_http2_stream;

// A ring; the list itself is one of its links. Oldest first.
typedef struct dx_http2_link dx_http2_link;
struct dx_http2_link {
    dx_http2_link *prev, *next; // NULL: in no list
};

// What a peer may do: `left` of so many, of which a tenth comes back every second.
typedef struct dx_http2_allowance {
    uint32_t left, most;
    dx_nanos at;
} dx_http2_allowance;

// HTTP/2's part of a stream; it lies in the stream's arena.
struct dx_http2_stream {
    dx_http2_link all, upload, sending;
    dx_http2 *h;
    dx_stream *stream;
    dx_http2_stream *next_lost;
    int32_t id;
    // The head, while it comes, and trailers.
    dx_slice method, path, authority, protocol;
    dx_fields fields;
    uint32_t head_bytes;
    uint8_t refusal; // a dx_status
    const char *reason;
    bool trailing; // fields are trailers
    // The request.
    bool heard;       // the owner, if there is one, has not been told of the request's end yet
    bool expects;     // 100-continue
    bool continued;   // 100 Continue is sent
    uint64_t body;    // bytes of it
    uint32_t counted; // of these, bytes that nghttp2 does not know to be consumed
    dx_nanos since, body_from;
    // The response.
    const dx_fields *head; // its fields; NULL: none
    int64_t head_length;   // Content-Length to show; -1: none
    bool head_due;         // they have not been written yet
    uint8_t informs;       // interim responses that go out before
    char status[3];
    dx_slice lent;     // the body, where it lies
    uint32_t resident; // bytes of its file that are in memory
    char *buffer;      // pieces of it
    uint32_t buffer_at, buffer_size, buffer_capacity;
    bool submitted, deferred, whole; // given to nghttp2; nothing to send at present; END_STREAM is sent
    bool finished;                   // nothing more will be written
    bool dropped, wake, lost;        // reset by us; `writable` is due; nghttp2 has closed it
    bool rejected;                   // answered without an owner
    dx_status why;                   // lost
    dx_nanos send_since, send_from;  // the last byte taken; since when there was always something waiting
    uint64_t sent;                   // bytes taken since then
};

struct dx_http2 {
    dx_connection *connection;
    nghttp2_session *session;
    dx_http2_link streams, uploads, sending;
    dx_http2_stream *heading;            // whose header block is coming
    dx_http2_stream *head_out;           // whose HEADERS frame nghttp2 has written last; it may be closed by now
    dx_http2_stream *lost, **last_lost;  // closed, the owner not told
    uint32_t count;                      // streams in `streams`
    uint32_t requests;                   // begun
    uint64_t discarded;                  // of answered requests, since the last one began
    uint32_t turn_bytes;                 // sent in this turn
    uint8_t end;                         // of new streams: a dx_http2_end
    bool greeted;                        // the peer's SETTINGS came
    bool in_head;                        // a header block is incomplete
    bool wakes;                          // a stream's owner is to be told that it is writable
    bool yielded;                        // output was left for the next turn
    bool over;                           // the session is at its end: what it has to say is sent, then the connection closed
    uint32_t error;                      // to end it with, found where that cannot be done
    dx_nanos since;                      // of the state that has a timeout: greeting, head, idle
    dx_nanos end_since;                  // of the notice
    dx_http2_allowance controls, resets; // frames that only cost; streams that were for nothing
    dx_hpack hpack;
};

typedef enum dx_http2_end { DX_HTTP2_END_NOT, DX_HTTP2_END_NOTICE, DX_HTTP2_END_LAST } dx_http2_end;

typedef struct dx_http2_connection {
    dx_connection connection; // first
    dx_http2 *h;              // NULL until the first bytes
    dx_nanos since;           // it began
} dx_http2_connection;

static inline dx_http2 *dx_http2_of(dx_connection *connection) {
    return DX_CONTAINER_OF(connection, dx_http2_connection, connection)->h;
}
static inline dx_http2_stream *dx_http2_stream_of(const dx_stream *stream) {
    return stream->protocol_state;
}
static inline dx_nanos dx_http2_now(const dx_http2 *h) {
    return dx_loop_now(h->connection->listener->loop);
}

static inline void dx_http2_link_init(dx_http2_link *list) {
    list->prev = list->next = list;
}
static inline bool dx_http2_link_empty(const dx_http2_link *list) {
    return list->next == list;
}
static inline void dx_http2_unlink(dx_http2_link *link) {
    if (!link->next) return;
    link->prev->next = link->next;
    link->next->prev = link->prev;
    link->prev = link->next = NULL;
}
// To the end of the list, from wherever it is.
static inline void dx_http2_link_last(dx_http2_link *list, dx_http2_link *link) {
    dx_http2_unlink(link);
    link->prev = list->prev;
    link->next = list;
    list->prev->next = link;
    list->prev = link;
}

// --- http2_memory.c: shared by a listener's connections ---

typedef struct dx_http2_shared dx_http2_shared;
// The listener's, made when it is first asked for; NULL without memory.
dx_http2_shared *dx_http2_shared_of(dx_listener *listener);
void dx_http2_shared_destroy(dx_http2_shared *shared); // takes NULL; its connections are gone
dx_status dx_http2_session_create(dx_http2 *h) DX_MUST_USE;

// --- http2_events.c ---

void dx_http2_set_callbacks(nghttp2_session_callbacks *callbacks);
// Tells owners of streams that were closed. False when there were none.
bool dx_http2_settle(dx_http2 *h);
// A new stream's state, in no list; NULL without memory.
dx_http2_stream *dx_http2_stream_create(dx_http2 *h, int32_t id);
// The stream is over, answered whole or not.
void dx_http2_stream_close(dx_http2_stream *st);
// Likewise for us, while nghttp2 goes on with it.
void dx_http2_stream_leave(dx_http2_stream *st);
// The stream is over but for its owner, who hears of it in dx_http2_settle.
void dx_http2_stream_lose(dx_http2_stream *st);
// The request cannot be completed: its owner is told `why`, and the client, where a response is still possible, `shown`.
void dx_http2_stream_fail(dx_http2_stream *st, dx_status why, dx_status shown, const char *reason);
// Whether the peer owes bytes of a body: keeps the stream in the list of uploads, or out of it.
void dx_http2_stream_watch(dx_http2_stream *st);

// --- http2_head.c ---

// Takes a field in; a reason to refuse is noted in the stream. False when that is more than a client may cost.
bool dx_http2_head_add(dx_http2_stream *st, nghttp2_rcbuf *name, nghttp2_rcbuf *value);
// Fills the stream's request head from what came. DX_OK, or the refusal, with its reason in the stream.
dx_status dx_http2_head_finish(dx_http2_stream *st, bool ended) DX_MUST_USE;

// --- http2_write.c ---

void dx_http2_set_write_callbacks(nghttp2_session_callbacks *callbacks);
// Answers a request that has no owner.
void dx_http2_reject(dx_http2_stream *st, dx_status why, const char *reason);
// Whether what waits is more than the peer takes by its windows, and for too long or too slowly.
bool dx_http2_stalled(const dx_http2_stream *st, dx_nanos now);
void dx_http2_reset(dx_http2_stream *st, uint32_t error);

// --- http2_block.c ---

// Hands a response's head to nghttp2, which gets only :status and decides when it goes out.
// `fields` must live until then.
typedef struct dx_http2_head {
    int status;
    int64_t length;                       // Content-Length to show; -1: none
    const dx_fields *fields;              // may be NULL
    const nghttp2_data_provider *content; // NULL: none
} dx_http2_head;
int dx_http2_head_submit(dx_http2_stream *st, const dx_http2_head *head); // nghttp2's result
// Writes a HEADERS frame of nghttp2's, which is head_out's, and into it what else the head of that stream has.
void dx_http2_head_put(dx_http2 *h, dx_slice frame);

// --- http2.c ---

// Nothing more is begun and what is under way is finished; the connection ends then.
void dx_http2_end_begin(dx_http2 *h);
// A round trip after that.
void dx_http2_end_last(dx_http2 *h);

// --- http2_guard.c ---

void dx_http2_guard_init(dx_http2 *h);
// A frame's header has come. False: the peer has gone too far.
bool dx_http2_guard_frame(dx_http2 *h, const nghttp2_frame_hd *frame);
void dx_http2_guard_request(dx_http2 *h);                           // a request has begun
void dx_http2_guard_data(dx_http2 *h);                              // a frame of content was sent or came
void dx_http2_guard_padded(dx_http2 *h, const nghttp2_data *frame); // DATA with padding has come whole
void dx_http2_guard_answer(dx_http2 *h);                            // a response was sent whole
bool dx_http2_guard_reset(dx_http2 *h);                             // a stream was for nothing; false: one too many

#endif
