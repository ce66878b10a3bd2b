// The SQL that makes and changes tables. Tables are STRICT, so a value of the wrong type is refused by SQLite itself, whoever writes it. A
// NUMBER is of type ANY, which alone keeps an integer an integer and a double a double; its CHECK keeps text and blobs out (every number
// sorts before every text), as the one of a BOOLEAN keeps out what is neither 0 nor 1.
//
// Indexes are named `table:column,column`, with `!` behind the colon when they are unique, and `?column` at the end when rows count only
// where that column is NULL; no table can be called that.
#include "store/sqlite/migrate.h"

#include <math.h>

static const char *const sql_types[] = {
    [DX_COLUMN_BOOLEAN] = "INTEGER",   [DX_COLUMN_INTEGER] = "INTEGER", [DX_COLUMN_NUMBER] = "ANY", [DX_COLUMN_TEXT] = "TEXT",
    [DX_COLUMN_TIMESTAMP] = "INTEGER", [DX_COLUMN_JSON] = "TEXT",       [DX_COLUMN_BLOB] = "BLOB",
};

static void define_column(dx_buffer *sql, const dx_shape_column *column, bool key) {
    dx_sqlite_quote(sql, column->name);
    dx_buffer_byte(sql, ' ');
    dx_buffer_add(sql, dx_slice_str(sql_types[column->type]));
    if (key) DX_BUFFER_LIT(sql, " PRIMARY KEY");
    if (column->required) DX_BUFFER_LIT(sql, " NOT NULL");
    // For statements made before the column was, which may still run while a server takes a new definition.
    if (column->required && column->fallback && column->fallback->type != DX_VALUE_NULL) {
        DX_BUFFER_LIT(sql, " DEFAULT(");
        dx_ddl_literal(sql, column->fallback);
        dx_buffer_byte(sql, ')');
    }
    if (column->type == DX_COLUMN_BOOLEAN || column->type == DX_COLUMN_NUMBER) {
        DX_BUFFER_LIT(sql, " CHECK(");
        dx_sqlite_quote(sql, column->name);
        if (column->type == DX_COLUMN_BOOLEAN) {
            DX_BUFFER_LIT(sql, " BETWEEN 0 AND 1)");
        } else {
            DX_BUFFER_LIT(sql, "<'')");
        }
    }
    if (!column->references.size) return;
    DX_BUFFER_LIT(sql, " REFERENCES ");
    dx_sqlite_quote(sql, column->references);
    DX_BUFFER_LIT(sql, "(\"id\")");
}

void dx_ddl_create_table(dx_buffer *sql, dx_slice name, const dx_shape *shape) {
    DX_BUFFER_LIT(sql, "CREATE TABLE ");
    dx_sqlite_quote(sql, name);
    dx_buffer_byte(sql, '(');
    for (size_t i = 0; i < shape->count; i++) {
        if (i) dx_buffer_byte(sql, ',');
        define_column(sql, &shape->columns[i], i == 0);
    }
    DX_BUFFER_LIT(sql, ") STRICT;");
}

void dx_ddl_add_column(dx_buffer *sql, dx_slice table, const dx_shape_column *column) {
    DX_BUFFER_LIT(sql, "ALTER TABLE ");
    dx_sqlite_quote(sql, table);
    DX_BUFFER_LIT(sql, " ADD COLUMN ");
    define_column(sql, column, false);
    dx_buffer_byte(sql, ';');
}

// --- indexes -----------------------------------------------------------------------------------------------------------------

static void index_name(dx_buffer *sql, dx_slice table, const dx_shape_index *index) {
    dx_buffer_byte(sql, '"');
    dx_buffer_add(sql, table);
    dx_buffer_byte(sql, ':');
    if (index->unique) dx_buffer_byte(sql, '!');
    for (size_t i = 0; i < index->count; i++) {
        if (i) dx_buffer_byte(sql, ',');
        dx_buffer_add(sql, index->columns[i]);
    }
    if (index->while_null.size) dx_buffer_byte(sql, '?');
    dx_buffer_add(sql, index->while_null);
    dx_buffer_byte(sql, '"');
}

// An index over an integer id's table has the id behind its columns by itself (it is the rowid). One over a text id's has not, so it is
// added: lists are sorted by a column and then by id.
static bool needs_id(const dx_shape *shape, const dx_shape_index *index) {
    if (index->unique || shape->columns[0].type == DX_COLUMN_INTEGER) return false;
    for (size_t i = 0; i < index->count; i++) {
        if (dx_slice_equal_nocase(index->columns[i], shape->columns[0].name)) return false;
    }
    return true;
}

static void create_index(dx_buffer *sql, dx_slice table, const dx_shape *shape, const dx_shape_index *index) {
    if (index->unique) {
        DX_BUFFER_LIT(sql, "CREATE UNIQUE INDEX ");
    } else {
        DX_BUFFER_LIT(sql, "CREATE INDEX ");
    }
    index_name(sql, table, index);
    DX_BUFFER_LIT(sql, " ON ");
    dx_sqlite_quote(sql, table);
    for (size_t i = 0; i < index->count; i++) {
        dx_buffer_byte(sql, i ? ',' : '(');
        dx_sqlite_quote(sql, index->columns[i]);
    }
    if (needs_id(shape, index)) DX_BUFFER_LIT(sql, ",\"id\"");
    dx_buffer_byte(sql, ')');
    if (index->while_null.size) {
        DX_BUFFER_LIT(sql, " WHERE ");
        dx_sqlite_quote(sql, index->while_null);
        DX_BUFFER_LIT(sql, " IS NULL");
    }
    dx_buffer_byte(sql, ';');
}

static bool same_index(const dx_shape_index *a, const dx_shape_index *b) {
    if (a->unique != b->unique || a->count != b->count || !dx_slice_equal(a->while_null, b->while_null)) return false;
    for (size_t i = 0; i < a->count; i++) {
        if (!dx_slice_equal(a->columns[i], b->columns[i])) return false;
    }
    return true;
}

// The shape's indexes one by one: those of single columns first, of which one can have both kinds. False past the end.
static bool index_at(const dx_shape *shape, size_t at, dx_shape_index *out) {
    for (size_t i = 0; i < shape->count; i++) {
        dx_shape_column *column = &shape->columns[i];
        for (int unique = 0; unique < 2; unique++) {
            if (unique ? !column->unique : !column->indexed) continue;
            if (at-- > 0) continue;
            *out = (dx_shape_index){&column->name, 1, unique, unique ? shape->unique_while_null : (dx_slice){NULL, 0}};
            return true;
        }
    }
    if (at >= shape->index_count) return false;
    *out = shape->indexes[at];
    return true;
}

static bool has_index(const dx_shape *shape, const dx_shape_index *index, size_t before) {
    dx_shape_index other;
    for (size_t i = 0; i < before && index_at(shape, i, &other); i++) {
        if (same_index(&other, index)) return true;
    }
    return false;
}

static bool wants_index(const dx_shape *shape, size_t at, const dx_shape_index *index, const dx_shape *but_not) {
    if (has_index(shape, index, at)) return false; // said twice
    return !but_not || !has_index(but_not, index, SIZE_MAX);
}

void dx_ddl_create_indexes(dx_buffer *sql, dx_slice table, const dx_shape *shape, const dx_shape *but_not) {
    dx_shape_index index;
    for (size_t i = 0; index_at(shape, i, &index); i++) {
        if (wants_index(shape, i, &index, but_not)) create_index(sql, table, shape, &index);
    }
}

void dx_ddl_drop_indexes(dx_buffer *sql, dx_slice table, const dx_shape *shape, const dx_shape *but_not) {
    dx_shape_index index;
    for (size_t i = 0; index_at(shape, i, &index); i++) {
        if (!wants_index(shape, i, &index, but_not)) continue;
        DX_BUFFER_LIT(sql, "DROP INDEX ");
        index_name(sql, table, &index);
        dx_buffer_byte(sql, ';');
    }
}

// --- literals ----------------------------------------------------------------------------------------------------------------

static void text_literal(dx_buffer *sql, dx_slice text) {
    // As a blob, read as text: any byte can stand in it, a quote or a NUL too.
    static const char digits[] = "0123456789abcdef";
    DX_BUFFER_LIT(sql, "X'");
    for (size_t i = 0; i < text.size; i++) {
        dx_buffer_byte(sql, digits[(unsigned char)text.data[i] >> 4]);
        dx_buffer_byte(sql, digits[(unsigned char)text.data[i] & 15]);
    }
    dx_buffer_byte(sql, '\'');
}

void dx_ddl_literal(dx_buffer *sql, const dx_value *value) {
    switch (value->type) {
    case DX_VALUE_NULL:
        return DX_BUFFER_LIT(sql, "NULL");
    case DX_VALUE_BOOLEAN:
    case DX_VALUE_INTEGER:
        if (value->integer == INT64_MIN) return DX_BUFFER_LIT(sql, "(-9223372036854775807-1)");
        return dx_buffer_i64(sql, value->integer);
    case DX_VALUE_REAL:
        return dx_buffer_printf(sql, "%.17e", value->real);
    case DX_VALUE_TEXT:
        DX_BUFFER_LIT(sql, "CAST(");
        text_literal(sql, value->text);
        return DX_BUFFER_LIT(sql, " AS TEXT)");
    case DX_VALUE_BLOB:
        return text_literal(sql, value->text);
    }
}
