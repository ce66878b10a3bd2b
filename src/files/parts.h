// What the files of this room share: a mount (a folder under a path), finding a file in it, and the handlers.
#ifndef DX_FILES_PARTS_H
#define DX_FILES_PARTS_H

#include <sys/stat.h>

#include "base/map.h"
#include "codec/compress.h"
#include "files/files.h"

// Files up to this size are read into memory and sent with their head in one piece.
#define DX_FILES_SMALL    (16u << 10)
#define DX_FILES_PATH_CAP 4096

enum { DX_FILES_READ, DX_FILES_WRITE, DX_FILES_REMOVE, DX_FILES_FORM, DX_FILES_OPERATIONS };

typedef struct dx_mount {
    dx_app *app;
    dx_slice pointer; // "/files/~1static", for findings
    dx_slice prefix;  // "/static"; empty for "/"
    const char *folder;
    int root; // O_PATH; what the folder's path led to when the definition was loaded
    dx_slice index, fallback, cache_control, policy;
    bool symlinks, hidden, precompressed, uploads, replace;
    dx_access access, upload_access;
    uint64_t upload_cap;
    dx_map types; // extension → const dx_slice *
    dx_operation operations[DX_FILES_OPERATIONS], bare;
} dx_mount;

typedef struct dx_files {
    dx_app *app;
    dx_mount *mounts;
    size_t count;
} dx_files;

// settings.c
extern const dx_section dx_files_section;
dx_status dx_files_settings_read(dx_files *files, dx_diags *diags) DX_MUST_USE;

// types.c: by the extension of a name; "application/octet-stream" when it is not known.
dx_slice dx_files_type(const dx_mount *mount, dx_slice name);

// find.c
typedef enum dx_found {
    DX_FOUND_NOTHING,
    DX_FOUND_FILE,
    DX_FOUND_FOLDER /* asked for without its "/" */,
    DX_FOUND_FORBIDDEN,
    DX_FOUND_FAILED
} dx_found;
typedef struct dx_file {
    dx_found found;
    int fd; // of DX_FOUND_FILE; the caller's
    int error;
    struct stat stat;
    dx_coding coding; // of the sibling that `fd` is
    bool fallback;
    dx_slice name; // without the sibling's ending: for the media type
} dx_file;
// Whether a path's segments may be looked for at all: no empty, "." or ".." ones, no NUL, no hidden names unless the mount serves them.
bool dx_files_path_allowed(const dx_mount *mount, dx_slice path);
// Finds what answers `path` (decoded, relative to the mount). `codings`: bits that the client takes, with `accept` to choose among them.
// `cached_only`: looks no further than the kernel's caches; false when that does not suffice, and nothing is open then.
typedef struct dx_search {
    const dx_mount *mount;
    dx_slice path, accept;
    bool navigation; // a browser asks for a page: the fallback may answer
} dx_search;
bool dx_files_find(const dx_search *search, bool cached_only, dx_file *out);
// Opens below the mount's root; -1 and errno (EAGAIN with `cached_only`: the kernel would have to wait).
int dx_files_open(const dx_mount *mount, const char *path, int flags, mode_t mode, bool cached_only);

// tag.c: entity tags and conditions
#define DX_FILES_TAG_CAP 64
dx_slice dx_files_tag(char out[DX_FILES_TAG_CAP], const struct stat *stat, dx_coding coding);
// 0: go on; 304 or 412 (RFC 9110 section 13.2.2).
int dx_files_precondition(const dx_exchange *x, dx_slice tag, dx_micros_utc modified);
// Whether If-Range (if there is one) holds, so that Range counts.
bool dx_files_range_holds(const dx_exchange *x, dx_slice tag, dx_micros_utc modified);
dx_micros_utc dx_files_modified(const struct stat *stat); // in whole seconds, as Last-Modified has it

// read.c, byteranges.c, upload.c
dx_verdict dx_files_read(const void *mount, dx_exchange *x);
struct dx_byte_range;
dx_verdict dx_files_send_parts(dx_exchange *x, int fd, const struct dx_byte_range *ranges, size_t count, dx_slice type, uint64_t total);
dx_verdict dx_files_write(const void *mount, dx_exchange *x);
dx_verdict dx_files_remove(const void *mount, dx_exchange *x);
dx_verdict dx_files_form(const void *mount, dx_exchange *x);
void dx_files_describe(const void *conf, const dx_operation *operation, yyjson_mut_doc *doc, yyjson_mut_val *object);

#endif
