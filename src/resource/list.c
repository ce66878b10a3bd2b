// A page of a list: counted when asked for, fetched segment by segment (plan.c), expanded, and put together as
// {"count", "next", "previous", "results"}. Rows are rendered as they come, in the store's hands; a page read backwards is turned round
// when it is put together. One row more than the page holds tells whether there is a next page.
#include "resource/list.h"
#include "codec/http.h"

typedef struct list_run {
    dx_tx tx;
    dx_resource_call *call;
    dx_view view;
    dx_cursor given;
    uint64_t binding;
    dx_list_plan plan;
    dx_expand expand;
    enum { COUNTING, FETCHING, EXPANDING } phase;
    uint16_t segment;
    bool has_more, too_long;
    int64_t total;
    size_t row_count, *ends; // of each row in `rows`
    dx_buffer rows, out;
    dx_cursor first, last; // places of the first row that came and of the last one of a full page
} list_run;

// --- rows ------------------------------------------------------------------------------------------------------------------------

static dx_status place_keep(list_run *run, dx_cursor *place, const dx_row *row) {
    place->count = run->view.key_count;
    for (uint16_t i = 0; i < place->count; i++) {
        dx_value value = dx_row_value(row, run->view.keys[i].column);
        if (value.type == DX_VALUE_TEXT) {
            if (value.text.size > DX_CURSOR_TEXT_CAP) value.text.size = DX_CURSOR_TEXT_CAP + 1; // writing it will say so
            value.text = dx_arena_copy(run->call->arena, value.text);
            if (!value.text.data) return DX_NO_MEMORY;
        }
        place->values[i] = value;
    }
    return DX_OK;
}

static dx_status row_fetched(list_run *run, const dx_row *row) {
    if (run->row_count == run->view.page_size) {
        run->has_more = true;
        return DX_OK;
    }
    size_t at = run->row_count++;
    dx_resource_write_row(&run->rows, run->call->resource, row, run->view.whole ? NULL : &run->view.projection);
    run->ends[at] = run->rows.size;
    if (run->expand.count && !dx_expand_note(&run->expand, at, row)) return DX_NO_MEMORY;
    if (run->view.by_cursor) {
        dx_status status = DX_OK;
        if (at == 0) status = place_keep(run, &run->first, row);
        if (!status && at + 1 == run->view.page_size) status = place_keep(run, &run->last, row);
        if (status) return status;
    }
    return dx_buffer_status(&run->rows);
}

static dx_status list_row(dx_tx *tx, const dx_row *row) {
    list_run *run = DX_CONTAINER_OF(tx, list_run, tx);
    switch (run->phase) {
    case COUNTING:
        run->total = dx_row_value(row, 0).integer;
        return DX_OK;
    case FETCHING:
        return row_fetched(run, row);
    default:
        return dx_expand_row(&run->expand, row);
    }
}

// --- statements ------------------------------------------------------------------------------------------------------------------

static dx_status fetch_next(list_run *run, bool *more) {
    *more = !run->has_more && run->segment < run->plan.segment_count;
    if (!*more) return DX_OK;
    int64_t left = (int64_t)run->view.page_size + 1 - (int64_t)run->row_count;
    int64_t offset = run->view.by_cursor ? 0 : (int64_t)(run->view.page - 1) * run->view.page_size;
    return dx_list_plan_rows(&run->plan, &run->tx, run->segment++, left, offset);
}

static dx_tx_step list_next(dx_tx *tx) {
    list_run *run = DX_CONTAINER_OF(tx, list_run, tx);
    bool more = false;
    if (tx->status) return DX_TX_ROLLBACK;
    if (run->phase == COUNTING) {
        if (run->view.count_exact && run->total < 0) {
            run->total = 0;
            tx->status = dx_list_plan_count(&run->plan, tx);
            return tx->status ? DX_TX_ROLLBACK : DX_TX_RUN;
        }
        run->phase = FETCHING;
    }
    if (run->phase == FETCHING) {
        tx->status = fetch_next(run, &more);
        if (tx->status) return DX_TX_ROLLBACK;
        if (more) return DX_TX_RUN;
        run->phase = EXPANDING;
    }
    tx->status = dx_expand_next(&run->expand, tx, &more);
    if (tx->status) return DX_TX_ROLLBACK;
    return more ? DX_TX_RUN : DX_TX_COMMIT;
}

// --- the answer --------------------------------------------------------------------------------------------------------------------

static void write_link(list_run *run, dx_slice name, dx_slice value) {
    dx_slice link = value.data ? dx_view_link(run->call, name, value) : (dx_slice){0};
    if (link.data)
        dx_json_write_string(&run->out, link);
    else if (run->out.status == DX_OK)
        run->out.status = DX_NO_MEMORY;
}

static void write_page_link(list_run *run, bool exists, int64_t page) {
    if (exists)
        write_link(run, DX_SLICE("page"), dx_arena_printf(run->call->arena, "%lld", (long long)page));
    else
        DX_BUFFER_LIT(&run->out, "null");
}

static void write_cursor_link(list_run *run, dx_cursor place, bool backward) {
    bool too_long = false;
    place.backward = backward;
    dx_slice text = dx_cursor_write(run->call->arena, run->call->set->cursor_key, run->binding, &place, &too_long);
    run->too_long |= too_long;
    write_link(run, DX_SLICE("cursor"), text);
}

// One way from a page by cursor. `ahead`: the way the page was read.
static void write_way(list_run *run, bool backward) {
    bool ahead = backward == run->plan.backward;
    if (ahead ? !run->has_more : run->plan.cursor == NULL) {
        DX_BUFFER_LIT(&run->out, "null");
    } else if (run->row_count) {
        write_cursor_link(run, ahead ? run->last : run->first, backward);
    } else { // an empty page: back to where it was asked from, and with that row if it lay behind
        dx_cursor place = run->given;
        place.inclusive = !place.inclusive;
        write_cursor_link(run, place, backward);
    }
}

static void write_links(list_run *run) {
    const dx_view *view = &run->view;
    DX_BUFFER_LIT(&run->out, ",\"next\":");
    if (view->by_cursor)
        write_way(run, false);
    else
        write_page_link(run, run->has_more, (int64_t)view->page + 1);
    DX_BUFFER_LIT(&run->out, ",\"previous\":");
    if (view->by_cursor) {
        write_way(run, true);
    } else {
        // Behind the end, previous is the last page there is, where that is known.
        int64_t previous = (int64_t)view->page - 1, last = (run->total + view->page_size - 1) / view->page_size;
        if (view->count_exact && previous > last) previous = last > 0 ? last : 1;
        write_page_link(run, view->page > 1, previous);
    }
}

static void write_results(list_run *run) {
    DX_BUFFER_LIT(&run->out, ",\"results\":[");
    for (size_t i = 0; i < run->row_count; i++) {
        size_t at = run->plan.backward ? run->row_count - 1 - i : i;
        size_t start = at ? run->ends[at - 1] : 0;
        if (i) dx_buffer_byte(&run->out, ',');
        dx_buffer_append(&run->out, run->rows.data + start, run->ends[at] - start);
        if (run->expand.count) dx_expand_write(&run->expand, &run->out, at);
    }
    DX_BUFFER_LIT(&run->out, "]}");
}

static dx_status answer(list_run *run) {
    dx_resource_call *call = run->call;
    dx_buffer_init(&run->out, call->arena, DX_RESOURCE_OUT_CAP);
    dx_buffer_reserve(&run->out, run->rows.size + run->expand.text.size + 2 * call->query.size + 512);
    DX_BUFFER_LIT(&run->out, "{\"count\":");
    if (run->view.count_exact)
        dx_buffer_i64(&run->out, run->total);
    else
        DX_BUFFER_LIT(&run->out, "null");
    write_links(run);
    write_results(run);
    dx_status status = dx_buffer_status(&run->out);
    if (status) return status;
    call->out = dx_buffer_slice(&run->out);
    call->etag = dx_resource_body_etag(call->arena, call->out);
    if (!call->etag.data) return DX_NO_MEMORY;
    status = dx_resource_precondition(call);
    if (status) return status;
    call->http = 200;
    if (call->if_none_match.data && dx_http_etag_in(call->if_none_match, call->etag, true)) {
        call->http = 304;
        call->out = (dx_slice){0};
    }
    return DX_OK;
}

// --- running -------------------------------------------------------------------------------------------------------------------------

static bool run_begin(list_run *run) {
    dx_arena *arena = run->call->arena;
    run->phase = COUNTING;
    run->segment = 0;
    run->has_more = false;
    run->total = -1;
    run->row_count = 0;
    dx_buffer_init(&run->rows, arena, DX_RESOURCE_OUT_CAP);
    run->ends = DX_ARENA_ARRAY(arena, size_t, run->view.page_size);
    return run->ends && dx_expand_init(&run->expand, run->call, &run->view, run->view.page_size);
}

static void list_done(dx_tx *tx, dx_status status) {
    list_run *run = DX_CONTAINER_OF(tx, list_run, tx);
    dx_resource_call *call = run->call;
    // What was taken for brief was not: many rows that a condition passes over. Off the loop it has more time.
    if (status == DX_STORE_TIMEOUT && tx->mode == DX_TX_BRIEF && run_begin(run)) {
        run->tx = (dx_tx){.mode = DX_TX_READ, .next = list_next, .row = list_row, .done = list_done};
        dx_resource_submit(call, &run->tx);
        return;
    }
    if (status == DX_OK) status = answer(run);
    if (run->too_long) {
        dx_resource_complain(call, DX_SLICE("sort"), "values of this order are longer than %d bytes, which no cursor holds; use page",
                             DX_CURSOR_TEXT_CAP);
        status = DX_INVALID;
    }
    if (dx_resource_outgrew(call, status)) {
        dx_resource_complain(call, DX_SLICE("page_size"),
                             "the rows of this page are too large for one answer: ask for fewer, or for fewer fields");
        status = DX_INVALID;
    }
    if (status) {
        dx_resource_fail(call, status, status == DX_INVALID ? "the query string is not right" : NULL);
        return;
    }
    call->status = DX_OK;
    call->done(call);
}

static dx_status cursor_read(list_run *run) {
    run->binding = dx_cursor_binding(run->call->resource, &run->view);
    if (!run->view.cursor.size) return DX_OK;
    bool good = dx_cursor_read(&run->given, run->call->arena, run->call->set->cursor_key, run->binding, &run->view, run->view.cursor);
    return good ? DX_OK : DX_BAD_CURSOR;
}

static dx_status prepare(list_run *run) {
    dx_status status;
    if (!dx_view_read(&run->view, run->call, true, &status)) return status;
    if (run->view.by_cursor && (status = cursor_read(run))) return status;
    const dx_cursor *cursor = run->view.by_cursor && run->view.cursor.size ? &run->given : NULL;
    if (!dx_list_plan_init(&run->plan, run->call, &run->view, cursor) || !run_begin(run)) return DX_NO_MEMORY;
    return DX_OK;
}

void dx_resource_list(dx_resource_call *call) {
    list_run *run = DX_ARENA_NEW(call->arena, list_run);
    dx_status status = run ? DX_OK : DX_NO_MEMORY;
    if (run) {
        run->call = call;
        status = prepare(run);
    }
    if (status) {
        const char *detail = status == DX_INVALID ? "the query string is not right"
                             : status == DX_BAD_CURSOR
                                 ? "the cursor is damaged, or was made for another order, other filters or an earlier model"
                                 : NULL;
        dx_resource_fail(call, status, detail ? "%s" : NULL, detail);
        return;
    }
    run->tx = (dx_tx){
        .mode = dx_list_plan_is_brief(&run->plan) ? DX_TX_BRIEF : DX_TX_READ, .next = list_next, .row = list_row, .done = list_done};
    dx_resource_submit(call, &run->tx);
}
