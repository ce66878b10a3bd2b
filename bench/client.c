// CPU of a call, of libduplex and of bare libcurl in the same process, one mode a run:
//     bench_client MODE URL COUNT [DEFINITION [AT_ONCE]]
// MODE: easy (curl_easy_perform, one handle), multi (curl_multi_perform and curl_multi_poll, 64 in flight), sync (dx_client_call), async
// (dx_call_start, 64 in flight), queue (async, all COUNT started at once). Prints microseconds of user and system time a call.
#include <curl/curl.h>
#include <duplex/client.h>
#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

enum { IN_FLIGHT = 64 };

static double cpu(void) {
    struct rusage use;
    (void)getrusage(RUSAGE_SELF, &use);
    return (double)use.ru_utime.tv_sec * 1e6 + (double)use.ru_utime.tv_usec + (double)use.ru_stime.tv_sec * 1e6 +
           (double)use.ru_stime.tv_usec;
}

static size_t swallow(char *data, size_t one, size_t size, void *ctx) {
    (void)data;
    *(size_t *)ctx += one * size;
    return one * size;
}

// The request that duplex sends, byte for byte but for the product's name: libcurl writes a request's head byte by byte, so that each
// costs.
static CURL *bare_handle(const char *url, size_t *bytes) {
    CURL *easy = curl_easy_init();
    static struct curl_slist *headers;
    if (!headers) {
        headers = curl_slist_append(NULL, "User-Agent: libcurl00/0.1.0");
        headers = curl_slist_append(headers, "Accept: application/json, */*;q=0.8");
        headers = curl_slist_append(headers, "Authorization: Bearer 0123456789abcdef0123456789abcdef");
    }
    (void)curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(easy, CURLOPT_URL, url);
    (void)curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
    (void)curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, "");
    (void)curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, swallow);
    (void)curl_easy_setopt(easy, CURLOPT_WRITEDATA, bytes);
    return easy;
}

static int fail(const char *what) {
    fprintf(stderr, "bench_client: %s\n", what);
    return 1;
}

static int run_easy(const char *url, long count) {
    size_t bytes = 0;
    CURL *easy = bare_handle(url, &bytes);
    for (long i = 0; i < count; i++)
        if (curl_easy_perform(easy) != CURLE_OK) return fail("a transfer failed");
    curl_easy_cleanup(easy);
    return 0;
}

static int run_multi(const char *url, long count) {
    size_t bytes = 0;
    CURLM *multi = curl_multi_init();
    long started = 0, done = 0;
    int running, left;
    CURLMsg *message;
    for (; started < IN_FLIGHT && started < count; started++) (void)curl_multi_add_handle(multi, bare_handle(url, &bytes));
    while (done < count) {
        if (curl_multi_perform(multi, &running) != CURLM_OK) return fail("multi failed");
        while ((message = curl_multi_info_read(multi, &left))) {
            CURL *easy = message->easy_handle;
            if (message->data.result != CURLE_OK) return fail("a transfer failed");
            (void)curl_multi_remove_handle(multi, easy);
            done++;
            if (started < count) {
                started++;
                (void)curl_multi_add_handle(multi, easy);
            } else {
                curl_easy_cleanup(easy);
            }
        }
        if (done < count && !running) continue;
        if (done < count) (void)curl_multi_poll(multi, NULL, 0, 1000, NULL);
    }
    (void)curl_multi_cleanup(multi);
    return 0;
}

static int run_sync(dx_client *client, long count) {
    dx_error error = DX_ERROR_INIT;
    for (long i = 0; i < count; i++) {
        dx_response *response;
        if (dx_client_call(&response, client, "bench.get", DX_ARGS(DX_INT("id", 7)), NULL, &error)) return fail(error.message);
        dx_response_release(response);
    }
    return 0;
}

typedef struct load {
    dx_client *client;
    long left, done, count;
    pthread_mutex_t lock;
    pthread_cond_t over;
    int failed;
} load;

static void on_done(void *ctx, dx_call *call);

static void start_one(load *l) {
    dx_call *call;
    dx_error error;
    if (dx_call_start(&call, l->client, "bench.get", DX_ARGS(DX_INT("id", 7)), NULL, on_done, l, &error)) {
        (void)fail(error.message);
        l->failed = 1;
    }
}

static void on_done(void *ctx, dx_call *call) {
    load *l = ctx;
    if (dx_call_error(call)->code) {
        if (!l->failed) (void)fail(dx_call_error(call)->message);
        l->failed = 1;
    }
    dx_call_release(call);
    l->done++;
    if (l->left > 0) {
        l->left--;
        start_one(l);
    } else if (l->done == l->count) {
        (void)pthread_mutex_lock(&l->lock);
        (void)pthread_cond_signal(&l->over);
        (void)pthread_mutex_unlock(&l->lock);
    }
}

static int run_async(dx_client *client, long count, long at_once) {
    load l = {
        .client = client, .left = count - at_once, .count = count, .lock = PTHREAD_MUTEX_INITIALIZER, .over = PTHREAD_COND_INITIALIZER};
    (void)pthread_mutex_lock(&l.lock);
    for (long i = 0; i < at_once; i++) start_one(&l);
    while (l.done < count) (void)pthread_cond_wait(&l.over, &l.lock);
    (void)pthread_mutex_unlock(&l.lock);
    return l.failed;
}

// Memory that a client of this definition has in use, KiB: the heap with it, less the heap without.
static int run_memory(const char *definition) {
    dx_client *client;
    dx_error error = DX_ERROR_INIT;
    static const char small[] = "{\"apis\":{\"a\":{\"base_url\":\"http://a\"}}}";
    if (dx_client_open_text(&client, small, sizeof small - 1, NULL, &error)) return fail(error.message);
    struct mallinfo2 before = mallinfo2();
    dx_client *large;
    if (dx_client_open(&large, definition, NULL, &error)) return fail(error.message);
    struct mallinfo2 after = mallinfo2();
    printf("%zu\n", (after.uordblks + after.hblkhd - before.uordblks - before.hblkhd) >> 10);
    dx_client_close(large);
    dx_client_close(client);
    return 0;
}

static int run_ours(const char *mode, const char *definition, long count, long at_once) {
    dx_client *client;
    dx_error error = DX_ERROR_INIT;
    if (dx_client_open(&client, definition, NULL, &error)) return fail(error.message);
    double start = cpu();
    int result =
        strcmp(mode, "sync") == 0 ? run_sync(client, count) : run_async(client, count, strcmp(mode, "queue") == 0 ? count : at_once);
    if (!result) printf("%.3f\n", (cpu() - start) / (double)count);
    dx_client_close(client);
    return result;
}

int main(int argc, char **argv) {
    if (argc < 4) return fail("usage: bench_client easy|multi|sync|async|queue|memory URL COUNT [DEFINITION [AT_ONCE]]"), 2;
    long count = strtol(argv[3], NULL, 10);
    bool bare = strcmp(argv[1], "easy") == 0 || strcmp(argv[1], "multi") == 0;
    if (!bare && argc < 5) return fail("this mode needs a definition"), 2;
    if (strcmp(argv[1], "memory") == 0) return run_memory(argv[4]);
    if (!bare) return run_ours(argv[1], argv[4], count, argc > 5 ? strtol(argv[5], NULL, 10) : IN_FLIGHT);
    (void)curl_global_init(CURL_GLOBAL_DEFAULT);
    double start = cpu();
    int result = strcmp(argv[1], "easy") == 0 ? run_easy(argv[2], count) : run_multi(argv[2], count);
    if (!result) printf("%.3f\n", (cpu() - start) / (double)count);
    return result;
}
