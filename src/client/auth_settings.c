#include "client/auth_settings.h"

#include "client/subcall.h"
#include "codec/text.h"

dx_auth_reader dx_auth_reader_of(const dx_auth_plan *plan, dx_arena *arena) {
    return (dx_auth_reader){plan->settings, plan->at, plan->diags, arena, DX_OK};
}

dx_auth_reader dx_auth_reader_within(dx_auth_reader *reader, const char *name) {
    dx_auth_reader within = *reader;
    within.settings = dx_auth_object(reader, name);
    within.at = dx_json_pointer_join(reader->arena, reader->at, dx_slice_str(name));
    within.status = DX_OK;
    return within;
}

void dx_auth_reader_join(dx_auth_reader *reader, const dx_auth_reader *within) {
    if (reader->status == DX_OK) reader->status = within->status;
}

void dx_auth_refuse(dx_auth_reader *reader, const char *name, const char *format, ...) {
    va_list args;
    va_start(args, format);
    dx_slice text = dx_arena_vprintf(reader->arena, format, args);
    va_end(args);
    bool there = name && yyjson_obj_get(reader->settings, name);
    dx_slice at = there ? dx_json_pointer_join(reader->arena, reader->at, dx_slice_str(name)) : reader->at;
    (void)dx_diags_add(reader->diags, DX_INVALID, at, "%.*s", DX_SLICE_ARG(text));
    if (reader->status == DX_OK) reader->status = DX_INVALID;
}

enum { NAMES_CAP = 64 };

void dx_auth_know(dx_auth_reader *reader, const char *const *names) {
    dx_slice known[NAMES_CAP];
    size_t count = 0, index, members;
    yyjson_val *key, *value;
    known[count++] = DX_SLICE("type");
    for (; names[count - 1] && count < NAMES_CAP; count++) known[count] = dx_slice_str(names[count - 1]);
    yyjson_obj_foreach(reader->settings, index, members, key, value) {
        dx_slice name = dx_json_slice(key);
        bool found = false;
        for (size_t i = 0; i < count; i++) found = found || dx_slice_equal(known[i], name);
        if (found) continue;
        dx_diag *diag = dx_diags_add(reader->diags, DX_INVALID, dx_json_pointer_join(reader->arena, reader->at, name),
                                     "auth of this type has no \"%.*s\"", DX_SLICE_ARG(name));
        dx_diag_suggest(reader->diags, diag, dx_nearest_word(name, known, count));
        if (reader->status == DX_OK) reader->status = DX_INVALID;
    }
}

static dx_slice kept(dx_auth_reader *reader, dx_slice text) {
    dx_slice copy = dx_arena_copy(reader->arena, text);
    if (copy.data) return copy;
    reader->status = DX_NO_MEMORY;
    return (dx_slice){"", 0};
}

dx_slice dx_auth_text(dx_auth_reader *reader, const char *name) {
    yyjson_val *value = yyjson_obj_get(reader->settings, name);
    if (value && !yyjson_is_str(value)) dx_auth_refuse(reader, name, "\"%s\" must be a text, found %s", name, dx_json_type_name(value));
    return kept(reader, dx_json_slice(value));
}

dx_slice dx_auth_needed(dx_auth_reader *reader, const char *name) {
    dx_slice text = dx_auth_text(reader, name);
    if (!text.size) dx_auth_refuse(reader, name, "auth needs \"%s\", a text that is not empty", name);
    return text;
}

bool dx_auth_flag(dx_auth_reader *reader, const char *name, bool otherwise) {
    yyjson_val *value = yyjson_obj_get(reader->settings, name);
    if (!value) return otherwise;
    if (!yyjson_is_bool(value)) dx_auth_refuse(reader, name, "\"%s\" must be true or false", name);
    return yyjson_get_bool(value);
}

double dx_auth_number(dx_auth_reader *reader, const char *name, double otherwise, double least, double most) {
    yyjson_val *value = yyjson_obj_get(reader->settings, name);
    if (!value) return otherwise;
    double number = yyjson_get_num(value);
    if (yyjson_is_num(value) && number >= least && number <= most) return number;
    dx_auth_refuse(reader, name, "\"%s\" must be a number from %g to %g", name, least, most);
    return otherwise;
}

unsigned dx_auth_word(dx_auth_reader *reader, const char *name, const char *const *words, unsigned otherwise) {
    yyjson_val *value = yyjson_obj_get(reader->settings, name);
    dx_slice text = dx_json_slice(value), list = {"", 0};
    if (!value) return otherwise;
    for (unsigned i = 0; words[i]; i++) {
        if (dx_slice_equal(text, dx_slice_str(words[i]))) return i;
        list = dx_arena_printf(reader->arena, "%.*s%s%s", DX_SLICE_ARG(list), i ? ", " : "", words[i]);
    }
    dx_auth_refuse(reader, name, "\"%s\" must be one of: %.*s", name, DX_SLICE_ARG(list));
    return otherwise;
}

yyjson_val *dx_auth_object(dx_auth_reader *reader, const char *name) {
    yyjson_val *value = yyjson_obj_get(reader->settings, name);
    if (!value || yyjson_is_obj(value)) return value;
    dx_auth_refuse(reader, name, "\"%s\" must be an object, found %s", name, dx_json_type_name(value));
    return NULL;
}

dx_slice dx_auth_joined(dx_auth_reader *reader, const char *name, dx_slice separator) {
    yyjson_val *value = yyjson_obj_get(reader->settings, name), *item;
    dx_slice whole = {"", 0};
    size_t at, count;
    if (!yyjson_is_arr(value)) return dx_auth_text(reader, name);
    yyjson_arr_foreach(value, at, count, item) {
        if (!yyjson_is_str(item)) dx_auth_refuse(reader, name, "\"%s\" must be a list of texts", name);
        whole = dx_arena_printf(reader->arena, "%.*s%.*s%.*s", DX_SLICE_ARG(whole), (int)(at ? separator.size : 0), separator.data,
                                DX_SLICE_ARG(dx_json_slice(item)));
        if (whole.data) continue;
        reader->status = DX_NO_MEMORY;
        return (dx_slice){"", 0};
    }
    return whole;
}

dx_slice dx_auth_pointer(dx_auth_reader *reader, const char *name, const char *otherwise) {
    if (!yyjson_obj_get(reader->settings, name)) return kept(reader, dx_slice_str(otherwise));
    dx_slice pointer = dx_auth_text(reader, name);
    if (pointer.size && pointer.data[0] != '/') dx_auth_refuse(reader, name, "\"%s\" must be a JSON pointer, as \"/data/token\"", name);
    return pointer;
}

void dx_auth_check_url(dx_auth_reader *reader, const char *name, dx_slice url, bool allow_http) {
    dx_subcall_place place;
    if (!dx_subcall_place_read(&place, url))
        dx_auth_refuse(reader, name, "\"%s\" must be an absolute URL without a user and a fragment", name);
    else if (!place.secure && !allow_http && !dx_subcall_is_loopback(place.host))
        dx_auth_refuse(reader, name, "\"%s\" must be https: secrets are sent there (\"allow_http\": true, if that is what you want)", name);
}

dx_slice dx_auth_url(dx_auth_reader *reader, const char *name, bool needed, bool allow_http) {
    dx_slice url = needed ? dx_auth_needed(reader, name) : dx_auth_text(reader, name);
    if (url.size) dx_auth_check_url(reader, name, url, allow_http);
    return url;
}

// --- where a credential goes ---------------------------------------------------------------------------------------------------------

void dx_auth_place_read(dx_auth_place *out, dx_auth_reader *reader, const char *header, const char *prefix) {
    static const char *const places[] = {"header", "query", "cookie", "body", NULL};
    out->in = (dx_auth_in)dx_auth_word(reader, "in", places, DX_AUTH_HEADER);
    out->name = dx_auth_text(reader, "name");
    out->prefix = dx_auth_text(reader, "prefix");
    if (!out->name.size) out->name = out->in == DX_AUTH_HEADER ? dx_slice_str(header) : DX_SLICE("access_token");
    if (!yyjson_obj_get(reader->settings, "prefix") && out->in == DX_AUTH_HEADER) out->prefix = dx_slice_str(prefix);
    if ((out->in == DX_AUTH_HEADER || out->in == DX_AUTH_COOKIE) && !dx_field_name_valid(out->name))
        dx_auth_refuse(reader, "name", "\"name\" must be a name that HTTP allows there");
}

#define BODY_CAP ((size_t)1 << 30)

static dx_verdict put_body(const dx_auth_place *place, dx_exchange *x, dx_slice credential) {
    dx_slice type = dx_fields_get(&x->request.fields, DX_FIELD_CONTENT_TYPE), body = dx_slice_trim(x->request.body);
    dx_buffer whole;
    dx_buffer_init(&whole, x->arena, BODY_CAP);
    if (dx_http_media_is(type, "application/json") && body.size >= 2 && body.data[0] == '{') {
        dx_slice rest = dx_slice_from(body, 1);
        bool empty = dx_slice_trim(rest).data && dx_slice_trim(rest).data[0] == '}';
        dx_buffer_byte(&whole, '{');
        dx_json_write_string(&whole, place->name);
        dx_buffer_byte(&whole, ':');
        dx_json_write_string(&whole, credential);
        if (!empty) dx_buffer_byte(&whole, ',');
        dx_buffer_add(&whole, rest);
    } else if (dx_http_media_is(type, "application/x-www-form-urlencoded") || !x->request.body.size) {
        if (!x->request.body.size && !type.size &&
            !dx_auth_add_field(x, DX_SLICE("Content-Type"), DX_SLICE("application/x-www-form-urlencoded")))
            return dx_exchange_fail_out(x, DX_ERROR_NO_MEMORY, NULL);
        dx_buffer_add(&whole, x->request.body);
        if (x->request.body.size) dx_buffer_byte(&whole, '&');
        dx_percent_encode(&whole, place->name);
        dx_buffer_byte(&whole, '=');
        dx_percent_encode(&whole, credential);
    } else {
        return dx_exchange_fail_out(x, DX_ERROR_AUTH, "the token goes into the body, which is neither a JSON object nor a form");
    }
    if (dx_buffer_status(&whole) != DX_OK) return dx_exchange_fail_out(x, DX_ERROR_NO_MEMORY, NULL);
    dx_auth_set_body(x, dx_buffer_slice(&whole));
    return DX_NEXT;
}

static dx_slice with_prefix(dx_arena *arena, dx_slice prefix, dx_slice credential) {
    if (!prefix.size) return credential;
    size_t size = prefix.size + 1 + credential.size;
    char *text = dx_arena_bytes(arena, size);
    if (!text) return (dx_slice){0};
    memcpy(text, prefix.data, prefix.size);
    text[prefix.size] = ' ';
    if (credential.size) memcpy(text + prefix.size + 1, credential.data, credential.size);
    return dx_slice_of(text, size);
}

static bool can_be_carried(dx_slice text) {
    const unsigned char *bytes = (const unsigned char *)text.data;
    unsigned char odd = 0; // gathered without a branch, many bytes at once
    for (size_t i = 0; i < text.size; i++) odd |= (unsigned char)(bytes[i] < ' ') | (unsigned char)(bytes[i] == 127);
    return !odd;
}

dx_verdict dx_auth_place_put(const dx_auth_place *place, dx_exchange *x, dx_slice credential) {
    dx_slice whole = with_prefix(x->arena, place->prefix, credential);
    if (!can_be_carried(whole)) return dx_exchange_fail_out(x, DX_ERROR_AUTH, "the token has characters that no request can carry");
    if (place->in == DX_AUTH_BODY) return put_body(place, x, whole);
    bool added = whole.data && (place->in == DX_AUTH_QUERY    ? dx_auth_add_query(x, place->name, whole)
                                : place->in == DX_AUTH_COOKIE ? dx_auth_add_cookie(x, place->name, whole)
                                                              : dx_auth_add_field(x, place->name, whole));
    return added ? DX_NEXT : dx_exchange_fail_out(x, DX_ERROR_NO_MEMORY, NULL);
}
