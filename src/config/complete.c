// Completing a definition by its schema: a member that is missing gets its `default`, on all levels, and a string that is exactly one
// variable becomes the number or boolean that the schema asks for. Defaults come from `properties`, `additionalProperties`, `items`,
// `allOf` and local references; alternatives (anyOf, oneOf, if) give none, as it is open which of them is meant. What is absent and has no
// default of its own stays absent, whatever defaults it would have inside: a section may turn something on by being there.
#include "codec/text.h"
#include "config/parts.h"

enum { HOPS_CAP = 16, WANTS_STRING = 1, WANTS_NUMBER = 2, WANTS_BOOLEAN = 4, WANTS_ALL = 7 };

typedef struct completion {
    dx_definition *definition;
    yyjson_mut_doc *out;
    dx_buffer at;
    unsigned depth;
    dx_status status;
} completion;

static void complete(completion *c, yyjson_mut_val *value, yyjson_val *schema);

// What a local reference leads to; NULL when there is nothing to say.
static yyjson_val *referred(const completion *c, yyjson_val *schema) {
    dx_slice text = dx_json_member_slice(schema, "$ref");
    return text.size && text.data[0] == '#' ? dx_json_at(c->definition->schema, dx_slice_of(text.data + 1, text.size - 1)) : NULL;
}

static unsigned wants_of_name(yyjson_val *name) {
    dx_slice text = dx_json_slice(name);
    if (dx_slice_equal(text, DX_SLICE("string"))) return WANTS_STRING;
    if (dx_slice_equal(text, DX_SLICE("boolean"))) return WANTS_BOOLEAN;
    return dx_slice_equal(text, DX_SLICE("integer")) || dx_slice_equal(text, DX_SLICE("number")) ? WANTS_NUMBER : 0;
}

static unsigned wants_of_value(yyjson_val *value) {
    return yyjson_is_str(value) ? WANTS_STRING : yyjson_is_num(value) ? WANTS_NUMBER : yyjson_is_bool(value) ? WANTS_BOOLEAN : 0;
}

static unsigned wants(const completion *c, yyjson_val *schema, int hops);

static unsigned wants_of_any(const completion *c, yyjson_val *list, int hops) {
    unsigned all = 0;
    size_t index, count;
    yyjson_val *item;
    if (!yyjson_is_arr(list)) return WANTS_ALL;
    yyjson_arr_foreach(list, index, count, item) all |= wants(c, item, hops);
    return all;
}

// Which scalars a schema takes.
static unsigned wants(const completion *c, yyjson_val *schema, int hops) {
    unsigned all = WANTS_ALL, one = 0;
    size_t index, count;
    yyjson_val *item, *type = yyjson_obj_get(schema, "type"), *values = yyjson_obj_get(schema, "enum");
    if (hops > HOPS_CAP || !yyjson_is_obj(schema)) return WANTS_ALL;
    if (yyjson_is_str(type)) all &= wants_of_name(type);
    if (yyjson_is_arr(type)) {
        yyjson_arr_foreach(type, index, count, item) one |= wants_of_name(item);
        all &= one;
    }
    if (yyjson_is_arr(values)) {
        one = 0;
        yyjson_arr_foreach(values, index, count, item) one |= wants_of_value(item);
        all &= one;
    }
    if (referred(c, schema)) all &= wants(c, referred(c, schema), hops + 1);
    yyjson_arr_foreach(yyjson_obj_get(schema, "allOf"), index, count, item) all &= wants(c, item, hops + 1);
    all &= wants_of_any(c, yyjson_obj_get(schema, "anyOf"), hops + 1);
    return all & wants_of_any(c, yyjson_obj_get(schema, "oneOf"), hops + 1);
}

static void set_number(completion *c, yyjson_mut_val *value, dx_slice text) {
    yyjson_doc *document;
    dx_status status = dx_json_read(&document, c->definition->work, text, NULL, NULL);
    if (status == DX_NO_MEMORY) c->status = status;
    yyjson_val *number = status == DX_OK ? yyjson_doc_get_root(document) : NULL;
    if (yyjson_is_uint(number))
        yyjson_mut_set_uint(value, yyjson_get_uint(number));
    else if (yyjson_is_sint(number))
        yyjson_mut_set_sint(value, yyjson_get_sint(number));
    else if (yyjson_is_real(number))
        yyjson_mut_set_real(value, yyjson_get_real(number));
}

static void convert(completion *c, yyjson_mut_val *value, yyjson_val *schema) {
    if (!c->definition->taints.count || dx_taint_at(c->definition, dx_path_slice(&c->at)) != DX_TAINT_WHOLE) return;
    unsigned wanted = wants(c, schema, 0);
    dx_slice text = {yyjson_mut_get_str(value), yyjson_mut_get_len(value)};
    if (wanted & WANTS_STRING) return;
    if ((wanted & WANTS_BOOLEAN) && dx_slice_equal(text, DX_SLICE("true")))
        yyjson_mut_set_bool(value, true);
    else if ((wanted & WANTS_BOOLEAN) && dx_slice_equal(text, DX_SLICE("false")))
        yyjson_mut_set_bool(value, false);
    else if ((wanted & WANTS_NUMBER) && text.size)
        set_number(c, value, text);
}

static void add_default(completion *c, yyjson_mut_val *value, dx_slice name, yyjson_val *given) {
    yyjson_mut_val *key = yyjson_mut_strn(c->out, name.data, name.size), *copy = yyjson_val_mut_copy(c->out, given);
    if (!key || !copy || !yyjson_mut_obj_add(value, key, copy)) c->status = DX_NO_MEMORY;
}

static yyjson_mut_val *member(yyjson_mut_val *object, dx_slice name) {
    return yyjson_mut_obj_getn(object, name.data ? name.data : "", name.size);
}

static void complete_object(completion *c, yyjson_mut_val *value, yyjson_val *schema) {
    yyjson_val *properties = yyjson_obj_get(schema, "properties"), *others = yyjson_obj_get(schema, "additionalProperties");
    size_t index, count;
    yyjson_val *key, *inner;
    yyjson_obj_foreach(properties, index, count, key, inner) {
        yyjson_val *given = yyjson_obj_get(inner, "default");
        if (given && !member(value, dx_json_slice(key))) add_default(c, value, dx_json_slice(key), given);
    }
    yyjson_mut_val *name, *present;
    yyjson_mut_obj_foreach(value, index, count, name, present) {
        dx_slice text = {yyjson_mut_get_str(name), yyjson_mut_get_len(name)};
        inner = yyjson_obj_getn(properties, text.data, text.size);
        if (!inner) inner = others;
        if (!yyjson_is_obj(inner)) continue;
        size_t before = dx_path_enter(&c->at, text);
        complete(c, present, inner);
        c->at.size = before;
    }
}

static void complete_array(completion *c, yyjson_mut_val *value, yyjson_val *schema) {
    yyjson_val *items = yyjson_obj_get(schema, "items"), *prefix = yyjson_obj_get(schema, "prefixItems");
    size_t index, count, first = yyjson_arr_size(prefix);
    yyjson_mut_val *item;
    yyjson_mut_arr_foreach(value, index, count, item) {
        yyjson_val *inner = index < first ? yyjson_arr_get(prefix, index) : items;
        if (!yyjson_is_obj(inner)) continue;
        size_t before = dx_path_enter_index(&c->at, index);
        complete(c, item, inner);
        c->at.size = before;
    }
}

static void complete(completion *c, yyjson_mut_val *value, yyjson_val *schema) {
    size_t index, count;
    yyjson_val *inner;
    if (c->status != DX_OK || c->depth > DX_JSON_DEPTH_CAP * 4) return;
    c->depth++;
    if (referred(c, schema)) complete(c, value, referred(c, schema));
    yyjson_arr_foreach(yyjson_obj_get(schema, "allOf"), index, count, inner) complete(c, value, inner);
    if (yyjson_mut_is_obj(value))
        complete_object(c, value, schema);
    else if (yyjson_mut_is_arr(value))
        complete_array(c, value, schema);
    else if (yyjson_mut_is_str(value))
        convert(c, value, schema);
    c->depth--;
}

dx_status dx_definition_complete(dx_definition *definition) {
    completion c = {.definition = definition, .out = definition->building};
    dx_buffer_init(&c.at, definition->work, DX_DEFINITION_BYTES_CAP);
    complete(&c, definition->built, definition->schema);
    return c.status == DX_OK && dx_buffer_status(&c.at) != DX_OK ? DX_NO_MEMORY : c.status;
}
