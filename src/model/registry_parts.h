// What the files of the registry share: a named model, its relations, its hooks.
#ifndef DX_MODEL_REGISTRY_PARTS_H
#define DX_MODEL_REGISTRY_PARTS_H

#include <stdatomic.h>

#include "base/map.h"
#include "model/registry.h"

typedef struct dx_relation {
    dx_slice property;
    dx_slice key; // may be empty
    bool many;
    const struct dx_named_model *target;
    struct dx_relation *next;
} dx_relation;

typedef struct dx_hooked {
    const dx_model_hooks *hooks;
    void *ctx;
} dx_hooked;

typedef struct dx_named_model {
    dx_slice name;
    yyjson_val *json; // the schema; NULL: none
    bool own;         // a document of its own
    const dx_model *binding;
    const dx_schema *schema; // once built
    dx_relation *relations;  // once built
    dx_hooked *hooks;
    size_t hook_count, hook_room;
    atomic_uint_least64_t unknown_values, unknown_fields;
} dx_named_model;

struct dx_models {
    dx_arena *arena;
    bool assert_formats, built;
    yyjson_val *definition;
    dx_map names; // → dx_named_model
};

static inline dx_named_model *dx_models_find(const dx_models *models, dx_slice name) {
    return dx_map_get(&models->names, name);
}
// Reads the relations of one model's schema, which stands at `pointer`. Adds findings; DX_NO_MEMORY or DX_OK.
dx_status dx_relations_read(dx_models *models, dx_named_model *model, dx_slice pointer, dx_diags *diags) DX_MUST_USE;

#endif
