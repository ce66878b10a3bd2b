// When to send a second copy. The budget is a retry budget without a reserve: what calls have not put in can't be taken out.
#include "policy/hedge.h"

dx_status dx_hedge_init(dx_hedge *hedge, const dx_hedge_options *options) {
    bool percent = options->percent > 0 && options->percent < 100; // false for what is no number
    bool bounds = options->min_delay >= 0 && options->max_delay >= options->min_delay;
    bool delay = options->delay > 0 || (options->delay == 0 && options->latency && percent && bounds);
    bool share = options->share_thousandths >= 1 && options->share_thousandths <= DX_HEDGE_SHARE_CAP;
    if (!delay || !share) return DX_INVALID;
    dx_retry_budget_options budget = {.deposit = options->share_thousandths, .capacity = options->saved};
    dx_status status = dx_retry_budget_init(&hedge->budget, &budget, 0);
    if (status != DX_OK) return status;
    hedge->options = *options;
    atomic_init(&hedge->delay, DX_HEDGE_NEVER);
    atomic_init(&hedge->until_renewal, 0);
    atomic_init(&hedge->won, 0);
    return DX_OK;
}

// A walk over the latencies each time would cost more than it tells.
static dx_nanos percentile_delay(dx_hedge *hedge) {
    const dx_hedge_options *options = &hedge->options;
    unsigned left = atomic_fetch_sub_explicit(&hedge->until_renewal, 1, memory_order_relaxed);
    if (left != 0) return atomic_load_explicit(&hedge->delay, memory_order_relaxed);
    atomic_store_explicit(&hedge->until_renewal, DX_HEDGE_RENEWAL - 1, memory_order_relaxed);
    dx_nanos delay = options->latency(options->latency_ctx, options->percent);
    if (delay >= 0 && delay < options->min_delay) delay = options->min_delay;
    if (delay > options->max_delay) delay = options->max_delay;
    if (delay < 0) delay = DX_HEDGE_NEVER;
    atomic_store_explicit(&hedge->delay, delay, memory_order_relaxed);
    return delay;
}

dx_nanos dx_hedge_begin(dx_hedge *hedge) {
    dx_retry_budget_deposit(&hedge->budget);
    return hedge->options.delay ? hedge->options.delay : percentile_delay(hedge);
}

bool dx_hedge_send(dx_hedge *hedge) {
    return dx_retry_budget_withdraw(&hedge->budget, 0); // nothing fills by time
}

void dx_hedge_won(dx_hedge *hedge) {
    (void)atomic_fetch_add_explicit(&hedge->won, 1, memory_order_relaxed);
}

void dx_hedge_stats_read(dx_hedge *hedge, dx_hedge_stats *out) {
    dx_retry_budget_stats budget;
    dx_retry_budget_stats_read(&hedge->budget, &budget, 0);
    *out = (dx_hedge_stats){.calls = budget.calls, .sent = budget.retries, .refused = budget.refused};
    out->won = atomic_load_explicit(&hedge->won, memory_order_relaxed);
    out->delay = hedge->options.delay ? hedge->options.delay : atomic_load_explicit(&hedge->delay, memory_order_relaxed);
}

dx_nanos dx_hedge_percentile(void *histogram, double percent) {
    if (dx_histogram_count(histogram) < DX_HEDGE_MIN_COUNT) return DX_HEDGE_NEVER;
    return dx_histogram_percentile(histogram, percent);
}
