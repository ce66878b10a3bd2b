// The whole server over a real socket, with a toy feature: routes, filters and bodies, health, documents, the log, and how it stops.
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "codec/json.h"
#include "host/toy_server.h"

#define QUIET "\"listen\": \"127.0.0.1:0\", \"workers\": 2, \"log\": {\"level\": \"off\"}"
#define END   " HTTP/1.1\r\nHost: test\r\n\r\n"

static toy server;
static toy_answer answer;
static char value[512];

static int start(void **state) {
    (void)state;
    toy_start(&server, QUIET ", \"cors\": {\"origins\": [\"https://shop.example\"]}");
    return 0;
}

static int stop(void **state) {
    (void)state;
    toy_stop(&server);
    return 0;
}

static void ask(const char *request) {
    toy_ask(&server, &answer, request);
}

static const char *field(const char *name) {
    return toy_field(&answer, name, value, sizeof value) ? value : "(none)";
}

static yyjson_val *json(void) {
    yyjson_doc *doc = NULL;
    assert_int_equal(dx_json_read(&doc, server.arena, dx_slice_of(answer.body, answer.body_size), NULL, NULL), DX_OK);
    return yyjson_doc_get_root(doc);
}

static const char *member(const char *name) {
    return yyjson_get_str(yyjson_obj_get(json(), name));
}

// --- answers
// ----------------------------------------------------------------------------------------------------------------------------------------

static void livez_answers_with_the_servers_fields(void **state) {
    (void)state;
    ask("GET /livez" END);
    assert_int_equal(answer.status, 200);
    assert_string_equal(answer.body, "{\"status\":\"ok\"}");
    assert_string_equal(field("content-type"), "application/json");
    assert_string_equal(field("x-content-type-options"), "nosniff");
    assert_int_equal(strlen(field("x-request-id")), 32);
}

static void readyz_and_health_check_the_store(void **state) {
    (void)state;
    ask("GET /readyz" END);
    assert_int_equal(answer.status, 200);
    ask("GET /health" END);
    assert_int_equal(answer.status, 200);
    assert_string_equal(yyjson_get_str(dx_json_at(json(), DX_SLICE("/checks/store/status"))), "ok");
    assert_null(yyjson_obj_get(json(), "version")); // production says no more to strangers
}

static void an_unknown_path_is_a_problem_that_passed_the_edge(void **state) {
    (void)state;
    ask("GET /nowhere HTTP/1.1\r\nHost: test\r\nOrigin: https://shop.example\r\nX-Request-Id: abc\r\n\r\n");
    assert_int_equal(answer.status, 404);
    assert_string_equal(field("content-type"), "application/problem+json");
    assert_string_equal(field("x-mark"), "edge");
    assert_string_equal(field("x-request-id"), "abc");
    assert_string_equal(field("access-control-allow-origin"), "https://shop.example");
    assert_string_equal(member("error_code"), "not_found");
    assert_string_equal(member("path"), "/nowhere");
}

static void another_method_is_405_and_options_says_which(void **state) {
    (void)state;
    ask("PUT /toys/a HTTP/1.1\r\nHost: test\r\nContent-Length: 0\r\n\r\n");
    assert_int_equal(answer.status, 405);
    assert_string_equal(field("allow"), "DELETE, GET, HEAD, OPTIONS");
    ask("OPTIONS /toys/a" END);
    assert_int_equal(answer.status, 204);
    assert_string_equal(field("allow"), "DELETE, GET, HEAD, OPTIONS");
    ask("OPTIONS *" END);
    assert_int_equal(answer.status, 204);
    ask("OPTIONS /nowhere" END);
    assert_int_equal(answer.status, 404);
}

static void a_preflight_is_answered_for_any_path(void **state) {
    (void)state;
    ask("OPTIONS /toys/a HTTP/1.1\r\nHost: test\r\nOrigin: https://shop.example\r\nAccess-Control-Request-Method: DELETE\r\n\r\n");
    assert_int_equal(answer.status, 204);
    assert_string_equal(field("access-control-allow-origin"), "https://shop.example");
    assert_non_null(strstr(field("access-control-allow-methods"), "DELETE"));
}

static void a_broken_escape_is_400(void **state) {
    (void)state;
    ask("GET /toys/%zz" END);
    assert_int_equal(answer.status, 400);
    assert_string_equal(member("error_code"), "bad_request");
}

static void parameters_are_decoded(void **state) {
    (void)state;
    ask("GET /toys/a%2Fb" END);
    assert_int_equal(answer.status, 200);
    assert_string_equal(answer.body, "a/b");
}

static void head_is_get_without_its_body(void **state) {
    (void)state;
    ask("HEAD /toys/teddy" END);
    assert_int_equal(answer.status, 200);
    assert_string_equal(field("content-length"), "5");
    assert_int_equal(answer.body_size, 0);
}

static void filters_stand_in_the_order_of_their_stages(void **state) {
    (void)state;
    ask("GET /toys/a" END);
    const char *edge = strstr(answer.text, "x-mark: edge"), *admit = strstr(answer.text, "x-mark: admit"),
               *inner = strstr(answer.text, "x-mark: inner");
    assert_true(edge && admit && inner && edge < admit && admit < inner);
}

static void what_is_not_public_needs_a_principal_or_a_role(void **state) {
    (void)state;
    ask("DELETE /toys/a" END);
    assert_int_equal(answer.status, 401);
    assert_string_equal(field("www-authenticate"), "Bearer");
    ask("DELETE /toys/a HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer good\r\n\r\n");
    assert_int_equal(answer.status, 403);
}

static void production_hides_the_inside_of_a_500(void **state) {
    (void)state;
    ask("GET /burn" END);
    assert_int_equal(answer.status, 500);
    assert_null(strstr(answer.body, "fire"));
    assert_int_equal(strlen(member("trace_id")), 32);
}

static void a_problems_type_can_be_followed(void **state) {
    (void)state;
    ask("GET /problems/not_found" END);
    assert_int_equal(answer.status, 200);
    assert_int_equal(yyjson_get_int(yyjson_obj_get(json(), "status")), 404);
    ask("GET /problems/not_found HTTP/1.1\r\nHost: test\r\nAccept: text/html,*/*;q=0.8\r\n\r\n");
    assert_string_equal(field("content-type"), "text/html; charset=utf-8");
    ask("GET /problems/none_such" END);
    assert_int_equal(answer.status, 404);
}

static void what_is_not_http_is_refused_with_a_problem(void **state) {
    (void)state;
    ask("GET /livez HTTP/1.1\r\nHost: test\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n");
    assert_int_equal(answer.status, 400);
    assert_string_equal(field("content-type"), "application/problem+json");
    assert_string_equal(field("connection"), "close");
}

// --- bodies
// -----------------------------------------------------------------------------------------------------------------------------------------

static void a_body_arrives_whole_however_it_is_sent(void **state) {
    (void)state;
    ask("POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\n\r\nhello");
    assert_string_equal(answer.body, "hello");
    ask("POST /echo HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n4\r\nlo, \r\n5\r\nworld\r\n0\r\n\r\n");
    assert_string_equal(answer.body, "hello, world");
    ask("POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 0\r\n\r\n");
    assert_int_equal(answer.status, 200);
    assert_int_equal(answer.body_size, 0);
}

static void a_body_over_the_operations_cap_is_413_before_it_is_sent(void **state) {
    (void)state;
    ask("POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 1001\r\n\r\n");
    assert_int_equal(answer.status, 413);
    assert_string_equal(field("connection"), "close");
}

static void a_chunked_body_over_the_cap_is_413(void **state) {
    (void)state;
    char request[4096] = "POST /echo HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n";
    for (int i = 0; i < 11; i++) snprintf(request + strlen(request), sizeof request - strlen(request), "64\r\n%0100d\r\n", 7);
    ask(request);
    assert_int_equal(answer.status, 413);
}

static void the_servers_cap_holds_where_an_operation_has_none(void **state) {
    (void)state;
    ask("POST /upload HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer good\r\nContent-Length: 1048577\r\n\r\n");
    assert_int_equal(answer.status, 413);
}

static void a_refused_caller_is_not_asked_for_the_body(void **state) {
    (void)state;
    ask("POST /upload HTTP/1.1\r\nHost: test\r\nContent-Length: 100\r\nExpect: 100-continue\r\n\r\n");
    assert_int_equal(answer.status, 401);
}

static void an_admitted_caller_is_asked_for_the_body(void **state) {
    (void)state;
    static const char head[] =
        "POST /upload HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer good\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n";
    int client = toy_connect(&server);
    toy_send(client, head, sizeof head - 1);
    toy_receive(client, &answer, true);
    assert_int_equal(answer.status, 100);
    toy_send(client, "hello", 5);
    toy_receive(client, &answer, false);
    assert_int_equal(answer.status, 200);
    assert_string_equal(answer.body, "hello");
    close(client);
}

// --- documents
// --------------------------------------------------------------------------------------------------------------------------------------

static void openapi_tells_every_described_operation(void **state) {
    (void)state;
    ask("GET /openapi.json" END);
    assert_int_equal(answer.status, 200);
    assert_string_equal(member("openapi"), "3.1.0");
    yyjson_val *root = json();
    assert_string_equal(yyjson_get_str(dx_json_at(root, DX_SLICE("/paths/~1toys~1{name}/get/operationId"))), "toys.read");
    assert_string_equal(yyjson_get_str(dx_json_at(root, DX_SLICE("/paths/~1toys~1{name}/get/parameters/0/name"))), "name");
    assert_non_null(dx_json_at(root, DX_SLICE("/paths/~1toys~1{name}/delete/security/0/bearer")));
    assert_null(dx_json_at(root, DX_SLICE("/paths/~1toys~1{name}/get/security")));
    assert_non_null(dx_json_at(root, DX_SLICE("/paths/~1echo/post/responses/413/$ref")));
    assert_non_null(dx_json_at(root, DX_SLICE("/paths/~1livez/get")));
    assert_null(dx_json_at(root, DX_SLICE("/paths/~1burn"))); // describes nothing
    assert_non_null(dx_json_at(root, DX_SLICE("/components/schemas/Problem")));
    assert_non_null(dx_json_at(root, DX_SLICE("/components/securitySchemes/bearer")));
}

static void documents_are_compressed_and_remembered(void **state) {
    (void)state;
    char request[512], etag[64];
    ask("GET /openapi.json HTTP/1.1\r\nHost: test\r\nAccept-Encoding: gzip, br\r\n\r\n");
    assert_int_equal(answer.status, 200);
    assert_string_equal(field("content-encoding"), "gzip");
    assert_memory_equal(answer.body, "\x1f\x8b", 2);
    snprintf(etag, sizeof etag, "%s", field("etag"));
    snprintf(request, sizeof request, "GET /openapi.json HTTP/1.1\r\nHost: test\r\nIf-None-Match: %s\r\n\r\n", etag);
    ask(request);
    assert_int_equal(answer.status, 304);
}

static void docs_are_served_with_a_strict_policy(void **state) {
    (void)state;
    char request[512];
    ask("GET /docs" END);
    assert_int_equal(answer.status, 200);
    assert_string_equal(field("content-type"), "text/html; charset=utf-8");
    assert_non_null(strstr(field("content-security-policy"), "script-src 'self';"));
    char *asset = strstr(answer.body, "/docs/assets/");
    assert_non_null(asset);
    snprintf(request, sizeof request, "GET %.*s" END, (int)strcspn(asset, "\""), asset);
    ask(request);
    assert_int_equal(answer.status, 200);
    assert_string_equal(field("cache-control"), "public, max-age=31536000, immutable");
}

static void nothing_in_the_docs_points_elsewhere(void **state) {
    (void)state;
    ask("GET /docs" END);
    char page[8192];
    snprintf(page, sizeof page, "%s", answer.body);
    for (char *at = page; (at = strstr(at, "=\"")); at += 2)
        if (strncmp(at + 2, "http", 4) == 0 || strncmp(at + 2, "//", 2) == 0) fail_msg("%.60s", at);
}

// --- stopping, logging
// ------------------------------------------------------------------------------------------------------------------------------

static void a_request_under_way_is_finished_at_shutdown(void **state) {
    (void)state;
    toy_start(&server, QUIET);
    int client = toy_connect(&server);
    toy_send(client, "GET /wait" END, sizeof("GET /wait" END) - 1);
    toy_wait_for_arrivals(1);
    toy_signal(&server);
    while (toy_accepts(&server)) poll(NULL, 0, 1); // until draining has begun
    toy_release();
    toy_receive(client, &answer, false);
    assert_int_equal(answer.status, 200);
    assert_string_equal(answer.body, "waited");
    close(client);
    toy_join(&server);
    toy_clean(&server);
}

static void a_client_that_leaves_does_not_keep_the_server(void **state) {
    (void)state;
    toy_start(&server, QUIET);
    int client = toy_connect(&server);
    toy_send(client, "GET /wait" END, sizeof("GET /wait" END) - 1);
    toy_wait_for_arrivals(1);
    close(client);
    toy_release();
    toy_stop(&server);
}

static void reload(const char *server_section, int reloads) {
    char text[1024];
    snprintf(text, sizeof text, "{\"server\": {%s}}", server_section);
    toy_write(&server, "toy.json", text);
    kill(getpid(), SIGHUP);
    while (atomic_load(&toy_left) < 2 * reloads) poll(NULL, 0, 1); // of two workers each
}

static void an_old_definition_goes_with_its_last_exchange(void **state) {
    (void)state;
    atomic_store(&toy_started, 0);
    atomic_store(&toy_left, 0);
    atomic_store(&toy_stopped, 0);
    atomic_store(&toy_inherited, 0);
    toy_start(&server, QUIET ", \"title\": \"one\"");
    int client = toy_connect(&server);
    toy_send(client, "GET /wait" END, sizeof("GET /wait" END) - 1);
    toy_wait_for_arrivals(1);
    reload(QUIET ", \"title\": \"two\"", 1);
    ask("GET /openapi.json" END);
    assert_string_equal(yyjson_get_str(dx_json_at(json(), DX_SLICE("/info/title"))), "two");
    reload(QUIET ", \"title\": \"three\"", 2);
    while (atomic_load(&toy_stopped) < 1) poll(NULL, 0, 1); // the second one, that nobody uses
    assert_int_equal(atomic_load(&toy_inherited), 2);
    assert_int_equal(atomic_load(&toy_started), 6);
    ask("GET /livez" END);
    assert_int_equal(atomic_load(&toy_stopped), 1); // the first one has a request under way
    toy_release();
    toy_receive(client, &answer, false);
    assert_int_equal(answer.status, 200);
    while (atomic_load(&toy_stopped) < 2) poll(NULL, 0, 1);
    close(client);
    toy_stop(&server);
    assert_int_equal(atomic_load(&toy_stopped), 3);
}

static char *read_whole(const char *path) {
    static char text[1u << 16];
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    size_t size = fread(text, 1, sizeof text - 1, file);
    text[size] = '\0';
    fclose(file);
    return text;
}

static void every_request_has_its_line_in_the_log(void **state) {
    (void)state;
    char path[] = "/tmp/duplex-log-XXXXXX";
    int file = mkstemp(path), saved = dup(STDERR_FILENO);
    assert_true(file >= 0 && dup2(file, STDERR_FILENO) >= 0);
    toy_start(&server, "\"listen\": \"127.0.0.1:0\", \"workers\": 1");
    for (int i = 0; i < 100; i++) ask("GET /toys/a?color=red&access_token=hush" END);
    ask("GET /burn HTTP/1.1\r\nHost: test\r\nTraceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n\r\n");
    ask("GET /livez" END);
    toy_signal(&server);
    toy_join(&server);
    dup2(saved, STDERR_FILENO);
    close(saved);
    close(file);
    int requests = 0, failures = 0;
    for (dx_slice rest = dx_slice_str(read_whole(path)); rest.data && rest.size;) {
        dx_slice line = dx_slice_cut(&rest, '\n');
        yyjson_doc *doc = NULL;
        assert_int_equal(dx_json_read(&doc, server.arena, line, NULL, NULL), DX_OK);
        yyjson_val *root = yyjson_doc_get_root(doc);
        if (!dx_slice_equal(dx_json_member_slice(root, "event"), DX_SLICE("request"))) continue;
        requests++;
        if (!dx_slice_equal(dx_json_member_slice(root, "level"), DX_SLICE("error"))) {
            assert_string_equal(yyjson_get_str(yyjson_obj_get(root, "route")), "/toys/{name}");
            assert_string_equal(yyjson_get_str(yyjson_obj_get(root, "query")), "color=red&access_token=[redacted]");
            assert_true(yyjson_get_int(yyjson_obj_get(root, "bytes")) > 0);
            continue;
        }
        failures++;
        assert_string_equal(yyjson_get_str(yyjson_obj_get(root, "detail")), "the inside is on fire");
        assert_string_equal(yyjson_get_str(yyjson_obj_get(root, "trace_id")), "4bf92f3577b34da6a3ce929d0e0e4736");
    }
    assert_int_equal(requests, 101); // health checks have none
    assert_int_equal(failures, 1);
    unlink(path);
    toy_clean(&server);
}

static void development_shows_the_inside(void **state) {
    (void)state;
    toy_start(&server, QUIET ", \"mode\": \"development\"");
    ask("GET /burn" END);
    assert_string_equal(member("detail"), "the inside is on fire");
    ask("GET /health" END);
    assert_non_null(yyjson_obj_get(json(), "version"));
    toy_stop(&server);
}

static void without_docs_there_are_none(void **state) {
    (void)state;
    toy_start(&server, QUIET ", \"docs\": false");
    ask("GET /docs" END);
    assert_int_equal(answer.status, 404);
    ask("GET /openapi.json" END);
    assert_int_equal(answer.status, 404);
    toy_stop(&server);
}

static void a_taken_port_is_told(void **state) {
    (void)state;
    char listen[64];
    toy second;
    toy_start(&server, QUIET);
    toy_prepare(&second, QUIET);
    snprintf(listen, sizeof listen, "127.0.0.1:%d", server.port);
    dx_host_options options = {.app = {.path = second.path, .listen = listen}};
    dx_status status = dx_host_serve(&options, &second.diags);
    assert_int_not_equal(status, DX_OK);
    assert_true(second.diags.count > 0);
    toy_clean(&second);
    toy_stop(&server);
}

#define SHARED(name) cmocka_unit_test(name)

int main(void) {
    const struct CMUnitTest shared[] = {
        SHARED(livez_answers_with_the_servers_fields),
        SHARED(readyz_and_health_check_the_store),
        SHARED(an_unknown_path_is_a_problem_that_passed_the_edge),
        SHARED(another_method_is_405_and_options_says_which),
        SHARED(a_preflight_is_answered_for_any_path),
        SHARED(a_broken_escape_is_400),
        SHARED(parameters_are_decoded),
        SHARED(head_is_get_without_its_body),
        SHARED(filters_stand_in_the_order_of_their_stages),
        SHARED(what_is_not_public_needs_a_principal_or_a_role),
        SHARED(production_hides_the_inside_of_a_500),
        SHARED(a_problems_type_can_be_followed),
        SHARED(what_is_not_http_is_refused_with_a_problem),
        SHARED(a_body_arrives_whole_however_it_is_sent),
        SHARED(a_body_over_the_operations_cap_is_413_before_it_is_sent),
        SHARED(a_chunked_body_over_the_cap_is_413),
        SHARED(the_servers_cap_holds_where_an_operation_has_none),
        SHARED(a_refused_caller_is_not_asked_for_the_body),
        SHARED(an_admitted_caller_is_asked_for_the_body),
        SHARED(openapi_tells_every_described_operation),
        SHARED(documents_are_compressed_and_remembered),
        SHARED(docs_are_served_with_a_strict_policy),
        SHARED(nothing_in_the_docs_points_elsewhere),
    };
    const struct CMUnitTest alone[] = {
        cmocka_unit_test(a_request_under_way_is_finished_at_shutdown),
        cmocka_unit_test(a_client_that_leaves_does_not_keep_the_server),
        cmocka_unit_test(an_old_definition_goes_with_its_last_exchange),
        cmocka_unit_test(every_request_has_its_line_in_the_log),
        cmocka_unit_test(development_shows_the_inside),
        cmocka_unit_test(without_docs_there_are_none),
        cmocka_unit_test(a_taken_port_is_told),
    };
    int failed = cmocka_run_group_tests(shared, start, stop);
    return failed + cmocka_run_group_tests(alone, NULL, NULL);
}
