#include "client/pages_state.h"

#include <stdio.h>

#include "base/memory.h"
#include "codec/text.h"
#include "crypto/digest.h"

#define STATE_CAP ((size_t)1 << 20)

// --- the parameters ----------------------------------------------------------------------------------------------------------------------

// As text, so that 5 and "5" are the same parameter.
static dx_slice text_of(const dx_arg *arg, char *room, size_t size) {
    int written = 0;
    switch (arg->kind) {
    case DX_ARG_INT:
        written = snprintf(room, size, "%lld", (long long)arg->value.i64);
        break;
    case DX_ARG_UINT:
        written = snprintf(room, size, "%llu", (unsigned long long)arg->value.u64);
        break;
    case DX_ARG_FLOAT:
        written = snprintf(room, size, "%.17g", arg->value.f64);
        break;
    case DX_ARG_BOOL:
        written = snprintf(room, size, "%s", arg->value.boolean ? "true" : "false");
        break;
    default:
        return dx_slice_of(arg->value.text, arg->value.text ? arg->size : 0);
    }
    return dx_slice_of(room, written > 0 ? (size_t)written : 0);
}

static uint64_t digest_of(const dx_arg *arg) {
    char room[64];
    uint8_t digests[2 * DX_SHA256_SIZE], both[DX_SHA256_SIZE];
    uint64_t word = 0;
    dx_sha256(digests, dx_slice_str(arg->name));
    dx_sha256(digests + DX_SHA256_SIZE, text_of(arg, room, sizeof room));
    dx_sha256(both, dx_slice_of((const char *)digests, sizeof digests));
    for (size_t i = 0; i < sizeof word; i++) word = word << 8 | both[i];
    return word;
}

void dx_pages_digest(char out[DX_PAGES_DIGEST_SIZE + 1], const dx_endpoint *endpoint, const dx_arg *args, dx_slice besides) {
    uint64_t sum = 0;
    for (; args && args->kind != DX_ARG_END; args++) {
        dx_slice name = dx_slice_str(args->name);
        const dx_param *param = dx_paginate_param(endpoint, name);
        if (!dx_slice_equal(name, besides) && !(param && param->secret)) sum += digest_of(args);
    }
    (void)snprintf(out, DX_PAGES_DIGEST_SIZE + 1, "%016llx", (unsigned long long)sum);
}

// --- writing -----------------------------------------------------------------------------------------------------------------------------

static void write_token(dx_buffer *out, const dx_place *place, dx_redactor *redactor) {
    dx_buffer target;
    dx_buffer_init(&target, NULL, DX_PAGES_TOKEN_CAP + 1);
    dx_slice text = dx_slice_of(place->text, place->size);
    if (place->kind == DX_PLACE_TARGET && redactor) {
        dx_page_target_write(&target, text, redactor);
        text = dx_buffer_slice(&target);
    }
    dx_json_write_string(out, text);
    if (dx_buffer_status(&target) != DX_OK) out->status = DX_NO_MEMORY;
    dx_buffer_deinit(&target);
}

static void write_number(dx_buffer *out, const char *name, uint64_t number) {
    dx_buffer_printf(out, ",\"%s\":%llu", name, (unsigned long long)number);
}

static char *encode(const dx_buffer *json) {
    char *text = dx_buffer_status(json) == DX_OK ? dx_memory_alloc(4 * (json->size / 3 + 1) + 1) : NULL;
    if (text) text[dx_base64_encode(text, json->data, json->size, true)] = '\0';
    return text;
}

char *dx_pages_mark_write(const dx_pages_mark *mark, dx_redactor *redactor) {
    dx_buffer json;
    dx_buffer_init(&json, NULL, STATE_CAP);
    DX_BUFFER_LIT(&json, "{\"v\":1,\"endpoint\":");
    dx_json_write_string(&json, mark->endpoint);
    dx_buffer_printf(&json, ",\"args\":\"%s\"", mark->digest);
    write_number(&json, "type", mark->type);
    write_number(&json, "kind", mark->place.kind);
    write_number(&json, "number", mark->place.number);
    DX_BUFFER_LIT(&json, ",\"token\":");
    write_token(&json, &mark->place, redactor);
    write_number(&json, "skip", mark->skip);
    write_number(&json, "seen", mark->seen);
    write_number(&json, "pages", mark->pages);
    dx_buffer_byte(&json, '}');
    char *text = encode(&json);
    dx_buffer_deinit(&json);
    return text;
}

// --- reading -----------------------------------------------------------------------------------------------------------------------------

static bool read_number(yyjson_val *root, const char *name, uint64_t *out) {
    yyjson_val *value = yyjson_obj_get(root, name);
    *out = yyjson_get_uint(value);
    return yyjson_is_uint(value) && *out <= INT64_MAX;
}

// A cursor that is a number goes into a request as it is, so it must be one.
static bool is_number(dx_arena *arena, dx_slice text) {
    yyjson_doc *document;
    const dx_json_options exact = {.numbers_as_text = true};
    return dx_json_read(&document, arena, text, &exact, NULL) == DX_OK && yyjson_is_raw(yyjson_doc_get_root(document));
}

static bool fits(dx_arena *arena, dx_paging type, dx_place_kind kind, dx_slice token) {
    if (token.size > DX_PAGES_TOKEN_CAP) return false;
    switch (kind) {
    case DX_PLACE_END:
        return true;
    case DX_PLACE_NUMBER:
        return type <= DX_PAGING_OFFSET;
    case DX_PLACE_FIRST:
        return type > DX_PAGING_OFFSET;
    case DX_PLACE_TEXT:
        return type == DX_PAGING_CURSOR;
    case DX_PLACE_JSON:
        return type == DX_PAGING_CURSOR && is_number(arena, token);
    default:
        return type > DX_PAGING_CURSOR && token.size && token.data[0] == '/';
    }
}

static dx_status read_members(dx_pages_mark *out, dx_arena *arena, yyjson_val *root) {
    uint64_t version, type, kind, number;
    dx_slice digest = dx_json_member_slice(root, "args"), token = dx_json_member_slice(root, "token");
    bool whole = read_number(root, "v", &version) && read_number(root, "type", &type) && read_number(root, "kind", &kind) &&
                 read_number(root, "number", &number) && read_number(root, "skip", &out->skip) && read_number(root, "seen", &out->seen) &&
                 read_number(root, "pages", &out->pages);
    if (!whole || version != 1 || type > DX_PAGING_NEXT_URL || kind > DX_PLACE_END || digest.size != DX_PAGES_DIGEST_SIZE)
        return DX_BAD_CURSOR;
    if (!fits(arena, (dx_paging)type, (dx_place_kind)kind, token)) return DX_BAD_CURSOR;
    out->type = (dx_paging)type;
    out->endpoint = dx_json_member_slice(root, "endpoint");
    memcpy(out->digest, digest.data, digest.size);
    if (kind >= DX_PLACE_TEXT && kind <= DX_PLACE_TARGET) return dx_place_set(&out->place, (dx_place_kind)kind, token);
    out->place = (dx_place){.kind = (dx_place_kind)kind, .number = number};
    return DX_OK;
}

dx_status dx_pages_mark_read(dx_pages_mark *out, dx_arena *arena, dx_slice text) {
    yyjson_doc *document;
    size_t size;
    memset(out, 0, sizeof *out);
    if (text.size > STATE_CAP) return DX_BAD_CURSOR;
    char *json = dx_arena_bytes(arena, text.size * 3 / 4 + 3);
    if (!json) return DX_NO_MEMORY;
    if (!dx_base64_decode(json, &size, text, true)) return DX_BAD_CURSOR;
    dx_status status = dx_json_read(&document, arena, dx_slice_of(json, size), NULL, NULL);
    if (status != DX_OK) return status == DX_NO_MEMORY ? status : DX_BAD_CURSOR;
    return read_members(out, arena, yyjson_doc_get_root(document));
}
