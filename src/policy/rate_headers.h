// What a server says of its limits in a response's fields, in the forms that are about:
//
//   RateLimit: "name";r=50;t=30           with RateLimit-Policy: "name";q=100;w=60   (IETF draft-ietf-httpapi-ratelimit-headers, from 08
//   on) RateLimit: limit=100, remaining=50, reset=30                                     (06 and 07) RateLimit-Limit, -Remaining, -Reset
//   (before) X-RateLimit-… and X-Rate-Limit-… Limit, Remaining, Reset; also Reset-After, Reset-Ms, and each with "-Requests" behind
//   Retry-After (RFC 9110 section 10.2.3: seconds or a date), Retry-After-Ms, X-MS-Retry-After-Ms, X-Retry-After, X-Retry-In
//   and names that the caller adds.
//
// When a reset is: a date (RFC 3339, or any of HTTP's three) or a number, and what a number means is told by its size, for servers agree on
// nothing: from 10^11 on it is milliseconds since 1970, from 10^9 on seconds since 1970, from 2678401 on (more seconds than a month has) so
// many milliseconds from now, and below that seconds from now. Milliseconds from now below that can't be told from seconds: they are read
// as such, which waits too long rather than too short, unless the field's name or the caller says otherwise, or a unit is behind the number
// ("250ms", "1m30s"). A fraction is allowed. Times of the calendar are set against the response's own Date when that is more than
// DX_RATE_SKEW from our clock.
//
// Of several, the longest wait wins: the policy that leaves the fewest requests to the time until its reset, the latest reset, the longest
// Retry-After. What can't be read is ignored, as are quotas that count something else than requests. Reads only; keeps no pointer.
#ifndef DX_POLICY_RATE_HEADERS_H
#define DX_POLICY_RATE_HEADERS_H

#include "base/clock.h"
#include "codec/http.h"

#define DX_RATE_SKEW     ((dx_micros_utc)5 * 1000000)
#define DX_RATE_WAIT_CAP ((dx_micros_utc)366 * 86400 * 1000000) // a longer wait is ignored as garbage
#define DX_RATE_MEMBERS  16u                                    // of a list, the others are ignored

typedef enum dx_rate_role { DX_RATE_LIMIT, DX_RATE_REMAINING, DX_RATE_RESET, DX_RATE_RETRY_AFTER } dx_rate_role;
typedef enum dx_rate_unit { DX_RATE_ANY_UNIT, DX_RATE_SECONDS, DX_RATE_MILLISECONDS } dx_rate_unit; // of time from now

// A field that this server uses, beside the known ones.
typedef struct dx_rate_name {
    dx_slice name; // case-insensitive
    dx_rate_role role;
    dx_rate_unit unit; // of DX_RATE_RESET and DX_RATE_RETRY_AFTER; DX_RATE_ANY_UNIT: told as above
} dx_rate_name;

typedef struct dx_rate_headers {
    bool has_limit, has_remaining, has_reset, has_retry_after;
    uint64_t limit, remaining;
    dx_micros_utc reset_at; // by our clock; may be past
    dx_nanos retry_after;   // 0 when the date is past
} dx_rate_headers;

// `now`: dx_clock_utc when the response came.
void dx_rate_headers_read(dx_rate_headers *out, const dx_fields *fields, const dx_rate_name *names, size_t name_count, dx_micros_utc now);
// How long to send nothing: the longer of Retry-After and, when nothing remains, the time until the reset; 0: go on.
dx_nanos dx_rate_headers_wait(const dx_rate_headers *headers, dx_micros_utc now);

#endif
