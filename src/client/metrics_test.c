// What is counted, and the two texts of it.
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "client/meter.h"
#include "client/mock_fixture.h"
#include "duplex/metrics.h"

#define API                                                                                                                                \
    "{'apis':{'a':{'base_url':'http://a.test','retry':{'delay':0,'attempts':2},'breaker':{'enabled':true},"                                \
    "'rate_limit':{'max_requests':1000000,'time_window':1},'endpoints':{'v1':{'get':{'path':'/x'},'bad':{'path':'/bad'},"                  \
    "'put':{'path':'/p','method':'PUT','raise_on_error':false}}}},'b':{'base_url':'http://b.test','endpoints':{'v1':{'get':{'path':'/"     \
    "'}}}}}}"

static void serve(mock *m, const mock_request *request) {
    (void)m;
    if (strstr(request->url, "/bad"))
        mock_answer(request, 503, "text/plain", "busy");
    else if (strstr(request->url, "/p"))
        mock_answer(request, 409, "text/plain", "no");
    else
        mock_answer(request, 200, "application/json", "{\"ok\":1}");
}

static dx_error_code call(dx_client *client, const char *name, const char *body) {
    dx_response *response;
    dx_call_options options = DX_CALL_OPTIONS_INIT;
    options.body = body;
    options.body_size = body ? strlen(body) : 0;
    dx_error_code code = dx_client_call(&response, client, name, NULL, &options, NULL);
    dx_response_release(response);
    return code;
}

static dx_metrics metrics(dx_client *client, const char *api, const char *endpoint) {
    dx_metrics out = DX_METRICS_INIT;
    assert_int_equal(dx_metrics_get(client, api, endpoint, &out, NULL), DX_ERROR_NONE);
    return out;
}

static void test_calls_are_counted_by_endpoint_and_api(void **state) {
    mock m = {.serve = serve};
    (void)state;
    dx_client *client = mock_open(&m, API, NULL);
    for (int i = 0; i < 3; i++) assert_int_equal(call(client, "a.get", NULL), DX_ERROR_NONE);
    assert_int_equal(call(client, "a.bad", NULL), DX_ERROR_STATUS);
    assert_int_equal(call(client, "a.put", "12345"), DX_ERROR_NONE);
    dx_metrics get = metrics(client, "a", "get"), bad = metrics(client, "a", "v1.bad"), put = metrics(client, "a", "put"),
               all = metrics(client, "a", NULL);
    assert_int_equal(get.calls, 3);
    assert_int_equal(get.failures, 0);
    assert_int_equal(get.classes[2], 3);
    assert_int_equal(get.bytes_received, 3 * strlen("{\"ok\":1}"));
    assert_true(get.min_ns > 0 && get.min_ns <= get.p50_ns && get.p50_ns <= get.p99_ns && get.p99_ns <= get.max_ns);
    assert_true(get.mean_ns >= get.min_ns && get.mean_ns <= get.max_ns);
    assert_true(get.phase_ns[DX_PHASE_WAIT] + get.phase_ns[DX_PHASE_CONNECT] > 0);
    assert_int_equal(bad.calls, 1);
    assert_int_equal(bad.attempts, 2);
    assert_int_equal(bad.retries, 1);
    assert_int_equal(bad.failures, 1);
    assert_int_equal(bad.errors[DX_CATEGORY_HTTP], 1);
    assert_int_equal(put.failures, 1); // though the caller did not want an error of it
    assert_int_equal(put.classes[4], 1);
    assert_int_equal(put.bytes_sent, 5);
    assert_int_equal(all.calls, 5);
    assert_int_equal(all.failures, 2);
    assert_true(fabs(all.success_rate - 0.6) < 1e-9);
    assert_int_equal(all.in_flight, 0);
    assert_int_equal(all.breaker, DX_BREAKER_IS_CLOSED);
    assert_int_equal(all.limit_granted, 6);
    assert_true(all.retry_budget > 0);
    assert_int_equal(dx_metrics_errors(client, "a", DX_ERROR_STATUS), 2);
    assert_int_equal(metrics(client, "b", NULL).calls, 0);
    dx_client_close(client);
}

static void test_plain_requests_count_as_request(void **state) {
    mock m = {.serve = serve};
    dx_response *response;
    (void)state;
    dx_client *client = mock_open(&m, API, NULL);
    assert_int_equal(dx_client_get(&response, client, "a", "/other", NULL, NULL, NULL), DX_ERROR_NONE);
    dx_response_release(response);
    assert_int_equal(metrics(client, "a", "request").calls, 1);
    dx_client_close(client);
}

static void test_a_name_that_is_not_there_is_refused(void **state) {
    mock m = {.serve = serve};
    dx_metrics out = DX_METRICS_INIT;
    dx_error error;
    (void)state;
    dx_client *client = mock_open(&m, API, NULL);
    assert_int_equal(dx_metrics_get(client, "nobody", NULL, &out, &error), DX_ERROR_UNKNOWN_NAME);
    assert_int_equal(dx_metrics_get(client, "a", "nothing", &out, &error), DX_ERROR_UNKNOWN_NAME);
    assert_int_equal(dx_metrics_reset(client, "nobody", &error), DX_ERROR_UNKNOWN_NAME);
    dx_client_close(client);
}

static void test_an_endpoint_costs_nothing_before_its_first_call(void **state) {
    mock m = {.serve = serve};
    (void)state;
    dx_client *client = mock_open(&m, API, NULL);
    const dx_api *api = dx_apis_api(client->apis, DX_SLICE("a"), NULL);
    assert_null(atomic_load(&api->meters->first));
    (void)call(client, "a.get", NULL);
    assert_non_null(atomic_load(&api->meters->first));
    assert_null(atomic_load(&api->meters->first)->next);
    dx_client_close(client);
}

static void test_reset_takes_one_api_or_all(void **state) {
    mock m = {.serve = serve};
    (void)state;
    dx_client *client = mock_open(&m, API, NULL);
    (void)call(client, "a.get", NULL);
    (void)call(client, "b.get", NULL);
    assert_int_equal(dx_metrics_reset(client, "a", NULL), DX_ERROR_NONE);
    dx_metrics a = metrics(client, "a", NULL);
    assert_int_equal(a.calls, 0);
    assert_int_equal(a.max_ns, 0);
    assert_int_equal(a.attempts, 0);
    assert_int_equal(a.classes[2], 0);
    assert_int_equal(a.bytes_received, 0);
    assert_int_equal(a.in_flight, 0);
    assert_int_equal(metrics(client, "b", NULL).calls, 1);
    assert_int_equal(dx_metrics_reset(client, NULL, NULL), DX_ERROR_NONE);
    assert_int_equal(metrics(client, "b", NULL).calls, 0);
    dx_client_close(client);
}

static void test_a_program_with_a_shorter_struct_gets_what_it_knows(void **state) {
    mock m = {.serve = serve};
    (void)state;
    dx_client *client = mock_open(&m, API, NULL);
    (void)call(client, "a.get", NULL);
    dx_metrics out = DX_METRICS_INIT;
    out.size = offsetof(dx_metrics, retries);
    out.retries = 12345;
    assert_int_equal(dx_metrics_get(client, "a", NULL, &out, NULL), DX_ERROR_NONE);
    assert_int_equal(out.calls, 1);
    assert_int_equal(out.retries, 12345);
    dx_client_close(client);
}

static void test_each_code_has_a_place_of_its_own(void **state) {
    (void)state;
    for (size_t i = 0; i < DX_METER_CODES; i++)
        for (size_t j = 0; j < i; j++) assert_int_not_equal(dx_meter_code(i), dx_meter_code(j));
    assert_int_equal(dx_meter_code(DX_METER_CODE_RECORDING), DX_ERROR_RECORDING);
    assert_int_equal(dx_meter_code(0), DX_ERROR_NONE);
}

static void test_json_has_all_of_it(void **state) {
    mock m = {.serve = serve};
    char *text;
    size_t size;
    (void)state;
    dx_client *client = mock_open(&m, API, NULL);
    (void)call(client, "a.get", NULL);
    (void)call(client, "a.bad", NULL);
    assert_int_equal(dx_metrics_json(client, &text, &size), DX_ERROR_NONE);
    assert_int_equal(strlen(text), size);
    yyjson_doc *doc = yyjson_read(text, size, 0);
    assert_non_null(doc);
    yyjson_val *root = yyjson_doc_get_root(doc);
    assert_int_equal(yyjson_get_uint(yyjson_ptr_get(root, "/apis/a/calls")), 2);
    assert_int_equal(yyjson_get_uint(yyjson_ptr_get(root, "/apis/a/endpoints/v1.bad/errors/http_error")), 1);
    assert_string_equal(yyjson_get_str(yyjson_ptr_get(root, "/apis/a/breaker/state")), "closed");
    assert_int_equal(yyjson_get_uint(yyjson_ptr_get(root, "/apis/b/calls")), 0);
    assert_int_equal(yyjson_obj_size(yyjson_ptr_get(root, "/apis/a/endpoints")), 2); // those that were called
    yyjson_doc_free(doc);
    dx_text_free(text);
    dx_client_close(client);
}

// --- Prometheus's text format, as its documentation has it -----------------------------------------------------------------------------

typedef struct exposition {
    char family[128], type[32];
    char seen[64][128]; // families that were told
    size_t seen_count;
    double last_bucket;
    char bucket_of[512];
    size_t samples;
} exposition;

static bool is_metric_name(const char *name, size_t size) {
    for (size_t i = 0; i < size; i++) {
        char c = name[i], lower = (char)(c | 0x20);
        if (!((lower >= 'a' && lower <= 'z') || c == '_' || c == ':' || (i && c >= '0' && c <= '9'))) return false;
    }
    return size > 0;
}

static const char *expect_labels(const char *at) { // behind "{"
    while (*at != '}') {
        const char *name = at;
        while (*at && *at != '=') at++;
        assert_true(is_metric_name(name, (size_t)(at - name)));
        assert_memory_equal(at, "=\"", 2);
        for (at += 2; *at != '"'; at++) {
            assert_int_not_equal(*at, '\n');
            assert_int_not_equal(*at, '\0');
            if (*at == '\\') assert_non_null(strchr("\\\"n", *++at));
        }
        if (*++at == ',') at++;
    }
    return at + 1;
}

static void expect_sample(exposition *e, const char *line) {
    size_t name_size = strcspn(line, "{ "), family_size = strlen(e->family);
    char labels[512] = "", *end;
    assert_true(is_metric_name(line, name_size));
    assert_memory_equal(line, e->family, family_size); // samples stand together, behind their TYPE
    const char *suffix = line + family_size, *value = line + name_size;
    if (strcmp(e->type, "histogram") == 0)
        assert_true(strncmp(suffix, "_bucket{", 8) == 0 || strncmp(suffix, "_sum{", 5) == 0 || strncmp(suffix, "_count{", 7) == 0);
    else
        assert_int_equal(name_size, family_size);
    if (*value == '{') value = expect_labels(value + 1);
    assert_int_equal(*value, ' ');
    double number = strtod(value + 1, &end);
    assert_int_equal(*end, '\0');
    assert_true(number >= 0);
    const char *le = strstr(line, ",le=");
    if (le) { // cumulative
        snprintf(labels, sizeof labels, "%.*s", (int)(le - line), line);
        if (strcmp(labels, e->bucket_of) != 0) e->last_bucket = 0;
        snprintf(e->bucket_of, sizeof e->bucket_of, "%s", labels);
        assert_true(number >= e->last_bucket);
        e->last_bucket = number;
    } else if (strstr(line, "_count{")) {
        assert_true(number == e->last_bucket); // +Inf is the count
    }
    e->samples++;
}

static void expect_line(exposition *e, char *line) {
    if (strncmp(line, "# HELP ", 7) == 0) {
        snprintf(e->family, sizeof e->family, "%.*s", (int)strcspn(line + 7, " "), line + 7);
        for (size_t i = 0; i < e->seen_count; i++) assert_string_not_equal(e->seen[i], e->family);
        memcpy(e->seen[e->seen_count++], e->family, sizeof e->family);
        e->type[0] = '\0';
    } else if (strncmp(line, "# TYPE ", 7) == 0) {
        assert_memory_equal(line + 7, e->family, strlen(e->family));
        snprintf(e->type, sizeof e->type, "%s", line + 8 + strlen(e->family));
        assert_true(strcmp(e->type, "counter") == 0 || strcmp(e->type, "gauge") == 0 || strcmp(e->type, "histogram") == 0);
        bool total = strlen(e->family) > 6 && strcmp(e->family + strlen(e->family) - 6, "_total") == 0;
        assert_int_equal(total, strcmp(e->type, "counter") == 0);
    } else {
        assert_true(e->type[0]);
        expect_sample(e, line);
    }
}

static void test_prometheus_text_is_well_formed(void **state) {
    mock m = {.serve = serve};
    char *text, *rest, *line;
    exposition e = {.samples = 0};
    (void)state;
    dx_client *client = mock_open(&m, API, NULL);
    (void)call(client, "a.get", NULL);
    (void)call(client, "a.bad", NULL);
    (void)call(client, "b.get", NULL);
    assert_int_equal(dx_metrics_prometheus(client, &text, NULL), DX_ERROR_NONE);
    assert_non_null(strstr(text, "duplex_client_calls_total{api=\"a\",endpoint=\"v1.get\"} 1\n"));
    assert_non_null(strstr(text, "duplex_client_errors_total{api=\"a\",endpoint=\"v1.bad\",code=\"http_error\",category=\"http\"} 1\n"));
    assert_non_null(strstr(text, "duplex_client_breaker_state{api=\"a\"} 0\n"));
    assert_non_null(strstr(text, "duplex_client_duration_seconds_bucket{api=\"b\",endpoint=\"v1.get\",le=\"+Inf\"} 1\n"));
    assert_null(strstr(text, "http://"));
    assert_int_equal(text[strlen(text) - 1], '\n');
    for (line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) expect_line(&e, line);
    assert_true(e.samples > 40);
    assert_true(e.seen_count > 20);
    dx_text_free(text);
    dx_client_close(client);
}

// --- threads ---------------------------------------------------------------------------------------------------------------------------

enum { THREADS = 4, CALLS = 200 };

static void *call_often(void *ctx) {
    for (int i = 0; i < CALLS; i++) (void)call(ctx, i % 2 ? "a.get" : "b.get", NULL);
    return NULL;
}

static void test_nothing_is_lost_between_threads(void **state) {
    mock m = {.serve = serve};
    pthread_t threads[THREADS];
    char *text;
    (void)state;
    dx_client *client = mock_open(&m, API, NULL);
    for (int i = 0; i < THREADS; i++) assert_int_equal(pthread_create(&threads[i], NULL, call_often, client), 0);
    for (int i = 0; i < 20; i++) { // reading does not disturb
        assert_int_equal(dx_metrics_prometheus(client, &text, NULL), DX_ERROR_NONE);
        dx_text_free(text);
        assert_int_equal(dx_metrics_json(client, &text, NULL), DX_ERROR_NONE);
        dx_text_free(text);
    }
    for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    assert_int_equal(metrics(client, "a", NULL).calls, THREADS * CALLS / 2);
    assert_int_equal(metrics(client, "b", "v1.get").classes[2], THREADS * CALLS / 2);
    dx_client_close(client);
}

// --- the window ------------------------------------------------------------------------------------------------------------------------

static void expect_window(const dx_meters *meters, dx_nanos now, uint64_t wanted_calls, uint64_t wanted_failures) {
    uint64_t calls, failures, took;
    dx_window_read(meters, 10 * DX_SECOND, now, &calls, &failures, &took);
    assert_int_equal(calls, wanted_calls);
    assert_int_equal(failures, wanted_failures);
    assert_int_equal(took, wanted_calls * 5);
}

static void test_the_window_forgets_slice_by_slice(void **state) {
    static const dx_nanos T0 = 1000 * DX_SECOND;
    dx_meters *meters = dx_meters_create();
    (void)state;
    for (int i = 0; i < 10; i++) dx_window_count(meters, 10 * DX_SECOND, T0 + i * DX_SECOND, i == 0, 5);
    expect_window(meters, T0 + 9 * DX_SECOND, 10, 1);
    expect_window(meters, T0 + 10 * DX_SECOND, 9, 0); // the first is gone
    expect_window(meters, T0 + 60 * DX_SECOND, 0, 0);
    dx_window_count(meters, 10 * DX_SECOND, T0 + 60 * DX_SECOND, true, 5);
    expect_window(meters, T0 + 60 * DX_SECOND, 1, 1);
    dx_meters_destroy(meters);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_calls_are_counted_by_endpoint_and_api),
        cmocka_unit_test(test_plain_requests_count_as_request),
        cmocka_unit_test(test_a_name_that_is_not_there_is_refused),
        cmocka_unit_test(test_an_endpoint_costs_nothing_before_its_first_call),
        cmocka_unit_test(test_reset_takes_one_api_or_all),
        cmocka_unit_test(test_a_program_with_a_shorter_struct_gets_what_it_knows),
        cmocka_unit_test(test_each_code_has_a_place_of_its_own),
        cmocka_unit_test(test_json_has_all_of_it),
        cmocka_unit_test(test_prometheus_text_is_well_formed),
        cmocka_unit_test(test_nothing_is_lost_between_threads),
        cmocka_unit_test(test_the_window_forgets_slice_by_slice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
