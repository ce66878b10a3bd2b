// A connection: how it is set up, its budget of time, and its prepared statements. Kept statements are found by a number, passing ones by
// the hash of their text; both stand in one list by last use, so that a thousand resources do not mean ten thousand prepared statements
// on every thread.
#include "store/sqlite/internal.h"

#include "base/memory.h"

#include "base/log.h"

struct dx_sqlite_prepared {
    sqlite3_stmt *stmt;
    dx_sqlite_prepared *newer, *older;
    dx_sqlite_prepared *next; // in its bucket
    uint64_t hash;            // the statement's
    size_t bytes;             // that it takes
    uint32_t kept;
};

// --- opening -----------------------------------------------------------------------------------------------------------------

// Steps of SQLite's machine between two looks at the clock: some 50 µs.
#define OPEN_PATIENCE  (5 * DX_SECOND)
#define PROGRESS_STEPS 1000
// The longest text, blob or row.
#define LENGTH_CAP (64 << 20)
// The write-ahead log is cut back to this after a checkpoint, when it ever grew larger.
#define JOURNAL_SIZE_CAP "33554432"

static const char common_setup[] = "PRAGMA foreign_keys=ON; PRAGMA trusted_schema=OFF; PRAGMA cell_size_check=ON; PRAGMA temp_store=MEMORY;"
                                   "PRAGMA secure_delete=FAST; PRAGMA mmap_size=0;";
static const char file_setup[] = "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA journal_size_limit=" JOURNAL_SIZE_CAP ";";
static const char memory_setup[] = "PRAGMA journal_mode=MEMORY; PRAGMA synchronous=OFF;";

// How each role differs. The cache is a bound, not a start: pages are taken as they are read. A busy wait sleeps, so the loop's is short;
// the writer has its own patience (write.c).
static const struct {
    const char *setup;
    int busy_ms;
} roles[] = {
    [DX_ROLE_WRITER] = {"PRAGMA cache_size=-4096; PRAGMA wal_autocheckpoint=0;", 20},
    [DX_ROLE_READER] = {"PRAGMA cache_size=-1024; PRAGMA query_only=ON;", 1000},
    [DX_ROLE_LOOP] = {"PRAGMA cache_size=-2048; PRAGMA query_only=ON;", 5},
    [DX_ROLE_DIRECT] = {"PRAGMA cache_size=-1024; PRAGMA wal_autocheckpoint=1000;", 20},
};

// Not zero: the running statement has used up its time. The clock is first read here, so a short statement never reads it.
static int watch_time(void *ctx) {
    dx_sqlite_conn *conn = ctx;
    dx_nanos now = dx_clock_monotonic();
    if (!conn->ends) {
        conn->ends = now + conn->budget;
        return 0;
    }
    conn->out_of_time = now >= conn->ends;
    return conn->out_of_time;
}

static void configure(dx_sqlite_conn *conn) {
    sqlite3 *db = conn->db;
    (void)sqlite3_extended_result_codes(db, 1);
    (void)sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    (void)sqlite3_db_config(db, SQLITE_DBCONFIG_DQS_DML, 0, NULL);
    (void)sqlite3_db_config(db, SQLITE_DBCONFIG_DQS_DDL, 0, NULL);
    (void)sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_VIEW, 0, NULL);
    // Plans do not depend on what is bound, so binding a pattern never prepares again.
    (void)sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_QPSG, 1, NULL);
    (void)sqlite3_limit(db, SQLITE_LIMIT_LENGTH, LENGTH_CAP);
    (void)sqlite3_limit(db, SQLITE_LIMIT_ATTACHED, 0);
    (void)sqlite3_limit(db, SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 4096);
    (void)sqlite3_limit(db, SQLITE_LIMIT_VARIABLE_NUMBER, DX_QUERY_PARAM_CAP + 1);
    sqlite3_progress_handler(db, PROGRESS_STEPS, watch_time, conn);
}

// Turning a new file to WAL takes it alone, and SQLite does not wait by itself where two who wait could block each other: so several
// processes that open a file at the same time must try again.
static int set_up_file(sqlite3 *db) {
    const dx_nanos until = dx_clock_monotonic() + OPEN_PATIENCE;
    int code = sqlite3_exec(db, file_setup, NULL, NULL, NULL);
    while ((code & 0xff) == SQLITE_BUSY && dx_clock_monotonic() < until) {
        (void)sqlite3_sleep(2);
        code = sqlite3_exec(db, file_setup, NULL, NULL, NULL);
    }
    return code;
}

static dx_status open_db(dx_sqlite_conn *conn, dx_sqlite_role role) {
    const char *path = conn->store->path;
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
    if (!path) flags |= SQLITE_OPEN_CREATE | SQLITE_OPEN_MEMORY;
    int code = sqlite3_open_v2(path ? path : ":memory:", &conn->db, flags, NULL);
    if (!conn->db) return DX_NO_MEMORY;
    if (code == SQLITE_OK) {
        (void)sqlite3_busy_timeout(conn->db, 2000); // another process may be opening it, too
        configure(conn);
        code = path ? set_up_file(conn->db) : sqlite3_exec(conn->db, memory_setup, NULL, NULL, NULL);
    }
    if (code == SQLITE_OK) code = sqlite3_exec(conn->db, common_setup, NULL, NULL, NULL);
    // In memory one connection plays every role, so it must be allowed what the writer may.
    if (code == SQLITE_OK) code = sqlite3_exec(conn->db, roles[path ? role : DX_ROLE_WRITER].setup, NULL, NULL, NULL);
    if (code != SQLITE_OK) return dx_sqlite_status(conn, code, NULL);
    (void)sqlite3_busy_timeout(conn->db, roles[role].busy_ms);
    return DX_OK;
}

dx_status dx_sqlite_connect(dx_sqlite_conn **out, dx_sqlite *store, dx_sqlite_role role) {
    *out = NULL;
    dx_sqlite_conn *conn = dx_memory_zalloc(1, sizeof *conn);
    if (!conn) return DX_NO_MEMORY;
    conn->store = store;
    conn->epoch = 1;
    conn->budget = role == DX_ROLE_LOOP ? store->options.brief_time : store->options.statement_time;
    dx_status status = open_db(conn, role);
    if (status) {
        dx_sqlite_disconnect(conn);
        return status;
    }
    *out = conn;
    return DX_OK;
}

static void free_prepared(dx_sqlite_prepared *prepared) {
    (void)sqlite3_finalize(prepared->stmt);
    dx_memory_free(prepared);
}

void dx_sqlite_disconnect(dx_sqlite_conn *conn) {
    if (!conn) return;
    for (dx_sqlite_prepared *at = conn->newest; at;) {
        dx_sqlite_prepared *older = at->older;
        free_prepared(at);
        at = older;
    }
    for (size_t i = 0; i < DX_OWN_COUNT; i++) (void)sqlite3_finalize(conn->own[i]);
    if (conn->db) (void)sqlite3_close(conn->db);
    dx_memory_free(conn->kept);
    dx_memory_free(conn->numbering);
    dx_memory_free(conn);
}

// --- prepared statements -----------------------------------------------------------------------------------------------------

static void unlink_use(dx_sqlite_conn *conn, dx_sqlite_prepared *prepared) {
    *(prepared->newer ? &prepared->newer->older : &conn->newest) = prepared->older;
    *(prepared->older ? &prepared->older->newer : &conn->oldest) = prepared->newer;
}

static void link_use(dx_sqlite_conn *conn, dx_sqlite_prepared *prepared) {
    prepared->newer = NULL;
    prepared->older = conn->newest;
    *(conn->newest ? &conn->newest->newer : &conn->oldest) = prepared;
    conn->newest = prepared;
}

static void evict(dx_sqlite_conn *conn, dx_sqlite_prepared *prepared) {
    unlink_use(conn, prepared);
    if (prepared->kept != DX_SQLITE_PASSING) {
        conn->kept[prepared->kept] = NULL;
    } else {
        dx_sqlite_prepared **at = &conn->buckets[prepared->hash % DX_SQLITE_BUCKETS];
        while (*at != prepared) at = &(*at)->next;
        *at = prepared->next;
    }
    conn->prepared_count--;
    conn->prepared_bytes -= prepared->bytes;
    free_prepared(prepared);
}

// Gives up what belonged to keeps that are gone since the last look.
static void sweep(dx_sqlite_conn *conn) {
    uint64_t gone = atomic_load_explicit(&conn->store->keeps_gone, memory_order_acquire);
    if (DX_LIKELY(conn->swept == gone)) return;
    conn->swept = gone;
    for (dx_sqlite_prepared *at = conn->newest; at;) {
        dx_sqlite_prepared *older = at->older;
        if (at->kept != DX_SQLITE_PASSING && !dx_sqlite_place_lives(conn->store, at->kept, at->hash)) evict(conn, at);
        at = older;
    }
}

static dx_sqlite_prepared *find_kept(const dx_sqlite_conn *conn, const dx_statement *statement) {
    dx_sqlite_prepared *prepared = statement->kept < conn->kept_size ? conn->kept[statement->kept] : NULL;
    return prepared && prepared->hash == statement->hash ? prepared : NULL;
}

static dx_sqlite_prepared *find_prepared(dx_sqlite_conn *conn, const dx_statement *statement) {
    if (statement->kept != DX_SQLITE_PASSING) return find_kept(conn, statement);
    dx_sqlite_prepared *at = conn->buckets[statement->hash % DX_SQLITE_BUCKETS];
    for (; at; at = at->next) {
        if (at->hash == statement->hash && dx_slice_equal(dx_slice_str(sqlite3_sql(at->stmt)), statement->sql)) return at;
    }
    return NULL;
}

static dx_status room_for_kept(dx_sqlite_conn *conn, uint32_t kept) {
    if (kept < conn->kept_size) return DX_OK;
    uint32_t size = dx_sqlite_place_count(conn->store);
    dx_sqlite_prepared **larger = dx_memory_realloc(conn->kept, size * sizeof(dx_sqlite_prepared *));
    if (!larger) return DX_NO_MEMORY;
    memset(larger + conn->kept_size, 0, (size - conn->kept_size) * sizeof(dx_sqlite_prepared *));
    conn->kept = larger;
    conn->kept_size = size;
    return DX_OK;
}

static void add_prepared(dx_sqlite_conn *conn, dx_sqlite_prepared *prepared) {
    prepared->bytes = (size_t)sqlite3_stmt_status(prepared->stmt, SQLITE_STMTSTATUS_MEMUSED, 0);
    while (conn->oldest &&
           (conn->prepared_count >= DX_SQLITE_PREPARED_CAP || conn->prepared_bytes + prepared->bytes > DX_SQLITE_PREPARED_BYTES))
        evict(conn, conn->oldest);
    if (prepared->kept != DX_SQLITE_PASSING) {
        conn->kept[prepared->kept] = prepared;
    } else {
        dx_sqlite_prepared **bucket = &conn->buckets[prepared->hash % DX_SQLITE_BUCKETS];
        prepared->next = *bucket;
        *bucket = prepared;
    }
    link_use(conn, prepared);
    conn->prepared_count++;
    conn->prepared_bytes += prepared->bytes;
}

DX_COLD static dx_sqlite_prepared *prepare_new(dx_sqlite_conn *conn, const dx_statement *statement, dx_status *status) {
    bool kept = statement->kept != DX_SQLITE_PASSING;
    sweep(conn); // so its place, when it has one, is free
    *status = kept ? room_for_kept(conn, statement->kept) : DX_OK;
    if (*status) return NULL;
    dx_sqlite_prepared *prepared = dx_memory_zalloc(1, sizeof *prepared);
    if (!prepared) {
        *status = DX_NO_MEMORY;
        return NULL;
    }
    prepared->kept = statement->kept;
    prepared->hash = statement->hash;
    int code = sqlite3_prepare_v3(conn->db, statement->sql.data, (int)statement->sql.size + 1, kept ? SQLITE_PREPARE_PERSISTENT : 0,
                                  &prepared->stmt, NULL);
    if (code != SQLITE_OK) {
        *status = dx_sqlite_status(conn, code, statement);
        dx_memory_free(prepared);
        return NULL;
    }
    add_prepared(conn, prepared);
    return prepared;
}

sqlite3_stmt *dx_sqlite_prepare(dx_sqlite_conn *conn, const dx_statement *statement, dx_status *status) {
    dx_sqlite_prepared *prepared = find_prepared(conn, statement);
    if (DX_UNLIKELY(!prepared)) {
        prepared = prepare_new(conn, statement, status);
        return prepared ? prepared->stmt : NULL;
    }
    if (prepared != conn->newest) {
        unlink_use(conn, prepared);
        link_use(conn, prepared);
    }
    return prepared->stmt;
}

// --- the backend's own -------------------------------------------------------------------------------------------------------

static const char *const own_sql[] = {
    [DX_OWN_BEGIN] = "BEGIN",
    [DX_OWN_BEGIN_WRITE] = "BEGIN IMMEDIATE",
    [DX_OWN_COMMIT] = "COMMIT",
    [DX_OWN_ROLLBACK] = "ROLLBACK",
    [DX_OWN_SAVEPOINT] = "SAVEPOINT tx",
    [DX_OWN_RELEASE] = "RELEASE tx",
    [DX_OWN_ROLLBACK_TO] = "ROLLBACK TO tx",
    [DX_OWN_DATA_VERSION] = "PRAGMA data_version",
    [DX_OWN_FLOOR_READ] = "SELECT floor FROM dx_store_ids WHERE name=?1",
    [DX_OWN_FLOOR_WRITE] = "INSERT INTO dx_store_ids(name,floor) VALUES(?1,?2) ON CONFLICT(name) DO UPDATE SET floor=max(floor,?2)",
    [DX_OWN_CHECK] = "SELECT count(*) FROM (SELECT 1 FROM dx_store_tables LIMIT 1)",
};

sqlite3_stmt *dx_sqlite_own_stmt(dx_sqlite_conn *conn, dx_sqlite_own which) {
    if (DX_UNLIKELY(!conn->own[which])) {
        (void)sqlite3_prepare_v3(conn->db, own_sql[which], -1, SQLITE_PREPARE_PERSISTENT, &conn->own[which], NULL);
    }
    return conn->own[which];
}

int dx_sqlite_exec(dx_sqlite_conn *conn, dx_sqlite_own which) {
    sqlite3_stmt *stmt = dx_sqlite_own_stmt(conn, which);
    if (!stmt) return sqlite3_extended_errcode(conn->db);
    conn->ends = INT64_MAX; // no budget: what a COMMIT does must not be cut short
    int code = sqlite3_step(stmt);
    (void)sqlite3_reset(stmt);
    return code == SQLITE_DONE ? SQLITE_OK : code;
}
