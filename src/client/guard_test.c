// Which addresses the guard refuses, in whatever notation they come.
#include "client/guard.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static bool allows(const dx_wire_settings *wire, const char *text) {
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    if (inet_pton(AF_INET, text, &v4.sin_addr) == 1) return dx_guard_allows(wire, (struct sockaddr *)&v4);
    assert_int_equal(inet_pton(AF_INET6, text, &v6.sin6_addr), 1);
    return dx_guard_allows(wire, (struct sockaddr *)&v6);
}

static void inner_addresses_are_refused_and_others_are_not(void **state) {
    (void)state;
    static const char *const refused[] = {"0.0.0.0",
                                          "0.1.2.3",
                                          "10.0.0.1",
                                          "10.255.255.255",
                                          "100.64.0.1",
                                          "100.127.255.255",
                                          "127.0.0.1",
                                          "127.255.255.254",
                                          "169.254.169.254",
                                          "172.16.0.1",
                                          "172.31.255.255",
                                          "192.0.0.1",
                                          "192.0.2.1",
                                          "192.88.99.1",
                                          "192.168.1.1",
                                          "198.18.0.1",
                                          "198.19.255.255",
                                          "198.51.100.1",
                                          "203.0.113.1",
                                          "224.0.0.1",
                                          "240.0.0.1",
                                          "255.255.255.255",
                                          "::",
                                          "::1",
                                          "::127.0.0.1",
                                          "::ffff:127.0.0.1",
                                          "::ffff:10.0.0.1",
                                          "::ffff:169.254.169.254",
                                          "64:ff9b::7f00:1",
                                          "64:ff9b::a00:1",
                                          "64:ff9b:1::1",
                                          "2002:7f00:1::",
                                          "2002:a00:1::1",
                                          "2002:c0a8:101::",
                                          "fc00::1",
                                          "fdff::1",
                                          "fe80::1",
                                          "febf::1",
                                          "fec0::1",
                                          "ff02::1",
                                          "100::1",
                                          "2001:db8::1",
                                          "2001::1",
                                          "2001:0:4136:e378::"};
    static const char *const allowed[] = {"1.1.1.1",         "9.255.255.255",    "11.0.0.0",       "100.63.255.255",  "100.128.0.0",
                                          "126.255.255.255", "128.0.0.1",        "169.253.0.1",    "172.15.255.255",  "172.32.0.0",
                                          "192.0.1.0",       "192.167.255.255",  "198.17.255.255", "198.20.0.0",      "223.255.255.255",
                                          "::ffff:1.1.1.1",  "64:ff9b::101:101", "2002:101:101::", "2606:4700::1111", "2a00::1"};
    dx_wire_settings wire = {.guard = true}, open = {0};
    for (size_t i = 0; i < DX_COUNT_OF(refused); i++) {
        if (allows(&wire, refused[i])) fail_msg("%s is allowed", refused[i]);
        assert_true(allows(&open, refused[i]));
    }
    for (size_t i = 0; i < DX_COUNT_OF(allowed); i++)
        if (!allows(&wire, allowed[i])) fail_msg("%s is refused", allowed[i]);
    struct sockaddr unknown = {.sa_family = AF_UNIX};
    assert_false(dx_guard_allows(&wire, &unknown));
}

static void ranges_are_let_past_by_their_bits(void **state) {
    (void)state;
    const dx_slice ranges[] = {DX_SLICE("10.1.0.0/16"), DX_SLICE("fd00:1::/32"), DX_SLICE("192.168.7.7"), DX_SLICE("broken")};
    dx_wire_settings wire = {.guard = true, .guard_ranges = ranges, .guard_range_count = DX_COUNT_OF(ranges)};
    assert_true(allows(&wire, "10.1.255.255") && allows(&wire, "::ffff:10.1.0.1") && allows(&wire, "fd00:1::5") &&
                allows(&wire, "192.168.7.7"));
    assert_false(allows(&wire, "10.2.0.0") || allows(&wire, "10.0.255.255") || allows(&wire, "fd00:2::1") || allows(&wire, "192.168.7.8"));
    static const char *const valid[] = {"0.0.0.0/0", "10.0.0.0/8", "::/0", "fd00::/8", "1.2.3.4/32", "::1/128", "1.2.3.4"};
    static const char *const invalid[] = {"",          "/",          "10.0.0.0/33", "::/129", "10.0.0/8",
                                          "10.0.0.0/", "10.0.0.0/x", "10.0.0.0/-1", "host",   "1.2.3.4/08/1"};
    for (size_t i = 0; i < DX_COUNT_OF(valid); i++) assert_true(dx_guard_range_valid(dx_slice_str(valid[i])));
    for (size_t i = 0; i < DX_COUNT_OF(invalid); i++)
        if (dx_guard_range_valid(dx_slice_str(invalid[i]))) fail_msg("%s is valid", invalid[i]);
}

static void hosts_are_known_by_name_or_by_what_they_end_in(void **state) {
    (void)state;
    const dx_slice hosts[] = {DX_SLICE("api.test"), DX_SLICE("*.example.com")};
    dx_wire_settings wire = {.guard = true, .guard_hosts = hosts, .guard_host_count = 2}, none = {.guard = true};
    static const char *const in[] = {"api.test", "API.Test", "a.example.com", "a.b.EXAMPLE.com"};
    static const char *const out[] = {"example.com", "xexample.com", ".example.com", "api.test.evil", "test", ""};
    for (size_t i = 0; i < DX_COUNT_OF(in); i++) assert_true(dx_guard_allows_host(&wire, dx_slice_str(in[i])));
    for (size_t i = 0; i < DX_COUNT_OF(out); i++) {
        if (dx_guard_allows_host(&wire, dx_slice_str(out[i]))) fail_msg("%s is allowed", out[i]);
        assert_true(dx_guard_allows_host(&none, dx_slice_str(out[i])));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(inner_addresses_are_refused_and_others_are_not),
        cmocka_unit_test(ranges_are_let_past_by_their_bits),
        cmocka_unit_test(hosts_are_known_by_name_or_by_what_they_end_in),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
