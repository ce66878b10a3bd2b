// Redaction: known values in every spelling, names, patterns, JSON that stays JSON, and failing closed.
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/memory.h"
#include "codec/json.h"
#include "codec/text.h"
#include "policy/redact.h"

static dx_redactor *redactor;
static dx_buffer out;

static int start(void **state) {
    (void)state;
    redactor = dx_redactor_create(NULL);
    dx_buffer_init(&out, NULL, 64 << 20);
    return redactor ? 0 : -1;
}

static int stop(void **state) {
    (void)state;
    dx_redactor_destroy(redactor);
    dx_buffer_deinit(&out);
    return 0;
}

static void know(const char *secret) {
    assert_int_equal(dx_redactor_add_value(redactor, dx_slice_str(secret)), DX_OK);
}

typedef dx_status (*redact_fn)(dx_redactor *redactor, dx_buffer *out, dx_slice text);

static void assert_becomes(redact_fn redact, const char *text, const char *wanted) {
    dx_buffer_clear(&out);
    assert_int_equal(redact(redactor, &out, dx_slice_str(text)), DX_OK);
    if (!dx_slice_equal(dx_buffer_slice(&out), dx_slice_str(wanted)))
        fail_msg("%s\nbecame\n%.*s\nand not\n%s", text, DX_SLICE_ARG(dx_buffer_slice(&out)), wanted);
}

static void assert_text(const char *text, const char *wanted) {
    assert_becomes(dx_redact_text, text, wanted);
}

static void known_values_go_wherever_they_stand(void **state) {
    (void)state;
    know("s3cr/t v\xc3\xa4lue");
    assert_text("s3cr/t v\xc3\xa4lue", "[redacted]");
    assert_text("a s3cr/t v\xc3\xa4lue, s3cr/t v\xc3\xa4lues3cr/t v\xc3\xa4lue.", "a [redacted], [redacted].");
    assert_text("s3cr/t v\xc3\xa4lu", "s3cr/t v\xc3\xa4lu");
    assert_text("x=s3cr%2Ft%20v%C3%a4lue&y", "x=[redacted]&y"); // percent-encoded in any case
    assert_text("x=%733cr%2ft+v%c3%A4lue&y", "x=[redacted]&y"); // and as forms do
    assert_text("{\"x\":\"s3cr\\/t v\\u00e4lue\"}", "{\"x\":\"[redacted]\"}");
    assert_text("\\u0073\\u0033cr/t v\\u00E4lue", "[redacted]");
    assert_text("", "");
}

static void base64_hides_nothing_at_any_place(void **state) {
    (void)state;
    know("t0p-secret?>");
    for (int before = 0; before < 6; before++) {
        for (int behind = 0; behind < 4; behind++) {
            for (int url = 0; url < 2; url++) {
                char plain[40] = "abcdef", text[100];
                memcpy(plain + before, "t0p-secret?>", 12);
                memcpy(plain + before + 12, "xyzw", 4);
                size_t size = dx_base64_encode(text, plain, (size_t)before + 12 + (size_t)behind, url);
                dx_buffer_clear(&out);
                assert_int_equal(dx_redact_text(redactor, &out, dx_slice_of(text, size)), DX_OK);
                const char *mask = memmem(out.data, out.size, DX_REDACTED, 10);
                assert_non_null(mask);
                // only the characters around it stay, of which none has bits of the secret
                assert_true((size_t)(mask - out.data) <= (size_t)before * 4 / 3);
                assert_true(out.size - 10 <= (size_t)before * 4 / 3 + ((size_t)behind * 4 + 2) / 3 + 2); // and the padding
            }
        }
    }
    assert_text("x: dXNlcjp0MHAtc2VjcmV0Pz4=", "x: dXNlcj[redacted]=");
}

static void of_two_values_nothing_of_the_longer_stays(void **state) {
    (void)state;
    know("abcd");
    know("abcdefgh");
    know("cdefghijkl");
    know("fghi");
    assert_text("abcdefgh", "[redacted]");
    assert_text("xabcdefghijkly", "x[redacted]y");
    assert_text("abcdef", "[redacted]ef");
    assert_text("abcd abcdabcd fghi", "[redacted] [redacted] [redacted]");
    assert_text("cdefghij", "cde[redacted]j");
}

static void values_are_forgotten_when_the_last_who_added_them_lets_go(void **state) {
    (void)state;
    know("secret-1");
    know("secret-1");
    know("secret-22");
    know("abc");
    assert_text("abc secret-1 secret-22", "abc [redacted] [redacted]");
    dx_redactor_remove_value(redactor, DX_SLICE("secret-1"));
    assert_text("secret-1 secret-22", "[redacted] [redacted]");
    dx_redactor_remove_value(redactor, DX_SLICE("secret-1"));
    dx_redactor_remove_value(redactor, DX_SLICE("secret-1"));
    assert_text("secret-1 secret-22", "secret-1 [redacted]");
    know("secret-333");
    dx_redactor_remove_value(redactor, DX_SLICE("secret-22"));
    assert_text("secret-22 secret-333", "secret-22 [redacted]");
}

static void names_of_secrets_are_known_in_every_spelling(void **state) {
    (void)state;
    static const char *const secret[] = {"Authorization", "X-Api-Key",  "api_key",       "apiKey",      "API KEY",         "access_token",
                                         "client.secret", "Set-Cookie", "X-Vault-Token", "db_password", "X-Amz-Signature", "user[password"};
    static const char *const open[] = {"accept", "next_token", "nextPageToken", "tokens", "max_tokens",
                                       "code",   "key",        "author",        "",       "secretary"};
    for (size_t i = 0; i < DX_COUNT_OF(secret); i++)
        if (!dx_redactor_is_secret_name(redactor, dx_slice_str(secret[i]))) fail_msg("%s", secret[i]);
    for (size_t i = 0; i < DX_COUNT_OF(open); i++)
        if (dx_redactor_is_secret_name(redactor, dx_slice_str(open[i]))) fail_msg("%s", open[i]);
    assert_int_equal(dx_redactor_add_name(redactor, DX_SLICE("Patient-No")), DX_OK);
    assert_true(dx_redactor_is_secret_name(redactor, DX_SLICE("patient_no")));
    char name[200];
    memset(name, 'x', sizeof name);
    assert_int_equal(dx_redactor_add_name(redactor, dx_slice_of(name, sizeof name)), DX_TOO_LARGE);
    memcpy(name + sizeof name - 9, "_password", 9);
    assert_true(dx_redactor_is_secret_name(redactor, dx_slice_of(name, sizeof name)));
}

static void values_under_secret_names_go_from_text(void **state) {
    (void)state;
    assert_text("password=hunter2, user=bob", "password=[redacted], user=bob");
    assert_text("API_KEY: abc\nnext", "API_KEY: [redacted]\nnext");
    assert_text("{\"client_secret\": \"a\\\"b, c\", \"n\": 1}", "{\"client_secret\": \"[redacted]\", \"n\": 1}");
    assert_text("{\\\"token\\\":\\\"a b\\\",\\\"x\\\":\\\"y\\\"}", "{\\\"token\\\":\\\"[redacted]\\\",\\\"x\\\":\\\"y\\\"}");
    assert_text("> Cookie: a=b; c=d\r\n> Host: h", "> Cookie: [redacted]\r\n> Host: h");
    assert_text("{\"password\":\"cut off", "{\"password\":\"[redacted]");
    assert_text("password=", "password=");
    assert_text("password=[redacted]&b", "password=[redacted]&b");
    assert_text("token://host/x", "token://host/x");
}

static void what_looks_like_a_secret_goes(void **state) {
    (void)state;
    assert_text("see eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl-_, ok", "see [redacted], ok");
    assert_text("Bearer abcdefghijklmnopqrstuvwxyz", "Bearer [redacted]");
    assert_text("bearer  a1b2c3d4 of news", "bearer  [redacted] of news");
    assert_text("Basic authentication, Basic dTpw, basic dTpwMQ==", "Basic authentication, Basic [redacted], basic [redacted]");
    assert_text("GET https://user:pa@ss@host:80/a@b", "GET https://[redacted]@host:80/a@b");
    assert_text("https://host/a@b", "https://host/a@b");
    assert_text("a -----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY----- b", "a [redacted] b");
    assert_text("-----BEGIN PRIVATE KEY-----\\nMIIE", "[redacted]");
    assert_text("-----BEGIN CERTIFICATE-----\nMIIE", "-----BEGIN CERTIFICATE-----\nMIIE");
    assert_text("AKIAIOSFODNN7EXAMPLE AKIAX", "[redacted] AKIAX");
    assert_text("(ghp_0123456789abcdefghij)", "([redacted])");
    assert_text("sk_live_0123456789 sk-is-only-a-hyphenated-word", "[redacted] sk-is-only-a-hyphenated-word");
    assert_text("eyJ eyJhbGciOiJIUzI1NiJ9.x", "eyJ eyJhbGciOiJIUzI1NiJ9.x");
}

static void cards_go_when_asked_for(void **state) {
    (void)state;
    assert_text("4111111111111111", "4111111111111111");
    dx_redactor_destroy(redactor);
    redactor = dx_redactor_create(&(dx_redact_options){.no_patterns = true, .cards = true});
    assert_text("pay 4111 1111 1111 1111 now, 4242-4242-4242-4242.", "pay [redacted] now, [redacted].");
    assert_text("2024-01-02 4111111111111111", "2024-01-02 [redacted]");
    assert_text("4111111111111112 0000000000000000 12345678901234567890", "4111111111111112 0000000000000000 12345678901234567890");
    assert_text("AKIAIOSFODNN7EXAMPLE", "AKIAIOSFODNN7EXAMPLE");
    assert_becomes(dx_redact_json, "{\"n\":4111111111111111,\"m\":4111111111111112}", "{\"n\":\"[redacted]\",\"m\":4111111111111112}");
}

static void urls_and_forms_lose_the_values_of_their_secret_parameters(void **state) {
    (void)state;
    know("hush");
    assert_becomes(dx_redact_url, "https://u:p@h/hush?a=1&access%5Ftoken=x&code=7&b=%68ush#id_token=y&z=1",
                   "https://[redacted]@h/[redacted]?a=1&access%5Ftoken=[redacted]&code=[redacted]&b=[redacted]#id_token=[redacted]&z=1");
    assert_becomes(dx_redact_url, "/a?X-Amz-Signature=ab&X-Amz-Date=1&key", "/a?X-Amz-Signature=[redacted]&X-Amz-Date=1&key");
    assert_becomes(dx_redact_url, "/code=1", "/code=1");
    assert_becomes(dx_redact_form, "grant_type=password&username=u&password=a+b&user%5Bpassword%5D=c&&x",
                   "grant_type=password&username=u&password=[redacted]&user%5Bpassword%5D=[redacted]&&x");
}

static void assert_field(const char *name, const char *value, const char *wanted) {
    dx_buffer_clear(&out);
    assert_int_equal(dx_redact_field(redactor, &out, dx_slice_str(name), dx_slice_str(value)), DX_OK);
    if (!dx_slice_equal(dx_buffer_slice(&out), dx_slice_str(wanted)))
        fail_msg("%s: %s became %.*s", name, value, DX_SLICE_ARG(dx_buffer_slice(&out)));
}

static void header_fields_keep_what_may_be_seen(void **state) {
    (void)state;
    know("hush");
    assert_field("Authorization", "Bearer abc", "Bearer [redacted]");
    assert_field("authorization", "abc", "[redacted]");
    assert_field("Proxy-Authorization", "Digest username=\"a\", response=\"b\"", "Digest [redacted]");
    assert_field("Cookie", "sid=1; theme=dark;x", "sid=[redacted]; theme=[redacted]; [redacted]");
    assert_field("Set-Cookie", "sid=1; Path=/; HttpOnly", "sid=[redacted]; Path=/; HttpOnly");
    assert_field("X-Api-Key", "abc", "[redacted]");
    assert_field("Location", "/cb?code=1&state=hush", "/cb?code=[redacted]&state=[redacted]");
    assert_field("Accept", "text/plain", "text/plain");
    assert_field("X-Other", "a hush b", "a [redacted] b");
    assert_field("Authorization", "", "");
}

static void json_keeps_its_structure(void **state) {
    (void)state;
    know("hush\"hush");
    know("123456");
    assert_becomes(dx_redact_json,
                   " {\"a\": [1.0, 1e400, 123456, 0.1234567, true, null], \"hush\\\"hush\": {\"b\": \"x hush\\u0022hush\"}}",
                   "{\"a\":[1.0,1e400,\"[redacted]\",\"0.[redacted]7\",true,null],\"[redacted]\":{\"b\":\"x [redacted]\"}}");
    assert_becomes(dx_redact_json,
                   "{\"password\":\"x\",\"token\":{\"a\":[1]},\"secret\":5,\"api_key\":null,\"has_password\":true,\"next_token\":\"n\"}",
                   "{\"password\":\"[redacted]\",\"token\":\"[redacted]\",\"secret\":\"[redacted]\",\"api_key\":null,\"has_password\":true,"
                   "\"next_token\":\"n\"}");
    assert_becomes(dx_redact_json, "{\"log\":\"{\\\"password\\\":\\\"x y\\\"}\"}", "{\"log\":\"{\\\"password\\\":\\\"[redacted]\\\"}\"}");
    assert_becomes(dx_redact_json, "{\"password\":\"x\", broken", "{\"password\":\"[redacted]\", broken");
    assert_becomes(dx_redact_json, "", "");
    know("a\",\"b");
    assert_becomes(dx_redact_json, "[\"a\", \"b\"]", "[\"[redacted]\"]");
}

static void json_too_deep_is_cut(void **state) {
    (void)state;
    char text[2 * (DX_REDACT_DEPTH_CAP + 1) + 1] = "";
    memset(text, '[', DX_REDACT_DEPTH_CAP + 1);
    memset(text + DX_REDACT_DEPTH_CAP + 1, ']', DX_REDACT_DEPTH_CAP + 1);
    dx_buffer_clear(&out);
    assert_int_equal(dx_redact_json(redactor, &out, dx_slice_str(text)), DX_OK);
    assert_int_equal(out.size, 2 * DX_REDACT_DEPTH_CAP + 12);
}

static void over_a_cap_it_fails_closed(void **state) {
    (void)state;
    char *big = malloc(DX_REDACT_VALUE_CAP + 1);
    memset(big, 'x', DX_REDACT_VALUE_CAP + 1);
    assert_int_equal(dx_redactor_add_value(redactor, dx_slice_of(big, DX_REDACT_VALUE_CAP + 1)), DX_TOO_LARGE);
    assert_int_equal(dx_redactor_add_value(redactor, dx_slice_of(big, DX_REDACT_VALUE_CAP)), DX_OK);
    for (size_t i = 1; i < 64; i++) assert_int_equal(dx_redactor_add_value(redactor, dx_slice_of(big, DX_REDACT_VALUE_CAP - i)), DX_OK);
    know("last"); // in the room that the shorter ones have left
    big[0] = 'y';
    assert_int_equal(dx_redactor_add_value(redactor, dx_slice_of(big, DX_REDACT_VALUE_CAP)), DX_TOO_LARGE);
    assert_text("last", "[redacted]");
    dx_buffer small;
    dx_buffer_init(&small, NULL, 12);
    assert_int_equal(dx_redact_text(redactor, &small, DX_SLICE("thirteen byte")), DX_TOO_LARGE);
    assert_true(small.size == 0);
    free(big);
    char *text = malloc(DX_REDACT_TEXT_CAP + 1);
    memset(text, 'a', DX_REDACT_TEXT_CAP + 1);
    dx_buffer_clear(&out);
    assert_int_equal(dx_redact_text(redactor, &out, dx_slice_of(text, DX_REDACT_TEXT_CAP + 1)), DX_TOO_LARGE);
    assert_true(dx_slice_equal(dx_buffer_slice(&out), DX_SLICE(DX_REDACTED)));
    free(text);
}

static void more_values_or_names_than_the_caps_are_refused(void **state) {
    (void)state;
    char text[32];
    for (int i = 0; i < DX_REDACT_VALUES_CAP; i++) {
        snprintf(text, sizeof text, "value-%d", i);
        know(text);
    }
    assert_int_equal(dx_redactor_add_value(redactor, DX_SLICE("one more")), DX_TOO_LARGE);
    assert_text("value-1234 one more", "[redacted] one more");
    for (int i = 0; i < DX_REDACT_NAMES_CAP; i++) {
        snprintf(text, sizeof text, "name%d", i);
        assert_int_equal(dx_redactor_add_name(redactor, dx_slice_str(text)), DX_OK);
    }
    assert_int_equal(dx_redactor_add_name(redactor, DX_SLICE("name7")), DX_OK);
    assert_int_equal(dx_redactor_add_name(redactor, DX_SLICE("one more")), DX_TOO_LARGE);
}

static void repetition_does_not_make_it_slow(void **state) {
    (void)state;
    // quadratic, each of these would take hours
    static const char *const units[] = {"a",           "eyJ-", "://", "a=\"",      "token ",   "\\",
                                        "-----BEGIN ", "%61",  "1 ",  "password=", "bearer a", "\\u0061"};
    char *secret = malloc(16000), *text = malloc(4 << 20);
    memset(secret, 'a', 16000);
    assert_int_equal(dx_redactor_add_value(redactor, dx_slice_of(secret, 16000)), DX_OK);
    assert_int_equal(dx_redactor_add_value(redactor, dx_slice_of(secret, 5000)), DX_OK);
    secret[15999] = 'b';
    assert_int_equal(dx_redactor_add_value(redactor, dx_slice_of(secret, 16000)), DX_OK);
    for (size_t i = 0; i < DX_COUNT_OF(units); i++) {
        size_t size = strlen(units[i]), total = (size_t)1 << 20;
        for (size_t at = 0; at < total; at++) text[at] = units[i][at % size];
        dx_buffer_clear(&out);
        assert_int_equal(dx_redact_text(redactor, &out, dx_slice_of(text, total)), DX_OK);
        assert_int_equal(dx_redact_json(redactor, &out, dx_slice_of(text, total)), DX_OK);
        if (i == 0) assert_true(out.size == 20);
    }
    free(secret);
    free(text);
}

static void without_memory_nothing_is_shown(void **state) {
    (void)state;
    for (uint64_t n = 1;; n++) {
        dx_memory_fail_at(n, false);
        dx_redactor *own = dx_redactor_create(NULL);
        dx_status status = own ? dx_redactor_add_value(own, DX_SLICE("hush-hush")) : DX_NO_MEMORY;
        if (status == DX_OK) status = dx_redactor_add_name(own, DX_SLICE("patient"));
        dx_buffer shown;
        dx_buffer_init(&shown, NULL, 1000);
        if (status == DX_OK) status = dx_redact_text(own, &shown, DX_SLICE("hush-hush password=x"));
        if (status == DX_OK) status = dx_redact_json(own, &shown, DX_SLICE("{\"a\":\"hush-hush\",\"patient\":\"x\"}"));
        bool failed = dx_memory_fail_stop();
        assert_true(status == DX_OK || (failed && status == DX_NO_MEMORY));
        assert_null(shown.size ? memmem(shown.data, shown.size, "hush", 4) : NULL);
        dx_buffer_deinit(&shown);
        dx_redactor_destroy(own);
        if (!failed) break;
    }
}

static void *redact_over_and_over(void *ctx) {
    dx_redactor *shared = ctx;
    for (int i = 0; i < 200; i++) {
        dx_buffer own;
        dx_buffer_init(&own, NULL, 1000);
        bool good = dx_redact_text(shared, &own, DX_SLICE("always-known and passing-by")) == DX_OK &&
                    memmem(own.data, own.size, "always", 6) == NULL;
        dx_buffer_deinit(&own);
        if (!good) return ctx;
    }
    return NULL;
}

static void *come_and_go(void *ctx) {
    dx_redactor *shared = ctx;
    for (int i = 0; i < 200; i++) {
        if (dx_redactor_add_value(shared, DX_SLICE("passing-by")) != DX_OK) return ctx;
        if (dx_redactor_add_name(shared, DX_SLICE("patient")) != DX_OK) return ctx;
        dx_redactor_remove_value(shared, DX_SLICE("passing-by"));
    }
    return NULL;
}

static void values_come_and_go_while_others_redact(void **state) {
    (void)state;
    know("always-known");
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, i % 2 ? come_and_go : redact_over_and_over, redactor), 0);
    for (int i = 0; i < 4; i++) {
        void *failed;
        assert_int_equal(pthread_join(threads[i], &failed), 0);
        assert_null(failed);
    }
    assert_text("passing-by", "passing-by");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(known_values_go_wherever_they_stand, start, stop),
        cmocka_unit_test_setup_teardown(base64_hides_nothing_at_any_place, start, stop),
        cmocka_unit_test_setup_teardown(of_two_values_nothing_of_the_longer_stays, start, stop),
        cmocka_unit_test_setup_teardown(values_are_forgotten_when_the_last_who_added_them_lets_go, start, stop),
        cmocka_unit_test_setup_teardown(names_of_secrets_are_known_in_every_spelling, start, stop),
        cmocka_unit_test_setup_teardown(values_under_secret_names_go_from_text, start, stop),
        cmocka_unit_test_setup_teardown(what_looks_like_a_secret_goes, start, stop),
        cmocka_unit_test_setup_teardown(cards_go_when_asked_for, start, stop),
        cmocka_unit_test_setup_teardown(urls_and_forms_lose_the_values_of_their_secret_parameters, start, stop),
        cmocka_unit_test_setup_teardown(header_fields_keep_what_may_be_seen, start, stop),
        cmocka_unit_test_setup_teardown(json_keeps_its_structure, start, stop),
        cmocka_unit_test_setup_teardown(json_too_deep_is_cut, start, stop),
        cmocka_unit_test_setup_teardown(over_a_cap_it_fails_closed, start, stop),
        cmocka_unit_test_setup_teardown(more_values_or_names_than_the_caps_are_refused, start, stop),
        cmocka_unit_test_setup_teardown(repetition_does_not_make_it_slow, start, stop),
        cmocka_unit_test_setup_teardown(without_memory_nothing_is_shown, start, stop),
        cmocka_unit_test_setup_teardown(values_come_and_go_while_others_redact, start, stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
