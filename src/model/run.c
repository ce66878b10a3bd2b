// The entry of a run, and what applies to every value: type, enum, numbers, strings. A scalar field of a body never leaves this file.
#include "model/run.h"

#include <time.h>

#include "base/clock.h"
#include "codec/text.h"
#include "model/explain.h"
#include "model/format.h"

#define TOO_LONG     "takes too long to be checked"
#define MATCHES_FREE 64 // patterns tried between looks at the clock

// Each match is bounded, but a body may hold thousands of strings that each take just less: the time of all together is bounded, too. It is
// the thread's own time, so that the verdict does not hang on what else the machine does.
static bool is_out_of_time(dx_run *run) {
    if (DX_LIKELY(++run->matches % MATCHES_FREE != 0)) return false;
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    dx_nanos spent = (dx_nanos)now.tv_sec * DX_SECOND + now.tv_nsec;
    if (!run->matching) run->matching = spent;
    return spent - run->matching > DX_SCHEMA_MATCHING_TIME;
}

// A limit was reached. The finding may get lost, here in a run for the verdict alone or later among those of a branch that was not meant.
static bool give_up(dx_run *run, const dx_step *step, const char *why) {
    run->gave_up = true;
    return dx_explain(run, step, "%s", why);
}

dx_match dx_run_match(dx_run *run, const dx_pattern *pattern, dx_slice text) {
    dx_match match = run->gave_up || is_out_of_time(run) ? DX_MATCH_LIMIT : dx_pattern_match(pattern, text);
    if (DX_UNLIKELY(match == DX_MATCH_LIMIT)) run->gave_up = true;
    return match;
}

static bool choice_allows(const dx_choice_rules *rules, yyjson_val *value) {
    if (yyjson_is_str(value)) return dx_names_find(&rules->strings, yyjson_get_str(value), yyjson_get_len(value)) != DX_NAMES_NONE;
    for (size_t i = 0; i < rules->other_count; i++)
        if (dx_json_equal(rules->others[i], value)) return true;
    return false;
}

static bool check_number(dx_run *run, const dx_number_rules *rules, yyjson_val *value, const dx_step *step) {
    dx_number number = dx_number_of(value);
    if (rules->has_low) {
        int order = dx_number_compare(number, rules->low);
        if (order < 0 || (order == 0 && rules->low_exclusive))
            return dx_explain_number(run, step, rules->low_exclusive ? "must be greater than" : "must be at least", rules->low_text);
    }
    if (rules->has_high) {
        int order = dx_number_compare(number, rules->high);
        if (order > 0 || (order == 0 && rules->high_exclusive))
            return dx_explain_number(run, step, rules->high_exclusive ? "must be less than" : "must be at most", rules->high_text);
    }
    if (rules->has_multiple && !dx_multiple_divides(&rules->multiple, number))
        return dx_explain_number(run, step, "must be a multiple of", rules->multiple_text);
    return true;
}

// Characters are counted only when the number of bytes leaves the answer open.
static bool check_length(dx_run *run, const dx_string_rules *rules, dx_slice text, const dx_step *step) {
    if (text.size <= rules->max_length && (text.size + 3) / 4 >= rules->min_length) return true;
    uint64_t length = dx_utf8_length(text);
    if (length < rules->min_length) return dx_explain_fewest(run, step, rules->min_length, "character");
    if (length > rules->max_length) return dx_explain_most(run, step, rules->max_length, "character");
    return true;
}

static bool check_string(dx_run *run, const dx_string_rules *rules, yyjson_val *value, const dx_step *step) {
    dx_slice text = dx_json_slice(value);
    if (!check_length(run, rules, text, step)) return false;
    if (rules->pattern) {
        dx_match match = dx_run_match(run, rules->pattern, text);
        if (match != DX_MATCH_YES) return dx_explain_match(run, step, rules->pattern, match);
    }
    if (rules->check_format && !rules->check_format(text)) return dx_explain(run, step, "must be %s", rules->format->wanted);
    return true;
}

static bool in_scope(const dx_scope *scope, const dx_resource_root *root) {
    for (; scope; scope = scope->outer)
        if (scope->root == root) return true;
    return false;
}

// Containers and applicators: what can lead to other nodes.
static bool check_nested(dx_run *run, const dx_node *node, yyjson_val *value, uint8_t type, dx_seen *seen, const dx_step *step) {
    if (run->gave_up) return false;
    if (run->depth >= DX_SCHEMA_DEPTH_CAP) return give_up(run, step, "is nested too deeply to be checked");
    if (++run->steps > DX_SCHEMA_STEPS_CAP) return give_up(run, step, TOO_LONG);
    const dx_scope *before = run->scope;
    dx_scope entered = {before, node->root};
    if (!before || (before->root != node->root && !in_scope(before, node->root))) run->scope = &entered;
    run->depth++;
    dx_seen own;
    dx_seen *track = seen;
    bool array = type == DX_TYPE_ARRAY, object = type == DX_TYPE_OBJECT;
    bool unevaluated = (object && node->object && node->object->unevaluated) || (array && node->array && node->array->unevaluated);
    bool valid = true;
    if (unevaluated) {
        valid = dx_seen_init(run, &own, array ? yyjson_arr_size(value) : yyjson_obj_size(value));
        track = &own;
    }
    if (valid && object && node->object) valid = dx_run_object(run, node, value, track, step);
    if (valid && array && node->array) valid = dx_run_array(run, node, value, track, step);
    // What members fail is known of them all the same; what a branch fails is not: then what it would leave over can't be told.
    bool told = true;
    if (node->logic && (valid || dx_run_goes_on(run))) told = dx_run_logic(run, node, value, track, step);
    if (object && node->object && node->object->dependency_count && (valid || dx_run_goes_on(run)))
        told = dx_run_dependencies(run, node->object, value, track, step) && told;
    if (unevaluated && told && (valid || dx_run_goes_on(run))) valid = dx_run_unevaluated(run, node, value, track, step) && valid;
    valid = valid && told;
    if (unevaluated && valid && seen) dx_seen_merge(seen, &own);
    run->depth--;
    run->scope = before;
    return valid;
}

bool dx_run_node(dx_run *run, const dx_node *node, yyjson_val *value, dx_seen *seen, const dx_step *step) {
    uint8_t type = dx_type_bit(value);
    if (node->never) return dx_explain(run, step, "is not allowed");
    if (DX_UNLIKELY(!(node->types & type))) return dx_explain_type(run, step, node->types, value);
    if (node->choice && !choice_allows(node->choice, value)) return dx_explain_choice(run, step, node->choice, value);
    bool valid = true;
    if (type == DX_TYPE_STRING) {
        if (node->string) valid = check_string(run, node->string, value, step);
    } else if (type & DX_TYPE_NUMBER) {
        if (node->number) valid = check_number(run, node->number, value, step);
    }
    if (valid && node->nests && (node->logic || type == DX_TYPE_OBJECT || type == DX_TYPE_ARRAY))
        valid = check_nested(run, node, value, type, seen, step);
    return valid && run->status == DX_OK;
}

bool dx_run_verdict(dx_run *run, const dx_node *node, yyjson_val *value, dx_seen *seen, const dx_step *step) {
    dx_diags *diags = run->diags;
    run->diags = NULL;
    bool valid = dx_run_check(run, node, value, seen, step);
    run->diags = diags;
    return valid;
}

static bool tells_of_limit(const dx_diags *diags) {
    for (const dx_diag *diag = diags->first; diag; diag = diag->next)
        if (dx_slice_starts(diag->message, DX_SLICE("takes too long")) || dx_slice_starts(diag->message, DX_SLICE("is nested too")))
            return true;
    return false;
}

static size_t newer_count(const dx_run *run) {
    return run->newer ? run->newer->values + run->newer->fields : 0;
}

dx_status dx_schema_validate(const dx_schema *schema, yyjson_val *instance, dx_arena *scratch, const dx_schema_options *options,
                             dx_diags *diags) {
    dx_run run = {.scratch = scratch};
    if (!instance) return DX_INVALID;
    if (dx_run_check(&run, schema->start, instance, NULL, NULL) && !run.gave_up) return DX_OK;
    if (diags && run.status == DX_OK) {
        run = (dx_run){
            .scratch = scratch, .diags = diags, .first_only = options && options->first_only, .newer = options ? options->newer : NULL};
        if (run.newer) *run.newer = (dx_schema_newer){0};
        size_t before = diags->count + newer_count(&run);
        bool valid = dx_run_check(&run, schema->start, instance, NULL, NULL);
        if (run.status == DX_OK && (valid || diags->count + newer_count(&run) == before || (run.gave_up && !tells_of_limit(diags))))
            dx_diags_add(diags, DX_INVALID, (dx_slice){"", 0}, "%s", run.gave_up ? TOO_LONG : "is not valid");
    }
    return run.status == DX_OK ? DX_INVALID : run.status;
}
