// A resource's settings beside its fields: access, sizes, uniqueness, indexes, references, and what migrations are told. The section's
// schema has checked the form; this says what a schema can't: names of fields and resources that exist, and combinations that make sense.
#include "resource/load.h"

// --- access ------------------------------------------------------------------------------------------------------------------

static const char *const action_names[DX_ACTION_COUNT] = {"list", "create", "read", "replace", "change", "delete"};

static bool access_roles(dx_loading *loading, dx_access *out, yyjson_val *list) {
    size_t count = yyjson_arr_size(list), i, max;
    dx_slice *roles = DX_ARENA_ARRAY(loading->arena, dx_slice, count);
    if (!roles) {
        loading->status = DX_NO_MEMORY;
        return false;
    }
    yyjson_val *item;
    yyjson_arr_foreach(list, i, max, item) roles[i] = dx_json_slice(item);
    *out = (dx_access){.roles = roles, .role_count = count};
    return true;
}

// "public", "authenticated" or {"roles": […]}; false when there is none of these.
static bool access_rule(dx_loading *loading, dx_access *out, yyjson_val *rule) {
    if (yyjson_is_str(rule)) {
        *out = (dx_access){.is_public = dx_slice_equal(dx_json_slice(rule), DX_SLICE("public"))};
        return true;
    }
    yyjson_val *roles = yyjson_obj_get(rule, "roles");
    return roles && access_roles(loading, out, roles);
}

static bool action_writes(int action) {
    return action != DX_ACTION_LIST && action != DX_ACTION_READ;
}

static void access_read(dx_loading *loading, dx_draft *draft) {
    yyjson_val *access = yyjson_obj_get(draft->settings, "access");
    dx_access everything = {0};
    if (!access_rule(loading, &everything, access)) access_rule(loading, &everything, yyjson_obj_get(access, "default"));
    for (int action = 0; action < DX_ACTION_COUNT; action++) {
        dx_access *out = &draft->resource->access[action];
        *out = everything;
        if (!access_rule(loading, out, yyjson_obj_get(access, action_names[action])))
            access_rule(loading, out, yyjson_obj_get(access, action_writes(action) ? "write" : "read"));
        if (out->is_public && draft->resource->owned && action_writes(action))
            dx_loading_complain(loading, draft->resource->pointer, "owner",
                                "rows with an owner can't be written by anyone: \"%s\" is public; make it authenticated or drop \"owner\"",
                                action_names[action]);
    }
}

// --- plain settings --------------------------------------------------------------------------------------------------------

static uint32_t number_in(yyjson_val *settings, const char *group, const char *name, uint32_t absent) {
    yyjson_val *value = yyjson_obj_get(yyjson_obj_get(settings, group), name);
    return yyjson_is_uint(value) ? (uint32_t)yyjson_get_uint(value) : absent;
}

void dx_draft_settings(dx_loading *loading, dx_draft *draft) {
    dx_resource *resource = draft->resource;
    yyjson_val *settings = draft->settings;
    resource->owned = yyjson_is_true(yyjson_obj_get(settings, "owner"));
    resource->soft_delete = yyjson_is_true(yyjson_obj_get(settings, "soft_delete"));
    resource->text_id = dx_slice_equal(dx_json_member_slice(settings, "id"), DX_SLICE("uuid"));
    resource->require_if_match = yyjson_is_true(yyjson_obj_get(settings, "require_if_match"));
    resource->count_exact = !dx_slice_equal(dx_json_member_slice(settings, "count"), DX_SLICE("none"));
    resource->owner_bypass_role = dx_json_member_slice(settings, "owner_bypass_role");
    resource->cache_control = dx_json_member_slice(settings, "cache_control");
    resource->page_size = number_in(settings, "page", "size", DX_PAGE_SIZE);
    resource->page_size_cap = number_in(settings, "page", "cap", DX_PAGE_CAP);
    resource->bulk_cap = number_in(settings, "bulk", "cap", DX_BULK_CAP);
    resource->expand_cap = number_in(settings, "expand", "cap", DX_EXPAND_CAP);
    if (resource->page_size > resource->page_size_cap)
        dx_loading_complain(loading, resource->pointer, "page", "expected a size of at most the cap, %u; found %u", resource->page_size_cap,
                            resource->page_size);
    if (resource->owner_bypass_role.size && !resource->owned)
        dx_loading_complain(loading, resource->pointer, "owner_bypass_role", "there is nothing to bypass: the resource has no owner");
    access_read(loading, draft);
}

// --- names of fields -------------------------------------------------------------------------------------------------------

static void complain_of_field(dx_loading *loading, dx_draft *draft, dx_slice pointer, dx_slice name) {
    dx_diag *diag = dx_loading_complain(loading, pointer, NULL, "\"%.*s\" has no field \"%.*s\"", DX_SLICE_ARG(draft->resource->name),
                                        DX_SLICE_ARG(name));
    dx_diag_suggest(loading->diags, diag, dx_map_nearest(&draft->resource->field_names, name));
}

static dx_slice pointer_to(dx_loading *loading, dx_draft *draft, const char *setting, dx_slice token) {
    dx_slice at = dx_json_pointer_join(loading->arena, draft->resource->pointer, dx_slice_str(setting));
    return token.data ? dx_json_pointer_join(loading->arena, at, token) : at;
}

static dx_column *column_of(dx_draft *draft, const dx_resource_field *field) {
    return &draft->columns[field->column];
}

// A field that may be part of an index.
static const dx_resource_field *indexable(dx_loading *loading, dx_draft *draft, dx_slice pointer, yyjson_val *name) {
    const dx_resource_field *field = dx_map_get(&draft->resource->field_names, dx_json_slice(name));
    if (!field) {
        complain_of_field(loading, draft, pointer, dx_json_slice(name));
        return NULL;
    }
    if (field->type == DX_COLUMN_JSON) {
        dx_loading_complain(loading, pointer, NULL, "\"%.*s\" is kept as JSON (it is no simple type), which can't be indexed",
                            DX_SLICE_ARG(field->name));
        return NULL;
    }
    return field;
}

// --- indexes -----------------------------------------------------------------------------------------------------------------

typedef struct index_list {
    dx_table_index *items;
    uint16_t count;
} index_list;

static void index_add(dx_loading *loading, index_list *list, const uint16_t *columns, uint16_t count, bool unique) {
    for (uint16_t i = 0; i < list->count; i++)
        if (list->items[i].unique == unique && list->items[i].column_count == count &&
            memcmp(list->items[i].columns, columns, count * sizeof *columns) == 0)
            return;
    uint16_t *copy = DX_ARENA_ARRAY(loading->arena, uint16_t, count);
    if (!copy) {
        loading->status = DX_NO_MEMORY;
        return;
    }
    memcpy(copy, columns, count * sizeof *copy);
    list->items[list->count++] = (dx_table_index){.columns = copy, .column_count = count, .unique = unique};
}

// Lists are ordered by a field and then by id. An index of a table with numbers for ids has these as its last column anyway; one with
// UUIDs needs them said.
static void index_for_lists(dx_loading *loading, dx_draft *draft, index_list *list, uint16_t *columns, uint16_t count) {
    bool has_id = false;
    for (uint16_t i = 0; i < count; i++) has_id |= columns[i] == 0;
    if (draft->resource->text_id && !has_id) columns[count++] = 0;
    if (count == 1 && columns[0] != 0)
        draft->columns[columns[0]].indexed = true;
    else if (count > 1)
        index_add(loading, list, columns, count, false);
}

static void index_setting(dx_loading *loading, dx_draft *draft, index_list *list, const char *setting, bool unique) {
    size_t i, max, at, inner_max;
    yyjson_val *entry, *name;
    yyjson_arr_foreach(yyjson_obj_get(draft->settings, setting), i, max, entry) {
        dx_slice pointer = dx_json_pointer_index(loading->arena, pointer_to(loading, draft, setting, (dx_slice){0}), i);
        uint16_t columns[DX_INDEX_FIELDS_CAP + 1], count = 0;
        bool good = true;
        if (yyjson_is_str(entry)) {
            const dx_resource_field *field = indexable(loading, draft, pointer, entry);
            if (!(good = field != NULL)) continue;
            columns[count++] = field->column;
        }
        yyjson_arr_foreach(entry, at, inner_max, name) {
            const dx_resource_field *field = indexable(loading, draft, pointer, name);
            if (field && count < DX_INDEX_FIELDS_CAP)
                columns[count++] = field->column;
            else
                good = false;
        }
        if (!good || count == 0) continue;
        if (!unique)
            index_for_lists(loading, draft, list, columns, count);
        else if (count == 1)
            draft->columns[columns[0]].unique = columns[0] != 0;
        else
            index_add(loading, list, columns, count, true);
    }
}

// --- references --------------------------------------------------------------------------------------------------------------

static dx_slice expand_name_of(dx_slice field) {
    static const dx_slice endings[] = {DX_SLICE_INIT("_id"), DX_SLICE_INIT("Id")};
    for (size_t i = 0; i < DX_COUNT_OF(endings); i++) {
        size_t cut = field.size - endings[i].size;
        if (field.size > endings[i].size && dx_slice_equal(dx_slice_from(field, cut), endings[i])) return dx_slice_of(field.data, cut);
    }
    return field; // the row found takes the place of its id
}

static void reference_add(dx_loading *loading, dx_draft *draft, index_list *list, dx_slice name, dx_slice target_name) {
    dx_slice pointer = pointer_to(loading, draft, "references", name);
    dx_resource_field *field = dx_map_get(&draft->resource->field_names, name);
    dx_draft *target = dx_map_get(&loading->names, target_name);
    if (!field) complain_of_field(loading, draft, pointer, name);
    if (!target) {
        dx_diag *diag = dx_loading_complain(loading, pointer, NULL, "there is no resource \"%.*s\"", DX_SLICE_ARG(target_name));
        dx_diag_suggest(loading->diags, diag, dx_map_nearest(&loading->names, target_name));
    }
    if (!field || !target) return;
    dx_column_type expected = target->resource->text_id ? DX_COLUMN_TEXT : DX_COLUMN_INTEGER;
    if (field->type != expected || field->column == 0 || (field->read_only && !field->schema)) {
        dx_loading_complain(loading, pointer, NULL, "expected a field of type %s, as the ids of \"%.*s\" are",
                            expected == DX_COLUMN_TEXT ? "string" : "integer", DX_SLICE_ARG(target_name));
        return;
    }
    field->target = target->resource;
    field->expand_name = expand_name_of(name);
    column_of(draft, field)->references = &target->resource->table;
    uint16_t columns[2] = {field->column};
    index_for_lists(loading, draft, list, columns, 1);
    if (!dx_slice_equal(field->expand_name, name) && dx_map_get(&draft->resource->field_names, field->expand_name))
        dx_loading_complain(loading, pointer, NULL, "expanding it would give rows a second \"%.*s\": rename one of the two fields",
                            DX_SLICE_ARG(field->expand_name));
    else if (dx_map_get(&draft->resource->expand_names, field->expand_name))
        dx_loading_complain(loading, pointer, NULL, "two references expand to \"%.*s\": rename one of the two fields",
                            DX_SLICE_ARG(field->expand_name));
    else if (dx_map_put(&draft->resource->expand_names, field->expand_name, field))
        loading->status = DX_NO_MEMORY;
}

// --- what migrations are told --------------------------------------------------------------------------------------------------

static void fallback_set(dx_loading *loading, dx_draft *draft, const dx_resource_field *field, yyjson_val *value, bool explicitly) {
    const char *reason = NULL;
    dx_value bound;
    dx_status status = dx_resource_bind(&bound, loading->arena, field->type, value, &reason);
    if (status == DX_NO_MEMORY)
        loading->status = status;
    else if (status == DX_OK)
        column_of(draft, field)->fallback = bound;
    else if (explicitly)
        dx_loading_complain(loading, pointer_to(loading, draft, "fallback", field->name), NULL, "%s", reason);
    else
        dx_loading_complain(loading, draft->resource->pointer, "model", "the default of \"%.*s\" does not fit its column: %s",
                            DX_SLICE_ARG(field->name), reason);
}

static void fallbacks(dx_loading *loading, dx_draft *draft) {
    size_t i, max;
    yyjson_val *key, *value;
    for (uint16_t at = 0; at < draft->resource->field_count; at++)
        if (draft->fields[at].default_value) fallback_set(loading, draft, &draft->fields[at], draft->fields[at].default_value, false);
    yyjson_obj_foreach(yyjson_obj_get(draft->settings, "fallback"), i, max, key, value) {
        const dx_resource_field *field = dx_map_get(&draft->resource->field_names, dx_json_slice(key));
        if (field)
            fallback_set(loading, draft, field, value, true);
        else
            complain_of_field(loading, draft, pointer_to(loading, draft, "fallback", dx_json_slice(key)), dx_json_slice(key));
    }
}

static void renames(dx_loading *loading, dx_draft *draft) {
    size_t i, max;
    yyjson_val *key, *value;
    yyjson_obj_foreach(yyjson_obj_get(draft->settings, "renamed"), i, max, key, value) {
        dx_slice name = dx_json_slice(key), old = dx_json_slice(value);
        dx_slice pointer = pointer_to(loading, draft, "renamed", name);
        const dx_resource_field *field = dx_map_get(&draft->resource->field_names, name);
        if (!field)
            complain_of_field(loading, draft, pointer, name);
        else if (dx_map_get(&draft->resource->field_names, old))
            dx_loading_complain(loading, pointer, NULL, "\"%.*s\" still is a field", DX_SLICE_ARG(old));
        else
            column_of(draft, field)->renamed_from = old;
    }
}

static void drops(dx_loading *loading, dx_draft *draft) {
    yyjson_val *dropped = yyjson_obj_get(draft->settings, "dropped"), *item;
    size_t count = yyjson_arr_size(dropped), i, max;
    dx_slice *names = DX_ARENA_ARRAY(loading->arena, dx_slice, count);
    if (!names) {
        loading->status = DX_NO_MEMORY;
        return;
    }
    yyjson_arr_foreach(dropped, i, max, item) {
        names[i] = dx_json_slice(item);
        if (dx_map_get(&draft->resource->field_names, names[i]))
            dx_loading_complain(loading, dx_json_pointer_index(loading->arena, pointer_to(loading, draft, "dropped", (dx_slice){0}), i),
                                NULL, "\"%.*s\" is still a field", DX_SLICE_ARG(names[i]));
    }
    draft->resource->table.dropped = names;
    draft->resource->table.dropped_count = (uint16_t)count;
}

void dx_draft_table(dx_loading *loading, dx_draft *draft) {
    dx_resource *resource = draft->resource;
    yyjson_val *settings = draft->settings, *references = yyjson_obj_get(settings, "references");
    size_t room = yyjson_arr_size(yyjson_obj_get(settings, "unique")) + yyjson_arr_size(yyjson_obj_get(settings, "index")) +
                  yyjson_obj_size(references) + 1;
    index_list list = {.items = DX_ARENA_ARRAY(loading->arena, dx_table_index, room)};
    if (!list.items) {
        loading->status = DX_NO_MEMORY;
        return;
    }
    dx_map_init(&resource->expand_names, loading->arena);
    index_setting(loading, draft, &list, "unique", true);
    index_setting(loading, draft, &list, "index", false);
    if (resource->owned) {
        uint16_t columns[2] = {(uint16_t)resource->owner_column};
        index_for_lists(loading, draft, &list, columns, 1);
    }
    size_t i, max;
    yyjson_val *key, *value;
    yyjson_obj_foreach(references, i, max, key, value) reference_add(loading, draft, &list, dx_json_slice(key), dx_json_slice(value));
    resource->table.indexes = list.items;
    resource->table.index_count = list.count;
    fallbacks(loading, draft);
    renames(loading, draft);
    drops(loading, draft);
}
