// Whether all of duplex's memory, and libcurl's, comes from the program's own allocator and goes back to it: allocator DEFINITION.
// Each block begins with its size and a mark, so that memory of one door that is freed through the other is noticed.
#include <curl/curl.h>
#include <duplex/duplex.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct block {
    size_t size;
    size_t mark;
} block;
#define MARK ((size_t)0x6475706c)

static long long live, total; // the client's threads count, too
static int bad;

static void *own_realloc(void *context, void *pointer, size_t size) {
    block *old = pointer ? (block *)pointer - 1 : NULL;
    size_t before = old ? old->size : 0;
    (void)context;
    if (old && old->mark != MARK) __atomic_store_n(&bad, 1, __ATOMIC_SEQ_CST);
    block *made = realloc(old, sizeof *made + size);
    if (!made) return NULL;
    made->size = size;
    made->mark = MARK;
    __atomic_add_fetch(&live, (long long)size - (long long)before, __ATOMIC_SEQ_CST);
    __atomic_add_fetch(&total, 1, __ATOMIC_SEQ_CST);
    return made + 1;
}

static void *own_alloc(void *context, size_t size) {
    return own_realloc(context, NULL, size);
}

static void own_free(void *context, void *pointer) {
    block *old = pointer ? (block *)pointer - 1 : NULL;
    (void)context;
    if (!old) return;
    if (old->mark != MARK) __atomic_store_n(&bad, 1, __ATOMIC_SEQ_CST);
    __atomic_sub_fetch(&live, (long long)old->size, __ATOMIC_SEQ_CST);
    old->mark = 0;
    free(old);
}

static int use(const char *definition) {
    dx_client *client;
    dx_response *user = NULL, *again = NULL;
    dx_call *call = NULL;
    dx_error error = DX_ERROR_INIT;
    if (dx_client_open(&client, definition, NULL, &error)) return fprintf(stderr, "%s\n", error.message), 1;
    if (dx_client_call(&user, client, "github.get_user", DX_ARGS(DX_STR("username", "a")), NULL, &error) ||
        dx_call_start(&call, client, "github.get_user", DX_ARGS(DX_STR("username", "b")), NULL, NULL, NULL, &error) ||
        dx_call_wait(call, -1) || dx_client_get(&again, client, "github", "/users/c", NULL, NULL, &error))
        fprintf(stderr, "%s\n", error.message);
    int worked = dx_response_i64(user, "/id", -1) > 0 && again != NULL;
    dx_response_release(user);
    dx_response_release(again);
    dx_call_release(call);
    dx_client_close(client);
    return worked ? 0 : 1;
}

int main(int argc, char **argv) {
    dx_allocator allocator = DX_ALLOCATOR_INIT;
    if (argc != 2) return 2;
    allocator.alloc = own_alloc;
    allocator.realloc = own_realloc;
    allocator.free = own_free;
    if (dx_set_allocator(&allocator)) return fprintf(stderr, "refused\n"), 1;
    if (use(argv[1])) return 1;
    long long first = live;
    for (int i = 0; i < 3; i++)
        if (use(argv[1])) return 1;
    long long grown = live - first;
    long long before = total;
    curl_free(curl_easy_escape(NULL, "a", 1));
    int curls = total > before; // libcurl's memory comes from here, too
    curl_global_cleanup();      // its own memory; nothing uses libcurl any more
    printf("allocations %lld, kept %lld, grown %lld, foreign %d, late %d, libcurl %d\n", total, live, grown, bad,
           dx_set_allocator(&allocator), curls);
    return 0;
}
