// Diagnostics: what is wrong, and where, for a person to read. A list collects every finding of a run, so that all are reported at
// once. Used for the definition (file, line, column, JSON pointer) and for request bodies (JSON pointer alone).
#ifndef DX_BASE_DIAG_H
#define DX_BASE_DIAG_H

#include "base/arena.h"

// What kind of finding, for those who judge some less strictly than their maker.
typedef enum dx_diag_kind {
    DX_DIAG_ANY,
    DX_DIAG_UNKNOWN_VALUE, // of the right type, but none of an enum's values
    DX_DIAG_UNKNOWN_FIELD, // a member that the object's schema does not have
} dx_diag_kind;

typedef struct dx_diag {
    dx_status status; // DX_OK: a warning
    dx_diag_kind kind;
    dx_slice file;       // empty: not from a file
    uint32_t line;       // from 1; 0: unknown
    uint32_t column;     // from 1, in bytes; 0: unknown
    dx_slice pointer;    // RFC 6901; empty is the whole document
    dx_slice message;    // a sentence without a final stop: "expected a string, found a number"
    dx_slice suggestion; // the nearest known name, or what to do next; may be empty
    struct dx_diag *next;
} dx_diag;

typedef struct dx_diags {
    dx_arena *arena; // owns every finding and its text
    dx_diag *first, *last;
    size_t count; // findings seen
    size_t cap;   // findings kept; the rest are only counted
} dx_diags;

#define DX_DIAGS_CAP 100

void dx_diags_init(dx_diags *diags, dx_arena *arena);
// Adds a finding with a copied pointer and a formatted message; returns it so that the caller may set more, or NULL when the cap or the
// memory is reached (the finding is counted all the same). A NULL `diags` is allowed and returns NULL.
dx_diag *dx_diags_add(dx_diags *diags, dx_status status, dx_slice pointer, const char *format, ...) DX_PRINTF(4, 5);
// Copies what a finding suggests into the list's memory, so that it outlives whatever knew the name. Takes a NULL `diag`.
void dx_diag_suggest(const dx_diags *diags, dx_diag *diag, dx_slice suggestion);
// One line without a newline: `shop.json:12:5: /models/Item: expected …; did you mean "…"?`
dx_slice dx_diag_text(const dx_diag *diag, dx_arena *arena);

#endif
