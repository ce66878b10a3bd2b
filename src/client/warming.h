// Keeping caches warm (cache.warming): calls that are made when the client opens, and again each interval, so that what they bring is in
// the cache before somebody asks. Few at once, none twice at the same time; one that fails is made again later and later.
#ifndef DX_CLIENT_WARMING_H
#define DX_CLIENT_WARMING_H

#include "client/client.h"

#define DX_WARMING_AT_ONCE 4
#define DX_WARMING_CAP     1024 // tasks of a definition

// Starts what the present APIs ask for, on one of the client's loops; nothing when they ask for nothing. An endpoint that is none is
// DX_ERROR_CONFIG.
dx_error_code dx_warming_start(dx_client *client, dx_error *error) DX_MUST_USE;
// Begins no more; what is under way goes on by itself. Any thread; before the loops end, and before the APIs are exchanged. May be
// repeated.
void dx_warming_stop(dx_client *client);

#endif
