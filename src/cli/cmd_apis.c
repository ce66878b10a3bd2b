// `duplex apis`: what a definition can call. Needs no network and no secrets: a variable that is not set is told, and passed over.
#include <stdio.h>
#include <unistd.h>

#include "cli/apis_show.h"
#include "cli/command.h"
#include "cli/output.h"

#define ARENA_CAP ((size_t)1 << 30)
#define TEXT_CAP  ((size_t)256 << 20)

typedef struct asking {
    const char *file, *name; // NULL: all APIs
    const char *format;
    dx_output_options out;
    dx_arena *arena;
    dx_unsets unsets;
    dx_apis *apis;
} asking;

// --- in lines ------------------------------------------------------------------------------------------------------------------

static dx_slice text_at(yyjson_val *object, const char *name) {
    return dx_json_member_slice(object, name);
}

static void write_head(dx_buffer *out, yyjson_val *api) {
    dx_slice title = text_at(api, "title");
    dx_buffer_printf(out, "%.*s%s%.*s\n  %.*s, auth: %.*s", DX_SLICE_ARG(text_at(api, "name")), title.size ? ": " : "", DX_SLICE_ARG(title),
                     DX_SLICE_ARG(text_at(api, "base_url")), DX_SLICE_ARG(text_at(api, "auth")));
}

static int columns_of(yyjson_val *list, const char *name) {
    size_t at, count, most = 0;
    yyjson_val *item;
    yyjson_arr_foreach(list, at, count, item) if (text_at(item, name).size > most) most = text_at(item, name).size;
    return most < 60 ? (int)most : 60;
}

static void write_endpoints(dx_buffer *out, yyjson_val *list) {
    size_t at, count;
    yyjson_val *item;
    int name = columns_of(list, "name"), path = columns_of(list, "path");
    dx_buffer_byte(out, '\n');
    yyjson_arr_foreach(list, at, count, item) dx_buffer_printf(
        out, "  %-*.*s  %-6s %-*.*s  %.*s\n", name, DX_SLICE_ARG(text_at(item, "name")), yyjson_get_str(yyjson_obj_get(item, "method")),
        path, DX_SLICE_ARG(text_at(item, "path")), DX_SLICE_ARG(text_at(item, "summary")));
}

static void write_api(dx_buffer *out, yyjson_val *api) {
    yyjson_val *endpoints = yyjson_obj_get(api, "endpoints");
    write_head(out, api);
    if (yyjson_is_arr(endpoints)) return write_endpoints(out, endpoints);
    uint64_t count = yyjson_get_uint(endpoints);
    dx_buffer_printf(out, ", %llu %s\n", (unsigned long long)count, count == 1 ? "endpoint" : "endpoints");
}

static void write_param(dx_buffer *out, yyjson_val *param, int columns) {
    yyjson_val *otherwise = yyjson_obj_get(param, "default"), *schema = yyjson_obj_get(param, "schema");
    dx_slice description = text_at(param, "description");
    dx_buffer_printf(out, "  %-*.*s  %-6.*s %-5.*s%s", columns, DX_SLICE_ARG(text_at(param, "name")), DX_SLICE_ARG(text_at(param, "in")),
                     DX_SLICE_ARG(text_at(param, "type")), yyjson_get_bool(yyjson_obj_get(param, "required")) ? " required" : "");
    if (yyjson_get_bool(yyjson_obj_get(param, "secret"))) DX_BUFFER_LIT(out, " secret");
    if (otherwise) {
        DX_BUFFER_LIT(out, " default ");
        dx_json_write_value(out, otherwise);
    }
    if (schema) {
        dx_buffer_byte(out, ' ');
        dx_json_write_value(out, schema);
    }
    dx_buffer_printf(out, "%s%.*s\n", description.size ? "  " : "", DX_SLICE_ARG(description));
}

static void write_model(dx_buffer *out, yyjson_val *endpoint, const char *name, const char *what) {
    yyjson_val *model = yyjson_obj_get(endpoint, name), *schema = yyjson_obj_get(model, "schema");
    if (!model) return;
    dx_buffer_printf(out, "\n%s: %.*s\n", what, DX_SLICE_ARG(text_at(model, "name")));
    if (!schema) return;
    DX_BUFFER_LIT(out, "  ");
    dx_json_write_value(out, schema);
    dx_buffer_byte(out, '\n');
}

static void write_endpoint(dx_buffer *out, yyjson_val *endpoint) {
    size_t at, count;
    yyjson_val *params = yyjson_obj_get(endpoint, "parameters"), *param;
    dx_slice summary = text_at(endpoint, "summary");
    dx_buffer_printf(out, "%.*s%s%.*s\n  %.*s %.*s%.*s\n  auth: %.*s\n", DX_SLICE_ARG(text_at(endpoint, "name")), summary.size ? ": " : "",
                     DX_SLICE_ARG(summary), DX_SLICE_ARG(text_at(endpoint, "method")), DX_SLICE_ARG(text_at(endpoint, "base_url")),
                     DX_SLICE_ARG(text_at(endpoint, "path")), DX_SLICE_ARG(text_at(endpoint, "auth")));
    if (yyjson_arr_size(params)) DX_BUFFER_LIT(out, "\nparameters:\n");
    yyjson_arr_foreach(params, at, count, param) write_param(out, param, columns_of(params, "name"));
    write_model(out, endpoint, "request_model", "body");
    write_model(out, endpoint, "response_model", "answer");
    dx_buffer_printf(out, "\nexample:\n  %.*s\n", DX_SLICE_ARG(text_at(endpoint, "example")));
}

static void write_lines(dx_buffer *out, yyjson_val *told) {
    size_t at, count;
    yyjson_val *api;
    if (yyjson_obj_get(told, "parameters")) return write_endpoint(out, told);
    if (yyjson_is_obj(told)) return write_api(out, told);
    yyjson_arr_foreach(told, at, count, api) write_api(out, api);
}

// --- finding it ----------------------------------------------------------------------------------------------------------------

static int refuse_name(const asking *a, dx_slice near) {
    fprintf(stderr, "duplex apis: there is no API and no endpoint \"%s\"%s%.*s%s\n`duplex apis %s` lists them all.\n", a->name,
            near.size ? "; did you mean \"" : "", DX_SLICE_ARG(near), near.size ? "\"?" : "", a->file);
    return DX_EXIT_USAGE;
}

// What was asked for; NULL: there is none, or no memory.
static yyjson_mut_val *show(const asking *a, const dx_apis_view *view, dx_slice *near) {
    dx_slice name = dx_slice_str(a->name);
    if (!name.size && view->apis->apis.count != 1) return dx_apis_show_all(view);
    size_t first = 0;
    const dx_map_entry *only = dx_map_next(&view->apis->apis, &first);
    const dx_api *api = name.size ? dx_apis_api(view->apis, name, near) : only->value;
    if (api) return dx_apis_show_api(view, api);
    const dx_endpoint *endpoint = dx_apis_find(view->apis, name, dx_slice_find(name, '.') == SIZE_MAX ? NULL : near);
    return endpoint ? dx_apis_show_endpoint(view, endpoint) : NULL;
}

static int print(const asking *a, yyjson_mut_val *told) {
    yyjson_alc alc = dx_json_alc(a->arena);
    yyjson_doc *fixed = yyjson_mut_val_imut_copy(told, &alc);
    dx_buffer text;
    dx_status status = fixed ? DX_OK : DX_NO_MEMORY;
    dx_buffer_init(&text, a->arena, TEXT_CAP);
    if (fixed && a->format)
        status = dx_output_value(&text, a->arena, yyjson_doc_get_root(fixed), &a->out);
    else if (fixed)
        write_lines(&text, yyjson_doc_get_root(fixed));
    if (status == DX_OK) status = dx_buffer_status(&text);
    if (status == DX_OK) return dx_print_output(dx_buffer_slice(&text));
    fprintf(stderr, "duplex apis: %s\n", dx_status_title(status));
    return DX_EXIT_FAILED;
}

static int tell(asking *a) {
    dx_slice near = {0};
    dx_apis_view view = {a->file, a->apis, &a->unsets, a->arena, dx_json_mut_doc(a->arena)};
    yyjson_mut_val *told = view.doc ? show(a, &view, &near) : NULL;
    if (!told) return refuse_name(a, near);
    for (const dx_unset *unset = a->unsets.first; unset; unset = unset->next)
        fprintf(stderr, "duplex apis: the variable %.*s is not set (%.*s)\n", DX_SLICE_ARG(unset->name), DX_SLICE_ARG(unset->pointer));
    return print(a, told);
}

static int load(asking *a) {
    dx_diags findings;
    dx_definition_options options = {.missing = dx_unsets_add, .ctx = &a->unsets};
    dx_diags_init(&findings, a->arena);
    dx_unsets_init(&a->unsets, a->arena);
    if (dx_apis_load(&a->apis, a->file, (dx_slice){0}, &options, true, &findings) == DX_OK) return DX_EXIT_OK;
    dx_print_findings(&findings);
    fprintf(stderr, "%s: %zu %s\n", a->file, findings.count, findings.count == 1 ? "error" : "errors");
    return DX_EXIT_REFUSED;
}

static int run_asking(asking *a, int argc, char **argv) {
    int operands;
    const char *color = NULL;
    const dx_option options[] = {{"-o", &a->format, NULL}, {"--color", &color, NULL}};
    if (!dx_options_read(&dx_cmd_apis, argc, argv, options, DX_COUNT_OF(options), &operands)) return DX_EXIT_USAGE;
    if (operands < 1 || operands > 2) return dx_usage_error(&dx_cmd_apis, "expected a definition file, and perhaps a name");
    if (a->format && !dx_output_format_read(&a->out.format, a->format))
        return dx_usage_error(&dx_cmd_apis, "-o takes json, yaml, table, ndjson or raw, not \"%s\"", a->format);
    if (!dx_output_color_read(&a->out.color, color, STDOUT_FILENO))
        return dx_usage_error(&dx_cmd_apis, "--color takes auto, always or never, not \"%s\"", color);
    a->out.width = dx_output_width(STDOUT_FILENO);
    a->file = argv[1];
    a->name = operands == 2 ? argv[2] : NULL;
    int result = load(a);
    return result == DX_EXIT_OK ? tell(a) : result;
}

static int run(int argc, char **argv) {
    asking a = {.arena = dx_arena_create(ARENA_CAP)};
    if (!a.arena) {
        fputs("duplex apis: out of memory\n", stderr);
        return DX_EXIT_FAILED;
    }
    int result = run_asking(&a, argc, argv);
    dx_apis_release(a.apis);
    dx_arena_destroy(a.arena);
    return result;
}

const dx_command dx_cmd_apis = {
    "apis",
    "list what a definition can call",
    "Usage: duplex apis FILE [NAME]\n\n"
    "Lists the APIs of FILE; with the name of one its endpoints; with the name of an endpoint its parameters, its models and an example.\n"
    "Nothing is sent. A variable that is not set is told on standard error, and does not matter here.\n\n"
    "  -o json|yaml|table|ndjson|raw  as data, in which form\n"
    "  --color auto|always|never      whether to colour (default: auto)\n\n"
    "Exit status: 0 done, 2 wrong usage or no such name, 3 the definition was refused.\n\n"
    "Examples:\n"
    "  duplex apis examples/github.json\n"
    "  duplex apis examples/github.json github.list_repos\n"
    "  duplex apis shop.json -o json\n",
    run,
};
