// YAML 1.2 (core schema) as another notation of JSON: read by libyaml into yyjson's values, written block by block. What JSON has no word
// for is refused where it stands: names that are no scalars, tags of one's own, infinities, several documents, aliases to what is
// around them. Plain words are what YAML 1.2 says: `yes` and `no` are strings, 0o17 is fifteen, 017 seventeen.
#ifndef DX_CODEC_YAML_H
#define DX_CODEC_YAML_H

#include "codec/json.h"

#define DX_YAML_TEXT_CAP    ((size_t)64 << 20)
#define DX_YAML_ANCHORS_CAP 65536u  // of one document
#define DX_YAML_ALIAS_CAP   262144u // values that all aliases of a document may stand for together

// Reads one document; the result is like dx_json_read's, in the arena, with nothing to free, and `text` need not outlive the call.
// Plain scalars that are names stay as they are written (`200:` is the name "200"). Numbers over 64 bits become doubles, as in JSON.
// `options` may be NULL; `numbers_as_text` has no effect. Errors: DX_MALFORMED with line and column in `diags` (may be NULL), DX_TOO_LARGE
// over DX_YAML_TEXT_CAP, DX_NO_MEMORY. libyaml takes its passing memory from malloc(3).
dx_status dx_yaml_read(yyjson_doc **out, dx_arena *arena, dx_slice text, const dx_json_options *options, dx_diags *diags) DX_MUST_USE;

// Sets line and column of findings whose pointers lead into the document that `text` is: where the name of a member stands, or an element.
// Others stay as they are, and all of them when it can't be read. Takes memory for a reading of its own from the arena.
void dx_yaml_locate(dx_arena *arena, dx_slice text, const dx_diags *findings);

// Writes a value in block style with a newline at the end. What is a string stays one for every reader, of YAML 1.1 too (`no`, `1_000`,
// `2001-01-01` are quoted). Numbers that are kept as text (YYJSON_TYPE_RAW) are written as they are. The buffer's status becomes
// DX_TOO_LARGE over its cap and for values deeper than DX_JSON_DEPTH_MAX.
void dx_yaml_write(dx_buffer *buffer, yyjson_val *value);

#endif
