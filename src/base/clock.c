// Clocks and the calendar. The calendar's sums are the well-known ones over 400-year eras that start on 1 March, which puts the leap day
// last and makes month lengths a straight line.
#include "base/clock.h"

#include <stdbool.h>
#include <time.h>

dx_nanos dx_clock_monotonic(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (dx_nanos)now.tv_sec * DX_SECOND + now.tv_nsec;
}

dx_micros_utc dx_clock_utc(void) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (dx_micros_utc)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

dx_micros_utc dx_clock_utc_coarse(void) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME_COARSE, &now);
    return (dx_micros_utc)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static const int64_t DAY_MICROS = 86400 * (int64_t)1000000;
static const int64_t ERA_DAYS = 146097;       // 400 years
static const int64_t EPOCH_FROM_ERA = 719468; // days from 0000-03-01 to 1970-01-01
static const int64_t THURSDAY = 4;            // 1970-01-01

static int64_t divide_down(int64_t value, int64_t by) {
    return value / by - (value % by < 0);
}

dx_civil dx_civil_from_utc(dx_micros_utc time) {
    int64_t days = divide_down(time, DAY_MICROS);
    int64_t micros = time - days * DAY_MICROS;
    int64_t shifted = days + EPOCH_FROM_ERA;
    int64_t era = divide_down(shifted, ERA_DAYS);
    int64_t day_of_era = shifted - era * ERA_DAYS;
    int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t month_from_march = (5 * day_of_year + 2) / 153;
    int64_t month = month_from_march < 10 ? month_from_march + 3 : month_from_march - 9;
    int64_t seconds = micros / 1000000;
    return (dx_civil){
        .year = (int32_t)(year_of_era + era * 400 + (month <= 2)),
        .month = (uint8_t)month,
        .day = (uint8_t)(day_of_year - (153 * month_from_march + 2) / 5 + 1),
        .hour = (uint8_t)(seconds / 3600),
        .minute = (uint8_t)(seconds / 60 % 60),
        .second = (uint8_t)(seconds % 60),
        .weekday = (uint8_t)(((days + THURSDAY) % 7 + 7) % 7),
        .micros = (uint32_t)(micros % 1000000),
    };
}

dx_micros_utc dx_civil_to_utc(const dx_civil *civil) {
    int64_t year = (int64_t)civil->year - (civil->month <= 2);
    int64_t era = divide_down(year, 400);
    int64_t year_of_era = year - era * 400;
    int64_t month_from_march = civil->month > 2 ? civil->month - 3 : civil->month + 9;
    int64_t day_of_year = (153 * month_from_march + 2) / 5 + civil->day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    int64_t days = era * ERA_DAYS + day_of_era - EPOCH_FROM_ERA;
    int64_t seconds = (days * 24 + civil->hour) * 3600 + civil->minute * 60 + civil->second;
    return seconds * 1000000 + civil->micros;
}

int dx_civil_month_days(int32_t year, int month) {
    static const int DAYS[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return DAYS[month - 1] + (month == 2 && leap);
}
