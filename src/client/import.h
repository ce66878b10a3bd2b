// Taking an OpenAPI document (3.0 or 3.1) for a definition: its operations become endpoints of one API, its schemas models of JSON Schema
// 2020-12, its security schemes an `auth` with placeholders for the secrets. What a definition has no place for is told as a finding,
// each with its place in the document, and never dropped in silence. (docs/client/import.md says what becomes what.)
#ifndef DX_CLIENT_IMPORT_H
#define DX_CLIENT_IMPORT_H

#include "codec/json.h"

#define DX_IMPORT_DEPTH_CAP     256u // levels of a document: what to read it with
#define DX_IMPORT_ENDPOINTS_CAP 20000u
#define DX_IMPORT_MODELS_CAP    20000u
#define DX_IMPORT_PARAMS_CAP    256u // of one operation

typedef struct dx_import_options {
    dx_slice name;     // of the API; empty: made of the document's title
    dx_slice base_url; // instead of what the document says; may be empty
    dx_slice source;   // the URL that the document came from, against which its relative URLs are resolved; may be empty
} dx_import_options;

typedef struct dx_import_counts {
    size_t endpoints, models;
} dx_import_counts;

// Makes a definition of `document`: an object with `apis` (one member) and `models`. The result lies in the arena and may refer to strings
// of `document`, which must live as long. `findings` (may be NULL) gets what a person should look at; its pointers lead into `document`.
// DX_OK; DX_INVALID when it is no OpenAPI 3.0 or 3.1 or an option is not acceptable (the last finding says why); DX_TOO_LARGE over a cap
// above; DX_NO_MEMORY. One thread at a time for an arena.
dx_status dx_import_openapi(yyjson_mut_doc **out, dx_import_counts *counts, dx_arena *arena, yyjson_val *document,
                            const dx_import_options *options, dx_diags *findings) DX_MUST_USE;

#endif
