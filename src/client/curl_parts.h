// What the files of the curl transport share: the multi handle of a loop, a transfer on it, and handles at rest.
#ifndef DX_CLIENT_CURL_PARTS_H
#define DX_CLIENT_CURL_PARTS_H

#include <curl/curl.h>

#include "client/transfer.h"
#include "loop/alarm.h"
#include "loop/descriptor.h"

typedef struct curl_transfer curl_transfer;

// An easy handle that is set for settings with this serial number.
typedef struct curl_handle {
    CURL *easy;
    uint64_t serial;
    char error[CURL_ERROR_SIZE];
    struct dx_curl *curl;
    curl_transfer *used_by; // NULL: at rest; libcurl's callbacks get the handle, and so are set once
    bool plain;             // set for a GET without a body
    struct curl_handle *next;
    struct curl_slist *resolved;
} curl_handle;

// A socket of libcurl's.
typedef struct curl_socket {
    struct curl_socket *next;
    curl_socket_t fd;
    dx_descriptor *descriptor;
} curl_socket;
#define DX_CURL_SOCKETS 256

typedef struct dx_curl {
    dx_loop *loop;
    CURLM *multi;
    dx_alarm timer;
    bool inside; // libcurl runs: its callbacks only take notes
    bool due;    // its timer is over
    bool settling;
    bool start_posted;
    dx_task start;
    curl_transfer *noted, **noted_last;
    curl_handle *free;
    size_t handles, handles_cap;
    curl_socket *sockets[DX_CURL_SOCKETS]; // by number
    curl_write_callback on_header, on_body;
    curl_read_callback on_read;
    curl_seek_callback on_seek;
} dx_curl;

struct curl_transfer {
    dx_curl *curl;
    dx_transfer *transfer;
    curl_handle *handle;
    CURL *easy;       // of `handle`; NULL: given back
    dx_buffer body;   // the whole answer
    dx_buffer pieces; // of a stream: come, and not given yet
    struct curl_slist *headers;
    dx_task task; // what went wrong before it was sent
    curl_transfer *next_noted;
    CURLcode code;
    dx_error_code refused; // why a socket was not opened (the guard); NONE: it was
    uint32_t head_lines;
    size_t head_bytes;
    char *upload_data;
    size_t upload_at, upload_size;
    bool noted, ended, headed, flowing, paused, giving, cancelled, task_posted, wants_upload, upload_ended, upload_failed;
    bool head_whole; // of the last answer, not an interim one; what comes behind the body is not looked at
    bool head_too_large, two_lengths;
    bool sent, sent_twice; // libcurl was about to send it again on another connection
};

#define DX_HEAD_BYTES_CAP ((size_t)256 << 10)
#define DX_HEAD_LINES_CAP 500

// --- curl_handle.c
dx_status dx_curl_start(void) DX_MUST_USE; // libcurl's own start, once a process
bool dx_curl_prepare(curl_transfer *t);    // a handle with everything set; false: no memory, or x->failure says why
void dx_curl_give_back(curl_transfer *t);  // the handle goes to those at rest; it is in no multi handle any more
void dx_curl_times(curl_transfer *t);      // where its time went, into x->spent

// --- curl_socket.c
dx_descriptor *dx_curl_descriptor(dx_curl *curl, curl_socket_t fd); // NULL: no memory
void dx_curl_forget_descriptor(dx_curl *curl, curl_socket_t fd);
void dx_curl_forget_descriptors(dx_curl *curl);
curl_socket_t dx_curl_open_socket(void *ctx, curlsocktype purpose, struct curl_sockaddr *address); // ctx: curl_handle
int dx_curl_before_request(void *ctx, char *ip, char *own_ip, int port, int own_port);             // ctx: curl_handle
curl_transfer *dx_curl_transfer_of(CURL *easy);                                                    // NULL: none of ours
int dx_curl_close_socket(void *ctx, curl_socket_t fd);                                             // ctx: dx_curl
void dx_curl_ready(void *ctx, int fd, unsigned events);                                            // transport_curl.c

// --- curl_answer.c
bool dx_curl_take_header(curl_transfer *t, dx_slice line); // false: over a cap, or no memory
void dx_curl_fail(curl_transfer *t, CURLcode code);        // x->failure from what libcurl says

#endif
