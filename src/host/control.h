// Asking a running server: the commands' side of the control socket. The socket is an abstract one, named from who runs the server, which
// definition it serves, and its process id; servers are found by these names, and only answer to their own user and to root. One question
// and one answer a connection, a JSON object each:
//
//     {"do": "reload"}   →   {"ok": true, "pid": 4711, …}   or   {"ok": false, "status": "…", "findings": ["…"]}
#ifndef DX_HOST_CONTROL_H
#define DX_HOST_CONTROL_H

#include "base/diag.h"
#include "codec/json.h"

#define DX_CONTROL_SERVERS_CAP 64
#define DX_CONTROL_ANSWER_CAP  (16u << 20)

typedef struct dx_control_server {
    long pid;
    unsigned uid;
    char name[108]; // of the socket
    size_t name_size;
} dx_control_server;

// Servers of the definition at `path` (NULL: of any), or the one whose process id is `pid` (0: any). Returns how many there are.
size_t dx_control_find(dx_control_server *out, size_t cap, const char *path, long pid);
// Asks, and waits for the answer, which may take as long as building the definition does. `*answer` lives in the arena. On anything but
// DX_OK `problem` says in words what went wrong. DX_CANCELLED: the server went, or ended the connection, before it said a word.
dx_status dx_control_ask(yyjson_val **answer, const dx_control_server *server, const char *request, dx_arena *arena,
                         char problem[160]) DX_MUST_USE;

#endif
