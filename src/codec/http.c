// Names and lists of HTTP: methods, field names, status phrases, fields, and the comma-separated values.
#include "codec/http.h"

static const dx_slice METHODS[] = {
#define X(name) DX_SLICE_INIT(#name),
    DX_METHOD_LIST(X)
#undef X
};

const char *dx_method_name(dx_method method) {
    return (size_t)method < DX_METHOD_COUNT ? METHODS[method].data : "UNKNOWN";
}

dx_method dx_method_parse(dx_slice name) {
    for (size_t i = 0; i < DX_METHOD_COUNT; i++) {
        if (dx_slice_equal(name, METHODS[i])) return (dx_method)i;
    }
    return DX_METHOD_UNKNOWN;
}

static const dx_slice FIELDS[] = {DX_SLICE_INIT(""),
#define X(name, text) DX_SLICE_INIT(text),
                                  DX_FIELD_LIST(X)
#undef X
};

// Length and first letter tell the known names apart; a new name that clashes shows as a duplicate case.
#define KEY(size, first) ((size) << 8 | (first))

static dx_field_id candidate(dx_slice name) {
    switch (KEY(name.size, (unsigned char)name.data[0] | 0x20u)) {
    case KEY(2, 't'):
        return DX_FIELD_TE;
    case KEY(4, 'd'):
        return DX_FIELD_DATE;
    case KEY(4, 'h'):
        return DX_FIELD_HOST;
    case KEY(6, 'a'):
        return DX_FIELD_ACCEPT;
    case KEY(6, 'c'):
        return DX_FIELD_COOKIE;
    case KEY(6, 'e'):
        return DX_FIELD_EXPECT;
    case KEY(6, 'o'):
        return DX_FIELD_ORIGIN;
    case KEY(5, 'r'):
        return DX_FIELD_RANGE;
    case KEY(6, 'p'):
        return DX_FIELD_PREFER;
    case KEY(7, 'u'):
        return DX_FIELD_UPGRADE;
    case KEY(8, 'i'):
        return (name.data[3] | 0x20) == 'r' ? DX_FIELD_IF_RANGE : DX_FIELD_IF_MATCH;
    case KEY(9, 'f'):
        return DX_FIELD_FORWARDED;
    case KEY(10, 'c'):
        return DX_FIELD_CONNECTION;
    case KEY(10, 'u'):
        return DX_FIELD_USER_AGENT;
    case KEY(11, 't'):
        return DX_FIELD_TRACEPARENT;
    case KEY(12, 'c'):
        return DX_FIELD_CONTENT_TYPE;
    case KEY(12, 'x'):
        return DX_FIELD_X_REQUEST_ID;
    case KEY(13, 'a'):
        return DX_FIELD_AUTHORIZATION;
    case KEY(13, 'i'):
        return DX_FIELD_IF_NONE_MATCH;
    case KEY(14, 'c'):
        return DX_FIELD_CONTENT_LENGTH;
    case KEY(15, 'a'):
        return DX_FIELD_ACCEPT_ENCODING;
    case KEY(15, 'i'):
        return DX_FIELD_IDEMPOTENCY_KEY;
    case KEY(15, 'x'):
        return DX_FIELD_X_FORWARDED_FOR;
    case KEY(16, 'c'):
        return DX_FIELD_CONTENT_ENCODING;
    case KEY(17, 'i'):
        return DX_FIELD_IF_MODIFIED_SINCE;
    case KEY(17, 'x'):
        return DX_FIELD_X_FORWARDED_PROTO;
    case KEY(17, 't'):
        return DX_FIELD_TRANSFER_ENCODING;
    case KEY(19, 'i'):
        return DX_FIELD_IF_UNMODIFIED_SINCE;
    case KEY(29, 'a'):
        return DX_FIELD_REQUEST_METHOD;
    case KEY(30, 'a'):
        return DX_FIELD_REQUEST_HEADERS;
    default:
        return DX_FIELD_OTHER;
    }
}

dx_field_id dx_field_lookup(dx_slice name) {
    if (name.size == 0) return DX_FIELD_OTHER;
    dx_field_id id = candidate(name);
    return id != DX_FIELD_OTHER && dx_slice_equal_nocase(name, FIELDS[id]) ? id : DX_FIELD_OTHER;
}

dx_slice dx_fields_get(const dx_fields *fields, dx_field_id id) {
    for (uint32_t i = 0; i < fields->count; i++) {
        if (fields->items[i].id == id) return fields->items[i].value;
    }
    return (dx_slice){NULL, 0};
}

dx_slice dx_fields_find(const dx_fields *fields, dx_slice name) {
    for (uint32_t i = 0; i < fields->count; i++) {
        if (dx_slice_equal_nocase(fields->items[i].name, name)) return fields->items[i].value;
    }
    return (dx_slice){NULL, 0};
}

// CR, LF or NUL: what would end the line and begin one of the sender's choice.
static bool has_break(const char *text, size_t size) {
    for (size_t i = 0; i < size; i++) {
        if (DX_UNLIKELY(text[i] == '\r' || text[i] == '\n' || text[i] == '\0')) return true;
    }
    return false;
}

// Whether one of eight bytes is below 0x0e, as all three are that would break a line, and hardly any other.
static bool has_low(const char *text) {
    const uint64_t each = UINT64_MAX / 255;
    uint64_t bytes;
    memcpy(&bytes, text, sizeof bytes);
    return (bytes - each * 0x0e) & ~bytes & (each * 0x80);
}

static bool breaks_line(dx_slice text) {
    if (text.size < 8) return has_break(text.data, text.size);
    bool low = has_low(text.data + text.size - 8);
    for (size_t i = 0; i < text.size - 8; i += 8) low |= has_low(text.data + i);
    return DX_UNLIKELY(low) && has_break(text.data, text.size);
}

static dx_status make_room(dx_fields *fields, dx_arena *arena) {
    uint32_t capacity = fields->capacity < 8 ? 16 : fields->capacity * 2;
    if (capacity < fields->capacity) return DX_NO_MEMORY;
    dx_field *items = dx_arena_alloc(arena, capacity * sizeof *items);
    if (items == NULL) return DX_NO_MEMORY;
    if (fields->count) memcpy(items, fields->items, fields->count * sizeof *items);
    fields->items = items;
    fields->capacity = capacity;
    return DX_OK;
}

dx_status dx_fields_add(dx_fields *fields, dx_arena *arena, dx_slice name, dx_slice value) {
    if (breaks_line(name) || breaks_line(value)) return DX_INTERNAL;
    if (fields->count == fields->capacity) {
        dx_status status = make_room(fields, arena);
        if (status != DX_OK) return status;
    }
    fields->items[fields->count++] = (dx_field){name, value, dx_field_lookup(name)};
    return DX_OK;
}

bool dx_fields_copy(dx_fields *out, dx_arena *arena, const dx_fields *from, uint32_t more) {
    dx_field *items = dx_arena_alloc(arena, (from->count + (size_t)more) * sizeof *items);
    if (!items) return false;
    if (from->count) memcpy(items, from->items, from->count * sizeof *items);
    *out = (dx_fields){items, from->count, from->count + more};
    return true;
}

static const struct {
    int status;
    const char *phrase;
} PHRASES[] = {
    {100, "Continue"},
    {101, "Switching Protocols"},
    {103, "Early Hints"},
    {200, "OK"},
    {201, "Created"},
    {202, "Accepted"},
    {203, "Non-Authoritative Information"},
    {204, "No Content"},
    {205, "Reset Content"},
    {206, "Partial Content"},
    {207, "Multi-Status"},
    {300, "Multiple Choices"},
    {301, "Moved Permanently"},
    {302, "Found"},
    {303, "See Other"},
    {304, "Not Modified"},
    {307, "Temporary Redirect"},
    {308, "Permanent Redirect"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {402, "Payment Required"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {406, "Not Acceptable"},
    {407, "Proxy Authentication Required"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {410, "Gone"},
    {411, "Length Required"},
    {412, "Precondition Failed"},
    {413, "Content Too Large"},
    {414, "URI Too Long"},
    {415, "Unsupported Media Type"},
    {416, "Range Not Satisfiable"},
    {417, "Expectation Failed"},
    {421, "Misdirected Request"},
    {422, "Unprocessable Content"},
    {423, "Locked"},
    {424, "Failed Dependency"},
    {425, "Too Early"},
    {426, "Upgrade Required"},
    {428, "Precondition Required"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {451, "Unavailable For Legal Reasons"},
    {499, "Client Closed Request"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {502, "Bad Gateway"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
    {505, "HTTP Version Not Supported"},
    {507, "Insufficient Storage"},
    {508, "Loop Detected"},
    {511, "Network Authentication Required"},
};

const char *dx_http_phrase(int status) {
    size_t low = 0, high = DX_COUNT_OF(PHRASES);
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (PHRASES[middle].status == status) return PHRASES[middle].phrase;
        if (PHRASES[middle].status < status) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return "";
}

bool dx_http_media_is(dx_slice content_type, const char *type) {
    return dx_slice_equal_nocase(dx_slice_trim(dx_slice_cut(&content_type, ';')), dx_slice_str(type));
}

// Cuts the next element of a list off `*rest` at a `separator` outside quoted strings (RFC 9110 section 5.6.1), trimmed.
static dx_slice next_element(dx_slice *rest, char separator) {
    bool quoted = false;
    size_t at = 0;
    for (; at < rest->size && (quoted || rest->data[at] != separator); at++) {
        if (rest->data[at] == '"') quoted = !quoted;
        if (rest->data[at] == '\\' && quoted) at++;
    }
    if (at > rest->size) at = rest->size; // ended in a backslash
    dx_slice element = dx_slice_trim(dx_slice_of(rest->data, at));
    *rest = at < rest->size ? dx_slice_of(rest->data + at + 1, rest->size - at - 1) : (dx_slice){NULL, 0};
    return element;
}

bool dx_field_name_valid(dx_slice name) {
    static const char marks[] = "!#$%&'*+-.^_`|~";
    for (size_t i = 0; i < name.size; i++) {
        char c = name.data[i], lower = (char)(c | 0x20);
        if (!(lower >= 'a' && lower <= 'z') && !(c >= '0' && c <= '9') && !(c && strchr(marks, c))) return false;
    }
    return name.size > 0;
}

bool dx_http_list_has(dx_slice value, dx_slice token) {
    while (value.data) {
        if (dx_slice_equal_nocase(next_element(&value, ','), token)) return true;
    }
    return false;
}

// An entity tag at the head of `*rest`, taken off it. False when there is none.
static bool next_etag(dx_slice *rest, bool *weak, dx_slice *opaque) {
    *weak = dx_slice_starts(*rest, DX_SLICE("W/"));
    dx_slice from = *weak ? dx_slice_from(*rest, 2) : *rest;
    if (from.size < 2 || from.data[0] != '"') return false;
    dx_slice inside = dx_slice_from(from, 1);
    size_t end = dx_slice_find(inside, '"');
    if (end == SIZE_MAX) return false;
    *opaque = dx_slice_of(inside.data, end);
    *rest = dx_slice_from(inside, end + 1);
    return true;
}

bool dx_http_etag_in(dx_slice value, dx_slice etag, bool weak) {
    bool own_weak, other_weak;
    dx_slice own, other, whole = etag;
    value = dx_slice_trim(value);
    if (dx_slice_equal(value, DX_SLICE("*"))) return true;
    if (!next_etag(&whole, &own_weak, &own)) return false;
    while (value.size) {
        if (value.data[0] == ',' || value.data[0] == ' ' || value.data[0] == '\t') {
            value = dx_slice_from(value, 1);
            continue;
        }
        if (!next_etag(&value, &other_weak, &other)) return false;
        if (dx_slice_equal(own, other) && (weak || (!own_weak && !other_weak))) return true;
    }
    return false;
}

// "0.8" as 800: at most three decimals, at most 1 (RFC 9110 section 12.4.2). Anything else counts as 1.
static int read_quality(dx_slice text) {
    if (text.size == 0 || text.size > 5 || (text.data[0] != '0' && text.data[0] != '1')) return 1000;
    int quality = (text.data[0] - '0') * 1000, place = 100;
    if (text.size > 1 && text.data[1] != '.') return 1000;
    for (size_t i = 2; i < text.size; i++, place /= 10) {
        if (text.data[i] < '0' || text.data[i] > '9') return 1000;
        quality += (text.data[i] - '0') * place;
    }
    return quality > 1000 ? 1000 : quality;
}

static int quality_of(dx_slice parameters) {
    while (parameters.data) {
        dx_slice parameter = next_element(&parameters, ';');
        dx_slice name = dx_slice_trim(dx_slice_cut(&parameter, '='));
        if (dx_slice_equal_nocase(name, DX_SLICE("q"))) return read_quality(dx_slice_trim(parameter));
    }
    return 1000;
}

bool dx_http_next_weighted(dx_slice *rest, dx_slice *name, int *quality) {
    while (rest->data) {
        dx_slice parameters = next_element(rest, ',');
        if (parameters.size == 0) continue;
        *name = next_element(&parameters, ';');
        *quality = quality_of(parameters);
        return true;
    }
    return false;
}

// How closely a media range names `type`: 3 itself, 2 "type/*", 1 "*/*", 0 not at all.
static int closeness(dx_slice range, dx_slice type) {
    if (dx_slice_equal_nocase(range, type)) return 3;
    if (dx_slice_equal(range, DX_SLICE("*/*"))) return 1;
    size_t slash = dx_slice_find(type, '/');
    bool all_of_type = slash != SIZE_MAX && range.size == slash + 2 && range.data[slash + 1] == '*' &&
                       dx_slice_equal_nocase(dx_slice_of(range.data, slash + 1), dx_slice_of(type.data, slash + 1));
    return all_of_type ? 2 : 0;
}

int dx_http_accept_quality(dx_slice accept, const char *type) {
    dx_slice wanted = dx_slice_str(type);
    if (dx_slice_trim(accept).size == 0) return 1000;
    int closest = 0, quality = 0;
    dx_slice range;
    for (int its_quality; dx_http_next_weighted(&accept, &range, &its_quality);) {
        int found = closeness(range, wanted);
        if (found == 0 || found < closest || (found == closest && its_quality < quality)) continue;
        closest = found;
        quality = its_quality;
    }
    return quality;
}
