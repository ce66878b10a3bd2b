// SQLite's result codes as statuses, and which columns a refused row collided in.
#include "store/sqlite/internal.h"

#include "base/log.h"

// "UNIQUE constraint failed: users.email, users.tenant": the names behind the dots. Table and column names hold no dot, comma or blank
// (check.c), so nothing can be mistaken.
static void read_conflict(dx_sqlite_conn *conn, const char *message) {
    size_t size = 0;
    const char *at = strstr(message, "failed: ");
    for (at = at ? at + 8 : NULL; at && *at;) {
        size_t length = strcspn(at, ",");
        const char *dot = memchr(at, '.', length);
        const char *name = dot ? dot + 1 : at;
        size_t name_size = (size_t)(at + length - name);
        if (size + name_size + 2 > sizeof conn->conflict) break;
        if (size) conn->conflict[size++] = ',';
        memcpy(conn->conflict + size, name, name_size);
        size += name_size;
        at += length;
        at += strspn(at, ", ");
    }
    conn->conflict[size] = '\0';
}

static dx_status constraint_status(dx_sqlite_conn *conn, int code, const dx_statement *statement) {
    switch (code) {
    case SQLITE_CONSTRAINT_UNIQUE:
    case SQLITE_CONSTRAINT_PRIMARYKEY:
    case SQLITE_CONSTRAINT_ROWID:
        read_conflict(conn, sqlite3_errmsg(conn->db));
        return DX_ALREADY_EXISTS;
    case SQLITE_CONSTRAINT_FOREIGNKEY:
        return statement && statement->kind == DX_QUERY_DELETE ? DX_IN_USE : DX_UNKNOWN_REFERENCE;
    case SQLITE_CONSTRAINT_NOTNULL:
        read_conflict(conn, sqlite3_errmsg(conn->db));
        return DX_INVALID;
    default: // CHECK and DATATYPE: what is bound has been checked, so this is a value that SQLite sees otherwise
        return DX_INVALID;
    }
}

static dx_status error_status(dx_sqlite_conn *conn) {
    if (strstr(sqlite3_errmsg(conn->db), "pattern too complex")) return DX_INVALID;
    return DX_INTERNAL;
}

static dx_status plain_status(dx_sqlite_conn *conn, int code) {
    switch (code & 0xff) {
    case SQLITE_NOMEM:
        return DX_NO_MEMORY;
    case SQLITE_FULL:
        return DX_STORE_FULL;
    case SQLITE_INTERRUPT:
        return DX_STORE_TIMEOUT;
    case SQLITE_TOOBIG:
        return DX_TOO_LARGE;
    case SQLITE_ERROR:
        return error_status(conn);
    case SQLITE_MISUSE:
    case SQLITE_RANGE:
    case SQLITE_MISMATCH:
    case SQLITE_INTERNAL:
    case SQLITE_SCHEMA:
        return DX_INTERNAL;
    default: // BUSY, LOCKED, IOERR, CORRUPT, NOTADB, CANTOPEN, READONLY, PROTOCOL, PERM, AUTH
        return DX_STORE_UNAVAILABLE;
    }
}

static void log_failure(dx_sqlite_conn *conn, dx_status status, int code, const dx_statement *statement) {
    dx_log_record record;
    dx_log_begin(&record, status == DX_STORE_TIMEOUT ? DX_LOG_WARN : DX_LOG_ERROR, "store.failed");
    dx_log_text(&record, "status", dx_slice_str(dx_status_code(status)));
    dx_log_int(&record, "sqlite", code);
    dx_log_text(&record, "message", dx_slice_str(sqlite3_errmsg(conn->db)));
    if (conn->store->path) dx_log_text(&record, "file", dx_slice_str(conn->store->path));
    if (statement) dx_log_text(&record, "statement", statement->sql);
    dx_log_end(&record);
}

dx_status dx_sqlite_status(dx_sqlite_conn *conn, int code, const dx_statement *statement) {
    conn->conflict[0] = '\0';
    if ((code & 0xff) == SQLITE_CONSTRAINT) return constraint_status(conn, code, statement);
    dx_status status = plain_status(conn, code);
    if (status != DX_INVALID && status != DX_TOO_LARGE) log_failure(conn, status, code, statement);
    return status;
}
