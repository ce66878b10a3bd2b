// Migrating in three steps that share these types: read and write what a table is (shape.c), find out what must change and whether it
// may (plan.c), do it (migrate.c).
#ifndef DX_STORE_SQLITE_MIGRATE_H
#define DX_STORE_SQLITE_MIGRATE_H

#include "store/sqlite/internal.h"

// A table as it is, or is to be: what is kept of it as JSON in dx_store_tables.
typedef struct dx_shape_column {
    dx_slice name;
    dx_column_type type;
    bool required, unique, indexed;
    dx_slice references;      // table; empty: none
    const dx_value *fallback; // what it gets from an INSERT that does not name it; NULL: nothing. Not part of what is kept
} dx_shape_column;

typedef struct dx_shape_index {
    dx_slice *columns;
    size_t count;
    bool unique;
    dx_slice while_null; // a unique one counts rows where this column is NULL; empty: all
} dx_shape_index;

typedef struct dx_shape {
    dx_shape_column *columns;
    size_t count;
    dx_shape_index *indexes; // over several columns
    size_t index_count;
    dx_slice unique_while_null; // a column; empty: none
} dx_shape;

dx_status dx_shape_of(dx_shape *out, dx_arena *arena, const dx_table *table);
void dx_shape_write(dx_buffer *json, const dx_shape *shape);
dx_status dx_shape_read(dx_shape *out, dx_arena *arena, dx_slice json);
const dx_shape_column *dx_shape_find(const dx_shape *shape, dx_slice name); // as SQLite compares names; NULL: none

// One table's way from what it is to what it should be.
typedef struct dx_table_plan {
    const dx_table *table;
    dx_shape want;
    dx_slice want_json;
    bool exists;
    dx_shape have; // when it exists
    // per wanted column: where its values come from (an expression over the old row), and the old column, or NULL
    dx_slice *source;
    const dx_shape_column **from;
    bool rebuild; // else only columns and indexes are added or indexes dropped
} dx_table_plan;

typedef struct dx_migration {
    dx_sqlite *store;
    dx_sqlite_conn *conn;
    dx_arena *arena;
    dx_diags *diags;
    dx_map stored; // table → its JSON (dx_slice *)
    bool grow;     // columns that are not wanted stay, for others use them
    bool refused;
} dx_migration;

// Fills `source`, `from` and `rebuild` and adds a finding for whatever would lose data. Reads only.
dx_status dx_plan_change(dx_migration *migration, dx_table_plan *plan);

// SQL of tables (ddl.c).
void dx_ddl_create_table(dx_buffer *sql, dx_slice name, const dx_shape *shape);
void dx_ddl_add_column(dx_buffer *sql, dx_slice table, const dx_shape_column *column);
void dx_ddl_create_indexes(dx_buffer *sql, dx_slice table, const dx_shape *shape, const dx_shape *but_not); // `but_not` may be NULL
void dx_ddl_drop_indexes(dx_buffer *sql, dx_slice table, const dx_shape *shape, const dx_shape *but_not);
void dx_ddl_literal(dx_buffer *sql, const dx_value *value);

#endif
