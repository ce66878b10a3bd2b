// Middleware, hooks of models, names in another case, sanitising and filtering: what stands around a call.
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "client/mock_fixture.h"
#include "duplex/manager.h"
#include "duplex/metrics.h"
#include "duplex/middleware.h"

static char order[64]; // what ran
static char sent_url[512], sent_body[512], sent_header[128];
static char answer_body[1024];
static int answer_status;

static void note(char c) {
    size_t size = strlen(order);
    if (size + 1 < sizeof order) {
        order[size] = c;
        order[size + 1] = '\0';
    }
}

static int prepare(void **state) {
    (void)state;
    order[0] = sent_url[0] = sent_body[0] = sent_header[0] = '\0';
    snprintf(answer_body, sizeof answer_body, "{\"id\":1}");
    answer_status = 200;
    return 0;
}

static void serve(mock *m, const mock_request *request) {
    (void)m;
    note('s');
    snprintf(sent_url, sizeof sent_url, "%s", request->url);
    snprintf(sent_body, sizeof sent_body, "%s", request->body);
    snprintf(sent_header, sizeof sent_header, "%s", mock_field(request, "x-note"));
    mock_answer(request, answer_status, "application/json", answer_body);
}

static dx_error_code call(dx_client *client, const char *name, const dx_arg *args, dx_response **response, dx_error *error) {
    dx_response *own;
    dx_error_code code = dx_client_call(response ? response : &own, client, name, args, NULL, error);
    if (!response) dx_response_release(own);
    return code;
}

// --- middleware ------------------------------------------------------------------------------------------------------------------------

static dx_middleware_verdict before(void *ctx, dx_middleware_view *view) {
    (void)view;
    note(*(const char *)ctx);
    return DX_MIDDLEWARE_NEXT;
}

static void after(void *ctx, dx_middleware_view *view) {
    (void)view;
    note((char)(*(const char *)ctx - 32));
}

static void use(dx_client *client, const char *name, dx_middleware_verdict (*in)(void *, dx_middleware_view *),
                void (*out)(void *, dx_middleware_view *), void *ctx) {
    dx_middleware ops = DX_MIDDLEWARE_INIT;
    dx_error error;
    ops.before = in;
    ops.after = out;
    if (dx_client_use(client, name, &ops, ctx, &error)) fail_msg("%s", error.message);
}

static void test_middleware_runs_from_outside_in_and_back(void **state) {
    mock m = {.serve = serve};
    (void)state;
    dx_client *client = mock_open(&m,
                                  "{'apis':{'a':{'base_url':'http://"
                                  "a.test','middleware':['b','a'],'retry':{'attempts':2,'delay':0},'endpoints':{'v1':{'get':{'path':'/x'},"
                                  "'star':{'path':'/x','middleware':['c','*']}}}}}}",
                                  NULL);
    use(client, "a", before, after, "a");
    use(client, "b", before, after, "b");
    use(client, "c", before, after, "c");
    assert_int_equal(call(client, "a.get", NULL, NULL, NULL), DX_ERROR_NONE);
    assert_string_equal(order, "basAB");
    order[0] = '\0';
    assert_int_equal(call(client, "a.star", NULL, NULL, NULL), DX_ERROR_NONE);
    assert_string_equal(order, "cabsBAC");
    order[0] = '\0';
    answer_status = 503; // sent twice, and wrapped once
    assert_int_equal(call(client, "a.get", NULL, NULL, NULL), DX_ERROR_STATUS);
    assert_string_equal(order, "bassAB");
    dx_client_close(client);
}

static void test_a_name_that_was_never_registered_fails_the_call(void **state) {
    mock m = {.serve = serve};
    dx_error error;
    (void)state;
    dx_client *client =
        mock_open(&m, "{'apis':{'a':{'base_url':'http://a.test','middleware':['nobody'],'endpoints':{'v1':{'get':{'path':'/x'}}}}}}", NULL);
    assert_int_equal(call(client, "a.get", NULL, NULL, &error), DX_ERROR_UNKNOWN_NAME);
    assert_non_null(strstr(error.message, "nobody"));
    assert_string_equal(order, "");
    dx_client_close(client);
}

static void test_a_name_is_registered_once(void **state) {
    mock m = {.serve = serve};
    dx_middleware ops = DX_MIDDLEWARE_INIT;
    (void)state;
    dx_client *client = mock_open(&m, "{'apis':{'a':{'base_url':'http://a.test'}}}", NULL);
    assert_int_equal(dx_client_use(client, "x", &ops, NULL, NULL), DX_ERROR_NONE);
    assert_int_equal(dx_client_use(client, "x", &ops, NULL, NULL), DX_ERROR_ARGUMENT);
    assert_int_equal(dx_client_use(client, "*", &ops, NULL, NULL), DX_ERROR_ARGUMENT);
    assert_int_equal(dx_client_use(client, "", &ops, NULL, NULL), DX_ERROR_ARGUMENT);
    for (int i = 1; i < DX_MIDDLEWARE_CAP; i++) {
        char name[16];
        snprintf(name, sizeof name, "m%d", i);
        assert_int_equal(dx_client_use(client, name, &ops, NULL, NULL), DX_ERROR_NONE);
    }
    assert_int_equal(dx_client_use(client, "one-too-many", &ops, NULL, NULL), DX_ERROR_ARGUMENT);
    dx_client_close(client);
}

static dx_middleware_verdict change_request(void *ctx, dx_middleware_view *view) {
    size_t size;
    (void)ctx;
    assert_string_equal(dx_middleware_endpoint(view), "a.v1.put");
    assert_string_equal(dx_middleware_method(view), "PUT");
    assert_string_equal(dx_middleware_path(view), "/base/x");
    assert_string_equal(dx_middleware_query(view), "q=1");
    assert_string_equal(dx_middleware_body(view, &size), "{\"b\":2}");
    assert_int_equal(size, 7);
    assert_null(dx_middleware_header(view, "x-note"));
    assert_true(dx_middleware_set_header(view, "X-Note", "hello"));
    assert_string_equal(dx_middleware_header(view, "x-note"), "hello");
    assert_true(dx_middleware_set_header(view, "X-Gone", NULL));
    assert_false(dx_middleware_set_header(view, "X-Bad", "a\r\nb"));
    assert_false(dx_middleware_set_header(view, "X Bad", "a"));
    assert_true(dx_middleware_set_query(view, "q=2&r=3"));
    assert_false(dx_middleware_set_query(view, "a b"));
    assert_true(dx_middleware_set_body(view, "{\"b\":3}", 7));
    return DX_MIDDLEWARE_NEXT;
}

static void change_answer(void *ctx, dx_middleware_view *view) {
    size_t size;
    (void)ctx;
    assert_int_equal(dx_middleware_status(view), 200);
    assert_int_equal(dx_middleware_error(view), DX_ERROR_NONE);
    assert_string_equal(dx_middleware_response_body(view, &size), "{\"id\":1}");
    assert_string_equal(dx_middleware_response_header(view, "content-type"), "application/json");
    assert_true(dx_middleware_set_response_header(view, "X-Seen", "yes"));
    assert_true(dx_middleware_set_response_body(view, "{\"id\":2}", 8));
}

static void test_request_and_answer_can_be_changed(void **state) {
    mock m = {.serve = serve};
    dx_response *response;
    (void)state;
    dx_client *client = mock_open(&m,
                                  "{'apis':{'a':{'base_url':'http://a.test/base','middleware':['m'],'default_headers':{'X-Gone':'1'},"
                                  "'auth':{'type':'bearer','token':'abcdef'},'endpoints':{'v1':{'put':{'path':'/x','method':'PUT',"
                                  "'params':{'q':{'in':'query'},'b':{}}}}}}}}",
                                  NULL);
    use(client, "m", change_request, change_answer, NULL);
    assert_int_equal(call(client, "a.put", DX_ARGS(DX_INT("q", 1), DX_INT("b", 2)), &response, NULL), DX_ERROR_NONE);
    assert_string_equal(sent_url, "http://a.test/base/x?q=2&r=3");
    assert_string_equal(sent_body, "{\"b\":3}");
    assert_string_equal(sent_header, "hello");
    assert_int_equal(dx_response_i64(response, "/id", 0), 2);
    assert_string_equal(dx_response_header(response, "x-seen", 0), "yes");
    dx_response_release(response);
    dx_client_close(client);
}

static dx_middleware_verdict answer_itself(void *ctx, dx_middleware_view *view) {
    (void)ctx;
    assert_true(dx_middleware_answer(view, 203, "application/json", "{\"id\":9}", 8));
    return DX_MIDDLEWARE_ANSWER;
}

static dx_middleware_verdict fail_it(void *ctx, dx_middleware_view *view) {
    (void)ctx;
    dx_middleware_fail(view, DX_ERROR_BLOCKED, "the tenant is locked");
    return DX_MIDDLEWARE_ANSWER;
}

#define ONE_IN_ANOTHER "{'apis':{'a':{'base_url':'http://a.test','middleware':['out','in'],'endpoints':{'v1':{'get':{'path':'/x'}}}}}}"

static void test_middleware_may_answer_itself(void **state) {
    mock m = {.serve = serve};
    dx_response *response;
    (void)state;
    dx_client *client = mock_open(&m, ONE_IN_ANOTHER, NULL);
    use(client, "out", before, after, "o");
    use(client, "in", answer_itself, after, "i");
    assert_int_equal(call(client, "a.get", NULL, &response, NULL), DX_ERROR_NONE);
    assert_int_equal(dx_response_status(response), 203);
    assert_int_equal(dx_response_i64(response, "/id", 0), 9);
    assert_int_equal(dx_response_attempts(response), 0);
    assert_string_equal(order, "oO"); // who answers is not asked after
    dx_response_release(response);
    dx_client_close(client);
}

static void test_middleware_may_fail_a_call(void **state) {
    mock m = {.serve = serve};
    dx_error error;
    (void)state;
    dx_client *client = mock_open(&m, ONE_IN_ANOTHER, NULL);
    use(client, "out", before, after, "o");
    use(client, "in", fail_it, NULL, NULL);
    assert_int_equal(call(client, "a.get", NULL, NULL, &error), DX_ERROR_BLOCKED);
    assert_non_null(strstr(error.message, "the tenant is locked"));
    assert_string_equal(order, "oO");
    dx_client_close(client);
}

static pthread_t other;

static void *resume_next(void *view) {
    dx_middleware_resume(view, DX_MIDDLEWARE_NEXT);
    return NULL;
}

static dx_middleware_verdict wait_for_a_thread(void *ctx, dx_middleware_view *view) {
    note(*(const char *)ctx);
    assert_int_equal(pthread_create(&other, NULL, resume_next, view), 0);
    return DX_MIDDLEWARE_WAIT;
}

static dx_middleware_verdict resume_at_once(void *ctx, dx_middleware_view *view) {
    note(*(const char *)ctx);
    (void)dx_middleware_answer(view, 204, NULL, NULL, 0);
    dx_middleware_resume(view, DX_MIDDLEWARE_ANSWER);
    return DX_MIDDLEWARE_WAIT;
}

static void test_middleware_may_wait(void **state) {
    mock m = {.serve = serve};
    dx_response *response;
    (void)state;
    dx_client *client = mock_open(&m, ONE_IN_ANOTHER, NULL);
    use(client, "out", wait_for_a_thread, after, "o");
    use(client, "in", before, after, "i");
    assert_int_equal(call(client, "a.get", NULL, NULL, NULL), DX_ERROR_NONE);
    pthread_join(other, NULL);
    assert_string_equal(order, "oisIO");
    dx_client_close(client);
    order[0] = '\0';
    client = mock_open(&m, ONE_IN_ANOTHER, NULL);
    use(client, "out", before, after, "o");
    use(client, "in", resume_at_once, after, "i");
    assert_int_equal(call(client, "a.get", NULL, &response, NULL), DX_ERROR_NONE);
    assert_int_equal(dx_response_status(response), 204);
    dx_response_release(response);
    assert_string_equal(order, "oiO");
    dx_client_close(client);
}

static _Atomic(dx_middleware_view *) kept;

static dx_middleware_verdict keep_waiting(void *ctx, dx_middleware_view *view) {
    (void)ctx;
    atomic_store(&kept, view);
    return DX_MIDDLEWARE_WAIT;
}

static void test_a_call_that_waits_in_middleware_can_be_cancelled(void **state) {
    mock m = {.serve = serve};
    dx_call *started;
    (void)state;
    dx_client *client = mock_open(&m, ONE_IN_ANOTHER, NULL);
    use(client, "out", before, after, "o");
    use(client, "in", keep_waiting, after, "i");
    assert_int_equal(dx_call_start(&started, client, "a.get", NULL, NULL, NULL, NULL, NULL), DX_ERROR_NONE);
    while (!atomic_load(&kept)) sched_yield();
    dx_call_cancel(started);
    assert_int_equal(dx_call_wait(started, -1), DX_ERROR_NONE);
    assert_int_equal(dx_call_error(started)->code, DX_ERROR_CANCELLED);
    assert_string_equal(order, "oO");
    dx_call_release(started);
    dx_middleware_resume(atomic_load(&kept), DX_MIDDLEWARE_NEXT); // late, and only lets go
    assert_string_equal(order, "oO");
    dx_client_close(client);
}

static dx_middleware_verdict cancel_and_resume(void *ctx, dx_middleware_view *view) {
    (void)ctx;
    dx_call_cancel(view->call);
    dx_middleware_resume(view, DX_MIDDLEWARE_NEXT); // it will run behind the end of the call
    return DX_MIDDLEWARE_WAIT;
}

static void test_a_resume_that_comes_behind_the_end_does_nothing(void **state) {
    mock m = {.serve = serve};
    dx_call *started;
    (void)state;
    dx_client *client = mock_open(&m, ONE_IN_ANOTHER, NULL);
    use(client, "out", cancel_and_resume, after, "o");
    use(client, "in", before, after, "i");
    assert_int_equal(dx_call_start(&started, client, "a.get", NULL, NULL, NULL, NULL, NULL), DX_ERROR_NONE);
    assert_int_equal(dx_call_wait(started, -1), DX_ERROR_NONE);
    assert_int_equal(dx_call_error(started)->code, DX_ERROR_CANCELLED);
    dx_call_release(started);
    dx_client_close(client);
    assert_string_equal(order, "");
}

// --- hooks of models -------------------------------------------------------------------------------------------------------------------

#define MODELS                                                                                                                             \
    "'models':{'User':{'type':'object','required':['id'],'properties':{'id':{'type':'integer'},'kind':{'enum':['a','b']}},"                \
    "'additionalProperties':false}}"
#define WITH_MODELS                                                                                                                        \
    "{" MODELS ",'apis':{'a':{'base_url':'http://a.test','endpoints':{'v1':{'get':{'path':'/x','response_model':'User'},"                  \
    "'list':{'path':'/x','response_model':'User[]'},'strict':{'path':'/x','response_model':'User','validate':{'strict':true}},"            \
    "'put':{'path':'/x','method':'PUT','request_model':'User','params':{'id':{},'kind':{}}}}}}}}"

static void test_an_answer_may_be_newer_than_its_model(void **state) {
    mock m = {.serve = serve};
    dx_metrics out = DX_METRICS_INIT;
    dx_error error;
    (void)state;
    dx_client *client = mock_open(&m, WITH_MODELS, NULL);
    snprintf(answer_body, sizeof answer_body, "{\"id\":1,\"kind\":\"c\",\"more\":2}");
    assert_int_equal(call(client, "a.get", NULL, NULL, &error), DX_ERROR_NONE);
    assert_int_equal(call(client, "a.strict", NULL, NULL, &error), DX_ERROR_INVALID);
    assert_int_equal(dx_metrics_get(client, "a", "get", &out, NULL), DX_ERROR_NONE);
    assert_int_equal(out.unknown_values, 1);
    assert_int_equal(out.unknown_fields, 1);
    snprintf(answer_body, sizeof answer_body, "{\"id\":\"one\"}");
    assert_int_equal(call(client, "a.get", NULL, NULL, &error), DX_ERROR_INVALID);
    assert_string_equal(error.pointer, "/id");
    snprintf(answer_body, sizeof answer_body, "[{\"id\":1},{}]");
    assert_int_equal(call(client, "a.list", NULL, NULL, &error), DX_ERROR_INVALID);
    assert_memory_equal(error.pointer, "/1", 2);
    snprintf(answer_body, sizeof answer_body, "{\"id\":1");
    assert_int_equal(call(client, "a.get", NULL, NULL, &error), DX_ERROR_MALFORMED);
    assert_int_equal(call(client, "a.put", DX_ARGS(DX_INT("id", 1), DX_STR("kind", "c")), NULL, &error), DX_ERROR_INVALID);
    dx_client_close(client);
}

static bool set_id(void *ctx, dx_model_text *text) {
    size_t size;
    assert_string_equal(dx_model_text_get(text, &size), (const char *)ctx);
    return dx_model_text_set(text, "{\"id\":7}", 8);
}

static bool refuse_seven(void *ctx, const dx_model_text *text) {
    (void)ctx;
    if (!strstr(dx_model_text_get(text, NULL), "7")) return true;
    dx_model_text_refuse((dx_model_text *)(uintptr_t)text, "seven is taken");
    return false;
}

static void test_hooks_of_a_model_change_and_refuse(void **state) {
    mock m = {.serve = serve};
    dx_error error;
    dx_response *response;
    dx_model_ops ops = DX_MODEL_OPS_INIT;
    (void)state;
    dx_client *client = mock_open(&m, WITH_MODELS, NULL);
    assert_int_equal(dx_client_on_model(client, "Usr", &ops, NULL, &error), DX_ERROR_UNKNOWN_NAME);
    ops.after_response = set_id;
    assert_int_equal(dx_client_on_model(client, "User", &ops, "{\"id\":1}", &error), DX_ERROR_NONE);
    assert_int_equal(call(client, "a.get", NULL, &response, NULL), DX_ERROR_NONE);
    assert_int_equal(dx_response_i64(response, "/id", 0), 7);
    dx_response_release(response);
    ops.after_response = NULL;
    ops.before_request = set_id;
    assert_int_equal(dx_client_on_model(client, "User", &ops, "{\"id\":\"x\"}", &error), DX_ERROR_NONE);
    assert_int_equal(call(client, "a.put", DX_ARGS(DX_STR("id", "x")), NULL, NULL), DX_ERROR_NONE);
    assert_string_equal(sent_body, "{\"id\":7}"); // changed before it was validated
    ops.before_request = NULL;
    ops.validate = refuse_seven;
    assert_int_equal(dx_client_on_model(client, "User", &ops, NULL, &error), DX_ERROR_NONE);
    assert_int_equal(call(client, "a.get", NULL, NULL, &error), DX_ERROR_INVALID);
    assert_non_null(strstr(error.message, "seven is taken"));
    dx_client_close(client);
}

struct user {
    int64_t id;
    char *first_name;
};
DX_MODEL(user_model, struct user, DX_CASE_SNAKE, DX_MEMBER(INT64, id, DX_REQUIRED), DX_MEMBER(STRING, first_name, DX_PLAIN))

static void test_an_answer_is_bound_to_a_struct(void **state) {
    mock m = {.serve = serve};
    dx_response *response;
    struct user user;
    dx_error error;
    (void)state;
    dx_client *client =
        mock_open(&m, "{'apis':{'a':{'base_url':'http://a.test','case':'camel','endpoints':{'v1':{'get':{'path':'/x'}}}}}}", NULL);
    snprintf(answer_body, sizeof answer_body, "{\"theUser\":{\"id\":12345678901234567890123,\"firstName\":\"Ada\",\"big\":1.10}}");
    assert_int_equal(call(client, "a.get", NULL, &response, NULL), DX_ERROR_NONE);
    assert_non_null(strstr(dx_response_body(response, NULL), "12345678901234567890123")); // names change, numbers do not
    assert_non_null(strstr(dx_response_body(response, NULL), "1.10"));
    assert_int_equal(dx_response_model(response, user_model(), &user, "/the_user", &error), DX_ERROR_INVALID);
    assert_int_equal(dx_response_model(response, user_model(), &user, "/nothing", &error), DX_ERROR_MALFORMED);
    dx_response_release(response);
    snprintf(answer_body, sizeof answer_body, "{\"theUser\":{\"id\":5,\"firstName\":\"Ada\"}}");
    assert_int_equal(call(client, "a.get", NULL, &response, NULL), DX_ERROR_NONE);
    assert_int_equal(dx_response_model(response, user_model(), &user, "/the_user", &error), DX_ERROR_NONE);
    assert_string_equal(user.first_name, "Ada");
    dx_model_clear(user_model(), &user);
    dx_response_release(response);
    dx_client_close(client);
}

static void test_names_of_a_request_are_those_of_the_api(void **state) {
    mock m = {.serve = serve};
    (void)state;
    dx_client *client =
        mock_open(&m,
                  "{'apis':{'a':{'base_url':'http://a.test','case':'camel','endpoints':{'v1':{'put':{'path':'/x','method':'PUT',"
                  "'params':{'first_name':{},'more':{}}}}}}}}",
                  NULL);
    assert_int_equal(call(client, "a.put", DX_ARGS(DX_STR("first_name", "Ada"), DX_JSON("more", "{\"the_big\":1.5}")), NULL, NULL),
                     DX_ERROR_NONE);
    assert_string_equal(sent_body, "{\"firstName\":\"Ada\",\"more\":{\"theBig\":1.5}}");
    dx_client_close(client);
}

// --- sanitising and filtering ----------------------------------------------------------------------------------------------------------

static void test_texts_are_cleaned_before_they_are_sent(void **state) {
    mock m = {.serve = serve};
    dx_error error;
    dx_response *response;
    dx_call_options options = DX_CALL_OPTIONS_INIT;
    (void)state;
    dx_client *client = mock_open(
        &m,
        "{'apis':{'a':{'base_url':'http://a.test','sanitize':{'trim':true,'max_length':20,'sql':'reject','except':['password']},"
        "'endpoints':{'v1':{'put':{'path':'/x/{id}','method':'PUT','params':{'id':{},'q':{'in':'query'},'tree':{},'password':{}}}}}}}}",
        NULL);
    assert_int_equal(call(client, "a.put",
                          DX_ARGS(DX_STR("id", " 7 "), DX_STR("q", "  x"),
                                  DX_JSON("tree", "{\"t\":\" y \",\"password\":\" z \",\"n\":1.5}"), DX_STR("password", " w ")),
                          NULL, &error),
                     DX_ERROR_NONE);
    assert_string_equal(sent_url, "http://a.test/x/7?q=x");
    assert_string_equal(sent_body, "{\"tree\":{\"t\":\"y\",\"password\":\" z \",\"n\":1.5},\"password\":\" w \"}");
    assert_int_equal(call(client, "a.put", DX_ARGS(DX_STR("id", "a text of more than twenty characters")), NULL, &error), DX_ERROR_INVALID);
    assert_non_null(strstr(error.message, "/id"));
    assert_int_equal(call(client, "a.put", DX_ARGS(DX_STR("id", "1"), DX_JSON("tree", "[\"' OR 1=1 --\"]")), NULL, &error),
                     DX_ERROR_INVALID);
    assert_non_null(strstr(error.message, "/tree/0"));
    options.body = "{\"deep\":[\" k \"]}";
    options.body_size = strlen(options.body);
    assert_int_equal(dx_client_call(&response, client, "a.put", DX_ARGS(DX_STR("id", "1")), &options, NULL), DX_ERROR_NONE);
    dx_response_release(response);
    assert_string_equal(sent_body, "{\"deep\":[\"k\"]}");
    dx_client_close(client);
}

static void test_an_answer_is_filtered_behind_its_validation(void **state) {
    mock m = {.serve = serve};
    dx_response *response;
    dx_error error;
    (void)state;
    dx_client *client = mock_open(
        &m,
        "{'models':{'R':{'type':'object','required':['email']}},'apis':{'a':{'base_url':'http://a.test','filter_output':["
        "{'pattern':'email','mask':'***'},{'pattern':'/inner/secret'}],'endpoints':{'v1':{'get':{'path':'/x','response_model':'R'},"
        "'raw':{'path':'/x','filter_output':null}}}}}}",
        NULL);
    snprintf(answer_body, sizeof answer_body, "{\"email\":\"a@b.test\",\"inner\":{\"secret\":1,\"n\":1.10}}");
    assert_int_equal(call(client, "a.get", NULL, &response, &error), DX_ERROR_NONE);
    assert_string_equal(dx_response_body(response, NULL), "{\"email\":\"***\",\"inner\":{\"n\":1.10}}");
    dx_response_release(response);
    answer_status = 400;
    assert_int_equal(call(client, "a.get", NULL, NULL, &error), DX_ERROR_STATUS);
    assert_null(strstr(error.message, "a@b.test")); // nor does the error tell it
    answer_status = 200;
    assert_int_equal(call(client, "a.raw", NULL, &response, &error), DX_ERROR_NONE);
    assert_non_null(strstr(dx_response_body(response, NULL), "a@b.test"));
    dx_response_release(response);
    snprintf(answer_body, sizeof answer_body, "{\"email\":\"a@b.test\"");
    assert_int_equal(call(client, "a.get", NULL, &response, &error), DX_ERROR_MALFORMED);
    assert_string_equal(dx_response_body(response, NULL), ""); // what can't be filtered is not shown
    dx_response_release(response);
    dx_client_close(client);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_middleware_runs_from_outside_in_and_back, prepare),
        cmocka_unit_test_setup(test_a_name_that_was_never_registered_fails_the_call, prepare),
        cmocka_unit_test_setup(test_a_name_is_registered_once, prepare),
        cmocka_unit_test_setup(test_request_and_answer_can_be_changed, prepare),
        cmocka_unit_test_setup(test_middleware_may_answer_itself, prepare),
        cmocka_unit_test_setup(test_middleware_may_fail_a_call, prepare),
        cmocka_unit_test_setup(test_middleware_may_wait, prepare),
        cmocka_unit_test_setup(test_a_call_that_waits_in_middleware_can_be_cancelled, prepare),
        cmocka_unit_test_setup(test_a_resume_that_comes_behind_the_end_does_nothing, prepare),
        cmocka_unit_test_setup(test_an_answer_may_be_newer_than_its_model, prepare),
        cmocka_unit_test_setup(test_hooks_of_a_model_change_and_refuse, prepare),
        cmocka_unit_test_setup(test_an_answer_is_bound_to_a_struct, prepare),
        cmocka_unit_test_setup(test_names_of_a_request_are_those_of_the_api, prepare),
        cmocka_unit_test_setup(test_texts_are_cleaned_before_they_are_sent, prepare),
        cmocka_unit_test_setup(test_an_answer_is_filtered_behind_its_validation, prepare),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
