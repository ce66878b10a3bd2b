// Definitions in a folder of their own: what is read, put in, followed, filled in and refused, and the words in which.
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/memory.h"
#include "config/definition.h"

static char folder[64];
static dx_arena *arena;
static dx_diags diags;
static dx_definition *definition;

static const dx_section models = {"models", "{\"type\":\"object\",\"additionalProperties\":{\"type\":[\"object\",\"boolean\"]}}", false,
                                  NULL};
static const dx_section server = {
    "server",
    "{\"type\":\"object\",\"default\":{},\"additionalProperties\":false,\"properties\":{"
    "\"listen\":{\"type\":\"string\",\"default\":\"127.0.0.1:8080\"},\"workers\":{\"type\":\"integer\",\"minimum\":0,\"default\":0},"
    "\"ratio\":{\"type\":[\"number\",\"null\"]},\"fast\":{\"type\":\"boolean\",\"default\":false},"
    "\"mode\":{\"enum\":[\"development\",\"production\"],\"default\":\"production\"},\"secret\":{\"type\":\"string\"},"
    "\"idle\":{\"$ref\":\"#/$defs/duration\",\"default\":\"75s\"},"
    "\"limits\":{\"type\":\"object\",\"default\":{},\"additionalProperties\":false,\"properties\":{"
    "\"body\":{\"type\":\"string\",\"default\":\"1MiB\"},\"fields\":{\"type\":\"integer\",\"default\":100}}}},"
    "\"$defs\":{\"duration\":{\"type\":\"string\",\"pattern\":\"" DX_DURATION_PATTERN "\",\"examples\":[\"75s\"]}}}",
    false, NULL};
static const dx_section resources = {
    "resources",
    "{\"type\":\"object\",\"propertyNames\":{\"maxLength\":20,\"examples\":[\"items\"]},"
    "\"additionalProperties\":{\"type\":\"object\",\"required\":[\"model\"],\"additionalProperties\":false,"
    "\"properties\":{"
    "\"model\":{\"type\":\"string\"},\"owner\":{\"type\":\"boolean\",\"default\":false},"
    "\"page\":{\"type\":\"object\",\"default\":{},\"properties\":{\"size\":{\"type\":\"integer\",\"default\":20}}},"
    "\"tags\":{\"type\":\"array\",\"items\":{\"type\":\"object\",\"examples\":[{\"on\":false}],\"properties\":{\"on\":{\"default\":true}}}}"
    "}}}",
    false, NULL};
static const dx_section *const sections[] = {&models, &server, &resources};

static int setup(void **state) {
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/dx-config-XXXXXX");
    arena = dx_arena_create(256u << 20);
    definition = NULL;
    return arena && mkdtemp(folder) ? 0 : 1;
}

static int remove_one(const char *path, const struct stat *info, int kind, struct FTW *at) {
    (void)info, (void)kind, (void)at;
    return remove(path);
}

static int teardown(void **state) {
    (void)state;
    dx_definition_destroy(definition);
    dx_arena_destroy(arena);
    return nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static const char *path_of(const char *name) {
    return dx_arena_printf(arena, "%s/%s", folder, name).data;
}

// Writes a file; single quotes become double ones.
static void file(const char *name, const char *text) {
    FILE *out = fopen(path_of(name), "wb");
    assert_non_null(out);
    for (; *text; text++) fputc(*text == '\'' ? '"' : *text, out);
    fclose(out);
}

static const char *variable(void *ctx, const char *name) {
    for (const char *const *pair = ctx; pair && *pair; pair += 2)
        if (strcmp(*pair, name) == 0) return pair[1];
    return NULL;
}

static dx_status load_with(const char *const *variables) {
    dx_definition_options options = {.variable = variable, .ctx = (void *)variables};
    dx_definition_destroy(definition);
    dx_diags_init(&diags, arena);
    return dx_definition_load(&definition, path_of("api.json"), sections, DX_COUNT_OF(sections), &options, &diags);
}

static dx_status load(const char *text) {
    file("api.json", text);
    return load_with(NULL);
}

// The findings, a line each, without the folder's name.
static const char *findings(void) {
    dx_buffer text;
    dx_buffer_init(&text, arena, 4u << 20);
    for (const dx_diag *diag = diags.first; diag; diag = diag->next) {
        dx_slice line = dx_diag_text(diag, arena);
        if (text.size) dx_buffer_byte(&text, '\n');
        for (const char *found; (found = memmem(line.data, line.size, folder, strlen(folder)));) {
            dx_buffer_append(&text, line.data, (size_t)(found - line.data));
            line = dx_slice_from(line, (size_t)(found - line.data) + strlen(folder) + 1);
        }
        dx_buffer_add(&text, line);
    }
    dx_buffer_byte(&text, 0);
    return text.data;
}

// In whole, which cmocka would cut off.
static void expect_findings(const char *wanted) {
    const char *found = findings();
    if (strcmp(found, wanted) == 0) return;
    for (dx_slice rest = dx_slice_str(found); rest.data;) {
        dx_slice line = dx_slice_cut(&rest, '\n');
        print_error("  found: %.*s\n", DX_SLICE_ARG(line));
    }
    fail_msg("not what was expected");
}

static void expect_ok(dx_status status) {
    if (status != DX_OK) fail_msg("%s: %s", dx_status_name(status), findings());
}

static void expect_at(const char *pointer, const char *json) {
    dx_buffer text;
    dx_buffer_init(&text, arena, 1u << 20);
    yyjson_val *value = dx_json_at(dx_definition_root(definition), dx_slice_str(pointer));
    if (value) dx_json_write_value(&text, value);
    dx_buffer_byte(&text, 0);
    char *wanted = dx_arena_bytes(arena, strlen(json) + 1);
    for (size_t i = 0; i <= strlen(json); i++) wanted[i] = json[i] == '\'' ? '"' : json[i];
    assert_string_equal(text.data, wanted);
}

static void test_defaults_are_filled_in_on_all_levels(void **state) {
    (void)state;
    expect_ok(load("{'server':{'limits':{'fields':7}},'resources':{'items':{'model':'Item','tags':[{},{'on':false}]}}}"));
    expect_at("/server/limits", "{'fields':7,'body':'1MiB'}");
    expect_at("/server/listen", "'127.0.0.1:8080'");
    expect_at("/server/idle", "'75s'");
    expect_at("/resources/items/page/size", "20");
    expect_at("/resources/items/tags", "[{'on':true},{'on':false}]");
    expect_ok(load("{}"));
    expect_at("/server/limits/body", "'1MiB'");
    assert_null(dx_definition_section(definition, "resources"));
}

// What a section turns on by being there must not be turned on by the defaults of its settings.
static void test_a_section_without_a_default_of_its_own_stays_absent(void **state) {
    (void)state;
    static const dx_section accounts = {
        "accounts", "{\"type\":\"object\",\"properties\":{\"ttl\":{\"type\":\"string\",\"default\":\"15m\"}}}", false, NULL};
    static const dx_section *const both[] = {&server, &accounts};
    const char *const texts[] = {"{}", "{'accounts':{}}"};
    for (size_t i = 0; i < DX_COUNT_OF(texts); i++) {
        file("api.json", texts[i]);
        dx_definition_destroy(definition);
        dx_diags_init(&diags, arena);
        expect_ok(dx_definition_load(&definition, path_of("api.json"), both, DX_COUNT_OF(both), NULL, &diags));
        expect_at("/accounts", i ? "{'ttl':'15m'}" : "");
    }
}

static void test_models_are_left_alone(void **state) {
    (void)state;
    const char *model = "{'type':'object','properties':{'a':{'default':1},'$ref':{'type':'string'},'b':{'$ref':'#/models/Item'}},"
                        "'const':{'$ref':'x.json'},'default':{'$ref':'y.json#/z'},'$defs':{'c':{'$id':'http://x/y.json','$ref':'z.json'}}}";
    expect_ok(load(dx_arena_printf(arena, "{'models':{'Item':%s}}", model).data));
    expect_at("/models/Item", model);
}

static void test_variables_are_put_in(void **state) {
    (void)state;
    static const char *const variables[] = {"NAME", "john", "PORT", "80", "ON", "true", "HALF", "0.5", "EMPTY", "", NULL};
    file("api.json", "{'server':{'listen':'${HOST:0.0.0.0}:${PORT}','workers':'${PORT}','fast':'${ON}','ratio':'${HALF}',"
                     "'secret':'$${NAME} ${NAME} $ ${EMPTY}${NONE:}'},'models':{'A':{'description':'${PORT}'}}}");
    expect_ok(load_with(variables));
    expect_at("/server/listen", "'0.0.0.0:80'");
    expect_at("/server/workers", "80");
    expect_at("/server/fast", "true");
    expect_at("/server/ratio", "0.5");
    expect_at("/server/secret", "'${NAME} john $ '");
    expect_at("/models/A/description", "'80'");
}

static void test_what_came_from_a_variable_is_secret(void **state) {
    (void)state;
    static const char *const variables[] = {"A", "1", NULL};
    file("api.json", "{'server':{'secret':'x${A}','listen':'$${A}:1','workers':'${A}'}}");
    expect_ok(load_with(variables));
    assert_true(dx_definition_is_secret(definition, DX_SLICE("/server/secret")));
    assert_true(dx_definition_is_secret(definition, DX_SLICE("/server/workers")));
    assert_true(dx_definition_is_secret(definition, DX_SLICE("/server")));
    assert_false(dx_definition_is_secret(definition, DX_SLICE("/server/listen")));
    assert_false(dx_definition_is_secret(definition, DX_SLICE("/server/limits")));
}

static void test_the_environment_comes_before_dotenv(void **state) {
    (void)state;
    file(".env", "# settings\n\nexport A=from file\nB = 'it''s' # no\nC=plain # comment\nD=\"a\\nb\"\nE=\n");
    file("api.json", "{'server':{'listen':'${A}|${C}','secret':'${D}${E}'}}");
    expect_ok(load_with(NULL) == DX_INVALID ? DX_OK : DX_INTERNAL); // the line of B
    expect_findings(".env:4:1: the quotes around the value of B are not closed");
    file(".env", "A=from file\nC=plain # comment\r\nD='a\\nb'\nE=\n");
    expect_ok(load_with(NULL));
    expect_at("/server/listen", "'from file|plain'");
    expect_at("/server/secret", "'a\\nb'");
    static const char *const variables[] = {"A", "from environment", NULL};
    expect_ok(load_with(variables));
    expect_at("/server/listen", "'from environment|plain'");
}

static void test_references_to_files_are_followed(void **state) {
    (void)state;
    assert_int_equal(mkdir(path_of("parts"), 0700), 0);
    file("parts/server.json", "{'main':{'listen':'h:1','limits':{'$ref':'limits.json#'}},'x':{'$ref':'#/main/listen'}}");
    file("parts/limits.json", "{'fields':3}");
    file("parts/a b.json", "[{'model':'${M:Item}'}]");
    expect_ok(load("{'server':{'$ref':'parts/server.json#/main'},'resources':{'items':{'$ref':'./parts/../parts/a%20b.json#/0'}}}"));
    expect_at("/server/limits", "{'fields':3,'body':'1MiB'}");
    expect_at("/resources/items/model", "'Item'");
    expect_ok(load("{'resources':{'a':{'model':'Item'},'b':{'$ref':'#/resources/a'}}}"));
    expect_at("/resources/b/model", "'Item'");
}

static void test_models_from_files_keep_their_references(void **state) {
    (void)state;
    file("types.json", "{'Tree':{'type':'object','properties':{'left':{'$ref':'#/Tree'},'size':{'$ref':'#/Size'},'item':{'$ref':"
                       "'api.json#/models/Item'}}},'Size':{'type':'integer','title':'Size'}}");
    expect_ok(load("{'models':{'Item':{'type':'string'},'Tree':{'$ref':'types.json#/Tree'},'Sized':{'properties':{'a':{'$ref':"
                   "'types.json#/Size','title':'A','minimum':1},'b':{'$ref':'types.json#/Size','type':'number'}}}}}"));
    expect_at("/models/Tree", "{'type':'object','properties':{'left':{'$ref':'#/models/Tree'},'size':{'type':'integer','title':'Size'},"
                              "'item':{'$ref':'#/models/Item'}}}");
    expect_at("/models/Sized/properties/a/type", "'integer'");
    expect_at("/models/Sized/properties/a/title", "'A'");
    expect_at("/models/Sized/properties/a/minimum", "1");
    expect_at("/models/Sized/properties/b", "{'type':'number','allOf':[{'type':'integer','title':'Size'}]}");
    file("all.json", "{'One':{'$ref':'#/Two'},'Two':{'items':{'$ref':'#/One'}}}");
    expect_ok(load("{'models':{'$ref':'all.json'}}"));
    expect_at("/models/One", "{'$ref':'#/models/Two'}");
}

static void test_a_page_of_mistakes_is_told_at_once(void **state) {
    (void)state;
    file("limits.json", "{\n  'fields': 'many',\n  'bodi': '1MiB'\n}\n");
    assert_int_equal(load("{\n"
                          "  'servr': {},\n"
                          "  'server': {\n"
                          "    'listen': 8080,\n"
                          "    'workers': -1, 'fast': 'no',\n"
                          "    'mode': 'develop',\n"
                          "    'secret': '${SECRET_KEY}',\n"
                          "    'idle': '5 minutes',\n"
                          "    'limits': { '$ref': 'limits.json' }\n"
                          "  },\n"
                          "  'resources': {\n"
                          "    'items': {'owner': 'yes'},\n"
                          "    'others': { '$ref': 'nowhere.json#/x' },\n"
                          "    'escape': { '$ref': '../../etc/passwd' },\n"
                          "    'self': { '$ref': '#/resources/self' },\n"
                          "    'open': { 'model': '${open' }\n"
                          "  }\n"
                          "}\n"),
                     DX_INVALID);
    expect_findings(
        "api.json:7:15: /server/secret: the variable SECRET_KEY is not set; set it in the environment or in .env, or give a default: "
        "${SECRET_KEY:…}\n"
        "api.json:13:15: /resources/others: refers to \"nowhere.json#/x\": there is no such file\n"
        "api.json:14:15: /resources/escape: refers to \"../../etc/passwd\": it lies outside the definition's folder\n"
        "api.json:15:13: /resources/self: refers to \"#/resources/self\", and so to itself\n"
        "api.json:16:24: /resources/open/model: a \"${\" is not closed; write \"$${\" for a literal \"${\"\n"
        "api.json:2:3: /servr: is not a known field; did you mean \"server\"?\n"
        "api.json:4:15: /server/listen: expected a string, found a number\n"
        "api.json:5:16: /server/workers: must be at least 0\n"
        "api.json:5:28: /server/fast: expected true or false, found a string\n"
        "api.json:6:13: /server/mode: must be one of \"development\" or \"production\"\n"
        "api.json:8:13: /server/idle: expected a duration: one number with one unit of ms, s, m, h or d, as in 15m\n"
        "limits.json:2:13: /server/limits/fields: expected an integer, found a string\n"
        "limits.json:3:3: /server/limits/bodi: is not a known field; did you mean \"body\"?\n"
        "api.json:12:24: /resources/items/owner: expected true or false, found a string\n"
        "api.json:12:14: /resources/items/model: is required");
}

static void test_a_value_of_the_wrong_form_is_told_with_the_schemas_example(void **state) {
    (void)state;
    assert_int_equal(load("{ 'server': {'idle': 75, 'workers': 'two'},\n"
                          "  'resources': {'a': {'model': 'A', 'tags': [{}, 'x']}, 'a-name-of-too-many-characters': {'model': 'A'}}}"),
                     DX_INVALID);
    expect_findings(
        "api.json:1:22: /server/idle: expected a string, found a number; write \"75s\"\n"
        "api.json:1:37: /server/workers: expected an integer, found a string\n"
        "api.json:2:50: /resources/a/tags/1: expected an object, found a string; write {\"on\":false}\n"
        "api.json:2:57: /resources/a-name-of-too-many-characters: the name itself must have at most 20 characters; write \"items\"");
}

static void test_a_file_that_is_no_json_is_located(void **state) {
    (void)state;
    assert_int_equal(load("{\n  'server': {,}\n}"), DX_MALFORMED);
    assert_true(strncmp(findings(), "api.json:2:14: ", 15) == 0);
    file("part.json", "{\n  'a': 1,\n  'a': 2\n}");
    assert_int_equal(load("{'server':{'$ref':'part.json'},'resources':{'a':{'$ref':'part.json'}}}"), DX_INVALID);
    expect_findings("part.json:3:3: the name \"a\" stands twice in one object");
    assert_int_equal(load("[]"), DX_INVALID);
    expect_findings("api.json:1:1: expected an object, found an array");
    dx_diags_init(&diags, arena);
    assert_int_equal(dx_definition_load(&definition, path_of("none.json"), sections, 3, NULL, &diags), DX_NOT_FOUND);
    expect_findings("none.json: there is no such file");
}

static void test_rooms_complain_with_file_and_line(void **state) {
    (void)state;
    file("server.json", "{\n  'listen': 'x'\n}");
    expect_ok(load("{'server':{'$ref':'server.json'},\n'resources':{'a':{'model':'M'}}}"));
    dx_definition_complain(definition, &diags, DX_SLICE("/server/listen"), "is %s", "odd");
    dx_definition_complain(definition, &diags, DX_SLICE("/server/limits/body"), "is too small");
    dx_definition_complain(definition, &diags, DX_SLICE("/resources/a/page/size"), "is too large");
    dx_definition_complain(definition, &diags, DX_SLICE("/nothing/here"), "is missing");
    expect_findings("server.json:2:13: /server/listen: is odd\n"
                    "server.json:1:1: /server/limits/body: is too small\n"
                    "api.json:2:18: /resources/a/page/size: is too large\n"
                    "api.json:1:1: /nothing/here: is missing");
}

static void test_only_files_in_the_folder_are_read(void **state) {
    (void)state;
    char outside[80], link[128];
    snprintf(outside, sizeof outside, "%s-outside.json", folder);
    FILE *out = fopen(outside, "w");
    assert_non_null(out);
    fputs("{\"listen\":\"stolen\"}", out);
    fclose(out);
    snprintf(link, sizeof link, "%s/link.json", folder);
    assert_int_equal(symlink(outside, link), 0);
    assert_int_equal(load("{'server':{'$ref':'link.json'}}"), DX_INVALID);
    expect_findings("api.json:1:11: /server: refers to \"link.json\": it lies outside the definition's folder");
    static const char *const bad[] = {"/etc/passwd", "file:///etc/passwd", "http://x/y.json", "a/../../b.json", "..", "."};
    for (size_t i = 0; i < DX_COUNT_OF(bad); i++) {
        assert_int_equal(load(dx_arena_printf(arena, "{'server':{'$ref':'%s'}}", bad[i]).data), DX_INVALID);
        assert_int_equal(diags.count, 1);
    }
    assert_int_equal(mkfifo(path_of("pipe.json"), 0600), 0);
    assert_int_equal(load("{'server':{'$ref':'pipe.json'}}"), DX_INVALID);
    expect_findings("api.json:1:11: /server: refers to \"pipe.json\": it is not an ordinary file");
    unlink(outside);
}

static void test_circles_and_explosions_end(void **state) {
    (void)state;
    file("a.json", "{'limits':{'$ref':'b.json'}}");
    file("b.json", "{'fields':{'$ref':'a.json'}}");
    assert_int_equal(load("{'server':{'$ref':'a.json'}}"), DX_INVALID);
    expect_findings("b.json:1:11: /server/limits/fields: refers to \"a.json\", and so to itself");
    dx_buffer bomb; // each level refers to the next ten times over
    dx_buffer_init(&bomb, arena, 1u << 20);
    dx_buffer_byte(&bomb, '{');
    for (int level = 0; level < 12; level++) {
        dx_buffer_printf(&bomb, "%s'l%d':[", level ? "," : "", level);
        for (int i = 0; i < 10; i++) dx_buffer_printf(&bomb, "%s{'$ref':'#/l%d'}", i ? "," : "", level + 1);
        dx_buffer_byte(&bomb, ']');
    }
    DX_BUFFER_LIT(&bomb, ",'l12':1}");
    dx_buffer_byte(&bomb, 0);
    file("bomb.json", bomb.data);
    assert_int_equal(load("{'server':{'$ref':'bomb.json#/l0'}}"), DX_TOO_LARGE);
    assert_non_null(strstr(findings(), "too large once its references are followed"));
}

static void test_a_thousand_resources_load_in_well_under_a_second(void **state) {
    (void)state;
    dx_buffer text;
    dx_buffer_init(&text, arena, 16u << 20);
    DX_BUFFER_LIT(&text, "{'models':{");
    for (int i = 0; i < 1000; i++)
        dx_buffer_printf(&text,
                         "%s'Model%d':{'type':'object','required':['title'],'properties':{'title':{'type':'string','maxLength':9},"
                         "'price':{'type':'number'},'other':{'$ref':'#/models/Model%d'}}}",
                         i ? "," : "", i, (i + 1) % 1000);
    DX_BUFFER_LIT(&text, "},'resources':{");
    for (int i = 0; i < 1000; i++) dx_buffer_printf(&text, "%s'things%d':{'model':'Model%d','owner':'${OWN:true}'}", i ? "," : "", i, i);
    DX_BUFFER_LIT(&text, "}}");
    dx_buffer_byte(&text, 0);
    file("api.json", text.data);
    dx_nanos start = dx_clock_monotonic();
    expect_ok(load_with(NULL));
    dx_nanos took = dx_clock_monotonic() - start;
    print_message("1,000 resources: %lld ms\n", (long long)(took / DX_MILLISECOND));
    expect_at("/resources/things999/owner", "true");
    assert_true(took < DX_SECOND);
}

static void test_the_schema_of_the_whole_is_one_document(void **state) {
    (void)state;
    dx_buffer text;
    yyjson_doc *document;
    dx_buffer_init(&text, arena, 1u << 20);
    assert_int_equal(dx_definition_schema(&text, sections, DX_COUNT_OF(sections)), DX_OK);
    assert_int_equal(dx_json_read(&document, arena, dx_buffer_slice(&text), NULL, NULL), DX_OK);
    yyjson_val *root = yyjson_doc_get_root(document);
    dx_slice ref = dx_json_slice(dx_json_at(root, DX_SLICE("/properties/server/properties/idle/$ref")));
    assert_true(dx_slice_equal(ref, DX_SLICE("#/properties/server/$defs/duration")));
    dx_schema_set *set = dx_schema_set_create(arena, true);
    const dx_schema *schema;
    assert_int_equal(dx_schema_set_add(set, DX_SLICE("duplex"), root), DX_OK);
    assert_int_equal(dx_schema_compile(&schema, set, DX_SLICE("duplex"), NULL), DX_OK);
    dx_diags_init(&diags, arena); // and it obeys its own meta-schema
    assert_int_equal(dx_schema_compile(&schema, set, DX_SLICE("https://json-schema.org/draft/2020-12/schema"), NULL), DX_OK);
    assert_int_equal(dx_schema_validate(schema, root, arena, NULL, &diags), DX_OK);
}

static void test_a_required_section_is_asked_for(void **state) {
    (void)state;
    static const dx_section needed = {"needed", "{\"type\":\"object\"}", true, NULL}, *const list[] = {&needed};
    file("api.json", "{'$schema':'x'}");
    dx_diags_init(&diags, arena);
    assert_int_equal(dx_definition_load(&definition, path_of("api.json"), list, 1, NULL, &diags), DX_INVALID);
    expect_findings("api.json:1:1: /needed: is required");
}

static void test_findings_do_not_quote_what_came_from_variables(void **state) {
    (void)state;
    file(".env", "SECRET_ONE=hunter2\nSHORT_ONE=is\n");
    expect_ok(load("{'server':{'listen':'${SECRET_ONE}','secret':'a-${SECRET_ONE}','mode':'production'},\n"
                   "'resources':{'a':{'model':'${SHORT_ONE}'}}}"));
    dx_definition_complain(definition, &diags, DX_SLICE("/server/listen"), "found \"%s\", %s", "hunter2", "hunter2 and hunter1");
    dx_definition_complain(definition, &diags, DX_SLICE("/server/secret"), "a-hunter2 is short");
    dx_definition_complain(definition, &diags, DX_SLICE("/resources/a/model"), "this is no model: \"is\"");
    dx_definition_complain(definition, &diags, DX_SLICE("/server/mode"), "found \"production\"");
    expect_findings("api.json:1:21: /server/listen: found \"[redacted]\", [redacted] and hunter1\n"
                    "api.json:1:46: /server/secret: [redacted] is short\n"
                    "api.json:2:27: /resources/a/model: this is no model: [redacted]\n"
                    "api.json:1:71: /server/mode: found \"production\"");
}

static void test_every_failing_allocation_is_reported(void **state) {
    (void)state;
    file(".env", "A=1\n");
    file("part.json", "{'listen':'${A}','limits':{'bodi':1}}");
    file("api.json", "{'server':{'$ref':'part.json'},'resources':{'a':{'model':'${B:x}'}}}");
    for (uint64_t n = 1;; n++) {
        dx_memory_fail_at(n, false);
        dx_arena *own = dx_arena_create(1u << 20);
        dx_status status = DX_NO_MEMORY;
        dx_diags found;
        if (own) {
            dx_diags_init(&found, own);
            status = dx_definition_load(&definition, path_of("api.json"), sections, DX_COUNT_OF(sections), NULL, &found);
        }
        bool failed = dx_memory_fail_stop();
        if (status == DX_NO_MEMORY && n > 2) assert_true(found.count > 0); // once there is a list and a definition to tell it in
        dx_arena_destroy(own);
        assert_null(definition);
        assert_true(status == DX_INVALID || (failed && status == DX_NO_MEMORY));
        if (!failed) break;
    }
}

static void test_durations_and_sizes_are_one_number_with_one_unit(void **state) {
    (void)state;
    int64_t nanos;
    uint64_t bytes;
    assert_true(dx_duration_read(DX_SLICE("15m"), &nanos) && nanos == 900 * DX_SECOND);
    assert_true(dx_duration_read(DX_SLICE("0ms"), &nanos) && nanos == 0);
    assert_true(dx_duration_read(DX_SLICE("7d"), &nanos) && nanos == 7 * 86400 * DX_SECOND);
    assert_true(dx_size_read(DX_SLICE("999999999GiB"), &bytes) && bytes == 999999999ull << 30);
    static const char *const bad[] = {"", "5", "m", "5 m", "-5m", "1.5h", "5M", "1234567890s", "999999999d", "5mm"};
    for (size_t i = 0; i < DX_COUNT_OF(bad); i++) assert_false(dx_duration_read(dx_slice_str(bad[i]), &nanos));
    assert_false(dx_size_read(DX_SLICE("1MB"), &bytes));
    assert_false(dx_size_read(DX_SLICE("MiB"), &bytes));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_defaults_are_filled_in_on_all_levels, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_section_without_a_default_of_its_own_stays_absent, setup, teardown),
        cmocka_unit_test_setup_teardown(test_models_are_left_alone, setup, teardown),
        cmocka_unit_test_setup_teardown(test_variables_are_put_in, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_came_from_a_variable_is_secret, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_environment_comes_before_dotenv, setup, teardown),
        cmocka_unit_test_setup_teardown(test_references_to_files_are_followed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_models_from_files_keep_their_references, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_page_of_mistakes_is_told_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_value_of_the_wrong_form_is_told_with_the_schemas_example, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_file_that_is_no_json_is_located, setup, teardown),
        cmocka_unit_test_setup_teardown(test_rooms_complain_with_file_and_line, setup, teardown),
        cmocka_unit_test_setup_teardown(test_only_files_in_the_folder_are_read, setup, teardown),
        cmocka_unit_test_setup_teardown(test_circles_and_explosions_end, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_thousand_resources_load_in_well_under_a_second, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_schema_of_the_whole_is_one_document, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_required_section_is_asked_for, setup, teardown),
        cmocka_unit_test_setup_teardown(test_findings_do_not_quote_what_came_from_variables, setup, teardown),
        cmocka_unit_test_setup_teardown(test_every_failing_allocation_is_reported, setup, teardown),
        cmocka_unit_test_setup_teardown(test_durations_and_sizes_are_one_number_with_one_unit, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
