// One function a keyword, called by the table in keyword.c; see dx_keyword.compile for the contract.
#ifndef DX_MODEL_COMPILE_KEYWORDS_H
#define DX_MODEL_COMPILE_KEYWORDS_H

#include "model/compile.h"

// compile_value.c
void dx_compile_type(dx_build *build, dx_node *node, yyjson_val *value);
void dx_compile_enum(dx_build *build, dx_node *node, yyjson_val *value);
void dx_compile_const(dx_build *build, dx_node *node, yyjson_val *value);
void dx_compile_multiple_of(dx_build *build, dx_node *node, yyjson_val *value);
void dx_compile_minimum(dx_build *build, dx_node *node, yyjson_val *value);
void dx_compile_maximum(dx_build *build, dx_node *node, yyjson_val *value);
void dx_compile_exclusive_minimum(dx_build *build, dx_node *node, yyjson_val *value);
void dx_compile_exclusive_maximum(dx_build *build, dx_node *node, yyjson_val *value);
void dx_compile_min_length(dx_build *build, dx_node *node, yyjson_val *value);
void dx_compile_max_length(dx_build *build, dx_node *node, yyjson_val *value);
void dx_compile_pattern(dx_build *build, dx_node *node, yyjson_val *value);
void dx_compile_format(dx_build *build, dx_node *node, yyjson_val *value);

// compile_array.c
void dx_compile_min_items(dx_build *build, dx_node *node, yyjson_val *value);
void dx_compile_max_items(dx_build *build, dx_node *node, yyjson_val *value);
void dx_compile_unique_items(dx_build *build, dx_node *node, yyjson_val *value);
void dx_compile_min_contains(dx_build *build, dx_node *node, yyjson_val *value);
void dx_compile_max_contains(dx_build *build, dx_node *node, yyjson_val *value);
void dx_compile_prefix_items(dx_build *build, dx_node *node, yyjson_val *value);
void dx_compile_items(dx_build *build, dx_node *node, yyjson_val *value);
void dx_compile_contains(dx_build *build, dx_node *node, yyjson_val *value);
void dx_compile_unevaluated_items(dx_build *build, dx_node *node, yyjson_val *value);

// compile_object.c
void dx_compile_min_properties(dx_build *build, dx_node *node, yyjson_val *value);
void dx_compile_max_properties(dx_build *build, dx_node *node, yyjson_val *value);
void dx_compile_required(dx_build *build, dx_node *node, yyjson_val *value);
void dx_compile_dependent_required(dx_build *build, dx_node *node, yyjson_val *value);
void dx_compile_dependent_schemas(dx_build *build, dx_node *node, yyjson_val *value);
void dx_compile_properties(dx_build *build, dx_node *node, yyjson_val *value);
void dx_compile_pattern_properties(dx_build *build, dx_node *node, yyjson_val *value);
void dx_compile_additional_properties(dx_build *build, dx_node *node, yyjson_val *value);
void dx_compile_property_names(dx_build *build, dx_node *node, yyjson_val *value);
void dx_compile_unevaluated_properties(dx_build *build, dx_node *node, yyjson_val *value);

// compile_logic.c
void dx_compile_ref(dx_build *build, dx_node *node, yyjson_val *value);
void dx_compile_dynamic_ref(dx_build *build, dx_node *node, yyjson_val *value);
void dx_compile_id(dx_build *build, dx_node *node, yyjson_val *value);
void dx_compile_anchor(dx_build *build, dx_node *node, yyjson_val *value);
void dx_compile_defs(dx_build *build, dx_node *node, yyjson_val *value);
void dx_compile_all_of(dx_build *build, dx_node *node, yyjson_val *value);
void dx_compile_any_of(dx_build *build, dx_node *node, yyjson_val *value);
void dx_compile_one_of(dx_build *build, dx_node *node, yyjson_val *value);
void dx_compile_not(dx_build *build, dx_node *node, yyjson_val *value);
void dx_compile_if(dx_build *build, dx_node *node, yyjson_val *value);
void dx_compile_then(dx_build *build, dx_node *node, yyjson_val *value);
void dx_compile_else(dx_build *build, dx_node *node, yyjson_val *value);

#endif
