// How control sockets are called: "duplex/<uid>/<hash of the definition's real path>/<pid>", in the abstract namespace.
#ifndef DX_HOST_CONTROL_NAME_H
#define DX_HOST_CONTROL_NAME_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>

#define DX_CONTROL_NAME_CAP 80
#define DX_CONTROL_PREFIX   "duplex/"

// False when the definition is not there.
bool dx_control_name(char out[DX_CONTROL_NAME_CAP], const char *path, unsigned uid, long pid);
// The middle part alone: 16 hex digits.
bool dx_control_hash(char out[17], const char *path);
socklen_t dx_control_address(struct sockaddr_un *out, const char *name, size_t size);

#endif
