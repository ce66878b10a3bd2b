// OAuth 2, client credentials: a matter of settings. Tokens are fetched once for all threads, renewed before they expire, and after a 401
// the call is sent once more with a new one; none of it is in the program.
//     oauth2 oauth2.json
#include <duplex/client.h>
#include <stdio.h>

int main(int argc, char **argv) {
    dx_client *client;
    dx_response *orders;
    dx_error error = DX_ERROR_INIT;
    if (argc != 2) return fprintf(stderr, "usage: oauth2 DEFINITION\n"), 2;
    if (dx_client_open(&client, argv[1], NULL, &error)) return fprintf(stderr, "%s\n", error.message), 1;
    for (int i = 0; i < 3 && !error.code; i++) {
        if (dx_client_call(&orders, client, "shop.list_orders", NULL, NULL, &error))
            fprintf(stderr, "%s (%s): %s\n", dx_error_name(error.code), dx_category_name(error.category), error.message);
        else
            printf("%zu orders, the token took %.1f ms\n", dx_response_count(orders, "/orders"),
                   (double)dx_response_phase_ns(orders, DX_PHASE_AUTH) / 1e6);
        dx_response_release(orders);
    }
    dx_client_close(client);
    return error.code ? 1 : 0;
}
