// The fault seam: exactly the n-th allocation fails, or all from it on, and nothing does once it is stopped.
#include "base/memory.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "duplex/memory.h"

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

static void *never(void *context, size_t size) {
    (void)context, (void)size;
    return NULL;
}

static void *never_more(void *context, void *pointer, size_t size) {
    (void)context, (void)pointer, (void)size;
    return NULL;
}

static void no_more(void *context, void *pointer) {
    (void)context, (void)pointer;
}

static void an_allocator_of_the_programs_own_comes_too_late_after_the_first_allocation(void **state) {
    (void)state;
    const dx_allocator late = {sizeof late, never, never_more, no_more, NULL};
    dx_memory_free(dx_memory_alloc(1));
    assert_int_equal(dx_set_allocator(&late), DX_ERROR_ARGUMENT);
    void *after = dx_memory_alloc(1);
    assert_non_null(after);
    dx_memory_free(after);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_the_nth_allocation_fails),
        cmocka_unit_test(later_allocations_fail_too_when_asked),
        cmocka_unit_test(stopping_tells_whether_the_nth_was_reached),
        cmocka_unit_test(a_failed_realloc_leaves_the_old_memory),
        cmocka_unit_test(an_allocator_of_the_programs_own_comes_too_late_after_the_first_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
