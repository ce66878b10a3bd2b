// The filters that look at where a request came from: trusted proxies, redirects to TLS, certificates of clients, HSTS.
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/memory.h"
#include "server/parts.h"

const dx_feature *const dx_features[] = {NULL};

typedef struct fixture {
    dx_exchange x;
    dx_settings settings;
    dx_ranges *proxies, *deny, *allow;
} fixture;

static dx_ranges *ranges(const char *one, const char *two) {
    dx_slice texts[] = {dx_slice_str(one), dx_slice_str(two)};
    dx_ranges *made = NULL;
    assert_int_equal(dx_ranges_create(&made, texts, two ? 2 : 1, DX_SLICE(""), NULL), DX_OK);
    return made;
}

static int set_up(void **state) {
    fixture *f = calloc(1, sizeof *f);
    dx_exchange_init(&f->x, dx_arena_create(1u << 20), NULL, 0);
    f->x.request.path = f->x.request.target = DX_SLICE("/items");
    f->x.request.peer = DX_SLICE("10.0.0.1:4711");
    f->proxies = ranges("10.0.0.0/8", "unix");
    f->deny = ranges("192.0.2.66", NULL);
    f->settings.gate = (dx_gate_rules){.proxies = f->proxies, .deny = f->deny};
    f->settings.redirect_port = 443;
    assert_int_equal(dx_problem_setup(), DX_OK);
    *state = f;
    return 0;
}

static int tear_down(void **state) {
    fixture *f = *state;
    dx_arena_destroy(f->x.arena);
    dx_ranges_destroy(f->proxies);
    dx_ranges_destroy(f->deny);
    dx_ranges_destroy(f->allow);
    free(f);
    return 0;
}

static void again(fixture *f, const char *peer) {
    dx_exchange_request fresh = {.path = DX_SLICE_INIT("/items"), .peer = dx_slice_str(peer)};
    f->x.request = fresh;
    f->x.response = (dx_exchange_response){0};
}

static void give(fixture *f, const char *name, const char *value) {
    assert_int_equal(dx_fields_add(&f->x.request.fields, f->x.arena, dx_slice_str(name), dx_slice_str(value)), DX_OK);
}

static void assert_peer(fixture *f, const char *peer) {
    assert_int_equal(dx_forwarded_filter.in(&f->settings, &f->x), DX_NEXT);
    if (!dx_slice_equal(f->x.request.peer, dx_slice_str(peer))) fail_msg("%.*s", DX_SLICE_ARG(f->x.request.peer));
}

// --- X-Forwarded-For -------------------------------------------------------------------------------------------------------

static void nobody_but_a_trusted_proxy_is_believed(void **state) {
    fixture *f = *state;
    again(f, "192.0.2.1:99");
    give(f, "x-forwarded-for", "198.51.100.7");
    give(f, "x-forwarded-proto", "https");
    assert_peer(f, "192.0.2.1:99");
    assert_false(f->x.request.secure);
}

static void the_client_is_the_last_that_is_no_trusted_proxy(void **state) {
    fixture *f = *state;
    static const struct {
        const char *list, *peer;
    } rows[] = {
        {"198.51.100.7", "198.51.100.7"},
        {"203.0.113.9, 198.51.100.7", "198.51.100.7"}, // what stands before it may be the client's invention
        {"198.51.100.7, 10.1.1.1, 10.2.2.2", "198.51.100.7"},
        {"198.51.100.7:5000", "198.51.100.7:5000"},
        {"2001:db8::7", "[2001:db8::7]"},
        {"[2001:db8::7]:5000", "[2001:db8::7]:5000"},
        {"10.1.1.1", "10.1.1.1"}, // all are trusted: the one furthest off
        {"rubbish, 10.1.1.1", "10.1.1.1"},
        {"198.51.100.7, rubbish", "10.0.0.1:4711"},
        {"", "10.0.0.1:4711"},
        {",", "10.0.0.1:4711"},
        {"localhost", "10.0.0.1:4711"},
        {"198.51.100.7, unknown", "unknown"},
    };
    for (size_t i = 0; i < DX_COUNT_OF(rows); i++) {
        again(f, "10.0.0.1:4711");
        give(f, "x-forwarded-for", rows[i].list);
        assert_peer(f, rows[i].peer);
    }
}

static void several_fields_are_one_list(void **state) {
    fixture *f = *state;
    give(f, "x-forwarded-for", "203.0.113.9");
    give(f, "X-Forwarded-For", "198.51.100.7");
    give(f, "x-forwarded-for", "10.1.1.1");
    assert_peer(f, "198.51.100.7");
}

static void a_chain_without_end_is_not_walked_to_its_front(void **state) {
    fixture *f = *state;
    for (int i = 0; i < 40; i++) give(f, "x-forwarded-for", i ? "10.1.1.1" : "198.51.100.7");
    assert_peer(f, "10.1.1.1");
}

static void proxies_on_unix_sockets_are_believed_when_named(void **state) {
    fixture *f = *state;
    again(f, "unix");
    give(f, "x-forwarded-for", "198.51.100.7");
    assert_peer(f, "198.51.100.7");
}

static void the_protocol_is_the_nearest_proxys_word(void **state) {
    fixture *f = *state;
    static const struct {
        const char *value;
        bool before, after;
    } rows[] = {{"https", false, true}, {"HTTPS", false, true},       {"http", true, false},       {"ftp", true, true},
                {"ftp", false, false},  {"http, https", false, true}, {"https, http", true, false}};
    for (size_t i = 0; i < DX_COUNT_OF(rows); i++) {
        again(f, "10.0.0.1:4711");
        f->x.request.secure = rows[i].before;
        give(f, "x-forwarded-proto", rows[i].value);
        assert_peer(f, "10.0.0.1:4711");
        assert_int_equal(f->x.request.secure, rows[i].after);
    }
}

// --- Forwarded -------------------------------------------------------------------------------------------------------------

static void only_the_field_that_is_chosen_counts(void **state) {
    fixture *f = *state;
    give(f, "forwarded", "for=203.0.113.9;proto=https");
    assert_peer(f, "10.0.0.1:4711");
    assert_false(f->x.request.secure);
    f->settings.reads_forwarded = true;
    give(f, "x-forwarded-for", "198.51.100.7");
    give(f, "x-forwarded-proto", "http");
    assert_peer(f, "203.0.113.9");
    assert_true(f->x.request.secure);
}

static void forwarded_is_walked_likewise(void **state) {
    fixture *f = *state;
    static const struct {
        const char *value, *peer;
        bool secure;
    } rows[] = {
        {"for=198.51.100.7;proto=https, for=10.1.1.1;proto=http", "198.51.100.7", true},
        {"for=\"[2001:db8::7]:80\";proto=http", "[2001:db8::7]:80", false},
        {"for=\"evil, for=198.51.100.7", "198.51.100.7", false},
        {"for=203.0.113.9;proto=https, for=_hidden;proto=http", "_hidden", false},
        {"for=203.0.113.9, proto=https", "10.0.0.1:4711", false},
        {"for=203.0.113.9, for=;proto=https", "10.0.0.1:4711", false},
    };
    f->settings.reads_forwarded = true;
    for (size_t i = 0; i < DX_COUNT_OF(rows); i++) {
        again(f, "10.0.0.1:4711");
        give(f, "forwarded", rows[i].value);
        assert_peer(f, rows[i].peer);
        assert_int_equal(f->x.request.secure, rows[i].secure);
    }
}

// --- lists -----------------------------------------------------------------------------------------------------------------

static dx_verdict pass(fixture *f, const char *list) {
    again(f, "10.0.0.1:4711");
    if (list) give(f, "x-forwarded-for", list);
    return dx_forwarded_filter.in(&f->settings, &f->x);
}

static void lists_judge_whom_the_proxy_speaks_for(void **state) {
    fixture *f = *state;
    assert_int_equal(pass(f, "192.0.2.66"), DX_ANSWER);
    assert_int_equal(f->x.response.status, 403);
    assert_int_equal(pass(f, "192.0.2.67"), DX_NEXT);
    f->settings.gate.allow = f->allow = ranges("192.0.2.0/24", NULL);
    assert_int_equal(pass(f, "192.0.2.67"), DX_NEXT);
    assert_int_equal(pass(f, "192.0.2.66"), DX_ANSWER);
    assert_int_equal(pass(f, "198.51.100.7"), DX_ANSWER);
    assert_int_equal(pass(f, "unknown"), DX_ANSWER); // who is not known is not allowed
    assert_int_equal(pass(f, NULL), DX_NEXT);        // the proxy itself
    assert_int_equal(pass(f, "10.1.1.1"), DX_NEXT);
}

static void without_memory_the_request_is_refused(void **state) {
    fixture *f = *state;
    dx_arena *small = dx_arena_create(512), *before = f->x.arena;
    give(f, "x-forwarded-for", "198.51.100.7");
    while (dx_arena_alloc(small, 16)) {
    }
    f->x.arena = small;
    assert_int_equal(dx_forwarded_filter.in(&f->settings, &f->x), DX_ANSWER);
    assert_int_equal(f->x.response.status, 503);
    f->x.arena = before;
    dx_arena_destroy(small);
}

// --- redirects -------------------------------------------------------------------------------------------------------------

static void a_redirecting_address_keeps_host_path_and_query(void **state) {
    fixture *f = *state;
    static const struct {
        const char *host;
        uint16_t port;
        const char *path, *query, *location; // location NULL: 400
    } rows[] = {
        {"api.example", 443, "/items", NULL, "https://api.example/items"},
        {"api.example:8080", 443, "/items", "a=1&b=%20", "https://api.example/items?a=1&b=%20"},
        {"api.example", 8443, "/", "", "https://api.example:8443/?"},
        {"[2001:db8::1]:80", 8443, "/x", NULL, "https://[2001:db8::1]:8443/x"},
        {"127.0.0.1", 443, "*", NULL, "https://127.0.0.1/"},
        {"", 443, "/", NULL, NULL},
        {"a/b", 443, "/", NULL, NULL},
        {"a@b", 443, "/", NULL, NULL},
        {"a:b", 443, "/", NULL, NULL},
        {"[::1", 443, "/", NULL, NULL},
        {"[a]b", 443, "/", NULL, NULL},
        {"[::1]@evil", 443, "/", NULL, NULL},
        {NULL, 443, "/", NULL, NULL},
    };
    for (size_t i = 0; i < DX_COUNT_OF(rows); i++) {
        again(f, "192.0.2.1:1");
        f->x.request.tag = DX_TAG_REDIRECT;
        f->x.request.path = dx_slice_str(rows[i].path);
        f->x.request.query = dx_slice_str(rows[i].query);
        f->settings.redirect_port = rows[i].port;
        if (rows[i].host) give(f, "host", rows[i].host);
        assert_int_equal(dx_redirect_filter.in(&f->settings, &f->x), DX_ANSWER);
        assert_int_equal(f->x.response.status, rows[i].location ? 308 : 400);
        dx_slice location = dx_fields_find(&f->x.response.fields, DX_SLICE("location"));
        if (rows[i].location && !dx_slice_equal(location, dx_slice_str(rows[i].location))) fail_msg("%.*s", DX_SLICE_ARG(location));
    }
}

static void other_addresses_and_secure_requests_are_not_redirected(void **state) {
    fixture *f = *state;
    give(f, "host", "a");
    assert_int_equal(dx_redirect_filter.in(&f->settings, &f->x), DX_NEXT);
    f->x.request.tag = DX_TAG_REDIRECT;
    f->x.request.secure = true; // a proxy has done TLS
    assert_int_equal(dx_redirect_filter.in(&f->settings, &f->x), DX_NEXT);
}

// --- HSTS ------------------------------------------------------------------------------------------------------------------

static void hsts_is_sent_over_tls_alone(void **state) {
    fixture *f = *state;
    dx_edge edge;
    f->settings.hsts = DX_SLICE("max-age=31536000");
    dx_edge_init(&edge, &f->settings, (dx_slice){NULL, 0});
    dx_edge_filter.out(&edge, &f->x);
    assert_null(dx_fields_find(&f->x.response.fields, DX_SLICE("strict-transport-security")).data);
    f->x.request.secure = true;
    dx_edge_filter.out(&edge, &f->x);
    dx_slice sent = dx_fields_find(&f->x.response.fields, DX_SLICE("strict-transport-security"));
    assert_true(dx_slice_equal(sent, DX_SLICE("max-age=31536000")));
}

// --- certificates ----------------------------------------------------------------------------------------------------------

static const dx_slice admin[] = {DX_SLICE_INIT("admin")};
static const dx_certificate_roles robot[] = {{DX_SLICE_INIT("CN=robot,O=x"), admin, 1}};

static void a_certificates_subject_is_the_principal(void **state) {
    fixture *f = *state;
    f->settings.certificate_roles = robot;
    f->settings.certificate_role_count = 1;
    assert_int_equal(dx_certificate_filter.in(&f->settings, &f->x), DX_NEXT);
    assert_null(f->x.principal);
    f->x.request.certificate_subject = DX_SLICE("CN=robot,O=x");
    assert_int_equal(dx_certificate_filter.in(&f->settings, &f->x), DX_NEXT);
    assert_non_null(f->x.principal);
    assert_true(dx_slice_equal(f->x.principal->name, DX_SLICE("CN=robot,O=x")));
    assert_true(dx_slice_starts(f->x.principal->id, DX_SLICE("cert:")));
    assert_true(dx_principal_has_role(f->x.principal, DX_SLICE("admin")));
    int64_t number = f->x.principal->number;
    f->x.principal = NULL;
    f->x.request.certificate_subject = DX_SLICE("CN=robot,O=y");
    assert_int_equal(dx_certificate_filter.in(&f->settings, &f->x), DX_NEXT);
    assert_false(dx_principal_has_role(f->x.principal, DX_SLICE("admin")));
    assert_int_not_equal(f->x.principal->number, number);
}

static void a_token_wins_over_a_certificate(void **state) {
    fixture *f = *state;
    static const dx_principal john = {.id = DX_SLICE_INIT("1"), .number = 1};
    f->x.principal = &john;
    f->x.request.certificate_subject = DX_SLICE("CN=robot,O=x");
    assert_int_equal(dx_certificate_filter.in(&f->settings, &f->x), DX_NEXT);
    assert_ptr_equal(f->x.principal, &john);
}

static void numbers_of_subjects_stay_and_are_no_accounts(void **state) {
    (void)state;
    // Rows are owned by these: they must not change from one version to the next.
    assert_true(dx_certificate_number(DX_SLICE("CN=robot,O=x")) == INT64_C(-4172850517855096));
    for (char c = 'a'; c <= 'z'; c++) {
        int64_t number = dx_certificate_number(dx_slice_of(&c, 1));
        assert_true(number < 0 && number >= -(INT64_C(1) << 52));
    }
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(nobody_but_a_trusted_proxy_is_believed),
        TEST(the_client_is_the_last_that_is_no_trusted_proxy),
        TEST(several_fields_are_one_list),
        TEST(a_chain_without_end_is_not_walked_to_its_front),
        TEST(proxies_on_unix_sockets_are_believed_when_named),
        TEST(the_protocol_is_the_nearest_proxys_word),
        TEST(only_the_field_that_is_chosen_counts),
        TEST(forwarded_is_walked_likewise),
        TEST(lists_judge_whom_the_proxy_speaks_for),
        TEST(without_memory_the_request_is_refused),
        TEST(a_redirecting_address_keeps_host_path_and_query),
        TEST(other_addresses_and_secure_requests_are_not_redirected),
        TEST(hsts_is_sent_over_tls_alone),
        TEST(a_certificates_subject_is_the_principal),
        TEST(a_token_wins_over_a_certificate),
        TEST(numbers_of_subjects_stay_and_are_no_accounts),
    };
    return cmocka_run_group_tests_name("forwarded", tests, NULL, NULL);
}
