// Changing a row: replaced whole (PUT), by a merge patch (RFC 7396) or by a JSON Patch (RFC 6902). All three make a new row from the old
// one, so all are a function of the row as it is, and the old row must still be the one that is written over.
//
// First the row is read and the new one worked out on the caller's loop, and the writer only runs an UPDATE that names the version that was
// read: its thread, which all connections share, does no more for a change than for an insert. When the version is another by then, or
// when the new row could not be made (a precondition, a failed test, nothing changed: what was read may have been out of date), the
// same is done again inside the write transaction, where the row cannot change, and that answer stands. So no update is lost, no answer is
// about a row that was not there, and there is no round of retries.
//
// A change that changes nothing writes nothing: version, entity tag and updated_at stay.
#include "codec/json_patch.h"
#include "resource/list.h"
#include "resource/write.h"

typedef enum change_kind { REPLACE, MERGE, PATCH } change_kind;
typedef enum change_state { BEGIN, READING, CHECKING, UPDATING, RECORDING } change_state;

typedef struct change {
    change_kind kind;
    yyjson_val *body;
    dx_value key[2]; // id and owner
    dx_value *params;
    dx_value *seen; // the row that was read
    dx_tx read;     // on the loop
    dx_write *write;
    bool locked; // the row was read within the write transaction
    bool unchanged;
} change;

static change *change_of(dx_write *write) {
    return write->more;
}

// --- from the old row to the new -------------------------------------------------------------------------------------------

static dx_status patched(change *self, yyjson_val *target, yyjson_val **out) {
    dx_resource_call *call = self->write->call;
    yyjson_mut_doc *doc = dx_json_mut_doc(call->arena);
    if (!doc) return DX_NO_MEMORY;
    yyjson_mut_val *result = NULL;
    dx_status status = self->kind == MERGE ? dx_json_merge_apply(&result, doc, target, self->body)
                                           : dx_json_patch_apply(&result, doc, target, self->body, &call->findings);
    yyjson_alc alc = dx_json_alc(call->arena);
    if (status == DX_OK) *out = yyjson_doc_get_root(yyjson_mut_val_imut_copy(result, &alc));
    if (status == DX_OK && !*out) status = DX_NO_MEMORY;
    if (!dx_resource_outgrew(call, status)) return status;
    self->write->detail = DX_SLICE("the patch makes the row too large");
    return DX_TOO_LARGE;
}

// Write-only members are not in what a JSON Patch works on: `copy` and `test` would tell them.
static dx_status result_of(change *self, yyjson_val **out) {
    *out = self->body;
    if (self->kind == REPLACE) return DX_OK;
    const dx_binder *binder = &self->write->plans->binder;
    yyjson_val *target = dx_bind_target(binder, self->seen, self->kind == MERGE, self->write->call->arena);
    return target ? patched(self, target, out) : DX_NO_MEMORY;
}

// Whether a write-only field is set, even to what it is: a version that stays would tell that the value was right.
static bool sets_hidden(const dx_resource *resource, yyjson_val *said) {
    for (uint16_t f = 0; f < resource->field_count; f++) {
        const dx_resource_field *field = &resource->fields[f];
        if (field->write_only && yyjson_obj_getn(said, field->name.data, field->name.size)) return true;
    }
    return false;
}

static bool is_unchanged(const dx_write *write, const change *self, yyjson_val *result) {
    if (sets_hidden(write->call->resource, self->kind == PATCH ? result : self->body)) return false;
    for (uint16_t c = 0; c < write->stride; c++) {
        if (!dx_bind_same(write->rows[c], self->seen[c])) return false;
    }
    return true;
}

// The new row in write->rows, from self->seen. Touches no more than the call's memory: runs on either thread.
static dx_status compute(dx_write *write) {
    static const dx_bind_mode modes[] = {[REPLACE] = DX_BIND_REPLACE, [MERGE] = DX_BIND_MERGE, [PATCH] = DX_BIND_PATCH};
    change *self = change_of(write);
    dx_resource_call *call = write->call;
    dx_diags_init(&call->findings, call->arena);
    write->current = self->seen;
    dx_status status = dx_write_condition(call, self->seen);
    yyjson_val *result = NULL;
    if (status == DX_OK) status = result_of(self, &result);
    if (status != DX_OK) return status;
    dx_bind bind = {.binder = &write->plans->binder,
                    .mode = modes[self->kind],
                    .current = self->seen,
                    .arena = call->arena,
                    .findings = &call->findings};
    status = dx_bind_row(&bind, result, write->rows);
    self->unchanged = status == DX_OK && is_unchanged(write, self, result);
    return status;
}

static dx_status keep_row(dx_write *write, const dx_row *row) {
    change *self = change_of(write);
    self->seen = dx_write_keep(write->call->arena, row);
    return self->seen ? DX_OK : DX_NO_MEMORY;
}

// --- in the write transaction ----------------------------------------------------------------------------------------------

static dx_tx_step read_again(dx_write *write) {
    change *self = change_of(write);
    self->seen = NULL;
    self->locked = true;
    write->state = READING;
    return dx_write_run(write, dx_resource_select_by_id(write->call->resource, write->scoped), self->key, write->scoped ? 2 : 1);
}

static dx_tx_step update(dx_write *write) {
    const dx_write_plans *plans = write->plans;
    const dx_resource *resource = write->call->resource;
    dx_value *params = change_of(write)->params;
    if (resource->updated_column >= 0) write->rows[resource->updated_column] = DX_INT_VALUE(write->tx.now);
    if (resource->version_column >= 0) write->rows[resource->version_column].integer++;
    for (uint16_t c = 0; c < plans->update_count; c++) params[c] = write->rows[plans->update_columns[c]];
    size_t count = plans->update_count;
    params[count++] = write->rows[0];
    if (resource->version_column >= 0) params[count++] = write->current[resource->version_column];
    write->state = UPDATING;
    return dx_write_run(write, plans->update, params, count);
}

static dx_tx_step check_and_update(dx_write *write) {
    dx_tx_step step;
    write->state = CHECKING;
    return dx_write_check(write, &step) ? step : update(write);
}

static dx_tx_step judge(dx_write *write) {
    change *self = change_of(write);
    if (!self->seen) return dx_write_refuse(write, DX_NOT_FOUND, NULL);
    dx_status status = compute(write);
    if (status != DX_OK) return dx_write_refuse(write, status, NULL);
    if (self->unchanged) return DX_TX_COMMIT;
    write->reference = 0;
    write->checked = NULL;
    return check_and_update(write);
}

static dx_tx_step record(dx_write *write) {
    if (!write->plans->record) return DX_TX_COMMIT;
    write->state = RECORDING;
    return dx_write_record_row(write, DX_CHANGE_UPDATE, write->rows);
}

static dx_tx_step change_next(dx_tx *tx) {
    dx_write *write = dx_write_of(tx);
    if (tx->status != DX_OK) return dx_write_explain(write);
    switch ((change_state)write->state) {
    case BEGIN:
        return read_again(write);
    case READING:
        return judge(write);
    case CHECKING:
        return check_and_update(write);
    case UPDATING:
        break;
    case RECORDING:
        return DX_TX_COMMIT;
    }
    if (tx->changes > 0) return record(write);
    return change_of(write)->locked ? dx_write_refuse(write, DX_INTERNAL, NULL) : read_again(write);
}

static dx_status take_row(dx_tx *tx, const dx_row *row) {
    dx_write *write = dx_write_of(tx);
    write->found = true;
    return write->state == READING ? keep_row(write, row) : DX_OK;
}

static void change_done(dx_tx *tx, dx_status status) {
    dx_write *write = dx_write_of(tx);
    // Whoever may change a row but not read it is not shown what else stands in it.
    bool shown = dx_resource_allowed(write->call->resource, DX_ACTION_READ, write->call->principal);
    if (status == DX_OK && (!shown || dx_write_answer(write->call, write->rows, 200) != DX_OK)) dx_write_answer_bare(write->call, 204);
    if (status != DX_OK) {
        dx_write_fail(write, status);
        return;
    }
    write->call->status = DX_OK;
    write->call->done(write->call);
}

// --- on the loop -----------------------------------------------------------------------------------------------------------

static dx_tx_step first_read_next(dx_tx *tx) {
    change *self = DX_CONTAINER_OF(tx, change, read);
    if (tx->status != DX_OK) return DX_TX_ROLLBACK;
    if (tx->statement) return DX_TX_COMMIT;
    tx->statement = dx_resource_select_by_id(self->write->call->resource, self->write->scoped);
    tx->params = self->key;
    tx->param_count = self->write->scoped ? 2 : 1;
    return DX_TX_RUN;
}

static dx_status first_read_row(dx_tx *tx, const dx_row *row) {
    return keep_row(DX_CONTAINER_OF(tx, change, read)->write, row);
}

// What does not depend on the row stands as it is. Fields that a replacement may not set never change, so what is wrong with one stays
// wrong.
static bool is_final(const change *self, dx_status status) {
    return status == DX_MALFORMED || status == DX_NO_MEMORY || status == DX_TOO_LARGE || (status == DX_INVALID && self->kind == REPLACE);
}

static void first_read_done(dx_tx *tx, dx_status status) {
    change *self = DX_CONTAINER_OF(tx, change, read);
    dx_write *write = self->write;
    if (status == DX_OK && self->seen) {
        status = compute(write);
        if (is_final(self, status)) {
            dx_write_fail(write, status);
            return;
        }
        // With a version to compare, the new row may be tried at once.
        if (status == DX_OK && !self->unchanged && write->call->resource->version_column >= 0) write->state = CHECKING;
    }
    dx_resource_submit(write->call, &write->tx);
}

// The operation `test` of a JSON Patch tells what stands in a row.
static dx_status may_patch(dx_write *write, change_kind kind) {
    const dx_resource_call *call = write->call;
    if (kind != PATCH || dx_resource_allowed(call->resource, DX_ACTION_READ, call->principal)) return DX_OK;
    write->detail = DX_SLICE("a JSON Patch reads the row, which the caller may not: send a merge patch");
    return call->principal ? DX_FORBIDDEN : DX_UNAUTHENTICATED;
}

static dx_status change_begin(dx_write *write, change_kind kind) {
    dx_resource_call *call = write->call;
    change *self = DX_ARENA_NEW(call->arena, change);
    write->rows = DX_ARENA_ARRAY(call->arena, dx_value, write->stride);
    if (!self || !write->rows) return DX_NO_MEMORY;
    self->params = DX_ARENA_ARRAY(call->arena, dx_value, write->plans->update_count + 2u);
    if (!self->params) return DX_NO_MEMORY;
    write->more = self;
    write->row_count = 1;
    write->tx.row = take_row;
    self->write = write;
    self->kind = kind;
    dx_status status = dx_write_precondition(call);
    if (status == DX_OK) status = may_patch(write, kind);
    if (status == DX_OK) status = dx_write_body(write, &self->body);
    if (status != DX_OK) return status;
    write->scoped = dx_resource_scoped(call->resource, kind == REPLACE ? DX_ACTION_REPLACE : DX_ACTION_CHANGE, call->principal);
    self->key[1] = dx_resource_owner_value(call->principal);
    return dx_resource_id_read(call->resource, call->arena, call->id, &self->key[0]) ? DX_OK : DX_NOT_FOUND;
}

static void change_start(dx_resource_call *call, change_kind kind) {
    dx_write *write = dx_write_begin(call, change_next, change_done);
    if (!write) {
        dx_resource_fail(call, DX_NO_MEMORY, NULL);
        return;
    }
    dx_status status = change_begin(write, kind);
    if (status != DX_OK) {
        dx_write_fail(write, status);
        return;
    }
    change *self = change_of(write);
    self->read.mode = DX_TX_BRIEF;
    self->read.next = first_read_next;
    self->read.row = first_read_row;
    self->read.done = first_read_done;
    dx_resource_submit(call, &self->read);
}

void dx_resource_replace(dx_resource_call *call) {
    change_start(call, REPLACE);
}

void dx_resource_merge(dx_resource_call *call) {
    change_start(call, MERGE);
}

void dx_resource_patch(dx_resource_call *call) {
    change_start(call, PATCH);
}
