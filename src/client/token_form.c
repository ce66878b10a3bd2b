#include "client/token_form.h"

#include "codec/text.h"
#include "policy/redact.h"

const char *const dx_token_format_names[] = {"form", "json", "query", NULL};

#define BODY_CAP ((size_t)256 << 10)
enum { SAID_CAP = 200 }; // bytes of what a server says that are told on

// --- writing -------------------------------------------------------------------------------------------------------------------------
static size_t place_of(const dx_token_form *form, dx_slice name) {
    size_t i = 0;
    while (i < form->count && !dx_slice_equal(form->pairs[i].name, name)) i++;
    return i;
}

static void set(dx_token_form *form, dx_slice name, dx_slice value, yyjson_val *json) {
    size_t at = place_of(form, name);
    if (at == DX_TOKEN_PAIRS_CAP) {
        form->full = true;
        return;
    }
    if (at == form->count) form->count++;
    form->pairs[at].name = name;
    form->pairs[at].value = value;
    form->pairs[at].json = json;
}

void dx_token_form_set(dx_token_form *form, const char *name, dx_slice value) {
    if (value.size) set(form, dx_slice_str(name), value, NULL);
}

// A number or a boolean as it stands in a form.
static dx_slice text_of(dx_arena *arena, yyjson_val *value) {
    if (yyjson_is_str(value)) return dx_json_slice(value);
    dx_buffer text;
    dx_buffer_init(&text, arena, BODY_CAP);
    dx_json_write_value(&text, value);
    return dx_buffer_slice(&text);
}

void dx_token_form_set_all(dx_token_form *form, yyjson_val *object) {
    size_t index, count;
    yyjson_val *key, *value;
    yyjson_obj_foreach(object, index, count, key, value) {
        dx_slice name = dx_json_slice(key);
        size_t at = place_of(form, name);
        if (!yyjson_is_null(value))
            set(form, name, text_of(form->arena, value), value);
        else if (at < form->count)
            memmove(&form->pairs[at], &form->pairs[at + 1], (--form->count - at) * sizeof form->pairs[0]);
    }
}

static void write_form(const dx_token_form *form, dx_buffer *out) {
    for (size_t i = 0; i < form->count; i++) {
        if (i) dx_buffer_byte(out, '&');
        dx_percent_encode(out, form->pairs[i].name);
        dx_buffer_byte(out, '=');
        dx_percent_encode(out, form->pairs[i].value);
    }
}

static void write_json(const dx_token_form *form, dx_buffer *out) {
    dx_buffer_byte(out, '{');
    for (size_t i = 0; i < form->count; i++) {
        if (i) dx_buffer_byte(out, ',');
        dx_json_write_string(out, form->pairs[i].name);
        dx_buffer_byte(out, ':');
        if (form->pairs[i].json)
            dx_json_write_value(out, form->pairs[i].json);
        else
            dx_json_write_string(out, form->pairs[i].value);
    }
    dx_buffer_byte(out, '}');
}

static dx_status write_query(const dx_token_form *form, dx_buffer *out, dx_token_ask *ask) {
    dx_buffer_add(out, ask->url);
    if (form->count) dx_buffer_byte(out, dx_slice_find(ask->url, '?') == SIZE_MAX ? '?' : '&');
    write_form(form, out);
    ask->url = dx_buffer_slice(out);
    return dx_buffer_status(out);
}

dx_status dx_token_form_write(dx_token_form *form, dx_token_format format, dx_token_ask *ask) {
    dx_buffer out;
    if (form->full) return DX_TOO_LARGE;
    dx_buffer_init(&out, form->arena, BODY_CAP);
    if (format == DX_TOKEN_QUERY) return write_query(form, &out, ask);
    dx_slice type = format == DX_TOKEN_JSON ? DX_SLICE("application/json") : DX_SLICE("application/x-www-form-urlencoded");
    if (format == DX_TOKEN_JSON)
        write_json(form, &out);
    else
        write_form(form, &out);
    ask->body = dx_buffer_slice(&out);
    if (dx_buffer_status(&out) != DX_OK) return dx_buffer_status(&out);
    return dx_fields_add(&ask->fields, form->arena, DX_SLICE("Content-Type"), type);
}

dx_status dx_token_add_headers(dx_token_ask *ask, dx_arena *arena, yyjson_val *headers) {
    size_t index, count;
    yyjson_val *key, *value;
    dx_status status = DX_OK;
    yyjson_obj_foreach(headers, index, count, key, value) {
        if (status == DX_OK) status = dx_fields_add(&ask->fields, arena, dx_json_slice(key), text_of(arena, value));
    }
    return status;
}

// --- reading -------------------------------------------------------------------------------------------------------------------------
static yyjson_val *read_form(dx_arena *arena, dx_slice body) {
    yyjson_mut_doc *doc = dx_json_mut_doc(arena);
    yyjson_mut_val *object = doc ? yyjson_mut_obj(doc) : NULL;
    dx_slice name, value;
    dx_status status = DX_OK;
    if (!object) return NULL;
    while (dx_form_next(&body, arena, &name, &value, &status)) {
        yyjson_mut_val *key = yyjson_mut_strncpy(doc, name.size ? name.data : "", name.size),
                       *text = yyjson_mut_strncpy(doc, value.size ? value.data : "", value.size);
        if (!key || !text || !yyjson_mut_obj_put(object, key, text)) return NULL;
    }
    yyjson_alc alc = dx_json_alc(arena);
    return status == DX_OK ? yyjson_doc_get_root(yyjson_mut_val_imut_copy(object, &alc)) : NULL;
}

yyjson_val *dx_token_answer_read(dx_arena *arena, const dx_exchange_response *response) {
    static const dx_json_options options = {.allow_duplicates = true};
    yyjson_doc *document;
    if (dx_json_read(&document, arena, response->body, &options, NULL) == DX_OK) return yyjson_doc_get_root(document);
    dx_slice type = dx_fields_get(&response->fields, DX_FIELD_CONTENT_TYPE);
    if (dx_http_media_is(type, "application/x-www-form-urlencoded") || dx_http_media_is(type, "text/plain"))
        return read_form(arena, response->body);
    return NULL;
}

dx_slice dx_token_answer_text(yyjson_val *root, dx_slice pointer, dx_arena *arena) {
    yyjson_val *value = root ? dx_json_at(root, pointer) : NULL;
    if (yyjson_is_str(value)) return dx_json_slice(value);
    return yyjson_is_num(value) ? text_of(arena, value) : (dx_slice){"", 0};
}

bool dx_token_is_busy(int status) {
    return status == 408 || status == 425 || status == 429 || status >= 500;
}

// --- telling -------------------------------------------------------------------------------------------------------------------------
// Without what would move a terminal's cursor, and not longer than anybody reads.
static dx_slice cleaned(dx_arena *arena, dx_slice text) {
    char *copy = dx_arena_bytes(arena, text.size + 1);
    size_t size = text.size < SAID_CAP ? text.size : SAID_CAP;
    if (!copy) return (dx_slice){"", 0};
    while (size < text.size && size && ((unsigned char)text.data[size] & 0xC0) == 0x80) size--; // no half characters
    for (size_t i = 0; i < size; i++) copy[i] = (unsigned char)text.data[i] < ' ' || text.data[i] == 127 ? ' ' : text.data[i];
    return dx_slice_of(copy, size);
}

static dx_slice redacted(dx_arena *arena, dx_slice text, const dx_slice *secrets, size_t count) {
    dx_redactor *redactor = dx_redactor_create(NULL);
    dx_buffer out;
    dx_buffer_init(&out, arena, BODY_CAP);
    bool ready = redactor != NULL;
    for (size_t i = 0; i < count && ready; i++) ready = !secrets[i].size || dx_redactor_add_value(redactor, secrets[i]) == DX_OK;
    if (!ready || dx_redact_text(redactor, &out, text) != DX_OK) out.size = 0;
    dx_redactor_destroy(redactor);
    return out.size ? dx_buffer_slice(&out) : DX_SLICE(DX_REDACTED);
}

dx_slice dx_token_say(dx_arena *arena, const char *who, const dx_exchange_response *response, yyjson_val *root, const dx_slice *secrets,
                      size_t count) {
    yyjson_val *error = yyjson_obj_get(root, "error");
    dx_slice code = yyjson_is_obj(error) ? dx_json_member_slice(error, "code") : dx_json_slice(error),
             text = dx_json_member_slice(root, "error_description");
    if (!text.size) text = dx_json_member_slice(root, "message");
    if (!text.size && yyjson_is_obj(error)) text = dx_json_member_slice(error, "message");
    dx_slice said = code.size || text.size
                        ? dx_arena_printf(arena, ": %.*s%s%.*s%s", DX_SLICE_ARG(code), code.size && text.size ? " (" : "",
                                          DX_SLICE_ARG(text), code.size && text.size ? ")" : "")
                        : (dx_slice){"", 0};
    if (said.size) said = cleaned(arena, redacted(arena, said, secrets, count));
    return dx_arena_printf(arena, "%s answered %d%.*s", who, response->status, DX_SLICE_ARG(said));
}
