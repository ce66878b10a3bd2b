// JSON Merge Patch (RFC 7396). A member of the patch that is null removes, an object merges, anything else replaces. Large objects are
// looked up through a table. Recursion goes down the patch, whose depth its reading has capped.
#include "codec/json_internal.h"
#include "codec/json_patch.h"

static yyjson_mut_val *merge(yyjson_mut_doc *doc, yyjson_val *target, yyjson_val *patch, size_t depth);

static bool add_member(yyjson_mut_doc *doc, yyjson_mut_val *object, yyjson_val *name, yyjson_mut_val *value) {
    yyjson_mut_val *copy = yyjson_val_mut_copy(doc, name);
    return copy && value && yyjson_mut_obj_add(object, copy, value);
}

// The target's members in their order, each as the patch leaves it.
static bool merge_old(yyjson_mut_doc *doc, yyjson_mut_val *result, yyjson_val *target, const dx_json_index *changes, size_t depth) {
    if (target == NULL) return true;
    size_t i, count;
    yyjson_val *name, *value;
    yyjson_obj_foreach(target, i, count, name, value) {
        yyjson_val *change = dx_json_index_get(changes, dx_json_slice(name));
        if (yyjson_is_null(change)) continue;
        yyjson_mut_val *merged = change ? merge(doc, value, change, depth + 1) : yyjson_val_mut_copy(doc, value);
        if (!add_member(doc, result, name, merged)) return false;
    }
    return true;
}

// The patch's members that the target does not have.
static bool merge_new(yyjson_mut_doc *doc, yyjson_mut_val *result, yyjson_val *patch, const dx_json_index *known, size_t depth) {
    size_t i, count;
    yyjson_val *name, *value;
    yyjson_obj_foreach(patch, i, count, name, value) {
        if (yyjson_is_null(value) || dx_json_index_get(known, dx_json_slice(name))) continue;
        if (!add_member(doc, result, name, merge(doc, NULL, value, depth + 1))) return false;
    }
    return true;
}

static yyjson_mut_val *merge(yyjson_mut_doc *doc, yyjson_val *target, yyjson_val *patch, size_t depth) {
    if (!yyjson_is_obj(patch)) return yyjson_val_mut_copy(doc, patch);
    yyjson_mut_val *result = yyjson_mut_obj(doc);
    if (result == NULL || depth > DX_JSON_DEPTH_MAX) return NULL;
    dx_json_index changes, known;
    dx_json_index_init(&changes, patch);
    dx_json_index_init(&known, yyjson_is_obj(target) ? target : NULL);
    bool whole = merge_old(doc, result, known.object, &changes, depth) && merge_new(doc, result, patch, &known, depth);
    dx_json_index_deinit(&known);
    dx_json_index_deinit(&changes);
    return whole ? result : NULL;
}

dx_status dx_json_merge_apply(yyjson_mut_val **out, yyjson_mut_doc *doc, yyjson_val *target, yyjson_val *patch) {
    yyjson_mut_val *merged = merge(doc, target, patch, 0);
    if (merged == NULL) return DX_NO_MEMORY;
    *out = merged;
    return DX_OK;
}
