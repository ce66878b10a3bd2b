// Fails in every way that needs no server, says nothing itself, and exits with the number of errors that were no errors.
#include <duplex/duplex.h>
#include <signal.h>

static const char definition[] =
    "{\"apis\": {\"nobody\": {\"base_url\": \"http://127.0.0.1:1\", \"retry\": {\"attempts\": 1}, \"endpoints\": {\"v1\": "
    "{\"get\": {\"path\": \"/x/{id}\", \"params\": {\"id\": {\"type\": \"int\", \"required\": true}}}}}}}}";

static int is_default(int number) {
    struct sigaction now;
    return sigaction(number, NULL, &now) == 0 && now.sa_handler == SIG_DFL;
}

int main(void) {
    dx_client *client;
    dx_response *response = NULL;
    dx_error error = DX_ERROR_INIT;
    int wrong = 0;
    wrong += dx_client_open(&client, "/nowhere/at/all.json", NULL, &error) != DX_ERROR_CONFIG;
    wrong += dx_client_open_text(&client, "{\"apis\": {\"a\": 5}}", 18, NULL, &error) != DX_ERROR_CONFIG;
    wrong += dx_client_open_text(&client, "{", 1, NULL, NULL) == DX_ERROR_NONE;
    if (dx_client_open_text(&client, definition, sizeof definition - 1, NULL, &error)) return 99;
    wrong += dx_client_call(&response, client, "nobody.git", NULL, NULL, &error) != DX_ERROR_UNKNOWN_NAME;
    wrong += dx_client_call(&response, client, "nobody.get", NULL, NULL, &error) != DX_ERROR_ARGUMENT;
    wrong += dx_client_call(&response, client, "nobody.get", DX_ARGS(DX_STR("id", "x")), NULL, &error) != DX_ERROR_ARGUMENT;
    wrong += dx_client_call(&response, client, "nobody.get", DX_ARGS(DX_INT("id", 1)), NULL, &error) != DX_ERROR_CONNECT;
    wrong += !is_default(SIGPIPE) + !is_default(SIGINT) + !is_default(SIGALRM) + !is_default(SIGCHLD);
    dx_client_close(client);
    wrong += !is_default(SIGPIPE) + !is_default(SIGALRM);
    return wrong;
}
