// Messages in bare DEFLATE: the RFC's own examples, round trips however they are cut, bombs and broken ones.
#include "codec/deflate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/memory.h"

static dx_status inflate_cut(dx_buffer *out, dx_slice packed, size_t step, size_t cap) {
    dx_inflater *inflater;
    dx_buffer_init(out, NULL, cap);
    dx_status status = dx_inflater_create(&inflater);
    for (size_t at = 0; at < packed.size && status == DX_OK; at += step)
        status = dx_inflater_run(inflater, dx_slice_of(packed.data + at, packed.size - at < step ? packed.size - at : step), out);
    if (status == DX_OK) status = dx_inflater_end(inflater, out);
    dx_inflater_destroy(inflater);
    return status;
}

// RFC 7692 section 7.2.3: compressed, with a stored block, with a last block, in two blocks.
static void the_examples_of_the_rfc_are_read(void **state) {
    (void)state;
    static const dx_slice packed[] = {
        DX_SLICE_INIT("\xf2\x48\xcd\xc9\xc9\x07\x00"), DX_SLICE_INIT("\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00"),
        DX_SLICE_INIT("\xf3\x48\xcd\xc9\xc9\x07\x00\x00"), DX_SLICE_INIT("\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00")};
    for (size_t i = 0; i < DX_COUNT_OF(packed); i++) {
        for (size_t step = 1; step <= packed[i].size; step++) {
            dx_buffer plain;
            assert_int_equal(inflate_cut(&plain, packed[i], step, 5), DX_OK);
            assert_true(dx_slice_equal(dx_buffer_slice(&plain), DX_SLICE("Hello")));
            dx_buffer_deinit(&plain);
        }
    }
}

static void a_message_comes_back_with_every_window(void **state) {
    (void)state;
    const size_t sizes[] = {0, 1, 5, 1000, 100000};
    char *text = malloc(100000);
    for (size_t i = 0; i < 100000; i++) text[i] = "abcdefgh \n"[i * i % 97 % 10];
    for (int bits = 9; bits <= 15; bits++) {
        for (size_t s = 0; s < DX_COUNT_OF(sizes); s++) {
            dx_buffer packed, plain;
            dx_buffer_init(&packed, NULL, 1u << 20);
            assert_int_equal(dx_deflate_message(&packed, dx_slice_of(text, sizes[s]), bits), DX_OK);
            assert_int_equal(inflate_cut(&plain, dx_buffer_slice(&packed), 777, sizes[s]), DX_OK);
            assert_true(dx_slice_equal(dx_buffer_slice(&plain), dx_slice_of(text, sizes[s])));
            dx_buffer_deinit(&plain);
            dx_buffer_deinit(&packed);
        }
    }
    free(text);
}

static void a_bomb_stops_at_the_cap(void **state) {
    (void)state;
    char *zeros = calloc(1, 8u << 20);
    dx_buffer packed, plain;
    dx_buffer_init(&packed, NULL, 1u << 20);
    assert_int_equal(dx_deflate_message(&packed, dx_slice_of(zeros, 8u << 20), 15), DX_OK);
    assert_int_equal(inflate_cut(&plain, dx_buffer_slice(&packed), packed.size, 8u << 20), DX_OK);
    dx_buffer_deinit(&plain);
    assert_int_equal(inflate_cut(&plain, dx_buffer_slice(&packed), packed.size, (8u << 20) - 1), DX_TOO_LARGE);
    dx_buffer_deinit(&plain);
    assert_int_equal(inflate_cut(&plain, dx_buffer_slice(&packed), packed.size, 1000), DX_TOO_LARGE);
    assert_int_equal((long)plain.size, 1000);
    dx_buffer_deinit(&plain);
    dx_buffer_deinit(&packed);
    free(zeros);
}

static void what_is_not_deflate_is_refused(void **state) {
    (void)state;
    dx_buffer plain;
    assert_int_equal(inflate_cut(&plain, DX_SLICE("\xff\xff\xff"), 1, 100), DX_MALFORMED);
    dx_buffer_deinit(&plain);
    assert_int_equal(inflate_cut(&plain, DX_SLICE("\x00\x05\x00\xfa\xfe"), 1, 100), DX_MALFORMED);
    dx_buffer_deinit(&plain);
}

static void no_allocation_may_fail_unnoticed(void **state) {
    (void)state;
    for (uint64_t n = 1;; n++) {
        dx_buffer packed, plain = {0};
        dx_buffer_init(&packed, NULL, 1u << 20);
        dx_memory_fail_at(n, false);
        dx_status status = dx_deflate_message(&packed, DX_SLICE("a message, a message"), 11);
        if (status == DX_OK) status = inflate_cut(&plain, dx_buffer_slice(&packed), 3, 1000);
        bool failed = dx_memory_fail_stop();
        if (status == DX_OK)
            assert_true(dx_slice_equal(dx_buffer_slice(&plain), DX_SLICE("a message, a message")));
        else
            assert_int_equal(status, DX_NO_MEMORY);
        dx_buffer_deinit(&packed);
        dx_buffer_deinit(&plain);
        if (!failed) break;
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_allocation_may_fail_unnoticed),       cmocka_unit_test(the_examples_of_the_rfc_are_read),
        cmocka_unit_test(a_message_comes_back_with_every_window), cmocka_unit_test(a_bomb_stops_at_the_cap),
        cmocka_unit_test(what_is_not_deflate_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
