// Whether an API is well: judged by its circuit breaker, its last check and the calls of the last minutes; and the checks that the client
// makes by itself, on its first engine.
#ifndef DX_CLIENT_HEALTH_H
#define DX_CLIENT_HEALTH_H

#include "client/client.h"
#include "client/meter.h"

// As things are known to be. `out` is overwritten.
void dx_health_judge(dx_health_report *out, const dx_api *api);
// Likewise, and logs when it differs from what was logged last.
void dx_health_tell(dx_client *client, const dx_api *api, dx_health_report *out);
// The APIs have changed, or the client was opened: checks that are due by themselves begin. Any thread.
void dx_health_watch(dx_client *client);
void dx_health_unwatch(dx_client *client); // the client is being closed, on the thread of a loop that is the caller's

#endif
