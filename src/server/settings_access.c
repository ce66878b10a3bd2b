// Reading who may connect: `trusted_proxies`, `allow` and `deny`, and whom the process shall be.
#include "server/settings.h"

static void destroy_ranges(void *ranges) {
    dx_ranges_destroy(ranges);
}

// Findings of the ranges know no file; here they get its line.
static void locate(const dx_settings_reader *r, const dx_diags *found) {
    for (const dx_diag *diag = found->first; diag; diag = diag->next) {
        dx_diag *told = dx_definition_complain(r->definition, r->diags, diag->pointer, "%.*s", DX_SLICE_ARG(diag->message));
        dx_diag_suggest(r->diags, told, diag->suggestion);
    }
}

static dx_status read_ranges(dx_settings_reader *r, const char *name, const dx_ranges **out) {
    yyjson_val *list = yyjson_obj_get(r->section, name), *item;
    size_t index, count;
    dx_slice *texts = DX_ARENA_ARRAY(r->arena, dx_slice, yyjson_arr_size(list) + 1);
    dx_slice pointer = dx_arena_printf(r->arena, "/server/%s", name);
    if (!texts || !pointer.data) return DX_NO_MEMORY;
    yyjson_arr_foreach(list, index, count, item) texts[index] = dx_json_slice(item);
    if (yyjson_arr_size(list) == 0) return DX_OK;
    dx_diags found;
    dx_ranges *ranges = NULL;
    dx_diags_init(&found, r->arena);
    dx_status status = dx_ranges_create(&ranges, texts, yyjson_arr_size(list), pointer, &found);
    if (status != DX_OK) {
        locate(r, &found);
        return status == DX_NO_MEMORY ? status : DX_OK;
    }
    *out = ranges;
    status = dx_arena_defer(r->arena, destroy_ranges, ranges);
    if (status != DX_OK) dx_ranges_destroy(ranges);
    return status;
}

static dx_status copy(dx_settings_reader *r, const char *name, const char **out) {
    dx_slice text = dx_json_member_slice(r->section, name);
    if (text.size == 0) return DX_OK;
    *out = dx_arena_copy(r->arena, text).data;
    return *out ? DX_OK : DX_NO_MEMORY;
}

dx_status dx_settings_read_access(dx_settings_reader *r) {
    dx_settings *out = r->out;
    dx_status status = read_ranges(r, "trusted_proxies", &out->gate.proxies);
    if (status == DX_OK) status = read_ranges(r, "allow", &out->gate.allow);
    if (status == DX_OK) status = read_ranges(r, "deny", &out->gate.deny);
    if (status == DX_OK) status = copy(r, "user", &out->user);
    if (status == DX_OK) status = copy(r, "group", &out->group);
    if (out->group && !out->user)
        dx_settings_complain(r, "name the user too", DX_SLICE("/server/group"), "a group alone would leave the user's rights as they are");
    out->reads_forwarded = dx_slice_equal(dx_json_member_slice(r->section, "forwarded"), DX_SLICE("forwarded"));
    out->gate.all = out->limits.connections;
    return status;
}
