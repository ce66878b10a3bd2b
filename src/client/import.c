// The importer's frame: which versions are read, what the API is called, and the order in which the parts are made.
#include "client/import.h"

#include "client/import_parts.h"

static const char *const left_out[DX_LEFT_COUNT] = {
    [DX_LEFT_ERRORS] = "answers of errors are described, and a definition does not describe errors",
    [DX_LEFT_ANSWERS] = "there are several successful answers, and the model is that of the first",
    [DX_LEFT_HEADERS] = "headers of answers are described, and a definition does not describe them",
    [DX_LEFT_LINKS] = "links of answers are left out",
    [DX_LEFT_CALLBACKS] = "callbacks are left out",
    [DX_LEFT_SERVERS] = "servers of single operations are left out, and the API's base URL holds for them",
    [DX_LEFT_MEDIA_TYPES] = "a body has several media types, and JSON is taken, or the first",
    [DX_LEFT_ENCODINGS] = "the encoding of a body's parts is left out",
    [DX_LEFT_RESERVED] = "reserved characters (allowReserved) are percent-encoded all the same",
};

// --- is it one ------------------------------------------------------------------------------------------------------------------

static dx_status refuse(dx_importer *im, dx_slice pointer, const char *why) {
    dx_import_tell(im, pointer, "%s", why);
    return im->status == DX_OK ? DX_INVALID : im->status;
}

static dx_status check_version(dx_importer *im) {
    yyjson_val *version = yyjson_obj_get(im->document, "openapi");
    dx_slice text = dx_json_slice(version);
    if (yyjson_obj_get(im->document, "swagger"))
        return refuse(im, DX_SLICE("/swagger"), "this is Swagger 2.0; convert it to OpenAPI 3.0 first (swagger2openapi and others do)");
    if (!version) return refuse(im, DX_SLICE(""), "this is no OpenAPI document: it has no member \"openapi\" with a version (3.0 or 3.1)");
    bool number = yyjson_is_real(version); // `openapi: 3.1`, unquoted in YAML
    im->v30 = number ? yyjson_get_real(version) < 3.05 : dx_slice_starts(text, DX_SLICE("3.0"));
    bool v31 = number ? !im->v30 && yyjson_get_real(version) < 3.15 : dx_slice_starts(text, DX_SLICE("3.1"));
    if ((im->v30 && (!number || yyjson_get_real(version) > 2.95)) || v31) return DX_OK;
    return refuse(im, DX_SLICE("/openapi"), "expected OpenAPI 3.0 or 3.1");
}

// --- what it is called --------------------------------------------------------------------------------------------------------------

static bool is_name(dx_slice text) {
    char lower = text.size ? (char)(text.data[0] | 0x20) : 0;
    if (lower < 'a' || lower > 'z' || text.size > 63) return false;
    for (size_t i = 1; i < text.size; i++) {
        char byte = text.data[i], small = (char)(byte | 0x20);
        if (!(small >= 'a' && small <= 'z') && !(byte >= '0' && byte <= '9') && byte != '_' && byte != '-') return false;
    }
    return true;
}

static dx_status choose_name(dx_importer *im) {
    dx_slice name = im->options.name;
    if (!name.size) {
        name = dx_import_snake(im, dx_json_member_slice(yyjson_obj_get(im->document, "info"), "title"), "api");
        if (name.size && !is_name(name)) name = dx_arena_printf(im->arena, "api%.*s", DX_SLICE_ARG(name)); // one starts with a letter
        if (dx_slice_equal(name, DX_SLICE("defaults"))) name = DX_SLICE("defaults_api");                   // the section's own word
    } else if (!is_name(name)) {
        return refuse(im, DX_SLICE(""), "an API's name starts with a letter and has letters, digits, _ and - (63 at most)");
    }
    im->name = name;
    im->variables = dx_import_upper(im, name);
    return im->status;
}

// "v2" of "2.1.0"; "v1" when the version says something else, a date for example.
static dx_slice version_of(dx_importer *im) {
    yyjson_val *info = yyjson_obj_get(yyjson_obj_get(im->document, "info"), "version");
    dx_slice text = dx_json_slice(info);
    int64_t major = yyjson_is_num(info) ? (int64_t)yyjson_get_num(info) : -1;
    if (text.size && (text.data[0] | 0x20) == 'v') text = dx_slice_from(text, 1);
    if (text.size && (!dx_slice_to_i64(dx_slice_cut(&text, '.'), &major) || major > 999)) major = -1;
    if (major < 0 || major > 999) return DX_SLICE("v1");
    dx_slice made = dx_arena_printf(im->arena, "v%d", (int)major);
    if (!made.data) im->status = DX_NO_MEMORY;
    return made;
}

// --- the whole -------------------------------------------------------------------------------------------------------------------

static void tell_left_out(dx_importer *im) {
    for (size_t i = 0; i < DX_LEFT_COUNT; i++)
        if (im->left[i] > 1)
            dx_import_tell(im, im->left_at[i], "%s (here and in %zu more places)", left_out[i], im->left[i] - 1);
        else if (im->left[i])
            dx_import_tell(im, im->left_at[i], "%s", left_out[i]);
    if (yyjson_obj_size(yyjson_obj_get(im->document, "webhooks")))
        dx_import_tell(im, DX_SLICE("/webhooks"), "are calls to you, not to the API; they are left out");
    if (yyjson_obj_get(im->document, "jsonSchemaDialect"))
        dx_import_tell(im, DX_SLICE("/jsonSchemaDialect"), "is not looked at; schemas are taken for JSON Schema 2020-12");
    if (!im->endpoint_count) dx_import_tell(im, DX_SLICE("/paths"), "holds no operation");
}

static yyjson_mut_val *frame(dx_importer *im) {
    yyjson_mut_val *root = dx_import_object(im), *apis = dx_import_object(im);
    im->models = dx_import_object(im);
    im->api = dx_import_object(im);
    im->endpoints = dx_import_object(im);
    dx_import_put(im, root, DX_SLICE("apis"), apis);
    dx_import_put(im, root, DX_SLICE("models"), im->models);
    dx_import_put(im, apis, im->name, im->api);
    return root;
}

static yyjson_mut_val *make(dx_importer *im) {
    yyjson_mut_val *root = frame(im);
    im->version = version_of(im);
    if (im->status != DX_OK) return NULL;
    dx_slice title = dx_json_member_slice(yyjson_obj_get(im->document, "info"), "title");
    if (title.size) dx_import_put(im, im->api, DX_SLICE("title"), dx_import_text(im, title));
    dx_import_server(im);
    dx_import_choose_auth(im);
    dx_import_components(im);
    dx_import_paths(im);
    if (im->status == DX_OK) dx_import_auth(im);
    dx_import_put(im, im->api, DX_SLICE("endpoints"), im->endpoints);
    dx_import_models(im);
    if (im->status == DX_OK) dx_import_check_models(im, root);
    if (im->status == DX_OK) tell_left_out(im);
    return root;
}

dx_status dx_import_openapi(yyjson_mut_doc **out, dx_import_counts *counts, dx_arena *arena, yyjson_val *document,
                            const dx_import_options *options, dx_diags *findings) {
    dx_importer im = {.arena = arena, .document = document, .findings = findings, .doc = dx_json_mut_doc(arena)};
    *out = NULL;
    *counts = (dx_import_counts){0, 0};
    if (!im.doc) return DX_NO_MEMORY;
    if (options) im.options = *options;
    im.todo_end = &im.todo;
    dx_map_init(&im.model_of, arena);
    dx_map_init(&im.model_names, arena);
    dx_status status = check_version(&im);
    if (status == DX_OK) status = choose_name(&im);
    if (status != DX_OK) return status;
    yyjson_mut_val *root = make(&im);
    if (im.status != DX_OK) return im.status;
    yyjson_mut_doc_set_root(im.doc, root);
    *out = im.doc;
    *counts = (dx_import_counts){im.endpoint_count, yyjson_mut_obj_size(im.models)};
    return DX_OK;
}
