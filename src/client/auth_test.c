// The handlers of auth against a toy server: what they put into requests, what a refusal leads to, and handlers of the program's own.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>

#include "base/memory.h"
#include "client/toy_server.h"
#include "codec/http.h"
#include "duplex/auth.h"
#include "policy/sign_hmac.h"

#define REFUSED "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"

static toy_server server;
static dx_client *client;
static dx_error error;

static void open_logging(const char *auth, const dx_client_options *options) {
    char text[4096];
    int size =
        snprintf(text, sizeof text,
                 "{\"apis\":{\"a\":{\"base_url\":\"http://127.0.0.1:%u\",\"auth\":%s,\"endpoints\":{\"v1\":{"
                 "\"get\":{\"path\":\"/x\"},\"post\":{\"path\":\"/x\",\"method\":\"POST\",\"params\":{\"n\":{\"type\":\"int\"}}}}}}}}",
                 (unsigned)server.port, auth);
    dx_error_code code = dx_client_open_text(&client, text, (size_t)size, options, &error);
    if (code) fail_msg("%s", error.message);
}

static void open_with(const char *auth) {
    open_logging(auth, NULL);
}

static dx_error_code call(const char *name, const dx_arg *args, const dx_call_options *options) {
    dx_response *response;
    dx_error_code code = dx_client_call(&response, client, name, args, options, &error);
    dx_response_release(response);
    return code;
}

static void refuse_definition(const char *auth, const char *expected) {
    char text[2048];
    int size = snprintf(text, sizeof text, "{\"apis\":{\"a\":{\"base_url\":\"https://example.com\",\"auth\":%s}}}", auth);
    assert_int_equal(dx_client_open_text(&client, text, (size_t)size, NULL, &error), DX_ERROR_CONFIG);
    if (!strstr(error.message, expected)) fail_msg("expected \"%s\" in \"%s\"", expected, error.message);
    assert_null(client);
}

static int setup(void **state) {
    (void)state;
    toy_server_start(&server);
    client = NULL;
    return 0;
}

static int teardown(void **state) {
    (void)state;
    dx_client_close(client);
    toy_server_stop(&server);
    return 0;
}

// --- credentials that stand in the definition ----------------------------------------------------------------------------------------
static void test_plain_credentials_go_where_they_belong(void **state) {
    (void)state;
    static const struct {
        const char *auth, *expected;
    } rows[] = {
        {"{\"type\":\"bearer\",\"token\":\"t0k\"}", "\r\nAuthorization: Bearer t0k\r\n"},
        {"{\"type\":\"bearer\",\"token\":\"t0k\",\"prefix\":\"Token\",\"header\":\"X-Auth\"}", "\r\nX-Auth: Token t0k\r\n"},
        {"{\"type\":\"basic\",\"username\":\"Aladdin\",\"password\":\"open sesame\"}",
         "\r\nAuthorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n"},
        {"{\"type\":\"api_key\",\"value\":\"k\"}", "\r\nX-API-Key: k\r\n"},
        {"{\"type\":\"api_key\",\"value\":\"k&1\",\"in\":\"query\",\"name\":\"key\"}", "GET /x?key=k%261 HTTP"},
        {"{\"type\":\"api_key\",\"value\":\"k\",\"in\":\"cookie\",\"name\":\"sid\"}", "\r\nCookie: sid=k\r\n"},
    };
    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        open_with(rows[i].auth);
        assert_int_equal(call("a.get", NULL, NULL), DX_ERROR_NONE);
        if (!toy_server_got(&server, i, rows[i].expected)) fail_msg("%s is not in %s", rows[i].expected, server.requests[i]);
        dx_client_close(client);
    }
    client = NULL;
}

static void test_a_key_goes_into_a_json_body_beside_what_is_there(void **state) {
    (void)state;
    open_with("{\"type\":\"api_key\",\"value\":\"k\\\"1\",\"in\":\"body\",\"name\":\"key\"}");
    assert_int_equal(call("a.post", DX_ARGS(DX_INT("n", 1)), NULL), DX_ERROR_NONE);
    assert_true(toy_server_got(&server, 0, "\r\n\r\n{\"key\":\"k\\\"1\",\"n\":1}"));
    dx_call_options options = DX_CALL_OPTIONS_INIT;
    options.body = "plain";
    options.body_size = 5;
    options.content_type = "text/plain";
    assert_int_equal(call("a.post", NULL, &options), DX_ERROR_AUTH);
    assert_non_null(strstr(error.message, "neither a JSON object nor a form"));
}

static void test_what_is_wrong_is_found_when_the_definition_is_read(void **state) {
    (void)state;
    refuse_definition("{\"type\":\"bearer\",\"tokn\":\"x\"}", "did you mean \"token\"");
    refuse_definition("{\"type\":\"bearer\",\"token\":\"\"}", "not empty");
    refuse_definition("{\"type\":\"beerer\",\"token\":\"x\"}", "did you mean \"bearer\"");
    refuse_definition("{\"type\":\"basic\",\"username\":\"a:b\"}", "colon");
    refuse_definition("{\"type\":\"jwt\",\"key\":{\"algorithm\":\"HS256\",\"secret\":\"short\"}}", "as many bytes");
    refuse_definition("{\"type\":\"jwt\",\"key\":{\"algorithm\":\"XS256\",\"secret\":\"short\"}}", "there is no algorithm");
    refuse_definition("{\"type\":\"hmac\",\"secret\":\"s\",\"parts\":[\"bdy\"]}", "there is no part \"bdy\"");
    refuse_definition("{\"type\":\"aws_sigv4\",\"access_key_id\":\"a\",\"secret_access_key\":\"b\",\"region\":\"r\"}", "\"service\"");
    refuse_definition("{\"type\":\"custom\"}", "\"name\"");
    refuse_definition("{\"type\":\"dynamic_token\",\"login\":{\"url\":\"http://example.com/l\"}}", "must be https");
    refuse_definition("{\"type\":\"dynamic_token\"}", "\"login\"");
}

// --- signatures ----------------------------------------------------------------------------------------------------------------------
static void test_requests_are_signed_body_included(void **state) {
    (void)state;
    open_with("{\"type\":\"hmac\",\"key_id\":\"me\",\"secret\":\"0123456789abcdef\"}");
    assert_int_equal(call("a.post", DX_ARGS(DX_INT("n", 1)), NULL), DX_ERROR_NONE);
    assert_true(toy_server_got(&server, 0, "\r\nx-key-id: me\r\n") && toy_server_got(&server, 0, "\r\nx-signature: "));
    dx_client_close(client);
    open_with("{\"type\":\"aws_sigv4\",\"access_key_id\":\"AK\",\"secret_access_key\":\"SK\",\"region\":\"r\",\"service\":\"s\"}");
    assert_int_equal(call("a.post", DX_ARGS(DX_INT("n", 1)), NULL), DX_ERROR_NONE);
    assert_true(toy_server_got(&server, 1, "uthorization: AWS4-HMAC-SHA256 Credential=AK/"));
}

static void test_a_body_that_is_not_in_memory_is_not_signed_but_refused(void **state) {
    (void)state;
    dx_call_options options = DX_CALL_OPTIONS_INIT;
    options.body_file = "/proc/self/cmdline";
    open_with("{\"type\":\"aws_sigv4\",\"access_key_id\":\"AK\",\"secret_access_key\":\"SK\",\"region\":\"r\",\"service\":\"s\"}");
    assert_int_equal(call("a.post", NULL, &options), DX_ERROR_AUTH);
    assert_non_null(strstr(error.message, "unsigned_payload"));
    assert_int_equal(toy_server_asked(&server), 0);
}

static void refuse_at(dx_micros_utc date) {
    static char answer[256];
    char text[DX_HTTP_DATE_SIZE];
    dx_http_date_write(text, date);
    snprintf(answer, sizeof answer, "HTTP/1.1 403 Forbidden\r\nDate: %.*s\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
             (int)sizeof text, text);
    toy_server_answer(&server, answer);
}

static void test_the_clock_of_a_server_that_refuses_a_signature_is_learned(void **state) {
    (void)state;
    char expected[32];
    dx_micros_utc ahead = dx_clock_utc() + (dx_micros_utc)7200 * 1000000;
    dx_civil civil = dx_civil_from_utc(ahead);
    open_with("{\"type\":\"hmac\",\"key_id\":\"me\",\"secret\":\"0123456789abcdef\",\"time\":\"rfc3339\"}");
    refuse_at(ahead);
    assert_int_equal(call("a.get", NULL, NULL), DX_ERROR_NONE);
    assert_int_equal(toy_server_asked(&server), 2);
    snprintf(expected, sizeof expected, "x-timestamp: %04d-%02d-%02dT%02d:", civil.year, civil.month, civil.day, civil.hour);
    assert_false(toy_server_got(&server, 0, expected));
    assert_true(toy_server_got(&server, 1, expected) || civil.minute + civil.second / 59 >= 59); // or the hour has just ended
    assert_int_equal(call("a.get", NULL, NULL), DX_ERROR_NONE);
    assert_int_equal(toy_server_asked(&server), 3);
}

static void test_a_clock_that_is_out_of_all_reason_is_not_followed(void **state) {
    (void)state;
    open_with("{\"type\":\"hmac\",\"key_id\":\"me\",\"secret\":\"0123456789abcdef\"}");
    refuse_at((dx_micros_utc)784111777 * 1000000);
    assert_int_equal(call("a.get", NULL, NULL), DX_ERROR_STATUS);
    assert_int_equal(toy_server_asked(&server), 1);
}

// --- redirects -----------------------------------------------------------------------------------------------------------------------
#define TO(place) "HTTP/1.1 307 Temporary Redirect\r\nLocation: " place "\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"

// Whether the at-th request is signed for what it asks: by the verifying side.
static bool is_signed(unsigned at, const char *path, const char *query) {
    static const dx_sign_hmac settings = DX_SIGN_HMAC_INIT;
    static const dx_sign_key key = {DX_SLICE_INIT("me"), DX_SLICE_INIT("0123456789abcdef")};
    dx_arena *arena = dx_arena_create(1 << 16);
    dx_fields fields = {0};
    dx_slice rest = dx_slice_str(server.requests[at]);
    (void)dx_slice_cut(&rest, '\n');
    for (dx_slice line; (line = dx_slice_cut(&rest, '\n')).size > 1;) {
        dx_slice value = dx_slice_of(line.data, line.size - 1), name = dx_slice_cut(&value, ':');
        assert_int_equal(dx_fields_add(&fields, arena, name, dx_slice_trim(value)), DX_OK);
    }
    dx_sign_request request = {
        .method = DX_SLICE("GET"), .path = dx_slice_str(path), .query = dx_slice_str(query), .fields = &fields, .body = DX_SLICE("")};
    dx_sign_verify by = {.keys = &key, .key_count = 1, .now = dx_clock_utc()};
    dx_sign_verdict verdict;
    dx_status status = dx_sign_hmac_verify(&verdict, arena, &settings, &request, &by);
    dx_arena_destroy(arena);
    return status == DX_OK;
}

static void test_a_redirect_at_home_is_signed_anew(void **state) {
    (void)state;
    open_with("{\"type\":\"hmac\",\"key_id\":\"me\",\"secret\":\"0123456789abcdef\"}");
    toy_server_answer(&server, TO("/y?a=1"));
    toy_server_answer(&server, TO("/z"));
    assert_int_equal(call("a.get", NULL, NULL), DX_ERROR_NONE);
    assert_int_equal(toy_server_asked(&server), 3);
    assert_true(is_signed(0, "/x", "") && is_signed(1, "/y", "a=1") && is_signed(2, "/z", ""));
    assert_false(is_signed(2, "/x", ""));
    const char *first = strstr(server.requests[2], "x-signature:");
    assert_non_null(first);
    assert_null(strstr(first + 1, "x-signature:"));
}

static void test_a_key_in_the_query_stays_with_a_redirect_at_home_alone(void **state) {
    (void)state;
    toy_server other;
    char away[256];
    toy_server_start(&other);
    open_with("{\"type\":\"api_key\",\"value\":\"k&1\",\"in\":\"query\",\"name\":\"key\"}");
    toy_server_answer(&server, TO("/y"));
    toy_server_answer(&server, TO("/z?b=2"));
    toy_server_answer(&server, TO("/w?key=k%261&b=2")); // it was told where it came from
    snprintf(away, sizeof away, TO("http://127.0.0.1:%u/v"), (unsigned)other.port);
    toy_server_answer(&server, away);
    assert_int_equal(call("a.get", NULL, NULL), DX_ERROR_NONE);
    assert_true(toy_server_got(&server, 0, "GET /x?key=k%261 HTTP") && toy_server_got(&server, 1, "GET /y?key=k%261 HTTP"));
    assert_true(toy_server_got(&server, 2, "GET /z?b=2&key=k%261 HTTP") && toy_server_got(&server, 3, "GET /w?key=k%261&b=2 HTTP"));
    assert_true(toy_server_got(&other, 0, "GET /v HTTP"));
    toy_server_stop(&other);
}

// --- handlers of the program's own ---------------------------------------------------------------------------------------------------
typedef struct keeper {
    pthread_t thread;
    dx_auth_request *request;
    int applied, refusals, destroyed;
    bool cancelled_seen;
} keeper;

static void apply_now(void *context, dx_auth_request *request) {
    keeper *k = context;
    char value[32];
    snprintf(value, sizeof value, "v%d", ++k->applied);
    assert_string_equal(dx_auth_request_method(request), "GET");
    assert_non_null(strstr(dx_auth_request_url(request), "/x"));
    assert_string_equal(dx_auth_request_endpoint(request), "a.v1.get");
    assert_non_null(strstr(dx_auth_request_settings(request), "\"realm\":7"));
    assert_ptr_equal(dx_auth_request_client(request), client);
    assert_false(dx_auth_set_header(request, "X-Bad", "a\r\nb"));
    assert_false(dx_auth_set_header(request, "X Bad", "a"));
    assert_true(dx_auth_set_header(request, "X-Own", value));
    assert_true(dx_auth_set_query(request, "q", "a b"));
    assert_true(dx_auth_set_cookie(request, "c", "d"));
    dx_auth_done(request, NULL);
}

static bool refused_once(void *context, dx_auth_request *request) {
    keeper *k = context;
    assert_int_equal(dx_auth_request_status(request), 401);
    return ++k->refusals == 1;
}

static void on_destroy(void *context) {
    ((keeper *)context)->destroyed++;
}

static void test_a_handler_of_the_programs_own_applies_and_is_asked_after_a_refusal(void **state) {
    (void)state;
    keeper k = {0};
    const dx_auth_handler handler = {sizeof handler, apply_now, refused_once, on_destroy};
    open_with("{\"type\":\"custom\",\"name\":\"mine\",\"realm\":7}");
    assert_int_equal(call("a.get", NULL, NULL), DX_ERROR_AUTH);
    assert_non_null(strstr(error.message, "dx_client_add_auth"));
    assert_int_equal(dx_client_add_auth(client, "mine", &handler, &k, &error), DX_ERROR_NONE);
    assert_int_equal(dx_client_add_auth(client, "mine", &handler, &k, &error), DX_ERROR_ARGUMENT);
    toy_server_answer(&server, REFUSED);
    assert_int_equal(call("a.get", NULL, NULL), DX_ERROR_NONE);
    assert_true(toy_server_got(&server, 0, "GET /x?q=a%20b HTTP") && toy_server_got(&server, 0, "\r\nX-Own: v1\r\n"));
    assert_true(toy_server_got(&server, 1, "\r\nX-Own: v2\r\n") && toy_server_got(&server, 1, "\r\nCookie: c=d\r\n"));
    toy_server_answer(&server, REFUSED);
    assert_int_equal(call("a.get", NULL, NULL), DX_ERROR_STATUS);
    dx_client_close(client);
    client = NULL;
    assert_int_equal(k.destroyed, 1);
}

static void *finish_later(void *context) {
    keeper *k = context;
    while (!dx_auth_request_is_cancelled(k->request)) sched_yield();
    k->cancelled_seen = true;
    (void)dx_auth_set_header(k->request, "X-Late", "1");
    dx_auth_done(k->request, NULL);
    return NULL;
}

static void apply_later(void *context, dx_auth_request *request) {
    keeper *k = context;
    k->request = request;
    assert_int_equal(pthread_create(&k->thread, NULL, finish_later, k), 0);
}

static void test_a_handler_may_be_done_on_another_thread_after_its_call_has_gone(void **state) {
    (void)state;
    keeper k = {0};
    const dx_auth_handler handler = {sizeof handler, apply_later, NULL, NULL};
    dx_call_options options = DX_CALL_OPTIONS_INIT;
    options.timeout_ms = 20;
    open_with("{\"type\":\"custom\",\"name\":\"mine\"}");
    assert_int_equal(dx_client_add_auth(client, "mine", &handler, &k, &error), DX_ERROR_NONE);
    assert_int_equal(call("a.get", NULL, &options), DX_ERROR_TIMEOUT);
    assert_int_equal(error.phase, DX_PHASE_AUTH);
    pthread_join(k.thread, NULL);
    assert_true(k.cancelled_seen);
    assert_int_equal(toy_server_asked(&server), 0);
}

static void over(void *context, dx_call *inner) {
    dx_auth_request *request = context;
    dx_auth_done(request, dx_call_error(inner)->code ? "the inner call failed" : NULL);
    dx_call_release(inner);
}

static void apply_by_calling(void *context, dx_auth_request *request) {
    dx_call *inner;
    (void)context;
    if (dx_call_start(&inner, dx_auth_request_client(request), "a.post", NULL, NULL, over, request, NULL))
        dx_auth_done(request, "not started");
}

static void test_a_handler_may_call_on_the_same_client_and_its_failure_is_told(void **state) {
    (void)state;
    const dx_auth_handler handler = {sizeof handler, apply_by_calling, NULL, NULL};
    char text[1024];
    int size = snprintf(text, sizeof text,
                        "{\"apis\":{\"a\":{\"base_url\":\"http://127.0.0.1:%u\",\"endpoints\":{\"v1\":{"
                        "\"get\":{\"path\":\"/x\",\"auth\":{\"type\":\"custom\",\"name\":\"mine\"}},\"post\":{\"path\":\"/"
                        "login\",\"method\":\"POST\"}}}}}}",
                        (unsigned)server.port);
    assert_int_equal(dx_client_open_text(&client, text, (size_t)size, NULL, &error), DX_ERROR_NONE);
    assert_int_equal(dx_client_add_auth(client, "mine", &handler, NULL, &error), DX_ERROR_NONE);
    assert_int_equal(call("a.get", NULL, NULL), DX_ERROR_NONE);
    assert_true(toy_server_got(&server, 0, "POST /login") && toy_server_got(&server, 1, "GET /x"));
    toy_server_answer(&server, REFUSED);
    assert_int_equal(call("a.get", NULL, NULL), DX_ERROR_AUTH);
    assert_non_null(strstr(error.message, "the inner call failed"));
}

// --- tokens that many wait for -----------------------------------------------------------------------------------------------------------

#define TOKEN                                                                                                                              \
    "HTTP/1.1 200 OK\r\nContent-Length: 60\r\nConnection: close\r\n\r\n"                                                                   \
    "{\"access_token\":\"a\",\"refresh_token\":\"r\",\"expires_in\":\"3600\"}"

static void start_tokens(toy_server *tokens, const char *more) {
    char auth[512];
    toy_server_start(tokens);
    tokens->otherwise = TOKEN;
    snprintf(auth, sizeof auth, "{\"type\":\"oauth2\",\"token_url\":\"http://127.0.0.1:%u/t\",\"client_id\":\"i\"%s}",
             (unsigned)tokens->port, more);
    open_with(auth);
}

static void test_a_call_that_is_cancelled_leaves_and_the_others_get_the_one_token(void **state) {
    (void)state;
    toy_server tokens;
    dx_call *calls[8];
    start_tokens(&tokens, "");
    toy_server_hold(&tokens, true);
    for (int i = 0; i < 8; i++) assert_int_equal(dx_call_start(&calls[i], client, "a.get", NULL, NULL, NULL, NULL, &error), DX_ERROR_NONE);
    toy_server_wait(&tokens, 1);
    dx_call_cancel(calls[0]); // the one that came first and began it
    dx_call_cancel(calls[7]);
    assert_int_equal(dx_call_wait(calls[0], -1), DX_ERROR_NONE);
    assert_int_equal(dx_call_error(calls[0])->code, DX_ERROR_CANCELLED);
    assert_false(dx_call_is_over(calls[1]));
    toy_server_hold(&tokens, false);
    for (int i = 0; i < 8; i++) {
        assert_int_equal(dx_call_wait(calls[i], -1), DX_ERROR_NONE);
        assert_int_equal(dx_call_error(calls[i])->code, i % 7 ? DX_ERROR_NONE : DX_ERROR_CANCELLED);
        dx_call_release(calls[i]);
    }
    assert_int_equal(toy_server_asked(&tokens), 1);
    toy_server_stop(&tokens);
}

typedef struct told {
    pthread_mutex_t lock;
    size_t size;
    char text[16384];
} told;

static void tell(void *ctx, dx_level level, const char *json, size_t size) {
    told *t = ctx;
    (void)level;
    pthread_mutex_lock(&t->lock);
    if (t->size + size < sizeof t->text)
        t->size += (size_t)snprintf(t->text + t->size, sizeof t->text - t->size, "%.*s\n", (int)size, json);
    pthread_mutex_unlock(&t->lock);
}

#define REFUSED_TOKEN                                                                                                                      \
    "HTTP/1.1 401 Unauthorized\r\nContent-Length: 71\r\nConnection: close\r\nContent-Type: application/json\r\n\r\n"                       \
    "{\"error\":\"invalid_client\",\"error_description\":\"no plant-client-secret\"}"
#define PLANTED_TOKEN                                                                                                                      \
    "HTTP/1.1 200 OK\r\nContent-Length: 57\r\nConnection: close\r\n\r\n{\"access_token\":\"plant-access\",\"refresh_token\":\"plant-r\"}"

// The server that refuses, and the API that quotes, say the secrets themselves.
static void test_tokens_are_told_of_in_the_log_and_never_told(void **state) {
    told t = {.lock = PTHREAD_MUTEX_INITIALIZER};
    dx_client_options options = DX_CLIENT_OPTIONS_INIT;
    toy_server tokens;
    char auth[512];
    (void)state;
    toy_server_start(&tokens);
    toy_server_answer(&tokens, REFUSED_TOKEN);
    tokens.otherwise = PLANTED_TOKEN;
    snprintf(auth, sizeof auth,
             "{\"type\":\"oauth2\",\"token_url\":\"http://127.0.0.1:%u/t\",\"client_id\":\"i\",\"client_secret\":\"plant-client-secret\","
             "\"cooldown\":0}",
             (unsigned)tokens.port);
    options.log = tell;
    options.log_context = &t;
    options.log_level = DX_LEVEL_DEBUG;
    open_logging(auth, &options);
    assert_int_equal(call("a.get", NULL, NULL), DX_ERROR_AUTH);
    assert_null(strstr(error.message, "plant"));
    toy_server_answer(&server, "HTTP/1.1 403 Forbidden\r\nX-Was: plant-access\r\nContent-Length: 23\r\nConnection: close\r\n\r\n"
                               "plant-access is no good");
    assert_int_equal(call("a.get", NULL, NULL), DX_ERROR_STATUS);
    assert_null(strstr(error.message, "plant"));
    dx_client_close(client);
    client = NULL;
    assert_true(toy_server_got(&server, 0, "Authorization: Bearer plant-access"));
    assert_non_null(strstr(t.text, "\"event\":\"token_refused\",\"api\":\"a\",\"reason\":\""));
    assert_non_null(strstr(t.text, "\"event\":\"token_fetched\",\"api\":\"a\""));
    assert_null(strstr(t.text, "plant"));
    toy_server_stop(&tokens);
}

static void test_closing_the_client_ends_calls_that_wait_for_a_token(void **state) {
    (void)state;
    toy_server tokens;
    dx_call *waiting;
    start_tokens(&tokens, ",\"token_timeout\":1");
    toy_server_hold(&tokens, true);
    assert_int_equal(dx_call_start(&waiting, client, "a.get", NULL, NULL, NULL, NULL, &error), DX_ERROR_NONE);
    toy_server_wait(&tokens, 1);
    dx_client_close(client);
    client = NULL;
    assert_int_equal(dx_call_error(waiting)->code, DX_ERROR_CLOSED);
    dx_call_release(waiting);
    toy_server_stop(&tokens);
}

// --- memory --------------------------------------------------------------------------------------------------------------------------
static void try_all(const char *auth) {
    for (uint64_t n = 1;; n++) {
        char text[2048];
        int size = snprintf(text, sizeof text, "{\"apis\":{\"a\":{\"base_url\":\"https://example.com\",\"auth\":%s}}}", auth);
        dx_memory_fail_at(n, false);
        dx_error_code code = dx_client_open_text(&client, text, (size_t)size, NULL, &error);
        bool failed = dx_memory_fail_stop();
        dx_client_close(client);
        client = NULL;
        if (!failed) {
            assert_int_equal(code, DX_ERROR_NONE);
            return;
        }
        if (code != DX_ERROR_NONE && code != DX_ERROR_NO_MEMORY) fail_msg("allocation %llu: %s", (unsigned long long)n, error.message);
    }
}

static void test_every_failing_allocation_is_told_as_such(void **state) {
    (void)state;
    try_all("{\"type\":\"bearer\",\"token\":\"t\"}");
    try_all("{\"type\":\"oauth2\",\"token_url\":\"https://example.com/"
            "t\",\"client_id\":\"i\",\"client_secret\":\"s\",\"token_params\":{\"a\":1},"
            "\"store\":{\"type\":\"file\",\"path\":\"/nowhere/x.json\"}}");
    try_all("{\"type\":\"dynamic_token\",\"login\":{\"path\":\"/l\",\"body\":{\"a\":\"{b}\"}},\"params\":{\"b\":\"c\"},"
            "\"store\":{\"type\":\"redis\",\"url\":\"redis://127.0.0.1:1\"}}");
    try_all("{\"type\":\"jwt\",\"key\":{\"algorithm\":\"HS256\",\"secret\":\"0123456789abcdef0123456789abcdef\"},\"claims\":{\"aud\":["
            "\"a\",\"b\"]}}");
    try_all("{\"type\":\"hmac\",\"secret\":\"s\",\"fields\":[\"host\"]}");
    try_all("{\"type\":\"custom\",\"name\":\"n\"}");
}

// Wherever memory is missing while a token is got, stored and used: the call says so or goes on, and the next one works.
static void test_every_failing_allocation_on_the_way_to_a_token_leaves_all_in_order(void **state) {
    (void)state;
    char auth[512];
    toy_server tokens;
    bool failed = true;
    toy_server_start(&tokens);
    tokens.otherwise = TOKEN;
    snprintf(auth, sizeof auth, "{\"type\":\"oauth2\",\"token_url\":\"http://127.0.0.1:%u/t\",\"client_id\":\"i\",\"cooldown\":0}",
             (unsigned)tokens.port);
    for (uint64_t n = 1; failed; n++) {
        open_with(auth);
        dx_memory_fail_at(n, false);
        dx_error_code code = call("a.get", NULL, NULL);
        failed = dx_memory_fail_stop();
        if (!failed) assert_int_equal(code, DX_ERROR_NONE);
        if (call("a.get", NULL, NULL) != DX_ERROR_NONE) fail_msg("after allocation %llu: %s", (unsigned long long)n, error.message);
        dx_client_close(client);
        client = NULL;
    }
    toy_server_stop(&tokens);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(test_plain_credentials_go_where_they_belong),
        CASE(test_a_key_goes_into_a_json_body_beside_what_is_there),
        CASE(test_what_is_wrong_is_found_when_the_definition_is_read),
        CASE(test_requests_are_signed_body_included),
        CASE(test_a_body_that_is_not_in_memory_is_not_signed_but_refused),
        CASE(test_the_clock_of_a_server_that_refuses_a_signature_is_learned),
        CASE(test_a_clock_that_is_out_of_all_reason_is_not_followed),
        CASE(test_a_handler_of_the_programs_own_applies_and_is_asked_after_a_refusal),
        CASE(test_a_handler_may_be_done_on_another_thread_after_its_call_has_gone),
        CASE(test_a_handler_may_call_on_the_same_client_and_its_failure_is_told),
        CASE(test_a_call_that_is_cancelled_leaves_and_the_others_get_the_one_token),
        CASE(test_tokens_are_told_of_in_the_log_and_never_told),
        CASE(test_closing_the_client_ends_calls_that_wait_for_a_token),
        CASE(test_a_redirect_at_home_is_signed_anew),
        CASE(test_a_key_in_the_query_stays_with_a_redirect_at_home_alone),
        CASE(test_every_failing_allocation_is_told_as_such),
        CASE(test_every_failing_allocation_on_the_way_to_a_token_leaves_all_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
