// What is read is written and read back equal, compact and pretty; what is refused says where.
#include "codec/json.h"
#include "fuzz.h"

static yyjson_val *read_back(dx_arena *arena, const dx_buffer *text) {
    yyjson_doc *doc;
    FUZZ_CHECK(dx_buffer_status(text) == DX_OK);
    FUZZ_CHECK(dx_json_read(&doc, arena, dx_buffer_slice(text), NULL, NULL) == DX_OK);
    return yyjson_doc_get_root(doc);
}

static void check_document(dx_arena *arena, dx_slice text, yyjson_val *root) {
    dx_buffer compact, pretty;
    dx_buffer_init(&compact, arena, 8 << 20);
    dx_json_write_value(&compact, root);
    FUZZ_CHECK(dx_json_equal(root, read_back(arena, &compact)));
    dx_buffer_init(&pretty, arena, 32 << 20);
    dx_json_write_mut(&pretty, yyjson_val_mut_copy(dx_json_mut_doc(arena), root), true);
    FUZZ_CHECK(dx_json_equal(read_back(arena, &pretty), root));
    uint32_t line, column;
    FUZZ_CHECK(dx_json_locate(text, DX_SLICE(""), false, &line, &column));
}

// Each member and element of the root is found again in the text by its pointer.
static void check_places(dx_arena *arena, dx_slice text, yyjson_val *root) {
    size_t at, count;
    yyjson_val *name, *value;
    uint32_t line, column;
    if (yyjson_is_obj(root) && yyjson_obj_size(root) < 100) {
        yyjson_obj_foreach(root, at, count, name, value) {
            dx_slice pointer = dx_json_pointer_join(arena, DX_SLICE(""), dx_json_slice(name));
            FUZZ_CHECK(dx_json_at(root, pointer) == value);
            FUZZ_CHECK(dx_json_locate(text, pointer, true, &line, &column));
        }
    } else if (yyjson_is_arr(root) && yyjson_arr_size(root) < 100) {
        yyjson_arr_foreach(root, at, count, value) {
            dx_slice pointer = dx_json_pointer_index(arena, DX_SLICE(""), at);
            FUZZ_CHECK(dx_json_at(root, pointer) == value);
            FUZZ_CHECK(dx_json_locate(text, pointer, false, &line, &column));
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size > 64 * 1024) return 0;
    dx_arena *arena = dx_arena_create(128 << 20);
    dx_slice text = dx_slice_of((const char *)data, size);
    dx_diags diags;
    dx_diags_init(&diags, arena);
    yyjson_doc *doc;
    if (dx_json_read(&doc, arena, text, NULL, &diags) == DX_OK) {
        check_document(arena, text, yyjson_doc_get_root(doc));
        check_places(arena, text, yyjson_doc_get_root(doc));
    } else {
        FUZZ_CHECK(diags.first && diags.first->status == DX_MALFORMED && diags.first->line && diags.first->column);
        FUZZ_CHECK(diags.first->line <= size + 1 && diags.first->column <= size + 1);
    }
    uint32_t line, column; // whatever the text is, the search ends
    (void)dx_json_locate(text, DX_SLICE("/a/0"), true, &line, &column);
    (void)dx_json_locate(text, DX_SLICE("/1/a"), false, &line, &column);
    dx_arena_destroy(arena);
    return 0;
}
