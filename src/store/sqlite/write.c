// Transactions that write, several in one of SQLite's: how one of them fails without its neighbours noticing.
//
// A savepoint for each would be right, and costs as much as an insert. Most transactions do not need one:
// - A statement that fails undoes itself (SQLite's ABORT), so nothing is to be done when it was the first that writes.
// - While no transaction of the group has written before it, undoing one is undoing all: ROLLBACK, and a new start.
// - One INSERT of one row is undone by deleting that row: nothing else can have changed. So the usual INSERT-and-commit runs bare, and so
//   does a second INSERT behind it (of a row and its line in a log); a transaction that goes on to write more opens a savepoint then, for
//   what follows.
// - Everything else opens a savepoint before its first write.
//
// Some failures (disk full, I/O error, no memory, an interrupted write) make SQLite undo the whole group. Then nothing of it happened and
// all its members are told why. A statement that may run into its time budget, one that writes an unbounded number of rows, would
// take neighbours with it: before it the group is committed, so that it starts one of its own.
#include "store/sqlite/internal.h"

#include "base/log.h"

#define UNDO_KEY_CAP 256 // a text id that is longer gets a savepoint

typedef struct undo_state {
    bool wrote;                               // this transaction
    bool all;                                 // ROLLBACK undoes it: it is the first that wrote
    bool savepoint;                           // undoes what came after it was opened
    const dx_sqlite_table *inserted, *second; // rows that were inserted without a savepoint, in this order; the second is numbered
    int64_t number, second_number;
    size_t key_size;
    char key[UNDO_KEY_CAP];
} undo_state;

static void abandon(dx_sqlite_group *group) {
    if (dx_sqlite_in_tx(group->conn)) (void)dx_sqlite_exec(group->conn, DX_OWN_ROLLBACK);
    dx_ids_forget(group->conn);
    group->conn->noted = false;
    group->open = false;
    group->dirty = false;
}

dx_status dx_group_open(dx_sqlite_group *group) {
    dx_sqlite_conn *conn = group->conn;
    int code = dx_sqlite_exec(conn, DX_OWN_BEGIN_WRITE);
    // Each try waits a little by itself (the connection's busy timeout).
    while ((code & 0xff) == SQLITE_BUSY && dx_clock_monotonic() < group->give_up) code = dx_sqlite_exec(conn, DX_OWN_BEGIN_WRITE);
    if ((code & 0xff) == SQLITE_BUSY) {
        dx_log(DX_LOG_WARN, "store.busy", "another process kept the store locked for too long");
        return DX_STORE_TIMEOUT;
    }
    if (code != SQLITE_OK) return dx_sqlite_status(conn, code, NULL);
    group->open = true;
    group->dirty = false;
    group->lost = DX_OK;
    dx_status status = dx_ids_begin(conn);
    if (status) abandon(group);
    return status;
}

dx_status dx_group_commit(dx_sqlite_group *group) {
    if (!group->open) return DX_OK;
    dx_sqlite_conn *conn = group->conn;
    dx_status status = dx_ids_commit(conn);
    if (!status) {
        int code = dx_sqlite_exec(conn, DX_OWN_COMMIT);
        if (code != SQLITE_OK) status = dx_sqlite_status(conn, code, NULL);
    }
    if (status) {
        abandon(group);
        return status;
    }
    group->open = false;
    if (group->dirty) (void)atomic_fetch_add_explicit(&conn->store->commits, 1, memory_order_release);
    group->dirty = false;
    if (DX_UNLIKELY(conn->noted)) dx_sessions_note(conn->store);
    conn->noted = false;
    return DX_OK;
}

// --- undoing one -------------------------------------------------------------------------------------------------------------

static bool undo_savepoint(dx_sqlite_conn *conn) {
    return dx_sqlite_exec(conn, DX_OWN_ROLLBACK_TO) == SQLITE_OK && dx_sqlite_exec(conn, DX_OWN_RELEASE) == SQLITE_OK;
}

static bool undo_insert(dx_sqlite_conn *conn, const undo_state *undo, const dx_sqlite_table *table, int64_t number) {
    dx_statement remove = {.kept = DX_SQLITE_PASSING, .sql = table->remove_sql, .hash = table->index * UINT64_C(2) + 1};
    dx_status status = DX_OK;
    sqlite3_stmt *stmt = dx_sqlite_prepare(conn, &remove, &status);
    if (!stmt) return false;
    if (table->numbered) {
        (void)sqlite3_bind_int64(stmt, 1, number);
    } else {
        (void)sqlite3_bind_text(stmt, 1, undo->key, (int)undo->key_size, SQLITE_STATIC);
    }
    conn->ends = INT64_MAX;
    int code = sqlite3_step(stmt);
    (void)sqlite3_reset(stmt);
    return code == SQLITE_DONE;
}

// Takes back what one transaction wrote. When that cannot be done, the group is lost: nothing may stay half done.
static void take_back(dx_sqlite_group *group, const undo_state *undo) {
    if (!group->open || !undo->wrote) return;
    if (undo->all) return abandon(group);
    bool done = !undo->savepoint || undo_savepoint(group->conn);
    if (done && undo->second) done = undo_insert(group->conn, undo, undo->second, undo->second_number);
    if (done && undo->inserted) done = undo_insert(group->conn, undo, undo->inserted, undo->number);
    if (done) return;
    dx_log(DX_LOG_ERROR, "store.undo", "a transaction could not be undone by itself: %s", sqlite3_errmsg(group->conn->db));
    abandon(group);
    group->lost = DX_STORE_UNAVAILABLE;
}

// --- running one -------------------------------------------------------------------------------------------------------------

static bool is_write(const dx_statement *statement) {
    return statement->kind != DX_QUERY_SELECT && statement->kind != DX_QUERY_COUNT;
}

// Whether an INSERT can be undone by its key; notes the key.
static bool note_key(undo_state *undo, const dx_tx *tx) {
    const dx_statement *statement = tx->statement;
    if (statement->kind != DX_QUERY_INSERT) return false;
    if (statement->table->numbered) return true;
    if (statement->id_param == DX_SQLITE_NO_ID) return true; // it will be refused: an id is required
    dx_slice key = tx->params[statement->id_param].text;
    if (tx->params[statement->id_param].type != DX_VALUE_TEXT || key.size > UNDO_KEY_CAP) return false;
    if (key.size) memcpy(undo->key, key.data, key.size);
    undo->key_size = key.size;
    return true;
}

static dx_status open_savepoint(dx_sqlite_group *group, undo_state *undo) {
    int code = dx_sqlite_exec(group->conn, DX_OWN_SAVEPOINT);
    undo->savepoint = code == SQLITE_OK;
    return undo->savepoint ? DX_OK : dx_sqlite_status(group->conn, code, NULL);
}

// Sees to it that the statement that comes can be undone. `*bare`: by its key, if it succeeds.
static dx_status prepare_undo(dx_sqlite_group *group, undo_state *undo, const dx_tx *tx, bool *bare) {
    *bare = false;
    if (undo->all || undo->savepoint) return DX_OK;
    if (undo->wrote) {
        *bare = undo->inserted && !undo->second && tx->statement->kind == DX_QUERY_INSERT && tx->statement->table->numbered;
        return *bare ? DX_OK : open_savepoint(group, undo);
    }
    if (!group->dirty) {
        undo->all = true;
        return DX_OK;
    }
    *bare = tx->param_count >= tx->statement->param_count && note_key(undo, tx);
    return *bare ? DX_OK : open_savepoint(group, undo);
}

static dx_status run_write(dx_sqlite_group *group, undo_state *undo, dx_tx *tx) {
    bool bare;
    dx_status status = prepare_undo(group, undo, tx, &bare);
    if (status) return status;
    status = dx_sqlite_run(group->conn, tx);
    if (bare && group->conn->inserted) {
        *(undo->inserted ? &undo->second : &undo->inserted) = tx->statement->table;
        *(undo->second ? &undo->second_number : &undo->number) = group->conn->given;
    }
    undo->wrote |= !bare || group->conn->inserted;
    return status;
}

static dx_status run_one(dx_sqlite_group *group, undo_state *undo, dx_tx *tx) {
    bool writes = tx->statement && is_write(tx->statement);
    dx_status status = writes ? run_write(group, undo, tx) : dx_sqlite_run(group->conn, tx);
    if (DX_LIKELY(dx_sqlite_in_tx(group->conn))) return status;
    // SQLite has undone all of it.
    if (!status) status = DX_STORE_UNAVAILABLE;
    if (group->dirty) group->lost = status == DX_STORE_TIMEOUT ? DX_STORE_UNAVAILABLE : status;
    abandon(group);
    return status;
}

// Commits the group before a wide statement, while the transaction has done nothing yet that would be torn apart.
static dx_status make_room(dx_sqlite_group *group, const dx_tx *tx, bool started, void (*flush)(void *ctx), void *ctx) {
    if (!tx->statement || !tx->statement->wide || started || !group->dirty || !flush) return DX_OK;
    flush(ctx);
    return group->open ? DX_OK : dx_group_open(group);
}

static dx_status drive(dx_sqlite_group *group, undo_state *undo, dx_tx *tx, void (*flush)(void *ctx), void *ctx) {
    tx->status = DX_OK;
    for (bool started = false;; started = true) {
        dx_tx_step step = tx->next(tx);
        if (step == DX_TX_ROLLBACK || tx->status) return dx_sqlite_reason(tx);
        if (step == DX_TX_COMMIT) return DX_OK;
        tx->status = make_room(group, tx, started, flush, ctx);
        if (!tx->status) tx->status = run_one(group, undo, tx);
    }
}

void dx_group_run(dx_sqlite_group *group, dx_tx *tx, void (*flush)(void *ctx), void *ctx) {
    undo_state undo;
    undo.wrote = undo.all = undo.savepoint = false;
    undo.inserted = undo.second = NULL;
    tx->now = dx_clock_utc();
    tx->outcome = drive(group, &undo, tx, flush, ctx);
    if (tx->outcome) return take_back(group, &undo);
    if (undo.savepoint && dx_sqlite_exec(group->conn, DX_OWN_RELEASE) != SQLITE_OK) {
        tx->outcome = DX_STORE_UNAVAILABLE;
        return take_back(group, &undo);
    }
    group->dirty |= undo.wrote;
}
