// Keywords about objects. `properties` and `required` end in one table of names, so that running looks each member up once.
#include "model/compile_keywords.h"

void dx_compile_min_properties(dx_build *build, dx_node *node, yyjson_val *value) {
    dx_object_rules *rules = dx_node_object(build, node);
    if (rules) dx_build_count(build, value, &rules->min_properties);
}

void dx_compile_max_properties(dx_build *build, dx_node *node, yyjson_val *value) {
    dx_object_rules *rules = dx_node_object(build, node);
    if (rules) dx_build_count(build, value, &rules->max_properties);
}

// An array of strings; complains otherwise.
static bool names_valid(dx_build *build, yyjson_val *value) {
    bool valid = yyjson_is_arr(value);
    size_t index, count;
    yyjson_val *item;
    yyjson_arr_foreach(value, index, count, item) valid = valid && yyjson_is_str(item);
    if (!valid) dx_build_complain(build, "must be an array of strings");
    return valid;
}

// An object of schemas; complains otherwise.
static bool map_valid(dx_build *build, yyjson_val *value) {
    if (yyjson_is_obj(value)) return true;
    dx_build_complain(build, "must be an object");
    return false;
}

void dx_compile_required(dx_build *build, dx_node *node, yyjson_val *value) {
    dx_object_rules *rules = dx_node_object(build, node);
    if (rules && names_valid(build, value)) rules->needed = value;
}

void dx_compile_properties(dx_build *build, dx_node *node, yyjson_val *value) {
    dx_object_rules *rules = dx_node_object(build, node);
    if (rules && map_valid(build, value)) rules->declared = value;
}

void dx_compile_pattern_properties(dx_build *build, dx_node *node, yyjson_val *value) {
    dx_object_rules *rules = dx_node_object(build, node);
    if (!rules || !map_valid(build, value)) return;
    rules->patterns = dx_build_alloc(build, yyjson_obj_size(value), sizeof *rules->patterns);
    if (!rules->patterns) return;
    size_t index, count;
    yyjson_val *key, *schema;
    yyjson_obj_foreach(value, index, count, key, schema) {
        dx_pattern_property *entry = &rules->patterns[rules->pattern_count];
        entry->pattern = dx_build_pattern(build, dx_json_slice(key));
        entry->schema = dx_build_child(build, schema, dx_json_slice(key));
        if (entry->pattern) rules->pattern_count++;
    }
}

void dx_compile_additional_properties(dx_build *build, dx_node *node, yyjson_val *value) {
    dx_object_rules *rules = dx_node_object(build, node);
    if (rules) rules->additional = dx_build_child(build, value, (dx_slice){0});
}

void dx_compile_property_names(dx_build *build, dx_node *node, yyjson_val *value) {
    dx_object_rules *rules = dx_node_object(build, node);
    if (rules) rules->property_names = dx_build_child(build, value, (dx_slice){0});
}

void dx_compile_unevaluated_properties(dx_build *build, dx_node *node, yyjson_val *value) {
    dx_object_rules *rules = dx_node_object(build, node);
    if (rules) rules->unevaluated = dx_build_child(build, value, (dx_slice){0});
}

// Room behind the dependencies that another keyword has put there already.
static dx_dependency *dependencies_grow(dx_build *build, dx_object_rules *rules, size_t more) {
    dx_dependency *all = dx_build_alloc(build, rules->dependency_count + more, sizeof *all);
    if (!all) return NULL;
    if (rules->dependency_count) memcpy(all, rules->dependencies, rules->dependency_count * sizeof *all);
    rules->dependencies = all;
    return all + rules->dependency_count;
}

void dx_compile_dependent_required(dx_build *build, dx_node *node, yyjson_val *value) {
    dx_object_rules *rules = dx_node_object(build, node);
    if (!rules || !map_valid(build, value)) return;
    dx_dependency *next = dependencies_grow(build, rules, yyjson_obj_size(value));
    size_t index, count, at, length;
    yyjson_val *key, *list, *name;
    if (!next) return;
    yyjson_obj_foreach(value, index, count, key, list) {
        if (!names_valid(build, list)) continue;
        *next = (dx_dependency){.name = dx_json_slice(key)};
        next->required = dx_build_alloc(build, yyjson_arr_size(list), sizeof *next->required);
        if (!next->required) return;
        yyjson_arr_foreach(list, at, length, name) next->required[next->required_count++] = dx_json_slice(name);
        rules->dependency_count++;
        next++;
    }
}

void dx_compile_dependent_schemas(dx_build *build, dx_node *node, yyjson_val *value) {
    dx_object_rules *rules = dx_node_object(build, node);
    if (!rules || !map_valid(build, value)) return;
    dx_dependency *next = dependencies_grow(build, rules, yyjson_obj_size(value));
    size_t index, count;
    yyjson_val *key, *schema;
    if (!next) return;
    yyjson_obj_foreach(value, index, count, key, schema) {
        *next++ = (dx_dependency){.name = dx_json_slice(key), .schema = dx_build_child(build, schema, dx_json_slice(key))};
        rules->dependency_count++;
    }
}

// The declared names, each with its schema; a name that stands twice in the document counts once, as its first.
static size_t add_declared(dx_build *build, dx_object_rules *rules, dx_slice *names, dx_map *seen) {
    size_t index, count, made = 0;
    yyjson_val *key, *schema;
    build->keyword = DX_SLICE("properties");
    yyjson_obj_foreach(rules->declared, index, count, key, schema) {
        dx_slice name = dx_json_slice(key);
        if (dx_map_get(seen, name)) continue;
        dx_property *property = &rules->properties[made];
        *property = (dx_property){.schema = dx_build_child(build, schema, name), .required = -1};
        names[made++] = name;
        if (dx_map_put(seen, name, property) != DX_OK) dx_build_fail(build, DX_NO_MEMORY);
    }
    return made;
}

static size_t add_required(dx_build *build, dx_object_rules *rules, dx_slice *names, size_t made, dx_map *seen) {
    size_t index, count;
    yyjson_val *item;
    yyjson_arr_foreach(rules->needed, index, count, item) {
        dx_slice name = dx_json_slice(item);
        dx_property *property = dx_map_get(seen, name);
        if (!property) {
            property = &rules->properties[made];
            *property = (dx_property){.required = -1};
            names[made++] = name;
            if (dx_map_put(seen, name, property) != DX_OK) dx_build_fail(build, DX_NO_MEMORY);
        }
        if (property->required >= 0) continue;
        property->required = (int32_t)rules->required_count;
        rules->required[rules->required_count++] = (uint32_t)(property - rules->properties);
    }
    return made;
}

void dx_object_finish(dx_build *build, dx_node *node) {
    dx_object_rules *rules = node->object;
    size_t room = yyjson_obj_size(rules->declared) + yyjson_arr_size(rules->needed);
    if (!room) return;
    dx_slice *names = dx_build_alloc(build, room, sizeof *names);
    rules->properties = dx_build_alloc(build, room, sizeof *rules->properties);
    rules->required = dx_build_alloc(build, yyjson_arr_size(rules->needed) + 1, sizeof *rules->required);
    if (!names || !rules->properties || !rules->required) return;
    dx_map seen;
    dx_map_init(&seen, NULL);
    size_t made = add_declared(build, rules, names, &seen);
    made = add_required(build, rules, names, made, &seen);
    dx_map_deinit(&seen);
    if (dx_names_build(&rules->names, build->set->arena, names, made) != DX_OK) dx_build_fail(build, DX_NO_MEMORY);
}
