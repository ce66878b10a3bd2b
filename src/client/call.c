// The life of a call: made on the caller's thread, run on its engine's, over exactly once. Everything that may end it early (its deadline,
// cancelling, the client that closes) comes through dx_call_stop: whatever waits is told to wait no longer, and the chain is left as if the
// answer had come.
#include "client/call.h"

#include <sched.h>

#include "client/client.h"
#include "client/fail.h"
#include "client/hedging.h"
#include "client/log.h"
#include "client/modelling.h"
#include "client/trace.h"
#include "loop/embed.h"
#include "policy/cache_key.h"

enum { SHORT_TIMEOUT_S = 5 }; // below, a deadline is kept to the millisecond

// --- holding -----------------------------------------------------------------------------------------------------------------------

void dx_call_hold(dx_call *call) {
    (void)atomic_fetch_add_explicit(&call->holders, 1, memory_order_relaxed);
}

void dx_call_release(dx_call *call) {
    if (!call || atomic_fetch_sub_explicit(&call->holders, 1, memory_order_acq_rel) != 1) return;
    dx_response_forget(&call->response);
    dx_apis_release(call->apis); // of one that was never begun
    dx_pool_give(call->pool, call->arena);
}

// --- making ------------------------------------------------------------------------------------------------------------------------

static dx_error_code no_memory(dx_error *error) {
    return dx_fail(error, DX_ERROR_NO_MEMORY, "there is no memory for the call");
}

static void take_options(dx_call *call, const dx_call_options *options) {
    call->fresh = options->fresh;
    call->only_cached = options->only_cached;
    call->raise = options->raise_on_error == DX_RAISE_AS_DEFINED ? call->settings->raise : options->raise_on_error == DX_RAISE_ALWAYS;
    call->has_sink = call->x.streams = options->sink != NULL;
    if (options->sink) call->sink = *options->sink;
    call->endpoint_name = dx_arena_copy(call->arena, call->endpoint->full).data;
}

// A request out of what was bound.
static void fill_request(dx_call *call) {
    dx_exchange_request *request = &call->x.request;
    const dx_bound *bound = &call->bound;
    request->method = bound->method;
    request->target = bound->target;
    request->fields = bound->fields;
    request->body = bound->body;
    request->authority = call->endpoint->api->authority;
    request->secure = call->endpoint->api->secure;
    request->once = bound->upload && !dx_upload_is_repeatable(bound->upload);
    bool idempotent = call->endpoint->open ? bound->method != DX_POST && bound->method != DX_PATCH : call->endpoint->idempotent;
    request->repeatable = idempotent || bound->keyed;
}

static dx_error_code make_settings(dx_call *call, const dx_asked *asked, dx_error *error) {
    const char *own = asked->options->settings;
    yyjson_doc *document;
    dx_diags found;
    if (!own) return DX_ERROR_NONE;
    dx_diags_init(&found, call->arena);
    dx_status status = dx_json_read(&document, call->arena, dx_slice_str(own), NULL, &found);
    if (status == DX_OK) status = dx_client_check_layer(call->client, call->arena, yyjson_doc_get_root(document), &found);
    if (status == DX_OK)
        status = dx_settings_make(&call->settings, call->apis->maker, call->arena, asked->endpoint->settings, yyjson_doc_get_root(document),
                                  (dx_slice){"", 0}, &found);
    if (status == DX_OK)
        status = dx_client_build_chain(call->client, call->endpoint, (dx_settings *)(uintptr_t)call->settings, call->arena, &found);
    if (status == DX_OK) return DX_ERROR_NONE;
    return found.first ? dx_fail_diags(error, DX_ERROR_ARGUMENT, &found) : no_memory(error);
}

static dx_call *make(dx_client *client, dx_apis *apis, const dx_endpoint *endpoint) {
    dx_arena *arena = dx_pool_take(client->pool);
    dx_call *call = arena ? DX_ARENA_NEW(arena, dx_call) : NULL;
    if (!call) {
        if (arena) dx_pool_give(client->pool, arena);
        return NULL;
    }
    call->pool = client->pool;
    call->arena = arena;
    call->client = client;
    call->endpoint = endpoint;
    call->settings = endpoint->settings;
    call->apis = apis;
    atomic_init(&call->holders, 1);
    dx_exchange_init(&call->x, arena, NULL, 0);
    call->x.owner = call;
    call->x.phase_since = call->x.started = dx_clock_monotonic();
    return call;
}

static dx_error_code give_up(dx_call *call, dx_error_code code) {
    dx_call_release(call);
    return code;
}

// An identity together with the secret headers that the caller gave as parameters; data NULL without memory.
static dx_slice mix_secrets(dx_call *call, dx_slice identity) {
    const dx_endpoint *endpoint = call->endpoint;
    dx_slice *names = DX_ARENA_ARRAY(call->arena, dx_slice, endpoint->param_count + 1u);
    char *mixed = names ? dx_arena_bytes(call->arena, DX_CACHE_CREDENTIAL_SIZE) : NULL;
    size_t count = 0;
    if (!mixed) return (dx_slice){0};
    for (size_t i = 0; i < endpoint->param_count; i++)
        if (endpoint->params[i].secret && endpoint->params[i].in == DX_IN_HEADER) names[count++] = endpoint->params[i].wire;
    return dx_cache_credential_of_call(mixed, identity, &call->bound.fields, names, count);
}

// Who it is, for caches and limits.
static bool set_principal(dx_call *call) {
    const dx_auth *auth = call->endpoint->auth_required ? call->settings->identity : NULL;
    if (!auth && !call->bound.has_secret) return true;
    dx_slice id = auth ? dx_slice_str(auth->identity) : (dx_slice){"", 0}; // the settings hold the auth, and the call the settings
    if (call->bound.has_secret) id = mix_secrets(call, id);
    if (!id.data) return false;
    if (!id.size) return true; // what is secret stands in the URL, and that is part of every key
    dx_principal *principal = DX_ARENA_NEW(call->arena, dx_principal);
    if (!principal) return false;
    principal->id = id;
    call->x.principal = principal;
    return true;
}

static dx_error_code finish_making(dx_call *call, dx_nanos timeout, dx_error *error) {
    fill_request(call);
    call->x.deadline = timeout ? call->x.started + timeout : 0;
    return set_principal(call) ? DX_ERROR_NONE : no_memory(error);
}

// What the caller wants of a cache is said as HTTP says it (RFC 9111 section 5.2.1).
static dx_error_code ask_cache(dx_call *call, dx_error *error) {
    if (!call->fresh && !call->only_cached) return DX_ERROR_NONE;
    if (call->only_cached && !call->settings->cache)
        return dx_fail(error, DX_ERROR_NOT_CACHED, "%.*s has no cache", DX_SLICE_ARG(call->endpoint->full));
    dx_slice value = call->only_cached ? DX_SLICE("only-if-cached") : DX_SLICE("no-cache");
    return dx_fields_add(&call->bound.fields, call->arena, DX_SLICE("Cache-Control"), value) == DX_OK ? DX_ERROR_NONE : no_memory(error);
}

dx_error_code dx_call_create(dx_call **out, dx_client *client, const dx_asked *asked, dx_apis *apis, dx_error *error) {
    dx_asked given = *asked;
    *out = NULL;
    dx_call *call = make(client, apis, asked->endpoint);
    if (!call) {
        dx_apis_release(apis);
        return no_memory(error);
    }
    dx_error_code code = make_settings(call, asked, error);
    given.settings = call->settings;
    if (!code) take_options(call, asked->options);
    if (!code && !dx_log_keep_secrets(call, &given)) code = no_memory(error);
    if (!code) code = dx_trace_begin(call, asked->options->correlation_id, error);
    if (!code && call->settings->sanitize) code = dx_sanitize_asked(&given, call, error);
    if (!code) code = dx_bind(&call->bound, call->arena, &given, error);
    if (!code) code = dx_model_request(&call->bound, call->arena, client, &given, error);
    if (!code) code = dx_trace_send(call, asked->options->correlation_id, error);
    if (!code) code = ask_cache(call, error);
    dx_nanos timeout = asked->options->timeout_ms > 0 ? (dx_nanos)asked->options->timeout_ms * DX_MILLISECOND : call->settings->timeout;
    if (!code) code = finish_making(call, timeout, error);
    if (code) dx_log_clean_message(client, call, error);
    if (code) return give_up(call, code);
    *out = call;
    return DX_ERROR_NONE;
}

dx_error_code dx_call_clone(dx_call **out, const dx_call *from, bool (*fill)(dx_bound *to, dx_arena *arena, const dx_call *from)) {
    static const dx_call_options options = DX_CALL_OPTIONS_INIT;
    *out = NULL;
    dx_call *call = make(from->client, dx_apis_hold(from->apis), from->endpoint);
    if (!call) {
        dx_apis_release(from->apis);
        return DX_ERROR_NO_MEMORY;
    }
    take_options(call, &options);
    dx_error_code code = dx_trace_begin(call, NULL, NULL);
    if (!code) code = fill(&call->bound, call->arena, from) ? finish_making(call, call->settings->timeout, NULL) : DX_ERROR_NO_MEMORY;
    if (code) return give_up(call, code);
    *out = call;
    return DX_ERROR_NONE;
}

// --- ending ------------------------------------------------------------------------------------------------------------------------

static void unlink_call(dx_call *call) {
    *call->link = call->next;
    if (call->next) call->next->link = call->link;
    dx_timer_stop(call->engine->loop, &call->deadline);
    dx_alarm_deinit(&call->alarm);
}

static void take_answer(dx_call *call) {
    dx_exchange *x = &call->x;
    call->response.status = x->response.status;
    call->response.fields = x->response.fields;
    call->response.body = call->has_sink ? (dx_slice){0} : x->response.body;
    call->response.attempts = x->attempt;
    call->response.cache = (dx_cache_state)x->cached;
    call->has_response = x->failure == DX_ERROR_NONE;
}

static void say_failure(dx_call *call) {
    dx_exchange *x = &call->x;
    dx_error *error = call->error;
    dx_slice who = call->endpoint->full; // the detail is cleaned whole: a secret that was cut is not found
    dx_slice detail = dx_log_clean(call->client, call, call->arena, DX_CLEAN_TEXT, (dx_slice){0}, x->failure_detail);
    const char *meaning = dx_error_meaning(x->failure);
    dx_phase phase = error->phase;
    if (x->failure == DX_ERROR_TIMEOUT && !detail.size)
        (void)dx_fail(error, x->failure, "%.*s: %s after %lld ms, in the phase %s (attempt %u)", DX_SLICE_ARG(who), meaning,
                      (long long)((dx_clock_monotonic() - x->started) / DX_MILLISECOND), dx_phase_name(phase), (unsigned)x->attempt);
    else if (detail.size)
        (void)dx_fail(error, x->failure, "%.*s: %s: %.*s", DX_SLICE_ARG(who), meaning, DX_SLICE_ARG(detail));
    else
        (void)dx_fail(error, x->failure, "%.*s: %s", DX_SLICE_ARG(who), meaning);
    error->phase = phase;
}

// A large body is not looked through for the few bytes that are told of it.
static dx_slice quotable(dx_slice body) {
    enum { LOOKED_THROUGH = 64 << 10 };
    return body.size <= LOOKED_THROUGH ? body : DX_SLICE("(a large body)");
}

static void say_status(dx_call *call) {
    dx_slice body = dx_log_clean(call->client, call, call->arena, DX_CLEAN_TEXT, (dx_slice){0}, quotable(call->response.body));
    const char *phrase = dx_http_phrase(call->response.status);
    if (body.size > 200) body.size = 200;
    (void)dx_fail(call->error, DX_ERROR_STATUS, "%.*s: the server answered %d %s%s%.*s", DX_SLICE_ARG(call->endpoint->full),
                  call->response.status, phrase, body.size ? ": " : "", DX_SLICE_ARG(body));
    call->error->phase = DX_PHASE_TRANSFER;
}

static void judge(dx_call *call) {
    dx_exchange *x = &call->x;
    dx_error *error = dx_arena_alloc(call->arena, sizeof *error);
    call->error = error ? error : dx_error_out_of_memory();
    if (!error) return;
    dx_error_begin(error);
    error->phase = x->phase;
    if (call->has_response && !call->has_sink) dx_client_judge_answer(call);
    if (x->failure != DX_ERROR_NONE) {
        say_failure(call);
    } else if (x->response.status >= 400 && call->raise) {
        say_status(call);
    }
    error->http_status = call->has_response ? call->response.status : 0;
    error->attempts = x->attempt;
    dx_client_judge_retry(call);
    dx_log_clean_error(call);
}

void dx_call_keep_alive(dx_call *call) {
    if (call->keeps_alive || !call->engine->borrowed_loop) return;
    call->keeps_alive = true;
    if (call->engine->keep_alive++ == 0) dx_loop_keep_alive(call->engine->loop, true);
}

// Over: the answer is read out, the caller is told, the engine lets go.
static void end(dx_call *call) {
    dx_exchange *x = &call->x;
    dx_engine *engine = call->engine;
    if (call->ended) *call->ended = true;
    unlink_call(call);
    if (call->keeps_alive && --engine->keep_alive == 0) dx_loop_keep_alive(engine->loop, false);
    dx_exchange_enter(x, x->phase, dx_clock_monotonic());
    take_answer(call);
    judge(call);
    call->response.took = x->phase_since - x->started;
    memcpy(call->response.spent, x->spent, sizeof x->spent);
    dx_client_count(call);
    dx_log_call_end(call);
    dx_apis_release(call->apis);
    call->apis = NULL;
    dx_client_tell_over(engine->client, call);
    dx_call_release(call);
}

// --- streams -------------------------------------------------------------------------------------------------------------------------

// The chain is through. A stream's pieces are still to come: its head is shown first.
static void on_finished(dx_exchange *x) {
    dx_call *call = dx_call_of(x);
    if (!call->streaming || x->failure != DX_ERROR_NONE) {
        if (call->streaming) dx_admission_cancel(&call->engine->admission, &call->transfer);
        call->streaming = false;
        return end(call);
    }
    take_answer(call);
    call->head_told = true;
    dx_exchange_enter(x, DX_PHASE_TRANSFER, dx_clock_monotonic());
    dx_call_hold(call);
    if (call->sink.head) call->sink.head(call->sink.context, call);
    if (call->streaming) call->engine->use.ops->resume(call->engine->transport, &call->transfer);
    dx_call_release(call);
}

static void on_head(dx_transfer *transfer) {
    dx_call *call = DX_CONTAINER_OF(transfer, dx_call, transfer);
    call->streaming = true;
    dx_exchange_resume(&call->x, DX_ANSWER);
}

static bool on_piece(dx_transfer *transfer, dx_slice piece) {
    dx_call *call = DX_CONTAINER_OF(transfer, dx_call, transfer);
    dx_call_hold(call);
    call->received += piece.size;
    bool more = call->sink.piece(call->sink.context, call, piece.data, piece.size);
    dx_call_release(call);
    return more;
}

static void on_done(dx_transfer *transfer) {
    dx_call *call = DX_CONTAINER_OF(transfer, dx_call, transfer);
    dx_admission_done(&call->engine->admission, transfer);
    if (dx_hedging_answered(call)) return;
    call->x.stop = NULL;
    if (!call->streaming) return dx_exchange_resume(&call->x, DX_ANSWER);
    call->streaming = false;
    if (call->head_told) end(call);
}

void dx_call_set_over(dx_call *call) {
    atomic_store(&call->state, DX_CALL_OVER);
    while (atomic_load(&call->posters)) (void)sched_yield(); // a few instructions of theirs
}

// On its engine's thread, if it is not over by then. Its task holds it.
static void post(dx_call *call, dx_task *task, void (*run)(dx_task *task)) {
    (void)atomic_fetch_add(&call->posters, 1);
    if (atomic_load(&call->state) != DX_CALL_OVER) {
        dx_call_hold(call);
        task->run = run;
        dx_loop_post(call->engine->loop, task);
    }
    (void)atomic_fetch_sub(&call->posters, 1);
}

static void go_on(dx_task *task) {
    dx_call *call = DX_CONTAINER_OF(task, dx_call, go_on);
    atomic_store(&call->posted_resume, false); // not before: the task is in the loop's list until now
    if (call->streaming && call->head_told) call->engine->use.ops->resume(call->engine->transport, &call->transfer);
    dx_call_release(call);
}

void dx_call_resume(dx_call *call) {
    if (atomic_exchange(&call->posted_resume, true) || dx_call_is_over(call)) return;
    post(call, &call->go_on, go_on);
}

// --- sending -------------------------------------------------------------------------------------------------------------------------

static const dx_transfer_ops transfer_ops = {.head = on_head, .piece = on_piece, .done = on_done};

bool dx_call_write_url(dx_call *call) {
    const dx_exchange_request *request = &call->x.request;
    size_t scheme = request->secure ? 8 : 7, size = scheme + request->authority.size + request->target.size;
    char *url = dx_arena_bytes(call->arena, size + 1);
    if (!url) return false;
    memcpy(url, request->secure ? "https://" : "http://", scheme);
    memcpy(url + scheme, request->authority.data, request->authority.size);
    memcpy(url + scheme + request->authority.size, request->target.data, request->target.size);
    url[size] = '\0';
    call->transfer.url = dx_slice_of(url, size);
    return true;
}

static void stop_sending(dx_exchange *x) {
    dx_call *call = dx_call_of(x);
    dx_hedging_stop(call);
    dx_admission_cancel(&call->engine->admission, &call->transfer);
}

dx_verdict dx_call_send(const void *conf, dx_exchange *x) {
    (void)conf;
    dx_call *call = dx_call_of(x);
    if (call->streaming) { // what an attempt before this one has begun to answer is not wanted
        call->streaming = false;
        dx_admission_cancel(&call->engine->admission, &call->transfer);
    }
    if (!dx_call_write_url(call)) return dx_exchange_fail_out(x, DX_ERROR_NO_MEMORY, NULL);
    x->attempt++;
    x->stop = stop_sending;
    call->transfer.x = x;
    call->transfer.ops = &transfer_ops;
    call->transfer.wire = &call->settings->wire;
    call->transfer.upload = call->upload;
    call->transfer.stream = call->has_sink;
    size_t scheme = x->request.secure ? 8 : 7;
    if (!dx_admission_enter(&call->engine->admission, &call->transfer,
                            dx_slice_of(call->transfer.url.data, scheme + x->request.authority.size))) {
        x->stop = NULL;
        return DX_ANSWER;
    }
    dx_hedging_begin(call);
    return DX_WAIT;
}

// --- beginning and stopping ------------------------------------------------------------------------------------------------------------

void dx_call_stop(dx_call *call, dx_error_code why, const char *detail) {
    dx_exchange *x = &call->x;
    if (x->aborted || atomic_load(&call->state) == DX_CALL_OVER) return;
    dx_phase phase = x->phase;
    x->aborted = true;
    if (call->streaming && call->head_told) { // the chain is through already
        dx_admission_cancel(&call->engine->admission, &call->transfer);
        call->streaming = false;
        (void)dx_exchange_fail_out(x, why, detail ? "%s" : NULL, detail);
        x->phase = phase;
        return end(call);
    }
    void (*stop)(dx_exchange *) = x->stop;
    x->stop = NULL;
    if (stop) stop(x);
    (void)dx_exchange_fail_out(x, why, detail ? "%s" : NULL, detail);
    dx_exchange_resume(x, DX_ANSWER);
}

static void on_deadline(dx_timer *timer) {
    dx_call_stop(DX_CONTAINER_OF(timer, dx_call, deadline), DX_ERROR_TIMEOUT, NULL);
}

static void on_alarm(dx_alarm *alarm) {
    dx_call_stop(DX_CONTAINER_OF(alarm, dx_call, alarm), DX_ERROR_TIMEOUT, NULL);
}

static void set_deadline(dx_call *call) {
    if (!call->x.deadline) return;
    dx_nanos left = call->x.deadline - dx_clock_monotonic();
    if (left < 0) left = 0;
    call->deadline.fire = on_deadline;
    if (left < SHORT_TIMEOUT_S * DX_SECOND && dx_alarm_init(&call->alarm, call->engine->loop, on_alarm) == DX_OK)
        dx_alarm_start(&call->alarm, left);
    else
        dx_timer_start(call->engine->loop, &call->deadline, left);
}

void dx_call_begin(dx_call *call) {
    dx_exchange *x = &call->x;
    x->loop = call->engine->loop;
    dx_call_keep_alive(call);
    x->finished = on_finished;
    call->next = call->engine->calls;
    call->link = &call->engine->calls;
    if (call->next) call->next->link = &call->next;
    call->engine->calls = call;
    dx_client_count_start(call);
    dx_log_call_start(call);
    bool closing = atomic_load(&call->client->closing);
    if (closing || atomic_load(&call->cancel_asked)) {
        (void)dx_exchange_fail_out(x, closing ? DX_ERROR_CLOSED : DX_ERROR_CANCELLED, NULL);
        return on_finished(x);
    }
    bool ended = false;
    call->ended = &ended;
    dx_chain_run_with(x, &call->settings->chain);
    if (ended) return; // what a cache has needs no timer
    call->ended = NULL;
    set_deadline(call);
}

static void stop_asked(dx_task *task) {
    dx_call *call = DX_CONTAINER_OF(task, dx_call, stop);
    dx_call_stop(call, DX_ERROR_CANCELLED, NULL);
    dx_call_release(call);
}

void dx_call_cancel(dx_call *call) {
    if (atomic_exchange(&call->cancel_asked, true) || dx_call_is_over(call) || !call->engine) return;
    post(call, &call->stop, stop_asked);
}

bool dx_call_is_over(const dx_call *call) {
    return atomic_load_explicit(&call->state, memory_order_acquire) == DX_CALL_OVER;
}

const dx_error *dx_call_error(const dx_call *call) {
    static const dx_error none = DX_ERROR_INIT;
    return call->error ? call->error : &none;
}

dx_response *dx_call_response(const dx_call *call) {
    return call->has_response ? (dx_response *)(uintptr_t)&call->response : NULL;
}
