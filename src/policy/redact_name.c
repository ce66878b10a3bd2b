// Names of secrets, and values that stand under them in text: parameters, and whatever looks like `name=value` or `"name": "value"`.
#include "policy/redact_parts.h"

bool dx_redact_fold(char out[DX_REDACT_NAME_CAP], size_t *size, dx_slice name) {
    *size = 0;
    for (size_t i = 0; i < name.size; i++) {
        char byte = name.data[i];
        if (byte == '-' || byte == '_' || byte == '.' || byte == ' ') continue;
        if (*size == DX_REDACT_NAME_CAP) return false;
        out[(*size)++] = byte >= 'A' && byte <= 'Z' ? (char)(byte | 0x20) : byte;
    }
    return true;
}

// Folded. Whole names:
static const char *const WHOLE[] = {
    "authorization",
    "proxyauthorization",
    "cookie",
    "setcookie",
    "pwd",
    "pass",
    "passcode",
    "clientassertion",
    "assertion",
    "sig",
    "xamzcredential",
    "codeverifier",
    "devicecode",
    "credential",
    "otp",
    "totp",
    "jwt",
    "samlresponse",
    "cvv",
    "cvc",
    "cardnumber",
    "subscriptionkey",
    "ocpapimsubscriptionkey",
    "functionskey",
    "xfunctionskey",
    "phpsessid",
    "sid",
    "bearer",
    "connectionstring",
};
// … and ends of names:
static const char *const ENDS[] = {
    "token",   "secret",      "password",  "passwd",    "passphrase", "apikey",        "privatekey", "secretkey",
    "authkey", "credentials", "accesskey", "sessionid", "signature",  "encryptionkey", "signingkey", "authorization",
};
// … but not these, which only say where a list goes on:
static const char *const OPEN[] = {
    "nexttoken",         "pagetoken",       "nextpagetoken", "prevpagetoken", "previouspagetoken",
    "continuationtoken", "paginationtoken", "synctoken",     "nextsynctoken",
};

static bool is_one_of(dx_slice folded, const char *const *names, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (dx_slice_equal(folded, dx_slice_str(names[i]))) return true;
    return false;
}

bool dx_redact_is_built_in(dx_slice folded) {
    if (is_one_of(folded, WHOLE, DX_COUNT_OF(WHOLE))) return true;
    for (size_t i = 0; i < DX_COUNT_OF(ENDS); i++) {
        dx_slice end = dx_slice_str(ENDS[i]);
        if (folded.size < end.size || !dx_slice_equal(dx_slice_of(folded.data + folded.size - end.size, end.size), end)) continue;
        return !is_one_of(folded, OPEN, DX_COUNT_OF(OPEN));
    }
    return false;
}

// --- parameters --------------------------------------------------------------------------------------------------------------

static int digit(char byte) {
    if (byte >= '0' && byte <= '9') return byte - '0';
    char lower = (char)(byte | 0x20);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

// A name as it was meant, as far as it fits: an escape must not hide it.
static size_t decode_name(char out[DX_REDACT_NAME_CAP], dx_slice name) {
    size_t size = 0;
    for (size_t i = 0; i < name.size && size < DX_REDACT_NAME_CAP; i++) {
        char byte = name.data[i];
        if (byte == '%' && name.size - i > 2) {
            int high = digit(name.data[i + 1]), low = digit(name.data[i + 2]);
            if (high >= 0 && low >= 0) {
                byte = (char)(high * 16 + low);
                i += 2;
            }
        }
        out[size++] = byte == '+' || byte == '[' || byte == ']' ? ' ' : byte;
    }
    return size;
}

// Names that are secrets' in parameters alone: "code" stands for many things elsewhere.
static bool is_parameter(dx_slice name) {
    return dx_slice_equal_nocase(name, DX_SLICE("code")) || dx_slice_equal_nocase(name, DX_SLICE("key"));
}

void dx_redact_find_parameters(dx_redactor *redactor, dx_spans *spans, dx_slice text, size_t from, size_t to) {
    char decoded[DX_REDACT_NAME_CAP];
    dx_spans_begin_pass(spans);
    for (size_t at = from; at < to;) {
        size_t end = dx_slice_find(dx_slice_of(text.data + at, to - at), '&');
        end = end == SIZE_MAX ? to : at + end;
        size_t equals = dx_slice_find(dx_slice_of(text.data + at, end - at), '=');
        if (equals != SIZE_MAX) {
            dx_slice name = dx_slice_of(decoded, decode_name(decoded, dx_slice_of(text.data + at, equals)));
            if (is_parameter(name) || dx_redactor_is_secret_name(redactor, name)) dx_spans_add(spans, at + equals + 1, end);
        }
        at = end + 1;
    }
}

// --- names in text -----------------------------------------------------------------------------------------------------------

static bool is_name_byte(char byte) {
    char lower = (char)(byte | 0x20);
    return (lower >= 'a' && lower <= 'z') || (byte >= '0' && byte <= '9') || byte == '_' || byte == '-' || byte == '.';
}

static size_t skip_blanks(dx_slice text, size_t at) {
    while (at < text.size && (text.data[at] == ' ' || text.data[at] == '\t')) at++;
    return at;
}

// Past a quote, which may itself be escaped; its own size is told.
static size_t skip_quote(dx_slice text, size_t at, char *quote, size_t *escapes) {
    *quote = '\0';
    *escapes = 0;
    size_t from = at;
    while (at < text.size && text.data[at] == '\\') at++;
    if (at >= text.size || (text.data[at] != '"' && text.data[at] != '\'')) return from;
    *quote = text.data[at];
    *escapes = at - from;
    return at + 1;
}

// To the closing quote: one with as many backslashes before it as the opening one had, or fewer.
static size_t quoted_end(dx_slice text, size_t at, char quote, size_t escapes) {
    size_t slashes = 0;
    for (; at < text.size; at++) {
        if (text.data[at] == quote && slashes <= escapes) return at - slashes;
        slashes = text.data[at] == '\\' ? slashes + 1 : 0;
    }
    return at;
}

static bool ends_value(char byte) {
    return byte == '&' || byte == ';' || byte == ',' || byte == ')' || byte == '}' || byte == ']' || byte == '"' || byte == '\'' ||
           byte == '<' || byte == '>';
}

static size_t bare_end(dx_slice text, size_t at, bool whole_line) {
    for (; at < text.size; at++) {
        char byte = text.data[at];
        if (byte == '\n' || byte == '\r' || byte == '\0') break;
        if (!whole_line && (byte == ' ' || byte == '\t' || ends_value(byte))) break;
    }
    return at;
}

// These have more than a word: "Cookie: a=b; c=d".
static bool takes_a_line(dx_slice name) {
    return dx_slice_equal_nocase(name, DX_SLICE("authorization")) || dx_slice_equal_nocase(name, DX_SLICE("proxy-authorization")) ||
           dx_slice_equal_nocase(name, DX_SLICE("cookie")) || dx_slice_equal_nocase(name, DX_SLICE("set-cookie"));
}

// Where a value begins behind the name that ends at `at`; false when none does.
typedef struct value_start {
    size_t at;
    char quote; // 0: bare
    size_t escapes;
    bool colon;
} value_start;

static bool find_start(dx_slice text, size_t at, value_start *out) {
    at = skip_blanks(text, skip_quote(text, at, &out->quote, &out->escapes));
    if (at >= text.size || (text.data[at] != '=' && text.data[at] != ':')) return false;
    out->colon = text.data[at] == ':';
    if (out->colon && text.size - at > 2 && text.data[at + 1] == '/' && text.data[at + 2] == '/') return false;
    out->at = skip_quote(text, skip_blanks(text, at + 1), &out->quote, &out->escapes);
    // What is redacted already stays as it is.
    return out->at < text.size && !dx_slice_starts(dx_slice_from(text, out->at), DX_SLICE(DX_REDACTED));
}

void dx_redact_find_named(dx_redactor *redactor, dx_spans *spans, dx_slice text) {
    dx_spans_begin_pass(spans);
    for (size_t i = 0; i < text.size; i++) {
        size_t from = i;
        while (i < text.size && is_name_byte(text.data[i])) i++;
        dx_slice name = dx_slice_of(text.data + from, i - from);
        value_start start;
        if (name.size < 2 || !find_start(text, i, &start) || !dx_redactor_is_secret_name(redactor, name)) continue;
        size_t to = start.quote ? quoted_end(text, start.at, start.quote, start.escapes)
                                : bare_end(text, start.at, start.colon && takes_a_line(name));
        if (to <= start.at) continue;
        dx_spans_add(spans, start.at, to);
        i = to - 1;
    }
}
