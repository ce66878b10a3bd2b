// Between reading and writing YAML: what a plain scalar is by the core schema (YAML 1.2.2 section 10.3.2).
#ifndef DX_CODEC_YAML_INTERNAL_H
#define DX_CODEC_YAML_INTERNAL_H

#include "codec/yaml.h"

typedef enum dx_yaml_kind {
    DX_YAML_STRING,
    DX_YAML_NULL,
    DX_YAML_TRUE,
    DX_YAML_FALSE,
    DX_YAML_INTEGER, // decimal
    DX_YAML_OCTAL,
    DX_YAML_HEXADECIMAL,
    DX_YAML_REAL,
    DX_YAML_NOT_FINITE, // .inf, .nan: JSON has none
} dx_yaml_kind;

dx_yaml_kind dx_yaml_kind_of(dx_slice plain);
// Sets `out` to the number that `text` of such a kind is. DX_INVALID when it is too large for 64 bits (octal, hexadecimal) or a double.
dx_status dx_yaml_number(yyjson_val *out, dx_arena *arena, dx_yaml_kind kind, dx_slice text) DX_MUST_USE;

#endif
