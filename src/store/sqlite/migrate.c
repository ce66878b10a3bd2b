// Makes the tables what is wanted, all of them or none, in one transaction. A change that ALTER TABLE cannot do makes the table anew under
// another name, copies the rows and takes the old one's place; foreign keys are off meanwhile (SQLite's way) and checked before the commit.
#include "store/sqlite/migrate.h"

#include "base/log.h"

#define MIGRATION_MEMORY_CAP ((size_t)256 << 20)
#define SQL_CAP              ((size_t)4 << 20)

static dx_status exec(dx_migration *migration, dx_buffer *sql) {
    dx_buffer_byte(sql, '\0');
    if (dx_buffer_status(sql)) return dx_buffer_status(sql);
    int code = sqlite3_exec(migration->conn->db, sql->data, NULL, NULL, NULL);
    dx_buffer_clear(sql);
    return code == SQLITE_OK ? DX_OK : dx_sqlite_status(migration->conn, code, NULL);
}

// --- what is there -----------------------------------------------------------------------------------------------------------

// The column's text, copied; no column that is read here is NULL.
static dx_status take_text(dx_slice *out, dx_migration *migration, sqlite3_stmt *stmt, int column) {
    const char *text = (const char *)sqlite3_column_text(stmt, column);
    if (!text) return DX_NO_MEMORY;
    *out = dx_arena_copy(migration->arena, dx_slice_of(text, (size_t)sqlite3_column_bytes(stmt, column)));
    return out->data ? DX_OK : DX_NO_MEMORY;
}

static dx_status put_stored(dx_migration *migration, sqlite3_stmt *stmt) {
    dx_slice *json = DX_ARENA_NEW(migration->arena, dx_slice);
    if (!json) return DX_NO_MEMORY;
    dx_slice text[2];
    for (int i = 0; i < 2; i++) {
        dx_status status = take_text(&text[i], migration, stmt, i);
        if (status) return status;
    }
    *json = text[1];
    return dx_map_put(&migration->stored, text[0], json);
}

static dx_status load_stored(dx_migration *migration) {
    dx_map_init(&migration->stored, migration->arena);
    sqlite3_stmt *stmt = NULL;
    int code = sqlite3_prepare_v2(migration->conn->db, "SELECT name, definition FROM dx_store_tables", -1, &stmt, NULL);
    dx_status status = DX_OK;
    if (code == SQLITE_OK) {
        while (!status && (code = sqlite3_step(stmt)) == SQLITE_ROW) status = put_stored(migration, stmt);
    }
    (void)sqlite3_finalize(stmt);
    if (status || code == SQLITE_DONE) return status;
    return dx_sqlite_status(migration->conn, code, NULL);
}

static bool is_wanted(const dx_table *table, dx_slice name) {
    for (uint16_t i = 0; i < table->column_count; i++) {
        const dx_column *column = &table->columns[i];
        if (dx_slice_equal_nocase(column->name, name) || dx_slice_equal_nocase(column->renamed_from, name)) return true;
    }
    return false;
}

// The table with the columns that it has and that are not wanted any more. They lose what could hinder those who don't know them.
static dx_status add_surplus(const dx_table **out, dx_migration *migration, const dx_table *table) {
    const dx_slice *json = dx_map_get(&migration->stored, table->name);
    dx_shape have;
    *out = table;
    if (!json) return DX_OK;
    dx_status status = dx_shape_read(&have, migration->arena, *json);
    if (status) return status;
    dx_table *grown = DX_ARENA_NEW(migration->arena, dx_table);
    dx_column *columns = DX_ARENA_ARRAY(migration->arena, dx_column, table->column_count + have.count);
    if (!grown || !columns || table->column_count + have.count > UINT16_MAX) return DX_NO_MEMORY;
    *grown = *table;
    memcpy(columns, table->columns, table->column_count * sizeof *columns);
    for (size_t i = 0; i < have.count; i++)
        if (!is_wanted(table, have.columns[i].name))
            columns[grown->column_count++] = (dx_column){.name = have.columns[i].name, .type = have.columns[i].type};
    grown->columns = columns;
    if (grown->column_count > table->column_count) *out = grown;
    return DX_OK;
}

static dx_status plan_table(dx_migration *migration, dx_table_plan *plan, const dx_table *table) {
    plan->table = table;
    dx_status status = migration->grow ? add_surplus(&plan->table, migration, table) : DX_OK;
    if (status) return status;
    status = dx_shape_of(&plan->want, migration->arena, plan->table);
    if (status) return status;
    dx_buffer json;
    dx_buffer_init(&json, migration->arena, SQL_CAP);
    dx_shape_write(&json, &plan->want);
    plan->want_json = dx_buffer_slice(&json);
    return dx_buffer_status(&json);
}

static bool is_done(const dx_migration *migration, const dx_table_plan *plan) {
    const dx_slice *json = dx_map_get(&migration->stored, plan->table->name);
    return json && dx_slice_equal(*json, plan->want_json);
}

// --- making and changing -----------------------------------------------------------------------------------------------------

static void copy_rows(dx_buffer *sql, const dx_table_plan *plan, dx_slice to) {
    DX_BUFFER_LIT(sql, "INSERT INTO ");
    dx_sqlite_quote(sql, to);
    for (size_t i = 0; i < plan->want.count; i++) {
        dx_buffer_byte(sql, i ? ',' : '(');
        dx_sqlite_quote(sql, plan->want.columns[i].name);
    }
    DX_BUFFER_LIT(sql, ") SELECT ");
    for (size_t i = 0; i < plan->want.count; i++) {
        if (i) dx_buffer_byte(sql, ',');
        dx_buffer_add(sql, plan->source[i]);
    }
    DX_BUFFER_LIT(sql, " FROM ");
    dx_sqlite_quote(sql, plan->table->name);
    DX_BUFFER_LIT(sql, " AS old;");
}

static dx_status write_rebuild(dx_migration *migration, dx_buffer *sql, const dx_table_plan *plan) {
    dx_slice name = plan->table->name;
    dx_slice passing = dx_arena_printf(migration->arena, "%.*s:new", DX_SLICE_ARG(name));
    if (!passing.data) return DX_NO_MEMORY;
    dx_ddl_create_table(sql, passing, &plan->want);
    copy_rows(sql, plan, passing);
    DX_BUFFER_LIT(sql, "DROP TABLE ");
    dx_sqlite_quote(sql, name);
    DX_BUFFER_LIT(sql, ";ALTER TABLE ");
    dx_sqlite_quote(sql, passing);
    DX_BUFFER_LIT(sql, " RENAME TO ");
    dx_sqlite_quote(sql, name);
    dx_buffer_byte(sql, ';');
    dx_ddl_create_indexes(sql, name, &plan->want, NULL);
    return DX_OK;
}

static void write_additions(dx_buffer *sql, const dx_table_plan *plan) {
    dx_slice name = plan->table->name;
    dx_ddl_drop_indexes(sql, name, &plan->have, &plan->want);
    for (size_t i = 0; i < plan->want.count; i++) {
        if (!plan->from[i]) dx_ddl_add_column(sql, name, &plan->want.columns[i]);
    }
    dx_ddl_create_indexes(sql, name, &plan->want, &plan->have);
}

static dx_status remember(dx_migration *migration, const dx_table_plan *plan) {
    static const char sql[] = "INSERT INTO dx_store_tables(name,definition) VALUES(?1,?2)"
                              " ON CONFLICT(name) DO UPDATE SET definition=?2";
    sqlite3_stmt *stmt = NULL;
    int code = sqlite3_prepare_v2(migration->conn->db, sql, -1, &stmt, NULL);
    if (code == SQLITE_OK) {
        (void)sqlite3_bind_text(stmt, 1, plan->table->name.data, (int)plan->table->name.size, SQLITE_STATIC);
        (void)sqlite3_bind_text(stmt, 2, plan->want_json.data, (int)plan->want_json.size, SQLITE_STATIC);
        code = sqlite3_step(stmt);
    }
    (void)sqlite3_finalize(stmt);
    return code == SQLITE_DONE ? DX_OK : dx_sqlite_status(migration->conn, code, NULL);
}

static dx_status apply(dx_migration *migration, dx_buffer *sql, const dx_table_plan *plan) {
    dx_status status = DX_OK;
    if (!plan->exists) {
        dx_ddl_create_table(sql, plan->table->name, &plan->want);
        dx_ddl_create_indexes(sql, plan->table->name, &plan->want, NULL);
    } else if (plan->rebuild) {
        status = write_rebuild(migration, sql, plan);
    } else {
        write_additions(sql, plan);
    }
    if (!status) status = exec(migration, sql);
    return status ? status : remember(migration, plan);
}

// Rows of a changed table that refer to nothing: plan.c has looked, so any is a fault of ours, and nothing is committed.
static dx_status check_foreign_keys(dx_migration *migration, const dx_table_plan *plan) {
    if (!plan->exists) return DX_OK;
    dx_slice sql = dx_arena_printf(migration->arena, "PRAGMA foreign_key_check(\"%.*s\")", DX_SLICE_ARG(plan->table->name));
    if (!sql.data) return DX_NO_MEMORY;
    sqlite3_stmt *stmt = NULL;
    int code = sqlite3_prepare_v2(migration->conn->db, sql.data, -1, &stmt, NULL);
    if (code == SQLITE_OK) code = sqlite3_step(stmt);
    (void)sqlite3_finalize(stmt);
    if (code == SQLITE_DONE) return DX_OK;
    if (code != SQLITE_ROW) return dx_sqlite_status(migration->conn, code, NULL);
    (void)dx_diags_add(migration->diags, DX_INTERNAL, (dx_slice){0}, "table \"%.*s\": rows would refer to nothing; nothing was changed",
                       DX_SLICE_ARG(plan->table->name));
    return DX_INTERNAL;
}

// --- all of it ---------------------------------------------------------------------------------------------------------------

// A table of this name that the store did not make.
static dx_status check_stranger(dx_migration *migration, const dx_map *names, const dx_table_plan *plan) {
    char folded[DX_TABLE_NAME_CAP];
    for (size_t i = 0; i < plan->table->name.size; i++) {
        char c = plan->table->name.data[i];
        folded[i] = c >= 'A' && c <= 'Z' ? (char)(c + 'a' - 'A') : c;
    }
    if (!dx_map_get(names, dx_slice_of(folded, plan->table->name.size))) return DX_OK;
    migration->refused = true;
    dx_diag *diag = dx_diags_add(migration->diags, DX_CONFLICT, (dx_slice){0}, "table \"%.*s\" exists, and was not made under this name",
                                 DX_SLICE_ARG(plan->table->name));
    if (diag) diag->suggestion = DX_SLICE("use another name, or another store");
    return DX_OK;
}

static dx_status load_names(dx_migration *migration, dx_map *names) {
    dx_map_init(names, migration->arena);
    sqlite3_stmt *stmt = NULL;
    int code = sqlite3_prepare_v2(migration->conn->db, "SELECT lower(name) FROM sqlite_schema", -1, &stmt, NULL);
    dx_status status = DX_OK;
    while (code == SQLITE_OK && !status) {
        int step = sqlite3_step(stmt);
        if (step != SQLITE_ROW) {
            code = step;
            break;
        }
        dx_slice name;
        status = take_text(&name, migration, stmt, 0);
        if (!status) status = dx_map_put(names, name, names);
    }
    (void)sqlite3_finalize(stmt);
    if (status || code == SQLITE_DONE) return status;
    return dx_sqlite_status(migration->conn, code, NULL);
}

static dx_status plan_all(dx_migration *migration, dx_table_plan *plans, size_t count) {
    dx_map names;
    dx_status status = load_names(migration, &names);
    for (size_t i = 0; i < count && !status; i++) {
        dx_table_plan *plan = &plans[i];
        const dx_slice *json = dx_map_get(&migration->stored, plan->table->name);
        if (is_done(migration, plan)) continue;
        plan->exists = json != NULL;
        if (!json) {
            status = check_stranger(migration, &names, plan);
            continue;
        }
        status = dx_shape_read(&plan->have, migration->arena, *json);
        if (!status) status = dx_plan_change(migration, plan);
    }
    if (status) return status;
    return migration->refused ? DX_CONFLICT : DX_OK;
}

static dx_status apply_all(dx_migration *migration, dx_table_plan *plans, size_t count, dx_migration_report *report) {
    dx_buffer sql;
    dx_buffer_init(&sql, NULL, SQL_CAP);
    dx_status status = DX_OK;
    for (size_t i = 0; i < count && !status; i++) {
        if (is_done(migration, &plans[i])) {
            report->unchanged++;
            continue;
        }
        status = apply(migration, &sql, &plans[i]);
        *(plans[i].exists ? &report->changed : &report->created) += 1;
    }
    for (size_t i = 0; i < count && !status; i++) {
        if (!is_done(migration, &plans[i])) status = check_foreign_keys(migration, &plans[i]);
    }
    dx_buffer_deinit(&sql);
    return status;
}

static dx_status change(dx_migration *migration, dx_table_plan *plans, size_t count, dx_migration_report *report) {
    dx_sqlite_group group = {.conn = migration->conn, .give_up = dx_clock_monotonic() + migration->store->options.statement_time};
    dx_status status = dx_group_open(&group);
    if (status) return status;
    migration->conn->ends = INT64_MAX; // takes as long as the tables are large
    status = load_stored(migration);   // under the lock: another process may have migrated meanwhile
    if (!status) status = plan_all(migration, plans, count);
    if (!status) status = apply_all(migration, plans, count, report);
    if (status) {
        (void)dx_sqlite_exec(migration->conn, DX_OWN_ROLLBACK);
        dx_ids_forget(migration->conn);
        return status;
    }
    group.dirty = true;
    status = dx_group_commit(&group);
    dx_ids_forget(migration->conn); // tables were made anew
    return status;
}

static dx_status migrate(dx_migration *migration, const dx_table *const *tables, size_t count, dx_migration_report *report) {
    dx_table_plan *plans = DX_ARENA_ARRAY(migration->arena, dx_table_plan, count);
    if (!plans) return DX_NO_MEMORY;
    migration->conn->ends = INT64_MAX;
    dx_status status = load_stored(migration);
    bool done = true;
    for (size_t i = 0; i < count && !status; i++) {
        status = plan_table(migration, &plans[i], tables[i]);
        done = done && !status && is_done(migration, &plans[i]);
    }
    if (status) return status;
    if (done) {
        report->unchanged = count;
        return DX_OK;
    }
    // Outside of the transaction, where SQLite takes it. The schema is read through with each table made: it must fit in the cache.
    (void)sqlite3_exec(migration->conn->db, "PRAGMA foreign_keys=OFF; PRAGMA cache_size=-32768", NULL, NULL, NULL);
    dx_writer_park(migration->store);
    status = change(migration, plans, count, report);
    dx_writer_unpark(migration->store);
    (void)sqlite3_exec(migration->conn->db, "PRAGMA foreign_keys=ON; PRAGMA cache_size=-1024", NULL, NULL, NULL);
    (void)sqlite3_db_release_memory(migration->conn->db);
    return status;
}

dx_status dx_sqlite_migrate(dx_store *base, const dx_table *const *tables, size_t count, bool grow, dx_migration_report *report,
                            dx_diags *diags) {
    dx_sqlite *store = dx_sqlite_of(base);
    dx_migration migration = {.store = store, .diags = diags, .grow = grow, .arena = dx_arena_create(MIGRATION_MEMORY_CAP)};
    if (!migration.arena) return DX_NO_MEMORY;
    pthread_mutex_lock(&store->direct_lock);
    dx_status status = dx_sqlite_direct(&migration.conn, store);
    if (!status) {
        dx_sqlite_enter(store);
        status = migrate(&migration, tables, count, report);
        dx_sqlite_leave(store);
    }
    if (store->writer.started) dx_sqlite_direct_rest(store);
    pthread_mutex_unlock(&store->direct_lock);
    if (status) *report = (dx_migration_report){0};
    if (status && status != DX_CONFLICT) {
        (void)dx_diags_add(diags, status, (dx_slice){0}, "the store could not be migrated: %s", dx_status_title(status));
    }
    dx_arena_destroy(migration.arena);
    return status;
}
