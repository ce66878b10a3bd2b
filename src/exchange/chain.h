// Filters, handlers, operations and chains. A chain is a flat array that is built once, at load time, for each operation: running it
// allocates nothing and looks nothing up. Filters run in order on the way in; those that were passed run in reverse on the way out.
// (Model: Eriksen, "Your Server as a Function", 2013.)
#ifndef DX_EXCHANGE_CHAIN_H
#define DX_EXCHANGE_CHAIN_H

#include "codec/json.h"
#include "exchange/exchange.h"

typedef struct dx_filter_ops {
    const char *name;
    // May answer, wait or go on. Must not block. NULL: goes on. `conf` is immutable and shared by all workers.
    dx_verdict (*in)(const void *conf, dx_exchange *x);
    // On the way out, before `out`: whether the answer stands. DX_ANSWER: it does. DX_NEXT: what lies behind this filter runs again (the
    // answer has been forgotten, dx_exchange_forget). DX_WAIT: dx_exchange_resume says which of the two. NULL: it stands. As often as there
    // is an answer from behind; not for exchanges that this filter answered itself.
    dx_verdict (*again)(const void *conf, dx_exchange *x);
    // Sees the answer, may change it. Must not wait. Runs once for every exchange that `in` let past or waited on (for
    // every time that it did, where a filter before it has things run again). NULL: nothing to do.
    void (*out)(const void *conf, dx_exchange *x);
} dx_filter_ops;

typedef struct dx_filter {
    const dx_filter_ops *ops;
    const void *conf;
} dx_filter;

typedef dx_verdict (*dx_handler)(const void *conf, dx_exchange *x); // DX_ANSWER or DX_WAIT; must not block

// A handler behind its filters.
struct dx_chain {
    const dx_filter *filters;
    uint16_t filter_count;
    dx_handler handler;
    const void *conf; // the handler's
};

// What kind of body an operation takes. Filters run before the body is read, so a refusal costs no upload.
// DX_BODY_WHOLE: gathered in memory before the handler runs. DX_BODY_STREAM: the handler takes it in pieces (dx_exchange_read).
typedef enum dx_body_mode { DX_BODY_NONE, DX_BODY_WHOLE, DX_BODY_STREAM } dx_body_mode;

// Who may run an operation. Public: anyone (a token that is there is still checked). Otherwise a principal is needed (401 without), and
// with roles, one of them (403 without).
typedef struct dx_access {
    bool is_public;
    const dx_slice *roles;
    size_t role_count;
} dx_access;

// One thing a client can do: a method on a path. Lives as long as the snapshot it is part of.
struct dx_operation {
    dx_slice id;      // "items.list": names it in logs, OpenAPI and metrics; unique
    dx_method method; // GET answers HEAD as well
    dx_slice path;    // "/api/v1/items/{id}"; a last segment "{name*}" takes the rest of the path
    dx_body_mode body;
    uint64_t body_cap; // bytes, after content decoding; 0: the server's default
    // Of a DX_BODY_WHOLE operation: so many bytes are kept in memory, and a larger body (up to the cap) goes to a temporary file: the
    // handler finds it in request.spilled, and request.body is empty. 0: all of it in memory, refused over the cap.
    uint64_t spool;
    bool any_type;           // its answers are not JSON: Accept is the handler's to look at
    dx_slice content_policy; // Content-Security-Policy of its answers; NULL data: the server's, empty: none
    bool reflects_secrets;   // the answer may hold a secret beside what the caller sent: never compressed (BREACH, CVE-2013-3587)
    dx_handler handler;
    const void *conf; // the handler's
    // Adds what this operation says of itself to its OpenAPI 3.1 Operation Object (summary, tags, parameters, requestBody, responses,
    // security). Errors that every operation has, and path parameters not described, are added by the caller. NULL: not documented.
    void (*describe)(const void *conf, const dx_operation *operation, yyjson_mut_doc *doc, yyjson_mut_val *object);
    dx_slice alias_of; // not empty: the same operation under another path; OpenAPI shows only the first
    dx_access access;  // who may; checked after authentication, before the body is read
    bool unlogged;     // health checks: no request log line
    dx_chain chain;    // filled when the chain is built
};

// Runs the chain of x->operation from the start. `x->finished` is called once, perhaps before this returns.
void dx_chain_run(dx_exchange *x);
// Runs another one, with x->operation as it is: for 404 and 405, which pass the same outer filters. `chain` must live until `finished`.
void dx_chain_run_with(dx_exchange *x, const dx_chain *chain);

#endif
