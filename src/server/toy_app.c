// A server for the tests: a definition in a folder of its own, a toy feature, and blocking sockets to talk to it.
#include "server/toy_app.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "codec/json.h"

// --- the feature
// ----------------------------------------------------------------------------------------------------------------------------------

static const dx_slice admin_role[] = {DX_SLICE_INIT("admin")};
static const dx_principal good = {.id = DX_SLICE_INIT("42"), .number = 42, .name = DX_SLICE_INIT("good")};
static atomic_int arrived; // requests that wait in /wait
static atomic_bool released;

static dx_verdict identify_in(const void *conf, dx_exchange *x) {
    (void)conf;
    if (dx_slice_equal(dx_fields_get(&x->request.fields, DX_FIELD_AUTHORIZATION), DX_SLICE("Bearer good"))) x->principal = &good;
    return DX_NEXT;
}

// Filters that write down where they stand.
static dx_verdict mark_in(const void *conf, dx_exchange *x) {
    dx_exchange_field(x, DX_SLICE("x-mark"), dx_slice_str(conf));
    return DX_NEXT;
}
static const dx_filter_ops identify = {"identify", identify_in, NULL}, mark = {"mark", mark_in, NULL};

static dx_verdict echo(const void *conf, dx_exchange *x) {
    (void)conf;
    return dx_exchange_body(x, 200, DX_SLICE("text/plain"), x->request.body.data ? x->request.body : DX_SLICE(""));
}

static dx_verdict parameter(const void *conf, dx_exchange *x) {
    (void)conf;
    return dx_exchange_body(x, 200, DX_SLICE("text/plain"), x->params[0]);
}

static dx_verdict burn(const void *conf, dx_exchange *x) {
    (void)conf;
    return dx_exchange_fail(x, DX_INTERNAL, "the inside is on fire");
}

typedef struct waiting {
    dx_work work;
    dx_exchange *x;
} waiting;

static void wait_off_loop(dx_work *work) {
    (void)work;
    atomic_fetch_add(&arrived, 1);
    while (!atomic_load(&released)) poll(NULL, 0, 1);
}

static void waited(dx_work *work) {
    waiting *w = DX_CONTAINER_OF(work, waiting, work);
    (void)dx_exchange_body(w->x, 200, DX_SLICE("text/plain"), DX_SLICE("waited"));
    dx_exchange_resume(w->x, DX_ANSWER);
}

static dx_verdict wait_here(const void *conf, dx_exchange *x) {
    (void)conf;
    waiting *w = DX_ARENA_NEW(x->arena, waiting);
    if (!w) return dx_exchange_fail(x, DX_NO_MEMORY, NULL);
    *w = (waiting){.work = {.work = wait_off_loop, .done = waited, .loop = x->loop}, .x = x};
    dx_status status = dx_loop_work(x->loop, &w->work);
    return status == DX_OK ? DX_WAIT : dx_exchange_fail(x, status, NULL);
}

static void describe(const void *conf, const dx_operation *operation, yyjson_mut_doc *doc, yyjson_mut_val *object) {
    (void)conf;
    yyjson_mut_obj_add_strn(doc, object, "summary", operation->id.data, operation->id.size);
    yyjson_mut_arr_add_str(doc, yyjson_mut_obj_add_arr(doc, object, "tags"), "toys");
    yyjson_mut_val *response = yyjson_mut_obj_add_obj(doc, yyjson_mut_obj_add_obj(doc, object, "responses"), "200");
    yyjson_mut_obj_add_str(doc, response, "description", "It.");
}

static yyjson_mut_val *describe_scheme(const void *conf, yyjson_mut_doc *doc) {
    (void)conf;
    yyjson_mut_val *scheme = yyjson_mut_obj(doc);
    yyjson_mut_obj_add_str(doc, scheme, "type", "http");
    yyjson_mut_obj_add_str(doc, scheme, "scheme", "bearer");
    return scheme;
}

static dx_status build(void *state, dx_app *app, dx_diags *diags) {
    static dx_operation operations[] = {
        {.id = DX_SLICE_INIT("toys.echo"),
         .method = DX_POST,
         .path = DX_SLICE_INIT("/echo"),
         .body = DX_BODY_WHOLE,
         .body_cap = 1000,
         .handler = echo,
         .describe = describe,
         .access = {.is_public = true}},
        {.id = DX_SLICE_INIT("toys.upload"),
         .method = DX_POST,
         .path = DX_SLICE_INIT("/upload"),
         .body = DX_BODY_WHOLE,
         .handler = echo,
         .describe = describe},
        {.id = DX_SLICE_INIT("toys.read"),
         .method = DX_GET,
         .path = DX_SLICE_INIT("/toys/{name}"),
         .handler = parameter,
         .describe = describe,
         .access = {.is_public = true}},
        {.id = DX_SLICE_INIT("toys.rule"),
         .method = DX_DELETE,
         .path = DX_SLICE_INIT("/toys/{name}"),
         .handler = parameter,
         .describe = describe,
         .access = {.roles = admin_role, .role_count = 1}},
        {.id = DX_SLICE_INIT("toys.burn"),
         .method = DX_GET,
         .path = DX_SLICE_INIT("/burn"),
         .handler = burn,
         .access = {.is_public = true}},
        {.id = DX_SLICE_INIT("toys.wait"),
         .method = DX_GET,
         .path = DX_SLICE_INIT("/wait"),
         .handler = wait_here,
         .access = {.is_public = true}},
    };
    (void)state;
    (void)diags;
    dx_status status = dx_app_add_filter(app, DX_STAGE_INNER, (dx_filter){&mark, "inner"});
    if (status == DX_OK) status = dx_app_add_filter(app, DX_STAGE_ADMIT, (dx_filter){&mark, "admit"});
    if (status == DX_OK) status = dx_app_add_filter(app, DX_STAGE_IDENTIFY, (dx_filter){&identify, NULL});
    if (status == DX_OK) status = dx_app_add_filter(app, DX_STAGE_EDGE, (dx_filter){&mark, "edge"});
    if (status == DX_OK) status = dx_app_add_security_scheme(app, DX_SLICE("bearer"), describe_scheme, NULL);
    for (size_t i = 0; i < DX_COUNT_OF(operations) && status == DX_OK; i++) status = dx_app_add_operation(app, &operations[i]);
    return status;
}

static const dx_feature toy_feature = {.name = "toy", .build = build};
const dx_feature *const dx_features[] = {&toy_feature, NULL};

// --- the server
// -----------------------------------------------------------------------------------------------------------------------------------

void toy_write(const toy *t, const char *name, const char *text) {
    char path[256];
    snprintf(path, sizeof path, "%s/%s", t->folder, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

void toy_prepare(toy *t, const char *server_section) {
    char text[4096];
    memset(t, 0, sizeof *t);
    snprintf(t->folder, sizeof t->folder, "/tmp/duplex-test-XXXXXX");
    assert_non_null(mkdtemp(t->folder));
    snprintf(t->path, sizeof t->path, "%s/toy.json", t->folder);
    snprintf(text, sizeof text, "{\"server\": {%s}}", server_section);
    toy_write(t, "toy.json", text);
    t->arena = dx_arena_create(16u << 20);
    dx_diags_init(&t->diags, t->arena);
}

dx_status toy_create(toy *t, const dx_app_options *overrides) {
    dx_app_options options = overrides ? *overrides : (dx_app_options){0};
    options.path = t->path;
    return dx_app_create(&t->app, &options, &t->diags);
}

static void listening(void *ctx, const char *url) {
    toy *t = ctx;
    pthread_mutex_lock(&t->lock);
    t->port = toy_port(url);
    pthread_cond_signal(&t->changed);
    pthread_mutex_unlock(&t->lock);
}

static void *serve(void *arg) {
    toy *t = arg;
    t->served = dx_app_serve(t->app, listening, t, &t->diags);
    pthread_mutex_lock(&t->lock);
    t->ended = true;
    pthread_cond_signal(&t->changed);
    pthread_mutex_unlock(&t->lock);
    return NULL;
}

int toy_port(const char *url) {
    const char *colon = strrchr(url, ':');
    return colon ? (int)strtol(colon + 1, NULL, 10) : 0;
}

void toy_start(toy *t, const char *server_section) {
    toy_prepare(t, server_section);
    dx_status status = toy_create(t, NULL);
    for (const dx_diag *diag = t->diags.first; diag; diag = diag->next) print_error("%s\n", dx_diag_text(diag, t->arena).data);
    assert_int_equal(status, DX_OK);
    atomic_store(&arrived, 0);
    atomic_store(&released, false);
    pthread_mutex_init(&t->lock, NULL);
    pthread_cond_init(&t->changed, NULL);
    assert_int_equal(pthread_create(&t->thread, NULL, serve, t), 0);
    pthread_mutex_lock(&t->lock);
    while (!t->port && !t->ended) pthread_cond_wait(&t->changed, &t->lock);
    pthread_mutex_unlock(&t->lock);
    assert_true(t->port > 0);
}

void toy_signal(toy *t) {
    (void)t;
    kill(getpid(), SIGTERM);
}

void toy_join(toy *t) {
    pthread_join(t->thread, NULL);
    assert_int_equal(t->served, DX_OK);
    pthread_cond_destroy(&t->changed);
    pthread_mutex_destroy(&t->lock);
}

void toy_clean(toy *t) {
    char command[300];
    dx_app_destroy(t->app);
    dx_arena_destroy(t->arena);
    snprintf(command, sizeof command, "rm -rf '%s'", t->folder);
    assert_int_equal(system(command), 0);
}

void toy_stop(toy *t) {
    toy_signal(t);
    toy_join(t);
    toy_clean(t);
}

void toy_wait_for_arrivals(int count) {
    while (atomic_load(&arrived) < count) poll(NULL, 0, 1);
}

void toy_release(void) {
    atomic_store(&released, true);
}

// --- a client
// -------------------------------------------------------------------------------------------------------------------------------------

static int try_to_connect(const toy *t, int client) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)t->port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    return connect(client, (const struct sockaddr *)&address, sizeof address);
}

bool toy_accepts(const toy *t) {
    int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(client >= 0);
    bool connected = try_to_connect(t, client) == 0;
    close(client);
    return connected;
}

int toy_connect(const toy *t) {
    struct timeval patience = {.tv_sec = 20};
    int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(client >= 0);
    assert_int_equal(setsockopt(client, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience), 0);
    assert_int_equal(try_to_connect(t, client), 0);
    return client;
}

void toy_send(int client, const char *text, size_t size) {
    while (size) {
        ssize_t sent = send(client, text, size, MSG_NOSIGNAL);
        if (sent <= 0) return; // refused meanwhile: the answer says why
        text += sent;
        size -= (size_t)sent;
    }
}

// Up to the end of the head; then the body by Content-Length.
void toy_receive(int client, toy_answer *answer, bool no_body) {
    size_t size = 0;
    char *end = NULL;
    memset(answer, 0, sizeof *answer);
    while (!end && size < sizeof answer->text - 1) {
        ssize_t got = recv(client, answer->text + size, 1, 0);
        if (got <= 0) break;
        size += (size_t)got;
        answer->text[size] = '\0';
        end = size >= 4 ? strstr(answer->text + size - 4, "\r\n\r\n") : NULL;
    }
    assert_non_null(end);
    answer->status = (int)strtol(answer->text + sizeof "HTTP/1.1", NULL, 10);
    answer->body = answer->text + size;
    char length[32];
    size_t wanted = !no_body && toy_field(answer, "content-length", length, sizeof length) ? strtoul(length, NULL, 10) : 0;
    assert_true(size + wanted < sizeof answer->text);
    while (answer->body_size < wanted) {
        ssize_t got = recv(client, answer->text + size + answer->body_size, wanted - answer->body_size, 0);
        assert_true(got > 0);
        answer->body_size += (size_t)got;
    }
    answer->body[answer->body_size] = '\0';
}

bool toy_field(const toy_answer *answer, const char *name, char *out, size_t size) {
    dx_slice rest = dx_slice_of(answer->text, (size_t)(answer->body - answer->text));
    while (rest.data && rest.size) {
        dx_slice value = dx_slice_cut(&rest, '\n'), found = dx_slice_cut(&value, ':');
        if (!value.data || !dx_slice_equal_nocase(found, dx_slice_str(name))) continue;
        value = dx_slice_trim(value);
        while (value.size && value.data[value.size - 1] == '\r') value.size--;
        snprintf(out, size, "%.*s", DX_SLICE_ARG(value));
        return true;
    }
    return false;
}

void toy_ask(const toy *t, toy_answer *answer, const char *request) {
    int client = toy_connect(t);
    toy_send(client, request, strlen(request));
    toy_receive(client, answer, strncmp(request, "HEAD", 4) == 0);
    close(client);
}
