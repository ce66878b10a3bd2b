// Health: /livez says that the process runs, /readyz that it can serve, /health says both with what stands behind it.
#include "codec/json.h"
#include "server/parts.h"

static const dx_slice up = DX_SLICE_INIT("{\"status\":\"ok\"}");

static dx_verdict livez(const void *conf, dx_exchange *x) {
    (void)conf;
    return dx_exchange_json(x, 200, up);
}

static dx_verdict readyz(const void *conf, dx_exchange *x) {
    const dx_app *app = conf;
    if (atomic_load_explicit(&app->process->draining, memory_order_relaxed)) return dx_exchange_fail(x, DX_UNAVAILABLE, "shutting down");
    dx_status store = dx_store_check(dx_worker_of(app, x)->session);
    if (store != DX_OK) return dx_exchange_fail(x, DX_STORE_UNAVAILABLE, "the store says: %s", dx_status_title(store));
    return dx_exchange_json(x, 200, up);
}

static dx_verdict health(const void *conf, dx_exchange *x) {
    const dx_app *app = conf;
    bool draining = atomic_load_explicit(&app->process->draining, memory_order_relaxed);
    bool detailed = !app->settings.production || dx_principal_has_role(x->principal, DX_SLICE("admin"));
    dx_nanos before = detailed ? dx_clock_monotonic() : 0;
    dx_status store = dx_store_check(dx_worker_of(app, x)->session);
    dx_buffer body;
    dx_buffer_init(&body, x->arena, 4096);
    dx_buffer_printf(&body, "{\"status\":\"%s\",\"checks\":{\"store\":{\"status\":\"%s\"",
                     store != DX_OK ? "failing"
                     : draining     ? "draining"
                                    : "ok",
                     store == DX_OK ? "ok" : "failing");
    if (detailed) {
        dx_nanos now = dx_clock_monotonic();
        dx_buffer_printf(&body, ",\"error_code\":\"%s\",\"duration_us\":%lld}},\"version\":\"" DX_VERSION "\",\"uptime_seconds\":%lld",
                         dx_status_code(store), (long long)((now - before) / DX_MICROSECOND),
                         (long long)((now - app->process->up_since) / DX_SECOND));
        dx_buffer_printf(&body, ",\"workers\":%u}", app->worker_count);
    } else {
        DX_BUFFER_LIT(&body, "}}}");
    }
    dx_exchange_field(x, DX_SLICE("cache-control"), DX_SLICE("no-store"));
    if (dx_buffer_status(&body) != DX_OK) return dx_exchange_fail(x, DX_NO_MEMORY, NULL);
    return dx_exchange_json(x, store == DX_OK && !draining ? 200 : 503, dx_buffer_slice(&body));
}

// --- OpenAPI
// -------------------------------------------------------------------------------------------------------------------------------

static void describe_answer(yyjson_mut_doc *doc, yyjson_mut_val *responses, const char *status, const char *text) {
    yyjson_mut_val *response = yyjson_mut_obj_add_obj(doc, responses, status);
    yyjson_mut_obj_add_str(doc, response, "description", text);
    yyjson_mut_val *content = yyjson_mut_obj_add_obj(doc, response, "content");
    yyjson_mut_val *schema = yyjson_mut_obj_add_obj(doc, yyjson_mut_obj_add_obj(doc, content, "application/json"), "schema");
    yyjson_mut_obj_add_str(doc, schema, "type", "object");
    yyjson_mut_val *properties = yyjson_mut_obj_add_obj(doc, schema, "properties");
    yyjson_mut_obj_add_str(doc, yyjson_mut_obj_add_obj(doc, properties, "status"), "type", "string");
}

static void describe(const void *conf, const dx_operation *operation, yyjson_mut_doc *doc, yyjson_mut_val *object) {
    static const struct {
        const char *path, *summary, *healthy, *failing;
    } texts[] = {
        {"/livez", "Whether the process runs", "It does.", NULL},
        {"/readyz", "Whether the server can serve", "It can.", NULL},
        {"/health", "The server's health, with that of what it depends on", "All is well.", "Something is not; the checks say what."},
    };
    (void)conf;
    for (size_t i = 0; i < DX_COUNT_OF(texts); i++) {
        if (!dx_slice_equal(operation->path, dx_slice_str(texts[i].path))) continue;
        yyjson_mut_obj_add_str(doc, object, "summary", texts[i].summary);
        yyjson_mut_arr_add_str(doc, yyjson_mut_obj_add_arr(doc, object, "tags"), "Health");
        yyjson_mut_val *responses = yyjson_mut_obj_add_obj(doc, object, "responses");
        describe_answer(doc, responses, "200", texts[i].healthy);
        if (texts[i].failing) describe_answer(doc, responses, "503", texts[i].failing);
    }
}

bool dx_health_has(const dx_operation *operation) {
    return operation->handler == livez || operation->handler == readyz || operation->handler == health;
}

bool dx_health_is_bare(const dx_operation *operation) {
    return operation->handler == livez || operation->handler == readyz;
}

dx_status dx_health_add(dx_app *app) {
    static const struct {
        dx_slice id, path;
        dx_handler handler;
    } rows[] = {{DX_SLICE_INIT("livez"), DX_SLICE_INIT("/livez"), livez},
                {DX_SLICE_INIT("readyz"), DX_SLICE_INIT("/readyz"), readyz},
                {DX_SLICE_INIT("health"), DX_SLICE_INIT("/health"), health}};
    for (size_t i = 0; i < DX_COUNT_OF(rows); i++) {
        dx_operation *operation = DX_ARENA_NEW(app->arena, dx_operation);
        if (!operation) return DX_NO_MEMORY;
        *operation = (dx_operation){.id = rows[i].id,
                                    .method = DX_GET,
                                    .path = rows[i].path,
                                    .handler = rows[i].handler,
                                    .conf = app,
                                    .describe = describe,
                                    .access = {.is_public = true},
                                    .unlogged = true};
        dx_status status = dx_app_add_operation(app, operation);
        if (status != DX_OK) return status;
    }
    return DX_OK;
}
