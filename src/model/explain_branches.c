// anyOf and oneOf with no branch that passes. Most such schemas are unions of types or of objects told apart by one constant member, and
// then it is plain which branch was meant: its findings are given. Otherwise one finding says what each branch lacks.
#include "model/explain.h"

enum { REASONS_CAP = 4, BRANCHING_CAP = 3 };

static const dx_node *resolved(const dx_node *node) {
    for (int i = 0; i < DX_SCHEMA_DEPTH_CAP; i++) {
        if (node->alias) node = node->alias;
        if (!node->logic || !node->logic->ref || node->types != DX_TYPE_ANY || node->object || node->array) return node;
        node = node->logic->ref; // another resource's schema
    }
    return node;
}

// A member that is there and has one of a few allowed values in the branch, but not here: the branch was not meant.
static bool told_apart(dx_run *run, const dx_node *branch, yyjson_val *value) {
    const dx_object_rules *rules = branch->object;
    if (!rules || !yyjson_is_obj(value)) return false;
    for (size_t i = 0; i < rules->names.count; i++) {
        const dx_node *node = rules->properties[i].schema ? resolved(rules->properties[i].schema) : NULL;
        if (!node || !node->choice) continue;
        dx_slice name = rules->names.items[i];
        yyjson_val *member = yyjson_obj_getn(value, name.data ? name.data : "", name.size);
        if (member && !dx_run_verdict(run, node, member, NULL, NULL)) return true;
    }
    return false;
}

// The findings of one branch, in a list of their own.
static dx_diags findings_of(dx_run *run, const dx_node *branch, yyjson_val *value, const dx_step *step) {
    dx_diags own, *all = run->diags;
    dx_diags_init(&own, all->arena);
    run->diags = &own;
    run->branching++;
    (void)dx_run_check(run, branch, value, NULL, step);
    run->branching--;
    run->diags = all;
    return own;
}

static void take_over(dx_run *run, const dx_diags *from) {
    for (const dx_diag *diag = from->first; diag; diag = diag->next) {
        bool known = false;
        for (const dx_diag *other = run->diags->first; other && !known; other = other->next)
            known = dx_slice_equal(other->pointer, diag->pointer);
        dx_diag *copy = known || dx_explain_spares(run, diag->kind)
                            ? NULL
                            : dx_diags_add(run->diags, diag->status, diag->pointer, "%.*s", DX_SLICE_ARG(diag->message));
        if (copy) copy->suggestion = diag->suggestion, copy->kind = diag->kind;
    }
}

static void write_reason(dx_buffer *out, const dx_diags *findings, dx_slice here) {
    const dx_diag *first = findings->first;
    if (!first) return;
    if (out->size) DX_BUFFER_LIT(out, "; or ");
    dx_slice below = dx_slice_starts(first->pointer, here) ? dx_slice_from(first->pointer, here.size) : first->pointer;
    if (below.size) {
        dx_buffer_add(out, below);
        dx_buffer_byte(out, ' ');
    }
    dx_buffer_add(out, first->message);
}

// The candidates' findings: one branch's own when it has the fewest, else a reason for each.
static bool explain_closest(dx_run *run, const dx_step *step, const dx_node_list *branches, const bool *candidate, yyjson_val *value) {
    dx_diags best = {0};
    size_t ties = 0, seen = 0;
    dx_buffer reasons;
    dx_buffer_init(&reasons, run->diags->arena, 16u << 10);
    dx_slice here = dx_step_pointer(run, step);
    for (size_t i = 0; i < branches->count; i++) {
        if (!candidate[i]) continue;
        dx_diags own = findings_of(run, branches->items[i], value, step);
        if (run->status != DX_OK) return false;
        if (seen++ < REASONS_CAP) write_reason(&reasons, &own, here);
        if (!ties || own.count < best.count)
            best = own, ties = 1;
        else if (own.count == best.count)
            ties++;
    }
    if (ties == 1) {
        take_over(run, &best);
        return false;
    }
    return dx_explain(run, step, "matches none of the %zu allowed forms (%.*s%s)", branches->count, DX_SLICE_ARG(dx_buffer_slice(&reasons)),
                      seen > REASONS_CAP ? "; …" : "");
}

bool dx_explain_branches(dx_run *run, const dx_step *step, const dx_node_list *branches, yyjson_val *value) {
    if (!run->diags) return false;
    if (run->branching >= BRANCHING_CAP) // each level multiplies the work
        return dx_explain(run, step, "matches none of the %zu allowed forms", branches->count);
    uint8_t types = 0, type = dx_type_bit(value);
    size_t fitting = 0, meant = 0;
    bool *fits = DX_ARENA_ARRAY(run->diags->arena, bool, branches->count),
         *candidate = DX_ARENA_ARRAY(run->diags->arena, bool, branches->count);
    if (!fits || !candidate) {
        run->status = DX_NO_MEMORY;
        return false;
    }
    for (size_t i = 0; i < branches->count; i++) {
        const dx_node *branch = resolved(branches->items[i]);
        types |= branch->never ? 0 : branch->types;
        fits[i] = !branch->never && (branch->types & type);
        candidate[i] = fits[i] && !told_apart(run, branch, value);
        fitting += fits[i];
        meant += candidate[i];
    }
    if (!fitting) return types ? dx_explain_type(run, step, types, value) : dx_explain(run, step, "is not allowed");
    return explain_closest(run, step, branches, meant ? candidate : fits, value);
}
