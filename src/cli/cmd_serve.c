// `duplex serve`: runs the server of a definition until it is told to stop.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/command.h"
#include "host/host.h"

#define FINDINGS_ARENA_CAP (4u << 20)
#define WORKERS_CAP        256
#define WORDS_CAP          64

static void announce(void *ctx, const char *url) {
    bool *served = ctx;
    *served = true;
    printf("listening on %s\n", url);
    fflush(stdout);
}

static bool read_workers(const char *text, unsigned *out) {
    uint64_t workers;
    if (!text) return true;
    if (!dx_slice_to_u64(dx_slice_str(text), &workers) || workers < 1 || workers > WORKERS_CAP) return false;
    *out = (unsigned)workers;
    return true;
}

static int serve(const dx_app_options *app, const char *const *words) {
    int result = DX_EXIT_REFUSED;
    bool served = false;
    dx_host_options options = {.app = *app, .listening = announce, .ctx = &served, .program = program_invocation_name, .words = words};
    dx_diags findings;
    dx_arena *arena = dx_arena_create(FINDINGS_ARENA_CAP);
    if (!arena) {
        fputs("duplex: out of memory\n", stderr);
        return DX_EXIT_FAILED;
    }
    dx_diags_init(&findings, arena);
    dx_status status = dx_host_serve(&options, &findings);
    result = status == DX_OK ? DX_EXIT_OK : served || status == DX_UNAVAILABLE ? DX_EXIT_FAILED : DX_EXIT_REFUSED;
    dx_print_findings(&findings);
    if (status != DX_OK) {
        if (!findings.count) fprintf(stderr, "duplex: %s\n", dx_status_title(status));
        fputs(served ? "duplex: stopped\n" : "duplex: not started: nothing was served\n", stderr);
    }
    dx_arena_destroy(arena);
    return result;
}

// How the program was started, for a process that takes over: reading options changes `argv`.
static bool keep_words(const char *words[WORDS_CAP], int argc, char **argv) {
    if (argc + 2 > WORDS_CAP) return false;
    words[0] = program_invocation_name;
    for (int i = 0; i <= argc; i++) words[i + 1] = argv[i]; // argv[0] is the command's name; the last one is NULL
    return true;
}

static int run(int argc, char **argv) {
    dx_app_options options = {0};
    const char *workers = NULL;
    int operands;
    const char *words[WORDS_CAP];
    if (!keep_words(words, argc, argv)) return dx_usage_error(&dx_cmd_serve, "there are too many words");
    const dx_option known[] = {{"--listen", &options.listen, NULL}, {"--store", &options.store, NULL}, {"--workers", &workers, NULL}};
    if (!dx_options_read(&dx_cmd_serve, argc, argv, known, DX_COUNT_OF(known), &operands)) return DX_EXIT_USAGE;
    if (operands != 1) return dx_usage_error(&dx_cmd_serve, "expected one definition file, found %d", operands);
    if (!read_workers(workers, &options.workers))
        return dx_usage_error(&dx_cmd_serve, "--workers takes a number from 1 to %d, not \"%s\"", WORKERS_CAP, workers);
    options.path = argv[1];
    return serve(&options, words);
}

const dx_command dx_cmd_serve = {
    "serve",
    "serve a definition",
    "Usage: duplex serve FILE [--listen ADDRESS] [--store URL] [--workers N]\n\n"
    "Serves the API that FILE defines: resources, accounts, OpenAPI and docs. Prints `listening on http://HOST:PORT` once it\n"
    "accepts connections; open that address in a browser for the API's interactive reference. The log, JSON a line, is on\n"
    "standard error. SIGTERM and SIGINT stop it; requests being answered are finished first. SIGHUP reloads (`duplex reload`),\n"
    "SIGUSR2 hands over to a new process of the program (`duplex upgrade`).\n\n"
    "  --listen ADDRESS    where to listen: HOST:PORT, *:PORT or unix:PATH; port 0 picks a free one (default: the definition's\n"
    "                      server.listen, whose first address lends it what is spoken there, as TLS)\n"
    "  --store URL         where the data lies, as sqlite:FILE (default: the definition's server.store)\n"
    "  --workers N         threads that serve (default: the definition's server.workers, else one a core)\n\n"
    "Exit status: 0 it was told to stop or has handed over, 1 it could not listen or had to stop, 2 wrong usage,\n"
    "3 the definition, the store or a secret was refused.\n\n"
    "Examples:\n"
    "  duplex serve examples/shop.json\n"
    "  duplex serve shop.json --listen 0.0.0.0:80 --store sqlite:/var/lib/shop/shop.db\n",
    run,
};
