// The structured log: one JSON object a line, `{"time","level","event",…fields}`. A record is built in a stack buffer and handed to the
// sink in one write, so lines of several threads never mix. Fields are typed; there is no field type that takes a secret, and the
// values of names that look like secrets (password, token, secret, authorization, cookie, api_key…) are written as "[redacted]".
#ifndef DX_BASE_LOG_H
#define DX_BASE_LOG_H

#include "base/clock.h"
#include "base/slice.h"
#include "base/status.h"

typedef enum dx_log_level { DX_LOG_DEBUG, DX_LOG_INFO, DX_LOG_WARN, DX_LOG_ERROR, DX_LOG_OFF } dx_log_level;

// Where lines go; `line` ends with a newline. Called from any thread.
typedef void (*dx_log_sink)(void *ctx, const char *line, size_t size);

// Before threads start. The default is DX_LOG_INFO to standard error.
void dx_log_setup(dx_log_level level, dx_log_sink sink, void *ctx);
void dx_log_level_set(dx_log_level level); // any time, any thread
bool dx_log_enabled(dx_log_level level);
bool dx_log_level_parse(dx_slice name, dx_log_level *out); // "debug" "info" "warn" "error" "off"

#define DX_LOG_RECORD_CAP 4096

// A record under construction. A field that does not fit is left out and `"truncated":true` added; the line is always valid JSON.
typedef struct dx_log_record {
    size_t size;
    bool truncated;
    char line[DX_LOG_RECORD_CAP];
} dx_log_record;

void dx_log_begin(dx_log_record *record, dx_log_level level, const char *event);
void dx_log_text(dx_log_record *record, const char *name, dx_slice value);
void dx_log_int(dx_log_record *record, const char *name, int64_t value);
void dx_log_bool(dx_log_record *record, const char *name, bool value);
// A duration, written as `<name>` in microseconds.
void dx_log_micros(dx_log_record *record, const char *name, dx_nanos duration);
void dx_log_end(dx_log_record *record); // sends it

// A message without fields.
void dx_log(dx_log_level level, const char *event, const char *format, ...) DX_PRINTF(3, 4);
// Whether the value of a field of this name must not be logged.
bool dx_log_is_secret(dx_slice name);

#endif
