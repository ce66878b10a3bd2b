// What token endpoints answer, and records of tokens as stores give them: whatever comes, it is a token that can be written and read again,
// or it is told without a secret of ours. The first byte says how the answer is labelled.
#include <string.h>

#include "client/token_form.h"
#include "fuzz.h"

static const dx_slice secret = DX_SLICE_INIT("a-secret-of-ours");

static bool has(dx_slice whole, dx_slice part) {
    return whole.size >= part.size && memmem(whole.data, whole.size, part.data, part.size) != NULL;
}

static void check_answer(dx_arena *arena, dx_slice body, bool form) {
    dx_exchange_response response = {.status = 400, .body = body};
    FUZZ_CHECK(dx_fields_add(&response.fields, arena, DX_SLICE("Content-Type"),
                             form ? DX_SLICE("application/x-www-form-urlencoded") : DX_SLICE("application/json")) == DX_OK);
    yyjson_val *root = dx_token_answer_read(arena, &response);
    dx_slice access = dx_token_answer_text(root, DX_SLICE("/access_token"), arena);
    dx_micros_utc now = (dx_micros_utc)1700000000 * 1000000;
    dx_micros_utc end =
        root ? dx_token_expiry(dx_json_at(root, DX_SLICE("/expires_in")), dx_json_at(root, DX_SLICE("/expires_at")), access, now, arena)
             : 0;
    FUZZ_CHECK(end >= 0);
    dx_slice said = dx_token_say(arena, "it", &response, root, &secret, 1);
    FUZZ_CHECK(!has(said, secret));
    for (size_t i = 0; i < said.size; i++) FUZZ_CHECK((unsigned char)said.data[i] >= ' ' && said.data[i] != 127);
}

static void check_record(dx_arena *arena, dx_slice text) {
    dx_token *token, *again;
    if (dx_token_read(&token, text, DX_SLICE("k"), NULL) != DX_OK) {
        FUZZ_CHECK(!token);
        return;
    }
    dx_buffer out;
    dx_buffer_init(&out, arena, DX_TOKEN_RECORD_CAP);
    FUZZ_CHECK(dx_token_write(&out, token, DX_SLICE("k"), NULL) == DX_OK);
    FUZZ_CHECK(dx_token_read(&again, dx_buffer_slice(&out), DX_SLICE("k"), NULL) == DX_OK);
    FUZZ_CHECK(dx_slice_equal(again->access, token->access) && dx_slice_equal(again->refresh, token->refresh));
    FUZZ_CHECK(again->expires == token->expires && again->obtained == token->obtained);
    dx_token_destroy(token);
    dx_token_destroy(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 1 || size > 16384) return 0;
    dx_slice text = dx_slice_of((const char *)data + 1, size - 1);
    dx_arena *arena = dx_arena_create((size_t)8 << 20);
    check_answer(arena, text, data[0] & 1);
    check_record(arena, text);
    dx_arena_destroy(arena);
    return 0;
}
