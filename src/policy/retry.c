#include "policy/retry.h"

#include "loop/alarm.h"
#include "policy/rate_headers.h"

typedef struct retry_state {
    dx_alarm alarm;
    dx_exchange *x;
    unsigned retries;
} retry_state;

static bool was_sent(const dx_exchange *x) {
    return x->failure != DX_ERROR_RESOLVE && x->failure != DX_ERROR_CONNECT && x->failure != DX_ERROR_QUEUE_FULL &&
           x->failure != DX_ERROR_LIMITED && x->failure != DX_ERROR_CIRCUIT_OPEN && x->failure != DX_ERROR_AUTH;
}

// Whether it may pass by itself.
static bool may_pass(const dx_retry_conf *conf, const dx_exchange *x) {
    if (x->failure == DX_ERROR_NONE) return dx_retry_on(conf, x->response.status);
    if (x->failure == DX_ERROR_TLS || x->failure == DX_ERROR_PROTOCOL) return false; // it will be so again
    switch (dx_error_category(x->failure)) {
    case DX_CATEGORY_NETWORK:
        return conf->on_network;
    case DX_CATEGORY_TIMEOUT:
        return conf->on_timeout;
    default:
        return false; // queue, limiter and breaker have their own waits, and are told
    }
}

static bool is_harmless(const dx_exchange *x) {
    return !was_sent(x) || (x->request.repeatable && !x->request.once);
}

bool dx_retry_may(const dx_retry_conf *conf, const dx_exchange *x) {
    return may_pass(conf, x) && is_harmless(x);
}

void dx_retry_read_wait(dx_exchange *x) {
    dx_rate_headers headers;
    int status = x->response.status;
    if (x->failure != DX_ERROR_NONE || (status < 400 && !(status >= 300 && status < 400))) return;
    dx_micros_utc now = dx_clock_utc();
    dx_rate_headers_read(&headers, &x->response.fields, NULL, 0, now);
    dx_nanos wait = status == 429 || status == 503 ? dx_rate_headers_wait(&headers, now)
                    : headers.has_retry_after      ? headers.retry_after
                                                   : 0;
    if (wait > 0) x->retry_after = wait;
}

static void go_again(dx_alarm *alarm) {
    retry_state *state = DX_CONTAINER_OF(alarm, retry_state, alarm);
    dx_exchange *x = state->x;
    dx_alarm_deinit(alarm);
    x->stop = NULL;
    dx_exchange_forget(x);
    dx_exchange_resume(x, DX_NEXT);
}

static void stop_waiting(dx_exchange *x) {
    dx_alarm_deinit(&((retry_state *)x->slots[DX_SLOT_RETRY])->alarm);
}

static retry_state *state_of(dx_exchange *x) {
    retry_state *state = x->slots[DX_SLOT_RETRY];
    if (state) return state;
    state = DX_ARENA_NEW(x->arena, retry_state);
    if (state) state->x = x;
    x->slots[DX_SLOT_RETRY] = state;
    return state;
}

static bool fits(const dx_retry_conf *conf, const dx_exchange *x, dx_nanos wait) {
    if (x->retry_after > conf->retry_after_cap) return false;
    return !x->deadline || dx_clock_monotonic() + wait < x->deadline;
}

static dx_verdict wait_and_go(const dx_retry_conf *conf, dx_exchange *x, retry_state *state, dx_nanos wait) {
    if (conf->retrying) conf->retrying(conf->ctx, x, wait);
    if (wait <= 0 || dx_alarm_init(&state->alarm, x->loop, go_again) != DX_OK) {
        dx_exchange_forget(x);
        return DX_NEXT;
    }
    dx_exchange_enter(x, DX_PHASE_BACKOFF, dx_clock_monotonic());
    x->stop = stop_waiting;
    dx_alarm_start(&state->alarm, wait);
    return DX_WAIT;
}

static dx_verdict retry_in(const void *ctx, dx_exchange *x) {
    const dx_retry_conf *conf = ctx;
    (void)x;
    if (conf->budget) dx_retry_budget_deposit(conf->budget);
    return DX_NEXT;
}

static dx_verdict retry_again(const void *ctx, dx_exchange *x) {
    const dx_retry_conf *conf = ctx;
    bool by_rule = may_pass(conf, x);
    if (!by_rule && (!conf->wanted || x->response.status == 0)) return DX_ANSWER;
    x->retry_after = 0;
    dx_retry_read_wait(x);
    if (x->attempt >= conf->attempts || !is_harmless(x)) return DX_ANSWER;
    if (conf->wanted && !conf->wanted(conf->ctx, x, by_rule)) return DX_ANSWER;
    retry_state *state = state_of(x);
    if (!state) return DX_ANSWER;
    dx_nanos wait = dx_backoff_wait(&conf->backoff, state->retries + 1, x->retry_after);
    if (conf->wait) wait = conf->wait(conf->ctx, x, wait);
    if (!fits(conf, x, wait)) return DX_ANSWER;
    if (conf->budget && !dx_retry_budget_withdraw(conf->budget, dx_clock_monotonic())) return DX_ANSWER;
    state->retries++;
    return wait_and_go(conf, x, state, wait);
}

const dx_filter_ops dx_retry_filter = {.name = "retry", .in = retry_in, .again = retry_again};
