// Names between snake_case and camelCase, alone and in trees.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/memory.h"
#include "model/case.h"

static void becomes(dx_case to, const char *name, const char *wanted) {
    char out[256];
    size_t size = dx_case_write(out, to, dx_slice_str(name));
    assert_true(size <= 2 * strlen(name));
    out[size] = '\0';
    assert_string_equal(out, wanted);
}

static const char *const both_ways[][2] = {{"html_url", "htmlUrl"},
                                           {"a", "a"},
                                           {"", ""},
                                           {"_id", "_id"},
                                           {"line_2", "line_2"},
                                           {"a_b_c", "aBC"}, // see below: not back
                                           {"utf8_name", "utf8Name"},
                                           {"created_at_", "createdAt_"},
                                           {"sha256", "sha256"},
                                           {"gr\xc3\xb6\xc3\x9f"
                                            "e_x",
                                            "gr\xc3\xb6\xc3\x9f"
                                            "eX"}};

static void test_snake_becomes_camel_and_back(void **state) {
    (void)state;
    for (size_t i = 0; i < DX_COUNT_OF(both_ways); i++) {
        becomes(DX_CASE_CAMEL, both_ways[i][0], both_ways[i][1]);
        if (i != 5) becomes(DX_CASE_SNAKE, both_ways[i][1], both_ways[i][0]);
        becomes(DX_CASE_AS_IS, both_ways[i][0], both_ways[i][0]);
    }
}

static void test_a_run_of_capitals_is_one_word(void **state) {
    (void)state;
    becomes(DX_CASE_SNAKE, "userID", "user_id");
    becomes(DX_CASE_SNAKE, "HTMLParser", "html_parser");
    becomes(DX_CASE_SNAKE, "parseHTMLNow", "parse_html_now");
    becomes(DX_CASE_SNAKE, "has2FA", "has2_fa");
    becomes(DX_CASE_SNAKE, "UserName", "user_name");
    becomes(DX_CASE_SNAKE, "aBC", "a_bc"); // so single letters in a row don't come back
    becomes(DX_CASE_SNAKE, "already_snake", "already_snake");
    becomes(DX_CASE_CAMEL, "alreadyCamel", "alreadyCamel");
    becomes(DX_CASE_CAMEL, "a__b", "a_B");
}

static dx_arena *arena;

static yyjson_val *json(const char *text) {
    yyjson_doc *doc;
    char *copy = dx_arena_bytes(arena, strlen(text) + 1);
    memcpy(copy, text, strlen(text) + 1);
    for (char *at = copy; *at; at++)
        if (*at == '\'') *at = '"';
    const dx_json_options options = {.numbers_as_text = true};
    assert_int_equal(dx_json_read(&doc, arena, dx_slice_str(copy), &options, NULL), DX_OK);
    return yyjson_doc_get_root(doc);
}

static const char *converted(const char *text, dx_case to, dx_status wanted, dx_diags *diags) {
    yyjson_mut_val *out;
    assert_int_equal(dx_case_convert(&out, dx_json_mut_doc(arena), json(text), to, arena, diags), wanted);
    if (wanted != DX_OK) return NULL;
    dx_buffer buffer;
    dx_buffer_init(&buffer, arena, 1 << 20);
    dx_json_write_mut(&buffer, out, false);
    dx_buffer_byte(&buffer, '\0');
    for (char *at = buffer.data; *at; at++)
        if (*at == '"') *at = '\'';
    return buffer.data;
}

static void test_all_names_of_a_tree_are_converted_and_no_value(void **state) {
    (void)state;
    assert_string_equal(
        converted("{'userId':1.10,'theList':[{'aName':'aName','x':{}},[],[{'bName':null}]],'b':true}", DX_CASE_SNAKE, DX_OK, NULL),
        "{'user_id':1.10,'the_list':[{'a_name':'aName','x':{}},[],[{'b_name':null}]],'b':true}");
    assert_string_equal(converted("{'user_id':{'a_b':[{'c_d':18446744073709551615}]}}", DX_CASE_CAMEL, DX_OK, NULL),
                        "{'userId':{'aB':[{'cD':18446744073709551615}]}}");
    assert_string_equal(converted("'aName'", DX_CASE_SNAKE, DX_OK, NULL), "'aName'");
    assert_string_equal(converted("[]", DX_CASE_SNAKE, DX_OK, NULL), "[]");
}

static void test_names_that_become_one_are_a_conflict_with_its_place(void **state) {
    (void)state;
    dx_diags diags;
    dx_diags_init(&diags, arena);
    (void)converted("{'a':[0,{'b':1},{'theUser':{'userId':1,'user_id':2}}]}", DX_CASE_SNAKE, DX_CONFLICT, &diags);
    assert_int_equal(diags.count, 1);
    assert_string_equal(diags.first->pointer.data, "/a/2/theUser/user_id");
    (void)converted("[{'userId':1,'user_id':2}]", DX_CASE_CAMEL, DX_CONFLICT, NULL);
}

static void test_conversion_without_memory_says_so(void **state) {
    (void)state;
    yyjson_val *value = json("{'userId':1,'theList':[{'aName':'aName','bName':2}]}");
    for (uint64_t n = 1;; n++) {
        dx_arena *own = dx_arena_create(1 << 20);
        yyjson_mut_doc *doc = dx_json_mut_doc(own);
        yyjson_mut_val *out;
        dx_memory_fail_at(n, false);
        dx_status status = dx_case_convert(&out, doc, value, DX_CASE_SNAKE, own, NULL);
        bool failed = dx_memory_fail_stop();
        dx_arena_destroy(own);
        if (!failed) break;
        assert_true(status == DX_NO_MEMORY || status == DX_OK);
    }
}

static int setup(void **state) {
    (void)state;
    arena = dx_arena_create(16u << 20);
    return arena ? 0 : 1;
}

static int teardown(void **state) {
    (void)state;
    dx_arena_destroy(arena);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_snake_becomes_camel_and_back),
        cmocka_unit_test(test_a_run_of_capitals_is_one_word),
        cmocka_unit_test(test_all_names_of_a_tree_are_converted_and_no_value),
        cmocka_unit_test(test_names_that_become_one_are_a_conflict_with_its_place),
        cmocka_unit_test(test_conversion_without_memory_says_so),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
