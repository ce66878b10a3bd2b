// Known values in a text, whatever way it is to be read: as it stands, percent-decoded, with JSON's escapes undone, and with every run of
// base64 decoded from each of its first four characters on (a secret in the midst of what was encoded starts at any of them). Each reading
// feeds the automaton with bytes and with where in the text these stand; nothing of a reading is kept but as many places as the longest
// value has bytes.
#include "base/memory.h"
#include "policy/redact_parts.h"

typedef struct reading {
    const dx_automaton *automaton;
    dx_spans *spans;
    size_t *starts; // of the last bytes, in a ring
    size_t mask;    // of the ring
    size_t count;   // bytes fed
    uint32_t state;
} reading;

static void begin(reading *r) {
    r->state = 0;
    r->count = 0;
    dx_spans_begin_pass(r->spans);
}

static inline void feed(reading *r, unsigned char byte, size_t from, size_t to) {
    r->starts[r->count++ & r->mask] = from;
    r->state = dx_automaton_step(r->automaton, r->state, byte);
    size_t longest = r->automaton->nodes[r->state].longest;
    if (DX_UNLIKELY(longest)) dx_spans_add(r->spans, r->starts[(r->count - longest) & r->mask], to);
}

static int digit(char byte) {
    if (byte >= '0' && byte <= '9') return byte - '0';
    char lower = (char)(byte | 0x20);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

static void read_as_it_stands(reading *r, dx_slice text) {
    begin(r);
    for (size_t i = 0; i < text.size; i++) feed(r, (unsigned char)text.data[i], i, i + 1);
}

static void read_percent(reading *r, dx_slice text, bool plus_is_space) {
    begin(r);
    for (size_t i = 0; i < text.size;) {
        size_t from = i;
        char byte = text.data[i++];
        if (byte == '%' && text.size - i >= 2 && digit(text.data[i]) >= 0 && digit(text.data[i + 1]) >= 0) {
            byte = (char)(digit(text.data[i]) << 4 | digit(text.data[i + 1]));
            i += 2;
        } else if (byte == '+' && plus_is_space) {
            byte = ' ';
        }
        feed(r, (unsigned char)byte, from, i);
    }
}

// --- JSON's escapes ----------------------------------------------------------------------------------------------------------

// Four digits at `at`, or -1.
static int32_t read_unit(dx_slice text, size_t at) {
    int32_t unit = 0;
    if (at > text.size || text.size - at < 4) return -1;
    for (size_t i = 0; i < 4; i++) {
        int value = digit(text.data[at + i]);
        if (value < 0) return -1;
        unit = unit << 4 | value;
    }
    return unit;
}

static void feed_character(reading *r, uint32_t code, size_t from, size_t to) {
    if (code < 0x80) {
        feed(r, (unsigned char)code, from, to);
        return;
    }
    int more = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
    static const unsigned char lead[] = {0, 0xc0, 0xe0, 0xf0};
    feed(r, (unsigned char)(lead[more] | code >> (6 * more)), from, to);
    while (more-- > 0) feed(r, (unsigned char)(0x80 | (code >> (6 * more) & 0x3f)), from, to);
}

// Behind "\u" at `from`; returns where it ends, or `from` when it is no escape.
static size_t feed_unicode(reading *r, dx_slice text, size_t from) {
    int32_t unit = read_unit(text, from + 2);
    if (unit < 0) return from;
    size_t to = from + 6;
    uint32_t code = (uint32_t)unit;
    if (code >= 0xd800 && code < 0xdc00 && text.size - to >= 6 && text.data[to] == '\\' && text.data[to + 1] == 'u') {
        int32_t low = read_unit(text, to + 2);
        if (low >= 0xdc00 && low < 0xe000) {
            code = 0x10000 + ((code - 0xd800) << 10) + ((uint32_t)low - 0xdc00);
            to += 6;
        }
    }
    feed_character(r, code, from, to);
    return to;
}

static char short_escape(char letter) {
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    const char *at = letter ? strchr(from, letter) : NULL;
    return at ? to[at - from] : '\0';
}

static void read_json(reading *r, dx_slice text) {
    begin(r);
    for (size_t i = 0; i < text.size;) {
        char byte = text.data[i];
        if (byte == '\\' && text.size - i >= 2) {
            size_t to = text.data[i + 1] == 'u' ? feed_unicode(r, text, i) : i;
            char plain = short_escape(text.data[i + 1]);
            if (to == i && plain) {
                feed(r, (unsigned char)plain, i, i + 2);
                to = i + 2;
            }
            if (to > i) {
                i = to;
                continue;
            }
        }
        feed(r, (unsigned char)byte, i, i + 1);
        i++;
    }
}

// --- base64 ------------------------------------------------------------------------------------------------------------------

static int base64_value(char byte) {
    if (byte >= 'A' && byte <= 'Z') return byte - 'A';
    if (byte >= 'a' && byte <= 'z') return byte - 'a' + 26;
    if (byte >= '0' && byte <= '9') return byte - '0' + 52;
    if (byte == '+' || byte == '-') return 62;
    return byte == '/' || byte == '_' ? 63 : -1;
}

static void read_run(reading *r, dx_slice text, size_t from, size_t to) {
    uint32_t bits = 0;
    unsigned have = 0;
    size_t bytes = 0;
    r->state = 0;
    for (size_t i = from; i < to; i++) {
        bits = bits << 6 | (uint32_t)base64_value(text.data[i]);
        have += 6;
        if (have < 8) continue;
        have -= 8;
        feed(r, (unsigned char)(bits >> have), from + bytes * 8 / 6, i + 1);
        bytes++;
    }
}

static void read_base64(reading *r, dx_slice text) {
    size_t least = (r->automaton->shortest * 8 + 5) / 6; // characters
    for (size_t skip = 0; skip < 4; skip++) {
        begin(r);
        for (size_t i = 0; i < text.size; i++) {
            size_t from = i;
            while (i < text.size && base64_value(text.data[i]) >= 0) i++;
            if (i - from >= least + skip) read_run(r, text, from + skip, i);
        }
    }
}

void dx_redact_find_values(const dx_automaton *automaton, dx_spans *spans, dx_slice text) {
    if (!automaton || automaton->longest == 0) return;
    size_t room = 16;
    while (room < automaton->longest) room *= 2;
    reading r = {.automaton = automaton, .spans = spans, .mask = room - 1};
    r.starts = dx_memory_zalloc(room, sizeof *r.starts);
    if (!r.starts) {
        spans->status = DX_NO_MEMORY;
        return;
    }
    read_as_it_stands(&r, text);
    bool percent = dx_slice_find(text, '%') != SIZE_MAX;
    if (percent) read_percent(&r, text, false);
    if (dx_slice_find(text, '+') != SIZE_MAX) read_percent(&r, text, true);
    if (dx_slice_find(text, '\\') != SIZE_MAX) read_json(&r, text);
    read_base64(&r, text);
    dx_memory_free(r.starts);
}
