// The times lie on one loop: its alarm rings for the task that is due next. Calls may end on other threads; they write down how, under the
// lock, and kick the loop. Whoever still has something to say (a call, a task that is posted) holds the whole.
#include "client/warming.h"

#include "base/memory.h"
#include "client/cache_stats.h"
#include "client/fail.h"
#include "loop/alarm.h"

#define FIRST_RETRY (DX_SECOND)
#define LAST_RETRY  (3600 * DX_SECOND)
enum { DOUBLINGS = 12, ARENA_CAP = 16 << 20 };

typedef struct warm_task {
    struct dx_warming *warming;
    const dx_endpoint *endpoint;
    dx_cache_meter *meter;
    const dx_arg *args;
    dx_nanos interval; // 0: once
    dx_nanos due;      // DX_NEVER: no more
    unsigned failures; // in a row
    bool under_way;
} warm_task;

#define DX_NEVER INT64_MAX

typedef struct dx_warming {
    pthread_mutex_t lock; // of the tasks' times, and the next four
    bool stopped, kicked, armed;
    unsigned under_way;
    atomic_size_t holders;
    dx_client *client;
    dx_engine *engine;
    dx_apis *apis; // held
    dx_arena *arena;
    dx_alarm alarm; // on the loop's thread
    dx_task kick, end;
    warm_task *tasks;
    size_t count;
} dx_warming;

static void release(dx_warming *w) {
    if (atomic_fetch_sub_explicit(&w->holders, 1, memory_order_acq_rel) != 1) return;
    if (w->apis) dx_apis_release(w->apis);
    (void)pthread_mutex_destroy(&w->lock);
    dx_arena_destroy(w->arena); // it lies in it
}

static void hold(dx_warming *w) {
    (void)atomic_fetch_add_explicit(&w->holders, 1, memory_order_relaxed);
}

// --- reading ---------------------------------------------------------------------------------------------------------------------------

static bool read_arg(dx_arg *arg, dx_arena *arena, yyjson_val *key, yyjson_val *value) {
    const char *name = yyjson_get_str(key);
    dx_buffer text;
    if (yyjson_is_str(value)) {
        *arg = dx_arg_text(name, DX_ARG_STR, yyjson_get_str(value));
        arg->size = yyjson_get_len(value);
    } else if (yyjson_is_bool(value)) {
        *arg = dx_arg_bool(name, yyjson_get_bool(value));
    } else if (yyjson_is_uint(value)) {
        *arg = dx_arg_u64(name, yyjson_get_uint(value));
    } else if (yyjson_is_int(value)) {
        *arg = dx_arg_i64(name, yyjson_get_sint(value));
    } else if (yyjson_is_real(value)) {
        *arg = dx_arg_f64(name, yyjson_get_real(value));
    } else {
        dx_buffer_init(&text, arena, ARENA_CAP);
        dx_json_write_value(&text, value);
        dx_slice copy = dx_buffer_status(&text) == DX_OK ? dx_arena_copy(arena, dx_buffer_slice(&text)) : (dx_slice){0};
        if (!copy.data) return false;
        *arg = dx_arg_text(name, DX_ARG_JSON, copy.data);
    }
    return true;
}

static const dx_arg *read_args(dx_arena *arena, yyjson_val *params) {
    size_t at, count = yyjson_obj_size(params);
    yyjson_val *key, *value;
    dx_arg *args = DX_ARENA_ARRAY(arena, dx_arg, count + 1);
    if (!args) return NULL;
    yyjson_obj_foreach(params, at, count, key, value) if (!read_arg(&args[at], arena, key, value)) return NULL;
    args[yyjson_obj_size(params)] = DX_END;
    return args;
}

static dx_error_code read_task(dx_warming *w, const dx_api *api, const dx_cache_use *use, dx_slice name, yyjson_val *from,
                               dx_error *error) {
    dx_slice near, endpoint = dx_json_member_slice(from, "endpoint");
    warm_task *task = &w->tasks[w->count];
    dx_slice full = dx_arena_printf(w->arena, "%.*s.%.*s", DX_SLICE_ARG(api->name), DX_SLICE_ARG(endpoint));
    *task = (warm_task){.warming = w, .meter = use->meter};
    if (!full.data) return dx_fail(error, DX_ERROR_NO_MEMORY, "there is no memory for cache.warming");
    task->endpoint = dx_apis_find(w->apis, full, &near);
    if (!task->endpoint)
        return dx_fail(error, DX_ERROR_CONFIG, "%.*s: cache.warming.%.*s names \"%.*s\", which is no endpoint%s%.*s",
                       DX_SLICE_ARG(api->name), DX_SLICE_ARG(name), DX_SLICE_ARG(endpoint), near.size ? "; perhaps " : "",
                       DX_SLICE_ARG(near));
    task->args = read_args(w->arena, yyjson_obj_get(from, "params"));
    if (!task->args) return dx_fail(error, DX_ERROR_NO_MEMORY, "there is no memory for cache.warming");
    task->interval = (dx_nanos)(yyjson_get_num(yyjson_obj_get(from, "interval")) * (double)DX_SECOND);
    w->count++;
    return DX_ERROR_NONE;
}

static yyjson_val *wanted_by(const dx_api *api) {
    yyjson_val *warming = api->settings->cache ? yyjson_obj_get(api->settings->cache, "warming") : NULL;
    return dx_cache_use_of(api->settings) ? warming : NULL;
}

static size_t count_tasks(const dx_apis *apis) {
    dx_map_entry *entry;
    size_t count = 0;
    for (size_t i = 0; (entry = dx_map_next(&apis->apis, &i));) count += yyjson_obj_size(wanted_by(entry->value));
    return count;
}

static dx_error_code read_tasks(dx_warming *w, dx_error *error) {
    dx_map_entry *entry;
    dx_error_code code = DX_ERROR_NONE;
    for (size_t i = 0; !code && (entry = dx_map_next(&w->apis->apis, &i));) {
        const dx_api *api = entry->value;
        size_t at, count;
        yyjson_val *key, *value;
        yyjson_obj_foreach(wanted_by(api), at, count, key, value) {
            if (!code) code = read_task(w, api, dx_cache_use_of(api->settings), dx_json_slice(key), value, error);
        }
    }
    return code;
}

// --- running ---------------------------------------------------------------------------------------------------------------------------

static dx_nanos after_failure(const warm_task *task) {
    dx_nanos wait = task->interval > FIRST_RETRY ? task->interval : FIRST_RETRY, most = wait > LAST_RETRY ? wait : LAST_RETRY;
    for (unsigned i = 1; i < task->failures && i < DOUBLINGS && wait < most; i++) wait *= 2;
    return wait < most ? wait : most;
}

// Under the lock.
static void end_task(warm_task *task, bool done) {
    dx_nanos now = dx_clock_monotonic();
    task->under_way = false;
    task->warming->under_way--;
    task->failures = done ? 0 : task->failures + 1;
    if (done)
        task->due = task->interval > 0 ? now + task->interval : DX_NEVER;
    else
        task->due = now + after_failure(task);
    (void)atomic_fetch_add_explicit(done ? &task->meter->warmed : &task->meter->warming_failed, 1, memory_order_relaxed);
}

static void on_done(void *ctx, dx_call *call) {
    warm_task *task = ctx;
    dx_warming *w = task->warming;
    pthread_mutex_lock(&w->lock);
    if (!w->stopped) {
        end_task(task, dx_call_error(call)->code == DX_ERROR_NONE);
        if (!w->kicked) {
            w->kicked = true;
            hold(w);
            dx_loop_post(w->engine->loop, &w->kick);
        }
    }
    pthread_mutex_unlock(&w->lock);
    release(w);
}

static bool begin_call(warm_task *task) {
    dx_warming *w = task->warming;
    dx_call_options options = DX_CALL_OPTIONS_INIT;
    dx_call *call;
    options.fresh = true;
    dx_asked asked = {.endpoint = task->endpoint, .args = task->args, .options = &options};
    if (dx_call_create(&call, w->client, &asked, dx_apis_hold(w->apis), NULL) != DX_ERROR_NONE) return false;
    hold(w);
    if (dx_client_start_own(w->client, call, on_done, task) == DX_ERROR_NONE) return true;
    release(w);
    return false;
}

// Takes the next task that is due; NULL: none is, or enough are under way. `*due` becomes when there may be one.
static warm_task *next_task(dx_warming *w, dx_nanos now, dx_nanos *due) {
    warm_task *found = NULL;
    *due = DX_NEVER;
    pthread_mutex_lock(&w->lock);
    for (size_t i = 0; i < w->count && !w->stopped && w->under_way < DX_WARMING_AT_ONCE && !found; i++) {
        warm_task *task = &w->tasks[i];
        if (task->under_way) continue;
        if (task->due <= now)
            found = task;
        else if (task->due < *due)
            *due = task->due;
    }
    if (found) {
        found->under_way = true;
        w->under_way++;
    }
    pthread_mutex_unlock(&w->lock);
    return found;
}

static void run(dx_warming *w) {
    dx_nanos now = dx_clock_monotonic(), due;
    for (warm_task *task; (task = next_task(w, now, &due));) {
        if (begin_call(task)) continue;
        pthread_mutex_lock(&w->lock);
        end_task(task, false);
        pthread_mutex_unlock(&w->lock);
    }
    if (due != DX_NEVER && w->armed) dx_alarm_start(&w->alarm, due - now);
}

static void on_alarm(dx_alarm *alarm) {
    run(DX_CONTAINER_OF(alarm, dx_warming, alarm));
}

static void on_kick(dx_task *task) {
    dx_warming *w = DX_CONTAINER_OF(task, dx_warming, kick);
    pthread_mutex_lock(&w->lock);
    w->kicked = false;
    bool stopped = w->stopped;
    pthread_mutex_unlock(&w->lock);
    if (!stopped && !w->armed) w->armed = dx_alarm_init(&w->alarm, w->engine->loop, on_alarm) == DX_OK;
    if (!stopped) run(w);
    release(w);
}

static void on_end(dx_task *task) {
    dx_warming *w = DX_CONTAINER_OF(task, dx_warming, end);
    if (w->armed) dx_alarm_deinit(&w->alarm);
    w->armed = false;
    release(w);
}

// --- starting and stopping -------------------------------------------------------------------------------------------------------------

static dx_warming *make(dx_client *client, dx_apis *apis, size_t count) {
    dx_arena *arena = dx_arena_create(ARENA_CAP);
    dx_warming *w = arena ? DX_ARENA_NEW(arena, dx_warming) : NULL;
    if (w) w->tasks = DX_ARENA_ARRAY(arena, warm_task, count);
    if (!w || !w->tasks) {
        dx_arena_destroy(arena);
        return NULL;
    }
    (void)pthread_mutex_init(&w->lock, NULL);
    atomic_init(&w->holders, 1);
    w->client = client;
    w->arena = arena;
    w->apis = dx_apis_hold(apis);
    w->kick.run = on_kick;
    w->end.run = on_end;
    return w;
}

static dx_error_code start(dx_client *client, dx_apis *apis, size_t count, dx_error *error) {
    if (count > DX_WARMING_CAP) return dx_fail(error, DX_ERROR_CONFIG, "cache.warming has more than %d tasks", DX_WARMING_CAP);
    dx_warming *w = make(client, apis, count);
    if (!w) return dx_fail(error, DX_ERROR_NO_MEMORY, "there is no memory for cache.warming");
    dx_error_code code = read_tasks(w, error);
    w->engine = code ? NULL : dx_client_engine(client);
    if (!code && !w->engine) code = dx_fail(error, DX_ERROR_NO_MEMORY, "there is no memory or no thread for cache.warming");
    if (code) {
        release(w);
        return code;
    }
    client->warming = w;
    w->kicked = true;
    hold(w);
    dx_loop_post(w->engine->loop, &w->kick);
    return DX_ERROR_NONE;
}

dx_error_code dx_warming_start(dx_client *client, dx_error *error) {
    dx_apis *apis = dx_client_apis(client);
    size_t count = count_tasks(apis);
    dx_error_code code = count ? start(client, apis, count, error) : DX_ERROR_NONE;
    dx_apis_release(apis);
    return code;
}

void dx_warming_stop(dx_client *client) {
    pthread_mutex_lock(&client->lock);
    dx_warming *w = client->warming;
    client->warming = NULL;
    pthread_mutex_unlock(&client->lock);
    if (!w) return;
    pthread_mutex_lock(&w->lock);
    w->stopped = true;
    pthread_mutex_unlock(&w->lock);
    dx_loop_post(w->engine->loop, &w->end); // the client's hold goes with it
}
