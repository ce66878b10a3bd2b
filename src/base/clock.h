// Time. `dx_nanos` counts from an unspecified start and never jumps (CLOCK_MONOTONIC): durations and deadlines. `dx_micros_utc` is
// the calendar's (Unix epoch, UTC, microseconds): what is stored and shown.
#ifndef DX_BASE_CLOCK_H
#define DX_BASE_CLOCK_H

#include <stdint.h>

typedef int64_t dx_nanos;
typedef int64_t dx_micros_utc;

#define DX_MICROSECOND ((dx_nanos)1000)
#define DX_MILLISECOND ((dx_nanos)1000000)
#define DX_SECOND      ((dx_nanos)1000000000)

dx_nanos dx_clock_monotonic(void);
dx_micros_utc dx_clock_utc(void);

#endif
