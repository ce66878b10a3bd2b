// Reading the section `files`: folders that exist, paths that do not stand in each other's way, and who may do what.
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "files/parts.h"

extern const char dx_files_schema[]; // files.schema.json, embedded by the build
const dx_section dx_files_section = {"files", dx_files_schema, false, NULL};

// "public", "authenticated" or {"roles": […]}.
static dx_status read_access(dx_mount *mount, dx_access *out, yyjson_val *rule) {
    yyjson_val *list = yyjson_obj_get(rule, "roles"), *item;
    *out = (dx_access){.is_public = dx_slice_equal(dx_json_slice(rule), DX_SLICE("public"))};
    if (!list) return DX_OK;
    size_t at, count = yyjson_arr_size(list);
    dx_slice *roles = DX_ARENA_ARRAY(dx_app_arena(mount->app), dx_slice, count);
    if (!roles) return DX_NO_MEMORY;
    yyjson_arr_foreach(list, at, count, item) roles[at] = dx_json_slice(item);
    *out = (dx_access){.roles = roles, .role_count = count};
    return DX_OK;
}

// A relative folder lies beside the definition.
static dx_status place_folder(dx_mount *mount, dx_slice folder) {
    const char *path = dx_definition_path(dx_app_definition(mount->app)), *slash = strrchr(path, '/');
    dx_slice whole = folder.data[0] != '/' && slash
                         ? dx_arena_printf(dx_app_arena(mount->app), "%.*s/%.*s", (int)(slash - path), path, DX_SLICE_ARG(folder))
                         : dx_arena_copy(dx_app_arena(mount->app), folder);
    mount->folder = whole.data; // both end in a NUL
    return whole.data ? DX_OK : DX_NO_MEMORY;
}

static void open_folder(dx_mount *mount, dx_diags *diags) {
    dx_slice pointer = dx_json_pointer_join(dx_app_arena(mount->app), mount->pointer, DX_SLICE("folder"));
    mount->root = open(mount->folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (mount->root >= 0) return;
    dx_diag *diag = dx_definition_complain(dx_app_definition(mount->app), diags, pointer, "the folder %s can't be opened: %s",
                                           mount->folder, strerror(errno));
    if (diag) diag->suggestion = DX_SLICE("make it, or correct the path: it is relative to the definition's folder");
}

static dx_status read_types(dx_mount *mount, yyjson_val *types) {
    size_t at, count;
    yyjson_val *key, *value;
    dx_map_init(&mount->types, dx_app_arena(mount->app));
    yyjson_obj_foreach(types, at, count, key, value) {
        dx_slice *type = DX_ARENA_NEW(dx_app_arena(mount->app), dx_slice);
        if (!type) return DX_NO_MEMORY;
        *type = dx_json_slice(value);
        if (dx_map_put(&mount->types, dx_json_slice(key), type) != DX_OK) return DX_NO_MEMORY;
    }
    return DX_OK;
}

static dx_status read_upload(dx_mount *mount, yyjson_val *upload, dx_diags *diags) {
    dx_status status = read_access(mount, &mount->upload_access, yyjson_obj_get(upload, "access"));
    mount->uploads = true;
    mount->replace = yyjson_get_bool(yyjson_obj_get(upload, "replace"));
    if (status != DX_OK) return status;
    if (dx_size_read(dx_json_member_slice(upload, "cap"), &mount->upload_cap) && mount->upload_cap) return DX_OK;
    dx_slice pointer = dx_json_pointer_join(dx_app_arena(mount->app), mount->pointer, DX_SLICE("upload"));
    pointer = dx_json_pointer_join(dx_app_arena(mount->app), pointer, DX_SLICE("cap"));
    dx_definition_complain(dx_app_definition(mount->app), diags, pointer, "expected a size over 0");
    return DX_OK;
}

static dx_status read_mount(dx_mount *mount, yyjson_val *settings, dx_diags *diags) {
    dx_status status = place_folder(mount, dx_json_member_slice(settings, "folder"));
    if (status == DX_OK) status = read_access(mount, &mount->access, yyjson_obj_get(settings, "access"));
    if (status == DX_OK) status = read_types(mount, yyjson_obj_get(settings, "types"));
    if (status != DX_OK) return status;
    mount->index = dx_json_member_slice(settings, "index");
    mount->fallback = dx_json_member_slice(settings, "fallback");
    mount->policy = dx_json_member_slice(settings, "content_security_policy");
    mount->cache_control = dx_json_member_slice(settings, "cache_control");
    if (!mount->cache_control.size)
        mount->cache_control = mount->access.is_public ? DX_SLICE("public, no-cache") : DX_SLICE("private, no-cache");
    mount->symlinks = yyjson_get_bool(yyjson_obj_get(settings, "symlinks"));
    mount->hidden = yyjson_get_bool(yyjson_obj_get(settings, "hidden"));
    mount->precompressed = yyjson_get_bool(yyjson_obj_get(settings, "precompressed"));
    open_folder(mount, diags);
    if (mount->fallback.size && !dx_files_path_allowed(mount, mount->fallback)) {
        dx_slice pointer = dx_json_pointer_join(dx_app_arena(mount->app), mount->pointer, DX_SLICE("fallback"));
        dx_definition_complain(dx_app_definition(mount->app), diags, pointer, "expected a path inside the folder, like \"index.html\"");
    }
    yyjson_val *upload = yyjson_obj_get(settings, "upload");
    return upload ? read_upload(mount, upload, diags) : DX_OK;
}

dx_status dx_files_settings_read(dx_files *files, dx_diags *diags) {
    yyjson_val *section = dx_app_section(files->app, "files"), *key, *value;
    size_t at, count;
    files->mounts = DX_ARENA_ARRAY(dx_app_arena(files->app), dx_mount, yyjson_obj_size(section) + 1);
    if (!files->mounts) return DX_NO_MEMORY;
    yyjson_obj_foreach(section, at, count, key, value) {
        dx_mount *mount = &files->mounts[files->count];
        dx_slice prefix = dx_json_slice(key);
        *mount = (dx_mount){.app = files->app, .root = -1, .prefix = prefix.size == 1 ? DX_SLICE("") : prefix};
        mount->pointer = dx_json_pointer_join(dx_app_arena(files->app), DX_SLICE("/files"), prefix);
        files->count++;
        dx_status status = mount->pointer.data ? read_mount(mount, value, diags) : DX_NO_MEMORY;
        if (status != DX_OK) return status;
    }
    return DX_OK;
}
