// References expanded: the rows that a page refers to, fetched with one statement for each reference and woven into the page. Whoever may
// not read a row gets null for it, the same as for one that is not there.
#include "resource/list.h"

// One row that is referred to; found when `size` is not 0.
typedef struct dx_expanded {
    dx_value id;
    size_t start, size; // in expand->text
} expanded;

struct dx_expansion {
    const dx_resource_field *field;
    bool allowed, scoped;
    expanded **of_row; // NULL: the reference is null
    expanded *found;
    size_t found_count;
    dx_map by_id;
};

// The bytes that tell an id from others of its kind.
static dx_slice id_key(const dx_value *id) {
    return id->type == DX_VALUE_TEXT ? id->text : (dx_slice){(const char *)&id->integer, sizeof id->integer};
}

bool dx_expand_init(dx_expand *expand, dx_resource_call *call, const dx_view *view, size_t row_cap) {
    *expand = (dx_expand){.call = call, .count = view->expand_count, .rows = row_cap};
    if (!expand->count) return true;
    expand->items = DX_ARENA_ARRAY(call->arena, dx_expansion, expand->count);
    if (!expand->items) return false;
    dx_buffer_init(&expand->text, call->arena, DX_RESOURCE_OUT_CAP);
    for (uint16_t i = 0; i < expand->count; i++) {
        dx_expansion *item = &expand->items[i];
        item->field = view->expand[i];
        item->allowed = dx_resource_allowed(item->field->target, DX_ACTION_READ, call->principal);
        item->scoped = dx_resource_scoped(item->field->target, DX_ACTION_READ, call->principal);
        call->personal |= !item->field->target->access[DX_ACTION_READ].is_public;
        item->of_row = DX_ARENA_ARRAY(call->arena, expanded *, row_cap);
        item->found = DX_ARENA_ARRAY(call->arena, expanded, row_cap);
        if (!item->of_row || !item->found) return false;
        dx_map_init(&item->by_id, call->arena);
    }
    return true;
}

static bool note(dx_expand *expand, dx_expansion *item, size_t at, dx_value id) {
    if (id.type == DX_VALUE_NULL || !item->allowed) return true;
    expanded *known = dx_map_get(&item->by_id, id_key(&id));
    if (!known) {
        known = &item->found[item->found_count++];
        known->id = id;
        if (id.type == DX_VALUE_TEXT) {
            known->id.text = dx_arena_copy(expand->call->arena, id.text);
            if (!known->id.text.data) return false;
        }
        if (dx_map_put(&item->by_id, id_key(&known->id), known)) return false;
    }
    item->of_row[at] = known;
    return true;
}

bool dx_expand_note(dx_expand *expand, size_t at, const dx_row *row) {
    for (uint16_t i = 0; i < expand->count; i++)
        if (!note(expand, &expand->items[i], at, dx_row_value(row, expand->items[i].field->column))) return false;
    return true;
}

// The number of parameters is rounded up to a power of two, the last id repeated, so that few texts of the statement exist.
static dx_status statement_set(dx_expand *expand, const dx_expansion *item, dx_tx *tx) {
    dx_arena *arena = expand->call->arena;
    const dx_resource *target = item->field->target;
    size_t room = 1;
    while (room < item->found_count) room *= 2;
    dx_value *params = DX_ARENA_ARRAY(arena, dx_value, room + 1);
    if (!params || room > UINT16_MAX / 2) return DX_NO_MEMORY;
    for (size_t i = 0; i < room; i++) params[i] = item->found[i < item->found_count ? i : item->found_count - 1].id;
    params[room] = dx_resource_owner_value(expand->call->principal);
    dx_expr one_of = {.kind = DX_EXPR_COMPARE, .column = 0, .compare = DX_IN, .param_count = (uint16_t)room};
    dx_query query = DX_QUERY_INIT(DX_QUERY_SELECT, &target->table);
    query.columns = dx_resource_columns(target);
    query.column_count = target->table.column_count;
    query.where = dx_resource_where(arena, target, &one_of, item->scoped, (uint16_t)room);
    if (!query.where) return DX_NO_MEMORY;
    tx->params = params;
    tx->param_count = room + item->scoped;
    return dx_statement_make(&tx->statement, expand->call->set->store, arena, &query);
}

dx_status dx_expand_next(dx_expand *expand, dx_tx *tx, bool *more) {
    while (expand->at < expand->count && !expand->items[expand->at].found_count) expand->at++;
    *more = expand->at < expand->count;
    return *more ? statement_set(expand, &expand->items[expand->at++], tx) : DX_OK;
}

dx_status dx_expand_row(dx_expand *expand, const dx_row *row) {
    const dx_expansion *item = &expand->items[expand->at - 1];
    dx_value id = dx_row_value(row, 0);
    expanded *known = dx_map_get(&item->by_id, id_key(&id));
    if (!known) return DX_OK;
    known->start = expand->text.size;
    dx_resource_write_row(&expand->text, item->field->target, row, NULL);
    known->size = expand->text.size - known->start;
    return dx_buffer_status(&expand->text);
}

void dx_expand_write(const dx_expand *expand, dx_buffer *out, size_t at) {
    for (uint16_t i = 0; i < expand->count; i++) {
        const dx_expansion *item = &expand->items[i];
        const expanded *found = item->of_row[at];
        if (out->size && out->data[out->size - 1] != '{') dx_buffer_byte(out, ',');
        dx_json_write_string(out, item->field->expand_name);
        dx_buffer_byte(out, ':');
        if (found && found->size)
            dx_buffer_append(out, expand->text.data + found->start, found->size);
        else
            DX_BUFFER_LIT(out, "null");
    }
    dx_buffer_byte(out, '}');
}
