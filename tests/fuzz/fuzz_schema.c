// The input is [schema, instance]. A schema that is refused says why; one that compiles gives the same verdict with findings and without,
// findings exactly when the verdict is bad, and each finding points to a place in the instance or to a missing member of one.
#include "fuzz.h"
#include "model/schema.h"

static void check_pointer(dx_arena *arena, yyjson_val *instance, dx_slice pointer) {
    if (dx_json_at(instance, pointer)) return;
    size_t size = pointer.size;
    while (size && pointer.data[size - 1] != '/') size--;
    FUZZ_CHECK(size > 0 && yyjson_is_obj(dx_json_at(instance, dx_slice_of(pointer.data, size - 1))));
    (void)arena;
}

static void check_run(dx_arena *arena, const dx_schema *schema, yyjson_val *instance) {
    dx_diags diags, first;
    dx_diags_init(&diags, arena);
    dx_diags_init(&first, arena);
    dx_schema_options first_only = {.first_only = true};
    dx_status bare = dx_schema_validate(schema, instance, arena, NULL, NULL);
    dx_status told = dx_schema_validate(schema, instance, arena, NULL, &diags);
    dx_status once = dx_schema_validate(schema, instance, arena, &first_only, &first);
    if (bare == DX_NO_MEMORY || told == DX_NO_MEMORY || once == DX_NO_MEMORY) return;
    FUZZ_CHECK((bare == DX_OK || bare == DX_INVALID) && bare == told && bare == once);
    FUZZ_CHECK((bare == DX_OK) == (diags.count == 0) && (bare == DX_OK) == (first.count == 0));
    for (const dx_diag *diag = diags.first; diag; diag = diag->next) {
        FUZZ_CHECK(diag->message.size > 0);
        check_pointer(arena, instance, diag->pointer);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size > 16 * 1024) return 0;
    dx_arena *arena = dx_arena_create(64u << 20);
    yyjson_doc *document;
    if (dx_json_read(&document, arena, dx_slice_of((const char *)data, size), NULL, NULL) == DX_OK) {
        yyjson_val *root = yyjson_doc_get_root(document), *instance = yyjson_arr_get(root, 1);
        dx_schema_set *set = dx_schema_set_create(arena, true);
        dx_diags diags;
        const dx_schema *schema;
        dx_diags_init(&diags, arena);
        if (instance && dx_schema_set_add(set, (dx_slice){"", 0}, yyjson_arr_get(root, 0)) == DX_OK) {
            dx_status status = dx_schema_compile(&schema, set, (dx_slice){"", 0}, &diags);
            FUZZ_CHECK((status == DX_OK) == (schema != NULL));
            FUZZ_CHECK(status == DX_NO_MEMORY || (status == DX_OK) == (diags.count == 0));
            if (schema) check_run(arena, schema, instance);
        }
    }
    dx_arena_destroy(arena);
    return 0;
}
