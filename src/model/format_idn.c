// An A-label is right when its Punycode (RFC 3492) decodes to a label that IDNA allows; a label has one encoding only. Which characters
// are allowed follows from their general category (RFC 5892 section 2) with the exceptions and contextual rules of its appendix A, put as
// one regular expression over PCRE2's Unicode tables that finds what is wrong. It does not do the Bidi rule (RFC 5893).
#include "model/format_idn.h"

#include "model/pattern.h"

enum { BASE = 36, TMIN = 1, TMAX = 26, SKEW = 38, DAMP = 700, INITIAL_BIAS = 72, INITIAL_N = 128, LABEL_CAP = 63 };

#define VIRAMA                                                                                                                             \
    "\\x{94d}\\x{9cd}\\x{a4d}\\x{acd}\\x{b4d}\\x{bcd}\\x{c4d}\\x{ccd}\\x{d4d}\\x{dca}\\x{e3a}\\x{eba}\\x{f84}\\x{1039}\\x{103a}"           \
    "\\x{1714}\\x{1734}\\x{17d2}\\x{1a60}\\x{1b44}\\x{1baa}\\x{1bab}\\x{1bf2}\\x{1bf3}\\x{2d7f}\\x{a806}\\x{a8c4}\\x{a953}\\x{a9c0}"       \
    "\\x{aaf6}\\x{abed}\\x{11046}\\x{1107f}\\x{110b9}\\x{11133}\\x{11134}\\x{111c0}"
// Arabic letters that join on both sides, and those that join to the right only (Joining_Type D and R).
#define DUAL                                                                                                                               \
    "\\x{620}\\x{626}\\x{628}\\x{62a}-\\x{62e}\\x{633}-\\x{63f}\\x{641}-\\x{647}\\x{649}\\x{64a}\\x{66e}\\x{66f}\\x{678}-\\x{687}"         \
    "\\x{69a}-\\x{6bf}\\x{6c1}\\x{6c2}\\x{6cc}\\x{6ce}\\x{6d0}\\x{6d1}\\x{6fa}-\\x{6fc}\\x{6ff}"
#define RIGHT                                                                                                                              \
    "\\x{622}-\\x{625}\\x{627}\\x{629}\\x{62f}-\\x{632}\\x{648}\\x{671}-\\x{673}\\x{675}-\\x{677}\\x{688}-\\x{699}\\x{6c0}"                \
    "\\x{6c3}-\\x{6cb}\\x{6cd}\\x{6cf}\\x{6d2}\\x{6d3}\\x{6d5}\\x{6ee}\\x{6ef}"

static const char wrong_label[] =
    "^\\p{M}|^-|-$|^..--"
    // not a letter, digit or mark, and no exception; or compatibility forms and exceptions that are disallowed
    "|[^\\p{Ll}\\p{Lo}\\p{Lm}\\p{Mn}\\p{Mc}\\p{Nd}\\-\\x{b7}\\x{375}\\x{5f3}\\x{5f4}\\x{30fb}\\x{200c}\\x{200d}\\x{df}\\x{3c2}\\x{6fd}"
    "\\x{6fe}\\x{f0b}\\x{3007}]"
    "|[\\x{640}\\x{7fa}\\x{302e}\\x{302f}\\x{3031}-\\x{3035}\\x{303b}\\x{aa}\\x{ba}\\x{fb00}-\\x{fdff}\\x{fe70}-\\x{feff}"
    "\\x{ff00}-\\x{ffef}\\x{1d400}-\\x{1d7ff}]"
    "|(?<!l)\\x{b7}|\\x{b7}(?!l)"
    "|\\x{375}(?!\\p{sc:Greek})"
    "|(?<!\\p{sc:Hebrew})[\\x{5f3}\\x{5f4}]"
    "|^(?!.*[\\p{sc:Hiragana}\\p{sc:Katakana}\\p{sc:Han}]).*\\x{30fb}"
    "|[\\x{660}-\\x{669}].*[\\x{6f0}-\\x{6f9}]|[\\x{6f0}-\\x{6f9}].*[\\x{660}-\\x{669}]"
    "|(?<![" VIRAMA "])\\x{200d}"
    "|(?<![" VIRAMA "])(?!(?<=[" DUAL "])\\x{200c}\\p{Mn}*[" DUAL RIGHT "])(?!(?<=[" DUAL "]\\p{Mn})\\x{200c}\\p{Mn}*[" DUAL RIGHT
    "])\\x{200c}";

static _Atomic(dx_pattern *) wrong_label_pattern;

static int digit_of(char c) {
    if (c >= '0' && c <= '9') return c - '0' + 26;
    char lower = (char)(c | 0x20);
    return lower >= 'a' && lower <= 'z' ? lower - 'a' : -1;
}

static uint32_t adapt(uint32_t delta, uint32_t points, bool first) {
    uint32_t k = 0;
    delta = first ? delta / DAMP : delta / 2;
    delta += delta / points;
    for (; delta > ((BASE - TMIN) * TMAX) / 2; k += BASE) delta /= BASE - TMIN;
    return k + (BASE - TMIN + 1) * delta / (delta + SKEW);
}

static uint32_t threshold(uint32_t k, uint32_t bias) {
    return k <= bias ? TMIN : k >= bias + TMAX ? TMAX : k - bias;
}

// One generalized variable-length integer (RFC 3492 section 6.2), added to `*i`.
static bool read_delta(const char **at, const char *end, uint32_t bias, uint32_t *i) {
    uint64_t weight = 1, value = *i;
    for (uint32_t k = BASE;; k += BASE) {
        int digit = *at < end ? digit_of(*(*at)++) : -1;
        if (digit < 0) return false;
        value += (uint64_t)digit * weight;
        if (value > UINT32_MAX / 2) return false;
        uint32_t t = threshold(k, bias);
        if ((uint32_t)digit < t) break;
        weight *= BASE - t;
        if (weight > UINT32_MAX) return false;
    }
    *i = (uint32_t)value;
    return true;
}

// The code points, ASCII in lower case; 0 when it is not Punycode of a label with a character beyond ASCII.
static uint32_t decode(dx_slice text, uint32_t points[LABEL_CAP]) {
    size_t basic = text.size;
    while (basic && text.data[basic - 1] != '-') basic--;
    const char *at = text.data + basic, *end = text.data + text.size;
    uint32_t count = 0, n = INITIAL_N, i = 0, bias = INITIAL_BIAS;
    for (size_t b = 0; b + 1 < basic; b++) {
        char c = text.data[b];
        points[count++] = (uint32_t)(c >= 'A' && c <= 'Z' ? c | 0x20 : c);
    }
    if (at == end || basic == 1) return 0;
    while (at < end) {
        uint32_t before = i;
        if (count >= LABEL_CAP || !read_delta(&at, end, bias, &i)) return 0;
        bias = adapt(i - before, count + 1, before == 0);
        n += i / (count + 1);
        i %= count + 1;
        if (n > 0x10ffff || (n >= 0xd800 && n <= 0xdfff)) return 0;
        memmove(points + i + 1, points + i, (count - i) * sizeof *points);
        points[i++] = n;
        count++;
    }
    return count;
}

static size_t utf8_write(char *out, uint32_t code) {
    if (code < 0x80) return out[0] = (char)code, 1;
    if (code < 0x800) return out[0] = (char)(0xc0 | code >> 6), out[1] = (char)(0x80 | (code & 63)), 2;
    if (code < 0x10000) {
        out[0] = (char)(0xe0 | code >> 12), out[1] = (char)(0x80 | (code >> 6 & 63)), out[2] = (char)(0x80 | (code & 63));
        return 3;
    }
    out[0] = (char)(0xf0 | code >> 18), out[1] = (char)(0x80 | (code >> 12 & 63));
    out[2] = (char)(0x80 | (code >> 6 & 63)), out[3] = (char)(0x80 | (code & 63));
    return 4;
}

bool dx_idn_prepare(void) {
    return dx_pattern_fixed(&wrong_label_pattern, wrong_label) != NULL;
}

bool dx_idn_label_valid(dx_slice punycode) {
    uint32_t points[LABEL_CAP];
    char text[LABEL_CAP * 4];
    size_t size = 0;
    if (punycode.size > LABEL_CAP - 4) return false;
    uint32_t count = decode(punycode, points);
    if (!count) return false;
    for (uint32_t i = 0; i < count; i++) size += utf8_write(text + size, points[i]);
    const dx_pattern *wrong = dx_pattern_fixed(&wrong_label_pattern, wrong_label);
    return wrong && dx_pattern_match(wrong, dx_slice_of(text, size)) == DX_MATCH_NO;
}
