// Forms with files: reads a multipart/form-data body (codec/multipart.h) as it comes, fields into memory and files into spools, all of it
// bounded. For handlers of DX_BODY_STREAM operations, whose body_cap bounds the whole.
#ifndef DX_EXCHANGE_FORM_H
#define DX_EXCHANGE_FORM_H

#include "exchange/exchange.h"
#include "exchange/spool.h"

typedef struct dx_form_options {
    uint32_t parts;       // at most; over any of these DX_TOO_LARGE
    size_t field_bytes;   // of one field
    size_t fields_bytes;  // of all together
    uint64_t file_bytes;  // of one file
    uint64_t file_memory; // what of a file is kept in memory before it goes to disk
    const char *folder;   // for the files' bytes; lives until `done`
} dx_form_options;
#define DX_FORM_OPTIONS_INIT                                                                                                               \
    { .parts = 100, .field_bytes = 64u << 10, .fields_bytes = 1u << 20, .file_bytes = UINT64_MAX, .file_memory = 64u << 10 }

typedef struct dx_form_part {
    struct dx_form_part *next;
    dx_slice name;
    dx_slice file_name;    // without any folder; NULL data: a field. Said by the client: no path to open, no type to trust
    dx_slice content_type; // likewise; empty: none was said
    dx_slice value;        // of a field
    dx_spool *file;        // of a file; the form's
} dx_form_part;

typedef struct dx_form {
    dx_form_part *first; // in the order sent
    size_t count;
} dx_form;
// The first part of that name; NULL: none.
const dx_form_part *dx_form_find(const dx_form *form, dx_slice name);

// The last word, in a later turn of the loop: DX_OK with the whole form, its files written; or why there is none, with a reason for the
// client (static; "" when the status says it all), and `form` NULL. The form and its files live as long as the exchange.
typedef void (*dx_form_done)(void *ctx, dx_exchange *x, const dx_form *form, dx_status why, const char *reason);
// Instead of dx_exchange_read; on DX_OK the handler returns DX_WAIT. DX_UNSUPPORTED_MEDIA_TYPE for another Content-Type, DX_MALFORMED for
// one without a proper boundary, DX_NO_MEMORY.
dx_status dx_form_read(dx_exchange *x, const dx_form_options *options, dx_form_done done, void *ctx) DX_MUST_USE;

#endif
