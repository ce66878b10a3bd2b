// One statement of a transaction: bind, step, show the rows, reset. This is the hot path of every read by key and every insert: nothing is
// allocated or copied, text is bound where it lies, and a row is shown where SQLite keeps it.
#include "store/sqlite/internal.h"

#include <limits.h>

#include "base/log.h"

typedef struct sqlite_row {
    dx_row base;
    const dx_statement *statement;
    sqlite3_stmt *stmt; // NULL: the row of an INSERT, made of what was bound
    const dx_value *params;
    int64_t given;
} sqlite_row;

// --- rows --------------------------------------------------------------------------------------------------------------------

size_t dx_sqlite_row_columns(const dx_row *row) {
    return ((const sqlite_row *)(const void *)row)->statement->shown_count;
}

static dx_value bound_value(const sqlite_row *row, size_t column) {
    const dx_statement *statement = row->statement;
    uint16_t from = statement->shown_params[column];
    if (from == DX_SQLITE_NO_ID) return DX_NULL_VALUE;
    bool given = from == statement->set_count || (from == statement->id_param && row->params[from].type == DX_VALUE_NULL);
    if (given) return DX_INT_VALUE(row->given);
    dx_value value = row->params[from];
    if (value.type == DX_VALUE_INTEGER && statement->shown_types[column] == DX_COLUMN_BOOLEAN) value.type = DX_VALUE_BOOLEAN;
    return value;
}

static dx_value stored_value(const sqlite_row *row, int column) {
    sqlite3_stmt *stmt = row->stmt;
    switch (sqlite3_column_type(stmt, column)) {
    case SQLITE_INTEGER: {
        bool truth = row->statement->shown_types[column] == DX_COLUMN_BOOLEAN;
        return (dx_value){.type = truth ? DX_VALUE_BOOLEAN : DX_VALUE_INTEGER, .integer = sqlite3_column_int64(stmt, column)};
    }
    case SQLITE_FLOAT:
        return DX_REAL_VALUE(sqlite3_column_double(stmt, column));
    case SQLITE_TEXT: {
        const char *text = (const char *)sqlite3_column_text(stmt, column);
        return DX_TEXT_VALUE(dx_slice_of(text, (size_t)sqlite3_column_bytes(stmt, column)));
    }
    case SQLITE_BLOB: {
        const char *bytes = sqlite3_column_blob(stmt, column);
        return DX_BLOB_VALUE(dx_slice_of(bytes, (size_t)sqlite3_column_bytes(stmt, column)));
    }
    default:
        return DX_NULL_VALUE;
    }
}

dx_value dx_sqlite_row_value(const dx_row *base, size_t column) {
    const sqlite_row *row = (const sqlite_row *)(const void *)base;
    return row->stmt ? stored_value(row, (int)column) : bound_value(row, column);
}

static dx_status show(dx_tx *tx, sqlite3_stmt *stmt, int64_t given) {
    if (!tx->row) return DX_OK;
    sqlite_row row = {{&dx_sqlite_backend}, tx->statement, stmt, tx->params, given};
    return tx->row(tx, &row.base);
}

// --- binding -----------------------------------------------------------------------------------------------------------------

static int bind_one(sqlite3_stmt *stmt, int at, const dx_value *value) {
    switch (value->type) {
    case DX_VALUE_NULL:
        return sqlite3_bind_null(stmt, at);
    case DX_VALUE_BOOLEAN:
    case DX_VALUE_INTEGER:
        return sqlite3_bind_int64(stmt, at, value->integer);
    case DX_VALUE_REAL:
        return sqlite3_bind_double(stmt, at, value->real);
    case DX_VALUE_TEXT:
    case DX_VALUE_BLOB:
        break;
    }
    if (value->text.size > INT_MAX) return SQLITE_TOOBIG;
    const char *data = value->text.size ? value->text.data : ""; // a NULL pointer would bind NULL
    if (value->type == DX_VALUE_TEXT) return sqlite3_bind_text(stmt, at, data, (int)value->text.size, SQLITE_STATIC);
    return sqlite3_bind_blob(stmt, at, data, (int)value->text.size, SQLITE_STATIC);
}

static dx_status bind_all(dx_sqlite_conn *conn, sqlite3_stmt *stmt, const dx_tx *tx) {
    const dx_statement *statement = tx->statement;
    if (DX_UNLIKELY(tx->param_count < statement->param_count)) {
        dx_log(DX_LOG_ERROR, "store.params", "%zu parameters for a statement of %u", tx->param_count, statement->param_count);
        return DX_INTERNAL;
    }
    for (uint16_t i = 0; i < statement->set_count; i++) {
        if (DX_UNLIKELY(!dx_value_fits(statement->set_types[i], &tx->params[i]))) return DX_INVALID;
    }
    for (uint16_t i = 0; i < statement->param_count; i++) {
        int code = bind_one(stmt, i + 1, &tx->params[i]);
        if (DX_UNLIKELY(code != SQLITE_OK)) return dx_sqlite_status(conn, code, statement);
    }
    return DX_OK;
}

// --- running -----------------------------------------------------------------------------------------------------------------

static dx_status step_all(dx_sqlite_conn *conn, sqlite3_stmt *stmt, dx_tx *tx) {
    dx_status status = DX_OK;
    int code = SQLITE_DONE;
    while (!status && (code = sqlite3_step(stmt)) == SQLITE_ROW) status = show(tx, stmt, 0);
    if (DX_UNLIKELY(!status && code != SQLITE_DONE)) status = dx_sqlite_status(conn, code, tx->statement);
    return status;
}

// The id that this row gets: given by the store, or the caller's own. Sets conn->given of a numbered table.
static dx_status number_row(dx_sqlite_conn *conn, sqlite3_stmt *stmt, const dx_tx *tx) {
    const dx_statement *statement = tx->statement;
    if (!statement->table->numbered) return DX_OK;
    bool chosen = statement->id_param != DX_SQLITE_NO_ID;
    if (chosen && tx->params[statement->id_param].type != DX_VALUE_NULL) {
        conn->given = tx->params[statement->id_param].integer;
        return DX_OK;
    }
    dx_status status = dx_ids_give(&conn->given, conn, statement->table);
    if (status) return status;
    int at = (chosen ? statement->id_param : statement->set_count) + 1;
    int code = sqlite3_bind_int64(stmt, at, conn->given);
    return code == SQLITE_OK ? DX_OK : dx_sqlite_status(conn, code, statement);
}

static dx_status run_insert(dx_sqlite_conn *conn, sqlite3_stmt *stmt, dx_tx *tx) {
    const dx_statement *statement = tx->statement;
    dx_status status = number_row(conn, stmt, tx);
    if (status) return status;
    int code = sqlite3_step(stmt);
    if (DX_UNLIKELY(code != SQLITE_DONE)) return dx_sqlite_status(conn, code, statement);
    tx->changes = statement->skips ? sqlite3_changes64(conn->db) : 1;
    if (!tx->changes) return DX_OK;
    conn->inserted = true;
    conn->noted |= atomic_load_explicit(&statement->table->watched, memory_order_relaxed);
    if (statement->table->numbered && statement->id_param != DX_SQLITE_NO_ID) dx_ids_taken(conn, statement->table, conn->given);
    return statement->shown_count ? show(tx, NULL, conn->given) : DX_OK;
}

static dx_status run_update(dx_sqlite_conn *conn, sqlite3_stmt *stmt, dx_tx *tx) {
    dx_status status = step_all(conn, stmt, tx);
    tx->changes = sqlite3_changes64(conn->db);
    return status;
}

static dx_status run_delete(dx_sqlite_conn *conn, sqlite3_stmt *stmt, dx_tx *tx) {
    dx_status status = dx_ids_before_delete(conn, tx->statement->table);
    if (status) return status;
    conn->ends = 0;
    status = step_all(conn, stmt, tx);
    tx->changes = sqlite3_changes64(conn->db);
    if (tx->changes) dx_ids_after_delete(conn, tx->statement->table);
    return status;
}

static dx_status run_bound(dx_sqlite_conn *conn, sqlite3_stmt *stmt, dx_tx *tx) {
    switch (tx->statement->kind) {
    case DX_QUERY_SELECT:
    case DX_QUERY_COUNT:
        return step_all(conn, stmt, tx);
    case DX_QUERY_INSERT:
        return run_insert(conn, stmt, tx);
    case DX_QUERY_UPDATE:
        return run_update(conn, stmt, tx);
    case DX_QUERY_DELETE:
        return run_delete(conn, stmt, tx);
    }
    return DX_INTERNAL;
}

dx_status dx_sqlite_run(dx_sqlite_conn *conn, dx_tx *tx) {
    tx->changes = 0;
    tx->conflict = (dx_slice){0};
    conn->inserted = false;
    conn->conflict[0] = '\0';
    if (DX_UNLIKELY(!tx->statement)) return DX_INTERNAL;
    dx_status status = DX_OK;
    sqlite3_stmt *stmt = dx_sqlite_prepare(conn, tx->statement, &status);
    if (DX_UNLIKELY(!stmt)) return status;
    conn->ends = 0;
    conn->out_of_time = false;
    status = bind_all(conn, stmt, tx);
    if (DX_LIKELY(!status)) status = run_bound(conn, stmt, tx);
    (void)sqlite3_reset(stmt);
    if (DX_UNLIKELY(status)) {
        tx->changes = 0;
        if (status == DX_ALREADY_EXISTS || status == DX_INVALID) tx->conflict = dx_slice_str(conn->conflict);
    }
    return status;
}

dx_status dx_sqlite_reason(const dx_tx *tx) {
    return tx->status ? tx->status : DX_CANCELLED;
}

dx_status dx_sqlite_drive_reads(dx_sqlite_conn *conn, dx_tx *tx) {
    tx->status = DX_OK;
    for (;;) {
        dx_tx_step step = tx->next(tx);
        if (step == DX_TX_ROLLBACK || tx->status) return dx_sqlite_reason(tx);
        if (step == DX_TX_COMMIT) return DX_OK;
        bool reads = tx->statement && (tx->statement->kind == DX_QUERY_SELECT || tx->statement->kind == DX_QUERY_COUNT);
        if (DX_UNLIKELY(!reads)) dx_log(DX_LOG_ERROR, "store.read", "a transaction that reads tried to write");
        tx->status = reads ? dx_sqlite_run(conn, tx) : DX_INTERNAL;
    }
}
