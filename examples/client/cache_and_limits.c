// A cache and a rate limit, both settings of the definition: the program says nothing of them but for the last calls.
//     cache_and_limits cache_and_limits.json
#include <duplex/client.h>
#include <stdio.h>

static const char *const states[] = {"no cache", "fetched", "cached", "stale", "still right", "shared"};

static dx_error_code ask(dx_client *client, const char *currency, const dx_call_options *options) {
    dx_response *rate;
    dx_error error = DX_ERROR_INIT;
    dx_error_code code = dx_client_call(&rate, client, "bank.get_rate", DX_ARGS(DX_STR("currency", currency)), options, &error);
    if (code)
        printf("%s: %s, in the phase %s; again in %lld ms\n", currency, dx_error_name(code), dx_phase_name(error.phase),
               (long long)error.retry_after_ms);
    else
        printf("%s: %g, %s\n", currency, dx_response_f64(rate, "/rate", 0), states[dx_response_cache(rate)]);
    dx_response_release(rate);
    return code;
}

int main(int argc, char **argv) {
    dx_client *client;
    dx_error error = DX_ERROR_INIT;
    dx_call_options fresh = DX_CALL_OPTIONS_INIT, hurried = DX_CALL_OPTIONS_INIT;
    if (argc != 2) return fprintf(stderr, "usage: cache_and_limits DEFINITION\n"), 2;
    if (dx_client_open(&client, argv[1], NULL, &error)) return fprintf(stderr, "%s\n", error.message), 1;
    fresh.fresh = true; // not from the cache, but into it
    hurried.timeout_ms = 2000;
    dx_error_code code = ask(client, "eur", NULL);
    if (!code) code = ask(client, "eur", NULL); // costs nothing of the limit
    if (!code) code = ask(client, "eur", &fresh);
    // The third request within a minute would have to wait for longer than the call may take, which is told at once.
    if (!code && ask(client, "chf", &hurried) != DX_ERROR_LIMITED) code = DX_ERROR_INTERNAL;
    dx_client_close(client);
    return code ? 1 : 0;
}
