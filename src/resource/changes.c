// Reading a change log: a page of changes, and the rows they speak of as they are now. See changes.h.
#include "resource/changes.h"

#include "codec/text.h"
#include "resource/write.h"

// --- statements ------------------------------------------------------------------------------------------------------------

static const uint16_t all_columns[DX_LOG_COLUMNS] = {DX_LOG_SEQUENCE, DX_LOG_ROW, DX_LOG_KIND, DX_LOG_OWNER, DX_LOG_VERSION, DX_LOG_AT};
static const uint16_t end_columns[] = {DX_LOG_SEQUENCE, DX_LOG_AT};
static const dx_order upwards = {.column = DX_LOG_SEQUENCE};
static const dx_order downwards = {.column = DX_LOG_SEQUENCE, .descending = true};

static dx_status keep_end(const dx_statement **out, const dx_change_log *log, const dx_order *order, dx_keep *kept) {
    dx_query query = DX_QUERY_INIT(DX_QUERY_SELECT, &log->table);
    query.columns = end_columns;
    query.column_count = DX_COUNT_OF(end_columns);
    query.order = order;
    query.order_count = 1;
    query.limit_param = 0;
    return dx_statement_keep(out, kept, &query);
}

static dx_status keep_after(dx_change_log *log, dx_keep *kept) {
    static const dx_expr behind = {.kind = DX_EXPR_COMPARE, .column = DX_LOG_SEQUENCE, .compare = DX_GREATER};
    dx_query query = DX_QUERY_INIT(DX_QUERY_SELECT, &log->table);
    query.columns = all_columns;
    query.column_count = DX_LOG_COLUMNS;
    query.where = &behind;
    query.order = &upwards;
    query.order_count = 1;
    query.limit_param = 1;
    return dx_statement_keep(&log->after, kept, &query);
}

dx_status dx_resource_prepare_changes(const dx_resource *resource, dx_keep *kept) {
    static const dx_expr up_to = {.kind = DX_EXPR_COMPARE, .column = DX_LOG_SEQUENCE, .compare = DX_LESS_EQUAL};
    dx_change_log *log = resource->changes;
    if (!log) return DX_OK;
    dx_query insert = DX_QUERY_INIT(DX_QUERY_INSERT, &log->table);
    insert.columns = all_columns + 1;
    insert.column_count = DX_LOG_COLUMNS - 1;
    dx_query forget = DX_QUERY_INIT(DX_QUERY_DELETE, &log->table);
    forget.where = &up_to;
    dx_status status = dx_statement_keep(&log->insert, kept, &insert);
    if (status == DX_OK) status = dx_statement_keep(&log->forget, kept, &forget);
    if (status == DX_OK) status = keep_end(&log->oldest, log, &upwards, kept);
    if (status == DX_OK) status = keep_end(&log->newest, log, &downwards, kept);
    return status == DX_OK ? keep_after(log, kept) : status;
}

// --- a page ----------------------------------------------------------------------------------------------------------------

typedef enum page_state { BEGIN, OLDEST, NEWEST, PAGE, ROW } page_state;

typedef struct page_read {
    dx_tx tx;
    dx_change_page *page;
    dx_arena *arena;
    const dx_resource *resource;
    page_state state;
    bool ends;
    int64_t after;
    size_t limit, row, bytes;
    dx_value params[2];
    dx_status outcome;
} page_read;

static dx_tx_step run(page_read *read, page_state state, const dx_statement *statement, size_t params) {
    read->state = state;
    read->tx.statement = statement;
    read->tx.params = read->params;
    read->tx.param_count = params;
    return DX_TX_RUN;
}

// A change whose row is gone, or that took it away, needs no look.
static dx_tx_step next_row(page_read *read) {
    dx_change_page *page = read->page;
    while (read->row < page->count && page->items[read->row].kind == DX_CHANGE_DELETE) read->row++;
    if (read->row < page->count && read->bytes > DX_CHANGES_PAGE_BYTES) {
        page->count = read->row;
        page->more = true;
    }
    if (read->row >= page->count) return DX_TX_COMMIT;
    read->params[0] = page->items[read->row].row;
    return run(read, ROW, dx_resource_select_by_id(read->resource, false), 1);
}

static dx_tx_step read_page(page_read *read) {
    read->params[0] = DX_INT_VALUE(read->after);
    read->params[1] = DX_INT_VALUE((int64_t)read->limit + 1);
    return run(read, PAGE, read->resource->changes->after, 2);
}

static dx_tx_step page_next(dx_tx *tx) {
    page_read *read = DX_CONTAINER_OF(tx, page_read, tx);
    const dx_change_log *log = read->resource->changes;
    if (tx->status != DX_OK) return DX_TX_ROLLBACK;
    switch (read->state) {
    case BEGIN:
        if (read->ends) return run(read, OLDEST, log->oldest, 1);
        return read_page(read);
    case OLDEST:
        return run(read, NEWEST, log->newest, 1);
    case NEWEST:
        return read->limit ? read_page(read) : DX_TX_COMMIT;
    case PAGE:
        return next_row(read);
    case ROW:
        break;
    }
    read->row++;
    return next_row(read);
}

static dx_status take_change(page_read *read, const dx_row *row) {
    dx_change_page *page = read->page;
    if (page->count == read->limit) {
        page->more = true;
        return DX_OK;
    }
    dx_value *values = dx_write_keep(read->arena, row);
    if (!values) return DX_NO_MEMORY;
    page->items[page->count++] = (dx_change){.sequence = values[DX_LOG_SEQUENCE].integer,
                                             .kind = (dx_change_kind)values[DX_LOG_KIND].integer,
                                             .row = values[DX_LOG_ROW],
                                             .owner = values[DX_LOG_OWNER],
                                             .version = values[DX_LOG_VERSION],
                                             .at = values[DX_LOG_AT].integer};
    return DX_OK;
}

static dx_status take_row(page_read *read, const dx_row *row) {
    dx_value *values = dx_write_keep(read->arena, row);
    if (!values) return DX_NO_MEMORY;
    read->page->items[read->row].values = values;
    for (size_t i = 0; i < read->resource->table.column_count; i++) {
        if (values[i].type == DX_VALUE_TEXT || values[i].type == DX_VALUE_BLOB) read->bytes += values[i].text.size;
    }
    return DX_OK;
}

static dx_status page_row(dx_tx *tx, const dx_row *row) {
    page_read *read = DX_CONTAINER_OF(tx, page_read, tx);
    switch (read->state) {
    case OLDEST:
        read->page->oldest = dx_row_value(row, 0).integer;
        return DX_OK;
    case NEWEST:
        read->page->newest = dx_row_value(row, 0).integer;
        return DX_OK;
    case PAGE:
        return take_change(read, row);
    default:
        return take_row(read, row);
    }
}

static void page_done(dx_tx *tx, dx_status status) {
    DX_CONTAINER_OF(tx, page_read, tx)->outcome = status;
}

dx_status dx_changes_read(dx_change_page *page, dx_arena *arena, const dx_resource *resource, dx_session *session, int64_t after,
                          size_t limit, bool ends) {
    page_read read = {.page = page, .arena = arena, .resource = resource, .limit = limit < DX_CHANGES_PAGE ? limit : DX_CHANGES_PAGE};
    read.tx = (dx_tx){.mode = DX_TX_BRIEF, .next = page_next, .row = page_row, .done = page_done};
    read.params[0] = DX_INT_VALUE(1); // how many ends
    read.ends = ends;
    read.after = after;
    page->count = 0;
    page->oldest = page->newest = 0;
    page->more = false;
    dx_store_submit(session, &read.tx); // brief: done when this returns
    return read.outcome;
}

void dx_change_write(dx_buffer *out, const dx_resource *resource, const dx_change *change, size_t cap) {
    DX_BUFFER_LIT(out, "{\"id\":");
    dx_resource_write_value(out, resource->text_id ? DX_COLUMN_TEXT : DX_COLUMN_INTEGER, change->row);
    DX_BUFFER_LIT(out, ",\"version\":");
    dx_resource_write_value(out, DX_COLUMN_INTEGER, change->version);
    DX_BUFFER_LIT(out, ",\"at\":");
    dx_resource_write_value(out, DX_COLUMN_TIMESTAMP, DX_INT_VALUE(change->at));
    DX_BUFFER_LIT(out, ",\"row\":");
    size_t before = out->size;
    if (change->values) {
        dx_write_show(out, resource, change->values);
    } else {
        DX_BUFFER_LIT(out, "null");
    }
    if (out->size > cap && dx_buffer_status(out) == DX_OK) {
        out->size = before;
        DX_BUFFER_LIT(out, "null,\"omitted\":true");
    }
    dx_buffer_byte(out, '}');
}

// --- pruning ---------------------------------------------------------------------------------------------------------------

enum { PRUNE_BEGIN, PRUNE_OLDEST, PRUNE_NEWEST, PRUNE_PAGE, PRUNE_FORGET };

static dx_tx_step ask(dx_change_pruner *pruner, uint8_t state, const dx_statement *statement, int64_t param) {
    pruner->state = state;
    pruner->params[0] = DX_INT_VALUE(param);
    pruner->tx.statement = statement;
    pruner->tx.params = pruner->params;
    pruner->tx.param_count = 1;
    return DX_TX_RUN;
}

static bool is_over(const dx_change_pruner *pruner, int64_t sequence, dx_micros_utc at) {
    const dx_change_log *log = pruner->log;
    if (sequence >= pruner->newest) return false; // the newest says where the log stands
    return sequence <= pruner->newest - (int64_t)log->rows || at < pruner->tx.now - log->keep;
}

// First on the loop, up to NEWEST; then, in the writer's turn, all of it.
static dx_tx_step prune_next(dx_tx *tx) {
    dx_change_pruner *pruner = DX_CONTAINER_OF(tx, dx_change_pruner, tx);
    const dx_change_log *log = pruner->log;
    if (tx->status != DX_OK) return DX_TX_ROLLBACK;
    switch (pruner->state) {
    case PRUNE_BEGIN:
        pruner->oldest = pruner->newest = pruner->cut = 0;
        pruner->seen = 0;
        return ask(pruner, PRUNE_OLDEST, log->oldest, 1);
    case PRUNE_OLDEST:
        return ask(pruner, PRUNE_NEWEST, log->newest, 1);
    case PRUNE_NEWEST:
        if (tx->mode == DX_TX_BRIEF) return DX_TX_COMMIT;
        return ask(pruner, PRUNE_PAGE, log->oldest, DX_CHANGES_PRUNE_ROWS);
    case PRUNE_PAGE:
        return pruner->cut ? ask(pruner, PRUNE_FORGET, log->forget, pruner->cut) : DX_TX_COMMIT;
    default:
        return DX_TX_COMMIT;
    }
}

static dx_status prune_row(dx_tx *tx, const dx_row *row) {
    dx_change_pruner *pruner = DX_CONTAINER_OF(tx, dx_change_pruner, tx);
    int64_t sequence = dx_row_value(row, 0).integer;
    dx_micros_utc at = dx_row_value(row, 1).integer;
    if (pruner->state == PRUNE_OLDEST) {
        pruner->oldest = sequence;
        pruner->oldest_at = at;
    } else if (pruner->state == PRUNE_NEWEST) {
        pruner->newest = sequence;
    } else if (is_over(pruner, sequence, at)) {
        pruner->cut = sequence;
        pruner->seen++;
    }
    return DX_OK;
}

static void pruned(dx_tx *tx, dx_status status) {
    dx_change_pruner *pruner = DX_CONTAINER_OF(tx, dx_change_pruner, tx);
    pruner->done(pruner, status == DX_OK && pruner->seen == DX_CHANGES_PRUNE_ROWS);
}

static void looked(dx_tx *tx, dx_status status) {
    dx_change_pruner *pruner = DX_CONTAINER_OF(tx, dx_change_pruner, tx);
    if (status != DX_OK || !pruner->oldest || !is_over(pruner, pruner->oldest, pruner->oldest_at)) {
        pruner->done(pruner, false);
        return;
    }
    pruner->state = PRUNE_BEGIN;
    pruner->tx = (dx_tx){.mode = DX_TX_WRITE, .next = prune_next, .row = prune_row, .done = pruned};
    dx_store_submit(pruner->session, &pruner->tx);
}

void dx_changes_prune(dx_change_pruner *pruner, const dx_resource *resource, dx_session *session,
                      void (*done)(dx_change_pruner *pruner, bool more)) {
    *pruner = (dx_change_pruner){.log = resource->changes, .session = session, .done = done};
    pruner->tx = (dx_tx){.mode = DX_TX_BRIEF, .next = prune_next, .row = prune_row, .done = looked};
    dx_store_submit(session, &pruner->tx);
}
