// Numbers for rows: upwards, and none twice, also after the newest row is deleted and the process restarted, and with other processes that
// write the same file by this code.
//
// SQLite's AUTOINCREMENT does that by rewriting a row of a list of all tables with every insert. Here the highest number is kept in the
// writing connection's memory and bound like any value. It is read (the table's highest id, or its *floor* in dx_store_ids, whichever is
// greater) when first needed, and again when another connection has committed in between (PRAGMA data_version). A number can only be
// given again if the highest row goes; so the floor is written, in the same transaction, when a DELETE has taken the highest rows away.
#include "store/sqlite/internal.h"

#include "base/memory.h"

dx_status dx_ids_begin(dx_sqlite_conn *conn) {
    sqlite3_stmt *stmt = dx_sqlite_own_stmt(conn, DX_OWN_DATA_VERSION);
    if (!stmt) return dx_sqlite_status(conn, sqlite3_extended_errcode(conn->db), NULL);
    int code = sqlite3_step(stmt);
    int64_t version = code == SQLITE_ROW ? sqlite3_column_int64(stmt, 0) : 0;
    (void)sqlite3_reset(stmt);
    if (code != SQLITE_ROW) return dx_sqlite_status(conn, code, NULL);
    if (version != conn->data_version) {
        conn->epoch++;
        conn->data_version = version;
    }
    conn->cut = 0;
    return DX_OK;
}

void dx_ids_forget(dx_sqlite_conn *conn) {
    conn->epoch++;
    conn->cut = 0;
}

static dx_sqlite_numbering *entry_of(dx_sqlite_conn *conn, const dx_sqlite_table *table) {
    if (DX_LIKELY(table->index < conn->numbering_size)) return &conn->numbering[table->index];
    uint32_t size = table->index + 16;
    dx_sqlite_numbering *larger = dx_memory_realloc(conn->numbering, size * sizeof *larger);
    if (!larger) return NULL;
    memset(larger + conn->numbering_size, 0, (size - conn->numbering_size) * sizeof *larger);
    conn->numbering = larger;
    conn->numbering_size = size;
    return &larger[table->index];
}

// The one integer of a one-row statement; 0 when there is no row or it is NULL.
static dx_status read_number(int64_t *out, dx_sqlite_conn *conn, sqlite3_stmt *stmt) {
    conn->ends = INT64_MAX;
    int code = sqlite3_step(stmt);
    *out = code == SQLITE_ROW ? sqlite3_column_int64(stmt, 0) : 0;
    (void)sqlite3_reset(stmt);
    return code == SQLITE_ROW || code == SQLITE_DONE ? DX_OK : dx_sqlite_status(conn, code, NULL);
}

static dx_status read_top(int64_t *out, dx_sqlite_conn *conn, const dx_sqlite_table *table) {
    dx_statement top = {.kept = DX_SQLITE_PASSING, .sql = table->top_sql, .hash = (uint64_t)table->index * 2};
    dx_status status = DX_OK;
    sqlite3_stmt *stmt = dx_sqlite_prepare(conn, &top, &status);
    return stmt ? read_number(out, conn, stmt) : status;
}

static dx_status read_floor(int64_t *out, dx_sqlite_conn *conn, const dx_sqlite_table *table) {
    sqlite3_stmt *stmt = dx_sqlite_own_stmt(conn, DX_OWN_FLOOR_READ);
    if (!stmt) return dx_sqlite_status(conn, sqlite3_extended_errcode(conn->db), NULL);
    (void)sqlite3_bind_text(stmt, 1, table->name.data, (int)table->name.size, SQLITE_STATIC);
    return read_number(out, conn, stmt);
}

// The table's numbers, read from the file when they are not known.
static dx_status load(dx_sqlite_numbering **out, dx_sqlite_conn *conn, const dx_sqlite_table *table) {
    dx_sqlite_numbering *entry = entry_of(conn, table);
    *out = entry;
    if (DX_UNLIKELY(!entry)) return DX_NO_MEMORY;
    if (DX_LIKELY(entry->epoch == conn->epoch)) return DX_OK;
    int64_t top = 0, floor = 0;
    dx_status status = read_top(&top, conn, table);
    if (!status) status = read_floor(&floor, conn, table);
    if (status) return status;
    *entry = (dx_sqlite_numbering){.epoch = conn->epoch, .high = top > floor ? top : floor, .floor = floor};
    if (entry->high < 0) entry->high = 0;
    return DX_OK;
}

dx_status dx_ids_give(int64_t *out, dx_sqlite_conn *conn, const dx_sqlite_table *table) {
    dx_sqlite_numbering *entry;
    dx_status status = load(&entry, conn, table);
    if (status) return status;
    if (entry->high == INT64_MAX) return DX_STORE_FULL;
    *out = ++entry->high;
    return DX_OK;
}

void dx_ids_taken(dx_sqlite_conn *conn, const dx_sqlite_table *table, int64_t id) {
    dx_sqlite_numbering *entry = entry_of(conn, table);
    if (entry && entry->epoch == conn->epoch && id > entry->high) entry->high = id;
}

dx_status dx_ids_before_delete(dx_sqlite_conn *conn, const dx_sqlite_table *table) {
    dx_sqlite_numbering *entry;
    return table->numbered ? load(&entry, conn, table) : DX_OK;
}

void dx_ids_after_delete(dx_sqlite_conn *conn, const dx_sqlite_table *table) {
    if (!table->numbered || table->index >= conn->numbering_size) return;
    dx_sqlite_numbering *entry = &conn->numbering[table->index];
    if (entry->deleted) return;
    entry->deleted = true;
    entry->table = table;
    entry->next_cut = conn->cut;
    conn->cut = table->index + 1;
}

static dx_status write_floor(dx_sqlite_conn *conn, dx_sqlite_numbering *entry, const dx_sqlite_table *table) {
    sqlite3_stmt *stmt = dx_sqlite_own_stmt(conn, DX_OWN_FLOOR_WRITE);
    if (!stmt) return dx_sqlite_status(conn, sqlite3_extended_errcode(conn->db), NULL);
    (void)sqlite3_bind_text(stmt, 1, table->name.data, (int)table->name.size, SQLITE_STATIC);
    (void)sqlite3_bind_int64(stmt, 2, entry->high);
    int64_t ignored;
    dx_status status = read_number(&ignored, conn, stmt);
    if (!status) entry->floor = entry->high;
    return status;
}

dx_status dx_ids_commit(dx_sqlite_conn *conn) {
    dx_status status = DX_OK;
    for (uint32_t at = conn->cut; at && !status;) {
        dx_sqlite_numbering *entry = &conn->numbering[at - 1];
        const dx_sqlite_table *table = entry->table;
        at = entry->next_cut;
        entry->deleted = false;
        int64_t top = 0;
        status = read_top(&top, conn, table);
        if (!status && top < entry->high && entry->floor < entry->high) status = write_floor(conn, entry, table);
    }
    conn->cut = 0;
    return status;
}
