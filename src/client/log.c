// Records of the log: one JSON object each, put together in an arena that is given back when it is sent. Every text in it has been through
// the redactor, names and numbers are the program's own.
#include "client/log.h"

#include "client/client.h"
#include "codec/json.h"

enum { RECORD_CAP = 1 << 20 };

static const char *const levels[] = {"debug", "info", "warn", "error"};

bool dx_log_wants(const dx_client *client, const dx_settings *settings, dx_level level) {
    if (!client->options.log || level < client->options.log_level) return false;
    return !settings || (int)level >= settings->log.level;
}

static void add_time(dx_log_line *line) {
    dx_micros_utc now = dx_clock_utc();
    dx_civil at = dx_civil_from_utc(now);
    dx_buffer_printf(&line->text, "{\"time\":\"%04d-%02u-%02uT%02u:%02u:%02u.%06uZ\"", (int)at.year, (unsigned)at.month, (unsigned)at.day,
                     (unsigned)at.hour, (unsigned)at.minute, (unsigned)at.second, (unsigned)(now % 1000000));
}

static void add_name(dx_log_line *line, const char *name) {
    dx_buffer_byte(&line->text, ',');
    dx_json_write_string(&line->text, dx_slice_str(name));
    dx_buffer_byte(&line->text, ':');
}

static void add_plain(dx_log_line *line, const char *name, dx_slice value) {
    add_name(line, name);
    dx_json_write_string(&line->text, value);
}

void dx_log_add_text(dx_log_line *line, const char *name, dx_slice value) {
    add_plain(line, name, dx_log_clean(line->client, line->call, line->arena, DX_CLEAN_TEXT, (dx_slice){0}, value));
}

void dx_log_add_url(dx_log_line *line, const char *name, dx_slice url) {
    add_plain(line, name, dx_log_clean(line->client, line->call, line->arena, DX_CLEAN_URL, (dx_slice){0}, url));
}

void dx_log_add_int(dx_log_line *line, const char *name, int64_t value) {
    add_name(line, name);
    dx_buffer_i64(&line->text, value);
}

void dx_log_add_bool(dx_log_line *line, const char *name, bool value) {
    add_name(line, name);
    dx_buffer_add(&line->text, value ? DX_SLICE("true") : DX_SLICE("false"));
}

// --- headers and bodies ----------------------------------------------------------------------------------------------------------------

void dx_log_add_fields(dx_log_line *line, const char *name, const dx_fields *fields) {
    add_name(line, name);
    dx_buffer_byte(&line->text, '[');
    for (uint32_t i = 0; i < fields->count; i++) { // a list: a name may come twice
        const dx_field *field = &fields->items[i];
        dx_slice value = dx_log_clean(line->client, line->call, line->arena, DX_CLEAN_FIELD, field->name, field->value);
        if (i) dx_buffer_byte(&line->text, ',');
        dx_buffer_byte(&line->text, '[');
        dx_json_write_string(&line->text, field->name);
        dx_buffer_byte(&line->text, ',');
        dx_json_write_string(&line->text, value);
        dx_buffer_byte(&line->text, ']');
    }
    dx_buffer_byte(&line->text, ']');
}

// A cut never parts a character; what was cut was redacted whole.
static dx_slice cut(dx_slice text, size_t cap) {
    if (text.size <= cap) return text;
    while (cap && ((unsigned char)text.data[cap] & 0xC0) == 0x80) cap--;
    return dx_slice_of(text.data, cap);
}

void dx_log_add_body(dx_log_line *line, const char *name, dx_slice body, dx_slice type, size_t cap) {
    bool json = dx_http_media_is(type, "application/json") || (type.size > 5 && dx_slice_find(type, '+') != SIZE_MAX);
    bool form = dx_http_media_is(type, "application/x-www-form-urlencoded");
    if (body.size == 0) return;
    dx_slice clean = dx_log_clean(line->client, line->call, line->arena,
                                  json   ? DX_CLEAN_JSON
                                  : form ? DX_CLEAN_FORM
                                         : DX_CLEAN_TEXT,
                                  (dx_slice){0}, body);
    dx_slice shown = cut(clean, cap);
    add_plain(line, name, shown);
    if (shown.size < clean.size) dx_log_add_bool(line, "body_cut", true);
}

// --- beginning and sending -------------------------------------------------------------------------------------------------------------

static bool begin(dx_log_line *line, dx_client *client, dx_call *call, dx_level level, const char *event) {
    *line = (dx_log_line){.client = client, .call = call, .level = level, .arena = dx_pool_take(client->pool)};
    if (!line->arena) return false;
    dx_buffer_init(&line->text, line->arena, RECORD_CAP);
    add_time(line);
    add_plain(line, "level", dx_slice_str(levels[level]));
    add_plain(line, "event", dx_slice_str(event));
    return true;
}

bool dx_log_start(dx_log_line *line, dx_client *client, dx_call *call, dx_level level, const char *event) {
    if (!dx_log_wants(client, call ? call->settings : NULL, level) || !begin(line, client, call, level, event)) return false;
    if (!call) return true;
    dx_log_add_text(line, "correlation_id", call->correlation_id);
    if (call->x.trace_id[0]) add_plain(line, "trace_id", dx_slice_of(call->x.trace_id, sizeof call->x.trace_id));
    add_plain(line, "api", call->endpoint->api->name);
    add_plain(line, "endpoint", call->endpoint->full);
    return true;
}

bool dx_log_start_api(dx_log_line *line, dx_client *client, const dx_api *api, dx_level level, const char *event) {
    if (!dx_log_wants(client, api->settings, level) || !begin(line, client, NULL, level, event)) return false;
    add_plain(line, "api", api->name);
    return true;
}

void dx_log_send(dx_log_line *line) {
    dx_client *client = line->client;
    dx_buffer_byte(&line->text, '}');
    if (dx_buffer_status(&line->text) == DX_OK)
        client->options.log(client->options.log_context, line->level, line->text.data, line->text.size);
    dx_pool_give(client->pool, line->arena);
}

void dx_log_auth(dx_client *client, dx_slice api, dx_level level, const char *event, dx_slice why) {
    dx_log_line line;
    if (!dx_log_start(&line, client, NULL, level, event)) return;
    add_plain(&line, "api", api);
    if (why.size) dx_log_add_text(&line, "reason", why);
    dx_log_send(&line);
}
