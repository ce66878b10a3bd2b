// Output: each form, the query, exact numbers, widths, and what a terminal must not get.
#include "cli/output.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "cli/text_width.h"

static dx_arena *arena;
static dx_diags diags;

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

static dx_status write_to(dx_buffer *out, const char *body, const dx_output_options *options) {
    dx_buffer_init(out, arena, 16 << 20);
    dx_diags_init(&diags, arena);
    return dx_output_write(out, arena, dx_slice_str(body), options, &diags);
}

static void expect(const char *body, const dx_output_options *options, const char *expected) {
    dx_buffer out;
    assert_int_equal(write_to(&out, body, options), DX_OK);
    dx_buffer_byte(&out, '\0');
    assert_string_equal(out.data, expected);
}

static void expect_form(dx_output_format format, const char *body, const char *expected) {
    expect(body, &(dx_output_options){.format = format}, expected);
}

static void json_is_indented(void **state) {
    (void)state;
    expect_form(DX_OUTPUT_JSON, "{\"a\":[1,{\"b\":null}],\"c\":[],\"d\":{},\"e\":\"x\"}",
                "{\n  \"a\": [\n    1,\n    {\n      \"b\": null\n    }\n  ],\n  \"c\": [],\n  \"d\": {},\n  \"e\": \"x\"\n}\n");
    expect_form(DX_OUTPUT_JSON, "true", "true\n");
    expect("{\"a\":[1,\"x\",true,null,{}]}", &(dx_output_options){.color = true},
           "{\n  \033[34m\"a\"\033[0m: [\n    \033[36m1\033[0m,\n    \033[32m\"x\"\033[0m,\n    \033[33mtrue\033[0m,\n    "
           "\033[90mnull\033[0m,\n    {}\n  ]\n}\n");
}

static void numbers_stay_as_they_came(void **state) {
    (void)state;
    static const char numbers[] = "[123456789012345678901234567890, 1.10, 1e400, -0.0, 0.1000000000000000055511151231257827]";
    expect_form(DX_OUTPUT_JSON, numbers,
                "[\n  123456789012345678901234567890,\n  1.10,\n  1e400,\n  -0.0,\n  0.1000000000000000055511151231257827\n]\n");
    expect_form(DX_OUTPUT_NDJSON, numbers, "123456789012345678901234567890\n1.10\n1e400\n-0.0\n0.1000000000000000055511151231257827\n");
    expect_form(DX_OUTPUT_YAML, numbers,
                "- 123456789012345678901234567890\n- 1.10\n- 1.0e+400\n- -0.0\n- 0.1000000000000000055511151231257827\n");
    expect("{\"id\":9007199254740993}", &(dx_output_options){.format = DX_OUTPUT_RAW, .query = DX_SLICE("/id")}, "9007199254740993\n");
}

static void control_characters_beyond_ascii_are_escaped(void **state) {
    (void)state;
    expect_form(DX_OUTPUT_JSON,
                "[\"a\xc2\x9b"
                "31mb\x7f\", \"\\u001b[1m\\\"\"]",
                "[\n  \"a\\u009b31mb\\u007f\",\n  \"\\u001b[1m\\\"\"\n]\n");
    expect_form(DX_OUTPUT_TABLE, "[{\"a\":\"x\\u001b[1m\xc2\x9by\\n\\tz\"}]", "a\nx\\u001b[1m\\u009by\\n\\tz\n");
}

static void ndjson_is_an_item_a_line(void **state) {
    (void)state;
    expect_form(DX_OUTPUT_NDJSON, "[{\"a\": 1}, [2], \"x\"]", "{\"a\":1}\n[2]\n\"x\"\n");
    expect_form(DX_OUTPUT_NDJSON, "{\"a\": 1}", "{\"a\":1}\n");
    expect_form(DX_OUTPUT_NDJSON, "[]", "");
}

static void raw_is_what_came(void **state) {
    (void)state;
    expect_form(DX_OUTPUT_RAW, "no JSON at all", "no JSON at all");
    expect("{\"a\":\"x\\ny\"}", &(dx_output_options){.format = DX_OUTPUT_RAW, .query = DX_SLICE("/a")}, "x\ny\n");
    expect("{\"a\":[1]}", &(dx_output_options){.format = DX_OUTPUT_RAW, .query = DX_SLICE("/a")}, "[1]\n");
}

static void a_query_selects_by_pointer(void **state) {
    (void)state;
    expect("{\"a/b\":[{\"c\":1}]}", &(dx_output_options){.query = DX_SLICE("/a~1b/0/c")}, "1\n");
    expect("[1]", &(dx_output_options){.query = DX_SLICE("")}, "[\n  1\n]\n");
    dx_buffer out;
    assert_int_equal(write_to(&out, "[1]", &(dx_output_options){.query = DX_SLICE("/1")}), DX_NOT_FOUND);
    assert_int_equal(write_to(&out, "[1]", &(dx_output_options){.query = DX_SLICE("a")}), DX_BAD_REQUEST);
    assert_int_equal(write_to(&out, "[1]", &(dx_output_options){.query = DX_SLICE("/~2")}), DX_BAD_REQUEST);
    assert_int_equal(write_to(&out, "<html>", &(dx_output_options){.format = DX_OUTPUT_JSON}), DX_MALFORMED);
    assert_int_equal(diags.count, 1);
}

static void a_table_aligns_columns(void **state) {
    (void)state;
    expect_form(DX_OUTPUT_TABLE, "[{\"id\":1,\"name\":\"ab\"},{\"id\":100,\"tags\":[\"x\",1],\"name\":null}]",
                " id  name  tags\n  1  ab\n100  null  [\"x\",1]\n");
    expect_form(DX_OUTPUT_TABLE, "[{\"\xe5\x90\x8d\":\"\xe6\x9d\xb1\xe4\xba\xac\",\"n\":1},{\"\xe5\x90\x8d\":\"e\xcc\x81\",\"n\":22}]",
                "\xe5\x90\x8d     n\n\xe6\x9d\xb1\xe4\xba\xac   1\ne\xcc\x81     22\n");
    expect_form(DX_OUTPUT_TABLE, "{\"a\":1,\"long\":{\"b\":2}}", "name  value\na     1\nlong  {\"b\":2}\n");
    expect_form(DX_OUTPUT_TABLE, "[1,\"x\"]", "value\n1\nx\n");
    expect_form(DX_OUTPUT_TABLE, "\"x\"", "x\n");
    expect_form(DX_OUTPUT_TABLE, "[]", "");
    expect_form(DX_OUTPUT_TABLE, "[{}]", "\n");
}

static void a_table_fits_the_terminal(void **state) {
    (void)state;
    static const char body[] = "[{\"id\":1,\"text\":\"a rather long text that goes on\",\"end\":\"x\"}]";
    expect(body, &(dx_output_options){.format = DX_OUTPUT_TABLE, .width = 24}, "id  text             end\n 1  a rather long …  x\n");
    expect(body, &(dx_output_options){.format = DX_OUTPUT_TABLE, .width = 10}, "id  text\n 1  a rat…\n");
    expect(body, &(dx_output_options){.format = DX_OUTPUT_TABLE, .width = 200},
           "id  text                             end\n 1  a rather long text that goes on  x\n");
    expect("[{\"a\":\"\xe6\x9d\xb1\xe4\xba\xac\xe6\x9d\xb1\xe4\xba\xac\xe6\x9d\xb1\"}]",
           &(dx_output_options){.format = DX_OUTPUT_TABLE, .width = 8}, "a\n\xe6\x9d\xb1\xe4\xba\xac\xe6\x9d\xb1…\n");
}

static void a_table_has_a_hundred_columns_at_most(void **state) {
    (void)state;
    dx_buffer body, out;
    dx_buffer_init(&body, arena, 1 << 20);
    DX_BUFFER_LIT(&body, "[{");
    for (int i = 0; i < 150; i++) dx_buffer_printf(&body, "%s\"c%d\":%d", i ? "," : "", i, i);
    DX_BUFFER_LIT(&body, "}]");
    dx_buffer_byte(&body, '\0');
    assert_int_equal(write_to(&out, body.data, &(dx_output_options){.format = DX_OUTPUT_TABLE}), DX_OK);
    dx_buffer_byte(&out, '\0');
    assert_non_null(strstr(out.data, "c99  …\n"));
    assert_null(strstr(out.data, "c100"));
}

static void words_choose_form_and_color(void **state) {
    (void)state;
    dx_output_format format;
    bool color;
    assert_true(dx_output_format_read(&format, "ndjson") && format == DX_OUTPUT_NDJSON);
    assert_false(dx_output_format_read(&format, "xml"));
    assert_true(dx_output_color_read(&color, "always", -1) && color);
    assert_true(dx_output_color_read(&color, "never", -1) && !color);
    assert_true(dx_output_color_read(&color, NULL, -1) && !color);
    assert_false(dx_output_color_read(&color, "sometimes", -1));
    assert_int_equal(dx_output_width(-1), 0);
}

static void widths_are_those_of_a_terminal(void **state) {
    (void)state;
    assert_int_equal(dx_text_width(DX_SLICE("abc")), 3);
    assert_int_equal(dx_text_width(DX_SLICE("\xc3\xa9\xe2\x82\xac")), 2);
    assert_int_equal(dx_text_width(DX_SLICE("\xf0\x9f\x98\x80\xed\x95\x9c")), 4);
    assert_int_equal(dx_text_width(DX_SLICE("e\xcc\x81\xe2\x80\x8d\xff")), 2);
    assert_int_equal(dx_text_fit(DX_SLICE("a\xe6\x9d\xb1z"), 2), 1);
    assert_int_equal(dx_text_fit(DX_SLICE("a\xe6\x9d\xb1z"), 3), 4);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(json_is_indented),
        TEST(numbers_stay_as_they_came),
        TEST(control_characters_beyond_ascii_are_escaped),
        TEST(ndjson_is_an_item_a_line),
        TEST(raw_is_what_came),
        TEST(a_query_selects_by_pointer),
        TEST(a_table_aligns_columns),
        TEST(a_table_fits_the_terminal),
        TEST(a_table_has_a_hundred_columns_at_most),
        TEST(words_choose_form_and_color),
        TEST(widths_are_those_of_a_terminal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
