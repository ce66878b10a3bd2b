// How an exchange that goes out to somebody's API fails, and where its time goes. A server's answers are statuses of HTTP; who calls also
// meets what no status tells: names that do not resolve, connections that break, a deadline that is over. Policies (retry, breaker,
// meter) judge by these, and whoever shows an error to a person makes it of these.
#ifndef DX_EXCHANGE_OUTCOME_H
#define DX_EXCHANGE_OUTCOME_H

#include "base/compiler.h"

typedef enum dx_category {
    DX_CATEGORY_NONE,    // no failure
    DX_CATEGORY_NETWORK, // the peer was not reached, or the connection broke
    DX_CATEGORY_TIMEOUT, // a deadline
    DX_CATEGORY_HTTP,    // the peer answered by a status that counts as an error
    DX_CATEGORY_AUTH,    // no credential could be had, or the peer did not take it
    DX_CATEGORY_UNKNOWN, // all else
    DX_CATEGORY_COUNT
} dx_category;
const char *dx_category_name(dx_category category); // "network"

// HTTP: what a gateway says of it (RFC 9110 section 15.6).
//      name          HTTP  category  code
#define DX_FAILURE_LIST(X)                                                                                                                 \
    X(NONE, 200, NONE, "ok")                                                                                                               \
    X(STATUS, 502, HTTP, "http_error")                                                                                                     \
    X(RESOLVE, 502, NETWORK, "resolve_failed")                                                                                             \
    X(CONNECT, 502, NETWORK, "connect_failed")                                                                                             \
    X(TLS, 502, NETWORK, "tls_failed")                                                                                                     \
    X(RESET, 502, NETWORK, "connection_broken")                                                                                            \
    X(PROTOCOL, 502, NETWORK, "protocol_error")                                                                                            \
    X(TIMEOUT, 504, TIMEOUT, "timeout")                                                                                                    \
    X(AUTH, 502, AUTH, "auth_failed")                                                                                                      \
    X(LIMITED, 503, UNKNOWN, "rate_limited")                                                                                               \
    X(BREAKER, 503, UNKNOWN, "circuit_open")                                                                                               \
    X(OVERLOADED, 503, UNKNOWN, "queue_full")                                                                                              \
    X(BLOCKED, 403, UNKNOWN, "address_blocked")                                                                                            \
    X(REDIRECT, 502, UNKNOWN, "redirect_refused")                                                                                          \
    X(TOO_LARGE, 502, UNKNOWN, "response_too_large")                                                                                       \
    X(MALFORMED, 502, UNKNOWN, "response_malformed")                                                                                       \
    X(INVALID, 422, UNKNOWN, "validation_failed")                                                                                          \
    X(NOT_CACHED, 504, UNKNOWN, "not_in_cache")                                                                                            \
    X(CANCELLED, 499, UNKNOWN, "cancelled")                                                                                                \
    X(NO_MEMORY, 503, UNKNOWN, "out_of_memory")                                                                                            \
    X(INTERNAL, 500, UNKNOWN, "internal_error")

typedef enum dx_failure {
#define X(name, http, category, code) DX_FAILURE_##name,
    DX_FAILURE_LIST(X)
#undef X
        DX_FAILURE_KINDS
} dx_failure;

// Each takes any value; one out of range reads as INTERNAL. The strings are static.
int dx_failure_http(dx_failure failure);
dx_category dx_failure_category(dx_failure failure);
const char *dx_failure_code(dx_failure failure); // "connect_failed"

// Where an exchange that goes out is, and where its time went.
#define DX_PHASE_LIST(X)                                                                                                                   \
    X(PREPARE, "prepare")                                                                                                                  \
    X(CACHE, "cache")                                                                                                                      \
    X(LIMIT, "limit")                                                                                                                      \
    X(AUTH, "auth")                                                                                                                        \
    X(QUEUE, "queue")                                                                                                                      \
    X(CONNECT, "connect")                                                                                                                  \
    X(WAIT, "wait")                                                                                                                        \
    X(TRANSFER, "transfer")                                                                                                                \
    X(BACKOFF, "backoff")
typedef enum dx_phase {
#define X(name, text) DX_PHASE_##name,
    DX_PHASE_LIST(X)
#undef X
        DX_PHASE_COUNT
} dx_phase;
const char *dx_phase_name(dx_phase phase);

#endif
