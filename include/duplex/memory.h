/* The program's own allocator for what libduplex allocates.
 *
 *     static void *count_alloc(void *context, size_t size) { … }
 *     dx_allocator allocator = DX_ALLOCATOR_INIT;
 *     allocator.alloc = count_alloc, allocator.realloc = count_realloc, allocator.free = count_free;
 *     if (dx_set_allocator(&allocator)) return fprintf(stderr, "too late for an allocator\n"), 1;
 *
 * Once it is set, all memory of duplex itself and of the JSON it reads comes from it, and so does libcurl's when libduplex is the first in
 * the process to start libcurl (by curl_global_init_mem; libcurl keeps some of it until curl_global_cleanup, which libduplex never calls,
 * as others may use libcurl, too). Less than 1 KiB that is made once is kept until the process ends. OpenSSL, libuv, hiredis, libyaml,
 * PCRE2 and the C library go on with their own; some of them have a door like this one.
 *
 * Without memory libduplex never ends the program: the call in question fails by DX_ERROR_NO_MEMORY.
 *
 * Thread rule: dx_set_allocator may be called by any thread; of several, the first wins. The functions of the allocator are called by any
 * thread, several at once. */
#ifndef DUPLEX_MEMORY_H
#define DUPLEX_MEMORY_H

#include "duplex/error.h"

DX_BEGIN_DECLS

/* Begin with DX_ALLOCATOR_INIT; all three functions are needed. They must not call libduplex. */
typedef struct dx_allocator {
    uint32_t size; /* of this struct, as the caller was compiled: set by DX_ALLOCATOR_INIT */
    /* As malloc(3): `size` is never 0; aligned for any type; NULL: there is none. */
    void *(*alloc)(void *context, size_t size);
    /* As realloc(3): `pointer` may be NULL, `size` is never 0; on NULL the old memory stands. */
    void *(*realloc)(void *context, void *pointer, size_t size);
    void (*free)(void *context, void *pointer); /* takes NULL */
    void *context;
} dx_allocator;
#define DX_ALLOCATOR_INIT                                                                                                                  \
    { sizeof(dx_allocator), NULL, NULL, NULL, NULL }

/* Sets it, for the whole process and for good: before anything else of libduplex is called. The struct is copied, what `context` points to
 * must outlive the process' use of libduplex. Errors: DX_ERROR_ARGUMENT, something was allocated already, an allocator was set before, or
 * one of the functions is missing; nothing has changed then. */
DX_API DX_NODISCARD dx_error_code dx_set_allocator(const dx_allocator *allocator);

DX_END_DECLS

#endif
