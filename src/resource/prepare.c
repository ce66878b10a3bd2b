// Once the store stands: what every request on a resource needs again and again is made here, so that requests make nothing: kept
// statements, the text of each field's name.
#include "codec/text.h"
#include "resource/changes.h"
#include "resource/row.h"

static dx_slice shown_key(dx_arena *arena, dx_slice name) {
    dx_buffer text;
    dx_buffer_init(&text, arena, 1024);
    dx_buffer_byte(&text, ',');
    dx_json_write_string(&text, name);
    dx_buffer_byte(&text, ':');
    return dx_buffer_status(&text) ? (dx_slice){0} : dx_buffer_slice(&text);
}

static uint32_t size_guess(dx_column_type type) {
    switch (type) {
    case DX_COLUMN_BOOLEAN:
        return 5;
    case DX_COLUMN_INTEGER:
        return 12;
    case DX_COLUMN_NUMBER:
        return 20;
    case DX_COLUMN_TIMESTAMP:
        return 30;
    default:
        return 48;
    }
}

static dx_status shown_fill(dx_resource_plans *plans, const dx_resource *resource, dx_arena *arena) {
    dx_shown_field *shown = DX_ARENA_ARRAY(arena, dx_shown_field, resource->field_count);
    if (!shown) return DX_NO_MEMORY;
    plans->row_guess = 16;
    for (uint16_t i = 0; i < resource->field_count; i++) {
        const dx_resource_field *field = &resource->fields[i];
        if (field->write_only) continue;
        dx_shown_field *to = &shown[plans->shown_count++];
        *to = (dx_shown_field){.key = shown_key(arena, field->name), .column = field->column, .field = i, .type = field->type};
        if (!to->key.data) return DX_NO_MEMORY;
        plans->row_guess += (uint32_t)to->key.size + size_guess(field->type);
    }
    plans->shown = shown;
    return DX_OK;
}

static dx_status by_id_keep(dx_resource_plans *plans, const dx_resource *resource, dx_arena *arena, dx_keep *kept, bool scoped) {
    dx_query query = DX_QUERY_INIT(DX_QUERY_SELECT, &resource->table);
    query.columns = plans->columns;
    query.column_count = resource->table.column_count;
    query.where = dx_resource_where_id(arena, resource, scoped, 0);
    if (!query.where) return DX_NO_MEMORY;
    return dx_statement_keep(&plans->by_id[scoped], kept, &query);
}

static dx_status columns_fill(dx_resource_plans *plans, const dx_resource *resource, dx_arena *arena) {
    uint16_t *columns = DX_ARENA_ARRAY(arena, uint16_t, resource->table.column_count);
    if (!columns) return DX_NO_MEMORY;
    for (uint16_t i = 0; i < resource->table.column_count; i++) columns[i] = i;
    plans->columns = columns;
    return DX_OK;
}

static dx_status prepare(const dx_resource *resource, dx_arena *arena, dx_keep *kept) {
    dx_resource_plans *plans = DX_ARENA_NEW(arena, dx_resource_plans);
    if (!plans) return DX_NO_MEMORY;
    ((dx_resource *)(uintptr_t)resource)->plans = plans; // nobody else sees it yet
    dx_status status = columns_fill(plans, resource, arena);
    if (!status) status = shown_fill(plans, resource, arena);
    if (!status) status = by_id_keep(plans, resource, arena, kept, false);
    if (!status && resource->owned) status = by_id_keep(plans, resource, arena, kept, true);
    if (!status) status = dx_resource_prepare_changes(resource, kept); // writes record in its log
    if (!status) status = dx_resource_prepare_writes(resource, arena, kept);
    return status;
}

dx_status dx_resources_prepare(dx_resource_set *set, dx_arena *arena, dx_store *store, dx_keep *kept, const uint8_t cursor_key[32]) {
    set->store = store;
    memcpy(set->cursor_key, cursor_key, sizeof set->cursor_key);
    for (size_t i = 0; i < set->count; i++) {
        dx_status status = prepare(set->items[i], arena, kept);
        if (status) return status;
    }
    for (size_t i = 0; i < set->count; i++) {
        if (!set->items[i]->changes) continue;
        dx_status status = dx_store_watch(store, &set->items[i]->changes->table);
        if (status) return status;
    }
    for (size_t i = 0; i < set->count; i++) {
        dx_status status = dx_resource_prepare_referrers(set->items[i], arena, kept);
        if (status) return status;
    }
    return dx_resource_prepare_idempotency(set, arena, kept);
}
