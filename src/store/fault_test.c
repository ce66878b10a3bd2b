// What must hold when the ground gives way: the disk is full or fails at any write, memory runs out at any allocation, the process is
// killed. Nothing acknowledged is lost, nothing is half done, and the store goes on.
#include "store/fixture.h"

#include "base/log.h"
#include "base/memory.h"

#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

// --- a file system that fails ------------------------------------------------------------------------------------------------

// The system's own, but the n-th write or sync fails, and every later one until it is mended.
static sqlite3_vfs failing;
static sqlite3_vfs *real;
static atomic_long writes_left = LONG_MAX;
static atomic_int failure;

typedef struct failing_file {
    sqlite3_file base;
    sqlite3_file *real;
} failing_file;

static sqlite3_file *behind(sqlite3_file *file) {
    return ((failing_file *)(void *)file)->real;
}

static bool fails(void) {
    return atomic_fetch_sub(&writes_left, 1) <= 0;
}

static int file_close(sqlite3_file *file) {
    return behind(file)->pMethods->xClose(behind(file));
}
static int file_read(sqlite3_file *file, void *data, int size, sqlite3_int64 at) {
    return behind(file)->pMethods->xRead(behind(file), data, size, at);
}
static int file_write(sqlite3_file *file, const void *data, int size, sqlite3_int64 at) {
    if (fails()) return atomic_load(&failure);
    return behind(file)->pMethods->xWrite(behind(file), data, size, at);
}
static int file_truncate(sqlite3_file *file, sqlite3_int64 size) {
    return behind(file)->pMethods->xTruncate(behind(file), size);
}
static int file_sync(sqlite3_file *file, int flags) {
    if (fails()) return SQLITE_IOERR_FSYNC;
    return behind(file)->pMethods->xSync(behind(file), flags);
}
static int file_size(sqlite3_file *file, sqlite3_int64 *size) {
    return behind(file)->pMethods->xFileSize(behind(file), size);
}
static int file_lock(sqlite3_file *file, int level) {
    return behind(file)->pMethods->xLock(behind(file), level);
}
static int file_unlock(sqlite3_file *file, int level) {
    return behind(file)->pMethods->xUnlock(behind(file), level);
}
static int file_reserved(sqlite3_file *file, int *out) {
    return behind(file)->pMethods->xCheckReservedLock(behind(file), out);
}
static int file_control(sqlite3_file *file, int op, void *arg) {
    return behind(file)->pMethods->xFileControl(behind(file), op, arg);
}
static int file_sector(sqlite3_file *file) {
    return behind(file)->pMethods->xSectorSize(behind(file));
}
static int file_traits(sqlite3_file *file) {
    return behind(file)->pMethods->xDeviceCharacteristics(behind(file));
}
static int file_shm_map(sqlite3_file *file, int page, int size, int extend, void volatile **out) {
    return behind(file)->pMethods->xShmMap(behind(file), page, size, extend, out);
}
static int file_shm_lock(sqlite3_file *file, int offset, int count, int flags) {
    return behind(file)->pMethods->xShmLock(behind(file), offset, count, flags);
}
static void file_shm_barrier(sqlite3_file *file) {
    behind(file)->pMethods->xShmBarrier(behind(file));
}
static int file_shm_unmap(sqlite3_file *file, int erase) {
    return behind(file)->pMethods->xShmUnmap(behind(file), erase);
}

static const sqlite3_io_methods failing_methods = {2,           file_close,   file_read,     file_write,       file_truncate,  file_sync,
                                                   file_size,   file_lock,    file_unlock,   file_reserved,    file_control,   file_sector,
                                                   file_traits, file_shm_map, file_shm_lock, file_shm_barrier, file_shm_unmap, NULL,
                                                   NULL};

static int failing_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *out_flags) {
    (void)vfs;
    failing_file *outer = (failing_file *)(void *)file;
    outer->base.pMethods = NULL;
    outer->real = (sqlite3_file *)(void *)(outer + 1);
    int code = real->xOpen(real, name, outer->real, flags, out_flags);
    if (code == SQLITE_OK) outer->base.pMethods = &failing_methods;
    return code;
}

static void install_failing_disk(void) {
    dx_store_close(test_open("sqlite::memory:")); // SQLite is set up by its first use
    real = sqlite3_vfs_find(NULL);
    failing = *real;
    failing.zName = "failing";
    failing.szOsFile = (int)sizeof(failing_file) + real->szOsFile;
    failing.xOpen = failing_open;
    assert_int_equal(sqlite3_vfs_register(&failing, 1), SQLITE_OK);
}

static void break_disk(long after, int how) {
    atomic_store(&failure, how);
    atomic_store(&writes_left, after);
}

static bool mend_disk(void) {
    bool failed = atomic_load(&writes_left) < 0;
    atomic_store(&writes_left, LONG_MAX);
    return failed;
}

// --- fixture -----------------------------------------------------------------------------------------------------------------

typedef struct fixture {
    test_file file;
    dx_store *store;
    const dx_statement *insert;
    dx_loop *loop;
    dx_session *session;
} fixture;

static int set_up(void **state) {
    static fixture f;
    dx_log_setup(DX_LOG_OFF, NULL, NULL);
    test_file_make(&f.file);
    f.store = test_open(f.file.url);
    (void)test_migrate(f.store, &test_items);
    f.insert = test_insert(f.store);
    assert_int_equal(dx_loop_create(&f.loop), DX_OK);
    f.session = dx_store_session(f.store, 0, f.loop);
    assert_non_null(f.session);
    *state = &f;
    return 0;
}

static int tear_down(void **state) {
    fixture *f = *state;
    dx_store_close(f->store);
    dx_loop_destroy(f->loop);
    test_file_remove(&f->file);
    return 0;
}

enum { GROUP = 8 };
static test_tx txs[GROUP];
static char names[GROUP][32];
static size_t waiting;
static fixture *current;

static void count_down(test_tx *tx) {
    (void)tx;
    if (--waiting == 0) dx_loop_stop(current->loop);
}

static void submit_all(dx_task *task) {
    (void)task;
    for (size_t i = 0; i < GROUP; i++) dx_store_submit(current->session, &txs[i].tx);
}

// A group of inserts of `size` bytes each, run to the end; how many were acknowledged.
static size_t write_group(fixture *f, long round, size_t size) {
    static const uint16_t columns[] = {ITEM_NAME, ITEM_DATA};
    static const dx_statement *insert;
    static char data[1 << 20];
    dx_query query = DX_QUERY_INIT(DX_QUERY_INSERT, &test_items);
    query.columns = columns;
    query.column_count = 2;
    insert = test_keep(f->store, &query);
    current = f;
    waiting = GROUP;
    for (size_t i = 0; i < GROUP; i++) {
        (void)snprintf(names[i], sizeof names[i], "%ld-%zu", round, i);
        test_tx_init(&txs[i], DX_TX_WRITE);
        (void)test_tx_add(&txs[i], insert, 2, DX_TEXT_VALUE(dx_slice_str(names[i])), DX_BLOB_VALUE(dx_slice_of(data, size)));
        txs[i].then = count_down;
    }
    dx_task task = {.run = submit_all};
    dx_loop_post(f->loop, &task);
    assert_int_equal(dx_loop_run(f->loop), DX_OK);
    size_t acknowledged = 0;
    for (size_t i = 0; i < GROUP; i++) acknowledged += txs[i].status == DX_OK;
    return acknowledged;
}

// --- the disk ----------------------------------------------------------------------------------------------------------------

// Fails the n-th write for n = 1, 2, … until a whole group passes; after each failure everything must be as before, and work again.
static void fail_each_write(fixture *f, int how, dx_status expected, size_t size, long step) {
    int64_t acknowledged = test_count(f->store, &test_items);
    for (long n = 0;; n += step) {
        break_disk(n, how);
        acknowledged += (int64_t)write_group(f, n, size);
        bool failed = mend_disk();
        for (size_t i = 0; i < GROUP; i++) {
            dx_status status = txs[i].status;
            if (status) assert_true(status == expected || status == DX_STORE_UNAVAILABLE);
        }
        assert_int_equal(test_count(f->store, &test_items), acknowledged);
        assert_int_equal(dx_store_check(f->session), DX_OK);
        assert_int_equal(write_group(f, n + 100000, 10), GROUP);
        acknowledged += GROUP;
        if (!failed) break;
    }
    assert_string_equal(test_file_sql(&f->file, "PRAGMA integrity_check"), "ok");
}

static void a_full_disk_is_said_and_nothing_is_half_done(void **state) {
    fail_each_write(*state, SQLITE_FULL, DX_STORE_FULL, 100, 1);
}

static void a_failing_disk_is_said_and_nothing_is_half_done(void **state) {
    fail_each_write(*state, SQLITE_IOERR_WRITE, DX_STORE_UNAVAILABLE, 100, 1);
}

// Larger than the writer's cache: SQLite writes before the commit, in the middle of a statement.
static void a_disk_that_fails_within_a_statement_loses_no_neighbour_silently(void **state) {
    fail_each_write(*state, SQLITE_FULL, DX_STORE_FULL, 1 << 20, 500);
}

// --- memory ------------------------------------------------------------------------------------------------------------------

static dx_status open_write_read(const char *url) {
    dx_store *store = NULL;
    dx_status status = dx_store_open(&store, dx_slice_str(url), NULL, NULL);
    if (status) return status;
    const dx_table *table = &test_items;
    status = dx_store_migrate(store, &table, 1, NULL, NULL);
    static const uint16_t columns[] = {ITEM_NAME};
    dx_query query = DX_QUERY_INIT(DX_QUERY_INSERT, &test_items);
    query.columns = columns;
    query.column_count = 1;
    const dx_statement *insert = NULL;
    dx_keep *keep = status ? NULL : dx_keep_create(store);
    if (!status) status = keep ? dx_statement_keep(&insert, keep, &query) : DX_NO_MEMORY;
    if (!status) {
        test_tx tx;
        test_tx_init(&tx, DX_TX_WRITE);
        char name[32];
        (void)snprintf(name, sizeof name, "%lx", (unsigned long)random());
        (void)test_tx_add(&tx, insert, 1, DX_TEXT_VALUE(dx_slice_str(name)));
        status = test_run(store, &tx);
    }
    dx_keep_destroy(keep);
    dx_store_close(store);
    return status;
}

static void every_allocation_may_fail(void **state) {
    (void)state;
    test_file file;
    test_file_make(&file);
    for (uint64_t n = 1;; n++) {
        dx_memory_fail_at(n, false);
        dx_status status = open_write_read(file.url);
        bool reached = dx_memory_fail_stop();
        // SQLite can do without some of them (a cache that does not grow); what it cannot do without is said.
        if (status) assert_int_equal(status, DX_NO_MEMORY);
        if (!reached) {
            assert_int_equal(status, DX_OK);
            break;
        }
        if (n % 50 == 0) assert_int_equal(open_write_read(file.url), DX_OK);
    }
    assert_string_equal(test_file_sql(&file, "PRAGMA integrity_check"), "ok");
    test_file_remove(&file);
}

// --- the process -------------------------------------------------------------------------------------------------------------

// The child writes from two loops as fast as it can and says each id once it is acknowledged; it is killed in the middle.
typedef struct writer {
    dx_store *store;
    const dx_statement *insert;
    unsigned index;
    int out;
    dx_loop *loop;
    dx_session *session;
    dx_task begin;
    test_tx txs[16];
    char names[16][32];
    unsigned long serial;
} child_writer;

static void next_write(child_writer *writer, size_t slot);

static void say_and_go_on(test_tx *tx) {
    child_writer *writer = tx->ctx;
    if (tx->status) _exit(3);
    if (write(writer->out, &tx->integers[0], sizeof tx->integers[0]) != sizeof tx->integers[0]) _exit(4);
    next_write(writer, (size_t)(tx - writer->txs));
}

static void next_write(child_writer *writer, size_t slot) {
    test_tx *tx = &writer->txs[slot];
    test_tx_init(tx, DX_TX_WRITE);
    tx->then = say_and_go_on;
    tx->ctx = writer;
    (void)snprintf(writer->names[slot], sizeof writer->names[slot], "%u-%lu", writer->index, writer->serial++);
    (void)test_tx_add(tx, writer->insert, 2, DX_TEXT_VALUE(dx_slice_str(writer->names[slot])), DX_INT_VALUE(1));
    dx_store_submit(writer->session, &tx->tx);
}

static void begin_writing(dx_task *task) {
    child_writer *writer = DX_CONTAINER_OF(task, child_writer, begin);
    for (size_t i = 0; i < COUNT(writer->txs); i++) next_write(writer, i);
}

static void *write_forever(void *ctx) {
    child_writer *writer = ctx;
    if (dx_loop_create(&writer->loop)) _exit(5);
    writer->session = dx_store_session(writer->store, writer->index, writer->loop);
    if (!writer->session) _exit(6);
    writer->begin.run = begin_writing;
    dx_loop_post(writer->loop, &writer->begin);
    (void)!dx_loop_run(writer->loop);
    return NULL;
}

static void be_the_child(const char *url, int out) {
    dx_store_options options = DX_STORE_OPTIONS_INIT;
    options.workers = 2;
    static child_writer writers[2];
    dx_store *store = test_open_with(url, &options);
    (void)test_migrate(store, &test_items);
    const dx_statement *insert = test_insert(store);
    pthread_t threads[2];
    for (unsigned i = 0; i < 2; i++) {
        writers[i] = (child_writer){.store = store, .insert = insert, .index = i, .out = out};
        if (pthread_create(&threads[i], NULL, write_forever, &writers[i])) _exit(7);
    }
    for (unsigned i = 0; i < 2; i++) (void)pthread_join(threads[i], NULL);
    _exit(8);
}

enum { ENOUGH = 3000 };

static void nothing_acknowledged_is_lost_by_a_kill(void **state) {
    (void)state;
    test_file file;
    test_file_make(&file);
    int out[2];
    assert_int_equal(pipe(out), 0);
    pid_t child = fork();
    if (child == 0) {
        (void)close(out[0]);
        be_the_child(file.url, out[1]);
    }
    (void)close(out[1]);
    static int64_t ids[1 << 20];
    size_t count = 0;
    int64_t id;
    bool killed = false;
    while (count < COUNT(ids) && read(out[0], &id, sizeof id) == sizeof id) {
        ids[count++] = id;
        if (count < ENOUGH || killed) continue;
        assert_int_equal(kill(child, SIGKILL), 0);
        killed = true; // what it said before it died is still in the pipe
    }
    int how;
    assert_int_equal(waitpid(child, &how, 0), child);
    assert_true(killed && WIFSIGNALED(how));
    (void)close(out[0]);
    dx_store *store = test_open(file.url);
    (void)test_migrate(store, &test_items);
    const dx_statement *select = test_select(store);
    for (size_t i = 0; i < count; i++) {
        test_tx tx;
        test_tx_init(&tx, DX_TX_BRIEF);
        (void)test_tx_add(&tx, select, 1, DX_INT_VALUE(ids[i]));
        assert_int_equal(test_run(store, &tx), DX_OK);
        assert_int_equal(tx.rows, 1);
    }
    dx_store_close(store);
    assert_string_equal(test_file_sql(&file, "PRAGMA integrity_check"), "ok");
    test_file_remove(&file);
}

int main(void) {
    (void)signal(SIGPIPE, SIG_IGN);
    install_failing_disk();
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_acknowledged_is_lost_by_a_kill),
        TEST(a_full_disk_is_said_and_nothing_is_half_done),
        TEST(a_failing_disk_is_said_and_nothing_is_half_done),
        TEST(a_disk_that_fails_within_a_statement_loses_no_neighbour_silently),
        TEST(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
