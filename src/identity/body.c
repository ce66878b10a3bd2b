// Bodies of the account operations: a JSON object or a form, with text (and a few boolean) fields that are known by name. Most hold a
// password or a token, and their memory is used again for other requests, so they are wiped when their exchange is over.
#include "base/map.h"
#include "codec/text.h"
#include "crypto/digest.h"
#include "identity/parts.h"

enum { FIELD_NAME_CAP = 64, FIELDS_CAP = 8 };

dx_verdict dx_body_fault(dx_exchange *x, dx_status status, const char *pointer, const char *message) {
    dx_diags findings;
    dx_diags_init(&findings, x->arena);
    dx_diags_add(&findings, status, dx_slice_str(pointer), "%s", message);
    return dx_exchange_fail_with(x, status, &findings, NULL);
}

typedef struct reader {
    dx_exchange *x;
    const dx_body_field *fields;
    size_t count;
    bool strict;
    dx_diags findings;
} reader;

static const dx_body_field *field_of(const reader *r, dx_slice name) {
    for (size_t i = 0; i < r->count; i++) {
        if (dx_slice_equal(name, dx_slice_str(r->fields[i].name))) return &r->fields[i];
    }
    return NULL;
}

static dx_slice pointer_of(const reader *r, dx_slice name) {
    return dx_json_pointer_join(r->x->arena, DX_SLICE(""), dx_slice_of(name.data, name.size < FIELD_NAME_CAP ? name.size : FIELD_NAME_CAP));
}

static void refuse_unknown(reader *r, dx_slice name) {
    dx_slice known[8];
    size_t count = 0;
    if (!r->strict) return;
    for (size_t i = 0; i < r->count && count < DX_COUNT_OF(known); i++) known[count++] = dx_slice_str(r->fields[i].name);
    dx_diag *diag = dx_diags_add(&r->findings, DX_INVALID, pointer_of(r, name), "expected no such field");
    if (diag) diag->suggestion = dx_nearest_word(name, known, count);
}

// "all=1" must not be taken for a no.
static void take_flag(reader *r, const dx_body_field *field, dx_slice value) {
    *field->flag = dx_slice_equal(value, DX_SLICE("true"));
    if (!*field->flag && !dx_slice_equal(value, DX_SLICE("false")))
        dx_diags_add(&r->findings, DX_INVALID, pointer_of(r, dx_slice_str(field->name)), "expected \"true\" or \"false\"");
}

static dx_status read_form(reader *r, dx_slice rest) {
    dx_slice name, value;
    dx_status status = DX_OK;
    while (dx_form_next(&rest, r->x->arena, &name, &value, &status)) {
        const dx_body_field *field = field_of(r, name);
        if (!field)
            refuse_unknown(r, name);
        else if (!dx_utf8_valid(value))
            dx_diags_add(&r->findings, DX_INVALID, pointer_of(r, name), "expected text in UTF-8");
        else if (field->flag)
            take_flag(r, field, value);
        else if (field->value->data)
            dx_diags_add(&r->findings, DX_INVALID, pointer_of(r, name), "expected this field once");
        else
            *field->value = value.data ? value : DX_SLICE("");
    }
    return status;
}

static void take_member(reader *r, dx_slice name, yyjson_val *value) {
    const dx_body_field *field = field_of(r, name);
    if (!field)
        refuse_unknown(r, name);
    else if (field->flag && yyjson_is_bool(value))
        *field->flag = yyjson_get_bool(value);
    else if (!field->flag && yyjson_is_str(value))
        *field->value = dx_json_slice(value);
    else
        dx_diags_add(&r->findings, DX_INVALID, pointer_of(r, name), "expected a %s, found a value of type %s",
                     field->flag ? "boolean" : "string", dx_json_type_name(value));
}

static dx_status read_json(reader *r, dx_slice text) {
    yyjson_doc *doc;
    size_t at, count;
    yyjson_val *name, *value;
    dx_status status = dx_json_read(&doc, r->x->arena, text, NULL, &r->findings);
    if (status != DX_OK) return status;
    yyjson_val *root = yyjson_doc_get_root(doc);
    if (!yyjson_is_obj(root)) {
        dx_diags_add(&r->findings, DX_INVALID, DX_SLICE(""), "expected an object, found a value of type %s", dx_json_type_name(root));
        return DX_INVALID;
    }
    yyjson_obj_foreach(root, at, count, name, value) take_member(r, dx_json_slice(name), value);
    return DX_OK;
}

static dx_status read_body(reader *r) {
    dx_slice body = r->x->request.body, type = dx_fields_get(&r->x->request.fields, DX_FIELD_CONTENT_TYPE);
    if (body.size == 0) return DX_OK;
    if (dx_http_media_is(type, "application/json")) return read_json(r, body);
    return dx_http_media_is(type, "application/x-www-form-urlencoded") ? read_form(r, body) : DX_UNSUPPORTED_MEDIA_TYPE;
}

typedef struct remains {
    dx_slice body, texts[FIELDS_CAP]; // a text may be a part of the body, or a copy
} remains;

static void wipe(void *ctx) {
    remains *left = ctx;
    dx_secret_wipe((char *)(uintptr_t)left->body.data, left->body.size);
    for (size_t i = 0; i < FIELDS_CAP; i++) dx_secret_wipe((char *)(uintptr_t)left->texts[i].data, left->texts[i].size);
}

static dx_status wipe_at_the_end(dx_exchange *x, const dx_body_field *fields, size_t count) {
    remains *left = DX_ARENA_NEW(x->arena, remains);
    if (!left) return DX_NO_MEMORY;
    left->body = x->request.body;
    for (size_t i = 0; i < count && i < FIELDS_CAP; i++) {
        if (fields[i].value) left->texts[i] = *fields[i].value;
    }
    return dx_arena_defer(x->arena, wipe, left);
}

bool dx_body_read(dx_exchange *x, const dx_body_field *fields, size_t count, bool strict) {
    reader r = {.x = x, .fields = fields, .count = count, .strict = strict};
    dx_diags_init(&r.findings, x->arena);
    dx_status status = read_body(&r);
    dx_status wiped = wipe_at_the_end(x, fields, count);
    if (status == DX_OK) status = wiped;
    if (status == DX_UNSUPPORTED_MEDIA_TYPE) {
        (void)dx_exchange_fail(x, status, "send application/json or application/x-www-form-urlencoded");
        return false;
    }
    for (size_t i = 0; status == DX_OK && i < count; i++) {
        if (fields[i].required && !fields[i].value->data)
            dx_diags_add(&r.findings, DX_INVALID, pointer_of(&r, dx_slice_str(fields[i].name)), "expected this field: it is missing");
    }
    if (status == DX_OK && r.findings.count == 0) return true;
    (void)dx_exchange_fail_with(x, status == DX_OK ? DX_INVALID : status, &r.findings, NULL);
    return false;
}
