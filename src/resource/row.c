// Rows as JSON and as entity tags. A row goes from the store's hands straight into the answer's buffer; no tree is built between.
#include "resource/row.h"

#include "base/hash.h"
#include "codec/text.h"

const uint16_t *dx_resource_columns(const dx_resource *resource) {
    return dx_resource_plans_of(resource)->columns;
}

size_t dx_resource_row_guess(const dx_resource *resource) {
    return dx_resource_plans_of(resource)->row_guess;
}

static void write_time(dx_buffer *out, dx_micros_utc time) {
    char *to = dx_buffer_reserve(out, DX_TIME_TEXT_CAP + 2);
    if (!to) return;
    to[0] = '"';
    size_t size = dx_time_write(to + 1, time);
    to[size + 1] = '"';
    out->size += size + 2;
}

void dx_resource_write_value(dx_buffer *out, dx_column_type type, dx_value value) {
    switch (value.type) {
    case DX_VALUE_NULL:
        DX_BUFFER_LIT(out, "null");
        return;
    case DX_VALUE_REAL:
        dx_json_write_number(out, value.real);
        return;
    case DX_VALUE_TEXT:
    case DX_VALUE_BLOB:
        if (type == DX_COLUMN_JSON)
            dx_buffer_add(out, value.text);
        else
            dx_json_write_string(out, value.text);
        return;
    case DX_VALUE_BOOLEAN:
    case DX_VALUE_INTEGER:
        if (type == DX_COLUMN_BOOLEAN)
            value.integer ? DX_BUFFER_LIT(out, "true") : DX_BUFFER_LIT(out, "false");
        else if (type == DX_COLUMN_TIMESTAMP)
            write_time(out, value.integer);
        else
            dx_buffer_i64(out, value.integer);
        return;
    }
}

static inline void write_field(dx_buffer *out, const dx_shown_field *field, const dx_row *row, bool first) {
    dx_slice key = field->key;
    if (first) key = (dx_slice){key.data + 1, key.size - 1};
    dx_buffer_add(out, key);
    dx_resource_write_value(out, field->type, dx_row_value(row, field->column));
}

void dx_resource_write_row(dx_buffer *out, const dx_resource *resource, const dx_row *row, const dx_projection *projection) {
    const dx_resource_plans *plans = dx_resource_plans_of(resource);
    bool first = true;
    dx_buffer_byte(out, '{');
    if (!projection || !projection->fields) {
        for (uint16_t i = 0; i < plans->shown_count; i++) write_field(out, &plans->shown[i], row, i == 0);
    } else {
        // Both lists are in the rows' order, so one pass over the shown fields finds them all.
        uint16_t want = 0;
        for (uint16_t i = 0; i < plans->shown_count && want < projection->field_count; i++) {
            while (want < projection->field_count && projection->fields[want] < plans->shown[i].field) want++;
            if (want == projection->field_count || projection->fields[want] != plans->shown[i].field) continue;
            write_field(out, &plans->shown[i], row, first);
            first = false;
        }
    }
    if (!projection || !projection->open) dx_buffer_byte(out, '}');
}

// --- entity tags -----------------------------------------------------------------------------------------------------------

// The version alone would come again: in a store that was made anew, or put back from a copy, a row can have the number and the version of
// another. So the time of its last change is mixed in.
dx_slice dx_resource_tag(dx_arena *arena, const dx_resource *resource, dx_value id, int64_t version, dx_micros_utc updated) {
    uint64_t mixed = resource->fingerprint ^ ((uint64_t)updated * UINT64_C(0x9e3779b97f4a7c15));
    uint8_t bytes[8];
    for (int i = 0; i < 8; i++) bytes[i] = (uint8_t)(mixed >> (56 - 8 * i));
    dx_buffer text;
    dx_buffer_init(&text, arena, 256);
    char *to = dx_buffer_reserve(&text, 2 + 2 * sizeof bytes + 64);
    if (!to) return (dx_slice){0};
    *to = '"';
    dx_hex_encode(to + 1, bytes, sizeof bytes);
    text.size += 1 + 2 * sizeof bytes;
    dx_buffer_byte(&text, '-');
    if (id.type == DX_VALUE_TEXT)
        dx_buffer_add(&text, id.text);
    else
        dx_buffer_i64(&text, id.integer);
    dx_buffer_byte(&text, '-');
    dx_buffer_i64(&text, version);
    dx_buffer_byte(&text, '"');
    return dx_buffer_status(&text) ? (dx_slice){0} : dx_buffer_slice(&text);
}

dx_slice dx_resource_etag(dx_arena *arena, const dx_resource *resource, const dx_row *row) {
    int64_t version = dx_row_value(row, (size_t)resource->version_column).integer;
    return dx_resource_tag(arena, resource, dx_row_value(row, 0), version, dx_resource_modified(resource, row));
}

dx_slice dx_resource_body_etag(dx_arena *arena, dx_slice body) {
    uint64_t hash = dx_hash_fixed(body);
    return dx_arena_printf(arena, "\"%016llx-%zx\"", (unsigned long long)hash, body.size);
}

dx_micros_utc dx_resource_modified(const dx_resource *resource, const dx_row *row) {
    if (resource->updated_column < 0) return 0;
    return dx_row_value(row, (size_t)resource->updated_column).integer;
}
