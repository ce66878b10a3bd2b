// The one list of outcomes. A fallible function returns a `dx_status`; 0 is OK. Each status knows the HTTP status and the
// `error_code` that a client sees (RFC 9457 problem details are made of these), so no layer translates errors by hand.
// A name, code or HTTP status once published is not changed: clients match on them.
#ifndef DX_BASE_STATUS_H
#define DX_BASE_STATUS_H

#include "base/compiler.h"

//      name                   HTTP  error_code                 title
#define DX_STATUS_LIST(X)                                                                                                                  \
    X(OK, 200, "ok", "OK")                                                                                                                 \
    X(BAD_REQUEST, 400, "bad_request", "The request could not be understood")                                                              \
    X(MALFORMED, 400, "malformed_body", "The body could not be parsed")                                                                    \
    X(BAD_CURSOR, 400, "invalid_cursor", "The cursor is not valid here")                                                                   \
    X(UNAUTHENTICATED, 401, "authentication_required", "Authentication is required")                                                       \
    X(BAD_CREDENTIALS, 401, "invalid_credentials", "The credentials are not valid")                                                        \
    X(BAD_TOKEN, 401, "invalid_token", "The token is not valid")                                                                           \
    X(EXPIRED_TOKEN, 401, "expired_token", "The token has expired")                                                                        \
    X(FORBIDDEN, 403, "forbidden", "The caller may not do this")                                                                           \
    X(ACCOUNT_DISABLED, 403, "account_disabled", "The account is disabled")                                                                \
    X(NOT_FOUND, 404, "not_found", "There is nothing here")                                                                                \
    X(METHOD_NOT_ALLOWED, 405, "method_not_allowed", "The method is not allowed here")                                                     \
    X(NOT_ACCEPTABLE, 406, "not_acceptable", "No acceptable representation exists")                                                        \
    X(REQUEST_TIMEOUT, 408, "request_timeout", "The request took too long to arrive")                                                      \
    X(CONFLICT, 409, "conflict", "The request conflicts with the present state")                                                           \
    X(ALREADY_EXISTS, 409, "already_exists", "A value that must be unique exists already")                                                 \
    X(IN_USE, 409, "in_use", "Other rows refer to this one")                                                                               \
    X(IN_FLIGHT, 409, "request_in_flight", "A request with this key is being answered")                                                    \
    X(GONE, 410, "gone", "What was here is gone")                                                                                          \
    X(LENGTH_REQUIRED, 411, "length_required", "A body length is required")                                                                \
    X(PRECONDITION_FAILED, 412, "precondition_failed", "The precondition does not hold")                                                   \
    X(TOO_LARGE, 413, "body_too_large", "The body is too large")                                                                           \
    X(URI_TOO_LONG, 414, "uri_too_long", "The request target is too long")                                                                 \
    X(UNSUPPORTED_MEDIA_TYPE, 415, "unsupported_media_type", "The media type is not supported")                                            \
    X(RANGE_NOT_SATISFIABLE, 416, "range_not_satisfiable", "The range lies outside of what there is")                                      \
    X(EXPECTATION_FAILED, 417, "expectation_failed", "The expectation cannot be met")                                                      \
    X(MISDIRECTED, 421, "misdirected_request", "This server does not answer for that host")                                                \
    X(INVALID, 422, "validation_failed", "The request is not valid")                                                                       \
    X(UNKNOWN_REFERENCE, 422, "unknown_reference", "A referenced row does not exist")                                                      \
    X(KEY_REUSED, 422, "idempotency_key_reused", "The key was used with another request")                                                  \
    X(LOCKED, 423, "account_locked", "The account is locked for a while")                                                                  \
    X(UPGRADE_REQUIRED, 426, "upgrade_required", "Another protocol is required")                                                           \
    X(PRECONDITION_REQUIRED, 428, "precondition_required", "A precondition is required")                                                   \
    X(RATE_LIMITED, 429, "rate_limited", "Too many requests")                                                                              \
    X(HEADERS_TOO_LARGE, 431, "headers_too_large", "The header section is too large")                                                      \
    X(CANCELLED, 499, "cancelled", "The caller went away")                                                                                 \
    X(INTERNAL, 500, "internal_error", "Something went wrong inside")                                                                      \
    X(NOT_IMPLEMENTED, 501, "not_implemented", "The method is not implemented")                                                            \
    X(NO_MEMORY, 503, "out_of_memory", "The server is short of memory")                                                                    \
    X(UNAVAILABLE, 503, "unavailable", "The service is not available at present")                                                          \
    X(OVERLOADED, 503, "overloaded", "The server has too much to do")                                                                      \
    X(STORE_UNAVAILABLE, 503, "store_unavailable", "The store is not available at present")                                                \
    X(STORE_TIMEOUT, 503, "store_timeout", "The statement ran over its time budget")                                                       \
    X(VERSION_NOT_SUPPORTED, 505, "http_version_not_supported", "The HTTP version is not supported")                                       \
    X(STORE_FULL, 507, "store_full", "The store has no room left")

typedef enum dx_status {
#define X(name, http, code, title) DX_##name,
    DX_STATUS_LIST(X)
#undef X
        DX_STATUS_COUNT
} dx_status;

// Each of these takes any value; one out of range reads as DX_INTERNAL. The strings are static.
int dx_status_http(dx_status status);
const char *dx_status_code(dx_status status);
const char *dx_status_title(dx_status status);
const char *dx_status_name(dx_status status); // "NOT_FOUND"

#endif
