// The log. A record always keeps TAIL bytes free, so that closing it never fails; a field is written whole or taken back.
#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#include "base/utf8.h"

#define TRUNCATED ",\"truncated\":true"
#define TAIL      (sizeof(TRUNCATED "}\n") - 1)

static void to_stderr(void *ctx, const char *line, size_t size) {
    (void)ctx;
    while (size) {
        ssize_t written = write(STDERR_FILENO, line, size);
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) return; // nobody is left to tell
        line += written;
        size -= (size_t)written;
    }
}

static _Atomic dx_log_level lowest = DX_LOG_INFO;
static dx_log_sink sink = to_stderr;
static void *sink_ctx;

static const char *const LEVELS[] = {"debug", "info", "warn", "error", "off"};

void dx_log_setup(dx_log_level level, dx_log_sink new_sink, void *ctx) {
    atomic_store(&lowest, level);
    sink = new_sink ? new_sink : to_stderr;
    sink_ctx = ctx;
}

void dx_log_level_set(dx_log_level level) {
    atomic_store(&lowest, level);
}

bool dx_log_enabled(dx_log_level level) {
    return level >= atomic_load_explicit(&lowest, memory_order_relaxed) && level < DX_LOG_OFF;
}

bool dx_log_level_parse(dx_slice name, dx_log_level *out) {
    for (size_t i = 0; i < DX_COUNT_OF(LEVELS); i++) {
        if (!dx_slice_equal_nocase(name, dx_slice_str(LEVELS[i]))) continue;
        *out = (dx_log_level)i;
        return true;
    }
    return false;
}

static bool put(dx_log_record *record, const char *data, size_t size) {
    if (size > sizeof record->line - TAIL - record->size) return false;
    if (size) memcpy(record->line + record->size, data, size);
    record->size += size;
    return true;
}

static bool put_escaped(dx_log_record *record, unsigned char byte) {
    static const char HEX[] = "0123456789abcdef";
    switch (byte) {
    case '"':
        return put(record, "\\\"", 2);
    case '\\':
        return put(record, "\\\\", 2);
    case '\n':
        return put(record, "\\n", 2);
    case '\r':
        return put(record, "\\r", 2);
    case '\t':
        return put(record, "\\t", 2);
    default:
        return put(record, (char[]){'\\', 'u', '0', '0', HEX[byte >> 4], HEX[byte & 15]}, 6);
    }
}

static bool plain(unsigned char byte) {
    return byte >= 0x20 && byte < 0x7f && byte != '"' && byte != '\\';
}

static bool put_string(dx_log_record *record, dx_slice text) {
    if (text.size == 0) text.data = "";
    const unsigned char *at = (const unsigned char *)text.data, *end = at + text.size;
    bool fits = put(record, "\"", 1);
    while (fits && at < end) {
        const unsigned char *run = at;
        while (run < end && plain(*run)) run++;
        fits = put(record, (const char *)at, (size_t)(run - at));
        at = run;
        if (!fits || at == end) break;
        size_t size = dx_utf8_sequence(at, (size_t)(end - at));
        if (size == 0) {
            fits = put(record, "\xef\xbf\xbd", 3);
            size = 1;
        } else {
            fits = size == 1 ? put_escaped(record, *at) : put(record, (const char *)at, size);
        }
        at += size;
    }
    return fits && put(record, "\"", 1);
}

static bool put_name(dx_log_record *record, const char *name) {
    return put(record, ",", 1) && put_string(record, dx_slice_str(name)) && put(record, ":", 1);
}

static void add_text(dx_log_record *record, const char *name, dx_slice value) {
    if (record->size == 0) return;
    size_t before = record->size;
    if (put_name(record, name) && put_string(record, value)) return;
    record->size = before;
    record->truncated = true;
}

static void add_bare(dx_log_record *record, const char *name, const char *value, size_t size) {
    if (record->size == 0) return;
    size_t before = record->size;
    if (put_name(record, name) && put(record, value, size)) return;
    record->size = before;
    record->truncated = true;
}

static void add_integer(dx_log_record *record, const char *name, int64_t value) {
    char digits[20], *end = digits + sizeof digits, *start = end;
    uint64_t left = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    do *--start = (char)('0' + left % 10);
    while (left /= 10);
    if (value < 0) *--start = '-';
    add_bare(record, name, start, (size_t)(end - start));
}

static void put_digits(char *out, int width, uint32_t value) {
    for (int i = width; i-- > 0; value /= 10) out[i] = (char)('0' + value % 10);
}

// The calendar is worked out once a second and thread; within the second only the microseconds change.
static void put_time(dx_log_record *record) {
    static const char FORM[] = "{\"time\":\"0000-00-00T00:00:00.000000Z\"";
    enum { TIME_AT = sizeof("{\"time\":\"") - 1, MICROS_AT = TIME_AT + 20 };
    static _Thread_local struct {
        char text[sizeof FORM];
        int64_t second;
    } last = {.second = INT64_MIN};
    dx_micros_utc now = dx_clock_utc();
    if (now / 1000000 != last.second) {
        dx_civil civil = dx_civil_from_utc(now);
        char *at = last.text + TIME_AT;
        memcpy(last.text, FORM, sizeof FORM);
        put_digits(at, 4, (uint32_t)civil.year);
        put_digits(at + 5, 2, civil.month);
        put_digits(at + 8, 2, civil.day);
        put_digits(at + 11, 2, civil.hour);
        put_digits(at + 14, 2, civil.minute);
        put_digits(at + 17, 2, civil.second);
        last.second = now / 1000000;
    }
    put_digits(last.text + MICROS_AT, 6, (uint32_t)(now % 1000000));
    put(record, last.text, sizeof FORM - 1);
}

void dx_log_begin(dx_log_record *record, dx_log_level level, const char *event) {
    record->size = 0;
    record->truncated = false;
    if (!dx_log_enabled(level)) return; // a record of size 0 takes no field and is not sent
    put_time(record);
    add_text(record, "level", dx_slice_str(LEVELS[level]));
    add_text(record, "event", dx_slice_str(event));
}

void dx_log_text(dx_log_record *record, const char *name, dx_slice value) {
    add_text(record, name, dx_log_is_secret(dx_slice_str(name)) ? DX_SLICE("[redacted]") : value);
}

void dx_log_int(dx_log_record *record, const char *name, int64_t value) {
    if (dx_log_is_secret(dx_slice_str(name))) {
        add_text(record, name, DX_SLICE("[redacted]"));
        return;
    }
    add_integer(record, name, value);
}

void dx_log_bool(dx_log_record *record, const char *name, bool value) {
    add_bare(record, name, value ? "true" : "false", value ? 4 : 5);
}

void dx_log_micros(dx_log_record *record, const char *name, dx_nanos duration) {
    add_integer(record, name, duration / DX_MICROSECOND);
}

void dx_log_end(dx_log_record *record) {
    if (record->size == 0) return;
    size_t size = record->size;
    if (record->truncated) {
        memcpy(record->line + size, TRUNCATED, sizeof TRUNCATED - 1);
        size += sizeof TRUNCATED - 1;
    }
    record->line[size++] = '}';
    record->line[size++] = '\n';
    sink(sink_ctx, record->line, size);
    record->size = 0;
}

void dx_log(dx_log_level level, const char *event, const char *format, ...) {
    if (!dx_log_enabled(level)) return;
    char message[DX_LOG_RECORD_CAP / 2];
    va_list args;
    va_start(args, format);
    int length = vsnprintf(message, sizeof message, format, args);
    va_end(args);
    dx_log_record record;
    dx_log_begin(&record, level, event);
    bool whole = length >= 0 && (size_t)length < sizeof message;
    add_text(&record, "message", dx_slice_of(message, whole ? (size_t)length : length < 0 ? 0 : sizeof message - 1));
    if (!whole) record.truncated = true;
    dx_log_end(&record);
}
