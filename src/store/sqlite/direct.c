// Transactions without a loop: the command line and starting up. They run on the caller's thread, through a connection of their own, and
// are right beside a server that has the same file open: SQLite's lock says whose turn it is to write.
#include "store/sqlite/internal.h"

dx_status dx_sqlite_direct(dx_sqlite_conn **out, dx_sqlite *store) {
    dx_status status = DX_OK;
    if (!store->direct) status = dx_sqlite_connect(&store->direct, store, DX_ROLE_DIRECT);
    *out = store->direct;
    return status;
}

void dx_sqlite_direct_rest(dx_sqlite *store) {
    if (store->shared) return;
    dx_sqlite_disconnect(store->direct);
    store->direct = NULL;
}

static dx_status write_alone(dx_sqlite *store, dx_sqlite_conn *conn, dx_tx *tx) {
    dx_sqlite_group group = {.conn = conn, .give_up = tx->deadline};
    if (!group.give_up) group.give_up = dx_clock_monotonic() + store->options.statement_time;
    dx_status status = dx_group_open(&group);
    if (status) return status;
    dx_group_run(&group, tx, NULL, NULL);
    status = dx_group_commit(&group);
    return tx->outcome ? tx->outcome : status;
}

static dx_status read_alone(dx_sqlite_conn *conn, dx_tx *tx) {
    int code = dx_sqlite_exec(conn, DX_OWN_BEGIN);
    if (code != SQLITE_OK) return dx_sqlite_status(conn, code, NULL);
    tx->now = dx_clock_utc();
    dx_status status = dx_sqlite_drive_reads(conn, tx);
    if (dx_sqlite_in_tx(conn)) (void)dx_sqlite_exec(conn, DX_OWN_COMMIT);
    return status;
}

void dx_sqlite_run_direct(dx_store *base, dx_tx *tx) {
    dx_sqlite *store = dx_sqlite_of(base);
    dx_sqlite_conn *conn;
    tx->session = NULL;
    pthread_mutex_lock(&store->direct_lock);
    tx->outcome = dx_sqlite_direct(&conn, store);
    if (!tx->outcome) {
        dx_sqlite_enter(store);
        tx->outcome = tx->mode == DX_TX_WRITE ? write_alone(store, conn, tx) : read_alone(conn, tx);
        dx_sqlite_leave(store);
    }
    pthread_mutex_unlock(&store->direct_lock);
    tx->done(tx, tx->outcome);
}
