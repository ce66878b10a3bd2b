// Looking at the APIs of a client: the list, one of them as JSON without its secrets, the status of all.
#include "base/memory.h"
#include "client/client.h"
#include "client/fail.h"
#include "client/health.h"
#include "client/log.h"
#include "client/metrics_parts.h"

#define TEXT_CAP ((size_t)64 << 20)

// The next version of an API's endpoints, in the definition's order; NULL: no more. Begin with *at = 0.
static const dx_endpoint *next_version(const dx_api *api, size_t *at) {
    while (*at < api->endpoint_count) {
        const dx_endpoint *endpoint = api->endpoints[(*at)++];
        if (*at == 1 || !dx_slice_equal(endpoint->version, api->endpoints[*at - 2]->version)) return endpoint;
    }
    return NULL;
}

// --- the list ----------------------------------------------------------------------------------------------------------------------------

// One piece of memory: the infos, the lists of versions, then the texts.
typedef struct packing {
    const char **versions;
    char *text;
} packing;

static const char *pack(packing *p, dx_slice text) {
    char *at = p->text;
    if (text.size) memcpy(at, text.data, text.size);
    at[text.size] = '\0';
    p->text += text.size + 1;
    return at;
}

static dx_slice base_url(dx_client *client, dx_arena *arena, const dx_api *api) {
    dx_slice url = dx_arena_printf(arena, "%.*s%.*s", DX_SLICE_ARG(api->origin), DX_SLICE_ARG(api->base_path));
    return dx_log_clean(client, NULL, arena, DX_CLEAN_URL, (dx_slice){0}, url);
}

static void measure(const dx_api *api, dx_slice url, size_t *versions, size_t *bytes) {
    const dx_endpoint *version;
    *versions += 1;
    *bytes += api->name.size + api->title.size + url.size + 3;
    for (size_t i = 0; (version = next_version(api, &i)); *versions += 1) *bytes += version->version.size + 1;
}

// Whether "api.endpoint" means this one.
static bool is_default(const dx_endpoint *endpoint) {
    char name[160];
    size_t size = endpoint->api->name.size + 1 + endpoint->name.size;
    if (size > sizeof name) return false; // the schema allows none
    memcpy(name, endpoint->full.data, endpoint->api->name.size + 1);
    memcpy(name + endpoint->api->name.size + 1, endpoint->name.data, endpoint->name.size);
    return dx_apis_find(endpoint->api->apis, dx_slice_of(name, size), NULL) == endpoint;
}

static const char *const *pack_versions(packing *p, const dx_api *api) {
    const dx_endpoint *version;
    const char **list = p->versions;
    for (int standard = 1; standard >= 0; standard--)
        for (size_t i = 0; (version = next_version(api, &i));)
            if (is_default(version) == (standard == 1)) *p->versions++ = pack(p, version->version);
    *p->versions++ = NULL;
    return list;
}

static void fill(dx_api_info *out, packing *p, dx_client *client, const dx_api *api, dx_slice url) {
    dx_health_report report;
    dx_health_tell(client, api, &report);
    *out = (dx_api_info){.name = pack(p, api->name),
                         .title = pack(p, api->title),
                         .base_url = pack(p, url),
                         .versions = pack_versions(p, api),
                         .endpoints = api->endpoint_count,
                         .health = report.health,
                         .registered = api->registered,
                         .registered_at = api->since};
}

static dx_status list(dx_api_info **items, size_t *count, dx_client *client, const dx_apis *apis, dx_arena *arena) {
    dx_map_entry *entry;
    size_t total = apis->apis.count, versions = 0, bytes = 0, at = 0;
    dx_slice *urls = DX_ARENA_ARRAY(arena, dx_slice, total + 1);
    if (!urls) return DX_NO_MEMORY;
    for (size_t i = 0; (entry = dx_map_next(&apis->apis, &i));) {
        urls[at] = base_url(client, arena, entry->value);
        measure(entry->value, urls[at++], &versions, &bytes);
    }
    dx_api_info *made = dx_memory_zalloc(1, total * sizeof *made + versions * sizeof(char *) + bytes + 1);
    if (!made) return DX_NO_MEMORY;
    packing p = {.versions = (const char **)(void *)(made + total)};
    p.text = (char *)(p.versions + versions);
    at = 0;
    for (size_t i = 0; (entry = dx_map_next(&apis->apis, &i)); at++) fill(&made[at], &p, client, entry->value, urls[at]);
    *items = made;
    *count = total;
    return DX_OK;
}

static int by_name(const void *a, const void *b) {
    return strcmp(((const dx_api_info *)a)->name, ((const dx_api_info *)b)->name);
}

dx_error_code dx_client_list(dx_client *client, dx_api_info **items, size_t *count, dx_error *error) {
    *items = NULL;
    *count = 0;
    if (error) *error = (dx_error)DX_ERROR_INIT;
    dx_arena *arena = dx_arena_create(TEXT_CAP);
    if (!arena) return dx_fail(error, DX_ERROR_NO_MEMORY, "there is no memory for the list");
    dx_apis *apis = dx_client_apis(client);
    dx_status status = list(items, count, client, apis, arena);
    dx_apis_release(apis);
    dx_arena_destroy(arena);
    if (status != DX_OK) return dx_fail(error, DX_ERROR_NO_MEMORY, "there is no memory for the list");
    qsort(*items, *count, sizeof **items, by_name);
    return DX_ERROR_NONE;
}

void dx_client_list_free(dx_api_info *items) {
    dx_memory_free(items);
}

// --- one
// -----------------------------------------------------------------------------------------------------------------------------------

typedef struct describing {
    dx_buffer out;
    const dx_client *client;
} describing;

static void write_name(describing *d, bool first, dx_slice name) {
    if (!first) dx_buffer_byte(&d->out, ',');
    dx_json_write_string(&d->out, name);
    dx_buffer_byte(&d->out, ':');
}

static void write_text(describing *d, bool first, const char *name, dx_slice text) {
    if (!text.size) return;
    write_name(d, first, dx_slice_str(name));
    dx_json_write_string(&d->out, text);
}

// Depth is bounded by the definition's own cap.
static void write_tree(describing *d, yyjson_val *value, dx_slice name, bool in_auth) {
    size_t i, n;
    yyjson_val *key, *member;
    if (yyjson_is_str(value)) {
        bool secret = dx_log_is_secret_value(d->client, NULL, (dx_slice){0}, name, in_auth);
        return dx_json_write_string(&d->out, secret ? DX_SLICE(DX_REDACTED) : dx_json_slice(value));
    }
    if (!yyjson_is_ctn(value)) return dx_json_write_value(&d->out, value);
    dx_buffer_byte(&d->out, yyjson_is_obj(value) ? '{' : '[');
    yyjson_obj_foreach(value, i, n, key, member) {
        write_name(d, i == 0, dx_json_slice(key));
        write_tree(d, member, dx_json_slice(key), in_auth || dx_slice_equal(dx_json_slice(key), DX_SLICE("auth")));
    }
    yyjson_arr_foreach(value, i, n, member) {
        if (i) dx_buffer_byte(&d->out, ',');
        write_tree(d, member, name, in_auth);
    }
    dx_buffer_byte(&d->out, yyjson_is_obj(value) ? '}' : ']');
}

static void write_params(describing *d, const dx_endpoint *endpoint) {
    static const char *const places[] = {"path", "query", "header", "cookie", "body"};
    DX_BUFFER_LIT(&d->out, ",\"params\":{");
    for (size_t i = 0; i < endpoint->param_count; i++) {
        const dx_param *param = &endpoint->params[i];
        write_name(d, i == 0, param->name);
        dx_buffer_printf(&d->out, "{\"in\":\"%s\",\"required\":%s,\"secret\":%s", places[param->in], param->required ? "true" : "false",
                         param->secret ? "true" : "false");
        write_text(d, false, "description", param->description);
        dx_buffer_byte(&d->out, '}');
    }
    dx_buffer_byte(&d->out, '}');
}

static void write_endpoint(describing *d, const dx_endpoint *endpoint) {
    dx_buffer_byte(&d->out, '{');
    write_text(d, true, "method", dx_slice_str(dx_method_name((dx_method)endpoint->method)));
    write_text(d, false, "path", endpoint->path);
    write_text(d, false, "summary", endpoint->summary);
    write_text(d, false, "request_model", endpoint->request_model);
    write_text(d, false, "response_model", endpoint->response_model);
    write_params(d, endpoint);
    if (endpoint->settings != endpoint->api->settings) {
        DX_BUFFER_LIT(&d->out, ",\"settings\":");
        write_tree(d, endpoint->settings->tree, DX_SLICE("settings"), false);
    }
    dx_buffer_byte(&d->out, '}');
}

static void write_endpoints(describing *d, const dx_api *api) {
    DX_BUFFER_LIT(&d->out, ",\"endpoints\":{");
    for (size_t i = 0; i < api->endpoint_count; i++) {
        const dx_endpoint *endpoint = api->endpoints[i];
        bool first = i == 0 || !dx_slice_equal(endpoint->version, api->endpoints[i - 1]->version);
        if (first && i) dx_buffer_byte(&d->out, '}');
        if (first) write_name(d, i == 0, endpoint->version);
        if (first) dx_buffer_byte(&d->out, '{');
        write_name(d, first, endpoint->name);
        write_endpoint(d, endpoint);
    }
    dx_buffer_add(&d->out, api->endpoint_count ? DX_SLICE("}}") : DX_SLICE("}"));
}

static void describe(describing *d, const dx_api *api, dx_slice url) {
    dx_buffer_byte(&d->out, '{');
    write_text(d, true, "base_url", url);
    write_text(d, false, "title", api->title);
    DX_BUFFER_LIT(&d->out, ",\"settings\":");
    write_tree(d, api->settings->tree, DX_SLICE("settings"), false);
    write_endpoints(d, api);
    dx_buffer_byte(&d->out, '}');
}

static dx_error_code describe_api(dx_client *client, const dx_api *api, dx_arena *arena, char **json, size_t *size) {
    describing d = {.client = client};
    dx_buffer clean;
    dx_buffer_init(&d.out, arena, TEXT_CAP);
    describe(&d, api, base_url(client, arena, api));
    if (dx_buffer_status(&d.out) != DX_OK) return DX_ERROR_NO_MEMORY;
    dx_buffer_init(&clean, NULL, 2 * TEXT_CAP);
    // Once more by value and by look: what the walk took for plain may hold a known secret.
    if (dx_redact_json(client->redactor, &clean, dx_buffer_slice(&d.out)) == DX_OK) return dx_metrics_give(&clean, json, size);
    dx_buffer_deinit(&clean);
    return DX_ERROR_NO_MEMORY;
}

dx_error_code dx_client_describe(dx_client *client, const char *name, char **json, size_t *size, dx_error *error) {
    *json = NULL;
    if (error) *error = (dx_error)DX_ERROR_INIT;
    dx_arena *arena = dx_arena_create(4 * TEXT_CAP);
    dx_apis *apis = dx_client_apis(client);
    const dx_api *api = dx_apis_api(apis, dx_slice_str(name), NULL);
    dx_error_code code = !api    ? dx_client_no_api(error, apis, name)
                         : arena ? describe_api(client, api, arena, json, size)
                                 : DX_ERROR_NO_MEMORY;
    if (code == DX_ERROR_NO_MEMORY) (void)dx_fail(error, code, "there is no memory to describe the API");
    dx_apis_release(apis);
    dx_arena_destroy(arena);
    return code;
}

// --- the status of all
// -----------------------------------------------------------------------------------------------------------------------

static void write_check(dx_buffer *out, const dx_health_report *report) {
    if (!report->checked) return;
    dx_buffer_printf(out, ",\"check\":{\"passed\":%s,\"at\":%lld,\"duration_us\":%lld}", report->check_passed ? "true" : "false",
                     (long long)report->checked_at, (long long)(report->check_ns / DX_MICROSECOND));
}

static void write_policies(dx_buffer *out, const dx_api *api) {
    dx_meter_sum *none = dx_memory_zalloc(1, sizeof *none);
    dx_metrics m;
    if (!none) return;
    dx_metrics_fill(&m, none, api->settings);
    dx_memory_free(none);
    dx_buffer_printf(out, ",\"breaker\":\"%s\",\"limit_waiting\":%u", dx_metrics_breaker_words[m.breaker], m.limit_waiting);
}

static void write_status(dx_buffer *out, dx_client *client, const dx_api *api) {
    dx_health_report report;
    dx_health_tell(client, api, &report);
    dx_json_write_string(out, api->name);
    dx_buffer_printf(out, ":{\"health\":\"%s\",\"reason\":", dx_health_name(report.health));
    dx_json_write_string(out, dx_slice_str(report.reason));
    dx_buffer_printf(out, ",\"window\":{\"seconds\":%lld,\"calls\":%llu,\"failures\":%llu,\"mean_us\":%lld,\"success_rate\":",
                     (long long)(api->health_settings.window / DX_SECOND), (unsigned long long)report.calls,
                     (unsigned long long)report.failures, (long long)(report.mean_ns / DX_MICROSECOND));
    dx_json_write_number(out, report.success_rate);
    dx_buffer_byte(out, '}');
    write_check(out, &report);
    write_policies(out, api);
    dx_buffer_printf(out, ",\"endpoints\":%zu,\"registered\":%s,\"registered_at\":%lld}", api->endpoint_count,
                     api->registered ? "true" : "false", (long long)api->since);
}

dx_error_code dx_client_status_json(dx_client *client, char **json, size_t *size, dx_error *error) {
    dx_buffer out;
    dx_map_entry *entry;
    bool first = true;
    if (error) *error = (dx_error)DX_ERROR_INIT;
    dx_apis *apis = dx_client_apis(client);
    dx_buffer_init(&out, NULL, TEXT_CAP);
    dx_buffer_byte(&out, '{');
    for (size_t i = 0; (entry = dx_map_next(&apis->apis, &i));) {
        if (!first) dx_buffer_byte(&out, ',');
        first = false;
        write_status(&out, client, entry->value);
    }
    dx_buffer_byte(&out, '}');
    dx_apis_release(apis);
    dx_error_code code = dx_metrics_give(&out, json, size);
    return code ? dx_fail(error, code, "there is no memory for the status") : code;
}
