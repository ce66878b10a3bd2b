// `duplex reload`: has a running server take its definition anew.
#include <stdio.h>

#include "cli/ask_server.h"

#define ANSWER_ARENA_CAP (64u << 20)

static int reload(const char *path, const char *pid, dx_arena *arena) {
    yyjson_val *answer;
    int result = dx_ask_server(&answer, &dx_cmd_reload, path, pid, "{\"do\":\"reload\"}\n", arena);
    if (!answer) return result;
    if (!yyjson_get_bool(yyjson_obj_get(answer, "ok"))) return dx_tell_refusal(answer, "not reloaded: the server goes on as it was");
    printf("reloaded (process %lld)\n", (long long)yyjson_get_sint(yyjson_obj_get(answer, "pid")));
    return DX_EXIT_OK;
}

static int run(int argc, char **argv) {
    const char *pid = NULL;
    int operands;
    const dx_option known[] = {{"--pid", &pid, NULL}};
    if (!dx_options_read(&dx_cmd_reload, argc, argv, known, DX_COUNT_OF(known), &operands)) return DX_EXIT_USAGE;
    if (operands > 1 || (operands == 0 && !pid))
        return dx_usage_error(&dx_cmd_reload, "expected one definition file%s, found %d", pid ? " at most" : " or --pid", operands);
    dx_arena *arena = dx_arena_create(ANSWER_ARENA_CAP);
    if (!arena) {
        fputs("duplex: out of memory\n", stderr);
        return DX_EXIT_FAILED;
    }
    int result = reload(operands ? argv[1] : NULL, pid, arena);
    dx_arena_destroy(arena);
    return result;
}

const dx_command dx_cmd_reload = {
    "reload",
    "have a running server take its definition anew",
    "Usage: duplex reload FILE [--pid PID]\n"
    "       duplex reload --pid PID\n\n"
    "Has the server of FILE read it again, with every file that it refers to and every certificate. New requests are answered by the\n"
    "new definition from then on; those under way end as they began. A definition with errors changes nothing: they are told as\n"
    "`duplex check` tells them. SIGHUP does the same, but tells the log alone.\n\n"
    "What a running process can't change (its workers, its store, its user) is refused: see `duplex upgrade`.\n\n"
    "  --pid PID  which server, where several serve FILE\n\n"
    "Exit status: 0 reloaded, 1 no server was found or it could not, 2 wrong usage, 3 refused, for the reasons printed.\n\n"
    "Examples:\n"
    "  duplex plan shop.json; duplex reload shop.json\n"
    "  duplex reload /etc/duplex/api.json     # after certificates were renewed: docs/internet.md has the whole hook\n",
    run,
};
