// Feature `rest`: the HTTP face of resources. It owns the sections `models` and `resources` of the definition, and puts for each resource
// the usual routes under the API's base path. What the routes do is src/resource's; here requests become calls and outcomes become answers.
#ifndef DX_REST_REST_H
#define DX_REST_REST_H

#include "server/feature.h"

extern const dx_feature dx_rest_feature;

#endif
