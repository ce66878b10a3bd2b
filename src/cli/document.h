// A document that a command is given: a file, standard input, or what a URL leads to.
#ifndef DX_CLI_DOCUMENT_H
#define DX_CLI_DOCUMENT_H

#include "base/buffer.h"
#include "codec/json.h"

#define DX_DOCUMENT_CAP ((size_t)64 << 20)

// Gets what `url` (http or https) leads to into `out`, and where it came from after redirects into `final` (in the arena). Returns a
// dx_exit; what went wrong it has told on standard error.
typedef int dx_document_fetch(dx_buffer *out, dx_slice *final, dx_arena *arena, const char *url);

typedef struct dx_document {
    const char *source; // as given, for messages
    dx_slice url;       // where it came from; empty for a file
    dx_slice text;
    yyjson_val *root;
    bool json; // it is JSON; else YAML
} dx_document;

// Reads all of `source`: a file, "-" for standard input, or a URL by `fetch`. The text is taken for JSON when it starts with a brace or a
// bracket, else for YAML. Everything lies in the arena. Returns a dx_exit; what went wrong it has told on standard error, a fault of the
// text with line and column.
int dx_document_read(dx_document *out, dx_arena *arena, const char *source, uint32_t depth_cap, dx_document_fetch *fetch);
// Gives findings that point into the document its name, line and column.
void dx_document_locate(const dx_document *document, dx_arena *arena, const dx_diags *findings);

#endif
