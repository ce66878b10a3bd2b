// Paths and their operations: each becomes an endpoint, named by its operationId or by method and path, in the group of its version.
#include "client/import_parts.h"

#define PATH_CAP 1000

static const char *const methods[] = {"get", "put", "post", "delete", "options", "head", "patch"};

static dx_slice name_of(dx_import_operation *op) {
    dx_importer *im = op->im;
    dx_slice id = dx_json_member_slice(op->value, "operationId");
    if (id.size) return dx_import_snake(im, id, "call");
    dx_buffer text; // "get /users/{id}" → "get_users_by_id"
    dx_buffer_init(&text, im->arena, 4 * op->path.size + 64);
    dx_buffer_add(&text, op->method);
    dx_slice rest = op->path;
    while (rest.data) {
        dx_slice part = dx_slice_cut(&rest, '/');
        if (part.size) dx_buffer_add(&text, part.data[0] == '{' ? DX_SLICE("_by_") : DX_SLICE("_"));
        dx_buffer_add(&text, part);
    }
    if (dx_buffer_status(&text) != DX_OK) im->status = DX_NO_MEMORY;
    return dx_import_snake(im, dx_buffer_slice(&text), "call");
}

static void put_summary(dx_import_operation *op) {
    dx_importer *im = op->im;
    dx_slice text = dx_json_member_slice(op->value, "summary"), rest = dx_json_member_slice(op->value, "description");
    if (!text.size) text = dx_slice_cut(&rest, '\n'); // of a longer description, the first line
    if (!text.size) text = dx_json_member_slice(op->item, "summary");
    bool old = yyjson_is_true(yyjson_obj_get(op->value, "deprecated"));
    if (old) text = dx_arena_printf(im->arena, "Deprecated%s%.*s", text.size ? ": " : "", DX_SLICE_ARG(text));
    if (old && !text.data) im->status = DX_NO_MEMORY;
    if (text.size) dx_import_put(im, op->endpoint, DX_SLICE("summary"), dx_import_text(im, text));
}

// Endpoints of all versions have different names, so that a name alone finds one.
static dx_slice unique_name(dx_import_operation *op, dx_map *names) {
    dx_slice wish = name_of(op), name = dx_import_unique(op->im, names, wish);
    if (!dx_slice_equal(wish, name))
        dx_import_tell(op->im, op->at, "another endpoint is \"%.*s\" already; this is \"%.*s\"", DX_SLICE_ARG(wish), DX_SLICE_ARG(name));
    return name;
}

// A path as a definition takes it.
static bool is_path(dx_slice path) {
    if (!path.size || path.size > PATH_CAP || path.data[0] != '/') return false;
    for (size_t i = 0; i < path.size; i++)
        if (path.data[i] == '?' || path.data[i] == '#' || (unsigned char)path.data[i] <= ' ') return false;
    return true;
}

static void add_endpoint(dx_import_operation *op) {
    dx_importer *im = op->im;
    dx_slice path = op->path, version = dx_import_path_version(im, op->path);
    yyjson_mut_val *group = dx_import_member(im, im->endpoints, version.size ? version : im->version);
    op->endpoint = dx_import_object(im);
    op->params = dx_import_object(im);
    dx_map_init(&op->keys, im->arena);
    dx_import_params(op, &path);
    dx_import_put(im, op->endpoint, DX_SLICE("path"), dx_import_text(im, path));
    dx_import_put(im, op->endpoint, DX_SLICE("method"), dx_import_text(im, dx_import_upper(im, op->method)));
    dx_import_put(im, op->endpoint, DX_SLICE("auth_required"), dx_import_bool(im, dx_import_auth_required(op)));
    put_summary(op);
    dx_import_request(op);
    if (yyjson_mut_obj_size(op->params)) dx_import_put(im, op->endpoint, DX_SLICE("params"), op->params);
    dx_import_response(op);
    if (yyjson_obj_size(yyjson_obj_get(op->value, "callbacks"))) dx_import_leave_out(im, DX_LEFT_CALLBACKS, op->at);
    if (yyjson_obj_get(op->value, "servers") || yyjson_obj_get(op->item, "servers")) dx_import_leave_out(im, DX_LEFT_SERVERS, op->at);
    dx_import_add(im, group, op->name, op->endpoint);
    im->endpoint_count++;
}

static void add_operations(dx_importer *im, yyjson_val *item, dx_slice path, dx_slice item_at, dx_map *names) {
    if (yyjson_obj_get(item, "trace"))
        dx_import_tell(im, dx_import_pointer(im, item_at, "trace"), "the method TRACE can't be called; it is left out");
    for (size_t i = 0; i < DX_COUNT_OF(methods) && im->status == DX_OK; i++) {
        yyjson_val *value = yyjson_obj_get(item, methods[i]);
        if (!yyjson_is_obj(value)) continue;
        dx_import_operation op = {
            .im = im, .item = item, .value = value, .item_at = item_at, .path = path, .method = dx_slice_str(methods[i])};
        op.at = dx_import_pointer(im, item_at, methods[i]);
        if (im->endpoint_count == DX_IMPORT_ENDPOINTS_CAP) {
            dx_import_tell(im, op.at, "the document has more than %u operations", DX_IMPORT_ENDPOINTS_CAP);
            im->status = DX_TOO_LARGE;
            return;
        }
        op.name = unique_name(&op, names);
        if (im->status == DX_OK) add_endpoint(&op);
    }
}

void dx_import_paths(dx_importer *im) {
    size_t i, count;
    yyjson_val *name, *item;
    dx_map names;
    dx_map_init(&names, im->arena);
    yyjson_obj_foreach(yyjson_obj_get(im->document, "paths"), i, count, name, item) {
        dx_slice path = dx_json_slice(name), at = dx_json_pointer_join(im->arena, DX_SLICE("/paths"), path);
        if (im->status != DX_OK) return;
        if (dx_slice_starts(path, DX_SLICE("x-"))) continue;
        if (!is_path(path)) {
            dx_import_tell(im, at, "is not a path (one starts with / and has no ?, no # and no spaces); it is left out");
            continue;
        }
        yyjson_val *found = yyjson_is_obj(item) ? dx_import_resolve(im, item, &at) : NULL;
        if (found) add_operations(im, found, path, at, &names);
    }
}
