// Request targets: which bytes they may have, and where the query begins.
#include "net/target.h"

#define URI       1
#define AUTHORITY 2
static const uint8_t classes[256] = {
    ['!'] = URI | AUTHORITY,
    ['"'] = URI,
    ['$' ... '%'] = URI | AUTHORITY,
    ['&' ... '.'] = URI | AUTHORITY,
    ['/'] = URI,
    ['0' ... ';'] = URI | AUTHORITY,
    ['<'] = URI,
    ['='] = URI | AUTHORITY,
    ['>' ... '@'] = URI,
    ['A' ... '['] = URI | AUTHORITY,
    ['\\'] = URI,
    [']'] = URI | AUTHORITY,
    ['^'] = URI,
    ['_'] = URI | AUTHORITY,
    ['`'] = URI,
    ['a' ... 'z'] = URI | AUTHORITY,
    ['{' ... '}'] = URI,
    ['~'] = URI | AUTHORITY,
};

static bool is_all(dx_slice text, uint8_t class) {
    uint8_t all = class;
    for (size_t i = 0; i < text.size; i++) all &= classes[(unsigned char)text.data[i]];
    return all != 0;
}

bool dx_target_is_uri(dx_slice text) {
    return is_all(text, URI);
}

bool dx_target_is_authority(dx_slice text) {
    return is_all(text, AUTHORITY);
}

void dx_target_split(dx_slice target, dx_request_head *out) {
    const char *mark = target.size ? memchr(target.data, '?', target.size) : NULL;
    size_t path_size = mark ? (size_t)(mark - target.data) : target.size;
    out->path = path_size ? dx_slice_of(target.data, path_size) : DX_SLICE("/");
    out->query = mark ? dx_slice_of(mark + 1, target.size - path_size - 1) : dx_slice_of(NULL, 0);
}
