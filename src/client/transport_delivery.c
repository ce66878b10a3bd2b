// An answer that is there already, told as one that comes over a network: later, head before body, in pieces where it is streamed, broken
// off where that is wanted. One alarm carries it from step to step, so that it can be cancelled between any two.
#include "client/transport.h"

enum { PIECE_SIZE = 64 << 10 };

static void end(dx_delivery *d) {
    dx_transfer *transfer = d->transfer;
    dx_exchange *x = transfer->x;
    dx_alarm_deinit(&d->alarm);
    if (d->failure != DX_ERROR_NONE) {
        (void)dx_exchange_fail_out(x, d->failure, d->detail ? "%s" : NULL, d->detail);
    } else if (!transfer->stream && d->body.size > transfer->wire->max_body) {
        (void)dx_exchange_fail_out(x, DX_ERROR_TOO_LARGE, "the answer is larger than max_body (%llu bytes)",
                                   (unsigned long long)transfer->wire->max_body);
    } else if (!transfer->stream) {
        x->response.body = d->body;
    }
    transfer->state = NULL;
    transfer->ops->done(transfer);
}

static size_t bytes_to_give(const dx_delivery *d) {
    return d->failure != DX_ERROR_NONE && d->fails_after < d->body.size ? d->fails_after : d->body.size;
}

static void show_head(dx_delivery *d) {
    dx_transfer *transfer = d->transfer;
    dx_exchange *x = transfer->x;
    d->headed = true;
    x->response.status = d->status;
    x->response.fields = d->fields;
    dx_exchange_enter(x, DX_PHASE_TRANSFER, dx_clock_monotonic());
    if (transfer->stream)
        transfer->ops->head(transfer); // resume has the body come
    else
        dx_alarm_start(&d->alarm, 0);
}

static void give_piece(dx_delivery *d) {
    size_t whole = bytes_to_give(d), size = whole - d->at, most = d->piece ? d->piece : PIECE_SIZE;
    if (size > most) size = most;
    dx_slice piece = dx_slice_of(d->body.data + d->at, size);
    d->at += size;
    if (d->transfer->stream) d->flowing = d->transfer->ops->piece(d->transfer, piece);
    if (!d->transfer->stream || d->flowing) dx_alarm_start(&d->alarm, d->at < whole ? d->gap : 0);
}

static void step(dx_alarm *alarm) {
    dx_delivery *d = DX_CONTAINER_OF(alarm, dx_delivery, alarm);
    if (!d->headed && d->failure != DX_ERROR_NONE && d->fails_after == DX_DELIVERY_NO_HEAD) return end(d);
    if (!d->headed) return show_head(d);
    if (d->at < bytes_to_give(d) && (d->transfer->stream || d->gap > 0)) return give_piece(d);
    end(d);
}

void dx_delivery_start(dx_delivery *d, dx_transfer *transfer, dx_loop *loop, dx_nanos delay) {
    d->transfer = transfer;
    if (transfer->x->request.method == DX_HEAD) d->body = (dx_slice){"", 0};
    dx_exchange_enter(transfer->x, DX_PHASE_WAIT, dx_clock_monotonic());
    if (dx_alarm_init(&d->alarm, loop, step) == DX_OK) return dx_alarm_start(&d->alarm, delay);
    d->failure = DX_ERROR_NO_MEMORY;
    end(d);
}

void dx_delivery_resume(dx_delivery *d) {
    if (!d->headed || d->flowing) return;
    d->flowing = true;
    dx_alarm_start(&d->alarm, 0);
}

void dx_delivery_cancel(dx_delivery *d) {
    dx_alarm_deinit(&d->alarm);
}
