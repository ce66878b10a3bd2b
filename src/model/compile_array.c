// Keywords about arrays.
#include "model/compile_keywords.h"

void dx_compile_min_items(dx_build *build, dx_node *node, yyjson_val *value) {
    dx_array_rules *rules = dx_node_array(build, node);
    if (rules) dx_build_count(build, value, &rules->min_items);
}

void dx_compile_max_items(dx_build *build, dx_node *node, yyjson_val *value) {
    dx_array_rules *rules = dx_node_array(build, node);
    if (rules) dx_build_count(build, value, &rules->max_items);
}

void dx_compile_unique_items(dx_build *build, dx_node *node, yyjson_val *value) {
    dx_array_rules *rules = dx_node_array(build, node);
    if (!yyjson_is_bool(value)) dx_build_complain(build, "must be true or false");
    if (rules) rules->unique = yyjson_is_true(value);
}

void dx_compile_min_contains(dx_build *build, dx_node *node, yyjson_val *value) {
    dx_array_rules *rules = dx_node_array(build, node);
    if (rules) dx_build_count(build, value, &rules->min_contains);
}

void dx_compile_max_contains(dx_build *build, dx_node *node, yyjson_val *value) {
    dx_array_rules *rules = dx_node_array(build, node);
    if (rules) dx_build_count(build, value, &rules->max_contains);
}

void dx_compile_prefix_items(dx_build *build, dx_node *node, yyjson_val *value) {
    dx_array_rules *rules = dx_node_array(build, node);
    dx_node_list list = dx_build_list(build, value);
    if (!rules) return;
    rules->prefix = list.items;
    rules->prefix_count = list.count;
}

void dx_compile_items(dx_build *build, dx_node *node, yyjson_val *value) {
    dx_array_rules *rules = dx_node_array(build, node);
    if (rules) rules->items = dx_build_child(build, value, (dx_slice){0});
}

void dx_compile_contains(dx_build *build, dx_node *node, yyjson_val *value) {
    dx_array_rules *rules = dx_node_array(build, node);
    if (rules) rules->contains = dx_build_child(build, value, (dx_slice){0});
}

void dx_compile_unevaluated_items(dx_build *build, dx_node *node, yyjson_val *value) {
    dx_array_rules *rules = dx_node_array(build, node);
    if (rules) rules->unevaluated = dx_build_child(build, value, (dx_slice){0});
}
