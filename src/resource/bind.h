// From a JSON object to a row's column values, and back to a tree that patches are applied to. Everything a body can be wrong in is found
// here: unknown and read-only members, the model's schema, and the store's own bounds. It knows nothing of statements or transactions, and
// runs on any thread.
#ifndef DX_RESOURCE_BIND_H
#define DX_RESOURCE_BIND_H

#include "resource/row.h"

// Made once a resource, at load time; immutable.
typedef struct dx_binder_field {
    yyjson_val key;       // the name as a JSON string, for building instances
    yyjson_val *fallback; // the property's default; NULL: none
    bool own;             // the resource sets it (id, owner_id, created_at, updated_at), whatever the model says of it
} dx_binder_field;
typedef struct dx_binder {
    const dx_resource *resource;
    const dx_binder_field *fields; // one for each of resource->fields
} dx_binder;
dx_status dx_binder_init(dx_binder *out, const dx_resource *resource, dx_arena *arena) DX_MUST_USE;

typedef enum dx_bind_mode {
    DX_BIND_CREATE,  // defaults are filled in; the resource's own fields are refused
    DX_BIND_REPLACE, // defaults are filled in; read-only members may be there when they say what is so already
    DX_BIND_MERGE,   // the result of a merge patch on dx_bind_target(…, true)
    DX_BIND_PATCH    // the result of a JSON Patch on dx_bind_target(…, false): write-only members that are not there stay what they are
} dx_bind_mode;

typedef struct dx_bind {
    const dx_binder *binder;
    dx_bind_mode mode;
    const dx_value *current; // the row as it is, by column; NULL on create
    dx_arena *arena;         // what the values point to lives here, or in the body
    dx_diags *findings;
    dx_slice at; // pointer of the body within the request's: "/3" for the fourth of many, else empty
} dx_bind;

// Fills the columns of the model's fields in `values` (table.column_count of them); those of the resource's own are NULL on create, else
// as in `current`. DX_OK; DX_INVALID with every finding; DX_NO_MEMORY. A null for a field that is neither required nor nullable is the
// same as its absence, because that is how rows show it.
dx_status dx_bind_row(const dx_bind *bind, yyjson_val *body, dx_value *values) DX_MUST_USE;

// The row as a tree, all fields in their order; NULL without memory.
yyjson_val *dx_bind_target(const dx_binder *binder, const dx_value *current, bool write_only, dx_arena *arena);

// Whether two values of one column are the same to a reader.
bool dx_bind_same(dx_value a, dx_value b);

#endif
