// Faults before another transport. What the rule wants is decided when the request is sent; faults of an answer let it come whole from
// below and deliver it as the fault will have it.
#include <pthread.h>

#include "base/memory.h"
#include "client/transport.h"

#define RULES_ARENA_CAP ((size_t)16 << 20)

typedef struct fault_rule {
    struct fault_rule *next;
    dx_fault_rule rule; // its texts in the arena
    unsigned used;
} fault_rule;

typedef struct fault_transport {
    dx_transport base;
    dx_transport_use inner;
    pthread_mutex_t lock; // of what changes
    dx_arena *arena;
    fault_rule *rules, **last;
    uint64_t state, count;
} fault_transport;

typedef struct fault_loop {
    fault_transport *transport;
    dx_loop *loop;
    void *inner;
} fault_loop;

typedef struct fault_transfer {
    fault_loop *self;
    dx_transfer *outer, inner;
    dx_fault_rule rule; // kind 0: none
    dx_alarm alarm;     // of latency
    dx_delivery delivery;
    enum { FAULT_WAITS, FAULT_BELOW, FAULT_DELIVERS } stage;
} fault_transfer;

static const char fault_kind;

// --- choosing --------------------------------------------------------------------------------------------------------------------------

// SplitMix64 (Steele, Lea, Flood, 2014): the same faults for the same seed.
static double next_random(fault_transport *transport) {
    uint64_t z = transport->state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (double)((z ^ (z >> 31)) >> 11) / (double)((uint64_t)1 << 53);
}

static void choose(fault_transport *transport, const dx_transfer *transfer, dx_fault_rule *out) {
    dx_sent sent = {.method = dx_method_name(transfer->x->request.method), .url = transfer->url.data};
    out->kind = (dx_fault_kind)0;
    pthread_mutex_lock(&transport->lock);
    for (fault_rule *at = transport->rules; at && !out->kind; at = at->next) {
        if (at->rule.times && at->used >= at->rule.times) continue;
        if (!dx_sent_fits(&sent, at->rule.method, at->rule.pattern) || next_random(transport) >= at->rule.rate) continue;
        at->used++;
        transport->count++;
        *out = at->rule;
    }
    pthread_mutex_unlock(&transport->lock);
}

// --- below -----------------------------------------------------------------------------------------------------------------------------

static void deliver(fault_transfer *t) {
    t->stage = FAULT_DELIVERS;
    dx_delivery_start(&t->delivery, t->outer, t->self->loop, 0);
}

static void inner_head(dx_transfer *inner) {
    dx_transfer *outer = DX_CONTAINER_OF(inner, fault_transfer, inner)->outer;
    outer->ops->head(outer);
}

static bool inner_piece(dx_transfer *inner, dx_slice piece) {
    dx_transfer *outer = DX_CONTAINER_OF(inner, fault_transfer, inner)->outer;
    return outer->ops->piece(outer, piece);
}

static void inner_done(dx_transfer *inner) {
    fault_transfer *t = DX_CONTAINER_OF(inner, fault_transfer, inner);
    dx_transfer *outer = t->outer;
    dx_exchange_response *response = &outer->x->response;
    bool spoils = t->rule.kind == DX_FAULT_LOST || t->rule.kind == DX_FAULT_TRUNCATE || t->rule.kind == DX_FAULT_SLOW;
    if (!spoils || outer->x->failure != DX_ERROR_NONE) {
        outer->state = NULL;
        return outer->ops->done(outer);
    }
    t->delivery = (dx_delivery){.status = response->status, .fields = response->fields, .body = response->body};
    if (t->rule.kind == DX_FAULT_SLOW) {
        t->delivery.piece = t->rule.bytes;
        t->delivery.gap = t->rule.delay_ms * DX_MILLISECOND;
    } else {
        t->delivery.failure = DX_ERROR_RESET;
        t->delivery.detail = "a fault that was asked for";
        t->delivery.fails_after = t->rule.kind == DX_FAULT_LOST ? DX_DELIVERY_NO_HEAD : t->rule.bytes;
    }
    response->fields = (dx_fields){0};
    dx_exchange_forget(outer->x);
    deliver(t);
}

static const dx_transfer_ops inner_ops = {.head = inner_head, .piece = inner_piece, .done = inner_done};

static void pass_on(fault_transfer *t) {
    dx_transfer *outer = t->outer;
    bool whole = t->rule.kind == DX_FAULT_LOST || t->rule.kind == DX_FAULT_TRUNCATE || t->rule.kind == DX_FAULT_SLOW;
    t->stage = FAULT_BELOW;
    t->inner = (dx_transfer){.x = outer->x,
                             .ops = &inner_ops,
                             .wire = outer->wire,
                             .url = outer->url,
                             .upload = outer->upload,
                             .stream = outer->stream && !whole,
                             .flushed = outer->flushed && t->rule.kind != DX_FAULT_LATENCY};
    t->self->transport->inner.ops->send(t->self->inner, &t->inner);
}

// --- above -----------------------------------------------------------------------------------------------------------------------------

static void latency_over(dx_alarm *alarm) {
    dx_alarm_deinit(alarm);
    pass_on(DX_CONTAINER_OF(alarm, fault_transfer, alarm));
}

static void answer_instead(fault_transfer *t) {
    dx_exchange *x = t->outer->x;
    t->delivery = (dx_delivery){.status = t->rule.status, .body = {"", 0}};
    if (t->rule.kind == DX_FAULT_RESET) {
        t->delivery.failure = DX_ERROR_RESET;
        t->delivery.detail = "a fault that was asked for";
        t->delivery.fails_after = DX_DELIVERY_NO_HEAD;
    } else if (t->rule.retry_after_s > 0) {
        dx_slice wait = dx_arena_printf(x->arena, "%d", t->rule.retry_after_s);
        if (!wait.data || dx_fields_add(&t->delivery.fields, x->arena, DX_SLICE("Retry-After"), wait) != DX_OK) {
            t->delivery.failure = DX_ERROR_NO_MEMORY;
            t->delivery.fails_after = DX_DELIVERY_NO_HEAD;
        }
    }
    deliver(t);
}

static void fail_now(dx_transfer *transfer) {
    transfer->state = NULL;
    (void)dx_exchange_fail_out(transfer->x, DX_ERROR_NO_MEMORY, NULL);
    transfer->ops->done(transfer);
}

static void send_one(void *ctx, dx_transfer *transfer) {
    fault_loop *self = ctx;
    fault_transfer *t = transfer->state = DX_ARENA_NEW(transfer->x->arena, fault_transfer);
    if (!t) return fail_now(transfer);
    t->self = self;
    t->outer = transfer;
    choose(self->transport, transfer, &t->rule);
    if (t->rule.kind == DX_FAULT_RESET || t->rule.kind == DX_FAULT_STATUS) return answer_instead(t);
    if (t->rule.kind != DX_FAULT_LATENCY) return pass_on(t);
    t->stage = FAULT_WAITS;
    if (dx_alarm_init(&t->alarm, self->loop, latency_over) != DX_OK) return fail_now(transfer);
    dx_alarm_start(&t->alarm, t->rule.delay_ms * DX_MILLISECOND);
}

static void flush(void *ctx) {
    fault_loop *self = ctx;
    if (self->transport->inner.ops->flush) self->transport->inner.ops->flush(self->inner);
}

static void cancel(void *ctx, dx_transfer *transfer) {
    fault_loop *self = ctx;
    fault_transfer *t = transfer->state;
    if (!t) return;
    transfer->state = NULL;
    dx_alarm_deinit(&t->alarm);
    if (t->stage == FAULT_BELOW) self->transport->inner.ops->cancel(self->inner, &t->inner);
    if (t->stage == FAULT_DELIVERS) dx_delivery_cancel(&t->delivery);
}

static void resume(void *ctx, dx_transfer *transfer) {
    fault_loop *self = ctx;
    fault_transfer *t = transfer->state;
    if (t && t->stage == FAULT_BELOW) self->transport->inner.ops->resume(self->inner, &t->inner);
    if (t && t->stage == FAULT_DELIVERS) dx_delivery_resume(&t->delivery);
}

static void close_loop(void *ctx) {
    fault_loop *self = ctx;
    if (!self) return;
    self->transport->inner.ops->close(self->inner);
    dx_memory_free(self);
}

static dx_status open_loop(void **out, const void *conf, dx_loop *loop) {
    fault_loop *self = dx_memory_zalloc(1, sizeof *self);
    if (!self) return DX_NO_MEMORY;
    self->transport = (fault_transport *)(uintptr_t)conf;
    self->loop = loop;
    dx_status status = self->transport->inner.ops->open(&self->inner, self->transport->inner.conf, loop);
    if (status == DX_OK)
        *out = self;
    else
        dx_memory_free(self);
    return status;
}

static const dx_transport_ops fault_ops = {
    .name = "fault", .open = open_loop, .send = send_one, .flush = flush, .cancel = cancel, .resume = resume, .close = close_loop};

// --- setting up --------------------------------------------------------------------------------------------------------------------------

static fault_transport *fault_of(const dx_transport *base) {
    return base && base->kind == &fault_kind ? DX_CONTAINER_OF((dx_transport *)(uintptr_t)base, fault_transport, base) : NULL;
}

static void destroy(dx_transport *base) {
    fault_transport *transport = fault_of(base);
    dx_arena_destroy(transport->arena);
    (void)pthread_mutex_destroy(&transport->lock);
    dx_memory_free(transport);
}

dx_transport *dx_transport_fault_create(dx_transport *inner, uint64_t seed) {
    fault_transport *transport = dx_memory_zalloc(1, sizeof *transport);
    if (!transport) return NULL;
    transport->arena = dx_arena_create(RULES_ARENA_CAP);
    if (!transport->arena) {
        dx_memory_free(transport);
        return NULL;
    }
    transport->base = (dx_transport){.use = {&fault_ops, transport}, .kind = &fault_kind, .destroy = destroy};
    transport->inner = dx_transport_use_of(inner);
    transport->last = &transport->rules;
    transport->state = seed;
    (void)pthread_mutex_init(&transport->lock, NULL);
    return &transport->base;
}

static bool makes_sense(const dx_fault_rule *rule) {
    if (!(rule->rate >= 0 && rule->rate <= 1) || rule->delay_ms < 0 || rule->delay_ms > INT32_MAX || rule->retry_after_s < 0) return false;
    if (rule->kind < DX_FAULT_LATENCY || rule->kind > DX_FAULT_SLOW) return false;
    if (rule->kind == DX_FAULT_STATUS) return rule->status >= 100 && rule->status <= 599;
    return rule->kind != DX_FAULT_SLOW || rule->bytes > 0;
}

static bool copy_text(const char **text, dx_arena *arena) {
    if (*text) *text = dx_arena_copy(arena, dx_slice_str(*text)).data;
    return *text != NULL;
}

dx_error_code dx_fault_rule_add(dx_transport *base, const dx_fault_rule *from) {
    static const dx_fault_rule standard = DX_FAULT_RULE_INIT;
    fault_transport *transport = fault_of(base);
    dx_fault_rule rule = standard;
    memcpy(&rule, from, from->size < sizeof rule ? from->size : sizeof rule);
    if (!transport || !makes_sense(&rule)) return DX_ERROR_ARGUMENT;
    pthread_mutex_lock(&transport->lock);
    fault_rule *made = DX_ARENA_NEW(transport->arena, fault_rule);
    bool copied = made && (!rule.method || copy_text(&rule.method, transport->arena)) &&
                  (!rule.pattern || copy_text(&rule.pattern, transport->arena));
    if (copied) {
        made->rule = rule;
        *transport->last = made;
        transport->last = &made->next;
    }
    pthread_mutex_unlock(&transport->lock);
    return copied ? DX_ERROR_NONE : DX_ERROR_NO_MEMORY;
}

uint64_t dx_fault_count(const dx_transport *base) {
    fault_transport *transport = fault_of(base);
    if (!transport) return 0;
    pthread_mutex_lock(&transport->lock);
    uint64_t count = transport->count;
    pthread_mutex_unlock(&transport->lock);
    return count;
}
