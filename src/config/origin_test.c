// Where the values of a definition came from, files that are one section alone, and variables that may be missing.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "config/definition.h"

static char folder[64];
static dx_arena *arena;
static dx_diags diags;
static dx_definition *definition;
static const char *const files[] = {"api.json", "part.json", ".env"};

static const dx_section models = {"models", "{\"type\":\"object\"}", false, NULL};
static const dx_section server = {
    "server",
    "{\"type\":\"object\",\"default\":{},\"additionalProperties\":false,\"properties\":{\"listen\":{\"type\":\"string\"},"
    "\"workers\":{\"type\":\"integer\"},\"mode\":{\"enum\":[\"development\",\"production\"]},\"secret\":{\"type\":\"string\"},"
    "\"idle\":{\"type\":\"string\",\"default\":\"75s\"}}}",
    false, NULL};
static const dx_section resources = {"resources", "{\"type\":\"object\"}", false, NULL};
static const dx_section *const sections[] = {&models, &server, &resources};

static const char *path_of(const char *name) {
    return dx_arena_printf(arena, "%s/%s", folder, name).data;
}

static int setup(void **state) {
    (void)state;
    (void)snprintf(folder, sizeof folder, "/tmp/duplex-origin-XXXXXX");
    arena = dx_arena_create((size_t)64 << 20);
    definition = NULL;
    return arena && mkdtemp(folder) ? 0 : -1;
}

static int teardown(void **state) {
    (void)state;
    dx_definition_destroy(definition);
    for (size_t i = 0; i < DX_COUNT_OF(files); i++) (void)unlink(path_of(files[i]));
    dx_arena_destroy(arena);
    return rmdir(folder);
}

// Writes a file; single quotes become double ones.
static void file(const char *name, const char *text) {
    FILE *out = fopen(path_of(name), "wb");
    assert_non_null(out);
    for (; *text; text++) (void)fputc(*text == '\'' ? '"' : *text, out);
    assert_int_equal(fclose(out), 0);
}

static const char *variable(void *ctx, const char *name) {
    (void)ctx;
    (void)name;
    return NULL;
}

// The findings, a line each, without the folder's name.
static void expect_findings(const char *wanted) {
    dx_buffer text;
    dx_buffer_init(&text, arena, 65536);
    for (const dx_diag *diag = diags.first; diag; diag = diag->next) {
        dx_slice line = dx_diag_text(diag, arena);
        if (text.size) dx_buffer_byte(&text, '\n');
        dx_buffer_add(&text, dx_slice_starts(line, dx_slice_str(folder)) ? dx_slice_from(line, strlen(folder) + 1) : line);
    }
    dx_buffer_byte(&text, 0);
    assert_string_equal(text.data, wanted);
}

static void assert_ok(dx_status status) {
    if (status != DX_OK) expect_findings("");
    assert_int_equal(status, DX_OK);
}

static const char *origin_of(const char *pointer) {
    static const char *const sources[] = {"written", "environment", "dotenv", "fallback", "sealed"};
    dx_value_origin origin;
    if (!dx_definition_origin(&origin, definition, dx_slice_str(pointer), arena)) return "nowhere";
    dx_slice name = dx_slice_from(origin.file, strlen(folder) + 1);
    if (!dx_slice_starts(origin.file, dx_slice_str(folder))) name = origin.file;
    return dx_arena_printf(arena, "%.*s:%u:%u %s %.*s%s", DX_SLICE_ARG(name), (unsigned)origin.line, (unsigned)origin.column,
                           sources[origin.source], DX_SLICE_ARG(origin.variable), origin.whole ? "" : " in part")
        .data;
}

static void test_where_a_value_came_from_is_known(void **state) {
    (void)state;
    file(".env", "FROM_FILE=production\n");
    file("part.json", "{'a':\n{'model':'M'}}");
    file("api.json",
         "{'server':{'listen':'$${LITERAL}',\n'workers':'${DX_TEST_WORKERS}','mode':'${FROM_FILE}',\n'secret':'x ${DX_TEST_NONE:long} y'},"
         "'resources':{'b':{'$ref':'part.json#/a'}}}");
    assert_int_equal(setenv("DX_TEST_WORKERS", "3", 1), 0);
    dx_definition_destroy(definition);
    definition = NULL;
    dx_diags_init(&diags, arena);
    assert_ok(dx_definition_load(&definition, path_of("api.json"), sections, DX_COUNT_OF(sections), NULL, &diags));
    assert_string_equal(origin_of("/server/listen"), "api.json:1:21 written  in part");
    assert_string_equal(origin_of("/server/workers"), "api.json:2:11 environment DX_TEST_WORKERS");
    assert_string_equal(origin_of("/server/mode"), "api.json:2:39 dotenv FROM_FILE");
    assert_string_equal(origin_of("/server/secret"), "api.json:3:10 fallback DX_TEST_NONE in part");
    assert_string_equal(origin_of("/resources/b/model"), "part.json:2:10 written  in part");
    assert_string_equal(origin_of("/server/idle"), "nowhere");
    assert_string_equal(origin_of("/not/there"), "nowhere");
    assert_int_equal(unsetenv("DX_TEST_WORKERS"), 0);
}

static void test_a_file_may_be_one_section_alone(void **state) {
    (void)state;
    static const dx_section rooms = {"rooms", "{\"type\":\"object\",\"additionalProperties\":{\"required\":[\"door\"]}}", false, "door"};
    static const dx_section *const both[] = {&server, &rooms};
    const char *const texts[] = {"{'hall':{'door':1},'attic':{'door':2}}", "{'rooms':{'hall':{'door':1}}}"};
    for (size_t i = 0; i < DX_COUNT_OF(texts); i++) {
        file("api.json", texts[i]);
        dx_definition_destroy(definition);
        dx_diags_init(&diags, arena);
        assert_ok(dx_definition_load(&definition, path_of("api.json"), both, 2, NULL, &diags));
        assert_int_equal(yyjson_obj_size(dx_definition_section(definition, "rooms")), i ? 1 : 2);
    }
    file("api.json", "{'romms':{'hall':{}}}"); // a section that is misspelt is no room
    dx_definition_destroy(definition);
    definition = NULL;
    dx_diags_init(&diags, arena);
    assert_int_equal(dx_definition_load(&definition, path_of("api.json"), both, 2, NULL, &diags), DX_INVALID);
    expect_findings("api.json:1:2: /romms: is not a known field; did you mean \"rooms\"?");
}

static void note_missing(void *ctx, dx_slice pointer, dx_slice name) {
    (void)ctx;
    dx_diag *diag = dx_diags_add(&diags, DX_OK, pointer, "%.*s", DX_SLICE_ARG(name));
    assert_non_null(diag);
}

static void test_variables_that_are_not_set_can_be_passed_over(void **state) {
    (void)state;
    dx_definition_options options = {.variable = variable, .missing = note_missing};
    file("api.json", "{'server':{'workers':'${A}','mode':'${B}','secret':'${C:given}'}}");
    dx_definition_destroy(definition);
    dx_diags_init(&diags, arena);
    assert_ok(dx_definition_load(&definition, path_of("api.json"), sections, DX_COUNT_OF(sections), &options, &diags));
    expect_findings("/server/workers: A\n/server/mode: B");
    assert_string_equal(yyjson_get_str(yyjson_obj_get(dx_definition_section(definition, "server"), "secret")), "given");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_where_a_value_came_from_is_known, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_file_may_be_one_section_alone, setup, teardown),
        cmocka_unit_test_setup_teardown(test_variables_that_are_not_set_can_be_passed_over, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
