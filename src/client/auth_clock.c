#include "client/auth_clock.h"

#include <stdlib.h>

#define TOLERANCE ((dx_micros_utc)5000000)             // Date counts whole seconds, and the answer took a while
#define SKEW_MOST ((dx_micros_utc)7 * 86400 * 1000000) // more is no clock that drifts

dx_micros_utc dx_auth_clock_now(const dx_auth_clock *clock) {
    return dx_clock_utc() + atomic_load_explicit(&clock->skew, memory_order_relaxed);
}

bool dx_auth_clock_learn(dx_auth_clock *clock, const dx_exchange *x) {
    dx_micros_utc date;
    if (!dx_http_date_read(dx_fields_get(&x->response.fields, DX_FIELD_DATE), &date)) return false;
    dx_micros_utc skew = date - dx_clock_utc(), known = atomic_load(&clock->skew);
    if (llabs(skew) > SKEW_MOST || llabs(skew - known) <= TOLERANCE) return false;
    atomic_store(&clock->skew, skew);
    return true;
}
