// Bound structs: each kind both ways, what survives, what is refused and where, and running out of memory.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/memory.h"
#include "base/slice.h"
#include "model/bind_fixture.h"

// Single quotes read better in C than escaped double ones.
static char *q(const char *text) {
    static char space[8][8192];
    static unsigned turn;
    char *copy = space[turn++ % 8];
    assert_true(snprintf(copy, sizeof space[0], "%s", text) < (int)sizeof space[0]);
    for (char *at = copy; *at; at++)
        if (*at == '\'') *at = '"';
    return copy;
}

static void read_rich(rich *out, const char *json) {
    dx_error error = DX_ERROR_INIT;
    const char *text = q(json);
    if (dx_model_from_json(out, rich_model(), text, strlen(text), 0, &error)) fail_msg("%s: %s", error.pointer, error.message);
    assert_int_equal(error.code, DX_ERROR_NONE);
}

static void expect_written(const rich *in, const char *json) {
    char *text;
    size_t size;
    dx_error error = DX_ERROR_INIT;
    if (dx_model_to_json(&text, &size, rich_model(), in, 0, &error)) fail_msg("%s: %s", error.pointer, error.message);
    assert_string_equal(text, q(json));
    assert_int_equal(size, strlen(text));
    dx_model_free(text);
}

// Reads `json`, writes it, and expects `wanted`.
static void goes_round(const char *json, const char *wanted) {
    rich value;
    read_rich(&value, json);
    expect_written(&value, wanted);
    dx_model_clear(rich_model(), &value);
}

static void refused_with(unsigned flags, const char *json, dx_error_code code, const char *pointer, const char *message) {
    rich value;
    memset(&value, 0x55, sizeof value);
    dx_error error = DX_ERROR_INIT;
    const char *text = q(json);
    assert_int_equal(dx_model_from_json(&value, rich_model(), text, strlen(text), flags, &error), code);
    assert_int_equal(error.code, code);
    assert_string_equal(error.pointer, pointer);
    assert_string_equal(error.message, q(message));
    static const rich zero;
    assert_memory_equal(&value, &zero, sizeof value); // and the sanitizer sees that nothing leaks
}

static void refused(const char *json, const char *pointer, const char *message) {
    refused_with(0, json, DX_ERROR_INVALID, pointer, message);
}

static void unwritable(const rich *in, const char *pointer, const char *message) {
    char *text = "";
    dx_error error = DX_ERROR_INIT;
    assert_int_equal(dx_model_to_json(&text, NULL, rich_model(), in, 0, &error), DX_ERROR_INVALID);
    assert_null(text);
    assert_string_equal(error.pointer, pointer);
    assert_string_equal(error.message, message);
}

static const char everything[] =
    "{'id':-9223372036854775808,'flag':true,'small':-2147483648,'huge':18446744073709551615,'ratio':0.1,'longName':'Ann \\u00e9',"
    "'code':'abc','blobText':'a\\u0000b','bytes':'AAH/','madeAt':'2026-01-31T13:00:00.5+01:00','state':'closed','corner':{'x':1,'y':2},"
    "'parent':{'id':2,'state':'gone'},'points':[{'x':1},{'x':2,'y':0}],'numbers':[1,-2],'tags':['a',''],'weights':[1.5,1e300],"
    "'bits':[true,false],'maps':[{},{'a':'b'}],'children':[{'id':3,'children':[]}],'anything':[1.10,{'a':null}],"
    "'labels':{'k':'v','':'\\u0000'},'@type':'rich'}";

static void test_each_kind_is_read_into_its_member(void **state) {
    (void)state;
    rich value;
    read_rich(&value, everything);
    assert_true(value.id == INT64_MIN && value.huge == UINT64_MAX && value.small == INT32_MIN && value.has_small);
    assert_true(value.flag && value.has_flag && value.has_ratio && value.ratio == 0.1);
    assert_string_equal(value.long_name, "Ann \xc3\xa9");
    assert_string_equal(value.code, "abc");
    assert_int_equal(value.blob_text_size, 3);
    assert_memory_equal(value.blob_text, "a\0b", 4);
    assert_int_equal(value.byte_count, 3);
    assert_memory_equal(value.bytes, "\0\1\xff", 3);
    assert_true(value.made_at == 1769860800500000 && value.has_made_at);
    assert_true(value.state == RICH_CLOSED && value.has_state && value.has_corner && value.corner.x == 1 && value.corner.y == 2);
    assert_true(value.parent->id == 2 && value.parent->state == RICH_GONE && value.parent->parent == NULL);
    assert_true(value.point_count == 2 && !value.points[0].has_y && value.points[1].has_y && value.points[1].y == 0);
    assert_true(value.number_count == 2 && value.numbers[1] == -2 && value.tag_count == 2);
    assert_string_equal(value.tags[1], "");
    assert_true(value.weights[1] == 1e300 && value.bits[0] && !value.bits[1]);
    assert_true(value.map_count == 2 && value.maps[0].count == 0 && value.maps[1].count == 1);
    assert_true(value.child_count == 1 && value.children[0].child_count == 0 && value.children[0].children != NULL);
    assert_string_equal(value.anything, q("[1.10,{'a':null}]"));
    assert_true(value.labels.count == 2 && value.labels.items[1].value_size == 1);
    assert_string_equal(value.labels.items[0].value, "v");
    assert_string_equal(value.type, "rich");
    assert_int_equal(value.extra.count, 0);
    dx_model_clear(rich_model(), &value);
    static const rich zero;
    assert_memory_equal(&value, &zero, sizeof value);
}

static void test_each_kind_is_written_as_it_was_read(void **state) {
    (void)state;
    goes_round(
        everything,
        "{'id':-9223372036854775808,'flag':true,'small':-2147483648,'huge':18446744073709551615,'ratio':0.1,'longName':'Ann \xc3\xa9',"
        "'code':'abc','blobText':'a\\u0000b','bytes':'AAH/','madeAt':'2026-01-31T12:00:00.500000Z','state':'closed','corner':{'x':1,"
        "'y':2},'parent':{'id':2,'huge':0,'state':'gone'},'points':[{'x':1},{'x':2,'y':0}],'numbers':[1,-2],'tags':['a',''],"
        "'weights':[1.5,1e300],'bits':[true,false],'maps':[{},{'a':'b'}],'children':[{'id':3,'huge':0,'children':[]}],"
        "'anything':[1.10,{'a':null}],'labels':{'k':'v','':'\\u0000'},'@type':'rich'}");
}

static void test_what_is_absent_stays_absent(void **state) {
    (void)state;
    goes_round("{'id':1}", "{'id':1,'huge':0}");
    goes_round("{'id':1,'tags':[],'labels':{},'bytes':'','blobText':'','longName':''}",
               "{'id':1,'huge':0,'longName':'','blobText':'','bytes':'','tags':[],'labels':{}}");
}

static void test_null_is_absent_in_c_and_written_back(void **state) {
    (void)state;
    rich value;
    read_rich(&value, "{'id':1,'flag':null,'longName':null,'parent':null,'anything':null}");
    assert_true(!value.has_flag && value.long_name == NULL && value.parent == NULL);
    assert_string_equal(value.anything, "null");
    expect_written(&value, "{'id':1,'flag':null,'huge':0,'longName':null,'parent':null,'anything':null}");
    value.flag = value.has_flag = true; // what the program sets goes before
    assert_int_equal(dx_model_set_string(&value.long_name, "x"), DX_ERROR_NONE);
    expect_written(&value, "{'id':1,'flag':true,'huge':0,'longName':'x','parent':null,'anything':null}");
    dx_model_clear(rich_model(), &value);
}

static void test_unknown_members_survive_exactly(void **state) {
    (void)state;
    goes_round(
        "{'new':{'deep':[1.50,123456789012345678901234567890,1e400]},'id':1,'points':[{'x':1,'z':'later'}],'':0,'long_name':'other'}",
        "{'id':1,'huge':0,'points':[{'x':1,'z':'later'}],'new':{'deep':[1.50,123456789012345678901234567890,1e400]},'':0,"
        "'long_name':'other'}");
}

static void test_unknown_enum_values_survive_until_the_program_sets_another(void **state) {
    (void)state;
    rich value;
    read_rich(&value, "{'id':1,'state':'frozen \\u00e9','children':[{'id':2,'state':'x'}]}");
    assert_true((int)value.state == DX_ENUM_UNKNOWN && value.has_state);
    expect_written(&value, "{'id':1,'huge':0,'state':'frozen \xc3\xa9','children':[{'id':2,'huge':0,'state':'x'}]}");
    value.state = RICH_OPEN;
    expect_written(&value, "{'id':1,'huge':0,'state':'open','children':[{'id':2,'huge':0,'state':'x'}]}");
    value.has_state = false;
    dx_model_clear(rich_model(), &value);
}

static void test_strictness_refuses_what_is_not_known(void **state) {
    (void)state;
    refused_with(DX_MODEL_STRICT, "{'id':1,'points':[{'x':1,'z':2}]}", DX_ERROR_INVALID, "/points/0/z", "is not a known member");
    refused_with(DX_MODEL_STRICT, "{'id':1,'state':'x'}", DX_ERROR_INVALID, "/state", "'x' is not a known value");
    rich value;
    read_rich(&value, "{'id':1,'state':'x','new':1}");
    char *text;
    dx_error error = DX_ERROR_INIT;
    assert_int_equal(dx_model_to_json(&text, NULL, rich_model(), &value, DX_MODEL_STRICT, &error), DX_ERROR_INVALID);
    assert_string_equal(error.pointer, "/state");
    value.state = RICH_OPEN;
    assert_int_equal(dx_model_to_json(&text, NULL, rich_model(), &value, DX_MODEL_STRICT, &error), DX_ERROR_INVALID);
    assert_string_equal(error.pointer, "/new");
    dx_model_clear(rich_model(), &value);
}

static void test_integers_are_exact_and_out_of_range_is_told(void **state) {
    (void)state;
    goes_round("{'id':9007199254740993,'huge':9007199254740993,'small':2.0e1}",
               "{'id':9007199254740993,'small':20,'huge':9007199254740993}");
    goes_round("{'id':9223372036854775807,'numbers':[-0,-0.0,1e3]}", "{'id':9223372036854775807,'huge':0,'numbers':[0,0,1000]}");
    refused("{'id':9223372036854775808}", "/id", "9223372036854775808 is out of range: must be an integer of 64 bits");
    refused("{'id':1,'small':2147483648}", "/small", "2147483648 is out of range: must be an integer of 32 bits");
    refused("{'id':1,'huge':-1}", "/huge", "-1 is out of range: must be an integer of 64 bits that is not negative");
    refused("{'id':1,'huge':18446744073709551616}", "/huge",
            "18446744073709551616 is out of range: must be an integer of 64 bits that is not negative");
    refused("{'id':9007199254740993.0}", "/id",
            "9007199254740993.0 is out of range: must be an integer of 64 bits"); // may not be what was meant
    refused("{'id':1.5}", "/id", "expected an integer, found a number");
    refused("{'id':1,'ratio':1e999}", "/ratio", "the number is too large for a double");
}

static void test_errors_say_what_is_wrong_and_where(void **state) {
    (void)state;
    refused("[]", "", "expected an object, found an array");
    refused("{}", "/id", "is required");
    refused("{'id':null}", "/id", "must not be null");
    refused("{'id':'1'}", "/id", "expected an integer, found a string");
    refused("{'id':1,'tags':['a',null]}", "/tags/1", "expected a string, found null");
    refused("{'id':1,'tags':{}}", "/tags", "expected an array, found an object");
    refused("{'id':1,'children':[{'id':1},{'id':2,'parent':{'corner':{'x':1}}}]}", "/children/1/parent/id", "is required");
    refused("{'id':1,'labels':{'a/b~':1}}", "/labels/a~1b~0", "expected a string, found a number");
    refused("{'id':1,'flag':0}", "/flag", "expected true or false, found a number");
    refused("{'id':1,'longName':'a\\u0000'}", "/longName", "the string has a NUL in it, which a C string cannot hold");
    refused("{'id':1,'code':'abcd'}", "/code", "the string is longer than 3 bytes");
    refused("{'id':1,'code':'a\\u0000'}", "/code", "the string has a NUL in it, which a C string cannot hold");
    refused("{'id':1,'bytes':'AAH'}", "/bytes", "the string is not base64");
    refused("{'id':1,'madeAt':'yesterday'}", "/madeAt", "the string is not a time as in 2026-01-31T12:00:00Z");
    refused("{'id':1,'@type':1}", "/@type", "expected a string, found a number");
    refused_with(0, "{'id':1,'id':2}", DX_ERROR_MALFORMED, "/id", "the name 'id' stands twice in one object");
}

static void test_text_that_is_no_json_is_located(void **state) {
    (void)state;
    rich value;
    dx_error error = DX_ERROR_INIT;
    static const char text[] = "{\n  \"id\": }";
    assert_int_equal(dx_model_from_json(&value, rich_model(), text, strlen(text), 0, &error), DX_ERROR_MALFORMED);
    assert_int_equal(error.line, 2);
    assert_int_equal(error.column, 9);
    assert_int_equal(dx_model_from_json(&value, rich_model(), "", 0, 0, NULL), DX_ERROR_MALFORMED);
    assert_int_equal(dx_model_from_json(&value, rich_model(), NULL, 0, 0, NULL), DX_ERROR_MALFORMED);
}

static void unwritable_at_depth(const rich *in) {
    char *text;
    dx_error error = DX_ERROR_INIT;
    assert_int_equal(dx_model_to_json(&text, NULL, rich_model(), in, 0, &error), DX_ERROR_INVALID);
    assert_string_equal(error.message, "nested deeper than 64 levels");
}

static void test_depth_is_capped_both_ways(void **state) {
    (void)state;
    char text[4096] = "";
    size_t size = 0;
    for (int levels = 64; levels <= 65; levels++) {
        size = 0;
        for (int i = 1; i < levels; i++) size += (size_t)snprintf(text + size, sizeof text - size, "{\"id\":1,\"parent\":");
        size += (size_t)snprintf(text + size, sizeof text - size, "{\"id\":1}");
        for (int i = 1; i < levels; i++) text[size++] = '}';
        rich value;
        dx_error_code code = dx_model_from_json(&value, rich_model(), text, size, 0, NULL);
        assert_int_equal(code, levels == 64 ? DX_ERROR_NONE : DX_ERROR_MALFORMED);
        char *written = NULL;
        if (levels == 64) assert_int_equal(dx_model_to_json(&written, NULL, rich_model(), &value, 0, NULL), DX_ERROR_NONE);
        const rich above = {.id = 1, .parent = &value};
        if (levels == 64) unwritable_at_depth(&above);
        dx_model_free(written);
        if (levels == 64) dx_model_clear(rich_model(), &value);
    }
    rich circle = {.id = 1};
    circle.parent = &circle;
    unwritable_at_depth(&circle);
}

static void test_raw_json_counts_as_deep_as_it_stands(void **state) {
    (void)state;
    char deep[129] = "", deeper[131] = "";
    memset(deep, '[', 63), memset(deep + 63, ']', 63);
    memset(deeper, '[', 64), memset(deeper + 64, ']', 64);
    rich value = {.id = 1, .anything = deep};
    char *text;
    assert_int_equal(dx_model_to_json(&text, NULL, rich_model(), &value, 0, NULL), DX_ERROR_NONE);
    dx_model_free(text);
    value.anything = deeper;
    unwritable(&value, "/anything", "the raw JSON is not valid, or nested too deep");
}

static void test_what_json_cannot_say_is_not_written(void **state) {
    (void)state;
    unwritable(&(rich){.ratio = 0.0 / 0.0, .has_ratio = true}, "/ratio", "JSON has no number that is not finite");
    unwritable(&(rich){.long_name = "a\xff"}, "/longName", "the string is not valid UTF-8");
    unwritable(&(rich){.code = {'a', 'b', 'c', 'd'}, .has_code = true}, "/code", "the string has no NUL within its 4 bytes");
    unwritable(&(rich){.made_at = INT64_MAX, .has_made_at = true}, "/madeAt", "the time lies outside of the years 0 to 9999");
    unwritable(&(rich){.state = (rich_state)7, .has_state = true}, "/state", "the value 7 has no name");
    unwritable(&(rich){.state = (rich_state)DX_ENUM_UNKNOWN, .has_state = true}, "/state", "the value -1 has no name");
    unwritable(&(rich){.anything = "{\"a\":1},\"b\":2"}, "/anything", "the raw JSON is not valid, or nested too deep");
    unwritable(&(rich){.tags = (char *[]){"a", NULL}, .tag_count = 2}, "/tags/1", "the string is NULL");
    unwritable(&(rich){.tag_count = 2}, "/tags", "has a count, but is NULL");
    unwritable(&(rich){.byte_count = 2}, "/bytes", "has a size, but is NULL");
    unwritable(&(rich){.extra = {(dx_model_raw[]){{"n", 1, "1 2", 3}}, 1}}, "/n", "the raw JSON is not valid, or nested too deep");
    unwritable(&(rich){.labels = {(dx_model_pair[]){{"k", 1, "\xff", 1}}, 1}}, "/labels/k", "the string is not valid UTF-8");
}

typedef struct wants {
    char *name;
    rich *one;
} wants;
DX_MODEL(wants_model, wants, DX_CASE_SNAKE, DX_MEMBER(STRING, name, DX_REQUIRED), DX_MEMBER_POINTER(one, rich_model, DX_PLAIN))
DX_MODEL(wrong_model, wants, DX_CASE_SNAKE, DX_MEMBER_POINTER(one, point_model, DX_PLAIN))

static void test_a_required_member_is_required_when_written_too(void **state) {
    (void)state;
    char *text;
    dx_error error = DX_ERROR_INIT;
    assert_int_equal(dx_model_to_json(&text, NULL, wants_model(), &(wants){0}, 0, &error), DX_ERROR_INVALID);
    assert_string_equal(error.pointer, "/name");
}

static void test_a_table_with_the_model_of_another_struct_is_refused(void **state) {
    (void)state;
    wants value = {0};
    char *text;
    dx_error error = DX_ERROR_INIT;
    assert_int_equal(dx_model_from_json(&value, wrong_model(), "{}", 2, 0, &error), DX_ERROR_INVALID);
    assert_non_null(strstr(error.message, "one has the model of another struct"));
    assert_int_equal(dx_model_to_json(&text, NULL, wrong_model(), &value, 0, NULL), DX_ERROR_INVALID);
    dx_model other = *wants_model();
    other.version++;
    assert_int_equal(dx_model_from_json(&value, &other, "{}", 2, 0, &error), DX_ERROR_INVALID);
}

typedef struct cased {
    int32_t htmlUrl, other_url, line_2, plain;
} cased;
DX_MODEL(snake_model, cased, DX_CASE_SNAKE, DX_MEMBER(INT32, htmlUrl, DX_PLAIN), DX_MEMBER(INT32, other_url, DX_PLAIN),
         DX_MEMBER(INT32, line_2, DX_PLAIN), DX_MEMBER(INT32, plain, DX_PLAIN_AS("HTMLUrl")))
DX_MODEL(camel_model, cased, DX_CASE_CAMEL, DX_MEMBER(INT32, htmlUrl, DX_PLAIN), DX_MEMBER(INT32, other_url, DX_PLAIN),
         DX_MEMBER(INT32, line_2, DX_PLAIN), DX_MEMBER(INT32, plain, DX_PLAIN))
DX_MODEL(as_is_model, cased, DX_CASE_AS_IS, DX_MEMBER(INT32, htmlUrl, DX_PLAIN), DX_MEMBER(INT32, other_url, DX_PLAIN),
         DX_MEMBER(INT32, line_2, DX_PLAIN), DX_MEMBER(INT32, plain, DX_PLAIN))

static void test_names_follow_the_case_of_the_model(void **state) {
    (void)state;
    const struct {
        const dx_model *model;
        const char *json;
    } cases[] = {{snake_model(), "{'html_url':1,'other_url':2,'line_2':3,'HTMLUrl':4}"},
                 {camel_model(), "{'htmlUrl':1,'otherUrl':2,'line_2':3,'plain':4}"},
                 {as_is_model(), "{'htmlUrl':1,'other_url':2,'line_2':3,'plain':4}"}};
    for (size_t i = 0; i < 3; i++) {
        cased value;
        char *text;
        const char *json = q(cases[i].json);
        assert_int_equal(dx_model_from_json(&value, cases[i].model, json, strlen(json), DX_MODEL_STRICT, NULL), DX_ERROR_NONE);
        assert_true(value.htmlUrl == 1 && value.other_url == 2 && value.line_2 == 3 && value.plain == 4);
        assert_int_equal(dx_model_to_json(&text, NULL, cases[i].model, &value, 0, NULL), DX_ERROR_NONE);
        assert_string_equal(text, json);
        dx_model_free(text);
    }
}

static void test_members_may_come_in_any_order(void **state) {
    (void)state;
    goes_round("{'@type':'t','tags':[],'small':1,'id':5,'flag':false}", "{'id':5,'flag':false,'small':1,'huge':0,'tags':[],'@type':'t'}");
}

static void test_lists_of_structs_go_both_ways(void **state) {
    (void)state;
    const char *json = q("[{'x':1},{'x':2,'y':3,'z':[]}]");
    void *items;
    size_t count;
    dx_error error = DX_ERROR_INIT;
    assert_int_equal(dx_model_array_from_json(&items, &count, point_model(), json, strlen(json), 0, &error), DX_ERROR_NONE);
    assert_int_equal(count, 2);
    assert_int_equal(((point *)items)[1].y, 3);
    char *text;
    assert_int_equal(dx_model_array_to_json(&text, NULL, point_model(), items, count, 0, &error), DX_ERROR_NONE);
    assert_string_equal(text, json);
    dx_model_free(text);
    dx_model_clear_array(point_model(), items, count);
    json = q("[{'x':1,'z':1},{'x':2,'y':'3'}]");
    assert_int_equal(dx_model_array_from_json(&items, &count, point_model(), json, strlen(json), 0, &error), DX_ERROR_INVALID);
    assert_string_equal(error.pointer, "/1/y");
    assert_null(items);
    assert_int_equal(dx_model_array_from_json(&items, &count, point_model(), "{}", 2, 0, &error), DX_ERROR_INVALID);
    assert_int_equal(dx_model_array_to_json(&text, NULL, point_model(), NULL, 0, 0, &error), DX_ERROR_NONE);
    assert_string_equal(text, "[]");
    dx_model_free(text);
}

static void test_a_long_pointer_is_cut_not_overrun(void **state) {
    (void)state;
    char text[1200];
    int size = snprintf(text, sizeof text, "{\"id\":1,\"labels\":{\"%0*d\":0}}", 900, 0);
    rich value;
    dx_error error = DX_ERROR_INIT;
    assert_int_equal(dx_model_from_json(&value, rich_model(), text, (size_t)size, 0, &error), DX_ERROR_INVALID);
    assert_int_equal(strlen(error.pointer), sizeof error.pointer - 1);
}

// --- properties ------------------------------------------------------------------------------------------------------------

static uint64_t chance(uint64_t *seed, uint64_t below) { // xorshift: the same run each time
    *seed ^= *seed << 13, *seed ^= *seed >> 7, *seed ^= *seed << 17;
    return *seed % below;
}

static char *random_text(uint64_t *seed, size_t *size) {
    static const char *const pieces[] = {"a", "\xc3\xa9", "\"", "\\", "\n", "\xf0\x9f\x98\x80", "/", "~", "\x01", "zzzzzzzzzz"};
    char *text = dx_model_alloc(64, 1);
    *size = 0;
    for (uint64_t n = chance(seed, 6); n > 0; n--) {
        const char *piece = pieces[chance(seed, 10)];
        memcpy(text + *size, piece, strlen(piece));
        *size += strlen(piece);
    }
    return text;
}

static void random_map(uint64_t *seed, dx_model_map *map) {
    map->count = chance(seed, 3);
    map->items = dx_model_alloc(map->count, sizeof *map->items);
    for (size_t i = 0; i < map->count; i++) {
        dx_model_pair *pair = &map->items[i];
        pair->name = dx_model_alloc(2, 1);
        pair->name[0] = (char)('a' + i);
        pair->name_size = 1;
        pair->value = random_text(seed, &pair->value_size);
    }
}

static void random_scalars(uint64_t *seed, rich *r) {
    size_t size;
    r->id = (int64_t)chance(seed, UINT64_MAX);
    r->has_flag = chance(seed, 2), r->flag = r->has_flag && chance(seed, 2);
    r->has_small = chance(seed, 2), r->small = r->has_small ? (int32_t)chance(seed, UINT32_MAX) : 0;
    r->huge = chance(seed, UINT64_MAX) << chance(seed, 2);
    r->has_ratio = chance(seed, 2), r->ratio = r->has_ratio ? (double)(int64_t)chance(seed, UINT64_MAX) / 1e7 : 0;
    if (chance(seed, 2)) r->long_name = random_text(seed, &size);
    r->has_code = chance(seed, 2);
    if (r->has_code) memset(r->code, 'x', chance(seed, 4));
    if (chance(seed, 2)) r->blob_text = random_text(seed, &r->blob_text_size);
    if (chance(seed, 2)) r->bytes = (uint8_t *)random_text(seed, &r->byte_count);
    r->has_made_at = chance(seed, 2), r->made_at = r->has_made_at ? (int64_t)chance(seed, 1000000000000000) - 500000000000000 : 0;
    r->has_state = chance(seed, 2), r->state = r->has_state ? (rich_state)chance(seed, 3) : RICH_OPEN;
    if (chance(seed, 2)) random_map(seed, &r->labels);
    if (chance(seed, 2)) assert_int_equal(dx_model_set_string(&r->anything, "[1.10,\"\\u0000\"]"), DX_ERROR_NONE);
}

static void random_rich(uint64_t *seed, rich *r, int depth) {
    size_t size;
    random_scalars(seed, r);
    if (chance(seed, 2)) {
        r->tag_count = chance(seed, 4);
        r->tags = dx_model_alloc(r->tag_count, sizeof *r->tags);
        for (size_t i = 0; i < r->tag_count; i++) r->tags[i] = random_text(seed, &size);
    }
    if (chance(seed, 2)) {
        r->number_count = chance(seed, 4);
        r->numbers = dx_model_alloc(r->number_count, sizeof *r->numbers);
        for (size_t i = 0; i < r->number_count; i++) r->numbers[i] = (int64_t)chance(seed, UINT64_MAX);
    }
    if (depth == 0) return;
    if (chance(seed, 2)) random_rich(seed, r->parent = dx_model_alloc(1, sizeof *r->parent), depth - 1);
    if (chance(seed, 2)) {
        r->child_count = chance(seed, 3);
        r->children = dx_model_alloc(r->child_count, sizeof *r->children);
        for (size_t i = 0; i < r->child_count; i++) random_rich(seed, &r->children[i], depth - 1);
    }
}

static void test_random_structs_come_back_as_they_were(void **state) {
    (void)state;
    uint64_t seed = 88172645463325252u;
    for (int i = 0; i < 300; i++) {
        rich before = {0}, after;
        random_rich(&seed, &before, 3);
        char *first, *second;
        size_t size;
        dx_error error = DX_ERROR_INIT;
        if (dx_model_to_json(&first, &size, rich_model(), &before, 0, &error)) fail_msg("%s: %s", error.pointer, error.message);
        if (dx_model_from_json(&after, rich_model(), first, size, DX_MODEL_STRICT, &error))
            fail_msg("%s: %s", error.pointer, error.message);
        assert_int_equal(dx_model_to_json(&second, NULL, rich_model(), &after, DX_MODEL_STRICT, &error), DX_ERROR_NONE);
        assert_string_equal(first, second);
        assert_true(before.id == after.id && before.huge == after.huge && before.ratio == after.ratio && before.made_at == after.made_at);
        assert_true(before.state == after.state && before.child_count == after.child_count && before.small == after.small);
        assert_memory_equal(before.code, after.code, sizeof before.code);
        assert_int_equal(before.byte_count, after.byte_count);
        if (before.byte_count) assert_memory_equal(before.bytes, after.bytes, before.byte_count);
        dx_model_free(first);
        dx_model_free(second);
        dx_model_clear(rich_model(), &before);
        dx_model_clear(rich_model(), &after);
    }
}

static void test_running_out_of_memory_is_told_and_loses_nothing(void **state) {
    (void)state;
    char text[2048];
    int size = snprintf(text, sizeof text, "%.*s,\"new\":[1],\"other\":null,\"state2\":\"x\"}", (int)sizeof everything - 2, q(everything));
    uint64_t n = 1;
    for (;; n++) {
        rich value;
        dx_error error = DX_ERROR_INIT;
        dx_memory_fail_at(n, false);
        dx_error_code code = dx_model_from_json(&value, rich_model(), text, (size_t)size, 0, &error);
        bool failed = dx_memory_fail_stop();
        if (!failed) assert_int_equal(code, DX_ERROR_NONE);
        if (!failed) dx_model_clear(rich_model(), &value);
        if (!failed) break;
        if (code == DX_ERROR_NONE)
            dx_model_clear(rich_model(), &value); // it did with less
        else
            assert_int_equal(code, DX_ERROR_NO_MEMORY);
    }
    assert_in_range(n, 30, 1000);
    rich value;
    assert_int_equal(dx_model_from_json(&value, rich_model(), text, (size_t)size, 0, NULL), DX_ERROR_NONE);
    for (n = 1;; n++) {
        char *written;
        dx_memory_fail_at(n, false);
        dx_error_code code = dx_model_to_json(&written, NULL, rich_model(), &value, 0, NULL);
        bool failed = dx_memory_fail_stop();
        dx_model_free(written);
        if (!failed) break;
        assert_true(code == DX_ERROR_NO_MEMORY || code == DX_ERROR_NONE);
        assert_true((written == NULL) == (code != DX_ERROR_NONE));
    }
    assert_true(n > 3);
    char *string = value.long_name;
    dx_memory_fail_at(1, false);
    assert_int_equal(dx_model_set_string(&value.long_name, "other"), DX_ERROR_NO_MEMORY);
    assert_true(dx_memory_fail_stop());
    assert_ptr_equal(value.long_name, string);
    dx_model_clear(rich_model(), &value);
}

// The header is compiled as C++ where there is a compiler for it, and a wrong type must not pass anywhere.
static int compile_header(const char *compiler, const char *lines) {
    const char *source = getenv("DX_SOURCE");
    char command[4096];
    int size = snprintf(command, sizeof command, "printf '%%s\\n' '%s' | %s -I'%s/include' -fsyntax-only - >/dev/null 2>&1", lines,
                        compiler, source ? source : ".");
    assert_true(size > 0 && (size_t)size < sizeof command);
    return system(command); // NOLINT: words of this file only
}

#define PEER_LINES                                                                                                                         \
    "#include \"duplex/model.h\"\nstruct s { int64_t id; char *n; char t[4]; bool has; double d; int e; struct s *p; dx_model_extra x; };" \
    "static const dx_enum_name es[] = {{\"a\", 0}};"                                                                                       \
    "DX_MODEL(s_model, struct s, DX_CASE_CAMEL, DX_MEMBER(%s, id, DX_REQUIRED), DX_MEMBER(STRING, n, DX_PLAIN_AS(\"@n\")),"                \
    "DX_MEMBER_TEXT(t, DX_PLAIN), DX_MEMBER(DOUBLE, d, DX_OPTIONAL(has)), DX_MEMBER_ENUM(e, es, DX_PLAIN),"                                \
    "DX_MEMBER_POINTER(p, s_model, DX_PLAIN), DX_MEMBER_EXTRA(x))\nconst void *use(void); const void *use(void) { return s_model(); }"

static void test_the_header_is_c99_and_cxx_and_sees_wrong_types(void **state) {
    (void)state;
    static const char *const compilers[] = {"cc -std=c99 -pedantic -Wall -Wextra -Werror -x c",
                                            "g++ -std=c++11 -pedantic -Wall -Wextra -Werror -x c++"};
    unsigned tried = 0;
    for (size_t i = 0; i < 2; i++) {
        if (compile_header(compilers[i], "int x;") != 0) continue; // none here
        tried++;
        char lines[2048];
        (void)snprintf(lines, sizeof lines, PEER_LINES, "INT64");
        assert_int_equal(compile_header(compilers[i], lines), 0);
        (void)snprintf(lines, sizeof lines, PEER_LINES, "INT32");
        assert_int_not_equal(compile_header(compilers[i], lines), 0);
    }
    if (!tried) skip();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_kind_is_read_into_its_member),
        cmocka_unit_test(test_each_kind_is_written_as_it_was_read),
        cmocka_unit_test(test_what_is_absent_stays_absent),
        cmocka_unit_test(test_null_is_absent_in_c_and_written_back),
        cmocka_unit_test(test_unknown_members_survive_exactly),
        cmocka_unit_test(test_unknown_enum_values_survive_until_the_program_sets_another),
        cmocka_unit_test(test_strictness_refuses_what_is_not_known),
        cmocka_unit_test(test_integers_are_exact_and_out_of_range_is_told),
        cmocka_unit_test(test_errors_say_what_is_wrong_and_where),
        cmocka_unit_test(test_text_that_is_no_json_is_located),
        cmocka_unit_test(test_depth_is_capped_both_ways),
        cmocka_unit_test(test_raw_json_counts_as_deep_as_it_stands),
        cmocka_unit_test(test_what_json_cannot_say_is_not_written),
        cmocka_unit_test(test_a_required_member_is_required_when_written_too),
        cmocka_unit_test(test_a_table_with_the_model_of_another_struct_is_refused),
        cmocka_unit_test(test_names_follow_the_case_of_the_model),
        cmocka_unit_test(test_members_may_come_in_any_order),
        cmocka_unit_test(test_lists_of_structs_go_both_ways),
        cmocka_unit_test(test_a_long_pointer_is_cut_not_overrun),
        cmocka_unit_test(test_random_structs_come_back_as_they_were),
        cmocka_unit_test(test_running_out_of_memory_is_told_and_loses_nothing),
        cmocka_unit_test(test_the_header_is_c99_and_cxx_and_sees_wrong_types),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
