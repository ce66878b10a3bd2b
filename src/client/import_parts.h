// What the parts of the importer share: its state, how the result is put together, and who makes what. Memory is asked after once, at the
// end: a part that runs out of it sets `status`, and the rest goes on with what there is.
#ifndef DX_CLIENT_IMPORT_PARTS_H
#define DX_CLIENT_IMPORT_PARTS_H

#include "base/map.h"
#include "client/import.h"

// What a definition has no place for, counted over the document and told once.
typedef enum dx_import_left_out {
    DX_LEFT_ERRORS,
    DX_LEFT_ANSWERS,
    DX_LEFT_HEADERS,
    DX_LEFT_LINKS,
    DX_LEFT_CALLBACKS,
    DX_LEFT_SERVERS,
    DX_LEFT_MEDIA_TYPES,
    DX_LEFT_ENCODINGS,
    DX_LEFT_RESERVED,
    DX_LEFT_COUNT
} dx_import_left_out;

typedef struct dx_import_pending { // a schema that is to become a model
    struct dx_import_pending *next;
    dx_slice name, pointer;
    yyjson_val *schema;
} dx_import_pending;

typedef struct dx_importer {
    dx_arena *arena;
    yyjson_val *document;
    dx_import_options options;
    dx_diags *findings;
    yyjson_mut_doc *doc;
    yyjson_mut_val *models, *api, *endpoints;
    dx_slice name, variables; // of the API; what the names of its variables start with ("MY_API")
    dx_slice version;         // of endpoints whose path names none
    dx_slice base;            // URL; empty: not known
    bool v30;                 // OpenAPI 3.0, whose schemas are not JSON Schema
    dx_map model_of;          // JSON pointer of a schema → its dx_import_pending
    dx_map model_names;       // taken
    dx_import_pending *todo, **todo_end;
    size_t endpoint_count;
    yyjson_val *scheme; // the security scheme that `auth` is made of; and its name
    dx_slice scheme_name;
    size_t other_auth; // operations that want another
    dx_slice other_auth_at;
    size_t left[DX_LEFT_COUNT];
    dx_slice left_at[DX_LEFT_COUNT]; // the first
    dx_status status;
} dx_importer;

// --- import_value.c: putting the result together -----------------------------------------------------------------------------
void dx_import_tell(dx_importer *im, dx_slice pointer, const char *format, ...) DX_PRINTF(3, 4);
void dx_import_leave_out(dx_importer *im, dx_import_left_out what, dx_slice pointer);
dx_slice dx_import_pointer(dx_importer *im, dx_slice base, const char *token);
// A string that reads as `text` once a definition's variables are replaced; NULL data is the empty text.
yyjson_mut_val *dx_import_text(dx_importer *im, dx_slice text);
// "${<VARIABLES>_<suffix>}"
yyjson_mut_val *dx_import_variable(dx_importer *im, const char *suffix);
yyjson_mut_val *dx_import_object(dx_importer *im);
yyjson_mut_val *dx_import_array(dx_importer *im);
yyjson_mut_val *dx_import_bool(dx_importer *im, bool value);
// Adds a member that is not there yet, or with `put` replaces it; `name` is copied.
void dx_import_add(dx_importer *im, yyjson_mut_val *object, dx_slice name, yyjson_mut_val *value);
void dx_import_put(dx_importer *im, yyjson_mut_val *object, dx_slice name, yyjson_mut_val *value);
void dx_import_append(dx_importer *im, yyjson_mut_val *array, yyjson_mut_val *value);
// The object that is the member `name`, made when there is none.
yyjson_mut_val *dx_import_member(dx_importer *im, yyjson_mut_val *object, dx_slice name);
yyjson_mut_val *dx_import_copy(dx_importer *im, yyjson_val *value);
// Whether a "$ref" stands anywhere in a value that is data. A definition would follow it, into files beside it: so such data is not taken.
bool dx_import_refers(yyjson_val *value);
// The same of what was made; references to models don't count.
bool dx_import_refers_away(const yyjson_mut_val *value);
// Whether a value is nested too deeply for its place in a definition, which is 64 levels deep at most.
bool dx_import_is_deep(const yyjson_mut_val *value);
// Follows `{"$ref": …}` as often as need be; `*pointer` moves along. NULL (told) when it leads out of the document, nowhere or in a circle.
yyjson_val *dx_import_resolve(dx_importer *im, yyjson_val *value, dx_slice *pointer);
// What `ref` leads to, one step; NULL (told at `pointer`).
yyjson_val *dx_import_target(dx_importer *im, dx_slice ref, dx_slice pointer, dx_slice *target);

// --- import_name.c -----------------------------------------------------------------------------------------------------------
dx_slice dx_import_snake(dx_importer *im, dx_slice text, const char *otherwise); // [a-z_][a-z0-9_]{0,53}
dx_slice dx_import_pascal(dx_importer *im, dx_slice snake, const char *behind);  // "get_user" → "GetUser" and `behind`
dx_slice dx_import_upper(dx_importer *im, dx_slice snake);
// `name`, or `name_2` and so on: the first that `taken` does not know; and adds it.
dx_slice dx_import_unique(dx_importer *im, dx_map *taken, dx_slice name);
// "v1" of a path with such a part ("v1_1" of "v1.1"); empty without.
dx_slice dx_import_path_version(dx_importer *im, dx_slice path);

// --- import_schema.c, import_model.c ---------------------------------------------------------------------------------------
yyjson_mut_val *dx_import_schema(dx_importer *im, yyjson_val *schema, dx_slice pointer);
// The name of the model that the schema at `pointer` is or becomes; `wish` names it when the pointer leads to no component.
dx_slice dx_import_model(dx_importer *im, yyjson_val *schema, dx_slice pointer, dx_slice wish);
void dx_import_components(dx_importer *im); // gives every component schema its name
void dx_import_models(dx_importer *im);     // makes all models that are wanted by now
void dx_import_check_models(dx_importer *im, yyjson_mut_val *root);
// Whether references in it lead back to it, so that it can't stand where references are replaced.
bool dx_import_is_recursive(dx_importer *im, yyjson_val *schema);

// --- import_parameter.c, import_body.c, import_operation.c, import_auth.c ----------------------------------------------------
typedef struct dx_import_operation {
    dx_importer *im;
    yyjson_val *item, *value; // the path item, the operation
    dx_slice item_at, at;     // their pointers
    dx_slice path, method, name;
    yyjson_mut_val *endpoint, *params;
    dx_map keys; // of parameters
} dx_import_operation;

void dx_import_params(dx_import_operation *op, dx_slice *path); // `*path` gets the parameters' names
void dx_import_request(dx_import_operation *op);
void dx_import_response(dx_import_operation *op);
void dx_import_paths(dx_importer *im);
void dx_import_choose_auth(dx_importer *im); // before the paths
void dx_import_auth(dx_importer *im);
bool dx_import_auth_required(dx_import_operation *op);
// The key of a parameter: the first free one of `name`, `name_in`, `name_in_2` …
dx_slice dx_import_key(dx_import_operation *op, dx_slice wire, dx_slice in);
// Sets a parameter's `type` by its schema, and `secret` for passwords. True when the schema asks for more than that. `files`: in a form,
// where binary strings are files.
bool dx_import_put_type(dx_importer *im, yyjson_mut_val *param, yyjson_val *schema, dx_slice at, bool files);
void dx_import_put_schema(dx_importer *im, yyjson_mut_val *param, yyjson_val *schema, dx_slice at);
// The `description` of `value`, or else of its schema.
void dx_import_describe(dx_importer *im, yyjson_mut_val *made, yyjson_val *value, yyjson_val *schema);

// --- import_server.c ----------------------------------------------------------------------------------------------------------
void dx_import_server(dx_importer *im);
// `url` as an absolute one, or behind the variable that stands for where the API is.
yyjson_mut_val *dx_import_url(dx_importer *im, dx_slice url);

#endif
