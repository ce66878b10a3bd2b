// Tokens made for others: what they say, that a judge takes them, and what is not made.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/memory.h"
#include "codec/text.h"
#include "crypto/jwt_make.h"

static dx_arena *arena;
static dx_key *key;

static int make_key(void **state) {
    (void)state;
    arena = dx_arena_create(16 << 20);
    return arena && dx_key_from_secret(&key, DX_JWS_HS256, DX_SLICE("0123456789abcdef0123456789abcdef")) == DX_OK ? 0 : -1;
}

static int drop_key(void **state) {
    (void)state;
    dx_key_destroy(key);
    dx_arena_destroy(arena);
    return 0;
}

static yyjson_val *read(const char *text) {
    yyjson_doc *doc;
    assert_int_equal(dx_json_read(&doc, arena, dx_slice_str(text), NULL, NULL), DX_OK);
    return yyjson_doc_get_root(doc);
}

// The header or the claims of a token, as they were written.
static dx_slice part_of(dx_slice token, int number) {
    size_t size;
    for (int i = 0; i < number; i++) (void)dx_slice_cut(&token, '.');
    dx_slice text = dx_slice_cut(&token, '.');
    char *out = dx_arena_bytes(arena, text.size + 4);
    assert_true(dx_base64_decode(out, &size, text, true));
    return dx_slice_of(out, size);
}

static void assert_text(dx_slice made, const char *wanted) {
    if (!dx_slice_equal(made, dx_slice_str(wanted))) fail_msg("%.*s is not %s", DX_SLICE_ARG(made), wanted);
}

static void a_token_says_what_was_asked_for(void **state) {
    (void)state;
    static const dx_slice two[] = {DX_SLICE_INIT("a"), DX_SLICE_INIT("b\"")};
    const dx_jwt_claims claims = {.issuer = DX_SLICE("me"),
                                  .subject = DX_SLICE("it"),
                                  .audiences = two,
                                  .audience_count = 2,
                                  .extra = read("{\"scope\":\"x y\",\"nbf\":5,\"n\":{\"m\":[1]}}"),
                                  .now_s = 1000,
                                  .lifetime_s = 600,
                                  .backdate_s = 60};
    const dx_jwt_header header = {.type = DX_SLICE("at+jwt"), .kid = DX_SLICE("other"), .extra = read("{\"x5t\":\"abc\"}")};
    dx_jwt_made made;
    assert_int_equal(dx_jwt_make(&made, arena, key, &claims, &header), DX_OK);
    assert_int_equal(made.expires_s, 1540);
    assert_text(part_of(made.token, 0), "{\"alg\":\"HS256\",\"kid\":\"other\",\"typ\":\"at+jwt\",\"x5t\":\"abc\"}");
    assert_text(part_of(made.token, 1),
                "{\"iss\":\"me\",\"sub\":\"it\",\"aud\":[\"a\",\"b\\\"\"],\"iat\":940,\"exp\":1540,\"scope\":\"x y\",\"nbf\":5,"
                "\"n\":{\"m\":[1]}}");
    const dx_jwt_header bare = {.type = DX_SLICE(""), .kid = DX_SLICE("")};
    const dx_jwt_claims least = {.now_s = 1, .lifetime_s = 1};
    assert_int_equal(dx_jwt_make(&made, arena, key, &least, &bare), DX_OK);
    assert_text(part_of(made.token, 0), "{\"alg\":\"HS256\"}");
    assert_text(part_of(made.token, 1), "{\"iat\":1,\"exp\":2}");
}

static void a_judge_takes_it_until_its_end(void **state) {
    (void)state;
    dx_slice audience = DX_SLICE("you");
    const dx_jwt_claims claims = {.issuer = DX_SLICE("me"),
                                  .audiences = &audience,
                                  .audience_count = 1,
                                  .now_s = 1000,
                                  .lifetime_s = 600,
                                  .backdate_s = 60,
                                  .not_before = true,
                                  .with_id = true};
    dx_jwt_made made, again;
    assert_int_equal(dx_jwt_make(&made, arena, key, &claims, NULL), DX_OK);
    assert_int_equal(dx_jwt_make(&again, arena, key, &claims, NULL), DX_OK);
    assert_false(dx_slice_equal(made.token, again.token)); // by their "jti"
    yyjson_doc *doc;
    dx_jwt_expect expect = {.issuer = DX_SLICE("me"), .audience = audience, .now_s = 950};
    assert_int_equal(dx_jwt_verify(&doc, arena, key, made.token, &expect), DX_OK); // by a clock that is behind
    assert_int_equal(dx_json_member_slice(yyjson_doc_get_root(doc), "jti").size, 32);
    expect.now_s = 939;
    assert_int_equal(dx_jwt_verify(&doc, arena, key, made.token, &expect), DX_BAD_TOKEN);
    expect.now_s = made.expires_s - 1;
    assert_int_equal(dx_jwt_verify(&doc, arena, key, made.token, &expect), DX_OK);
    expect.now_s = made.expires_s;
    assert_int_equal(dx_jwt_verify(&doc, arena, key, made.token, &expect), DX_EXPIRED_TOKEN);
}

static void an_assertion_names_the_client_twice(void **state) {
    (void)state;
    dx_jwt_made made;
    assert_int_equal(dx_jwt_client_assertion(&made, arena, key, DX_SLICE("client"), DX_SLICE("https://as.example/token"), 1000, NULL),
                     DX_OK);
    yyjson_doc *doc;
    const dx_jwt_expect expect = {.issuer = DX_SLICE("client"), .audience = DX_SLICE("https://as.example/token"), .now_s = 1000};
    assert_int_equal(dx_jwt_verify(&doc, arena, key, made.token, &expect), DX_OK);
    yyjson_val *root = yyjson_doc_get_root(doc);
    assert_text(dx_json_member_slice(root, "sub"), "client");
    assert_int_equal(yyjson_get_int(yyjson_obj_get(root, "iat")), 990);
    assert_int_equal(made.expires_s, 1290);
    assert_int_equal(dx_json_member_slice(root, "jti").size, 32);
    assert_int_equal(dx_jwt_client_assertion(&made, arena, key, DX_SLICE(""), DX_SLICE("x"), 1000, NULL), DX_INVALID);
    assert_int_equal(dx_jwt_client_assertion(&made, arena, key, DX_SLICE("x"), DX_SLICE(""), 1000, NULL), DX_INVALID);
}

static void claims_and_header_cannot_be_set_twice(void **state) {
    (void)state;
    static const char *const claims_wrong[] = {
        "{\"iss\":\"x\"}", "{\"iat\":1}", "{\"exp\":1}", "{\"jti\":\"1\"}", "{\"nbf\":1}", "{\"sub\":\"1\"}", "{\"aud\":\"1\"}", "[]", "1"};
    static const char *const header_wrong[] = {"{\"alg\":\"none\"}", "{\"crit\":[]}",   "{\"b64\":false}",
                                               "{\"kid\":\"x\"}",    "{\"typ\":\"x\"}", "[]"};
    dx_slice audience = DX_SLICE("a");
    dx_jwt_claims claims = {.issuer = DX_SLICE("me"),
                            .subject = DX_SLICE("s"),
                            .audiences = &audience,
                            .audience_count = 1,
                            .now_s = 100,
                            .lifetime_s = 10,
                            .not_before = true,
                            .with_id = true};
    dx_jwt_made made;
    for (size_t i = 0; i < DX_COUNT_OF(claims_wrong); i++) {
        claims.extra = read(claims_wrong[i]);
        assert_int_equal(dx_jwt_make(&made, arena, key, &claims, NULL), DX_INVALID);
    }
    claims.extra = NULL;
    for (size_t i = 0; i < DX_COUNT_OF(header_wrong); i++) {
        const dx_jwt_header header = {.extra = read(header_wrong[i])};
        assert_int_equal(dx_jwt_make(&made, arena, key, &claims, &header), DX_INVALID);
    }
}

static void lifetimes_out_of_range_and_keys_that_cannot_sign_are_refused(void **state) {
    (void)state;
    static const int64_t wrong[][3] = {
        {100, 0, 0}, {100, -1, 0}, {100, 10, 10}, {100, 10, -1}, {5, 10, 6}, {100, DX_JWT_LIFETIME_S_CAP + 1, 0}, {INT64_MAX, 10, 0}};
    dx_jwt_made made;
    for (size_t i = 0; i < DX_COUNT_OF(wrong); i++) {
        const dx_jwt_claims claims = {.now_s = wrong[i][0], .lifetime_s = wrong[i][1], .backdate_s = wrong[i][2]};
        assert_int_equal(dx_jwt_make(&made, arena, key, &claims, NULL), DX_INVALID);
    }
    const dx_jwt_claims claims = {.now_s = 100, .lifetime_s = DX_JWT_LIFETIME_S_CAP};
    assert_int_equal(dx_jwt_make(&made, arena, key, &claims, NULL), DX_OK);
    dx_key *public_key;
    assert_int_equal(dx_key_from_jwk(&public_key, DX_JWS_EDDSA,
                                     read("{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}"),
                                     NULL),
                     DX_OK);
    assert_int_equal(dx_jwt_make(&made, arena, public_key, &claims, NULL), DX_INVALID);
    dx_key_destroy(public_key);
}

static void a_token_over_the_cap_and_one_without_memory_are_not_made(void **state) {
    (void)state;
    static char big[DX_JWS_BYTES_CAP];
    memset(big, 'a', sizeof big);
    dx_jwt_made made;
    dx_jwt_claims claims = {.issuer = dx_slice_of(big, sizeof big), .now_s = 100, .lifetime_s = 10};
    assert_int_equal(dx_jwt_make(&made, arena, key, &claims, NULL), DX_TOO_LARGE);
    claims.issuer = DX_SLICE("me");
    for (uint64_t n = 1;; n++) {
        dx_arena *small = dx_arena_create(1 << 20);
        assert_non_null(small);
        dx_memory_fail_at(n, true);
        dx_status status = dx_jwt_make(&made, small, key, &claims, NULL);
        bool failed = dx_memory_fail_stop();
        dx_arena_destroy(small);
        assert_int_equal(status, failed ? DX_NO_MEMORY : DX_OK);
        if (!failed) break;
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_token_says_what_was_asked_for),
        cmocka_unit_test(a_judge_takes_it_until_its_end),
        cmocka_unit_test(an_assertion_names_the_client_twice),
        cmocka_unit_test(claims_and_header_cannot_be_set_twice),
        cmocka_unit_test(lifetimes_out_of_range_and_keys_that_cannot_sign_are_refused),
        cmocka_unit_test(a_token_over_the_cap_and_one_without_memory_are_not_made),
    };
    return cmocka_run_group_tests(tests, make_key, drop_key);
}
