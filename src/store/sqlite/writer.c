// The writer: one thread that commits what is waiting as one SQLite transaction (group commit), so that many writes share one wait for the
// disk. While it waits, the next group gathers by itself. Answers go out after the commit, one wake-up a loop and group; the work of
// moving the write-ahead log into the file is done after the answers, so that nobody waits for it who need not.
#include "store/sqlite/internal.h"

#include "base/log.h"

#define GROUP_CAP        1024                 // transactions
#define GROUP_TIME       (5 * DX_MILLISECOND) // after this no more are taken in
#define WAL_PAGES        2000                 // 8 MB: move them into the file
#define WAL_PAGES_URGENT 16000                // 64 MB: readers held it up; wait for them a moment

static int note_wal(void *ctx, sqlite3 *db, const char *name, int pages) {
    (void)db, (void)name;
    *(int *)ctx = pages;
    return SQLITE_OK;
}

static void checkpoint(dx_sqlite_writer *writer) {
    if (DX_LIKELY(writer->wal_pages < WAL_PAGES)) return;
    int mode = writer->wal_pages >= WAL_PAGES_URGENT ? SQLITE_CHECKPOINT_RESTART : SQLITE_CHECKPOINT_PASSIVE;
    int code = sqlite3_wal_checkpoint_v2(writer->conn->db, NULL, mode, NULL, NULL);
    if (code != SQLITE_OK && (code & 0xff) != SQLITE_BUSY) (void)dx_sqlite_status(writer->conn, code, NULL);
    writer->wal_pages = 0;
}

// --- taking in ---------------------------------------------------------------------------------------------------------------

// Moves what has come in to the end of `pending`, oldest first.
static bool take_in(dx_sqlite_writer *writer) {
    dx_tx *newest = atomic_exchange_explicit(&writer->incoming, NULL, memory_order_acquire);
    dx_tx *oldest = NULL;
    while (newest) {
        dx_tx *next = newest->queue_next;
        newest->queue_next = oldest;
        oldest = newest;
        newest = next;
    }
    writer->pending = oldest;
    return oldest != NULL;
}

static dx_tx *next_tx(dx_sqlite_writer *writer) {
    if (!writer->pending && !take_in(writer)) return NULL;
    dx_tx *tx = writer->pending;
    writer->pending = tx->queue_next;
    return tx;
}

// --- answering ---------------------------------------------------------------------------------------------------------------

static void add_ran(dx_sqlite_writer *writer, dx_tx *tx) {
    tx->queue_next = writer->ran;
    writer->ran = tx;
}

// The whole group came to nothing: those who succeeded are told why.
static void fail_ran(dx_sqlite_writer *writer, dx_status status) {
    for (dx_tx *tx = writer->ran; tx; tx = tx->queue_next) {
        if (!tx->outcome) tx->outcome = status;
    }
}

// `ran` is newest first; each session's part of it goes out in one piece, also newest first.
static void answer(dx_sqlite_writer *writer) {
    dx_sqlite_session *answered = NULL;
    for (dx_tx *tx = writer->ran; tx;) {
        dx_tx *next = tx->queue_next;
        dx_sqlite_session *session = (dx_sqlite_session *)(void *)tx->session;
        tx->queue_next = NULL;
        if (session->answers) {
            session->answers_end->queue_next = tx;
        } else {
            session->answers = tx;
            session->next_answered = answered;
            answered = session;
        }
        session->answers_end = tx;
        tx = next;
    }
    writer->ran = NULL;
    while (answered) {
        dx_sqlite_session *session = answered;
        answered = session->next_answered;
        dx_tx *newest = session->answers;
        session->answers = NULL;
        dx_session_answer(session, newest, session->answers_end);
    }
}

// --- groups ------------------------------------------------------------------------------------------------------------------

typedef struct commit_state {
    dx_sqlite *store;
    dx_sqlite_group group;
} commit_state;

static void finish(void *ctx) {
    commit_state *commit = ctx;
    dx_status status = dx_group_commit(&commit->group);
    if (status) fail_ran(&commit->store->writer, status);
    answer(&commit->store->writer);
}

static void run_tx(commit_state *commit, dx_tx *tx, dx_nanos now) {
    dx_sqlite_writer *writer = &commit->store->writer;
    if (now >= tx->expires) {
        tx->outcome = DX_STORE_TIMEOUT;
        return add_ran(writer, tx);
    }
    if (!commit->group.open) {
        answer(writer); // opening may wait for another process: nobody whose outcome stands waits with it
        commit->group.give_up = tx->expires;
        tx->outcome = dx_group_open(&commit->group);
    }
    if (!tx->outcome) dx_group_run(&commit->group, tx, finish, commit);
    if (commit->group.lost) fail_ran(writer, commit->group.lost);
    commit->group.lost = DX_OK;
    add_ran(writer, tx);
}

static void run_group(dx_sqlite *store) {
    dx_sqlite_writer *writer = &store->writer;
    commit_state commit = {store, {.conn = writer->conn}};
    dx_sqlite_enter(store);
    dx_nanos start = dx_clock_monotonic(), now = start;
    for (unsigned count = 0; count < GROUP_CAP && now - start < GROUP_TIME; count++) {
        dx_tx *tx = next_tx(writer);
        if (!tx) break;
        dx_lag_begin(&writer->lag, tx->entered, now);
        run_tx(&commit, tx, now);
        now = dx_clock_monotonic();
    }
    dx_status status = dx_group_commit(&commit.group);
    dx_sqlite_leave(store);
    if (status) fail_ran(writer, status);
    answer(writer);
    checkpoint(writer);
}

// --- the thread --------------------------------------------------------------------------------------------------------------

static bool has_work(const dx_sqlite_writer *writer) {
    return writer->pending || atomic_load_explicit(&writer->incoming, memory_order_relaxed);
}

static bool is_parked(const dx_sqlite_writer *writer) {
    return atomic_load_explicit(&writer->parked, memory_order_relaxed) != 0;
}

static bool wait_for_work(dx_sqlite_writer *writer) {
    if (has_work(writer) && DX_LIKELY(!is_parked(writer))) return true;
    pthread_mutex_lock(&writer->lock);
    while (is_parked(writer) || (!has_work(writer) && !atomic_load_explicit(&writer->stop, memory_order_relaxed))) {
        pthread_cond_wait(&writer->wake, &writer->lock);
    }
    pthread_mutex_unlock(&writer->lock);
    return has_work(writer);
}

static void *write_all(void *ctx) {
    dx_sqlite *store = ctx;
    while (wait_for_work(&store->writer)) run_group(store);
    return NULL;
}

static void wake(dx_sqlite_writer *writer) {
    pthread_mutex_lock(&writer->lock);
    pthread_cond_signal(&writer->wake);
    pthread_mutex_unlock(&writer->lock);
}

void dx_writer_park(dx_sqlite *store) {
    (void)atomic_fetch_add(&store->writer.parked, 1);
}

void dx_writer_unpark(dx_sqlite *store) {
    (void)atomic_fetch_sub(&store->writer.parked, 1);
    wake(&store->writer);
}

void dx_writer_submit(dx_sqlite *store, dx_tx *tx) {
    dx_sqlite_writer *writer = &store->writer;
    bool closing = atomic_load_explicit(&store->closing, memory_order_relaxed);
    if (DX_UNLIKELY(closing || !dx_sqlite_enqueue(store, &writer->lag, tx))) {
        tx->outcome = closing ? DX_STORE_UNAVAILABLE : DX_OVERLOADED;
        return dx_session_answer((dx_sqlite_session *)(void *)tx->session, tx, tx);
    }
    dx_tx *head = atomic_load_explicit(&writer->incoming, memory_order_relaxed);
    do {
        tx->queue_next = head;
    } while (!atomic_compare_exchange_weak_explicit(&writer->incoming, &head, tx, memory_order_release, memory_order_relaxed));
    if (!head) wake(writer);
}

dx_status dx_writer_start(dx_sqlite *store) {
    dx_sqlite_writer *writer = &store->writer;
    if (writer->started) return DX_OK;
    writer->conn = store->shared;
    dx_status status = store->shared ? DX_OK : dx_sqlite_connect(&writer->conn, store, DX_ROLE_WRITER);
    if (status) return status;
    (void)sqlite3_wal_hook(writer->conn->db, note_wal, &writer->wal_pages);
    writer->started = pthread_create(&writer->thread, NULL, write_all, store) == 0;
    return writer->started ? DX_OK : DX_NO_MEMORY;
}

void dx_writer_stop(dx_sqlite *store) {
    dx_sqlite_writer *writer = &store->writer;
    if (writer->started) {
        pthread_mutex_lock(&writer->lock);
        atomic_store(&writer->stop, true);
        pthread_cond_signal(&writer->wake);
        pthread_mutex_unlock(&writer->lock);
        (void)pthread_join(writer->thread, NULL);
        writer->started = false;
    }
    if (writer->conn != store->shared) dx_sqlite_disconnect(writer->conn);
    writer->conn = NULL;
}
