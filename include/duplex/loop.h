/* Calling on an event loop of the program's own, instead of on threads of the client: asynchronous calls then run, and their callbacks are
 * called, on the loop's thread. Whatever the loop is, it has to watch one descriptor and one timeout:
 *
 *     poll(2), epoll, libev, GLib, …: a driver with callbacks, or none of them and dx_client_fd, dx_client_timeout_ms, dx_client_process
 *     libuv: a driver with `uv`
 *
 * With a loop, dx_client_open, dx_client_close and everything that is told of calls happen on its thread; dx_call_start and dx_call_cancel
 * may come from others. dx_client_call still runs on the thread that calls it, whichever it is. */
#ifndef DUPLEX_LOOP_H
#define DUPLEX_LOOP_H

#include "duplex/client.h"

DX_BEGIN_DECLS

struct uv_loop_s;

struct dx_loop_driver {
    uint32_t size; /* DX_LOOP_DRIVER_INIT sets it */
    struct uv_loop_s
        *uv; /* a libuv loop, which must run on after dx_client_close until it has closed the client's handles; then the rest is NULL */
    void *context;
    /* Have dx_client_process called whenever `fd` is readable; once, from dx_client_open. False: it can't be. */
    bool (*watch)(void *context, dx_client *client, int fd);
    /* Have it called once after `ms` milliseconds, or never (-1), instead of what was said last. */
    void (*timer)(void *context, dx_client *client, int64_t ms);
    void (*unwatch)(void *context, dx_client *client, int fd); /* from dx_client_close, before fd is closed */
};
#define DX_LOOP_DRIVER_INIT                                                                                                                \
    { sizeof(dx_loop_driver), NULL, NULL, NULL, NULL, NULL }

/* For a client that was opened with a driver without `uv`: what to watch for reading, for how long at most (-1: for ever; ask anew before
 * each wait), and what to call then. Not from inside a callback. -1, -1 and nothing for other clients. */
DX_API int dx_client_fd(const dx_client *client);
DX_API int64_t dx_client_timeout_ms(const dx_client *client);
DX_API void dx_client_process(dx_client *client);

DX_END_DECLS

#endif
