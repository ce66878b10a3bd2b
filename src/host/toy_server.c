// The toy app of server/toy_app.c, served by a host on a thread of its own, and blocking sockets to talk to it.
#include "host/toy_server.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "host/control_name.h"

static void listening(void *ctx, const char *url) {
    toy *t = ctx;
    pthread_mutex_lock(&t->lock);
    t->port = toy_port(url);
    pthread_cond_signal(&t->changed);
    pthread_mutex_unlock(&t->lock);
}

static void *serve(void *arg) {
    toy *t = arg;
    dx_host_options options = {.app = t->options, .listening = listening, .ctx = t};
    t->served = dx_host_serve(&options, &t->diags);
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
    t->options.path = t->path;
    toy_hold();
    pthread_mutex_init(&t->lock, NULL);
    pthread_cond_init(&t->changed, NULL);
    assert_int_equal(pthread_create(&t->thread, NULL, serve, t), 0);
    pthread_mutex_lock(&t->lock);
    while (!t->port && !t->ended) pthread_cond_wait(&t->changed, &t->lock);
    pthread_mutex_unlock(&t->lock);
    for (const dx_diag *diag = t->diags.first; diag; diag = diag->next) print_error("%s\n", dx_diag_text(diag, t->arena).data);
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

void toy_stop(toy *t) {
    toy_signal(t);
    toy_join(t);
    toy_clean(t);
}

// --- reloads -----------------------------------------------------------------------------------------------------------------

int toy_begin_reload(const toy *t) {
    static const char words[] = "{\"do\":\"reload\"}\n";
    char name[DX_CONTROL_NAME_CAP];
    struct sockaddr_un address;
    assert_true(dx_control_name(name, t->path, (unsigned)geteuid(), (long)getpid()));
    socklen_t size = dx_control_address(&address, name, strlen(name));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&address, size), 0);
    (void)!send(fd, words, sizeof words - 1, MSG_NOSIGNAL); // without memory to listen, it has closed already
    return fd;
}

bool toy_end_reload(int fd) {
    char text[4096];
    size_t size = 0;
    for (ssize_t got; size < sizeof text - 1 && (got = recv(fd, text + size, sizeof text - 1 - size, 0)) > 0;) size += (size_t)got;
    text[size] = '\0';
    close(fd);
    return strstr(text, "\"ok\":true") != NULL;
}

bool toy_reload(const toy *t) {
    return toy_end_reload(toy_begin_reload(t));
}

unsigned toy_descriptors(void) {
    unsigned count = 0;
    DIR *folder = opendir("/proc/self/fd");
    assert_non_null(folder);
    while (readdir(folder)) count++;
    closedir(folder);
    return count;
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
