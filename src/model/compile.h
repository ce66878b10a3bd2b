// What the compilers of keywords share: a compilation under way, its findings, and nodes for the schemas they meet.
#ifndef DX_MODEL_COMPILE_H
#define DX_MODEL_COMPILE_H

#include "model/set.h"

typedef struct dx_build {
    dx_schema_set *set;
    dx_diags *diags;
    dx_status status; // DX_OK, or why it failed; the first reason stays
    dx_node **queue;  // nodes made in this run, in order; those behind `done` wait for their keywords to be read
    size_t done, made, room;
    const dx_node *node; // the one under way
    dx_slice keyword;    // likewise
    bool added_dynamic;
} dx_build;

void dx_build_fail(dx_build *build, dx_status status);
// A finding against the keyword under way.
void dx_build_complain(dx_build *build, const char *format, ...) DX_PRINTF(2, 3);
// The node of the schema `value` that stands at `token` below the keyword under way (at the keyword itself when token.data is NULL). NULL
// only when out of memory, which is noted.
const dx_node *dx_build_child(dx_build *build, yyjson_val *value, dx_slice token);
const dx_node *dx_build_item(dx_build *build, yyjson_val *value, size_t index);
// The node at a place that a reference leads to.
const dx_node *dx_build_at(dx_build *build, yyjson_val *value, const dx_resource_root *root, const dx_place *place);
// Zeroed memory of the set, or NULL with the failure noted.
void *dx_build_alloc(dx_build *build, size_t count, size_t size);
// The schemas of an array keyword.
dx_node_list dx_build_list(dx_build *build, yyjson_val *value);
// A non-negative whole number (2.0 is one); complains otherwise.
bool dx_build_count(dx_build *build, yyjson_val *value, uint64_t *out);
// A pattern, made once for each text.
const dx_pattern *dx_build_pattern(dx_build *build, dx_slice text);

// The node's rules of each kind, made when first asked for. NULL only when out of memory, which is noted.
dx_number_rules *dx_node_number(dx_build *build, dx_node *node);
dx_string_rules *dx_node_string(dx_build *build, dx_node *node);
dx_array_rules *dx_node_array(dx_build *build, dx_node *node);
dx_object_rules *dx_node_object(dx_build *build, dx_node *node);
dx_logic_rules *dx_node_logic(dx_build *build, dx_node *node);

// `properties` and `required` meet in one table of names: compile_object.c, once all keywords of a node are read.
void dx_object_finish(dx_build *build, dx_node *node);

#endif
