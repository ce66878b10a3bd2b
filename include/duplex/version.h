/* The version of libduplex: what a program was compiled with, and what it runs with.
 *
 *     #if !DX_VERSION_AT_LEAST(0, 1, 0)
 *     #error "duplex 0.1 or later is needed"
 *     #endif
 *     dx_build build = DX_BUILD_INIT;
 *     dx_build_info(&build);
 *     printf("duplex %s with libcurl %s: %s\n", build.version, build.libcurl, build.features);
 *
 * A library of the same major version (0: of the same minor, too) keeps what programs were compiled against; see duplex/api.h.
 *
 * Thread rule: any thread, at any time; nothing has to be opened before. */
#ifndef DUPLEX_VERSION_H
#define DUPLEX_VERSION_H

#include "duplex/api.h"

DX_BEGIN_DECLS

#define DX_VERSION_MAJOR  0
#define DX_VERSION_MINOR  1
#define DX_VERSION_PATCH  0
#define DX_VERSION_STRING "0.1.0"

/* A version as a number that grows with it: 0x000100 is 0.1.0. */
#define DX_VERSION_MAKE(major, minor, patch) (((major) << 16) | ((minor) << 8) | (patch))
#define DX_VERSION_NUMBER                    DX_VERSION_MAKE(DX_VERSION_MAJOR, DX_VERSION_MINOR, DX_VERSION_PATCH)
/* Whether the headers are of that version or a later one; for the preprocessor, too. */
#define DX_VERSION_AT_LEAST(major, minor, patch) (DX_VERSION_NUMBER >= DX_VERSION_MAKE(major, minor, patch))

/* Of the library that runs, which may be later than the headers: "0.1.0" (static), and the number that DX_VERSION_MAKE makes of it. */
DX_API const char *dx_version(void);
DX_API unsigned dx_version_number(void);

#define DX_BUILD_WORD_SIZE     48
#define DX_BUILD_FEATURES_SIZE 256

/* What the library that runs consists of: plain memory, nothing to free. Begin with DX_BUILD_INIT. The versions are those of the libraries
 * that are loaded now, not of those it was compiled with. */
typedef struct dx_build {
    uint32_t size;                         /* of this struct, as the caller was compiled: set by DX_BUILD_INIT */
    char version[DX_BUILD_WORD_SIZE];      /* "0.1.0" */
    char libcurl[DX_BUILD_WORD_SIZE];      /* "7.88.1" */
    char tls[DX_BUILD_WORD_SIZE];          /* libcurl's TLS, "OpenSSL/3.0.17" */
    char openssl[DX_BUILD_WORD_SIZE];      /* duplex's own, for signatures and sealed values: "3.0.17" */
    char libuv[DX_BUILD_WORD_SIZE];        /* "1.44.2" */
    char yyjson[DX_BUILD_WORD_SIZE];       /* "0.10.0" */
    char features[DX_BUILD_FEATURES_SIZE]; /* what its HTTP can do, in words with a space between: "tls http2 gzip br zstd" */
} dx_build;
#define DX_BUILD_INIT                                                                                                                      \
    { sizeof(dx_build), "", "", "", "", "", "", "" }

/* Fills it in, as far as the caller's `size` goes. A word that does not fit its room is cut. */
DX_API void dx_build_info(dx_build *out);

DX_END_DECLS

#endif
