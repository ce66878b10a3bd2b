// Answering an exchange. How a problem is written is the server's (dx_exchange_set_problem_writer); without one, a bare problem document
// is made here, so that the spine works alone.
#include "exchange/flow.h"

#define SLOTS DX_SLOT_CACHE // what dx_slot_reserve gives out; behind it are those of src/policy

static dx_problem_writer problem_writer;
static int slots_taken;

void dx_exchange_set_problem_writer(dx_problem_writer writer) {
    problem_writer = writer;
}

int dx_slot_reserve(void) {
    return slots_taken < SLOTS ? slots_taken++ : -1;
}

bool dx_principal_has_role(const dx_principal *principal, dx_slice role) {
    for (size_t i = 0; principal && i < principal->role_count; i++)
        if (dx_slice_equal(principal->roles[i], role)) return true;
    return false;
}

void dx_exchange_init(dx_exchange *exchange, dx_arena *arena, dx_loop *loop, unsigned worker) {
    memset(exchange, 0, sizeof *exchange);
    exchange->arena = arena;
    exchange->loop = loop;
    exchange->worker = worker;
}

// What is said when there is no memory for anything better. The fields are gone too: adding one is what may have failed.
static DX_COLD void answer_without_memory(dx_exchange *x) {
    dx_exchange_retract(x);
    x->response.fields.count = 0;
    x->response.status = 503;
    x->response.body = DX_SLICE("The server is short of memory.\n");
    x->error = DX_NO_MEMORY;
}

void dx_exchange_field(dx_exchange *x, dx_slice name, dx_slice value) {
    if (DX_UNLIKELY(dx_exchange_has_begun(x))) return; // the head is gone
    dx_status status = dx_fields_add(&x->response.fields, x->arena, name, value);
    if (DX_LIKELY(status == DX_OK)) return;
    if (status == DX_NO_MEMORY)
        answer_without_memory(x);
    else // the value would break the head
        (void)dx_exchange_fail(x, status, "the response field %.*s has a value that can't be sent", DX_SLICE_ARG(name));
}

static bool describes_body(const dx_field *field) {
    static const dx_slice names[] = {DX_SLICE_INIT("etag"), DX_SLICE_INIT("last-modified"), DX_SLICE_INIT("location"),
                                     DX_SLICE_INIT("cache-control")};
    static const dx_slice content = DX_SLICE_INIT("content-");
    if (field->name.size > content.size && dx_slice_equal_nocase(dx_slice_of(field->name.data, content.size), content)) return true;
    for (size_t i = 0; i < DX_COUNT_OF(names); i++)
        if (dx_slice_equal_nocase(field->name, names[i])) return true;
    return false;
}

void dx_exchange_forget(dx_exchange *x) {
    x->response.status = 0;
    x->response.fields.count = 0;
    x->response.body = (dx_slice){0};
    x->failure = DX_ERROR_NONE;
    x->failure_detail = (dx_slice){0};
}

dx_verdict dx_exchange_fail_out(dx_exchange *x, dx_error_code failure, const char *detail, ...) {
    dx_exchange_forget(x);
    x->failure = failure;
    x->response.status = dx_error_http(failure);
    if (!detail) return DX_ANSWER;
    va_list args;
    va_start(args, detail);
    x->failure_detail = dx_arena_vprintf(x->arena, detail, args); // without memory there is no detail
    va_end(args);
    return DX_ANSWER;
}

// Fields of an answer that is being replaced go; those of filters stay.
static void forget_answer(dx_exchange *x) {
    if (dx_exchange_streams(x)) dx_exchange_retract(x);
    dx_fields *fields = &x->response.fields;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < fields->count; i++)
        if (!describes_body(&fields->items[i])) fields->items[kept++] = fields->items[i];
    fields->count = kept;
    x->response.body = (dx_slice){NULL, 0};
}

dx_verdict dx_exchange_empty(dx_exchange *x, int status) {
    if (DX_UNLIKELY(dx_exchange_has_begun(x))) return DX_ANSWER; // too late for another one
    if (DX_UNLIKELY(dx_exchange_streams(x))) dx_exchange_retract(x);
    x->response.status = status;
    x->response.body = (dx_slice){NULL, 0};
    return DX_ANSWER;
}

static dx_field *content_type_of(dx_fields *fields) {
    for (uint32_t i = 0; i < fields->count; i++)
        if (fields->items[i].id == DX_FIELD_CONTENT_TYPE) return &fields->items[i];
    return NULL;
}

dx_verdict dx_exchange_body(dx_exchange *x, int status, dx_slice content_type, dx_slice body) {
    if (DX_UNLIKELY(dx_exchange_has_begun(x))) return DX_ANSWER;
    if (DX_UNLIKELY(dx_exchange_streams(x))) dx_exchange_retract(x);
    x->response.status = status;
    x->response.body = body;
    dx_field *field = content_type_of(&x->response.fields);
    if (field)
        field->value = content_type;
    else
        dx_exchange_field(x, DX_SLICE("content-type"), content_type);
    return DX_ANSWER;
}

dx_verdict dx_exchange_json(dx_exchange *x, int status, dx_slice body) {
    if (DX_UNLIKELY(!body.data)) return dx_exchange_fail(x, DX_NO_MEMORY, NULL); // the outcome of an arena allocation, handed on
    return dx_exchange_body(x, status, DX_SLICE("application/json"), body);
}

static void write_bare_problem(dx_exchange *x, dx_status status) {
    dx_slice body = dx_arena_printf(x->arena, "{\"title\":\"%s\",\"status\":%d,\"error_code\":\"%s\"}", dx_status_title(status),
                                    dx_status_http(status), dx_status_code(status));
    if (body.data)
        (void)dx_exchange_body(x, dx_status_http(status), DX_SLICE("application/problem+json"), body);
    else
        answer_without_memory(x);
}

static dx_verdict fail(dx_exchange *x, dx_status status, const dx_diags *findings, const char *format, va_list args) {
    x->error = status;
    x->error_detail = format ? dx_arena_vprintf(x->arena, format, args) : (dx_slice){NULL, 0};
    if (DX_UNLIKELY(dx_exchange_has_begun(x))) { // the head is gone: all that can be said is that it was not whole
        dx_exchange_cut(x);
        return DX_ANSWER;
    }
    forget_answer(x);
    x->response.status = dx_status_http(status);
    if (problem_writer)
        problem_writer(x, status, x->error_detail, findings);
    else
        write_bare_problem(x, status);
    return DX_ANSWER;
}

dx_verdict dx_exchange_fail(dx_exchange *x, dx_status status, const char *detail, ...) {
    va_list args;
    va_start(args, detail);
    dx_verdict verdict = fail(x, status, NULL, detail, args);
    va_end(args);
    return verdict;
}

dx_verdict dx_exchange_fail_with(dx_exchange *x, dx_status status, const dx_diags *findings, const char *detail, ...) {
    va_list args;
    va_start(args, detail);
    dx_verdict verdict = fail(x, status, findings, detail, args);
    va_end(args);
    return verdict;
}
