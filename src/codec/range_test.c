// Byte ranges: what is read, what is ignored, what does not exist.
#include "codec/range.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/compiler.h"

typedef struct expected {
    const char *value;
    uint64_t total;
    dx_range_verdict verdict;
    size_t count;
    dx_byte_range first;
} expected;

static const expected cases[] = {
    {"bytes=0-0", 10, DX_RANGE_SOME, 1, {0, 1}},
    {"bytes=0-9", 10, DX_RANGE_SOME, 1, {0, 10}},
    {"BYTES=2-", 10, DX_RANGE_SOME, 1, {2, 8}},
    {"bytes=-3", 10, DX_RANGE_SOME, 1, {7, 3}},
    {"bytes=-30", 10, DX_RANGE_SOME, 1, {0, 10}},
    {"bytes=5-99999999999999999999999999", 10, DX_RANGE_SOME, 1, {5, 5}},
    {"bytes= 1-2 , , 8-9", 10, DX_RANGE_SOME, 2, {1, 2}},
    {"bytes=20-30, 1-2", 10, DX_RANGE_SOME, 1, {1, 2}},
    {"bytes=10-", 10, DX_RANGE_BEYOND, 0, {0, 0}},
    {"bytes=-0", 10, DX_RANGE_BEYOND, 0, {0, 0}},
    {"bytes=0-", 0, DX_RANGE_BEYOND, 0, {0, 0}},
    {"bytes=-5", 0, DX_RANGE_BEYOND, 0, {0, 0}},
    {"bytes=", 10, DX_RANGE_NONE, 0, {0, 0}},
    {"bytes=5-2", 10, DX_RANGE_NONE, 0, {0, 0}},
    {"bytes=a-2", 10, DX_RANGE_NONE, 0, {0, 0}},
    {"bytes=1-2x", 10, DX_RANGE_NONE, 0, {0, 0}},
    {"bytes=-", 10, DX_RANGE_NONE, 0, {0, 0}},
    {"bytes=--1", 10, DX_RANGE_NONE, 0, {0, 0}},
    {"rows=1-2", 10, DX_RANGE_NONE, 0, {0, 0}},
    {"bytes 1-2", 10, DX_RANGE_NONE, 0, {0, 0}},
    {"", 10, DX_RANGE_NONE, 0, {0, 0}},
};

static void ranges_are_read_as_the_rfc_has_them(void **state) {
    (void)state;
    for (size_t i = 0; i < DX_COUNT_OF(cases); i++) {
        dx_byte_range out[DX_RANGES_CAP];
        size_t count;
        print_message("%s\n", cases[i].value);
        assert_int_equal(dx_range_read(dx_slice_str(cases[i].value), cases[i].total, out, &count), cases[i].verdict);
        if (cases[i].verdict != DX_RANGE_SOME) continue;
        assert_int_equal(count, cases[i].count);
        assert_int_equal(out[0].from, cases[i].first.from);
        assert_int_equal(out[0].size, cases[i].first.size);
    }
}

static void ranges_that_touch_become_one(void **state) {
    (void)state;
    dx_byte_range out[DX_RANGES_CAP];
    size_t count;
    assert_int_equal(dx_range_read(DX_SLICE("bytes=0-1,4-5,2-3,1-4,9-9"), 10, out, &count), DX_RANGE_SOME);
    assert_int_equal(count, 2);
    assert_int_equal(out[0].from, 0);
    assert_int_equal(out[0].size, 6);
    assert_int_equal(out[1].from, 9);
}

static void more_ranges_than_the_cap_are_ignored(void **state) {
    (void)state;
    dx_byte_range out[DX_RANGES_CAP];
    char text[256] = "bytes=";
    size_t size = 6, count;
    for (int i = 0; i < DX_RANGES_CAP; i++) size += (size_t)snprintf(text + size, sizeof text - size, "%d-%d,", i * 2, i * 2);
    assert_int_equal(dx_range_read(dx_slice_of(text, size), 100, out, &count), DX_RANGE_SOME);
    assert_int_equal(count, DX_RANGES_CAP);
    size += (size_t)snprintf(text + size, sizeof text - size, "99-99");
    assert_int_equal(dx_range_read(dx_slice_of(text, size), 100, out, &count), DX_RANGE_NONE);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranges_are_read_as_the_rfc_has_them),
        cmocka_unit_test(ranges_that_touch_become_one),
        cmocka_unit_test(more_ranges_than_the_cap_are_ignored),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
