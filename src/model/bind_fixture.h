// A struct with a member of each kind, for the tests of bound models and their fuzz target.
#ifndef DX_MODEL_BIND_FIXTURE_H
#define DX_MODEL_BIND_FIXTURE_H

#include "duplex/model.h"

typedef enum rich_state { RICH_OPEN, RICH_CLOSED, RICH_GONE } rich_state;
static const dx_enum_name rich_states[] = {{"open", RICH_OPEN}, {"closed", RICH_CLOSED}, {"gone", RICH_GONE}};

typedef struct point {
    int32_t x, y;
    bool has_y;
    dx_model_extra extra;
} point;
DX_MODEL(point_model, point, DX_CASE_CAMEL, DX_MEMBER(INT32, x, DX_REQUIRED), DX_MEMBER(INT32, y, DX_OPTIONAL(has_y)),
         DX_MEMBER_EXTRA(extra))

typedef struct rich {
    int64_t id;
    bool flag, has_flag, has_small, has_ratio, has_state, has_corner, has_made_at, has_code;
    int32_t small;
    uint64_t huge;
    double ratio;
    char *long_name;
    char code[4];
    char *blob_text;
    size_t blob_text_size;
    uint8_t *bytes;
    size_t byte_count;
    int64_t made_at;
    rich_state state;
    point corner;
    struct rich *parent;
    point *points;
    size_t point_count;
    int64_t *numbers;
    size_t number_count;
    char **tags;
    size_t tag_count;
    double *weights;
    size_t weight_count;
    bool *bits;
    size_t bit_count;
    dx_model_map *maps;
    size_t map_count;
    struct rich *children;
    size_t child_count;
    char *anything;
    dx_model_map labels;
    char *type;
    dx_model_extra extra;
} rich;
DX_MODEL(rich_model, rich, DX_CASE_CAMEL, DX_MEMBER(INT64, id, DX_REQUIRED), DX_MEMBER(BOOL, flag, DX_OPTIONAL(has_flag)),
         DX_MEMBER(INT32, small, DX_OPTIONAL(has_small)), DX_MEMBER(UINT64, huge, DX_PLAIN),
         DX_MEMBER(DOUBLE, ratio, DX_OPTIONAL(has_ratio)), DX_MEMBER(STRING, long_name, DX_PLAIN),
         DX_MEMBER_TEXT(code, DX_OPTIONAL(has_code)), DX_MEMBER_SIZED(blob_text, blob_text_size, DX_PLAIN),
         DX_MEMBER_BYTES(bytes, byte_count, DX_PLAIN), DX_MEMBER(TIME, made_at, DX_OPTIONAL(has_made_at)),
         DX_MEMBER_ENUM(state, rich_states, DX_OPTIONAL(has_state)), DX_MEMBER_STRUCT(corner, point_model, DX_OPTIONAL(has_corner)),
         DX_MEMBER_POINTER(parent, rich_model, DX_PLAIN), DX_MEMBER_STRUCTS(points, point_count, point_model, DX_PLAIN),
         DX_MEMBER_ARRAY(INT64, numbers, number_count, DX_PLAIN), DX_MEMBER_ARRAY(STRING, tags, tag_count, DX_PLAIN),
         DX_MEMBER_ARRAY(DOUBLE, weights, weight_count, DX_PLAIN), DX_MEMBER_ARRAY(BOOL, bits, bit_count, DX_PLAIN),
         DX_MEMBER_ARRAY(MAP, maps, map_count, DX_PLAIN), DX_MEMBER_STRUCTS(children, child_count, rich_model, DX_PLAIN),
         DX_MEMBER(JSON, anything, DX_PLAIN), DX_MEMBER(MAP, labels, DX_PLAIN), DX_MEMBER(STRING, type, DX_PLAIN_AS("@type")),
         DX_MEMBER_EXTRA(extra))

#endif
