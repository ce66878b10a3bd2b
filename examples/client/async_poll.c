// Many calls at once on a poll(2) loop of the program's own, without a thread more: what a server or a terminal program would do, with its
// own descriptors beside that of duplex.
//     async_poll github.json torvalds octocat …
#include <duplex/client.h>
#include <duplex/loop.h>
#include <poll.h>
#include <stdio.h>

typedef struct work {
    int left, failed;
} work;

static void done(void *context, dx_call *call) {
    work *all = context;
    const dx_error *error = dx_call_error(call);
    const dx_response *user = dx_call_response(call);
    if (error->code)
        fprintf(stderr, "%s: %s\n", dx_error_name(error->code), error->message), all->failed++;
    else
        printf("%s: %lld repositories\n", dx_response_str(user, "/login", "?"), (long long)dx_response_i64(user, "/public_repos", -1));
    all->left--;
    dx_call_release(call); // from inside its callback, too
}

static void start(dx_client *client, work *all, const char *name) {
    dx_call *call;
    dx_error error = DX_ERROR_INIT;
    if (dx_call_start(&call, client, "github.get_user", DX_ARGS(DX_STR("username", name)), NULL, done, all, &error))
        fprintf(stderr, "%s: %s\n", name, error.message), all->failed++; // nothing was started: `done` will not come
    else
        all->left++;
}

int main(int argc, char **argv) {
    const dx_loop_driver driver = DX_LOOP_DRIVER_INIT; // no callbacks: this program asks instead
    dx_client_options options = DX_CLIENT_OPTIONS_INIT;
    dx_client *client;
    dx_error error = DX_ERROR_INIT;
    work all = {0, 0};
    if (argc < 3) return fprintf(stderr, "usage: async_poll DEFINITION USER...\n"), 2;
    options.loop = &driver;
    if (dx_client_open(&client, argv[1], &options, &error)) return fprintf(stderr, "%s\n", error.message), 1;
    for (int i = 2; i < argc; i++) start(client, &all, argv[i]);
    while (all.left) {
        struct pollfd watched = {dx_client_fd(client), POLLIN, 0};
        if (poll(&watched, 1, (int)dx_client_timeout_ms(client)) < 0) break;
        dx_client_process(client);
    }
    dx_client_close(client);
    return all.failed ? 1 : 0;
}
