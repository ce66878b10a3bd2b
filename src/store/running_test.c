// What changes under a running store: kept statements that come and go with each definition, tables that are migrated while others write
// and read, and a second process on the same file while one binary hands over to the next.
#include "store/fixture.h"

#include "store/sqlite/internal.h"

#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

typedef struct fixture {
    test_file file;
    dx_store *store;
    dx_loop *loop;
    dx_session *session;
} fixture;

static int set_up(void **state) {
    static fixture f;
    test_file_make(&f.file);
    f.store = test_open(f.file.url);
    (void)test_migrate(f.store, &test_items);
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

static const uint16_t name_column[] = {ITEM_NAME}, id_column[] = {ITEM_ID};
static const dx_expr by_id = {.kind = DX_EXPR_COMPARE, .column = ITEM_ID, .compare = DX_EQUAL};

static const dx_statement *keep_insert(dx_keep *keep) {
    dx_query query = DX_QUERY_INIT(DX_QUERY_INSERT, &test_items);
    query.columns = name_column;
    query.column_count = 1;
    query.returning = id_column;
    query.returning_count = 1;
    const dx_statement *out = NULL;
    assert_int_equal(dx_statement_keep(&out, keep, &query), DX_OK);
    return out;
}

static const dx_statement *keep_select(dx_keep *keep, const uint16_t *columns, uint16_t count) {
    dx_query query = DX_QUERY_INIT(DX_QUERY_SELECT, &test_items);
    query.columns = columns;
    query.column_count = count;
    query.where = &by_id;
    const dx_statement *out = NULL;
    assert_int_equal(dx_statement_keep(&out, keep, &query), DX_OK);
    return out;
}

// --- keeps -------------------------------------------------------------------------------------------------------------------

static void stop_loop(test_tx *tx) {
    dx_loop_stop(tx->ctx);
}

typedef struct posted {
    dx_task task;
    fixture *f;
    test_tx *tx;
} posted;

static void submit_posted(dx_task *task) {
    posted *post = DX_CONTAINER_OF(task, posted, task);
    dx_store_submit(post->f->session, &post->tx->tx);
}

// Submits on the loop and runs that until the transaction is done.
static void run_on_loop(fixture *f, test_tx *tx) {
    posted post = {.task = {.run = submit_posted}, .f = f, .tx = tx};
    tx->then = stop_loop;
    tx->ctx = f->loop;
    dx_loop_post(f->loop, &post.task);
    assert_int_equal(dx_loop_run(f->loop), DX_OK);
    assert_true(tx->done);
}

enum { GENERATIONS = 200, STATEMENTS = 30 };

// A generation's statements differ from those of the one before the last, whose places they get, so a mix-up shows in the rows.
static void use_generation(fixture *f, dx_keep *keep, int generation) {
    static test_tx tx;
    const dx_statement *insert = keep_insert(keep), *select = NULL;
    uint16_t columns[] = {ITEM_ID, ITEM_NAME};
    bool name_first = generation / 2 % 2;
    if (name_first) columns[0] = ITEM_NAME, columns[1] = ITEM_ID;
    for (int i = 0; i < STATEMENTS; i++) select = keep_select(keep, columns, 2);
    char name[32], expected[64];
    (void)snprintf(name, sizeof name, "g%d", generation);
    test_tx_init(&tx, DX_TX_WRITE);
    (void)test_tx_add(&tx, insert, 1, DX_TEXT_VALUE(dx_slice_str(name)));
    run_on_loop(f, &tx);
    assert_int_equal(tx.status, DX_OK);
    int64_t id = tx.integers[0];
    (void)snprintf(expected, sizeof expected, name_first ? "%s,%d;" : "%.0s%d,g%d;", name, (int)id, generation);
    for (int mode = 0; mode < 2; mode++) {
        test_tx_init(&tx, mode ? DX_TX_READ : DX_TX_BRIEF);
        (void)test_tx_add(&tx, select, 1, DX_INT_VALUE(id));
        run_on_loop(f, &tx);
        assert_string_equal(tx.text, expected);
    }
}

static void two_hundred_generations_of_statements_take_the_memory_of_two(void **state) {
    fixture *f = *state;
    dx_sqlite *store = dx_sqlite_of(f->store);
    const dx_sqlite_conn *conn = store->sessions[0]->conn;
    dx_keep *old = NULL;
    for (int generation = 0; generation < GENERATIONS; generation++) {
        dx_keep *keep = dx_keep_create(f->store);
        use_generation(f, keep, generation);
        dx_keep_destroy(old);
        old = keep;
    }
    assert_true(dx_sqlite_place_count(store) <= 2 * (STATEMENTS + 1));
    assert_true(conn->prepared_count <= 4 && conn->kept_size <= 2 * (STATEMENTS + 1));
    assert_true(store->writer.conn->prepared_count <= 6);
    assert_int_equal(store->table_count, 1);
    dx_keep_destroy(old);
    assert_null(store->keeps);
}

static void a_keep_that_is_left_goes_with_the_store(void **state) {
    fixture *f = *state;
    (void)keep_insert(dx_keep_create(f->store));
    (void)dx_keep_create(f->store); // the tear-down closes the store; the leak check says the rest
}

// --- migrating ---------------------------------------------------------------------------------------------------------------

// Writes and reads on the loop, without a pause, until the migrations on another thread are through.
typedef struct traffic {
    fixture *f;
    const dx_statement *insert, *select;
    dx_task begin;
    test_tx write, read;
    unsigned long serial;
    char name[32];
    atomic_bool over;
    pthread_t thread;
    dx_status migrated;
} traffic;

static void next_insert(traffic *t);

static void look_for_it(test_tx *tx) {
    traffic *t = tx->ctx;
    if (tx->status) return dx_loop_stop(t->f->loop);
    test_tx_init(&t->read, DX_TX_BRIEF);
    (void)test_tx_add(&t->read, t->select, 1, DX_INT_VALUE(tx->integers[0]));
    dx_store_submit(t->f->session, &t->read.tx);
    if (t->read.status || t->read.rows != 1) return dx_loop_stop(t->f->loop);
    if (atomic_load(&t->over)) return dx_loop_stop(t->f->loop);
    next_insert(t);
}

static void next_insert(traffic *t) {
    test_tx_init(&t->write, DX_TX_WRITE);
    t->write.then = look_for_it;
    t->write.ctx = t;
    (void)snprintf(t->name, sizeof t->name, "n%lu", t->serial++);
    (void)test_tx_add(&t->write, t->insert, 1, DX_TEXT_VALUE(dx_slice_str(t->name)));
    dx_store_submit(t->f->session, &t->write.tx);
}

static void begin_traffic(dx_task *task) {
    next_insert(DX_CONTAINER_OF(task, traffic, begin));
}

enum { ROUNDS = 8 };

// Each round adds a column; every other one is required, so that the table is made anew with its rows.
static void *migrate_again_and_again(void *ctx) {
    traffic *t = ctx;
    static char names[ROUNDS][16];
    dx_column columns[6 + ROUNDS];
    memcpy(columns, test_items.columns, 6 * sizeof columns[0]);
    dx_table table = test_items;
    table.columns = columns;
    const dx_table *tables[] = {&table};
    for (int round = 0; round < ROUNDS && !t->migrated; round++) {
        int size = snprintf(names[round], sizeof names[round], "added%d", round);
        columns[6 + round] = (dx_column){.name = dx_slice_of(names[round], (size_t)size), .type = DX_COLUMN_TEXT};
        if (round % 2) {
            columns[6 + round].required = true;
            columns[6 + round].fallback = DX_TEXT_VALUE(S("it's"));
        }
        table.column_count = (uint16_t)(7 + round);
        dx_migration_report report;
        t->migrated = dx_store_migrate(t->f->store, tables, 1, &report, NULL);
        if (!t->migrated && report.changed != 1) t->migrated = DX_INTERNAL;
    }
    atomic_store(&t->over, true);
    return NULL;
}

static void tables_are_migrated_while_rows_are_written_and_read(void **state) {
    static traffic t;
    t = (traffic){.f = *state, .begin = {.run = begin_traffic}};
    dx_keep *keep = dx_keep_create(t.f->store);
    t.insert = keep_insert(keep);
    t.select = keep_select(keep, test_item_all, 6);
    dx_loop_post(t.f->loop, &t.begin);
    assert_int_equal(pthread_create(&t.thread, NULL, migrate_again_and_again, &t), 0);
    assert_int_equal(dx_loop_run(t.f->loop), DX_OK);
    (void)pthread_join(t.thread, NULL);
    assert_int_equal(t.migrated, DX_OK);
    assert_int_equal(t.write.status, DX_OK);
    assert_int_equal(t.read.status, DX_OK);
    char expected[32];
    (void)snprintf(expected, sizeof expected, "%lu", t.serial);
    assert_string_equal(test_file_sql(&t.f->file, "SELECT count(*) FROM items WHERE added1='it''s' AND added7='it''s'"), expected);
    assert_null(dx_sqlite_of(t.f->store)->direct);
}

// --- two processes -----------------------------------------------------------------------------------------------------------

enum { EACH = 1200, AT_ONCE = 8 };

// Creates rows and says each id; deletes every third again, which is often the highest there is.
typedef struct process {
    const dx_statement *insert, *remove;
    dx_loop *loop;
    dx_session *session;
    dx_task begin;
    int out;
    unsigned begun, ended;
    test_tx txs[AT_ONCE];
    char names[AT_ONCE][32];
    bool removes[AT_ONCE];
} process;

static void write_next(process *p, size_t slot);

static void say_it(test_tx *tx) {
    process *p = tx->ctx;
    size_t slot = (size_t)(tx - p->txs);
    if (tx->status) _exit(3);
    if (!p->removes[slot]) {
        int64_t id = tx->integers[0];
        if (write(p->out, &id, sizeof id) != sizeof id) _exit(4);
        if (id % 3 == 0) {
            p->removes[slot] = true;
            test_tx_init(tx, DX_TX_WRITE);
            tx->then = say_it;
            tx->ctx = p;
            (void)test_tx_add(tx, p->remove, 1, DX_INT_VALUE(id));
            return dx_store_submit(p->session, &tx->tx);
        }
    }
    if (++p->ended == EACH) return dx_loop_stop(p->loop);
    write_next(p, slot);
}

static void write_next(process *p, size_t slot) {
    if (p->begun == EACH) return;
    test_tx *tx = &p->txs[slot];
    p->removes[slot] = false;
    test_tx_init(tx, DX_TX_WRITE);
    tx->then = say_it;
    tx->ctx = p;
    (void)snprintf(p->names[slot], sizeof p->names[slot], "%d-%u", (int)getpid(), p->begun++);
    (void)test_tx_add(tx, p->insert, 1, DX_TEXT_VALUE(dx_slice_str(p->names[slot])));
    dx_store_submit(p->session, &tx->tx);
}

static void begin_process(dx_task *task) {
    process *p = DX_CONTAINER_OF(task, process, begin);
    for (size_t i = 0; i < AT_ONCE; i++) write_next(p, i);
}

static void be_a_process(const char *url, int out) {
    static process p;
    dx_store *store = test_open(url);
    (void)test_migrate(store, &test_items);
    dx_keep *keep = dx_keep_create(store);
    dx_query query = DX_QUERY_INIT(DX_QUERY_DELETE, &test_items);
    query.where = &by_id;
    p = (process){.insert = keep_insert(keep), .begin = {.run = begin_process}, .out = out};
    if (dx_statement_keep(&p.remove, keep, &query) || dx_loop_create(&p.loop)) _exit(5);
    p.session = dx_store_session(store, 0, p.loop);
    if (!p.session) _exit(6);
    dx_loop_post(p.loop, &p.begin);
    if (dx_loop_run(p.loop)) _exit(7);
    dx_store_close(store);
    _exit(0);
}

static void two_processes_that_write_at_once_lose_and_share_nothing(void **state) {
    (void)state;
    static bool seen[1 << 20];
    test_file file;
    test_file_make(&file);
    int out[2];
    assert_int_equal(pipe(out), 0);
    pid_t children[2];
    for (size_t i = 0; i < 2; i++) {
        children[i] = fork();
        if (children[i] == 0) be_a_process(file.url, out[1]);
    }
    (void)close(out[1]);
    int64_t id;
    size_t count = 0, kept = 0;
    while (read(out[0], &id, sizeof id) == sizeof id) {
        assert_true(id > 0 && id < (int64_t)COUNT(seen));
        assert_false(seen[id]);
        seen[id] = true;
        count++;
        kept += id % 3 != 0;
    }
    (void)close(out[0]);
    for (size_t i = 0; i < 2; i++) {
        int how;
        assert_int_equal(waitpid(children[i], &how, 0), children[i]);
        assert_true(WIFEXITED(how));
        assert_int_equal(WEXITSTATUS(how), 0);
    }
    assert_int_equal(count, 2 * EACH);
    char expected[32];
    (void)snprintf(expected, sizeof expected, "%zu", kept);
    assert_string_equal(test_file_sql(&file, "SELECT count(*) FROM items"), expected);
    test_file_remove(&file);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_processes_that_write_at_once_lose_and_share_nothing),
        TEST(two_hundred_generations_of_statements_take_the_memory_of_two),
        TEST(a_keep_that_is_left_goes_with_the_store),
        TEST(tables_are_migrated_while_rows_are_written_and_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
