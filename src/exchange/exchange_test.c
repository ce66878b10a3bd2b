// Answering: what an answer consists of, and what a failure keeps of the answer it replaces.
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "exchange/exchange.h"

static dx_status written;
static size_t findings_written;

static void writer(dx_exchange *x, dx_status status, dx_slice detail, const dx_diags *findings) {
    written = status;
    findings_written = findings ? findings->count : 0;
    (void)dx_exchange_body(x, dx_status_http(status), DX_SLICE("application/problem+json"), detail);
}

static int set_up(void **state) {
    dx_exchange *x = calloc(1, sizeof *x);
    dx_exchange_init(x, dx_arena_create(1u << 20), NULL, 3);
    dx_exchange_set_problem_writer(NULL);
    *state = x;
    return 0;
}

static int tear_down(void **state) {
    dx_exchange *x = *state;
    dx_arena_destroy(x->arena);
    free(x);
    return 0;
}

static void assert_field(dx_exchange *x, const char *name, const char *value) {
    dx_slice found = dx_fields_find(&x->response.fields, dx_slice_str(name));
    if (!value) {
        assert_null(found.data);
        return;
    }
    assert_int_equal((long)found.size, (long)strlen(value));
    assert_memory_equal(found.data, value, found.size);
}

static void json_answers_carry_their_type(void **state) {
    dx_exchange *x = *state;
    assert_int_equal(dx_exchange_json(x, 200, DX_SLICE("{}")), DX_ANSWER);
    assert_int_equal(x->response.status, 200);
    assert_field(x, "content-type", "application/json");
    (void)dx_exchange_body(x, 200, DX_SLICE("text/plain"), DX_SLICE("x"));
    assert_field(x, "content-type", "text/plain");
    assert_int_equal(x->response.fields.count, 1);
}

static void a_failure_replaces_the_answer_and_keeps_filters_fields(void **state) {
    dx_exchange *x = *state;
    dx_exchange_field(x, DX_SLICE("X-Request-Id"), DX_SLICE("abc"));
    dx_exchange_field(x, DX_SLICE("ETag"), DX_SLICE("\"1\""));
    dx_exchange_field(x, DX_SLICE("Location"), DX_SLICE("/items/1"));
    (void)dx_exchange_json(x, 201, DX_SLICE("{}"));
    assert_int_equal(dx_exchange_fail(x, DX_CONFLICT, "row %d", 7), DX_ANSWER);
    assert_int_equal(x->response.status, 409);
    assert_int_equal(x->error, DX_CONFLICT);
    assert_int_equal(x->error_detail.size, 5);
    assert_field(x, "etag", NULL);
    assert_field(x, "location", NULL);
    assert_field(x, "x-request-id", "abc");
    assert_field(x, "content-type", "application/problem+json");
}

static void the_servers_writer_is_given_status_detail_and_findings(void **state) {
    dx_exchange *x = *state;
    dx_diags diags;
    dx_exchange_set_problem_writer(writer);
    dx_diags_init(&diags, x->arena);
    dx_diags_add(&diags, DX_INVALID, DX_SLICE("/price"), "expected a number");
    (void)dx_exchange_fail_with(x, DX_INVALID, &diags, "the body of %s", "Item");
    assert_int_equal(written, DX_INVALID);
    assert_int_equal(findings_written, 1);
    assert_int_equal(x->response.status, 422);
    assert_int_equal(x->response.body.size, strlen("the body of Item"));
}

static void a_body_that_could_not_be_made_is_a_503(void **state) {
    dx_exchange *x = *state;
    (void)dx_exchange_json(x, 200, (dx_slice){NULL, 0});
    assert_int_equal(x->response.status, 503);
    assert_int_equal(x->error, DX_NO_MEMORY);
}

static void a_field_that_would_break_the_head_is_an_internal_error(void **state) {
    dx_exchange *x = *state;
    dx_exchange_field(x, DX_SLICE("Location"), DX_SLICE("/a\r\nSet-Cookie: x=1"));
    assert_int_equal(x->response.status, 500);
    assert_field(x, "location", NULL);
}

static void without_memory_an_answer_is_still_made(void **state) {
    dx_exchange *x = *state;
    while (dx_arena_alloc(x->arena, 1024)) {
    }
    while (dx_arena_alloc(x->arena, 1)) {
    }
    for (int i = 0; i < 3; i++) dx_exchange_field(x, DX_SLICE("x-a"), DX_SLICE("b"));
    (void)dx_exchange_fail(x, DX_NOT_FOUND, "no %s", "row");
    assert_true(x->response.status == 503 || x->response.status == 404);
    assert_true(x->response.body.size > 0);
}

static void roles_are_looked_up_in_the_principal(void **state) {
    (void)state;
    const dx_slice roles[] = {DX_SLICE_INIT("user"), DX_SLICE_INIT("admin")};
    dx_principal p = {.roles = roles, .role_count = 2};
    assert_true(dx_principal_has_role(&p, DX_SLICE("admin")));
    assert_false(dx_principal_has_role(&p, DX_SLICE("adm")));
    assert_false(dx_principal_has_role(NULL, DX_SLICE("admin")));
}

static void slots_run_out_politely(void **state) {
    (void)state;
    int slot = 0, last = -1;
    for (int i = 0; i < 100 && (slot = dx_slot_reserve()) >= 0; i++) last = slot;
    assert_int_equal(last, DX_SLOT_CACHE - 1); // the others are src/policy's
    assert_int_equal(slot, -1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(json_answers_carry_their_type),
        TEST(a_failure_replaces_the_answer_and_keeps_filters_fields),
        TEST(the_servers_writer_is_given_status_detail_and_findings),
        TEST(a_body_that_could_not_be_made_is_a_503),
        TEST(a_field_that_would_break_the_head_is_an_internal_error),
        TEST(without_memory_an_answer_is_still_made),
        TEST(roles_are_looked_up_in_the_principal),
        TEST(slots_run_out_politely),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
