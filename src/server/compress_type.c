// Which media types gain by compression: text and what is written as text. Pictures, sound, films and archives are compressed already.
#include "server/compress.h"

static bool ends(dx_slice text, dx_slice with) {
    return text.size > with.size && dx_slice_equal_nocase(dx_slice_from(text, text.size - with.size), with);
}

bool dx_compress_gains(dx_slice content_type) {
    static const dx_slice types[] = {
        DX_SLICE_INIT("application/json"),
        DX_SLICE_INIT("application/xml"),
        DX_SLICE_INIT("application/javascript"),
        DX_SLICE_INIT("application/wasm"),
        DX_SLICE_INIT("application/x-ndjson"),
        DX_SLICE_INIT("application/yaml"),
        DX_SLICE_INIT("application/rtf"),
        DX_SLICE_INIT("application/vnd.ms-fontobject"),
        DX_SLICE_INIT("application/graphql"),
        DX_SLICE_INIT("image/bmp"),
        DX_SLICE_INIT("image/x-icon"),
        DX_SLICE_INIT("image/vnd.microsoft.icon"),
        DX_SLICE_INIT("font/ttf"),
        DX_SLICE_INIT("font/otf"),
    };
    dx_slice type = dx_slice_trim(dx_slice_cut(&content_type, ';'));
    if (type.size > 5 && dx_slice_equal_nocase(dx_slice_of(type.data, 5), DX_SLICE("text/"))) return true;
    for (size_t i = 0; i < DX_COUNT_OF(types); i++)
        if (dx_slice_equal_nocase(type, types[i])) return true;
    return ends(type, DX_SLICE("+json")) || ends(type, DX_SLICE("+xml")); // image/svg+xml among them
}
