// The input is [target, patch]. The target stays as it was; the same patch gives the same result twice; a merge patch applied again
// changes nothing more.
#include "codec/json_patch.h"
#include "fuzz.h"

static yyjson_val *frozen(dx_arena *arena, const yyjson_mut_val *value) {
    dx_buffer text;
    dx_buffer_init(&text, arena, 64 << 20);
    dx_json_write_mut(&text, value, false);
    if (dx_buffer_status(&text) != DX_OK) return NULL; // out of memory
    const dx_json_options deep = {.depth_cap = DX_JSON_DEPTH_MAX};
    yyjson_doc *doc;
    dx_status status = dx_json_read(&doc, arena, dx_buffer_slice(&text), &deep, NULL);
    FUZZ_CHECK(status == DX_OK || status == DX_NO_MEMORY);
    return yyjson_doc_get_root(doc);
}

static void check_patch(dx_arena *arena, yyjson_val *target, yyjson_val *patch) {
    dx_diags diags;
    dx_diags_init(&diags, arena);
    yyjson_mut_val *first, *second;
    dx_status status = dx_json_patch_apply(&first, dx_json_mut_doc(arena), target, patch, &diags);
    FUZZ_CHECK(status == DX_OK || status == DX_MALFORMED || status == DX_CONFLICT || status == DX_INVALID || status == DX_NO_MEMORY);
    FUZZ_CHECK((status == DX_OK || status == DX_NO_MEMORY) == (diags.count == 0));
    if (status != DX_OK || dx_json_patch_apply(&second, dx_json_mut_doc(arena), target, patch, NULL) != DX_OK) return;
    yyjson_val *a = frozen(arena, first), *b = frozen(arena, second);
    FUZZ_CHECK(a == NULL || b == NULL || dx_json_equal(a, b));
}

static void check_merge(dx_arena *arena, yyjson_val *target, yyjson_val *patch) {
    yyjson_mut_val *once, *twice;
    if (dx_json_merge_apply(&once, dx_json_mut_doc(arena), target, patch) != DX_OK) return;
    yyjson_val *merged = frozen(arena, once);
    if (merged == NULL || dx_json_merge_apply(&twice, dx_json_mut_doc(arena), merged, patch) != DX_OK) return;
    yyjson_val *again = frozen(arena, twice);
    FUZZ_CHECK(again == NULL || dx_json_equal(merged, again));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size > 16 * 1024) return 0;
    dx_arena *arena = dx_arena_create(64 << 20);
    yyjson_doc *doc;
    if (dx_json_read(&doc, arena, dx_slice_of((const char *)data, size), NULL, NULL) == DX_OK) {
        yyjson_val *root = yyjson_doc_get_root(doc);
        yyjson_val *target = yyjson_arr_get(root, 0), *patch = yyjson_arr_get(root, 1);
        if (target && patch) {
            dx_buffer before, after;
            dx_buffer_init(&before, NULL, 1 << 20);
            dx_buffer_init(&after, NULL, 1 << 20);
            dx_json_write_value(&before, root);
            check_patch(arena, target, patch);
            check_merge(arena, target, patch);
            dx_json_write_value(&after, root);
            FUZZ_CHECK(dx_slice_equal(dx_buffer_slice(&before), dx_buffer_slice(&after)));
            dx_buffer_deinit(&before);
            dx_buffer_deinit(&after);
        }
    }
    dx_arena_destroy(arena);
    return 0;
}
