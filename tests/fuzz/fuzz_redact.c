// Redaction: no known secret survives in what is written, whatever text it stood in, plain or encoded; and JSON stays JSON. The first lines
// of the input, up to an empty one, are secrets; the rest is the text.
#include <string.h>

#include "codec/json.h"
#include "codec/text.h"
#include "fuzz.h"
#include "policy/redact.h"

#define SECRETS_CAP 4

typedef struct known_values {
    dx_slice secrets[SECRETS_CAP];
    size_t count;
} known_values;

// One that the mask itself has, or that a piece of text could make with it, proves nothing.
static bool is_telling(dx_slice secret) {
    if (secret.size < DX_REDACT_VALUE_MIN || secret.size > 200) return false;
    if (dx_slice_find(secret, '[') != SIZE_MAX || dx_slice_find(secret, ']') != SIZE_MAX) return false;
    return memmem(DX_REDACTED, sizeof DX_REDACTED - 1, secret.data, secret.size) == NULL;
}

static bool holds(dx_slice text, dx_slice what) {
    return text.size && memmem(text.data, text.size, what.data, what.size) != NULL;
}

static void check_none(const known_values *known, const dx_buffer *out) {
    for (size_t i = 0; i < known->count; i++) FUZZ_CHECK(!holds(dx_buffer_slice(out), known->secrets[i]));
}

static void check_encoded(dx_redactor *redactor, dx_slice secret, dx_slice text) {
    char plain[300], encoded[400];
    size_t before = text.size < 6 ? text.size : 6;
    dx_buffer out, percent;
    if (before) memcpy(plain, text.data, before);
    memcpy(plain + before, secret.data, secret.size);
    dx_buffer_init(&out, NULL, 1 << 16);
    dx_buffer_init(&percent, NULL, 1 << 16);
    size_t size = dx_base64_encode(encoded, plain, before + secret.size, text.size & 1);
    FUZZ_CHECK(dx_redact_text(redactor, &out, dx_slice_of(encoded, size)) == DX_OK);
    FUZZ_CHECK(holds(dx_buffer_slice(&out), DX_SLICE(DX_REDACTED)));
    dx_buffer_clear(&out);
    dx_percent_encode(&percent, secret);
    FUZZ_CHECK(dx_redact_text(redactor, &out, dx_buffer_slice(&percent)) == DX_OK);
    FUZZ_CHECK(dx_slice_equal(dx_buffer_slice(&out), DX_SLICE(DX_REDACTED)));
    dx_buffer_deinit(&out);
    dx_buffer_deinit(&percent);
}

static void check_json(dx_redactor *redactor, const known_values *known, bool any_known, dx_buffer *out, dx_slice text) {
    dx_arena *arena = dx_arena_create(64 << 20);
    yyjson_doc *doc;
    const dx_json_options options = {.depth_cap = DX_JSON_DEPTH_MAX, .allow_duplicates = true};
    dx_status was = dx_json_read(&doc, arena, text, &options, NULL);
    dx_buffer_clear(out);
    FUZZ_CHECK(dx_redact_json(redactor, out, text) == DX_OK);
    check_none(known, out);
    // A known value may reach from one string into another: then the text goes before the form.
    if (was == DX_OK && !any_known) FUZZ_CHECK(dx_json_read(&doc, arena, dx_buffer_slice(out), &options, NULL) == DX_OK);
    dx_arena_destroy(arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size > 8192) return 0;
    const dx_redact_options options = {.cards = true};
    dx_redactor *redactor = dx_redactor_create(&options);
    dx_slice rest = dx_slice_of((const char *)data, size);
    known_values known = {.count = 0};
    bool any_known = false;
    for (int i = 0; i < SECRETS_CAP && rest.data; i++) {
        dx_slice secret = dx_slice_cut(&rest, '\n');
        if (secret.size == 0) break;
        FUZZ_CHECK(dx_redactor_add_value(redactor, secret) == DX_OK);
        any_known = any_known || secret.size >= DX_REDACT_VALUE_MIN;
        if (is_telling(secret)) known.secrets[known.count++] = secret;
    }
    static dx_status (*const functions[])(dx_redactor *, dx_buffer *, dx_slice) = {dx_redact_text, dx_redact_url, dx_redact_form};
    dx_buffer out;
    dx_buffer_init(&out, NULL, 1 << 20);
    for (size_t i = 0; i < DX_COUNT_OF(functions); i++) {
        dx_buffer_clear(&out);
        FUZZ_CHECK(functions[i](redactor, &out, rest) == DX_OK);
        check_none(&known, &out);
    }
    static const char *const names[] = {"cookie", "set-cookie", "authorization", "location", "x-other"};
    for (size_t i = 0; i < DX_COUNT_OF(names); i++) {
        dx_buffer_clear(&out);
        FUZZ_CHECK(dx_redact_field(redactor, &out, dx_slice_str(names[i]), rest) == DX_OK);
        check_none(&known, &out);
    }
    check_json(redactor, &known, any_known, &out, rest);
    for (size_t i = 0; i < known.count; i++) check_encoded(redactor, known.secrets[i], rest);
    dx_buffer_deinit(&out);
    dx_redactor_destroy(redactor);
    return 0;
}
