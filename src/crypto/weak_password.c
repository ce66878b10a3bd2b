// Passwords that everybody tries first. A list of words cannot hold every "Password2024!", so the list holds what people start from and the
// matching undoes what people do to it: other case, digits and signs before or behind, letters written as signs (p@ssw0rd), the word
// written twice, spaces between. Besides, a password that is nothing but runs along the keyboard, the alphabet or the digits, or one short
// piece repeated, needs no list. Several different words stay allowed, however plain each is: that is what a passphrase is.
#include <stdint.h>

#include "crypto/digest.h"
#include "crypto/password.h"

#include "crypto/common_passwords.inc"

enum {
    WORD_MIN = 4,    // letters that must be left for a stripped password to count as a word
    STRIP_EXTRA = 4, // more may be stripped than stays, by this much: "love12345678"
    RUN_MIN = 3,     // "abc", "321", "zzz"
    UNIT_MAX = 4,    // a piece this short repeated is weak whatever it is: "x9x9x9x9x9x9"
    VARIETY_MIN = 4, // different bytes
};

static bool is_letter(char c) {
    return (c >= 'a' && c <= 'z') || (unsigned char)c >= 0x80;
}

static bool is_listed(dx_slice word) {
    size_t low = 0, high = DX_COUNT_OF(word_starts) - 1;
    while (low < high) {
        size_t middle = (low + high) / 2;
        dx_slice at = {word_bytes + word_starts[middle], (size_t)(word_starts[middle + 1] - word_starts[middle] - 1)};
        int order = dx_slice_compare(word, at);
        if (order == 0) return true;
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return false;
}

// On the list, or one piece over and over that is short or on the list.
static bool is_weak(dx_slice text) {
    if (is_listed(text)) return true;
    for (size_t unit = 1; unit <= text.size / 2; unit++) {
        if (text.size % unit || memcmp(text.data, text.data + unit, text.size - unit) != 0) continue;
        return unit <= UNIT_MAX || is_listed(dx_slice_of(text.data, unit));
    }
    return false;
}

static bool has_variety(dx_slice text) {
    uint64_t seen[4] = {0};
    int count = 0;
    for (size_t i = 0; i < text.size; i++) {
        unsigned char c = (unsigned char)text.data[i];
        count += !(seen[c / 64] >> (c % 64) & 1);
        seen[c / 64] |= (uint64_t)1 << (c % 64);
    }
    return count >= VARIETY_MIN;
}

// --- runs -------------------------------------------------------------------------------------------------------------------

static const char *const rows[] = {
    "abcdefghijklmnopqrstuvwxyz",
    "01234567890",
    "!@#$%^&*()_+",
    "qwertyuiop[]",
    "asdfghjkl;'",
    "zxcvbnm,./",
    "qwertzuiop",
    "azertyuiop",
    "qsdfghjklm",
    "yxcvbnm,.-",
    "1q2w3e4r5t6y7u8i9o0p",
    "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik,9ol.0p;/",
};

// How far `text` follows `row` from its first byte on, in steps of +1 or -1.
static size_t run_along(dx_slice text, const char *row, int step) {
    size_t best = 0, length = strlen(row);
    for (size_t start = 0; start < length; start++) {
        size_t run = 0, at = start;
        while (run < text.size && at < length && text.data[run] == row[at]) {
            run++;
            at += (size_t)step; // wraps past the front, which ends the loop
        }
        if (run > best) best = run;
    }
    return best;
}

static size_t run_at(dx_slice text) {
    size_t best = 1;
    while (best < text.size && text.data[best] == text.data[0]) best++;
    for (size_t i = 0; i < DX_COUNT_OF(rows); i++) {
        size_t up = run_along(text, rows[i], 1), down = run_along(text, rows[i], -1);
        if (up > best) best = up;
        if (down > best) best = down;
    }
    return best;
}

static bool is_runs(dx_slice text) {
    size_t loose = 0;
    for (size_t at = 0; at < text.size;) {
        size_t run = run_at(dx_slice_from(text, at));
        if (run < RUN_MIN) {
            loose++;
            run = 1;
        }
        at += run;
    }
    return loose * 4 <= text.size;
}

// --- disguises --------------------------------------------------------------------------------------------------------------

typedef struct disguise {
    const char *from, *to;
} disguise;
static const disguise disguises[] = {
    {"", ""},
    {"@4$50137!8|", "aassoletibl"},
    {"@4$50137!8|", "aassoietibi"},
};

static dx_slice undo(char *out, dx_slice text, const disguise *how) {
    for (size_t i = 0; i < text.size; i++) {
        const char *found = text.data[i] ? strchr(how->from, text.data[i]) : NULL;
        out[i] = found ? how->to[found - how->from] : text.data[i];
    }
    return dx_slice_of(out, text.size);
}

static dx_slice letters_of(char *out, dx_slice text) {
    size_t size = 0;
    for (size_t i = 0; i < text.size; i++) {
        if (is_letter(text.data[i])) out[size++] = text.data[i];
    }
    return dx_slice_of(out, size);
}

// A word with so much around it is no longer the word.
static bool is_weak_word(dx_slice word, size_t whole) {
    return word.size >= WORD_MIN && whole - word.size <= word.size + STRIP_EXTRA && is_weak(word);
}

static bool is_disguised(dx_slice text) {
    char undone[DX_PASSWORD_BYTES_CAP], letters[DX_PASSWORD_BYTES_CAP];
    dx_slice headed = text, core;
    while (headed.size && !is_letter(headed.data[headed.size - 1])) headed.size--;
    core = headed;
    while (core.size && !is_letter(core.data[0])) core = dx_slice_from(core, 1);
    bool found = false;
    for (size_t i = 0; i < DX_COUNT_OF(disguises) && !found; i++) {
        dx_slice plain = undo(undone, headed, &disguises[i]);
        found = is_weak_word(plain, text.size) || is_weak_word(dx_slice_from(plain, headed.size - core.size), text.size) ||
                is_weak_word(letters_of(letters, plain), text.size);
        // Once more with the end left on: "pa$$" and "hell0" end in a letter written as a sign.
        if (!found) found = is_weak_word(letters_of(letters, undo(undone, text, &disguises[i])), text.size);
    }
    dx_secret_wipe(undone, sizeof undone);
    dx_secret_wipe(letters, sizeof letters);
    return found;
}

bool dx_password_is_common(dx_slice password) {
    char folded[DX_PASSWORD_BYTES_CAP];
    if (password.size == 0) return true;
    if (password.size > sizeof folded) return false;
    for (size_t i = 0; i < password.size; i++) {
        char c = password.data[i];
        folded[i] = (char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
    }
    dx_slice text = {folded, password.size};
    bool found = is_weak(text) || !has_variety(text) || is_runs(text) || is_disguised(text);
    dx_secret_wipe(folded, sizeof folded);
    return found;
}
