// Durable state, behind one asynchronous interface that is the same for every backend. Callers speak of tables, columns and conditions;
// only src/store/<backend> knows SQL and its dialects.
//
// All access is by *transactions*: small state machines that say which statement to run next, are shown its rows, and at the end commit or
// roll back. A backend may run them on the loop (SQLite, short reads), on a thread of its own (SQLite, all else) or as messages on a socket
// (PostgreSQL). `next` and `row` must therefore not block and touch nothing but the transaction's own memory.
#ifndef DX_STORE_STORE_H
#define DX_STORE_STORE_H

#include "base/diag.h"
#include "loop/loop.h"
#include "store/query.h"

typedef struct dx_store dx_store;
typedef struct dx_row dx_row;

typedef struct dx_store_options {
    unsigned workers;        // sessions, one a worker
    unsigned reader_threads; // for reads that are not brief; 2
    dx_nanos statement_time; // time budget of one statement; 10 s. Over it: DX_STORE_TIMEOUT
    dx_nanos brief_time;     // time budget of a statement on the loop; 50 ms
    dx_nanos queue_time;     // how long a transaction without a deadline waits for its turn; 30 s. Over it: DX_STORE_TIMEOUT
    size_t queue_cap;        // transactions waiting for the writer or a reader; over it: DX_OVERLOADED. 4096
    dx_nanos wait;           // while those that wait have waited for longer, no more are taken: DX_OVERLOADED. 2 s; see dx_store_set_wait
} dx_store_options;
#define DX_STORE_OPTIONS_INIT                                                                                                              \
    { 1, 2, 10 * DX_SECOND, 50 * DX_MILLISECOND, 30 * DX_SECOND, 4096, 2 * DX_SECOND }

// "sqlite:shop.db" (relative to the working directory) or "sqlite::memory:" (for tests and `check`; one process, lost at the end).
// Before threads. The file is made 0600.
dx_status dx_store_open(dx_store **out, dx_slice url, const dx_store_options *options, dx_diags *diags) DX_MUST_USE;
// After every loop that used it has stopped; finishes what the writer still has. Takes NULL.
void dx_store_close(dx_store *store);

// Makes the store's tables what `tables` says, in one transaction: new tables, columns and indexes are added, compatible changes are made,
// and one that would lose data is refused with a finding that names the way out (see query.h, dx_table). Tables of the store that
// are not named in `tables` are left alone. Blocks: also while the store runs, on a thread that is nobody's loop. Writes wait meanwhile
// (their own deadlines hold); reads go on with the tables as they were; statements made before still run, as long as the columns they name
// are there. Nothing to change costs one read.
typedef struct dx_migration_report {
    size_t created, changed, unchanged; // tables
} dx_migration_report;
dx_status dx_store_migrate(dx_store *store, const dx_table *const *tables, size_t count, dx_migration_report *report,
                           dx_diags *diags) DX_MUST_USE;
// The same while others still use the tables as they are: columns that are gone from the definition stay, as ones that may be NULL, so that
// statements that name them go on running. The next dx_store_migrate takes them away, or refuses to.
dx_status dx_store_grow(dx_store *store, const dx_table *const *tables, size_t count, dx_migration_report *report,
                        dx_diags *diags) DX_MUST_USE;

// --- statements --------------------------------------------------------------------------------------------------------------
// A query made ready: immutable, used by any thread. A kept one lives as long as its keep and costs no look-up when it runs; make those
// at load time. A passing one lives in the arena; backends find its prepared form by its text in a bounded cache.
typedef struct dx_statement dx_statement;
// What belongs together and goes together: the kept statements of one definition. Keeps come and go while the store runs: make and destroy
// them on any thread; each is filled by one thread at a time. What connections hold prepared for one that is gone, they give up when they
// next prepare something. NULL without memory.
typedef struct dx_keep dx_keep;
dx_keep *dx_keep_create(dx_store *store);
// Once no transaction that uses its statements is under way and none will be. What is left at dx_store_close goes with the store. Takes
// NULL.
void dx_keep_destroy(dx_keep *keep);
dx_status dx_statement_keep(const dx_statement **out, dx_keep *keep, const dx_query *query) DX_MUST_USE;
dx_status dx_statement_make(const dx_statement **out, dx_store *store, dx_arena *arena, const dx_query *query) DX_MUST_USE;

// --- transactions ------------------------------------------------------------------------------------------------------------
typedef enum dx_tx_mode {
    DX_TX_BRIEF, // reads only, each a row by key or a bounded range of an index: runs on the loop, at once
    DX_TX_READ,  // reads only, on a consistent snapshot
    DX_TX_WRITE  // committed in a group with others, durable when `done` says DX_OK
} dx_tx_mode;

typedef enum dx_tx_step {
    DX_TX_RUN,     // run tx->statement with tx->params
    DX_TX_COMMIT,  // finish; for reads: finish
    DX_TX_ROLLBACK // undo; `done` gets tx->status (set it: a reason, or what the statement said)
} dx_tx_step;

typedef struct dx_tx dx_tx;
struct dx_tx {
    dx_tx_mode mode;
    // Says what comes next. First called with status DX_OK; afterwards with the outcome of the statement that ran. After a failed statement
    // the only answer is DX_TX_ROLLBACK. Must not block.
    dx_tx_step (*next)(dx_tx *tx);
    // Each row of the running statement; the row and its slices live only during the call. Not DX_OK ends the statement with that status.
    // NULL: rows are ignored.
    dx_status (*row)(dx_tx *tx, const dx_row *row);
    // Once, on the session's loop: the transaction is committed (DX_OK) or nothing of it happened. For DX_TX_BRIEF it is called
    // before dx_store_submit returns.
    void (*done)(dx_tx *tx, dx_status status);

    // set by `next`
    const dx_statement *statement;
    const dx_value *params;
    size_t param_count;

    // set by the store before `next`
    dx_status status;  // DX_ALREADY_EXISTS, DX_UNKNOWN_REFERENCE, DX_IN_USE, DX_STORE_FULL, DX_STORE_TIMEOUT, …
    int64_t changes;   // rows inserted, updated or deleted by the statement
    dx_slice conflict; // of DX_ALREADY_EXISTS: the column's (or columns', comma-separated) name, where the backend knows; store's memory,
                       // lives until the next statement
    dx_micros_utc now; // the transaction's time: one reading, used for created_at and updated_at

    // the store's own
    dx_task task;
    dx_tx *queue_next;
    struct dx_session *session;
    dx_nanos deadline; // set by the caller or 0: a transaction that still waits in a queue then ends with DX_STORE_TIMEOUT
    dx_nanos expires;  // `deadline`, or what the store takes for one
    dx_nanos entered;  // its queue
    dx_status outcome;
};

typedef struct dx_session dx_session;
// A worker's way into the store: used on that worker's loop only. `index` < options.workers. Call once a worker, on its thread, before
// its loop runs.
dx_session *dx_store_session(dx_store *store, unsigned index, dx_loop *loop);
void dx_store_submit(dx_session *session, dx_tx *tx);
// The same without a loop, for the command line and for starting up: runs to the end on this thread, then calls `done`.
void dx_store_run(dx_store *store, dx_tx *tx);
void dx_store_set_wait(dx_store *store, dx_nanos wait); // any thread, at any time
// Whether the store answers: reads one row. For health checks; brief.
dx_status dx_store_check(dx_session *session) DX_MUST_USE;

// --- watching ----------------------------------------------------------------------------------------------------------------
// Tables whose new rows are told to sessions: from any thread, for as long as the store is open.
dx_status dx_store_watch(dx_store *store, const dx_table *table) DX_MUST_USE;
// Told on the session's loop, in a turn of its own, once this process has committed rows that were inserted into a watched table: at most
// once for a group of commits, and perhaps without cause. What other processes commit is not told.
typedef struct dx_watch dx_watch;
struct dx_watch {
    void (*changed)(dx_watch *watch); // may end this watch, and no other
    dx_watch *next, **at;             // the session's
    dx_session *session;              // likewise; NULL: not watching
};
void dx_watch_start(dx_watch *watch, dx_session *session);
void dx_watch_stop(dx_watch *watch); // as often as one likes

size_t dx_row_columns(const dx_row *row);
dx_value dx_row_value(const dx_row *row, size_t column); // in the order of the query's columns (or `returning`)

#endif
