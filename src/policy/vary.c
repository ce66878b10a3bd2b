// A block is, for each name in order: one byte for its size, the name in lower case, one byte that says how the value is there (none,
// plain, digest), two for its size (big endian), the value.
#include "policy/vary.h"

#include "crypto/digest.h"

typedef enum presence { ABSENT, PLAIN, DIGEST } presence;

typedef struct names {
    dx_slice items[DX_VARY_NAMES_CAP];
    size_t count;
    bool any;
} names;

static char lower(char byte) {
    return byte >= 'A' && byte <= 'Z' ? (char)(byte | 0x20) : byte;
}

static int compare_names(dx_slice a, dx_slice b) {
    for (size_t i = 0; i < a.size && i < b.size; i++) {
        int difference = (unsigned char)lower(a.data[i]) - (unsigned char)lower(b.data[i]);
        if (difference) return difference;
    }
    return a.size < b.size ? -1 : a.size > b.size;
}

// In order and once each, so that "a, b" and "B, A" are one.
static void insert_name(names *out, dx_slice name) {
    size_t at = 0;
    while (at < out->count && compare_names(out->items[at], name) < 0) at++;
    if (at < out->count && compare_names(out->items[at], name) == 0) return;
    if (out->count == DX_VARY_NAMES_CAP || name.size > DX_VARY_NAME_CAP) {
        out->any = true;
        return;
    }
    memmove(out->items + at + 1, out->items + at, (out->count - at) * sizeof *out->items);
    out->items[at] = name;
    out->count++;
}

static void read_names(names *out, const dx_fields *response) {
    *out = (names){.count = 0};
    for (uint32_t i = 0; i < response->count; i++) {
        const dx_field *field = &response->items[i];
        if (field->id != DX_FIELD_OTHER || !dx_slice_equal_nocase(field->name, DX_SLICE("vary"))) continue;
        for (dx_slice rest = field->value; rest.data;) {
            dx_slice name = dx_slice_trim(dx_slice_cut(&rest, ','));
            if (dx_slice_equal(name, DX_SLICE("*"))) out->any = true;
            if (name.size) insert_name(out, name);
        }
    }
}

bool dx_vary_is_any(const dx_fields *response) {
    names found;
    read_names(&found, response);
    return found.any;
}

// Fields whose values are no secret and may stand in the clear. `name` in any case.
static bool is_plain(dx_slice name) {
    static const dx_slice NAMES[] = {DX_SLICE_INIT("origin"), DX_SLICE_INIT("host"), DX_SLICE_INIT("user-agent"), DX_SLICE_INIT("prefer"),
                                     DX_SLICE_INIT("x-requested-with")};
    for (size_t i = 0; i < DX_COUNT_OF(NAMES); i++) {
        if (dx_slice_equal_nocase(name, NAMES[i])) return true;
    }
    return name.size >= 6 && dx_slice_equal_nocase(dx_slice_of(name.data, 6), DX_SLICE("accept"));
}

typedef struct value {
    char bytes[DX_VARY_VALUE_CAP];
    size_t size;
    presence how;
    bool too_large;
} value;

static void add_comma(value *out) {
    if (out->size < sizeof out->bytes) out->bytes[out->size++] = ',';
}

// One line, without white space around its commas outside quotation marks.
static void add_line(value *out, dx_slice line, bool fold_case) {
    if (line.size > sizeof out->bytes - out->size) {
        out->too_large = true;
        return;
    }
    bool quoted = false;
    size_t size = out->size, solid = size; // up to `solid` there is no white space at the end
    for (size_t i = 0; i < line.size; i++) {
        char byte = line.data[i];
        if (!quoted && (byte == ' ' || byte == '\t')) {
            if (size > 0 && out->bytes[size - 1] != ',') out->bytes[size++] = ' ';
            continue;
        }
        if (byte == '"') quoted = !quoted;
        if (!quoted && byte == ',') size = solid;
        out->bytes[size++] = fold_case && !quoted ? lower(byte) : byte;
        solid = size;
    }
    out->size = solid;
}

// Fields whose values mean the same in any case.
static bool ignores_case(dx_slice name) {
    static const dx_slice NAMES[] = {DX_SLICE_INIT("accept"), DX_SLICE_INIT("accept-encoding"), DX_SLICE_INIT("accept-language"),
                                     DX_SLICE_INIT("accept-charset")};
    for (size_t i = 0; i < DX_COUNT_OF(NAMES); i++) {
        if (dx_slice_equal_nocase(name, NAMES[i])) return true;
    }
    return false;
}

static void read_value(value *out, const dx_fields *request, dx_slice name) {
    out->size = 0;
    out->how = ABSENT;
    out->too_large = false;
    bool plain = is_plain(name), fold_case = plain && ignores_case(name);
    for (uint32_t i = 0; i < request->count; i++) {
        if (!dx_slice_equal_nocase(request->items[i].name, name)) continue;
        if (out->how != ABSENT) add_comma(out);
        out->how = PLAIN;
        add_line(out, request->items[i].value, fold_case);
    }
    if (plain || out->how == ABSENT || out->too_large) return;
    uint8_t digest[DX_SHA256_SIZE];
    dx_sha256(digest, dx_slice_of(out->bytes, out->size));
    dx_secret_wipe(out->bytes, out->size);
    memcpy(out->bytes, digest, sizeof digest);
    out->size = sizeof digest;
    out->how = DIGEST;
}

bool dx_vary_write(dx_buffer *out, const dx_fields *response, const dx_fields *request) {
    names found;
    value held;
    size_t start = out->size;
    read_names(&found, response);
    if (found.any) return false;
    for (size_t i = 0; i < found.count; i++) {
        read_value(&held, request, found.items[i]);
        if (held.too_large) return false;
        dx_buffer_byte(out, (char)found.items[i].size);
        for (size_t j = 0; j < found.items[i].size; j++) dx_buffer_byte(out, lower(found.items[i].data[j]));
        dx_buffer_byte(out, (char)held.how);
        dx_buffer_byte(out, (char)(held.size >> 8));
        dx_buffer_byte(out, (char)(held.size & 0xff));
        dx_buffer_append(out, held.bytes, held.size);
    }
    return out->size - start <= DX_VARY_BLOCK_CAP;
}

static bool take(dx_slice *rest, size_t size, dx_slice *out) {
    if (!rest->data || rest->size < size) return false;
    *out = dx_slice_of(rest->data, size);
    *rest = dx_slice_of(rest->data + size, rest->size - size);
    return true;
}

// One name of a block with its value.
typedef struct kept {
    dx_slice name, value;
    presence how;
} kept;

static bool take_kept(dx_slice *block, kept *out) {
    dx_slice head;
    size_t size = (unsigned char)block->data[0];
    *block = dx_slice_from(*block, 1);
    if (!size || !take(block, size, &out->name) || !take(block, 3, &head)) return false;
    out->how = (presence)(unsigned char)head.data[0];
    return take(block, (size_t)(unsigned char)head.data[1] << 8 | (unsigned char)head.data[2], &out->value);
}

bool dx_vary_names(dx_buffer *out, dx_slice block) {
    kept one;
    for (bool first = true; block.size; first = false) {
        if (!take_kept(&block, &one)) return false;
        if (!first) dx_buffer_byte(out, ',');
        dx_buffer_add(out, one.name);
    }
    return true;
}

bool dx_vary_matches(dx_slice block, const dx_fields *request) {
    value held;
    kept one;
    while (block.size) {
        if (!take_kept(&block, &one)) return false;
        read_value(&held, request, one.name);
        if (held.too_large || held.how != one.how || !dx_slice_equal(dx_slice_of(held.bytes, held.size), one.value)) return false;
    }
    return true;
}
