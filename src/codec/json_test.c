// JSON: what is refused and where the message points, pointers, equality, writing, and memory running out.
#include "codec/json.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/memory.h"

static dx_arena *arena;

static int setup(void **state) {
    (void)state;
    arena = dx_arena_create(64 << 20);
    return arena ? 0 : -1;
}

static int teardown(void **state) {
    (void)state;
    dx_arena_destroy(arena);
    return 0;
}

static yyjson_val *read_ok(const char *text) {
    yyjson_doc *doc;
    const dx_json_options deep = {.depth_cap = DX_JSON_DEPTH_MAX};
    assert_int_equal(dx_json_read(&doc, arena, dx_slice_str(text), &deep, NULL), DX_OK);
    return yyjson_doc_get_root(doc);
}

static dx_diag *read_bad(dx_slice text) {
    dx_diags *diags = DX_ARENA_NEW(arena, dx_diags);
    dx_diags_init(diags, arena);
    yyjson_doc *doc;
    assert_int_equal(dx_json_read(&doc, arena, text, NULL, diags), DX_MALFORMED);
    assert_null(doc);
    assert_non_null(diags->first);
    return diags->first;
}

static void numbers_can_be_kept_as_they_are_written(void **state) {
    (void)state;
    static const char text[] = "[1.10,-0,1e400,123456789012345678901234567890,{\"a\":1E+2}]";
    const dx_json_options as_text = {.numbers_as_text = true};
    yyjson_doc *doc;
    assert_int_equal(dx_json_read(&doc, arena, dx_slice_str(text), &as_text, NULL), DX_OK);
    assert_string_equal(yyjson_get_raw(yyjson_arr_get(yyjson_doc_get_root(doc), 2)), "1e400");
    dx_buffer written;
    dx_buffer_init(&written, arena, 1000);
    dx_json_write_value(&written, yyjson_doc_get_root(doc));
    assert_true(dx_slice_equal(dx_buffer_slice(&written), dx_slice_str(text)));
    assert_int_equal(dx_json_read(&doc, arena, dx_slice_str("[01]"), &as_text, NULL), DX_MALFORMED); // numbers they must be
    assert_int_equal(dx_json_read(&doc, arena, dx_slice_str(text), NULL, NULL), DX_MALFORMED);       // 1e400 is no double
}

static void errors_name_line_column_and_pointer(void **state) {
    (void)state;
    const struct {
        const char *text;
        uint32_t line, column;
        const char *pointer;
    } cases[] = {
        {"", 1, 1, ""},
        {"{\"a\": tru}", 1, 7, ""},
        {"{\n  \"a\": 1,\n}", 2, 9, ""},
        {"{\"a\":1,\"a\":2}", 1, 8, "/a"},
        {"{\n \"x\": [0, {\"b~/\\u00e9\": 1,\n    \"b~/\xc3\xa9\" : 2}]}", 3, 5, "/x/1/b~0~1\xc3\xa9"},
        {"{\"\":1,\"b\":{\"\":1,\"\":2}}", 1, 17, "/b/"},
        {"\xef\xbb\xbf{}", 1, 1, ""},
    };
    for (size_t i = 0; i < DX_COUNT_OF(cases); i++) {
        dx_diag *diag = read_bad(dx_slice_str(cases[i].text));
        assert_string_equal(diag->pointer.data, cases[i].pointer);
        assert_int_equal(diag->line, cases[i].line);
        assert_int_equal(diag->column, cases[i].column);
    }
}

static dx_slice nested(size_t levels) {
    char *text = dx_arena_bytes(arena, levels * 2);
    memset(text, '[', levels);
    memset(text + levels, ']', levels);
    return dx_slice_of(text, levels * 2);
}

static void one_level_over_the_cap_is_refused(void **state) {
    (void)state;
    yyjson_doc *doc;
    assert_int_equal(dx_json_read(&doc, arena, nested(DX_JSON_DEPTH_CAP), NULL, NULL), DX_OK);
    dx_diag *diag = read_bad(nested(DX_JSON_DEPTH_CAP + 1));
    assert_int_equal(diag->column, DX_JSON_DEPTH_CAP);
    assert_int_equal(diag->pointer.size, 2 * (DX_JSON_DEPTH_CAP - 1));
    const dx_json_options three = {.depth_cap = 3};
    assert_int_equal(dx_json_read(&doc, arena, DX_SLICE("[{\"a\":[]},[[]]]"), &three, NULL), DX_OK);
    assert_int_equal(dx_json_read(&doc, arena, DX_SLICE("[{\"a\":[{}]}]"), &three, NULL), DX_MALFORMED);
    const dx_json_options boundless = {.depth_cap = UINT32_MAX};
    assert_int_equal(dx_json_read(&doc, arena, nested(DX_JSON_DEPTH_MAX), &boundless, NULL), DX_OK);
    assert_int_equal(dx_json_read(&doc, arena, nested(DX_JSON_DEPTH_MAX + 1), &boundless, NULL), DX_MALFORMED);
    assert_int_equal(dx_json_read(&doc, arena, nested(100000), &boundless, NULL), DX_MALFORMED);
}

static dx_slice object_of(size_t members, const char *last) {
    dx_buffer text;
    dx_buffer_init(&text, arena, 16 << 20);
    dx_buffer_byte(&text, '{');
    for (size_t i = 0; i < members; i++) dx_buffer_printf(&text, "%s\"n%zu\":%zu", i ? "," : "", i, i);
    dx_buffer_printf(&text, ",\"%s\":0}", last);
    assert_int_equal(dx_buffer_status(&text), DX_OK);
    return dx_buffer_slice(&text);
}

static void what_is_no_string_has_an_empty_text(void **state) {
    (void)state;
    static const char *const members[] = {"null", "true", "12", "1.5", "[]", "[1,2,3]", "{\"a\":1,\"b\":2}", "\"\""};
    for (size_t i = 0; i < DX_COUNT_OF(members); i++) {
        yyjson_doc *doc;
        dx_slice text = dx_arena_printf(arena, "{\"op\":%s}", members[i]);
        assert_int_equal(dx_json_read(&doc, arena, text, NULL, NULL), DX_OK);
        assert_int_equal(dx_json_member_slice(yyjson_doc_get_root(doc), "op").size, 0);
        assert_int_equal(dx_json_member_slice(yyjson_doc_get_root(doc), "other").size, 0);
    }
}

static void names_that_stand_twice_are_found_in_objects_of_every_size(void **state) {
    (void)state;
    const size_t sizes[] = {1, 2, 14, 15, 16, 17, 31, 32, 33, 200, 100000};
    for (size_t i = 0; i < DX_COUNT_OF(sizes); i++) {
        yyjson_doc *doc;
        assert_int_equal(dx_json_read(&doc, arena, object_of(sizes[i], "other"), NULL, NULL), DX_OK);
        assert_int_equal(dx_json_read(&doc, arena, object_of(sizes[i], "n0"), NULL, NULL), DX_MALFORMED);
        const dx_json_options lax = {.allow_duplicates = true};
        assert_int_equal(dx_json_read(&doc, arena, object_of(sizes[i], "n0"), &lax, NULL), DX_OK);
    }
}

static void the_text_need_not_outlive_the_call(void **state) {
    (void)state;
    char text[] = "{\"name\":\"value\"}";
    yyjson_doc *doc;
    assert_int_equal(dx_json_read(&doc, arena, dx_slice_str(text), NULL, NULL), DX_OK);
    memset(text, 'x', sizeof text);
    assert_true(dx_slice_equal(dx_json_member_slice(yyjson_doc_get_root(doc), "name"), DX_SLICE("value")));
}

static void places_are_found_by_pointer(void **state) {
    (void)state;
    const dx_slice text = DX_SLICE("{\n \"a\": [10,\n  {\"b/c\": \"}]\\\"\", \"\\uD83D\\uDE00\": 3}],\n\"\": {\"\": [ ]}}");
    const struct {
        const char *pointer;
        bool at_name;
        uint32_t line, column;
    } cases[] = {
        {"", false, 1, 1},
        {"/a", true, 2, 2},
        {"/a", false, 2, 7},
        {"/a/0", false, 2, 8},
        {"/a/0", true, 2, 8},
        {"/a/1/b~1c", false, 3, 11},
        {"/a/1/\xf0\x9f\x98\x80", true, 3, 19},
        {"/", true, 4, 1},
        {"//", false, 4, 10},
        {"/b", false, 0, 0},
        {"/a/2", false, 0, 0},
        {"/a/x", false, 0, 0},
        {"/a/0/x", false, 0, 0},
        {"///0", false, 0, 0},
        {"a", false, 0, 0},
        {"/a/99999999999999999999", false, 0, 0},
    };
    for (size_t i = 0; i < DX_COUNT_OF(cases); i++) {
        uint32_t line = 0, column = 0;
        bool found = dx_json_locate(text, dx_slice_str(cases[i].pointer), cases[i].at_name, &line, &column);
        assert_int_equal(found, cases[i].line > 0);
        assert_int_equal(line, cases[i].line);
        assert_int_equal(column, cases[i].column);
    }
}

static void locating_in_broken_text_ends(void **state) {
    (void)state;
    const char *texts[] = {"",    "{",  "{\"a",     "{\"a\"",   "{\"a\":",        "{\"a\\", "[",
                           "[1,", "[1", "{\"a\":]", "nonsense", "{\"a\\u12\":1}", "]",      "{\"a\":\"\\"};
    const char *pointers[] = {"", "/a", "/a/b", "/0", "/1", "/"};
    for (size_t i = 0; i < DX_COUNT_OF(texts); i++) {
        char *exact = malloc(strlen(texts[i]) + 1); // so that the sanitizer sees a read past the end
        memcpy(exact, texts[i], strlen(texts[i]));
        for (size_t j = 0; j < DX_COUNT_OF(pointers); j++) {
            uint32_t line, column;
            (void)dx_json_locate(dx_slice_of(exact, strlen(texts[i])), dx_slice_str(pointers[j]), true, &line, &column);
        }
        free(exact);
    }
    uint32_t line, column;
    assert_false(dx_json_locate(DX_SLICE("[[\0[x]]"), DX_SLICE("/1"), false, &line, &column));
}

static void pointers_are_followed_as_rfc_6901_says(void **state) {
    (void)state;
    yyjson_val *root =
        read_ok("{\"foo\":[\"bar\",\"baz\"],\"\":0,\"a/b\":1,\"c%d\":2,\"e^f\":3,\"g|h\":4,\"i\\\\j\":5,\"k\\\"l\":6,\" \":7,\"m~n\":8}");
    const struct {
        const char *pointer;
        int value;
    } cases[] = {{"/", 0},     {"/a~1b", 1}, {"/c%d", 2}, {"/e^f", 3},    {"/g|h", 4},    {"/i\\j", 5},    {"/k\"l", 6}, {"/ ", 7},
                 {"/m~0n", 8}, {"foo", -1},  {"/x", -1},  {"/foo/-", -1}, {"/foo/2", -1}, {"/foo/01", -1}, {"/m~2n", -1}};
    for (size_t i = 0; i < DX_COUNT_OF(cases); i++) {
        yyjson_val *found = dx_json_at(root, dx_slice_str(cases[i].pointer));
        assert_int_equal(found ? yyjson_get_int(found) : -1, cases[i].value);
    }
    assert_ptr_equal(dx_json_at(root, (dx_slice){NULL, 0}), root);
    assert_string_equal(dx_json_slice(dx_json_at(root, DX_SLICE("/foo/1"))).data, "baz");
    assert_string_equal(dx_json_pointer_join(arena, DX_SLICE("/x"), DX_SLICE("a/b~c")).data, "/x/a~1b~0c");
    assert_string_equal(dx_json_pointer_index(arena, DX_SLICE(""), 0).data, "/0");
    assert_string_equal(dx_json_pointer_index(arena, DX_SLICE("/a"), 18446744073709551615u).data, "/a/18446744073709551615");
}

static void values_compare_as_json_schema_wants(void **state) {
    (void)state;
    const struct {
        const char *a, *b;
        bool equal;
    } cases[] = {
        {"1", "1.0", true},
        {"1", "1.5", false},
        {"0", "-0.0", true},
        {"-1", "-1.0", true},
        {"18446744073709551615", "18446744073709551615", true},
        {"18446744073709551615", "18446744073709551616", false},
        {"9007199254740993", "9007199254740992.0", false},
        {"9007199254740992", "9007199254740992.0", true},
        {"-9223372036854775808", "-9223372036854775808.0", true},
        {"-9223372036854775808", "9223372036854775808", false},
        {"1", "true", false},
        {"1", "\"1\"", false},
        {"null", "null", true},
        {"null", "false", false},
        {"\"\\u0061\"", "\"a\"", true},
        {"\"a\\u0000b\"", "\"a\\u0000c\"", false},
        {"[1,2]", "[2,1]", false},
        {"[]", "[0]", false},
        {"[]", "{}", false},
        {"{\"a\":1,\"b\":[{}]}", "{\"b\":[{}],\"a\":1.0}", true},
        {"{\"a\":1,\"b\":2}", "{\"a\":1,\"c\":2}", false},
        {"{\"a\":1,\"b\":2}", "{\"b\":1,\"a\":2}", false},
        {"{\"a\":{}}", "{\"a\":{},\"b\":1}", false},
    };
    for (size_t i = 0; i < DX_COUNT_OF(cases); i++) {
        yyjson_val *a = read_ok(cases[i].a), *b = read_ok(cases[i].b);
        if (dx_json_equal(a, b) != cases[i].equal || dx_json_equal(b, a) != cases[i].equal) fail_msg("%s and %s", cases[i].a, cases[i].b);
    }
}

static void large_objects_in_another_order_are_equal_and_quickly_so(void **state) {
    (void)state;
    dx_buffer forth, back;
    dx_buffer_init(&forth, NULL, 32 << 20);
    dx_buffer_init(&back, NULL, 32 << 20);
    const int count = 100000; // compared pair by pair this would take minutes
    for (int i = 0; i < count; i++) {
        dx_buffer_printf(&forth, "%c\"name-%d\":%d", i ? ',' : '{', i, i);
        dx_buffer_printf(&back, "%c\"name-%d\":%d", i ? ',' : '{', count - 1 - i, count - 1 - i);
    }
    dx_buffer_append(&forth, "}", 2);
    dx_buffer_append(&back, "}", 2);
    yyjson_val *a = read_ok(forth.data), *b = read_ok(back.data);
    assert_true(dx_json_equal(a, b));
    dx_buffer_deinit(&forth);
    dx_buffer_deinit(&back);
}

static void types_have_json_schemas_names(void **state) {
    (void)state;
    const char *cases[][2] = {{"null", "null"},    {"true", "boolean"}, {"1", "integer"},   {"-5", "integer"}, {"1.0", "integer"},
                              {"1e30", "integer"}, {"1.5", "number"},   {"\"\"", "string"}, {"[]", "array"},   {"{}", "object"}};
    for (size_t i = 0; i < DX_COUNT_OF(cases); i++) assert_string_equal(dx_json_type_name(read_ok(cases[i][0])), cases[i][1]);
}

static const char *written(dx_slice text) {
    dx_buffer buffer;
    dx_buffer_init(&buffer, arena, 1 << 20);
    dx_json_write_string(&buffer, text);
    dx_buffer_byte(&buffer, '\0');
    assert_int_equal(dx_buffer_status(&buffer), DX_OK);
    return buffer.data;
}

static void strings_are_escaped_and_malformed_bytes_replaced(void **state) {
    (void)state;
    assert_string_equal(written((dx_slice){NULL, 0}), "\"\"");
    assert_string_equal(written(DX_SLICE("plain text of some length, over a word")), "\"plain text of some length, over a word\"");
    assert_string_equal(written(DX_SLICE("q\" b\\ s/ \b\f\n\r\t\x01\x1f\x7f")), "\"q\\\" b\\\\ s/ \\b\\f\\n\\r\\t\\u0001\\u001f\x7f\"");
    assert_string_equal(written(DX_SLICE("a\0b")), "\"a\\u0000b\"");
    assert_string_equal(written(DX_SLICE("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80")), "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"");
    assert_string_equal(written(DX_SLICE("\xff"
                                         "a\xc3")),
                        "\"\xef\xbf\xbd"
                        "a\xef\xbf\xbd\"");
    assert_string_equal(written(DX_SLICE("\xed\xa0\x80")), "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"");
    for (int byte = 0; byte < 256; byte++) { // each byte at each place of a word
        for (size_t at = 0; at < 20; at++) {
            char text[20];
            memset(text, 'x', sizeof text);
            text[at] = (char)byte;
            const char *json = written(dx_slice_of(text, sizeof text));
            yyjson_val *back = read_ok(json);
            if (byte < 0x80) {
                assert_true(dx_slice_equal(dx_json_slice(back), dx_slice_of(text, sizeof text)));
            } else {
                assert_int_equal(yyjson_get_len(back), 22);
            }
        }
    }
}

static const char *number(double value) {
    dx_buffer buffer;
    dx_buffer_init(&buffer, arena, 100);
    dx_json_write_number(&buffer, value);
    dx_buffer_byte(&buffer, '\0');
    assert_int_equal(dx_buffer_status(&buffer), DX_OK);
    return buffer.data;
}

static void numbers_are_written_short_and_read_back_the_same(void **state) {
    (void)state;
    assert_string_equal(number(0), "0");
    assert_string_equal(number(-0.0), "-0.0");
    assert_string_equal(number(999.99), "999.99");
    assert_string_equal(number(1000), "1000");
    assert_string_equal(number(-3), "-3");
    assert_string_equal(number(0.1), "0.1");
    assert_string_equal(number(NAN), "null");
    assert_string_equal(number(-INFINITY), "null");
    uint64_t bits = 88172645463325252u;
    for (int i = 0; i < 20000; i++) {
        bits ^= bits << 13, bits ^= bits >> 7, bits ^= bits << 17;
        double value;
        memcpy(&value, &bits, sizeof value);
        if (!isfinite(value)) continue;
        dx_arena_reset(arena);
        assert_true(strtod(number(value), NULL) == value);
    }
}

static void trees_are_written_as_they_were_read(void **state) {
    (void)state;
    const char *texts[] = {"null", "[]", "{}", "[[],{},[1,[2,[3]]],-5,18446744073709551615]",
                           "{\"a\":{\"b\":[true,false,null]},\"c\":\"x\\ny\",\"d\":1.25}"};
    for (size_t i = 0; i < DX_COUNT_OF(texts); i++) {
        yyjson_val *root = read_ok(texts[i]);
        dx_buffer flat, tree, pretty;
        dx_buffer_init(&flat, arena, 1000);
        dx_json_write_value(&flat, root);
        assert_true(dx_slice_equal(dx_buffer_slice(&flat), dx_slice_str(texts[i])));
        yyjson_mut_doc *doc = dx_json_mut_doc(arena);
        yyjson_mut_val *copy = yyjson_val_mut_copy(doc, root);
        dx_buffer_init(&tree, arena, 1000);
        dx_json_write_mut(&tree, copy, false);
        assert_true(dx_slice_equal(dx_buffer_slice(&tree), dx_slice_str(texts[i])));
        dx_buffer_init(&pretty, arena, 1000);
        dx_json_write_mut(&pretty, copy, true);
        dx_buffer_byte(&pretty, '\0');
        assert_true(dx_json_equal(read_ok(pretty.data), root));
    }
    dx_buffer pretty;
    dx_buffer_init(&pretty, arena, 1000);
    dx_json_write_mut(&pretty, yyjson_val_mut_copy(dx_json_mut_doc(arena), read_ok("{\"a\":[1,{}],\"b\":[]}")), true);
    dx_buffer_byte(&pretty, '\0');
    assert_string_equal(pretty.data, "{\n  \"a\": [\n    1,\n    {}\n  ],\n  \"b\": []\n}");
}

static void a_full_buffer_says_so(void **state) {
    (void)state;
    yyjson_val *root = read_ok("{\"a\":[1.5,2,3],\"b\":\"a\\nb\"}");
    for (size_t cap = 0; cap < 27; cap++) {
        dx_buffer buffer;
        dx_buffer_init(&buffer, arena, cap);
        dx_json_write_value(&buffer, root);
        assert_true(buffer.size <= cap);
        assert_int_not_equal(dx_buffer_status(&buffer), DX_OK);
    }
}

static dx_status read_and_write(dx_slice text) {
    dx_arena *own = dx_arena_create(16 << 20);
    if (own == NULL) return DX_NO_MEMORY;
    dx_buffer out;
    dx_buffer_init(&out, NULL, 16 << 20);
    dx_diags diags;
    dx_diags_init(&diags, own);
    yyjson_doc *doc;
    dx_status status = dx_json_read(&doc, own, text, NULL, &diags);
    if (status == DX_OK) {
        dx_json_write_value(&out, yyjson_doc_get_root(doc));
        status = dx_buffer_status(&out);
    }
    dx_buffer_deinit(&out);
    dx_arena_destroy(own);
    return status;
}

static void every_failing_allocation_is_out_of_memory_and_nothing_else(void **state) {
    (void)state;
    dx_slice text = object_of(3000, "other");
    for (uint64_t n = 1;; n++) {
        dx_memory_fail_at(n, false);
        dx_status status = read_and_write(text);
        bool failed = dx_memory_fail_stop();
        // A buffer that cannot double takes what it needs instead, so a failure may be got over.
        assert_true(status == DX_OK || (failed && status == DX_NO_MEMORY));
        if (!failed) break;
        assert_true(n < 200);
    }
    dx_memory_fail_at(2, true);
    assert_int_equal(read_and_write(text), DX_NO_MEMORY);
    dx_memory_fail_stop();
}

static void a_body_larger_than_its_arena_is_out_of_memory(void **state) {
    (void)state;
    dx_arena *small = dx_arena_create(16 * 1024);
    yyjson_doc *doc;
    assert_int_equal(dx_json_read(&doc, small, object_of(3000, "other"), NULL, NULL), DX_NO_MEMORY);
    assert_true(dx_arena_footprint(small) <= 16 * 1024);
    dx_arena_destroy(small);
}

static void numbers_can_stay_as_they_came(void **state) {
    (void)state;
    yyjson_doc *doc;
    const dx_json_options raw = {.numbers_as_text = true};
    static const char text[] = "{\"a\":[1.10,123456789012345678901234567890,-0,1e400]}";
    dx_buffer out;
    dx_buffer_init(&out, arena, 4096);
    assert_int_equal(dx_json_read(&doc, arena, dx_slice_str(text), &raw, NULL), DX_OK);
    dx_json_write_value(&out, yyjson_doc_get_root(doc));
    assert_true(dx_slice_equal(dx_buffer_slice(&out), dx_slice_str(text)));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(errors_name_line_column_and_pointer),
        cmocka_unit_test(one_level_over_the_cap_is_refused),
        cmocka_unit_test(numbers_can_stay_as_they_came),
        cmocka_unit_test(what_is_no_string_has_an_empty_text),
        cmocka_unit_test(names_that_stand_twice_are_found_in_objects_of_every_size),
        cmocka_unit_test(the_text_need_not_outlive_the_call),
        cmocka_unit_test(places_are_found_by_pointer),
        cmocka_unit_test(locating_in_broken_text_ends),
        cmocka_unit_test(pointers_are_followed_as_rfc_6901_says),
        cmocka_unit_test(values_compare_as_json_schema_wants),
        cmocka_unit_test(large_objects_in_another_order_are_equal_and_quickly_so),
        cmocka_unit_test(types_have_json_schemas_names),
        cmocka_unit_test(strings_are_escaped_and_malformed_bytes_replaced),
        cmocka_unit_test(numbers_are_written_short_and_read_back_the_same),
        cmocka_unit_test(trees_are_written_as_they_were_read),
        cmocka_unit_test(numbers_can_be_kept_as_they_are_written),
        cmocka_unit_test(a_full_buffer_says_so),
        cmocka_unit_test(every_failing_allocation_is_out_of_memory_and_nothing_else),
        cmocka_unit_test(a_body_larger_than_its_arena_is_out_of_memory),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
