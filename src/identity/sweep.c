// Deleting what is over: sessions that have expired and failures long forgotten. A timer on one worker looks every few minutes; each look
// is one short transaction over at most so many rows, found by index, and when there were as many as that it looks again soon.
#include "identity/parts.h"

#define SWEEP_SOON (2 * DX_SECOND)

typedef enum sweep_step { FIND, DELETE } sweep_step;

typedef struct dx_sweeper {
    dx_timer timer;
    dx_tx tx;
    dx_identity *self;
    dx_loop *loop;
    bool failures; // sweeping those now, else sessions
    bool more;
    bool ending;
    void (*looked)(void *ctx);
    void *ctx;
    sweep_step step;
    char ids[DX_SWEEP_ROWS][DX_NAME_KEY_CAP];
    uint8_t sizes[DX_SWEEP_ROWS];
    size_t count, at;
    dx_value values[2];
} dx_sweeper;

static dx_tx_step run(dx_sweeper *s, const dx_statement *statement, size_t params) {
    s->tx.statement = statement;
    s->tx.params = s->values;
    s->tx.param_count = params;
    return DX_TX_RUN;
}

static dx_tx_step next(dx_tx *tx) {
    dx_sweeper *s = DX_CONTAINER_OF(tx, dx_sweeper, tx);
    const dx_accounts *statements = &s->self->statements;
    if (tx->status != DX_OK) return DX_TX_ROLLBACK;
    if (s->step == FIND) {
        s->step = DELETE;
        s->values[1] = DX_INT_VALUE(DX_SWEEP_ROWS);
        return run(s, s->failures ? statements->failures_old : statements->sessions_expired, 2);
    }
    if (s->at == s->count) return DX_TX_COMMIT;
    s->values[0] = DX_TEXT_VALUE(dx_slice_of(s->ids[s->at], s->sizes[s->at]));
    s->at++;
    return run(s, s->failures ? statements->failure_delete : statements->session_delete, 1);
}

static dx_status row(dx_tx *tx, const dx_row *found) {
    dx_sweeper *s = DX_CONTAINER_OF(tx, dx_sweeper, tx);
    if (s->at || s->count == DX_SWEEP_ROWS) return DX_OK;
    dx_slice id = dx_row_value(found, 0).text;
    if (id.size > sizeof s->ids[0]) return DX_OK;
    memcpy(s->ids[s->count], id.data, id.size);
    s->sizes[s->count++] = (uint8_t)id.size;
    return DX_OK;
}

static void start(dx_sweeper *s, bool failures) {
    dx_micros_utc now = s->self->clock.utc(s->loop);
    s->failures = failures;
    s->step = FIND;
    s->count = s->at = 0;
    s->values[0] = DX_INT_VALUE(failures ? now - s->self->settings.lockout.forget_us : now);
    dx_store_submit(s->self->session(s->self->app, 0), &s->tx);
}

static void done(dx_tx *tx, dx_status status) {
    dx_sweeper *s = DX_CONTAINER_OF(tx, dx_sweeper, tx);
    s->more |= status == DX_OK && s->count == DX_SWEEP_ROWS;
    if (!s->failures) {
        start(s, true);
        return;
    }
    if (!s->ending) dx_timer_start(s->loop, &s->timer, s->more ? SWEEP_SOON : DX_SWEEP_EVERY);
    s->more = false;
    if (s->looked) s->looked(s->ctx);
    dx_identity_release(s->self, 0); // last: the app may be gone after this
}

static void look(dx_sweeper *s) {
    dx_identity_hold(s->self, 0);
    start(s, false);
}

static void fire(dx_timer *timer) {
    look(DX_CONTAINER_OF(timer, dx_sweeper, timer));
}

dx_sweeper *dx_sweeper_create(dx_identity *self, dx_arena *arena, dx_loop *loop) {
    dx_sweeper *s = DX_ARENA_NEW(arena, dx_sweeper);
    if (!s) return NULL;
    s->self = self;
    s->loop = loop;
    s->timer.fire = fire;
    s->tx = (dx_tx){.mode = DX_TX_WRITE, .next = next, .row = row, .done = done};
    return s;
}

void dx_sweeper_look(dx_sweeper *sweeper, void (*looked)(void *ctx), void *ctx) {
    sweeper->looked = looked;
    sweeper->ctx = ctx;
    look(sweeper);
}

void dx_sweeper_end(dx_sweeper *sweeper) {
    sweeper->ending = true;
    dx_timer_stop(sweeper->loop, &sweeper->timer);
}

void dx_sweeper_start(dx_sweeper *sweeper) {
    dx_timer_start(sweeper->loop, &sweeper->timer, SWEEP_SOON);
}
