// From parameters to a request, seen from the other end: what the mock was asked. And what is refused, in which words.
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/memory.h"
#include "client/fixture.h"

static const char definition[] =
    "{\"apis\": {\"a\": {\"base_url\": \"https://api.test/base/\", \"default_headers\": {\"X-Def\": \"d\", \"Accept\": \"text/x\"}, "
    "\"endpoints\": {\"v1\": {"
    "\"path\": {\"path\": \"/u/{id}/f/{a}.{b}\", \"params\": {\"id\": {\"type\": \"int\"}}},"
    "\"query\": {\"path\": \"/q\", \"params\": {\"s\": {\"type\": \"str\", \"name\": \"S[x]\"}, \"i\": {\"type\": \"int\"}, \"f\": "
    "{\"type\": \"float\"}, \"b\": {\"type\": \"bool\"},"
    "  \"any\": {}, \"l\": {\"type\": \"list\"}, \"lc\": {\"type\": \"list\", \"explode\": false}, \"ls\": {\"type\": \"list\", \"style\": "
    "\"space\"},"
    "  \"lp\": {\"type\": \"list\", \"style\": \"pipe\"}, \"d\": {\"type\": \"dict\"}, \"dd\": {\"type\": \"dict\", \"style\": \"deep\"}}},"
    "\"needs\": {\"path\": \"/n\", \"params\": {\"page_size\": {\"required\": true, \"type\": \"int\", \"schema\": {\"maximum\": 10}}, "
    "\"page\": {\"default\": 1}, \"token\": {\"in\": \"header\", \"secret\": true, \"type\": \"int\"}}},"
    "\"head\": {\"path\": \"/h\", \"params\": {\"x\": {\"in\": \"header\", \"name\": \"X-Def\"}, \"n\": {\"in\": \"header\", \"name\": "
    "\"X-N\"}, \"c\": {\"in\": \"cookie\"}, \"k\": {\"in\": \"cookie\"}}},"
    "\"json\": {\"path\": \"/j\", \"method\": \"POST\", \"params\": {\"a\": {}, \"b\": {\"name\": \"B b\"}}},"
    "\"wrap\": {\"path\": \"/w\", \"method\": \"PUT\", \"body\": {\"wrap\": \"all\"}, \"params\": {\"all\": {}, \"q\": {\"in\": "
    "\"query\"}}},"
    "\"form\": {\"path\": \"/f\", \"method\": \"POST\", \"body\": {\"content_type\": \"application/x-www-form-urlencoded\"}, \"params\": "
    "{\"a\": {}, \"l\": {\"type\": \"list\"}}},"
    "\"multi\": {\"path\": \"/m\", \"method\": \"POST\", \"body\": {\"content_type\": \"multipart/form-data\"}, \"params\": {\"a\": "
    "{\"name\": \"a\\\"\\r\\n\"}, \"o\": {}, \"f\": {\"type\": \"file\"}}},"
    "\"keyed\": {\"path\": \"/k\", \"method\": \"POST\", \"retry\": {\"idempotency_key\": \"X-Once\"}},"
    "\"model\": {\"path\": \"/t\", \"method\": \"POST\", \"request_model\": \"Thing\", \"params\": {\"name\": {}, \"n\": {}}}"
    "}}}}, \"models\": {\"Thing\": {\"type\": \"object\", \"required\": [\"name\"], \"properties\": {\"name\": {\"type\": \"string\"}, "
    "\"n\": {\"type\": \"integer\"}}}}}";

typedef struct world {
    dx_transport *mock;
    dx_client *client;
} world;

static int set_up(void **state) {
    world *w = calloc(1, sizeof *w);
    w->mock = dx_transport_mock_create();
    mock_rule(w->mock, NULL, 200, "{}", 0);
    w->client = open_over(definition, w->mock);
    *state = w;
    return 0;
}

static int tear_down(void **state) {
    world *w = *state;
    dx_client_close(w->client);
    dx_transport_destroy(w->mock);
    free(w);
    return 0;
}

static dx_error_code call(world *w, const char *name, const dx_arg *args, const dx_call_options *options, dx_error *error) {
    dx_response *response;
    dx_mock_forget(w->mock);
    dx_error_code code = dx_client_call(&response, w->client, name, args, options, error);
    dx_response_release(response);
    return code;
}

static const dx_sent *sent(world *w, const char *name, const dx_arg *args) {
    dx_error error;
    if (call(w, name, args, NULL, &error)) fail_msg("%s", error.message);
    return dx_mock_asked(w->mock, 0);
}

static void refused(world *w, const char *name, const dx_arg *args, const char *message) {
    dx_error error;
    assert_int_equal(call(w, name, args, NULL, &error), DX_ERROR_ARGUMENT);
    assert_string_equal(error.message, message);
    assert_int_equal(dx_mock_count(w->mock), 0);
}

#define TARGET "https://api.test/base"

static void a_path_takes_its_parameters_and_nothing_else_of_the_url(void **state) {
    world *w = *state;
    assert_string_equal(sent(w, "a.path", DX_ARGS(DX_INT("id", -7), DX_STR("a", "x/y?z#\xc3\xa4 %"), DX_STR("b", "z")))->url,
                        TARGET "/u/-7/f/x%2Fy%3Fz%23%C3%A4%20%25.z");
    refused(w, "a.path", DX_ARGS(DX_INT("id", 1), DX_STR("a", ""), DX_STR("b", "x")), "a.v1.path: parameter \"a\" must not be empty");
    refused(w, "a.path", DX_ARGS(DX_INT("id", 1), DX_STR("a", ".."), DX_STR("b", "x")),
            "a.v1.path: parameter \"a\" can't be a path segment of dots");
    refused(w, "a.path", DX_ARGS(DX_STR("id", "1/2"), DX_STR("a", "x"), DX_STR("b", "x")),
            "a.v1.path: parameter \"id\" must be an integer");
    refused(w, "a.path", DX_ARGS(DX_INT("id", 1), DX_STR("b", "x")), "a.v1.path: parameter \"a\" is missing");
}

static void a_query_is_written_in_the_endpoints_order_and_styles(void **state) {
    world *w = *state;
    static const struct {
        const char *json_name, *json, *query;
    } rows[] = {{"l", "[1, \"a b\", true]", "l=1&l=a%20b&l=true"},
                {"lc", "[1, \"a,b\"]", "lc=1,a%2Cb"},
                {"ls", "[1,2]", "ls=1%202"},
                {"lp", "[1,2]", "lp=1|2"},
                {"d", "{\"a\": 1, \"b\": \"x\"}", "a=1&b=x"},
                {"dd", "{\"a\": 1, \"b c\": [2]}", "dd%5Ba%5D=1&dd%5Bb%20c%5D=%5B2%5D"},
                {"l", "[]", NULL},
                {"any", "null", NULL},
                {"any", "18446744073709551615", "any=18446744073709551615"},
                {"any", "[1]", "any=1"}};
    char url[256];
    assert_string_equal(sent(w, "a.query", DX_ARGS(DX_BOOL("b", true), DX_FLOAT("f", 1.5), DX_INT("i", 3), DX_STR("s", "a&b=c")))->url,
                        TARGET "/q?S%5Bx%5D=a%26b%3Dc&i=3&f=1.5&b=true");
    for (size_t i = 0; i < DX_COUNT_OF(rows); i++) {
        (void)snprintf(url, sizeof url, "%s/q%s%s", TARGET, rows[i].query ? "?" : "", rows[i].query ? rows[i].query : "");
        assert_string_equal(sent(w, "a.query", DX_ARGS(DX_JSON(rows[i].json_name, rows[i].json)))->url, url);
    }
}

static void values_become_what_their_parameters_want(void **state) {
    world *w = *state;
    static const struct {
        const char *name, *text, *query; // NULL: refused
    } rows[] = {{"i", "42", "i=42"},
                {"i", "18446744073709551615", "i=18446744073709551615"},
                {"i", "4.0", NULL},
                {"i", "x", NULL},
                {"i", "", NULL},
                {"f", "1e3", "f=1000"},
                {"f", "0x10", NULL},
                {"f", "nan", NULL},
                {"f", "1,5", NULL},
                {"f", "1e999", NULL},
                {"f", " 1", NULL},
                {"b", "YES", "b=true"},
                {"b", "0", "b=false"},
                {"b", "maybe", NULL},
                {"l", "a,b", "l=a&l=b"},
                {"l", "[1,2]", "l=1&l=2"},
                {"l", "", ""},
                {"l", "[1", NULL},
                {"d", "{\"x\":1}", "x=1"},
                {"d", "x", NULL},
                {"d", "[1]", NULL}};
    char url[256];
    for (size_t i = 0; i < DX_COUNT_OF(rows); i++) {
        const dx_arg *args = DX_ARGS(DX_STR(rows[i].name, rows[i].text));
        dx_error error;
        if (!rows[i].query) {
            if (call(w, "a.query", args, NULL, &error) != DX_ERROR_ARGUMENT) fail_msg("%s=%s was taken", rows[i].name, rows[i].text);
            assert_non_null(strstr(error.message, "must be "));
            continue;
        }
        (void)snprintf(url, sizeof url, "%s/q%s%s", TARGET, *rows[i].query ? "?" : "", rows[i].query);
        assert_string_equal(sent(w, "a.query", args)->url, url);
    }
    assert_string_equal(sent(w, "a.query", DX_ARGS(DX_FLOAT("i", 3.0), DX_INT("s", 5)))->url, TARGET "/q?S%5Bx%5D=5&i=3");
    refused(w, "a.query", DX_ARGS(DX_FLOAT("i", 3.5)), "a.v1.query: parameter \"i\" must be an integer");
    refused(w, "a.query", DX_ARGS(DX_JSON("s", "[1]")), "a.v1.query: parameter \"s\" must be text");
    refused(w, "a.query", DX_ARGS(DX_JSON("any", "{broken")), "a.v1.query: parameter \"any\" is not JSON");
}

static void what_is_missing_unknown_or_against_its_schema_is_told(void **state) {
    world *w = *state;
    dx_error error;
    refused(w, "a.needs", NULL, "a.v1.needs: parameter \"page_size\" is missing");
    refused(w, "a.needs", DX_ARGS(DX_INT("page_sise", 1)), "a.v1.needs: parameter \"page_sise\" is not known; did you mean \"page_size\"?");
    refused(w, "a.needs", DX_ARGS(DX_STR("token", "hunter2"), DX_INT("page_size", 1)),
            "a.v1.needs: parameter \"token\" must be an integer");
    assert_int_equal(call(w, "a.needs", DX_ARGS(DX_INT("page_size", 11)), NULL, &error), DX_ERROR_ARGUMENT);
    assert_non_null(strstr(error.message, "parameter \"page_size\""));
    assert_string_equal(sent(w, "a.needs", DX_ARGS(DX_INT("page_size", 10)))->url, TARGET "/n?page_size=10&page=1");
    assert_string_equal(sent(w, "a.needs", DX_ARGS(DX_INT("page_size", 10), DX_JSON("page", "null")))->url,
                        TARGET "/n?page_size=10&page=1");
    assert_int_equal(call(w, "a.nedes", NULL, NULL, &error), DX_ERROR_UNKNOWN_NAME);
    assert_non_null(strstr(error.message, "did you mean \"a.needs\"?"));
}

static void headers_and_cookies_are_the_nearest_ones(void **state) {
    world *w = *state;
    dx_error error;
    const dx_sent *plain = sent(w, "a.head", DX_ARGS(DX_STR("c", "a b;c"), DX_INT("k", 1)));
    assert_string_equal(sent_header(plain, "x-def"), "d");
    assert_string_equal(sent_header(plain, "accept"), "text/x");
    assert_string_equal(sent_header(plain, "cookie"), "c=a%20b%3Bc; k=1");
    assert_string_equal(sent_header(sent(w, "a.head", DX_ARGS(DX_STR("x", "param"), DX_FLOAT("n", 0.5))), "x-def"), "param");
    dx_header own[] = {{"x-DEF", "call"}, {NULL, NULL}};
    dx_call_options options = DX_CALL_OPTIONS_INIT;
    options.headers = own;
    assert_int_equal(call(w, "a.head", DX_ARGS(DX_STR("x", "param")), &options, &error), DX_ERROR_NONE);
    assert_string_equal(sent_header(dx_mock_asked(w->mock, 0), "X-Def"), "call");
    refused(w, "a.head", DX_ARGS(DX_STR("x", "a\r\nEvil: 1")), "a.v1.head: header \"X-Def\" can't have line breaks or NUL in its value");
    own[0] = (dx_header){"Content-Length", "5"};
    assert_int_equal(call(w, "a.head", NULL, &options, &error), DX_ERROR_ARGUMENT);
    own[0] = (dx_header){"bad name", "5"};
    assert_int_equal(call(w, "a.head", NULL, &options, &error), DX_ERROR_ARGUMENT);
}

static void bodies_are_written_in_each_form(void **state) {
    world *w = *state;
    assert_string_equal(sent(w, "a.json", DX_ARGS(DX_JSON("a", "[1.10, null]"), DX_STR("b", "\"\n\xc3\xa4")))->body,
                        "{\"a\":[1.1,null],\"B b\":\"\\\"\\n\xc3\xa4\"}");
    assert_string_equal(sent(w, "a.json", DX_ARGS(DX_JSON("a", "null")))->body, "{\"a\":null}");
    assert_string_equal(sent_header(dx_mock_asked(w->mock, 0), "content-type"), "application/json");
    assert_null(sent_header(sent(w, "a.json", NULL), "content-type"));
    const dx_sent *wrapped = sent(w, "a.wrap", DX_ARGS(DX_JSON("all", "{\"x\": [1]}"), DX_INT("q", 1)));
    assert_string_equal(wrapped->body, "{\"x\":[1]}");
    assert_string_equal(wrapped->url, TARGET "/w?q=1");
    assert_string_equal(sent(w, "a.form", DX_ARGS(DX_STR("a", "1 &"), DX_JSON("l", "[1,2]")))->body, "a=1%20%26&l=1&l=2");
    assert_string_equal(sent_header(dx_mock_asked(w->mock, 0), "content-type"), "application/x-www-form-urlencoded");
}

static void a_multipart_form_has_its_files_and_quotes(void **state) {
    world *w = *state;
    char path[] = "/tmp/dx-bind-XXXXXX", expected[512];
    int file = mkstemp(path);
    assert_int_equal(write(file, "from a file", 11), 11);
    const dx_sent *it = sent(w, "a.multi", DX_ARGS(DX_STR("a", "v"), DX_JSON("o", "{\"x\":1}"), DX_FILE("f", path)));
    const char *type = sent_header(it, "content-type"), *boundary = strstr(type, "boundary=") + 9;
    (void)snprintf(
        expected, sizeof expected,
        "--%s\r\nContent-Disposition: form-data; name=\"a%%22%%0D%%0A\"\r\n\r\nv\r\n--%s\r\nContent-Disposition: form-data; name=\"o\"\r\n"
        "Content-Type: application/json\r\n\r\n{\"x\":1}\r\n--%s\r\nContent-Disposition: form-data; name=\"f\"; filename=\"%s\"\r\n"
        "Content-Type: application/octet-stream\r\n\r\nfrom a file\r\n--%s--\r\n",
        boundary, boundary, boundary, path + 5, boundary);
    assert_string_equal(it->body, expected);
    (void)close(file);
    (void)unlink(path);
    dx_error error;
    assert_int_not_equal(call(w, "a.multi", DX_ARGS(DX_FILE("f", path)), NULL, &error), DX_ERROR_NONE);
}

static void a_body_may_be_given_as_it_is(void **state) {
    world *w = *state;
    dx_error error;
    dx_call_options options = DX_CALL_OPTIONS_INIT;
    options.body = "a\0b";
    options.body_size = 3;
    options.content_type = "application/x-own";
    assert_int_equal(call(w, "a.json", NULL, &options, &error), DX_ERROR_NONE);
    assert_int_equal(dx_mock_asked(w->mock, 0)->body_size, 3);
    assert_memory_equal(dx_mock_asked(w->mock, 0)->body, "a\0b", 3);
    assert_string_equal(sent_header(dx_mock_asked(w->mock, 0), "content-type"), "application/x-own");
    assert_int_equal(call(w, "a.json", DX_ARGS(DX_INT("a", 1)), &options, &error), DX_ERROR_ARGUMENT);
    options.body = NULL;
    options.body_file = "/nonexistent/file";
    assert_int_equal(call(w, "a.json", NULL, &options, &error), DX_ERROR_FILE);
    assert_non_null(strstr(error.message, "No such file"));
    options.body_file = "/tmp";
    assert_int_equal(call(w, "a.json", NULL, &options, &error), DX_ERROR_FILE);
}

static void a_key_is_made_where_the_definition_wants_one(void **state) {
    world *w = *state;
    char first[64];
    const char *key = sent_header(sent(w, "a.keyed", NULL), "x-once");
    assert_int_equal(strlen(key), 32);
    (void)snprintf(first, sizeof first, "%s", key);
    assert_string_not_equal(sent_header(sent(w, "a.keyed", NULL), "x-once"), first);
    assert_null(sent_header(sent(w, "a.json", NULL), "idempotency-key"));
    dx_call_options options = DX_CALL_OPTIONS_INIT;
    options.idempotency_key = "mine";
    assert_int_equal(call(w, "a.json", NULL, &options, NULL), DX_ERROR_NONE);
    assert_string_equal(sent_header(dx_mock_asked(w->mock, 0), "Idempotency-Key"), "mine");
}

static void a_body_obeys_its_model_before_it_is_sent(void **state) {
    world *w = *state;
    dx_error error;
    assert_int_equal(call(w, "a.model", NULL, NULL, &error), DX_ERROR_INVALID);
    assert_int_equal(call(w, "a.model", DX_ARGS(DX_STR("name", "x"), DX_STR("n", "1")), NULL, &error), DX_ERROR_INVALID);
    assert_string_equal(error.pointer, "/n");
    assert_int_equal(error.phase, DX_PHASE_PREPARE);
    assert_int_equal(dx_mock_count(w->mock), 0);
    assert_int_equal(call(w, "a.model", DX_ARGS(DX_STR("name", "x"), DX_INT("n", 1)), NULL, &error), DX_ERROR_NONE);
}

static void a_plain_request_takes_what_it_is_given(void **state) {
    world *w = *state;
    dx_response *response;
    dx_error error;
    dx_mock_forget(w->mock);
    assert_int_equal(dx_client_get(&response, w->client, "a", "/x?y=1", DX_ARGS(DX_INT("z", 2)), NULL, &error), DX_ERROR_NONE);
    dx_response_release(response);
    assert_string_equal(dx_mock_asked(w->mock, 0)->url, TARGET "/x?y=1&z=2");
    static const char *const bad[] = {"x", "", "/a b", "/a\r\nEvil: 1", "/a#b"};
    for (size_t i = 0; i < DX_COUNT_OF(bad); i++)
        assert_int_equal(dx_client_get(&response, w->client, "a", bad[i], NULL, NULL, &error), DX_ERROR_ARGUMENT);
    assert_int_equal(dx_client_request(&response, w->client, "a", "CONNECT", "/", NULL, NULL, &error), DX_ERROR_ARGUMENT);
    assert_int_equal(dx_client_request(&response, w->client, "b", "GET", "/", NULL, NULL, &error), DX_ERROR_UNKNOWN_NAME);
}

static void without_memory_nothing_is_sent(void **state) {
    world *w = *state;
    const dx_arg *args[] = {DX_ARGS(DX_INT("id", 1), DX_STR("a", "x"), DX_STR("b", "y")),
                            DX_ARGS(DX_JSON("l", "[1,\"a\"]"), DX_JSON("dd", "{\"a\":1}"), DX_STR("lc", "a,b")),
                            DX_ARGS(DX_STR("a", "1"), DX_JSON("o", "[1]")), DX_ARGS(DX_STR("name", "x"))};
    static const char *const names[] = {"a.path", "a.query", "a.multi", "a.model"};
    for (size_t i = 0; i < DX_COUNT_OF(names); i++) {
        for (uint64_t n = 1;; n++) {
            dx_memory_fail_at(n, false);
            dx_error_code code = call(w, names[i], args[i], NULL, NULL);
            if (!dx_memory_fail_stop()) break;
            if (code != DX_ERROR_NO_MEMORY && code != DX_ERROR_NONE)
                fail_msg("%s, allocation %d: %s", names[i], (int)n, dx_error_name(code));
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_path_takes_its_parameters_and_nothing_else_of_the_url),
        cmocka_unit_test(a_query_is_written_in_the_endpoints_order_and_styles),
        cmocka_unit_test(values_become_what_their_parameters_want),
        cmocka_unit_test(what_is_missing_unknown_or_against_its_schema_is_told),
        cmocka_unit_test(headers_and_cookies_are_the_nearest_ones),
        cmocka_unit_test(bodies_are_written_in_each_form),
        cmocka_unit_test(a_multipart_form_has_its_files_and_quotes),
        cmocka_unit_test(a_body_may_be_given_as_it_is),
        cmocka_unit_test(a_key_is_made_where_the_definition_wants_one),
        cmocka_unit_test(a_body_obeys_its_model_before_it_is_sent),
        cmocka_unit_test(a_plain_request_takes_what_it_is_given),
        cmocka_unit_test(without_memory_nothing_is_sent),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
