// Building the app: definition → settings and secret → features' tables → store and migration → features' operations and filters → chains
// and router. Whatever is wrong is told together, as far as one stage lets the next be looked at. What comes out is not changed any more.
// The first app makes the process's store; one that is built for a running process takes it over.
#include <sched.h>

#include "base/memory.h"
#include "crypto/digest.h"
#include "server/parts.h"

#define APP_ARENA_CAP ((size_t)4 << 30)
#define SECTIONS_CAP  64

// --- what features may ask
// ----------------------------------------------------------------------------------------------------------------------

dx_status dx_list_add(dx_list *list, dx_arena *arena, const void *item, size_t size) {
    if (list->count == list->capacity) {
        size_t capacity = list->capacity ? list->capacity * 2 : 16;
        void *items = dx_arena_zalloc(arena, capacity, size);
        if (!items) return DX_NO_MEMORY;
        if (list->count) memcpy(items, list->items, list->count * size);
        list->items = items;
        list->capacity = capacity;
    }
    memcpy((char *)list->items + list->count++ * size, item, size);
    return DX_OK;
}

dx_arena *dx_app_arena(dx_app *app) {
    return app->arena;
}

const dx_definition *dx_app_definition(const dx_app *app) {
    return app->definition;
}

yyjson_val *dx_app_section(const dx_app *app, const char *name) {
    return dx_definition_section(app->definition, name);
}

bool dx_app_production(const dx_app *app) {
    return app->settings.production;
}

dx_store *dx_app_store(const dx_app *app) {
    return app->store;
}

dx_keep *dx_app_keep(const dx_app *app) {
    return app->keep;
}

dx_session *dx_app_session(const dx_app *app, unsigned worker) {
    return app->workers[worker].session;
}

unsigned dx_app_workers(const dx_app *app) {
    return app->worker_count;
}

dx_slice dx_app_base_path(const dx_app *app) {
    return app->settings.base_path;
}

void dx_app_key(const dx_app *app, const char *purpose, uint8_t out[32]) {
    dx_derive_key(out, 32, app->secret, dx_slice_str(purpose));
}

dx_slice dx_app_root_secret(const dx_app *app) {
    return app->secret;
}

dx_status dx_app_add_table(dx_app *app, const dx_table *table) {
    return dx_list_add(&app->tables, app->arena, &table, sizeof table);
}

dx_status dx_app_add_operation(dx_app *app, dx_operation *operation) {
    return dx_list_add(&app->operations, app->arena, &operation, sizeof operation);
}

dx_status dx_app_add_filter(dx_app *app, dx_stage stage, dx_filter filter) {
    return dx_list_add(&app->filters[stage], app->arena, &filter, sizeof filter);
}

dx_status dx_app_add_schema(dx_app *app, dx_slice name, dx_describe_schema describe, const void *conf) {
    dx_named_schema schema = {name, describe, conf};
    bool own = dx_slice_equal(name, DX_SLICE("Problem"));
    if (own || dx_map_get(&app->schema_names, name)) return DX_ALREADY_EXISTS;
    if (dx_map_put(&app->schema_names, name, app) != DX_OK) return DX_NO_MEMORY;
    return dx_list_add(&app->schemas, app->arena, &schema, sizeof schema);
}

dx_status dx_app_add_security_scheme(dx_app *app, dx_slice name, dx_describe_schema describe, const void *conf) {
    dx_named_schema schema = {name, describe, conf};
    return dx_list_add(&app->schemes, app->arena, &schema, sizeof schema);
}

const dx_section *const *dx_app_sections(size_t *count) {
    static const dx_section *sections[SECTIONS_CAP];
    size_t n = 0;
    sections[n++] = &dx_server_section;
    for (size_t f = 0; dx_features[f]; f++)
        for (size_t s = 0; dx_features[f]->sections && dx_features[f]->sections[s] && n < SECTIONS_CAP; s++)
            sections[n++] = dx_features[f]->sections[s];
    *count = n;
    return sections;
}

// --- the stages
// -----------------------------------------------------------------------------------------------------------------------------------

static unsigned count_cores(void) {
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) != 0) return 1;
    int count = CPU_COUNT(&set);
    return count > 0 ? (unsigned)count : 1;
}

static dx_status join_process(dx_app *app, dx_process *running) {
    unsigned workers = app->offline ? 1 : app->settings.workers ? app->settings.workers : count_cores();
    dx_status status = DX_OK;
    if (running)
        app->process = dx_process_hold(running);
    else
        status = dx_process_create(&app->process, workers);
    if (status != DX_OK) return status;
    app->workers = app->process->workers;
    app->worker_count = app->process->worker_count;
    app->tenures = DX_ARENA_ARRAY(app->arena, dx_tenure, app->worker_count);
    atomic_init(&app->tenants, app->worker_count);
    return app->tenures ? DX_OK : DX_NO_MEMORY;
}

// Every certificate and key is read anew for each definition. Tickets outlive it, so that clients go on resuming.
// The room below knows a setting's pointer; here it gets its line.
static void locate(const dx_app *app, const dx_diags *found, dx_diags *diags) {
    for (const dx_diag *from = found->first; from; from = from->next) {
        dx_diag *diag = dx_definition_complain(app->definition, diags, from->pointer, "%.*s", DX_SLICE_ARG(from->message));
        dx_diag_suggest(diags, diag, from->suggestion);
    }
}

static dx_status make_tls(dx_app *app, dx_diags *diags) {
    dx_tls_options options = app->settings.tls;
    dx_status status = DX_OK;
    dx_diags found;
    if (options.count == 0) return DX_OK;
    if (!app->process->tickets) status = dx_tls_tickets_create(&app->process->tickets);
    options.tickets = app->process->tickets;
    dx_diags_init(&found, app->arena);
    if (status == DX_OK) status = dx_tls_create(&app->tls, &options, &found);
    locate(app, &found, diags);
    return status;
}

static dx_status load_features(dx_app *app, dx_diags *diags) {
    size_t count = 0;
    while (dx_features[count]) count++;
    app->states = DX_ARENA_ARRAY(app->arena, void *, count + 1);
    if (!app->states) return DX_NO_MEMORY;
    for (size_t i = 0; i < count; i++) {
        dx_status status = dx_features[i]->load ? dx_features[i]->load(&app->states[i], app, diags) : DX_OK;
        if (status != DX_OK) return status;
        app->states_loaded = i + 1;
    }
    return DX_OK;
}

static dx_status load(dx_app *app, const dx_app_options *options, dx_diags *diags) {
    size_t count;
    const dx_section *const *sections = dx_app_sections(&count);
    dx_status status = dx_definition_load(&app->definition, options->path, sections, count, NULL, diags);
    if (status != DX_OK) return status;
    dx_status settings = dx_settings_read(&app->settings, app->arena, app->definition, options, diags);
    if (settings != DX_OK && settings != DX_INVALID) return settings;
    if ((status = join_process(app, options->process)) != DX_OK) return status;
    if (settings == DX_OK) settings = make_tls(app, diags);
    if (settings == DX_OK && !app->offline && options->settled) settings = options->settled(options->ctx, app, diags);
    if (settings == DX_OK) settings = dx_secret_obtain(&app->secret, app->arena, &app->settings, app->definition, app->offline, diags);
    if (settings != DX_OK && settings != DX_INVALID && settings != DX_UNAVAILABLE) return settings;
    status = load_features(app, diags); // their findings are wanted even when the settings have some
    return status == DX_OK ? settings : status;
}

static void tell_migration(const dx_migration_report *report) {
    dx_log_record record;
    if (!(report->created || report->changed) || !dx_log_enabled(DX_LOG_INFO)) return;
    dx_log_begin(&record, DX_LOG_INFO, "store_migrated");
    dx_log_int(&record, "tables_created", (int64_t)report->created);
    dx_log_int(&record, "tables_changed", (int64_t)report->changed);
    dx_log_end(&record);
}

static dx_status open_store(dx_app *app, dx_diags *diags) {
    dx_store_options options = DX_STORE_OPTIONS_INIT;
    dx_process *process = app->process;
    options.workers = app->worker_count;
    options.statement_time = app->settings.statement_time;
    options.queue_time = app->settings.request_time;
    process->store_url = dx_arena_copy(process->arena, app->settings.store);
    if (!process->store_url.data) return DX_NO_MEMORY;
    return dx_store_open(&process->store, app->settings.store, &options, diags);
}

static dx_status prepare_store(dx_app *app, bool beside, dx_diags *diags) {
    dx_migration_report report = {0};
    dx_status status = app->process->store ? DX_OK : open_store(app, diags);
    app->store = app->process->store;
    const dx_table *const *tables = app->tables.items;
    if (status == DX_OK && beside)
        status = dx_store_grow(app->store, tables, app->tables.count, &report, diags);
    else if (status == DX_OK)
        status = dx_store_migrate(app->store, tables, app->tables.count, &report, diags);
    if (status != DX_OK) return status;
    if (!app->offline) tell_migration(&report);
    app->keep = dx_keep_create(app->store);
    return app->keep ? DX_OK : DX_NO_MEMORY;
}

static dx_status build_features(dx_app *app, dx_diags *diags) {
    for (size_t i = 0; dx_features[i]; i++) {
        dx_status status = dx_features[i]->build ? dx_features[i]->build(app->states[i], app, diags) : DX_OK;
        if (status != DX_OK) return status;
    }
    return DX_OK;
}

static dx_status add_own_operations(dx_app *app) {
    dx_status status = dx_health_add(app);
    if (status == DX_OK) status = dx_problem_pages_add(app);
    if (status == DX_OK && app->settings.docs) status = dx_openapi_add(app);
    if (status == DX_OK && app->settings.docs) status = dx_docs_add(app);
    return status;
}

static dx_status build(dx_app *app, const dx_app_options *options, dx_diags *diags) {
    size_t before = diags->count;
    dx_status status = dx_problem_setup();
    dx_compress_setup();
    if (status == DX_OK) status = load(app, options, diags);
    if (status == DX_OK && diags->count > before) status = DX_INVALID;
    if (status != DX_OK) return status;
    if (!app->offline && !options->process) dx_app_activate(app);
    if ((status = prepare_store(app, options->beside, diags)) != DX_OK) return status;
    dx_edge_init(&app->edge, &app->settings,
                 app->settings.security_headers ? DX_SLICE("default-src 'none'; frame-ancestors 'none'") : (dx_slice){NULL, 0});
    if ((status = build_features(app, diags)) == DX_OK) status = add_own_operations(app);
    if (status == DX_OK && diags->count > before) status = DX_INVALID;
    return status == DX_OK ? dx_chains_build(app, diags) : status;
}

dx_status dx_app_create(dx_app **out, const dx_app_options *options, dx_diags *diags) {
    dx_arena *arena = dx_arena_create(APP_ARENA_CAP);
    dx_app *app = arena ? DX_ARENA_NEW(arena, dx_app) : NULL;
    if (!app) {
        dx_arena_destroy(arena);
        return DX_NO_MEMORY;
    }
    app->arena = arena;
    dx_map_init(&app->schema_names, arena);
    app->offline = options->offline;
    dx_status status = build(app, options, diags);
    if (status == DX_OK) {
        *out = app;
        return DX_OK;
    }
    dx_app_destroy(app);
    return status;
}

void dx_app_destroy(dx_app *app) {
    if (!app) return;
    for (size_t i = app->states_loaded; i-- > 0;)
        if (dx_features[i]->stop) dx_features[i]->stop(app->states[i]);
    // The last one leaves its statements to the store, which may still have work in hand that uses them.
    if (app->process && app->process->store && atomic_load(&app->process->holders) > 1) dx_keep_destroy(app->keep);
    dx_tls_release(app->tls);
    dx_docs_destroy(app);
    dx_document_deinit(&app->openapi);
    dx_definition_destroy(app->definition);
    dx_process_release(app->process); // the arena may have what the store still has in hand
    dx_arena_destroy(app->arena);
}

dx_status dx_app_openapi(const dx_app *app, dx_buffer *out, bool pretty) {
    return dx_openapi_write(app, out, pretty);
}
