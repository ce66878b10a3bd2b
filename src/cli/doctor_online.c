// Reaching an API: a HEAD of its base URL over the same transport and settings as its calls, but without auth. Whatever it answers says
// that it is there; the Date of the answer says what time it is there.
#include "cli/doctor.h"
#include "client/client.h"

#define SKEW_WARN_S 30
#define SKEW_FAIL_S 300

static void copy_setting(yyjson_mut_doc *doc, yyjson_mut_val *api, yyjson_val *tree, const char *name) {
    yyjson_val *value = yyjson_obj_get(tree, name);
    if (value) yyjson_mut_obj_add_val(doc, api, name, yyjson_val_mut_copy(doc, value));
}

// A variable's "${" that came through is not one again.
static dx_slice escaped(dx_arena *arena, dx_slice json) {
    dx_buffer text;
    dx_buffer_init(&text, arena, 2 * json.size + 1);
    for (size_t i = 0; i < json.size; i++) {
        if (json.data[i] == '$' && i + 1 < json.size && json.data[i + 1] == '{') dx_buffer_byte(&text, '$');
        dx_buffer_byte(&text, json.data[i]);
    }
    return dx_buffer_slice(&text);
}

static dx_slice definition_of(dx_arena *arena, const dx_api *api) {
    static const char *const kept[] = {"verify_tls", "ca_file", "client_certificate", "proxy", "http_version", "connect_timeout"};
    yyjson_mut_doc *doc = dx_json_mut_doc(arena);
    yyjson_mut_val *root = doc ? yyjson_mut_obj(doc) : NULL;
    dx_buffer text;
    if (!root) return (dx_slice){0};
    yyjson_mut_val *made = yyjson_mut_obj_add_obj(doc, yyjson_mut_obj_add_obj(doc, root, "apis"), "probe");
    dx_slice url = dx_arena_printf(arena, "%.*s%.*s", DX_SLICE_ARG(api->origin), DX_SLICE_ARG(api->base_path));
    yyjson_mut_obj_add_strn(doc, made, "base_url", url.data ? url.data : "", url.size);
    for (size_t i = 0; i < DX_COUNT_OF(kept); i++) copy_setting(doc, made, api->settings->tree, kept[i]);
    yyjson_mut_obj_add_uint(doc, made, "timeout", 15);
    yyjson_mut_obj_add_bool(doc, made, "raise_on_error", false);
    yyjson_mut_val *retry = yyjson_mut_obj_add_obj(doc, made, "retry"), *redirect = yyjson_mut_obj_add_obj(doc, made, "redirect");
    yyjson_mut_obj_add_uint(doc, retry, "attempts", 1);
    yyjson_mut_obj_add_bool(doc, redirect, "follow", false);
    dx_buffer_init(&text, arena, (size_t)16 << 20);
    dx_json_write_mut(&text, root, false);
    return escaped(arena, dx_buffer_slice(&text));
}

static const char *remedy_of(dx_error_code code) {
    switch (code) {
    case DX_ERROR_RESOLVE:
        return "look at the name in base_url, and at this machine's DNS";
    case DX_ERROR_TLS:
        return "look at the server's certificate; for an authority of your own, give ca_file";
    case DX_ERROR_CONNECT:
    case DX_ERROR_TIMEOUT:
        return "look at the port in base_url, at firewalls, and whether a proxy is needed";
    default:
        return NULL;
    }
}

static void compare_clocks(dx_doctor *d, const dx_api *api, const char *date) {
    dx_micros_utc there;
    if (!date || !dx_http_date_read(dx_slice_str(date), &there)) return;
    int64_t off = (dx_clock_utc() - there) / 1000000, size = off < 0 ? -off : off;
    dx_finding finding = size > SKEW_FAIL_S ? DX_FINDING_FAIL : size > SKEW_WARN_S ? DX_FINDING_WARN : DX_FINDING_OK;
    dx_doctor_say(d, finding, finding == DX_FINDING_OK ? NULL : "set the clock (NTP): tokens and signatures go by it",
                  "%.*s: this clock is %lld s %s the server's", DX_SLICE_ARG(api->name), (long long)size, off < 0 ? "behind" : "ahead of");
}

static void say_reached(dx_doctor *d, const dx_api *api, const dx_response *response) {
    double ms = (double)dx_response_phase_ns(response, DX_PHASE_CONNECT) / 1e6;
    dx_doctor_say(d, DX_FINDING_OK, NULL, "%.*s: %.*s answers (%d), %s%.0f ms to connect", DX_SLICE_ARG(api->name),
                  DX_SLICE_ARG(api->origin), dx_response_status(response), api->secure ? "TLS is good, " : "", ms);
    compare_clocks(d, api, dx_response_header(response, "date", 0));
}

void dx_doctor_reach(dx_doctor *d, const dx_api *api) {
    dx_client *client;
    dx_response *response = NULL;
    dx_error error = DX_ERROR_INIT;
    dx_slice definition = definition_of(d->arena, api);
    if (!definition.data || dx_client_open_text(&client, definition.data, definition.size, NULL, &error)) {
        dx_doctor_say(d, DX_FINDING_FAIL, NULL, "%.*s: it can't be tried: %s", DX_SLICE_ARG(api->name), error.message);
        return;
    }
    if (dx_client_request(&response, client, "probe", "HEAD", "/", NULL, NULL, &error))
        dx_doctor_say(d, DX_FINDING_FAIL, remedy_of(error.code), "%.*s: %.*s: %s", DX_SLICE_ARG(api->name), DX_SLICE_ARG(api->origin),
                      error.message);
    else
        say_reached(d, api, response);
    dx_response_release(response);
    dx_client_close(client);
}
