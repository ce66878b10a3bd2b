// Listeners: addresses, sharing a port, draining, and going on when descriptors or memory run out.
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/memory.h"
#include "net/address.h"
#include "net/gate.h"
#include "net/http1.h"
#include "net/listener.h"
#include "net/test_server.h"

#define H   "Host: a\r\n"
#define END "\r\n"

static server s;
static char out[SERVER_BIG + 65536];
static bool reset;

static void addresses_are_read_and_written(void **state) {
    (void)state;
    static const struct {
        const char *host, *text; // text NULL: refused
    } cases[] = {
        {"127.0.0.1", "127.0.0.1:80"},
        {"localhost", "127.0.0.1:80"},
        {"0.0.0.0", "0.0.0.0:80"},
        {"::1", "[::1]:80"},
        {"[::1]", "[::1]:80"},
        {"2001:db8::7", "[2001:db8::7]:80"},
        {"", NULL},
        {"example.com", NULL},
        {"127.0.0", NULL},
        {"256.0.0.1", NULL},
        {"[::1", NULL},
        {"[]", NULL},
        {"[127.0.0.1]", NULL},
        {"[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]", NULL},
    };
    for (size_t i = 0; i < DX_COUNT_OF(cases); i++) {
        dx_address address;
        char text[DX_ADDRESS_TEXT_CAP];
        assert_int_equal(dx_address_read(&address, cases[i].host, 80), cases[i].text != NULL);
        if (!cases[i].text) continue;
        dx_address_text(&address, text);
        assert_string_equal(text, cases[i].text);
    }
}

// Tries to listen; the finding's text is in `out`.
static dx_status try_listen(int *fd, const char *address, bool reuse_port, bool probe) {
    dx_arena *arena = dx_arena_create(65536);
    dx_diags diags;
    dx_diags_init(&diags, arena);
    dx_socket_options options = {.reuse_port = reuse_port, .probe = probe};
    dx_status status = dx_socket_listen(fd, address, &options, &diags);
    out[0] = 0;
    if (diags.first) {
        (void)snprintf(out, sizeof out, "%.*s (%.*s)", DX_SLICE_ARG(diags.first->message), DX_SLICE_ARG(diags.first->suggestion));
        assert_true(dx_slice_equal(diags.first->pointer, DX_SLICE("/server/listen")));
        assert_non_null(strstr(out, address));
    }
    dx_arena_destroy(arena);
    return status;
}

static void stop_loop(void *ctx) {
    dx_loop_stop(ctx);
}

static void address_that_cannot_be_had_is_explained(void **state) {
    (void)state;
    int fd, taken;
    char text[64];
    assert_int_equal(try_listen(&taken, "127.0.0.1:0", false, false), DX_OK);
    (void)snprintf(text, sizeof text, "127.0.0.1:%u", dx_socket_port(taken));
    assert_int_equal(try_listen(&fd, text, false, false), DX_UNAVAILABLE);
    assert_non_null(strstr(out, "another program is listening there"));
    assert_int_equal(try_listen(&fd, "192.0.2.1:0", false, false), DX_UNAVAILABLE);
    assert_non_null(strstr(out, "no interface of this machine"));
    static const char *const wrong[] = {"example.com:80",  "127.0.0.1",    "127.0.0.1:", ":80",
                                        "127.0.0.1:65536", "127.0.0.1:-1", "::1:80",     "[::1]",
                                        "[::1]:x",         "[::1]80",      "unix",       ""};
    for (size_t i = 0; i < DX_COUNT_OF(wrong); i++) {
        assert_int_equal(try_listen(&fd, wrong[i], false, false), DX_INVALID);
        assert_non_null(strstr(out, "it is not an address"));
    }
    close(taken);
}

static void ipv6_and_ipv4_stand_side_by_side_at_one_port(void **state) {
    (void)state;
    int six, four;
    char text[DX_SOCKET_TEXT_CAP];
    if (try_listen(&six, "[::]:0", false, false) != DX_OK) {
        assert_non_null(strstr(out, "[::]:0")); // a machine without IPv6 says so
        skip();
    }
    dx_socket_text(six, text);
    assert_true(strncmp(text, "[::]:", 5) == 0);
    (void)snprintf(text, sizeof text, "0.0.0.0:%u", dx_socket_port(six));
    assert_int_equal(try_listen(&four, text, false, false), DX_OK);
    close(six);
    close(four);
}

static void workers_share_a_port_that_a_probe_finds_taken(void **state) {
    (void)state;
    int first, second, third;
    char text[64];
    assert_int_equal(try_listen(&first, "127.0.0.1:0", true, true), DX_OK);
    (void)snprintf(text, sizeof text, "127.0.0.1:%u", dx_socket_port(first));
    assert_int_equal(try_listen(&second, text, true, false), DX_OK);
    assert_int_equal(try_listen(&third, text, true, true), DX_UNAVAILABLE);
    assert_non_null(strstr(out, "another program is listening there"));
    close(first);
    close(second);
}

// --- unix sockets ----------------------------------------------------------------------------------------------------------

static char folder[64], place[128]; // of the test's sockets; "unix:…"

static const char *path(void) {
    return place + 5;
}

static int make_folder(void **state) {
    (void)state;
    (void)snprintf(folder, sizeof folder, "/tmp/duplex-listener-XXXXXX");
    if (!mkdtemp(folder)) return -1;
    (void)snprintf(place, sizeof place, "unix:%s/s", folder);
    return 0;
}

static int remove_folder(void **state) {
    (void)state;
    (void)unlink(path());
    return rmdir(folder);
}

static int connect_unix(void) {
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    struct timeval limit = {.tv_sec = 30};
    memcpy(name.sun_path, path(), strlen(path()));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit), 0);
    if (connect(fd, (const struct sockaddr *)&name, sizeof name) == 0) return fd;
    close(fd);
    return -1;
}

static unsigned mode_of(const char *file) {
    struct stat info;
    assert_int_equal(stat(file, &info), 0);
    return info.st_mode & 0777;
}

static void unix_socket_serves_and_its_file_has_the_mode(void **state) {
    (void)state;
    int fd;
    char text[DX_SOCKET_TEXT_CAP];
    mode_t before = umask(0077); // which must not count
    assert_int_equal(dx_socket_listen(&fd, place, &(dx_socket_options){.mode = 0666}, NULL), DX_OK);
    assert_int_equal(mode_of(path()), 0666);
    dx_socket_text(fd, text);
    assert_string_equal(text, place);
    assert_int_equal(dx_socket_port(fd), 0);
    close(fd);
    server_start_at(&s, NULL, place, &(dx_endpoint){.tag = 7});
    umask(before);
    assert_int_equal(mode_of(path()), DX_SOCKET_MODE);
    int client = connect_unix();
    client_send(client, "GET /peer HTTP/1.1\r\n" H END);
    client_read(client, out, sizeof out);
    assert_non_null(strstr(out, "\r\n\r\nunix 7"));
    close(client);
    server_stop(&s, DX_SECOND);
    dx_socket_remove(place);
    assert_int_equal(access(path(), F_OK), -1);
}

static void stale_unix_socket_is_replaced_and_a_live_one_is_not(void **state) {
    (void)state;
    int first, second;
    assert_int_equal(try_listen(&first, place, false, true), DX_OK);
    assert_int_equal(try_listen(&second, place, false, true), DX_UNAVAILABLE);
    assert_non_null(strstr(out, "another program is listening there"));
    int client = connect_unix(); // still answered
    assert_true(client >= 0);
    close(client);
    close(first); // as a killed server does: the file stays
    assert_int_equal(connect_unix(), -1);
    assert_int_equal(try_listen(&second, place, false, true), DX_OK);
    client = connect_unix();
    assert_true(client >= 0);
    close(client);
    close(second);
}

static void file_in_the_way_of_a_unix_socket_is_left_alone(void **state) {
    (void)state;
    int fd;
    FILE *file = fopen(path(), "w");
    assert_non_null(file);
    fclose(file);
    assert_int_equal(try_listen(&fd, place, false, false), DX_UNAVAILABLE);
    assert_non_null(strstr(out, "a file that is not a socket is there"));
    assert_int_equal(access(path(), F_OK), 0);
}

static void unix_paths_that_cannot_be_are_explained(void **state) {
    (void)state;
    int fd;
    char longest[5 + 107 + 1], longer[5 + 108 + 1];
    memset(longest, 'x', sizeof longest);
    memset(longer, 'x', sizeof longer);
    memcpy(longest, "unix:/", 6);
    memcpy(longer, "unix:/", 6);
    longest[sizeof longest - 1] = longer[sizeof longer - 1] = 0;
    longest[7] = longer[7] = '/'; // in a folder that does not exist
    assert_int_equal(try_listen(&fd, longest, false, false), DX_UNAVAILABLE);
    assert_non_null(strstr(out, "the folder does not exist"));
    assert_int_equal(try_listen(&fd, longer, false, false), DX_INVALID);
    assert_non_null(strstr(out, "107 bytes"));
    assert_int_equal(try_listen(&fd, "unix:@abstract", false, false), DX_INVALID);
    assert_int_equal(try_listen(&fd, "unix:", false, false), DX_INVALID);
}

// --- endpoints -------------------------------------------------------------------------------------------------------------

static int second_fd;

static void add_second(server *at) {
    assert_int_equal(dx_listener_add(at->listener, &(dx_endpoint){.fd = second_fd, .tag = 2}), DX_OK);
}

static void change_second(server *at) {
    assert_int_equal(dx_listener_change(at->listener, second_fd, &(dx_endpoint){.tag = 3}), DX_OK);
    assert_int_equal(dx_listener_change(at->listener, 9999, &(dx_endpoint){.tag = 3}), DX_NOT_FOUND);
}

static void remove_second(server *at) {
    dx_listener_remove(at->listener, 9999);
    dx_listener_remove(at->listener, second_fd);
}

static void ask_second(uint16_t port, const char *expected) {
    server there = {.port = port};
    client_ask(&there, "GET /peer HTTP/1.1\r\n" H END, out, sizeof out);
    assert_non_null(strstr(out, expected));
}

static void endpoints_come_and_change_and_go_while_serving(void **state) {
    (void)state;
    server_start(&s, NULL);
    assert_int_equal(try_listen(&second_fd, "127.0.0.1:0", false, false), DX_OK);
    server second = {.port = dx_socket_port(second_fd)};
    server_run(&s, add_second);
    ask_second(second.port, " 2");
    int old = client_open(&second);
    client_send(old, "GET /peer HTTP/1.1\r\n" H END);
    client_read(old, out, sizeof out);
    server_run(&s, change_second);
    ask_second(second.port, " 3");
    server_run(&s, remove_second);
    client_send(old, "GET /peer HTTP/1.1\r\n" H END); // its connections go on
    client_read(old, out, sizeof out);
    assert_non_null(strstr(out, " 2"));
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(second.port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int refused = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(refused, (struct sockaddr *)&address, sizeof address), -1);
    client_ask(&s, "GET /fixed HTTP/1.1\r\n" H END, out, sizeof out);
    close(refused);
    close(old);
    server_stop(&s, DX_SECOND);
}

static int waiters[3];

// On the loop's thread, so that nobody is accepted between connecting and draining.
static void connect_then_drain(server *at) {
    for (int i = 0; i < 3; i++) waiters[i] = client_open(at);
    client_send(waiters[0], "GET /fixed HTTP/1.1\r\n" H END);
    dx_listener_drain(at->listener, DX_DRAIN_NOW, 25 * DX_SECOND, server_drained, at);
}

static void who_waits_in_the_backlog_of_a_stop_is_answered(void **state) {
    (void)state;
    server_start(&s, NULL);
    server_run(&s, connect_then_drain);
    client_read_all(waiters[0], out, sizeof out, &reset);
    assert_non_null(strstr(out, "Connection: close\r\n"));
    assert_non_null(strstr(out, "\r\n\r\nfixed"));
    client_send(waiters[1], "GET /fixed HTTP/1.1\r\n" H END); // a moment late
    client_read_all(waiters[1], out, sizeof out, &reset);
    assert_non_null(strstr(out, "\r\n\r\nfixed"));
    assert_int_equal(client_read_all(waiters[2], out, sizeof out, &reset), 0); // silent: not waited for until the grace is over
    for (int i = 0; i < 3; i++) close(waiters[i]);
    server_stop(&s, 0);
}

static void polite_drain_takes_one_more_request_from_idle_connections(void **state) {
    (void)state;
    server_start(&s, NULL);
    int idle = client_open(&s), silent = client_open(&s);
    client_send(idle, "GET /fixed HTTP/1.1\r\n" H END);
    client_read(idle, out, sizeof out);
    client_send(silent, "GET /fixed HTTP/1.1\r\n" H END);
    client_read(silent, out, sizeof out);
    server_drain_politely(&s, 2 * DX_SECOND);
    client_send(idle, "GET /fixed HTTP/1.1\r\n" H END);
    client_read_all(idle, out, sizeof out, &reset);
    assert_non_null(strstr(out, "Connection: close\r\n"));
    assert_int_equal(server_counted(&s, DRAINED), 0);
    assert_int_equal(client_read_all(silent, out, sizeof out, &reset), 0); // until the grace is over
    close(idle);
    close(silent);
    server_stop(&s, 0);
}

static void over_the_cap_of_all_workers_the_oldest_idle_connection_makes_room(void **state) {
    (void)state;
    dx_gate *gate = NULL;
    assert_int_equal(dx_gate_create(&gate, &(dx_gate_rules){.all = 2}), DX_OK);
    server_gate = gate;
    server_start(&s, NULL);
    server_gate = NULL;
    int idle = client_open(&s), busy = client_open(&s);
    client_send(idle, "GET /fixed HTTP/1.1\r\n" H END);
    client_read(idle, out, sizeof out);
    client_send(busy, "GET /wait HTTP/1.1\r\n" H END);
    server_await(&s, WAITING, 1);
    int late = client_open(&s);
    client_send(late, "GET /wait HTTP/1.1\r\n" H END);
    server_await(&s, WAITING, 2);
    assert_int_equal(client_read_all(idle, out, sizeof out, &reset), 0);
    int later = client_open(&s); // nobody is idle any more
    assert_int_equal(client_read_all(later, out, sizeof out, &reset), 0);
    server_release(&s, 0);
    server_release(&s, 1);
    close(idle);
    close(busy);
    close(late);
    close(later);
    server_stop(&s, DX_SECOND);
    dx_gate_destroy(gate);
}

static void what_does_not_listen_is_no_endpoint(void **state) {
    (void)state;
    dx_loop *loop;
    dx_listener *listener = NULL;
    dx_listener_options options = {.limits = DX_HTTP_LIMITS_INIT, .arena_cap = 1 << 20};
    assert_int_equal(dx_loop_create(&loop), DX_OK);
    assert_int_equal(dx_listener_start(&listener, loop, &options, NULL), DX_OK);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(dx_listener_add(listener, &(dx_endpoint){.fd = fd}), DX_INVALID);
    close(fd);
    for (size_t i = 0; i <= DX_ENDPOINT_CAP; i++) {
        assert_int_equal(try_listen(&fd, "127.0.0.1:0", false, false), DX_OK);
        assert_int_equal(dx_listener_add(listener, &(dx_endpoint){.fd = fd}), i < DX_ENDPOINT_CAP ? DX_OK : DX_UNAVAILABLE);
    }
    close(fd);
    dx_listener_drain(listener, DX_DRAIN_NOW, 0, stop_loop, loop);
    assert_int_equal(dx_loop_run(loop), DX_OK);
    dx_listener_destroy(listener);
    dx_loop_destroy(loop);
}

static void drain_finishes_what_is_being_answered(void **state) {
    (void)state;
    server_start(&s, NULL);
    int idle = client_open(&s), waiting = client_open(&s), half = client_open(&s);
    client_send(idle, "GET /fixed HTTP/1.1\r\n" H END);
    client_read(idle, out, sizeof out);
    client_send(waiting, "GET /wait HTTP/1.1\r\n" H END);
    client_send(half, "POST /echo HTTP/1.1\r\n" H "Content-Length: 10\r\n\r\nhello");
    server_await(&s, WAITING, 1);
    server_await(&s, BODY_BYTES, 5);
    server_drain(&s, 25 * DX_SECOND);
    assert_int_equal(client_read_all(idle, out, sizeof out, &reset), 0);
    client_send(half, "world");
    client_read_all(half, out, sizeof out, &reset);
    assert_non_null(strstr(out, "Connection: close\r\n"));
    assert_non_null(strstr(out, "\r\n\r\nhelloworld"));
    assert_int_equal(server_counted(&s, DRAINED), 0);
    server_release(&s, 0);
    client_read_all(waiting, out, sizeof out, &reset);
    assert_non_null(strstr(out, "Connection: close\r\n"));
    assert_non_null(strstr(out, "\r\n\r\nwaited"));
    close(idle);
    close(waiting);
    close(half);
    server_stop(&s, 0);
}

static void drain_takes_no_more_connections(void **state) {
    (void)state;
    server_start(&s, NULL);
    int waiting = client_open(&s);
    client_send(waiting, "GET /wait HTTP/1.1\r\n" H END);
    server_await(&s, WAITING, 1);
    server_drain(&s, 25 * DX_SECOND);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(s.port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), -1);
    assert_int_equal(errno, ECONNREFUSED);
    close(fd);
    server_release(&s, 0);
    close(waiting);
    server_stop(&s, 0);
}

static void drain_cuts_what_is_left_after_the_grace(void **state) {
    (void)state;
    server_start(&s, NULL);
    int waiting = client_open(&s), half = client_open(&s), deaf = client_open_small(&s);
    client_send(waiting, "GET /wait HTTP/1.1\r\n" H END);
    client_send(half, "GET /fixed HT");
    client_send(deaf, "GET /big HTTP/1.1\r\n" H END);
    server_await(&s, WAITING, 1);
    server_await(&s, ENDED, 2);
    server_drain(&s, 10 * DX_MILLISECOND);
    server_await(&s, ABORTED, 1);
    assert_int_equal(s.abort_why, DX_CANCELLED);
    assert_int_equal(client_read_all(waiting, out, sizeof out, &reset), 0);
    assert_int_equal(client_read_all(half, out, sizeof out, &reset), 0);
    server_await(&s, CLOSED, 1);
    assert_int_equal(server_counted(&s, DRAINED), 0); // the owner has not let go of its stream yet
    server_release(&s, 0);
    close(waiting);
    close(half);
    close(deaf);
    server_stop(&s, 0);
}

// Lowers the limit so that no descriptor can be opened; returns what it was.
static struct rlimit no_descriptors(void) {
    struct rlimit before, none;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    int lowest = dup(0);
    assert_true(lowest >= 0);
    close(lowest);
    none = (struct rlimit){(rlim_t)lowest, before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    return before;
}

static int connect_to(int fd) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(s.port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct timeval limit = {.tv_sec = 30};
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit), 0);
    return connect(fd, (struct sockaddr *)&address, sizeof address);
}

static void without_descriptors_newcomers_are_closed_and_service_goes_on(void **state) {
    (void)state;
    server_start(&s, NULL);
    int busy = client_open(&s), late[3];
    client_send(busy, "GET /wait HTTP/1.1\r\n" H END);
    server_await(&s, WAITING, 1);
    for (int i = 0; i < 3; i++) late[i] = socket(AF_INET, SOCK_STREAM, 0);
    struct rlimit before = no_descriptors();
    for (int i = 0; i < 3; i++) assert_int_equal(connect_to(late[i]), 0);
    for (int i = 0; i < 3; i++) assert_int_equal(client_read_all(late[i], out, sizeof out, &reset), 0);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    server_release(&s, 0);
    client_read(busy, out, sizeof out);
    assert_non_null(strstr(out, "waited"));
    client_ask(&s, "GET /fixed HTTP/1.1\r\n" H END, out, sizeof out);
    for (int i = 0; i < 3; i++) close(late[i]);
    close(busy);
    server_stop(&s, DX_SECOND);
}

static void without_descriptors_an_idle_connection_makes_room(void **state) {
    (void)state;
    server_start(&s, NULL);
    int idle = client_open(&s), late = socket(AF_INET, SOCK_STREAM, 0);
    client_send(idle, "GET /fixed HTTP/1.1\r\n" H END);
    client_read(idle, out, sizeof out);
    struct rlimit before = no_descriptors();
    assert_int_equal(connect_to(late), 0);
    client_send(late, "GET /fixed HTTP/1.1\r\n" H END);
    client_read(late, out, sizeof out);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_non_null(strstr(out, "fixed"));
    assert_int_equal(client_read_all(idle, out, sizeof out, &reset), 0);
    close(idle);
    close(late);
    server_stop(&s, DX_SECOND);
}

static void lose_reserve(server *at) {
    if (at->listener->reserve >= 0) (void)close(at->listener->reserve);
    at->listener->reserve = -1;
}

static unsigned turns;
static bool reserve_is_back;

static void look_at_reserve(server *at) {
    reserve_is_back = at->listener->reserve >= 0;
}

// Another thread may take the descriptor in the moment in which it is lent out.
static void reserve_that_was_lost_comes_back(void **state) {
    (void)state;
    server_start(&s, NULL);
    int busy = client_open(&s), late = socket(AF_INET, SOCK_STREAM, 0);
    client_send(busy, "GET /wait HTTP/1.1\r\n" H END);
    server_await(&s, WAITING, 1);
    server_run(&s, lose_reserve);
    struct rlimit before = no_descriptors();
    assert_int_equal(connect_to(late), 0); // waits
    client_send(late, "GET /fixed HTTP/1.1\r\n" H END);
    for (int i = 0; i < 4; i++) server_run(&s, look_at_reserve); // more than a turn: the listener has looked at who waits
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    client_read(late, out, sizeof out);
    assert_non_null(strstr(out, "fixed"));
    server_run(&s, look_at_reserve);
    assert_true(reserve_is_back);
    server_release(&s, 0);
    close(busy);
    close(late);
    server_stop(&s, DX_SECOND);
}

static void on_turn(void *ctx) {
    (void)ctx;
    turns++;
}

static int bell_pipe[2];

static void on_bell(dx_timer *timer) {
    (void)timer;
    assert_int_equal(write(bell_pipe[1], "x", 1), 1);
}

static dx_timer bell = {.fire = on_bell};

static void count_turns(server *at) {
    assert_int_equal(dx_loop_on_turn_end(at->loop, on_turn, NULL), DX_OK);
    dx_timer_start(at->loop, &bell, 200 * DX_MILLISECOND);
}

// Whoever shares a socket with us may shut it down.
static void socket_that_is_shut_down_keeps_nobody_busy(void **state) {
    (void)state;
    char byte;
    turns = 0;
    assert_int_equal(pipe(bell_pipe), 0);
    server_start(&s, NULL);
    assert_int_equal(shutdown(s.fd, SHUT_RDWR), 0);
    server_run(&s, count_turns);
    assert_int_equal(read(bell_pipe[0], &byte, 1), 1);
    server_stop(&s, DX_SECOND);
    assert_true(turns < 50);
    close(bell_pipe[0]);
    close(bell_pipe[1]);
}

// What a client can do in one connection that needs memory: a head in pieces, requests piled up, a body, a slow reader.
static void exercise(void) {
    int fd = client_open_small(&s);
    (void)!send(fd, "GET /fixed HTT", 14, MSG_NOSIGNAL);
    (void)!send(fd, "P/1.1\r\n" H END, 18, MSG_NOSIGNAL);
    static const char piled[] = "POST /echo HTTP/1.1\r\n" H "Content-Length: 5\r\n\r\nhelloGET /big HTTP/1.1\r\n" H END
                                "GET /stream HTTP/1.1\r\n" H END "GET /fields HTTP/1.1\r\n" H END "GET /close HTTP/1.1\r\n" H END;
    (void)!send(fd, piled, sizeof piled - 1, MSG_NOSIGNAL);
    while (recv(fd, out, sizeof out, 0) > 0) {
    }
    close(fd);
}

static void every_failed_allocation_costs_no_more_than_its_connection(void **state) {
    (void)state;
    server_start(&s, NULL);
    bool failed = true;
    for (uint64_t n = 1; failed; n++) {
        dx_memory_fail_at(n, false);
        exercise();
        failed = dx_memory_fail_stop();
        client_ask(&s, "GET /fixed HTTP/1.1\r\n" H END, out, sizeof out);
        assert_non_null(strstr(out, "\r\n\r\nfixed"));
        assert_true(n < 1000);
    }
    server_stop(&s, DX_SECOND);
}

static void listener_without_memory_does_not_start(void **state) {
    (void)state;
    dx_loop *loop;
    dx_listener *listener = NULL;
    dx_listener_options options = {.limits = DX_HTTP_LIMITS_INIT, .arena_cap = 1 << 20};
    int fd;
    assert_int_equal(dx_loop_create(&loop), DX_OK);
    assert_int_equal(try_listen(&fd, "127.0.0.1:0", false, false), DX_OK);
    for (uint64_t n = 1;; n++) {
        dx_memory_fail_at(n, false);
        dx_status status = listener ? DX_OK : dx_listener_start(&listener, loop, &options, NULL);
        if (status == DX_OK) status = dx_listener_add(listener, &(dx_endpoint){.fd = fd});
        if (!dx_memory_fail_stop()) break;
        assert_int_equal(status, DX_NO_MEMORY);
    }
    dx_listener_drain(listener, DX_DRAIN_NOW, 0, stop_loop, loop);
    assert_int_equal(dx_loop_run(loop), DX_OK);
    dx_listener_destroy(listener);
    dx_loop_destroy(loop);
}

static void idle_connection_costs_less_than_800_bytes(void **state) {
    (void)state;
    assert_true(dx_http1_protocol.size + 16 <= 800);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_are_read_and_written),
        cmocka_unit_test(address_that_cannot_be_had_is_explained),
        cmocka_unit_test(ipv6_and_ipv4_stand_side_by_side_at_one_port),
        cmocka_unit_test(workers_share_a_port_that_a_probe_finds_taken),
        cmocka_unit_test_setup_teardown(unix_socket_serves_and_its_file_has_the_mode, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(stale_unix_socket_is_replaced_and_a_live_one_is_not, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(file_in_the_way_of_a_unix_socket_is_left_alone, make_folder, remove_folder),
        cmocka_unit_test(unix_paths_that_cannot_be_are_explained),
        cmocka_unit_test(endpoints_come_and_change_and_go_while_serving),
        cmocka_unit_test(over_the_cap_of_all_workers_the_oldest_idle_connection_makes_room),
        cmocka_unit_test(what_does_not_listen_is_no_endpoint),
        cmocka_unit_test(who_waits_in_the_backlog_of_a_stop_is_answered),
        cmocka_unit_test(polite_drain_takes_one_more_request_from_idle_connections),
        cmocka_unit_test(drain_finishes_what_is_being_answered),
        cmocka_unit_test(drain_takes_no_more_connections),
        cmocka_unit_test(drain_cuts_what_is_left_after_the_grace),
        cmocka_unit_test(without_descriptors_newcomers_are_closed_and_service_goes_on),
        cmocka_unit_test(reserve_that_was_lost_comes_back),
        cmocka_unit_test(socket_that_is_shut_down_keeps_nobody_busy),
        cmocka_unit_test(without_descriptors_an_idle_connection_makes_room),
        cmocka_unit_test(every_failed_allocation_costs_no_more_than_its_connection),
        cmocka_unit_test(listener_without_memory_does_not_start),
        cmocka_unit_test(idle_connection_costs_less_than_800_bytes),
    };
    return cmocka_run_group_tests_name("listener", tests, NULL, NULL);
}
