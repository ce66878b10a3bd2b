// Calls in a storm, for tests of what many threads and processes share: `client_storm DEFINITION ENDPOINT THREADS ROUNDS CALLS`. Every
// thread calls the endpoint CALLS times a round. Before each round all of them wait for a line on standard input; at its end "round N ok
// failed: message" is printed, with the first failure's message.
// The end of the input ends it before its time.
#include <duplex/client.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct storm {
    dx_client *client;
    const char *endpoint;
    long rounds, calls;
    pthread_barrier_t begin, end;
    pthread_mutex_t lock;
    bool over;
    long ok, failed;
    char message[512];
} storm;

static void call(storm *s) {
    dx_response *response;
    dx_error error = DX_ERROR_INIT;
    dx_error_code code = dx_client_call(&response, s->client, s->endpoint, NULL, NULL, &error);
    dx_response_release(response);
    pthread_mutex_lock(&s->lock);
    if (code == DX_ERROR_NONE)
        s->ok++;
    else if (s->failed++ == 0)
        snprintf(s->message, sizeof s->message, "%s", error.message);
    pthread_mutex_unlock(&s->lock);
}

static void *run(void *context) {
    storm *s = context;
    for (long round = 0; round < s->rounds; round++) {
        pthread_barrier_wait(&s->begin);
        if (s->over) break;
        for (long i = 0; i < s->calls; i++) call(s);
        pthread_barrier_wait(&s->end);
    }
    return NULL;
}

static void lead(storm *s) {
    char line[64];
    for (long round = 0; round < s->rounds; round++) {
        s->over = !fgets(line, sizeof line, stdin);
        pthread_barrier_wait(&s->begin);
        if (s->over) break;
        pthread_barrier_wait(&s->end);
        printf("round %ld %ld %ld: %s\n", round, s->ok, s->failed, s->failed ? s->message : "");
        fflush(stdout);
        s->ok = s->failed = 0;
    }
}

int main(int argc, char **argv) {
    storm s = {0};
    dx_error error = DX_ERROR_INIT;
    if (argc != 6) return fprintf(stderr, "usage: client_storm DEFINITION ENDPOINT THREADS ROUNDS CALLS\n"), 2;
    long threads = strtol(argv[3], NULL, 10);
    s.endpoint = argv[2];
    s.rounds = strtol(argv[4], NULL, 10);
    s.calls = strtol(argv[5], NULL, 10);
    if (threads < 1 || threads > 256) return 2;
    if (dx_client_open(&s.client, argv[1], NULL, &error)) return fprintf(stderr, "%s\n", error.message), 1;
    pthread_t thread[256];
    pthread_mutex_init(&s.lock, NULL);
    pthread_barrier_init(&s.begin, NULL, (unsigned)threads + 1);
    pthread_barrier_init(&s.end, NULL, (unsigned)threads + 1);
    for (long i = 0; i < threads; i++)
        if (pthread_create(&thread[i], NULL, run, &s) != 0) return 1;
    lead(&s);
    for (long i = 0; i < threads; i++) pthread_join(thread[i], NULL);
    dx_client_close(s.client);
    return 0;
}
