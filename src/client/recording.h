// Recordings: exchanges as files, without secrets. What record and replay share: how a request looks without its secrets, which is also how
// it is found again.
#ifndef DX_CLIENT_RECORDING_H
#define DX_CLIENT_RECORDING_H

#include <pthread.h>

#include "client/transport.h"
#include "policy/redact.h"

#define DX_RECORDING_BODY_CAP   ((size_t)64 << 20)
#define DX_RECORDING_FILES_CAP  100000
#define DX_RECORDING_VALUES_CAP 1024 // secret values that are remembered

// What is secret whatever the request: what the program said, and values that auth has used so far (an answer may tell of them later).
typedef struct dx_recording_secrets {
    pthread_mutex_t lock;
    dx_arena *arena;
    struct dx_recording_secret *first;
    size_t count;
} dx_recording_secrets;
dx_status dx_recording_secrets_init(dx_recording_secrets *secrets) DX_MUST_USE;
void dx_recording_secrets_deinit(dx_recording_secrets *secrets); // wipes
dx_status dx_recording_secrets_add(dx_recording_secrets *secrets, dx_slice text, bool is_name) DX_MUST_USE;

// A request without its secrets. In the arena it was made in, which also destroys the redactor.
typedef struct dx_recording_request {
    dx_redactor *redactor; // knows the secrets of this request
    dx_slice method, url, body, digest, endpoint;
    dx_fields fields;
    dx_slice key; // "GET url digest"
} dx_recording_request;
// `body` is the request's, whole. Transfers of calls only.
dx_status dx_recording_request_make(dx_recording_request *out, dx_arena *arena, dx_recording_secrets *secrets, dx_transfer *transfer,
                                    dx_slice body) DX_MUST_USE;

// Writes a whole recording as JSON.
void dx_recording_write(dx_buffer *out, dx_arena *arena, const dx_recording_request *request, int status, const dx_fields *fields,
                        dx_slice body);

typedef struct dx_recording {
    struct dx_recording *next; // of the same request
    dx_slice file, method, url, key;
    int status;
    dx_fields fields;
    dx_slice body;
} dx_recording;
// From a file's text; strings lie in the arena. DX_INVALID: it is no recording.
dx_status dx_recording_read(dx_recording *out, dx_arena *arena, dx_slice file, dx_slice text) DX_MUST_USE;

// The secrets of a transport that records (transport_record.c) or replays (transport_replay.c); NULL: it does neither.
dx_recording_secrets *dx_record_secrets(dx_transport *transport);
dx_recording_secrets *dx_replay_secrets(dx_transport *transport);

#endif
