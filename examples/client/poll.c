// Many calls on one thread that waits by poll(2): the program's own loop, and the client inside of it.
//     poll github.json octocat torvalds …
#include <duplex/client.h>
#include <duplex/loop.h>
#include <poll.h>
#include <stdio.h>

static int left;

static void on_user(void *context, dx_call *call) {
    const dx_error *error = dx_call_error(call);
    const char *name = context;
    if (error->code)
        fprintf(stderr, "%s: %s\n", name, error->message);
    else
        printf("%s has the number %lld\n", name, (long long)dx_response_i64(dx_call_response(call), "/id", -1));
    dx_call_release(call);
    left--;
}

int main(int argc, char **argv) {
    dx_client *client;
    dx_error error = DX_ERROR_INIT;
    dx_loop_driver driver = DX_LOOP_DRIVER_INIT; // no callbacks: we ask for what to watch
    dx_client_options options = DX_CLIENT_OPTIONS_INIT;
    options.loop = &driver;
    if (argc < 3) return fprintf(stderr, "usage: poll DEFINITION USER…\n"), 2;
    if (dx_client_open(&client, argv[1], &options, &error)) return fprintf(stderr, "%s\n", error.message), 1;
    for (int i = 2; i < argc; i++) {
        dx_call *call;
        if (dx_call_start(&call, client, "github.get_user", DX_ARGS(DX_STR("username", argv[i])), NULL, on_user, argv[i], &error))
            fprintf(stderr, "%s\n", error.message);
        else
            left++;
    }
    while (left > 0) {
        struct pollfd watched = {.fd = dx_client_fd(client), .events = POLLIN}; // and whatever else the program waits for
        if (poll(&watched, 1, (int)dx_client_timeout_ms(client)) < 0) break;
        dx_client_process(client);
    }
    dx_client_close(client);
    return 0;
}
