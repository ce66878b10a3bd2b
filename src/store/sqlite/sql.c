// From a query to the text of a SQL statement. Values are always parameters and names are always quoted, so nothing that a client sent is
// ever part of the text. Equal queries give equal texts, which is how passing statements find their prepared form again.
#include "store/sqlite/internal.h"

#include "base/hash.h"

#define SQL_CAP ((size_t)1 << 20)

void dx_sqlite_quote(dx_buffer *sql, dx_slice name) {
    dx_buffer_byte(sql, '"');
    dx_buffer_add(sql, name); // a checked name: nothing in it needs doubling
    dx_buffer_byte(sql, '"');
}

typedef struct writing {
    dx_buffer sql;
    const dx_query *query;
} writing;

static void column_name(writing *w, uint16_t column) {
    dx_sqlite_quote(&w->sql, w->query->table->columns[column].name);
}

static void param(writing *w, uint32_t number) {
    dx_buffer_byte(&w->sql, '?');
    dx_buffer_u64(&w->sql, number + 1);
}

static void column_list(writing *w, const uint16_t *columns, uint16_t count) {
    for (uint16_t i = 0; i < count; i++) {
        if (i) dx_buffer_byte(&w->sql, ',');
        column_name(w, columns[i]);
    }
}

// --- conditions --------------------------------------------------------------------------------------------------------------

static const char *const operators[] = {
    [DX_EQUAL] = "=",          [DX_NOT_EQUAL] = " IS NOT ", [DX_LESS] = "<",   [DX_LESS_EQUAL] = "<=",    [DX_GREATER] = ">",
    [DX_GREATER_EQUAL] = ">=", [DX_LIKE] = " LIKE ",        [DX_IN] = " IN (", [DX_IS_NULL] = " IS NULL", [DX_NOT_NULL] = " NOTNULL",
};

static void compare(writing *w, const dx_expr *expr) {
    if (expr->compare == DX_IN && !expr->param_count) return DX_BUFFER_LIT(&w->sql, "0");
    column_name(w, expr->column);
    dx_buffer_add(&w->sql, dx_slice_str(operators[expr->compare]));
    switch (expr->compare) {
    case DX_IN:
        for (uint32_t i = 0; i < expr->param_count; i++) {
            if (i) dx_buffer_byte(&w->sql, ',');
            param(w, expr->param + i);
        }
        dx_buffer_byte(&w->sql, ')');
        return;
    case DX_LIKE:
        param(w, expr->param);
        DX_BUFFER_LIT(&w->sql, " ESCAPE '\\'");
        return;
    case DX_IS_NULL:
    case DX_NOT_NULL:
        return;
    default:
        param(w, expr->param);
    }
}

static void condition(writing *w, const dx_expr *expr);

// Written as a balanced tree: SQLite refuses expressions deeper than a thousand, and a plain chain of n is n deep.
static void items(writing *w, const dx_expr *expr, uint16_t from, uint16_t to) {
    if (to - from == 1) return condition(w, expr->items[from]);
    uint16_t middle = (uint16_t)(from + (to - from) / 2);
    dx_buffer_byte(&w->sql, '(');
    items(w, expr, from, middle);
    if (expr->kind == DX_EXPR_AND) {
        DX_BUFFER_LIT(&w->sql, " AND ");
    } else {
        DX_BUFFER_LIT(&w->sql, " OR ");
    }
    items(w, expr, middle, to);
    dx_buffer_byte(&w->sql, ')');
}

// Recursion is bounded by dx_query_check.
static void condition(writing *w, const dx_expr *expr) {
    if (expr->kind == DX_EXPR_COMPARE) return compare(w, expr);
    if (expr->item_count) return items(w, expr, 0, expr->item_count);
    dx_buffer_byte(&w->sql, expr->kind == DX_EXPR_AND ? '1' : '0');
}

static void where(writing *w) {
    const dx_expr *expr = w->query->where;
    if (!expr || (expr->kind == DX_EXPR_AND && !expr->item_count)) return;
    DX_BUFFER_LIT(&w->sql, " WHERE ");
    condition(w, expr);
}

// Whether a condition is met by a bounded number of rows: a key, or a list of keys.
static bool is_narrow(const dx_table *table, const dx_expr *expr) {
    if (expr->kind == DX_EXPR_AND) {
        for (uint16_t i = 0; i < expr->item_count; i++) {
            if (expr->items[i]->kind == DX_EXPR_COMPARE && is_narrow(table, expr->items[i])) return true;
        }
        return false;
    }
    if (expr->kind == DX_EXPR_OR) return false;
    bool key = expr->column == 0 || (table->columns[expr->column].unique && !table->unique_while_null);
    return key && (expr->compare == DX_EQUAL || expr->compare == DX_IN);
}

// --- the kinds ---------------------------------------------------------------------------------------------------------------

static void order_by(writing *w) {
    const dx_query *query = w->query;
    for (uint16_t i = 0; i < query->order_count; i++) {
        if (i) {
            dx_buffer_byte(&w->sql, ',');
        } else {
            DX_BUFFER_LIT(&w->sql, " ORDER BY ");
        }
        column_name(w, query->order[i].column); // SQLite takes NULL for the smallest value, as query.h wants it
        if (query->order[i].descending) DX_BUFFER_LIT(&w->sql, " DESC");
    }
}

static void paging(writing *w) {
    const dx_query *query = w->query;
    if (query->limit_param != DX_NO_PARAM) {
        DX_BUFFER_LIT(&w->sql, " LIMIT ");
        param(w, query->limit_param);
    } else if (query->offset_param != DX_NO_PARAM) {
        DX_BUFFER_LIT(&w->sql, " LIMIT -1");
    }
    if (query->offset_param == DX_NO_PARAM) return;
    DX_BUFFER_LIT(&w->sql, " OFFSET ");
    param(w, query->offset_param);
}

static void write_select(writing *w) {
    DX_BUFFER_LIT(&w->sql, "SELECT ");
    column_list(w, w->query->columns, w->query->column_count);
    DX_BUFFER_LIT(&w->sql, " FROM ");
    dx_sqlite_quote(&w->sql, w->query->table->name);
    where(w);
    order_by(w);
    paging(w);
}

static void write_count(writing *w) {
    bool part = w->query->limit_param != DX_NO_PARAM || w->query->offset_param != DX_NO_PARAM;
    DX_BUFFER_LIT(&w->sql, "SELECT count(*) FROM ");
    if (part) DX_BUFFER_LIT(&w->sql, "(SELECT 1 FROM ");
    dx_sqlite_quote(&w->sql, w->query->table->name);
    where(w);
    if (!part) return;
    paging(w);
    dx_buffer_byte(&w->sql, ')');
}

// A number that the store gives is bound behind the caller's parameters.
static void write_insert(writing *w, bool numbered) {
    const dx_query *query = w->query;
    DX_BUFFER_LIT(&w->sql, "INSERT INTO ");
    dx_sqlite_quote(&w->sql, query->table->name);
    if (!query->column_count && !numbered) {
        DX_BUFFER_LIT(&w->sql, " DEFAULT VALUES");
    } else {
        dx_buffer_byte(&w->sql, '(');
        column_list(w, query->columns, query->column_count);
        if (numbered) {
            if (query->column_count) dx_buffer_byte(&w->sql, ',');
            column_name(w, 0);
        }
        DX_BUFFER_LIT(&w->sql, ")VALUES(");
        uint32_t count = query->column_count + (numbered ? 1u : 0u);
        for (uint32_t i = 0; i < count; i++) {
            if (i) dx_buffer_byte(&w->sql, ',');
            param(w, i);
        }
        dx_buffer_byte(&w->sql, ')');
    }
    if (query->skip_existing) DX_BUFFER_LIT(&w->sql, " ON CONFLICT DO NOTHING");
}

static void returning(writing *w) {
    if (!w->query->returning_count) return;
    DX_BUFFER_LIT(&w->sql, " RETURNING ");
    column_list(w, w->query->returning, w->query->returning_count);
}

static void write_update(writing *w) {
    const dx_query *query = w->query;
    DX_BUFFER_LIT(&w->sql, "UPDATE ");
    dx_sqlite_quote(&w->sql, query->table->name);
    DX_BUFFER_LIT(&w->sql, " SET ");
    for (uint16_t i = 0; i < query->column_count; i++) {
        if (i) dx_buffer_byte(&w->sql, ',');
        column_name(w, query->columns[i]);
        dx_buffer_byte(&w->sql, '=');
        param(w, i);
    }
    for (uint16_t i = 0; i < query->bumped_count; i++) {
        if (i || query->column_count) dx_buffer_byte(&w->sql, ',');
        column_name(w, query->bumped[i]);
        dx_buffer_byte(&w->sql, '=');
        column_name(w, query->bumped[i]);
        DX_BUFFER_LIT(&w->sql, "+1");
    }
    where(w);
    returning(w);
}

static void write_delete(writing *w) {
    DX_BUFFER_LIT(&w->sql, "DELETE FROM ");
    dx_sqlite_quote(&w->sql, w->query->table->name);
    where(w);
    returning(w);
}

static void write_query(writing *w, bool numbered) {
    switch (w->query->kind) {
    case DX_QUERY_SELECT:
        return write_select(w);
    case DX_QUERY_COUNT:
        return write_count(w);
    case DX_QUERY_INSERT:
        return write_insert(w, numbered);
    case DX_QUERY_UPDATE:
        return write_update(w);
    case DX_QUERY_DELETE:
        return write_delete(w);
    }
}

// --- making ------------------------------------------------------------------------------------------------------------------

static uint16_t place_of(const uint16_t *columns, uint16_t count, uint16_t column) {
    for (uint16_t i = 0; i < count; i++) {
        if (columns[i] == column) return i;
    }
    return DX_SQLITE_NO_ID;
}

static dx_status copy_types(const dx_column_type **out, dx_arena *arena, const dx_table *table, const uint16_t *columns, uint16_t count) {
    dx_column_type *types = DX_ARENA_ARRAY(arena, dx_column_type, count);
    if (!types) return DX_NO_MEMORY;
    for (uint16_t i = 0; i < count; i++) types[i] = table->columns[columns[i]].type;
    *out = types;
    return DX_OK;
}

static dx_status set_shown(dx_statement *statement, dx_arena *arena, const dx_query *query) {
    static const dx_column_type number = DX_COLUMN_INTEGER;
    if (query->kind == DX_QUERY_COUNT) {
        statement->shown_count = 1;
        statement->shown_types = &number;
        return DX_OK;
    }
    bool reads = query->kind == DX_QUERY_SELECT;
    const uint16_t *columns = reads ? query->columns : query->returning;
    statement->shown_count = reads ? query->column_count : query->returning_count;
    return copy_types(&statement->shown_types, arena, query->table, columns, statement->shown_count);
}

static dx_status set_insert(dx_statement *statement, dx_arena *arena, const dx_query *query) {
    statement->skips = query->skip_existing;
    statement->id_param = place_of(query->columns, query->column_count, 0);
    uint16_t *from = DX_ARENA_ARRAY(arena, uint16_t, query->returning_count);
    if (!from) return DX_NO_MEMORY;
    for (uint16_t i = 0; i < query->returning_count; i++) {
        from[i] = place_of(query->columns, query->column_count, query->returning[i]);
        bool given = query->returning[i] == 0 && from[i] == DX_SQLITE_NO_ID && statement->table->numbered;
        if (given) from[i] = query->column_count;
    }
    statement->shown_params = from;
    return DX_OK;
}

static dx_status set_writing(dx_statement *statement, dx_sqlite *store, dx_arena *arena, const dx_query *query) {
    statement->id_param = DX_SQLITE_NO_ID;
    if (query->kind == DX_QUERY_SELECT || query->kind == DX_QUERY_COUNT) return DX_OK;
    statement->table = dx_sqlite_table_of(store, query->table);
    if (!statement->table) return DX_NO_MEMORY;
    statement->wide = query->kind != DX_QUERY_INSERT && !is_narrow(query->table, query->where);
    if (query->kind == DX_QUERY_DELETE) return DX_OK;
    statement->set_count = query->column_count;
    dx_status status = copy_types(&statement->set_types, arena, query->table, query->columns, query->column_count);
    if (!status && query->kind == DX_QUERY_INSERT) status = set_insert(statement, arena, query);
    return status;
}

dx_status dx_sqlite_build(dx_statement **out, dx_sqlite *store, dx_arena *arena, const dx_query *query, uint16_t param_count) {
    dx_statement *statement = DX_ARENA_NEW(arena, dx_statement);
    if (!statement) return DX_NO_MEMORY;
    statement->kind = query->kind;
    statement->param_count = param_count;
    statement->kept = DX_SQLITE_PASSING;
    dx_status status = set_shown(statement, arena, query);
    if (!status) status = set_writing(statement, store, arena, query);
    if (status) return status;
    writing w = {.query = query};
    dx_buffer_init(&w.sql, arena, SQL_CAP);
    write_query(&w, query->kind == DX_QUERY_INSERT && statement->table->numbered && statement->id_param == DX_SQLITE_NO_ID);
    dx_buffer_byte(&w.sql, '\0');
    status = dx_buffer_status(&w.sql);
    if (status) return status;
    statement->sql = dx_slice_of(w.sql.data, w.sql.size - 1);
    statement->hash = dx_hash(statement->sql);
    *out = statement;
    return DX_OK;
}

dx_status dx_sqlite_statement(const dx_statement **out, dx_store *base, dx_arena *arena, const dx_query *query, uint16_t param_count) {
    dx_statement *statement = NULL;
    dx_status status = dx_sqlite_build(&statement, dx_sqlite_of(base), arena, query, param_count);
    *out = statement;
    return status;
}
