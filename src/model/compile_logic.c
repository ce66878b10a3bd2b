// References, and keywords that apply schemas to the instance itself.
#include "model/compile_keywords.h"

static bool resolve(dx_build *build, const dx_node *node, yyjson_val *value, dx_target *target) {
    if (!yyjson_is_str(value)) {
        dx_build_complain(build, "must be a string");
        return false;
    }
    dx_status status = dx_set_resolve(build->set, (dx_resource_root *)node->root, dx_json_slice(value), target);
    if (status == DX_NOT_FOUND) dx_build_complain(build, "refers to \"%s\", which does not exist", yyjson_get_str(value));
    if (status == DX_OK && target->root->ambiguous)
        dx_build_complain(build, "refers to \"%s\", but more than one schema has that \"$id\"", yyjson_get_str(value));
    if (status != DX_OK && status != DX_NOT_FOUND) dx_build_fail(build, status);
    return status == DX_OK;
}

void dx_compile_ref(dx_build *build, dx_node *node, yyjson_val *value) {
    dx_target target;
    dx_logic_rules *rules = dx_node_logic(build, node);
    if (rules && resolve(build, node, value, &target)) rules->ref = dx_build_at(build, target.value, target.root, target.place);
}

// Dynamic only when it leads to a $dynamicAnchor at first; otherwise it is a plain $ref (core, section 8.2.3.2).
void dx_compile_dynamic_ref(dx_build *build, dx_node *node, yyjson_val *value) {
    dx_target target;
    dx_logic_rules *rules = dx_node_logic(build, node);
    if (!rules || !resolve(build, node, value, &target)) return;
    rules->dynamic_ref = dx_build_at(build, target.value, target.root, target.place);
    if (!target.anchor || !target.anchor->dynamic) return;
    dx_dynamic_name *name = dx_map_get(&build->set->dynamics, target.anchor_name);
    if (name) name->used = true;
    rules->scoped = name;
}

void dx_compile_id(dx_build *build, dx_node *node, yyjson_val *value) {
    (void)node;
    size_t hash = yyjson_is_str(value) ? dx_slice_find(dx_json_slice(value), '#') : 0;
    if (!yyjson_is_str(value) || (hash != SIZE_MAX && hash + 1 != yyjson_get_len(value)))
        dx_build_complain(build, "must be a URI without a fragment");
}

void dx_compile_anchor(dx_build *build, dx_node *node, yyjson_val *value) {
    (void)node;
    dx_slice name = dx_json_slice(value);
    bool valid = name.size > 0;
    for (size_t i = 0; i < name.size && valid; i++) {
        char c = name.data[i], lower = (char)(c | 0x20);
        bool start = (lower >= 'a' && lower <= 'z') || c == '_';
        valid = start || (i > 0 && ((c >= '0' && c <= '9') || c == '-' || c == '.'));
    }
    if (!valid) dx_build_complain(build, "must be a name: a letter or \"_\", then letters, digits, \"-\", \"_\" and \".\"");
}

// Nothing is applied, but what is wrong in a definition shall be found even where nobody refers to it yet.
void dx_compile_defs(dx_build *build, dx_node *node, yyjson_val *value) {
    (void)node;
    if (!yyjson_is_obj(value)) dx_build_complain(build, "must be an object");
    size_t index, count;
    yyjson_val *key, *schema;
    yyjson_obj_foreach(value, index, count, key, schema)(void) dx_build_child(build, schema, dx_json_slice(key));
}

void dx_compile_all_of(dx_build *build, dx_node *node, yyjson_val *value) {
    dx_logic_rules *rules = dx_node_logic(build, node);
    if (rules) rules->all_of = dx_build_list(build, value);
}

void dx_compile_any_of(dx_build *build, dx_node *node, yyjson_val *value) {
    dx_logic_rules *rules = dx_node_logic(build, node);
    if (rules) rules->any_of = dx_build_list(build, value);
}

void dx_compile_one_of(dx_build *build, dx_node *node, yyjson_val *value) {
    dx_logic_rules *rules = dx_node_logic(build, node);
    if (rules) rules->one_of = dx_build_list(build, value);
}

void dx_compile_not(dx_build *build, dx_node *node, yyjson_val *value) {
    dx_logic_rules *rules = dx_node_logic(build, node);
    if (rules) rules->negated = dx_build_child(build, value, (dx_slice){0});
}

void dx_compile_if(dx_build *build, dx_node *node, yyjson_val *value) {
    dx_logic_rules *rules = dx_node_logic(build, node);
    if (rules) rules->condition = dx_build_child(build, value, (dx_slice){0});
}

void dx_compile_then(dx_build *build, dx_node *node, yyjson_val *value) {
    dx_logic_rules *rules = dx_node_logic(build, node);
    if (rules) rules->then_node = dx_build_child(build, value, (dx_slice){0});
}

void dx_compile_else(dx_build *build, dx_node *node, yyjson_val *value) {
    dx_logic_rules *rules = dx_node_logic(build, node);
    if (rules) rules->else_node = dx_build_child(build, value, (dx_slice){0});
}
