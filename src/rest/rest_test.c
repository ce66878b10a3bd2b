// The HTTP face: requests become calls and outcomes answers; and what the routes say of themselves holds together. The app is a stand-in
// that gathers what the feature adds, and exchanges are run without a network.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "rest/parts.h"
#include "rest/rest.h"

// --- a stand-in for the app ------------------------------------------------------------------------------------------------

#define OPERATIONS_CAP 16384
#define SCHEMAS_CAP    16384
#define TABLES_CAP     2048

struct dx_app {
    dx_arena *arena;
    dx_definition *definition;
    dx_store *store;
    dx_loop *loop;
    dx_session *session;
    void *state;
    const dx_table *tables[TABLES_CAP];
    dx_operation *operations[OPERATIONS_CAP];
    struct {
        dx_slice name;
        dx_describe_schema describe;
        const void *conf;
    } schemas[SCHEMAS_CAP];
    size_t table_count, operation_count, schema_count;
    size_t pending;
    bool waiting;
    char path[64];
};

dx_arena *dx_app_arena(dx_app *app) {
    return app->arena;
}
const dx_definition *dx_app_definition(const dx_app *app) {
    return app->definition;
}
yyjson_val *dx_app_section(const dx_app *app, const char *name) {
    return dx_definition_section(app->definition, name);
}
unsigned dx_app_workers(const dx_app *from) {
    (void)from;
    return 1;
}
void dx_app_hold(dx_app *from, unsigned worker) {
    (void)from, (void)worker;
}
void dx_app_release(dx_app *from, unsigned worker) {
    (void)from, (void)worker;
}
dx_keep *dx_app_keep(const dx_app *from) {
    return dx_keep_create(from->store); // goes with the store
}
dx_store *dx_app_store(const dx_app *app) {
    return app->store;
}
dx_session *dx_app_session(const dx_app *app, unsigned worker) {
    assert_int_equal(worker, 0);
    return app->session;
}
dx_slice dx_app_base_path(const dx_app *app) {
    (void)app;
    return DX_SLICE("/api/v1");
}
void dx_app_key(const dx_app *app, const char *purpose, uint8_t out[32]) {
    (void)app;
    (void)purpose;
    memset(out, 7, 32);
}
dx_status dx_app_add_table(dx_app *app, const dx_table *table) {
    assert_true(app->table_count < TABLES_CAP);
    app->tables[app->table_count++] = table;
    return DX_OK;
}
dx_status dx_app_add_operation(dx_app *app, dx_operation *operation) {
    assert_true(app->operation_count < OPERATIONS_CAP);
    operation->chain = (dx_chain){.handler = operation->handler, .conf = operation->conf};
    app->operations[app->operation_count++] = operation;
    return DX_OK;
}
dx_status dx_app_add_schema(dx_app *app, dx_slice name, dx_describe_schema describe, const void *conf) {
    assert_true(app->schema_count < SCHEMAS_CAP);
    if (dx_slice_equal(name, DX_SLICE("Size"))) return DX_ALREADY_EXISTS; // another feature's
    app->schemas[app->schema_count].name = name;
    app->schemas[app->schema_count].describe = describe;
    app->schemas[app->schema_count++].conf = conf;
    return DX_OK;
}

static dx_app app;

static void write_problem(dx_exchange *x, dx_status status, dx_slice detail, const dx_diags *findings) {
    dx_slice body = dx_arena_printf(x->arena, "%s|%.*s|%zu", dx_status_code(status), DX_SLICE_ARG(detail), findings ? findings->count : 0);
    dx_exchange_body(x, dx_status_http(status), DX_SLICE("application/problem+json"), body);
}

static void load(const char *definition) {
    dx_diags diags;
    memset(&app, 0, sizeof app);
    app.arena = dx_arena_create((size_t)1 << 30);
    dx_diags_init(&diags, app.arena);
    snprintf(app.path, sizeof app.path, "/tmp/dx-rest-XXXXXX");
    int fd = mkstemp(app.path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, definition, strlen(definition)), strlen(definition));
    close(fd);
    size_t count = 0;
    while (dx_rest_feature.sections[count]) count++;
    assert_int_equal(dx_definition_load(&app.definition, app.path, dx_rest_feature.sections, count, NULL, &diags), DX_OK);
    assert_int_equal(dx_rest_feature.load(&app.state, &app, &diags), DX_OK);
}

static void build(void) {
    dx_diags diags;
    dx_store_options options = DX_STORE_OPTIONS_INIT;
    dx_diags_init(&diags, app.arena);
    assert_int_equal(dx_store_open(&app.store, DX_SLICE("sqlite::memory:"), &options, &diags), DX_OK);
    assert_int_equal(dx_store_migrate(app.store, app.tables, app.table_count, NULL, &diags), DX_OK);
    assert_int_equal(dx_rest_feature.build(app.state, &app, &diags), DX_OK);
    assert_int_equal(dx_loop_create(&app.loop), DX_OK);
    app.session = dx_store_session(app.store, 0, app.loop);
    dx_exchange_set_problem_writer(write_problem);
}

static void unload(void) {
    dx_store_close(app.store);
    dx_loop_destroy(app.loop);
    dx_definition_destroy(app.definition);
    dx_arena_destroy(app.arena);
    unlink(app.path);
}

static const char *const definition =
    "{\"models\":{"
    "\"Thing\":{\"type\":\"object\",\"required\":[\"title\"],\"properties\":{\"title\":{\"type\":\"string\"},\"price\":{\"type\":"
    "\"number\"},"
    "\"size\":{\"$ref\":\"#/models/Size\"},\"secret\":{\"type\":\"string\",\"writeOnly\":true},\"grade\":{\"enum\":[\"A\",\"B\"]},"
    "\"shelf_id\":{\"type\":[\"integer\",\"null\"]}},\"examples\":[{\"title\":\"x\"}]},"
    "\"Size\":{\"type\":\"object\",\"properties\":{\"inner\":{\"$ref\":\"#/models/Size\"},\"of\":{\"$ref\":\"#/models/Shelf/properties/"
    "name\"}}},"
    "\"Shelf\":{\"type\":\"object\",\"properties\":{\"name\":{\"type\":\"string\"}}}},"
    "\"resources\":{\"things\":{\"model\":\"Thing\",\"access\":\"public\",\"references\":{\"shelf_id\":\"shelves\"}},"
    "\"shelves\":{\"model\":\"Shelf\",\"access\":{\"read\":\"public\"}},"
    "\"racks\":{\"model\":\"Shelf\",\"require_if_match\":true,\"access\":{\"roles\":[\"admin\"]}}}}";

static int setup(void **state) {
    (void)state;
    load(definition);
    build();
    return 0;
}

static int teardown(void **state) {
    (void)state;
    unload();
    return 0;
}

// --- exchanges -------------------------------------------------------------------------------------------------------------

static const dx_operation *operation_named(const char *id) {
    for (size_t i = 0; i < app.operation_count; i++) {
        if (dx_slice_equal(app.operations[i]->id, dx_slice_str(id))) return app.operations[i];
    }
    fail_msg("no operation %s", id);
    return NULL;
}

static void finished(dx_exchange *x) {
    (void)x;
    if (--app.pending == 0 && app.waiting) dx_loop_stop(app.loop);
}

static const dx_principal john = {.id = DX_SLICE_INIT("1"), .number = 1, .name = DX_SLICE_INIT("john")};

// An exchange for an operation; its arena is given back with the test's.
static dx_exchange *exchange(const char *id, const char *row, const char *body) {
    dx_exchange *x = DX_ARENA_NEW(app.arena, dx_exchange);
    dx_arena *arena = dx_arena_create(16u << 20);
    assert_true(x && arena);
    assert_int_equal(dx_arena_defer(app.arena, (void (*)(void *))dx_arena_destroy, arena), DX_OK);
    dx_exchange_init(x, arena, app.loop, 0);
    x->operation = operation_named(id);
    x->request.method = x->operation->method;
    x->request.body = dx_slice_str(body);
    x->principal = &john;
    x->allow = DX_SLICE("GET, HEAD, OPTIONS");
    x->finished = finished;
    if (row) {
        x->params[0] = dx_slice_str(row);
        x->param_count = 1;
    }
    return x;
}

static void with(dx_exchange *x, const char *name, const char *value) {
    assert_int_equal(dx_fields_add(&x->request.fields, x->arena, dx_slice_str(name), dx_slice_str(value)), DX_OK);
    x->request.fields.items[x->request.fields.count - 1].id = dx_field_lookup(dx_slice_str(name));
}

static void run(dx_exchange *x) {
    app.pending++;
    dx_chain_run(x);
    app.waiting = true;
    if (app.pending) assert_int_equal(dx_loop_run(app.loop), DX_OK);
    app.waiting = false;
    assert_int_equal(app.pending, 0);
}

static dx_exchange *send(const char *id, const char *row, const char *type, const char *body) {
    dx_exchange *x = exchange(id, row, body);
    if (type) with(x, "content-type", type);
    run(x);
    return x;
}

static const char *field(const dx_exchange *x, const char *name) {
    dx_slice value = dx_fields_find(&x->response.fields, dx_slice_str(name));
    return value.data ? dx_arena_copy(x->arena, value).data : "";
}

static const char *body_of(const dx_exchange *x) {
    return dx_arena_copy(x->arena, x->response.body).data;
}

static const char JSON[] = "application/json";

static void create_answers_with_location_and_validators(void **state) {
    (void)state;
    dx_exchange *x = send("things.create", NULL, JSON, "{\"title\":\"one\"}");
    assert_int_equal(x->response.status, 201);
    assert_string_equal(field(x, "Location"), "/api/v1/things/1");
    assert_int_equal(field(x, "ETag")[0], '"');
    assert_string_equal(field(x, "Content-Type"), "application/json");
    assert_int_equal(strlen(field(x, "Last-Modified")), DX_HTTP_DATE_SIZE);
    assert_string_equal(field(x, "Cache-Control"), "");
    assert_non_null(strstr(body_of(x), "\"title\":\"one\""));
}

static void media_types_are_checked(void **state) {
    (void)state;
    static const struct {
        const char *id, *type;
        int status;
    } cases[] = {
        {"things.create", "application/json; charset=utf-8", 201},
        {"things.create", "Application/JSON", 201},
        {"things.create", "application/vnd.shop+json", 201},
        {"things.create", "text/plain", 415},
        {"things.create", "application/x-www-form-urlencoded", 415},
        {"things.create", NULL, 415},
        {"things.create", "application/merge-patch+json", 415},
        {"things.replace", "application/json", 200},
        {"things.replace", "application/json-patch+json", 415},
        {"things.change", "application/merge-patch+json", 200},
        {"things.change", "application/json", 200},
        {"things.change", "application/json-patch+json", 400}, // an object is no JSON Patch
        {"things.change", "application/vnd.shop+json", 415},
        {"things.change", NULL, 415},
    };
    for (size_t i = 0; i < DX_COUNT_OF(cases); i++) {
        bool item = strcmp(cases[i].id, "things.create") != 0;
        dx_exchange *x = send(cases[i].id, item ? "1" : NULL, cases[i].type, "{\"title\":\"one\"}");
        if (x->response.status != cases[i].status) fail_msg("%s %s: %d %s", cases[i].id, cases[i].type, x->response.status, body_of(x));
        if (cases[i].status != 415) continue;
        bool patch = strcmp(cases[i].id, "things.change") == 0;
        assert_string_equal(field(x, patch ? "Accept-Patch" : "Accept"), patch ? DX_REST_PATCH_TYPES : JSON);
    }
}

static void empty_bodies_are_refused(void **state) {
    (void)state;
    assert_int_equal(send("things.create", NULL, JSON, "")->response.status, 400);
    assert_int_equal(send("things.replace", "1", JSON, "")->response.status, 400);
    assert_int_equal(send("things.change", "1", JSON, "")->response.status, 400);
}

static void options_tell_the_kinds_of_patch(void **state) {
    (void)state;
    dx_exchange *x = send("things.options", "1", NULL, "");
    assert_int_equal(x->response.status, 204);
    assert_string_equal(field(x, "Allow"), "GET, HEAD, OPTIONS");
    assert_string_equal(field(x, "Accept-Patch"), DX_REST_PATCH_TYPES);
}

static dx_exchange *prefer(const char *id, const char *row, const char *value) {
    dx_exchange *x = exchange(id, row, "{\"title\":\"one\",\"price\":1}");
    with(x, "content-type", JSON);
    with(x, "prefer", value);
    run(x);
    return x;
}

static void preferences_are_followed(void **state) {
    (void)state;
    dx_exchange *x = prefer("things.create", NULL, "respond-async, return=minimal; x=1");
    assert_int_equal(x->response.status, 201);
    assert_int_equal(x->response.body.size, 0);
    assert_string_equal(field(x, "Preference-Applied"), "return=minimal");
    assert_string_equal(field(x, "Location"), "/api/v1/things/1");
    x = prefer("things.replace", "1", "return=minimal");
    assert_int_equal(x->response.status, 204);
    assert_int_equal(field(x, "ETag")[0], '"');
    x = prefer("things.replace", "1", "return=representation");
    assert_int_equal(x->response.status, 200);
    assert_string_equal(field(x, "Preference-Applied"), "return=representation");
    x = prefer("things.read", "1", "return=minimal");
    assert_int_equal(x->response.status, 200);
    assert_true(x->response.body.size > 0);
}

static void reads_carry_validators_and_cache_rules(void **state) {
    (void)state;
    send("things.create", NULL, JSON, "{\"title\":\"one\"}");
    dx_exchange *x = send("things.read", "1", NULL, "");
    assert_int_equal(x->response.status, 200);
    assert_string_equal(field(x, "Cache-Control"), "public, no-cache");
    assert_string_equal(field(x, "Vary"), "");
    dx_exchange *again = exchange("things.read", "1", "");
    with(again, "if-none-match", "\"other\"");
    with(again, "if-none-match", field(x, "ETag")); // two lines are one list
    run(again);
    assert_int_equal(again->response.status, 304);
    assert_int_equal(again->response.body.size, 0);
    assert_string_equal(field(again, "ETag"), field(x, "ETag"));
    assert_string_equal(field(again, "Cache-Control"), "public, no-cache");
    x = send("racks.list", NULL, NULL, "");
    assert_int_equal(x->response.status, 200);
    assert_string_equal(field(x, "Cache-Control"), "private, no-cache");
    assert_string_equal(field(x, "Vary"), "Authorization");
}

static void failures_become_problems(void **state) {
    (void)state;
    assert_string_equal(body_of(send("things.read", "7", NULL, "")), "not_found|there is no Thing with the id \"7\"|0");
    dx_exchange *x = send("things.create", NULL, JSON, "{\"titel\":1,\"price\":\"x\"}");
    assert_int_equal(x->response.status, 422);
    assert_string_equal(body_of(x), "validation_failed|the request is not valid in 3 places|3");
    assert_int_equal(send("racks.delete", "1", NULL, "")->response.status, 428);
    x = exchange("things.list", NULL, "");
    x->request.query = DX_SLICE("colour=red");
    run(x);
    assert_int_equal(x->response.status, 422);
}

static void deleting_answers_without_a_body_and_many_with_a_count(void **state) {
    (void)state;
    send("things.create", NULL, JSON, "[{\"title\":\"a\"},{\"title\":\"b\"},{\"title\":\"c\"}]");
    dx_exchange *x = send("things.delete", "1", NULL, "");
    assert_int_equal(x->response.status, 204);
    assert_int_equal(x->response.body.size, 0);
    x = exchange("things.delete_many", NULL, "");
    x->request.query = DX_SLICE("id=2");
    run(x);
    assert_int_equal(x->response.status, 200);
    assert_string_equal(body_of(x), "{\"count\":1}");
    assert_int_equal(send("things.delete_many", NULL, "text/plain", "{\"ids\":[3]}")->response.status, 415);
    assert_int_equal(send("things.delete_many", NULL, JSON, "{\"ids\":[3]}")->response.status, 200);
}

static void replays_say_so(void **state) {
    (void)state;
    for (int i = 0; i < 2; i++) {
        dx_exchange *x = exchange("things.create", NULL, "{\"title\":\"one\"}");
        with(x, "content-type", JSON);
        with(x, "idempotency-key", "\"8e03978e-40d5-43e8-bc93-6894a57f9324\"");
        run(x);
        assert_int_equal(x->response.status, 201);
        assert_string_equal(field(x, "Idempotency-Replayed"), i ? "true" : "");
        assert_string_equal(field(x, "Location"), "/api/v1/things/1");
    }
}

static void a_peer_that_goes_away_is_not_answered(void **state) {
    (void)state;
    dx_exchange *x = exchange("things.create", NULL, "{\"title\":\"one\"}");
    with(x, "content-type", JSON);
    app.pending++;
    dx_chain_run(x);
    x->aborted = true;
    app.waiting = true;
    if (app.pending) assert_int_equal(dx_loop_run(app.loop), DX_OK);
    app.waiting = false;
    assert_int_equal(send("things.read", "1", NULL, "")->response.status, 200); // what was asked for is done all the same
}

// --- descriptions ----------------------------------------------------------------------------------------------------------

// Every schema, in one object.
static yyjson_mut_val *schemas_of(yyjson_mut_doc *doc) {
    yyjson_mut_val *schemas = yyjson_mut_obj(doc);
    yyjson_mut_obj_add_obj(doc, schemas, "Problem");
    for (size_t i = 0; i < app.schema_count; i++) {
        yyjson_mut_val *schema = app.schemas[i].describe(app.schemas[i].conf, doc);
        assert_non_null(schema);
        const char *name = dx_arena_copy(app.arena, app.schemas[i].name).data;
        assert_null(yyjson_mut_obj_get(schemas, name));
        yyjson_mut_obj_add_val(doc, schemas, name, schema);
    }
    return schemas;
}

static void check_references(yyjson_mut_val *value, yyjson_mut_val *schemas) {
    size_t i, max;
    yyjson_mut_val *key, *item;
    if (yyjson_mut_is_arr(value)) {
        yyjson_mut_arr_foreach(value, i, max, item) check_references(item, schemas);
    }
    if (!yyjson_mut_is_obj(value)) return;
    const char *reference = yyjson_mut_get_str(yyjson_mut_obj_get(value, "$ref"));
    static const char prefix[] = "#/components/schemas";
    if (reference) {
        if (strncmp(reference, prefix, sizeof prefix - 1) != 0) fail_msg("%s", reference);
        if (!yyjson_mut_ptr_get(schemas, reference + sizeof prefix - 1)) fail_msg("%s leads nowhere", reference);
    }
    yyjson_mut_obj_foreach(value, i, max, key, item) check_references(item, schemas);
}

static void check_parameters(const dx_operation *operation, yyjson_mut_val *parameters) {
    size_t i, j, max, inner;
    yyjson_mut_val *one, *other;
    bool has_id = false;
    yyjson_mut_arr_foreach(parameters, i, max, one) {
        assert_non_null(yyjson_mut_obj_get(one, "schema"));
        assert_non_null(yyjson_mut_obj_get(one, "description"));
        has_id |= yyjson_mut_equals_str(yyjson_mut_obj_get(one, "in"), "path");
        yyjson_mut_arr_foreach(parameters, j, inner, other) {
            if (i != j && yyjson_mut_equals(yyjson_mut_obj_get(one, "name"), yyjson_mut_obj_get(other, "name")))
                fail_msg("%.*s has %s twice", DX_SLICE_ARG(operation->id), yyjson_mut_get_str(yyjson_mut_obj_get(one, "name")));
        }
    }
    assert_int_equal(has_id, dx_slice_find(operation->path, '{') != SIZE_MAX);
}

static void operations_describe_themselves_whole(void **state) {
    (void)state;
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *schemas = schemas_of(doc);
    check_references(schemas, schemas);
    for (size_t i = 0; i < app.operation_count; i++) {
        const dx_operation *operation = app.operations[i];
        if (!operation->describe) continue;
        yyjson_mut_val *object = yyjson_mut_obj(doc);
        operation->describe(operation->conf, operation, doc, object);
        assert_true(yyjson_mut_is_str(yyjson_mut_obj_get(object, "summary")));
        check_references(object, schemas);
        check_parameters(operation, yyjson_mut_obj_get(object, "parameters"));
        size_t at, max;
        yyjson_mut_val *status, *response;
        yyjson_mut_obj_foreach(yyjson_mut_obj_get(object, "responses"), at, max, status, response) {
            assert_non_null(yyjson_mut_obj_get(response, "description"));
        }
        assert_true(at >= 2);
    }
    yyjson_mut_doc_free(doc);
}

static bool has(yyjson_mut_val *schemas, const char *pointer) {
    return yyjson_mut_ptr_get(schemas, pointer) != NULL;
}

static void schemas_say_what_rows_and_bodies_have(void **state) {
    (void)state;
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *schemas = schemas_of(doc);
    assert_true(has(schemas, "/ThingView/properties/id"));
    assert_true(has(schemas, "/ThingView/properties/shelf"));
    assert_false(has(schemas, "/ThingView/properties/secret"));
    assert_string_equal(yyjson_mut_get_str(yyjson_mut_ptr_get(schemas, "/ThingView/properties/price/type/1")), "null");
    assert_string_equal(yyjson_mut_get_str(yyjson_mut_ptr_get(schemas, "/ThingView/properties/title/type")), "string");
    assert_true(has(schemas, "/ThingView/properties/grade/anyOf/1"));
    assert_true(has(schemas, "/ThingCreate/properties/secret"));
    assert_false(has(schemas, "/ThingCreate/properties/id"));
    assert_true(has(schemas, "/ThingReplace/properties/id"));
    assert_false(has(schemas, "/ThingChange/required"));
    assert_true(has(schemas, "/ThingList/properties/results"));
    assert_true(has(schemas, "/Size_/properties/inner"));
    assert_true(has(schemas, "/ShelfModel/properties/name")); // the bare model, since "Shelf" is a row
    assert_true(has(schemas, "/Shelf_racksView/properties/name"));
    yyjson_mut_doc_free(doc);
}

// --- size ------------------------------------------------------------------------------------------------------------------

static void a_thousand_resources_are_built_fast_and_small(void **state) {
    (void)state;
    enum { MANY = 1000 };
    dx_buffer text;
    dx_buffer_init(&text, NULL, 1 << 20);
    DX_BUFFER_LIT(
        &text, "{\"models\":{\"T\":{\"type\":\"object\",\"required\":[\"a\"],\"properties\":{\"a\":{\"type\":\"string\"},\"b\":{\"type\":"
               "\"number\"},\"c\":{\"type\":\"integer\"}}}},\"resources\":{");
    for (int i = 0; i < MANY; i++) dx_buffer_printf(&text, "%s\"r%d\":{\"model\":\"T\"}", i ? "," : "", i);
    DX_BUFFER_LIT(&text, "}}");
    dx_buffer_byte(&text, 0);
    load(text.data);
    dx_buffer_deinit(&text);
    size_t before = dx_arena_footprint(app.arena);
    dx_nanos start = dx_clock_monotonic();
    build();
    dx_nanos time = dx_clock_monotonic() - start;
    size_t bytes = (dx_arena_footprint(app.arena) - before) / MANY;
    print_message("a resource: %zu bytes, %lld us with its table\n", bytes, (long long)(time / MANY / 1000));
    assert_int_equal(app.operation_count, MANY * DX_REST_CHANGES); // none of them keeps a log
    assert_true(bytes < 16384);
    unload();
}

int main(void) {
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(create_answers_with_location_and_validators),
        TEST(media_types_are_checked),
        TEST(empty_bodies_are_refused),
        TEST(options_tell_the_kinds_of_patch),
        TEST(preferences_are_followed),
        TEST(reads_carry_validators_and_cache_rules),
        TEST(failures_become_problems),
        TEST(deleting_answers_without_a_body_and_many_with_a_count),
        TEST(replays_say_so),
        TEST(a_peer_that_goes_away_is_not_answered),
        TEST(operations_describe_themselves_whole),
        TEST(schemas_say_what_rows_and_bodies_have),
        cmocka_unit_test(a_thousand_resources_are_built_fast_and_small),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
