// The filters of a list as query parameters: one for each field and operator that makes sense for the field's type.
#include <stdio.h>

#include "rest/parts.h"

enum { ORDERED = 1, TEXT = 2, TRUTH = 4, JSON = 8, ANY = ORDERED | TEXT | TRUTH };

static const struct filter {
    const char *before, *behind; // of the field's name
    int kinds;
    bool list, nullable;
    const char *about;
} filters[] = {
    {"", "", ANY, false, false, "equals"},
    {"", "[ne]", ANY, false, false, "is not"},
    {"min_", "", ORDERED, false, false, "is at least"},
    {"max_", "", ORDERED, false, false, "is at most"},
    {"", "[gt]", ORDERED, false, false, "is greater than"},
    {"", "[gte]", ORDERED, false, false, "is at least"},
    {"", "[lt]", ORDERED, false, false, "is less than"},
    {"", "[lte]", ORDERED, false, false, "is at most"},
    {"", "[in]", ORDERED | TEXT, true, false, "is one of"},
    {"", "[nin]", ORDERED | TEXT, true, false, "is none of"},
    {"", "[like]", TEXT, false, false, "matches, without regard to case (* or % any run, _ any character, \\ before a plain one)"},
    {"", "[eq]", ANY, false, false, "equals"}, // only where the bare name is another parameter's
    {"", "[null]", ANY | JSON, false, true, "is null (true) or is not (false)"},
};

static int kind_of(dx_column_type type) {
    switch (type) {
    case DX_COLUMN_BOOLEAN:
        return TRUTH;
    case DX_COLUMN_INTEGER:
    case DX_COLUMN_NUMBER:
    case DX_COLUMN_TIMESTAMP:
        return ORDERED;
    case DX_COLUMN_TEXT:
        return TEXT;
    default:
        return JSON;
    }
}

static yyjson_mut_val *value_schema(yyjson_mut_doc *doc, dx_column_type type) {
    yyjson_mut_val *schema = yyjson_mut_obj(doc);
    switch (type) {
    case DX_COLUMN_BOOLEAN:
        yyjson_mut_obj_add_str(doc, schema, "type", "boolean");
        break;
    case DX_COLUMN_INTEGER:
        yyjson_mut_obj_add_str(doc, schema, "type", "integer");
        yyjson_mut_obj_add_str(doc, schema, "format", "int64");
        break;
    case DX_COLUMN_NUMBER:
        yyjson_mut_obj_add_str(doc, schema, "type", "number");
        break;
    default:
        yyjson_mut_obj_add_str(doc, schema, "type", "string");
        if (type == DX_COLUMN_TIMESTAMP) yyjson_mut_obj_add_str(doc, schema, "format", "date-time");
    }
    return schema;
}

static yyjson_mut_val *list_schema(yyjson_mut_doc *doc, yyjson_mut_val *item) {
    yyjson_mut_val *schema = yyjson_mut_obj(doc);
    yyjson_mut_obj_add_str(doc, schema, "type", "array");
    yyjson_mut_obj_add_val(doc, schema, "items", item);
    yyjson_mut_obj_add_int(doc, schema, "minItems", 1);
    yyjson_mut_obj_add_int(doc, schema, "maxItems", 100);
    return schema;
}

static bool is_parameter(dx_slice name) {
    static const dx_slice reserved[] = {DX_SLICE_INIT("page"), DX_SLICE_INIT("page_size"), DX_SLICE_INIT("cursor"), DX_SLICE_INIT("count"),
                                        DX_SLICE_INIT("sort"), DX_SLICE_INIT("fields"),    DX_SLICE_INIT("expand")};
    for (size_t i = 0; i < DX_COUNT_OF(reserved); i++) {
        if (dx_slice_equal(name, reserved[i])) return true;
    }
    return false;
}

// Whether a filter's name means that filter: `min_price` is a field when there is one of that name.
static bool applies(const dx_resource *resource, const dx_resource_field *field, const struct filter *filter) {
    if (!(filter->kinds & kind_of(field->type))) return false;
    if (filter->nullable && field->required && !field->nullable) return false;
    bool equal = strcmp(filter->behind, "[eq]") == 0, bare = !*filter->before && !*filter->behind;
    if (equal || bare) return is_parameter(field->name) == equal;
    if (!*filter->before) return true;
    char name[128];
    int size = snprintf(name, sizeof name, "%s%.*s", filter->before, DX_SLICE_ARG(field->name));
    return size > 0 && (size_t)size < sizeof name && !dx_map_get(&resource->field_names, dx_slice_of(name, (size_t)size));
}

static void describe_field(const dx_resource *resource, const dx_resource_field *field, yyjson_mut_doc *doc, yyjson_mut_val *parameters) {
    for (size_t i = 0; i < DX_COUNT_OF(filters); i++) {
        const struct filter *filter = &filters[i];
        if (!applies(resource, field, filter)) continue;
        yyjson_mut_val *name = dx_rest_text(doc, "%s%.*s%s", filter->before, DX_SLICE_ARG(field->name), filter->behind);
        yyjson_mut_val *schema = value_schema(doc, filter->nullable ? DX_COLUMN_BOOLEAN : field->type);
        if (filter->list) schema = list_schema(doc, schema);
        yyjson_mut_val *parameter = dx_rest_add_parameter(doc, parameters, name, NULL, schema);
        if (filter->list) yyjson_mut_obj_add_bool(doc, parameter, "explode", false);
        yyjson_mut_obj_add_val(doc, parameter, "description",
                               dx_rest_text(doc, "Rows whose %.*s %s.", DX_SLICE_ARG(field->name), filter->about));
    }
}

void dx_rest_describe_filters(const dx_resource *resource, yyjson_mut_doc *doc, yyjson_mut_val *parameters) {
    for (uint16_t f = 0; f < resource->field_count; f++) {
        if (!resource->fields[f].write_only) describe_field(resource, &resource->fields[f], doc, parameters);
    }
}
