// What the code asks of the compiler, by name: the only place where compilers are told apart.
#ifndef DX_BASE_COMPILER_H
#define DX_BASE_COMPILER_H

#include <stddef.h>

#define DX_MUST_USE                   __attribute__((warn_unused_result))
#define DX_PRINTF(format_at, args_at) __attribute__((format(printf, format_at, args_at)))
#define DX_LIKELY(condition)          __builtin_expect(!!(condition), 1)
#define DX_UNLIKELY(condition)        __builtin_expect(!!(condition), 0)
#define DX_COLD                       __attribute__((cold, noinline))
#define DX_FALLTHROUGH                __attribute__((fallthrough))

// Memory that is ours but not in use may be marked so for the address sanitizer; without it these say nothing, and DX_REDZONE (the bytes
// left unusable between two pieces) is 0.
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define DX_ASAN 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) && !defined(DX_ASAN)
#define DX_ASAN 1
#endif
#ifdef DX_ASAN
#include <sanitizer/asan_interface.h>
static const size_t DX_REDZONE = 16;
#define DX_POISON(pointer, size)   ASAN_POISON_MEMORY_REGION((pointer), (size))
#define DX_UNPOISON(pointer, size) ASAN_UNPOISON_MEMORY_REGION((pointer), (size))
#else
static const size_t DX_REDZONE = 0; // no macro: compilers complain of a comparison with a literal 0
#define DX_POISON(pointer, size)   ((void)(pointer), (void)(size))
#define DX_UNPOISON(pointer, size) ((void)(pointer), (void)(size))
#endif

// The struct of `type` whose field `member` lies at `pointer`.
#define DX_CONTAINER_OF(pointer, type, member) ((type *)(void *)((char *)(pointer)-offsetof(type, member)))
#define DX_COUNT_OF(array)                     (sizeof(array) / sizeof((array)[0]))

#endif
