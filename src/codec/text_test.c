// Text encodings: what is decoded, and what is refused.
#include "codec/text.h"

#include <setjmp.h>
#include <stdlib.h>

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

static void utf8_is_what_unicode_allows(void **state) {
    (void)state;
    const char *good[] = {"",
                          "ascii text longer than eight bytes",
                          "\xc2\x80",
                          "\xdf\xbf",
                          "\xe0\xa0\x80",
                          "\xed\x9f\xbf",
                          "\xee\x80\x80",
                          "\xf0\x90\x80\x80",
                          "\xf4\x8f\xbf\xbf",
                          "12345678\xc3\xa9"};
    const char *bad[] = {"\x80",
                         "\xc0\x80",
                         "\xc1\xbf",
                         "\xe0\x9f\xbf",
                         "\xed\xa0\x80",
                         "\xf0\x8f\xbf\xbf",
                         "\xf4\x90\x80\x80",
                         "\xf5\x80\x80\x80",
                         "\xc3",
                         "\xe2\x82",
                         "\xf0\x9f\x98",
                         "1234567\xff",
                         "\xc3(",
                         "\xff"};
    for (size_t i = 0; i < DX_COUNT_OF(good); i++) assert_true(dx_utf8_valid(dx_slice_str(good[i])));
    for (size_t i = 0; i < DX_COUNT_OF(bad); i++) {
        char *exact = malloc(strlen(bad[i])); // no byte behind it to read by mistake
        memcpy(exact, bad[i], strlen(bad[i]));
        assert_false(dx_utf8_valid(dx_slice_of(exact, strlen(bad[i]))));
        free(exact);
    }
    assert_true(dx_utf8_valid((dx_slice){NULL, 0}));
    assert_int_equal(dx_utf8_length(DX_SLICE("a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80")), 4);
}

static void percent_escapes_are_decoded_or_refused(void **state) {
    (void)state;
    const struct {
        const char *text, *decoded;
        bool plus;
    } cases[] = {{"plain", "plain", true}, {"a%20b%2Fc", "a b/c", false}, {"a+b", "a+b", false},
                 {"a+b", "a b", true},     {"%c3%A9", "\xc3\xa9", false}, {"%", NULL, false},
                 {"%4", NULL, false},      {"%4g", NULL, false},          {"%g4", NULL, false},
                 {"a%", NULL, true},       {"%%41", NULL, false},         {"", "", true}};
    for (size_t i = 0; i < DX_COUNT_OF(cases); i++) {
        dx_slice text = dx_slice_str(cases[i].text), decoded;
        dx_status status = dx_percent_decode(&decoded, arena, text, cases[i].plus);
        assert_int_equal(status, cases[i].decoded ? DX_OK : DX_BAD_REQUEST);
        if (status == DX_OK) assert_true(dx_slice_equal(decoded, dx_slice_str(cases[i].decoded)));
    }
    dx_slice same, text = DX_SLICE("nothing-to-do");
    assert_int_equal(dx_percent_decode(&same, arena, text, true), DX_OK);
    assert_ptr_equal(same.data, text.data);
}

static void encoding_leaves_only_unreserved_bytes(void **state) {
    (void)state;
    dx_buffer buffer;
    dx_buffer_init(&buffer, arena, 1000);
    dx_percent_encode(&buffer, DX_SLICE("Az09-._~ /?&=+%\xc3\xa9@["));
    assert_true(dx_slice_equal(dx_buffer_slice(&buffer), DX_SLICE("Az09-._~%20%2F%3F%26%3D%2B%25%C3%A9%40%5B")));
}

static void forms_are_walked_pair_by_pair(void **state) {
    (void)state;
    dx_slice rest = DX_SLICE("&a=1&&b=x+y%3D&c&=d&e=f=g&");
    const char *expected[][2] = {{"a", "1"}, {"b", "x y="}, {"c", ""}, {"", "d"}, {"e", "f=g"}};
    dx_slice name, value;
    dx_status status;
    size_t pairs = 0;
    while (dx_form_next(&rest, arena, &name, &value, &status)) {
        assert_true(pairs < DX_COUNT_OF(expected));
        assert_true(dx_slice_equal(name, dx_slice_str(expected[pairs][0])));
        assert_true(dx_slice_equal(value, dx_slice_str(expected[pairs][1])));
        pairs++;
    }
    assert_int_equal(status, DX_OK);
    assert_int_equal(pairs, DX_COUNT_OF(expected));
    rest = DX_SLICE("a=1&b=%zz");
    assert_true(dx_form_next(&rest, arena, &name, &value, &status));
    assert_false(dx_form_next(&rest, arena, &name, &value, &status));
    assert_int_equal(status, DX_BAD_REQUEST);
    rest = (dx_slice){NULL, 0};
    assert_false(dx_form_next(&rest, arena, &name, &value, &status));
    assert_int_equal(status, DX_OK);
}

static void base64_goes_both_ways(void **state) {
    (void)state;
    const char *cases[][3] = {{"", "", ""},
                              {"f", "Zg==", "Zg"},
                              {"fo", "Zm8=", "Zm8"},
                              {"foo", "Zm9v", "Zm9v"},
                              {"foob", "Zm9vYg==", "Zm9vYg"},
                              {"fooba", "Zm9vYmE=", "Zm9vYmE"},
                              {"foobar", "Zm9vYmFy", "Zm9vYmFy"},
                              {"\xfb\xff\xfe", "+//+", "-__-"}};
    for (size_t i = 0; i < DX_COUNT_OF(cases); i++) {
        for (int url = 0; url < 2; url++) {
            char encoded[32], decoded[32];
            size_t size = dx_base64_encode(encoded, cases[i][0], strlen(cases[i][0]), url);
            assert_true(dx_slice_equal(dx_slice_of(encoded, size), dx_slice_str(cases[i][1 + url])));
            assert_true(dx_base64_decode(decoded, &size, dx_slice_of(encoded, size), url));
            assert_true(dx_slice_equal(dx_slice_of(decoded, size), dx_slice_str(cases[i][0])));
        }
    }
}

// Every byte in every place of a quantum of two, three and four digits: taken only where it is a digit and leaves no stray bits.
static void base64_takes_its_digits_and_nothing_else(void **state) {
    (void)state;
    static const char *const alphabets[] = {"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
                                            "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"};
    for (int url = 0; url < 2; url++) {
        for (size_t i = 0; i < (size_t)3 * 4 * 256; i++) {
            size_t digits = 2 + i / 1024, place = i / 256 % 4, size;
            char text[8] = "YAAAYAAA"; // a whole quantum before it
            unsigned char out[8];
            if (place >= digits) continue;
            text[4 + place] = (char)(i % 256);
            memset(text + 4 + digits, '=', url ? 0 : 4 - digits);
            const char *found = i % 256 ? strchr(alphabets[url], (char)(i % 256)) : NULL;
            size_t value = found ? (size_t)(found - alphabets[url]) : 0;
            bool last = place == digits - 1;
            bool good = found && !(last && digits == 2 && value % 16) && !(last && digits == 3 && value % 4);
            if (!url && i % 256 == '=' && last && digits > 2) continue; // padding
            assert_int_equal(dx_base64_decode(out, &size, dx_slice_of(text, url ? 4 + digits : 8), url), good);
            if (!good) continue;
            assert_int_equal(size, 2 + digits);
            uint32_t bits = (uint32_t)out[3] << 16 | (uint32_t)(digits > 2 ? out[4] : 0) << 8 | (digits > 3 ? out[5] : 0);
            assert_int_equal(bits >> (18 - 6 * place) & 63, value);
            if (place) assert_int_equal(bits >> 18, 24); // Y
        }
    }
}

static void base64_refuses_what_is_not_canonical(void **state) {
    (void)state;
    const char *standard[] = {"Zg", "Zg=", "Zh==", "Zm9=", "Zg==Zg==", "=", "====", "Z===", "Zm9v\n", "-__-", "Z g=", "Zm8=="};
    const char *url[] = {"Zg==", "Zh", "Zm9", "Z", "+//+", "Zm9v Zm9v", "Zm8=", "\x80@@@"};
    char out[64];
    size_t size;
    for (size_t i = 0; i < DX_COUNT_OF(standard); i++) assert_false(dx_base64_decode(out, &size, dx_slice_str(standard[i]), false));
    for (size_t i = 0; i < DX_COUNT_OF(url); i++) assert_false(dx_base64_decode(out, &size, dx_slice_str(url[i]), true));
}

static void hex_goes_both_ways(void **state) {
    (void)state;
    char text[6];
    unsigned char bytes[3];
    dx_hex_encode(text, "\x00\x7f\xff", 3);
    assert_memory_equal(text, "007fff", 6);
    assert_true(dx_hex_decode(bytes, DX_SLICE("007fFF")));
    assert_memory_equal(bytes, "\x00\x7f\xff", 3);
    assert_false(dx_hex_decode(bytes, DX_SLICE("0")));
    assert_false(dx_hex_decode(bytes, DX_SLICE("0g")));
}

static void uuids_of_version_7_are_valid_and_sort_by_time(void **state) {
    (void)state;
    char before[DX_UUID_TEXT_SIZE] = {0}, now[DX_UUID_TEXT_SIZE];
    for (dx_micros_utc time = 1700000000000000; time < 1700000000003000; time++) {
        dx_uuid_v7(now, time);
        assert_true(dx_uuid_valid(dx_slice_of(now, sizeof now)));
        assert_int_equal(now[14], '7');
        assert_non_null(strchr("89ab", now[19]));
        assert_true(memcmp(now, before, sizeof now) > 0);
        memcpy(before, now, sizeof now);
    }
    assert_memory_equal(now, "018bcfe5-6802", 13); // the milliseconds
    assert_true(dx_uuid_valid(DX_SLICE("2EB8AA08-aa98-11ea-b4aa-73b441d16380")));
    assert_false(dx_uuid_valid(DX_SLICE("2eb8aa08-aa98-11ea-b4aa-73b441d1638")));
    assert_false(dx_uuid_valid(DX_SLICE("2eb8aa08aa98-11ea-b4aa73b441d16380ab")));
    assert_false(dx_uuid_valid(DX_SLICE("2eb8-aa08-aa98-11ea-b4aa73b44-1d16380")));
    assert_false(dx_uuid_valid(DX_SLICE("2eb8aa08-aa98-11ea-b4ga-73b441d16380")));
}

static void times_are_read_with_any_offset(void **state) {
    (void)state;
    const struct {
        const char *text, *back; // NULL: refused
    } cases[] = {
        {"2026-01-31T12:00:00.123456Z", "2026-01-31T12:00:00.123456Z"},
        {"2026-01-31t12:00:00z", "2026-01-31T12:00:00Z"},
        {"2026-01-31T12:00:00.5+01:30", "2026-01-31T10:30:00.500000Z"},
        {"1990-12-31T15:59:50.123-08:00", "1990-12-31T23:59:50.123000Z"},
        {"2026-01-31T12:00:00.1234567890Z", "2026-01-31T12:00:00.123456Z"},
        {"2000-02-29T00:00:00-00:00", "2000-02-29T00:00:00Z"},
        {"1998-12-31T23:59:60Z", "1999-01-01T00:00:00Z"},
        {"1998-12-31T15:59:60.123-08:00", "1999-01-01T00:00:00.123000Z"},
        {"0000-01-01T00:00:00Z", "0000-01-01T00:00:00Z"},
        {"9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59.999999Z"},
        {"9999-12-31T23:59:59-00:01", NULL},
        {"0000-01-01T00:00:00+00:01", NULL},
        {"1998-12-31T23:58:60Z", NULL},
        {"1998-12-31T22:59:60Z", NULL},
        {"1900-02-29T00:00:00Z", NULL},
        {"2026-13-01T00:00:00Z", NULL},
        {"2026-00-01T00:00:00Z", NULL},
        {"2026-01-00T00:00:00Z", NULL},
        {"2026-04-31T00:00:00Z", NULL},
        {"2026-01-01T24:00:00Z", NULL},
        {"2026-01-01T23:60:00Z", NULL},
        {"2026-01-01T23:59:61Z", NULL},
        {"2026-01-01T00:00:00", NULL},
        {"2026-01-01T00:00:00+24:00", NULL},
        {"2026-01-01T00:00:00+01:60", NULL},
        {"2026-01-01T00:00:00+0100", NULL},
        {"2026-01-01T00:00:00.Z", NULL},
        {"2026-01-01T00:00:00Z+01:00", NULL},
        {"2026-01-01 00:00:00Z", NULL},
        {"2026-1-01T00:00:00Z", NULL},
        {"2026-01-01Z", NULL},
        {"06/19/1963 08:30:06 PST", NULL},
        {"1963-06-1\xe0\xa7\xaaT00:00:00Z", NULL},
        {"", NULL},
    };
    for (size_t i = 0; i < DX_COUNT_OF(cases); i++) {
        dx_micros_utc time;
        char text[DX_TIME_TEXT_CAP];
        bool read = dx_time_read(dx_slice_str(cases[i].text), &time);
        if (read != (cases[i].back != NULL)) fail_msg("%s", cases[i].text);
        if (read) assert_true(dx_slice_equal(dx_slice_of(text, dx_time_write(text, time)), dx_slice_str(cases[i].back)));
    }
}

static void times_outside_four_digit_years_are_written_as_the_nearest(void **state) {
    (void)state;
    char text[DX_TIME_TEXT_CAP];
    assert_true(dx_slice_equal(dx_slice_of(text, dx_time_write(text, INT64_MAX)), DX_SLICE("9999-12-31T23:59:59.999999Z")));
    assert_true(dx_slice_equal(dx_slice_of(text, dx_time_write(text, INT64_MIN)), DX_SLICE("0000-01-01T00:00:00Z")));
}

static void dates_and_times_of_day_are_checked(void **state) {
    (void)state;
    const char *dates[] = {"2024-02-29", "1963-06-19"},
               *no_dates[] = {"2023-02-29", "1963-6-19", "1963-06-19T", "", "2020-11-31", "2020-13-01"};
    const char *times[] = {"08:30:06Z",      "08:30:06.283185z", "23:59:60Z",      "23:59:60+00:00",
                           "01:29:60+01:30", "15:59:60-08:00",   "00:29:60-23:30", "23:29:60+23:30"};
    const char *no_times[] = {
        "",          "8:30:06Z",       "08:30:06",       "08:30:06-8:00", "22:59:60Z",       "23:58:60Z", "23:59:60+01:00", "24:00:00Z",
        "00:60:00Z", "12:00:00+24:00", "12:00:00+00:60", "08:30:06 PST",  "01:02:03Z+00:30", "12:34:56.", "12:34:56,7Z"};
    for (size_t i = 0; i < DX_COUNT_OF(dates); i++) assert_true(dx_date_valid(dx_slice_str(dates[i])));
    for (size_t i = 0; i < DX_COUNT_OF(no_dates); i++) assert_false(dx_date_valid(dx_slice_str(no_dates[i])));
    for (size_t i = 0; i < DX_COUNT_OF(times); i++) assert_true(dx_time_of_day_valid(dx_slice_str(times[i])));
    for (size_t i = 0; i < DX_COUNT_OF(no_times); i++) assert_false(dx_time_of_day_valid(dx_slice_str(no_times[i])));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(utf8_is_what_unicode_allows),
        cmocka_unit_test(percent_escapes_are_decoded_or_refused),
        cmocka_unit_test(encoding_leaves_only_unreserved_bytes),
        cmocka_unit_test(forms_are_walked_pair_by_pair),
        cmocka_unit_test(base64_goes_both_ways),
        cmocka_unit_test(base64_takes_its_digits_and_nothing_else),
        cmocka_unit_test(base64_refuses_what_is_not_canonical),
        cmocka_unit_test(hex_goes_both_ways),
        cmocka_unit_test(uuids_of_version_7_are_valid_and_sort_by_time),
        cmocka_unit_test(times_are_read_with_any_offset),
        cmocka_unit_test(times_outside_four_digit_years_are_written_as_the_nearest),
        cmocka_unit_test(dates_and_times_of_day_are_checked),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
