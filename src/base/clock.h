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
// The same, up to some milliseconds old, for a third of what that costs.
dx_micros_utc dx_clock_utc_coarse(void);

// The calendar's fields of a time (proleptic Gregorian, UTC) and back. `year` may be any that fits; month and day count from 1.
typedef struct dx_civil {
    int32_t year;
    uint8_t month, day, hour, minute, second;
    uint8_t weekday; // 0: Sunday; not read by dx_civil_to_utc
    uint32_t micros;
} dx_civil;
dx_civil dx_civil_from_utc(dx_micros_utc time);
dx_micros_utc dx_civil_to_utc(const dx_civil *civil);
// 28 to 31; month from 1 to 12.
int dx_civil_month_days(int32_t year, int month);

#endif
