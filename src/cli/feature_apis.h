// The section `apis` as a part of the server's definition.
#ifndef DX_CLI_FEATURE_APIS_H
#define DX_CLI_FEATURE_APIS_H

#include "server/feature.h"

extern const dx_feature dx_apis_feature;

#endif
