// `duplex call`: a request to an API that a definition describes. This file reads the words; what is done with them is in call_*.c.
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cli/cli_call.h"
#include "client/fail.h"
#include "duplex/transport.h"

#define AT_ONCE_CAP 10000

// --- words -----------------------------------------------------------------------------------------------------------------------------

// GET, POST, …: an API's name may be written like that, but then it has a dot behind it.
static bool is_method(const char *word) {
    return dx_method_parse(dx_slice_str(word)) != DX_METHOD_UNKNOWN;
}

static int read_operands(dx_cli_call *call, char **words, size_t count) {
    if (count < 2) return dx_usage_error(&dx_cmd_call, "expected a definition file and API.ENDPOINT, or METHOD API /PATH");
    call->file = words[0];
    if (!is_method(words[1])) {
        call->endpoint = words[1];
        return dx_cli_items_read(call, words + 2, count - 2);
    }
    if (count < 4) return dx_usage_error(&dx_cmd_call, "behind %s, expected an API and a path", words[1]);
    call->method = words[1];
    call->api = words[2];
    call->path = words[3];
    return dx_cli_items_read(call, words + 4, count - 4);
}

static bool read_count(const char *text, uint64_t most, uint64_t *out) {
    return !text || (dx_slice_to_u64(dx_slice_str(text), out) && *out >= 1 && *out <= most);
}

static int read_output(dx_cli_call *call) {
    call->format_given = call->format != NULL;
    if (call->format && !dx_output_format_read(&call->out.format, call->format))
        return dx_usage_error(&dx_cmd_call, "-o takes json, yaml, table, ndjson or raw, not \"%s\"", call->format);
    if (!dx_output_color_read(&call->out.color, call->color, STDOUT_FILENO))
        return dx_usage_error(&dx_cmd_call, "--color takes auto, always or never, not \"%s\"", call->color);
    if (call->query && call->query[0] && call->query[0] != '/')
        return dx_usage_error(&dx_cmd_call, "--query takes a JSON pointer, as in /items/0/name, not \"%s\"", call->query);
    if (call->query) call->out.query = dx_slice_str(call->query);
    call->out.width = dx_output_width(STDOUT_FILENO);
    return DX_EXIT_OK;
}

static int check_together(const dx_cli_call *call) {
    if (call->dry_run + call->curl + call->explain > 1)
        return dx_usage_error(&dx_cmd_call, "of --dry-run, --curl and --explain, only one can be given");
    if (call->output && (call->format || call->query))
        return dx_usage_error(&dx_cmd_call, "--output takes the answer as it comes, without -o and --query");
    if (call->repeat && (call->output || call->query || call->include))
        return dx_usage_error(&dx_cmd_call, "--repeat prints a summary: --output, --query and --include go with one call");
    if (call->all_pages && (call->repeat || call->output || call->include || !call->endpoint))
        return dx_usage_error(&dx_cmd_call, "--all-pages goes with an endpoint, and without --repeat, --output and --include");
    if (call->record && call->replay) return dx_usage_error(&dx_cmd_call, "a call is recorded or replayed, not both");
    if (call->concurrency && !call->repeat) return dx_usage_error(&dx_cmd_call, "--concurrency goes with --repeat");
    return DX_EXIT_OK;
}

static int read_words(dx_cli_call *call, int argc, char **argv) {
    int operands;
    const dx_option options[] = {
        {"-o", &call->format, NULL},         {"--query", &call->query, NULL},         {"--color", &call->color, NULL},
        {"-i", NULL, &call->include},        {"--include", NULL, &call->include},     {"--output", &call->output, NULL},
        {"--dry-run", NULL, &call->dry_run}, {"--curl", NULL, &call->curl},           {"--explain", NULL, &call->explain},
        {"--repeat", &call->repeat, NULL},   {"--timeout", &call->timeout, NULL},     {"--concurrency", &call->concurrency, NULL},
        {"--verbose", NULL, &call->verbose}, {"--all-pages", NULL, &call->all_pages}, {"--record", &call->record, NULL},
        {"--replay", &call->replay, NULL},
    };
    if (!dx_options_take(&dx_cmd_call, &argc, argv, "--set", call->sets, DX_CLI_REPEAT_CAP, &call->set_count) ||
        !dx_options_take(&dx_cmd_call, &argc, argv, "--header", call->more_headers, DX_CLI_REPEAT_CAP, &call->more_header_count) ||
        !dx_options_read(&dx_cmd_call, argc, argv, options, DX_COUNT_OF(options), &operands))
        return DX_EXIT_USAGE;
    call->times = call->at_once = 1;
    if (!read_count(call->repeat, UINT32_MAX, &call->times)) return dx_usage_error(&dx_cmd_call, "--repeat takes a number from 1");
    if (!read_count(call->concurrency, AT_ONCE_CAP, &call->at_once))
        return dx_usage_error(&dx_cmd_call, "--concurrency takes a number from 1 to %d", AT_ONCE_CAP);
    int result = read_operands(call, argv + 1, (size_t)operands);
    if (result == DX_EXIT_OK) result = check_together(call);
    return result == DX_EXIT_OK ? read_output(call) : result;
}

// --- the definition --------------------------------------------------------------------------------------------------------------------

static void print_log(void *context, dx_level level, const char *json, size_t size) {
    (void)context;
    (void)level;
    fprintf(stderr, "%.*s\n", (int)size, json);
}

// An error has room for one finding; a person wants them all.
static int refuse_definition(const dx_cli_call *call, const dx_error *error) {
    dx_apis *apis;
    dx_diags findings;
    dx_diags_init(&findings, call->arena);
    if (dx_apis_load(&apis, call->file, (dx_slice){0}, NULL, true, &findings) == DX_OK) dx_apis_release(apis);
    if (findings.first)
        dx_print_findings(&findings);
    else
        fprintf(stderr, "duplex call: %s\n", error->message);
    fprintf(stderr, "`duplex doctor %s` looks at all of it.\n", call->file);
    return DX_EXIT_REFUSED;
}

static dx_error_code make_transport(dx_cli_call *call, dx_error *error) {
    if (call->record) return dx_transport_record_create(&call->transport, call->record, NULL, error);
    if (call->replay) return dx_transport_replay_create(&call->transport, call->replay, error);
    return DX_ERROR_NONE;
}

static int open_definition(dx_cli_call *call) {
    dx_client_options options = DX_CLIENT_OPTIONS_INIT;
    dx_error error = DX_ERROR_INIT;
    if (call->verbose) {
        options.log = print_log;
        options.log_level = DX_LEVEL_DEBUG;
    }
    dx_error_code code = make_transport(call, &error);
    if (code) return dx_cli_tell_error(call, &error);
    options.transport = call->transport;
    code = dx_client_open_keeping(&call->client, call->file, &options, &error);
    if (code == DX_ERROR_CONFIG) return refuse_definition(call, &error);
    if (code) return dx_cli_tell_error(call, &error);
    call->apis = dx_client_apis(call->client);
    return DX_EXIT_OK;
}

static int find_target(dx_cli_call *call) {
    dx_error error = DX_ERROR_INIT;
    dx_slice near, name = dx_slice_str(call->endpoint ? call->endpoint : call->api);
    const dx_api *api = call->endpoint ? NULL : dx_apis_api(call->apis, name, &near);
    call->target = call->endpoint ? dx_apis_find(call->apis, name, &near) : api ? &api->plain : NULL;
    if (call->target) return DX_EXIT_OK;
    (void)dx_fail(&error, DX_ERROR_UNKNOWN_NAME, "there is no %s \"%.*s\"%s%.*s%s", call->endpoint ? "endpoint" : "API", DX_SLICE_ARG(name),
                  near.size ? "; did you mean \"" : "", DX_SLICE_ARG(near), near.size ? "\"?" : "");
    return dx_cli_tell_error(call, &error);
}

// --- doing it --------------------------------------------------------------------------------------------------------------------------

static int act(dx_cli_call *call) {
    if (call->dry_run) return dx_cli_print_request(call);
    if (call->curl) return dx_cli_print_curl(call);
    if (call->explain) return dx_cli_print_explanation(call);
    if (!dx_cli_watch_start(&call->watch)) {
        perror("duplex call");
        return DX_EXIT_FAILED;
    }
    return call->repeat ? dx_cli_repeat(call) : call->all_pages ? dx_cli_pages(call) : dx_cli_run(call);
}

static int run_call(dx_cli_call *call, int argc, char **argv) {
    int result = read_words(call, argc, argv);
    if (result == DX_EXIT_OK) result = open_definition(call);
    if (result == DX_EXIT_OK) result = find_target(call);
    if (result == DX_EXIT_OK) result = dx_cli_items_resolve(call);
    return result == DX_EXIT_OK ? act(call) : result;
}

static int run(int argc, char **argv) {
    dx_arena *arena = dx_arena_create(DX_CLI_ARENA_CAP);
    dx_cli_call *call = arena ? DX_ARENA_NEW(arena, dx_cli_call) : NULL;
    int result = DX_EXIT_FAILED;
    if (call) {
        call->arena = arena;
        call->watch = (dx_cli_watch){-1, -1};
        result = run_call(call, argc, argv);
        dx_apis_release(call->apis);
        dx_client_close(call->client);
        dx_transport_destroy(call->transport);
        dx_cli_watch_stop(&call->watch);
    } else {
        fputs("duplex call: out of memory\n", stderr);
    }
    dx_arena_destroy(arena);
    return result;
}

const dx_command dx_cmd_call = {
    "call",
    "call an API that a definition describes",
    "Usage: duplex call FILE NAME [ITEM]...\n"
    "       duplex call FILE METHOD API PATH [ITEM]...\n\n"
    "Calls the endpoint NAME (api.endpoint or api.version.endpoint) of FILE, or sends a plain request (GET, POST, …) to a path below an\n"
    "API's base URL, with all that FILE says of auth, limits, retries and the like. The answer is printed on standard output, all else\n"
    "on standard error. `duplex apis FILE` lists what can be called.\n\n"
    "An ITEM is one of:\n"
    "  NAME=VALUE    a parameter; what it is converted to, its type says\n"
    "  NAME:=JSON    a parameter as JSON: count:=5, tags:='[\"a\",\"b\"]'\n"
    "  NAME=@FILE    what is in a file, or for parameters of the type file the file itself, in a multipart form\n"
    "  HEADER:VALUE  a header of this request\n"
    "  @FILE or -    the whole body is what is in a file, or comes by standard input\n\n"
    "The answer:\n"
    "  -o json|yaml|table|ndjson|raw  in which form (default: json, and what is none as it came)\n"
    "  --query POINTER          only the part that a JSON pointer selects: /items/0/name\n"
    "  --all-pages              the items of all pages as one list; ndjson and raw are printed as they come\n"
    "  -i, --include            status and headers too, on standard error\n"
    "  --output FILE            into a file, in pieces; it takes its name once it is whole\n"
    "  --color auto|always|never  whether to colour (default: auto, on a terminal unless NO_COLOR is set)\n\n"
    "This call:\n"
    "  --timeout SECONDS        for all of it: queue, limiter, tokens, every attempt and the body\n"
    "  --header HEADER          HEADER:VALUE, as the item; may be repeated\n"
    "  --set SETTING            a setting of the definition, for this call: retry.attempts=5 or /retry/attempts=5; may be repeated\n"
    "  --verbose                the library's log on standard error\n"
    "  --record DIR             what is sent and answered goes into files too, without secrets\n"
    "  --replay DIR             the answers come from such files; nothing is sent\n\n"
    "Instead of calling; nothing is sent:\n"
    "  --dry-run                print the request, without secrets\n"
    "  --curl                   print a command of curl's that sends it; secrets are variables in it\n"
    "  --explain                print where each value comes from, and what retries, cache, limits and proxy would do\n\n"
    "Many calls:\n"
    "  --repeat N               call N times and print a summary: counts, failures, latencies, rate\n"
    "  --concurrency N          so many at a time (default: 1)\n\n"
    "Exit status: 0 done, 1 it failed (network and all else), 2 wrong usage, 3 the definition was refused, 4 the server answered 4xx,\n"
    "5 it answered 5xx, 6 no credential could be had, 7 a timeout, 8 rate limited, circuit open or queue full, 9 request or answer does\n"
    "not obey its model, 130 interrupted.\n\n"
    "Examples:\n"
    "  duplex call examples/github.json github.get_user username=octocat\n"
    "  duplex call examples/github.json github.list_repos username=octocat sort=pushed -o table\n"
    "  duplex call examples/github.json GET github /rate_limit --query /rate/remaining\n"
    "  duplex call shop-api.json shop.create_item title=Lamp price:=12.5 --dry-run\n",
    run,
};
