// The setting `paginate` of an endpoint, read and made sure of.
#ifndef DX_CLIENT_PAGES_SETTINGS_H
#define DX_CLIENT_PAGES_SETTINGS_H

#include "client/apis.h"
#include "duplex/pages.h"

typedef enum dx_paging { DX_PAGING_PAGE, DX_PAGING_OFFSET, DX_PAGING_CURSOR, DX_PAGING_LINK, DX_PAGING_NEXT_URL } dx_paging;

typedef struct dx_paginate {
    dx_paging type;
    dx_slice items;                                            // JSON pointers, as those below; empty: the answer itself
    dx_slice param, size_param;                                // of the endpoint; empty: none
    dx_slice cursor, cursor_header, next_url, has_more, total; // empty: none
    uint64_t size;                                             // 0: not known
    uint64_t start, max_pages;
    unsigned prefetch;
} dx_paginate;

// From the endpoint's setting and `own` (a JSON object; NULL: none), whose members stand before. Texts are copied into the arena.
// DX_ERROR_CONFIG: it can't be used, and why; DX_ERROR_ARGUMENT: `own` can't.
dx_error_code dx_paginate_read(dx_paginate *out, dx_arena *arena, const dx_endpoint *endpoint, const char *own,
                               dx_error *error) DX_MUST_USE;
// The parameter of that name; NULL: there is none.
const dx_param *dx_paginate_param(const dx_endpoint *endpoint, dx_slice name);

#endif
