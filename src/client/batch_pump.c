// How a batch goes on. Whoever pumps tells results and begins calls, by turns, so that callbacks never run at the same time: the thread
// that waits in dx_batch_run, or any of the client's threads on which a call is over while nobody else pumps. Slots bound what is begun and
// not told; in order of index a call's slot is its index modulo their number.
#include "base/memory.h"
#include "client/batch_parts.h"
#include "client/fail.h"

const dx_error dx_batch_short_of_memory = {
    DX_ERROR_NO_MEMORY, DX_CATEGORY_UNKNOWN, DX_PHASE_PREPARE, 0, 0, false, -1, 0, 0, "", "there is no memory for the call"};

bool dx_batch_prepare(dx_batch *batch) {
    size_t count = batch->options.ordered ? 2 * (size_t)batch->options.concurrency : batch->options.concurrency;
    batch->slots = dx_memory_zalloc(count, sizeof *batch->slots);
    if (!batch->slots) return false;
    batch->slot_count = count;
    for (size_t i = 0; i < batch->slot_count; i++) {
        batch->slots[i].batch = batch;
        batch->slots[i].next = batch->free;
        batch->free = &batch->slots[i];
    }
    batch->over_last = &batch->over_first;
    return true;
}

// --- stopping ----------------------------------------------------------------------------------------------------------------------------

void dx_batch_stop(dx_batch *batch, const dx_error *why) {
    if (batch->error.code) return;
    batch->error = *why;
    for (size_t i = 0; i < batch->slot_count; i++)
        if (batch->slots[i].running) dx_call_cancel(batch->slots[i].call);
}

static bool is_late(const dx_batch *batch) {
    return batch->deadline && dx_clock_monotonic() >= batch->deadline;
}

static void stop_late(dx_batch *batch) {
    dx_error why;
    (void)dx_fail(&why, DX_ERROR_TIMEOUT, "the batch was not through after %lld ms: %llu calls were told",
                  (long long)batch->options.timeout_ms, (unsigned long long)batch->done);
    dx_batch_stop(batch, &why);
}

// --- telling -----------------------------------------------------------------------------------------------------------------------------

static void put_back(dx_batch *batch, dx_batch_slot *slot) {
    *slot = (dx_batch_slot){.batch = batch, .next = batch->free};
    batch->free = slot;
}

static bool has_over(const dx_batch *batch) {
    if (!batch->options.ordered) return batch->over_first != NULL;
    const dx_batch_slot *slot = &batch->slots[batch->done % batch->slot_count];
    return batch->done < batch->begun && slot->taken && !slot->running;
}

static dx_batch_slot *take_over(dx_batch *batch) {
    if (!has_over(batch)) return NULL;
    if (batch->options.ordered) return &batch->slots[batch->done % batch->slot_count];
    dx_batch_slot *slot = batch->over_first;
    batch->over_first = slot->next;
    if (!slot->next) batch->over_last = &batch->over_first;
    return slot;
}

static void queue_over(dx_batch *batch, dx_batch_slot *slot) {
    if (batch->options.ordered) return; // found by its index
    slot->next = NULL;
    *batch->over_last = slot;
    batch->over_last = &slot->next;
}

static const dx_error *error_of(const dx_batch_slot *slot) {
    return slot->trouble ? slot->trouble : slot->call ? dx_call_error(slot->call) : &dx_batch_short_of_memory;
}

static void keep_or_drop(dx_batch *batch, dx_batch_slot *slot) {
    if (!batch->options.result && slot->index < batch->kept_count) {
        batch->kept[slot->index] = (dx_batch_kept){slot->user, slot->call, slot->trouble, true};
        return;
    }
    dx_call_release(slot->call);
    dx_memory_free(slot->trouble);
}

static void count(dx_batch *batch, const dx_error *error) {
    batch->done++;
    if (!error->code) return;
    batch->failed++;
    if (error->code == DX_ERROR_TIMEOUT && is_late(batch)) return stop_late(batch);
    bool too_many = batch->options.max_failures && batch->failed > batch->options.max_failures;
    if (batch->options.stop_on_error || too_many || error->code == DX_ERROR_CLOSED) dx_batch_stop(batch, error);
}

static void tell_one(dx_batch *batch, dx_batch_slot *slot) {
    dx_batch_result result = {slot->index, slot->user, slot->call ? dx_call_response(slot->call) : NULL, error_of(slot)};
    dx_batch_progress progress;
    bool listens = !batch->destroyed;
    if (listens && batch->options.result) {
        pthread_mutex_unlock(&batch->lock);
        batch->options.result(batch->options.context, &result);
        pthread_mutex_lock(&batch->lock);
    }
    count(batch, result.error);
    keep_or_drop(batch, slot);
    put_back(batch, slot);
    if (batch->destroyed || !batch->options.progress) return;
    pthread_mutex_unlock(&batch->lock);
    dx_batch_tell(batch, &progress);
    batch->options.progress(batch->options.context, &progress);
    pthread_mutex_lock(&batch->lock);
}

// --- beginning ---------------------------------------------------------------------------------------------------------------------------

static void on_over(void *ctx, dx_call *call) {
    dx_batch_slot *slot = ctx;
    dx_batch *batch = slot->batch;
    (void)call;
    pthread_mutex_lock(&batch->lock);
    slot->running = false;
    batch->running--;
    queue_over(batch, slot);
    if (batch->waited_for)
        pthread_cond_broadcast(&batch->changed);
    else
        dx_batch_turn(batch);
    pthread_mutex_unlock(&batch->lock);
    dx_batch_let_go(batch);
}

static dx_batch_slot *take_slot(dx_batch *batch) {
    if (batch->options.ordered) {
        dx_batch_slot *slot = &batch->slots[batch->begun % batch->slot_count];
        return slot->taken ? NULL : slot;
    }
    dx_batch_slot *slot = batch->free;
    if (slot) batch->free = slot->next;
    return slot;
}

// The next call's item; false: there are no more.
static bool next_item(dx_batch *batch, dx_batch_item *item) {
    *item = (dx_batch_item){0};
    if (batch->first) {
        *item = batch->first->item;
        batch->first = batch->first->next;
        return true;
    }
    if (!batch->options.next) return false;
    pthread_mutex_unlock(&batch->lock);
    bool has_one = batch->options.next(batch->options.context, item);
    pthread_mutex_lock(&batch->lock);
    return has_one;
}

// Room for its result, if results are kept; those of added calls have it.
static bool make_room(dx_batch *batch) {
    if (batch->options.result || batch->begun < batch->kept_count) return true;
    uint64_t room = batch->kept_count ? 2 * batch->kept_count : 64;
    dx_batch_kept *larger = room < SIZE_MAX / sizeof *larger ? dx_memory_realloc(batch->kept, (size_t)room * sizeof *larger) : NULL;
    if (!larger) return false;
    memset(larger + batch->kept_count, 0, (size_t)(room - batch->kept_count) * sizeof *larger);
    batch->kept = larger;
    batch->kept_count = room;
    return true;
}

static void fail_slot(dx_batch *batch, dx_batch_slot *slot, const dx_error *error) {
    slot->trouble = dx_memory_alloc(sizeof *error);
    if (slot->trouble) *slot->trouble = *error;
    queue_over(batch, slot);
}

static void start(dx_batch *batch, dx_batch_slot *slot, dx_call *call) {
    dx_error error = batch->error; // it may have been stopped while the call was made
    if (error.code) {
        dx_call_release(call);
        return fail_slot(batch, slot, &error);
    }
    if (batch->deadline && (!call->x.deadline || call->x.deadline > batch->deadline)) call->x.deadline = batch->deadline;
    slot->running = true;
    batch->running++;
    dx_batch_hold(batch);
    if (!dx_client_start_call(&slot->call, batch->client, call, on_over, slot, &error)) return;
    slot->running = false;
    batch->running--;
    dx_batch_let_go(batch); // not the last hold
    fail_slot(batch, slot, &error);
}

static void begin(dx_batch *batch, dx_batch_slot *slot, const dx_batch_item *item) {
    dx_question question = {.name = dx_slice_str(item->name)};
    dx_error error;
    dx_call *call;
    *slot = (dx_batch_slot){.batch = batch, .index = batch->begun++, .user = item->user, .taken = true};
    pthread_mutex_unlock(&batch->lock);
    dx_error_code code = dx_client_make_call(&call, batch->client, &question, item->args, item->options, &error);
    pthread_mutex_lock(&batch->lock);
    if (code)
        fail_slot(batch, slot, &error);
    else
        start(batch, slot, call);
}

// False: nothing can be begun now.
static bool begin_next(dx_batch *batch) {
    dx_batch_item item;
    if (batch->dry || batch->error.code || batch->running >= batch->options.concurrency) return false;
    dx_batch_slot *slot = take_slot(batch);
    if (!slot) return false;
    if (is_late(batch)) {
        stop_late(batch);
    } else if (!make_room(batch)) {
        dx_batch_stop(batch, &dx_batch_short_of_memory);
    } else if (!next_item(batch, &item)) {
        batch->dry = true;
    } else {
        begin(batch, slot, &item);
        return true;
    }
    if (!batch->options.ordered) put_back(batch, slot);
    return false;
}

// --- going on ----------------------------------------------------------------------------------------------------------------------------

void dx_batch_pump(dx_batch *batch) {
    for (;;) {
        dx_batch_slot *slot = take_over(batch);
        if (slot)
            tell_one(batch, slot);
        else if (!begin_next(batch) && !has_over(batch)) // one may be over since: the lock was let go
            return;
    }
}

bool dx_batch_is_through(const dx_batch *batch) {
    return (batch->dry || batch->error.code) && batch->done == batch->begun;
}

void dx_batch_turn(dx_batch *batch) {
    if (batch->pumping || batch->over) return;
    batch->pumping = true;
    dx_batch_pump(batch);
    batch->pumping = false;
    if (!dx_batch_is_through(batch)) return;
    batch->over = true;
    dx_error error = batch->error;
    dx_batch *shown = batch->destroyed ? NULL : batch;
    pthread_mutex_unlock(&batch->lock);
    if (batch->tell) batch->tell(batch->tell_ctx, shown, &error);
    pthread_mutex_lock(&batch->lock);
    batch->told = true;
    pthread_cond_broadcast(&batch->changed);
}
