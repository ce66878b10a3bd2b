// Many calls, ten at a time, for more names than memory holds: they are read line by line, and each answer is dropped once it was printed.
//     batch github.json < names
#include <duplex/batch.h>
#include <stdio.h>
#include <string.h>

typedef struct work {
    char name[128];
    dx_arg args[2];
} work;

static bool next(void *context, dx_batch_item *item) {
    work *w = context;
    if (!fgets(w->name, sizeof w->name, stdin)) return false;
    w->name[strcspn(w->name, "\n")] = '\0';
    w->args[0] = DX_STR("username", w->name);
    w->args[1] = DX_END;
    item->name = "github.get_user";
    item->args = w->args;
    return true;
}

static void result(void *context, const dx_batch_result *result) {
    (void)context;
    if (result->error->code)
        fprintf(stderr, "%llu: %s\n", (unsigned long long)result->index, result->error->message);
    else
        printf("%s %lld\n", dx_response_str(result->response, "/login", "?"), (long long)dx_response_i64(result->response, "/id", -1));
}

int main(int argc, char **argv) {
    dx_client *client;
    dx_batch *batch;
    work w;
    dx_error error = DX_ERROR_INIT;
    dx_batch_options options = DX_BATCH_OPTIONS_INIT;
    options.concurrency = 10;
    options.ordered = true;
    options.next = next;
    options.result = result;
    options.context = &w;
    if (argc != 2) return fprintf(stderr, "usage: batch DEFINITION < NAMES\n"), 2;
    if (dx_client_open(&client, argv[1], NULL, &error)) return fprintf(stderr, "%s\n", error.message), 1;
    dx_error_code code = dx_batch_create(&batch, client, &options, &error);
    if (!code) code = dx_batch_run(batch, &error);
    if (code) fprintf(stderr, "%s\n", error.message);
    dx_batch_destroy(batch);
    dx_client_close(client);
    return code ? 1 : 0;
}
