#include "cli/text_width.h"

#include "base/compiler.h"
#include "base/utf8.h"

typedef struct range {
    uint32_t first, last;
} range;

static const range wide[] = {{0x1100, 0x115f},   {0x231a, 0x231b},  {0x23e9, 0x23ec},   {0x2e80, 0x303e},   {0x3041, 0x4dbf},
                             {0x4e00, 0xa4cf},   {0xa960, 0xa97f},  {0xac00, 0xd7a3},   {0xf900, 0xfaff},   {0xfe30, 0xfe6f},
                             {0xff01, 0xff60},   {0xffe0, 0xffe6},  {0x1f300, 0x1f64f}, {0x1f680, 0x1f6ff}, {0x1f900, 0x1f9ff},
                             {0x1fa70, 0x1faff}, {0x20000, 0x3fffd}};
static const range none[] = {{0x0300, 0x036f}, {0x0483, 0x0489}, {0x0591, 0x05bd}, {0x064b, 0x065f}, {0x0e34, 0x0e3a}, {0x1ab0, 0x1aff},
                             {0x1dc0, 0x1dff}, {0x200b, 0x200f}, {0x20d0, 0x20ff}, {0xfe00, 0xfe0f}, {0xfe20, 0xfe2f}, {0xe0100, 0xe01ef}};

static bool within(uint32_t code, const range *ranges, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (code >= ranges[i].first && code <= ranges[i].last) return true;
    return false;
}

static size_t columns_of(const unsigned char *at, size_t size) {
    if (size < 2) return 1;
    uint32_t code = at[0] & (0xffu >> (size + 1));
    for (size_t i = 1; i < size; i++) code = code << 6 | (at[i] & 0x3fu);
    return within(code, none, DX_COUNT_OF(none)) ? 0 : within(code, wide, DX_COUNT_OF(wide)) ? 2 : 1;
}

static size_t walk(dx_slice text, size_t width, size_t *columns) {
    const unsigned char *start = (const unsigned char *)text.data;
    size_t at = 0, taken = 0;
    while (at < text.size) {
        size_t size = dx_utf8_sequence(start + at, text.size - at), more = columns_of(start + at, size);
        if (more > width - taken) break;
        taken += more;
        at += size ? size : 1;
    }
    *columns = taken;
    return at;
}

size_t dx_text_width(dx_slice text) {
    size_t columns;
    (void)walk(text, SIZE_MAX, &columns);
    return columns;
}

size_t dx_text_fit(dx_slice text, size_t width) {
    size_t columns;
    return walk(text, width, &columns);
}
