// Reader threads: reads that are not known to be short. Each transaction sees one snapshot. A thread opens its connection when it gets its
// first transaction.
#include "store/sqlite/internal.h"

#include "base/log.h"

static dx_tx *take(dx_sqlite_readers *readers) {
    pthread_mutex_lock(&readers->lock);
    readers->idle++;
    while (!readers->first && !readers->stop) pthread_cond_wait(&readers->wake, &readers->lock);
    readers->idle--;
    dx_tx *tx = readers->first;
    if (tx) {
        readers->first = tx->queue_next;
        dx_lag_begin(&readers->lag, tx->entered, dx_clock_monotonic());
    }
    pthread_mutex_unlock(&readers->lock);
    return tx;
}

static dx_status read_snapshot(dx_sqlite_conn *conn, dx_tx *tx) {
    int code = dx_sqlite_exec(conn, DX_OWN_BEGIN);
    if (code != SQLITE_OK) return dx_sqlite_status(conn, code, NULL);
    tx->now = dx_clock_utc();
    dx_status status = dx_sqlite_drive_reads(conn, tx);
    if (dx_sqlite_in_tx(conn)) (void)dx_sqlite_exec(conn, DX_OWN_COMMIT);
    return status;
}

static void run_one(dx_sqlite *store, dx_sqlite_conn **conn, dx_tx *tx) {
    tx->outcome = dx_clock_monotonic() >= tx->expires ? DX_STORE_TIMEOUT : DX_OK;
    if (!tx->outcome && !*conn) tx->outcome = dx_sqlite_connect(conn, store, DX_ROLE_READER);
    if (!tx->outcome) {
        dx_sqlite_enter(store);
        tx->outcome = read_snapshot(*conn, tx);
        dx_sqlite_leave(store);
    }
    dx_session_answer((dx_sqlite_session *)(void *)tx->session, tx, tx);
}

static void *read_all(void *ctx) {
    dx_sqlite *store = ctx;
    dx_sqlite_conn *conn = store->shared;
    for (dx_tx *tx; (tx = take(&store->readers));) run_one(store, &conn, tx);
    if (conn != store->shared) dx_sqlite_disconnect(conn);
    return NULL;
}

static dx_status enqueue(dx_sqlite *store, dx_tx *tx) {
    dx_sqlite_readers *readers = &store->readers;
    dx_status status = DX_OK;
    pthread_mutex_lock(&readers->lock);
    if (readers->stop) status = DX_STORE_UNAVAILABLE;
    if (!status && !dx_sqlite_enqueue(store, &readers->lag, tx)) status = DX_OVERLOADED;
    if (!status) {
        tx->queue_next = NULL;
        *(readers->first ? &readers->last->queue_next : &readers->first) = tx;
        readers->last = tx;
        if (readers->idle) pthread_cond_signal(&readers->wake);
    }
    pthread_mutex_unlock(&readers->lock);
    return status;
}

void dx_readers_submit(dx_sqlite *store, dx_tx *tx) {
    dx_status status = enqueue(store, tx); // once it is in the queue, it is a reader's
    if (!status) return;
    tx->outcome = status;
    dx_session_answer((dx_sqlite_session *)(void *)tx->session, tx, tx);
}

dx_status dx_readers_start(dx_sqlite *store) {
    dx_sqlite_readers *readers = &store->readers;
    unsigned wanted = store->options.reader_threads;
    if (!wanted) wanted = 1;
    if (wanted > DX_SQLITE_READERS_CAP) wanted = DX_SQLITE_READERS_CAP;
    while (readers->count < wanted) {
        if (pthread_create(&readers->threads[readers->count], NULL, read_all, store)) break;
        readers->count++;
    }
    return readers->count ? DX_OK : DX_NO_MEMORY;
}

void dx_readers_stop(dx_sqlite *store) {
    dx_sqlite_readers *readers = &store->readers;
    pthread_mutex_lock(&readers->lock);
    readers->stop = true;
    pthread_cond_broadcast(&readers->wake);
    pthread_mutex_unlock(&readers->lock);
    for (unsigned i = 0; i < readers->count; i++) (void)pthread_join(readers->threads[i], NULL);
    readers->count = 0;
}
