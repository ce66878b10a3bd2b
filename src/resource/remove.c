// Deleting rows, one or many, for good or (soft deletion) by marking them. Many are deleted in one transaction, all or nothing: an id that
// no row of the caller's has undoes it all.
#include "codec/text.h"
#include "resource/list.h"
#include "resource/write.h"

#include <stdlib.h>

typedef enum remove_state { BEGIN, READING, REMOVING, RECORDING, ASKING } remove_state;

typedef struct removal {
    dx_value *ids;
    size_t count, cap;
    dx_value *seen;              // one row, when there is a precondition
    const dx_referrer *referrer; // the one that is asked
    dx_value params[4];
    dx_value version, owner; // of the row that went, for the change log
} removal;

static removal *removal_of(dx_write *write) {
    return write->more;
}

// --- in the transaction ----------------------------------------------------------------------------------------------------

static dx_tx_step remove_present(dx_write *write) {
    removal *self = removal_of(write);
    const dx_resource *resource = write->call->resource;
    size_t count = 0;
    if (resource->soft_delete) self->params[count++] = DX_INT_VALUE(write->tx.now);
    if (resource->soft_delete && resource->updated_column >= 0) self->params[count++] = DX_INT_VALUE(write->tx.now);
    self->params[count++] = self->ids[write->row];
    if (write->scoped) self->params[count++] = dx_resource_owner_value(write->call->principal);
    write->state = REMOVING;
    return dx_write_run(write, write->plans->remove[write->scoped], self->params, count);
}

static dx_tx_step read_present(dx_write *write) {
    removal *self = removal_of(write);
    self->params[0] = self->ids[0];
    self->params[1] = dx_resource_owner_value(write->call->principal);
    write->state = READING;
    return dx_write_run(write, dx_resource_select_by_id(write->call->resource, write->scoped), self->params, write->scoped ? 2 : 1);
}

static dx_tx_step not_found(dx_write *write) {
    if (!write->many) return dx_write_refuse(write, DX_NOT_FOUND, NULL);
    dx_value id = removal_of(write)->ids[write->row];
    if (id.type == DX_VALUE_TEXT)
        return dx_write_refuse(write, DX_NOT_FOUND, "there is no row with the id \"%.*s\"; nothing was deleted", DX_SLICE_ARG(id.text));
    return dx_write_refuse(write, DX_NOT_FOUND, "there is no row with the id %lld; nothing was deleted", (long long)id.integer);
}

// Whether rows still show what is now hidden: the store does not know that hidden means gone.
static dx_tx_step ask_next(dx_write *write, const dx_referrer *referrer) {
    removal *self = removal_of(write);
    if (referrer) {
        self->referrer = referrer;
        self->params[0] = self->ids[write->row];
        self->params[1] = DX_INT_VALUE(1);
        write->state = ASKING;
        return dx_write_run(write, referrer->any, self->params, 2);
    }
    return ++write->row == self->count ? DX_TX_COMMIT : remove_present(write);
}

static dx_tx_step remove_next(dx_tx *tx) {
    dx_write *write = dx_write_of(tx);
    removal *self = removal_of(write);
    if (tx->status != DX_OK) return dx_write_explain(write);
    switch ((remove_state)write->state) {
    case BEGIN:
        return !write->many && dx_write_is_conditional(write->call) ? read_present(write) : remove_present(write);
    case READING:
        if (!self->seen) return not_found(write);
        dx_status status = dx_write_condition(write->call, self->seen);
        return status == DX_OK ? remove_present(write) : dx_write_refuse(write, status, NULL);
    case REMOVING:
        if (tx->changes == 0) return not_found(write);
        if (!write->plans->record) return ask_next(write, write->plans->referrers);
        write->state = RECORDING;
        return dx_write_record(write, DX_CHANGE_DELETE, self->ids[write->row], self->owner, self->version);
    case RECORDING:
        return ask_next(write, write->plans->referrers);
    case ASKING:
        break;
    }
    if (!write->found) return ask_next(write, self->referrer->next);
    return dx_write_refuse(write, DX_IN_USE, "rows of \"%.*s\" refer to this one", DX_SLICE_ARG(self->referrer->resource->name));
}

static dx_status take_row(dx_tx *tx, const dx_row *row) {
    dx_write *write = dx_write_of(tx);
    removal *self = removal_of(write);
    write->found = true;
    if (write->state == REMOVING) {
        self->version = dx_row_value(row, 0);
        self->owner = dx_row_columns(row) > 1 ? dx_row_value(row, 1) : DX_NULL_VALUE;
    }
    if (write->state != READING) return DX_OK;
    self->seen = dx_write_keep(write->call->arena, row);
    return self->seen ? DX_OK : DX_NO_MEMORY;
}

static void answer(dx_write *write) {
    dx_resource_call *call = write->call;
    dx_write_answer_bare(call, 204);
    if (!write->many) return;
    call->out = dx_arena_printf(call->arena, "{\"count\":%zu}", removal_of(write)->count);
    if (call->out.data) call->http = 200;
}

static void remove_done(dx_tx *tx, dx_status status) {
    dx_write *write = dx_write_of(tx);
    if (status != DX_OK) {
        dx_write_fail(write, status);
        return;
    }
    answer(write);
    write->call->status = DX_OK;
    write->call->done(write->call);
}

// --- which rows ------------------------------------------------------------------------------------------------------------

static dx_status no_such_id(dx_write *write, dx_slice text) {
    write->detail = dx_arena_printf(write->call->arena, "there is no row with the id \"%.*s\"; nothing was deleted", DX_SLICE_ARG(text));
    return DX_NOT_FOUND;
}

static dx_status add_id(dx_write *write, dx_value id) {
    removal *self = removal_of(write);
    if (self->count == write->call->resource->bulk_cap) {
        write->detail = dx_arena_printf(write->call->arena, "at most %u rows can be deleted at once", write->call->resource->bulk_cap);
        return DX_INVALID;
    }
    if (self->count == self->cap) {
        size_t cap = self->cap ? 2 * self->cap : 16;
        dx_value *grown = DX_ARENA_ARRAY(write->call->arena, dx_value, cap);
        if (!grown) return DX_NO_MEMORY;
        if (self->count) memcpy(grown, self->ids, self->count * sizeof *grown);
        self->ids = grown;
        self->cap = cap;
    }
    self->ids[self->count++] = id;
    return DX_OK;
}

static dx_status add_text(dx_write *write, dx_slice text) {
    dx_value id;
    if (!dx_resource_id_read(write->call->resource, write->call->arena, text, &id)) return no_such_id(write, text);
    return add_id(write, id);
}

static bool names_ids(dx_slice name) {
    return dx_slice_equal(name, DX_SLICE("id")) || dx_slice_equal(name, DX_SLICE("id[in]")) || dx_slice_equal(name, DX_SLICE("ids"));
}

// Any other parameter is refused: whoever sends a filter here means fewer rows than would go.
static dx_status ids_of_query(dx_write *write) {
    dx_resource_call *call = write->call;
    dx_slice rest = call->query, name, value;
    dx_status status = DX_OK;
    while (rest.size && dx_form_next(&rest, call->arena, &name, &value, &status)) {
        if (!names_ids(name)) {
            dx_resource_complain(call, name, "is not known here; rows to delete are named by their ids, as id=1,2,3");
            status = DX_INVALID;
            break;
        }
        while (value.data && status == DX_OK) {
            dx_slice text = dx_slice_trim(dx_slice_cut(&value, ','));
            status = add_text(write, text);
        }
        if (status != DX_OK) break;
    }
    return status;
}

static dx_status add_json(dx_write *write, yyjson_val *id) {
    dx_value value;
    const char *reason;
    if (yyjson_is_str(id)) return add_text(write, dx_json_slice(id));
    if (dx_resource_bind(&value, write->call->arena, DX_COLUMN_INTEGER, id, &reason) != DX_OK || write->call->resource->text_id ||
        value.type == DX_VALUE_NULL) {
        dx_diags_add(&write->call->findings, DX_INVALID, DX_SLICE("/ids"), "expected ids");
        return DX_INVALID;
    }
    return add_id(write, value);
}

static dx_status ids_of_body(dx_write *write) {
    yyjson_val *body = NULL;
    dx_status status = dx_write_body(write, &body);
    if (status != DX_OK) return status;
    yyjson_val *ids = yyjson_obj_get(body, "ids");
    if (!yyjson_is_arr(ids) || yyjson_obj_size(body) != 1) {
        dx_diags_add(&write->call->findings, DX_INVALID, (dx_slice){NULL, 0}, "expected an object with the one member \"ids\", an array");
        return DX_INVALID;
    }
    yyjson_arr_iter items;
    yyjson_arr_iter_init(ids, &items);
    for (yyjson_val *id; status == DX_OK && (id = yyjson_arr_iter_next(&items));) status = add_json(write, id);
    return status;
}

static int compare_ids(const void *a, const void *b) {
    const dx_value *x = a, *y = b;
    if (x->type == DX_VALUE_TEXT) return dx_slice_compare(y->text, x->text);
    return (x->integer < y->integer) - (x->integer > y->integer);
}

// Each row once, however often it was named; the newest first, for rows of one table mostly refer to older ones.
static void unite(removal *self) {
    qsort(self->ids, self->count, sizeof *self->ids, compare_ids);
    size_t kept = 0;
    for (size_t i = 0; i < self->count; i++) {
        if (kept == 0 || compare_ids(&self->ids[kept - 1], &self->ids[i]) != 0) self->ids[kept++] = self->ids[i];
    }
    self->count = kept;
}

static dx_status preconditions_of_many(dx_write *write) {
    const dx_resource_call *call = write->call;
    if (call->resource->require_if_match) {
        write->detail = DX_SLICE("rows of this resource are deleted one by one, each with its If-Match");
        return DX_PRECONDITION_REQUIRED;
    }
    if (call->if_match.data && !dx_slice_equal(call->if_match, DX_SLICE("*"))) {
        write->detail = DX_SLICE("many rows have no entity tag in common");
        return DX_PRECONDITION_FAILED;
    }
    return DX_OK;
}

static dx_status gather_many(dx_write *write) {
    dx_resource_call *call = write->call;
    removal *self = removal_of(write);
    write->many = true;
    dx_status status = preconditions_of_many(write);
    if (status == DX_OK) status = ids_of_query(write);
    if (status != DX_OK) return status;
    if (call->body.size && self->count) {
        dx_resource_complain(call, DX_SLICE("id"), "ids stand either here or in the body");
        return DX_INVALID;
    }
    if (call->body.size) status = ids_of_body(write);
    if (status == DX_OK && self->count == 0) {
        dx_resource_complain(call, DX_SLICE("id"),
                             "is missing: name the rows to delete, as id=1,2,3, or in the body, as {\"ids\":[1,2,3]}");
        return DX_INVALID;
    }
    if (status == DX_OK) unite(self);
    return status;
}

static dx_status gather_one(dx_write *write) {
    const dx_resource_call *call = write->call;
    dx_status status = dx_write_precondition(call);
    dx_value id;
    if (status != DX_OK) return status;
    return dx_resource_id_read(call->resource, call->arena, call->id, &id) ? add_id(write, id) : DX_NOT_FOUND;
}

static void remove_start(dx_resource_call *call, dx_status (*gather)(dx_write *)) {
    dx_write *write = dx_write_begin(call, remove_next, remove_done);
    if (write) write->more = DX_ARENA_NEW(call->arena, removal);
    if (!write || !write->more) {
        dx_resource_fail(call, DX_NO_MEMORY, NULL);
        return;
    }
    write->tx.row = take_row;
    write->scoped = dx_resource_scoped(call->resource, DX_ACTION_DELETE, call->principal);
    dx_status status = gather(write);
    if (status == DX_OK) {
        dx_resource_submit(call, &write->tx);
    } else {
        dx_write_fail(write, status);
    }
}

void dx_resource_delete(dx_resource_call *call) {
    remove_start(call, gather_one);
}

void dx_resource_delete_many(dx_resource_call *call) {
    remove_start(call, gather_many);
}
