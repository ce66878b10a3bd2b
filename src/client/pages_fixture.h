// A client without a network, for tests: a transport whose server is a function, and that answers on the loop as a real one would.
#ifndef DX_CLIENT_PAGES_FIXTURE_H
#define DX_CLIENT_PAGES_FIXTURE_H

#include "client/client.h"

typedef struct dx_fake dx_fake;
struct dx_fake {
    // Answers a request's target with a status; 0: never. On the client's threads.
    int (*serve)(dx_fake *fake, dx_slice target, dx_buffer *body, dx_buffer *link);
    int how;                           // the test's own
    atomic_uint sent, under_way, most; // requests, those without an answer, most of these
    dx_transport_use use;
};

// With one endpoint for each of the kinds of pages: "api.v1.pages", "offset", "cursor", "link", "next", and "item".
dx_client *dx_fake_client(dx_fake *fake, unsigned threads);
// The number behind `name` in the target's query; `otherwise` when it is not there.
long dx_fake_number(dx_slice target, const char *name, long otherwise);
// {"items": [from, …], …}: numbers below `to`.
void dx_fake_items(dx_buffer *body, long from, long to);

#endif
