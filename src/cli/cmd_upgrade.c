// `duplex upgrade`: has a running server hand over to a new process of the program.
#include <stdio.h>

#include "cli/ask_server.h"

#define ANSWER_ARENA_CAP (64u << 20)

static int upgrade(const char *path, const char *pid, dx_arena *arena) {
    yyjson_val *answer;
    int result = dx_ask_server(&answer, &dx_cmd_upgrade, path, pid, "{\"do\":\"upgrade\"}\n", arena);
    if (!answer) return result;
    if (!yyjson_get_bool(yyjson_obj_get(answer, "ok"))) return dx_tell_refusal(answer, "not upgraded: the server goes on as it was");
    printf("process %lld has handed over to process %lld\n", (long long)yyjson_get_sint(yyjson_obj_get(answer, "pid")),
           (long long)yyjson_get_sint(yyjson_obj_get(answer, "successor")));
    return DX_EXIT_OK;
}

static int run(int argc, char **argv) {
    const char *pid = NULL;
    int operands;
    const dx_option known[] = {{"--pid", &pid, NULL}};
    if (!dx_options_read(&dx_cmd_upgrade, argc, argv, known, DX_COUNT_OF(known), &operands)) return DX_EXIT_USAGE;
    if (operands > 1 || (operands == 0 && !pid))
        return dx_usage_error(&dx_cmd_upgrade, "expected one definition file%s, found %d", pid ? " at most" : " or --pid", operands);
    dx_arena *arena = dx_arena_create(ANSWER_ARENA_CAP);
    if (!arena) {
        fputs("duplex: out of memory\n", stderr);
        return DX_EXIT_FAILED;
    }
    int result = upgrade(operands ? argv[1] : NULL, pid, arena);
    dx_arena_destroy(arena);
    return result;
}

const dx_command dx_cmd_upgrade = {
    "upgrade",
    "have a running server hand over to a new process",
    "Usage: duplex upgrade FILE [--pid PID]\n"
    "       duplex upgrade --pid PID\n\n"
    "Has the server of FILE start its program anew, as it was started: another version that lies in its place, with the definition\n"
    "as it is now. The new process gets the listening sockets and says when it is ready; then the old one finishes what is under way\n"
    "and ends. No connection is refused and no request is lost. When the new one can't serve, its findings are told and nothing has\n"
    "changed, but that the store's tables may have been migrated. SIGUSR2 does the same, but tells the log alone.\n\n"
    "  --pid PID  which server, where several serve FILE\n\n"
    "Exit status: 0 handed over, 1 no server was found or it could not, 2 wrong usage, 3 refused, for the reasons printed.\n\n"
    "Example:\n"
    "  install duplex /usr/local/bin/duplex && duplex upgrade shop.json\n",
    run,
};
