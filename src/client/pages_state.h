// The state of pages as text, from which they are read on: {"v":1, …} in base64url. Parameters are in it by a digest only, which those that
// are secret are no part of.
#ifndef DX_CLIENT_PAGES_STATE_H
#define DX_CLIENT_PAGES_STATE_H

#include "client/pages_place.h"

#define DX_PAGES_DIGEST_SIZE 16 // hex digits

typedef struct dx_pages_mark {
    dx_place place;
    dx_slice endpoint; // "api.version.endpoint"
    dx_paging type;
    char digest[DX_PAGES_DIGEST_SIZE + 1];
    uint64_t skip;        // items of the page that were given
    uint64_t seen, pages; // items and pages before it
} dx_pages_mark;

// Of the parameters in any order, without secret ones and `besides` (the one that pages go by).
void dx_pages_digest(char out[DX_PAGES_DIGEST_SIZE + 1], const dx_endpoint *endpoint, const dx_arg *args, dx_slice besides);
// To be freed by dx_memory_free; NULL: no memory. `redactor`: needed for a TARGET.
char *dx_pages_mark_write(const dx_pages_mark *mark, dx_redactor *redactor) DX_MUST_USE;
// Of what anybody may have written: DX_BAD_CURSOR, it is no state; DX_NO_MEMORY. `out->place` is cleared by the caller, also on failure.
dx_status dx_pages_mark_read(dx_pages_mark *out, dx_arena *arena, dx_slice text) DX_MUST_USE;

#endif
