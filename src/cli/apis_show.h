// What `duplex apis` tells, as a tree: APIs, the endpoints of one, or one endpoint with its parameters.
#ifndef DX_CLI_APIS_SHOW_H
#define DX_CLI_APIS_SHOW_H

#include "client/apis.h"

// A variable that is not set.
typedef struct dx_unset {
    dx_slice pointer, name;
    struct dx_unset *next;
} dx_unset;
typedef struct dx_unsets {
    dx_arena *arena;
    dx_unset *first, **last;
} dx_unsets;
void dx_unsets_init(dx_unsets *unsets, dx_arena *arena);
void dx_unsets_add(void *unsets, dx_slice pointer, dx_slice name); // dx_definition_options.missing
// The variable that a value lacks, or an empty text.
dx_slice dx_unset_at(const dx_unsets *unsets, dx_slice pointer);

typedef struct dx_apis_view {
    const char *file;
    const dx_apis *apis;
    const dx_unsets *unsets;
    dx_arena *arena;
    yyjson_mut_doc *doc;
} dx_apis_view;
// In `view->doc`; NULL without memory.
yyjson_mut_val *dx_apis_show_all(const dx_apis_view *view);
yyjson_mut_val *dx_apis_show_api(const dx_apis_view *view, const dx_api *api);
yyjson_mut_val *dx_apis_show_endpoint(const dx_apis_view *view, const dx_endpoint *endpoint);
// The shortest name by which an endpoint can be called.
dx_slice dx_apis_name_of(const dx_apis_view *view, const dx_endpoint *endpoint);

#endif
