// From a model to fields and columns: every top-level property becomes a column of a real type. What a property may hold is worked out as a
// set of JSON types, narrowed by `type`, `const`, `enum`, local references, `allOf` and the branches of `anyOf` and `oneOf`; what is not
// one simple type is kept as JSON text. Whether a value is right is never decided here: that is the compiled schema's.
#include <ctype.h>

#include "codec/text.h"
#include "resource/load.h"

enum {
    TYPE_NULL = 1,
    TYPE_BOOLEAN = 2,
    TYPE_INTEGER = 4,
    TYPE_FRACTION = 8,
    TYPE_STRING = 16,
    TYPE_ARRAY = 32,
    TYPE_OBJECT = 64,
    TYPE_ALL = 127
};

#define WALK_DEPTH_CAP 16

// Where references of a model start: the definition, or the model itself when it has an $id.
typedef struct shape_walk {
    yyjson_val *base;
    unsigned types;
    dx_slice format;
    bool read_only, write_only;
    yyjson_val *default_value;
} shape_walk;

// A property as it is gathered: it may stand in several schemas of an allOf.
typedef struct property {
    dx_slice name;
    yyjson_val *schema; // the first
    shape_walk shape;
    bool required;
} property;

typedef struct properties {
    property *items;
    size_t count;
    dx_map names;
    yyjson_val *base;
    unsigned types;   // of the model itself
    dx_slice missing; // required, but no property; the last one found
    bool overflow, no_memory;
} properties;

static unsigned type_of_name(dx_slice name) {
    static const struct {
        const char *name;
        unsigned types;
    } known[] = {{"null", TYPE_NULL},     {"boolean", TYPE_BOOLEAN}, {"integer", TYPE_INTEGER}, {"number", TYPE_INTEGER | TYPE_FRACTION},
                 {"string", TYPE_STRING}, {"array", TYPE_ARRAY},     {"object", TYPE_OBJECT}};
    for (size_t i = 0; i < DX_COUNT_OF(known); i++)
        if (dx_slice_equal(name, dx_slice_str(known[i].name))) return known[i].types;
    return TYPE_ALL; // compiling the schema complains of it
}

static unsigned type_of_value(yyjson_val *value) {
    return type_of_name(dx_slice_str(dx_json_type_name(value)));
}

static unsigned types_of_keyword(yyjson_val *type) {
    if (yyjson_is_str(type)) return type_of_name(dx_json_slice(type));
    if (!yyjson_is_arr(type)) return TYPE_ALL;
    unsigned types = 0;
    size_t i, max;
    yyjson_val *item;
    yyjson_arr_foreach(type, i, max, item) types |= type_of_name(dx_json_slice(item));
    return types;
}

static unsigned types_of_enum(yyjson_val *values) {
    if (!yyjson_is_arr(values)) return TYPE_ALL;
    unsigned types = 0;
    size_t i, max;
    yyjson_val *item;
    yyjson_arr_foreach(values, i, max, item) types |= type_of_value(item);
    return types;
}

// The schema that a local reference names; NULL when it is no pointer into this document.
static yyjson_val *local_target(yyjson_val *base, yyjson_val *schema) {
    dx_slice ref = dx_json_member_slice(schema, "$ref");
    if (ref.size == 0 || ref.data[0] != '#' || (ref.size > 1 && ref.data[1] != '/')) return NULL;
    return dx_json_at(base, dx_slice_from(ref, 1));
}

static void shape_read(shape_walk *walk, yyjson_val *schema, int depth);

static void shape_read_branches(shape_walk *walk, yyjson_val *branches, int depth) {
    if (!yyjson_is_arr(branches)) return;
    unsigned types = 0;
    dx_slice format = {0};
    bool one_format = true;
    size_t i, max;
    yyjson_val *branch;
    yyjson_arr_foreach(branches, i, max, branch) {
        shape_walk inner = {.base = walk->base, .types = TYPE_ALL};
        shape_read(&inner, branch, depth + 1);
        types |= inner.types;
        if (inner.types == TYPE_NULL) continue;
        if (format.data && !dx_slice_equal(format, inner.format)) one_format = false;
        if (!format.data) format = inner.format.data ? inner.format : DX_SLICE("");
    }
    walk->types &= types;
    if (one_format && format.size && !walk->format.size) walk->format = format;
}

static void shape_read(shape_walk *walk, yyjson_val *schema, int depth) {
    if (yyjson_is_false(schema)) walk->types = 0;
    if (!yyjson_is_obj(schema) || depth > WALK_DEPTH_CAP) return;
    yyjson_val *value;
    if ((value = yyjson_obj_get(schema, "type"))) walk->types &= types_of_keyword(value);
    if ((value = yyjson_obj_get(schema, "const"))) walk->types &= type_of_value(value);
    if ((value = yyjson_obj_get(schema, "enum"))) walk->types &= types_of_enum(value);
    if (!walk->format.size) walk->format = dx_json_member_slice(schema, "format");
    if (yyjson_is_true(yyjson_obj_get(schema, "readOnly"))) walk->read_only = true;
    if (yyjson_is_true(yyjson_obj_get(schema, "writeOnly"))) walk->write_only = true;
    if (!walk->default_value) walk->default_value = yyjson_obj_get(schema, "default");
    if ((value = local_target(walk->base, schema))) shape_read(walk, value, depth + 1);
    if ((value = yyjson_obj_get(schema, "allOf")) && yyjson_is_arr(value)) {
        size_t i, max;
        yyjson_val *item;
        yyjson_arr_foreach(value, i, max, item) shape_read(walk, item, depth + 1);
    }
    shape_read_branches(walk, yyjson_obj_get(schema, "anyOf"), depth);
    shape_read_branches(walk, yyjson_obj_get(schema, "oneOf"), depth);
}

static property *property_named(properties *all, dx_arena *arena, dx_slice name) {
    property *found = dx_map_get(&all->names, name);
    if (found) return found;
    if (all->count == DX_RESOURCE_FIELDS_CAP) {
        all->overflow = true;
        return NULL;
    }
    if (!all->items) all->items = DX_ARENA_ARRAY(arena, property, DX_RESOURCE_FIELDS_CAP);
    if (!all->items) {
        all->no_memory = true;
        return NULL;
    }
    found = &all->items[all->count];
    *found = (property){.name = name, .shape = {.base = all->base, .types = TYPE_ALL}};
    if (dx_map_put(&all->names, name, found)) all->no_memory = true;
    all->count++;
    return found;
}

static void gather(properties *all, dx_arena *arena, yyjson_val *schema, int depth) {
    if (!yyjson_is_obj(schema) || depth > WALK_DEPTH_CAP) return;
    yyjson_val *type = yyjson_obj_get(schema, "type"), *key, *value, *target;
    if (type) all->types &= types_of_keyword(type);
    if ((target = local_target(all->base, schema))) gather(all, arena, target, depth + 1);
    size_t i, max;
    yyjson_val *parts = yyjson_obj_get(schema, "allOf");
    if (yyjson_is_arr(parts)) yyjson_arr_foreach(parts, i, max, value) gather(all, arena, value, depth + 1);
    yyjson_obj_foreach(yyjson_obj_get(schema, "properties"), i, max, key, value) {
        property *p = property_named(all, arena, dx_json_slice(key));
        if (!p) return;
        if (!p->schema) p->schema = value;
        shape_read(&p->shape, value, 0);
    }
}

static void gather_required(properties *all, yyjson_val *schema, int depth) {
    if (!yyjson_is_obj(schema) || depth > WALK_DEPTH_CAP) return;
    size_t i, max;
    yyjson_val *item, *target = local_target(all->base, schema), *required = yyjson_obj_get(schema, "required");
    if (target) gather_required(all, target, depth + 1);
    yyjson_val *parts = yyjson_obj_get(schema, "allOf");
    if (yyjson_is_arr(parts)) yyjson_arr_foreach(parts, i, max, item) gather_required(all, item, depth + 1);
    if (!yyjson_is_arr(required)) return;
    yyjson_arr_foreach(required, i, max, item) {
        property *p = dx_map_get(&all->names, dx_json_slice(item));
        if (p)
            p->required = true;
        else if (yyjson_is_str(item))
            all->missing = dx_json_slice(item);
    }
}

static dx_column_type column_type(const shape_walk *shape) {
    switch (shape->types & ~(unsigned)TYPE_NULL) {
    case TYPE_BOOLEAN:
        return DX_COLUMN_BOOLEAN;
    case TYPE_INTEGER:
        return DX_COLUMN_INTEGER;
    case TYPE_FRACTION:
    case TYPE_INTEGER | TYPE_FRACTION:
        return DX_COLUMN_NUMBER;
    case TYPE_STRING:
        return dx_slice_equal(shape->format, DX_SLICE("date-time")) ? DX_COLUMN_TIMESTAMP : DX_COLUMN_TEXT;
    default:
        return DX_COLUMN_JSON;
    }
}

static bool name_is_fit(dx_slice name) {
    if (name.size == 0 || name.size > DX_COLUMN_NAME_CAP || isdigit((unsigned char)name.data[0])) return false;
    for (size_t i = 0; i < name.size; i++)
        if (!isalnum((unsigned char)name.data[i]) && name.data[i] != '_') return false;
    return true;
}

// --- the resource's own ------------------------------------------------------------------------------------------------------

static void column_add(dx_draft *draft, dx_slice name, dx_column_type type, bool required) {
    draft->columns[draft->resource->table.column_count++] = (dx_column){.name = name, .type = type, .required = required};
}

static dx_resource_field *field_add(dx_draft *draft, dx_slice name, dx_column_type type, bool required) {
    dx_resource_field *field = &draft->fields[draft->resource->field_count++];
    *field = (dx_resource_field){.name = name, .column = draft->resource->table.column_count, .type = type, .required = required};
    column_add(draft, name, type, required);
    return field;
}

// One that the server fills. A model may describe it too: then it must be of the same kind and not be asked of clients.
static int16_t own_add(dx_loading *loading, dx_draft *draft, properties *all, dx_slice name, dx_column_type type) {
    dx_resource_field *field = field_add(draft, name, type, true);
    field->read_only = true;
    property *described = dx_map_get(&all->names, name);
    if (!described) return (int16_t)field->column;
    field->schema = described->schema;
    unsigned need = type == DX_COLUMN_INTEGER ? TYPE_INTEGER : TYPE_STRING;
    if (!(described->shape.types & need))
        dx_loading_complain(loading, draft->resource->pointer, "model", "the model's \"%.*s\" must be %s, as the server's own is",
                            DX_SLICE_ARG(name), need == TYPE_INTEGER ? "an integer" : "a string");
    if (described->required)
        dx_loading_complain(loading, draft->resource->pointer, "model",
                            "the model requires \"%.*s\", which the server sets itself: take it out of \"required\"", DX_SLICE_ARG(name));
    return (int16_t)field->column;
}

static void property_add(dx_loading *loading, dx_draft *draft, const property *p) {
    if (!name_is_fit(p->name)) {
        dx_loading_complain(loading, draft->resource->pointer, "model",
                            "the model's property \"%.*s\" can't be a column: expected letters, digits and underscores, at most %d of them",
                            DX_SLICE_ARG(p->name), DX_COLUMN_NAME_CAP);
        return;
    }
    bool nullable = (p->shape.types & TYPE_NULL) != 0;
    dx_resource_field *field = field_add(draft, p->name, column_type(&p->shape), p->required && !nullable);
    field->required = p->required;
    field->nullable = nullable;
    field->read_only = p->shape.read_only;
    field->write_only = p->shape.write_only;
    field->schema = p->schema;
    field->default_value = p->shape.default_value;
    if (p->required && p->shape.read_only && !p->shape.default_value)
        dx_loading_complain(
            loading, draft->resource->pointer, "model",
            "the model requires \"%.*s\" and makes it readOnly: nobody could set it; give it a default or drop one of the two",
            DX_SLICE_ARG(p->name));
}

static bool is_own(const dx_resource *resource, dx_slice name) {
    return dx_slice_equal(name, DX_SLICE("id")) || dx_slice_equal(name, DX_SLICE("created_at")) ||
           dx_slice_equal(name, DX_SLICE("updated_at")) || (resource->owned && dx_slice_equal(name, DX_SLICE("owner_id")));
}

// Stores fold the case of column names, so two that differ in nothing else collide.
static void check_names(dx_loading *loading, dx_draft *draft) {
    dx_map seen;
    dx_map_init(&seen, loading->scratch);
    for (uint16_t i = 0; i < draft->resource->table.column_count && loading->status == DX_OK; i++) {
        dx_slice name = draft->columns[i].name;
        char *lower = dx_arena_bytes(loading->scratch, name.size);
        if (!lower) {
            loading->status = DX_NO_MEMORY;
            return;
        }
        for (size_t at = 0; at < name.size; at++) lower[at] = (char)tolower((unsigned char)name.data[at]);
        dx_slice key = {lower, name.size};
        if (dx_map_get(&seen, key))
            dx_loading_complain(
                loading, draft->resource->pointer, "model",
                "the property \"%.*s\" collides with another column (case does not tell columns apart, and \"_version\" and "
                "deleted_at of a soft_delete resource are the server's)",
                DX_SLICE_ARG(name));
        else if (dx_map_put(&seen, key, &draft->columns[i]))
            loading->status = DX_NO_MEMORY;
    }
}

static bool draft_allocate(dx_draft *draft, dx_arena *arena, size_t count) {
    draft->fields = DX_ARENA_ARRAY(arena, dx_resource_field, count);
    draft->columns = DX_ARENA_ARRAY(arena, dx_column, count);
    draft->resource->fields = draft->fields;
    draft->resource->table.columns = draft->columns;
    return draft->fields && draft->columns;
}

static bool names_put(dx_draft *draft, dx_arena *arena) {
    dx_map_init(&draft->resource->field_names, arena);
    for (uint16_t i = 0; i < draft->resource->field_count; i++)
        if (dx_map_put(&draft->resource->field_names, draft->fields[i].name, &draft->fields[i])) return false;
    return true;
}

// JSON Schema allows it; but a row can't have a field without a column, so none could ever be created.
static void complain_of_missing(dx_loading *loading, dx_draft *draft, const properties *all) {
    bool own = is_own(draft->resource, all->missing);
    dx_diag *diag =
        dx_loading_complain(loading, draft->resource->pointer, "model", "the model requires \"%.*s\", %s", DX_SLICE_ARG(all->missing),
                            own ? "which the server sets itself: take it out of \"required\"" : "which is none of its properties");
    if (!own) dx_diag_suggest(loading->diags, diag, dx_map_nearest(&all->names, all->missing));
}

void dx_draft_fields(dx_loading *loading, dx_draft *draft) {
    dx_resource *resource = draft->resource;
    properties all = {.types = TYPE_ALL, .base = yyjson_obj_get(resource->model, "$id") ? resource->model : loading->root};
    dx_arena_reset(loading->scratch);
    dx_map_init(&all.names, loading->scratch);
    gather(&all, loading->scratch, resource->model, 0);
    gather_required(&all, resource->model, 0);
    if (!(all.types & TYPE_OBJECT))
        dx_loading_complain(loading, resource->pointer, "model", "expected a model of objects: rows have fields");
    else if (all.count == 0)
        dx_loading_complain(loading, resource->pointer, "model", "the model has no \"properties\", so its rows would have no fields");
    if (all.missing.size) complain_of_missing(loading, draft, &all);
    if (all.overflow)
        dx_loading_complain(loading, resource->pointer, "model", "the model has more than %d properties", DX_RESOURCE_FIELDS_CAP);
    if (all.no_memory || !draft_allocate(draft, loading->arena, all.count + 6)) {
        loading->status = DX_NO_MEMORY;
        return;
    }
    own_add(loading, draft, &all, DX_SLICE("id"), resource->text_id ? DX_COLUMN_TEXT : DX_COLUMN_INTEGER);
    for (size_t i = 0; i < all.count; i++)
        if (!is_own(resource, all.items[i].name)) property_add(loading, draft, &all.items[i]);
    resource->owner_column = resource->owned ? own_add(loading, draft, &all, DX_SLICE("owner_id"), DX_COLUMN_INTEGER) : -1;
    resource->created_column = own_add(loading, draft, &all, DX_SLICE("created_at"), DX_COLUMN_TIMESTAMP);
    resource->updated_column = own_add(loading, draft, &all, DX_SLICE("updated_at"), DX_COLUMN_TIMESTAMP);
    resource->deleted_column = resource->soft_delete ? (int16_t)resource->table.column_count : -1;
    if (resource->soft_delete) column_add(draft, DX_SLICE("deleted_at"), DX_COLUMN_TIMESTAMP, false);
    if (resource->soft_delete) resource->table.unique_while_null = (uint16_t)resource->deleted_column;
    resource->version_column = (int16_t)resource->table.column_count;
    column_add(draft, DX_SLICE("_version"), DX_COLUMN_INTEGER, true);
    draft->columns[resource->version_column].fallback = DX_INT_VALUE(1);
    if (!names_put(draft, loading->arena)) loading->status = DX_NO_MEMORY;
    check_names(loading, draft);
}
