/* Errors of libduplex. A fallible function returns a dx_error_code (0: it worked) and fills the dx_error that it was given, which may be
 * NULL where only the code is wanted. There is no "last error" of a thread: an error belongs to the call it came from. */
#ifndef DUPLEX_ERROR_H
#define DUPLEX_ERROR_H

#include "duplex/api.h"

DX_BEGIN_DECLS

typedef enum dx_category {
    DX_CATEGORY_NONE = 0,    /* no error */
    DX_CATEGORY_NETWORK = 1, /* the server was not reached, or the connection broke */
    DX_CATEGORY_TIMEOUT = 2, /* a deadline was over */
    DX_CATEGORY_HTTP = 3,    /* the server answered by a status that counts as an error */
    DX_CATEGORY_AUTH = 4,    /* no credential could be had, or the server did not take it */
    DX_CATEGORY_UNKNOWN = 5  /* all else: what the caller gave, what a policy refused, what went wrong inside */
} dx_category;

/* Where a call was when it failed; also what its time is divided into (dx_response_time). */
typedef enum dx_phase {
    DX_PHASE_PREPARE = 0,  /* reading parameters, checking them */
    DX_PHASE_CACHE = 1,    /* asking a cache, or waiting for the same request of another call */
    DX_PHASE_LIMIT = 2,    /* waiting for the rate limiter */
    DX_PHASE_AUTH = 3,     /* getting or renewing a credential */
    DX_PHASE_QUEUE = 4,    /* waiting for a free connection */
    DX_PHASE_CONNECT = 5,  /* name, TCP, TLS */
    DX_PHASE_WAIT = 6,     /* sent, nothing of the answer here yet */
    DX_PHASE_TRANSFER = 7, /* the answer comes in */
    DX_PHASE_BACKOFF = 8   /* waiting before another attempt */
} dx_phase;
#define DX_PHASE_COUNT 9

/* The list of codes; a number once given never changes its meaning. */
/* clang-format off */
#define DX_ERROR_LIST(X) \
    X(NONE,          0, NONE,    "ok",                 "no error") \
    X(NO_MEMORY,     1, UNKNOWN, "out_of_memory",      "there was no memory") \
    X(INTERNAL,      2, UNKNOWN, "internal_error",     "something went wrong inside libduplex") \
    X(CANCELLED,     3, UNKNOWN, "cancelled",          "the call was cancelled") \
    X(CLOSED,        4, UNKNOWN, "client_closed",      "the client is being closed") \
    X(ARGUMENT,     10, UNKNOWN, "bad_argument",       "a parameter is missing, not known, or of the wrong type") \
    X(CONFIG,       11, UNKNOWN, "bad_definition",     "the definition was refused") \
    X(UNKNOWN_NAME, 12, UNKNOWN, "unknown_name",       "there is no API, endpoint, model or handler of that name") \
    X(INVALID,      13, UNKNOWN, "validation_failed",  "a value does not obey its model") \
    X(FILE,         14, UNKNOWN, "file_failed",        "a file could not be read or written") \
    X(STATUS,       20, HTTP,    "http_error",         "the server answered by an error") \
    X(RESOLVE,      30, NETWORK, "resolve_failed",     "the host's name could not be resolved") \
    X(CONNECT,      31, NETWORK, "connect_failed",     "the server could not be reached") \
    X(TLS,          32, NETWORK, "tls_failed",         "no secure connection could be made") \
    X(RESET,        33, NETWORK, "connection_broken",  "the connection broke") \
    X(PROTOCOL,     34, NETWORK, "protocol_error",     "the server did not speak HTTP as it should") \
    X(TIMEOUT,      40, TIMEOUT, "timeout",            "the deadline was over") \
    X(AUTH,         50, AUTH,    "auth_failed",        "no credential could be had, or the server did not take it") \
    X(LIMITED,      60, UNKNOWN, "rate_limited",       "the rate limiter would have made the call wait too long") \
    X(CIRCUIT_OPEN, 61, UNKNOWN, "circuit_open",       "the circuit breaker is open") \
    X(QUEUE_FULL,   62, UNKNOWN, "queue_full",         "too many calls wait for a connection") \
    X(BLOCKED,      70, UNKNOWN, "address_blocked",    "the address may not be called") \
    X(REDIRECT,     71, UNKNOWN, "redirect_refused",   "a redirect was not followed") \
    X(TOO_LARGE,    72, UNKNOWN, "response_too_large", "the response is larger than its cap") \
    X(MALFORMED,    73, UNKNOWN, "response_malformed", "the response is not what it says it is") \
    X(NOT_CACHED,   74, UNKNOWN, "not_in_cache",       "only a cached response was wanted, and there is none") \
    X(RECORDING,    75, UNKNOWN, "not_recorded",       "the recording that is replayed has no such request")
/* clang-format on */
typedef enum dx_error_code {
#define X(name, number, category, code, meaning) DX_ERROR_##name = number,
    DX_ERROR_LIST(X)
#undef X
} dx_error_code;

#define DX_ERROR_MESSAGE_SIZE 512
#define DX_ERROR_POINTER_SIZE 128

/* All of it is plain memory: copy it, keep it, there is nothing to free. */
typedef struct dx_error {
    dx_error_code code;
    dx_category category;
    dx_phase phase;
    int http_status;                     /* of the last answer; 0: there was none */
    unsigned attempts;                   /* how often the request was sent */
    bool retryable;                      /* sending it again, unchanged, may help and can do no harm */
    int64_t retry_after_ms;              /* the wait that server, limiter or breaker asked for; -1: none */
    uint32_t line, column;               /* of a definition; 0: not known */
    char pointer[DX_ERROR_POINTER_SIZE]; /* JSON pointer to what is wrong; empty: all of it, or no JSON */
    char message[DX_ERROR_MESSAGE_SIZE]; /* for a person: what happened and what to do; no secret is in it */
} dx_error;
#define DX_ERROR_INIT                                                                                                                      \
    { DX_ERROR_NONE, DX_CATEGORY_NONE, DX_PHASE_PREPARE, 0, 0, false, -1, 0, 0, "", "" }

/* Each takes any number; one that is not in the list reads as INTERNAL. The strings are static. Any thread. */
DX_API const char *dx_error_name(dx_error_code code);    /* "connect_failed": stable, for programs */
DX_API const char *dx_error_meaning(dx_error_code code); /* a sentence without a final stop */
DX_API dx_category dx_error_category(dx_error_code code);
DX_API const char *dx_category_name(dx_category category); /* "network" */
DX_API const char *dx_phase_name(dx_phase phase);          /* "connect" */

DX_END_DECLS

#endif
