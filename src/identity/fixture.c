// The tests' small world: see fixture.h. Both clocks are variables, and one request runs at a time, to its end.
#include "identity/fixture.h"

#include <stdio.h>

#include "base/memory.h"

fixture world;
dx_micros_utc test_utc = 1700000000 * (dx_micros_utc)1000000;
static dx_nanos test_monotonic = 5 * DX_SECOND;
static dx_session *session;

// The server room's app asks for the features; there is only this one here.
const dx_feature *const dx_features[] = {&dx_identity_feature, NULL};

static dx_micros_utc utc(dx_loop *loop) {
    (void)loop;
    return test_utc;
}

static dx_nanos monotonic(const dx_loop *loop) {
    (void)loop;
    return test_monotonic;
}

void test_advance(dx_nanos by) {
    test_utc += by / DX_MICROSECOND;
    test_monotonic += by;
}

static dx_session *session_of(const dx_app *app, unsigned worker) {
    (void)app, (void)worker;
    return session;
}

int fixture_set_up(void **state) {
    (void)state;
    static int slot = -1;
    dx_store_options options = DX_STORE_OPTIONS_INIT;
    dx_migration_report report;
    dx_identity *self = &world.identity;
    memset(&world, 0, sizeof world);
    world.arena = dx_arena_create(64 << 20);
    assert_non_null(world.arena);
    assert_int_equal(dx_store_open(&world.store, DX_SLICE("sqlite::memory:"), &options, NULL), DX_OK);
    assert_int_equal(dx_store_migrate(world.store, dx_identity_tables, DX_IDENTITY_TABLE_COUNT, &report, NULL), DX_OK);
    assert_int_equal(dx_loop_create(&world.loop), DX_OK);
    session = dx_store_session(world.store, 0, world.loop);
    assert_non_null(session);
    if (slot < 0) slot = dx_slot_reserve();
    self->slot = slot;
    self->settings = (dx_identity_settings){
        .access_ttl_s = 900,
        .refresh_ttl_s = 604800,
        .refresh_grace = 5 * DX_SECOND,
        .password = DX_PASSWORD_RULE_INIT,
        .cost = {64, 1, 1},
        .registration_open = true,
        .default_roles = DX_SLICE_INIT("[\"user\"]"),
        .lockout = {5, 5000000, 900000000, 86400 * (int64_t)1000000},
    };
    assert_int_equal(dx_identity_init(self, world.arena, DX_SLICE("a root secret of the tests, 32 b."), 1, NULL), DX_OK);
    self->clock = (dx_identity_clock){utc, monotonic};
    self->session = session_of;
    assert_int_equal(dx_accounts_init(&self->statements, dx_keep_create(world.store)), DX_OK);
    return 0;
}

int fixture_tear_down(void **state) {
    (void)state;
    dx_identity_deinit(&world.identity);
    dx_store_close(world.store);
    dx_loop_destroy(world.loop);
    dx_arena_destroy(world.arena);
    return 0;
}

const char *test_format(const char *format, ...) {
    va_list args;
    va_start(args, format);
    dx_slice text = dx_arena_vprintf(world.arena, format, args);
    va_end(args);
    assert_non_null(text.data);
    return text.data;
}

dx_verdict test_probe(const void *conf, dx_exchange *x) {
    (void)conf;
    return dx_exchange_empty(x, 200);
}

static void finished(dx_exchange *x) {
    x->owner = x; // seen by run()
    dx_loop_stop(x->loop);
}

static void note_principal(test_answer *out, const dx_exchange *x) {
    size_t at = 0;
    out->has_principal = x->principal != NULL;
    if (!x->principal) return;
    (void)snprintf(out->principal, sizeof out->principal, "%.*s", DX_SLICE_ARG(x->principal->name));
    for (size_t i = 0; i < x->principal->role_count && at < sizeof out->roles; i++)
        at += (size_t)snprintf(out->roles + at, sizeof out->roles - at, "%s%.*s", i ? "," : "", DX_SLICE_ARG(x->principal->roles[i]));
}

static test_answer answer_of(const dx_exchange *x) {
    test_answer out = {.status = x->response.status};
    yyjson_doc *doc;
    const dx_fields *fields = &x->response.fields;
    out.body = dx_arena_copy(world.arena, x->response.body);
    if (out.body.size && dx_json_read(&doc, world.arena, out.body, NULL, NULL) == DX_OK) out.json = yyjson_doc_get_root(doc);
    out.error_code = dx_json_member_slice(out.json, "error_code");
    out.retry_after = dx_arena_copy(world.arena, dx_fields_find(fields, DX_SLICE("retry-after")));
    out.authenticate = dx_arena_copy(world.arena, dx_fields_find(fields, DX_SLICE("www-authenticate")));
    out.location = dx_arena_copy(world.arena, dx_fields_find(fields, DX_SLICE("location")));
    note_principal(&out, x);
    return out;
}

typedef struct remains_of {
    dx_slice body;
    bool wiped;
} remains_of;

// The arena's first cleanup, so the last to run.
static void look_for_remains(void *ctx) {
    remains_of *remains = ctx;
    size_t left = 0;
    for (size_t i = 0; i < remains->body.size; i++) left += remains->body.data[i] != 0;
    remains->wiped = left == 0;
}

static test_answer call(dx_handler handler, const char *token, const char *body, uint64_t n, bool run_loop) {
    dx_filter filters[] = {{&dx_bearer_filter, &world.identity}};
    dx_operation operation = {.handler = handler, .conf = &world.identity};
    dx_exchange x;
    dx_arena *arena = dx_arena_create(8 << 20);
    assert_non_null(arena);
    operation.chain = (dx_chain){.filters = filters, .filter_count = 1, .handler = handler, .conf = &world.identity};
    dx_exchange_init(&x, arena, world.loop, 0);
    x.operation = &operation;
    x.finished = finished;
    x.request.body = dx_arena_copy(arena, dx_slice_str(body));
    remains_of remains = {x.request.body, false};
    assert_int_equal(dx_arena_defer(arena, look_for_remains, &remains), DX_OK);
    x.request.peer = DX_SLICE("127.0.0.1:999");
    dx_field fields[2];
    x.request.fields = (dx_fields){fields, 0, 2};
    if (token) {
        dx_slice value = dx_slice_str(test_format("Bearer %s", token));
        fields[x.request.fields.count++] = (dx_field){DX_SLICE_INIT("authorization"), value, DX_FIELD_AUTHORIZATION};
    }
    if (body) {
        dx_slice type = body[0] == '{' ? DX_SLICE("application/json") : DX_SLICE("application/x-www-form-urlencoded");
        fields[x.request.fields.count++] = (dx_field){DX_SLICE_INIT("content-type"), type, DX_FIELD_CONTENT_TYPE};
    }
    if (n) dx_memory_fail_at(n, false);
    dx_chain_run(&x);
    if (run_loop)
        assert_int_equal(dx_loop_run(world.loop), DX_OK); // also when finished already: what was written behind the answer ends here
    bool injected = n && dx_memory_fail_stop();
    assert_ptr_equal(x.owner, &x);
    test_answer out = answer_of(&x);
    out.injected = injected;
    dx_arena_destroy(arena);
    out.wiped = remains.wiped;
    return out;
}

test_answer test_call(dx_handler handler, const char *token, const char *body) {
    return call(handler, token, body, 0, true);
}

test_answer test_call_failing(dx_handler handler, const char *token, const char *body, uint64_t n) {
    return call(handler, token, body, n, true);
}

test_answer test_call_at_once(dx_handler handler, const char *token, const char *body) {
    return call(handler, token, body, 0, false);
}

void test_register(const char *name) {
    test_answer answer =
        test_call(dx_register_handle, NULL,
                  test_format("{\"username\":\"%s\",\"email\":\"%s@example.com\",\"password\":\"" PASSPHRASE "\"}", name, name));
    assert_int_equal(answer.status, 201);
}

static void copy_text(char *out, size_t cap, dx_slice text) {
    assert_true(text.size > 0 && text.size < cap);
    memcpy(out, text.data, text.size);
    out[text.size] = 0;
}

test_tokens test_tokens_of(const test_answer *answer) {
    test_tokens out;
    assert_int_equal(answer->status, 200);
    copy_text(out.access, sizeof out.access, dx_json_member_slice(answer->json, "access_token"));
    copy_text(out.refresh, sizeof out.refresh, dx_json_member_slice(answer->json, "refresh_token"));
    return out;
}

test_tokens test_login(const char *name) {
    test_answer answer = test_call(dx_login_handle, NULL, test_format("username=%s&password=correct+horse+battery", name));
    return test_tokens_of(&answer);
}
