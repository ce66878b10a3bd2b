// Between the files that turn the definition into resources: sections.c, fields.c, settings.c, load.c.
#ifndef DX_RESOURCE_LOAD_H
#define DX_RESOURCE_LOAD_H

#include "resource/row.h"

// Plain numbers: sections.c writes them into the schema's text.
#define DX_PAGE_SIZE        20
#define DX_PAGE_CAP         100
#define DX_PAGE_CAP_MOST    10000
#define DX_BULK_CAP         1000
#define DX_BULK_CAP_MOST    10000
#define DX_EXPAND_CAP       8
#define DX_EXPAND_CAP_MOST  32
#define DX_INDEX_FIELDS_CAP 8

#define DX_RESOURCE_FIELDS_CAP 500
#define DX_COLUMN_NAME_CAP     64

// A resource under construction.
typedef struct dx_draft {
    dx_resource *resource;
    yyjson_val *settings;
    dx_resource_field *fields; // resource->fields
    dx_column *columns;        // resource->table.columns
} dx_draft;

typedef struct dx_loading {
    dx_arena *arena;
    dx_arena *scratch; // emptied for each resource
    const dx_definition *definition;
    yyjson_val *root;
    dx_diags *diags;
    dx_status status; // DX_NO_MEMORY ends the load
    size_t findings;  // how many
    dx_draft *drafts;
    size_t count;
    dx_map names; // resource name → dx_draft *
} dx_loading;

// A finding about the value at `pointer` + "/" + `token` (NULL: the value at `pointer` itself).
dx_diag *dx_loading_complain(dx_loading *loading, dx_slice pointer, const char *token, const char *format, ...) DX_PRINTF(4, 5);

// Derives fields and columns from the model and the settings id, owner and soft_delete (fields.c).
void dx_draft_fields(dx_loading *loading, dx_draft *draft);
// The setting `changes` (changes_settings.c), once the settings are read.
void dx_draft_changes(dx_loading *loading, dx_draft *draft);
// Everything else of a resource's settings that needs no other resource (settings.c).
void dx_draft_settings(dx_loading *loading, dx_draft *draft);
// References, uniqueness and indexes, renames, fallbacks: once every draft has its fields (settings.c).
void dx_draft_table(dx_loading *loading, dx_draft *draft);

#endif
