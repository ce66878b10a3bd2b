#include "policy/breaker_filter.h"

typedef struct breaker_state {
    dx_breaker_ticket ticket;
    dx_nanos since;
} breaker_state;

static dx_verdict breaker_in(const void *conf, dx_exchange *x) {
    dx_breaker *breaker = (dx_breaker *)(uintptr_t)conf;
    breaker_state *state = x->slots[DX_SLOT_BREAKER];
    dx_nanos retry_after;
    if (!state) x->slots[DX_SLOT_BREAKER] = state = DX_ARENA_NEW(x->arena, breaker_state);
    if (!state) return dx_exchange_fail_out(x, DX_ERROR_NO_MEMORY, NULL);
    state->since = dx_clock_monotonic();
    if (dx_breaker_allow(breaker, &state->ticket, state->since, &retry_after) == DX_OK) return DX_NEXT;
    x->retry_after = retry_after;
    return dx_exchange_fail_out(x, DX_ERROR_CIRCUIT_OPEN, "too many calls to it failed; it is tried again in %lld ms",
                                (long long)((retry_after + DX_MILLISECOND - 1) / DX_MILLISECOND));
}

static dx_breaker_outcome outcome_of(const dx_exchange *x) {
    if (x->failure == DX_ERROR_NONE) return x->response.status >= 500 ? DX_BREAKER_FAILED : DX_BREAKER_WELL;
    switch (x->failure) { // nothing is known of the upstream
    case DX_ERROR_CANCELLED:
    case DX_ERROR_CLOSED:
    case DX_ERROR_NO_MEMORY:
    case DX_ERROR_LIMITED:
    case DX_ERROR_QUEUE_FULL:
    case DX_ERROR_AUTH:
    case DX_ERROR_FILE:
    case DX_ERROR_BLOCKED:
        return DX_BREAKER_CANCELLED;
    default:
        return DX_BREAKER_FAILED;
    }
}

static void breaker_out(const void *conf, dx_exchange *x) {
    const breaker_state *state = x->slots[DX_SLOT_BREAKER];
    dx_nanos now = dx_clock_monotonic();
    dx_breaker_report((dx_breaker *)(uintptr_t)conf, state->ticket, outcome_of(x), now - state->since, now);
}

const dx_filter_ops dx_breaker_filter = {.name = "breaker", .in = breaker_in, .out = breaker_out};
