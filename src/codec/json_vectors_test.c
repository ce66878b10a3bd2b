// JSONTestSuite: every y_ file is read, every n_ file refused, and for the i_ files, which RFC 8259 leaves open, the verdict is the one
// written down here and in docs/json.md.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "codec/json.h"
#include "codec/test_vectors.h"

static const struct {
    const char *file;
    bool accepted;
} OPEN_CASES[] = {
    {"i_number_double_huge_neg_exp.json", true},
    {"i_number_huge_exp.json", false},
    {"i_number_neg_int_huge_exp.json", false},
    {"i_number_pos_double_huge_exp.json", false},
    {"i_number_real_neg_overflow.json", false},
    {"i_number_real_pos_overflow.json", false},
    {"i_number_real_underflow.json", true},
    {"i_number_too_big_neg_int.json", true},
    {"i_number_too_big_pos_int.json", true},
    {"i_number_very_big_negative_int.json", true},
    {"i_object_key_lone_2nd_surrogate.json", false},
    {"i_string_1st_surrogate_but_2nd_missing.json", false},
    {"i_string_1st_valid_surrogate_2nd_invalid.json", false},
    {"i_string_UTF-16LE_with_BOM.json", false},
    {"i_string_UTF-8_invalid_sequence.json", false},
    {"i_string_UTF8_surrogate_U+D800.json", false},
    {"i_string_incomplete_surrogate_and_escape_valid.json", false},
    {"i_string_incomplete_surrogate_pair.json", false},
    {"i_string_incomplete_surrogates_escape_valid.json", false},
    {"i_string_invalid_lonely_surrogate.json", false},
    {"i_string_invalid_surrogate.json", false},
    {"i_string_invalid_utf-8.json", false},
    {"i_string_inverted_surrogates_U+1D11E.json", false},
    {"i_string_iso_latin_1.json", false},
    {"i_string_lone_second_surrogate.json", false},
    {"i_string_lone_utf8_continuation_byte.json", false},
    {"i_string_not_in_unicode_range.json", false},
    {"i_string_overlong_sequence_2_bytes.json", false},
    {"i_string_overlong_sequence_6_bytes.json", false},
    {"i_string_overlong_sequence_6_bytes_null.json", false},
    {"i_string_truncated-utf-8.json", false},
    {"i_string_utf16BE_no_BOM.json", false},
    {"i_string_utf16LE_no_BOM.json", false},
    {"i_structure_500_nested_arrays.json", false},
    {"i_structure_UTF-8_BOM_empty_object.json", false},
};

static bool wanted(const char *file) {
    if (file[0] != 'i') return file[0] == 'y';
    for (size_t i = 0; i < DX_COUNT_OF(OPEN_CASES); i++) {
        if (strcmp(file, OPEN_CASES[i].file) == 0) return OPEN_CASES[i].accepted;
    }
    fail_msg("%s has no verdict", file);
    return false;
}

static bool accepted(dx_arena *arena, dx_slice text) {
    // The suite has an object with a name twice among the files to be read; our own default is stricter.
    const dx_json_options options = {.allow_duplicates = true};
    yyjson_doc *doc;
    dx_diags diags;
    dx_diags_init(&diags, arena);
    dx_status status = dx_json_read(&doc, arena, text, &options, &diags);
    assert_true(status == DX_OK || status == DX_MALFORMED);
    assert_int_equal(status == DX_OK, doc != NULL);
    assert_int_equal(diags.count, status != DX_OK);
    if (diags.first) assert_true(diags.first->line > 0 && diags.first->column > 0);
    return status == DX_OK;
}

static void every_file_gets_its_verdict(void **state) {
    (void)state;
    char path[1024];
    DIR *dir = test_vectors_open("json", path, sizeof path);
    if (dir == NULL) skip();
    int kinds[128] = {0};
    struct dirent *entry;
    while ((entry = readdir(dir))) {
        const char *file = entry->d_name;
        if (strstr(file, ".json") == NULL || file[1] != '_') continue;
        dx_arena *arena = dx_arena_create(8 << 20);
        dx_slice text = test_vectors_read(arena, path, file);
        assert_non_null(text.data);
        if (accepted(arena, text) != wanted(file)) fail_msg("%s: the verdict is wrong", file);
        kinds[file[0] & 127]++;
        dx_arena_destroy(arena);
    }
    closedir(dir);
    print_message("read %d, refused %d, open %d\n", kinds['y'], kinds['n'], kinds['i']);
    assert_int_equal(kinds['y'], 95);
    assert_int_equal(kinds['n'], 188);
    assert_int_equal(kinds['i'], DX_COUNT_OF(OPEN_CASES));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_file_gets_its_verdict)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
