// Limits and caches: a definition that waits at its rate limit and answers from memory, a limiter of the program's own, and what both say
// of themselves.
//     limits DEFINITION API ENDPOINT
#include <duplex/cache.h>
#include <duplex/limit.h>
#include <stdio.h>

enum { CALLS = 5 };

static int fail(const dx_error *error) {
    fprintf(stderr, "%s\n", error->message);
    return 1;
}

static int call_often(dx_client *client, const char *name, dx_limiter *limiter, dx_error *error) {
    for (int i = 0; i < CALLS; i++) {
        dx_response *response;
        if (dx_limiter_acquire(limiter, 1, 1000)) return fprintf(stderr, "no turn within a second\n"), 1;
        if (dx_client_call(&response, client, name, NULL, NULL, error)) {
            dx_response_release(response);
            return fail(error);
        }
        printf("%d: %s\n", dx_response_status(response),
               dx_response_cache(response) == DX_CACHED_HIT ? "from the cache" : "from the server");
        dx_response_release(response);
    }
    return 0;
}

static int tell(dx_client *client, const char *api, dx_error *error) {
    dx_cache_report cache = {.size = sizeof cache};
    dx_limiter_stats limit = DX_LIMITER_STATS_INIT;
    if (dx_client_cache_stats(client, api, &cache, error)) return fail(error);
    printf("cache: %.0f %% of %llu answers\n", cache.hit_rate * 100, (unsigned long long)(cache.hits + cache.misses));
    if (!dx_client_limit_stats(client, api, &limit, NULL))
        printf("limit: %llu let go, %u may go now\n", (unsigned long long)limit.granted, limit.available);
    uint64_t removed;
    if (dx_client_cache_clear(client, api, &removed, error)) return fail(error);
    printf("cleared: %llu\n", (unsigned long long)removed);
    return 0;
}

int main(int argc, char **argv) {
    dx_client *client;
    dx_limiter *limiter;
    dx_error error = DX_ERROR_INIT;
    char name[256];
    if (argc != 4) return fprintf(stderr, "usage: limits DEFINITION API ENDPOINT\n"), 2;
    dx_limiter_options options = DX_LIMITER_OPTIONS_INIT;
    options.max_requests = 100;
    options.time_window_ms = 1000;
    if (dx_client_open(&client, argv[1], NULL, &error)) return fail(&error);
    int result = dx_limiter_create(&limiter, &options, &error) ? fail(&error) : 0;
    (void)snprintf(name, sizeof name, "%s.%s", argv[2], argv[3]);
    if (!result) result = call_often(client, name, limiter, &error);
    if (!result) result = tell(client, argv[2], &error);
    dx_limiter_release(limiter);
    dx_client_close(client);
    return result;
}
