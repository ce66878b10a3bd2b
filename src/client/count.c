// What is counted of a call that is over.
#include "client/client.h"

void dx_client_count(dx_call *call) {
    (void)call;
}
