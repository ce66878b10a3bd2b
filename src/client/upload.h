// The body of a request that is not one piece of memory: a file, a multipart form, pieces that the caller gives. A list of parts, read one
// after the other, from the start again for another attempt.
#ifndef DX_CLIENT_UPLOAD_H
#define DX_CLIENT_UPLOAD_H

#include "base/arena.h"
#include "duplex/client.h"

typedef enum dx_upload_kind { DX_UPLOAD_MEMORY, DX_UPLOAD_FILE, DX_UPLOAD_SOURCE } dx_upload_kind;
typedef struct dx_upload_part {
    dx_upload_kind kind;
    dx_slice text; // MEMORY
    int file;      // FILE
    int64_t size;  // bytes; -1: not known (SOURCE)
    dx_source source;
    struct dx_upload_part *next;
} dx_upload_part;

typedef struct dx_upload {
    dx_arena *arena;
    dx_upload_part *first, **last;
    const dx_upload_part *at;
    int64_t offset; // in `at`
    int64_t size;   // of all; -1: not known
    bool read_any;
} dx_upload;

void dx_upload_init(dx_upload *upload, dx_arena *arena);
dx_status dx_upload_add_text(dx_upload *upload, dx_slice text) DX_MUST_USE; // not copied
// Opens it; closed with the arena. DX_NOT_FOUND: it can't be read, and errno says why.
dx_status dx_upload_add_file(dx_upload *upload, const char *path) DX_MUST_USE;
dx_status dx_upload_add_source(dx_upload *upload, const dx_source *source) DX_MUST_USE;
// Up to `room` bytes; 0: the end; -1: it can't be read.
int64_t dx_upload_read(dx_upload *upload, char *data, size_t room);
bool dx_upload_rewind(dx_upload *upload); // false: it can't be sent again
bool dx_upload_is_repeatable(const dx_upload *upload);

#endif
