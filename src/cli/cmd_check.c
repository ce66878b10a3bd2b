// `duplex check`, `duplex openapi`: what can be said of a definition without serving it. Both build the whole app over an empty
// store in memory, so whatever would keep `serve` from starting is found here too.
#include <stdio.h>

#include "cli/command.h"
#include "server/app.h"

#define FINDINGS_ARENA_CAP (4u << 20)
#define OPENAPI_CAP        (256u << 20)

typedef int (*with_app)(const dx_app *app, const char *path);

// Builds the app of the one operand and lets `use` look at it.
static int inspect(const dx_command *command, int argc, char **argv, with_app use) {
    int operands, result = DX_EXIT_REFUSED;
    dx_app *app = NULL;
    dx_diags findings;
    if (!dx_options_read(command, argc, argv, NULL, 0, &operands)) return DX_EXIT_USAGE;
    if (operands != 1) return dx_usage_error(command, "expected one definition file, found %d", operands);
    dx_arena *arena = dx_arena_create(FINDINGS_ARENA_CAP);
    if (!arena) {
        fputs("duplex: out of memory\n", stderr);
        return DX_EXIT_FAILED;
    }
    dx_diags_init(&findings, arena);
    dx_app_options options = {.path = argv[1], .workers = 1, .offline = true};
    dx_status status = dx_app_create(&app, &options, &findings);
    if (status == DX_OK) {
        result = use(app, argv[1]);
    } else {
        dx_print_findings(&findings);
        fprintf(stderr, "%s: %zu %s\n", argv[1], findings.count, findings.count == 1 ? "error" : "errors");
    }
    dx_app_destroy(app);
    dx_arena_destroy(arena);
    return result;
}

static int say_ok(const dx_app *app, const char *path) {
    (void)app;
    printf("%s: ok\n", path);
    return DX_EXIT_OK;
}

static int print_openapi(const dx_app *app, const char *path) {
    dx_buffer text;
    dx_buffer_init(&text, NULL, OPENAPI_CAP);
    dx_status status = dx_app_openapi(app, &text, true);
    if (status == DX_OK) dx_buffer_byte(&text, '\n');
    if (status == DX_OK) status = dx_buffer_status(&text);
    int result = DX_EXIT_FAILED;
    if (status == DX_OK)
        result = dx_print_output(dx_buffer_slice(&text));
    else
        fprintf(stderr, "%s: %s\n", path, dx_status_title(status));
    dx_buffer_deinit(&text);
    return result;
}

static int run_check(int argc, char **argv) {
    return inspect(&dx_cmd_check, argc, argv, say_ok);
}

static int run_openapi(int argc, char **argv) {
    return inspect(&dx_cmd_openapi, argc, argv, print_openapi);
}

const dx_command dx_cmd_check = {
    "check",
    "say everything that is wrong with a definition",
    "Usage: duplex check FILE\n\n"
    "Reads FILE as `serve` would, and tells every error with file, line, column and JSON pointer. Serves and stores nothing.\n"
    "Exit status: 0 when `serve` would accept it, 3 when not.\n\n"
    "Example:\n"
    "  duplex check shop.json && duplex serve shop.json\n",
    run_check,
};

const dx_command dx_cmd_openapi = {
    "openapi",
    "print a definition's OpenAPI 3.1 document",
    "Usage: duplex openapi FILE\n\n"
    "Prints the OpenAPI 3.1 document that a server of FILE answers at /openapi.json.\n\n"
    "Example:\n"
    "  duplex openapi shop.json > openapi.json\n",
    run_openapi,
};
