// How long a response may be used again, and what to do with a request: RFC 9111 as a PRIVATE cache, with stale-while-revalidate and
// stale-if-error (RFC 5861) and immutable (RFC 8246). Pure functions over fields and times; nothing is stored here, nobody is asked.
//
// The idea: what a response says is read once, when it comes (`dx_freshness_judge`), into a `dx_freshness` of numbers; a hit then compares
// numbers and reads only the request's fields (`dx_freshness_decide`). Private means: `private` and Authorization are no bar, s-maxage and
// proxy-revalidate say nothing to us; that no two callers share is the key's business (policy/cache_key.h).
//
// Not done: ranges (206 is never stored, a request with Range goes past the cache), POST responses, the caller's own conditions (they too
// go past the cache, so that who asks with If-None-Match gets the server's 304). Thread-safe.
#ifndef DX_POLICY_FRESHNESS_H
#define DX_POLICY_FRESHNESS_H

#include "codec/http.h"

// A heuristic lifetime is a tenth of the age since Last-Modified (section 4.2.2), and never longer than this.
#define DX_FRESHNESS_HEURISTIC_CAP_S ((int64_t)24 * 3600)
// What has a validator is kept this long past its use, for a 304 is cheaper than a body.
#define DX_FRESHNESS_KEEP_S ((int64_t)24 * 3600)

// What the definition says of an endpoint. Seconds; -1: nothing. A ttl counts from when the response came, whatever its Age.
typedef struct dx_freshness_options {
    // Instead of what the server says in max-age and Expires. no-store, no-cache, must-revalidate and Vary keep their meaning.
    int64_t override_ttl_s;
    // For a response that says nothing of freshness.
    int64_t default_ttl_s;
    bool heuristic; // guess from Last-Modified, when there is neither
    // Where the response does not say.
    int64_t stale_while_revalidate_s, stale_if_error_s;
} dx_freshness_options;
#define DX_FRESHNESS_OPTIONS_INIT                                                                                                          \
    { .override_ttl_s = -1, .default_ttl_s = -1, .heuristic = true, .stale_while_revalidate_s = -1, .stale_if_error_s = -1 }

// A response as it came.
typedef struct dx_freshness_input {
    dx_method method;
    int status;
    const dx_fields *request, *response;
    dx_micros_utc request_time, response_time; // when it was asked for, and when its head had come
} dx_freshness_input;

// What is kept of it. A POD of fixed layout: an entry holds it as it is.
typedef struct dx_freshness {
    dx_micros_utc response_time;
    int64_t initial_age_us; // "corrected_initial_age" of section 4.2.3
    int64_t lifetime_us;
    int64_t while_revalidate_us, if_error_us; // usable so long past the lifetime; 0: not
    dx_micros_utc keep_until;                 // from then on it serves for nothing
    uint32_t flags;
} dx_freshness;
#define DX_FRESHNESS_NO_CACHE        (1u << 0) // never without asking
#define DX_FRESHNESS_MUST_REVALIDATE (1u << 1) // never stale
#define DX_FRESHNESS_IMMUTABLE       (1u << 2)
#define DX_FRESHNESS_GUESSED         (1u << 3) // the lifetime is not the server's word: heuristic, or the definition's ttl
#define DX_FRESHNESS_FLAGS           ((1u << 4) - 1)

// Whether the response may be stored (section 3) and is worth it: it is fresh for a while, or may be used stale, or has a validator. Only
// GET.
// `*out` is then its freshness. The ttl of the definition counts for 200, 203, 204, 300, 301 and 308 alone, and not for a response that
// sets a cookie unless the server gives it a lifetime: what errors and logins answer is not kept on our word.
bool dx_freshness_judge(dx_freshness *out, const dx_freshness_input *in, const dx_freshness_options *options);

// Section 4.2.3; never negative, also when the clock was put back.
int64_t dx_freshness_age_us(const dx_freshness *freshness, dx_micros_utc now);

typedef enum dx_cache_verdict {
    DX_CACHE_BYPASS,           // not the cache's business: do not look, ask the server
    DX_CACHE_MISS,             // nothing stored: ask the server
    DX_CACHE_FRESH,            // answer with what is stored
    DX_CACHE_STALE_REVALIDATE, // answer with what is stored, and ask the server behind the caller's back (RFC 5861 section 3)
    DX_CACHE_REVALIDATE,       // ask the server, with dx_freshness_conditions
    DX_CACHE_UNSATISFIABLE     // only-if-cached, and there is nothing to answer with: 504 (section 5.2.1.7)
} dx_cache_verdict;
const char *dx_cache_verdict_name(dx_cache_verdict verdict);

typedef struct dx_cache_decision {
    dx_cache_verdict verdict;
    int64_t age_s; // for the Age field (section 5.1)
    bool stale;    // what is answered with is past its lifetime
    // Until when the stored response may be answered with when the server can't be reached or says 500, 502, 503 or 504 (RFC 5861 section
    // 4). 0: not at all.
    dx_micros_utc error_until;
} dx_cache_decision;

// What to do with a request. `stored` is the freshness of the entry that was found for it (its Vary matches); NULL: none was, or nobody has
// looked yet. The request's no-store, no-cache, max-age, max-stale, min-fresh, only-if-cached and stale-if-error count (section 5.2.1); so
// does Pragma: no-cache without Cache-Control (section 5.4).
dx_cache_decision dx_freshness_decide(const dx_freshness *stored, dx_method method, const dx_fields *request, dx_micros_utc now);
// Whether a server's answer stands for "can't answer now", so that error_until counts.
bool dx_freshness_is_error(int status);

// What to send when asking again: If-None-Match and If-Modified-Since (section 4.3.1). Slices into `stored`; NULL data: don't send it.
void dx_freshness_conditions(const dx_fields *stored, dx_slice *if_none_match, dx_slice *if_modified_since);

// Whether a field of a response is stored (section 3.1): not Connection and what it names, not what belongs to one hop or to a proxy, not
// what no-cache="…" names.
bool dx_freshness_keeps(const dx_fields *response, dx_slice name);

// A 304 came for a stored response. False: its validators say that it speaks of another one (section 4.3.4); ask again without conditions.
bool dx_freshness_confirms(const dx_fields *stored, const dx_fields *not_modified);
// The stored fields with those of the 304 in their place (section 3.2): all that dx_freshness_keeps says, but Content-Length,
// Content-Encoding and Content-Range, which belong to the stored bytes. Stored Date and Age go in any case: they spoke of another moment.
// Slices into both. Judge the result with the status of the stored response. DX_NO_MEMORY.
dx_status dx_freshness_update(dx_fields *out, dx_arena *arena, const dx_fields *stored, const dx_fields *not_modified) DX_MUST_USE;
// A HEAD was answered with 200 (section 4.3.5). True: the stored response may be updated with it as with a 304. False: it is another one by
// now (validator or Content-Length differ) and should be removed.
bool dx_freshness_head_agrees(const dx_fields *stored, const dx_fields *head);

// Whether an answer to an unsafe method makes what is stored for its target invalid (section 4.4): any but GET, HEAD, OPTIONS and TRACE,
// with a 2xx or 3xx.
bool dx_freshness_invalidates(dx_method method, int status);
#define DX_INVALIDATED_CAP 3
// The URLs that become invalid: the target, and those that Location and Content-Location name on the same origin, normalised and without
// duplicates. `target` is absolute. DX_BAD_REQUEST when it is no http(s) URL; DX_NO_MEMORY.
dx_status dx_freshness_invalidated(dx_slice out[DX_INVALIDATED_CAP], size_t *count, dx_arena *arena, dx_slice target,
                                   const dx_fields *response) DX_MUST_USE;

#endif
