// Parameters: those of an operation and of its path together. The name on the wire is kept beside the key; a simple type takes the place of
// its schema where it says as much.
#include "client/import_parts.h"

static const char *const places[] = {"path", "query", "header", "cookie"};

// --- types ----------------------------------------------------------------------------------------------------------------------

typedef struct type_word {
    dx_slice schema, definition;
} type_word;

static const type_word types[] = {
    {DX_SLICE_INIT("integer"), DX_SLICE_INIT("int")}, {DX_SLICE_INIT("number"), DX_SLICE_INIT("float")},
    {DX_SLICE_INIT("string"), DX_SLICE_INIT("str")},  {DX_SLICE_INIT("boolean"), DX_SLICE_INIT("bool")},
    {DX_SLICE_INIT("array"), DX_SLICE_INIT("list")},  {DX_SLICE_INIT("object"), DX_SLICE_INIT("dict")},
};

// Keywords that only describe.
static bool is_silent(dx_slice name) {
    static const dx_slice silent[] = {DX_SLICE_INIT("title"),   DX_SLICE_INIT("description"), DX_SLICE_INIT("default"),
                                      DX_SLICE_INIT("example"), DX_SLICE_INIT("examples"),    DX_SLICE_INIT("deprecated")};
    for (size_t i = 0; i < DX_COUNT_OF(silent); i++)
        if (dx_slice_equal(name, silent[i])) return true;
    return dx_slice_starts(name, DX_SLICE("x-"));
}

static bool is_null(yyjson_val *schema) {
    return yyjson_obj_size(schema) == 1 && yyjson_equals_str(yyjson_obj_get(schema, "type"), "null");
}

// `anyOf` of a schema and null is that schema, for a parameter that is null is not sent; and so is `allOf` of one alone.
static yyjson_val *only_choice(dx_importer *im, yyjson_val *schema, dx_slice at) {
    size_t i, count;
    yyjson_val *name, *value, *any = yyjson_obj_get(schema, "anyOf"), *all = yyjson_obj_get(schema, "allOf"), *other = NULL;
    if (yyjson_arr_size(any) == 2 && is_null(yyjson_arr_get(any, 1))) other = yyjson_arr_get(any, 0);
    if (yyjson_arr_size(any) == 2 && is_null(yyjson_arr_get(any, 0))) other = yyjson_arr_get(any, 1);
    if (!any && yyjson_arr_size(all) == 1) other = yyjson_arr_get(all, 0);
    yyjson_obj_foreach(schema, i, count, name, value) {
        if (value != any && value != all && !is_silent(dx_json_slice(name)) && !yyjson_equals_str(name, "nullable")) return schema;
    }
    yyjson_val *resolved = yyjson_is_obj(other) ? dx_import_resolve(im, other, &at) : NULL;
    return resolved ? resolved : schema;
}

// The one type of a schema, beside null; empty when it has several or does not say.
static dx_slice type_of(yyjson_val *schema) {
    yyjson_val *type = yyjson_obj_get(schema, "type"), *item, *found = NULL;
    size_t i, count, others = 0;
    yyjson_arr_foreach(type, i, count, item) {
        if (yyjson_equals_str(item, "null")) continue;
        found = item;
        others++;
    }
    return yyjson_is_str(type) ? dx_json_slice(type) : others == 1 ? dx_json_slice(found) : (dx_slice){NULL, 0};
}

static const char *word_for(dx_slice type) {
    for (size_t i = 0; i < DX_COUNT_OF(types); i++)
        if (dx_slice_equal(type, types[i].schema)) return types[i].definition.data;
    return NULL;
}

// Whether a keyword asks for something that the parameter's type does not.
static bool says_more(dx_slice name, yyjson_val *value) {
    static const dx_slice formats[] = {DX_SLICE_INIT("int64"), DX_SLICE_INIT("float"), DX_SLICE_INIT("double"), DX_SLICE_INIT("password"),
                                       DX_SLICE_INIT("binary")};
    if (dx_slice_equal(name, DX_SLICE("type")) || dx_slice_equal(name, DX_SLICE("nullable")) || is_silent(name)) return false;
    for (size_t i = 0; dx_slice_equal(name, DX_SLICE("format")) && i < DX_COUNT_OF(formats); i++)
        if (dx_slice_equal(dx_json_slice(value), formats[i])) return false;
    if (!dx_slice_equal(name, DX_SLICE("items"))) return true;
    size_t silent = yyjson_obj_get(value, "title") != NULL; // strings are what a list holds when nothing is said
    return yyjson_obj_size(value) != silent + 1 || !yyjson_equals_str(yyjson_obj_get(value, "type"), "string");
}

bool dx_import_put_type(dx_importer *im, yyjson_mut_val *param, yyjson_val *schema, dx_slice at, bool files) {
    size_t i, count;
    yyjson_val *name, *value, *resolved = yyjson_is_obj(schema) ? dx_import_resolve(im, schema, &at) : NULL;
    yyjson_val *one = resolved ? only_choice(im, resolved, at) : NULL;
    const char *word = word_for(type_of(one));
    bool more = !word && yyjson_obj_size(one) > 0;
    yyjson_obj_foreach(one, i, count, name, value) more = more || says_more(dx_json_slice(name), value);
    dx_slice format = dx_json_member_slice(one, "format");
    if (files && word && dx_slice_equal(format, DX_SLICE("binary"))) word = "file";
    if (!word && !more) word = "str";
    if (word) dx_import_put(im, param, DX_SLICE("type"), dx_import_text(im, dx_slice_str(word)));
    if (dx_slice_equal(format, DX_SLICE("password"))) dx_import_put(im, param, DX_SLICE("secret"), dx_import_bool(im, true));
    return more;
}

// A schema in a parameter stands in the settings, where a reference is replaced by what it leads to: that has to end somewhere.
void dx_import_put_schema(dx_importer *im, yyjson_mut_val *param, yyjson_val *schema, dx_slice at) {
    if (dx_import_is_recursive(im, schema)) {
        dx_import_tell(im, at, "is a recursive schema, or too large a one, which a parameter can't have; its value is not checked");
        return;
    }
    yyjson_mut_val *made = dx_import_schema(im, schema, at);
    yyjson_mut_obj_remove_key(made, "default"); // the parameter's own
    yyjson_mut_val *ref = yyjson_mut_obj_size(made) > 1 ? yyjson_mut_obj_remove_key(made, "$ref") : NULL;
    if (ref) { // nothing stands beside a reference in settings
        yyjson_mut_val *all = yyjson_mut_obj_get(made, "allOf"), *only = dx_import_object(im);
        if (!all) dx_import_put(im, made, DX_SLICE("allOf"), all = dx_import_array(im));
        dx_import_put(im, only, DX_SLICE("$ref"), ref);
        dx_import_append(im, all, only);
    }
    if (made && (dx_import_refers_away(made) || dx_import_is_deep(made)))
        dx_import_tell(im, at, "holds data with a \"$ref\", or is nested too deeply for a parameter; its value is not checked");
    else
        dx_import_put(im, param, DX_SLICE("schema"), made);
}

// --- one parameter ----------------------------------------------------------------------------------------------------------------

// How a list or an object is written in a query or a cookie; elsewhere there is one way ("simple").
static void put_style(dx_importer *im, yyjson_mut_val *param, yyjson_val *value, dx_slice in, dx_slice at) {
    static const type_word styles[] = {{DX_SLICE_INIT("form"), DX_SLICE_INIT("form")},
                                       {DX_SLICE_INIT("spaceDelimited"), DX_SLICE_INIT("space")},
                                       {DX_SLICE_INIT("pipeDelimited"), DX_SLICE_INIT("pipe")},
                                       {DX_SLICE_INIT("deepObject"), DX_SLICE_INIT("deep")}};
    bool styled = dx_slice_equal(in, DX_SLICE("query")) || dx_slice_equal(in, DX_SLICE("cookie"));
    yyjson_val *explode = yyjson_obj_get(value, "explode");
    dx_slice style = dx_json_member_slice(value, "style");
    if (!style.size) style = styled ? DX_SLICE("form") : DX_SLICE("simple");
    if (!styled) {
        if (!dx_slice_equal(style, DX_SLICE("simple")) || yyjson_is_true(explode))
            dx_import_tell(im, at, "the style \"%.*s\"%s can't be written here; \"simple\" is used", DX_SLICE_ARG(style),
                           yyjson_is_true(explode) ? ", exploded," : "");
        return;
    }
    size_t i = 0;
    while (i < DX_COUNT_OF(styles) && !dx_slice_equal(style, styles[i].schema)) i++;
    if (i == DX_COUNT_OF(styles)) {
        dx_import_tell(im, at, "the style \"%.*s\" is not known; \"form\" is used", DX_SLICE_ARG(style));
        i = 0;
    }
    bool form = i == 0, deep = i == DX_COUNT_OF(styles) - 1, exploded = yyjson_is_bool(explode) ? yyjson_get_bool(explode) : form;
    if (!form) dx_import_put(im, param, DX_SLICE("style"), dx_import_text(im, styles[i].definition));
    if (!exploded && !deep) dx_import_put(im, param, DX_SLICE("explode"), dx_import_bool(im, false));
}

// The schema of a parameter: its own, or that of its one media type, which then is written as text.
static yyjson_val *schema_of(dx_importer *im, yyjson_val *value, dx_slice at, dx_slice *schema_at) {
    yyjson_val *schema = yyjson_obj_get(value, "schema"), *content = yyjson_obj_get(value, "content");
    *schema_at = dx_import_pointer(im, at, "schema");
    if (content) dx_import_tell(im, at, "is written as a media type (`content`), which a parameter can't be; give its text as a string");
    return schema;
}

dx_slice dx_import_key(dx_import_operation *op, dx_slice wire, dx_slice in) {
    dx_importer *im = op->im;
    dx_slice key = dx_import_snake(im, wire, "param");
    if (key.data && dx_map_get(&op->keys, key)) { // of two that are named alike, the later tells its place
        key = dx_arena_printf(im->arena, "%.*s_%.*s", DX_SLICE_ARG(key), DX_SLICE_ARG(in));
        if (!key.data) im->status = DX_NO_MEMORY;
    }
    return dx_import_unique(im, &op->keys, key);
}

void dx_import_describe(dx_importer *im, yyjson_mut_val *made, yyjson_val *value, yyjson_val *schema) {
    dx_slice text = dx_json_member_slice(value, "description");
    if (!text.size) text = dx_json_member_slice(schema, "description");
    if (text.size) dx_import_put(im, made, DX_SLICE("description"), dx_import_text(im, text));
}

static void put_default(dx_importer *im, yyjson_mut_val *param, yyjson_val *schema, yyjson_val *resolved, dx_slice at) {
    yyjson_val *usual = yyjson_obj_get(schema, "default");
    if (!usual) usual = yyjson_obj_get(resolved, "default");
    if (!usual || yyjson_is_null(usual)) return;
    yyjson_mut_val *made = dx_import_copy(im, usual);
    if (made && (dx_import_refers(usual) || dx_import_is_deep(made)))
        dx_import_tell(im, at, "has a default with a \"$ref\" in it, or one that is nested too deeply; it is left out");
    else
        dx_import_put(im, param, DX_SLICE("default"), made);
}

static dx_slice add_param(dx_import_operation *op, yyjson_val *value, dx_slice at) {
    dx_importer *im = op->im;
    dx_slice wire = dx_json_member_slice(value, "name"), in = dx_json_member_slice(value, "in"), schema_at, resolved_at;
    dx_slice key = dx_import_key(op, wire, in);
    yyjson_mut_val *param = dx_import_object(im);
    yyjson_val *schema = schema_of(im, value, at, &schema_at);
    resolved_at = schema_at;
    yyjson_val *resolved = yyjson_is_obj(schema) ? dx_import_resolve(im, schema, &resolved_at) : NULL;
    dx_import_put(im, param, DX_SLICE("in"), dx_import_text(im, in));
    if (!dx_slice_equal(key, wire)) dx_import_put(im, param, DX_SLICE("name"), dx_import_text(im, wire));
    if (dx_import_put_type(im, param, resolved, resolved_at, false)) dx_import_put_schema(im, param, schema, schema_at);
    if (yyjson_is_true(yyjson_obj_get(value, "required")) || dx_slice_equal(in, DX_SLICE("path")))
        dx_import_put(im, param, DX_SLICE("required"), dx_import_bool(im, true));
    put_default(im, param, schema, resolved, schema_at);
    put_style(im, param, value, in, at);
    dx_import_describe(im, param, value, resolved);
    if (yyjson_is_true(yyjson_obj_get(value, "allowReserved"))) dx_import_leave_out(im, DX_LEFT_RESERVED, at);
    dx_import_put(im, op->params, key, param);
    return key;
}

// --- all of an operation ----------------------------------------------------------------------------------------------------------

typedef struct given {
    yyjson_val *value;
    dx_slice at, wire, in, key;
} given;

typedef struct givens {
    given items[DX_IMPORT_PARAMS_CAP];
    size_t count;
} givens;

static bool is_ignored_header(dx_slice in, dx_slice wire) {
    return dx_slice_equal(in, DX_SLICE("header")) &&
           (dx_slice_equal_nocase(wire, DX_SLICE("Accept")) || dx_slice_equal_nocase(wire, DX_SLICE("Content-Type")) ||
            dx_slice_equal_nocase(wire, DX_SLICE("Authorization")));
}

static bool is_usable(dx_importer *im, yyjson_val *value, dx_slice at, dx_slice in, dx_slice wire) {
    bool place = false;
    for (size_t i = 0; i < DX_COUNT_OF(places); i++) place = place || dx_slice_equal(in, dx_slice_str(places[i]));
    if (!yyjson_is_obj(value) || !place || !wire.size) {
        dx_import_tell(im, at, "is not a parameter with a name and a place (path, query, header or cookie); it is left out");
        return false;
    }
    if (is_ignored_header(in, wire)) {
        dx_import_tell(im, at, "OpenAPI ignores the header parameter %.*s, and so it is left out", DX_SLICE_ARG(wire));
        return false;
    }
    return true;
}

// Those of the operation stand before those of the path, which they replace.
static void gather(dx_import_operation *op, givens *all, yyjson_val *params, dx_slice base) {
    dx_importer *im = op->im;
    size_t i, count;
    yyjson_val *item;
    yyjson_arr_foreach(params, i, count, item) {
        dx_slice at = dx_json_pointer_index(im->arena, base, i);
        yyjson_val *value = dx_import_resolve(im, item, &at);
        if (!value) continue;
        dx_slice in = dx_json_member_slice(value, "in"), wire = dx_json_member_slice(value, "name");
        bool known = false;
        for (size_t j = 0; j < all->count; j++)
            known = known || (dx_slice_equal(all->items[j].wire, wire) && dx_slice_equal(all->items[j].in, in));
        if (known || !is_usable(im, value, at, in, wire)) continue;
        if (all->count == DX_IMPORT_PARAMS_CAP) {
            dx_import_tell(im, at, "is one parameter more than %u; the rest is left out", DX_IMPORT_PARAMS_CAP);
            return;
        }
        all->items[all->count++] = (given){.value = value, .at = at, .wire = wire, .in = in};
    }
}

static given *find_in_path(givens *all, dx_slice wire) {
    for (size_t i = 0; i < all->count; i++)
        if (dx_slice_equal(all->items[i].in, DX_SLICE("path")) && dx_slice_equal(all->items[i].wire, wire)) return &all->items[i];
    return NULL;
}

// A name in the path that no parameter describes.
static dx_slice add_missing(dx_import_operation *op, dx_slice wire) {
    dx_importer *im = op->im;
    dx_slice key = dx_import_key(op, wire, DX_SLICE("path"));
    yyjson_mut_val *param = dx_import_object(im);
    dx_import_tell(im, op->at, "the path's {%.*s} is not described; a string is taken", DX_SLICE_ARG(wire));
    dx_import_put(im, param, DX_SLICE("in"), dx_import_text(im, DX_SLICE("path")));
    if (!dx_slice_equal(key, wire)) dx_import_put(im, param, DX_SLICE("name"), dx_import_text(im, wire));
    dx_import_put(im, param, DX_SLICE("type"), dx_import_text(im, DX_SLICE("str")));
    dx_import_put(im, param, DX_SLICE("required"), dx_import_bool(im, true));
    dx_import_put(im, op->params, key, param);
    return key;
}

// Writes the path with keys for names, and describes parameters of the path in the order in which they stand there.
static void write_path(dx_import_operation *op, givens *all, dx_slice *path) {
    dx_importer *im = op->im;
    dx_buffer made;
    dx_buffer_init(&made, im->arena, 64 * op->path.size + 64);
    dx_slice rest = op->path;
    while (rest.data) {
        dx_slice text = dx_slice_cut(&rest, '{');
        dx_buffer_add(&made, text);
        if (!rest.data) break;
        dx_slice wire = dx_slice_cut(&rest, '}');
        given *param = find_in_path(all, wire);
        dx_slice key;
        if (param) {
            if (!param->key.data) param->key = add_param(op, param->value, param->at);
            key = param->key;
        } else {
            given made_up = {.wire = wire, .in = DX_SLICE("path"), .key = add_missing(op, wire)};
            key = made_up.key;
            if (all->count < DX_IMPORT_PARAMS_CAP) all->items[all->count++] = made_up;
        }
        dx_buffer_printf(&made, "{%.*s}", DX_SLICE_ARG(key));
    }
    if (dx_buffer_status(&made) != DX_OK) im->status = DX_NO_MEMORY;
    *path = dx_buffer_slice(&made);
}

void dx_import_params(dx_import_operation *op, dx_slice *path) {
    dx_importer *im = op->im;
    givens all = {.count = 0};
    gather(op, &all, yyjson_obj_get(op->value, "parameters"), dx_import_pointer(im, op->at, "parameters"));
    gather(op, &all, yyjson_obj_get(op->item, "parameters"), dx_import_pointer(im, op->item_at, "parameters"));
    write_path(op, &all, path);
    for (size_t i = 0; i < all.count && im->status == DX_OK; i++) {
        given *param = &all.items[i];
        if (param->key.data) continue;
        if (dx_slice_equal(param->in, DX_SLICE("path")))
            dx_import_tell(im, param->at, "the path has no {%.*s}; the parameter is left out", DX_SLICE_ARG(param->wire));
        else
            param->key = add_param(op, param->value, param->at);
    }
}
