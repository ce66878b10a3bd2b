// The first call, in C++: plus DEFINITION USER.
#include <duplex/duplex.h>

#include <cstdio>

int main(int argc, char **argv) {
    dx_client *client;
    dx_response *user;
    dx_error error = DX_ERROR_INIT;
    dx_client_options options = DX_CLIENT_OPTIONS_INIT;
    options.threads = 2;
    if (argc != 3 || dx_client_open(&client, argv[1], &options, &error)) return std::puts(error.message), 1;
    if (dx_client_call(&user, client, "github.get_user", DX_ARGS(DX_STR("username", argv[2])), nullptr, &error))
        std::puts(error.message);
    else
        std::printf("%s has the number %lld\n", dx_response_str(user, "/login", "?"),
                    static_cast<long long>(dx_response_i64(user, "/id", -1)));
    dx_response_release(user);
    dx_client_close(client);
    return error.code ? 1 : 0;
}
