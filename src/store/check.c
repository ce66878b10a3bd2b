// Checks on what callers hand to a store, the same for every backend: queries (made by code, so a wrong one is a fault to log) and tables
// (made from a definition, so a wrong one is a finding to report). No backend has to think of malformed input after this.
#include "store/backend.h"

#include <math.h>

#include "base/log.h"
#include "base/map.h"

// --- queries -----------------------------------------------------------------------------------------------------------------

typedef struct query_check {
    const dx_query *query;
    uint32_t params; // highest parameter used, plus one
    const char *fault;
} query_check;

static void fail(query_check *check, const char *fault) {
    if (!check->fault) check->fault = fault;
}

static void use_columns(query_check *check, const uint16_t *columns, uint16_t count) {
    for (uint16_t i = 0; i < count; i++) {
        if (columns[i] >= check->query->table->column_count) fail(check, "a column that the table does not have");
    }
}

static void use_params(query_check *check, uint32_t first, uint32_t count) {
    if (count && first + count > check->params) check->params = first + count;
}

static void check_compare(query_check *check, const dx_expr *expr) {
    use_columns(check, &expr->column, 1);
    switch (expr->compare) {
    case DX_EQUAL:
    case DX_NOT_EQUAL:
    case DX_LESS:
    case DX_LESS_EQUAL:
    case DX_GREATER:
    case DX_GREATER_EQUAL:
    case DX_LIKE:
        use_params(check, expr->param, 1);
        return;
    case DX_IN:
        use_params(check, expr->param, expr->param_count);
        return;
    case DX_IS_NULL:
    case DX_NOT_NULL:
        return;
    }
    fail(check, "an unknown comparison");
}

// Depth is bounded by DX_QUERY_DEPTH_CAP, so is the recursion.
static void check_expr(query_check *check, const dx_expr *expr, unsigned depth) {
    if (!expr) return fail(check, "an empty place in a condition");
    if (depth > DX_QUERY_DEPTH_CAP) return fail(check, "a condition that is nested too deep");
    if (expr->kind == DX_EXPR_COMPARE) return check_compare(check, expr);
    for (uint16_t i = 0; i < expr->item_count && !check->fault; i++) check_expr(check, expr->items[i], depth + 1);
}

static void check_paging(query_check *check) {
    const dx_query *query = check->query;
    bool pages = query->kind == DX_QUERY_SELECT || query->kind == DX_QUERY_COUNT;
    if (query->limit_param != DX_NO_PARAM) use_params(check, query->limit_param, 1);
    if (query->offset_param != DX_NO_PARAM) use_params(check, query->offset_param, 1);
    if (!pages && (query->limit_param != DX_NO_PARAM || query->offset_param != DX_NO_PARAM || query->order_count)) {
        fail(check, "an order or a limit on a statement that writes");
    }
    for (uint16_t i = 0; i < query->order_count; i++) use_columns(check, &query->order[i].column, 1);
}

static void check_kind(query_check *check) {
    const dx_query *query = check->query;
    switch (query->kind) {
    case DX_QUERY_SELECT:
        if (!query->column_count) fail(check, "a SELECT of no columns");
        return;
    case DX_QUERY_COUNT:
        return;
    case DX_QUERY_INSERT:
        use_params(check, 0, query->column_count);
        if (query->where) fail(check, "an INSERT with a condition");
        return;
    case DX_QUERY_UPDATE:
        use_params(check, 0, query->column_count);
        if (!query->column_count && !query->bumped_count) fail(check, "an UPDATE of nothing");
        for (uint16_t i = 0; i < query->column_count; i++) {
            if (query->columns[i] == 0) fail(check, "an UPDATE of the primary key");
        }
        DX_FALLTHROUGH;
    case DX_QUERY_DELETE:
        if (!query->where) fail(check, "an UPDATE or DELETE without a condition (give an empty AND)");
        return;
    }
    fail(check, "an unknown kind of query");
}

dx_status dx_query_check(const dx_query *query, uint16_t *param_count) {
    query_check check = {.query = query};
    if (!query->table || !query->table->column_count) {
        fail(&check, "no table");
    } else {
        check_kind(&check);
        use_columns(&check, query->columns, query->column_count);
        use_columns(&check, query->bumped, query->bumped_count);
        use_columns(&check, query->returning, query->returning_count);
        if (query->where) check_expr(&check, query->where, 0);
        check_paging(&check);
        if (check.params > DX_QUERY_PARAM_CAP) fail(&check, "too many parameters");
    }
    if (check.fault) {
        dx_log(DX_LOG_ERROR, "store.query", "refused a query with %s", check.fault);
        return DX_INTERNAL;
    }
    *param_count = (uint16_t)check.params;
    return DX_OK;
}

bool dx_value_fits(dx_column_type type, const dx_value *value) {
    if (value->type == DX_VALUE_NULL) return true;
    switch (type) {
    case DX_COLUMN_BOOLEAN:
        return (value->type == DX_VALUE_BOOLEAN || value->type == DX_VALUE_INTEGER) && (value->integer == 0 || value->integer == 1);
    case DX_COLUMN_INTEGER:
    case DX_COLUMN_TIMESTAMP:
        return value->type == DX_VALUE_INTEGER;
    case DX_COLUMN_NUMBER:
        return value->type == DX_VALUE_INTEGER || (value->type == DX_VALUE_REAL && isfinite(value->real));
    case DX_COLUMN_TEXT:
    case DX_COLUMN_JSON:
        return value->type == DX_VALUE_TEXT;
    case DX_COLUMN_BLOB:
        return value->type == DX_VALUE_BLOB;
    }
    return false;
}

// --- tables ------------------------------------------------------------------------------------------------------------------

typedef struct table_check {
    const dx_table *table;
    dx_diags *diags;
    bool failed;
} table_check;

// `what` is a whole sentence about "NAME" of the table.
static void finding(table_check *check, dx_slice name, const char *what) {
    check->failed = true;
    (void)dx_diags_add(check->diags, DX_INVALID, (dx_slice){0}, "table \"%.*s\": \"%.*s\" %s", DX_SLICE_ARG(check->table->name),
                       DX_SLICE_ARG(name), what);
}

static bool is_name(dx_slice name) {
    if (!name.size || name.size > DX_TABLE_NAME_CAP) return false;
    for (size_t i = 0; i < name.size; i++) {
        char c = name.data[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
        if (!letter && !(i && c >= '0' && c <= '9')) return false;
    }
    return true;
}

// Backends compare names without regard to case; so does the check that no two are the same.
static dx_slice folded(dx_arena *arena, dx_slice name) {
    dx_slice copy = dx_arena_copy(arena, name);
    for (size_t i = 0; copy.data && i < copy.size; i++) {
        char *c = (char *)copy.data + i;
        if (*c >= 'A' && *c <= 'Z') *c = (char)(*c + 'a' - 'A');
    }
    return copy;
}

static dx_status add_name(dx_map *names, dx_slice name, bool *taken) {
    dx_slice key = folded(names->arena, name);
    if (!key.data) return DX_NO_MEMORY;
    *taken = dx_map_get(names, key) != NULL;
    return *taken ? DX_OK : dx_map_put(names, key, names);
}

static void check_reference(table_check *check, const dx_column *column) {
    const dx_table *target = column->references;
    if (!target) return;
    if (!target->column_count || target->columns[0].type != column->type) {
        finding(check, column->name, "must have the type of the id that it refers to");
    }
}

static dx_status check_columns(table_check *check, dx_arena *arena) {
    const dx_table *table = check->table;
    dx_map names;
    dx_map_init(&names, arena);
    for (uint16_t i = 0; i < table->column_count; i++) {
        const dx_column *column = &table->columns[i];
        bool taken = false;
        dx_status status = add_name(&names, column->name, &taken);
        if (status) return status;
        if (taken) finding(check, column->name, "stands twice (names differ by more than case)");
        if (!is_name(column->name)) finding(check, column->name, "is not a name: a letter or _, then letters, digits or _, at most 64");
        if (!dx_value_fits(column->type, &column->fallback)) finding(check, column->name, "has a fallback of another type");
        check_reference(check, column);
    }
    return DX_OK;
}

static void check_shape(table_check *check) {
    const dx_table *table = check->table;
    const dx_column *key = table->columns;
    if (!dx_slice_equal(key->name, DX_SLICE("id")) || (key->type != DX_COLUMN_INTEGER && key->type != DX_COLUMN_TEXT)) {
        finding(check, key->name, "is the first column, which must be \"id\", an integer or a text");
    }
    if (table->unique_while_null >= table->column_count) finding(check, table->name, "has unique values that depend on a column it lacks");
    for (uint16_t i = 0; i < table->index_count; i++) {
        const dx_table_index *index = &table->indexes[i];
        if (!index->column_count || index->column_count > 16) finding(check, table->name, "has an index over no or over 16 columns");
        for (uint16_t j = 0; j < index->column_count; j++) {
            if (index->columns[j] >= table->column_count) return finding(check, table->name, "has an index over a column that it lacks");
        }
    }
}

static dx_status check_table(const dx_table *table, dx_diags *diags, dx_arena *arena, bool *failed) {
    table_check check = {.table = table, .diags = diags};
    dx_status status = DX_OK;
    bool reserved = table->name.size >= 7 && dx_slice_equal_nocase(dx_slice_of(table->name.data, 7), DX_SLICE("sqlite_"));
    bool store_own = table->name.size >= 9 && dx_slice_equal_nocase(dx_slice_of(table->name.data, 9), DX_SLICE("dx_store_"));
    if (!is_name(table->name)) finding(&check, table->name, "is not a name: a letter or _, then letters, digits or _, at most 64");
    if (reserved || store_own) finding(&check, table->name, "is a name that the store keeps for itself");
    if (!table->column_count || table->column_count > DX_TABLE_COLUMN_CAP) {
        finding(&check, table->name, "has no columns, or over 1000");
    } else {
        check_shape(&check);
        status = check_columns(&check, arena);
    }
    *failed |= check.failed;
    return status;
}

#define CHECK_MEMORY_CAP ((size_t)64 << 20)

dx_status dx_tables_check(const dx_table *const *tables, size_t count, dx_diags *diags) {
    dx_arena *arena = dx_arena_create(CHECK_MEMORY_CAP);
    if (!arena) return DX_NO_MEMORY;
    dx_map names;
    dx_map_init(&names, arena);
    bool failed = false;
    dx_status status = DX_OK;
    for (size_t i = 0; i < count && !status; i++) {
        bool taken = false;
        status = check_table(tables[i], diags, arena, &failed);
        if (!status) status = add_name(&names, tables[i]->name, &taken);
        if (!taken) continue;
        failed = true;
        (void)dx_diags_add(diags, DX_INVALID, (dx_slice){0}, "table \"%.*s\" stands twice (names differ by more than case)",
                           DX_SLICE_ARG(tables[i]->name));
    }
    dx_arena_destroy(arena);
    if (status) return status;
    return failed ? DX_INVALID : DX_OK;
}
