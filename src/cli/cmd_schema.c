// `duplex schema`: the JSON Schema of the whole definition, made from the rooms' own schemas: for editors, and as the reference.
#include <stdio.h>

#include "cli/command.h"
#include "server/app.h"

#define SCHEMA_CAP (16u << 20)

static int run(int argc, char **argv) {
    int operands, result = DX_EXIT_FAILED;
    if (!dx_options_read(&dx_cmd_schema, argc, argv, NULL, 0, &operands)) return DX_EXIT_USAGE;
    if (operands) return dx_usage_error(&dx_cmd_schema, "takes no arguments, found \"%s\"", argv[1]);
    size_t count;
    const dx_section *const *sections = dx_app_sections(&count);
    dx_buffer text;
    dx_buffer_init(&text, NULL, SCHEMA_CAP);
    dx_status status = dx_definition_schema(&text, sections, count);
    if (status == DX_OK)
        result = dx_print_output(dx_buffer_slice(&text));
    else
        fprintf(stderr, "duplex: %s\n", dx_status_title(status));
    dx_buffer_deinit(&text);
    return result;
}

const dx_command dx_cmd_schema = {
    "schema",
    "print the JSON Schema of definitions",
    "Usage: duplex schema\n\n"
    "Prints the JSON Schema (draft 2020-12) of a definition: every section, every setting, its default and what it means. Point an\n"
    "editor at it for completion and checks while typing.\n\n"
    "Example:\n"
    "  duplex schema > duplex.schema.json     # then, in a definition: \"$schema\": \"./duplex.schema.json\"\n",
    run,
};
