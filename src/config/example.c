// What a setting looks like that is right: the first of the `examples` that its schema gives, for findings about a value of the wrong kind
// or form. A schema is found by the path of the value, through properties, items and local references; alternatives are not entered.
#include "codec/text.h"
#include "config/parts.h"

enum { HOPS_CAP = 16, TEXT_CAP = 512 };

static yyjson_val *referred(const dx_definition *definition, yyjson_val *schema) {
    for (unsigned hops = 0; hops < HOPS_CAP; hops++) {
        dx_slice text = dx_json_member_slice(schema, "$ref");
        if (text.size == 0 || text.data[0] != '#') break;
        schema = dx_json_at(definition->schema, dx_slice_from(text, 1));
    }
    return schema;
}

static yyjson_val *schema_of_member(yyjson_val *schema, dx_slice name) {
    yyjson_val *properties = yyjson_obj_get(schema, "properties"), *found = NULL;
    if (properties) found = yyjson_obj_getn(properties, name.data, name.size);
    if (!found) found = yyjson_obj_get(schema, "additionalProperties");
    return yyjson_is_obj(found) ? found : yyjson_obj_get(schema, "items");
}

// NULL when the path leads nowhere. No name of a setting in a schema has a "/" or "~", so tokens are compared as they stand.
static yyjson_val *schema_at(const dx_definition *definition, dx_slice pointer) {
    yyjson_val *schema = referred(definition, definition->schema);
    while (schema && pointer.size) {
        dx_slice rest = dx_slice_from(pointer, 1);
        size_t end = dx_slice_find(rest, '/');
        dx_slice name = dx_slice_of(rest.data, end < rest.size ? end : rest.size);
        schema = referred(definition, schema_of_member(schema, name));
        pointer = dx_slice_from(rest, name.size);
    }
    return schema;
}

dx_slice dx_definition_example(const dx_definition *definition, dx_slice pointer, bool of_name, dx_arena *arena) {
    yyjson_val *schema = schema_at(definition, of_name ? dx_pointer_parent(pointer) : pointer);
    if (of_name) schema = yyjson_obj_get(schema, "propertyNames");
    yyjson_val *example = yyjson_arr_get_first(yyjson_obj_get(schema, "examples"));
    if (!example) return (dx_slice){NULL, 0};
    dx_buffer text;
    dx_buffer_init(&text, NULL, TEXT_CAP);
    dx_json_write_value(&text, example);
    dx_slice said =
        dx_buffer_status(&text) != DX_OK ? (dx_slice){NULL, 0} : dx_arena_printf(arena, "write %.*s", DX_SLICE_ARG(dx_buffer_slice(&text)));
    dx_buffer_deinit(&text);
    return said;
}
