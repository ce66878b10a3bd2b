// Handing over to a new process, and being one. The old process starts the program anew, as it was started, with its listening sockets and
// one end of a channel:
//
//     old → new   {"sockets":[{"fd":7,"address":"0.0.0.0:443","nth":0,"foreign":false}, …]}
//     new → old   {"ok":true,"pid":4712}   when it has built its app and its workers stand ready; or its findings, and it ends
//     old → new   {"go":true}              from then on the new one accepts, and the old one drains politely
//     new → old   the end of the channel   when it can be asked in turn; whoever asked for all this is answered then
//
// Both have the same sockets, not copies of their names, so that no connection that waits in one is lost. Until "go" the new one accepts
// nothing; when the channel ends before it, it ends too. So whatever goes wrong, one process serves, and it is the old one.
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/memory.h"
#include "host/parts.h"

#define VARIABLE    "DUPLEX_HANDOVER"
#define MESSAGE_CAP (4u << 20)
#define READY_TIME  (120 * DX_SECOND) // a store may have to be migrated
#define GO_TIME     (10 * DX_SECOND)

extern char **environ;

// --- the channel -----------------------------------------------------------------------------------------------------------

static dx_status say(int channel, const dx_buffer *text) {
    dx_slice rest = dx_buffer_slice(text);
    if (dx_buffer_status(text) != DX_OK) return dx_buffer_status(text);
    while (rest.size) {
        ssize_t sent = send(channel, rest.data, rest.size, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR) continue;
        if (sent < 0) return DX_CANCELLED;
        rest = dx_slice_from(rest, (size_t)sent);
    }
    return DX_OK;
}

static dx_status say_words(int channel, const char *words) {
    dx_buffer text = {.data = (char *)(uintptr_t)words, .size = strlen(words), .capacity = strlen(words), .cap = strlen(words)};
    return say(channel, &text);
}

// Up to the end of a line. `also`: a descriptor that ends the wait when it can be read; -1: none.
static dx_status hear(dx_slice *out, dx_arena *arena, int channel, int also, dx_nanos time) {
    dx_nanos until = dx_clock_monotonic() + time;
    dx_buffer text;
    dx_buffer_init(&text, arena, MESSAGE_CAP);
    for (;;) {
        dx_nanos left = until - dx_clock_monotonic();
        struct pollfd watched[] = {{.fd = channel, .events = POLLIN}, {.fd = also, .events = POLLIN}};
        if (left <= 0) return DX_REQUEST_TIMEOUT;
        if (poll(watched, DX_COUNT_OF(watched), (int)(left / DX_MILLISECOND) + 1) <= 0) continue;
        if (watched[1].revents) return DX_CANCELLED;
        char *to = dx_buffer_reserve(&text, 4096);
        if (!to) return DX_TOO_LARGE;
        ssize_t got = recv(channel, to, 4096, 0);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return DX_CANCELLED;
        text.size += (size_t)got;
        if (text.data[text.size - 1] != '\n') continue;
        *out = dx_buffer_slice(&text);
        return DX_OK;
    }
}

static dx_status hear_json(yyjson_val **out, dx_arena *arena, int channel, int also, dx_nanos time) {
    dx_slice text;
    yyjson_doc *doc = NULL;
    dx_status status = hear(&text, arena, channel, also, time);
    if (status == DX_OK) status = dx_json_read(&doc, arena, text, NULL, NULL);
    if (status == DX_OK) *out = yyjson_doc_get_root(doc);
    return status;
}

// --- the old process -------------------------------------------------------------------------------------------------------

static void write_sockets(dx_buffer *text, const dx_sockets *sockets) {
    DX_BUFFER_LIT(text, "{\"sockets\":[");
    for (size_t i = 0; i < sockets->count; i++) {
        const dx_host_socket *row = &sockets->rows[i];
        dx_buffer_printf(text, "%s{\"fd\":%d,\"nth\":%u,\"foreign\":%s,\"address\":", i ? "," : "", row->fd, row->nth,
                         row->foreign ? "true" : "false");
        dx_json_write_string(text, dx_slice_str(row->address));
        dx_buffer_byte(text, '}');
    }
    DX_BUFFER_LIT(text, "]}\n");
}

static char **with_variable(dx_arena *arena, int channel) {
    size_t count = 0, kept = 0;
    while (environ[count]) count++;
    char **all = DX_ARENA_ARRAY(arena, char *, count + 2);
    dx_slice own = dx_arena_printf(arena, VARIABLE "=%d", channel);
    if (!all || !own.data) return NULL;
    for (size_t i = 0; i < count; i++)
        if (strncmp(environ[i], VARIABLE "=", sizeof VARIABLE) != 0) all[kept++] = environ[i];
    all[kept] = (char *)(uintptr_t)own.data;
    return all;
}

// What the new process shall have open under the same numbers: a descriptor duplicated onto itself loses its close-on-exec flag.
static int list_descriptors(posix_spawn_file_actions_t *actions, const dx_sockets *sockets, int channel) {
    int failure = posix_spawn_file_actions_adddup2(actions, channel, channel);
    for (size_t i = 0; i < sockets->count && !failure; i++)
        failure = posix_spawn_file_actions_adddup2(actions, sockets->rows[i].fd, sockets->rows[i].fd);
    return failure;
}

static int spawn_with(pid_t *pid, const dx_host *host, char **variables, int channel) {
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none;
    sigemptyset(&none);
    int failure = posix_spawn_file_actions_init(&actions);
    if (failure) return failure;
    failure = posix_spawnattr_init(&attributes);
    if (!failure) {
        failure = list_descriptors(&actions, &host->sockets, channel);
        if (!failure) failure = posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
        if (!failure) failure = posix_spawnattr_setsigmask(&attributes, &none);
        char *const *words = (char *const *)(uintptr_t)host->options->words;
        if (!failure) failure = posix_spawnp(pid, host->options->program, &actions, &attributes, words, variables);
        posix_spawnattr_destroy(&attributes);
    }
    posix_spawn_file_actions_destroy(&actions);
    return failure;
}

static dx_status start_successor(dx_host *host, dx_report *report, int channel, pid_t *pid, dx_buffer *message) {
    char **variables = with_variable(report->arena, channel);
    if (!variables) return DX_NO_MEMORY;
    pthread_mutex_lock(&host->sockets.lock);
    write_sockets(message, &host->sockets);
    int failure = atomic_load(&host->process->draining) ? ECANCELED : spawn_with(pid, host, variables, channel);
    pthread_mutex_unlock(&host->sockets.lock);
    if (!failure) return DX_OK;
    dx_diags_add(&report->findings, DX_UNAVAILABLE, (dx_slice){NULL, 0}, "%s could not be started: %s", host->options->program,
                 strerror(failure));
    return DX_UNAVAILABLE;
}

static void take_findings(dx_report *report, yyjson_val *answer) {
    yyjson_val *findings = yyjson_obj_get(answer, "findings"), *finding;
    size_t at, count;
    yyjson_arr_foreach(findings, at, count, finding)
        dx_diags_add(&report->findings, DX_INVALID, (dx_slice){NULL, 0}, "%s", yyjson_get_str(finding));
    if (count == 0)
        dx_diags_add(&report->findings, DX_UNAVAILABLE, (dx_slice){NULL, 0}, "the new process could not serve: %s",
                     yyjson_get_str(yyjson_obj_get(answer, "status")));
}

// `status`: what became of telling it the sockets.
static dx_status await_readiness(dx_host *host, dx_report *report, int channel, dx_status status) {
    yyjson_val *answer;
    if (status == DX_OK) status = hear_json(&answer, report->arena, channel, host->stopping, READY_TIME);
    if (status == DX_OK && !yyjson_get_bool(yyjson_obj_get(answer, "ok"))) {
        take_findings(report, answer);
        return DX_INVALID;
    }
    if (status == DX_OK) return DX_OK;
    const char *why = status == DX_REQUEST_TIMEOUT ? "the new process took too long" : "the new process ended before it was ready";
    if (atomic_load(&host->process->draining)) why = "this process was told to stop meanwhile";
    dx_diags_add(&report->findings, DX_UNAVAILABLE, (dx_slice){NULL, 0}, "%s", why);
    return DX_UNAVAILABLE;
}

static dx_status let_go(dx_host *host, dx_report *report, int channel, pid_t pid) {
    pthread_mutex_lock(&host->lock);
    bool stops = atomic_load(&host->process->draining);
    dx_status status = stops ? DX_CANCELLED : say_words(channel, "{\"go\":true}\n");
    if (status == DX_OK) host->handed_over = true;
    pthread_mutex_unlock(&host->lock);
    if (status != DX_OK) return status;
    char line[64];
    snprintf(line, sizeof line, "MAINPID=%ld", (long)pid);
    dx_systemd_tell(line);
    yyjson_mut_obj_add_int(report->doc, report->root, "successor", pid);
    return DX_OK;
}

static dx_status pass_by(dx_seat *seat, void *ctx) {
    (void)seat, (void)ctx;
    return DX_OK;
}

// Whoever asked is answered when this process accepts no more: who connects then meets the new one.
static void await_drain(dx_host *host) {
    struct pollfd stopping = {.fd = host->stopping, .events = POLLIN};
    dx_host_wake(host->wake);
    while (poll(&stopping, 1, -1) < 0 && errno == EINTR) {
    }
    (void)!dx_workers_visit(host, pass_by, NULL);
}

// Nor before the new one has its control socket: what is asked next shall find it.
static void await_end(dx_arena *arena, int channel) {
    dx_slice words;
    (void)!hear(&words, arena, channel, -1, GO_TIME);
}

static dx_status hand_over(dx_host *host, dx_report *report, int channel[2]) {
    dx_buffer message;
    pid_t pid;
    dx_buffer_init(&message, report->arena, MESSAGE_CAP);
    dx_status status = start_successor(host, report, channel[1], &pid, &message);
    close(channel[1]); // so that its end is heard of
    channel[1] = -1;
    if (status != DX_OK) return status;
    status = say(channel[0], &message);
    status = await_readiness(host, report, channel[0], status);
    if (status == DX_OK) status = let_go(host, report, channel[0], pid);
    if (status == DX_OK) {
        await_drain(host);
        await_end(report->arena, channel[0]);
        return DX_OK;
    }
    (void)kill(pid, SIGKILL); // it serves nobody
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) {
    }
    return status;
}

void dx_host_upgrade(dx_host *host, dx_report *report) {
    int channel[2];
    report->status = DX_UNAVAILABLE;
    if (!host->options->program) {
        dx_diags_add(&report->findings, DX_UNAVAILABLE, (dx_slice){NULL, 0}, "this server was not started as a program");
        return;
    }
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, channel) != 0) {
        dx_diags_add(&report->findings, DX_UNAVAILABLE, (dx_slice){NULL, 0}, "no channel can be had: %s", strerror(errno));
        return;
    }
    report->status = hand_over(host, report, channel);
    close(channel[0]);
    if (channel[1] >= 0) close(channel[1]);
}

// --- the new process -------------------------------------------------------------------------------------------------------

static dx_status take_socket(dx_host *host, yyjson_val *from) {
    int fd = yyjson_get_int(yyjson_obj_get(from, "fd"));
    dx_slice address = dx_json_member_slice(from, "address");
    if (fd < 3 || !address.size || !dx_socket_listens(fd)) return DX_INVALID;
    (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
    return dx_sockets_take(&host->sockets, fd, address, (unsigned)yyjson_get_uint(yyjson_obj_get(from, "nth")),
                           yyjson_get_bool(yyjson_obj_get(from, "foreign")));
}

static dx_status take_sockets(dx_host *host, dx_arena *arena) {
    yyjson_val *message, *sockets, *one;
    size_t at, count;
    dx_status status = hear_json(&message, arena, host->predecessor, -1, GO_TIME);
    if (status != DX_OK) return status;
    sockets = yyjson_obj_get(message, "sockets");
    yyjson_arr_foreach(sockets, at, count, one) if (status == DX_OK) status = take_socket(host, one);
    return status;
}

dx_status dx_handover_begin(dx_host *host, dx_diags *diags) {
    const char *text = getenv(VARIABLE);
    uint64_t fd;
    if (!text) return DX_OK;
    bool good = dx_slice_to_u64(dx_slice_str(text), &fd) && fd >= 3 && fd < INT32_MAX && fcntl((int)fd, F_SETFD, FD_CLOEXEC) == 0;
    unsetenv(VARIABLE);
    dx_arena *arena = dx_arena_create(MESSAGE_CAP * 4);
    dx_status status = !arena ? DX_NO_MEMORY : good ? DX_OK : DX_INVALID;
    if (status == DX_OK) {
        host->predecessor = (int)fd;
        host->succeeds = true;
        status = take_sockets(host, arena);
    }
    dx_arena_destroy(arena);
    if (status != DX_OK)
        dx_diags_add(diags, status, (dx_slice){NULL, 0}, VARIABLE " is set, and no server hands over to this one: unset it");
    return status;
}

dx_status dx_handover_ready(dx_host *host) {
    char line[64];
    yyjson_val *go;
    if (host->predecessor < 0) return DX_OK;
    dx_arena *arena = dx_arena_create(1u << 20);
    snprintf(line, sizeof line, "{\"ok\":true,\"pid\":%ld}\n", (long)getpid());
    dx_status status = arena ? say_words(host->predecessor, line) : DX_NO_MEMORY;
    if (status == DX_OK) status = hear_json(&go, arena, host->predecessor, -1, GO_TIME);
    if (status == DX_OK && !yyjson_get_bool(yyjson_obj_get(go, "go"))) status = DX_CANCELLED;
    dx_arena_destroy(arena);
    if (status != DX_OK) return status;
    host->took_over = true;
    return DX_OK;
}

void dx_handover_end(dx_host *host) {
    if (host->predecessor >= 0) close(host->predecessor);
    host->predecessor = -1;
}

void dx_handover_fail(dx_host *host, dx_status status, const dx_diags *diags) {
    dx_buffer text;
    if (host->predecessor < 0) return;
    dx_buffer_init(&text, NULL, MESSAGE_CAP);
    DX_BUFFER_LIT(&text, "{\"ok\":false,\"status\":");
    dx_json_write_string(&text, dx_slice_str(dx_status_title(status)));
    DX_BUFFER_LIT(&text, ",\"findings\":[");
    for (const dx_diag *diag = diags->first; diag; diag = diag->next) {
        if (diag != diags->first) dx_buffer_byte(&text, ',');
        dx_json_write_string(&text, dx_diag_text(diag, diags->arena));
    }
    DX_BUFFER_LIT(&text, "]}\n");
    (void)!say(host->predecessor, &text);
    dx_buffer_deinit(&text);
    close(host->predecessor);
    host->predecessor = -1;
}
