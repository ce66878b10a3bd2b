#include "client/bind_body.h"

#include <errno.h>

#include "base/random.h"
#include "client/fail.h"
#include "codec/text.h"

void dx_body_writer_init(dx_body_writer *writer, dx_arena *arena, const dx_endpoint *endpoint) {
    *writer = (dx_body_writer){.arena = arena, .endpoint = endpoint};
    dx_buffer_init(&writer->text, arena, DX_BODY_TEXT_CAP);
}

// --- multipart/form-data (RFC 7578) ----------------------------------------------------------------------------------------------

static dx_status start_multipart(dx_body_writer *w) {
    uint8_t random[DX_BOUNDARY_SIZE / 2];
    if (w->upload) return DX_OK;
    w->upload = DX_ARENA_NEW(w->arena, dx_upload);
    if (!w->upload) return DX_NO_MEMORY;
    dx_upload_init(w->upload, w->arena);
    dx_random_bytes(random, sizeof random);
    dx_hex_encode(w->boundary, random, sizeof random);
    return DX_OK;
}

// Quotes and line breaks as browsers write them (WHATWG, multipart form data).
static void add_quoted(dx_buffer *out, dx_slice text) {
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] == '"')
            DX_BUFFER_LIT(out, "%22");
        else if (text.data[i] == '\r')
            DX_BUFFER_LIT(out, "%0D");
        else if (text.data[i] == '\n')
            DX_BUFFER_LIT(out, "%0A");
        else
            dx_buffer_byte(out, text.data[i]);
    }
}

static dx_slice last_segment(dx_slice path) {
    size_t slash;
    while ((slash = dx_slice_find(path, '/')) != SIZE_MAX && slash + 1 < path.size) path = dx_slice_from(path, slash + 1);
    return path;
}

static dx_status add_part(dx_body_writer *w, const dx_param *param, const dx_given *value) {
    bool is_file = param->type == DX_TYPE_FILE;
    dx_buffer head;
    dx_status status = start_multipart(w);
    if (status != DX_OK) return status;
    dx_buffer_init(&head, w->arena, DX_BODY_TEXT_CAP);
    dx_buffer_printf(&head, "%s--%.*s\r\nContent-Disposition: form-data; name=\"", w->count ? "\r\n" : "", DX_BOUNDARY_SIZE, w->boundary);
    add_quoted(&head, param->wire);
    DX_BUFFER_LIT(&head, "\"");
    if (is_file) {
        DX_BUFFER_LIT(&head, "; filename=\"");
        add_quoted(&head, last_segment(value->as.text));
        DX_BUFFER_LIT(&head, "\"\r\nContent-Type: application/octet-stream");
    } else if (value->kind == DX_GIVEN_TREE) {
        DX_BUFFER_LIT(&head, "\r\nContent-Type: application/json");
    }
    DX_BUFFER_LIT(&head, "\r\n\r\n");
    if (!is_file) dx_given_write_text(&head, value);
    status = dx_buffer_status(&head);
    if (status == DX_OK) status = dx_upload_add_text(w->upload, dx_buffer_slice(&head));
    if (status != DX_OK || !is_file) return status;
    dx_slice path = dx_arena_copy(w->arena, value->as.text);
    return path.data ? dx_upload_add_file(w->upload, path.data) : DX_NO_MEMORY;
}

// --- forms and JSON --------------------------------------------------------------------------------------------------------------

static void add_form_pair(dx_body_writer *w, dx_slice name, const dx_given *value) {
    dx_buffer text;
    dx_buffer_init(&text, w->arena, DX_BODY_TEXT_CAP);
    if (w->text.size) dx_buffer_byte(&w->text, '&');
    dx_percent_encode(&w->text, name);
    dx_buffer_byte(&w->text, '=');
    dx_given_write_text(&text, value);
    dx_percent_encode(&w->text, dx_buffer_slice(&text));
}

static void add_form(dx_body_writer *w, const dx_param *param, const dx_given *value) {
    size_t at, count;
    yyjson_val *item;
    if (value->kind == DX_GIVEN_NULL) return;
    if (value->kind != DX_GIVEN_TREE || !yyjson_is_arr(value->as.tree)) return add_form_pair(w, param->wire, value);
    yyjson_arr_foreach(value->as.tree, at, count, item) {
        dx_given one = dx_given_json(item);
        add_form_pair(w, param->wire, &one);
    }
}

static void add_member(dx_body_writer *w, const dx_param *param, const dx_given *value) {
    dx_buffer_byte(&w->text, w->count ? ',' : '{');
    dx_json_write_string(&w->text, param->wire);
    dx_buffer_byte(&w->text, ':');
    dx_given_write_json(&w->text, value);
}

dx_status dx_body_add(dx_body_writer *w, const dx_param *param, const dx_given *value) {
    dx_status status = DX_OK;
    if (w->endpoint->wrap == param) {
        w->text.size = 0;
        dx_given_write_json(&w->text, value);
        w->whole = true;
    } else if (w->whole) {
        return DX_OK; // the one that is the whole body stands
    } else if (w->endpoint->body_form == DX_BODY_FORM_MULTIPART) {
        status = add_part(w, param, value);
    } else if (w->endpoint->body_form == DX_BODY_FORM_URLENCODED) {
        add_form(w, param, value);
    } else {
        add_member(w, param, value);
    }
    w->count++;
    return status == DX_OK ? dx_buffer_status(&w->text) : status;
}

// --- the end ---------------------------------------------------------------------------------------------------------------------

static dx_error_code no_memory(dx_error *error) {
    return dx_fail(error, DX_ERROR_NO_MEMORY, "there is no memory for the request's body");
}

static dx_upload *make_upload(dx_body_writer *w) {
    dx_upload *upload = DX_ARENA_NEW(w->arena, dx_upload);
    if (upload) dx_upload_init(upload, w->arena);
    return upload;
}

// What the options give instead of parameters.
static dx_error_code take_given(dx_body_writer *w, dx_bound *out, const dx_call_options *options, dx_error *error) {
    if (options->body) {
        out->body = dx_slice_of(options->body, options->body_size);
        return DX_ERROR_NONE;
    }
    out->upload = make_upload(w);
    if (!out->upload) return no_memory(error);
    errno = 0;
    dx_status status =
        options->source ? dx_upload_add_source(out->upload, options->source) : dx_upload_add_file(out->upload, options->body_file);
    if (status == DX_NOT_FOUND) return dx_fail(error, DX_ERROR_FILE, "%s can't be read: %s", options->body_file, strerror(errno));
    return status == DX_OK ? DX_ERROR_NONE : no_memory(error);
}

static dx_error_code end_written(dx_body_writer *w, dx_bound *out, dx_error *error) {
    if (w->upload) {
        dx_slice end = dx_arena_printf(w->arena, "\r\n--%.*s--\r\n", DX_BOUNDARY_SIZE, w->boundary);
        out->upload = w->upload;
        return end.data && dx_upload_add_text(w->upload, end) == DX_OK ? DX_ERROR_NONE : no_memory(error);
    }
    if (!w->whole && w->endpoint->body_form != DX_BODY_FORM_URLENCODED) dx_buffer_byte(&w->text, '}');
    if (dx_buffer_status(&w->text) != DX_OK) return no_memory(error);
    out->body = dx_buffer_slice(&w->text);
    return DX_ERROR_NONE;
}

static dx_error_code add_type(dx_body_writer *w, dx_bound *out, const dx_asked *asked, dx_error *error) {
    dx_slice type = dx_slice_str(asked->options->content_type);
    if (type.size) {
        type = dx_arena_copy(w->arena, type);
    } else if (w->upload && out->upload == w->upload) {
        type = dx_arena_printf(w->arena, "multipart/form-data; boundary=%.*s", DX_BOUNDARY_SIZE, w->boundary);
    } else {
        bool bytes = asked->options->body_file || asked->options->source || (asked->options->body && w->endpoint->open);
        type = bytes ? DX_SLICE("application/octet-stream") : w->endpoint->content_type;
    }
    dx_slice name = DX_SLICE("Content-Type");
    if (!type.data) return no_memory(error);
    // The definition's or a parameter's own stands, but where the body needs its boundary, and where this call says another.
    bool own = asked->options->content_type || out->upload;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < out->fields.count; i++) {
        bool is_type = out->fields.items[i].id == DX_FIELD_CONTENT_TYPE;
        if (is_type && !own) return DX_ERROR_NONE;
        if (!is_type) out->fields.items[kept++] = out->fields.items[i];
    }
    out->fields.count = kept;
    dx_status status = dx_fields_add(&out->fields, w->arena, name, type);
    if (status == DX_OK) return DX_ERROR_NONE;
    return status == DX_NO_MEMORY ? no_memory(error) : dx_fail(error, DX_ERROR_ARGUMENT, "the content type can't have line breaks in it");
}

dx_error_code dx_body_finish(dx_body_writer *w, dx_bound *out, const dx_asked *asked, dx_error *error) {
    const dx_call_options *options = asked->options;
    bool given = options->body || options->body_file || options->source;
    if (given && w->count) return dx_fail(error, DX_ERROR_ARGUMENT, "a body is given, and parameters that belong into one");
    if (!given && !w->count && !(asked->endpoint->request_model.size && asked->settings->validate_request)) return DX_ERROR_NONE;
    if (!given && !w->count) dx_buffer_byte(&w->text, '{'); // {}: the model says what is missing
    dx_error_code code = given ? take_given(w, out, options, error) : end_written(w, out, error);
    return code ? code : add_type(w, out, asked, error);
}
