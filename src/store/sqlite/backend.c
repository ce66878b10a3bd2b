// SQLite as a backend: opening and closing a store, and the table of functions that the front calls.
#include "store/sqlite/internal.h"

#include "base/memory.h"
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/log.h"

#define STORE_MEMORY_CAP ((size_t)256 << 20) // what numbering knows of tables
#define APPLICATION_ID   0x64757078          // "dupx", in the file's header
#define FORMAT_VERSION   1

// --- tables ------------------------------------------------------------------------------------------------------------------

static dx_sqlite_table *make_table(dx_sqlite *store, dx_map *tables, const dx_table *from) {
    dx_sqlite_table *table = DX_ARENA_NEW(store->arena, dx_sqlite_table);
    if (!table) return NULL;
    table->index = store->table_count++;
    table->numbered = from->columns[0].type == DX_COLUMN_INTEGER;
    table->name = dx_arena_copy(store->arena, from->name);
    table->top_sql = dx_arena_printf(store->arena, "SELECT max(id) FROM \"%.*s\"", DX_SLICE_ARG(from->name));
    table->remove_sql = dx_arena_printf(store->arena, "DELETE FROM \"%.*s\" WHERE id=?1", DX_SLICE_ARG(from->name));
    if (!table->name.data || !table->top_sql.data || !table->remove_sql.data) return NULL;
    return dx_map_put(tables, table->name, table) ? NULL : table;
}

dx_sqlite_table *dx_sqlite_table_of(dx_sqlite *store, const dx_table *from) {
    dx_map *tables = from->columns[0].type == DX_COLUMN_INTEGER ? &store->numbered_tables : &store->named_tables;
    pthread_mutex_lock(&store->arena_lock);
    dx_sqlite_table *table = dx_map_get(tables, from->name);
    if (!table) table = make_table(store, tables, from);
    pthread_mutex_unlock(&store->arena_lock);
    return table;
}

// --- opening -----------------------------------------------------------------------------------------------------------------

// Once a process, before the first connection: no mutexes in connections (each is one thread's), no global count of memory (a mutex at each
// allocation), file names are file names.
static void configure_sqlite(void) {
    (void)sqlite3_config(SQLITE_CONFIG_MULTITHREAD);
    (void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
    (void)sqlite3_config(SQLITE_CONFIG_URI, 0);
    struct sqlite3_mem_methods memory = dx_sqlite_memory; // it keeps a copy, and asks for one that may be written
    (void)sqlite3_config(SQLITE_CONFIG_MALLOC, &memory);
    (void)sqlite3_initialize();
}

static dx_status refuse(dx_sqlite *store, dx_diags *diags, dx_status status, const char *why) {
    (void)dx_diags_add(diags, status, (dx_slice){0}, "the store \"%s\" cannot be used: %s", store->path ? store->path : ":memory:", why);
    return status;
}

// Made by us, so that it is nobody else's to read from the first moment; SQLite gives its companions the same mode. A file that is there is
// not opened: closing it again would drop the locks that this process may hold on it (POSIX).
static dx_status make_file(dx_sqlite *store, dx_diags *diags) {
    int fd = open(store->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd >= 0) {
        (void)close(fd);
        return DX_OK;
    }
    if (errno == EEXIST && access(store->path, R_OK | W_OK) == 0) return DX_OK;
    return refuse(store, diags, DX_STORE_UNAVAILABLE, strerror(errno));
}

static int64_t ask_number(sqlite3 *db, const char *sql, int *code) {
    sqlite3_stmt *stmt = NULL;
    int64_t number = 0;
    *code = sqlite3_prepare_v2(db, sql, -1, &stmt, NULL);
    if (*code == SQLITE_OK && (*code = sqlite3_step(stmt)) == SQLITE_ROW) {
        number = sqlite3_column_int64(stmt, 0);
        *code = SQLITE_OK;
    }
    (void)sqlite3_finalize(stmt);
    return number;
}

static const char own_tables[] = "BEGIN IMMEDIATE;"
                                 "CREATE TABLE IF NOT EXISTS dx_store_tables(name TEXT PRIMARY KEY, definition TEXT NOT NULL)"
                                 " STRICT, WITHOUT ROWID;"
                                 "CREATE TABLE IF NOT EXISTS dx_store_ids(name TEXT PRIMARY KEY, floor INTEGER NOT NULL)"
                                 " STRICT, WITHOUT ROWID;"
                                 "PRAGMA application_id=0x64757078; PRAGMA user_version=1; COMMIT;";

// Sees that the file is ours, or new; makes our own tables.
static dx_status adopt(dx_sqlite *store, dx_sqlite_conn *conn, dx_diags *diags) {
    int code;
    conn->ends = INT64_MAX;
    // In one snapshot: another process may be making the tables this moment.
    code = sqlite3_exec(conn->db, "BEGIN", NULL, NULL, NULL);
    if (code) return refuse(store, diags, dx_sqlite_status(conn, code, NULL), sqlite3_errmsg(conn->db));
    int64_t application = ask_number(conn->db, "PRAGMA application_id", &code);
    int64_t version = code ? 0 : ask_number(conn->db, "PRAGMA user_version", &code);
    int64_t tables = code ? 0 : ask_number(conn->db, "SELECT count(*) FROM sqlite_schema", &code);
    if (!code) code = sqlite3_exec(conn->db, "COMMIT", NULL, NULL, NULL);
    if (code) return refuse(store, diags, dx_sqlite_status(conn, code, NULL), sqlite3_errmsg(conn->db)); // and the connection is closed
    if (application == APPLICATION_ID && version == FORMAT_VERSION) return DX_OK;
    if (application == APPLICATION_ID) return refuse(store, diags, DX_INVALID, "a newer version of duplex made it");
    if (application || tables) return refuse(store, diags, DX_INVALID, "it is the database of another program");
    (void)sqlite3_busy_timeout(conn->db, 5000);
    code = sqlite3_exec(conn->db, own_tables, NULL, NULL, NULL);
    (void)sqlite3_busy_timeout(conn->db, 20);
    if (code == SQLITE_OK) return DX_OK;
    dx_status status = refuse(store, diags, dx_sqlite_status(conn, code, NULL), sqlite3_errmsg(conn->db));
    if (dx_sqlite_in_tx(conn)) (void)dx_sqlite_exec(conn, DX_OWN_ROLLBACK);
    return status;
}

static dx_status set_up(dx_sqlite *store, dx_slice rest, dx_diags *diags) {
    bool memory = dx_slice_equal(rest, DX_SLICE(":memory:"));
    if (!rest.size || memchr(rest.data, '\0', rest.size)) return refuse(store, diags, DX_INVALID, "its URL names no file");
    store->arena = dx_arena_create(STORE_MEMORY_CAP);
    store->sessions = dx_memory_zalloc(store->options.workers ? store->options.workers : 1, sizeof *store->sessions);
    if (!store->arena || !store->sessions) return DX_NO_MEMORY;
    if (!memory) store->path = dx_arena_copy(store->arena, rest).data;
    if (!memory && !store->path) return DX_NO_MEMORY;
    dx_map_init(&store->numbered_tables, store->arena);
    dx_map_init(&store->named_tables, store->arena);
    dx_status status = memory ? DX_OK : make_file(store, diags);
    dx_sqlite_conn *conn = NULL;
    if (!status) {
        status = dx_sqlite_direct(&conn, store);
        if (status) (void)refuse(store, diags, status, "it cannot be opened as a SQLite database");
    }
    if (!status && memory) store->shared = conn;
    return status ? status : adopt(store, conn, diags);
}

static void close_store(dx_store *base) {
    dx_sqlite *store = dx_sqlite_of(base);
    atomic_store(&store->closing, true);
    dx_writer_stop(store);
    dx_readers_stop(store);
    for (unsigned i = 0; store->sessions && i < store->options.workers; i++) {
        if (store->sessions[i]) dx_session_drain(store->sessions[i]);
    }
    for (unsigned i = 0; store->sessions && i < store->options.workers; i++) dx_sqlite_session_end(store->sessions[i]);
    dx_memory_free(store->sessions);
    dx_sqlite_disconnect(store->direct);
    dx_sqlite_keeps_end(store);
    dx_arena_destroy(store->arena);
    pthread_mutex_destroy(&store->arena_lock);
    pthread_mutex_destroy(&store->keeps_lock);
    pthread_mutex_destroy(&store->shared_lock);
    pthread_mutex_destroy(&store->direct_lock);
    pthread_mutex_destroy(&store->writer.lock);
    pthread_cond_destroy(&store->writer.wake);
    pthread_mutex_destroy(&store->readers.lock);
    pthread_cond_destroy(&store->readers.wake);
    dx_memory_free(store);
}

static dx_status open_store(dx_store **out, dx_slice rest, const dx_store_options *options, dx_diags *diags) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, configure_sqlite);
    dx_sqlite *store = dx_memory_zalloc(1, sizeof *store);
    if (!store) return DX_NO_MEMORY;
    store->base.backend = &dx_sqlite_backend;
    store->options = *options;
    atomic_init(&store->wait, options->wait);
    pthread_mutex_init(&store->arena_lock, NULL);
    pthread_mutex_init(&store->keeps_lock, NULL);
    pthread_mutex_init(&store->shared_lock, NULL);
    pthread_mutex_init(&store->direct_lock, NULL);
    pthread_mutex_init(&store->writer.lock, NULL);
    pthread_cond_init(&store->writer.wake, NULL);
    pthread_mutex_init(&store->readers.lock, NULL);
    pthread_cond_init(&store->readers.wake, NULL);
    dx_status status = set_up(store, rest, diags);
    if (status) {
        close_store(&store->base);
        return status;
    }
    *out = &store->base;
    return DX_OK;
}

static void set_wait(dx_store *base, dx_nanos wait) {
    atomic_store_explicit(&dx_sqlite_of(base)->wait, wait, memory_order_relaxed);
}

const dx_backend dx_sqlite_backend = {
    .scheme = DX_SLICE_INIT("sqlite"),
    .open = open_store,
    .close = close_store,
    .migrate = dx_sqlite_migrate,
    .keep_create = dx_sqlite_keep_create,
    .keep_destroy = dx_sqlite_keep_destroy,
    .keep = dx_sqlite_keep_statement,
    .statement = dx_sqlite_statement,
    .session = dx_sqlite_session_start,
    .submit = dx_sqlite_submit,
    .run = dx_sqlite_run_direct,
    .set_wait = set_wait,
    .check = dx_sqlite_check,
    .watch = dx_sqlite_watch,
    .row_columns = dx_sqlite_row_columns,
    .row_value = dx_sqlite_row_value,
};
