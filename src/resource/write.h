// What the files that write share: the kept statements of a resource, a write under way, and the steps that several writes take. Inside
// this room's write side only: create.c, change.c, remove.c, references.c, idempotency.c.
//
// A write is one store transaction whose `next` runs on the writer's thread. While it is under way, the call and its arena are the
// transaction's: what goes wrong is noted in the write, and told when `done` runs on the call's own loop.
#ifndef DX_RESOURCE_WRITE_H
#define DX_RESOURCE_WRITE_H

#include "resource/bind.h"
#include "resource/changes.h"

// A field that refers to another resource's rows.
typedef struct dx_reference {
    const dx_resource_field *field;
    const dx_statement *exists[2]; // [scoped]: the referenced row, if the caller may refer to it; [1] only when the target is owned
} dx_reference;

// Rows of another resource that refer to this one.
typedef struct dx_referrer {
    const dx_resource *resource;
    const dx_statement *any; // one row that refers to parameter 0 and is not soft-deleted
    struct dx_referrer *next;
} dx_referrer;

typedef struct dx_write_plans {
    dx_binder binder;
    const dx_statement *insert; // every column from `insert_from` on, in table order; a numbered id is returned
    uint16_t insert_from;       // 0: the id is ours (a UUID); 1: the store numbers
    const dx_statement *update; // `update_columns`, of the row with an id (and a version, when rows have one)
    const uint16_t *update_columns;
    uint16_t update_count;
    const dx_statement *remove[2]; // [scoped]: parameters {deleted_at, updated_at when soft, id, owner when scoped}
    const dx_reference *references;
    uint16_t reference_count;
    const dx_statement *record; // of the change log; NULL: changes are not recorded
    dx_referrer *referrers;     // only for a resource with soft deletion: the store looks after the others
} dx_write_plans;

static inline const dx_write_plans *dx_write_plans_of(const dx_resource *resource) {
    return dx_resource_plans_of(resource)->writes;
}

typedef struct dx_keyed dx_keyed; // a POST with an Idempotency-Key: idempotency.h
typedef struct dx_write dx_write;
struct dx_write {
    dx_tx tx;
    dx_resource_call *call;
    const dx_write_plans *plans;
    uint8_t state;  // of the machine in the file that started it
    bool many;      // bulk: findings say which row
    bool scoped;    // only the caller's own rows
    bool found;     // the statement that ran showed a row
    dx_value *rows; // row_count rows of `stride` values each: the table's columns
    size_t row_count, row;
    uint16_t stride;
    uint16_t reference;          // the next one to check
    const dx_reference *checked; // the one whose statement runs; NULL: none
    const dx_value *current;     // the row before a change; NULL: a new row
    dx_value params[2];          // of a check
    dx_value recorded[5];        // of the change log
    dx_slice detail;             // why it failed, for the problem document
    dx_keyed *keyed;
    void *more; // of the file that started it
};

// A write for `call`; NULL without memory.
dx_write *dx_write_begin(dx_resource_call *call, dx_tx_step (*next)(dx_tx *), void (*done)(dx_tx *, dx_status));
static inline dx_write *dx_write_of(dx_tx *tx) {
    return DX_CONTAINER_OF(tx, dx_write, tx);
}
static inline dx_value *dx_write_row(const dx_write *write, size_t row) {
    return write->rows + row * write->stride;
}
// Reads the call's body. DX_MALFORMED notes where it is broken.
dx_status dx_write_body(dx_write *write, yyjson_val **out) DX_MUST_USE;
// Ends the call with `status` and what is noted in the write.
void dx_write_fail(dx_write *write, dx_status status);
// For `next`: notes why, and undoes the transaction.
dx_tx_step dx_write_refuse(dx_write *write, dx_status status, const char *detail, ...) DX_PRINTF(3, 4);
static inline dx_tx_step dx_write_run(dx_write *write, const dx_statement *statement, const dx_value *params, size_t count) {
    write->tx.statement = statement;
    write->tx.params = params;
    write->tx.param_count = count;
    write->found = false;
    return DX_TX_RUN;
}
// The pointer of a field in the request's body: "/price", or "/3/price" when there are many rows.
dx_slice dx_write_pointer(const dx_write *write, dx_slice field);
// For `next`, when a statement failed: turns tx->status into findings where that takes what only now is known, and rolls back.
dx_tx_step dx_write_explain(dx_write *write);

// --- a row that was written ------------------------------------------------------------------------------------------------
// As dx_resource_write_row, from values.
void dx_write_show(dx_buffer *out, const dx_resource *resource, const dx_value *row);
dx_slice dx_write_etag(dx_arena *arena, const dx_resource *resource, const dx_value *row);
dx_micros_utc dx_write_modified(const dx_resource *resource, const dx_value *row);
// The call's whole outcome for one row.
dx_status dx_write_answer(dx_resource_call *call, const dx_value *row, int http) DX_MUST_USE;
// The same without a representation: for a write that is committed when there is no memory left to show it. Committed is committed, and a
// failure told now would have it sent again.
void dx_write_answer_bare(dx_resource_call *call, int http);
// A row that the store shows, kept in the arena. NULL without memory.
dx_value *dx_write_keep(dx_arena *arena, const dx_row *row);

// --- references ------------------------------------------------------------------------------------------------------------
// Those that the store alone cannot judge (the target is owned or soft-deleted) are looked up within the transaction. True: run the
// statement that is set, and call again with what it showed. False: none is left. `*step` is DX_TX_RUN or, when a reference leads to
// nothing that the caller may see, DX_TX_ROLLBACK. Set write->reference to 0 before a row's first call.
bool dx_write_check(dx_write *write, dx_tx_step *step);
// Ends the call with DX_UNKNOWN_REFERENCE after the store refused the present row, saying which references lead to nothing.
void dx_write_blame(dx_write *write);

// --- the change log --------------------------------------------------------------------------------------------------------
// For `next`, right behind the statement that made the change, when plans->record is there.
dx_tx_step dx_write_record(dx_write *write, dx_change_kind kind, dx_value id, dx_value owner, dx_value version);
dx_tx_step dx_write_record_row(dx_write *write, dx_change_kind kind, const dx_value *row);

// --- preconditions ---------------------------------------------------------------------------------------------------------
// Before anything is read: DX_PRECONDITION_REQUIRED when the resource wants If-Match and there is none.
dx_status dx_write_precondition(const dx_resource_call *call) DX_MUST_USE;
// Whether the row must be read before it is known if it may be written.
static inline bool dx_write_is_conditional(const dx_resource_call *call) {
    return call->if_match.data || call->if_none_match.data || call->if_unmodified_since;
}
// Against the row as it is (RFC 9110 section 13.2.2): DX_OK, DX_PRECONDITION_FAILED or DX_NO_MEMORY.
dx_status dx_write_condition(const dx_resource_call *call, const dx_value *row) DX_MUST_USE;

#endif
