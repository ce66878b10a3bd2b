// Keys that sign for a client: {"algorithm": "RS256", "id": "k1", and one of "secret", "pem", "file", "jwk"}.
#ifndef DX_CLIENT_AUTH_KEY_H
#define DX_CLIENT_AUTH_KEY_H

#include "client/auth_settings.h"
#include "crypto/jwt.h"

// From the member `name`. NULL with findings. `id` is empty when none is given.
void dx_auth_key_read(dx_key **out, dx_slice *id, dx_auth_reader *reader, const char *name);

#endif
