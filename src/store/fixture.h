// What the store's tests share: a store in a file of its own, a table to write into, sessions on loops, and transactions made of a list of
// statements.
#ifndef DX_STORE_FIXTURE_H
#define DX_STORE_FIXTURE_H

#include "store/store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define S(literal)   DX_SLICE(literal)

// A file in a directory of its own, under the system's place for such.
typedef struct test_file {
    char directory[64];
    char path[96];
    char url[112];
} test_file;
void test_file_make(test_file *file);
void test_file_remove(test_file *file);
// Runs SQL through the SQLite shell's library, beside the store; the first value of the first row as text (static), or NULL.
const char *test_file_sql(const test_file *file, const char *sql);

dx_store *test_open(const char *url); // fails the test when it cannot
dx_store *test_open_with(const char *url, const dx_store_options *options);
// Migrates; expects DX_OK.
dx_migration_report test_migrate(dx_store *store, const dx_table *table);
// Migrates; the findings' text, one a line (static).
const char *test_migrate_refused(dx_store *store, const dx_table *table);

// The table that most tests use: id, name (required, unique), price (number), count (integer), flag (boolean), data (blob).
extern const dx_table test_items;
enum { ITEM_ID, ITEM_NAME, ITEM_PRICE, ITEM_COUNT, ITEM_FLAG, ITEM_DATA };
extern const uint16_t test_item_all[6];

// A transaction that runs its steps one after the other and then commits, or rolls back at `rollback_at`.
#define TEST_STEPS_CAP 8
#define TEST_ROWS_CAP  64
typedef struct test_step {
    const dx_statement *statement;
    dx_value params[8];
    size_t param_count;
} test_step;
typedef struct test_tx {
    dx_tx tx;
    test_step steps[TEST_STEPS_CAP];
    size_t count, at;
    int rollback_at; // before this step; -1: never
    dx_status rollback_status;
    dx_status row_status; // what `row` answers
    // outcome
    bool done;
    dx_status status;
    int64_t changes; // of the last statement
    char conflict[128];
    size_t rows;
    int64_t integers[TEST_ROWS_CAP]; // the first column of each row, when it is an integer
    char text[4096];                 // all rows: values with ',' between, rows with ';' behind
    size_t text_size;
    void (*then)(struct test_tx *tx); // when done
    void *ctx;
} test_tx;
void test_tx_init(test_tx *tx, dx_tx_mode mode);
test_step *test_tx_add(test_tx *tx, const dx_statement *statement, size_t param_count, ...); // of dx_value
dx_status test_run(dx_store *store, test_tx *tx);                                            // by dx_store_run

const dx_statement *test_keep(dx_store *store, const dx_query *query);
// INSERT of name and count; shows the id.
const dx_statement *test_insert(dx_store *store);
// Inserts by dx_store_run; the id.
int64_t test_add(dx_store *store, const dx_statement *insert, const char *name, int64_t count);
int64_t test_count(dx_store *store, const dx_table *table);
// SELECT of all columns by id.
const dx_statement *test_select(dx_store *store);

#endif
