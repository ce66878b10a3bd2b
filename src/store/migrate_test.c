// Migrations: what is changed, what is refused and which way out is named, and that a refused one has changed nothing.
#include "store/fixture.h"

typedef struct fixture {
    test_file file;
    dx_store *store;
} fixture;

static int set_up(void **state) {
    static fixture f;
    test_file_make(&f.file);
    f.store = test_open(f.file.url);
    *state = &f;
    return 0;
}

static int tear_down(void **state) {
    fixture *f = *state;
    dx_store_close(f->store);
    test_file_remove(&f->file);
    return 0;
}

// Tables "things" of different columns behind the id.
static const dx_table *things(const dx_column *columns, uint16_t count) {
    static dx_column all[16];
    static dx_table table;
    all[0] = (dx_column){.name = S("id"), .type = DX_COLUMN_INTEGER};
    for (uint16_t i = 0; i < count; i++) all[i + 1] = columns[i];
    table = (dx_table){.name = S("things"), .columns = all, .column_count = (uint16_t)(count + 1)};
    return &table;
}
#define THINGS(...) things((const dx_column[]){__VA_ARGS__}, COUNT(((const dx_column[]){__VA_ARGS__})))
#define TEXT(name_, ...)                                                                                                                   \
    { .name = DX_SLICE_INIT(name_), .type = DX_COLUMN_TEXT, __VA_ARGS__ }
#define COLUMN(name_, type_, ...)                                                                                                          \
    { .name = DX_SLICE_INIT(name_), .type = DX_COLUMN_##type_, __VA_ARGS__ }

static void sql(fixture *f, const char *text) {
    const char *error = test_file_sql(&f->file, text);
    if (error) fail_msg("%s: %s", text, error);
}

static void expect(fixture *f, const char *text, const char *expected) {
    const char *found = test_file_sql(&f->file, text);
    assert_string_equal(found ? found : "(null)", expected);
}

static void refused(fixture *f, const dx_table *table, const char *says, const char *way_out) {
    const char *text = test_migrate_refused(f->store, table);
    if (!strstr(text, says)) fail_msg("\"%s\" does not say \"%s\"", text, says);
    if (!strstr(text, way_out)) fail_msg("\"%s\" does not name %s", text, way_out);
}

// --- what is done ------------------------------------------------------------------------------------------------------------

static void tables_are_made_and_then_left_alone(void **state) {
    fixture *f = *state;
    dx_migration_report report = test_migrate(f->store, THINGS(TEXT("name", .unique = true), COLUMN("size", INTEGER, .indexed = true)));
    assert_int_equal(report.created, 1);
    report = test_migrate(f->store, THINGS(TEXT("name", .unique = true), COLUMN("size", INTEGER, .indexed = true)));
    assert_int_equal(report.unchanged, 1);
    expect(f, "SELECT group_concat(name,' ') FROM (SELECT name FROM sqlite_schema WHERE tbl_name='things' AND type='index' ORDER BY 1)",
           "things:!name things:size");
}

static void columns_and_indexes_are_added_and_indexes_dropped(void **state) {
    fixture *f = *state;
    (void)test_migrate(f->store, THINGS(TEXT("name", .indexed = true)));
    sql(f, "INSERT INTO things(name) VALUES('a'),('b')");
    dx_migration_report report = test_migrate(f->store, THINGS(TEXT("color", .indexed = true), TEXT("name", .unique = true)));
    assert_int_equal(report.changed, 1);
    expect(f, "SELECT group_concat(name||ifnull(color,'-'),' ') FROM things", "a- b-");
    expect(f, "SELECT group_concat(name,' ') FROM (SELECT name FROM sqlite_schema WHERE tbl_name='things' AND type='index' ORDER BY 1)",
           "things:!name things:color");
    assert_int_equal(test_migrate(f->store, THINGS(TEXT("color", .indexed = true), TEXT("name", .unique = true))).unchanged, 1);
}

static void indexes_over_several_columns_are_kept(void **state) {
    fixture *f = *state;
    static const uint16_t both[] = {1, 2};
    static const dx_table_index index = {.columns = both, .column_count = 2, .unique = true};
    dx_table table = *THINGS(TEXT("name"), COLUMN("size", INTEGER));
    (void)test_migrate(f->store, &table);
    sql(f, "INSERT INTO things(name,size) VALUES('a',1),('a',2),('a',1)");
    table.indexes = &index;
    table.index_count = 1;
    refused(f, &table, "for example \"a, 1\"", "unique");
    sql(f, "DELETE FROM things WHERE id=3");
    assert_int_equal(test_migrate(f->store, &table).changed, 1);
    expect(f, "INSERT INTO things(name,size) VALUES('a',1)", "error: UNIQUE constraint failed: things.name, things.size");
    table.index_count = 0;
    assert_int_equal(test_migrate(f->store, &table).changed, 1);
    sql(f, "INSERT INTO things(name,size) VALUES('a',1)");
}

// Lists are sorted by a column and then by id, so an index must be able to do that.
static void an_index_ends_in_the_id(void **state) {
    fixture *f = *state;
    const dx_column columns[] = {COLUMN("id", TEXT), COLUMN("size", INTEGER, .indexed = true)};
    const dx_table table = {.name = S("named"), .columns = columns, .column_count = 2};
    (void)test_migrate(f->store, &table);
    expect(f, "SELECT group_concat(name) FROM pragma_index_info('named:size')", "size,id");
}

static void a_renamed_column_keeps_its_values_and_stays_renamed(void **state) {
    fixture *f = *state;
    (void)test_migrate(f->store, THINGS(TEXT("name")));
    sql(f, "INSERT INTO things(name) VALUES('a')");
    for (int i = 0; i < 2; i++) {
        dx_migration_report report = test_migrate(f->store, THINGS(TEXT("title", .renamed_from = DX_SLICE_INIT("name"))));
        assert_int_equal(report.changed, i == 0);
        expect(f, "SELECT title FROM things", "a");
    }
}

static void a_required_column_is_filled_from_its_fallback(void **state) {
    fixture *f = *state;
    (void)test_migrate(f->store, THINGS(TEXT("name")));
    sql(f, "INSERT INTO things(name) VALUES('a'),(NULL)");
    const dx_column fallback = {.name = S("name"), .type = DX_COLUMN_TEXT, .required = true, .fallback = DX_TEXT_VALUE(S("it's"))};
    const dx_column added = {.name = S("size"), .type = DX_COLUMN_NUMBER, .required = true, .fallback = DX_REAL_VALUE(0.1)};
    const dx_column both[] = {fallback, added};
    (void)test_migrate(f->store, things(both, 2));
    expect(f, "SELECT group_concat(name||size,' ') FROM things", "a0.1 it's0.1");
    expect(f, "INSERT INTO things(name,size) VALUES(NULL,1)", "error: NOT NULL constraint failed: things.name");
    sql(f, "INSERT INTO things(size) VALUES(1)"); // as statements do that were made before the column was
    expect(f, "SELECT name FROM things WHERE size=1", "it's");
}

static void types_change_where_nothing_is_lost(void **state) {
    fixture *f = *state;
    (void)test_migrate(f->store,
                       THINGS(COLUMN("a", INTEGER), COLUMN("b", BOOLEAN), COLUMN("c", TEXT), COLUMN("d", NUMBER), COLUMN("e", INTEGER)));
    sql(f, "INSERT INTO things(a,b,c,d,e) VALUES(9223372036854775807,1,'say \"x\"',7.0,1)");
    (void)test_migrate(f->store,
                       THINGS(COLUMN("a", NUMBER), COLUMN("b", TEXT), COLUMN("c", JSON), COLUMN("d", INTEGER), COLUMN("e", BOOLEAN)));
    expect(f, "SELECT a||' '||b||' '||c||' '||d||' '||typeof(d)||' '||e FROM things",
           "9223372036854775807 true \"say \\\"x\\\"\" 7 integer 1");
}

static void rows_and_references_survive_a_rebuild(void **state) {
    fixture *f = *state;
    const dx_table *before = THINGS(COLUMN("size", INTEGER));
    (void)test_migrate(f->store, before);
    const dx_column columns[] = {COLUMN("id", INTEGER), COLUMN("thing", INTEGER, .references = before)};
    const dx_table parts = {.name = S("parts"), .columns = columns, .column_count = 2};
    (void)test_migrate(f->store, &parts);
    sql(f, "INSERT INTO things(id,size) VALUES(5,1)");
    sql(f, "INSERT INTO parts(thing) VALUES(5)");
    (void)test_migrate(f->store, THINGS(COLUMN("size", NUMBER)));
    expect(f, "SELECT size FROM parts JOIN things ON things.id=thing", "1");
    expect(f, "SELECT count(*) FROM pragma_foreign_key_check", "0");
    expect(f, "SELECT sql FROM sqlite_schema WHERE name='parts'",
           "CREATE TABLE \"parts\"(\"id\" INTEGER PRIMARY KEY NOT NULL,\"thing\" INTEGER REFERENCES \"things\"(\"id\")) STRICT");
}

static void numbers_go_on_after_a_rebuild(void **state) {
    fixture *f = *state;
    (void)test_migrate(f->store, &test_items);
    const dx_statement *insert = test_insert(f->store);
    assert_int_equal(test_add(f->store, insert, "a", 1), 1);
    assert_int_equal(test_add(f->store, insert, "b", 1), 2);
    dx_query query = DX_QUERY_INIT(DX_QUERY_DELETE, &test_items);
    static const dx_expr all = {.kind = DX_EXPR_AND};
    query.where = &all;
    test_tx tx;
    test_tx_init(&tx, DX_TX_WRITE);
    (void)test_tx_add(&tx, test_keep(f->store, &query), 0);
    assert_int_equal(test_run(f->store, &tx), DX_OK);
    dx_column columns[6];
    memcpy(columns, test_items.columns, sizeof columns);
    columns[ITEM_COUNT].type = DX_COLUMN_NUMBER;
    dx_table changed = test_items;
    changed.columns = columns;
    assert_int_equal(test_migrate(f->store, &changed).changed, 1);
    assert_int_equal(test_add(f->store, insert, "c", 1), 3);
}

static void a_table_without_rows_changes_at_will(void **state) {
    fixture *f = *state;
    (void)test_migrate(f->store, THINGS(TEXT("name"), COLUMN("size", INTEGER)));
    (void)test_migrate(f->store, THINGS(COLUMN("name", BLOB, .required = true), COLUMN("flag", BOOLEAN, .required = true)));
    expect(f, "SELECT group_concat(name||type,' ') FROM pragma_table_info('things')", "idINTEGER nameBLOB flagINTEGER");
}

// "gone" marks rows that do not count for what is unique (2: the column's number).
static const dx_table *with_gone(bool counts_all, dx_column name) {
    static dx_table table;
    table = *things((const dx_column[]){name, {.name = DX_SLICE_INIT("gone"), .type = DX_COLUMN_INTEGER}}, 2);
    if (!counts_all) table.unique_while_null = 2;
    return &table;
}

static void values_of_rows_that_do_not_count_are_free(void **state) {
    static const char indexes[] = "SELECT group_concat(name,' ') FROM (SELECT name FROM sqlite_schema WHERE type='index' AND"
                                  " tbl_name='things' ORDER BY 1)";
    fixture *f = *state;
    (void)test_migrate(f->store, with_gone(true, (dx_column)TEXT("name", .unique = true)));
    (void)test_migrate(f->store, with_gone(false, (dx_column)TEXT("name", .unique = true)));
    expect(f, indexes, "things:!name?gone");
    sql(f, "INSERT INTO things(name,gone) VALUES('a',1),('a',2),('a',NULL)");
    assert_non_null(test_file_sql(&f->file, "INSERT INTO things(name) VALUES('a')"));
    assert_int_equal(test_migrate(f->store, with_gone(false, (dx_column)TEXT("name", .unique = true))).unchanged, 1);
    // A value twice among those that count, or among all when all are to count, is refused as ever.
    refused(f, with_gone(true, (dx_column)TEXT("name", .unique = true)), "cannot become unique", "change those rows");
    (void)test_migrate(f->store, with_gone(false, (dx_column)TEXT("name")));
    sql(f, "INSERT INTO things(name) VALUES('a')");
    refused(f, with_gone(false, (dx_column)TEXT("name", .unique = true)), "cannot become unique", "change those rows");
    sql(f, "DELETE FROM things WHERE id=4");
    (void)test_migrate(f->store, with_gone(false, (dx_column)TEXT("name", .unique = true)));
    expect(f, indexes, "things:!name?gone");
}

static void a_reference_that_is_unique_for_some_rows_is_indexed_for_all(void **state) {
    fixture *f = *state;
    static const dx_column id[] = {{.name = DX_SLICE_INIT("id"), .type = DX_COLUMN_INTEGER}};
    static const dx_table others = {.name = DX_SLICE_INIT("others"), .columns = id, .column_count = 1};
    const dx_column other = COLUMN("other_id", INTEGER, .unique = true, .references = &others);
    const dx_table *tables[] = {&others, with_gone(false, other)};
    assert_int_equal(dx_store_migrate(f->store, tables, 2, NULL, NULL), DX_OK);
    expect(f, "SELECT group_concat(name,' ') FROM (SELECT name FROM sqlite_schema WHERE type='index' AND tbl_name='things' ORDER BY 1)",
           "things:!other_id?gone things:other_id");
}

// --- what is refused ---------------------------------------------------------------------------------------------------------

static void a_column_with_values_is_dropped_only_when_listed(void **state) {
    fixture *f = *state;
    (void)test_migrate(f->store, THINGS(TEXT("name"), TEXT("color")));
    sql(f, "INSERT INTO things(name,color) VALUES('a','red')");
    refused(f, THINGS(TEXT("name")), "\"color\" is gone from the definition", "\"dropped\": [\"color\"]");
    refused(f, THINGS(TEXT("name")), "\"red\"", "\"renamed\": {\"NEW\": \"color\"}");
    expect(f, "SELECT color FROM things", "red");
    static const dx_slice dropped[] = {DX_SLICE_INIT("color")};
    dx_table table = *THINGS(TEXT("name"));
    table.dropped = dropped;
    table.dropped_count = 1;
    assert_int_equal(test_migrate(f->store, &table).changed, 1);
    expect(f, "SELECT group_concat(name) FROM pragma_table_info('things')", "id,name");
    assert_int_equal(test_migrate(f->store, &table).unchanged, 1);
}

// While others use the tables: what they name stays, and does not hinder those who don't know it.
static void growing_keeps_columns_that_are_gone(void **state) {
    fixture *f = *state;
    dx_migration_report report;
    (void)test_migrate(f->store, THINGS(TEXT("name"), TEXT("colour", .required = true)));
    sql(f, "INSERT INTO things(name,colour) VALUES('a','red')");
    const dx_table *without = THINGS(TEXT("name"), COLUMN("size", INTEGER));
    assert_int_equal(dx_store_grow(f->store, &without, 1, &report, NULL), DX_OK);
    assert_int_equal(report.changed, 1);
    expect(f, "SELECT group_concat(name||','||ifnull(colour,'-'),' ') FROM things", "a,red");
    sql(f, "INSERT INTO things(name,size) VALUES('b',1)");
    assert_int_equal(dx_store_grow(f->store, &without, 1, &report, NULL), DX_OK);
    assert_int_equal(report.unchanged, 1);
    refused(f, without, "\"colour\" is gone from the definition", "dropped");
    sql(f, "UPDATE things SET colour=NULL");
    (void)test_migrate(f->store, THINGS(TEXT("name"), COLUMN("size", INTEGER)));
    expect(f, "SELECT count(*)||'' FROM pragma_table_info('things') WHERE name='colour'", "0");
}

static void growing_renames_still(void **state) {
    fixture *f = *state;
    dx_migration_report report;
    (void)test_migrate(f->store, THINGS(TEXT("name")));
    sql(f, "INSERT INTO things(name) VALUES('a')");
    const dx_table *renamed = THINGS(TEXT("title", .renamed_from = S("name")));
    assert_int_equal(dx_store_grow(f->store, &renamed, 1, &report, NULL), DX_OK);
    expect(f, "SELECT title FROM things", "a");
}

static void a_required_column_without_values_is_refused(void **state) {
    fixture *f = *state;
    (void)test_migrate(f->store, THINGS(TEXT("name")));
    sql(f, "INSERT INTO things(name) VALUES('a'),(NULL)");
    refused(f, THINGS(TEXT("name", .required = true)), "example those with id \"2\"", "\"fallback\": {\"name\": VALUE}");
    refused(f, THINGS(TEXT("name"), TEXT("color", .required = true)), "\"color\" is required", "\"fallback\": {\"color\": VALUE}");
    expect(f, "SELECT group_concat(name) FROM pragma_table_info('things')", "id,name");
}

static void a_type_change_that_loses_something_is_refused(void **state) {
    fixture *f = *state;
    (void)test_migrate(f->store, THINGS(COLUMN("size", NUMBER)));
    sql(f, "INSERT INTO things(size) VALUES(1),(1.5)");
    refused(f, THINGS(COLUMN("size", INTEGER)), "for example \"1.5\"", "\"dropped\": [\"size\"]");
    refused(f, THINGS(COLUMN("size", TEXT)), "cannot become the new type", "\"dropped\": [\"size\"]");
    static const dx_slice dropped[] = {DX_SLICE_INIT("size")};
    dx_table table = *THINGS(COLUMN("size", TEXT));
    table.dropped = dropped;
    table.dropped_count = 1;
    assert_int_equal(test_migrate(f->store, &table).changed, 1);
    expect(f, "SELECT count(*) FROM things WHERE size IS NULL", "2");
}

static void values_that_are_there_twice_cannot_become_unique(void **state) {
    fixture *f = *state;
    (void)test_migrate(f->store, THINGS(TEXT("name")));
    sql(f, "INSERT INTO things(name) VALUES('a'),('a'),('b'),(NULL),(NULL)");
    refused(f, THINGS(TEXT("name", .unique = true)), "for example \"a\"", "unique");
    sql(f, "UPDATE things SET name='c' WHERE id=2");
    assert_int_equal(test_migrate(f->store, THINGS(TEXT("name", .unique = true))).changed, 1);
}

static void a_reference_to_rows_that_are_not_there_is_refused(void **state) {
    fixture *f = *state;
    (void)test_migrate(f->store, &test_items);
    (void)test_migrate(f->store, THINGS(COLUMN("item", INTEGER)));
    sql(f, "INSERT INTO things(item) VALUES(9)");
    refused(f, THINGS(COLUMN("item", INTEGER, .references = &test_items)), "for example \"9\"", "mend those rows");
    sql(f, "UPDATE things SET item=NULL");
    assert_int_equal(test_migrate(f->store, THINGS(COLUMN("item", INTEGER, .references = &test_items))).changed, 1);
}

static void one_refusal_changes_none_of_the_tables(void **state) {
    fixture *f = *state;
    (void)test_migrate(f->store, THINGS(TEXT("name")));
    sql(f, "INSERT INTO things(name) VALUES('a')");
    dx_table other = test_items;
    const dx_table *tables[] = {&other, THINGS(COLUMN("size", INTEGER))};
    dx_migration_report report;
    assert_int_equal(dx_store_migrate(f->store, tables, 2, &report, NULL), DX_CONFLICT);
    expect(f, "SELECT count(*) FROM sqlite_schema WHERE name='items'", "0");
}

static void names_and_tables_that_cannot_be_are_refused(void **state) {
    fixture *f = *state;
    refused(f, THINGS(TEXT("a b")), "is not a name", "a b");
    refused(f, THINGS(TEXT("a\"; DROP TABLE x")), "is not a name", "a");
    refused(f, THINGS(TEXT("Name"), TEXT("name")), "stands twice", "name");
    refused(f, THINGS(COLUMN("size", INTEGER, .references = &test_items, .fallback = {.type = DX_VALUE_TEXT})), "fallback of another type",
            "");
    dx_table table = *THINGS(TEXT("a"));
    table.name = S("sqlite_things");
    refused(f, &table, "keeps for itself", "");
    table.name = S("dx_store_tables");
    refused(f, &table, "keeps for itself", "");
    sql(f, "CREATE TABLE theirs(a)");
    table.name = S("theirs");
    refused(f, &table, "was not made under this name", "another name");
}

// --- size --------------------------------------------------------------------------------------------------------------------

enum { MANY = 1000 };

static void a_thousand_tables_are_made_at_once_and_then_skipped(void **state) {
    fixture *f = *state;
    static char names[MANY][16];
    static dx_table many[MANY];
    static const dx_table *tables[MANY];
    for (size_t i = 0; i < MANY; i++) {
        int size = snprintf(names[i], sizeof names[i], "t%zu", i);
        many[i] = test_items;
        many[i].name = dx_slice_of(names[i], (size_t)size);
        tables[i] = &many[i];
    }
    dx_migration_report report;
    assert_int_equal(dx_store_migrate(f->store, tables, MANY, &report, NULL), DX_OK);
    assert_int_equal(report.created, MANY);
    dx_nanos start = dx_clock_monotonic();
    assert_int_equal(dx_store_migrate(f->store, tables, MANY, &report, NULL), DX_OK);
    assert_int_equal(report.unchanged, MANY);
    print_message("a thousand unchanged tables: %lld us\n", (long long)((dx_clock_monotonic() - start) / DX_MICROSECOND));
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(tables_are_made_and_then_left_alone),
        TEST(columns_and_indexes_are_added_and_indexes_dropped),
        TEST(indexes_over_several_columns_are_kept),
        TEST(an_index_ends_in_the_id),
        TEST(a_renamed_column_keeps_its_values_and_stays_renamed),
        TEST(a_required_column_is_filled_from_its_fallback),
        TEST(types_change_where_nothing_is_lost),
        TEST(rows_and_references_survive_a_rebuild),
        TEST(numbers_go_on_after_a_rebuild),
        TEST(a_table_without_rows_changes_at_will),
        TEST(values_of_rows_that_do_not_count_are_free),
        TEST(a_reference_that_is_unique_for_some_rows_is_indexed_for_all),
        TEST(a_column_with_values_is_dropped_only_when_listed),
        TEST(growing_keeps_columns_that_are_gone),
        TEST(growing_renames_still),
        TEST(a_required_column_without_values_is_refused),
        TEST(a_type_change_that_loses_something_is_refused),
        TEST(values_that_are_there_twice_cannot_become_unique),
        TEST(a_reference_to_rows_that_are_not_there_is_refused),
        TEST(one_refusal_changes_none_of_the_tables),
        TEST(names_and_tables_that_cannot_be_are_refused),
        TEST(a_thousand_tables_are_made_at_once_and_then_skipped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
