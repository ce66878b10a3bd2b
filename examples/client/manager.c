// Managing APIs while the program runs: registers one, calls it, looks at its health and its counts, and takes it away.
//     manager DEFINITION NAME JSON ENDPOINT       (JSON: what stands under apis.NAME)
#include <duplex/manager.h>
#include <duplex/metrics.h>
#include <stdio.h>

static void log_record(void *context, dx_level level, const char *json, size_t size) {
    (void)level;
    fprintf(context, "%.*s\n", (int)size, json);
}

static void show(dx_client *client, const char *name) {
    dx_health_report health = DX_HEALTH_REPORT_INIT;
    dx_metrics counts = DX_METRICS_INIT;
    char *text;
    if (!dx_client_check_health(client, name, &health, NULL)) printf("%s is %s: %s\n", name, dx_health_name(health.health), health.reason);
    if (!dx_metrics_get(client, name, NULL, &counts, NULL))
        printf("%llu calls, %llu failed\n", (unsigned long long)counts.calls, (unsigned long long)counts.failures);
    if (!dx_client_describe(client, name, &text, NULL, NULL)) {
        printf("%s\n", text);
        dx_text_free(text);
    }
    if (!dx_metrics_prometheus(client, &text, NULL)) {
        printf("%s", text);
        dx_text_free(text);
    }
}

int main(int argc, char **argv) {
    dx_client *client;
    dx_response *response;
    dx_error error = DX_ERROR_INIT;
    dx_client_options options = DX_CLIENT_OPTIONS_INIT;
    if (argc != 5) return fprintf(stderr, "usage: manager DEFINITION NAME JSON ENDPOINT\n"), 2;
    options.log = log_record;
    options.log_context = stderr;
    options.log_level = DX_LEVEL_DEBUG;
    if (dx_client_open(&client, argv[1], &options, &error)) return fprintf(stderr, "%s\n", error.message), 1;
    if (!dx_client_register(client, argv[2], argv[3], strlen(argv[3]), &error)) {
        if (!dx_client_call(&response, client, argv[4], NULL, NULL, &error))
            printf("%s answered %d\n", argv[4], dx_response_status(response));
        dx_response_release(response);
        show(client, argv[2]);
    }
    if (error.code) printf("%s\n", error.message);
    if (dx_client_unregister(client, argv[2], NULL) == DX_ERROR_UNKNOWN_NAME) printf("%s is not there\n", argv[2]);
    dx_client_close(client);
    return error.code ? 1 : 0;
}
