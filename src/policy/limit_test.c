// The limit under a clock of the test's own: what is granted when, and in which order.
#include "policy/limit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/compiler.h"
#include "base/memory.h"

static const dx_nanos T0 = 1000 * DX_SECOND;
static const dx_nanos MS = DX_MILLISECOND;

static dx_limit *made(uint32_t max_requests, dx_nanos window, uint32_t burst) {
    dx_limit_options options = DX_LIMIT_OPTIONS_INIT;
    options.max_requests = max_requests;
    options.window = window;
    options.burst = burst;
    options.queue = 8;
    dx_limit *limit;
    assert_int_equal(dx_limit_create(&limit, &options), DX_OK);
    return limit;
}

static bool passes(dx_limit *limit, uint32_t n, dx_nanos now) {
    return dx_limit_try(limit, n, now, NULL) == DX_OK;
}

static int passing(dx_limit *limit, dx_nanos now) {
    int count = 0;
    while (passes(limit, 1, now)) count++;
    return count;
}

// How many pass from `from` until before `to` when each goes as soon as it may.
static int passing_until(dx_limit *limit, dx_nanos from, dx_nanos to) {
    int count = 0;
    for (dx_nanos now = from, wait; now < to; now += wait) {
        if (dx_limit_try(limit, 1, now, &wait) == DX_OK) count++;
    }
    return count;
}

static void a_full_bucket_gives_its_burst_and_then_one_each_interval(void **state) {
    (void)state;
    dx_limit *limit = made(10, DX_SECOND, 3);
    assert_int_equal(dx_limit_available(limit, T0), 3);
    assert_int_equal(passing(limit, T0), 3);
    assert_int_equal(dx_limit_available(limit, T0), 0);
    assert_false(passes(limit, 1, T0 + 100 * MS - 1));
    assert_true(passes(limit, 1, T0 + 100 * MS));
    assert_false(passes(limit, 1, T0 + 200 * MS - 1));
    assert_int_equal(dx_limit_available(limit, T0 + 350 * MS), 2);
    assert_int_equal(passing(limit, T0 + DX_SECOND), 3); // no more than the burst, however long it was idle
    assert_false(dx_limit_idle(limit, T0 + DX_SECOND));
    assert_true(dx_limit_idle(limit, T0 + DX_SECOND + 300 * MS));
    dx_limit_release(limit);
}

static void a_refusal_tells_the_wait_and_costs_nothing(void **state) {
    (void)state;
    dx_limit *limit = made(100, 60 * DX_SECOND, 120);
    dx_nanos wait;
    assert_true(passes(limit, 120, T0));
    for (int i = 0; i < 1000; i++) assert_false(passes(limit, 2, T0));
    assert_int_equal(dx_limit_try(limit, 2, T0, &wait), DX_RATE_LIMITED);
    assert_int_equal(wait, 1200 * MS);
    assert_int_equal(dx_limit_try(limit, 2, T0 + 1200 * MS - 1, &wait), DX_RATE_LIMITED);
    assert_int_equal(wait, 1);
    assert_true(passes(limit, 2, T0 + 1200 * MS));
    dx_limit_stats stats;
    dx_limit_stats_read(limit, &stats);
    assert_int_equal(stats.granted, 2);
    assert_int_equal(stats.denied, 1002);
    dx_limit_release(limit);
}

static void fractions_of_tokens_do_not_get_lost(void **state) {
    (void)state;
    static const uint32_t RATES[] = {1, 3, 7, 11, 997, 123457};
    for (size_t i = 0; i < DX_COUNT_OF(RATES); i++) {
        dx_limit *limit = made(RATES[i], DX_SECOND, 1);
        int seconds = RATES[i] > 1000 ? 1 : 100, count = passing_until(limit, T0, T0 + seconds * DX_SECOND);
        // A price is rounded up by less than 1/8 ns, a told wait by less than 1 ns.
        assert_in_range(count, (uint64_t)RATES[i] * seconds - 1 - RATES[i] / 8000 * 2, (uint64_t)RATES[i] * seconds + 1);
        dx_limit_release(limit);
        limit = made(RATES[i], DX_SECOND, RATES[i]);
        dx_nanos wait;
        assert_true(passes(limit, RATES[i], T0));
        assert_int_equal(dx_limit_try(limit, RATES[i], T0, &wait), DX_RATE_LIMITED);
        assert_in_range(wait, DX_SECOND, DX_SECOND + RATES[i]); // rounded up, never down
        dx_limit_release(limit);
    }
}

static void in_no_span_is_more_granted_than_burst_and_rate(void **state) {
    (void)state;
    enum { GRANTS = 400 };
    static dx_nanos at[GRANTS];
    dx_limit *limit = made(50, DX_SECOND, 7);
    uint64_t seed = 1;
    size_t count = 0;
    for (dx_nanos now = T0; count < GRANTS;) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        now += (dx_nanos)(seed >> 33) % (30 * MS);
        if (passes(limit, 1, now)) at[count++] = now;
    }
    for (size_t i = 0; i < GRANTS; i++) {
        for (size_t j = i; j < GRANTS; j++) assert_true((double)(j - i + 1) <= 7 + (double)(at[j] - at[i]) * 50e-9 + 1e-6);
    }
    dx_limit_release(limit);
}

static void what_no_bucket_holds_is_invalid(void **state) {
    (void)state;
    dx_limit *limit = made(10, DX_SECOND, 3);
    dx_limit_waiter waiter = {0};
    dx_nanos wait;
    assert_int_equal(dx_limit_try(limit, 4, T0, &wait), DX_INVALID);
    assert_int_equal(dx_limit_try(limit, 0, T0, &wait), DX_INVALID);
    assert_int_equal(dx_limit_enter(&wait, limit, &waiter, 4, DX_LIMIT_NEVER, T0), DX_INVALID);
    assert_int_equal(dx_limit_acquire(limit, 4, -1), DX_INVALID);
    assert_int_equal(passing(limit, T0), 3);
    dx_limit_release(limit);
}

static void options_out_of_range_are_refused(void **state) {
    (void)state;
    static const dx_limit_options rows[] = {
        {.max_requests = 0, .window = DX_SECOND},
        {.max_requests = 1, .window = 0},
        {.max_requests = 1, .window = -1},
        {.max_requests = 1, .window = DX_LIMIT_FILL_CAP + 1},
        {.max_requests = 101, .window = DX_MICROSECOND},
        {.max_requests = 1, .window = DX_LIMIT_FILL_CAP / 2, .burst = 2},
        {.max_requests = 1, .window = DX_SECOND, .burst = UINT32_MAX},
        {.max_requests = 1, .window = DX_SECOND, .queue = DX_LIMIT_QUEUE_CAP + 1},
        {.max_requests = 1, .window = DX_SECOND, .reserve_thousandths = 1001},
        {.max_requests = 1, .window = DX_SECOND, .pause_max = DX_LIMIT_PAUSE_CAP + 1},
        {.max_requests = 1, .window = DX_SECOND, .pause_max = -1},
    };
    dx_limit *limit;
    for (size_t i = 0; i < DX_COUNT_OF(rows); i++) {
        if (dx_limit_create(&limit, &rows[i]) != DX_INVALID) fail_msg("row %zu was taken", i);
        assert_null(limit);
    }
    dx_limit_options options = {.max_requests = 100, .window = DX_MICROSECOND};
    dx_memory_fail_at(1, false);
    assert_int_equal(dx_limit_create(&limit, &options), DX_NO_MEMORY);
    assert_true(dx_memory_fail_stop());
    assert_int_equal(dx_limit_create(&limit, &options), DX_OK);
    assert_int_equal(dx_limit_update(limit, 0, DX_SECOND, 1, T0), DX_INVALID);
    assert_int_equal(dx_limit_available(limit, T0), 100);
    dx_limit_release(dx_limit_hold(limit));
    dx_limit_release(limit);
    dx_limit_release(NULL);
}

static void an_update_keeps_what_was_used(void **state) {
    (void)state;
    dx_limit *limit = made(10, DX_SECOND, 10);
    assert_true(passes(limit, 4, T0));
    assert_int_equal(dx_limit_update(limit, 1, DX_SECOND, 10, T0), DX_OK);
    assert_int_equal(dx_limit_available(limit, T0), 6);
    assert_int_equal(passing(limit, T0), 6);
    assert_false(passes(limit, 1, T0 + DX_SECOND - 1));
    assert_true(passes(limit, 1, T0 + DX_SECOND + 1));
    assert_int_equal(dx_limit_update(limit, 1000, DX_SECOND, 100, T0 + DX_SECOND + 1), DX_OK);
    assert_int_equal(passing(limit, T0 + DX_SECOND + 1), 90);
    assert_int_equal(dx_limit_update(limit, 1000, DX_SECOND, 2, T0 + DX_SECOND + 1), DX_OK); // smaller, and empty as before
    assert_int_equal(passing(limit, T0 + DX_SECOND + 1), 0);
    assert_int_equal(passing(limit, T0 + DX_SECOND + MS + 2), 1);
    dx_limit_release(limit);
}

static void reset_and_refund_fill_the_bucket(void **state) {
    (void)state;
    dx_limit *limit = made(10, DX_SECOND, 5);
    assert_int_equal(passing(limit, T0), 5);
    dx_limit_refund(limit, 2, T0);
    assert_int_equal(passing(limit, T0), 2);
    dx_limit_reset(limit, T0);
    assert_int_equal(passing(limit, T0), 5);
    dx_limit_refund(limit, 1000, T0);
    assert_int_equal(passing(limit, T0), 5); // and holds no more than it can
    dx_limit_pause_until(limit, T0 + DX_SECOND, T0);
    assert_int_equal(dx_limit_available(limit, T0), 0);
    dx_limit_reset(limit, T0);
    assert_int_equal(dx_limit_available(limit, T0), 5);
    dx_limit_release(limit);
}

static void nothing_is_granted_before_a_pause_ends(void **state) {
    (void)state;
    dx_limit *limit = made(10, DX_SECOND, 5);
    dx_nanos wait;
    dx_limit_pause_until(limit, T0 + 3 * DX_SECOND, T0);
    dx_limit_pause_until(limit, T0 + DX_SECOND, T0); // a shorter one changes nothing
    assert_int_equal(dx_limit_try(limit, 1, T0, &wait), DX_RATE_LIMITED);
    assert_int_equal(wait, 3 * DX_SECOND);
    assert_false(passes(limit, 1, T0 + 3 * DX_SECOND - 1));
    assert_int_equal(passing(limit, T0 + 3 * DX_SECOND), 5);
    dx_limit_pause_until(limit, T0, T0 + 10 * DX_SECOND); // past
    assert_int_equal(passing(limit, T0 + 10 * DX_SECOND), 5);
    dx_limit_pause_until(limit, INT64_MAX, T0 + 20 * DX_SECOND); // longer than any server may ask for
    assert_int_equal(dx_limit_try(limit, 1, T0 + 20 * DX_SECOND, &wait), DX_RATE_LIMITED);
    assert_int_equal(wait, 3600 * DX_SECOND);
    assert_false(dx_limit_idle(limit, T0 + 30 * DX_SECOND));
    dx_limit_release(limit);
}

static void what_remains_is_spread_until_the_reset(void **state) {
    (void)state;
    static const struct {
        uint64_t allowed, remaining;
        int least, most; // pass until the reset
    } rows[] = {
        {100, 50, 39, 40},                                                                          // 10 are the reserve
        {100, 11, 1, 1},          {100, 10, 0, 0}, {100, 0, 0, 0}, {0, 8, 7, 8}, {20, 500, 17, 18}, // more than the server ever allows
        {0, 1000000, 1009, 1010},
    };
    for (size_t i = 0; i < DX_COUNT_OF(rows); i++) {
        dx_limit *limit = made(100, DX_SECOND, 10);
        dx_limit_observe(limit, rows[i].allowed, rows[i].remaining, T0 + 10 * DX_SECOND, T0);
        int count = passing_until(limit, T0, T0 + 10 * DX_SECOND);
        if (count < rows[i].least || count > rows[i].most) fail_msg("row %zu: %d", i, count);
        count = passing_until(limit, T0 + 10 * DX_SECOND, T0 + 20 * DX_SECOND); // then it is as it was
        assert_in_range(count, 999, 1010);
        dx_limit_release(limit);
    }
}

static void a_part_goes_at_once_and_the_others_in_even_steps(void **state) {
    (void)state;
    dx_limit *limit = made(100, DX_SECOND, 100);
    dx_nanos wait;
    dx_limit_observe(limit, 0, 40, T0 + 31 * DX_SECOND, T0);
    assert_int_equal(passing(limit, T0), 10);
    assert_int_equal(dx_limit_try(limit, 1, T0, &wait), DX_RATE_LIMITED);
    assert_int_equal(wait, DX_SECOND);
    dx_limit_observe(limit, 0, 40, T0 + 31 * DX_SECOND, T0); // again: no new part
    assert_int_equal(passing(limit, T0), 0);
    assert_true(passes(limit, 1, T0 + DX_SECOND));
    assert_int_equal(dx_limit_try(limit, 50, T0 + DX_SECOND, &wait), DX_RATE_LIMITED); // more than the part: when all is there
    assert_int_equal(wait, 10 * DX_SECOND);
    dx_limit_release(limit);
}

static void a_server_never_makes_it_faster(void **state) {
    (void)state;
    dx_limit *limit = made(10, DX_SECOND, 2);
    dx_limit_observe(limit, 1000000, 1000000, T0 + DX_SECOND, T0);
    assert_int_equal(passing(limit, T0), 2);
    assert_in_range(passing_until(limit, T0, T0 + DX_SECOND), 9, 10);
    dx_limit_observe(limit, 100, 10, T0 - 1, T0 + DX_SECOND); // a reset that is past says nothing
    assert_true(dx_limit_idle(limit, T0 + 2 * DX_SECOND));
    assert_int_equal(passing(limit, T0 + 2 * DX_SECOND), 2);
    dx_limit_reset(limit, T0 + 2 * DX_SECOND);
    dx_limit_observe(limit, 0, 12, T0 + 3 * DX_SECOND, T0 + 2 * DX_SECOND); // spread, it would be more than ours
    assert_int_equal(passing(limit, T0 + 2 * DX_SECOND), 2);
    dx_nanos wait;
    assert_int_equal(dx_limit_try(limit, 1, T0 + 2 * DX_SECOND, &wait), DX_RATE_LIMITED);
    assert_int_equal(wait, 100 * MS);
    dx_limit_reset(limit, T0 + 2 * DX_SECOND);
    dx_limit_observe(limit, 10, 2, T0 + 100 * DX_SECOND, T0 + 2 * DX_SECOND);
    assert_false(dx_limit_idle(limit, T0 + 5 * DX_SECOND));
    assert_int_equal(dx_limit_update(limit, 1, 1000 * DX_SECOND, 2, T0 + 5 * DX_SECOND), DX_OK); // now slower than the server
    assert_int_equal(passing(limit, T0 + 5 * DX_SECOND), 1);
    assert_int_equal(passing(limit, T0 + 900 * DX_SECOND), 1);
    dx_limit_release(limit);
}

typedef struct caller {
    dx_limit_waiter waiter;
    dx_limit *limit;
    int number;
    dx_status status;
    bool told;
} caller;

static int order[16];
static size_t served;

static void note(dx_limit_waiter *waiter, dx_status status) {
    caller *self = DX_CONTAINER_OF(waiter, caller, waiter);
    assert_false(self->told);
    self->told = true;
    self->status = status;
    order[served++] = self->number;
}

static dx_nanos stands(caller *self, dx_limit *limit, int number, uint32_t n, dx_nanos now) {
    dx_nanos wait;
    *self = (caller){.waiter = {.granted = note}, .limit = limit, .number = number};
    assert_int_equal(dx_limit_enter(&wait, limit, &self->waiter, n, DX_LIMIT_NEVER, now), DX_OK);
    return wait;
}

static void who_waits_is_served_in_order_and_nobody_passes(void **state) {
    (void)state;
    dx_limit *limit = made(10, DX_SECOND, 3);
    caller callers[4];
    served = 0;
    assert_int_equal(dx_limit_due(limit, T0), DX_LIMIT_NEVER);
    assert_int_equal(stands(&callers[0], limit, 0, 2, T0), 0); // at once
    assert_int_equal(stands(&callers[1], limit, 1, 3, T0), 200 * MS);
    assert_int_equal(stands(&callers[2], limit, 2, 1, T0), 300 * MS); // one token is there, but not for this one
    assert_int_equal(stands(&callers[3], limit, 3, 1, T0 + 50 * MS), 350 * MS);
    dx_nanos wait;
    assert_int_equal(dx_limit_try(limit, 1, T0 + 100 * MS, &wait), DX_RATE_LIMITED);
    assert_int_equal(wait, 400 * MS);
    assert_int_equal(dx_limit_available(limit, T0 + 100 * MS), 0);
    assert_int_equal(dx_limit_due(limit, T0), T0 + 200 * MS);
    assert_int_equal(dx_limit_grant(limit, T0 + 200 * MS - 1), T0 + 200 * MS);
    assert_int_equal(served, 0);
    assert_int_equal(dx_limit_grant(limit, T0 + 200 * MS), T0 + 300 * MS);
    assert_int_equal(served, 1);
    assert_int_equal(dx_limit_grant(limit, T0 + 450 * MS), DX_LIMIT_NEVER); // late: two at once
    assert_int_equal(served, 3);
    for (int i = 0; i < 3; i++) assert_int_equal(order[i], i + 1);
    assert_true(callers[1].told && callers[1].status == DX_OK);
    dx_limit_stats stats;
    dx_limit_stats_read(limit, &stats);
    assert_int_equal(stats.granted, 4);
    assert_int_equal(stats.waited, 3);
    assert_int_equal(stats.wait_total, (200 + 450 + 400) * MS);
    assert_int_equal(stats.waiting, 0);
    assert_false(passes(limit, 1, T0 + 499 * MS));
    assert_true(passes(limit, 1, T0 + 500 * MS)); // the late ones were not given for nothing
    dx_limit_release(limit);
}

static void a_wait_past_the_deadline_is_refused_at_once(void **state) {
    (void)state;
    dx_limit *limit = made(10, DX_SECOND, 1);
    caller first, second = {.waiter = {.granted = note}};
    dx_nanos wait;
    assert_true(passes(limit, 1, T0));
    assert_int_equal(stands(&first, limit, 1, 1, T0), 100 * MS);
    assert_int_equal(dx_limit_enter(&wait, limit, &second.waiter, 1, T0 + 200 * MS - 1, T0), DX_RATE_LIMITED);
    assert_int_equal(wait, 200 * MS);
    assert_false(dx_limit_leave(limit, &second.waiter));
    assert_int_equal(dx_limit_enter(&wait, limit, &second.waiter, 1, T0 + 200 * MS, T0), DX_OK);
    assert_true(dx_limit_leave(limit, &first.waiter));
    second.waiter.deadline = T0 + 100 * MS; // as if entered so: to the last moment is in time
    (void)dx_limit_grant(limit, T0 + 100 * MS);
    assert_true(second.told && second.status == DX_OK);
    assert_int_equal(dx_limit_acquire(limit, 1, 0), DX_OK); // dx_clock_monotonic is what it is, but never waits here
    dx_limit_release(limit);
}

static void the_queue_has_a_cap(void **state) {
    (void)state;
    dx_limit *limit = made(10, DX_SECOND, 1);
    caller callers[8], more = {.waiter = {.granted = note}};
    dx_nanos wait;
    assert_true(passes(limit, 1, T0));
    for (int i = 0; i < 8; i++) (void)stands(&callers[i], limit, i, 1, T0);
    assert_int_equal(dx_limit_enter(&wait, limit, &more.waiter, 1, DX_LIMIT_NEVER, T0), DX_OVERLOADED);
    assert_int_equal(wait, 900 * MS);
    assert_true(dx_limit_leave(limit, &callers[3].waiter));
    assert_int_equal(dx_limit_enter(&wait, limit, &more.waiter, 1, DX_LIMIT_NEVER, T0), DX_OK);
    served = 0;
    assert_int_equal(dx_limit_grant(limit, T0 + 10 * DX_SECOND), T0 + 10 * DX_SECOND + 100 * MS);
    assert_int_equal(served, 1); // the burst, however late
    dx_limit_reset(limit, T0 + 10 * DX_SECOND);
    assert_int_equal(served, 2);
    for (int i = 0; i < 8; i++) (void)dx_limit_leave(limit, &callers[i].waiter);
    assert_true(dx_limit_leave(limit, &more.waiter));
    dx_limit_release(limit);
}

static void who_leaves_is_not_called_and_leaves_once(void **state) {
    (void)state;
    dx_limit *limit = made(10, DX_SECOND, 4);
    caller callers[3];
    served = 0;
    assert_true(passes(limit, 4, T0));
    assert_int_equal(stands(&callers[0], limit, 0, 4, T0), 400 * MS);
    assert_int_equal(stands(&callers[1], limit, 1, 1, T0), 500 * MS);
    assert_int_equal(stands(&callers[2], limit, 2, 1, T0), 600 * MS);
    assert_true(dx_limit_leave(limit, &callers[0].waiter));
    assert_false(dx_limit_leave(limit, &callers[0].waiter));
    assert_int_equal(dx_limit_due(limit, T0), T0 + 100 * MS); // nobody pays for the one who left
    assert_true(dx_limit_leave(limit, &callers[2].waiter));
    assert_int_equal(dx_limit_grant(limit, T0 + DX_SECOND), DX_LIMIT_NEVER);
    assert_int_equal(served, 1);
    assert_false(dx_limit_leave(limit, &callers[1].waiter)); // granted already
    assert_false(callers[0].told || callers[2].told);
    assert_int_equal(passing(limit, T0 + DX_SECOND), 3); // its tokens came back
    dx_limit_release(limit);
}

static void deadlines_that_cannot_be_kept_any_more_are_told_at_once(void **state) {
    (void)state;
    dx_limit *limit = made(10, DX_SECOND, 2);
    caller patient, hasty = {.waiter = {.granted = note}, .number = 7};
    dx_nanos wait;
    served = 0;
    assert_true(passes(limit, 2, T0));
    (void)stands(&patient, limit, 1, 1, T0);
    assert_int_equal(dx_limit_enter(&wait, limit, &hasty.waiter, 1, T0 + DX_SECOND, T0), DX_OK);
    dx_limit_pause_until(limit, T0 + 5 * DX_SECOND, T0);
    assert_int_equal(served, 1);
    assert_true(hasty.told && hasty.status == DX_RATE_LIMITED);
    assert_int_equal(dx_limit_due(limit, T0), T0 + 5 * DX_SECOND);
    hasty.told = false;
    assert_int_equal(dx_limit_enter(&wait, limit, &hasty.waiter, 1, T0 + 6 * DX_SECOND, T0), DX_OK);
    assert_int_equal(wait, 5 * DX_SECOND);                                           // the bucket is full by then
    assert_int_equal(dx_limit_grant(limit, T0 + 6 * DX_SECOND + 1), DX_LIMIT_NEVER); // its timer came too late
    assert_true(hasty.told && hasty.status == DX_RATE_LIMITED);
    assert_true(patient.told && patient.status == DX_OK);
    dx_limit_release(limit);
}

static void a_deadline_that_passes_in_the_queue_is_due(void **state) {
    (void)state;
    dx_limit *limit = made(10, DX_SECOND, 1);
    caller self = {.waiter = {.granted = note}};
    dx_nanos wait;
    served = 0;
    assert_true(passes(limit, 1, T0));
    assert_int_equal(dx_limit_enter(&wait, limit, &self.waiter, 1, T0 + 150 * MS, T0), DX_OK);
    assert_int_equal(dx_limit_update(limit, 1, DX_SECOND, 1, T0), DX_OK); // ten times slower now
    assert_int_equal(dx_limit_due(limit, T0), T0 + 150 * MS + 1);
    assert_int_equal(dx_limit_grant(limit, T0 + 150 * MS + 1), DX_LIMIT_NEVER);
    assert_int_equal(self.status, DX_RATE_LIMITED);
    dx_limit_release(limit);
}

static int moves;

static void moved(void *ctx) {
    (void)ctx;
    moves++;
}

static void changes_reach_those_who_wait(void **state) {
    (void)state;
    dx_limit *limit = made(1, DX_SECOND, 4);
    caller big, small, last;
    served = 0;
    moves = 0;
    dx_limit_watch(limit, moved, NULL);
    assert_true(passes(limit, 4, T0));
    assert_int_equal(stands(&big, limit, 1, 4, T0), 4 * DX_SECOND);
    assert_int_equal(stands(&small, limit, 2, 1, T0), 5 * DX_SECOND);
    assert_int_equal(stands(&last, limit, 3, 2, T0), 7 * DX_SECOND);
    assert_int_equal(dx_limit_update(limit, 100, DX_SECOND, 3, T0), DX_OK); // too small for the first one
    assert_true(big.told && big.status == DX_INVALID);
    assert_int_equal(moves, 1);
    assert_int_equal(dx_limit_due(limit, T0), T0 + 10 * MS);
    assert_true(dx_limit_leave(limit, &small.waiter));
    assert_int_equal(moves, 2);
    dx_limit_reset(limit, T0);
    assert_true(last.told && last.status == DX_OK);
    assert_int_equal(moves, 2); // nobody waits any more
    dx_limit_release(limit);
}

static caller again;

static void stand_again(dx_limit_waiter *waiter, dx_status status) {
    caller *self = DX_CONTAINER_OF(waiter, caller, waiter);
    assert_int_equal(status, DX_OK);
    assert_int_equal(stands(&again, self->limit, 9, 1, T0 + 100 * MS), 100 * MS);
}

static void who_is_granted_may_call_the_limit(void **state) {
    (void)state;
    dx_limit *limit = made(10, DX_SECOND, 1);
    caller self;
    served = 0;
    assert_true(passes(limit, 1, T0));
    (void)stands(&self, limit, 1, 1, T0);
    self.waiter.granted = stand_again;
    (void)dx_limit_grant(limit, T0 + 100 * MS);
    assert_int_equal(dx_limit_due(limit, T0 + 100 * MS), T0 + 200 * MS);
    (void)dx_limit_grant(limit, T0 + 200 * MS);
    assert_true(again.told);
    dx_limit_release(limit);
}

static void waits_behind_a_servers_word_are_told_at_the_rate_that_follows(void **state) {
    (void)state;
    dx_limit *limit = made(10, DX_SECOND, 1);
    caller callers[3];
    dx_limit_observe(limit, 0, 1, T0 + 10 * DX_SECOND, T0); // one until the reset
    assert_true(passes(limit, 1, T0));
    assert_int_equal(stands(&callers[0], limit, 0, 1, T0), 10 * DX_SECOND);
    assert_int_equal(stands(&callers[1], limit, 1, 1, T0), 10 * DX_SECOND + 100 * MS);
    served = 0;
    assert_int_equal(dx_limit_grant(limit, T0 + 10 * DX_SECOND), T0 + 10 * DX_SECOND + 100 * MS);
    assert_int_equal(served, 1);
    (void)dx_limit_grant(limit, T0 + 11 * DX_SECOND);
    assert_int_equal(served, 2);
    dx_limit_release(limit);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_full_bucket_gives_its_burst_and_then_one_each_interval),
        cmocka_unit_test(a_refusal_tells_the_wait_and_costs_nothing),
        cmocka_unit_test(fractions_of_tokens_do_not_get_lost),
        cmocka_unit_test(in_no_span_is_more_granted_than_burst_and_rate),
        cmocka_unit_test(what_no_bucket_holds_is_invalid),
        cmocka_unit_test(options_out_of_range_are_refused),
        cmocka_unit_test(an_update_keeps_what_was_used),
        cmocka_unit_test(reset_and_refund_fill_the_bucket),
        cmocka_unit_test(nothing_is_granted_before_a_pause_ends),
        cmocka_unit_test(what_remains_is_spread_until_the_reset),
        cmocka_unit_test(a_part_goes_at_once_and_the_others_in_even_steps),
        cmocka_unit_test(a_server_never_makes_it_faster),
        cmocka_unit_test(who_waits_is_served_in_order_and_nobody_passes),
        cmocka_unit_test(a_wait_past_the_deadline_is_refused_at_once),
        cmocka_unit_test(the_queue_has_a_cap),
        cmocka_unit_test(who_leaves_is_not_called_and_leaves_once),
        cmocka_unit_test(deadlines_that_cannot_be_kept_any_more_are_told_at_once),
        cmocka_unit_test(a_deadline_that_passes_in_the_queue_is_due),
        cmocka_unit_test(changes_reach_those_who_wait),
        cmocka_unit_test(who_is_granted_may_call_the_limit),
        cmocka_unit_test(waits_behind_a_servers_word_are_told_at_the_rate_that_follows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
