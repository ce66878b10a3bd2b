// Creating rows: one (the body is an object) or many in one transaction (an array), all or nothing. Everything that a body can be wrong in
// is found on the caller's loop; the writer's thread does what needs the store: references it cannot judge by itself, the insert, and the
// stored answer of an Idempotency-Key.
#include "codec/text.h"
#include "resource/idempotency.h"
#include "resource/list.h"

typedef enum create_state { BEGIN, LOOKING, CHECKING, INSERTING, RECORDING, STORING } create_state;

// --- in the transaction ----------------------------------------------------------------------------------------------------

static void stamp(dx_write *write) {
    const dx_resource *resource = write->call->resource;
    for (size_t r = 0; r < write->row_count; r++) {
        dx_value *row = dx_write_row(write, r);
        if (resource->created_column >= 0) row[resource->created_column] = DX_INT_VALUE(write->tx.now);
        if (resource->updated_column >= 0) row[resource->updated_column] = DX_INT_VALUE(write->tx.now);
    }
}

static dx_status take_row(dx_tx *tx, const dx_row *row) {
    dx_write *write = dx_write_of(tx);
    switch (write->state) {
    case LOOKING:
    case STORING:
        return dx_keyed_row(write->keyed, row);
    case INSERTING:
        dx_write_row(write, write->row)[0] = dx_row_value(row, 0); // numbered by the store
        return DX_OK;
    default:
        write->found = true;
        return DX_OK;
    }
}

static dx_tx_step look(dx_write *write) {
    switch (dx_keyed_before(write->keyed, &write->tx)) {
    case DX_KEYED_RUN:
        return DX_TX_RUN;
    case DX_KEYED_REPLAY:
        return DX_TX_COMMIT;
    case DX_KEYED_REUSED:
        return dx_write_refuse(write, DX_KEY_REUSED, "this Idempotency-Key was used with another request");
    case DX_KEYED_GO:
        break;
    }
    write->state = CHECKING;
    return DX_TX_COMMIT; // go on
}

static dx_tx_step insert(dx_write *write) {
    const dx_write_plans *plans = write->plans;
    const dx_value *row = dx_write_row(write, write->row);
    write->state = INSERTING;
    return dx_write_run(write, plans->insert, row + plans->insert_from, (size_t)(write->stride - plans->insert_from));
}

static dx_status answer_many(dx_write *write) {
    dx_resource_call *call = write->call;
    dx_buffer out;
    dx_buffer_init(&out, call->arena, DX_RESOURCE_OUT_CAP);
    dx_buffer_reserve(&out, 32 + write->row_count * (dx_resource_row_guess(call->resource) + 1));
    DX_BUFFER_LIT(&out, "{\"count\":");
    dx_buffer_u64(&out, write->row_count);
    DX_BUFFER_LIT(&out, ",\"results\":[");
    for (size_t r = 0; r < write->row_count; r++) {
        if (r) dx_buffer_byte(&out, ',');
        dx_write_show(&out, call->resource, dx_write_row(write, r));
    }
    DX_BUFFER_LIT(&out, "]}");
    call->out = dx_buffer_slice(&out);
    call->http = 201;
    return dx_buffer_status(&out);
}

static dx_status answer(dx_write *write) {
    return write->many ? answer_many(write) : dx_write_answer(write->call, write->rows, 201);
}

static dx_tx_step store_answer(dx_write *write) {
    if (!write->keyed) return DX_TX_COMMIT;
    if (write->state != STORING) {
        dx_status status = answer(write);
        if (status != DX_OK) return dx_write_refuse(write, status, NULL);
        write->state = STORING;
    }
    return dx_keyed_after(write->keyed, &write->tx) == DX_KEYED_RUN ? DX_TX_RUN : DX_TX_COMMIT;
}

// The present row is in: the next one, or the end.
static dx_tx_step inserted(dx_write *write) {
    if (++write->row == write->row_count) return store_answer(write);
    write->reference = 0;
    dx_tx_step step;
    write->state = CHECKING;
    return dx_write_check(write, &step) ? step : insert(write);
}

// Another process stored an answer under our key between our look and our insert.
static dx_tx_step explain(dx_write *write) {
    if (write->state != STORING || write->tx.status != DX_ALREADY_EXISTS) return dx_write_explain(write);
    return dx_write_refuse(write, DX_IN_FLIGHT, "a request with this Idempotency-Key has just been answered");
}

static dx_tx_step create_next(dx_tx *tx) {
    dx_write *write = dx_write_of(tx);
    dx_tx_step step;
    if (tx->status != DX_OK) return explain(write);
    switch ((create_state)write->state) {
    case BEGIN:
        stamp(write);
        write->state = write->keyed ? LOOKING : CHECKING;
        if (!write->keyed) break;
        DX_FALLTHROUGH;
    case LOOKING:
        step = look(write);
        if (write->state == LOOKING) return step;
        break;
    case CHECKING:
        break;
    case INSERTING:
        if (!write->plans->record) return inserted(write);
        write->state = RECORDING;
        return dx_write_record_row(write, DX_CHANGE_CREATE, dx_write_row(write, write->row));
    case RECORDING:
        return inserted(write);
    case STORING:
        return store_answer(write);
    }
    return dx_write_check(write, &step) ? step : insert(write);
}

static void create_done(dx_tx *tx, dx_status status) {
    dx_write *write = dx_write_of(tx);
    if (write->keyed) dx_keyed_leave(write->keyed);
    if (status == DX_OK && !write->keyed && answer(write) != DX_OK) dx_write_answer_bare(write->call, 201);
    if (status != DX_OK) {
        dx_write_fail(write, status);
        return;
    }
    write->call->status = DX_OK;
    write->call->done(write->call);
}

// --- before the transaction ------------------------------------------------------------------------------------------------

// What is known of a new row without the store.
static dx_status begin_row(const dx_write *write, dx_value *row) {
    const dx_resource *resource = write->call->resource;
    if (resource->owner_column >= 0) row[resource->owner_column] = dx_resource_owner_value(write->call->principal);
    if (resource->version_column >= 0) row[resource->version_column] = DX_INT_VALUE(1);
    if (!resource->text_id) return DX_OK;
    char *id = dx_arena_bytes(write->call->arena, DX_UUID_TEXT_SIZE);
    if (!id) return DX_NO_MEMORY;
    dx_uuid_v7(id, dx_clock_utc());
    row[0] = DX_TEXT_VALUE(dx_slice_of(id, DX_UUID_TEXT_SIZE));
    return DX_OK;
}

static dx_status bind_one(dx_write *write, yyjson_val *body) {
    dx_resource_call *call = write->call;
    dx_bind bind = {.binder = &write->plans->binder, .mode = DX_BIND_CREATE, .arena = call->arena, .findings = &call->findings};
    if (write->many) bind.at = dx_json_pointer_index(call->arena, (dx_slice){NULL, 0}, write->row);
    dx_value *row = dx_write_row(write, write->row);
    dx_status status = dx_bind_row(&bind, body, row);
    return status == DX_OK ? begin_row(write, row) : status;
}

static dx_status check_count(dx_write *write, size_t count) {
    dx_diags *findings = &write->call->findings;
    const dx_slice whole = {NULL, 0};
    if (count > write->call->resource->bulk_cap) {
        dx_diags_add(findings, DX_INVALID, whole, "has %zu rows; at most %u can be created at once", count,
                     write->call->resource->bulk_cap);
        return DX_INVALID;
    }
    if (count == 0) {
        dx_diags_add(findings, DX_INVALID, whole, "expected at least one row");
        return DX_INVALID;
    }
    return DX_OK;
}

static dx_status bind_many(dx_write *write, yyjson_val *rows) {
    dx_status worst = DX_OK;
    yyjson_arr_iter items;
    yyjson_arr_iter_init(rows, &items);
    for (yyjson_val *item; (item = yyjson_arr_iter_next(&items)); write->row++) {
        dx_status status = bind_one(write, item);
        if (status == DX_INVALID) {
            worst = status;
        } else if (status != DX_OK) {
            return status;
        }
    }
    write->row = 0;
    return worst;
}

static dx_status bind_body(dx_write *write, yyjson_val *body) {
    write->many = yyjson_is_arr(body);
    write->row_count = write->many ? yyjson_arr_size(body) : 1;
    dx_status status = write->many ? check_count(write, write->row_count) : DX_OK;
    if (status != DX_OK) return status;
    size_t count = write->row_count * write->stride;
    write->rows = dx_arena_alloc(write->call->arena, count * sizeof *write->rows);
    if (!write->rows) return DX_NO_MEMORY;
    return write->many ? bind_many(write, body) : bind_one(write, body);
}

static dx_status enter(dx_write *write) {
    dx_resource_call *call = write->call;
    if (!call->idempotency_key.data) return DX_OK;
    const char *reason = NULL;
    dx_status status = dx_keyed_read(&write->keyed, call, &reason);
    if (status == DX_OK) {
        status = dx_keyed_enter(write->keyed);
        reason = "another request with this Idempotency-Key is being answered";
    }
    if (status == DX_OK) return DX_OK;
    write->keyed = NULL;
    if (status != DX_NO_MEMORY) write->detail = dx_slice_str(reason);
    return status;
}

void dx_resource_create(dx_resource_call *call) {
    dx_write *write = dx_write_begin(call, create_next, create_done);
    if (!write) {
        dx_resource_fail(call, DX_NO_MEMORY, NULL);
        return;
    }
    write->tx.row = take_row;
    yyjson_val *body = NULL;
    dx_status status = call->resource->owned && !call->principal ? DX_UNAUTHENTICATED : dx_write_body(write, &body);
    if (status == DX_OK) status = bind_body(write, body);
    if (status == DX_OK) status = enter(write);
    if (status == DX_OK) {
        dx_resource_submit(call, &write->tx);
    } else {
        dx_write_fail(write, status);
    }
}
