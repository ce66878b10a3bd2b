// The transport over libcurl: one multi handle a loop, whose sockets are the loop's descriptors. What libcurl could do itself and does not
// here: redirects, retries, queues (they are ours, so that credentials, limits and deadlines hold for each hop).
//
// Three rules stand around it. Nobody's code runs inside a callback of libcurl's: what it brings is put into the response or a buffer, the
// transfer into a list, and the list is worked off when libcurl has returned. Handles are kept and used again for the same settings, so
// that a call sets only what differs. Certificates are read once a multi handle: a directory of them (CURLOPT_CAPATH, Debian's default)
// would switch that cache off and cost 18 ms a connection.
#include "client/curl_parts.h"

#include <errno.h>
#include <unistd.h>

#include "base/memory.h"

enum { HANDLES_CAP = 256, UPLOAD_ROOM = 64 << 10, PIECES_ROOM = 1 << 20, ROUNDS_CAP = 4 };

// --- the ready list --------------------------------------------------------------------------------------------------------------

static void note(curl_transfer *t) {
    if (t->noted) return;
    t->noted = true;
    t->next_noted = NULL;
    *t->curl->noted_last = t;
    t->curl->noted_last = &t->next_noted;
}

static void unnote(curl_transfer *t) {
    if (!t->noted) return;
    curl_transfer **at = &t->curl->noted;
    while (*at != t) at = &(*at)->next_noted;
    *at = t->next_noted;
    if (!*at) t->curl->noted_last = at;
    t->noted = false;
}

// --- libcurl's callbacks: nothing of anybody else runs in them ---------------------------------------------------------------------

static size_t on_header(char *data, size_t one, size_t size, void *ctx) {
    (void)one;
    curl_transfer *t = ((curl_handle *)ctx)->used_by;
    if (!dx_curl_take_header(t, dx_slice_of(data, size))) return 0;
    if (t->head_whole && t->transfer->stream && !t->headed) note(t); // before any of the body
    return size;
}

static size_t on_body(char *data, size_t one, size_t size, void *ctx) {
    (void)one;
    curl_transfer *t = ((curl_handle *)ctx)->used_by;
    if (!t->head_whole) return 0; // 101: what comes is no body
    if (t->transfer->stream) {
        note(t);
        if (!t->flowing || t->pieces.size >= PIECES_ROOM) { // little may become much when it is decoded
            t->paused = true;
            return CURL_WRITEFUNC_PAUSE;
        }
        dx_buffer_append(&t->pieces, data, size);
        return dx_buffer_status(&t->pieces) == DX_OK ? size : 0;
    }
    if (size > t->transfer->wire->max_body - t->body.size) {
        t->body.status = DX_TOO_LARGE;
        return 0;
    }
    dx_buffer_append(&t->body, data, size);
    return dx_buffer_status(&t->body) == DX_OK ? size : 0;
}

// What the buffer has; more is read when libcurl has returned.
static size_t on_read(char *to, size_t one, size_t room, void *ctx) {
    curl_transfer *t = ((curl_handle *)ctx)->used_by;
    room *= one;
    size_t left = t->upload_size - t->upload_at;
    if (left == 0) {
        if (t->upload_ended) return t->upload_failed ? CURL_READFUNC_ABORT : 0;
        note(t);
        t->wants_upload = true;
        return CURL_READFUNC_PAUSE;
    }
    if (left > room) left = room;
    memcpy(to, t->upload_data + t->upload_at, left);
    t->upload_at += left;
    return left;
}

static int on_seek(void *ctx, curl_off_t offset, int origin) {
    curl_transfer *t = ((curl_handle *)ctx)->used_by; // libcurl sends again on a new connection what an old one lost
    if (origin != SEEK_SET || offset != 0 || !t->transfer->upload || !dx_upload_rewind(t->transfer->upload)) return CURL_SEEKFUNC_FAIL;
    t->upload_at = t->upload_size = 0;
    t->upload_ended = false;
    return CURL_SEEKFUNC_OK;
}

// A socket that can't be watched ends its transfer. To say so by -1 would end the multi handle, for ever (7.68 on).
static int give_up_socket(CURL *easy) {
    curl_transfer *t = dx_curl_transfer_of(easy);
    if (!t) return 0;
    t->body.status = DX_NO_MEMORY;
    t->code = CURLE_OUT_OF_MEMORY;
    t->ended = true;
    note(t);
    return 0;
}

// Sockets that never carried a request (they did not connect, or are a resolver's) libcurl closes by itself, without a word.
static bool was_used(CURL *easy) {
    curl_transfer *t = dx_curl_transfer_of(easy);
    return t && t->sent;
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *ctx, void *known) {
    dx_curl *curl = ctx;
    dx_descriptor *descriptor = known;
    if (what == CURL_POLL_REMOVE) { // it rests, or will be closed: on_close
        if (descriptor && !was_used(easy))
            dx_curl_forget_descriptor(curl, fd);
        else if (descriptor)
            dx_descriptor_want(descriptor, 0);
        return 0;
    }
    if (!descriptor) {
        descriptor = dx_curl_descriptor(curl, fd);
        if (!descriptor) return give_up_socket(easy);
        (void)curl_multi_assign(curl->multi, fd, descriptor);
    }
    unsigned events = (what & CURL_POLL_IN ? DX_READABLE : 0u) | (what & CURL_POLL_OUT ? DX_WRITABLE : 0u);
    dx_descriptor_want(descriptor, events);
    return 0;
}

static int on_timer(CURLM *multi, long ms, void *ctx) {
    (void)multi;
    dx_curl *curl = ctx;
    if (ms < 0)
        dx_alarm_stop(&curl->timer);
    else if (ms == 0 && curl->inside)
        curl->due = true;
    else
        dx_alarm_start(&curl->timer, (dx_nanos)ms * DX_MILLISECOND);
    return 0;
}

// --- when libcurl has returned -----------------------------------------------------------------------------------------------------

static void drive(dx_curl *curl, curl_socket_t fd, int events);

// The end of a transfer: it gives its handle back and is told.
static void finish(curl_transfer *t, CURLcode code) {
    dx_curl *curl = t->curl;
    dx_transfer *transfer = t->transfer;
    dx_curl_times(t);
    (void)curl_multi_remove_handle(curl->multi, t->easy);
    unnote(t);
    char *nul = t->body.size ? dx_buffer_reserve(&t->body, 1) : NULL;
    if (nul) *nul = '\0';
    if (code != CURLE_OK || !t->head_whole || dx_buffer_status(&t->body) != DX_OK) {
        dx_curl_fail(t, code);
    } else {
        transfer->x->response.body = dx_buffer_slice(&t->body);
    }
    dx_curl_give_back(t);
    transfer->ops->done(transfer);
}

// Pieces that have come; false: its owner takes no more at present.
static bool flush_pieces(curl_transfer *t) {
    if (!t->pieces.size) return true;
    dx_slice all = dx_buffer_slice(&t->pieces);
    t->giving = true;
    bool more = t->transfer->ops->piece(t->transfer, all);
    if (t->cancelled) return false; // from inside
    t->giving = false;
    dx_buffer_clear(&t->pieces);
    if (!more) t->flowing = false;
    return more;
}

static void fill_upload(curl_transfer *t) {
    if (!t->upload_data) t->upload_data = dx_arena_bytes(t->transfer->x->arena, UPLOAD_ROOM);
    int64_t got = t->upload_data ? dx_upload_read(t->transfer->upload, t->upload_data, UPLOAD_ROOM) : -1;
    t->upload_at = 0;
    t->upload_size = got > 0 ? (size_t)got : 0;
    t->upload_ended = got <= 0;
    t->upload_failed = got < 0;
}

// One that libcurl's callbacks have put into the list.
static void look_at(curl_transfer *t) {
    unnote(t);
    bool shows_head = t->transfer->stream && !t->headed && t->head_whole && (!t->ended || t->code == CURLE_OK);
    if (t->ended && !shows_head) {
        if (!t->headed) return finish(t, t->code);
        if (t->transfer->stream && (!t->flowing || !flush_pieces(t))) {
            if (t->cancelled) dx_curl_give_back(t);
            return; // its last pieces wait for room; resume comes by here
        }
        return finish(t, t->code);
    }
    if (t->wants_upload) {
        t->wants_upload = false;
        fill_upload(t);
        (void)curl_easy_pause(t->easy, t->paused ? CURLPAUSE_RECV : CURLPAUSE_CONT);
    }
    if (!t->transfer->stream || (!t->headed && !shows_head)) return;
    if (shows_head) {
        t->headed = true;
        return t->transfer->ops->head(t->transfer);
    }
    bool more = t->flowing && flush_pieces(t);
    if (t->cancelled) return dx_curl_give_back(t);
    if (!more || !t->paused) return;
    t->paused = false; // there is room again
    (void)curl_easy_pause(t->easy, CURLPAUSE_CONT);
}

static void gather_ended(dx_curl *curl) {
    int left;
    CURLMsg *message;
    while ((message = curl_multi_info_read(curl->multi, &left))) {
        if (message->msg != CURLMSG_DONE) continue;
        curl_transfer *t = dx_curl_transfer_of(message->easy_handle);
        if (!t) continue;
        t->ended = true;
        t->code = message->data.result;
        note(t);
    }
}

// Handles that were added are set going together, in a turn of their own: `send` is called from anywhere.
static void start_soon(dx_curl *curl, bool flushed) {
    if (curl->settling || flushed) {
        curl->due = true;
    } else if (!curl->start_posted) {
        curl->start_posted = true;
        dx_loop_post(curl->loop, &curl->start);
    }
}

// Whatever is in the list, and what that puts into it. What is told may send and cancel, also those in the list. A peer that always has
// more to say must not keep the loop from all else: after some rounds the rest waits for the next turn.
static void settle(dx_curl *curl) {
    if (curl->settling) return;
    unsigned rounds = 0;
    curl->settling = true;
    for (;;) {
        gather_ended(curl);
        if (curl->noted) {
            curl_transfer *t = curl->noted;
            curl->inside = true; // for curl_easy_pause, which may call back
            look_at(t);
            curl->inside = false;
        } else if (curl->due && rounds++ < ROUNDS_CAP) {
            curl->due = false;
            int running;
            curl->inside = true;
            (void)curl_multi_socket_action(curl->multi, CURL_SOCKET_TIMEOUT, 0, &running);
            curl->inside = false;
        } else {
            break;
        }
    }
    curl->settling = false;
    if (curl->due) start_soon(curl, false);
}

static void drive(dx_curl *curl, curl_socket_t fd, int events) {
    int running;
    curl->inside = true;
    (void)curl_multi_socket_action(curl->multi, fd, events, &running);
    curl->inside = false;
    settle(curl);
}

void dx_curl_ready(void *ctx, int fd, unsigned events) {
    drive(ctx, fd, (events & DX_READABLE ? CURL_CSELECT_IN : 0) | (events & DX_WRITABLE ? CURL_CSELECT_OUT : 0));
}

static void on_alarm(dx_alarm *alarm) {
    drive(DX_CONTAINER_OF(alarm, dx_curl, timer), CURL_SOCKET_TIMEOUT, 0);
}

// --- sending -----------------------------------------------------------------------------------------------------------------------

static void fail_later(dx_task *task) {
    curl_transfer *t = DX_CONTAINER_OF(task, curl_transfer, task);
    t->task_posted = false;
    if (t->cancelled) return;
    t->transfer->state = NULL;
    t->transfer->ops->done(t->transfer);
}

static void start(dx_task *task) {
    dx_curl *curl = DX_CONTAINER_OF(task, dx_curl, start);
    curl->start_posted = false;
    curl->due = true;
    settle(curl);
}

static void send_one(void *self, dx_transfer *transfer) {
    dx_curl *curl = self;
    curl_transfer *t = DX_ARENA_NEW(transfer->x->arena, curl_transfer);
    transfer->state = t;
    if (!t) { // there is nothing to post by: the owner hears of it at once, the one case where it does
        (void)dx_exchange_fail_out(transfer->x, DX_ERROR_NO_MEMORY, NULL);
        transfer->ops->done(transfer);
        return;
    }
    t->curl = curl;
    t->transfer = transfer;
    t->task.run = fail_later;
    dx_buffer_init(&t->body, transfer->x->arena, transfer->wire->max_body + 1); // and a NUL
    dx_buffer_init(&t->pieces, transfer->x->arena, SIZE_MAX / 2);
    bool was_inside = curl->inside;
    curl->inside = true;
    bool prepared = dx_curl_prepare(t) && curl_multi_add_handle(curl->multi, t->easy) == CURLM_OK;
    curl->inside = was_inside;
    if (prepared) return start_soon(curl, transfer->flushed);
    if (transfer->x->failure == DX_ERROR_NONE)
        (void)dx_exchange_fail_out(transfer->x, DX_ERROR_NO_MEMORY, "the request could not be prepared");
    dx_curl_give_back(t);
    t->task_posted = true;
    dx_loop_post(curl->loop, &t->task);
}

static void flush(void *self) {
    settle(self);
}

static void cancel(void *self, dx_transfer *transfer) {
    dx_curl *curl = self;
    curl_transfer *t = transfer->state;
    if (!t) return;
    transfer->state = NULL;
    t->cancelled = true;
    if (!t->easy) return; // fail_later sees it
    dx_curl_times(t);
    bool was_inside = curl->inside;
    curl->inside = true;
    (void)curl_multi_remove_handle(curl->multi, t->easy);
    curl->inside = was_inside;
    unnote(t);
    if (!t->giving) dx_curl_give_back(t);
    if (curl->due) start_soon(curl, false);
}

static void resume(void *self, dx_transfer *transfer) {
    dx_curl *curl = self;
    curl_transfer *t = transfer->state;
    if (!t || t->flowing) return;
    t->flowing = true;
    bool was_inside = curl->inside;
    curl->inside = true;
    if (t->paused) {
        t->paused = false;
        (void)curl_easy_pause(t->easy, CURLPAUSE_CONT);
    }
    curl->inside = was_inside;
    note(t);
    start_soon(curl, false);
}

// --- life --------------------------------------------------------------------------------------------------------------------------

static void close_all(void *self) {
    dx_curl *curl = self;
    if (!curl) return;
    for (curl_handle *handle = curl->free; handle;) {
        curl_handle *next = handle->next;
        curl_easy_cleanup(handle->easy);
        dx_memory_free(handle);
        handle = next;
    }
    if (curl->multi) (void)curl_multi_cleanup(curl->multi); // closes its connections, through on_close
    dx_curl_forget_descriptors(curl);
    dx_alarm_deinit(&curl->timer);
    dx_memory_free(curl);
}

static dx_status open_one(void **out, const void *conf, dx_loop *loop) {
    (void)conf;
    dx_status status = dx_curl_start();
    dx_curl *curl = status == DX_OK ? dx_memory_zalloc(1, sizeof *curl) : NULL;
    if (!curl) return DX_NO_MEMORY;
    curl->loop = loop;
    curl->noted_last = &curl->noted;
    curl->handles_cap = HANDLES_CAP;
    curl->start.run = start;
    status = dx_alarm_init(&curl->timer, loop, on_alarm);
    curl->multi = status == DX_OK ? curl_multi_init() : NULL;
    if (!curl->multi) {
        close_all(curl);
        return DX_NO_MEMORY;
    }
    (void)curl_multi_setopt(curl->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    (void)curl_multi_setopt(curl->multi, CURLMOPT_SOCKETDATA, curl);
    (void)curl_multi_setopt(curl->multi, CURLMOPT_TIMERFUNCTION, on_timer);
    (void)curl_multi_setopt(curl->multi, CURLMOPT_TIMERDATA, curl);
    (void)curl_multi_setopt(curl->multi, CURLMOPT_MAXCONNECTS, 1024L); // kept; admission.c bounds those in use
    curl->on_header = on_header;
    curl->on_body = on_body;
    curl->on_read = on_read;
    curl->on_seek = on_seek;
    *out = curl;
    return DX_OK;
}

const dx_transport_ops dx_curl_transport = {
    .name = "curl", .open = open_one, .send = send_one, .flush = flush, .cancel = cancel, .resume = resume, .close = close_all};
