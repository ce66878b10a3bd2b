// What the two files of rate_headers.h share: rate_value.c reads single values, rate_headers.c knows the fields and weighs what they say.
#ifndef DX_POLICY_RATE_PARTS_H
#define DX_POLICY_RATE_PARTS_H

#include "policy/rate_headers.h"

// Our clock and the server's.
typedef struct dx_rate_clock {
    dx_micros_utc now;
    dx_micros_utc server; // what `now` is there
} dx_rate_clock;

// A count: decimal digits. False: garbage.
bool dx_rate_count_read(uint64_t *out, dx_slice text);
// How far from now, in microseconds; negative: past. False: garbage, or further than DX_RATE_WAIT_CAP.
bool dx_rate_wait_read(int64_t *out, dx_slice text, dx_rate_unit unit, const dx_rate_clock *clock);

// Cuts `*rest` at the first `byte` outside of quotes; as dx_slice_cut otherwise, but trimmed.
dx_slice dx_rate_cut(dx_slice *rest, char byte);

#endif
