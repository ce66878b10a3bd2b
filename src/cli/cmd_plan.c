// `duplex plan`: what would change if a running server took its definition anew, or from one definition to another.
#include <stdio.h>

#include "cli/ask_server.h"
#include "server/app.h"

#define PLAN_ARENA_CAP ((size_t)256 << 20)
#define JSON_CAP       (64u << 20)
#define EXIT_CHANGES   4 // with --detailed-exitcode

typedef struct plan_options {
    const char *pid;
    int json, detailed;
} plan_options;

// --- the plan as JSON: from a server, or made here ---------------------------------------------------------------------------

static int load(dx_app **out, const char *path, dx_arena *arena) {
    dx_diags findings;
    dx_diags_init(&findings, arena);
    dx_app_options options = {.path = path, .workers = 1, .offline = true};
    dx_status status = dx_app_create(out, &options, &findings);
    if (status == DX_OK) return DX_EXIT_OK;
    dx_print_findings(&findings);
    fprintf(stderr, "%s: %zu %s\n", path, findings.count, findings.count == 1 ? "error" : "errors");
    return DX_EXIT_REFUSED;
}

static int compare_files(yyjson_val **out, const char *before, const char *after, dx_arena *arena) {
    dx_app *old = NULL, *next = NULL;
    yyjson_mut_doc *doc = dx_json_mut_doc(arena);
    yyjson_mut_val *root = doc ? yyjson_mut_obj(doc) : NULL;
    int result = load(&old, before, arena);
    if (result == DX_EXIT_OK) result = load(&next, after, arena);
    if (result == DX_EXIT_OK && (!root || dx_app_plan(old, next, arena, doc, root) != DX_OK)) result = DX_EXIT_FAILED;
    if (result == DX_EXIT_OK) {
        yyjson_alc alc = dx_json_alc(arena);
        yyjson_mut_doc_set_root(doc, root);
        yyjson_doc *made = yyjson_mut_doc_imut_copy(doc, &alc);
        *out = made ? yyjson_doc_get_root(made) : NULL;
    }
    if (result == DX_EXIT_FAILED || (result == DX_EXIT_OK && !*out)) fputs("duplex plan: out of memory\n", stderr), result = DX_EXIT_FAILED;
    dx_app_destroy(next);
    dx_app_destroy(old);
    return result;
}

static int ask(yyjson_val **out, const char *path, const char *pid, dx_arena *arena) {
    yyjson_val *answer;
    int result = dx_ask_server(&answer, &dx_cmd_plan, path, pid, "{\"do\":\"plan\"}\n", arena);
    if (!answer) return result;
    if (!yyjson_get_bool(yyjson_obj_get(answer, "ok"))) return dx_tell_refusal(answer, "a reload would be refused");
    *out = answer;
    return DX_EXIT_OK;
}

// --- telling it --------------------------------------------------------------------------------------------------------------

static const char *text_of(yyjson_val *change, const char *name) {
    const char *text = yyjson_get_str(yyjson_obj_get(change, name));
    return text ? text : "";
}

static void print_change(yyjson_val *change) {
    const char *kind = text_of(change, "change"), *before = text_of(change, "before"), *after = text_of(change, "after");
    const char *effect = text_of(change, "effect"), *note = text_of(change, "note");
    printf("%c %s", kind[0] == 'a' ? '+' : kind[0] == 'r' ? '-' : '~', text_of(change, "pointer"));
    if (before[0] && after[0])
        printf(": %s → %s", before, after);
    else if (before[0] || after[0])
        printf(": %s%s", before, after);
    printf("\n    %s%s",
           effect[0] == 'o'   ? "online"
           : effect[0] == 't' ? "online; changes tables"
                              : "needs `duplex upgrade` or a restart",
           yyjson_get_bool(yyjson_obj_get(change, "breaking")) ? "; breaking for clients" : "");
    printf("%s%s\n", note[0] ? ": " : "", note);
}

static void print_plan(yyjson_val *plan) {
    yyjson_val *changes = yyjson_obj_get(plan, "changes"), *change;
    size_t at, shown, breaking = 0, process = 0;
    uint64_t count = yyjson_get_uint(yyjson_obj_get(plan, "count"));
    yyjson_arr_foreach(changes, at, shown, change) {
        print_change(change);
        breaking += yyjson_get_bool(yyjson_obj_get(change, "breaking"));
        process += text_of(change, "effect")[0] == 'p';
    }
    if (count == 0)
        puts("nothing changes");
    else
        printf("%llu %s: %zu breaking for clients, %zu for a new process alone\n", (unsigned long long)count,
               count == 1 ? "change" : "changes", breaking, process);
}

static int print_json(yyjson_val *plan) {
    dx_buffer text;
    dx_buffer_init(&text, NULL, JSON_CAP);
    DX_BUFFER_LIT(&text, "{\"count\":");
    dx_buffer_u64(&text, yyjson_get_uint(yyjson_obj_get(plan, "count")));
    DX_BUFFER_LIT(&text, ",\"changes\":");
    dx_json_write_value(&text, yyjson_obj_get(plan, "changes"));
    DX_BUFFER_LIT(&text, "}\n");
    int result = dx_buffer_status(&text) == DX_OK ? dx_print_output(dx_buffer_slice(&text)) : DX_EXIT_FAILED;
    dx_buffer_deinit(&text);
    return result;
}

static int tell(yyjson_val *plan, const plan_options *options) {
    int result = DX_EXIT_OK;
    if (options->json)
        result = print_json(plan);
    else
        print_plan(plan);
    bool changes = yyjson_get_uint(yyjson_obj_get(plan, "count")) > 0;
    return result == DX_EXIT_OK && options->detailed && changes ? EXIT_CHANGES : result;
}

static int run(int argc, char **argv) {
    plan_options options = {0};
    yyjson_val *plan = NULL;
    int operands;
    const dx_option known[] = {
        {"--pid", &options.pid, NULL}, {"--json", NULL, &options.json}, {"--detailed-exitcode", NULL, &options.detailed}};
    if (!dx_options_read(&dx_cmd_plan, argc, argv, known, DX_COUNT_OF(known), &operands)) return DX_EXIT_USAGE;
    if (operands > 2 || (operands == 0 && !options.pid)) return dx_usage_error(&dx_cmd_plan, "expected one or two definition files");
    if (operands == 2 && options.pid) return dx_usage_error(&dx_cmd_plan, "--pid is for a server, and two files need none");
    dx_arena *arena = dx_arena_create(PLAN_ARENA_CAP);
    if (!arena) {
        fputs("duplex: out of memory\n", stderr);
        return DX_EXIT_FAILED;
    }
    int result = operands == 2 ? compare_files(&plan, argv[1], argv[2], arena) : ask(&plan, operands ? argv[1] : NULL, options.pid, arena);
    if (plan) result = tell(plan, &options);
    dx_arena_destroy(arena);
    return result;
}

const dx_command dx_cmd_plan = {
    "plan",
    "say what a new definition would change",
    "Usage: duplex plan FILE [--pid PID] [--json] [--detailed-exitcode]\n"
    "       duplex plan OLD NEW [--json] [--detailed-exitcode]\n\n"
    "Compares what the running server of FILE serves with FILE as it is now (the server reads it, with its own environment), or two\n"
    "definitions without a server. Order, spelling and defaults that are written out make no difference. Each change says whether a\n"
    "reload does it, with or without changing tables, or only a new process, and whether clients that worked may break. Values of\n"
    "secrets are not shown. Nothing is changed.\n\n"
    "  --pid PID            which server, where several serve FILE\n"
    "  --json               as one JSON object: {\"count\", \"changes\": [{\"pointer\", \"change\", \"before\", \"after\", \"effect\",\n"
    "                       \"breaking\", \"note\"}]}\n"
    "  --detailed-exitcode  exit with 4 when there are changes\n\n"
    "Exit status: 0 done, 1 no server was found or it could not say, 2 wrong usage, 3 it would be refused, for the reasons printed, 4 see "
    "above.\n\n"
    "Example:\n"
    "  duplex plan shop.json && duplex reload shop.json\n",
    run,
};
