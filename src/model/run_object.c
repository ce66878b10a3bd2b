// Objects: one walk over the members, each looked up once in the schema's table of names.
#include "model/explain.h"

enum { REQUIRED_INLINE = 4 };

// A bit for each required name that has been met.
static uint64_t *required_bits(dx_run *run, size_t count, uint64_t space[REQUIRED_INLINE]) {
    size_t words = (count + 63) / 64;
    memset(space, 0, REQUIRED_INLINE * sizeof *space);
    if (words <= REQUIRED_INLINE) return space;
    uint64_t *bits = run->scratch ? DX_ARENA_ARRAY(run->scratch, uint64_t, words) : NULL;
    if (!bits) run->status = DX_NO_MEMORY;
    return bits;
}

static bool check_required(dx_run *run, const dx_object_rules *rules, const uint64_t *met, const dx_step *step) {
    bool valid = true;
    for (size_t word = 0; word * 64 < rules->required_count; word++) {
        size_t left = rules->required_count - word * 64;
        uint64_t missing = ~met[word] & (left >= 64 ? ~(uint64_t)0 : ((uint64_t)1 << left) - 1);
        for (; missing; missing &= missing - 1) {
            dx_slice name = rules->names.items[rules->required[word * 64 + (size_t)__builtin_ctzll(missing)]];
            dx_step at = {step, name.data ? name.data : "", name.size};
            valid = dx_explain(run, &at, "is required");
            if (!dx_run_goes_on(run)) return false;
        }
    }
    return valid;
}

// patternProperties: every pattern that the name matches. Sets `*known` when one does.
static bool check_patterns(dx_run *run, const dx_object_rules *rules, dx_slice name, yyjson_val *value, bool *known, const dx_step *at) {
    bool valid = true;
    for (size_t i = 0; i < rules->pattern_count; i++) {
        dx_match match = dx_run_match(run, rules->patterns[i].pattern, name);
        if (match == DX_MATCH_NO) continue;
        if (match != DX_MATCH_YES) return dx_explain_match(run, at, rules->patterns[i].pattern, match);
        *known = true;
        valid = dx_run_check(run, rules->patterns[i].schema, value, NULL, at) && valid;
        if (!valid && !dx_run_goes_on(run)) return false;
    }
    return valid;
}

static bool check_additional(dx_run *run, const dx_object_rules *rules, dx_slice name, yyjson_val *value, const dx_step *at) {
    if (rules->additional->never) return dx_explain_unknown(run, at, rules, name);
    return dx_run_check(run, rules->additional, value, NULL, at);
}

static bool check_name(dx_run *run, const dx_object_rules *rules, yyjson_val *key, const dx_step *at) {
    if (dx_run_verdict(run, rules->property_names, key, NULL, at)) return true;
    if (!run->diags) return false;
    dx_diag *last = run->diags->last;
    (void)dx_run_check(run, rules->property_names, key, NULL, at);
    dx_diag *added = run->diags->last;
    if (added && added != last && added->next == NULL) { // it speaks of the name, not of the value
        dx_slice text = dx_arena_printf(run->diags->arena, "the name itself %.*s", DX_SLICE_ARG(added->message));
        if (text.data) added->message = text;
    }
    return false;
}

typedef struct member {
    yyjson_val *key, *value;
    size_t index;
} member;

static inline bool check_member(dx_run *run, const dx_object_rules *rules, const member *m, uint64_t *met, dx_seen *seen,
                                const dx_step *step) {
    const char *data = unsafe_yyjson_get_str(m->key);
    size_t size = unsafe_yyjson_get_len(m->key);
    dx_step at = {step, data, size};
    bool known = false, valid = true;
    uint32_t index = dx_names_find(&rules->names, data, size);
    if (index != DX_NAMES_NONE) {
        const dx_property *property = &rules->properties[index];
        if (property->required >= 0) met[property->required / 64] |= (uint64_t)1 << (property->required % 64);
        known = property->schema != NULL;
        if (known) valid = dx_run_check(run, property->schema, m->value, NULL, &at);
    }
    if (rules->pattern_count && (valid || dx_run_goes_on(run)))
        valid = check_patterns(run, rules, dx_slice_of(data, size), m->value, &known, &at) && valid;
    if (!known && rules->additional) {
        known = true;
        valid = check_additional(run, rules, dx_slice_of(data, size), m->value, &at) && valid;
    }
    if (rules->property_names && (valid || dx_run_goes_on(run))) valid = check_name(run, rules, m->key, &at) && valid;
    if (known) dx_seen_mark(seen, m->index);
    return valid;
}

bool dx_run_object(dx_run *run, const dx_node *node, yyjson_val *value, dx_seen *seen, const dx_step *step) {
    const dx_object_rules *rules = node->object;
    size_t count = unsafe_yyjson_get_len(value);
    uint64_t space[REQUIRED_INLINE];
    uint64_t *met = required_bits(run, rules->required_count, space);
    bool valid = met != NULL;
    if (!valid) return false;
    yyjson_val *key = unsafe_yyjson_get_first(value);
    for (size_t i = 0; i < count && (valid || dx_run_goes_on(run)); i++, key = unsafe_yyjson_get_next(key + 1)) {
        member m = {key, key + 1, i};
        valid = check_member(run, rules, &m, met, seen, step) && valid;
    }
    if (valid || dx_run_goes_on(run)) valid = check_required(run, rules, met, step) && valid;
    if (valid && count < rules->min_properties) return dx_explain_fewest(run, step, rules->min_properties, "member");
    if (valid && count > rules->max_properties) return dx_explain_most(run, step, rules->max_properties, "member");
    return valid;
}

bool dx_run_dependencies(dx_run *run, const dx_object_rules *rules, yyjson_val *value, dx_seen *seen, const dx_step *step) {
    bool valid = true;
    for (size_t i = 0; i < rules->dependency_count && (valid || dx_run_goes_on(run)); i++) {
        const dx_dependency *dependency = &rules->dependencies[i];
        dx_slice name = dependency->name;
        if (!yyjson_obj_getn(value, name.data ? name.data : "", name.size)) continue;
        for (size_t r = 0; r < dependency->required_count; r++) {
            dx_slice needed = dependency->required[r];
            if (yyjson_obj_getn(value, needed.data ? needed.data : "", needed.size)) continue;
            dx_step at = {step, needed.data ? needed.data : "", needed.size};
            valid = dx_explain(run, &at, "is required when \"%.*s\" is given", DX_SLICE_ARG(name));
            if (!dx_run_goes_on(run)) return false;
        }
        if (dependency->schema) valid = dx_run_check(run, dependency->schema, value, seen, step) && valid;
    }
    return valid;
}
