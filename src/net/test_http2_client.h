// For tests: an HTTP/2 client on a stage's loopback. Requests go through nghttp2's client session, or as raw frames where the client shall
// misbehave; every frame that comes is noted by a reader of our own, so that both ways can be judged by what is on the wire.
#ifndef DX_NET_TEST_HTTP2_CLIENT_H
#define DX_NET_TEST_HTTP2_CLIENT_H

#include <nghttp2/nghttp2.h>

#include "net/test_stage.h"

#define ANSWERS 400

typedef struct answer {
    int32_t id;
    int status; // 0: none yet
    unsigned continues;
    bool headed;         // its head is whole: further fields are trailers
    char fields[2048];   // "name: value\n" each
    char trailers[1024]; // likewise
    dx_buffer body;
    dx_slice upload;
    bool closed;
    uint32_t error; // of RST_STREAM
} answer;

typedef struct client {
    stage *stage;
    nghttp2_session *session;
    answer answers[ANSWERS];
    size_t asked, closed;
    bool raw;                          // what comes is noted only
    bool keep;                         // windows stay shut once they are
    dx_buffer wire;                    // of a frame that came in part
    size_t frames[16];                 // by type
    size_t resets;                     // RST_STREAM that came
    uint32_t last_reset, goaway_error; // error codes
    int32_t goaway_last;
} client;

void client_start(client *c, stage *s); // sends the preface and SETTINGS
void client_stop(client *c);
// "name: value\n" lines, pseudo fields first; `end`: no body follows.
answer *client_ask(client *c, const char *fields, bool end);
answer *client_get(client *c, const char *path);
answer *client_post(client *c, const char *path);                                                        // a body follows
void client_upload(client *c, answer *a, dx_slice bytes, bool end);                                      // lives until sent
void client_frame(client *c, uint8_t type, uint8_t flags, int32_t id, const void *payload, size_t size); // raw
void client_headers(client *c, int32_t id, const char *fields, uint8_t flags);                           // raw
// Carries bytes both ways until nothing happens any more, or until the counter has come so far (fails the test if it does not).
void client_settle(client *c);
void client_await(client *c, const size_t *counter, size_t least);
// Until the server has sent GOAWAY with this error and closed.
void client_await_goaway(client *c, uint32_t error);

#endif
