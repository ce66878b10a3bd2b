// Sanitising and filtering: each rule alone and in their order, what patterns cover, and what is left alone.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/memory.h"
#include "policy/sanitize.h"

static dx_arena *arena;

static int make_arena(void **state) {
    (void)state;
    arena = dx_arena_create(64 << 20);
    return arena ? 0 : -1;
}

static int drop_arena(void **state) {
    (void)state;
    dx_arena_destroy(arena);
    return 0;
}

static yyjson_mut_doc *read(const char *text) {
    yyjson_doc *doc;
    const dx_json_options options = {.depth_cap = 1000};
    assert_int_equal(dx_json_read(&doc, arena, dx_slice_str(text), &options, NULL), DX_OK);
    yyjson_mut_doc *copy = dx_json_mut_doc(arena);
    yyjson_mut_doc_set_root(copy, yyjson_val_mut_copy(copy, yyjson_doc_get_root(doc)));
    return copy;
}

static void assert_json(yyjson_mut_doc *doc, const char *wanted) {
    dx_buffer out;
    dx_buffer_init(&out, arena, 1 << 20);
    dx_json_write_mut(&out, yyjson_mut_doc_get_root(doc), false);
    if (!dx_slice_equal(dx_buffer_slice(&out), dx_slice_str(wanted)))
        fail_msg("%.*s is not %s", DX_SLICE_ARG(dx_buffer_slice(&out)), wanted);
}

static void assert_cleaned(const dx_sanitize *settings, dx_slice text, const char *wanted) {
    dx_slice out;
    assert_int_equal(dx_sanitize_text(&out, arena, settings, text, DX_SLICE(""), NULL), DX_OK);
    if (!dx_slice_equal(out, dx_slice_str(wanted))) fail_msg("\"%.*s\" is not \"%s\"", DX_SLICE_ARG(out), wanted);
}

static void without_settings_nothing_changes(void **state) {
    (void)state;
    const dx_sanitize none = {.max_length = 0};
    dx_slice text = DX_SLICE(" a\r\n\0<' or 1=1\x01"), out;
    assert_int_equal(dx_sanitize_text(&out, arena, &none, text, DX_SLICE(""), NULL), DX_OK);
    assert_ptr_equal(out.data, text.data);
    assert_int_equal(out.size, text.size);
}

static void each_rule_does_what_it_says(void **state) {
    (void)state;
    assert_cleaned(&(dx_sanitize){.strip_nul = true}, DX_SLICE("\0a\0\0b\0"), "ab");
    assert_cleaned(&(dx_sanitize){.strip_nul = true}, DX_SLICE("\0"), "");
    assert_cleaned(&(dx_sanitize){.normalize_newlines = true}, DX_SLICE("a\r\nb\rc\n\r"), "a\nb\nc\n\n");
    assert_cleaned(&(dx_sanitize){.collapse_controls = true}, DX_SLICE("a\x01\x02\x7f\xc2\x85z\tb\n\xc2\xa0\x1b"), "a z\tb\n\xc2\xa0 ");
    assert_cleaned(&(dx_sanitize){.trim = true}, DX_SLICE("\xc2\xa0 \t a b\r\n\xc2\xa0"), "a b");
    assert_cleaned(&(dx_sanitize){.trim = true}, DX_SLICE(" \xc2\xa0"), "");
    assert_cleaned(&(dx_sanitize){.escape_html = true}, DX_SLICE("<a href=\"x\">'&'</a>"),
                   "&lt;a href=&quot;x&quot;&gt;&#39;&amp;&#39;&lt;/a&gt;");
    const dx_sanitize all = {
        .strip_nul = true, .normalize_newlines = true, .collapse_controls = true, .trim = true, .escape_html = true, .max_length = 4};
    assert_cleaned(&all, DX_SLICE(" \0\x01<\r\n\xe2\x82\xac> "),
                   "&lt;\n\xe2\x82\xac&gt;"); // four characters, counted before they are escaped
}

static void what_is_too_long_is_refused_by_characters(void **state) {
    (void)state;
    const dx_sanitize settings = {.max_length = 3, .trim = true};
    dx_slice out;
    assert_int_equal(dx_sanitize_text(&out, arena, &settings, DX_SLICE("\xc3\xa4\xc3\xb6\xc3\xbc "), DX_SLICE(""), NULL), DX_OK);
    dx_diags diags;
    dx_diags_init(&diags, arena);
    assert_int_equal(dx_sanitize_text(&out, arena, &settings, DX_SLICE("abcd"), DX_SLICE("/a"), &diags), DX_INVALID);
    assert_true(dx_slice_equal(diags.first->pointer, DX_SLICE("/a")));
    assert_true(dx_slice_equal(diags.first->message, DX_SLICE("expected at most 3 characters")));
}

static void signatures_are_reported_or_refused(void **state) {
    (void)state;
    static const char *const sql[] = {"1' OR '1'='1", "x UNION\n  SELECT y", "1 UnIoN/**/ALL/*x*/sElEcT 2", "a'; DROP TABLE t",
                                      "1 or 1=1 --"};
    static const char *const script[] = {"<ScRiPt>x", "<img src=x onerror=y>", "JavaScript:alert(1)"};
    static const char *const plain[] = {"the union selected him", "O'Brien or someone", "on error, load", "describe", "a/*b", "/*"};
    const dx_sanitize reject = {.sql = DX_SIGNATURE_REJECT, .script = DX_SIGNATURE_REJECT};
    const dx_sanitize report = {.sql = DX_SIGNATURE_REPORT, .script = DX_SIGNATURE_REPORT};
    dx_slice out;
    dx_diags diags;
    dx_diags_init(&diags, arena);
    for (size_t i = 0; i < DX_COUNT_OF(sql); i++)
        if (dx_sanitize_text(&out, arena, &reject, dx_slice_str(sql[i]), DX_SLICE(""), NULL) != DX_INVALID) fail_msg("%s", sql[i]);
    for (size_t i = 0; i < DX_COUNT_OF(script); i++)
        if (dx_sanitize_text(&out, arena, &reject, dx_slice_str(script[i]), DX_SLICE(""), NULL) != DX_INVALID) fail_msg("%s", script[i]);
    for (size_t i = 0; i < DX_COUNT_OF(plain); i++)
        if (dx_sanitize_text(&out, arena, &reject, dx_slice_str(plain[i]), DX_SLICE(""), NULL) != DX_OK) fail_msg("%s", plain[i]);
    assert_int_equal(dx_sanitize_text(&out, arena, &report, dx_slice_str(sql[0]), DX_SLICE("/q"), &diags), DX_OK);
    assert_int_equal(dx_sanitize_text(&out, arena, &report, dx_slice_str(script[0]), DX_SLICE("/q"), &diags), DX_OK);
    assert_int_equal(diags.count, 2);
    assert_int_equal(diags.first->status, DX_OK);
    const dx_sanitize sql_alone = {.sql = DX_SIGNATURE_REJECT};
    assert_int_equal(dx_sanitize_text(&out, arena, &sql_alone, dx_slice_str(script[0]), DX_SLICE(""), NULL), DX_OK);
}

static void a_document_is_cleaned_but_for_its_exceptions(void **state) {
    (void)state;
    static const dx_slice except[] = {DX_SLICE_INIT("password"), DX_SLICE_INIT("/raw/*/x")};
    const dx_sanitize settings = {.trim = true, .max_length = 3, .except = except, .except_count = 2};
    yyjson_mut_doc *doc =
        read("{\" n \":\" a \",\"password\":\"  p  \",\"l\":[1,\" b \",{\"password\":[\" c \"]}],\"raw\":[{\"x\":\" d \",\"y\":\" e \"}]}");
    assert_int_equal(dx_sanitize_json(doc, arena, &settings, NULL), DX_OK);
    assert_json(doc,
                "{\" n \":\"a\",\"password\":\"  p  \",\"l\":[1,\"b\",{\"password\":[\" c \"]}],\"raw\":[{\"x\":\" d \",\"y\":\"e\"}]}");
    dx_diags diags;
    dx_diags_init(&diags, arena);
    doc = read("{\"a\":\"long\",\"b\":[\"x\",{\"c/d\":\"longer\"}]}");
    assert_int_equal(dx_sanitize_json(doc, arena, &settings, &diags), DX_INVALID);
    assert_int_equal(diags.count, 2);
    assert_true(dx_slice_equal(diags.first->pointer, DX_SLICE("/a")));
    assert_true(dx_slice_equal(diags.last->pointer, DX_SLICE("/b/1/c~1d")));
    doc = read("\" a \"");
    assert_int_equal(dx_sanitize_json(doc, arena, &settings, NULL), DX_OK);
    assert_json(doc, "\"a\"");
}

static void patterns_match_paths(void **state) {
    (void)state;
    static const struct {
        const char *pattern, *path;
        bool matches;
    } cases[] = {
        {"", "", true},
        {"", "a", false},
        {"/a", "a", true},
        {"/a", "a b", false},
        {"/a/b", "a b", true},
        {"/*", "a", true},
        {"/*/b", "a b", true},
        {"/*/b", "b", false},
        {"/**", "a b c", true},
        {"/**", "", true},
        {"/**/c", "a b c", true},
        {"/**/c", "c", true},
        {"/**/c", "a c b", false},
        {"/a/**/c", "a c", true},
        {"/a/**/c", "a b b c", true},
        {"/a/**/c", "b c", false},
        {"/**/a/**/b", "x a y a z b", true},
        {"/**/a/**/b", "x b y a", false},
        {"/a~1b/~0", "a/b ~", true},
        {"/a/", "a", false},
        {"c", "a b c", true},
        {"c", "c", true},
        {"c", "a c b", false},
        {"c", "", false},
        {"/**/a/b", "a a b", true},
    };
    for (size_t i = 0; i < DX_COUNT_OF(cases); i++) {
        dx_slice path[8], rest = dx_slice_str(cases[i].path);
        size_t depth = 0;
        while (rest.size) path[depth++] = dx_slice_cut(&rest, ' ');
        if (dx_pattern_matches(dx_slice_str(cases[i].pattern), path, depth) != cases[i].matches)
            fail_msg("%s and %s", cases[i].pattern, cases[i].path);
    }
}

static void filters_take_out_and_mask(void **state) {
    (void)state;
    const dx_filter_rule rules[] = {{.pattern = DX_SLICE("/users/*/email"), .mask = true, .with = DX_SLICE("***")},
                                    {.pattern = DX_SLICE("password")},
                                    {.pattern = DX_SLICE("/list/1")},
                                    {.pattern = DX_SLICE("/list/*/x")},
                                    {.pattern = DX_SLICE("/**/secret"), .mask = true}};
    yyjson_mut_doc *doc = read("{\"users\":[{\"email\":\"a@b\",\"password\":1},{\"email\":{\"x\":1},\"id\":2}],\"password\":{},\"list\":[1,"
                               "2,{\"x\":1},{\"x\":2,\"secret\":3}],"
                               "\"email\":\"c@d\",\"e\":[]}");
    assert_int_equal(dx_filter_json(doc, rules, DX_COUNT_OF(rules)), DX_OK);
    assert_json(
        doc, "{\"users\":[{\"email\":\"***\"},{\"email\":\"***\",\"id\":2}],\"list\":[1,{},{\"secret\":\"\"}],\"email\":\"c@d\",\"e\":[]}");
    doc = read("[1,2,3]");
    assert_int_equal(dx_filter_json(doc, &(dx_filter_rule){.pattern = DX_SLICE("/*")}, 1), DX_OK);
    assert_json(doc, "[]");
    doc = read("{\"password\":1}");
    assert_int_equal(dx_filter_json(doc, rules, 2), DX_OK);
    assert_json(doc, "{}");
    assert_int_equal(dx_filter_json(doc, &(dx_filter_rule){.pattern = DX_SLICE(""), .mask = true, .with = DX_SLICE("x")}, 1), DX_OK);
    assert_json(doc, "\"x\"");
}

static void documents_too_deep_and_lists_too_long_are_refused(void **state) {
    (void)state;
    char text[2 * (DX_JSON_DEPTH_CAP + 1) + 2] = "";
    memset(text, '[', DX_JSON_DEPTH_CAP + 1);
    text[DX_JSON_DEPTH_CAP + 1] = '1';
    memset(text + DX_JSON_DEPTH_CAP + 2, ']', DX_JSON_DEPTH_CAP + 1);
    text[sizeof text - 1] = 0;
    yyjson_mut_doc *deep = read(text);
    text[2 * DX_JSON_DEPTH_CAP + 2] = 0;
    yyjson_mut_doc *fits = read(text + 1);
    const dx_sanitize settings = {.trim = true};
    assert_int_equal(dx_sanitize_json(deep, arena, &settings, NULL), DX_TOO_LARGE);
    assert_int_equal(dx_sanitize_json(fits, arena, &settings, NULL), DX_OK);
    assert_int_equal(dx_filter_json(deep, NULL, 0), DX_TOO_LARGE);
    assert_int_equal(dx_filter_json(fits, NULL, 0), DX_OK);
    static const dx_filter_rule many[DX_PATTERNS_CAP + 1];
    assert_int_equal(dx_filter_json(fits, many, DX_PATTERNS_CAP + 1), DX_TOO_LARGE);
}

static void without_memory_it_says_so(void **state) {
    (void)state;
    const dx_sanitize settings = {.trim = true, .strip_nul = true, .escape_html = true, .sql = DX_SIGNATURE_REJECT};
    for (uint64_t n = 1;; n++) {
        dx_arena *small = dx_arena_create(1 << 20);
        yyjson_mut_doc *doc = read("[\" <a> \",\"a\\u0000b\"]");
        dx_memory_fail_at(n, true);
        dx_status status = dx_sanitize_json(doc, small, &settings, NULL);
        bool failed = dx_memory_fail_stop();
        dx_arena_destroy(small);
        assert_int_equal(status, failed ? DX_NO_MEMORY : DX_OK);
        if (!failed) break;
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_settings_nothing_changes),
        cmocka_unit_test(each_rule_does_what_it_says),
        cmocka_unit_test(what_is_too_long_is_refused_by_characters),
        cmocka_unit_test(signatures_are_reported_or_refused),
        cmocka_unit_test(a_document_is_cleaned_but_for_its_exceptions),
        cmocka_unit_test(patterns_match_paths),
        cmocka_unit_test(filters_take_out_and_mask),
        cmocka_unit_test(documents_too_deep_and_lists_too_long_are_refused),
        cmocka_unit_test(without_memory_it_says_so),
    };
    return cmocka_run_group_tests(tests, make_arena, drop_arena);
}
