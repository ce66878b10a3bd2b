// The program's own limiters, over policy/limit. A turn that is taken with a client is told on an engine's thread: whoever grants posts it
// there. It is freed when the program, whoever grants and the tasks that are posted have all let go.
#include <math.h>
#include <sched.h>
#include <stdatomic.h>

#include "base/memory.h"
#include "client/client.h"
#include "client/fail.h"
#include "duplex/limit.h"
#include "loop/alarm.h"
#include "policy/limit.h"
#include "policy/rate_headers.h"

struct dx_limiter {
    dx_limit *limit;
    atomic_size_t holders;
    pthread_mutex_t lock; // of what was configured last
    uint32_t max_requests, burst;
    int64_t window_ms;
};

struct dx_limiter_turn {
    dx_limit_waiter waiter;
    dx_alarm alarm;
    dx_task begin, finish, sooner;
    dx_limiter *limiter; // held
    dx_engine *engine;   // NULL: without a client
    dx_limiter_done done;
    void *ctx;
    dx_nanos due;
    atomic_int holders;
    dx_error_code code;
    atomic_bool posted; // its end
    atomic_bool sooner_posted;
    bool linked, over; // on the engine's thread
    dx_limiter_turn *next, **link;
};

// --- limiters --------------------------------------------------------------------------------------------------------------------------

static dx_error_code refuse(dx_error *error, const char *why) {
    return dx_fail(error, DX_ERROR_ARGUMENT, "a rate limiter %s", why);
}

static dx_error_code read_options(dx_limit_options *out, const dx_limiter_options *given, dx_limiter_options *whole, dx_error *error) {
    static const dx_limiter_options standard = DX_LIMITER_OPTIONS_INIT;
    *whole = standard;
    if (given) memcpy(whole, given, given->size < sizeof *whole ? given->size : sizeof *whole);
    if (whole->time_window_ms < 1 || whole->time_window_ms > DX_LIMIT_FILL_CAP / DX_MILLISECOND)
        return refuse(error, "has a window of 1 ms to 366 days");
    if (!(whole->reserve >= 0 && whole->reserve <= 1)) return refuse(error, "has a reserve of 0 to 1");
    if (whole->pause_max_ms < 0 || whole->pause_max_ms > DX_LIMIT_PAUSE_CAP / DX_MILLISECOND)
        return refuse(error, "bears pauses of a day at most");
    *out = (dx_limit_options){.max_requests = whole->max_requests,
                              .window = whole->time_window_ms * DX_MILLISECOND,
                              .burst = whole->burst,
                              .queue = whole->max_waiting,
                              .reserve_thousandths = (uint32_t)lround(whole->reserve * 1000),
                              .pause_max = whole->pause_max_ms * DX_MILLISECOND};
    return DX_ERROR_NONE;
}

dx_error_code dx_limiter_create(dx_limiter **out, const dx_limiter_options *options, dx_error *error) {
    dx_limiter_options whole;
    dx_limit_options inner;
    *out = NULL;
    if (error) *error = (dx_error)DX_ERROR_INIT;
    dx_error_code code = read_options(&inner, options, &whole, error);
    if (code) return code;
    dx_limiter *limiter = dx_memory_zalloc(1, sizeof *limiter);
    dx_status status = limiter ? dx_limit_create(&limiter->limit, &inner) : DX_NO_MEMORY;
    if (status != DX_OK) {
        dx_memory_free(limiter);
        if (status == DX_NO_MEMORY) return dx_fail(error, DX_ERROR_NO_MEMORY, "there is no memory for a rate limiter");
        return refuse(error,
                      "needs max_requests of 1 to 100 million a second, at most 65536 waiting, and a bucket that is full within a year");
    }
    atomic_init(&limiter->holders, 1);
    (void)pthread_mutex_init(&limiter->lock, NULL);
    limiter->max_requests = whole.max_requests;
    limiter->burst = whole.burst ? whole.burst : whole.max_requests;
    limiter->window_ms = whole.time_window_ms;
    *out = limiter;
    return DX_ERROR_NONE;
}

dx_limiter *dx_limiter_hold(dx_limiter *limiter) {
    (void)atomic_fetch_add_explicit(&limiter->holders, 1, memory_order_relaxed);
    return limiter;
}

void dx_limiter_release(dx_limiter *limiter) {
    if (!limiter || atomic_fetch_sub_explicit(&limiter->holders, 1, memory_order_acq_rel) != 1) return;
    dx_limit_release(limiter->limit);
    (void)pthread_mutex_destroy(&limiter->lock);
    dx_memory_free(limiter);
}

static dx_error_code code_of(dx_status status) {
    switch (status) {
    case DX_OK:
        return DX_ERROR_NONE;
    case DX_RATE_LIMITED:
        return DX_ERROR_LIMITED;
    case DX_OVERLOADED:
        return DX_ERROR_QUEUE_FULL;
    case DX_NO_MEMORY:
        return DX_ERROR_NO_MEMORY;
    default:
        return DX_ERROR_ARGUMENT;
    }
}

static int64_t up_to_ms(dx_nanos time) {
    return time / DX_MILLISECOND + (time % DX_MILLISECOND > 0);
}

static dx_nanos timeout_of(int64_t ms) {
    if (ms < 0) return -1;
    return ms < DX_LIMIT_TIME_CAP / 2 / DX_MILLISECOND ? ms * DX_MILLISECOND : DX_LIMIT_TIME_CAP / 2;
}

dx_error_code dx_limiter_acquire(dx_limiter *limiter, uint32_t n, int64_t timeout_ms) {
    return code_of(dx_limit_acquire(limiter->limit, n, timeout_of(timeout_ms)));
}

dx_error_code dx_limiter_try(dx_limiter *limiter, uint32_t n, int64_t *wait_ms) {
    dx_nanos wait = 0;
    dx_status status = dx_limit_try(limiter->limit, n, dx_clock_monotonic(), &wait);
    if (wait_ms) *wait_ms = status == DX_RATE_LIMITED ? up_to_ms(wait) : 0;
    return code_of(status);
}

void dx_limiter_refund(dx_limiter *limiter, uint32_t n) {
    dx_limit_refund(limiter->limit, n, dx_clock_monotonic());
}

uint32_t dx_limiter_available(dx_limiter *limiter) {
    return dx_limit_available(limiter->limit, dx_clock_monotonic());
}

static int64_t due_ms(dx_nanos due) {
    if (due == DX_LIMIT_NEVER) return -1;
    dx_nanos left = due - dx_clock_monotonic();
    return left > 0 ? up_to_ms(left) : 0;
}

int64_t dx_limiter_due_ms(dx_limiter *limiter) {
    return due_ms(dx_limit_due(limiter->limit, dx_clock_monotonic()));
}

int64_t dx_limiter_grant(dx_limiter *limiter) {
    return due_ms(dx_limit_grant(limiter->limit, dx_clock_monotonic()));
}

void dx_limiter_reset(dx_limiter *limiter) {
    dx_limit_reset(limiter->limit, dx_clock_monotonic());
}

dx_error_code dx_limiter_update(dx_limiter *limiter, uint32_t max_requests, int64_t time_window_ms, uint32_t burst) {
    if (time_window_ms < 1 || time_window_ms > DX_LIMIT_FILL_CAP / DX_MILLISECOND) return DX_ERROR_ARGUMENT;
    pthread_mutex_lock(&limiter->lock);
    dx_status status = dx_limit_check(max_requests, time_window_ms * DX_MILLISECOND, burst);
    if (status == DX_OK) {
        limiter->max_requests = max_requests;
        limiter->burst = burst ? burst : max_requests;
        limiter->window_ms = time_window_ms;
    }
    pthread_mutex_unlock(&limiter->lock);
    if (status != DX_OK) return code_of(status);
    return code_of(dx_limit_update(limiter->limit, max_requests, time_window_ms * DX_MILLISECOND, burst, dx_clock_monotonic()));
}

void dx_limiter_observe(dx_limiter *limiter, int http_status, const dx_header *headers) {
    enum { CAP = 64 };
    dx_field items[CAP];
    dx_fields fields = {items, 0, CAP};
    dx_rate_headers said;
    for (; headers && headers->name && fields.count < CAP; headers++) {
        dx_slice name = dx_slice_str(headers->name);
        if (headers->value) items[fields.count++] = (dx_field){name, dx_slice_trim(dx_slice_str(headers->value)), dx_field_lookup(name)};
    }
    dx_micros_utc utc = dx_clock_utc();
    dx_nanos now = dx_clock_monotonic();
    dx_rate_headers_read(&said, &fields, NULL, 0, utc);
    bool pauses = said.has_retry_after && (http_status == 429 || http_status == 503);
    if (pauses && said.retry_after > 0) dx_limit_pause_until(limiter->limit, now + said.retry_after, now);
    if (said.has_remaining && said.has_reset)
        dx_limit_observe(limiter->limit, said.has_limit ? said.limit : 0, said.remaining, now + (said.reset_at - utc) * 1000, now);
}

void dx_limiter_read(dx_limiter *limiter, dx_limiter_stats *out) {
    dx_limiter_stats all = DX_LIMITER_STATS_INIT;
    dx_limit_stats stats;
    uint32_t size = out->size < sizeof all ? out->size : (uint32_t)sizeof all;
    dx_limit_stats_read(limiter->limit, &stats);
    pthread_mutex_lock(&limiter->lock);
    all.max_requests = limiter->max_requests;
    all.burst = limiter->burst;
    all.time_window_ms = limiter->window_ms;
    pthread_mutex_unlock(&limiter->lock);
    all.limits = 1;
    all.available = dx_limiter_available(limiter);
    all.waiting = stats.waiting;
    all.granted = stats.granted;
    all.denied = stats.denied;
    all.waited = stats.waited;
    all.wait_total_ns = (int64_t)stats.wait_total;
    all.size = out->size;
    memcpy(out, &all, size);
}

// --- turns -----------------------------------------------------------------------------------------------------------------------------

static void drop(dx_limiter_turn *turn) {
    if (atomic_fetch_sub_explicit(&turn->holders, 1, memory_order_acq_rel) != 1) return;
    dx_limiter_release(turn->limiter);
    dx_memory_free(turn);
}

static void tell(dx_limiter_turn *turn) {
    turn->done(turn->ctx, turn->code);
}

// On the engine's thread: over, once.
static void end(dx_limiter_turn *turn) {
    turn->over = true;
    if (turn->linked) {
        *turn->link = turn->next;
        if (turn->next) turn->next->link = turn->link;
        turn->linked = false;
    }
    dx_alarm_deinit(&turn->alarm);
    tell(turn);
    drop(turn);
}

static void on_finish(dx_task *task) {
    end(DX_CONTAINER_OF(task, dx_limiter_turn, finish));
}

// Any thread: it has ended with turn->code, and nobody else will say otherwise. Takes the granter's hold.
static void settle(dx_limiter_turn *turn) {
    if (turn->engine) {
        dx_loop_post(turn->engine->loop, &turn->finish);
        atomic_store_explicit(&turn->posted, true, memory_order_release);
        drop(turn);
    } else {
        tell(turn);
        drop(turn);
        drop(turn);
    }
}

static void on_granted(dx_limit_waiter *waiter, dx_status status) {
    dx_limiter_turn *turn = DX_CONTAINER_OF(waiter, dx_limiter_turn, waiter);
    turn->code = code_of(status);
    settle(turn);
}

static void on_alarm(dx_alarm *alarm) {
    dx_limiter_turn *turn = DX_CONTAINER_OF(alarm, dx_limiter_turn, alarm);
    dx_nanos now = dx_clock_monotonic(), due = dx_limit_grant(turn->limiter->limit, now);
    if (due != DX_LIMIT_NEVER) dx_alarm_start(alarm, due > now ? due - now : DX_MILLISECOND);
}

static void on_sooner(dx_task *task) {
    dx_limiter_turn *turn = DX_CONTAINER_OF(task, dx_limiter_turn, sooner);
    atomic_store(&turn->sooner_posted, false);
    if (turn->linked) on_alarm(&turn->alarm);
    drop(turn);
}

// Under the limit's lock.
static void on_nudge(dx_limit_waiter *waiter) {
    dx_limiter_turn *turn = DX_CONTAINER_OF(waiter, dx_limiter_turn, waiter);
    if (!turn->engine || atomic_exchange(&turn->sooner_posted, true)) return;
    (void)atomic_fetch_add_explicit(&turn->holders, 1, memory_order_relaxed);
    dx_loop_post(turn->engine->loop, &turn->sooner);
}

// Ends one that waits, on its engine's thread.
static void close_turn(dx_limiter_turn *turn, dx_error_code why) {
    if (dx_limit_leave(turn->limiter->limit, &turn->waiter)) {
        turn->code = why;
        drop(turn); // nobody grants it
        return end(turn);
    }
    // Another thread has granted or cancelled it, or is about to: its end is told when it has posted.
    while (!atomic_load_explicit(&turn->posted, memory_order_acquire)) (void)sched_yield();
    if (!turn->linked) return;
    *turn->link = turn->next;
    if (turn->next) turn->next->link = turn->link;
    turn->linked = false;
}

static void on_begin(dx_task *task) {
    dx_limiter_turn *turn = DX_CONTAINER_OF(task, dx_limiter_turn, begin);
    dx_engine *engine = turn->engine;
    if (turn->over) return drop(turn);
    bool closing = atomic_load(&engine->client->closing);
    if (closing || dx_alarm_init(&turn->alarm, engine->loop, on_alarm) != DX_OK) {
        close_turn(turn, closing ? DX_ERROR_CLOSED : DX_ERROR_NO_MEMORY);
        return drop(turn);
    }
    turn->next = engine->turns;
    turn->link = &engine->turns;
    if (turn->next) turn->next->link = &turn->next;
    engine->turns = turn;
    turn->linked = true;
    dx_nanos now = dx_clock_monotonic(), due = dx_limit_due(turn->limiter->limit, now); // it may have come nearer since
    if (turn->due < due) due = turn->due;
    dx_alarm_start(&turn->alarm, due > now ? due - now : 0);
    drop(turn);
}

void dx_limiter_end_turns(dx_engine *engine) {
    while (engine->turns) close_turn(engine->turns, DX_ERROR_CLOSED);
}

static dx_limiter_turn *make_turn(dx_limiter *limiter, dx_engine *engine, dx_limiter_done done, void *context) {
    dx_limiter_turn *turn = dx_memory_zalloc(1, sizeof *turn);
    if (!turn) return NULL;
    turn->waiter.granted = on_granted;
    turn->waiter.nudge = on_nudge;
    turn->begin.run = on_begin;
    turn->finish.run = on_finish;
    turn->sooner.run = on_sooner;
    turn->limiter = dx_limiter_hold(limiter);
    turn->engine = engine;
    turn->done = done;
    turn->ctx = context;
    atomic_init(&turn->holders, 4); // the program, whoever grants, its end, and its beginning
    return turn;
}

dx_error_code dx_limiter_take_turn(dx_limiter_turn **out, dx_limiter *limiter, uint32_t n, int64_t timeout_ms, dx_client *client,
                                   dx_limiter_done done, void *context) {
    if (out) *out = NULL;
    if (client && atomic_load(&client->closing)) return DX_ERROR_CLOSED;
    dx_engine *engine = client ? dx_client_engine(client) : NULL;
    dx_limiter_turn *turn = !client || engine ? make_turn(limiter, engine, done, context) : NULL;
    if (!turn) return DX_ERROR_NO_MEMORY;
    dx_nanos wait, now = dx_clock_monotonic(), timeout = timeout_of(timeout_ms);
    if (out) *out = turn; // it may be over before this returns
    dx_status status = dx_limit_enter(&wait, limiter->limit, &turn->waiter, n, timeout < 0 ? DX_LIMIT_NEVER : now + timeout, now);
    if (status != DX_OK) {
        if (out) *out = NULL;
        atomic_store(&turn->holders, 1);
        drop(turn);
        return code_of(status);
    }
    turn->due = now + wait;
    if (wait == 0) settle(turn);
    if (wait > 0 && engine)
        dx_loop_post(engine->loop, &turn->begin);
    else
        drop(turn);
    if (!out) drop(turn);
    return DX_ERROR_NONE;
}

void dx_limiter_cancel(dx_limiter_turn *turn) {
    if (!dx_limit_leave(turn->limiter->limit, &turn->waiter)) return;
    turn->code = DX_ERROR_CANCELLED;
    settle(turn);
}

void dx_limiter_turn_release(dx_limiter_turn *turn) {
    if (turn) drop(turn);
}
