// What the files of this folder share: the store as SQLite sees it, a connection, a statement, and who runs what on which thread.
//
// A connection is used by one thread at a time and SQLite takes no mutex for it. Who has one: the writer thread, each reader thread, each
// session (for brief reads on its loop), and the *direct* one for dx_store_run and migrations. A store in memory has one connection for
// all of them, and a lock that is held for a whole transaction.
#ifndef DX_STORE_SQLITE_INTERNAL_H
#define DX_STORE_SQLITE_INTERNAL_H

#include <pthread.h>
#include <sqlite3.h>
#include <stdatomic.h>

#include "base/buffer.h"
#include "base/lag.h"
#include "base/map.h"
#include "store/backend.h"

typedef struct dx_sqlite dx_sqlite;
typedef struct dx_sqlite_conn dx_sqlite_conn;

// --- statements (sql.c) ------------------------------------------------------------------------------------------------------

#define DX_SQLITE_PASSING UINT32_MAX
#define DX_SQLITE_NO_ID   UINT16_MAX

// A table that statements insert into or delete from; what numbering keeps of it is found by `index`. Lives as long as the store.
typedef struct dx_sqlite_table {
    uint32_t index;
    bool numbered; // its id is an integer
    dx_slice name;
    dx_slice top_sql;    // the highest id
    dx_slice remove_sql; // the row with this id: undoes an INSERT
    atomic_bool watched; // whoever watches is told of new rows
} dx_sqlite_table;

struct dx_statement {
    dx_query_kind kind;
    bool wide;            // a write that may touch any number of rows: gets a group of its own (see writer.c)
    bool skips;           // INSERT with skip_existing
    uint16_t param_count; // of the caller
    uint16_t set_count;   // parameters 0 to set_count - 1 are stored in columns of `set_types`
    uint16_t shown_count; // columns of each row
    uint16_t id_param;    // INSERT: the parameter that is the id, or DX_SQLITE_NO_ID: the store gives a number
    uint32_t kept;        // its place in each connection's array, or DX_SQLITE_PASSING
    uint64_t hash;        // of sql; of a kept one: its serial number, as places are used again
    dx_slice sql;
    const dx_sqlite_table *table; // INSERT and DELETE
    const dx_column_type *set_types;
    const dx_column_type *shown_types;
    // INSERT ... RETURNING is not asked of SQLite (it costs more than the insert): the row is what was bound. For each shown column the
    // parameter it came from; set_count is the id given by the store; DX_SQLITE_NO_ID is NULL.
    const uint16_t *shown_params;
};

// In `arena`, passing.
dx_status dx_sqlite_build(dx_statement **out, dx_sqlite *store, dx_arena *arena, const dx_query *query, uint16_t param_count) DX_MUST_USE;
dx_status dx_sqlite_statement(const dx_statement **out, dx_store *store, dx_arena *arena, const dx_query *query, uint16_t param_count);
void dx_sqlite_quote(dx_buffer *sql, dx_slice name);

// --- connections (connection.c) ----------------------------------------------------------------------------------------------

typedef struct dx_sqlite_prepared dx_sqlite_prepared;

// Statements of the backend's own, one of each a connection, prepared when first used.
typedef enum dx_sqlite_own {
    DX_OWN_BEGIN,
    DX_OWN_BEGIN_WRITE,
    DX_OWN_COMMIT,
    DX_OWN_ROLLBACK,
    DX_OWN_SAVEPOINT,
    DX_OWN_RELEASE,
    DX_OWN_ROLLBACK_TO,
    DX_OWN_DATA_VERSION,
    DX_OWN_FLOOR_READ,
    DX_OWN_FLOOR_WRITE,
    DX_OWN_CHECK,
    DX_OWN_COUNT
} dx_sqlite_own;

typedef struct dx_sqlite_numbering {
    uint64_t epoch;    // valid while it is the connection's
    int64_t high;      // the highest number given or seen
    int64_t floor;     // what is durable in dx_store_ids
    bool deleted;      // rows went in this transaction: look before the commit
    uint32_t next_cut; // list of those; index + 1, 0 ends it
    const dx_sqlite_table *table;
} dx_sqlite_numbering;

#define DX_SQLITE_PREPARED_CAP 512 // kept and passing statements that a connection holds prepared; the least recently used goes
// And bytes that they take: a list of a thousand values is a statement of a hundred kilobytes, and clients say which lists there are.
#define DX_SQLITE_PREPARED_BYTES ((size_t)4 << 20)
#define DX_SQLITE_BUCKETS        256 // of passing ones, by hash

struct dx_sqlite_conn {
    sqlite3 *db;
    dx_sqlite *store;
    dx_nanos budget; // of one statement
    dx_nanos ends;   // when the running one must end; 0: not read yet
    bool out_of_time;
    sqlite3_stmt *own[DX_OWN_COUNT];
    dx_sqlite_prepared **kept; // by dx_statement.kept
    uint32_t kept_size;
    uint64_t swept; // the store's count of destroyed keeps when their statements were last given up here
    dx_sqlite_prepared *buckets[DX_SQLITE_BUCKETS];
    dx_sqlite_prepared *newest, *oldest;
    size_t prepared_count, prepared_bytes;
    // numbering (ids.c)
    dx_sqlite_numbering *numbering;
    uint32_t numbering_size;
    uint32_t cut; // head of the list of tables that lost rows
    uint64_t epoch;
    int64_t data_version;
    bool noted;    // this transaction inserted into a watched table
    bool inserted; // the last statement put a row into its table, whatever came after
    int64_t given; // that row's id, when it is a number
    char conflict[1200];
};

typedef enum dx_sqlite_role { DX_ROLE_WRITER, DX_ROLE_READER, DX_ROLE_LOOP, DX_ROLE_DIRECT } dx_sqlite_role;

dx_status dx_sqlite_connect(dx_sqlite_conn **out, dx_sqlite *store, dx_sqlite_role role) DX_MUST_USE;
void dx_sqlite_disconnect(dx_sqlite_conn *conn); // takes NULL
// The prepared form of a statement, ready to bind. NULL: `*status` says why.
sqlite3_stmt *dx_sqlite_prepare(dx_sqlite_conn *conn, const dx_statement *statement, dx_status *status);
// One of the backend's own, ready to bind; NULL when it cannot be prepared.
sqlite3_stmt *dx_sqlite_own_stmt(dx_sqlite_conn *conn, dx_sqlite_own which);
// Runs one without parameters and rows; SQLite's code.
int dx_sqlite_exec(dx_sqlite_conn *conn, dx_sqlite_own which);
static inline bool dx_sqlite_in_tx(const dx_sqlite_conn *conn) {
    return !sqlite3_get_autocommit(conn->db);
}

// --- keeps (keep.c) ----------------------------------------------------------------------------------------------------------

// A kept statement's place in every connection's array. Places of destroyed keeps are given again, so arrays stay as large as what is
// alive at a time; the serial number tells a statement from the one that had its place before.
typedef struct dx_sqlite_place {
    uint64_t serial; // 0: free
    uint32_t next;   // of its keep, or of the free ones; index + 1, 0 ends the list
} dx_sqlite_place;

typedef struct dx_sqlite_keep {
    dx_keep base;
    dx_sqlite *store;
    dx_arena *arena;
    uint32_t places;                   // list
    struct dx_sqlite_keep *next, **at; // of the store
} dx_sqlite_keep;

dx_keep *dx_sqlite_keep_create(dx_store *store);
void dx_sqlite_keep_destroy(dx_keep *keep);
dx_status dx_sqlite_keep_statement(const dx_statement **out, dx_keep *keep, const dx_query *query, uint16_t param_count);
// How many places there are, and whether one is still this statement's. For connections, on their threads.
uint32_t dx_sqlite_place_count(dx_sqlite *store);
bool dx_sqlite_place_lives(dx_sqlite *store, uint32_t place, uint64_t serial);
void dx_sqlite_keeps_end(dx_sqlite *store);

// --- running (run.c) ---------------------------------------------------------------------------------------------------------

// Runs tx->statement and shows its rows; sets tx->changes and tx->conflict.
dx_status dx_sqlite_run(dx_sqlite_conn *conn, dx_tx *tx);
// Drives a transaction that only reads; the connection has its snapshot.
dx_status dx_sqlite_drive_reads(dx_sqlite_conn *conn, dx_tx *tx);
// What a transaction that stops after `tx->status` ends with: never DX_OK.
dx_status dx_sqlite_reason(const dx_tx *tx);
size_t dx_sqlite_row_columns(const dx_row *row);
dx_value dx_sqlite_row_value(const dx_row *row, size_t column);

// --- errors (errors.c) -------------------------------------------------------------------------------------------------------

// The status of a failed call; logs what an operator should know. `statement` may be NULL. Fills conn->conflict.
dx_status dx_sqlite_status(dx_sqlite_conn *conn, int code, const dx_statement *statement);

// --- numbering (ids.c) -------------------------------------------------------------------------------------------------------

// Once a write transaction has begun: forgets what another connection may have changed.
dx_status dx_ids_begin(dx_sqlite_conn *conn);
dx_status dx_ids_give(int64_t *out, dx_sqlite_conn *conn, const dx_sqlite_table *table);
void dx_ids_taken(dx_sqlite_conn *conn, const dx_sqlite_table *table, int64_t id); // a caller chose its own
// Before a DELETE, and after one that removed rows.
dx_status dx_ids_before_delete(dx_sqlite_conn *conn, const dx_sqlite_table *table);
void dx_ids_after_delete(dx_sqlite_conn *conn, const dx_sqlite_table *table);
// Before a commit: makes durable what must not be given again.
dx_status dx_ids_commit(dx_sqlite_conn *conn);
void dx_ids_forget(dx_sqlite_conn *conn); // after a rollback of all

// --- write transactions (write.c) --------------------------------------------------------------------------------------------

// Some write transactions in one of SQLite's.
typedef struct dx_sqlite_group {
    dx_sqlite_conn *conn;
    bool open;
    bool dirty;       // a transaction that stays has written
    dx_status lost;   // why SQLite undid the whole group, or DX_OK
    dx_nanos give_up; // until when to wait for another process that writes
} dx_sqlite_group;

dx_status dx_group_open(dx_sqlite_group *group);
// Runs one to its end within the group: tx->outcome. Before a wide first statement of a dirty group it calls `flush`, which commits the
// group (NULL: it is not).
void dx_group_run(dx_sqlite_group *group, dx_tx *tx, void (*flush)(void *ctx), void *ctx);
dx_status dx_group_commit(dx_sqlite_group *group);

// --- the store (backend.c) ---------------------------------------------------------------------------------------------------

typedef struct dx_sqlite_session {
    dx_session base;
    dx_sqlite *store;
    dx_loop *loop;
    dx_sqlite_conn *conn;
    bool reading;          // a snapshot is held until the turn ends
    uint64_t read_commits; // the store's count when it was taken
    _Atomic(dx_tx *) finished;
    dx_task task;
    dx_task tell; // the watches; posted while `told` is set
    atomic_bool told;
    // the writer's: answers of this group, newest first, and the next session that has any
    dx_tx *answers, *answers_end;
    struct dx_sqlite_session *next_answered;
} dx_sqlite_session;

typedef struct dx_sqlite_writer {
    pthread_t thread;
    bool started;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    _Atomic(dx_tx *) incoming; // newest first
    dx_lag lag;
    atomic_bool stop;
    atomic_uint parked; // by migrations: no new group is begun
    dx_sqlite_conn *conn;
    // the thread's own
    dx_tx *pending, *ran;
    int wal_pages;
} dx_sqlite_writer;

#define DX_SQLITE_READERS_CAP 64
typedef struct dx_sqlite_readers {
    pthread_t threads[DX_SQLITE_READERS_CAP];
    unsigned count, idle;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    dx_tx *first, *last;
    dx_lag lag;
    bool stop;
} dx_sqlite_readers;

struct dx_sqlite {
    dx_store base;
    dx_store_options options; // but for `wait`
    _Atomic(dx_nanos) wait;
    const char *path; // NULL: in memory
    dx_arena *arena;
    pthread_mutex_t arena_lock;
    dx_map numbered_tables, named_tables; // by what their ids are: name → dx_sqlite_table
    uint32_t table_count;                 // of both
    pthread_mutex_t keeps_lock;           // the next five
    dx_sqlite_keep *keeps;
    dx_sqlite_place *places;
    uint32_t place_count, place_cap, free_places;
    uint64_t serials;
    _Atomic uint64_t keeps_gone; // connections look whether they hold statements of such
    _Atomic uint64_t commits;    // by this process: brief reads look whether their snapshot is old
    atomic_bool closing;
    dx_sqlite_conn *shared; // in memory: everybody's
    pthread_mutex_t shared_lock;
    dx_sqlite_conn *direct;
    pthread_mutex_t direct_lock;
    dx_sqlite_writer writer;
    dx_sqlite_readers readers;
    _Atomic(dx_sqlite_session *) *sessions;
};

static inline dx_sqlite *dx_sqlite_of(dx_store *store) {
    return (dx_sqlite *)(void *)store;
}
// Around every use of a connection: a lock for a store in memory, nothing for a file.
static inline void dx_sqlite_enter(dx_sqlite *store) {
    if (store->shared) pthread_mutex_lock(&store->shared_lock);
}
static inline void dx_sqlite_leave(dx_sqlite *store) {
    if (store->shared) pthread_mutex_unlock(&store->shared_lock);
}
dx_sqlite_table *dx_sqlite_table_of(dx_sqlite *store, const dx_table *table); // NULL without memory

// --- sessions (session.c) ----------------------------------------------------------------------------------------------------

dx_session *dx_sqlite_session_start(dx_store *store, unsigned index, dx_loop *loop);
void dx_sqlite_session_end(dx_sqlite_session *session);
void dx_sqlite_submit(dx_session *session, dx_tx *tx);
dx_status dx_sqlite_check(dx_session *session);
// From any thread: a chain of finished transactions, newest first, whose `done` is to be called on the session's loop with tx->outcome.
void dx_session_answer(dx_sqlite_session *session, dx_tx *newest, dx_tx *oldest);
void dx_sessions_note(dx_sqlite *store); // any thread: rows of a watched table were committed
dx_status dx_sqlite_watch(dx_store *store, const dx_table *table);
void dx_session_drain(dx_sqlite_session *session); // calls `done` of what has finished

// --- writer.c, reader.c, direct.c --------------------------------------------------------------------------------------------

dx_status dx_writer_start(dx_sqlite *store);
void dx_writer_stop(dx_sqlite *store); // finishes what waits
// Keeps the writer from taking its next turn, so that another connection of this process gets one; the group under way is finished first.
void dx_writer_park(dx_sqlite *store);
void dx_writer_unpark(dx_sqlite *store);
// Puts the transaction down for a queue; false when that is full, or its wait too long.
bool dx_sqlite_enqueue(dx_sqlite *store, dx_lag *lag, dx_tx *tx);
void dx_writer_submit(dx_sqlite *store, dx_tx *tx);
dx_status dx_readers_start(dx_sqlite *store);
void dx_readers_stop(dx_sqlite *store);
void dx_readers_submit(dx_sqlite *store, dx_tx *tx);
void dx_sqlite_run_direct(dx_store *store, dx_tx *tx);
// The direct connection, made when first asked for; hold direct_lock.
dx_status dx_sqlite_direct(dx_sqlite_conn **out, dx_sqlite *store);
// Closes it again, with what it knows of the schema; hold direct_lock.
void dx_sqlite_direct_rest(dx_sqlite *store);

// --- memory.c ----------------------------------------------------------------------------------------------------------------

extern const struct sqlite3_mem_methods dx_sqlite_memory;

// --- migrate.c ---------------------------------------------------------------------------------------------------------------

dx_status dx_sqlite_migrate(dx_store *store, const dx_table *const *tables, size_t count, bool grow, dx_migration_report *report,
                            dx_diags *diags);

#endif
