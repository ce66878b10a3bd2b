// A client on the caller's loop (duplex/loop.h): our loop inside of theirs.
#ifndef DX_CLIENT_DRIVER_H
#define DX_CLIENT_DRIVER_H

#include "client/client.h"
#include "duplex/loop.h"

dx_error_code dx_driver_enter(dx_client *client, dx_error *error) DX_MUST_USE; // makes engines[0]
void dx_driver_leave(dx_client *client); // its engine has been destroyed; a client without driver: nothing

#endif
