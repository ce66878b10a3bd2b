// What is secret in an exchange is known by where it came from: what the auth handler added to the request (all of it that was not there
// when the request was bound), secret parameters, and what the program told; then by names and patterns (policy/redact.h). Of the
// request's headers only those stay that can't be a secret: nothing is found by them.
#include "client/recording.h"

#include "client/call.h"
#include "codec/text.h"
#include "crypto/digest.h"

typedef struct dx_recording_secret {
    struct dx_recording_secret *next;
    dx_slice text;
    bool is_name;
} secret;

enum { OWN_VALUE_MIN = 8 }; // bytes of a header of the definition's own to be taken for a secret in bodies

// --- secrets ---------------------------------------------------------------------------------------------------------------------------

dx_status dx_recording_secrets_init(dx_recording_secrets *secrets) {
    secrets->arena = dx_arena_create(DX_REDACT_BYTES_CAP * 4);
    if (!secrets->arena) return DX_NO_MEMORY;
    (void)pthread_mutex_init(&secrets->lock, NULL);
    secrets->first = NULL;
    secrets->count = 0;
    return DX_OK;
}

void dx_recording_secrets_deinit(dx_recording_secrets *secrets) {
    if (!secrets->arena) return;
    for (secret *at = secrets->first; at; at = at->next) dx_secret_wipe((void *)(uintptr_t)at->text.data, at->text.size);
    dx_arena_destroy(secrets->arena);
    (void)pthread_mutex_destroy(&secrets->lock);
}

static dx_status add_secret(dx_recording_secrets *secrets, dx_slice text, bool is_name) {
    for (const secret *at = secrets->first; at; at = at->next)
        if (at->is_name == is_name && dx_slice_equal(at->text, text)) return DX_OK;
    if (secrets->count >= DX_RECORDING_VALUES_CAP) return DX_TOO_LARGE;
    secret *made = DX_ARENA_NEW(secrets->arena, secret);
    if (!made) return DX_NO_MEMORY;
    *made = (secret){secrets->first, dx_arena_copy(secrets->arena, text), is_name};
    if (!made->text.data) return DX_NO_MEMORY;
    secrets->first = made;
    secrets->count++;
    return DX_OK;
}

dx_status dx_recording_secrets_add(dx_recording_secrets *secrets, dx_slice text, bool is_name) {
    if (!text.size) return DX_OK;
    pthread_mutex_lock(&secrets->lock);
    dx_status status = add_secret(secrets, text, is_name);
    pthread_mutex_unlock(&secrets->lock);
    return status;
}

static dx_status tell_redactor(dx_redactor *redactor, dx_recording_secrets *secrets) {
    dx_status status = DX_OK;
    pthread_mutex_lock(&secrets->lock);
    for (const secret *at = secrets->first; at && status == DX_OK; at = at->next)
        status = at->is_name ? dx_redactor_add_name(redactor, at->text) : dx_redactor_add_value(redactor, at->text);
    pthread_mutex_unlock(&secrets->lock);
    return status;
}

// --- by where it came from -------------------------------------------------------------------------------------------------------------

static bool is_harmless(dx_slice name) {
    static const dx_slice names[] = {DX_SLICE_INIT("accept"), DX_SLICE_INIT("accept-language"), DX_SLICE_INIT("content-type"),
                                     DX_SLICE_INIT("user-agent")};
    for (size_t i = 0; i < DX_COUNT_OF(names); i++)
        if (dx_slice_equal_nocase(names[i], name)) return true;
    return false;
}

static bool was_bound(const dx_call *call, const dx_field *field) {
    const dx_fields *fields = &call->bound.fields;
    for (uint32_t i = 0; i < fields->count; i++)
        if (dx_slice_equal_nocase(fields->items[i].name, field->name) && dx_slice_equal(fields->items[i].value, field->value)) return true;
    return false;
}

// A field's value, what stands behind its scheme ("Bearer x"), and the values of cookies.
static dx_status add_field_values(dx_recording_secrets *secrets, const dx_field *field) {
    dx_slice rest = field->value;
    dx_status status = dx_recording_secrets_add(secrets, rest, false);
    size_t space = dx_slice_find(rest, ' ');
    if (status == DX_OK && space != SIZE_MAX)
        status = dx_recording_secrets_add(secrets, dx_slice_trim(dx_slice_from(rest, space + 1)), false);
    if (field->id != DX_FIELD_COOKIE) return status;
    while (rest.size && status == DX_OK) {
        dx_slice pair = dx_slice_cut(&rest, ';');
        size_t equals = dx_slice_find(pair, '=');
        if (equals != SIZE_MAX) status = dx_recording_secrets_add(secrets, dx_slice_trim(dx_slice_from(pair, equals + 1)), false);
    }
    return status;
}

static dx_status learn_fields(dx_recording_secrets *secrets, const dx_call *call, const dx_fields *fields) {
    for (uint32_t i = 0; i < fields->count; i++) {
        const dx_field *field = &fields->items[i];
        bool own = was_bound(call, field);
        if (is_harmless(field->name) || (own && field->value.size < OWN_VALUE_MIN)) continue;
        dx_status status = add_field_values(secrets, field);
        if (status != DX_OK) return status;
    }
    return DX_OK;
}

// Query parameters behind the target as it was bound.
static dx_status learn_query(dx_recording_secrets *secrets, const dx_call *call, dx_slice target, dx_arena *arena) {
    dx_slice bound = call->bound.target, name, value;
    dx_status status = DX_OK;
    if (target.size <= bound.size || !dx_slice_starts(target, bound)) return DX_OK;
    dx_slice rest = dx_slice_from(target, bound.size + 1); // and "?" or "&"
    while (status == DX_OK && dx_form_next(&rest, arena, &name, &value, &status)) {
        status = dx_recording_secrets_add(secrets, value, false);
        if (status == DX_OK) status = dx_recording_secrets_add(secrets, name, true);
    }
    return status == DX_BAD_REQUEST ? DX_OK : status;
}

static dx_status learn_params(dx_redactor *redactor, const dx_call *call) {
    dx_status status = DX_OK;
    for (size_t i = 0; i < call->endpoint->param_count && status == DX_OK; i++)
        if (call->endpoint->params[i].secret) status = dx_redactor_add_name(redactor, call->endpoint->params[i].wire);
    for (const dx_bound_secret *at = call->bound.secrets; at && status == DX_OK; at = at->next)
        status = dx_redactor_add_value(redactor, at->text);
    return status;
}

static void destroy_redactor(void *ctx) {
    dx_redactor_destroy(ctx);
}

static dx_status make_redactor(dx_redactor **out, dx_arena *arena, dx_recording_secrets *secrets, const dx_exchange *x) {
    const dx_call *call = x->owner;
    *out = dx_redactor_create(NULL);
    if (!*out) return DX_NO_MEMORY;
    dx_status status = dx_arena_defer(arena, destroy_redactor, *out);
    if (status == DX_OK) status = learn_fields(secrets, call, &x->request.fields);
    if (status == DX_OK) status = learn_query(secrets, call, x->request.target, arena);
    if (status == DX_OK) status = learn_params(*out, call);
    return status == DX_OK ? tell_redactor(*out, secrets) : status;
}

// --- without secrets -------------------------------------------------------------------------------------------------------------------

static dx_status redact_body(dx_buffer *out, dx_redactor *redactor, const dx_fields *fields, dx_slice body) {
    dx_slice type = dx_fields_get(fields, DX_FIELD_CONTENT_TYPE);
    if (!body.data || !body.size) return DX_OK;
    if (dx_http_media_is(type, "application/x-www-form-urlencoded")) return dx_redact_form(redactor, out, body);
    bool json = body.data[0] == '{' || body.data[0] == '[' || body.data[0] == '"';
    return json ? dx_redact_json(redactor, out, body) : dx_redact_text(redactor, out, body);
}

// The boundary of a multipart form is drawn for each request: it is written as one that is always the same.
static dx_slice without_boundary(dx_arena *arena, dx_slice type, dx_slice body) {
    static const char mark[] = "boundary=";
    const char *at = type.size ? memmem(type.data, type.size, mark, sizeof mark - 1) : NULL;
    if (!at || !dx_http_media_is(type, "multipart/form-data")) return body;
    dx_slice boundary = dx_slice_from(type, (size_t)(at - type.data) + sizeof mark - 1);
    dx_buffer out;
    dx_buffer_init(&out, arena, DX_RECORDING_BODY_CAP);
    const char *next;
    while (boundary.size && body.size && (next = memmem(body.data, body.size, boundary.data, boundary.size))) {
        dx_buffer_append(&out, body.data, (size_t)(next - body.data));
        DX_BUFFER_LIT(&out, "boundary");
        body = dx_slice_from(body, (size_t)(next - body.data) + boundary.size);
    }
    dx_buffer_add(&out, body);
    return dx_buffer_status(&out) == DX_OK ? dx_buffer_slice(&out) : (dx_slice){NULL, 0};
}

static dx_status keep_fields(dx_recording_request *out, dx_arena *arena, const dx_fields *fields) {
    dx_status status = DX_OK;
    for (uint32_t i = 0; i < fields->count && status == DX_OK; i++) {
        const dx_field *field = &fields->items[i];
        dx_slice value = is_harmless(field->name) ? field->value : DX_SLICE(DX_REDACTED);
        if (field->id == DX_FIELD_CONTENT_TYPE && dx_http_media_is(value, "multipart/form-data")) value = DX_SLICE("multipart/form-data");
        status = dx_fields_add(&out->fields, arena, field->name, value);
    }
    return status;
}

dx_status dx_recording_request_make(dx_recording_request *out, dx_arena *arena, dx_recording_secrets *secrets, dx_transfer *transfer,
                                    dx_slice body) {
    const dx_call *call = transfer->x->owner;
    const dx_fields *fields = &transfer->x->request.fields;
    uint8_t digest[DX_SHA256_SIZE];
    char hex[2 * DX_SHA256_SIZE];
    dx_buffer url, text;
    *out = (dx_recording_request){.method = dx_slice_str(dx_method_name(transfer->x->request.method)), .endpoint = call->endpoint->full};
    dx_buffer_init(&url, arena, (size_t)4 << 20);
    dx_buffer_init(&text, arena, DX_RECORDING_BODY_CAP);
    dx_status status = make_redactor(&out->redactor, arena, secrets, transfer->x);
    if (status == DX_OK) status = dx_redact_url(out->redactor, &url, transfer->url);
    if (status != DX_OK) return status;
    dx_slice whole = without_boundary(arena, dx_fields_get(fields, DX_FIELD_CONTENT_TYPE), body);
    if (body.size && !whole.data) return DX_NO_MEMORY;
    status = redact_body(&text, out->redactor, fields, whole);
    if (status != DX_OK) return status;
    out->url = dx_buffer_slice(&url);
    out->body = dx_buffer_slice(&text);
    dx_sha256(digest, out->body);
    dx_hex_encode(hex, digest, sizeof digest);
    out->digest = dx_arena_copy(arena, dx_slice_of(hex, sizeof hex));
    out->key = dx_arena_printf(arena, "%.*s %.*s %.*s", DX_SLICE_ARG(out->method), DX_SLICE_ARG(out->url), DX_SLICE_ARG(out->digest));
    status = keep_fields(out, arena, fields);
    return status == DX_OK && (!out->digest.data || !out->key.data) ? DX_NO_MEMORY : status;
}

// --- as a file -------------------------------------------------------------------------------------------------------------------------

static void write_member(dx_buffer *out, const char *before, dx_slice value) {
    dx_buffer_add(out, dx_slice_str(before));
    dx_json_write_string(out, value);
}

static void write_body(dx_buffer *out, dx_arena *arena, dx_slice body) {
    if (dx_utf8_valid(body)) return write_member(out, ",\n  \"body\": ", body);
    char *text = dx_arena_bytes(arena, 4 * (body.size / 3 + 1));
    if (!text) {
        out->status = DX_NO_MEMORY;
        return;
    }
    write_member(out, ",\n  \"body_base64\": ", dx_slice_of(text, dx_base64_encode(text, body.data, body.size, false)));
}

static void write_fields(dx_buffer *out, const dx_fields *fields) {
    DX_BUFFER_LIT(out, ",\n  \"headers\": [");
    for (uint32_t i = 0; i < fields->count; i++) {
        write_member(out, i ? ", [" : "[", fields->items[i].name);
        write_member(out, ", ", fields->items[i].value);
        dx_buffer_byte(out, ']');
    }
    dx_buffer_byte(out, ']');
}

// Fields that tell how the body came, which is not how it will come.
static bool tells_of_the_wire(dx_slice name) {
    static const dx_slice names[] = {DX_SLICE_INIT("content-length"), DX_SLICE_INIT("content-encoding"), DX_SLICE_INIT("transfer-encoding"),
                                     DX_SLICE_INIT("connection"), DX_SLICE_INIT("keep-alive")};
    for (size_t i = 0; i < DX_COUNT_OF(names); i++)
        if (dx_slice_equal_nocase(names[i], name)) return true;
    return false;
}

static dx_status redact_answer(dx_fields *out, dx_arena *arena, dx_redactor *redactor, const dx_fields *fields) {
    dx_status status = DX_OK;
    for (uint32_t i = 0; i < fields->count && status == DX_OK; i++) {
        const dx_field *field = &fields->items[i];
        dx_buffer value;
        if (tells_of_the_wire(field->name)) continue;
        dx_buffer_init(&value, arena, (size_t)4 << 20);
        bool is_url = dx_slice_equal_nocase(field->name, DX_SLICE("location"));
        status = is_url ? dx_redact_url(redactor, &value, field->value) : dx_redact_field(redactor, &value, field->name, field->value);
        if (status == DX_OK) status = dx_fields_add(out, arena, field->name, dx_buffer_slice(&value));
    }
    return status;
}

void dx_recording_write(dx_buffer *out, dx_arena *arena, const dx_recording_request *request, int status, const dx_fields *fields,
                        dx_slice body) {
    dx_fields kept = {0};
    dx_buffer text;
    dx_buffer_init(&text, arena, DX_RECORDING_BODY_CAP);
    dx_status done = redact_answer(&kept, arena, request->redactor, fields);
    if (done == DX_OK) done = redact_body(&text, request->redactor, fields, body);
    write_member(out, "{\"duplex_recording\": 1, \"endpoint\": ", request->endpoint);
    write_member(out, ",\n \"request\": {\"method\": ", request->method);
    write_member(out, ",\n  \"url\": ", request->url);
    write_member(out, ",\n  \"digest\": ", request->digest);
    write_fields(out, &request->fields);
    write_body(out, arena, request->body);
    dx_buffer_printf(out, "},\n \"response\": {\"status\": %d", status);
    write_fields(out, &kept);
    write_body(out, arena, dx_buffer_slice(&text));
    DX_BUFFER_LIT(out, "}}\n");
    if (done != DX_OK) out->status = done;
}

static bool read_fields(dx_fields *out, dx_arena *arena, yyjson_val *list) {
    size_t at, count;
    yyjson_val *pair;
    yyjson_arr_foreach(list, at, count, pair) {
        yyjson_val *name = yyjson_arr_get(pair, 0), *value = yyjson_arr_get(pair, 1);
        if (!yyjson_is_str(name) || !yyjson_is_str(value) || dx_fields_add(out, arena, dx_json_slice(name), dx_json_slice(value)) != DX_OK)
            return false;
    }
    return true;
}

static bool read_body(dx_slice *out, dx_arena *arena, yyjson_val *response) {
    yyjson_val *encoded = yyjson_obj_get(response, "body_base64");
    *out = dx_json_member_slice(response, "body");
    if (!encoded) return out->data != NULL;
    dx_slice text = dx_json_slice(encoded);
    char *bytes = dx_arena_bytes(arena, text.size * 3 / 4 + 4);
    if (!bytes || !dx_base64_decode(bytes, &out->size, text, false)) return false;
    bytes[out->size] = '\0';
    out->data = bytes;
    return true;
}

dx_status dx_recording_read(dx_recording *out, dx_arena *arena, dx_slice file, dx_slice text) {
    yyjson_doc *document;
    static const dx_json_options options = {.allow_duplicates = true};
    *out = (dx_recording){.file = dx_arena_copy(arena, file)};
    dx_status status = dx_json_read(&document, arena, text, &options, NULL);
    if (status == DX_NO_MEMORY || !out->file.data) return DX_NO_MEMORY;
    if (status != DX_OK) return DX_INVALID;
    yyjson_val *root = yyjson_doc_get_root(document), *request = yyjson_obj_get(root, "request"),
               *response = yyjson_obj_get(root, "response");
    dx_slice digest = dx_json_member_slice(request, "digest");
    out->method = dx_json_member_slice(request, "method");
    out->url = dx_json_member_slice(request, "url");
    out->status = (int)yyjson_get_uint(yyjson_obj_get(response, "status"));
    bool whole = out->method.size && out->url.size && digest.size && out->status >= 100 && out->status <= 599 &&
                 read_fields(&out->fields, arena, yyjson_obj_get(response, "headers")) && read_body(&out->body, arena, response);
    if (!whole || yyjson_get_uint(yyjson_obj_get(root, "duplex_recording")) != 1) return DX_INVALID;
    out->key = dx_arena_printf(arena, "%.*s %.*s %.*s", DX_SLICE_ARG(out->method), DX_SLICE_ARG(out->url), DX_SLICE_ARG(digest));
    return out->key.data ? DX_OK : DX_NO_MEMORY;
}
