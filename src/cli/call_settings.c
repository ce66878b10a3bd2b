// Settings of one call on the command line: `--set retry.attempts=5`, `--timeout 2.5`. A value that is JSON is that, any other a text.
#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "cli/cli_call.h"

#define DEPTH_CAP 16

static yyjson_mut_val *value_of(dx_arena *arena, yyjson_mut_doc *doc, const char *text) {
    yyjson_doc *read;
    if (dx_json_read(&read, arena, dx_slice_str(text), NULL, NULL) == DX_OK) return yyjson_val_mut_copy(doc, yyjson_doc_get_root(read));
    return yyjson_mut_strcpy(doc, text);
}

// "~1" and "~0" of a JSON pointer.
static dx_slice unescape(dx_arena *arena, dx_slice token) {
    dx_buffer text;
    dx_buffer_init(&text, arena, token.size + 1);
    for (size_t i = 0; i < token.size; i++) {
        bool escape = token.data[i] == '~' && i + 1 < token.size;
        if (escape) i++;
        dx_buffer_byte(&text, !escape ? token.data[i] : token.data[i] == '1' ? '/' : '~');
    }
    return dx_buffer_slice(&text);
}

// Puts `value` where the path leads, making objects on the way. False: something else stands there, or there is no memory.
static bool put(dx_arena *arena, yyjson_mut_doc *doc, yyjson_mut_val *object, dx_slice path, yyjson_mut_val *value) {
    bool pointer = path.size && path.data[0] == '/';
    if (pointer) path = dx_slice_from(path, 1);
    for (unsigned depth = 0; depth < DEPTH_CAP; depth++) {
        dx_slice name = dx_slice_cut(&path, pointer ? '/' : '.');
        if (pointer) name = unescape(arena, name);
        if (!name.size) return false;
        yyjson_mut_val *key = yyjson_mut_strncpy(doc, name.data, name.size);
        if (!path.data) return key && value && yyjson_mut_obj_put(object, key, value);
        yyjson_mut_val *below = yyjson_mut_obj_getn(object, name.data, name.size);
        if (!below) {
            below = yyjson_mut_obj(doc);
            if (!key || !below || !yyjson_mut_obj_add(object, key, below)) return false;
        }
        if (!yyjson_mut_is_obj(below)) return false;
        object = below;
    }
    return false;
}

bool dx_cli_seconds_read(const char *text, int64_t *milliseconds) {
    char *end;
    errno = 0;
    double seconds = strtod(text, &end);
    if (errno || end == text || *end || !isfinite(seconds) || seconds <= 0 || seconds > 31536000) return false;
    *milliseconds = (int64_t)ceil(seconds * 1000);
    return true;
}

static int read_sets(dx_cli_call *call) {
    yyjson_mut_doc *doc = dx_json_mut_doc(call->arena);
    yyjson_mut_val *root = doc ? yyjson_mut_obj(doc) : NULL;
    dx_buffer text;
    for (size_t i = 0; i < call->set_count; i++) {
        const char *word = call->sets[i], *equals = strchr(word, '=');
        if (!equals || equals == word) return dx_usage_error(&dx_cmd_call, "--set takes SETTING=VALUE, not \"%s\"", word);
        dx_slice path = dx_slice_of(word, (size_t)(equals - word));
        if (!root || !put(call->arena, doc, root, path, value_of(call->arena, doc, equals + 1)))
            return dx_usage_error(&dx_cmd_call, "--set: \"%.*s\" names no setting; write it as retry.attempts or /retry/attempts",
                                  DX_SLICE_ARG(path));
    }
    dx_buffer_init(&text, call->arena, DX_CLI_BODY_CAP);
    dx_json_write_mut(&text, root, false);
    dx_buffer_byte(&text, '\0');
    call->options.settings = text.data;
    return dx_buffer_status(&text) == DX_OK ? DX_EXIT_OK : DX_EXIT_FAILED;
}

int dx_cli_settings_read(dx_cli_call *call) {
    if (call->timeout && !dx_cli_seconds_read(call->timeout, &call->options.timeout_ms))
        return dx_usage_error(&dx_cmd_call, "--timeout takes seconds, as in 2.5, not \"%s\"", call->timeout);
    return call->set_count ? read_sets(call) : DX_EXIT_OK;
}
