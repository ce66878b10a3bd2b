// Path templates: "/users/{user_id}/repos". A parameter fills (a part of) one segment; its value is percent-encoded whole, so that it can't
// add segments or a query.
#ifndef DX_CLIENT_PATH_H
#define DX_CLIENT_PATH_H

#include "client/apis.h"

// Walks a template: the literal before the next parameter (`literal` may be NULL) and its name. False at the end, where `*literal` is what
// is left, and for a brace that is never closed.
bool dx_path_next(dx_slice *rest, dx_slice *literal, dx_slice *name);
bool dx_path_names(dx_slice path, dx_slice name); // whether {name} is in it
// `*problem` (in the arena) says what is wrong with the path, if anything is.
dx_status dx_path_compile(const dx_path_piece **out, uint16_t *count, dx_arena *arena, dx_slice path, const dx_param *params,
                          size_t param_count, dx_slice *problem) DX_MUST_USE;

#endif
