// Header blocks' lines, judged by nghttp2's decoder: what was written is what is read, however the table is filled, and its size changes.
#include "net/hpack.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <nghttp2/nghttp2.h>

#include "base/memory.h"

static dx_hpack hpack;
static nghttp2_hd_inflater *inflater;
static char block[1 << 17];

static int start(void **state) {
    (void)state;
    dx_hpack_init(&hpack);
    return nghttp2_hd_inflate_new(&inflater);
}

static int stop(void **state) {
    (void)state;
    dx_hpack_deinit(&hpack);
    nghttp2_hd_inflate_del(inflater);
    return 0;
}

static dx_field field_of(dx_slice name, dx_slice value) {
    return (dx_field){name, value, dx_field_lookup(name)};
}

// Writes the line as a block of its own, has it read, and returns its size. `flags`: nghttp2's, of what was read.
static size_t line(const char *name, const char *value, uint8_t *flags) {
    dx_field field = field_of(dx_slice_str(name), dx_slice_str(value));
    char *end = dx_hpack_line(&hpack, block, &field);
    size_t size = (size_t)(end - block);
    assert_true(size <= field.name.size + field.value.size + DX_HPACK_LINE_EXTRA);
    nghttp2_nv nv = {0};
    int found = 0;
    ssize_t taken = nghttp2_hd_inflate_hd2(inflater, &nv, &found, (uint8_t *)block, size, 1);
    assert_int_equal(taken, size);
    assert_true(found & NGHTTP2_HD_INFLATE_EMIT);
    assert_true(dx_slice_equal_nocase(dx_slice_of((char *)nv.name, nv.namelen), field.name));
    for (size_t i = 0; i < nv.namelen; i++) assert_false(nv.name[i] >= 'A' && nv.name[i] <= 'Z');
    assert_true(dx_slice_equal(dx_slice_of((char *)nv.value, nv.valuelen), field.value));
    if (flags) *flags = nv.flags;
    assert_int_equal(nghttp2_hd_inflate_hd2(inflater, &nv, &found, NULL, 0, 1), 0);
    assert_true(found & NGHTTP2_HD_INFLATE_FINAL);
    assert_int_equal(nghttp2_hd_inflate_end_headers(inflater), 0);
    assert_int_equal(nghttp2_hd_inflate_get_dynamic_table_size(inflater), hpack.size);
    return size;
}

static void a_line_that_goes_out_again_becomes_one_byte(void **state) {
    (void)state;
    assert_true(line("x-frame-options", "DENY", NULL) > 1);
    assert_int_equal(hpack.count, 0);
    assert_true(line("x-frame-options", "DENY", NULL) > 1);
    assert_int_equal(hpack.count, 1);
    assert_int_equal(line("x-frame-options", "DENY", NULL), 1);
    assert_true(line("x-frame-options", "SAMEORIGIN", NULL) > 1);
}

// A head's constant lines, however their hashes fall, while the date goes on.
static void constant_lines_stay_in_the_table(void **state) {
    (void)state;
    size_t literals = 0;
    for (int second = 0; second < 300; second++) {
        char date[32];
        (void)snprintf(date, sizeof date, "Sun, 22 Nov 2026 09:%02d:%02d GMT", second / 60, second % 60);
        for (int answers = 0; answers < 20; answers++) {
            literals += line("date", date, NULL) > 2;
            for (int i = 0; i < 20; i++) {
                char name[16], value[16];
                (void)snprintf(name, sizeof name, "x-field-%d", i);
                (void)snprintf(value, sizeof value, "value %d", i * 7);
                literals += line(name, value, NULL) > 2;
            }
        }
    }
    assert_true(literals < 300 * 4); // two of each date, and a few where dates have pushed a line out: of 126,000 lines
}

static void what_is_unique_or_secret_never_enters_the_table(void **state) {
    (void)state;
    uint8_t flags;
    for (int i = 0; i < 3; i++) {
        (void)line("x-request-id", "4bf92f3577b34da6a3ce929d0e0e4736", NULL);
        (void)line("Set-Cookie", "a=b", &flags);
        assert_true(flags & NGHTTP2_NV_FLAG_NO_INDEX);
        (void)line("X-Capital", "goes out in lower case", NULL);
    }
    assert_int_equal(hpack.count, 0);
}

static void empty_and_large_values_travel(void **state) {
    (void)state;
    static char large[60000];
    memset(large, 'v', sizeof large - 1);
    for (int i = 0; i < 3; i++) {
        (void)line("x-empty", "", NULL);
        large[4064 - strlen("x-large")] = '\0'; // just fits
        (void)line("x-large", large, NULL);
        large[4064 - strlen("x-large")] = 'v';
        (void)line("x-larger", large, NULL);
        assert_true(hpack.size <= DX_HPACK_TABLE_SIZE);
    }
}

static void every_length_is_written(void **state) {
    (void)state;
    static const uint64_t lengths[] = {0, 9, 10, 4711, UINT64_MAX};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        char expected[24];
        nghttp2_nv nv;
        int found = 0;
        size_t size = (size_t)(dx_hpack_length(block, lengths[i]) - block);
        (void)snprintf(expected, sizeof expected, "%llu", (unsigned long long)lengths[i]);
        assert_int_equal(nghttp2_hd_inflate_hd2(inflater, &nv, &found, (uint8_t *)block, size, 1), size);
        assert_int_equal(nv.namelen, strlen("content-length"));
        assert_string_equal((char *)nv.value, expected);
        assert_int_equal(nghttp2_hd_inflate_hd2(inflater, &nv, &found, NULL, 0, 1), 0);
        assert_int_equal(nghttp2_hd_inflate_end_headers(inflater), 0);
    }
}

// A peer changes its mind about the table, as nghttp2's encoder tells it, between lines of every kind.
static void both_tables_stay_the_same(void **state) {
    (void)state;
    nghttp2_hd_deflater *deflater;
    assert_int_equal(nghttp2_hd_deflate_new(&deflater, 4096), 0);
    srand(7);
    for (int round = 0; round < 20000; round++) {
        static const char *const names[] = {"etag", "content-type", "x-own", "x-other-field", "vary", "cache-control", "date"};
        char value[64];
        (void)snprintf(value, sizeof value, "%.*s%d", rand() % 30, "a value of any length, it is said", rand() % (round % 2 ? 5 : 400));
        (void)line(names[rand() % 7], value, NULL);
        if (rand() % 200) continue;
        size_t size = (size_t)rand() % 6000;
        const nghttp2_nv status = {(uint8_t *)":status", (uint8_t *)"200", 7, 3, 0};
        (void)nghttp2_hd_inflate_change_table_size(inflater, size);
        assert_int_equal(nghttp2_hd_deflate_change_table_size(deflater, size), 0);
        ssize_t wrote = nghttp2_hd_deflate_hd(deflater, (uint8_t *)block, sizeof block, &status, 1);
        assert_true(wrote > 0);
        assert_true(dx_hpack_follow(&hpack, dx_slice_of(block, (size_t)wrote)));
        for (uint8_t *at = (uint8_t *)block; wrote > 0;) {
            nghttp2_nv nv;
            int found = 0;
            ssize_t taken = nghttp2_hd_inflate_hd2(inflater, &nv, &found, at, (size_t)wrote, 1);
            assert_true(taken >= 0);
            at += taken;
            wrote -= taken;
        }
        nghttp2_nv nv;
        int found = 0;
        assert_int_equal(nghttp2_hd_inflate_hd2(inflater, &nv, &found, NULL, 0, 1), 0);
        assert_int_equal(nghttp2_hd_inflate_end_headers(inflater), 0);
    }
    nghttp2_hd_deflate_del(deflater);
}

static void a_malformed_size_is_told(void **state) {
    (void)state;
    assert_false(dx_hpack_follow(&hpack, dx_slice_of("\x3f", 1)));
    assert_false(dx_hpack_follow(&hpack, dx_slice_of("\x3f\xff\xff\xff\xff\xff\x01", 7)));
    assert_true(dx_hpack_follow(&hpack, dx_slice_of("\x20\x3f\xe1\x0f\x88", 5)));
    assert_int_equal(hpack.limit, 2048);
    assert_true(dx_hpack_follow(&hpack, dx_slice_of("\x3f\xe1\xff\x03", 4)));
    assert_int_equal(hpack.limit, DX_HPACK_TABLE_SIZE); // more is allowed than we use
}

static void without_memory_lines_go_out_as_they_are(void **state) {
    (void)state;
    (void)line("x-own", "value", NULL);
    dx_memory_fail_at(1, true);
    assert_true(line("x-own", "value", NULL) > 1);
    assert_true(dx_memory_fail_stop());
    assert_int_equal(hpack.count, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_line_that_goes_out_again_becomes_one_byte),
        TEST(constant_lines_stay_in_the_table),
        TEST(what_is_unique_or_secret_never_enters_the_table),
        TEST(empty_and_large_values_travel),
        TEST(every_length_is_written),
        TEST(both_tables_stay_the_same),
        TEST(a_malformed_size_is_told),
        TEST(without_memory_lines_go_out_as_they_are),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
