#include "client/meter.h"

#include "base/memory.h"
#include "client/client.h"

#define LOAD(word) atomic_load_explicit(&(word), memory_order_relaxed)

static void add(_Atomic(uint64_t) *word, uint64_t amount) {
    (void)atomic_fetch_add_explicit(word, amount, memory_order_relaxed);
}

// --- meters ------------------------------------------------------------------------------------------------------------------------------

dx_meters *dx_meters_create(void) {
    dx_meters *meters = dx_memory_zalloc(1, sizeof *meters);
    if (meters) (void)pthread_mutex_init(&meters->lock, NULL);
    return meters;
}

void dx_meters_destroy(dx_meters *meters) {
    dx_meter *next;
    for (dx_meter *meter = atomic_load(&meters->first); meter; meter = next) {
        next = meter->next;
        dx_memory_free(meter);
    }
    (void)pthread_mutex_destroy(&meters->lock);
    dx_memory_free(meters);
}

static dx_meter *find(const dx_meters *meters, dx_slice name) {
    dx_meter *meter = atomic_load_explicit(&meters->first, memory_order_acquire);
    while (meter && !dx_slice_equal(meter->name, name)) meter = meter->next;
    return meter;
}

static dx_meter *make_meter(dx_meters *meters, dx_slice name) {
    dx_meter *meter = dx_memory_zalloc(1, sizeof *meter + name.size);
    if (!meter) return NULL;
    memcpy(meter + 1, name.data, name.size);
    meter->name = dx_slice_of((const char *)(meter + 1), name.size);
    meter->next = atomic_load_explicit(&meters->first, memory_order_relaxed);
    atomic_store_explicit(&meters->first, meter, memory_order_release);
    return meter;
}

static dx_meter *look_up(const dx_endpoint *endpoint, bool make) {
    dx_meters *meters = endpoint->api->meters;
    dx_slice name = dx_slice_from(endpoint->full, endpoint->api->name.size + 1);
    if (!meters) return NULL;
    pthread_mutex_lock(&meters->lock);
    dx_meter *meter = find(meters, name);
    if (!meter && make) meter = make_meter(meters, name);
    pthread_mutex_unlock(&meters->lock);
    // The one thing of a snapshot that changes: where its endpoint's meter is, once it is known.
    if (meter) atomic_store_explicit(&((dx_endpoint *)(uintptr_t)endpoint)->meter, meter, memory_order_release);
    return meter;
}

dx_meter *dx_meter_of(const dx_endpoint *endpoint, bool make) {
    dx_meter *meter = atomic_load_explicit(&endpoint->meter, memory_order_acquire);
    return DX_LIKELY(meter != NULL) ? meter : look_up(endpoint, make);
}

void dx_meter_add_to(dx_meter_sum *sum, const dx_meter *meter) {
    for (size_t i = 0; i < DX_METER_WORDS; i++) sum->words[i] += LOAD(meter->words[i]);
    dx_histogram_merge(&sum->took, &meter->took);
}

// What is under way stays so: as many as are over are taken from those that began.
void dx_meter_reset(dx_meter *meter) {
    uint64_t over = atomic_exchange_explicit(&meter->words[DX_METER_OVER], 0, memory_order_relaxed);
    (void)atomic_fetch_sub_explicit(&meter->words[DX_METER_STARTED], over, memory_order_relaxed);
    for (size_t i = DX_METER_OVER + 1; i < DX_METER_WORDS; i++) atomic_store_explicit(&meter->words[i], 0, memory_order_relaxed);
    dx_histogram_reset(&meter->took, NULL);
}

// --- error codes -------------------------------------------------------------------------------------------------------------------------

static const uint8_t places[] = {
#define X(name, number, category, code, meaning) [number] = DX_METER_CODE_##name,
    DX_ERROR_LIST(X)
#undef X
};

dx_error_code dx_meter_code(size_t place) {
    for (size_t i = 0; i < DX_COUNT_OF(places); i++)
        if (places[i] == place && (i == 0 || place)) return (dx_error_code)i;
    return DX_ERROR_INTERNAL;
}

static size_t place_of(dx_error_code code) {
    return (size_t)code < DX_COUNT_OF(places) ? places[code] : DX_METER_CODE_INTERNAL;
}

// --- the window --------------------------------------------------------------------------------------------------------------------------

static dx_nanos slice_width(dx_nanos width) {
    return width > DX_WINDOW_SLICES ? width / DX_WINDOW_SLICES : 1;
}

void dx_window_count(dx_meters *meters, dx_nanos width, dx_nanos now, bool failed, dx_nanos took) {
    int64_t number = now / slice_width(width);
    dx_window_slice *slice = &meters->window[number % DX_WINDOW_SLICES];
    int64_t there = LOAD(slice->number);
    if (there != number &&
        atomic_compare_exchange_strong_explicit(&slice->number, &there, number, memory_order_relaxed, memory_order_relaxed)) {
        atomic_store_explicit(&slice->calls, 0, memory_order_relaxed); // what others count meanwhile may be lost
        atomic_store_explicit(&slice->failures, 0, memory_order_relaxed);
        atomic_store_explicit(&slice->took, 0, memory_order_relaxed);
    }
    add(&slice->calls, 1);
    if (failed) add(&slice->failures, 1);
    add(&slice->took, (uint64_t)took);
}

void dx_window_read(const dx_meters *meters, dx_nanos width, dx_nanos now, uint64_t *calls, uint64_t *failures, uint64_t *took) {
    int64_t last = now / slice_width(width);
    *calls = *failures = *took = 0;
    for (size_t i = 0; i < DX_WINDOW_SLICES; i++) {
        const dx_window_slice *slice = &meters->window[i];
        int64_t number = LOAD(slice->number);
        if (number > last || number <= last - DX_WINDOW_SLICES) continue;
        *calls += LOAD(slice->calls);
        *failures += LOAD(slice->failures);
        *took += LOAD(slice->took);
    }
}

// --- counting a call ---------------------------------------------------------------------------------------------------------------------

void dx_client_count_start(dx_call *call) {
    call->meter = call->internal ? NULL : dx_meter_of(call->endpoint, true);
    if (call->meter) add(&call->meter->words[DX_METER_STARTED], 1);
}

static uint64_t sent_size(const dx_call *call) {
    const dx_upload *upload = call->bound.upload;
    uint64_t size = !upload ? call->x.request.body.size : upload->size > 0 ? (uint64_t)upload->size : 0;
    return size * call->x.attempt;
}

static void count_phases(dx_meter *meter, const dx_response *response) {
    for (size_t i = 0; i < DX_PHASE_COUNT; i++)
        if (response->spent[i] > 0) add(&meter->words[DX_METER_PHASES + i], (uint64_t)response->spent[i]);
    if (response->spent[DX_PHASE_QUEUE] > 0) add(&meter->words[DX_METER_QUEUE_WAITS], 1);
    if (response->spent[DX_PHASE_LIMIT] > 0) add(&meter->words[DX_METER_LIMIT_WAITS], 1);
}

static void count_answer(dx_meter *meter, const dx_call *call) {
    int status = call->has_response ? call->response.status : 0, first = status / 100;
    uint64_t sent = sent_size(call), received = call->has_sink ? call->received : call->response.body.size;
    add(&meter->words[DX_METER_CLASSES + (first >= 1 && first < DX_METRICS_CLASSES ? first : 0)], 1);
    if (call->x.cached < DX_METRICS_CACHED) add(&meter->words[DX_METER_CACHED + call->x.cached], 1);
    if (call->x.attempt) add(&meter->words[DX_METER_ATTEMPTS], call->x.attempt);
    if (call->x.attempt > 1) add(&meter->words[DX_METER_RETRIES], call->x.attempt - 1u);
    if (sent) add(&meter->words[DX_METER_SENT], sent);
    if (call->has_response && received) add(&meter->words[DX_METER_RECEIVED], received);
}

// Whether it tells against the API: what the caller did, or what was not sent, does not.
static bool is_its_fault(const dx_call *call) {
    switch (call->error->code) {
    case DX_ERROR_CANCELLED:
    case DX_ERROR_CLOSED:
    case DX_ERROR_NO_MEMORY:
    case DX_ERROR_ARGUMENT:
    case DX_ERROR_UNKNOWN_NAME:
    case DX_ERROR_FILE:
    case DX_ERROR_LIMITED:
    case DX_ERROR_QUEUE_FULL:
    case DX_ERROR_BLOCKED:
    case DX_ERROR_NOT_CACHED:
    case DX_ERROR_RECORDING:
        return false;
    default:
        break;
    }
    return !call->has_response || call->response.status >= 500 || call->response.status == 429;
}

void dx_client_count(dx_call *call) {
    dx_meter *meter = call->meter;
    if (!meter) return;
    dx_error_code code = call->error->code;
    if (code == DX_ERROR_NONE && call->has_response && call->response.status >= 400) code = DX_ERROR_STATUS;
    add(&meter->words[DX_METER_OVER], 1);
    if (code != DX_ERROR_NONE) {
        add(&meter->words[DX_METER_FAILURES], 1);
        add(&meter->words[DX_METER_ERRORS + place_of(code)], 1);
    }
    count_answer(meter, call);
    count_phases(meter, &call->response);
    dx_histogram_record(&meter->took, call->response.took);
    const dx_api *api = call->endpoint->api;
    bool counts = code != DX_ERROR_CANCELLED && code != DX_ERROR_CLOSED;
    if (counts) dx_window_count(api->meters, api->health_settings.window, call->x.phase_since, is_its_fault(call), call->response.took);
}
