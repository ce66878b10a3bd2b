// Logs: what is told, at which level; and that no secret is, wherever it stands.
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/memory.h"
#include "client/log.h"
#include "client/mock_fixture.h"
#include "duplex/metrics.h"

// --- what was logged -------------------------------------------------------------------------------------------------------------------

static char written[1 << 20];
static size_t written_size, lines;

static void gather(void *ctx, dx_level level, const char *json, size_t size) {
    yyjson_doc *doc = yyjson_read(json, size, 0);
    (void)ctx;
    (void)level;
    assert_non_null(doc); // each is one JSON object
    assert_true(yyjson_is_obj(yyjson_doc_get_root(doc)));
    yyjson_doc_free(doc);
    assert_true(written_size + size + 2 < sizeof written);
    memcpy(written + written_size, json, size);
    written_size += size;
    written[written_size++] = '\n';
    written[written_size] = '\0';
    lines++;
}

static int forget(void **state) {
    (void)state;
    written_size = lines = 0;
    written[0] = '\0';
    return 0;
}

static dx_client_options logging(dx_level level) {
    dx_client_options options = DX_CLIENT_OPTIONS_INIT;
    options.log = gather;
    options.log_level = level;
    return options;
}

static void expect_logged(const char *text) {
    char *json = mock_json(text);
    if (!strstr(written, json)) fail_msg("not in the log: %s\n%s", json, written);
    free(json);
}

static void expect_not_logged(const char *text) {
    char *json = mock_json(text);
    if (strstr(written, json)) fail_msg("in the log: %s\n%s", json, written);
    free(json);
}

// --- answers ---------------------------------------------------------------------------------------------------------------------------

static void serve_ok(mock *m, const mock_request *request) {
    (void)m;
    mock_answer(request, 200, "application/json", "{\"ok\":true}");
}

static void serve_second_time(mock *m, const mock_request *request) {
    if (m->sent % 2 == 1)
        mock_answer(request, 503, "text/plain", "busy");
    else
        serve_ok(m, request);
}

static void serve_error(mock *m, const mock_request *request) {
    (void)m;
    mock_answer(request, 404, "application/json", "{\"error\":\"no such thing\"}");
}

#define PLAIN_API "{'apis':{'a':{'base_url':'http://a.test/v1','retry':{'delay':0},'endpoints':{'v1':{'get':{'path':'/x'}}}}}}"

static void call(dx_client *client, const char *name, const dx_arg *args, dx_error_code wanted) {
    dx_response *response;
    dx_error error = DX_ERROR_INIT;
    dx_error_code code = dx_client_call(&response, client, name, args, NULL, &error);
    dx_response_release(response);
    if (code != wanted) fail_msg("%s", error.message);
}

static void test_a_call_has_one_line_at_info(void **state) {
    mock m = {.serve = serve_ok};
    dx_client_options options = logging(DX_LEVEL_INFO);
    (void)state;
    dx_client *client = mock_open(&m, PLAIN_API, &options);
    call(client, "a.get", NULL, DX_ERROR_NONE);
    assert_int_equal(lines, 1);
    expect_logged("'level':'info','event':'call_end'");
    expect_logged("'api':'a','endpoint':'a.v1.get','method':'GET','url':'http://a.test/v1/x','status':200,'attempts':1");
    expect_logged("'duration_us':");
    dx_client_close(client);
}

static void test_without_a_log_nothing_is_made(void **state) {
    mock m = {.serve = serve_second_time};
    (void)state;
    dx_client *client = mock_open(&m, PLAIN_API, NULL);
    call(client, "a.get", NULL, DX_ERROR_NONE);
    assert_int_equal(lines, 0);
    const dx_api *api = dx_apis_api(client->apis, DX_SLICE("a"), NULL);
    for (uint16_t i = 0; i < api->settings->chain.filter_count; i++)
        assert_ptr_not_equal(api->settings->chain.filters[i].ops, &dx_log_filter);
    dx_client_close(client);
}

static void test_retries_and_attempts_are_told(void **state) {
    mock m = {.serve = serve_second_time};
    dx_client_options options = logging(DX_LEVEL_DEBUG);
    (void)state;
    dx_client *client = mock_open(&m, PLAIN_API, &options);
    call(client, "a.get", NULL, DX_ERROR_NONE);
    expect_logged("'event':'call_start'");
    expect_logged("'event':'attempt_end'");
    expect_logged("'level':'warn','event':'retry'");
    expect_logged("'attempt':2,'reason':'status','status':503,'waited_us':");
    expect_logged("'status':200,'attempts':2");
    expect_logged("['Accept','application/json, */*;q=0.8']"); // headers at debug
    expect_not_logged("busy");                                 // bodies only where the settings say so
    dx_client_close(client);
}

static void test_a_failure_is_a_warning_with_code_and_message(void **state) {
    mock m = {.serve = serve_error};
    dx_client_options options = logging(DX_LEVEL_WARN);
    (void)state;
    dx_client *client = mock_open(&m, PLAIN_API, &options);
    call(client, "a.get", NULL, DX_ERROR_STATUS);
    assert_int_equal(lines, 1);
    expect_logged("'status':404,'code':'http_error','category':'http'");
    expect_logged("no such thing");
    dx_client_close(client);
}

static void test_the_definition_can_want_less_than_the_program(void **state) {
    mock m = {.serve = serve_ok};
    dx_client_options options = logging(DX_LEVEL_DEBUG);
    (void)state;
    dx_client *client = mock_open(&m,
                                  "{'apis':{'a':{'base_url':'http://a.test','log':{'level':'warn'},'endpoints':{'v1':{"
                                  "'get':{'path':'/x'},'loud':{'path':'/y','log':{'level':'info'}}}}}}}",
                                  &options);
    call(client, "a.get", NULL, DX_ERROR_NONE);
    assert_int_equal(lines, 0);
    call(client, "a.loud", NULL, DX_ERROR_NONE);
    assert_int_equal(lines, 1);
    dx_client_close(client);
}

static void test_a_body_is_cut_behind_a_whole_character(void **state) {
    mock m = {.serve = serve_ok};
    dx_client_options options = logging(DX_LEVEL_DEBUG);
    (void)state;
    dx_client *client = mock_open(&m,
                                  "{'apis':{'a':{'base_url':'http://a.test','log':{'bodies':true,'body_cap':8},'endpoints':{'v1':{"
                                  "'put':{'path':'/x','method':'PUT'}}}}}}",
                                  &options);
    call(client, "a.put", NULL, DX_ERROR_NONE);
    dx_response *response;
    dx_call_options own = DX_CALL_OPTIONS_INIT;
    own.body = "[\"aaa\xc3\xa4\xc3\xa4\"]";
    own.body_size = strlen(own.body);
    assert_int_equal(dx_client_call(&response, client, "a.put", NULL, &own, NULL), DX_ERROR_NONE);
    dx_response_release(response);
    expect_logged("'body':'[\\'aaa\xc3\xa4','body_cut':true");
    dx_client_close(client);
}

// --- ids -------------------------------------------------------------------------------------------------------------------------------

static char seen_id[256], seen_trace[256];

static void serve_ids(mock *m, const mock_request *request) {
    (void)m;
    snprintf(seen_id, sizeof seen_id, "%s", mock_field(request, "x-request-id"));
    snprintf(seen_trace, sizeof seen_trace, "%s", mock_field(request, "traceparent"));
    mock_answer(request, 200, NULL, "");
}

static void call_with_id(dx_client *client, const char *name, const char *id, dx_error_code wanted) {
    dx_response *response;
    dx_call_options options = DX_CALL_OPTIONS_INIT;
    options.correlation_id = id;
    assert_int_equal(dx_client_call(&response, client, name, NULL, &options, NULL), wanted);
    if (response && id) assert_string_equal(dx_response_correlation_id(response), id);
    if (response && !id) assert_int_equal(strlen(dx_response_correlation_id(response)), 32);
    dx_response_release(response);
}

static void test_a_given_id_is_sent_and_a_made_one_is_not(void **state) {
    mock m = {.serve = serve_ids};
    (void)state;
    dx_client *client = mock_open(&m,
                                  "{'apis':{'a':{'base_url':'http://a.test','endpoints':{'v1':{"
                                  "'get':{'path':'/x'},'shy':{'path':'/y','trace':false}}}}}}",
                                  NULL);
    call_with_id(client, "a.get", "req-7", DX_ERROR_NONE);
    assert_string_equal(seen_id, "req-7");
    assert_int_equal(strlen(seen_trace), 55);
    assert_memory_equal(seen_trace, "00-", 3);
    call_with_id(client, "a.get", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", DX_ERROR_NONE);
    assert_memory_equal(seen_trace, "00-0af7651916cd43dd8448eb211c80319c-", 36); // the same trace
    assert_null(strstr(seen_trace, "b7ad6b7169203331"));                         // another span
    call_with_id(client, "a.shy", "req-8", DX_ERROR_NONE);
    assert_string_equal(seen_id, "");
    call_with_id(client, "a.get", NULL, DX_ERROR_NONE);
    assert_string_equal(seen_id, "");
    call_with_id(client, "a.get", "bad\r\nid", DX_ERROR_ARGUMENT);
    dx_client_close(client);
}

// --- secrets ---------------------------------------------------------------------------------------------------------------------------

static const char *variable(void *ctx, const char *name) {
    (void)ctx;
    if (strcmp(name, "TOKEN") == 0) return "TOKEN-plant-one";
    if (strcmp(name, "TENANT") == 0) return "TENANT-plant-two";
    if (strcmp(name, "HOOK") == 0) return "http://a.test/services/PLANTthree0123456789";
    return NULL;
}

#define SECRET_API                                                                                                                         \
    "{'apis':{'a':{'base_url':'${HOOK}','retry':{'attempts':1},'log':{'bodies':true,'redact':['x-own']},"                                  \
    "'auth':{'type':'bearer','token':'${TOKEN}'},'default_headers':{'X-Tenant':'${TENANT}','Authorization':'Token plant-four-literal'},"   \
    "'endpoints':{'v1':{'get':{'path':'/x/{id}','params':{'id':{'secret':true},'q':{'in':'query','secret':true},"                          \
    "'h':{'in':'header','secret':true},'n':{'in':'query','secret':true}}},"                                                                \
    "'post':{'path':'/y','method':'POST','params':{'s':{'in':'body','secret':true},'t':{'in':'body'}}}}}},"                                \
    "'b':{'base_url':'http://b.test','retry':{'attempts':1},'auth':{'type':'basic','username':'me','password':'pass-plant-five'},"         \
    "'endpoints':{'v1':{'get':{'path':'/x'}}}},"                                                                                           \
    "'c':{'base_url':'http://c.test','retry':{'attempts':1},'auth':{'type':'api_key','in':'query','name':'k','value':'key/plant=six'},"    \
    "'endpoints':{'v1':{'get':{'path':'/x'}}}}}}"

static const char *const plants[] = {"plant-one", "plant-two",    "PLANTthree",   "plant-four",     "plant-five",   "cGxhbnQtZml2ZQ",
                                     "plant=six", "plant%3Dsix",  "plant-seven",  "plant-eight",    "plant-nine",   "77001234567",
                                     "plant-ten", "plant-eleven", "plant-twelve", "plant-thirteen", "cGFzcy1wbGFud"};

static void expect_no_plants(const char *text) {
    for (size_t i = 0; i < DX_COUNT_OF(plants); i++)
        if (strstr(text, plants[i])) fail_msg("%s is in: %s", plants[i], text);
}

// A server that says back all that it was told, everywhere.
static void serve_echo(mock *m, const mock_request *request) {
    char text[8192];
    size_t size = 0;
    (void)m;
    size += (size_t)snprintf(text, sizeof text, "%s %s", request->url, request->body);
    for (uint32_t i = 0; i < request->x->request.fields.count; i++) {
        const dx_field *field = &request->x->request.fields.items[i];
        size += (size_t)snprintf(text + size, sizeof text - size, " %.*s", DX_SLICE_ARG(field->value));
        dx_slice name = dx_arena_printf(request->x->arena, "Echo-%u", i);
        mock_header(request, name.data, dx_arena_copy(request->x->arena, field->value).data);
    }
    mock_header(request, "Set-Cookie", "sid=plant-twelve");
    mock_header(request, "X-Own", "plant-thirteen");
    mock_answer(request, m->ctx ? 302 : 400, "text/plain", text);
    if (m->ctx) mock_header(request, "Location", "ftp://elsewhere.test/?token=plant-eleven");
}

static void call_and_look(dx_client *client, const char *name, const dx_arg *args) {
    dx_response *response;
    dx_error error = DX_ERROR_INIT;
    dx_call_options options = DX_CALL_OPTIONS_INIT;
    const dx_header headers[] = {{"X-Auth-Token", "plant-ten"}, {NULL, NULL}};
    options.headers = headers;
    assert_int_not_equal(dx_client_call(&response, client, name, args, &options, &error), DX_ERROR_NONE);
    expect_no_plants(error.message);
    dx_response_release(response);
}

static void test_no_secret_is_in_any_record_or_message(void **state) {
    mock m = {.serve = serve_echo};
    dx_client_options options = logging(DX_LEVEL_DEBUG);
    (void)state;
    options.variable = variable;
    dx_client *client = mock_open(&m, SECRET_API, &options);
    for (int redirects = 0; redirects < 2; redirects++) {
        m.ctx = redirects ? &m : NULL;
        call_and_look(
            client, "a.get",
            DX_ARGS(DX_STR("id", "plant-seven/"), DX_STR("q", "a plant-eight&"), DX_STR("h", "plant-nine"), DX_INT("n", 77001234567)));
        call_and_look(client, "a.post", DX_ARGS(DX_STR("s", "plant-seven"), DX_STR("t", "open-text")));
        call_and_look(client, "b.get", NULL);
        call_and_look(client, "c.get", NULL);
    }
    assert_true(lines >= 32);
    expect_logged("open-text");
    expect_logged("[redacted]");
    expect_no_plants(written);
    char *text;
    assert_int_equal(dx_metrics_json(client, &text, NULL), DX_ERROR_NONE);
    expect_no_plants(text);
    dx_text_free(text);
    for (const char *const *name = (const char *const[]){"a", "b", "c", NULL}; *name; name++) {
        assert_int_equal(dx_client_describe(client, *name, &text, NULL, NULL), DX_ERROR_NONE);
        expect_no_plants(text);
        dx_text_free(text);
    }
    dx_api_info *items;
    size_t count;
    assert_int_equal(dx_client_list(client, &items, &count, NULL), DX_ERROR_NONE);
    for (size_t i = 0; i < count; i++) expect_no_plants(items[i].base_url);
    dx_client_list_free(items);
    dx_client_close(client);
}

static void test_a_parameter_that_is_refused_does_not_tell_its_value(void **state) {
    mock m = {.serve = serve_ok};
    dx_error error;
    dx_response *response;
    (void)state;
    dx_client *client = mock_open(&m,
                                  "{'apis':{'a':{'base_url':'http://a.test','endpoints':{'v1':{'get':{'path':'/x','params':{"
                                  "'p':{'secret':true,'schema':{'enum':['one','two']}}}}}}}}}",
                                  NULL);
    assert_int_equal(dx_client_call(&response, client, "a.get", DX_ARGS(DX_STR("p", "plant-seven")), NULL, &error), DX_ERROR_ARGUMENT);
    expect_no_plants(error.message);
    dx_client_close(client);
}

static void test_a_secret_at_the_cut_of_a_message_is_not_told_in_part(void **state) {
    mock m = {.serve = serve_echo};
    (void)state;
    dx_client *client =
        mock_open(&m,
                  "{'apis':{'a':{'base_url':'http://a.test','retry':{'attempts':1},'auth':{'type':'bearer','token':'plant-one-plant-one'},"
                  "'endpoints':{'v1':{'get':{'path':'/x'}}}}}}",
                  NULL);
    for (int pad = 100; pad < 210; pad++) { // the secret moves over the place where the body is cut
        char filler[256];
        dx_response *response;
        dx_error error;
        memset(filler, 'f', sizeof filler);
        filler[pad] = '\0';
        assert_int_equal(dx_client_call(&response, client, "a.get", NULL, NULL, &error), DX_ERROR_STATUS);
        dx_response_release(response);
        (void)!dx_client_get(&response, client, "a", "/y", DX_ARGS(DX_STR("f", filler)), NULL, &error);
        dx_response_release(response);
        assert_null(strstr(error.message, "plant"));
    }
    dx_client_close(client);
}

static void test_a_handler_can_tell_a_secret_and_take_it_back(void **state) {
    mock m = {.serve = serve_ok};
    dx_client_options options = logging(DX_LEVEL_INFO);
    (void)state;
    dx_client *client = mock_open(&m, PLAIN_API, &options);
    assert_true(dx_client_secret(client, DX_SLICE("fresh-token-1")));
    dx_log_auth(client, DX_SLICE("a"), DX_LEVEL_INFO, "token_refreshed", DX_SLICE("got fresh-token-1"));
    expect_logged("'event':'token_refreshed','api':'a','reason':'got [redacted]'");
    dx_client_secret_gone(client, DX_SLICE("fresh-token-1"));
    dx_log_auth(client, DX_SLICE("a"), DX_LEVEL_INFO, "token_fetched", DX_SLICE("got fresh-token-1"));
    expect_logged("got fresh-token-1");
    dx_client_close(client);
}

static void test_without_memory_a_message_is_hidden_rather_than_told(void **state) {
    mock m = {.serve = serve_echo};
    (void)state;
    dx_client *client =
        mock_open(&m,
                  "{'apis':{'a':{'base_url':'http://a.test','retry':{'attempts':1},'auth':{'type':'bearer','token':'plant-one'},"
                  "'endpoints':{'v1':{'get':{'path':'/x','params':{'q':{'secret':true}}}}}}}}",
                  NULL);
    for (uint64_t n = 1; n < 200; n++) {
        dx_response *response;
        dx_error error = DX_ERROR_INIT;
        dx_memory_fail_at(n, false);
        (void)!dx_client_call(&response, client, "a.get", DX_ARGS(DX_STR("q", "plant-seven")), NULL, &error);
        bool reached = dx_memory_fail_stop();
        dx_response_release(response);
        expect_no_plants(error.message);
        if (!reached) break;
    }
    dx_client_close(client);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_a_call_has_one_line_at_info, forget),
        cmocka_unit_test_setup(test_without_a_log_nothing_is_made, forget),
        cmocka_unit_test_setup(test_retries_and_attempts_are_told, forget),
        cmocka_unit_test_setup(test_a_failure_is_a_warning_with_code_and_message, forget),
        cmocka_unit_test_setup(test_the_definition_can_want_less_than_the_program, forget),
        cmocka_unit_test_setup(test_a_body_is_cut_behind_a_whole_character, forget),
        cmocka_unit_test_setup(test_a_given_id_is_sent_and_a_made_one_is_not, forget),
        cmocka_unit_test_setup(test_no_secret_is_in_any_record_or_message, forget),
        cmocka_unit_test_setup(test_a_parameter_that_is_refused_does_not_tell_its_value, forget),
        cmocka_unit_test_setup(test_a_secret_at_the_cut_of_a_message_is_not_told_in_part, forget),
        cmocka_unit_test_setup(test_a_handler_can_tell_a_secret_and_take_it_back, forget),
        cmocka_unit_test_setup(test_without_memory_a_message_is_hidden_rather_than_told, forget),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
