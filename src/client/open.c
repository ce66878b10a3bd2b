// Opening a client: the definition is read by the same stages as a server's, but its other sections are nobody's business here.
#include "base/memory.h"
#include "base/random.h"
#include "client/cache_custom.h"
#include "client/client.h"
#include "client/driver.h"
#include "client/fail.h"
#include "client/health.h"
#include "client/log.h"
#include "client/transport.h"
#include "client/warming.h"

#define FINDINGS_ARENA_CAP ((size_t)4 << 20)

static const char *look_up(void *ctx, const char *name) {
    const dx_client_options *options = ctx;
    return options->variable(options->variable_context, name);
}

static dx_status load(dx_apis **out, const char *path, dx_slice text, dx_client *client, dx_apis *base, dx_diags *findings) {
    dx_definition_options options = {0};
    if (client->options.variable) {
        options.variable = look_up;
        options.ctx = &client->options;
    }
    return dx_apis_load_over(out, path, text, &options, client->keeps_definition, base, findings);
}

// Endpoints that share settings find the same.
static bool is_repeated(const dx_diags *found, const dx_diag *diag) {
    const dx_diag *other = found->first;
    while (other != diag && !(dx_slice_equal(other->pointer, diag->pointer) && dx_slice_equal(other->message, diag->message)))
        other = other->next;
    return other != diag;
}

// What stands between a caller and the network; findings get their lines.
static dx_status build_chains(dx_client *client, dx_apis *apis, dx_diags *findings) {
    dx_diags found;
    dx_diags_init(&found, findings->arena);
    dx_status status = dx_client_build_chains(client, apis, &found);
    for (const dx_diag *diag = found.first; diag; diag = diag->next) {
        if (is_repeated(&found, diag)) continue;
        dx_diag *told = dx_definition_complain(apis->definition, findings, diag->pointer, "%.*s", DX_SLICE_ARG(diag->message));
        dx_diag_suggest(findings, told, diag->suggestion);
    }
    return status;
}

dx_status dx_client_load(dx_apis **out, dx_client *client, const char *path, dx_slice text, dx_apis *base, dx_diags *found) {
    *out = NULL;
    dx_status status = load(out, path, text, client, base, found);
    if (status == DX_OK) status = dx_log_learn(client, *out);
    if (status == DX_TOO_LARGE) {
        (void)dx_diags_add(found, DX_INVALID, (dx_slice){"", 0}, "it has more secrets, or longer ones, than can be kept out of logs");
        status = DX_INVALID;
    }
    if (status == DX_OK) status = build_chains(client, *out, found);
    if (status == DX_OK) (*out)->serial = ++client->serial;
    if (status == DX_OK && !client->keeps_definition) dx_apis_forget_definition(*out);
    if (status == DX_OK) return status;
    dx_apis_release(*out);
    *out = NULL;
    return status;
}

static dx_error_code read_apis(dx_client *client, const char *path, dx_slice text, dx_error *error) {
    dx_arena *arena = dx_arena_create(FINDINGS_ARENA_CAP);
    dx_diags findings;
    if (!arena) return dx_fail(error, DX_ERROR_NO_MEMORY, "there is no memory to read the definition");
    dx_diags_init(&findings, arena);
    dx_status status = dx_client_load(&client->base, client, path, text, NULL, &findings);
    if (status == DX_OK) client->apis = dx_apis_hold(client->base);
    dx_error_code code = DX_ERROR_NONE;
    if (status == DX_NO_MEMORY) code = dx_fail(error, DX_ERROR_NO_MEMORY, "there is no memory to read the definition");
    if (status != DX_OK && status != DX_NO_MEMORY) code = dx_fail_diags(error, DX_ERROR_CONFIG, &findings);
    dx_arena_destroy(arena);
    return code;
}

static dx_error_code take_options(dx_client *client, const dx_client_options *given, dx_error *error) {
    static const dx_client_options standard = DX_CLIENT_OPTIONS_INIT;
    client->options = standard;
    if (given) memcpy(&client->options, given, given->size < sizeof standard ? given->size : sizeof standard);
    if (client->options.threads > DX_CLIENT_THREADS_CAP)
        return dx_fail(error, DX_ERROR_ARGUMENT, "a client has %d threads at most", DX_CLIENT_THREADS_CAP);
    client->engine_count = client->options.threads && !client->options.loop ? client->options.threads : 1;
    client->use = dx_transport_use_of(client->options.transport);
    return DX_ERROR_NONE;
}

static dx_client *make(void) {
    pthread_condattr_t clock;
    dx_client *client = dx_memory_zalloc(1, sizeof *client);
    if (!client) return NULL;
    client->pool = dx_pool_create();
    client->redactor = dx_redactor_create(NULL);
    client->customs = client->pool ? dx_customs_create() : NULL;
    client->tokens = dx_token_set_create(client);
    if (!client->customs || !client->tokens || !client->redactor) {
        dx_redactor_destroy(client->redactor);
        dx_pool_release(client->pool);
        if (client->customs) dx_customs_close(client->customs);
        dx_token_set_release(client->tokens);
        dx_memory_free(client);
        return NULL;
    }
    (void)pthread_mutex_init(&client->lock, NULL);
    (void)pthread_mutex_init(&client->changing, NULL);
    dx_random_bytes(client->id_seed, sizeof client->id_seed);
    dx_redis_links_init(&client->redis);
    (void)pthread_condattr_init(&clock);
    (void)pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&client->changed, &clock);
    (void)pthread_condattr_destroy(&clock);
    return client;
}

static dx_error_code open_client(dx_client **out, const char *path, dx_slice text, bool keep, const dx_client_options *options,
                                 dx_error *error) {
    *out = NULL;
    if (error) *error = (dx_error)DX_ERROR_INIT;
    dx_client *client = make();
    if (!client) return dx_fail(error, DX_ERROR_NO_MEMORY, "there is no memory for a client");
    dx_error_code code = take_options(client, options, error);
    client->keeps_definition = keep;
    client->path = dx_memory_alloc(strlen(path) + 1);
    if (!code && !client->path) code = dx_fail(error, DX_ERROR_NO_MEMORY, "there is no memory for a client");
    if (client->path) memcpy(client->path, path, strlen(path) + 1);
    if (!code) code = read_apis(client, path, text, error);
    if (!code && client->options.loop) code = dx_driver_enter(client, error);
    if (!code) code = dx_warming_start(client, error);
    if (code) {
        dx_client_close(client);
        return code;
    }
    dx_health_watch(client);
    *out = client;
    return DX_ERROR_NONE;
}

dx_error_code dx_client_open(dx_client **out, const char *path, const dx_client_options *options, dx_error *error) {
    return open_client(out, path, (dx_slice){0}, false, options, error);
}

dx_error_code dx_client_open_keeping(dx_client **out, const char *path, const dx_client_options *options, dx_error *error) {
    return open_client(out, path, (dx_slice){0}, true, options, error);
}

dx_error_code dx_client_open_text(dx_client **out, const char *json, size_t size, const dx_client_options *options, dx_error *error) {
    return open_client(out, "definition", dx_slice_of(json, size), false, options, error);
}

dx_status dx_client_check(const dx_definition *definition, dx_diags *diags) {
    dx_error error;
    dx_client *client = make();
    if (!client) return DX_NO_MEMORY;
    dx_status status = take_options(client, NULL, &error) ? DX_INTERNAL : DX_OK;
    if (status == DX_OK) status = dx_apis_read(&client->apis, definition, diags);
    if (status == DX_OK) status = build_chains(client, client->apis, diags);
    dx_client_close(client);
    return status;
}
