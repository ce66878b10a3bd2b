// Whoever waits has an alarm of its own for the time it was told: when that rings it has the limit grant what is due, to itself and to
// those before it, who may be on other loops; they are told there.
#include "policy/limit_filter.h"

#include "base/memory.h"
#include "loop/alarm.h"
#include "policy/rate_headers.h"

// On the heap, as who grants has its task posted, and that may come by when the exchange is over.
typedef struct limit_wait {
    dx_limit_waiter waiter;
    dx_alarm alarm;
    dx_task task;
    dx_exchange *x;
    dx_loop *loop;
    dx_limit *limit; // held by this
    dx_status status;
    bool given_up; // the exchange went on without; the task that is on its way only gives back
} limit_wait;

static void let_go(void *ctx) {
    dx_limit_release(ctx);
}

static void forget(limit_wait *wait) {
    dx_alarm_deinit(&wait->alarm);
    dx_limit_release(wait->limit);
    dx_memory_free(wait);
}

// On the exchange's loop, whoever granted it.
static void told(dx_task *task) {
    limit_wait *wait = DX_CONTAINER_OF(task, limit_wait, task);
    dx_exchange *x = wait->x;
    dx_status status = wait->status;
    bool given_up = wait->given_up;
    if (given_up && status == DX_OK) dx_limit_refund(wait->limit, 1, dx_clock_monotonic());
    forget(wait);
    if (given_up) return; // `x` may be gone
    x->stop = NULL;
    if (status == DX_OK) return dx_exchange_resume(x, DX_NEXT);
    (void)dx_exchange_fail_out(x, DX_ERROR_LIMITED, "the wait at the rate limit has become too long");
    dx_exchange_resume(x, DX_ANSWER);
}

static void on_granted(dx_limit_waiter *waiter, dx_status status) {
    limit_wait *wait = DX_CONTAINER_OF(waiter, limit_wait, waiter);
    wait->status = status;
    wait->task.run = told;
    dx_loop_post(wait->loop, &wait->task);
}

static void on_alarm(dx_alarm *alarm) {
    limit_wait *wait = DX_CONTAINER_OF(alarm, limit_wait, alarm);
    dx_nanos now = dx_clock_monotonic(), due = dx_limit_grant(wait->limit, now);
    if (due == DX_LIMIT_NEVER) return; // it was granted, too
    dx_alarm_start(alarm, due > now ? due - now : DX_MILLISECOND);
}

static void stop_waiting(dx_exchange *x) {
    limit_wait *wait = x->slots[DX_SLOT_LIMIT];
    dx_alarm_deinit(&wait->alarm);
    x->slots[DX_SLOT_LIMIT] = NULL;
    if (dx_limit_leave(wait->limit, &wait->waiter))
        forget(wait);
    else
        wait->given_up = true; // its task is on its way
}

static dx_verdict refuse(dx_exchange *x, dx_status status, dx_nanos wait) {
    x->retry_after = wait;
    if (status == DX_OVERLOADED) return dx_exchange_fail_out(x, DX_ERROR_LIMITED, "too many calls wait at the rate limit");
    return dx_exchange_fail_out(x, DX_ERROR_LIMITED, "it would have to wait %lld ms at the rate limit", (long long)(wait / DX_MILLISECOND));
}

// The limit for this exchange, held by it.
static dx_status find(dx_limit **out, const dx_limit_conf *conf, dx_exchange *x) {
    if (conf->limit) {
        *out = conf->limit;
        return DX_OK;
    }
    dx_slice key = x->principal ? x->principal->id : DX_SLICE("-");
    dx_status status = dx_limits_get(out, conf->by_credential, key, &conf->options, dx_clock_monotonic());
    return status == DX_OK ? dx_arena_defer(x->arena, let_go, *out) : status;
}

static dx_verdict limit_in(const void *ctx, dx_exchange *x) {
    const dx_limit_conf *conf = ctx;
    dx_limit *limit;
    dx_nanos now = dx_clock_monotonic(), wait_for, until = now + conf->max_wait;
    dx_status status = find(&limit, conf, x);
    if (status != DX_OK) return dx_exchange_fail_out(x, DX_ERROR_NO_MEMORY, NULL);
    if (DX_LIKELY(dx_limit_try(limit, 1, now, &wait_for) == DX_OK)) return DX_NEXT;
    limit_wait *wait = dx_memory_zalloc(1, sizeof *wait);
    if (!wait) return dx_exchange_fail_out(x, DX_ERROR_NO_MEMORY, NULL);
    if (x->deadline && x->deadline < until) until = x->deadline;
    wait->x = x;
    wait->loop = x->loop;
    wait->limit = dx_limit_hold(limit);
    wait->waiter.granted = on_granted;
    if (dx_alarm_init(&wait->alarm, x->loop, on_alarm) != DX_OK) {
        forget(wait);
        return dx_exchange_fail_out(x, DX_ERROR_NO_MEMORY, NULL);
    }
    status = dx_limit_enter(&wait_for, limit, &wait->waiter, 1, until, now);
    if (status == DX_OK && wait_for == 0) {
        forget(wait);
        return DX_NEXT;
    }
    if (status != DX_OK) {
        forget(wait);
        return refuse(x, status, wait_for);
    }
    x->slots[DX_SLOT_LIMIT] = wait;
    dx_exchange_enter(x, DX_PHASE_LIMIT, now);
    x->stop = stop_waiting;
    dx_alarm_start(&wait->alarm, wait_for);
    return DX_WAIT;
}

// What the server says of its limits slows the next ones down.
static void limit_out(const void *ctx, dx_exchange *x) {
    const dx_limit_conf *conf = ctx;
    dx_rate_headers headers;
    dx_limit *limit;
    if (!conf->adaptive || x->failure != DX_ERROR_NONE || x->response.fields.count == 0) return;
    dx_micros_utc utc = dx_clock_utc();
    dx_rate_headers_read(&headers, &x->response.fields, conf->names, conf->name_count, utc);
    bool pauses = headers.has_retry_after && (x->response.status == 429 || x->response.status == 503);
    bool tells = headers.has_remaining && headers.has_reset;
    if ((!pauses && !tells) || find(&limit, conf, x) != DX_OK) return;
    dx_nanos now = dx_clock_monotonic();
    if (pauses && headers.retry_after > 0) dx_limit_pause_until(limit, now + headers.retry_after, now);
    if (tells)
        dx_limit_observe(limit, headers.has_limit ? headers.limit : 0, headers.remaining, now + (headers.reset_at - utc) * 1000, now);
}

const dx_filter_ops dx_limit_filter = {.name = "limit", .in = limit_in, .out = limit_out};
