// Why an instance failed, for the person who sent it. Nothing here runs for an instance that passes.
#include "model/explain.h"

#include "base/map.h"

enum { LIST_CAP = 12, QUOTE_CAP = 60, NAMES_CAP = 1000 };

dx_slice dx_step_pointer(dx_run *run, const dx_step *step) {
    const dx_step *chain[DX_SCHEMA_DEPTH_CAP * 2];
    size_t depth = 0;
    dx_slice pointer = {"", 0};
    for (; step && depth < DX_COUNT_OF(chain); step = step->parent) chain[depth++] = step;
    while (depth && pointer.data) {
        step = chain[--depth];
        pointer = step->name ? dx_json_pointer_join(run->diags->arena, pointer, dx_slice_of(step->name, step->number))
                             : dx_json_pointer_index(run->diags->arena, pointer, step->number);
    }
    return pointer.data ? pointer : (dx_slice){"", 0};
}

static bool has_finding(const dx_diags *diags, dx_slice pointer) {
    for (const dx_diag *diag = diags->first; diag; diag = diag->next)
        if (dx_slice_equal(diag->pointer, pointer)) return true;
    return false;
}

bool dx_explain_spares(dx_run *run, dx_diag_kind kind) {
    if (!run->newer || kind == DX_DIAG_ANY || run->branching) return false; // of a branch nobody knows yet whether it was meant
    if (kind == DX_DIAG_UNKNOWN_VALUE) run->newer->values++;
    if (kind == DX_DIAG_UNKNOWN_FIELD) run->newer->fields++;
    return run->newer->values + run->newer->fields > DX_SCHEMA_NEWER_CAP;
}

// One finding a place: the first is the nearest to the cause.
static dx_diag *add(dx_run *run, const dx_step *step, dx_diag_kind kind, const char *format, va_list args) {
    if (!run->diags || dx_explain_spares(run, kind)) return NULL;
    if (run->diags->count >= run->diags->cap) return dx_diags_add(run->diags, DX_INVALID, (dx_slice){"", 0}, "%s", ""); // only counted
    dx_slice pointer = dx_step_pointer(run, step);
    if (has_finding(run->diags, pointer)) return NULL;
    dx_slice text = dx_arena_vprintf(run->diags->arena, format, args);
    dx_diag *diag = dx_diags_add(run->diags, DX_INVALID, pointer, "%.*s", DX_SLICE_ARG(text));
    if (diag) diag->kind = kind;
    return diag;
}

DX_PRINTF(4, 5) static dx_diag *add_finding(dx_run *run, const dx_step *step, dx_diag_kind kind, const char *format, ...) {
    va_list args;
    va_start(args, format);
    dx_diag *diag = add(run, step, kind, format, args);
    va_end(args);
    return diag;
}

bool dx_explain(dx_run *run, const dx_step *step, const char *format, ...) {
    va_list args;
    va_start(args, format);
    (void)add(run, step, DX_DIAG_ANY, format, args);
    va_end(args);
    return false;
}

typedef struct type_word {
    uint8_t bits;
    const char *word;
} type_word;

// Widest first, so that a number is not called an integer or a fraction.
static const type_word type_words[] = {{DX_TYPE_OBJECT, "an object"}, {DX_TYPE_ARRAY, "an array"},     {DX_TYPE_STRING, "a string"},
                                       {DX_TYPE_NUMBER, "a number"},  {DX_TYPE_INTEGER, "an integer"}, {DX_TYPE_BOOLEAN, "true or false"},
                                       {DX_TYPE_NULL, "null"}};

static void write_types(dx_buffer *out, uint8_t types) {
    const char *words[DX_COUNT_OF(type_words)];
    size_t count = 0;
    for (size_t i = 0; i < DX_COUNT_OF(type_words); i++) {
        if ((types & type_words[i].bits) != type_words[i].bits) continue;
        words[count++] = type_words[i].word;
        types &= (uint8_t)~type_words[i].bits;
    }
    for (size_t i = 0; i < count; i++) {
        if (i) dx_buffer_add(out, i + 1 == count ? DX_SLICE(" or ") : DX_SLICE(", "));
        dx_buffer_add(out, dx_slice_str(words[i]));
    }
}

static const char *found_word(yyjson_val *value) {
    switch (dx_type_bit(value)) {
    case DX_TYPE_NULL:
        return "null";
    case DX_TYPE_BOOLEAN:
        return yyjson_is_true(value) ? "true" : "false";
    case DX_TYPE_STRING:
        return "a string";
    case DX_TYPE_ARRAY:
        return "an array";
    case DX_TYPE_OBJECT:
        return "an object";
    case DX_TYPE_FRACTION:
        return "a number with a fraction";
    default:
        return "a number";
    }
}

bool dx_explain_type(dx_run *run, const dx_step *step, uint8_t types, yyjson_val *value) {
    if (!run->diags) return false;
    char space[160];
    dx_buffer words = {.data = space, .capacity = sizeof space, .cap = sizeof space};
    write_types(&words, types);
    const char *found = found_word(value);
    if (dx_type_bit(value) == DX_TYPE_FRACTION && !(types & DX_TYPE_INTEGER)) found = "a number";
    return dx_explain(run, step, "expected %.*s, found %s", (int)words.size, words.data, found);
}

// A value as JSON, cut short when it is long.
static dx_slice quote(dx_arena *arena, yyjson_val *value) {
    dx_buffer text;
    dx_buffer_init(&text, arena, 64u << 10);
    dx_json_write_value(&text, value);
    dx_slice whole = dx_buffer_slice(&text);
    if (whole.size <= QUOTE_CAP) return whole;
    size_t keep = QUOTE_CAP;
    while (keep && ((uint8_t)whole.data[keep] & 0xc0) == 0x80) keep--;
    return dx_arena_printf(arena, "%.*s…", (int)keep, whole.data);
}

// Whether an enum has a value of this one's type, so that this may be one that is newer than the schema. What `const` asks for is no enum.
static bool may_be_newer(const dx_choice_rules *rules, yyjson_val *value) {
    for (size_t i = 0; i < rules->all_count && !rules->constant; i++)
        if (yyjson_get_type(rules->all[i]) == yyjson_get_type(value)) return true;
    return false;
}

bool dx_explain_choice(dx_run *run, const dx_step *step, const dx_choice_rules *rules, yyjson_val *value) {
    if (!run->diags) return false;
    dx_buffer words;
    dx_buffer_init(&words, run->diags->arena, 64u << 10);
    for (size_t i = 0; i < rules->all_count && i < LIST_CAP; i++) {
        if (i) dx_buffer_add(&words, i + 1 == rules->all_count ? DX_SLICE(" or ") : DX_SLICE(", "));
        dx_buffer_add(&words, quote(run->diags->arena, rules->all[i]));
    }
    if (rules->all_count > LIST_CAP) dx_buffer_printf(&words, " and %zu more", rules->all_count - LIST_CAP);
    dx_diag_kind kind = may_be_newer(rules, value) ? DX_DIAG_UNKNOWN_VALUE : DX_DIAG_ANY;
    const char *start = rules->all_count > 1 ? "must be one of " : rules->all_count ? "must be " : "can have no value at all";
    dx_diag *diag = add_finding(run, step, kind, "%s%.*s", start, DX_SLICE_ARG(dx_buffer_slice(&words)));
    if (diag && yyjson_is_str(value) && rules->strings.count > 1)
        diag->suggestion = dx_nearest_word(dx_json_slice(value), rules->strings.items,
                                           rules->strings.count < NAMES_CAP ? rules->strings.count : NAMES_CAP);
    return false;
}

bool dx_explain_number(dx_run *run, const dx_step *step, const char *words, yyjson_val *limit) {
    if (!run->diags) return false;
    dx_slice text = quote(run->diags->arena, limit);
    return dx_explain(run, step, "%s %.*s", words, DX_SLICE_ARG(text));
}

bool dx_explain_fewest(dx_run *run, const dx_step *step, uint64_t limit, const char *what) {
    if (limit == 1) return dx_explain(run, step, "must not be empty");
    return dx_explain(run, step, "must have at least %llu %ss", (unsigned long long)limit, what);
}

bool dx_explain_most(dx_run *run, const dx_step *step, uint64_t limit, const char *what) {
    if (limit == 0) return dx_explain(run, step, "must be empty");
    return dx_explain(run, step, "must have at most %llu %s%s", (unsigned long long)limit, what, limit == 1 ? "" : "s");
}

bool dx_explain_match(dx_run *run, const dx_step *step, const dx_pattern *pattern, dx_match match) {
    dx_slice text = dx_pattern_text(pattern);
    if (match == DX_MATCH_NO_MEMORY) {
        run->status = DX_NO_MEMORY;
        return false;
    }
    if (match == DX_MATCH_LIMIT) return dx_explain(run, step, "takes too long to check against the pattern %.*s", DX_SLICE_ARG(text));
    return dx_explain(run, step, "must match the pattern %.*s", DX_SLICE_ARG(text));
}

bool dx_explain_unknown(dx_run *run, const dx_step *step, const dx_object_rules *rules, dx_slice name) {
    dx_diag *diag = add_finding(run, step, DX_DIAG_UNKNOWN_FIELD, DX_SCHEMA_UNKNOWN_FIELD);
    if (diag && rules->names.count)
        diag->suggestion = dx_nearest_word(name, rules->names.items, rules->names.count < NAMES_CAP ? rules->names.count : NAMES_CAP);
    return false;
}

// The names of an object that are said here, in what it refers to, and in all that it must be besides.
static size_t gather_names(const dx_node *node, dx_slice *names, size_t room, unsigned depth) {
    size_t count = 0;
    if (!node || depth > 4) return 0;
    if (node->alias) node = node->alias;
    for (size_t i = 0; node->object && i < node->object->names.count && count < room; i++) names[count++] = node->object->names.items[i];
    if (!node->logic) return count;
    count += gather_names(node->logic->ref, names + count, room - count, depth + 1);
    for (size_t i = 0; i < node->logic->all_of.count; i++)
        count += gather_names(node->logic->all_of.items[i], names + count, room - count, depth + 1);
    return count;
}

bool dx_explain_unevaluated(dx_run *run, const dx_step *step, const dx_node *node, dx_slice name) {
    dx_slice names[NAMES_CAP];
    dx_diag *diag = add_finding(run, step, DX_DIAG_UNKNOWN_FIELD, DX_SCHEMA_UNKNOWN_FIELD);
    if (diag) diag->suggestion = dx_nearest_word(name, names, gather_names(node, names, NAMES_CAP, 0));
    return false;
}

bool dx_explain_not(dx_run *run, const dx_step *step, const dx_node *negated) {
    if (!run->diags) return false;
    if (negated->alias) negated = negated->alias;
    bool plain = !negated->number && !negated->string && !negated->nests;
    if (plain && negated->choice && negated->choice->all_count == 1)
        return dx_explain(run, step, "must not be %.*s", DX_SLICE_ARG(quote(run->diags->arena, negated->choice->all[0])));
    if (plain && !negated->choice && negated->types != DX_TYPE_ANY) {
        char space[160];
        dx_buffer words = {.data = space, .capacity = sizeof space, .cap = sizeof space};
        write_types(&words, negated->types);
        return dx_explain(run, step, "must not be %.*s", (int)words.size, words.data);
    }
    return dx_explain(run, step, "matches what the schema's \"not\" excludes");
}
