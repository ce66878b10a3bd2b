// HMAC signing: what is signed to the byte, the schemes of known webhooks, and a verifier that takes nothing but what was signed, once.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/memory.h"
#include "codec/text.h"
#include "policy/sign_hmac.h"

static dx_arena *arena;

static int make_arena(void **state) {
    (void)state;
    arena = dx_arena_create(64 << 20);
    return arena ? 0 : -1;
}

static int drop_arena(void **state) {
    (void)state;
    dx_arena_destroy(arena);
    return 0;
}

static const dx_micros_utc NOW = 1700000000 * (int64_t)1000000;
static const dx_sign_key key = {DX_SLICE_INIT("k1"), DX_SLICE_INIT("the secret of the first key")};
static const dx_slice chosen[] = {DX_SLICE_INIT("Content-Type"), DX_SLICE_INIT("Host"), DX_SLICE_INIT("X-None")};

static dx_sign_hmac settings_of_all(void) {
    dx_sign_hmac settings = DX_SIGN_HMAC_INIT;
    settings.body = DX_SIGN_BODY_JSON;
    settings.fields = chosen;
    settings.field_count = DX_COUNT_OF(chosen);
    return settings;
}

typedef struct fixture {
    dx_field items[16];
    dx_fields fields;
    dx_sign_request request;
} fixture;

static void init_fixture(fixture *f) {
    f->fields = (dx_fields){f->items, 0, DX_COUNT_OF(f->items)};
    assert_int_equal(dx_fields_add(&f->fields, arena, DX_SLICE("content-type"), DX_SLICE("application/json;  charset=utf-8")), DX_OK);
    f->request = (dx_sign_request){.method = DX_SLICE("post"),
                                   .path = DX_SLICE("/a%7eb/c%2fd"),
                                   .query = DX_SLICE("z=1&b=%41&a"),
                                   .host = DX_SLICE("api.example"),
                                   .fields = &f->fields,
                                   .body = DX_SLICE("{ \"b\": 1.0, \"a\": \"\\u0041\" }")};
}

static void sign(fixture *f, const dx_sign_hmac *settings) {
    assert_int_equal(dx_sign_hmac_make(&f->fields, arena, settings, &f->request, &key, NOW, DX_SLICE("n-1")), DX_OK);
}

static dx_status verify(fixture *f, const dx_sign_hmac *settings, dx_sign_verdict *verdict, dx_micros_utc now) {
    const dx_sign_verify by = {.keys = &key, .key_count = 1, .now = now};
    return dx_sign_hmac_verify(verdict, arena, settings, &f->request, &by);
}

static dx_field *field_named(fixture *f, const char *name) {
    for (uint32_t i = 0; i < f->fields.count; i++)
        if (dx_slice_equal(f->items[i].name, dx_slice_str(name))) return &f->items[i];
    fail_msg("no %s", name);
    return NULL;
}

static void the_text_has_every_part_in_its_canonical_form(void **state) {
    (void)state;
    fixture f;
    init_fixture(&f);
    const dx_sign_hmac settings = settings_of_all();
    dx_slice input;
    assert_int_equal(dx_sign_hmac_input(&input, arena, &settings, &f.request, DX_SLICE("1700000000"), DX_SLICE("n-1"), DX_SLICE("k1")),
                     DX_OK);
    dx_slice wanted =
        DX_SLICE("hmac-sha256\nPOST\n/a~b/c%2Fd\na=&b=A&z=1\ncontent-type:application/json; charset=utf-8\nhost:api.example\nx-none\n"
                 "1700000000\nn-1\n"
                 "2fbac9efdc203ac32532d2f2dc78f5009d3f0cc6649bcd905622e1e50aa7e28e");
    if (!dx_slice_equal(input, wanted)) fail_msg("%.*s", DX_SLICE_ARG(input));
}

static void what_was_signed_is_taken_in_every_form(void **state) {
    (void)state;
    for (int i = 0; i < 2 * 2 * 3; i++) {
        fixture f;
        init_fixture(&f);
        dx_sign_hmac settings = settings_of_all();
        settings.digest = i % 2 ? DX_SIGN_SHA512 : DX_SIGN_SHA256;
        settings.encoding = i / 2 % 2 ? DX_SIGN_BASE64 : DX_SIGN_HEX;
        settings.time = (dx_sign_time)(i / 4);
        settings.prefix = DX_SLICE("v1=");
        sign(&f, &settings);
        dx_sign_verdict verdict;
        assert_int_equal(verify(&f, &settings, &verdict, NOW + 1), DX_OK);
        assert_ptr_equal(verdict.key, &key);
        assert_null(verdict.reason);
        f.request.body = DX_SLICE("{\"a\":\"A\",\"b\":1}"); // another spelling of the same request
        f.request.path = DX_SLICE("/a~b/c%2Fd");
        f.request.query = DX_SLICE("a=&b=A&z=1");
        assert_int_equal(verify(&f, &settings, &verdict, NOW + 1), DX_OK);
    }
}

static void whatever_is_changed_is_refused(void **state) {
    (void)state;
    const dx_sign_hmac settings = settings_of_all();
    for (int i = 0; i < 11; i++) {
        fixture f;
        init_fixture(&f);
        sign(&f, &settings);
        dx_sign_verdict verdict;
        switch (i) {
        case 0:
            f.request.method = DX_SLICE("PUT");
            break;
        case 1:
            f.request.path = DX_SLICE("/a~b/c/d");
            break;
        case 2:
            f.request.query = DX_SLICE("z=1&b=A&a=&a=");
            break;
        case 3:
            f.request.host = DX_SLICE("other.example");
            break;
        case 4:
            f.request.body = DX_SLICE("{\"a\":\"A\",\"b\":2}");
            break;
        case 5:
            f.request.body = DX_SLICE("");
            break;
        case 6:
            assert_int_equal(dx_fields_add(&f.fields, arena, DX_SLICE("x-none"), DX_SLICE("")), DX_OK);
            break;
        case 7:
            field_named(&f, "content-type")->value = DX_SLICE("text/plain");
            break;
        case 8:
            field_named(&f, "x-timestamp")->value = DX_SLICE("1700000001");
            break;
        case 9:
            field_named(&f, "x-nonce")->value = DX_SLICE("n-2");
            break;
        default: {
            dx_field *signature = field_named(&f, "x-signature");
            char *text = (char *)(uintptr_t)signature->value.data;
            text[10] = text[10] == '0' ? '1' : '0';
        }
        }
        assert_int_equal(verify(&f, &settings, &verdict, NOW), DX_BAD_CREDENTIALS);
        assert_string_equal(verdict.reason, "it is not that of this request");
        assert_null(verdict.key);
    }
}

static void fields_that_are_missing_twice_or_wrong_are_named(void **state) {
    (void)state;
    static const struct {
        const char *field, *value; // NULL: taken away; "2": there twice
        dx_status status;
        const char *reason;
    } cases[] = {
        {"x-signature", NULL, DX_UNAUTHENTICATED, "it is missing"},
        {"x-signature", "2", DX_BAD_CREDENTIALS, "it stands there twice"},
        {"x-signature", "", DX_BAD_CREDENTIALS, "it is empty"},
        {"x-signature", "abcd", DX_BAD_CREDENTIALS, "it has not the size of a signature"},
        {"x-signature", "zz5dbbd0c1a5a7bd7c8fd52a0c3ed0d7d87b3c5a1e8b1c8f4b8d9d7d0d5b3a1e", DX_BAD_CREDENTIALS,
         "it is not encoded as expected"},
        {"x-timestamp", NULL, DX_BAD_CREDENTIALS, "it is missing"},
        {"x-timestamp", "soon", DX_BAD_CREDENTIALS, "it is no time of the expected form"},
        {"x-timestamp", "9223372036854775807", DX_BAD_CREDENTIALS, "it is no time of the expected form"},
        {"x-timestamp", "-5", DX_BAD_CREDENTIALS, "it is no time of the expected form"},
        {"x-nonce", NULL, DX_BAD_CREDENTIALS, "it is missing"},
        {"x-key-id", NULL, DX_BAD_CREDENTIALS, "it is missing"},
        {"x-key-id", "k2", DX_BAD_CREDENTIALS, "no such key is known"},
    };
    const dx_sign_hmac settings = settings_of_all();
    for (size_t i = 0; i < DX_COUNT_OF(cases); i++) {
        fixture f;
        init_fixture(&f);
        sign(&f, &settings);
        dx_field *field = field_named(&f, cases[i].field);
        if (!cases[i].value) {
            field->name = DX_SLICE("x-other");
        } else if (strcmp(cases[i].value, "2") == 0) {
            assert_int_equal(dx_fields_add(&f.fields, arena, DX_SLICE("X-Signature"), field->value), DX_OK);
        } else {
            field->value = dx_slice_str(cases[i].value);
        }
        dx_sign_verdict verdict;
        assert_int_equal(verify(&f, &settings, &verdict, NOW), cases[i].status);
        assert_string_equal(verdict.reason, cases[i].reason);
        assert_true(dx_slice_equal(verdict.field, dx_slice_str(cases[i].field)));
    }
}

static void a_timestamp_is_good_within_its_window_on_both_sides(void **state) {
    (void)state;
    fixture f;
    init_fixture(&f);
    dx_sign_hmac settings = settings_of_all();
    sign(&f, &settings);
    dx_sign_verdict verdict;
    const dx_micros_utc window = 300 * (int64_t)1000000;
    assert_int_equal(verify(&f, &settings, &verdict, NOW + window), DX_OK);
    assert_int_equal(verify(&f, &settings, &verdict, NOW - window), DX_OK);
    assert_int_equal(verify(&f, &settings, &verdict, NOW + window + 1), DX_BAD_CREDENTIALS);
    assert_string_equal(verdict.reason, "it is too old");
    assert_int_equal(verify(&f, &settings, &verdict, NOW - window - 1), DX_BAD_CREDENTIALS);
    assert_string_equal(verdict.reason, "it lies too far in the future");
    settings.window_s = 0;
    assert_int_equal(verify(&f, &settings, &verdict, NOW + 1000 * window), DX_OK);
}

typedef struct memory {
    size_t asked;
    char last[200];
    bool has;
    dx_micros_utc until;
} memory;

static bool seen(void *ctx, dx_slice key_id, dx_slice nonce, dx_micros_utc until) {
    memory *m = ctx;
    (void)key_id;
    m->asked++;
    m->until = until;
    bool was = m->has && strlen(m->last) == nonce.size && memcmp(m->last, nonce.data, nonce.size) == 0;
    memcpy(m->last, nonce.data, nonce.size);
    m->last[nonce.size] = 0;
    m->has = true;
    return was;
}

static void a_request_is_taken_once(void **state) {
    (void)state;
    for (int with_nonce = 0; with_nonce < 2; with_nonce++) {
        fixture f;
        memory m = {0};
        init_fixture(&f);
        dx_sign_hmac settings = settings_of_all();
        if (!with_nonce) settings.nonce_header = DX_SLICE("");
        sign(&f, &settings);
        dx_sign_verdict verdict;
        const dx_sign_verify by = {.keys = &key, .key_count = 1, .now = NOW + 5, .seen = seen, .ctx = &m};
        assert_int_equal(dx_sign_hmac_verify(&verdict, arena, &settings, &f.request, &by), DX_OK);
        assert_int_equal(m.until, NOW + 300 * (int64_t)1000000);
        if (!with_nonce) { // the signature stands for it, whatever its case
            dx_field *field = field_named(&f, "x-signature");
            char *text = (char *)(uintptr_t)field->value.data;
            for (size_t i = 0; i < field->value.size; i++)
                if (text[i] >= 'a') text[i] = (char)(text[i] & ~0x20);
        }
        assert_int_equal(dx_sign_hmac_verify(&verdict, arena, &settings, &f.request, &by), DX_BAD_CREDENTIALS);
        assert_string_equal(verdict.reason, "it was there before");
        assert_null(verdict.key);
        f.request.method = DX_SLICE("GET"); // what nobody signed is not remembered
        assert_int_equal(dx_sign_hmac_verify(&verdict, arena, &settings, &f.request, &by), DX_BAD_CREDENTIALS);
        assert_int_equal(m.asked, 2);
    }
}

static void keys_are_changed_without_a_gap(void **state) {
    (void)state;
    const dx_sign_key keys[] = {
        {DX_SLICE("k1"), DX_SLICE("the newer secret")}, {DX_SLICE("k0"), DX_SLICE("another")}, key, {DX_SLICE("k1"), DX_SLICE("")}};
    const dx_sign_verify by = {.keys = keys, .key_count = DX_COUNT_OF(keys), .now = NOW};
    fixture f;
    init_fixture(&f);
    dx_sign_hmac settings = settings_of_all();
    sign(&f, &settings);
    dx_sign_verdict verdict;
    assert_int_equal(dx_sign_hmac_verify(&verdict, arena, &settings, &f.request, &by), DX_OK);
    assert_ptr_equal(verdict.key, &keys[2]);
    // an empty secret is everybody's
    init_fixture(&f);
    assert_int_equal(dx_sign_hmac_make(&f.fields, arena, &settings, &f.request, &keys[3], NOW, DX_SLICE("n")), DX_OK);
    assert_int_equal(dx_sign_hmac_verify(&verdict, arena, &settings, &f.request, &by), DX_BAD_CREDENTIALS);
    // without key ids every key is tried
    settings.key_id_header = DX_SLICE("");
    init_fixture(&f);
    assert_int_equal(dx_sign_hmac_make(&f.fields, arena, &settings, &f.request, &keys[1], NOW, DX_SLICE("n")), DX_OK);
    assert_int_equal(dx_sign_hmac_verify(&verdict, arena, &settings, &f.request, &by), DX_OK);
    assert_ptr_equal(verdict.key, &keys[1]);
}

// Worked examples that the services publish.
static void known_webhooks_are_a_choice_of_parts(void **state) {
    (void)state;
    static const dx_sign_part body_alone[] = {DX_SIGN_BODY}, slack_parts[] = {DX_SIGN_LITERAL, DX_SIGN_TIMESTAMP, DX_SIGN_BODY};
    dx_sign_verdict verdict;
    dx_sign_hmac github = DX_SIGN_HMAC_INIT;
    github.parts = body_alone;
    github.part_count = 1;
    github.nonce_header = github.key_id_header = github.timestamp_header = DX_SLICE("");
    github.window_s = 0;
    github.signature_header = DX_SLICE("X-Hub-Signature-256");
    github.prefix = DX_SLICE("sha256=");
    assert_int_equal(dx_sign_hmac_check(&github, NULL), DX_OK);
    dx_field item = {DX_SLICE("x-hub-signature-256"), DX_SLICE("sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"),
                     DX_FIELD_OTHER};
    const dx_fields fields = {&item, 1, 1};
    const dx_sign_key github_key = {DX_SLICE(""), DX_SLICE("It's a Secret to Everybody")};
    const dx_sign_verify github_by = {.keys = &github_key, .key_count = 1};
    const dx_sign_request hello = {.method = DX_SLICE("POST"), .fields = &fields, .body = DX_SLICE("Hello, World!")};
    assert_int_equal(dx_sign_hmac_verify(&verdict, arena, &github, &hello, &github_by), DX_OK);

    dx_sign_hmac slack = DX_SIGN_HMAC_INIT;
    slack.parts = slack_parts;
    slack.part_count = DX_COUNT_OF(slack_parts);
    slack.separator = DX_SLICE(":");
    slack.literal = DX_SLICE("v0");
    slack.prefix = DX_SLICE("v0=");
    slack.nonce_header = slack.key_id_header = DX_SLICE("");
    slack.signature_header = DX_SLICE("X-Slack-Signature");
    slack.timestamp_header = DX_SLICE("X-Slack-Request-Timestamp");
    assert_int_equal(dx_sign_hmac_check(&slack, NULL), DX_OK);
    dx_field items[] = {
        {DX_SLICE("x-slack-signature"), DX_SLICE("v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"), DX_FIELD_OTHER},
        {DX_SLICE("x-slack-request-timestamp"), DX_SLICE("1531420618"), DX_FIELD_OTHER}};
    const dx_fields slack_fields = {items, 2, 2};
    const dx_sign_key slack_key = {DX_SLICE(""), DX_SLICE("8f742231b10e8888abcd99yyyzzz85a5")};
    const dx_sign_verify slack_by = {.keys = &slack_key, .key_count = 1, .now = 1531420618 * (int64_t)1000000};
    const dx_sign_request command = {
        .method = DX_SLICE("POST"),
        .fields = &slack_fields,
        .body = DX_SLICE("token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name="
                         "foobar&user_id=U2CERLKJA&"
                         "user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%"
                         "2FT1DC2JH3J%2F397700885554%"
                         "2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c")};
    assert_int_equal(dx_sign_hmac_verify(&verdict, arena, &slack, &command, &slack_by), DX_OK);
}

static void settings_that_protect_nothing_are_refused(void **state) {
    (void)state;
    static const dx_sign_part some[] = {DX_SIGN_METHOD, DX_SIGN_PATH};
    dx_sign_hmac settings = settings_of_all();
    assert_int_equal(dx_sign_hmac_check(&settings, NULL), DX_OK);
    settings.parts = some;
    settings.part_count = 2;
    settings.separator = DX_SLICE("");
    settings.signature_header = DX_SLICE("a b");
    dx_diags diags;
    dx_diags_init(&diags, arena);
    assert_int_equal(dx_sign_hmac_check(&settings, &diags), DX_INVALID);
    static const char *const pointers[] = {"/separator", "/window_s", "/nonce_header", "/fields", "/body", "/signature_header"};
    const dx_diag *diag = diags.first;
    for (size_t i = 0; i < DX_COUNT_OF(pointers); i++, diag = diag->next)
        assert_true(dx_slice_equal(diag->pointer, dx_slice_str(pointers[i])));
    assert_null(diag);
    dx_sign_part part;
    assert_true(dx_sign_part_parse(DX_SLICE("body_digest"), &part) && part == DX_SIGN_BODY_DIGEST);
    assert_false(dx_sign_part_parse(DX_SLICE("cookie"), &part));
}

static void what_has_no_canonical_form_is_refused(void **state) {
    (void)state;
    const dx_sign_hmac settings = settings_of_all();
    static const struct {
        dx_slice body, query;
        dx_status made, judged;
    } cases[] = {
        {DX_SLICE_INIT("{"), DX_SLICE_INIT(""), DX_MALFORMED, DX_MALFORMED},
        {DX_SLICE_INIT("[9007199254740993]"), DX_SLICE_INIT(""), DX_INVALID, DX_BAD_CREDENTIALS},
        {DX_SLICE_INIT("{\"a\":1,\"a\":2}"), DX_SLICE_INIT(""), DX_MALFORMED, DX_MALFORMED},
        {DX_SLICE_INIT("{}"), DX_SLICE_INIT("a=%4"), DX_BAD_REQUEST, DX_BAD_CREDENTIALS},
    };
    for (size_t i = 0; i < DX_COUNT_OF(cases); i++) {
        fixture f;
        dx_sign_verdict verdict;
        init_fixture(&f);
        sign(&f, &settings);
        f.request.body = cases[i].body;
        f.request.query = cases[i].query;
        assert_int_equal(verify(&f, &settings, &verdict, NOW), cases[i].judged);
        assert_non_null(verdict.reason);
        dx_fields out = {.items = NULL};
        assert_int_equal(dx_sign_hmac_make(&out, arena, &settings, &f.request, &key, NOW, DX_SLICE("")), cases[i].made);
    }
    fixture f;
    init_fixture(&f);
    assert_int_equal(dx_sign_hmac_make(&f.fields, arena, &settings, &f.request, &key, NOW, DX_SLICE("a b")), DX_INVALID);
    f.items[0].value = DX_SLICE("a\nb");
    assert_int_equal(dx_sign_hmac_make(&f.fields, arena, &settings, &f.request, &key, NOW, DX_SLICE("")), DX_INVALID);
}

static void nonces_are_drawn_anew(void **state) {
    (void)state;
    const dx_sign_hmac settings = DX_SIGN_HMAC_INIT;
    const dx_sign_request request = {.method = DX_SLICE("GET"), .path = DX_SLICE("/")};
    dx_fields one = {.items = NULL}, two = {.items = NULL};
    assert_int_equal(dx_sign_hmac_make(&one, arena, &settings, &request, &key, NOW, DX_SLICE("")), DX_OK);
    assert_int_equal(dx_sign_hmac_make(&two, arena, &settings, &request, &key, NOW, DX_SLICE("")), DX_OK);
    assert_int_equal(dx_fields_find(&one, DX_SLICE("x-nonce")).size, 32);
    assert_false(dx_slice_equal(dx_fields_find(&one, DX_SLICE("x-nonce")), dx_fields_find(&two, DX_SLICE("x-nonce"))));
}

static void without_memory_nothing_is_signed_nor_taken(void **state) {
    (void)state;
    fixture f;
    init_fixture(&f);
    const dx_sign_hmac settings = settings_of_all();
    sign(&f, &settings);
    for (uint64_t n = 1;; n++) {
        dx_arena *small = dx_arena_create(1 << 20);
        assert_non_null(small);
        dx_sign_verdict verdict = {.key = NULL};
        dx_fields out = {.items = NULL};
        const dx_sign_verify by = {.keys = &key, .key_count = 1, .now = NOW};
        dx_memory_fail_at(n, true);
        dx_status status = dx_sign_hmac_make(&out, small, &settings, &f.request, &key, NOW, DX_SLICE(""));
        if (status == DX_OK) status = dx_sign_hmac_verify(&verdict, small, &settings, &f.request, &by);
        bool failed = dx_memory_fail_stop();
        dx_arena_destroy(small);
        assert_true(status == DX_OK || (failed && status == DX_NO_MEMORY)); // memory that can't be made smaller stays as large
        if (!failed) break;
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_text_has_every_part_in_its_canonical_form),
        cmocka_unit_test(what_was_signed_is_taken_in_every_form),
        cmocka_unit_test(whatever_is_changed_is_refused),
        cmocka_unit_test(fields_that_are_missing_twice_or_wrong_are_named),
        cmocka_unit_test(a_timestamp_is_good_within_its_window_on_both_sides),
        cmocka_unit_test(a_request_is_taken_once),
        cmocka_unit_test(keys_are_changed_without_a_gap),
        cmocka_unit_test(known_webhooks_are_a_choice_of_parts),
        cmocka_unit_test(settings_that_protect_nothing_are_refused),
        cmocka_unit_test(what_has_no_canonical_form_is_refused),
        cmocka_unit_test(nonces_are_drawn_anew),
        cmocka_unit_test(without_memory_nothing_is_signed_nor_taken),
    };
    return cmocka_run_group_tests(tests, make_arena, drop_arena);
}
