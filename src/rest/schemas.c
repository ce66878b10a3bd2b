// The schemas that the API's description shares: what rows, lists and request bodies look like. They are made from the models of the
// definition, with what the server adds (ids, times, null for what is not set) and takes away (read-only and write-only fields).
#include <stdio.h>

#include "rest/parts.h"

static const char *const suffixes[DX_REST_SCHEMAS] = {
    [DX_REST_ROW] = "",       [DX_REST_VIEW] = "View",     [DX_REST_LISTED] = "List",
    [DX_REST_NEW] = "Create", [DX_REST_WHOLE] = "Replace", [DX_REST_PARTIAL] = "Change",
};

// --- names -----------------------------------------------------------------------------------------------------------------

static const dx_slice models_prefix = DX_SLICE_INIT("#/models/");

// A name nobody has: `base` + `suffix`, with underscores behind until it is free.
static dx_status take_name(dx_rest *rest, dx_slice base, const char *suffix, dx_slice *out) {
    dx_arena *arena = dx_app_arena(rest->app);
    dx_slice name = dx_arena_printf(arena, "%.*s%s", DX_SLICE_ARG(base), suffix);
    while (name.data && dx_map_get(&rest->components, name)) name = dx_arena_printf(arena, "%.*s_", DX_SLICE_ARG(name));
    if (!name.data) return DX_NO_MEMORY;
    *out = name;
    return dx_map_put(&rest->components, name, rest);
}

// The name of the model that a local reference leads to; what is behind it in *rest_of.
static dx_slice model_of_reference(dx_slice reference, dx_slice *rest_of) {
    if (!dx_slice_starts(reference, models_prefix)) return (dx_slice){NULL, 0};
    dx_slice name = dx_slice_from(reference, models_prefix.size);
    size_t slash = dx_slice_find(name, '/');
    *rest_of = slash == SIZE_MAX ? (dx_slice){NULL, 0} : dx_slice_from(name, slash);
    if (slash != SIZE_MAX) name.size = slash;
    return name;
}

static dx_status need_model(dx_rest *rest, dx_slice model) {
    dx_arena *arena = dx_app_arena(rest->app);
    if (!model.size || dx_map_get(&rest->models, model)) return DX_OK;
    dx_slice *name = DX_ARENA_NEW(arena, dx_slice);
    if (!name) return DX_NO_MEMORY;
    dx_status status = take_name(rest, model, dx_map_get(&rest->components, model) ? "Model" : "", name);
    return status == DX_OK ? dx_map_put(&rest->models, model, name) : status;
}

// Models that schemas refer to, and those with an $id: references inside such a one are told from its own root.
static dx_status find_references(dx_rest *rest, yyjson_val *value, unsigned depth) {
    dx_slice behind;
    dx_status status = DX_OK;
    if (depth > 2 * DX_JSON_DEPTH_CAP) return DX_OK;
    if (yyjson_is_obj(value)) status = need_model(rest, model_of_reference(dx_json_member_slice(value, "$ref"), &behind));
    size_t i, max;
    yyjson_val *key, *item;
    if (yyjson_is_obj(value)) {
        yyjson_obj_foreach(value, i, max, key, item) {
            if (status == DX_OK) status = find_references(rest, item, depth + 1);
        }
    } else if (yyjson_is_arr(value)) {
        yyjson_arr_foreach(value, i, max, item) {
            if (status == DX_OK) status = find_references(rest, item, depth + 1);
        }
    }
    return status;
}

static dx_status name_models(dx_rest *rest) {
    size_t i, max;
    yyjson_val *key, *model, *models = dx_app_section(rest->app, "models");
    dx_status status = DX_OK;
    yyjson_obj_foreach(models, i, max, key, model) {
        if (yyjson_obj_get(model, "$id")) status = need_model(rest, dx_json_slice(key));
        if (status == DX_OK) status = find_references(rest, model, 0);
        if (status != DX_OK) break;
    }
    return status;
}

static dx_status name_resource(dx_rest *rest, dx_rest_resource *self) {
    const dx_resource *resource = self->resource;
    dx_slice base = resource->singular;
    if (dx_map_get(&rest->components, base)) // a second resource of the same model
        base = dx_arena_printf(dx_app_arena(rest->app), "%.*s_%.*s", DX_SLICE_ARG(resource->singular), DX_SLICE_ARG(resource->name));
    if (!base.data) return DX_NO_MEMORY;
    dx_status status = DX_OK;
    for (int s = 0; s < DX_REST_SCHEMAS && status == DX_OK; s++) status = take_name(rest, base, suffixes[s], &self->schemas[s]);
    return status;
}

dx_status dx_rest_name_schemas(dx_rest *rest) {
    dx_map_init(&rest->components, dx_app_arena(rest->app));
    dx_map_init(&rest->models, dx_app_arena(rest->app));
    dx_status status = dx_map_put(&rest->components, DX_SLICE("Problem"), rest);
    if (status == DX_OK) status = dx_map_put(&rest->components, DX_SLICE(DX_REST_JSON_PATCH), rest);
    for (size_t i = 0; i < rest->set->count && status == DX_OK; i++) status = name_resource(rest, &rest->resources[i]);
    return status == DX_OK ? name_models(rest) : status;
}

// --- pieces ----------------------------------------------------------------------------------------------------------------

yyjson_mut_val *dx_rest_text(yyjson_mut_doc *doc, const char *format, ...) {
    char text[512];
    va_list args;
    va_start(args, format);
    int size = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (size < 0) return NULL;
    return yyjson_mut_strncpy(doc, text, (size_t)size < sizeof text ? (size_t)size : sizeof text - 1);
}

static yyjson_mut_val *slice_text(yyjson_mut_doc *doc, dx_slice text) {
    return yyjson_mut_strn(doc, text.size ? text.data : "", text.size);
}

yyjson_mut_val *dx_rest_schema_ref(yyjson_mut_doc *doc, dx_slice name) {
    yyjson_mut_val *object = yyjson_mut_obj(doc);
    yyjson_mut_obj_add_val(doc, object, "$ref", dx_rest_text(doc, "#/components/schemas/%.*s", DX_SLICE_ARG(name)));
    return object;
}

// "#/models/X/…", or "#/…" within a model that is a document of its own.
static yyjson_mut_val *rewritten(const dx_rest *rest, yyjson_mut_doc *doc, dx_slice reference, dx_slice model) {
    dx_slice behind = {NULL, 0}, to = model_of_reference(reference, &behind);
    bool own_root = yyjson_obj_get(yyjson_obj_getn(dx_app_section(rest->app, "models"), model.size ? model.data : "", model.size), "$id");
    if (own_root && dx_slice_starts(reference, DX_SLICE("#/"))) {
        to = model;
        behind = dx_slice_from(reference, 1);
    }
    const dx_slice *name = dx_map_get(&rest->models, to);
    if (!name) return slice_text(doc, reference);
    return dx_rest_text(doc, "#/components/schemas/%.*s%.*s", DX_SLICE_ARG(*name), DX_SLICE_ARG(behind));
}

static void rewrite(const dx_rest *rest, yyjson_mut_doc *doc, yyjson_mut_val *value, dx_slice model, unsigned depth) {
    size_t i, max;
    yyjson_mut_val *key, *item;
    if (depth > 2 * DX_JSON_DEPTH_CAP) return;
    if (yyjson_mut_is_arr(value)) {
        yyjson_mut_arr_foreach(value, i, max, item) rewrite(rest, doc, item, model, depth + 1);
    }
    if (!yyjson_mut_is_obj(value)) return;
    yyjson_mut_val *reference = yyjson_mut_obj_get(value, "$ref");
    if (yyjson_mut_is_str(reference)) {
        dx_slice text = {yyjson_mut_get_str(reference), yyjson_mut_get_len(reference)};
        yyjson_mut_obj_put(value, yyjson_mut_str(doc, "$ref"), rewritten(rest, doc, text, model));
    }
    yyjson_mut_obj_foreach(value, i, max, key, item) rewrite(rest, doc, item, model, depth + 1);
}

yyjson_mut_val *dx_rest_schema_copy(const dx_rest *rest, yyjson_mut_doc *doc, yyjson_val *schema, dx_slice model) {
    yyjson_mut_val *copy = yyjson_val_mut_copy(doc, schema);
    rewrite(rest, doc, copy, model, 0);
    if (yyjson_mut_is_obj(copy)) yyjson_mut_obj_remove_key(copy, "$id");
    return copy;
}

// --- fields ----------------------------------------------------------------------------------------------------------------

static bool is_own(const dx_resource *resource, const dx_resource_field *field) {
    int column = field->column;
    return column == 0 || column == resource->owner_column || column == resource->created_column || column == resource->updated_column;
}

static const char *about_own(const dx_resource *resource, const dx_resource_field *field) {
    if (field->column == 0) return "The row's id.";
    if (field->column == resource->owner_column) return "The account that the row belongs to.";
    return field->column == resource->created_column ? "When the row was created." : "When the row was last changed.";
}

static yyjson_mut_val *own_schema(const dx_resource *resource, yyjson_mut_doc *doc, const dx_resource_field *field) {
    yyjson_mut_val *schema = yyjson_mut_obj(doc);
    bool integer = field->type == DX_COLUMN_INTEGER;
    yyjson_mut_obj_add_str(doc, schema, "type", integer ? "integer" : "string");
    yyjson_mut_obj_add_str(doc, schema, "format", integer ? "int64" : field->type == DX_COLUMN_TIMESTAMP ? "date-time" : "uuid");
    yyjson_mut_obj_add_str(doc, schema, "description", about_own(resource, field));
    yyjson_mut_obj_add_bool(doc, schema, "readOnly", true);
    return schema;
}

static yyjson_mut_val *or_null(yyjson_mut_doc *doc, yyjson_mut_val *schema) {
    yyjson_mut_val *type = yyjson_mut_obj_get(schema, "type");
    if (yyjson_mut_is_str(type) && !yyjson_mut_obj_get(schema, "enum") && !yyjson_mut_obj_get(schema, "const")) {
        yyjson_mut_val *both = yyjson_mut_arr(doc);
        yyjson_mut_arr_add_strncpy(doc, both, yyjson_mut_get_str(type), yyjson_mut_get_len(type));
        yyjson_mut_arr_add_str(doc, both, "null");
        yyjson_mut_obj_put(schema, yyjson_mut_str(doc, "type"), both);
        return schema;
    }
    yyjson_mut_val *either = yyjson_mut_obj(doc), *branches = yyjson_mut_obj_add_arr(doc, either, "anyOf");
    yyjson_mut_arr_add_val(branches, schema);
    yyjson_mut_obj_add_str(doc, yyjson_mut_arr_add_obj(doc, branches), "type", "null");
    return either;
}

// What a field's values are: `nulls` where a row shows null, or a change may say so.
static yyjson_mut_val *field_schema(const dx_rest_resource *self, yyjson_mut_doc *doc, const dx_resource_field *field, bool nulls) {
    if (is_own(self->resource, field)) return own_schema(self->resource, doc, field);
    yyjson_mut_val *schema = dx_rest_schema_copy(self->rest, doc, field->schema, self->resource->singular);
    return nulls && !field->required && !field->nullable && yyjson_mut_is_obj(schema) ? or_null(doc, schema) : schema;
}

static yyjson_mut_val *object_schema(yyjson_mut_doc *doc, yyjson_mut_val **properties) {
    yyjson_mut_val *schema = yyjson_mut_obj(doc);
    yyjson_mut_obj_add_str(doc, schema, "type", "object");
    *properties = yyjson_mut_obj_add_obj(doc, schema, "properties");
    return schema;
}

static void add_property(yyjson_mut_doc *doc, yyjson_mut_val *properties, dx_slice name, yyjson_mut_val *schema) {
    yyjson_mut_obj_put(properties, slice_text(doc, name), schema);
}

// --- rows and lists --------------------------------------------------------------------------------------------------------

static const dx_rest_resource *rest_of(const dx_rest *rest, const dx_resource *resource) {
    for (size_t i = 0; i < rest->set->count; i++) {
        if (rest->resources[i].resource == resource) return &rest->resources[i];
    }
    return NULL;
}

static void add_expansions(const dx_rest_resource *self, yyjson_mut_doc *doc, yyjson_mut_val *properties) {
    const dx_resource *resource = self->resource;
    for (uint16_t f = 0; f < resource->field_count && resource->expand_cap; f++) {
        const dx_resource_field *field = &resource->fields[f];
        if (!field->target || field->write_only) continue;
        bool replaces = dx_slice_equal(field->name, field->expand_name);
        yyjson_mut_val *row = yyjson_mut_obj(doc), *branches = yyjson_mut_obj_add_arr(doc, row, "anyOf");
        yyjson_mut_arr_add_val(branches, dx_rest_schema_ref(doc, rest_of(self->rest, field->target)->schemas[DX_REST_ROW]));
        yyjson_mut_obj_add_str(doc, yyjson_mut_arr_add_obj(doc, branches), "type", "null");
        if (replaces) yyjson_mut_arr_add_val(branches, field_schema(self, doc, field, true));
        yyjson_mut_obj_add_val(doc, row, "description",
                               dx_rest_text(doc, "The row that %.*s refers to, when expand=%.*s asks for it.", DX_SLICE_ARG(field->name),
                                            DX_SLICE_ARG(field->expand_name)));
        add_property(doc, properties, field->expand_name, row);
    }
}

static void copy_member(const dx_resource *resource, yyjson_mut_doc *doc, yyjson_mut_val *schema, const char *name) {
    yyjson_val *value = yyjson_obj_get(resource->model, name);
    if (value) yyjson_mut_obj_add_val(doc, schema, name, yyjson_val_mut_copy(doc, value));
}

static yyjson_mut_val *describe_view(const void *conf, yyjson_mut_doc *doc) {
    const dx_rest_resource *self = conf;
    const dx_resource *resource = self->resource;
    yyjson_mut_val *properties, *schema = object_schema(doc, &properties);
    copy_member(resource, doc, schema, "title");
    copy_member(resource, doc, schema, "description");
    for (uint16_t f = 0; f < resource->field_count; f++) {
        const dx_resource_field *field = &resource->fields[f];
        if (!field->write_only) add_property(doc, properties, field->name, field_schema(self, doc, field, true));
    }
    add_expansions(self, doc, properties);
    return schema;
}

static yyjson_mut_val *describe_row(const void *conf, yyjson_mut_doc *doc) {
    const dx_rest_resource *self = conf;
    yyjson_mut_val *schema = yyjson_mut_obj(doc), *both = yyjson_mut_obj_add_arr(doc, schema, "allOf");
    yyjson_mut_arr_add_val(both, dx_rest_schema_ref(doc, self->schemas[DX_REST_VIEW]));
    yyjson_mut_val *required = yyjson_mut_obj_add_arr(doc, yyjson_mut_arr_add_obj(doc, both), "required");
    for (uint16_t f = 0; f < self->resource->field_count; f++) {
        const dx_resource_field *field = &self->resource->fields[f];
        if (!field->write_only) yyjson_mut_arr_add_val(required, slice_text(doc, field->name));
    }
    return schema;
}

static yyjson_mut_val *link_schema(yyjson_mut_doc *doc, const char *about) {
    yyjson_mut_val *schema = yyjson_mut_obj(doc), *types = yyjson_mut_obj_add_arr(doc, schema, "type");
    yyjson_mut_arr_add_str(doc, types, "string");
    yyjson_mut_arr_add_str(doc, types, "null");
    yyjson_mut_obj_add_str(doc, schema, "description", about);
    return schema;
}

static yyjson_mut_val *describe_list(const void *conf, yyjson_mut_doc *doc) {
    static const char *const members[] = {"count", "next", "previous", "results"};
    const dx_rest_resource *self = conf;
    yyjson_mut_val *properties, *schema = object_schema(doc, &properties);
    yyjson_mut_val *count = yyjson_mut_obj_add_obj(doc, properties, "count"), *types = yyjson_mut_obj_add_arr(doc, count, "type");
    yyjson_mut_arr_add_str(doc, types, "integer");
    yyjson_mut_arr_add_str(doc, types, "null");
    yyjson_mut_obj_add_int(doc, count, "minimum", 0);
    yyjson_mut_obj_add_str(doc, count, "description", "How many rows there are on all pages; null when they were not counted.");
    yyjson_mut_obj_add_val(doc, properties, "next", link_schema(doc, "Path of the next page; null on the last one."));
    yyjson_mut_obj_add_val(doc, properties, "previous", link_schema(doc, "Path of the page before; null on the first one."));
    yyjson_mut_val *results = yyjson_mut_obj_add_obj(doc, properties, "results");
    yyjson_mut_obj_add_str(doc, results, "type", "array");
    yyjson_mut_obj_add_val(doc, results, "items", dx_rest_schema_ref(doc, self->schemas[DX_REST_VIEW]));
    yyjson_mut_val *required = yyjson_mut_obj_add_arr(doc, schema, "required");
    for (size_t i = 0; i < DX_COUNT_OF(members); i++) yyjson_mut_arr_add_str(doc, required, members[i]);
    return schema;
}

// --- request bodies --------------------------------------------------------------------------------------------------------

// What must be there: what the model requires and nobody else fills in.
static void set_required(const dx_resource *resource, yyjson_mut_doc *doc, yyjson_mut_val *schema) {
    yyjson_mut_obj_remove_key(schema, "required");
    yyjson_mut_val *required = yyjson_mut_arr(doc);
    for (uint16_t f = 0; f < resource->field_count; f++) {
        const dx_resource_field *field = &resource->fields[f];
        if (field->required && !field->read_only && !field->default_value) yyjson_mut_arr_add_val(required, slice_text(doc, field->name));
    }
    if (yyjson_mut_arr_size(required)) yyjson_mut_obj_add_val(doc, schema, "required", required);
}

static bool is_composed(yyjson_val *model) {
    static const char *const applicators[] = {
        "$ref", "$dynamicRef", "allOf", "anyOf", "oneOf", "if", "dependentSchemas", "patternProperties"};
    for (size_t i = 0; i < DX_COUNT_OF(applicators); i++) {
        if (yyjson_obj_get(model, applicators[i])) return true;
    }
    return false;
}

// The model with the read-only fields taken out (`own` false) or all of the row's put in, and closed to all others.
static yyjson_mut_val *body_schema(const dx_rest_resource *self, yyjson_mut_doc *doc, bool own) {
    const dx_resource *resource = self->resource;
    yyjson_mut_val *schema = dx_rest_schema_copy(self->rest, doc, resource->model, resource->singular);
    if (!yyjson_mut_is_obj(schema)) return schema;
    yyjson_mut_val *properties = yyjson_mut_obj_get(schema, "properties");
    if (!properties) properties = yyjson_mut_obj_add_obj(doc, schema, "properties");
    for (uint16_t f = 0; f < resource->field_count; f++) {
        const dx_resource_field *field = &resource->fields[f];
        if (!field->read_only) continue;
        yyjson_mut_obj_remove_keyn(properties, field->name.data, field->name.size);
        if (own) add_property(doc, properties, field->name, field_schema(self, doc, field, true));
    }
    set_required(resource, doc, schema);
    const char *closes = is_composed(resource->model) ? "unevaluatedProperties" : "additionalProperties";
    if (!yyjson_mut_obj_get(schema, closes)) yyjson_mut_obj_add_bool(doc, schema, closes, false);
    return schema;
}

static yyjson_mut_val *describe_create(const void *conf, yyjson_mut_doc *doc) {
    return body_schema(conf, doc, false);
}

static yyjson_mut_val *describe_replace(const void *conf, yyjson_mut_doc *doc) {
    return body_schema(conf, doc, true);
}

static yyjson_mut_val *describe_change(const void *conf, yyjson_mut_doc *doc) {
    const dx_rest_resource *self = conf;
    yyjson_mut_val *properties, *schema = object_schema(doc, &properties);
    yyjson_mut_obj_add_str(doc, schema, "description", "The members to change (RFC 7396); null takes one away.");
    for (uint16_t f = 0; f < self->resource->field_count; f++) {
        const dx_resource_field *field = &self->resource->fields[f];
        if (field->read_only) continue;
        yyjson_mut_val *one = field_schema(self, doc, field, true);
        if (yyjson_mut_is_obj(one)) yyjson_mut_obj_remove_key(one, "default");
        add_property(doc, properties, field->name, one);
    }
    yyjson_mut_obj_add_bool(doc, schema, "additionalProperties", false);
    return schema;
}

static yyjson_mut_val *describe_json_patch(const void *conf, yyjson_mut_doc *doc) {
    static const char text[] = "{\"type\":\"array\",\"description\":\"A JSON Patch (RFC 6902).\",\"maxItems\":1000,\"items\":{\"type\":"
                               "\"object\",\"required\":[\"op\",\"path\"],\"properties\":{\"op\":{\"enum\":[\"add\",\"remove\",\"replace\","
                               "\"move\",\"copy\",\"test\"]},\"path\":{\"type\":\"string\",\"format\":\"json-pointer\"},\"from\":{\"type\":"
                               "\"string\",\"format\":\"json-pointer\"},\"value\":{\"description\":\"For add, replace and test.\"}}}}";
    (void)conf;
    yyjson_doc *parsed = yyjson_read(text, sizeof text - 1, 0);
    if (!parsed) return NULL;
    yyjson_mut_val *schema = yyjson_val_mut_copy(doc, yyjson_doc_get_root(parsed));
    yyjson_doc_free(parsed);
    return schema;
}

// --- models that others refer to -------------------------------------------------------------------------------------------

typedef struct model_conf {
    const dx_rest *rest;
    dx_slice name;
} model_conf;

static yyjson_mut_val *describe_model(const void *conf, yyjson_mut_doc *doc) {
    const model_conf *self = conf;
    yyjson_val *model = yyjson_obj_getn(dx_app_section(self->rest->app, "models"), self->name.data, self->name.size);
    return dx_rest_schema_copy(self->rest, doc, model, self->name);
}

// Another feature may have the name already.
static dx_status add_schema(const dx_rest *rest, dx_slice *name, dx_describe_schema describe, const void *conf) {
    dx_status status = dx_app_add_schema(rest->app, *name, describe, conf);
    while (status == DX_ALREADY_EXISTS) {
        *name = dx_arena_printf(dx_app_arena(rest->app), "%.*s_", DX_SLICE_ARG(*name));
        status = name->data ? dx_app_add_schema(rest->app, *name, describe, conf) : DX_NO_MEMORY;
    }
    return status;
}

static dx_status add_model(dx_rest *rest, const dx_map_entry *entry) {
    model_conf *conf = DX_ARENA_NEW(dx_app_arena(rest->app), model_conf);
    if (!conf) return DX_NO_MEMORY;
    *conf = (model_conf){.rest = rest, .name = entry->key};
    return add_schema(rest, entry->value, describe_model, conf);
}

dx_status dx_rest_add_schemas(dx_rest *rest) {
    static const dx_describe_schema describers[DX_REST_SCHEMAS] = {
        [DX_REST_ROW] = describe_row,    [DX_REST_VIEW] = describe_view,     [DX_REST_LISTED] = describe_list,
        [DX_REST_NEW] = describe_create, [DX_REST_WHOLE] = describe_replace, [DX_REST_PARTIAL] = describe_change,
    };
    dx_status status = DX_OK;
    if (rest->set->count) status = dx_app_add_schema(rest->app, DX_SLICE(DX_REST_JSON_PATCH), describe_json_patch, NULL);
    for (size_t i = 0; i < rest->set->count && status == DX_OK; i++) {
        for (int s = 0; s < DX_REST_SCHEMAS && status == DX_OK; s++)
            status = add_schema(rest, &rest->resources[i].schemas[s], describers[s], &rest->resources[i]);
    }
    const dx_map_entry *entry;
    for (size_t at = 0; status == DX_OK && (entry = dx_map_next(&rest->models, &at));) status = add_model(rest, entry);
    return status;
}
