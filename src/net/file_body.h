// A file's bytes on their way to a peer, without the loop ever waiting for the disk: what the page cache has is read, or may be given to
// sendfile, at once (preadv2 with RWF_NOWAIT says so); the rest is fetched by a pool thread first, a chunk at a time. HTTP/1.1 sends files
// through its connection (dx_connection_send_file); a protocol with frames of its own reads. On the loop's thread.
#ifndef DX_NET_FILE_BODY_H
#define DX_NET_FILE_BODY_H

#include <sys/types.h>

#include "loop/loop.h"

#define DX_FILE_CHUNK (1u << 20) // fetched at once; sent in one turn of the loop

typedef struct dx_file_body dx_file_body;

// `length` bytes, more than 0, from `offset` on of an open regular file. Takes over `fd`; without memory (NULL) it is closed. `ready(ctx)`
// is called, later, after DX_FILE_WAIT.
dx_file_body *dx_file_body_create(dx_loop *loop, int fd, int64_t offset, int64_t length, void (*ready)(void *ctx), void *ctx);
// Takes NULL. `ready` is not called any more. The descriptor is closed now, or when a pool thread lets go of it.
void dx_file_body_destroy(dx_file_body *file);
int64_t dx_file_body_left(const dx_file_body *file); // bytes not read or skipped yet

#define DX_FILE_WAIT   ((ssize_t)0)  // a pool thread fetches them: `ready` will be called, once
#define DX_FILE_FAILED ((ssize_t)-1) // the file is shorter than was said, or cannot be read
// Reads up to `size` bytes off the front; or one of the two above.
ssize_t dx_file_body_read(dx_file_body *file, char *to, size_t size);
// How many bytes at the front, up to `most`, are in memory now; or one of the two above. Then sendfile may be called with the file and the
// offset, and dx_file_body_skip with what it took; when that is nothing, the file has become shorter.
ssize_t dx_file_body_resident(dx_file_body *file, size_t most);
int dx_file_body_fd(const dx_file_body *file);
int64_t dx_file_body_offset(const dx_file_body *file);
void dx_file_body_skip(dx_file_body *file, size_t bytes);

#endif
