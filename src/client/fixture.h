// What tests of the client share: a client over a transport without a network. Its APIs are told as text; "a" is the one that `get` calls.
#ifndef DX_CLIENT_FIXTURE_H
#define DX_CLIENT_FIXTURE_H

#include "duplex/transport.h"

dx_client *open_over(const char *apis, dx_transport *transport);
// times 0: for ever
void mock_rule(dx_transport *mock, const char *pattern, int status, const char *body, unsigned times);
const char *sent_header(const dx_sent *sent, const char *name); // NULL: it has none
// The body, cut to the room, goes to `text` (may be NULL).
dx_error_code get(dx_client *client, const char *path, char *text, size_t room, dx_error *error);

#endif
