// Asking a running server, for the commands that do: see ask_server.h.
#include "cli/ask_server.h"

#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "host/control.h"

#define FOLLOW_TIME  (10 * DX_SECOND) // how long the successor of a server that went is looked for
#define FOLLOW_PAUSE 20               // milliseconds
#define TWO_LOOKS    50               // second looks when two were found
#define NO_LOOKS     3                // … and when none was

static int tell_none(const dx_command *command, const char *path, const char *pid) {
    if (path && access(path, R_OK) != 0)
        fprintf(stderr, "duplex %s: %s can't be read\n", command->name, path);
    else if (pid)
        fprintf(stderr, "duplex %s: no server of yours has the process id %s\n", command->name, pid);
    else
        fprintf(stderr,
                "duplex %s: no server of yours serves %s\n"
                "Start one with `duplex serve %s`. A server of another user is found by that user and by root.\n",
                command->name, path, path);
    return DX_EXIT_FAILED;
}

static int tell_several(const dx_command *command, const dx_control_server *servers, size_t count) {
    fprintf(stderr, "duplex %s: %zu servers serve this: say which one with --pid\n", command->name, count);
    for (size_t i = 0; i < count; i++) fprintf(stderr, "  --pid %ld\n", servers[i].pid);
    return DX_EXIT_FAILED;
}

// Two servers may be one that hands over: for a moment both can be asked. None may be one as well: the kernel's list is read while it
// changes.
static size_t find(dx_control_server *servers, const char *path, long pid) {
    size_t count = dx_control_find(servers, DX_CONTROL_SERVERS_CAP, path, pid);
    for (int look = 0; look < (count == 2 ? TWO_LOOKS : count == 0 ? NO_LOOKS : 0); look++) {
        (void)poll(NULL, 0, FOLLOW_PAUSE);
        count = dx_control_find(servers, DX_CONTROL_SERVERS_CAP, path, pid);
    }
    return count;
}

// A server that hands over goes while others wait for their turn; soon its successor is the one that serves the file.
static dx_status follow(yyjson_val **answer, const char *path, const char *request, dx_arena *arena, char problem[160]) {
    dx_nanos until = dx_clock_monotonic() + FOLLOW_TIME;
    dx_status status = DX_CANCELLED;
    while (status == DX_CANCELLED && dx_clock_monotonic() < until) {
        dx_control_server servers[2];
        (void)poll(NULL, 0, FOLLOW_PAUSE);
        if (dx_control_find(servers, DX_COUNT_OF(servers), path, 0) == 1) status = dx_control_ask(answer, servers, request, arena, problem);
    }
    return status;
}

int dx_ask_server(yyjson_val **answer, const dx_command *command, const char *path, const char *pid, const char *request, dx_arena *arena) {
    dx_control_server servers[DX_CONTROL_SERVERS_CAP];
    char problem[160];
    uint64_t number = 0;
    *answer = NULL;
    if (pid && (!dx_slice_to_u64(dx_slice_str(pid), &number) || number == 0 || number > INT32_MAX))
        return dx_usage_error(command, "--pid takes a process id, not \"%s\"", pid);
    size_t count = find(servers, path, (long)number);
    if (count == 0) return tell_none(command, path, pid);
    if (count > 1) return tell_several(command, servers, count);
    dx_status status = dx_control_ask(answer, &servers[0], request, arena, problem);
    if (status == DX_CANCELLED && path && !pid) status = follow(answer, path, request, arena, problem);
    if (status == DX_OK) return DX_EXIT_OK;
    *answer = NULL;
    fprintf(stderr, "duplex %s: the server %ld could not be asked: %s\n", command->name, servers[0].pid, problem);
    return DX_EXIT_FAILED;
}

int dx_tell_refusal(yyjson_val *answer, const char *what_stands) {
    yyjson_val *findings = yyjson_obj_get(answer, "findings"), *finding;
    size_t at, count, shown = yyjson_arr_size(findings);
    uint64_t all = yyjson_get_uint(yyjson_obj_get(answer, "finding_count"));
    yyjson_arr_foreach(findings, at, count, finding) fprintf(stderr, "%s\n", yyjson_get_str(finding));
    if (all > shown) fprintf(stderr, "… and %llu more\n", (unsigned long long)(all - shown));
    const char *status = yyjson_get_str(yyjson_obj_get(answer, "status"));
    if (!shown) fprintf(stderr, "duplex: %s\n", status ? status : "the server did not say why");
    fprintf(stderr, "duplex: %s\n", what_stands);
    return shown ? DX_EXIT_REFUSED : DX_EXIT_FAILED;
}
