// Settings that come at run time, for one call or for an API that is registered: held against the same schema as a definition's.
#include "client/client.h"

dx_status dx_client_check_layer(dx_client *client, dx_arena *arena, yyjson_val *layer, dx_diags *diags) {
    yyjson_doc *document;
    const dx_schema *schema;
    (void)client;
    dx_status status = dx_json_read(&document, arena, dx_slice_str(dx_apis_section.schema), NULL, diags);
    dx_schema_set *set = status == DX_OK ? dx_schema_set_create(arena, true) : NULL;
    if (!set) return status == DX_OK ? DX_NO_MEMORY : status;
    status = dx_schema_set_add(set, (dx_slice){"", 0}, yyjson_doc_get_root(document));
    if (status == DX_OK) status = dx_schema_compile(&schema, set, DX_SLICE("#/$defs/layer"), diags);
    return status == DX_OK ? dx_schema_validate(schema, layer, arena, NULL, diags) : status;
}
