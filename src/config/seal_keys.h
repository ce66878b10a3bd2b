// The keys that open sealed values, from where a person keeps them: a variable with a list of them, or a file of them. The newest stands
// first.
#ifndef DX_CONFIG_SEAL_KEYS_H
#define DX_CONFIG_SEAL_KEYS_H

#include "crypto/fernet.h"

#define DX_SEAL_PREFIX            "encrypted:" // before the token, in a definition
#define DX_SEAL_KEYS_VARIABLE     "DUPLEX_SEAL_KEYS"
#define DX_SEAL_KEY_FILE_VARIABLE "DUPLEX_SEAL_KEY_FILE"
#define DX_SEAL_KEY_FILE_CAP      (64u << 10) // bytes

// What is wrong, for a person to read; neither ever has a key in it. In the caller's arena.
typedef struct dx_seal_fault {
    dx_slice what;   // a sentence without a final stop: "DUPLEX_SEAL_KEYS: the 2nd key …"
    dx_slice remedy; // what to do
} dx_seal_fault;

// Adds the keys of a list, separated by commas. `name` is what messages call it. DX_INVALID with `fault` set, or DX_NO_MEMORY.
dx_status dx_seal_keys_from_list(dx_fernet_ring *ring, dx_slice list, const char *name, dx_arena *arena, dx_seal_fault *fault) DX_MUST_USE;
// Adds the keys of a file: one a line, empty lines and what is behind a # are skipped. A file that others than its owner and the process's
// user may read or write is refused, for it has been read already, perhaps. DX_INVALID with `fault` set, or DX_NO_MEMORY.
dx_status dx_seal_keys_from_file(dx_fernet_ring *ring, const char *path, dx_arena *arena, dx_seal_fault *fault) DX_MUST_USE;
// The fault of having no key at all.
dx_seal_fault dx_seal_keys_missing(void);

#endif
