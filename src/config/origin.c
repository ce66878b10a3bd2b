// Where a value of the definition came from, for a person who asks why it is what it is: the file and the line, and the variable or the
// seal that stood there. Nothing is kept for it while a definition is loaded: the file's text is read again.
#include "config/parts.h"
#include "config/seal_keys.h"

static dx_value_source source_of(const dx_definition *definition, const dx_value_origin *origin, dx_slice written) {
    bool from_dotenv;
    if (!origin->variable.size) return dx_slice_starts(written, dx_slice_str(DX_SEAL_PREFIX)) ? DX_VALUE_SEALED : DX_VALUE_WRITTEN;
    if (!dx_variable_look_up(definition, origin->variable, &from_dotenv).data) return DX_VALUE_FALLBACK;
    return from_dotenv ? DX_VALUE_DOTENV : DX_VALUE_ENVIRONMENT;
}

bool dx_definition_origin(dx_value_origin *out, const dx_definition *definition, dx_slice pointer, dx_arena *arena) {
    static const dx_json_options loose = {.depth_cap = DX_JSON_DEPTH_MAX, .allow_duplicates = true};
    dx_found found;
    yyjson_doc *document;
    *out = (dx_value_origin){0};
    if (!dx_definition_find(definition, pointer, arena, &found)) return false;
    if (dx_json_read(&document, arena, found.source->text, &loose, NULL) != DX_OK) return false;
    dx_slice written = dx_json_slice(dx_json_at(yyjson_doc_get_root(document), found.pointer));
    out->file = dx_arena_copy(arena, found.source->name);
    out->line = found.line;
    out->column = found.column;
    if (dx_definition_is_secret(definition, pointer)) { // else "${" is literal
        out->variable = dx_variable_name(written, &out->whole);
        out->source = source_of(definition, out, written);
    }
    return true;
}
