// The canonical form of JSON: the examples of RFC 8785, its table of numbers (appendix B), and what has no such form.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/memory.h"
#include "codec/json.h"

static dx_arena *arena;

static int make_arena(void **state) {
    (void)state;
    arena = dx_arena_create(16 << 20);
    return arena ? 0 : -1;
}

static int drop_arena(void **state) {
    (void)state;
    dx_arena_destroy(arena);
    return 0;
}

static dx_status canonical(dx_slice *out, dx_slice text, size_t cap) {
    yyjson_doc *doc;
    dx_buffer buffer;
    dx_buffer_init(&buffer, arena, cap);
    const dx_json_options options = {.depth_cap = 1000, .allow_duplicates = true};
    dx_status status = dx_json_read(&doc, arena, text, &options, NULL);
    if (status != DX_OK) return status;
    status = dx_json_write_canonical(&buffer, arena, yyjson_doc_get_root(doc));
    *out = dx_buffer_slice(&buffer);
    return status;
}

static void assert_canonical(const char *text, const char *wanted) {
    dx_slice made = {0};
    assert_int_equal(canonical(&made, dx_slice_str(text), 1 << 20), DX_OK);
    if (!dx_slice_equal(made, dx_slice_str(wanted))) fail_msg("%s became %.*s", text, DX_SLICE_ARG(made));
}

static void the_rfcs_examples_come_out_byte_for_byte(void **state) {
    (void)state;
    assert_canonical("{\n  \"numbers\": [333333333.33333329, 1E30, 4.50,\n              2e-3, 0.000000000000000000000000001],\n"
                     "  \"string\": \"\\u20ac$\\u000F\\u000aA'\\u0042\\u0022\\u005c\\\\\\\"\\/\",\n  \"literals\": [null, true, false]\n}",
                     "{\"literals\":[null,true,false],\"numbers\":[333333333.3333333,1e+30,4.5,0.002,1e-27],"
                     "\"string\":\"\xe2\x82\xac$\\u000f\\nA'B\\\"\\\\\\\\\\\"/\"}");
}

static void members_stand_in_the_order_of_utf_16(void **state) {
    (void)state;
    // section 3.2.3: U+1F600 is D83D DE00 in UTF-16, before U+FB33, though behind it in UTF-8
    assert_canonical(
        "{\"\\u20ac\":\"Euro Sign\",\"\\r\":\"Carriage Return\",\"\\ufb33\":\"Hebrew Letter Dalet With Dagesh\",\"1\":\"One\","
        "\"\\ud83d\\ude00\":\"Emoji: Grinning Face\",\"\\u0080\":\"Control\",\"\\u00f6\":\"Latin Small Letter O With Diaeresis\"}",
        "{\"\\r\":\"Carriage Return\",\"1\":\"One\",\"\xc2\x80\":\"Control\",\"\xc3\xb6\":\"Latin Small Letter O With Diaeresis\","
        "\"\xe2\x82\xac\":\"Euro Sign\",\"\xf0\x9f\x98\x80\":\"Emoji: Grinning Face\","
        "\"\xef\xac\xb3\":\"Hebrew Letter Dalet With Dagesh\"}");
    assert_canonical("{\"aa\":1,\"a\":2,\"\":{\"d\":[{\"y\":1,\"x\":{}}],\"c\":[]}}",
                     "{\"\":{\"c\":[],\"d\":[{\"x\":{},\"y\":1}]},\"a\":2,\"aa\":1}");
}

static void numbers_are_written_as_appendix_b_has_them(void **state) {
    (void)state;
    static const struct {
        uint64_t bits;
        const char *text; // NULL: it has no form
    } cases[] = {
        {0x0000000000000000, "0"},
        {0x8000000000000000, "0"},
        {0x0000000000000001, "5e-324"},
        {0x8000000000000001, "-5e-324"},
        {0x7fefffffffffffff, "1.7976931348623157e+308"},
        {0xffefffffffffffff, "-1.7976931348623157e+308"},
        {0x4340000000000000, "9007199254740992"},
        {0xc340000000000000, "-9007199254740992"},
        {0x4430000000000000, "295147905179352830000"},
        {0x7fffffffffffffff, NULL},
        {0x7ff0000000000000, NULL},
        {0x44b52d02c7e14af5, "9.999999999999997e+22"},
        {0x44b52d02c7e14af6, "1e+23"},
        {0x44b52d02c7e14af7, "1.0000000000000001e+23"},
        {0x444b1ae4d6e2ef4e, "999999999999999700000"},
        {0x444b1ae4d6e2ef4f, "999999999999999900000"},
        {0x444b1ae4d6e2ef50, "1e+21"},
        {0x3eb0c6f7a0b5ed8c, "9.999999999999997e-7"},
        {0x3eb0c6f7a0b5ed8d, "0.000001"},
        {0x41b3de4355555553, "333333333.3333332"},
        {0x41b3de4355555554, "333333333.33333325"},
        {0x41b3de4355555555, "333333333.3333333"},
        {0x41b3de4355555556, "333333333.3333334"},
        {0x41b3de4355555557, "333333333.33333343"},
        {0xbecbf647612f3696, "-0.0000033333333333333333"},
        {0x43143ff3c1cb0959, "1424953923781206.2"},
    };
    for (size_t i = 0; i < DX_COUNT_OF(cases); i++) {
        double value;
        memcpy(&value, &cases[i].bits, sizeof value);
        yyjson_val number = {0};
        unsafe_yyjson_set_real(&number, value);
        dx_buffer buffer;
        dx_buffer_init(&buffer, arena, 100);
        dx_status status = dx_json_write_canonical(&buffer, arena, &number);
        assert_int_equal(status, cases[i].text ? DX_OK : DX_INVALID);
        if (!cases[i].text) continue;
        dx_buffer_byte(&buffer, 0);
        assert_string_equal(buffer.data, cases[i].text);
    }
}

static void integers_are_doubles_and_what_none_is_is_refused(void **state) {
    (void)state;
    dx_slice made;
    assert_canonical("[0,-0,1,-1,1.0,100,1e2,10.50]", "[0,0,1,-1,1,100,100,10.5]");
    assert_canonical("[9007199254740991,-9007199254740991,9007199254740992,9007199254740994]",
                     "[9007199254740991,-9007199254740991,9007199254740992,9007199254740994]");
    assert_canonical("[9223372036854775808,-9223372036854775808]", "[9223372036854776000,-9223372036854776000]");
    static const char *const none[] = {"9007199254740993", "-9007199254740993", "18446744073709551615", "[1,{\"a\":9007199254740993}]"};
    for (size_t i = 0; i < DX_COUNT_OF(none); i++) assert_int_equal(canonical(&made, dx_slice_str(none[i]), 100), DX_INVALID);
}

static void a_form_is_its_own_form(void **state) {
    (void)state;
    static const char *const forms[] = {"{}", "[]", "null", "\"\\b\\t\\n\\f\\r\\u0000\\u001f\x7f/\"", "{\"a\":[1e-7,1.5e+300,0.1]}"};
    for (size_t i = 0; i < DX_COUNT_OF(forms); i++) assert_canonical(forms[i], forms[i]);
}

static void names_twice_and_too_many_levels_are_refused(void **state) {
    (void)state;
    dx_slice made;
    char deep[2 * (DX_JSON_DEPTH_CAP + 1)];
    assert_int_equal(canonical(&made, DX_SLICE("{\"b\":1,\"a\":2,\"b\":3}"), 100), DX_INVALID);
    memset(deep, '[', DX_JSON_DEPTH_CAP + 1);
    memset(deep + DX_JSON_DEPTH_CAP + 1, ']', DX_JSON_DEPTH_CAP + 1);
    assert_int_equal(canonical(&made, dx_slice_of(deep + 1, 2 * DX_JSON_DEPTH_CAP), 1000), DX_OK);
    assert_int_equal(canonical(&made, dx_slice_of(deep, sizeof deep), 1000), DX_TOO_LARGE);
    assert_int_equal(canonical(&made, DX_SLICE("[1.5,2]"), 6), DX_TOO_LARGE);
    dx_buffer buffer;
    dx_buffer_init(&buffer, arena, 10);
    assert_int_equal(dx_json_write_canonical(&buffer, arena, NULL), DX_INVALID);
}

static void without_memory_it_says_so(void **state) {
    (void)state;
    yyjson_doc *doc;
    assert_int_equal(dx_json_read(&doc, arena, DX_SLICE("{\"b\":[1.25,2],\"a\":{\"c\":3}}"), NULL, NULL), DX_OK);
    for (uint64_t n = 1;; n++) {
        dx_arena *small = dx_arena_create(1 << 16);
        assert_non_null(small);
        dx_memory_fail_at(n, false);
        dx_buffer buffer;
        dx_buffer_init(&buffer, NULL, 1000);
        dx_status status = dx_json_write_canonical(&buffer, small, yyjson_doc_get_root(doc));
        bool failed = dx_memory_fail_stop();
        dx_buffer_deinit(&buffer);
        dx_arena_destroy(small);
        assert_true(status == DX_OK || (failed && status == DX_NO_MEMORY));
        if (!failed) break;
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_rfcs_examples_come_out_byte_for_byte),
        cmocka_unit_test(members_stand_in_the_order_of_utf_16),
        cmocka_unit_test(numbers_are_written_as_appendix_b_has_them),
        cmocka_unit_test(integers_are_doubles_and_what_none_is_is_refused),
        cmocka_unit_test(a_form_is_its_own_form),
        cmocka_unit_test(names_twice_and_too_many_levels_are_refused),
        cmocka_unit_test(without_memory_it_says_so),
    };
    return cmocka_run_group_tests(tests, make_arena, drop_arena);
}
