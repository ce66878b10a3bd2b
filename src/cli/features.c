// The features table: every feature of the program has one row here, in the order in which they are loaded, built and started.
#include "server/feature.h"

#include "cli/feature_apis.h"
#include "files/files.h"
#include "identity/identity.h"
#include "rest/rest.h"

const dx_feature *const dx_features[] = {&dx_identity_feature, &dx_rest_feature, &dx_files_feature, &dx_apis_feature, NULL};
