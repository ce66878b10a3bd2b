// Validating by name. A schema's run finds everything; what is only newer than the schema is told from what is wrong afterwards, by the
// kind of each finding, so that unions and negations mean the same in both ways. See registry.h.
#include "base/memory.h"
#include "model/registry_parts.h"

typedef struct check {
    dx_arena *scratch;
    dx_diags *diags;
    bool strict;
    bool wrong;
    dx_models_counts counts;
    size_t warnings; // told
    dx_slice base;   // pointer to the value that is being checked
    unsigned depth;
    const dx_diag *before; // the last finding of others'
} check;

static dx_diag *next_of(const check *c, const dx_diag *diag) {
    return diag ? diag->next : c->diags->first;
}

static bool told_already(const check *c, dx_slice pointer) {
    for (const dx_diag *diag = next_of(c, c->before); diag; diag = diag->next)
        if (dx_slice_equal(diag->pointer, pointer)) return true;
    return false;
}

// Takes one finding, with its pointer from `c->base`, over; what is related may have been found by the property's own schema already.
static dx_status take(check *c, const dx_diag *diag) {
    bool lenient = !c->strict && diag->kind != DX_DIAG_ANY;
    if (!lenient) c->wrong = true;
    if (lenient && c->warnings++ >= DX_SCHEMA_NEWER_CAP) return DX_OK; // errors need the room
    dx_slice pointer = dx_arena_printf(c->scratch, "%.*s%.*s", DX_SLICE_ARG(c->base), DX_SLICE_ARG(diag->pointer));
    if (!pointer.data) return DX_NO_MEMORY;
    if (told_already(c, pointer)) return DX_OK;
    dx_diag *told = dx_diags_add(c->diags, lenient ? DX_OK : DX_INVALID, pointer, "%.*s", DX_SLICE_ARG(diag->message));
    if (told) told->kind = diag->kind;
    dx_diag_suggest(c->diags, told, diag->suggestion);
    return DX_OK;
}

static dx_status take_all(check *c, const dx_diags *found) {
    dx_status status = DX_OK;
    size_t kept = 0;
    for (const dx_diag *diag = found->first; diag && status == DX_OK; diag = diag->next, kept++) status = take(c, diag);
    if (found->count > kept) c->wrong = true; // what is not told can't be judged
    return status;
}

static dx_status by_schema(check *c, const dx_schema *schema, yyjson_val *value) {
    if (dx_schema_validate(schema, value, c->scratch, NULL, NULL) == DX_OK) return DX_OK;
    dx_diags found;
    dx_diags_init(&found, c->scratch);
    dx_schema_newer newer = {0};
    const dx_schema_options options = {.newer = c->strict ? NULL : &newer};
    dx_status status = dx_schema_validate(schema, value, c->scratch, &options, &found);
    c->counts.unknown_values += newer.values;
    c->counts.unknown_fields += newer.fields;
    return status == DX_INVALID ? take_all(c, &found) : status;
}

static dx_status by_binding(check *c, const dx_model *binding, yyjson_val *value) {
    dx_buffer text;
    dx_buffer_init(&text, c->scratch, DX_MODEL_TEXT_CAP);
    dx_json_write_value(&text, value);
    void *space = dx_memory_zalloc(1, binding->size);
    if (dx_buffer_status(&text) != DX_OK || !space) {
        dx_memory_free(space);
        return DX_NO_MEMORY;
    }
    dx_error error;
    dx_error_code code = dx_model_from_json(space, binding, text.data, text.size, c->strict ? DX_MODEL_STRICT : 0, &error);
    if (code == DX_ERROR_NONE) dx_model_clear(binding, space);
    dx_memory_free(space);
    if (code == DX_ERROR_NO_MEMORY) return DX_NO_MEMORY;
    if (code == DX_ERROR_NONE) return DX_OK;
    return take(c, &(dx_diag){.pointer = dx_slice_str(error.pointer), .message = dx_slice_str(error.message)});
}

static dx_status by_hooks(check *c, const dx_named_model *model, yyjson_val *value) {
    for (size_t i = 0; i < model->hook_count; i++) {
        const dx_hooked *hook = &model->hooks[i];
        if (!hook->hooks->validate) continue;
        dx_diags found;
        dx_diags_init(&found, c->scratch);
        dx_status status = hook->hooks->validate(hook->ctx, value, c->scratch, &found);
        if (status == DX_NO_MEMORY) return status;
        if (status != DX_OK && !found.count)
            status = take(c, &(dx_diag){.pointer = {"", 0}, .message = DX_SLICE("is refused by a check of its model")});
        else
            status = take_all(c, &found);
        if (status == DX_NO_MEMORY) return status;
    }
    return DX_OK;
}

static dx_status by_model(check *c, const dx_named_model *model, yyjson_val *value);

// One related value: an object of the other model, or the id of one, of which nothing can be said.
static dx_status by_related(check *c, const dx_relation *relation, yyjson_val *value, dx_slice pointer) {
    if (yyjson_is_str(value) || yyjson_is_num(value)) return DX_OK;
    dx_slice base = c->base;
    c->base = pointer;
    dx_status status;
    if (!yyjson_is_obj(value)) {
        status = take(c, &(dx_diag){.pointer = {"", 0}, .message = DX_SLICE("expected an object or its id")});
    } else if (c->depth == DX_RELATION_DEPTH_CAP) {
        status = take(c, &(dx_diag){.pointer = {"", 0}, .message = DX_SLICE("is related through too many models to be checked")});
    } else {
        c->depth++;
        status = by_model(c, relation->target, value);
        c->depth--;
    }
    c->base = base;
    return status;
}

static dx_status by_relation(check *c, const dx_relation *relation, yyjson_val *value, dx_slice pointer) {
    if (!relation->many) return by_related(c, relation, value, pointer);
    if (!yyjson_is_arr(value)) {
        dx_slice below = dx_slice_from(pointer, c->base.size);
        return take(c, &(dx_diag){.pointer = below, .message = DX_SLICE("expected an array")});
    }
    size_t i, max;
    yyjson_val *item;
    dx_status status = DX_OK;
    yyjson_arr_foreach(value, i, max, item) {
        dx_slice at = status == DX_OK ? dx_json_pointer_index(c->scratch, pointer, i) : pointer;
        if (status == DX_OK) status = at.data ? by_related(c, relation, item, at) : DX_NO_MEMORY;
    }
    return status;
}

static dx_status by_relations(check *c, const dx_named_model *model, yyjson_val *value) {
    for (const dx_relation *relation = model->relations; relation; relation = relation->next) {
        dx_slice name = relation->property;
        yyjson_val *there = name.size ? yyjson_obj_getn(value, name.data, name.size) : yyjson_obj_get(value, "");
        if (!there || yyjson_is_null(there)) continue;
        dx_slice pointer = dx_json_pointer_join(c->scratch, c->base, name);
        dx_status status = pointer.data ? by_relation(c, relation, there, pointer) : DX_NO_MEMORY;
        if (status != DX_OK) return status;
    }
    return DX_OK;
}

static dx_status by_model(check *c, const dx_named_model *model, yyjson_val *value) {
    dx_status status = DX_OK;
    if (model->schema) {
        status = by_schema(c, model->schema, value);
    } else if (model->binding) {
        status = by_binding(c, model->binding, value);
    }
    if (status == DX_OK) status = by_relations(c, model, value);
    return status == DX_OK ? by_hooks(c, model, value) : status;
}

dx_status dx_models_validate(const dx_models *models, dx_slice name, yyjson_val *value, bool strict, dx_arena *scratch,
                             dx_models_counts *counts, dx_diags *diags) {
    if (counts) *counts = (dx_models_counts){0};
    dx_named_model *model = dx_models_find(models, name);
    if (!model) return DX_NOT_FOUND;
    dx_diags own;
    dx_diags_init(&own, scratch);
    if (!diags) diags = &own;
    check c = {.scratch = scratch, .diags = diags, .strict = strict, .base = {"", 0}, .before = diags->last};
    dx_status status = by_model(&c, model, value);
    if (status != DX_OK) return status;
    if (c.counts.unknown_values) atomic_fetch_add_explicit(&model->unknown_values, c.counts.unknown_values, memory_order_relaxed);
    if (c.counts.unknown_fields) atomic_fetch_add_explicit(&model->unknown_fields, c.counts.unknown_fields, memory_order_relaxed);
    if (counts) *counts = c.counts;
    return c.wrong ? DX_INVALID : DX_OK;
}

dx_models_counts dx_models_counted(const dx_models *models, dx_slice name) {
    dx_named_model *model = dx_models_find(models, name);
    if (!model) return (dx_models_counts){0};
    return (dx_models_counts){atomic_load_explicit(&model->unknown_values, memory_order_relaxed),
                              atomic_load_explicit(&model->unknown_fields, memory_order_relaxed)};
}
