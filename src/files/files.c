// The feature's row of functions: reads the section, opens the folders, gives each mount its operations.
#include "files/files.h"

#include <unistd.h>

#include "config/plan.h"
#include "files/parts.h"

#define FOUND "what is found there changes"

static const dx_plan_rule plan_rules[] = {
    {"/files", DX_PLAN_REMOVED, DX_PLAN_ONLINE, true, "nothing is served from folders any more; the files stay"},
    {"/files/*", DX_PLAN_REMOVED, DX_PLAN_ONLINE, true, "its paths are gone; the files stay"},
    {"/files/*/access/**", DX_PLAN_ANY, DX_PLAN_ONLINE, true, "others may read"},
    {"/files/*/upload", DX_PLAN_REMOVED, DX_PLAN_ONLINE, true, "nobody may write there any more"},
    {"/files/*/upload/access/**", DX_PLAN_ANY, DX_PLAN_ONLINE, true, "others may write"},
    {"/files/*/upload/cap", DX_PLAN_ANY, DX_PLAN_ONLINE, true, "over a lower bound, what was taken is refused"},
    {"/files/*/upload/replace", DX_PLAN_ANY, DX_PLAN_ONLINE, true, "whether files may be replaced or deleted changes"},
    {"/files/*/folder", DX_PLAN_ANY, DX_PLAN_ONLINE, true, FOUND},
    {"/files/*/index", DX_PLAN_ANY, DX_PLAN_ONLINE, true, FOUND},
    {"/files/*/fallback", DX_PLAN_ANY, DX_PLAN_ONLINE, true, FOUND},
    {"/files/*/symlinks", DX_PLAN_ANY, DX_PLAN_ONLINE, true, FOUND},
    {"/files/*/hidden", DX_PLAN_ANY, DX_PLAN_ONLINE, true, FOUND},
    {NULL, 0, 0, false, NULL},
};
static const dx_section *const sections[] = {&dx_files_section, NULL};

static void close_folders(dx_files *files) {
    for (size_t i = 0; i < files->count; i++)
        if (files->mounts[i].root >= 0) (void)close(files->mounts[i].root);
    files->count = 0;
}

static dx_status load(void **state, dx_app *app, dx_diags *diags) {
    if (!dx_app_section(app, "files")) return DX_OK;
    dx_files *files = DX_ARENA_NEW(dx_app_arena(app), dx_files);
    if (!files) return DX_NO_MEMORY;
    files->app = app;
    dx_status status = dx_files_settings_read(files, diags);
    if (status != DX_OK)
        close_folders(files);
    else
        *state = files;
    return status;
}

// One row an operation.
static const struct route {
    const char *verb;
    dx_method method;
    dx_body_mode body;
    dx_handler handler;
    bool writes;
} routes[DX_FILES_OPERATIONS] = {
    [DX_FILES_READ] = {"read", DX_GET, DX_BODY_NONE, dx_files_read, false},
    [DX_FILES_WRITE] = {"write", DX_PUT, DX_BODY_STREAM, dx_files_write, true},
    [DX_FILES_REMOVE] = {"delete", DX_DELETE, DX_BODY_NONE, dx_files_remove, true},
    [DX_FILES_FORM] = {"upload", DX_POST, DX_BODY_STREAM, dx_files_form, true},

};

static dx_status add_operation(dx_mount *mount, size_t at) {
    const struct route *route = &routes[at];
    dx_arena *arena = dx_app_arena(mount->app);
    dx_operation *operation = &mount->operations[at];
    *operation = (dx_operation){.method = route->method,
                                .body = route->body,
                                .body_cap = route->writes ? mount->upload_cap : 0,
                                .handler = route->handler,
                                .conf = mount,
                                .describe = dx_files_describe,
                                .access = route->writes ? mount->upload_access : mount->access,
                                .any_type = !route->writes,
                                .content_policy = mount->policy};
    operation->id = dx_arena_printf(arena, "files.%s:%s%.*s", route->verb, mount->prefix.size ? "" : "/", DX_SLICE_ARG(mount->prefix));
    operation->path = dx_arena_printf(arena, "%.*s/{path*}", DX_SLICE_ARG(mount->prefix));
    if (!operation->id.data || !operation->path.data) return DX_NO_MEMORY;
    if (!operation->content_policy.data) operation->content_policy = DX_SLICE("");
    return dx_app_add_operation(mount->app, operation);
}

// The folder's path without its "/".
static dx_status add_bare(dx_mount *mount) {
    if (!mount->prefix.size) return DX_OK;
    mount->bare = mount->operations[DX_FILES_READ];
    mount->bare.id = mount->bare.path = mount->prefix;
    mount->bare.describe = NULL;
    return dx_app_add_operation(mount->app, &mount->bare);
}

static dx_status build(void *state, dx_app *app, dx_diags *diags) {
    dx_files *files = state;
    (void)app, (void)diags;
    for (size_t i = 0; files && i < files->count; i++) {
        dx_mount *mount = &files->mounts[i];
        for (size_t at = 0; at < (mount->uploads ? DX_FILES_OPERATIONS : 1); at++) {
            dx_status status = add_operation(mount, at);
            if (status != DX_OK) return status;
        }
        dx_status status = add_bare(mount);
        if (status != DX_OK) return status;
    }
    return DX_OK;
}

static void stop(void *state) {
    if (state) close_folders(state);
}

const dx_feature dx_files_feature = {.name = "files", .sections = sections, .plan = plan_rules, .load = load, .build = build, .stop = stop};
