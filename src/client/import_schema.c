// Schemas: what OpenAPI 3.0 writes differently is brought to JSON Schema 2020-12, references lead to models, and what JSON Schema does not
// know is kept under an `x-` name. Only places where a schema stands are looked into; `enum`, `default` and the like are data.
#include "client/import_parts.h"
#include "model/format.h"
#include "model/pattern.h"

#define KEYWORDS_CAP 1000 // of one schema

typedef enum kind {
    COPY,
    DATA, // the same, and a "$ref" in it is nothing but data
    SCHEMA,
    SCHEMAS,  // an array of them
    NAMED,    // an object of them
    PATTERNS, // the same; the names are regular expressions
    ITEMS,    // a schema, or before 2020-12 an array of them
    FORMAT,
    PATTERN,
    EXAMPLE,
    REFERENCE,
    REQUIRED,
    BOUND, // exclusiveMinimum and -Maximum, which were booleans beside the bound
    NULLABLE,
    RENAME, // kept as x-…, and that is all there is to say of it
    REFUSE, // kept as x-…, and told
} kind;

typedef struct keyword {
    dx_slice name;
    kind kind;
} keyword;

#define ROW(name, kind)                                                                                                                    \
    { DX_SLICE_INIT(name), kind }
static const keyword keywords[] = {
    ROW("type", COPY),
    ROW("title", COPY),
    ROW("description", COPY),
    ROW("default", DATA),
    ROW("enum", DATA),
    ROW("const", DATA),
    ROW("examples", DATA),
    ROW("multipleOf", COPY),
    ROW("maximum", COPY),
    ROW("minimum", COPY),
    ROW("maxLength", COPY),
    ROW("minLength", COPY),
    ROW("maxItems", COPY),
    ROW("minItems", COPY),
    ROW("uniqueItems", COPY),
    ROW("maxContains", COPY),
    ROW("minContains", COPY),
    ROW("maxProperties", COPY),
    ROW("minProperties", COPY),
    ROW("dependentRequired", COPY),
    ROW("readOnly", COPY),
    ROW("writeOnly", COPY),
    ROW("deprecated", COPY),
    ROW("contentEncoding", COPY),
    ROW("contentMediaType", COPY),
    ROW("$comment", COPY),
    ROW("externalDocs", COPY),
    ROW("xml", COPY),
    ROW("additionalProperties", SCHEMA),
    ROW("unevaluatedProperties", SCHEMA),
    ROW("unevaluatedItems", SCHEMA),
    ROW("propertyNames", SCHEMA),
    ROW("contains", SCHEMA),
    ROW("contentSchema", SCHEMA),
    ROW("not", SCHEMA),
    ROW("if", SCHEMA),
    ROW("then", SCHEMA),
    ROW("else", SCHEMA),
    ROW("items", ITEMS),
    ROW("allOf", SCHEMAS),
    ROW("anyOf", SCHEMAS),
    ROW("oneOf", SCHEMAS),
    ROW("prefixItems", SCHEMAS),
    ROW("properties", NAMED),
    ROW("$defs", NAMED),
    ROW("definitions", NAMED),
    ROW("dependentSchemas", NAMED),
    ROW("patternProperties", PATTERNS),
    ROW("format", FORMAT),
    ROW("pattern", PATTERN),
    ROW("example", EXAMPLE),
    ROW("$ref", REFERENCE),
    ROW("required", REQUIRED),
    ROW("exclusiveMinimum", BOUND),
    ROW("exclusiveMaximum", BOUND),
    ROW("nullable", NULLABLE),
    ROW("discriminator", RENAME),
    ROW("$schema", RENAME),
    ROW("$id", REFUSE),
    ROW("$anchor", REFUSE),
    ROW("$dynamicAnchor", REFUSE),
    ROW("$dynamicRef", REFUSE),
};

static const keyword *find_keyword(dx_slice name) {
    for (size_t i = 0; i < DX_COUNT_OF(keywords); i++)
        if (dx_slice_equal(keywords[i].name, name)) return &keywords[i];
    return NULL;
}

// --- keywords whose values hold schemas ----------------------------------------------------------------------------------------

static yyjson_mut_val *each_in_array(dx_importer *im, yyjson_val *array, dx_slice at) {
    size_t i, count;
    yyjson_val *item;
    yyjson_mut_val *made = dx_import_array(im);
    yyjson_arr_foreach(array, i, count, item) {
        dx_slice below = dx_json_pointer_index(im->arena, at, i);
        dx_import_append(im, made, dx_import_schema(im, item, below));
    }
    return made;
}

static bool pattern_works(dx_importer *im, dx_slice text, dx_slice at) {
    const dx_pattern *pattern;
    const char *problem = "";
    dx_status status = dx_pattern_create(&pattern, im->arena, text, &problem);
    if (status == DX_NO_MEMORY) im->status = status;
    if (status == DX_INVALID) dx_import_tell(im, at, "the pattern can't be used and is kept as x-pattern: %s", problem);
    return status != DX_INVALID;
}

static yyjson_mut_val *each_in_object(dx_importer *im, yyjson_val *object, dx_slice at, bool patterns) {
    size_t i, count;
    yyjson_val *name, *item;
    yyjson_mut_val *made = dx_import_object(im);
    yyjson_obj_foreach(object, i, count, name, item) {
        dx_slice below = dx_json_pointer_join(im->arena, at, dx_json_slice(name));
        if (patterns && !pattern_works(im, dx_json_slice(name), below)) continue;
        dx_import_add(im, made, dx_json_slice(name), dx_import_schema(im, item, below));
    }
    return made;
}

static void put_items(dx_importer *im, yyjson_mut_val *made, yyjson_val *value, dx_slice at) {
    if (yyjson_is_arr(value))
        dx_import_put(im, made, DX_SLICE("prefixItems"), each_in_array(im, value, at));
    else
        dx_import_put(im, made, DX_SLICE("items"), dx_import_schema(im, value, at));
}

// --- keywords that are written in another way -----------------------------------------------------------------------------------

static void rename_to_own(dx_importer *im, yyjson_mut_val *made, dx_slice name, yyjson_val *value) {
    while (name.size && name.data[0] == '$') name = dx_slice_from(name, 1);
    dx_slice own = dx_arena_printf(im->arena, "x-%.*s", DX_SLICE_ARG(name));
    if (own.data)
        dx_import_put(im, made, own, dx_import_copy(im, value));
    else
        im->status = DX_NO_MEMORY;
}

// Formats that are checked, and those that only tell a size or a use; others would be taken for misspelled.
static void put_format(dx_importer *im, yyjson_mut_val *made, yyjson_val *value) {
    static const dx_slice hints[] = {DX_SLICE_INIT("int32"),    DX_SLICE_INIT("int64"), DX_SLICE_INIT("float"), DX_SLICE_INIT("double"),
                                     DX_SLICE_INIT("password"), DX_SLICE_INIT("byte"),  DX_SLICE_INIT("binary")};
    bool known = dx_format_known(dx_json_slice(value));
    for (size_t i = 0; i < DX_COUNT_OF(hints); i++) known = known || dx_slice_equal(dx_json_slice(value), hints[i]);
    if (known)
        dx_import_put(im, made, DX_SLICE("format"), dx_import_copy(im, value));
    else
        rename_to_own(im, made, DX_SLICE("format"), value);
}

static void put_reference(dx_importer *im, yyjson_mut_val *made, yyjson_val *value, dx_slice at) {
    dx_slice target;
    yyjson_val *schema = dx_import_target(im, dx_json_slice(value), at, &target);
    if (!schema) return; // told; without it, everything is taken
    dx_slice model = dx_import_model(im, schema, target, (dx_slice){NULL, 0});
    dx_slice ref = dx_arena_printf(im->arena, "#/models/%.*s", DX_SLICE_ARG(model));
    dx_import_put(im, made, DX_SLICE("$ref"), dx_import_text(im, ref));
}

// `exclusiveMinimum: true` beside `minimum: 3` is `exclusiveMinimum: 3`.
static void put_bound(dx_importer *im, yyjson_mut_val *made, yyjson_val *schema, dx_slice name, yyjson_val *value) {
    if (!yyjson_is_bool(value)) {
        dx_import_put(im, made, name, dx_import_copy(im, value));
        return;
    }
    yyjson_val *bound = yyjson_obj_get(schema, dx_slice_equal(name, DX_SLICE("exclusiveMinimum")) ? "minimum" : "maximum");
    if (yyjson_get_bool(value) && bound) dx_import_put(im, made, name, dx_import_copy(im, bound));
}

static void drop_bounds(yyjson_mut_val *made, yyjson_val *schema) {
    if (yyjson_is_true(yyjson_obj_get(schema, "exclusiveMinimum"))) yyjson_mut_obj_remove_key(made, "minimum");
    if (yyjson_is_true(yyjson_obj_get(schema, "exclusiveMaximum"))) yyjson_mut_obj_remove_key(made, "maximum");
}

static void put_required(dx_importer *im, yyjson_mut_val *made, yyjson_val *value, dx_slice at) {
    if (yyjson_is_arr(value))
        dx_import_put(im, made, DX_SLICE("required"), dx_import_copy(im, value));
    else
        dx_import_tell(im, at, "expected an array of names; it is left out");
}

static void put_example(dx_importer *im, yyjson_mut_val *made, yyjson_val *schema, yyjson_val *value) {
    yyjson_val *others = yyjson_obj_get(schema, "examples");
    yyjson_mut_val *all = yyjson_is_arr(others) ? dx_import_copy(im, others) : dx_import_array(im);
    dx_import_append(im, all, dx_import_copy(im, value));
    dx_import_put(im, made, DX_SLICE("examples"), all);
}

// --- null -----------------------------------------------------------------------------------------------------------------------

static void allow_null_in_enum(dx_importer *im, yyjson_mut_val *made) {
    yyjson_mut_val *values = yyjson_mut_obj_get(made, "enum"), *item;
    size_t i, count;
    if (!values) return;
    yyjson_mut_arr_foreach(values, i, count, item) {
        if (yyjson_mut_is_null(item)) return;
    }
    dx_import_append(im, values, yyjson_mut_null(im->doc));
}

// OpenAPI 3.0's `nullable`: one type more, or where no type stands, a choice between null and all that does.
static yyjson_mut_val *allow_null(dx_importer *im, yyjson_mut_val *made) {
    yyjson_mut_val *type = yyjson_mut_obj_remove_key(made, "type"), *null = dx_import_text(im, DX_SLICE("null")),
                   *both = dx_import_array(im);
    if (type) {
        dx_import_append(im, both, type);
        dx_import_append(im, both, null);
        dx_import_put(im, made, DX_SLICE("type"), both);
        allow_null_in_enum(im, made);
        return made;
    }
    yyjson_mut_val *only = dx_import_object(im), *choice = dx_import_object(im);
    dx_import_put(im, only, DX_SLICE("type"), null);
    dx_import_append(im, both, made);
    dx_import_append(im, both, only);
    dx_import_put(im, choice, DX_SLICE("anyOf"), both);
    return choice;
}

// --- one schema -----------------------------------------------------------------------------------------------------------------

static void put_keyword(dx_importer *im, yyjson_mut_val *made, yyjson_val *schema, dx_slice name, yyjson_val *value, dx_slice at) {
    const keyword *known = find_keyword(name);
    bool own = dx_slice_starts(name, DX_SLICE("x-"));
    kind how = known ? known->kind : own ? COPY : REFUSE;
    if ((how == COPY || how == RENAME || how == REFUSE) && dx_import_refers(value)) {
        dx_import_tell(im, at, "has a \"$ref\" in it that is none; it is left out");
        return;
    }
    switch (how) {
    case COPY:
    case DATA:
        if (!yyjson_mut_obj_getn(made, name.data, name.size)) dx_import_put(im, made, name, dx_import_copy(im, value));
        return;
    case SCHEMA:
        dx_import_put(im, made, name, dx_import_schema(im, value, at));
        return;
    case SCHEMAS:
        dx_import_put(im, made, name, each_in_array(im, value, at));
        return;
    case NAMED:
    case PATTERNS:
        if (dx_slice_equal(name, DX_SLICE("definitions"))) name = DX_SLICE("$defs");
        dx_import_put(im, made, name, each_in_object(im, value, at, known->kind == PATTERNS));
        return;
    case ITEMS:
        put_items(im, made, value, at);
        return;
    case FORMAT:
        put_format(im, made, value);
        return;
    case PATTERN:
        if (yyjson_is_str(value) && !pattern_works(im, dx_json_slice(value), at))
            rename_to_own(im, made, name, value);
        else
            dx_import_put(im, made, name, dx_import_copy(im, value));
        return;
    case EXAMPLE:
        put_example(im, made, schema, value);
        return;
    case REFERENCE:
        put_reference(im, made, value, at);
        return;
    case REQUIRED:
        put_required(im, made, value, at);
        return;
    case BOUND:
        put_bound(im, made, schema, name, value);
        return;
    case NULLABLE:
        return; // looked at when all else is there
    case REFUSE:
        dx_import_tell(im, at, "is not taken over as it stands; it is kept as x-%.*s", DX_SLICE_ARG(name));
        DX_FALLTHROUGH;
    case RENAME:
        rename_to_own(im, made, name, value);
        return;
    }
}

// In OpenAPI 3.0 nothing that stands beside a `$ref` holds.
static bool holds_beside_reference(dx_importer *im, dx_slice name, dx_slice at) {
    static const dx_slice words[] = {DX_SLICE_INIT("$ref"),       DX_SLICE_INIT("description"), DX_SLICE_INIT("title"),
                                     DX_SLICE_INIT("deprecated"), DX_SLICE_INIT("readOnly"),    DX_SLICE_INIT("writeOnly"),
                                     DX_SLICE_INIT("default")};
    for (size_t i = 0; i < DX_COUNT_OF(words); i++)
        if (dx_slice_equal(name, words[i])) return true;
    if (dx_slice_starts(name, DX_SLICE("x-")) || dx_slice_starts(name, DX_SLICE("example"))) return false;
    dx_import_tell(im, at, "has no effect beside a $ref in OpenAPI 3.0, and is left out; write {\"allOf\": [{\"$ref\": …}], …}");
    return false;
}

yyjson_mut_val *dx_import_schema(dx_importer *im, yyjson_val *schema, dx_slice pointer) {
    size_t i, count;
    yyjson_val *name, *value;
    if (yyjson_is_bool(schema)) return dx_import_bool(im, yyjson_get_bool(schema));
    yyjson_mut_val *made = dx_import_object(im);
    if (!yyjson_is_obj(schema)) {
        dx_import_tell(im, pointer, "expected a schema, found %s; whatever comes is taken",
                       schema ? yyjson_get_type_desc(schema) : "nothing");
        return made;
    }
    if (yyjson_obj_size(schema) > KEYWORDS_CAP) {
        dx_import_tell(im, pointer, "has more than %d keywords; whatever comes is taken", KEYWORDS_CAP);
        return made;
    }
    bool alone = im->v30 && yyjson_is_str(yyjson_obj_get(schema, "$ref"));
    yyjson_obj_foreach(schema, i, count, name, value) {
        dx_slice at = dx_json_pointer_join(im->arena, pointer, dx_json_slice(name));
        if (!at.data) im->status = DX_NO_MEMORY;
        if (alone && !holds_beside_reference(im, dx_json_slice(name), at)) continue;
        if (im->status == DX_OK) put_keyword(im, made, schema, dx_json_slice(name), value, at);
    }
    drop_bounds(made, schema);
    bool nullable = !alone && yyjson_is_true(yyjson_obj_get(schema, "nullable"));
    return nullable && im->status == DX_OK ? allow_null(im, made) : made;
}
