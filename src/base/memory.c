// The heap's door and its fault injection. The armed flag is read relaxed: a test arms before it starts what it tests.
#include "base/memory.h"

#include <stdatomic.h>
#include <stdlib.h>

static atomic_bool armed;
static atomic_bool later_too;
static atomic_uint_least64_t seen, victim, failed;

static DX_COLD bool fails(void) {
    uint64_t nth = atomic_fetch_add(&seen, 1) + 1;
    uint64_t at = atomic_load(&victim);
    bool hit = nth == at || (nth > at && atomic_load(&later_too));
    if (hit) atomic_fetch_add(&failed, 1);
    return hit;
}

static inline bool refuses(void) {
    return DX_UNLIKELY(atomic_load_explicit(&armed, memory_order_relaxed)) && fails();
}

void *dx_memory_alloc(size_t size) {
    return refuses() ? NULL : malloc(size ? size : 1);
}

void *dx_memory_zalloc(size_t count, size_t size) {
    return refuses() ? NULL : calloc(count ? count : 1, size ? size : 1);
}

void *dx_memory_realloc(void *pointer, size_t size) {
    return refuses() ? NULL : realloc(pointer, size ? size : 1);
}

void dx_memory_free(void *pointer) {
    free(pointer);
}

void dx_memory_fail_at(uint64_t n, bool and_later) {
    atomic_store(&seen, 0);
    atomic_store(&failed, 0);
    atomic_store(&victim, n);
    atomic_store(&later_too, and_later);
    atomic_store(&armed, true);
}

bool dx_memory_fail_stop(void) {
    atomic_store(&armed, false);
    return atomic_load(&failed) > 0;
}
