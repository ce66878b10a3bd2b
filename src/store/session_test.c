// The store as a server uses it: sessions on loops, the writer's groups, the readers, and reads on the loop. Where the order of things
// matters a *gate* holds the writer or a reader, so that nothing depends on timing.
#include "store/fixture.h"

#include <pthread.h>
#include <semaphore.h>
#include <sqlite3.h>

typedef struct fixture {
    test_file file;
    dx_store *store;
    const dx_statement *insert, *select, *count;
    dx_loop *loop;
    dx_session *session;
} fixture;

static const dx_statement *keep_count(dx_store *store) {
    dx_query query = DX_QUERY_INIT(DX_QUERY_COUNT, &test_items);
    return test_keep(store, &query);
}

static void start(fixture *f, const char *url, const dx_store_options *options) {
    f->store = test_open_with(url, options);
    (void)test_migrate(f->store, &test_items);
    f->insert = test_insert(f->store);
    f->select = test_select(f->store);
    f->count = keep_count(f->store);
    assert_int_equal(dx_loop_create(&f->loop), DX_OK);
    f->session = dx_store_session(f->store, 0, f->loop);
    assert_non_null(f->session);
}

static void stop(fixture *f) {
    dx_store_close(f->store);
    dx_loop_destroy(f->loop);
}

static int set_up(void **state) {
    static fixture f;
    test_file_make(&f.file);
    start(&f, f.file.url, NULL);
    *state = &f;
    return 0;
}

static int tear_down(void **state) {
    fixture *f = *state;
    stop(f);
    test_file_remove(&f->file);
    return 0;
}

static void restart_with(fixture *f, const dx_store_options *options) {
    stop(f);
    start(f, f->file.url, options);
}

// --- running a loop until all is done ----------------------------------------------------------------------------------------

typedef struct loop_turn {
    dx_task task;
    void (*run)(fixture *f);
    fixture *f;
} loop_turn;

static void run_turn(dx_task *task) {
    loop_turn *turn = DX_CONTAINER_OF(task, struct loop_turn, task);
    turn->run(turn->f);
}

static void later(fixture *f, loop_turn *turn, void (*run)(fixture *f)) {
    *turn = (loop_turn){.task = {.run = run_turn}, .run = run, .f = f};
    dx_loop_post(f->loop, &turn->task);
}

static void on_loop(fixture *f, void (*run)(fixture *f)) {
    loop_turn turn;
    later(f, &turn, run);
    assert_int_equal(dx_loop_run(f->loop), DX_OK);
}

static size_t waiting; // transactions; the last one stops the loop
static fixture *current;

static void count_down(test_tx *tx) {
    (void)tx;
    if (--waiting == 0) dx_loop_stop(current->loop);
}

static void submit(fixture *f, test_tx *tx) {
    current = f;
    waiting++;
    tx->then = count_down;
    dx_store_submit(f->session, &tx->tx);
}

// A transaction that keeps whoever runs it until the gate opens.
typedef struct test_gate {
    test_tx tx;
    dx_tx_step (*then)(dx_tx *tx);
    sem_t reached, open;
} test_gate;

static dx_tx_step wait_at_gate(dx_tx *tx) {
    test_gate *gate = DX_CONTAINER_OF(tx, struct test_gate, tx.tx);
    (void)sem_post(&gate->reached);
    (void)sem_wait(&gate->open);
    tx->next = gate->then;
    return tx->next(tx);
}

static void gate_init(test_gate *gate, dx_tx_mode mode) {
    test_tx_init(&gate->tx, mode);
    gate->then = gate->tx.tx.next;
    gate->tx.tx.next = wait_at_gate;
    (void)sem_init(&gate->reached, 0, 0);
    (void)sem_init(&gate->open, 0, 0);
}

static test_gate door;
static test_tx txs[64];

static void add_insert(fixture *f, test_tx *tx, const char *name) {
    (void)test_tx_add(tx, f->insert, 2, DX_TEXT_VALUE(dx_slice_str(name)), DX_INT_VALUE(1));
}

static void begin(test_tx *tx) {
    test_tx_init(tx, DX_TX_WRITE);
}

static const char *all_names(fixture *f) {
    return test_file_sql(&f->file, "SELECT group_concat(name, ' ') FROM (SELECT name FROM items ORDER BY id)");
}

// --- groups ------------------------------------------------------------------------------------------------------------------

static const dx_expr by_count = {.kind = DX_EXPR_COMPARE, .column = ITEM_COUNT, .compare = DX_EQUAL, .param = 1};
static const dx_expr by_id = {.kind = DX_EXPR_COMPARE, .column = ITEM_ID, .compare = DX_EQUAL, .param = 1};
static const uint16_t count_column[] = {ITEM_COUNT};

static const dx_statement *keep_update(fixture *f, const dx_expr *where) {
    dx_query query = DX_QUERY_INIT(DX_QUERY_UPDATE, &test_items);
    query.columns = count_column;
    query.column_count = 1;
    query.where = where;
    return test_keep(f->store, &query);
}

static const dx_statement *update_by_id;

// One group: transactions that succeed, each followed by one that fails in another way.
static void submit_neighbours(fixture *f) {
    for (int i = 0; i < 10; i++) begin(&txs[i]);
    gate_init(&door, DX_TX_WRITE);
    add_insert(f, &door.tx, "first");
    submit(f, &door.tx);
    (void)sem_wait(&door.reached);
    add_insert(f, &txs[0], "first"); // collides
    add_insert(f, &txs[1], "a");
    add_insert(f, &txs[2], "lost1"); // an insert, then a rollback
    txs[2].rollback_at = 1;
    txs[2].rollback_status = DX_FORBIDDEN;
    add_insert(f, &txs[3], "b");
    add_insert(f, &txs[3], "c");
    add_insert(f, &txs[4], "lost2"); // the second statement fails
    add_insert(f, &txs[4], "lost3");
    add_insert(f, &txs[4], "a");
    (void)test_tx_add(&txs[5], update_by_id, 2, DX_INT_VALUE(77), DX_INT_VALUE(1)); // an update, then a rollback
    add_insert(f, &txs[5], "lost4");
    txs[5].rollback_at = 2;
    txs[5].rollback_status = DX_FORBIDDEN;
    add_insert(f, &txs[6], "lost5"); // its row is refused
    txs[6].row_status = DX_NO_MEMORY;
    (void)test_tx_add(&txs[7], update_by_id, 2, DX_INT_VALUE(5), DX_INT_VALUE(1));
    txs[8].rollback_at = 0; // does nothing at all
    txs[8].rollback_status = DX_CANCELLED;
    add_insert(f, &txs[9], "d");
    for (int i = 0; i < 10; i++) submit(f, &txs[i]);
    (void)sem_post(&door.open);
}

static void one_that_fails_leaves_its_neighbours_alone(void **state) {
    fixture *f = *state;
    update_by_id = keep_update(f, &by_id);
    on_loop(f, submit_neighbours);
    static const dx_status expected[] = {DX_ALREADY_EXISTS, DX_OK,        DX_FORBIDDEN, DX_OK,        DX_ALREADY_EXISTS,
                                         DX_FORBIDDEN,      DX_NO_MEMORY, DX_OK,        DX_CANCELLED, DX_OK};
    assert_int_equal(door.tx.status, DX_OK);
    for (size_t i = 0; i < COUNT(expected); i++) assert_int_equal(txs[i].status, expected[i]);
    assert_string_equal(all_names(f), "first a b c d");
    assert_string_equal(test_file_sql(&f->file, "SELECT count FROM items WHERE id=1"), "5");
    assert_string_equal(test_file_sql(&f->file, "PRAGMA integrity_check"), "ok");
}

// The first of a group is undone by rolling back all of it; those behind start anew.
static void submit_first_fails(fixture *f) {
    gate_init(&door, DX_TX_WRITE);
    add_insert(f, &door.tx, "lost");
    door.tx.rollback_at = 1;
    door.tx.rollback_status = DX_FORBIDDEN;
    submit(f, &door.tx);
    (void)sem_wait(&door.reached);
    for (int i = 0; i < 2; i++) begin(&txs[i]);
    add_insert(f, &txs[0], "a");
    add_insert(f, &txs[1], "b");
    submit(f, &txs[0]);
    submit(f, &txs[1]);
    (void)sem_post(&door.open);
}

static void the_first_of_a_group_can_be_undone_too(void **state) {
    fixture *f = *state;
    on_loop(f, submit_first_fails);
    assert_int_equal(door.tx.status, DX_FORBIDDEN);
    assert_int_equal(txs[0].status, DX_OK);
    assert_int_equal(txs[1].status, DX_OK);
    assert_string_equal(all_names(f), "a b");
}

// Behind one that stays: none of two inserts, whatever ends them.
static void submit_pairs(fixture *f) {
    gate_init(&door, DX_TX_WRITE);
    add_insert(f, &door.tx, "first");
    submit(f, &door.tx);
    (void)sem_wait(&door.reached);
    for (int i = 0; i < 5; i++) begin(&txs[i]);
    for (int i = 0; i < 3; i++) {
        static const char *const names[][2] = {{"lost1", "lost2"}, {"lost3", "lost4"}, {"lost5", "lost6"}};
        add_insert(f, &txs[i], names[i][0]);
        add_insert(f, &txs[i], names[i][1]);
    }
    txs[0].rollback_at = 2;
    txs[0].rollback_status = DX_FORBIDDEN;
    (void)test_tx_add(&txs[1], update_by_id, 2, DX_INT_VALUE(77), DX_INT_VALUE(1)); // behind a savepoint
    txs[1].rollback_at = 3;
    txs[1].rollback_status = DX_FORBIDDEN;
    txs[2].row_status = DX_NO_MEMORY;
    add_insert(f, &txs[3], "a");
    add_insert(f, &txs[3], "b");
    add_insert(f, &txs[4], "lost7");
    add_insert(f, &txs[4], "a"); // collides
    for (int i = 0; i < 5; i++) submit(f, &txs[i]);
    (void)sem_post(&door.open);
}

static void two_inserts_are_undone_without_their_neighbours(void **state) {
    fixture *f = *state;
    update_by_id = keep_update(f, &by_id);
    on_loop(f, submit_pairs);
    static const dx_status expected[] = {DX_FORBIDDEN, DX_FORBIDDEN, DX_NO_MEMORY, DX_OK, DX_ALREADY_EXISTS};
    for (int i = 0; i < 5; i++) assert_int_equal(txs[i].status, expected[i]);
    assert_string_equal(all_names(f), "first a b");
    assert_string_equal(test_file_sql(&f->file, "SELECT sum(count) FROM items"), "3");
}

static const dx_statement *update_many;

static void submit_wide(fixture *f) {
    gate_init(&door, DX_TX_WRITE);
    add_insert(f, &door.tx, "before");
    door.tx.tx.deadline = INT64_MAX;
    submit(f, &door.tx);
    (void)sem_wait(&door.reached);
    for (int i = 0; i < 3; i++) {
        begin(&txs[i]);
        txs[i].tx.deadline = INT64_MAX;
    }
    add_insert(f, &txs[0], "also before");
    (void)test_tx_add(&txs[1], update_many, 2, DX_INT_VALUE(2), DX_INT_VALUE(1));
    add_insert(f, &txs[2], "behind");
    for (int i = 0; i < 3; i++) submit(f, &txs[i]);
    (void)sem_post(&door.open);
}

static void a_write_over_its_time_takes_no_neighbour_with_it(void **state) {
    fixture *f = *state;
    assert_null(test_file_sql(&f->file, "WITH RECURSIVE n(i) AS (VALUES(1) UNION ALL SELECT i+1 FROM n WHERE i<20000)"
                                        " INSERT INTO items(name,count) SELECT 'n'||i,1 FROM n"));
    dx_store_options options = DX_STORE_OPTIONS_INIT;
    options.statement_time = 1;
    restart_with(f, &options);
    update_many = keep_update(f, &by_count);
    on_loop(f, submit_wide);
    assert_int_equal(door.tx.status, DX_OK);
    assert_int_equal(txs[0].status, DX_OK);
    assert_int_equal(txs[1].status, DX_STORE_TIMEOUT);
    assert_int_equal(txs[2].status, DX_OK);
    assert_string_equal(test_file_sql(&f->file, "SELECT count(*) FROM items WHERE count=1"), "20003");
}

// --- many threads ------------------------------------------------------------------------------------------------------------

enum { WORKERS = 3, IN_FLIGHT = 16, EACH = 400 };

typedef struct test_worker {
    fixture *f;
    unsigned index;
    pthread_t thread;
    dx_loop *loop;
    dx_session *session;
    dx_task begin;
    test_tx txs[IN_FLIGHT];
    char names[IN_FLIGHT][32];
    unsigned started, finished, reads;
    bool failed;
} test_worker;

static const dx_statement *select_by_id;

static void next_insert(test_worker *worker, unsigned slot);

static void read_it(test_worker *worker, int64_t id) {
    static _Thread_local test_tx read;
    test_tx_init(&read, DX_TX_BRIEF);
    (void)test_tx_add(&read, select_by_id, 1, DX_INT_VALUE(id));
    dx_store_submit(worker->session, &read.tx);
    if (!read.done || read.status || read.rows != 1) worker->failed = true;
}

static void insert_done(test_tx *tx) {
    test_worker *worker = tx->ctx;
    if (tx->status || tx->rows != 1 || !pthread_equal(pthread_self(), worker->thread)) worker->failed = true;
    read_it(worker, tx->integers[0]); // what was acknowledged is there for every later read
    if (++worker->finished == EACH) dx_loop_stop(worker->loop);
    if (worker->started < EACH) next_insert(worker, (unsigned)(tx - worker->txs));
}

static void next_insert(test_worker *worker, unsigned slot) {
    test_tx *tx = &worker->txs[slot];
    begin(tx);
    tx->then = insert_done;
    tx->ctx = worker;
    (void)snprintf(worker->names[slot], sizeof worker->names[slot], "w%u-%u", worker->index, worker->started++);
    add_insert(worker->f, tx, worker->names[slot]);
    dx_store_submit(worker->session, &tx->tx);
}

static void begin_worker(dx_task *task) {
    test_worker *worker = DX_CONTAINER_OF(task, struct test_worker, begin);
    for (unsigned i = 0; i < IN_FLIGHT; i++) next_insert(worker, i);
}

static void *run_worker(void *ctx) {
    test_worker *worker = ctx;
    worker->thread = pthread_self();
    worker->session = dx_store_session(worker->f->store, worker->index, worker->loop);
    worker->begin.run = begin_worker;
    dx_loop_post(worker->loop, &worker->begin);
    worker->failed |= !worker->session || dx_loop_run(worker->loop);
    return NULL;
}

static void run_workers(fixture *f) {
    static test_worker workers[WORKERS];
    memset(workers, 0, sizeof workers);
    pthread_t threads[WORKERS];
    select_by_id = f->select;
    for (unsigned i = 0; i < WORKERS; i++) {
        workers[i].f = f;
        workers[i].index = i + 1;
        assert_int_equal(dx_loop_create(&workers[i].loop), DX_OK);
        assert_int_equal(pthread_create(&threads[i], NULL, run_worker, &workers[i]), 0);
    }
    for (unsigned i = 0; i < WORKERS; i++) {
        (void)pthread_join(threads[i], NULL);
        assert_int_equal(workers[i].finished, EACH);
        assert_false(workers[i].failed);
    }
    dx_store_close(f->store);
    for (unsigned i = 0; i < WORKERS; i++) dx_loop_destroy(workers[i].loop);
    dx_loop_destroy(f->loop);
}

static void writes_of_many_threads_are_all_committed_and_answered(void **state) {
    fixture *f = *state;
    dx_store_options options = DX_STORE_OPTIONS_INIT;
    options.workers = WORKERS + 1;
    restart_with(f, &options);
    run_workers(f);
    assert_string_equal(test_file_sql(&f->file, "SELECT count(*)||' '||count(DISTINCT name)||' '||max(id) FROM items"), "1200 1200 1200");
    start(f, f->file.url, NULL);
}

static void a_store_in_memory_serves_many_threads(void **state) {
    fixture *f = *state;
    dx_store_options options = DX_STORE_OPTIONS_INIT;
    options.workers = WORKERS + 1;
    stop(f);
    start(f, "sqlite::memory:", &options);
    run_workers(f);
    start(f, f->file.url, NULL);
}

// --- reads -------------------------------------------------------------------------------------------------------------------

static int64_t seen[4];

static int64_t count_briefly(fixture *f) {
    static test_tx tx;
    test_tx_init(&tx, DX_TX_BRIEF);
    (void)test_tx_add(&tx, f->count, 0);
    dx_store_submit(f->session, &tx.tx);
    assert_true(tx.done);
    assert_int_equal(tx.status, DX_OK);
    return tx.integers[0];
}

// A task posted by a task may still belong to the turn; the third is behind its end in any case.
static void read_turns_later(fixture *f) {
    static loop_turn next;
    static int hops;
    if (++hops % 3) return later(f, &next, read_turns_later);
    seen[3] = count_briefly(f);
    dx_loop_stop(f->loop);
}

static void read_around_a_write(fixture *f) {
    static loop_turn next;
    seen[0] = count_briefly(f);
    (void)test_add(f->store, f->insert, "ours", 1);
    seen[1] = count_briefly(f);
    (void)test_file_sql(&f->file, "INSERT INTO items(name) VALUES('theirs')");
    seen[2] = count_briefly(f);
    later(f, &next, read_turns_later);
}

static void first_turn(fixture *f) {
    static loop_turn next;
    later(f, &next, read_around_a_write);
}

static void a_turns_reads_share_a_snapshot_that_is_never_behind_our_own_commits(void **state) {
    fixture *f = *state;
    on_loop(f, first_turn);
    assert_int_equal(seen[0], 0);
    assert_int_equal(seen[1], 1);
    assert_int_equal(seen[2], 1); // another process's commit is seen from the next turn on
    assert_int_equal(seen[3], 2);
}

static dx_tx_step write_between(dx_tx *tx) {
    test_gate *gate = DX_CONTAINER_OF(tx, struct test_gate, tx.tx);
    if (gate->tx.at == 1) (void)test_file_sql(&current->file, "INSERT INTO items(name) VALUES('between')");
    return gate->then(tx);
}

static void submit_long_read(fixture *f) {
    gate_init(&door, DX_TX_READ);
    door.tx.tx.next = write_between;
    (void)test_tx_add(&door.tx, f->count, 0);
    (void)test_tx_add(&door.tx, f->count, 0);
    submit(f, &door.tx);
}

static void a_reading_transaction_sees_one_snapshot(void **state) {
    fixture *f = *state;
    on_loop(f, submit_long_read);
    assert_int_equal(door.tx.status, DX_OK);
    assert_string_equal(door.tx.text, "0;0;");
    assert_string_equal(test_file_sql(&f->file, "SELECT count(*) FROM items"), "1");
}

static dx_status timed_out[2];

static void read_too_long(fixture *f) {
    static const dx_expr like = {.kind = DX_EXPR_COMPARE, .column = ITEM_NAME, .compare = DX_LIKE, .param = 0};
    dx_query query = DX_QUERY_INIT(DX_QUERY_COUNT, &test_items);
    query.where = &like;
    const dx_statement *scan = test_keep(f->store, &query);
    for (int i = 0; i < 2; i++) {
        test_tx_init(&txs[i], i ? DX_TX_READ : DX_TX_BRIEF);
        (void)test_tx_add(&txs[i], scan, 1, DX_TEXT_VALUE(S("%x%y%")));
        txs[i].tx.deadline = INT64_MAX;
    }
    submit(f, &txs[1]);
    submit(f, &txs[0]);
    timed_out[0] = txs[0].status;
}

static void a_read_over_its_time_is_interrupted(void **state) {
    fixture *f = *state;
    assert_null(test_file_sql(&f->file, "WITH RECURSIVE n(i) AS (VALUES(1) UNION ALL SELECT i+1 FROM n WHERE i<5000)"
                                        " INSERT INTO items(name,count) SELECT 'n'||i,1 FROM n"));
    dx_store_options options = DX_STORE_OPTIONS_INIT;
    options.statement_time = options.brief_time = 1;
    restart_with(f, &options);
    on_loop(f, read_too_long);
    assert_int_equal(timed_out[0], DX_STORE_TIMEOUT);
    assert_int_equal(txs[1].status, DX_STORE_TIMEOUT);
    assert_int_equal(dx_store_check(f->session), DX_OK);
}

// --- bounds ------------------------------------------------------------------------------------------------------------------

static void overfill(fixture *f, dx_tx_mode mode) {
    gate_init(&door, mode);
    submit(f, &door.tx);
    (void)sem_wait(&door.reached);
    for (int i = 0; i < 4; i++) {
        test_tx_init(&txs[i], mode);
        submit(f, &txs[i]);
    }
    (void)sem_post(&door.open);
}

static void overfill_writer(fixture *f) {
    overfill(f, DX_TX_WRITE);
}

static void overfill_reader(fixture *f) {
    overfill(f, DX_TX_READ);
}

static void more_than_the_queue_holds_is_turned_away(void **state) {
    fixture *f = *state;
    dx_store_options options = DX_STORE_OPTIONS_INIT;
    options.reader_threads = 1;
    options.queue_cap = 3;
    restart_with(f, &options);
    on_loop(f, overfill_writer);
    for (int i = 0; i < 4; i++) assert_int_equal(txs[i].status, i < 3 ? DX_OK : DX_OVERLOADED);
    on_loop(f, overfill_reader);
    for (int i = 0; i < 4; i++) assert_int_equal(txs[i].status, i < 3 ? DX_OK : DX_OVERLOADED);
}

static void submit_to_a_stuck_queue(fixture *f) {
    gate_init(&door, DX_TX_WRITE);
    begin(&txs[0]);
    begin(&txs[1]);
    submit(f, &door.tx);
    (void)sem_wait(&door.reached); // the writer has it in hand
    submit(f, &txs[0]);            // and this one waits
    submit(f, &txs[1]);
    (void)sem_post(&door.open);
}

static void a_queue_that_keeps_waiting_too_long_takes_no_more(void **state) {
    fixture *f = *state;
    on_loop(f, submit_to_a_stuck_queue);
    assert_int_equal(txs[1].status, DX_OK);
    dx_store_set_wait(f->store, 0);
    on_loop(f, submit_to_a_stuck_queue);
    assert_int_equal(txs[0].status, DX_OK); // nobody waited before it
    assert_int_equal(txs[1].status, DX_OVERLOADED);
}

static void submit_late(fixture *f) {
    for (int i = 0; i < 2; i++) {
        test_tx_init(&txs[i], i ? DX_TX_READ : DX_TX_WRITE);
        txs[i].tx.deadline = 1; // long ago
    }
    add_insert(f, &txs[0], "late");
    (void)test_tx_add(&txs[1], f->count, 0);
    submit(f, &txs[0]);
    submit(f, &txs[1]);
}

static void what_waits_past_its_deadline_is_not_run(void **state) {
    fixture *f = *state;
    on_loop(f, submit_late);
    assert_int_equal(txs[0].status, DX_STORE_TIMEOUT);
    assert_int_equal(txs[1].status, DX_STORE_TIMEOUT);
    assert_null(all_names(f));
}

static sqlite3 *other;

static void lock_elsewhere(fixture *f) {
    assert_int_equal(sqlite3_open(f->file.path, &other), SQLITE_OK);
    assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE; INSERT INTO items(name) VALUES('theirs')", NULL, NULL, NULL), SQLITE_OK);
}

static void unlock_elsewhere(void) {
    assert_int_equal(sqlite3_exec(other, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(other), SQLITE_OK);
}

static void unlock_then_count_down(test_tx *tx) {
    unlock_elsewhere();
    count_down(tx);
}

static void submit_while_locked(fixture *f) {
    begin(&txs[0]);
    begin(&txs[1]);
    add_insert(f, &txs[0], "impatient");
    txs[0].tx.deadline = dx_clock_monotonic() + DX_MILLISECOND;
    add_insert(f, &txs[1], "patient");
    submit(f, &txs[0]);
    txs[0].then = unlock_then_count_down; // once it has given up
    submit(f, &txs[1]);
}

// While the first waits, the two others queue up behind it, so that the writer finds them together.
static void submit_three_while_locked(fixture *f) {
    begin(&txs[2]);
    add_insert(f, &txs[2], "first");
    txs[2].tx.deadline = dx_clock_monotonic() + 100 * DX_MILLISECOND;
    submit(f, &txs[2]);
    submit_while_locked(f);
}

static void who_has_given_up_does_not_wait_with_the_next(void **state) {
    fixture *f = *state;
    lock_elsewhere(f);
    on_loop(f, submit_three_while_locked);
    assert_int_equal(txs[0].status, DX_STORE_TIMEOUT);
    assert_int_equal(txs[1].status, DX_OK);
    assert_int_equal(txs[2].status, DX_STORE_TIMEOUT);
}

static void another_process_that_writes_is_waited_for_until_the_deadline(void **state) {
    fixture *f = *state;
    lock_elsewhere(f);
    on_loop(f, submit_while_locked);
    assert_int_equal(txs[0].status, DX_STORE_TIMEOUT);
    assert_int_equal(txs[1].status, DX_OK);
    assert_string_equal(all_names(f), "theirs patient");
}

// --- the end -----------------------------------------------------------------------------------------------------------------

static void closing_finishes_what_waits(void **state) {
    fixture *f = *state;
    for (int i = 0; i < 20; i++) {
        static char names[20][8];
        begin(&txs[i]);
        (void)snprintf(names[i], sizeof names[i], "n%d", i);
        add_insert(f, &txs[i], names[i]);
        dx_store_submit(f->session, &txs[i].tx);
    }
    dx_store_close(f->store);
    for (int i = 0; i < 20; i++) {
        assert_true(txs[i].done);
        assert_int_equal(txs[i].status, DX_OK);
    }
    dx_loop_destroy(f->loop);
    assert_string_equal(test_file_sql(&f->file, "SELECT count(*) FROM items"), "20");
    start(f, f->file.url, NULL);
}

static void the_store_says_that_it_answers(void **state) {
    fixture *f = *state;
    assert_int_equal(dx_store_check(f->session), DX_OK);
    assert_null(dx_store_session(f->store, 0, f->loop)); // one a worker
    assert_null(dx_store_session(f->store, 1, f->loop)); // and no more workers than said
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(one_that_fails_leaves_its_neighbours_alone),
        TEST(the_first_of_a_group_can_be_undone_too),
        TEST(two_inserts_are_undone_without_their_neighbours),
        TEST(a_write_over_its_time_takes_no_neighbour_with_it),
        TEST(writes_of_many_threads_are_all_committed_and_answered),
        TEST(a_store_in_memory_serves_many_threads),
        TEST(a_turns_reads_share_a_snapshot_that_is_never_behind_our_own_commits),
        TEST(a_reading_transaction_sees_one_snapshot),
        TEST(a_read_over_its_time_is_interrupted),
        TEST(more_than_the_queue_holds_is_turned_away),
        TEST(a_queue_that_keeps_waiting_too_long_takes_no_more),
        TEST(what_waits_past_its_deadline_is_not_run),
        TEST(another_process_that_writes_is_waited_for_until_the_deadline),
        TEST(who_has_given_up_does_not_wait_with_the_next),
        TEST(closing_finishes_what_waits),
        TEST(the_store_says_that_it_answers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
