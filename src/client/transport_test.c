// Transports without a network: the mock and programs' own, recordings that hold no secret, faults.
#include <dirent.h>
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
#include "client/transport.h"

#define ONCE "\"retry\": {\"attempts\": 1}"
static const char plain[] = "{\"a\": {\"base_url\": \"http://api.test/v1\", " ONCE "}}";

// --- the mock --------------------------------------------------------------------------------------------------------------------------

static void a_mock_answers_by_its_first_rule_that_fits_and_is_not_used_up(void **state) {
    (void)state;
    dx_transport *mock = dx_transport_mock_create();
    mock_rule(mock, "/v1/users/*", 200, "first", 1);
    mock_rule(mock, "/v1/users/*", 404, "then", 0);
    mock_rule(mock, "/v1/list?page=2", 200, "two", 0);
    mock_rule(mock, "http://api.test/v1/list*", 200, "any", 0);
    dx_client *client = open_over(plain, mock);
    char text[64];
    dx_error error;
    assert_int_equal(get(client, "/users/7", text, sizeof text, &error), DX_ERROR_NONE);
    assert_string_equal(text, "first");
    assert_int_equal(get(client, "/users/7", text, sizeof text, &error), DX_ERROR_STATUS);
    assert_string_equal(text, "then");
    assert_int_equal(error.http_status, 404);
    assert_int_equal(get(client, "/list?page=2", text, sizeof text, &error), DX_ERROR_NONE);
    assert_string_equal(text, "two");
    assert_int_equal(get(client, "/list?page=3", text, sizeof text, &error), DX_ERROR_NONE);
    assert_string_equal(text, "any");
    assert_int_equal(get(client, "/other", text, sizeof text, &error), DX_ERROR_RECORDING);
    dx_client_close(client);
    dx_transport_destroy(mock);
}

static void a_mock_remembers_what_it_was_asked(void **state) {
    (void)state;
    dx_transport *mock = dx_transport_mock_create();
    mock_rule(mock, NULL, 201, "{}", 0);
    dx_client *client = open_over(plain, mock);
    dx_response *response;
    dx_header headers[] = {{"X-Mine", "1"}, {NULL, NULL}};
    dx_call_options options = DX_CALL_OPTIONS_INIT;
    options.headers = headers;
    assert_int_equal(dx_client_post(&response, client, "a", "/things", DX_ARGS(DX_INT("n", 7)), &options, NULL), DX_ERROR_NONE);
    assert_int_equal(dx_response_status(response), 201);
    dx_response_release(response);
    assert_int_equal(dx_mock_count(mock), 1);
    const dx_sent *sent = dx_mock_asked(mock, 0);
    assert_string_equal(sent->method, "POST");
    assert_string_equal(sent->url, "http://api.test/v1/things");
    assert_string_equal(sent->body, "{\"n\":7}");
    assert_int_equal(sent->body_size, 7);
    assert_string_equal(sent->endpoint, "a.request");
    assert_string_equal(sent_header(sent, "x-mine"), "1");
    assert_string_equal(sent_header(sent, "content-type"), "application/json");
    assert_null(dx_mock_asked(mock, 1));
    dx_mock_forget(mock);
    assert_int_equal(dx_mock_count(mock), 0);
    assert_int_equal(get(client, "/x", NULL, 0, NULL), DX_ERROR_NONE);
    assert_int_equal(dx_mock_count(mock), 1);
    dx_client_close(client);
    dx_transport_destroy(mock);
}

static void echo(void *context, const dx_sent *request, dx_reply *reply) {
    (void)context;
    dx_reply_status(reply, 203);
    dx_reply_header(reply, "X-Method", request->method);
    dx_reply_header(reply, "X-Empty", "");
    dx_reply_body(reply, request->url, strlen(request->url));
}

static void a_function_answers_where_no_rule_of_a_mock_does(void **state) {
    (void)state;
    dx_transport *mock = dx_transport_mock_create();
    dx_mock_answer(mock, echo, NULL);
    dx_client *client = open_over(plain, mock);
    dx_response *response;
    assert_int_equal(dx_client_delete(&response, client, "a", "/x", NULL, NULL, NULL), DX_ERROR_NONE);
    assert_int_equal(dx_response_status(response), 203);
    assert_string_equal(dx_response_header(response, "x-method", 0), "DELETE");
    assert_string_equal(dx_response_header(response, "x-empty", 0), "");
    assert_string_equal(dx_response_body(response, NULL), "http://api.test/v1/x");
    dx_response_release(response);
    dx_client_close(client);
    dx_transport_destroy(mock);
}

static void a_mock_fails_as_it_is_told_and_the_retry_filter_takes_it_for_real(void **state) {
    (void)state;
    dx_transport *mock = dx_transport_mock_create();
    dx_mock_rule rule = DX_MOCK_RULE_INIT;
    rule.failure = DX_ERROR_RESET;
    rule.times = 2;
    assert_int_equal(dx_mock_rule_add(mock, &rule), DX_ERROR_NONE);
    mock_rule(mock, NULL, 200, "third", 0);
    dx_client *client = open_over("{\"a\": {\"base_url\": \"http://api.test\", \"retry\": {\"delay\": 0}}}", mock);
    char text[16];
    assert_int_equal(get(client, "/", text, sizeof text, NULL), DX_ERROR_NONE);
    assert_string_equal(text, "third");
    assert_int_equal(dx_mock_count(mock), 3);
    dx_response *response;
    dx_error error;
    rule.times = 0;
    dx_client_close(client);
    dx_transport_destroy(mock);
    mock = dx_transport_mock_create();
    assert_int_equal(dx_mock_rule_add(mock, &rule), DX_ERROR_NONE);
    client = open_over("{\"a\": {\"base_url\": \"http://api.test\", \"retry\": {\"delay\": 0}}}", mock);
    assert_int_equal(dx_client_post(&response, client, "a", "/", NULL, NULL, &error), DX_ERROR_RESET); // not to be sent twice
    assert_null(response);
    assert_int_equal(error.attempts, 1);
    assert_false(error.retryable);
    dx_client_close(client);
    dx_transport_destroy(mock);
}

static void an_answer_over_max_body_is_refused(void **state) {
    (void)state;
    dx_transport *mock = dx_transport_mock_create();
    char *large = calloc(1, 2049);
    memset(large, 'x', 2048);
    mock_rule(mock, "/large", 200, large, 0);
    large[1024] = '\0';
    mock_rule(mock, NULL, 200, large, 0);
    dx_client *client = open_over("{\"a\": {\"base_url\": \"http://api.test\", \"max_body\": \"1KiB\"}}", mock);
    dx_error error;
    assert_int_equal(get(client, "/fits", NULL, 0, &error), DX_ERROR_NONE);
    assert_int_equal(get(client, "/large", NULL, 0, &error), DX_ERROR_TOO_LARGE);
    dx_client_close(client);
    dx_transport_destroy(mock);
    free(large);
}

// --- streams ---------------------------------------------------------------------------------------------------------------------------

typedef struct taken {
    char text[256];
    size_t size;
    int heads, pieces, pause_at, status;
} taken;

static void take_head(void *context, dx_call *call) {
    taken *t = context;
    assert_int_equal(t->pieces, 0);
    t->heads++;
    t->status = dx_response_status(dx_call_response(call));
}

static bool take_piece(void *context, dx_call *call, const char *data, size_t size) {
    taken *t = context;
    assert_int_equal(t->heads, 1);
    memcpy(t->text + t->size, data, size);
    t->size += size;
    if (++t->pieces != t->pause_at) return true;
    dx_call_resume(call); // from inside: it goes on at once
    return false;
}

static dx_error_code stream(dx_client *client, const char *path, taken *t, dx_error *error) {
    dx_sink sink = {take_head, take_piece, t};
    dx_call_options options = DX_CALL_OPTIONS_INIT;
    dx_response *response;
    options.sink = &sink;
    dx_error_code code = dx_client_get(&response, client, "a", path, NULL, &options, error);
    dx_response_release(response);
    return code;
}

static void a_stream_has_its_head_first_and_its_pieces_in_order(void **state) {
    (void)state;
    dx_transport *mock = dx_transport_mock_create(), *fault = dx_transport_fault_create(mock, 1);
    dx_fault_rule slow = DX_FAULT_RULE_INIT;
    slow.kind = DX_FAULT_SLOW;
    slow.bytes = 3;
    slow.delay_ms = 1;
    assert_int_equal(dx_fault_rule_add(fault, &slow), DX_ERROR_NONE);
    mock_rule(mock, "/v1/empty", 204, NULL, 0);
    mock_rule(mock, NULL, 200, "0123456789", 0);
    dx_client *client = open_over(plain, fault);
    taken t = {.pause_at = 2};
    assert_int_equal(stream(client, "/x", &t, NULL), DX_ERROR_NONE);
    assert_memory_equal(t.text, "0123456789", 10);
    assert_int_equal(t.pieces, 4);
    taken none = {0};
    assert_int_equal(stream(client, "/empty", &none, NULL), DX_ERROR_NONE);
    assert_int_equal(none.heads, 1);
    assert_int_equal(none.status, 204);
    assert_int_equal(none.pieces, 0);
    dx_client_close(client);
    dx_transport_destroy(fault);
    dx_transport_destroy(mock);
}

// --- a program's own -------------------------------------------------------------------------------------------------------------------

typedef struct own {
    pthread_mutex_t lock;
    dx_reply *held; // not answered yet
    int cancelled, destroyed;
    pthread_t threads[64];
    int thread_count;
} own;

static void *answer_late(void *ctx) {
    dx_reply *reply = ctx;
    dx_reply_body(reply, "late", 4);
    dx_reply_finish(reply);
    return NULL;
}

static void own_send(void *context, const dx_sent *request, dx_reply *reply) {
    own *o = context;
    pthread_mutex_lock(&o->lock);
    if (strstr(request->url, "/never"))
        o->held = reply;
    else if (pthread_create(&o->threads[o->thread_count], NULL, answer_late, reply) == 0)
        o->thread_count++;
    pthread_mutex_unlock(&o->lock);
}

static void own_cancel(void *context, dx_reply *reply) {
    own *o = context;
    pthread_mutex_lock(&o->lock);
    assert_ptr_equal(reply, o->held);
    o->cancelled++;
    pthread_mutex_unlock(&o->lock);
}

static void own_destroy(void *context) {
    ((own *)context)->destroyed++;
}

static void a_transport_of_a_program_answers_from_a_thread_of_its_own(void **state) {
    (void)state;
    own o = {.lock = PTHREAD_MUTEX_INITIALIZER};
    dx_transport_custom custom = DX_TRANSPORT_CUSTOM_INIT;
    custom.context = &o;
    custom.send = own_send;
    custom.cancel = own_cancel;
    custom.destroy = own_destroy;
    dx_transport *transport = dx_transport_custom_create(&custom);
    dx_client *client = open_over(plain, transport);
    char text[16];
    for (int i = 0; i < 20; i++) {
        assert_int_equal(get(client, "/x", text, sizeof text, NULL), DX_ERROR_NONE);
        assert_string_equal(text, "late");
    }
    dx_call *call;
    assert_int_equal(dx_call_start_request(&call, client, "a", "GET", "/never", NULL, NULL, NULL, NULL, NULL), DX_ERROR_NONE);
    dx_call_options options = DX_CALL_OPTIONS_INIT;
    options.timeout_ms = 20;
    dx_response *response;
    dx_error error;
    assert_int_equal(dx_client_get(&response, client, "a", "/x?slow", NULL, NULL, NULL), DX_ERROR_NONE);
    dx_response_release(response);
    dx_call_cancel(call);
    assert_int_equal(dx_call_wait(call, -1), DX_ERROR_NONE);
    assert_int_equal(dx_call_error(call)->code, DX_ERROR_CANCELLED);
    dx_call_release(call);
    if (o.held) dx_reply_finish(o.held); // long after nobody waits
    o.held = NULL;
    o.cancelled = 0;
    assert_int_equal(dx_client_get(&response, client, "a", "/never", NULL, &options, &error), DX_ERROR_TIMEOUT);
    assert_int_equal(error.phase, DX_PHASE_WAIT);
    assert_int_equal(o.cancelled, 1);
    dx_client_close(client);
    dx_transport_destroy(transport);
    assert_int_equal(o.destroyed, 1);
    dx_reply_fail(o.held, DX_ERROR_RESET, "after everybody has gone");
    for (int i = 0; i < o.thread_count; i++) (void)pthread_join(o.threads[i], NULL);
}

// --- faults ----------------------------------------------------------------------------------------------------------------------------

static void faults_happen_as_their_rules_say(void **state) {
    (void)state;
    dx_transport *mock = dx_transport_mock_create(), *fault = dx_transport_fault_create(mock, 1);
    mock_rule(mock, NULL, 200, "0123456789", 0);
    dx_fault_rule rules[] = {DX_FAULT_RULE_INIT, DX_FAULT_RULE_INIT, DX_FAULT_RULE_INIT, DX_FAULT_RULE_INIT, DX_FAULT_RULE_INIT};
    rules[0].pattern = "*/busy";
    rules[0].kind = DX_FAULT_STATUS;
    rules[0].status = 429;
    rules[0].retry_after_s = 7;
    rules[1].pattern = "*/reset";
    rules[2].pattern = "*/lost";
    rules[2].kind = DX_FAULT_LOST;
    rules[3].pattern = "*/cut";
    rules[3].kind = DX_FAULT_TRUNCATE;
    rules[3].bytes = 4;
    rules[4].pattern = "*/late";
    rules[4].kind = DX_FAULT_LATENCY;
    rules[4].delay_ms = 2;
    for (size_t i = 0; i < DX_COUNT_OF(rules); i++) assert_int_equal(dx_fault_rule_add(fault, &rules[i]), DX_ERROR_NONE);
    dx_client *client = open_over(plain, fault);
    dx_error error;
    assert_int_equal(get(client, "/busy", NULL, 0, &error), DX_ERROR_STATUS);
    assert_int_equal(error.http_status, 429);
    assert_int_equal(error.retry_after_ms, 7000);
    assert_int_equal(get(client, "/reset", NULL, 0, &error), DX_ERROR_RESET);
    assert_int_equal(dx_mock_count(mock), 0);
    assert_int_equal(get(client, "/lost", NULL, 0, &error), DX_ERROR_RESET);
    assert_int_equal(error.phase, DX_PHASE_WAIT);
    assert_int_equal(dx_mock_count(mock), 1);
    taken t = {0};
    assert_int_equal(stream(client, "/cut", &t, &error), DX_ERROR_RESET);
    assert_int_equal(error.phase, DX_PHASE_TRANSFER);
    assert_int_equal(t.size, 4);
    assert_int_equal(get(client, "/cut", NULL, 0, &error), DX_ERROR_RESET);
    assert_int_equal(get(client, "/late", NULL, 0, &error), DX_ERROR_NONE);
    assert_int_equal(get(client, "/well", NULL, 0, &error), DX_ERROR_NONE);
    assert_int_equal(dx_fault_count(fault), 6);
    rules[0].rate = 1.5;
    assert_int_equal(dx_fault_rule_add(fault, &rules[0]), DX_ERROR_ARGUMENT);
    assert_int_equal(dx_fault_rule_add(mock, &rules[1]), DX_ERROR_ARGUMENT);
    dx_client_close(client);
    dx_transport_destroy(fault);
    dx_transport_destroy(mock);
}

static uint64_t outcomes(uint64_t seed) {
    dx_transport *mock = dx_transport_mock_create(), *fault = dx_transport_fault_create(mock, seed);
    dx_fault_rule rule = DX_FAULT_RULE_INIT;
    rule.rate = 0.5;
    assert_int_equal(dx_fault_rule_add(fault, &rule), DX_ERROR_NONE);
    mock_rule(mock, NULL, 200, "", 0);
    dx_client *client = open_over(plain, fault);
    uint64_t bits = 0;
    for (int i = 0; i < 60; i++) bits = bits << 1 | (get(client, "/", NULL, 0, NULL) != DX_ERROR_NONE);
    dx_client_close(client);
    dx_transport_destroy(fault);
    dx_transport_destroy(mock);
    return bits;
}

static void the_same_seed_has_the_same_faults_happen(void **state) {
    (void)state;
    uint64_t first = outcomes(1);
    assert_true(first == outcomes(1));
    assert_true(first != outcomes(2));
    assert_in_range(__builtin_popcountll(first), 10, 50);
}

// --- recordings ------------------------------------------------------------------------------------------------------------------------

#define KEYED(base, key)                                                                                                                   \
    "{\"a\": {\"base_url\": \"" base "\", \"auth\": {\"type\": \"api_key\", \"in\": \"query\", \"name\": \"zugang\", \"value\": \"" key    \
    "\"}, \"default_headers\": {\"X-Odd\": \"odd-" key "\"}, " ONCE ", \"endpoints\": {\"v1\": {"                                          \
    "\"get\": {\"path\": \"/users/{id}\"}, "                                                                                               \
    "\"login\": {\"path\": \"/login\", \"method\": \"POST\", \"params\": {\"kennwort\": {\"secret\": true}, \"user\": {}}}, "              \
    "\"code\": {\"path\": \"/codes/{code}\", \"params\": {\"code\": {\"secret\": true}}}}}}}"

typedef struct folder {
    char path[64];
} folder;

static void make_folder(folder *f) {
    (void)snprintf(f->path, sizeof f->path, "/tmp/dx-recording-XXXXXX");
    assert_non_null(mkdtemp(f->path));
}

// Whether a text stands in any of the folder's files, whose number is returned by `count`.
static bool folder_has(const folder *f, const char *text, int *count) {
    DIR *dir = opendir(f->path);
    bool found = false;
    *count = 0;
    for (struct dirent *entry; (entry = readdir(dir));) {
        char name[400], data[16384];
        if (entry->d_name[0] == '.') continue;
        (void)snprintf(name, sizeof name, "%s/%s", f->path, entry->d_name);
        FILE *file = fopen(name, "r");
        size_t size = fread(data, 1, sizeof data - 1, file);
        data[size] = '\0';
        (void)fclose(file);
        (*count)++;
        found = found || strstr(data, text) != NULL;
    }
    (void)closedir(dir);
    return found;
}

static void remove_folder(const folder *f) {
    DIR *dir = opendir(f->path);
    for (struct dirent *entry; (entry = readdir(dir));)
        if (entry->d_name[0] != '.') (void)unlinkat(dirfd(dir), entry->d_name, 0);
    (void)closedir(dir);
    (void)rmdir(f->path);
}

// Answers with all that it was asked, so that an answer has every secret in it.
static void tell_all(void *context, const dx_sent *request, dx_reply *reply) {
    unsigned *count = context;
    char text[2048];
    const char *odd = sent_header(request, "X-Odd");
    int size = snprintf(text, sizeof text, "{\"n\":%u,\"url\":\"%s\",\"odd\":\"%s\",\"big\":12345678901234567890,\"sent\":%s}", ++*count,
                        request->url, odd ? odd : "", request->body_size ? request->body : "null");
    dx_reply_header(reply, "Content-Type", "application/json");
    dx_reply_header(reply, "Set-Cookie", "session=very-secret-cookie; Path=/");
    dx_reply_header(reply, "X-Kept", "kept");
    dx_reply_body(reply, text, (size_t)size);
}

static void call_all(dx_client *client, char out[4][512]) {
    dx_response *r;
    const dx_arg *args[] = {DX_ARGS(DX_INT("id", 1)), DX_ARGS(DX_INT("id", 1)),
                            DX_ARGS(DX_STR("kennwort", "hunter2hunter2"), DX_STR("user", "u")), DX_ARGS(DX_STR("code", "geheim-4711"))};
    const char *names[] = {"a.get", "a.get", "a.login", "a.code"};
    dx_error error;
    for (int i = 0; i < 4; i++) {
        if (dx_client_call(&r, client, names[i], args[i], NULL, &error)) fail_msg("%s", error.message);
        (void)snprintf(out[i], 512, "%s", dx_response_body(r, NULL));
        assert_string_equal(dx_response_header(r, "x-kept", 0), "kept");
        dx_response_release(r);
    }
}

static void a_recording_has_no_secret_in_it_and_replays_for_another_credential(void **state) {
    (void)state;
    static const char *const secrets[] = {"key-number-one", "very-secret-cookie", "hunter2hunter2", "geheim-4711"};
    folder f;
    dx_error error;
    dx_transport *mock = dx_transport_mock_create(), *record, *replay;
    unsigned answered = 0;
    int files;
    char first[4][512], again[4][512];
    make_folder(&f);
    dx_mock_answer(mock, tell_all, &answered);
    assert_int_equal(dx_transport_record_create(&record, f.path, mock, &error), DX_ERROR_NONE);
    dx_client *client = open_over(KEYED("http://api.test", "key-number-one"), record);
    call_all(client, first);
    assert_non_null(strstr(first[0], "key-number-one")); // the program sees all as ever
    assert_non_null(strstr(first[0], "12345678901234567890"));
    dx_client_close(client);
    dx_transport_destroy(record);
    dx_transport_destroy(mock);
    for (size_t i = 0; i < DX_COUNT_OF(secrets); i++)
        if (folder_has(&f, secrets[i], &files)) fail_msg("%s is in a recording", secrets[i]);
    assert_int_equal(files, 4);
    assert_int_equal(dx_transport_replay_create(&replay, f.path, &error), DX_ERROR_NONE);
    client = open_over(KEYED("http://api.test", "another-key-two"), replay);
    call_all(client, again);
    assert_non_null(strstr(again[0], "\"n\":1,"));
    assert_non_null(strstr(again[1], "\"n\":2,")); // in order
    assert_non_null(strstr(again[0], "12345678901234567890"));
    call_all(client, again);
    assert_non_null(strstr(again[0], "\"n\":2,")); // the last one for ever
    dx_client_close(client);
    dx_transport_destroy(replay);
    remove_folder(&f);
}

static void what_was_not_recorded_fails_and_names_the_nearest(void **state) {
    (void)state;
    folder f;
    dx_error error;
    dx_transport *mock = dx_transport_mock_create(), *record, *replay;
    make_folder(&f);
    mock_rule(mock, NULL, 200, "{}", 0);
    assert_int_equal(dx_transport_record_create(&record, f.path, mock, &error), DX_ERROR_NONE);
    dx_client *client = open_over(plain, record);
    dx_response *r;
    assert_int_equal(dx_client_post(&r, client, "a", "/things", DX_ARGS(DX_INT("n", 1)), NULL, &error), DX_ERROR_NONE);
    dx_response_release(r);
    dx_client_close(client);
    dx_transport_destroy(record);
    dx_transport_destroy(mock);
    assert_int_equal(dx_transport_replay_create(&replay, f.path, &error), DX_ERROR_NONE);
    client = open_over(plain, replay);
    assert_int_equal(dx_client_post(&r, client, "a", "/things", DX_ARGS(DX_INT("n", 2)), NULL, &error), DX_ERROR_RECORDING);
    assert_non_null(strstr(error.message, "POST http://api.test/v1/things with this body"));
    assert_non_null(strstr(error.message, "000001-post-a.request.json"));
    assert_int_equal(get(client, "/thingies", NULL, 0, &error), DX_ERROR_RECORDING);
    assert_non_null(strstr(error.message, "GET http://api.test/v1/thingies; the nearest is POST http://api.test/v1/things"));
    dx_client_close(client);
    dx_transport_destroy(replay);
    remove_folder(&f);
    assert_int_equal(dx_transport_replay_create(&replay, f.path, &error), DX_ERROR_FILE);
    assert_null(replay);
}

static void bytes_that_are_no_text_survive_a_recording(void **state) {
    (void)state;
    folder f;
    dx_error error;
    dx_transport *mock = dx_transport_mock_create(), *record, *replay;
    dx_mock_rule rule = DX_MOCK_RULE_INIT;
    make_folder(&f);
    rule.body = "\xff\x00\x80 bytes";
    rule.body_size = 9;
    assert_int_equal(dx_mock_rule_add(mock, &rule), DX_ERROR_NONE);
    assert_int_equal(dx_transport_record_create(&record, f.path, mock, &error), DX_ERROR_NONE);
    dx_client *client = open_over(plain, record);
    taken t = {0};
    assert_int_equal(stream(client, "/bytes", &t, &error), DX_ERROR_NONE);
    assert_memory_equal(t.text, "\xff\x00\x80 bytes", 9);
    dx_client_close(client);
    dx_transport_destroy(record);
    dx_transport_destroy(mock);
    assert_int_equal(dx_transport_replay_create(&replay, f.path, &error), DX_ERROR_NONE);
    client = open_over(plain, replay);
    t = (taken){0};
    assert_int_equal(stream(client, "/bytes", &t, &error), DX_ERROR_NONE);
    assert_int_equal(t.size, 9);
    assert_memory_equal(t.text, "\xff\x00\x80 bytes", 9);
    dx_client_close(client);
    dx_transport_destroy(replay);
    remove_folder(&f);
}

static void a_secret_of_the_programs_is_taken_out_too(void **state) {
    (void)state;
    folder f;
    dx_error error;
    dx_transport *mock = dx_transport_mock_create(), *record;
    int files;
    make_folder(&f);
    mock_rule(mock, NULL, 200, "{\"note\":\"the word is sesam-sesam\",\"pin\":\"0815\"}", 0);
    assert_int_equal(dx_transport_record_create(&record, f.path, mock, &error), DX_ERROR_NONE);
    assert_int_equal(dx_transport_secret_value(record, "sesam-sesam"), DX_ERROR_NONE);
    assert_int_equal(dx_transport_secret_name(record, "pin"), DX_ERROR_NONE);
    assert_int_equal(dx_transport_secret_name(mock, "pin"), DX_ERROR_ARGUMENT);
    dx_client *client = open_over(plain, record);
    assert_int_equal(get(client, "/x", NULL, 0, &error), DX_ERROR_NONE);
    assert_false(folder_has(&f, "sesam-sesam", &files));
    assert_false(folder_has(&f, "0815", &files));
    assert_true(folder_has(&f, "the word is", &files));
    dx_client_close(client);
    dx_transport_destroy(record);
    dx_transport_destroy(mock);
    remove_folder(&f);
}

// --- without memory --------------------------------------------------------------------------------------------------------------------

static dx_error_code whole_life(const char *path) {
    dx_transport *mock = dx_transport_mock_create(), *fault = mock ? dx_transport_fault_create(mock, 1) : NULL, *record = NULL;
    dx_mock_rule rule = DX_MOCK_RULE_INIT;
    dx_fault_rule slow = DX_FAULT_RULE_INIT;
    rule.body = "{\"id\": 1}";
    slow.kind = DX_FAULT_SLOW;
    slow.bytes = 4;
    dx_error_code code = fault ? dx_mock_rule_add(mock, &rule) : DX_ERROR_NO_MEMORY;
    if (!code) code = dx_fault_rule_add(fault, &slow);
    if (!code) code = dx_transport_record_create(&record, path, fault, NULL);
    dx_client *client = NULL;
    dx_client_options options = DX_CLIENT_OPTIONS_INIT;
    options.transport = record;
    if (!code)
        code = dx_client_open_text(&client, KEYED("http://api.test", "k1k1k1k1"), sizeof KEYED("http://api.test", "k1k1k1k1") - 1, &options,
                                   NULL);
    dx_response *response = NULL;
    if (!code) code = dx_client_call(&response, client, "a.get", DX_ARGS(DX_STR("id", "x")), NULL, NULL);
    if (!code && dx_response_i64(response, "/id", -1) != 1) code = DX_ERROR_NO_MEMORY;
    dx_response_release(response);
    dx_call *call = NULL;
    if (!code) code = dx_call_start(&call, client, "a.get", DX_ARGS(DX_STR("id", "x")), NULL, NULL, NULL, NULL);
    if (!code) {
        (void)dx_call_wait(call, -1);
        code = dx_call_error(call)->code;
    }
    dx_call_release(call);
    dx_client_close(client);
    dx_transport_destroy(record);
    dx_transport_destroy(fault);
    dx_transport_destroy(mock);
    return code;
}

static void without_memory_a_call_fails_whole(void **state) {
    (void)state;
    folder f;
    make_folder(&f);
    for (uint64_t n = 1;; n++) {
        dx_memory_fail_at(n, false);
        dx_error_code code = whole_life(f.path);
        if (!dx_memory_fail_stop()) {
            assert_int_equal(code, DX_ERROR_NONE);
            break;
        }
        if (code != DX_ERROR_NO_MEMORY && code != DX_ERROR_NONE) fail_msg("allocation %d: %s", (int)n, dx_error_name(code));
    }
    remove_folder(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_mock_answers_by_its_first_rule_that_fits_and_is_not_used_up),
        cmocka_unit_test(a_mock_remembers_what_it_was_asked),
        cmocka_unit_test(a_function_answers_where_no_rule_of_a_mock_does),
        cmocka_unit_test(a_mock_fails_as_it_is_told_and_the_retry_filter_takes_it_for_real),
        cmocka_unit_test(an_answer_over_max_body_is_refused),
        cmocka_unit_test(a_stream_has_its_head_first_and_its_pieces_in_order),
        cmocka_unit_test(a_transport_of_a_program_answers_from_a_thread_of_its_own),
        cmocka_unit_test(faults_happen_as_their_rules_say),
        cmocka_unit_test(the_same_seed_has_the_same_faults_happen),
        cmocka_unit_test(a_recording_has_no_secret_in_it_and_replays_for_another_credential),
        cmocka_unit_test(what_was_not_recorded_fails_and_names_the_nearest),
        cmocka_unit_test(bytes_that_are_no_text_survive_a_recording),
        cmocka_unit_test(a_secret_of_the_programs_is_taken_out_too),
        cmocka_unit_test(without_memory_a_call_fails_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
