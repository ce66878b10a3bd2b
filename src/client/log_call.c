// What is logged of a call: that it began (debug), each attempt (debug), each retry and why (warn), a long wait at the limiter (info), and
// how it ended (info; warn when it failed). At debug with headers, and bodies where the settings say so.
#include "client/client.h"
#include "client/log.h"

enum { LONG_WAIT_S = 1 };

struct dx_call_log { // what the attempts before this one came to
    dx_nanos limit_waited, backed_off, since;
    dx_error_code failure;
    int status;
    unsigned attempts;
};

// --- the request and the answer ----------------------------------------------------------------------------------------------------------

// As the parameters made it: without what an auth handler adds.
static void add_asked(dx_log_line *line, const dx_call *call) {
    dx_slice origin = call->endpoint->api->origin, target = call->bound.target;
    dx_log_add_text(line, "method", dx_slice_str(dx_method_name(call->bound.method)));
    dx_log_add_url(line, "url", dx_arena_printf(line->arena, "%.*s%.*s", DX_SLICE_ARG(origin), DX_SLICE_ARG(target)));
}

static void add_body(dx_log_line *line, const dx_call *call, const dx_fields *fields, dx_slice body) {
    if (call->settings->log.bodies)
        dx_log_add_body(line, "body", body, dx_fields_find(fields, DX_SLICE("content-type")), call->settings->log.body_cap);
}

static void add_outcome(dx_log_line *line, dx_error_code failure, int status) {
    if (failure == DX_ERROR_NONE)
        dx_log_add_int(line, "status", status);
    else
        dx_log_add_text(line, "code", dx_slice_str(dx_error_name(failure)));
}

static const char *cache_word(dx_cache_state state) {
    static const char *const words[] = {"unused", "miss", "hit", "stale", "revalidated", "shared"};
    return (unsigned)state < DX_COUNT_OF(words) ? words[state] : "unused";
}

static void add_times(dx_log_line *line, const dx_call *call) {
    dx_log_add_int(line, "duration_us", call->response.took / DX_MICROSECOND);
    DX_BUFFER_LIT(&line->text, ",\"phases\":{");
    bool any = false;
    for (int i = 0; i < DX_PHASE_COUNT; i++) {
        if (call->response.spent[i] < DX_MICROSECOND) continue;
        if (any) dx_buffer_byte(&line->text, ',');
        any = true;
        dx_json_write_string(&line->text, dx_slice_str(dx_phase_name((dx_phase)i)));
        dx_buffer_byte(&line->text, ':');
        dx_buffer_i64(&line->text, call->response.spent[i] / DX_MICROSECOND);
    }
    dx_buffer_byte(&line->text, '}');
}

// --- calls
// ---------------------------------------------------------------------------------------------------------------------------------

void dx_log_call_start(dx_call *call) {
    dx_log_line line;
    if (!dx_log_start(&line, call->client, call, DX_LEVEL_DEBUG, "call_start")) return;
    add_asked(&line, call);
    if (call->bound.keyed) dx_log_add_bool(&line, "idempotency_key", true);
    dx_log_send(&line);
}

static void add_error(dx_log_line *line, const dx_error *error) {
    dx_log_add_text(line, "code", dx_slice_str(dx_error_name(error->code)));
    dx_log_add_text(line, "category", dx_slice_str(dx_category_name(error->category)));
    dx_log_add_text(line, "phase", dx_slice_str(dx_phase_name(error->phase)));
    dx_log_add_bool(line, "retryable", error->retryable);
    dx_log_add_text(line, "message", dx_slice_str(error->message));
}

void dx_log_call_end(dx_call *call) {
    dx_log_line line;
    bool failed = call->error->code != DX_ERROR_NONE;
    if (!dx_log_start(&line, call->client, call, failed ? DX_LEVEL_WARN : DX_LEVEL_INFO, "call_end")) return;
    add_asked(&line, call);
    if (call->has_response) dx_log_add_int(&line, "status", call->response.status);
    if (failed) add_error(&line, call->error);
    dx_log_add_int(&line, "attempts", call->x.attempt);
    if (call->redirects) dx_log_add_int(&line, "redirects", call->redirects);
    if (call->x.cached) dx_log_add_text(&line, "cache", dx_slice_str(cache_word(call->x.cached)));
    if (call->internal) dx_log_add_bool(&line, "internal", true);
    add_times(&line, call);
    dx_log_send(&line);
}

// --- attempts
// ------------------------------------------------------------------------------------------------------------------------------

static struct dx_call_log *state_of(dx_call *call) {
    if (!call->log) call->log = DX_ARENA_NEW(call->arena, struct dx_call_log);
    return call->log;
}

static void log_retry(dx_call *call, const struct dx_call_log *before) {
    dx_log_line line;
    if (!dx_log_start(&line, call->client, call, DX_LEVEL_WARN, "retry")) return;
    dx_log_add_int(&line, "attempt", (int64_t)before->attempts + 1);
    dx_log_add_text(&line, "reason", dx_slice_str(before->failure ? dx_error_name(before->failure) : "status"));
    if (!before->failure) dx_log_add_int(&line, "status", before->status);
    dx_log_add_int(&line, "waited_us", (call->x.spent[DX_PHASE_BACKOFF] - before->backed_off) / DX_MICROSECOND);
    dx_log_send(&line);
}

static dx_verdict attempt_in(const void *conf, dx_exchange *x) {
    dx_log_line line;
    dx_call *call = dx_call_of(x);
    struct dx_call_log *log = state_of(call);
    (void)conf;
    if (!log) return DX_NEXT;
    if (log->attempts) log_retry(call, log);
    log->since = dx_clock_monotonic();
    log->backed_off = x->spent[DX_PHASE_BACKOFF];
    log->limit_waited = x->spent[DX_PHASE_LIMIT];
    if (!dx_log_start(&line, call->client, call, DX_LEVEL_DEBUG, "attempt_start")) return DX_NEXT;
    dx_log_add_int(&line, "attempt", (int64_t)log->attempts + 1);
    add_asked(&line, call);
    dx_log_add_fields(&line, "headers", &x->request.fields);
    add_body(&line, call, &x->request.fields, x->request.body);
    dx_log_send(&line);
    return DX_NEXT;
}

static void log_limit(dx_call *call, dx_nanos waited) {
    dx_log_line line;
    if (waited < LONG_WAIT_S * DX_SECOND || !dx_log_start(&line, call->client, call, DX_LEVEL_INFO, "limit_wait")) return;
    dx_log_add_int(&line, "waited_us", waited / DX_MICROSECOND);
    dx_log_send(&line);
}

static void attempt_out(const void *conf, dx_exchange *x) {
    dx_log_line line;
    dx_call *call = dx_call_of(x);
    struct dx_call_log *log = call->log;
    (void)conf;
    if (!log) return;
    log->attempts++;
    log->failure = x->failure;
    log->status = x->response.status;
    log_limit(call, x->spent[DX_PHASE_LIMIT] - log->limit_waited);
    if (!dx_log_start(&line, call->client, call, DX_LEVEL_DEBUG, "attempt_end")) return;
    dx_log_add_int(&line, "attempt", log->attempts);
    add_outcome(&line, x->failure, x->response.status);
    if (x->failure_detail.size) dx_log_add_text(&line, "detail", x->failure_detail);
    dx_log_add_int(&line, "duration_us", (dx_clock_monotonic() - log->since) / DX_MICROSECOND);
    dx_log_add_fields(&line, "headers", &x->response.fields);
    add_body(&line, call, &x->response.fields, x->response.body);
    dx_log_send(&line);
}

const dx_filter_ops dx_log_filter = {.name = "log", .in = attempt_in, .out = attempt_out};
