// The statements of a list. A place in an order over (a, b, id) is not asked for as one condition with ORs, which no index serves, but as
// *segments* that follow each other: a and b equal and id beyond; then a equal and b beyond; then a beyond. Each is one range of an index
// over its keys, so a page costs the same wherever it lies. NULLs come first ascending and last descending, as a segment of their own
// where that matters.
#include "resource/list.h"

// --- conditions ----------------------------------------------------------------------------------------------------------------

static bool item_add(dx_list_plan *plan, uint16_t column, dx_compare compare, uint16_t param, uint16_t count) {
    dx_expr *expr = DX_ARENA_NEW(plan->call->arena, dx_expr);
    if (!expr) return false;
    *expr = (dx_expr){.kind = DX_EXPR_COMPARE, .column = column, .compare = compare, .param = param, .param_count = count};
    plan->items[plan->item_count++] = expr;
    return true;
}

static bool condition_add(dx_list_plan *plan, const dx_condition *condition) {
    uint16_t first = plan->param_count;
    for (uint16_t i = 0; i < condition->count; i++) plan->params[plan->param_count++] = condition->values[i];
    if (!condition->none_of) return item_add(plan, condition->column, condition->compare, first, condition->count);
    for (uint16_t i = 0; i < condition->count; i++)
        if (!item_add(plan, condition->column, DX_NOT_EQUAL, (uint16_t)(first + i), 1)) return false;
    return true;
}

// --- segments ------------------------------------------------------------------------------------------------------------------

static void segment_add(dx_list_plan *plan, uint16_t fixed, dx_compare compare) {
    plan->segments[plan->segment_count++] = (dx_segment){.fixed = fixed, .compare = compare};
}

// The rows whose key `at` lies beyond the cursor's while those before it are equal.
static void segments_beyond(dx_list_plan *plan, uint16_t at) {
    const dx_sort_key *key = &plan->view->keys[at];
    bool is_null = plan->cursor->values[at].type == DX_VALUE_NULL;
    bool at_end = at + 1 == plan->view->key_count && plan->cursor->inclusive;
    if (key->descending == plan->backward) { // ascending
        segment_add(plan, at, is_null ? DX_NOT_NULL : at_end ? DX_GREATER_EQUAL : DX_GREATER);
    } else if (!is_null) {
        segment_add(plan, at, at_end ? DX_LESS_EQUAL : DX_LESS);
        if (key->nullable) segment_add(plan, at, DX_IS_NULL);
    }
}

bool dx_list_plan_init(dx_list_plan *plan, dx_resource_call *call, const dx_view *view, const dx_cursor *cursor) {
    *plan = (dx_list_plan){.call = call, .view = view, .cursor = cursor};
    plan->scoped = dx_resource_scoped(call->resource, DX_ACTION_LIST, call->principal);
    size_t room = (size_t)view->value_count + view->condition_count + DX_SEGMENTS_CAP + 4;
    plan->items = DX_ARENA_ARRAY(call->arena, const dx_expr *, room);
    plan->params = DX_ARENA_ARRAY(call->arena, dx_value, room);
    if (!plan->items || !plan->params) return false;
    for (uint16_t i = 0; i < view->condition_count; i++)
        if (!condition_add(plan, &view->conditions[i])) return false;
    plan->owner_param = plan->param_count;
    if (plan->scoped) plan->params[plan->param_count++] = dx_resource_owner_value(call->principal);
    if (!cursor) {
        plan->segments[plan->segment_count++] = (dx_segment){.whole = true};
        return true;
    }
    plan->backward = cursor->backward;
    for (uint16_t at = view->key_count; at-- > 0;) segments_beyond(plan, at);
    return true;
}

// --- statements ----------------------------------------------------------------------------------------------------------------

// The conditions of a segment, behind those of the list; returns how many keys it pins.
static bool segment_items(dx_list_plan *plan, const dx_segment *segment, uint16_t *pinned) {
    *pinned = 0;
    if (segment->whole) return true;
    const dx_sort_key *keys = plan->view->keys;
    for (uint16_t i = 0; i < segment->fixed; i++) {
        dx_value value = plan->cursor->values[i];
        uint16_t param = plan->param_count;
        bool is_null = value.type == DX_VALUE_NULL;
        if (!is_null) plan->params[plan->param_count++] = value;
        if (!item_add(plan, keys[i].column, is_null ? DX_IS_NULL : DX_EQUAL, param, !is_null)) return false;
    }
    bool takes_value = segment->compare != DX_IS_NULL && segment->compare != DX_NOT_NULL;
    uint16_t param = plan->param_count;
    if (takes_value) plan->params[plan->param_count++] = plan->cursor->values[segment->fixed];
    *pinned = (uint16_t)(segment->fixed + (segment->compare == DX_IS_NULL));
    return item_add(plan, keys[segment->fixed].column, segment->compare, param, takes_value);
}

static const dx_expr *where(dx_list_plan *plan) {
    dx_arena *arena = plan->call->arena;
    dx_expr *all = DX_ARENA_NEW(arena, dx_expr);
    const dx_expr **items = DX_ARENA_ARRAY(arena, const dx_expr *, plan->item_count);
    if (!all || !items) return NULL;
    if (plan->item_count) memcpy(items, plan->items, plan->item_count * sizeof *items);
    *all = (dx_expr){.kind = DX_EXPR_AND, .items = items, .item_count = plan->item_count};
    return dx_resource_where(arena, plan->call->resource, plan->item_count ? all : NULL, plan->scoped, plan->owner_param);
}

static uint16_t order_fill(const dx_list_plan *plan, dx_order *order, uint16_t pinned) {
    uint16_t count = 0;
    for (uint16_t i = pinned; i < plan->view->key_count; i++)
        order[count++] = (dx_order){.column = plan->view->keys[i].column, .descending = plan->view->keys[i].descending != plan->backward};
    return count;
}

static dx_status statement_set(dx_list_plan *plan, dx_tx *tx, const dx_query *query) {
    tx->params = plan->params;
    tx->param_count = plan->param_count;
    return dx_statement_make(&tx->statement, plan->call->set->store, plan->call->arena, query);
}

dx_status dx_list_plan_rows(dx_list_plan *plan, dx_tx *tx, uint16_t segment, int64_t limit, int64_t offset) {
    uint16_t items = plan->item_count, params = plan->param_count, pinned;
    dx_order order[DX_QUERY_SORT_CAP + 1];
    dx_query query = DX_QUERY_INIT(DX_QUERY_SELECT, &plan->call->resource->table);
    query.columns = dx_resource_columns(plan->call->resource);
    query.column_count = plan->call->resource->table.column_count;
    dx_status status = DX_NO_MEMORY;
    if (segment_items(plan, &plan->segments[segment], &pinned) && (query.where = where(plan))) {
        query.order = order;
        query.order_count = order_fill(plan, order, pinned);
        query.limit_param = plan->param_count;
        plan->params[plan->param_count++] = DX_INT_VALUE(limit);
        if (offset) {
            query.offset_param = plan->param_count;
            plan->params[plan->param_count++] = DX_INT_VALUE(offset);
        }
        status = statement_set(plan, tx, &query);
    }
    plan->item_count = items;
    plan->param_count = params;
    return status;
}

dx_status dx_list_plan_count(dx_list_plan *plan, dx_tx *tx) {
    dx_query query = DX_QUERY_INIT(DX_QUERY_COUNT, &plan->call->resource->table);
    query.where = where(plan);
    return query.where ? statement_set(plan, tx, &query) : DX_NO_MEMORY;
}

// --- brief or not ----------------------------------------------------------------------------------------------------------------

static const dx_condition *equality_on(const dx_list_plan *plan, uint16_t column) {
    for (uint16_t i = 0; i < plan->view->condition_count; i++)
        if (plan->view->conditions[i].column == column && plan->view->conditions[i].compare == DX_EQUAL) return &plan->view->conditions[i];
    return NULL;
}

static bool is_range(dx_compare compare) {
    return compare == DX_LESS || compare == DX_LESS_EQUAL || compare == DX_GREATER || compare == DX_GREATER_EQUAL;
}

// An index over `columns` serves when conditions pin its first columns, its next ones are the order's, all one way, and no other condition
// is left than a range of the first key; or when it is unique and pinned whole, which leaves one row at most. `id_follows`: the index ends
// with the id though it is not said.
static bool index_serves(const dx_list_plan *plan, const uint16_t *columns, uint16_t count, bool unique, bool id_follows) {
    const dx_view *view = plan->view;
    int16_t owner = plan->scoped ? plan->call->resource->owner_column : -1;
    uint16_t at = 0, pinned = 0, key = 0;
    bool owner_pinned = !plan->scoped;
    for (; at < count && (columns[at] == owner || equality_on(plan, columns[at])); at++) {
        if (columns[at] == owner) owner_pinned = true;
        if (equality_on(plan, columns[at])) pinned++;
    }
    if (unique && at == count) return true;
    for (; at < count && key < view->key_count && columns[at] == view->keys[key].column; at++, key++)
        if (view->keys[key].descending != view->keys[0].descending) return false;
    if (key + 1 == view->key_count && at == count && id_follows && view->keys[key].column == 0 &&
        view->keys[key].descending == view->keys[0].descending)
        key++;
    if (!owner_pinned || key < view->key_count) return false;
    for (uint16_t i = 0; i < view->condition_count; i++)
        if (view->conditions[i].column == view->keys[0].column && is_range(view->conditions[i].compare)) pinned++;
    return pinned == view->condition_count;
}

bool dx_list_plan_is_brief(const dx_list_plan *plan) {
    const dx_resource *resource = plan->call->resource;
    // An offset counts through rows, a count through all; hidden rows may lie thick anywhere.
    if (plan->view->count_exact || plan->view->page > 1 || resource->soft_delete) return false;
    uint16_t id = 0;
    if (index_serves(plan, &id, 1, true, false)) return true;
    for (uint16_t i = 1; i < resource->table.column_count; i++) {
        const dx_column *column = &resource->table.columns[i];
        if ((column->indexed || column->unique) && index_serves(plan, &i, 1, column->unique, !resource->text_id)) return true;
    }
    for (uint16_t i = 0; i < resource->table.index_count; i++) {
        const dx_table_index *index = &resource->table.indexes[i];
        if (index_serves(plan, index->columns, index->column_count, index->unique, !resource->text_id)) return true;
    }
    return false;
}
