// Models by name, as a client of many APIs has them: a JSON Schema, a C binding (duplex/model.h), or both; hooks; and how models relate.
//
// The idea is two steps: a registry is filled by one thread, built, and from then on never changes (but for its counters, which are
// atomic), so that any number of threads may use it without a lock. To change what is in use, copy it, change the copy, build that, and
// swap: calls in flight finish on the old one. What is changed after building is refused with DX_CONFLICT.
//
// Relations: a property of a model's schema says that what stands there is of another model:
//
//     "posts":  {"x-duplex-relation": {"model": "Post", "kind": "many", "key": "user_id"}}     a User's posts have its id as `user_id`
//     "author": {"x-duplex-relation": {"model": "User", "kind": "one", "key": "author_id"}}    the Post itself has its author's id there
//
// They are looked for in the schema's own `properties`, not behind $ref or allOf.
#ifndef DX_MODEL_REGISTRY_H
#define DX_MODEL_REGISTRY_H

#include "duplex/model.h"
#include "model/schema.h"

#define DX_RELATION_KEYWORD   "x-duplex-relation"
#define DX_RELATION_DEPTH_CAP 16 // models validated in each other, as a user's posts' authors' posts …
#define DX_MODEL_HOOKS_CAP    64 // of one model

typedef struct dx_models dx_models;

// All memory is the arena's; schemas and bindings are kept by pointer and must live as long. NULL without memory.
dx_models *dx_models_create(dx_arena *arena, bool assert_formats);
// Adds every model of the member "models" of `definition`, whose references ("#/models/Post") lead into `definition`. Once for a registry.
// DX_ALREADY_EXISTS for a name that is taken, here and below.
dx_status dx_models_add_definition(dx_models *models, yyjson_val *definition) DX_MUST_USE;
// A schema of its own: its references lead into itself, "model:Post" to another that was added so, "definition:#/models/Post" to one of the
// definition's.
dx_status dx_models_add_schema(dx_models *models, dx_slice name, yyjson_val *schema) DX_MUST_USE;
// Gives the model a C binding; a name that is new becomes a model without a schema. Replaces a binding.
dx_status dx_models_add_binding(dx_models *models, dx_slice name, const dx_model *binding) DX_MUST_USE;
// DX_NOT_FOUND when there is none.
dx_status dx_models_remove(dx_models *models, dx_slice name) DX_MUST_USE;

// What runs around the calls that use a model. Each may be NULL; `ctx` is the caller's. They are called on the calls' threads, several at
// once.
typedef struct dx_model_hooks {
    // Before a request's body is validated and sent, after a response's was received and before it is validated: may put other JSON, in
    // `arena`'s memory, in the place of `*json`. Any status but DX_OK ends the call; a finding in `diags` should say why.
    dx_status (*before_request)(void *ctx, dx_slice *json, dx_arena *arena, dx_diags *diags);
    dx_status (*after_response)(void *ctx, dx_slice *json, dx_arena *arena, dx_diags *diags);
    // What the schema can't say: adds a finding for each thing that is wrong and returns DX_INVALID, or DX_OK.
    dx_status (*validate)(void *ctx, yyjson_val *value, dx_arena *scratch, dx_diags *diags);
} dx_model_hooks;
// Behind those that are there; `hooks` is kept by pointer. DX_NOT_FOUND for an unknown name, DX_TOO_LARGE over DX_MODEL_HOOKS_CAP.
dx_status dx_models_hook(dx_models *models, dx_slice name, const dx_model_hooks *hooks, void *ctx) DX_MUST_USE;
// Takes the first such pair away. DX_NOT_FOUND when there is none.
dx_status dx_models_unhook(dx_models *models, dx_slice name, const dx_model_hooks *hooks, void *ctx) DX_MUST_USE;

// Compiles all schemas and resolves the relations. Findings have the pointer in the definition (of a schema of its own: "/models/" and its
// name come first). DX_INVALID, DX_NO_MEMORY.
dx_status dx_models_build(dx_models *models, dx_diags *diags) DX_MUST_USE;
// A registry with the same models and hooks, not built, its counters at 0.
dx_status dx_models_copy(dx_models **out, const dx_models *from, dx_arena *arena) DX_MUST_USE;

// --- of a registry that is built: any number of threads ---------------------------------------------------------------------

bool dx_models_has(const dx_models *models, dx_slice name);
dx_slice dx_models_nearest(const dx_models *models, dx_slice name);        // for "did you mean"; may be empty
const dx_schema *dx_models_schema(const dx_models *models, dx_slice name); // NULL: it has none, or there is no such model
const dx_model *dx_models_binding(const dx_models *models, dx_slice name); // likewise
yyjson_val *dx_models_schema_json(const dx_models *models, dx_slice name); // likewise

typedef struct dx_models_counts {
    uint64_t unknown_values; // of enums
    uint64_t unknown_fields;
} dx_models_counts;

// Validates by the schema (without one, by the binding), by the models of what is related and nested, and by the validate hooks. Values are
// read with dx_json_read's ordinary numbers. Findings have pointers into `value`. Not strict, as for responses, what is newer than the
// schema is no error: an enum's unknown value (of a type that the enum has) and a field that the schema does not have are counted, and the
// first DX_SCHEMA_NEWER_CAP of a run are warnings: findings with the status DX_OK. A type, a required field, a const, any other rule, and a
// union none of whose forms can be told to have been meant, stay errors. Strict: all are errors, and nothing is counted. By a binding,
// nothing is counted either. `counts` (of this value) and `diags` may be NULL. DX_OK, DX_INVALID, DX_NOT_FOUND (no such model),
// DX_NO_MEMORY.
dx_status dx_models_validate(const dx_models *models, dx_slice name, yyjson_val *value, bool strict, dx_arena *scratch,
                             dx_models_counts *counts, dx_diags *diags) DX_MUST_USE;
// What was let pass since the registry was made, by model (the one that was asked for, whatever it nests).
dx_models_counts dx_models_counted(const dx_models *models, dx_slice name);

// Runs the hooks in the order in which they were added. `*json` is the text and becomes what they made of it, in `arena`. DX_MALFORMED when
// that is no JSON; DX_NOT_FOUND; otherwise what a hook returned, with a finding of it or one that names the hook.
dx_status dx_models_before_request(const dx_models *models, dx_slice name, dx_slice *json, dx_arena *arena, dx_diags *diags) DX_MUST_USE;
dx_status dx_models_after_response(const dx_models *models, dx_slice name, dx_slice *json, dx_arena *arena, dx_diags *diags) DX_MUST_USE;

typedef struct dx_related {
    dx_slice model; // of the items
    bool many;
    yyjson_val **items; // the objects, in order; a kind "one" has at most one
    size_t count;
} dx_related;
// What `value`, an object of the model `name`, relates to by its property `relation`. Objects that are nested there are given as they are.
// Ids (texts and numbers) that stand there, or are found by the relation's key, are looked up in `pool`, an array of objects of the related
// model (NULL: none), by the member "id". Memory is the arena's. DX_NOT_FOUND: no such model or relation; DX_NO_MEMORY.
dx_status dx_models_related(dx_related *out, const dx_models *models, dx_slice name, yyjson_val *value, dx_slice relation, yyjson_val *pool,
                            dx_arena *arena) DX_MUST_USE;

#endif
