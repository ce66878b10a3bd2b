// The heap's door, its fault injection, and the program's own allocator (duplex/memory.h). What is unusual, be it that nothing was
// allocated yet, a fault that is armed or an allocator of the program's, is one word: as long as that is 0, an allocation costs one
// predictable branch more than malloc(3).
#include "base/memory.h"

#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "duplex/memory.h"

enum { UNTOUCHED = 1, SETTING = 2, OWN = 4, ARMED = 8 }; // nothing allocated yet; `own` is being written; it stands; faults are armed

static atomic_uint unusual = UNTOUCHED;
static dx_allocator own; // written once, between SETTING and OWN
static atomic_bool later_too;
static atomic_uint_least64_t seen, victim, failed;

// --- the program's allocator

dx_error_code dx_set_allocator(const dx_allocator *allocator) {
    dx_allocator given = DX_ALLOCATOR_INIT;
    if (!allocator || !allocator->size) return DX_ERROR_ARGUMENT;
    memcpy(&given, allocator, allocator->size < sizeof given ? allocator->size : sizeof given);
    if (!given.alloc || !given.realloc || !given.free) return DX_ERROR_ARGUMENT;
    unsigned before = atomic_load(&unusual);
    do {
        if (!(before & UNTOUCHED)) return DX_ERROR_ARGUMENT;
    } while (!atomic_compare_exchange_weak(&unusual, &before, (before & ~(unsigned)UNTOUCHED) | SETTING));
    own = given;
    (void)atomic_fetch_xor(&unusual, SETTING | OWN);
    return DX_ERROR_NONE;
}

// From here on no other allocator can be set; one that is being set is waited for.
static DX_COLD unsigned settle(void) {
    (void)atomic_fetch_and(&unusual, ~(unsigned)UNTOUCHED);
    while (atomic_load(&unusual) & SETTING) (void)sched_yield();
    return atomic_load(&unusual);
}

bool dx_memory_is_own(void) {
    return atomic_load(&unusual) & OWN;
}

// --- faults

static DX_COLD bool fails(void) {
    uint64_t nth = atomic_fetch_add(&seen, 1) + 1;
    uint64_t at = atomic_load(&victim);
    bool hit = nth == at || (nth > at && atomic_load(&later_too));
    if (hit) atomic_fetch_add(&failed, 1);
    return hit;
}

void dx_memory_fail_at(uint64_t n, bool and_later) {
    atomic_store(&seen, 0);
    atomic_store(&failed, 0);
    atomic_store(&victim, n);
    atomic_store(&later_too, and_later);
    atomic_fetch_or(&unusual, ARMED);
}

bool dx_memory_fail_stop(void) {
    atomic_fetch_and(&unusual, ~(unsigned)ARMED);
    return atomic_load(&failed) > 0;
}

// --- the door

// A test arms faults before it starts what it tests; whoever got memory of `own` was told of it together with the memory.
static inline bool is_usual(void) {
    return !DX_UNLIKELY(atomic_load_explicit(&unusual, memory_order_relaxed));
}

static DX_COLD void *resize_unusually(void *pointer, size_t size) {
    unsigned state = settle();
    if (state & ARMED && fails()) return NULL;
    if (!(state & OWN)) return pointer ? realloc(pointer, size) : malloc(size);
    return pointer ? own.realloc(own.context, pointer, size) : own.alloc(own.context, size);
}

static DX_COLD void *zalloc_unusually(size_t count, size_t size) {
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes)) return NULL;
    void *memory = resize_unusually(NULL, bytes);
    return memory ? memset(memory, 0, bytes) : NULL;
}

void *dx_memory_alloc(size_t size) {
    if (!size) size = 1;
    return is_usual() ? malloc(size) : resize_unusually(NULL, size);
}

void *dx_memory_zalloc(size_t count, size_t size) {
    if (!count) count = 1;
    if (!size) size = 1;
    return is_usual() ? calloc(count, size) : zalloc_unusually(count, size);
}

void *dx_memory_realloc(void *pointer, size_t size) {
    if (!size) size = 1;
    return is_usual() ? realloc(pointer, size) : resize_unusually(pointer, size);
}

void dx_memory_free(void *pointer) {
    if (DX_UNLIKELY(atomic_load_explicit(&unusual, memory_order_acquire) & OWN))
        own.free(own.context, pointer);
    else
        free(pointer);
}
