// GET <resource>/changes: what a client may ask for, told before a stream begins. Who may follow a list is who may read it; which rows,
// too.
#include "rest/feed.h"

#include "codec/text.h"

static dx_feed *feed_of(const dx_rest_resource *self, const dx_exchange *x) {
    dx_feeds *feeds = self->rest->feeds[x->worker];
    return &feeds->items[self - self->rest->resources];
}

static bool takes_events(const dx_exchange *x) {
    return dx_http_accept_quality(dx_fields_find(&x->request.fields, DX_SLICE("accept")), "text/event-stream") > 0;
}

static bool sequence_read(int64_t *out, dx_slice text) {
    return text.size && text.data[0] >= '0' && text.data[0] <= '9' && dx_slice_to_i64(text, out);
}

// Clients that come back by themselves send the field; the parameter is for those that can't. False: it is no sequence number.
static bool position_read(dx_subscriber *s, const dx_exchange *x, dx_resource_call *call, dx_slice parameter) {
    dx_slice text = dx_sse_last_event_id(x);
    bool in_field = text.size != 0;
    if (!in_field) text = parameter;
    if (!text.data) return true;
    s->resumes = sequence_read(&s->position, text);
    if (!s->resumes)
        dx_resource_complain(call, in_field ? DX_SLICE("Last-Event-ID") : DX_SLICE("last_event_id"),
                             "expected the id of an event of this stream, a number");
    return s->resumes;
}

static dx_verdict refuse_query(dx_exchange *x, const dx_resource_call *call, dx_status status) {
    return dx_exchange_fail_with(x, status, &call->findings, status == DX_INVALID ? "these changes can't be followed" : NULL);
}

// The conditions of a whole view take kilobytes, so what is in use is kept apart: the exchange's arena lives as long as the stream.
static bool conditions_keep(dx_subscriber *s, dx_arena *arena, const dx_view *view) {
    dx_condition *kept = DX_ARENA_ARRAY(arena, dx_condition, view->condition_count);
    if (!kept) return false;
    if (view->condition_count) memcpy(kept, view->conditions, view->condition_count * sizeof *kept);
    s->conditions = kept;
    s->condition_count = view->condition_count;
    return true;
}

static dx_status subscriber_read(dx_subscriber *s, dx_exchange *x, dx_resource_call *call) {
    dx_view view = {0};
    dx_slice parameter;
    dx_status status;
    if (!dx_changes_view_read(&view, &parameter, call, &status)) return status;
    if (!position_read(s, x, call, parameter)) return DX_INVALID;
    return conditions_keep(s, x->arena, &view) ? DX_OK : DX_NO_MEMORY;
}

// A stream that is closed before its first event: the head that GET gets, and no seat taken.
static dx_verdict answer_head(dx_exchange *x) {
    static const dx_sse_ops nothing = {NULL, NULL, NULL};
    dx_sse_options options = DX_SSE_OPTIONS_INIT;
    options.compress = true;
    return dx_sse_open(x, &options, &nothing, NULL);
}

static dx_verdict take_seat(const dx_rest *rest, dx_feed *feed, dx_subscriber *s, dx_exchange *x) {
    if (feed->feeds->subscribers >= rest->streams_cap) return dx_exchange_fail(x, DX_OVERLOADED, "too many streams are open");
    if (x->principal) {
        dx_status status = dx_seat_take((dx_seats *)(uintptr_t)&rest->seats, x->principal->number);
        if (status == DX_RATE_LIMITED) {
            dx_exchange_fail(x, status, "the account has %u streams open, which is the most", rest->seats.each);
            dx_exchange_field(x, DX_SLICE("Retry-After"), DX_SLICE("30"));
            return DX_ANSWER;
        }
        if (status != DX_OK) return dx_exchange_fail(x, status, NULL);
        s->seated = true;
        s->account = x->principal->number;
    }
    return dx_feed_join(feed, s, x);
}

dx_verdict dx_rest_changes(const void *conf, dx_exchange *x) {
    const dx_rest_resource *self = conf;
    if (!takes_events(x)) return dx_exchange_fail(x, DX_NOT_ACCEPTABLE, "changes come as text/event-stream");
    dx_subscriber *s = DX_ARENA_NEW(x->arena, dx_subscriber);
    if (!s) return dx_exchange_fail(x, DX_NO_MEMORY, NULL);
    dx_resource_call call = {
        .set = self->rest->set, .resource = self->resource, .arena = x->arena, .principal = x->principal, .query = x->request.query};
    dx_status status = subscriber_read(s, x, &call);
    if (status != DX_OK) return refuse_query(x, &call, status);
    if (x->request.method == DX_HEAD) return answer_head(x);
    return take_seat(self->rest, feed_of(self, x), s, x);
}
