// What looks like a secret. Each pattern is looked for where a word begins; none looks twice at the same bytes more than a few times, so
// the time is linear in the text.
#include "codec/text.h"
#include "policy/redact_parts.h"

static bool is_alnum(char byte) {
    char lower = (char)(byte | 0x20);
    return (lower >= 'a' && lower <= 'z') || (byte >= '0' && byte <= '9');
}

static bool is_digit(char byte) {
    return byte >= '0' && byte <= '9';
}

static bool is_word_byte(char byte) { // base64url
    return is_alnum(byte) || byte == '_' || byte == '-';
}

static bool is_token_byte(char byte) { // RFC 9110's token68
    return is_word_byte(byte) || byte == '.' || byte == '~' || byte == '+' || byte == '/' || byte == '=';
}

static size_t run_end(dx_slice text, size_t at, bool (*is_part)(char)) {
    while (at < text.size && is_part(text.data[at])) at++;
    return at;
}

static bool starts_at(dx_slice text, size_t at, const char *what) {
    return dx_slice_starts(dx_slice_from(text, at), dx_slice_str(what));
}

// Keys of services that begin alike, each with how many bytes must follow.
static const struct {
    const char *prefix;
    size_t least;
} KEYS[] = {
    {"sk_live_", 10}, {"sk_test_", 10}, {"rk_live_", 10}, {"rk_test_", 10}, {"whsec_", 16}, {"sk-", 20},
    {"ghp_", 20},     {"gho_", 20},     {"ghu_", 20},     {"ghs_", 20},     {"ghr_", 20},   {"github_pat_", 20},
    {"glpat-", 16},   {"xoxb-", 10},    {"xoxp-", 10},    {"xoxa-", 10},    {"xoxr-", 10},  {"xoxs-", 10},
    {"xoxe-", 10},    {"xapp-", 10},    {"AIza", 30},     {"ya29.", 20},    {"npm_", 30},   {"pypi-", 30},
    {"dop_v1_", 30},  {"shpat_", 20},   {"shpss_", 20},   {"hf_", 30},      {"SG.", 30},    {"AGE-SECRET-KEY-", 20},
    {"eyJ", 0},
};

// header.claims.signature, or the five parts of an encrypted one; `at` stands at "eyJ".
static size_t jwt_end(dx_slice text, size_t at) {
    size_t end = run_end(text, at, is_word_byte), parts = 1;
    if (end - at < 10) return at;
    while (parts < 5 && end < text.size && text.data[end] == '.') {
        end = run_end(text, end + 1, is_word_byte);
        parts++;
    }
    return parts >= 3 ? end : at;
}

static bool is_key_byte(char byte) {
    return is_word_byte(byte) || byte == '.';
}

// Random text of that length has one; words with hyphens between them mostly have none.
static bool has_digit(dx_slice text, size_t at, size_t end) {
    while (at < end && !is_digit(text.data[at])) at++;
    return at < end;
}

static size_t key_end(dx_slice text, size_t at) {
    if (starts_at(text, at, "AKIA") || starts_at(text, at, "ASIA")) {
        size_t end = at;
        while (end < text.size && (is_digit(text.data[end]) || (text.data[end] >= 'A' && text.data[end] <= 'Z'))) end++;
        return end - at == 20 ? end : at;
    }
    for (size_t i = 0; i < DX_COUNT_OF(KEYS); i++) {
        if (!starts_at(text, at, KEYS[i].prefix)) continue;
        if (KEYS[i].least == 0) return jwt_end(text, at);
        size_t end = run_end(text, at, is_key_byte);
        return end - at >= strlen(KEYS[i].prefix) + KEYS[i].least && has_digit(text, at, end) ? end : at;
    }
    return at;
}

// "Basic" is also an English word: what follows must be base64 of something with a colon.
static bool is_basic(dx_slice token) {
    char decoded[1024];
    size_t size;
    if (token.size > 1024) return true;
    return dx_base64_decode(decoded, &size, token, false) && dx_slice_find(dx_slice_of(decoded, size), ':') != SIZE_MAX;
}

static bool is_bearer(dx_slice token) {
    if (token.size >= 20) return true;
    for (size_t i = 0; token.size >= 8 && i < token.size; i++)
        if (is_digit(token.data[i])) return true;
    return false;
}

// "Bearer x", "Basic x", "token x"
static bool find_scheme(dx_slice text, size_t at, dx_span *out) {
    static const dx_slice schemes[] = {DX_SLICE_INIT("bearer"), DX_SLICE_INIT("basic"), DX_SLICE_INIT("token")};
    for (size_t i = 0; i < DX_COUNT_OF(schemes); i++) {
        size_t size = schemes[i].size;
        if (text.size - at <= size + 1 || !dx_slice_equal_nocase(dx_slice_of(text.data + at, size), schemes[i])) continue;
        size_t from = at + size;
        while (from < text.size && text.data[from] == ' ') from++;
        if (from == at + size) return false;
        *out = (dx_span){from, run_end(text, from, is_token_byte)};
        dx_slice token = dx_slice_of(text.data + from, out->to - from);
        return i == 1 ? is_basic(token) : is_bearer(token);
    }
    return false;
}

// Behind "://": what stands before the last "@" of the authority.
static bool find_userinfo(dx_slice text, size_t from, dx_span *out) {
    *out = (dx_span){from, from};
    for (size_t i = from; i < text.size; i++) {
        char byte = text.data[i];
        if (byte == '/' || byte == '?' || byte == '#' || byte == '"' || byte == '<' || byte == '>' || (unsigned char)byte <= ' ') break;
        if (byte == '@') out->to = i;
    }
    return out->to > out->from;
}

static size_t find_text(dx_slice text, size_t from, const char *what) {
    dx_slice rest = dx_slice_from(text, from);
    const char *at = rest.size ? memmem(rest.data, rest.size, what, strlen(what)) : NULL;
    return at ? (size_t)(at - text.data) : SIZE_MAX;
}

// "-----BEGIN … PRIVATE KEY-----" to the end of its last line, or of the text when that is cut off.
static bool find_pem(dx_slice text, size_t at, dx_span *out) {
    size_t label = at + 11, close = find_text(dx_slice_of(text.data, label + 64 < text.size ? label + 64 : text.size), label, "-----");
    if (close == SIZE_MAX || find_text(dx_slice_of(text.data, close), label, "PRIVATE KEY") == SIZE_MAX) return false;
    size_t end = find_text(text, close, "-----END ");
    if (end != SIZE_MAX) end = find_text(text, end + 9, "-----");
    *out = (dx_span){at, end == SIZE_MAX ? text.size : end + 5};
    return true;
}

void dx_redact_find_patterns(dx_spans *spans, dx_slice text) {
    dx_spans_begin_pass(spans);
    for (size_t i = 0; i < text.size; i++) {
        dx_span span = {i, i};
        char byte = text.data[i];
        if (byte == ':' && starts_at(text, i, "://")) {
            if (find_userinfo(text, i + 3, &span)) dx_spans_add(spans, span.from, span.to);
        } else if (byte == '-' && starts_at(text, i, "-----BEGIN ")) {
            if (!find_pem(text, i, &span)) continue;
            dx_spans_add(spans, span.from, span.to);
            i = span.to - 1;
        } else if (is_alnum(byte) && (i == 0 || !is_word_byte(text.data[i - 1]))) {
            if (!find_scheme(text, i, &span)) span = (dx_span){i, key_end(text, i)};
            if (span.to <= span.from) continue;
            dx_spans_add(spans, span.from, span.to);
            i = span.to - 1;
        }
    }
}

// --- cards -------------------------------------------------------------------------------------------------------------------

#define CARD_MIN 13
#define CARD_MAX 19

static bool luhn(const char *digits, size_t count) {
    unsigned sum = 0;
    for (size_t i = 0; i < count; i++) {
        unsigned value = (unsigned)(digits[count - 1 - i] - '0');
        if (i % 2) value = value * 2 > 9 ? value * 2 - 9 : value * 2;
        sum += value;
    }
    return sum % 10 == 0 && digits[0] != '0';
}

// A number that starts at `at`, in groups with one space or hyphen between: where it ends, or `at`.
static size_t card_end(dx_slice text, size_t at) {
    char digits[CARD_MAX];
    size_t count = 0;
    for (size_t i = at; i < text.size; i++) {
        if (!is_digit(text.data[i])) {
            bool more = (text.data[i] == ' ' || text.data[i] == '-') && i + 1 < text.size && is_digit(text.data[i + 1]);
            if (!more) return at;
            continue;
        }
        if (count == CARD_MAX) return at;
        digits[count++] = text.data[i];
        bool group_ends = i + 1 == text.size || !is_digit(text.data[i + 1]);
        if (group_ends && count >= CARD_MIN && luhn(digits, count)) return i + 1;
    }
    return at;
}

void dx_redact_find_cards(dx_spans *spans, dx_slice text) {
    dx_spans_begin_pass(spans);
    for (size_t i = 0; i < text.size; i++) {
        if (!is_digit(text.data[i]) || (i > 0 && is_digit(text.data[i - 1]))) continue;
        size_t end = card_end(text, i);
        if (end == i) continue;
        dx_spans_add(spans, i, end);
        i = end - 1;
    }
}
