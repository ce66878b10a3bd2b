// The work is done in the order of the endpoint's parameters, so that errors and requests are the same whatever order arguments come in.
// What one place is written into grows in one buffer: the query, a form, a JSON object.
#include "client/bind.h"

#include <stdio.h>

#include "base/random.h"
#include "client/bind_body.h"
#include "client/fail.h"
#include "client/value.h"
#include "codec/text.h"

#define QUERY_CAP  ((size_t)1 << 20)
#define COOKIE_CAP ((size_t)16 << 10)

typedef struct binding {
    dx_bound *out;
    dx_arena *arena;
    const dx_asked *asked;
    const dx_endpoint *endpoint;
    const dx_arg *args;
    size_t arg_count;
    dx_given *values; // of the endpoint's parameters, in their order; DX_GIVEN_NULL with !has: not given
    bool *has;
    dx_buffer path, query, cookie;
    dx_body_writer body;
    dx_error *error;
} binding;

static dx_error_code no_memory(const binding *b) {
    return dx_fail(b->error, DX_ERROR_NO_MEMORY, "there is no memory for the request");
}

static dx_error_code refuse(const binding *b, const char *what, dx_slice name, const char *why) {
    dx_slice full = b->endpoint->full;
    return dx_fail(b->error, DX_ERROR_ARGUMENT, "%.*s: %s \"%.*s\" %s", DX_SLICE_ARG(full), what, DX_SLICE_ARG(name), why);
}

// --- finding arguments -----------------------------------------------------------------------------------------------------------

static const dx_param *param_of(const dx_endpoint *endpoint, dx_slice name) {
    for (size_t i = 0; i < endpoint->param_count; i++)
        if (dx_slice_equal(endpoint->params[i].name, name)) return &endpoint->params[i];
    return NULL;
}

static dx_error_code refuse_unknown(const binding *b, dx_slice name) {
    dx_slice names[DX_PARAM_COUNT_CAP];
    for (size_t i = 0; i < b->endpoint->param_count; i++) names[i] = b->endpoint->params[i].name;
    dx_slice near = dx_nearest_word(name, names, b->endpoint->param_count);
    char why[160] = "is not known";
    if (near.size) (void)snprintf(why, sizeof why, "is not known; did you mean \"%.*s\"?", DX_SLICE_ARG(near));
    return refuse(b, "parameter", name, why);
}

static dx_error_code check_schema(binding *b, const dx_param *param, const dx_given *value) {
    dx_buffer text;
    dx_diags found;
    yyjson_doc *document;
    dx_buffer_init(&text, b->arena, DX_BODY_TEXT_CAP);
    dx_diags_init(&found, b->arena);
    dx_given_write_json(&text, value);
    dx_status status = dx_buffer_status(&text);
    if (status == DX_OK) status = dx_json_read(&document, b->arena, dx_buffer_slice(&text), NULL, NULL);
    if (status == DX_OK) status = dx_schema_validate(param->schema, yyjson_doc_get_root(document), b->arena, NULL, &found);
    if (status == DX_OK) return DX_ERROR_NONE;
    if (status != DX_INVALID || !found.first) return no_memory(b);
    dx_slice text_of = dx_diag_text(found.first, b->arena);
    return dx_fail(b->error, DX_ERROR_ARGUMENT, "%.*s: parameter \"%.*s\": %.*s", DX_SLICE_ARG(b->endpoint->full),
                   DX_SLICE_ARG(param->name), DX_SLICE_ARG(text_of));
}

static dx_error_code keep_secret(binding *b, const dx_given *value) {
    dx_buffer text;
    b->out->has_secret = true;
    if (value->kind == DX_GIVEN_NULL || value->kind == DX_GIVEN_TREE) return DX_ERROR_NONE;
    dx_bound_secret *secret = DX_ARENA_NEW(b->arena, dx_bound_secret);
    dx_buffer_init(&text, b->arena, DX_BODY_TEXT_CAP);
    dx_given_write_text(&text, value);
    if (!secret || dx_buffer_status(&text) != DX_OK) return no_memory(b);
    *secret = (dx_bound_secret){b->out->secrets, dx_buffer_slice(&text)};
    b->out->secrets = secret;
    return DX_ERROR_NONE;
}

static dx_error_code take_value(binding *b, const dx_param *param, size_t index, dx_given value) {
    const char *expected;
    if (value.kind == DX_GIVEN_NULL && param->in != DX_IN_BODY) { // nothing to send
        b->has[index] = false;
        return DX_ERROR_NONE;
    }
    dx_status status = value.kind == DX_GIVEN_NULL ? DX_OK : dx_given_convert(&value, b->arena, param, &expected);
    if (status == DX_NO_MEMORY) return no_memory(b);
    if (status != DX_OK) {
        char why[64];
        (void)snprintf(why, sizeof why, "must be %s", expected); // its value may be a secret, and is not told
        return refuse(b, "parameter", param->name, why);
    }
    b->values[index] = value;
    b->has[index] = true;
    dx_error_code code = param->secret ? keep_secret(b, &value) : DX_ERROR_NONE;
    if (code) return code;
    return param->schema && value.kind != DX_GIVEN_NULL ? check_schema(b, param, &value) : DX_ERROR_NONE;
}

static dx_error_code take_arg(binding *b, const dx_arg *arg) {
    dx_slice name = dx_slice_str(arg->name);
    const dx_param *param = param_of(b->endpoint, name);
    dx_given value;
    if (!param) return b->endpoint->open ? DX_ERROR_NONE : refuse_unknown(b, name);
    dx_status status = dx_given_arg(&value, b->arena, arg);
    if (status == DX_NO_MEMORY) return no_memory(b);
    if (status != DX_OK) return refuse(b, "parameter", name, "is not JSON");
    return take_value(b, param, (size_t)(param - b->endpoint->params), value);
}

// A body that is given whole stands for the parameters in it.
static bool stands_for(const dx_call_options *options, const dx_param *param) {
    return param->in == DX_IN_BODY && (options->body || options->body_file || options->source);
}

static dx_error_code gather(binding *b) {
    const dx_endpoint *endpoint = b->endpoint;
    size_t room = endpoint->param_count ? endpoint->param_count : 1;
    b->values = DX_ARENA_ARRAY(b->arena, dx_given, room);
    b->has = DX_ARENA_ARRAY(b->arena, bool, room);
    if (!b->values || !b->has) return no_memory(b);
    for (size_t i = 0; i < b->arg_count; i++) {
        dx_error_code code = take_arg(b, &b->args[i]);
        if (code) return code;
    }
    for (size_t i = 0; i < endpoint->param_count; i++) {
        const dx_param *param = &endpoint->params[i];
        if (b->has[i] || stands_for(b->asked->options, param)) continue;
        dx_error_code code = param->otherwise ? take_value(b, param, i, *param->otherwise) : DX_ERROR_NONE;
        if (!code && param->required && !b->has[i]) code = refuse(b, "parameter", param->name, "is missing");
        if (code) return code;
    }
    return DX_ERROR_NONE;
}

// --- path and query --------------------------------------------------------------------------------------------------------------

static void add_encoded(binding *b, dx_buffer *out, const dx_given *value) {
    dx_buffer text;
    switch (value->kind) {
    case DX_GIVEN_STR:
        dx_percent_encode(out, value->as.text);
        return;
    case DX_GIVEN_INT:
    case DX_GIVEN_UINT:
    case DX_GIVEN_BOOL: // nothing in them needs it
        dx_given_write_text(out, value);
        return;
    default:
        dx_buffer_init(&text, b->arena, QUERY_CAP);
        dx_given_write_text(&text, value);
        dx_percent_encode(out, dx_buffer_slice(&text));
    }
}

static bool is_dots(dx_slice segment) {
    return dx_slice_equal(segment, DX_SLICE(".")) || dx_slice_equal(segment, DX_SLICE(".."));
}

// Segments that lead elsewhere, also such as come out of several parts.
static bool has_dots(dx_slice path) {
    if (dx_slice_find(path, '.') == SIZE_MAX) return false;
    while (path.size)
        if (is_dots(dx_slice_cut(&path, '/'))) return true;
    return false;
}

static bool can_be_sent(dx_slice target) {
    for (size_t i = 0; i < target.size; i++)
        if ((unsigned char)target.data[i] <= ' ' || target.data[i] == 127 || target.data[i] == '#') return false;
    return target.data[0] == '/';
}

static dx_error_code write_path(binding *b) {
    const dx_endpoint *endpoint = b->endpoint;
    dx_slice target = b->asked->target;
    if (target.size) {
        dx_buffer_add(&b->path, target);
        return can_be_sent(target) ? DX_ERROR_NONE : refuse(b, "target", target, "can't be sent");
    }
    dx_buffer_add(&b->path, endpoint->api->base_path);
    if (endpoint->open) {
        dx_buffer_add(&b->path, b->asked->path);
        return DX_ERROR_NONE;
    }
    for (size_t i = 0; i < endpoint->piece_count; i++) {
        const dx_path_piece *piece = &endpoint->pieces[i];
        dx_buffer_add(&b->path, piece->literal);
        if (!piece->param) continue;
        const dx_given *value = &b->values[piece->param - endpoint->params];
        if (value->kind == DX_GIVEN_STR && value->as.text.size == 0) return refuse(b, "parameter", piece->param->name, "must not be empty");
        if (value->kind == DX_GIVEN_STR && is_dots(value->as.text))
            return refuse(b, "parameter", piece->param->name, "can't be a path segment of dots");
        add_encoded(b, &b->path, value);
    }
    if (has_dots(dx_slice_from(dx_buffer_slice(&b->path), endpoint->api->base_path.size)))
        return refuse(b, "path", endpoint->path, "would have a segment of dots");
    dx_buffer_fit(&b->path);
    return DX_ERROR_NONE;
}

static void add_pair(binding *b, dx_slice name, const dx_given *value) {
    if (b->query.size) dx_buffer_byte(&b->query, '&');
    dx_percent_encode(&b->query, name);
    dx_buffer_byte(&b->query, '=');
    add_encoded(b, &b->query, value);
}

// a=1,2 a=1%202 a=1|2: items are encoded, the separators are not.
static void add_joined(binding *b, const dx_param *param, yyjson_val *list) {
    static const char *const separators[] = {",", "%20", "|", ","};
    size_t at, count;
    yyjson_val *item;
    if (b->query.size) dx_buffer_byte(&b->query, '&');
    dx_percent_encode(&b->query, param->wire);
    dx_buffer_byte(&b->query, '=');
    yyjson_arr_foreach(list, at, count, item) {
        dx_given value = dx_given_json(item);
        if (at) dx_buffer_add(&b->query, dx_slice_str(separators[param->style]));
        add_encoded(b, &b->query, &value);
    }
}

static void add_list(binding *b, const dx_param *param, yyjson_val *list) {
    size_t at, count;
    yyjson_val *item;
    if (!param->explode || param->style != DX_STYLE_FORM) return add_joined(b, param, list);
    yyjson_arr_foreach(list, at, count, item) {
        dx_given value = dx_given_json(item);
        add_pair(b, param->wire, &value);
    }
}

// Members as parameters of their own, or with `deep` as filter[name].
static void add_object(binding *b, const dx_param *param, yyjson_val *object) {
    size_t at, count;
    yyjson_val *key, *member;
    yyjson_obj_foreach(object, at, count, key, member) {
        dx_given value = dx_given_json(member);
        dx_slice name = dx_json_slice(key);
        if (param->style == DX_STYLE_DEEP) name = dx_arena_printf(b->arena, "%.*s[%.*s]", DX_SLICE_ARG(param->wire), DX_SLICE_ARG(name));
        add_pair(b, name, &value);
    }
}

static void write_query(binding *b, const dx_param *param, const dx_given *value) {
    if (value->kind != DX_GIVEN_TREE) return add_pair(b, param->wire, value);
    if (yyjson_is_arr(value->as.tree)) return add_list(b, param, value->as.tree);
    add_object(b, param, value->as.tree);
}

// Of a target that is given, the query says all that is no secret.
static bool is_said(binding *b, dx_slice wire) {
    size_t question = dx_slice_find(b->asked->target, '?');
    dx_slice rest = question == SIZE_MAX ? (dx_slice){0} : dx_slice_from(b->asked->target, question + 1), name, value;
    dx_status status = DX_OK;
    while (dx_form_next(&rest, b->arena, &name, &value, &status))
        if (dx_slice_equal(name, wire)) return true;
    return false;
}

// --- headers ---------------------------------------------------------------------------------------------------------------------

static dx_error_code add_field(binding *b, dx_slice name, dx_slice value) {
    if (dx_field_frames(name)) return refuse(b, "header", name, "is set by the library alone");
    dx_status status = dx_fields_add(&b->out->fields, b->arena, name, value);
    if (status == DX_OK) return DX_ERROR_NONE;
    return status == DX_NO_MEMORY ? no_memory(b) : refuse(b, "header", name, "can't have line breaks or NUL in its value");
}

static dx_error_code set_field(binding *b, dx_slice name, dx_slice value) {
    dx_fields *fields = &b->out->fields;
    for (uint32_t i = 0; i < fields->count;) {
        if (dx_slice_equal_nocase(fields->items[i].name, name)) {
            memmove(&fields->items[i], &fields->items[i + 1], (--fields->count - i) * sizeof fields->items[0]);
        } else {
            i++;
        }
    }
    return add_field(b, name, value);
}

static dx_slice text_of(binding *b, const dx_given *value) {
    dx_buffer text;
    if (value->kind == DX_GIVEN_STR) return dx_arena_copy(b->arena, value->as.text);
    dx_buffer_init(&text, b->arena, COOKIE_CAP);
    dx_given_write_text(&text, value);
    return dx_buffer_slice(&text);
}

static void add_cookie(binding *b, const dx_param *param, const dx_given *value) {
    if (b->cookie.size) DX_BUFFER_LIT(&b->cookie, "; ");
    dx_buffer_add(&b->cookie, param->wire);
    dx_buffer_byte(&b->cookie, '=');
    add_encoded(b, &b->cookie, value);
}

static dx_error_code add_own_headers(binding *b) {
    const dx_header *header = b->asked->options->headers;
    for (; header && header->name; header++) {
        dx_slice name = dx_arena_copy(b->arena, dx_slice_str(header->name)), value = dx_arena_copy(b->arena, dx_slice_str(header->value));
        if (!name.data || !value.data) return no_memory(b);
        if (!dx_field_name_valid(name)) return refuse(b, "header", name, "has no valid name");
        dx_error_code code = set_field(b, name, value);
        if (code) return code;
    }
    return DX_ERROR_NONE;
}

static dx_error_code add_defaults(binding *b) {
    enum { ADDED = 4 }; // fields of most calls, at most
    const dx_settings *settings = b->asked->settings;
    dx_fields defaults = settings->headers;
    if (settings->own_accept && b->endpoint->open && b->asked->options->sink) defaults.count--;
    return dx_fields_copy(&b->out->fields, b->arena, &defaults, ADDED) ? DX_ERROR_NONE : no_memory(b);
}

// The same key in every attempt is what makes it safe to send again.
static dx_error_code add_key(binding *b) {
    const char *given = b->asked->options->idempotency_key;
    dx_slice header = b->asked->settings->retry.key_header, key = dx_slice_str(given);
    if (!given && (!header.size || b->endpoint->idempotent)) return DX_ERROR_NONE;
    if (!header.size) header = DX_SLICE("Idempotency-Key");
    if (!given) {
        uint8_t random[16];
        char *text = dx_arena_bytes(b->arena, 2 * sizeof random);
        if (!text) return no_memory(b);
        dx_random_bytes(random, sizeof random);
        dx_hex_encode(text, random, sizeof random);
        key = dx_slice_of(text, 2 * sizeof random);
    } else {
        key = dx_arena_copy(b->arena, key);
        if (!key.data) return no_memory(b);
    }
    b->out->keyed = true;
    return set_field(b, header, key);
}

// --- all of it -------------------------------------------------------------------------------------------------------------------

static dx_error_code write_param(binding *b, const dx_param *param, const dx_given *value) {
    switch (param->in) {
    case DX_IN_QUERY:
        if (b->asked->target.size && (!param->secret || is_said(b, param->wire))) return DX_ERROR_NONE;
        write_query(b, param, value);
        return DX_ERROR_NONE;
    case DX_IN_COOKIE:
        add_cookie(b, param, value);
        return DX_ERROR_NONE;
    case DX_IN_HEADER: {
        dx_slice text = text_of(b, value);
        return text.data ? set_field(b, param->wire, text) : no_memory(b);
    }
    case DX_IN_BODY:
        return dx_body_add(&b->body, param, value) == DX_OK ? DX_ERROR_NONE : no_memory(b);
    default:
        return DX_ERROR_NONE;
    }
}

// Arguments of a plain request: into the query, or into the JSON body.
static dx_error_code write_open(binding *b, const dx_arg *arg) {
    bool in_body = b->out->method == DX_POST || b->out->method == DX_PUT || b->out->method == DX_PATCH;
    dx_param param = {
        .name = dx_slice_str(arg->name), .wire = dx_slice_str(arg->name), .in = in_body ? DX_IN_BODY : DX_IN_QUERY, .explode = true};
    dx_given value;
    dx_status status = dx_given_arg(&value, b->arena, arg);
    if (status == DX_NO_MEMORY) return no_memory(b);
    if (status != DX_OK) return refuse(b, "parameter", param.name, "is not JSON");
    return value.kind == DX_GIVEN_NULL && !in_body ? DX_ERROR_NONE : write_param(b, &param, &value);
}

static dx_error_code write_all(binding *b) {
    dx_error_code code = DX_ERROR_NONE;
    for (size_t i = 0; i < b->endpoint->param_count && !code; i++)
        if (b->has[i]) code = write_param(b, &b->endpoint->params[i], &b->values[i]);
    for (size_t i = 0; b->endpoint->open && i < b->arg_count && !code; i++) code = write_open(b, &b->args[i]);
    return code;
}

static dx_error_code finish_target(binding *b) {
    bool has_query = dx_slice_find(dx_buffer_slice(&b->path), '?') != SIZE_MAX;
    if (b->path.size == 0) dx_buffer_byte(&b->path, '/');
    if (b->query.size) {
        dx_buffer_byte(&b->path, has_query ? '&' : '?');
        dx_buffer_add(&b->path, dx_buffer_slice(&b->query));
    }
    dx_status status = dx_buffer_status(&b->query);
    if (status == DX_OK) status = dx_buffer_status(&b->path);
    if (status == DX_TOO_LARGE)
        return dx_fail(b->error, DX_ERROR_ARGUMENT, "%.*s: path and query are too large", DX_SLICE_ARG(b->endpoint->full));
    if (status != DX_OK) return no_memory(b);
    b->out->target = dx_buffer_slice(&b->path);
    return DX_ERROR_NONE;
}

static dx_error_code check_plain(binding *b) {
    b->out->method = b->endpoint->open ? dx_method_parse(b->asked->method) : (dx_method)b->endpoint->method;
    if (!b->endpoint->open) return DX_ERROR_NONE;
    if (b->out->method == DX_METHOD_UNKNOWN || b->out->method == DX_CONNECT || b->out->method == DX_TRACE)
        return dx_fail(b->error, DX_ERROR_ARGUMENT, "the method \"%.*s\" can't be sent", DX_SLICE_ARG(b->asked->method));
    if (!b->asked->path.size || b->asked->path.data[0] != '/')
        return dx_fail(b->error, DX_ERROR_ARGUMENT, "the path \"%.*s\" does not begin with a slash", DX_SLICE_ARG(b->asked->path));
    for (size_t i = 0; i < b->asked->path.size; i++)
        if ((unsigned char)b->asked->path.data[i] <= ' ' || b->asked->path.data[i] == 127 || b->asked->path.data[i] == '#')
            return dx_fail(b->error, DX_ERROR_ARGUMENT, "the path has a character at %zu that can't be in one; percent-encode it", i);
    return DX_ERROR_NONE;
}

static dx_error_code write_request(binding *b) {
    dx_error_code code = check_plain(b);
    if (!code) code = gather(b);
    if (!code) code = write_path(b);
    if (!code) code = add_defaults(b);
    if (!code) code = write_all(b);
    if (!code && b->cookie.size) code = set_field(b, DX_SLICE("Cookie"), dx_buffer_slice(&b->cookie));
    if (!code && dx_buffer_status(&b->cookie) != DX_OK) code = no_memory(b);
    if (!code) code = finish_target(b);
    if (!code) code = dx_body_finish(&b->body, b->out, b->asked, b->error);
    if (!code) code = add_key(b);
    return code ? code : add_own_headers(b);
}

dx_error_code dx_bind(dx_bound *out, dx_arena *arena, const dx_asked *asked, dx_error *error) {
    binding b = {.out = out, .arena = arena, .asked = asked, .endpoint = asked->endpoint, .args = asked->args, .error = error};
    memset(out, 0, sizeof *out);
    while (asked->args && asked->args[b.arg_count].kind != DX_ARG_END)
        if (++b.arg_count > DX_ARG_COUNT_CAP) return dx_fail(error, DX_ERROR_ARGUMENT, "more than %d parameters", DX_ARG_COUNT_CAP);
    dx_buffer_init(&b.path, arena, QUERY_CAP);
    dx_buffer_init(&b.query, arena, QUERY_CAP);
    dx_buffer_init(&b.cookie, arena, COOKIE_CAP);
    dx_body_writer_init(&b.body, arena, asked->endpoint);
    return write_request(&b);
}
