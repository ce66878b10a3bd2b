// Sealed values in definitions: what opens, where keys come from, and what is said when something does not open, which never is a secret.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/memory.h"
#include "config/plan.h"
#include "config/seal_keys.h"

#define KEY    "cw_0x689RpI-jtRR7oE8h_eQsKImvJapLeSbXpwF4e4="
#define OTHER  "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
#define HELLO  "gAAAAAAdwJ6wAAECAwQFBgcICQoLDA0ODy021cpGVWKZ_eEwCGM4BLLF_5CV9dOPmrhuVUPgJobwOz7JcbmrR64jVmpU4IwqDA==" // "hello", by KEY
#define SEALED "encrypted:gAAAAAAdwJ6wAAECAwQFBgcICQoLDA0ODy021cpGVWKZ_eEwCGM4BLLF_5CV9dOPmrhuVUPgJobwOz7JcbmrR64jVmpU4IwqDA=="

static const dx_section models = {"models", "{\"type\":\"object\"}", false, NULL};
static const dx_section server = {
    "server",
    "{\"type\":\"object\",\"additionalProperties\":false,\"properties\":{\"secret\":{\"type\":\"string\"},\"other\":{\"type\":\"string\"},"
    "\"workers\":{\"type\":\"integer\",\"maximum\":9},\"mode\":{\"enum\":[\"a\",\"b\"]},\"list\":{\"type\":\"array\"}}}",
    false, NULL};
static const dx_section *const sections[] = {&models, &server};
static const char *const files[] = {"api.json", "part.json", "keys", ".env"};
static const char *const with_key[] = {DX_SEAL_KEYS_VARIABLE, KEY, "TOKEN", HELLO, "SEALED", SEALED, "A", "put in", NULL};

static char folder[64];
static dx_arena *arena;
static dx_diags diags;
static dx_definition *definition;

static int set_up(void **state) {
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/dx-sealed-XXXXXX");
    arena = dx_arena_create(16u << 20);
    definition = NULL;
    return arena && mkdtemp(folder) ? 0 : 1;
}

static const char *path_of(const char *name) {
    return dx_arena_printf(arena, "%s/%s", folder, name).data;
}

static int tear_down(void **state) {
    (void)state;
    for (size_t i = 0; i < DX_COUNT_OF(files); i++) (void)unlink(path_of(files[i]));
    dx_definition_destroy(definition);
    dx_arena_destroy(arena);
    return rmdir(folder);
}

// Single quotes become double ones.
static void write_file(const char *name, const char *text, mode_t mode) {
    FILE *file = fopen(path_of(name), "wb");
    assert_non_null(file);
    for (; *text; text++) fputc(*text == '\'' ? '"' : *text, file);
    fclose(file);
    assert_int_equal(chmod(path_of(name), mode), 0);
}

static const char *variable(void *ctx, const char *name) {
    for (const char *const *pair = ctx; pair && *pair; pair += 2)
        if (strcmp(*pair, name) == 0) return pair[1];
    return NULL;
}

static dx_status load(const char *text, const char *const *variables) {
    dx_definition_options options = {.variable = variable, .ctx = (void *)variables};
    write_file("api.json", text, 0644);
    dx_definition_destroy(definition);
    dx_diags_init(&diags, arena);
    return dx_definition_load(&definition, path_of("api.json"), sections, DX_COUNT_OF(sections), &options, &diags);
}

// The findings, a line each, without the folder's name.
static const char *findings(void) {
    dx_buffer text;
    dx_buffer_init(&text, arena, 1u << 20);
    for (const dx_diag *diag = diags.first; diag; diag = diag->next) {
        dx_slice line = dx_diag_text(diag, arena);
        for (const char *found; (found = memmem(line.data, line.size, folder, strlen(folder)));) {
            dx_buffer_append(&text, line.data, (size_t)(found - line.data));
            line = dx_slice_from(line, (size_t)(found - line.data) + strlen(folder) + 1);
        }
        dx_buffer_add(&text, line);
        if (diag->next) dx_buffer_byte(&text, '\n');
    }
    dx_buffer_byte(&text, 0);
    return text.data;
}

static void expect_findings(const char *wanted) {
    if (strcmp(findings(), wanted) == 0) return;
    fail_msg("found:\n%s\nwanted:\n%s", findings(), wanted);
}

static void expect_text(const char *pointer, const char *wanted) {
    yyjson_val *value = dx_json_at(dx_definition_root(definition), dx_slice_str(pointer));
    assert_non_null(value);
    assert_string_equal(yyjson_get_str(value), wanted);
}

static void expect_ok(dx_status status) {
    if (status != DX_OK) fail_msg("%s: %s", dx_status_name(status), findings());
}

// `encrypted:` and what seals `text` with `key`.
static const char *seal(const char *key, const char *text) {
    dx_fernet_ring ring;
    dx_buffer out;
    dx_fernet_ring_init(&ring);
    dx_buffer_init(&out, arena, 4096);
    DX_BUFFER_LIT(&out, DX_SEAL_PREFIX);
    assert_int_equal(dx_fernet_ring_add(&ring, dx_slice_str(key)), DX_OK);
    assert_int_equal(dx_fernet_seal(&out, &ring, dx_slice_str(text), 1, NULL), DX_OK);
    dx_buffer_byte(&out, 0);
    return out.data;
}

static dx_status load_secret(const char *value, const char *const *variables) {
    return load(dx_arena_printf(arena, "{'server':{'secret':'%s'}}", value).data, variables);
}

static void sealed_values_are_opened_wherever_settings_stand(void **state) {
    (void)state;
    write_file("part.json", "{'x':'" SEALED "'}", 0644);
    expect_ok(load("{'server':{'secret':'" SEALED "','list':[{'a':'" SEALED "'}],'other':{'$ref':'part.json#/x'}}}", with_key));
    expect_text("/server/secret", "hello");
    expect_text("/server/list/0/a", "hello");
    expect_text("/server/other", "hello");
}

static void a_sealed_value_may_come_from_variables(void **state) {
    (void)state;
    expect_ok(load_secret("${SEALED}", with_key));
    expect_text("/server/secret", "hello");
    expect_ok(load_secret(DX_SEAL_PREFIX "${TOKEN}", with_key));
    expect_text("/server/secret", "hello");
}

static void what_was_sealed_is_final(void **state) {
    (void)state;
    expect_ok(load_secret(seal(KEY, "${A} $${A} {\"$ref\":\"part.json\"}"), with_key));
    expect_text("/server/secret", "${A} $${A} {\"$ref\":\"part.json\"}");
    expect_ok(load_secret(seal(KEY, SEALED), with_key));
    expect_text("/server/secret", SEALED);
    expect_ok(load_secret(seal(KEY, ""), with_key));
    expect_text("/server/secret", "");
}

static void only_whole_strings_outside_models_are_sealed(void **state) {
    (void)state;
    expect_ok(load("{'models':{'A':{'const':'" SEALED "','title':'encrypted: at rest'}},'server':{'secret':'an " DX_SEAL_PREFIX
                   "x','other':'Encrypted:x'}}",
                   NULL));
    expect_text("/models/A/const", SEALED);
    expect_text("/server/secret", "an " DX_SEAL_PREFIX "x");
}

static void sealed_values_become_numbers_and_are_secret(void **state) {
    (void)state;
    expect_ok(load(dx_arena_printf(arena, "{'server':{'workers':'%s','mode':'a'}}", seal(KEY, "7")).data, with_key));
    assert_int_equal(yyjson_get_int(dx_json_at(dx_definition_root(definition), DX_SLICE("/server/workers"))), 7);
    assert_true(dx_definition_is_secret(definition, DX_SLICE("/server/workers")));
    assert_false(dx_definition_is_secret(definition, DX_SLICE("/server/mode")));
}

static void a_plan_and_findings_do_not_show_what_was_sealed(void **state) {
    (void)state;
    static const dx_plan_rule *const tables[] = {NULL};
    dx_definition *before;
    dx_plan plan;
    expect_ok(load(dx_arena_printf(arena, "{'server':{'other':'%s'}}", seal(KEY, "hunter2")).data, with_key));
    dx_definition_complain(definition, &diags, DX_SLICE("/server/other"), "\"hunter2\" will not do");
    expect_findings("api.json:1:20: /server/other: \"[redacted]\" will not do");
    before = definition;
    definition = NULL;
    expect_ok(load("{'server':{'other':'open'}}", with_key));
    assert_int_equal(dx_plan_make(&plan, arena, before, definition, tables), DX_OK);
    assert_int_equal(plan.count, 1);
    assert_true(dx_slice_equal(plan.first->before, DX_SLICE("(secret)")) && dx_slice_equal(plan.first->after, DX_SLICE("(secret)")));
    dx_definition_destroy(before);
    assert_int_equal(load(dx_arena_printf(arena, "{'server':{'mode':'%s'}}", seal(KEY, "hunter2")).data, with_key), DX_INVALID);
    assert_null(strstr(findings(), "hunter2"));
}

static void keys_come_from_variables_dotenv_and_files(void **state) {
    (void)state;
    const char *both[] = {DX_SEAL_KEYS_VARIABLE, " " OTHER " , " KEY " ", NULL};
    expect_ok(load_secret(SEALED, both));
    write_file(".env", DX_SEAL_KEYS_VARIABLE "=" KEY "\n", 0600);
    expect_ok(load_secret(SEALED, NULL));
    write_file("keys", "# of May\n" OTHER "  # newest\r\n\n  " KEY, 0600);
    write_file(".env", DX_SEAL_KEY_FILE_VARIABLE "=keys\n", 0600); // beside the definition
    expect_ok(load_secret(SEALED, NULL));
    const char *file[] = {DX_SEAL_KEY_FILE_VARIABLE, path_of("keys"), DX_SEAL_KEYS_VARIABLE, "", NULL};
    expect_ok(load_secret(SEALED, file));
    const char *more[] = {DX_SEAL_KEY_FILE_VARIABLE, path_of("keys"), DX_SEAL_KEYS_VARIABLE, OTHER, NULL};
    expect_ok(load_secret(SEALED, more));
    expect_text("/server/secret", "hello");
}

static void a_missing_key_is_told_once_with_the_way_to_one(void **state) {
    (void)state;
    assert_int_equal(load("{'server':{'secret':'" SEALED "',\n'other':'" SEALED "','mode':'" SEALED "',\n'workers':'x'}}", NULL),
                     DX_INVALID);
    expect_findings(
        "api.json:1:21: /server/secret: is sealed, and cannot be opened: there is no key for sealed values; set DUPLEX_SEAL_KEYS to "
        "a key, or DUPLEX_SEAL_KEY_FILE to a file of keys; `duplex secrets keygen` makes one\n"
        "api.json:3:11: /server/workers: expected an integer, found a string");
}

static void faulty_keys_are_told_without_them(void **state) {
    (void)state;
    const char *list[] = {DX_SEAL_KEYS_VARIABLE, KEY "," KEY "x", NULL};
    assert_int_equal(load(dx_arena_printf(arena, "{'server':{'secret':'" SEALED "','other':'%s'}}", seal(OTHER, "x")).data, list),
                     DX_INVALID);
    expect_findings(
        "api.json:1:21: /server/secret: is sealed, and cannot be opened: DUPLEX_SEAL_KEYS: key 2 is no key; a key is the base64url "
        "of 32 bytes, 44 characters; `duplex secrets keygen` makes one");
    const char *file[] = {DX_SEAL_KEY_FILE_VARIABLE, path_of("keys"), NULL};
    write_file("keys", KEY "\n\n" KEY " " KEY "\n", 0600);
    assert_int_equal(load_secret(SEALED, file), DX_INVALID);
    assert_non_null(strstr(findings(), "keys:3 is no key"));
    assert_null(strstr(findings(), KEY));
    write_file("keys", "# none yet\n", 0600);
    assert_int_equal(load_secret(SEALED, file), DX_INVALID);
    assert_non_null(strstr(findings(), "there is no key in it"));
    unlink(path_of("keys"));
    assert_int_equal(load_secret(SEALED, file), DX_INVALID);
    assert_non_null(strstr(findings(), "there is no such file"));
    expect_ok(load_secret("nothing sealed", file)); // keys are read when they are needed
}

static void a_file_of_keys_that_others_may_read_is_refused(void **state) {
    (void)state;
    const char *file[] = {DX_SEAL_KEY_FILE_VARIABLE, path_of("keys"), NULL};
    static const mode_t bad[] = {0640, 0604, 0620, 0602, 0610};
    for (size_t i = 0; i < DX_COUNT_OF(bad); i++) {
        write_file("keys", KEY, bad[i]);
        assert_int_equal(load_secret(SEALED, file), DX_INVALID);
        assert_non_null(strstr(
            findings(), dx_arena_printf(arena, "keys is open to others than its owner (mode %03o); chmod 600 ", (unsigned)bad[i]).data));
    }
    write_file("keys", KEY, 0400);
    expect_ok(load_secret(SEALED, file));
    unlink(path_of("keys"));
    assert_int_equal(mkfifo(path_of("keys"), 0600), 0);
    assert_int_equal(load_secret(SEALED, file), DX_INVALID);
    assert_non_null(strstr(findings(), "it is not an ordinary file"));
}

typedef struct acl_entry {
    uint16_t tag, may;
    uint32_t id;
} acl_entry;

static bool set_acl(const acl_entry *entries, size_t count) {
    struct {
        uint32_t version;
        acl_entry entries[8];
    } list = {.version = 2};
    memcpy(list.entries, entries, count * sizeof *entries);
    return setxattr(path_of("keys"), "system.posix_acl_access", &list, 4 + count * sizeof *entries, 0) == 0;
}

static void a_file_of_keys_that_a_list_opens_to_this_user_alone_is_taken(void **state) {
    (void)state;
    const char *file[] = {DX_SEAL_KEY_FILE_VARIABLE, path_of("keys"), NULL};
    enum { OWNER = 1, USER = 2, OWNING_GROUP = 4, GROUP = 8, MASK = 16, REST = 32 };
    const uint32_t none = UINT32_MAX, me = geteuid();
    const struct {
        acl_entry entries[6];
        size_t count;
        bool taken;
    } cases[] = {
        {{{OWNER, 4, none}, {USER, 4, me}, {OWNING_GROUP, 0, none}, {MASK, 4, none}, {REST, 0, none}}, 5, true},
        {{{OWNER, 4, none}, {USER, 4, me + 1}, {OWNING_GROUP, 0, none}, {MASK, 4, none}, {REST, 0, none}}, 5, false},
        {{{OWNER, 4, none}, {USER, 4, me}, {OWNING_GROUP, 4, none}, {MASK, 4, none}, {REST, 0, none}}, 5, false},
        {{{OWNER, 4, none}, {USER, 4, me}, {OWNING_GROUP, 0, none}, {GROUP, 4, 7}, {MASK, 4, none}, {REST, 0, none}}, 6, false},
        {{{OWNER, 4, none}, {USER, 4, me}, {OWNING_GROUP, 0, none}, {MASK, 4, none}, {REST, 4, none}}, 5, false},
    };
    write_file("keys", KEY, 0400);
    for (size_t i = 0; i < DX_COUNT_OF(cases); i++) {
        if (!set_acl(cases[i].entries, cases[i].count)) skip(); // this file system has no such lists
        assert_int_equal(load_secret(SEALED, file), cases[i].taken ? DX_OK : DX_INVALID);
    }
}

static void what_does_not_open_is_located_and_not_quoted(void **state) {
    (void)state;
    const char *other[] = {DX_SEAL_KEYS_VARIABLE, OTHER, "SEALED", SEALED, NULL};
    assert_int_equal(load("{'server':{'secret':'${SEALED}',\n'other':'encrypted:hunter2'}}", other), DX_INVALID);
    expect_findings(
        "api.json:1:21: /server/secret: no key that is given opens this sealed value: it was sealed with another one, or is damaged; "
        "put the key it was sealed with behind the newest, or seal it anew with `duplex secrets seal`\n"
        "api.json:2:9: /server/other: \"encrypted:\" is not followed by a Fernet token; `duplex secrets seal` makes one");
    assert_int_equal(load_secret(seal(OTHER, "\xff"), other), DX_INVALID);
    expect_findings("api.json:1:21: /server/secret: what is sealed here is not UTF-8; seal it anew, as text");
}

static void every_failing_allocation_is_reported(void **state) {
    (void)state;
    write_file("keys", KEY "\n", 0600);
    write_file(".env", DX_SEAL_KEY_FILE_VARIABLE "=keys\n", 0600);
    write_file("api.json", "{'server':{'secret':'" SEALED "','other':'" DX_SEAL_PREFIX "x'}}", 0644);
    for (uint64_t n = 1;; n++) {
        dx_definition_options options = {.variable = variable};
        dx_diags_init(&diags, arena);
        dx_memory_fail_at(n, false);
        dx_status status = dx_definition_load(&definition, path_of("api.json"), sections, DX_COUNT_OF(sections), &options, &diags);
        bool failed = dx_memory_fail_stop();
        assert_true(status == DX_INVALID || (failed && status == DX_NO_MEMORY));
        assert_null(definition);
        if (!failed) break;
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(sealed_values_are_opened_wherever_settings_stand, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_sealed_value_may_come_from_variables, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_was_sealed_is_final, set_up, tear_down),
        cmocka_unit_test_setup_teardown(only_whole_strings_outside_models_are_sealed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(sealed_values_become_numbers_and_are_secret, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_plan_and_findings_do_not_show_what_was_sealed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(keys_come_from_variables_dotenv_and_files, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_missing_key_is_told_once_with_the_way_to_one, set_up, tear_down),
        cmocka_unit_test_setup_teardown(faulty_keys_are_told_without_them, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_file_of_keys_that_others_may_read_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_file_of_keys_that_a_list_opens_to_this_user_alone_is_taken, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_does_not_open_is_located_and_not_quoted, set_up, tear_down),
        cmocka_unit_test_setup_teardown(every_failing_allocation_is_reported, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
