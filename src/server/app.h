// The app: building it from a definition, and running it.
#ifndef DX_SERVER_APP_H
#define DX_SERVER_APP_H

#include "server/feature.h"

typedef struct dx_app_options {
    const char *path;   // of the definition
    const char *listen; // "HOST:PORT"; overrides the definition; NULL: as it says
    const char *store;  // URL; likewise
    unsigned workers;   // 0: as the definition says, else one a core
    bool offline;       // for check and openapi: an empty store in memory, no secret file, nothing listens
} dx_app_options;

// Loads, migrates, builds. All findings are in `diags`.
dx_status dx_app_create(dx_app **out, const dx_app_options *options, dx_diags *diags) DX_MUST_USE;
void dx_app_destroy(dx_app *app);

// Serves until SIGTERM or SIGINT; `listening` is told the address once connections are accepted. Finishes what is being answered. Blocks.
dx_status dx_app_serve(dx_app *app, void (*listening)(void *ctx, const char *url), void *ctx, dx_diags *diags) DX_MUST_USE;

// The OpenAPI 3.1 document of the app.
dx_status dx_app_openapi(const dx_app *app, dx_buffer *out, bool pretty) DX_MUST_USE;
// Every section of every feature and of the server itself, for `duplex schema` and dx_definition_load.
const dx_section *const *dx_app_sections(size_t *count);

#endif
