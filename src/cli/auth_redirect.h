// The loopback redirect of a native client (RFC 8252 section 7.3): a listener on this machine that takes one answer of the authorization
// server, brought by the person's browser.
#ifndef DX_CLI_AUTH_REDIRECT_H
#define DX_CLI_AUTH_REDIRECT_H

#include "base/arena.h"

typedef struct dx_redirect_wait {
    int fd;
    uint16_t port;
} dx_redirect_wait;

// Listens on 127.0.0.1; `port` 0: one that is free. False: errno says why not.
bool dx_redirect_listen(dx_redirect_wait *wait, uint16_t port);
// Waits for a request to `path` whose state is `state`; the query's code, or (empty) `*error` says what came instead. Others are answered
// and passed over. In the arena. False: nobody came in time, or there was no memory (`*error`).
bool dx_redirect_take(dx_redirect_wait *wait, dx_arena *arena, dx_slice path, dx_slice state, int64_t timeout_ms, dx_slice *code,
                      dx_slice *error);
void dx_redirect_close(dx_redirect_wait *wait);

#endif
