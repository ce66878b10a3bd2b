// See fixture.h.
#include "store/fixture.h"

#include <sqlite3.h>
#include <stdlib.h>
#include <unistd.h>

void test_file_make(test_file *file) {
    const char *where = getenv("TMPDIR");
    (void)snprintf(file->directory, sizeof file->directory, "%s/dx-store-XXXXXX", where && strlen(where) < 40 ? where : "/tmp");
    assert_non_null(mkdtemp(file->directory));
    (void)snprintf(file->path, sizeof file->path, "%s/test.db", file->directory);
    (void)snprintf(file->url, sizeof file->url, "sqlite:%s", file->path);
}

void test_file_remove(test_file *file) {
    char path[128];
    const char *const endings[] = {"", "-wal", "-shm", "-journal"};
    for (size_t i = 0; i < COUNT(endings); i++) {
        (void)snprintf(path, sizeof path, "%s%s", file->path, endings[i]);
        (void)unlink(path);
    }
    (void)rmdir(file->directory);
}

const char *test_file_sql(const test_file *file, const char *sql) {
    static char text[8192];
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open(file->path, &db), SQLITE_OK);
    sqlite3_stmt *stmt = NULL;
    bool found = false;
    if (sqlite3_prepare_v2(db, sql, -1, &stmt, NULL) != SQLITE_OK) fail_msg("%s: %s", sql, sqlite3_errmsg(db));
    int code = sqlite3_step(stmt);
    if (code == SQLITE_ROW) {
        const char *value = (const char *)sqlite3_column_text(stmt, 0);
        found = value != NULL;
        (void)snprintf(text, sizeof text, "%s", value ? value : "");
    } else if (code != SQLITE_DONE) {
        (void)snprintf(text, sizeof text, "error: %s", sqlite3_errmsg(db));
        found = true;
    }
    (void)sqlite3_finalize(stmt);
    (void)sqlite3_close(db);
    return found ? text : NULL;
}

dx_store *test_open_with(const char *url, const dx_store_options *options) {
    dx_store *store = NULL;
    dx_arena *arena = dx_arena_create(1 << 20);
    dx_diags diags;
    dx_diags_init(&diags, arena);
    dx_status status = dx_store_open(&store, dx_slice_str(url), options, &diags);
    if (status) fail_msg("%s: %s", url, diags.first ? dx_diag_text(diags.first, arena).data : dx_status_name(status));
    dx_arena_destroy(arena);
    return store;
}

dx_store *test_open(const char *url) {
    return test_open_with(url, NULL);
}

static const char *migrate(dx_store *store, const dx_table *table, dx_migration_report *report, dx_status *status) {
    static char text[8192];
    dx_arena *arena = dx_arena_create(1 << 20);
    dx_diags diags;
    dx_diags_init(&diags, arena);
    *status = dx_store_migrate(store, &table, 1, report, &diags);
    size_t size = 0;
    text[0] = '\0';
    for (dx_diag *diag = diags.first; diag; diag = diag->next) {
        dx_slice line = dx_diag_text(diag, arena);
        size += (size_t)snprintf(text + size, sizeof text - size, "%.*s\n", DX_SLICE_ARG(line));
    }
    dx_arena_destroy(arena);
    return text;
}

dx_migration_report test_migrate(dx_store *store, const dx_table *table) {
    dx_migration_report report;
    dx_status status;
    const char *text = migrate(store, table, &report, &status);
    if (status) fail_msg("migration refused: %s %s", dx_status_name(status), text);
    return report;
}

const char *test_migrate_refused(dx_store *store, const dx_table *table) {
    dx_migration_report report;
    dx_status status;
    const char *text = migrate(store, table, &report, &status);
    assert_int_not_equal(status, DX_OK);
    assert_int_equal(report.changed, 0);
    return text;
}

static const dx_column item_columns[] = {
    {.name = DX_SLICE_INIT("id"), .type = DX_COLUMN_INTEGER},
    {.name = DX_SLICE_INIT("name"), .type = DX_COLUMN_TEXT, .required = true, .unique = true},
    {.name = DX_SLICE_INIT("price"), .type = DX_COLUMN_NUMBER},
    {.name = DX_SLICE_INIT("count"), .type = DX_COLUMN_INTEGER, .indexed = true},
    {.name = DX_SLICE_INIT("flag"), .type = DX_COLUMN_BOOLEAN},
    {.name = DX_SLICE_INIT("data"), .type = DX_COLUMN_BLOB},
};
const dx_table test_items = {.name = DX_SLICE_INIT("items"), .columns = item_columns, .column_count = 6};
const uint16_t test_item_all[6] = {0, 1, 2, 3, 4, 5};

// --- transactions ------------------------------------------------------------------------------------------------------------

static dx_tx_step next(dx_tx *base) {
    test_tx *tx = DX_CONTAINER_OF(base, test_tx, tx);
    if (tx->at) {
        tx->changes = base->changes;
        (void)snprintf(tx->conflict, sizeof tx->conflict, "%.*s", DX_SLICE_ARG(base->conflict));
    }
    if (base->status) return DX_TX_ROLLBACK;
    if (tx->rollback_at >= 0 && tx->at == (size_t)tx->rollback_at) {
        base->status = tx->rollback_status;
        return DX_TX_ROLLBACK;
    }
    if (tx->at == tx->count) return DX_TX_COMMIT;
    test_step *step = &tx->steps[tx->at++];
    base->statement = step->statement;
    base->params = step->params;
    base->param_count = step->param_count;
    return DX_TX_RUN;
}

static void add_text(test_tx *tx, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void add_text(test_tx *tx, const char *format, ...) {
    va_list args;
    va_start(args, format);
    int size = vsnprintf(tx->text + tx->text_size, sizeof tx->text - tx->text_size, format, args);
    va_end(args);
    tx->text_size += (size_t)size;
    if (tx->text_size >= sizeof tx->text) tx->text_size = sizeof tx->text - 1;
}

static void add_value(test_tx *tx, const dx_value *value) {
    switch (value->type) {
    case DX_VALUE_NULL:
        return add_text(tx, "null");
    case DX_VALUE_BOOLEAN:
        return add_text(tx, "%s", value->integer ? "true" : "false");
    case DX_VALUE_INTEGER:
        return add_text(tx, "%lld", (long long)value->integer);
    case DX_VALUE_REAL:
        return add_text(tx, "%.17gr", value->real);
    case DX_VALUE_TEXT:
        return add_text(tx, "%.*s", DX_SLICE_ARG(value->text));
    case DX_VALUE_BLOB:
        return add_text(tx, "<%zu>", value->text.size);
    }
}

static dx_status row(dx_tx *base, const dx_row *row) {
    test_tx *tx = DX_CONTAINER_OF(base, test_tx, tx);
    for (size_t i = 0; i < dx_row_columns(row); i++) {
        dx_value value = dx_row_value(row, i);
        if (i == 0 && tx->rows < TEST_ROWS_CAP && value.type == DX_VALUE_INTEGER) tx->integers[tx->rows] = value.integer;
        if (i) add_text(tx, ",");
        add_value(tx, &value);
    }
    add_text(tx, ";");
    tx->rows++;
    return tx->row_status;
}

static void done(dx_tx *base, dx_status status) {
    test_tx *tx = DX_CONTAINER_OF(base, test_tx, tx);
    assert_false(tx->done);
    tx->done = true;
    tx->status = status;
    if (tx->then) tx->then(tx);
}

void test_tx_init(test_tx *tx, dx_tx_mode mode) {
    memset(tx, 0, sizeof *tx);
    tx->tx = (dx_tx){.mode = mode, .next = next, .row = row, .done = done};
    tx->rollback_at = -1;
}

test_step *test_tx_add(test_tx *tx, const dx_statement *statement, size_t param_count, ...) {
    assert_true(tx->count < TEST_STEPS_CAP && param_count <= COUNT(tx->steps[0].params));
    test_step *step = &tx->steps[tx->count++];
    step->statement = statement;
    step->param_count = param_count;
    va_list args;
    va_start(args, param_count);
    for (size_t i = 0; i < param_count; i++) step->params[i] = va_arg(args, dx_value);
    va_end(args);
    return step;
}

dx_status test_run(dx_store *store, test_tx *tx) {
    dx_store_run(store, &tx->tx);
    assert_true(tx->done);
    return tx->status;
}

const dx_statement *test_keep(dx_store *store, const dx_query *query) {
    const dx_statement *statement = NULL;
    dx_keep *keep = dx_keep_create(store); // goes with the store
    assert_non_null(keep);
    assert_int_equal(dx_statement_keep(&statement, keep, query), DX_OK);
    return statement;
}

const dx_statement *test_insert(dx_store *store) {
    static const uint16_t columns[] = {ITEM_NAME, ITEM_COUNT}, id[] = {ITEM_ID};
    dx_query query = DX_QUERY_INIT(DX_QUERY_INSERT, &test_items);
    query.columns = columns;
    query.column_count = 2;
    query.returning = id;
    query.returning_count = 1;
    return test_keep(store, &query);
}

int64_t test_add(dx_store *store, const dx_statement *insert, const char *name, int64_t count) {
    test_tx tx;
    test_tx_init(&tx, DX_TX_WRITE);
    (void)test_tx_add(&tx, insert, 2, DX_TEXT_VALUE(dx_slice_str(name)), DX_INT_VALUE(count));
    assert_int_equal(test_run(store, &tx), DX_OK);
    assert_int_equal(tx.rows, 1);
    return tx.integers[0];
}

int64_t test_count(dx_store *store, const dx_table *table) {
    dx_query query = DX_QUERY_INIT(DX_QUERY_COUNT, table);
    dx_arena *arena = dx_arena_create(1 << 16);
    const dx_statement *statement;
    assert_int_equal(dx_statement_make(&statement, store, arena, &query), DX_OK);
    test_tx tx;
    test_tx_init(&tx, DX_TX_READ);
    (void)test_tx_add(&tx, statement, 0);
    assert_int_equal(test_run(store, &tx), DX_OK);
    dx_arena_destroy(arena);
    return tx.integers[0];
}

const dx_statement *test_select(dx_store *store) {
    static const dx_expr by_id = {.kind = DX_EXPR_COMPARE, .column = ITEM_ID, .compare = DX_EQUAL};
    dx_query query = DX_QUERY_INIT(DX_QUERY_SELECT, &test_items);
    query.columns = test_item_all;
    query.column_count = 6;
    query.where = &by_id;
    return test_keep(store, &query);
}
