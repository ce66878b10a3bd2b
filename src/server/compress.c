// Responses compressed by Accept-Encoding: the outermost filter, so that it sees the answer as it will go out. A short body is compressed
// at once, a long one and a file piece by piece, a turn of the loop each; what a handler streams is given an encoder where the handler
// allows it. An answer that may hold a secret beside what the caller sent is left alone (BREACH, CVE-2013-3587).
//
// A strong entity tag stands for bytes (RFC 9110 section 8.8.3.3), so the compressed form of "abc" is tagged "abc+br"; what clients send
// back in If-Match and If-None-Match loses the mark again before anybody compares it. So a client may read compressed and write with
// If-Match.
#include "server/compress.h"

#include "base/memory.h"
#include "exchange/flow.h"

#define AT_ONCE  DX_COMPRESS_AT_ONCE
#define FILE_CAP (4 << 20) // a larger file goes as it is: it would be compressed anew for everybody. Deploy it compressed

static int slot = -1; // the client's own If-None-Match, where it was changed

void dx_compress_setup(void) {
    if (slot < 0) slot = dx_slot_reserve();
}

// --- entity tags -----------------------------------------------------------------------------------------------------------

// The mark that stands before the closing quote at `at`; empty: none.
static dx_slice mark_before(dx_slice value, size_t at) {
    static const dx_slice marks[] = {DX_SLICE_INIT("+br"), DX_SLICE_INIT("+zstd"), DX_SLICE_INIT("+gzip")};
    for (size_t i = 0; i < DX_COUNT_OF(marks); i++) {
        dx_slice mark = marks[i];
        if (at > mark.size && dx_slice_equal(dx_slice_of(value.data + at - mark.size, mark.size), mark)) return mark;
    }
    return (dx_slice){NULL, 0};
}

static bool is_marked(dx_slice value) {
    for (size_t i = 0; i < value.size; i++)
        if (value.data[i] == '"' && mark_before(value, i).size) return true;
    return false;
}

// False without memory.
static bool take_marks_off(dx_exchange *x, dx_slice *value) {
    char *out = dx_arena_bytes(x->arena, value->size);
    size_t size = 0;
    if (!out) return false;
    for (size_t i = 0; i < value->size; i++) {
        if (value->data[i] == '"') size -= mark_before(*value, i).size;
        out[size++] = value->data[i];
    }
    *value = dx_slice_of(out, size);
    return true;
}

static dx_verdict compress_in(const void *conf, dx_exchange *x) {
    (void)conf;
    for (uint32_t i = 0; i < x->request.fields.count; i++) {
        dx_field *field = &x->request.fields.items[i];
        if (DX_LIKELY(field->id != DX_FIELD_IF_MATCH && field->id != DX_FIELD_IF_NONE_MATCH) || !is_marked(field->value)) continue;
        dx_slice *sent = field->id == DX_FIELD_IF_NONE_MATCH ? DX_ARENA_NEW(x->arena, dx_slice) : NULL;
        if (sent) *sent = field->value;
        if (sent && slot >= 0) x->slots[slot] = sent;
        if (!take_marks_off(x, &field->value)) return dx_exchange_fail(x, DX_NO_MEMORY, NULL);
    }
    return DX_NEXT;
}

// False without memory: the tag stands.
static bool mark_etag(dx_exchange *x, dx_field *etag, dx_coding coding) {
    dx_slice tag = etag->value, name = dx_coding_name(coding);
    if (tag.size < 2 || tag.data[0] != '"' || tag.data[tag.size - 1] != '"') return true; // a weak one stands for any coding
    dx_slice marked = dx_arena_printf(x->arena, "%.*s+%.*s\"", (int)tag.size - 1, tag.data, DX_SLICE_ARG(name));
    if (marked.data) etag->value = marked;
    return marked.data;
}

// --- what the answer is ----------------------------------------------------------------------------------------------------

typedef struct answer {
    dx_field *etag;
    dx_slice content_type;
    bool sealed; // nothing may change its bytes
    bool varies; // Vary names Accept-Encoding already
} answer;

static void look_at(answer *a, dx_field *field) {
    switch (field->name.size) {
    case 4:
        if (dx_slice_equal_nocase(field->name, DX_SLICE("etag"))) a->etag = field;
        if (dx_slice_equal_nocase(field->name, DX_SLICE("vary")))
            a->varies |= dx_http_list_has(field->value, DX_SLICE("accept-encoding")) || dx_http_list_has(field->value, DX_SLICE("*"));
        return;
    case 10:
        a->sealed |= dx_slice_equal_nocase(field->name, DX_SLICE("set-cookie"));
        return;
    case 12:
        if (dx_slice_equal_nocase(field->name, DX_SLICE("content-type"))) a->content_type = field->value;
        return;
    case 13:
        a->sealed |= dx_slice_equal_nocase(field->name, DX_SLICE("content-range"));
        a->sealed |=
            dx_slice_equal_nocase(field->name, DX_SLICE("cache-control")) && dx_http_list_has(field->value, DX_SLICE("no-transform"));
        return;
    case 16:
        a->sealed |= dx_slice_equal_nocase(field->name, DX_SLICE("content-encoding"));
        return;
    default:
        return;
    }
}

static answer read_answer(dx_exchange *x) {
    answer a = {0};
    for (uint32_t i = 0; i < x->response.fields.count; i++) look_at(&a, &x->response.fields.items[i]);
    a.sealed |= x->response.status == 206 || x->response.status < 200 || x->response.status == 204;
    a.sealed |= x->operation && x->operation->reflects_secrets;
    return a;
}

static dx_coding choose(const dx_compression *conf, const dx_exchange *x) {
    dx_slice accepted = {NULL, 0};
    for (uint32_t i = 0; i < x->request.fields.count; i++) {
        const dx_field *field = &x->request.fields.items[i];
        if (field->id != DX_FIELD_ACCEPT_ENCODING) continue;
        if (accepted.data) { // several lines are one list
            accepted = dx_arena_printf(x->arena, "%.*s,%.*s", DX_SLICE_ARG(accepted), DX_SLICE_ARG(field->value));
            if (!accepted.data) return DX_CODING_IDENTITY;
        } else {
            accepted = field->value;
        }
    }
    return dx_coding_choose(accepted, conf->codings);
}

// --- the encoder -----------------------------------------------------------------------------------------------------------

typedef struct encoder {
    dx_encoder base;
    dx_compressor *compressor;
} encoder;

static dx_status encode(dx_encoder *base, dx_slice in, dx_encode how, dx_buffer *out) {
    encoder *e = DX_CONTAINER_OF(base, encoder, base);
    dx_compress to = how == DX_ENCODE_END ? DX_COMPRESS_END : how == DX_ENCODE_FLUSH ? DX_COMPRESS_FLUSH : DX_COMPRESS_MORE;
    return dx_compressor_run(e->compressor, in, to, out);
}

static void destroy_encoder(dx_encoder *base) {
    dx_compressor_destroy(DX_CONTAINER_OF(base, encoder, base)->compressor);
}

static dx_encoder *make_encoder(const dx_compression *conf, dx_exchange *x, dx_coding coding, int64_t size) {
    encoder *e = DX_ARENA_NEW(x->arena, encoder);
    if (!e || dx_compressor_create(&e->compressor, coding, conf->level, size) != DX_OK) return NULL;
    e->base = (dx_encoder){encode, destroy_encoder};
    return &e->base;
}

// --- a long body, piece by piece -------------------------------------------------------------------------------------------
// The state is on the heap: the task that was posted for the next piece may come when the exchange has gone.

typedef struct pieces {
    dx_task task;
    dx_exchange *x; // NULL: gone
    dx_slice rest;
    bool posted;
} pieces;

static void next_piece(pieces *p) {
    dx_exchange *x = p->x;
    size_t size = p->rest.size < AT_ONCE ? p->rest.size : AT_ONCE;
    if (!dx_exchange_write(x, dx_slice_of(p->rest.data, size))) return; // `ready` comes, or `closed`
    p->rest = dx_slice_from(p->rest, size);
    if (p->rest.size == 0) {
        dx_exchange_finish(x, NULL);
    } else if (!p->posted) {
        p->posted = true;
        dx_loop_post(x->loop, &p->task);
    }
}

static void on_task(dx_task *task) {
    pieces *p = DX_CONTAINER_OF(task, pieces, task);
    p->posted = false;
    if (p->x)
        next_piece(p);
    else
        dx_memory_free(p);
}

static void on_ready(void *ctx, dx_exchange *x) {
    pieces *p = ctx;
    (void)x;
    if (!p->posted && p->rest.size) next_piece(p);
}

static void on_closed(void *ctx, dx_exchange *x, dx_status why) {
    pieces *p = ctx;
    (void)x;
    (void)why;
    p->x = NULL;
    if (!p->posted) dx_memory_free(p);
}

static const dx_source_ops in_pieces = {on_ready, NULL, on_closed};

static bool compress_in_pieces(const dx_compression *conf, dx_exchange *x, const answer *a, dx_coding coding) {
    dx_slice body = x->response.body;
    bool head_alone = x->request.method == DX_HEAD; // then the source is never asked
    dx_encoder *made = head_alone ? NULL : make_encoder(conf, x, coding, (int64_t)body.size);
    pieces *p = made || head_alone ? dx_memory_zalloc(1, sizeof *p) : NULL;
    if (!p) {
        if (made) made->destroy(made);
        return false;
    }
    *p = (pieces){.task = {.run = on_task}, .x = x, .rest = body};
    (void)dx_exchange_stream(x, x->response.status, a->content_type, &in_pieces, p); // the type is there: can't fail
    x->response.encoder = made;
    return true;
}

// --- a short one, at once --------------------------------------------------------------------------------------------------

static bool compress_at_once(const dx_compression *conf, dx_exchange *x, dx_coding coding) {
    dx_slice body = x->response.body;
    dx_compressor *compressor;
    dx_buffer out;
    dx_buffer_init(&out, x->arena, body.size - 1); // where nothing is gained it stays as it is
    if (dx_compressor_create(&compressor, coding, conf->level, (int64_t)body.size) != DX_OK) return false;
    dx_status status = dx_compressor_run(compressor, body, DX_COMPRESS_END, &out);
    dx_compressor_destroy(compressor);
    if (status != DX_OK) return false;
    x->response.body = dx_buffer_slice(&out);
    return true;
}

// --- the filter ------------------------------------------------------------------------------------------------------------

// The tag of a 304 is that of the 200 that the client has.
static void answer_not_modified(dx_exchange *x, const answer *a) {
    const dx_slice *sent = slot >= 0 ? x->slots[slot] : NULL;
    if (!a->etag || !sent) return;
    for (int coding = DX_CODING_GZIP; coding < DX_CODING_COUNT; coding++) {
        dx_slice plain = a->etag->value;
        if (mark_etag(x, a->etag, (dx_coding)coding) && !dx_slice_equal(plain, a->etag->value) &&
            dx_http_etag_in(*sent, a->etag->value, true))
            return;
        a->etag->value = plain;
    }
}

static bool compress_file(const dx_compression *conf, dx_exchange *x, const answer *a, dx_coding coding) {
    bool head_alone = x->request.method == DX_HEAD; // then the source is never asked
    dx_encoder *made = head_alone ? NULL : make_encoder(conf, x, coding, x->response.file_size);
    if ((!made && !head_alone) || !dx_compress_file(x, a->content_type)) {
        if (made) made->destroy(made);
        return false;
    }
    if (x->response.source)
        x->response.encoder = made;
    else if (made)
        made->destroy(made);
    return true;
}

// Ranges count the bytes of what is stored: of what is made on the way none can be asked for.
static void forget_ranges(dx_exchange *x) {
    dx_fields *fields = &x->response.fields;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < fields->count; i++)
        if (!dx_slice_equal_nocase(fields->items[i].name, DX_SLICE("accept-ranges"))) fields->items[kept++] = fields->items[i];
    fields->count = kept;
}

static bool compress(const dx_compression *conf, dx_exchange *x, const answer *a, dx_coding coding) {
    if (x->response.file_open) return compress_file(conf, x, a, coding);
    if (x->response.source) {
        if (x->request.method == DX_HEAD) return true; // only the head goes out
        return (x->response.encoder = make_encoder(conf, x, coding, -1)) != NULL;
    }
    if (x->response.body.size <= AT_ONCE) return compress_at_once(conf, x, coding);
    return compress_in_pieces(conf, x, a, coding);
}

static void compress_out(const void *arg, dx_exchange *x) {
    const dx_compression *conf = arg;
    dx_exchange_response *r = &x->response;
    bool streams = r->source && r->compress && !r->encoder && !r->tunnel;
    uint64_t size = r->file_open ? (uint64_t)r->file_size : r->body.size;
    if (DX_LIKELY(!streams && r->status != 304 && (r->source || size == 0 || size < conf->floor))) return;
    if (r->file_open && size > FILE_CAP) return;
    answer a = read_answer(x);
    if (r->status == 304) {
        answer_not_modified(x, &a);
        if (a.etag && !a.sealed && !a.varies) dx_exchange_field(x, DX_SLICE("vary"), DX_SLICE("accept-encoding"));
        return;
    }
    if (a.sealed || !dx_compress_gains(a.content_type)) return;
    if (!a.varies) dx_exchange_field(x, DX_SLICE("vary"), DX_SLICE("accept-encoding"));
    a = read_answer(x); // the fields may have moved; without memory the answer is another
    dx_coding coding = choose(conf, x);
    if (coding == DX_CODING_IDENTITY || coding == DX_CODING_UNKNOWN || x->error == DX_NO_MEMORY) return;
    dx_slice plain = a.etag ? a.etag->value : (dx_slice){NULL, 0};
    if (a.etag && !mark_etag(x, a.etag, coding)) return;
    uint32_t fields = r->fields.count;
    dx_exchange_field(x, DX_SLICE("content-encoding"), dx_coding_name(coding));
    if (x->error == DX_NO_MEMORY) return;
    if (compress(conf, x, &a, coding)) {
        forget_ranges(x);
        return;
    }
    r->fields.count = fields; // it stays as it is: too little memory, or nothing gained
    answer again = read_answer(x);
    if (again.etag) again.etag->value = plain;
}

const dx_filter_ops dx_compress_filter = {.name = "compress", .in = compress_in, .out = compress_out};
