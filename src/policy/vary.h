// The secondary key of RFC 9111 section 4.1: what a response's Vary names, with the values that the request had. Kept with the entry as a
// *block* of bytes, which the next request is held against.
//
// Values are compared as they mean: lines of one name are one list, white space around commas does not count, and in Accept,
// Accept-Encoding, -Language and -Charset neither does case. Values of fields that may hold a secret (all but a short list of plain ones)
// are in the block only as a SHA-256, for blocks are written to Redis. Thread-safe.
#ifndef DX_POLICY_VARY_H
#define DX_POLICY_VARY_H

#include "base/buffer.h"
#include "codec/http.h"

#define DX_VARY_NAMES_CAP 16   // more are as good as "*"
#define DX_VARY_NAME_CAP  64   // bytes of one
#define DX_VARY_VALUE_CAP 2048 // bytes of one field, normalised
#define DX_VARY_BLOCK_CAP 8192

// Whether no request is like another to this response: "Vary: *", or past the caps.
bool dx_vary_is_any(const dx_fields *response);
// Appends the block of a request and its response; nothing when there is no Vary. False: don't store it (dx_vary_is_any, or a value over
// the cap). Without memory the buffer says so.
bool dx_vary_write(dx_buffer *out, const dx_fields *response, const dx_fields *request);
// Appends the names of a block, in order, with commas between: as a Vary field of the same meaning. False: the block can't be read.
bool dx_vary_names(dx_buffer *out, dx_slice block);
// Whether a request is like the one that the block was made of. A block that can't be read is like none. Takes no memory.
bool dx_vary_matches(dx_slice block, const dx_fields *request);

#endif
