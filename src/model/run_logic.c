// References and applicators. A branch whose failure does not fail the whole (anyOf, oneOf, not, if) notes what it evaluated apart, and
// only a branch that passes adds it to what its parent has seen.
#include "model/explain.h"

// The verdict of a branch; what it evaluated is merged when it passes.
static bool try_branch(dx_run *run, const dx_node *node, yyjson_val *value, dx_seen *seen, const dx_step *step) {
    if (!seen) return dx_run_verdict(run, node, value, NULL, step);
    dx_seen apart;
    if (!dx_seen_init(run, &apart, seen->words * 64)) return false;
    bool valid = dx_run_verdict(run, node, value, &apart, step);
    if (valid) dx_seen_merge(seen, &apart);
    return valid;
}

static bool check_all(dx_run *run, const dx_node_list *list, yyjson_val *value, dx_seen *seen, const dx_step *step) {
    bool valid = true;
    for (size_t i = 0; i < list->count && (valid || dx_run_goes_on(run)); i++)
        valid = dx_run_check(run, list->items[i], value, seen, step) && valid;
    return valid;
}

static bool check_any(dx_run *run, const dx_node_list *list, yyjson_val *value, dx_seen *seen, const dx_step *step) {
    bool valid = false;
    for (size_t i = 0; i < list->count && (!valid || seen); i++) valid = try_branch(run, list->items[i], value, seen, step) || valid;
    return valid || dx_explain_branches(run, step, list, value);
}

static bool check_one(dx_run *run, const dx_node_list *list, yyjson_val *value, dx_seen *seen, const dx_step *step) {
    size_t passed = 0, first = 0;
    for (size_t i = 0; i < list->count && passed < 2; i++) {
        if (!try_branch(run, list->items[i], value, seen, step)) continue;
        if (passed++ == 0)
            first = i;
        else
            return dx_explain(run, step, "matches more than one of the allowed forms (%zu and %zu of %zu)", first + 1, i + 1, list->count);
    }
    return passed == 1 || dx_explain_branches(run, step, list, value);
}

static bool check_condition(dx_run *run, const dx_logic_rules *rules, yyjson_val *value, dx_seen *seen, const dx_step *step) {
    const dx_node *next = try_branch(run, rules->condition, value, seen, step) ? rules->then_node : rules->else_node;
    return !next || dx_run_check(run, next, value, seen, step);
}

// The first schema of that name in the dynamic scope, seen from outside.
static const dx_node *dynamic_target(const dx_run *run, const dx_logic_rules *rules) {
    const dx_node *found = rules->dynamic_ref;
    if (!rules->scoped) return found;
    for (const dx_scope *scope = run->scope; scope; scope = scope->outer)
        for (const dx_dynamic_target *target = rules->scoped->targets; target; target = target->next)
            if (target->root == scope->root && target->node) found = target->node;
    return found;
}

bool dx_run_logic(dx_run *run, const dx_node *node, yyjson_val *value, dx_seen *seen, const dx_step *step) {
    const dx_logic_rules *rules = node->logic;
    bool valid = true;
    if (rules->ref) valid = dx_run_check(run, rules->ref, value, seen, step);
    if (rules->dynamic_ref && (valid || dx_run_goes_on(run)))
        valid = dx_run_check(run, dynamic_target(run, rules), value, seen, step) && valid;
    if (rules->all_of.count && (valid || dx_run_goes_on(run))) valid = check_all(run, &rules->all_of, value, seen, step) && valid;
    if (rules->any_of.count && (valid || dx_run_goes_on(run))) valid = check_any(run, &rules->any_of, value, seen, step) && valid;
    if (rules->one_of.count && (valid || dx_run_goes_on(run))) valid = check_one(run, &rules->one_of, value, seen, step) && valid;
    if (rules->condition && (valid || dx_run_goes_on(run))) valid = check_condition(run, rules, value, seen, step) && valid;
    if (rules->negated && (valid || dx_run_goes_on(run)) && dx_run_verdict(run, rules->negated, value, NULL, step) && run->status == DX_OK)
        valid = dx_explain_not(run, step, rules->negated);
    return valid;
}
