// Request targets: which bytes they may have, and where the query begins.
#include "net/target.h"

#define URI     1
#define HOST    2 // a name or an IPv4 address
#define LITERAL 4 // an address in brackets
#define PORT    8
static const uint8_t classes[256] = {
    ['!'] = URI | HOST | LITERAL,
    ['"'] = URI,
    ['$' ... '%'] = URI | HOST | LITERAL,
    ['&' ... '.'] = URI | HOST | LITERAL,
    ['/'] = URI,
    ['0' ... '9'] = URI | HOST | LITERAL | PORT,
    [':'] = URI | LITERAL,
    [';'] = URI | HOST | LITERAL,
    ['<'] = URI,
    ['='] = URI | HOST | LITERAL,
    ['>' ... '@'] = URI,
    ['A' ... 'Z'] = URI | HOST | LITERAL,
    ['['] = URI,
    ['\\'] = URI,
    [']'] = URI,
    ['^'] = URI,
    ['_'] = URI | HOST | LITERAL,
    ['`'] = URI,
    ['a' ... 'z'] = URI | HOST | LITERAL,
    ['{' ... '}'] = URI,
    ['~'] = URI | HOST | LITERAL,
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
    size_t host = 0;
    if (text.size && text.data[0] == '[') {
        const char *end = memchr(text.data, ']', text.size);
        if (!end || end == text.data + 1 || !is_all(dx_slice_of(text.data + 1, (size_t)(end - text.data - 1)), LITERAL)) return false;
        host = (size_t)(end - text.data) + 1;
    } else {
        while (host < text.size && (classes[(unsigned char)text.data[host]] & HOST)) host++;
    }
    if (host == text.size) return true;
    return text.data[host] == ':' && is_all(dx_slice_from(text, host + 1), PORT);
}

void dx_target_split(dx_slice target, dx_request_head *out) {
    const char *mark = target.size ? memchr(target.data, '?', target.size) : NULL;
    size_t path_size = mark ? (size_t)(mark - target.data) : target.size;
    out->path = path_size ? dx_slice_of(target.data, path_size) : DX_SLICE("/");
    out->query = mark ? dx_slice_of(mark + 1, target.size - path_size - 1) : dx_slice_of(NULL, 0);
}
