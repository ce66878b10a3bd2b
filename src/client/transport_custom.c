// Transports that a program brings, and the replies that it fills. A reply lies in an arena of its own, held by the loop it came from and
// by whoever fills it; the lock of its transport orders the two where they meet: ended there, cancelled here.
#include <pthread.h>

#include "base/memory.h"
#include "client/transport.h"

typedef struct custom_transport {
    dx_transport base;
    atomic_size_t holders; // the program, loops, and replies that are not ended
    pthread_mutex_t lock;
    dx_transport_custom custom;
} custom_transport;

typedef struct custom_loop {
    custom_transport *transport;
    dx_loop *loop;
    dx_reply *replies; // held by this loop
} custom_loop;

struct dx_reply {
    dx_arena *arena;
    atomic_size_t holders;
    custom_transport *transport; // held
    custom_loop *self;
    dx_transfer *transfer; // under the lock; NULL: nobody waits any more
    dx_reply *next, **link;
    dx_task task;
    dx_nanos delay;
    int status;
    dx_fields fields;
    dx_buffer body;
    dx_error_code failure;
    const char *detail;
    bool posted, ended, broken; // posted: under the lock
};

typedef struct custom_transfer {
    dx_reply *reply; // NULL: it is being delivered
    dx_delivery delivery;
} custom_transfer;

static const char custom_kind;

static void let_go(custom_transport *transport) {
    if (atomic_fetch_sub_explicit(&transport->holders, 1, memory_order_acq_rel) != 1) return;
    (void)pthread_mutex_destroy(&transport->lock);
    dx_memory_free(transport);
}

static void reply_release(void *ctx) {
    dx_reply *reply = ctx;
    if (atomic_fetch_sub_explicit(&reply->holders, 1, memory_order_acq_rel) != 1) return;
    let_go(reply->transport);
    dx_arena_destroy(reply->arena);
}

static void unlink_reply(dx_reply *reply) {
    *reply->link = reply->next;
    if (reply->next) reply->next->link = reply->link;
}

// --- filling ---------------------------------------------------------------------------------------------------------------------------

void dx_reply_status(dx_reply *reply, int status) {
    reply->status = status < 100 || status > 599 ? 500 : status;
}

void dx_reply_header(dx_reply *reply, const char *name, const char *value) {
    dx_slice n = dx_arena_copy(reply->arena, dx_slice_str(name)), v = dx_arena_copy(reply->arena, dx_slice_str(value ? value : ""));
    if (!n.data || !v.data || dx_fields_add(&reply->fields, reply->arena, n, v.size ? v : (dx_slice){"", 0}) == DX_NO_MEMORY)
        reply->broken = true;
}

void dx_reply_body(dx_reply *reply, const void *data, size_t size) {
    dx_buffer_append(&reply->body, data, size);
}

void dx_reply_delay(dx_reply *reply, int64_t ms) {
    reply->delay = ms > 0 ? (ms < INT64_MAX / DX_MILLISECOND ? ms * DX_MILLISECOND : INT64_MAX / 2) : 0;
}

dx_transfer *dx_reply_transfer(dx_reply *reply) {
    return reply->transfer;
}

bool dx_reply_is_ended(dx_reply *reply) {
    pthread_mutex_lock(&reply->transport->lock);
    bool ended = reply->ended;
    pthread_mutex_unlock(&reply->transport->lock);
    return ended;
}

void dx_reply_keep(dx_reply *reply) {
    (void)atomic_fetch_add_explicit(&reply->holders, 1, memory_order_relaxed);
}

void dx_reply_let_go(dx_reply *reply) {
    reply_release(reply);
}

void dx_reply_finish(dx_reply *reply) {
    custom_transport *transport = reply->transport;
    char *nul = dx_buffer_reserve(&reply->body, 1);
    if (nul) *nul = '\0';
    pthread_mutex_lock(&transport->lock);
    reply->ended = true;
    if (reply->transfer) {
        reply->posted = true;
        dx_loop_post(reply->self->loop, &reply->task);
    }
    pthread_mutex_unlock(&transport->lock);
    reply_release(reply);
}

void dx_reply_fail(dx_reply *reply, dx_error_code code, const char *explanation) {
    reply->failure = code == DX_ERROR_NONE ? DX_ERROR_INTERNAL : code;
    reply->detail = explanation ? dx_arena_copy(reply->arena, dx_slice_str(explanation)).data : NULL;
    dx_reply_finish(reply);
}

// --- on the loop -----------------------------------------------------------------------------------------------------------------------

static void deliver(custom_transfer *t, dx_transfer *transfer, dx_reply *reply) {
    dx_delivery *d = &t->delivery;
    dx_loop *loop = reply->self->loop;
    dx_nanos delay = reply->delay;
    bool broken = reply->broken || dx_buffer_status(&reply->body) != DX_OK;
    *d = (dx_delivery){.status = reply->status,
                       .fields = reply->fields,
                       .body = dx_buffer_slice(&reply->body),
                       .failure = broken ? DX_ERROR_NO_MEMORY : reply->failure,
                       .detail = broken ? NULL : reply->detail,
                       .fails_after = DX_DELIVERY_NO_HEAD};
    t->reply = NULL;
    if (dx_arena_defer(transfer->x->arena, reply_release, reply) != DX_OK) { // the answer lives as long as the call
        *d = (dx_delivery){.failure = DX_ERROR_NO_MEMORY, .fails_after = DX_DELIVERY_NO_HEAD};
        reply_release(reply);
    }
    dx_delivery_start(d, transfer, loop, delay);
}

static void reply_ended(dx_task *task) {
    dx_reply *reply = DX_CONTAINER_OF(task, dx_reply, task);
    pthread_mutex_lock(&reply->transport->lock);
    dx_transfer *transfer = reply->transfer;
    pthread_mutex_unlock(&reply->transport->lock);
    unlink_reply(reply);
    if (!transfer) return reply_release(reply);
    deliver(transfer->state, transfer, reply);
}

static dx_reply *reply_create(custom_loop *self, dx_transfer *transfer) {
    dx_arena *arena = dx_arena_create(DX_SENT_BODY_CAP + ((size_t)16 << 20));
    dx_reply *reply = arena ? DX_ARENA_NEW(arena, dx_reply) : NULL;
    if (!reply) {
        dx_arena_destroy(arena);
        return NULL;
    }
    reply->arena = arena;
    reply->self = self;
    reply->transfer = transfer;
    reply->transport = self->transport;
    reply->status = 200;
    reply->task.run = reply_ended;
    atomic_init(&reply->holders, 2);
    (void)atomic_fetch_add_explicit(&self->transport->holders, 1, memory_order_relaxed);
    dx_buffer_init(&reply->body, arena, DX_SENT_BODY_CAP);
    reply->next = self->replies;
    reply->link = &self->replies;
    if (reply->next) reply->next->link = &reply->next;
    self->replies = reply;
    return reply;
}

// Nothing was sent, and x says why: at once, as there may be nothing to tell it by later.
static void fail_now(dx_transfer *transfer) {
    transfer->state = NULL;
    if (transfer->x->failure == DX_ERROR_NONE) (void)dx_exchange_fail_out(transfer->x, DX_ERROR_NO_MEMORY, NULL);
    transfer->ops->done(transfer);
}

static void send_one(void *ctx, dx_transfer *transfer) {
    custom_loop *self = ctx;
    custom_transfer *t = DX_ARENA_NEW(transfer->x->arena, custom_transfer);
    dx_reply *reply = t ? reply_create(self, transfer) : NULL;
    if (!reply) return fail_now(transfer);
    dx_sent *sent = DX_ARENA_NEW(reply->arena, dx_sent); // lives as long as the reply, also when the call is cancelled
    if (!sent || !dx_sent_make(sent, reply->arena, transfer)) {
        unlink_reply(reply);
        reply_release(reply);
        reply_release(reply);
        return fail_now(transfer);
    }
    t->reply = reply;
    transfer->state = t;
    dx_exchange_enter(transfer->x, DX_PHASE_WAIT, dx_clock_monotonic());
    const dx_transport_custom *custom = &self->transport->custom;
    custom->send(custom->context, sent, reply);
}

static void cancel(void *ctx, dx_transfer *transfer) {
    custom_loop *self = ctx;
    custom_transfer *t = transfer->state;
    if (!t) return;
    transfer->state = NULL;
    dx_reply *reply = t->reply;
    if (!reply) return dx_delivery_cancel(&t->delivery);
    pthread_mutex_lock(&self->transport->lock);
    reply->transfer = NULL;
    bool posted = reply->posted;
    pthread_mutex_unlock(&self->transport->lock);
    if (posted) return; // its task lets go
    const dx_transport_custom *custom = &self->transport->custom;
    if (custom->cancel) custom->cancel(custom->context, reply);
    unlink_reply(reply);
    reply_release(reply);
}

static void resume(void *ctx, dx_transfer *transfer) {
    (void)ctx;
    custom_transfer *t = transfer->state;
    if (t && !t->reply) dx_delivery_resume(&t->delivery);
}

static void close_loop(void *ctx) {
    custom_loop *self = ctx;
    if (!self) return;
    while (self->replies) { // cancelled, and their tasks will not run any more
        dx_reply *reply = self->replies;
        unlink_reply(reply);
        reply_release(reply);
    }
    let_go(self->transport);
    dx_memory_free(self);
}

static dx_status open_loop(void **out, const void *conf, dx_loop *loop) {
    custom_loop *self = dx_memory_zalloc(1, sizeof *self);
    if (!self) return DX_NO_MEMORY;
    self->transport = (custom_transport *)(uintptr_t)conf;
    self->loop = loop;
    (void)atomic_fetch_add_explicit(&self->transport->holders, 1, memory_order_relaxed);
    *out = self;
    return DX_OK;
}

static const dx_transport_ops custom_ops = {
    .name = "custom", .open = open_loop, .send = send_one, .cancel = cancel, .resume = resume, .close = close_loop};

// --- life ------------------------------------------------------------------------------------------------------------------------------

static void destroy(dx_transport *base) {
    custom_transport *transport = DX_CONTAINER_OF(base, custom_transport, base);
    if (transport->custom.destroy) transport->custom.destroy(transport->custom.context);
    let_go(transport);
}

dx_transport *dx_transport_custom_create(const dx_transport_custom *custom) {
    custom_transport *transport = dx_memory_zalloc(1, sizeof *transport);
    if (!transport) return NULL;
    memcpy(&transport->custom, custom, custom->size < sizeof *custom ? custom->size : sizeof *custom);
    (void)pthread_mutex_init(&transport->lock, NULL);
    atomic_init(&transport->holders, 1);
    transport->base = (dx_transport){.use = {&custom_ops, transport}, .kind = &custom_kind, .destroy = destroy};
    return &transport->base;
}

void *dx_transport_context(const dx_transport *base, void (*send)(void *context, const dx_sent *request, dx_reply *reply)) {
    if (!base || base->kind != &custom_kind) return NULL;
    const custom_transport *transport = DX_CONTAINER_OF((dx_transport *)(uintptr_t)base, custom_transport, base);
    return transport->custom.send == send ? transport->custom.context : NULL;
}

dx_transport_use dx_transport_use_of(const dx_transport *transport) {
    return transport ? transport->use : (dx_transport_use){&dx_curl_transport, NULL};
}

void dx_transport_destroy(dx_transport *transport) {
    if (transport) transport->destroy(transport);
}
