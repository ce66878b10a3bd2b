// The servers that the tests of this room speak to.
#include "redis/test_server.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static void must(bool held, const char *what) {
    if (held) return;
    perror(what);
    abort();
}

bool test_server_installed(void) {
    return access("/usr/bin/redis-server", X_OK) == 0;
}

static void become(const test_server *server, int out) {
    char port[8];
    (void)snprintf(port, sizeof port, "%u", server->port);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)dup2(out, STDOUT_FILENO);
    execl("/usr/bin/redis-server", "redis-server", "--port", port, "--bind", "127.0.0.1", "--unixsocket", server->path, "--dir",
          server->directory, "--save", "", "--appendonly", "no", "--enable-debug-command", "yes", "--requirepass",
          server->password ? server->password : "", (char *)NULL);
    _exit(127);
}

void test_server_start(test_server *server) {
    int out[2];
    char line[512];
    if (!server->directory[0]) {
        (void)snprintf(server->directory, sizeof server->directory, "/tmp/dx-redis-XXXXXX");
        must(mkdtemp(server->directory) != NULL, "mkdtemp");
        (void)snprintf(server->path, sizeof server->path, "%s/socket", server->directory);
        (void)snprintf(server->url, sizeof server->url, "redis+unix://%s", server->path);
    }
    must(pipe2(out, O_CLOEXEC) == 0, "pipe");
    server->pid = fork();
    must(server->pid >= 0, "fork");
    if (server->pid == 0) become(server, out[1]);
    close(out[1]);
    FILE *log = fdopen(out[0], "r");
    bool ready = false;
    while (!ready && fgets(line, sizeof line, log)) {
        ready = strstr(line, "The server is now ready to accept connections at") != NULL; // the socket comes last
    }
    must(ready, "redis-server did not start");
    (void)fclose(log); // it writes no more than a line at its end, to nobody
}

void test_server_stop(test_server *server) {
    if (!server->pid) return;
    (void)kill(server->pid, SIGKILL);
    (void)waitpid(server->pid, NULL, 0);
    server->pid = 0;
}

void test_server_remove(test_server *server) {
    test_server_stop(server);
    (void)unlink(server->path);
    (void)rmdir(server->directory);
}

uint16_t test_server_free_port(void) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    must(bind(fd, (struct sockaddr *)&address, size) == 0 && getsockname(fd, (struct sockaddr *)&address, &size) == 0, "bind");
    close(fd);
    return ntohs(address.sin_port);
}

static void *serve(void *ctx) {
    fake_server *server = ctx;
    int fd;
    while ((fd = accept(server->fd, NULL, NULL)) >= 0) {
        char sink[1024];
        (void)send(fd, server->greeting.data, server->greeting.size, MSG_NOSIGNAL);
        while (recv(fd, sink, sizeof sink, 0) > 0) {
        }
        close(fd);
    }
    return NULL;
}

void fake_server_start(fake_server *server, const char *directory, dx_slice greeting) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    (void)snprintf(server->path, sizeof server->path, "%s/fake", directory);
    (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", server->path);
    server->greeting = greeting;
    server->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    must(bind(server->fd, (struct sockaddr *)&address, sizeof address) == 0 && listen(server->fd, 8) == 0, "listen");
    must(pthread_create(&server->thread, NULL, serve, server) == 0, "pthread_create");
}

void fake_server_stop(fake_server *server) {
    (void)shutdown(server->fd, SHUT_RDWR);
    pthread_join(server->thread, NULL);
    close(server->fd);
    (void)unlink(server->path);
}
