// Declared resources: from a model to a table, and the operations on its rows. No protocol lives here: `rest` (and later GraphQL and gRPC)
// fill a call, start it, and turn its outcome into an answer.
#ifndef DX_RESOURCE_RESOURCE_H
#define DX_RESOURCE_RESOURCE_H

#include "base/map.h"
#include "config/definition.h"
#include "exchange/chain.h"
#include "store/store.h"

extern const dx_section dx_resources_section; // "resources": see docs/definition.md

typedef enum dx_resource_action {
    DX_ACTION_LIST,
    DX_ACTION_CREATE,
    DX_ACTION_READ,
    DX_ACTION_REPLACE,
    DX_ACTION_CHANGE,
    DX_ACTION_DELETE,
    DX_ACTION_COUNT
} dx_resource_action;

typedef struct dx_resource dx_resource;

// A field of a resource's rows: a property of the model, or one of the resource's own (id, created_at, updated_at, owner_id, deleted_at).
typedef struct dx_resource_field {
    dx_slice name;
    uint16_t column; // in the table
    dx_column_type type;
    bool read_only;  // the resource's own, or "readOnly" in the model
    bool write_only; // "writeOnly" in the model: stored, never shown, never filtered
    bool required;
    bool nullable;
    yyjson_val *schema;        // the property's schema in the definition; NULL for the resource's own
    yyjson_val *default_value; // its "default" (through local references); NULL: none
    const dx_resource *target; // what it references; NULL: nothing
    dx_slice expand_name;      // "category" for "category_id"; the name that expand= takes and that the row gets
} dx_resource_field;

struct dx_resource {
    dx_slice name;      // "items"
    dx_slice singular;  // the model's name: "Item"
    dx_slice pointer;   // "/resources/items", for findings
    dx_slice base_path; // "/api/v1/items", for links
    dx_table table;
    const dx_resource_field *fields; // in the order rows are shown; fields[0] is id
    uint16_t field_count;
    dx_map field_names;                                                                   // name → dx_resource_field *
    dx_map expand_names;                                                                  // expand name → dx_resource_field *
    const dx_schema *schema;                                                              // of the model
    yyjson_val *model;                                                                    // its schema's tree
    bool owned, soft_delete, text_id;                                                     // text_id: UUIDv7; else numbers
    bool require_if_match;                                                                // writes without If-Match are 428
    int16_t version_column, created_column, updated_column, owner_column, deleted_column; // -1: none
    dx_access access[DX_ACTION_COUNT];
    dx_slice owner_bypass_role; // this role sees every row; empty: none
    uint32_t page_size, page_size_cap, bulk_cap, expand_cap;
    bool count_exact;              // count=exact is what a list without count= does
    dx_slice cache_control;        // empty: "private, no-cache" (public, when reading is public)
    uint64_t fingerprint;          // of the model and the fields: part of every entity tag
    struct dx_change_log *changes; // the log of committed changes (resource/changes.h); NULL: none is kept
    void *plans;                   // kept statements; resource/*.c
};

typedef struct dx_resource_set {
    const dx_resource *const *items;
    size_t count;
    dx_map names;
    dx_store *store;
    uint8_t cursor_key[32];
    const dx_table *idempotency; // stored answers of POSTs with a key
    void *answers;               // kept statements and the keys in flight; idempotency.c
} dx_resource_set;

// Reads `models` and `resources`, derives the tables, checks everything a schema can't say (unknown model, reference to nothing, index over
// an unknown field, names that collide). `base` is the API's base path.
dx_status dx_resources_load(dx_resource_set **out, dx_arena *arena, const dx_definition *definition, dx_slice base,
                            dx_diags *diags) DX_MUST_USE;
// The tables to migrate: each resource's and the set's own.
size_t dx_resources_tables(const dx_resource_set *set, const dx_table **out, size_t cap);
// Once the store stands: keeps the statements in `kept`, a keep of `store`. `cursor_key` signs cursors.
dx_status dx_resources_prepare(dx_resource_set *set, dx_arena *arena, dx_store *store, dx_keep *kept,
                               const uint8_t cursor_key[32]) DX_MUST_USE;

// One call of an action. Zero it, fill the input, start it with one of the functions below; `done` runs once on the session's loop, perhaps
// before the function returns. Everything it points to lives in `arena`.
typedef struct dx_resource_call dx_resource_call;
struct dx_resource_call {
    // input
    const dx_resource_set *set;
    const dx_resource *resource;
    dx_session *session;
    dx_arena *arena;
    const dx_principal *principal;    // NULL: nobody
    dx_slice id;                      // path parameter, decoded; for one row
    dx_slice query;                   // the raw query string
    dx_slice body;                    // JSON text
    dx_slice if_match, if_none_match; // values of these fields; NULL data: absent
    dx_micros_utc if_modified_since;  // 0: absent
    dx_micros_utc if_unmodified_since;
    dx_slice idempotency_key; // NULL data: absent
    void (*done)(dx_resource_call *call);
    void *owner;

    // outcome
    dx_status status;       // DX_OK, or why not
    dx_slice detail;        // for the problem document
    dx_diags findings;      // for its `errors`
    int http;               // 200, 201, 204, 304, 207 never: of DX_OK
    dx_slice out;           // the representation
    dx_slice etag;          // quoted; NULL data: none
    dx_micros_utc modified; // 0: unknown
    dx_slice location;      // path of the created row; empty: none
    bool replayed;          // the stored answer to an Idempotency-Key
    bool personal;          // depends on who asks, though the resource's own rows may not: something private was to be expanded
};

void dx_resource_list(dx_resource_call *call);
void dx_resource_read(dx_resource_call *call);
void dx_resource_create(dx_resource_call *call); // one row (body an object) or many in one transaction (body an array)
void dx_resource_replace(dx_resource_call *call);
void dx_resource_merge(dx_resource_call *call); // RFC 7396
void dx_resource_patch(dx_resource_call *call); // RFC 6902
void dx_resource_delete(dx_resource_call *call);
void dx_resource_delete_many(dx_resource_call *call); // query: id=in… or ids; all or nothing

#endif
