// Documents: a walk that knows the path to each value, for sanitising what comes in and filtering what goes out. Recursion is bounded by
// DX_JSON_DEPTH_CAP.
#include "policy/sanitize.h"

typedef struct walk {
    dx_slice path[DX_JSON_DEPTH_CAP];
    char digits[DX_JSON_DEPTH_CAP][20]; // of the indices in it
    size_t depth;
    dx_arena *arena;
    const dx_sanitize *settings;
    dx_diags *diags;
    const dx_filter_rule *rules;
    size_t rule_count;
    bool refused;
} walk;

// --- patterns ----------------------------------------------------------------------------------------------------------------

// An escaped token of a pattern against a raw one.
static bool token_matches(dx_slice escaped, dx_slice raw) {
    size_t at = 0;
    if (dx_slice_equal(escaped, DX_SLICE("*"))) return true;
    for (size_t i = 0; i < escaped.size; i++, at++) {
        char byte = escaped.data[i];
        if (byte == '~' && i + 1 < escaped.size) byte = escaped.data[++i] == '1' ? '/' : '~';
        if (at >= raw.size || raw.data[at] != byte) return false;
    }
    return at == raw.size;
}

// As a glob is matched: on a mismatch the last "**" takes one level more.
bool dx_pattern_matches(dx_slice pattern, const dx_slice *path, size_t depth) {
    if (pattern.size == 0) return depth == 0;
    if (pattern.data[0] != '/') return depth > 0 && dx_slice_equal(pattern, path[depth - 1]);
    dx_slice rest = dx_slice_of(pattern.data + 1, pattern.size - 1), behind_stars = {NULL, 0};
    size_t at = 0, stars_at = 0;
    bool stars = false;
    for (;;) {
        dx_slice here = rest, token = rest.data ? dx_slice_cut(&rest, '/') : rest;
        bool ended = here.data == NULL;
        if (!ended && dx_slice_equal(token, DX_SLICE("**"))) {
            stars = true;
            stars_at = at;
            behind_stars = rest;
            if (!rest.data) return true;
            continue;
        }
        if (ended && at == depth) return true;
        if (!ended && at < depth && token_matches(token, path[at])) {
            at++;
            continue;
        }
        if (!stars || stars_at >= depth) return false;
        at = ++stars_at;
        rest = behind_stars;
    }
}

static bool is_covered(const walk *w, const dx_slice *patterns, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (dx_pattern_matches(patterns[i], w->path, w->depth)) return true;
    return false;
}

// --- walking -----------------------------------------------------------------------------------------------------------------

static void push_name(walk *w, yyjson_mut_val *name) {
    w->path[w->depth++] = dx_slice_of(yyjson_mut_get_str(name), yyjson_mut_get_len(name));
}

static void push_index(walk *w, size_t index) {
    char *digits = w->digits[w->depth], *end = digits + sizeof w->digits[0], *at = end;
    do *--at = (char)('0' + index % 10);
    while (index /= 10);
    w->path[w->depth++] = dx_slice_of(at, (size_t)(end - at));
}

static dx_slice pointer_of(const walk *w) {
    dx_slice pointer = {NULL, 0};
    for (size_t i = 0; i < w->depth; i++) pointer = dx_json_pointer_join(w->arena, pointer, w->path[i]);
    return pointer;
}

static dx_status clean_string(walk *w, yyjson_mut_val *value) {
    dx_slice text = dx_slice_of(yyjson_mut_get_str(value), yyjson_mut_get_len(value)), cleaned;
    dx_status status = dx_sanitize_text(&cleaned, w->arena, w->settings, text, pointer_of(w), w->diags);
    if (status == DX_INVALID) {
        w->refused = true;
        return DX_OK;
    }
    if (status == DX_OK && (cleaned.data != text.data || cleaned.size != text.size)) yyjson_mut_set_strn(value, cleaned.data, cleaned.size);
    return status;
}

static dx_status clean(walk *w, yyjson_mut_val *value) {
    size_t at, count;
    yyjson_mut_val *name, *item;
    dx_status status = DX_OK;
    if (is_covered(w, w->settings->except, w->settings->except_count)) return DX_OK;
    if (yyjson_mut_is_str(value)) return clean_string(w, value);
    if (!yyjson_mut_is_ctn(value) || yyjson_mut_get_len(value) == 0) return DX_OK;
    if (w->depth == DX_JSON_DEPTH_CAP) return DX_TOO_LARGE;
    if (yyjson_mut_is_obj(value)) {
        yyjson_mut_obj_foreach(value, at, count, name, item) {
            push_name(w, name);
            status = clean(w, item);
            w->depth--;
            if (status != DX_OK) return status;
        }
        return DX_OK;
    }
    yyjson_mut_arr_foreach(value, at, count, item) {
        push_index(w, at);
        status = clean(w, item);
        w->depth--;
        if (status != DX_OK) return status;
    }
    return DX_OK;
}

dx_status dx_sanitize_json(yyjson_mut_doc *doc, dx_arena *arena, const dx_sanitize *settings, dx_diags *diags) {
    walk w = {.arena = arena, .settings = settings, .diags = diags};
    yyjson_mut_val *root = yyjson_mut_doc_get_root(doc);
    if (settings->except_count > DX_PATTERNS_CAP) return DX_TOO_LARGE;
    if (!root) return DX_OK;
    dx_status status = clean(&w, root);
    return status == DX_OK && w.refused ? DX_INVALID : status;
}

// --- filtering ---------------------------------------------------------------------------------------------------------------

static const dx_filter_rule *rule_for(const walk *w) {
    for (size_t i = 0; i < w->rule_count; i++)
        if (dx_pattern_matches(w->rules[i].pattern, w->path, w->depth)) return &w->rules[i];
    return NULL;
}

static dx_status filter_inside(walk *w, yyjson_mut_val *value);

// Whether the value, to which the path leads, is to be taken out.
static dx_status filter_value(walk *w, yyjson_mut_val *value, bool *drop) {
    const dx_filter_rule *rule = rule_for(w);
    *drop = rule && !rule->mask;
    if (!rule) return filter_inside(w, value);
    if (rule->mask) yyjson_mut_set_strn(value, rule->with.size ? rule->with.data : "", rule->with.size);
    return DX_OK;
}

static dx_status filter_object(walk *w, yyjson_mut_val *object) {
    yyjson_mut_obj_iter iter;
    yyjson_mut_val *name;
    dx_status status = DX_OK;
    yyjson_mut_obj_iter_init(object, &iter);
    while (status == DX_OK && (name = yyjson_mut_obj_iter_next(&iter))) {
        bool drop = false;
        push_name(w, name);
        status = filter_value(w, yyjson_mut_obj_iter_get_val(name), &drop);
        w->depth--;
        if (drop) yyjson_mut_obj_iter_remove(&iter);
    }
    return status;
}

// Each item is taken from the front and put back behind, or not. (yyjson 0.10's iterator skips the item behind one that it removes.)
static dx_status filter_array(walk *w, yyjson_mut_val *array) {
    dx_status status = DX_OK;
    size_t count = yyjson_mut_arr_size(array);
    for (size_t index = 0; index < count; index++) { // its place before any was taken out
        yyjson_mut_val *item = yyjson_mut_arr_remove_first(array);
        bool drop = false;
        push_index(w, index);
        if (status == DX_OK) status = filter_value(w, item, &drop);
        w->depth--;
        if (!drop && !yyjson_mut_arr_append(array, item)) return DX_INTERNAL;
    }
    return status;
}

static dx_status filter_inside(walk *w, yyjson_mut_val *value) {
    if (!yyjson_mut_is_ctn(value) || yyjson_mut_get_len(value) == 0) return DX_OK;
    if (w->depth == DX_JSON_DEPTH_CAP) return DX_TOO_LARGE;
    return yyjson_mut_is_obj(value) ? filter_object(w, value) : filter_array(w, value);
}

dx_status dx_filter_json(yyjson_mut_doc *doc, const dx_filter_rule *rules, size_t count) {
    walk w = {.rules = rules, .rule_count = count};
    yyjson_mut_val *root = yyjson_mut_doc_get_root(doc);
    bool drop;
    if (count > DX_PATTERNS_CAP) return DX_TOO_LARGE;
    return root ? filter_value(&w, root, &drop) : DX_OK;
}
