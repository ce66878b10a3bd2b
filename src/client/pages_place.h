// A place in a list: what one of its pages is asked for by. And what one page tells: its items, and the place of the next.
#ifndef DX_CLIENT_PAGES_PLACE_H
#define DX_CLIENT_PAGES_PLACE_H

#include "client/pages_settings.h"
#include "codec/json.h"
#include "policy/redact.h"

typedef enum dx_place_kind {
    DX_PLACE_FIRST,  // as the parameters say
    DX_PLACE_NUMBER, // a page's number or an offset
    DX_PLACE_TEXT,   // a cursor
    DX_PLACE_JSON,   // a cursor that is a number, as its text
    DX_PLACE_TARGET, // path and query
    DX_PLACE_END     // behind the last page
} dx_place_kind;
typedef struct dx_place {
    dx_place_kind kind;
    uint64_t number;
    char *text; // on the heap, NUL-terminated; NULL where there is none
    size_t size;
} dx_place;

void dx_place_clear(dx_place *place); // becomes FIRST
// `*out` is cleared before, and left so on DX_NO_MEMORY.
dx_status dx_place_set(dx_place *out, dx_place_kind kind, dx_slice text) DX_MUST_USE;
dx_status dx_place_copy(dx_place *out, const dx_place *from) DX_MUST_USE;
void dx_place_move(dx_place *out, dx_place *from);
bool dx_place_equal(const dx_place *a, const dx_place *b);
uint64_t dx_place_hash(const dx_place *place); // never 0

// --- pages_url.c: next pages that are URLs
typedef struct dx_page_origin {
    dx_slice origin; // of the API: "https://api.example.com"
    dx_slice url;    // absolute, that the page came from; with what auth added
    dx_slice target; // its path and query before auth
} dx_page_origin;
// Path and query of the reference, resolved against the page's URL (RFC 3986 section 5.2), without the parameters that auth adds anyway.
// DX_FORBIDDEN: it is of another origin; DX_BAD_REQUEST: it can't be called; DX_NO_MEMORY. In the arena.
dx_status dx_page_target(dx_slice *out, dx_arena *arena, const dx_page_origin *from, dx_slice reference) DX_MUST_USE;
// Appends the target without parameters whose names are those of secrets.
void dx_page_target_write(dx_buffer *out, dx_slice target, dx_redactor *redactor);

// --- pages_judge.c
typedef struct dx_page_facts {
    yyjson_val *items; // a list of the response's; NULL: none
    size_t count;
    int64_t total;    // -1: not told
    uint64_t content; // a hash of the items; 0: there are none
    dx_place next;    // the caller clears it; END where there is none
    dx_error trouble; // code not NONE: the page is good, but the next one can't be had
} dx_page_facts;
// What a page tells that was asked for at `at`, with `before` items in the pages before it. Errors: DX_ERROR_MALFORMED, DX_ERROR_NO_MEMORY;
// of `trouble` also DX_ERROR_REDIRECT and DX_ERROR_TOO_LARGE (a cursor over DX_PAGES_TOKEN_CAP).
dx_error_code dx_page_judge(dx_page_facts *out, const dx_paginate *how, const dx_place *at, uint64_t before, const dx_response *response,
                            const dx_page_origin *from, dx_error *error) DX_MUST_USE;

#endif
