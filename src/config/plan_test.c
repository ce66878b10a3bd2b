// Comparing definitions: what counts as a change, how it is told, and which rule fits.
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "config/plan.h"

static const dx_section section = {
    "thing",
    "{\"type\":\"object\",\"properties\":{\"size\":{\"type\":\"integer\",\"default\":7},\"names\":{\"type\":\"array\"},"
    "\"parts\":{\"type\":\"array\"},\"token\":{\"type\":\"string\"},\"inner\":{\"type\":\"object\"},\"free\":{\"type\":\"string\"}}}",
    false, NULL};
static const dx_section *const sections[] = {&section};
static const dx_plan_rule rules[] = {{"/thing/size", DX_PLAN_CHANGED, DX_PLAN_PROCESS, true, "it is large"},
                                     {"/thing/inner/*/deep", DX_PLAN_ANY, DX_PLAN_TABLES, false, NULL},
                                     {"/thing/inner/**", DX_PLAN_ADDED, DX_PLAN_ONLINE, true, "any depth"},
                                     {NULL, 0, 0, false, NULL}};
static const dx_plan_rule *const tables[] = {rules, NULL};
static dx_arena *arena;
static dx_definition *definitions[2];

static const char *variable(void *ctx, const char *name) {
    (void)ctx, (void)name;
    return "hush";
}

static dx_definition *define(const char *text) {
    char path[] = "/tmp/duplex-plan-XXXXXX";
    dx_definition *out = NULL;
    dx_definition_options options = {.variable = variable};
    int file = mkstemp(path);
    assert_true(file >= 0 && write(file, text, strlen(text)) == (ssize_t)strlen(text));
    close(file);
    assert_int_equal(dx_definition_load(&out, path, sections, 1, &options, NULL), DX_OK);
    unlink(path);
    return out;
}

// "+pointer=after effect!;" a change, "!" when it is breaking.
static const char *plan(const char *before, const char *after) {
    static char text[4096];
    dx_plan made;
    definitions[0] = define(before);
    definitions[1] = define(after);
    assert_int_equal(dx_plan_make(&made, arena, definitions[0], definitions[1], tables), DX_OK);
    text[0] = '\0';
    for (const dx_plan_change *c = made.first; c; c = c->next)
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s %.*s %.*s>%.*s %s%s;", dx_plan_kind_name(c->kind),
                 DX_SLICE_ARG(c->pointer), DX_SLICE_ARG(c->before), DX_SLICE_ARG(c->after), dx_plan_effect_name(c->rule->effect),
                 c->rule->breaking ? "!" : "");
    for (size_t i = 0; i < 2; i++) dx_definition_destroy(definitions[i]);
    return text;
}

static int set_up(void **state) {
    (void)state;
    arena = dx_arena_create(16u << 20);
    return arena ? 0 : -1;
}

static int tear_down(void **state) {
    (void)state;
    dx_arena_destroy(arena);
    return 0;
}

static void order_and_defaults_make_no_difference(void **state) {
    (void)state;
    assert_string_equal(
        plan("{\"thing\":{\"free\":\"a\",\"names\":[\"x\",\"y\"]}}", "{\"thing\":{\"names\":[\"y\",\"x\"],\"size\":7,\"free\":\"a\"}}"),
        "");
}

static void a_rule_says_what_a_change_means(void **state) {
    (void)state;
    assert_string_equal(plan("{\"thing\":{}}", "{\"thing\":{\"size\":8}}"), "changed /thing/size 7>8 process!;");
    assert_string_equal(plan("{\"thing\":{\"free\":\"a\"}}", "{\"thing\":{}}"), "removed /thing/free \"a\"> online;");
    assert_string_equal(
        plan("{\"thing\":{\"inner\":{\"a\":{\"deep\":1}}}}", "{\"thing\":{\"inner\":{\"a\":{\"deep\":2,\"b\":{\"c\":1}}}}}"),
        "changed /thing/inner/a/deep 1>2 tables;added /thing/inner/a/b > online!;");
}

static void lists_of_words_are_sets_and_others_are_not(void **state) {
    (void)state;
    assert_string_equal(plan("{\"thing\":{\"names\":[\"a\",\"b\"]}}", "{\"thing\":{\"names\":[\"c\",\"b\"]}}"),
                        "removed /thing/names/a \"a\"> online;added /thing/names/c >\"c\" online;");
    assert_string_equal(plan("{\"thing\":{\"parts\":[{\"x\":1}]}}", "{\"thing\":{\"parts\":[{\"x\":2},{\"y\":1}]}}"),
                        "changed /thing/parts/0/x 1>2 online;added /thing/parts/1 > online;");
}

static void secrets_are_not_shown(void **state) {
    (void)state;
    assert_string_equal(plan("{\"thing\":{\"token\":\"one\"}}", "{\"thing\":{\"token\":\"two\"}}"),
                        "changed /thing/token (secret)>(secret) online;");
    assert_string_equal(plan("{\"thing\":{\"free\":\"a\"}}", "{\"thing\":{\"free\":\"${X}\"}}"),
                        "changed /thing/free (secret)>(secret) online;");
    assert_string_equal(plan("{\"thing\":{\"names\":[]}}", "{\"thing\":{\"names\":[\"${X}\"]}}"),
                        "added /thing/names/(secret) >(secret) online;");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(order_and_defaults_make_no_difference, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_rule_says_what_a_change_means, set_up, tear_down),
        cmocka_unit_test_setup_teardown(lists_of_words_are_sets_and_others_are_not, set_up, tear_down),
        cmocka_unit_test_setup_teardown(secrets_are_not_shown, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
