// The one door to the heap for the project's own code, and the place where a test makes it fail. `malloc` and friends are not called
// elsewhere (libraries that take an allocator are given these). With no fault set and no allocator of the program's own (duplex/memory.h,
// which all goes to then) the cost is one predictable branch.
//
// A test of every allocation's failure reads:
//     for (uint64_t n = 1;; n++) {
//         dx_memory_fail_at(n, false);
//         status = the_thing();
//         if (!dx_memory_fail_stop()) break; // ran through without reaching the n-th allocation: every one has been tried
//         assert(status == DX_NO_MEMORY);
//     }
#ifndef DX_BASE_MEMORY_H
#define DX_BASE_MEMORY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"

// As malloc(3), but a `size` of 0 gives a pointer too. NULL without memory.
void *dx_memory_alloc(size_t size) DX_MUST_USE;
// As calloc(3): zeroed, the product checked.
void *dx_memory_zalloc(size_t count, size_t size) DX_MUST_USE;
// As realloc(3); `pointer` may be NULL; a `size` of 0 is taken as 1. On NULL the old memory stands.
void *dx_memory_realloc(void *pointer, size_t size) DX_MUST_USE;
void dx_memory_free(void *pointer); // takes NULL
// Whether the program has set an allocator of its own: then libraries that have none yet are given these functions.
bool dx_memory_is_own(void);

// Makes the n-th allocation from now (1: the next) fail, of all threads together; with `and_later`, every one after it too.
void dx_memory_fail_at(uint64_t n, bool and_later);
// Ends it. True when an allocation was made to fail.
bool dx_memory_fail_stop(void);

#endif
