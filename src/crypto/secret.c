// Judging secrets by what can be seen of them: length, variety, and words that no random text has.
#include "crypto/secret.h"

#include "base/compiler.h"
#include "crypto/password.h"

#define VARIETY_MIN 10 // different bytes: 32 random characters have far more, "aaaa…" and "abcabc…" have fewer

static bool has_word(dx_slice text, dx_slice word) {
    for (size_t at = 0; at + word.size <= text.size; at++)
        if (dx_slice_equal_nocase(dx_slice_of(text.data + at, word.size), word)) return true;
    return false;
}

// Random text of this length has none of these by chance.
static bool is_well_known(dx_slice secret) {
    static const dx_slice words[] = {
        DX_SLICE_INIT("changeme"),
        DX_SLICE_INIT("change-me"),
        DX_SLICE_INIT("change_me"),
        DX_SLICE_INIT("change this"),
        DX_SLICE_INIT("changethis"),
        DX_SLICE_INIT("change-this"),
        DX_SLICE_INIT("change_this"),
        DX_SLICE_INIT("your-secret"),
        DX_SLICE_INIT("your_secret"),
        DX_SLICE_INIT("yoursecret"),
        DX_SLICE_INIT("secret-key"),
        DX_SLICE_INIT("secret_key"),
        DX_SLICE_INIT("secretkey"),
        DX_SLICE_INIT("supersecret"),
        DX_SLICE_INIT("super-secret"),
        DX_SLICE_INIT("super_secret"),
        DX_SLICE_INIT("password"),
        DX_SLICE_INIT("insecure"),
        DX_SLICE_INIT("qwertyuiop"),
        DX_SLICE_INIT("correct horse"),
        DX_SLICE_INIT("0123456789"),
        DX_SLICE_INIT("1234567890"),
        DX_SLICE_INIT("abcdefghij"),
        DX_SLICE_INIT("change me"),
        DX_SLICE_INIT("your secret"),
        DX_SLICE_INIT("super secret"),
        DX_SLICE_INIT("secretsecret"),
        DX_SLICE_INIT("passwordpassword"),
        DX_SLICE_INIT("replace-me"),
        DX_SLICE_INIT("replace_me"),
        DX_SLICE_INIT("replaceme"),
        DX_SLICE_INIT("example-secret"),
        DX_SLICE_INIT("example_secret"),
        DX_SLICE_INIT("default-secret"),
        DX_SLICE_INIT("default_secret"),
        DX_SLICE_INIT("my-secret-key"),
        DX_SLICE_INIT("my_secret_key"),
        DX_SLICE_INIT("mysecretkey"),
        DX_SLICE_INIT("jwt-secret"),
        DX_SLICE_INIT("jwt_secret"),
        DX_SLICE_INIT("jwtsecret"),
        // of a web framework's tutorial
        DX_SLICE_INIT("09d25e094faa6ca2556c818166b7a9563b93f7099f6f0f4caa6cf63b88e8d3e7"),
    };
    for (size_t i = 0; i < DX_COUNT_OF(words); i++)
        if (has_word(secret, words[i])) return true;
    return dx_password_is_common(secret);
}

static size_t variety_of(dx_slice secret) {
    bool seen[256] = {false};
    size_t count = 0;
    for (size_t i = 0; i < secret.size; i++) {
        unsigned char byte = (unsigned char)secret.data[i];
        count += !seen[byte];
        seen[byte] = true;
    }
    return count;
}

const char *dx_secret_fault(dx_slice secret) {
    if (secret.size < DX_SECRET_SIZE_MIN) return "it is shorter than 32 bytes";
    if (variety_of(secret) < VARIETY_MIN) return "it repeats a few characters";
    if (is_well_known(secret)) return "it is one that examples use, or has a word of those";
    return NULL;
}
