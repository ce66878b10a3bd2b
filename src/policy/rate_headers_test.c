// What servers say of their limits, in the forms that are about.
#include "policy/rate_headers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/compiler.h"

static const dx_micros_utc NOW = 1767225600 * (int64_t)1000000; // 2026-01-01T00:00:00Z, a Thursday
static const int64_t SECOND = 1000000;

// "name: value" lines, separated by '\n'.
static dx_rate_headers read_with(const char *text, const dx_rate_name *names, size_t name_count) {
    dx_field items[16];
    dx_fields fields = {.items = items, .capacity = 16};
    dx_slice rest = dx_slice_str(text);
    while (rest.data) {
        dx_slice value = dx_slice_cut(&rest, '\n'), name = dx_slice_cut(&value, ':');
        items[fields.count++] = (dx_field){.name = name, .value = dx_slice_trim(value), .id = dx_field_lookup(name)};
    }
    dx_rate_headers out;
    dx_rate_headers_read(&out, &fields, names, name_count, NOW);
    return out;
}

static dx_rate_headers read_all(const char *text) {
    return read_with(text, NULL, 0);
}

static void retry_after_is_read_in_both_forms_and_the_longest_wins(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int64_t millis; // -1: not there
    } rows[] = {
        {"Retry-After: 120", 120000},
        {"retry-after: 0", 0},
        {"Retry-After: 1.5", 1500},
        {"Retry-After: Thu, 01 Jan 2026 00:00:30 GMT", 30000},
        {"Retry-After: Thursday, 01-Jan-26 00:00:30 GMT", 30000},
        {"Retry-After: Wed, 31 Dec 2025 23:59:00 GMT", 0}, // past
        {"Retry-After: 2026-01-01T01:00:10+01:00", 10000},
        {"Retry-After: 5000000", 5000000000}, // seconds, whatever their number
        {"Retry-After: 1767225660", 60000},
        {"Retry-After-Ms: 250", 250},
        {"x-ms-retry-after-ms: 1250", 1250},
        {"Retry-After: 1\nRetry-After-Ms: 1500\nX-Retry-In: 1s", 1500},
        {"Retry-After: 3, 7", 7000},
        {"Retry-After: 3\nRetry-After: soon", 3000},
        {"X-Retry-In: 1m30.5s", 90500},
        {"X-Retry-In: 1h2m3s", 3723000},
        {"Retry-After: soon", -1},
        {"Retry-After: ", -1},
        {"Retry-After: -5", -1},
        {"Retry-After: 1e3", -1},
        {"Retry-After: 5.", -1},
        {"Retry-After: .5", -1},
        {"Retry-After: 5 s", -1},
        {"Retry-After: 5x", -1},
        {"Retry-After: 99999999999999999999", -1},
        {"Retry-After: 999999999999999h", -1},
        {"Retry-After: 400000000", -1}, // 12 years
        {"Retry-After: Thu, 01 Jan 2199 00:00:30 GMT", -1},
        {"Server: x", -1},
    };
    for (size_t i = 0; i < DX_COUNT_OF(rows); i++) {
        dx_rate_headers out = read_all(rows[i].text);
        bool right =
            out.has_retry_after == (rows[i].millis >= 0) && (rows[i].millis < 0 || out.retry_after == rows[i].millis * DX_MILLISECOND);
        if (!right) fail_msg("%s: %lld", rows[i].text, (long long)out.retry_after);
    }
}

static void resets_are_told_apart_by_their_size(void **state) {
    (void)state;
    static const struct {
        const char *value;
        int64_t millis; // from now
    } rows[] = {
        {"30", 30000},
        {"2678400", 2678400000}, // a month in seconds
        {"2678401", 2678401},    // milliseconds from here on
        {"999999999", 999999999},
        {"1767225690", 90000}, // since 1970, in seconds
        {"1767225690.5", 90500},
        {"1767225690500", 90500},                      // and in milliseconds
        {"1000000000", 1000000000000 - 1767225600000}, // past
        {"250ms", 250},
        {"6m0s", 360000},
        {"2026-01-01T00:00:05Z", 5000},
        {"Thu, 01 Jan 2026 00:01:00 GMT", 60000},
        {"Thu Jan  1 00:01:00 2026", 60000},
        {"10, 20", 20000},
    };
    for (size_t i = 0; i < DX_COUNT_OF(rows); i++) {
        dx_field item = {.name = DX_SLICE("X-RateLimit-Reset"), .value = dx_slice_str(rows[i].value)};
        dx_fields fields = {.items = &item, .count = 1};
        dx_rate_headers out;
        dx_rate_headers_read(&out, &fields, NULL, 0, NOW);
        if (!out.has_reset || out.reset_at != NOW + rows[i].millis * 1000) {
            fail_msg("%s: %lld", rows[i].value, (long long)(out.reset_at - NOW));
        }
    }
    assert_false(read_all("X-RateLimit-Reset: 99999999999999").has_reset); // the year 5138
}

static void all_spellings_are_known(void **state) {
    (void)state;
    static const char *const rows[] = {
        "RateLimit-Limit: 100\nRateLimit-Remaining: 7\nRateLimit-Reset: 30",
        "RateLimit-Limit: 100, 100;w=60, 5000;w=86400\nRateLimit-Remaining: 7\nRateLimit-Reset: 30",
        "ratelimit: limit=100, remaining=7, reset=30",
        "RateLimit-Policy: \"default\";q=100;w=60\nRateLimit: \"default\";r=7;t=30",
        "RateLimit-Policy: \"a,;b\";w=60;q=100\nRateLimit: \"a,;b\" ; r=7 ; t=30",
        "RateLimit: default;r=7;t=30;pk=:dHJpYWwxMjEzMjM=:\nRateLimit-Policy: default;q=100;qu=\"requests\"",
        "X-RateLimit-Limit: 100\nX-RateLimit-Remaining: 7\nX-RateLimit-Reset: 1767225630",
        "X-Rate-Limit-Limit: 100\nx-rate-limit-remaining: 7\nX-RATE-LIMIT-RESET: 30",
        "X-RateLimit-Limit: 100\nX-RateLimit-Remaining: 7\nX-RateLimit-Reset-After: 30.0",
        "X-RateLimit-Limit: 100\nX-RateLimit-Remaining: 7\nX-RateLimit-Reset-Ms: 30000",
        "X-RateLimit-Limit-Requests: 100\nX-RateLimit-Remaining-Requests: 7\nX-RateLimit-Reset-Requests: 30s\nX-RateLimit-Reset-Tokens: 6m",
        "RateLimit-Policy: \"x,\\\";r=1;t=9\";q=100\nRateLimit: \"x,\\\";r=1;t=9\";r=7;t=30",
    };
    for (size_t i = 0; i < DX_COUNT_OF(rows); i++) {
        dx_rate_headers out = read_all(rows[i]);
        bool right = out.has_limit && out.limit == 100 && out.has_remaining && out.remaining == 7 && out.has_reset;
        if (!right || out.reset_at != NOW + 30 * SECOND || out.has_retry_after) fail_msg("%s", rows[i]);
    }
}

static void of_several_the_longest_wait_wins(void **state) {
    (void)state;
    static const struct {
        const char *text;
        uint64_t limit, remaining;
        int64_t reset; // seconds from now
    } rows[] = {
        {"RateLimit: \"burst\";r=5;t=1, \"day\";r=50;t=40000\nRateLimit-Policy: \"burst\";q=10;w=1, \"day\";q=5000;w=86400", 5000, 50,
         40000},
        {"RateLimit: \"burst\";r=0;t=1, \"day\";r=50;t=40000", 0, 0, 1},
        {"RateLimit: \"a\";r=0;t=9, \"b\";r=0;t=10", 0, 0, 10},
        {"RateLimit: \"a\";r=1;t=10\nRateLimit: \"b\";r=1;t=20", 0, 1, 20},
        {"RateLimit: \"size\";r=0;t=100, \"calls\";r=3;t=10\nRateLimit-Policy: \"size\";q=9;qu=\"content-bytes\",\"calls\";q=9", 9, 3, 10},
        {"X-RateLimit-Limit: 60\nX-RateLimit-Limit: 61\nX-RateLimit-Remaining: 50\nX-RateLimit-Reset: 10\nX-RateLimit-Reset: "
         "12\nX-RateLimit-Remaining: 40",
         60, 40, 12},
        {"X-RateLimit-Remaining: 10\nX-RateLimit-Reset: 10\nRateLimit: \"a\";r=1;t=10", 0, 1, 10},
        {"X-RateLimit-Limit: 5\nRateLimit-Remaining: 3\nRateLimit-Reset: 1", 0, 3, 1}, // what tells more
    };
    for (size_t i = 0; i < DX_COUNT_OF(rows); i++) {
        dx_rate_headers out = read_all(rows[i].text);
        bool right = out.limit == rows[i].limit && out.has_limit == (rows[i].limit > 0) && out.remaining == rows[i].remaining;
        if (!right || out.reset_at != NOW + rows[i].reset * SECOND) fail_msg("%s", rows[i].text);
    }
}

static void garbage_is_ignored(void **state) {
    (void)state;
    static const char *const rows[] = {
        "X-RateLimit-Limit: many\nX-RateLimit-Remaining: -1\nX-RateLimit-Reset: tomorrow",
        "RateLimit: \nRateLimit-Policy: ",
        "RateLimit: \"default\nRateLimit-Policy: \"",
        "RateLimit: \"a\\",
        "RateLimit: ;;;,,,=;=\"",
        "RateLimit: \"a\";r=x;t=-1",
        "RateLimit: \"a\";r;t",
        "RateLimit: limit, remaining=, reset=99999999999999999999",
        "X-RateLimit-: 1\nX-RateLimit-Foo: 1\nRateLimit-: 2\n: 1",
        "X-RateLimit-Remaining: 18446744073709551616",
    };
    for (size_t i = 0; i < DX_COUNT_OF(rows); i++) {
        dx_rate_headers out = read_all(rows[i]);
        if (out.has_limit || out.has_remaining || out.has_reset || out.has_retry_after) fail_msg("%s", rows[i]);
    }
}

static void more_names_can_be_told(void **state) {
    (void)state;
    static const dx_rate_name names[] = {
        {DX_SLICE_INIT("Acme-Quota"), DX_RATE_LIMIT, DX_RATE_ANY_UNIT},
        {DX_SLICE_INIT("Acme-Left"), DX_RATE_REMAINING, DX_RATE_ANY_UNIT},
        {DX_SLICE_INIT("Acme-Fresh-In"), DX_RATE_RESET, DX_RATE_MILLISECONDS},
        {DX_SLICE_INIT("Acme-Wait"), DX_RATE_RETRY_AFTER, DX_RATE_SECONDS},
    };
    dx_rate_headers out = read_with("acme-quota: 9\nACME-LEFT: 2\nAcme-Fresh-In: 1500\nAcme-Wait: 3000000", names, DX_COUNT_OF(names));
    assert_int_equal(out.limit, 9);
    assert_int_equal(out.remaining, 2);
    assert_int_equal(out.reset_at, NOW + 1500000);
    assert_int_equal(out.retry_after, 3000000 * DX_SECOND);
}

static void a_servers_wrong_clock_does_no_harm(void **state) {
    (void)state;
    static const char *const rows[] = {
        "Date: Thu, 01 Jan 2026 01:00:00 GMT\nRetry-After: Thu, 01 Jan 2026 01:00:30 GMT\nX-RateLimit-Remaining: 0\nX-RateLimit-Reset: "
        "1767229230",
        "Date: Wed, 31 Dec 2025 23:00:00 GMT\nRetry-After: Wed, 31 Dec 2025 23:00:30 GMT\nX-RateLimit-Remaining: 0\nX-RateLimit-Reset: "
        "1767222030",
        // So near that it may be the way that it came: our own clock is the finer one.
        "Date: Wed, 31 Dec 2025 23:59:57 GMT\nRetry-After: Thu, 01 Jan 2026 00:00:30 GMT\nX-RateLimit-Remaining: 0\nX-RateLimit-Reset: 30",
    };
    for (size_t i = 0; i < DX_COUNT_OF(rows); i++) {
        dx_rate_headers out = read_all(rows[i]);
        assert_int_equal(out.retry_after, 30 * DX_SECOND);
        assert_int_equal(out.reset_at, NOW + 30 * SECOND);
    }
}

static void the_wait_is_the_longer_of_what_is_asked_and_what_is_left(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int64_t seconds;
    } rows[] = {
        {"Retry-After: 5\nRateLimit: \"a\";r=0;t=30", 30},
        {"Retry-After: 50\nRateLimit: \"a\";r=0;t=30", 50},
        {"RateLimit: \"a\";r=1;t=30", 0},
        {"X-RateLimit-Remaining: 0", 0},
        {"X-RateLimit-Remaining: 0\nX-RateLimit-Reset: 1000000000", 0}, // past
        {"Server: x", 0},
    };
    for (size_t i = 0; i < DX_COUNT_OF(rows); i++) {
        dx_rate_headers out = read_all(rows[i].text);
        if (dx_rate_headers_wait(&out, NOW) != rows[i].seconds * DX_SECOND) fail_msg("%s", rows[i].text);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(retry_after_is_read_in_both_forms_and_the_longest_wins),
        cmocka_unit_test(resets_are_told_apart_by_their_size),
        cmocka_unit_test(all_spellings_are_known),
        cmocka_unit_test(of_several_the_longest_wait_wins),
        cmocka_unit_test(garbage_is_ignored),
        cmocka_unit_test(more_names_can_be_told),
        cmocka_unit_test(a_servers_wrong_clock_does_no_harm),
        cmocka_unit_test(the_wait_is_the_longer_of_what_is_asked_and_what_is_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
