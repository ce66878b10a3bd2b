#include "client/admission.h"

#include "base/hash.h"
#include "base/memory.h"

enum { ORIGINS_CAP = 4096 }; // at rest; those that are used stay

static dx_origin **place_of(dx_admission *a, dx_slice name, uint64_t serial) {
    dx_origin **at = &a->origins[(dx_hash(name) ^ serial) % DX_COUNT_OF(a->origins)];
    while (*at && ((*at)->serial != serial || !dx_slice_equal((*at)->name, name))) at = &(*at)->next;
    return at;
}

static bool is_at_rest(const dx_origin *origin) {
    return origin->under_way == 0 && origin->waiting == 0;
}

static void drop_at_rest(dx_admission *a) {
    for (size_t i = 0; i < DX_COUNT_OF(a->origins); i++) {
        for (dx_origin **at = &a->origins[i]; *at;) {
            dx_origin *origin = *at;
            if (!is_at_rest(origin)) {
                at = &origin->next;
                continue;
            }
            *at = origin->next;
            a->origin_count--;
            dx_memory_free(origin);
        }
    }
}

static dx_origin *origin_of(dx_admission *a, dx_slice name, uint64_t serial) {
    dx_origin **at = place_of(a, name, serial);
    if (*at) return *at;
    if (a->origin_count >= ORIGINS_CAP) {
        drop_at_rest(a);
        at = place_of(a, name, serial);
    }
    dx_origin *origin = dx_memory_zalloc(1, sizeof *origin + name.size);
    if (!origin) return NULL;
    memcpy(origin + 1, name.data, name.size);
    origin->name = dx_slice_of((const char *)(origin + 1), name.size);
    origin->serial = serial;
    a->origin_count++;
    return *at = origin;
}

// One thread writes it, so that nothing need be locked.
static void step(atomic_size_t *number, int by) {
    atomic_store_explicit(number, atomic_load_explicit(number, memory_order_relaxed) + (size_t)by, memory_order_relaxed);
}

static void send_now(dx_admission *a, dx_transfer *transfer) {
    transfer->origin->under_way++;
    step(&a->under_way, 1);
    dx_exchange_enter(transfer->x, DX_PHASE_CONNECT, dx_clock_monotonic());
    a->ops->send(a->transport, transfer);
}

static void leave_queue(dx_admission *a, dx_transfer *transfer);

// It has waited for longer than queue_timeout.
static void lose_patience(dx_timer *timer) {
    dx_transfer *transfer = DX_CONTAINER_OF(timer, dx_transfer, patience);
    const dx_origin *origin = transfer->origin;
    dx_nanos waited = dx_clock_monotonic() - transfer->queued;
    (void)dx_exchange_fail_out(transfer->x, DX_ERROR_QUEUE_FULL, "it has waited %lld ms for one of the %zu connections to %.*s",
                               (long long)(waited / DX_MILLISECOND), transfer->wire->max_connections, DX_SLICE_ARG(origin->name));
    leave_queue(transfer->admission, transfer);
    transfer->origin = NULL;
    transfer->ops->done(transfer);
}

bool dx_admission_enter(dx_admission *a, dx_transfer *transfer, dx_slice name) {
    dx_origin *origin = transfer->origin = origin_of(a, name, transfer->wire->serial);
    transfer->queued = 0;
    if (!origin) {
        (void)dx_exchange_fail_out(transfer->x, DX_ERROR_NO_MEMORY, NULL);
        return false;
    }
    if (origin->under_way < transfer->wire->max_connections && origin->waiting == 0) {
        send_now(a, transfer);
        return true;
    }
    if (origin->waiting >= transfer->wire->max_queue) {
        transfer->origin = NULL;
        (void)dx_exchange_fail_out(transfer->x, DX_ERROR_QUEUE_FULL, "%zu calls to %.*s wait for its %zu connections already",
                                   origin->waiting, DX_SLICE_ARG(name), transfer->wire->max_connections);
        return false;
    }
    transfer->queued = dx_clock_monotonic();
    dx_exchange_enter(transfer->x, DX_PHASE_QUEUE, transfer->queued);
    transfer->queue_next = NULL;
    transfer->queue_before = origin->last;
    *(origin->last ? &origin->last->queue_next : &origin->first) = transfer;
    origin->last = transfer;
    origin->waiting++;
    step(&a->waiting, 1);
    transfer->admission = a;
    transfer->patience = (dx_timer){.fire = lose_patience};
    if (transfer->wire->queue_timeout) dx_timer_start(a->loop, &transfer->patience, transfer->wire->queue_timeout);
    return true;
}

static void leave_queue(dx_admission *a, dx_transfer *transfer) {
    if (transfer->wire->queue_timeout) dx_timer_stop(a->loop, &transfer->patience);
    dx_origin *origin = transfer->origin;
    *(transfer->queue_before ? &transfer->queue_before->queue_next : &origin->first) = transfer->queue_next;
    *(transfer->queue_next ? &transfer->queue_next->queue_before : &origin->last) = transfer->queue_before;
    transfer->queue_next = transfer->queue_before = NULL;
    transfer->queued = 0;
    origin->waiting--;
    step(&a->waiting, -1);
}

bool dx_admission_waits(const dx_transfer *transfer) {
    return transfer->queued != 0;
}

static void send_next(dx_admission *a, dx_origin *origin) {
    while (origin->first && origin->under_way < origin->first->wire->max_connections) {
        dx_transfer *next = origin->first;
        leave_queue(a, next);
        send_now(a, next);
    }
}

void dx_admission_done(dx_admission *a, dx_transfer *transfer) {
    dx_origin *origin = transfer->origin;
    if (!origin) return;
    transfer->origin = NULL;
    origin->under_way--;
    step(&a->under_way, -1);
    send_next(a, origin);
}

void dx_admission_cancel(dx_admission *a, dx_transfer *transfer) {
    if (!transfer->origin) return;
    if (dx_admission_waits(transfer)) {
        leave_queue(a, transfer);
        transfer->origin = NULL;
        return;
    }
    a->ops->cancel(a->transport, transfer);
    dx_admission_done(a, transfer);
}

void dx_admission_deinit(dx_admission *a) {
    drop_at_rest(a);
}
