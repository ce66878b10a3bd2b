// Reading the section `server` into a struct. The schema (settings_schema.c) has checked types, ranges and names and has filled in every
// default; here is what a schema can't say, above all what would make a server unsafe.
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/map.h"
#include "server/settings.h"

typedef dx_settings_reader reader;

static dx_status copy_text(reader *r, const char *name, dx_slice *out) {
    *out = dx_arena_copy(r->arena, dx_json_member_slice(r->section, name));
    return out->data ? DX_OK : DX_NO_MEMORY;
}

dx_diag *dx_settings_complain(const dx_settings_reader *r, const char *advice, dx_slice pointer, const char *format, ...) {
    char text[512];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    dx_diag *diag = dx_definition_complain(r->definition, r->diags, pointer, "%s", text);
    dx_diag_suggest(r->diags, diag, dx_slice_str(advice));
    return diag;
}

const char *dx_settings_file(const dx_settings_reader *r, dx_slice file) {
    const char *path = dx_definition_path(r->definition), *slash = strrchr(path, '/');
    bool relative = file.size && file.data[0] != '/' && slash;
    return relative ? dx_arena_printf(r->arena, "%.*s/%.*s", (int)(slash - path), path, DX_SLICE_ARG(file)).data
                    : dx_arena_copy(r->arena, file).data;
}

// A relative file of the definition lies beside the definition; one of the command line is relative to where the command runs.
static dx_status read_store(reader *r, const dx_app_options *options) {
    static const dx_slice scheme = DX_SLICE_INIT("sqlite:");
    dx_slice url = options->store ? dx_slice_str(options->store) : dx_json_member_slice(r->section, "store");
    if (!options->store && !(dx_slice_starts(url, scheme) && url.size > scheme.size)) {
        dx_diag *diag = dx_definition_complain(r->definition, r->diags, DX_SLICE("/server/store"), "\"%.*s\" is not the URL of a store",
                                               DX_SLICE_ARG(url));
        if (diag) diag->suggestion = DX_SLICE("write \"sqlite:FILE\", for example \"sqlite:shop.db\"");
        return DX_INVALID;
    }
    if (options->offline) url = DX_SLICE("sqlite::memory:");
    dx_slice file = dx_slice_from(url, scheme.size);
    const char *path = dx_definition_path(r->definition), *slash = strrchr(path, '/');
    bool relative = dx_slice_starts(url, scheme) && file.size && file.data[0] != '/' && file.data[0] != ':';
    if (!options->store && relative && slash)
        r->out->store = dx_arena_printf(r->arena, "sqlite:%.*s/%.*s", (int)(slash - path), path, DX_SLICE_ARG(file));
    else
        r->out->store = dx_arena_copy(r->arena, url);
    return r->out->store.data ? DX_OK : DX_NO_MEMORY;
}

static dx_status read_spool_folder(reader *r) {
    dx_slice folder = dx_json_member_slice(r->section, "spool_folder");
    const char *otherwise = getenv("TMPDIR");
    bool told = folder.size > 0;
    if (!told) folder = otherwise && otherwise[0] == '/' ? dx_slice_str(otherwise) : DX_SLICE("/var/tmp");
    if (told && folder.data[0] != '/') {
        dx_definition_complain(r->definition, r->diags, DX_SLICE("/server/spool_folder"), "expected an absolute path");
        return DX_INVALID;
    }
    r->out->spool_folder = dx_arena_copy(r->arena, folder).data;
    if (!r->out->spool_folder) return DX_NO_MEMORY;
    bool writable = access(r->out->spool_folder, W_OK | X_OK) == 0;
    if (!told && !writable) r->out->spool = UINT64_MAX; // as in a container whose root is read-only: there is memory alone
    if (told && !writable) {
        dx_definition_complain(r->definition, r->diags, DX_SLICE("/server/spool_folder"), "there is no folder to write to at %s: %s",
                               r->out->spool_folder, strerror(errno));
        return DX_INVALID;
    }
    return DX_OK;
}

// --- numbers: durations, sizes and counts by table
// ----------------------------------------------------------------------------------------

enum { COUNT, SIZE_32, SIZE_64, TIME };
typedef struct number {
    const char *group, *name;
    int kind;
    size_t at;
    uint64_t least, most;
} number;
#define AT(member) offsetof(dx_settings, member)
static const number numbers[] = {
    {"limits", "head", SIZE_32, AT(limits.head_bytes), 1024, 1u << 20},
    {"limits", "fields", COUNT, AT(limits.fields), 0, 0},
    {"limits", "target", SIZE_32, AT(limits.target_bytes), 256, 1u << 20},
    {"limits", "body", SIZE_64, AT(body_cap), 1, 1ull << 30},
    {"limits", "spool", SIZE_64, AT(spool), 16 << 10, 1ull << 30},
    {"limits", "inflate_ratio", COUNT, AT(inflate_ratio), 0, 0},
    {"limits", "memory", SIZE_64, AT(arena_cap), 64 << 10, 4ull << 30},
    {"limits", "connections", COUNT, AT(limits.connections), 0, 0},
    {"limits", "connections_each", COUNT, AT(gate.each), 0, 0},
    {"limits", "requests_a_connection", COUNT, AT(limits.requests_a_connection), 0, 0},
    {"limits", "pipelined", COUNT, AT(limits.pipelined), 0, 0},
    {"limits", "streams", COUNT, AT(limits.streams), 0, 0},
    {"limits", "resets", COUNT, AT(limits.resets), 0, 0},
    {"limits", "controls", COUNT, AT(limits.controls), 0, 0},
    {"limits", "body_rate", COUNT, AT(limits.body_rate), 0, 0},
    {"timeouts", "head", TIME, AT(limits.head_time), 0, 0},
    {"timeouts", "idle", TIME, AT(limits.idle_time), 0, 0},
    {"timeouts", "body_stall", TIME, AT(limits.body_stall), 0, 0},
    {"timeouts", "write_stall", TIME, AT(limits.write_stall), 0, 0},
    {"timeouts", "request", TIME, AT(request_time), 0, 0},
    {"timeouts", "statement", TIME, AT(statement_time), 0, 0},
    {"overload", "turn", TIME, AT(overload_turn), 0, 0},
    {"overload", "wait", TIME, AT(overload_wait), 0, 0},
    {NULL, "drain", TIME, AT(drain), 0, 0},
};

static DX_COLD dx_status complain_number(reader *r, const number *n, const char *what) {
    dx_slice at = dx_arena_printf(r->arena, "/server%s%s/%s", n->group ? "/" : "", n->group ? n->group : "", n->name);
    dx_definition_complain(r->definition, r->diags, at, "%s", what);
    return DX_INVALID;
}

static dx_status read_size(reader *r, const number *n, dx_slice text, char *to) {
    uint64_t bytes;
    if (!dx_size_read(text, &bytes) || bytes < n->least || bytes > n->most) {
        dx_slice what =
            dx_arena_printf(r->arena, "expected a size from %llu to %llu bytes", (unsigned long long)n->least, (unsigned long long)n->most);
        return complain_number(r, n, what.data ? what.data : "the size is out of range");
    }
    if (n->kind == SIZE_64)
        memcpy(to, &bytes, sizeof bytes);
    else
        memcpy(to, &(uint32_t){(uint32_t)bytes}, sizeof(uint32_t));
    return DX_OK;
}

static dx_status read_number(reader *r, const number *n) {
    yyjson_val *group = n->group ? yyjson_obj_get(r->section, n->group) : r->section, *value = yyjson_obj_get(group, n->name);
    char *to = (char *)r->out + n->at;
    if (n->kind == COUNT) {
        memcpy(to, &(uint32_t){(uint32_t)yyjson_get_uint(value)}, sizeof(uint32_t));
        return DX_OK;
    }
    if (n->kind != TIME) return read_size(r, n, dx_json_slice(value), to);
    dx_nanos time;
    bool zero_allowed = n->group == NULL;
    if (!dx_duration_read(dx_json_slice(value), &time) || time > 24 * 3600 * DX_SECOND || (time == 0 && !zero_allowed))
        return complain_number(r, n, zero_allowed ? "expected a duration up to 24h" : "expected a duration over 0 and up to 24h");
    memcpy(to, &time, sizeof time);
    return DX_OK;
}

// --- CORS
// ---------------------------------------------------------------------------------------------------------------------------------

// "https://app.example.com:8443": scheme, host, maybe a port, and nothing else (RFC 6454 section 6.2).
static bool is_origin(dx_slice text) {
    static const dx_slice separator = DX_SLICE_INIT("://");
    size_t colon = dx_slice_find(text, ':');
    if (colon == SIZE_MAX || colon == 0 || !dx_slice_starts(dx_slice_from(text, colon), separator)) return false;
    dx_slice host = dx_slice_from(text, colon + separator.size);
    for (size_t i = 0; i < host.size; i++) {
        char c = host.data[i];
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '-' || c == ':' || c == '[' || c == ']')) return false;
    }
    return host.size > 0;
}

static dx_slice lower(dx_arena *arena, dx_slice text) {
    char *copy = dx_arena_bytes(arena, text.size + 1);
    for (size_t i = 0; copy && i < text.size; i++)
        copy[i] = text.data[i] >= 'A' && text.data[i] <= 'Z' ? (char)(text.data[i] | 0x20) : text.data[i];
    return dx_slice_of(copy, copy ? text.size : 0);
}

static dx_status read_origins(reader *r, yyjson_val *list) {
    dx_cors *cors = &r->out->cors;
    dx_slice *origins = DX_ARENA_ARRAY(r->arena, dx_slice, yyjson_arr_size(list) + 1);
    if (!origins) return DX_NO_MEMORY;
    cors->origins = origins;
    size_t at, count;
    yyjson_val *item;
    yyjson_arr_foreach(list, at, count, item) {
        dx_slice origin = lower(r->arena, dx_json_slice(item));
        bool any = dx_slice_equal(origin, DX_SLICE("*"));
        cors->any_origin |= any;
        if (!any && !is_origin(origin)) {
            dx_slice pointer = dx_arena_printf(r->arena, "/server/cors/origins/%zu", at);
            dx_definition_complain(r->definition, r->diags, pointer,
                                   "expected \"*\" or an origin like \"https://app.example.com\" without a path, found \"%.*s\"",
                                   DX_SLICE_ARG(dx_json_slice(item)));
        }
        origins[cors->origin_count++] = origin;
    }
    return DX_OK;
}

static dx_status join(reader *r, yyjson_val *list, dx_slice *out) {
    dx_buffer text;
    dx_buffer_init(&text, r->arena, 8192);
    size_t at, count;
    yyjson_val *item;
    yyjson_arr_foreach(list, at, count, item) {
        if (at) DX_BUFFER_LIT(&text, ", ");
        dx_buffer_add(&text, dx_json_slice(item));
    }
    *out = dx_buffer_slice(&text);
    return dx_buffer_status(&text);
}

static dx_status read_cors(reader *r) {
    yyjson_val *section = yyjson_obj_get(r->section, "cors");
    dx_cors *cors = &r->out->cors;
    dx_nanos age = 0;
    dx_status status = read_origins(r, yyjson_obj_get(section, "origins"));
    if (status == DX_OK) status = join(r, yyjson_obj_get(section, "methods"), &cors->methods);
    if (status == DX_OK) status = join(r, yyjson_obj_get(section, "headers"), &cors->headers);
    if (status == DX_OK) status = join(r, yyjson_obj_get(section, "expose"), &cors->expose);
    if (status != DX_OK) return status;
    cors->credentials = yyjson_get_bool(yyjson_obj_get(section, "credentials"));
    (void)dx_duration_read(dx_json_member_slice(section, "max_age"), &age);
    cors->max_age = dx_arena_printf(r->arena, "%lld", (long long)(age / DX_SECOND));
    if (cors->any_origin && cors->credentials)
        dx_definition_complain(r->definition, r->diags, DX_SLICE("/server/cors/credentials"),
                               "credentials can't be allowed to every origin (\"*\"): name the origins");
    return cors->max_age.data ? DX_OK : DX_NO_MEMORY;
}

// --- all of it
// ----------------------------------------------------------------------------------------------------------------------------

static dx_status read_texts(reader *r) {
    dx_status status = copy_text(r, "title", &r->out->title);
    if (status == DX_OK) status = copy_text(r, "version", &r->out->version);
    if (status == DX_OK) status = copy_text(r, "description", &r->out->description);
    if (status == DX_OK) status = copy_text(r, "base_path", &r->out->base_path);
    if (status == DX_OK) status = copy_text(r, "secret", &r->out->secret);
    return status;
}

static void read_switches(reader *r) {
    yyjson_val *log = yyjson_obj_get(r->section, "log");
    r->out->production = !dx_slice_equal(dx_json_member_slice(r->section, "mode"), DX_SLICE("development"));
    r->out->workers = (unsigned)yyjson_get_uint(yyjson_obj_get(r->section, "workers"));
    r->out->security_headers = yyjson_get_bool(yyjson_obj_get(r->section, "security_headers"));
    r->out->request_id = yyjson_get_bool(yyjson_obj_get(r->section, "request_id"));
    r->out->docs = yyjson_get_bool(yyjson_obj_get(r->section, "docs"));
    r->out->log_requests = yyjson_get_bool(yyjson_obj_get(log, "requests"));
    r->out->log_level = DX_LOG_INFO;
    (void)dx_log_level_parse(dx_json_member_slice(log, "level"), &r->out->log_level);
}

dx_status dx_settings_read(dx_settings *out, dx_arena *arena, const dx_definition *definition, const dx_app_options *options,
                           dx_diags *diags) {
    reader r = {definition, dx_definition_section(definition, "server"), arena, diags, out, options};
    size_t before = diags->count;
    *out = (dx_settings){.limits = DX_HTTP_LIMITS_INIT};
    dx_status status = read_texts(&r);
    if (status != DX_OK) return status;
    read_switches(&r);
    if (options->workers) out->workers = options->workers;
    for (size_t i = 0; i < DX_COUNT_OF(numbers); i++) (void)read_number(&r, &numbers[i]);
    status = dx_settings_read_listens(&r);
    if (status == DX_OK) status = dx_settings_read_tls(&r);
    if (status == DX_OK) status = dx_settings_read_access(&r);
    if (status == DX_OK) status = read_store(&r, options);
    if (status == DX_OK) status = read_cors(&r);
    if (status == DX_OK) status = dx_settings_read_compression(&r);
    if (status == DX_OK) status = read_spool_folder(&r);
    if (out->limits.body_bytes < out->body_cap) out->limits.body_bytes = out->body_cap;
    if (status == DX_OK && diags->count > before) status = DX_INVALID;
    return status;
}

// The schema is a file of its own (server.schema.json), embedded by the build.
extern const char dx_server_schema[];
const dx_section dx_server_section = {"server", dx_server_schema, false, NULL};
