// Kernel randomness. Small requests are cut from a per-thread pool filled by one getrandom(2), each byte wiped as it is handed out; a fork
// makes the child's pool stale, so that no byte is given twice.
#include "base/random.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define POOL_SIZE 512

static _Thread_local struct {
    unsigned char bytes[POOL_SIZE];
    size_t left;
    unsigned generation;
} pool;

static atomic_uint generation = 1;

static void after_fork(void) {
    atomic_fetch_add(&generation, 1);
}

static void watch_forks(void) {
    (void)pthread_atfork(NULL, NULL, after_fork);
}

static void from_kernel(void *out, size_t size) {
    unsigned char *at = out;
    while (size) {
        ssize_t got = getrandom(at, size, 0);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) abort(); // nothing secret can be made without it, and a library has nowhere to say so
        at += got;
        size -= (size_t)got;
    }
}

static void fill_pool(unsigned now) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    (void)pthread_once(&once, watch_forks); // before there is a pool that a child could inherit
    from_kernel(pool.bytes, POOL_SIZE);
    pool.left = POOL_SIZE;
    pool.generation = now;
}

void dx_random_bytes(void *out, size_t size) {
    if (size > POOL_SIZE / 8) {
        from_kernel(out, size);
        return;
    }
    unsigned now = atomic_load_explicit(&generation, memory_order_relaxed);
    if (pool.left < size || pool.generation != now) fill_pool(now);
    pool.left -= size;
    memcpy(out, pool.bytes + pool.left, size);
    explicit_bzero(pool.bytes + pool.left, size);
}

uint64_t dx_random_u64(void) {
    uint64_t value;
    dx_random_bytes(&value, sizeof value);
    return value;
}
