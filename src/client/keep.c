#include "client/keep.h"

#include "client/bind.h"

static const dx_call_options none = DX_CALL_OPTIONS_INIT;

static bool copy_text(dx_arena *arena, const char **text) {
    if (!*text) return true;
    *text = dx_arena_copy(arena, dx_slice_str(*text)).data;
    return *text != NULL;
}

static bool has_text(const dx_arg *arg) {
    return arg->kind == DX_ARG_STR || arg->kind == DX_ARG_JSON || arg->kind == DX_ARG_FILE;
}

static bool copy_arg(dx_arena *arena, dx_arg *arg) {
    if (!copy_text(arena, &arg->name)) return false;
    if (!has_text(arg) || !arg->value.text) return true;
    arg->value.text = dx_arena_copy(arena, dx_slice_of(arg->value.text, arg->size)).data;
    return arg->value.text != NULL;
}

dx_status dx_keep_args(dx_arg **out, size_t *count, dx_arena *arena, const dx_arg *args, size_t spare) {
    *count = 0;
    while (args && args[*count].kind != DX_ARG_END)
        if (++*count > DX_ARG_COUNT_CAP) return DX_TOO_LARGE;
    *out = DX_ARENA_ARRAY(arena, dx_arg, *count + spare + 1);
    if (!*out) return DX_NO_MEMORY;
    if (*count) memcpy(*out, args, *count * sizeof **out);
    for (size_t i = 0; i < *count; i++)
        if (!copy_arg(arena, &(*out)[i])) return DX_NO_MEMORY;
    return DX_OK;
}

static bool copy_headers(dx_arena *arena, const dx_header **headers) {
    size_t count = 0;
    while (*headers && (*headers)[count].name) count++;
    if (!count) {
        *headers = NULL;
        return true;
    }
    dx_header *copy = DX_ARENA_ARRAY(arena, dx_header, count + 1);
    if (!copy) return false;
    for (size_t i = 0; i < count; i++) {
        copy[i] = (*headers)[i];
        if (!copy_text(arena, &copy[i].name) || !copy_text(arena, &copy[i].value)) return false;
    }
    *headers = copy;
    return true;
}

static bool copy_streams(dx_arena *arena, dx_call_options *options) {
    if (options->sink) {
        dx_sink *sink = DX_ARENA_NEW(arena, dx_sink);
        if (!sink) return false;
        *sink = *options->sink;
        options->sink = sink;
    }
    if (options->source) {
        dx_source *source = DX_ARENA_NEW(arena, dx_source);
        if (!source) return false;
        *source = *options->source;
        options->source = source;
    }
    return true;
}

dx_status dx_keep_options(dx_call_options **out, dx_arena *arena, const dx_call_options *options) {
    dx_call_options *copy = DX_ARENA_NEW(arena, dx_call_options);
    if (!copy) return DX_NO_MEMORY;
    *copy = none;
    if (options) memcpy(copy, options, options->size < sizeof *copy ? options->size : sizeof *copy);
    copy->size = sizeof *copy;
    bool copied = copy_headers(arena, &copy->headers) && copy_text(arena, &copy->body_file) && copy_text(arena, &copy->content_type) &&
                  copy_text(arena, &copy->idempotency_key) && copy_text(arena, &copy->settings) &&
                  copy_text(arena, &copy->correlation_id) && copy_streams(arena, copy);
    if (!copied) return DX_NO_MEMORY;
    *out = copy;
    return DX_OK;
}
