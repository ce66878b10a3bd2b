// What refuses to start, and the root secret's file.
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/memory.h"
#include "server/toy_app.h"

#define STRONG "9f3c1b7a55e0d2468ace13579bdf0246"
#define QUIET  "\"log\": {\"level\": \"off\"}"

static dx_status create(toy *t, const char *section, const dx_app_options *options) {
    toy_prepare(t, section);
    return toy_create(t, options);
}

static bool is_told(const toy *t, const char *pointer, const char *words) {
    for (const dx_diag *diag = t->diags.first; diag; diag = diag->next)
        if (dx_slice_equal(diag->pointer, dx_slice_str(pointer)) && strstr(dx_diag_text(diag, t->arena).data, words)) return true;
    for (const dx_diag *diag = t->diags.first; diag; diag = diag->next) print_error("told: %s\n", dx_diag_text(diag, t->arena).data);
    return false;
}

#define PAIR      "{\"certificate\": \"c.pem\", \"key\": \"k.pem\"}"
#define TLS_AT(a) "\"tls\": {\"certificates\": [" PAIR "]}, \"listen\": [{\"address\": \"" a "\", \"tls\": true}"

static void unsafe_definitions_refuse_to_start(void **state) {
    static const struct {
        const char *section, *pointer, *words;
    } rows[] = {
        {"\"cors\": {\"origins\": [\"*\"], \"credentials\": true}", "/server/cors/credentials", "name the origins"},
        {"\"cors\": {\"origins\": [\"https://a.example/path\"]}", "/server/cors/origins/0", "without a path"},
        {"\"mode\": \"development\", \"listen\": \"0.0.0.0:8080\"", "/server/mode", "production"},
        {"\"mode\": \"development\", \"listen\": \"[::]:8080\"", "/server/mode", "production"},
        {"\"listen\": \"8080\"", "/server/listen", "HOST:PORT"},
        {"\"listen\": \"127.0.0.1:65536\"", "/server/listen", "65535"},
        {"\"listen\": \"example.com:80\"", "/server/listen", "IP address"},
        {"\"store\": \"blog.db\"", "/server/store", "sqlite:FILE"},
        {"\"secret\": \"short\"", "/server/secret", "shorter than 32 bytes"},
        {"\"secret\": \"change-me-Zq7xK2vR9tLw3bNcY5uHd8Jf\"", "/server/secret", "examples use"},
        {"\"secret\": \"abababababababababababababababababab\"", "/server/secret", "repeats"},
        {"\"limits\": {\"head\": \"1B\"}", "/server/limits/head", "1024"},
        {"\"timeouts\": {\"idle\": \"0s\"}", "/server/timeouts/idle", "over 0"},
        {"\"timeouts\": {\"idle\": \"soon\"}", "/server/timeouts/idle", ""},
        {"\"spool_folder\": \"relative\"", "/server/spool_folder", "absolute path"},
        {"\"spool_folder\": \"/no/such/folder\"", "/server/spool_folder", "No such file"},
        {"\"limits\": {\"inflate_ratio\": 0}", "/server/limits/inflate_ratio", "1"},
        {"\"lisen\": \"127.0.0.1:80\"", "/server/lisen", "listen"},
        {"\"listen\": []", "/server/listen", ""},
        {"\"listen\": [\"127.0.0.1:1\", \"::1:80\"]", "/server/listen/1", "HOST:PORT"},
        {"\"listen\": [\"127.0.0.1:81\", \"localhost:81\"]", "/server/listen/1", "listened on already, by /server/listen/0"},
        {"\"listen\": [\"*:81\", \"0.0.0.0:81\"]", "/server/listen/1", "leave one of them out"},
        {"\"listen\": [\"*:81\", \"127.0.0.1:81\"]", "/server/listen/1", "127.0.0.1:81 is among the addresses of /server/listen/0"},
        {"\"listen\": [\"[::1]:81\", \"[::]:81\"]", "/server/listen/1", "[::]:81 takes in the address of /server/listen/0"},
        {"\"listen\": [\"unix:a\", \"unix:a\"]", "/server/listen/1", "leave one of them out"},
        {"\"listen\": \"*:0\"", "/server/listen", "from 1 to 65535"},
        {"\"listen\": \"unix:@x\"", "/server/listen", "path of a file"},
        {"\"listen\": \"systemd:\"", "/server/listen", "systemd:NAME"},
        {"\"listen\": [{\"address\": \"127.0.0.1:1\", \"mode\": \"0600\"}]", "/server/listen/0", "unix socket alone"},
        {"\"listen\": [{\"address\": \"unix:a\", \"mode\": \"600\"}]", "/server/listen/0/mode", ""},
        {"\"listen\": [{\"addres\": \"127.0.0.1:1\"}]", "/server/listen/0/addres", "address"},
        {"\"mode\": \"development\", \"listen\": [\"127.0.0.1:1\", \"192.0.2.1:1\"]", "/server/mode", "192.0.2.1:1"},
        {"\"mode\": \"development\", \"listen\": \"systemd:0\"", "/server/mode", "systemd:0"},
        {"\"listen\": [{\"address\": \"127.0.0.1:1\", \"tls\": true}]", "/server/listen/0", "duplex cert self-signed"},
        {"\"tls\": {\"certificates\": [" PAIR "]}", "/server/tls/certificates", "never be used"},
        {"\"tls\": {\"certificates\": [{\"certificate\": \"a\"}]}", "/server/tls/certificates/0/key", "required"},
        {"\"listen\": [{\"address\": \"127.0.0.1:1\", \"redirect\": \"https\"}]", "/server/listen/0", "leads nowhere"},
        {TLS_AT("127.0.0.1:0") ", {\"address\": \"127.0.0.1:1\", \"redirect\": \"https\"}]", "/server/listen/1", "https:443"},
        {TLS_AT("127.0.0.1:2") ", {\"address\": \"127.0.0.1:1\", \"redirect\": \"https:65536\"}]", "/server/listen/1", "65535"},
        {TLS_AT("127.0.0.1:2") ", {\"address\": \"127.0.0.1:1\", \"tls\": true, \"redirect\": \"https\"}]", "/server/listen/1",
         "in the clear"},
        {"\"tls\": {\"client\": {\"required\": true}}", "/server/tls/client", "without \"ca\""},
        {"\"tls\": {\"client\": {\"roles\": {\"CN=a\": [\"admin\"]}}}", "/server/tls/client", "without \"ca\""},
        {"\"tls\": {\"client\": {\"ca\": \"/c\", \"roles\": {\"/CN=a\": [\"admin\"]}}}", "/server/tls/client/roles/~1CN=a",
         "no certificate has"},
        {"\"hsts\": {\"max_age\": \"3651d\"}", "/server/hsts/max_age", "3650d"},
        {"\"hsts\": {\"preload\": true}", "/server/hsts/preload", "include their subdomains"},
        {"\"allow\": [\"10.0.0.0/8\", \"10.0.0.1/8\"]", "/server/allow/1", "10.0.0.0/8"},
        {"\"deny\": [\"nobody\"]", "/server/deny/0", "not a range"},
        {"\"trusted_proxies\": [\"10.0.0.0/33\"]", "/server/trusted_proxies/0", "not a range"},
        {"\"group\": \"www\"", "/server/group", "name the user"},
    };
    (void)state;
    for (size_t i = 0; i < DX_COUNT_OF(rows); i++) {
        toy t;
        dx_status status = create(&t, rows[i].section, &(dx_app_options){.offline = true});
        if (status == DX_OK || !is_told(&t, rows[i].pointer, rows[i].words)) fail_msg("row %zu: %s", i, rows[i].section);
        toy_clean(&t);
    }
}

// Reads the settings alone: nothing is opened.
static const dx_settings *settle(toy *t, const char *section, const char *listen) {
    static dx_settings settings;
    size_t count;
    dx_app_options options = {.listen = listen, .offline = true};
    dx_definition *definition = NULL;
    toy_prepare(t, section);
    const dx_section *const *sections = dx_app_sections(&count);
    assert_int_equal(dx_definition_load(&definition, t->path, sections, count, NULL, &t->diags), DX_OK);
    assert_int_equal(dx_settings_read(&settings, t->arena, definition, &options, &t->diags), DX_OK);
    assert_int_equal(dx_arena_defer(t->arena, (void (*)(void *))dx_definition_destroy, definition), DX_OK);
    return &settings;
}

static void every_kind_of_address_is_read(void **state) {
    (void)state;
    toy t;
    const dx_settings *s =
        settle(&t,
               TLS_AT("[::1]:8443") ", \"localhost:80\", {\"address\": \"unix:s\", \"mode\": \"0600\", \"proxy_protocol\": true}, "
                                    "\"unix:/run/x\", \"systemd:web\", {\"address\": \"*:81\", \"redirect\": \"https\"}]",
               NULL);
    char beside[300];
    snprintf(beside, sizeof beside, "unix:%s/s", t.folder);
    assert_true(s->listen_count == 6 || s->listen_count == 7); // *:81 without and with IPv6
    assert_string_equal(s->listens[0].address, "[::1]:8443");
    assert_true(s->listens[0].tls && !s->listens[0].open_to_others && s->listens[0].tag == 0);
    assert_string_equal(s->listens[1].address, "127.0.0.1:80");
    assert_string_equal(s->listens[2].address, beside);
    assert_int_equal(s->listens[2].mode, 0600);
    assert_true(s->listens[2].proxy_protocol && !s->listens[2].open_to_others);
    assert_string_equal(s->listens[3].address, "unix:/run/x");
    assert_string_equal(s->listens[4].address, "systemd:web");
    assert_string_equal(s->listens[5].address, "0.0.0.0:81");
    assert_true(s->listens[5].tag == DX_TAG_REDIRECT && s->listens[5].open_to_others);
    assert_int_equal(s->redirect_port, 8443);
    assert_int_equal(s->tls.count, 1);
    assert_int_equal(s->tls.least_version, 12);
    assert_true(s->tls.http2 && s->tls.client == DX_TLS_CLIENT_NONE);
    snprintf(beside, sizeof beside, "%s/k.pem", t.folder);
    assert_string_equal(s->tls.certificates[0].key, beside);
    assert_true(dx_slice_equal(s->hsts, DX_SLICE("max-age=31536000")));
    toy_clean(&t);
}

static void only_subjects_that_a_certificate_can_have_are_taken(void **state) {
    static const char *const good[] = {"CN=robot,O=Acme",        "CN=a+UID=b,O=c", "CN=",     "O=a b,CN=\xc3\xbc", "CN=a=b",
                                       "CN=\\\\ \\+\\,\\\"",     "CN=\\ a\\ ",     "CN=\\#1", "CN=\\0a",           "1.2.840=#0c0141",
                                       "emailAddress=a@b.c,x-y="};
    static const char *const bad[] = {"",      "robot",  "CN",     "=a",       "CN=a,",  "CN=a, O=b", "CN=a ,O=b", "/CN=a/O=b", "CN=a;O=b",
                                      "CN= a", "CN=\\z", "CN=a\\", "CN=\"a\"", "CN=#0g", "CN=#012",   "C N=a",     "CN=<a>",    "-CN=a"};
    (void)state;
    for (size_t i = 0; i < DX_COUNT_OF(good) + DX_COUNT_OF(bad); i++) {
        const char *subject = i < DX_COUNT_OF(good) ? good[i] : bad[i - DX_COUNT_OF(good)];
        char section[300];
        toy t;
        int size = snprintf(section, sizeof section, "%s", "\"tls\": {\"client\": {\"ca\": \"/c\", \"roles\": {\"");
        for (const char *c = subject; *c; c++)
            size += snprintf(section + size, sizeof section - (size_t)size, *c == '\\' || *c == '"' ? "\\%c" : "%c", *c);
        snprintf(section + size, sizeof section - (size_t)size, "\": [\"admin\"]}}}");
        (void)create(&t, section, &(dx_app_options){.offline = true});
        bool told = false;
        for (const dx_diag *diag = t.diags.first; diag; diag = diag->next)
            told |= strstr(dx_diag_text(diag, t.arena).data, "no certificate has this subject") != NULL;
        if (told != (i >= DX_COUNT_OF(good))) fail_msg("%s", subject);
        toy_clean(&t);
    }
}

static void tls_settings_and_lists_are_read(void **state) {
    (void)state;
    toy t;
    const dx_settings *s = settle(&t,
                                  "\"tls\": {\"certificates\": [" PAIR "], \"min_version\": \"1.3\", \"http2\": false, \"client\": "
                                  "{\"ca\": \"/ca.pem\", \"required\": true, \"roles\": {\"CN=robot,O=x\": [\"admin\", \"b\"]}}}, "
                                  "\"listen\": [{\"address\": \"127.0.0.1:1\", \"tls\": true}, {\"address\": \"127.0.0.1:2\", "
                                  "\"redirect\": \"https:443\"}], \"hsts\": {\"max_age\": \"730d\", \"include_subdomains\": true, "
                                  "\"preload\": true}, \"allow\": [\"10.0.0.0/8\"], \"user\": \"www\", \"limits\": "
                                  "{\"connections\": 7, \"connections_each\": 3, \"streams\": 9, \"resets\": 8, \"controls\": 77}",
                                  NULL);
    dx_address address;
    assert_int_equal(s->tls.least_version, 13);
    assert_false(s->tls.http2);
    assert_int_equal(s->tls.client, DX_TLS_CLIENT_REQUIRED);
    assert_string_equal(s->tls.client_ca, "/ca.pem");
    assert_int_equal(s->certificate_role_count, 1);
    assert_true(dx_slice_equal(s->certificate_roles[0].subject, DX_SLICE("CN=robot,O=x")));
    assert_int_equal(s->certificate_roles[0].count, 2);
    assert_int_equal(s->redirect_port, 443);
    assert_true(dx_slice_equal(s->hsts, DX_SLICE("max-age=63072000; includeSubDomains; preload")));
    assert_true(dx_address_read(&address, "10.1.2.3", 1) && dx_gate_admits(&s->gate, &address));
    assert_true(dx_address_read(&address, "11.1.2.3", 1) && !dx_gate_admits(&s->gate, &address));
    assert_string_equal(s->user, "www");
    assert_null(s->group);
    assert_int_equal(s->gate.all, 7);
    assert_int_equal(s->gate.each, 3);
    assert_true(s->limits.streams == 9 && s->limits.resets == 8 && s->limits.controls == 77);
    toy_clean(&t);
}

static void the_command_lines_address_speaks_what_the_first_one_speaks(void **state) {
    (void)state;
    toy t;
    const dx_settings *s = settle(&t,
                                  "\"tls\": {\"certificates\": [" PAIR "]}, \"listen\": [{\"address\": \"127.0.0.1:1\", \"redirect\": "
                                  "\"https\"}, {\"address\": \"127.0.0.1:2\", \"tls\": true}, \"127.0.0.1:3\"]",
                                  "[::1]:77");
    assert_int_equal(s->listen_count, 1);
    assert_string_equal(s->listens[0].address, "[::1]:77");
    assert_true(s->listens[0].tls && !s->listens[0].redirect);
    toy_clean(&t);
}

static void development_mode_pins_no_browser_to_tls(void **state) {
    (void)state;
    toy t;
    assert_int_equal(settle(&t, "\"mode\": \"development\", \"listen\": [\"127.0.0.1:1\", \"unix:s\"]", NULL)->hsts.size, 0);
    toy_clean(&t);
}

static void several_mistakes_are_told_at_once(void **state) {
    (void)state;
    toy t;
    assert_int_not_equal(create(&t, "\"listen\": \"8080\", \"secret\": \"\", \"timeouts\": {\"idle\": \"0s\", \"head\": \"0s\"}",
                                &(dx_app_options){.offline = true}),
                         DX_OK);
    assert_true(t.diags.count >= 3);
    toy_clean(&t);
}

static void the_command_line_is_checked_like_the_definition(void **state) {
    (void)state;
    toy t;
    assert_int_not_equal(create(&t, QUIET, &(dx_app_options){.listen = "nowhere", .offline = true}), DX_OK);
    assert_true(is_told(&t, "", "--listen"));
    toy_clean(&t);
    assert_int_not_equal(create(&t, QUIET ", \"mode\": \"development\"", &(dx_app_options){.listen = "0.0.0.0:1", .offline = true}), DX_OK);
    assert_true(is_told(&t, "", "development mode"));
    toy_clean(&t);
}

// --- the secret
// -------------------------------------------------------------------------------------------------------------------------------------

static void path_of(const toy *t, const char *name, char out[256]) {
    snprintf(out, 256, "%s/%s", t->folder, name);
}

static void the_store_and_its_secret_lie_beside_the_definition(void **state) {
    (void)state;
    toy t;
    char path[256], first[128] = "", second[128] = "";
    struct stat about;
    assert_int_equal(create(&t, QUIET ", \"store\": \"sqlite:data.db\"", NULL), DX_OK);
    path_of(&t, "data.db", path);
    assert_int_equal(stat(path, &about), 0);
    path_of(&t, "data.db.key", path);
    assert_int_equal(stat(path, &about), 0);
    assert_int_equal(about.st_mode & 0777, 0600);
    dx_slice secret = dx_app_root_secret(t.app);
    assert_true(secret.size == 64);
    snprintf(first, sizeof first, "%.*s", DX_SLICE_ARG(secret));
    dx_app_destroy(t.app);
    t.app = NULL;
    assert_int_equal(toy_create(&t, NULL), DX_OK); // the second start reads what the first one made
    snprintf(second, sizeof second, "%.*s", DX_SLICE_ARG(dx_app_root_secret(t.app)));
    assert_string_equal(first, second);
    toy_clean(&t);
}

static void a_secret_file_that_others_can_read_is_refused(void **state) {
    (void)state;
    toy t;
    char path[256];
    toy_prepare(&t, QUIET ", \"store\": \"sqlite:data.db\"");
    toy_write(&t, "data.db.key", STRONG "\n");
    path_of(&t, "data.db.key", path);
    assert_int_equal(chmod(path, 0640), 0);
    assert_int_equal(toy_create(&t, NULL), DX_INVALID);
    assert_true(is_told(&t, "", "chmod 600"));
    assert_int_equal(chmod(path, 0600), 0);
    assert_int_equal(toy_create(&t, NULL), DX_OK);
    assert_true(dx_slice_equal(dx_app_root_secret(t.app), DX_SLICE(STRONG)));
    toy_clean(&t);
}

static void a_weak_secret_file_is_refused(void **state) {
    (void)state;
    toy t;
    char path[256];
    toy_prepare(&t, QUIET ", \"store\": \"sqlite:data.db\"");
    toy_write(&t, "data.db.key", "secret\n");
    path_of(&t, "data.db.key", path);
    assert_int_equal(chmod(path, 0600), 0);
    assert_int_equal(toy_create(&t, NULL), DX_INVALID);
    assert_true(is_told(&t, "", "shorter"));
    toy_clean(&t);
}

static void the_environments_secret_wins_over_a_file(void **state) {
    (void)state;
    toy t;
    char path[256];
    setenv("DUPLEX_SECRET", STRONG STRONG, 1);
    dx_status status = create(&t, QUIET ", \"store\": \"sqlite:data.db\"", NULL);
    setenv("DUPLEX_SECRET", "weak", 1);
    assert_int_equal(status, DX_OK);
    assert_true(dx_slice_equal(dx_app_root_secret(t.app), DX_SLICE(STRONG STRONG)));
    path_of(&t, "data.db.key", path);
    assert_int_not_equal(access(path, F_OK), 0);
    dx_app_destroy(t.app);
    t.app = NULL;
    assert_int_equal(toy_create(&t, NULL), DX_INVALID);
    assert_true(is_told(&t, "", "DUPLEX_SECRET"));
    unsetenv("DUPLEX_SECRET");
    toy_clean(&t);
}

static void keys_differ_by_purpose_and_stay(void **state) {
    (void)state;
    toy t;
    uint8_t a[32], b[32], again[32];
    assert_int_equal(create(&t, QUIET ", \"secret\": \"" STRONG "\"", &(dx_app_options){.offline = true}), DX_OK);
    dx_app_key(t.app, "cursor", a);
    dx_app_key(t.app, "token", b);
    dx_app_key(t.app, "cursor", again);
    assert_memory_not_equal(a, b, 32);
    assert_memory_equal(a, again, 32);
    toy_clean(&t);
}

static void check_leaves_no_file_behind(void **state) {
    (void)state;
    toy t;
    char path[256];
    assert_int_equal(create(&t, QUIET ", \"store\": \"sqlite:data.db\"", &(dx_app_options){.offline = true}), DX_OK);
    path_of(&t, "data.db", path);
    assert_int_not_equal(access(path, F_OK), 0);
    path_of(&t, "data.db.key", path);
    assert_int_not_equal(access(path, F_OK), 0);
    toy_clean(&t);
}

// Not offline, so that the secret's file and the store's are made as well.
static void whichever_allocation_fails_starting_says_so(void **state) {
    (void)state;
    toy t;
    uint64_t tried = 0;
    toy_prepare(&t, QUIET ", \"store\": \"sqlite:data.db\", \"cors\": {\"origins\": [\"https://a.example\"]}");
    for (uint64_t n = 1;; n++) {
        dx_memory_fail_at(n, false);
        dx_status status = toy_create(&t, NULL);
        bool failed = dx_memory_fail_stop();
        if (!failed) {
            assert_int_equal(status, DX_OK);
            break;
        }
        tried = n;
        if (status == DX_OK) { // one that could be done without
            dx_app_destroy(t.app);
            t.app = NULL;
        }
    }
    assert_true(tried > 10);
    toy_clean(&t);
}

// --- the documentation
// --------------------------------------------------------------------------------------------------------------------------------

static void look_for(yyjson_val *properties, const char *text, const char *prefix) {
    size_t at, count;
    yyjson_val *name, *schema;
    yyjson_obj_foreach(properties, at, count, name, schema) {
        char line[128], path[96];
        snprintf(path, sizeof path, "%s%s", prefix, yyjson_get_str(name));
        snprintf(line, sizeof line, "| `%s` |", path);
        yyjson_val *inner = yyjson_obj_get(schema, "properties");
        if (!yyjson_get_str(yyjson_obj_get(schema, "description"))) fail_msg("%s has no description", path);
        snprintf(line, sizeof line, "| `%s` |", path);
        if (!inner && !strstr(text, line)) fail_msg("docs/reference.md has no line for %s", path);
        strncat(path, ".", sizeof path - strlen(path) - 1);
        if (inner) look_for(inner, text, path);
    }
}

static void every_setting_has_its_line_in_the_reference(void **state) {
    (void)state;
    static char text[1u << 17];
    char path[512];
    const char *source = getenv("DX_SOURCE");
    if (!source) skip();
    snprintf(path, sizeof path, "%s/docs/reference.md", source);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
    dx_arena *arena = dx_arena_create(4u << 20);
    yyjson_doc *doc = NULL;
    assert_int_equal(dx_json_read(&doc, arena, dx_slice_str(dx_server_section.schema), NULL, NULL), DX_OK);
    look_for(yyjson_obj_get(yyjson_doc_get_root(doc), "properties"), text, "server.");
    dx_arena_destroy(arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unsafe_definitions_refuse_to_start),
        cmocka_unit_test(several_mistakes_are_told_at_once),
        cmocka_unit_test(every_kind_of_address_is_read),
        cmocka_unit_test(only_subjects_that_a_certificate_can_have_are_taken),
        cmocka_unit_test(tls_settings_and_lists_are_read),
        cmocka_unit_test(the_command_lines_address_speaks_what_the_first_one_speaks),
        cmocka_unit_test(development_mode_pins_no_browser_to_tls),
        cmocka_unit_test(the_command_line_is_checked_like_the_definition),
        cmocka_unit_test(the_store_and_its_secret_lie_beside_the_definition),
        cmocka_unit_test(a_secret_file_that_others_can_read_is_refused),
        cmocka_unit_test(a_weak_secret_file_is_refused),
        cmocka_unit_test(the_environments_secret_wins_over_a_file),
        cmocka_unit_test(keys_differ_by_purpose_and_stay),
        cmocka_unit_test(check_leaves_no_file_behind),
        cmocka_unit_test(whichever_allocation_fails_starting_says_so),
        cmocka_unit_test(every_setting_has_its_line_in_the_reference),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
