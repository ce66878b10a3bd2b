// A document that costs too much to make at start and too much to make on a loop: it is made on a pool thread when it is first asked for,
// and kept, plain and compressed, with an entity tag. From then on it is answered at once.
#include "base/hash.h"
#include "base/memory.h"
#include "codec/compress.h"
#include "server/parts.h"

#define DOCUMENT_CAP (64u << 20)

struct dx_document_text {
    dx_buffer plain, packed;
};

static void destroy_text(struct dx_document_text *text) {
    if (!text) return;
    dx_buffer_deinit(&text->plain);
    dx_buffer_deinit(&text->packed);
    dx_memory_free(text);
}

void dx_document_deinit(dx_document *document) {
    if (!document->type.data) return; // never initialized
    destroy_text((struct dx_document_text *)(uintptr_t)atomic_load(&document->text));
    pthread_mutex_destroy(&document->lock);
}

// --- gzip
// ---------------------------------------------------------------------------------------------------------------------------------------

static dx_status pack(dx_buffer *out, dx_slice plain) {
    dx_compressor *compressor;
    dx_status status = dx_compressor_create(&compressor, DX_CODING_GZIP, 9, (int64_t)plain.size);
    if (status != DX_OK) return status;
    status = dx_compressor_run(compressor, plain, DX_COMPRESS_END, out);
    dx_compressor_destroy(compressor);
    return status;
}

static dx_status take_piece(void *ctx, dx_slice piece) {
    dx_buffer_add(ctx, piece);
    return dx_buffer_status(ctx);
}

// Ours, or the build's: no bomb.
static dx_status unpack(dx_buffer *out, dx_slice packed) {
    dx_decompressor *decompressor;
    dx_status status = dx_decompressor_create(&decompressor, DX_CODING_GZIP, DOCUMENT_CAP, 0);
    if (status != DX_OK) return status;
    status = dx_decompressor_run(decompressor, packed, take_piece, out);
    if (status == DX_OK) status = dx_decompressor_end(decompressor);
    dx_decompressor_destroy(decompressor);
    return status;
}

// --- making
// -------------------------------------------------------------------------------------------------------------------------------------

// A weak tag: it stands for the document, plain or compressed (RFC 9110 section 8.8.3.3).
static void write_etag(dx_document *document, dx_slice content) {
    static const char digits[] = "0123456789abcdef";
    uint64_t hash = dx_hash_fixed(content);
    memcpy(document->etag, "W/\"", 3);
    for (int i = 18; i > 2; i--, hash >>= 4) document->etag[i] = digits[hash & 15];
    document->etag[19] = '"';
}

void dx_document_init(dx_document *document, dx_slice type, dx_slice cache_control, dx_slice packed) {
    *document = (dx_document){.type = type, .cache_control = cache_control, .packed = packed};
    pthread_mutex_init(&document->lock, NULL);
    if (packed.size) write_etag(document, packed);
}

static dx_status fill(dx_document *document, struct dx_document_text *text) {
    dx_buffer_init(&text->plain, NULL, DOCUMENT_CAP);
    dx_buffer_init(&text->packed, NULL, DOCUMENT_CAP);
    dx_status status = document->packed.size ? unpack(&text->plain, document->packed) : document->make(document->conf, &text->plain);
    if (status == DX_OK) status = dx_buffer_status(&text->plain);
    if (status == DX_OK && !document->packed.size) status = pack(&text->packed, dx_buffer_slice(&text->plain));
    if (status == DX_OK && !document->packed.size) write_etag(document, dx_buffer_slice(&text->plain));
    return status;
}

static dx_status make_once(dx_document *document) {
    dx_status status = DX_OK;
    pthread_mutex_lock(&document->lock);
    if (!atomic_load_explicit(&document->text, memory_order_relaxed)) {
        struct dx_document_text *text = dx_memory_zalloc(1, sizeof *text);
        status = text ? fill(document, text) : DX_NO_MEMORY;
        if (status == DX_OK)
            atomic_store_explicit(&document->text, text, memory_order_release);
        else
            destroy_text(text);
    }
    pthread_mutex_unlock(&document->lock);
    return status;
}

// --- answering -------------------------------------------------------------------------------------------------------------

static bool wants_gzip(const dx_exchange *x) {
    dx_slice accepted = dx_fields_get(&x->request.fields, DX_FIELD_ACCEPT_ENCODING);
    return dx_coding_choose(accepted, DX_CODING_BIT(DX_CODING_GZIP)) == DX_CODING_GZIP;
}

// `text` may be NULL when what is sent was there from the start.
static dx_verdict answer(const dx_document *document, const struct dx_document_text *text, bool gzip, dx_exchange *x) {
    dx_slice etag = dx_slice_of(document->etag, sizeof document->etag), known = dx_fields_get(&x->request.fields, DX_FIELD_IF_NONE_MATCH);
    dx_exchange_field(x, DX_SLICE("etag"), etag);
    dx_exchange_field(x, DX_SLICE("cache-control"), document->cache_control);
    dx_exchange_field(x, DX_SLICE("vary"), DX_SLICE("accept-encoding"));
    if (known.data && dx_http_etag_in(known, etag, true)) return dx_exchange_empty(x, 304);
    if (!gzip) return dx_exchange_body(x, 200, document->type, dx_buffer_slice(&text->plain));
    dx_exchange_field(x, DX_SLICE("content-encoding"), DX_SLICE("gzip"));
    return dx_exchange_body(x, 200, document->type, document->packed.size || !text ? document->packed : dx_buffer_slice(&text->packed));
}

typedef struct making {
    dx_work work;
    dx_document *document;
    dx_exchange *x;
    dx_status status;
} making;

static void work_off_loop(dx_work *work) {
    making *m = DX_CONTAINER_OF(work, making, work);
    m->status = make_once(m->document);
}

static void done_on_loop(dx_work *work) {
    making *m = DX_CONTAINER_OF(work, making, work);
    const struct dx_document_text *text = atomic_load_explicit(&m->document->text, memory_order_acquire);
    if (text)
        (void)answer(m->document, text, wants_gzip(m->x), m->x);
    else
        (void)dx_exchange_fail(m->x, m->status, "the document could not be made");
    dx_exchange_resume(m->x, DX_ANSWER);
}

dx_verdict dx_document_answer(const void *conf, dx_exchange *x) {
    dx_document *document = (dx_document *)(uintptr_t)conf;
    const struct dx_document_text *text = atomic_load_explicit(&document->text, memory_order_acquire);
    bool gzip = wants_gzip(x);
    if (text || (document->packed.size && gzip)) return answer(document, text, gzip, x);
    making *m = DX_ARENA_NEW(x->arena, making);
    if (!m) return dx_exchange_fail(x, DX_NO_MEMORY, NULL);
    *m = (making){.work = {.work = work_off_loop, .done = done_on_loop, .loop = x->loop}, .document = document, .x = x};
    dx_status status = dx_loop_work(x->loop, &m->work);
    if (status != DX_OK) return dx_exchange_fail(x, status, "no thread is free to make the document");
    return DX_WAIT;
}
