// Parsing multipart/form-data. A delimiter is CRLF, two dashes and the boundary; the body is read as if a CRLF stood before it, so that the
// first delimiter is one like the others. A CR stands in a delimiter at its front alone (no boundary has one), and so a broken partial
// match never hides another: what matched was content, and the byte that broke it is looked at anew. That makes the search linear, and what
// is held between two pieces of input is a count.
//
// Names are read as browsers write them (WHATWG HTML, "multipart/form-data encoding algorithm": %22, %0D and %0A stand for the three bytes
// that cannot be in a quoted name) and as older clients do (\" and \\). `filename*` is not looked at: RFC 7578 section 4.2 forbids it, and
// who reads both can be told two names for one file.
#include "codec/multipart.h"

#include "codec/text.h"

#define DELIMITER_CAP (4 + DX_MULTIPART_BOUNDARY_CAP)

typedef enum state {
    PREAMBLE, // before the first delimiter
    CONTENT,
    BEHIND,   // a delimiter: it is one if what follows says so
    DASHED,   // and one dash behind it
    PADDING,  // white space to the end of the delimiter's line
    LINE_END, // its CR
    HEAD,
    EPILOGUE
} state;

struct dx_multipart {
    const dx_multipart_ops *ops;
    void *ctx;
    const char *reason;
    dx_status status;
    state state;
    bool in_part; // `begin` was called, `end` was not
    uint32_t parts, parts_cap;
    size_t matched; // of the delimiter, at the end of what was fed
    size_t delimiter_size;
    size_t head_size;
    char delimiter[DELIMITER_CAP + 1]; // and a dash, for DASHED
    char head[DX_MULTIPART_HEAD_CAP];
};

static dx_status refuse(dx_multipart *m, dx_status status, const char *reason) {
    m->status = status;
    m->reason = reason;
    return status;
}

// --- parameters of a field -----------------------------------------------------------------------------------------------------

static bool is_token(char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c && strchr("!#$%&'*+-.^_`|~", c));
}

static void skip_space(dx_slice *rest) {
    while (rest->size && (*rest->data == ' ' || *rest->data == '\t')) *rest = dx_slice_of(rest->data + 1, rest->size - 1);
}

static dx_slice take_token(dx_slice *rest) {
    size_t size = 0;
    while (size < rest->size && is_token(rest->data[size])) size++;
    dx_slice token = dx_slice_of(rest->data, size);
    *rest = dx_slice_of(rest->data + size, rest->size - size);
    return token;
}

// The inside of a quoted string, as it stands; false when it has no end.
static bool take_quoted(dx_slice *rest, dx_slice *value) {
    for (size_t i = 1; i < rest->size; i++) {
        if (rest->data[i] == '\\' && i + 1 < rest->size && (rest->data[i + 1] == '"' || rest->data[i + 1] == '\\')) {
            i++;
        } else if (rest->data[i] == '"') {
            *value = dx_slice_of(rest->data + 1, i - 1);
            *rest = dx_slice_of(rest->data + i + 1, rest->size - i - 1);
            return true;
        }
    }
    return false;
}

typedef struct parameter {
    dx_slice name, value;
    bool quoted;
} parameter;

// The next of `; name=value`. At the end, `name` is empty; false: it is not made like that.
static bool next_parameter(dx_slice *rest, parameter *out) {
    *out = (parameter){0};
    skip_space(rest);
    if (rest->size == 0) return true;
    if (*rest->data != ';') return false;
    *rest = dx_slice_of(rest->data + 1, rest->size - 1);
    skip_space(rest);
    if (rest->size == 0) return true; // a semicolon at the end
    out->name = take_token(rest);
    if (!out->name.size || !rest->size || *rest->data != '=') return false;
    *rest = dx_slice_of(rest->data + 1, rest->size - 1);
    out->quoted = rest->size && *rest->data == '"';
    if (out->quoted) return take_quoted(rest, &out->value);
    out->value = take_token(rest);
    return out->value.size > 0;
}

// --- making one ----------------------------------------------------------------------------------------------------------------

static bool is_boundary(dx_slice text) {
    if (text.size == 0 || text.size > DX_MULTIPART_BOUNDARY_CAP || text.data[text.size - 1] == ' ') return false;
    for (size_t i = 0; i < text.size; i++) {
        char c = text.data[i];
        bool letter = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!letter && !(c && strchr("'()+_,-./:=? ", c))) return false;
    }
    return true;
}

static dx_status read_boundary(dx_slice content_type, dx_slice *boundary) {
    dx_slice rest = content_type;
    *boundary = (dx_slice){NULL, 0};
    if (!dx_http_media_is(content_type, "multipart/form-data")) return DX_UNSUPPORTED_MEDIA_TYPE;
    size_t at = dx_slice_find(rest, ';');
    if (at == SIZE_MAX) return DX_MALFORMED;
    rest = dx_slice_from(rest, at);
    for (parameter p; rest.size;) {
        if (!next_parameter(&rest, &p)) return DX_MALFORMED;
        if (!dx_slice_equal_nocase(p.name, DX_SLICE("boundary"))) continue;
        if (boundary->data) return DX_MALFORMED; // two
        *boundary = p.value;
    }
    return is_boundary(*boundary) ? DX_OK : DX_MALFORMED;
}

dx_status dx_multipart_create(dx_multipart **out, dx_arena *arena, dx_slice content_type, uint32_t parts_cap, const dx_multipart_ops *ops,
                              void *ctx) {
    dx_slice boundary;
    *out = NULL;
    dx_status status = read_boundary(content_type, &boundary);
    if (status != DX_OK) return status;
    dx_multipart *m = dx_arena_alloc(arena, sizeof *m);
    if (!m) return DX_NO_MEMORY;
    memset(m, 0, offsetof(dx_multipart, head));
    m->ops = ops;
    m->ctx = ctx;
    m->parts_cap = parts_cap;
    m->matched = 2; // the CRLF before the body
    memcpy(m->delimiter, "\r\n--", 4);
    memcpy(m->delimiter + 4, boundary.data, boundary.size);
    m->delimiter_size = boundary.size + 4;
    m->delimiter[m->delimiter_size] = '-';
    *out = m;
    return DX_OK;
}

const char *dx_multipart_reason(const dx_multipart *multipart) {
    return multipart->reason ? multipart->reason : "";
}

// --- a part's head -------------------------------------------------------------------------------------------------------------

static int hex_of(char c) {
    return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

// Where it lies: what is decoded is never longer.
static dx_slice decode(dx_slice text) {
    char *to = (char *)(uintptr_t)text.data;
    size_t size = 0;
    for (size_t i = 0; i < text.size; i++) {
        char c = text.data[i];
        bool more = i + 1 < text.size;
        if (c == '\\' && more && (text.data[i + 1] == '"' || text.data[i + 1] == '\\')) {
            c = text.data[++i];
        } else if (c == '%' && i + 2 < text.size) {
            int byte = hex_of(text.data[i + 1]) * 16 + hex_of(text.data[i + 2]);
            if (hex_of(text.data[i + 1]) >= 0 && (byte == '"' || byte == '\r' || byte == '\n')) {
                c = (char)byte;
                i += 2;
            }
        }
        to[size++] = c;
    }
    return dx_slice_of(text.data, size);
}

// Clients may send a whole path (RFC 7578 section 4.2): of either kind, only the last name is kept, and what means a folder is no name.
static dx_slice without_folder(dx_slice name) {
    for (size_t i = name.size; i-- > 0;)
        if (name.data[i] == '/' || name.data[i] == '\\') {
            name = dx_slice_of(name.data + i + 1, name.size - i - 1);
            break;
        }
    if (dx_slice_equal(name, DX_SLICE(".")) || dx_slice_equal(name, DX_SLICE(".."))) name.size = 0;
    return name;
}

static dx_status take_name(dx_multipart *m, const parameter *p, dx_slice *name) {
    if (name->data) return refuse(m, DX_MALFORMED, "a part has a name twice");
    if (p->value.size > DX_MULTIPART_NAME_CAP) return refuse(m, DX_TOO_LARGE, "a part's name is too long");
    *name = p->quoted ? decode(p->value) : p->value;
    return dx_utf8_valid(*name) ? DX_OK : refuse(m, DX_MALFORMED, "a part's name is not UTF-8");
}

static dx_status read_disposition(dx_multipart *m, dx_slice value, dx_multipart_part *part) {
    dx_slice rest = value;
    if (part->name.data) return refuse(m, DX_MALFORMED, "a part has Content-Disposition twice");
    if (!dx_slice_equal_nocase(take_token(&rest), DX_SLICE("form-data")))
        return refuse(m, DX_MALFORMED, "a part's Content-Disposition is not form-data");
    for (parameter p; rest.size;) {
        dx_status status = DX_OK;
        if (!next_parameter(&rest, &p)) return refuse(m, DX_MALFORMED, "a part's Content-Disposition is malformed");
        if (dx_slice_equal_nocase(p.name, DX_SLICE("name"))) status = take_name(m, &p, &part->name);
        if (dx_slice_equal_nocase(p.name, DX_SLICE("filename"))) status = take_name(m, &p, &part->file_name);
        if (status != DX_OK) return status;
    }
    if (!part->name.data) return refuse(m, DX_MALFORMED, "a part has no name");
    if (part->file_name.data) part->file_name = without_folder(part->file_name);
    return DX_OK;
}

static bool is_plain_encoding(dx_slice value) {
    static const dx_slice plain[] = {DX_SLICE_INIT("7bit"), DX_SLICE_INIT("8bit"), DX_SLICE_INIT("binary")};
    for (size_t i = 0; i < DX_COUNT_OF(plain); i++)
        if (dx_slice_equal_nocase(value, plain[i])) return true;
    return false;
}

static dx_status read_field(dx_multipart *m, dx_slice line, dx_multipart_part *part) {
    dx_slice name = take_token(&line);
    if (!name.size || !line.size || *line.data != ':') return refuse(m, DX_MALFORMED, "a part has a malformed field");
    dx_slice value = dx_slice_trim(dx_slice_from(line, 1));
    if (dx_slice_find(value, '\0') != SIZE_MAX || dx_slice_find(value, '\r') != SIZE_MAX || dx_slice_find(value, '\n') != SIZE_MAX)
        return refuse(m, DX_MALFORMED, "a part has a malformed field");
    if (dx_slice_equal_nocase(name, DX_SLICE("content-disposition"))) return read_disposition(m, value, part);
    if (dx_slice_equal_nocase(name, DX_SLICE("content-transfer-encoding")) && !is_plain_encoding(value)) // RFC 7578 section 4.7
        return refuse(m, DX_MALFORMED, "a part has a Content-Transfer-Encoding");
    if (!dx_slice_equal_nocase(name, DX_SLICE("content-type"))) return DX_OK;
    if (part->content_type.size) return refuse(m, DX_MALFORMED, "a part has Content-Type twice");
    part->content_type = value;
    return DX_OK;
}

// The head is whole: `head_size` bytes, each line with its CRLF, an empty one at the end.
static dx_status begin_part(dx_multipart *m) {
    dx_multipart_part part = {0};
    dx_slice rest = dx_slice_of(m->head, m->head_size - 2);
    while (rest.size) {
        const char *end = memmem(rest.data, rest.size, "\r\n", 2);
        dx_slice line = dx_slice_of(rest.data, (size_t)(end - rest.data));
        dx_status status = read_field(m, line, &part);
        if (status != DX_OK) return status;
        rest = dx_slice_from(rest, line.size + 2);
    }
    if (!part.name.data) return refuse(m, DX_MALFORMED, "a part has no Content-Disposition");
    if (m->parts++ == m->parts_cap) return refuse(m, DX_TOO_LARGE, "there are too many parts");
    m->state = CONTENT;
    m->in_part = true;
    return m->status = m->ops->begin(m->ctx, &part);
}

static dx_status feed_head(dx_multipart *m, dx_slice *rest) {
    while (rest->size) {
        if (m->head_size == DX_MULTIPART_HEAD_CAP) return refuse(m, DX_TOO_LARGE, "a part's head is too large");
        m->head[m->head_size++] = *rest->data;
        *rest = dx_slice_of(rest->data + 1, rest->size - 1);
        size_t size = m->head_size;
        if (m->head[size - 1] != '\n' || size < 2 || m->head[size - 2] != '\r') continue;
        if (size == 2 || (size >= 4 && memcmp(m->head + size - 4, "\r\n\r\n", 4) == 0)) return begin_part(m);
    }
    return DX_OK;
}

// --- content -------------------------------------------------------------------------------------------------------------------

static dx_status emit(dx_multipart *m, dx_slice piece) {
    if (!m->in_part || piece.size == 0) return DX_OK;
    return m->status = m->ops->piece(m->ctx, piece);
}

// What looked like a delimiter, of `size` bytes, was content.
static dx_status take_back(dx_multipart *m, size_t size) {
    m->state = m->parts || m->in_part ? CONTENT : PREAMBLE;
    m->matched = 0;
    return emit(m, dx_slice_of(m->delimiter, size));
}

static dx_status feed_content(dx_multipart *m, dx_slice *rest) {
    size_t at = 0;
    if (m->matched) {
        while (at < rest->size && m->matched < m->delimiter_size && rest->data[at] == m->delimiter[m->matched]) {
            at++;
            m->matched++;
        }
        *rest = dx_slice_of(rest->data + at, rest->size - at);
        if (m->matched == m->delimiter_size) m->state = BEHIND;
        if (m->state == BEHIND || rest->size == 0) return DX_OK;
        return take_back(m, m->matched);
    }
    const char *found = memmem(rest->data, rest->size, m->delimiter, m->delimiter_size);
    size_t size = found ? (size_t)(found - rest->data) : rest->size;
    if (found) {
        m->matched = m->delimiter_size;
        m->state = BEHIND;
    } else { // perhaps one begins at the end
        size_t tail = rest->size < m->delimiter_size ? rest->size : m->delimiter_size;
        const char *cr = memrchr(rest->data + rest->size - tail, '\r', tail);
        size_t from = cr ? (size_t)(cr - rest->data) : rest->size;
        if (cr && memcmp(cr, m->delimiter, rest->size - from) == 0) {
            m->matched = rest->size - from;
            size = from;
        }
    }
    dx_slice piece = dx_slice_of(rest->data, size);
    *rest = dx_slice_from(*rest, size + m->matched);
    return emit(m, piece);
}

// It was a delimiter.
static dx_status end_part(dx_multipart *m, state next) {
    m->state = next;
    m->matched = 0;
    if (!m->in_part) return DX_OK;
    m->in_part = false;
    return m->status = m->ops->end(m->ctx);
}

// What stands behind a delimiter on its line, byte by byte.
static dx_status feed_line(dx_multipart *m, dx_slice *rest) {
    char c = *rest->data;
    bool space = c == ' ' || c == '\t';
    if (m->state == BEHIND && c == '-') {
        m->state = DASHED;
    } else if (m->state == DASHED) {
        if (c != '-') return take_back(m, m->delimiter_size + 1);
        *rest = dx_slice_of(rest->data + 1, rest->size - 1);
        return end_part(m, EPILOGUE);
    } else if (m->state == BEHIND && !space && c != '\r') {
        return take_back(m, m->delimiter_size); // a longer word that begins with the boundary
    } else if (c == '\r' && m->state != LINE_END) {
        m->state = LINE_END;
    } else if (m->state == LINE_END && c == '\n') {
        m->head_size = 0;
        *rest = dx_slice_of(rest->data + 1, rest->size - 1);
        return end_part(m, HEAD);
    } else if (space && m->state != LINE_END) {
        m->state = PADDING;
    } else {
        return refuse(m, DX_MALFORMED, "something stands behind a boundary");
    }
    *rest = dx_slice_of(rest->data + 1, rest->size - 1);
    return DX_OK;
}

dx_status dx_multipart_feed(dx_multipart *m, dx_slice bytes) {
    while (bytes.size && m->status == DX_OK && m->state != EPILOGUE) {
        if (m->state == HEAD)
            m->status = feed_head(m, &bytes);
        else if (m->state == PREAMBLE || m->state == CONTENT)
            m->status = feed_content(m, &bytes);
        else
            m->status = feed_line(m, &bytes);
    }
    return m->status;
}

dx_status dx_multipart_end(dx_multipart *m) {
    if (m->status != DX_OK || m->state == EPILOGUE) return m->status;
    return refuse(m, DX_MALFORMED, m->parts || m->state == HEAD ? "the last boundary never came" : "there is no boundary");
}
