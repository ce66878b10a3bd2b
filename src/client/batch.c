// What programs see of batches: making one, running it, reading what became of its calls.
#include "base/memory.h"
#include "client/batch_parts.h"
#include "client/fail.h"
#include "client/keep.h"

enum { USUAL_CONCURRENCY = 10 };

static const dx_batch_options no_options = DX_BATCH_OPTIONS_INIT;

static dx_error_code no_memory(dx_error *error) {
    (void)dx_fail(error, DX_ERROR_NO_MEMORY, "there is no memory for the batch");
    return DX_ERROR_NO_MEMORY;
}

// --- the object --------------------------------------------------------------------------------------------------------------------------

void dx_batch_hold(dx_batch *batch) {
    (void)atomic_fetch_add_explicit(&batch->holders, 1, memory_order_relaxed);
}

void dx_batch_let_go(dx_batch *batch) {
    if (atomic_fetch_sub_explicit(&batch->holders, 1, memory_order_acq_rel) != 1) return;
    for (uint64_t i = 0; i < batch->kept_count; i++) {
        dx_call_release(batch->kept[i].call);
        dx_memory_free(batch->kept[i].trouble);
    }
    dx_memory_free(batch->kept);
    dx_memory_free(batch->slots);
    (void)pthread_mutex_destroy(&batch->lock);
    (void)pthread_cond_destroy(&batch->changed);
    dx_arena_destroy(batch->arena);
    dx_memory_free(batch);
}

static void init_waiting(dx_batch *batch) {
    pthread_condattr_t attributes;
    (void)pthread_mutex_init(&batch->lock, NULL);
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&batch->changed, &attributes);
    (void)pthread_condattr_destroy(&attributes);
}

dx_error_code dx_batch_create(dx_batch **out, dx_client *client, const dx_batch_options *given, dx_error *error) {
    dx_batch_options options = no_options;
    if (given) memcpy(&options, given, given->size < sizeof options ? given->size : sizeof options);
    if (error) *error = (dx_error)DX_ERROR_INIT;
    *out = NULL;
    if (!options.concurrency) options.concurrency = USUAL_CONCURRENCY;
    if (options.concurrency > DX_BATCH_CONCURRENCY_CAP)
        return dx_fail(error, DX_ERROR_ARGUMENT, "a batch makes %d calls at the same time at most", DX_BATCH_CONCURRENCY_CAP);
    dx_batch *batch = dx_memory_zalloc(1, sizeof *batch);
    dx_arena *arena = batch ? dx_arena_create(DX_BATCH_ARENA_CAP) : NULL;
    if (!arena) {
        dx_memory_free(batch);
        return no_memory(error);
    }
    atomic_init(&batch->holders, 1);
    init_waiting(batch);
    batch->client = client;
    batch->options = options;
    batch->arena = arena;
    batch->last = &batch->first;
    batch->error = (dx_error)DX_ERROR_INIT;
    *out = batch;
    return DX_ERROR_NONE;
}

dx_error_code dx_batch_add(dx_batch *batch, const char *name, const dx_arg *args, const dx_call_options *options, void *user,
                           dx_error *error) {
    size_t count;
    dx_arg *own_args;
    dx_call_options *own_options = NULL;
    if (error) *error = (dx_error)DX_ERROR_INIT;
    if (batch->started) return dx_fail(error, DX_ERROR_ARGUMENT, "the batch was started already");
    dx_batch_added *added = DX_ARENA_NEW(batch->arena, dx_batch_added);
    if (!added) return no_memory(error);
    dx_status status = dx_keep_args(&own_args, &count, batch->arena, args, 0);
    if (status == DX_TOO_LARGE) return dx_fail(error, DX_ERROR_ARGUMENT, "more than %d parameters", DX_ARG_COUNT_CAP);
    if (status == DX_OK && options) status = dx_keep_options(&own_options, batch->arena, options);
    const char *own_name = status == DX_OK ? dx_arena_copy(batch->arena, dx_slice_str(name)).data : NULL;
    if (!own_name) return no_memory(error);
    own_args[count] = DX_END;
    added->item = (dx_batch_item){own_name, own_args, own_options, user};
    *batch->last = added;
    batch->last = &added->next;
    batch->added++;
    return DX_ERROR_NONE;
}

// --- running -----------------------------------------------------------------------------------------------------------------------------

// Places for the results of added calls, so that those which are never begun have one too.
static bool make_places(dx_batch *batch) {
    if (batch->options.result || !batch->added || batch->kept) return true;
    batch->kept = dx_memory_zalloc(batch->added, sizeof *batch->kept);
    if (!batch->kept) return false;
    batch->kept_count = batch->added;
    size_t at = 0;
    for (const dx_batch_added *added = batch->first; added; added = added->next) batch->kept[at++].user = added->item.user;
    return true;
}

static dx_error_code set_off(dx_batch *batch, dx_error *error) {
    if (error) *error = (dx_error)DX_ERROR_INIT;
    if (batch->started) return dx_fail(error, DX_ERROR_ARGUMENT, "a batch is run or started once");
    if (!make_places(batch) || !dx_batch_prepare(batch)) return no_memory(error);
    if (batch->options.timeout_ms > 0) batch->deadline = dx_clock_monotonic() + (dx_nanos)batch->options.timeout_ms * DX_MILLISECOND;
    batch->started = true;
    return DX_ERROR_NONE;
}

dx_error_code dx_batch_run(dx_batch *batch, dx_error *error) {
    dx_batch_hold(batch); // a callback may destroy it
    pthread_mutex_lock(&batch->lock);
    dx_error_code code = set_off(batch, error);
    if (!code) {
        batch->waited_for = true;
        for (;;) {
            dx_batch_pump(batch);
            if (dx_batch_is_through(batch)) break;
            (void)pthread_cond_wait(&batch->changed, &batch->lock);
        }
        batch->over = batch->told = true;
        code = batch->error.code;
        if (error) *error = batch->error;
        pthread_cond_broadcast(&batch->changed);
    }
    pthread_mutex_unlock(&batch->lock);
    dx_batch_let_go(batch);
    return code;
}

static void begin_task(dx_task *task) {
    dx_batch *batch = DX_CONTAINER_OF(task, dx_batch, task);
    pthread_mutex_lock(&batch->lock);
    dx_batch_turn(batch);
    pthread_mutex_unlock(&batch->lock);
    dx_batch_let_go(batch);
}

dx_error_code dx_batch_start(dx_batch *batch, dx_batch_done done, void *context, dx_error *error) {
    dx_engine *engine = dx_client_engine(batch->client);
    if (!engine) return dx_fail(error, DX_ERROR_NO_MEMORY, "there is no memory, no descriptor or no thread for calls");
    pthread_mutex_lock(&batch->lock);
    dx_error_code code = set_off(batch, error);
    if (!code) {
        batch->tell = done;
        batch->tell_ctx = context;
        batch->task.run = begin_task;
        dx_batch_hold(batch);
        dx_loop_post(engine->loop, &batch->task);
    }
    pthread_mutex_unlock(&batch->lock);
    return code;
}

static struct timespec after(int64_t timeout_ms) {
    struct timespec until;
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += (time_t)(timeout_ms / 1000);
    until.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
    if (until.tv_nsec < 1000000000) return until;
    until.tv_sec++;
    until.tv_nsec -= 1000000000;
    return until;
}

dx_error_code dx_batch_wait(dx_batch *batch, int64_t timeout_ms) {
    struct timespec until = timeout_ms < 0 ? (struct timespec){0} : after(timeout_ms);
    int failed = 0;
    pthread_mutex_lock(&batch->lock);
    while (!batch->told && !failed)
        failed = timeout_ms < 0 ? pthread_cond_wait(&batch->changed, &batch->lock)
                                : pthread_cond_timedwait(&batch->changed, &batch->lock, &until);
    bool told = batch->told;
    pthread_mutex_unlock(&batch->lock);
    return told ? DX_ERROR_NONE : DX_ERROR_TIMEOUT;
}

// --- ending early ------------------------------------------------------------------------------------------------------------------------

static void cancel(dx_batch *batch) {
    dx_error why;
    (void)dx_fail(&why, DX_ERROR_CANCELLED, "the batch was cancelled");
    if (!batch->over) dx_batch_stop(batch, &why);
    if (batch->waited_for) pthread_cond_broadcast(&batch->changed);
}

void dx_batch_cancel(dx_batch *batch) {
    pthread_mutex_lock(&batch->lock);
    cancel(batch);
    pthread_mutex_unlock(&batch->lock);
}

void dx_batch_destroy(dx_batch *batch) {
    if (!batch) return;
    pthread_mutex_lock(&batch->lock);
    batch->destroyed = true;
    cancel(batch);
    pthread_mutex_unlock(&batch->lock);
    dx_batch_let_go(batch);
}

// --- reading -----------------------------------------------------------------------------------------------------------------------------

static uint64_t total_of(const dx_batch *batch) {
    if (batch->dry) return batch->begun;
    if (!batch->options.next) return batch->added;
    return batch->options.total ? batch->added + batch->options.total : 0;
}

void dx_batch_tell(const dx_batch *batch, dx_batch_progress *progress) {
    dx_batch *self = (dx_batch *)(uintptr_t)batch;
    pthread_mutex_lock(&self->lock);
    *progress = (dx_batch_progress){batch->done, batch->failed, total_of(batch), batch->begun - batch->done};
    pthread_mutex_unlock(&self->lock);
}

uint64_t dx_batch_count(const dx_batch *batch) {
    dx_batch *self = (dx_batch *)(uintptr_t)batch;
    pthread_mutex_lock(&self->lock);
    uint64_t count = batch->begun > batch->added ? batch->begun : batch->added;
    pthread_mutex_unlock(&self->lock);
    return count;
}

bool dx_batch_get(const dx_batch *batch, uint64_t index, dx_batch_result *result) {
    dx_batch *self = (dx_batch *)(uintptr_t)batch;
    pthread_mutex_lock(&self->lock);
    bool has_one = batch->over && index < batch->kept_count && (index < batch->begun || index < batch->added);
    if (has_one) {
        const dx_batch_kept *kept = &batch->kept[index];
        *result = (dx_batch_result){index, kept->user, kept->call ? dx_call_response(kept->call) : NULL, &batch->error};
        if (kept->told) result->error = &dx_batch_short_of_memory;
        if (kept->call) result->error = dx_call_error(kept->call);
        if (kept->trouble) result->error = kept->trouble;
    }
    pthread_mutex_unlock(&self->lock);
    return has_one;
}
