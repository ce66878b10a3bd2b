// A child of fork(2) that leaves its parent's client alone and opens its own; the parent goes on with its own, too: forking DEFINITION.
#include <duplex/client.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

static int ask(dx_client *client) {
    dx_response *user;
    dx_error error = DX_ERROR_INIT;
    dx_error_code code = dx_client_call(&user, client, "github.get_user", DX_ARGS(DX_STR("username", "a")), NULL, &error);
    if (code) fprintf(stderr, "%s\n", error.message);
    dx_response_release(user);
    return code ? 1 : 0;
}

int main(int argc, char **argv) {
    dx_client *parents, *own;
    dx_error error = DX_ERROR_INIT;
    int status = -1;
    if (argc != 2 || dx_client_open(&parents, argv[1], NULL, &error) || ask(parents)) return 1;
    pid_t child = fork();
    if (child == 0) {
        int failed = dx_client_open(&own, argv[1], NULL, &error) || ask(own);
        if (!failed) dx_client_close(own);
        _exit(failed);
    }
    if (child < 0 || waitpid(child, &status, 0) != child || ask(parents)) return 1;
    dx_client_close(parents);
    return status == 0 ? 0 : 1;
}
