// Findings: kept in order up to the cap, counted past it, and read as one line.
#include "base/diag.h"

#include <setjmp.h>

#include <cmocka.h>

static dx_arena *arena;

static int setup(void **state) {
    (void)state;
    arena = dx_arena_create(1 << 20);
    return arena ? 0 : -1;
}

static int teardown(void **state) {
    (void)state;
    dx_arena_destroy(arena);
    return 0;
}

static void findings_past_the_cap_are_only_counted(void **state) {
    (void)state;
    dx_diags diags;
    dx_diags_init(&diags, arena);
    for (int i = 0; i < 250; i++) {
        dx_diag *diag = dx_diags_add(&diags, DX_INVALID, DX_SLICE("/a"), "finding %d", i);
        assert_int_equal(diag != NULL, i < DX_DIAGS_CAP);
    }
    assert_int_equal(diags.count, 250);
    int kept = 0;
    for (dx_diag *diag = diags.first; diag; diag = diag->next) kept++;
    assert_int_equal(kept, DX_DIAGS_CAP);
    assert_string_equal(diags.last->message.data, "finding 99");
    assert_null(dx_diags_add(NULL, DX_INVALID, DX_SLICE(""), "nobody listens"));
}

static void text_says_place_pointer_message_and_suggestion(void **state) {
    (void)state;
    const struct {
        dx_diag diag;
        const char *text;
    } cases[] = {
        {{.file = DX_SLICE_INIT("shop.json"),
          .line = 12,
          .column = 5,
          .pointer = DX_SLICE_INIT("/models/Item"),
          .message = DX_SLICE_INIT("unknown key \"typ\""),
          .suggestion = DX_SLICE_INIT("type")},
         "shop.json:12:5: /models/Item: unknown key \"typ\"; did you mean \"type\"?"},
        {{.message = DX_SLICE_INIT("expected a string")}, "expected a string"},
        {{.line = 3, .message = DX_SLICE_INIT("bad")}, "3: bad"},
        {{.file = DX_SLICE_INIT("f"), .message = DX_SLICE_INIT("bad"), .suggestion = DX_SLICE_INIT("set it in .env")},
         "f: bad; set it in .env"},
        {{.message = DX_SLICE_INIT("a\nb\x1b[0m")}, "a?b?[0m"},
    };
    for (size_t i = 0; i < DX_COUNT_OF(cases); i++) {
        dx_slice text = dx_diag_text(&cases[i].diag, arena);
        assert_string_equal(text.data, cases[i].text);
        assert_int_equal(text.size, strlen(cases[i].text));
    }
}

static void without_memory_a_finding_is_still_counted(void **state) {
    (void)state;
    dx_arena *small = dx_arena_create(512);
    dx_diags diags;
    dx_diags_init(&diags, small);
    for (int i = 0; i < 20; i++) (void)dx_diags_add(&diags, DX_INVALID, DX_SLICE("/pointer"), "%0100d", i);
    assert_int_equal(diags.count, 20);
    for (dx_diag *diag = diags.first; diag; diag = diag->next) assert_int_equal(diag->message.size, 100);
    dx_arena_destroy(small);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(findings_past_the_cap_are_only_counted),
        cmocka_unit_test(text_says_place_pointer_message_and_suggestion),
        cmocka_unit_test(without_memory_a_finding_is_still_counted),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
