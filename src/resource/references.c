// References of a row that is being written. The store itself refuses an id that no row has; what it cannot know is whether the caller may
// see the row: one of an owned resource must be the caller's own, and one that is soft-deleted is not there. Both read as "unknown", so
// that a reference tells nothing of other people's rows.
#include "resource/list.h"
#include "resource/write.h"

static dx_value reference_value(const dx_write *write, const dx_reference *reference) {
    return dx_write_row(write, write->row)[reference->field->column];
}

// A reference that was there before is not judged again: what it leads to may have been hidden since.
static bool is_new(const dx_write *write, const dx_reference *reference) {
    dx_value value = reference_value(write, reference);
    if (value.type == DX_VALUE_NULL) return false;
    return !write->current || !dx_bind_same(value, write->current[reference->field->column]);
}

static void complain(dx_write *write, const dx_reference *reference) {
    dx_slice pointer = dx_write_pointer(write, reference->field->name);
    dx_diags_add(&write->call->findings, DX_UNKNOWN_REFERENCE, pointer, "no row of \"%.*s\" has this id",
                 DX_SLICE_ARG(reference->field->target->name));
}

static bool run_check(dx_write *write, const dx_reference *reference, dx_tx_step *step) {
    bool scoped = dx_resource_scoped(reference->field->target, DX_ACTION_READ, write->call->principal);
    if ((!scoped && !reference->field->target->soft_delete) || !is_new(write, reference)) return false;
    write->checked = reference;
    write->params[0] = reference_value(write, reference);
    write->params[1] = dx_resource_owner_value(write->call->principal);
    *step = dx_write_run(write, reference->exists[scoped], write->params, scoped ? 2 : 1);
    return true;
}

bool dx_write_check(dx_write *write, dx_tx_step *step) {
    if (write->checked && !write->found) {
        complain(write, write->checked);
        *step = dx_write_refuse(write, DX_UNKNOWN_REFERENCE, NULL);
        return true;
    }
    write->checked = NULL;
    while (write->reference < write->plans->reference_count) {
        if (run_check(write, &write->plans->references[write->reference++], step)) return true;
    }
    return false;
}

// --- whom to blame ---------------------------------------------------------------------------------------------------------
// The store says that some reference leads nowhere, not which: with more than one to choose from, they are looked up afterwards.

typedef struct blame {
    dx_tx tx;
    dx_write *write;
    uint16_t next;
    const dx_reference *asked;
    bool found;
    dx_value param;
} blame;

static dx_status blame_row(dx_tx *tx, const dx_row *row) {
    (void)row;
    DX_CONTAINER_OF(tx, blame, tx)->found = true;
    return DX_OK;
}

static dx_tx_step blame_next(dx_tx *tx) {
    blame *self = DX_CONTAINER_OF(tx, blame, tx);
    dx_write *write = self->write;
    if (tx->status != DX_OK) return DX_TX_ROLLBACK;
    if (self->asked && !self->found) complain(write, self->asked);
    while (self->next < write->plans->reference_count) {
        const dx_reference *reference = &write->plans->references[self->next++];
        if (!is_new(write, reference)) continue;
        self->asked = reference;
        self->found = false;
        self->param = reference_value(write, reference);
        tx->statement = reference->exists[0];
        tx->params = &self->param;
        tx->param_count = 1;
        return DX_TX_RUN;
    }
    return DX_TX_COMMIT;
}

static void blame_done(dx_tx *tx, dx_status status) {
    (void)status; // the call fails as it does, whether or not we learned where
    dx_resource_fail(DX_CONTAINER_OF(tx, blame, tx)->write->call, DX_UNKNOWN_REFERENCE, NULL);
}

void dx_write_blame(dx_write *write) {
    const dx_reference *only = NULL;
    size_t candidates = 0;
    for (uint16_t r = 0; r < write->plans->reference_count; r++) {
        if (!is_new(write, &write->plans->references[r])) continue;
        only = &write->plans->references[r];
        candidates++;
    }
    blame *self = candidates > 1 ? DX_ARENA_NEW(write->call->arena, blame) : NULL;
    if (!self) {
        if (candidates == 1) complain(write, only);
        dx_resource_fail(write->call, DX_UNKNOWN_REFERENCE, NULL);
        return;
    }
    self->write = write;
    self->tx.mode = DX_TX_BRIEF;
    self->tx.next = blame_next;
    self->tx.row = blame_row;
    self->tx.done = blame_done;
    dx_resource_submit(write->call, &self->tx);
}
