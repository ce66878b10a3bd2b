// The front of the store: finds the backend by the URL's scheme, checks what it is given, and hands it on. It knows no SQL and
// keeps no state of its own.
#include "store/backend.h"

#include "base/log.h"

static const dx_backend *const backends[] = {
#define X(name) &dx_##name##_backend,
    DX_BACKEND_LIST(X)
#undef X
};

static const dx_backend *find_backend(dx_slice scheme) {
    for (size_t i = 0; i < DX_COUNT_OF(backends); i++) {
        if (dx_slice_equal_nocase(backends[i]->scheme, scheme)) return backends[i];
    }
    return NULL;
}

dx_status dx_store_open(dx_store **out, dx_slice url, const dx_store_options *options, dx_diags *diags) {
    *out = NULL;
    dx_slice rest = url;
    dx_slice scheme = dx_slice_cut(&rest, ':');
    const dx_backend *backend = rest.data ? find_backend(scheme) : NULL;
    if (!backend) {
        dx_diag *diag = dx_diags_add(diags, DX_INVALID, (dx_slice){0}, "\"%.*s\" is not the URL of a store", DX_SLICE_ARG(url));
        if (diag) diag->suggestion = DX_SLICE("write \"sqlite:FILE\", for example \"sqlite:shop.db\"");
        return DX_INVALID;
    }
    dx_store_options defaults = DX_STORE_OPTIONS_INIT;
    return backend->open(out, rest, options ? options : &defaults, diags);
}

void dx_store_close(dx_store *store) {
    if (store) store->backend->close(store);
}

static dx_status migrate(dx_store *store, const dx_table *const *tables, size_t count, bool grow, dx_migration_report *report,
                         dx_diags *diags) {
    dx_migration_report ignored;
    if (!report) report = &ignored;
    *report = (dx_migration_report){0};
    dx_status status = dx_tables_check(tables, count, diags);
    if (status) return status;
    return store->backend->migrate(store, tables, count, grow, report, diags);
}

dx_status dx_store_migrate(dx_store *store, const dx_table *const *tables, size_t count, dx_migration_report *report, dx_diags *diags) {
    return migrate(store, tables, count, false, report, diags);
}

dx_status dx_store_grow(dx_store *store, const dx_table *const *tables, size_t count, dx_migration_report *report, dx_diags *diags) {
    return migrate(store, tables, count, true, report, diags);
}

dx_keep *dx_keep_create(dx_store *store) {
    return store->backend->keep_create(store);
}

void dx_keep_destroy(dx_keep *keep) {
    if (keep) keep->backend->keep_destroy(keep);
}

dx_status dx_statement_keep(const dx_statement **out, dx_keep *keep, const dx_query *query) {
    *out = NULL;
    uint16_t param_count;
    dx_status status = dx_query_check(query, &param_count);
    return status ? status : keep->backend->keep(out, keep, query, param_count);
}

dx_status dx_statement_make(const dx_statement **out, dx_store *store, dx_arena *arena, const dx_query *query) {
    *out = NULL;
    uint16_t param_count;
    dx_status status = dx_query_check(query, &param_count);
    return status ? status : store->backend->statement(out, store, arena, query, param_count);
}

dx_session *dx_store_session(dx_store *store, unsigned index, dx_loop *loop) {
    return store->backend->session(store, index, loop);
}

void dx_store_submit(dx_session *session, dx_tx *tx) {
    session->backend->submit(session, tx);
}

void dx_store_run(dx_store *store, dx_tx *tx) {
    store->backend->run(store, tx);
}

void dx_store_set_wait(dx_store *store, dx_nanos wait) {
    store->backend->set_wait(store, wait);
}

dx_status dx_store_check(dx_session *session) {
    return session->backend->check(session);
}

dx_status dx_store_watch(dx_store *store, const dx_table *table) {
    return store->backend->watch(store, table);
}

void dx_watch_start(dx_watch *watch, dx_session *session) {
    if (watch->session) return;
    watch->session = session;
    watch->next = session->watches;
    watch->at = &session->watches;
    if (watch->next) watch->next->at = &watch->next;
    session->watches = watch;
    atomic_fetch_add(&session->watching, 1);
}

void dx_watch_stop(dx_watch *watch) {
    if (!watch->session) return;
    atomic_fetch_sub(&watch->session->watching, 1);
    *watch->at = watch->next;
    if (watch->next) watch->next->at = watch->at;
    watch->session = NULL;
}

void dx_session_tell(dx_session *session) {
    for (dx_watch *at = session->watches; at;) {
        dx_watch *next = at->next;
        at->changed(at);
        at = next;
    }
}

size_t dx_row_columns(const dx_row *row) {
    return row->backend->row_columns(row);
}

dx_value dx_row_value(const dx_row *row, size_t column) {
    return row->backend->row_value(row, column);
}
