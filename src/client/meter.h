// What is counted of an endpoint, and of an API for its health. All numbers are relaxed atomics that any thread adds to without a lock; an
// endpoint that is never called costs nothing, its meter is made by its first call. Meters belong to the client by the API's name
// (upstream.h), so they outlive snapshots.
#ifndef DX_CLIENT_METER_H
#define DX_CLIENT_METER_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/histogram.h"
#include "client/apis.h"
#include "duplex/manager.h"
#include "duplex/metrics.h"

struct dx_call;

enum { // places of error codes, close together
#define X(name, number, category, code, meaning) DX_METER_CODE_##name,
    DX_ERROR_LIST(X)
#undef X
        DX_METER_CODES
};

typedef enum dx_meter_word {
    DX_METER_STARTED,
    DX_METER_OVER,
    DX_METER_FAILURES,
    DX_METER_ATTEMPTS,
    DX_METER_RETRIES,
    DX_METER_SENT,
    DX_METER_RECEIVED,
    DX_METER_QUEUE_WAITS,
    DX_METER_LIMIT_WAITS,
    DX_METER_UNKNOWN_VALUES,
    DX_METER_UNKNOWN_FIELDS,
    DX_METER_CLASSES,
    DX_METER_CACHED = DX_METER_CLASSES + DX_METRICS_CLASSES,
    DX_METER_PHASES = DX_METER_CACHED + DX_METRICS_CACHED,
    DX_METER_ERRORS = DX_METER_PHASES + DX_PHASE_COUNT,
    DX_METER_WORDS = DX_METER_ERRORS + DX_METER_CODES
} dx_meter_word;

typedef struct dx_meter {
    _Atomic(uint64_t) words[DX_METER_WORDS];
    dx_histogram took;
    struct dx_meter *next; // of the API's
    dx_slice name;         // "v1.get_user"
} dx_meter;

// The last minutes of an API, in slices of time that are used again.
#define DX_WINDOW_SLICES 10
typedef struct dx_window_slice {
    _Atomic(int64_t) number; // of the slice since the clock's start; the counts are of it
    _Atomic(uint64_t) calls, failures, took;
} dx_window_slice;

typedef struct dx_meters {
    pthread_mutex_t lock; // of adding one
    _Atomic(dx_meter *) first;
    dx_window_slice window[DX_WINDOW_SLICES];
    // the last check of its health
    _Atomic(int64_t) checked_at; // milliseconds since 1970; 0: never
    _Atomic(int64_t) check_took, check_monotonic;
    atomic_bool check_passed, checking;
    dx_nanos check_due; // of checks by themselves; the first engine's
    atomic_int told;    // dx_health that was logged last
} dx_meters;

dx_meters *dx_meters_create(void);
void dx_meters_destroy(dx_meters *meters);
// The meter of an endpoint, made when `make`; NULL: there is none (yet), or no memory.
dx_meter *dx_meter_of(const dx_endpoint *endpoint, bool make);

// What was read of one or more meters.
typedef struct dx_meter_sum {
    uint64_t words[DX_METER_WORDS];
    dx_histogram took;
} dx_meter_sum;
void dx_meter_add_to(dx_meter_sum *sum, const dx_meter *meter); // begin with a zeroed one
void dx_meter_reset(dx_meter *meter);
dx_error_code dx_meter_code(size_t place); // of DX_METER_ERRORS + place

void dx_window_count(dx_meters *meters, dx_nanos width, dx_nanos now, bool failed, dx_nanos took);
// Sums of the slices that lie within `width` before `now`.
void dx_window_read(const dx_meters *meters, dx_nanos width, dx_nanos now, uint64_t *calls, uint64_t *failures, uint64_t *took);

#endif
