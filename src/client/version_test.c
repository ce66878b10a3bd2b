// The version and what the library says it is made of.
#include "duplex/version.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#if !DX_VERSION_AT_LEAST(0, 1, 0) || DX_VERSION_AT_LEAST(255, 0, 0)
#error "the preprocessor cannot compare versions"
#endif

static void text_number_and_macros_name_one_version(void **state) {
    (void)state;
    char text[32];
    unsigned number = dx_version_number();
    (void)snprintf(text, sizeof text, "%u.%u.%u", number >> 16, number >> 8 & 0xff, number & 0xff);
    assert_string_equal(dx_version(), text);
    assert_string_equal(dx_version(), DX_VERSION_STRING);
    assert_int_equal(number, DX_VERSION_NUMBER);
}

static void the_build_names_the_libraries_that_run(void **state) {
    (void)state;
    dx_build build = DX_BUILD_INIT;
    dx_build_info(&build);
    assert_string_equal(build.version, dx_version());
    assert_true(build.size == sizeof build);
    const char *words[] = {build.libcurl, build.openssl, build.libuv, build.yyjson};
    for (size_t i = 0; i < 4; i++) assert_true(words[i][0] >= '0' && words[i][0] <= '9' && strchr(words[i], '.'));
    assert_non_null(strstr(build.features, "tls"));
}

static void a_smaller_struct_of_an_older_program_is_not_written_past(void **state) {
    (void)state;
    dx_build build = DX_BUILD_INIT;
    build.size = offsetof(dx_build, tls);
    memset(build.tls, 'x', sizeof build.tls);
    dx_build_info(&build);
    assert_string_equal(build.version, dx_version());
    assert_int_equal(build.tls[0], 'x');
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_number_and_macros_name_one_version),
        cmocka_unit_test(the_build_names_the_libraries_that_run),
        cmocka_unit_test(a_smaller_struct_of_an_older_program_is_not_written_past),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
