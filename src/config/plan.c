// Comparing two completed definitions: see plan.h. Objects are compared member by member and lists of texts and numbers as sets, for that
// is what they are wherever a definition has them; other lists item by item. What is new or gone as a whole is one change, not one a leaf.
#include "config/plan.h"

#include "base/log.h"
#include "config/parts.h"

#define SHOWN_CAP 200

typedef struct comparison {
    dx_plan *plan;
    dx_arena *arena;
    const dx_definition *before, *after;
    const dx_plan_rule *const *tables;
    dx_buffer at;
    dx_status status;
} comparison;

static const dx_plan_rule otherwise = {"", DX_PLAN_ANY, DX_PLAN_ONLINE, false, NULL};

// --- rules -----------------------------------------------------------------------------------------------------------------

static bool fits(dx_slice pattern, dx_slice pointer) {
    while (pattern.size) {
        if (dx_slice_equal(pattern, DX_SLICE("/**"))) return true;
        if (!pointer.size) return false;
        pattern = dx_slice_from(pattern, 1);
        pointer = dx_slice_from(pointer, 1);
        size_t want = dx_slice_find(pattern, '/'), have = dx_slice_find(pointer, '/');
        if (want == SIZE_MAX) want = pattern.size;
        if (have == SIZE_MAX) have = pointer.size;
        dx_slice token = dx_slice_of(pattern.data, want);
        if (!dx_slice_equal(token, DX_SLICE("*")) && !dx_slice_equal(token, dx_slice_of(pointer.data, have))) return false;
        pattern = dx_slice_from(pattern, want);
        pointer = dx_slice_from(pointer, have);
    }
    return pointer.size == 0;
}

static const dx_plan_rule *find_rule(const comparison *c, dx_slice pointer, dx_plan_kind kind) {
    for (size_t t = 0; c->tables[t]; t++)
        for (const dx_plan_rule *rule = c->tables[t]; rule->pattern; rule++)
            if ((rule->kinds & kind) && fits(dx_slice_str(rule->pattern), pointer)) return rule;
    return &otherwise;
}

// --- changes ---------------------------------------------------------------------------------------------------------------

static bool is_secret(const comparison *c, dx_slice pointer) {
    dx_slice name = pointer;
    for (size_t slash; (slash = dx_slice_find(name, '/')) != SIZE_MAX;) {
        name = dx_slice_from(name, slash + 1);
        size_t end = dx_slice_find(name, '/');
        if (dx_log_is_secret(dx_slice_of(name.data, end == SIZE_MAX ? name.size : end))) return true;
    }
    return dx_definition_is_secret(c->before, pointer) || dx_definition_is_secret(c->after, pointer);
}

static dx_slice show(comparison *c, yyjson_val *value, dx_slice pointer) {
    dx_buffer text;
    if (!value || yyjson_is_obj(value) || (yyjson_is_arr(value) && yyjson_is_obj(yyjson_arr_get_first(value)))) return (dx_slice){NULL, 0};
    if (is_secret(c, pointer)) return DX_SLICE("(secret)");
    dx_buffer_init(&text, c->arena, DX_DEFINITION_BYTES_CAP);
    dx_json_write_value(&text, value);
    if (dx_buffer_status(&text) != DX_OK) c->status = DX_NO_MEMORY;
    if (text.size <= SHOWN_CAP) return dx_buffer_slice(&text);
    size_t cut = SHOWN_CAP;
    while (cut && ((unsigned char)text.data[cut] & 0xc0) == 0x80) cut--; // between two characters
    return dx_arena_printf(c->arena, "%.*s…", (int)cut, text.data);
}

static void tell(comparison *c, yyjson_val *before, yyjson_val *after) {
    dx_plan *plan = c->plan;
    if (plan->count++ >= DX_PLAN_CAP) return;
    dx_plan_change *change = DX_ARENA_NEW(c->arena, dx_plan_change);
    dx_slice pointer = dx_arena_copy(c->arena, dx_path_slice(&c->at));
    if (!change || !pointer.data) {
        c->status = DX_NO_MEMORY;
        return;
    }
    change->pointer = pointer;
    change->kind = !before ? DX_PLAN_ADDED : !after ? DX_PLAN_REMOVED : DX_PLAN_CHANGED;
    change->before = show(c, before, pointer);
    change->after = show(c, after, pointer);
    change->rule = find_rule(c, pointer, change->kind);
    *plan->last = change;
    plan->last = &change->next;
}

// --- comparing: as deep as definitions are, which is bounded ---------------------------------------------------------------

static void compare(comparison *c, yyjson_val *before, yyjson_val *after);

static void compare_member(comparison *c, dx_slice name, yyjson_val *before, yyjson_val *after) {
    size_t size = dx_path_enter(&c->at, name);
    compare(c, before, after);
    c->at.size = size;
}

static void compare_objects(comparison *c, yyjson_val *before, yyjson_val *after) {
    size_t index, count;
    yyjson_val *key, *value;
    yyjson_obj_foreach(before, index, count, key, value) {
        dx_slice name = dx_json_slice(key);
        compare_member(c, name, value, yyjson_obj_getn(after, name.data, name.size));
    }
    yyjson_obj_foreach(after, index, count, key, value) {
        dx_slice name = dx_json_slice(key);
        if (!yyjson_obj_getn(before, name.data, name.size)) compare_member(c, name, NULL, value);
    }
}

static bool is_plain(yyjson_val *list) {
    size_t index, count;
    yyjson_val *item;
    yyjson_arr_foreach(list, index, count, item) if (yyjson_is_ctn(item)) return false;
    return true;
}

static bool has(yyjson_val *list, yyjson_val *item) {
    size_t index, count;
    yyjson_val *other;
    yyjson_arr_foreach(list, index, count, other) if (dx_json_equal(item, other)) return true;
    return false;
}

// An item's place in a set is the item itself: "/models/Item/required/name".
static void compare_item(comparison *c, yyjson_val *before, yyjson_val *after) {
    dx_buffer text;
    yyjson_val *item = before ? before : after;
    dx_buffer_init(&text, c->arena, DX_DEFINITION_BYTES_CAP);
    if (yyjson_is_str(item))
        dx_buffer_add(&text, dx_json_slice(item));
    else
        dx_json_write_value(&text, item);
    if (dx_buffer_status(&text) != DX_OK) c->status = DX_NO_MEMORY;
    bool hidden = is_secret(c, dx_path_slice(&c->at));
    compare_member(c, hidden ? DX_SLICE("(secret)") : dx_buffer_slice(&text), before, after);
}

static void compare_sets(comparison *c, yyjson_val *before, yyjson_val *after) {
    size_t index, count;
    yyjson_val *item;
    yyjson_arr_foreach(before, index, count, item) if (!has(after, item)) compare_item(c, item, NULL);
    yyjson_arr_foreach(after, index, count, item) if (!has(before, item)) compare_item(c, NULL, item);
}

static void compare_lists(comparison *c, yyjson_val *before, yyjson_val *after) {
    size_t a = yyjson_arr_size(before), b = yyjson_arr_size(after);
    for (size_t i = 0; i < a || i < b; i++) {
        size_t size = dx_path_enter_index(&c->at, i);
        compare(c, i < a ? yyjson_arr_get(before, i) : NULL, i < b ? yyjson_arr_get(after, i) : NULL);
        c->at.size = size;
    }
}

static void compare(comparison *c, yyjson_val *before, yyjson_val *after) {
    if (c->status != DX_OK || (before && after && dx_json_equal(before, after))) return;
    if (yyjson_is_obj(before) && yyjson_is_obj(after))
        compare_objects(c, before, after);
    else if (yyjson_is_arr(before) && yyjson_is_arr(after) && is_plain(before) && is_plain(after))
        compare_sets(c, before, after);
    else if (yyjson_is_arr(before) && yyjson_is_arr(after))
        compare_lists(c, before, after);
    else
        tell(c, before, after);
}

dx_status dx_plan_make(dx_plan *out, dx_arena *arena, const dx_definition *before, const dx_definition *after,
                       const dx_plan_rule *const *tables) {
    comparison c = {.plan = out, .arena = arena, .before = before, .after = after, .tables = tables};
    *out = (dx_plan){.last = &out->first};
    dx_buffer_init(&c.at, arena, DX_DEFINITION_BYTES_CAP);
    compare(&c, dx_definition_root(before), dx_definition_root(after));
    if (c.status == DX_OK && dx_buffer_status(&c.at) != DX_OK) c.status = DX_NO_MEMORY;
    return c.status;
}

const char *dx_plan_effect_name(dx_plan_effect effect) {
    static const char *const names[DX_PLAN_EFFECTS] = {"online", "tables", "process"};
    return names[effect];
}

const char *dx_plan_kind_name(dx_plan_kind kind) {
    return kind == DX_PLAN_ADDED ? "added" : kind == DX_PLAN_REMOVED ? "removed" : "changed";
}
