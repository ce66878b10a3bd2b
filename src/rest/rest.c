// The feature's row of functions: loads the resources, and gives each its routes. All handlers are the same for all resources; what differs
// is one struct a resource, so a thousand resources cost a thousand structs and no code.
#include "rest/rest.h"

#include "resource/plan_rules.h"
#include "rest/feed.h"
#include "rest/parts.h"

// One row a route.
static const struct route {
    const char *name;
    dx_method method;
    enum { COLLECTION, ITEM, CHANGES } on;
    bool body;
    dx_resource_action action;
    dx_handler handler;
    void (*describe)(const void *conf, const dx_operation *operation, yyjson_mut_doc *doc, yyjson_mut_val *object);
} routes[DX_REST_ROUTES] = {
    [DX_REST_LIST] = {"list", DX_GET, COLLECTION, false, DX_ACTION_LIST, dx_rest_list, dx_rest_describe_list},
    [DX_REST_CREATE] = {"create", DX_POST, COLLECTION, true, DX_ACTION_CREATE, dx_rest_create, dx_rest_describe_create},
    [DX_REST_DELETE_MANY] = {"delete_many", DX_DELETE, COLLECTION, true, DX_ACTION_DELETE, dx_rest_delete_many,
                             dx_rest_describe_delete_many},
    [DX_REST_READ] = {"read", DX_GET, ITEM, false, DX_ACTION_READ, dx_rest_read, dx_rest_describe_read},
    [DX_REST_REPLACE] = {"replace", DX_PUT, ITEM, true, DX_ACTION_REPLACE, dx_rest_replace, dx_rest_describe_replace},
    [DX_REST_CHANGE] = {"change", DX_PATCH, ITEM, true, DX_ACTION_CHANGE, dx_rest_change, dx_rest_describe_change},
    [DX_REST_DELETE] = {"delete", DX_DELETE, ITEM, false, DX_ACTION_DELETE, dx_rest_delete, dx_rest_describe_delete},
    [DX_REST_OPTIONS] = {"options", DX_OPTIONS, ITEM, false, DX_ACTION_COUNT, dx_rest_options, NULL},
    [DX_REST_CHANGES] = {"changes", DX_GET, CHANGES, false, DX_ACTION_LIST, dx_rest_changes, dx_rest_describe_changes},
    [DX_REST_CHANGES_OPTIONS] = {"changes_options", DX_OPTIONS, CHANGES, false, DX_ACTION_COUNT, dx_rest_changes_options, NULL},
};

static const dx_section *const sections[] = {&dx_models_section, &dx_resources_section, NULL};

// --- load ------------------------------------------------------------------------------------------------------------------

static dx_status add_tables(dx_app *app, const dx_resource_set *set) {
    size_t count = dx_resources_tables(set, NULL, 0);
    const dx_table **tables = DX_ARENA_ARRAY(dx_app_arena(app), const dx_table *, count);
    if (!tables) return DX_NO_MEMORY;
    count = dx_resources_tables(set, tables, count);
    for (size_t i = 0; i < count; i++) {
        dx_status status = dx_app_add_table(app, tables[i]);
        if (status != DX_OK) return status;
    }
    return DX_OK;
}

static dx_status rest_load(void **state, dx_app *app, dx_diags *diags) {
    dx_rest *rest = DX_ARENA_NEW(dx_app_arena(app), dx_rest);
    if (!rest) return DX_NO_MEMORY;
    rest->app = app;
    yyjson_val *limits = yyjson_obj_get(dx_app_section(app, "server"), "limits");
    rest->streams_cap = (uint32_t)yyjson_get_uint(yyjson_obj_get(limits, "change_streams"));
    dx_seats_init(&rest->seats, (uint32_t)yyjson_get_uint(yyjson_obj_get(limits, "change_streams_each")));
    *state = rest;
    dx_status status = dx_resources_load(&rest->set, dx_app_arena(app), dx_app_definition(app), dx_app_base_path(app), diags);
    return status == DX_OK ? add_tables(app, rest->set) : status;
}

// --- build -----------------------------------------------------------------------------------------------------------------

static dx_status add_route(dx_rest_resource *self, dx_rest_route at) {
    static const dx_rest_route first[] = {[COLLECTION] = DX_REST_LIST, [ITEM] = DX_REST_READ, [CHANGES] = DX_REST_CHANGES};
    static const char *const tails[] = {[COLLECTION] = "", [ITEM] = "/{id}", [CHANGES] = "/changes"};
    const struct route *route = &routes[at];
    if (route->on == CHANGES && !self->resource->changes) return DX_OK;
    const dx_resource *resource = self->resource;
    dx_arena *arena = dx_app_arena(self->rest->app);
    dx_operation *operation = &self->operations[at];
    operation->id = dx_arena_printf(arena, "%.*s.%s", DX_SLICE_ARG(resource->name), route->name);
    operation->method = route->method;
    operation->path = self->operations[first[route->on]].path;
    if (!operation->path.data) operation->path = dx_arena_printf(arena, "%.*s%s", DX_SLICE_ARG(resource->base_path), tails[route->on]);
    operation->body = route->body ? DX_BODY_WHOLE : DX_BODY_NONE;
    operation->handler = route->handler;
    operation->conf = self;
    operation->describe = route->describe;
    operation->any_type = route->on == CHANGES;
    if (route->action == DX_ACTION_COUNT) {
        operation->access.is_public = true;
    } else {
        operation->access = resource->access[route->action];
    }
    if (!operation->id.data || !operation->path.data) return DX_NO_MEMORY;
    return dx_app_add_operation(self->rest->app, operation);
}

static dx_rest_caching caching_of(const dx_resource *resource, dx_resource_action action) {
    bool everyone = resource->access[action].is_public;
    dx_slice control = everyone ? DX_SLICE("public, no-cache") : DX_SLICE("private, no-cache");
    if (resource->cache_control.size) control = resource->cache_control;
    return (dx_rest_caching){control, !everyone};
}

static dx_status add_resource(dx_rest_resource *self) {
    self->caching[0] = caching_of(self->resource, DX_ACTION_READ);
    self->caching[1] = caching_of(self->resource, DX_ACTION_LIST);
    for (dx_rest_route at = 0; at < DX_REST_ROUTES; at++) {
        dx_status status = add_route(self, at);
        if (status != DX_OK) return status;
    }
    return DX_OK;
}

static dx_status add_resources(dx_rest *rest) {
    const dx_resource_set *set = rest->set;
    rest->resources = DX_ARENA_ARRAY(dx_app_arena(rest->app), dx_rest_resource, set->count);
    if (!rest->resources) return DX_NO_MEMORY;
    dx_status status = DX_OK;
    for (size_t i = 0; i < set->count && status == DX_OK; i++) {
        rest->resources[i].rest = rest;
        rest->resources[i].resource = set->items[i];
        status = add_resource(&rest->resources[i]);
    }
    if (status == DX_OK) status = dx_rest_name_schemas(rest);
    return status == DX_OK ? dx_rest_add_schemas(rest) : status;
}

static dx_status make_feeds(dx_rest *rest) {
    bool any = false;
    for (size_t i = 0; i < rest->set->count; i++) any |= rest->set->items[i]->changes != NULL;
    if (!any) return DX_OK;
    rest->feed_count = dx_app_workers(rest->app);
    rest->feeds = DX_ARENA_ARRAY(dx_app_arena(rest->app), struct dx_feeds *, rest->feed_count);
    return rest->feeds ? DX_OK : DX_NO_MEMORY;
}

static dx_status rest_build(void *state, dx_app *app, dx_diags *diags) {
    (void)diags;
    dx_rest *rest = state;
    uint8_t cursor_key[32];
    dx_app_key(app, "resource cursors", cursor_key);
    dx_status status = dx_resources_prepare(rest->set, dx_app_arena(app), dx_app_store(app), dx_app_keep(app), cursor_key);
    if (status == DX_OK) status = make_feeds(rest);
    return status == DX_OK ? add_resources(rest) : status;
}

// --- running ---------------------------------------------------------------------------------------------------------------

static dx_status rest_start(void *state, dx_app *app, unsigned worker, dx_loop *loop) {
    dx_rest *rest = state;
    (void)app;
    if (!rest->feeds) return DX_OK;
    dx_status status = dx_feeds_create(&rest->feeds[worker], rest, worker, loop);
    if (status == DX_OK && worker == 0) dx_feeds_prune_start(rest->feeds[worker]);
    return status;
}

static void rest_leave(void *state, unsigned worker, dx_loop *loop) {
    dx_rest *rest = state;
    (void)loop;
    if (rest->feeds && rest->feeds[worker]) dx_feeds_leave(rest->feeds[worker]); // NULL: the app was refused before this worker began
}

static void rest_stop(void *state) {
    dx_rest *rest = state;
    for (unsigned i = 0; rest->feeds && i < rest->feed_count; i++) dx_feeds_destroy(rest->feeds[i]);
    dx_seats_deinit(&rest->seats);
}

const dx_feature dx_rest_feature = {
    .name = "rest",
    .sections = sections,
    .plan = dx_resource_plan_rules,
    .load = rest_load,
    .build = rest_build,
    .start = rest_start,
    .leave = rest_leave,
    .stop = rest_stop,
};
