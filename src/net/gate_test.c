// Ranges of addresses, and the gate: lists, counts by address over threads, and what the log is told.
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/log.h"
#include "base/memory.h"
#include "net/gate.h"

static dx_address at(const char *host) {
    dx_address address = {0};
    if (strcmp(host, "unix") == 0)
        address.any.sa_family = AF_UNIX;
    else
        assert_true(dx_address_read(&address, host, 4711));
    return address;
}

static dx_ranges *ranges_of(const char *const *texts) {
    dx_slice slices[32];
    size_t count = 0;
    for (; texts[count]; count++) slices[count] = dx_slice_str(texts[count]);
    dx_ranges *ranges = NULL;
    assert_int_equal(dx_ranges_create(&ranges, slices, count, DX_SLICE("/server/allow"), NULL), DX_OK);
    return ranges;
}

#define RANGES(...) ranges_of((const char *const[]){__VA_ARGS__, NULL})

static bool has(const dx_ranges *ranges, const char *host) {
    dx_address address = at(host);
    return dx_ranges_have(ranges, &address);
}

// --- ranges ----------------------------------------------------------------------------------------------------------------

static void ranges_have_what_lies_in_them(void **state) {
    (void)state;
    dx_ranges *r = RANGES("10.0.0.0/8", "192.0.2.7", "198.51.100.128/25", "2001:db8::/32", "::1");
    static const char *const in[] = {"10.0.0.0",       "10.255.255.255", "192.0.2.7", "198.51.100.128",
                                     "198.51.100.255", "2001:db8::",     "::1",       "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff",
                                     "::ffff:10.1.2.3"};
    static const char *const out[] = {"9.255.255.255", "11.0.0.0",       "192.0.2.6", "192.0.2.8", "198.51.100.127",  "198.51.101.0",
                                      "2001:db7::",    "2001:db9::",     "::",        "::2",       "::ffff:11.0.0.0", "unix",
                                      "0.0.0.0",       "255.255.255.255"};
    for (size_t i = 0; i < DX_COUNT_OF(in); i++) {
        if (!has(r, in[i])) fail_msg("%s is not in", in[i]);
    }
    for (size_t i = 0; i < DX_COUNT_OF(out); i++) {
        if (has(r, out[i])) fail_msg("%s is in", out[i]);
    }
    dx_ranges_destroy(r);
    assert_false(has(NULL, "10.0.0.1"));
}

static void families_stay_apart(void **state) {
    (void)state;
    dx_ranges *four = RANGES("0.0.0.0/0"), *six = RANGES("::/0"), *local = RANGES("unix"), *mapped = RANGES("::ffff:10.0.0.0/104");
    assert_true(has(four, "1.2.3.4") && has(four, "::ffff:1.2.3.4") && !has(four, "2001:db8::1") && !has(four, "unix"));
    assert_true(has(six, "2001:db8::1") && !has(six, "1.2.3.4") && !has(six, "unix"));
    assert_true(has(local, "unix") && !has(local, "127.0.0.1") && !has(local, "::1"));
    assert_true(has(mapped, "10.9.9.9") && !has(mapped, "11.0.0.0"));
    dx_ranges_destroy(four);
    dx_ranges_destroy(six);
    dx_ranges_destroy(local);
    dx_ranges_destroy(mapped);
}

static void overlapping_ranges_are_one(void **state) {
    (void)state;
    dx_ranges *r = RANGES("10.1.0.0/16", "10.0.0.0/8", "10.1.2.3", "10.0.0.0/9", "10.200.0.0/16", "12.0.0.0/8", "11.0.0.0/8");
    assert_true(has(r, "10.0.0.1") && has(r, "10.1.2.3") && has(r, "10.1.2.4") && has(r, "10.200.0.1") && has(r, "10.255.0.1"));
    assert_true(has(r, "11.0.0.1") && has(r, "12.255.255.255") && !has(r, "13.0.0.0") && !has(r, "9.0.0.0"));
    dx_ranges_destroy(r);
}

static void what_is_no_range_is_told_with_its_place(void **state) {
    (void)state;
    static const struct {
        const char *text, *words;
    } rows[] = {
        {"", "is not a range"},
        {"10.0.0", "is not a range"},
        {"10.0.0.0/", "is not a range"},
        {"10.0.0.0/33", "is not a range"},
        {"::/129", "is not a range"},
        {"10.0.0.0/-1", "is not a range"},
        {"example.com", "is not a range"},
        {"[::1]", "is not a range"},
        {"10.0.0.0/8/8", "is not a range"},
        {"10.0.0.1/8", "10.0.0.0/8"},
        {"2001:db8::1/32", "2001:db8::/32"},
        {"fe80::1%eth0", "is not a range"},
        {"10.0.0.1:80", "is not a range"},
        {"/8", "is not a range"},
    };
    for (size_t i = 0; i < DX_COUNT_OF(rows); i++) {
        dx_arena *arena = dx_arena_create(65536);
        dx_diags diags;
        dx_diags_init(&diags, arena);
        dx_slice texts[] = {DX_SLICE("10.0.0.0/8"), dx_slice_str(rows[i].text)};
        dx_ranges *ranges = NULL;
        assert_int_equal(dx_ranges_create(&ranges, texts, 2, DX_SLICE("/server/deny"), &diags), DX_INVALID);
        assert_null(ranges);
        assert_int_equal(diags.count, 1);
        assert_true(dx_slice_equal(diags.first->pointer, DX_SLICE("/server/deny/1")));
        if (!strstr(dx_diag_text(diags.first, arena).data, rows[i].words)) fail_msg("%s", dx_diag_text(diags.first, arena).data);
        dx_arena_destroy(arena);
    }
}

static void ranges_without_memory_are_none(void **state) {
    (void)state;
    dx_slice text = DX_SLICE("10.0.0.0/8");
    for (uint64_t n = 1;; n++) {
        dx_ranges *ranges = NULL;
        dx_memory_fail_at(n, false);
        dx_status status = dx_ranges_create(&ranges, &text, 1, DX_SLICE(""), NULL);
        bool failed = dx_memory_fail_stop();
        dx_ranges_destroy(ranges);
        if (!failed) break;
        assert_int_equal(status, DX_NO_MEMORY);
    }
}

// --- the gate --------------------------------------------------------------------------------------------------------------

static dx_gate *gate_of(const dx_gate_rules *rules) {
    dx_gate *gate = NULL;
    assert_int_equal(dx_gate_create(&gate, rules), DX_OK);
    return gate;
}

static dx_entry enter(dx_gate *gate, const char *host) {
    dx_address address = at(host);
    return dx_gate_enter(gate, &address);
}

static void leave(dx_gate *gate, const char *host) {
    dx_address address = at(host);
    dx_gate_leave(gate, &address);
}

static void deny_wins_over_allow(void **state) {
    (void)state;
    dx_ranges *allow = RANGES("10.0.0.0/8"), *deny = RANGES("10.1.0.0/16", "10.2.0.1"), *proxies = RANGES("192.0.2.1", "10.2.0.1");
    dx_gate *gate = gate_of(&(dx_gate_rules){.allow = allow, .deny = deny, .proxies = proxies});
    assert_int_equal(enter(gate, "10.0.0.1"), DX_ENTRY_OPEN);
    assert_int_equal(enter(gate, "10.1.0.1"), DX_ENTRY_DENIED);
    assert_int_equal(enter(gate, "11.0.0.1"), DX_ENTRY_DENIED);
    assert_int_equal(enter(gate, "unix"), DX_ENTRY_DENIED);
    assert_int_equal(enter(gate, "192.0.2.1"), DX_ENTRY_OPEN);  // trusted: its clients are judged
    assert_int_equal(enter(gate, "10.2.0.1"), DX_ENTRY_DENIED); // trusted and denied is denied
    dx_gate_change(gate, &(dx_gate_rules){.deny = allow});
    assert_int_equal(enter(gate, "10.0.0.1"), DX_ENTRY_DENIED);
    assert_int_equal(enter(gate, "11.0.0.1"), DX_ENTRY_OPEN);
    dx_gate_destroy(gate);
    dx_ranges_destroy(allow);
    dx_ranges_destroy(deny);
    dx_ranges_destroy(proxies);
}

static void an_address_has_its_cap(void **state) {
    (void)state;
    dx_ranges *proxies = RANGES("192.0.2.1");
    dx_gate *gate = gate_of(&(dx_gate_rules){.each = 2, .proxies = proxies});
    assert_int_equal(enter(gate, "10.0.0.1"), DX_ENTRY_OPEN);
    assert_int_equal(enter(gate, "10.0.0.1"), DX_ENTRY_OPEN);
    assert_int_equal(enter(gate, "10.0.0.1"), DX_ENTRY_CROWDED);
    assert_int_equal(enter(gate, "::ffff:10.0.0.1"), DX_ENTRY_CROWDED);
    assert_int_equal(enter(gate, "10.0.0.2"), DX_ENTRY_OPEN);
    leave(gate, "10.0.0.1");
    assert_int_equal(enter(gate, "10.0.0.1"), DX_ENTRY_OPEN);
    // IPv6 by its /64
    assert_int_equal(enter(gate, "2001:db8::1"), DX_ENTRY_OPEN);
    assert_int_equal(enter(gate, "2001:db8::2"), DX_ENTRY_OPEN);
    assert_int_equal(enter(gate, "2001:db8::3"), DX_ENTRY_CROWDED);
    assert_int_equal(enter(gate, "2001:db8:0:1::3"), DX_ENTRY_OPEN);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(enter(gate, "unix"), DX_ENTRY_OPEN);
        assert_int_equal(enter(gate, "192.0.2.1"), DX_ENTRY_OPEN);
        dx_address proxy = at("10.0.0.1"); // crowded, but here it speaks for others
        assert_int_equal(dx_gate_enter_proxy(gate, &proxy), DX_ENTRY_OPEN);
    }
    dx_gate_destroy(gate);
    dx_ranges_destroy(proxies);
}

static void all_together_have_a_cap(void **state) {
    (void)state;
    dx_gate *gate = gate_of(&(dx_gate_rules){.all = 2, .each = 1});
    assert_int_equal(enter(gate, "10.0.0.1"), DX_ENTRY_OPEN);
    assert_int_equal(enter(gate, "10.0.0.1"), DX_ENTRY_CROWDED); // which counts for nothing
    assert_int_equal(enter(gate, "10.0.0.2"), DX_ENTRY_OPEN);
    assert_int_equal(enter(gate, "10.0.0.3"), DX_ENTRY_FULL);
    leave(gate, "10.0.0.2");
    assert_int_equal(enter(gate, "10.0.0.3"), DX_ENTRY_OPEN);
    dx_gate_destroy(gate);
}

// Many addresses, entering and leaving in different orders: the table grows, and entries move when one before them goes.
static void thousands_of_addresses_are_counted_apart(void **state) {
    (void)state;
    enum { MANY = 20000 };
    dx_gate *gate = gate_of(&(dx_gate_rules){.each = 1, .all = MANY + 1});
    dx_address address = at("10.0.0.0");
    for (uint32_t i = 0; i < MANY; i++) {
        address.v4.sin_addr.s_addr = htonl(0x0a000000u + i);
        assert_int_equal(dx_gate_enter(gate, &address), DX_ENTRY_OPEN);
    }
    for (uint32_t third = 0; third < 3; third++) {
        for (uint32_t i = third; i < MANY; i += 3) {
            address.v4.sin_addr.s_addr = htonl(0x0a000000u + i);
            dx_gate_leave(gate, &address);
        }
        for (uint32_t i = 0; i < MANY; i++) { // who has gone may come, who is there is still known
            address.v4.sin_addr.s_addr = htonl(0x0a000000u + i);
            assert_int_equal(dx_gate_enter(gate, &address), i % 3 == third ? DX_ENTRY_OPEN : DX_ENTRY_CROWDED);
        }
    }
    for (uint32_t i = 0; i < MANY; i++) {
        address.v4.sin_addr.s_addr = htonl(0x0a000000u + (i * 7919u) % MANY);
        dx_gate_leave(gate, &address);
    }
    assert_int_equal(enter(gate, "10.0.0.0"), DX_ENTRY_OPEN);
    dx_gate_destroy(gate);
}

static void *come_and_go(void *arg) {
    dx_gate *gate = arg;
    size_t in = 0;
    for (int i = 0; i < 20000; i++) {
        if (enter(gate, "10.0.0.1") == DX_ENTRY_OPEN) in++;
        if (in > 3) in--, leave(gate, "10.0.0.1");
    }
    for (; in; in--) leave(gate, "10.0.0.1");
    return NULL;
}

static void threads_share_the_counts(void **state) {
    (void)state;
    dx_gate *gate = gate_of(&(dx_gate_rules){.each = 6, .all = 100});
    pthread_t threads[3];
    for (int i = 0; i < 3; i++) assert_int_equal(pthread_create(&threads[i], NULL, come_and_go, gate), 0);
    for (int i = 0; i < 3; i++) pthread_join(threads[i], NULL);
    for (int i = 0; i < 6; i++) assert_int_equal(enter(gate, "10.0.0.1"), DX_ENTRY_OPEN);
    assert_int_equal(enter(gate, "10.0.0.1"), DX_ENTRY_CROWDED);
    dx_gate_destroy(gate);
}

static void without_memory_nobody_comes_in_uncounted(void **state) {
    (void)state;
    dx_gate *gate = gate_of(&(dx_gate_rules){.each = 1});
    dx_memory_fail_at(1, true);
    assert_int_not_equal(enter(gate, "10.0.0.1"), DX_ENTRY_OPEN);
    assert_true(dx_memory_fail_stop());
    assert_int_equal(enter(gate, "10.0.0.1"), DX_ENTRY_OPEN);
    dx_gate_destroy(gate);
}

static int lines;

static void count_lines(void *ctx, const char *line, size_t size) {
    (void)ctx;
    (void)size;
    if (strstr(line, "connections_refused")) lines++;
}

static void a_flood_of_refusals_is_one_line_in_the_log(void **state) {
    (void)state;
    dx_gate *gate = gate_of(&(dx_gate_rules){.each = 1});
    dx_log_setup(DX_LOG_INFO, count_lines, NULL);
    for (int i = 0; i < 1000; i++) dx_gate_refused(gate, DX_ENTRY_CROWDED);
    dx_log_setup(DX_LOG_OFF, NULL, NULL);
    assert_true(lines >= 1 && lines <= 2); // 2: a second has passed
    dx_gate_destroy(gate);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranges_have_what_lies_in_them),
        cmocka_unit_test(families_stay_apart),
        cmocka_unit_test(overlapping_ranges_are_one),
        cmocka_unit_test(what_is_no_range_is_told_with_its_place),
        cmocka_unit_test(ranges_without_memory_are_none),
        cmocka_unit_test(deny_wins_over_allow),
        cmocka_unit_test(an_address_has_its_cap),
        cmocka_unit_test(all_together_have_a_cap),
        cmocka_unit_test(thousands_of_addresses_are_counted_apart),
        cmocka_unit_test(threads_share_the_counts),
        cmocka_unit_test(without_memory_nobody_comes_in_uncounted),
        cmocka_unit_test(a_flood_of_refusals_is_one_line_in_the_log),
    };
    return cmocka_run_group_tests_name("gate", tests, NULL, NULL);
}
