// The first call: opens a definition, calls an endpoint by name, prints a field.
//     first_call github.json octocat
#include <duplex/client.h>
#include <stdio.h>

int main(int argc, char **argv) {
    dx_client *client;
    dx_response *user;
    dx_error error = DX_ERROR_INIT;
    if (argc != 3) return fprintf(stderr, "usage: first_call DEFINITION USER\n"), 2;
    if (dx_client_open(&client, argv[1], NULL, &error)) return fprintf(stderr, "%s\n", error.message), 1;
    if (dx_client_call(&user, client, "github.get_user", DX_ARGS(DX_STR("username", argv[2])), NULL, &error))
        fprintf(stderr, "%s\n", error.message);
    else
        printf("%s has the number %lld\n", dx_response_str(user, "/login", "?"), (long long)dx_response_i64(user, "/id", -1));
    dx_response_release(user);
    dx_client_close(client);
    return error.code ? 1 : 0;
}
