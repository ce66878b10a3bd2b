// Writing below a mount: the folder of a path, and putting a file in its place or taking it away. All of it blocks: pool threads only.
#ifndef DX_FILES_PLACE_H
#define DX_FILES_PLACE_H

#include "files/parts.h"

// What the client holds against the file as it is.
typedef struct dx_guard {
    const dx_exchange *x; // its conditional fields; read only
    bool replace;         // a file that exists may be written over or removed
} dx_guard;

typedef struct dx_place {
    int folder;       // O_PATH; -1: none
    const char *name; // one segment, at the end of the path
} dx_place;

// Finds the folder that `path` (allowed by dx_files_path_allowed; it is cut at its slashes, and the place's name stays in it) lies in, and
// makes it with `make`. DX_NOT_FOUND, DX_CONFLICT (something on the way is no folder), DX_FORBIDDEN (the system says so), DX_STORE_FULL,
// DX_INTERNAL.
dx_status dx_place_find(dx_place *out, const dx_mount *mount, char *path, bool make) DX_MUST_USE;
void dx_place_leave(dx_place *place);
// Whether the guard lets the place be written: DX_OK, DX_PRECONDITION_FAILED, DX_ALREADY_EXISTS, DX_CONFLICT (a folder has the name).
// `found`: whether there is a file; NULL: not asked.
dx_status dx_place_check(const dx_place *place, const dx_guard *guard, bool *found, struct stat *stat) DX_MUST_USE;
// Gives the unnamed file (-1: an empty one) the name, durably: who opens it sees the old or the new one, whole. The guard is asked again
// under the folder's lock. `created`: there was none.
dx_status dx_place_put(const dx_place *place, const dx_guard *guard, int file, bool *created, struct stat *stat) DX_MUST_USE;
dx_status dx_place_remove(const dx_place *place, const dx_guard *guard) DX_MUST_USE;
dx_status dx_place_status(int error); // of an errno

#endif
