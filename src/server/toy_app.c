// An app for the tests: a definition in a folder of its own, and a toy feature.
#include "server/toy_app.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "codec/json.h"

// --- the feature
// ----------------------------------------------------------------------------------------------------------------------------------

static const dx_slice admin_role[] = {DX_SLICE_INIT("admin")};
static const dx_principal good = {.id = DX_SLICE_INIT("42"), .number = 42, .name = DX_SLICE_INIT("good")};
static atomic_int arrived; // requests that wait in /wait
static atomic_bool released;

static dx_verdict identify_in(const void *conf, dx_exchange *x) {
    (void)conf;
    if (dx_slice_equal(dx_fields_get(&x->request.fields, DX_FIELD_AUTHORIZATION), DX_SLICE("Bearer good"))) x->principal = &good;
    return DX_NEXT;
}

// Filters that write down where they stand.
static dx_verdict mark_in(const void *conf, dx_exchange *x) {
    dx_exchange_field(x, DX_SLICE("x-mark"), dx_slice_str(conf));
    return DX_NEXT;
}
static const dx_filter_ops identify = {.name = "identify", .in = identify_in}, mark = {.name = "mark", .in = mark_in};

static dx_verdict echo(const void *conf, dx_exchange *x) {
    (void)conf;
    return dx_exchange_body(x, 200, DX_SLICE("text/plain"), x->request.body.data ? x->request.body : DX_SLICE(""));
}

static dx_verdict parameter(const void *conf, dx_exchange *x) {
    (void)conf;
    return dx_exchange_body(x, 200, DX_SLICE("text/plain"), x->params[0]);
}

static dx_verdict burn(const void *conf, dx_exchange *x) {
    (void)conf;
    return dx_exchange_fail(x, DX_INTERNAL, "the inside is on fire");
}

typedef struct waiting {
    dx_work work;
    dx_exchange *x;
} waiting;

static void wait_off_loop(dx_work *work) {
    (void)work;
    atomic_fetch_add(&arrived, 1);
    while (!atomic_load(&released)) poll(NULL, 0, 1);
}

static void waited(dx_work *work) {
    waiting *w = DX_CONTAINER_OF(work, waiting, work);
    (void)dx_exchange_body(w->x, 200, DX_SLICE("text/plain"), DX_SLICE("waited"));
    dx_exchange_resume(w->x, DX_ANSWER);
}

static dx_verdict wait_here(const void *conf, dx_exchange *x) {
    (void)conf;
    waiting *w = DX_ARENA_NEW(x->arena, waiting);
    if (!w) return dx_exchange_fail(x, DX_NO_MEMORY, NULL);
    *w = (waiting){.work = {.work = wait_off_loop, .done = waited, .loop = x->loop}, .x = x};
    dx_status status = dx_loop_work(x->loop, &w->work);
    return status == DX_OK ? DX_WAIT : dx_exchange_fail(x, status, NULL);
}

static void describe(const void *conf, const dx_operation *operation, yyjson_mut_doc *doc, yyjson_mut_val *object) {
    (void)conf;
    yyjson_mut_obj_add_strn(doc, object, "summary", operation->id.data, operation->id.size);
    yyjson_mut_arr_add_str(doc, yyjson_mut_obj_add_arr(doc, object, "tags"), "toys");
    yyjson_mut_val *response = yyjson_mut_obj_add_obj(doc, yyjson_mut_obj_add_obj(doc, object, "responses"), "200");
    yyjson_mut_obj_add_str(doc, response, "description", "It.");
}

static yyjson_mut_val *describe_scheme(const void *conf, yyjson_mut_doc *doc) {
    (void)conf;
    yyjson_mut_val *scheme = yyjson_mut_obj(doc);
    yyjson_mut_obj_add_str(doc, scheme, "type", "http");
    yyjson_mut_obj_add_str(doc, scheme, "scheme", "bearer");
    return scheme;
}

static dx_status build(void *state, dx_app *app, dx_diags *diags) {
    static dx_operation operations[] = {
        {.id = DX_SLICE_INIT("toys.echo"),
         .method = DX_POST,
         .path = DX_SLICE_INIT("/echo"),
         .body = DX_BODY_WHOLE,
         .body_cap = 1000,
         .handler = echo,
         .describe = describe,
         .access = {.is_public = true}},
        {.id = DX_SLICE_INIT("toys.upload"),
         .method = DX_POST,
         .path = DX_SLICE_INIT("/upload"),
         .body = DX_BODY_WHOLE,
         .handler = echo,
         .describe = describe},
        {.id = DX_SLICE_INIT("toys.read"),
         .method = DX_GET,
         .path = DX_SLICE_INIT("/toys/{name}"),
         .handler = parameter,
         .describe = describe,
         .access = {.is_public = true}},
        {.id = DX_SLICE_INIT("toys.rule"),
         .method = DX_DELETE,
         .path = DX_SLICE_INIT("/toys/{name}"),
         .handler = parameter,
         .describe = describe,
         .access = {.roles = admin_role, .role_count = 1}},
        {.id = DX_SLICE_INIT("toys.burn"),
         .method = DX_GET,
         .path = DX_SLICE_INIT("/burn"),
         .handler = burn,
         .access = {.is_public = true}},
        {.id = DX_SLICE_INIT("toys.wait"),
         .method = DX_GET,
         .path = DX_SLICE_INIT("/wait"),
         .handler = wait_here,
         .access = {.is_public = true}},
    };
    (void)state;
    (void)diags;
    dx_status status = dx_app_add_filter(app, DX_STAGE_INNER, (dx_filter){&mark, "inner"});
    if (status == DX_OK) status = dx_app_add_filter(app, DX_STAGE_ADMIT, (dx_filter){&mark, "admit"});
    if (status == DX_OK) status = dx_app_add_filter(app, DX_STAGE_IDENTIFY, (dx_filter){&identify, NULL});
    if (status == DX_OK) status = dx_app_add_filter(app, DX_STAGE_EDGE, (dx_filter){&mark, "edge"});
    if (status == DX_OK) status = dx_app_add_security_scheme(app, DX_SLICE("bearer"), describe_scheme, NULL);
    for (size_t i = 0; i < DX_COUNT_OF(operations) && status == DX_OK; i++) status = dx_app_add_operation(app, &operations[i]);
    return status;
}

atomic_int toy_started, toy_left, toy_stopped, toy_inherited;

static dx_status load(void **state, dx_app *app, dx_diags *diags) {
    (void)diags;
    *state = app;
    return DX_OK;
}

static void inherit(void *state, void *old) {
    if (state && old && state != old) atomic_fetch_add(&toy_inherited, 1);
}

static dx_status start(void *state, dx_app *app, unsigned worker, dx_loop *loop) {
    (void)worker, (void)loop;
    if (state == app) atomic_fetch_add(&toy_started, 1);
    return DX_OK;
}

static void leave(void *state, unsigned worker, dx_loop *loop) {
    (void)state, (void)worker, (void)loop;
    atomic_fetch_add(&toy_left, 1);
}

static void stop(void *state) {
    (void)state;
    atomic_fetch_add(&toy_stopped, 1);
}

static const dx_feature toy_feature = {
    .name = "toy", .load = load, .build = build, .inherit = inherit, .start = start, .leave = leave, .stop = stop};
// Weak: a test may have a table of its own.
__attribute__((weak)) const dx_feature *const dx_features[] = {&toy_feature, NULL};

// --- the server
// -----------------------------------------------------------------------------------------------------------------------------------

void toy_write(const toy *t, const char *name, const char *text) {
    char path[256];
    snprintf(path, sizeof path, "%s/%s", t->folder, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

void toy_prepare(toy *t, const char *server_section) {
    char text[4096];
    memset(t, 0, sizeof *t);
    snprintf(t->folder, sizeof t->folder, "/tmp/duplex-test-XXXXXX");
    assert_non_null(mkdtemp(t->folder));
    snprintf(t->path, sizeof t->path, "%s/toy.json", t->folder);
    snprintf(text, sizeof text, "{\"server\": {%s}}", server_section);
    toy_write(t, "toy.json", text);
    t->arena = dx_arena_create(16u << 20);
    dx_diags_init(&t->diags, t->arena);
}

dx_status toy_create(toy *t, const dx_app_options *overrides) {
    dx_app_options options = overrides ? *overrides : (dx_app_options){0};
    options.path = t->path;
    return dx_app_create(&t->app, &options, &t->diags);
}

void toy_clean(toy *t) {
    char command[300];
    dx_app_destroy(t->app);
    dx_arena_destroy(t->arena);
    snprintf(command, sizeof command, "rm -rf '%s'", t->folder);
    assert_int_equal(system(command), 0);
}

void toy_wait_for_arrivals(int count) {
    while (atomic_load(&arrived) < count) poll(NULL, 0, 1);
}

void toy_hold(void) {
    atomic_store(&arrived, 0);
    atomic_store(&released, false);
}

void toy_release(void) {
    atomic_store(&released, true);
}
