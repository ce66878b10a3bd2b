// A worker's way into the store: brief reads at once on its loop, everything else handed to the writer or the readers, and their answers
// brought back.
//
// Brief reads of one loop turn share a snapshot: its locks are taken and given back once a turn, not once a read. But nobody may miss what
// was acknowledged before: the writer counts its commits, and a read that finds the count moved on takes a new snapshot first. What
// other processes commit is seen from the next turn on.
#include "store/sqlite/internal.h"

#include "base/memory.h"

#include "base/log.h"

// --- answers -----------------------------------------------------------------------------------------------------------------

void dx_session_answer(dx_sqlite_session *session, dx_tx *newest, dx_tx *oldest) {
    dx_tx *head = atomic_load_explicit(&session->finished, memory_order_relaxed);
    do {
        oldest->queue_next = head;
    } while (!atomic_compare_exchange_weak_explicit(&session->finished, &head, newest, memory_order_acq_rel, memory_order_relaxed));
    // Whoever found the list empty wakes the loop; once the store is closing, the loops have stopped and the list is read by it.
    if (!head && !atomic_load_explicit(&session->store->closing, memory_order_acquire)) dx_loop_post(session->loop, &session->task);
}

void dx_session_drain(dx_sqlite_session *session) {
    dx_tx *newest = atomic_exchange_explicit(&session->finished, NULL, memory_order_acq_rel);
    dx_tx *oldest = NULL;
    while (newest) {
        dx_tx *next = newest->queue_next;
        newest->queue_next = oldest;
        oldest = newest;
        newest = next;
    }
    while (oldest) {
        dx_tx *tx = oldest;
        oldest = tx->queue_next;
        tx->done(tx, tx->outcome);
    }
}

static void bring_answers(dx_task *task) {
    dx_session_drain(DX_CONTAINER_OF(task, dx_sqlite_session, task));
}

// --- watching ----------------------------------------------------------------------------------------------------------------

static void tell(dx_task *task) {
    dx_sqlite_session *session = DX_CONTAINER_OF(task, dx_sqlite_session, tell);
    atomic_store(&session->told, false); // what is committed from now on is told again
    dx_session_tell(&session->base);
}

void dx_sessions_note(dx_sqlite *store) {
    if (atomic_load_explicit(&store->closing, memory_order_acquire)) return;
    for (unsigned i = 0; i < store->options.workers; i++) {
        dx_sqlite_session *session = atomic_load_explicit(&store->sessions[i], memory_order_acquire);
        if (!session || !atomic_load_explicit(&session->base.watching, memory_order_relaxed)) continue;
        if (!atomic_exchange(&session->told, true)) dx_loop_post(session->loop, &session->tell);
    }
}

dx_status dx_sqlite_watch(dx_store *base, const dx_table *from) {
    dx_sqlite_table *table = dx_sqlite_table_of(dx_sqlite_of(base), from);
    if (!table) return DX_NO_MEMORY;
    atomic_store(&table->watched, true);
    return DX_OK;
}

// --- brief reads -------------------------------------------------------------------------------------------------------------

static void end_snapshot(dx_sqlite_session *session) {
    if (!session->reading) return;
    session->reading = false;
    if (dx_sqlite_in_tx(session->conn)) (void)dx_sqlite_exec(session->conn, DX_OWN_COMMIT);
}

static void end_turn(void *ctx) {
    end_snapshot(ctx);
}

static dx_status take_snapshot(dx_sqlite_session *session) {
    if (session->store->shared) return DX_OK; // the lock is the snapshot
    uint64_t commits = atomic_load_explicit(&session->store->commits, memory_order_acquire);
    if (session->reading && (session->read_commits != commits || !dx_sqlite_in_tx(session->conn))) end_snapshot(session);
    if (session->reading) return DX_OK;
    // The count is read before the snapshot is taken: the snapshot may be newer than it says, never older.
    session->read_commits = commits;
    int code = dx_sqlite_exec(session->conn, DX_OWN_BEGIN);
    if (code != SQLITE_OK) return dx_sqlite_status(session->conn, code, NULL);
    session->reading = true;
    return DX_OK;
}

static void read_briefly(dx_sqlite_session *session, dx_tx *tx) {
    dx_sqlite_enter(session->store);
    tx->now = dx_loop_utc(session->loop);
    tx->status = take_snapshot(session);
    tx->outcome = tx->status ? tx->status : dx_sqlite_drive_reads(session->conn, tx);
    dx_sqlite_leave(session->store);
    tx->done(tx, tx->outcome);
}

dx_status dx_sqlite_check(dx_session *base) {
    dx_sqlite_session *session = (dx_sqlite_session *)(void *)base;
    dx_sqlite_enter(session->store);
    dx_status status = take_snapshot(session);
    sqlite3_stmt *stmt = status ? NULL : dx_sqlite_own_stmt(session->conn, DX_OWN_CHECK);
    if (!status && !stmt) status = DX_STORE_UNAVAILABLE;
    if (stmt) {
        session->conn->ends = 0;
        int code = sqlite3_step(stmt);
        if (code != SQLITE_ROW) status = dx_sqlite_status(session->conn, code, NULL);
        (void)sqlite3_reset(stmt);
    }
    dx_sqlite_leave(session->store);
    return status;
}

bool dx_sqlite_enqueue(dx_sqlite *store, dx_lag *lag, dx_tx *tx) {
    tx->entered = dx_clock_monotonic();
    dx_nanos wait = dx_lag_of(lag, tx->entered);
    bool long_enough = wait > atomic_load_explicit(&store->wait, memory_order_relaxed);
    if (dx_lag_enter(lag, tx->entered) < store->options.queue_cap && !long_enough) return true;
    dx_lag_withdraw(lag);
    return false;
}

void dx_sqlite_submit(dx_session *base, dx_tx *tx) {
    dx_sqlite_session *session = (dx_sqlite_session *)(void *)base;
    tx->session = base;
    tx->outcome = DX_OK;
    if (tx->mode == DX_TX_BRIEF) return read_briefly(session, tx);
    tx->expires = tx->deadline ? tx->deadline : dx_loop_now(session->loop) + session->store->options.queue_time;
    if (tx->mode == DX_TX_READ) {
        dx_readers_submit(session->store, tx);
    } else {
        dx_writer_submit(session->store, tx);
    }
}

// --- life --------------------------------------------------------------------------------------------------------------------

// The threads start with the first session: the command line has none and needs none.
static dx_status start_threads(dx_sqlite *store) {
    pthread_mutex_lock(&store->direct_lock);
    dx_status status = dx_writer_start(store);
    if (!status) status = dx_readers_start(store);
    // Starting up is over: what the direct connection knows of the schema is not needed at rest.
    dx_sqlite_direct_rest(store);
    pthread_mutex_unlock(&store->direct_lock);
    return status;
}

dx_session *dx_sqlite_session_start(dx_store *base, unsigned index, dx_loop *loop) {
    dx_sqlite *store = dx_sqlite_of(base);
    if (index >= store->options.workers || store->sessions[index]) return NULL;
    dx_sqlite_session *session = dx_memory_zalloc(1, sizeof *session);
    if (!session) return NULL;
    session->base.backend = base->backend;
    session->store = store;
    session->loop = loop;
    session->task.run = bring_answers;
    session->tell.run = tell;
    session->conn = store->shared;
    dx_status status = store->shared ? DX_OK : dx_sqlite_connect(&session->conn, store, DX_ROLE_LOOP);
    // Reads the schema now, not within the first request.
    if (!status) status = dx_sqlite_check(&session->base);
    if (!status) end_snapshot(session);
    if (!status) status = start_threads(store);
    if (!status) status = dx_loop_on_turn_end(loop, end_turn, session);
    if (status) {
        dx_log(DX_LOG_ERROR, "store.session", "a session could not be started: %s", dx_status_title(status));
        dx_sqlite_session_end(session);
        return NULL;
    }
    store->sessions[index] = session;
    return &session->base;
}

void dx_sqlite_session_end(dx_sqlite_session *session) {
    if (!session) return;
    if (session->conn != session->store->shared) dx_sqlite_disconnect(session->conn);
    dx_memory_free(session);
}
