#include "resource/fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const dx_section *const sections[] = {&dx_models_section, &dx_resources_section};

static const uint8_t cursor_key[32] = {1, 2, 3};

dx_status fixture_load(fixture *f, const char *definition) {
    memset(f, 0, sizeof *f);
    f->arena = dx_arena_create(256u << 20);
    f->calls = dx_arena_create(256u << 20);
    assert_non_null(f->arena);
    assert_non_null(f->calls);
    dx_diags_init(&f->diags, f->arena);
    snprintf(f->path, sizeof f->path, "/tmp/dx-resource-XXXXXX");
    int fd = mkstemp(f->path);
    assert_true(fd >= 0);
    size_t size = strlen(definition);
    assert_int_equal(write(fd, definition, size), size);
    close(fd);
    f->principal = (dx_principal){.id = DX_SLICE("1"), .number = 1, .name = DX_SLICE("john")};
    dx_status status = dx_definition_load(&f->definition, f->path, sections, DX_COUNT_OF(sections), NULL, &f->diags);
    if (status) return status;
    return dx_resources_load(&f->set, f->arena, f->definition, DX_SLICE("/api/v1"), &f->diags);
}

const char *fixture_findings(fixture *f, const dx_diags *diags) {
    dx_buffer text;
    dx_buffer_init(&text, f->arena, 1 << 20);
    for (const dx_diag *diag = diags->first; diag; diag = diag->next) {
        dx_buffer_add(&text, dx_diag_text(diag, f->arena));
        dx_buffer_byte(&text, '\n');
    }
    dx_buffer_byte(&text, 0);
    return text.data;
}

void fixture_open(fixture *f, const char *definition) {
    dx_status status = fixture_load(f, definition);
    if (status) fail_msg("%s: %s", dx_status_name(status), fixture_findings(f, &f->diags));
    const dx_table *tables[64];
    size_t count = dx_resources_tables(f->set, tables, DX_COUNT_OF(tables));
    assert_true(count <= DX_COUNT_OF(tables));
    dx_store_options options = DX_STORE_OPTIONS_INIT;
    status = dx_store_open(&f->store, DX_SLICE("sqlite::memory:"), &options, &f->diags);
    if (!status) status = dx_store_migrate(f->store, tables, count, NULL, &f->diags);
    dx_keep *kept = status ? NULL : dx_keep_create(f->store); // goes with the store
    if (!status) status = kept ? dx_resources_prepare(f->set, f->arena, f->store, kept, cursor_key) : DX_NO_MEMORY;
    if (status) fail_msg("%s: %s", dx_status_name(status), fixture_findings(f, &f->diags));
}

void fixture_close(fixture *f) {
    dx_store_close(f->store);
    dx_definition_destroy(f->definition);
    dx_arena_destroy(f->calls);
    dx_arena_destroy(f->arena);
    unlink(f->path);
}

const dx_resource *fixture_resource(fixture *f, const char *name) {
    const dx_resource *resource = dx_map_get(&f->set->names, dx_slice_str(name));
    assert_non_null(resource);
    return resource;
}

// --- rows ------------------------------------------------------------------------------------------------------------------

typedef struct once {
    dx_tx tx;
    const dx_statement *statement;
    const dx_value *params;
    size_t count;
    bool ran;
    int64_t id;
    dx_status status;
} once;

static dx_tx_step once_next(dx_tx *tx) {
    once *o = DX_CONTAINER_OF(tx, once, tx);
    if (tx->status) return DX_TX_ROLLBACK;
    if (o->ran) return DX_TX_COMMIT;
    o->ran = true;
    tx->statement = o->statement;
    tx->params = o->params;
    tx->param_count = o->count;
    return DX_TX_RUN;
}

static dx_status once_row(dx_tx *tx, const dx_row *row) {
    dx_value id = dx_row_value(row, 0);
    DX_CONTAINER_OF(tx, once, tx)->id = id.type == DX_VALUE_INTEGER ? id.integer : 0;
    return DX_OK;
}

static void once_done(dx_tx *tx, dx_status status) {
    DX_CONTAINER_OF(tx, once, tx)->status = status;
}

static int64_t run_once(fixture *f, const dx_query *query, const dx_value *params, size_t count) {
    once o = {.tx = {.mode = DX_TX_WRITE, .next = once_next, .row = once_row, .done = once_done}, .params = params, .count = count};
    assert_int_equal(dx_statement_make(&o.statement, f->store, f->calls, query), DX_OK);
    dx_store_run(f->store, &o.tx);
    if (o.status) fail_msg("a write of the fixture: %s", dx_status_name(o.status));
    return o.id;
}

int64_t fixture_insert(fixture *f, const char *name, const char *json) {
    const dx_resource *resource = fixture_resource(f, name);
    yyjson_doc *doc;
    dx_arena_reset(f->calls);
    assert_int_equal(dx_json_read(&doc, f->calls, dx_slice_str(json), NULL, NULL), DX_OK);
    yyjson_val *root = yyjson_doc_get_root(doc), *id = yyjson_obj_get(root, "id");
    dx_value params[64];
    uint16_t columns[64], count = 0, returning = 0;
    for (uint16_t i = id ? 0 : 1; i < resource->table.column_count; i++) {
        const dx_column *column = &resource->table.columns[i];
        yyjson_val *value = yyjson_obj_getn(root, column->name.data, column->name.size);
        const char *reason;
        columns[count] = i;
        if (value)
            assert_int_equal(dx_resource_bind(&params[count], f->calls, column->type, value, &reason), DX_OK);
        else
            params[count] = column->required ? DX_INT_VALUE(1) : DX_NULL_VALUE;
        count++;
    }
    dx_query query = DX_QUERY_INIT(DX_QUERY_INSERT, &resource->table);
    query.columns = columns;
    query.column_count = count;
    query.returning = &returning;
    query.returning_count = 1;
    return run_once(f, &query, params, count);
}

void fixture_remove(fixture *f, const char *name, int64_t id) {
    dx_arena_reset(f->calls);
    dx_expr by_id = {.kind = DX_EXPR_COMPARE, .compare = DX_EQUAL, .param_count = 1};
    dx_query query = DX_QUERY_INIT(DX_QUERY_DELETE, &fixture_resource(f, name)->table);
    query.where = &by_id;
    run_once(f, &query, &DX_INT_VALUE(id), 1);
}

// --- calls -------------------------------------------------------------------------------------------------------------------

static void call_done(dx_resource_call *call) {
    assert_null(call->owner);
    call->owner = call; // once only
}

static dx_resource_call *call_begin(fixture *f, const char *name, const char *query) {
    // What the test passes in may stand in the arena that is emptied here.
    char *kept = query ? strdup(query) : NULL;
    dx_arena_reset(f->calls);
    dx_resource_call *call = DX_ARENA_NEW(f->calls, dx_resource_call);
    f->principal.roles = &f->role;
    f->principal.role_count = f->role.size ? 1 : 0;
    call->set = f->set;
    call->resource = fixture_resource(f, name);
    call->arena = f->calls;
    call->principal = f->anonymous ? NULL : &f->principal;
    call->query = kept ? dx_arena_copy(f->calls, dx_slice_str(kept)) : (dx_slice){0};
    call->done = call_done;
    free(kept);
    return call;
}

dx_resource_call *fixture_list(fixture *f, const char *resource, const char *query) {
    dx_resource_call *call = call_begin(f, resource, query);
    dx_resource_list(call);
    assert_ptr_equal(call->owner, call);
    return call;
}

dx_resource_call *fixture_read(fixture *f, const char *resource, const char *id, const char *query) {
    dx_resource_call *call = call_begin(f, resource, query);
    call->id = dx_slice_str(id);
    dx_resource_read(call);
    assert_ptr_equal(call->owner, call);
    return call;
}

yyjson_val *fixture_json(fixture *f, const dx_resource_call *call) {
    yyjson_doc *doc;
    if (call->status)
        fail_msg("%s: %.*s %s", dx_status_name(call->status), DX_SLICE_ARG(call->detail), fixture_findings(f, &call->findings));
    assert_int_equal(call->http, 200);
    assert_int_equal(dx_json_read(&doc, f->calls, call->out, NULL, NULL), DX_OK);
    return yyjson_doc_get_root(doc);
}

const char *fixture_column(fixture *f, const dx_resource_call *call, const char *field) {
    yyjson_val *results = yyjson_obj_get(fixture_json(f, call), "results"), *row;
    assert_non_null(results);
    dx_buffer text;
    dx_buffer_init(&text, f->calls, 1 << 20);
    size_t i, max;
    yyjson_arr_foreach(results, i, max, row) {
        if (i) dx_buffer_byte(&text, ' ');
        yyjson_val *value = yyjson_obj_get(row, field);
        if (value)
            dx_json_write_value(&text, value);
        else
            DX_BUFFER_LIT(&text, "absent");
    }
    dx_buffer_byte(&text, 0);
    return text.data;
}

const char *fixture_link(fixture *f, const dx_resource_call *call, const char *name) {
    yyjson_val *link = yyjson_obj_get(fixture_json(f, call), name);
    assert_non_null(link);
    if (yyjson_is_null(link)) return NULL;
    const char *query = strchr(yyjson_get_str(link), '?');
    assert_non_null(query);
    return query + 1;
}
