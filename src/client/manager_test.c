// Registering, replacing and taking away APIs while others call; health; lists.
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/memory.h"
#include "client/health.h"
#include "client/mock_fixture.h"
#include "duplex/manager.h"
#include "duplex/metrics.h"

static char last_url[512];
static pthread_mutex_t url_lock = PTHREAD_MUTEX_INITIALIZER; // checks run on a thread of the client's

static void expect_url(const char *wanted) {
    pthread_mutex_lock(&url_lock);
    assert_string_equal(last_url, wanted);
    pthread_mutex_unlock(&url_lock);
}

static void serve(mock *m, const mock_request *request) {
    (void)m;
    pthread_mutex_lock(&url_lock);
    snprintf(last_url, sizeof last_url, "%s", request->url);
    pthread_mutex_unlock(&url_lock);
    if (strstr(request->url, "/down"))
        mock_answer(request, 500, "text/plain", "down");
    else if (strstr(request->url, "/gone"))
        mock_answer(request, 404, "text/plain", "gone");
    else
        mock_answer(request, 200, "application/json", "{\"id\":1}");
}

static void serve_quietly(mock *m, const mock_request *request) {
    (void)m;
    mock_answer(request, 200, "application/json", "{\"id\":1}");
}

#define BASE                                                                                                                               \
    "{'models':{'User':{'type':'object','required':['id'],'properties':{'id':{'type':'integer'}}}},"                                       \
    "'apis':{'defaults':{'retry':{'attempts':1},'default_headers':{'X-All':'1'}},"                                                         \
    "'a':{'base_url':'http://a.test','title':'The A','endpoints':{'v1':{'get':{'path':'/x'}}}},"                                           \
    "'b':{'base_url':'http://b.test/base','endpoints':{'v2':{'get':{'path':'/x'}},'v1':{'get':{'path':'/old'}}}}}}"

static dx_error_code add(dx_client *client, const char *name, const char *text, dx_error *error) {
    char *json = mock_json(text);
    dx_error_code code = dx_client_register(client, name, json, strlen(json), error);
    free(json);
    return code;
}

static void expect_add(dx_client *client, const char *name, const char *text) {
    dx_error error;
    if (add(client, name, text, &error)) fail_msg("%s", error.message);
}

static dx_error_code call(dx_client *client, const char *name, dx_error *error) {
    dx_response *response;
    dx_error_code code = dx_client_call(&response, client, name, NULL, NULL, error);
    dx_response_release(response);
    return code;
}

static void test_an_api_is_registered_and_taken_away(void **state) {
    mock m = {.serve = serve};
    dx_error error;
    (void)state;
    dx_client *client = mock_open(&m, BASE, NULL);
    assert_int_equal(call(client, "c.get", &error), DX_ERROR_UNKNOWN_NAME);
    expect_add(client, "c", "{'base_url':'http://c.test','endpoints':{'v1':{'get':{'path':'/x','response_model':'User'}}}}");
    assert_int_equal(call(client, "c.get", &error), DX_ERROR_NONE);
    expect_url("http://c.test/x");
    const dx_endpoint *endpoint = dx_apis_find(client->apis, DX_SLICE("c.v1.get"), NULL);
    assert_int_equal(endpoint->settings->retry.conf.attempts, 1); // of the definition's defaults
    assert_string_equal(dx_fields_find(&endpoint->settings->headers, DX_SLICE("x-all")).data, "1");
    assert_int_equal(call(client, "a.get", &error), DX_ERROR_NONE); // the others are there still
    assert_int_equal(dx_client_unregister(client, "c", &error), DX_ERROR_NONE);
    assert_int_equal(call(client, "c.get", &error), DX_ERROR_UNKNOWN_NAME);
    assert_int_equal(dx_client_unregister(client, "c", &error), DX_ERROR_UNKNOWN_NAME);
    assert_int_equal(dx_client_unregister(client, "a", &error), DX_ERROR_NONE); // also one of the definition
    assert_int_equal(call(client, "a.get", &error), DX_ERROR_UNKNOWN_NAME);
    assert_int_equal(call(client, "b.get", &error), DX_ERROR_NONE);
    dx_client_close(client);
}

static void test_registering_again_replaces(void **state) {
    mock m = {.serve = serve};
    (void)state;
    dx_client *client = mock_open(&m, BASE, NULL);
    expect_add(client, "a", "{'base_url':'http://new.test','endpoints':{'v1':{'other':{'path':'/o'}}}}");
    assert_int_equal(call(client, "a.other", NULL), DX_ERROR_NONE);
    expect_url("http://new.test/o");
    assert_int_equal(call(client, "a.get", NULL), DX_ERROR_UNKNOWN_NAME);
    expect_add(client, "a", "{'base_url':'http://newer.test','endpoints':{'v1':{'other':{'path':'/o'}}}}");
    assert_int_equal(call(client, "a.other", NULL), DX_ERROR_NONE);
    expect_url("http://newer.test/o");
    dx_client_close(client);
}

static void expect_refused(dx_client *client, const char *name, const char *text, dx_error_code wanted, const char *said) {
    dx_error error;
    dx_apis *before = client->apis;
    assert_int_equal(add(client, name, text, &error), wanted);
    if (!strstr(error.message, said)) fail_msg("%s", error.message);
    assert_ptr_equal(client->apis, before);
}

static void test_what_is_wrong_changes_nothing_and_is_told(void **state) {
    mock m = {.serve = serve};
    (void)state;
    dx_client *client = mock_open(&m, BASE, NULL);
    expect_refused(client, "c", "{'endpoints':{}}", DX_ERROR_CONFIG, "base_url");
    expect_refused(client, "c", "{'base_url':'http://c.test','timeoot':3}", DX_ERROR_CONFIG, "timeoot");
    expect_refused(client, "c", "{'base_url':'http://c.test','endpoints':{'v1':{'x':{'path':'/','response_model':'Usr'}}}}",
                   DX_ERROR_CONFIG, "User");
    expect_refused(client, "c", "{'base_url':'${NOT_SET_ANYWHERE}'}", DX_ERROR_CONFIG, "NOT_SET_ANYWHERE");
    expect_refused(client, "c", "{'base_url':'http://c.test'}},'models':{'X':{}", DX_ERROR_CONFIG, "");
    expect_refused(client, "c", "[]", DX_ERROR_CONFIG, "object");
    expect_refused(client, "c d", "{'base_url':'http://c.test'}", DX_ERROR_ARGUMENT, "name");
    expect_refused(client, "defaults", "{'base_url':'http://c.test'}", DX_ERROR_ARGUMENT, "name");
    expect_refused(client, "c", "{'base_url':'http://c.test','health':{'endpoint':'no'}}", DX_ERROR_CONFIG, "no endpoint");
    dx_client_close(client);
}

static void test_counts_go_on_over_replacing_and_updating(void **state) {
    mock m = {.serve = serve};
    dx_metrics out = DX_METRICS_INIT;
    char *json = mock_json(BASE);
    (void)state;
    dx_client *client = mock_open(&m, BASE, NULL);
    assert_int_equal(call(client, "a.get", NULL), DX_ERROR_NONE);
    const dx_retry_budget *budget = dx_apis_api(client->apis, DX_SLICE("a"), NULL)->settings->retry.conf.budget;
    expect_add(client, "a", "{'base_url':'http://new.test','endpoints':{'v1':{'get':{'path':'/o'}}}}");
    assert_int_equal(call(client, "a.get", NULL), DX_ERROR_NONE);
    assert_ptr_equal(dx_apis_api(client->apis, DX_SLICE("a"), NULL)->settings->retry.conf.budget, budget);
    assert_int_equal(dx_client_update_text(client, json, strlen(json), NULL), DX_ERROR_NONE);
    assert_int_equal(call(client, "a.get", NULL), DX_ERROR_NONE);
    assert_int_equal(dx_metrics_get(client, "a", "get", &out, NULL), DX_ERROR_NONE);
    assert_int_equal(out.calls, 3);
    free(json);
    dx_client_close(client);
}

static void test_an_update_keeps_what_was_registered_over_new_defaults(void **state) {
    mock m = {.serve = serve};
    dx_error error;
    (void)state;
    dx_client *client = mock_open(&m, BASE, NULL);
    expect_add(client, "c", "{'base_url':'http://c.test','endpoints':{'v1':{'get':{'path':'/x'}}}}");
    char *json = mock_json(
        "{'apis':{'defaults':{'retry':{'attempts':7}},'d':{'base_url':'http://d.test','endpoints':{'v1':{'get':{'path':'/x'}}}}}}");
    if (dx_client_update_text(client, json, strlen(json), &error)) fail_msg("%s", error.message);
    free(json);
    assert_int_equal(call(client, "a.get", NULL), DX_ERROR_UNKNOWN_NAME);
    assert_int_equal(call(client, "d.get", NULL), DX_ERROR_NONE);
    assert_int_equal(call(client, "c.get", NULL), DX_ERROR_NONE);
    assert_int_equal(dx_apis_find(client->apis, DX_SLICE("c.get"), NULL)->settings->retry.conf.attempts, 7);
    // A definition over which a registered API can't stand is refused.
    expect_add(client, "e", "{'base_url':'http://e.test','endpoints':{'v1':{'get':{'path':'/x'}}}}");
    dx_apis *before = client->apis;
    assert_int_equal(dx_client_update_text(client, "{\"apis\":{\"d\":{}}}", 17, &error), DX_ERROR_CONFIG);
    assert_ptr_equal(client->apis, before);
    dx_client_close(client);
}

static void test_an_update_reads_the_file_again(void **state) {
    mock m = {.serve = serve};
    char folder[] = "/tmp/duplex-manager-XXXXXX", path[64];
    dx_client *client;
    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/d.json", folder);
    FILE *file = fopen(path, "w");
    fputs("{\"apis\":{\"a\":{\"base_url\":\"http://one.test\",\"endpoints\":{\"v1\":{\"get\":{\"path\":\"/x\"}}}}}}", file);
    fclose(file);
    assert_int_equal(dx_client_open(&client, path, NULL, NULL), DX_ERROR_NONE);
    client->use = (dx_transport_use){&mock_transport, &m};
    file = fopen(path, "w");
    fputs("{\"apis\":{\"a\":{\"base_url\":\"http://two.test\",\"endpoints\":{\"v1\":{\"get\":{\"path\":\"/x\"}}}}}}", file);
    fclose(file);
    assert_int_equal(dx_client_update(client, NULL, NULL), DX_ERROR_NONE);
    assert_int_equal(call(client, "a.get", NULL), DX_ERROR_NONE);
    expect_url("http://two.test/x");
    (void)unlink(path);
    assert_int_equal(dx_client_update(client, NULL, NULL), DX_ERROR_CONFIG); // it is gone, and nothing changes
    assert_int_equal(call(client, "a.get", NULL), DX_ERROR_NONE);
    (void)rmdir(folder);
    dx_client_close(client);
}

static void test_the_list_is_by_name_with_versions(void **state) {
    mock m = {.serve = serve};
    dx_api_info *items;
    size_t count;
    (void)state;
    dx_client *client = mock_open(&m, BASE, NULL);
    expect_add(client, "Aa", "{'base_url':'http://aa.test','endpoints':{'v1':{'get':{'path':'/x'}}}}");
    assert_int_equal(dx_client_list(client, &items, &count, NULL), DX_ERROR_NONE);
    assert_int_equal(count, 3);
    assert_string_equal(items[0].name, "Aa");
    assert_true(items[0].registered);
    assert_string_equal(items[1].title, "The A");
    assert_false(items[1].registered);
    assert_true(items[1].registered_at > 1600000000000);
    assert_string_equal(items[2].base_url, "http://b.test/base");
    assert_int_equal(items[2].endpoints, 2);
    assert_string_equal(items[2].versions[0], "v2");
    assert_string_equal(items[2].versions[1], "v1");
    assert_null(items[2].versions[2]);
    assert_int_equal(items[2].health, DX_HEALTH_UNKNOWN);
    dx_client_list_free(items);
    dx_client_close(client);
}

static void test_an_api_is_described_without_secrets(void **state) {
    mock m = {.serve = serve};
    char *json;
    (void)state;
    dx_client *client = mock_open(&m, BASE, NULL);
    expect_add(client, "c",
               "{'base_url':'http://c.test','auth':{'type':'bearer','token':'abc'},'timeout':5,'endpoints':{'v1':{'get':{'path':'/x'}}}}");
    assert_int_equal(dx_client_describe(client, "c", &json, NULL, NULL), DX_ERROR_NONE);
    yyjson_doc *doc = yyjson_read(json, strlen(json), 0);
    yyjson_val *root = yyjson_doc_get_root(doc);
    assert_string_equal(yyjson_get_str(yyjson_ptr_get(root, "/base_url")), "http://c.test");
    assert_string_equal(yyjson_get_str(yyjson_ptr_get(root, "/settings/auth/token")), "[redacted]");
    assert_string_equal(yyjson_get_str(yyjson_ptr_get(root, "/settings/auth/type")), "bearer");
    assert_int_equal(yyjson_get_int(yyjson_ptr_get(root, "/settings/timeout")), 5);
    assert_string_equal(yyjson_get_str(yyjson_ptr_get(root, "/endpoints/v1/get/path")), "/x");
    yyjson_doc_free(doc);
    dx_text_free(json);
    assert_int_equal(dx_client_describe(client, "nobody", &json, NULL, NULL), DX_ERROR_UNKNOWN_NAME);
    dx_client_close(client);
}

static const char *some_variable(void *ctx, const char *name) {
    (void)ctx;
    return strcmp(name, "TENANT") == 0 ? "abcd" : NULL;
}

static void test_a_value_of_a_variable_is_not_described_either(void **state) {
    mock m = {.serve = serve};
    char *json;
    dx_client_options options = DX_CLIENT_OPTIONS_INIT;
    (void)state;
    options.variable = some_variable;
    dx_client *client = mock_open(&m, BASE, &options);
    expect_add(client, "c", "{'base_url':'http://c.test','default_headers':{'X-T':'${TENANT}'}}");
    assert_int_equal(dx_client_describe(client, "c", &json, NULL, NULL), DX_ERROR_NONE);
    assert_null(strstr(json, "abcd"));
    dx_text_free(json);
    dx_client_close(client);
}

// --- health ----------------------------------------------------------------------------------------------------------------------------

#define CHECKED                                                                                                                            \
    "{'apis':{'a':{'base_url':'http://a.test','retry':{'attempts':1},'breaker':{'enabled':true,'min_calls':30},'endpoints':{'v1':{"        \
    "'get':{'path':'/x'},'down':{'path':'/down'},'gone':{'path':'/gone'}}}}}}"

static dx_health_report health(dx_client *client, const char *api) {
    dx_health_report report = DX_HEALTH_REPORT_INIT;
    assert_int_equal(dx_client_health(client, api, &report, NULL), DX_ERROR_NONE);
    return report;
}

static void test_health_follows_the_calls(void **state) {
    mock m = {.serve = serve};
    (void)state;
    dx_client *client = mock_open(&m, CHECKED, NULL);
    assert_int_equal(health(client, "a").health, DX_HEALTH_UNKNOWN);
    for (int i = 0; i < 18; i++) assert_int_equal(call(client, "a.get", NULL), DX_ERROR_NONE);
    (void)call(client, "a.gone", NULL); // an answer, whatever the caller thinks of it
    assert_int_equal(health(client, "a").health, DX_HEALTH_HEALTHY);
    (void)call(client, "a.down", NULL);
    dx_health_report report = health(client, "a"); // 19 of 20: not below 95 %
    assert_int_equal(report.calls, 20);
    assert_int_equal(report.failures, 1);
    assert_int_equal(report.health, DX_HEALTH_HEALTHY);
    (void)call(client, "a.down", NULL); // 19 of 21
    assert_int_equal(health(client, "a").health, DX_HEALTH_DEGRADED);
    (void)call(client, "a.down", NULL); // 19 of 22
    assert_int_equal(health(client, "a").health, DX_HEALTH_UNHEALTHY);
    assert_non_null(strstr(health(client, "a").reason, "went well"));
    dx_client_close(client);
}

static void test_slow_calls_are_degraded(void **state) {
    mock m = {.serve = serve};
    (void)state;
    dx_client *client = mock_open(&m, CHECKED, NULL);
    const dx_api *api = dx_apis_api(client->apis, DX_SLICE("a"), NULL);
    dx_window_count(api->meters, api->health_settings.window, dx_clock_monotonic(), false, 6 * DX_SECOND);
    assert_int_equal(health(client, "a").health, DX_HEALTH_DEGRADED);
    dx_client_close(client);
}

static void test_an_open_breaker_is_unhealthy(void **state) {
    mock m = {.serve = serve};
    (void)state;
    dx_client *client = mock_open(&m, CHECKED, NULL);
    for (int i = 0; i < 30; i++) (void)call(client, "a.down", NULL);
    assert_string_equal(health(client, "a").reason, "its circuit breaker is open");
    assert_int_equal(health(client, "a").health, DX_HEALTH_UNHEALTHY);
    dx_client_close(client);
}

static bool own_check(void *context, dx_client *client, const char *api, char *reason, size_t room) {
    (void)client;
    assert_string_equal(api, "a");
    snprintf(reason, room, "the queue behind it is full");
    return *(bool *)context;
}

static void test_a_check_of_the_program_counts(void **state) {
    mock m = {.serve = serve};
    bool well = false;
    dx_health_report report = DX_HEALTH_REPORT_INIT;
    (void)state;
    dx_client *client = mock_open(&m, CHECKED, NULL);
    assert_int_equal(dx_client_set_health_check(client, "a", own_check, &well, NULL), DX_ERROR_NONE);
    assert_int_equal(dx_client_check_health(client, "a", &report, NULL), DX_ERROR_NONE);
    assert_int_equal(report.health, DX_HEALTH_UNHEALTHY);
    assert_string_equal(report.reason, "the queue behind it is full");
    well = true;
    assert_int_equal(dx_client_check_health(client, "a", &report, NULL), DX_ERROR_NONE);
    assert_int_equal(report.health, DX_HEALTH_HEALTHY);
    assert_true(report.checked && report.check_passed);
    assert_int_equal(m.sent, 0);
    dx_client_close(client);
}

static void test_a_check_by_call_is_no_traffic(void **state) {
    mock m = {.serve = serve};
    dx_metrics out = DX_METRICS_INIT;
    dx_health_report report = DX_HEALTH_REPORT_INIT;
    (void)state;
    dx_client *client = mock_open(&m, BASE, NULL);
    expect_add(client, "c",
               "{'base_url':'http://c.test','health':{'endpoint':'ping','interval':86400},'endpoints':{'v1':{'ping':{'path':'/ok'}}}}");
    assert_int_equal(dx_client_check_health(client, "c", &report, NULL), DX_ERROR_NONE);
    assert_int_equal(report.health, DX_HEALTH_HEALTHY);
    expect_add(
        client, "d",
        "{'base_url':'http://c.test','health':{'endpoint':'v1.ping','interval':86400},'endpoints':{'v1':{'ping':{'path':'/down'}}}}");
    assert_int_equal(dx_client_check_health(client, "d", &report, NULL), DX_ERROR_NONE);
    assert_int_equal(report.health, DX_HEALTH_UNHEALTHY);
    assert_string_equal(report.reason, "its health endpoint answered 500");
    assert_int_equal(dx_metrics_get(client, "c", NULL, &out, NULL), DX_ERROR_NONE);
    assert_int_equal(out.calls, 0);
    dx_client_close(client);
}

// Waits for what another thread does; the test's own time-out ends it when it never comes.
static void wait_for_checks(const dx_client *client, const char *api) {
    const dx_meters *meters = dx_apis_api(client->apis, dx_slice_str(api), NULL)->meters;
    while (!atomic_load(&meters->checked_at)) sched_yield();
}

static void test_checks_are_made_by_themselves(void **state) {
    mock m = {.serve = serve_quietly};
    (void)state;
    dx_client *client = mock_open(&m, BASE, NULL);
    expect_add(client, "c", "{'base_url':'http://c.test','health':{'endpoint':'ping'},'endpoints':{'v1':{'ping':{'path':'/ok'}}}}");
    wait_for_checks(client, "c");
    assert_int_equal(health(client, "c").health, DX_HEALTH_HEALTHY);
    char *json;
    assert_int_equal(dx_client_status_json(client, &json, NULL, NULL), DX_ERROR_NONE);
    yyjson_doc *doc = yyjson_read(json, strlen(json), 0);
    assert_string_equal(yyjson_get_str(yyjson_ptr_get(yyjson_doc_get_root(doc), "/c/health")), "healthy");
    assert_true(yyjson_get_bool(yyjson_ptr_get(yyjson_doc_get_root(doc), "/c/check/passed")));
    assert_string_equal(yyjson_get_str(yyjson_ptr_get(yyjson_doc_get_root(doc), "/a/health")), "unknown");
    yyjson_doc_free(doc);
    dx_text_free(json);
    dx_client_close(client);
}

// --- threads ---------------------------------------------------------------------------------------------------------------------------

enum { THREADS = 3, CHANGES = 40 };

static atomic_bool stop;

static void *call_until_stopped(void *ctx) {
    while (!atomic_load(&stop)) {
        assert_int_equal(call(ctx, "a.get", NULL), DX_ERROR_NONE);
        dx_error_code code = call(ctx, "c.get", NULL);
        assert_true(code == DX_ERROR_NONE || code == DX_ERROR_UNKNOWN_NAME);
    }
    return NULL;
}

static void *change_often(void *ctx) {
    dx_client *client = ctx;
    char *json = mock_json(BASE), *text;
    for (int i = 0; i < CHANGES; i++) {
        expect_add(client, "c", "{'base_url':'http://c.test','endpoints':{'v1':{'get':{'path':'/x'}}}}");
        assert_int_equal(dx_client_update_text(client, json, strlen(json), NULL), DX_ERROR_NONE);
        assert_int_equal(dx_metrics_json(client, &text, NULL), DX_ERROR_NONE);
        dx_text_free(text);
        assert_int_equal(dx_client_status_json(client, &text, NULL, NULL), DX_ERROR_NONE);
        dx_text_free(text);
        assert_int_equal(dx_client_unregister(client, "c", NULL), DX_ERROR_NONE);
    }
    free(json);
    return NULL;
}

static void test_calls_go_on_while_apis_come_and_go(void **state) {
    mock m = {.serve = serve_quietly};
    pthread_t threads[THREADS], changer;
    dx_metrics out = DX_METRICS_INIT;
    (void)state;
    atomic_store(&stop, false);
    dx_client *client = mock_open(&m, BASE, NULL);
    for (int i = 0; i < THREADS; i++) assert_int_equal(pthread_create(&threads[i], NULL, call_until_stopped, client), 0);
    assert_int_equal(pthread_create(&changer, NULL, change_often, client), 0);
    pthread_join(changer, NULL);
    atomic_store(&stop, true);
    for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    assert_int_equal(dx_metrics_get(client, "a", NULL, &out, NULL), DX_ERROR_NONE);
    assert_int_equal(out.failures, 0);
    dx_client_close(client);
}

// --- memory ----------------------------------------------------------------------------------------------------------------------------

static void test_without_memory_nothing_changes(void **state) {
    mock m = {.serve = serve};
    (void)state;
    dx_client *client = mock_open(&m, BASE, NULL);
    expect_add(client, "c", "{'base_url':'http://c.test','endpoints':{'v1':{'get':{'path':'/x'}}}}");
    for (uint64_t n = 1;; n++) {
        dx_error error;
        dx_apis *before = client->apis;
        dx_memory_fail_at(n, false);
        dx_error_code code =
            add(client, "c",
                "{'base_url':'http://c2.test','auth':{'type':'bearer','token':'abcdef'},'endpoints':{'v1':{'get':{'path':'/x'}}}}", &error);
        if (!dx_memory_fail_stop()) break;
        if (code) assert_ptr_equal(client->apis, before);
        if (code) assert_int_equal(code, DX_ERROR_NO_MEMORY);
    }
    assert_int_equal(call(client, "c.get", NULL), DX_ERROR_NONE);
    expect_url("http://c2.test/x");
    dx_client_close(client);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_api_is_registered_and_taken_away),
        cmocka_unit_test(test_registering_again_replaces),
        cmocka_unit_test(test_what_is_wrong_changes_nothing_and_is_told),
        cmocka_unit_test(test_counts_go_on_over_replacing_and_updating),
        cmocka_unit_test(test_an_update_keeps_what_was_registered_over_new_defaults),
        cmocka_unit_test(test_an_update_reads_the_file_again),
        cmocka_unit_test(test_the_list_is_by_name_with_versions),
        cmocka_unit_test(test_an_api_is_described_without_secrets),
        cmocka_unit_test(test_a_value_of_a_variable_is_not_described_either),
        cmocka_unit_test(test_health_follows_the_calls),
        cmocka_unit_test(test_slow_calls_are_degraded),
        cmocka_unit_test(test_an_open_breaker_is_unhealthy),
        cmocka_unit_test(test_a_check_of_the_program_counts),
        cmocka_unit_test(test_a_check_by_call_is_no_traffic),
        cmocka_unit_test(test_checks_are_made_by_themselves),
        cmocka_unit_test(test_calls_go_on_while_apis_come_and_go),
        cmocka_unit_test(test_without_memory_nothing_changes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
