// The outer filters without a server: security fields, request ids and trace ids, CORS, access, Accept.
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "server/parts.h"

const dx_feature *const dx_features[] = {NULL};

typedef struct fixture {
    dx_exchange x;
    dx_worker worker;
    dx_settings settings;
    dx_field fields[16];
} fixture;

static int set_up(void **state) {
    fixture *f = calloc(1, sizeof *f);
    dx_exchange_init(&f->x, dx_arena_create(1u << 20), NULL, 0);
    f->x.request.path = DX_SLICE("/items");
    f->worker.random[0] = 1;
    f->worker.random[1] = 2;
    f->settings.security_headers = f->settings.request_id = true;
    assert_int_equal(dx_problem_setup(), DX_OK);
    *state = f;
    return 0;
}

static int tear_down(void **state) {
    fixture *f = *state;
    dx_arena_destroy(f->x.arena);
    free(f);
    return 0;
}

static void give(fixture *f, const char *name, const char *value) {
    dx_status status = dx_fields_add(&f->x.request.fields, f->x.arena, dx_slice_str(name), dx_slice_str(value));
    assert_int_equal(status, DX_OK);
}

static void assert_answer_field(fixture *f, const char *name, const char *value) {
    dx_slice found = dx_fields_find(&f->x.response.fields, dx_slice_str(name));
    if (!value) {
        assert_null(found.data);
        return;
    }
    assert_non_null(found.data);
    assert_true(dx_slice_equal(found, dx_slice_str(value)));
}

// --- names of a request
// ---------------------------------------------------------------------------------------------------------------------------

static void a_well_formed_request_id_is_taken_over(void **state) {
    fixture *f = *state;
    give(f, "x-request-id", "order-7:retry_2");
    dx_trace_take(&f->x, &f->worker);
    assert_true(dx_slice_equal(f->x.request_id, DX_SLICE("order-7:retry_2")));
}

static void a_malformed_request_id_is_replaced(void **state) {
    static const char *const wrong[] = {"",    "a b",      "a\"b",
                                        "<x>", "\xc3\xa9", "0123456789012345678901234567890123456789012345678901234567890123456789"};
    for (size_t i = 0; i < DX_COUNT_OF(wrong); i++) {
        fixture *f = *state;
        f->x.request.fields.count = 0;
        give(f, "x-request-id", wrong[i]);
        dx_trace_take(&f->x, &f->worker);
        assert_true(f->x.request_id.size == DX_TRACE_ID_SIZE);
        assert_memory_equal(f->x.request_id.data, f->x.trace_id, DX_TRACE_ID_SIZE);
    }
}

static void a_traceparent_gives_the_trace_id(void **state) {
    fixture *f = *state;
    give(f, "traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
    dx_trace_take(&f->x, &f->worker);
    assert_memory_equal(f->x.trace_id, "4bf92f3577b34da6a3ce929d0e0e4736", DX_TRACE_ID_SIZE);
}

static void a_malformed_traceparent_is_ignored(void **state) {
    static const char *const wrong[] = {
        "",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
        "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
        "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x",
        "00_4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    };
    for (size_t i = 0; i < DX_COUNT_OF(wrong); i++) {
        fixture *f = *state;
        f->x.request.fields.count = 0;
        give(f, "traceparent", wrong[i]);
        dx_trace_take(&f->x, &f->worker);
        assert_memory_not_equal(f->x.trace_id, "4bf92f3577b34da6a3ce929d0e0e4736", DX_TRACE_ID_SIZE);
        assert_memory_not_equal(f->x.trace_id, "00000000000000000000000000000000", DX_TRACE_ID_SIZE);
    }
}

static void a_later_version_of_traceparent_is_read(void **state) {
    fixture *f = *state;
    give(f, "traceparent", "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more");
    dx_trace_take(&f->x, &f->worker);
    assert_memory_equal(f->x.trace_id, "4bf92f3577b34da6a3ce929d0e0e4736", DX_TRACE_ID_SIZE);
}

static void two_requests_have_two_trace_ids(void **state) {
    fixture *f = *state;
    char first[DX_TRACE_ID_SIZE];
    dx_trace_take(&f->x, &f->worker);
    memcpy(first, f->x.trace_id, sizeof first);
    dx_trace_take(&f->x, &f->worker);
    assert_memory_not_equal(first, f->x.trace_id, sizeof first);
}

static void a_trace_id_of_ours_is_lower_hex_of_all_digits(void **state) {
    fixture *f = *state;
    unsigned seen[16] = {0};
    for (int i = 0; i < 200; i++) {
        dx_trace_take(&f->x, &f->worker);
        for (size_t at = 0; at < DX_TRACE_ID_SIZE; at++) {
            const char *digit = strchr("0123456789abcdef", f->x.trace_id[at]);
            assert_true(digit && *digit);
            seen[strlen(digit) - 1]++;
        }
    }
    for (int i = 0; i < 16; i++) assert_in_range(seen[i], 200, 600); // 400 of each, but for chance
}

// --- fields of every answer
// -----------------------------------------------------------------------------------------------------------------------

static void every_answer_carries_security_fields_and_its_id(void **state) {
    fixture *f = *state;
    dx_edge edge;
    dx_edge_init(&edge, &f->settings, DX_SLICE("default-src 'none'"));
    dx_trace_take(&f->x, &f->worker);
    for (int room = 0; room < 2; room++) { // with fields that were reserved, and without
        f->x.response.fields = room ? (dx_fields){f->fields, 0, 16} : (dx_fields){0};
        dx_edge_filter.out(&edge, &f->x);
        assert_answer_field(f, "x-content-type-options", "nosniff");
        assert_answer_field(f, "x-frame-options", "DENY");
        assert_answer_field(f, "referrer-policy", "no-referrer");
        assert_answer_field(f, "content-security-policy", "default-src 'none'");
        assert_true(dx_slice_equal(dx_fields_find(&f->x.response.fields, DX_SLICE("x-request-id")), f->x.request_id));
    }
}

static void what_is_switched_off_is_not_sent(void **state) {
    fixture *f = *state;
    dx_edge edge;
    f->settings.security_headers = f->settings.request_id = false;
    dx_edge_init(&edge, &f->settings, (dx_slice){NULL, 0});
    dx_edge_filter.out(&edge, &f->x);
    assert_int_equal(f->x.response.fields.count, 0);
}

// --- CORS
// -------------------------------------------------------------------------------------------------------------------------------------------

static const dx_slice shop_origin[] = {DX_SLICE_INIT("https://shop.example")};
static const dx_cors named = {.origins = shop_origin,
                              .origin_count = 1,
                              .credentials = true,
                              .methods = DX_SLICE_INIT("GET, POST"),
                              .headers = DX_SLICE_INIT("authorization"),
                              .expose = DX_SLICE_INIT("etag"),
                              .max_age = DX_SLICE_INIT("3600")};
static const dx_cors anyone = {
    .origins = shop_origin, .origin_count = 1, .any_origin = true, .methods = DX_SLICE_INIT("GET"), .max_age = DX_SLICE_INIT("5")};

static void preflight(fixture *f, const char *origin) {
    f->x.request.method = DX_OPTIONS;
    f->x.allow = DX_SLICE("GET, HEAD, OPTIONS");
    give(f, "origin", origin);
    give(f, "access-control-request-method", "POST");
}

static void a_preflight_of_an_allowed_origin_is_answered(void **state) {
    fixture *f = *state;
    preflight(f, "https://shop.example");
    assert_int_equal(dx_cors_filter.in(&named, &f->x), DX_ANSWER);
    assert_int_equal(f->x.response.status, 204);
    assert_answer_field(f, "access-control-allow-origin", "https://shop.example");
    assert_answer_field(f, "access-control-allow-credentials", "true");
    assert_answer_field(f, "access-control-allow-methods", "GET, POST");
    assert_answer_field(f, "access-control-allow-headers", "authorization");
    assert_answer_field(f, "access-control-max-age", "3600");
    assert_answer_field(f, "vary", "origin, access-control-request-method, access-control-request-headers");
}

static void a_preflight_of_another_origin_allows_nothing(void **state) {
    fixture *f = *state;
    preflight(f, "https://shop.example.evil.example");
    assert_int_equal(dx_cors_filter.in(&named, &f->x), DX_ANSWER);
    assert_answer_field(f, "access-control-allow-origin", NULL);
    assert_answer_field(f, "access-control-allow-methods", NULL);
}

static void an_ordinary_options_passes(void **state) {
    fixture *f = *state;
    f->x.request.method = DX_OPTIONS;
    give(f, "origin", "https://shop.example");
    assert_int_equal(dx_cors_filter.in(&named, &f->x), DX_NEXT);
}

static void answers_to_an_allowed_origin_can_be_read(void **state) {
    fixture *f = *state;
    give(f, "origin", "https://shop.example");
    assert_int_equal(dx_cors_filter.in(&named, &f->x), DX_NEXT);
    dx_cors_filter.out(&named, &f->x);
    assert_answer_field(f, "access-control-allow-origin", "https://shop.example");
    assert_answer_field(f, "access-control-expose-headers", "etag");
    assert_answer_field(f, "vary", "origin");
}

static void answers_vary_by_origin_even_without_one(void **state) {
    fixture *f = *state;
    dx_cors_filter.out(&named, &f->x);
    assert_answer_field(f, "access-control-allow-origin", NULL);
    assert_answer_field(f, "vary", "origin");
}

static void every_origin_is_told_by_a_star(void **state) {
    fixture *f = *state;
    give(f, "origin", "https://anywhere.example");
    dx_cors_filter.out(&anyone, &f->x);
    assert_answer_field(f, "access-control-allow-origin", "*");
    assert_answer_field(f, "access-control-allow-credentials", NULL);
    assert_answer_field(f, "vary", NULL);
}

// --- access and Accept
// ------------------------------------------------------------------------------------------------------------------------------

static const dx_slice admin[] = {DX_SLICE_INIT("admin")};
static const dx_principal user = {.id = DX_SLICE_INIT("7")};
static const dx_principal boss = {.id = DX_SLICE_INIT("1"), .roles = admin, .role_count = 1};

static void nobody_is_asked_to_log_in(void **state) {
    fixture *f = *state;
    dx_access access = {0};
    assert_int_equal(dx_access_filter.in(&access, &f->x), DX_ANSWER);
    assert_int_equal(f->x.response.status, 401);
    assert_answer_field(f, "www-authenticate", "Bearer");
    f->x.principal = &user;
    assert_int_equal(dx_access_filter.in(&access, &f->x), DX_NEXT);
}

static void a_role_is_asked_for(void **state) {
    fixture *f = *state;
    dx_access access = {.roles = admin, .role_count = 1};
    f->x.principal = &user;
    assert_int_equal(dx_access_filter.in(&access, &f->x), DX_ANSWER);
    assert_int_equal(f->x.response.status, 403);
    f->x.principal = &boss;
    assert_int_equal(dx_access_filter.in(&access, &f->x), DX_NEXT);
}

static void only_an_accept_without_room_for_json_is_refused(void **state) {
    static const struct {
        const char *accept;
        bool passes;
    } rows[] = {{"*/*", true},
                {"application/json", true},
                {"text/html, application/*;q=0.1", true},
                {"text/html,application/xhtml+xml,*/*;q=0.8", true},
                {"application/problem+json", true},
                {"application/json;q=0, text/html", false},
                {"text/csv", false}};
    fixture *f = *state;
    assert_int_equal(dx_accept_filter.in(NULL, &f->x), DX_NEXT);
    for (size_t i = 0; i < DX_COUNT_OF(rows); i++) {
        f->x.request.fields.count = 0;
        give(f, "accept", rows[i].accept);
        assert_int_equal(dx_accept_filter.in(NULL, &f->x), rows[i].passes ? DX_NEXT : DX_ANSWER);
    }
    assert_int_equal(f->x.response.status, 406);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_well_formed_request_id_is_taken_over),
        TEST(a_malformed_request_id_is_replaced),
        TEST(a_traceparent_gives_the_trace_id),
        TEST(a_malformed_traceparent_is_ignored),
        TEST(a_later_version_of_traceparent_is_read),
        TEST(a_trace_id_of_ours_is_lower_hex_of_all_digits),
        TEST(two_requests_have_two_trace_ids),
        TEST(every_answer_carries_security_fields_and_its_id),
        TEST(what_is_switched_off_is_not_sent),
        TEST(a_preflight_of_an_allowed_origin_is_answered),
        TEST(a_preflight_of_another_origin_allows_nothing),
        TEST(an_ordinary_options_passes),
        TEST(answers_to_an_allowed_origin_can_be_read),
        TEST(answers_vary_by_origin_even_without_one),
        TEST(every_origin_is_told_by_a_star),
        TEST(nobody_is_asked_to_log_in),
        TEST(a_role_is_asked_for),
        TEST(only_an_accept_without_room_for_json_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
