// Filling and building a registry, copying one, and running the hooks that change JSON. See registry.h.
#include "model/registry.h"

#include "codec/text.h"
#include "model/registry_parts.h"

#define DEFINITION_URI "definition:"

dx_models *dx_models_create(dx_arena *arena, bool assert_formats) {
    dx_models *models = DX_ARENA_NEW(arena, dx_models);
    if (!models) return NULL;
    *models = (dx_models){.arena = arena, .assert_formats = assert_formats};
    dx_map_init(&models->names, arena);
    return models;
}

static dx_status add(dx_models *models, dx_slice name, dx_named_model **out) {
    *out = NULL;
    if (models->built) return DX_CONFLICT;
    if (dx_models_find(models, name)) return DX_ALREADY_EXISTS;
    dx_named_model *model = DX_ARENA_NEW(models->arena, dx_named_model);
    if (!model) return DX_NO_MEMORY;
    model->name = dx_arena_copy(models->arena, name);
    if (!model->name.data) return DX_NO_MEMORY;
    atomic_init(&model->unknown_values, 0);
    atomic_init(&model->unknown_fields, 0);
    dx_status status = dx_map_put(&models->names, model->name, model);
    if (status == DX_OK) *out = model;
    return status;
}

dx_status dx_models_add_definition(dx_models *models, yyjson_val *definition) {
    if (models->built) return DX_CONFLICT;
    if (models->definition) return DX_ALREADY_EXISTS;
    size_t i, max;
    yyjson_val *key, *schema, *section = yyjson_obj_get(definition, "models");
    yyjson_obj_foreach(section, i, max, key, schema) {
        if (dx_models_find(models, dx_json_slice(key))) return DX_ALREADY_EXISTS; // before any is added
    }
    yyjson_obj_foreach(section, i, max, key, schema) {
        dx_named_model *model;
        dx_status status = add(models, dx_json_slice(key), &model);
        if (status != DX_OK) return status;
        model->json = schema;
    }
    models->definition = definition;
    return DX_OK;
}

dx_status dx_models_add_schema(dx_models *models, dx_slice name, yyjson_val *schema) {
    dx_named_model *model = dx_models_find(models, name);
    if (models->built) return DX_CONFLICT;
    if (model && model->json) return DX_ALREADY_EXISTS;
    dx_status status = model ? DX_OK : add(models, name, &model); // it may have a binding already
    if (status != DX_OK) return status;
    model->json = schema;
    model->own = true;
    return DX_OK;
}

dx_status dx_models_add_binding(dx_models *models, dx_slice name, const dx_model *binding) {
    if (models->built) return DX_CONFLICT;
    dx_named_model *model = dx_models_find(models, name);
    dx_status status = model ? DX_OK : add(models, name, &model);
    if (status == DX_OK) model->binding = binding;
    return status;
}

dx_status dx_models_remove(dx_models *models, dx_slice name) {
    if (models->built) return DX_CONFLICT;
    return dx_map_remove(&models->names, name) ? DX_OK : DX_NOT_FOUND;
}

// --- hooks -----------------------------------------------------------------------------------------------------------------

static dx_status append_hook(dx_arena *arena, dx_named_model *model, dx_hooked hook) {
    if (model->hook_count == DX_MODEL_HOOKS_CAP) return DX_TOO_LARGE;
    if (model->hook_count == model->hook_room) {
        size_t room = model->hook_room ? model->hook_room * 2 : 4;
        dx_hooked *hooks = DX_ARENA_ARRAY(arena, dx_hooked, room);
        if (!hooks) return DX_NO_MEMORY;
        if (model->hook_count) memcpy(hooks, model->hooks, model->hook_count * sizeof *hooks);
        model->hooks = hooks;
        model->hook_room = room;
    }
    model->hooks[model->hook_count++] = hook;
    return DX_OK;
}

dx_status dx_models_hook(dx_models *models, dx_slice name, const dx_model_hooks *hooks, void *ctx) {
    dx_named_model *model = dx_models_find(models, name);
    if (models->built) return DX_CONFLICT;
    return model ? append_hook(models->arena, model, (dx_hooked){hooks, ctx}) : DX_NOT_FOUND;
}

dx_status dx_models_unhook(dx_models *models, dx_slice name, const dx_model_hooks *hooks, void *ctx) {
    dx_named_model *model = dx_models_find(models, name);
    if (models->built) return DX_CONFLICT;
    for (size_t i = 0; model && i < model->hook_count; i++) {
        if (model->hooks[i].hooks != hooks || model->hooks[i].ctx != ctx) continue;
        memmove(&model->hooks[i], &model->hooks[i + 1], (--model->hook_count - i) * sizeof *model->hooks);
        return DX_OK;
    }
    return DX_NOT_FOUND;
}

typedef enum hook_kind { BEFORE_REQUEST, AFTER_RESPONSE } hook_kind;

static dx_status run_hook(const dx_hooked *hook, hook_kind kind, dx_slice *json, dx_arena *arena, dx_diags *diags) {
    dx_status (*run)(void *, dx_slice *, dx_arena *, dx_diags *) =
        kind == BEFORE_REQUEST ? hook->hooks->before_request : hook->hooks->after_response;
    return run ? run(hook->ctx, json, arena, diags) : DX_OK;
}

static dx_status run_hooks(const dx_models *models, dx_slice name, hook_kind kind, dx_slice *json, dx_arena *arena, dx_diags *diags) {
    static const char *const words[] = {"before_request", "after_response"};
    const dx_named_model *model = dx_models_find(models, name);
    if (!model) return DX_NOT_FOUND;
    const char *before = json->data;
    size_t findings = diags ? diags->count : 0;
    for (size_t i = 0; i < model->hook_count; i++) {
        dx_status status = run_hook(&model->hooks[i], kind, json, arena, diags);
        if (status == DX_OK) continue;
        if (diags && diags->count == findings)
            dx_diags_add(diags, status, (dx_slice){"", 0}, "hook %zu of %.*s for %s refused it", i + 1, DX_SLICE_ARG(name), words[kind]);
        return status;
    }
    if (json->data == before) return DX_OK;
    yyjson_doc *doc;
    return dx_json_read(&doc, arena, *json, NULL, diags);
}

dx_status dx_models_before_request(const dx_models *models, dx_slice name, dx_slice *json, dx_arena *arena, dx_diags *diags) {
    return run_hooks(models, name, BEFORE_REQUEST, json, arena, diags);
}

dx_status dx_models_after_response(const dx_models *models, dx_slice name, dx_slice *json, dx_arena *arena, dx_diags *diags) {
    return run_hooks(models, name, AFTER_RESPONSE, json, arena, diags);
}

// --- building --------------------------------------------------------------------------------------------------------------

// "model:Name", or "definition:#/models/Name"; names are encoded, so that any will do.
static dx_slice uri_of(dx_arena *arena, const dx_named_model *model, dx_slice pointer) {
    dx_buffer uri;
    dx_buffer_init(&uri, arena, 64u << 10);
    dx_buffer_add(&uri, model->own ? DX_SLICE("model:") : DX_SLICE(DEFINITION_URI "#"));
    dx_percent_encode(&uri, model->own ? model->name : pointer);
    return dx_buffer_status(&uri) == DX_OK ? dx_buffer_slice(&uri) : (dx_slice){NULL, 0};
}

static dx_status add_documents(const dx_models *models, dx_schema_set *set) {
    dx_status status = models->definition ? dx_schema_set_add(set, DX_SLICE(DEFINITION_URI), models->definition) : DX_OK;
    dx_map_entry *entry;
    for (size_t i = 0; status == DX_OK && (entry = dx_map_next(&models->names, &i));) {
        const dx_named_model *model = entry->value;
        if (!model->json || !model->own) continue;
        dx_slice uri = uri_of(models->arena, model, (dx_slice){"", 0});
        status = uri.data ? dx_schema_set_add(set, uri, model->json) : DX_NO_MEMORY;
    }
    return status;
}

// What compiling found, with the place of the schema before pointers that count from the schema itself.
static void tell(dx_diags *diags, dx_slice pointer, const dx_diags *found) {
    if (!found->first) dx_diags_add(diags, DX_INVALID, pointer, "the schema can't be compiled");
    for (const dx_diag *diag = found->first; diag; diag = diag->next) {
        dx_slice at = diag->pointer;
        if (!dx_slice_starts(at, pointer)) at = dx_arena_printf(found->arena, "%.*s%.*s", DX_SLICE_ARG(pointer), DX_SLICE_ARG(at));
        dx_diag_suggest(diags, dx_diags_add(diags, DX_INVALID, at, "%.*s", DX_SLICE_ARG(diag->message)), diag->suggestion);
    }
}

static dx_status build_model(dx_models *models, dx_schema_set *set, dx_named_model *model, dx_diags *diags) {
    if (!model->json) return DX_OK;
    dx_slice pointer = dx_json_pointer_join(models->arena, DX_SLICE("/models"), model->name);
    dx_slice uri = pointer.data ? uri_of(models->arena, model, pointer) : (dx_slice){NULL, 0};
    if (!uri.data) return DX_NO_MEMORY;
    dx_diags found;
    dx_diags_init(&found, models->arena);
    dx_status status = dx_schema_compile(&model->schema, set, uri, &found);
    if (status == DX_NO_MEMORY) return status;
    if (status != DX_OK && diags) tell(diags, pointer, &found);
    dx_status read = dx_relations_read(models, model, pointer, diags);
    if (read == DX_NO_MEMORY) return read;
    return status != DX_OK ? DX_INVALID : read;
}

dx_status dx_models_build(dx_models *models, dx_diags *diags) {
    if (models->built) return DX_CONFLICT;
    dx_schema_set *set = dx_schema_set_create(models->arena, models->assert_formats);
    dx_status status = set ? add_documents(models, set) : DX_NO_MEMORY;
    dx_map_entry *entry;
    bool valid = true;
    for (size_t i = 0; status == DX_OK && (entry = dx_map_next(&models->names, &i));) {
        status = build_model(models, set, entry->value, diags);
        if (status != DX_INVALID) continue;
        valid = false; // the others' findings are wanted, too
        status = DX_OK;
    }
    if (status == DX_OK && !valid) status = DX_INVALID;
    models->built = status == DX_OK;
    return status;
}

dx_status dx_models_copy(dx_models **out, const dx_models *from, dx_arena *arena) {
    *out = NULL;
    dx_models *models = dx_models_create(arena, from->assert_formats);
    if (!models) return DX_NO_MEMORY;
    models->definition = from->definition;
    dx_map_entry *entry;
    for (size_t i = 0; (entry = dx_map_next(&from->names, &i));) {
        const dx_named_model *model = entry->value;
        dx_named_model *copy;
        dx_status status = add(models, model->name, &copy);
        if (status != DX_OK) return status;
        copy->json = model->json;
        copy->own = model->own;
        copy->binding = model->binding;
        for (size_t h = 0; h < model->hook_count; h++)
            if (append_hook(arena, copy, model->hooks[h]) != DX_OK) return DX_NO_MEMORY;
    }
    *out = models;
    return DX_OK;
}

// --- asking ----------------------------------------------------------------------------------------------------------------

bool dx_models_has(const dx_models *models, dx_slice name) {
    return dx_models_find(models, name) != NULL;
}

dx_slice dx_models_nearest(const dx_models *models, dx_slice name) {
    return dx_map_nearest(&models->names, name);
}

const dx_schema *dx_models_schema(const dx_models *models, dx_slice name) {
    const dx_named_model *model = dx_models_find(models, name);
    return model ? model->schema : NULL;
}

const dx_model *dx_models_binding(const dx_models *models, dx_slice name) {
    const dx_named_model *model = dx_models_find(models, name);
    return model ? model->binding : NULL;
}

yyjson_val *dx_models_schema_json(const dx_models *models, dx_slice name) {
    const dx_named_model *model = dx_models_find(models, name);
    return model ? model->json : NULL;
}
