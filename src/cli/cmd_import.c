// `duplex import`: an API that somebody else described becomes a definition.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "cli/command.h"
#include "cli/document_fetch.h"
#include "client/import.h"

#define IMPORT_ARENA_CAP ((size_t)4 << 30)
#define DEFINITION_CAP   ((size_t)512 << 20)

typedef struct import_options {
    const char *name, *out, *base_url;
} import_options;

static int failed(const char *what, const char *why) {
    fprintf(stderr, "duplex import: %s: %s\n", what, why);
    return DX_EXIT_FAILED;
}

// A new file, whole or not at all.
static int write_file(const char *path, dx_slice text) {
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (fd < 0 && errno == EEXIST) {
        fprintf(stderr, "duplex import: %s is there already, and is left alone\n", path);
        return DX_EXIT_REFUSED;
    }
    if (fd < 0) return failed(path, strerror(errno));
    while (text.size) {
        ssize_t written = write(fd, text.data, text.size);
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) break;
        text = dx_slice_from(text, (size_t)written);
    }
    int error = errno;
    if (close(fd) == 0 && !text.size) return DX_EXIT_OK;
    if (!text.size) error = errno;
    (void)unlink(path);
    return failed(path, strerror(error));
}

static int write_definition(const import_options *options, yyjson_mut_doc *definition, dx_arena *arena) {
    dx_buffer text;
    dx_buffer_init(&text, arena, DEFINITION_CAP);
    dx_json_write_mut(&text, yyjson_mut_doc_get_root(definition), true);
    dx_buffer_byte(&text, '\n');
    if (dx_buffer_status(&text) != DX_OK) return failed("the definition", dx_status_title(dx_buffer_status(&text)));
    return options->out ? write_file(options->out, dx_buffer_slice(&text)) : dx_print_output(dx_buffer_slice(&text));
}

static void sum_up(const dx_import_counts *counts, size_t findings) {
    fprintf(stderr, "imported %zu %s, %zu %s", counts->endpoints, counts->endpoints == 1 ? "endpoint" : "endpoints", counts->models,
            counts->models == 1 ? "model" : "models");
    if (findings)
        fprintf(stderr, "; %zu %s to look at\n", findings, findings == 1 ? "thing" : "things");
    else
        fputc('\n', stderr);
}

static int import_openapi(const import_options *options, const char *source, dx_arena *arena) {
    dx_document document;
    dx_diags findings;
    dx_import_counts counts;
    yyjson_mut_doc *definition;
    int result = dx_document_read(&document, arena, source, DX_IMPORT_DEPTH_CAP, dx_document_fetch_url);
    if (result != DX_EXIT_OK) return result;
    dx_diags_init(&findings, arena);
    const dx_import_options how = {dx_slice_str(options->name), dx_slice_str(options->base_url), document.url};
    dx_status status = dx_import_openapi(&definition, &counts, arena, document.root, &how, &findings);
    dx_document_locate(&document, arena, &findings);
    dx_print_findings(&findings);
    if (status == DX_NO_MEMORY) return failed(source, "out of memory");
    if (status != DX_OK) return DX_EXIT_REFUSED;
    result = write_definition(options, definition, arena);
    if (result == DX_EXIT_OK) sum_up(&counts, findings.count);
    return result;
}

static int run(int argc, char **argv) {
    import_options options = {0};
    int operands;
    const dx_option known[] = {{"--name", &options.name, NULL}, {"--out", &options.out, NULL}, {"--base-url", &options.base_url, NULL}};
    if (!dx_options_read(&dx_cmd_import, argc, argv, known, DX_COUNT_OF(known), &operands)) return DX_EXIT_USAGE;
    if (operands != 2) return dx_usage_error(&dx_cmd_import, "expected a kind of document (openapi) and a file");
    if (strcmp(argv[1], "openapi") != 0) return dx_usage_error(&dx_cmd_import, "there is no kind \"%s\"; openapi is one", argv[1]);
    dx_arena *arena = dx_arena_create(IMPORT_ARENA_CAP);
    if (!arena) return failed(argv[2], "out of memory");
    int result = import_openapi(&options, argv[2], arena);
    dx_arena_destroy(arena);
    return result;
}

const dx_command dx_cmd_import = {
    "import",
    "make a definition of an OpenAPI document",
    "Usage: duplex import openapi FILE|URL [--name NAME] [--out FILE] [--base-url URL]\n\n"
    "Reads FILE (- is standard input) or what a URL (http, https; 32 MiB at most) leads to, an OpenAPI document of version 3.0 or 3.1 in "
    "JSON or YAML, and prints a definition whose\n"
    "section `apis` describes the API and whose `models` are its schemas. Secrets become variables (${NAME_TOKEN}).\n"
    "What a definition has no place for is told on standard error, with its place in the document.\n\n"
    "  --name NAME      what to call the API (default: made of its title)\n"
    "  --out FILE       the file to write to; one that is there is left alone\n"
    "  --base-url URL   where the API is, when the document does not say\n\n"
    "Exit status: 0 done, 1 it did not work, 2 wrong usage, 3 the document can't be taken or the file is there already.\n\n"
    "Examples:\n"
    "  duplex import openapi openapi.yaml --name shop --out shop-api.json\n"
    "  duplex import openapi https://api.example.com/openapi.json --out api.json\n"
    "  duplex openapi shop.json | duplex import openapi - --base-url http://localhost:8080\n",
    run,
};
