// The input is a definition and, behind a line of "----", the file part.json that it may refer to. Whatever is refused says why and where;
// what is accepted is complete: written out and loaded again it is the same, with no variable, reference or default left to follow.
#include <dirent.h>
#include <string.h>
#include <unistd.h>

#include "config/definition.h"
#include "fuzz.h"

static const dx_section models = {"models", "{\"type\":\"object\",\"additionalProperties\":{\"type\":[\"object\",\"boolean\"]}}", false,
                                  NULL};
static const dx_section server = {
    "server",
    "{\"type\":\"object\",\"additionalProperties\":false,\"properties\":{\"listen\":{\"type\":\"string\",\"default\":\"h:1\"},"
    "\"workers\":{\"type\":\"integer\",\"minimum\":0},\"fast\":{\"type\":\"boolean\"},\"idle\":{\"$ref\":\"#/$defs/"
    "time\",\"default\":\"1s\"},"
    "\"mode\":{\"enum\":[\"development\",\"production\"]},\"list\":{\"type\":\"array\",\"items\":{\"properties\":{\"a\":{\"default\":[{}]}}"
    "}},"
    "\"inner\":{\"type\":\"object\",\"default\":{},\"properties\":{\"n\":{\"type\":[\"number\",\"null\"],\"default\":null}}}},"
    "\"$defs\":{\"time\":{\"type\":\"string\",\"pattern\":\"" DX_DURATION_PATTERN "\"}}}",
    false, NULL};
static const dx_section *const sections[] = {&models, &server};

static char folder[] = "/tmp/dx-fuzz-XXXXXX";
static char main_path[64], part_path[64];

static void clean_up(void) {
    unlink(main_path);
    unlink(part_path);
    rmdir(folder);
}

static void make_folder(void) {
    if (main_path[0]) return;
    FUZZ_CHECK(mkdtemp(folder) != NULL);
    snprintf(main_path, sizeof main_path, "%s/main.json", folder);
    snprintf(part_path, sizeof part_path, "%s/part.json", folder);
    atexit(clean_up);
}

static void write_file(const char *path, dx_slice text) {
    FILE *file = fopen(path, "wb");
    FUZZ_CHECK(file != NULL && fwrite(text.data ? text.data : "", 1, text.size, file) == text.size);
    fclose(file);
}

static const char *variable(void *ctx, const char *name) {
    (void)ctx;
    return strcmp(name, "A") == 0 ? "1" : strcmp(name, "B") == 0 ? "true" : NULL;
}

static dx_status load(dx_definition **out, dx_diags *diags) {
    dx_definition_options options = {.variable = variable};
    dx_status status = dx_definition_load(out, main_path, sections, DX_COUNT_OF(sections), &options, diags);
    FUZZ_CHECK((status == DX_OK) == (*out != NULL));
    return status;
}

static void check_findings(const dx_diags *diags) {
    for (const dx_diag *diag = diags->first; diag; diag = diag->next) {
        FUZZ_CHECK(diag->message.size > 0 && dx_slice_starts(diag->file, dx_slice_str(folder)));
        FUZZ_CHECK(diag->pointer.size == 0 || diag->line > 0);
    }
}

static void check_complete(dx_definition *definition, dx_arena *arena) {
    dx_buffer text;
    dx_buffer_init(&text, arena, 64u << 20);
    dx_json_write_value(&text, dx_definition_root(definition));
    FUZZ_CHECK(dx_buffer_status(&text) == DX_OK);
    if (text.size && memmem(text.data, text.size, "${", 2)) return; // written as "$${", it would be read as a variable now
    write_file(main_path, dx_buffer_slice(&text));
    dx_diags diags;
    dx_definition *again;
    dx_diags_init(&diags, arena);
    FUZZ_CHECK(load(&again, &diags) == DX_OK);
    FUZZ_CHECK(dx_json_equal(dx_definition_root(definition), dx_definition_root(again)));
    dx_definition_destroy(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char mark[] = "\n----\n";
    if (size > 16 * 1024) return 0;
    make_folder();
    dx_slice text = {(const char *)data, size};
    const char *cut = size ? memmem(data, size, mark, sizeof mark - 1) : NULL;
    size_t first = cut ? (size_t)(cut - text.data) : size;
    write_file(main_path, dx_slice_of(text.data, first));
    write_file(part_path, cut ? dx_slice_from(text, first + sizeof mark - 1) : DX_SLICE("{}"));
    dx_arena *arena = dx_arena_create(256u << 20);
    dx_definition *definition;
    dx_diags diags;
    dx_diags_init(&diags, arena);
    dx_status status = load(&definition, &diags);
    FUZZ_CHECK(status == DX_OK || status == DX_INVALID || status == DX_MALFORMED || status == DX_TOO_LARGE || status == DX_NO_MEMORY);
    FUZZ_CHECK(status == DX_NO_MEMORY || (status == DX_OK) == (diags.count == 0));
    check_findings(&diags);
    if (definition) check_complete(definition, arena);
    dx_definition_destroy(definition);
    dx_arena_destroy(arena);
    return 0;
}
