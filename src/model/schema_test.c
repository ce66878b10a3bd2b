// What the suite does not ask: messages and pointers, findings in schemas, exact numbers, limits, and running out of memory.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/memory.h"
#include "model/number.h"
#include "model/schema.h"
#include "model/uri.h"

static dx_arena *arena;

static int setup(void **state) {
    (void)state;
    arena = dx_arena_create(64u << 20);
    return arena ? 0 : 1;
}

static int teardown(void **state) {
    (void)state;
    dx_arena_destroy(arena);
    return 0;
}

static yyjson_val *json(const char *text) {
    yyjson_doc *document;
    assert_int_equal(dx_json_read(&document, arena, dx_slice_str(text), NULL, NULL), DX_OK);
    return yyjson_doc_get_root(document);
}

static dx_status compile(const dx_schema **out, const char *schema, dx_diags *diags) {
    dx_schema_set *set = dx_schema_set_create(arena, true);
    assert_non_null(set);
    assert_int_equal(dx_schema_set_add(set, DX_SLICE(""), json(schema)), DX_OK);
    return dx_schema_compile(out, set, DX_SLICE(""), diags);
}

// Each finding as "pointer: message; did you mean …" on a line.
static const char *lines(const dx_diags *diags) {
    dx_buffer text;
    dx_buffer_init(&text, arena, 1u << 20);
    for (const dx_diag *diag = diags->first; diag; diag = diag->next) {
        if (text.size) dx_buffer_byte(&text, '\n');
        dx_buffer_add(&text, dx_diag_text(diag, arena));
    }
    dx_buffer_byte(&text, 0);
    return text.data;
}

static const char *findings(const char *schema_text, const char *instance) {
    const dx_schema *schema;
    dx_diags diags;
    dx_diags_init(&diags, arena);
    dx_status status = compile(&schema, schema_text, &diags);
    if (status != DX_OK) fail_msg("does not compile: %s", lines(&diags));
    status = dx_schema_validate(schema, json(instance), arena, NULL, &diags);
    assert_int_equal(status, diags.count ? DX_INVALID : DX_OK);
    return lines(&diags);
}

static const char *problems(const char *schema_text) {
    const dx_schema *schema;
    dx_diags diags;
    dx_diags_init(&diags, arena);
    dx_status status = compile(&schema, schema_text, &diags);
    assert_int_equal(status, diags.count ? DX_INVALID : DX_OK);
    return lines(&diags);
}

static const char item[] = "{'type':'object','additionalProperties':false,'required':['title','price'],'properties':{"
                           "'title':{'type':'string','minLength':3,'maxLength':10},'price':{'type':'number','minimum':0},"
                           "'kind':{'enum':['book','toy']},'sku':{'pattern':'^[A-Z]+$'},'mail':{'format':'email'},"
                           "'tags':{'type':'array','items':{'type':'string'},'uniqueItems':true,'maxItems':3}}}";

// Single quotes read better in C than escaped double ones.
static const char *q(const char *text) {
    char *copy = dx_arena_bytes(arena, strlen(text) + 1);
    memcpy(copy, text, strlen(text) + 1);
    for (char *at = copy; *at; at++)
        if (*at == '\'') *at = '"';
    return copy;
}

static void test_every_wrong_field_is_named_with_what_was_expected(void **state) {
    (void)state;
    assert_string_equal(findings(q(item), q("{'title':'ab','price':-1,'kind':'boook','sku':'a1','mail':'x','tags':['a','a']}")),
                        "/title: must have at least 3 characters\n"
                        "/price: must be at least 0\n"
                        "/kind: must be one of \"book\" or \"toy\"; did you mean \"book\"?\n"
                        "/sku: must match the pattern ^[A-Z]+$\n"
                        "/mail: must be an email address\n"
                        "/tags: must not have the same item twice");
    assert_string_equal(findings(q(item), q("{'title':1,'price':'x','tags':[1,'a',null]}")), "/title: expected a string, found a number\n"
                                                                                             "/price: expected a number, found a string\n"
                                                                                             "/tags/0: expected a string, found a number\n"
                                                                                             "/tags/2: expected a string, found null");
    assert_string_equal(findings(q(item), "[]"), "expected an object, found an array");
}

static void test_a_missing_field_points_to_itself(void **state) {
    (void)state;
    assert_string_equal(findings(q(item), "{}"), "/title: is required\n/price: is required");
    assert_string_equal(findings(q("{'properties':{'a/b':{'required':['c~d']}}}"), q("{'a/b':{}}")), "/a~1b/c~0d: is required");
    assert_string_equal(findings(q("{'dependentRequired':{'a':['b']}}"), q("{'a':1}")), "/b: is required when \"a\" is given");
}

static void test_an_unknown_field_names_the_nearest_known_one(void **state) {
    (void)state;
    assert_string_equal(findings(q(item), q("{'title':'abc','price':1,'prise':2}")),
                        "/prise: is not a known field; did you mean \"price\"?");
    assert_string_equal(findings(q("{'properties':{'price':true},'unevaluatedProperties':false}"), q("{'prise':2}")),
                        "/prise: is not a known field; did you mean \"price\"?");
    static const char apart[] =
        "{'properties':{'size':{'type':'integer'}},'$ref':'#/$defs/a','unevaluatedProperties':false,'$defs':{'a':{'properties':"
        "{'price':true},'allOf':[{'properties':{'title':{'type':'string'}}}]}}}";
    assert_string_equal(findings(q(apart), q("{'prise':2,'titel':'x','size':'no'}")),
                        "/size: expected an integer, found a string\n"
                        "/prise: is not a known field; did you mean \"price\"?\n/titel: is not a known field; did you mean \"title\"?");
    // What a branch fails leaves open what it knows.
    assert_string_equal(findings(q(apart), q("{'title':2,'prise':1}")), "/title: expected a string, found a number");
}

static void test_scalars_are_explained_in_plain_words(void **state) {
    (void)state;
    assert_string_equal(findings(q("{'type':['string','null']}"), "1"), "expected a string or null, found a number");
    assert_string_equal(findings(q("{'type':'integer'}"), "1.5"), "expected an integer, found a number with a fraction");
    assert_string_equal(findings(q("{'const':{'a':1}}"), "1"), "must be {\"a\":1}");
    assert_string_equal(findings(q("{'exclusiveMaximum':10,'maximum':10}"), "10"), "must be less than 10");
    assert_string_equal(findings(q("{'minimum':5,'exclusiveMinimum':3}"), "4"), "must be at least 5");
    assert_string_equal(findings(q("{'multipleOf':0.01}"), "0.125"), "must be a multiple of 0.01");
    assert_string_equal(findings(q("{'minLength':1}"), q("''")), "must not be empty");
    assert_string_equal(findings(q("{'maxProperties':1}"), q("{'a':1,'b':2}")), "must have at most 1 member");
    assert_string_equal(findings(q("{'properties':{'x':false}}"), q("{'x':1}")), "/x: is not allowed");
    assert_string_equal(findings(q("{'propertyNames':{'maxLength':2}}"), q("{'abc':1}")),
                        "/abc: the name itself must have at most 2 characters");
    assert_string_equal(findings(q("{'not':{'type':'null'}}"), "null"), "must not be null");
    assert_string_equal(findings(q("{'contains':{'const':1}}"), "[2]"), "must have at least 1 item of the kind asked for, found 0");
}

static void test_a_union_reports_the_branch_that_was_meant(void **state) {
    (void)state;
    const char *shapes = q("{'oneOf':[{'properties':{'kind':{'const':'circle'},'radius':{'type':'number'}},'required':['kind','radius']},"
                           "{'properties':{'kind':{'const':'square'},'side':{'type':'number'}},'required':['kind','side']},"
                           "{'type':'string'}]}");
    assert_string_equal(findings(shapes, q("{'kind':'square','side':'x'}")), "/side: expected a number, found a string");
    assert_string_equal(findings(q("{'anyOf':[{'type':'string'},{'type':'integer'}]}"), "null"),
                        "expected a string or an integer, found null");
    assert_string_equal(findings(q("{'anyOf':[{'required':['a']},{'required':['b']}]}"), "{}"),
                        "matches none of the 2 allowed forms (/a is required; or /b is required)");
    assert_string_equal(findings(q("{'oneOf':[true,true]}"), "1"), "matches more than one of the allowed forms (1 and 2 of 2)");
}

static void test_one_finding_a_field_however_many_schemas_refuse_it(void **state) {
    (void)state;
    assert_string_equal(findings(q("{'allOf':[{'properties':{'a':{'type':'string'}}},{'properties':{'a':{'minimum':3}}}]}"), q("{'a':1}")),
                        "/a: expected a string, found a number");
}

static void test_first_only_stops_at_the_first(void **state) {
    (void)state;
    const dx_schema *schema;
    dx_diags diags;
    dx_diags_init(&diags, arena);
    assert_int_equal(compile(&schema, q(item), NULL), DX_OK);
    dx_schema_options options = {.first_only = true};
    assert_int_equal(dx_schema_validate(schema, json("{}"), arena, &options, &diags), DX_INVALID);
    assert_int_equal(diags.count, 1);
}

static void test_what_is_wrong_in_a_schema_is_found_where_it_stands(void **state) {
    (void)state;
    assert_string_equal(problems(q("{'properties':{'a':{'minimum':'x','type':'strin'}},'$defs':{'b':{'$ref':'#/nowhere'}},'items':3}")),
                        "/$defs/b/$ref: refers to \"#/nowhere\", which does not exist\n"
                        "/items: expected a schema (an object or a boolean), found integer\n"
                        "/properties/a/minimum: must be a number\n"
                        "/properties/a/type: must be one of null, boolean, integer, number, string, array, object, or an array of these");
    assert_string_equal(problems(q("{'pattern':'a(b'}")), "/pattern: the regular expression \"a(b\" cannot be used: a group is not closed");
    assert_string_equal(problems(q("{'minLength':-1,'allOf':[],'required':'a','multipleOf':0}")),
                        "/minLength: must be a whole number, at least 0\n/allOf: must be an array of at least one schema\n"
                        "/required: must be an array of strings\n/multipleOf: must be a number greater than 0");
    assert_string_equal(problems(q("{'$ref':'x','$defs':{'a':{'$id':'x'},'b':{'$id':'x'}}}")),
                        "/$ref: refers to \"x\", but more than one schema has that \"$id\"");
}

static void test_a_failed_compile_leaves_nothing_behind(void **state) {
    (void)state;
    dx_schema_set *set = dx_schema_set_create(arena, true);
    assert_int_equal(dx_schema_set_add(set, DX_SLICE("a"), json(q("{'properties':{'x':{'$ref':'b'}}}"))), DX_OK);
    assert_int_equal(dx_schema_set_add(set, DX_SLICE("b"), json(q("{'minimum':'no'}"))), DX_OK);
    const dx_schema *schema;
    assert_int_equal(dx_schema_compile(&schema, set, DX_SLICE("b"), NULL), DX_INVALID);
    assert_int_equal(dx_schema_compile(&schema, set, DX_SLICE("a"), NULL), DX_INVALID);
    assert_null(schema);
    assert_int_equal(dx_schema_compile(&schema, set, DX_SLICE("c"), NULL), DX_NOT_FOUND);
}

static void test_a_schema_below_a_name_that_is_no_keyword_compiles_whole(void **state) {
    (void)state;
    dx_schema_set *set = dx_schema_set_create(arena, true);
    const char *document = "{'models':{'A':{'$id':'http://x/a','$ref':'b','$defs':{'b':{'$id':'b','$ref':'#c','$defs':{'c':{'$anchor':'c',"
                           "'type':'null'}}}}},'B':{'items':{'$ref':'#/models/C'}},'C':{'type':'string'}}}";
    assert_int_equal(dx_schema_set_add(set, DX_SLICE(""), json(q(document))), DX_OK);
    const dx_schema *schema;
    assert_int_equal(dx_schema_compile(&schema, set, DX_SLICE("#/models/A"), NULL), DX_OK);
    assert_int_equal(dx_schema_compile(&schema, set, DX_SLICE("#/models/A"), NULL), DX_OK);
    assert_int_equal(dx_schema_validate(schema, json("1"), arena, NULL, NULL), DX_INVALID);
    assert_int_equal(dx_schema_validate(schema, json("null"), arena, NULL, NULL), DX_OK);
    assert_int_equal(dx_schema_compile(&schema, set, DX_SLICE("#/models/B"), NULL), DX_OK);
    assert_int_equal(dx_schema_validate(schema, json("[1]"), arena, NULL, NULL), DX_INVALID);
}

static bool valid(const char *schema_text, const char *instance) {
    const dx_schema *schema;
    assert_int_equal(compile(&schema, q(schema_text), NULL), DX_OK);
    return dx_schema_validate(schema, json(q(instance)), arena, NULL, NULL) == DX_OK;
}

static void test_integers_are_exact_to_64_bits(void **state) {
    (void)state;
    assert_true(valid("{'maximum':9007199254740993}", "9007199254740993"));
    assert_false(valid("{'maximum':9007199254740992}", "9007199254740993"));
    assert_false(valid("{'maximum':9007199254740992.0}", "9007199254740993"));
    assert_true(valid("{'minimum':18446744073709551615}", "18446744073709551615"));
    assert_false(valid("{'minimum':18446744073709551615}", "18446744073709551614"));
    assert_false(valid("{'exclusiveMinimum':-9223372036854775808}", "-9223372036854775808"));
    assert_true(valid("{'minimum':-0.5}", "0"));
    assert_false(valid("{'maximum':-0.5}", "0"));
    assert_false(valid("{'multipleOf':2}", "18446744073709551615"));
    assert_true(valid("{'multipleOf':3}", "18446744073709551615"));
    assert_false(valid("{'const':9007199254740993}", "9007199254740992"));
    assert_true(valid("{'const':1.0}", "1"));
    assert_false(valid("{'uniqueItems':true}", "[1,2,3,4,5,6,7,8,9,10,11,12,13,14,1.0]"));
}

static void test_multiples_are_decimal(void **state) {
    (void)state;
    for (int i = 0; i < 20000; i++) {
        char text[64];
        snprintf(text, sizeof text, "%d.%02d", i / 100, i % 100);
        yyjson_val *value = json(text);
        dx_multiple cent, mill;
        assert_true(dx_multiple_init(&cent, json("0.01")));
        assert_true(dx_multiple_init(&mill, json("0.03")));
        assert_true(dx_multiple_divides(&cent, dx_number_of(value)));
        assert_int_equal(dx_multiple_divides(&mill, dx_number_of(value)), i % 3 == 0);
    }
    assert_false(valid("{'multipleOf':0.01}", "0.001"));
    assert_true(valid("{'multipleOf':1e-8}", "12391239123"));
    assert_false(valid("{'multipleOf':0.1}", "1e-300"));
    assert_true(valid("{'multipleOf':1e300}", "3e300"));
}

static void test_lengths_count_code_points(void **state) {
    (void)state;
    assert_true(valid("{'maxLength':2}", "'\xf0\x9f\x98\x80\xc3\xa9'"));
    assert_false(valid("{'minLength':3}", "'\xf0\x9f\x98\x80\xc3\xa9'"));
}

static void test_a_catastrophic_pattern_ends_soon_and_says_so(void **state) {
    (void)state;
    char text[4096];
    memset(text, 'a', sizeof text);
    text[0] = '"';
    memcpy(text + sizeof text - 3, "!\"", 3);
    dx_nanos start = dx_clock_monotonic();
    const char *found = findings(q("{'pattern':'^(a+)+$'}"), text);
    assert_string_equal(found, "takes too long to check against the pattern ^(a+)+$");
    assert_true(dx_clock_monotonic() - start < 5 * DX_SECOND); // without a limit: longer than the universe has stood
}

static void test_a_limit_that_is_reached_under_a_not_does_not_make_the_instance_valid(void **state) {
    (void)state;
    char text[4096];
    memset(text, 'a', sizeof text);
    text[0] = '"';
    memcpy(text + sizeof text - 3, "!\"", 3);
    assert_string_equal(findings(q("{'not':{'pattern':'^(a+)+$'}}"), text), "takes too long to be checked");
    assert_string_equal(findings(q("{'anyOf':[{'pattern':'^(a+)+$'},true]}"), text), "takes too long to be checked");
    assert_string_equal(findings(q("{'not':{'allOf':[{'$ref':'#/$defs/a'}]},'$defs':{'a':{'allOf':[{'$ref':'#/$defs/a'}]}}}"), "1"),
                        "takes too long to be checked");
}

// Each string takes a while and passes, or fails, within the limit of one match.
static void test_many_costly_matches_end_soon_together(void **state) {
    (void)state;
    dx_buffer body;
    dx_buffer_init(&body, arena, 4u << 20);
    for (int i = 0; i < 30000; i++) dx_buffer_printf(&body, "%c\"aaaaaaaaaaaaaaab a\"", i ? ',' : '[');
    DX_BUFFER_LIT(&body, "]");
    dx_buffer_byte(&body, 0);
    dx_nanos start = dx_clock_monotonic();
    assert_non_null(strstr(findings(q("{'items':{'pattern':'(a+)+$'}}"), body.data), "takes too long"));
    assert_non_null(strstr(findings(q("{'items':{'pattern':'^(a+)+$'}}"), body.data), "must match"));
    assert_true(dx_clock_monotonic() - start < 5 * DX_SECOND); // without a limit: half a minute
}

static void test_a_long_text_matches_beyond_the_stack_of_the_jit(void **state) {
    (void)state;
    size_t size = 200000;
    char *text = dx_arena_bytes(arena, size + 1);
    memset(text, 'b', size);
    text[0] = text[size - 1] = '"';
    text[size] = 0;
    assert_string_equal(findings(q("{'pattern':'^[a-c]*$'}"), text), "");
}

static void test_endless_references_end_at_the_depth_cap(void **state) {
    (void)state;
    assert_string_equal(findings(q("{'$ref':'#'}"), "1"), "is nested too deeply to be checked");
    assert_string_equal(findings(q("{'allOf':[{'$ref':'#/$defs/a'}],'$defs':{'a':{'allOf':[{'$ref':'#'}]}}}"), "1"),
                        "is nested too deeply to be checked");
    dx_buffer chain; // a long chain of references is no depth
    dx_buffer_init(&chain, arena, 1u << 20);
    DX_BUFFER_LIT(&chain, "{\"$ref\":\"#/$defs/a0\",\"$defs\":{");
    for (int i = 0; i < 200; i++) dx_buffer_printf(&chain, "\"a%d\":{\"$ref\":\"#/$defs/a%d\"},", i, i + 1);
    DX_BUFFER_LIT(&chain, "\"a200\":{\"type\":\"null\"}}}");
    dx_buffer_byte(&chain, 0);
    assert_string_equal(findings(chain.data, "1"), "expected null, found a number");
}

static void test_branches_that_multiply_run_into_the_step_cap(void **state) {
    (void)state;
    const char *schema = q("{'type':'array','anyOf':[{'items':{'$ref':'#'},'minItems':1},{'items':{'$ref':'#'},'maxItems':5}]}");
    char deep[81] = "";
    memset(deep, '[', 40);
    memset(deep + 40, ']', 40);
    assert_string_equal(findings(schema, deep), "");
    memset(deep, '[', 39); // and now one wrong value, which each of 2^39 ways meets
    deep[39] = '1';
    memset(deep + 40, ']', 39);
    deep[79] = 0;
    const char *found = findings(schema, deep);
    assert_non_null(strstr(found, "takes too long to be checked"));
}

static void test_large_objects_and_enums_are_looked_up_whole(void **state) {
    (void)state;
    dx_buffer schema, body;
    dx_buffer_init(&schema, arena, 1u << 20);
    dx_buffer_init(&body, arena, 1u << 20);
    DX_BUFFER_LIT(&schema, "{\"additionalProperties\":false,\"required\":[");
    for (int i = 0; i < 700; i++) dx_buffer_printf(&schema, "%s\"long_prefix_%d_long_suffix\"", i ? "," : "", i);
    DX_BUFFER_LIT(&schema, "],\"properties\":{");
    for (int i = 0; i < 700; i++) dx_buffer_printf(&schema, "%s\"long_prefix_%d_long_suffix\":{\"const\":%d}", i ? "," : "", i, i);
    DX_BUFFER_LIT(&schema, "}}");
    for (int i = 0; i < 700; i++)
        if (i != 333) dx_buffer_printf(&body, "%s\"long_prefix_%d_long_suffix\":%d", i ? "," : "{", i, i == 555 ? 1 : i);
    DX_BUFFER_LIT(&body, "}");
    dx_buffer_byte(&schema, 0);
    dx_buffer_byte(&body, 0);
    assert_string_equal(findings(schema.data, body.data),
                        "/long_prefix_555_long_suffix: must be 555\n/long_prefix_333_long_suffix: is required");
}

static void test_every_failing_allocation_is_reported(void **state) {
    (void)state;
    const char *text = q("{'type':'object','properties':{'a':{'$ref':'#/$defs/x'},'b':{'pattern':'^a+$'},'c':{'enum':['x','y',1]}},"
                         "'patternProperties':{'^z':{'format':'hostname'}},'unevaluatedProperties':false,'required':['a','q'],"
                         "'$defs':{'x':{'anyOf':[{'type':'array','uniqueItems':true},{'minimum':3}]},'m':{'$ref':"
                         "'https://json-schema.org/draft/2020-12/schema'}}}");
    const char *body = q("{'a':[1,2,3,4,5,6,7,8,9,10,11,12,13,14,14],'b':'b','c':'z','zz':'host','other':1}");
    uint64_t n = 1;
    for (;; n++) {
        dx_memory_fail_at(n, true);
        dx_arena *own = dx_arena_create(16u << 20), *scratch = own ? dx_arena_create(1u << 20) : NULL;
        dx_diags diags;
        dx_status status = DX_NO_MEMORY;
        yyjson_doc *schema_doc, *body_doc;
        const dx_schema *schema;
        dx_schema_set *set = NULL;
        if (scratch) {
            dx_diags_init(&diags, own);
            status = dx_json_read(&schema_doc, own, dx_slice_str(text), NULL, NULL);
            if (status == DX_OK) status = dx_json_read(&body_doc, own, dx_slice_str(body), NULL, NULL);
            if (status == DX_OK) set = dx_schema_set_create(own, true);
            if (status == DX_OK) status = set ? dx_schema_set_add(set, DX_SLICE(""), yyjson_doc_get_root(schema_doc)) : DX_NO_MEMORY;
            if (status == DX_OK) status = dx_schema_compile(&schema, set, DX_SLICE(""), NULL);
            if (status == DX_OK) status = dx_schema_validate(schema, yyjson_doc_get_root(body_doc), scratch, NULL, &diags);
        }
        bool failed = dx_memory_fail_stop();
        dx_arena_destroy(scratch);
        dx_arena_destroy(own);
        assert_true(status == DX_INVALID || (failed && status == DX_NO_MEMORY));
        if (!failed) break;
    }
    assert_true(n > 3);
}

static void test_references_resolve_as_rfc_3986_says(void **state) {
    (void)state;
    static const char *const cases[][2] = {// section 5.4, base http://a/b/c/d;p?q
                                           {"g:h", "g:h"},
                                           {"g", "http://a/b/c/g"},
                                           {"./g", "http://a/b/c/g"},
                                           {"g/", "http://a/b/c/g/"},
                                           {"/g", "http://a/g"},
                                           {"//g", "http://g"},
                                           {"?y", "http://a/b/c/d;p?y"},
                                           {"g?y", "http://a/b/c/g?y"},
                                           {"", "http://a/b/c/d;p?q"},
                                           {".", "http://a/b/c/"},
                                           {"..", "http://a/b/"},
                                           {"../g", "http://a/b/g"},
                                           {"../..", "http://a/"},
                                           {"../../../g", "http://a/g"},
                                           {"/./g", "http://a/g"},
                                           {"g;x=1/../y", "http://a/b/c/y"},
                                           {"..g", "http://a/b/c/..g"}};
    for (size_t i = 0; i < DX_COUNT_OF(cases); i++) {
        dx_slice fragment, got = dx_uri_resolve(arena, DX_SLICE("http://a/b/c/d;p?q"), dx_slice_str(cases[i][0]), &fragment);
        if (!dx_slice_equal(got, dx_slice_str(cases[i][1]))) fail_msg("%s: %.*s", cases[i][0], DX_SLICE_ARG(got));
    }
}

static bool matches(const char *pattern, const char *text) {
    char schema[256];
    snprintf(schema, sizeof schema, "{'pattern':'%s'}", pattern);
    return valid(schema, text);
}

static void test_patterns_mean_what_ecma_262_says(void **state) {
    (void)state;
    assert_true(matches("^[]?a$", "'a'"));
    assert_true(matches("^[^]$", "'\\n'"));
    assert_false(matches("^.$", "'\\u2028'"));
    assert_true(matches("^[\\\\w-]+$", "'a-b'"));
    assert_true(matches("^[[:a]+$", "'[:a'"));
    assert_true(matches("^a{,2}$", "'a{,2}'"));
    assert_true(matches("^(?:(a)|b)\\\\1$", "'b'"));
    assert_true(matches("^\\\\uD83D\\\\uDE00+$", "'\xf0\x9f\x98\x80\xf0\x9f\x98\x80'"));
    assert_true(matches("^\\\\u{1F600}$", "'\xf0\x9f\x98\x80'"));
    assert_true(matches("^\\\\p{Script=Greek}+$", "'\xce\xb1'"));
    assert_true(matches("^\xc3\xa9+$", "'\xc3\xa9\xc3\xa9'"));
    assert_true(matches("^a#b$", "'a#b'"));
    static const char *const refused[] = {"a++", "(?i)a", "\\\\Qa\\\\E",   "\\\\Z",       "(?>a)",   "[b-a]",
                                          "a)",  "*",     "\\\\u{110000}", "\\\\p{Nope}", "(?<1a>x)"};
    for (size_t i = 0; i < DX_COUNT_OF(refused); i++) {
        char schema[256];
        const dx_schema *out;
        snprintf(schema, sizeof schema, "{'pattern':'%s'}", refused[i]);
        if (compile(&out, q(schema), NULL) != DX_INVALID) fail_msg("%s is taken", refused[i]);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_every_wrong_field_is_named_with_what_was_expected, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_missing_field_points_to_itself, setup, teardown),
        cmocka_unit_test_setup_teardown(test_an_unknown_field_names_the_nearest_known_one, setup, teardown),
        cmocka_unit_test_setup_teardown(test_scalars_are_explained_in_plain_words, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_union_reports_the_branch_that_was_meant, setup, teardown),
        cmocka_unit_test_setup_teardown(test_one_finding_a_field_however_many_schemas_refuse_it, setup, teardown),
        cmocka_unit_test_setup_teardown(test_first_only_stops_at_the_first, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_is_wrong_in_a_schema_is_found_where_it_stands, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_failed_compile_leaves_nothing_behind, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_schema_below_a_name_that_is_no_keyword_compiles_whole, setup, teardown),
        cmocka_unit_test_setup_teardown(test_integers_are_exact_to_64_bits, setup, teardown),
        cmocka_unit_test_setup_teardown(test_multiples_are_decimal, setup, teardown),
        cmocka_unit_test_setup_teardown(test_lengths_count_code_points, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_catastrophic_pattern_ends_soon_and_says_so, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_limit_that_is_reached_under_a_not_does_not_make_the_instance_valid, setup, teardown),
        cmocka_unit_test_setup_teardown(test_many_costly_matches_end_soon_together, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_long_text_matches_beyond_the_stack_of_the_jit, setup, teardown),
        cmocka_unit_test_setup_teardown(test_endless_references_end_at_the_depth_cap, setup, teardown),
        cmocka_unit_test_setup_teardown(test_branches_that_multiply_run_into_the_step_cap, setup, teardown),
        cmocka_unit_test_setup_teardown(test_large_objects_and_enums_are_looked_up_whole, setup, teardown),
        cmocka_unit_test_setup_teardown(test_every_failing_allocation_is_reported, setup, teardown),
        cmocka_unit_test_setup_teardown(test_references_resolve_as_rfc_3986_says, setup, teardown),
        cmocka_unit_test_setup_teardown(test_patterns_mean_what_ecma_262_says, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
