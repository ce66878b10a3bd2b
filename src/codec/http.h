// The vocabulary of HTTP (RFC 9110) that the wire (`net`) and the spine (`exchange`) share: methods, fields, status phrases, media
// types, entity tags. No protocol version lives here.
#ifndef DX_CODEC_HTTP_H
#define DX_CODEC_HTTP_H

#include "base/arena.h"
#include "base/clock.h"
#include "base/slice.h"
#include "base/status.h"

#define DX_METHOD_LIST(X) X(GET) X(HEAD) X(POST) X(PUT) X(PATCH) X(DELETE) X(OPTIONS) X(TRACE) X(CONNECT)
typedef enum dx_method {
#define X(name) DX_##name,
    DX_METHOD_LIST(X)
#undef X
        DX_METHOD_COUNT,
    DX_METHOD_UNKNOWN = DX_METHOD_COUNT
} dx_method;
const char *dx_method_name(dx_method method);
dx_method dx_method_parse(dx_slice name);

// Fields that the server itself reads are known by number, so that a look-up is a comparison of numbers.
// clang-format off
#define DX_FIELD_LIST(X) \
    X(ACCEPT, "accept") \
    X(ACCEPT_ENCODING, "accept-encoding") \
    X(AUTHORIZATION, "authorization") \
    X(CONNECTION, "connection") \
    X(CONTENT_LENGTH, "content-length") \
    X(CONTENT_TYPE, "content-type") \
    X(CONTENT_ENCODING, "content-encoding") \
    X(COOKIE, "cookie") \
    X(DATE, "date") \
    X(EXPECT, "expect") \
    X(FORWARDED, "forwarded") \
    X(HOST, "host") \
    X(IDEMPOTENCY_KEY, "idempotency-key") \
    X(IF_MATCH, "if-match") \
    X(IF_MODIFIED_SINCE, "if-modified-since") \
    X(IF_NONE_MATCH, "if-none-match") \
    X(IF_RANGE, "if-range") \
    X(IF_UNMODIFIED_SINCE, "if-unmodified-since") \
    X(ORIGIN, "origin") \
    X(PREFER, "prefer") \
    X(RANGE, "range") \
    X(REQUEST_METHOD, "access-control-request-method") \
    X(REQUEST_HEADERS, "access-control-request-headers") \
    X(TE, "te") \
    X(TRACEPARENT, "traceparent") \
    X(TRANSFER_ENCODING, "transfer-encoding") \
    X(UPGRADE, "upgrade") \
    X(USER_AGENT, "user-agent") \
    X(X_FORWARDED_FOR, "x-forwarded-for") \
    X(X_FORWARDED_PROTO, "x-forwarded-proto") \
    X(X_REQUEST_ID, "x-request-id")
// clang-format on
typedef enum dx_field_id {
    DX_FIELD_OTHER,
#define X(name, text) DX_FIELD_##name,
    DX_FIELD_LIST(X)
#undef X
        DX_FIELD_COUNT
} dx_field_id;
dx_field_id dx_field_lookup(dx_slice name); // case-insensitive

typedef struct dx_field {
    dx_slice name;
    dx_slice value; // without surrounding white space
    dx_field_id id;
} dx_field;

// Fields in the order they came or shall be sent. `items` has room for `capacity`; adding past it moves to arena memory.
typedef struct dx_fields {
    dx_field *items;
    uint32_t count, capacity;
} dx_fields;

// The first field's value, or a slice with NULL data.
dx_slice dx_fields_get(const dx_fields *fields, dx_field_id id);
dx_slice dx_fields_find(const dx_fields *fields, dx_slice name);
// The list itself is copied, with room for `more`; names and values stay where they are. False without memory.
bool dx_fields_copy(dx_fields *out, dx_arena *arena, const dx_fields *from, uint32_t more) DX_MUST_USE;
// Adds without copying: both slices must live as long as the fields. A value with CR, LF or NUL is refused with DX_INTERNAL.
dx_status dx_fields_add(dx_fields *fields, dx_arena *arena, dx_slice name, dx_slice value) DX_MUST_USE;

// Whether it is a token (RFC 9110 section 5.6.2), as names of fields must be.
bool dx_field_name_valid(dx_slice name);

const char *dx_http_phrase(int status); // "Not Found"; "" when unknown
// `Sun, 06 Nov 1994 08:49:37 GMT` (29 bytes, no NUL) and back; parsing takes all three forms of RFC 9110 section 5.6.7.
#define DX_HTTP_DATE_SIZE 29
void dx_http_date_write(char out[DX_HTTP_DATE_SIZE], dx_micros_utc time);
bool dx_http_date_read(dx_slice text, dx_micros_utc *out);
// Whether entity tag `etag` (quoted, maybe W/) is in the list `value` of If-Match (strong) or If-None-Match (weak); "*" matches all.
bool dx_http_etag_in(dx_slice value, dx_slice etag, bool weak);
// The media type without parameters equals `type` ("application/json"), case-insensitively.
bool dx_http_media_is(dx_slice content_type, const char *type);
// Quality (0 to 1000) that an Accept value gives to `type` ("application/json"); 1000 when the field is absent or empty.
int dx_http_accept_quality(dx_slice accept, const char *type);
// Walks a list of names with qualities ("gzip;q=0.5, br"): the next name and its quality (0 to 1000); false at the end.
bool dx_http_next_weighted(dx_slice *rest, dx_slice *name, int *quality);
// Whether a comma-separated list has this token, case-insensitively.
bool dx_http_list_has(dx_slice value, dx_slice token);

#endif
