// What the files of this room share: a resource with its routes (rest.c), its handlers (call.c) and what it says of itself in the API's
// description (describe.c, filters.c, schemas.c).
#ifndef DX_REST_PARTS_H
#define DX_REST_PARTS_H

#include "resource/resource.h"
#include "rest/seats.h"
#include "server/feature.h"

typedef enum dx_rest_route {
    DX_REST_LIST,
    DX_REST_CREATE,
    DX_REST_DELETE_MANY,
    DX_REST_READ,
    DX_REST_REPLACE,
    DX_REST_CHANGE,
    DX_REST_DELETE,
    DX_REST_OPTIONS,
    DX_REST_CHANGES, // of resources that keep a log
    DX_REST_CHANGES_OPTIONS,
    DX_REST_ROUTES
} dx_rest_route;

// The schemas that a resource has in the API's description.
typedef enum dx_rest_schema {
    DX_REST_ROW,     // Item: a whole row, as writes answer
    DX_REST_VIEW,    // ItemView: as reads answer, where fields= may leave members off and expand= add some
    DX_REST_LISTED,  // ItemList
    DX_REST_NEW,     // ItemCreate
    DX_REST_WHOLE,   // ItemReplace
    DX_REST_PARTIAL, // ItemChange
    DX_REST_SCHEMAS
} dx_rest_schema;

typedef struct dx_rest_resource dx_rest_resource;

typedef struct dx_rest {
    dx_app *app;
    dx_resource_set *set;
    dx_rest_resource *resources; // as in the set
    dx_map components;           // names taken in components/schemas
    struct dx_feeds **feeds;     // one a worker; NULL: no resource keeps a log
    unsigned feed_count;
    dx_seats seats;       // of accounts
    uint32_t streams_cap; // of a worker
    dx_map models;        // model name → dx_slice *, its name there; those that other schemas refer to
} dx_rest;

// How answers to reads may be kept by caches.
typedef struct dx_rest_caching {
    dx_slice control;
    bool varies; // depends on who asks
} dx_rest_caching;

struct dx_rest_resource {
    const dx_rest *rest;
    const dx_resource *resource;
    dx_slice schemas[DX_REST_SCHEMAS]; // their names
    dx_rest_caching caching[2];        // of one row, and [1] of lists
    dx_operation operations[DX_REST_ROUTES];
};

// The media types that a PATCH takes, as Accept-Patch says it.
#define DX_REST_PATCH_TYPES "application/merge-patch+json, application/json-patch+json, application/json"

// --- handlers: `conf` is a dx_rest_resource --------------------------------------------------------------------------------
dx_verdict dx_rest_list(const void *conf, dx_exchange *x);
dx_verdict dx_rest_create(const void *conf, dx_exchange *x);
dx_verdict dx_rest_delete_many(const void *conf, dx_exchange *x);
dx_verdict dx_rest_read(const void *conf, dx_exchange *x);
dx_verdict dx_rest_replace(const void *conf, dx_exchange *x);
dx_verdict dx_rest_change(const void *conf, dx_exchange *x);
dx_verdict dx_rest_delete(const void *conf, dx_exchange *x);
dx_verdict dx_rest_options(const void *conf, dx_exchange *x);

dx_verdict dx_rest_changes(const void *conf, dx_exchange *x);
dx_verdict dx_rest_changes_options(const void *conf, dx_exchange *x);

// --- descriptions: Operation Objects of OpenAPI 3.1 ------------------------------------------------------------------------
void dx_rest_describe_list(const void *conf, const dx_operation *operation, yyjson_mut_doc *doc, yyjson_mut_val *object);
void dx_rest_describe_create(const void *conf, const dx_operation *operation, yyjson_mut_doc *doc, yyjson_mut_val *object);
void dx_rest_describe_delete_many(const void *conf, const dx_operation *operation, yyjson_mut_doc *doc, yyjson_mut_val *object);
void dx_rest_describe_read(const void *conf, const dx_operation *operation, yyjson_mut_doc *doc, yyjson_mut_val *object);
void dx_rest_describe_replace(const void *conf, const dx_operation *operation, yyjson_mut_doc *doc, yyjson_mut_val *object);
void dx_rest_describe_change(const void *conf, const dx_operation *operation, yyjson_mut_doc *doc, yyjson_mut_val *object);
void dx_rest_describe_delete(const void *conf, const dx_operation *operation, yyjson_mut_doc *doc, yyjson_mut_val *object);
void dx_rest_describe_changes(const void *conf, const dx_operation *operation, yyjson_mut_doc *doc, yyjson_mut_val *object);
// Adds a query parameter to an array of them.
yyjson_mut_val *dx_rest_add_parameter(yyjson_mut_doc *doc, yyjson_mut_val *parameters, yyjson_mut_val *name, const char *about,
                                      yyjson_mut_val *schema);
// The parameters of a list's filters (filters.c).
void dx_rest_describe_filters(const dx_resource *resource, yyjson_mut_doc *doc, yyjson_mut_val *parameters);

// --- schemas of components/schemas (schemas.c) -----------------------------------------------------------------------------
// In this order: names for every resource's schemas and for the models that schemas refer to; then the schemas themselves.
dx_status dx_rest_name_schemas(dx_rest *rest) DX_MUST_USE;
dx_status dx_rest_add_schemas(dx_rest *rest) DX_MUST_USE;
#define DX_REST_JSON_PATCH "JsonPatch" // the schema of JSON Patch documents
// A copy of a schema of the definition in which references to models lead to components. `model`: the one it stands in.
yyjson_mut_val *dx_rest_schema_copy(const dx_rest *rest, yyjson_mut_doc *doc, yyjson_val *schema, dx_slice model);
// {"$ref": "#/components/schemas/…"}
yyjson_mut_val *dx_rest_schema_ref(yyjson_mut_doc *doc, dx_slice name);
// A string that is made here: copied into the document.
yyjson_mut_val *dx_rest_text(yyjson_mut_doc *doc, const char *format, ...) DX_PRINTF(2, 3);

#endif
