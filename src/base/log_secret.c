// Which names are secrets' names. A name is taken apart into words (at punctuation, and where camelCase turns); it is secret when one of
// them, or two in a row, say so, unless its last word tells that the value is only about the secret ("token_type", "tokens_used").
// It errs on the side of hiding.
#include "base/log.h"

#define WORDS_CAP 16

static const dx_slice SECRET_WORDS[] = {
    DX_SLICE_INIT("password"),   DX_SLICE_INIT("passwords"),  DX_SLICE_INIT("passwd"),        DX_SLICE_INIT("passphrase"),
    DX_SLICE_INIT("pwd"),        DX_SLICE_INIT("secret"),     DX_SLICE_INIT("secrets"),       DX_SLICE_INIT("token"),
    DX_SLICE_INIT("tokens"),     DX_SLICE_INIT("apitoken"),   DX_SLICE_INIT("authorization"), DX_SLICE_INIT("cookie"),
    DX_SLICE_INIT("cookies"),    DX_SLICE_INIT("credential"), DX_SLICE_INIT("credentials"),   DX_SLICE_INIT("apikey"),
    DX_SLICE_INIT("privatekey"), DX_SLICE_INIT("secretkey"),  DX_SLICE_INIT("accesstoken"),   DX_SLICE_INIT("refreshtoken"),
    DX_SLICE_INIT("idtoken"),    DX_SLICE_INIT("accesskey"),  DX_SLICE_INIT("signingkey"),    DX_SLICE_INIT("jwt"),
    DX_SLICE_INIT("bearer"),
};
static const dx_slice HARMLESS_ENDS[] = {
    DX_SLICE_INIT("type"),  DX_SLICE_INIT("used"),    DX_SLICE_INIT("count"),   DX_SLICE_INIT("ttl"),       DX_SLICE_INIT("expiry"),
    DX_SLICE_INIT("in"),    DX_SLICE_INIT("expires"), DX_SLICE_INIT("at"),      DX_SLICE_INIT("length"),    DX_SLICE_INIT("size"),
    DX_SLICE_INIT("limit"), DX_SLICE_INIT("status"),  DX_SLICE_INIT("url"),     DX_SLICE_INIT("endpoint"),  DX_SLICE_INIT("algorithm"),
    DX_SLICE_INIT("name"),  DX_SLICE_INIT("left"),    DX_SLICE_INIT("changed"), DX_SLICE_INIT("remaining"),
};

static bool upper(char byte) {
    return byte >= 'A' && byte <= 'Z';
}

static bool word_byte(char byte) {
    return upper(byte) || (byte >= 'a' && byte <= 'z') || (byte >= '0' && byte <= '9');
}

// Cuts the next word off `*rest`: a run of letters and digits, ended also where a capital follows a small letter.
static dx_slice next_word(dx_slice *rest) {
    size_t start = 0;
    while (start < rest->size && !word_byte(rest->data[start])) start++;
    size_t end = start;
    while (end < rest->size && word_byte(rest->data[end])) {
        if (end > start && upper(rest->data[end]) && !upper(rest->data[end - 1])) break;
        end++;
    }
    dx_slice word = dx_slice_of(rest->data + start, end - start);
    *rest = dx_slice_from(*rest, end);
    return word;
}

static char lower(char byte) {
    return upper(byte) ? (char)(byte | 0x20) : byte;
}

// Every field of every line is asked about: length and first letter rule out nearly all.
static bool listed(dx_slice word, const dx_slice *list, size_t count) {
    char first = lower(word.data[0]);
    for (size_t i = 0; i < count; i++) {
        if (word.size == list[i].size && first == list[i].data[0] && dx_slice_equal_nocase(word, list[i])) return true;
    }
    return false;
}

static bool secret_word(dx_slice word) {
    // The letters that words of the list begin with, as bits from 'a' on; and no word of it is shorter than three.
    static const uint32_t FIRSTS = 1u << ('a' - 'a') | 1u << ('b' - 'a') | 1u << ('c' - 'a') | 1u << ('i' - 'a') | 1u << ('j' - 'a') |
                                   1u << ('p' - 'a') | 1u << ('r' - 'a') | 1u << ('s' - 'a') | 1u << ('t' - 'a');
    unsigned letter = (unsigned)(lower(word.data[0]) - 'a');
    return word.size > 2 && letter < 26 && (FIRSTS >> letter & 1) && listed(word, SECRET_WORDS, DX_COUNT_OF(SECRET_WORDS));
}

// "api key", "privateKey", "SECRET-KEY": a key that is named by what it opens.
static bool secret_pair(dx_slice first, dx_slice second) {
    static const dx_slice KINDS[] = {DX_SLICE_INIT("api"), DX_SLICE_INIT("private"), DX_SLICE_INIT("access"), DX_SLICE_INIT("signing"),
                                     DX_SLICE_INIT("encryption")};
    if (second.size < 3 || lower(second.data[0]) != 'k') return false;
    bool key = dx_slice_equal_nocase(second, DX_SLICE("key")) || dx_slice_equal_nocase(second, DX_SLICE("keys"));
    return key && first.size && listed(first, KINDS, DX_COUNT_OF(KINDS));
}

bool dx_log_is_secret(dx_slice name) {
    bool secret = false;
    dx_slice previous = {NULL, 0};
    for (size_t i = 0; i < WORDS_CAP && name.size; i++) {
        dx_slice word = next_word(&name);
        if (word.size == 0) break;
        if (secret_word(word) || secret_pair(previous, word)) secret = true;
        previous = word;
    }
    return secret && (name.size || previous.size == 0 || !listed(previous, HARMLESS_ENDS, DX_COUNT_OF(HARMLESS_ENDS)));
}
