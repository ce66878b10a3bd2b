// Cursors: a place in an order, as opaque text that only this server can have made. Inside, signed: a version, the way to look, what the
// cursor is bound to, and the sort values of the row it stands at. Because it carries values and not a position, rows that come or go
// elsewhere move nothing, and any page costs what the first one does.
#include "base/hash.h"
#include "codec/text.h"
#include "crypto/digest.h"
#include "resource/list.h"

enum { VERSION = 1, SIGNATURE_SIZE = 16, HEAD_SIZE = 10 };
enum { FLAG_BACKWARD = 1, FLAG_INCLUSIVE = 2 };

uint64_t dx_cursor_binding(const dx_resource *resource, const dx_view *view) {
    uint64_t parts[3 + DX_QUERY_SORT_CAP + 1] = {resource->fingerprint, dx_hash_fixed(resource->name), view->filter_hash};
    for (uint16_t i = 0; i < view->key_count; i++) parts[3 + i] = (uint64_t)view->keys[i].column << 1 | view->keys[i].descending;
    return dx_hash_fixed((dx_slice){(const char *)parts, (3u + view->key_count) * sizeof *parts});
}

// --- bytes -------------------------------------------------------------------------------------------------------------------

static void put_u64(dx_buffer *out, uint64_t value) {
    unsigned char bytes[8];
    for (int i = 0; i < 8; i++) bytes[i] = (unsigned char)(value >> (8 * i));
    dx_buffer_append(out, bytes, sizeof bytes);
}

static uint64_t get_u64(const char *at) {
    uint64_t value = 0;
    for (int i = 7; i >= 0; i--) value = value << 8 | (unsigned char)at[i];
    return value;
}

static bool put_value(dx_buffer *out, dx_value value) {
    dx_buffer_byte(out, (char)value.type);
    uint64_t bits = 0;
    switch (value.type) {
    case DX_VALUE_NULL:
        return true;
    case DX_VALUE_BOOLEAN:
    case DX_VALUE_INTEGER:
        put_u64(out, (uint64_t)value.integer);
        return true;
    case DX_VALUE_REAL:
        memcpy(&bits, &value.real, sizeof bits);
        put_u64(out, bits);
        return true;
    case DX_VALUE_TEXT:
        if (value.text.size > DX_CURSOR_TEXT_CAP) return false;
        dx_buffer_byte(out, (char)(value.text.size & 0xff));
        dx_buffer_byte(out, (char)(value.text.size >> 8));
        dx_buffer_add(out, value.text);
        return true;
    case DX_VALUE_BLOB:
        break;
    }
    return false;
}

static bool get_value(dx_value *out, dx_slice *rest) {
    if (rest->size == 0) return false;
    unsigned char type = (unsigned char)rest->data[0];
    *rest = dx_slice_from(*rest, 1);
    *out = (dx_value){.type = (dx_value_type)type};
    size_t size = 8;
    switch (type) {
    case DX_VALUE_NULL:
        return true;
    case DX_VALUE_BOOLEAN:
    case DX_VALUE_INTEGER:
    case DX_VALUE_REAL: {
        if (rest->size < size) return false;
        uint64_t bits = get_u64(rest->data);
        memcpy(type == DX_VALUE_REAL ? (void *)&out->real : (void *)&out->integer, &bits, sizeof bits);
        break;
    }
    case DX_VALUE_TEXT: {
        if (rest->size < 2) return false;
        size = (unsigned char)rest->data[0] | (size_t)(unsigned char)rest->data[1] << 8;
        *rest = (dx_slice){rest->data + 2, rest->size - 2};
        if (size > DX_CURSOR_TEXT_CAP || rest->size < size) return false;
        out->text = (dx_slice){rest->data, size};
        break;
    }
    default:
        return false;
    }
    *rest = (dx_slice){rest->data + size, rest->size - size};
    return true;
}

// Whether a value can stand in a column of this type, as a signature over the wrong thing would not make it so.
static bool value_fits(dx_value value, const dx_sort_key *key) {
    switch (value.type) {
    case DX_VALUE_NULL:
        return key->nullable;
    case DX_VALUE_TEXT:
        return key->type == DX_COLUMN_TEXT;
    case DX_VALUE_REAL:
        return key->type == DX_COLUMN_NUMBER && value.real == value.real;
    default:
        return key->type != DX_COLUMN_TEXT;
    }
}

// --- cursors -------------------------------------------------------------------------------------------------------------------

static void sign(uint8_t out[SIGNATURE_SIZE], const uint8_t key[32], dx_slice bytes) {
    uint8_t whole[DX_SHA256_SIZE];
    dx_hmac_sha256(whole, (dx_slice){(const char *)key, 32}, bytes);
    memcpy(out, whole, SIGNATURE_SIZE);
}

dx_slice dx_cursor_write(dx_arena *arena, const uint8_t key[32], uint64_t binding, const dx_cursor *cursor, bool *too_long) {
    dx_buffer bytes;
    dx_buffer_init(&bytes, arena, DX_CURSOR_SIZE_CAP);
    *too_long = false;
    dx_buffer_byte(&bytes, VERSION);
    dx_buffer_byte(&bytes, (char)((cursor->backward ? FLAG_BACKWARD : 0) | (cursor->inclusive ? FLAG_INCLUSIVE : 0)));
    put_u64(&bytes, binding);
    for (uint16_t i = 0; i < cursor->count; i++) *too_long |= !put_value(&bytes, cursor->values[i]);
    uint8_t signature[SIGNATURE_SIZE] = {0};
    if (dx_buffer_status(&bytes) == DX_OK) sign(signature, key, dx_buffer_slice(&bytes));
    dx_buffer_append(&bytes, signature, sizeof signature);
    *too_long |= dx_buffer_status(&bytes) == DX_TOO_LARGE;
    char *text = dx_buffer_status(&bytes) || *too_long ? NULL : dx_arena_bytes(arena, bytes.size * 4 / 3 + 4);
    return text ? (dx_slice){text, dx_base64_encode(text, bytes.data, bytes.size, true)} : (dx_slice){0};
}

bool dx_cursor_parse(dx_cursor *out, const dx_sort_key *keys, uint16_t key_count, dx_slice bytes) {
    if (bytes.size < HEAD_SIZE || bytes.data[0] != VERSION || (unsigned char)bytes.data[1] > (FLAG_BACKWARD | FLAG_INCLUSIVE)) return false;
    *out = (dx_cursor){.backward = (bytes.data[1] & FLAG_BACKWARD) != 0, .inclusive = (bytes.data[1] & FLAG_INCLUSIVE) != 0};
    dx_slice rest = dx_slice_from(bytes, HEAD_SIZE);
    for (; out->count < key_count; out->count++)
        if (!get_value(&out->values[out->count], &rest) || !value_fits(out->values[out->count], &keys[out->count])) return false;
    return rest.size == 0;
}

bool dx_cursor_read(dx_cursor *out, dx_arena *arena, const uint8_t key[32], uint64_t binding, const dx_view *view, dx_slice text) {
    if (text.size > DX_CURSOR_SIZE_CAP * 4 / 3 + 4) return false;
    char *bytes = dx_arena_bytes(arena, text.size + 3);
    size_t size = 0;
    if (!bytes || !dx_base64_decode(bytes, &size, text, true) || size < HEAD_SIZE + SIGNATURE_SIZE) return false;
    size -= SIGNATURE_SIZE;
    uint8_t signature[SIGNATURE_SIZE];
    sign(signature, key, (dx_slice){bytes, size});
    if (!dx_secret_equal((dx_slice){(const char *)signature, SIGNATURE_SIZE}, (dx_slice){bytes + size, SIGNATURE_SIZE})) return false;
    if (get_u64(bytes + 2) != binding) return false;
    return dx_cursor_parse(out, view->keys, view->key_count, (dx_slice){bytes, size});
}
