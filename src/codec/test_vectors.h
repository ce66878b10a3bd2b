// For tests: finds a folder of public vectors along the environment's DX_VECTORS and reads its files.
#ifndef DX_CODEC_TEST_VECTORS_H
#define DX_CODEC_TEST_VECTORS_H

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"

// Opens `<dir>/<name>` for the first directory of DX_VECTORS that has it; NULL when none has.
static inline DIR *test_vectors_open(const char *name, char *path, size_t path_size) {
    dx_slice rest = dx_slice_str(getenv("DX_VECTORS"));
    while (rest.data) {
        dx_slice dir = dx_slice_cut(&rest, ':');
        snprintf(path, path_size, "%.*s/%s", DX_SLICE_ARG(dir), name);
        DIR *open = dir.size ? opendir(path) : NULL;
        if (open) return open;
    }
    return NULL;
}

// The whole of a file, in the arena; data NULL when it cannot be read.
static inline dx_slice test_vectors_read(dx_arena *arena, const char *dir, const char *name) {
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *file = fopen(path, "rb");
    if (file == NULL) return (dx_slice){NULL, 0};
    fseek(file, 0, SEEK_END);
    long size = ftell(file);
    rewind(file);
    char *data = dx_arena_bytes(arena, (size_t)size);
    size_t got = data ? fread(data, 1, (size_t)size, file) : 0;
    fclose(file);
    return (dx_slice){got == (size_t)size ? data : NULL, got};
}

#endif
