// `duplex doctor`: what may keep calls from working, looked at one by one. It goes on where it can: a definition that is broken does not
// keep it from looking at keys and proxies.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/doctor.h"
#include "client/client.h"
#include "config/seal_keys.h"

#define ARENA_CAP ((size_t)1 << 30)

void dx_doctor_say(dx_doctor *doctor, dx_finding finding, const char *remedy, const char *format, ...) {
    static const char *const words[] = {"ok  ", "warn", "fail"};
    va_list args;
    va_start(args, format);
    dx_slice text = dx_arena_vprintf(doctor->arena, format, args);
    va_end(args);
    doctor->failed += finding == DX_FINDING_FAIL;
    doctor->warned += finding == DX_FINDING_WARN;
    printf("%s  %.*s\n", words[finding], DX_SLICE_ARG(text));
    if (remedy && *remedy) printf("      %s\n", remedy);
    fflush(stdout); // a check may take a while
}

// --- the definition --------------------------------------------------------------------------------------------------------------

static void say_findings(dx_doctor *d, const dx_diags *findings) {
    for (const dx_diag *diag = findings->first; diag; diag = diag->next) {
        dx_slice text = dx_diag_text(diag, d->arena);
        dx_doctor_say(d, DX_FINDING_FAIL, NULL, "%.*s", DX_SLICE_ARG(text));
    }
}

static void say_what_it_has(dx_doctor *d) {
    size_t apis = d->apis->apis.count, endpoints = 0;
    dx_map_entry *entry;
    for (size_t at = 0; (entry = dx_map_next(&d->apis->apis, &at));) endpoints += ((const dx_api *)entry->value)->endpoint_count;
    if (apis == 0)
        dx_doctor_say(d, DX_FINDING_WARN, "`duplex import openapi FILE` makes one of an OpenAPI document", "%s: has no APIs", d->file);
    else
        dx_doctor_say(d, DX_FINDING_OK, NULL, "%s: %zu %s, %zu %s", d->file, apis, apis == 1 ? "API" : "APIs", endpoints,
                      endpoints == 1 ? "endpoint" : "endpoints");
}

// What only opening a client finds: auth handlers, limits, breakers.
static void check_chains(dx_doctor *d) {
    dx_diags findings;
    dx_diags_init(&findings, d->arena);
    if (dx_client_check(d->apis->definition, &findings) == DX_NO_MEMORY) dx_doctor_say(d, DX_FINDING_FAIL, NULL, "out of memory");
    say_findings(d, &findings);
}

static void check_definition(dx_doctor *d) {
    dx_diags findings;
    dx_definition_options options = {.missing = dx_unsets_add, .ctx = &d->unsets};
    dx_diags_init(&findings, d->arena);
    dx_status status = dx_apis_load(&d->apis, d->file, (dx_slice){0}, &options, true, &findings);
    say_findings(d, &findings);
    if (status == DX_OK)
        say_what_it_has(d);
    else if (!findings.first)
        dx_doctor_say(d, DX_FINDING_FAIL, NULL, "%s: %s", d->file, dx_status_title(status));
    if (status == DX_OK && !d->unsets.first) check_chains(d);
}

static void check_variables(dx_doctor *d) {
    for (const dx_unset *unset = d->unsets.first; unset; unset = unset->next) {
        dx_slice remedy =
            dx_arena_printf(d->arena, "export %.*s=…, or write it into the .env beside the definition", DX_SLICE_ARG(unset->name));
        dx_doctor_say(d, DX_FINDING_FAIL, remedy.data, "the variable %.*s is not set (%.*s)", DX_SLICE_ARG(unset->name),
                      DX_SLICE_ARG(unset->pointer));
    }
    if (!d->unsets.first && d->apis) dx_doctor_say(d, DX_FINDING_OK, NULL, "variables: none is missing");
}

// --- keys ------------------------------------------------------------------------------------------------------------------------

static void check_keys(dx_doctor *d) {
    const char *list = getenv(DX_SEAL_KEYS_VARIABLE), *file = getenv(DX_SEAL_KEY_FILE_VARIABLE);
    dx_seal_fault fault = {0};
    dx_fernet_ring ring;
    dx_status status = DX_OK;
    if ((!list || !*list) && (!file || !*file))
        return dx_doctor_say(d, DX_FINDING_OK, NULL, "keys of sealed values: none in the environment");
    dx_fernet_ring_init(&ring);
    if (list && *list) status = dx_seal_keys_from_list(&ring, dx_slice_str(list), DX_SEAL_KEYS_VARIABLE, d->arena, &fault);
    if (status == DX_OK && file && *file) status = dx_seal_keys_from_file(&ring, file, d->arena, &fault);
    if (status == DX_OK)
        dx_doctor_say(d, DX_FINDING_OK, NULL, "keys of sealed values: %zu", (size_t)ring.count);
    else
        dx_doctor_say(d, DX_FINDING_FAIL, dx_arena_copy(d->arena, fault.remedy).data, "%.*s", DX_SLICE_ARG(fault.what));
    dx_fernet_ring_deinit(&ring);
}

// --- files -----------------------------------------------------------------------------------------------------------------------

static void check_readable(dx_doctor *d, const dx_api *api, const char *setting, const char *path) {
    if (!path) return;
    if (access(path, R_OK) == 0)
        dx_doctor_say(d, DX_FINDING_OK, NULL, "%.*s: %s %s can be read", DX_SLICE_ARG(api->name), setting, path);
    else
        dx_doctor_say(d, DX_FINDING_FAIL, "paths count from the working directory", "%.*s: %s %s: %s", DX_SLICE_ARG(api->name), setting,
                      path, strerror(errno));
}

// A file with a secret in it that is open to others.
static void check_private(dx_doctor *d, const dx_api *api, const char *what, const char *path, dx_finding finding) {
    struct stat about;
    if (!path || stat(path, &about) != 0) return;
    if ((about.st_mode & 077) == 0 && about.st_uid == geteuid()) return;
    dx_slice remedy = dx_arena_printf(d->arena, "chmod 600 %s", path);
    dx_doctor_say(d, finding, remedy.data, "%.*s: %s %s is open to others (mode %04o)", DX_SLICE_ARG(api->name), what, path,
                  (unsigned)(about.st_mode & 07777));
}

static void check_files(dx_doctor *d, const dx_api *api) {
    const dx_wire_settings *wire = &api->settings->wire;
    yyjson_val *store = yyjson_obj_get(api->settings->auth, "store");
    const char *tokens = yyjson_get_str(yyjson_obj_get(store, "path"));
    check_readable(d, api, "ca_file", wire->ca_file);
    check_readable(d, api, "client_certificate.certificate", wire->certificate);
    check_readable(d, api, "client_certificate.key", wire->key);
    check_private(d, api, "client_certificate.key", wire->key, DX_FINDING_WARN);
    check_private(d, api, "the store of its token", tokens, DX_FINDING_FAIL);
    if (!wire->verify_tls)
        dx_doctor_say(d, DX_FINDING_WARN, "with a certificate of your own, give ca_file instead",
                      "%.*s: verify_tls is off: anybody between can read and change all", DX_SLICE_ARG(api->name));
    if (!api->secure && api->settings->auth)
        dx_doctor_say(d, DX_FINDING_WARN, "use https://, unless it is this machine", "%.*s: its credential is sent without TLS",
                      DX_SLICE_ARG(api->name));
}

// --- proxies ---------------------------------------------------------------------------------------------------------------------

static bool is_proxy(const char *url) {
    static const char *const schemes[] = {"http://", "https://", "socks4://", "socks4a://", "socks5://", "socks5h://"};
    for (size_t i = 0; i < DX_COUNT_OF(schemes); i++)
        if (strncmp(url, schemes[i], strlen(schemes[i])) == 0) return true;
    return !strstr(url, "://"); // curl takes it for http
}

static void check_proxies(dx_doctor *d) {
    static const char *const names[] = {"http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"};
    bool any = false;
    for (size_t i = 0; i < DX_COUNT_OF(names); i++) {
        const char *value = getenv(names[i]);
        if (!value || !*value) continue;
        any = true;
        if (is_proxy(value))
            dx_doctor_say(d, DX_FINDING_OK, NULL, "proxy: %s is set%s", names[i],
                          getenv("no_proxy") || getenv("NO_PROXY") ? ", and no_proxy" : "");
        else
            dx_doctor_say(d, DX_FINDING_FAIL, "write it as http://HOST:PORT or socks5h://HOST:PORT", "proxy: %s is no URL of a proxy",
                          names[i]);
    }
    if (!any) dx_doctor_say(d, DX_FINDING_OK, NULL, "proxy: none in the environment");
}

// --- all of it -------------------------------------------------------------------------------------------------------------------

static void check_apis(dx_doctor *d) {
    dx_map_entry *entry;
    for (size_t at = 0; d->apis && (entry = dx_map_next(&d->apis->apis, &at));) {
        const dx_api *api = entry->value;
        check_files(d, api);
        if (d->online && api->authority.size) dx_doctor_reach(d, api);
    }
    if (!d->online) puts("      --online would look at names, connections, TLS and clocks, too");
}

static int examine(dx_doctor *d) {
    dx_unsets_init(&d->unsets, d->arena);
    check_definition(d);
    check_variables(d);
    check_keys(d);
    check_proxies(d);
    check_apis(d);
    if (d->failed || d->warned)
        printf("%u to be put right, %u to look at\n", d->failed, d->warned);
    else
        puts("all is well");
    return d->failed ? DX_EXIT_FAILED : DX_EXIT_OK;
}

static int run(int argc, char **argv) {
    dx_doctor d = {0};
    int operands;
    const dx_option options[] = {{"--online", NULL, &d.online}};
    if (!dx_options_read(&dx_cmd_doctor, argc, argv, options, DX_COUNT_OF(options), &operands)) return DX_EXIT_USAGE;
    if (operands != 1) return dx_usage_error(&dx_cmd_doctor, "expected one definition file, found %d", operands);
    d.file = argv[1];
    d.arena = dx_arena_create(ARENA_CAP);
    if (!d.arena) {
        fputs("duplex doctor: out of memory\n", stderr);
        return DX_EXIT_FAILED;
    }
    int result = examine(&d);
    dx_apis_release(d.apis);
    dx_arena_destroy(d.arena);
    return result;
}

const dx_command dx_cmd_doctor = {
    "doctor",
    "look for what keeps calls from working",
    "Usage: duplex doctor FILE [--online]\n\n"
    "Looks at the definition, its variables, the keys of sealed values, the files that it names and who can read them, and the proxies\n"
    "of the environment; every check says ok, warn or fail, and what to do. A broken definition is told and the rest looked at.\n\n"
    "  --online  reach every API, too: its name, connection and TLS, and whether its clock and this one agree; no credential is sent\n\n"
    "Exit status: 0 nothing failed, 1 something did, 2 wrong usage.\n\n"
    "Examples:\n"
    "  duplex doctor examples/github.json\n"
    "  duplex doctor --online shop-api.json\n",
    run,
};
