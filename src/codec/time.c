// RFC 3339 dates and times, read from fixed places of the text.
#include "codec/text.h"

// Two digits at `at`, or -1.
static int two(const char *at) {
    unsigned tens = (unsigned)(unsigned char)at[0] - '0', ones = (unsigned)(unsigned char)at[1] - '0';
    return tens > 9 || ones > 9 ? -1 : (int)(tens * 10 + ones);
}

static bool read_date(const char *at, dx_civil *civil) {
    int century = two(at), rest = two(at + 2), month = two(at + 5), day = two(at + 8);
    if (century < 0 || rest < 0 || at[4] != '-' || at[7] != '-' || month < 1 || month > 12) return false;
    int year = century * 100 + rest;
    if (day < 1 || day > dx_civil_month_days(year, month)) return false;
    civil->year = year;
    civil->month = (uint8_t)month;
    civil->day = (uint8_t)day;
    return true;
}

// ".123456…" at the head of `*rest`: digits past the sixth are dropped.
static bool read_fraction(dx_slice *rest, uint32_t *micros) {
    *micros = 0;
    if (rest->size == 0 || rest->data[0] != '.') return true;
    size_t digits = 0;
    uint32_t place = 100000;
    *rest = dx_slice_from(*rest, 1);
    for (; digits < rest->size && rest->data[digits] >= '0' && rest->data[digits] <= '9'; digits++, place /= 10) {
        *micros += (uint32_t)(rest->data[digits] - '0') * place;
    }
    *rest = dx_slice_from(*rest, digits);
    return digits > 0;
}

// The whole of `text` as an offset from UTC in minutes.
static bool read_offset(dx_slice text, int *minutes) {
    *minutes = 0;
    if (text.size == 1) return text.data[0] == 'Z' || text.data[0] == 'z';
    if (text.size != 6 || (text.data[0] != '+' && text.data[0] != '-') || text.data[3] != ':') return false;
    int hour = two(text.data + 1), minute = two(text.data + 4);
    if (hour < 0 || hour > 23 || minute < 0 || minute > 59) return false;
    *minutes = (hour * 60 + minute) * (text.data[0] == '-' ? -1 : 1);
    return true;
}

// full-time. A second of 60 is taken only where leap seconds fall: at the end of a day in UTC.
static bool read_time(dx_slice text, dx_civil *civil, int *offset) {
    if (text.size < 9 || text.data[2] != ':' || text.data[5] != ':') return false;
    int hour = two(text.data), minute = two(text.data + 3), second = two(text.data + 6);
    if (hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 60) return false;
    dx_slice rest = dx_slice_from(text, 8);
    if (!read_fraction(&rest, &civil->micros) || !read_offset(rest, offset)) return false;
    if (second == 60 && (hour * 60 + minute - *offset + 2 * 1440) % 1440 != 1439) return false;
    civil->hour = (uint8_t)hour;
    civil->minute = (uint8_t)minute;
    civil->second = (uint8_t)second;
    return true;
}

static const dx_micros_utc YEAR_0 = -62167219200 * (int64_t)1000000;
static const dx_micros_utc YEAR_10000 = 253402300800 * (int64_t)1000000;

bool dx_time_read(dx_slice text, dx_micros_utc *out) {
    dx_civil civil = {0};
    int offset;
    if (text.size < 20 || !read_date(text.data, &civil) || (text.data[10] != 'T' && text.data[10] != 't')) return false;
    if (!read_time(dx_slice_from(text, 11), &civil, &offset)) return false;
    // A leap second becomes the second after it: the calendar of the Unix epoch has no place for it.
    dx_micros_utc time = dx_civil_to_utc(&civil) - offset * (int64_t)60000000;
    if (time < YEAR_0 || time >= YEAR_10000) return false;
    *out = time;
    return true;
}

static void digits(char *out, int width, uint32_t value) {
    for (int i = width; i-- > 0; value /= 10) out[i] = (char)('0' + value % 10);
}

size_t dx_time_write(char out[DX_TIME_TEXT_CAP], dx_micros_utc time) {
    if (time < YEAR_0) time = YEAR_0; // four digits hold no other year
    if (time >= YEAR_10000) time = YEAR_10000 - 1;
    dx_civil civil = dx_civil_from_utc(time);
    memcpy(out, "0000-00-00T00:00:00.000000Z", 27);
    digits(out, 4, (uint32_t)civil.year);
    digits(out + 5, 2, civil.month);
    digits(out + 8, 2, civil.day);
    digits(out + 11, 2, civil.hour);
    digits(out + 14, 2, civil.minute);
    digits(out + 17, 2, civil.second);
    if (civil.micros == 0) {
        out[19] = 'Z';
        return 20;
    }
    digits(out + 20, 6, civil.micros);
    return 27;
}

bool dx_date_valid(dx_slice text) {
    dx_civil civil;
    return text.size == 10 && read_date(text.data, &civil);
}

bool dx_time_of_day_valid(dx_slice text) {
    dx_civil civil;
    int offset;
    return read_time(text, &civil, &offset);
}
