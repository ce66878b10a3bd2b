// Feature `apis`: a definition that is served may have APIs in it that are called. Nothing of a server uses them; what is owned here is the
// section, so that one file can say both, and is checked whole.
#include "cli/feature_apis.h"

#include "client/client.h"

static dx_status load(void **state, dx_app *app, dx_diags *diags) {
    *state = NULL;
    if (!dx_app_section(app, "apis")) return DX_OK;
    dx_status status = dx_client_check(dx_app_definition(app), diags);
    return status == DX_INVALID ? DX_OK : status; // its findings are told; those of other features are wanted, too
}

static const dx_section *const sections[] = {&dx_apis_section, NULL};

const dx_feature dx_apis_feature = {.name = "apis", .sections = sections, .load = load};
