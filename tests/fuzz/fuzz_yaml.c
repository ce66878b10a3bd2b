// What is read is written and read back equal, and so is what was read as JSON; what is refused says where.
#include "codec/yaml.h"
#include "fuzz.h"

static void check_round(dx_arena *arena, yyjson_val *root) {
    const dx_json_options deep = {.depth_cap = DX_JSON_DEPTH_MAX};
    dx_buffer text;
    yyjson_doc *doc;
    dx_buffer_init(&text, arena, 32 << 20);
    dx_yaml_write(&text, root);
    if (dx_buffer_status(&text) != DX_OK) return; // aliases may make more than fits
    dx_status status = dx_yaml_read(&doc, arena, dx_buffer_slice(&text), &deep, NULL);
    if (status == DX_NO_MEMORY) return;
    FUZZ_CHECK(status == DX_OK);
    FUZZ_CHECK(dx_json_equal(root, yyjson_doc_get_root(doc)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size > 64 * 1024) return 0;
    dx_arena *arena = dx_arena_create(256 << 20);
    dx_slice text = dx_slice_of((const char *)data, size);
    dx_diags diags;
    dx_diags_init(&diags, arena);
    yyjson_doc *doc;
    dx_status status = dx_yaml_read(&doc, arena, text, NULL, &diags);
    if (status == DX_OK) {
        check_round(arena, yyjson_doc_get_root(doc));
    } else {
        FUZZ_CHECK(status == DX_MALFORMED || status == DX_NO_MEMORY);
        if (status == DX_MALFORMED) FUZZ_CHECK(diags.first && diags.first->line && diags.first->column && diags.first->line <= size + 1);
    }
    if (dx_json_read(&doc, arena, text, NULL, NULL) == DX_OK) check_round(arena, yyjson_doc_get_root(doc));
    dx_arena_destroy(arena);
    return 0;
}
