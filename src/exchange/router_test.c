// The router: which pattern wins, what is decoded, what 405 is told, and that the cost does not grow with the number of routes.
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "exchange/router.h"

typedef struct fixture {
    dx_arena *arena;
    dx_diags diags;
    dx_router *router;
    dx_match match;
} fixture;

static int set_up(void **state) {
    fixture *f = calloc(1, sizeof *f);
    f->arena = dx_arena_create(256u << 20);
    dx_diags_init(&f->diags, f->arena);
    *state = f;
    return 0;
}

static int tear_down(void **state) {
    fixture *f = *state;
    dx_arena_destroy(f->arena);
    free(f);
    return 0;
}

// "GET /items/{id}"
static dx_operation *operation(fixture *f, const char *text) {
    dx_operation *o = DX_ARENA_NEW(f->arena, dx_operation);
    dx_slice rest = dx_arena_copy(f->arena, dx_slice_str(text));
    o->id = rest;
    o->method = dx_method_parse(dx_slice_cut(&rest, ' '));
    o->path = rest;
    return o;
}

static dx_status build(fixture *f, const char *const *texts, size_t count) {
    const dx_operation **list = DX_ARENA_ARRAY(f->arena, const dx_operation *, count + 1);
    for (size_t i = 0; i < count; i++) list[i] = operation(f, texts[i]);
    return dx_router_create(&f->router, f->arena, list, count, &f->diags);
}
#define BUILD(f, ...) build((f), (const char *const[]){__VA_ARGS__}, DX_COUNT_OF(((const char *const[]){__VA_ARGS__})))

static dx_status match(fixture *f, dx_method method, const char *path) {
    return dx_router_match(f->router, method, dx_slice_str(path), f->arena, &f->match);
}

static void assert_found(fixture *f, dx_method method, const char *path, const char *id) {
    assert_int_equal(match(f, method, path), DX_OK);
    assert_non_null(f->match.operation);
    assert_int_equal(f->match.operation->id.size, strlen(id));
    assert_memory_equal(f->match.operation->id.data, id, strlen(id));
}

static void assert_nothing(fixture *f, const char *path) {
    assert_int_equal(match(f, DX_GET, path), DX_OK);
    assert_null(f->match.operation);
    assert_int_equal(f->match.allow.size, 0);
}

static void assert_param(fixture *f, size_t index, const char *value) {
    assert_true(index < f->match.param_count);
    assert_int_equal(f->match.params[index].size, strlen(value));
    assert_memory_equal(f->match.params[index].data, value, strlen(value));
}

static void literal_and_parameter_paths_are_found(void **state) {
    fixture *f = *state;
    assert_int_equal(BUILD(f, "GET /", "GET /livez", "GET /items", "GET /items/{id}", "GET /items/{id}/parts/{part}"), DX_OK);
    assert_found(f, DX_GET, "/", "GET /");
    assert_found(f, DX_GET, "/livez", "GET /livez");
    assert_found(f, DX_GET, "/items/7", "GET /items/{id}");
    assert_param(f, 0, "7");
    assert_found(f, DX_GET, "/items/7/parts/x-1", "GET /items/{id}/parts/{part}");
    assert_param(f, 0, "7");
    assert_param(f, 1, "x-1");
    assert_nothing(f, "/items/7/parts");
    assert_nothing(f, "/item");
    assert_nothing(f, "");
    assert_nothing(f, "*");
}

static void a_router_without_routes_finds_nothing(void **state) {
    fixture *f = *state;
    assert_int_equal(build(f, NULL, 0), DX_OK);
    assert_nothing(f, "/");
    assert_nothing(f, "/a/b");
}

static void a_literal_wins_over_a_parameter_and_that_over_the_rest(void **state) {
    fixture *f = *state;
    assert_int_equal(BUILD(f, "GET /a/{rest*}", "GET /a/{x}", "GET /a/b", "GET /{any*}"), DX_OK);
    assert_found(f, DX_GET, "/a/b", "GET /a/b");
    assert_found(f, DX_GET, "/a/c", "GET /a/{x}");
    assert_found(f, DX_GET, "/a/c/d", "GET /a/{rest*}");
    assert_param(f, 0, "c/d");
    assert_found(f, DX_GET, "/a/", "GET /a/{rest*}");
    assert_param(f, 0, "");
    assert_found(f, DX_GET, "/z/y//x", "GET /{any*}");
    assert_param(f, 0, "z/y//x");
}

static void a_literal_that_leads_nowhere_does_not_hide_a_parameter(void **state) {
    fixture *f = *state;
    assert_int_equal(BUILD(f, "GET /a/b/c", "GET /a/{x}/d", "GET /{y}/b/e", "GET /{y}/{z}/{last*}"), DX_OK);
    assert_found(f, DX_GET, "/a/b/d", "GET /a/{x}/d");
    assert_param(f, 0, "b");
    assert_found(f, DX_GET, "/a/b/e", "GET /{y}/b/e");
    assert_param(f, 0, "a");
    assert_found(f, DX_GET, "/a/b/f/g", "GET /{y}/{z}/{last*}");
    assert_param(f, 0, "a");
    assert_param(f, 1, "b");
    assert_param(f, 2, "f/g");
}

static void a_trailing_slash_is_another_path(void **state) {
    fixture *f = *state;
    assert_int_equal(BUILD(f, "GET /items", "GET /items/{id}", "GET /docs/"), DX_OK);
    assert_nothing(f, "/items/");
    assert_nothing(f, "/items/7/");
    assert_nothing(f, "//items");
    assert_nothing(f, "/docs");
    assert_found(f, DX_GET, "/docs/", "GET /docs/");
}

static void dot_segments_match_nothing(void **state) {
    fixture *f = *state;
    assert_int_equal(BUILD(f, "GET /items/{id}", "GET /files/{path*}"), DX_OK);
    assert_nothing(f, "/items/..");
    assert_nothing(f, "/items/%2e%2E");
    assert_nothing(f, "/files/a/../b");
    assert_nothing(f, "/files/./b");
    assert_found(f, DX_GET, "/items/...", "GET /items/{id}");
}

static void escapes_are_decoded_segment_by_segment(void **state) {
    fixture *f = *state;
    assert_int_equal(BUILD(f, "GET /items/{id}", "GET /files/{path*}"), DX_OK);
    assert_found(f, DX_GET, "/%69tems/a%2Fb%20c", "GET /items/{id}");
    assert_param(f, 0, "a/b c");
    assert_found(f, DX_GET, "/items/%C3%A9", "GET /items/{id}");
    assert_param(f, 0, "\xc3\xa9");
    assert_found(f, DX_GET, "/files/x%20/y", "GET /files/{path*}");
    assert_param(f, 0, "x /y");
}

static void broken_escapes_are_a_bad_request(void **state) {
    fixture *f = *state;
    static const char *const wrong[] = {"/items/%",   "/items/%2",   "/items/%zz",      "/items/%00",
                                        "/items/%ff", "/items/\xff", "/nowhere/at/%all"};
    assert_int_equal(BUILD(f, "GET /items/{id}"), DX_OK);
    for (size_t i = 0; i < DX_COUNT_OF(wrong); i++) assert_int_equal(match(f, DX_GET, wrong[i]), DX_BAD_REQUEST);
}

static void another_method_is_told_what_is_allowed(void **state) {
    fixture *f = *state;
    assert_int_equal(BUILD(f, "GET /items", "POST /items", "PATCH /items/{id}"), DX_OK);
    assert_int_equal(match(f, DX_DELETE, "/items"), DX_OK);
    assert_null(f->match.operation);
    assert_string_equal(f->match.allow.data, "GET, HEAD, OPTIONS, POST");
    assert_int_equal(match(f, DX_METHOD_UNKNOWN, "/items/1"), DX_OK);
    assert_null(f->match.operation);
    assert_string_equal(f->match.allow.data, "OPTIONS, PATCH");
    assert_found(f, DX_HEAD, "/items", "GET /items");
}

static void malformed_patterns_and_doubles_are_all_told(void **state) {
    fixture *f = *state;
    assert_int_equal(BUILD(f, "GET items", "GET /a{b}", "GET /{}", "GET /{*}", "GET /{a*}/b", "GET /a//b", "GET /a/../b", "GET /%41",
                           "GET /{1}/{2}/{3}/{4}/{5}/{6}/{7}/{8}/{9}", "GET /ok", "GET /ok", "GET /{x}", "GET /{y}"),
                     DX_INVALID);
    assert_int_equal(f->diags.count, 11);
}

static double probes_a_segment(fixture *f, int routes) {
    const dx_operation **list = DX_ARENA_ARRAY(f->arena, const dx_operation *, (size_t)routes);
    char text[64];
    for (int i = 0; i < routes; i++) {
        snprintf(text, sizeof text, "GET /api/v1/resource%d/{id}", i);
        list[i] = operation(f, text);
    }
    assert_int_equal(dx_router_create(&f->router, f->arena, list, (size_t)routes, &f->diags), DX_OK);
    double probes = 0;
    for (int i = 0; i < routes; i++) {
        snprintf(text, sizeof text, "/api/v1/resource%d/%d", i, i * 7);
        assert_int_equal(match(f, DX_GET, text), DX_OK);
        assert_ptr_equal(f->match.operation, list[i]);
        probes += f->match.probes;
    }
    return probes / routes / 5; // the whole path, then four segments
}

static void five_thousand_routes_cost_what_five_do(void **state) {
    fixture *f = *state;
    double few = probes_a_segment(f, 5), many = probes_a_segment(f, 5000);
    assert_true(few < 1.5);
    assert_true(many < 1.5);
}

static void literal_paths_cost_one_probe(void **state) {
    fixture *f = *state;
    const dx_operation *list[1000];
    char text[64];
    for (int i = 0; i < 1000; i++) {
        snprintf(text, sizeof text, "GET /a/b/c/path%d", i);
        list[i] = operation(f, text);
    }
    assert_int_equal(dx_router_create(&f->router, f->arena, list, 1000, &f->diags), DX_OK);
    double probes = 0;
    for (int i = 0; i < 1000; i++) {
        snprintf(text, sizeof text, "/a/b/c/path%d", i);
        assert_int_equal(match(f, DX_GET, text), DX_OK);
        probes += f->match.probes;
    }
    assert_true(probes / 1000 < 1.5);
}

static void paths_longer_than_any_pattern_are_bounded(void **state) {
    fixture *f = *state;
    char path[4001];
    for (size_t i = 0; i < 2000; i++) memcpy(path + 2 * i, "/a", 2);
    path[4000] = '\0';
    assert_int_equal(BUILD(f, "GET /a/{b}", "GET /a/{b}/{rest*}"), DX_OK);
    assert_found(f, DX_GET, path, "GET /a/{b}/{rest*}");
    assert_int_equal(f->match.params[1].size, 4000 - 5);
}

static void overlapping_parameters_stay_within_a_bound(void **state) {
    fixture *f = *state;
    const dx_operation *list[40];
    for (int i = 0; i < 40; i++) { // every subset of literals and parameters would be a state of its own
        char text[DX_PATH_SEGMENTS_CAP * 4] = "GET ";
        for (int s = 0; s < 12; s++) snprintf(text + strlen(text), sizeof text - strlen(text), i % 12 == s && i < 12 ? "/x" : "/y");
        if (i >= 12) snprintf(text, sizeof text, "GET /{a}/{b}/{c}/{d}/{e}/z%d", i);
        list[i] = operation(f, text);
    }
    assert_int_equal(dx_router_create(&f->router, f->arena, list, 40, &f->diags), DX_OK);
    assert_found(f, DX_GET, "/y/y/x/y/y/z20", "GET /{a}/{b}/{c}/{d}/{e}/z20");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(literal_and_parameter_paths_are_found, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_router_without_routes_finds_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_literal_wins_over_a_parameter_and_that_over_the_rest, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_literal_that_leads_nowhere_does_not_hide_a_parameter, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_trailing_slash_is_another_path, set_up, tear_down),
        cmocka_unit_test_setup_teardown(dot_segments_match_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(escapes_are_decoded_segment_by_segment, set_up, tear_down),
        cmocka_unit_test_setup_teardown(broken_escapes_are_a_bad_request, set_up, tear_down),
        cmocka_unit_test_setup_teardown(another_method_is_told_what_is_allowed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(malformed_patterns_and_doubles_are_all_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(five_thousand_routes_cost_what_five_do, set_up, tear_down),
        cmocka_unit_test_setup_teardown(literal_paths_cost_one_probe, set_up, tear_down),
        cmocka_unit_test_setup_teardown(paths_longer_than_any_pattern_are_bounded, set_up, tear_down),
        cmocka_unit_test_setup_teardown(overlapping_parameters_stay_within_a_bound, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
