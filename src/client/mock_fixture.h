// A transport of tests: answers at once, on the loop, by a function of the test's.
#ifndef DX_CLIENT_MOCK_FIXTURE_H
#define DX_CLIENT_MOCK_FIXTURE_H

#include "client/client.h"

// A request as it was sent, and the answer to make; all in its call's arena.
typedef struct mock_request {
    dx_exchange *x;
    const char *method, *url, *body; // NUL-terminated
    dx_call *call;
} mock_request;

typedef struct mock {
    // Sets the answer by mock_answer or mock_fail. On a loop's thread.
    void (*serve)(struct mock *self, const mock_request *request);
    atomic_int sent;
    void *ctx;
} mock;

extern const dx_transport_ops mock_transport; // conf: mock

void mock_answer(const mock_request *request, int status, const char *type, const char *body);
void mock_header(const mock_request *request, const char *name, const char *value);
const char *mock_field(const mock_request *request, const char *name); // "" when there is none

// A client of a definition (quotes are written as '), which calls the mock. Fails the test when it can't be opened.
dx_client *mock_open(mock *server, const char *definition, const dx_client_options *options);
char *mock_json(const char *text); // with " instead of '; to be freed

#endif
