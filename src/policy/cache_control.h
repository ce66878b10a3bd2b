// The Cache-Control field (RFC 9111 section 5.2), of requests and responses alike, with the extensions of RFC 5861 (stale-while-revalidate,
// stale-if-error) and RFC 8246 (immutable). s-maxage, proxy-revalidate and no-transform are for shared caches and proxies: not read.
//
// What can't be read is taken at its strictest: a max-age that is no number means "stale", a quotation mark without its partner means that
// nothing of the field can be trusted (no-cache). Pure and thread-safe.
#ifndef DX_POLICY_CACHE_CONTROL_H
#define DX_POLICY_CACHE_CONTROL_H

#include "codec/http.h"

// Seconds beyond this are this (RFC 9111 section 1.2.2).
#define DX_DELTA_SECONDS_CAP ((int64_t)2147483648)
// Lists of field names (no-cache="…") that one message may have; one more makes it a no-cache for all of the message.
#define DX_CACHE_FIELD_LISTS 4

// How a directive with seconds was given.
typedef enum dx_cache_seconds { DX_SECONDS_NONE, DX_SECONDS_GIVEN, DX_SECONDS_BROKEN } dx_cache_seconds;
typedef struct dx_cache_delta {
    dx_cache_seconds given; // BROKEN: no number, or two that differ
    int64_t seconds;        // when GIVEN
} dx_cache_delta;

typedef struct dx_cache_control {
    bool present : 1; // the message has the field at all
    bool no_store : 1;
    bool no_cache : 1; // for the whole message
    bool must_revalidate : 1;
    bool must_understand : 1;
    bool is_public : 1;
    bool is_private : 1; // with or without names: to a private cache both are leave to store
    bool immutable : 1;
    bool only_if_cached : 1;
    bool max_stale_any : 1; // max-stale without a number: however stale
    dx_cache_delta max_age, max_stale, min_fresh, stale_while_revalidate, stale_if_error;
    dx_slice no_cache_fields[DX_CACHE_FIELD_LISTS]; // what stood between the quotation marks
    size_t no_cache_lists;
} dx_cache_control;

// Reads every Cache-Control line of `fields`. The slices point into them.
void dx_cache_control_read(dx_cache_control *out, const dx_fields *fields);
// Whether `name` stands in one of the no-cache="…" lists (section 5.2.2.4): such a field is not to be stored.
bool dx_cache_control_bars(const dx_cache_control *control, dx_slice name);
// Digits alone, capped at DX_DELTA_SECONDS_CAP; false (and *out untouched) for anything else.
bool dx_delta_seconds_read(dx_slice text, int64_t *out);

#endif
