// Content codings: what goes in comes out, however it is cut; bombs, torn and foreign bytes are refused; Accept-Encoding is read as
// written.
#include "codec/compress.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/memory.h"

static const dx_coding all[] = {DX_CODING_GZIP, DX_CODING_ZSTD, DX_CODING_BR};
#define OFFERED (DX_CODING_BIT(DX_CODING_GZIP) | DX_CODING_BIT(DX_CODING_ZSTD) | DX_CODING_BIT(DX_CODING_BR))

static dx_status gather(void *ctx, dx_slice piece) {
    assert_true(piece.size > 0 && piece.size <= 64u << 10);
    dx_buffer_add(ctx, piece);
    return dx_buffer_status(ctx);
}

// Text that compresses, but not to nothing.
static dx_slice text_of(size_t size) {
    char *text = malloc(size ? size : 1);
    uint32_t state = 7;
    for (size_t i = 0; i < size; i++) {
        state = state * 1664525u + 1013904223u;
        text[i] = "etaoin shrdlu\n{}\":,"[(state >> 24) % 19];
    }
    return dx_slice_of(text, size);
}

static dx_status encode(dx_buffer *out, dx_coding coding, int level, dx_slice text, size_t step, bool knows_size) {
    dx_compressor *compressor;
    dx_buffer_init(out, NULL, 8u << 20);
    dx_status status = dx_compressor_create(&compressor, coding, level, knows_size ? (int64_t)text.size : -1);
    if (status != DX_OK) return status;
    for (size_t at = 0; at < text.size && status == DX_OK; at += step) {
        size_t size = text.size - at < step ? text.size - at : step;
        status = dx_compressor_run(compressor, dx_slice_of(text.data + at, size), DX_COMPRESS_MORE, out);
    }
    if (status == DX_OK) status = dx_compressor_run(compressor, (dx_slice){NULL, 0}, DX_COMPRESS_END, out);
    dx_compressor_destroy(compressor);
    return status;
}

static dx_status decode(dx_buffer *out, dx_coding coding, dx_slice packed, size_t step, uint64_t cap, uint32_t ratio) {
    dx_decompressor *decompressor;
    dx_buffer_init(out, NULL, 64u << 20);
    dx_status status = dx_decompressor_create(&decompressor, coding, cap, ratio);
    if (status != DX_OK) return status;
    for (size_t at = 0; at < packed.size && status == DX_OK; at += step) {
        size_t size = packed.size - at < step ? packed.size - at : step;
        status = dx_decompressor_run(decompressor, dx_slice_of(packed.data + at, size), gather, out);
    }
    if (status == DX_OK) status = dx_decompressor_end(decompressor);
    dx_decompressor_destroy(decompressor);
    return status;
}

static void what_goes_in_comes_out_at_every_level_size_and_cut(void **state) {
    (void)state;
    const size_t sizes[] = {0, 1, 100, 8192, 8193, 300000};
    for (size_t c = 0; c < DX_COUNT_OF(all); c++) {
        for (size_t s = 0; s < DX_COUNT_OF(sizes); s++) {
            dx_slice text = text_of(sizes[s]);
            for (int level = 1; level <= 9; level += 4) {
                dx_buffer packed, plain;
                assert_int_equal(encode(&packed, all[c], level, text, 777, level == 5), DX_OK);
                if (sizes[s] > 1000) assert_true(packed.size < sizes[s] * 3 / 4);
                for (size_t step = 1; step <= packed.size + 1; step = step * 11 + 3) {
                    assert_int_equal(decode(&plain, all[c], dx_buffer_slice(&packed), step, sizes[s], 100), DX_OK);
                    assert_true(dx_slice_equal(dx_buffer_slice(&plain), text));
                    dx_buffer_deinit(&plain);
                }
                dx_buffer_deinit(&packed);
            }
            free((char *)(uintptr_t)text.data);
        }
    }
}

static void what_is_flushed_can_be_read_before_the_end(void **state) {
    (void)state;
    for (size_t c = 0; c < DX_COUNT_OF(all); c++) {
        dx_compressor *compressor;
        dx_decompressor *decompressor;
        dx_buffer packed, plain;
        dx_buffer_init(&packed, NULL, 1u << 20);
        dx_buffer_init(&plain, NULL, 1u << 20);
        assert_int_equal(dx_compressor_create(&compressor, all[c], 3, -1), DX_OK);
        assert_int_equal(dx_decompressor_create(&decompressor, all[c], 1000, 10), DX_OK);
        for (int i = 1; i <= 20; i++) {
            dx_buffer_clear(&packed);
            assert_int_equal(dx_compressor_run(compressor, DX_SLICE("data: an event\n\n"), DX_COMPRESS_FLUSH, &packed), DX_OK);
            assert_int_equal(dx_decompressor_run(decompressor, dx_buffer_slice(&packed), gather, &plain), DX_OK);
            assert_int_equal((int)plain.size, 16 * i);
        }
        assert_int_equal(dx_decompressor_end(decompressor), DX_MALFORMED); // the end has not come
        dx_compressor_destroy(compressor);
        dx_decompressor_destroy(decompressor);
        dx_buffer_deinit(&packed);
        dx_buffer_deinit(&plain);
    }
}

static void a_cap_holds_to_the_byte(void **state) {
    (void)state;
    dx_slice text = text_of(100000);
    for (size_t c = 0; c < DX_COUNT_OF(all); c++) {
        dx_buffer packed, plain;
        assert_int_equal(encode(&packed, all[c], 3, text, 100000, true), DX_OK);
        assert_int_equal(decode(&plain, all[c], dx_buffer_slice(&packed), 5000, 100000, 100), DX_OK);
        dx_buffer_deinit(&plain);
        assert_int_equal(decode(&plain, all[c], dx_buffer_slice(&packed), 5000, 99999, 100), DX_TOO_LARGE);
        dx_buffer_deinit(&plain);
        dx_buffer_deinit(&packed);
    }
    free((char *)(uintptr_t)text.data);
}

static void a_bomb_is_refused_early(void **state) {
    (void)state;
    size_t size = 32u << 20;
    char *zeros = calloc(1, size);
    for (size_t c = 0; c < DX_COUNT_OF(all); c++) {
        dx_buffer packed, plain;
        assert_int_equal(encode(&packed, all[c], 6, dx_slice_of(zeros, size), size, true), DX_OK);
        assert_int_equal(decode(&plain, all[c], dx_buffer_slice(&packed), packed.size, UINT64_MAX, 100), DX_TOO_LARGE);
        assert_true(plain.size <= (128u << 10) + packed.size * 100);
        dx_buffer_deinit(&plain);
        assert_int_equal(decode(&plain, all[c], dx_buffer_slice(&packed), packed.size, UINT64_MAX, 0), DX_OK); // no ratio asked for
        dx_buffer_deinit(&plain);
        dx_buffer_deinit(&packed);
    }
    free(zeros);
}

static void torn_and_foreign_bytes_are_refused(void **state) {
    (void)state;
    dx_slice text = text_of(5000);
    for (size_t c = 0; c < DX_COUNT_OF(all); c++) {
        dx_buffer packed, plain;
        assert_int_equal(encode(&packed, all[c], 3, text, 5000, true), DX_OK);
        for (size_t torn = 0; torn < packed.size; torn += 97) {
            assert_int_equal(decode(&plain, all[c], dx_slice_of(packed.data, torn), 1000, 100000, 100), DX_MALFORMED);
            dx_buffer_deinit(&plain);
        }
        dx_buffer_append(&packed, "\0", 1);
        assert_int_equal(decode(&plain, all[c], dx_buffer_slice(&packed), 1000, 100000, 100), DX_MALFORMED);
        dx_buffer_deinit(&plain);
        dx_buffer_deinit(&packed);
        assert_int_equal(decode(&plain, all[c], DX_SLICE("{\"plain\": \"json\"}"), 1000, 100000, 100), DX_MALFORMED);
        dx_buffer_deinit(&plain);
    }
    free((char *)(uintptr_t)text.data);
}

static void members_behind_each_other_are_one_body(void **state) {
    (void)state;
    for (size_t c = 0; c < 2; c++) {
        dx_buffer one, two, plain;
        assert_int_equal(encode(&one, all[c], 3, DX_SLICE("first, "), 100, true), DX_OK);
        assert_int_equal(encode(&two, all[c], 3, DX_SLICE("second"), 100, true), DX_OK);
        dx_buffer_add(&one, dx_buffer_slice(&two));
        for (size_t step = 1; step < 60; step++) {
            assert_int_equal(decode(&plain, all[c], dx_buffer_slice(&one), step, 100, 100), DX_OK);
            assert_true(dx_slice_equal(dx_buffer_slice(&plain), DX_SLICE("first, second")));
            dx_buffer_deinit(&plain);
        }
        dx_buffer_deinit(&one);
        dx_buffer_deinit(&two);
    }
}

static void large_windows_are_refused(void **state) {
    (void)state;
    dx_buffer plain;
    // br: window bits 24. zstd: a frame header with a window of 16 MiB (exponent 14), then an empty last block.
    assert_int_equal(decode(&plain, DX_CODING_BR, DX_SLICE("\x0f\x06"), 10, 100, 100), DX_TOO_LARGE);
    assert_int_equal(decode(&plain, DX_CODING_ZSTD, DX_SLICE("\x28\xb5\x2f\xfd\x00\x70\x01\x00\x00"), 10, 100, 100), DX_TOO_LARGE);
    assert_int_equal(decode(&plain, DX_CODING_ZSTD, DX_SLICE("\x28\xb5\x2f\xfd\x00\x68\x01\x00\x00"), 10, 100, 100), DX_OK); // 8 MiB
    dx_buffer_deinit(&plain);
}

static void a_failing_receiver_ends_it(void **state) {
    (void)state;
    dx_slice text = text_of(100000);
    dx_buffer packed, plain;
    dx_decompressor *decompressor;
    assert_int_equal(encode(&packed, DX_CODING_GZIP, 3, text, 100000, true), DX_OK);
    assert_int_equal(dx_decompressor_create(&decompressor, DX_CODING_GZIP, 1u << 20, 100), DX_OK);
    dx_buffer_init(&plain, NULL, 40000);
    assert_int_equal(dx_decompressor_run(decompressor, dx_buffer_slice(&packed), gather, &plain), DX_TOO_LARGE);
    dx_decompressor_destroy(decompressor);
    dx_buffer_deinit(&plain);
    dx_buffer_deinit(&packed);
    free((char *)(uintptr_t)text.data);
}

static void a_full_buffer_is_an_error(void **state) {
    (void)state;
    dx_slice text = text_of(100000);
    for (size_t c = 0; c < DX_COUNT_OF(all); c++) {
        dx_compressor *compressor;
        dx_buffer out;
        dx_buffer_init(&out, NULL, 1000);
        assert_int_equal(dx_compressor_create(&compressor, all[c], 3, 100000), DX_OK);
        assert_int_equal(dx_compressor_run(compressor, text, DX_COMPRESS_END, &out), DX_TOO_LARGE);
        assert_true(out.size <= 1000);
        dx_compressor_destroy(compressor);
        dx_buffer_deinit(&out);
    }
    free((char *)(uintptr_t)text.data);
}

static void no_allocation_may_fail_unnoticed(void **state) {
    (void)state;
    dx_slice text = text_of(20000);
    for (size_t c = 0; c < DX_COUNT_OF(all); c++) {
        for (uint64_t n = 1;; n++) {
            dx_buffer packed = {0}, plain = {0};
            dx_memory_fail_at(n, false);
            dx_status status = encode(&packed, all[c], 2 + (int)c, text, 7000, false); // a level whose state is not kept yet
            if (status == DX_OK) status = decode(&plain, all[c], dx_buffer_slice(&packed), 7000, 20000, 100);
            bool failed = dx_memory_fail_stop();
            if (status == DX_OK)
                assert_true(dx_slice_equal(dx_buffer_slice(&plain), text)); // a buffer may do with less
            else
                assert_int_equal(status, DX_NO_MEMORY);
            dx_buffer_deinit(&packed);
            dx_buffer_deinit(&plain);
            if (!failed) break;
        }
    }
    free((char *)(uintptr_t)text.data);
}

static void names_are_known(void **state) {
    (void)state;
    assert_int_equal(dx_coding_parse(DX_SLICE("GZip")), DX_CODING_GZIP);
    assert_int_equal(dx_coding_parse(DX_SLICE("x-gzip")), DX_CODING_GZIP);
    assert_int_equal(dx_coding_parse(DX_SLICE("br")), DX_CODING_BR);
    assert_int_equal(dx_coding_parse(DX_SLICE("zstd")), DX_CODING_ZSTD);
    assert_int_equal(dx_coding_parse(DX_SLICE("identity")), DX_CODING_IDENTITY);
    assert_int_equal(dx_coding_parse(DX_SLICE("deflate")), DX_CODING_UNKNOWN);
    assert_int_equal(dx_coding_parse(DX_SLICE("")), DX_CODING_UNKNOWN);
    for (int i = 0; i < DX_CODING_COUNT; i++) assert_int_equal(dx_coding_parse(dx_coding_name((dx_coding)i)), i);
    assert_null(dx_coding_name(DX_CODING_UNKNOWN).data);
}

static void the_best_accepted_coding_is_chosen(void **state) {
    (void)state;
    static const struct {
        const char *accept;
        unsigned offered;
        dx_coding chosen;
    } rows[] = {
        {"gzip, deflate, br, zstd", OFFERED, DX_CODING_BR},
        {"gzip, deflate, br, zstd", DX_CODING_BIT(DX_CODING_GZIP) | DX_CODING_BIT(DX_CODING_ZSTD), DX_CODING_ZSTD},
        {"gzip", OFFERED, DX_CODING_GZIP},
        {"X-GZIP", OFFERED, DX_CODING_GZIP},
        {"gzip;q=1.0, br;q=0.5", OFFERED, DX_CODING_GZIP},
        {"gzip ; q=0.2 , br ; q=0.3", OFFERED, DX_CODING_BR},
        {"gzip;q=0", OFFERED, DX_CODING_IDENTITY},
        {"gzip;q=0.0, *", OFFERED, DX_CODING_BR},
        {"*", DX_CODING_BIT(DX_CODING_GZIP), DX_CODING_GZIP},
        {"*;q=0", OFFERED, DX_CODING_UNKNOWN},
        {"*;q=0, identity", OFFERED, DX_CODING_IDENTITY},
        {"identity;q=0", OFFERED, DX_CODING_UNKNOWN},
        {"identity;q=0, gzip;q=0.1", OFFERED, DX_CODING_GZIP},
        {"identity;q=0, zstd", DX_CODING_BIT(DX_CODING_GZIP), DX_CODING_UNKNOWN},
        {"identity, gzip;q=0.5", OFFERED, DX_CODING_IDENTITY},
        {"gzip;q=0.001", OFFERED, DX_CODING_GZIP}, // identity, which is not named, is the last resort
        {"identity", OFFERED, DX_CODING_IDENTITY},
        {"deflate, compress", OFFERED, DX_CODING_IDENTITY},
        {"", OFFERED, DX_CODING_IDENTITY},
        {" , ,", OFFERED, DX_CODING_IDENTITY},
        {"br", 0, DX_CODING_IDENTITY},
    };
    for (size_t i = 0; i < DX_COUNT_OF(rows); i++)
        assert_int_equal(dx_coding_choose(dx_slice_str(rows[i].accept), rows[i].offered), rows[i].chosen);
    assert_int_equal(dx_coding_choose((dx_slice){NULL, 0}, OFFERED), DX_CODING_IDENTITY);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_allocation_may_fail_unnoticed),
        cmocka_unit_test(what_goes_in_comes_out_at_every_level_size_and_cut),
        cmocka_unit_test(what_is_flushed_can_be_read_before_the_end),
        cmocka_unit_test(a_cap_holds_to_the_byte),
        cmocka_unit_test(a_bomb_is_refused_early),
        cmocka_unit_test(torn_and_foreign_bytes_are_refused),
        cmocka_unit_test(members_behind_each_other_are_one_body),
        cmocka_unit_test(large_windows_are_refused),
        cmocka_unit_test(a_failing_receiver_ends_it),
        cmocka_unit_test(a_full_buffer_is_an_error),
        cmocka_unit_test(names_are_known),
        cmocka_unit_test(the_best_accepted_coding_is_chosen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
