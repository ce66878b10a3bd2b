// JSON (RFC 8259) by yyjson, whose value types the whole project uses as they are. What this adds: arena memory, caps on size and
// depth, refusal of duplicate names, located errors, pointers (RFC 6901), and equality as JSON Schema wants it.
#ifndef DX_CODEC_JSON_H
#define DX_CODEC_JSON_H

#include <yyjson.h>

#include "base/buffer.h"
#include "base/diag.h"

#define DX_JSON_DEPTH_CAP 64   // levels of arrays and objects in a request body or a definition
#define DX_JSON_DEPTH_MAX 1024 // no option reads deeper, and nothing here writes or compares deeper

typedef struct dx_json_options {
    uint32_t depth_cap;    // 0: DX_JSON_DEPTH_CAP; more than DX_JSON_DEPTH_MAX counts as that
    bool allow_duplicates; // otherwise an object with a name twice is refused (RFC 7493 section 2.3)
} dx_json_options;

// Reads one document. The text is copied once, into the arena, and strings are read where they lie in the copy: `text` need not outlive
// the call. There is nothing to free. Errors: DX_MALFORMED with pointer, line and column in `diags` (may be NULL), DX_NO_MEMORY.
// `options` may be NULL. Strict: UTF-8 only, no comments, no trailing commas, no BOM (docs/json.md lists the open cases).
dx_status dx_json_read(yyjson_doc **out, dx_arena *arena, dx_slice text, const dx_json_options *options, dx_diags *diags) DX_MUST_USE;
// An allocator for yyjson's own functions that takes memory from the arena (freeing does nothing).
yyjson_alc dx_json_alc(dx_arena *arena);
// A mutable document in the arena; NULL without memory.
yyjson_mut_doc *dx_json_mut_doc(dx_arena *arena);

// Where in `text` the value at `pointer` starts (for an object member with `at_name`: where its name starts). False when there is no such
// value or `text` is not JSON. Runs over the text again: for error messages only. Line and column count from 1, columns in bytes.
bool dx_json_locate(dx_slice text, dx_slice pointer, bool at_name, uint32_t *line, uint32_t *column);

// RFC 6901. NULL when there is no such value or the pointer is not well-formed.
yyjson_val *dx_json_at(yyjson_val *root, dx_slice pointer);
// `base` + "/" + escaped `token`, in the arena.
dx_slice dx_json_pointer_join(dx_arena *arena, dx_slice base, dx_slice token);
dx_slice dx_json_pointer_index(dx_arena *arena, dx_slice base, size_t index);

static inline dx_slice dx_json_slice(const yyjson_val *text) { // of a string; empty for other types
    const char *data = yyjson_get_str((yyjson_val *)text);
    return (dx_slice){data, data ? yyjson_get_len((yyjson_val *)text) : 0}; // arrays and objects have a length, too
}
static inline dx_slice dx_json_member_slice(yyjson_val *object, const char *name) {
    return dx_json_slice(yyjson_obj_get(object, name));
}

// Equal as JSON Schema compares: 1 and 1.0 are equal, members in any order, integers exact to 64 bits.
bool dx_json_equal(yyjson_val *a, yyjson_val *b);
// "null" "boolean" "integer" "number" "string" "array" "object"; 1.0 is an "integer" (JSON Schema 2020-12, section 6.1.1).
const char *dx_json_type_name(yyjson_val *value);

// Writing straight into a buffer, for rows and messages that never become a tree. The caller writes the punctuation.
void dx_json_write_string(dx_buffer *buffer, dx_slice utf8);    // quoted and escaped; malformed UTF-8 becomes U+FFFD
void dx_json_write_number(dx_buffer *buffer, double value);     // shortest form that reads back the same; NaN and infinities: null
void dx_json_write_value(dx_buffer *buffer, yyjson_val *value); // compact
void dx_json_write_mut(dx_buffer *buffer, const yyjson_mut_val *value, bool pretty);

// The canonical form (RFC 8785, JCS): the bytes that are signed. Numbers are doubles written as ECMAScript does; an integer that no double
// is, is refused and not rounded. Errors: DX_INVALID (such an integer, a name twice, no value at all), DX_TOO_LARGE (the buffer's cap, more
// than DX_JSON_DEPTH_CAP levels), DX_NO_MEMORY. On an error the buffer holds a part.
dx_status dx_json_write_canonical(dx_buffer *buffer, dx_arena *scratch, yyjson_val *value) DX_MUST_USE;

#endif
