#include "cli/apis_show.h"
#include "client/value.h"

static const char *const places[] = {"path", "query", "header", "cookie", "body"};
static const char *const types[] = {"any", "int", "float", "str", "bool", "list", "dict", "file"};

// --- variables that are not set --------------------------------------------------------------------------------------------------

void dx_unsets_init(dx_unsets *unsets, dx_arena *arena) {
    *unsets = (dx_unsets){.arena = arena};
    unsets->last = &unsets->first;
}

void dx_unsets_add(void *ctx, dx_slice pointer, dx_slice name) {
    dx_unsets *unsets = ctx;
    dx_unset *unset = DX_ARENA_NEW(unsets->arena, dx_unset);
    if (!unset) return;
    *unset = (dx_unset){dx_arena_copy(unsets->arena, pointer), dx_arena_copy(unsets->arena, name), NULL};
    *unsets->last = unset;
    unsets->last = &unset->next;
}

dx_slice dx_unset_at(const dx_unsets *unsets, dx_slice pointer) {
    for (const dx_unset *unset = unsets->first; unset; unset = unset->next)
        if (dx_slice_equal(unset->pointer, pointer)) return unset->name;
    return (dx_slice){0};
}

// --- trees -----------------------------------------------------------------------------------------------------------------------

static void put(const dx_apis_view *view, yyjson_mut_val *object, const char *name, dx_slice value) {
    if (value.size) yyjson_mut_obj_add_strncpy(view->doc, object, name, value.data, value.size);
}

static dx_slice base_url(const dx_apis_view *view, const dx_api *api) {
    dx_slice unset = dx_unset_at(view->unsets, dx_json_pointer_join(view->arena, api->pointer, DX_SLICE("base_url")));
    if (unset.size) return dx_arena_printf(view->arena, "${%.*s} (not set)", DX_SLICE_ARG(unset));
    return dx_arena_printf(view->arena, "%.*s%.*s", DX_SLICE_ARG(api->origin), DX_SLICE_ARG(api->base_path));
}

static dx_slice auth_of(const dx_settings *settings) {
    dx_slice type = dx_json_member_slice(settings->auth, "type");
    return type.size ? type : DX_SLICE("none");
}

static yyjson_mut_val *head_of(const dx_apis_view *view, const dx_api *api) {
    yyjson_mut_val *object = yyjson_mut_obj(view->doc);
    put(view, object, "name", api->name);
    put(view, object, "title", api->title);
    put(view, object, "base_url", base_url(view, api));
    put(view, object, "auth", auth_of(api->settings));
    return object;
}

yyjson_mut_val *dx_apis_show_all(const dx_apis_view *view) {
    yyjson_mut_val *list = yyjson_mut_arr(view->doc);
    dx_map_entry *entry;
    for (size_t at = 0; (entry = dx_map_next(&view->apis->apis, &at));) {
        const dx_api *api = entry->value;
        yyjson_mut_val *object = head_of(view, api);
        yyjson_mut_obj_add_uint(view->doc, object, "endpoints", api->endpoint_count);
        yyjson_mut_arr_append(list, object);
    }
    return list;
}

dx_slice dx_apis_name_of(const dx_apis_view *view, const dx_endpoint *endpoint) {
    dx_slice name = dx_arena_printf(view->arena, "%.*s.%.*s", DX_SLICE_ARG(endpoint->api->name), DX_SLICE_ARG(endpoint->name));
    return dx_map_get(&view->apis->names, name) == endpoint ? name : endpoint->full;
}

static yyjson_mut_val *line_of(const dx_apis_view *view, const dx_endpoint *endpoint) {
    yyjson_mut_val *object = yyjson_mut_obj(view->doc);
    put(view, object, "name", dx_apis_name_of(view, endpoint));
    put(view, object, "method", dx_slice_str(dx_method_name((dx_method)endpoint->method)));
    put(view, object, "path", endpoint->path);
    put(view, object, "summary", endpoint->summary);
    return object;
}

yyjson_mut_val *dx_apis_show_api(const dx_apis_view *view, const dx_api *api) {
    yyjson_mut_val *object = head_of(view, api), *list = yyjson_mut_arr(view->doc);
    yyjson_mut_obj_add_val(view->doc, object, "endpoints", list);
    for (size_t i = 0; i < api->endpoint_count; i++) yyjson_mut_arr_append(list, line_of(view, api->endpoints[i]));
    return object;
}

// --- one endpoint ----------------------------------------------------------------------------------------------------------------

static yyjson_mut_val *param_of(const dx_apis_view *view, const dx_endpoint *endpoint, const dx_param *param) {
    yyjson_mut_val *object = yyjson_mut_obj(view->doc);
    dx_slice at = dx_json_pointer_join(
        view->arena, dx_json_pointer_join(view->arena, dx_endpoint_pointer(endpoint, view->arena), DX_SLICE("params")), param->name);
    yyjson_val *schema = yyjson_obj_get(dx_json_at(dx_definition_root(view->apis->definition), at), "schema");
    bool secret =
        param->secret || dx_definition_is_secret(view->apis->definition, dx_json_pointer_join(view->arena, at, DX_SLICE("default")));
    put(view, object, "name", param->name);
    put(view, object, "in", dx_slice_str(places[param->in]));
    put(view, object, "type", dx_slice_str(types[param->type]));
    yyjson_mut_obj_add_bool(view->doc, object, "required", param->required && !param->otherwise);
    if (param->secret) yyjson_mut_obj_add_bool(view->doc, object, "secret", true);
    if (param->otherwise)
        yyjson_mut_obj_add_val(view->doc, object, "default",
                               secret ? yyjson_mut_str(view->doc, "[redacted]") : dx_given_value(view->doc, param->otherwise));
    if (schema) yyjson_mut_obj_add_val(view->doc, object, "schema", yyjson_val_mut_copy(view->doc, schema));
    put(view, object, "description", param->description);
    return object;
}

static void put_model(const dx_apis_view *view, yyjson_mut_val *object, const char *as, dx_slice name, bool list) {
    yyjson_val *model = yyjson_obj_getn(dx_definition_section(view->apis->definition, "models"), name.data ? name.data : "", name.size);
    if (!name.size) return;
    yyjson_mut_val *told = yyjson_mut_obj_add_obj(view->doc, object, as);
    put(view, told, "name", dx_arena_printf(view->arena, "%.*s%s", DX_SLICE_ARG(name), list ? "[]" : ""));
    if (model) yyjson_mut_obj_add_val(view->doc, told, "schema", yyjson_val_mut_copy(view->doc, model));
}

static void write_example_value(dx_buffer *out, const dx_param *param) {
    static const char *const values[] = {NULL, "=1", "=1.5", NULL, "=true", "=a,b", ":='{}'", "=@FILE"};
    if (values[param->type]) return dx_buffer_add(out, dx_slice_str(values[param->type]));
    dx_buffer_byte(out, '=');
    for (size_t i = 0; i < param->name.size; i++) {
        char byte = param->name.data[i];
        dx_buffer_byte(out, byte >= 'a' && byte <= 'z' ? (char)(byte - 'a' + 'A') : byte);
    }
}

static dx_slice example_of(const dx_apis_view *view, const dx_endpoint *endpoint) {
    dx_buffer text;
    dx_buffer_init(&text, view->arena, 65536);
    dx_buffer_printf(&text, "duplex call %s %.*s", view->file, DX_SLICE_ARG(dx_apis_name_of(view, endpoint)));
    for (size_t i = 0; i < endpoint->param_count; i++) {
        if (!endpoint->params[i].required || endpoint->params[i].otherwise) continue;
        dx_buffer_printf(&text, " %.*s", DX_SLICE_ARG(endpoint->params[i].name));
        write_example_value(&text, &endpoint->params[i]);
    }
    return dx_buffer_slice(&text);
}

yyjson_mut_val *dx_apis_show_endpoint(const dx_apis_view *view, const dx_endpoint *endpoint) {
    yyjson_mut_val *object = line_of(view, endpoint), *list = yyjson_mut_arr(view->doc);
    put(view, object, "full_name", endpoint->full);
    put(view, object, "base_url", base_url(view, endpoint->api));
    put(view, object, "auth", endpoint->auth_required ? auth_of(endpoint->settings) : DX_SLICE("none"));
    yyjson_mut_obj_add_val(view->doc, object, "parameters", list);
    for (size_t i = 0; i < endpoint->param_count; i++) yyjson_mut_arr_append(list, param_of(view, endpoint, &endpoint->params[i]));
    put_model(view, object, "request_model", endpoint->request_model, false);
    put_model(view, object, "response_model", endpoint->response_model, endpoint->response_list);
    put(view, object, "paginate", dx_json_member_slice(endpoint->paginate, "type"));
    put(view, object, "example", example_of(view, endpoint));
    return object;
}
