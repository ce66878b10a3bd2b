// The setting `sanitize` at work: every text that a call is given, as a parameter or in a JSON body, before anything is made of it. What a
// pattern excepts is named by the parameter: "/name", "/name/member", or a member's name.
#include "client/client.h"
#include "client/fail.h"
#include "client/log.h"
#include "client/modelling.h"
#include "policy/sanitize.h"

// --- settings --------------------------------------------------------------------------------------------------------------------------

static dx_signature_action action(yyjson_val *settings, const char *name) {
    dx_slice word = dx_json_member_slice(settings, name);
    return dx_slice_equal(word, DX_SLICE("reject"))   ? DX_SIGNATURE_REJECT
           : dx_slice_equal(word, DX_SLICE("report")) ? DX_SIGNATURE_REPORT
                                                      : DX_SIGNATURE_IGNORE;
}

static bool flag(yyjson_val *settings, const char *name) {
    return yyjson_get_bool(yyjson_obj_get(settings, name));
}

static dx_status read_settings(dx_sanitize *out, dx_arena *arena, yyjson_val *settings) {
    yyjson_val *except = yyjson_obj_get(settings, "except"), *item;
    size_t i, n, count = yyjson_arr_size(except);
    dx_slice *patterns = count ? DX_ARENA_ARRAY(arena, dx_slice, count) : NULL;
    if (count && !patterns) return DX_NO_MEMORY;
    yyjson_arr_foreach(except, i, n, item) patterns[i] = dx_json_slice(item);
    *out = (dx_sanitize){.strip_nul = flag(settings, "strip_nul"),
                         .normalize_newlines = flag(settings, "normalize_newlines"),
                         .collapse_controls = flag(settings, "collapse_controls"),
                         .trim = flag(settings, "trim"),
                         .max_length = (uint32_t)yyjson_get_uint(yyjson_obj_get(settings, "max_length")),
                         .sql = action(settings, "sql"),
                         .script = action(settings, "script"),
                         .escape_html = flag(settings, "escape_html"),
                         .except = patterns,
                         .except_count = count};
    return DX_OK;
}

// --- arguments -------------------------------------------------------------------------------------------------------------------------

typedef struct cleaning {
    dx_sanitize settings;
    dx_arena *arena;
    dx_diags found;
} cleaning;

static bool is_excepted(const cleaning *c, dx_slice name) {
    for (size_t i = 0; i < c->settings.except_count; i++)
        if (dx_pattern_matches(c->settings.except[i], &name, 1)) return true;
    return false;
}

// A JSON text whose values stand below `name` (empty: they are the whole).
static dx_status clean_json(cleaning *c, dx_slice name, dx_slice *json) {
    static const dx_json_options as_written = {.numbers_as_text = true, .allow_duplicates = true};
    yyjson_doc *document;
    dx_buffer out;
    dx_status status = dx_json_read(&document, c->arena, *json, &as_written, NULL);
    if (status == DX_NO_MEMORY) return status;
    if (status != DX_OK) return DX_OK; // it will be refused, or is no JSON
    yyjson_mut_doc *doc = dx_json_mut_doc(c->arena);
    yyjson_mut_val *value = doc ? yyjson_val_mut_copy(doc, yyjson_doc_get_root(document)) : NULL, *root = value;
    if (!value) return DX_NO_MEMORY;
    if (name.size) {
        root = yyjson_mut_obj(doc);
        yyjson_mut_val *key = yyjson_mut_strncpy(doc, name.data, name.size);
        if (!root || !key || !yyjson_mut_obj_add(root, key, value)) return DX_NO_MEMORY;
    }
    yyjson_mut_doc_set_root(doc, root);
    status = dx_sanitize_json(doc, c->arena, &c->settings, &c->found);
    if (status != DX_OK) return status;
    dx_buffer_init(&out, c->arena, (size_t)256 << 20);
    dx_json_write_mut(&out, name.size ? yyjson_mut_obj_getn(root, name.data, name.size) : root, false);
    dx_buffer_byte(&out, '\0');
    if (dx_buffer_status(&out) != DX_OK) return dx_buffer_status(&out);
    *json = dx_slice_of(out.data, out.size - 1);
    return DX_OK;
}

static dx_status clean_arg(cleaning *c, dx_arg *arg) {
    dx_slice name = dx_slice_str(arg->name), text = dx_slice_of(arg->value.text, arg->size);
    dx_status status = DX_OK;
    if (arg->kind == DX_ARG_STR && !is_excepted(c, name)) {
        dx_slice at = dx_json_pointer_join(c->arena, (dx_slice){"", 0}, name);
        status = dx_sanitize_text(&text, c->arena, &c->settings, text, at, &c->found);
    } else if (arg->kind == DX_ARG_JSON) {
        status = clean_json(c, name, &text);
    } else {
        return DX_OK;
    }
    arg->value.text = text.data ? text.data : "";
    arg->size = text.size;
    return status;
}

static void log_found(dx_call *call, const cleaning *c) {
    dx_log_line line;
    for (const dx_diag *diag = c->found.first; diag; diag = diag->next) {
        if (diag->status != DX_OK || !dx_log_start(&line, call->client, call, DX_LEVEL_WARN, "sanitize")) continue;
        dx_log_add_text(&line, "pointer", diag->pointer);
        dx_log_add_text(&line, "message", diag->message);
        dx_log_send(&line);
    }
}

static dx_status clean_args(cleaning *c, dx_asked *asked) {
    size_t count = 0;
    while (asked->args && asked->args[count].kind != DX_ARG_END)
        if (++count > DX_ARG_COUNT_CAP) return DX_OK; // it will be refused
    if (!count) return DX_OK;
    dx_arg *args = DX_ARENA_ARRAY(c->arena, dx_arg, count + 1);
    if (!args) return DX_NO_MEMORY;
    memcpy(args, asked->args, (count + 1) * sizeof *args);
    asked->args = args;
    for (size_t i = 0; i < count; i++) {
        dx_status status = clean_arg(c, &args[i]);
        if (status != DX_OK) return status;
    }
    return DX_OK;
}

static dx_status clean_body(cleaning *c, dx_asked *asked) {
    const dx_call_options *given = asked->options;
    dx_slice body = dx_slice_of(given->body, given->body_size);
    bool json = given->content_type ? dx_http_media_is(dx_slice_str(given->content_type), "application/json")
                                    : asked->endpoint->body_form == DX_BODY_FORM_JSON;
    if (!given->body || !json) return DX_OK;
    dx_call_options *options = DX_ARENA_NEW(c->arena, dx_call_options);
    if (!options) return DX_NO_MEMORY;
    dx_status status = clean_json(c, (dx_slice){0}, &body);
    *options = *given;
    options->body = body.data;
    options->body_size = body.size;
    asked->options = options;
    return status;
}

dx_error_code dx_sanitize_asked(dx_asked *asked, dx_call *call, dx_error *error) {
    cleaning c = {.arena = call->arena};
    dx_diags_init(&c.found, call->arena);
    dx_status status = read_settings(&c.settings, call->arena, call->settings->sanitize);
    if (status == DX_OK) status = clean_args(&c, asked);
    if (status == DX_OK) status = clean_body(&c, asked);
    log_found(call, &c);
    if (status == DX_OK) return DX_ERROR_NONE;
    const dx_diag *refused = c.found.first;
    while (refused && refused->status == DX_OK) refused = refused->next;
    if (!refused)
        return dx_fail(error, dx_code_of(status), "%.*s: what it was given can't be sanitised", DX_SLICE_ARG(call->endpoint->full));
    return dx_fail(error, DX_ERROR_INVALID, "%.*s: %.*s: %.*s", DX_SLICE_ARG(call->endpoint->full), DX_SLICE_ARG(refused->pointer),
                   DX_SLICE_ARG(refused->message));
}
