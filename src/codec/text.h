// Small encodings of text: percent (RFC 3986), forms (application/x-www-form-urlencoded), base64 (RFC 4648), hex, UTF-8, UUIDs
// (RFC 9562) and RFC 3339 dates. Each decoder refuses what is not exactly right.
#ifndef DX_CODEC_TEXT_H
#define DX_CODEC_TEXT_H

#include "base/buffer.h"
#include "base/clock.h"

bool dx_utf8_valid(dx_slice text);
size_t dx_utf8_length(dx_slice valid_utf8); // code points
// The same in pieces: false at the first byte that can't be UTF-8 (then the state is of no use any more). Zero the state first.
typedef struct dx_utf8_state {
    uint32_t state;
} dx_utf8_state;
bool dx_utf8_feed(dx_utf8_state *state, dx_slice piece) DX_MUST_USE;
bool dx_utf8_whole(const dx_utf8_state *state); // no character is cut off at the end

// Decodes %XX (and, in forms, "+") into the arena; the input itself when there is nothing to decode. DX_BAD_REQUEST on a broken escape.
dx_status dx_percent_decode(dx_slice *out, dx_arena *arena, dx_slice text, bool plus_is_space) DX_MUST_USE;
void dx_percent_encode(dx_buffer *buffer, dx_slice text); // all but RFC 3986 unreserved

// Walks a query string or form body. Returns false at the end or on an error (then *status is not DX_OK).
bool dx_form_next(dx_slice *rest, dx_arena *arena, dx_slice *name, dx_slice *value, dx_status *status);

// `dx_base64_*` url: the alphabet of RFC 4648 section 5, without padding; otherwise section 4, padded. Decoding refuses anything not
// canonical (JOSE needs that). Size of the result in bytes: 4 * ceil(n / 3) and 3 * n / 4 at most.
size_t dx_base64_encode(char *out, const void *data, size_t size, bool url);
bool dx_base64_decode(void *out, size_t *out_size, dx_slice text, bool url); // `out` has room for text.size * 3 / 4 + 3 bytes
void dx_hex_encode(char *out, const void *data, size_t size);                // lower case, 2 * size bytes, no NUL
bool dx_hex_decode(void *out, dx_slice text);                                // text.size / 2 bytes

#define DX_UUID_TEXT_SIZE 36
bool dx_uuid_valid(dx_slice text);                               // any version, any case
void dx_uuid_v7(char out[DX_UUID_TEXT_SIZE], dx_micros_utc now); // time-ordered, from the kernel's randomness

// RFC 3339 date-time with any offset to microseconds and back ("2026-01-31T12:00:00.123456Z"; the fraction only when not 0).
#define DX_TIME_TEXT_CAP 32
bool dx_time_read(dx_slice text, dx_micros_utc *out);
size_t dx_time_write(char out[DX_TIME_TEXT_CAP], dx_micros_utc time);
bool dx_date_valid(dx_slice text);        // full-date, calendar-checked
bool dx_time_of_day_valid(dx_slice text); // RFC 3339 full-time, leap seconds as JSON Schema's `time` format wants

#endif
