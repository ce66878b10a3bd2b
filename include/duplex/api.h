/* What every public header of libduplex needs: how symbols are exported, and what the compiler is told of functions. */
#ifndef DUPLEX_API_H
#define DUPLEX_API_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__) || defined(__clang__)
#define DX_API                                 __attribute__((visibility("default")))
#define DX_NODISCARD                           __attribute__((warn_unused_result))
#define DX_API_PRINTF(format_at, arguments_at) __attribute__((format(printf, format_at, arguments_at)))
#else
#define DX_API
#define DX_NODISCARD
#define DX_API_PRINTF(format_at, arguments_at)
#endif

#ifdef __cplusplus
#define DX_BEGIN_DECLS extern "C" {
#define DX_END_DECLS   }
#else
#define DX_BEGIN_DECLS
#define DX_END_DECLS
#endif

#endif
