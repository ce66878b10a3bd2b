// What can be asked of a store, without any SQL: tables, values, conditions, queries. Plain data; whoever builds a query owns it, and it
// need only live until the statement is made.
#ifndef DX_STORE_QUERY_H
#define DX_STORE_QUERY_H

#include "base/clock.h"
#include "base/slice.h"
#include "base/status.h"

typedef enum dx_column_type {
    DX_COLUMN_BOOLEAN,
    DX_COLUMN_INTEGER, // 64 bits, signed
    DX_COLUMN_NUMBER,  // integers stay exact to 64 bits, everything else is a double
    DX_COLUMN_TEXT,
    DX_COLUMN_TIMESTAMP, // dx_micros_utc
    DX_COLUMN_JSON,      // text of a JSON value
    DX_COLUMN_BLOB
} dx_column_type;

// A value's slice belongs to whoever made it: it must live until the transaction is done.
typedef enum dx_value_type { DX_VALUE_NULL, DX_VALUE_BOOLEAN, DX_VALUE_INTEGER, DX_VALUE_REAL, DX_VALUE_TEXT, DX_VALUE_BLOB } dx_value_type;
typedef struct dx_value {
    dx_value_type type;
    union {
        int64_t integer; // also booleans and timestamps
        double real;
        dx_slice text; // also JSON and blobs
    };
} dx_value;
#define DX_NULL_VALUE         ((dx_value){.type = DX_VALUE_NULL})
#define DX_INT_VALUE(number)  ((dx_value){.type = DX_VALUE_INTEGER, .integer = (number)})
#define DX_BOOL_VALUE(truth)  ((dx_value){.type = DX_VALUE_BOOLEAN, .integer = (truth)})
#define DX_REAL_VALUE(number) ((dx_value){.type = DX_VALUE_REAL, .real = (number)})
#define DX_TEXT_VALUE(slice)  ((dx_value){.type = DX_VALUE_TEXT, .text = (slice)})
#define DX_BLOB_VALUE(slice)  ((dx_value){.type = DX_VALUE_BLOB, .text = (slice)})

typedef struct dx_table dx_table;

typedef struct dx_column {
    dx_slice name; // [A-Za-z_][A-Za-z0-9_]*, at most 64; backends quote it
    dx_column_type type;
    bool required; // NOT NULL. Adding a required column to a table with rows needs `fallback`
    bool unique;   // NULLs do not collide
    bool indexed;
    dx_slice renamed_from;      // the name it had before; empty: none. A no-op once done
    const dx_table *references; // its primary key; NULL: none. Deleting a row that is referred to fails with DX_IN_USE
    dx_value fallback;          // what existing rows get when the column is added; DX_VALUE_NULL: none
} dx_column;

// Column 0 is the primary key, named "id": DX_COLUMN_INTEGER (the store numbers rows upwards and never gives a number twice) or
// DX_COLUMN_TEXT.
struct dx_table {
    dx_slice name; // like a column's
    const dx_column *columns;
    uint16_t column_count;
    const struct dx_table_index *indexes; // over several columns
    uint16_t index_count;
    // A column: rows where it is not NULL do not count for what is unique, so that rows that are only marked as deleted leave their values
    // to others. 0 (the key): all rows count.
    uint16_t unique_while_null;
    const dx_slice *dropped; // columns whose data may be lost: the way out that a refused migration names
    uint16_t dropped_count;
};
typedef struct dx_table_index {
    const uint16_t *columns;
    uint16_t column_count;
    bool unique;
} dx_table_index;

typedef enum dx_compare {
    DX_EQUAL,
    DX_NOT_EQUAL, // true for NULL when the value is not NULL
    DX_LESS,
    DX_LESS_EQUAL,
    DX_GREATER,
    DX_GREATER_EQUAL,
    DX_IN,   // `param_count` parameters from `param` on
    DX_LIKE, // case-insensitive for ASCII; `%` any run, `_` any one, `\` escapes
    DX_IS_NULL,
    DX_NOT_NULL
} dx_compare;

typedef enum dx_expr_kind { DX_EXPR_COMPARE, DX_EXPR_AND, DX_EXPR_OR } dx_expr_kind;
typedef struct dx_expr dx_expr;
struct dx_expr {
    dx_expr_kind kind;
    // compare: `column` of the query's table with the parameter number `param`
    uint16_t column;
    dx_compare compare;
    uint16_t param, param_count;
    // and, or: an empty AND is true, an empty OR is false
    const dx_expr *const *items;
    uint16_t item_count;
};

typedef struct dx_order {
    uint16_t column;
    bool descending; // NULLs come first ascending, last descending
} dx_order;

typedef enum dx_query_kind {
    DX_QUERY_SELECT, // `columns` of the rows
    DX_QUERY_COUNT,  // one row, one column: how many
    DX_QUERY_INSERT, // `columns` get parameters 0, 1, …; the others their defaults (NULL, or the next id)
    DX_QUERY_UPDATE, // likewise; `bumped` columns grow by one
    DX_QUERY_DELETE
} dx_query_kind;

#define DX_NO_PARAM UINT16_MAX
typedef struct dx_query {
    dx_query_kind kind;
    const dx_table *table;
    const uint16_t *columns;
    uint16_t column_count;
    const dx_expr *where; // NULL: every row (an UPDATE or DELETE without one is refused: give an empty AND)
    const dx_order *order;
    uint16_t order_count;
    uint16_t limit_param, offset_param; // DX_NO_PARAM: none. For SELECT, and COUNT with a limit counts up to it
    const uint16_t *bumped;
    uint16_t bumped_count;
    const uint16_t *returning; // INSERT, UPDATE, DELETE: columns of each affected row, shown to `row`
    uint16_t returning_count;
    bool skip_existing; // INSERT: a row that collides is left as it is (changes = 0)
} dx_query;
#define DX_QUERY_INIT(kind_, table_)                                                                                                       \
    { .kind = (kind_), .table = (table_), .limit_param = DX_NO_PARAM, .offset_param = DX_NO_PARAM }

#endif
