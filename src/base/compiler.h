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

// The struct of `type` whose field `member` lies at `pointer`.
#define DX_CONTAINER_OF(pointer, type, member) ((type *)(void *)((char *)(pointer)-offsetof(type, member)))
#define DX_COUNT_OF(array)                     (sizeof(array) / sizeof((array)[0]))

#endif
