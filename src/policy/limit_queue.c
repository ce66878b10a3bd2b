// Who waits for a limit: a list in order of arrival. Only its first one is ever due. Threads that block stand in the same list; each sleeps
// until its own time and then grants whatever is due, so that no thread of the limit's own is needed. One whose time has come nearer since
// it fell asleep is woken when it is first.
#include <time.h>

#include "base/memory.h"
#include "policy/limit.h"
#include "policy/limit_parts.h"

static void append(dx_limit *limit, dx_limit_waiter *waiter) {
    waiter->next = NULL;
    waiter->previous = limit->last;
    waiter->queued = true;
    *(limit->last ? &limit->last->next : &limit->first) = waiter;
    limit->last = waiter;
    limit->waiting++;
    limit->tokens_waiting += waiter->n;
    if (waiter->deadline < limit->earliest) limit->earliest = waiter->deadline;
}

static void take_out(dx_limit *limit, dx_limit_waiter *waiter) {
    *(waiter->previous ? &waiter->previous->next : &limit->first) = waiter->next;
    *(waiter->next ? &waiter->next->previous : &limit->last) = waiter->previous;
    waiter->next = waiter->previous = NULL;
    waiter->queued = false;
    limit->waiting--;
    limit->tokens_waiting -= waiter->n;
    if (!limit->first) limit->earliest = DX_LIMIT_NEVER;
}

// Under the lock: refuses or appends.
static dx_status queue_up(dx_limit *limit, dx_limit_waiter *waiter, dx_ticks now, dx_nanos *wait) {
    dx_ticks when = dx_limit_when(limit, limit->tokens_waiting, waiter->n, now);
    *wait = when > now ? dx_limit_nanos(when - now) : 1;
    waiter->told = dx_limit_nanos(now) + *wait;
    if (waiter->told > waiter->deadline) return DX_RATE_LIMITED;
    if (limit->waiting >= limit->queue_cap) return DX_OVERLOADED;
    append(limit, waiter);
    return DX_OK;
}

static dx_status enter(dx_nanos *wait, dx_limit *limit, dx_limit_waiter *waiter) {
    dx_ticks at = dx_limit_ticks(waiter->entered), when;
    dx_status status = DX_OK;
    *wait = 0;
    waiter->queued = false;
    if (waiter->n == 0 || waiter->n > atomic_load_explicit(&limit->burst, memory_order_relaxed)) return DX_INVALID;
    if (dx_limit_take_quick(limit, waiter->n, at, &when) != DX_LIMIT_TAKEN) {
        dx_limit_lock(limit);
        dx_limit_settle(limit, at);
        if (limit->first || !dx_limit_take(limit, waiter->n, at)) status = queue_up(limit, waiter, at, wait);
        dx_limit_unlock(limit);
    }
    if (status != DX_OK) (void)atomic_fetch_add_explicit(&limit->denied, 1, memory_order_relaxed);
    if (status == DX_OK && *wait == 0) (void)atomic_fetch_add_explicit(&limit->granted, 1, memory_order_relaxed);
    return status;
}

dx_status dx_limit_enter(dx_nanos *wait, dx_limit *limit, dx_limit_waiter *waiter, uint32_t n, dx_nanos deadline, dx_nanos now) {
    waiter->n = n;
    waiter->deadline = deadline;
    waiter->entered = now;
    waiter->sleeper = NULL;
    return enter(wait, limit, waiter);
}

static dx_nanos due_of_first(dx_limit *limit) {
    if (!limit->first) return DX_LIMIT_NEVER;
    dx_nanos paused = dx_limit_nanos(limit->paused_until);
    if (limit->shrunk || limit->earliest < paused) return 0; // somebody is to be dismissed
    dx_nanos due = dx_limit_nanos(dx_limit_when(limit, 0, limit->first->n, 0));
    return due <= limit->earliest ? due : limit->earliest + 1; // a deadline is passed when it lies behind
}

static void wake_first(dx_limit *limit) {
    dx_limit_waiter *first = limit->first;
    dx_nanos due = due_of_first(limit);
    if (!first || due >= first->told) return;
    if (first->sleeper) {
        (void)pthread_cond_signal(&first->sleeper->wake);
    } else if (first->nudge) {
        first->told = due;
        first->nudge(first);
    }
}

bool dx_limit_leave(dx_limit *limit, dx_limit_waiter *waiter) {
    dx_limit_lock(limit);
    bool found = waiter->queued, was_first = limit->first == waiter;
    if (found) take_out(limit, waiter);
    wake_first(limit);
    bool tell = found && was_first && limit->first;
    void (*moved)(void *) = limit->moved;
    void *ctx = limit->moved_ctx;
    dx_limit_unlock(limit);
    if (tell && moved) moved(ctx);
    return found;
}

dx_nanos dx_limit_due(dx_limit *limit, dx_nanos now) {
    dx_limit_lock(limit);
    dx_limit_settle(limit, dx_limit_ticks(now));
    dx_nanos due = due_of_first(limit);
    dx_limit_unlock(limit);
    return due;
}

// A list of those to be told, in order.
typedef struct outcome {
    dx_limit_waiter *first, **end;
    dx_status status;
} outcome;

// Out of the queue; a thread is woken here, the others are told when the lock is off.
static void settle_waiter(dx_limit *limit, dx_limit_waiter *waiter, outcome *list) {
    take_out(limit, waiter);
    if (waiter->sleeper) {
        waiter->sleeper->status = list->status;
        waiter->sleeper->done = true;
        (void)pthread_cond_signal(&waiter->sleeper->wake);
        return;
    }
    *list->end = waiter;
    list->end = &waiter->next;
}

static void dismiss(dx_limit *limit, dx_nanos now, outcome *late, outcome *oversize) {
    dx_nanos paused = dx_limit_nanos(limit->paused_until), sure = now > paused ? now : paused;
    uint32_t burst = atomic_load_explicit(&limit->burst, memory_order_relaxed);
    if (limit->earliest >= sure && !limit->shrunk) return;
    dx_nanos earliest = DX_LIMIT_NEVER;
    for (dx_limit_waiter *waiter = limit->first, *next; waiter; waiter = next) {
        next = waiter->next;
        if (waiter->n > burst) {
            settle_waiter(limit, waiter, oversize);
        } else if (waiter->deadline < sure) {
            settle_waiter(limit, waiter, late);
        } else if (waiter->deadline < earliest) {
            earliest = waiter->deadline;
        }
    }
    limit->earliest = earliest;
    limit->shrunk = false;
}

static void let_in(dx_limit *limit, dx_nanos now, outcome *granted) {
    while (limit->first && dx_limit_take(limit, limit->first->n, dx_limit_ticks(now))) {
        dx_limit_waiter *waiter = limit->first;
        (void)atomic_fetch_add_explicit(&limit->granted, 1, memory_order_relaxed);
        (void)atomic_fetch_add_explicit(&limit->waited, 1, memory_order_relaxed);
        if (now > waiter->entered) {
            (void)atomic_fetch_add_explicit(&limit->wait_total, (uint64_t)(now - waiter->entered), memory_order_relaxed);
        }
        settle_waiter(limit, waiter, granted);
    }
}

static void tell(const outcome *list) {
    for (dx_limit_waiter *waiter = list->first, *next; waiter; waiter = next) {
        next = waiter->next; // the waiter is its caller's again
        waiter->next = NULL;
        waiter->granted(waiter, list->status);
    }
}

dx_nanos dx_limit_grant(dx_limit *limit, dx_nanos now) {
    outcome granted = {.status = DX_OK}, late = {.status = DX_RATE_LIMITED}, oversize = {.status = DX_INVALID};
    granted.end = &granted.first;
    late.end = &late.first;
    oversize.end = &oversize.first;
    dx_limit_lock(limit);
    dx_limit_settle(limit, dx_limit_ticks(now));
    dismiss(limit, now, &late, &oversize);
    let_in(limit, now, &granted);
    dx_nanos due = due_of_first(limit);
    wake_first(limit);
    dx_limit_unlock(limit);
    tell(&late);
    tell(&oversize);
    tell(&granted);
    return due;
}

void dx_limit_watch(dx_limit *limit, void (*moved)(void *ctx), void *ctx) {
    (void)pthread_mutex_lock(&limit->lock);
    limit->moved = moved;
    limit->moved_ctx = ctx;
    (void)pthread_mutex_unlock(&limit->lock);
}

void dx_limit_changed(dx_limit *limit, dx_nanos now) {
    (void)pthread_mutex_lock(&limit->lock);
    bool waits = limit->first != NULL;
    void (*moved)(void *) = limit->moved;
    void *ctx = limit->moved_ctx;
    (void)pthread_mutex_unlock(&limit->lock);
    if (waits && dx_limit_grant(limit, now) != DX_LIMIT_NEVER && moved) moved(ctx);
}

// Under the lock, by the thread that sleeps: its time as it stands now.
static dx_nanos time_of(dx_limit *limit, const dx_limit_waiter *waiter) {
    uint64_t ahead = 0;
    for (const dx_limit_waiter *before = waiter->previous; before; before = before->previous) ahead += before->n;
    dx_nanos when = dx_limit_nanos(dx_limit_when(limit, ahead, waiter->n, 0));
    return when <= waiter->deadline ? when : waiter->deadline + 1;
}

static void sleep_until(dx_limit *limit, dx_limit_waiter *waiter, dx_nanos time) {
    struct timespec at = {.tv_sec = (time_t)(time / DX_SECOND), .tv_nsec = (long)(time % DX_SECOND)};
    waiter->told = time;
    (void)pthread_cond_timedwait(&waiter->sleeper->wake, &limit->lock, &at);
}

static dx_status sleep_in_queue(dx_limit *limit, dx_limit_waiter *waiter) {
    struct dx_limit_sleeper *sleeper = waiter->sleeper;
    (void)pthread_mutex_lock(&limit->lock);
    while (!sleeper->done) {
        sleep_until(limit, waiter, time_of(limit, waiter));
        if (sleeper->done) break;
        (void)pthread_mutex_unlock(&limit->lock);
        (void)dx_limit_grant(limit, dx_clock_monotonic());
        (void)pthread_mutex_lock(&limit->lock);
    }
    (void)pthread_mutex_unlock(&limit->lock);
    return sleeper->status;
}

dx_status dx_limit_acquire(dx_limit *limit, uint32_t n, dx_nanos timeout) {
    dx_nanos now = dx_clock_monotonic(), wait;
    if (timeout == 0) return dx_limit_try(limit, n, now, NULL);
    struct dx_limit_sleeper sleeper = {.status = DX_OK};
    dx_limit_waiter waiter = {.sleeper = &sleeper, .n = n, .entered = now, .deadline = DX_LIMIT_NEVER};
    if (timeout > 0 && timeout < DX_LIMIT_TIME_CAP) waiter.deadline = now + timeout;
    pthread_condattr_t monotonic;
    if (pthread_condattr_init(&monotonic) != 0) return DX_NO_MEMORY;
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&sleeper.wake, &monotonic);
    dx_status status = enter(&wait, limit, &waiter);
    if (status == DX_OK && wait > 0) status = sleep_in_queue(limit, &waiter);
    (void)pthread_cond_destroy(&sleeper.wake);
    (void)pthread_condattr_destroy(&monotonic);
    return status;
}
