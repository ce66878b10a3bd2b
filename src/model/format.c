// The table of formats, and those that are short: dates, durations (RFC 3339 appendix A), JSON pointers and regular expressions.
#include "model/format.h"

#include "codec/text.h"
#include "model/format_idn.h"
#include "model/uri.h"

static bool date_time(dx_slice text) {
    if (text.size < 12 || (text.data[10] | 0x20) != 't') return false;
    return dx_date_valid(dx_slice_of(text.data, 10)) && dx_time_of_day_valid(dx_slice_from(text, 11));
}

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

// Numbers with the units of `units`, in order and without a gap (dur-year wants its months before days): how many, or -1.
static int duration_part(dx_slice text, const char *units) {
    const char *next = NULL; // the unit that must come now
    int count = 0;
    for (size_t at = 0; at < text.size; at++, count++) {
        size_t start = at;
        while (at < text.size && is_digit(text.data[at])) at++;
        if (at == start || at == text.size || !text.data[at]) return -1;
        const char *unit = strchr(units, text.data[at]);
        if (!unit || (next && unit != next)) return -1;
        next = unit + 1;
    }
    return count;
}

static bool duration(dx_slice text) {
    if (text.size < 3 || text.data[0] != 'P') return false;
    dx_slice time = dx_slice_from(text, 1), date = dx_slice_cut(&time, 'T');
    if (!time.data && date.data[date.size - 1] == 'W') return duration_part(date, "W") == 1;
    int days = duration_part(date, "YMD");
    if (!time.data) return text.data[text.size - 1] != 'T' && days > 0;
    return days >= 0 && duration_part(time, "HMS") > 0;
}

static bool json_pointer(dx_slice text) {
    if (text.size && text.data[0] != '/') return false;
    for (size_t i = 0; i < text.size; i++)
        if (text.data[i] == '~' && (i + 1 == text.size || (text.data[i + 1] != '0' && text.data[i + 1] != '1'))) return false;
    return true;
}

static bool regex(dx_slice text) {
    if (text.size > DX_PATTERN_TEXT_CAP) return false;
    const char *problem;
    dx_buffer translated;
    dx_buffer_init(&translated, NULL, DX_PATTERN_TEXT_CAP * 64);
    dx_status status = dx_pattern_translate(&translated, text, &problem);
    dx_buffer_deinit(&translated);
    return status == DX_OK;
}

static const dx_format formats[] = {
    {DX_SLICE_INIT("date-time"), date_time, "a date and time with its offset, as in 2026-01-31T12:00:00Z"},
    {DX_SLICE_INIT("date"), dx_date_valid, "a date, as in 2026-01-31"},
    {DX_SLICE_INIT("time"), dx_time_of_day_valid, "a time with its offset, as in 12:00:00Z"},
    {DX_SLICE_INIT("duration"), duration, "an ISO 8601 duration, as in P1DT12H"},
    {DX_SLICE_INIT("email"), dx_email_valid, "an email address"},
    {DX_SLICE_INIT("hostname"), dx_hostname_valid, "a host name"},
    {DX_SLICE_INIT("ipv4"), dx_ipv4_valid, "an IPv4 address"},
    {DX_SLICE_INIT("ipv6"), dx_ipv6_valid, "an IPv6 address"},
    {DX_SLICE_INIT("uri"), dx_uri_valid, "an absolute URI, as in https://example.com/"},
    {DX_SLICE_INIT("uri-reference"), dx_uri_reference_valid, "a URI or relative reference"},
    {DX_SLICE_INIT("uuid"), dx_uuid_valid, "a UUID"},
    {DX_SLICE_INIT("regex"), regex, "a regular expression of ECMA-262"},
    {DX_SLICE_INIT("json-pointer"), json_pointer, "a JSON pointer, as in /items/0"},
};

const dx_format *dx_format_find(dx_slice name) {
    for (size_t i = 0; i < DX_COUNT_OF(formats); i++)
        if (dx_slice_equal(formats[i].name, name)) return &formats[i];
    return NULL;
}

_Static_assert(DX_COUNT_OF(formats) <= DX_FORMAT_CAP, "dx_format_names has room for every format");

size_t dx_format_names(dx_slice out[DX_FORMAT_CAP]) {
    for (size_t i = 0; i < DX_COUNT_OF(formats); i++) out[i] = formats[i].name;
    return DX_COUNT_OF(formats);
}

dx_status dx_format_prepare(const dx_format *format) {
    bool hosts = format->check == dx_hostname_valid || format->check == dx_email_valid;
    return hosts && !dx_idn_prepare() ? DX_NO_MEMORY : DX_OK;
}

bool dx_format_known(dx_slice name) {
    return dx_format_find(name) != NULL;
}

bool dx_format_check(dx_slice name, dx_slice text) {
    const dx_format *format = dx_format_find(name);
    return !format || format->check(text);
}
