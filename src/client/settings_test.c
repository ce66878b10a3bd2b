// Layers of settings: the nearest counts, field by field; and what a definition is refused for, with its place.
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "client/client.h"
#include "client/fixture.h"

#define SECONDS(n) ((dx_nanos)((n) * (double)DX_SECOND))

static const char layered[] =
    "{\"defaults\": {\"timeout\": 7, \"retry\": {\"attempts\": 5, \"delay\": 1}, \"default_headers\": {\"X-A\": \"far\", \"X-B\": \"far\", "
    "\"X-C\": \"far\"},"
    "  \"auth\": {\"type\": \"basic\", \"username\": \"u\", \"password\": \"p\"}, \"rate_limit\": {\"max_requests\": 5, \"time_window\": "
    "1}},"
    " \"a\": {\"base_url\": \"http://api.test\", \"retry\": {\"attempts\": 2}, \"default_headers\": {\"x-a\": \"near\", \"X-B\": null},"
    "  \"endpoints\": {\"v1\": {\"plain\": {\"path\": \"/p\"}, \"own\": {\"path\": \"/o\", \"timeout\": 1.5, \"retry\": {\"max_delay\": "
    "3}, \"default_headers\": {\"x-c\": null}},"
    "   \"other\": {\"path\": \"/x\", \"auth\": {\"type\": \"bearer\", \"token\": \"t\"}, \"rate_limit\": null}, \"nobody\": {\"path\": "
    "\"/n\", \"auth\": null},"
    "   \"wire\": {\"path\": \"/w\", \"verify_tls\": false}}}},"
    " \"b\": {\"base_url\": \"http://other.test\"}}";

static const dx_settings *settings_of(dx_client *client, const char *name) {
    const dx_endpoint *endpoint = dx_apis_find(client->apis, dx_slice_str(name), NULL);
    assert_non_null(endpoint);
    return endpoint->settings;
}

static void the_nearest_layer_counts_field_by_field(void **state) {
    (void)state;
    dx_transport *mock = dx_transport_mock_create();
    dx_client *client = open_over(layered, mock);
    const dx_settings *plain = settings_of(client, "a.plain"), *own = settings_of(client, "a.own");
    assert_true(plain->timeout == SECONDS(7) && own->timeout == SECONDS(1.5));
    assert_int_equal(plain->retry.conf.attempts, 2);
    assert_true(plain->retry.conf.backoff.delay == SECONDS(1) && own->retry.conf.backoff.delay == SECONDS(1));
    assert_true(own->retry.conf.backoff.max_delay == SECONDS(3) && plain->retry.conf.backoff.max_delay == SECONDS(20));
    assert_int_equal(own->retry.conf.attempts, 2);
    assert_true(dx_retry_on(&own->retry.conf, 503) && !dx_retry_on(&own->retry.conf, 500 + 1));
    dx_client_close(client);
    dx_transport_destroy(mock);
}

static void a_header_is_replaced_or_taken_away_in_any_case_of_its_name(void **state) {
    (void)state;
    dx_transport *mock = dx_transport_mock_create();
    dx_client *client = open_over(layered, mock);
    const dx_settings *plain = settings_of(client, "a.plain"), *own = settings_of(client, "a.own");
    assert_int_equal(plain->headers.count, 4); // these two, and what every request says of itself
    dx_slice a = dx_fields_find(&plain->headers, DX_SLICE("X-A"));
    assert_true(dx_slice_equal(a, DX_SLICE("near")));
    assert_null(dx_fields_find(&plain->headers, DX_SLICE("X-B")).data);
    assert_non_null(dx_fields_find(&plain->headers, DX_SLICE("X-C")).data);
    assert_null(dx_fields_find(&own->headers, DX_SLICE("X-C")).data);
    dx_client_close(client);
    dx_transport_destroy(mock);
}

static void an_auth_replaces_another_whole_and_null_takes_away(void **state) {
    (void)state;
    dx_transport *mock = dx_transport_mock_create();
    mock_rule(mock, NULL, 200, "{}", 0);
    dx_client *client = open_over(layered, mock);
    static const struct {
        const char *name, *authorization;
    } rows[] = {{"a.plain", "Basic dTpw"}, {"a.other", "Bearer t"}, {"a.nobody", NULL}};
    assert_null(settings_of(client, "a.other")->rate_limit);
    assert_non_null(settings_of(client, "a.plain")->rate_limit);
    for (size_t i = 0; i < DX_COUNT_OF(rows); i++) {
        dx_response *response;
        dx_mock_forget(mock);
        assert_int_equal(dx_client_call(&response, client, rows[i].name, NULL, NULL, NULL), DX_ERROR_NONE);
        dx_response_release(response);
        const char *got = sent_header(dx_mock_asked(mock, 0), "authorization");
        if (rows[i].authorization) assert_string_equal(got, rows[i].authorization);
        if (!rows[i].authorization) assert_null(got);
    }
    dx_client_close(client);
    dx_transport_destroy(mock);
}

static void a_call_is_the_nearest_layer_of_all(void **state) {
    (void)state;
    dx_transport *mock = dx_transport_mock_create();
    mock_rule(mock, NULL, 503, "", 0);
    dx_client *client = open_over(layered, mock);
    dx_response *response;
    dx_error error;
    dx_call_options options = DX_CALL_OPTIONS_INIT;
    options.settings = "{\"retry\": {\"attempts\": 4, \"delay\": 0}, \"raise_on_error\": false, \"rate_limit\": null}";
    assert_int_equal(dx_client_call(&response, client, "a.plain", NULL, &options, &error), DX_ERROR_NONE);
    assert_int_equal(dx_response_status(response), 503);
    assert_int_equal(dx_response_attempts(response), 4);
    dx_response_release(response);
    options.raise_on_error = DX_RAISE_ALWAYS;
    assert_int_equal(dx_client_call(&response, client, "a.plain", NULL, &options, &error), DX_ERROR_STATUS);
    dx_response_release(response);
    options.settings = "{\"retry\": {\"atempts\": 4}}";
    assert_int_equal(dx_client_call(&response, client, "a.plain", NULL, &options, &error), DX_ERROR_ARGUMENT);
    assert_non_null(strstr(error.message, "attempts"));
    options.settings = "[]";
    assert_int_equal(dx_client_call(&response, client, "a.plain", NULL, &options, &error), DX_ERROR_ARGUMENT);
    options.settings = "{";
    assert_int_equal(dx_client_call(&response, client, "a.plain", NULL, &options, &error), DX_ERROR_ARGUMENT);
    dx_client_close(client);
    dx_transport_destroy(mock);
}

static void settings_that_come_out_the_same_share_their_connections(void **state) {
    (void)state;
    dx_transport *mock = dx_transport_mock_create();
    dx_client *client = open_over(layered, mock);
    uint64_t plain = settings_of(client, "a.plain")->wire.serial;
    assert_true(plain == settings_of(client, "a.own")->wire.serial);
    assert_true(plain == settings_of(client, "a.other")->wire.serial);
    assert_true(plain != settings_of(client, "a.wire")->wire.serial);
    dx_client_close(client);
    dx_transport_destroy(mock);
}

static void what_a_definition_is_refused_for_has_its_place(void **state) {
    (void)state;
#define API(rest)      "{\"a\": {\"base_url\": \"http://x.test\"" rest "}}"
#define ENDPOINT(rest) API(", \"endpoints\": {\"v1\": {\"e\": {" rest "}}}")
    static const struct {
        const char *text, *pointer, *message;
    } rows[] = {
        {"{\"a\": {}}", "/apis/a/base_url", "required"},
        {"{\"a\": {\"base_url\": \"ftp://x\"}}", "/apis/a/base_url", NULL},
        {"{\"a\": {\"base_url\": \"http://user@x\"}}", "/apis/a/base_url", NULL},
        {API(", \"timeuot\": 5"), "/apis/a/timeuot", "not a known"},
        {API(", \"timeout\": -1"), "/apis/a/timeout", NULL},
        {API(", \"auth\": {\"type\": \"baerer\"}"), "/apis/a/auth", "bearer"},
        {API(", \"auth\": {\"type\": \"bearer\", \"token\": \"\"}"), "/apis/a/auth/token", "token"},
        {API(", \"auth\": {\"type\": \"bearer\", \"token\": \"t\", \"tokn\": 1}"), "/apis/a/auth/tokn", "tokn"},
        {API(", \"default_headers\": {\"X\": \"a\\nb\"}"), "/apis/a/default_headers/X", "line breaks"},
        {API(", \"default_headers\": {\"Transfer-Encoding\": \"chunked\"}"), "/apis/a/default_headers", "library alone"},
        {API(", \"guard\": {\"enabled\": true}, \"proxy\": \"http://p\""), "/apis/a/proxy", "guard"},
        {API(", \"default_version\": \"v2\", \"endpoints\": {\"v1\": {}}"), "/apis/a/default_version", "v2"},
        {ENDPOINT("\"path\": \"/x/{a\""), "/apis/a/endpoints/v1/e/path", "brace"},
        {ENDPOINT("\"path\": \"/x/{a}\", \"params\": {\"a\": {\"in\": \"query\"}}"), "/apis/a/endpoints/v1/e/path", "elsewhere"},
        {ENDPOINT("\"path\": \"/x\", \"params\": {\"a\": {\"in\": \"path\"}}"), "/apis/a/endpoints/v1/e/params/a", "no {a}"},
        {ENDPOINT("\"path\": \"/x\", \"params\": {\"a\": {\"type\": \"file\"}}"), "/apis/a/endpoints/v1/e/params/a", "multipart"},
        {ENDPOINT("\"path\": \"/x\", \"params\": {\"a\": {\"schema\": {\"type\": \"nope\"}}}"),
         "/apis/a/endpoints/v1/e/params/a/schema/type", NULL},
        {ENDPOINT("\"path\": \"/x\", \"response_model\": \"Nope\""), "/apis/a/endpoints/v1/e/response_model", "no model"},
        {ENDPOINT("\"path\": \"/x\", \"method\": \"PUT\", \"body\": {\"wrap\": \"all\"}"), "/apis/a/endpoints/v1/e/body/wrap", "all"},
        {ENDPOINT("\"path\": \"/x?y=1\""), "/apis/a/endpoints/v1/e/path", NULL},
    };
    for (size_t i = 0; i < DX_COUNT_OF(rows); i++) {
        dx_client *client;
        dx_error error;
        if (dx_client_open_text(&client, rows[i].text, strlen(rows[i].text), NULL, &error) != DX_ERROR_CONFIG)
            fail_msg("%s: %s", rows[i].text, error.message);
        assert_null(client);
        bool told = strcmp(error.pointer, rows[i].pointer) == 0 || strcmp(error.pointer, rows[i].pointer + 5) == 0;
        if (!told || (rows[i].message && !strstr(error.message, rows[i].message)) || error.line == 0)
            fail_msg("%s: %s at %s, line %u", rows[i].text, error.message, error.pointer, error.line);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_nearest_layer_counts_field_by_field),
        cmocka_unit_test(a_header_is_replaced_or_taken_away_in_any_case_of_its_name),
        cmocka_unit_test(an_auth_replaces_another_whole_and_null_takes_away),
        cmocka_unit_test(a_call_is_the_nearest_layer_of_all),
        cmocka_unit_test(settings_that_come_out_the_same_share_their_connections),
        cmocka_unit_test(what_a_definition_is_refused_for_has_its_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
