// An exchange: one request, its response and their context. Filters and handlers see this and nothing of sockets or protocols, at either
// end. Everything of an exchange lives in its arena and on its loop's thread; while it waits (DX_WAIT) whoever holds it may use the arena
// from another thread, one at a time.
#ifndef DX_EXCHANGE_EXCHANGE_H
#define DX_EXCHANGE_EXCHANGE_H

#include "base/diag.h"
#include "codec/http.h"
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
} dx_principal;
bool dx_principal_has_role(const dx_principal *principal, dx_slice role); // false for NULL

typedef struct dx_request {
    dx_method method;
    dx_slice target, path, query; // not decoded; `query` without "?"
    dx_fields fields;
    dx_slice peer; // address and port
    bool secure;
    bool body_expected;
    dx_slice body; // whole, once the handler runs (operations with a body) ; else empty
} dx_request;

typedef struct dx_response {
    int status; // 0: not answered yet
    dx_fields fields;
    dx_slice body; // arena or static
    bool close;    // ask for the connection to end
} dx_response;

// What a filter or a handler says. The set is closed.
typedef enum dx_verdict {
    DX_NEXT,   // filters: go on
    DX_ANSWER, // the response is set; turn round
    DX_WAIT    // dx_exchange_resume will be called (perhaps it has been already)
} dx_verdict;

#define DX_PARAMS_CAP     8
#define DX_REQUEST_ID_CAP 64
#define DX_TRACE_ID_SIZE  32

struct dx_exchange {
    dx_arena *arena;
    dx_loop *loop;
    unsigned worker; // index of the worker, for what is kept a worker
    bool aborted;    // the peer has gone; the answer goes nowhere
    uint8_t param_count;
    uint8_t state;                  // the runner's
    uint16_t at;                    // likewise: position in the chain
    const dx_chain *chain;          // likewise: what is being run
    const dx_operation *operation;  // matched by the router; NULL before and for 404
    dx_slice params[DX_PARAMS_CAP]; // path parameters, decoded, in the pattern's order
    dx_slice allow;                 // the matched path's methods, "GET, HEAD, OPTIONS"; empty: no such path
    dx_request request;
    dx_response response;
    const dx_principal *principal;           // NULL: nobody yet
    dx_nanos started;                        // monotonic
    dx_slice request_id;                     // the client's when it was well-formed, else ours
    char trace_id[DX_TRACE_ID_SIZE];         // W3C trace context, lower hex
    dx_status error;                         // what dx_exchange_fail said, for the log
    dx_slice error_detail;                   // likewise; never sent in production for a 5xx
    void *owner;                             // whoever runs it (the server's side of the stream)
    void (*finished)(dx_exchange *exchange); // called once when the chain is through
    void *slots[8];                          // per-exchange state of filters; numbers from dx_slot_reserve at load time
};

// Ready for dx_chain_run: zeroes it but for what is passed.
void dx_exchange_init(dx_exchange *exchange, dx_arena *arena, dx_loop *loop, unsigned worker);

// --- answering -------------------------------------------------------------------------------------------------------------
// All return DX_ANSWER, so that a handler can say `return dx_exchange_json(...)`. Out of memory inside turns into a plain 503.
dx_verdict dx_exchange_empty(dx_exchange *x, int status);
dx_verdict dx_exchange_json(dx_exchange *x, int status, dx_slice body); // application/json
dx_verdict dx_exchange_body(dx_exchange *x, int status, dx_slice content_type, dx_slice body);
// A problem document (RFC 9457) for a status: `detail` (printf; may be NULL) is for the client; on a 5xx it is kept for the log alone
// unless the server runs in development mode. Clears what was answered before: the status, the body and the fields that describe it
// (Content-*, ETag, Last-Modified, Location, Cache-Control); other fields stay.
dx_verdict dx_exchange_fail(dx_exchange *x, dx_status status, const char *detail, ...) DX_PRINTF(3, 4);
// The same with findings, written as `errors: [{pointer, detail}]`. Query parameters are told by `parameter` instead of a pointer: give
// them pointers that start with "?", as "?min_price".
dx_verdict dx_exchange_fail_with(dx_exchange *x, dx_status status, const dx_diags *findings, const char *detail, ...) DX_PRINTF(4, 5);
// A response field; without memory the exchange becomes a 503.
void dx_exchange_field(dx_exchange *x, dx_slice name, dx_slice value);

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
