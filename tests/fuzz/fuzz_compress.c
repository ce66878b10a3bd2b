// Content codings: what is decoded stays under its caps and does not depend on how the input is cut. The first byte chooses the coding; the
// second, how it is cut. The same bytes are read as Accept-Encoding.
#include <string.h>

#include "codec/compress.h"
#include "fuzz.h"

#define CAP   (256u << 10)
#define RATIO 50
#define ALL   (DX_CODING_BIT(DX_CODING_GZIP) | DX_CODING_BIT(DX_CODING_ZSTD) | DX_CODING_BIT(DX_CODING_BR))

static dx_status gather(void *ctx, dx_slice piece) {
    dx_buffer_add(ctx, piece);
    return dx_buffer_status(ctx);
}

static dx_status decode(dx_buffer *out, dx_coding coding, dx_slice packed, size_t step) {
    dx_decompressor *decompressor;
    dx_buffer_init(out, NULL, 2 * CAP);
    FUZZ_CHECK(dx_decompressor_create(&decompressor, coding, CAP, RATIO) == DX_OK);
    dx_status status = DX_OK;
    for (size_t at = 0; at < packed.size && status == DX_OK; at += step) {
        size_t size = packed.size - at < step ? packed.size - at : step;
        status = dx_decompressor_run(decompressor, dx_slice_of(packed.data + at, size), gather, out);
    }
    if (status == DX_OK) status = dx_decompressor_end(decompressor);
    dx_decompressor_destroy(decompressor);
    return status;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 3 || size > 65536) return 0;
    dx_coding coding = (dx_coding)(DX_CODING_GZIP + data[0] % 3), chosen;
    dx_slice packed = dx_slice_of((const char *)data + 2, size - 2);
    dx_buffer whole, cut;
    dx_status status = decode(&whole, coding, packed, packed.size), again = decode(&cut, coding, packed, 1 + data[1] % 64u);
    FUZZ_CHECK(whole.size <= CAP && cut.size <= CAP);
    // A bomb behind what is broken anyway may be told of either way. libzstd looks at a frame's declared size only when it has it whole.
    FUZZ_CHECK((status == DX_OK) == (again == DX_OK) || status == DX_TOO_LARGE || again == DX_TOO_LARGE || coding == DX_CODING_ZSTD);
    FUZZ_CHECK(status != DX_OK || again != DX_OK || dx_slice_equal(dx_buffer_slice(&whole), dx_buffer_slice(&cut)));
    dx_buffer_deinit(&whole);
    dx_buffer_deinit(&cut);
    chosen = dx_coding_choose(packed, data[1] & ALL);
    FUZZ_CHECK(chosen == DX_CODING_UNKNOWN || chosen == DX_CODING_IDENTITY || (data[1] & ALL & DX_CODING_BIT(chosen)));
    return 0;
}
