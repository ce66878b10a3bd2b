// What the tests of accounts share: a server's insides without a server. A store in memory, a loop, the feature's state, a clock that the
// test moves, and requests that are handed straight to the chain.
#ifndef DX_IDENTITY_FIXTURE_H
#define DX_IDENTITY_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "identity/parts.h"

typedef struct fixture {
    dx_arena *arena;
    dx_store *store;
    dx_loop *loop;
    dx_identity identity;
} fixture;
extern fixture world;
extern dx_micros_utc test_utc; // what the feature takes for the time; test_advance moves both clocks
void test_advance(dx_nanos by);

int fixture_set_up(void **state);
int fixture_tear_down(void **state);

typedef struct test_answer {
    int status;
    dx_slice body;
    yyjson_val *json; // NULL: the body is no JSON
    dx_slice error_code, retry_after, authenticate, location;
    bool has_principal;
    bool wiped;                     // nothing of the request's body was left when it was over
    bool injected;                  // an allocation was made to fail
    char principal[64], roles[128]; // who was recognised
} test_answer;
// Runs one request to its end. `token` may be NULL; `body` NULL: none; it is JSON when it starts with "{", else a form.
test_answer test_call(dx_handler handler, const char *token, const char *body);
// The same while the n-th allocation fails.
test_answer test_call_failing(dx_handler handler, const char *token, const char *body, uint64_t n);
// One that must be answered before the handler returns: the loop is not run.
test_answer test_call_at_once(dx_handler handler, const char *token, const char *body);
// A handler that only answers 200: to see what the filter makes of a token.
dx_verdict test_probe(const void *conf, dx_exchange *x);

#define PASSPHRASE "correct horse battery"
void test_register(const char *name);
typedef struct test_tokens {
    char access[2048], refresh[2048];
} test_tokens;
test_tokens test_tokens_of(const test_answer *answer);
test_tokens test_login(const char *name);
const char *test_format(const char *format, ...) DX_PRINTF(1, 2); // in the fixture's arena

#endif
