// What must change in a table, and whether it may. Where each column's values come from is one SQL expression over the old row; whatever
// could be lost or refused on the way is asked of the data itself, before anything is changed: a column that holds no values can be
// dropped, a table without rows can be changed at will. Each refusal names the setting that is the way out.
#include "store/sqlite/migrate.h"

#define SQL_CAP ((size_t)1 << 20)

// --- asking the data ---------------------------------------------------------------------------------------------------------

static void add_example(dx_buffer *out, sqlite3_stmt *stmt) {
    const char *text = (const char *)sqlite3_column_text(stmt, 0);
    size_t size = text ? (size_t)sqlite3_column_bytes(stmt, 0) : 0;
    if (out->size) DX_BUFFER_LIT(out, ", ");
    dx_buffer_byte(out, '"');
    dx_buffer_append(out, text ? text : "", size > 40 ? 40 : size);
    dx_buffer_byte(out, '"');
}

// Up to three values of the first column, as text for a finding; empty when the query has no rows.
static dx_status examples(dx_slice *out, dx_migration *migration, dx_slice sql) {
    *out = (dx_slice){0};
    if (!sql.data) return DX_NO_MEMORY;
    sqlite3_stmt *stmt = NULL;
    int code = sqlite3_prepare_v2(migration->conn->db, sql.data, (int)sql.size, &stmt, NULL);
    if (code != SQLITE_OK) return dx_sqlite_status(migration->conn, code, NULL);
    dx_buffer text;
    dx_buffer_init(&text, migration->arena, 1024);
    while ((code = sqlite3_step(stmt)) == SQLITE_ROW) add_example(&text, stmt);
    (void)sqlite3_finalize(stmt);
    if (code != SQLITE_DONE) return dx_sqlite_status(migration->conn, code, NULL);
    *out = dx_buffer_slice(&text);
    return dx_buffer_status(&text);
}

// --- findings ----------------------------------------------------------------------------------------------------------------

static void refuse(dx_migration *migration, dx_slice message, dx_slice way_out) {
    migration->refused = true;
    if (!message.data) return;
    dx_diag *diag = dx_diags_add(migration->diags, DX_CONFLICT, (dx_slice){0}, "%.*s", DX_SLICE_ARG(message));
    if (diag) diag->suggestion = dx_arena_copy(migration->diags->arena, way_out);
}

#define SAY(...) dx_arena_printf(migration->arena, __VA_ARGS__)

// --- where values come from --------------------------------------------------------------------------------------------------

typedef struct type_change {
    dx_column_type from, to;
    const char *before, *after; // around the old column
    const char *unless;         // behind the old column: rows for which the change would lose something; NULL: none
} type_change;

static const type_change conversions[] = {
    {DX_COLUMN_BOOLEAN, DX_COLUMN_INTEGER, "", "", NULL},
    {DX_COLUMN_BOOLEAN, DX_COLUMN_NUMBER, "", "", NULL},
    {DX_COLUMN_BOOLEAN, DX_COLUMN_TEXT, "CASE ", " WHEN 1 THEN 'true' WHEN 0 THEN 'false' END", NULL},
    {DX_COLUMN_BOOLEAN, DX_COLUMN_JSON, "CASE ", " WHEN 1 THEN 'true' WHEN 0 THEN 'false' END", NULL},
    {DX_COLUMN_INTEGER, DX_COLUMN_BOOLEAN, "", "", " NOT IN (0,1)"},
    {DX_COLUMN_INTEGER, DX_COLUMN_NUMBER, "", "", NULL},
    {DX_COLUMN_INTEGER, DX_COLUMN_TEXT, "CAST(", " AS TEXT)", NULL},
    {DX_COLUMN_INTEGER, DX_COLUMN_JSON, "CAST(", " AS TEXT)", NULL},
    {DX_COLUMN_NUMBER, DX_COLUMN_INTEGER, "CAST(", " AS INTEGER)", NULL}, // see lossy_rows
    {DX_COLUMN_TIMESTAMP, DX_COLUMN_INTEGER, "", "", NULL},
    {DX_COLUMN_TEXT, DX_COLUMN_JSON, "json_quote(", ")", NULL},
};

static const type_change *find_conversion(dx_column_type from, dx_column_type to) {
    for (size_t i = 0; i < DX_COUNT_OF(conversions); i++) {
        if (conversions[i].from == from && conversions[i].to == to) return &conversions[i];
    }
    return NULL;
}

static bool in_list(const dx_slice *names, size_t count, dx_slice name) {
    for (size_t i = 0; i < count; i++) {
        if (dx_slice_equal_nocase(names[i], name)) return true;
    }
    return false;
}

static bool may_drop(const dx_table_plan *plan, dx_slice column) {
    return in_list(plan->table->dropped, plan->table->dropped_count, column);
}

static const dx_shape_column *find_source(const dx_table_plan *plan, size_t at) {
    const dx_shape_column *want = &plan->want.columns[at];
    const dx_shape_column *have = dx_shape_find(&plan->have, want->name);
    dx_slice before = plan->table->columns[at].renamed_from;
    if (!have && before.size && !dx_shape_find(&plan->want, before)) have = dx_shape_find(&plan->have, before);
    if (!have || have->type == want->type) return have;
    // Listed as dropped, a column of another type makes way for a new one.
    bool gives_way = !find_conversion(have->type, want->type) && may_drop(plan, have->name);
    return gives_way ? NULL : have;
}

// Rows whose value of `have` would not survive.
static dx_status lossy_rows(dx_slice *out, dx_migration *migration, const dx_table_plan *plan, const dx_shape_column *have,
                            dx_column_type to) {
    const type_change *conversion = find_conversion(have->type, to);
    dx_slice name = have->name, table = plan->table->name;
    if (have->type == DX_COLUMN_NUMBER && to == DX_COLUMN_INTEGER) {
        return examples(out, migration,
                        SAY("SELECT \"%.*s\" FROM \"%.*s\" WHERE \"%.*s\"<>CAST(\"%.*s\" AS INTEGER) LIMIT 3", DX_SLICE_ARG(name),
                            DX_SLICE_ARG(table), DX_SLICE_ARG(name), DX_SLICE_ARG(name)));
    }
    *out = (dx_slice){0};
    if (conversion && !conversion->unless) return DX_OK;
    return examples(out, migration,
                    SAY("SELECT \"%.*s\" FROM \"%.*s\" WHERE \"%.*s\"%s LIMIT 3", DX_SLICE_ARG(name), DX_SLICE_ARG(table),
                        DX_SLICE_ARG(name), conversion ? conversion->unless : " NOTNULL"));
}

static dx_status check_type(dx_migration *migration, const dx_table_plan *plan, const dx_shape_column *have, const dx_shape_column *want) {
    if (have->type == want->type) return DX_OK;
    if (want == plan->want.columns) {
        refuse(migration, SAY("table \"%.*s\": the type of \"id\" cannot change", DX_SLICE_ARG(plan->table->name)),
               DX_SLICE("give the resource another name: its rows are then a new table"));
        return DX_OK;
    }
    dx_slice lost;
    dx_status status = lossy_rows(&lost, migration, plan, have, want->type);
    if (status || !lost.size) return status;
    refuse(migration,
           SAY("table \"%.*s\": the values of \"%.*s\" cannot become the new type without loss, for example %.*s",
               DX_SLICE_ARG(plan->table->name), DX_SLICE_ARG(have->name), DX_SLICE_ARG(lost)),
           SAY("keep the type, or use another name for the new field and keep the old one, or, to lose the values, "
               "\"dropped\": [\"%.*s\"]",
               DX_SLICE_ARG(have->name)));
    return DX_OK;
}

static void write_source(dx_buffer *sql, const dx_shape_column *have, const dx_shape_column *want, const dx_value *fallback) {
    if (!have) return dx_ddl_literal(sql, fallback);
    bool fills = want->required && !have->required && fallback->type != DX_VALUE_NULL;
    const type_change *conversion = have->type == want->type ? NULL : find_conversion(have->type, want->type);
    if (fills) DX_BUFFER_LIT(sql, "ifnull(");
    // Without a conversion between different types there is no value to keep: that has been asked.
    bool empty = have->type != want->type && !conversion;
    if (empty) {
        DX_BUFFER_LIT(sql, "NULL");
    } else {
        if (conversion) dx_buffer_add(sql, dx_slice_str(conversion->before));
        DX_BUFFER_LIT(sql, "old.");
        dx_sqlite_quote(sql, have->name);
        if (conversion) dx_buffer_add(sql, dx_slice_str(conversion->after));
    }
    if (!fills) return;
    dx_buffer_byte(sql, ',');
    dx_ddl_literal(sql, fallback);
    dx_buffer_byte(sql, ')');
}

static dx_status set_source(dx_migration *migration, dx_table_plan *plan, size_t at) {
    plan->from[at] = find_source(plan, at);
    if (plan->from[at]) {
        dx_status status = check_type(migration, plan, plan->from[at], &plan->want.columns[at]);
        if (status) return status;
    }
    dx_buffer sql;
    dx_buffer_init(&sql, migration->arena, SQL_CAP);
    write_source(&sql, plan->from[at], &plan->want.columns[at], &plan->table->columns[at].fallback);
    plan->source[at] = dx_buffer_slice(&sql);
    return dx_buffer_status(&sql);
}

// --- what may be refused -----------------------------------------------------------------------------------------------------

static dx_status check_dropped(dx_migration *migration, const dx_table_plan *plan, const dx_shape_column *have) {
    for (size_t i = 0; i < plan->want.count; i++) {
        if (plan->from[i] == have) return DX_OK;
    }
    if (may_drop(plan, have->name)) return DX_OK;
    dx_slice lost;
    dx_status status = examples(&lost, migration,
                                SAY("SELECT \"%.*s\" FROM \"%.*s\" WHERE \"%.*s\" NOTNULL LIMIT 3", DX_SLICE_ARG(have->name),
                                    DX_SLICE_ARG(plan->table->name), DX_SLICE_ARG(have->name)));
    if (status || !lost.size) return status;
    refuse(migration,
           SAY("table \"%.*s\": \"%.*s\" is gone from the definition, and its values would be lost, for example %.*s",
               DX_SLICE_ARG(plan->table->name), DX_SLICE_ARG(have->name), DX_SLICE_ARG(lost)),
           SAY("\"dropped\": [\"%.*s\"] loses them, \"renamed\": {\"NEW\": \"%.*s\"} keeps them under a new name", DX_SLICE_ARG(have->name),
               DX_SLICE_ARG(have->name)));
    return DX_OK;
}

static dx_status check_required(dx_migration *migration, const dx_table_plan *plan, size_t at) {
    const dx_shape_column *want = &plan->want.columns[at], *have = plan->from[at];
    if (!want->required || (have && have->required && have->type == want->type)) return DX_OK;
    dx_slice rows;
    dx_status status =
        examples(&rows, migration,
                 SAY("SELECT old.\"%.*s\" FROM \"%.*s\" AS old WHERE (%.*s) IS NULL LIMIT 3", DX_SLICE_ARG(plan->have.columns[0].name),
                     DX_SLICE_ARG(plan->table->name), DX_SLICE_ARG(plan->source[at])));
    if (status || !rows.size) return status;
    refuse(migration,
           SAY("table \"%.*s\": \"%.*s\" is required, but rows have no value for it, for example those with id %.*s",
               DX_SLICE_ARG(plan->table->name), DX_SLICE_ARG(want->name), DX_SLICE_ARG(rows)),
           SAY("\"fallback\": {\"%.*s\": VALUE} gives them one", DX_SLICE_ARG(want->name)));
    return DX_OK;
}

static dx_status check_reference(dx_migration *migration, const dx_table_plan *plan, size_t at) {
    const dx_shape_column *want = &plan->want.columns[at], *have = plan->from[at];
    if (!want->references.size || (have && dx_slice_equal(have->references, want->references))) return DX_OK;
    bool target = dx_map_get(&migration->stored, want->references) != NULL;
    dx_slice source = plan->source[at], lost;
    dx_slice missing = target ? SAY(" AND NOT EXISTS(SELECT 1 FROM \"%.*s\" AS target WHERE target.\"id\"=(%.*s))",
                                    DX_SLICE_ARG(want->references), DX_SLICE_ARG(source))
                              : DX_SLICE("");
    dx_status status = examples(&lost, migration,
                                SAY("SELECT DISTINCT %.*s FROM \"%.*s\" AS old WHERE (%.*s) NOTNULL%.*s LIMIT 3", DX_SLICE_ARG(source),
                                    DX_SLICE_ARG(plan->table->name), DX_SLICE_ARG(source), DX_SLICE_ARG(missing)));
    if (status || !lost.size) return status;
    refuse(migration,
           SAY("table \"%.*s\": \"%.*s\" refers to rows that \"%.*s\" does not have, for example %.*s", DX_SLICE_ARG(plan->table->name),
               DX_SLICE_ARG(want->name), DX_SLICE_ARG(want->references), DX_SLICE_ARG(lost)),
           SAY("mend those rows first, or \"dropped\": [\"%.*s\"] under a new name for the reference", DX_SLICE_ARG(want->name)));
    return DX_OK;
}

// --- uniqueness --------------------------------------------------------------------------------------------------------------

static size_t column_at(const dx_table_plan *plan, dx_slice name) {
    const dx_shape_column *column = dx_shape_find(&plan->want, name);
    return (size_t)(column - plan->want.columns);
}

static dx_status check_unique(dx_migration *migration, const dx_table_plan *plan, const dx_slice *names, size_t count) {
    dx_buffer sql;
    dx_buffer_init(&sql, migration->arena, SQL_CAP);
    DX_BUFFER_LIT(&sql, "SELECT ");
    for (size_t i = 0; i < count; i++) {
        if (i) DX_BUFFER_LIT(&sql, "||', '||");
        dx_buffer_printf(&sql, "(%.*s)", DX_SLICE_ARG(plan->source[column_at(plan, names[i])]));
    }
    dx_buffer_printf(&sql, " FROM \"%.*s\" AS old WHERE 1", DX_SLICE_ARG(plan->table->name));
    for (size_t i = 0; i < count; i++) {
        dx_buffer_printf(&sql, " AND (%.*s) NOTNULL", DX_SLICE_ARG(plan->source[column_at(plan, names[i])]));
    }
    if (plan->want.unique_while_null.size)
        dx_buffer_printf(&sql, " AND (%.*s) IS NULL", DX_SLICE_ARG(plan->source[column_at(plan, plan->want.unique_while_null)]));
    DX_BUFFER_LIT(&sql, " GROUP BY ");
    for (size_t i = 0; i < count; i++) {
        // In parentheses with a plus: a literal number alone would name a column by its place.
        dx_buffer_printf(&sql, i ? ",+(%.*s)" : "+(%.*s)", DX_SLICE_ARG(plan->source[column_at(plan, names[i])]));
    }
    DX_BUFFER_LIT(&sql, " HAVING count(*)>1 LIMIT 3");
    if (dx_buffer_status(&sql)) return dx_buffer_status(&sql);
    dx_slice twice;
    dx_status status = examples(&twice, migration, dx_buffer_slice(&sql));
    if (status || !twice.size) return status;
    refuse(migration,
           SAY("table \"%.*s\": \"%.*s\"%s cannot become unique: several rows have the same value, for example %.*s",
               DX_SLICE_ARG(plan->table->name), DX_SLICE_ARG(names[0]), count > 1 ? " (with others)" : "", DX_SLICE_ARG(twice)),
           DX_SLICE("change those rows first, or leave \"unique\" out"));
    return DX_OK;
}

static dx_status check_uniques(dx_migration *migration, const dx_table_plan *plan) {
    dx_status status = DX_OK;
    for (size_t i = 0; i < plan->want.count && !status; i++) {
        const dx_shape_column *want = &plan->want.columns[i], *have = plan->from[i];
        bool known = have && have->unique && have->type == want->type && have->required == want->required &&
                     dx_slice_equal(plan->have.unique_while_null, plan->want.unique_while_null);
        if (want->unique && !known) status = check_unique(migration, plan, &want->name, 1);
    }
    for (size_t i = 0; i < plan->want.index_count && !status; i++) {
        const dx_shape_index *index = &plan->want.indexes[i];
        if (index->unique) status = check_unique(migration, plan, index->columns, index->count);
    }
    return status;
}

// --- the plan ----------------------------------------------------------------------------------------------------------------

static bool same_column(const dx_shape_column *have, const dx_shape_column *want) {
    return dx_slice_equal(have->name, want->name) && have->type == want->type && have->required == want->required &&
           dx_slice_equal(have->references, want->references);
}

// Columns that may be NULL, and are, can be added to a table as it stands; anything else makes it anew.
static bool needs_rebuild(const dx_table_plan *plan) {
    size_t kept = 0;
    for (size_t i = 0; i < plan->want.count; i++) {
        const dx_shape_column *want = &plan->want.columns[i], *have = plan->from[i];
        bool added = !have && !want->required && plan->table->columns[i].fallback.type == DX_VALUE_NULL;
        if (!added && !(have && same_column(have, want))) return true;
        kept += have != NULL;
    }
    return kept != plan->have.count;
}

dx_status dx_plan_change(dx_migration *migration, dx_table_plan *plan) {
    plan->source = DX_ARENA_ARRAY(migration->arena, dx_slice, plan->want.count);
    plan->from = DX_ARENA_ARRAY(migration->arena, const dx_shape_column *, plan->want.count);
    if (!plan->source || !plan->from) return DX_NO_MEMORY;
    dx_status status = DX_OK;
    for (size_t i = 0; i < plan->want.count && !status; i++) status = set_source(migration, plan, i);
    for (size_t i = 0; i < plan->have.count && !status; i++) status = check_dropped(migration, plan, &plan->have.columns[i]);
    for (size_t i = 0; i < plan->want.count && !status; i++) status = check_required(migration, plan, i);
    for (size_t i = 0; i < plan->want.count && !status; i++) status = check_reference(migration, plan, i);
    if (!status) status = check_uniques(migration, plan);
    plan->rebuild = needs_rebuild(plan);
    return status;
}
