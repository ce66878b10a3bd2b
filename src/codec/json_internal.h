// What the JSON files of this room share and others need not see.
#ifndef DX_CODEC_JSON_INTERNAL_H
#define DX_CODEC_JSON_INTERNAL_H

#include "base/map.h"
#include "codec/json.h"

// Where a pointer's target is looked for in the text: the value; the member's name; or, of a name that stands twice, the last one.
typedef enum dx_json_place { DX_JSON_AT_VALUE, DX_JSON_AT_NAME, DX_JSON_AT_LAST_NAME } dx_json_place;
bool dx_json_find(dx_slice text, dx_slice pointer, dx_json_place place, size_t *offset);
void dx_json_line_column(dx_slice text, size_t offset, uint32_t *line, uint32_t *column);

// The members of an object by name: as they stand when few, hashed when many, so that comparing and merging large objects is not
// quadratic. Without memory for the table it is slow, not wrong.
typedef struct dx_json_index {
    yyjson_val *object;
    dx_map map;
    bool mapped;
} dx_json_index;
void dx_json_index_init(dx_json_index *index, yyjson_val *object);
yyjson_val *dx_json_index_get(const dx_json_index *index, dx_slice name); // the value, or NULL
void dx_json_index_deinit(dx_json_index *index);

// Numbers by value, whatever their representation. Both are numbers; a yyjson_mut_val may be passed as a yyjson_val.
bool dx_json_number_equal(const void *a, const void *b);

// Writes `~` as `~0` and `/` as `~1`.
void dx_json_pointer_escape(dx_buffer *buffer, dx_slice token);

#endif
