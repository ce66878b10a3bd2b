// What a listener's HTTP/2 connections share: nghttp2's callbacks and options, and its memory. nghttp2 takes some ten small pieces a
// request and gives them back in another order; they are kept here by size and handed out again. One thread, so no lock.
#include "base/memory.h"
#include "net/http2.h"

#define CLASSES     8u // of 32, 64 … 4096 bytes
#define CLASS_NONE  CLASSES
#define SMALLEST    32u
#define KEPT_BYTES  (1u << 20) // free ones, a listener
#define HEADER_SIZE 16u        // keeps what follows aligned

// Stands before each piece. A free one holds a pointer to the next of its class.
typedef struct piece {
    uint32_t class;
    uint32_t size;
} piece;

struct dx_http2_shared {
    nghttp2_mem memory;
    nghttp2_session_callbacks *callbacks;
    nghttp2_option *option;
    size_t kept;
    void *free[CLASSES];
};

static uint32_t class_of(size_t size) {
    if (DX_REDZONE || size > (SMALLEST << (CLASSES - 1))) return CLASS_NONE; // with ASan, every piece is the heap's
    if (size <= SMALLEST) return 0;
    return 32u - (uint32_t)__builtin_clz((uint32_t)size - 1) - 5u;
}

static void *take(size_t size, void *context) {
    dx_http2_shared *shared = context;
    uint32_t class = class_of(size);
    if (class != CLASS_NONE) {
        size = SMALLEST << class;
        void *kept = shared->free[class];
        if (DX_LIKELY(kept != NULL)) {
            memcpy(&shared->free[class], kept, sizeof(void *));
            shared->kept -= size;
            return kept;
        }
    }
    if (size > UINT32_MAX) return NULL;
    piece *fresh = dx_memory_alloc(HEADER_SIZE + size);
    if (!fresh) return NULL;
    fresh->class = class;
    fresh->size = (uint32_t)size;
    return (char *)fresh + HEADER_SIZE;
}

static void give(void *memory, void *context) {
    if (!memory) return;
    dx_http2_shared *shared = context;
    piece *p = (piece *)(void *)((char *)memory - HEADER_SIZE);
    if (p->class == CLASS_NONE || shared->kept + p->size > KEPT_BYTES) {
        dx_memory_free(p);
        return;
    }
    memcpy(memory, &shared->free[p->class], sizeof(void *));
    shared->free[p->class] = memory;
    shared->kept += p->size;
}

static void *take_zeroed(size_t count, size_t size, void *context) {
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes)) return NULL;
    void *memory = take(bytes, context);
    if (memory) memset(memory, 0, bytes);
    return memory;
}

static void *take_again(void *memory, size_t size, void *context) {
    if (!memory) return take(size, context);
    const piece *p = (const piece *)(void *)((char *)memory - HEADER_SIZE);
    if (size <= p->size) return memory;
    void *grown = take(size, context);
    if (!grown) return NULL;
    memcpy(grown, memory, p->size);
    give(memory, context);
    return grown;
}

static void set_options(nghttp2_option *option) {
    nghttp2_option_set_no_auto_window_update(option, 1);
    nghttp2_option_set_max_send_header_block_length(option, DX_HTTP2_RESPONSE_HEAD_CAP);
    nghttp2_option_set_max_outbound_ack(option, DX_HTTP2_ACKS_CAP);
    nghttp2_option_set_max_continuations(option, DX_HTTP2_CONTINUATIONS_CAP);
    nghttp2_option_set_stream_reset_rate_limit(option, UINT64_MAX / 2, UINT64_MAX / 2); // ours is the guard's
    for (unsigned type = NGHTTP2_CONTINUATION + 1; type <= UINT8_MAX; type++) {         // else they would pass the guard by
        nghttp2_option_set_user_recv_extension_type(option, (uint8_t)type);
    }
}

static dx_http2_shared *create(void) {
    dx_http2_shared *shared = dx_memory_zalloc(1, sizeof *shared);
    if (!shared) return NULL;
    shared->memory = (nghttp2_mem){.mem_user_data = shared, .malloc = take, .free = give, .calloc = take_zeroed, .realloc = take_again};
    if (nghttp2_session_callbacks_new(&shared->callbacks) != 0 || nghttp2_option_new(&shared->option) != 0) {
        dx_http2_shared_destroy(shared);
        return NULL;
    }
    set_options(shared->option);
    dx_http2_set_callbacks(shared->callbacks);
    dx_http2_set_write_callbacks(shared->callbacks);
    return shared;
}

dx_http2_shared *dx_http2_shared_of(dx_listener *listener) {
    if (!listener->http2_shared) listener->http2_shared = create();
    return listener->http2_shared;
}

void dx_http2_shared_destroy(dx_http2_shared *shared) {
    if (!shared) return;
    for (unsigned i = 0; i < CLASSES; i++) {
        while (shared->free[i]) {
            void *memory = shared->free[i];
            memcpy(&shared->free[i], memory, sizeof(void *));
            dx_memory_free((char *)memory - HEADER_SIZE);
        }
    }
    nghttp2_session_callbacks_del(shared->callbacks);
    nghttp2_option_del(shared->option);
    dx_memory_free(shared);
}

dx_status dx_http2_session_create(dx_http2 *h) {
    dx_listener *listener = h->connection->listener;
    dx_http2_shared *shared = dx_http2_shared_of(listener);
    if (!shared) return DX_NO_MEMORY;
    if (nghttp2_session_server_new3(&h->session, shared->callbacks, h, shared->option, &shared->memory) != 0) return DX_NO_MEMORY;
    const dx_http_limits *limits = &listener->options.limits;
    const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, limits->streams},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, DX_BODY_WINDOW},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, limits->head_bytes},
        {NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL, 1},
    };
    if (nghttp2_submit_settings(h->session, NGHTTP2_FLAG_NONE, settings, DX_COUNT_OF(settings)) != 0) return DX_NO_MEMORY;
    int opened = nghttp2_session_set_local_window_size(h->session, NGHTTP2_FLAG_NONE, 0, DX_HTTP2_CONNECTION_WINDOW);
    return opened == 0 ? DX_OK : DX_NO_MEMORY;
}
