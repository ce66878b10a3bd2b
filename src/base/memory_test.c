// The fault seam: exactly the n-th allocation fails, or all from it on, and nothing does once it is stopped.
#include "base/memory.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void only_the_nth_allocation_fails(void **state) {
    (void)state;
    dx_memory_fail_at(2, false);
    void *first = dx_memory_alloc(8), *second = dx_memory_zalloc(1, 8), *third = dx_memory_realloc(NULL, 8);
    assert_true(dx_memory_fail_stop());
    assert_non_null(first);
    assert_null(second);
    assert_non_null(third);
    dx_memory_free(first);
    dx_memory_free(third);
}

static void later_allocations_fail_too_when_asked(void **state) {
    (void)state;
    dx_memory_fail_at(1, true);
    assert_null(dx_memory_alloc(8));
    assert_null(dx_memory_alloc(8));
    assert_true(dx_memory_fail_stop());
    void *after = dx_memory_alloc(0);
    assert_non_null(after);
    dx_memory_free(after);
}

static void stopping_tells_whether_the_nth_was_reached(void **state) {
    (void)state;
    dx_memory_fail_at(3, false);
    dx_memory_free(dx_memory_alloc(1));
    assert_false(dx_memory_fail_stop());
}

static void a_failed_realloc_leaves_the_old_memory(void **state) {
    (void)state;
    char *old = dx_memory_alloc(4);
    old[0] = 'x';
    dx_memory_fail_at(1, false);
    assert_null(dx_memory_realloc(old, 4000));
    assert_true(dx_memory_fail_stop());
    assert_int_equal(old[0], 'x');
    dx_memory_free(old);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_the_nth_allocation_fails),
        cmocka_unit_test(later_allocations_fail_too_when_asked),
        cmocka_unit_test(stopping_tells_whether_the_nth_was_reached),
        cmocka_unit_test(a_failed_realloc_leaves_the_old_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
