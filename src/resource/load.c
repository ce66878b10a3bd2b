// From the sections `models` and `resources` to a set of resources: compiles every model, then builds each resource in two passes, because
// references need the other resource's fields. Everything wrong is told at once; the set is only handed out when nothing is.
#include "resource/load.h"
#include "resource/changes.h"

#include <ctype.h>

#include "base/hash.h"

#define SCRATCH_CAP (16u << 20)

dx_diag *dx_loading_complain(dx_loading *loading, dx_slice pointer, const char *token, const char *format, ...) {
    va_list args;
    va_start(args, format);
    dx_slice text = dx_arena_vprintf(loading->arena, format, args);
    va_end(args);
    loading->findings++;
    if (token) pointer = dx_json_pointer_join(loading->arena, pointer, dx_slice_str(token));
    return dx_definition_complain(loading->definition, loading->diags, pointer, "%.*s", DX_SLICE_ARG(text));
}

// --- models ----------------------------------------------------------------------------------------------------------------

typedef struct models {
    dx_map compiled; // name → dx_schema
    yyjson_val *section;
    dx_map names; // name → yyjson_val, for suggestions
} models;

static void tell_schema_findings(dx_loading *loading, dx_slice pointer, const dx_diags *found) {
    for (const dx_diag *diag = found->first; diag; diag = diag->next) {
        dx_slice at = dx_slice_starts(diag->pointer, pointer)
                          ? diag->pointer
                          : dx_arena_printf(loading->arena, "%.*s%.*s", DX_SLICE_ARG(pointer), DX_SLICE_ARG(diag->pointer));
        dx_diag *told = dx_loading_complain(loading, at, NULL, "%.*s", DX_SLICE_ARG(diag->message));
        dx_diag_suggest(loading->diags, told, diag->suggestion);
    }
    if (!found->first) dx_loading_complain(loading, pointer, NULL, "the schema can't be compiled");
}

// A default that its own schema refuses would make rows that nobody could send.
static void default_check(dx_loading *loading, dx_schema_set *set, dx_slice property, yyjson_val *value) {
    dx_slice uri = dx_arena_printf(loading->arena, "#%.*s", DX_SLICE_ARG(property));
    const dx_schema *schema = NULL;
    dx_diags found;
    dx_arena_reset(loading->scratch);
    dx_diags_init(&found, loading->scratch);
    dx_status status = uri.data ? dx_schema_compile(&schema, set, uri, &found) : DX_NO_MEMORY;
    if (status == DX_OK) status = dx_schema_validate(schema, value, loading->scratch, &(dx_schema_options){.first_only = true}, &found);
    if (status == DX_NO_MEMORY) loading->status = status;
    if (status == DX_INVALID && schema && found.first)
        dx_loading_complain(loading, property, "default", "does not obey its own schema: %.*s", DX_SLICE_ARG(found.first->message));
}

static void defaults_check(dx_loading *loading, dx_schema_set *set, dx_slice model, yyjson_val *properties) {
    dx_slice at = dx_json_pointer_join(loading->arena, model, DX_SLICE("properties"));
    size_t i, max;
    yyjson_val *key, *property;
    yyjson_obj_foreach(properties, i, max, key, property) {
        yyjson_val *value = yyjson_obj_get(property, "default");
        if (!value || loading->status) continue;
        default_check(loading, set, dx_json_pointer_join(loading->arena, at, dx_json_slice(key)), value);
    }
}

static void model_compile(dx_loading *loading, models *all, dx_schema_set *set, yyjson_val *key, yyjson_val *value) {
    dx_slice name = dx_json_slice(key);
    dx_slice pointer = dx_json_pointer_join(loading->arena, DX_SLICE("/models"), name);
    dx_slice uri = dx_arena_printf(loading->arena, "#%.*s", DX_SLICE_ARG(pointer));
    dx_diags found;
    dx_diags_init(&found, loading->arena);
    const dx_schema *schema = NULL;
    dx_status status = uri.data ? dx_schema_compile(&schema, set, uri, &found) : DX_NO_MEMORY;
    if (status == DX_NO_MEMORY) loading->status = status;
    dx_arena_reset(loading->scratch);
    if (status == DX_OK) status = dx_schema_lint(set, loading->scratch, value, pointer, &found);
    if (status == DX_NO_MEMORY) loading->status = status;
    if (status != DX_OK && status != DX_NO_MEMORY) tell_schema_findings(loading, pointer, &found);
    if (status == DX_OK && schema) defaults_check(loading, set, pointer, yyjson_obj_get(value, "properties"));
    if (schema && dx_map_put(&all->compiled, name, (void *)(uintptr_t)schema)) loading->status = DX_NO_MEMORY;
    if (dx_map_put(&all->names, name, value)) loading->status = DX_NO_MEMORY;
}

static void models_load(dx_loading *loading, models *all) {
    dx_map_init(&all->compiled, loading->arena);
    dx_map_init(&all->names, loading->arena);
    all->section = dx_definition_section(loading->definition, "models");
    dx_schema_set *set = dx_schema_set_create(loading->arena, true);
    if (!set || dx_schema_set_add(set, (dx_slice){0}, loading->root) != DX_OK) {
        loading->status = DX_NO_MEMORY;
        return;
    }
    size_t i, max;
    yyjson_val *key, *value;
    yyjson_obj_foreach(all->section, i, max, key, value) {
        model_compile(loading, all, set, key, value);
        if (loading->status) return;
    }
}

// --- resources ---------------------------------------------------------------------------------------------------------------

static dx_slice table_name(dx_arena *arena, dx_slice resource) {
    dx_slice copy = dx_arena_copy(arena, resource);
    for (size_t i = 0; copy.data && i < copy.size; i++)
        if (copy.data[i] == '-') ((char *)(uintptr_t)copy.data)[i] = '_';
    return copy;
}

static void check_table_name(dx_loading *loading, dx_map *seen, const dx_resource *resource) {
    dx_slice lower = dx_arena_copy(loading->arena, resource->table.name);
    if (!lower.data) {
        loading->status = DX_NO_MEMORY;
        return;
    }
    for (size_t i = 0; i < lower.size; i++) ((char *)(uintptr_t)lower.data)[i] = (char)tolower((unsigned char)lower.data[i]);
    const dx_resource *other = dx_map_get(seen, lower);
    if (other)
        dx_loading_complain(loading, resource->pointer, NULL,
                            "its table would be that of \"%.*s\" (neither case nor - and _ tell tables apart)", DX_SLICE_ARG(other->name));
    else if (dx_slice_starts(lower, DX_SLICE("sqlite_")) || dx_slice_starts(lower, DX_SLICE("duplex_")))
        dx_loading_complain(loading, resource->pointer, NULL, "names that start with sqlite_ or duplex_ are the server's");
    else if (dx_map_put(seen, lower, (void *)(uintptr_t)resource))
        loading->status = DX_NO_MEMORY;
}

// False: without a model there is nothing more to say of it.
static bool draft_begin(dx_loading *loading, dx_draft *draft, const models *all, dx_slice name, dx_slice base) {
    dx_resource *resource = draft->resource;
    resource->name = name;
    resource->pointer = dx_json_pointer_join(loading->arena, DX_SLICE("/resources"), name);
    resource->base_path = dx_arena_printf(loading->arena, "%.*s/%.*s", DX_SLICE_ARG(base), DX_SLICE_ARG(name));
    resource->table.name = table_name(loading->arena, name);
    resource->singular = dx_json_member_slice(draft->settings, "model");
    resource->model = yyjson_obj_getn(all->section, resource->singular.data ? resource->singular.data : "", resource->singular.size);
    resource->schema = dx_map_get(&all->compiled, resource->singular);
    if (!resource->base_path.data || !resource->table.name.data) loading->status = DX_NO_MEMORY;
    if (resource->model) return loading->status == DX_OK;
    dx_diag *diag =
        dx_loading_complain(loading, resource->pointer, "model", "there is no model \"%.*s\"", DX_SLICE_ARG(resource->singular));
    dx_diag_suggest(loading->diags, diag, dx_map_nearest(&all->names, resource->singular));
    return false;
}

static void fingerprint_set(dx_loading *loading, dx_resource *resource) {
    dx_buffer text;
    dx_buffer_init(&text, NULL, 64u << 20);
    dx_json_write_value(&text, resource->model);
    for (uint16_t i = 0; i < resource->field_count; i++) {
        const dx_resource_field *field = &resource->fields[i];
        dx_buffer_printf(&text, "|%.*s %d %d", DX_SLICE_ARG(field->name), (int)field->type, field->write_only);
    }
    if (dx_buffer_status(&text))
        loading->status = DX_NO_MEMORY;
    else
        resource->fingerprint = dx_hash_fixed(dx_buffer_slice(&text));
    dx_buffer_deinit(&text);
}

static void drafts_fill(dx_loading *loading, const models *all, yyjson_val *section, dx_slice base) {
    dx_map tables;
    dx_map_init(&tables, loading->arena);
    size_t i, max;
    yyjson_val *key, *value;
    yyjson_obj_foreach(section, i, max, key, value) {
        dx_draft *draft = &loading->drafts[loading->count];
        draft->settings = value;
        draft->resource = DX_ARENA_NEW(loading->arena, dx_resource);
        if (!draft->resource) loading->status = DX_NO_MEMORY;
        if (loading->status) return;
        if (!draft_begin(loading, draft, all, dx_json_slice(key), base)) continue;
        check_table_name(loading, &tables, draft->resource);
        dx_draft_settings(loading, draft);
        dx_draft_changes(loading, draft);
        dx_draft_fields(loading, draft);
        fingerprint_set(loading, draft->resource);
        if (!loading->status && dx_map_put(&loading->names, draft->resource->name, draft)) loading->status = DX_NO_MEMORY;
        loading->count++;
    }
}

static dx_status set_build(dx_loading *loading, dx_resource_set **out) {
    dx_resource_set *set = DX_ARENA_NEW(loading->arena, dx_resource_set);
    const dx_resource **items = DX_ARENA_ARRAY(loading->arena, const dx_resource *, loading->count);
    if (!set || !items) return DX_NO_MEMORY;
    dx_map_init(&set->names, loading->arena);
    for (size_t i = 0; i < loading->count; i++) {
        items[i] = loading->drafts[i].resource;
        if (dx_map_put(&set->names, items[i]->name, loading->drafts[i].resource)) return DX_NO_MEMORY;
    }
    set->items = items;
    set->count = loading->count;
    set->idempotency = &dx_idempotency_table;
    *out = set;
    return DX_OK;
}

dx_status dx_resources_load(dx_resource_set **out, dx_arena *arena, const dx_definition *definition, dx_slice base, dx_diags *diags) {
    dx_loading loading = {.arena = arena, .definition = definition, .root = dx_definition_root(definition), .diags = diags};
    yyjson_val *section = dx_definition_section(definition, "resources");
    *out = NULL;
    dx_map_init(&loading.names, arena);
    loading.scratch = dx_arena_create(SCRATCH_CAP);
    loading.drafts = DX_ARENA_ARRAY(arena, dx_draft, yyjson_obj_size(section));
    if (!loading.scratch || !loading.drafts) loading.status = DX_NO_MEMORY;
    models all = {0};
    if (!loading.status) models_load(&loading, &all);
    if (!loading.status) drafts_fill(&loading, &all, section, base);
    for (size_t i = 0; i < loading.count && !loading.status; i++) dx_draft_table(&loading, &loading.drafts[i]);
    if (!loading.status && loading.findings) loading.status = DX_INVALID;
    if (!loading.status) loading.status = set_build(&loading, out);
    dx_arena_destroy(loading.scratch);
    return loading.status;
}

size_t dx_resources_tables(const dx_resource_set *set, const dx_table **out, size_t cap) {
    size_t count = 0;
    for (size_t i = 0; i < set->count; i++) {
        const dx_change_log *log = set->items[i]->changes;
        if (count < cap) out[count] = &set->items[i]->table;
        count++;
        if (log && count < cap) out[count] = &log->table;
        count += log != NULL;
    }
    if (count < cap) out[count] = set->idempotency;
    return count + 1;
}
