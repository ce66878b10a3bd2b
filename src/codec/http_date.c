// HTTP dates (RFC 9110 section 5.6.7): written in the one form, read in all three.
#include "codec/http.h"

static const char DAYS[] = "SunMonTueWedThuFriSat";
static const char MONTHS[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

static void digits(char *out, int width, uint32_t value) {
    for (int i = width; i-- > 0; value /= 10) out[i] = (char)('0' + value % 10);
}

// Four digits hold no other year.
static const dx_micros_utc YEAR_0 = -62167219200 * (int64_t)1000000;
static const dx_micros_utc YEAR_10000 = 253402300800 * (int64_t)1000000;

void dx_http_date_write(char out[DX_HTTP_DATE_SIZE], dx_micros_utc time) {
    if (time < YEAR_0) time = YEAR_0;
    if (time >= YEAR_10000) time = YEAR_10000 - 1;
    dx_civil civil = dx_civil_from_utc(time);
    memcpy(out, "Sun, 00 Jan 0000 00:00:00 GMT", DX_HTTP_DATE_SIZE);
    memcpy(out, DAYS + civil.weekday * (size_t)3, 3);
    digits(out + 5, 2, civil.day);
    memcpy(out + 8, MONTHS + (civil.month - 1) * (size_t)3, 3);
    digits(out + 12, 4, (uint32_t)civil.year);
    digits(out + 17, 2, civil.hour);
    digits(out + 20, 2, civil.minute);
    digits(out + 23, 2, civil.second);
}

// One of a row of three-letter names, or -1.
static int name_index(const char *at, const char *names) {
    for (int i = 0; names[i]; i += 3) {
        if (memcmp(at, names + i, 3) == 0) return i / 3;
    }
    return -1;
}

struct parts {
    int day, month, year, hour, minute, second;
};

static bool take_number(const char *at, int width, int *out) {
    int value = 0;
    for (int i = 0; i < width; i++) {
        if (at[i] < '0' || at[i] > '9') return false;
        value = value * 10 + (at[i] - '0');
    }
    *out = value;
    return true;
}

static bool take_clock(const char *at, struct parts *parts) {
    return take_number(at, 2, &parts->hour) && at[2] == ':' && take_number(at + 3, 2, &parts->minute) && at[5] == ':' &&
           take_number(at + 6, 2, &parts->second);
}

static bool take_month(const char *at, struct parts *parts) {
    parts->month = name_index(at, MONTHS) + 1;
    return parts->month > 0;
}

// Sun, 06 Nov 1994 08:49:37 GMT
static bool read_fixed(dx_slice text, struct parts *parts) {
    const char *at = text.data;
    return text.size == DX_HTTP_DATE_SIZE && name_index(at, DAYS) >= 0 && memcmp(at + 3, ", ", 2) == 0 &&
           take_number(at + 5, 2, &parts->day) && at[7] == ' ' && take_month(at + 8, parts) && at[11] == ' ' &&
           take_number(at + 12, 4, &parts->year) && at[16] == ' ' && take_clock(at + 17, parts) && memcmp(at + 25, " GMT", 4) == 0;
}

// Sun Nov  6 08:49:37 1994
static bool read_asctime(dx_slice text, struct parts *parts) {
    const char *at = text.data;
    if (text.size != 24 || name_index(at, DAYS) < 0 || at[3] != ' ' || !take_month(at + 4, parts) || at[7] != ' ') return false;
    bool day = at[8] == ' ' ? take_number(at + 9, 1, &parts->day) : take_number(at + 8, 2, &parts->day);
    return day && at[10] == ' ' && take_clock(at + 11, parts) && at[19] == ' ' && take_number(at + 20, 4, &parts->year);
}

// Sunday, 06-Nov-94 08:49:37 GMT. A year that would lie more than 50 years ahead is one of the century before.
static bool read_rfc850(dx_slice text, struct parts *parts) {
    static const dx_slice NAMES[] = {DX_SLICE_INIT("Sunday"),    DX_SLICE_INIT("Monday"),   DX_SLICE_INIT("Tuesday"),
                                     DX_SLICE_INIT("Wednesday"), DX_SLICE_INIT("Thursday"), DX_SLICE_INIT("Friday"),
                                     DX_SLICE_INIT("Saturday")};
    dx_slice day = dx_slice_cut(&text, ',');
    bool known = false;
    for (size_t i = 0; i < DX_COUNT_OF(NAMES); i++) known = known || dx_slice_equal(day, NAMES[i]);
    const char *at = text.data;
    if (!known || text.size != 23 || at[0] != ' ' || !take_number(at + 1, 2, &parts->day) || at[3] != '-' || !take_month(at + 4, parts)) {
        return false;
    }
    if (at[7] != '-' || !take_number(at + 8, 2, &parts->year) || at[10] != ' ' || !take_clock(at + 11, parts)) return false;
    int this_year = dx_civil_from_utc(dx_clock_utc()).year;
    parts->year += this_year / 100 * 100;
    if (parts->year > this_year + 50) parts->year -= 100;
    return memcmp(at + 19, " GMT", 4) == 0;
}

bool dx_http_date_read(dx_slice text, dx_micros_utc *out) {
    struct parts parts;
    if (!read_fixed(text, &parts) && !read_rfc850(text, &parts) && !read_asctime(text, &parts)) return false;
    if (parts.day < 1 || parts.day > dx_civil_month_days(parts.year, parts.month)) return false;
    if (parts.hour > 23 || parts.minute > 59 || parts.second > 60) return false; // 60: a leap second
    dx_civil civil = {.year = parts.year,
                      .month = (uint8_t)parts.month,
                      .day = (uint8_t)parts.day,
                      .hour = (uint8_t)parts.hour,
                      .minute = (uint8_t)parts.minute,
                      .second = (uint8_t)parts.second};
    dx_micros_utc time = dx_civil_to_utc(&civil);
    if (time >= YEAR_10000) return false; // the leap second after all others
    *out = time;
    return true;
}
