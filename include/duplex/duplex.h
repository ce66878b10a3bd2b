/* Calls HTTP APIs that a definition describes: all of libduplex's headers at once. A program that only calls APIs needs no more than
 * duplex/client.h.
 *
 * A definition (duplex.json(5)) says which APIs there are, how they are called, and what happens on the way: credentials, limits, retries,
 * caches, models. A dx_client is a definition that was opened; its endpoints are called by name, and the answer's fields are read by JSON
 * pointer. Whatever goes wrong is told by one dx_error with a code, a category, the phase in which it happened, and a message for a person.
 *
 *     #include <duplex/client.h>
 *     #include <stdio.h>
 *
 *     int main(void) {
 *         dx_client *client;
 *         dx_response *user;
 *         dx_error error = DX_ERROR_INIT;
 *         if (dx_client_open(&client, "github.json", NULL, &error)) return fprintf(stderr, "%s\n", error.message), 1;
 *         if (dx_client_call(&user, client, "github.get_user", DX_ARGS(DX_STR("username", "octocat")), NULL, &error))
 *             fprintf(stderr, "%s\n", error.message);
 *         else
 *             printf("%lld\n", (long long)dx_response_i64(user, "/id", -1));
 *         dx_response_release(user);
 *         dx_client_close(client);
 *         return error.code ? 1 : 0;
 *     }
 *
 * Ownership: what a function returns belongs to the object it was asked of and lives as long, unless its contract says who frees it.
 * Strings that are passed in are copied where they must live on. Functions that give something up take NULL.
 *
 * Structs of options begin with their size, which their _INIT sets: a program goes on working with a later library of the same
 * libduplex.so.0. Values of enums are never renumbered. Strings of errors, phases and categories are for programs; messages are for people
 * and may change.
 *
 * The library writes to no standard stream, handles no signals, registers nothing to be done at exit, and does nothing before its first
 * call. Without memory a call fails by DX_ERROR_NO_MEMORY; duplex/memory.h lets a program bring its own allocator.
 *
 * After fork(2) the child must not use what the parent opened, not even to close it: threads, connections and locks were the parent's. It
 * may open clients of its own, unless the parent called libduplex in several threads at the moment of the fork; a child that calls exec(3)
 * at once has nothing to mind, since descriptors are closed by exec.
 *
 * Thread rules: a dx_client is used by any number of threads at once, as are functions without an object. A dx_call belongs to one thread
 * at a time, but dx_call_cancel may be called by any. A dx_response never changes and may be read by several threads. Callbacks are called
 * without locks held and may call the library, but must not block. */
#ifndef DUPLEX_DUPLEX_H
#define DUPLEX_DUPLEX_H

#include "duplex/api.h"
#include "duplex/auth.h"
#include "duplex/batch.h"
#include "duplex/cache.h"
#include "duplex/client.h"
#include "duplex/error.h"
#include "duplex/limit.h"
#include "duplex/loop.h"
#include "duplex/manager.h"
#include "duplex/memory.h"
#include "duplex/metrics.h"
#include "duplex/middleware.h"
#include "duplex/model.h"
#include "duplex/pages.h"
#include "duplex/transport.h"
#include "duplex/version.h"

#endif
