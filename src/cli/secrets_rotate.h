// Sealing the values of a definition's file anew.
#ifndef DX_CLI_SECRETS_ROTATE_H
#define DX_CLI_SECRETS_ROTATE_H

#include "base/arena.h"
#include "crypto/fernet.h"

// Every sealed value in the JSON file `path` that the first key of the ring does not open is sealed anew with it; the other bytes stay as
// they are, and so do the file's owner and mode. The file is replaced as a whole, or not touched. Says on standard output what was done and
// on standard error why it was not; returns a dx_exit.
int dx_secrets_rotate(const char *path, const dx_fernet_ring *ring, dx_arena *arena);

#endif
