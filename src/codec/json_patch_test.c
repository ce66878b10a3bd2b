// JSON Patch by its public vectors, Merge Patch by RFC 7396's table, the caps, and memory running out.
#include "codec/json_patch.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/memory.h"
#include "codec/test_vectors.h"

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

static yyjson_val *read_slice(dx_slice text) {
    yyjson_doc *doc;
    const dx_json_options options = {.allow_duplicates = true};
    assert_int_equal(dx_json_read(&doc, arena, text, &options, NULL), DX_OK);
    return yyjson_doc_get_root(doc);
}

static yyjson_val *read_text(const char *text) {
    return read_slice(dx_slice_str(text));
}

static yyjson_val *frozen(const yyjson_mut_val *value) {
    dx_buffer text;
    dx_buffer_init(&text, arena, 1 << 20);
    dx_json_write_mut(&text, value, false);
    return read_slice(dx_buffer_slice(&text));
}

static dx_status apply(yyjson_mut_val **out, yyjson_val *target, yyjson_val *patch, dx_diag **diag) {
    dx_diags diags;
    dx_diags_init(&diags, arena);
    dx_status status = dx_json_patch_apply(out, dx_json_mut_doc(arena), target, patch, &diags);
    *diag = diags.first;
    assert_int_equal(status != DX_OK, diags.first != NULL);
    return status;
}

// Runs one vector; false when it is disabled.
static bool run_vector(yyjson_val *vector) {
    if (yyjson_is_true(yyjson_obj_get(vector, "disabled"))) return false;
    yyjson_val *patch = yyjson_obj_get(vector, "patch"), *expected = yyjson_obj_get(vector, "expected");
    if (patch == NULL) return false;
    yyjson_mut_val *result;
    dx_diag *diag;
    dx_status status = apply(&result, yyjson_obj_get(vector, "doc"), patch, &diag);
    dx_slice comment = dx_json_member_slice(vector, "comment");
    if (yyjson_obj_get(vector, "error")) {
        if (status == DX_OK) fail_msg("should fail: %.*s", DX_SLICE_ARG(comment));
    } else if (status != DX_OK) {
        fail_msg("%.*s: %.*s", DX_SLICE_ARG(comment), DX_SLICE_ARG(diag->message));
    } else if (expected && !dx_json_equal(frozen(result), expected)) {
        fail_msg("another result: %.*s", DX_SLICE_ARG(comment));
    }
    return true;
}

static void every_public_vector_holds(void **state) {
    (void)state;
    char path[1024];
    DIR *dir = test_vectors_open("json-patch", path, sizeof path);
    if (dir == NULL) skip();
    closedir(dir);
    const char *files[] = {"tests.json", "spec_tests.json"};
    int run = 0;
    for (size_t i = 0; i < DX_COUNT_OF(files); i++) {
        yyjson_val *vectors = read_slice(test_vectors_read(arena, path, files[i]));
        size_t at, count;
        yyjson_val *vector;
        yyjson_arr_foreach(vectors, at, count, vector) run += run_vector(vector);
    }
    print_message("%d vectors\n", run);
    assert_int_equal(run, 108);
}

static void the_target_is_untouched_and_failure_names_the_operation(void **state) {
    (void)state;
    const struct {
        const char *patch;
        dx_status status;
        const char *pointer;
    } cases[] = {
        {"{}", DX_MALFORMED, ""},
        {"[1]", DX_MALFORMED, "/0"},
        {"[{\"op\":\"spin\",\"path\":\"/a\"}]", DX_MALFORMED, "/0/op"},
        {"[{\"op\":\"remove\",\"path\":\"/a\"},{\"op\":\"remove\"}]", DX_MALFORMED, "/1/path"},
        {"[{\"op\":\"add\",\"path\":\"a\",\"value\":1}]", DX_MALFORMED, "/0/path"},
        {"[{\"op\":\"add\",\"path\":\"/a~2\",\"value\":1}]", DX_MALFORMED, "/0/path"},
        {"[{\"op\":\"add\",\"path\":\"/b\"}]", DX_MALFORMED, "/0/value"},
        {"[{\"op\":\"copy\",\"path\":\"/b\"}]", DX_MALFORMED, "/0/from"},
        {"[{\"op\":\"add\",\"path\":\"/a\",\"value\":[1]},{\"op\":\"test\",\"path\":\"/a\",\"value\":[2]}]", DX_CONFLICT, "/1/value"},
        {"[{\"op\":\"remove\",\"path\":\"/x/y\"}]", DX_INVALID, "/0/path"},
        {"[{\"op\":\"remove\",\"path\":\"\"}]", DX_INVALID, "/0/path"},
        {"[{\"op\":\"move\",\"from\":\"/o\",\"path\":\"/o/p\"}]", DX_INVALID, "/0/path"},
        {"[{\"op\":\"move\",\"from\":\"/q/0\",\"path\":\"/q/0/x\"}]", DX_INVALID, "/0/path"},
        {"[{\"op\":\"copy\",\"from\":\"/l/2\",\"path\":\"/x\"}]", DX_INVALID, "/0/from"},
    };
    yyjson_val *target = read_text("{\"a\":1,\"o\":{},\"l\":[1,2],\"q\":[{},{}]}");
    for (size_t i = 0; i < DX_COUNT_OF(cases); i++) {
        yyjson_mut_val *result = NULL;
        dx_diag *diag;
        assert_int_equal(apply(&result, target, read_text(cases[i].patch), &diag), cases[i].status);
        assert_null(result);
        assert_string_equal(diag->pointer.data, cases[i].pointer);
        assert_true(dx_json_equal(target, read_text("{\"a\":1,\"o\":{},\"l\":[1,2],\"q\":[{},{}]}")));
    }
}

static void a_test_compares_numbers_by_value_and_objects_in_any_order(void **state) {
    (void)state;
    yyjson_mut_val *result;
    dx_diag *diag;
    yyjson_val *target = read_text("{\"n\":1,\"o\":{\"a\":[1,{\"x\":null}],\"b\":true}}");
    yyjson_val *patch = read_text("[{\"op\":\"test\",\"path\":\"/n\",\"value\":1.0},"
                                  "{\"op\":\"test\",\"path\":\"/o\",\"value\":{\"b\":true,\"a\":[1.0,{\"x\":null}]}}]");
    assert_int_equal(apply(&result, target, patch, &diag), DX_OK);
    patch = read_text("[{\"op\":\"test\",\"path\":\"/o\",\"value\":{\"b\":true,\"a\":[1,{\"y\":null}]}}]");
    assert_int_equal(apply(&result, target, patch, &diag), DX_CONFLICT);
}

static dx_slice operations(int count, const char *operation) {
    dx_buffer text;
    dx_buffer_init(&text, arena, 1 << 20);
    for (int i = 0; i < count; i++) dx_buffer_printf(&text, "%c%s", i ? ',' : '[', operation);
    dx_buffer_byte(&text, ']');
    return dx_buffer_slice(&text);
}

static void one_operation_over_the_cap_is_refused(void **state) {
    (void)state;
    yyjson_mut_val *result;
    dx_diag *diag;
    const char *operation = "{\"op\":\"add\",\"path\":\"/a\",\"value\":1}";
    yyjson_val *target = read_text("{}");
    assert_int_equal(apply(&result, target, read_slice(operations(DX_JSON_PATCH_OPERATIONS_CAP, operation)), &diag), DX_OK);
    assert_int_equal(apply(&result, target, read_slice(operations(DX_JSON_PATCH_OPERATIONS_CAP + 1, operation)), &diag), DX_INVALID);
}

static void copies_that_double_the_tree_are_stopped(void **state) {
    (void)state;
    yyjson_val *target = read_text("{\"a\":[\"some text that takes room\"]}");
    yyjson_val *patch = read_slice(operations(60, "{\"op\":\"copy\",\"from\":\"/a\",\"path\":\"/a/-\"}"));
    dx_arena *small = dx_arena_create(1 << 20);
    yyjson_mut_val *result;
    dx_status status = dx_json_patch_apply(&result, dx_json_mut_doc(small), target, patch, NULL);
    assert_true(status == DX_NO_MEMORY || status == DX_INVALID);
    assert_true(dx_arena_footprint(small) <= 1 << 20);
    dx_arena_destroy(small);
}

static void the_result_is_not_nested_deeper_than_what_may_be_read(void **state) {
    (void)state;
    yyjson_mut_val *result;
    dx_diag *diag;
    // Each copy of the whole into its own depths adds its own depth again.
    yyjson_val *patch = read_slice(operations(70, "{\"op\":\"move\",\"from\":\"\",\"path\":\"/a\"}"));
    assert_int_equal(apply(&result, read_text("{}"), patch, &diag), DX_INVALID);
    patch = read_slice(operations(70, "{\"op\":\"copy\",\"from\":\"\",\"path\":\"/a\"}"));
    assert_int_equal(apply(&result, read_text("{}"), patch, &diag), DX_INVALID);
    patch = read_slice(operations(63, "{\"op\":\"copy\",\"from\":\"\",\"path\":\"/a\"}"));
    assert_int_equal(apply(&result, read_text("{}"), patch, &diag), DX_OK);
}

static void walking_over_and_over_is_too_much_work(void **state) {
    (void)state;
    dx_buffer target;
    dx_buffer_init(&target, arena, 1 << 20);
    for (int i = 0; i < 100000; i++) dx_buffer_add(&target, i ? DX_SLICE(",1") : DX_SLICE("[1"));
    dx_buffer_byte(&target, ']');
    yyjson_mut_val *result;
    dx_diag *diag;
    yyjson_val *patch = read_slice(operations(1000, "{\"op\":\"replace\",\"path\":\"/90000\",\"value\":2}"));
    assert_int_equal(apply(&result, read_slice(dx_buffer_slice(&target)), patch, &diag), DX_INVALID);
    patch = read_slice(operations(50, "{\"op\":\"replace\",\"path\":\"/90000\",\"value\":2}"));
    assert_int_equal(apply(&result, read_slice(dx_buffer_slice(&target)), patch, &diag), DX_OK);
}

static void merging_follows_the_table_of_rfc_7396(void **state) {
    (void)state;
    const char *cases[][3] = {
        {"{\"a\":\"b\"}", "{\"a\":\"c\"}", "{\"a\":\"c\"}"},
        {"{\"a\":\"b\"}", "{\"b\":\"c\"}", "{\"a\":\"b\",\"b\":\"c\"}"},
        {"{\"a\":\"b\"}", "{\"a\":null}", "{}"},
        {"{\"a\":\"b\",\"b\":\"c\"}", "{\"a\":null}", "{\"b\":\"c\"}"},
        {"{\"a\":[\"b\"]}", "{\"a\":\"c\"}", "{\"a\":\"c\"}"},
        {"{\"a\":\"c\"}", "{\"a\":[\"b\"]}", "{\"a\":[\"b\"]}"},
        {"{\"a\":{\"b\":\"c\"}}", "{\"a\":{\"b\":\"d\",\"c\":null}}", "{\"a\":{\"b\":\"d\"}}"},
        {"{\"a\":[{\"b\":\"c\"}]}", "{\"a\":[1]}", "{\"a\":[1]}"},
        {"[\"a\",\"b\"]", "[\"c\",\"d\"]", "[\"c\",\"d\"]"},
        {"{\"a\":\"b\"}", "[\"c\"]", "[\"c\"]"},
        {"{\"a\":\"foo\"}", "null", "null"},
        {"{\"a\":\"foo\"}", "\"bar\"", "\"bar\""},
        {"{\"e\":null}", "{\"a\":1}", "{\"e\":null,\"a\":1}"},
        {"[1,2]", "{\"a\":\"b\",\"c\":null}", "{\"a\":\"b\"}"},
        {"{}", "{\"a\":{\"bb\":{\"ccc\":null}}}", "{\"a\":{\"bb\":{}}}"},
    };
    for (size_t i = 0; i < DX_COUNT_OF(cases); i++) {
        yyjson_mut_val *result;
        dx_status status = dx_json_merge_apply(&result, dx_json_mut_doc(arena), read_text(cases[i][0]), read_text(cases[i][1]));
        assert_int_equal(status, DX_OK);
        if (!dx_json_equal(frozen(result), read_text(cases[i][2]))) fail_msg("%s merged with %s", cases[i][0], cases[i][1]);
    }
}

static void large_objects_merge_by_table(void **state) {
    (void)state;
    dx_buffer target, patch;
    dx_buffer_init(&target, arena, 8 << 20);
    dx_buffer_init(&patch, arena, 8 << 20);
    for (int i = 0; i < 50000; i++) {
        dx_buffer_printf(&target, "%c\"n%d\":1", i ? ',' : '{', i);
        dx_buffer_printf(&patch, "%c\"n%d\":%s", i ? ',' : '{', 50000 - i, i % 2 ? "null" : "2");
    }
    dx_buffer_byte(&target, '}');
    dx_buffer_byte(&patch, '}');
    yyjson_mut_val *result;
    dx_status status =
        dx_json_merge_apply(&result, dx_json_mut_doc(arena), read_slice(dx_buffer_slice(&target)), read_slice(dx_buffer_slice(&patch)));
    assert_int_equal(status, DX_OK);
    assert_int_equal(yyjson_mut_obj_size(result), 25001); // n0 stays, the even ones become 2 or are new, the odd ones go
    assert_int_equal(yyjson_mut_get_int(yyjson_mut_obj_get(result, "n50000")), 2);
    assert_null(yyjson_mut_obj_get(result, "n1"));
}

static void every_failing_allocation_is_out_of_memory(void **state) {
    (void)state;
    yyjson_val *target = read_text("{\"a\":[1,2,3],\"b\":{\"c\":\"text\"}}");
    yyjson_val *patch = read_slice(operations(300, "{\"op\":\"copy\",\"from\":\"/b\",\"path\":\"/a/-\"}"));
    yyjson_val *merge = read_text("{\"b\":{\"d\":[1,2,3]},\"e\":{}}");
    for (uint64_t n = 1;; n++) {
        dx_memory_fail_at(n, true);
        dx_status patched = DX_NO_MEMORY, merged = DX_NO_MEMORY;
        dx_arena *own = dx_arena_create(4 << 20);
        yyjson_mut_doc *doc = own ? dx_json_mut_doc(own) : NULL;
        yyjson_mut_val *result;
        if (doc) patched = dx_json_patch_apply(&result, doc, target, patch, NULL);
        if (doc) merged = dx_json_merge_apply(&result, doc, target, merge);
        bool failed = dx_memory_fail_stop();
        dx_arena_destroy(own);
        assert_true(patched == DX_OK || (failed && patched == DX_NO_MEMORY));
        assert_true(merged == DX_OK || (failed && merged == DX_NO_MEMORY));
        if (!failed) break;
        assert_true(n < 200);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_public_vector_holds),
        cmocka_unit_test(the_target_is_untouched_and_failure_names_the_operation),
        cmocka_unit_test(a_test_compares_numbers_by_value_and_objects_in_any_order),
        cmocka_unit_test(one_operation_over_the_cap_is_refused),
        cmocka_unit_test(copies_that_double_the_tree_are_stopped),
        cmocka_unit_test(the_result_is_not_nested_deeper_than_what_may_be_read),
        cmocka_unit_test(walking_over_and_over_is_too_much_work),
        cmocka_unit_test(merging_follows_the_table_of_rfc_7396),
        cmocka_unit_test(large_objects_merge_by_table),
        cmocka_unit_test(every_failing_allocation_is_out_of_memory),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
