// The filter that sends again what failed and may pass: statuses that say so, broken connections, attempts that waited too long. Only what
// can do no harm: an idempotent request, one with an Idempotency-Key (x->request.repeatable), or one that was never sent. Retry-After is a
// floor and is obeyed up to a cap; past it, or past the deadline, the answer stands and tells the wait that was asked for (x->retry_after).
// A budget keeps retries a share of the traffic. (RFC 9110 section 9.2.2; docs/policy.md.)
#ifndef DX_POLICY_RETRY_H
#define DX_POLICY_RETRY_H

#include "exchange/chain.h"
#include "policy/backoff.h"
#include "policy/retry_budget.h"

typedef struct dx_retry_conf {
    unsigned attempts; // sent at most; 1: never again
    dx_backoff backoff;
    dx_nanos retry_after_cap;
    bool on_network, on_timeout;
    uint64_t on_status[4];   // a bit a status, from 400 on
    dx_retry_budget *budget; // NULL: none
    // The caller's own word, all on the exchange's loop; any may be NULL.
    bool (*wanted)(void *ctx, dx_exchange *x, bool by_rule); // whether to, when it can do no harm
    dx_nanos (*wait)(void *ctx, dx_exchange *x, dx_nanos by_rule);
    void (*retrying)(void *ctx, dx_exchange *x, dx_nanos wait);
    void *ctx;
} dx_retry_conf;

static inline bool dx_retry_on(const dx_retry_conf *conf, int status) {
    return status >= 400 && status < 656 && (conf->on_status[(status - 400) / 64] >> ((status - 400) % 64) & 1);
}
static inline void dx_retry_add_status(dx_retry_conf *conf, int status) {
    if (status >= 400 && status < 656) conf->on_status[(status - 400) / 64] |= (uint64_t)1 << ((status - 400) % 64);
}
// Whether what became of `x` may pass, and sending it again can do no harm: what the filter goes by, and what an error tells.
bool dx_retry_may(const dx_retry_conf *conf, const dx_exchange *x);
// The wait that the answer asks for, into x->retry_after (Retry-After, or a limit that is used up); leaves it when it asks for none.
void dx_retry_read_wait(dx_exchange *x);

extern const dx_filter_ops dx_retry_filter; // conf: dx_retry_conf

#endif
