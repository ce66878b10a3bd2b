// Buffers: growth on heap and arena, the cap, sticky failure, digits.
#include "base/buffer.h"

#include <setjmp.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/memory.h"

static void appends_grow_up_to_the_cap_and_no_further(void **state) {
    (void)state;
    dx_buffer buffer;
    dx_buffer_init(&buffer, NULL, 1000);
    for (int i = 0; i < 100; i++) DX_BUFFER_LIT(&buffer, "0123456789");
    assert_int_equal(dx_buffer_status(&buffer), DX_OK);
    assert_int_equal(buffer.size, 1000);
    dx_buffer_byte(&buffer, 'x');
    assert_int_equal(dx_buffer_status(&buffer), DX_TOO_LARGE);
    assert_int_equal(buffer.size, 1000);
    dx_buffer_append(&buffer, "", 0); // a failed buffer stays so
    assert_int_equal(dx_buffer_status(&buffer), DX_TOO_LARGE);
    dx_buffer_clear(&buffer);
    dx_buffer_byte(&buffer, 'x');
    assert_int_equal(dx_buffer_status(&buffer), DX_OK);
    dx_buffer_deinit(&buffer);
}

static void reserving_nothing_in_an_empty_buffer_gives_an_address(void **state) {
    (void)state;
    dx_buffer buffer;
    dx_buffer_init(&buffer, NULL, 100);
    assert_non_null(dx_buffer_reserve(&buffer, 0));
    dx_buffer_deinit(&buffer);
    dx_buffer_init(&buffer, NULL, 0);
    dx_buffer_add(&buffer, (dx_slice){NULL, 0});
    assert_int_equal(dx_buffer_status(&buffer), DX_OK);
    dx_buffer_byte(&buffer, 'x');
    assert_int_equal(dx_buffer_status(&buffer), DX_TOO_LARGE);
    dx_buffer_deinit(&buffer);
}

static void arena_buffers_keep_their_bytes_while_growing(void **state) {
    (void)state;
    dx_arena *arena = dx_arena_create(1 << 20);
    dx_buffer buffer;
    dx_buffer_init(&buffer, arena, 100000);
    for (int i = 0; i < 10000; i++) {
        dx_buffer_byte(&buffer, (char)i);
        if (i % 1000 == 0) assert_non_null(dx_arena_alloc(arena, 10)); // so that it cannot always grow in place
    }
    assert_int_equal(dx_buffer_status(&buffer), DX_OK);
    for (int i = 0; i < 10000; i++) assert_int_equal(buffer.data[i], (char)i);
    dx_arena_destroy(arena);
}

static void what_fits_gives_the_rest_back(void **state) {
    (void)state;
    dx_arena *arena = dx_arena_create(1 << 16);
    dx_buffer buffer;
    dx_buffer_init(&buffer, arena, 4096);
    dx_buffer_fit(&buffer); // nothing to give
    DX_BUFFER_LIT(&buffer, "0123456789abcdef");
    const char *data = buffer.data;
    dx_buffer_fit(&buffer);
    assert_true(buffer.data == data && buffer.capacity == 16);
    char *next = dx_arena_alloc(arena, 16);
    assert_true(next >= data + 16 && next < data + 256);
    memset(next, 'x', 16);
    DX_BUFFER_LIT(&buffer, "!");
    assert_int_equal(buffer.size, 17);
    assert_memory_equal(buffer.data, "0123456789abcdef!", 17);
    dx_arena_destroy(arena);
}

static void near_the_arenas_cap_it_takes_what_is_needed(void **state) {
    (void)state;
    dx_arena *arena = dx_arena_create(20000);
    dx_buffer buffer;
    dx_buffer_init(&buffer, arena, 1 << 20);
    char block[6000] = {0};
    dx_buffer_append(&buffer, block, sizeof block);
    assert_non_null(dx_arena_alloc(arena, 16));
    dx_buffer_append(&buffer, block, 3000); // doubling would pass the cap
    assert_int_equal(dx_buffer_status(&buffer), DX_OK);
    dx_buffer_append(&buffer, block, sizeof block);
    assert_int_equal(dx_buffer_status(&buffer), DX_NO_MEMORY);
    dx_arena_destroy(arena);
}

static void integers_are_written_as_printf_would(void **state) {
    (void)state;
    const int64_t values[] = {0, 1, 9, 10, 99, 100, 101, 12345, -1, -10, INT64_MAX, INT64_MIN, 1000000007};
    for (size_t i = 0; i < DX_COUNT_OF(values); i++) {
        char expected[64];
        snprintf(expected, sizeof expected, "%lld %llu", (long long)values[i], (unsigned long long)values[i]);
        dx_buffer buffer;
        dx_buffer_init(&buffer, NULL, 100);
        dx_buffer_i64(&buffer, values[i]);
        dx_buffer_byte(&buffer, ' ');
        dx_buffer_u64(&buffer, (uint64_t)values[i]);
        dx_buffer_byte(&buffer, '\0');
        assert_string_equal(buffer.data, expected);
        dx_buffer_deinit(&buffer);
    }
}

static void printf_takes_texts_of_any_length(void **state) {
    (void)state;
    dx_buffer buffer;
    dx_buffer_init(&buffer, NULL, 2100);
    dx_buffer_printf(&buffer, "%d,", 42);
    dx_buffer_printf(&buffer, "%02000d", 7);
    assert_int_equal(dx_buffer_status(&buffer), DX_OK);
    assert_int_equal(buffer.size, 2003);
    assert_memory_equal(buffer.data, "42,0000", 7);
    assert_int_equal(buffer.data[2002], '7');
    dx_buffer_printf(&buffer, "%0100d", 7);
    assert_int_equal(dx_buffer_status(&buffer), DX_TOO_LARGE);
    dx_buffer_deinit(&buffer);
}

static void every_failing_allocation_marks_the_buffer(void **state) {
    (void)state;
    for (uint64_t n = 1;; n++) {
        dx_buffer buffer;
        dx_buffer_init(&buffer, NULL, 1 << 20);
        dx_memory_fail_at(n, true);
        for (int i = 0; i < 2000; i++) DX_BUFFER_LIT(&buffer, "0123456789");
        dx_buffer_printf(&buffer, "%01000d", 1);
        bool failed = dx_memory_fail_stop();
        assert_int_equal(dx_buffer_status(&buffer), failed ? DX_NO_MEMORY : DX_OK);
        dx_buffer_deinit(&buffer);
        if (!failed) break;
        assert_true(n < 100);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(appends_grow_up_to_the_cap_and_no_further),
        cmocka_unit_test(reserving_nothing_in_an_empty_buffer_gives_an_address),
        cmocka_unit_test(arena_buffers_keep_their_bytes_while_growing),
        cmocka_unit_test(what_fits_gives_the_rest_back),
        cmocka_unit_test(near_the_arenas_cap_it_takes_what_is_needed),
        cmocka_unit_test(integers_are_written_as_printf_would),
        cmocka_unit_test(printf_takes_texts_of_any_length),
        cmocka_unit_test(every_failing_allocation_marks_the_buffer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
