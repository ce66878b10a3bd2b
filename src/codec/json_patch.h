// Changing documents: JSON Patch (RFC 6902) and JSON Merge Patch (RFC 7396).
#ifndef DX_CODEC_JSON_PATCH_H
#define DX_CODEC_JSON_PATCH_H

#include "codec/json.h"

#define DX_JSON_PATCH_OPERATIONS_CAP 1000

// Applies `patch` to `target`; `*out` is a new tree in `doc`, `target` is untouched. All or nothing. Errors: DX_MALFORMED when
// `patch` is no JSON Patch, DX_CONFLICT when a `test` fails, DX_INVALID when a path does not exist or a cap is passed; `diags` says which
// operation (pointer "/2/path"). Growth by repeated copies is capped by the arena.
dx_status dx_json_patch_apply(yyjson_mut_val **out, yyjson_mut_doc *doc, yyjson_val *target, yyjson_val *patch,
                              dx_diags *diags) DX_MUST_USE;
// RFC 7396 MergePatch(target, patch).
dx_status dx_json_merge_apply(yyjson_mut_val **out, yyjson_mut_doc *doc, yyjson_val *target, yyjson_val *patch) DX_MUST_USE;

#endif
