// Between the files that answer reads and lists: query.c (the query string), filter.c (conditions), cursor.c, plan.c (statements of a
// list), expand.c (references), read.c and list.c.
#ifndef DX_RESOURCE_LIST_H
#define DX_RESOURCE_LIST_H

#include "resource/row.h"

#define DX_QUERY_BYTES_CAP      8192 // of a query string
#define DX_QUERY_PARAMS_CAP     64
#define DX_QUERY_CONDITIONS_CAP 32
#define DX_QUERY_VALUES_CAP     100 // of one in or nin
#define DX_QUERY_SORT_CAP       4
#define DX_QUERY_PAGE_CAP       1000000000
#define DX_CURSOR_TEXT_CAP      1024 // bytes of one text value in a cursor
#define DX_CURSOR_SIZE_CAP      4096 // bytes of a cursor before base64

// --- conditions --------------------------------------------------------------------------------------------------------------

typedef struct dx_condition {
    uint16_t column;
    dx_compare compare;
    bool none_of; // every value differs: compare is DX_NOT_EQUAL
    const dx_value *values;
    uint16_t count;
} dx_condition;

typedef struct dx_sort_key {
    uint16_t column;
    bool descending;
    bool nullable;
    dx_column_type type;
} dx_sort_key;

// What a query string asks for. Made in the call's arena; plain data.
typedef struct dx_view {
    dx_projection projection; // fields NULL: all
    bool whole;               // neither fields= nor expand=
    const dx_resource_field *const *expand;
    uint16_t expand_count;
    // lists
    dx_condition conditions[DX_QUERY_CONDITIONS_CAP];
    uint16_t condition_count, value_count;
    dx_sort_key keys[DX_QUERY_SORT_CAP + 1]; // the last one is id
    uint16_t key_count;
    uint32_t page, page_size;
    bool by_cursor;
    dx_slice cursor; // empty: from the start
    bool count_exact;
    uint64_t filter_hash; // of the conditions, whatever their order
} dx_view;

// Reads call->query into a zeroed view. False: the call is to end, with `*status` and (DX_INVALID) call->findings. `list`: filters and
// pages too.
bool dx_view_read(dx_view *view, dx_resource_call *call, bool list, dx_status *status);
// One parameter that is not reserved, as a condition. Complaints go to the call's findings. False without memory.
bool dx_filter_read(dx_view *view, dx_resource_call *call, dx_slice name, dx_slice value);
// Text as a value of a column's type; false: it is not one. `what` is then what was expected.
bool dx_filter_value(dx_value *out, dx_arena *arena, const dx_resource_field *field, dx_slice text, const char **what);
// "id, title, price": the names of fields that can be filtered and sorted by, for messages.
dx_slice dx_filter_names(dx_arena *arena, const dx_resource *resource);
// ` did you mean "price"?` or nothing.
dx_slice dx_filter_hint(dx_arena *arena, const dx_map *names, dx_slice name);
bool dx_field_is_sortable(const dx_resource_field *field);
// The path with the call's query string, in which `name` (page or cursor) is replaced by `value`.
dx_slice dx_view_link(dx_resource_call *call, dx_slice name, dx_slice value);

// --- cursors -----------------------------------------------------------------------------------------------------------------

// A place in an order: behind (or, inclusive, at) the row with these values, looking forwards or backwards.
typedef struct dx_cursor {
    bool backward, inclusive;
    uint16_t count;
    dx_value values[DX_QUERY_SORT_CAP + 1];
} dx_cursor;

// What a cursor is bound to: the resource's fields, the order and the conditions.
uint64_t dx_cursor_binding(const dx_resource *resource, const dx_view *view);
// base64url text, signed; data NULL without memory, or (`*too_long`) when a value is too long for a cursor.
dx_slice dx_cursor_write(dx_arena *arena, const uint8_t key[32], uint64_t binding, const dx_cursor *cursor, bool *too_long);
// False: forged, damaged, or of another list. Text values are the arena's.
bool dx_cursor_read(dx_cursor *out, dx_arena *arena, const uint8_t key[32], uint64_t binding, const dx_view *view, dx_slice text);
// The same from the bytes behind the signature: the part that parses.
bool dx_cursor_parse(dx_cursor *out, const dx_sort_key *keys, uint16_t key_count, dx_slice bytes);

// --- plan ----------------------------------------------------------------------------------------------------------------------

// A stretch of the order behind a cursor: the keys before `fixed` equal the cursor's values, key `fixed` lies beyond it.
typedef struct dx_segment {
    uint16_t fixed;
    dx_compare compare;
    bool whole; // no cursor: every row
} dx_segment;
#define DX_SEGMENTS_CAP (2 * (DX_QUERY_SORT_CAP + 1))

typedef struct dx_list_plan {
    dx_resource_call *call;
    const dx_view *view;
    const dx_cursor *cursor; // NULL: from the start
    bool scoped, backward;
    dx_segment segments[DX_SEGMENTS_CAP]; // in the order of the rows
    uint16_t segment_count;
    const dx_expr **items; // the conditions; then what each statement adds
    uint16_t item_count;
    dx_value *params; // their values, the owner; then what each statement adds
    uint16_t param_count, owner_param;
} dx_list_plan;

bool dx_list_plan_init(dx_list_plan *plan, dx_resource_call *call, const dx_view *view, const dx_cursor *cursor); // false: no memory
// The statement and its parameters, set in `tx`: rows of a segment, at most `limit`, or how many rows there are in all.
dx_status dx_list_plan_rows(dx_list_plan *plan, dx_tx *tx, uint16_t segment, int64_t limit, int64_t offset) DX_MUST_USE;
dx_status dx_list_plan_count(dx_list_plan *plan, dx_tx *tx) DX_MUST_USE;
// Whether an index gives the order, and no row is looked at in vain: then a page is a bounded range.
bool dx_list_plan_is_brief(const dx_list_plan *plan);

// --- expansion -----------------------------------------------------------------------------------------------------------------

typedef struct dx_expansion dx_expansion;
typedef struct dx_expand {
    dx_resource_call *call;
    dx_expansion *items;
    uint16_t count, at; // `at`: the one whose statement is next
    size_t rows;
    dx_buffer text; // what was found, as JSON
} dx_expand;

bool dx_expand_init(dx_expand *expand, dx_resource_call *call, const dx_view *view, size_t row_cap); // false: no memory
// Notes what row number `at` refers to. False: no memory.
bool dx_expand_note(dx_expand *expand, size_t at, const dx_row *row);
// Sets the next reference's statement in `tx`; `*more` false: all are done. One statement a reference, however many rows.
dx_status dx_expand_next(dx_expand *expand, dx_tx *tx, bool *more) DX_MUST_USE;
dx_status dx_expand_row(dx_expand *expand, const dx_row *row) DX_MUST_USE;
// Appends the expansions of row number `at` to its open object and closes it.
void dx_expand_write(const dx_expand *expand, dx_buffer *out, size_t at);

// Through the call's session, or without one to the end on this thread.
void dx_resource_submit(dx_resource_call *call, dx_tx *tx);

#endif
