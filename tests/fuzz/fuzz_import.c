// The input is an OpenAPI document in YAML or JSON. Whatever becomes a definition is one: JSON without a name twice, with one API, whose
// endpoints name models that are there.
#include "client/import.h"
#include "codec/yaml.h"
#include "fuzz.h"

static void check_model(yyjson_val *models, dx_slice name) {
    if (name.size > 2 && name.data[name.size - 1] == ']') name.size -= 2;
    FUZZ_CHECK(!name.size || yyjson_obj_getn(models, name.data, name.size));
}

static void check_endpoints(yyjson_val *api, yyjson_val *models, size_t expected) {
    size_t i, j, count, members, seen = 0;
    yyjson_val *version, *group, *name, *endpoint;
    yyjson_obj_foreach(yyjson_obj_get(api, "endpoints"), i, count, version, group) {
        yyjson_obj_foreach(group, j, members, name, endpoint) {
            seen++;
            FUZZ_CHECK(dx_json_member_slice(endpoint, "path").size && dx_json_member_slice(endpoint, "method").size);
            check_model(models, dx_json_member_slice(endpoint, "request_model"));
            check_model(models, dx_json_member_slice(endpoint, "response_model"));
        }
    }
    FUZZ_CHECK(seen == expected);
}

static void check_definition(dx_arena *arena, const yyjson_mut_doc *made, const dx_import_counts *counts) {
    const dx_json_options deep = {.depth_cap = DX_JSON_DEPTH_MAX};
    dx_buffer text;
    yyjson_doc *doc;
    dx_buffer_init(&text, arena, 256 << 20);
    dx_json_write_mut(&text, yyjson_mut_doc_get_root((yyjson_mut_doc *)made), false);
    if (dx_buffer_status(&text) == DX_NO_MEMORY) return;
    FUZZ_CHECK(dx_buffer_status(&text) == DX_OK);
    dx_status status = dx_json_read(&doc, arena, dx_buffer_slice(&text), &deep, NULL);
    if (status == DX_NO_MEMORY) return;
    FUZZ_CHECK(status == DX_OK);
    yyjson_val *root = yyjson_doc_get_root(doc), *apis = yyjson_obj_get(root, "apis"), *models = yyjson_obj_get(root, "models");
    FUZZ_CHECK(yyjson_obj_size(apis) == 1 && yyjson_obj_size(models) == counts->models);
    check_endpoints(unsafe_yyjson_get_first(apis) + 1, models, counts->endpoints);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size > 64 * 1024) return 0;
    dx_arena *arena = dx_arena_create((size_t)512 << 20);
    const dx_json_options options = {.depth_cap = DX_IMPORT_DEPTH_CAP};
    dx_diags findings;
    dx_diags_init(&findings, arena);
    dx_import_counts counts;
    yyjson_doc *doc;
    yyjson_mut_doc *made;
    if (dx_yaml_read(&doc, arena, dx_slice_of((const char *)data, size), &options, NULL) == DX_OK) {
        dx_status status = dx_import_openapi(&made, &counts, arena, yyjson_doc_get_root(doc), NULL, &findings);
        if (status == DX_OK)
            check_definition(arena, made, &counts);
        else
            FUZZ_CHECK(status == DX_NO_MEMORY || (status == DX_INVALID && findings.count));
    }
    dx_arena_destroy(arena);
    return 0;
}
