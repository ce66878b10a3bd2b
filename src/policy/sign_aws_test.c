// AWS Signature Version 4 against the cases of AWS's published test suite (service "service", 2015-08-30), the examples of S3's
// documentation, and what must be refused.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/memory.h"
#include "codec/text.h"
#include "policy/sign_aws.h"

static dx_arena *arena;

static int make_arena(void **state) {
    (void)state;
    arena = dx_arena_create(16 << 20);
    return arena ? 0 : -1;
}

static int drop_arena(void **state) {
    (void)state;
    dx_arena_destroy(arena);
    return 0;
}

static dx_micros_utc at(const char *text) {
    dx_micros_utc time;
    assert_true(dx_time_read(dx_slice_str(text), &time));
    return time;
}

#define FIELDS_CAP 8
typedef struct field_text {
    const char *name, *value;
} field_text;

static dx_fields fields_of(dx_field *items, const field_text *from) {
    dx_fields fields = {items, 0, FIELDS_CAP};
    for (size_t i = 0; i < FIELDS_CAP && from[i].name; i++)
        assert_int_equal(dx_fields_add(&fields, arena, dx_slice_str(from[i].name), dx_slice_str(from[i].value)), DX_OK);
    return fields;
}

// The signature at the end of what was made.
static void assert_signature(dx_slice text, const char *wanted) {
    assert_true(text.size > 64);
    dx_slice made = dx_slice_from(text, text.size - 64);
    if (!dx_slice_equal(made, dx_slice_str(wanted))) fail_msg("%.*s is not %s", DX_SLICE_ARG(made), wanted);
}

static const dx_sign_aws suite = {
    .access_key_id = DX_SLICE_INIT("AKIDEXAMPLE"),
    .secret_access_key = DX_SLICE_INIT("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"),
    .region = DX_SLICE_INIT("us-east-1"),
    .service = DX_SLICE_INIT("service"),
};

#define ALL_LETTERS "-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

typedef struct suite_case {
    const char *name, *method, *path, *query, *body;
    field_text fields[FIELDS_CAP];
    const char *names, *signature;
} suite_case;

static const suite_case suite_cases[] = {
    {"get-vanilla", "GET", "/", "", "", {{0}}, "host;x-amz-date", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
    {"get-header-key-duplicate",
     "GET",
     "/",
     "",
     "",
     {{"My-Header1", "value2"}, {"my-header1", "value2"}, {"My-Header1", "value1"}},
     "host;my-header1;x-amz-date",
     "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea"},
    {"get-header-value-multiline",
     "GET",
     "/",
     "",
     "",
     {{"My-Header1", "value1"}, {"My-Header1", "value2"}, {"My-Header1", "value3"}},
     "host;my-header1;x-amz-date",
     "ba17b383a53190154eb5fa66a1b836cc297cc0a3d70a5d00705980573d8ff790"},
    {"get-header-value-order",
     "GET",
     "/",
     "",
     "",
     {{"My-Header1", "value4"}, {"My-Header1", "value1"}, {"My-Header1", "value3"}, {"My-Header1", "value2"}},
     "host;my-header1;x-amz-date",
     "08c7e5a9acfcfeb3ab6b2185e75ce8b1deb5e634ec47601a50643f830c755c01"},
    {"get-header-value-trim",
     "GET",
     "/",
     "",
     "",
     {{"My-Header1", " value1 "}, {"My-Header2", " \"a   b   c\" "}},
     "host;my-header1;my-header2;x-amz-date",
     "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736"},
    {"get-unreserved",
     "GET",
     "/" ALL_LETTERS,
     "",
     "",
     {{0}},
     "host;x-amz-date",
     "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f"},
    {"get-utf8",
     "GET",
     "/\xe1\x88\xb4",
     "",
     "",
     {{0}},
     "host;x-amz-date",
     "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85"},
    {"get-vanilla-empty-query-key",
     "GET",
     "/",
     "Param1=value1",
     "",
     {{0}},
     "host;x-amz-date",
     "a67d582fa61cc504c4bae71f336f98b97f1ea3c7a6bfe1b6e45aec72011b9aeb"},
    {"get-vanilla-query-order-key",
     "GET",
     "/",
     "Param1=value2&Param1=Value1",
     "",
     {{0}},
     "host;x-amz-date",
     "eedbc4e291e521cf13422ffca22be7d2eb8146eecf653089df300a15b2382bd1"},
    {"get-vanilla-query-order-key-case",
     "GET",
     "/",
     "Param2=value2&Param1=value1",
     "",
     {{0}},
     "host;x-amz-date",
     "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"},
    {"get-vanilla-query-order-value",
     "GET",
     "/",
     "Param1=value2&Param1=value1",
     "",
     {{0}},
     "host;x-amz-date",
     "5772eed61e12b33fae39ee5e7012498b51d56abc0abb7c60486157bd471c4694"},
    {"get-vanilla-query-unreserved",
     "GET",
     "/",
     ALL_LETTERS "=" ALL_LETTERS,
     "",
     {{0}},
     "host;x-amz-date",
     "9c3e54bfcdf0b19771a7f523ee5669cdf59bc7cc0884027167c21bb143a40197"},
    {"get-vanilla-utf8-query",
     "GET",
     "/",
     "\xe1\x88\xb4=bar",
     "",
     {{0}},
     "host;x-amz-date",
     "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04"},
    {"get-vanilla-utf8-query, encoded",
     "GET",
     "/",
     "%e1%88%B4=b%61r",
     "",
     {{0}},
     "host;x-amz-date",
     "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04"},
    {"get-relative",
     "GET",
     "/example/..",
     "",
     "",
     {{0}},
     "host;x-amz-date",
     "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
    {"get-relative-relative",
     "GET",
     "/example1/example2/../..",
     "",
     "",
     {{0}},
     "host;x-amz-date",
     "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
    {"get-slash", "GET", "//", "", "", {{0}}, "host;x-amz-date", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
    {"get-slash-dot-slash",
     "GET",
     "/./",
     "",
     "",
     {{0}},
     "host;x-amz-date",
     "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
    {"get-slashes",
     "GET",
     "//example//",
     "",
     "",
     {{0}},
     "host;x-amz-date",
     "9a624bd73a37c9a373b5312afbebe7a714a789de108f0bdfe846570885f57e84"},
    {"get-slash-pointless-dot",
     "GET",
     "/./example",
     "",
     "",
     {{0}},
     "host;x-amz-date",
     "ef75d96142cf21edca26f06005da7988e4f8dc83a165a80865db7089db637ec5"},
    {"get-space",
     "GET",
     "/example space/",
     "",
     "",
     {{0}},
     "host;x-amz-date",
     "652487583200325589f1fba4c7e578f72c47cb61beeca81406b39ddec1366741"},
    {"encoded once more",
     "GET",
     "/a%20b/c%2Fd",
     "",
     "",
     {{0}},
     "host;x-amz-date",
     "a015660cab6eca543492741e8b7debfa9e32f17beca099c5272132c01cdde558"},
    {"post-vanilla", "POST", "/", "", "", {{0}}, "host;x-amz-date", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"},
    {"post-header-key-case",
     "POST",
     "/",
     "",
     "",
     {{"HOST", "example.amazonaws.com"}},
     "host;x-amz-date",
     "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"},
    {"post-header-key-sort",
     "POST",
     "/",
     "",
     "",
     {{"My-Header1", "value1"}},
     "host;my-header1;x-amz-date",
     "c5410059b04c1ee005303aed430f6e6645f61f4dc9e1461ec8f8916fdf18852c"},
    {"post-header-value-case",
     "POST",
     "/",
     "",
     "",
     {{"My-Header1", "VALUE1"}},
     "host;my-header1;x-amz-date",
     "cdbc9802e29d2942e5e10b5bccfdd67c5f22c7c4e8ae67b53629efa58b974b7d"},
    {"post-vanilla-query",
     "POST",
     "/",
     "Param1=value1",
     "",
     {{0}},
     "host;x-amz-date",
     "28038455d6de14eafc1f9222cf5aa6f1a96197d7deb8263271d420d138af7f11"},
    {"post-vanilla-query-nonunreserved",
     "POST",
     "/",
     "%40%23%24%25%5E=&%2B=%2F%2C%3F%3E%3C%60%22%3B%3A%5C%7C%5D%5B%7B%7D",
     "",
     {{0}},
     "host;x-amz-date",
     "66c82657c86e26fb25238d0e69f011edc4c6df5ae71119d7cb98ed9b87393c1e"},
    {"post-vanilla-query-space",
     "POST",
     "/",
     "p=",
     "",
     {{0}},
     "host;x-amz-date",
     "e71688addb58a26418614085fb730ba3faa623b461c17f48f2fbdb9361b94a9b"},
    {"post-x-www-form-urlencoded",
     "POST",
     "/",
     "",
     "Param1=value1",
     {{"Content-Type", "application/x-www-form-urlencoded"}},
     "content-type;host;x-amz-date",
     "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a"},
    {"post-x-www-form-urlencoded-parameters",
     "POST",
     "/",
     "",
     "Param1=value1",
     {{"Content-Type", "application/x-www-form-urlencoded; charset=utf8"}},
     "content-type;host;x-amz-date",
     "1a72ec8f64bd914b0e42e42607c7fbce7fb2c7465f63e3092b3b0d39fa77a6fe"},
    {"what changes on the way",
     "GET",
     "/",
     "",
     "",
     {{"User-Agent", "x"}, {"X-Amz-Date", "2001"}, {"Authorization", "y"}, {"Content-Length", "0"}},
     "host;x-amz-date",
     "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
};

static void the_published_suite_is_signed_to_the_byte(void **state) {
    (void)state;
    for (size_t i = 0; i < DX_COUNT_OF(suite_cases); i++) {
        const suite_case *c = &suite_cases[i];
        print_message("%s\n", c->name);
        dx_field items[FIELDS_CAP], made[FIELDS_CAP];
        const dx_fields fields = fields_of(items, c->fields);
        dx_fields out = {made, 0, FIELDS_CAP};
        const dx_sign_request request = {.method = dx_slice_str(c->method),
                                         .path = dx_slice_str(c->path),
                                         .query = dx_slice_str(c->query),
                                         .host = DX_SLICE("example.amazonaws.com"),
                                         .fields = &fields,
                                         .body = dx_slice_str(c->body)};
        assert_int_equal(dx_sign_aws_fields(&out, arena, &suite, &request, at("2015-08-30T12:36:00Z")), DX_OK);
        assert_int_equal(out.count, 2);
        assert_true(dx_slice_equal(dx_fields_find(&out, DX_SLICE("x-amz-date")), DX_SLICE("20150830T123600Z")));
        char whole[512];
        snprintf(whole, sizeof whole,
                 "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders=%s, Signature=%s",
                 c->names, c->signature);
        dx_slice value = dx_fields_find(&out, DX_SLICE("authorization"));
        if (!dx_slice_equal(value, dx_slice_str(whole))) fail_msg("%.*s\nis not\n%s", DX_SLICE_ARG(value), whole);
    }
}

static void a_session_token_is_sent_and_signed(void **state) {
    (void)state;
    dx_sign_aws settings = suite;
    settings.session_token =
        DX_SLICE("AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXmxfpSPfIeoIYRqTflfKD8YUuwthAx7mSEI/"
                 "qkPpKPi/kMcGdQrmGdeehM4IC1NtBmUpp2wUE8phUZampKsburEDy0KPkyQDYwT7WZ0wq5VSXDvp75YU9HFvlRd8Tx6q6fE8YQcHNVXAkiY9q6d+"
                 "xo0rKwT38xVqr7ZD0u0iPPkUL64lIZbqBAz+scqKmlzm8FDrypNC9Yjc8fPOLn9FX9KSYvKTr4rvx3iSIlTJabIQwj2ICCR/oLxBA==");
    dx_fields out = {.items = NULL};
    const dx_sign_request request = {.method = DX_SLICE("POST"), .path = DX_SLICE("/"), .host = DX_SLICE("example.amazonaws.com")};
    assert_int_equal(dx_sign_aws_fields(&out, arena, &settings, &request, at("2015-08-30T12:36:00Z")), DX_OK);
    assert_true(dx_slice_equal(dx_fields_find(&out, DX_SLICE("x-amz-security-token")), settings.session_token));
    assert_signature(dx_fields_find(&out, DX_SLICE("authorization")), "85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead");
}

static const dx_sign_aws s3 = {
    .access_key_id = DX_SLICE_INIT("AKIAIOSFODNN7EXAMPLE"),
    .secret_access_key = DX_SLICE_INIT("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
    .region = DX_SLICE_INIT("us-east-1"),
    .service = DX_SLICE_INIT("s3"),
    .s3 = true,
};

static void the_examples_of_s3s_documentation_are_signed_to_the_byte(void **state) {
    (void)state;
    static const suite_case cases[] = {
        {"GET object",
         "GET",
         "/test.txt",
         "",
         "",
         {{"Range", "bytes=0-9"}},
         "",
         "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"},
        {"PUT object",
         "PUT",
         "/test%24file.text",
         "",
         "Welcome to Amazon S3.",
         {{"Date", "Fri, 24 May 2013 00:00:00 GMT"}, {"x-amz-storage-class", "REDUCED_REDUNDANCY"}},
         "",
         "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"},
        {"PUT object, not encoded",
         "PUT",
         "/test$file.text",
         "",
         "Welcome to Amazon S3.",
         {{"Date", "Fri, 24 May 2013 00:00:00 GMT"}, {"x-amz-storage-class", "REDUCED_REDUNDANCY"}},
         "",
         "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"},
        {"GET lifecycle", "GET", "/", "lifecycle", "", {{0}}, "", "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"},
        {"GET bucket",
         "GET",
         "/",
         "prefix=J&max-keys=2",
         "",
         {{0}},
         "",
         "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"},
    };
    for (size_t i = 0; i < DX_COUNT_OF(cases); i++) {
        const suite_case *c = &cases[i];
        print_message("%s\n", c->name);
        dx_field items[FIELDS_CAP];
        const dx_fields fields = fields_of(items, c->fields);
        dx_fields out = {.items = NULL};
        const dx_sign_request request = {.method = dx_slice_str(c->method),
                                         .path = dx_slice_str(c->path),
                                         .query = dx_slice_str(c->query),
                                         .host = DX_SLICE("examplebucket.s3.amazonaws.com"),
                                         .fields = &fields,
                                         .body = dx_slice_str(c->body)};
        assert_int_equal(dx_sign_aws_fields(&out, arena, &s3, &request, at("2013-05-24T00:00:00Z")), DX_OK);
        assert_signature(dx_fields_find(&out, DX_SLICE("authorization")), c->signature);
    }
}

static void a_presigned_url_is_that_of_the_documentation(void **state) {
    (void)state;
    dx_slice query;
    const dx_sign_request request = {
        .method = DX_SLICE("GET"), .path = DX_SLICE("/test.txt"), .host = DX_SLICE("examplebucket.s3.amazonaws.com")};
    assert_int_equal(dx_sign_aws_query(&query, arena, &s3, &request, at("2013-05-24T00:00:00Z"), 86400), DX_OK);
    dx_slice wanted =
        DX_SLICE("X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request"
                 "&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host"
                 "&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404");
    if (!dx_slice_equal(query, wanted)) fail_msg("%.*s", DX_SLICE_ARG(query));
    for (int64_t expires = -1; expires < 2; expires += 1)
        assert_int_equal(dx_sign_aws_query(&query, arena, &s3, &request, 0, expires), expires > 0 ? DX_OK : DX_INVALID);
    assert_int_equal(dx_sign_aws_query(&query, arena, &s3, &request, 0, DX_SIGN_AWS_EXPIRES_CAP), DX_OK);
    assert_int_equal(dx_sign_aws_query(&query, arena, &s3, &request, 0, DX_SIGN_AWS_EXPIRES_CAP + 1), DX_INVALID);
}

// Requests as curl 7.88.1 sent them by --aws-sigv4.
static void curl_signs_the_same(void **state) {
    (void)state;
    static const struct {
        suite_case request;
        const char *region, *service;
    } cases[] = {
        {{"query", "GET", "/a/b", "a=1&b=2", "", {{0}}, "", "2ecacf1c94b8a59b5d6bf9083f1c553b3506dc9e35a81e0fd9c6cef6abf98477"},
         "us-east-1",
         "service"},
        {{"body",
          "POST",
          "/x",
          "",
          "{\"a\":1}",
          {{"content-type", "application/json"}},
          "",
          "1f2fa1bf4cb92bf96007754959bc419502d21ef90f32b8eb6b718c955377a767"},
         "eu-west-1",
         "execute-api"},
        {{"field",
          "GET",
          "/bucket/key.txt",
          "",
          "",
          {{"x-amz-meta-x", "a  "}},
          "",
          "02a3bcc64a8f0c33db9922ff82dd6e872d5977f10062223351204f0de900ca16"},
         "us-east-1",
         "s3"},
    };
    for (size_t i = 0; i < DX_COUNT_OF(cases); i++) {
        const suite_case *c = &cases[i].request;
        dx_sign_aws settings = suite;
        settings.region = dx_slice_str(cases[i].region);
        settings.service = dx_slice_str(cases[i].service);
        dx_field items[FIELDS_CAP];
        const dx_fields fields = fields_of(items, c->fields);
        dx_fields out = {.items = NULL};
        const dx_sign_request request = {.method = dx_slice_str(c->method),
                                         .path = dx_slice_str(c->path),
                                         .query = dx_slice_str(c->query),
                                         .host = DX_SLICE("127.0.0.1:35859"),
                                         .fields = &fields,
                                         .body = dx_slice_str(c->body)};
        assert_int_equal(dx_sign_aws_fields(&out, arena, &settings, &request, at("2026-11-29T22:56:48Z")), DX_OK);
        assert_signature(dx_fields_find(&out, DX_SLICE("authorization")), c->signature);
    }
}

static void a_payload_that_is_not_signed_says_so(void **state) {
    (void)state;
    dx_sign_aws settings = suite;
    settings.unsigned_payload = true;
    dx_fields out = {.items = NULL}, again = {.items = NULL};
    dx_sign_request request = {.method = DX_SLICE("POST"), .path = DX_SLICE("/"), .host = DX_SLICE("h"), .body = DX_SLICE("one")};
    assert_int_equal(dx_sign_aws_fields(&out, arena, &settings, &request, 0), DX_OK);
    assert_true(dx_slice_equal(dx_fields_find(&out, DX_SLICE("x-amz-content-sha256")), DX_SLICE("UNSIGNED-PAYLOAD")));
    request.body = DX_SLICE("two");
    assert_int_equal(dx_sign_aws_fields(&again, arena, &settings, &request, 0), DX_OK);
    assert_true(dx_slice_equal(dx_fields_find(&out, DX_SLICE("authorization")), dx_fields_find(&again, DX_SLICE("authorization"))));
}

static void what_cannot_be_signed_is_refused(void **state) {
    (void)state;
    const dx_sign_request good = {.method = DX_SLICE("GET"), .path = DX_SLICE("/"), .host = DX_SLICE("h")};
    dx_fields out = {.items = NULL};
    dx_sign_request request = good;
    request.host = DX_SLICE("");
    assert_int_equal(dx_sign_aws_fields(&out, arena, &suite, &request, 0), DX_INVALID);
    request = good;
    request.query = DX_SLICE("a=%zz");
    assert_int_equal(dx_sign_aws_fields(&out, arena, &suite, &request, 0), DX_BAD_REQUEST);
    request = good;
    request.host = DX_SLICE("h\r\nx: y");
    assert_int_equal(dx_sign_aws_fields(&out, arena, &suite, &request, 0), DX_INVALID);
    for (int i = 0; i < 6; i++) {
        dx_sign_aws settings = suite;
        dx_slice *const wrong[] = {&settings.access_key_id, &settings.region,        &settings.service,
                                   &settings.session_token, &settings.access_key_id, &settings.secret_access_key};
        static const dx_slice values[] = {DX_SLICE_INIT("a/b"),  DX_SLICE_INIT("us east"), DX_SLICE_INIT(""),
                                          DX_SLICE_INIT("a\nb"), DX_SLICE_INIT("a, b"),    DX_SLICE_INIT("")};
        *wrong[i] = values[i];
        assert_int_equal(dx_sign_aws_fields(&out, arena, &settings, &good, 0), DX_INVALID);
    }
    char many[DX_SIGN_PAIRS_CAP + 1];
    memset(many, '&', sizeof many);
    request = good;
    request.query = dx_slice_of(many, DX_SIGN_PAIRS_CAP - 1);
    assert_int_equal(dx_sign_aws_fields(&out, arena, &suite, &request, 0), DX_OK);
    request.query = dx_slice_of(many, DX_SIGN_PAIRS_CAP);
    assert_int_equal(dx_sign_aws_fields(&out, arena, &suite, &request, 0), DX_TOO_LARGE);
}

static void without_memory_nothing_is_signed(void **state) {
    (void)state;
    const dx_sign_request request = {.method = DX_SLICE("GET"), .path = DX_SLICE("/a"), .query = DX_SLICE("b=c"), .host = DX_SLICE("h")};
    for (uint64_t n = 1;; n++) {
        dx_arena *small = dx_arena_create(1 << 20);
        assert_non_null(small);
        dx_fields out = {.items = NULL};
        dx_memory_fail_at(n, true);
        dx_status status = dx_sign_aws_fields(&out, small, &suite, &request, 0);
        bool failed = dx_memory_fail_stop();
        dx_arena_destroy(small);
        assert_int_equal(status, failed ? DX_NO_MEMORY : DX_OK);
        if (!failed) break;
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_published_suite_is_signed_to_the_byte),
        cmocka_unit_test(a_session_token_is_sent_and_signed),
        cmocka_unit_test(the_examples_of_s3s_documentation_are_signed_to_the_byte),
        cmocka_unit_test(a_presigned_url_is_that_of_the_documentation),
        cmocka_unit_test(curl_signs_the_same),
        cmocka_unit_test(a_payload_that_is_not_signed_says_so),
        cmocka_unit_test(what_cannot_be_signed_is_refused),
        cmocka_unit_test(without_memory_nothing_is_signed),
    };
    return cmocka_run_group_tests(tests, make_arena, drop_arena);
}
