// Problem documents (RFC 9457). The part of a document that is the same for every problem of a kind is made once; what is written for a
// request is its detail, place, time and trace. In production a 5xx has no detail: the log has it, under the same trace id.
#include <pthread.h>

#include "codec/json.h"
#include "codec/text.h"
#include "server/parts.h"

#define PROBLEM_CAP (256u << 10)
#define PREFIX_CAP  256
#define OUTGROWN    "the body takes more memory than a request may: server.limits.memory"

static struct {
    char text[PREFIX_CAP];
    size_t size;
} prefixes[DX_STATUS_COUNT];
static atomic_bool hides_inside = true;
static pthread_once_t set_up = PTHREAD_ONCE_INIT;
static dx_status outcome;

static dx_status write_prefixes(void) {
    for (int i = 0; i < DX_STATUS_COUNT; i++) {
        dx_buffer text = {.data = prefixes[i].text, .capacity = PREFIX_CAP, .cap = PREFIX_CAP};
        dx_status kind = (dx_status)i;
        dx_buffer_printf(&text, "{\"type\":\"/problems/%s\",\"title\":\"%s\",\"status\":%d,\"error_code\":\"%s\"", dx_status_code(kind),
                         dx_status_title(kind), dx_status_http(kind), dx_status_code(kind));
        if (dx_buffer_status(&text) != DX_OK) return dx_buffer_status(&text);
        prefixes[i].size = text.size;
    }
    return DX_OK;
}

static void set_up_once(void) {
    outcome = write_prefixes();
    dx_exchange_set_problem_writer(dx_problem_answer);
}

dx_status dx_problem_setup(void) {
    (void)pthread_once(&set_up, set_up_once);
    return outcome;
}

void dx_problem_show_inside(bool shown) {
    atomic_store_explicit(&hides_inside, !shown, memory_order_relaxed);
}

// A pointer that starts with "?" names a query parameter.
static void write_finding(dx_buffer *out, const dx_diag *finding) {
    bool parameter = finding->pointer.size && finding->pointer.data[0] == '?';
    dx_buffer_add(out, parameter ? DX_SLICE("{\"parameter\":") : DX_SLICE("{\"pointer\":"));
    dx_json_write_string(out, parameter ? dx_slice_from(finding->pointer, 1) : finding->pointer);
    DX_BUFFER_LIT(out, ",\"detail\":");
    dx_json_write_string(out, finding->message);
    if (finding->suggestion.size) {
        DX_BUFFER_LIT(out, ",\"suggestion\":");
        dx_json_write_string(out, finding->suggestion);
    }
    dx_buffer_byte(out, '}');
}

static void write_findings(dx_buffer *out, const dx_diags *findings) {
    DX_BUFFER_LIT(out, ",\"errors\":[");
    for (const dx_diag *finding = findings->first; finding; finding = finding->next) {
        if (finding != findings->first) dx_buffer_byte(out, ',');
        write_finding(out, finding);
    }
    dx_buffer_byte(out, ']');
}

void dx_problem_write(dx_buffer *out, const dx_problem *problem) {
    char time[DX_TIME_TEXT_CAP];
    size_t kind = (size_t)problem->status < DX_STATUS_COUNT ? (size_t)problem->status : DX_INTERNAL;
    bool inside = dx_status_http(problem->status) >= 500;
    dx_buffer_append(out, prefixes[kind].text, prefixes[kind].size);
    if (problem->detail.size && !(inside && atomic_load_explicit(&hides_inside, memory_order_relaxed))) {
        DX_BUFFER_LIT(out, ",\"detail\":");
        dx_json_write_string(out, problem->detail);
    }
    DX_BUFFER_LIT(out, ",\"instance\":");
    dx_json_write_string(out, problem->path);
    DX_BUFFER_LIT(out, ",\"path\":");
    dx_json_write_string(out, problem->path);
    DX_BUFFER_LIT(out, ",\"timestamp\":\"");
    dx_buffer_append(out, time, dx_time_write(time, problem->now));
    DX_BUFFER_LIT(out, "\",\"trace_id\":\"");
    dx_buffer_add(out, problem->trace_id);
    dx_buffer_byte(out, '"');
    if (problem->findings && problem->findings->count) write_findings(out, problem->findings);
    dx_buffer_byte(out, '}');
}

static bool has_field(const dx_exchange *x, dx_slice name) {
    return dx_fields_find(&x->response.fields, name).data != NULL;
}

// Made of static text alone.
static DX_COLD void answer_bare(dx_exchange *x, bool outgrown) {
    static const dx_slice bodies[] = {
        DX_SLICE_INIT("{\"type\":\"/problems/out_of_memory\",\"title\":\"The server is short of memory\",\"status\":503,"
                      "\"error_code\":\"out_of_memory\"}"),
        DX_SLICE_INIT("{\"type\":\"/problems/body_too_large\",\"title\":\"The body is too large\",\"status\":413,"
                      "\"error_code\":\"body_too_large\",\"detail\":\"" OUTGROWN "\"}")};
    x->error = outgrown ? DX_TOO_LARGE : DX_NO_MEMORY;
    (void)dx_exchange_body(x, dx_status_http(x->error), DX_SLICE("application/problem+json"), bodies[outgrown]);
}

// Whether a handler's want of memory is the doing of the request's body: the exchange has all it may, and the body is not small beside
// that. (What is made of a body, a tree above all, may be a few dozen times its size.)
static bool body_outgrew(const dx_exchange *x) {
    return dx_arena_outgrown(x->arena) && x->request.body.size > x->arena->cap / 64;
}

void dx_problem_answer(dx_exchange *x, dx_status status, dx_slice detail, const dx_diags *findings) {
    dx_buffer body;
    bool outgrown = DX_UNLIKELY(status == DX_NO_MEMORY) && body_outgrew(x);
    if (outgrown) {
        x->error = status = DX_TOO_LARGE;
        x->error_detail = detail = DX_SLICE(OUTGROWN);
    }
    dx_problem problem = {.status = status,
                          .detail = detail,
                          .path = x->request.path,
                          .trace_id = dx_slice_of(x->trace_id, x->trace_id[0] ? DX_TRACE_ID_SIZE : 0),
                          .now = x->loop ? dx_loop_utc(x->loop) : dx_clock_utc(),
                          .findings = findings};
    dx_buffer_init(&body, x->arena, PROBLEM_CAP);
    dx_problem_write(&body, &problem);
    if (dx_buffer_status(&body) == DX_TOO_LARGE) { // many long findings: say that much, without them
        dx_buffer_init(&body, x->arena, PROBLEM_CAP);
        problem.findings = NULL;
        dx_problem_write(&body, &problem);
    }
    if (dx_buffer_status(&body) != DX_OK) {
        answer_bare(x, body_outgrew(x));
        return;
    }
    int http = dx_status_http(status);
    (void)dx_exchange_body(x, http, DX_SLICE("application/problem+json"), dx_buffer_slice(&body));
    dx_exchange_field(x, DX_SLICE("cache-control"), DX_SLICE("no-store"));
    if (http == 503 && !has_field(x, DX_SLICE("retry-after"))) dx_exchange_field(x, DX_SLICE("retry-after"), DX_SLICE("1"));
    if (http == 405 && x->allow.size && !has_field(x, DX_SLICE("allow"))) dx_exchange_field(x, DX_SLICE("allow"), x->allow);
}
