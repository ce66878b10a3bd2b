// What reading and writing a resource share, and nobody outside this room sees: which columns a statement asks for, how a row becomes
// JSON and an entity tag, which rows a caller may see, and what an id in a path means.
#ifndef DX_RESOURCE_ROW_H
#define DX_RESOURCE_ROW_H

#include "resource/resource.h"

// --- columns ---------------------------------------------------------------------------------------------------------------
// Every column of the resource's table, in table order: what SELECT and RETURNING ask for, so that field->column is also the position
// of the field's value in a row. There are resource->table.column_count of them.
const uint16_t *dx_resource_columns(const dx_resource *resource);

// --- rows as JSON ----------------------------------------------------------------------------------------------------------
// Which fields of a row to show: a subset of resource->fields in the order of the rows. NULL instead of one: every field.
typedef struct dx_projection {
    const uint16_t *fields; // indexes into resource->fields; write-only ones are skipped all the same
    uint16_t field_count;
    bool open; // leave off the closing brace: the caller adds members (expansions)
} dx_projection;

// Appends `{"id":…}`: fields in their order, write-only ones left out, NULL as null, timestamps as RFC 3339 in UTC, numbers exact, JSON
// columns verbatim. `row` has all columns in table order (dx_resource_columns). Failure is in the buffer's status.
void dx_resource_write_row(dx_buffer *out, const dx_resource *resource, const dx_row *row, const dx_projection *projection);
// One value as it is shown, without its name.
void dx_resource_write_value(dx_buffer *out, dx_column_type type, dx_value value);
// A fair first size for one row's buffer, in bytes.
size_t dx_resource_row_guess(const dx_resource *resource);
// No row or list of rows grows past this; over it a call ends with DX_TOO_LARGE.
#define DX_RESOURCE_OUT_CAP (64u << 20)

// --- entity tags -----------------------------------------------------------------------------------------------------------
// The strong tag of a whole row: fingerprint and time of change mixed, id and version, `"<hex>-<id>-<version>"`. The slice is the arena's
// (data NULL without memory).
dx_slice dx_resource_tag(dx_arena *arena, const dx_resource *resource, dx_value id, int64_t version, dx_micros_utc updated);
dx_slice dx_resource_etag(dx_arena *arena, const dx_resource *resource, const dx_row *row);
// The tag of any other representation (fields=, expand=, lists): a hash of its bytes.
dx_slice dx_resource_body_etag(dx_arena *arena, dx_slice body);
// When the row was last changed; 0 when the resource doesn't keep that.
dx_micros_utc dx_resource_modified(const dx_resource *resource, const dx_row *row);
// Whether `modified` lies behind a date of HTTP, which has seconds; false when one of the two is unknown (0).
static inline bool dx_resource_is_newer(dx_micros_utc modified, dx_micros_utc date) {
    return modified && date && modified / 1000000 > date / 1000000;
}
// If-Match and If-Unmodified-Since of a read, against call->etag and call->modified: DX_OK or DX_PRECONDITION_FAILED.
dx_status dx_resource_precondition(const dx_resource_call *call) DX_MUST_USE;

// --- who sees what ---------------------------------------------------------------------------------------------------------
// Whether `action` sees only the caller's own rows: the resource is owned, the action isn't public, and the caller lacks the bypass role.
bool dx_resource_scoped(const dx_resource *resource, dx_resource_action action, const dx_principal *principal);
// The parameter of that condition. Without a principal it is NULL, which no row equals.
dx_value dx_resource_owner_value(const dx_principal *principal);
// `also` (NULL: nothing more) and, when `scoped`, owner = parameter `owner_param`; soft-deleted rows are always left out. NULL without
// memory; an empty AND when there is nothing to ask.
const dx_expr *dx_resource_where(dx_arena *arena, const dx_resource *resource, const dx_expr *also, bool scoped, uint16_t owner_param);
// The row with the id in parameter `first_param`; the owner, when scoped, in `first_param` + 1.
const dx_expr *dx_resource_where_id(dx_arena *arena, const dx_resource *resource, bool scoped, uint16_t first_param);
// Kept: the whole row by id, for parameters {id} or, scoped, {id, owner}.
const dx_statement *dx_resource_select_by_id(const dx_resource *resource, bool scoped);
// Whether `principal` may run `action` at all (public, any caller, or one of the roles).
bool dx_resource_allowed(const dx_resource *resource, dx_resource_action action, const dx_principal *principal);

// --- ids -------------------------------------------------------------------------------------------------------------------
// The id in a path or parameter: a decimal number without leading zeros, or a UUID in any case. False: no row can have it (not found). The
// value's text is `text` itself or the arena's.
bool dx_resource_id_read(const dx_resource *resource, dx_arena *arena, dx_slice text, dx_value *out);

// --- failing ---------------------------------------------------------------------------------------------------------------
// Ends a call: sets status and detail (printf, in the call's arena; may be NULL), then calls done. Both sides end through these.
void dx_resource_fail(dx_resource_call *call, dx_status status, const char *detail, ...) DX_PRINTF(3, 4);
// Whether it was the call's own bulk that it failed of, and not a machine without memory: an answer that sending again won't change.
static inline bool dx_resource_outgrew(const dx_resource_call *call, dx_status status) {
    size_t taken = dx_arena_footprint(call->arena);
    return status == DX_TOO_LARGE || (status == DX_NO_MEMORY && taken > (1u << 20) && taken > call->arena->cap / 4);
}
// Adds a finding about a query parameter (pointer "?name"); the call is to end with DX_INVALID.
dx_diag *dx_resource_complain(dx_resource_call *call, dx_slice parameter, const char *format, ...) DX_PRINTF(3, 4);

// --- what loading and preparing ask of the write side ------------------------------------------------------------------------
// JSON to a column's value, as inserting and replacing do it (bind.c): the schema has been checked, but not the store's own bounds. Not
// DX_OK: DX_INVALID with a static reason ("expected an integer of 64 bits"), or DX_NO_MEMORY. null gives DX_VALUE_NULL.
dx_status dx_resource_bind(dx_value *out, dx_arena *arena, dx_column_type type, yyjson_val *value, const char **reason) DX_MUST_USE;
// The table of stored answers (idempotency.c); the load puts it in the set.
extern const dx_table dx_idempotency_table;
// Keeps the write side's statements of one resource in plans->writes (write.c); called by dx_resources_prepare.
dx_status dx_resource_prepare_writes(const dx_resource *resource, dx_arena *arena, dx_keep *kept) DX_MUST_USE;
// Once every resource has its own: tells soft-deleted targets who refers to them (write.c).
dx_status dx_resource_prepare_referrers(const dx_resource *resource, dx_arena *arena, dx_keep *kept) DX_MUST_USE;
// And those of the set (idempotency.c).
dx_status dx_resource_prepare_idempotency(dx_resource_set *set, dx_arena *arena, dx_keep *kept) DX_MUST_USE;

// A field ready to be shown: `,"name":` and where its value is.
typedef struct dx_shown_field {
    dx_slice key; // with the comma in front and the colon behind
    uint16_t column;
    uint16_t field;
    dx_column_type type;
} dx_shown_field;

// resource->plans
typedef struct dx_resource_plans {
    const uint16_t *columns;
    const dx_shown_field *shown; // every field that is not write-only, in order
    uint16_t shown_count;
    uint32_t row_guess;
    const dx_statement *by_id[2]; // [scoped]
    void *writes;                 // the write side's
} dx_resource_plans;
static inline dx_resource_plans *dx_resource_plans_of(const dx_resource *resource) {
    return (dx_resource_plans *)resource->plans;
}

#endif
