// A form means the same wherever its bytes are cut: parsed whole, and in pieces whose size the first byte of the input says.
#include "codec/multipart.h"
#include "codec/text.h"
#include "fuzz.h"

typedef struct account {
    dx_buffer log;
    bool in_part;
} account;

static dx_status begin(void *ctx, const dx_multipart_part *part) {
    account *a = ctx;
    FUZZ_CHECK(!a->in_part);
    FUZZ_CHECK(dx_utf8_valid(part->name) && dx_utf8_valid(part->file_name));
    FUZZ_CHECK(dx_slice_find(part->file_name, '/') == SIZE_MAX && dx_slice_find(part->file_name, '\\') == SIZE_MAX);
    a->in_part = true;
    dx_buffer_add(&a->log, part->name);
    dx_buffer_byte(&a->log, '|');
    dx_buffer_add(&a->log, part->file_name);
    dx_buffer_byte(&a->log, part->file_name.data ? '|' : '-');
    dx_buffer_add(&a->log, part->content_type);
    dx_buffer_byte(&a->log, '>');
    return DX_OK;
}

static dx_status piece(void *ctx, dx_slice bytes) {
    account *a = ctx;
    FUZZ_CHECK(a->in_part && bytes.size > 0);
    dx_buffer_add(&a->log, bytes);
    return DX_OK;
}

static dx_status end(void *ctx) {
    account *a = ctx;
    FUZZ_CHECK(a->in_part);
    a->in_part = false;
    dx_buffer_byte(&a->log, ';');
    return DX_OK;
}

static dx_status parse(account *a, dx_slice body, size_t step) {
    static const dx_multipart_ops ops = {begin, piece, end};
    dx_arena *arena = dx_arena_create(1 << 20);
    dx_multipart *multipart;
    dx_status status = DX_OK;
    a->in_part = false;
    dx_buffer_init(&a->log, NULL, 1u << 24);
    FUZZ_CHECK(dx_multipart_create(&multipart, arena, DX_SLICE("multipart/form-data; boundary=XX"), 20, &ops, a) == DX_OK);
    for (size_t at = 0; at < body.size && status == DX_OK; at += step) {
        dx_slice rest = dx_slice_from(body, at);
        status = dx_multipart_feed(multipart, dx_slice_of(rest.data, rest.size < step ? rest.size : step));
    }
    if (status == DX_OK) status = dx_multipart_end(multipart);
    FUZZ_CHECK(status == DX_OK || *dx_multipart_reason(multipart));
    dx_arena_destroy(arena);
    return status;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    account whole, cut;
    if (size == 0) return 0;
    dx_slice body = dx_slice_of((const char *)data + 1, size - 1);
    dx_status status = parse(&whole, body, size);
    FUZZ_CHECK(parse(&cut, body, (size_t)data[0] + 1) == status);
    FUZZ_CHECK(dx_slice_equal(dx_buffer_slice(&whole.log), dx_buffer_slice(&cut.log)));
    FUZZ_CHECK(status != DX_OK || !whole.in_part);
    dx_buffer_deinit(&whole.log);
    dx_buffer_deinit(&cut.log);
    return 0;
}
