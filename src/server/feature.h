// A feature: a capability in a folder of its own (rest, identity, …) that plugs into the server through one const struct and one row in the
// features table. Features never include each other. What a feature may ask of the app under construction is in this header.
#ifndef DX_SERVER_FEATURE_H
#define DX_SERVER_FEATURE_H

#include "config/definition.h"
#include "exchange/chain.h"
#include "store/store.h"

// What is built from one definition: operations, chains, router. Immutable once built; all workers share it.
typedef struct dx_app dx_app;

typedef struct dx_feature {
    const char *name;
    const dx_section *const *sections; // NULL-terminated; the sections of the definition it owns. NULL: none
    const struct dx_plan_rule *plan;   // what changes of them mean (config/plan.h); NULL: nothing but that they take effect
    // In this order; `load` and `build` on one thread, none of the workers' (at a reload they go on serving the old definition meanwhile).
    // A finding (dx_definition_complain) from any of them refuses the definition. Each slot may be NULL.
    // 1. Reads its sections and declares its tables (dx_app_add_table). `*state` is what the later slots get.
    dx_status (*load)(void **state, dx_app *app, dx_diags *diags);
    // 2. The store stands and is migrated (for `duplex check` and `openapi` it is an empty one in memory): keeps statements, adds
    // operations
    //    and filters.
    dx_status (*build)(void *state, dx_app *app, dx_diags *diags);
    // 3. A running server got a new definition: `old` is the state that this feature had under the one before (NULL when it had none), and
    // still has, for exchanges go on under it on all workers. Takes over what must not be forgotten, as something shared that knows its
    // holders. After `build`, on a thread of its own. NULL: nothing outlives a definition.
    void (*inherit)(void *state, void *old);
    // 4. On each worker's thread, when the worker begins with the app: before its loop runs, or, at a reload, between two turns of it. Must
    // not fail for more than memory.
    dx_status (*start)(void *state, dx_app *app, unsigned worker, dx_loop *loop);
    // 5. On each worker's thread, when nothing more is started on the app there: ends timers. What is still under way ends by itself, and
    // what a feature does on its own, without an exchange, it counts (dx_app_hold). NULL: nothing runs by itself. Not called for workers
    // that stop with the process.
    void (*leave)(void *state, unsigned worker, dx_loop *loop);
    // 6. Nobody uses the app any more: every worker has left it and nothing of it is under way, or all loops have stopped. Any thread.
    void (*stop)(void *state);
} dx_feature;

// Where in every chain a filter stands. Within a stage: in the order added.
typedef enum dx_stage {
    DX_STAGE_EDGE,     // CORS, security fields: sees every exchange, 404 and 405 too
    DX_STAGE_IDENTIFY, // sets x->principal; the server's own access filter stands right behind
    DX_STAGE_ADMIT,    // limits, quotas
    DX_STAGE_INNER     // nearest to the handler; the body is read right before it
} dx_stage;

dx_arena *dx_app_arena(dx_app *app); // lives as long as the app
const dx_definition *dx_app_definition(const dx_app *app);
yyjson_val *dx_app_section(const dx_app *app, const char *name);
bool dx_app_production(const dx_app *app);
dx_store *dx_app_store(const dx_app *app);                      // from `build` on
dx_keep *dx_app_keep(const dx_app *app);                        // likewise: for statements that live as long as the app
dx_session *dx_app_session(const dx_app *app, unsigned worker); // from `start` on: the worker's way into the store
unsigned dx_app_workers(const dx_app *app);
// Something of the app goes on without an exchange (a sweep, a feed): until it is let go, on the same worker, the app stands. On the
// worker's thread.
void dx_app_hold(dx_app *app, unsigned worker);
void dx_app_release(dx_app *app, unsigned worker);
// The API's base path, "/api/v1", and the title and version of the API (section `server`).
dx_slice dx_app_base_path(const dx_app *app);
// A 32-byte key for a purpose, derived from the root secret (HKDF).
void dx_app_key(const dx_app *app, const char *purpose, uint8_t out[32]);
// The root secret itself (at least 32 bytes of text or binary), for those that derive keys from it by themselves.
dx_slice dx_app_root_secret(const dx_app *app);

dx_status dx_app_add_table(dx_app *app, const dx_table *table) DX_MUST_USE; // in `load`
// In `build`. The operation is the feature's and lives as long as the app. Its chain is built by the app.
dx_status dx_app_add_operation(dx_app *app, dx_operation *operation) DX_MUST_USE;
dx_status dx_app_add_filter(dx_app *app, dx_stage stage, dx_filter filter) DX_MUST_USE;
// A schema for `components/schemas` of the OpenAPI document, referred to as "#/components/schemas/<name>". `describe` builds it on request.
// DX_ALREADY_EXISTS when the name is taken.
typedef yyjson_mut_val *(*dx_describe_schema)(const void *conf, yyjson_mut_doc *doc);
dx_status dx_app_add_schema(dx_app *app, dx_slice name, dx_describe_schema describe, const void *conf) DX_MUST_USE;
// A security scheme for `components/securitySchemes` (OpenAPI 3.1), likewise; operations that are not public require any one of the
// schemes.
dx_status dx_app_add_security_scheme(dx_app *app, dx_slice name, dx_describe_schema describe, const void *conf) DX_MUST_USE;

// The features table (features.c): every feature has one row.
extern const dx_feature *const dx_features[]; // NULL-terminated

#endif
