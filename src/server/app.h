// The app: what is built from one definition. How it is run: host/host.h.
#ifndef DX_SERVER_APP_H
#define DX_SERVER_APP_H

#include "server/feature.h"

struct dx_process;
typedef struct dx_app_options {
    const char *path;           // of the definition
    const char *listen;         // "HOST:PORT"; overrides the definition; NULL: as it says
    const char *store;          // URL; likewise
    unsigned workers;           // 0: as the definition says, else one a core
    struct dx_process *process; // that runs already, and shall go over to this app; NULL: a new one
    // Called once the settings are read and before anything is opened, made or read for them: what a process must do with the rights that
    // it was started with. Not when they have findings, nor offline. NULL: nothing.
    dx_status (*settled)(void *ctx, dx_app *app, dx_diags *diags);
    void *ctx;
    bool beside;  // another app or process still uses the store's tables: nothing is taken from them
    bool offline; // for check and openapi: an empty store in memory, no secret file, nothing listens
} dx_app_options;

// Loads, migrates, builds. All findings are in `diags`.
dx_status dx_app_create(dx_app **out, const dx_app_options *options, dx_diags *diags) DX_MUST_USE;
void dx_app_destroy(dx_app *app); // when nobody uses it any more; takes NULL

// The OpenAPI 3.1 document of the app.
dx_status dx_app_openapi(const dx_app *app, dx_buffer *out, bool pretty) DX_MUST_USE;
// What changes from one app's definition to another's, as `changes` and `count` of the object `root`.
dx_status dx_app_plan(const dx_app *before, const dx_app *after, dx_arena *arena, yyjson_mut_doc *doc, yyjson_mut_val *root) DX_MUST_USE;
// Every section of every feature and of the server itself, for `duplex schema` and dx_definition_load.
const dx_section *const *dx_app_sections(size_t *count);

#endif
