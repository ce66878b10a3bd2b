// The program's own allocator: all goes to it, and it cannot come too late. A process of its own, since it is set once and for good: the
// order of the tests counts.
#include "duplex/memory.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/memory.h"

typedef struct counts {
    atomic_int allocs, reallocs, frees;
} counts;
static counts own;

static void *count_alloc(void *context, size_t size) {
    atomic_fetch_add(&((counts *)context)->allocs, 1);
    return malloc(size);
}

static void *count_realloc(void *context, void *pointer, size_t size) {
    atomic_fetch_add(&((counts *)context)->reallocs, 1);
    return realloc(pointer, size);
}

static void count_free(void *context, void *pointer) {
    atomic_fetch_add(&((counts *)context)->frees, 1);
    free(pointer);
}

static const dx_allocator whole = {sizeof whole, count_alloc, count_realloc, count_free, &own};

static void an_allocator_with_a_hole_is_refused(void **state) {
    (void)state;
    dx_allocator holed = whole;
    holed.realloc = NULL;
    assert_int_equal(dx_set_allocator(&holed), DX_ERROR_ARGUMENT);
    holed = whole;
    holed.size = offsetof(dx_allocator, free);
    assert_int_equal(dx_set_allocator(&holed), DX_ERROR_ARGUMENT);
    assert_int_equal(dx_set_allocator(NULL), DX_ERROR_ARGUMENT);
    assert_false(dx_memory_is_own());
}

static void *set_it(void *ctx) {
    *(dx_error_code *)ctx = dx_set_allocator(&whole);
    return NULL;
}

static void of_several_threads_one_sets_it(void **state) {
    (void)state;
    enum { THREADS = 8 };
    pthread_t threads[THREADS];
    dx_error_code codes[THREADS];
    int set = 0;
    for (int i = 0; i < THREADS; i++) assert_int_equal(pthread_create(&threads[i], NULL, set_it, &codes[i]), 0);
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        set += codes[i] == DX_ERROR_NONE;
    }
    assert_int_equal(set, 1);
    assert_true(dx_memory_is_own());
}

static void all_goes_to_it(void **state) {
    (void)state;
    char *plain = dx_memory_alloc(0), *zeroed = dx_memory_zalloc(3, 5), *grown = dx_memory_realloc(NULL, 4);
    assert_int_equal(own.allocs, 3);
    for (int i = 0; i < 15; i++) assert_int_equal(zeroed[i], 0);
    grown = dx_memory_realloc(grown, 400);
    assert_int_equal(own.reallocs, 1);
    dx_memory_free(plain);
    dx_memory_free(zeroed);
    dx_memory_free(grown);
    dx_memory_free(NULL);
    assert_int_equal(own.frees, 4);
    assert_null(dx_memory_zalloc(SIZE_MAX / 2, 3));
}

static void faults_hit_it_too(void **state) {
    (void)state;
    dx_memory_fail_at(1, false);
    assert_null(dx_memory_alloc(1));
    assert_true(dx_memory_fail_stop());
    void *after = dx_memory_alloc(1);
    assert_non_null(after);
    dx_memory_free(after);
}

static void another_one_is_refused(void **state) {
    (void)state;
    assert_int_equal(dx_set_allocator(&whole), DX_ERROR_ARGUMENT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_allocator_with_a_hole_is_refused),
        cmocka_unit_test(of_several_threads_one_sets_it),
        cmocka_unit_test(all_goes_to_it),
        cmocka_unit_test(faults_hit_it_too),
        cmocka_unit_test(another_one_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
