// Any text is read into a struct with a member of each kind, or refused and then nothing is left behind. What was read is written, and that
// text reads and writes as itself. As a list, too; and names converted there are converted no further the second time.
#include <string.h>

#include "fuzz.h"
#include "model/bind_fixture.h"
#include "model/case.h"

static void check_error(dx_error_code code, const dx_error *error) {
    FUZZ_CHECK(code == error->code);
    FUZZ_CHECK(code == DX_ERROR_NONE || code == DX_ERROR_INVALID || code == DX_ERROR_MALFORMED || code == DX_ERROR_NO_MEMORY);
    FUZZ_CHECK((code == DX_ERROR_NONE) == (error->message[0] == '\0'));
}

// Reads one, checks that it is written and read again as it is.
static void check_one(const char *data, size_t size) {
    static const rich zero;
    rich value, again;
    dx_error error = DX_ERROR_INIT;
    dx_error_code code = dx_model_from_json(&value, rich_model(), data, size, 0, &error);
    check_error(code, &error);
    if (code != DX_ERROR_NONE) {
        FUZZ_CHECK(memcmp(&value, &zero, sizeof value) == 0);
        return;
    }
    char *first, *second;
    size_t first_size, second_size;
    FUZZ_CHECK(dx_model_to_json(&first, &first_size, rich_model(), &value, 0, &error) == DX_ERROR_NONE);
    FUZZ_CHECK(dx_model_from_json(&again, rich_model(), first, first_size, 0, &error) == DX_ERROR_NONE);
    FUZZ_CHECK(dx_model_to_json(&second, &second_size, rich_model(), &again, 0, &error) == DX_ERROR_NONE);
    FUZZ_CHECK(first_size == second_size && memcmp(first, second, first_size) == 0);
    dx_model_free(first);
    dx_model_free(second);
    dx_model_clear(rich_model(), &value);
    dx_model_clear(rich_model(), &again);
    if (dx_model_from_json(&value, rich_model(), data, size, DX_MODEL_STRICT, NULL) == DX_ERROR_NONE) dx_model_clear(rich_model(), &value);
}

static void check_list(const char *data, size_t size) {
    void *items;
    size_t count;
    dx_error error = DX_ERROR_INIT;
    dx_error_code code = dx_model_array_from_json(&items, &count, point_model(), data, size, 0, &error);
    check_error(code, &error);
    FUZZ_CHECK(code == DX_ERROR_NONE || (items == NULL && count == 0));
    char *text = NULL;
    if (code == DX_ERROR_NONE) FUZZ_CHECK(dx_model_array_to_json(&text, NULL, point_model(), items, count, 0, &error) == DX_ERROR_NONE);
    dx_model_free(text);
    dx_model_clear_array(point_model(), items, count);
}

static void check_names(const char *data, size_t size) {
    dx_arena *arena = dx_arena_create(64 << 20);
    yyjson_doc *doc;
    yyjson_mut_val *once, *twice;
    if (dx_json_read(&doc, arena, dx_slice_of(data, size), NULL, NULL) == DX_OK &&
        dx_case_convert(&once, dx_json_mut_doc(arena), yyjson_doc_get_root(doc), DX_CASE_SNAKE, arena, NULL) == DX_OK) {
        dx_buffer first, second;
        dx_buffer_init(&first, arena, 64 << 20);
        dx_buffer_init(&second, arena, 64 << 20);
        dx_json_write_mut(&first, once, false);
        const dx_json_options options = {.depth_cap = DX_JSON_DEPTH_MAX};
        FUZZ_CHECK(dx_json_read(&doc, arena, dx_buffer_slice(&first), &options, NULL) == DX_OK);
        FUZZ_CHECK(dx_case_convert(&twice, dx_json_mut_doc(arena), yyjson_doc_get_root(doc), DX_CASE_SNAKE, arena, NULL) == DX_OK);
        dx_json_write_mut(&second, twice, false);
        FUZZ_CHECK(dx_slice_equal(dx_buffer_slice(&first), dx_buffer_slice(&second)));
    }
    dx_arena_destroy(arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size > 16 * 1024) return 0;
    check_one((const char *)data, size);
    check_list((const char *)data, size);
    check_names((const char *)data, size);
    return 0;
}
