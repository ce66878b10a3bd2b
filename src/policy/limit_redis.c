// A question lives on its loop's thread: there it is sent, answered, put off and ended. What crosses threads is the line: whoever ends
// wakes the next one behind him, by a task that is posted under the line's lock. A question that is given up while its task is on the way
// is freed by the task.
#include "policy/limit_redis.h"

#include <pthread.h>
#include <stdatomic.h>

#include "base/hash.h"
#include "base/memory.h"
#include "loop/alarm.h"

enum { LINES = 64 };

typedef struct line {
    dx_limit_ask *first, **last;
} line;

struct dx_limit_ask {
    dx_redis_call call;
    dx_alarm alarm;
    dx_task task;
    dx_limit_redis *shared;
    dx_loop *loop;
    dx_limit_ask_done done;
    void *ctx;
    dx_nanos until, again; // given up; asked again, when it is first
    uint64_t number;       // of coming
    bool in_line, posted;  // under the lock
    bool dead, put_off;
    dx_limit_ask *next, **link; // in its line
    size_t line;
    dx_slice key; // in Redis, behind this struct
};

struct dx_limit_redis {
    pthread_mutex_t lock; // of lines and arguments
    line lines[LINES];
    dx_limit_script_arguments arguments;
    dx_nanos interval;
    dx_limit_redis_options options;
    dx_redis_script script;
    uint64_t numbers;
    uint32_t waiting;
    _Atomic uint64_t granted, denied, waited, unavailable;
    char prefix[DX_LIMIT_REDIS_PREFIX_CAP];
};

static void count(_Atomic uint64_t *what) {
    (void)atomic_fetch_add_explicit(what, 1, memory_order_relaxed);
}

// --- making ----------------------------------------------------------------------------------------------------------------------------

dx_status dx_limit_redis_create(dx_limit_redis **out, const dx_limit_redis_options *options) {
    *out = NULL;
    if (options->prefix.size == 0 || options->prefix.size > DX_LIMIT_REDIS_PREFIX_CAP) return DX_INVALID;
    dx_limit_redis *shared = dx_memory_zalloc(1, sizeof *shared);
    if (!shared) return DX_NO_MEMORY;
    (void)pthread_mutex_init(&shared->lock, NULL);
    shared->options = *options;
    memcpy(shared->prefix, options->prefix.data, options->prefix.size);
    shared->options.prefix = dx_slice_of(shared->prefix, options->prefix.size);
    for (size_t i = 0; i < LINES; i++) shared->lines[i].last = &shared->lines[i].first;
    dx_redis_script_init(&shared->script, DX_SLICE(DX_LIMIT_SCRIPT));
    dx_status status = dx_limit_redis_update(shared, options->max_requests, options->window, options->burst);
    if (status != DX_OK) {
        dx_limit_redis_destroy(shared);
        return status;
    }
    *out = shared;
    return DX_OK;
}

void dx_limit_redis_destroy(dx_limit_redis *shared) {
    if (!shared) return;
    (void)pthread_mutex_destroy(&shared->lock);
    dx_memory_free(shared);
}

dx_status dx_limit_redis_update(dx_limit_redis *shared, uint32_t max_requests, dx_nanos window, uint32_t burst) {
    dx_limit_script_arguments arguments;
    dx_status status = dx_limit_script_write(&arguments, max_requests, window, burst, 1);
    if (status != DX_OK) return status;
    pthread_mutex_lock(&shared->lock);
    shared->arguments = arguments;
    shared->interval = window / max_requests;
    pthread_mutex_unlock(&shared->lock);
    return DX_OK;
}

bool dx_limit_redis_key(dx_buffer *out, const dx_limit_redis *shared, dx_slice key) {
    if (key.size > DX_LIMIT_REDIS_KEY_CAP) return false;
    dx_buffer_add(out, shared->options.prefix);
    dx_buffer_add(out, key);
    return dx_buffer_status(out) == DX_OK;
}

// --- the line; all under the lock --------------------------------------------------------------------------------------------------------

static bool same_key(const dx_limit_ask *a, const dx_limit_ask *b) {
    return dx_slice_equal(a->key, b->key);
}

// The first in line for its key, or NULL.
static dx_limit_ask *first_of(dx_limit_redis *shared, const dx_limit_ask *ask) {
    dx_limit_ask *at = shared->lines[ask->line].first;
    while (at && !same_key(at, ask)) at = at->next;
    return at;
}

static size_t before(dx_limit_redis *shared, const dx_limit_ask *ask) {
    size_t found = 0;
    for (dx_limit_ask *at = shared->lines[ask->line].first; at && at->number < ask->number; at = at->next) found += same_key(at, ask);
    return found;
}

// In order of coming: those that were asked for at the same time may be refused in any.
static void stand_in_line(dx_limit_redis *shared, dx_limit_ask *ask) {
    line *l = &shared->lines[ask->line];
    dx_limit_ask **at = &l->first;
    while (*at && (*at)->number < ask->number) at = &(*at)->next;
    ask->next = *at;
    ask->link = at;
    *at = ask;
    if (ask->next)
        ask->next->link = &ask->next;
    else
        l->last = &ask->next;
    ask->in_line = true;
    shared->waiting++;
}

static void leave_line(dx_limit_redis *shared, dx_limit_ask *ask) {
    if (!ask->in_line) return;
    bool was_first = first_of(shared, ask) == ask;
    *ask->link = ask->next;
    if (ask->next)
        ask->next->link = ask->link;
    else
        shared->lines[ask->line].last = ask->link;
    ask->in_line = false;
    shared->waiting--;
    dx_limit_ask *next = was_first ? first_of(shared, ask) : NULL;
    if (!next || next->posted) return;
    next->posted = true;
    dx_loop_post(next->loop, &next->task);
}

// --- one question, on its loop's thread
// ----------------------------------------------------------------------------------------------------

static void ask_redis(dx_limit_ask *ask);

// It is over: out of the line, and freed, if need be by the task that is on its way.
static void bury(dx_limit_ask *ask) {
    dx_limit_redis *shared = ask->shared;
    dx_redis_cancel(&ask->call);
    dx_alarm_deinit(&ask->alarm);
    ask->dead = true;
    pthread_mutex_lock(&shared->lock);
    leave_line(shared, ask);
    bool posted = ask->posted;
    pthread_mutex_unlock(&shared->lock);
    if (!posted) dx_memory_free(ask);
}

static void end(dx_limit_ask *ask, dx_status status, dx_nanos wait) {
    dx_limit_redis *shared = ask->shared;
    dx_limit_ask_done done = ask->done;
    void *ctx = ask->ctx;
    if (status == DX_OK) count(&shared->granted);
    if (status == DX_OK && ask->put_off) count(&shared->waited);
    if (status == DX_RATE_LIMITED) count(&shared->denied);
    if (status == DX_UNAVAILABLE) count(&shared->unavailable);
    bury(ask);
    done(ctx, status, wait);
}

static void sleep_until(dx_limit_ask *ask, dx_nanos when, dx_nanos now) {
    dx_alarm_start(&ask->alarm, when > now ? when - now : 0);
}

// Told to wait: the first in line asks again when the time has come, the others when they are first.
static void put_off(dx_limit_ask *ask, dx_nanos wait) {
    dx_limit_redis *shared = ask->shared;
    dx_nanos now = dx_clock_monotonic();
    if (now + wait > ask->until) return end(ask, DX_RATE_LIMITED, wait);
    ask->put_off = true;
    ask->again = now + wait;
    pthread_mutex_lock(&shared->lock);
    if (!ask->in_line) stand_in_line(shared, ask);
    bool first = first_of(shared, ask) == ask;
    pthread_mutex_unlock(&shared->lock);
    sleep_until(ask, first ? ask->again : ask->until, now);
}

static void on_reply(dx_redis_call *call, dx_status status, const dx_redis_reply *reply) {
    dx_limit_ask *ask = DX_CONTAINER_OF(call, dx_limit_ask, call);
    dx_limit_script_reply said;
    int64_t numbers[3];
    bool sound = status == DX_OK && reply->kind == DX_REDIS_ARRAY && reply->count == DX_COUNT_OF(numbers);
    for (size_t i = 0; sound && i < reply->count; i++) {
        sound = reply->items[i]->kind == DX_REDIS_INTEGER;
        numbers[i] = reply->items[i]->integer;
    }
    if (!sound || !dx_limit_script_read(&said, numbers, DX_COUNT_OF(numbers))) return end(ask, DX_UNAVAILABLE, 0);
    if (said.granted) return end(ask, DX_OK, 0);
    put_off(ask, said.wait > 0 ? said.wait : DX_MILLISECOND);
}

static dx_status send(dx_limit_ask *ask) {
    dx_limit_redis *shared = ask->shared;
    dx_limit_script_arguments arguments;
    dx_redis *redis = shared->options.connection(shared->options.ctx, ask->loop);
    if (!redis) return DX_UNAVAILABLE;
    pthread_mutex_lock(&shared->lock);
    arguments = shared->arguments;
    pthread_mutex_unlock(&shared->lock);
    const dx_slice args[] = {dx_slice_str(arguments.interval), dx_slice_str(arguments.tolerance), dx_slice_str(arguments.n)};
    ask->call = (dx_redis_call){.done = on_reply};
    return dx_redis_eval(redis, &ask->call, &shared->script, &ask->key, 1, args, DX_COUNT_OF(args), shared->options.timeout);
}

static void ask_redis(dx_limit_ask *ask) {
    if (send(ask) != DX_OK) end(ask, DX_UNAVAILABLE, 0);
}

// It is first now, perhaps.
static void on_turn(dx_task *task) {
    dx_limit_ask *ask = DX_CONTAINER_OF(task, dx_limit_ask, task);
    if (ask->dead) return dx_memory_free(ask);
    pthread_mutex_lock(&ask->shared->lock);
    ask->posted = false;
    bool first = first_of(ask->shared, ask) == ask;
    pthread_mutex_unlock(&ask->shared->lock);
    if (first && !ask->call.redis) ask_redis(ask);
}

static void on_alarm(dx_alarm *alarm) {
    dx_limit_ask *ask = DX_CONTAINER_OF(alarm, dx_limit_ask, alarm);
    dx_nanos now = dx_clock_monotonic();
    if (now >= ask->until) return end(ask, DX_RATE_LIMITED, 0);
    pthread_mutex_lock(&ask->shared->lock);
    bool first = first_of(ask->shared, ask) == ask;
    pthread_mutex_unlock(&ask->shared->lock);
    sleep_until(ask, ask->until, now);
    if (first && !ask->call.redis) ask_redis(ask);
}

static dx_limit_ask *make(dx_limit_redis *shared, dx_loop *loop, dx_slice key) {
    size_t size = shared->options.prefix.size + key.size;
    dx_limit_ask *ask = key.size <= DX_LIMIT_REDIS_KEY_CAP ? dx_memory_alloc(sizeof *ask + size) : NULL;
    if (!ask) return NULL;
    *ask = (dx_limit_ask){.shared = shared, .loop = loop, .task = {.run = on_turn}};
    char *text = (char *)(ask + 1);
    memcpy(text, shared->prefix, shared->options.prefix.size);
    if (key.size) memcpy(text + shared->options.prefix.size, key.data, key.size);
    ask->key = dx_slice_of(text, size);
    ask->line = dx_hash(ask->key) % LINES;
    if (dx_alarm_init(&ask->alarm, loop, on_alarm) == DX_OK) return ask;
    dx_memory_free(ask);
    return NULL;
}

// In line when somebody waits already: DX_OK; DX_NOT_FOUND: nobody does; otherwise it need not wait.
static dx_status join_line(dx_limit_ask *ask, dx_nanos now, dx_nanos *wait) {
    dx_limit_redis *shared = ask->shared;
    dx_status status = DX_NOT_FOUND;
    pthread_mutex_lock(&shared->lock);
    ask->number = ++shared->numbers;
    if (first_of(shared, ask)) {
        *wait = (dx_nanos)before(shared, ask) * shared->interval; // at the least
        status = shared->waiting >= shared->options.queue ? DX_OVERLOADED : now + *wait > ask->until ? DX_RATE_LIMITED : DX_OK;
        if (status == DX_OK) stand_in_line(shared, ask);
    }
    pthread_mutex_unlock(&shared->lock);
    return status;
}

dx_status dx_limit_redis_ask(dx_limit_ask **out, dx_limit_redis *shared, dx_loop *loop, dx_slice key, dx_nanos until,
                             dx_limit_ask_done done, void *ctx, dx_nanos *wait) {
    dx_nanos now = dx_clock_monotonic();
    *out = NULL;
    *wait = 0;
    dx_limit_ask *ask = make(shared, loop, key);
    if (!ask) {
        count(&shared->unavailable);
        return DX_UNAVAILABLE;
    }
    ask->until = until;
    ask->done = done;
    ask->ctx = ctx;
    dx_status status = join_line(ask, now, wait);
    if (status == DX_OK) {
        ask->put_off = true;
        sleep_until(ask, until, now);
    } else if (status == DX_NOT_FOUND) {
        status = send(ask);
        if (status != DX_OK) status = DX_UNAVAILABLE;
    }
    if (status == DX_OK) {
        *out = ask;
        return DX_OK;
    }
    count(status == DX_UNAVAILABLE ? &shared->unavailable : &shared->denied);
    bury(ask);
    return status;
}

void dx_limit_redis_cancel(dx_limit_ask *ask) {
    bury(ask);
}

void dx_limit_redis_stats_read(dx_limit_redis *shared, dx_limit_redis_stats *out) {
    pthread_mutex_lock(&shared->lock);
    out->waiting = shared->waiting;
    pthread_mutex_unlock(&shared->lock);
    out->granted = atomic_load_explicit(&shared->granted, memory_order_relaxed);
    out->denied = atomic_load_explicit(&shared->denied, memory_order_relaxed);
    out->waited = atomic_load_explicit(&shared->waited, memory_order_relaxed);
    out->unavailable = atomic_load_explicit(&shared->unavailable, memory_order_relaxed);
}
