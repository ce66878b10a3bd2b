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
    };
    (void)state;
    for (size_t i = 0; i < DX_COUNT_OF(rows); i++) {
        toy t;
        dx_status status = create(&t, rows[i].section, &(dx_app_options){.offline = true});
        if (status == DX_OK || !is_told(&t, rows[i].pointer, rows[i].words)) fail_msg("row %zu: %s", i, rows[i].section);
        toy_clean(&t);
    }
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

static void loopback_addresses_are_known(void **state) {
    (void)state;
    assert_true(dx_host_is_loopback("127.0.0.1") && dx_host_is_loopback("127.9.9.9") && dx_host_is_loopback("::1"));
    assert_true(dx_host_is_loopback("localhost"));
    assert_false(dx_host_is_loopback("0.0.0.0") || dx_host_is_loopback("::") || dx_host_is_loopback("10.0.0.1"));
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
        if (!inner && !strstr(text, line)) fail_msg("docs/server.md has no line for %s", path);
        strncat(path, ".", sizeof path - strlen(path) - 1);
        if (inner) look_for(inner, text, path);
    }
}

static void every_setting_has_its_line_in_the_docs(void **state) {
    (void)state;
    static char text[1u << 17];
    char path[512];
    const char *source = getenv("DX_SOURCE");
    if (!source) skip();
    snprintf(path, sizeof path, "%s/docs/server.md", source);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
    dx_arena *arena = dx_arena_create(4u << 20);
    yyjson_doc *doc = NULL;
    assert_int_equal(dx_json_read(&doc, arena, dx_slice_str(dx_server_section.schema), NULL, NULL), DX_OK);
    look_for(yyjson_obj_get(yyjson_doc_get_root(doc), "properties"), text, "");
    dx_arena_destroy(arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unsafe_definitions_refuse_to_start),
        cmocka_unit_test(several_mistakes_are_told_at_once),
        cmocka_unit_test(the_command_line_is_checked_like_the_definition),
        cmocka_unit_test(loopback_addresses_are_known),
        cmocka_unit_test(the_store_and_its_secret_lie_beside_the_definition),
        cmocka_unit_test(a_secret_file_that_others_can_read_is_refused),
        cmocka_unit_test(a_weak_secret_file_is_refused),
        cmocka_unit_test(the_environments_secret_wins_over_a_file),
        cmocka_unit_test(keys_differ_by_purpose_and_stay),
        cmocka_unit_test(check_leaves_no_file_behind),
        cmocka_unit_test(whichever_allocation_fails_starting_says_so),
        cmocka_unit_test(every_setting_has_its_line_in_the_docs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
