// Arrays, and what stays unevaluated in arrays and objects.
#include "model/explain.h"

static bool check_items(dx_run *run, const dx_array_rules *rules, yyjson_val *value, dx_seen *seen, const dx_step *step) {
    bool valid = true;
    size_t index, count;
    yyjson_val *item;
    yyjson_arr_foreach(value, index, count, item) {
        const dx_node *node = index < rules->prefix_count ? rules->prefix[index] : rules->items;
        if (!node) break;
        dx_step at = {step, NULL, index};
        if (index < rules->prefix_count) dx_seen_mark(seen, index);
        if (node->never && index >= rules->prefix_count)
            valid = dx_explain(run, &at, "is one item too many; at most %zu are allowed", rules->prefix_count);
        else
            valid = dx_run_check(run, node, item, NULL, &at) && valid;
        if (!valid && !dx_run_goes_on(run)) return false;
    }
    if (rules->items && seen) seen->everything = true;
    return valid;
}

static bool check_contains(dx_run *run, const dx_array_rules *rules, yyjson_val *value, dx_seen *seen, const dx_step *step) {
    uint64_t found = 0;
    size_t index, count;
    yyjson_val *item;
    yyjson_arr_foreach(value, index, count, item) {
        dx_step at = {step, NULL, index};
        if (!dx_run_verdict(run, rules->contains, item, NULL, &at)) continue;
        found++;
        dx_seen_mark(seen, index);
    }
    if (found < rules->min_contains)
        return dx_explain(run, step, "must have at least %llu item%s of the kind asked for, found %llu",
                          (unsigned long long)rules->min_contains, rules->min_contains == 1 ? "" : "s", (unsigned long long)found);
    if (found > rules->max_contains)
        return dx_explain(run, step, "must have at most %llu item%s of the kind asked for, found %llu",
                          (unsigned long long)rules->max_contains, rules->max_contains == 1 ? "" : "s", (unsigned long long)found);
    return true;
}

bool dx_run_array(dx_run *run, const dx_node *node, yyjson_val *value, dx_seen *seen, const dx_step *step) {
    const dx_array_rules *rules = node->array;
    size_t count = yyjson_arr_size(value);
    if (count < rules->min_items) return dx_explain_fewest(run, step, rules->min_items, "item");
    if (count > rules->max_items) return dx_explain_most(run, step, rules->max_items, "item");
    bool valid = true;
    if (rules->items || rules->prefix_count) valid = check_items(run, rules, value, seen, step);
    if (valid && rules->contains) valid = check_contains(run, rules, value, seen, step);
    if (valid && rules->unique && dx_run_has_twins(run, value))
        return run->status == DX_OK ? dx_explain(run, step, "must not have the same item twice") : false;
    return valid;
}

static bool unevaluated_items(dx_run *run, const dx_array_rules *rules, yyjson_val *value, dx_seen *seen, const dx_step *step) {
    bool valid = true;
    size_t index, count;
    yyjson_val *item;
    yyjson_arr_foreach(value, index, count, item) {
        if (dx_seen_has(seen, index)) continue;
        dx_step at = {step, NULL, index};
        if (rules->unevaluated->never)
            valid = dx_explain(run, &at, "is an item that the schema does not allow here");
        else
            valid = dx_run_check(run, rules->unevaluated, item, NULL, &at) && valid;
        if (!valid && !dx_run_goes_on(run)) return false;
    }
    seen->everything = true;
    return valid;
}

static bool unevaluated_members(dx_run *run, const dx_node *node, yyjson_val *value, dx_seen *seen, const dx_step *step) {
    const dx_node *rest = node->object->unevaluated;
    bool valid = true;
    size_t index, count;
    yyjson_val *key, *item;
    yyjson_obj_foreach(value, index, count, key, item) {
        if (dx_seen_has(seen, index)) continue;
        dx_slice name = dx_json_slice(key);
        dx_step at = {step, name.data, name.size};
        if (rest->never)
            valid = dx_explain_unevaluated(run, &at, node, name);
        else
            valid = dx_run_check(run, rest, item, NULL, &at) && valid;
        if (!valid && !dx_run_goes_on(run)) return false;
    }
    seen->everything = true;
    return valid;
}

bool dx_run_unevaluated(dx_run *run, const dx_node *node, yyjson_val *value, dx_seen *seen, const dx_step *step) {
    if (yyjson_is_obj(value)) return unevaluated_members(run, node, value, seen, step);
    return unevaluated_items(run, node->array, value, seen, step);
}

bool dx_seen_init(dx_run *run, dx_seen *seen, size_t count) {
    seen->everything = false;
    seen->words = (count + 63) / 64;
    memset(seen->space, 0, sizeof seen->space);
    seen->bits = seen->space;
    if (seen->words <= DX_SEEN_INLINE) return true;
    seen->bits = run->scratch ? DX_ARENA_ARRAY(run->scratch, uint64_t, seen->words) : NULL;
    if (!seen->bits) run->status = DX_NO_MEMORY;
    return seen->bits != NULL;
}

void dx_seen_merge(dx_seen *into, const dx_seen *from) {
    into->everything = into->everything || from->everything;
    for (size_t i = 0; i < into->words; i++) into->bits[i] |= from->bits[i];
}
