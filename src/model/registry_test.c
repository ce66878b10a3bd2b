// Models by name: schemas and bindings, what is let pass of newer servers, relations, hooks, copies.
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/memory.h"
#include "model/bind_fixture.h"
#include "model/registry.h"

static dx_arena *arena;

static int setup(void **state) {
    (void)state;
    arena = dx_arena_create(64u << 20);
    return arena ? 0 : 1;
}

static int teardown(void **state) {
    (void)state;
    dx_arena_destroy(arena);
    return 0;
}

// Single quotes read better in C than escaped double ones.
static dx_slice q(const char *text) {
    dx_slice copy = dx_arena_copy(arena, dx_slice_str(text));
    for (size_t i = 0; i < copy.size; i++)
        if (copy.data[i] == '\'') ((char *)copy.data)[i] = '"';
    return copy;
}

static yyjson_val *json(const char *text) {
    yyjson_doc *doc;
    assert_int_equal(dx_json_read(&doc, arena, q(text), NULL, NULL), DX_OK);
    return yyjson_doc_get_root(doc);
}

static const char definition[] =
    "{'models':{"
    "'User':{'type':'object','required':['id'],'additionalProperties':false,'properties':{'id':{'type':'integer'},"
    "'role':{'type':'string','enum':['admin','guest']},'kind':{'const':'user'},'level':{'enum':[1,2]},"
    "'posts':{'x-duplex-relation':{'model':'Post','kind':'many','key':'user_id'}}}},"
    "'Post':{'type':'object','required':['title'],'properties':{'title':{'type':'string'},'user_id':{'type':'integer'},"
    "'author':{'$ref':'#/models/User','x-duplex-relation':{'model':'User','kind':'one','key':'user_id'}},"
    "'state':{'anyOf':[{'type':'string','enum':['draft','live']},{'type':'null'}]}}}}}";

static dx_models *unbuilt(void) {
    dx_models *models = dx_models_create(arena, true);
    assert_int_equal(dx_models_add_definition(models, json(definition)), DX_OK);
    return models;
}

static dx_models *built(void) {
    dx_models *models = unbuilt();
    assert_int_equal(dx_models_build(models, NULL), DX_OK);
    return models;
}

// Findings as "pointer: message" on lines, warnings with "~" before.
static const char *lines(const dx_diags *diags) {
    dx_buffer text;
    dx_buffer_init(&text, arena, 1u << 20);
    for (const dx_diag *diag = diags->first; diag; diag = diag->next) {
        if (text.size) dx_buffer_byte(&text, '\n');
        if (diag->status == DX_OK) dx_buffer_byte(&text, '~');
        dx_buffer_printf(&text, "%.*s: %.*s", DX_SLICE_ARG(diag->pointer), DX_SLICE_ARG(diag->message));
    }
    dx_buffer_byte(&text, '\0');
    return text.data;
}

static dx_models_counts counts;

static const char *judged(const dx_models *models, const char *name, const char *value, bool strict, dx_status wanted) {
    dx_diags diags;
    dx_diags_init(&diags, arena);
    assert_int_equal(dx_models_validate(models, dx_slice_str(name), json(value), strict, arena, &counts, &diags), wanted);
    // The verdict does not hang on whether somebody wants to know why.
    assert_int_equal(dx_models_validate(models, dx_slice_str(name), json(value), strict, arena, NULL, NULL), wanted);
    return lines(&diags);
}

static void test_what_is_newer_than_the_schema_passes_and_is_counted(void **state) {
    (void)state;
    dx_models *models = built();
    assert_string_equal(judged(models, "User", "{'id':1,'role':'guest'}", false, DX_OK), "");
    assert_string_equal(judged(models, "User", "{'id':1,'role':'owner','level':3,'new':1}", false, DX_OK),
                        q("~/role: must be one of 'admin' or 'guest'\n~/level: must be one of 1 or 2\n~/new: is not a known field").data);
    assert_true(counts.unknown_values == 2 && counts.unknown_fields == 1);
    dx_models_counts all = dx_models_counted(models, DX_SLICE("User"));
    assert_true(all.unknown_values == 4 && all.unknown_fields == 2); // it was judged twice
    assert_string_equal(judged(models, "Post", "{'title':'t','state':'gone'}", false, DX_OK),
                        q("~/state: must be one of 'draft' or 'live'").data);
}

static void test_what_is_wrong_stays_wrong(void **state) {
    (void)state;
    dx_models *models = built();
    assert_string_equal(judged(models, "User", "{'role':'owner','new':1}", false, DX_INVALID),
                        q("~/role: must be one of 'admin' or 'guest'\n~/new: is not a known field\n/id: is required").data);
    assert_string_equal(judged(models, "User", "{'id':'1'}", false, DX_INVALID), "/id: expected an integer, found a string");
    assert_string_equal(judged(models, "User", "{'id':1,'kind':'group'}", false, DX_INVALID), q("/kind: must be 'user'").data);
    assert_string_equal(judged(models, "User", "{'id':1,'role':7}", false, DX_INVALID), "/role: expected a string, found a number");
    assert_string_equal(judged(models, "User", "{'id':1,'level':'1'}", false, DX_INVALID), "/level: must be one of 1 or 2");
    dx_diags diags;
    dx_diags_init(&diags, arena);
    assert_int_equal(dx_models_validate(models, DX_SLICE("Usr"), json("{}"), false, arena, NULL, &diags), DX_NOT_FOUND);
    assert_string_equal(dx_models_nearest(models, DX_SLICE("Usr")).data, "User");
}

static void test_strictness_makes_errors_of_what_is_newer(void **state) {
    (void)state;
    assert_string_equal(judged(built(), "User", "{'id':1,'role':'owner','new':1}", true, DX_INVALID),
                        q("/role: must be one of 'admin' or 'guest'\n/new: is not a known field").data);
    assert_true(counts.unknown_values == 0 && counts.unknown_fields == 0);
}

static void test_many_warnings_leave_room_for_errors(void **state) {
    (void)state;
    dx_models *models = dx_models_create(arena, true);
    assert_int_equal(dx_models_add_schema(models, DX_SLICE("List"), json("{'items':{'enum':['a','b'],'type':'string'}}")), DX_OK);
    assert_int_equal(dx_models_build(models, NULL), DX_OK);
    dx_buffer text;
    dx_buffer_init(&text, arena, 1 << 20);
    dx_buffer_byte(&text, '[');
    for (int i = 0; i < 500; i++) DX_BUFFER_LIT(&text, "\"c\",");
    size_t before = text.size;
    DX_BUFFER_LIT(&text, "\"a\"]\0");
    (void)judged(models, "List", text.data, false, DX_OK);
    assert_int_equal(counts.unknown_values, 500);
    text.size = before;
    DX_BUFFER_LIT(&text, "7]\0");
    assert_non_null(strstr(judged(models, "List", text.data, false, DX_INVALID), "\n/500: expected a string, found a number"));
}

static void test_what_is_related_is_validated_by_its_model(void **state) {
    (void)state;
    dx_models *models = built();
    const char *user = "{'id':1,'posts':[{'title':'a','author':{'id':2,'posts':[{'title':1},9]}},{},7,null]}";
    assert_string_equal(judged(models, "User", user, false, DX_INVALID),
                        "/posts/0/author/posts/0/title: expected a string, found a number\n"
                        "/posts/1/title: is required\n"
                        "/posts/3: expected an object or its id");
    assert_string_equal(judged(models, "User", "{'id':1,'posts':{}}", false, DX_INVALID), "/posts: expected an array");
    assert_string_equal(judged(models, "User", "{'id':1,'posts':null}", false, DX_OK), "");
    // By the property's own schema and by the relation: told once.
    assert_string_equal(judged(models, "Post", "{'title':'a','author':{'new':1}}", false, DX_INVALID),
                        "~/author/new: is not a known field\n/author/id: is required");
}

static void test_circles_of_models_end_at_their_cap(void **state) {
    (void)state;
    dx_buffer text;
    dx_buffer_init(&text, arena, 1 << 20);
    for (int i = 0; i < 10; i++) DX_BUFFER_LIT(&text, "{\"id\":1,\"posts\":[{\"title\":\"t\",\"author\":");
    DX_BUFFER_LIT(&text, "{\"id\":1}");
    for (int i = 0; i < 10; i++) DX_BUFFER_LIT(&text, "}]}");
    dx_buffer_byte(&text, '\0');
    assert_non_null(strstr(judged(built(), "User", text.data, false, DX_INVALID), "is related through too many models"));
}

static void test_relations_that_cannot_be_are_told_with_their_place(void **state) {
    (void)state;
    dx_models *models = dx_models_create(arena, true);
    assert_int_equal(dx_models_add_definition(models, json("{'models':{'User':{'properties':{'a':{'x-duplex-relation':7},"
                                                           "'b':{'x-duplex-relation':{'model':'Usr','kind':'one'}},"
                                                           "'c':{'x-duplex-relation':{'model':'User','kind':'some'}},"
                                                           "'d':{'x-duplex-relation':{'model':'User','kind':'one','key':1}},"
                                                           "'e':{'minimum':'x'}}}}}")),
                     DX_OK);
    dx_diags diags;
    dx_diags_init(&diags, arena);
    assert_int_equal(dx_models_build(models, &diags), DX_INVALID);
    assert_string_equal(lines(&diags), q("/models/User/properties/e/minimum: must be a number\n"
                                         "/models/User/properties/a/x-duplex-relation: must be an object with 'model' and 'kind'\n"
                                         "/models/User/properties/b/x-duplex-relation/model: must be the name of a model\n"
                                         "/models/User/properties/c/x-duplex-relation/kind: must be 'one' or 'many'\n"
                                         "/models/User/properties/d/x-duplex-relation/key: must be the name of a member")
                                           .data);
}

static const char *related(const char *name, const char *value, const char *relation, const char *pool) {
    dx_related out;
    assert_int_equal(
        dx_models_related(&out, built(), dx_slice_str(name), json(value), dx_slice_str(relation), pool ? json(pool) : NULL, arena), DX_OK);
    dx_buffer text;
    dx_buffer_init(&text, arena, 1 << 20);
    dx_buffer_add(&text, out.model);
    for (size_t i = 0; i < out.count; i++) {
        dx_buffer_byte(&text, ' ');
        dx_json_write_value(&text, out.items[i]);
    }
    dx_buffer_byte(&text, '\0');
    for (char *at = text.data; *at; at++)
        if (*at == '"') *at = '\'';
    return text.data;
}

static void test_relations_are_resolved_nested_by_id_and_by_key(void **state) {
    (void)state;
    assert_string_equal(related("User", "{'id':1,'posts':[{'title':'a'},{'title':'b'}]}", "posts", NULL),
                        "Post {'title':'a'} {'title':'b'}");
    assert_string_equal(related("Post", "{'author':{'id':2}}", "author", NULL), "User {'id':2}");
    assert_string_equal(related("User", "{'id':1,'posts':[7,{'id':5},'7',9]}", "posts", "[{'id':'7','n':1},{'id':7,'n':2},{'id':7}]"),
                        "Post {'id':7,'n':2} {'id':5} {'id':'7','n':1}");
    assert_string_equal(related("User", "{'id':1}", "posts", "[{'user_id':1,'n':1},{'user_id':2},3,{'user_id':1,'n':2}]"),
                        "Post {'user_id':1,'n':1} {'user_id':1,'n':2}");
    assert_string_equal(related("Post", "{'user_id':2}", "author", "[{'id':1},{'id':2}]"), "User {'id':2}");
    assert_string_equal(related("Post", "{'user_id':2,'author':null}", "author", NULL), "User");
    dx_related out;
    assert_int_equal(dx_models_related(&out, built(), DX_SLICE("User"), json("{}"), DX_SLICE("role"), NULL, arena), DX_NOT_FOUND);
}

static void test_a_schema_given_at_run_time_refers_to_itself_and_to_others(void **state) {
    (void)state;
    dx_models *models = unbuilt();
    assert_int_equal(dx_models_add_schema(models, DX_SLICE("A b%/"),
                                          json("{'$defs':{'n':{'type':'integer'}},'properties':{'n':{'$ref':"
                                               "'#/$defs/n'},'u':{'$ref':'definition:#/models/User'}}}")),
                     DX_OK);
    assert_int_equal(dx_models_add_schema(models, DX_SLICE("B"), json("{'items':{'$ref':'model:A%20b%25%2F'}}")), DX_OK);
    assert_int_equal(dx_models_add_schema(models, DX_SLICE("B"), json("{}")), DX_ALREADY_EXISTS);
    assert_int_equal(dx_models_add_schema(models, DX_SLICE("User"), json("{}")), DX_ALREADY_EXISTS);
    dx_diags diags;
    dx_diags_init(&diags, arena);
    dx_status status = dx_models_build(models, &diags);
    assert_string_equal(lines(&diags), "");
    assert_int_equal(status, DX_OK);
    assert_string_equal(judged(models, "B", "[{'n':'x'},{'u':{}}]", true, DX_INVALID),
                        "/0/n: expected an integer, found a string\n/1/u/id: is required");
}

static void test_a_model_may_be_a_binding_alone(void **state) {
    (void)state;
    dx_models *models = unbuilt();
    assert_int_equal(dx_models_add_binding(models, DX_SLICE("Point"), point_model()), DX_OK);
    assert_int_equal(dx_models_add_binding(models, DX_SLICE("User"), rich_model()), DX_OK);
    assert_int_equal(dx_models_build(models, NULL), DX_OK);
    assert_ptr_equal(dx_models_binding(models, DX_SLICE("User")), rich_model());
    assert_non_null(dx_models_schema(models, DX_SLICE("User")));
    assert_null(dx_models_schema(models, DX_SLICE("Point")));
    assert_string_equal(judged(models, "Point", "{'x':1,'z':2}", false, DX_OK), "");
    assert_string_equal(judged(models, "Point", "{'x':1,'z':2}", true, DX_INVALID), "/z: is not a known member");
    assert_string_equal(judged(models, "Point", "{'x':1,'y':'2'}", false, DX_INVALID), "/y: expected an integer, found a string");
}

static void *judge_often(void *ctx) {
    dx_arena *own = dx_arena_create(8u << 20);
    yyjson_doc *doc;
    static const char text[] = "{\"id\":1,\"role\":\"owner\",\"posts\":[{\"title\":\"t\"}]}";
    size_t passed = 0;
    if (own && dx_json_read(&doc, own, dx_slice_str(text), NULL, NULL) == DX_OK)
        for (int i = 0; i < 100; i++)
            passed += dx_models_validate(ctx, DX_SLICE("User"), yyjson_doc_get_root(doc), false, own, NULL, NULL) == DX_OK;
    dx_arena_destroy(own);
    return (void *)(uintptr_t)passed;
}

static void test_threads_share_what_is_built(void **state) {
    (void)state;
    dx_models *models = built();
    pthread_t threads[4];
    for (size_t i = 0; i < 4; i++) assert_int_equal(pthread_create(&threads[i], NULL, judge_often, models), 0);
    for (size_t i = 0; i < 4; i++) {
        void *passed;
        assert_int_equal(pthread_join(threads[i], &passed), 0);
        assert_int_equal((uintptr_t)passed, 100);
    }
    assert_int_equal(dx_models_counted(models, DX_SLICE("User")).unknown_values, 400);
}

// --- hooks -----------------------------------------------------------------------------------------------------------------

static dx_status append_letter(void *ctx, dx_slice *text, dx_arena *memory, dx_diags *diags) {
    (void)diags;
    *text = dx_arena_printf(memory, "[%.*s,\"%s\"]", DX_SLICE_ARG(*text), (const char *)ctx);
    return text->data ? DX_OK : DX_NO_MEMORY;
}

static dx_status refuse(void *ctx, dx_slice *text, dx_arena *memory, dx_diags *diags) {
    (void)ctx, (void)text, (void)memory, (void)diags;
    return DX_FORBIDDEN;
}

static dx_status spoil(void *ctx, dx_slice *text, dx_arena *memory, dx_diags *diags) {
    (void)ctx, (void)memory, (void)diags;
    *text = DX_SLICE("{");
    return DX_OK;
}

static dx_status id_is_even(void *ctx, yyjson_val *value, dx_arena *scratch, dx_diags *diags) {
    (void)ctx, (void)scratch;
    if (yyjson_get_uint(yyjson_obj_get(value, "id")) % 2 == 0) return DX_OK;
    dx_diags_add(diags, DX_INVALID, DX_SLICE("/id"), "must be even");
    return DX_INVALID;
}

static const dx_model_hooks letters = {.before_request = append_letter, .after_response = append_letter};
static const dx_model_hooks refusal = {.before_request = refuse, .after_response = spoil};
static const dx_model_hooks evenness = {.validate = id_is_even};

static void test_hooks_change_json_in_the_order_of_their_adding(void **state) {
    (void)state;
    dx_models *models = unbuilt();
    assert_int_equal(dx_models_hook(models, DX_SLICE("User"), &letters, "a"), DX_OK);
    assert_int_equal(dx_models_hook(models, DX_SLICE("User"), &letters, "b"), DX_OK);
    assert_int_equal(dx_models_hook(models, DX_SLICE("User"), &letters, "c"), DX_OK);
    assert_int_equal(dx_models_unhook(models, DX_SLICE("User"), &letters, "b"), DX_OK);
    assert_int_equal(dx_models_unhook(models, DX_SLICE("User"), &letters, "x"), DX_NOT_FOUND);
    assert_int_equal(dx_models_hook(models, DX_SLICE("Usr"), &letters, "c"), DX_NOT_FOUND);
    assert_int_equal(dx_models_build(models, NULL), DX_OK);
    dx_slice text = DX_SLICE("1");
    assert_int_equal(dx_models_before_request(models, DX_SLICE("User"), &text, arena, NULL), DX_OK);
    assert_string_equal(text.data, "[[1,\"a\"],\"c\"]");
    assert_int_equal(dx_models_after_response(models, DX_SLICE("User"), &text, arena, NULL), DX_OK);
    assert_string_equal(text.data, "[[[[1,\"a\"],\"c\"],\"a\"],\"c\"]");
    assert_int_equal(dx_models_after_response(models, DX_SLICE("Post"), &text, arena, NULL), DX_OK);
    assert_int_equal(dx_models_after_response(models, DX_SLICE("Usr"), &text, arena, NULL), DX_NOT_FOUND);
    assert_int_equal(dx_models_hook(models, DX_SLICE("User"), &letters, "d"), DX_CONFLICT);
}

static void test_a_hook_may_end_a_call_and_may_not_break_the_json(void **state) {
    (void)state;
    dx_models *models = unbuilt();
    assert_int_equal(dx_models_hook(models, DX_SLICE("User"), &refusal, NULL), DX_OK);
    assert_int_equal(dx_models_build(models, NULL), DX_OK);
    dx_diags diags;
    dx_diags_init(&diags, arena);
    dx_slice text = DX_SLICE("1");
    assert_int_equal(dx_models_before_request(models, DX_SLICE("User"), &text, arena, &diags), DX_FORBIDDEN);
    assert_string_equal(lines(&diags), ": hook 1 of User for before_request refused it");
    assert_int_equal(dx_models_after_response(models, DX_SLICE("User"), &text, arena, NULL), DX_MALFORMED);
}

static void test_validate_hooks_judge_nested_models_too(void **state) {
    (void)state;
    dx_models *models = unbuilt();
    assert_int_equal(dx_models_hook(models, DX_SLICE("User"), &evenness, NULL), DX_OK);
    assert_int_equal(dx_models_build(models, NULL), DX_OK);
    assert_string_equal(judged(models, "User", "{'id':2}", true, DX_OK), "");
    assert_string_equal(judged(models, "Post", "{'title':'t','author':{'id':3}}", false, DX_INVALID), "/author/id: must be even");
}

static void test_a_registry_in_use_is_changed_by_a_copy(void **state) {
    (void)state;
    dx_models *models = unbuilt(), *copy;
    assert_int_equal(dx_models_hook(models, DX_SLICE("User"), &evenness, NULL), DX_OK);
    assert_int_equal(dx_models_build(models, NULL), DX_OK);
    assert_int_equal(dx_models_remove(models, DX_SLICE("User")), DX_CONFLICT);
    assert_int_equal(dx_models_add_binding(models, DX_SLICE("User"), rich_model()), DX_CONFLICT);
    assert_int_equal(dx_models_copy(&copy, models, arena), DX_OK);
    assert_int_equal(dx_models_unhook(copy, DX_SLICE("User"), &evenness, NULL), DX_OK);
    assert_int_equal(dx_models_build(copy, NULL), DX_OK);
    (void)judged(models, "User", "{'id':3}", false, DX_INVALID);
    (void)judged(copy, "User", "{'id':3}", false, DX_OK);
    dx_models *less;
    assert_int_equal(dx_models_copy(&less, copy, arena), DX_OK);
    assert_int_equal(dx_models_remove(less, DX_SLICE("Post")), DX_OK);
    assert_int_equal(dx_models_remove(less, DX_SLICE("Post")), DX_NOT_FOUND);
    assert_int_equal(dx_models_build(less, NULL), DX_INVALID); // a User's posts lead nowhere now
}

static void test_running_out_of_memory_is_told(void **state) {
    (void)state;
    yyjson_val *document = json(definition), *value = json("{'role':'x','new':1,'posts':[{},{'title':'t','author':{'id':2,'q':1}}]}");
    yyjson_val *pool = json("[{'id':1}]");
    for (uint64_t n = 1;; n++) {
        dx_memory_fail_at(n, false);
        dx_arena *own = dx_arena_create(8u << 20);
        dx_models *models = own ? dx_models_create(own, true) : NULL, *copy = NULL;
        dx_status status = models ? dx_models_add_definition(models, document) : DX_NO_MEMORY;
        if (status == DX_OK) status = dx_models_hook(models, DX_SLICE("User"), &evenness, NULL);
        if (status == DX_OK) status = dx_models_build(models, NULL);
        if (status == DX_OK) status = dx_models_copy(&copy, models, own);
        if (status == DX_OK) status = dx_models_validate(models, DX_SLICE("User"), value, false, own, NULL, NULL);
        dx_related out;
        if (status == DX_INVALID) status = dx_models_related(&out, models, DX_SLICE("User"), value, DX_SLICE("posts"), pool, own);
        bool failed = dx_memory_fail_stop();
        dx_arena_destroy(own);
        if (!failed) assert_int_equal(status, DX_OK);
        if (!failed) break;
        assert_int_equal(status, DX_NO_MEMORY);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_newer_than_the_schema_passes_and_is_counted),
        cmocka_unit_test(test_what_is_wrong_stays_wrong),
        cmocka_unit_test(test_strictness_makes_errors_of_what_is_newer),
        cmocka_unit_test(test_many_warnings_leave_room_for_errors),
        cmocka_unit_test(test_what_is_related_is_validated_by_its_model),
        cmocka_unit_test(test_circles_of_models_end_at_their_cap),
        cmocka_unit_test(test_relations_that_cannot_be_are_told_with_their_place),
        cmocka_unit_test(test_relations_are_resolved_nested_by_id_and_by_key),
        cmocka_unit_test(test_a_schema_given_at_run_time_refers_to_itself_and_to_others),
        cmocka_unit_test(test_a_model_may_be_a_binding_alone),
        cmocka_unit_test(test_threads_share_what_is_built),
        cmocka_unit_test(test_hooks_change_json_in_the_order_of_their_adding),
        cmocka_unit_test(test_a_hook_may_end_a_call_and_may_not_break_the_json),
        cmocka_unit_test(test_validate_hooks_judge_nested_models_too),
        cmocka_unit_test(test_a_registry_in_use_is_changed_by_a_copy),
        cmocka_unit_test(test_running_out_of_memory_is_told),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
