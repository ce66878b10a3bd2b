// Verifying signed requests: whatever header fields, path, query and body come, nothing is taken that was not signed with our key; and what
// we sign ourselves of the same request is taken. The input is lines: method, path, query, body's first line …, with "name: value" lines
// between.
#include <string.h>

#include "fuzz.h"
#include "policy/sign_hmac.h"

static const dx_sign_key key = {DX_SLICE_INIT("k"), DX_SLICE_INIT("a secret that no input has")};
static const dx_micros_utc NOW = 1700000000 * (int64_t)1000000;
static const dx_slice chosen[] = {DX_SLICE_INIT("content-type"), DX_SLICE_INIT("host")};

static void read_fields(dx_fields *fields, dx_arena *arena, dx_slice *rest) {
    while (rest->data && fields->count < 32) {
        dx_slice line = dx_slice_cut(rest, '\n'), value = line;
        if (line.size == 0) return;
        dx_slice name = dx_slice_cut(&value, ':');
        if (dx_fields_add(fields, arena, name, dx_slice_trim(value)) != DX_OK) return;
    }
}

// Our own fields behind the others, of which those of the same names are left out.
static void check_own(dx_arena *arena, const dx_sign_hmac *settings, dx_sign_request request) {
    dx_fields fields = {.items = NULL};
    static const char *const own[] = {"x-signature", "x-timestamp", "x-nonce", "x-key-id"};
    for (uint32_t i = 0; i < request.fields->count; i++) {
        const dx_field *field = &request.fields->items[i];
        bool ours = false;
        for (size_t j = 0; j < DX_COUNT_OF(own); j++) ours = ours || dx_slice_equal_nocase(field->name, dx_slice_str(own[j]));
        if (!ours) FUZZ_CHECK(dx_fields_add(&fields, arena, field->name, field->value) == DX_OK);
    }
    request.fields = &fields;
    dx_status made = dx_sign_hmac_make(&fields, arena, settings, &request, &key, NOW, DX_SLICE(""));
    if (made != DX_OK) {
        FUZZ_CHECK(made == DX_INVALID || made == DX_BAD_REQUEST || made == DX_MALFORMED || made == DX_TOO_LARGE);
        return;
    }
    dx_sign_verdict verdict;
    const dx_sign_verify by = {.keys = &key, .key_count = 1, .now = NOW};
    FUZZ_CHECK(dx_sign_hmac_verify(&verdict, arena, settings, &request, &by) == DX_OK);
    if (dx_slice_equal(request.body, DX_SLICE("another body"))) return;
    request.body = DX_SLICE("another body");
    FUZZ_CHECK(dx_sign_hmac_verify(&verdict, arena, settings, &request, &by) != DX_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 1 || size > 8192) return 0;
    dx_arena *arena = dx_arena_create(32 << 20);
    dx_slice rest = dx_slice_of((const char *)data + 1, size - 1);
    dx_fields fields = {.items = NULL};
    dx_sign_hmac settings = DX_SIGN_HMAC_INIT;
    settings.digest = (dx_sign_digest)(data[0] & 1);
    settings.encoding = (dx_sign_encoding)(data[0] >> 1 & 1);
    settings.time = (dx_sign_time)((data[0] >> 2 & 3) % 3);
    settings.body = data[0] & 16 ? DX_SIGN_BODY_JSON : DX_SIGN_BODY_BYTES;
    settings.fields = chosen;
    settings.field_count = DX_COUNT_OF(chosen);
    dx_sign_request request = {.fields = &fields, .host = DX_SLICE("h")};
    request.method = dx_slice_cut(&rest, '\n');
    request.path = dx_slice_cut(&rest, '\n');
    request.query = dx_slice_cut(&rest, '\n');
    read_fields(&fields, arena, &rest);
    request.body = rest;
    dx_sign_verdict verdict;
    const dx_sign_verify by = {.keys = &key, .key_count = 1, .now = NOW};
    FUZZ_CHECK(dx_sign_hmac_verify(&verdict, arena, &settings, &request, &by) != DX_OK);
    FUZZ_CHECK(verdict.reason && !verdict.key);
    check_own(arena, &settings, request);
    dx_arena_destroy(arena);
    return 0;
}
