// A retry budget, one an upstream: each call puts a part of a token in, each retry takes one out, so that retries stay a share of the
// traffic when all fails at once, instead of multiplying it. (The idea of Finagle's RetryBudget and of the AWS SDKs' retry quota; "The SRE
// Book", chapter 22.) A small reserve, which fills again slowly by itself, lets those retry who call seldom. One atomic word: the tokens in
// thousandths, and since when the reserve fills. All calls are for any thread.
#ifndef DX_POLICY_RETRY_BUDGET_H
#define DX_POLICY_RETRY_BUDGET_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/compiler.h"
#include "base/status.h"

#define DX_RETRY_BUDGET_TOKENS_CAP 16000u

typedef struct dx_retry_budget_options {
    uint32_t deposit;  // of a call, thousandths of a token; up to 1000
    uint32_t reserve;  // tokens that are there at first, and to which it fills by itself
    uint32_t refill;   // of that, thousandths of a token in a second; up to 1000000
    uint32_t capacity; // tokens it holds at most; from 1, and not below the reserve
} dx_retry_budget_options;
#define DX_RETRY_BUDGET_INIT                                                                                                               \
    { .deposit = 200, .reserve = 10, .refill = 200, .capacity = 100 }

typedef struct dx_retry_budget {
    dx_retry_budget_options options; // not changed after init
    _Atomic(uint64_t) word;
    _Atomic(uint64_t) calls, retries, refused;
} dx_retry_budget;

// DX_INVALID: out of range.
dx_status dx_retry_budget_init(dx_retry_budget *budget, const dx_retry_budget_options *options, dx_nanos now) DX_MUST_USE;
// A call begins (its first attempt).
void dx_retry_budget_deposit(dx_retry_budget *budget);
// Whether a retry may be sent: takes its token. False costs nothing.
bool dx_retry_budget_withdraw(dx_retry_budget *budget, dx_nanos now) DX_MUST_USE;
// Gives a token back for a retry that was not sent after all.
void dx_retry_budget_refund(dx_retry_budget *budget);

typedef struct dx_retry_budget_stats {
    uint64_t calls, retries, refused;
    uint32_t thousandths; // what is left
} dx_retry_budget_stats;
void dx_retry_budget_stats_read(dx_retry_budget *budget, dx_retry_budget_stats *out, dx_nanos now);

#endif
