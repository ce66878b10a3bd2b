#include "client/hedging.h"

#include "base/memory.h"

enum { RENEWAL_S = 60 };

struct dx_hedging {
    dx_call *call;
    dx_hedge_kept *kept;
    dx_alarm alarm;
    dx_exchange x; // of the second copy
    dx_transfer transfer;
    dx_nanos since;
    bool sent;   // the second copy is under way
    bool failed; // the first one has; its outcome stands in the call
};

// --- what is kept ------------------------------------------------------------------------------------------------------------------

dx_hedge_kept *dx_hedge_kept_create(yyjson_val *settings) {
    dx_hedge_options options = DX_HEDGE_OPTIONS_INIT;
    dx_hedge_kept *kept = dx_memory_zalloc(1, sizeof *kept);
    if (!kept) return NULL;
    double budget = yyjson_get_num(yyjson_obj_get(settings, "budget")) * 1000;
    options.delay = (dx_nanos)(yyjson_get_num(yyjson_obj_get(settings, "delay")) * (double)DX_SECOND);
    options.percent = yyjson_get_num(yyjson_obj_get(settings, "percentile"));
    options.share_thousandths = budget < 1 ? 1 : budget > DX_HEDGE_SHARE_CAP ? DX_HEDGE_SHARE_CAP : (uint32_t)budget;
    options.latency = dx_hedge_percentile;
    options.latency_ctx = &kept->latencies;
    atomic_init(&kept->renewed, dx_clock_monotonic());
    if (dx_hedge_init(&kept->hedge, &options) == DX_OK) return kept;
    dx_memory_free(kept);
    return NULL;
}

void dx_hedge_kept_destroy(void *kept) {
    dx_memory_free(kept);
}

// A percentile of all time would not notice that the API has become faster.
static void record(dx_hedge_kept *kept, dx_nanos took, dx_nanos now) {
    dx_nanos renewed = atomic_load_explicit(&kept->renewed, memory_order_relaxed);
    if (now - renewed > RENEWAL_S * DX_SECOND && atomic_compare_exchange_strong(&kept->renewed, &renewed, now))
        dx_histogram_reset(&kept->latencies, NULL);
    dx_histogram_record(&kept->latencies, took);
}

// --- the second copy ---------------------------------------------------------------------------------------------------------------

static void take_over(struct dx_hedging *h) {
    dx_exchange *x = &h->call->x;
    x->response = h->x.response;
    x->failure = h->x.failure;
    x->failure_detail = h->x.failure_detail;
    x->request.version = h->x.request.version;
}

static void on_copy_done(dx_transfer *transfer) {
    struct dx_hedging *h = DX_CONTAINER_OF(transfer, struct dx_hedging, transfer);
    dx_call *call = h->call;
    h->sent = false;
    dx_admission_done(&call->engine->admission, transfer);
    if (h->x.failure != DX_ERROR_NONE && !h->failed) return; // the first one may do better
    if (h->x.failure == DX_ERROR_NONE) {
        if (!h->failed) dx_admission_cancel(&call->engine->admission, &call->transfer);
        dx_hedge_won(&h->kept->hedge);
        dx_exchange_forget(&call->x);
        take_over(h);
    }
    call->x.stop = NULL;
    dx_exchange_resume(&call->x, DX_ANSWER);
}

static const dx_transfer_ops copy_ops = {.done = on_copy_done};

static void send_copy(dx_alarm *alarm) {
    struct dx_hedging *h = DX_CONTAINER_OF(alarm, struct dx_hedging, alarm);
    dx_call *call = h->call;
    if (!dx_hedge_send(&h->kept->hedge)) return;
    dx_exchange_init(&h->x, call->arena, call->engine->loop, 0);
    h->x.owner = call;
    h->x.request = call->x.request;
    h->x.phase_since = dx_clock_monotonic();
    h->transfer = (dx_transfer){.x = &h->x, .ops = &copy_ops, .wire = call->transfer.wire, .url = call->transfer.url};
    size_t origin = (call->x.request.secure ? 8 : 7) + call->x.request.authority.size;
    h->sent = dx_admission_enter(&call->engine->admission, &h->transfer, dx_slice_of(call->transfer.url.data, origin));
}

// --- along with the first one ------------------------------------------------------------------------------------------------------

static bool may_hedge(const dx_call *call) {
    const dx_exchange_request *request = &call->x.request;
    return request->repeatable && !call->bound.upload && !call->has_sink;
}

void dx_hedging_begin(dx_call *call) {
    dx_hedge_kept *kept = call->settings->hedging;
    if (!kept || !may_hedge(call)) return;
    dx_nanos delay = dx_hedge_begin(&kept->hedge);
    struct dx_hedging *h = DX_ARENA_NEW(call->arena, struct dx_hedging);
    if (!h) return;
    h->call = call;
    h->kept = kept;
    h->since = dx_clock_monotonic();
    call->hedging = h;
    if (delay != DX_HEDGE_NEVER && dx_alarm_init(&h->alarm, call->engine->loop, send_copy) == DX_OK) dx_alarm_start(&h->alarm, delay);
}

bool dx_hedging_answered(dx_call *call) {
    struct dx_hedging *h = call->hedging;
    if (!h) return false;
    dx_nanos now = dx_clock_monotonic();
    dx_alarm_deinit(&h->alarm);
    if (call->x.failure == DX_ERROR_NONE) record(h->kept, now - h->since, now);
    if (h->sent && call->x.failure != DX_ERROR_NONE) {
        h->failed = true;
        return true;
    }
    dx_hedging_stop(call);
    return false;
}

void dx_hedging_stop(dx_call *call) {
    struct dx_hedging *h = call->hedging;
    if (!h) return;
    call->hedging = NULL;
    dx_alarm_deinit(&h->alarm);
    if (h->sent) dx_admission_cancel(&call->engine->admission, &h->transfer);
    h->sent = false;
}
