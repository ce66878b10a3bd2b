// A store from outside, without loops: opening, statements of each kind, what conditions mean, which failures get which status, numbers.
#include "store/fixture.h"

#include <sys/stat.h>

#include "store/sqlite/internal.h"

typedef struct fixture {
    test_file file;
    dx_store *store;
    const dx_statement *insert, *select;
} fixture;

static int set_up(void **state) {
    static fixture f;
    test_file_make(&f.file);
    f.store = test_open(f.file.url);
    (void)test_migrate(f.store, &test_items);
    f.insert = test_insert(f.store);
    f.select = test_select(f.store);
    *state = &f;
    return 0;
}

static int tear_down(void **state) {
    fixture *f = *state;
    dx_store_close(f->store);
    test_file_remove(&f->file);
    return 0;
}

static void reopen(fixture *f) {
    dx_store_close(f->store);
    f->store = test_open(f->file.url);
    (void)test_migrate(f->store, &test_items);
    f->insert = test_insert(f->store);
    f->select = test_select(f->store);
}

static const char *select_by_id(fixture *f, int64_t id) {
    static test_tx tx;
    test_tx_init(&tx, DX_TX_BRIEF);
    (void)test_tx_add(&tx, f->select, 1, DX_INT_VALUE(id));
    assert_int_equal(test_run(f->store, &tx), DX_OK);
    return tx.text;
}

// --- opening -----------------------------------------------------------------------------------------------------------------

static void a_new_file_is_for_its_owner_alone(void **state) {
    fixture *f = *state;
    struct stat file;
    assert_int_equal(stat(f->file.path, &file), 0);
    assert_int_equal(file.st_mode & 0777, 0600);
}

static void refused(const char *url, const char *says) {
    dx_store *store = NULL;
    dx_arena *arena = dx_arena_create(1 << 16);
    dx_diags diags;
    dx_diags_init(&diags, arena);
    assert_int_not_equal(dx_store_open(&store, dx_slice_str(url), NULL, &diags), DX_OK);
    assert_null(store);
    assert_non_null(diags.first);
    assert_non_null(strstr(dx_diag_text(diags.first, arena).data, says));
    dx_arena_destroy(arena);
}

static void a_url_that_names_no_store_is_refused_with_the_reason(void **state) {
    (void)state;
    refused("shop.db", "sqlite:FILE");
    refused("mysql:shop", "sqlite:FILE");
    refused("sqlite:", "names no file");
    refused("sqlite:/no/such/place/shop.db", "No such file");
    refused("sqlite:/proc/version", "cannot be used");
}

static void the_database_of_another_program_is_refused(void **state) {
    (void)state;
    test_file other;
    test_file_make(&other);
    (void)test_file_sql(&other, "CREATE TABLE theirs(a)");
    refused(other.url, "another program");
    test_file_remove(&other);
    test_file_make(&other);
    FILE *file = fopen(other.path, "w");
    assert_non_null(file);
    for (int i = 0; i < 100; i++) (void)fputs("this is not a database\n", file);
    (void)fclose(file);
    refused(other.url, "cannot be");
    test_file_remove(&other);
}

static void a_store_in_memory_works_and_is_lost_at_the_end(void **state) {
    (void)state;
    for (int i = 0; i < 2; i++) {
        dx_store *store = test_open("sqlite::memory:");
        (void)test_migrate(store, &test_items);
        assert_int_equal(test_count(store, &test_items), 0);
        assert_int_equal(test_add(store, test_insert(store), "a", 1), 1);
        assert_int_equal(test_count(store, &test_items), 1);
        dx_store_close(store);
    }
}

// --- values ------------------------------------------------------------------------------------------------------------------

static const dx_statement *insert_all(fixture *f) {
    dx_query query = DX_QUERY_INIT(DX_QUERY_INSERT, &test_items);
    query.columns = test_item_all + 1;
    query.column_count = 5;
    query.returning = test_item_all;
    query.returning_count = 6;
    return test_keep(f->store, &query);
}

static void insert_then_read(fixture *f, const char *name, dx_value price, dx_value count, dx_value flag, dx_value data,
                             const char *expected) {
    test_tx tx;
    test_tx_init(&tx, DX_TX_WRITE);
    (void)test_tx_add(&tx, insert_all(f), 5, DX_TEXT_VALUE(dx_slice_str(name)), price, count, flag, data);
    assert_int_equal(test_run(f->store, &tx), DX_OK);
    assert_string_equal(tx.text, expected);
    assert_string_equal(select_by_id(f, tx.integers[0]), expected);
}

static void values_come_back_as_they_went_in(void **state) {
    fixture *f = *state;
    insert_then_read(f, "a", DX_REAL_VALUE(999.99), DX_INT_VALUE(INT64_MIN), DX_BOOL_VALUE(1), DX_BLOB_VALUE(dx_slice_of("\0x", 2)),
                     "1,a,999.99000000000001r,-9223372036854775808,true,<2>;");
    insert_then_read(f, "b", DX_INT_VALUE(INT64_MAX), DX_NULL_VALUE, DX_BOOL_VALUE(0), DX_NULL_VALUE,
                     "2,b,9223372036854775807,null,false,null;");
    insert_then_read(f, "", DX_REAL_VALUE(3.0), DX_INT_VALUE(0), DX_NULL_VALUE, DX_BLOB_VALUE((dx_slice){0}), "3,,3r,0,null,<0>;");
    assert_string_equal(test_file_sql(&f->file, "SELECT typeof(price) FROM items WHERE id=3"), "real");
    assert_string_equal(test_file_sql(&f->file, "SELECT typeof(name) FROM items WHERE id=3"), "text");
}

static void a_value_of_the_wrong_type_is_refused(void **state) {
    fixture *f = *state;
    const dx_value wrong[][4] = {
        {DX_TEXT_VALUE(S("1")), DX_NULL_VALUE, DX_NULL_VALUE, DX_NULL_VALUE},
        {DX_NULL_VALUE, DX_REAL_VALUE(1.0), DX_NULL_VALUE, DX_NULL_VALUE},
        {DX_NULL_VALUE, DX_NULL_VALUE, DX_INT_VALUE(2), DX_NULL_VALUE},
        {DX_NULL_VALUE, DX_NULL_VALUE, DX_NULL_VALUE, DX_TEXT_VALUE(S("x"))},
        {DX_REAL_VALUE(__builtin_nan("")), DX_NULL_VALUE, DX_NULL_VALUE, DX_NULL_VALUE},
    };
    for (size_t i = 0; i < COUNT(wrong); i++) {
        test_tx tx;
        test_tx_init(&tx, DX_TX_WRITE);
        (void)test_tx_add(&tx, insert_all(f), 5, DX_TEXT_VALUE(S("a")), wrong[i][0], wrong[i][1], wrong[i][2], wrong[i][3]);
        assert_int_equal(test_run(f->store, &tx), DX_INVALID);
    }
    assert_int_equal(test_count(f->store, &test_items), 0);
    // Nor by another program.
    assert_non_null(strstr(test_file_sql(&f->file, "INSERT INTO items(name,price) VALUES('x','1')"), "CHECK"));
    assert_non_null(strstr(test_file_sql(&f->file, "INSERT INTO items(name,price) VALUES('x',X'00')"), "CHECK"));
    assert_non_null(strstr(test_file_sql(&f->file, "INSERT INTO items(name,flag) VALUES('x',2)"), "CHECK"));
    assert_non_null(strstr(test_file_sql(&f->file, "INSERT INTO items(name,count) VALUES('x','y')"), "INTEGER"));
    assert_null(test_file_sql(&f->file, "INSERT INTO items(name,price) VALUES('x',1.5)"));
}

// --- conditions --------------------------------------------------------------------------------------------------------------

static const char *names_where(fixture *f, const dx_expr *where, const dx_value *params, size_t count, const dx_order *order) {
    static test_tx tx;
    static const uint16_t name[] = {ITEM_NAME};
    dx_query query = DX_QUERY_INIT(DX_QUERY_SELECT, &test_items);
    query.columns = name;
    query.column_count = 1;
    query.where = where;
    dx_order by_id = {.column = ITEM_ID};
    query.order = order ? order : &by_id;
    query.order_count = 1;
    test_tx_init(&tx, DX_TX_READ);
    test_step *step = test_tx_add(&tx, test_keep(f->store, &query), 0);
    for (size_t i = 0; i < count; i++) step->params[i] = params[i];
    step->param_count = count;
    assert_int_equal(test_run(f->store, &tx), DX_OK);
    return tx.text;
}

static const char *names_by(fixture *f, uint16_t column, dx_compare compare, dx_value value) {
    dx_expr where = {.kind = DX_EXPR_COMPARE, .column = column, .compare = compare, .param_count = 1};
    return names_where(f, &where, &value, 1, NULL);
}

static void add_named(fixture *f) {
    (void)test_add(f->store, f->insert, "Apple", 1);
    (void)test_add(f->store, f->insert, "banana", 2);
    (void)test_add(f->store, f->insert, "50%", 3);
    assert_null(test_file_sql(&f->file, "INSERT INTO items(name) VALUES('none')"));
}

static void comparisons_mean_what_the_contract_says(void **state) {
    fixture *f = *state;
    add_named(f);
    assert_string_equal(names_by(f, ITEM_COUNT, DX_EQUAL, DX_INT_VALUE(2)), "banana;");
    assert_string_equal(names_by(f, ITEM_COUNT, DX_NOT_EQUAL, DX_INT_VALUE(2)), "Apple;50%;none;");
    assert_string_equal(names_by(f, ITEM_COUNT, DX_LESS, DX_INT_VALUE(2)), "Apple;");
    assert_string_equal(names_by(f, ITEM_COUNT, DX_LESS_EQUAL, DX_INT_VALUE(2)), "Apple;banana;");
    assert_string_equal(names_by(f, ITEM_COUNT, DX_GREATER, DX_INT_VALUE(2)), "50%;");
    assert_string_equal(names_by(f, ITEM_COUNT, DX_GREATER_EQUAL, DX_INT_VALUE(2)), "banana;50%;");
    assert_string_equal(names_by(f, ITEM_COUNT, DX_IS_NULL, DX_NULL_VALUE), "none;");
    assert_string_equal(names_by(f, ITEM_COUNT, DX_NOT_NULL, DX_NULL_VALUE), "Apple;banana;50%;");
    assert_string_equal(names_by(f, ITEM_NAME, DX_LIKE, DX_TEXT_VALUE(S("A%"))), "Apple;");
    assert_string_equal(names_by(f, ITEM_NAME, DX_LIKE, DX_TEXT_VALUE(S("a__LE"))), "Apple;");
    assert_string_equal(names_by(f, ITEM_NAME, DX_LIKE, DX_TEXT_VALUE(S("%\\%"))), "50%;");
}

static void lists_and_nested_conditions_work(void **state) {
    fixture *f = *state;
    add_named(f);
    dx_value numbers[] = {DX_INT_VALUE(1), DX_INT_VALUE(3), DX_INT_VALUE(99)};
    dx_expr in = {.kind = DX_EXPR_COMPARE, .column = ITEM_COUNT, .compare = DX_IN, .param = 0, .param_count = 3};
    assert_string_equal(names_where(f, &in, numbers, 3, NULL), "Apple;50%;");
    in.param_count = 0;
    assert_string_equal(names_where(f, &in, numbers, 3, NULL), "");
    dx_expr none = {.kind = DX_EXPR_OR}, all = {.kind = DX_EXPR_AND};
    assert_string_equal(names_where(f, &none, numbers, 0, NULL), "");
    assert_string_equal(names_where(f, &all, numbers, 0, NULL), "Apple;banana;50%;none;");
    dx_expr one = {.kind = DX_EXPR_COMPARE, .column = ITEM_COUNT, .compare = DX_EQUAL, .param = 0};
    dx_expr null = {.kind = DX_EXPR_COMPARE, .column = ITEM_COUNT, .compare = DX_IS_NULL};
    const dx_expr *either_items[] = {&one, &null};
    dx_expr either = {.kind = DX_EXPR_OR, .items = either_items, .item_count = 2};
    const dx_expr *both_items[] = {&either, &null};
    dx_expr both = {.kind = DX_EXPR_AND, .items = both_items, .item_count = 2};
    assert_string_equal(names_where(f, &either, numbers, 1, NULL), "Apple;none;");
    assert_string_equal(names_where(f, &both, numbers, 1, NULL), "none;");
}

static void a_condition_of_thousands_of_items_runs(void **state) {
    fixture *f = *state;
    add_named(f);
    static dx_expr leaf = {.kind = DX_EXPR_COMPARE, .column = ITEM_COUNT, .compare = DX_EQUAL, .param = 0};
    static const dx_expr *items[5000];
    for (size_t i = 0; i < COUNT(items); i++) items[i] = &leaf;
    dx_expr any = {.kind = DX_EXPR_OR, .items = items, .item_count = COUNT(items)};
    dx_value two = DX_INT_VALUE(2);
    assert_string_equal(names_where(f, &any, &two, 1, NULL), "banana;");
}

static void a_pattern_that_is_too_long_is_invalid(void **state) {
    fixture *f = *state;
    static char pattern[5000];
    memset(pattern, '%', sizeof pattern);
    static const dx_expr like = {.kind = DX_EXPR_COMPARE, .column = ITEM_NAME, .compare = DX_LIKE};
    add_named(f);
    dx_query query = DX_QUERY_INIT(DX_QUERY_COUNT, &test_items);
    query.where = &like;
    test_tx tx;
    test_tx_init(&tx, DX_TX_READ);
    (void)test_tx_add(&tx, test_keep(f->store, &query), 1, DX_TEXT_VALUE(dx_slice_of(pattern, sizeof pattern)));
    assert_int_equal(test_run(f->store, &tx), DX_INVALID);
}

static void nulls_come_first_ascending_and_last_descending(void **state) {
    fixture *f = *state;
    add_named(f);
    dx_order order = {.column = ITEM_COUNT};
    assert_string_equal(names_where(f, NULL, NULL, 0, &order), "none;Apple;banana;50%;");
    order.descending = true;
    assert_string_equal(names_where(f, NULL, NULL, 0, &order), "50%;banana;Apple;none;");
}

static void limits_offsets_and_counts_work(void **state) {
    fixture *f = *state;
    add_named(f);
    static const uint16_t name[] = {ITEM_NAME};
    dx_order by_id = {.column = ITEM_ID};
    dx_query query = DX_QUERY_INIT(DX_QUERY_SELECT, &test_items);
    query.columns = name;
    query.column_count = 1;
    query.order = &by_id;
    query.order_count = 1;
    query.offset_param = 0;
    dx_query limited = query;
    limited.limit_param = 1;
    dx_query count = DX_QUERY_INIT(DX_QUERY_COUNT, &test_items);
    dx_query up_to = count;
    up_to.limit_param = 0;
    test_tx tx;
    test_tx_init(&tx, DX_TX_READ);
    (void)test_tx_add(&tx, test_keep(f->store, &query), 1, DX_INT_VALUE(2));
    (void)test_tx_add(&tx, test_keep(f->store, &limited), 2, DX_INT_VALUE(1), DX_INT_VALUE(2));
    (void)test_tx_add(&tx, test_keep(f->store, &count), 0);
    (void)test_tx_add(&tx, test_keep(f->store, &up_to), 1, DX_INT_VALUE(3));
    assert_int_equal(test_run(f->store, &tx), DX_OK);
    assert_string_equal(tx.text, "50%;none;banana;50%;4;3;");
}

// --- writing -----------------------------------------------------------------------------------------------------------------

static const dx_expr by_id = {.kind = DX_EXPR_COMPARE, .column = ITEM_ID, .compare = DX_EQUAL, .param = 1};
static const dx_expr by_first = {.kind = DX_EXPR_COMPARE, .column = ITEM_ID, .compare = DX_EQUAL, .param = 0};

static void updates_set_bump_and_return(void **state) {
    fixture *f = *state;
    (void)test_add(f->store, f->insert, "a", 7);
    static const uint16_t set[] = {ITEM_PRICE}, bumped[] = {ITEM_COUNT}, shown[] = {ITEM_COUNT, ITEM_PRICE};
    dx_query query = DX_QUERY_INIT(DX_QUERY_UPDATE, &test_items);
    query.columns = set;
    query.bumped = bumped;
    query.column_count = query.bumped_count = 1;
    query.returning = shown;
    query.returning_count = 2;
    query.where = &by_id;
    const dx_statement *update = test_keep(f->store, &query);
    test_tx tx;
    test_tx_init(&tx, DX_TX_WRITE);
    (void)test_tx_add(&tx, update, 2, DX_INT_VALUE(5), DX_INT_VALUE(1));
    assert_int_equal(test_run(f->store, &tx), DX_OK);
    assert_string_equal(tx.text, "8,5;");
    assert_int_equal(tx.changes, 1);
    test_tx_init(&tx, DX_TX_WRITE);
    (void)test_tx_add(&tx, update, 2, DX_INT_VALUE(5), DX_INT_VALUE(2));
    assert_int_equal(test_run(f->store, &tx), DX_OK);
    assert_int_equal(tx.changes, 0);
}

static const dx_statement *delete_by_id(fixture *f) {
    dx_query query = DX_QUERY_INIT(DX_QUERY_DELETE, &test_items);
    query.where = &by_first;
    return test_keep(f->store, &query);
}

static void remove_row(fixture *f, int64_t id) {
    test_tx tx;
    test_tx_init(&tx, DX_TX_WRITE);
    (void)test_tx_add(&tx, delete_by_id(f), 1, DX_INT_VALUE(id));
    assert_int_equal(test_run(f->store, &tx), DX_OK);
    assert_int_equal(tx.changes, 1);
}

static void a_colliding_row_says_in_which_column(void **state) {
    fixture *f = *state;
    (void)test_add(f->store, f->insert, "a", 1);
    test_tx tx;
    test_tx_init(&tx, DX_TX_WRITE);
    (void)test_tx_add(&tx, f->insert, 2, DX_TEXT_VALUE(S("a")), DX_INT_VALUE(2));
    assert_int_equal(test_run(f->store, &tx), DX_ALREADY_EXISTS);
    assert_string_equal(tx.conflict, "name");
    assert_int_equal(test_count(f->store, &test_items), 1);
}

static void a_missing_required_value_is_invalid(void **state) {
    fixture *f = *state;
    test_tx tx;
    test_tx_init(&tx, DX_TX_WRITE);
    (void)test_tx_add(&tx, f->insert, 2, DX_NULL_VALUE, DX_INT_VALUE(2));
    assert_int_equal(test_run(f->store, &tx), DX_INVALID);
    assert_string_equal(tx.conflict, "name");
}

static void skip_existing_leaves_the_row_as_it_is(void **state) {
    fixture *f = *state;
    (void)test_add(f->store, f->insert, "a", 1);
    static const uint16_t columns[] = {ITEM_NAME, ITEM_COUNT}, id[] = {ITEM_ID};
    dx_query query = DX_QUERY_INIT(DX_QUERY_INSERT, &test_items);
    query.columns = columns;
    query.column_count = 2;
    query.returning = id;
    query.returning_count = 1;
    query.skip_existing = true;
    const dx_statement *insert = test_keep(f->store, &query);
    test_tx tx;
    test_tx_init(&tx, DX_TX_WRITE);
    (void)test_tx_add(&tx, insert, 2, DX_TEXT_VALUE(S("a")), DX_INT_VALUE(2));
    assert_int_equal(test_run(f->store, &tx), DX_OK);
    assert_int_equal(tx.changes, 0);
    assert_int_equal(tx.rows, 0);
    test_tx_init(&tx, DX_TX_WRITE);
    (void)test_tx_add(&tx, insert, 2, DX_TEXT_VALUE(S("b")), DX_INT_VALUE(2));
    assert_int_equal(test_run(f->store, &tx), DX_OK);
    assert_int_equal(tx.changes, 1);
    assert_int_equal(tx.rows, 1);
    assert_string_equal(select_by_id(f, 1), "1,a,null,1,null,null;");
}

static void a_rolled_back_transaction_leaves_nothing(void **state) {
    fixture *f = *state;
    test_tx tx;
    test_tx_init(&tx, DX_TX_WRITE);
    (void)test_tx_add(&tx, f->insert, 2, DX_TEXT_VALUE(S("a")), DX_INT_VALUE(1));
    (void)test_tx_add(&tx, f->insert, 2, DX_TEXT_VALUE(S("b")), DX_INT_VALUE(1));
    tx.rollback_at = 2;
    tx.rollback_status = DX_PRECONDITION_FAILED;
    assert_int_equal(test_run(f->store, &tx), DX_PRECONDITION_FAILED);
    assert_int_equal(test_count(f->store, &test_items), 0);
}

static void a_refused_row_ends_the_transaction_and_undoes_it(void **state) {
    fixture *f = *state;
    test_tx tx;
    test_tx_init(&tx, DX_TX_WRITE);
    (void)test_tx_add(&tx, f->insert, 2, DX_TEXT_VALUE(S("a")), DX_INT_VALUE(1));
    tx.row_status = DX_NO_MEMORY;
    assert_int_equal(test_run(f->store, &tx), DX_NO_MEMORY);
    assert_int_equal(test_count(f->store, &test_items), 0);
}

static void a_read_must_not_write(void **state) {
    fixture *f = *state;
    test_tx tx;
    test_tx_init(&tx, DX_TX_READ);
    (void)test_tx_add(&tx, f->insert, 2, DX_TEXT_VALUE(S("a")), DX_INT_VALUE(1));
    assert_int_equal(test_run(f->store, &tx), DX_INTERNAL);
    assert_int_equal(test_count(f->store, &test_items), 0);
}

static void queries_that_make_no_sense_are_refused(void **state) {
    fixture *f = *state;
    const dx_statement *statement;
    dx_keep *keep = dx_keep_create(f->store);
    assert_non_null(keep);
    dx_query all = DX_QUERY_INIT(DX_QUERY_DELETE, &test_items);
    assert_int_equal(dx_statement_keep(&statement, keep, &all), DX_INTERNAL);
    static const uint16_t outside[] = {6}, id[] = {0};
    dx_query select = DX_QUERY_INIT(DX_QUERY_SELECT, &test_items);
    assert_int_equal(dx_statement_keep(&statement, keep, &select), DX_INTERNAL);
    select.columns = outside;
    select.column_count = 1;
    assert_int_equal(dx_statement_keep(&statement, keep, &select), DX_INTERNAL);
    dx_query key = DX_QUERY_INIT(DX_QUERY_UPDATE, &test_items);
    key.columns = id;
    key.column_count = 1;
    key.where = &by_id;
    assert_int_equal(dx_statement_keep(&statement, keep, &key), DX_INTERNAL);
    static dx_expr deep[40];
    static const dx_expr *inner[40];
    for (size_t i = 0; i < COUNT(deep); i++) {
        inner[i] = &deep[i + 1 < COUNT(deep) ? i + 1 : 0];
        deep[i] = (dx_expr){.kind = DX_EXPR_AND, .items = &inner[i], .item_count = i + 1 < COUNT(deep)};
    }
    select.columns = id;
    select.where = deep;
    assert_int_equal(dx_statement_keep(&statement, keep, &select), DX_INTERNAL);
}

static void too_few_parameters_are_refused(void **state) {
    fixture *f = *state;
    test_tx tx;
    test_tx_init(&tx, DX_TX_WRITE);
    (void)test_tx_add(&tx, f->insert, 1, DX_TEXT_VALUE(S("a")));
    assert_int_equal(test_run(f->store, &tx), DX_INTERNAL);
}

// --- references --------------------------------------------------------------------------------------------------------------

static void references_are_kept(void **state) {
    fixture *f = *state;
    static const dx_column columns[] = {
        {.name = DX_SLICE_INIT("id"), .type = DX_COLUMN_TEXT},
        {.name = DX_SLICE_INIT("item"), .type = DX_COLUMN_INTEGER, .references = &test_items},
    };
    static const dx_table parts = {.name = DX_SLICE_INIT("parts"), .columns = columns, .column_count = 2};
    (void)test_migrate(f->store, &parts);
    static const uint16_t both[] = {0, 1};
    dx_query query = DX_QUERY_INIT(DX_QUERY_INSERT, &parts);
    query.columns = both;
    query.column_count = 2;
    const dx_statement *insert = test_keep(f->store, &query);
    (void)test_add(f->store, f->insert, "a", 1);
    test_tx tx;
    test_tx_init(&tx, DX_TX_WRITE);
    (void)test_tx_add(&tx, insert, 2, DX_TEXT_VALUE(S("p")), DX_INT_VALUE(2));
    assert_int_equal(test_run(f->store, &tx), DX_UNKNOWN_REFERENCE);
    test_tx_init(&tx, DX_TX_WRITE);
    (void)test_tx_add(&tx, insert, 2, DX_TEXT_VALUE(S("p")), DX_INT_VALUE(1));
    assert_int_equal(test_run(f->store, &tx), DX_OK);
    test_tx_init(&tx, DX_TX_WRITE);
    (void)test_tx_add(&tx, insert, 2, DX_TEXT_VALUE(S("p")), DX_INT_VALUE(1));
    assert_int_equal(test_run(f->store, &tx), DX_ALREADY_EXISTS);
    assert_string_equal(tx.conflict, "id");
    test_tx_init(&tx, DX_TX_WRITE);
    (void)test_tx_add(&tx, delete_by_id(f), 1, DX_INT_VALUE(1));
    assert_int_equal(test_run(f->store, &tx), DX_IN_USE);
}

// --- numbers -----------------------------------------------------------------------------------------------------------------

static void a_number_is_never_given_twice(void **state) {
    fixture *f = *state;
    assert_int_equal(test_add(f->store, f->insert, "a", 1), 1);
    assert_int_equal(test_add(f->store, f->insert, "b", 1), 2);
    remove_row(f, 2);
    assert_int_equal(test_add(f->store, f->insert, "c", 1), 3);
    remove_row(f, 3);
    reopen(f);
    assert_int_equal(test_add(f->store, f->insert, "d", 1), 4);
    remove_row(f, 4);
    remove_row(f, 1);
    reopen(f);
    assert_int_equal(test_add(f->store, f->insert, "e", 1), 5);
}

static void two_stores_of_one_file_number_as_one(void **state) {
    fixture *f = *state;
    dx_store *other = test_open(f->file.url);
    const dx_statement *insert = test_insert(other);
    assert_int_equal(test_add(f->store, f->insert, "a", 1), 1);
    assert_int_equal(test_add(other, insert, "b", 1), 2);
    assert_int_equal(test_add(f->store, f->insert, "c", 1), 3);
    remove_row(f, 3);
    assert_int_equal(test_add(other, insert, "d", 1), 4);
    dx_store_close(other);
}

static void an_id_of_the_callers_own_moves_the_numbers_on(void **state) {
    fixture *f = *state;
    static const uint16_t columns[] = {ITEM_ID, ITEM_NAME}, id[] = {ITEM_ID};
    dx_query query = DX_QUERY_INIT(DX_QUERY_INSERT, &test_items);
    query.columns = columns;
    query.column_count = 2;
    query.returning = id;
    query.returning_count = 1;
    const dx_statement *insert = test_keep(f->store, &query);
    (void)test_add(f->store, f->insert, "a", 1);
    test_tx tx;
    test_tx_init(&tx, DX_TX_WRITE);
    (void)test_tx_add(&tx, insert, 2, DX_INT_VALUE(100), DX_TEXT_VALUE(S("b")));
    (void)test_tx_add(&tx, insert, 2, DX_NULL_VALUE, DX_TEXT_VALUE(S("c")));
    assert_int_equal(test_run(f->store, &tx), DX_OK);
    assert_string_equal(tx.text, "100;101;");
    assert_int_equal(test_add(f->store, f->insert, "d", 1), 102);
}

// --- statements --------------------------------------------------------------------------------------------------------------

static void more_statements_than_the_cache_holds_all_run(void **state) {
    fixture *f = *state;
    (void)test_add(f->store, f->insert, "a", 1);
    const dx_statement *kept = f->select;
    for (uint16_t i = 1; i < 1200; i++) {
        dx_arena *arena = dx_arena_create(1 << 20);
        dx_expr in = {.kind = DX_EXPR_COMPARE, .column = ITEM_ID, .compare = DX_IN, .param = 0, .param_count = i % 8};
        static const dx_expr *copies[200];
        for (size_t c = 0; c < COUNT(copies); c++) copies[c] = &in;
        dx_expr any = {.kind = DX_EXPR_OR, .items = copies, .item_count = (uint16_t)(1 + i / 8)};
        dx_query query = DX_QUERY_INIT(DX_QUERY_COUNT, &test_items);
        query.where = &any;
        const dx_statement *statement;
        assert_int_equal(dx_statement_make(&statement, f->store, arena, &query), DX_OK);
        test_tx tx;
        test_tx_init(&tx, DX_TX_BRIEF);
        (void)test_tx_add(&tx, statement, 8, DX_INT_VALUE(1), DX_INT_VALUE(2), DX_INT_VALUE(3), DX_INT_VALUE(4), DX_INT_VALUE(5),
                          DX_INT_VALUE(6), DX_INT_VALUE(7), DX_INT_VALUE(8));
        (void)test_tx_add(&tx, kept, 1, DX_INT_VALUE(1));
        assert_int_equal(test_run(f->store, &tx), DX_OK);
        assert_int_equal(tx.integers[0], i % 8 ? 1 : 0);
        assert_int_equal(tx.rows, 2);
        dx_arena_destroy(arena);
    }
    int used = 0, most = 0;
    sqlite3 *db = dx_sqlite_of(f->store)->direct->db;
    assert_int_equal(sqlite3_db_status(db, SQLITE_DBSTATUS_STMT_USED, &used, &most, 0), SQLITE_OK);
    assert_in_range(used, 1, DX_SQLITE_PREPARED_BYTES + (1 << 19));
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_new_file_is_for_its_owner_alone),
        TEST(a_url_that_names_no_store_is_refused_with_the_reason),
        TEST(the_database_of_another_program_is_refused),
        TEST(a_store_in_memory_works_and_is_lost_at_the_end),
        TEST(values_come_back_as_they_went_in),
        TEST(a_value_of_the_wrong_type_is_refused),
        TEST(comparisons_mean_what_the_contract_says),
        TEST(lists_and_nested_conditions_work),
        TEST(a_condition_of_thousands_of_items_runs),
        TEST(a_pattern_that_is_too_long_is_invalid),
        TEST(nulls_come_first_ascending_and_last_descending),
        TEST(limits_offsets_and_counts_work),
        TEST(updates_set_bump_and_return),
        TEST(a_colliding_row_says_in_which_column),
        TEST(a_missing_required_value_is_invalid),
        TEST(skip_existing_leaves_the_row_as_it_is),
        TEST(a_rolled_back_transaction_leaves_nothing),
        TEST(a_refused_row_ends_the_transaction_and_undoes_it),
        TEST(a_read_must_not_write),
        TEST(queries_that_make_no_sense_are_refused),
        TEST(too_few_parameters_are_refused),
        TEST(references_are_kept),
        TEST(a_number_is_never_given_twice),
        TEST(two_stores_of_one_file_number_as_one),
        TEST(an_id_of_the_callers_own_moves_the_numbers_on),
        TEST(more_statements_than_the_cache_holds_all_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
