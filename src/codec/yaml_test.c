// YAML: what plain words mean, what is refused and where, aliases and their cap, writing, and both ways round.
#include "codec/yaml.h"

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
    arena = dx_arena_create(256 << 20);
    return arena ? 0 : -1;
}

static int teardown(void **state) {
    (void)state;
    dx_arena_destroy(arena);
    return 0;
}

static yyjson_val *read_ok(const char *text) {
    yyjson_doc *doc;
    dx_diags diags;
    dx_diags_init(&diags, arena);
    dx_status status = dx_yaml_read(&doc, arena, dx_slice_str(text), NULL, &diags);
    if (status != DX_OK) fail_msg("%s: %s", text, diags.first ? dx_diag_text(diags.first, arena).data : dx_status_name(status));
    return yyjson_doc_get_root(doc);
}

static const char *as_json(yyjson_val *value) {
    dx_buffer text;
    dx_buffer_init(&text, arena, 64 << 20);
    dx_json_write_value(&text, value);
    dx_buffer_byte(&text, '\0');
    assert_int_equal(dx_buffer_status(&text), DX_OK);
    return text.data;
}

static const char *as_yaml(yyjson_val *value) {
    dx_buffer text;
    dx_buffer_init(&text, arena, 64 << 20);
    dx_yaml_write(&text, value);
    dx_buffer_byte(&text, '\0');
    assert_int_equal(dx_buffer_status(&text), DX_OK);
    return text.data;
}

static yyjson_val *json(const char *text) {
    yyjson_doc *doc;
    const dx_json_options deep = {.depth_cap = DX_JSON_DEPTH_MAX};
    assert_int_equal(dx_json_read(&doc, arena, dx_slice_str(text), &deep, NULL), DX_OK);
    return yyjson_doc_get_root(doc);
}

static dx_diag *read_bad(dx_slice text) {
    dx_diags *diags = DX_ARENA_NEW(arena, dx_diags);
    dx_diags_init(diags, arena);
    yyjson_doc *doc;
    assert_int_equal(dx_yaml_read(&doc, arena, text, NULL, diags), DX_MALFORMED);
    assert_null(doc);
    assert_non_null(diags->first);
    return diags->first;
}

static void plain_words_mean_what_the_core_schema_says(void **state) {
    (void)state;
    const char *const cases[][2] = {
        {"[null, Null, NULL, ~, ]", "[null,null,null,null]"},
        {"[true, True, TRUE, false, False, FALSE]", "[true,true,true,false,false,false]"},
        {"[yes, no, on, off, y, n, tRUE]", "[\"yes\",\"no\",\"on\",\"off\",\"y\",\"n\",\"tRUE\"]"},
        {"[0, -0, +7, 017, 0o17, 0xFf, 1_000, 1:30]", "[0,0,7,17,15,255,\"1_000\",\"1:30\"]"},
        {"[18446744073709551615, -9223372036854775808, 9007199254740993]", "[18446744073709551615,-9223372036854775808,9007199254740993]"},
        {"[0xffffffffffffffff, 0o1777777777777777777777]", "[18446744073709551615,18446744073709551615]"},
        {"[1.5, .5, 5., -1.25e3, +1e-2, 00.50, ., -, +, e5, 1e, .e5]",
         "[1.5,0.5,5,-1250,0.01,0.5,\".\",\"-\",\"+\",\"e5\",\"1e\",\".e5\"]"},
        {"[2001-01-01, 1.2.3, 0x, 0o8, '1', \"true\", .infinity]",
         "[\"2001-01-01\",\"1.2.3\",\"0x\",\"0o8\",\"1\",\"true\",\".infinity\"]"},
        {"[!!str 1, !!int '1', !!float 1, !!bool 'true', !!null '', ! 5]", "[\"1\",1,1,true,null,\"5\"]"},
        {"!!map {a: !!seq [1]}", "{\"a\":[1]}"},
        {"a:\n- b: |\n    one\n    two\n- >-\n  folded\n  text\n", "{\"a\":[{\"b\":\"one\\ntwo\\n\"},\"folded text\"]}"},
        {"200: ok\n\"yes\": 1\nno: 2\ntrue: 3\n1.5: 4", "{\"200\":\"ok\",\"yes\":1,\"no\":2,\"true\":3,\"1.5\":4}"},
        {"%YAML 1.2\n---\na: 1\n...\n", "{\"a\":1}"},
        {"\xef\xbb\xbf# a mark, a comment\n{\"json\": [1, \"\\u00e9\", {}]}", "{\"json\":[1,\"\xc3\xa9\",{}]}"},
        {"---\n", "null"},
        {"\"<<\": 1", "{\"<<\":1}"},
    };
    for (size_t i = 0; i < DX_COUNT_OF(cases); i++) assert_string_equal(as_json(read_ok(cases[i][0])), cases[i][1]);
    assert_true(signbit(yyjson_get_num(read_ok("-0.0"))));
    assert_true(yyjson_is_real(read_ok("18446744073709551616")));
}

static void what_json_has_no_word_for_is_refused_where_it_stands(void **state) {
    (void)state;
    const struct {
        const char *text;
        uint32_t line, column;
        const char *part;
    } cases[] = {
        {"", 1, 1, "empty"},
        {"# nothing\n", 1, 1, "empty"},
        {"a: 1\nb: 2\na: 3\n", 3, 1, "\"a\" stands twice"},
        {"{200: 1, \"200\": 2}", 1, 10, "stands twice"},
        {"x: .inf", 1, 4, "infinities"},
        {"x: 1e999", 1, 4, "too large"},
        {"x: 0x1ffffffffffffffff", 1, 4, "too large"},
        {"x: !!binary aGk=", 1, 4, "tag"},
        {"x: !mine 1", 1, 4, "tag"},
        {"x: !!int one", 1, 4, "tag"},
        {"x: !mine [1]", 1, 4, "tag"},
        {"!!int a: 1", 1, 1, "name takes no tag"},
        {"? [a]\n: 1", 1, 3, "as the name"},
        {"? {a: 1}\n: 1", 1, 3, "as the name"},
        {"? \n: 1", 1, 2, "missing"},
        {"a: &x 1\n*x : 2", 2, 1, "as the name"},
        {"a: 1\n---\nb: 2", 2, 1, "one document"},
        {"a: *b", 1, 4, "no anchor"},
        {"a: &a [*a]", 1, 8, "inside of what it means"},
        {"b: &b {c: 1}\na:\n  <<: *b\n", 3, 3, "<<"},
        {"\xc3\xa9: {\xc3\xa9: [}", 1, 11, "expected"},
        {"a:\tb\nc: 'open\n", 3, 1, "end of stream"},
        {"a: [1\nb: 2", 2, 2, "expected ',' or ']'"},
        {"%YAML 2.0\n--- a", 1, 1, "incompatible"},
        {"a: 1\n\xc3\xa9\xff: 2", 2, 3, "UTF-8"},
    };
    for (size_t i = 0; i < DX_COUNT_OF(cases); i++) {
        dx_diag *diag = read_bad(dx_slice_str(cases[i].text));
        if (!strstr(diag->message.data, cases[i].part) || diag->line != cases[i].line || diag->column != cases[i].column)
            fail_msg("case %zu: %s", i, dx_diag_text(diag, arena).data);
    }
    assert_non_null(strstr(read_bad(dx_slice_of("a: \xff", 4))->message.data, "UTF-8"));
    assert_non_null(strstr(read_bad(dx_slice_of("a: \0b", 5))->message.data, "control"));
}

static void findings_are_located_by_pointer(void **state) {
    (void)state;
    const struct {
        const char *pointer;
        uint32_t line, column;
    } cases[] = {{"/a", 1, 1},         {"/b", 2, 1},   {"/b/0", 3, 5},  {"/b/1/\xc3\xa9", 4, 6},
                 {"/b/1/c~1d", 4, 14}, {"/e/0", 5, 4}, {"/none", 0, 0}, {"", 0, 0}};
    dx_diags diags;
    dx_diags_init(&diags, arena);
    for (size_t i = 0; i < DX_COUNT_OF(cases); i++)
        assert_non_null(dx_diags_add(&diags, DX_INVALID, dx_slice_str(cases[i].pointer), "odd"));
    dx_yaml_locate(arena, DX_SLICE("a: &x [1]\nb:\n  - one\n  - {\xc3\xa9: [], c/d: 2}\ne: *x\n"), &diags);
    const dx_diag *diag = diags.first;
    for (size_t i = 0; i < DX_COUNT_OF(cases); i++, diag = diag->next)
        if (diag->line != cases[i].line || diag->column != cases[i].column) fail_msg("%s", dx_diag_text(diag, arena).data);
    dx_yaml_locate(arena, DX_SLICE("a: ["), &diags); // can't be read: nothing is changed
    assert_int_equal(diags.first->line, 1);
}

static void a_name_twice_is_found_among_many(void **state) {
    (void)state;
    dx_buffer text;
    dx_buffer_init(&text, arena, 1 << 20);
    for (int i = 0; i < 100; i++) dx_buffer_printf(&text, "name%d: %d\n", i, i);
    dx_buffer once = text;
    yyjson_doc *doc;
    assert_int_equal(dx_yaml_read(&doc, arena, dx_buffer_slice(&once), NULL, NULL), DX_OK);
    DX_BUFFER_LIT(&text, "name50: again\n");
    assert_int_equal(read_bad(dx_buffer_slice(&text))->line, 101);
    const dx_json_options loose = {.allow_duplicates = true};
    assert_int_equal(dx_yaml_read(&doc, arena, dx_buffer_slice(&text), &loose, NULL), DX_OK);
}

static void an_alias_is_a_copy_of_its_anchor(void **state) {
    (void)state;
    assert_string_equal(as_json(read_ok("a: &x {b: [1, {c: d}], e: &y f}\ng: *x\nh: [*y, *x]\n")),
                        "{\"a\":{\"b\":[1,{\"c\":\"d\"}],\"e\":\"f\"},\"g\":{\"b\":[1,{\"c\":\"d\"}],\"e\":\"f\"},"
                        "\"h\":[\"f\",{\"b\":[1,{\"c\":\"d\"}],\"e\":\"f\"}]}");
    assert_string_equal(as_json(read_ok("a: &x 1\nb: &x 2\nc: *x\n")), "{\"a\":1,\"b\":2,\"c\":2}");
    assert_string_equal(as_json(read_ok("a: &k key\n? *k\n: 1\n")), "{\"a\":\"key\",\"key\":1}");
}

static void a_billion_laughs_are_cut_short(void **state) {
    (void)state;
    dx_buffer text;
    dx_buffer_init(&text, arena, 1 << 20);
    DX_BUFFER_LIT(&text, "- &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n");
    for (int i = 1; i < 12; i++) {
        dx_buffer_printf(&text, "- &a%d [", i);
        for (int j = 0; j < 9; j++) dx_buffer_printf(&text, "*a%d, ", i - 1);
        DX_BUFFER_LIT(&text, "]\n");
    }
    assert_non_null(strstr(read_bad(dx_buffer_slice(&text))->message.data, "aliases stand for more than"));
}

static void depth_is_capped_through_aliases_too(void **state) {
    (void)state;
    yyjson_doc *doc;
    const dx_json_options four = {.depth_cap = 4};
    assert_int_equal(dx_yaml_read(&doc, arena, DX_SLICE("[[[[]]]]"), &four, NULL), DX_OK);
    assert_int_equal(dx_yaml_read(&doc, arena, DX_SLICE("[[[[[]]]]]"), &four, NULL), DX_MALFORMED);
    assert_int_equal(dx_yaml_read(&doc, arena, DX_SLICE("[&a [[]], [*a]]"), &four, NULL), DX_OK);
    assert_int_equal(dx_yaml_read(&doc, arena, DX_SLICE("[&a [[]], [[*a]]]"), &four, NULL), DX_MALFORMED);
    dx_buffer deep;
    dx_buffer_init(&deep, arena, 1 << 20);
    for (int i = 0; i < 5000; i++) dx_buffer_byte(&deep, '[');
    assert_int_equal(dx_yaml_read(&doc, arena, dx_buffer_slice(&deep), NULL, NULL), DX_MALFORMED);
}

static void it_is_written_in_blocks(void **state) {
    (void)state;
    yyjson_val *value =
        json("{\"a\":1,\"list\":[1,[2,[3]],{\"b\":null,\"c\":[]},{}],\"text\":\"two\\nlines\\n\",\"o\":{\"x y\":\"z: #\",\"n\":\"no\"},"
             "\"big\":1e30,\"real\":-1.5e-300}");
    assert_string_equal(as_yaml(value),
                        "a: 1\nlist:\n  - 1\n  - - 2\n    - - 3\n  - b: null\n    c: []\n  - {}\ntext: |\n  two\n  lines\no:\n"
                        "  x y: \"z: #\"\n  \"n\": \"no\"\nbig: 1.0e+30\nreal: -1.5e-300\n");
    assert_string_equal(as_yaml(json("[]")), "[]\n");
    assert_string_equal(as_yaml(json("\"one\\n\\ntwo\"")), "|-\n  one\n\n  two\n");
}

static void strings_that_would_read_as_something_else_are_quoted(void **state) {
    (void)state;
    const char *const quoted[] = {"",     "no",  "On",   "null", "~",    "1",    "1_000", "0x1f", "2001-01-01", "1:30", "1e5", ".5",
                                  "-",    "- a", "? a",  "a: ",  "a:",   "a #b", " a",    "a ",   "&a",         "*a",   "!a",  "%a",
                                  "@a",   "`a",  "{a",   "[a",   "a,b",  "'a'",  "|",     ">",    "=",          "<<",   "---", "...",
                                  "a\tb", "y",   "TRUE", "#a",   "\x7f", "+1",   ",",     "]",    "a\xc2\x85z"};
    for (size_t i = 0; i < DX_COUNT_OF(quoted); i++) {
        dx_buffer text;
        dx_buffer_init(&text, arena, 4096);
        dx_json_write_string(&text, dx_slice_str(quoted[i]));
        dx_buffer_byte(&text, '\0');
        yyjson_val *value = json(text.data);
        const char *written = as_yaml(value);
        if (written[0] != '"') fail_msg("not quoted: %s", written);
        assert_true(dx_json_equal(read_ok(written), value));
    }
    assert_string_equal(as_yaml(json("\"Hello world (v1.0), a/b?c=d\"")), "\"Hello world (v1.0), a/b?c=d\"\n");
    assert_string_equal(as_yaml(json("\"plain text (v1.0) a/b?c=d http://x.y:80/\"")), "plain text (v1.0) a/b?c=d http://x.y:80/\n");
    assert_string_equal(as_yaml(json("\"\xc3\xa9t\xc3\xa9\"")), "\xc3\xa9t\xc3\xa9\n");
}

// --- a property: whatever is written reads back equal --------------------------------------------------------------------------

static uint64_t seed;

static uint64_t next(uint64_t below) {
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (seed >> 33) % below;
}

static yyjson_mut_val *random_text(yyjson_mut_doc *doc) {
    static const char *const pieces[] = {"a",
                                         "no",
                                         " ",
                                         "\n",
                                         ":",
                                         "#",
                                         "-",
                                         "1",
                                         ".",
                                         "\"",
                                         "\\",
                                         "'",
                                         "\t",
                                         "\r",
                                         "\xc3\xa9",
                                         "\xf0\x9f\x98\x80",
                                         "\x01",
                                         "\x7f",
                                         "\xc2\x85",
                                         "\xe2\x80\xa8",
                                         "\xef\xbb\xbf",
                                         "\xef\xbf\xbf",
                                         "|",
                                         "%",
                                         "e5",
                                         "word",
                                         "  ",
                                         "~",
                                         "[",
                                         "{",
                                         ",",
                                         "?"};
    dx_buffer text;
    dx_buffer_init(&text, arena, 4096);
    for (uint64_t i = next(next(8) ? 6 : 300); i > 0; i--) dx_buffer_add(&text, dx_slice_str(pieces[next(DX_COUNT_OF(pieces))]));
    return yyjson_mut_strncpy(doc, text.size ? text.data : "", text.size);
}

static yyjson_mut_val *random_value(yyjson_mut_doc *doc, int depth) {
    uint64_t kind = next(depth < 5 ? 8 : 6);
    double real;
    switch (kind) {
    case 0:
        return yyjson_mut_null(doc);
    case 1:
        return yyjson_mut_bool(doc, next(2) != 0);
    case 2:
        return yyjson_mut_uint(doc, seed << next(33));
    case 3:
        real = (double)(int64_t)seed * pow(10, (double)next(500) - 270);
        return yyjson_mut_real(doc, isfinite(real) ? real : 1.0);
    case 4:
    case 5:
        return random_text(doc);
    default:
        break;
    }
    yyjson_mut_val *made = kind == 6 ? yyjson_mut_arr(doc) : yyjson_mut_obj(doc);
    for (uint64_t i = next(5); i > 0; i--) {
        if (kind == 6) {
            yyjson_mut_arr_append(made, random_value(doc, depth + 1));
            continue;
        }
        yyjson_mut_val *name = random_text(doc);
        if (!yyjson_mut_obj_getn(made, yyjson_mut_get_str(name), yyjson_mut_get_len(name)))
            yyjson_mut_obj_add(made, name, random_value(doc, depth + 1));
    }
    return made;
}

static void whatever_is_written_reads_back_equal(void **state) {
    (void)state;
    for (seed = 1; seed < 4000; seed++) {
        uint64_t start = seed;
        dx_arena_reset(arena);
        yyjson_alc alc = dx_json_alc(arena);
        yyjson_mut_doc *doc = dx_json_mut_doc(arena);
        yyjson_mut_doc_set_root(doc, random_value(doc, 0));
        yyjson_val *value = yyjson_doc_get_root(yyjson_mut_doc_imut_copy(doc, &alc));
        const char *text = as_yaml(value);
        yyjson_val *back = read_ok(text);
        if (!dx_json_equal(value, back)) fail_msg("seed %llu:\n%s\n%s", (unsigned long long)start, text, as_json(back));
        seed = start;
    }
}

static void no_memory_is_said_and_nothing_leaks(void **state) {
    (void)state;
    dx_buffer text;
    dx_buffer_init(&text, arena, 1 << 20);
    DX_BUFFER_LIT(&text, "list: &l [1, 2.5, text, {a: b}]\nagain: *l\n");
    for (int i = 0; i < 3000; i++) dx_buffer_printf(&text, "name%d: %d\n", i, i);
    for (uint64_t n = 1;; n++) {
        yyjson_doc *doc = NULL;
        dx_memory_fail_at(n, false);
        dx_arena *own = dx_arena_create(64 << 20);
        dx_status status = own ? dx_yaml_read(&doc, own, dx_buffer_slice(&text), NULL, NULL) : DX_NO_MEMORY;
        bool failed = dx_memory_fail_stop();
        if (status == DX_OK) // an arena may have found the memory in another way
            assert_int_equal(yyjson_obj_size(yyjson_doc_get_root(doc)), 3002);
        else
            assert_int_equal(status, DX_NO_MEMORY);
        dx_arena_destroy(own);
        if (!failed) break;
        assert_true(n < 1000);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(plain_words_mean_what_the_core_schema_says, setup, teardown),
        cmocka_unit_test_setup_teardown(what_json_has_no_word_for_is_refused_where_it_stands, setup, teardown),
        cmocka_unit_test_setup_teardown(findings_are_located_by_pointer, setup, teardown),
        cmocka_unit_test_setup_teardown(a_name_twice_is_found_among_many, setup, teardown),
        cmocka_unit_test_setup_teardown(an_alias_is_a_copy_of_its_anchor, setup, teardown),
        cmocka_unit_test_setup_teardown(a_billion_laughs_are_cut_short, setup, teardown),
        cmocka_unit_test_setup_teardown(depth_is_capped_through_aliases_too, setup, teardown),
        cmocka_unit_test_setup_teardown(it_is_written_in_blocks, setup, teardown),
        cmocka_unit_test_setup_teardown(strings_that_would_read_as_something_else_are_quoted, setup, teardown),
        cmocka_unit_test_setup_teardown(whatever_is_written_reads_back_equal, setup, teardown),
        cmocka_unit_test_setup_teardown(no_memory_is_said_and_nothing_leaks, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
