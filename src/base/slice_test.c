// Slices, statuses, hashing, clocks and randomness: small things, a table each.
#include "base/slice.h"

#include <setjmp.h>
#include <stdarg.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/random.h"
#include "base/status.h"

static void field_names_compare_without_case(void **state) {
    (void)state;
    assert_true(dx_slice_equal_nocase(DX_SLICE("Content-Type"), DX_SLICE("content-tYPE")));
    assert_false(dx_slice_equal_nocase(DX_SLICE("a@"), DX_SLICE("a`"))); // differ in the case bit, but are no letters
    assert_false(dx_slice_equal_nocase(DX_SLICE("ab"), DX_SLICE("a")));
}

static char in_lower(char c) {
    return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

// Every pair of bytes at every place of texts that take one word, several, and words that overlap.
static void every_byte_compares_at_every_place(void **state) {
    (void)state;
    static const size_t sizes[] = {1, 3, 4, 7, 8, 9, 19};
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        for (size_t at = 0; at < sizes[s]; at++) {
            char a[] = "if-Unmodified-since", b[] = "IF-uNMODIFIED-SINCE";
            for (int pair = 0; pair < 65536; pair++) {
                a[at] = (char)(pair & 255);
                b[at] = (char)(pair >> 8);
                bool equal = dx_slice_equal_nocase(dx_slice_of(a, sizes[s]), dx_slice_of(b, sizes[s]));
                if (equal != (in_lower(a[at]) == in_lower(b[at]))) fail_msg("%d at %zu of %zu", pair, at, sizes[s]);
            }
        }
    }
}

static void order_is_bytewise_then_by_length(void **state) {
    (void)state;
    assert_true(dx_slice_compare(DX_SLICE("a"), DX_SLICE("b")) < 0);
    assert_true(dx_slice_compare(DX_SLICE("ab"), DX_SLICE("a")) > 0);
    assert_true(dx_slice_compare(DX_SLICE("\xff"), DX_SLICE("a")) > 0);
    assert_int_equal(dx_slice_compare((dx_slice){NULL, 0}, DX_SLICE("")), 0);
}

static void cutting_walks_a_list_and_ends_with_null(void **state) {
    (void)state;
    dx_slice rest = DX_SLICE("a,,b,");
    const char *expected[] = {"a", "", "b", ""};
    size_t parts = 0;
    while (rest.data) {
        dx_slice part = dx_slice_cut(&rest, ',');
        assert_true(parts < DX_COUNT_OF(expected) && dx_slice_equal(part, dx_slice_str(expected[parts])));
        parts++;
    }
    assert_int_equal(parts, 4);
}

static void trimming_takes_spaces_and_tabs_only(void **state) {
    (void)state;
    assert_true(dx_slice_equal(dx_slice_trim(DX_SLICE(" \t a b\t ")), DX_SLICE("a b")));
    assert_true(dx_slice_equal(dx_slice_trim(DX_SLICE("\na")), DX_SLICE("\na")));
    assert_int_equal(dx_slice_trim(DX_SLICE("  ")).size, 0);
}

static void numbers_are_read_whole_or_not_at_all(void **state) {
    (void)state;
    const struct {
        const char *text;
        bool ok;
        int64_t value;
    } cases[] = {
        {"0", true, 0},
        {"-1", true, -1},
        {"9223372036854775807", true, INT64_MAX},
        {"-9223372036854775808", true, INT64_MIN},
        {"9223372036854775808", false, 0},
        {"-9223372036854775809", false, 0},
        {"", false, 0},
        {"-", false, 0},
        {"+1", false, 0},
        {" 1", false, 0},
        {"1 ", false, 0},
        {"1.0", false, 0},
        {"--1", false, 0},
        {"99999999999999999999", false, 0},
    };
    for (size_t i = 0; i < DX_COUNT_OF(cases); i++) {
        int64_t value = 77;
        assert_int_equal(dx_slice_to_i64(dx_slice_str(cases[i].text), &value), cases[i].ok);
        assert_int_equal(value, cases[i].ok ? cases[i].value : 77);
    }
    uint64_t largest;
    assert_true(dx_slice_to_u64(DX_SLICE("18446744073709551615"), &largest));
    assert_true(largest == UINT64_MAX);
    assert_false(dx_slice_to_u64(DX_SLICE("18446744073709551616"), &largest));
}

static void every_status_has_its_texts(void **state) {
    (void)state;
    for (int i = 0; i < DX_STATUS_COUNT; i++) {
        assert_in_range(dx_status_http((dx_status)i), 200, 599);
        assert_true(strlen(dx_status_code((dx_status)i)) > 0);
        assert_true(strlen(dx_status_title((dx_status)i)) > 0);
        for (int j = 0; j < i; j++) assert_string_not_equal(dx_status_code((dx_status)i), dx_status_code((dx_status)j));
    }
    assert_string_equal(dx_status_name(DX_NOT_FOUND), "NOT_FOUND");
    assert_int_equal(dx_status_http(DX_NOT_FOUND), 404);
    assert_int_equal(dx_status_http((dx_status)9999), 500);
}

static void the_fixed_hash_never_changes(void **state) {
    (void)state;
    // SipHash-1-3 under the reference key 00..0f of the bytes 00 01 02 …; the values are those of the published test vectors of
    // other implementations.
    char bytes[64];
    for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (char)i;
    assert_true(dx_hash_fixed(dx_slice_of(bytes, 0)) == 0xabac0158050fc4dcu);
    assert_true(dx_hash_fixed(dx_slice_of(bytes, 1)) == 0xc9f49bf37d57ca93u);
    assert_true(dx_hash_fixed(dx_slice_of(bytes, 8)) == 0x369095118d299a8eu);
    assert_true(dx_hash(DX_SLICE("a")) == dx_hash(DX_SLICE("a")));
    assert_true(dx_hash(DX_SLICE("a")) != dx_hash_fixed(DX_SLICE("a")));
}

static void the_calendar_goes_both_ways(void **state) {
    (void)state;
    const struct {
        int64_t seconds;
        dx_civil civil;
    } cases[] = {
        {0, {.year = 1970, .month = 1, .day = 1, .weekday = 4}},
        {784111777, {.year = 1994, .month = 11, .day = 6, .hour = 8, .minute = 49, .second = 37, .weekday = 0}},
        {951782400, {.year = 2000, .month = 2, .day = 29, .weekday = 2}},
        {-1, {.year = 1969, .month = 12, .day = 31, .hour = 23, .minute = 59, .second = 59, .weekday = 3}},
        {253402300799, {.year = 9999, .month = 12, .day = 31, .hour = 23, .minute = 59, .second = 59, .weekday = 5}},
        {-62167219200, {.year = 0, .month = 1, .day = 1, .weekday = 6}},
    };
    for (size_t i = 0; i < DX_COUNT_OF(cases); i++) {
        dx_civil civil = dx_civil_from_utc(cases[i].seconds * 1000000);
        const dx_civil *want = &cases[i].civil; // field by field: there is padding in it
        assert_true(civil.year == want->year && civil.month == want->month && civil.day == want->day && civil.weekday == want->weekday);
        assert_true(civil.hour == want->hour && civil.minute == want->minute && civil.second == want->second);
        assert_int_equal(civil.micros, want->micros);
        assert_true(dx_civil_to_utc(&civil) == cases[i].seconds * 1000000);
    }
    for (int64_t day = -800000; day < 800000; day += 37) {
        dx_civil civil = dx_civil_from_utc(day * 86400000000 + 123456);
        assert_true(dx_civil_to_utc(&civil) == day * 86400000000 + 123456);
        assert_true(civil.day <= dx_civil_month_days(civil.year, civil.month));
    }
}

static void monotonic_time_does_not_go_back(void **state) {
    (void)state;
    dx_nanos before = dx_clock_monotonic();
    for (int i = 0; i < 1000; i++) {
        dx_nanos now = dx_clock_monotonic();
        assert_true(now >= before);
        before = now;
    }
    assert_true(dx_clock_utc() > 1700000000 * (int64_t)1000000);
}

static void random_numbers_differ_also_after_a_fork(void **state) {
    (void)state;
    uint64_t a = dx_random_u64(), b = dx_random_u64();
    assert_true(a != b);
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        uint64_t mine = dx_random_u64();
        _exit(write(ends[1], &mine, sizeof mine) == sizeof mine ? 0 : 1);
    }
    uint64_t theirs = 0, ours = dx_random_u64();
    assert_int_equal(read(ends[0], &theirs, sizeof theirs), sizeof theirs);
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_true(theirs != ours);
    close(ends[0]);
    close(ends[1]);
    unsigned char large[1000] = {0};
    dx_random_bytes(large, sizeof large);
    size_t zeros = 0;
    for (size_t i = 0; i < sizeof large; i++) zeros += large[i] == 0;
    assert_true(zeros < 50);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(field_names_compare_without_case),
        cmocka_unit_test(every_byte_compares_at_every_place),
        cmocka_unit_test(order_is_bytewise_then_by_length),
        cmocka_unit_test(cutting_walks_a_list_and_ends_with_null),
        cmocka_unit_test(trimming_takes_spaces_and_tabs_only),
        cmocka_unit_test(numbers_are_read_whole_or_not_at_all),
        cmocka_unit_test(every_status_has_its_texts),
        cmocka_unit_test(the_fixed_hash_never_changes),
        cmocka_unit_test(the_calendar_goes_both_ways),
        cmocka_unit_test(monotonic_time_does_not_go_back),
        cmocka_unit_test(random_numbers_differ_also_after_a_fork),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
