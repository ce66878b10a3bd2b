// The public measure: the JSON-Schema-Test-Suite for draft 2020-12, all of the required cases, and the optional ones of what we claim.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "model/schema.h"
#include "model/vectors_test.h"

static const char *draft(const char *below) {
    static char path[4200];
    const char *folder = vectors_folder();
    if (!folder) skip();
    snprintf(path, sizeof path, "%s/draft2020-12%s", folder, below);
    return path;
}

static void expect(const vector_count *count, size_t cases, const char *what) {
    print_message("%s: %zu of %zu passed\n", what, count->passed, count->passed + count->failed);
    assert_int_equal(count->failed, 0);
    assert_true(count->passed >= cases);
}

static void test_every_required_case_passes(void **state) {
    (void)state;
    vector_count count = {0};
    vectors_run_all(draft(""), false, &count);
    expect(&count, 1299, "JSON Schema 2020-12, required");
}

static void test_every_case_of_the_known_formats_passes(void **state) {
    (void)state;
    static const char *const files[] = {"date-time", "date", "time",     "duration",      "email", "uuid",         "uri",
                                        "ipv4",      "ipv6", "hostname", "uri-reference", "regex", "json-pointer", "ecmascript-regex",
                                        "unknown"};
    vector_count count = {0};
    const char *folder = draft("/optional/format");
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char file[64];
        snprintf(file, sizeof file, "%s.json", files[i]);
        vectors_run(folder, file, true, &count);
    }
    expect(&count, 556, "JSON Schema 2020-12, formats");
}

static void test_optional_cases_of_patterns_numbers_and_references_pass(void **state) {
    (void)state;
    static const char *const files[] = {
        "ecmascript-regex", "non-bmp-regex",       "bignum", "float-overflow", "format-assertion", "unknownKeyword",
        "anchor",           "refOfUnknownKeyword", "id",     "dynamicRef",     "no-schema"};
    vector_count count = {0};
    const char *folder = draft("/optional");
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char file[64];
        snprintf(file, sizeof file, "%s.json", files[i]);
        vectors_run(folder, file, false, &count);
    }
    expect(&count, 125, "JSON Schema 2020-12, optional");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_required_case_passes),
        cmocka_unit_test(test_every_case_of_the_known_formats_passes),
        cmocka_unit_test(test_optional_cases_of_patterns_numbers_and_references_pass),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
