// The word: the low 24 bits hold thousandths of tokens, the others milliseconds: the time up to which the reserve has been filled. That
// time counts only while there is less than the reserve; a withdrawal that goes below it starts it.
#include "policy/retry_budget.h"

enum { TOKEN = 1000, AMOUNT_BITS = 24 };

static const uint64_t AMOUNT_MASK = (1u << AMOUNT_BITS) - 1;

typedef struct purse {
    uint64_t amount, filled_at;
} purse;

static purse opened(uint64_t word) {
    return (purse){.amount = word & AMOUNT_MASK, .filled_at = word >> AMOUNT_BITS};
}
static uint64_t closed(purse of) {
    return of.filled_at << AMOUNT_BITS | of.amount;
}

static uint64_t millis(dx_nanos now) {
    return now > 0 ? (uint64_t)(now / DX_MILLISECOND) : 0;
}

dx_status dx_retry_budget_init(dx_retry_budget *budget, const dx_retry_budget_options *options, dx_nanos now) {
    if (options->deposit > TOKEN || options->refill > 1000 * TOKEN || options->capacity == 0) return DX_INVALID;
    if (options->capacity > DX_RETRY_BUDGET_TOKENS_CAP || options->reserve > options->capacity) return DX_INVALID;
    budget->options = *options;
    atomic_init(&budget->word, closed((purse){.amount = (uint64_t)options->reserve * TOKEN, .filled_at = millis(now)}));
    atomic_init(&budget->calls, 0);
    atomic_init(&budget->retries, 0);
    atomic_init(&budget->refused, 0);
    return DX_OK;
}

static void add(dx_retry_budget *budget, uint64_t amount) {
    uint64_t most = (uint64_t)budget->options.capacity * TOKEN, word = atomic_load_explicit(&budget->word, memory_order_relaxed);
    purse next;
    do {
        next = opened(word);
        if (next.amount >= most) return;
        next.amount = next.amount + amount < most ? next.amount + amount : most;
    } while (!atomic_compare_exchange_weak_explicit(&budget->word, &word, closed(next), memory_order_relaxed, memory_order_relaxed));
}

static void count(_Atomic(uint64_t) *counter) {
    (void)atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

void dx_retry_budget_deposit(dx_retry_budget *budget) {
    count(&budget->calls);
    add(budget, budget->options.deposit);
}

void dx_retry_budget_refund(dx_retry_budget *budget) {
    add(budget, TOKEN);
}

// With what has come to the reserve by itself. The time moves on by what was given for it, so that no part of a thousandth is lost.
static purse filled(const dx_retry_budget *budget, purse at, uint64_t now) {
    uint64_t reserve = (uint64_t)budget->options.reserve * TOKEN, refill = budget->options.refill;
    if (at.amount >= reserve) {
        at.filled_at = now;
    } else if (refill && now > at.filled_at) {
        uint64_t elapsed = now - at.filled_at, missing = reserve - at.amount;
        uint64_t given = elapsed > (missing * 1000 + refill) / refill ? missing : elapsed * refill / 1000;
        if (given > missing) given = missing;
        at.amount += given;
        at.filled_at = given == missing ? now : at.filled_at + given * 1000 / refill;
    }
    return at;
}

bool dx_retry_budget_withdraw(dx_retry_budget *budget, dx_nanos now) {
    uint64_t word = atomic_load_explicit(&budget->word, memory_order_relaxed);
    purse next;
    do {
        next = filled(budget, opened(word), millis(now));
        if (next.amount < TOKEN) {
            count(&budget->refused);
            return false;
        }
        next.amount -= TOKEN;
    } while (!atomic_compare_exchange_weak_explicit(&budget->word, &word, closed(next), memory_order_relaxed, memory_order_relaxed));
    count(&budget->retries);
    return true;
}

void dx_retry_budget_stats_read(dx_retry_budget *budget, dx_retry_budget_stats *out, dx_nanos now) {
    purse left = filled(budget, opened(atomic_load_explicit(&budget->word, memory_order_relaxed)), millis(now));
    out->thousandths = (uint32_t)left.amount;
    out->calls = atomic_load_explicit(&budget->calls, memory_order_relaxed);
    out->retries = atomic_load_explicit(&budget->retries, memory_order_relaxed);
    out->refused = atomic_load_explicit(&budget->refused, memory_order_relaxed);
}
