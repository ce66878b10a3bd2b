// SQLite's memory through the project's one door to the heap, so that tests can make any allocation of SQLite fail, too.
#include <malloc.h>

#include "base/memory.h"
#include "store/sqlite/internal.h"

static void *take(int size) {
    return size > 0 ? dx_memory_alloc((size_t)size) : NULL;
}

static void *resize(void *pointer, int size) {
    return dx_memory_realloc(pointer, (size_t)size);
}

static int size_of(void *pointer) {
    return pointer ? (int)malloc_usable_size(pointer) : 0;
}

static int round_up(int size) {
    return (size + 7) & ~7;
}

static int start(void *ctx) {
    (void)ctx;
    return SQLITE_OK;
}

static void stop(void *ctx) {
    (void)ctx;
}

const struct sqlite3_mem_methods dx_sqlite_memory = {take, dx_memory_free, resize, size_of, round_up, start, stop, NULL};
