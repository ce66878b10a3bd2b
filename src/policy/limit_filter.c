// Whoever waits has an alarm of its own for the time it was told: when that rings it has the limit grant what is due, to itself and to
// those before it, who may be on other loops; they are told there. A place in the queue has memory of its own, for another thread may be
// granting it while the exchange goes.
//
// A limit that processes share is asked behind the process's own: that one keeps the order, bears what servers say, and is what counts when
// the shared one is out of reach.
#include "policy/limit_filter.h"

#include <sched.h>
#include <stdatomic.h>

#include "base/memory.h"
#include "loop/alarm.h"
#include "policy/rate_headers.h"

// At the process's own limit.
typedef struct limit_wait {
    dx_limit_waiter waiter;
    dx_alarm alarm;
    dx_task task, sooner;
    atomic_bool sooner_posted, posted;
    const dx_limit_conf *conf;
    dx_exchange *x; // NULL: it went on without
    dx_loop *loop;
    dx_limit *limit; // held
    dx_nanos until;
    dx_status status;
    atomic_int parts; // who still looks in here: the thread that grants, and the tasks that are posted
} limit_wait;

// At the one in Redis.
typedef struct shared_wait {
    dx_exchange *x;
    dx_limit *limit; // held by the exchange
    dx_limit_ask *ask;
} shared_wait;

static void let_go(void *ctx) {
    dx_limit_release(ctx);
}

static dx_verdict refuse(dx_exchange *x, dx_status status, dx_nanos wait) {
    x->retry_after = wait;
    if (status == DX_OVERLOADED) return dx_exchange_fail_out(x, DX_ERROR_LIMITED, "too many calls wait at the rate limit");
    if (wait == 0) return dx_exchange_fail_out(x, DX_ERROR_LIMITED, "the wait at the rate limit has become too long");
    return dx_exchange_fail_out(x, DX_ERROR_LIMITED, "it would have to wait %lld ms at the rate limit", (long long)(wait / DX_MILLISECOND));
}

// --- shared ----------------------------------------------------------------------------------------------------------------------------

static dx_verdict judge_shared(dx_exchange *x, dx_limit *limit, dx_status status, dx_nanos wait) {
    if (status == DX_OK || status == DX_UNAVAILABLE) return DX_NEXT; // without Redis what this process allows is what counts
    dx_limit_refund(limit, 1, dx_clock_monotonic());
    return refuse(x, status, wait);
}

static void on_shared(void *ctx, dx_status status, dx_nanos wait) {
    shared_wait *shared = ctx;
    dx_exchange *x = shared->x;
    x->stop = NULL;
    dx_exchange_resume(x, judge_shared(x, shared->limit, status, wait));
}

static void stop_sharing(dx_exchange *x) {
    shared_wait *shared = x->slots[DX_SLOT_LIMIT];
    dx_limit_redis_cancel(shared->ask);
    dx_limit_refund(shared->limit, 1, dx_clock_monotonic());
}

// This process allows it; now all of them together.
static dx_verdict ask_shared(const dx_limit_conf *conf, dx_exchange *x, dx_limit *limit, dx_nanos until) {
    if (!conf->shared) return DX_NEXT;
    shared_wait *shared = DX_ARENA_NEW(x->arena, shared_wait);
    if (!shared) return DX_NEXT;
    dx_nanos wait;
    dx_slice key = conf->limit ? (dx_slice){"", 0} : x->principal ? x->principal->id : DX_SLICE("-");
    *shared = (shared_wait){.x = x, .limit = limit};
    dx_status status = dx_limit_redis_ask(&shared->ask, conf->shared, x->loop, key, until, on_shared, shared, &wait);
    if (!shared->ask) return judge_shared(x, limit, status, wait);
    x->slots[DX_SLOT_LIMIT] = shared;
    x->stop = stop_sharing;
    dx_exchange_enter(x, DX_PHASE_LIMIT, dx_clock_monotonic());
    return DX_WAIT;
}

// --- waiting ---------------------------------------------------------------------------------------------------------------------------

static void drop(limit_wait *wait) {
    if (atomic_fetch_sub_explicit(&wait->parts, 1, memory_order_acq_rel) != 1) return;
    dx_limit_release(wait->limit);
    dx_memory_free(wait);
}

// On the exchange's loop, whoever granted it.
static void told(dx_task *task) {
    limit_wait *wait = DX_CONTAINER_OF(task, limit_wait, task);
    dx_exchange *x = wait->x;
    dx_verdict verdict = DX_ANSWER;
    if (!x && wait->status == DX_OK) dx_limit_refund(wait->limit, 1, dx_clock_monotonic());
    if (x) {
        dx_alarm_deinit(&wait->alarm);
        wait->x = NULL;
        x->stop = NULL;
        verdict = wait->status == DX_OK ? ask_shared(wait->conf, x, wait->limit, wait->until) : refuse(x, DX_RATE_LIMITED, 0);
    }
    drop(wait);
    if (x && verdict != DX_WAIT) dx_exchange_resume(x, verdict);
}

static void on_granted(dx_limit_waiter *waiter, dx_status status) {
    limit_wait *wait = DX_CONTAINER_OF(waiter, limit_wait, waiter);
    wait->status = status;
    dx_loop_post(wait->loop, &wait->task);
    atomic_store_explicit(&wait->posted, true, memory_order_release);
    drop(wait);
}

static void on_alarm(dx_alarm *alarm) {
    limit_wait *wait = DX_CONTAINER_OF(alarm, limit_wait, alarm);
    dx_nanos now = dx_clock_monotonic(), due = dx_limit_grant(wait->limit, now);
    if (due == DX_LIMIT_NEVER) return; // it was granted, too
    dx_alarm_start(alarm, due > now ? due - now : DX_MILLISECOND);
}

// The time has come nearer.
static void on_sooner(dx_task *task) {
    limit_wait *wait = DX_CONTAINER_OF(task, limit_wait, sooner);
    atomic_store(&wait->sooner_posted, false);
    if (wait->x) on_alarm(&wait->alarm);
    drop(wait);
}

static void nudge(dx_limit_waiter *waiter) {
    limit_wait *wait = DX_CONTAINER_OF(waiter, limit_wait, waiter);
    if (atomic_exchange(&wait->sooner_posted, true)) return;
    (void)atomic_fetch_add_explicit(&wait->parts, 1, memory_order_relaxed);
    dx_loop_post(wait->loop, &wait->sooner);
}

static void stop_waiting(dx_exchange *x) {
    limit_wait *wait = x->slots[DX_SLOT_LIMIT];
    dx_alarm_deinit(&wait->alarm);
    wait->x = NULL;
    if (dx_limit_leave(wait->limit, &wait->waiter)) { // nobody will look
        drop(wait);
        return drop(wait);
    }
    // Another thread has granted it, or is about to; the loop must not go before that one has posted, which is all it still does.
    while (!atomic_load_explicit(&wait->posted, memory_order_acquire)) (void)sched_yield();
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

static limit_wait *make_wait(const dx_limit_conf *conf, dx_exchange *x, dx_limit *limit, dx_nanos until) {
    limit_wait *wait = dx_memory_zalloc(1, sizeof *wait);
    if (!wait) return NULL;
    if (dx_alarm_init(&wait->alarm, x->loop, on_alarm) != DX_OK) {
        dx_memory_free(wait);
        return NULL;
    }
    wait->conf = conf;
    wait->x = x;
    wait->loop = x->loop;
    wait->limit = dx_limit_hold(limit);
    wait->until = until;
    wait->waiter.granted = on_granted;
    wait->waiter.nudge = nudge;
    wait->sooner.run = on_sooner;
    wait->task.run = told;
    atomic_init(&wait->parts, 2);
    return wait;
}

static void unmake(limit_wait *wait) {
    dx_alarm_deinit(&wait->alarm);
    dx_limit_release(wait->limit);
    dx_memory_free(wait);
}

static dx_verdict stand_in_line(const dx_limit_conf *conf, dx_exchange *x, dx_limit *limit, dx_nanos until, dx_nanos now) {
    dx_nanos wait_for;
    limit_wait *wait = make_wait(conf, x, limit, until);
    if (!wait) return dx_exchange_fail_out(x, DX_ERROR_NO_MEMORY, NULL);
    // Before it is entered: another thread may grant at once.
    x->slots[DX_SLOT_LIMIT] = wait;
    dx_status status = dx_limit_enter(&wait_for, limit, &wait->waiter, 1, until, now);
    if (status != DX_OK || wait_for == 0) {
        unmake(wait);
        return status == DX_OK ? ask_shared(conf, x, limit, until) : refuse(x, status, wait_for);
    }
    dx_exchange_enter(x, DX_PHASE_LIMIT, now);
    x->stop = stop_waiting;
    dx_alarm_start(&wait->alarm, wait_for);
    return DX_WAIT;
}

static dx_verdict limit_in(const void *ctx, dx_exchange *x) {
    const dx_limit_conf *conf = ctx;
    dx_limit *limit;
    dx_nanos now = dx_clock_monotonic(), wait_for, until = now + conf->max_wait;
    if (find(&limit, conf, x) != DX_OK) return dx_exchange_fail_out(x, DX_ERROR_NO_MEMORY, NULL);
    if (x->deadline && x->deadline < until) until = x->deadline;
    if (DX_LIKELY(dx_limit_try(limit, 1, now, &wait_for) == DX_OK)) return ask_shared(conf, x, limit, until);
    return stand_in_line(conf, x, limit, until, now);
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
