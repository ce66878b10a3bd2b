// Drives libduplex, by its public headers alone, for end-to-end tests: reads commands as JSON, one a line, and answers each by one line.
//     {"do": "open", "definition": {…}, "threads": 1}          {"do": "close"}                            {"do": "memory"}
//     {"do": "call", "name": "a.b" | "api", "method", "path", …}: waits          {"do": "burst", "count": 100, "name": …}
//     {"do": "start", "id": 1, "name": …}   {"do": "cancel", "id": 1}   {"do": "wait", "id": 1}
// Of a call: args (an object; {"file": path} is a file), headers, body, body_file, source ({"size", "rewind"}), timeout_ms, settings,
// idempotency_key, never_raise, stream ({"pause_every": pieces, "cancel_after": bytes}).
#include <duplex/client.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>
#include <yyjson.h>

enum { CALLS = 64, ARGS = 64, SHOWN = 64 << 10 };

typedef struct probe_call {
    dx_call *call;
    int64_t source_size, source_at, pause_every, cancel_after;
    size_t pieces, bytes, heads, rewinds;
    int head_status;
    dx_sink sink;
    dx_source source;
} probe_call;

static dx_client *client;
static probe_call calls[CALLS];
static int resume_pipe[2];

// --- results ---------------------------------------------------------------------------------------------------------------------------

static void say(yyjson_mut_doc *doc) {
    yyjson_write_err problem;
    char *text = yyjson_mut_write_opts(doc, YYJSON_WRITE_ALLOW_INVALID_UNICODE, NULL, NULL, &problem);
    (void)printf("%s\n", text ? text : problem.msg);
    (void)fflush(stdout);
    free(text);
    yyjson_mut_doc_free(doc);
}

static yyjson_mut_doc *answer(yyjson_mut_val **object) {
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    *object = yyjson_mut_obj(doc);
    yyjson_mut_doc_set_root(doc, *object);
    return doc;
}

static void add_error(yyjson_mut_doc *doc, yyjson_mut_val *object, const dx_error *error) {
    yyjson_mut_obj_add_strcpy(doc, object, "code", dx_error_name(error->code));
    yyjson_mut_obj_add_strcpy(doc, object, "category", dx_category_name(error->category));
    yyjson_mut_obj_add_strcpy(doc, object, "phase", dx_phase_name(error->phase));
    yyjson_mut_obj_add_strcpy(doc, object, "message", error->message);
    yyjson_mut_obj_add_strcpy(doc, object, "pointer", error->pointer);
    yyjson_mut_obj_add_uint(doc, object, "attempts", error->attempts);
    yyjson_mut_obj_add_bool(doc, object, "retryable", error->retryable);
    yyjson_mut_obj_add_int(doc, object, "retry_after_ms", error->retry_after_ms);
}

// The body in hex, as it may be anything.
static void add_response(yyjson_mut_doc *doc, yyjson_mut_val *object, const dx_response *response) {
    static char hex[2 * SHOWN + 1];
    const char *name, *value;
    size_t size;
    yyjson_mut_val *headers = yyjson_mut_arr(doc);
    for (size_t i = 0; dx_response_header_at(response, i, &name, &value); i++) {
        yyjson_mut_val *pair = yyjson_mut_arr_add_arr(doc, headers);
        yyjson_mut_arr_add_strcpy(doc, pair, name);
        yyjson_mut_arr_add_strcpy(doc, pair, value);
    }
    const char *body = dx_response_body(response, &size);
    hex[0] = '\0';
    for (size_t i = 0; i < size && i < SHOWN; i++) (void)snprintf(hex + 2 * i, 3, "%02x", (unsigned char)body[i]);
    yyjson_mut_obj_add_int(doc, object, "status", dx_response_status(response));
    yyjson_mut_obj_add_val(doc, object, "headers", headers);
    yyjson_mut_obj_add_uint(doc, object, "size", size);
    yyjson_mut_obj_add_strcpy(doc, object, "body", hex);
    yyjson_mut_obj_add_uint(doc, object, "attempts", dx_response_attempts(response));
    yyjson_mut_val *spent = yyjson_mut_obj_add_obj(doc, object, "spent_ms");
    for (int i = 0; i < DX_PHASE_COUNT; i++)
        yyjson_mut_obj_add_real(doc, spent, dx_phase_name((dx_phase)i), (double)dx_response_phase_ns(response, (dx_phase)i) / 1e6);
}

static void say_call(const dx_error *error, const dx_response *response, const probe_call *c) {
    yyjson_mut_val *object;
    yyjson_mut_doc *doc = answer(&object);
    add_error(doc, object, error);
    if (response) add_response(doc, object, response);
    yyjson_mut_obj_add_uint(doc, object, "heads", c->heads);
    yyjson_mut_obj_add_int(doc, object, "head_status", c->head_status);
    yyjson_mut_obj_add_uint(doc, object, "pieces", c->pieces);
    yyjson_mut_obj_add_uint(doc, object, "bytes", c->bytes);
    yyjson_mut_obj_add_uint(doc, object, "rewinds", c->rewinds);
    say(doc);
}

static void say_done(void) {
    yyjson_mut_val *object;
    yyjson_mut_doc *doc = answer(&object);
    yyjson_mut_obj_add_str(doc, object, "code", "ok");
    say(doc);
}

// --- streams ---------------------------------------------------------------------------------------------------------------------------

static void on_head(void *context, dx_call *call) {
    probe_call *c = context;
    if (c->pieces) abort();
    c->heads++;
    c->head_status = dx_response_status(dx_call_response(call));
}

static bool on_piece(void *context, dx_call *call, const char *data, size_t size) {
    probe_call *c = context;
    (void)data;
    if (!c->heads) abort();
    c->pieces++;
    c->bytes += size;
    if (c->cancel_after && (int64_t)c->bytes >= c->cancel_after) dx_call_cancel(call);
    if (!c->pause_every || c->pieces % (size_t)c->pause_every) return true;
    return write(resume_pipe[1], &call, sizeof call) != sizeof call; // another thread has it go on
}

static void *resume_calls(void *ctx) {
    dx_call *call;
    (void)ctx;
    while (read(resume_pipe[0], &call, sizeof call) == sizeof call) dx_call_resume(call);
    return NULL;
}

static int64_t read_source(void *context, char *data, size_t room) {
    probe_call *c = context;
    int64_t left = c->source_size - c->source_at;
    if (left > (int64_t)room) left = (int64_t)room;
    for (int64_t i = 0; i < left; i++) data[i] = (char)('a' + (c->source_at + i) % 26);
    c->source_at += left;
    return left;
}

static bool rewind_source(void *context) {
    probe_call *c = context;
    c->source_at = 0;
    c->rewinds++;
    return true;
}

// --- calls -----------------------------------------------------------------------------------------------------------------------------

typedef struct asked {
    dx_arg args[ARGS + 1];
    dx_header headers[ARGS + 1];
    dx_call_options options;
    char *kept[2 * ARGS];
    size_t kept_count;
} asked;

static const char *text_of(asked *a, yyjson_val *value) {
    return a->kept[a->kept_count++] = yyjson_val_write(value, 0, NULL);
}

static void take_args(asked *a, yyjson_val *args) {
    size_t at, count, n = 0;
    yyjson_val *key, *value;
    yyjson_obj_foreach(args, at, count, key, value) {
        const char *name = yyjson_get_str(key);
        yyjson_val *file = yyjson_obj_get(value, "file");
        if (n == ARGS) break;
        a->args[n++] = file                    ? DX_FILE(name, yyjson_get_str(file))
                       : yyjson_is_str(value)  ? DX_STR(name, yyjson_get_str(value))
                       : yyjson_is_uint(value) ? DX_UINT(name, yyjson_get_uint(value))
                       : yyjson_is_int(value)  ? DX_INT(name, yyjson_get_sint(value))
                       : yyjson_is_real(value) ? DX_FLOAT(name, yyjson_get_real(value))
                       : yyjson_is_bool(value) ? DX_BOOL(name, yyjson_get_bool(value))
                                               : DX_JSON(name, text_of(a, value));
    }
    a->args[n] = DX_END;
}

static void take_headers(asked *a, yyjson_val *headers) {
    size_t at, count, n = 0;
    yyjson_val *key, *value;
    yyjson_obj_foreach(headers, at, count, key, value) if (n < ARGS) a->headers[n++] =
        (dx_header){yyjson_get_str(key), yyjson_get_str(value)};
    a->headers[n] = (dx_header){NULL, NULL};
    if (n) a->options.headers = a->headers;
}

static void take_streams(asked *a, probe_call *c, yyjson_val *command) {
    yyjson_val *stream = yyjson_obj_get(command, "stream"), *source = yyjson_obj_get(command, "source");
    *c = (probe_call){0};
    if (stream) {
        c->pause_every = (int64_t)yyjson_get_uint(yyjson_obj_get(stream, "pause_every"));
        c->cancel_after = (int64_t)yyjson_get_uint(yyjson_obj_get(stream, "cancel_after"));
        c->sink = (dx_sink){on_head, on_piece, c};
        a->options.sink = &c->sink;
    }
    if (!source) return;
    c->source_size = (int64_t)yyjson_get_uint(yyjson_obj_get(source, "size"));
    bool sized = yyjson_get_bool(yyjson_obj_get(source, "sized"));
    c->source =
        (dx_source){read_source, yyjson_get_bool(yyjson_obj_get(source, "rewind")) ? rewind_source : NULL, sized ? c->source_size : -1, c};
    a->options.source = &c->source;
}

static void take(asked *a, probe_call *c, yyjson_val *command) {
    yyjson_val *settings = yyjson_obj_get(command, "settings"), *body = yyjson_obj_get(command, "body");
    a->kept_count = 0;
    a->options = (dx_call_options)DX_CALL_OPTIONS_INIT;
    take_args(a, yyjson_obj_get(command, "args"));
    take_headers(a, yyjson_obj_get(command, "headers"));
    take_streams(a, c, command);
    if (settings) a->options.settings = text_of(a, settings);
    a->options.body = yyjson_get_str(body);
    a->options.body_size = body ? yyjson_get_len(body) : 0;
    a->options.body_file = yyjson_get_str(yyjson_obj_get(command, "body_file"));
    a->options.timeout_ms = (int64_t)yyjson_get_uint(yyjson_obj_get(command, "timeout_ms"));
    a->options.idempotency_key = yyjson_get_str(yyjson_obj_get(command, "idempotency_key"));
    if (yyjson_get_bool(yyjson_obj_get(command, "never_raise"))) a->options.raise_on_error = DX_RAISE_NEVER;
}

static dx_error_code begin(dx_call **out, yyjson_val *command, const asked *a, dx_call_done done, void *context, dx_error *error) {
    const char *name = yyjson_get_str(yyjson_obj_get(command, "name")), *method = yyjson_get_str(yyjson_obj_get(command, "method"));
    if (name) return dx_call_start(out, client, name, a->args, &a->options, done, context, error);
    return dx_call_start_request(out, client, yyjson_get_str(yyjson_obj_get(command, "api")), method ? method : "GET",
                                 yyjson_get_str(yyjson_obj_get(command, "path")), a->args, &a->options, done, context, error);
}

static void do_call(yyjson_val *command, asked *a) {
    probe_call c;
    dx_response *response;
    dx_error error;
    take(a, &c, command);
    const char *name = yyjson_get_str(yyjson_obj_get(command, "name")), *method = yyjson_get_str(yyjson_obj_get(command, "method"));
    if (name)
        (void)!dx_client_call(&response, client, name, a->args, &a->options, &error);
    else
        (void)!dx_client_request(&response, client, yyjson_get_str(yyjson_obj_get(command, "api")), method ? method : "GET",
                                 yyjson_get_str(yyjson_obj_get(command, "path")), a->args, &a->options, &error);
    say_call(&error, response, &c);
    dx_response_release(response);
}

static void do_start(yyjson_val *command, asked *a) {
    probe_call *c = &calls[yyjson_get_uint(yyjson_obj_get(command, "id")) % CALLS];
    dx_error error;
    take(a, c, command);
    if (begin(&c->call, command, a, NULL, NULL, &error)) return say_call(&error, NULL, c);
    say_done();
}

static void do_wait(yyjson_val *command) {
    probe_call *c = &calls[yyjson_get_uint(yyjson_obj_get(command, "id")) % CALLS];
    (void)dx_call_wait(c->call, -1);
    say_call(dx_call_error(c->call), dx_call_response(c->call), c);
    dx_call_release(c->call);
    c->call = NULL;
}

// --- bursts ----------------------------------------------------------------------------------------------------------------------------

typedef struct burst {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    size_t left;
    size_t by_code[128];
} burst;

static void burst_done(void *context, dx_call *call) {
    burst *b = context;
    pthread_mutex_lock(&b->lock);
    b->by_code[(unsigned)dx_call_error(call)->code % 128]++;
    b->left--;
    (void)pthread_cond_signal(&b->changed);
    pthread_mutex_unlock(&b->lock);
    dx_call_release(call);
}

static void do_burst(yyjson_val *command, asked *a) {
    static burst b = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
    size_t count = yyjson_get_uint(yyjson_obj_get(command, "count"));
    probe_call c;
    take(a, &c, command);
    memset(b.by_code, 0, sizeof b.by_code);
    b.left = count;
    for (size_t i = 0; i < count; i++) {
        dx_call *call;
        dx_error error;
        if (!begin(&call, command, a, burst_done, &b, &error)) continue;
        pthread_mutex_lock(&b.lock);
        b.by_code[(unsigned)error.code % 128]++;
        b.left--;
        pthread_mutex_unlock(&b.lock);
    }
    pthread_mutex_lock(&b.lock);
    while (b.left) (void)pthread_cond_wait(&b.changed, &b.lock);
    pthread_mutex_unlock(&b.lock);
    yyjson_mut_val *object;
    yyjson_mut_doc *doc = answer(&object);
    for (int i = 0; i < 128; i++)
        if (b.by_code[i]) yyjson_mut_obj_add_uint(doc, object, dx_error_name((dx_error_code)i), b.by_code[i]);
    say(doc);
}

// --- commands --------------------------------------------------------------------------------------------------------------------------

static void do_open(yyjson_val *command) {
    dx_error error;
    dx_client_options options = DX_CLIENT_OPTIONS_INIT;
    yyjson_val *definition = yyjson_obj_get(command, "definition");
    size_t size;
    char *text = yyjson_val_write(definition, 0, &size);
    options.threads = (unsigned)yyjson_get_uint(yyjson_obj_get(command, "threads"));
    (void)!dx_client_open_text(&client, text, size, &options, &error);
    free(text);
    probe_call none = {0};
    say_call(&error, NULL, &none);
}

static void do_memory(void) {
    struct rusage usage;
    yyjson_mut_val *object;
    yyjson_mut_doc *doc = answer(&object);
    (void)getrusage(RUSAGE_SELF, &usage);
    yyjson_mut_obj_add_int(doc, object, "peak_kib", usage.ru_maxrss);
    say(doc);
}

static void obey(yyjson_val *command) {
    static asked a;
    const char *what = yyjson_get_str(yyjson_obj_get(command, "do"));
    if (!what) return say_done();
    if (strcmp(what, "open") == 0) return do_open(command);
    if (strcmp(what, "memory") == 0) return do_memory();
    if (strcmp(what, "wait") == 0) return do_wait(command);
    if (strcmp(what, "call") == 0) {
        do_call(command, &a);
    } else if (strcmp(what, "start") == 0) {
        do_start(command, &a);
    } else if (strcmp(what, "burst") == 0) {
        do_burst(command, &a);
    } else if (strcmp(what, "cancel") == 0) {
        dx_call_cancel(calls[yyjson_get_uint(yyjson_obj_get(command, "id")) % CALLS].call);
        return say_done();
    } else if (strcmp(what, "close") == 0) {
        dx_client_close(client);
        client = NULL;
        return say_done();
    }
    while (a.kept_count) free(a.kept[--a.kept_count]);
}

int main(void) {
    char *line = NULL;
    size_t room = 0;
    ssize_t size;
    pthread_t resumer;
    if (pipe(resume_pipe) != 0 || pthread_create(&resumer, NULL, resume_calls, NULL) != 0) return 1;
    while ((size = getline(&line, &room, stdin)) > 0) {
        yyjson_doc *doc = yyjson_read(line, (size_t)size, 0);
        obey(yyjson_doc_get_root(doc));
        yyjson_doc_free(doc);
    }
    dx_client_close(client);
    (void)close(resume_pipe[1]);
    (void)pthread_join(resumer, NULL);
    free(line);
    return 0;
}
