// Reading `server.compression`.
#include "codec/compress.h"
#include "server/settings.h"

dx_status dx_settings_read_compression(dx_settings_reader *r) {
    yyjson_val *section = yyjson_obj_get(r->section, "compression"), *item;
    dx_compression *out = &r->out->compression;
    size_t at, count;
    if (!dx_size_read(dx_json_member_slice(section, "floor"), &out->floor))
        dx_definition_complain(r->definition, r->diags, DX_SLICE("/server/compression/floor"), "expected a size");
    out->level = (int)yyjson_get_int(yyjson_obj_get(section, "level"));
    if (!yyjson_get_bool(yyjson_obj_get(section, "enabled"))) return DX_OK;
    yyjson_arr_foreach(yyjson_obj_get(section, "codings"), at, count, item) {
        out->codings |= DX_CODING_BIT(dx_coding_parse(dx_json_slice(item)));
    }
    return DX_OK;
}
