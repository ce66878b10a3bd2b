// An exchange: one request, its response and their context. Filters and handlers see this and nothing of sockets or protocols, at either
// end. Everything of an exchange lives in its arena and on its loop's thread; while it waits (DX_WAIT) whoever holds it may use the arena
// from another thread, one at a time. (Not a filter before a body that is gathered: the loop takes what comes of it from the arena.)
#ifndef DX_EXCHANGE_EXCHANGE_H
#define DX_EXCHANGE_EXCHANGE_H

#include "base/buffer.h"
#include "base/diag.h"
#include "codec/http.h"
#include "exchange/outcome.h"
#include "loop/loop.h"

typedef struct dx_exchange dx_exchange;
typedef struct dx_operation dx_operation;
typedef struct dx_chain dx_chain;

// Who calls. Made by an authentication filter, in the arena or shared and immutable.
typedef struct dx_principal {
    dx_slice id;    // the account's id; never empty
    int64_t number; // the same as an integer, for ownership columns
    dx_slice name;  // for logs
    const dx_slice *roles;
    size_t role_count;
    // For answers that go on long after the request was let in: whether who calls still may. DX_OK, and x->principal is then as things are
    // now (another one, when roles have changed); DX_EXPIRED_TOKEN, DX_BAD_TOKEN, …, or why it could not be found out (DX_STORE_…). Brief.
    // NULL: nothing changes.
    dx_status (*recheck)(dx_exchange *x);
} dx_principal;
bool dx_principal_has_role(const dx_principal *principal, dx_slice role); // false for NULL

typedef struct dx_exchange_request {
    dx_method method;
    dx_slice target, path, query; // not decoded; `query` without "?"
    dx_fields fields;
    dx_slice peer; // address and port of the client: what a trusted proxy says, else the connection's
    bool secure;
    uint8_t version; // 10, 11 or 20
    uint16_t tag;    // the endpoint's, see the server's settings
    bool body_expected;
    int64_t content_length;           // bytes; -1: not known before
    dx_slice protocol;                // "websocket": a tunnel is asked for; else empty
    dx_slice body;                    // whole, once the handler runs (DX_BODY_WHOLE); else empty
    struct dx_spool *spilled;         // a whole body larger than operation->spool: in a file (exchange/spool.h); NULL: in `body`
    const dx_fields *trailers;        // behind the body; NULL: none (yet)
    dx_slice certificate_subject;     // of a verified TLS client certificate (RFC 4514); empty: none
    dx_slice certificate_fingerprint; // its SHA-256, lower hex
    // of a request that goes out
    dx_slice authority; // who is asked: "api.example.com" or "api.example.com:8443"
    bool once;          // its body can't be read again
    bool repeatable;    // sending it twice is as good as once: its method is idempotent, or it has an Idempotency-Key
} dx_exchange_request;

// --- bodies as streams -----------------------------------------------------------------------------------------------------
// A *reader* is what a handler of a DX_BODY_STREAM operation takes the request's body with; a *source* is what writes a response in
// pieces. Both are told on the exchange's loop, never from inside the call that set them up or wrote. The side of whoever runs exchanges is
// in exchange/flow.h.

typedef struct dx_reader_ops {
    // A piece, after content decoding; it lives only during the call. (A tunnel's may be written over in place.) It counts against a window
    // (256 KiB) until dx_exchange_consume.
    void (*piece)(void *ctx, dx_exchange *x, dx_slice piece);
    // The last call: DX_OK (the body is whole), or why it never will be (DX_CANCELLED, DX_TOO_LARGE, DX_REQUEST_TIMEOUT, DX_MALFORMED, …).
    // The handler may still answer. It does not come once the exchange has been answered without a source, or its source is closed: such
    // an answer ends the reading by itself.
    void (*end)(void *ctx, dx_exchange *x, dx_status why);
} dx_reader_ops;

typedef struct dx_source_ops {
    // Write now: the head has gone, or there is room again after dx_exchange_write said false.
    void (*ready)(void *ctx, dx_exchange *x);
    // The server wants to stop: end soon, in order. NULL: the source ends by itself before long.
    void (*drain)(void *ctx, dx_exchange *x);
    // The last call, exactly once, whatever happened (also when the answer was replaced before it went out, or needed no body): DX_OK after
    // dx_exchange_finish has sent everything; else the peer has gone (DX_CANCELLED), was too slow (DX_REQUEST_TIMEOUT), …. Nothing can be
    // written any more, and the exchange ends right after.
    void (*closed)(void *ctx, dx_exchange *x, dx_status why);
} dx_source_ops;

// Turns pieces of a response into other pieces: a content coding. Set by a filter on its way out (response.encoder).
typedef enum dx_encode { DX_ENCODE_MORE, DX_ENCODE_FLUSH, DX_ENCODE_END } dx_encode;
typedef struct dx_encoder {
    // Takes all of `in`; appends to `out` what comes of it. FLUSH: everything so far can be decoded by the peer. END: the last call.
    dx_status (*encode)(struct dx_encoder *encoder, dx_slice in, dx_encode how, dx_buffer *out);
    void (*destroy)(struct dx_encoder *encoder); // called once, also without END
} dx_encoder;

// What an exchange's owner does for it; the server's side of a stream, or a test's.
typedef struct dx_exchange_wire {
    bool (*write)(dx_exchange *x, dx_slice piece);             // as dx_stream_write
    void (*finish)(dx_exchange *x, const dx_fields *trailers); // the last word; trailers may be NULL
    void (*cut)(dx_exchange *x);                               // instead: the peer sees a broken response
    void (*read)(dx_exchange *x);                              // pieces may come (and 100 Continue is sent)
    void (*consume)(dx_exchange *x, size_t bytes);
} dx_exchange_wire;

// What flow.c keeps of an exchange whose bodies stream; nobody else looks in here.
typedef struct dx_flow {
    dx_exchange *next_due, **due_link;   // in the worker's list of those to be told something
    dx_exchange *next_live, **live_link; // in its list of open sources
    const dx_source_ops *left;           // of an answer that was replaced: `closed` is due
    void *left_ctx;
    const dx_fields *trailers;
    dx_buffer held; // encoded, not taken by the wire yet
    dx_status why;  // it was cut; DX_OK: it was not
    uint8_t state;
    bool wants : 1;     // dx_exchange_write said false
    bool ready_due : 1; // to be told in the next turn
    bool read_due : 1;
    bool drain_due : 1;
    bool left_due : 1;
    bool unflushed : 1; // the encoder may hold something back
    bool ended : 1;     // the reader's `end` was called
} dx_flow;

typedef struct dx_exchange_response {
    int status; // 0: not answered yet
    dx_fields fields;
    dx_slice body; // arena or static
    bool close;    // ask for the connection to end
    // Instead of `body`, at most one of these:
    const dx_source_ops *source; // piecewise, with source_ctx
    void *source_ctx;
    bool tunnel; // the source's pieces and the reader's are bytes as they are (101, or 200 over HTTP/2)
    int file;    // with file_open: `file_size` bytes from `file_offset`; the descriptor is the exchange's
    bool file_open;
    int64_t file_offset, file_size;
    dx_encoder *encoder; // for a source; NULL: as written
    bool compress;       // a source says so: its pieces may be held back by a content coding until dx_exchange_flush
} dx_exchange_response;

// What a filter or a handler says. The set is closed.
typedef enum dx_verdict {
    DX_NEXT,   // filters: go on
    DX_ANSWER, // the response is set; turn round
    DX_WAIT    // dx_exchange_resume will be called (perhaps it has been already)
} dx_verdict;

// Slots of the filters that both ends use (src/policy); the others are given out by dx_slot_reserve.
typedef enum dx_policy_slot {
    DX_SLOT_CACHE = 8,
    DX_SLOT_RETRY,
    DX_SLOT_BREAKER,
    DX_SLOT_LIMIT,
    DX_SLOT_AUTH,
    DX_SLOT_COUNT
} dx_policy_slot;

#define DX_PARAMS_CAP     8
#define DX_REQUEST_ID_CAP 64
#define DX_TRACE_ID_SIZE  32

struct dx_exchange {
    dx_arena *arena;
    dx_loop *loop;
    unsigned worker; // index of the worker, for what is kept a worker
    bool aborted;    // the peer has gone; the answer goes nowhere
    bool unlogged;   // no line in the log: who answered tells it otherwise
    uint8_t param_count;
    uint8_t state;                  // the runner's
    uint16_t at;                    // likewise: position in the chain
    const dx_chain *chain;          // likewise: what is being run
    const dx_operation *operation;  // matched by the router; NULL before and for 404
    dx_slice params[DX_PARAMS_CAP]; // path parameters, decoded, in the pattern's order
    dx_slice allow;                 // the matched path's methods, "GET, HEAD, OPTIONS"; empty: no such path
    dx_exchange_request request;
    dx_exchange_response response;
    const dx_principal *principal;   // NULL: nobody yet
    dx_nanos started;                // monotonic
    dx_slice request_id;             // the client's when it was well-formed, else ours
    char trace_id[DX_TRACE_ID_SIZE]; // W3C trace context, lower hex
    dx_status error;                 // what dx_exchange_fail said, for the log
    dx_slice error_detail;           // likewise; never sent in production for a 5xx
    void *owner;                     // whoever runs it (the server's side of the stream)
    const dx_exchange_wire *wire;    // likewise: what it does for streamed bodies
    struct dx_flows *flows;          // likewise: the worker's, see flow.h
    dx_flow flow;
    const dx_reader_ops *reader; // set by dx_exchange_read
    void *reader_ctx;
    void (*finished)(dx_exchange *exchange); // called once when the chain is through
    void *slots[DX_SLOT_COUNT];              // per-exchange state of filters: dx_policy_slot, and below by dx_slot_reserve at load time

    // Of an exchange that goes out; what a server receives has none of it.
    // Set by a filter that waits, and by nobody else: ends the wait. It must not resume; whoever calls it does. NULL: nobody waits, or the
    // wait ends by itself soon.
    void (*stop)(dx_exchange *x);
    dx_nanos deadline;              // for all of it, attempts and waits included; monotonic; 0: none
    dx_error_code failure;          // why there is no answer of the peer's; response.status is then dx_error_http of it
    dx_slice failure_detail;        // for the caller, in the arena
    dx_phase phase;                 // where it is
    dx_nanos retry_after;           // the wait that server, limiter or breaker asks for; 0: none
    uint16_t attempt;               // how often it has been sent
    uint8_t cached;                 // what a cache had to do with the answer (dx_cache_state of duplex/client.h)
    bool streams;                   // its answer is handed on in pieces, and no filter sees the body
    bool moved;                     // the answer is of another URL than was asked for: redirects were followed
    dx_nanos phase_since;           // monotonic
    dx_nanos spent[DX_PHASE_COUNT]; // in phases that are over
};

// Ready for dx_chain_run: zeroes it but for what is passed.
void dx_exchange_init(dx_exchange *exchange, dx_arena *arena, dx_loop *loop, unsigned worker);

// --- answering -------------------------------------------------------------------------------------------------------------
// All return DX_ANSWER, so that a handler can say `return dx_exchange_json(...)`. Out of memory inside turns into a plain 503.
dx_verdict dx_exchange_empty(dx_exchange *x, int status);
dx_verdict dx_exchange_json(dx_exchange *x, int status, dx_slice body); // application/json
dx_verdict dx_exchange_body(dx_exchange *x, int status, dx_slice content_type, dx_slice body);
// A problem document (RFC 9457) for a status: `detail` (printf; may be NULL) is for the client; on a 5xx it is kept for the log alone
// unless the server runs in development mode. Once a source has begun, the head is gone: then this cuts the response off, and the log
// says why. Clears what was answered before: the status, the body and the fields that describe it
// (Content-*, ETag, Last-Modified, Location, Cache-Control); other fields stay.
dx_verdict dx_exchange_fail(dx_exchange *x, dx_status status, const char *detail, ...) DX_PRINTF(3, 4);
// The same with findings, written as `errors: [{pointer, detail}]`. Query parameters are told by `parameter` instead of a pointer: give
// them pointers that start with "?", as "?min_price".
dx_verdict dx_exchange_fail_with(dx_exchange *x, dx_status status, const dx_diags *findings, const char *detail, ...) DX_PRINTF(4, 5);
// A response field; without memory the exchange becomes a 503.
void dx_exchange_field(dx_exchange *x, dx_slice name, dx_slice value);

// Streamed answers. The filters' way out sees the head; then the source is asked for pieces.
dx_verdict dx_exchange_stream(dx_exchange *x, int status, dx_slice content_type, const dx_source_ops *source, void *ctx);
// A file's bytes, of a regular file; the descriptor is the exchange's from now on, whatever happens.
dx_verdict dx_exchange_file(dx_exchange *x, int status, dx_slice content_type, int file, int64_t offset, int64_t size);
// Agrees to the tunnel that request.protocol asks for (426 when it asks for none). Fields of the answer (Sec-WebSocket-Accept) are added
// before or after. `reader` is called before `ready` or after, and not after `closed`; it consumes what it was given as any reader does.
dx_verdict dx_exchange_tunnel(dx_exchange *x, const dx_source_ops *source, const dx_reader_ops *reader, void *ctx);
// From the source's calls, or from anywhere on the loop's thread while it is open. Takes the piece whole (true), or nothing of it (false:
// too much is waiting for the peer; `ready` comes when there is room; or the stream has ended: `closed` comes). Through the encoder, if
// there is one, which may hold back. The piece is copied where it must wait.
bool dx_exchange_write(dx_exchange *x, dx_slice piece) DX_MUST_USE;
// Takes the piece whatever waits for the peer already, which gets it when it reads on: for a few bytes that say why the stream ends. Only
// dx_exchange_finish may follow.
void dx_exchange_write_last(dx_exchange *x, dx_slice piece);
void dx_exchange_flush(dx_exchange *x);                             // the encoder lets go of what it holds back; for events
void dx_exchange_finish(dx_exchange *x, const dx_fields *trailers); // `trailers` may be NULL; they must live until `closed`
void dx_exchange_cut(dx_exchange *x); // breaks the response off: the peer must not take it for whole (a tunnel: also when finished)
// Takes the body: by the handler of a DX_BODY_STREAM operation, once, before it answers. The handler then returns DX_WAIT (and resumes when
// it has read) or answers with a stream while it reads on. The first piece comes in a later turn of the loop.
void dx_exchange_read(dx_exchange *x, const dx_reader_ops *reader, void *ctx);
void dx_exchange_consume(dx_exchange *x, size_t bytes);

// Whether `origin`, the value of an Origin field, names the host that the request was sent to.
bool dx_exchange_is_own_origin(const dx_exchange *x, dx_slice origin);

// --- going out ---------------------------------------------------------------------------------------------------------------
// No answer of the peer's: sets failure, detail (printf, may be NULL), and a status without a body. Returns DX_ANSWER.
dx_verdict dx_exchange_fail_out(dx_exchange *x, dx_error_code failure, const char *detail, ...) DX_PRINTF(3, 4);
// From now on its time is spent on `phase`; `now` as dx_clock_monotonic.
static inline void dx_exchange_enter(dx_exchange *x, dx_phase phase, dx_nanos now) {
    x->spent[x->phase] += now - x->phase_since;
    x->phase_since = now;
    x->phase = phase;
}
// Forgets the answer, before the exchange is sent again.
void dx_exchange_forget(dx_exchange *x);

// Goes on with an exchange that waits: `verdict` is what the waiting filter or handler would have returned. On the loop's thread. May be
// called from inside the filter or handler before it returns DX_WAIT. Exactly once a wait. When the peer has gone meanwhile (x->aborted),
// nothing behind is run any more: the exchange is answered with DX_CANCELLED, which goes nowhere but to the log.
void dx_exchange_resume(dx_exchange *x, dx_verdict verdict);

// --- how problems are written: set once by the server --------------------------------------------------------------------
typedef void (*dx_problem_writer)(dx_exchange *x, dx_status status, dx_slice detail, const dx_diags *findings);
void dx_exchange_set_problem_writer(dx_problem_writer writer);
// A free number for `slots`, or -1 when all are taken. At load time, before threads.
int dx_slot_reserve(void);

#endif
