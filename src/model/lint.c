// What is legal in a schema, but surely a mistake. JSON Schema lets unknown keywords and formats pass as annotations; in a definition that
// is written by hand, a misspelled one is a rule that silently holds for nobody. The walk goes by the table of keywords, without recursion.
#include "base/map.h"
#include "model/format.h"
#include "model/keyword.h"
#include "model/set.h"

typedef struct pending {
    struct pending *next;
    yyjson_val *schema;
    dx_slice pointer;
} pending;

typedef struct lint {
    dx_schema_set *set;
    dx_arena *scratch;
    dx_diags *diags;
    pending *todo;
    bool no_memory;
} lint;

// Keywords that only say something to people and tools: JSON Schema's, and those that OpenAPI 3.1 adds.
static const dx_slice annotations[] = {
    DX_SLICE_INIT("title"),        DX_SLICE_INIT("description"),      DX_SLICE_INIT("default"),         DX_SLICE_INIT("examples"),
    DX_SLICE_INIT("deprecated"),   DX_SLICE_INIT("readOnly"),         DX_SLICE_INIT("writeOnly"),       DX_SLICE_INIT("$comment"),
    DX_SLICE_INIT("$schema"),      DX_SLICE_INIT("$vocabulary"),      DX_SLICE_INIT("contentEncoding"), DX_SLICE_INIT("contentMediaType"),
    DX_SLICE_INIT("dependencies"), DX_SLICE_INIT("$recursiveAnchor"), DX_SLICE_INIT("$recursiveRef"),   DX_SLICE_INIT("example"),
    DX_SLICE_INIT("xml"),          DX_SLICE_INIT("externalDocs"),     DX_SLICE_INIT("discriminator"),
};
// Formats of OpenAPI that hint at a number's size or a string's use, and ask for nothing.
static const dx_slice hints[] = {
    DX_SLICE_INIT("int32"),    DX_SLICE_INIT("int64"), DX_SLICE_INIT("float"),  DX_SLICE_INIT("double"),
    DX_SLICE_INIT("password"), DX_SLICE_INIT("byte"),  DX_SLICE_INIT("binary"),
};

static bool listed(dx_slice word, const dx_slice *list, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (dx_slice_equal(word, list[i])) return true;
    return false;
}

static void push(lint *l, yyjson_val *schema, dx_slice base, dx_slice token) {
    if (!yyjson_is_obj(schema)) return; // true and false say nothing wrong
    pending *item = dx_arena_alloc(l->scratch, sizeof *item);
    dx_slice pointer = dx_json_pointer_join(l->scratch, base, token);
    if (!item || !pointer.data) {
        l->no_memory = true;
        return;
    }
    *item = (pending){l->todo, schema, pointer};
    l->todo = item;
}

static void push_children(lint *l, const dx_keyword *keyword, yyjson_val *value, dx_slice pointer) {
    size_t i, max;
    yyjson_val *key, *item;
    if (keyword->children == DX_CHILD_SCHEMA) push(l, value, pointer, keyword->name);
    if (keyword->children == DX_CHILD_NONE || keyword->children == DX_CHILD_SCHEMA) return;
    dx_slice below = dx_json_pointer_join(l->scratch, pointer, keyword->name);
    if (!below.data) {
        l->no_memory = true;
        return;
    }
    if (keyword->children == DX_CHILD_MAP) {
        yyjson_obj_foreach(value, i, max, key, item) push(l, item, below, dx_json_slice(key));
        return;
    }
    yyjson_arr_foreach(value, i, max, item) {
        dx_slice index = dx_arena_printf(l->scratch, "%zu", i);
        push(l, item, below, index);
    }
}

static void tell_keyword(lint *l, dx_slice pointer, dx_slice name) {
    dx_slice at = dx_json_pointer_join(l->scratch, pointer, name);
    dx_diag *diag = dx_diags_add(l->diags, DX_INVALID, at, "is not a keyword of JSON Schema (a name of your own starts with \"x-\")");
    dx_slice near = dx_nearest_word(name, l->set->keywords.items, l->set->keywords.count);
    if (!near.size) near = dx_nearest_word(name, annotations, DX_COUNT_OF(annotations));
    dx_diag_suggest(l->diags, diag, near);
}

static void check_format(lint *l, dx_slice pointer, yyjson_val *value) {
    dx_slice name = dx_json_slice(value);
    if (!yyjson_is_str(value) || dx_format_known(name) || listed(name, hints, DX_COUNT_OF(hints))) return;
    dx_slice names[DX_FORMAT_CAP], at = dx_json_pointer_join(l->scratch, pointer, DX_SLICE("format"));
    size_t count = dx_format_names(names);
    dx_diag *diag = dx_diags_add(l->diags, DX_INVALID, at, "is a format that is not checked here, so it would hold for nobody");
    dx_diag_suggest(l->diags, diag, dx_nearest_word(name, names, count));
}

static void check(lint *l, const pending *at) {
    size_t i, max;
    yyjson_val *key, *value;
    yyjson_obj_foreach(at->schema, i, max, key, value) {
        dx_slice name = dx_json_slice(key);
        const dx_keyword *keyword = dx_keyword_find(&l->set->keywords, name);
        if (keyword)
            push_children(l, keyword, value, at->pointer);
        else if (!dx_slice_starts(name, DX_SLICE("x-")) && !listed(name, annotations, DX_COUNT_OF(annotations)))
            tell_keyword(l, at->pointer, name);
        if (dx_slice_equal(name, DX_SLICE("format"))) check_format(l, at->pointer, value);
    }
}

dx_status dx_schema_lint(dx_schema_set *set, dx_arena *scratch, yyjson_val *schema, dx_slice pointer, dx_diags *diags) {
    lint l = {.set = set, .scratch = scratch, .diags = diags};
    pending first = {NULL, schema, pointer};
    size_t before = diags->count;
    if (yyjson_is_obj(schema)) l.todo = &first;
    while (l.todo && !l.no_memory) {
        const pending *at = l.todo;
        l.todo = at->next;
        check(&l, at);
    }
    if (l.no_memory) return DX_NO_MEMORY;
    return diags->count == before ? DX_OK : DX_INVALID;
}
