// Why a setting is what it is: the nearest layer that says it, and in the definition the line and the variable. What no layer says is the
// schema's.
#include "cli/cli_call.h"

static bool said_on_command_line(const dx_cli_call *call, dx_slice setting) {
    yyjson_doc *document;
    if (call->options.timeout_ms && dx_slice_equal(setting, DX_SLICE("/timeout"))) return true;
    if (!call->options.settings) return false;
    if (dx_json_read(&document, call->arena, dx_slice_str(call->options.settings), NULL, NULL) != DX_OK) return false;
    return dx_json_at(yyjson_doc_get_root(document), setting) != NULL;
}

void dx_cli_value_origin(dx_cli_origin *out, const dx_cli_call *call, dx_slice pointer, const char *layer) {
    *out = (dx_cli_origin){.layer = layer, .pointer = pointer};
    out->placed = dx_definition_origin(&out->place, call->apis->definition, pointer, call->arena);
}

void dx_cli_setting_origin(dx_cli_origin *out, const dx_cli_call *call, dx_slice setting) {
    const struct {
        const char *layer;
        dx_slice pointer;
    } layers[] = {{"endpoint", call->target->open ? (dx_slice){0} : dx_endpoint_pointer(call->target, call->arena)},
                  {"api", call->target->api->pointer},
                  {"defaults", DX_SLICE("/apis/defaults")}};
    *out = (dx_cli_origin){.layer = "command line"};
    if (said_on_command_line(call, setting)) return;
    for (size_t i = 0; i < DX_COUNT_OF(layers); i++) {
        if (!layers[i].pointer.size) continue;
        dx_slice at = dx_arena_printf(call->arena, "%.*s%.*s", DX_SLICE_ARG(layers[i].pointer), DX_SLICE_ARG(setting));
        if (!at.data || !dx_json_at(dx_definition_root(call->apis->definition), at)) continue;
        dx_cli_value_origin(out, call, at, layers[i].layer);
        return;
    }
    out->layer = "schema";
}

dx_slice dx_cli_origin_text(const dx_cli_origin *origin, dx_arena *arena) {
    static const char *const sources[] = {"", ", environment variable ", ", in .env ", ", default of ", ", sealed"};
    dx_buffer text;
    dx_buffer_init(&text, arena, 16384);
    if (!origin->placed) {
        dx_buffer_printf(&text, "%s%s", strcmp(origin->layer, "schema") == 0 ? "default of the " : "", origin->layer);
    } else {
        dx_buffer_printf(&text, "%.*s:%u%s%.*s (%s)", DX_SLICE_ARG(origin->place.file), (unsigned)origin->place.line,
                         sources[origin->place.source], DX_SLICE_ARG(origin->place.variable), origin->layer);
    }
    return dx_buffer_slice(&text);
}
