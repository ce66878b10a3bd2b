// Runs a script: see script.h. No statement is chosen here, only the order kept and the first failure handed on.
#include "identity/script.h"

static void note_conflict(dx_script *self) {
    size_t size = self->tx.conflict.size < sizeof self->conflict - 1 ? self->tx.conflict.size : sizeof self->conflict - 1;
    if (size) memcpy(self->conflict, self->tx.conflict.data, size);
    self->conflict[size] = 0;
}

static dx_tx_step next(dx_tx *tx) {
    dx_script *self = DX_CONTAINER_OF(tx, dx_script, tx);
    if (tx->status != DX_OK) {
        if (tx->status == DX_ALREADY_EXISTS) note_conflict(self);
        return DX_TX_ROLLBACK;
    }
    if (self->at && self->steps[self->at - 1].must_change && tx->changes == 0) {
        tx->status = DX_NOT_FOUND;
        return DX_TX_ROLLBACK;
    }
    if (self->at == self->count) return DX_TX_COMMIT;
    const dx_step *step = &self->steps[self->at++];
    tx->statement = step->statement;
    tx->params = step->params;
    tx->param_count = step->param_count;
    return DX_TX_RUN;
}

static dx_status row(dx_tx *tx, const dx_row *shown) {
    dx_script *self = DX_CONTAINER_OF(tx, dx_script, tx);
    const dx_step *step = &self->steps[self->at - 1];
    return step->row ? step->row(self->ctx, shown) : DX_OK;
}

static void done(dx_tx *tx, dx_status status) {
    dx_script *self = DX_CONTAINER_OF(tx, dx_script, tx);
    self->outcome = status;
    if (self->done) self->done(self, status);
}

void dx_script_init(dx_script *script, dx_tx_mode mode, const dx_step *steps, size_t count, void *ctx) {
    memset(script, 0, sizeof *script);
    script->tx.mode = mode;
    script->tx.next = next;
    script->tx.row = row;
    script->tx.done = done;
    script->steps = steps;
    script->count = count;
    script->ctx = ctx;
    script->outcome = DX_INTERNAL;
}
