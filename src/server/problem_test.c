// Problem documents: what is in them, in development and in production, and that they are JSON whatever the request was.
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "codec/json.h"
#include "server/parts.h"

const dx_feature *const dx_features[] = {NULL};

static int set_up(void **state) {
    dx_exchange *x = calloc(1, sizeof *x);
    dx_exchange_init(x, dx_arena_create(4u << 20), NULL, 0);
    x->request.path = DX_SLICE("/api/v1/items/9");
    memcpy(x->trace_id, "4bf92f3577b34da6a3ce929d0e0e4736", DX_TRACE_ID_SIZE);
    assert_int_equal(dx_problem_setup(), DX_OK);
    *state = x;
    return 0;
}

static int tear_down(void **state) {
    dx_exchange *x = *state;
    dx_arena_destroy(x->arena);
    free(x);
    return 0;
}

static yyjson_val *body_of(dx_exchange *x) {
    yyjson_doc *doc = NULL;
    assert_int_equal(dx_json_read(&doc, x->arena, x->response.body, NULL, NULL), DX_OK);
    return yyjson_doc_get_root(doc);
}

static void assert_member(yyjson_val *object, const char *name, const char *value) {
    yyjson_val *member = yyjson_obj_get(object, name);
    if (value)
        assert_string_equal(yyjson_get_str(member), value);
    else
        assert_null(member);
}

static void a_problem_has_every_member_of_the_design(void **state) {
    dx_exchange *x = *state;
    (void)dx_exchange_fail(x, DX_NOT_FOUND, "no item %d", 9);
    yyjson_val *body = body_of(x);
    assert_member(body, "type", "/problems/not_found");
    assert_member(body, "title", dx_status_title(DX_NOT_FOUND));
    assert_int_equal(yyjson_get_int(yyjson_obj_get(body, "status")), 404);
    assert_member(body, "detail", "no item 9");
    assert_member(body, "instance", "/api/v1/items/9");
    assert_member(body, "path", "/api/v1/items/9");
    assert_member(body, "error_code", "not_found");
    assert_member(body, "trace_id", "4bf92f3577b34da6a3ce929d0e0e4736");
    assert_non_null(yyjson_obj_get(body, "timestamp"));
    assert_true(dx_slice_equal(dx_fields_get(&x->response.fields, DX_FIELD_CONTENT_TYPE), DX_SLICE("application/problem+json")));
    assert_true(dx_slice_equal(dx_fields_find(&x->response.fields, DX_SLICE("cache-control")), DX_SLICE("no-store")));
}

static void findings_name_their_place(void **state) {
    dx_exchange *x = *state;
    dx_diags diags;
    dx_diags_init(&diags, x->arena);
    dx_diags_add(&diags, DX_INVALID, DX_SLICE("/price"), "expected a number");
    dx_diag *second = dx_diags_add(&diags, DX_INVALID, DX_SLICE("?min_pric"), "there is no such filter");
    second->suggestion = DX_SLICE("min_price");
    (void)dx_exchange_fail_with(x, DX_INVALID, &diags, NULL);
    yyjson_val *errors = yyjson_obj_get(body_of(x), "errors");
    assert_int_equal(yyjson_arr_size(errors), 2);
    assert_member(yyjson_arr_get(errors, 0), "pointer", "/price");
    assert_member(yyjson_arr_get(errors, 0), "detail", "expected a number");
    assert_member(yyjson_arr_get(errors, 1), "parameter", "min_pric");
    assert_member(yyjson_arr_get(errors, 1), "pointer", NULL);
    assert_member(yyjson_arr_get(errors, 1), "suggestion", "min_price");
}

static void in_production_a_5xx_says_nothing_of_the_inside(void **state) {
    dx_exchange *x = *state;
    (void)dx_exchange_fail(x, DX_INTERNAL, "table items is on fire");
    assert_member(body_of(x), "detail", NULL);
    assert_true(dx_slice_equal(x->error_detail, DX_SLICE("table items is on fire"))); // for the log
}

static void in_development_it_says_what_happened(void **state) {
    dx_exchange *x = *state;
    dx_problem_show_inside(true);
    (void)dx_exchange_fail(x, DX_INTERNAL, "table items is on fire");
    assert_member(body_of(x), "detail", "table items is on fire");
}

static void a_503_says_when_to_ask_again(void **state) {
    dx_exchange *x = *state;
    (void)dx_exchange_fail(x, DX_STORE_UNAVAILABLE, NULL);
    assert_true(dx_slice_equal(dx_fields_find(&x->response.fields, DX_SLICE("retry-after")), DX_SLICE("1")));
}

static void a_retry_after_of_the_answerer_stays(void **state) {
    dx_exchange *x = *state;
    dx_exchange_field(x, DX_SLICE("retry-after"), DX_SLICE("30"));
    (void)dx_exchange_fail(x, DX_OVERLOADED, NULL);
    assert_int_equal(x->response.fields.count, 3);
    assert_true(dx_slice_equal(dx_fields_find(&x->response.fields, DX_SLICE("retry-after")), DX_SLICE("30")));
}

static void a_405_carries_allow(void **state) {
    dx_exchange *x = *state;
    x->allow = DX_SLICE("GET, HEAD, OPTIONS");
    (void)dx_exchange_fail(x, DX_METHOD_NOT_ALLOWED, NULL);
    assert_true(dx_slice_equal(dx_fields_find(&x->response.fields, DX_SLICE("allow")), x->allow));
}

static void whatever_the_path_is_the_problem_is_json(void **state) {
    dx_exchange *x = *state;
    x->request.path = DX_SLICE("/a\"b\\c\xff\x01</script>");
    (void)dx_exchange_fail(x, DX_NOT_FOUND, "%s", "line\nbreak \"quoted\" \xfe");
    (void)body_of(x);
}

static void more_findings_than_fit_are_left_out_whole(void **state) {
    dx_exchange *x = *state;
    dx_diags diags;
    char long_text[8000];
    memset(long_text, 'x', sizeof long_text);
    dx_diags_init(&diags, x->arena);
    for (int i = 0; i < 60; i++) dx_diags_add(&diags, DX_INVALID, DX_SLICE("/a"), "%.*s", (int)sizeof long_text, long_text);
    (void)dx_exchange_fail_with(x, DX_INVALID, &diags, "too much");
    assert_int_equal(x->response.status, 422);
    assert_member(body_of(x), "errors", NULL);
}

static void without_memory_the_problem_is_a_plain_503(void **state) {
    dx_exchange *x = *state;
    while (dx_arena_alloc(x->arena, 1024)) {
    }
    while (dx_arena_alloc(x->arena, 1)) {
    }
    (void)dx_exchange_fail(x, DX_NOT_FOUND, "no item");
    assert_int_equal(x->response.status, 503);
    assert_true(x->response.body.size > 0);
}

static void a_body_that_takes_all_memory_is_a_413_that_names_the_setting(void **state) {
    static char body[1u << 20];
    dx_exchange *x = *state;
    x->request.body = dx_slice_of(body, sizeof body);
    (void)dx_exchange_fail(x, DX_NO_MEMORY, NULL); // the system's lack of it
    assert_int_equal(x->response.status, 503);
    assert_null(dx_arena_alloc(x->arena, x->arena->cap));
    (void)dx_exchange_fail(x, DX_NO_MEMORY, NULL);
    assert_int_equal(x->response.status, 413);
    assert_int_equal(x->error, DX_TOO_LARGE);
    assert_member(body_of(x), "error_code", "body_too_large");
    assert_non_null(memmem(x->response.body.data, x->response.body.size, "server.limits.memory", 20));
    x->request.body.size = 100; // another's doing
    (void)dx_exchange_fail(x, DX_NO_MEMORY, NULL);
    assert_int_equal(x->response.status, 503);
}

static void so_it_is_when_nothing_is_left_to_say_it_with(void **state) {
    static char body[1u << 20];
    dx_exchange *x = *state;
    dx_field fields[4]; // as a call has them
    x->response.fields = (dx_fields){fields, 0, 4};
    x->request.body = dx_slice_of(body, sizeof body);
    while (dx_arena_alloc(x->arena, 1024)) {
    }
    while (dx_arena_alloc(x->arena, 1)) {
    }
    (void)dx_exchange_fail(x, DX_NO_MEMORY, NULL);
    assert_int_equal(x->response.status, 413);
    assert_int_equal(x->error, DX_TOO_LARGE);
    assert_non_null(memmem(x->response.body.data, x->response.body.size, "server.limits.memory", 20));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_problem_has_every_member_of_the_design),
        TEST(findings_name_their_place),
        TEST(in_production_a_5xx_says_nothing_of_the_inside),
        TEST(in_development_it_says_what_happened),
        TEST(a_503_says_when_to_ask_again),
        TEST(a_retry_after_of_the_answerer_stays),
        TEST(a_405_carries_allow),
        TEST(whatever_the_path_is_the_problem_is_json),
        TEST(more_findings_than_fit_are_left_out_whole),
        TEST(without_memory_the_problem_is_a_plain_503),
        TEST(a_body_that_takes_all_memory_is_a_413_that_names_the_setting),
        TEST(so_it_is_when_nothing_is_left_to_say_it_with),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
