// From ECMA-262 to PCRE2: one pass over the pattern that checks its syntax and writes the same meaning in PCRE2's words. What differs:
// `.` and `\s` (other line ends and blanks), `\cX`, `\uXXXX`, `\u{…}`, `[]` and `[^]`, names of Unicode properties, and that a letter
// behind a backslash has no meaning of its own unless the standard gives it one. Where engines commonly allow more than the `u` flag does
// (a lone brace or bracket, an escaped punctuation mark) it is allowed here too. It keeps no tree: groups nest by a counter.
#include "model/pattern.h"

#include "codec/text.h"

#define BLANKS "\\t-\\r \\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}\\x{202f}\\x{205f}\\x{3000}\\x{feff}"
#define NO_BLANKS                                                                                                                          \
    "\\x{0}-\\x{8}\\x{e}-\\x{1f}!-\\x{9f}\\x{a1}-\\x{167f}\\x{1681}-\\x{1fff}\\x{200b}-\\x{2027}\\x{202a}-\\x{202e}"                       \
    "\\x{2030}-\\x{205e}\\x{2060}-\\x{2fff}\\x{3001}-\\x{fefe}\\x{ff00}-\\x{10ffff}"

typedef struct translation {
    dx_buffer *out;
    const char *at, *end;
    const char *problem;
    unsigned depth;  // open groups
    bool repeatable; // a quantifier may follow
} translation;

static bool refuse(translation *t, const char *problem) {
    t->problem = problem;
    return false;
}

static bool more(const translation *t) {
    return t->at < t->end;
}

static bool next_is(const translation *t, const char *text) {
    size_t size = strlen(text);
    return (size_t)(t->end - t->at) >= size && memcmp(t->at, text, size) == 0;
}

static bool is_letter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

static int hex_digit(char c) {
    if (is_digit(c)) return c - '0';
    char lower = (char)(c | 0x20);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

// `count` hexadecimal digits.
static bool read_hex(translation *t, int count, uint32_t *out) {
    uint32_t value = 0;
    for (int i = 0; i < count; i++, t->at++) {
        int digit = more(t) ? hex_digit(*t->at) : -1;
        if (digit < 0) return refuse(t, "an escape lacks hexadecimal digits");
        value = value << 4 | (uint32_t)digit;
    }
    *out = value;
    return true;
}

static bool read_braced(translation *t, uint32_t *out) {
    uint32_t value = 0;
    const char *start = ++t->at;
    for (; more(t) && hex_digit(*t->at) >= 0; t->at++) {
        value = value << 4 | (uint32_t)hex_digit(*t->at);
        if (value > 0x10ffff) return refuse(t, "a code point lies beyond U+10FFFF");
    }
    if (t->at == start || !more(t) || *t->at != '}') return refuse(t, "\\u{…} is not closed");
    t->at++;
    *out = value;
    return true;
}

// Behind "\u". Two escapes that make a surrogate pair are one code point.
static bool read_unicode(translation *t, uint32_t *out) {
    if (next_is(t, "{")) return read_braced(t, out);
    if (!read_hex(t, 4, out)) return false;
    if (*out < 0xd800 || *out > 0xdbff || !next_is(t, "\\u")) return true;
    const char *back = t->at;
    t->at += 2;
    uint32_t low = 0;
    if (next_is(t, "{") || !read_hex(t, 4, &low) || low < 0xdc00 || low > 0xdfff) {
        t->problem = NULL;
        t->at = back;
        return true;
    }
    *out = 0x10000 + ((*out - 0xd800) << 10) + (low - 0xdc00);
    return true;
}

typedef struct alias {
    const char *name, *value;
} alias;

// The long names of general categories (ECMA-262, table "Value aliases for General_Category"); PCRE2 knows the short ones.
static const alias categories[] = {{"Cased_Letter", "L&"},
                                   {"Close_Punctuation", "Pe"},
                                   {"Connector_Punctuation", "Pc"},
                                   {"Control", "Cc"},
                                   {"cntrl", "Cc"},
                                   {"Currency_Symbol", "Sc"},
                                   {"Dash_Punctuation", "Pd"},
                                   {"Decimal_Number", "Nd"},
                                   {"digit", "Nd"},
                                   {"Enclosing_Mark", "Me"},
                                   {"Final_Punctuation", "Pf"},
                                   {"Format", "Cf"},
                                   {"Initial_Punctuation", "Pi"},
                                   {"LC", "L&"},
                                   {"Letter", "L"},
                                   {"Letter_Number", "Nl"},
                                   {"Line_Separator", "Zl"},
                                   {"Lowercase_Letter", "Ll"},
                                   {"Mark", "M"},
                                   {"Combining_Mark", "M"},
                                   {"Math_Symbol", "Sm"},
                                   {"Modifier_Letter", "Lm"},
                                   {"Modifier_Symbol", "Sk"},
                                   {"Nonspacing_Mark", "Mn"},
                                   {"Number", "N"},
                                   {"Open_Punctuation", "Ps"},
                                   {"Other", "C"},
                                   {"Other_Letter", "Lo"},
                                   {"Other_Number", "No"},
                                   {"Other_Punctuation", "Po"},
                                   {"Other_Symbol", "So"},
                                   {"Paragraph_Separator", "Zp"},
                                   {"Private_Use", "Co"},
                                   {"Punctuation", "P"},
                                   {"punct", "P"},
                                   {"Separator", "Z"},
                                   {"Space_Separator", "Zs"},
                                   {"Spacing_Mark", "Mc"},
                                   {"Surrogate", "Cs"},
                                   {"Symbol", "S"},
                                   {"Titlecase_Letter", "Lt"},
                                   {"Unassigned", "Cn"},
                                   {"Uppercase_Letter", "Lu"},
                                   {"Assigned", "^Cn"}};

static dx_slice category_of(dx_slice name) {
    for (size_t i = 0; i < DX_COUNT_OF(categories); i++)
        if (dx_slice_equal(name, dx_slice_str(categories[i].name))) return dx_slice_str(categories[i].value);
    return name;
}

// Behind "\p" or "\P".
static bool property(translation *t, char letter) {
    if (!next_is(t, "{")) return refuse(t, "\\p needs a name in braces");
    const char *start = ++t->at;
    while (more(t) && (is_letter(*t->at) || is_digit(*t->at) || *t->at == '_' || *t->at == '=')) t->at++;
    dx_slice name = dx_slice_of(start, (size_t)(t->at - start));
    if (!name.size || !more(t) || *t->at != '}') return refuse(t, "\\p{…} is not closed");
    t->at++;
    dx_slice value = name, key = dx_slice_cut(&value, '=');
    const char *prefix = "";
    if (!value.data) {
        value = category_of(name);
    } else if (dx_slice_equal(key, DX_SLICE("Script")) || dx_slice_equal(key, DX_SLICE("sc"))) {
        prefix = "sc:";
    } else if (dx_slice_equal(key, DX_SLICE("Script_Extensions")) || dx_slice_equal(key, DX_SLICE("scx"))) {
        prefix = "scx:";
    } else if (dx_slice_equal(key, DX_SLICE("General_Category")) || dx_slice_equal(key, DX_SLICE("gc"))) {
        value = category_of(value);
    } else {
        return refuse(t, "\\p{…} names an unknown property");
    }
    dx_buffer_printf(t->out, "\\%c{%s%.*s}", letter, prefix, DX_SLICE_ARG(value));
    return true;
}

static void write_code_point(translation *t, uint32_t code) {
    dx_buffer_printf(t->out, "\\x{%x}", code);
}

// A character escape that means one code point; false without a problem when `c` starts none. `t->at` stands behind `c`.
static bool escape_code_point(translation *t, char c, uint32_t *code) {
    switch (c) {
    case 't':
        *code = '\t';
        return true;
    case 'n':
        *code = '\n';
        return true;
    case 'v':
        *code = '\v';
        return true;
    case 'f':
        *code = '\f';
        return true;
    case 'r':
        *code = '\r';
        return true;
    case 'c':
        if (!more(t) || !is_letter(*t->at)) return refuse(t, "\\c needs a letter");
        *code = (uint32_t)*t->at++ & 31;
        return true;
    case '0':
        if (more(t) && is_digit(*t->at)) return refuse(t, "octal escapes are not allowed");
        *code = 0;
        return true;
    case 'x':
        return read_hex(t, 2, code);
    case 'u':
        return read_unicode(t, code);
    default:
        if (is_letter(c) || is_digit(c) || c == '_' || (uint8_t)c >= 0x80) return false;
        *code = (uint8_t)c; // punctuation stands for itself
        return true;
    }
}

// A class escape (\d \w \s \p and their opposites), inside brackets or not.
static bool escape_class(translation *t, char c, bool inside, bool *found) {
    *found = true;
    switch (c) {
    case 'd':
    case 'D':
    case 'w':
    case 'W':
        dx_buffer_printf(t->out, "\\%c", c); // ASCII, as PCRE2_UCP is off
        return true;
    case 's':
        dx_buffer_add(t->out, inside ? DX_SLICE(BLANKS) : DX_SLICE("[" BLANKS "]"));
        return true;
    case 'S':
        dx_buffer_add(t->out, inside ? DX_SLICE(NO_BLANKS) : DX_SLICE("[^" BLANKS "]"));
        return true;
    case 'p':
    case 'P':
        return property(t, c);
    default:
        *found = false;
        return true;
    }
}

static bool back_reference(translation *t, char first) {
    if (first != 'k') {
        uint32_t number = (uint32_t)(first - '0');
        for (; more(t) && is_digit(*t->at) && number < 10000; t->at++) number = number * 10 + (uint32_t)(*t->at - '0');
        dx_buffer_printf(t->out, "\\g{%u}", number);
        return true;
    }
    const char *close = next_is(t, "<") ? memchr(t->at, '>', (size_t)(t->end - t->at)) : NULL;
    if (!close) return refuse(t, "\\k needs a group's name");
    DX_BUFFER_LIT(t->out, "\\k");
    dx_buffer_append(t->out, t->at, (size_t)(close + 1 - t->at));
    t->at = close + 1;
    return true;
}

// Behind a backslash outside brackets.
static bool escape(translation *t) {
    if (!more(t)) return refuse(t, "it ends in a backslash");
    char c = *t->at++;
    t->repeatable = c != 'b' && c != 'B';
    if (!t->repeatable) {
        dx_buffer_printf(t->out, "\\%c", c);
        return true;
    }
    if (c == 'k' || (c >= '1' && c <= '9')) return back_reference(t, c);
    bool found;
    if (!escape_class(t, c, false, &found)) return false;
    if (found) return true;
    uint32_t code = 0;
    if (!escape_code_point(t, c, &code)) return t->problem ? false : refuse(t, "it has an escape that means nothing");
    if (code >= 0xd800 && code <= 0xdfff)
        DX_BUFFER_LIT(t->out, "(?!)"); // half a pair: no text has it
    else
        write_code_point(t, code);
    return true;
}

// One member of a class. `*single` is its code point, or UINT32_MAX when it is a set of them, which is then written already.
static bool class_atom(translation *t, uint32_t *single) {
    *single = UINT32_MAX;
    char c = *t->at++;
    if (c == '\\') {
        if (!more(t)) return refuse(t, "it ends in a backslash");
        c = *t->at++;
        bool found;
        if (c == 'b') {
            *single = '\b';
            return true;
        }
        if (!escape_class(t, c, true, &found)) return false;
        if (found) return true;
        return escape_code_point(t, c, single) || t->problem ? !t->problem : refuse(t, "it has an escape that means nothing");
    }
    if ((uint8_t)c < 0x80) {
        *single = (uint8_t)c;
        return true;
    }
    int extra = (uint8_t)c >= 0xf0 ? 3 : (uint8_t)c >= 0xe0 ? 2 : 1;
    uint32_t code = (uint8_t)c & (0x3fu >> extra);
    for (; extra && more(t); extra--) code = code << 6 | ((uint8_t)*t->at++ & 0x3f);
    *single = code;
    return true;
}

static bool class_range(translation *t, uint32_t low) {
    uint32_t high;
    t->at++; // the hyphen
    size_t before = t->out->size;
    if (!class_atom(t, &high)) return false;
    if (low == UINT32_MAX || high == UINT32_MAX) { // a hyphen beside a set is itself
        (void)before;
        if (low != UINT32_MAX) write_code_point(t, low);
        DX_BUFFER_LIT(t->out, "\\-");
        if (high != UINT32_MAX) write_code_point(t, high);
        return true;
    }
    if (low > high) return refuse(t, "a range in brackets is out of order");
    if (low >= 0xd800 && low <= 0xdfff) low = 0xe000; // PCRE2 takes no half pairs; no text has them
    if (high >= 0xd800 && high <= 0xdfff) high = 0xd7ff;
    if (low > high) return true;
    write_code_point(t, low);
    DX_BUFFER_LIT(t->out, "-");
    write_code_point(t, high);
    return true;
}

// Behind "[".
static bool class(translation *t) {
    t->repeatable = true;
    bool negated = next_is(t, "^");
    if (negated) t->at++;
    dx_buffer_add(t->out, negated ? DX_SLICE("[^") : DX_SLICE("["));
    size_t start = t->out->size;
    while (more(t) && *t->at != ']') {
        uint32_t single;
        if (!class_atom(t, &single)) return false;
        bool range = t->end - t->at >= 2 && *t->at == '-' && t->at[1] != ']';
        if (range) {
            if (!class_range(t, single)) return false;
        } else if (single != UINT32_MAX && (single < 0xd800 || single > 0xdfff)) {
            write_code_point(t, single);
        }
    }
    if (!more(t)) return refuse(t, "a bracket is not closed");
    t->at++;
    if (t->out->status == DX_OK && t->out->size == start) { // empty: nothing, or anything
        t->out->size = start - (negated ? 2 : 1);
        dx_buffer_add(t->out, negated ? DX_SLICE("[\\x{0}-\\x{10ffff}]") : DX_SLICE("(?!)"));
        return true;
    }
    DX_BUFFER_LIT(t->out, "]");
    return true;
}

// Behind "(".
static bool group(translation *t) {
    static const char *const openings[] = {"?:", "?=", "?!", "?<=", "?<!"};
    t->depth++;
    t->repeatable = false;
    DX_BUFFER_LIT(t->out, "(");
    if (!next_is(t, "?")) return true;
    for (size_t i = 0; i < DX_COUNT_OF(openings); i++) {
        if (!next_is(t, openings[i])) continue;
        t->at += strlen(openings[i]);
        dx_buffer_add(t->out, dx_slice_str(openings[i]));
        return true;
    }
    const char *close = next_is(t, "?<") ? memchr(t->at, '>', (size_t)(t->end - t->at)) : NULL;
    if (!close || close == t->at + 2) return refuse(t, "a group opens with something that ECMA-262 does not have");
    for (const char *c = t->at + 2; c < close; c++)
        if (!is_letter(*c) && *c != '_' && *c != '$' && !((uint8_t)*c & 0x80) && (c == t->at + 2 || !is_digit(*c)))
            return refuse(t, "a group's name is not an identifier");
    dx_buffer_append(t->out, t->at, (size_t)(close + 1 - t->at));
    t->at = close + 1;
    return true;
}

// At "{": the quantifier's length, or 0 when the brace stands for itself.
static size_t braces(const translation *t) {
    const char *at = t->at + 1, *digits = at;
    while (at < t->end && is_digit(*at)) at++;
    if (at == digits) return 0;
    if (at < t->end && *at == ',')
        for (at++; at < t->end && is_digit(*at);) at++;
    return at < t->end && *at == '}' ? (size_t)(at + 1 - t->at) : 0;
}

static bool quantifier(translation *t, size_t size) {
    if (!t->repeatable) return refuse(t, "there is nothing to repeat");
    dx_buffer_append(t->out, t->at, size);
    t->at += size;
    if (next_is(t, "?")) {
        t->at++;
        DX_BUFFER_LIT(t->out, "?");
    }
    t->repeatable = false;
    return true;
}

static bool term(translation *t) {
    char c = *t->at;
    switch (c) {
    case '*':
    case '+':
    case '?':
        return quantifier(t, 1);
    case '{':
        if (braces(t)) return quantifier(t, braces(t));
        break;
    default:
        break;
    }
    t->at++;
    t->repeatable = c != '^' && c != '|';
    switch (c) {
    case '\\':
        return escape(t);
    case '[':
        return class(t);
    case '(':
        return group(t);
    case ')':
        if (!t->depth) return refuse(t, "a closing parenthesis has no partner");
        t->depth--;
        break;
    case '.':
        DX_BUFFER_LIT(t->out, "[^\\n\\r\\x{2028}\\x{2029}]");
        return true;
    case '{':
    case '}':
    case ']':
        dx_buffer_byte(t->out, '\\');
        break;
    case '$':
        t->repeatable = false;
        break;
    case 0:
        write_code_point(t, 0);
        return true;
    default:
        break;
    }
    dx_buffer_byte(t->out, c);
    if ((uint8_t)c >= 0xc0) // the whole of the character, so that a quantifier repeats all of it
        for (; more(t) && ((uint8_t)*t->at & 0xc0) == 0x80; t->at++) dx_buffer_byte(t->out, *t->at);
    return true;
}

dx_status dx_pattern_translate(dx_buffer *out, dx_slice text, const char **problem) {
    translation t = {.out = out, .at = text.data, .end = text.data ? text.data + text.size : NULL};
    if (!dx_utf8_valid(text)) t.problem = "it is not UTF-8";
    while (!t.problem && more(&t) && term(&t)) {
    }
    if (!t.problem && t.depth) t.problem = "a group is not closed";
    *problem = t.problem;
    if (t.problem) return DX_INVALID;
    return dx_buffer_status(out) == DX_TOO_LARGE ? (*problem = "it is too long", DX_INVALID) : dx_buffer_status(out);
}
